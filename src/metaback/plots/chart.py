"""Figures of one panel: title, warning, axes with round ticks, key and notes around it, names beside points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from metaback.plots.chart_data import ChartAxis
from metaback.plots.dots import Dots
from metaback.plots.labels import Box, Placement, draw_names, named, place_names
from metaback.plots.page import (
    TICK,
    TICK_PAD,
    Mark,
    Page,
    Scale,
    bare,
    figure_of,
    key_width,
    note_lines,
    notes_height,
    page,
    scale_ticks,
    shortened,
    size_of,
)
from metaback.plots.text import Ruler
from metaback.plots.ticks import Ticks
from metaback.stats.wls import Floats

WIDTH = 4.6  # inches, of the whole figure
WIDEST_NAME = 1.6  # inches of a name beside a point
LARGEST, SMALLEST = 9.0, 2.2  # diameters of circles in points
_EDGE = 0.03


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of a figure, and its two axes."""

    title: str
    x: ChartAxis
    y: ChartAxis
    keys: tuple[Mark, ...]
    notes: tuple[str, ...]
    alt: str
    warning: str = ""

    def all(self) -> list[str]:
        """Return every text, for the choice of fonts."""
        keys = [mark.words for mark in self.keys]
        axes = [self.x.title, self.y.title, *self.x.levels, *self.y.levels]
        return [self.title, self.warning, *axes, *self.notes, *keys]


@dataclass(frozen=True, slots=True)
class Chart:
    """A panel with its place in inches, before or after the figure around it exists.

    left, top: of the panel; width, height: of the panel; right: room beside it; ax: axes given by the reader, or None.
    """

    words: Words
    measure: Ruler
    page_width: float
    left: float
    top: float
    width: float
    height: float
    ticks: tuple[Ticks, Ticks]
    ax: Axes | None

    @property
    def box(self) -> Box:
        """Return where names may stand, in inches from the corner of the panel."""
        return Box(_EDGE, _EDGE, self.width - _EDGE, self.height - _EDGE)

    def inches(self, x: Floats, y: Floats) -> Floats:
        """Return where values lie, (n, 2) in inches from the lower left corner of the panel."""
        found = [
            _share(axis, np.asarray(values, dtype=float)) * size
            for axis, values, size in ((self.words.x, x, self.width), (self.words.y, y, self.height))
        ]
        return np.column_stack(found)


def _share(axis: ChartAxis, values: Floats) -> Floats:
    """Return where values lie on an axis, 0 to 1 from the left or the foot."""
    share = (values - axis.low) / (axis.high - axis.low)
    return 1 - share if axis.inverted else share


def plan_chart(
    words: Words, measure: Ruler, *, width: float = WIDTH, height: float = 3.0, square: bool = False,
    right: float = 0.0, ax: Axes | None = None,
) -> Chart:  # fmt: skip
    """Place the panel of a figure that is `width` inches wide; a square one is as high as it is wide.

    right: inches beside the panel that something else needs. ax: axes that stand already, whose size counts.
    """
    style = measure.style
    if ax is not None:
        panel_width, panel_height = size_of(ax)
        left = top = 0.0
        y_ticks = _ticks(words.y, measure, panel_height, upright=True)
    else:
        y_ticks = _ticks(words.y, measure, height, upright=True)
        deep = len(measure.wrap(words.y.title, height, lines=3).lines) * style.line_height
        left = style.margin + deep + 0.06 + measure.widest(y_ticks.labels) + (TICK + TICK_PAD) / 72
        panel_width = width - left - style.margin - max(right, 0.1)
        panel_height = panel_width if square else height
        top = style.margin + _head_height(words, measure, width) + 0.08
        y_ticks = _ticks(words.y, measure, panel_height, upright=True)
    x_ticks = _ticks(words.x, measure, panel_width, upright=False)
    return Chart(words, measure, width, left, top, panel_width, panel_height, (x_ticks, y_ticks), ax)


def _ticks(axis: ChartAxis, measure: Ruler, inches: float, *, upright: bool) -> Ticks:
    """Choose the ticks of an axis; those of a factor are its levels, shortened to their strip."""
    if axis.levels:
        room = inches / (axis.high - axis.low) - 0.05
        labels = tuple(shortened(measure, level, room) for level in axis.levels)
        return Ticks(tuple(float(i) for i in range(len(labels))), labels)
    scale = Scale(axis.back, axis.size, axis.null)
    return scale_ticks(axis.low, axis.high, scale, measure, inches=inches, side="left" if upright else "bottom")


def _head(words: Words, measure: Ruler, width: float) -> list[tuple[str, float, bool]]:
    """Return the lines of title and warning with their sizes in points."""
    style, room = measure.style, width - 2 * measure.style.margin
    title = measure.balanced(words.title, room, lines=3, bold=True) if words.title else None
    lines = [(line, style.title_size, True) for line in (title.lines if title else ())]
    warning = measure.wrap(words.warning, 0.97 * room, size=style.size, bold=True).lines if words.warning else ()
    return lines + [(line, style.size, True) for line in warning]


def _head_height(words: Words, measure: Ruler, width: float) -> float:
    return sum(1.3 * size / 72 for _, size, _ in _head(words, measure, width))


def numbered_levels(words: Words, chart: Chart) -> Words:
    """Return words whose strips bear numbers, told in a note, where the names of the levels are too long for them."""
    levels = words.x.levels
    room = chart.width / (words.x.high - words.x.low) - 0.05
    if all(chart.measure.width(shortened(chart.measure, level, room)) <= room for level in levels):
        return words
    told = "; ".join(f"{i} {level}" for i, level in enumerate(levels, 1))
    x = replace(words.x, levels=tuple(str(i) for i in range(1, len(levels) + 1)))
    return replace(words, x=x, notes=(*words.notes, f"{words.x.title}: {told}."))


def place_marks(
    chart: Chart,
    x: Floats,
    y: Floats,
    diameters: Floats,
    labels: Sequence[str],
    wanted: Sequence[int],
    *,
    lines: Sequence[tuple[Floats, Floats]] = (),
    blocked: Sequence[Box] = (),
) -> Placement:
    """Place the names of some points of a panel; lines: curves that names should rather not cross, as (x, y)."""
    size = chart.measure.style.note_size
    names = named([labels[i] for i in wanted], list(wanted), chart.measure, size=size, widest=WIDEST_NAME)
    soft = [chart.inches(*_dense(chart, *line)) for line in lines]
    return place_names(
        names,
        chart.inches(x, y),
        np.asarray(diameters, dtype=float) / 144,
        chart.box,
        blocked=blocked,
        soft=np.concatenate(soft) if soft else None,
    )


def _dense(chart: Chart, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return a line with enough points that none of its parts hides between two of them."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x)[known], np.asarray(y)[known]
    if x.size < 2:
        return x, y
    at = np.linspace(0, x.size - 1, max(150, x.size))
    return np.interp(at, np.arange(x.size), x), np.interp(at, np.arange(x.size), y)


def open_chart(chart: Chart, placement: Placement | None = None) -> tuple[Figure, Axes]:
    """Make the figure of a panel (or take the axes given), write all words and draw its axes; names come last.

    The figure is registered nowhere and its label is the text alternative.
    """
    words, measure, style = chart.words, chart.measure, chart.measure.style
    if chart.ax is not None:
        figure, ax = figure_of(chart.ax), chart.ax
        bare(ax)
        brief = replace(words, title="", warning=words.warning.partition(",")[0])
        lines = "\n".join(line for line, _, _ in _head(brief, measure, chart.width + 2 * style.margin))
        if lines:
            ax.set_title(
                lines, loc="left", fontproperties=measure.face.properties(style.size, bold=True), parse_math=False
            )
    else:
        sheet = _sheet(chart, placement)
        figure, ax = sheet.figure, sheet.axes(chart.left, chart.top, chart.width, chart.height)
    _draw_axes(ax, chart)
    return figure, ax


def _sheet(chart: Chart, placement: Placement | None) -> Page:
    """Make the page: title, warning, key and notes."""
    words, measure, style = chart.words, chart.measure, chart.measure.style
    told = (placement.told,) if placement is not None and placement.told else ()
    notes = note_lines(measure, (*words.notes, *told), chart.page_width - 2 * style.margin)
    rows = _key_rows(words.keys, measure, chart.page_width - 2 * style.margin)
    x_title = measure.wrap(words.x.title, chart.width + 0.2, lines=3).lines
    foot = chart.top + chart.height + (TICK + TICK_PAD) / 72 + (1.35 + len(x_title)) * style.line_height + 0.04
    keys = foot + 0.1 + len(rows) * 1.25 * style.line_height
    height = keys + (0.06 + notes_height(style, notes) if notes else 0.0) + style.margin
    sheet = page(chart.page_width, height, measure, words.alt)
    at = style.margin
    for line, size, bold in _head(words, measure, chart.page_width):
        at += 1.3 * size / 72
        sheet.write(style.margin, at - 0.25 * size / 72, line, size=size, bold=bold)
    for i, row in enumerate(rows):
        sheet.key(style.margin, foot + 0.1 + (i + 0.8) * 1.25 * style.line_height, row)
    sheet.notes(keys + 0.04, notes)
    return sheet


def _key_rows(marks: Sequence[Mark], measure: Ruler, room: float) -> list[list[Mark]]:
    """Break a key into rows that fit."""
    rows: list[list[Mark]] = []
    for mark in marks:
        if rows and key_width(measure, [*rows[-1], mark]) <= room:
            rows[-1].append(mark)
        else:
            rows.append([mark])
    return rows


def _draw_axes(ax: Axes, chart: Chart) -> None:
    """Set limits, ticks and titles of both axes."""
    words, measure, style = chart.words, chart.measure, chart.measure.style
    font = measure.face.properties(style.size)
    for axis, put in ((words.x, ax.set_xlim), (words.y, ax.set_ylim)):
        put(*((axis.high, axis.low) if axis.inverted else (axis.low, axis.high)))
    x, y = chart.ticks
    ax.set_xticks(list(x.positions), list(x.labels), color=style.ink, fontproperties=font, parse_math=False)
    ax.set_yticks(list(y.positions), list(y.labels), color=style.ink, fontproperties=font, parse_math=False)
    ax.tick_params(axis="both", length=TICK, pad=TICK_PAD, width=0.7, color=style.ink)
    for side in ("left", "bottom"):
        ax.spines[side].set(visible=True, linewidth=0.7, color=style.ink)
    across = measure.balanced(words.x.title, chart.width + 0.2, lines=3).lines
    along = measure.balanced(words.y.title, chart.height, lines=3).lines
    under = (TICK + TICK_PAD) / 72 + 1.3 * style.line_height
    for i, line in enumerate(across):
        _title(ax, chart, 0.5, -(under + (i + 0.75) * style.line_height) / chart.height, line)
    beside = (TICK + TICK_PAD) / 72 + measure.widest(y.labels) + 0.06
    for i, line in enumerate(reversed(along)):
        _title(ax, chart, -(beside + (i + 0.2) * style.line_height) / chart.width, 0.5, line, turned=True)


def _title(ax: Axes, chart: Chart, x: float, y: float, line: str, *, turned: bool = False) -> None:
    """Write one line of the title of an axis."""
    style, measure = chart.measure.style, chart.measure
    text = Text(
        x, y, measure.face.printable(line), color=style.ink, fontproperties=measure.face.properties(style.size),
        horizontalalignment="center", verticalalignment="baseline", transform=ax.transAxes, parse_math=False,
        rotation=90 if turned else 0, rotation_mode="anchor", clip_on=False,
    )  # fmt: skip
    ax.add_artist(text)


def write_names(ax: Axes, placement: Placement, measure: Ruler) -> None:
    """Write placed names into the axes of an open chart."""
    draw_names(ax, placement, measure, size=measure.style.note_size)


def diameters(weights: Floats, k: int) -> Floats:
    """Return diameters of circles in points whose areas are proportional to weights; many circles are smaller.

    None is smaller than can be seen.
    """
    share = np.nan_to_num(weights) / max(float(np.nanmax(weights)) if weights.size else 0.0, 1e-300)
    largest = LARGEST * min(1.0, 1.7 / max(k, 1) ** 0.14)
    return np.maximum(largest * np.sqrt(share), SMALLEST)


def draw_dots(
    ax: Axes, x: Floats, y: Floats, size: Floats, tips: Sequence[str], *, face: str, edge: str,
) -> None:  # fmt: skip
    """Draw circles of some diameters in points, those beyond the axes left out by the axes' frame."""
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return
    order_of: list[int] = np.argsort(-size[known], kind="stable").tolist()  # small ones over large ones
    dots = Dots(
        np.pi * (size[known][order_of] / 2) ** 2,
        offsets=np.column_stack([x[known], y[known]])[order_of],
        offset_transform=ax.transData,
        facecolors=face,
        edgecolors=edge,
        linewidths=0.6,
        zorder=3.0,
        clip_on=False,
    )
    kept = [tip for tip, use in zip(tips, known.tolist(), strict=True) if use]
    dots.tips = tuple(kept[i] for i in order_of)
    dots.set_gid("studies")
    ax.add_collection(dots, autolim=False)
