"""Markdown: what a parser of it sees, and that no text becomes an element of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from metaback.report.document import Block, Case, Code, Document, Figure, Heading, Listing, Notes, Paragraph, Table
from metaback.report.markdown import escaped, render_markdown
from metaback.report.paper import line
from metaback.report.words import clean

Maker = Callable[[str], tuple[Block, ...]]


def tokens(text: str) -> list[Token]:
    """Parse Markdown with HTML, tables and strikethrough on."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return list(flat(parser.parse(text)))


def flat(found: list[Token]) -> Iterator[Token]:
    for token in found:
        yield token
        yield from flat(token.children or [])


def shape(text: str) -> list[tuple[str, str]]:
    """Name the elements of a page and nothing of their text."""
    return [(token.type, token.tag) for token in tokens(text) if token.type not in {"text", "text_special"}]


def words(text: str) -> str:
    return "".join(token.content for token in tokens(text) if token.type in {"text", "text_special", "code_inline"})


def test_no_text_becomes_an_element(attack: str, every_block: Maker) -> None:
    page = render_markdown(Document(attack, every_block(attack)))
    assert shape(page) == shape(render_markdown(Document("x", every_block("x"))))
    kinds = {token.type for token in tokens(page)}
    assert not kinds & {"html_inline", "html_block", "link_open", "hr", "s_open"}
    assert all(str(t.attrGet("src")).startswith("figures/") for t in tokens(page) if t.type == "image")


def test_every_text_is_read_as_it_was_typed(attack: str) -> None:
    page = render_markdown(Document("t", (Paragraph(attack), Table("c", (attack,), ((attack,),), (False,)))))
    assert words(page) == f"t{line(attack)}Table 1. c{line(attack)}{line(attack)}"


@pytest.mark.parametrize("address", ["http://x.org", "HTTPS://x.org", "www.x.org", "WWW.x.org", "mailto:a@x.org"])
def test_addresses_are_not_linked_by_readers_that_link_bare_ones(address: str) -> None:
    assert address not in escaped(f"see {address}.")
    assert words(escaped(f"see {address}.")) == f"see {address}."


def test_headings_lists_notes_and_code() -> None:
    blocks = (
        Heading(2, "A", "a"),
        Heading(3, "B", "b"),
        Paragraph("One."),
        Notes("Read this", ("first", "second")),
        Listing(("x", "y"), numbered=True),
        Listing(("x",)),
        Code("metaback pool `x` ```y"),
    )
    assert render_markdown(Document("T", blocks)) == (
        "# T\n\n## A\n\n### B\n\nOne.\n\n> **Read this**\n>\n> - first\n> - second\n\n1. x\n2. y\n\n- x\n\n"
        "````\nmetaback pool `x` ```y\n````\n"
    )


def test_a_table_has_its_sides_total_and_marks() -> None:
    table = Table(
        "C",
        ("Study", "SMD [95% CI]"),
        (("A|B\nC", "\u22120.41 [\u22120.74, \u22120.09]"), ("Total", "1. x")),
        (False, True),
        "a.csv",
        strong=(1,),
        marked=((0, 1),),
    )
    assert render_markdown(Document("T", (table,))) == (
        "# T\n\n**Table 1.** C\n\n| Study | SMD [95% CI] |\n| :--- | ---: |\n"
        "| A\\|B C | **\u26a0 \u22120.41 [\u22120.74, \u22120.09]** |\n| **Total** | **1. x** |\n\n"
        "Full precision: tables/a.csv\n"
    )


def test_figures_are_links_with_words_for_who_cannot_see_them() -> None:
    page = render_markdown(Document("T", (Figure("", "forest-01.svg", "Caption", "All [of] it"),)))
    assert page == "# T\n\n![All \\[of\\] it](figures/forest-01.svg)\n\n**Figure 1.** Caption\n"


def test_names_of_figures_stay_in_their_folder() -> None:
    page = render_markdown(Document("T", (Figure("", "../../a b).svg", "c", "a"),)))
    assert "](figures/..%2F..%2Fa%20b%29.svg)" in page


def test_a_case_skips_no_level() -> None:
    case = Case("Error", "Kell 2009", "se-as-sd-1", ("It is so.",), facts=(("What to do", "Look."),))
    page = render_markdown(Document("T", (Heading(2, "A", "a"), case, Heading(3, "B", "b"), case)))
    assert "\n### \\[Error\\] Kell 2009\n\nIt is so.\n\n- **What to do:** Look.\n- **Name:** `se-as-sd-1`\n" in page
    assert "\n#### \\[Error\\] Kell 2009\n" in page


def test_code_keeps_its_lines() -> None:
    assert "```\na\n  b\n```\n" in render_markdown(Document("T", (Code("a\r\n  b\n"),)))


def test_controls_and_overrides_are_replaced(attacks: tuple[str, ...]) -> None:
    page = render_markdown(Document("T", tuple(map(Paragraph, attacks))))
    assert page == clean(page)
    assert "\u202e" not in page
