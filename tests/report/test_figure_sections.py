"""Figures of a report: folded on the page, open on paper, cut into pages where they are tall, and the flow diagram."""

from __future__ import annotations

import pytest

from metaback.models.plans import Flow
from metaback.report.document import Document, Figure, Fold, Heading, PaperPage, Paragraph
from metaback.report.figure_sections import figure_blocks, flow_blocks
from metaback.report.html import render_html
from metaback.report.markdown import render_markdown
from metaback.report.paper import runs

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300pt" height="200pt"><title>x</title><path d="M 0 0 L 1 1"/></svg>'
)


def _figure(name: str) -> Figure:
    return Figure(SVG, f"{name}.svg", f"Caption of {name}.", f"Alt of {name}.")


def test_figures_are_folded_under_their_titles() -> None:
    drawn = [("Funnel plot", _figure("a")), ("GOSH plot", _figure("b"))]
    heading, missing, fold = figure_blocks(drawn, ["No radial plot.", "No other."], anchor="one")
    assert heading == Heading(3, "Further figures", "one-figures")
    assert missing == Paragraph("No radial plot. No other.")
    assert isinstance(fold, Fold)
    assert fold.title == "2 figures: funnel plot, GOSH plot"
    assert figure_blocks([], [], anchor="one") == ()
    assert len(figure_blocks([], ["No funnel plot."], anchor="one")) == 2


def test_folded_figures_are_numbered_with_the_others() -> None:
    blocks = (_figure("a"), Fold("two", (_figure("b"), Paragraph("between"), _figure("c"))), _figure("d"))
    page = render_html(Document("T", blocks))
    assert page.count('<details class="fold">') == 1
    assert "<summary>two</summary>" in page
    assert [page.index(f"Figure {n}.</b> Caption of {name}.") for n, name in enumerate("abcd", 1)] == sorted(
        page.index(f"Caption of {name}.") - len(f"Figure {n}.</b> ") for n, name in enumerate("abcd", 1)
    )
    inside = page[page.index("<details") : page.index("</details>")]
    assert "Caption of b." in inside
    assert "Caption of c." in inside
    assert "Caption of d." not in inside
    text = render_markdown(Document("T", blocks))
    assert text.index("**Figure 2.** Caption of b") < text.index("between") < text.index("**Figure 3.** Caption of c")


def test_a_tall_figure_is_cut_on_paper_only() -> None:
    pages = (PaperPage(SVG, "a-page-1.svg", "first"), PaperPage(SVG, "a-page-2.svg", "second"))
    tall = Figure(SVG, "a.svg", "Forest plot.", "whole", pages)
    document = Document("T", (tall, _figure("b")))
    placed = [item for run in runs(document) for item in run.placed]
    assert [item.number for item in placed] == [1, 1, 2]
    assert [item.block.name for item in placed if isinstance(item.block, Figure)] == [
        "a-page-1.svg", "a-page-2.svg", "b.svg",
    ]  # fmt: skip
    assert placed[1].block.caption == "Forest plot. Page 2 of 2."  # type: ignore[union-attr]
    assert placed[1].block.alt == "second"  # type: ignore[union-attr]
    assert render_html(document).count("<figure") == 2


@pytest.mark.parametrize(
    ("flow", "in_table", "says"),
    [
        (Flow(studies=9), 9, ""),
        (Flow(studies=9), 8, "The diagram counts 9 included studies; the table of this report has 8 studies"),
        (Flow(studies=1, total_studies=12), 12, ""),
        (Flow(studies=1), 2, "1 included study;"),
    ],
)
def test_a_table_that_lacks_studies_of_the_diagram_is_told(flow: Flow, in_table: int, says: str) -> None:
    heading, _, *told = flow_blocks(_figure("flow"), flow, in_table)
    assert heading == Heading(2, "Flow of studies", "flow")
    assert len(told) == bool(says)
    assert says in str(told)
