"""In which order crossed effects are eliminated so that little fills, and where each number stands meanwhile.

Effects that few others meet are eliminated first, many at a time, none of which meet each other (Liu 1985: multiple
minimum degree). What is left when eliminating singly costs more than a whole matrix is the core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from metaback.stats.mixed.records import Bools, Floats, Places

Sparse = Any  # scipy's sparse matrices have no types
SHARE = 0.1  # of the effects left that one effect meets, from which a whole matrix of those left is cheaper
SMALL = 48  # effects left that are not worth an order
SLACK = 1.25  # degree, relative to the lowest, of the effects that are eliminated together
PIECE = 400_000  # numbers of the largest array of one layer of a step
TIMES = 2  # looks for effects that do not meet those already chosen


@dataclass(frozen=True, slots=True)
class Front:
    """Effects that are eliminated together, each a pivot of `width` rows with the rows it meets.

    pivots: (g, width) their rows; meets: (g, m) the rows that each meets; places: (g, s, s) where the matrix of pivot
    and meeting rows stands; into: (u,) places that the update changes; spread: (u, g m m) how it adds up there.
    """

    pivots: Places
    meets: Places
    places: Places
    into: Places
    spread: Sparse


@dataclass(frozen=True, slots=True)
class Order:
    """The whole elimination of a matrix of `rows` rows, of which the last `border` are kept.

    keys: row * rows + column of the numbers outside the core, rising; core: (c,) rows of the core with the border
    last; place: (rows,) their places there, -1 for others. Numbers stand in the order of the keys, then the core.
    """

    rows: int
    border: int
    keys: Places
    core: Places
    place: Places
    fronts: tuple[Front, ...]

    @property
    def size(self) -> int:
        """Count the numbers of one layer."""
        return self.keys.size + self.core.size**2

    def where(self, i: Places, j: Places) -> Places:
        """Return where entries (i, j) stand."""
        a, b = self.place[i], self.place[j]
        inside = (a >= 0) & (b >= 0)
        outside = np.searchsorted(self.keys, i * self.rows + j)
        return np.where(inside, self.keys.size + a * self.core.size + b, outside)

    def laid_out(self, matrix: Sparse) -> Floats:
        """Return the numbers (size,) of a sparse matrix."""
        entries: Any = sparse.coo_array(matrix)
        i, j = (np.asarray(part, dtype=np.intp) for part in entries.coords)
        return np.asarray(np.bincount(self.where(i, j), weights=entries.data, minlength=self.size), dtype=float)


@dataclass(frozen=True, slots=True)
class _Round:
    """Nodes eliminated in one round, and the graph (CSR) of what each meets."""

    nodes: Places
    meets: Sparse


@dataclass(frozen=True, slots=True)
class Rounds:
    """Which nodes go in which order: rounds, the core that is left, and what both cost per layer of numbers."""

    rounds: tuple[_Round, ...]
    core: Places
    entries: float
    steps: float


def rounds_of(graph: Sparse, widths: Places) -> Rounds:
    """Return the rounds of elimination of a symmetric graph of nodes, each of which stands for `widths` (k,) rows.

    graph: (k, k), a number wherever two nodes meet. entries: rows squared of all fronts; steps: rows of the core.

    >>> chain = sparse.diags_array([np.ones(199), np.ones(199)], offsets=[-1, 1])
    >>> found = rounds_of(chain, np.ones(200, dtype=np.intp))
    >>> len(found.rounds) > 0, found.core.size <= SMALL
    (True, True)
    """
    names = np.arange(widths.size, dtype=np.intp)
    left: Sparse = _pattern(graph)
    rounds: list[_Round] = []
    entries = 0.0
    while True:
        rows = widths[names]
        degree = np.asarray(left @ rows.astype(float))
        if rows.sum() <= SMALL or degree.min() > SHARE * rows.sum():
            break
        chosen = _apart(left, degree, SHARE * float(rows.sum()))
        kept = ~chosen
        out, rest = np.flatnonzero(chosen), np.flatnonzero(kept)
        across: Sparse = left[out][:, rest]
        rounds.append(_Round(names[out], _named(across, names[rest], widths.size)))
        entries += float(((degree[out] + rows[out]) ** 2).sum())
        names, left = names[rest], _pattern(left[rest][:, rest] + across.T @ across)
    return Rounds(tuple(rounds), names, entries, float(widths[names].sum()))


def _pattern(graph: Sparse) -> Sparse:
    """Return ones wherever a graph has a number beside its diagonal."""
    entries: Any = sparse.coo_array(graph)
    i, j = entries.coords
    off: Bools = np.asarray(i != j)
    return sparse.csr_array((np.ones(int(off.sum())), (i[off], j[off])), shape=graph.shape)


def _named(across: Sparse, names: Places, count: int) -> Sparse:
    """Return a graph whose columns get their names back."""
    return sparse.csr_array((across.data, names[across.indices], across.indptr), shape=(across.shape[0], count))


def _apart(graph: Sparse, degree: Floats, most: float) -> Bools:
    """Choose nodes of low degree none of which meet: each has the lowest rank among its rivals (Luby 1986)."""
    count = degree.size
    rival = degree <= min(max(SLACK * degree.min(), degree.min() + 2), most)
    mixed = (np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(11)
    rank = np.empty(count, dtype=np.intp)
    rank[np.lexsort((mixed, degree))] = np.arange(count)
    owner = np.repeat(np.arange(count), np.diff(graph.indptr))
    chosen = np.zeros(count, dtype=bool)
    for _ in range(TIMES):
        own = np.where(rival, rank, count)
        lowest = np.full(count, count)
        np.minimum.at(lowest, owner, own[graph.indices])
        new = rival & (own < lowest)
        chosen |= new
        met = np.zeros(count, dtype=bool)
        met[graph.indices[new[owner]]] = True
        rival &= ~new & ~met
    return chosen


def order_of(rounds: Rounds, widths: Places, border: int) -> Order:
    """Return where every number stands and goes; rows are those of the nodes in turn, then those of the border.

    widths: (k,) rows of each node. The border meets every node and is never eliminated.
    """
    begin = np.concatenate([[0], np.cumsum(widths)]).astype(np.intp)
    rows = int(begin[-1]) + border
    edge = np.arange(begin[-1], rows, dtype=np.intp)
    core = np.concatenate([_rows_of(np.sort(rounds.core), begin, widths), edge])
    place = np.full(rows, -1, dtype=np.intp)
    place[core] = np.arange(core.size)
    parts = [piece for one in rounds.rounds for piece in _alike(one, begin, widths, edge)]
    grids = [np.concatenate(pair, axis=1) for pair in parts]
    keys = np.concatenate([np.zeros(0, dtype=np.intp), *(_outside(grid, place, rows) for grid in grids)])
    bare = Order(rows, border, np.unique(keys), core, place, ())
    fronts = [_front(bare, *pair) for pair in parts]
    return Order(rows, border, bare.keys, core, place, tuple(fronts))


def _rows_of(nodes: Places, begin: Places, widths: Places) -> Places:
    """Return the rows of nodes, one node after the other."""
    own = widths[nodes]
    first = np.cumsum(own) - own
    return np.repeat(begin[nodes] - first, own) + np.arange(int(own.sum()), dtype=np.intp)


def _alike(one: _Round, begin: Places, widths: Places, edge: Places) -> list[tuple[Places, Places]]:
    """Return pivots (g, width) and what they meet (g, m) for nodes of equal width that meet equally many rows."""
    met = np.asarray(one.meets @ widths.astype(float)).astype(np.intp)
    out: list[tuple[Places, Places]] = []
    for width, m in np.unique(np.stack([widths[one.nodes], met]), axis=1).T.tolist():
        which = np.flatnonzero((widths[one.nodes] == width) & (met == m))
        meets = _rows_of(one.meets[which].indices.astype(np.intp), begin, widths).reshape(which.size, m)
        meets = np.sort(meets, axis=1)
        meets = np.concatenate([meets, np.repeat(edge[None], which.size, axis=0)], axis=1)
        pivots: Places = begin[one.nodes[which]][:, None] + np.arange(width, dtype=np.intp)
        step = max(1, PIECE // (width + meets.shape[1]) ** 2)
        out += [(pivots[i : i + step], meets[i : i + step]) for i in range(0, which.size, step)]
    return out


def _outside(grid: Places, place: Places, rows: int) -> Places:
    """Return the keys of all pairs of rows (g, s) that do not both stand in the core."""
    i, j = np.broadcast_arrays(grid[:, :, None], grid[:, None, :])
    outside = (place[i] < 0) | (place[j] < 0)
    return np.unique(i[outside] * rows + j[outside])


def _front(order: Order, pivots: Places, meets: Places) -> Front:
    """Return the places of one group of pivots."""
    grid = np.concatenate([pivots, meets], axis=1)
    width = pivots.shape[1]
    i, j = np.broadcast_arrays(grid[:, :, None], grid[:, None, :])
    places = order.where(i, j)
    into, number = np.unique(places[:, width:, width:], return_inverse=True)
    number = number.ravel()
    spread = sparse.csr_array((np.ones(number.size), (number, np.arange(number.size))), shape=(into.size, number.size))
    return Front(pivots, meets, places, into, spread)
