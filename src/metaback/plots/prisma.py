"""The PRISMA 2020 flow diagram: boxes as high as their text, arrows between them, stages at the left."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.text import Text

from metaback.plots.page import Page, page
from metaback.plots.prisma_data import Column, FlowBox, FlowData, prisma_data
from metaback.plots.style import Style, drawing
from metaback.plots.text import Ruler, ruler

__all__ = ["draw_prisma", "prisma_data"]

BOX, BETWEEN, APART = 2.15, 0.3, 0.35  # inches: width of a box, to the box at its side, between columns
DOWN, INSIDE = 0.26, 0.08  # between boxes, and from their edge to their text
BAND, AFTER = 0.24, 0.12
BAND_COLOUR, HEAD_COLOUR = "#C9DDEA", "#F0E6C8"
INDENT = 0.12


@dataclass(frozen=True, slots=True)
class _Placed:
    """A box on the page, inches from the left and the top, with its broken lines and their indents."""

    box: FlowBox
    left: float
    top: float
    width: float
    height: float
    lines: tuple[tuple[float, str], ...]

    @property
    def middle(self) -> float:
        """Return the middle in inches from the top."""
        return self.top + self.height / 2

    @property
    def centre(self) -> float:
        """Return the centre in inches from the left."""
        return self.left + self.width / 2


def draw_prisma(data: FlowData, *, style: Style | None = None) -> Figure:
    """Draw the flow diagram; the figure is registered nowhere and its label is the text alternative."""
    look = style or Style()
    texts = [line for box in data.boxes for line in box.lines] + [words for _, words in data.heads]
    measure = ruler(look, texts)
    with drawing(look):
        placed, tops, width, height = _place(data, measure)
        sheet = page(width, height, measure, data.alt)
        head = look.margin
        for column, words in data.heads:
            boxes = [one for one in placed.values() if one.box.column == column]
            left, right = min(one.left for one in boxes), max(one.left + one.width for one in boxes)
            lines = _head_lines(words, right - left, measure)
            tall = _head_height(data, placed, measure)
            _box(sheet, left, head, right - left, tall, HEAD_COLOUR)
            for i, line in enumerate(lines):
                at = head + tall / 2 + (i - (len(lines) - 1) / 2) * look.line_height + 0.36 * look.size / 72
                sheet.write((left + right) / 2, at, line, align="center", bold=True)
        for words, first, last in data.bands:
            _band(sheet, words, tops, first, last)
        for one in placed.values():
            _box(sheet, one.left, one.top, one.width, one.height, "white")
            for i, (indent, line) in enumerate(one.lines):
                at = one.top + INSIDE + (i + 0.8) * look.line_height
                sheet.write(one.left + INSIDE + indent, at, line)
        for start, end in data.arrows:
            _arrow(sheet, placed[start], placed[end])
        return sheet.figure


def _broken(box: FlowBox, measure: Ruler) -> tuple[tuple[float, str], ...]:
    """Break the lines of a box; parts are indented."""
    made: list[tuple[float, str]] = []
    for line in box.lines:
        indent = INDENT if line.startswith("\u2003") else 0.0
        words = line.strip("\u2003")
        made += [(indent, part) for part in measure.wrap(words, 0.95 * (BOX - 2 * INSIDE) - indent, lines=4).lines]
    return tuple(made)


def _place(data: FlowData, measure: Ruler) -> tuple[dict[str, _Placed], dict[int, tuple[float, float]], float, float]:
    """Place the boxes: stages down, columns across; return them, top and foot of each stage, and the page's size."""
    style = measure.style
    lines = {box.name: _broken(box, measure) for box in data.boxes}
    tall = {name: len(found) * style.line_height + 2 * INSIDE for name, found in lines.items()}
    lefts = _lefts(data, style)
    top = style.margin
    if data.heads:
        widths = {column: BOX if column == "previous" else 2 * BOX + BETWEEN for column, _ in data.heads}
        most = max(len(_head_lines(words, widths[column], measure)) for column, words in data.heads)
        top += most * style.line_height + 2 * INSIDE + 0.6 * DOWN
    tops: dict[int, tuple[float, float]] = {}
    for stage in sorted({box.stage for box in data.boxes}):
        alone = [words for words, first, last in data.bands if _only(data, stage, first, last)]
        high = max(tall[box.name] for box in data.boxes if box.stage == stage)
        high = max([high, *(measure.width(words, bold=True) + 0.12 for words in alone)])
        tops[stage] = (top, top + high)
        top += high + DOWN
    placed: dict[str, _Placed] = {}
    for box in data.boxes:
        first, last = tops[box.stage]
        left = lefts[box.column] + (BOX + BETWEEN if box.side else 0.0)
        height = tall[box.name]
        placed[box.name] = _Placed(box, left, (first + last - height) / 2, BOX, height, lines[box.name])
    width = max(one.left + one.width for one in placed.values()) + style.margin
    return placed, tops, width, top - DOWN + style.margin


def _only(data: FlowData, stage: int, first: int, last: int) -> bool:
    """Tell whether a stage is the only one of a band, which its name must then fit."""
    return {box.stage for box in data.boxes if first <= box.stage <= last} == {stage}


def _lefts(data: FlowData, style: Style) -> dict[Column, float]:
    """Return the left edge of each column."""
    x = style.margin + BAND + AFTER
    lefts: dict[Column, float] = {}
    for column in ("previous", "main", "other"):
        if any(box.column == column for box in data.boxes):
            lefts[column] = x
            x += (BOX if column == "previous" else 2 * BOX + BETWEEN) + APART
    return lefts


def _head_lines(words: str, width: float, measure: Ruler) -> tuple[str, ...]:
    return measure.balanced(words, 0.95 * width - 2 * INSIDE, lines=3, bold=True).lines


def _head_height(data: FlowData, placed: dict[str, _Placed], measure: Ruler) -> float:
    """Return the height of the heads of all columns."""
    most = 1
    for column, words in data.heads:
        boxes = [one for one in placed.values() if one.box.column == column]
        wide = max(one.left + one.width for one in boxes) - min(one.left for one in boxes)
        most = max(most, len(_head_lines(words, wide, measure)))
    return most * measure.style.line_height + 2 * INSIDE


def _box(sheet: Page, left: float, top: float, width: float, height: float, colour: str) -> None:
    """Draw a rectangle."""
    sheet.figure.add_artist(
        Rectangle(
            (left, sheet.height - top - height), width, height, facecolor=colour, edgecolor=sheet.style.ink,
            linewidth=0.7, transform=sheet.figure.dpi_scale_trans,
        )
    )  # fmt: skip


def _band(sheet: Page, words: str, tops: dict[int, tuple[float, float]], first: int, last: int) -> None:
    """Draw a stage at the left, its name upright."""
    stages = [stage for stage in tops if first <= stage <= last]
    if not stages:
        return
    top, foot = tops[stages[0]][0], tops[stages[-1]][1]
    font = sheet.measure.face.properties(sheet.style.size, bold=True)
    _box(sheet, sheet.style.margin, top, BAND, foot - top, BAND_COLOUR)
    text = Text(
        sheet.style.margin + BAND / 2, sheet.height - (top + foot) / 2, words, rotation=90, fontproperties=font,
        color=sheet.style.ink, horizontalalignment="center", verticalalignment="center", parse_math=False,
        transform=sheet.figure.dpi_scale_trans,
    )  # fmt: skip
    sheet.figure.add_artist(text)


def _arrow(sheet: Page, start: _Placed, end: _Placed) -> None:
    """Draw an arrow: across to a box at the side, straight down, or round a corner to a box of another column."""
    if end.box.side:
        points = [(start.left + start.width, start.middle), (end.left, start.middle)]
    elif start.box.column == end.box.column:
        points = [(start.centre, start.top + start.height), (start.centre, end.top)]
    else:
        edge = end.left if start.centre < end.centre else end.left + end.width
        points = [(start.centre, start.top + start.height), (start.centre, end.middle), (edge, end.middle)]
    flipped = [(x, sheet.height - y) for x, y in points]
    trans = sheet.figure.dpi_scale_trans
    if len(flipped) == 3:
        xs, ys = zip(*flipped[:2], strict=True)
        sheet.figure.add_artist(_line(sheet, list(xs), list(ys)))
    arrow = FancyArrowPatch(
        flipped[-2], flipped[-1], arrowstyle="-|>", mutation_scale=7, color=sheet.style.ink, linewidth=0.8,
        shrinkA=0, shrinkB=0, transform=trans,
    )  # fmt: skip
    sheet.figure.add_artist(arrow)


def _line(sheet: Page, xs: list[float], ys: list[float]) -> FancyArrowPatch:
    """Return a straight line without a head."""
    return FancyArrowPatch(
        (xs[0], ys[0]), (xs[1], ys[1]), arrowstyle="-", color=sheet.style.ink, linewidth=0.8, shrinkA=0, shrinkB=0,
        transform=sheet.figure.dpi_scale_trans,
    )  # fmt: skip
