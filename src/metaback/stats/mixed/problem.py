"""Lay out a model of dependent effects for its kernels: scaled, centred, and grouped by size of cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
from scipy import sparse

from metaback.stats.blocks import BlockMatrix, Blocks, blocks_of, linked, on_diagonal, regrouped
from metaback.stats.mixed.blockwise import Curve, Group, group_of, sums_of
from metaback.stats.mixed.crossed import (
    Crossing,
    Local,
    crossed_sums,
    loading,
    operations,
    ordered,
    shared_terms,
    spread_out,
    taken_out,
    too_quick,
    width_of,
)
from metaback.stats.mixed.likelihood import Slope, Sums, slope
from metaback.stats.mixed.nested import nest_of, nested_sums
from metaback.stats.mixed.records import Bools, Floats, Places, Term
from metaback.stats.mixed.room import check_room
from metaback.stats.mixed.structures import CURVES, Chart, chart_of, unchanged

LARGE = 40  # rows of a block beyond which its algebra is the cost of a likelihood
WHOLE = (
    "This model",
    "Take random intercepts or factors, whose levels are taken out of the matrix, or a V that links fewer rows.",
)
WEIGHTED = (
    "Leaving out or weighting clusters",
    "Leave rows out of the table and fit it anew, or fit a model whose random effects link fewer rows.",
)
HEAVY = 2e6  # sum of the cubes of the sizes of large blocks from which a likelihood takes long


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows in orthonormal columns and a unit of their own: y = unit (y_ + shift of the columns), V = unit^2 V_.

    Y: (n, p + 1) orthonormal columns and centred y; basis: (p, p) R of X = QR; shift: (p,) coefficients of Q that were
    taken off y, in its unit.
    """

    Y: Floats
    basis: Floats
    shift: Floats
    unit: float


@dataclass(frozen=True, slots=True)
class Parts:
    """The parameters of all terms: their charts, where each begins, and its places among those of blocks.

    Linear parameters of blocks come first, then a pair (variance, range) for every curve. plain: whether they are what
    is searched, in its order.
    """

    charts: tuple[Chart, ...]
    starts: tuple[int, ...]
    places: tuple[Places, ...]
    q: int
    J: int
    plain: bool


Kernel = Callable[[Floats, Floats | None, int], Sums]


@dataclass(frozen=True, slots=True)
class Problem:
    """All that a climb needs; labels: (n,) cluster of each row, sizes: (B,) rows of each cluster.

    choose: where there are several V, from the number of that of each replicate to the kernel of these replicates.
    """

    frame: Frame
    parts: Parts
    kernel: Kernel
    labels: Places
    sizes: Places
    terms: tuple[Term, ...]
    heavy: bool = False
    choose: Callable[[Places], Kernel] | None = None

    def under(self, which: Places | None) -> Problem:
        """Return the problem whose replicates have the V that which (R,) names; None: there is one V for all."""
        return self if which is None or self.choose is None else replace(self, kernel=self.choose(which))


def clusters_of(V: BlockMatrix, terms: Sequence[Term]) -> Places:
    """Return the cluster (n,) of each row: rows of different clusters are independent.

    Clusters are numbered in the order of their first rows; they are the connected parts of the graph of rows that
    share a block of V or a level of the outer factor of a term. Known correlations link levels.

    >>> from metaback.stats.blocks import diagonal
    >>> V = diagonal(blocks_of(np.arange(3)), np.ones(3))
    >>> clusters_of(V, [Term("ID0", np.array([0, 1, 0]))]).tolist()
    [0, 1, 0]
    """
    groupings = [] if all(rows.shape[1] == 1 for rows in V.blocks.rows) else [_labels(V.blocks)]
    groupings += [term.outer if term.known is None else _related(term) for term in terms]
    return linked(V.blocks.n, groupings)


def _labels(blocks: Blocks) -> Places:
    """Return the number (n,) of the block of each row."""
    labels = np.empty(blocks.n, dtype=np.intp)
    for rows, number in zip(blocks.rows, blocks.number, strict=True):
        labels[rows] = number[:, None]
    return labels


def _related(term: Term) -> Places:
    """Return the group (n,) of outer levels that known correlations link."""
    known = np.asarray(term.known)
    i, j = np.nonzero(known)
    edges = np.concatenate([i, j])
    levels = linked(edges.size, [edges, np.concatenate([np.arange(i.size), np.arange(i.size)])])
    group = np.full(known.shape[0], -1, dtype=np.intp)
    group[edges] = levels
    return np.where(term.outer >= 0, group[term.outer], -1)


def frame_of(y: Floats, X: Floats, V: BlockMatrix) -> Frame:
    """Return y, X and the unit in which the numbers of the search are near 1.

    The unit is a power of 2 near the root of the median sampling variance, so that scaling rounds nothing.
    """
    v = on_diagonal(V)
    known = v if v.min(initial=1.0) > 0 else v[v > 0]
    middle = float(np.partition(known, known.size // 2)[known.size // 2]) if known.size else float(np.var(y)) or 1.0
    unit = 2.0 ** round(0.5 * np.log2(middle))
    Q, basis = _orthonormal(X)
    weighted = Q / np.maximum(v / unit**2, 1e-12)[:, None]
    scaled = y / unit
    shift: Floats = np.asarray(np.zeros(basis.shape[0]), dtype=float)
    forms = weighted.T @ Q
    root: Floats = 1 / forms if basis.shape == (1, 1) else np.asarray(np.linalg.pinv(forms), dtype=float)
    for _ in range(3):  # each round takes off what the rounding of the one before left
        shift = np.asarray(shift + root @ (weighted.T @ (scaled - Q @ shift)), dtype=float)
    return Frame(np.concatenate([Q, (scaled - Q @ shift)[:, None]], axis=1), basis, shift, unit)


def _orthonormal(X: Floats) -> tuple[Floats, Floats]:
    """Return Q (n, p) and R (p, p) of X = QR; a column alone needs no more than its length."""
    if X.shape[1] != 1:
        return np.linalg.qr(X)
    length = np.sqrt(X.T @ X)
    return X / length, length


def parts_of(terms: Sequence[Term]) -> Parts:
    """Return the charts of the terms and the order of their parameters."""
    charts = tuple(chart_of(term) for term in terms)
    sizes = [len(chart.kinds) for chart in charts]
    starts = tuple(np.concatenate([[0], np.cumsum(sizes)]).astype(int).tolist())
    linear = [0 if chart.patterns is None else chart.patterns.shape[0] for chart in charts]
    at, bent = 0, sum(linear)
    places: list[Places] = []
    for count in linear:
        places.append(np.arange(at, at + count) if count else np.arange(bent, bent + 2))
        at, bent = (at + count, bent) if count else (at, bent + 2)
    plain = all(chart.u is unchanged for chart in charts) and np.concatenate([np.arange(0), *places]).tolist() == list(
        range(bent)
    )
    return Parts(charts, starts[:-1], tuple(places), starts[-1], bent, plain)


def patterns_of(term: Term, chart: Chart, rows: Places) -> Floats:
    """Return the constant derivatives (J, B, m, m) of the linear parameters of a term in blocks of rows (B, m)."""
    if chart.patterns is None:
        return np.zeros((0, *rows.shape, rows.shape[1]))
    same = shared(term, rows)
    if term.Z is not None:
        z = term.Z[rows]
        return np.einsum("bmi,jik,bnk->jbmn", z, chart.patterns, z) * same
    if term.inner is None:
        return same[None] * np.ones((chart.patterns.shape[0], 1, 1, 1))
    inner = np.maximum(term.inner[rows], 0)
    return chart.patterns[:, inner[:, :, None], inner[:, None, :]] * same


def shared(term: Term, rows: Places) -> Floats:
    """Return how much of the outer factor two rows share (B, m, m): 1 for one level, or the known correlation."""
    outer = term.outer[rows]
    there = outer >= 0
    both = there[:, :, None] & there[:, None, :]
    if term.known is not None:
        return np.where(both, term.known[outer[:, :, None], outer[:, None, :]], 0.0)
    return (both & (outer[:, :, None] == outer[:, None, :])).astype(float)


def distances_of(term: Term, rows: Places) -> Floats:
    """Return distances (B, m, m), nan between rows that do not share a level of the outer factor."""
    if term.structure == "AR":
        if term.inner is None:
            raise ValueError("structure AR needs an inner factor")
        at = term.inner[rows][..., None].astype(float)
    elif term.position is None:
        raise ValueError(f"structure {term.structure} needs positions")
    else:
        at = term.position[rows]
    d = np.sqrt(((at[:, :, None] - at[:, None, :]) ** 2).sum(axis=3))
    return np.where(shared(term, rows) > 0, d, np.nan)


def groups_of(
    frame: Frame, Vs: Sequence[BlockMatrix], terms: Sequence[Term], parts: Parts, blocks: Blocks
) -> list[Group]:
    """Return the blocks by size, with all that the terms add, under each of K sampling covariances."""
    groups: list[Group] = []
    wide = [regrouped(V, blocks).parts for V in Vs]
    for rows, *values in zip(blocks.rows, *wide, strict=True):
        S = [patterns_of(term, chart, rows) for term, chart in zip(terms, parts.charts, strict=True)]
        curves: list[Curve] = [CURVES[t.structure] for t in terms if t.structure in CURVES]
        far = [distances_of(t, rows) for t in terms if t.structure in CURVES]
        stack = np.concatenate(S) if S else np.zeros((0, *rows.shape, rows.shape[1]))
        groups.append(group_of(np.stack(values) / frame.unit**2, frame.Y[rows], stack, curves, far))
    return groups


def blockwise_kernel(groups: Sequence[Group], blocks: Blocks, which: Places | None = None) -> Kernel:
    """Return the sums over all groups as one function of parameters, counts of blocks and order.

    which: (R,) number of the V of each replicate; None is the first for all.
    """

    def kernel(u: Floats, counts: Floats | None, order: int) -> Sums:
        out: Sums | None = None
        for group, number in zip(groups, blocks.number, strict=True):
            one = sums_of(group, u, None if counts is None else counts[:, number], order=order, which=which)
            out = one if out is None else out.plus(one)
        if out is None:
            raise ValueError("there are no rows")
        return out

    return kernel


def problem_of(y: Floats, X: Floats, V: BlockMatrix, terms: Sequence[Term], *, weighted: bool = False) -> Problem:
    """Return the model laid out; the kernel is chosen by what the terms and V are made of.

    weighted: whether clusters will be weighted by counts.
    """
    frame, parts = frame_of(y, X, V), parts_of(terms)
    labels = clusters_of(V, terms)
    nest = nest_of(frame.Y, V, terms, labels)
    if nest is not None:
        nest = replace(nest, v=nest.v / frame.unit**2)
        return Problem(frame, parts, partial(nested_sums, nest), labels, np.bincount(labels), tuple(terms))
    crossing = None if weighted else _taken_out(frame, V, terms, parts)
    if crossing is not None:
        kernel: Kernel = partial(crossed_sums, crossing)
        return Problem(frame, parts, kernel, labels, np.bincount(labels), tuple(terms), heavy=True)
    sizes = np.bincount(labels)
    check_room(sizes, 7 + 6 * parts.J, *(WEIGHTED if weighted else WHOLE))
    blocks = blocks_of(labels)
    kernel = blockwise_kernel(groups_of(frame, [V], terms, parts, blocks), blocks)
    heavy = float((sizes[sizes > LARGE].astype(float) ** 3).sum()) > HEAVY
    return Problem(frame, parts, kernel, labels, sizes, tuple(terms), heavy=heavy)


def problem_of_many(y: Floats, X: Floats, Vs: Sequence[BlockMatrix], terms: Sequence[Term]) -> Problem | None:
    """Return the model laid out under several V of the same variances, or None where it is not one of small blocks.

    Its replicates choose their V by `Problem.under`. The frame is that of any of the V: it rests on variances alone.
    """
    labels = linked(y.size, [clusters_of(V, terms) for V in Vs])
    sizes = np.bincount(labels)
    heavy = float((sizes[sizes > LARGE].astype(float) ** 3).sum()) > HEAVY
    parts = parts_of(terms)
    if heavy or taken_out(terms, parts.charts, lambda rest: linked(y.size, [clusters_of(V, rest) for V in Vs])):
        return None
    blocks, frame = blocks_of(labels), frame_of(y, X, Vs[0])
    choose = partial(blockwise_kernel, groups_of(frame, Vs, terms, parts, blocks), blocks)
    first = choose(np.zeros(1, dtype=np.intp))
    return Problem(frame, parts, first, labels, sizes, tuple(terms), choose=choose)


def _taken_out(frame: Frame, V: BlockMatrix, terms: Sequence[Term], parts: Parts) -> Crossing | None:
    """Return the model with terms taken out of the blocks in the cheapest way, None where whole blocks are cheapest."""
    out = taken_out(terms, parts.charts, partial(clusters_of, V))
    labels = clusters_of(V, [term for t, term in enumerate(terms) if t not in out])
    cost = operations(terms, parts.charts, out, labels, parts.J)
    shared = shared_terms(terms, parts.charts)
    if not too_quick(cost) and len(shared) > 1:
        crossing = crossing_of(frame, V, terms, parts, shared)
        loads = [loading(terms[t], parts.charts[t]) for t in shared]
        wide = [width_of(parts.charts[t]) for t in shared]
        widths = np.concatenate([np.full(Z.shape[1] // w, w) for (Z, _), w in zip(loads, wide, strict=True)])
        found = ordered(crossing, widths, cost)
        if found is not None:
            return found
    return crossing_of(frame, V, terms, parts, out) if out else None


def crossing_of(frame: Frame, V: BlockMatrix, terms: Sequence[Term], parts: Parts, out: tuple[int, ...]) -> Crossing:
    """Return the model with some of its terms taken out of the blocks."""
    rest = [term for t, term in enumerate(terms) if t not in out]
    blocks = blocks_of(clusters_of(V, rest))
    wide = regrouped(V, blocks)
    scaled = BlockMatrix(blocks, tuple(part / frame.unit**2 for part in wide.parts))
    loads = [loading(terms[t], parts.charts[t]) for t in out]
    q = [Z.shape[1] for Z, _ in loads]
    gammas: list[tuple[int, Any]] = []
    for place, (t, (_, derivatives)) in enumerate(zip(out, loads, strict=True)):
        before, after = sum(q[:place]), sum(q[place + 1 :])
        for j, S in zip(parts.places[t].tolist(), derivatives, strict=True):
            around = [sparse.csr_array((size, size)) for size in (before, after)]
            gammas.append((j, sparse.csr_array(sparse.block_diag([around[0], S, around[1]]))))
    local: list[Local] = []
    for t, term in enumerate(terms):
        if t not in out:
            stacks = [patterns_of(term, parts.charts[t], rows) for rows in blocks.rows]
            for i, j in enumerate(parts.places[t].tolist()):
                own = tuple(stack[i] for stack in stacks)
                local.append(Local(j, own, spread_out(blocks, own)))
    Z: Any = sparse.csr_array(cast("Any", sparse.hstack)([load for load, _ in loads]))
    return Crossing(scaled, frame.Y, Z, tuple(gammas), tuple(local), parts.J)


def to_blocks(parts: Parts, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the parameters of blocks u (R, J) at x (R, q), and their first and second derivatives."""
    R = x.shape[0]
    u, first, second = np.zeros((R, parts.J)), np.zeros((R, parts.J, parts.q)), np.zeros((R, parts.J, parts.q, parts.q))
    for chart, start, places in zip(parts.charts, parts.starts, parts.places, strict=True):
        own = slice(start, start + len(chart.kinds))
        value, slopes, bends = chart.u(x[:, own])
        u[:, places] = value
        first[:, places, own] = slopes
        second[:, places, own, own] = bends
    return u, first, second


def allowed(parts: Parts, x: Floats) -> Bools:
    """Tell for which x (R, q) all correlations can be those of a matrix."""
    good: Bools = np.asarray(np.isfinite(x).all(axis=1))
    if parts.plain:
        return good
    for chart, start in zip(parts.charts, parts.starts, strict=True):
        if chart.allowed is not None:
            good &= chart.allowed(x[:, start : start + len(chart.kinds)])
    return good


def sums_at(problem: Problem, x: Floats, counts: Floats | None, order: int) -> Sums:
    """Return the sums at x (R, q)."""
    if problem.parts.plain:
        return problem.kernel(x, counts, order)
    return problem.kernel(to_blocks(problem.parts, x)[0], counts, order)


def slope_at(problem: Problem, x: Floats, counts: Floats | None, *, reml: bool) -> Slope:
    """Return the criterion at x (R, q) with its derivatives in x."""
    if problem.parts.plain:
        return slope(problem.kernel(x, counts, 2), reml=reml)
    u, first, second = to_blocks(problem.parts, x)
    at = slope(problem.kernel(u, counts, 2), reml=reml)
    value = np.where(allowed(problem.parts, x), at.value, -np.inf)
    return at.along(value, first, second)
