"""The small document model that every output format is rendered from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 2 to 4 (the document's title is level 1).

    `anchor` is the fragment that a table of contents links to.
    """

    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; `role` sets its look: the one-sentence answer, plain text, or small print."""

    text: str
    role: Literal["answer", "plain", "small"] = "plain"


@dataclass(frozen=True, slots=True)
class Table:
    """A captioned table of texts; `numeric` marks right-aligned columns, the first column heads each row.

    `file` names the CSV (in `tables/`) that holds the same rows in full precision, "" when there is none.
    `strong` holds the positions of rows that sum up the others (a total), set in bold; `marked` (row, column) the cells
    that a reader must look at, set apart by more than colour.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    file: str = ""
    strong: tuple[int, ...] = ()
    marked: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a table whose rows and columns do not match."""
        widths = {len(self.numeric), *(len(row) for row in self.rows)}
        if widths != {len(self.head)}:
            raise ValueError(f"table {self.caption!r}: {len(self.head)} heads, but rows or marks of {sorted(widths)}")


@dataclass(frozen=True, slots=True)
class PaperPage:
    """A part of a figure that is too tall for one page of paper: its SVG text, its name and its text alternative."""

    svg: str
    name: str
    alt: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture: its SVG text for pages, its name in `figures/`, caption and text alternative.

    pages: the same picture cut into pages of paper, for Word and PDF; () where it fits one.
    """

    svg: str
    name: str
    caption: str
    alt: str
    pages: tuple[PaperPage, ...] = ()


@dataclass(frozen=True, slots=True)
class Notes:
    """A box of points that a reader must not miss; `tone` "warning" or "information"."""

    title: str
    points: tuple[str, ...]
    tone: Literal["warning", "information"] = "warning"


@dataclass(frozen=True, slots=True)
class Listing:
    """A plain list, numbered or not (references, provenance)."""

    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be copied as it stands: a command."""

    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """One point with all that belongs to it: a mark (`Error`), what it is about, text, small tables, labelled lines.

    It has a heading of its own, of level 4. name: what programs and plan files call it, and its fragment; tone: how
    grave it is, "settled" where nothing is left to do. The tables carry no number and no file.
    """

    mark: str
    title: str
    name: str
    texts: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tone: Literal["error", "warning", "information", "settled"] = "information"


@dataclass(frozen=True, slots=True)
class Fold:
    """Figures and paragraphs that a page folds away under a title, open on paper; the title says what is inside."""

    title: str
    blocks: tuple[Figure | Paragraph, ...]


Block = Heading | Paragraph | Table | Figure | Notes | Listing | Code | Case | Fold
Plain = Heading | Paragraph | Table | Figure | Notes | Listing | Code | Case  # what is left when folds are open


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report: its title, language and blocks in reading order; headings never skip a level."""

    title: str
    blocks: tuple[Block, ...]
    language: str = "en"

    def __post_init__(self) -> None:
        """Refuse headings out of order, which readers of the outline (and screen readers) would lose."""
        before = 1
        for block in self.blocks:
            if isinstance(block, Heading):
                if not 2 <= block.level <= min(before + 1, 4):
                    raise ValueError(f"heading {block.text!r} of level {block.level} follows level {before}")
                before = block.level

    @property
    def opened(self) -> Iterator[Plain]:
        """Return the blocks in reading order, with what is folded in its place."""
        for block in self.blocks:
            if isinstance(block, Fold):
                yield from block.blocks
            else:
                yield block
