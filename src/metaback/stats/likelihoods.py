"""Log-likelihoods of the normal-normal model at a given tau2."""

from __future__ import annotations

import math

from metaback.stats.wls import Coefficients, Floats, Problems

LOG_2PI = math.log(2 * math.pi)


def restricted(problems: Problems, fit: Coefficients) -> Floats:
    """Return the restricted log-likelihood, (n,).

    -1/2 [(k - p) log 2pi - log|X'X| + sum log(v + tau2) + log|X'WX| + y'Py]; the term in X'X makes it free of the
    coding of X, as metafor has it. Source: Harville 1974; Viechtbauer 2005.
    """
    return -0.5 * (problems.m * LOG_2PI - fit.logdet_x + fit.sum_log + fit.logdet + fit.q1)


def full(problems: Problems, fit: Coefficients) -> Floats:
    """Return the log-likelihood, (n,): -1/2 [k log 2pi + sum log(v + tau2) + y'Py]."""
    return -0.5 * ((problems.m + problems.p) * LOG_2PI + fit.sum_log + fit.q1)
