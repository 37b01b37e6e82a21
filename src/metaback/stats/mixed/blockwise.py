"""Sums over blocks of one size: all of them in one call per step of algebra.

Many small blocks lie with the number of the block as their last axis, so that each step is a few operations on long
arrays; few large ones lie with it as their first axis, for the library of linear algebra.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from metaback.stats.mixed.likelihood import Sums
from metaback.stats.mixed.products import inner
from metaback.stats.mixed.records import Bools, Floats, Places

THIN = 12  # rows of the largest block that is worked through entry by entry
FEW = 12  # blocks below which entry by entry is not worth it
CACHE = 150_000  # numbers of the largest array of a step, so that it stays in the processor's cache


class Layout(Protocol):
    """Where the axes of blocks lie; R replicates, J parameters, B blocks of m rows, Q columns."""

    @staticmethod
    def pack(values: Floats) -> Floats:
        """Lay out (..., B, m, q)."""
        ...

    @staticmethod
    def part(values: Floats, cut: slice) -> Floats:
        """Take some of the blocks."""
        ...

    @staticmethod
    def total(V: Floats, u: Floats, S: Floats, which: Places) -> Floats:
        """Return V_k + sum_j u_j S_j for each replicate, u (R, J), with the V that which (R,) names."""
        ...

    @staticmethod
    def inverse(M: Floats) -> tuple[Floats, Floats, Bools]:
        """Return M^-1, the logarithms of its determinants (R, B) and which M (R, B) are not positive definite."""
        ...

    @staticmethod
    def weigh(values: Floats, counts: Floats) -> Floats:
        """Multiply blocks by counts (R, B)."""
        ...

    @staticmethod
    def times(A: Floats, Y: Floats) -> Floats:
        """Return A Y."""
        ...

    @staticmethod
    def each(A: Floats, S: Floats) -> Floats:
        """Return A S_j or S_j A for a stack of matrices on the right or on the left."""
        ...

    @staticmethod
    def flat(stack: Floats) -> Floats:
        """Return (R, J, Q, rows) of a stack of columns."""
        ...

    @staticmethod
    def entries(stack: Floats, *, turned: bool) -> Floats:
        """Return (R, J, entries) of a stack of square matrices, transposed if asked."""
        ...

    @staticmethod
    def traces(stack: Floats) -> Floats:
        """Return the traces (R, J), summed over blocks."""
        ...


class Thin:
    """Blocks last: V (m, m, K, B), S (J, m, m, R or 1, B), Y (m, Q, 1, B)."""

    @staticmethod
    def pack(values: Floats) -> Floats:
        """Lay out (..., B, m, q) as (..., m, q, B)."""
        return np.ascontiguousarray(np.moveaxis(values, -3, -1))

    @staticmethod
    def part(values: Floats, cut: slice) -> Floats:
        """Take some of the blocks."""
        return values[..., cut]

    @staticmethod
    def total(V: Floats, u: Floats, S: Floats, which: Places) -> Floats:
        """Return V_k + sum_j u_j S_j, (m, m, R, B)."""
        M: Floats = np.take(V, which, axis=2)
        for j in range(u.shape[1]):
            M += u[:, j, None] * S[j]
        return M

    @staticmethod
    def inverse(M: Floats) -> tuple[Floats, Floats, Bools]:
        """Sweep each pivot in turn; the pivots of a positive definite matrix are positive."""
        A = M.copy()
        m = A.shape[0]
        log_det = np.zeros(A.shape[2:])
        bad = np.zeros(A.shape[2:], dtype=bool)
        for k in range(m):
            pivot = A[k, k].copy()
            failed = ~(pivot > 0)
            if failed.any():
                bad |= failed
                pivot[failed] = 1.0
            log_det += np.log(pivot)
            row = A[k] / pivot
            column = A[:, k].copy()
            column[k] = 0.0
            A -= column[:, None] * row[None]
            A[:, k] = -column / pivot
            A[k] = row
            A[k, k] = 1 / pivot
        return A, log_det, bad

    @staticmethod
    def weigh(values: Floats, counts: Floats) -> Floats:
        """Multiply blocks by counts (R, B)."""
        return values * counts

    @staticmethod
    def times(A: Floats, Y: Floats) -> Floats:
        """Return A Y, (m, Q, R, B)."""
        return np.einsum("ij...,jq...->iq...", A, Y)

    @staticmethod
    def each(A: Floats, S: Floats) -> Floats:
        """Return S_j Y of a stack (J, m, q, R, B), or A Y_j where the stack is on the right."""
        if A.ndim > S.ndim:
            return np.einsum("aij...,jq...->aiq...", A, S)
        return np.einsum("ij...,ajq...->aiq...", A, S)

    @staticmethod
    def flat(stack: Floats) -> Floats:
        """Return (R, J, Q, m B)."""
        J, m, Q, R, B = stack.shape
        return stack.transpose(3, 0, 2, 1, 4).reshape(R, J, Q, m * B)

    @staticmethod
    def entries(stack: Floats, *, turned: bool) -> Floats:
        """Return (R, J, m m B)."""
        order = (3, 0, 2, 1, 4) if turned else (3, 0, 1, 2, 4)
        J, m, _, R, B = stack.shape
        return stack.transpose(order).reshape(R, J, m * m * B)

    @staticmethod
    def traces(stack: Floats) -> Floats:
        """Return the traces (R, J)."""
        return np.einsum("jiirb->rj", stack)


class Thick:
    """Blocks first: V (K, B, m, m), S (J, R or 1, B, m, m), Y (1, B, m, Q)."""

    @staticmethod
    def pack(values: Floats) -> Floats:
        """Keep (..., B, m, q)."""
        return np.ascontiguousarray(values)

    @staticmethod
    def part(values: Floats, cut: slice) -> Floats:
        """Take some of the blocks."""
        return values[..., cut, :, :]

    @staticmethod
    def total(V: Floats, u: Floats, S: Floats, which: Places) -> Floats:
        """Return V_k + sum_j u_j S_j, (R, B, m, m)."""
        M: Floats = np.take(V, which, axis=0)
        for j in range(u.shape[1]):
            M += u[:, j, None, None, None] * S[j]
        return M

    @staticmethod
    def inverse(M: Floats) -> tuple[Floats, Floats, Bools]:
        """Factor each block; those that are not positive definite are found one by one, and only if there are any."""
        bad: Bools = np.asarray(~np.isfinite(M).all(axis=(2, 3)))
        if bad.any():
            M = np.where(bad[:, :, None, None], np.eye(M.shape[-1]), M)
        try:
            root = np.linalg.cholesky(M)
        except np.linalg.LinAlgError:
            bad |= np.asarray(np.linalg.eigvalsh(M)[..., 0] <= 0)
            M = np.where(bad[:, :, None, None], np.eye(M.shape[-1]), M)
            for place in np.argwhere(~bad):
                try:
                    np.linalg.cholesky(M[tuple(place)])
                except np.linalg.LinAlgError:
                    bad[tuple(place)] = True
                    M[tuple(place)] = np.eye(M.shape[-1])
            root = np.linalg.cholesky(M)
        half = np.linalg.inv(root)
        log_det = 2 * np.log(np.diagonal(root, axis1=2, axis2=3)).sum(axis=2)
        return half.swapaxes(-1, -2) @ half, log_det, bad

    @staticmethod
    def weigh(values: Floats, counts: Floats) -> Floats:
        """Multiply blocks by counts (R, B)."""
        return values * counts[:, :, None, None]

    @staticmethod
    def times(A: Floats, Y: Floats) -> Floats:
        """Return A Y, (R, B, m, Q)."""
        return A @ Y

    @staticmethod
    def each(A: Floats, S: Floats) -> Floats:
        """Return A S_j or S_j A, (J, R, B, m, q)."""
        return A @ S

    @staticmethod
    def flat(stack: Floats) -> Floats:
        """Return (R, J, Q, B m)."""
        J, R, B, m, Q = stack.shape
        return stack.transpose(1, 0, 4, 2, 3).reshape(R, J, Q, B * m)

    @staticmethod
    def entries(stack: Floats, *, turned: bool) -> Floats:
        """Return (R, J, B m m)."""
        J, R, B, m, _ = stack.shape
        order = (1, 0, 2, 4, 3) if turned else (1, 0, 2, 3, 4)
        return stack.transpose(order).reshape(R, J, B * m * m)

    @staticmethod
    def traces(stack: Floats) -> Floats:
        """Return the traces (R, J)."""
        return np.einsum("jrbii->rj", stack)


Curve = Callable[[Floats, Floats], tuple[Floats, Floats, Floats]]


@dataclass(frozen=True, slots=True)
class Group:
    """B blocks of m rows in their layout: K sampling covariances V, Y = [X, y], and what the random terms add.

    S: constant derivatives of the linear parameters, which come first. curves: for each pair of parameters (variance,
    range) after them, the correlation as a function of distance; distances: nan where rows are not correlated.
    """

    layout: type[Layout]
    m: int
    count: int
    V: Floats
    Y: Floats
    S: Floats
    curves: tuple[Curve, ...] = ()
    distances: tuple[Floats, ...] = ()


def group_of(V: Floats, Y: Floats, S: Floats, curves: Sequence[Curve] = (), distances: Sequence[Floats] = ()) -> Group:
    """Lay out blocks V (K, B, m, m), Y (B, m, Q), derivatives S (J, B, m, m) and distances (B, m, m)."""
    B, m = V.shape[1:3]
    layout: type[Layout] = Thin if m <= THIN and m <= B and B >= FEW else Thick
    y, s = layout.pack(Y), layout.pack(S)
    thin = layout is Thin
    far = tuple(layout.pack(d)[:, :, None, :] if thin else d[None] for d in distances)
    y, s = (y[:, :, None, :], s[:, :, :, None, :]) if thin else (y[None], s[:, None])
    v = np.ascontiguousarray(V.transpose(2, 3, 0, 1)) if thin else V
    return Group(layout, m, B, v, y, s, tuple(curves), far)


def sums_of(group: Group, u: Floats, counts: Floats | None, *, order: int, which: Places | None = None) -> Sums:
    """Return the sums over the blocks of a group at u (R, J), blocks weighted by counts (R, B).

    which: (R,) number of the sampling covariance of each replicate; None is the first for all.
    """
    R, J = u.shape
    chosen: Places = np.zeros(len(u), dtype=np.intp) if which is None else which
    size = group.m * group.m * R * (max(J, 1) if order else 1)
    step = max(1, CACHE // size)
    out: Sums | None = None
    for start in range(0, group.count, step):
        cut = slice(start, start + step)
        take = group.layout.part
        far = tuple(take(a, cut) for a in group.distances)
        V, Y, S = take(group.V, cut), take(group.Y, cut), take(group.S, cut)
        part = replace(group, V=V, Y=Y, S=S, distances=far)
        one = _chunk(part, u, None if counts is None else counts[:, cut], order, chosen)
        out = one if out is None else out.plus(one)
    if out is None:
        raise ValueError("a group holds no block")
    return out


def _chunk(part: Group, u: Floats, counts: Floats | None, order: int, which: Places) -> Sums:
    """Return the sums over a chunk of blocks."""
    lay = part.layout
    M, S, bends = _filled(part, u, order, which)
    A, log_det, bad = lay.inverse(M)
    AY = lay.times(A, part.Y)
    AYw = AY
    if counts is not None:
        log_det, bad = log_det * counts, bad & (counts > 0)
        AYw = lay.weigh(AY, counts)
    left = lay.flat(np.broadcast_to(part.Y, AY.shape)[None])[:, 0]
    K = inner(left, lay.flat(AYw[None])[:, 0])
    if not order or not S.shape[0]:
        return _padded(log_det.sum(axis=1), K, np.asarray(bad.any(axis=1)), u.shape[1], order)
    G = lay.each(A, S)
    U = lay.each(S, AY)
    AU = lay.each(A, U)
    Gw, AUw, Uw = (x if counts is None else lay.weigh(x, counts) for x in (G, AU, U))
    R, J, Q = u.shape[0], S.shape[0], K.shape[-1]
    rows = lay.flat(Uw).reshape(R, J * Q, -1)
    first = inner(rows, lay.flat(AY[None])[:, 0]).reshape(R, J, Q, Q).swapaxes(2, 3)
    second = inner(lay.flat(U).reshape(R, J * Q, -1), lay.flat(AUw).reshape(R, J * Q, -1))
    second = second.reshape(R, J, Q, J, Q).transpose(0, 1, 3, 2, 4)
    cross = inner(lay.entries(G, turned=False), lay.entries(Gw, turned=True))
    out = Sums(log_det.sum(axis=1), K, np.asarray(bad.any(axis=1)), lay.traces(Gw), first, cross, second)
    return _bent(out, bends, lay, (A if counts is None else lay.weigh(A, counts), AY, AYw)) if bends else out


Bends = dict[tuple[int, int], Floats]


def _filled(part: Group, u: Floats, order: int, which: Places) -> tuple[Floats, Floats, Bends]:
    """Return M, all its first derivatives, and its second derivatives where they are not zero."""
    lay = part.layout
    linear = part.S.shape[0]
    M = lay.total(part.V, u[:, :linear], part.S, which)
    stack: list[Floats] = []
    bends: Bends = {}
    for i, (curve, far) in enumerate(zip(part.curves, part.distances, strict=True)):
        one, two = linear + 2 * i, linear + 2 * i + 1
        spread, reach = (u[:, j, None] if lay is Thin else u[:, j, None, None, None] for j in (one, two))
        value, slope, bend = (np.where(np.isnan(far), 0.0, c) for c in curve(np.nan_to_num(far), reach))
        M += spread * value
        stack += [value, spread * slope]
        bends[one, two], bends[two, two] = slope, spread * bend
    if not stack or not order:
        return M, part.S, bends if order else {}
    whole = (linear, *M.shape)
    return M, np.concatenate([np.broadcast_to(part.S, whole), np.stack(stack)]), bends


def _bent(sums: Sums, bends: Bends, lay: type[Layout], solved: tuple[Floats, Floats, Floats]) -> Sums:
    """Add the traces tr(A S_jk) and forms Y'A S_jk A Y of second derivatives."""
    A, AY, AYw = solved
    R, J = sums.log_det.size, sums.first.shape[1] if sums.first is not None else 0
    Q = sums.K.shape[-1]
    traces, forms = np.zeros((R, J, J)), np.zeros((R, J, J, Q, Q))
    left = lay.flat(AYw[None])[:, 0]
    for (j, k), S in bends.items():
        trace = np.einsum("rx,rx->r", *(lay.entries(x[None], turned=False)[:, 0] for x in (A, S)))
        form = inner(left, lay.flat(lay.each(S[None], AY))[:, 0])
        traces[:, j, k] = traces[:, k, j] = trace
        forms[:, j, k] = forms[:, k, j] = form
    return replace(sums, bend_trace=traces, bend=forms)


def _padded(log_det: Floats, K: Floats, bad: Bools, J: int, order: int) -> Sums:
    """Return sums without derivatives, or with derivatives that are zero."""
    if not order:
        return Sums(log_det, K, bad)
    R, Q = K.shape[:2]
    zero = np.zeros((R, J, Q, Q))
    flat = np.zeros((R, J, J))
    return Sums(log_det, K, bad, np.zeros((R, J)), zero, flat, np.zeros((R, J, J, Q, Q)))
