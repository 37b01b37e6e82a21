"""A page of a figure in inches from the left and from the top: texts, notes, keys and axes with round ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from metaback.errors import OptionError
from metaback.plots.bent_ticks import bent_ticks
from metaback.plots.forest_data import STRAIGHT
from metaback.plots.picture import Picture
from metaback.plots.style import Style
from metaback.plots.text import ELLIPSIS, Ruler, ending, glue
from metaback.plots.ticks import Ticks, axis_ticks, short_ticks

OTHER, OPEN = "#D55E00", "white"
GREY, PALE, STRIPE = "#8C8C8C", "#D9D9D9", "#F3F3F3"
TICK, TICK_PAD = 3.0, 2.5
HINTED = 0.95  # of the width that a note may fill: pixels of a small picture make letters wider than they were measured
Side = Literal["bottom", "left"]
Align = Literal["left", "right", "center"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How numbers of an axis are shown: the way back to the natural scale, its size, and the value of no effect."""

    back: str = "identity"
    size: float | None = None
    null: float | None = None

    @property
    def kind(self) -> Literal["linear", "log"]:
        """Return the kind of an axis that is drawn straight."""
        return "log" if self.back.startswith("exp") and self.back in STRAIGHT else "linear"


@dataclass(frozen=True, slots=True)
class Mark:
    """One entry of a key: a marker or a line, and its words."""

    words: str
    marker: str = ""
    face: str = OPEN
    edge: str = "#1a1a1a"
    line: Literal["", "-", "--", "-.", ":"] = ""
    size: float = 4.5


@dataclass(frozen=True, slots=True)
class Page:
    """A figure with its size in inches and the ruler that its texts are measured with."""

    figure: Figure
    width: float
    height: float
    measure: Ruler

    @property
    def style(self) -> Style:
        """Return the look."""
        return self.measure.style

    def write(
        self, x: float, y: float, text: str, *, size: float = 0.0, bold: bool = False, colour: str = "",
        align: Align = "left",
    ) -> Text:  # fmt: skip
        """Write one line with its baseline at y."""
        font = self.measure.face.properties(size or self.style.size, bold=bold)
        made = Text(
            x, self.height - y, self.measure.face.printable(text), color=colour or self.style.ink,
            fontproperties=font, horizontalalignment=align, verticalalignment="baseline",
            transform=self.figure.dpi_scale_trans, parse_math=False,
        )  # fmt: skip
        self.figure.add_artist(made)
        return made

    def label(self, x: float, y: float, text: str, room: float, *, bold: bool = False, align: Align = "left") -> None:
        """Write a name within some inches; one that has to be shortened carries its full text as a tip."""
        shown = shortened(self.measure, text, room, bold=bold)
        made = self.write(x, y, shown, bold=bold, align=align)
        if shown != text:
            made.set_gid(f"full-{x:.4f}-{y:.4f}")
            made.set_label(text)

    def notes(self, top: float, lines: Sequence[str]) -> None:
        """Write footnotes that `note_lines` has broken."""
        size = self.style.note_size
        for i, line in enumerate(lines):
            self.write(self.style.margin, top + (i + 1) * 1.3 * size / 72, line, size=size, colour=self.style.muted)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add empty axes without spines and ticks."""
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        ax = self.figure.add_axes(place, facecolor="none")
        bare(ax)
        return ax

    def key(self, x: float, y: float, marks: Iterable[Mark]) -> None:
        """Write a key in one line with its baseline at y; `key_width` says how long it is."""
        middle = self.height - y + 0.32 * self.style.size / 72
        for mark in marks:
            wide = 0.3 if mark.line else 0.1
            across = [x, x + wide] if mark.line else [x + wide / 2]
            artist = Line2D(
                across, [middle] * len(across), marker=mark.marker if not mark.line else "", markersize=mark.size,
                markerfacecolor=mark.face, markeredgecolor=mark.edge, markeredgewidth=0.8, color=mark.edge,
                linestyle=mark.line or "None", linewidth=1.4, transform=self.figure.dpi_scale_trans,
            )  # fmt: skip
            self.figure.add_artist(artist)
            self.write(x + wide + 0.06, y, mark.words)
            x += wide + 0.06 + self.measure.width(mark.words) + 0.22


def shortened(measure: Ruler, text: str, room: float, *, bold: bool = False) -> str:
    """Return a name that fits into some inches: what is too long loses its middle, since years stand at the end."""
    text = measure.face.printable(text)
    if measure.width(text, bold=bold) <= room:
        return text
    tail = ending(text)
    keep = len(text) - len(tail)
    low, high = 1, keep
    while low < high:
        middle = (low + high + 1) // 2
        tried = text[:middle].rstrip() + ELLIPSIS + tail
        low, high = (middle, high) if measure.width(tried, bold=bold) <= room else (low, middle - 1)
    return text[:low].rstrip() + ELLIPSIS + tail


def page(width: float, height: float, measure: Ruler, alt: str) -> Page:
    """Return an empty page whose figure has the text alternative as its label."""
    figure = Picture(figsize=(width, height), dpi=100)
    figure.set_label(alt)
    return Page(figure, width, height, measure)


def key_width(measure: Ruler, marks: Iterable[Mark]) -> float:
    """Return the length of a key in inches."""
    return sum((0.3 if mark.line else 0.1) + 0.28 + measure.width(mark.words) for mark in marks)


def note_lines(measure: Ruler, notes: Iterable[str], width: float) -> tuple[str, ...]:
    """Break footnotes to a width in inches."""
    size = measure.style.note_size
    return tuple(line for note in notes for line in measure.wrap(glue(note), HINTED * width, size=size).lines)


def notes_height(style: Style, lines: Sequence[str]) -> float:
    """Return how high footnotes are in inches."""
    return (len(lines) + 0.2) * 1.3 * style.note_size / 72


def bare(ax: Axes) -> None:
    """Take spines and ticks away."""
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ("left", "right", "top", "bottom"):
        ax.spines[side].set_visible(False)


def refuse_axes(kind: str, ax: Axes | None) -> None:
    """Refuse the axes of someone else for a figure that has several panels."""
    if ax is not None:
        raise OptionError(f"figure {kind!r} has several panels of its own; leave out ax")


def size_of(ax: Axes) -> tuple[float, float]:
    """Return width and height of axes in inches."""
    box, dpi = ax.get_window_extent(), figure_of(ax).dpi
    return box.width / dpi, box.height / dpi


def figure_of(ax: Axes) -> Figure:
    """Return the figure that axes belong to."""
    figure = ax.figure
    while not isinstance(figure, Figure):
        figure = figure.figure
    return figure


def scale_ticks(low: float, high: float, scale: Scale, measure: Ruler, *, inches: float, side: Side) -> Ticks:
    """Choose round ticks whose labels do not touch on an axis of that length."""

    def width(label: str) -> float:
        return measure.width(label) if side == "bottom" else 1.3 * measure.style.line_height

    null = scale.null if scale.null is not None and low <= scale.null <= high else None
    if scale.back not in STRAIGHT:
        return bent_ticks(low, high, scale.back, scale.size, null=null, inches=inches, width=width)
    return axis_ticks(low, high, scale.kind, null=null, inches=inches, width=width)


def draw_scale(
    ax: Axes, side: Side, limits: tuple[float, float], scale: Scale, measure: Ruler, *, over: float = math.inf
) -> None:  # fmt: skip
    """Draw one axis with round ticks; `over` inches beyond its ends a label may reach, or it is left out."""
    style = measure.style
    inches = size_of(ax)[0 if side == "bottom" else 1]
    found = scale_ticks(*limits, scale, measure, inches=inches, side=side)
    unit = inches / (limits[1] - limits[0])

    def inside(position: float, label: str) -> bool:
        half = measure.width(label) / 2 - over
        return (position - limits[0]) * unit >= half and (limits[1] - position) * unit >= half

    def touch(one: tuple[float, str], two: tuple[float, str]) -> bool:
        return (two[0] - one[0]) * unit < (measure.width(one[1]) + measure.width(two[1])) / 2 + measure.width("0")

    pairs = zip(found.positions, found.labels, strict=True)
    kept = [(position, label) for position, label in pairs if side == "left" or inside(position, label)]
    if len(kept) < 2 and side == "bottom" and scale.back == "identity":  # one number is no scale, none tells nothing
        short = short_ticks(*limits, inside, touch)
        kept = max(kept, list(zip(short.positions, short.labels, strict=True)), key=len)
    font = measure.face.properties(style.size)
    ax.spines[side].set(visible=True, linewidth=0.7, color=style.ink)
    (ax.set_xlim if side == "bottom" else ax.set_ylim)(*limits)
    at, labels = [position for position, _ in kept], [label for _, label in kept]
    if side == "bottom":
        ax.set_xticks(at, labels, color=style.ink, fontproperties=font, parse_math=False)
    else:
        ax.set_yticks(at, labels, color=style.ink, fontproperties=font, parse_math=False)
    name: Literal["x", "y"] = "x" if side == "bottom" else "y"
    ax.tick_params(axis=name, length=TICK, pad=TICK_PAD, width=0.7, color=style.ink)


def name_scale(ax: Axes, side: Side, words: str, measure: Ruler) -> None:
    """Write the title of an axis, broken to its length."""
    style = measure.style
    font = measure.face.properties(style.size)
    inches = size_of(ax)[0 if side == "bottom" else 1]
    lines = "\n".join(measure.wrap(words, max(inches, 1.0), lines=2).lines)
    if side == "bottom":
        ax.set_xlabel(lines, color=style.ink, fontproperties=font, parse_math=False, labelpad=3.0)
    else:
        ax.set_ylabel(lines, color=style.ink, fontproperties=font, parse_math=False, labelpad=3.0)


def padded(low: float, high: float, share: float = 0.05) -> tuple[float, float]:
    """Return limits with some room on both sides, also where they are one number.

    >>> padded(0.0, 10.0)
    (-0.5, 10.5)
    >>> padded(2.0, 2.0)
    (1.0, 3.0)
    """
    span = high - low
    apart = span > 1e-9 * max(abs(low), abs(high), 1e-12)
    pad = share * span if apart else 0.5 * abs(low) or 0.5
    return low - pad, high + pad


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the numbers among some values."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]
