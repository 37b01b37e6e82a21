"""Where everything in a forest plot stands, in inches from the left and from the top, from measured text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import Literal

from metaback.plots.axis import TICK, TICK_PAD, AxisPlan, plan_axis
from metaback.plots.forest_data import ForestColumn, ForestData, ForestRow
from metaback.plots.style import Style
from metaback.plots.text import Ruler, Wrapped, glue

INDENT = 0.11
SPANNER_MIN = 0.9
_TOLERANCE = 1e-6
BOLD = frozenset({"header", "subtotal", "total"})
_SPANNING = frozenset({"header", "subtotal", "total", "prediction", "text"})


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


@dataclass(frozen=True, slots=True)
class _Slot:
    """A placed column: its edges, and for intervals the right edges of the point, the lower and the upper limit."""

    column: ForestColumn
    left: float
    right: float
    thirds: tuple[float, float, float] | None = None

    def at(self, align: Literal["left", "right", "center"]) -> float:
        """Return the place of a text that is aligned so."""
        return {"left": self.left, "right": self.right, "center": (self.left + self.right) / 2}[align]


@dataclass(frozen=True, slots=True)
class _Grid:
    """The horizontal arrangement: label column, left columns, panel, right columns, and the edges of the page."""

    left: float
    label: float
    block_right: float
    panel: float
    right: float
    slots: tuple[_Slot, ...]
    spanners: tuple[tuple[float, float, Wrapped], ...]


@dataclass(frozen=True, slots=True)
class _Page:
    """A page being set: what goes on it, the columns, and the pieces and rules placed so far."""

    data: ForestData
    ruler: Ruler
    grid: _Grid
    pieces: list[Piece]
    rules: list[Rule]

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


def split_interval(text: str) -> tuple[str, str, str] | None:
    """Split `-0.41 [-0.72, -0.10]` into its point, `[lower,` and `upper]`; None when it is some other text."""
    point, bracket, limits = text.partition("[")
    lower, comma, upper = limits.partition(", ")
    return (point.strip(), f"[{lower},", upper) if bracket and comma else None


def lay_out(data: ForestData, ruler: Ruler, *, limits: tuple[float, float] | None = None) -> Sheet:
    """Place every text, rule and row of a forest plot."""
    style = ruler.style
    page = _Page(data, ruler, _grid(data, style, ruler), [], [])
    top = _head(page, _title(page, style.margin))
    last = max((i for i, row in enumerate(data.rows) if row.kind not in {"text", "blank"}), default=-1)
    height = style.row_height(len(data.rows))
    y, centres = _rows(page, data.rows[: last + 1], top + 0.3 * height, height)
    foot = y + 0.25 * height
    statistics = [glue(ruler.face.printable(row.label)) for row in data.rows[last + 1 :] if row.label]
    axis, y = _foot(page, foot, statistics, limits)
    y = _notes(page, y + 0.5 * style.line_height)
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
    )


# ------------------------------------------------------------------------------------------------- horizontal
def _grid(data: ForestData, style: Style, ruler: Ruler) -> _Grid:
    """Give every column the width that its texts need."""
    widths = [_column_width(data, index, style, ruler) for index in range(len(data.columns))]
    left_side = [i for i, column in enumerate(data.columns) if column.side == "left"]
    right_side = [i for i, column in enumerate(data.columns) if column.side == "right"]
    spanners = _widen_for_spanners(data, left_side, widths, style, ruler)
    label = _label_width(data, left_side, widths, style, ruler)
    x = style.margin + label
    slots: dict[int, _Slot] = {}
    for i in left_side:
        first_of_arm = i > 0 and data.columns[i].spanner != data.columns[i - 1].spanner
        x += style.gap * (1.5 if first_of_arm or i == left_side[0] else 1.0)
        slots[i] = _slot(data, i, x, widths[i], ruler)
        x += widths[i]
    block_right = x
    panel = x + 1.3 * style.gap
    x = panel + style.panel_width + 0.3 * style.gap
    for i in right_side:
        x += style.gap
        slots[i] = _slot(data, i, x, widths[i], ruler)
        x += widths[i]
    placed = tuple((slots[run[0]].left, slots[run[-1]].right, wrapped) for run, wrapped in spanners)
    ordered = tuple(slots[i] for i in range(len(data.columns)))
    return _Grid(style.margin, label, block_right, panel, x, ordered, placed)


def _texts(data: ForestData, index: int) -> list[tuple[str, bool]]:
    return [(row.cells[index], row.kind in BOLD) for row in data.rows if len(row.cells) > index and row.cells[index]]


def _column_width(data: ForestData, index: int, style: Style, ruler: Ruler) -> float:
    """Return the width of a column: that of its head or of its widest text."""
    column = data.columns[index]
    head = ruler.width(column.head, bold=True)
    texts = _texts(data, index)
    if column.align == "interval":
        plain = [text for text, _ in texts if split_interval(text) is None]
        return max(head, sum(_thirds(data, index, ruler)) + 2 * _space(style), ruler.widest(plain))
    normal = ruler.widest(text for text, bold in texts if not bold)
    return max(head, normal, ruler.widest((text for text, bold in texts if bold), bold=True))


def _space(style: Style) -> float:
    return 0.32 * style.size / 72


def _thirds(data: ForestData, index: int, ruler: Ruler) -> tuple[float, float, float]:
    """Return the widths of the three parts of an interval column."""
    widths = [0.0, 0.0, 0.0]
    for bold in (False, True):
        parts = [split_interval(text) for text, is_bold in _texts(data, index) if is_bold == bold]
        for third in range(3):
            texts = [part[third] for part in parts if part is not None]
            widths[third] = max(widths[third], ruler.widest(texts, bold=bold))
    return widths[0], widths[1], widths[2]


def _slot(data: ForestData, index: int, x: float, width: float, ruler: Ruler) -> _Slot:
    column = data.columns[index]
    right = x + width
    if column.align != "interval":
        return _Slot(column, x, right)
    _, lower, upper = _thirds(data, index, ruler)
    space = _space(ruler.style)
    spare = max(0.0, width - sum(_thirds(data, index, ruler)) - 2 * space) / 2
    third = right - spare
    return _Slot(column, x, right, (third - upper - lower - 2 * space, third - upper - space, third))


def _widen_for_spanners(
    data: ForestData, indices: Sequence[int], widths: list[float], style: Style, ruler: Ruler
) -> list[tuple[list[int], Wrapped]]:
    """Break the spanners over their columns, and widen columns too narrow for a word; return runs with their lines."""
    runs: list[tuple[list[int], Wrapped]] = []
    for spanner, members in groupby(indices, key=lambda i: data.columns[i].spanner):
        run = list(members)
        if not spanner:
            continue
        natural = sum(widths[i] for i in run) + style.gap * (len(run) - 1)
        wrapped = ruler.balanced(spanner, max(natural, SPANNER_MIN), lines=3, bold=True)
        missing = ruler.widest(wrapped.lines, bold=True) - natural
        for i in run:
            widths[i] += max(0.0, missing) / len(run)
        runs.append((run, wrapped))
    return runs


def _label_width(data: ForestData, left: Sequence[int], widths: Sequence[float], style: Style, ruler: Ruler) -> float:
    """Return the width of the label column: study labels up to a limit, and room for the pooled rows' words."""
    studies = [row for row in data.rows if row.kind in {"study", "not_estimable"}]
    natural = ruler.widest(ruler.face.printable(row.label) for row in studies)
    indent = max((row.level for row in studies), default=0) * INDENT
    width = max(min(natural + 0.01, style.label_width) + indent, ruler.width(data.label_head, bold=True))
    marked = [i for i, row in enumerate(data.rows) if row.kind not in {"text", "blank"}]
    for row in data.rows[: max(marked, default=-1) + 1]:
        if row.kind not in _SPANNING:
            continue
        empty = takewhile(lambda i: i >= len(row.cells) or not row.cells[i], left)  # noqa: B023 used at once
        free = sum(widths[i] + style.gap for i in empty)
        lines = 2 if row.kind in {"total", "text"} else 1
        label = glue(ruler.face.printable(row.label))
        needed = ruler.narrowest(label, lines, bold=row.kind in BOLD) + row.level * INDENT
        width = max(width, min(needed, style.label_width) - free)
    return width


# --------------------------------------------------------------------------------------------------- vertical
def _title(page: _Page, y: float) -> float:
    if not page.data.title:
        return y
    size = page.style.title_size
    for line in page.ruler.wrap(page.data.title, page.width, lines=3, size=size, bold=True).lines:
        y += 1.25 * size / 72
        page.pieces.append(Piece(page.grid.left, y, line, bold=True, size=size, colour=page.style.ink))
    return y + 0.8 * page.style.line_height


def _head(page: _Page, y: float) -> float:
    """Set the heads of the columns; return where the panel begins."""
    grid, line_height = page.grid, page.style.line_height
    tallest = max((len(wrapped.lines) for _, _, wrapped in grid.spanners), default=0)
    for left, right, wrapped in grid.spanners:
        for i, line in enumerate(wrapped.lines):
            at = y + (tallest - len(wrapped.lines) + i + 1) * line_height
            page.put((left + right) / 2, at, line, align="center", bold=True)
        page.rules.append(Rule(left, right, y + (tallest + 0.45) * line_height))
    y += (tallest + 1.5 if tallest else 1.0) * line_height
    page.put(grid.left, y, page.ruler.face.printable(page.data.label_head), bold=True)
    for slot in grid.slots:
        align = "center" if slot.column.align == "interval" else slot.column.align
        page.put(slot.at(align), y, page.ruler.face.printable(slot.column.head), align=align, bold=True)
    y += 0.5 * line_height
    page.rules.append(Rule(grid.left, grid.right, y))
    return y


def _rows(page: _Page, rows: Sequence[ForestRow], y: float, height: float) -> tuple[float, list[float | None]]:
    """Set the rows from y downwards; return where they end and the middle of each that has marks."""
    style, printable = page.style, page.ruler.face.printable
    rise = 0.36 * style.size / 72
    centres: list[float | None] = []
    for row in rows:
        if row.kind == "blank":
            centres.append(None)
            y += 0.5 * height
            continue
        label, bold = _label(page, row), row.kind in BOLD
        tall = height + (len(label.lines) - 1) * style.line_height
        middle = y + tall / 2
        first = middle + rise - (len(label.lines) - 1) / 2 * style.line_height
        full = "" if label.whole and printable(row.label) == row.label else row.label
        for i, line in enumerate(label.lines):
            x = page.grid.left + row.level * INDENT
            page.put(x, first + i * style.line_height, line, bold=bold, full=full)
        for slot, cell in zip(page.grid.slots, row.cells, strict=False):
            _cell(page, slot, printable(cell), middle + rise, bold=bold)
        centres.append(None if row.kind in {"text", "header"} else middle)
        y += tall
    return y, centres


def _label(page: _Page, row: ForestRow) -> Wrapped:
    """Break a label over the space that it has: its column, and for pooled rows the empty columns after it."""
    grid, gap, bold = page.grid, page.style.gap, row.kind in BOLD
    right = grid.left + grid.label
    room = right - grid.left - row.level * INDENT + _TOLERANCE
    if row.kind not in _SPANNING:
        return page.ruler.wrap(row.label, room, lines=page.style.label_lines, bold=bold)
    taken = [s.left for s, c in zip(grid.slots, row.cells, strict=False) if c and s.column.side == "left"]
    room += min([grid.block_right, *(left - gap for left in taken)]) - right
    return page.ruler.balanced(glue(row.label), room, bold=bold)


def _cell(page: _Page, slot: _Slot, text: str, y: float, *, bold: bool) -> None:
    """Set the text of one cell; the three numbers of an interval each on its own right edge."""
    if not text:
        return
    if slot.thirds is None:
        align = "right" if slot.column.align == "interval" else slot.column.align
        page.put(slot.at(align), y, text, align=align, bold=bold)
        return
    parts = split_interval(text) or ("", "", text)
    for part, right in zip(parts, slot.thirds, strict=True):
        if part:
            page.put(right, y, part, align="right", bold=bold)


def axis_depth(axis: AxisPlan, style: Style) -> float:
    """Return how far below the panel the ticks, their labels and the title reach, in inches."""
    return (TICK + TICK_PAD) / 72 + (1.4 + len(axis.title)) * style.line_height


def _favours_depth(axis: AxisPlan, style: Style) -> float:
    lines = max(map(len, axis.favours)) if axis.favours is not None else 0
    return axis_depth(axis, style) + lines * style.line_height


def _foot(
    page: _Page, foot: float, statistics: Sequence[str], limits: tuple[float, float] | None
) -> tuple[AxisPlan, float]:
    """Plan the axis and set the lines of statistics: left of its labels where they are short enough, else under them.

    Where the favours words do not fit beside the statistics they get the whole width to the left of the panel.
    """
    grid, style = page.grid, page.style
    after = grid.right - grid.panel - style.panel_width
    axis = plan_axis(page.data, page.ruler, style.panel_width, (style.gap, after), limits)
    texts = [page.ruler.balanced(text, grid.block_right - grid.left) for text in statistics]
    beside = axis.fits and sum(len(text.lines) for text in texts) <= len(texts) + 1
    if not beside:
        axis = plan_axis(page.data, page.ruler, style.panel_width, (grid.panel - grid.left, after), limits)
        texts = [page.ruler.wrap(text, page.width) for text in statistics]
    depth = _favours_depth(axis, style)
    y = foot if beside else foot + depth + 0.3 * style.line_height
    for text in texts:
        for line in text.lines:
            y += style.line_height
            page.put(grid.left, y, line)
        y += 0.25 * style.line_height
    return axis, max(y, foot + depth)


def _notes(page: _Page, y: float) -> float:
    size = page.style.note_size
    for note in page.data.footnotes:
        for line in page.ruler.wrap(glue(note), page.width, lines=6, size=size).lines:
            y += 1.3 * size / 72
            page.pieces.append(Piece(page.grid.left, y, line, size=size, colour=page.style.muted))
    return y + 0.3 * page.style.line_height
