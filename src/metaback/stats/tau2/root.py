"""Roots of the generalised Q: tau2 at which Q equals its mean or its median."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri

from metaback.stats.q_distribution import generalised_q, tau2_at_probability
from metaback.stats.solve import solve_q
from metaback.stats.tau2.family import Tau2, tau2_estimator, without_likelihood
from metaback.stats.tau2.moment import generalised_weights
from metaback.stats.wls import Floats, Problems


def _root(problems: Problems, target: Floats) -> Tau2:
    """Solve Q(tau2) = target; 0 where Q at tau2 = 0 is not above it, and for k = p."""
    roots = solve_q(problems, np.where(problems.m > 0, target, np.inf))
    return without_likelihood(roots.x, roots.n_iter, roots.converged)


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
    return _root(problems, problems.m)


@tau2_estimator("EB", title="empirical Bayes", cite="morris1983 viechtbauer2015")
def empirical_bayes(problems: Problems) -> Tau2:
    """Estimate tau2 by Morris' empirical Bayes equation.

    sum w_i(tau2) ((k / (k - p)) (y_i - x_i'beta(tau2))^2 - v_i - tau2) = 0 for tau2 > 0. Because the last two terms
    add up to k this is Q(tau2) = k - p, so the estimate is the Paule-Mandel one, with moderators too.

    Edges: as "PM". Source: Morris 1983; Viechtbauer et al. 2015 show the identity. Same as
    `metafor::rma(method="EB")`, which searches by Fisher scoring with an absolute stopping rule.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(empirical_bayes(two).value[0].round(12))
    0.9
    """
    return _root(problems, problems.m)


@tau2_estimator("SJIT", title="iterated Sidik-Jonkman", cite="sidik2005")
def sidik_jonkman_iterated(problems: Problems) -> Tau2:
    """Estimate tau2 at the limit of the Sidik-Jonkman steps t -> t Q(t) / (k - p).

    The steps rise or fall to the one positive t with Q(t) = k - p, or to 0 where there is none: the map is increasing
    and Q falls. So the limit is the Paule-Mandel estimate, and it is found as that.

    Edges: as "PM". Source: Sidik & Jonkman 2005. Same as `metafor::rma(method="SJIT")`, whose steps come to a stop
    at a small positive value where the limit is 0.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(sidik_jonkman_iterated(two).value[0].round(12))
    0.9
    """
    return _root(problems, problems.m)


@tau2_estimator("DLIT", title="iterated DerSimonian-Laird", cite="dersimonian1986 dersimonian2007")
def dersimonian_laird_iterated(problems: Problems) -> Tau2:
    """Estimate tau2 at the fixed point of the moment steps t -> max(0, t + (Q(t) - (k - p)) / tr P(t)).

    A fixed point above 0 has Q(t) = k - p, and 0 is one only where Q(0) is not above k - p. So the fixed point is the
    Paule-Mandel estimate, and it is found as that, because the steps themselves can circle.

    Edges: as "PM". Source: DerSimonian & Kacker 2007, who iterate their two-step estimator. metafor 3.8-1 leaves t
    out of the step and stops at another value; later versions agree.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(dersimonian_laird_iterated(two).value[0].round(12))
    0.9
    """
    return _root(problems, problems.m)


@tau2_estimator("PMM", title="median-unbiased Paule-Mandel", cite="viechtbauer2021 paule1982")
def paule_mandel_median(problems: Problems) -> Tau2:
    """Estimate tau2 such that the generalised Q equals its median.

    Solves Q(tau2) = median of chi-square with k - p degrees of freedom; 0 where Q at tau2 = 0 is not above it. It is
    the point at which the Q-profile intervals of all levels meet.

    Edges: 0 for k = p. Source: Viechtbauer 2021. Same as `metafor::rma(method="PMM")`.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(paule_mandel_median(two).value[0].round(9))
    1.342695041
    """
    return _root(problems, chdtri(np.where(problems.m > 0, problems.m, 1.0), 0.5))


@tau2_estimator("GENQM", title="median-unbiased generalised Q", cite="viechtbauer2021 jackson2013")
def generalised_q_median(problems: Problems) -> Tau2:
    """Estimate tau2 such that the generalised Q with fixed weights equals its median.

    Solves P(Q_a <= q; tau2) = 1/2 with Q_a = sum a_i (y_i - x_i'b_a)^2, q its observed value and a the user's weights
    of the mean, or else 1 / sqrt(v); 0 where q is not above the median at tau2 = 0. It is the point at which the
    intervals of Jackson of all levels meet. The distribution of Q_a is the exact one.

    Edges: 0 for k = p. Equal variances make it "PMM". Source: Viechtbauer 2021; Jackson 2013 for the distribution.
    Same as `metafor::rma(method="GENQM", weights=)`, which has no weights of its own.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(generalised_q_median(two).value[0].round(9))
    1.342695041
    """
    a, value = generalised_weights(problems), np.zeros(problems.n)
    rows = np.flatnonzero(problems.m > 0)
    if rows.size:
        part, weights = problems.take(rows), a[:, rows]
        value[rows] = tau2_at_probability(part, weights, generalised_q(part, weights), 0.5)
    return without_likelihood(value)
