"""The plot of Baujat: what each study adds to the heterogeneity, against what it does to the result."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metaback.plots.baujat_data import BaujatData, baujat_data
from metaback.plots.chart import WIDTH, Words, draw_dots, open_chart, place_marks, plan_chart, write_names
from metaback.plots.chart_data import Names
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import ruler
from metaback.postestimation.regression import RegressionAnalysis
from metaback.postestimation.summary import Analysis

__all__ = ["baujat_data", "draw_baujat"]

DOT, DENSE_DOT, MANY = 5.0, 3.4, 60  # diameters in points, and from how many points on the smaller one


@figure("baujat", title="Plot of Baujat", cite="baujat2002", of=("pool", "regression"))
def draw_baujat_figure(
    analysis: Analysis | RegressionAnalysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    names: Names = "outlying",
    title: str | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw the plot of Baujat; options as in `baujat_data`."""
    return draw_baujat(baujat_data(analysis, names=names, title=title), style=style, ax=ax, width=width)


def draw_baujat(
    data: BaujatData, *, style: Style | None = None, ax: Axes | None = None, width: float = WIDTH
) -> Figure:
    """Draw the plot of Baujat as a new figure, or the panel alone in `ax`."""
    look = style or Style()
    words = Words(data.title, data.x, data.y, (), data.footnotes, data.alt)
    measure = ruler(look, [*words.all(), *data.labels])
    k = len(data.labels)
    size = np.full(k, DOT if k <= MANY else DENSE_DOT)
    with drawing(look):
        chart = plan_chart(words, measure, width=width, ax=ax)
        placement = place_marks(chart, data.heterogeneity, data.influence, size, data.labels, data.named)
        drawn, panel = open_chart(chart, placement)
        draw_dots(
            panel, data.heterogeneity, data.influence, size, data.tips, face=look.diamond_colour, edge="white",
        )  # fmt: skip
        write_names(panel, placement, measure)
        return drawn
