"""Pages of paper, for Word and PDF: numbers of tables and figures, widths of columns, and what lies on its side."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from metaback.report.document import Case, Document, Figure, Heading, Plain, Table
from metaback.report.words import clean

MARGIN = 51.0  # 18 mm
PORTRAIT, LANDSCAPE = 595.3 - 2 * MARGIN, 841.9 - 2 * MARGIN  # widths of the text on A4, in points
TALLEST_PORTRAIT, TALLEST_LANDSCAPE = 640.0, 400.0  # of a figure, with its caption below it
SMALL = 0.72  # a figure that would be drawn smaller than this is turned, if that makes it larger
# Sizes of type in the order in which they are tried, with the width of the page and whether numbers stay in one piece.
_SIZES = (
    (8.5, PORTRAIT, True),
    (7.5, PORTRAIT, True),
    (7.5, PORTRAIT, False),
    (7.0, PORTRAIT, False),
    (8.5, LANDSCAPE, True),
    (7.5, LANDSCAPE, True),
    (6.5, LANDSCAPE, False),
    (5.5, LANDSCAPE, False),
)
_LETTER = 0.5  # mean width of a letter in heights of the type, on the wide side
_PADDING = 8.0
_PERCENT = 0.6  # letters by which a percent sign in bold is wider than one
_WORD = 22  # letters; longer words are broken
_LINE = 60  # letters; a cell need not be wider
_ROOM = 0.12  # share of the width beyond the longest words that a table must have, or its cells become towers
MARK = "\u26a0"  # a warning sign before a cell that must be looked at
_SPACE = re.compile("[\t\n\v\f\r \u2028\u2029]+")
_LIMITS = re.compile(r"\[[^\[\]]{1,40}\]")
_LENGTH = re.compile(r"\s*([0-9.]+)\s*(pt|px|in|mm|cm)?\s*")
_POINTS = {"": 0.75, "px": 0.75, "pt": 1.0, "in": 72.0, "mm": 72 / 25.4, "cm": 72 / 2.54}


@dataclass(frozen=True, slots=True)
class Sized:
    """The size of a table's type and of its columns, or the width of a figure, in points."""

    landscape: bool
    widths: tuple[float, ...]
    type_size: float = 0.0


@dataclass(frozen=True, slots=True)
class _Tried:
    """Columns in one size of type: widths of their longest words, and what their longest cells lack beyond that."""

    size: float
    room: float
    least: tuple[float, ...]
    lacking: tuple[float, ...]

    @property
    def fits(self) -> bool:
        """Tell whether words fit without breaks, and cells without becoming towers."""
        return sum(self.least) + _ROOM * sum(self.lacking) <= self.room

    def widths(self) -> tuple[float, ...]:
        """Share the room out: words first, then what the cells lack."""
        needed, wanted = sum(self.least), sum(self.lacking)
        squeezed = min(1.0, self.room / needed)
        share = min(1.0, max(0.0, self.room - needed) / wanted) if wanted else 0.0
        pairs = zip(self.least, self.lacking, strict=True)
        return tuple(math.floor(10 * (squeezed * width + share * more)) / 10 for width, more in pairs)


@dataclass(frozen=True, slots=True)
class Placed:
    """A block with its number among its kind (0 for none), its heading level on paper, and its size."""

    block: Plain
    number: int = 0
    level: int = 0
    sized: Sized | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Blocks in reading order that share pages, upright or on their side."""

    landscape: bool
    placed: tuple[Placed, ...]


def runs(document: Document) -> tuple[Run, ...]:
    """Return the blocks in reading order, in runs of one page direction, the first one upright.

    A heading and a paragraph right before a table or figure that lies on its side go with it. On paper the document's
    title stands above level 1, so that levels are one less than in a page.
    """
    placed = list(_placed(document))
    sides = [item.sized is not None and item.sized.landscape for item in placed]
    for position in range(len(placed) - 1, 0, -1):
        if sides[position] and isinstance(placed[position - 1].block, Heading):
            sides[position - 1] = True
    found: list[Run] = [Run(landscape=False, placed=())]
    for item, side in zip(placed, sides, strict=True):
        if side == found[-1].landscape:
            found[-1] = Run(side, (*found[-1].placed, item))
        else:
            found.append(Run(side, (item,)))
    return tuple(found)


def numbered(document: Document) -> Iterator[tuple[Plain, int, int]]:
    """Give every block with its number among its kind (0 for none) and its heading level (0 for none).

    A case has a heading of level 4, or of one less where no heading of level 3 stands above it: none may be skipped.
    """
    tables = figures = 0
    above = 1
    for block in document.opened:
        if isinstance(block, Table):
            tables += 1
            yield block, tables, 0
        elif isinstance(block, Figure):
            figures += 1
            yield block, figures, 0
        elif isinstance(block, Heading):
            above = block.level
            yield block, 0, block.level
        else:
            yield block, 0, min(4, above + 1) if isinstance(block, Case) else 0


def line(text: str) -> str:
    """Make text safe to show and put it on one line; spaces that do not break stay."""
    return _SPACE.sub(" ", clean(text)).strip(" ")


def cell_text(text: str, *, numeric: bool) -> str:
    """Put the text of a cell on one line; limits in brackets stay together, so that a number breaks before them."""
    shown = line(text)
    return _LIMITS.sub(lambda found: found.group().replace(" ", "\u00a0"), shown) if numeric else shown


def table_size(table: Table) -> Sized:
    """Return the largest type and the direction of the page at which the words of a table fit, with its columns.

    Columns get the width of their longest word; what is left is shared out by what their longest cells still lack.
    """
    tried = [_tried(table, *size) for size in _SIZES]
    fitting = next((found for found in tried if found.fits), tried[-1])
    return Sized(fitting.room > PORTRAIT, fitting.widths(), fitting.size)


def figure_size(figure: Figure) -> Sized:
    """Return the width at which a figure fits its page, and whether the page is turned to draw it larger."""
    width, height = _natural(figure.svg)
    upright = min(1.0, PORTRAIT / width, TALLEST_PORTRAIT / height)
    turned = min(1.0, LANDSCAPE / width, TALLEST_LANDSCAPE / height)
    landscape = upright < SMALL and turned > 1.2 * upright
    return Sized(landscape, (round(width * (turned if landscape else upright), 1),))


def _placed(document: Document) -> Iterator[Placed]:
    for block, number, level in numbered(document):
        if isinstance(block, Table):
            yield Placed(block, number, sized=table_size(block))
        elif isinstance(block, Figure):
            yield from (Placed(part, number, sized=figure_size(part)) for part in _pages(block))
        else:
            yield Placed(block, number, max(0, level - 1))


def _pages(figure: Figure) -> Iterator[Figure]:
    """Return a figure as it stands on paper: whole, or one part per page under the same number."""
    if not figure.pages:
        yield figure
    for number, page in enumerate(figure.pages, 1):
        shown = f"{figure.caption} Page {number} of {len(figure.pages)}."
        yield replace(figure, svg=page.svg, name=page.name, caption=shown, alt=page.alt, pages=())


def _tried(table: Table, size: float, room: float, whole: bool) -> _Tried:
    """Measure the columns of a table in one size of type; whole: numbers with their limits are one word."""
    least: list[float] = []
    lacking: list[float] = []
    for column, numeric in enumerate(table.numeric):
        head = line(table.head[column])
        cells = [cell_text(row[column], numeric=numeric) for row in table.rows]
        for row, marked in table.marked:
            cells[row] = f"{MARK} {cells[row]}" if marked == column else cells[row]
        kept = column == 0 or (numeric and whole)  # the name of a row reads badly in two lines
        words = [*head.split(" "), *(cells if kept else (word for cell in cells for word in cell.split(" ")))]
        longest = min(_WORD, max(map(_letters, words)))
        widest = min(_LINE, max(_letters(text) for text in (head, *cells)))
        least.append(size * _LETTER * longest + _PADDING)
        lacking.append(size * _LETTER * max(0, widest - longest))
    return _Tried(size, room, tuple(least), tuple(lacking))


def _letters(text: str) -> float:
    """Return the length of a text in letters of usual width; a percent sign is wider than a figure."""
    return len(text) + _PERCENT * text.count("%")


def _natural(svg: str) -> tuple[float, float]:
    """Return the width and height of a drawing in points; a landscape of 4 to 3 where it does not say."""
    head = re.search(r"<svg\b[^>]*>", svg)
    sides: list[float] = []
    for name in ("width", "height"):
        found = re.search(rf'\s{name}="([^"]*)"', head.group()) if head else None
        length = _LENGTH.fullmatch(found.group(1)) if found else None
        sides.append(float(length.group(1)) * _POINTS[length.group(2) or ""] if length else 0.0)
    width, height = sides
    return (width, height) if width > 0 and height > 0 else (480.0, 360.0)
