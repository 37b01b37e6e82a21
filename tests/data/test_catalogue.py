"""What the reader is tested with: the tables of nasty files may not shrink, and every promise names its tests."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# Files that are read exactly, or fail with exactly one error: name of the table and how many it holds at least.
TABLES: dict[str, dict[str, int]] = {
    "test_nasty_text.py": {"GOOD": 68, "BAD": 41, "NO_TABLE": 10, "HEADERS": 7},
    "test_read_files.py": {"NOT_A_TABLE": 17, "STRUCTURE": 9, "WORDS": 14, "PYTHON": 11, "LABELS": 13, "RULES": 15},
    "test_other_tables.py": {"JSON_BAD": 17},
    "test_programs.py": {"METAFOR": 6},
}
LEAST = 228

# What real people send, and which test reads it. A test is named by its file (without `test_` and `.py`) and name; a
# line of a table of nasty files by table and key.
COVERED: dict[str, tuple[str, ...]] = {
    # encodings and line ends
    "UTF-8 with a mark": ("read_files:test_one_table_in_many_dresses",),
    "UTF-16 tab text": ("GOOD:utf-16 tab text", "GOOD:utf-16 big-endian", "NOT_A_TABLE:half a utf-16"),
    "cp1252": ("GOOD:cp1252", "GOOD:cp1252 dash for minus", "NOT_A_TABLE:two encodings"),
    "CR only": ("GOOD:cr only", "GOOD:mixed line ends"),
    "NUL bytes": ("NOT_A_TABLE:binary", "NO_TABLE:nul in utf-16", "NO_TABLE:nul in cp1252"),
    "blanks only, 0 bytes, header only": ("NOT_A_TABLE:blank", "NOT_A_TABLE:empty", "STRUCTURE:header only"),
    # numbers
    "semicolon and decimal comma": ("GOOD:decimal comma", "GOOD:one column each"),
    "quoted thousands": ("GOOD:thousands of people",),
    "ambiguous 1.020": ("BAD:1.020 alone", "BAD:1,020 alone", "BAD:1.020 people", "GOOD:1.020 between commas"),
    "spaces without width and without break": ("GOOD:hidden spaces", "GOOD:spaces for thousands"),
    "all minus signs": ("read_files:test_every_minus_sign_is_a_minus", "GOOD:bar for minus"),
    "15%": ("BAD:percentage as effect", "GOOD:a share as a percentage", "GOOD:percentages by name"),
    "15% in a workbook": ("workbooks:test_numbers_shown_as_percentages_are_read_knowingly_and_told",),
    "12 (60%)": ("GOOD:percentages", "BAD:share that does not fit", "BAD:count with a percentage or a size"),
    "12/20": ("GOOD:events over their group", "BAD:events over another size"),
    "<0.001": ("GOOD:a p value as a bound", "BAD:bound as effect"),
    "0.2*": ("GOOD:footnotes",),
    "codes for missing": ("BAD:code for missing", "BAD:9999", "GOOD:missing words"),
    "17 to 19 digits, integers above 2^53": ("GOOD:17 digits", "BAD:people beyond counting"),
    # what Python would take
    "1_000, other digits, infinity, 1e400": ("read_files:test_what_is_not_a_plain_number_is_refused",),
    "labels NA, 007, None, 1e5": ("read_files:test_labels_stay_as_they_are_written",),
    # structure
    "names twice": ("STRUCTURE:a name twice", "JSON_BAD:a key twice"),
    "ragged rows": ("read_files:test_rows_of_another_width_are_all_named",),
    "an unquoted comma in one label": ("BAD:an unquoted comma in every label",),
    "tabs in .csv": ("read_files:test_one_table_in_many_dresses",),
    "a sep= line": ("GOOD:sep line", "GOOD:quoted sep line", "GOOD:sep line, unusual"),
    "an interval in one cell": ("GOOD:interval to", "GOOD:interval brackets", "GOOD:interval hyphen",
                                "GOOD:interval semicolon", "GOOD:interval with level and comma"),
    "impossible intervals": ("BAD:impossible interval", "BAD:effect outside"),
    "a mean and a median with their spread": ("GOOD:mean (SD)", "GOOD:mean (SE) by the header",
                                              "GOOD:median (IQR) by the header", "BAD:median with quartiles or range"),
    # workbooks
    "dates made of labels": ("workbooks:test_dates_made_of_labels_are_refused_with_their_cell",
                             "GOOD:a date for a label"),
    "a header of two merged rows": ("workbooks:test_merged_headers_and_labels", "GOOD:two-row header"),
    "formatted blanks and a cell at XFD1048576": (
        "workbooks:test_cells_with_borders_and_no_content_are_nothing",
        "workbooks:test_a_cell_far_away_is_refused_by_name_and_takes_no_memory",
    ),
    "a truncated zip": ("workbooks:test_a_truncated_workbook_is_named",),
    "wrong extensions both ways": (
        "workbooks:test_a_plain_workbook_whatever_its_name",
        "nasty_text:test_text_with_the_name_of_a_workbook_is_read_and_told",
    ),
    "HTML as .xls": ("NOT_A_TABLE:html",),
    "#DIV/0!": ("workbooks:test_errors_of_formulas_are_refused_with_their_cell",),
    "a formula without a stored value": ("workbooks:test_a_formula_without_a_value_is_refused_with_its_cell",),
    "numbers that are text": ("workbooks:test_numbers_that_are_text_are_read",),
    "a hidden row": ("workbooks:test_hidden_rows_and_columns_are_read_and_told",),
    "data on sheet 2": ("workbooks:test_the_first_sheet_that_looks_like_a_table_is_read_and_told",),
    # attacks
    "HTML and scripts": ("read_files:test_what_a_browser_shows_is_escaped",),
    "formulas as text": ("BAD:a formula", "read_files:test_labels_stay_as_they_are_written"),
    "entities": ("workbooks:test_document_types_are_refused", "NO_TABLE:xml with an entity"),
    "a pickle named .csv": ("NO_TABLE:pickle",),
    "a YAML object tag": ("NO_TABLE:yaml",),
    "a zip bomb": ("workbooks:test_a_bomb_is_refused",
                   "workbooks:test_an_archive_that_lies_about_its_size_is_refused"),
    "a field of megabytes": ("NOT_A_TABLE:a huge cell", "fuzz:test_long_cells_do_not_hang"),
    "a million rows": ("fuzz:test_a_million_rows_take_less_than_a_minute_and_less_than_1500_mb",),
    "limits on rows, columns and bytes": (
        "nasty_text:test_too_many_rows_are_refused",
        "NO_TABLE:too many columns",
        "nasty_text:test_too_many_bytes_are_refused",
    ),
    "a workbook that leads its reader in circles": (
        "workbooks:test_an_old_xls_whose_sectors_go_round_in_a_circle_is_refused",
    ),
}  # fmt: skip


def loaded() -> dict[str, object]:
    """Return the tables of nasty files by name."""
    found: dict[str, object] = {}
    for file, tables in TABLES.items():
        names = runpy.run_path(str(HERE / file))
        found |= {table: names[table] for table in tables}
    return found


@pytest.fixture(scope="module")
def tables() -> dict[str, object]:
    """Load the tables once."""
    return loaded()


def test_the_tables_of_nasty_files_do_not_shrink(tables: dict[str, object]) -> None:
    sizes = {table: len(tables[table]) for counts in TABLES.values() for table in counts}  # type: ignore[arg-type]
    least = {table: size for counts in TABLES.values() for table, size in counts.items()}
    assert {table: size for table, size in sizes.items() if size < least[table]} == {}
    assert sum(sizes.values()) >= sum(least.values()) >= LEAST


@pytest.mark.parametrize("file", TABLES)
def test_every_line_of_a_table_is_run(file: str) -> None:
    text = (HERE / file).read_text(encoding="utf-8")
    for table in TABLES[file]:
        uses = len(re.findall(rf"\b{table}\b", text))
        assert uses >= 2, f"{table} stands in {file} and no test uses it"


@pytest.mark.parametrize("what", COVERED)
def test_what_people_send_has_its_test(what: str, tables: dict[str, object]) -> None:
    for name in COVERED[what]:
        place, _, key = name.partition(":")
        if place in tables:
            assert key in tables[place], name  # type: ignore[operator]
        else:
            tree = ast.parse((HERE / f"test_{place}.py").read_text(encoding="utf-8"))
            assert key in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name
