"""The table of routes: rows whose numbers were derived, with what was given, and the CSV of all rows."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

import metaback as mb
from metaback.effects.compute import effect_sizes
from metaback.report.route_table import ROUTE_COLUMNS, ROWS_SHOWN, route_table, routes_csv
from metaback.report.sections import section_blocks


def sheet() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": ["A", "B", "C"],
            "n_1": [20, 30, 25],
            "mean_1": [10.0, 12.0, 11.0],
            "sd_1": [4.0, None, 4.5],
            "se_1": [None, 0.8, 3.0],
            "n_2": [21, 31, 25],
            "mean_2": [13.0, 14.0, 15.0],
            "sd_2": [4.2, None, 4.1],
            "se_2": [None, 0.7, None],
            "higher_is_better": [False] * 3,
        }
    )


def test_only_rows_with_something_to_tell_are_shown() -> None:
    table = route_table(effect_sizes(sheet(), measure="SMD"))
    assert table is not None
    rows = {row[0]: dict(zip(table.head, row, strict=True)) for row in table.rows}
    assert list(rows) == ["B", "C"]
    assert rows["B"]["Given"] == "n_1 = 30, mean_1 = 12, n_2 = 31, mean_2 = 14, se_1 = 0.8, se_2 = 0.7"
    assert rows["B"]["Derived from it"].startswith("sd_1 = the standard error times √n = 4.38")
    assert "SMD =" not in rows["B"]["Derived from it"]
    assert "15" in rows["C"]["Contradictions"]  # 3 times the root of 25


def test_a_table_that_brings_everything_needs_none() -> None:
    plain = effect_sizes(sheet().iloc[:1].drop(columns=["se_1", "se_2"]), measure="SMD")
    assert route_table(plain) is None


def test_long_tables_are_cut_and_say_so() -> None:
    many = pd.concat([sheet().iloc[[1]].assign(study=f"S{i}") for i in range(ROWS_SHOWN + 5)], ignore_index=True)
    table = route_table(effect_sizes(many, measure="SMD"))
    assert table is not None
    assert len(table.rows) == ROWS_SHOWN
    assert f"the first {ROWS_SHOWN} of {ROWS_SHOWN + 5}" in table.caption


def test_the_csv_has_every_row_of_every_comparison() -> None:
    analysis = mb.pool(sheet(), measure="SMD").analysis
    rows = list(csv.DictReader(io.StringIO(routes_csv([analysis, analysis]))))
    assert tuple(rows[0]) == ROUTE_COLUMNS
    assert [(row["comparison"], row["study"]) for row in rows] == [(n, s) for n in "12" for s in "ABC"]
    assert float(rows[1]["yi"]) == pytest.approx(float(analysis.fitted.effects.yi[1]), rel=1e-9)  # 12 digits written


def test_the_section_of_a_report_has_the_table_and_says_which_way_is_better() -> None:
    blocks = section_blocks(mb.pool(sheet(), measure="SMD", tau2="DL", ci="Wald").analysis)
    assert any(getattr(block, "file", "") == "routes.csv" for block in blocks)
    assert "the whole interval lies below no difference, and lower is better" in blocks[1].text  # type: ignore[union-attr]
