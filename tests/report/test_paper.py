"""Paper: what lies on its side, how wide columns are, and levels of headings."""

from __future__ import annotations

import pytest

from metaback.report.document import Case, Document, Figure, Heading, Paragraph, Table
from metaback.report.paper import LANDSCAPE, PORTRAIT, cell_text, figure_size, line, numbered, runs, table_size

ROUNDING = 0.1  # points; the widths of figures are rounded to a tenth


def table(columns: int, text: str = "\u22120.41 [\u22120.74, \u22120.09]") -> Table:
    return Table("c", ("Study", *("SMD",) * (columns - 1)), (("Kell", *(text,) * (columns - 1)),), (False,) * columns)


def figure(width: str, height: str) -> Figure:
    return Figure(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"/>', "f", "c", "a")


@pytest.mark.parametrize("columns", [1, 2, 6, 9, 14, 25, 60])
@pytest.mark.parametrize("text", ["", "1", "\u22120.41 [\u22120.74, \u22120.09]", "A" * 3000, "of several words " * 20])
def test_columns_stay_on_the_page(columns: int, text: str) -> None:
    size = table_size(table(columns, text))
    assert len(size.widths) == columns
    assert min(size.widths) > 0
    assert sum(size.widths) <= (LANDSCAPE if size.landscape else PORTRAIT) + ROUNDING
    assert 5.5 <= size.type_size <= 8.5


def test_a_small_table_is_upright_and_a_wide_one_is_turned() -> None:
    assert not table_size(table(4)).landscape
    assert table_size(table(4)).type_size == 8.5
    assert table_size(table(16)).landscape


def test_figures_fit_their_page() -> None:
    assert figure_size(figure("300pt", "200pt")).widths == (300.0,)
    wide = figure_size(figure("600pt", "400pt"))
    assert not wide.landscape
    assert wide.widths[0] == pytest.approx(PORTRAIT, abs=ROUNDING)
    tall = figure_size(figure("600pt", "6400pt"))
    assert tall.widths == (60.0,)
    turned = figure_size(figure("1400px", "400px"))
    assert turned.landscape
    assert turned.widths[0] == pytest.approx(LANDSCAPE, abs=ROUNDING)
    assert figure_size(Figure("no drawing", "f", "c", "a")).widths == (480.0,)


def test_a_heading_goes_with_the_table_below_it() -> None:
    wide = table(16)
    found = runs(Document("t", (Heading(2, "A", "a"), Paragraph("x"), Heading(3, "B", "b"), wide, Paragraph("y"))))
    assert [run.landscape for run in found] == [False, True, False]
    assert [len(run.placed) for run in found] == [2, 2, 1]
    first = runs(Document("t", (Heading(2, "A", "a"), wide)))
    assert [(run.landscape, len(run.placed)) for run in first] == [(False, 0), (True, 2)]


def test_blocks_keep_their_order_and_get_their_numbers() -> None:
    case = Case("Error", "t", "n", ())
    blocks = (table(2), Heading(2, "A", "a"), case, Heading(3, "B", "b"), case, figure("1pt", "1pt"), table(3))
    found = list(numbered(Document("t", blocks)))
    assert tuple(block for block, _, _ in found) == blocks
    assert [number for _, number, _ in found] == [1, 0, 0, 0, 0, 1, 2]
    assert [level for _, _, level in found] == [0, 2, 3, 3, 4, 0, 0]


def test_limits_stay_together() -> None:
    assert cell_text("0.1 [0.0, 0.2]", numeric=True) == "0.1 [0.0,\u00a00.2]"
    assert cell_text("a [b, c]", numeric=False) == "a [b, c]"
    assert line(" a\u2028b\n\tc ") == "a b c"
