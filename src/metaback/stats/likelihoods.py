"""Log-likelihoods of the normal-normal model at a given tau2."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

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


def saturated(problems: Problems) -> Floats:
    """Return the log-likelihood of a model with tau2 = 0 and a coefficient for every study, (n,).

    -1/2 [k log 2pi + sum log v]; twice its distance from `full` is the deviance.
    """
    logs = np.log(np.where(np.isinf(problems.v), 1.0, problems.v)).sum(axis=0)
    return -0.5 * ((problems.m + problems.p) * LOG_2PI + logs)


@dataclass(frozen=True, slots=True)
class Criteria:
    """Information criteria (n,): smaller is better, and only models of the same likelihood can be compared."""

    aic: Floats
    aicc: Floats
    bic: Floats


def criteria(loglik: Floats, parameters: int, size: Floats) -> Criteria:
    """Return the information criteria of Akaike (plain and for small samples) and of Schwarz.

    AIC = -2 l + 2 q, AICc = -2 l + 2 q s / (s - q - 1), BIC = -2 l + q log s, with l the log-likelihood, q the number
    of parameters (coefficients, and tau2 where it is estimated) and s the sample size: k for the full likelihood,
    k - p for the restricted one.

    Edges: AICc for s <= q + 1 uses s = q + 2, as metafor has it. Restricted likelihoods of different moderators must
    not be compared. Source: Akaike 1974; Hurvich & Tsai 1989; Schwarz 1978. Same as `metafor::fitstats`.

    >>> import numpy as np
    >>> best = criteria(np.array([-12.66508]), 2, np.array([13.0]))
    >>> [round(float(value[0]), 4) for value in (best.aic, best.aicc, best.bic)]
    [29.3302, 30.5302, 30.4601]
    """
    s = np.maximum(size, parameters + 2)
    with np.errstate(divide="ignore"):
        bic = -2 * loglik + parameters * np.log(size)
    return Criteria(-2 * loglik + 2 * parameters, -2 * loglik + 2 * parameters * s / (s - parameters - 1), bic)
