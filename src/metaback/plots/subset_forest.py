"""The leave-one-out forest and the cumulative forest: forest plots whose rows are pools."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metaback.plots.forest import draw_forest
from metaback.plots.registry import figure
from metaback.plots.style import Style
from metaback.plots.subset_forest_data import cumulative_forest_data, in_layout, leave_one_out_forest_data
from metaback.postestimation.cumulative import cumulative
from metaback.postestimation.leave_one_out import leave_one_out
from metaback.postestimation.summary import Analysis


@figure("leave-one-out", title="Leave-one-out forest", cite="viechtbauer2010b")
def draw_leave_one_out(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    by: str | None = None,
    title: str | None = None,
    layout: str = "standard",
) -> Figure:
    """Draw the pool without each row in turn, or with by="study" without all rows of each study; layout: as forest."""
    data = leave_one_out_forest_data(analysis, leave_one_out(analysis, by=by), title=title)
    data = in_layout(data, layout)
    return draw_forest(data, style=style, ax=ax)


@figure("cumulative", title="Cumulative forest", cite="lau1995")
def draw_cumulative(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    order: str | Sequence[float] | None = None,
    descending: bool = False,
    collapse: bool = False,
    title: str | None = None,
    layout: str = "standard",
) -> Figure:
    """Draw the pool of the first study, of the first two and so on; order, descending and collapse as `cumulative`.

    layout: as of the forest plot.
    """
    found = cumulative(analysis, order=order, descending=descending, collapse=collapse)
    data = in_layout(cumulative_forest_data(analysis, found, title=title), layout)
    return draw_forest(data, style=style, ax=ax)
