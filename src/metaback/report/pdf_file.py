"""The document as PDF for screens, printers and screen readers (PDF/UA-1): typst gets its texts as data only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from metaback.errors import OptionError
from metaback.postestimation.words import plural
from metaback.report.document import Case, Code, Document, Figure, Heading, Listing, Notes, Paragraph, Plain, Table
from metaback.report.paper import MARGIN, MARK, PORTRAIT, Placed, cell_text, line, runs, table_size
from metaback.report.svg import inline_svg
from metaback.report.words import REPLACEMENT, clean

EXTRA = "format='pdf' needs typst: pip install metaback[pdf]"
_EPOCH = 315_532_800  # 1980-01-01, the date of no report: the file holds none
_LONG = 18  # letters of a word; longer ones may be broken after their signs, and anywhere beyond that
_WORD = re.compile(rf"[^\s\u200b]{{{_LONG + 1},}}")
_LINE_OF_CODE = re.compile(r"\S{80}(?=\S)")  # copied code must not change, but for what no line could hold
_SIGNS = re.compile(r"(?<=[-_/.,;:|=&?])(?=[^\s\u200b])")
_LACKING = re.compile(r'(?:the text|codepoint) `("(?:[^"\\]|\\.)*")`(?: could not be displayed|$)', re.MULTILINE)
_ESCAPE = re.compile(r"\\u\{([0-9a-fA-F]{1,6})\}|\\(.)")
_ROUNDS = 20
_REPEATED = 200  # letters; a longer head would fill pages if it stood on each


def pdf_bytes(document: Document, figures: Mapping[str, str] | None = None) -> bytes:
    """Return the document as a tagged PDF that follows PDF/UA-1, the same bytes for the same document.

    figures: name of a figure -> SVG text to use in place of its own. Only the typefaces that come with typst are used,
    so that every machine gives the same pages; letters that they lack become U+FFFD, and a note at the end tells so.
    Raises `OptionError` where typst is not installed.
    """
    try:
        import typst
    except ImportError:
        raise OptionError(EXTRA) from None
    source, lacking = _template().encode(), frozenset[str]()
    for _ in range(_ROUNDS):
        try:
            return typst.compile(
                source,
                format="pdf",
                ignore_system_fonts=True,
                sys_inputs={"data": _data(document, figures or {}, lacking)},
                pdf_standards=["ua-1"],
                timestamp=_EPOCH,
            )
        except typst.TypstError as error:
            found = _undisplayed(str(error.diagnostic)) - lacking
            if not found:
                raise
            lacking |= found
    raise OptionError(
        "format='pdf': the document has too many letters that no typeface of typst has; use format='docx'"
    )


@cache
def _template() -> str:
    return files("metaback.report").joinpath("templates", "report.typ").read_text(encoding="utf-8")


def _undisplayed(diagnostic: str) -> frozenset[str]:
    """Return the letters that typst says it has no glyph for, or that PDF/UA does not allow."""
    found = "".join(_ESCAPE.sub(_unescaped, text[1:-1]) for text in _LACKING.findall(diagnostic))
    return frozenset(letter for letter in found if not letter.isascii() and letter != REPLACEMENT)


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else found[2]


def _data(document: Document, figures: Mapping[str, str], lacking: frozenset[str]) -> str:
    """Turn the document into JSON for the template, with letters that cannot be shown replaced."""
    heads = sum(isinstance(block, Heading) and block.level == 2 for block in document.blocks)
    language = re.match(r"[a-z]{2,3}(?![A-Za-z])", document.language)
    note = f"{plural(len(lacking), 'letter')} of this report cannot be shown in this file: {REPLACEMENT} stands there."
    report = {
        "title": line(document.title) or "Report",
        "language": language.group() if language else "en",
        "margin": MARGIN,
        "contents": "Contents" if heads > 1 else "",
        "lacking": f"{note} The page (report.html) has what was typed." if lacking else "",
        "runs": [
            {"landscape": run.landscape, "blocks": [_block(item, figures) for item in run.placed]}
            for run in runs(document)
        ],
    }
    return json.dumps(report, ensure_ascii=False).translate(str.maketrans(dict.fromkeys(lacking, REPLACEMENT)))


def _block(placed: Placed, figures: Mapping[str, str]) -> dict[str, Any]:
    block = placed.block
    return {"kind": type(block).__name__} | dict(_fields(block, placed, figures))


def _fields(block: Plain, placed: Placed, figures: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    match block:
        case Heading():
            yield from (("level", placed.level), ("text", _words(block.text)))
        case Paragraph():
            yield from (("role", block.role), ("text", _words(block.text)))
        case Table():
            yield from _table(block, placed.number).items()
        case Figure():
            yield from _figure(block, placed, figures).items()
        case Notes():
            yield from (("tone", block.tone), ("title", _words(block.title)))
            yield "points", [_words(point) for point in block.points]
        case Listing():
            yield from (("numbered", block.numbered), ("items", [_words(item) for item in block.items]))
        case Code():
            yield "text", _LINE_OF_CODE.sub("\\g<0>\u200b", clean(block.text).expandtabs(4))
        case Case():
            yield from _case(block, placed.level).items()


def _table(table: Table, number: int) -> dict[str, Any]:
    size = table_size(table)
    return {
        "label": f"Table {number}." if number else "",
        "caption": _words(table.caption),
        "head": [_words(head) for head in table.head],
        "repeat": max(map(len, table.head)) <= _REPEATED,
        "rows": [
            [_broken(cell_text(cell, numeric=numeric)) for cell, numeric in zip(row, table.numeric, strict=True)]
            for row in table.rows
        ],
        "numeric": list(table.numeric),
        "strong": list(table.strong),
        "marked": [list(place) for place in table.marked],
        "sign": MARK,
        "size": size.type_size,
        "widths": list(size.widths),
        "file": _words(f"Full precision: tables/{table.file}") if table.file else "",
    }


def _figure(figure: Figure, placed: Placed, figures: Mapping[str, str]) -> dict[str, Any]:
    drawing, _ = inline_svg(figures.get(figure.name, figure.svg), prefix="f", label="")
    return {
        "label": f"Figure {placed.number}.",
        "caption": _words(figure.caption),
        "alt": line(figure.alt) or line(figure.caption) or "Figure",
        "svg": drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1),
        "width": placed.sized.widths[0] if placed.sized else PORTRAIT,
    }


def _case(case: Case, level: int) -> dict[str, Any]:
    return {
        "level": level,
        "tone": case.tone,
        "mark": _words(case.mark),
        "title": _words(case.title),
        "name": _words(case.name),
        "texts": [_words(text) for text in case.texts],
        "tables": [_table(table, 0) for table in case.tables],
        "facts": [[_words(label), _words(text)] for label, text in case.facts],
    }


def _words(text: str) -> str:
    """Put text on one line and let long words break."""
    return _broken(line(text))


def _broken(text: str) -> str:
    """Let long words break: after a sign, or anywhere when they have none."""
    return _WORD.sub(lambda found: _breakable(found.group()), text)


def _breakable(word: str) -> str:
    pieces = _SIGNS.split(word)
    cut = (piece[start : start + _LONG] for piece in pieces for start in range(0, len(piece), _LONG))
    return "\u200b".join(cut)
