"""Cluster-robust covariance of a weighted or generalised regression, with the parts of its degrees of freedom.

The estimate b = M X'W y, M = (X'WX)^-1, keeps its meaning when the working weights W are wrong; its model covariance
does not. The sandwich M [sum_i X_i'W_i A_i e_i e_i'A_i W_i X_i] M takes the spread from the residuals of whole
clusters, and A_i makes up for what fitting has taken from them. What later questions need is p x p per cluster: the
work is O(n m^2 + C p^2) for C clusters of m rows, and no matrix of rows by rows or of clusters by clusters is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.stats.blocks import BlockMatrix, Blocks, blocks_of, regrouped
from metaback.stats.regression import in_basis, orthonormal
from metaback.stats.robust_adjustments import ADJUSTMENTS, SPENT, Piece, Root, leverages
from metaback.stats.thin_qr import thin_qr
from metaback.status import Status

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
DEPENDENT = 1e-12  # smallest over largest diagonal of R at which columns of X count as dependent

__all__ = ["ADJUSTMENTS", "Robust", "adjusted_residuals", "cluster_robust", "least_squares_residuals"]


@dataclass(frozen=True, slots=True)
class Robust:
    """A robust covariance and what its degrees of freedom are made of; leading axes are replicates.

    kind: key of the adjustment; status: `CONVERGED`, or why all numbers are nan. cov: (..., p, p) of the coefficients
    of X. number: (C,) labels of the clusters in rising order; clusters: (...) how many take part. In coordinates with
    X'WX = I, where c'b = (c @ basis)'g: scores (..., C, p) of the clusters; cov there is their sum of squares; own
    (..., C, p, p), factor (..., C, r, p) and kernel (..., r, r): under the working model the covariance of scores i and
    j is [i = j] own_i + factor_i' kernel factor_j; adjusted (..., C, p, p): X_i'A_iW_iX_i; model: (..., p, p)
    covariance of g under the working model; lost: its part that leaves no residual.
    """

    kind: str
    status: Status
    cov: Floats
    number: Places
    clusters: Floats
    basis: Floats
    scores: Floats
    own: Floats
    factor: Floats
    kernel: Floats
    adjusted: Floats
    model: Floats
    lost: Floats


@dataclass(frozen=True, slots=True)
class _Frame:
    """The clusters by size with roots of W and Phi (None: W^-1), who takes part, and X in coordinates with X'WX = I."""

    blocks: Blocks
    weights: list[Root]
    working: list[Root] | None
    present: list[Floats] | None
    X: list[Floats]
    basis: Floats


def cluster_robust(
    X: Floats,
    residuals: Floats,
    weights: BlockMatrix | Floats,
    clusters: NDArray[np.integer],
    *,
    kind: str = "CR2",
    working: BlockMatrix | Floats | None = None,
    present: NDArray[np.bool_] | None = None,
) -> Robust:
    """Return the cluster-robust covariance of b = (X'WX)^-1 X'W y, with the parts of its degrees of freedom.

    V = M [sum_i X_i'W_i A_i e_i e_i'A_i W_i X_i] M, with A_i by `kind`: CR0, CR1, CR1S, CR1p, CR2, CR3.

    X: (n, p) of full rank; residuals: (..., n) of this fit, y - Xb; weights: W in blocks of which each lies within one
    cluster, or its diagonal (..., n), above 0; clusters: (n,) whole numbers; working: Phi, the covariance under which
    CR2 is unbiased and df are computed, in the same two forms, None for W^-1; present: (..., C) which clusters take
    part, in the rising order of their labels. Leading axes are replicates and broadcast; blocks of W may have them
    where they are the clusters themselves.

    Edges: one cluster gives status TOO_FEW_CLUSTERS and nan; X of lower rank RANK_DEFICIENT; weights that are not
    positive definite or residuals that are no numbers IMPOSSIBLE_NUMBERS. In a batch a replicate with one cluster or
    dependent columns is nan alone; numbers that are none fail the whole call. A direction that one cluster alone
    decides leaves no residual and has no part in V: `unseen` of `metaback.stats.robust_tests` tells. Raises ValueError
    where a block of W lies in two clusters.

    Source: Pustejovsky & Tipton 2018. Same as `clubSandwich::vcovCR`.

    >>> y = np.array([1.0, 2.0, 4.0])
    >>> found = cluster_robust(np.ones((3, 1)), y - y.mean(), np.ones(3), np.arange(3))
    >>> bool(np.isclose(found.cov[0, 0], y.var(ddof=1) / 3))
    True
    """
    adjust = ADJUSTMENTS[kind].function
    blocks = blocks_of(clusters)
    status, frame = _framed(X, blocks, (weights, working), present)
    if frame is None or not np.isfinite(residuals).all():
        status = Status.IMPOSSIBLE_NUMBERS if frame is not None else status
        return _failed(kind, status, np.unique(clusters).astype(np.intp), X.shape[1])
    counts = _counts(frame, X.shape[1])
    spread = None if frame.working is None else _spread(frame, frame.working)
    found: list[list[Floats]] = [[], [], [], [], []]
    for i, rows in enumerate(blocks.rows):
        piece = _piece(frame, i, spread, counts)
        with np.errstate(invalid="ignore", divide="ignore"):
            J = adjust(piece)
        for to, part in zip(found, _parts(piece, J, _whitened(residuals[..., rows], frame, i)), strict=True):
            to.append(part)
    return _assembled(kind, frame, spread, found, counts[0])


def least_squares_residuals(
    X: Floats, y: Floats, weights: BlockMatrix | Floats, clusters: NDArray[np.integer]
) -> Floats:
    """Return y - Xb (..., n) for b = (X'WX)^-1 X'W y; y itself for p = 0, nan where there is no fit.

    y: (..., n); the other arguments are those of `cluster_robust`.

    >>> least_squares_residuals(np.ones((2, 1)), np.array([1.0, 5.0]), np.array([3.0, 1.0]), np.arange(2))
    array([-1.,  3.])
    """
    frame = _framed(X, blocks_of(clusters), (weights, None), None)[1] if X.shape[1] else None
    if frame is None:
        return np.array(y) if X.shape[1] == 0 else np.full(y.shape, np.nan)
    pairs = list(zip(frame.weights, frame.X, frame.blocks.rows, strict=True))
    turned = [root.turned(y[..., rows][..., None])[..., 0] for root, _, rows in pairs]
    parts = [np.einsum("...bmp,...bm->...p", q, e) for (_, q, _), e in zip(pairs, turned, strict=True)]
    gamma = np.sum(parts, axis=0, dtype=np.float64)
    out = np.empty(np.broadcast_shapes(y.shape, (*gamma.shape[:-1], y.shape[-1])))
    for (root, q, rows), e in zip(pairs, turned, strict=True):
        left = e - np.einsum("...bmp,...p->...bm", q, gamma)
        out[..., rows] = root.lowered(left[..., None])[..., 0]
    return out


def adjusted_residuals(
    X: Floats, residuals: Floats, weights: BlockMatrix | Floats, clusters: NDArray[np.integer], kind: str
) -> Floats:
    """Return A_i e_i, the residuals (..., n) of a fit adjusted as a robust covariance would; nan where it has none.

    X: (n, p), p = 0 leaves them as they are; kind: CR0, CR2 or CR3 (a common factor, as CR1 has it, is of no use).
    The other arguments are those of `cluster_robust`; the working covariance is W^-1.

    >>> adjusted_residuals(np.ones((2, 1)), np.array([-1.0, 1.0]), np.ones(2), np.arange(2), "CR3")
    array([-2.,  2.])
    """
    if kind not in {"CR0", "CR2", "CR3"}:
        raise OptionError.unknown("adjust", kind, ("CR0", "CR2", "CR3"))
    if kind == "CR0" or X.shape[1] == 0:
        return residuals
    frame = _framed(X, blocks_of(clusters), (weights, None), None)[1]
    out = np.full(residuals.shape, np.nan)
    if frame is None:
        return out
    for i, rows in enumerate(frame.blocks.rows):
        piece = _piece(frame, i, None, _counts(frame, X.shape[1]))
        e = frame.weights[i].turned(residuals[..., rows][..., None])
        out[..., rows] = frame.weights[i].lowered(_adjusted(piece, e, kind))[..., 0]
    return out


def _adjusted(piece: Piece, e: Floats, kind: str) -> Floats:
    """Return the whitened A_i e_i (..., B, m, 1) of whitened residuals."""
    if kind == "CR2":
        turned = replace(piece, weighted=piece.gram.times(e))
        return piece.gram.solved(ADJUSTMENTS[kind].function(turned))
    lifted = ADJUSTMENTS[kind].function(piece)  # X (I - S)^+
    return e + lifted @ (piece.X.swapaxes(-1, -2) @ e)


def _failed(kind: str, status: Status, number: Places, p: int) -> Robust:
    square, each = np.full((p, p), np.nan), np.full((number.size, p, p), np.nan)
    count = np.array(float(number.size))
    return Robust(kind, status, square, number, count, square, each[..., 0], each, each, square, each, square, square)


def _framed(
    X: Floats,
    blocks: Blocks,
    matrices: tuple[BlockMatrix | Floats, BlockMatrix | Floats | None],
    present: NDArray[np.bool_] | None,
) -> tuple[Status, _Frame | None]:
    """Return the clusters by size with X in coordinates in which X'WX = I, or the status that says why not."""
    if blocks.count < 2:
        return Status.TOO_FEW_CLUSTERS if blocks.count else Status.NO_STUDIES, None
    try:
        weights = _roots(matrices[0], blocks)
        working = None if matrices[1] is None else _roots(matrices[1], blocks)
    except np.linalg.LinAlgError:
        return Status.IMPOSSIBLE_NUMBERS, None
    if not np.isfinite(X).all():
        return Status.IMPOSSIBLE_NUMBERS, None
    constant = next((j for j in range(X.shape[1]) if (X[:, j] == 1).all()), None)
    first = orthonormal(X, constant)
    if X.shape[0] < X.shape[1] or _dependent(first.R).any():
        return Status.RANK_DEFICIENT, None
    present_by_size = _taken(blocks, present)
    Q, R = _orthonormal_in_weights(first.Q, blocks, weights, present_by_size)
    if R.ndim == 2 and _dependent(R).any():
        return Status.RANK_DEFICIENT, None
    basis = in_basis(first, np.eye(X.shape[1])) @ _inverse(R)
    return Status.CONVERGED, _Frame(blocks, weights, working, present_by_size, Q, basis)


def _roots(matrix: BlockMatrix | Floats, blocks: Blocks) -> list[Root]:
    """Return for every size the lower Cholesky factors of its blocks, or the roots of a diagonal."""
    if not isinstance(matrix, BlockMatrix):
        if not (np.isfinite(matrix).all() and (matrix > 0).all()):
            raise np.linalg.LinAlgError("not above 0")
        return [Root(np.sqrt(matrix[..., rows]), diagonal=True) for rows in blocks.rows]
    same = len(matrix.blocks.rows) == len(blocks.rows) and all(
        np.array_equal(a, b) for a, b in zip(matrix.blocks.rows, blocks.rows, strict=True)
    )
    parts = matrix.parts if same else regrouped(matrix, blocks).parts
    if not all(np.isfinite(part).all() for part in parts):
        raise np.linalg.LinAlgError("not a number")
    lower = [np.asarray(np.linalg.cholesky(part), dtype=np.float64) for part in parts]
    return [Root(part, diagonal=False) for part in lower]


def _taken(blocks: Blocks, present: NDArray[np.bool_] | None) -> list[Floats] | None:
    """Return for every size 1 for clusters that take part and 0 for the others, (..., B)."""
    if present is None:
        return None
    rank = np.argsort(np.argsort(np.concatenate(blocks.number)))
    ends = np.cumsum([rows.shape[0] for rows in blocks.rows])[:-1]
    return [present[..., part].astype(float) for part in np.split(rank, ends)]


def _orthonormal_in_weights(
    first: Floats, blocks: Blocks, weights: list[Root], present: list[Floats] | None
) -> tuple[list[Floats], Floats]:
    """Return whitened orthonormal columns for every size, (..., B, m, p), and R with L'X = QR."""
    p = first.shape[1]
    parts = [root.turned(first[rows]) for root, rows in zip(weights, blocks.rows, strict=True)]
    if present is not None:
        parts = [part * here[..., None, None] for part, here in zip(parts, present, strict=True)]
    shape = np.broadcast_shapes(*(part.shape[:-3] for part in parts))
    flat = [
        np.broadcast_to(part, (*shape, *part.shape[-3:])).reshape(*shape, rows.size, p)
        for part, rows in zip(parts, blocks.rows, strict=True)
    ]
    stack = np.concatenate(flat, axis=-2)
    size = np.sqrt(np.einsum("...np,...np->...p", stack, stack))
    size = np.where(size > 0, size, 1.0)
    Q, R = thin_qr((stack / size[..., None, :]).reshape(-1, blocks.n, p))
    Q, R = Q.reshape(stack.shape), R.reshape(*shape, p, p) * size[..., None, :]
    pieces = np.split(Q, np.cumsum([rows.size for rows in blocks.rows])[:-1], axis=-2)
    return [q.reshape(*shape, *rows.shape, p) for q, rows in zip(pieces, blocks.rows, strict=True)], R


def _dependent(R: Floats) -> NDArray[np.bool_]:
    """Tell where columns depend on each other, (...)."""
    length = np.sqrt((R * R).sum(axis=-2))
    left = np.abs(np.diagonal(R, axis1=-2, axis2=-1)) / np.where(length > 0, length, 1.0)
    return left.min(axis=-1) <= DEPENDENT


def _inverse(R: Floats) -> Floats:
    """Return R^-1 (..., p, p), nan for a replicate whose columns depend on each other."""
    lost = _dependent(R)[..., None, None]
    return np.where(lost, np.nan, np.linalg.inv(np.where(lost, np.eye(R.shape[-1]), R)))


# ---------------------------------------------------------------- what clusters contribute


def _counts(frame: _Frame, p: int) -> tuple[Floats, Floats, int]:
    """Return how many clusters and rows take part, (...), and the number of columns."""
    if frame.present is None:
        return np.array(float(frame.blocks.count)), np.array(float(frame.blocks.n)), p
    taken = [part.sum(axis=-1) for part in frame.present]
    rows = [part * float(rows.shape[1]) for part, rows in zip(taken, frame.blocks.rows, strict=True)]
    return np.asarray(np.sum(taken, axis=0)), np.asarray(np.sum(rows, axis=0)), p


def _spread(frame: _Frame, working: list[Root]) -> Floats:
    """Return X'W Phi W X (..., p, p) in the coordinates with X'WX = I."""
    seen = [phi.turned(root.times(q)) for phi, root, q in zip(working, frame.weights, frame.X, strict=True)]
    return np.asarray(np.sum([np.einsum("...bmp,...bmq->...pq", part, part) for part in seen], axis=0))


def _piece(frame: _Frame, i: int, spread: Floats | None, counts: tuple[Floats, Floats, int]) -> Piece:
    """Return the clusters of one size, whitened by Phi."""
    root, q = frame.weights[i], frame.X[i]
    if frame.working is None:
        return Piece(q, q, _gram(root, inverse=True), None, counts)
    phi = frame.working[i]
    return Piece(phi.solved(root.lowered(q)), phi.turned(root.times(q)), _gram(phi, inverse=False), spread, counts)


def _gram(root: Root, *, inverse: bool) -> Root:
    """Return DD' for Phi = D'D: (L'L)^-1 for Phi = W^-1 with W = LL', or C'C for Phi = CC'."""
    if root.diagonal:
        return Root(root.values**-2 if inverse else root.values**2, diagonal=True)
    product = root.values.swapaxes(-1, -2) @ root.values
    return Root(np.asarray(np.linalg.inv(product), dtype=np.float64) if inverse else product, diagonal=False)


def _whitened(residuals: Floats, frame: _Frame, i: int) -> Floats:
    """Return D^-T e (..., B, m) of the residuals (..., B, m) of one size."""
    column = residuals[..., None]
    return (frame.weights[i].turned(column) if frame.working is None else frame.working[i].solved(column))[..., 0]


def _parts(piece: Piece, J: Floats, e: Floats) -> tuple[Floats, ...]:
    """Return scores, own, factor, adjusted and lost of the clusters of one size; J: D A_i W_i X_i."""
    turned = J.swapaxes(-1, -2)
    scores = (turned @ e[..., None])[..., 0]
    adjusted = piece.X.swapaxes(-1, -2) @ J
    seen = piece.weighted.swapaxes(-1, -2) @ J
    factor = adjusted if piece.spread is None else np.concatenate((adjusted, seen), axis=-2)
    return scores, turned @ J, factor, adjusted, _lost(piece)


def _lost(piece: Piece) -> Floats:
    """Return what of X'WX leaves no residual because one cluster decides it, summed, (..., 1, p, p)."""
    trace = np.einsum("...bmp,...bmp->...b", piece.X, piece.weighted)
    lost = np.zeros((*trace.shape[:-1], 1, *(piece.X.shape[-1:] * 2)))
    if (trace < 1 - SPENT).all():  # no eigenvalue is larger than their sum
        return lost
    values, vectors = leverages(piece)
    kept = np.where(values > 1 - SPENT, values, 0.0)
    return lost + np.einsum("...bpk,...bk,...bqk->...pq", vectors, kept, vectors)[..., None, :, :]


def _assembled(kind: str, frame: _Frame, spread: Floats | None, found: list[list[Floats]], clusters: Floats) -> Robust:
    """Return the record, its clusters in the order of their labels."""
    number = np.concatenate(frame.blocks.number)
    order = np.argsort(number)
    shape = np.broadcast_shapes(*(part.shape[:-2] for part in found[0]))
    scores = _joined(found[0], shape, 2)[..., order, :]
    own, factor, adjusted = (_joined(parts, shape, 3)[..., order, :, :] for parts in found[1:4])
    lost = _joined(found[4], shape, 3).sum(axis=-3)
    eye = np.eye(scores.shape[-1])
    cov = frame.basis @ (scores.swapaxes(-1, -2) @ scores) @ frame.basis.swapaxes(-1, -2)
    return Robust(
        kind=kind,
        status=Status.CONVERGED,
        cov=np.where((clusters < 2)[..., None, None], np.nan, cov),
        number=number[order],
        clusters=clusters,
        basis=frame.basis,
        scores=scores,
        own=own,
        factor=factor,
        kernel=-eye if spread is None else _kernel(spread),
        adjusted=adjusted,
        model=eye if spread is None else spread,
        lost=lost,
    )


def _joined(parts: list[Floats], shape: tuple[int, ...], axes: int) -> Floats:
    """Return the clusters of all sizes one after the other; the last `axes` axes are a cluster's own."""
    full = [np.broadcast_to(part, (*shape, *part.shape[part.ndim - axes :])) for part in parts]
    return np.concatenate(full, axis=-axes)


def _kernel(spread: Floats) -> Floats:
    """Return [[spread, -I], [-I, 0]] (..., 2p, 2p), which joins X'p and X'W Phi p of two clusters."""
    p = spread.shape[-1]
    kernel = np.zeros((*spread.shape[:-2], 2 * p, 2 * p))
    kernel[..., :p, :p] = spread
    kernel[..., :p, p:] = kernel[..., p:, :p] = -np.eye(p)
    return kernel
