"""Tests about the coefficients of a weighted regression: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, chdtrc

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Basis:
    """Orthonormal columns Q (k, p) that span those of X: (X - centre) / size = Q R, the constant column left alone.

    Fits in this basis keep their digits however X is scaled; `in_basis` carries linear combinations over.
    """

    Q: Floats
    R: Floats
    centre: Floats
    size: Floats
    constant: int | None


def orthonormal(X: Floats, constant: int | None) -> Basis:
    """Return the basis of X (k, p), whose column `constant` is all ones (None: there is none, nothing is centred).

    >>> basis = orthonormal(np.array([[1.0, 2001.0], [1.0, 2002.0], [1.0, 2006.0]]), 0)
    >>> (basis.Q.T @ basis.Q).round(12) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    centre = np.zeros(X.shape[1]) if constant is None else X.mean(axis=0)
    if constant is not None:
        centre[constant] = 0.0
    moved = X - centre
    size = np.sqrt((moved * moved).sum(axis=0))
    size = np.where(size > 0, size, 1.0)
    Q, R = np.linalg.qr(moved / size)
    return Basis(Q, R, centre, size, constant)


def in_basis(basis: Basis, weights: Floats) -> Floats:
    """Return the weights on the coefficients of Q that state weights'beta of X, (..., p) to (..., p).

    With beta_0 the coefficient of the constant column, w'beta = w_0 (beta_0 + centre'beta) + (w - w_0 centre)'beta.

    >>> X = np.array([[1.0, 2001.0], [1.0, 2002.0], [1.0, 2006.0]])
    >>> basis = orthonormal(X, 0)
    >>> bool(np.allclose(in_basis(basis, X), basis.Q))
    True
    """
    moved = weights if basis.constant is None else weights - weights[..., [basis.constant]] * basis.centre
    solved = np.linalg.solve(basis.R.T, np.atleast_2d(moved / basis.size).T)
    return np.asarray(solved, dtype=float).T.reshape(weights.shape)


def subset_q(y: Floats, v: Floats, X: Floats, tau2: Floats, tested: Sequence[int]) -> Floats:
    """Return what a set of coefficients explains: the Wald statistic b'V^-1 b of the tested columns, (n,).

    With W = diag(1 / (v + tau2)) it equals the rise of the weighted residual sum of squares when the columns are left
    out, and is the squared length of W^1/2 y along what the tested columns add to the others. So it needs no inverse,
    and raw years beside their squares lose few digits.

    y, v: (n, k) effects and variances; X: (n, k, p) or (k, p); tau2: (n,). tested: positions of the columns, not
    empty. Source: the F test of nested linear models.

    >>> X = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> y, v = np.array([[0.0, 1.0, 2.0]]), np.ones((1, 3))
    >>> subset_q(y, v, X, np.zeros(1), [1]).round(12)
    array([2.])
    """
    n, k = y.shape
    p = X.shape[-1]
    X = np.broadcast_to(X, (n, k, p))
    rest = [j for j in range(p) if j not in set(tested)]
    constant = next((j for j in rest if np.all(X[..., j] == X[:, :1, j]) and np.all(X[:, 0, j] != 0)), None)
    A = X[..., [*rest, *tested]]
    if constant is not None:
        moved = [i for i, j in enumerate([*rest, *tested]) if j != constant]
        A = A.copy()
        A[..., moved] -= A[..., moved].mean(axis=1, keepdims=True)
    root = np.sqrt(1 / (v + tau2[:, None]))
    A = root[..., None] * A
    norm = np.sqrt((A * A).sum(axis=1, keepdims=True))
    q, _ = np.linalg.qr(A / np.where(norm > 0, norm, 1.0))
    origin = 0.0 if constant is None else y[:, :1]
    along = np.einsum("nkp,nk->np", q[..., len(rest) :], root * (y - origin))
    return (along * along).sum(axis=-1)


def contrast_q(estimates: Floats, cov: Floats) -> float:
    """Return the Wald statistic d'C^-1 d of estimates (r,) with covariance (r, r), brought to correlations first.

    Raises `numpy.linalg.LinAlgError` where the estimates depend on each other.

    >>> contrast_q(np.array([1.0, 2.0]), np.eye(2))
    5.0
    """
    se = np.sqrt(np.diag(cov))
    z = estimates / se
    correlation = cov / np.outer(se, se)
    if np.linalg.matrix_rank(correlation) < estimates.size:
        raise np.linalg.LinAlgError("dependent")
    return float(z @ np.linalg.solve(correlation, z))


def joint_p(statistic: Floats | float, df: float, df_residual: float) -> Floats:
    """Return the p value of chi-square (df_residual inf) or of F = statistic on (df, df_residual).

    statistic: the Wald statistic for chi-square, the Wald statistic divided by df for F. Upper tails are computed as
    such, so that small p keep their digits.

    >>> round(float(joint_p(3.841458820694124, 1, np.inf)), 10), round(float(joint_p(4.0, 2, 10)), 6)
    (0.05, 0.052922)
    """
    x = np.asarray(statistic, dtype=float)
    if np.isinf(df_residual):
        return np.asarray(chdtrc(df, x))
    with np.errstate(invalid="ignore"):
        return np.asarray(betainc(df_residual / 2, df / 2, df_residual / (df_residual + df * x)))


def gvif(cov: Floats, groups: Sequence[Sequence[int]], other: Sequence[int]) -> Floats:
    """Return the generalised variance inflation factor of each group of coefficients, (groups,).

    GVIF = det R_11 det R_22 / det R, with R the correlation matrix of all estimates without the intercept, R_11 its
    block of the group and R_22 that of the rest; for a single coefficient it is the VIF. Its 1 / (2 df) power
    compares groups of different size.

    cov: (p, p) covariance of the estimates; groups: positions; other: positions of all coefficients but the
    intercept. 1 for a group that has no company; nan where a variance is 0, as Hartung-Knapp has it for equal effects.
    Source: Fox & Monette 1992.

    >>> gvif(np.array([[1.0, 0.5], [0.5, 1.0]]), [[0], [1]], [0, 1]).round(6)
    array([1.333333, 1.333333])
    """
    se = np.sqrt(np.diag(cov))
    if not (se > 0).all():
        return np.full(len(groups), np.nan)
    R = cov / np.outer(se, se)
    whole = np.linalg.slogdet(R[np.ix_(other, other)])[1]
    values: list[float] = []
    for group in groups:
        rest = [j for j in other if j not in set(group)]
        inside = np.linalg.slogdet(R[np.ix_(group, group)])[1]
        outside = np.linalg.slogdet(R[np.ix_(rest, rest)])[1] if rest else 0.0
        values.append(float(np.exp(inside + outside - whole)))
    return np.array(values)


def r_squared(tau2: float, null: float) -> float | None:
    """Return the share of tau2 that the moderators explain in percent, 100 max(0, 1 - tau2 / null); None for null = 0.

    tau2: residual; null: of the model with an intercept alone, by the same estimator on the same rows. Source:
    Raudenbush 2009. Same as `metafor::rma(...)$R2`, which gives 0 where null is 0.

    >>> r_squared(0.02, 0.08)
    75.0
    """
    return 100 * max(0.0, 1 - tau2 / null) if null > 0 else None
