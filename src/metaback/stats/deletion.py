"""What leaving out one study at a time says about a fit: outlyingness, leverage and influence, on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtr, chdtri

from metaback.stats.wls import Bools, Floats

COOK_SHARE = 0.5  # of the chi-square distribution on p df that a Cook's distance must exceed to be flagged
LEVERAGE = 3.0  # times the mean hat value p / k
SHIFT = 3.0  # times sqrt(p / (k - p)), for DFFITS
ONE = 1.0  # standard error that a coefficient may move


@dataclass(frozen=True, slots=True)
class Whole:
    """The fit of all k studies.

    X: (k, p); v: (k,); total: (k,) v + tau2; residual: (k,) y - X beta; spread: (k,) variance of the residuals; hat:
    (k,) leverages; cov: (p, p) of the coefficients under the interval rule. turn: (q, p) the q coefficients that are
    reported, as linear combinations of those of X.
    """

    X: Floats
    v: Floats
    total: Floats
    residual: Floats
    spread: Floats
    hat: Floats
    cov: Floats
    turn: Floats


@dataclass(frozen=True, slots=True)
class Deleted:
    """The fits without each study in turn.

    change: (k, p) their coefficients minus those of the whole; cov: (k, p, p) under the interval rule; tau2, factor:
    (k,) between-study variance, and what the interval rule multiplied the model's covariance by; cov_all: (k, p, p)
    covariance of the coefficients of all k studies at the tau2 of each fit, as the model has it; at_fit: (k,) variance
    of the fitted value of each study there, of which `fitted_spread` has the convention.
    """

    change: Floats
    cov: Floats
    tau2: Floats
    factor: Floats
    cov_all: Floats
    at_fit: Floats


@dataclass(frozen=True, slots=True)
class Deletion:
    """Diagnostics of k studies; see `deletion_diagnostics`. dfbetas: (k, q), all others (k,)."""

    rstandard: Floats
    rstudent: Floats
    dffits: Floats
    cook: Floats
    cov_ratio: Floats
    hat: Floats
    dfbetas: Floats
    pearson: Floats
    shift: Floats


def deletion_diagnostics(whole: Whole, deleted: Deleted) -> Deletion:
    """Return residuals, leverage and influence of each study.

    With b and C the coefficients and their covariance, (-i) for the fit without study i, and s2 the factor of
    the interval rule:

    rstandard_i = e_i / sqrt(Var e_i);
    rstudent_i = (y_i - x_i'b(-i)) / sqrt(s2(-i) (v_i + tau2(-i)) + x_i'C(-i)x_i);
    dffits_i = x_i'(b - b(-i)) / sqrt(s2(-i) f_i), with f_i = h_ii (v_i + tau2(-i)), see `fitted_spread`;
    cook_i = (b - b(-i))'C^-1 (b - b(-i)); cov_ratio_i = det C(-i) / det C;
    dfbetas_ij = (b_j - b_j(-i)) / sqrt(s2(-i) [(X'W(-i)X)^-1]_jj), W(-i) = diag(1 / (v + tau2(-i))) of all studies;
    pearson_i = e_i^2 / (v_i + tau2) and shift_i = (x_i'(b - b(-i)))^2 / x_i'C(-i)x_i, the axes of the plot of Baujat.

    Edges: nan where the fit without a study does not exist. Where C is 0 (equal effects under a rule that scales by
    their spread) ratios with it are nan. Source: Viechtbauer & Cheung 2010; Baujat et al. 2002. Same as
    `metafor::influence`.

    >>> one, half = np.ones((2, 1)), np.full(2, 0.5)
    >>> both = Whole(one, np.ones(2), np.ones(2), np.array([-1.0, 1.0]), half, half, np.eye(1) / 2, np.eye(1))
    >>> alone = Deleted(np.array([[1.0], [-1.0]]), np.ones((2, 1, 1)), np.zeros(2), np.ones(2), np.full((2, 1, 1), 0.5),
    ...     half)
    >>> found = deletion_diagnostics(both, alone)
    >>> found.rstudent.round(4), found.cook
    (array([-1.4142,  1.4142]), array([2., 2.]))
    """
    X, change, turn = whole.X, deleted.change, whole.turn
    moved = np.einsum("kp,kp->k", X, change)
    at_x = np.einsum("kp,kpq,kq->k", X, deleted.cov, X)
    own = whole.v + deleted.tau2
    se = np.sqrt(deleted.factor[:, None] * np.einsum("jp,kpq,jq->kj", turn, deleted.cov_all, turn))
    with np.errstate(divide="ignore", invalid="ignore"):
        return Deletion(
            rstandard=whole.residual / np.sqrt(whole.spread),
            rstudent=(whole.residual - moved) / np.sqrt(deleted.factor * own + at_x),
            dffits=-moved / np.sqrt(deleted.factor * deleted.at_fit),
            cook=_quadratic(change, whole.cov),
            cov_ratio=_determinant_ratio(deleted.cov, whole.cov),
            hat=whole.hat,
            dfbetas=-(change @ turn.T) / se,
            pearson=whole.residual**2 / whole.total,
            shift=moved * moved / at_x,
        )


def fitted_spread(hat: Floats, own: Floats, X: Floats, cov_all: Floats, *, weighted: bool) -> Floats:
    """Return the variance of each fitted value at the tau2 without that study, (k,).

    h_ii (v_i + tau2(-i)) with the leverages of the whole fit; with weights of the user (`weighted`), of which the
    leverage says nothing about the variance, x_i'C x_i with C the covariance of all studies' coefficients there.

    hat: (k,); own: (k,) v_i + tau2(-i); X: (k, p); cov_all: (k, p, p).

    >>> one = np.ones((2, 1))
    >>> fitted_spread(np.full(2, 0.5), np.ones(2), one, np.full((2, 1, 1), 0.7), weighted=True).tolist()
    [0.7, 0.7]
    """
    return np.einsum("kp,kpq,kq->k", X, cov_all, X) if weighted else hat * own


def residual_spread(hat: Floats, remain: Floats, m: Floats, weights: Floats | None = None) -> Floats:
    """Return the variance of the residuals of a fit, (k,): the diagonal of (I - H) diag(m) (I - H)'.

    With the weights 1 / m of least squares it is m_i (1 - h_ii); for a mean with weights a of the user, which are then
    its hat values, m_i (1 - h_i)^2 + sum over the others of h_j^2 m_j.

    hat: (k,); remain: (k,) 1 - h_ii; m: (k,) v + tau2; weights: (k,) or None.

    >>> residual_spread(np.full(2, 0.5), np.full(2, 0.5), np.ones(2)).tolist()
    [0.5, 0.5]
    """
    if weights is None:
        return m * remain
    own = hat * hat * m
    return remain * remain * m + beside(own)


def beside(values: Floats) -> Floats:
    """Return for each of some positive numbers the sum of all others, (k,), without a difference that loses digits.

    >>> beside(np.array([1e20, 1.0, 2.0])).tolist()
    [3.0, 1e+20, 1e+20]
    """
    before, after = np.zeros_like(values), np.zeros_like(values)
    before[1:] = np.cumsum(values[:-1])
    after[:-1] = np.cumsum(values[:0:-1])[::-1]
    return before + after


def _quadratic(change: Floats, cov: Floats) -> Floats:
    """Return d'C^-1 d for each row of d, with C brought to correlations first; nan where C has no inverse."""
    se = np.sqrt(np.diagonal(cov))
    if not (se > 0).all():
        return np.full(len(change), np.nan)
    z = change / se
    return np.einsum("kp,pk->k", z, np.linalg.solve(cov / np.outer(se, se), z.T))


def _determinant_ratio(cov: Floats, whole: Floats) -> Floats:
    """Return det C(-i) / det C; both are scaled by the standard errors of the whole, so that no product underflows."""
    se = np.sqrt(np.diagonal(whole))
    if not (se > 0).all():
        return np.full(len(cov), np.nan)
    scale = np.outer(se, se)
    return np.linalg.det(cov / scale) / np.linalg.det(whole / scale)


@dataclass(frozen=True, slots=True)
class FlagLimits:
    """The values beyond which `flags` tells a study: of |dffits|, Cook's distance, the hat value and |dfbetas|."""

    dffits: float
    cook: float
    hat: float
    dfbetas: float


def flag_limits(k: int, p: int) -> FlagLimits:
    """Return the limits of `flags` for k studies and p coefficients.

    3 sqrt(p / (k - p)), infinite for k = p; the median of chi-square on p df; 3 p / k; 1. Source: Viechtbauer & Cheung
    2010.

    >>> found = flag_limits(10, 1)
    >>> [round(value, 4) for value in (found.dffits, found.cook, found.hat, found.dfbetas)]
    [1.0, 0.4549, 0.3, 1.0]
    """
    shift = float(SHIFT * np.sqrt(p / (k - p))) if k > p else np.inf
    return FlagLimits(shift, float(chdtri(p, 1 - COOK_SHARE)), LEVERAGE * p / k, ONE)


def flags(found: Deletion, k: int, p: int) -> Bools:
    """Tell which studies are influential by the usual rules, (k,).

    Any of: |dffits| > 3 sqrt(p / (k - p)); Cook's distance beyond the median of chi-square on p df; hat > 3 p / k; any
    |dfbetas| > 1. Rules of thumb, not tests. Source: Viechtbauer & Cheung 2010; the limits of `metafor::influence`.

    >>> zero = np.zeros(3)
    >>> moved = np.array([0.1, 4.0, np.nan])
    >>> flags(Deletion(zero, zero, moved, zero, zero, zero, np.zeros((3, 1)), zero, zero), 3, 1)
    array([False,  True, False])
    """
    limits = flag_limits(k, p)
    with np.errstate(invalid="ignore"):
        moved = (np.abs(found.dffits) > limits.dffits) | (chdtr(p, found.cook) > COOK_SHARE)
        return moved | (found.hat > limits.hat) | (np.abs(found.dfbetas) > limits.dfbetas).any(axis=1)
