"""The drapery plot: P value functions of the studies, of the pool and of a new setting."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from metaback.numbers import as_given, fixed
from metaback.plots.chart import WIDTH, Words, open_chart, plan_chart
from metaback.plots.dots import tell
from metaback.plots.drapery_data import DraperyData, drapery_data
from metaback.plots.page import Mark
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import ruler
from metaback.postestimation.summary import Analysis
from metaback.stats.wls import Floats

__all__ = ["drapery_data", "draw_drapery"]

LIGHT, DARK = 0.82, 0.45  # grey of the lightest and the heaviest study
RIM = 1.6  # points of white around a pooled curve


@figure("drapery", title="Drapery plot", cite="rucker2021")
def draw_drapery_figure(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    title: str | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw the drapery plot of a pool; options as in `drapery_data`."""
    return draw_drapery(drapery_data(analysis, title=title), style=style, ax=ax, width=width)


def draw_drapery(
    data: DraperyData, *, style: Style | None = None, ax: Axes | None = None, width: float = WIDTH
) -> Figure:
    """Draw a drapery plot as a new figure with its key, or the panel alone in `ax`."""
    look = style or Style()
    keys = [
        Mark("study", line="-", edge="#8C8C8C"),
        Mark(f"pooled {data.pooled_text}", line="-", edge=look.diamond_colour),
    ]
    keys += [Mark("prediction", line="--", edge=look.prediction_colour)] if data.pi is not None else []
    keys.append(Mark(f"P = {as_given(1 - data.level)}", line=":", edge=look.ink))
    words = Words(data.title, data.x, data.y, tuple(keys), data.footnotes, data.alt)
    measure = ruler(look, words.all())
    with drawing(look):
        chart = plan_chart(words, measure, width=width, ax=ax)
        drawn, panel = open_chart(chart)
        _studies(panel, data)
        cut = 1 - data.level
        lines = [[(data.x.low, cut), (data.x.high, cut)]]
        panel.add_collection(
            LineCollection(lines, colors=look.ink, linewidths=0.7, linestyles=[(0, (1.2, 1.5))], zorder=2),
            autolim=False,
        )
        if data.x.null is not None:
            upright = LineCollection([[(0.0, 0.0), (0.0, 1.0)]], colors=look.ink, linewidths=0.6, zorder=1)
            panel.add_collection(upright, autolim=False)
        if data.pi is not None:
            _one(panel, data, data.prediction, data.pi, (look.prediction_colour, 1.3, (0, (4, 1.5)), 3.0))
        _one(panel, data, data.pooled, data.ci, (look.diamond_colour, 2.0, "-", 4.0))
        return drawn


def _studies(ax: Axes, data: DraperyData) -> None:
    """Draw the curves of the studies, the heavier the darker, the heaviest last."""
    share = np.nan_to_num(data.weight) / max(float(np.nanmax(data.weight)), 1e-300)
    order = np.argsort(share, kind="stable")
    greys = [str(round(LIGHT - (LIGHT - DARK) * float(share[i]), 3)) for i in order.tolist()]
    curves = [np.column_stack([data.grid, data.studies[i]]) for i in order.tolist()]
    thin = 0.7 if len(curves) <= 60 else 0.35
    made = LineCollection(curves, colors=greys, linewidths=thin, zorder=1.5)
    told = zip(data.labels, data.weight.tolist(), strict=True)
    tips = [f"{label}: weight {fixed(weight, 1)}%" for label, weight in told]
    places: list[int] = order.tolist()
    tell(made, "studies", [tips[i] for i in places])
    ax.add_collection(made, autolim=False)


def _one(
    ax: Axes, data: DraperyData, curve: Floats | None, ends: tuple[float, float], pen: tuple[str, float, object, float]
) -> None:
    """Draw the curve of the pool or the prediction, or a bar at the level where it has none.

    A white rim sets it off from the curves of many studies where there is no colour.
    """
    colour, width, dashes, order = pen
    points = (
        np.column_stack([np.clip(ends, data.x.low, data.x.high), np.full(2, 1 - data.level)])
        if curve is None
        else np.column_stack([data.grid, curve])
    )
    wide = width if curve is not None else 2 * width
    rim = LineCollection([points], colors="white", linewidths=wide + RIM, zorder=order - 0.1)
    made = LineCollection([points], colors=colour, linewidths=wide, linestyles=[dashes], zorder=order)
    for each in (rim, made):
        ax.add_collection(each, autolim=False)
