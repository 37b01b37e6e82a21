"""The document as Markdown that reads well as plain text: no HTML of its own, and none that a text could bring in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from metaback.report.document import Case, Code, Document, Figure, Heading, Listing, Notes, Paragraph, Plain, Table
from metaback.report.paper import MARK, line, numbered
from metaback.report.words import clean

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ANYWHERE = re.compile(r"[\\`*{}|~$@&<>]")
_BRACKET = re.compile(r"[\[\]]")
_LINKING = re.compile(r"\[(?=[\[^!\]])|\](?=[(\[:\]])|!(?=\[)")
_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ADDRESS = re.compile(r":(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):", re.IGNORECASE)
_OPENING = re.compile(r"^([#=]|[+\-](?=[+\-\s]|$)|[0-9]{1,9}(?=[.)](?:\s|$)))")
_CLOSING = re.compile(r"#(?=#*$)")


def render_markdown(document: Document) -> str:
    r"""Return the whole document as Markdown (GitHub's dialect), the same text for the same document.

    Figures are links into `figures/`. Every text is escaped: markup of any kind is shown as it was typed, and addresses
    are text, not links.

    >>> print(render_markdown(Document("A <b> & [c](d)", (Paragraph("1. *x*"),))), end="")
    # A &lt;b&gt; &amp; \[c\](d)
    <BLANKLINE>
    1\. \*x\*
    """
    parts = [f"# {escaped(document.title)}"]
    for block, number, level in numbered(document):
        parts += _parts(block, number, level)
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Return text on one line that Markdown shows as it was typed, within a line."""
    return _BRACKET.sub(_backslash, _inert(text))


def _inert(text: str) -> str:
    """Escape all but brackets."""
    shown = _ANYWHERE.sub(lambda found: _ENTITIES.get(found.group(), f"\\{found.group()}"), line(text))
    for pattern in (_UNDERSCORE, _ADDRESS, _CLOSING):
        shown = pattern.sub(_backslash, shown)
    return shown


def _cell(text: str) -> str:
    """Escape a text that has a cell for itself; the brackets of intervals stay, for they can link to nothing."""
    return _LINKING.sub(_backslash, _inert(text))


def _opening(text: str) -> str:
    """Escape a text that opens a line, where a sign or a number would begin a heading, a list or a rule."""
    return _OPENING.sub(lambda found: f"{found[1]}\\" if found[1].isdigit() else f"\\{found[1]}", escaped(text))


def _backslash(found: re.Match[str]) -> str:
    return f"\\{found.group()}"


def _parts(block: Plain, number: int, level: int) -> Iterator[str]:
    """Write one block as paragraphs, to be set apart by blank lines."""
    match block:
        case Heading():
            yield f"{'#' * level} {escaped(block.text)}"
        case Paragraph():
            strong = block.role == "answer" and line(block.text)
            yield f"**{escaped(block.text)}**" if strong else _opening(block.text)
        case Table():
            yield from _table(block, f"**Table {number}.** ")
        case Figure():
            name = quote(clean(block.name), safe="")
            yield f"![{escaped(block.alt)}](figures/{name})"
            yield f"**Figure {number}.** {escaped(block.caption)}"
        case Notes():
            points = "".join(f"\n> - {_opening(point)}" for point in block.points)
            yield f"> **{escaped(block.title)}**\n>{points}"
        case Listing():
            marks = (f"{i}." if block.numbered else "-" for i in range(1, len(block.items) + 1))
            yield "\n".join(f"{mark} {_opening(item)}" for mark, item in zip(marks, block.items, strict=True))
        case Code():
            yield _fenced(block.text)
        case Case():
            yield from _case(block, level)


def _table(table: Table, label: str) -> Iterator[str]:
    """Write caption, rows and the file of full precision; totals are bold, cells to look at have a sign."""
    yield f"{label}{escaped(table.caption)}" if label else _opening(table.caption)
    rules = ["---:" if numeric else ":---" for numeric in table.numeric]
    lines = [list(map(_cell, table.head)), rules]
    for i, row in enumerate(table.rows):
        cells = list(map(_cell, row))
        for j, cell in enumerate(cells):
            if (i, j) in table.marked:
                cells[j] = f"**{MARK} {cell}**"
            elif i in table.strong and cell:
                cells[j] = f"**{cell}**"
        lines.append(cells)
    yield "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    if table.file:
        yield f"Full precision: tables/{escaped(table.file)}"


def _case(case: Case, level: int) -> Iterator[str]:
    yield f"{'#' * level} \\[{escaped(case.mark)}\\] {escaped(case.title)}"
    yield from map(_opening, case.texts)
    for table in case.tables:
        yield from _table(table, "")
    facts = [f"- **{escaped(label)}:** {escaped(text)}" for label, text in case.facts]
    yield "\n".join([*facts, f"- **Name:** {_inline(case.name)}"])


def _fence(text: str, least: int) -> str:
    """Return a run of backticks that is longer than any in the text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _fenced(text: str) -> str:
    shown = clean(text).rstrip("\n")
    fence = _fence(shown, 3)
    return f"{fence}\n{shown}\n{fence}"


def _inline(text: str) -> str:
    shown = line(text)
    fence = _fence(shown, 1)
    room = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{room}{shown}{room}{fence}" if shown else ""
