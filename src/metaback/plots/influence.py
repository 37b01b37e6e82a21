"""The influence figure: eight diagnostics side by side, one row for each study, flagged rows marked by shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from metaback.numbers import significant
from metaback.plots.dots import tell
from metaback.plots.influence_data import InfluenceData, InfluencePanel, influence_data
from metaback.plots.page import (
    GREY,
    OPEN,
    STRIPE,
    Mark,
    Page,
    Scale,
    draw_scale,
    finite,
    key_width,
    note_lines,
    notes_height,
    padded,
    page,
    refuse_axes,
)
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import Ruler, ruler
from metaback.postestimation.summary import Analysis
from metaback.stats.wls import Bools, Floats

__all__ = ["draw_influence", "influence_data"]

PANEL, GAP = 0.76, 0.18  # inches
TICK_ROOM = 0.28


@dataclass(frozen=True, slots=True)
class _Plan:
    """Inches: left edge of the first panel, top of the rows, height of one, and the notes."""

    left: float
    top: float
    row: float
    labels: float
    marks: tuple[Mark, ...]
    notes: tuple[str, ...]
    width: float
    height: float


def draw_influence(data: InfluenceData, *, style: Style | None = None) -> Figure:
    """Draw eight panels over shared rows: circles, diamonds for influential and squares for outlying studies.

    Flagged rows have a grey stripe and a bold label too. The figure is registered nowhere and its label is the text
    alternative.
    """
    look = style or Style()
    texts = [data.title, *data.labels, *data.footnotes, *(panel.title for panel in data.panels)]
    measure = ruler(look, texts)
    with drawing(look):
        plan = _plan(data, measure)
        sheet = page(plan.width, plan.height, measure, data.alt)
        _words(sheet, data, plan)
        for i, panel in enumerate(data.panels):
            left = plan.left + i * (PANEL + GAP)
            ax = sheet.axes(left, plan.top, PANEL, plan.row * max(len(data.labels), 1))
            _panel(ax, panel, data, measure)
            title = measure.balanced(panel.title, PANEL + 0.6 * GAP, lines=2).lines
            for j, line in enumerate(reversed(title)):
                at = plan.top - (0.5 + j) * look.line_height
                sheet.write(left + PANEL / 2, at, line, align="center", bold=True)
        return sheet.figure


def _plan(data: InfluenceData, measure: Ruler) -> _Plan:
    """Place rows, panels and notes."""
    style = measure.style
    n = max(len(data.labels), 1)
    row = style.row_height(n)
    labels = (
        min(
            style.label_width,
            max(measure.widest(map(measure.face.printable, data.labels), bold=True) if data.labels else 0.0, 0.4),
        )
        + 0.02
    )
    left = style.margin + labels + 0.14
    width = left + 8 * PANEL + 7 * GAP + style.margin + 0.06
    marks = _marks(style)
    width = max(width, key_width(measure, marks) + 2 * style.margin)
    top = style.margin + (1.6 * style.title_size / 72 if data.title else 0.0) + 5.0 * style.line_height
    notes = note_lines(measure, data.footnotes, width - 2 * style.margin)
    height = top + n * row + TICK_ROOM + 0.5 * style.line_height + notes_height(style, notes) + style.margin
    return _Plan(left, top, row, labels, marks, notes, width, height)


def _marks(style: Style) -> tuple[Mark, ...]:
    """Return the key."""
    return (
        Mark("study", "o", style.square_colour, style.ink),
        Mark("outlying", "s", OPEN, style.ink),
        Mark("influential", "D", style.prediction_colour, style.ink),
        Mark("outlying and influential", "X", style.prediction_colour, style.ink, size=5.5),
    )


def _words(sheet: Page, data: InfluenceData, plan: _Plan) -> None:
    """Write title, key, labels and notes, with a stripe behind flagged rows."""
    style = sheet.style
    y = style.margin
    if data.title:
        y += style.title_size / 72
        room = plan.width - 2 * style.margin
        line = sheet.measure.wrap(data.title, room, lines=1, size=style.title_size, bold=True).lines[0]
        sheet.write(style.margin, y, line, size=style.title_size, bold=True)
    sheet.key(style.margin, y + 1.5 * style.line_height, plan.marks)
    rise = 0.36 * style.size / 72
    flagged = data.influential | data.outlying
    for i, label in enumerate(data.labels):
        middle = plan.top + (i + 0.5) * plan.row
        sheet.label(style.margin, middle + rise, label, plan.labels, bold=bool(flagged[i]))
    foot = plan.top + max(len(data.labels), 1) * plan.row + TICK_ROOM + 0.3 * style.line_height
    sheet.notes(foot, plan.notes)


def _panel(ax: Axes, panel: InfluencePanel, data: InfluenceData, measure: Ruler) -> None:
    """Draw one diagnostic: stems from the reference to the marks."""
    style = measure.style
    n = max(len(data.labels), 1)
    ax.set_ylim(n - 0.5, -0.5)
    rows = np.arange(len(data.labels), dtype=float)
    flagged = data.influential | data.outlying
    for i in np.flatnonzero(flagged).tolist():
        ax.axhspan(i - 0.5, i + 0.5, color=STRIPE, linewidth=0, zorder=0)
    known = np.isfinite(panel.values)
    held = [*finite([panel.reference]), *panel.lines]
    near = [line for line in held if _worth(line, panel, known)]
    numbers = [*panel.values[known].tolist(), *near]
    if not known.any():
        ax.text(0.5, 0.5, "none", transform=ax.transAxes, ha="center", va="center", color=style.muted)
        return
    low, high = padded(min(numbers), max(numbers), 0.13)
    draw_scale(ax, "bottom", (low, high), Scale(), measure, over=0.45 * GAP)
    if panel.reference is not None and low <= panel.reference <= high:
        ax.axvline(panel.reference, color=GREY, linewidth=0.7, zorder=1)
    for line in panel.lines:
        if low <= line <= high:
            ax.axvline(line, color=style.ink, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
    start = panel.reference if panel.reference is not None else low
    stems = [[(start, y), (x, y)] for x, y in zip(panel.values[known].tolist(), rows[known].tolist(), strict=True)]
    ax.add_collection(LineCollection(stems, colors=GREY, linewidths=0.6, zorder=2), autolim=False)
    _points(ax, panel, rows, data, style)


def _worth(line: float, panel: InfluencePanel, known: Bools) -> bool:
    """Tell whether a line is near enough to the values to be worth the room that it takes."""
    values = panel.values[known]
    if not values.size:
        return True
    low, high = float(values.min()), float(values.max())
    anchor = panel.reference if panel.reference is not None else (low + high) / 2
    reach = max(high - low, abs(low - anchor), abs(high - anchor))
    return low - 2.5 * reach <= line <= high + 2.5 * reach


def _points(ax: Axes, panel: InfluencePanel, rows: Floats, data: InfluenceData, style: Style) -> None:
    """Draw the marks, one call for each shape."""
    values = panel.values
    both = data.influential & data.outlying
    kinds = (
        (~data.influential & ~data.outlying, "o", style.square_colour, 4.0),
        (data.outlying & ~both, "s", OPEN, 4.5),
        (data.influential & ~both, "D", style.prediction_colour, 4.5),
        (both, "X", style.prediction_colour, 5.5),
    )
    for keep, marker, face, size in kinds:
        some = keep & np.isfinite(values)
        if some.any():
            (marks,) = ax.plot(
                values[some], rows[some], marker, markersize=size, markerfacecolor=face, markeredgecolor=style.ink,
                markeredgewidth=0.6, zorder=3, clip_on=False,
            )  # fmt: skip
            names = [f"{data.labels[i]}: {panel.title} {significant(values[i])}" for i in np.flatnonzero(some).tolist()]
            tell(marks, f"{panel.key}-{marker}", names)


@figure("influence", title="Influence of each study", cite="viechtbauer2010b")
def draw_influence_figure(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    title: str | None = None,
) -> Figure:
    """Draw eight diagnostics of each study; it has panels of its own and takes no axes."""
    refuse_axes("influence", ax)
    return draw_influence(influence_data(analysis, title=title), style=style)
