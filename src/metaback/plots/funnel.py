"""The contour-enhanced funnel plot: effects against their precision, shades of P around no effect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from metaback.numbers import as_given
from metaback.plots.chart import (
    WIDTH,
    Words,
    draw_dots,
    open_chart,
    place_marks,
    plan_chart,
    write_names,
)
from metaback.plots.chart_data import Names
from metaback.plots.funnel_data import CONTOURS, FunnelData, funnel_data, p_words
from metaback.plots.page import Mark
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import ruler
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import percent
from metaback.stats.wls import Floats

__all__ = ["draw_funnel", "funnel_data"]

DOT = 4.6  # diameter of a point, smaller where there are many
_SHADES = ("#BDBDBD", "#D9D9D9", "#EFEFEF")  # between contours, from the inner part outwards
_DASHES = (0, (4, 2.5))


@figure("funnel", title="Funnel plot", cite="peters2008 sterne2011")
def draw_funnel_figure(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    y: str = "se",
    contours: Sequence[float] = CONTOURS,
    names: Names = "outlying",
    title: str | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw the funnel plot of a pool; options as in `funnel_data`."""
    data = funnel_data(analysis, y=y, contours=contours, names=names, title=title)
    return draw_funnel(data, style=style, ax=ax, width=width)


def draw_funnel(
    data: FunnelData, *, style: Style | None = None, ax: Axes | None = None, width: float = WIDTH
) -> Figure:
    """Draw a funnel plot as a new figure with its key, or the panel alone in `ax`."""
    look = style or Style()
    words = Words(data.title, data.x, data.y, _keys(data, look), data.footnotes, data.alt, data.warning)
    measure = ruler(look, [*words.all(), *data.labels])
    size = np.full(data.effect.size, DOT if data.effect.size <= 60 else 3.2)
    with drawing(look):
        chart = plan_chart(words, measure, width=width, ax=ax)
        upright = [data.pooled] if data.x.null is None else [data.pooled, data.x.null]
        lines = [(np.full(2, at), np.array([data.y.low, data.y.high])) for at in upright]
        if data.limits is not None:
            lines += [(data.limits.low, data.grid), (data.limits.high, data.grid)]
        placement = place_marks(chart, data.effect, data.height, size, data.labels, data.named, lines=lines)
        drawn, panel = open_chart(chart, placement)
        _shades(panel, data)
        _lines(panel, data, look)
        draw_dots(panel, data.effect, data.height, size, data.tips, face=look.diamond_colour, edge="white")
        write_names(panel, placement, measure)
        return drawn


def _shade(data: FunnelData, i: int) -> str:
    """Return the shade beyond contour i, counted from no effect outwards; the last one is the lightest."""
    return _SHADES[max(0, min(len(_SHADES) - len(data.contours) + i, len(_SHADES) - 1))]


def _keys(data: FunnelData, look: Style) -> tuple[Mark, ...]:
    """Return the key: points, lines and shades."""
    marks = [
        Mark("study", "o", look.diamond_colour, "white", size=5.5),
        Mark(f"pooled effect {data.pooled_text}", line="-", edge=look.prediction_colour),
    ]
    if data.limits is not None:
        marks.append(Mark(f"{percent(data.level)} limits around it", line="--", edge=look.prediction_colour))
    if data.contours:
        marks.append(Mark(f"P > {as_given(data.contours[0].p)}", "s", "white", look.muted, size=6))
    for i, band in enumerate(data.contours):
        wider = data.contours[i + 1] if i + 1 < len(data.contours) else None
        marks.append(Mark(p_words(band, wider), "s", _shade(data, i), look.muted, size=6))
    return tuple(marks)


def _shades(ax: Axes, data: FunnelData) -> None:
    """Fill the parts between the contours, the outermost first."""
    if not data.contours:
        return
    low, high = data.x.low, data.x.high
    corners = [[(low, data.y.low), (high, data.y.low), (high, data.y.high), (low, data.y.high)]]
    last = len(data.contours) - 1
    faces = [_shade(data, last)]
    for i in range(last, -1, -1):
        corners.append(_between(data.contours[i].low, data.contours[i].high, data.grid, (low, high)))
        faces.append(_shade(data, i - 1) if i else "white")
    ax.add_collection(PolyCollection(corners, facecolors=faces, linewidths=0, zorder=0), autolim=False)


def _between(low: Floats, high: Floats, grid: Floats, ends: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the outline of the part between two curves, within the panel."""
    grid, low, high = _with_corners(grid, low, high, ends)
    left, right = np.clip(low, *ends), np.clip(high, *ends)
    there = list(zip(left.tolist(), grid.tolist(), strict=True))
    return there + list(zip(right[::-1].tolist(), grid[::-1].tolist(), strict=True))


def _with_corners(grid: Floats, low: Floats, high: Floats, ends: tuple[float, float]) -> tuple[Floats, Floats, Floats]:
    """Add the heights at which straight lines leave the panel; curves have points enough as they are."""
    if grid.size != 2:
        return grid, low, high
    out = [(end - side[0]) / (side[1] - side[0]) for side, end in zip((low, high), ends, strict=True)]
    share = np.array(sorted({0.0, 1.0, *(float(at) for at in out if 0 < at < 1)}))
    return (
        grid[0] + share * (grid[1] - grid[0]),
        low[0] + share * (low[1] - low[0]),
        high[0] + share * (high[1] - high[0]),
    )


def _lines(ax: Axes, data: FunnelData, look: Style) -> None:
    """Draw no effect, the pooled effect and the limits around it."""
    ends = (data.y.low, data.y.high)
    if data.x.null is not None:
        line = [(data.x.null, ends[0]), (data.x.null, ends[1])]
        ax.add_collection(LineCollection([line], colors=look.ink, linewidths=0.6, zorder=1), autolim=False)
    pooled = [(data.pooled, ends[0]), (data.pooled, ends[1])]
    ax.add_collection(
        LineCollection([pooled], colors=look.prediction_colour, linewidths=1.1, zorder=1.5), autolim=False
    )
    if data.limits is not None:
        sides = [
            list(zip(side.tolist(), data.grid.tolist(), strict=True)) for side in (data.limits.low, data.limits.high)
        ]
        dashes = LineCollection(
            sides, colors=look.prediction_colour, linewidths=0.9, linestyles=[_DASHES], zorder=1.5, clip_on=True
        )
        ax.add_collection(dashes, autolim=False)
