"""The PDF: its tags, its texts as data, its bytes. typst itself refuses what does not follow PDF/UA-1."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from metaback.errors import OptionError
from metaback.report import pdf_file
from metaback.report.document import Block, Code, Document, Figure, Heading, Listing, Notes, Paragraph, Table
from metaback.report.pdf_file import pdf_bytes

typst = pytest.importorskip("typst")
Maker = Callable[[str], tuple[Block, ...]]
ACTIVE = (b"/URI", b"/JavaScript", b"/JS", b"/Launch", b"/EmbeddedFile", b"/OpenAction", b"/GoToR", b"/SubmitForm")
# Parts of lines and pages: their number depends on the length of a text.
FLOWING = {"Artifact", "Document", "Div", "Span"}


def tags(pdf: bytes) -> Counter[str]:
    """Count the elements of the structure by kind."""
    found = re.findall(rb"/Type/StructElem/S/(\w+)", pdf)
    return Counter(kind.decode() for kind in found if kind.decode() not in FLOWING)


def active(pdf: bytes) -> list[bytes]:
    """Find what could do something, outside of compressed streams, in which any letters occur by chance."""
    plain = re.sub(rb"stream\r?\n.*?endstream", b"", pdf, flags=re.DOTALL)
    return [word for word in ACTIVE if re.search(re.escape(word) + rb"(?![A-Za-z+])", plain)]


def texts(document: Document, selector: str, field: str = "body") -> list[str]:
    """Ask typst for the text of elements."""
    data = pdf_file._data(document, {}, frozenset())
    source = pdf_file._template().encode()
    found = json.loads(typst.query(source, selector, field=field, ignore_system_fonts=True, sys_inputs={"data": data}))
    return [part if isinstance(part, str) else part["text"] for part in found]


def shown(text: str) -> str:
    return pdf_file._words(text)


def test_no_text_becomes_an_element(attack: str, every_block: Maker) -> None:
    plain = "x" * 3000 if len(attack) > 1000 else "x"
    pdf = pdf_bytes(Document(attack, every_block(attack)))
    found, known = tags(pdf), tags(pdf_bytes(Document(plain, every_block(plain))))
    found["P"] -= found["P"] == known["P"] + 1  # the note on letters that cannot be shown
    if len(attack) > 1000:
        found["Strong"] = known["Strong"]  # bold text that runs over pages is several elements
    assert found == known
    assert active(pdf) == []


def test_all_attacks_together(attacks: tuple[str, ...], every_block: Maker) -> None:
    chosen = [text for text in attacks[::3] if len(text) < 1000]
    pdf = pdf_bytes(Document(attacks[0], tuple(block for text in chosen for block in every_block(text))))
    assert active(pdf) == []
    assert tags(pdf)["H1"] == len(chosen) + 1  # the contents


def test_headings_hold_the_text_that_was_typed(attacks: tuple[str, ...]) -> None:
    document = Document("T", tuple(Heading(2, text, "a") for text in attacks))
    assert [text for text in texts(document, "heading.where(outlined: true)") if text != "Contents"] == [
        shown(text) for text in attacks
    ]


def test_code_is_not_read_by_typst(attacks: tuple[str, ...]) -> None:
    document = Document("T", tuple(Code(text.replace("\n", " ")) for text in attacks))
    assert len(texts(document, "raw", "text")) == len(attacks)


def test_the_file_is_tagged_and_says_what_it_is(every_block: Maker) -> None:
    pdf = pdf_bytes(Document("Pain & <function>", every_block("x"), language="de"))
    assert pdf.startswith(b"%PDF-1.")
    for part in (b"/StructTreeRoot", b"/MarkInfo<</Marked true", b"/Lang(de)", b"/DisplayDocTitle true"):
        assert part in pdf
    assert b"<pdfuaid:part>1</pdfuaid:part>" in pdf
    assert b"Pain &amp; &lt;function&gt;" in pdf
    assert b"CreationDate" not in pdf
    assert b"CreateDate" not in pdf


def test_headings_tables_and_figures_have_their_tags() -> None:
    table = Table("C", ("Study", "n"), (("A", "1"), ("B", "2")), (False, True), "a.csv")
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="30pt" height="20pt"><path d="M 0 0 L 9 9"/></svg>'
    blocks = (
        Heading(2, "A", "a"),
        Heading(3, "B", "b"),
        table,
        Figure(drawing, "f.svg", "c", "What it shows"),
        Listing(("x", "y"), numbered=True),
        Notes("n", ("p",)),
    )
    found = tags(pdf := pdf_bytes(Document("T", blocks)))
    assert {kind: found[kind] for kind in ("H1", "H2", "TH", "TD", "Caption", "LI")} == {
        "H1": 1,
        "H2": 1,
        "TH": 2,
        "TD": 4,
        "Caption": 2,
        "LI": 3,
    }
    assert b"What it shows" in pdf  # the text alternative


def test_two_runs_give_the_same_bytes(every_block: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    document = Document("T", every_block("x"))
    first = pdf_bytes(document)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert pdf_bytes(document) == first


def test_the_signs_of_the_house_can_be_shown() -> None:
    signs = "\u03c4\u00b2 \u2212 \u2264 \u2265 \u00b0 \u03c7\u00b2 \u00b1 \u00d7 \u221e \u2013 \u2018\u2019"
    signs += " \u00bd \u26a0 \u2192 \u03c1 \u03b8 \u00f8\u0142\u0159\u015f\u0130"
    data = pdf_file._data(Document("T", (Paragraph(signs),)), {}, frozenset())
    source = pdf_file._template().encode()
    made = typst.compile(
        source, format="pdf", ignore_system_fonts=True, sys_inputs={"data": data}, pdf_standards=["ua-1"]
    )  # which refuses a document with a sign that no typeface has
    assert made.startswith(b"%PDF")


def test_letters_that_no_typeface_has_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    real = typst.compile

    def seen(source: bytes, **options: object) -> bytes:
        compiled.append(options["sys_inputs"]["data"])  # type: ignore[index]
        return real(source, **options)

    monkeypatch.setattr(typst, "compile", seen)
    pdf_bytes(Document("T", (Paragraph("\u6f22\u5b57 and \u03c4"),)))
    last = json.loads(compiled[-1])
    assert last["runs"][0]["blocks"][0]["text"] == "\ufffd\ufffd and \u03c4"
    assert last["lacking"].startswith("2 letters of this report cannot be shown")
    assert json.loads(compiled[0])["lacking"] == ""


def test_other_faults_of_typst_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_file, "_template", lambda: '#panic("no")')
    with pytest.raises(typst.TypstError):
        pdf_bytes(Document("T", ()))


def test_figures_can_be_replaced_and_carry_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="30pt" height="20pt"><script>x</script>'
        '<image href="file:///etc/passwd"/><path d="M 0 0 L 9 9"/></svg>'
    )
    document = Document("T", (Figure("", "f.svg", "c", "a"),))
    data = json.loads(pdf_file._data(document, {"f.svg": drawing}, frozenset()))
    assert "script" not in data["runs"][0]["blocks"][0]["svg"]
    assert "passwd" not in data["runs"][0]["blocks"][0]["svg"]
    assert pdf_bytes(document, {"f.svg": drawing})


def test_a_machine_without_the_extra_gets_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(OptionError, match=r"pip install metaback\[pdf\]"):
        pdf_bytes(Document("T", ()))


def test_long_words_break_and_commands_stay_as_they_are() -> None:
    assert pdf_file._words("10.1016/0197-2456(86)90046-2").replace("\u200b", "") == "10.1016/0197-2456(86)90046-2"
    assert max(map(len, pdf_file._words("A" * 200).split("\u200b"))) <= 18
    command = "metaback pool trials.csv --plan plan.toml --out a_long_name_of_a_folder/of/reports/"
    data = json.loads(pdf_file._data(Document("T", (Code(command), Code("A" * 200))), {}, frozenset()))
    first, second = (block["text"] for block in data["runs"][0]["blocks"])
    assert first == command
    assert max(map(len, second.split("\u200b"))) <= 80
