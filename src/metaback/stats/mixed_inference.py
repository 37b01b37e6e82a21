"""What is asked of a model of dependent effects beside its estimates: degrees of freedom, typical variances, Q.

All work is per block of the covariance; no matrix of all rows by all rows is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.stats.blocks import BlockMatrix, blocks_of, on_diagonal

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


def constant_correlation(variances: Floats, labels: NDArray[np.integer], rho: float) -> BlockMatrix:
    """Return V with V_ii = v_i and V_ij = rho sqrt(v_i v_j) where rows share a label, in blocks of the labels.

    variances: (n,); labels: (n,) whole numbers; rho: in (-1, 1); in a block of m rows it must be above -1 / (m - 1).

    >>> constant_correlation(np.array([1.0, 4.0]), np.array([0, 0]), 0.5).parts[0].tolist()
    [[[1.0, 1.0], [1.0, 4.0]]]
    """
    blocks = blocks_of(labels if rho != 0 else np.arange(variances.size))
    return BlockMatrix(blocks, tuple(_constant(variances[rows], rho) for rows in blocks.rows))


def _constant(v: Floats, rho: float) -> Floats:
    """Return the blocks (B, m, m) of variances (B, m)."""
    se = np.sqrt(v)
    part = rho * se[:, :, None] * se[:, None, :]
    place = range(v.shape[1])
    part[:, place, place] = v
    return part


def containment_df(
    X: Floats, groupings: Sequence[tuple[Places, int]], slopes: Sequence[tuple[Floats, int]] = ()
) -> Floats:
    """Return the degrees of freedom (p,) of the coefficients by the containment rule.

    A column of X that is constant within every level of a random effect varies at that level at most, and has
    (levels - p) degrees of freedom; of several such random effects the one with the fewest levels counts. A column that
    fits none has n - p; one that has random slopes of its own has (levels of these - p). Values below 1 mean that the
    level cannot carry the coefficient.

    X: (n, p); groupings: codes (n,) from 0 and the number of levels, of each random effect (for "~ inner | outer" those
    of outer, and of outer and inner together); slopes: the columns (n, r) of random slopes and the number of their
    levels. Source: Pinheiro & Bates 2000, section 2.4. Same as `metafor::rma.mv(dfs="contain")`, which takes a column
    with random slopes for one of the level of its values within the grouping.

    >>> containment_df(np.ones((4, 1)), [(np.array([0, 0, 1, 2]), 3)])
    array([2.])
    """
    n, p = X.shape
    df = np.full(p, float(n - p))
    for codes, count in groupings:
        first = np.empty(count, dtype=np.intp)
        first[codes[::-1]] = np.arange(n)[::-1]
        constant = (X[first[codes]] == X).all(axis=0)
        df = np.where(constant, np.minimum(df, count - p), df)
    for Z, count in slopes:
        own = (X[:, :, None] == Z[:, None, :]).all(axis=0).any(axis=1)
        df = np.where(own, np.minimum(df, count - p), df)
    return df


@dataclass(frozen=True, slots=True)
class Sampling:
    """What the sampling covariance says of the rows: typical variance, diagonal (n,) of P, and Q with its df.

    typical = (n - p) / tr(P), P = W - WX(X'WX)^-1 X'W, W = V^-1; nan where n = p. q = y'Py. hat: (n,) diagonal of
    X(X'WX)^-1 X'W.
    """

    typical: float
    diagonal: Floats
    hat: Floats
    q: float
    df: int

    def of(self, rows: NDArray[np.bool_]) -> float:
        """Return the typical variance of some rows, (n_j - tr H_j) / tr P_j; nan where nothing is left."""
        trace, left = float(self.diagonal[rows].sum()), float(rows.sum() - self.hat[rows].sum())
        return left / trace if trace > 0 and left > 1e-9 else np.nan


def sampling(y: Floats, X: Floats, V: BlockMatrix) -> Sampling:
    """Return the typical sampling variance and the Q of residual heterogeneity.

    For diagonal V and an intercept this is the typical variance of Higgins & Thompson 2002, and Q that of Cochran.
    y: (n,); X: (n, p) of full rank; V: positive definite. Source: Higgins & Thompson 2002; Jackson et al. 2012.

    >>> from metaback.stats.blocks import diagonal
    >>> found = sampling(np.array([0.0, 1.0]), np.ones((2, 1)), diagonal(blocks_of(np.arange(2)), np.full(2, 0.5)))
    >>> round(found.typical, 12), round(found.q, 12), found.df
    (0.5, 1.0, 1)
    """
    n, p = X.shape
    white, inverse = _whitened(np.concatenate([X, (y - y.mean())[:, None]], axis=1), V)
    Q, R = np.linalg.qr(white[:, :p])
    residual = white[:, p] - Q @ (Q.T @ white[:, p])
    half = _times_root_transposed(Q, V)
    diagonal = inverse - (half * half).sum(axis=1)
    hat = ((X / R if p == 1 else np.linalg.solve(R.T, X.T).T) * half).sum(axis=1)
    trace = float(diagonal.sum())
    return Sampling((n - p) / trace if n > p else np.nan, diagonal, hat, float(residual @ residual), n - p)


def _diagonal(V: BlockMatrix) -> bool:
    """Tell whether all blocks are of one row."""
    return all(rows.shape[1] == 1 for rows in V.blocks.rows)


def _whitened(A: Floats, V: BlockMatrix) -> tuple[Floats, Floats]:
    """Return L^-1 A for V = LL' (n, c), and the diagonal of V^-1 (n,)."""
    if _diagonal(V):
        v = on_diagonal(V)
        return A / np.sqrt(v)[:, None], 1 / v
    out, inverse = np.empty_like(A), np.empty(A.shape[0])
    for rows, part in zip(V.blocks.rows, V.parts, strict=True):
        if rows.shape[1] == 1:
            out[rows[:, 0]] = A[rows[:, 0]] / np.sqrt(part[:, 0])
            inverse[rows[:, 0]] = 1 / part[:, 0, 0]
            continue
        root = np.linalg.inv(np.linalg.cholesky(part))
        out[rows] = root @ A[rows]
        inverse[rows] = (root * root).sum(axis=1)
    return out, inverse


def _times_root_transposed(A: Floats, V: BlockMatrix) -> Floats:
    """Return L^-T A for V = LL', (n, c)."""
    if _diagonal(V):
        return A / np.sqrt(on_diagonal(V))[:, None]
    out = np.empty_like(A)
    for rows, part in zip(V.blocks.rows, V.parts, strict=True):
        if rows.shape[1] == 1:
            out[rows[:, 0]] = A[rows[:, 0]] / np.sqrt(part[:, 0])
            continue
        root = np.linalg.inv(np.linalg.cholesky(part))
        out[rows] = root.swapaxes(1, 2) @ A[rows]
    return out


def solved(matrix: BlockMatrix, A: Floats) -> Floats:
    """Return M^-1 A for a positive definite M, (n, c).

    >>> from metaback.stats.blocks import diagonal
    >>> solved(diagonal(blocks_of(np.arange(2)), np.array([2.0, 4.0])), np.ones((2, 1))).ravel().tolist()
    [0.5, 0.25]
    """
    out = np.empty_like(A)
    for rows, part in zip(matrix.blocks.rows, matrix.parts, strict=True):
        out[rows] = A[rows] / part[:, 0, :, None] if rows.shape[1] == 1 else np.linalg.solve(part, A[rows])
    return out
