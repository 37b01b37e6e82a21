"""The orchard plot: effects as circles sized by precision, the mean of each group with both its intervals."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metaback.numbers import as_given
from metaback.plots.dots import tell
from metaback.plots.orchard_data import OrchardData, OrchardGroup, orchard_data, size_steps
from metaback.plots.page import (
    Page,
    Scale,
    bare,
    draw_scale,
    figure_of,
    finite,
    name_scale,
    note_lines,
    notes_height,
    padded,
    page,
)
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import Ruler, ruler
from metaback.postestimation.summary import Analysis

__all__ = ["draw_orchard", "orchard_data"]

PANEL = 3.6  # inches
LARGEST, SMALLEST = 11.0, 2.2  # points, diameters of circles
SPREAD = 0.40  # of a row on either side of its middle that circles may take
ROW, MOST = 0.62, 1.25  # inches: height of a row, and of one with many effects
BELOW = 0.46
FILL = ("#56B4E9", "#BDBDBD")  # circles of the groups, and of all effects


def draw_orchard(data: OrchardData, *, style: Style | None = None, ax: Axes | None = None) -> Figure:
    """Draw one row for each group as a new figure with key and notes; with `ax`, the panel alone in those axes.

    The figure is registered nowhere and its label is the text alternative.
    """
    look = style or Style()
    texts = [data.title, data.axis_title, *(data.favours or ()), *data.footnotes]
    measure = ruler(look, [*texts, *(group.name for group in data.groups)])
    rows = _rows(data)
    with drawing(look):
        if ax is not None:
            bare(ax)
            _panel(ax, data, rows, measure)
            middles = [top + height / 2 for top, height in rows]
            font = measure.face.properties(look.size)
            names = [measure.wrap(group.name, look.label_width, lines=1).lines[0] for group in data.groups]
            ax.set_yticks(middles, names, color=look.ink, fontproperties=font, parse_math=False)
            ax.tick_params(axis="y", length=0)
            return figure_of(ax)
        sheet, left, top, right = _sheet(data, rows, measure)
        _panel(sheet.axes(left, top, PANEL, _depth(rows)), data, rows, measure)
        for group, (start, height) in zip(data.groups, rows, strict=True):
            middle = top + start + height / 2 + 0.36 * look.size / 72
            whole = group is data.groups[-1]
            sheet.label(look.margin, middle - 0.55 * look.line_height, group.name, left, bold=True)
            sheet.write(look.margin, middle + 0.55 * look.line_height, group.counts, colour=look.muted)
            for i, text in enumerate(_lines(group)):
                sheet.write(
                    right, middle + (i - (len(_lines(group)) - 1) / 2) * 1.1 * look.line_height, text, bold=whole
                )
        return sheet.figure


def _lines(group: OrchardGroup) -> list[str]:
    """Return the numbers of a group, the prediction interval on a line of its own."""
    return [part.strip() for part in group.text.split(";") if part]


def _depth(rows: list[tuple[float, float]]) -> float:
    """Return the height of all rows together."""
    return sum(height for _, height in rows)


def _rows(data: OrchardData) -> list[tuple[float, float]]:
    """Return top and height of each row in inches: the more effects the higher."""
    heights = [min(MOST, ROW * max(1.0, (group.effects.size / 25) ** 0.35)) for group in data.groups]
    tops = [sum(heights[:i]) for i in range(len(heights))]
    return list(zip(tops, heights, strict=True))


def _sheet(data: OrchardData, rows: list[tuple[float, float]], measure: Ruler) -> tuple[Page, float, float, float]:
    """Return the page with title, key and notes; the left edge and top of the panel, and the left of the numbers."""
    look = measure.style
    margin = look.margin
    names = max(measure.widest([measure.face.printable(group.name) for group in data.groups], bold=True), 0.3)
    label = max(min(names + 0.02, look.label_width), measure.widest([group.counts for group in data.groups]))
    numbers = measure.widest([line for group in data.groups for line in _lines(group)], bold=True)
    left = margin + label + 0.15
    right = left + PANEL + 0.15
    width = right + numbers + margin
    notes = note_lines(measure, data.footnotes, width - 2 * margin)
    titles = measure.wrap(data.title, width - 2 * margin, lines=2, size=look.title_size, bold=True).lines
    titles = titles if data.title else ()
    top = margin + 1.25 * len(titles) * look.title_size / 72 + 2.4 * look.line_height
    favours = 1.2 * look.line_height if data.favours and data.null is not None else 0.0
    foot = top + _depth(rows) + BELOW + favours
    sheet = page(width, foot + notes_height(look, notes) + margin, measure, data.alt)
    for i, line in enumerate(titles):
        sheet.write(margin, margin + (1 + 1.25 * i) * look.title_size / 72, line, size=look.title_size, bold=True)
    _size_key(sheet, data, left, top - 1.2 * look.line_height)
    sheet.notes(foot, notes)
    return sheet, left, top, right


def _size_key(sheet: Page, data: OrchardData, x: float, y: float) -> None:
    """Draw circles of round precisions with their numbers."""
    top = _top(data)
    words = "Precision (1/SE):"
    sheet.write(x, y, words)
    x += sheet.measure.width(words) + 0.12
    middle = sheet.height - y + 0.32 * sheet.style.size / 72
    for value in size_steps(data):
        side = _diameter(value, top)
        mark = Line2D(
            [x + side / 144], [middle], marker="o", markersize=side, markerfacecolor=FILL[0], alpha=0.8,
            markeredgecolor=sheet.style.ink, markeredgewidth=0.4, linestyle="none",
            transform=sheet.figure.dpi_scale_trans,
        )  # fmt: skip
        sheet.figure.add_artist(mark)
        text = as_given(value)
        sheet.write(x + side / 72 + 0.05, y, text)
        x += side / 72 + 0.2 + sheet.measure.width(text)


def _top(data: OrchardData) -> float:
    """Return the largest precision."""
    return max((float(group.precision.max()) for group in data.groups if group.precision.size), default=1.0)


def _diameter(precision: float, top: float) -> float:
    """Return the diameter of a circle in points: its area is proportional to precision, but never too small to see."""
    return max(SMALLEST, LARGEST * math.sqrt(precision / top))


def _limits(data: OrchardData) -> tuple[float, float]:
    """Return limits that hold all effects, means and intervals, and no effect."""
    kept = [] if data.null is None else [data.null]
    for group in data.groups:
        kept += [*finite(group.effects.tolist()), *finite(group.mean or ()), *finite(group.prediction or ())]
    span = [value for group in data.groups for value in group.effects.tolist()]
    low, high = min(span), max(span)
    reach = max(1.5 * (high - low), 2 / _top(data))
    kept = [value for value in kept if low - reach <= value <= high + reach] or [low, high]
    return padded(min(kept), max(kept), 0.04)


def _panel(ax: Axes, data: OrchardData, rows: list[tuple[float, float]], measure: Ruler) -> None:
    """Draw circles, intervals and means."""
    style = measure.style
    low, high = _limits(data)
    ax.set_ylim(_depth(rows), 0.0)
    draw_scale(ax, "bottom", (low, high), Scale(data.back, data.size, data.null), measure)
    name_scale(ax, "bottom", data.axis_title, measure)
    if data.favours is not None and data.null is not None and low <= data.null <= high:
        _favours(ax, data.favours, data.null, measure)
    if data.null is not None and low <= data.null <= high:
        ax.axvline(data.null, color=style.ink, linewidth=0.6, zorder=1)
    top = _top(data)
    for place, (group, (start, height)) in enumerate(zip(data.groups, rows, strict=True)):
        whole = place == len(data.groups) - 1
        middle = start + height / 2
        if whole and len(data.groups) > 1:
            ax.axhline(start, color=style.ink, linewidth=0.5, zorder=0)
        areas = np.array([_diameter(value, top) ** 2 for value in group.precision.tolist()])
        circles = ax.scatter(
            group.effects, middle + SPREAD * height * group.places, s=areas, color=FILL[whole], alpha=0.55,
            edgecolors=style.ink, linewidths=0.35, zorder=2, clip_on=True,
        )  # fmt: skip
        tell(circles, f"studies-{place}", group.tips)
        _trunk(ax, group, middle, style, whole=whole)


def _favours(ax: Axes, words: tuple[str, str], null: float, measure: Ruler) -> None:
    """Write under the title of the axis whom effects on either side of no effect favour."""
    style = measure.style
    font = measure.face.properties(style.size)
    for text, side, arrow in zip(words, ("right", "left"), ("\u2190\u00a0{}", "{}\u00a0\u2192"), strict=True):
        ax.annotate(
            arrow.format(measure.face.printable(text)), (null, 0.0), xycoords=("data", "axes fraction"),
            xytext=(-5 if side == "right" else 5, -29 - style.size), textcoords="offset points", ha=side, va="baseline",
            color=style.ink, fontproperties=font, parse_math=False, annotation_clip=False,
        )  # fmt: skip


def _trunk(ax: Axes, group: OrchardGroup, middle: float, style: Style, *, whole: bool) -> None:
    """Draw the mean with its intervals."""
    if group.mean is None:
        return
    low, high = ax.get_xlim()
    point, lower, upper = group.mean
    for limits, width in ((group.prediction, 0.9), ((lower, upper), 3.0)):
        if limits is None:
            continue
        ends = [min(max(value, low), high) for value in limits]
        ax.plot(ends, [middle] * 2, color=style.ink, linewidth=width, zorder=3, solid_capstyle="butt")
        for over, edge, marker in ((limits[0] < low, low, "<"), (limits[1] > high, high, ">")):
            if over:
                ax.plot([edge], [middle], marker, markersize=6, color=style.ink, zorder=3, clip_on=False)
    if low <= point <= high:
        face = style.diamond_colour if whole else style.prediction_colour
        ax.plot(
            [point], [middle], "D" if whole else "o", markersize=8.0, markerfacecolor=face, markeredgecolor="white",
            markeredgewidth=1.0, zorder=5,
        )  # fmt: skip


@figure("orchard", title="Orchard plot", cite="nakagawa2021")
def draw_orchard_figure(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    title: str | None = None,
) -> Figure:
    """Draw every effect by its precision, with the mean of each subgroup and of all and both intervals."""
    return draw_orchard(orchard_data(analysis, title=title), style=style, ax=ax)
