"""Sums for crossed effects, whose clusters are as large as the table: M = D + Z Gamma Z', D in small blocks.

Terms that link clusters are taken out of the blocks. With A = D^-1, W = Z'AZ and T = Gamma (I + W Gamma)^-1,
M^-1 = A - AZ T Z'A and log|M| = log|D| + log|I + W Gamma| (Woodbury 1950): the cost grows with the levels of what was
taken out, and with the blocks of the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from metaback.stats.blocks import BlockMatrix, Blocks
from metaback.stats.mixed.likelihood import Sums
from metaback.stats.mixed.records import Floats, Places, Term
from metaback.stats.mixed.structures import Chart

Sparse = Any  # scipy's sparse matrices have no types
WORTH = 3.0  # how many times cheaper taking terms out must be
SMALL = 1e6  # operations of whole blocks below which nothing is gained


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
    parameter and derivative (n, n) within blocks; J: number of all parameters.
    """

    V: BlockMatrix
    Y: Floats
    Z: Sparse
    gammas: tuple[tuple[int, Sparse], ...]
    locals: tuple[Local, ...]
    J: int


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
            levels = sum(np.unique(terms[t].outer).size * _width(charts[t]) for t in out)
            cost = float(levels) ** 3 + _cost(clusters([term for t, term in enumerate(terms) if t not in out]))
            if cost < least:
                best, least = out, cost
    return best


def _cost(labels: Places) -> float:
    """Return the sum of the cubes of the sizes of clusters."""
    return float((np.bincount(labels).astype(float) ** 3).sum())


def _width(chart: Chart) -> int:
    """Count the effects that a term has for each outer level."""
    return 1 if chart.patterns is None else chart.patterns.shape[1]


def loading(term: Term, chart: Chart) -> tuple[Sparse, list[Sparse]]:
    """Return which effects of a term are in which row (n, q), and the derivatives (q, q) of their covariance."""
    there = np.flatnonzero(term.outer >= 0)
    width = _width(chart)
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
    each = [_one(crossing, row, order) for row in u]
    keys = ("log_det", "K", "bad", "trace", "first", "cross", "second")[: None if order else 3]
    return Sums(**{key: np.concatenate([getattr(one, key) for one in each]) for key in keys})


@dataclass(frozen=True, slots=True)
class _Solved:
    """What one u needs again and again: A, AZ, W = Z'AZ and T."""

    A: Sparse
    AZ: Sparse
    W: Floats
    T: Floats

    def solve(self, columns: Floats) -> Floats:
        """Return M^-1 times columns (n, c)."""
        return self.A @ columns - self.AZ @ (self.T @ (self.AZ.T @ columns))


def _one(crossing: Crossing, u: Floats, order: int) -> Sums:
    """Return the sums at one u (J,)."""
    Q, J = crossing.Y.shape[1], crossing.J
    inverse = _local_inverse(crossing, u)
    if inverse is None:
        nothing = np.zeros((1, J)), np.zeros((1, J, Q, Q)), np.zeros((1, J, J)), np.zeros((1, J, J, Q, Q))
        return Sums(np.zeros(1), np.zeros((1, Q, Q)), np.ones(1, dtype=bool), *(nothing if order else ()))
    A, log_det = inverse
    AZ = A @ crossing.Z
    W = np.asarray((crossing.Z.T @ AZ).toarray())
    gamma: Sparse = sum((u[j] * S for j, S in crossing.gammas), start=sparse.csr_array(W.shape))
    system = np.eye(W.shape[0]) + W @ gamma
    sign, more = np.linalg.slogdet(system)
    T: Floats = np.asarray(gamma @ np.linalg.inv(system), dtype=float)
    solved = _Solved(A, AZ, W, 0.5 * (T + T.T))
    a = solved.solve(crossing.Y)
    K = crossing.Y.T @ a
    out = Sums(np.array([log_det + more]), 0.5 * (K + K.T)[None], np.array([sign <= 0]))
    return _slopes(crossing, solved, a, out) if order else out


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


def _traces(crossing: Crossing, solved: _Solved) -> tuple[Floats, Floats]:
    """Return tr(M^-1 S_j) and tr(M^-1 S_j M^-1 S_k)."""
    J, T = crossing.J, solved.T
    trace, cross = np.zeros(J), np.zeros((J, J))
    E = np.eye(T.shape[0]) - T @ solved.W
    N = solved.W @ E
    turned = [(j, np.asarray((S.T @ N.T).T)) for j, S in crossing.gammas]  # N Gamma_j
    for j, NS in turned:
        trace[j] = np.trace(NS)
        for i, other in turned:
            cross[j, i] = np.einsum("ab,ba->", NS, other)
    for one in crossing.locals:
        k, AS, SAZ = one.number, solved.A @ one.S, one.S @ solved.AZ
        W = np.asarray((solved.AZ.T @ SAZ).toarray())
        trace[k] = AS.trace() - np.einsum("ab,ba->", T, W)
        held = E.T @ W @ E
        for j, S in crossing.gammas:
            cross[j, k] = cross[k, j] = S.multiply(held.T).sum()
        for two in crossing.locals:
            i, other = two.number, two.S @ solved.AZ
            both = np.asarray((SAZ.T @ (solved.A @ other)).toarray())
            cross[k, i] = AS.multiply((solved.A @ two.S).T).sum() - 2 * np.einsum("ab,ba->", T, both)
            cross[k, i] += np.einsum("ab,ba->", T @ W, T @ np.asarray((solved.AZ.T @ other).toarray()))
    return trace, 0.5 * (cross + cross.T)
