"""The files that hold a whole report beside its page: Markdown always; Word, PDF and a workbook on request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from metaback.errors import OptionError
from metaback.report import docx_file, pdf_file, xlsx_file
from metaback.report.document import Document, Figure
from metaback.report.docx_file import docx_bytes
from metaback.report.markdown import render_markdown
from metaback.report.pdf_file import pdf_bytes
from metaback.report.xlsx_file import xlsx_bytes

FORMATS = ("md", "docx", "pdf", "xlsx")
_EXTRAS = {
    "docx": ("docx", docx_file.EXTRA),
    "pdf": ("typst", pdf_file.EXTRA),
    "xlsx": ("xlsxwriter", xlsx_file.EXTRA),
}


def known_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Return the formats in their own order, each once, Markdown among them; to be asked before long work.

    Raises `OptionError` for a format that is not known, and for one whose extra is not installed, with its command.

    >>> known_formats(())
    ('md',)
    """
    for name in formats:
        if name not in FORMATS:
            raise OptionError.unknown("format", name, FORMATS)
        module, message = _EXTRAS.get(name, ("", ""))
        if module and find_spec(module) is None:
            raise OptionError(message)
    return tuple(name for name in FORMATS if name == "md" or name in formats)


def document_files(
    document: Document, formats: Sequence[str], files: Mapping[str, bytes | str]
) -> dict[str, bytes | str]:
    """Return `report.md`, and `report.docx`, `report.pdf` and `results.xlsx` where they are asked for.

    files: those of the report so far; Word takes its pictures from `figures/*.png`, the workbook its numbers from
    `results.json`.
    """
    wanted = known_formats(formats)
    made: dict[str, bytes | str] = {"report.md": render_markdown(document)}
    if "docx" in wanted:
        made["report.docx"] = docx_bytes(document, _pictures(document, files))
    if "pdf" in wanted:
        made["report.pdf"] = pdf_bytes(document)
    if "xlsx" in wanted:
        made["results.xlsx"] = xlsx_bytes(json.loads(files.get("results.json", "{}")))
    return made


def _pictures(document: Document, files: Mapping[str, bytes | str]) -> dict[str, bytes]:
    """Find the PNG of each figure, or of each of its pages, beside its SVG."""
    figures = (block for block in document.opened if isinstance(block, Figure))
    names = (part.name for block in figures for part in block.pages or (block,))
    found = ((name, files.get(f"figures/{name.removesuffix('.svg')}.png")) for name in names)
    return {name: content for name, content in found if isinstance(content, bytes)}
