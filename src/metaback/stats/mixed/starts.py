"""Where the search begins: a coarse grid over the whole space of variances and correlations, and its own peaks."""

from __future__ import annotations

import numpy as np

from metaback.stats.mixed.problem import Problem
from metaback.stats.mixed.records import Floats, Places, Term
from metaback.stats.mixed.structures import CURVES, Chart, reach

SHARES = ((0.0, 0.1, 1.0, 4.0), (0.0, 0.3, 2.0), (0.05, 1.0))  # of the excess variance, by how many points there are
CORRELATIONS = ((-0.8, 0.0, 0.8), (-0.6, 0.6), (0.3,))
RANGES = ((0.01, 0.03, 0.1, 0.2, 0.4, 1.0), (0.03, 0.15, 0.6), (0.2,))  # of the longest distance
KINKED_RANGES = tuple(float(share) for share in np.geomspace(0.01, 2, 25))  # a peak between any two distances
MOST = 100  # points of the grid
LOWEST = -1e300  # stands for a log-likelihood that is not defined
CLIMBS = 3  # peaks of the grid that are climbed


def grid_of(problem: Problem) -> tuple[Floats, tuple[int, ...]]:
    """Return starts x (points, q) and the shape of their grid: for each term a size, then a correlation or range.

    Three grids of falling fineness; the first with at most `MOST` points is taken, and the last in any case.
    """
    excess = excess_variance(problem)
    for fineness in range(len(SHARES) - 1 if problem.heavy else 0, len(SHARES)):
        axes: list[Floats] = []
        shape: list[int] = []
        for term, chart in zip(problem.terms, problem.parts.charts, strict=True):
            points, own = _of_term(term, chart, excess, problem.frame.unit, fineness)
            axes.append(np.array(points))
            shape += own
        if np.prod(shape) <= MOST or fineness == len(SHARES) - 1:
            break
    else:
        raise AssertionError("no grid")
    places = np.indices([len(axis) for axis in axes]).reshape(len(axes), -1)
    return np.concatenate([axis[own] for axis, own in zip(axes, places, strict=True)], axis=1), tuple(shape)


def excess_variance(problem: Problem) -> float:
    """Return by how much the squares of the centred effects exceed their sampling variances, at least a tenth of these.

    Both in units of the frame, where the median sampling variance is near 1.
    """
    y = problem.frame.Y[:, -1]
    spare = max(y.size - problem.frame.basis.shape[0], 1)
    return max(float((y**2).sum() / spare) - 1.0, 0.1)


def _of_term(term: Term, chart: Chart, excess: float, unit: float, fineness: int) -> tuple[list[Floats], list[int]]:
    """Return the starts x of one term and the shape of its grid."""
    shares = np.array(SHARES[fineness])
    second = [kind for kind, _ in chart.kinds if kind != "variance"]
    levels = max(term.levels, 1 if term.Z is None else term.Z.shape[1])
    sizes = np.maximum(shares, 0.02 if second and term.structure not in CURVES else 0.0) * excess
    others = np.array([0.0])
    if second:
        others = np.array(CORRELATIONS[fineness])
        others = np.where(others < 0, others / max(levels - 1, 1), others)
        if term.structure == "CAR":
            others = np.abs(others) + 0.05
        elif second[0] == "range":
            far = KINKED_RANGES if term.structure == "SPLIN" and not fineness else RANGES[fineness]
            others = np.array(far) * reach(term)[1]
    others = np.unique(others)
    points = [_point(term, chart, size, other, unit) for size in sizes for other in others]
    return points, [len(shares), others.size]


def _point(term: Term, chart: Chart, size: float, other: float, unit: float) -> Floats:
    """Return x of one size and one correlation; what the user gave stands in its place."""
    theta = np.array([size if kind == "variance" else other for kind, _ in chart.kinds])
    if term.Z is not None:
        spread = np.maximum((term.Z[term.outer >= 0] ** 2).mean(axis=0), 1e-300)
        theta[: spread.size] /= spread
    return chart.search(with_given(term, chart, theta, unit))


def with_given(term: Term, chart: Chart, theta: Floats, unit: float) -> Floats:
    """Return natural parameters, in units of the frame, with those that the user gave in their places."""
    theta = theta.copy()
    for i, value in enumerate(term.fixed):
        if value is not None:
            theta[i] = value / unit**2 if chart.kinds[i][0] == "variance" else value
    return theta


def tops(values: Floats, shape: tuple[int, ...], *, wide: bool = False) -> Places:
    """Return the points of a grid that no neighbour along an axis exceeds, best first, at most `CLIMBS` of them.

    wide: return the best point of every layer of the grid too, which is worth its time where rows are few: there
    likelihoods have several peaks.

    >>> tops(np.array([1.0, 3.0, 2.0, 5.0]), (4,)).tolist()
    [3, 1]
    """
    table = np.where(np.isfinite(values), values, LOWEST).reshape(shape)
    top = table > LOWEST
    for axis in range(table.ndim):
        ordered, on = table.swapaxes(0, axis), top.swapaxes(0, axis)
        rises = ordered[1:] > ordered[:-1]
        on[1:] &= rises
        on[:-1] &= ~rises
    found = np.flatnonzero(top.ravel())
    found = found[np.argsort(-values[found], kind="stable")][:CLIMBS]
    if not wide:
        return found
    layers = [np.arange(values.size).reshape(shape).swapaxes(0, axis).reshape(n, -1) for axis, n in enumerate(shape)]
    best = [layer[np.argmax(values[layer])] for axis in layers for layer in axis]
    extra = np.array([place for place in best if np.isfinite(values[place])], dtype=np.intp)
    return np.concatenate([found, np.setdiff1d(extra, found)])
