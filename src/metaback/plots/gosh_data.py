"""The contents of a GOSH plot as plain values: the density of all subsets, with and without a splitting study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.errors import EstimationError
from metaback.models.fitted import to_natural
from metaback.models.specs import estimates_tau2
from metaback.numbers import fixed
from metaback.plots.forest_words import axis_title
from metaback.postestimation.flips import one_line
from metaback.postestimation.gosh import Gosh
from metaback.postestimation.scales import way_back
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import comparison, effect_digits, i2_source, measure_short, plural
from metaback.stats.measures.family import has_null
from metaback.stats.scatter import blurred, cell_counts, holding
from metaback.stats.wls import Bools, Floats

MOST_CELLS, FEWEST_CELLS = 72, 24  # on each axis
FEW = 1500  # subsets up to which every one has a point
TALL = 1.6  # times the highest other bar that a bar of a histogram may reach
BLUR = 1.2  # cells
SHARES = (0.5, 0.95)  # of a cloud that its outlines hold
BULK = 0.1  # percent of subsets on either side that may lie beyond the axis


@dataclass(frozen=True, slots=True)
class Cloud:
    """One part of the subsets: what it is, how many it has, counts (cells, cells; rows are I2), and its outlines.

    outlines: heights of `smooth` above which it holds 50% and 95% of its subsets.
    """

    words: str
    size: int
    counts: Floats
    smooth: Floats
    outlines: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GoshData:
    """A GOSH plot before it is drawn: estimates across, I2 in percent up.

    clouds: all subsets, or those with and without the splitting study. edges: (cells + 1,) of both axes. points: (n, 2)
    where there are few subsets, else empty; members: (n,) those with the splitting study. whole: the pool of all.
    beyond: subsets that lie beyond the axes. every: what the pool of all is of, in words.
    """

    title: str
    axis_title: str
    side_title: str
    back: str
    size: float | None
    null: float | None
    split: str
    clouds: tuple[Cloud, ...]
    edges_x: Floats
    edges_y: Floats
    points: Floats
    members: Bools
    whole: tuple[float, float]
    beyond: int
    footnotes: tuple[str, ...]
    alt: str
    every: str = "all effects"


def gosh_data(analysis: Analysis, found: Gosh, *, study: str | None = None, title: str | None = None) -> GoshData:
    """Return the contents of a GOSH plot.

    study: whose subsets are told apart; None for the one that splits the cloud most cleanly, if any does. Subsets of
    one effect, which have no I2 from tau2, are left out and told.

    Raises `EstimationError` for one effect, `OptionError` for a study that was not pooled.
    """
    if len(found.labels) < 2:
        words = "a GOSH plot needs two {1}: of one there is one subset, the {0} itself"
        raise EstimationError(words.format(*found.unit))
    effects = analysis.fitted.effects
    split = (study or "") if study is not None or not found.splitting else found.splitting[0]
    known = np.isfinite(found.estimate) & np.isfinite(found.i2)
    if not known.any():
        raise EstimationError("no subset of these effects has both an estimate and I²")
    has = found.includes(split) if split else np.ones(known.size, dtype=bool)
    if not (has[known].any() and (~has[known]).any()):
        split = ""
    x, y, has = found.estimate[known], found.i2[known], has[known]
    cells = int(np.clip(2 * x.size ** (1 / 3), FEWEST_CELLS, MOST_CELLS))
    edges_x, edges_y = _edges(x, cells), np.linspace(0.0, 100.0 if y.max() > 40 else 50.0, cells + 1)
    clouds = _clouds(x, y, has, edges_x, edges_y, one_line(split))
    mean, shown = analysis.overall.mean, analysis.overall.heterogeneity
    i2 = shown.i2_q if i2_source(analysis.spec) == "Q" else shown.i2_tau2
    few = x.size <= FEW
    tall = int((y <= edges_y[1]).sum()) if side_top(clouds)[1] else 0
    beyond = int(((x < edges_x[0]) | (x > edges_x[-1])).sum())
    return GoshData(
        title=comparison(effects).known if title is None else title,
        axis_title=axis_title(effects, mean.way),
        side_title=f"I² from {i2_source(analysis.spec)} (%)",
        back=way_back(effects),
        size=mean.size,
        null=0.0 if has_null(effects.measure) else None,
        split=one_line(split),
        clouds=clouds,
        edges_x=edges_x,
        edges_y=edges_y,
        points=np.column_stack([x, y]) if few else np.empty((0, 2)),
        members=has if few else np.zeros(0, dtype=bool),
        whole=(mean.point, float(i2 if i2 is not None else np.nan)),
        beyond=beyond,
        footnotes=_footnotes(analysis, found, split, int(known.sum()), [beyond, tall]),
        alt=_alt(analysis, found, split),
        every=f"all {found.unit[1]}",
    )


def _edges(x: Floats, cells: int) -> Floats:
    """Return cells over the bulk of the estimates."""
    low, high = (float(value) for value in np.percentile(x, [BULK, 100 - BULK]))
    far_low, far_high = float(x.min()), float(x.max())
    reach = 0.25 * (high - low)
    low, high = max(far_low, low - reach), min(far_high, high + reach)
    pad = 0.03 * (high - low) or 0.5 * abs(low) or 0.5
    return np.linspace(low - pad, high + pad, cells + 1)


def _clouds(x: Floats, y: Floats, has: Bools, edges_x: Floats, edges_y: Floats, split: str) -> tuple[Cloud, ...]:
    """Count the subsets in cells: all, or those with and those without the splitting study."""
    parts = [(f"with {split}", has), (f"without {split}", ~has)] if split else [("all subsets", has)]
    made: list[Cloud] = []
    for words, keep in parts:
        if not keep.any():
            continue
        counts = cell_counts(x, y, edges_x, edges_y, keep)
        smooth = blurred(counts, BLUR)
        made.append(Cloud(words, int(keep.sum()), counts, smooth, tuple(holding(smooth, share) for share in SHARES)))
    return tuple(made)


def side_top(clouds: tuple[Cloud, ...]) -> tuple[float, bool]:
    """Return the highest count that the histogram of I2 shows, and whether the first bar, I2 of 0, goes on beyond."""
    total = np.sum([cloud.counts.sum(axis=1) for cloud in clouds], axis=0)
    most = TALL * float(total[1:].max())
    return (most, True) if 0 < most < float(total[0]) else (float(total.max()), False)


def _subsets(found: Gosh) -> str:
    """Say which subsets there are, with the seed of random ones."""
    total = f"{found.size.size:,}"
    k = plural(len(found.labels), *found.unit)
    if found.exact:
        return f"All {total} subsets of {k}"
    return f"{total} random subsets of {k} (each {found.unit[0]} in with probability 1/2, seed {found.seed})"


def _footnotes(analysis: Analysis, found: Gosh, split: str, drawn: int, beyond: list[int]) -> tuple[str, ...]:
    """Tell which subsets were pooled, what the outlines are, and who splits the cloud."""
    marks = "" if drawn <= FEW else " The darker, the more subsets; outlines hold 50% and 95% of a cloud."
    notes = [f"{_subsets(found)}, each pooled by the model of the analysis.{marks}"]
    d = np.fmax(found.d_estimate, found.d_i2)
    for name in found.splitting[:4]:
        i = found.labels.index(name)
        notes.append(f"{one_line(name)} splits the cloud (Ashman's D = {fixed(float(d[i]), 1)}, above 2).")
    if len(found.splitting) > 4:
        notes.append(f"{len(found.splitting) - 4} more studies split it.")
    if not found.splitting:
        notes.append("No single study splits the cloud (Ashman's D of none is above 2).")
    if split and split not in found.splitting:
        notes.append(f"Told apart on request: {one_line(split)}.")
    left = found.size.size - drawn
    if left:
        why = "which have no τ²" if estimates_tau2(analysis.spec) else "which have no I²"
        notes.append(f"Not drawn: {plural(left, 'subset')} of one {found.unit[0]}, {why}, or without an estimate.")
    if beyond[0]:
        notes.append(f"Beyond the axis: {plural(beyond[0], 'subset')}.")
    if beyond[1]:
        notes.append(f"The lowest bar of I² goes on beyond its panel: {plural(beyond[1], 'subset')}.")
    return tuple(notes)


def _alt(analysis: Analysis, found: Gosh, split: str) -> str:
    """Describe the figure in words."""
    name = comparison(analysis).known
    short = measure_short(analysis.fitted.effects)
    known = found.estimate[np.isfinite(found.estimate)]
    mean, way = analysis.overall.mean, way_back(analysis.fitted.effects)
    ends = sorted(to_natural(float(value), way, mean.size) for value in np.percentile(known, [2.5, 97.5]))
    low, high = (fixed(value, effect_digits(mean)) for value in ends)
    words = (
        f"GOSH plot{f' of {name}' if name else ''}. {_subsets(found)}: 95% of the estimates lie from {low} to {high}"
    )
    said = " ".join(found.sentences) or "No single study splits the cloud of results."
    return f"{words} ({short}). {said}"
