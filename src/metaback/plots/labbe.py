"""The plot of L'Abbe: the risk of one arm against that of the other, with the pooled effect as a curve."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from metaback.plots.chart import (
    SMALLEST,
    WIDTH,
    Words,
    diameters,
    draw_dots,
    open_chart,
    place_marks,
    plan_chart,
    write_names,
)
from metaback.plots.chart_data import Names
from metaback.plots.labbe_data import LabbeData, labbe_data
from metaback.plots.page import PALE, Mark
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import ruler
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import percent

__all__ = ["draw_labbe", "labbe_data"]


@figure("labbe", title="Plot of L'Abbé", cite="labbe1987")
def draw_labbe_figure(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    names: Names = "outlying",
    title: str | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw the plot of L'Abbe of a pool of counts; options as in `labbe_data`."""
    return draw_labbe(labbe_data(analysis, names=names, title=title), style=style, ax=ax, width=width)


def draw_labbe(data: LabbeData, *, style: Style | None = None, ax: Axes | None = None, width: float = WIDTH) -> Figure:
    """Draw a plot of L'Abbe as a new square figure with its key, or the panel alone in `ax`."""
    look = style or Style()
    pooled = np.isfinite(data.weight)
    keys = [
        Mark("study", "o", look.square_colour, look.ink, size=6),
        Mark(f"pooled {data.pooled_text}", line="-", edge=look.diamond_colour),
        Mark(f"{percent(data.level)} CI", "s", PALE, look.muted, size=6),
        Mark("equal risks", line="--", edge=look.ink),
    ]
    keys += [] if pooled.all() else [Mark("not pooled", "x", look.muted, look.muted)]
    words = Words(data.title, data.x, data.y, tuple(keys), data.footnotes, data.alt)
    measure = ruler(look, [*words.all(), *data.labels])
    size = np.where(pooled, diameters(data.weight, len(data.labels)), 2 * SMALLEST)
    with drawing(look):
        chart = plan_chart(words, measure, width=width, square=True, ax=ax)
        lines = [(data.grid, data.curve), (data.grid, data.grid)]
        placement = place_marks(chart, data.risk_2, data.risk_1, size, data.labels, data.named, lines=lines)
        drawn, panel = open_chart(chart, placement)
        _lines(panel, data, look)
        tips = [tip for tip, ok in zip(data.tips, pooled.tolist(), strict=True) if ok]
        draw_dots(
            panel, data.risk_2[pooled], data.risk_1[pooled], size[pooled], tips, face=look.square_colour, edge=look.ink,
        )  # fmt: skip
        panel.plot(
            data.risk_2[~pooled], data.risk_1[~pooled], "x", color=look.muted, markersize=4, clip_on=False, zorder=3
        )
        write_names(panel, placement, measure)
        return drawn


def _lines(ax: Axes, data: LabbeData, look: Style) -> None:
    """Draw the line of equal risks, the curve of the pooled effect and its band."""
    low = np.nan_to_num(data.low, nan=0.0 if data.low[0] != data.low[0] else data.y.high)
    high = np.where(np.isfinite(data.high), data.high, data.y.high)
    ax.fill_between(
        data.grid, np.minimum(low, data.y.high), np.minimum(high, data.y.high), color=PALE, linewidth=0, zorder=0
    )
    ends = [(0.0, 0.0), (data.x.high, data.x.high)]
    equal = LineCollection([ends], colors=look.ink, linewidths=0.7, linestyles=[(0, (4, 2.5))], zorder=1.6)
    curve = [point for point in zip(data.grid.tolist(), data.curve.tolist(), strict=True) if point[1] == point[1]]
    pooled = LineCollection([curve], colors=look.diamond_colour, linewidths=1.3, zorder=1.5)
    for made in (equal, pooled):
        ax.add_collection(made, autolim=False)
