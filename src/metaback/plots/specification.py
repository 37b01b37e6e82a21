"""The specification plot: a curve of sorted estimates above the choices that made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from metaback.plots.bent_ticks import bent_ticks
from metaback.plots.dots import tell
from metaback.plots.forest_data import STRAIGHT
from metaback.plots.picture import Picture
from metaback.plots.specification_data import (
    ChoiceRow,
    MainMark,
    SpecificationData,
    SpecificationPanel,
    specification_data,
)
from metaback.plots.style import Style, drawing
from metaback.plots.text import Ruler, ruler
from metaback.plots.ticks import Ticks, axis_ticks
from metaback.stats.wls import Floats

__all__ = ["draw_specification", "specification_data"]

CURVE = 2.5  # height of the upper panel in inches
WIDTH = 4.6  # of all panels together
TICK_ROOM = 0.45
HINTED = 0.95  # of the width that a note may fill: pixels of a small picture make letters wider than they were measured
OTHER = "#A6A6A6"  # a conclusion other than that of the main specification; lighter than the blue in grey too
BAND, FAR_BAND = "#8FB8D4", "#DCE6EE"
STRIPE = "#F3F3F3"
_REACH = 1.5


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The plan of a figure in inches: lefts and width of the panels, tops of the rows, and the whole."""

    width: float
    height: float
    lefts: tuple[float, ...]
    panel: float
    curve_top: float
    rows_top: float
    tops: tuple[float, ...]
    row: float
    foot: float
    notes: tuple[str, ...]


def draw_specification(data: SpecificationData, *, style: Style | None = None) -> Figure:
    """Draw sorted estimates with their intervals, the main specification marked, above a row for each option.

    Dark marks lead to the conclusion of the main specification, light and hollow ones to another. The figure is
    registered nowhere and its label is the text alternative.
    """
    look = style or Style()
    measure = ruler(look, _texts(data))
    with drawing(look):
        sheet = _plan(data, measure)
        figure = Picture(figsize=(sheet.width, sheet.height), dpi=100)
        figure.set_label(data.alt)
        _words(figure, data, sheet, measure)
        for panel, left in zip(data.panels, sheet.lefts, strict=True):
            _curve(figure, panel, sheet, left, measure, data.rows)
            if data.rows:
                _choices(figure, panel, data, sheet, left, look)
        return figure


def _texts(data: SpecificationData) -> list[str]:
    texts = [data.title, data.conclusion, *data.footnotes, *(panel.title for panel in data.panels)]
    return texts + [text for row in data.rows for text in (row.head, row.label, row.count)]


def _plan(data: SpecificationData, measure: Ruler) -> _Sheet:
    """Place everything: labels left, panels, counts right, notes below."""
    style = measure.style
    line, row, margin = style.line_height, style.row_height(len(data.rows)), style.margin
    labels = min(style.label_width, measure.widest([row.label for row in data.rows]) if data.rows else 0.0)
    heads = measure.widest([row.head for row in data.rows], bold=True) if data.rows else 0.0
    left = margin + max(labels + 0.1, heads, TICK_ROOM) + 0.12
    count = max(1, len(data.panels))
    titles = max((measure.width(panel.title) for panel in data.panels), default=0.0)
    panel = max(WIDTH / count, titles if count > 1 else 0.0)
    lefts = tuple(left + i * (panel + TICK_ROOM + 0.1) for i in range(count))
    counts = max(measure.widest([row.count for row in data.rows]), measure.width("Same as main")) if data.rows else 0.0
    width = lefts[-1] + panel + style.gap + counts + margin
    curve_top = margin + style.title_size / 72 + 4.4 * line
    rows_top = curve_top + CURVE + 0.5 * line
    tops: list[float] = []
    at, head = rows_top, ""
    for one in data.rows:
        at += row * (1.25 if head != one.head else 0.0)
        head = one.head
        tops.append(at)
        at += row
    room = HINTED * (width - 2 * margin)
    notes = tuple(text for note in data.footnotes for text in measure.wrap(note, room, size=style.note_size).lines)
    foot = at + 1.2 * line
    height = foot + (len(notes) + 0.2) * 1.3 * style.note_size / 72 + margin
    return _Sheet(width, height, lefts, panel, curve_top, rows_top, tuple(tops), row, foot, notes)


def _words(figure: Figure, data: SpecificationData, sheet: _Sheet, measure: Ruler) -> None:
    """Write title, key, row labels, counts and footnotes."""
    style = measure.style
    pen = _Pen(figure, sheet, measure)
    title_at = style.margin + style.title_size / 72
    pen.write(style.margin, title_at, data.title, size=style.title_size, bold=True)
    if data.tested:
        _key(pen, data, style.margin, title_at + 1.5 * style.line_height)
    for panel, left in zip(data.panels, sheet.lefts, strict=True):
        pen.write(left, sheet.curve_top - 0.9 * style.line_height, panel.title)
    head = ""
    right = sheet.width - style.margin
    edge = sheet.lefts[0] - 0.12
    for row, top in zip(data.rows, sheet.tops, strict=True):
        base = top + 0.5 * sheet.row + 0.35 * style.size / 72
        if row.head != head:
            pen.write(edge, base - sheet.row, row.head, bold=True, align="right")
        if not head and data.tested:
            pen.write(right, base - sheet.row, "Same as main", align="right")
        head = row.head
        label = measure.wrap(row.label, style.label_width, lines=1).lines[0]
        pen.write(edge, base, label, align="right")
        if data.tested:
            pen.write(right, base, row.count, align="right")
    for i, note in enumerate(sheet.notes):
        at = sheet.foot + (i + 1) * 1.3 * style.note_size / 72
        pen.write(style.margin, at, note, size=style.note_size, colour=style.muted)


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes texts at inches from the left and the top of a figure."""

    figure: Figure
    sheet: _Sheet
    measure: Ruler

    def write(
        self, x: float, y: float, text: str, *, size: float = 0.0, bold: bool = False, colour: str = "",
        align: Literal["left", "right"] = "left",
    ) -> None:  # fmt: skip
        """Write one line with its baseline at y."""
        style = self.measure.style
        font = self.measure.face.properties(size or style.size, bold=bold)
        made = Text(
            x, self.sheet.height - y, self.measure.face.printable(text), color=colour or style.ink,
            fontproperties=font, horizontalalignment=align, verticalalignment="baseline",
            transform=self.figure.dpi_scale_trans, parse_math=False,
        )  # fmt: skip
        self.figure.add_artist(made)


def _key(pen: _Pen, data: SpecificationData, x: float, y: float) -> None:
    """Draw the key of the marks in one line."""
    style = pen.measure.style
    joined = any(panel.joined for panel in data.panels)
    items = [("D", style.prediction_colour, style.ink, "main specification")]
    if not joined:
        items += [("o", style.diamond_colour, style.diamond_colour, f"interval {data.conclusion}, as there")]
        if any((panel.agrees <= 0.5).any() for panel in data.panels):
            items += [("o", "white", OTHER, "another conclusion")]
    else:
        items += [
            ("s", style.diamond_colour, style.diamond_colour, f"at least half of a column: interval {data.conclusion}"),
            ("s", OTHER, OTHER, "less than half"),
        ]
    for marker, face, edge, words in items:
        mark = Line2D(
            [x + 0.05], [pen.sheet.height - y + 0.32 * style.size / 72], marker=marker, markersize=4.5,
            markerfacecolor=face, markeredgecolor=edge, markeredgewidth=0.8, linestyle="none",
            transform=pen.figure.dpi_scale_trans,
        )  # fmt: skip
        pen.figure.add_artist(mark)
        pen.write(x + 0.15, y, words)
        x += 0.15 + pen.measure.width(words) + 0.22


def _axes(figure: Figure, sheet: _Sheet, left: float, top: float, height: float, columns: int) -> Axes:
    """Add empty axes at inches from the left and the top."""
    place = (left / sheet.width, 1 - (top + height) / sheet.height, sheet.panel / sheet.width, height / sheet.height)
    ax = figure.add_axes(place, facecolor="none")
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_xticks([])
    for side in ("left", "right", "top", "bottom"):
        ax.spines[side].set_visible(False)
    return ax


def _limits(panel: SpecificationPanel) -> tuple[float, float]:
    """Return limits that hold all estimates, the main interval, no effect and the bulk of the intervals."""
    lows, highs = panel.far_low[np.isfinite(panel.far_low)], panel.far_high[np.isfinite(panel.far_high)]
    kept = [float(panel.estimate.min()), float(panel.estimate.max())]
    kept += [] if panel.null is None else [panel.null]
    if panel.main is not None:
        kept += [value for value in (panel.main.low, panel.main.high) if np.isfinite(value)]
    if lows.size and highs.size:
        first, last = float(np.percentile(lows, 25)), float(np.percentile(highs, 75))
        reach = _REACH * (last - first)
        kept += [max(float(lows.min()), first - reach), min(float(highs.max()), last + reach)]
    low, high = min(kept), max(kept)
    pad = 0.04 * (high - low) or 0.5
    return low - pad, high + pad


def _ticks(panel: SpecificationPanel, low: float, high: float, measure: Ruler) -> Ticks:
    """Choose the ticks of the curve; a label is as high as a line."""

    def depth(label: str) -> float:
        return 1.3 * measure.style.line_height

    if panel.back not in STRAIGHT:
        return bent_ticks(low, high, panel.back, None, null=panel.null, inches=CURVE, width=depth)
    return axis_ticks(low, high, panel.scale, null=panel.null, inches=CURVE, width=depth)


def _tips(panel: SpecificationPanel, rows: Sequence[ChoiceRow]) -> list[str]:
    """Write what each specification chose."""
    return [
        "; ".join(f"{row.head}: {row.label}" for row, share in zip(rows, column, strict=True) if share > 0)
        for column in panel.taken.T.tolist()
    ]


def _curve(
    figure: Figure, panel: SpecificationPanel, sheet: _Sheet, left: float, measure: Ruler, rows: Sequence[ChoiceRow]
) -> None:
    """Draw the upper panel of one measure."""
    style = measure.style
    n = panel.estimate.size
    ax = _axes(figure, sheet, left, sheet.curve_top, CURVE, n)
    low, high = _limits(panel)
    ax.set_ylim(low, high)
    ticks = _ticks(panel, low, high, measure)
    font = measure.face.properties(style.size)
    ax.set_yticks(list(ticks.positions), list(ticks.labels), color=style.ink, fontproperties=font, parse_math=False)
    ax.tick_params(axis="y", length=3, pad=2.5, width=0.7, color=style.ink)
    ax.spines["left"].set(visible=True, linewidth=0.7, color=style.ink)
    if panel.null is not None:
        ax.axhline(panel.null, color=style.ink, linewidth=0.7, zorder=1)
    for at in () if panel.mcid is None else (-panel.mcid, panel.mcid):
        if low < at < high:
            ax.axhline(at, color=style.muted, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    if panel.joined:
        _bands(ax, panel, sheet, style)
    else:
        _points(ax, panel, sheet, style, _tips(panel, rows))
    if panel.main is not None:
        _main(ax, panel.main, style)


def _points(ax: Axes, panel: SpecificationPanel, sheet: _Sheet, style: Style, tips: Sequence[str]) -> None:
    """Draw one interval and one point for each specification."""
    x = np.arange(panel.estimate.size)
    room = 72 * sheet.panel / x.size
    same = panel.agrees > 0.5
    colours = np.where(same, style.diamond_colour, OTHER).tolist()
    low, high = ax.get_ylim()
    spans = [
        [(i, a), (i, b)]
        for i, a, b in zip(x, np.nan_to_num(panel.low, nan=low), np.nan_to_num(panel.high, nan=high), strict=True)
    ]
    lines = LineCollection(spans, colors=colours, linewidths=max(0.25, min(1.0, 0.5 * room)), capstyle="butt", zorder=2)
    ax.add_collection(lines, autolim=False)
    size = max(0.9, min(4.5, 0.8 * room))
    for keep, face, edge in ((~same, "white", OTHER), (same, style.diamond_colour, style.diamond_colour)):
        (marks,) = ax.plot(
            x[keep], panel.estimate[keep], "o", markersize=size, markerfacecolor=face if size > 2 else edge,
            markeredgecolor=edge, markeredgewidth=min(0.8, size / 4), zorder=3, clip_on=False,
        )  # fmt: skip
        tell(marks, f"{panel.measure}-{face.strip('#')}", [tips[i] for i in np.flatnonzero(keep).tolist()])


def _bands(ax: Axes, panel: SpecificationPanel, sheet: _Sheet, style: Style) -> None:
    """Draw the columns of many specifications: bands of limits, and the medians of the estimates."""
    edges = np.arange(panel.estimate.size + 1) - 0.5
    low, high = ax.get_ylim()
    for below, above, colour in ((panel.far_low, panel.far_high, FAR_BAND), (panel.low, panel.high, BAND)):
        foot, top = np.nan_to_num(below, nan=low), np.nan_to_num(above, nan=high)
        foot, top = np.append(foot, foot[-1]), np.append(top, top[-1])
        ax.fill_between(edges, foot, top, step="post", color=colour, linewidth=0, zorder=0.5)
    same = panel.agrees >= 0.5
    x = np.arange(panel.estimate.size)
    for keep, colour in ((~same, OTHER), (same, style.diamond_colour)):
        spans = [[(i - 0.5, y), (i + 0.5, y)] for i, y in zip(x[keep], panel.estimate[keep], strict=True)]
        ax.add_collection(LineCollection(spans, colors=colour, linewidths=2.0, zorder=3), autolim=False)


def _main(ax: Axes, mark: MainMark, style: Style) -> None:
    """Mark the main specification: its interval and its diamond."""
    ax.plot(
        [mark.column, mark.column], [mark.low, mark.high], color=style.prediction_colour, linewidth=1.6, zorder=4,
        solid_capstyle="butt",
    )  # fmt: skip
    ax.plot(
        [mark.column], [mark.estimate], "D", markersize=5, markerfacecolor=style.prediction_colour,
        markeredgecolor=style.ink, markeredgewidth=0.8, zorder=5, clip_on=False,
    )  # fmt: skip


def _choices(
    figure: Figure, panel: SpecificationPanel, data: SpecificationData, sheet: _Sheet, left: float, style: Style
) -> None:
    """Draw the lower panel: a mark in the row of each option that a specification took."""
    n = panel.estimate.size
    height = sheet.tops[-1] + sheet.row - sheet.rows_top
    ax = _axes(figure, sheet, left, sheet.rows_top, height, n)
    ax.set_ylim(height, 0.0)
    ax.set_yticks([])
    same = panel.agrees > 0.5 if not panel.joined else panel.agrees >= 0.5
    nth = 0
    for place, top in enumerate(sheet.tops):
        foot = top - sheet.rows_top
        nth = nth + 1 if place and data.rows[place].head == data.rows[place - 1].head else 0
        if nth % 2 == 0:
            stripe = (foot, foot + sheet.row)
            ax.add_collection(_bars(np.array([-0.5]), n, stripe, STRIPE, np.ones(1)), autolim=False)
        a, b = foot + 0.16 * sheet.row, foot + 0.84 * sheet.row
        for keep, colour in ((same, style.diamond_colour), (~same, OTHER)):
            at = np.flatnonzero(keep & (panel.taken[place] > 0))
            width = 1.0 if panel.joined or n > 150 else 0.62
            shade = panel.taken[place][at]
            ax.add_collection(_bars(at.astype(np.float64) - width / 2, width, (a, b), colour, shade), autolim=False)
    if panel.main is not None:
        x = panel.main.column
        ax.axvline(x, color=style.prediction_colour, linewidth=0.9, linestyle=(0, (1.5, 1.5)), zorder=4)


def _bars(lefts: Floats, width: float, span: tuple[float, float], colour: str, shade: Floats) -> PolyCollection:
    """Return bars of one row, the paler the fewer specifications they stand for."""
    top, foot = span
    boxes = [[(x, top), (x + width, top), (x + width, foot), (x, foot)] for x in lefts.tolist()]
    full = 1 - np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    faces: list[tuple[float, ...]] = [tuple((1 - share * full).tolist()) for share in shade.tolist()]
    order = 1 if colour == STRIPE else 2
    return PolyCollection(boxes, facecolors=faces, linewidths=0, antialiaseds=False, zorder=order)
