"""The bubble plot of a meta-regression: circles by weight, the fitted line and its bands, or strips of a factor."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from metaback.plots.bubble_data import BubbleData, bubble_data
from metaback.plots.chart import (
    WIDTH,
    Words,
    diameters,
    draw_dots,
    numbered_levels,
    open_chart,
    place_marks,
    plan_chart,
    write_names,
)
from metaback.plots.chart_data import Names
from metaback.plots.page import Mark
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import ruler
from metaback.postestimation.regression import RegressionAnalysis
from metaback.postestimation.words import percent
from metaback.stats.wls import Floats

__all__ = ["bubble_data", "draw_bubble"]

BAND, FAR_BAND = "#B9CFDF", "#E6EDF3"  # confidence and prediction, apart in grey too
_BAR = 0.36  # half width of the bars of a strip


@figure("bubble", title="Bubble plot", cite="thompson2002", of=("regression",))
def draw_bubble_figure(
    analysis: RegressionAnalysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    of: str | None = None,
    names: Names = "outlying",
    title: str | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw the bubble plot of a regression; options as in `bubble_data`."""
    return draw_bubble(bubble_data(analysis, of=of, names=names, title=title), style=style, ax=ax, width=width)


def draw_bubble(
    data: BubbleData, *, style: Style | None = None, ax: Axes | None = None, width: float = WIDTH
) -> Figure:
    """Draw a bubble plot as a new figure with its key, or the panel alone in `ax`."""
    look = style or Style()
    words = Words(data.title, data.x, data.y, _keys(data, look), data.footnotes, data.alt)
    measure = ruler(look, [*words.all(), *data.labels])
    size = diameters(data.weight, len(data.labels))
    with drawing(look):
        chart = plan_chart(words, measure, width=width, ax=ax)
        chart = plan_chart(numbered_levels(words, chart), measure, width=width, ax=ax)
        lines = [] if data.strips else [(data.grid, data.mean)]
        placement = place_marks(chart, data.at, data.effect, size, data.labels, data.named, lines=lines)
        drawn, panel = open_chart(chart, placement)
        if data.y.null is not None:
            line = LineCollection([[(data.x.low, 0.0), (data.x.high, 0.0)]], colors=look.ink, linewidths=0.6, zorder=1)
            panel.add_collection(line, autolim=False)
        (_strips if data.strips else _line)(panel, data, look)
        draw_dots(panel, data.at, data.effect, size, data.tips, face=look.square_colour, edge=look.ink)
        write_names(panel, placement, measure)
        return drawn


def _keys(data: BubbleData, look: Style) -> tuple[Mark, ...]:
    """Return the key."""
    level = percent(data.level)
    marks = [Mark("study", "o", look.square_colour, look.ink, size=6)]
    if data.strips:
        marks.append(Mark("adjusted mean" if len(data.footnotes) > 1 else "mean", "D", look.diamond_colour, look.ink))
    else:
        marks.append(Mark("fitted line", line="-", edge=look.diamond_colour))
    marks.append(Mark(f"{level} CI", "s", BAND, look.muted, size=6))
    if np.isfinite(data.far_low).any():
        marks.append(Mark(f"{level} prediction", "s", FAR_BAND, look.muted, size=6))
    return tuple(marks)


def _line(ax: Axes, data: BubbleData, look: Style) -> None:
    """Draw the fitted line over its bands."""
    for low, high, colour, order in ((data.far_low, data.far_high, FAR_BAND, 0.1), (data.low, data.high, BAND, 0.2)):
        if np.isfinite(low).any():
            foot, top = _within(low, data), _within(high, data)
            ax.fill_between(data.grid, foot, top, color=colour, linewidth=0, zorder=order)
    line = list(zip(data.grid.tolist(), data.mean.tolist(), strict=True))
    ax.add_collection(LineCollection([line], colors=look.diamond_colour, linewidths=1.4, zorder=2), autolim=False)


def _within(values: Floats, data: BubbleData) -> Floats:
    """Bring values into the panel."""
    return np.clip(values, data.y.low, data.y.high)


def _strips(ax: Axes, data: BubbleData, look: Style) -> None:
    """Draw a box of the interval, a wider one of the prediction, and a diamond for each level."""
    for low, high, half, colour, order in (
        (data.far_low, data.far_high, _BAR, FAR_BAND, 0.1), (data.low, data.high, _BAR, BAND, 0.2),
    ):  # fmt: skip
        boxes = [
            [(x - half, a), (x + half, a), (x + half, b), (x - half, b)]
            for x, a, b in zip(
                data.grid.tolist(), _within(low, data).tolist(), _within(high, data).tolist(), strict=True
            )
            if np.isfinite(a)
        ]
        ax.add_collection(PolyCollection(boxes, facecolors=colour, linewidths=0, zorder=order), autolim=False)
    middle = [[(x - _BAR, y), (x + _BAR, y)] for x, y in zip(data.grid.tolist(), data.mean.tolist(), strict=True)]
    ax.add_collection(LineCollection(middle, colors=look.diamond_colour, linewidths=1.4, zorder=2), autolim=False)
    ax.plot(
        data.grid, data.mean, "D", markersize=6, markerfacecolor=look.diamond_colour, markeredgecolor="white",
        markeredgewidth=0.8, zorder=4, linestyle="none",
    )  # fmt: skip
