"""Confidence intervals of tau2."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri

from metaback.stats.solve import solve_q
from metaback.stats.wls import Floats, Problems, moments


def q_profile(problems: Problems, level: float) -> tuple[Floats, Floats]:
    """Return the Q-profile limits of tau2, each (n,).

    The limits solve Q(tau2) = the upper and the lower (1 - level) / 2 quantiles of chi-square with k - p degrees of
    freedom; a limit below zero is 0. Where even the upper limit would be below zero the set is empty and both limits
    are nan; so they are for k = p.

    level: in (0, 1). Source: Viechtbauer 2007. Same as `metafor::confint.rma.uni`, which searches with an absolute
    tolerance.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> [round(float(limit[0]), 6) for limit in q_profile(two, 0.95)]
    [0.171085, 39.39789]
    """
    tail = (1 - level) / 2
    known = problems.m > 0
    m = np.where(known, problems.m, 1.0)
    high_quantile, low_quantile = chdtri(m, tail), chdtri(m, 1 - tail)
    both = problems.take(np.tile(np.arange(problems.n), 2))
    target = np.where(np.tile(known, 2), np.concatenate((high_quantile, low_quantile)), np.inf)
    roots = solve_q(both, target)
    lower, upper = np.split(roots.x, 2)
    empty = ~known | (moments(problems, np.zeros(problems.n)).q1 < low_quantile)
    return np.where(empty, np.nan, lower), np.where(empty, np.nan, upper)
