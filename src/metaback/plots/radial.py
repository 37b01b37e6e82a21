"""Galbraith's radial plot: the effect of a study is the slope of its line, read off at the arc on the right."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.text import Text

from metaback.plots.chart import WIDTH, Chart, Words, draw_dots, open_chart, place_marks, plan_chart, write_names
from metaback.plots.chart_data import Names
from metaback.plots.labels import Box
from metaback.plots.page import PALE, Mark, Scale, scale_ticks
from metaback.plots.radial_data import RadialData, radial_data
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import ruler
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import percent
from metaback.stats.wls import Floats

__all__ = ["draw_radial", "radial_data"]

DOT = 4.6
CLEAR = 0.1  # inches between the outermost point and the arc
TICK = 0.05


@figure("radial", title="Radial plot", cite="galbraith1988")
def draw_radial_figure(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    names: Names = "outlying",
    title: str | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw the radial plot of a pool; options as in `radial_data`."""
    return draw_radial(radial_data(analysis, names=names, title=title), style=style, ax=ax, width=width)


def draw_radial(
    data: RadialData, *, style: Style | None = None, ax: Axes | None = None, width: float = WIDTH
) -> Figure:
    """Draw a radial plot as a new figure with its arc, or the panel and arc in `ax`."""
    look = style or Style()
    keys = (
        Mark("study", "o", look.diamond_colour, "white", size=5.5),
        Mark(f"pooled effect {data.pooled_text}", line="-", edge=look.prediction_colour),
        Mark(f"{percent(data.level)} band", "s", PALE, look.muted, size=6),
    )
    words = Words(data.title, data.x, data.y, keys, data.footnotes, data.alt)
    measure = ruler(look, [*words.all(), *data.labels, data.arc.title])
    size = np.full(data.z.size, DOT if data.z.size <= 60 else 3.2)
    line = np.linspace(0.0, data.x.high, 2)
    with drawing(look):
        room = 0.3 + measure.width("0.000") + 2 * look.line_height
        chart = plan_chart(words, measure, width=width, right=room, ax=ax)
        words = replace(words, x=replace(data.x, high=_reach(data, chart)))
        chart = plan_chart(words, measure, width=width, right=room, ax=ax)
        placement = place_marks(
            chart, data.precision, data.z, size, data.labels, data.named, lines=[(line, data.pooled * line)],
            blocked=_taken(data, chart),
        )  # fmt: skip
        drawn, panel = open_chart(chart, placement)
        _lines(panel, data, chart)
        draw_dots(panel, data.precision, data.z, size, data.tips, face=look.diamond_colour, edge="white")
        _arc(panel, data, chart)
        write_names(panel, placement, measure)
        return drawn


def _reach(data: RadialData, chart: Chart) -> float:
    """Return the end of the axis of 1 / s at which an arc as wide as the panel has all points within it."""
    unit = chart.height / (data.y.high - data.y.low)
    radius = max(chart.width - CLEAR, 0.5 * chart.width)
    up = np.minimum(np.abs(data.z) * unit, 0.95 * radius)
    per_unit = float((np.sqrt(radius**2 - up**2) / data.precision).min())
    return chart.width / per_unit


def _lines(ax: Axes, data: RadialData, chart: Chart) -> None:
    """Draw the pooled line with its band, and no effect, as far as the arc."""
    look, end = chart.measure.style, chart.words.x.high
    x = np.linspace(0.0, end, 300)
    foot, top = (np.clip(data.pooled * x + side, data.y.low, data.y.high) for side in (-data.band, data.band))
    corners = np.column_stack([np.append(x, x[::-1]), np.append(foot, top[::-1])])
    lines = [[(0.0, 0.0), (end, data.pooled * end)]]
    made = [
        PolyCollection([corners], facecolors=PALE, linewidths=0, zorder=0),
        LineCollection(lines, colors=look.prediction_colour, linewidths=1.1, zorder=1.5),
    ]
    if data.arc.null is not None:
        made.append(LineCollection([[(0.0, 0.0), (end, 0.0)]], colors=look.ink, linewidths=0.6, zorder=1))
    origin = chart.inches(np.zeros(1), np.zeros(1))[0]
    centre = (float(origin[0]) / chart.width, float(origin[1]) / chart.height)
    disc = Ellipse(centre, 2.0, 2 * chart.width / chart.height, transform=ax.transAxes)
    for one in made:
        ax.add_collection(one, autolim=False)
        one.set_clip_path(disc)


def _on_arc(chart: Chart, slopes: Floats, further: float = 0.0) -> Floats:
    """Return where lines of some slopes from the origin meet the arc, (n, 2) in inches of the panel."""
    origin = chart.inches(np.zeros(1), np.zeros(1))[0]
    ends = chart.inches(np.full(slopes.size, chart.words.x.high), slopes * chart.words.x.high)
    away = ends - origin
    length = np.hypot(away[:, 0], away[:, 1])
    radius = chart.width + further
    return origin + away * (radius / length)[:, None]


def _arc(ax: Axes, data: RadialData, chart: Chart) -> None:
    """Draw the scale of effects: an arc around the origin with round ticks, and the interval of the pooled effect."""
    measure, look = chart.measure, chart.measure.style
    low, high = _visible(data, chart)
    fine = np.tan(np.linspace(math.atan(low), math.atan(high), 200))
    inside = (np.clip(np.array([data.low, data.high]), low, high)).tolist()
    ends = np.array([chart.width, chart.height])
    lines = [_on_arc(chart, fine) / ends]
    thick = np.linspace(float(inside[0]), float(inside[1]), 60)
    scale = Scale(data.arc.back, data.arc.size, data.arc.null)
    ticks = scale_ticks(low, high, scale, measure, inches=_length(chart, fine), side="left")
    at = np.array(ticks.positions)
    marks = np.stack([_on_arc(chart, at) / ends, _on_arc(chart, at, TICK) / ends], axis=1)
    bold = [_on_arc(chart, thick) / ends]
    for parts, thickness, colour in (
        (lines, 0.7, look.ink), (list(marks), 0.7, look.ink), (bold, 3.0, look.prediction_colour),
    ):  # fmt: skip
        made = LineCollection(
            parts, colors=colour, linewidths=thickness, transform=ax.transAxes, clip_on=False, zorder=4
        )
        ax.add_collection(made, autolim=False)
    for label, (x, y) in zip(ticks.labels, (_on_arc(chart, at, TICK + 0.04) / ends).tolist(), strict=True):
        _write(ax, x, y, label, chart)
    side = (chart.width + TICK + 0.12 + measure.widest(ticks.labels)) / chart.width
    for i, line in enumerate(measure.wrap(data.arc.title, chart.height, lines=2).lines):
        _write(ax, side + (0.07 + i * look.line_height) / chart.width, 0.5, line, chart, turned=True)


def _taken(data: RadialData, chart: Chart) -> list[Box]:
    """Return the places of the arc and its labels, which names must not touch."""
    low, high = _visible(data, chart)
    slopes = np.tan(np.linspace(math.atan(low), math.atan(high), 90))
    wide, half = chart.measure.width("0.00"), chart.measure.style.line_height / 2
    on, beside = (_on_arc(chart, slopes, further).tolist() for further in (0.0, TICK + 0.04))
    return [Box(x, min(y, v) - half, u + wide, max(y, v) + half) for (x, y), (u, v) in zip(on, beside, strict=True)]


def _length(chart: Chart, slopes: Floats) -> float:
    """Return the length of the arc in inches."""
    points = _on_arc(chart, slopes)
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def _visible(data: RadialData, chart: Chart) -> tuple[float, float]:
    """Return the slopes at which the arc leaves the height of the panel, or those of the effects if they are nearer."""
    slopes = np.linspace(data.arc.low, data.arc.high, 2001)
    y = _on_arc(chart, slopes)[:, 1]
    half = chart.measure.style.line_height / 2
    seen = slopes[(y >= half) & (y <= chart.height)]
    if seen.size < 2:
        return data.arc.low, data.arc.high
    return float(seen[0]), float(seen[-1])


def _write(ax: Axes, x: float, y: float, text: str, chart: Chart, *, turned: bool = False) -> None:
    """Write a label of the arc or its title."""
    measure = chart.measure
    made = Text(
        x, y, measure.face.printable(text), color=measure.style.ink,
        fontproperties=measure.face.properties(measure.style.size), transform=ax.transAxes, parse_math=False,
        horizontalalignment="center" if turned else "left", verticalalignment="center", clip_on=False,
        rotation=270 if turned else 0,
    )  # fmt: skip
    ax.add_artist(made)
