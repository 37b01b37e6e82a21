"""Several dependent effects made one: generalised least squares within groups of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.stats.blocks import BlockMatrix, Floats, Places, blocks_of, from_pairs, linked, regrouped, within
from metaback.stats.working_covariance import joined_by


@dataclass(frozen=True, slots=True)
class Means:
    """One effect for each of g groups: y (g,), its covariance over all groups, and the weight (n,) of each row."""

    y: Floats
    cov: BlockMatrix
    weights: Floats


def group_means(y: Floats, v: BlockMatrix, groups: Places, *, equal: bool = False) -> Means:
    """Return the mean of the effects of each group, and how these means vary together.

    Inverse covariance: w = V^-1 1 / (1' V^-1 1) within the group, so that y* = w'y has the least variance,
    1 / (1' V^-1 1). Equal: w = 1/m. In both, cov(y*_g, y*_h) = w_g' V_gh w_h, which is not 0 where rows of two groups
    share people.

    y: (n,) effects; v: their sampling covariance; groups: (n,) numbers 0 to g - 1, each of which occurs. Edges: a group
    of one row is that row; weights of inverse covariance can be negative where variances differ much and correlations
    are high. Source: Gleser & Olkin 2009; Hedges & Olkin 1985, chapter 10.

    >>> from metaback.stats.blocks import gathered, on_diagonal
    >>> zero = np.zeros(2, dtype=int)
    >>> found = group_means(np.array([1.0, 2.0]), gathered(blocks_of(zero), np.array([[1.0, 0.5], [0.5, 2.0]])), zero)
    >>> found.y.tolist(), on_diagonal(found.cov).round(9).tolist(), found.weights.round(9).tolist()
    ([1.25], [0.875], [0.75, 0.25])
    """
    labels = np.empty(y.size, dtype=np.intp)
    for rows, number in zip(v.blocks.rows, v.blocks.number, strict=True):
        labels[rows] = number[:, None]
    joined = regrouped(v, blocks_of(linked(y.size, [labels, groups])))
    own = within(joined, blocks_of(groups))
    weights = np.empty(y.size)
    for rows, values in zip(own.blocks.rows, own.parts, strict=True):
        one = np.ones((*rows.shape, 1))
        raw = one if equal else np.linalg.solve(values, one)
        weights[rows] = (raw / raw.sum(axis=1, keepdims=True))[..., 0]
    return Means(_sums(groups, weights * y), _between(joined, groups, weights), weights)


def _between(matrix: BlockMatrix, groups: Places, weights: Floats) -> BlockMatrix:
    """Return the covariance of weighted sums of rows, (g, g), from that of the rows."""
    g = int(groups.max(initial=-1)) + 1
    keys: list[Places] = []
    sums: list[Floats] = []
    for rows, values in zip(matrix.blocks.rows, matrix.parts, strict=True):
        w, own = weights[rows], groups[rows]
        keys.append((own[:, :, None] * g + own[:, None, :]).ravel())
        sums.append((w[:, :, None] * values * w[:, None, :]).ravel())
    key, place = np.unique(np.concatenate(keys), return_inverse=True)
    total = _sums(place, np.concatenate(sums))
    one, two = key // g, key % g
    upper = (one < two) & (total != 0)
    i, j = one[upper], two[upper]
    return from_pairs(blocks_of(joined_by(g, i, j)), total[one == two], i, j, total[upper])


def _sums(groups: Places, values: Floats) -> Floats:
    """Return the sum of the values of each group."""
    return np.asarray(np.bincount(groups, values), dtype=float)
