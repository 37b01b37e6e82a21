"""How much of the observed spread is between studies: Q, I2 and H2."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc

from metaback.stats.wls import Floats, Problems, moments


def cochran_q(problems: Problems) -> tuple[Floats, Floats]:
    """Return Cochran's Q = sum w_i (y_i - mu)^2 with w_i = 1/v_i, and its chi-square p value on k - p df, each (n,).

    The p value is nan for k = p. Source: Cochran 1954.
    """
    q, p, _ = spread_at_zero(problems)
    return q, p


def spread_at_zero(problems: Problems) -> tuple[Floats, Floats, Floats]:
    """Return Cochran's Q, its p value and the typical sampling variance, each (n,), from one evaluation.

    See `cochran_q` and `typical_variance`, which have the same numbers.
    """
    now = moments(problems, np.zeros(problems.n))
    q = np.where(problems.m > 0, now.q1, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = chdtrc(np.where(problems.m > 0, problems.m, np.nan), q)
        return q, p, np.where(problems.m > 0, problems.m / now.t1, np.nan)


def i2_from_q(q: Floats, m: Floats) -> Floats:
    """Return I2 in percent from Q: 100 max(0, (Q - m) / Q) with m = k - p; 0 for Q = 0.

    Source: Higgins & Thompson 2002.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(q > m, 100 * (q - m) / q, 0.0)


def typical_variance(problems: Problems) -> Floats:
    """Return the typical sampling variance (k - p) / tr P at tau2 = 0, (n,); nan for k = p.

    Source: Higgins & Thompson 2002.
    """
    return spread_at_zero(problems)[2]


def i2_from_tau2(tau2: Floats, typical: Floats) -> Floats:
    """Return I2 in percent from tau2: 100 tau2 / (tau2 + typical variance)."""
    return 100 * tau2 / (tau2 + typical)


def h2_from_tau2(tau2: Floats, typical: Floats) -> Floats:
    """Return H2 = (tau2 + typical variance) / typical variance."""
    return (tau2 + typical) / typical
