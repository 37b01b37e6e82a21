"""Sums for crossed effects, whose clusters are as large as the table: M = D + Z Gamma Z', D in small blocks.

Terms that link clusters are taken out of the blocks. With A = D^-1, W = Z'AZ, C = I + Gamma W and K = C^-1,
M^-1 = A - AZ K Gamma Z'A and log|M| = log|D| + log|C| (Hager 1989): the cost grows with the levels of what was
taken out, and with the blocks of the rest. Where levels meet few others, they are eliminated in an order that keeps
C sparse; where they meet many, C is inverted whole. Whichever is cheaper is known before any number is computed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from scipy import sparse
from scipy.linalg import lapack as _lapack

from metaback.stats.blocks import BlockMatrix, Blocks
from metaback.stats.mixed.crossed_order import Order, order_of, rounds_of
from metaback.stats.mixed.crossed_sparse import eliminated, pairs_of, symmetric_inverse
from metaback.stats.mixed.likelihood import Sums
from metaback.stats.mixed.records import Floats, Places, Term
from metaback.stats.mixed.structures import Chart

Sparse = Any  # scipy's sparse matrices have no types
WORTH = 3.0  # how many times cheaper taking terms out must be
SMALL = 1e6  # operations of whole blocks below which nothing is gained
QUICK = 3e8  # operations of a likelihood below which no order is looked for
ENTRY = 300.0  # operations of a whole matrix in the time that one number of a sparse one takes
NEAR_0 = 1e-100  # variance that adds nothing to any other number
HELD = 3_000  # levels up to which products of whole matrices are held
STRIP = 512  # rows of whole matrices that are turned together

lapack: Any = _lapack  # has no types


@dataclass(frozen=True, slots=True)
class Local:
    """A parameter within blocks: its number, and its derivative as blocks and as one sparse matrix."""

    number: int
    parts: tuple[Floats, ...]
    S: Sparse


@dataclass(frozen=True, slots=True)
class Crossing:
    """A model with some terms taken out of the blocks.

    V: blocks of sampling covariances; Y: (n, Q); Z: (n, q) which effects of the terms taken out are in which row;
    gammas: number of the parameter and derivative (q, q) of the covariance of these effects; locals: number of the
    parameter and derivative (n, n) within blocks; J: number of all parameters. order: in which the effects are
    eliminated, None where C is inverted whole.
    """

    V: BlockMatrix
    Y: Floats
    Z: Sparse
    gammas: tuple[tuple[int, Sparse], ...]
    locals: tuple[Local, ...]
    J: int
    order: Order | None = None

    @property
    def q(self) -> int:
        """Count the effects."""
        return int(self.Z.shape[1])


def taken_out(
    terms: Sequence[Term], charts: Sequence[Chart], clusters: Callable[[Sequence[Term]], Places]
) -> tuple[int, ...]:
    """Return the terms to take out of the blocks, none where whole blocks are as cheap.

    clusters: from terms to the cluster of each row. The cost of a block of m rows is m^3, that of q levels q^3.
    """
    if any(chart.patterns is None for chart in charts):
        return ()
    whole = _cost(clusters(terms))
    best, least = (), whole / WORTH
    if whole <= SMALL:
        return ()
    for size in range(1, len(terms) + 1):
        for out in itertools.combinations(range(len(terms)), size):
            levels = sum(np.unique(terms[t].outer).size * width_of(charts[t]) for t in out)
            cost = float(levels) ** 3 + _cost(clusters([term for t, term in enumerate(terms) if t not in out]))
            if cost < least:
                best, least = out, cost
    return best


def shared_terms(terms: Sequence[Term], charts: Sequence[Chart]) -> tuple[int, ...]:
    """Return the terms whose levels have several rows, none where a structure or known correlations forbid an order."""
    if any(chart.patterns is None for chart in charts) or any(term.known is not None for term in terms):
        return ()
    counts = [np.bincount(term.outer[term.outer >= 0], minlength=1).max(initial=0) for term in terms]
    return tuple(t for t, most in enumerate(counts) if most > 1)


def operations(terms: Sequence[Term], charts: Sequence[Chart], out: Sequence[int], labels: Places, J: int) -> float:
    """Return how many operations a likelihood takes with its derivatives, where C is inverted whole.

    labels: (n,) cluster of each row by the terms that are left.
    """
    levels = sum(np.unique(terms[t].outer).size * width_of(charts[t]) for t in out)
    return 1.5 * float(levels) ** 3 + (3 + 2 * J) * _cost(labels)


def too_quick(cost: float) -> bool:
    """Tell whether so many operations are not worth looking for an order."""
    return cost < QUICK


def ordered(crossing: Crossing, widths: Places, most: float) -> Crossing | None:
    """Return the model with an order of elimination, or None where that takes more than so many operations.

    widths: (k,) effects of each level of all terms in turn; effects of a level are eliminated together.
    """
    blocks = crossing.V.blocks
    met = spread_out(blocks, [np.ones((*rows.shape, rows.shape[1])) for rows in blocks.rows])
    node = np.repeat(np.arange(widths.size), widths)
    entries: Any = sparse.coo_array(crossing.Z)
    where = (entries.coords[0], node[entries.coords[1]])
    Z: Sparse = sparse.csr_array((np.ones(entries.nnz), where), shape=(blocks.n, widths.size))
    rounds = rounds_of(Z.T @ (met @ Z), widths)
    J, layers = crossing.J, 1 + crossing.J + crossing.J * (crossing.J + 1) // 2
    if (3 + 2 * J) * rounds.steps**3 + ENTRY * layers * rounds.entries > most:
        return None
    return replace(crossing, order=order_of(rounds, widths, crossing.Y.shape[1]))


def _cost(labels: Places) -> float:
    """Return the sum of the cubes of the sizes of clusters."""
    return float((np.bincount(labels).astype(float) ** 3).sum())


def width_of(chart: Chart) -> int:
    """Count the effects that a term has for each outer level."""
    return 1 if chart.patterns is None else chart.patterns.shape[1]


def loading(term: Term, chart: Chart) -> tuple[Sparse, list[Sparse]]:
    """Return which effects of a term are in which row (n, q), and the derivatives (q, q) of their covariance."""
    there = np.flatnonzero(term.outer >= 0)
    width = width_of(chart)
    values, level = np.unique(term.outer[there], return_inverse=True)
    if term.Z is not None:
        columns = (level[:, None] * width + np.arange(width)).ravel()
        rows, entries = np.repeat(there, width), term.Z[there].ravel()
    else:
        inner = 0 if term.inner is None else term.inner[there]
        columns, rows, entries = level * width + inner, there, np.ones(there.size)
    Z = sparse.csr_array((entries, (rows, columns)), shape=(term.outer.size, values.size * width))
    between = sparse.eye_array(values.size) if term.known is None else term.known[np.ix_(values, values)]
    patterns = np.zeros((0, width, width)) if chart.patterns is None else chart.patterns
    return Z, [sparse.csr_array(sparse.kron(between, pattern)) for pattern in patterns]


def spread_out(blocks: Blocks, parts: Sequence[Floats]) -> Sparse:
    """Return blocks (B, m, m) as one sparse matrix (n, n)."""
    rows = [np.repeat(rows, rows.shape[1], axis=1).ravel() for rows in blocks.rows]
    columns = [np.tile(rows, (1, rows.shape[1])).ravel() for rows in blocks.rows]
    values = np.concatenate([part.ravel() for part in parts])
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array((values, where), shape=(blocks.n, blocks.n))


def crossed_sums(crossing: Crossing, u: Floats, counts: Floats | None, order: int) -> Sums:
    """Return the sums at u (R, J), one replicate after the other: each is large."""
    if counts is not None:
        raise ValueError("crossed effects are one cluster; counts have no meaning")
    one = _whole if crossing.order is None else _sparsely
    each = [one(crossing, row, order) for row in u]
    keys = ("log_det", "K", "bad", "trace", "first", "cross", "second")[: None if order else 3]
    return Sums(**{key: np.concatenate([getattr(part, key) for part in each]) for key in keys})


# ---------------------------------------------------------------- what both ways need


@dataclass(frozen=True, slots=True)
class Inside:
    """D^-1, log|D|, D^-1 Z, W = Z'D^-1 Z and Gamma at one u; Z may have columns after those of the effects.

    roots: (q,) of Gamma where it is diagonal, else None: then 1 + roots W roots is C on another scale, and symmetric.
    """

    A: Sparse
    log_det: float
    AZ: Sparse
    W: Sparse
    gamma: Sparse
    roots: Floats | None


def inside(crossing: Crossing, u: Floats, Z: Sparse) -> Inside | None:
    """Return what lies within blocks at u (J,), or None where D is not positive definite.

    Where Gamma is diagonal, a variance of 0 becomes one so small that it leaves every number as it is.
    """
    inverse = _local_inverse(crossing, u)
    if inverse is None:
        return None
    A, log_det = inverse
    AZ = A @ Z
    gamma: Sparse = sum((u[j] * S for j, S in crossing.gammas), start=sparse.csr_array((crossing.q, crossing.q)))
    spread, roots = gamma.diagonal(), None
    if np.abs(gamma).sum() == np.abs(spread).sum() and (spread >= 0).all():
        spread = np.maximum(spread, NEAR_0)
        gamma, roots = sparse.csr_array(sparse.diags_array(spread)), np.sqrt(spread)
    return Inside(A, log_det, AZ, sparse.csr_array(Z.T @ AZ), gamma, roots)


def _local_inverse(crossing: Crossing, u: Floats) -> tuple[Sparse, float] | None:
    """Return D^-1 and log|D|, None where D is not positive definite."""
    D = list(crossing.V.parts)
    for local in crossing.locals:
        D = [part + u[local.number] * more for part, more in zip(D, local.parts, strict=True)]
    try:
        roots = [np.linalg.cholesky(part) for part in D]
    except np.linalg.LinAlgError:
        return None
    log_det = sum(2 * float(np.log(np.diagonal(root, axis1=1, axis2=2)).sum()) for root in roots)
    return spread_out(crossing.V.blocks, [np.asarray(np.linalg.inv(part), dtype=float) for part in D]), log_det


def _derivatives(crossing: Crossing, at: Inside, more: int) -> tuple[list[Sparse], dict[tuple[int, int], Sparse]]:
    """Return dC_j and, for j <= k, d2C_jk where it is not zero; more: columns of Z after those of the effects.

    C = E + Gamma W, dW_k = -Z'A S_k A Z, d2W_ik = Z'A S_i A S_k A Z and its transpose: the parameters are those of
    Gamma or those of D.
    """
    keep = sparse.eye_array(more)
    gamma = sparse.csr_array(sparse.block_diag([at.gamma, keep])) if more else at.gamma
    first: list[Sparse] = [None] * crossing.J
    second: dict[tuple[int, int], Sparse] = {}
    wide = [(j, _padded(S, more)) for j, S in crossing.gammas]
    for j, S in wide:
        first[j] = S @ at.W
    held: list[tuple[int, Sparse]] = [(one.number, one.S @ at.AZ) for one in crossing.locals]
    for place, (k, SAZ) in enumerate(held):
        bent = -(at.AZ.T @ SAZ)
        first[k] = gamma @ bent
        for j, S in wide:
            second[min(j, k), max(j, k)] = S @ bent
        for i, other in held[: place + 1]:
            both = other.T @ (at.A @ SAZ)
            second[min(i, k), max(i, k)] = gamma @ (both + both.T)
    return first, second


def _padded(S: Sparse, more: int) -> Sparse:
    """Add empty rows and columns."""
    return sparse.csr_array(sparse.block_diag([S, sparse.csr_array((more, more))])) if more else S


def _own_traces(crossing: Crossing, A: Sparse) -> tuple[Floats, Floats]:
    """Return tr(A S_j) and tr(A S_j A S_k) of the parameters within blocks, 0 for others."""
    trace, cross = np.zeros(crossing.J), np.zeros((crossing.J, crossing.J))
    turned = [(one.number, A @ one.S) for one in crossing.locals]
    for k, AS in turned:
        trace[k] = AS.trace()
        for i, other in turned:
            cross[k, i] = AS.multiply(other.T).sum()
    return trace, cross


def _nothing(crossing: Crossing, order: int) -> Sums:
    """Return the sums of an M that is not positive definite."""
    Q, J = crossing.Y.shape[1], crossing.J
    none = np.zeros((1, J)), np.zeros((1, J, Q, Q)), np.zeros((1, J, J)), np.zeros((1, J, J, Q, Q))
    return Sums(np.zeros(1), np.zeros((1, Q, Q)), np.ones(1, dtype=bool), *(none if order else ()))


# ---------------------------------------------------------------- sparse


def _sparsely(crossing: Crossing, u: Floats, order: int) -> Sums:
    """Return the sums at one u (J,) by elimination in an order."""
    plan, Q, J = crossing.order, crossing.Y.shape[1], crossing.J
    at = inside(crossing, u, sparse.csr_array(cast("Any", sparse.hstack)([crossing.Z, sparse.csr_array(crossing.Y)])))
    if at is None or plan is None:
        return _nothing(crossing, order)
    ones = sparse.diags_array(np.repeat([1.0, 0.0], [crossing.q, Q]))
    gamma = sparse.csr_array(sparse.block_diag([at.gamma, sparse.eye_array(Q)]))
    layers = np.zeros((len(layers_of(J)) if order else 1, plan.size))
    layers[0] = plan.laid_out(ones + gamma @ at.W)
    if order:
        first, second = _derivatives(crossing, at, Q)
        for place, layer in enumerate(layers_of(J)[1:], start=1):
            matrix = first[layer[0]] if len(layer) == 1 else second.get((layer[0], layer[1]))
            if matrix is not None:
                layers[place] = plan.laid_out(matrix)
    done = eliminated(plan, layers, J if order else 0, at.roots)
    if not done.good:
        return _nothing(crossing, order)
    border = 0.5 * (done.border + done.border.swapaxes(1, 2))
    sums = Sums(np.array([at.log_det + done.log_det]), border[:1], np.zeros(1, dtype=bool))
    if not order:
        return sums
    trace, cross = _own_traces(crossing, at.A)
    bent = np.zeros((J, J, Q, Q))
    for layer, (j, k) in zip(border[1 + J :], pairs_of(J), strict=True):
        bent[j, k] = bent[k, j] = 0.5 * layer
    trace, cross = trace + done.slope, cross - done.curvature
    return Sums(sums.log_det, sums.K, sums.bad, trace[None], -border[None, 1 : 1 + J], cross[None], bent[None])


def layers_of(J: int) -> list[tuple[int, ...]]:
    """List what the layers of numbers are derivatives in: nothing, one parameter, two parameters."""
    return [(), *((j,) for j in range(J)), *pairs_of(J)]


# ---------------------------------------------------------------- whole


@dataclass(frozen=True, slots=True)
class _Solved:
    """What one u needs again and again: what lies within blocks, and K = C^-1."""

    at: Inside
    K: Floats

    def solve(self, columns: Floats) -> Floats:
        """Return M^-1 times columns (n, c)."""
        return self.at.A @ columns - self.at.AZ @ (self.K @ (self.at.gamma @ (self.at.AZ.T @ columns)))


def _whole(crossing: Crossing, u: Floats, order: int) -> Sums:
    """Return the sums at one u (J,) with a whole inverse of C."""
    at = inside(crossing, u, crossing.Z)
    if at is None:
        return _nothing(crossing, order)
    if not order:
        more, K = _outer_forms(crossing, at)
        K = 0.5 * (K + K.T)
        return Sums(np.array([at.log_det + more]), K[None], np.array([not np.isfinite(more)]))
    more, inverse = _inverse(at)
    if inverse is None:
        return _nothing(crossing, order)
    solved = _Solved(at, inverse)
    a = solved.solve(crossing.Y)
    K = crossing.Y.T @ a
    out = Sums(np.array([at.log_det + more]), 0.5 * (K + K.T)[None], np.zeros(1, dtype=bool))
    return _slopes(crossing, solved, a, out)


def inverse_of(crossing: Crossing, u: Floats) -> tuple[Sparse, Sparse, Floats]:
    """Return A, AZ and the symmetric T of M^-1 = A - AZ T (AZ)' at u (J,), where M is positive definite."""
    at = inside(crossing, u, crossing.Z)
    T = None
    if at is not None and at.roots is not None:  # in place: it may be large
        T = symmetric_inverse(_symmetric(at, at.roots))[1]
        if T is not None:
            T *= at.roots[:, None]
            T *= at.roots
    elif at is not None:
        inverse = _inverse(at)[1]
        if inverse is not None:
            T = np.asarray((at.gamma.T @ inverse.T).T, dtype=float)
            T = 0.5 * (T + T.T)
    if at is None or T is None:
        raise ValueError("the matrix is not positive definite")
    return at.A, at.AZ, T


def _symmetric(at: Inside, roots: Floats) -> Floats:
    """Return 1 + s W s with s the roots of Gamma."""
    scale: Sparse = sparse.diags_array(roots)
    H = np.asarray((scale @ at.W @ scale).toarray(order="F"))
    H[np.diag_indices_from(H)] += 1
    return H


def _outer_forms(crossing: Crossing, at: Inside) -> tuple[float, Floats]:
    """Return log|C| and Y'M^-1 Y without an inverse; nan where C has a determinant that is not positive."""
    AY = at.A @ crossing.Y
    right = at.AZ.T @ crossing.Y
    if at.roots is None:
        C: Floats = np.eye(crossing.q) + (at.gamma @ at.W).toarray()
        sign, log_det = np.linalg.slogdet(C)
        inner: Any = cast("Any", np.linalg).solve(C, at.gamma @ right) if sign > 0 else np.zeros_like(right)
        return float(log_det) if sign > 0 else np.nan, crossing.Y.T @ AY - right.T @ inner
    root, info = lapack.dpotrf(_symmetric(at, at.roots), lower=1, overwrite_a=1, clean=0)
    if info:
        return np.nan, crossing.Y.T @ AY
    half = lapack.dtrtrs(root, at.roots[:, None] * right, lower=1)[0]
    return 2 * float(np.log(np.diagonal(root)).sum()), crossing.Y.T @ AY - half.T @ half


def _inverse(at: Inside) -> tuple[float, Floats | None]:
    """Return log|C| and K = C^-1, None where C has a determinant that is not positive."""
    if at.roots is None:
        C: Floats = np.eye(at.W.shape[0]) + (at.gamma @ at.W).toarray()
        sign, log_det = np.linalg.slogdet(C)
        return (float(log_det), np.asarray(np.linalg.inv(C), dtype=float)) if sign > 0 else (np.nan, None)
    log_det, K = symmetric_inverse(_symmetric(at, at.roots))
    if K is not None:
        K *= at.roots[:, None]
        K /= at.roots
    return log_det, K


def _slopes(crossing: Crossing, solved: _Solved, a: Floats, sums: Sums) -> Sums:
    """Add what the derivatives are made of; a = M^-1 Y."""
    J, Q = crossing.J, crossing.Y.shape[1]
    b = np.zeros((J, *a.shape))
    for local in crossing.locals:
        b[local.number] = local.S @ a
    Za = crossing.Z.T @ a
    for j, S in crossing.gammas:
        b[j] = crossing.Z @ (S @ Za)
    first = np.einsum("nq,jnp->jqp", a, b)
    wide = b.transpose(1, 0, 2).reshape(a.shape[0], J * Q)
    second = (wide.T @ solved.solve(wide)).reshape(J, Q, J, Q).transpose(0, 2, 1, 3)
    trace, cross = _traces(crossing, solved)
    return Sums(sums.log_det, sums.K, sums.bad, trace[None], first[None], cross[None], second[None])


def _rows(matrix: Sparse) -> Sparse:
    """Return a sparse matrix by its rows."""
    return sparse.csr_array(matrix)


def _traces(crossing: Crossing, solved: _Solved) -> tuple[Floats, Floats]:
    """Return tr(M^-1 S_j) and tr(M^-1 S_j M^-1 S_k), the slope of log|M| and less its curvature.

    Where K is large no product with it is held whole, and each is computed twice: by rows and by columns.
    """
    trace, cross = _own_traces(crossing, solved.at.A)
    first, second = _derivatives(crossing, solved.at, 0)
    trace += [_trace_of(matrix, solved.K) for matrix in first]
    for (j, k), matrix in second.items():
        cross[j, k] -= _trace_of(matrix, solved.K)
    turned, whole = [_rows(matrix.T) for matrix in first], solved.K.T
    held: list[Floats] = [np.asarray(part @ whole) for part in turned] if len(whole) <= HELD else []  # (K dC_j)'
    for start in range(0, len(whole), STRIP):
        strip = slice(start, start + STRIP)
        one: list[Floats] = [part[strip] for part in held]
        two: list[Floats] = [part[:, strip] for part in held]
        if not held:
            side = np.ascontiguousarray(whole[:, strip])
            one = [np.asarray(_rows(part[strip]) @ whole) for part in turned]
            two = [np.asarray(part @ side) for part in turned]
        for j, k in pairs_of(crossing.J):
            cross[j, k] += float(np.vdot(one[j], two[k].T))
    for j, k in pairs_of(crossing.J):
        cross[k, j] = cross[j, k]
    return trace, cross


def _trace_of(matrix: Sparse, K: Floats) -> float:
    """Return tr(K matrix)."""
    entries: Any = sparse.coo_array(matrix)
    return float(K[entries.coords[1], entries.coords[0]] @ entries.data)
