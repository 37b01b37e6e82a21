"""Where everything in a forest plot stands, in inches from the left and from the top, from measured text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from metaback.plots.axis import ARROWS, TICK, TICK_PAD, AxisPlan, plan_axis
from metaback.plots.forest_records import ForestData, ForestRow
from metaback.plots.grid import BOLD, INDENT, SPANNING, Grid, Slot, disc_size, head_lines, make_grid, split_interval
from metaback.plots.rob_words import Judgement
from metaback.plots.style import Style
from metaback.plots.text import Ruler, Wrapped, glue

__all__ = ["BOLD", "Box", "Disc", "Piece", "Rule", "Sheet", "axis_depth", "lay_out", "split_interval"]

DENSITY_ROWS = 2.2  # rows that a predictive density is high
CELL_LINES, FAVOURS_LINES = 4, 2
NOTE_LINES = 40
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Piece:
    """A line of text: x in inches from the left, y of its baseline from the top; `full` where it was shortened."""

    x: float
    y: float
    text: str
    align: Literal["left", "right", "center"] = "left"
    bold: bool = False
    size: float = 8.0
    colour: str = "#1a1a1a"
    full: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A thin horizontal line, in inches from the left and from the top."""

    left: float
    right: float
    y: float


@dataclass(frozen=True, slots=True)
class Disc:
    """The circle of a judgement: its middle in inches from the left and from the top."""

    x: float
    y: float
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Box:
    """The place of the panel: inches from the left and from the top, with its size."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """A finished layout; centres are the middles of the rows in inches below the top of the panel (None: not in it).

    row: height of a one-line row; favours_drop: from the foot of the panel down to the first line of favours words.
    disc: diameter of the circles.
    """

    width: float
    height: float
    pieces: tuple[Piece, ...]
    rules: tuple[Rule, ...]
    panel: Box
    centres: tuple[float | None, ...]
    row: float
    axis: AxisPlan
    favours_drop: float
    discs: tuple[Disc, ...] = ()
    disc: float = 0.0


@dataclass(frozen=True, slots=True)
class _Page:
    """A page being set: what goes on it, the columns, and the pieces, rules and circles placed so far.

    whole: the forest that the page is a part of, which has the columns and the axis of all pages.
    """

    data: ForestData
    whole: ForestData
    ruler: Ruler
    grid: Grid
    limits: tuple[float, float] | None
    pieces: list[Piece]
    rules: list[Rule]
    discs: list[Disc]

    @property
    def style(self) -> Style:
        return self.ruler.style

    @property
    def width(self) -> float:
        return self.grid.right - self.grid.left

    def put(
        self, x: float, y: float, text: str, *, align: Literal["left", "right", "center"] = "left", bold: bool = False,
        full: str = "",
    ) -> None:  # fmt: skip
        """Place a line of the table."""
        self.pieces.append(Piece(x, y, text, align, bold, self.style.size, self.style.ink, full))

    def note(self, x: float, y: float, text: str) -> None:
        """Place a line of the notes."""
        self.pieces.append(Piece(x, y, text, size=self.style.note_size, colour=self.style.muted))

    def axis(self, room: tuple[float, float]) -> AxisPlan:
        """Plan the axis with that room for words to both sides of the panel."""
        return plan_axis(self.whole, self.ruler, self.style.panel_width, room, self.limits)


def lay_out(
    data: ForestData, ruler: Ruler, *, limits: tuple[float, float] | None = None, whole: ForestData | None = None
) -> Sheet:
    """Place every text, rule and row of a forest plot, or of a page of the `whole` one."""
    style, entire = ruler.style, whole or data
    page = _Page(data, entire, ruler, page_grid(entire, ruler, limits), limits, [], [], [])
    above = _plan_above(page)
    top = _head(page, _title(page, style.margin), above)
    last = max((i for i, row in enumerate(data.rows) if row.kind not in {"text", "blank"}), default=-1)
    height = style.row_height(len(entire.rows))
    y, centres = _rows(page, data.rows[: last + 1], top + 0.3 * height, height)
    foot = y + 0.25 * height
    statistics = [glue(ruler.face.printable(row.label)) for row in data.rows[last + 1 :] if row.label]
    axis, y = _foot(page, foot, statistics, above)
    y = _notes(page, _legend(page, y + 0.5 * style.line_height))
    middles = [None if c is None else c - top for c in centres] + [None] * (len(data.rows) - len(centres))
    return Sheet(
        width=page.grid.right + style.margin,
        height=y + style.margin,
        pieces=tuple(page.pieces),
        rules=tuple(page.rules),
        panel=Box(page.grid.panel, top, style.panel_width, foot - top),
        centres=tuple(middles),
        row=height,
        axis=axis,
        favours_drop=axis_depth(axis, style),
        discs=tuple(page.discs),
        disc=disc_size(style),
    )


def page_grid(data: ForestData, ruler: Ruler, limits: tuple[float, float] | None = None) -> Grid:
    """Return the columns, with a wider margin where the favours words right of no effect would leave the page."""
    grid, style = make_grid(data, ruler), ruler.style
    end = grid.panel + style.panel_width
    axis = plan_axis(data, ruler, style.panel_width, (style.gap, grid.right - end), limits)
    if axis.favours is None or data.favours is None or data.null is None:
        return grid
    words = ARROWS[1].format(ruler.face.printable(data.favours[1]))
    null = end - (1 - axis.fraction(data.null)) * style.panel_width
    needed = null + style.gap / 2 + ruler.narrowest(words, FAVOURS_LINES)
    return replace(grid, right=max(grid.right, needed))


# ----------------------------------------------------------------------------------------------------- the head
def _plan_above(page: _Page) -> AxisPlan | None:
    """Return the axis with the favours words that stand over the panel, None where they belong or fit only below."""
    if not page.whole.layout.favours_above:
        return None
    plan = page.axis((0.0, 0.0))
    fits = plan.favours is not None and plan.fits and max(map(len, plan.favours)) <= FAVOURS_LINES
    return plan if fits else None


def _title(page: _Page, y: float) -> float:
    if not page.data.title:
        return y
    size = page.style.title_size
    for line in page.ruler.wrap(page.data.title, page.width, lines=6, size=size, bold=True).lines:
        y += 1.25 * size / 72
        page.pieces.append(Piece(page.grid.left, y, line, bold=True, size=size, colour=page.style.ink))
    return y + 0.8 * page.style.line_height


def _head(page: _Page, y: float, above: AxisPlan | None) -> float:
    """Set the heads of the columns; return where the panel begins."""
    grid, line_height = page.grid, page.style.line_height
    heads = [head_lines(slot.column, page.ruler, slot.right - slot.left) for slot in grid.slots]
    tallest = max((len(wrapped.lines) for _, _, wrapped in grid.spanners), default=0)
    under = max((len(lines) for lines, slot in zip(heads, grid.slots, strict=True) if slot.column.spanner), default=1)
    spanned = tallest + 0.5 + under if tallest else 0.0
    most = max([1.0, spanned, *(float(len(lines)) for lines in heads)])
    if above is not None and above.favours is not None:
        most = max([most, *(float(len(lines)) for lines in above.favours)])
    base = y + most * line_height
    rule = base - (under + 0.05) * line_height
    for left, right, wrapped in grid.spanners:
        for i, line in enumerate(reversed(wrapped.lines)):
            at = rule - (0.45 + i) * line_height
            page.put((left + right) / 2, at, line, align="center", bold=True)
        page.rules.append(Rule(left, right, rule))
    page.put(grid.left, base, page.ruler.face.printable(page.data.label_head), bold=True)
    for slot, lines in zip(grid.slots, heads, strict=True):
        align = "center" if slot.column.align == "interval" else slot.column.align
        for i, line in enumerate(reversed(lines)):
            page.put(slot.at(align), base - i * line_height, line, align=align, bold=True)
    _head_of_judgements(page, base)
    if above is not None:
        _favours_above(page, above, base)
    page.rules.append(Rule(grid.left, grid.right, base + 0.5 * line_height))
    return base + 0.5 * line_height


def _head_of_judgements(page: _Page, base: float) -> None:
    if page.data.rob is not None:
        for x, domain in zip(page.grid.discs, page.data.rob.domains, strict=True):
            page.put(x, base, domain.letter, align="center", bold=True)


def _favours_above(page: _Page, plan: AxisPlan, base: float) -> None:
    """Set the favours words on their sides of no effect, over the panel."""
    if plan.favours is None or page.whole.null is None:
        return
    null = page.grid.panel + plan.fraction(page.whole.null) * page.style.panel_width
    away = page.style.gap / 2
    for lines, x, align in ((plan.favours[0], null - away, "right"), (plan.favours[1], null + away, "left")):
        for i, line in enumerate(reversed(lines)):
            page.put(x, base - i * page.style.line_height, line, align="right" if align == "right" else "left")


# ----------------------------------------------------------------------------------------------------- the rows
def _rows(page: _Page, rows: Sequence[ForestRow], y: float, height: float) -> tuple[float, list[float | None]]:
    """Set the rows from y downwards; return where they end and the middle of each that has marks."""
    style = page.style
    rise = 0.36 * style.size / 72
    centres: list[float | None] = []
    for row in rows:
        if row.kind == "blank":
            centres.append(None)
            y += 0.5 * height
            continue
        label, bold = _label(page, row), row.kind in BOLD
        cells = [_cell_lines(page, slot, cell) for slot, cell in zip(page.grid.slots, row.cells, strict=False)]
        lines = max(len(label.lines), *(len(cell.lines) for cell in cells), 1) if cells else len(label.lines)
        tall = height + (lines - 1) * style.line_height
        if row.kind == "prediction" and page.whole.density:
            tall = max(tall, DENSITY_ROWS * height)
        middle = y + tall / 2
        full = "" if label.whole and page.ruler.face.printable(row.label) == row.label else row.label
        for i, line in enumerate(label.lines):
            x = page.grid.left + row.level * INDENT
            at = middle + rise + (i - (len(label.lines) - 1) / 2) * style.line_height
            page.put(x, at, line, bold=bold, full=full)
        for slot, cell, text in zip(page.grid.slots, cells, row.cells, strict=False):
            _cell(page, slot, cell, middle + rise, bold=bold, full="" if cell.whole else text)
        for x, judgement in zip(page.grid.discs, row.judgements, strict=False):
            if judgement is not None:
                page.discs.append(Disc(x, middle, judgement))
        centres.append(None if row.kind in {"text", "header"} else middle)
        y += tall
    return y, centres


def _label(page: _Page, row: ForestRow) -> Wrapped:
    """Break a label over the space that it has: its column, and for pooled rows the empty columns after it."""
    grid, gap, bold = page.grid, page.style.gap, row.kind in BOLD
    right = grid.left + grid.label
    room = right - grid.left - row.level * INDENT + _TOLERANCE
    if row.kind not in SPANNING:
        return page.ruler.wrap(row.label, room, lines=page.style.label_lines, bold=bold, named=True)
    taken = [s.left for s, c in zip(grid.slots, row.cells, strict=False) if c and s.column.side == "left"]
    room += min([grid.block_right, *(left - gap for left in taken)]) - right
    return page.ruler.balanced(glue(row.label), room, bold=bold)


def _cell_lines(page: _Page, slot: Slot, text: str) -> Wrapped:
    """Break the text of a cell, if it is one that may take several lines."""
    if slot.column.kind != "text" or not text:
        return Wrapped((page.ruler.face.printable(text),) if text else ())
    return page.ruler.wrap(text, slot.right - slot.left + _TOLERANCE, lines=CELL_LINES)


def _cell(page: _Page, slot: Slot, cell: Wrapped, y: float, *, bold: bool, full: str = "") -> None:
    """Set the text of one cell; the three numbers of an interval each on its own right edge."""
    if slot.thirds is None or not cell.lines:
        align = "right" if slot.column.align == "interval" else slot.column.align
        for i, line in enumerate(cell.lines):
            at = y + (i - (len(cell.lines) - 1) / 2) * page.style.line_height
            page.put(slot.at(align), at, line, align=align, bold=bold, full=full)
        return
    parts = split_interval(cell.lines[0]) or ("", "", cell.lines[0])
    for part, right in zip(parts, slot.thirds, strict=True):
        if part:
            page.put(right, y, part, align="right", bold=bold)


# ----------------------------------------------------------------------------------------------------- the foot
def axis_depth(axis: AxisPlan, style: Style) -> float:
    """Return how far below the panel the ticks, their labels and the title reach, in inches."""
    return (TICK + TICK_PAD) / 72 + (1.4 + len(axis.title)) * style.line_height


def _favours_depth(axis: AxisPlan, style: Style) -> float:
    lines = max(map(len, axis.favours)) if axis.favours is not None else 0
    return axis_depth(axis, style) + lines * style.line_height


def _foot(page: _Page, foot: float, statistics: Sequence[str], above: AxisPlan | None) -> tuple[AxisPlan, float]:
    """Plan the axis and set the lines of statistics: left of its labels where they are short enough, else under them.

    Where the favours words do not fit beside the statistics they get the whole width to the left of the panel.
    """
    grid, style = page.grid, page.style
    after = grid.right - grid.panel - style.panel_width
    axis = (page.axis((style.gap, after)) if above is None else above).placed(above=above is not None)
    texts = [page.ruler.balanced(text, grid.block_right - grid.left) for text in statistics]
    beside = axis.fits and sum(len(text.lines) for text in texts) <= len(texts) + 1
    if not beside:
        if above is None:
            axis = page.axis((grid.panel - grid.left, after))
        texts = [page.ruler.wrap(text, page.width) for text in statistics]
    depth = _favours_depth(axis, style)
    y = foot if beside else foot + depth + 0.3 * style.line_height
    for text in texts:
        for line in text.lines:
            y += style.line_height
            page.put(grid.left, y, line)
        y += 0.25 * style.line_height
    return axis, max(y, foot + depth)


def _legend(page: _Page, y: float) -> float:
    """Set the key of the judgements in as many lines as they need, and under it the names of the domains."""
    rob, size = page.data.rob, page.style.note_size
    if rob is None or not page.data.footnotes:
        return y
    disc, ruler = disc_size(page.style), page.ruler
    step, x = max(1.3 * size / 72, 1.15 * disc), page.grid.left
    y += step
    for judgement in rob.used:
        width = disc + 0.05 + ruler.width(judgement.word, size=size)
        if x > page.grid.left and x + width > page.grid.right:
            x, y = page.grid.left, y + step
        page.discs.append(Disc(x + disc / 2, y - 0.36 * size / 72, judgement))
        page.note(x + disc + 0.05, y, judgement.word)
        x += width + 1.5 * page.style.gap
    named = "; ".join(f"{domain.letter}: {domain.title}" for domain in rob.domains if not domain.overall)
    y += 0.3 * size / 72
    for line in ruler.wrap(f"{rob.tool.title}. {named}." if named else f"{rob.tool.title}.", page.width,
                           lines=NOTE_LINES, size=size).lines:  # fmt: skip
        y += 1.3 * size / 72
        page.note(page.grid.left, y, line)
    return y


def _notes(page: _Page, y: float) -> float:
    size = page.style.note_size
    for note in page.data.footnotes:
        for line in page.ruler.wrap(glue(note), page.width, lines=NOTE_LINES, size=size).lines:
            y += 1.3 * size / 72
            page.note(page.grid.left, y, line)
    return y + 0.3 * page.style.line_height
