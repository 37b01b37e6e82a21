"""The contents of a bubble plot as plain values: effects against a moderator, with the fitted line or strips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metaback.design.moderators import Moderator
from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.numbers import as_given, humanise, significant
from metaback.plots.chart_data import (
    ChartAxis,
    Names,
    chosen_names,
    effect_title,
    heading,
    labels_of,
    outlying,
    shown_way,
    span,
    too_many,
)
from metaback.postestimation.adjusted_line import adjusted_line
from metaback.postestimation.regression import Prediction, RegressionAnalysis, adjusted_means
from metaback.postestimation.words import (
    coefficient_text,
    effect_digits,
    estimate_cell,
    measure_name,
    percent,
    plural,
    sentence_case,
)
from metaback.stats.measures.family import has_null
from metaback.stats.wls import Floats, shares

GRID, COARSE_GRID, MANY = 81, 25, 1000  # values of the line, and from how many rows on the coarser ones
_STRIP = 0.30  # half of the width over which points of a level are spread


@dataclass(frozen=True, slots=True)
class BubbleData:
    """A bubble plot before it is drawn; effects are on the analysis scale.

    at: (k,) values of the moderator in the rows in use, or place of the level (0, 1 ...) with a shift that keeps points
    apart. effect, weight: (k,) effects and percent. grid: (g,) values of the line, or places of the levels; mean, low,
    high: (g,) fitted effect with its interval; far_low, far_high: (g,) prediction interval, nan where there is none.
    strips: whether the moderator is a factor.
    """

    title: str
    x: ChartAxis
    y: ChartAxis
    labels: tuple[str, ...]
    at: Floats
    effect: Floats
    weight: Floats
    grid: Floats
    mean: Floats
    low: Floats
    high: Floats
    far_low: Floats
    far_high: Floats
    strips: bool
    level: float
    named: tuple[int, ...]
    tips: tuple[str, ...]
    footnotes: tuple[str, ...]
    alt: str


def bubble_data(
    analysis: RegressionAnalysis, *, of: str | None = None, names: Names = "outlying", title: str | None = None
) -> BubbleData:
    """Write down the bubble plot of a regression: observed effects against one moderator, with what the model expects.

    of: the moderator; None takes the only one, or the first of numbers. The others are held at their means (factors at
    the shares of their levels) and a note says so. A factor is drawn as strips with its adjusted means. names:
    "outlying" (deleted residual beyond 1.96), "all", "none" or labels. Raises `OptionError` for an unknown moderator
    and a regression without any. Source: Thompson & Higgins 2002.

    >>> import metaback as mb
    >>> fit = mb.regress(mb.load_dataset("backpain").query("outcome == 'pain'"), "~ weeks")
    >>> data = bubble_data(fit.analysis)
    >>> data.x.title, data.strips, len(data.labels)
    ('Weeks', False, 19)
    """
    fitted = analysis.fitted
    column = _column(analysis, of)
    used = fitted.design.used
    places: list[int] = np.flatnonzero(used).tolist()
    effects = fitted.effects
    at, grid, found = _expected(analysis, column)
    labels = labels_of(effects, used)
    mean, low, high = (np.array([getattr(one.mean, name) for one in found]) for name in ("point", "lower", "upper"))
    far_low, far_high = (_far(found, name) for name in ("lower", "upper"))
    first = found[0].mean
    y = span(effects.yi[used], low, high, *_near(effects.yi[used], far_low, far_high))
    null = 0.0 if has_null(effects.measure) else None
    return BubbleData(
        title=heading("Meta-regression", effects, title),
        x=_across(at, column),
        y=ChartAxis(*y, effect_title(effects, first), shown_way(first), None, null),
        labels=labels,
        at=at,
        effect=effects.yi[used],
        weight=100 * shares(effects.vi[None, used], used[None, used], fitted.fit.theta[..., 0].reshape(1))[0],
        grid=grid,
        mean=mean,
        low=low,
        high=high,
        far_low=far_low,
        far_high=far_high,
        strips=column.numbers is None,
        level=first.level,
        named=chosen_names(names, labels, outlying(fitted, names, used)),
        tips=_tips(analysis, places, column, first),
        footnotes=(*_footnotes(analysis, column, found), *too_many(names, len(labels))),
        alt=_alt(analysis, column, found),
    )


def _column(analysis: RegressionAnalysis, of: str | None) -> Moderator:
    """Return the moderator that is drawn."""
    columns = {column.name: column for column in analysis.fitted.design.moderators}
    if not columns:
        raise OptionError("a bubble plot shows effects against a moderator; this regression has none")
    if of is not None and of not in columns:
        raise OptionError.unknown("of", of, columns)
    numeric = [column for column in columns.values() if column.numbers is not None]
    return columns[of] if of is not None else (numeric or list(columns.values()))[0]


def _expected(analysis: RegressionAnalysis, column: Moderator) -> tuple[Floats, Floats, tuple[Prediction, ...]]:
    """Return where the points stand, where the model is asked, and what it expects there."""
    fitted, used = analysis.fitted, analysis.fitted.design.used
    if column.numbers is None:
        levels = [column.levels.index(column.texts[i]) for i in np.flatnonzero(used).tolist()]
        found = tuple(adjusted_means(fitted, column.name).values())
        return _strip_places(levels, fitted.effects.yi[used]), np.arange(len(column.levels), dtype=float), found
    at = column.numbers[used]
    few = COARSE_GRID if at.size > MANY and len(fitted.design.moderators) > 1 else GRID
    grid = np.linspace(float(at.min()), float(at.max()), few)
    return at, grid, adjusted_line(fitted, column.name, grid)


def _strip_places(levels: Sequence[int], effect: Floats) -> Floats:
    """Return the place of each point of a strip: neighbours in size stand side by side, the same on every run."""
    at = np.asarray(levels, dtype=float)
    for level in sorted(set(levels)):
        members = np.flatnonzero(at == level)
        order = members[np.argsort(effect[members], kind="stable")]
        turn = (np.arange(order.size) * 0.6180339887) % 1.0  # the golden ratio spreads any number of points evenly
        at[order] += 0.0 if order.size == 1 else (2 * turn - 1) * _STRIP
    return at


def _far(found: Sequence[Prediction], name: str) -> Floats:
    """Return one limit of the prediction intervals, nan where there is none."""
    return np.array([np.nan if one.interval is None else getattr(one.interval, name) for one in found], dtype=float)


def _near(effect: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the prediction limits that may stretch the axis: not those much further out than all effects."""
    reach = max(float(np.ptp(effect)), 1e-12)
    return np.maximum(low, float(effect.min()) - reach), np.minimum(high, float(effect.max()) + reach)


def _across(at: Floats, column: Moderator) -> ChartAxis:
    """Return the axis of the moderator."""
    name = sentence_case(humanise(column.name))
    if column.numbers is None:
        return ChartAxis(-0.5, len(column.levels) - 0.5, name, levels=tuple(humanise(x) for x in column.levels))
    return ChartAxis(*span(at), name)


def _tips(analysis: RegressionAnalysis, places: list[int], column: Moderator, like: Estimate) -> tuple[str, ...]:
    """Write the tip of each point: its study, its value of the moderator and its effect."""
    effects, digits = analysis.fitted.effects, effect_digits(like)
    values = column.texts if column.numbers is None else [as_given(value) for value in column.numbers.tolist()]
    rows = ((i, _like(like, float(effects.yi[i]))) for i in places)
    return tuple(f"{effects.labels[i]}: {values[i]}, {estimate_cell(one, digits).split(' ')[0]}" for i, one in rows)


def _like(like: Estimate, point: float) -> Estimate:
    """Return an effect without limits, shown as another one is."""
    return Estimate(point, np.nan, np.nan, np.nan, like.level, like.scale, back=like.back, size=like.size)


def _footnotes(analysis: RegressionAnalysis, column: Moderator, found: Sequence[Prediction]) -> list[str]:
    """Say what is drawn, what is held, and which rows are missing."""
    what = "Diamonds" if column.numbers is None else "Line"
    notes = ["Area of a circle: weight in the regression, 1 / (v + τ²)."]
    if analysis.dependent:
        bands = "the bands are those of the three-level model with cluster-robust variance"
        notes = [f"Area of a circle: 1 / (v + τ²), τ² of both levels. Rows of a study depend on each other: {bands}."]
    if others := [humanise(one.name) for one in analysis.fitted.design.moderators if one.name != column.name]:
        notes.append(
            f"{what} and bands: {', '.join(others)} held at the mean of the rows (a factor at the shares of its "
            "levels). Circles are the observed effects, not adjusted."
        )
    if all(one.interval is None for one in found):
        notes.append("No prediction band: the model or the number of effects gives none.")
    if analysis.left_out:
        notes.append(f"{plural(len(analysis.left_out), 'row')} without an effect or a moderator, not drawn.")
    return notes


def _alt(analysis: RegressionAnalysis, column: Moderator, found: Sequence[Prediction]) -> str:
    """Describe the figure."""
    effects, digits = analysis.fitted.effects, effect_digits(found[0].mean)
    ends = [estimate_cell(one.mean, digits) for one in found]
    what = f"{measure_name(effects)} against {humanise(column.name)}, {plural(analysis.k, 'effect')}"
    head = f"{heading('Meta-regression', effects, None)}: {what}"
    if column.numbers is None:
        said = "; ".join(f"{level}: {cell}" for level, cell in zip(column.levels, ends, strict=True)) + "."
    else:
        values = column.numbers[analysis.fitted.design.used]
        low, high = (significant(float(value), 4) for value in (values.min(), values.max()))
        alone = all(column.name == term.name or column.name not in term.name for term in analysis.terms)
        slope = analysis.coefficients.get(column.name) if alone else None
        told = f" Slope on the analysis scale {coefficient_text(slope)}." if slope is not None else ""
        said = f"fitted effect {ends[0]} at {low} and {ends[-1]} at {high}.{told}"
    return f"{head}. With {percent(found[0].mean.level)} intervals, {said}"
