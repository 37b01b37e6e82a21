"""The profile likelihood plot: the curve, the line that cuts its interval, and the interval on the axis."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metaback.numbers import fixed
from metaback.plots.page import (
    GREY,
    Mark,
    Scale,
    bare,
    draw_scale,
    figure_of,
    key_width,
    name_scale,
    note_lines,
    notes_height,
    padded,
    page,
)
from metaback.plots.profile_data import ProfileData, profile_data
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import Ruler, ruler
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import percent

__all__ = ["draw_profile", "profile_data"]

WIDE, HIGH = 3.8, 2.6  # inches
AXIS, BELOW = 0.7, 0.5
DEEPEST = 2.2  # times the cut that the axis reaches down


def draw_profile(data: ProfileData, *, style: Style | None = None, ax: Axes | None = None) -> Figure:
    """Draw the curve as a new figure with key and notes; with `ax`, the panel alone in those axes.

    The figure is registered nowhere and its label is the text alternative.
    """
    look = style or Style()
    measure = ruler(look, [data.title, data.axis_title, *data.footnotes])
    with drawing(look):
        if ax is not None:
            bare(ax)
            _curve(ax, data, measure)
            return figure_of(ax)
        margin = look.margin
        marks = _marks(data, look)
        width = max(margin + AXIS + WIDE + margin, key_width(measure, marks) + 2 * margin)
        notes = note_lines(measure, data.footnotes, width - 2 * margin)
        titles = measure.wrap(data.title, width - 2 * margin, lines=2, size=look.title_size, bold=True).lines
        titles = titles if data.title else ()
        head = margin + 1.25 * len(titles) * look.title_size / 72 + 2.4 * look.line_height
        foot = head + HIGH + BELOW + look.line_height
        sheet = page(width, foot + notes_height(look, notes) + margin, measure, data.alt)
        for i, line in enumerate(titles):
            at = margin + (1 + 1.25 * i) * look.title_size / 72
            sheet.write(margin, at, line, size=look.title_size, bold=True)
        sheet.key(margin, head - 1.2 * look.line_height, marks)
        sheet.notes(foot, notes)
        _curve(sheet.axes(margin + AXIS, head, width - AXIS - 2 * margin, HIGH), data, measure)
        return sheet.figure


def _marks(data: ProfileData, style: Style) -> list[Mark]:
    """Return the key."""
    marks = [
        Mark("highest", "D", style.prediction_colour, style.ink),
        Mark(f"cut of the {percent(data.level)} interval ({fixed(data.cut)})", line="--", edge=style.ink),
    ]
    return [*marks, Mark("crossing", "o", "white", style.ink)] if data.crossings.size else marks


def _curve(ax: Axes, data: ProfileData, measure: Ruler) -> None:
    """Draw the curve above its interval."""
    style = measure.style
    known = np.isfinite(data.drop)
    x, y = data.values[known], data.drop[known]
    low, high = padded(float(x.min()), float(x.max()), 0.02)
    low = max(low, 0.0) if data.of == "tau2" else low
    bottom = max(float(y.min()), DEEPEST * data.cut)
    bottom = min(bottom, 1.35 * data.cut)
    draw_scale(ax, "bottom", (low, high), Scale(data.back, data.size, data.null), measure)
    draw_scale(ax, "left", (bottom, -0.07 * bottom), Scale(), measure)
    name_scale(ax, "bottom", data.axis_title, measure)
    name_scale(ax, "left", data.side_title, measure)
    inside = (y >= data.cut) & (x >= data.low) & (x <= data.high)
    ax.fill_between(x, bottom, y, where=inside.tolist(), color="#DCE6EE", linewidth=0, zorder=0.5)
    if data.of == "mean" and data.null is not None and low < data.null < high:
        ax.axvline(data.null, color=style.ink, linewidth=0.6, zorder=1)
    ax.axhline(data.cut, color=style.ink, linewidth=0.8, linestyle=(0, (4, 2.5)), zorder=1)
    for at in data.crossings.tolist():
        ax.plot([at, at], [bottom, data.cut], color=GREY, linewidth=0.7, zorder=1)
    ax.plot(x, y, color=style.diamond_colour, linewidth=1.4, zorder=2)
    ax.plot(
        data.crossings, np.full(data.crossings.size, data.cut), "o", markersize=4.5, markerfacecolor="white",
        markeredgecolor=style.ink, markeredgewidth=0.8, zorder=3, clip_on=False,
    )  # fmt: skip
    ax.plot(
        [data.peak], [0.0], "D", markersize=5, markerfacecolor=style.prediction_colour, markeredgecolor=style.ink,
        markeredgewidth=0.8, zorder=4, clip_on=False,
    )  # fmt: skip


@figure("profile", title="Profile likelihood", cite="hardy1996")
def draw_profile_figure(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    of: str = "tau2",
    title: str | None = None,
) -> Figure:
    """Draw the profile log-likelihood of "tau2" or of the "mean"."""
    return draw_profile(profile_data(analysis, of=of, title=title), style=style, ax=ax)
