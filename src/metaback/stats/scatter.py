"""Many points for the eye: counts in cells, the part of a plane that holds most of them, and places side by side."""

from __future__ import annotations

import numpy as np

from metaback.stats.wls import Bools, Floats

NEAR = 0.5  # bandwidth of the density that spreads points, as a share of the standard deviation


def cell_counts(x: Floats, y: Floats, edges_x: Floats, edges_y: Floats, has: Bools | None = None) -> Floats:
    """Return how many points lie in each cell of a grid, (cells of y, cells of x).

    x, y: (n,); edges: increasing, (cells + 1,); has: (n,) the points that count, None for all. The last cell holds its
    upper edge too. Points beyond the edges, or that are nan, are in no cell.

    >>> cell_counts(np.array([0.5, 1.0, 2.0]), np.array([0.5, 0.5, 9.0]), np.arange(3.0), np.arange(2.0))
    array([[1., 1.]])
    """
    known = np.isfinite(x) & np.isfinite(y) & (True if has is None else has)
    return np.histogram2d(y[known], x[known], bins=(edges_y, edges_x))[0]


def blurred(counts: Floats, width: float) -> Floats:
    """Return counts of a grid smoothed by a normal kernel of that many cells, what is reflected at its edges included.

    The sum stays as it was. width: standard deviation in cells, above 0.

    >>> blurred(np.eye(3), 1e-3).round(6).tolist() == np.eye(3).tolist()
    True
    """
    reach = max(1, int(np.ceil(4 * width)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()

    def along(values: Floats) -> Floats:
        wide = np.pad(values, ((0, 0), (reach, reach)), mode="symmetric")
        parts = np.stack([wide[:, i : i + values.shape[1]] for i in range(kernel.size)])
        return np.einsum("i,ijk->jk", kernel, parts)

    return along(along(np.asarray(counts, dtype=float)).T).T


def holding(density: Floats, share: float) -> float:
    """Return the height above which a grid holds a share of all points: the edge of its densest part.

    share: in (0, 1). Edges: 0 for a grid without points.

    >>> holding(np.array([[1.0, 5.0, 4.0]]), 0.5), holding(np.array([[1.0, 5.0, 4.0]]), 0.8)
    (5.0, 4.0)
    """
    heights: Floats = np.sort(density.ravel())[::-1]
    total = float(heights.sum())
    if not total > 0:
        return 0.0
    return float(heights[min(int(np.searchsorted(np.cumsum(heights), share * total)), heights.size - 1)])


def side_by_side(x: Floats) -> Floats:
    """Return a place in [-1, 1] for each of k values, the same always, so that near ones do not hide each other.

    The i-th value in order has the i-th number of van der Corput's sequence in base 2, times the density of values
    around it over its maximum: dense parts spread wide, single values stay in the middle.

    x: (k,). Edges: nan stays nan; one value has 0. Source: van der Corput 1935, as in quasirandom plots.

    >>> side_by_side(np.array([3.0])).tolist(), side_by_side(np.zeros(4)).tolist()
    ([0.0], [-0.75, 0.25, -0.25, 0.75])
    """
    out = np.full(x.size, np.nan)
    known = np.flatnonzero(np.isfinite(x))
    if known.size < 2:
        out[known] = 0.0
        return out
    order = known[np.argsort(x[known], kind="stable")]
    values = x[order]
    spread = float(values.std())
    width = NEAR * spread * values.size**-0.2 if spread > 0 else 1.0
    density = np.array([np.exp(-0.5 * ((values - value) / width) ** 2).sum() for value in values]) - 1.0
    top = float(density.max())
    out[order] = (2 * _van_der_corput(values.size) - 1) * (density / top if top > 0 else 0.0)
    return out


def _van_der_corput(n: int) -> Floats:
    """Return the first n numbers of the sequence in base 2, each half a step up so that none is 0."""
    bits = max(1, int(np.ceil(np.log2(max(n, 2)))))
    index = np.arange(n)
    reverse = sum((((index >> bit) & 1) << (bits - 1 - bit) for bit in range(bits)), np.zeros(n, dtype=np.int64))
    return (reverse + 0.5) / 2**bits
