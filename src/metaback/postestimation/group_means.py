"""Means of subgroups that share one tau2: a regression on the groups, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import EstimationError
from metaback.models.fitted import Fit
from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.stats.regression import contrast_q, joint_p
from metaback.stats.wls import Bools, Floats, Problems, prepare
from metaback.status import Status


@dataclass(frozen=True, slots=True)
class SharedMeans:
    """Means of g groups with one tau2.

    beta: (g,), cov: (g, g) under the interval rule of the spec; df: of their t quantile, inf for the normal.
    tau2: the one of all groups; m: effects minus groups. fit: the regression behind them, problems: its data; both
    stand on effects minus a common origin.
    """

    beta: Floats
    cov: Floats
    df: float
    tau2: float
    m: int
    fit: Fit
    problems: Problems


def shared_means(effects: EffectSizes, spec: PoolSpec, masks: Bools) -> SharedMeans:
    """Fit y_i = mu_g(i) + u_i + e_i with u_i ~ N(0, tau2), one mean for each group and one tau2 for all.

    masks: (g, k) rows of each group that have an effect, no row in two groups. Means follow the interval rule of the
    spec with k - g degrees of freedom.

    Edges: with one effect in every group tau2 is 0, unless it is given, and the normal quantile serves. Raises
    `EstimationError` where the search for tau2 fails. Source: Borenstein & Higgins 2013. Same as
    `metafor::rma(yi, vi, mods = ~ 0 + group)`.
    """
    used = masks.any(axis=0)
    X = masks[:, used].T.astype(float)
    everything = np.ones(int(used.sum()), dtype=bool)
    origin = effects.yi[used][0]  # means far from zero would lose the digits in which they differ
    y, v = effects.yi[used] - origin, effects.vi[used]
    fit = fit_univariate(y, v, everything, spec, X)
    status = Status(int(fit.status))
    if not status.ok:
        raise EstimationError(f"{effects.source}: {status.sentence}")
    problems = prepare(y[None], v[None], everything[None], X[None])
    tau2, m = float(fit.theta[..., 0]), int(problems.m[0])
    return SharedMeans(fit.beta + origin, fit.cov, float(fit.df), tau2, m, fit, problems)


def equal_means_q(beta: Floats, cov: Floats) -> float:
    """Return the Wald statistic of "all means are equal": (L b)' (L V L')^-1 (L b), nan for a singular covariance.

    beta: (g,), at least two; cov: (g, g). L takes the first mean from every other; any full set of differences gives
    the same. Source: Borenstein & Higgins 2013.

    >>> equal_means_q(np.array([0.0, 1.0]), np.diag([0.5, 0.5]))
    1.0
    """
    L = np.eye(len(beta))[1:] - np.eye(len(beta))[0]
    C = L @ cov @ L.T
    if not (np.diag(C) > 0).all():  # equal effects under Hartung-Knapp: every standard error is 0
        return float("nan")
    try:
        return contrast_q(L @ (beta - beta[0]), C)
    except np.linalg.LinAlgError:
        return float("nan")


def equal_means_p(q: float, groups: int, df: float) -> float:
    """Return the p value of `equal_means_q`: chi-square with groups - 1 df, or F = q / (groups - 1) where df is finite.

    >>> round(equal_means_p(1.0, 2, float("inf")), 4), round(equal_means_p(1.0, 2, 4.0), 4)
    (0.3173, 0.3739)
    """
    r = groups - 1
    return float(joint_p(q if np.isinf(df) else q / r, r, df))
