"""Matrices that are block diagonal over groups of rows: blocks of one size lie together, so that no loop is over them.

A model of dependent effects never needs a matrix of all rows by all rows: rows of different clusters are independent.
Blocks of one size m are one array (B, m, m), and every step of linear algebra is one call for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csgraph

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
LOWEST_EIGENVALUE = 1e-12  # of the correlations of a block that is positive definite


@dataclass(frozen=True, slots=True)
class Blocks:
    """How n rows fall into blocks.

    n: rows; rows: for every size of block that occurs, in rising order, the places (B, m) of the rows of the B blocks
    of m rows; every row stands in one block. number: for every size, the numbers (B,) that the blocks have in the
    labels from which they were made.
    """

    n: int
    rows: tuple[Places, ...]
    number: tuple[Places, ...]

    @property
    def count(self) -> int:
        """Count the blocks."""
        return sum(part.shape[0] for part in self.rows)


@dataclass(frozen=True, slots=True)
class BlockMatrix:
    """A symmetric matrix (n, n) that is zero outside its blocks; parts: for every size, the blocks (B, m, m)."""

    blocks: Blocks
    parts: tuple[Floats, ...]


def blocks_of(labels: NDArray[np.integer]) -> Blocks:
    """Return the blocks of rows with equal labels; within a block rows keep their order.

    labels: (n,) whole numbers, the block of each row. Edge: no row gives no block.

    >>> [part.tolist() for part in blocks_of(np.array([4, 7, 4])).rows]
    [[[1]], [[0, 2]]]
    """
    values, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
    rows: list[Places] = []
    number: list[Places] = []
    for size in np.unique(sizes).tolist():
        which = np.flatnonzero(sizes == size)
        rows.append(order[starts[which][:, None] + np.arange(size)])
        number.append(values[which].astype(np.intp))
    return Blocks(int(labels.size), tuple(rows), tuple(number))


def separate(n: int) -> Blocks:
    """Return blocks of one row each: those of rows that are independent.

    >>> separate(2).rows[0].tolist()
    [[0], [1]]
    """
    places = np.arange(n, dtype=np.intp)
    return Blocks(n, (places[:, None],), (places,)) if n else Blocks(0, (), ())


def linked(n: int, groupings: Sequence[NDArray[np.integer]]) -> Places:
    """Return the number (n,) of the smallest block that keeps rows together which share a label in any grouping.

    groupings: labels (n,) each; a negative label links its row with no other. Blocks are numbered in the order of
    their first rows. The connected parts of the graph of rows and labels.

    >>> linked(4, [np.array([0, 0, 1, 2]), np.array([5, 6, 6, 7])]).tolist()
    [0, 0, 0, 1]
    """
    joining = [labels for labels in groupings if not _alone(labels)]
    if len(joining) <= 1 and all((labels >= 0).all() for labels in joining):
        return _in_order(joining[0]) if joining else np.arange(n)
    ends: list[Places] = []
    offset = n
    starts: list[Places] = []
    for labels in joining:
        here = np.flatnonzero(labels >= 0)
        values, inverse = np.unique(labels[here], return_inverse=True)
        starts.append(here)
        ends.append(inverse.astype(np.intp) + offset)
        offset += values.size
    i = np.concatenate(starts) if starts else np.empty(0, dtype=np.intp)
    j = np.concatenate(ends) if ends else np.empty(0, dtype=np.intp)
    graph = coo_array((np.ones(i.size, dtype=np.int8), (i, j)), shape=(offset, offset))
    return components(graph, n)


def _alone(labels: NDArray[np.integer]) -> bool:
    """Tell whether no two rows share a label; a negative one is none."""
    there = labels[labels >= 0]
    if there.size and int(there.max()) < 10 * labels.size:
        return bool(np.bincount(there).max() <= 1)
    return np.unique(there).size == there.size


def _in_order(labels: NDArray[np.integer]) -> Places:
    """Return labels (n,) numbered in the order of their first rows; those that are so already are seen at once."""
    if labels.size and labels[0] == 0:
        highest = np.maximum.accumulate(labels)
        if (labels >= 0).all() and (highest[1:] - highest[:-1] <= 1).all():
            return labels.astype(np.intp)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.intp)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[inverse]


def components(graph: coo_array, n: int | None = None) -> Places:
    """Return the connected part of each of the first n nodes of a graph, numbered in the order of their first nodes.

    >>> components(coo_array((np.ones(1), ([0], [2])), shape=(3, 3))).tolist()
    [0, 1, 0]
    """
    found: Places = cast("Any", csgraph).connected_components(graph, directed=False)[1][:n].astype(np.intp)
    return _in_order(found)


def diagonal(blocks: Blocks, values: Floats) -> BlockMatrix:
    """Return the matrix with values (n,) on its diagonal and zeros elsewhere.

    >>> diagonal(blocks_of(np.array([0, 0])), np.array([1.0, 2.0])).parts[0].tolist()
    [[[1.0, 0.0], [0.0, 2.0]]]
    """
    return BlockMatrix(blocks, tuple(values[rows][..., None] * np.eye(rows.shape[1]) for rows in blocks.rows))


def gathered(blocks: Blocks, matrix: Floats) -> BlockMatrix:
    """Return the blocks of a whole matrix (n, n); what stands outside them is left behind.

    >>> gathered(blocks_of(np.array([0, 1])), np.array([[2.0, 9.0], [9.0, 3.0]])).parts[0].ravel().tolist()
    [2.0, 3.0]
    """
    return BlockMatrix(blocks, tuple(matrix[rows[:, :, None], rows[:, None, :]] for rows in blocks.rows))


def regrouped(matrix: BlockMatrix, blocks: Blocks) -> BlockMatrix:
    """Return the same matrix in larger blocks; each of its blocks must lie within one of them.

    >>> small = diagonal(blocks_of(np.array([0, 1])), np.array([2.0, 3.0]))
    >>> regrouped(small, blocks_of(np.array([0, 0]))).parts[0].tolist()
    [[[2.0, 0.0], [0.0, 3.0]]]
    """
    group, block, place = _homes(blocks)
    parts = [np.zeros((*rows.shape, rows.shape[1])) for rows in blocks.rows]
    for rows, values in zip(matrix.blocks.rows, matrix.parts, strict=True):
        home = group[rows[:, 0]]
        for g in np.unique(home).tolist():
            here = rows[home == g]
            if (block[here] != block[here][:, :1]).any() or (group[here] != g).any():
                raise ValueError("a block of the matrix does not lie within one of the larger blocks")
            parts[g][block[here][:, :, None], place[here][:, :, None], place[here][:, None, :]] = values[home == g]
    return BlockMatrix(blocks, tuple(parts))


def from_pairs(blocks: Blocks, spread: Floats, i: Places, j: Places, values: Floats) -> BlockMatrix:
    """Return the matrix with a diagonal (n,) and values (p,) at the pairs of rows i, j and j, i; zeros elsewhere.

    Both rows of a pair must stand in one block, and a pair once.

    >>> one = np.array([0]), np.array([1]), np.array([0.5])
    >>> from_pairs(blocks_of(np.array([0, 0])), np.array([1.0, 2.0]), *one).parts[0].tolist()
    [[[1.0, 0.5], [0.5, 2.0]]]
    """
    group, block, place = _homes(blocks)
    if (group[i] != group[j]).any() or (block[i] != block[j]).any():
        raise ValueError("the rows of a pair do not stand in one block")
    made = diagonal(blocks, spread)
    for g in np.unique(group[i]).tolist():
        here = group[i] == g
        one, two = i[here], j[here]
        made.parts[g][block[one], place[one], place[two]] = values[here]
        made.parts[g][block[one], place[two], place[one]] = values[here]
    return made


def within(matrix: BlockMatrix, blocks: Blocks) -> BlockMatrix:
    """Return what of a matrix stands in smaller blocks, each of which lies within one of its own.

    >>> joined = gathered(blocks_of(np.array([0, 0])), np.array([[2.0, 9.0], [9.0, 3.0]]))
    >>> whole(within(joined, blocks_of(np.arange(2)))).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    group, block, place = _homes(matrix.blocks)
    parts = [np.empty((*rows.shape, rows.shape[1])) for rows in blocks.rows]
    for rows, part in zip(blocks.rows, parts, strict=True):
        home = group[rows[:, 0]]
        for g in np.unique(home).tolist():
            here = rows[home == g]
            if (block[here] != block[here][:, :1]).any() or (group[here] != g).any():
                raise ValueError("a smaller block does not lie within one block of the matrix")
            part[home == g] = matrix.parts[g][block[here][:, :, None], place[here][:, :, None], place[here][:, None, :]]
    return BlockMatrix(blocks, tuple(parts))


def whole(matrix: BlockMatrix) -> Floats:
    """Return the matrix with its zeros, (n, n); for small n and for tests.

    >>> whole(diagonal(blocks_of(np.array([0, 1])), np.array([2.0, 3.0]))).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    n = matrix.blocks.n
    out = np.zeros((n, n))
    for rows, values in zip(matrix.blocks.rows, matrix.parts, strict=True):
        out[rows[:, :, None], rows[:, None, :]] = values
    return out


def on_diagonal(matrix: BlockMatrix) -> Floats:
    """Return what stands on the diagonal, (n,).

    >>> on_diagonal(diagonal(blocks_of(np.array([0, 1])), np.array([2.0, 3.0]))).tolist()
    [2.0, 3.0]
    """
    out = np.zeros(matrix.blocks.n)
    for rows, values in zip(matrix.blocks.rows, matrix.parts, strict=True):
        out[rows] = np.diagonal(values, axis1=-2, axis2=-1)
    return out


def selected(matrix: BlockMatrix, places: Places) -> BlockMatrix:
    """Return rows and columns at places, each named once, as a matrix of those rows in that order.

    Blocks that lose all their rows disappear; the numbers of the others stay.

    >>> whole(selected(gathered(blocks_of(np.array([0, 0])), np.array([[2.0, 1.0], [1.0, 3.0]])), np.array([1])))
    array([[3.]])
    """
    return _picked(matrix, places, blocks_of(numbers_of(matrix.blocks)[places]))


def copied(matrix: BlockMatrix, places: Places, copy: Places) -> BlockMatrix:
    """Return rows and columns at places (m,) as a matrix of those rows in that order; a place may stand there often.

    copy: (m,) at least 0; rows of different copies are uncorrelated; within a copy every place stands once. Blocks are
    numbered anew.

    >>> both = gathered(blocks_of(np.array([0, 0])), np.array([[2.0, 1.0], [1.0, 3.0]]))
    >>> whole(copied(both, np.array([0, 1, 1]), np.array([0, 0, 1]))).tolist()
    [[2.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 3.0]]
    """
    number = numbers_of(matrix.blocks)
    many = int(number.max(initial=0)) + 1
    return _picked(matrix, places, blocks_of(copy * many + number[places]))


def numbers_of(blocks: Blocks) -> Places:
    """Return the number (n,) of the block of each row.

    >>> numbers_of(blocks_of(np.array([4, 7, 4]))).tolist()
    [4, 7, 4]
    """
    labels = np.empty(blocks.n, dtype=np.intp)
    for rows, number in zip(blocks.rows, blocks.number, strict=True):
        labels[rows] = number[:, None]
    return labels


def _picked(matrix: BlockMatrix, places: Places, blocks: Blocks) -> BlockMatrix:
    """Return rows and columns at places in given blocks, each of which lies within one of the matrix."""
    group, block, place = _homes(matrix.blocks)
    parts: list[Floats] = []
    for rows in blocks.rows:
        old = places[rows]
        part = np.empty((*rows.shape, rows.shape[1]))
        home = group[old[:, 0]]
        for g in np.unique(home).tolist():
            here = old[home == g]
            part[home == g] = matrix.parts[g][block[here][:, :, None], place[here][:, :, None], place[here][:, None, :]]
        parts.append(part)
    return BlockMatrix(blocks, tuple(parts))


def indefinite(matrix: BlockMatrix) -> Places:
    """Return the numbers of the blocks that are not positive definite, in rising order; none gives an empty array.

    A block counts as positive definite where the smallest eigenvalue of its correlations is above 1e-12: below that
    the numbers of its inverse would be rounding. A diagonal that is not positive, or nan, is not.

    >>> indefinite(gathered(blocks_of(np.array([3, 3])), np.array([[1.0, 2.0], [2.0, 1.0]]))).tolist()
    [3]
    """
    bad: list[Places] = []
    for number, values in zip(matrix.blocks.number, matrix.parts, strict=True):
        spread = np.diagonal(values, axis1=-2, axis2=-1)
        usable: NDArray[np.bool_] = np.isfinite(values).all(axis=(1, 2)) & np.all(spread > 0, axis=1)
        scale = 1 / np.sqrt(np.where(usable[:, None], spread, 1.0))
        eye = np.eye(values.shape[-1])
        correlations = np.where(usable[:, None, None], values * scale[:, :, None] * scale[:, None, :], eye)
        lowest = np.linalg.eigvalsh(correlations)[:, 0]
        bad.append(number[~usable | (lowest <= LOWEST_EIGENVALUE)])
    return np.sort(np.concatenate(bad)) if bad else np.empty(0, dtype=np.intp)


def _homes(blocks: Blocks) -> tuple[Places, Places, Places]:
    """Return where each row stands (n,): in blocks of which size, in which of them, and at which place of it."""
    group, block, place = (np.empty(blocks.n, dtype=np.intp) for _ in range(3))
    for g, rows in enumerate(blocks.rows):
        group[rows] = g
        block[rows] = np.arange(rows.shape[0])[:, None]
        place[rows] = np.arange(rows.shape[1])
    return group, block, place
