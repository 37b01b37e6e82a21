"""The columns of a forest plot: which width each needs, and where it stands, in inches from the left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import Literal

from metaback.plots.forest_records import ForestColumn, ForestData
from metaback.plots.style import Style
from metaback.plots.text import Ruler, Wrapped, glue

INDENT = 0.11
SPANNER_MIN = 0.9
HEAD_LINES = 3  # of a column that the reader asked for
TEXT_WIDTH = 1.5  # inches at which texts of a column that the reader asked for are broken
BOLD = frozenset({"header", "subtotal", "total"})
SPANNING = frozenset({"header", "subtotal", "total", "prediction", "text"})
_INTERVAL = re.compile(r"^(.*?)\s*([\[(].+?)(, | to |\u2013)(.+[\])])$")


@dataclass(frozen=True, slots=True)
class Slot:
    """A placed column: its edges, and for intervals the right edges of the point, the lower and the upper limit."""

    column: ForestColumn
    left: float
    right: float
    thirds: tuple[float, float, float] | None = None

    def at(self, align: Literal["left", "right", "center"]) -> float:
        """Return the place of a text that is aligned so."""
        return {"left": self.left, "right": self.right, "center": (self.left + self.right) / 2}[align]


@dataclass(frozen=True, slots=True)
class Grid:
    """The horizontal arrangement: label column, left columns, panel, right columns, and the edges of the page.

    discs: the middles of the columns of judgements.
    """

    left: float
    label: float
    block_right: float
    panel: float
    right: float
    slots: tuple[Slot, ...]
    spanners: tuple[tuple[float, float, Wrapped], ...]
    discs: tuple[float, ...] = ()


def split_interval(text: str) -> tuple[str, str, str] | None:
    """Split `-0.41 [-0.72, -0.10]` into its point, `[-0.72,` and `-0.10]`; None when it is some other text.

    Limits that are joined by an en dash stay in one piece, the third.

    >>> split_interval("0.79 (0.67 to 0.93)"), split_interval("0·79 (0·67–0·93)")
    (('0.79', '(0.67 to', '0.93)'), ('0·79', '', '(0·67–0·93)'))
    """
    found = _INTERVAL.match(text)
    if found is None:
        return None
    point, lower, joint, upper = found.groups()
    return (point, "", lower + joint + upper) if joint == "\u2013" else (point, lower + joint.rstrip(), upper)


def disc_size(style: Style) -> float:
    """Return the diameter of a judgement's circle in inches."""
    return 1.25 * style.size / 72


def make_grid(data: ForestData, ruler: Ruler) -> Grid:
    """Give every column the width that its texts need."""
    style = ruler.style
    widths = [_column_width(data, index, style, ruler) for index in range(len(data.columns))]
    left_side = [i for i, column in enumerate(data.columns) if column.side == "left"]
    right_side = [i for i, column in enumerate(data.columns) if column.side == "right"]
    spanners = _widen_for_spanners(data, left_side, widths, style, ruler)
    spanners += _widen_for_spanners(data, right_side, widths, style, ruler)
    label = _label_width(data, left_side, widths, style, ruler)
    x = style.margin + label
    slots: dict[int, Slot] = {}
    for i in left_side:
        first_of_arm = i > 0 and data.columns[i].spanner != data.columns[i - 1].spanner
        x += style.gap * (1.5 if first_of_arm or i == left_side[0] else 1.0)
        slots[i] = _slot(data, i, x, widths[i], ruler)
        x += widths[i]
    block_right = x
    panel = x + 1.3 * style.gap
    x = panel + style.panel_width + (0.3 * style.gap if right_side else 0.0)
    for i in right_side:
        x += style.gap
        slots[i] = _slot(data, i, x, widths[i], ruler)
        x += widths[i]
    placed = tuple((slots[run[0]].left, slots[run[-1]].right, wrapped) for run, wrapped in spanners)
    ordered = tuple(slots[i] for i in range(len(data.columns)))
    middles, right = _discs(data, x, ruler)
    return Grid(style.margin, label, block_right, panel, right, ordered, placed, middles)


def _discs(data: ForestData, x: float, ruler: Ruler) -> tuple[tuple[float, ...], float]:
    """Return the middles of the columns of judgements right of x, and where they end; the overall one stands apart."""
    if data.rob is None:
        return (), x
    style, middles = ruler.style, list[float]()
    x += 1.2 * style.gap
    for domain in data.rob.domains:
        width = max(disc_size(style) + 0.035, ruler.width(domain.letter, bold=True) + 0.04)
        x += 0.8 * style.gap if domain.overall and middles else 0.0
        middles.append(x + width / 2)
        x += width
    return tuple(middles), x


def _texts(data: ForestData, index: int) -> list[tuple[str, bool]]:
    return [(row.cells[index], row.kind in BOLD) for row in data.rows if len(row.cells) > index and row.cells[index]]


def _column_width(data: ForestData, index: int, style: Style, ruler: Ruler) -> float:
    """Return the width of a column: that of its head or of its widest text."""
    column = data.columns[index]
    lines = HEAD_LINES if column.kind in {"text", "number"} else 1
    head = ruler.narrowest(column.head, lines, bold=True)
    texts = _texts(data, index)
    if column.align == "interval":
        plain = [text for text, _ in texts if split_interval(text) is None]
        return max(head, sum(thirds(data, index, ruler)) + sum(_spaces(data, ruler.style)), ruler.widest(plain))
    normal = ruler.widest(ruler.face.printable(text) for text, bold in texts if not bold)
    if column.kind == "text":
        return max(head, min(normal, TEXT_WIDTH) + 1e-6)
    return max(head, normal, ruler.widest((text for text, bold in texts if bold), bold=True))


def head_lines(column: ForestColumn, ruler: Ruler, width: float) -> tuple[str, ...]:
    """Break the head of a column that the reader asked for over its width; the others are short by design."""
    head = ruler.face.printable(column.head)
    return ruler.wrap(head, width + 1e-6, bold=True).lines if column.kind in {"text", "number"} else (head,)


def _spaces(data: ForestData, style: Style) -> tuple[float, float]:
    """Return the room after a point and after a lower limit; a word between the limits needs more than a comma."""
    word = data.layout.numbers.joint.strip().isalpha()
    return 0.32 * style.size / 72, (0.5 if word else 0.32) * style.size / 72


def thirds(data: ForestData, index: int, ruler: Ruler) -> tuple[float, float, float]:
    """Return the widths of the three parts of an interval column."""
    widths = [0.0, 0.0, 0.0]
    for bold in (False, True):
        parts = [split_interval(text) for text, is_bold in _texts(data, index) if is_bold == bold]
        for third in range(3):
            texts = [part[third] for part in parts if part is not None]
            widths[third] = max(widths[third], ruler.widest(texts, bold=bold))
    return widths[0], widths[1], widths[2]


def _slot(data: ForestData, index: int, x: float, width: float, ruler: Ruler) -> Slot:
    column = data.columns[index]
    right = x + width
    if column.align != "interval":
        return Slot(column, x, right)
    point, lower, upper = thirds(data, index, ruler)
    first, second = _spaces(data, ruler.style)
    second = second if lower else 0.0
    third = right - max(0.0, width - point - lower - upper - first - second) / 2
    return Slot(column, x, right, (third - upper - lower - first - second, third - upper - second, third))


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
    studies = [row for row in data.rows if row.kind in {"study", "not_estimable", "study_mean"}]
    natural = ruler.widest(ruler.face.printable(row.label) for row in studies)
    indent = max((row.level for row in studies), default=0) * INDENT
    width = max(min(natural + 0.01, style.label_width) + indent, ruler.width(data.label_head, bold=True))
    marked = [i for i, row in enumerate(data.rows) if row.kind not in {"text", "blank"}]
    for row in data.rows[: max(marked, default=-1) + 1]:
        if row.kind not in SPANNING:
            continue
        empty = takewhile(lambda i: i >= len(row.cells) or not row.cells[i], left)  # noqa: B023 used at once
        free = sum(widths[i] + style.gap for i in empty)
        lines = 2 if row.kind in {"total", "text"} else 1
        label = glue(ruler.face.printable(row.label))
        needed = ruler.narrowest(label, lines, bold=row.kind in BOLD) + row.level * INDENT
        width = max(width, min(needed, style.label_width) - free)
    return width
