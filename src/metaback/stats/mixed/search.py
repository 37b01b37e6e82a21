"""Find the peaks of likelihoods: a look over a grid, then climbs from its tops, for many fits of one layout at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.stats.mixed.climb import Peak, climb, joined, scale_of
from metaback.stats.mixed.faces import bodies, face_grids, on_faces, onward
from metaback.stats.mixed.likelihood import Slope, level
from metaback.stats.mixed.problem import Problem, allowed, slope_at, sums_at
from metaback.stats.mixed.records import Floats, Places
from metaback.stats.mixed.starts import grid_of, tops

FEW = 300  # rows up to which more starts are climbed
SAME = 1e-6  # log-likelihoods closer than this are one peak
TOGETHER = 25  # replicates of few rows that climb together
EDGES = 4  # times that a climb goes on over the edge of a face
LEVEL = 1e-10  # log-likelihoods that only rounding tells apart


@dataclass(frozen=True, slots=True)
class Found:
    """The highest peak of one fit, and x (m, q) and gaps (m,) of the others that were found."""

    peak: Peak
    rivals: Floats
    gaps: Floats


def search_of(problem: Problem, theta: Floats) -> Floats:
    """Return x (R, q) of natural parameters (R, q)."""
    x = np.empty_like(theta)
    for chart, start in zip(problem.parts.charts, problem.parts.starts, strict=True):
        own = slice(start, start + len(chart.kinds))
        scale = np.array([problem.frame.unit**-2 if kind == "variance" else 1.0 for kind, _ in chart.kinds])
        x[:, own] = [chart.search(row) for row in theta[:, own] * scale]
    return x


def climb_from(
    problem: Problem,
    x: Floats,
    counts: Floats | None,
    *,
    reml: bool,
    which: Places | None = None,
    fits: Places | None = None,
) -> Peak:
    """Climb from x (R, q), all replicates together; those that come to the edge of a face of HCS go on over it.

    counts (R, B) weight their clusters, which (R,) names their V; fits (R,) tells which climbs are of one fit.
    """
    peak, upper = _climb(problem, x, counts, reml=reml, which=which, fits=fits)
    for _ in range(EDGES if bodies(problem) else 0):
        begin = onward(problem, peak.x, upper)
        go = np.flatnonzero(np.isfinite(begin).all(axis=1) & peak.converged)
        if not go.size:
            break
        weights = None if counts is None else counts[go]
        chosen, alike = (None if part is None else part[go] for part in (which, fits))
        more, upper[go] = _climb(problem, begin[go], weights, reml=reml, which=chosen, fits=alike)
        peak.put(go, more)
    return peak


def _climb(
    problem: Problem, x: Floats, counts: Floats | None, *, reml: bool, which: Places | None, fits: Places | None
) -> tuple[Peak, Floats]:
    """Climb once within the bounds of the starts; return the upper ones too."""
    lower, upper = _bounds(problem, x)

    def objective(at: Floats, places: Places) -> Slope:
        own = problem.under(None if which is None else which[places])
        return slope_at(own, at, None if counts is None else counts[places], reml=reml)

    kinked = any(term.structure == "SPLIN" for term in problem.terms)
    kinked |= any(chart.allowed is not None for chart in problem.parts.charts)  # the edge of what is allowed is one too
    if fits is not None and bodies(problem):  # climbs within other bounds have other peaks
        fits = np.unique(np.column_stack([fits, upper == 0]), axis=0, return_inverse=True)[1].ravel()
    size = float(problem.labels.size)
    return climb(objective, x, lower, upper, size, kinked=kinked, fits=None if kinked else fits), upper


def best_peaks(problem: Problem, several: int | None, *, reml: bool) -> list[Found]:
    """Return the highest peak above the coarse grid, for the only V of a problem or for each of several."""
    count = 1 if several is None else several
    grid, shape = grid_of(problem) if problem.parts.q else (np.zeros((1, 0)), (1,))
    x = np.concatenate([grid, *face_grids(problem, grid)])
    which = None if several is None else np.repeat(np.arange(count), len(x))
    at = level(sums_at(problem.under(which), np.tile(x, (count, 1)), None, 0))
    values = (at.reml if reml else at.ml).reshape(count, -1)
    values = np.where(allowed(problem.parts, x), values, -np.inf)
    begin = [_tops_of_all(own, shape, wide=problem.labels.size <= FEW and not problem.heavy) for own in values]
    begin = [places if places.size else np.array([int(np.argmax(v))]) for places, v in zip(begin, values, strict=True)]
    owner = np.repeat(np.arange(count), [len(places) for places in begin])
    climbed = climb_from(
        problem, x[np.concatenate(begin)], None, reml=reml, which=None if several is None else owner, fits=owner
    )
    return [_highest(problem, climbed.take(np.flatnonzero(owner == k))) for k in range(count)]


def replicate_peaks(problem: Problem, found: Found, counts: Floats, *, reml: bool) -> Peak:
    """Return the peaks of replicates whose clusters enter as often as counts (R, B) say.

    Each climbs from the peak of all rows. Where rows are few another peak of the replicate may be higher: it climbs
    from the peaks that lost, and from its own tops of the coarse grid, too, as if it were alone, and the highest end
    counts.
    """
    if problem.labels.size > FEW or problem.heavy or not problem.parts.q or not len(counts):
        return climb_from(problem, np.repeat(found.peak.x, len(counts), axis=0), counts, reml=reml)
    grid, shape = grid_of(problem)
    grid = np.concatenate([grid, *face_grids(problem, grid)])
    known = np.concatenate([found.peak.x, found.rivals])
    parts: list[Peak] = []
    for i in range(0, len(counts), TOGETHER):
        own = counts[i : i + TOGETHER]
        begin = _tops_of(problem, grid, shape, own, reml=reml)
        owner = np.repeat(np.arange(len(own)), [len(known) + len(places) for places in begin])
        x = np.concatenate([np.concatenate([known, grid[places]]) for places in begin])
        peaks = climb_from(problem, x, own[owner], reml=reml, fits=owner)
        parts.append(
            peaks.take(np.array([_by_height(problem, peaks, np.flatnonzero(owner == r))[0] for r in range(len(own))]))
        )
    return joined(parts)


def _tops_of(problem: Problem, grid: Floats, shape: tuple[int, ...], counts: Floats, *, reml: bool) -> list[Places]:
    """Return the tops of the grid under each of several counts of clusters."""
    R = len(counts)
    at = level(sums_at(problem, np.tile(grid, (R, 1)), np.repeat(counts, len(grid), axis=0), 0))
    values = (at.reml if reml else at.ml).reshape(R, -1)
    values = np.where(allowed(problem.parts, grid), values, -np.inf)
    return [_tops_of_all(own, shape, wide=True) for own in values]


def _tops_of_all(values: Floats, shape: tuple[int, ...], *, wide: bool) -> Places:
    """Return the tops of the grid, and those of the same grid on every face."""
    size = int(np.prod(shape))
    parts = [tops(values[i : i + size], shape, wide=wide) + i for i in range(0, values.size, size)]
    return np.concatenate(parts)


def _by_height(problem: Problem, peaks: Peak, which: Places) -> Places:
    """Return some climbs, the highest first; of those that rounding alone tells apart, that with the least slope.

    Before that counts how many parameters stand at a bound: of a likelihood that is flat up to a bound, a climb that
    ends inside shows which parameters the data do not tell.
    """
    values = np.where(peaks.converged[which], peaks.at.value[which], -np.inf)
    at = peaks.at.take(which)
    slopes = (np.where(peaks.resting[which], 0.0, at.gradient * scale_of(at)) ** 2).sum(axis=1)
    order = np.argsort(-values, kind="stable")
    alike = np.flatnonzero(values[order] >= values[order[0]] - LEVEL)
    if alike.size > 1:
        x = peaks.x[which][order[alike]]
        lower, upper = _bounds(problem, x)
        ends = ((x <= lower) | (x >= upper)).sum(axis=1)
        order[alike] = order[alike][np.lexsort((slopes[order[alike]], ends))]
    return which[order]


def _highest(problem: Problem, peaks: Peak) -> Found:
    """Return the highest of the climbs of one fit, and the lower peaks."""
    alone = np.flatnonzero(peaks.converged)
    if alone.size == 1:
        return Found(peaks.take(alone), np.zeros((0, peaks.x.shape[1])), np.zeros(0))
    values = np.where(peaks.converged, peaks.at.value, -np.inf)
    order = _by_height(problem, peaks, np.arange(values.size))
    ended = order[: max(1, int(np.isfinite(values).sum()))]
    other = ended[1:][np.diff(values[ended]) < -SAME]
    return Found(peaks.take(order[:1]), peaks.x[other], values.max() - values[other])


def _bounds(problem: Problem, x: Floats) -> tuple[Floats, Floats]:
    """Return the range (R, q) of each search; what is given stays where the start has it."""
    lower = np.repeat(np.concatenate([np.zeros(0), *(c.lower for c in problem.parts.charts)])[None], len(x), axis=0)
    upper = np.repeat(np.concatenate([np.zeros(0), *(c.upper for c in problem.parts.charts)])[None], len(x), axis=0)
    for term, start in zip(problem.terms, problem.parts.starts, strict=True):
        for i, value in enumerate(term.fixed):
            if value is not None:
                lower[:, start + i] = upper[:, start + i] = x[:, start + i]
    return on_faces(problem, x, lower, upper)
