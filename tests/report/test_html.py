"""The page: escaped, self-contained, in order, and the same each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

import pytest

from metaback.effects.effect_sizes import Context
from metaback.postestimation.summary import Analysis
from metaback.report.card import card_html
from metaback.report.document import Code, Document, Figure, Heading, Listing, Notes, Paragraph, Table
from metaback.report.html import render_html
from metaback.report.provenance import InputFile, provenance, provenance_blocks
from metaback.report.sections import report_document

ELEMENTS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "div",
        "header",
        "h1",
        "h2",
        "h3",
        "nav",
        "ul",
        "ol",
        "li",
    ),
    *(
        "main",
        "p",
        "table",
        "caption",
        "span",
        "b",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "figure",
        "figcaption",
        "aside",
    ),
    *("pre", "code", "svg", "g", "path", "text", "details", "summary"),
}
SVG = (
    '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/x.dtd">'
    '<svg xmlns="http://www.w3.org/2000/svg" width="712.8pt" height="300pt" viewBox="0 0 712.8 300">'
    "<metadata>http://example.org</metadata>"
    '<g id="a"><path d="M 0 0 L 1 1" style="fill: none"/><text>{}</text></g></svg>'
)


def filled(text: str, make_effects: Callable[..., object], make_analysis: Callable[..., Analysis]) -> Document:
    """Put one text wherever a text of a file or user can come from."""
    effects = make_effects(
        labels=(text,) * 5,
        rows=(text,) * 5,
        by=(text,) * 3 + ("x",) * 2,
        by_name=text,
        obtained=(text,) * 5,
        reasons=("",) * 4 + (text,),
        corrections=("", text, "", "", ""),
        context=Context(text, text, text, higher_is_better=True),
        source=text,
        notes=(text,),
    )
    figure = Figure(SVG.format(escape(xml_safe(text))), text, text, text)
    record = provenance(
        InputFile(text, "0" * 64, rows=5, columns={"study": text}), command=["metaback", text], options={"x": text}
    )
    extra = (
        Heading(2, text, text),
        Notes(text, (text,), "information"),
        Listing((text,)),
        Listing((text,), numbered=True),
        Code(text),
        Table(text, (text, text), ((text, text),), (False, True), file=text),
    )
    return report_document(
        [make_analysis(effects, notes=(text,))],
        title=text,
        figures={0: figure},
        lead=(Paragraph(text),),
        tail=(*provenance_blocks(record), *extra),
    )


def xml_safe(text: str) -> str:
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", text)


@pytest.fixture
def page(page_of: Any, analysis: Analysis, ratio: Analysis) -> Any:
    figures = {i: Figure(SVG.format("x"), f"f{i}", "A forest plot.", "Forest plot of 4 effects") for i in range(2)}
    return page_of(render_html(report_document([analysis, ratio], title="Back pain", figures=figures)))


def test_hostile_text_adds_nothing(
    page_of: Any, hostile: str, make_effects: Callable[..., object], make_analysis: Callable[..., Analysis]
) -> None:
    bad = page_of(render_html(filled(hostile, make_effects, make_analysis)))
    good = page_of(render_html(filled("harmless", make_effects, make_analysis)))
    assert bad.shape() == good.shape()
    assert bad.odd == good.odd == []
    assert bad.open == []


def test_hostile_text_adds_nothing_to_a_card(
    page_of: Any, hostile: str, make_effects: Callable[..., object], make_analysis: Callable[..., Analysis]
) -> None:
    def card(text: str) -> Any:
        effects = make_effects(
            labels=(text,) * 5, by=(text,) * 5, by_name=text, context=Context(text, text, text), notes=(text,)
        )
        return page_of(card_html(make_analysis(effects, notes=(text,))))

    assert card(hostile).shape() == card("harmless").shape()


def test_there_are_sixty_hostile_texts(all_hostile: tuple[str, ...]) -> None:
    assert len(set(all_hostile)) >= 60


def test_the_comparison_of_shapes_can_fail(page_of: Any) -> None:
    assert page_of("<p>a</p>").shape() != page_of("<p>a<b>c</b></p>").shape()
    assert page_of("<p>a</p>").shape() != page_of('<p onclick="x">a</p>').shape()


def test_hostile_text_is_shown_as_it_is(
    page_of: Any, make_effects: Callable[..., object], make_analysis: Callable[..., Analysis]
) -> None:
    text = "<b>O'Neil & Søn</b>"
    shown = page_of(render_html(filled(text, make_effects, make_analysis))).data
    assert shown.count(text) > 10


def test_controls_are_shown_as_replaced(
    make_effects: Callable[..., object], make_analysis: Callable[..., Analysis]
) -> None:
    text = render_html(filled("a\x00b\x1bc\u202ed\ud800e", make_effects, make_analysis))
    assert not re.search("[\x00\x1b\u202e\ud800]", text)
    assert "a\ufffdb\ufffdc\ufffdd\ufffde" in text
    text.encode("utf-8")


def test_nothing_runs_and_nothing_is_loaded(page: Any) -> None:
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    for tag, attrs in page.elements:
        assert not [
            name for name in attrs if name.startswith("on") or name in {"src", "srcset", "action", "xlink:href"}
        ]
        assert (attrs.get("href") or "#").startswith("#"), tag
    css = "".join(page.data)
    assert "@import" not in css
    assert "url(" not in css


def test_the_policy_forbids_everything_but_style(page: Any) -> None:
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_language_and_title(page: Any) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert "Back pain" in page.data


def test_headings_are_in_order(page: Any) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_a_skipped_heading_is_refused() -> None:
    with pytest.raises(ValueError, match="level 4 follows level 2"):
        Document("x", (Heading(2, "a", "a"), Heading(4, "b", "b")))
    with pytest.raises(ValueError, match="level 1"):
        Document("x", (Heading(1, "a", "a"),))


def test_a_table_of_the_wrong_width_is_refused() -> None:
    with pytest.raises(ValueError, match="2 heads"):
        Table("x", ("a", "b"), (("1",),), (False, True))


def test_every_table_has_a_caption_and_scopes(page: Any) -> None:
    tables = len(page.all("table"))
    assert tables == len(page.all("caption")) == 7
    assert {attrs.get("scope") for attrs in page.all("th")} == {"col", "row"}
    rows = [i for i, (tag, _) in enumerate(page.elements) if tag == "tr"]
    for start in rows:
        tag, attrs = page.elements[start + 1]
        assert tag == "th"
        assert attrs["scope"] in {"col", "row"}


def test_numbers_stand_right(page: Any) -> None:
    assert any(attrs.get("class") == "number" for attrs in page.all("td"))


def test_ids_are_plain_and_unique_and_links_lead_to_them(page: Any) -> None:
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[a-z0-9-]+", name or "") for name in ids)
    assert {(attrs["href"] or "")[1:] for attrs in page.all("a")} <= set(ids)
    assert page.all("a")[0]["class"] == "skip"


def test_equal_anchors_are_told_apart(page_of: Any) -> None:
    page = page_of(render_html(Document("x", (Heading(2, "a", "a"), Heading(2, "b", "a"), Heading(2, "c", "content")))))
    assert [attrs["id"] for attrs in page.all("h2")][1:] == ["a", "a-2", "content-2"]


def test_figures_have_a_name_and_a_caption(page: Any) -> None:
    assert [attrs["aria-label"] for attrs in page.all("svg")] == ["Forest plot of 4 effects"] * 2
    assert {attrs["role"] for attrs in page.all("svg")} == {"img"}
    assert len(page.all("figcaption")) == 2


def test_the_page_is_the_same_each_time(analysis: Analysis, ratio: Analysis) -> None:
    document = report_document([analysis, ratio], title="x")
    assert render_html(document) == render_html(document)
    assert "\r" not in render_html(document)


def test_scrolling_boxes_can_be_reached_by_keyboard(page: Any) -> None:
    boxes = [attrs for attrs in page.all("div") if "scroll" in (attrs.get("class") or "").split()]
    assert len(boxes) == 9
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in boxes)


def test_dark_print_and_narrow_styles_are_there(analysis: Analysis) -> None:
    text = render_html(report_document([analysis], title="x"))
    for query in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem"):
        assert query in text


def test_totals_are_strong_only_beside_subgroups(analysis: Analysis, ratio: Analysis) -> None:
    assert 'class="strong"' in render_html(report_document([analysis], title="x"))
    assert 'class="strong"' not in render_html(report_document([ratio], title="x"))


def test_a_single_comparison_has_no_overview_and_no_number(analysis: Analysis) -> None:
    document = report_document([analysis], title="x")
    heads = [block.text for block in document.blocks if isinstance(block, Heading) and block.level == 2]
    assert heads == ["Pain: posterior chain vs general exercise", "Methods", "References"]


def test_the_drawing_cannot_carry_anything(page_of: Any, analysis: Analysis) -> None:
    bad = SVG.replace(
        "<text>", '<script>x</script><foreignObject/><a href="http://example.org">x</a><text onclick="x">'
    )
    figure = Figure(bad.format("x"), "f", "c", "a")
    page = page_of(render_html(report_document([analysis], title="x", figures={0: figure})))
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    assert "onclick" not in {name for _, attrs in page.elements for name in attrs}


def test_card_has_no_ids_no_script_and_the_same_bytes(page_of: Any, analysis: Analysis) -> None:
    card = card_html(analysis)
    page = page_of(card)
    assert card == card_html(analysis)
    assert not [attrs for _, attrs in page.elements if "id" in attrs or "href" in attrs]
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    css = re.search("<style>(.*?)</style>", card, re.DOTALL)
    assert css
    rules = re.findall(r"([^{}]+)\{", css.group(1))
    assert all(part.strip().startswith(".metaback-card") for rule in rules for part in rule.split(","))
    assert "background: #" not in card


def test_card_folds_the_studies_and_boxes_the_notes(page_of: Any, analysis: Analysis) -> None:
    page = page_of(card_html(analysis))
    assert len(page.all("details")) == 1
    text = " ".join(page.data)
    assert "5 rows of the table" in text
    assert "The wider interval is shown." in text
    assert "Nil 2012" in text
    quiet = replace(analysis.fitted, effects=replace(analysis.fitted.effects, notes=(), reasons=("",) * 5))
    assert 'mb-notes" role' not in card_html(
        replace(analysis, fitted=quiet, overall=replace(analysis.overall, notes=()))
    )
