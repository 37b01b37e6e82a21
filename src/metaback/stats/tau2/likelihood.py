"""Estimators of tau2 at the highest peak of a likelihood."""

from __future__ import annotations

import numpy as np

from metaback.stats.likelihoods import full, restricted
from metaback.stats.solve import find_peaks
from metaback.stats.tau2.family import Tau2, tau2_estimator
from metaback.stats.wls import Problems, coefficients


@tau2_estimator("ML", title="maximum likelihood", cite="hardy1996 viechtbauer2005")
def maximum_likelihood(problems: Problems) -> Tau2:
    """Estimate tau2 by the global maximum of the likelihood over tau2 >= 0.

    Every local maximum is found with a certificate that none was missed (see `find_peaks`), and the highest is taken;
    at a tie the smaller tau2. The estimate is too low on average, because the coefficients are taken as known.

    Edges: 0 for k = p and for homogeneous effects. Source: Hardy & Thompson 1996; Viechtbauer 2005. Same as
    `metafor::rma(method="ML")` where Fisher scoring from its start finds the highest peak.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(maximum_likelihood(two).value[0].round(12))
    0.566666666667
    """
    return _highest(problems, use_restricted=False)


@tau2_estimator("REML", title="restricted maximum likelihood", cite="viechtbauer2005 harville1977")
def restricted_maximum_likelihood(problems: Problems) -> Tau2:
    """Estimate tau2 by the global maximum of the restricted likelihood over tau2 >= 0.

    Every local maximum is found with a certificate that none was missed (see `find_peaks`), and the highest is taken;
    at a tie the smaller tau2.

    Edges: 0 for k = p and for homogeneous effects; 0 exactly when the boundary is the maximum. Source: Viechtbauer
    2005. Same as `metafor::rma(method="REML")` where Fisher scoring from its start finds the highest peak.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(restricted_maximum_likelihood(two).value[0].round(12))
    0.9
    """
    return _highest(problems, use_restricted=True)


def _highest(problems: Problems, *, use_restricted: bool) -> Tau2:
    """Take the highest peak of each problem, and tell the second."""
    peaks = find_peaks(problems, restricted=use_restricted)
    n = problems.n
    count = np.bincount(peaks.row, minlength=n)
    first = np.concatenate(([0], np.cumsum(count)[:-1])).astype(np.intp)
    value, n_iter, converged = peaks.tau2[first], peaks.n_iter[first], peaks.converged[first]
    rival, gap = np.full(n, np.nan), np.full(n, np.inf)
    several = np.flatnonzero(count > 1)
    if several.size:
        of = np.isin(peaks.row, several)
        row, tau2 = peaks.row[of], peaks.tau2[of]
        part = problems.take(row)
        height = (restricted if use_restricted else full)(part, coefficients(part, tau2))
        order = np.lexsort((tau2, -height, row))
        starts = np.flatnonzero(np.diff(row[order], prepend=-1))
        best, second = order[starts], order[starts + 1]
        value[several], n_iter[several] = tau2[best], peaks.n_iter[of][best]
        converged[several] = peaks.converged[of][best]
        rival[several], gap[several] = tau2[second], height[best] - height[second]
    return Tau2(value, n_iter, converged, rival, gap)
