"""The Word file: its parts, its elements and its bytes."""

from __future__ import annotations

import io
import sys
import time
import zipfile
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from metaback.errors import OptionError
from metaback.report.document import Block, Case, Code, Document, Figure, Heading, Listing, Notes, Paragraph, Table
from metaback.report.docx_body import W, body, w
from metaback.report.docx_file import docx_bytes
from metaback.report.paper import line

Maker = Callable[[str], tuple[Block, ...]]
PICTURE = bytes.fromhex(  # white, 4 x 2 pixels
    "89504e470d0a1a0a0000000d49484452000000040000000208000000005ac322bf00000015494441547801010a00f5ff00ffffffff00"
    "ffffffff27e207f90b424ac90000000049454e44ae426082"
)
NOTHING_OF_THEIRS = {"br", "t"}  # a line break of a text is kept in code


def tags(elements: list[ET.Element]) -> list[str]:
    found = [part.tag.removeprefix(f"{{{W}}}") for element in elements for part in element.iter()]
    return [tag for tag in found if tag not in NOTHING_OF_THEIRS]


def texts(element: ET.Element) -> list[str]:
    return [part.text or "" for part in element.iter(f"{{{W}}}t")]


def parts(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def written(document: Document) -> dict[str, ET.Element]:
    pytest.importorskip("docx")
    names = [block.name for block in document.blocks if isinstance(block, Figure)]
    found = parts(docx_bytes(document, dict.fromkeys(names, PICTURE)))
    return {name: ET.fromstring(content) for name, content in found.items() if name.endswith((".xml", ".rels"))}


def find(element: ET.Element, *path: str) -> list[ET.Element]:
    return element.findall("/".join(["."] + [f"{{{W}}}{name}" if name else "" for name in path]))


def val(element: ET.Element, name: str = "val") -> str | None:
    return element.get(f"{{{W}}}{name}")


def test_no_text_becomes_an_element(attack: str, every_block: Maker) -> None:
    def made(text: str) -> list[ET.Element]:
        return body(Document(text, every_block(text)), lambda figure, _: w("r", w("t", alt=line(figure.alt))))[0]

    elements = made(attack)
    assert tags(elements) == tags(made("x"))
    again = [ET.fromstring(ET.tostring(element)) for element in elements]  # what is written can be read
    assert [t for e in again for t in texts(e)] == [t for e in elements for t in texts(e)]
    assert texts(elements[0]) == [line(attack) or "Report"]


def test_the_whole_file_holds_every_attack_as_text(attacks: tuple[str, ...], every_block: Maker) -> None:
    blocks = tuple(block for text in attacks for block in every_block(text))
    plain = tuple(block for _ in attacks for block in every_block("x"))
    found, known = written(Document(attacks[0], blocks)), written(Document("x", plain))
    assert tags([found["word/document.xml"]]) == tags([known["word/document.xml"]])
    assert {line(text) for text in attacks} <= set(texts(found["word/document.xml"]))
    relations = [part for name in found if name.endswith(".rels") for part in found[name]]
    assert not [part for part in relations if part.get("TargetMode") or "://" in part.get("Target", "")]
    fields = {val(part, "instr") for part in found["word/document.xml"].iter(f"{{{W}}}fldSimple")}
    assert fields == {" SEQ Table \\* ARABIC ", " SEQ Figure \\* ARABIC "}


def test_headings_have_the_styles_that_an_outline_is_made_of() -> None:
    blocks = (Heading(2, "A", "a"), Heading(3, "B", "b"), Heading(4, "C", "c"), Paragraph("x", "answer"))
    page = written(Document("T", blocks))
    styles = [val(part) for part in page["word/document.xml"].iter(f"{{{W}}}pStyle")]
    assert styles == ["Title", "Heading1", "Heading2", "Heading3", "Answer"]
    defined = {val(part, "styleId"): part for part in find(page["word/styles.xml"], "style")}
    assert [val(find(defined[f"Heading{i}"], "pPr", "outlineLvl")[0]) for i in (1, 2, 3)] == ["0", "1", "2"]


def test_every_style_that_is_used_is_defined(every_block: Maker) -> None:
    page = written(Document("T", every_block("x")))
    defined = {val(part, "styleId") for part in find(page["word/styles.xml"], "style")}
    used = {
        val(part) for kind in ("pStyle", "rStyle", "tblStyle") for part in page["word/document.xml"].iter(w(kind).tag)
    }
    assert used <= defined
    lists = {val(part, "numId") for part in find(page["word/numbering.xml"], "num")}
    assert {val(part) for part in page["word/document.xml"].iter(w("numId").tag)} <= lists


def test_heads_of_tables_are_repeated_and_totals_are_bold() -> None:
    table = Table("C", ("Study", "n"), (("A", "1"), ("Total", "2")), (False, True), "a.csv", (1,), ((0, 1),))
    page = written(Document("T", (table,)))["word/document.xml"]
    rows = list(page.iter(w("tr").tag))
    assert [bool(find(row, "trPr", "tblHeader")) for row in rows] == [True, False, False]
    assert all(find(row, "trPr", "cantSplit") for row in rows)
    assert [texts(row) for row in rows] == [["Study", "n"], ["A", "\u26a0 1"], ["Total", "2"]]
    assert [[bool(list(cell.iter(w("b").tag))) for cell in find(row, "tc")] for row in rows[1:]] == [
        [False, True],
        [True, True],
    ]
    assert [[bool(list(cell.iter(w("jc").tag))) for cell in find(row, "tc")] for row in rows] == [[False, True]] * 3
    caption = next(p for p in page.iter(w("p").tag) if "Caption" in {val(s) for s in p.iter(w("pStyle").tag)})
    assert "".join(texts(caption)) == "Table 1. C"


def test_pictures_have_words_and_fit() -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="400pt" height="200pt"/>'
    page = written(Document("T", (Figure(drawing, "f.svg", "Caption", 'Alt "<&'),)))["word/document.xml"]
    space = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
    (about,) = page.iter(f"{space}docPr")
    (extent,) = page.iter(f"{space}extent")
    assert about.get("descr") == 'Alt "<&'
    assert (extent.get("cx"), extent.get("cy")) == (str(400 * 12700), str(200 * 12700))  # the picture is 4 x 2 pixels


def test_a_wide_table_lies_on_its_side() -> None:
    wide = Table("C", ("Study",) * 16, (("\u22120.41 [\u22120.74, \u22120.09]",) * 16,), (True,) * 16)
    page = written(Document("T", (Paragraph("x"), wide, Paragraph("y"))))["word/document.xml"]
    sizes = [(val(part, "orient"), val(part, "w")) for part in page.iter(w("pgSz").tag)]
    assert sizes == [(None, "11906"), ("landscape", "16838"), (None, "11906")]


def test_numbered_lists_begin_at_one() -> None:
    lists = (Listing(("a", "b"), numbered=True), Paragraph("x"), Listing(("c",), numbered=True), Listing(("d",)))
    page = written(Document("T", lists))
    numbers = [val(part) for part in page["word/document.xml"].iter(w("numId").tag)]
    assert numbers == ["2", "2", "3", "1"]
    starts = [find(part, "lvlOverride", "startOverride") for part in find(page["word/numbering.xml"], "num")]
    assert [[val(one) for one in found] for found in starts] == [[], ["1"], ["1"]]


def test_language_title_and_nothing_about_the_machine() -> None:
    page = written(Document("A title", (Notes("n", ("p",)), Code("a\nb"), Case("E", "t", "n", ())), language="de"))
    languages = {val(part) for part in page["word/styles.xml"].iter(w("lang").tag)}
    assert languages == {"de"}
    about = {part.tag.rpartition("}")[2]: part.text for part in page["docProps/core.xml"]}
    assert about["title"] == "A title"
    assert about["language"] == "de"
    assert about["created"] == about["modified"] == "1980-01-01T00:00:00Z"
    assert not about.get("creator")
    assert "docProps/app.xml" not in page


def test_two_runs_give_the_same_bytes(every_block: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docx")
    document, pictures = Document("T", every_block("x")), {"x": PICTURE}
    first = docx_bytes(document, pictures)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    assert docx_bytes(document, pictures) == first
    with zipfile.ZipFile(io.BytesIO(first)) as file:
        infos = file.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {(info.date_time, info.compress_type) for info in infos} == {((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED)}


def test_a_figure_without_a_picture_is_refused(every_block: Maker) -> None:
    pytest.importorskip("docx")
    with pytest.raises(ValueError, match="no picture for the figure 'x'"):
        docx_bytes(Document("T", every_block("x")), {})


def test_a_machine_without_the_extra_gets_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(OptionError, match=r"pip install metaback\[docx\]"):
        docx_bytes(Document("T", ()), {})


def test_styles_are_in_the_language_of_the_document_only_where_it_is_one() -> None:
    pytest.importorskip("docx")
    page = written(Document("T", (), language='"/><x'))
    assert {val(part) for part in page["word/styles.xml"].iter(w("lang").tag)} == {"en"}
