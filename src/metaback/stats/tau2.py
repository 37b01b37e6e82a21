"""Estimators of the between-study variance tau2: each one decorated function on a batch of problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.registry import Registry
from metaback.stats.likelihoods import restricted
from metaback.stats.solve import find_peaks, solve_q
from metaback.stats.wls import Floats, Problems, coefficients, moments


@dataclass(frozen=True, slots=True)
class Tau2:
    """Estimates of tau2 for n problems.

    value: (n,) at least 0; n_iter: (n,) iterations; converged: (n,).
    rival: (n,) tau2 of the second highest peak of the likelihood, nan where there is one peak or no likelihood.
    gap: (n,) how much lower in log-likelihood the second peak is, inf where there is none.
    """

    value: Floats
    n_iter: NDArray[np.int64]
    converged: NDArray[np.bool_]
    rival: Floats
    gap: Floats


Estimator = Callable[[Problems], Tau2]
TAU2_ESTIMATORS: Registry[Estimator] = Registry("tau2")
tau2_estimator = TAU2_ESTIMATORS.register


def _single(value: Floats, n_iter: NDArray[np.int64], converged: NDArray[np.bool_]) -> Tau2:
    """Wrap the estimates of a method that has no likelihood."""
    n = value.size
    return Tau2(value, n_iter, converged, np.full(n, np.nan), np.full(n, np.inf))


@tau2_estimator("DL", title="DerSimonian-Laird", cite="dersimonian1986")
def dersimonian_laird(problems: Problems) -> Tau2:
    """Estimate tau2 by the method of moments of DerSimonian and Laird.

    tau2 = max(0, (Q - (k - p)) / tr P), with Q and P at tau2 = 0.

    Edges: 0 for k = p and for homogeneous effects. Source: DerSimonian & Laird 1986; with moderators Raudenbush 2009.
    Same as `metafor::rma(method="DL")`.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(dersimonian_laird(two).value[0].round(12))
    0.9
    """
    at_zero = moments(problems, np.zeros(problems.n))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (at_zero.q1 - problems.m) / at_zero.t1
    value = np.where((problems.m > 0) & (value > 0), value, 0.0)
    return _single(value, np.zeros(problems.n, dtype=np.int64), np.ones(problems.n, dtype=bool))


@tau2_estimator("PM", title="Paule-Mandel", cite="paule1982")
def paule_mandel(problems: Problems) -> Tau2:
    """Estimate tau2 such that the generalised Q equals its expectation.

    Solves sum w_i(tau2) (y_i - mu(tau2))^2 = k - p; 0 where Q at tau2 = 0 is not above k - p. The solution is unique
    because Q falls with tau2.

    Edges: 0 for k = p. Source: Paule & Mandel 1982. Same as `metafor::rma(method="PM")`, which stops at an absolute
    tolerance and returns 0 for effects on a small scale.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(paule_mandel(two).value[0].round(12))
    0.9
    """
    roots = solve_q(problems, np.where(problems.m > 0, problems.m, np.inf))
    return _single(roots.x, roots.n_iter, roots.converged)


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
    peaks = find_peaks(problems)
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
        height = restricted(part, coefficients(part, tau2))
        order = np.lexsort((tau2, -height, row))
        starts = np.flatnonzero(np.diff(row[order], prepend=-1))
        best, second = order[starts], order[starts + 1]
        value[several], n_iter[several] = tau2[best], peaks.n_iter[of][best]
        converged[several] = peaks.converged[of][best]
        rival[several], gap[several] = tau2[second], height[best] - height[second]
    return Tau2(value, n_iter, converged, rival, gap)
