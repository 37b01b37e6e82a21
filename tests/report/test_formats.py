"""Files of a report to read: which are written, and what is said where one cannot be."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from metaback.bundle import Origin, write_report
from metaback.data.trials import Source
from metaback.errors import OptionError
from metaback.models.specs import resolve_spec
from metaback.postestimation.summary import Analysis
from metaback.postestimation.table import TableAnalysis
from metaback.report import formats
from metaback.report.document import Block, Document
from metaback.report.formats import document_files, known_formats
from metaback.report.html import render_html
from metaback.report.records import csv_text

SOURCE = Source("trials.csv", "0" * 64, 5, 1, {"study": "study"})


def test_markdown_is_always_written_and_the_order_is_one() -> None:
    pytest.importorskip("docx")
    pytest.importorskip("typst")
    assert known_formats(("pdf", "docx", "pdf")) == ("md", "docx", "pdf")
    assert list(document_files(Document("T", ()), ("pdf", "docx"), {})) == ["report.md", "report.docx", "report.pdf"]


def test_an_unknown_format_is_told_with_those_that_are_known() -> None:
    with pytest.raises(OptionError, match=r"format='pfd' is not known.*'pdf'.*use one of: md, docx, pdf, xlsx"):
        known_formats(("pfd",))


@pytest.mark.parametrize(("name", "extra"), [("docx", "docx"), ("pdf", "pdf"), ("xlsx", "excel")])
def test_a_missing_extra_is_told_before_the_work(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: None)
    with pytest.raises(OptionError, match=rf"format='{name}' needs .*: pip install metaback\[{extra}\]"):
        known_formats((name,))
    assert known_formats(()) == ("md",)


def test_a_report_holds_them_beside_the_page(analysis: Analysis, tmp_path: Path) -> None:
    pytest.importorskip("docx")
    pytest.importorskip("typst")
    pytest.importorskip("xlsxwriter")
    table, origin = TableAnalysis((analysis,), ()), Origin(SOURCE, analysis.fitted.spec)
    plain = write_report(tmp_path / "plain", table, origin)
    assert {"report.md", "report.html"} <= set(plain)
    full = write_report(tmp_path / "full", table, origin, formats=("docx", "pdf", "xlsx"))
    assert set(full) - set(plain) == {"report.docx", "report.pdf", "results.xlsx"}
    write_report(tmp_path / "again", table, origin, formats=("xlsx", "pdf", "docx"))
    for name in full:
        assert (tmp_path / "full" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    drawings = [name for name in full if name.endswith(".svg")]
    text = (tmp_path / "full" / "report.md").read_text(encoding="utf-8")
    assert len(drawings) == 4
    assert all(f"]({drawing})" in text for drawing in drawings)


def test_nothing_is_written_when_a_format_is_unknown(analysis: Analysis, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="format='odt'"):
        write_report(tmp_path / "r", TableAnalysis((analysis,), ()), Origin(SOURCE, resolve_spec()), formats=("odt",))
    assert not (tmp_path / "r").exists()


class Shape(HTMLParser):
    """The elements of a page, with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, list[str]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs if name != "class"]))


def test_the_page_shows_every_attack_as_text(attack: str, every_block: Callable[[str], tuple[Block, ...]]) -> None:
    page = render_html(Document(attack, every_block(attack)))
    assert Shape(page).found == Shape(render_html(Document("x", every_block("x")))).found


def test_a_spreadsheet_runs_no_attack(attacks: tuple[str, ...]) -> None:
    rows = list(csv.reader(io.StringIO(csv_text(("a", "b"), [(text, text) for text in attacks]))))
    assert [len(row) for row in rows] == [2] * (len(attacks) + 1)
    assert not [cell for row in rows for cell in row if cell.lstrip()[:1] in {"=", "+", "-", "@"}]
