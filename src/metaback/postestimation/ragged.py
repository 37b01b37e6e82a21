"""Problems of different size behind each other, packed into masked batches with others of their size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.models.specs import PoolSpec
from metaback.models.univariate import CHUNK
from metaback.postestimation.arrays import Counts, Pools, blank_pools, pool_batch, put
from metaback.stats.heterogeneity import spread_at_zero
from metaback.stats.wls import Bools, Floats, prepare

GROWTH = 1.2  # of the widths of batches: a group is padded by at most a fifth of its size


@dataclass(frozen=True, slots=True)
class Ragged:
    """Problems of different size, behind each other: sizes (n,), y, v and weights (rows,)."""

    sizes: Counts
    y: Floats
    v: Floats
    weights: Floats | None


def widths(sizes: Counts) -> list[NDArray[np.intp]]:
    """Return the problems (n,) in sets of similar size: the largest of a set is at most a fifth above the smallest.

    >>> [part.tolist() for part in widths(np.array([5, 40, 6, 5, 0]))]
    [[4], [0, 3, 2], [1]]
    """
    order = np.argsort(sizes, kind="stable")
    sets: list[NDArray[np.intp]] = []
    start = 0
    while start < order.size:
        top = max(sizes[order[start]], int(sizes[order[start]] * GROWTH))
        stop = int(np.searchsorted(sizes[order], top, side="right"))
        sets.append(order[start:stop])
        start = stop
    return sets


def padded(sizes: Counts) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], Bools]]:
    """Yield the problems of each set of similar size, the rows (n, k) that they have, and which of those are real.

    A row that is not real is -1, so that a 0 at the end of a column fills it.

    >>> [(part.tolist(), rows.tolist()) for part, rows, _ in padded(np.array([2, 1]))]
    [([1], [[2]]), ([0], [[0, 1]])]
    """
    starts = np.cumsum(sizes) - sizes
    for part in widths(sizes):
        k = sizes[part]
        column = np.arange(max(int(k.max()), 1))
        mask = column < k[:, None]
        yield part, np.where(mask, starts[part][:, None] + column, -1), mask


def pool_ragged(problems: Ragged, spec: PoolSpec) -> Pools:
    """Pool problems of different size, each in a masked batch with others of its size."""
    out = blank_pools(problems.sizes.size)
    y, v = np.append(problems.y, 0.0), np.append(problems.v, 0.0)
    weights = None if problems.weights is None else np.append(problems.weights, 0.0)
    for part, rows, mask in padded(problems.sizes):
        own = None if weights is None else weights[rows]
        put(out, part, pool_batch(y[rows], v[rows], mask, spec, weights=own))
    return out


def spread_ragged(problems: Ragged) -> tuple[Floats, Floats, Floats]:
    """Return Cochran's Q of every problem, its P value and the typical sampling variance, each (n,).

    Problems without rows, or with a variance that is not above 0, have nan.

    >>> one = Ragged(np.array([2]), np.array([0.0, 1.0]), np.array([0.5, 0.5]), None)
    >>> [float(values[0].round(6)) for values in spread_ragged(one)]
    [1.0, 0.317311, 0.5]
    """
    out = np.full((3, problems.sizes.size), np.nan)
    y, v = np.append(problems.y, 0.0), np.append(problems.v, 0.0)
    for part, rows, mask in padded(problems.sizes):
        possible = np.flatnonzero(mask.any(axis=1) & ((v[rows] > 0) | ~mask).all(axis=1))
        step = max(1, CHUNK // rows.shape[1])
        for start in range(0, possible.size, step):
            cut = possible[start : start + step]
            out[:, part[cut]] = spread_at_zero(prepare(y[rows[cut]], v[rows[cut]], mask[cut]))
    return out[0], out[1], out[2]
