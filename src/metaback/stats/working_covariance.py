"""Working covariances of effects of the same people: pairs, correlations, and what to do with an impossible matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from metaback.stats.blocks import LOWEST_EIGENVALUE, BlockMatrix, Floats, Places, blocks_of, components

RHO = 0.6  # correlation of effects on the same people where nothing better is known; Pustejovsky & Tipton 2022
NEAREST_EIGENVALUE = 1e-8  # of the correlations of a mended block: its inverse keeps half of the digits
NEAREST_STEPS = 10_000
NEAREST_CHANGE = 1e-12  # of a correlation, from one step to the next


def pairs_within(labels: NDArray[np.integer]) -> tuple[Places, Places]:
    """Return the places i < j of every pair of rows with equal labels, (p,) each, blocks of one size after another.

    >>> [rows.tolist() for rows in pairs_within(np.array([5, 7, 5, 5]))]
    [[0, 0, 2], [2, 3, 3]]
    """
    one: list[Places] = []
    two: list[Places] = []
    for rows in blocks_of(labels).rows:
        i, j = np.triu_indices(rows.shape[1], 1)
        one.append(rows[:, i].ravel())
        two.append(rows[:, j].ravel())
    empty = np.empty(0, dtype=np.intp)
    return (np.concatenate(one), np.concatenate(two)) if one else (empty, empty)


def joined_by(n: int, i: Places, j: Places) -> Places:
    """Return the number (n,) of the block of each row, blocks being the connected parts of the pairs i, j.

    >>> joined_by(4, np.array([0]), np.array([2])).tolist()
    [0, 1, 0, 2]
    """
    return components(coo_array((np.ones(i.size, dtype=np.int8), (i, j)), shape=(n, n)))


def ranks_of_time(labels: NDArray[np.integer], time: Floats) -> Floats:
    """Return which measurement of its study a row is, 0 for the first, (n,); nan where the time is unknown.

    labels: study of each row; rows of one time share a rank.

    >>> ranks_of_time(np.array([0, 0, 0, 1]), np.array([12.0, 4.0, 12.0, 52.0])).tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    known = np.flatnonzero(np.isfinite(time))
    order = known[np.lexsort((time[known], labels[known]))]
    study, when = labels[order], time[order]
    new = np.concatenate([[True], study[1:] != study[:-1]])[: order.size]
    step = np.concatenate([[0], (study[1:] == study[:-1]) & (when[1:] != when[:-1])])[: order.size].cumsum()
    first = np.maximum.accumulate(np.where(new, np.arange(order.size), 0)) if order.size else order
    ranks = np.full(time.shape, np.nan)
    ranks[order] = step - step[first]
    return ranks


@dataclass(frozen=True, slots=True)
class Unsound:
    """A block that is not positive definite: its number, its rows, and the smallest eigenvalue of its correlations."""

    number: int
    rows: Places
    lowest: float


def unsound(matrix: BlockMatrix) -> tuple[Unsound, ...]:
    """Return the blocks that are not positive definite, in the order of their numbers.

    As `indefinite` of `blocks.py`, with what a reader must know of each. The diagonal must be positive.

    >>> from metaback.stats.blocks import gathered
    >>> unsound(gathered(blocks_of(np.array([3, 3])), np.array([[1.0, 2.0], [2.0, 1.0]])))[0].lowest
    -1.0
    """
    found: list[Unsound] = []
    for rows, number, values in zip(matrix.blocks.rows, matrix.blocks.number, matrix.parts, strict=True):
        lowest = np.linalg.eigvalsh(correlations(values))[:, 0]
        bad = np.flatnonzero(lowest <= LOWEST_EIGENVALUE).tolist()
        found += [Unsound(int(number[b]), rows[b], float(lowest[b])) for b in bad]
    return tuple(sorted(found, key=lambda block: block.number))


def correlations(values: Floats) -> Floats:
    """Return the correlations of covariances (..., m, m) with a positive diagonal.

    >>> correlations(np.array([[4.0, 1.0], [1.0, 1.0]])).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    scale = 1 / np.sqrt(np.diagonal(values, axis1=-2, axis2=-1))
    found = values * scale[..., :, None] * scale[..., None, :]
    return np.where(np.eye(values.shape[-1], dtype=bool), 1.0, found)


def nearest_correlation(values: Floats, lowest: float = NEAREST_EIGENVALUE) -> Floats:
    """Return the correlation matrix (m, m) nearest to a symmetric one, no eigenvalue below `lowest`.

    Alternating projections onto the matrices with such eigenvalues, with Dykstra's correction, and onto those with a
    diagonal of ones; the nearest in the Frobenius norm. A last step mixes in as much of the identity as the rounding
    of the limit asks for. Edge: a matrix that is one already comes back unchanged. Source: Higham 2002.

    >>> nearest_correlation(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]), 0.0).round(4).tolist()
    [[1.0, 0.7607, 0.1573], [0.7607, 1.0, 0.7607], [0.1573, 0.7607, 1.0]]
    """
    eye = np.eye(values.shape[0], dtype=bool)
    y, correction = np.where(eye, 1.0, values), np.zeros_like(values)
    if np.linalg.eigvalsh(y)[0] >= lowest:
        return y
    for _ in range(NEAREST_STEPS):
        r = y - correction
        w, q = np.linalg.eigh(r)
        x = (q * np.maximum(w, lowest)) @ q.T
        correction = x - r
        new = np.where(eye, 1.0, (x + x.T) / 2)
        done = np.abs(new - y).max() <= NEAREST_CHANGE
        y = new
        if done:
            break
    least = float(np.linalg.eigvalsh(y)[0])
    share = (lowest - least) / (1 - least) if least < lowest else 0.0
    return np.where(eye, 1.0, (1 - share) * y)


def mended(matrix: BlockMatrix) -> BlockMatrix:
    """Return the matrix with every block that is not positive definite replaced by the nearest one of its diagonal.

    >>> from metaback.stats.blocks import gathered
    >>> bad = gathered(blocks_of(np.array([0, 0])), np.array([[1.0, 4.0], [4.0, 4.0]]))
    >>> mended(bad).parts[0].round(6).tolist()
    [[[1.0, 2.0], [2.0, 4.0]]]
    """
    bad = {block.number for block in unsound(matrix)}
    parts: list[Floats] = []
    for number, values in zip(matrix.blocks.number, matrix.parts, strict=True):
        part = values.copy()
        for b in np.flatnonzero(np.isin(number, list(bad))).tolist():
            root = np.sqrt(np.diagonal(values[b]))
            nearest = nearest_correlation(correlations(values[b])) * root[:, None] * root
            part[b] = np.where(np.eye(root.size, dtype=bool), values[b], nearest)
        parts.append(part)
    return BlockMatrix(matrix.blocks, tuple(parts))
