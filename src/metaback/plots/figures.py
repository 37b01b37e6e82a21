"""All figures by their keys: the modules are imported for the figures that they register."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metaback.plots import (
    baujat,
    bubble,
    drapery,
    forest,
    funnel,
    gosh,
    influence,
    labbe,
    orchard,
    profile,
    radial,
    rob,
    subset_forest,
)
from metaback.plots.registry import figure, find_figure
from metaback.postestimation.regression import RegressionAnalysis
from metaback.postestimation.summary import Analysis
from metaback.postestimation.working import needs_independent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaback.plots.style import Style

# the modules are imported for the figures that they register
MODULES = (
    forest,
    funnel,
    baujat,
    radial,
    labbe,
    drapery,
    bubble,
    influence,
    gosh,
    profile,
    orchard,
    rob,
    subset_forest,
)

# Figures of answers that take rows as independent, by what they are asked of: a pool has some of them by study.
OF_INDEPENDENT = {"pool": ("profile",), "regression": ("baujat", "influence")}


@figure("forest", title="Forest plot", cite="lewis2001")
def draw_forest_figure(
    analysis: Analysis, *, ax: Axes | None = None, style: Style | None = None, title: str | None = None
) -> Figure:
    """Draw the forest plot of a pool, as `Result.forest` does."""
    return forest.draw_forest(forest.forest_data(analysis, title=title), style=style, ax=ax)


def draw_figure(
    kind: str,
    analysis: Analysis | RegressionAnalysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    options: Mapping[str, Any] | None = None,
) -> Figure:
    """Draw a figure by its key.

    Raises `OptionError` for an unknown kind or option, and where the figure does not suit the analysis.
    """
    chosen = dict(options or {})
    source = "pool" if isinstance(analysis, Analysis) else "regression"
    entry = find_figure(kind, source, chosen)
    if kind in OF_INDEPENDENT[source]:
        needs_independent(analysis, f"figure {kind!r}")
    return entry.function(analysis, ax=ax, style=style, **chosen)
