"""Workbooks: the sheet that a person sees, what hides in it told, and no cell of it silently wrong."""

from __future__ import annotations

import datetime as dt
import io
import math
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from metaback.data.read import read_trials
from metaback.data.trials import Trials
from metaback.errors import DataError, FileError, OptionError

pytest.importorskip("python_calamine")
xlsxwriter = pytest.importorskip("xlsxwriter")

PLAIN = [["study", "yi", "sei"], ["A", 0.1, 0.2], ["B", -0.3, 0.4]]
Change = Callable[[Any, Any], None]


def book(*sheets: list[list[Any]], names: tuple[str, ...] = (), change: Change | None = None) -> bytes:
    """Write a workbook; `change` may do more to it and to its last sheet."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as workbook:
        for i, rows in enumerate(sheets):
            sheet = workbook.add_worksheet(names[i] if names else None)
            for r, row in enumerate(rows):
                for c, cell in enumerate(row):
                    if cell is not None:
                        sheet.write(r, c, cell)
        if change:
            change(workbook, sheet)
    return file.getvalue()


def edited(content: bytes, edits: Mapping[str, Callable[[bytes], bytes]]) -> bytes:
    """Change parts of an archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, edits.get(name, bytes)(old.read(name)))
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def swap(old: bytes, new: bytes) -> Mapping[str, Callable[[bytes], bytes]]:
    """Replace text in the first sheet, where it must stand."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new)

    return {SHEET: change}


def refused(content: bytes, **options: Any) -> list[tuple[str | None, str | None, str | None, str]]:
    """Return place, value and rule of every problem of a workbook that must be refused."""
    with pytest.raises(DataError) as caught:
        read_trials(content, **options)
    assert all(problem.fix for problem in caught.value.problems)
    return [(p.column, p.row, p.value, p.rule) for p in caught.value.problems]


def check_plain(trials: Trials) -> None:
    """Check the plain table."""
    assert trials.texts("study") == ("A", "B")
    assert trials.numbers("yi").tolist() == [0.1, -0.3]
    assert trials.numbers("sei").tolist() == [0.2, 0.4]


def test_a_plain_workbook_whatever_its_name(tmp_path: Path) -> None:
    for name in ("table.xlsx", "table.csv", "table.xls"):
        path = tmp_path / name
        path.write_bytes(book(PLAIN))
        trials = read_trials(path)
        check_plain(trials)
        assert (trials.rows, trials.notes, trials.source.name) == (("row 2", "row 3"), (), name)


def test_rows_and_cells_keep_their_names_when_the_table_stands_elsewhere() -> None:
    shifted = [[], [], [None, None, "study", "yi", "sei"], [], [None, None, "A", "x", 0.2]]
    assert refused(book(shifted)) == [("yi", "row 5", "x", "is not a number")]


def test_the_first_sheet_that_looks_like_a_table_is_read_and_told() -> None:
    content = book([["Read me"], ["Trials are on the next sheet"]], PLAIN, PLAIN, names=("info", "data", "more"))
    trials = read_trials(content)
    check_plain(trials)
    assert trials.notes == ("sheet 'data' was read, and not: 'info', 'more'; choose with sheet=...",)


@pytest.mark.parametrize("sheet", ["data", 2])
def test_a_sheet_is_chosen_by_name_or_number(sheet: str | int) -> None:
    content = book([["study", "yi", "sei"], ["X", 1, 1]], PLAIN, names=("first", "data"))
    trials = read_trials(content, sheet=sheet)
    check_plain(trials)
    assert trials.notes == ()


@pytest.mark.parametrize("sheet", ["dat", 0, 3, -1])
def test_a_sheet_that_is_not_there_is_named_with_those_that_are(sheet: str | int) -> None:
    with pytest.raises(OptionError, match="use one of: first, data"):
        read_trials(book(PLAIN, PLAIN, names=("first", "data")), sheet=sheet)


def test_hidden_sheets_come_last() -> None:
    content = book([["study", "yi", "sei"], ["X", 1, 1]], PLAIN, names=("old", "data"))
    hide = {"xl/workbook.xml": lambda data: data.replace(b'name="old"', b'name="old" state="hidden"')}
    trials = read_trials(edited(content, hide))
    check_plain(trials)
    assert "sheet 'data' was read, and not: 'old'" in trials.notes[0]


def test_hidden_rows_and_columns_are_read_and_told() -> None:
    def hide(_: Any, sheet: Any) -> None:
        sheet.set_row(2, None, None, {"hidden": True})
        sheet.set_column(2, 2, None, None, {"hidden": True})

    trials = read_trials(book(PLAIN, change=hide))
    check_plain(trials)
    assert trials.notes == (
        "hidden rows were read like the others: row 3",
        "hidden columns were read like the others: C",
    )


def test_labels_that_are_numbers_are_written_without_decimals() -> None:
    assert read_trials(book([["study", "yi", "sei"], [2001, 1, 1], [7.5, 1, 1]])).texts("study") == ("2001", "7.5")


def test_numbers_that_are_text_are_read() -> None:
    cells = [["study", "yi", "sei"], ["A", "\u22120,5", 0.2], ["B", "0,25*", 0.2]]
    trials = read_trials(book(cells))
    assert trials.numbers("yi").tolist() == [-0.5, 0.25]
    assert any("decimal mark" in note for note in trials.notes)


def date(value: Any, form: str) -> Change:
    """Write a date into B2 or A2, as a spreadsheet does when it takes a label for one."""
    column = 0 if isinstance(value, dt.datetime) else 1

    def change(workbook: Any, sheet: Any) -> None:
        sheet.write_datetime(1, column, value, workbook.add_format({"num_format": form}))

    return change


def test_dates_made_of_labels_are_refused_with_their_cell() -> None:
    found = refused(book([*PLAIN[:1], [None, 0.1, 0.2]], change=date(dt.datetime(2001, 3, 1), "d-mmm")))  # noqa: DTZ001
    assert found[0][:3] == ("study", "row 2", "2001-03-01")
    assert "cell A2 is a date or time, perhaps made from a text such as 'MARCH1'" in found[0][3]
    found = refused(book([*PLAIN[:1], ["A", None, 0.2]], change=date(dt.date(2026, 4, 3), "d/m")))
    assert found[0][:3] == ("yi", "row 2", "2026-04-03")
    assert "cell B2" in found[0][3]


def test_dates_elsewhere_are_text() -> None:
    def change(workbook: Any, sheet: Any) -> None:
        sheet.write_datetime(1, 3, dt.date(2020, 1, 2), workbook.add_format({"num_format": "d.m.yy"}))

    trials = read_trials(book([["study", "yi", "sei", "extracted"], ["A", 0.1, 0.2]], change=change))
    assert trials.frame["extracted"].tolist() == ["2020-01-02"]


@pytest.mark.parametrize("error", ["#DIV/0!", "#N/A", "#VALUE!", "#REF!"])
def test_errors_of_formulas_are_refused_with_their_cell(error: str) -> None:
    content = book(
        [*PLAIN[:1], ["A", None, 0.2]], change=lambda _, sheet: sheet.write_formula("B2", "=1/0", None, error)
    )
    assert refused(content) == [("yi", "row 2", error, f"cell B2 holds the error {error}")]


def test_a_formula_without_a_value_is_refused_with_its_cell() -> None:
    content = book([*PLAIN[:1], ["A", None, 0.2]], change=lambda _, sheet: sheet.write_formula("B2", "=1+1", None, ""))
    assert refused(content) == [("yi", "row 2", "", "cell B2 holds a formula whose value was never computed")]
    outside = book([["study", "yi", "sei"], ["A", 0.1]], change=lambda _, s: s.write_formula("C2", "=1+1", None, ""))
    assert refused(outside) == [("sei", "row 2", "", "cell C2 holds a formula whose value was never computed")]


def test_formulas_with_values_are_read() -> None:
    content = book([*PLAIN[:1], ["A", None, 0.2]], change=lambda _, sheet: sheet.write_formula("B2", "=1+1", None, 2))
    assert read_trials(content).numbers("yi").tolist() == [2.0]


def test_a_truth_value_is_no_number() -> None:
    assert refused(book([["study", "yi", "sei"], ["A", True, 0.2]])) == [("yi", "row 2", "True", "is not a number")]


PERCENT = [["study", "yi", "sei", "auc", "percent_1", "note"], ["A", None, 0.2], ["B", 0.3, 0.2, 0.6]]


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("0%", True),
        ("0.00%", True),
        ("[Red]-0.0%;0.0%", True),
        ('0.0" %"', False),
        ("0.0\\%", False),
        ("[$%-409]0.0", False),
        ("General", False),
    ],
)
def test_numbers_shown_as_percentages_are_read_knowingly_and_told(form: str, shown: bool) -> None:
    def change(workbook: Any, sheet: Any) -> None:
        for column in (1, 3, 4, 5):
            sheet.write_number(1, column, 0.15, workbook.add_format({"num_format": form}))

    trials = read_trials(book(PERCENT, change=change))
    assert trials.numbers("yi").tolist() == [0.15, 0.3]
    assert trials.numbers("auc").tolist() == [0.15, 0.6]
    assert trials.numbers("percent_1")[0] == (15.0 if shown else 0.15)
    told = "shown as a percentage in the workbook and read as the number that is stored, 0.15 ('15%' in row 2)"
    assert trials.notes == ((f"columns 'auc', 'yi': {told[:-1]} and 1 more)",) if shown else ())


def merged(_: Any, sheet: Any) -> None:
    """Merge the groups of a header, and a label over two rows."""
    sheet.merge_range("B1:D1", "Experimental")
    sheet.merge_range("E1:G1", "Control")
    sheet.merge_range("A3:A4", "Smith 2001")


def test_merged_headers_and_labels() -> None:
    names = ["Study", "Mean", "SD", "N", "Mean", "SD", "N", "Outcome"]
    rows = [[], names, [None, 5.1, 2, 20, 4.8, 1.9, 21, "pain"], [None, 1, 2, 20, 1.5, 3, 21, "sleep"]]
    trials = read_trials(book(rows, change=merged))
    assert trials.texts("study") == ("Smith 2001", "Smith 2001")
    assert trials.texts("outcome") == ("pain", "sleep")
    assert trials.numbers("mean_2").tolist() == [4.8, 1.5]
    assert trials.rows == ("row 3", "row 4")
    assert "two rows, row 1 and row 2: Study, Experimental Mean" in trials.notes[0]
    assert trials.notes[1] == "cells A3:A4 are merged; 'Smith 2001' was read for every row of them"


def test_a_title_above_the_table_is_passed_over_and_told() -> None:
    trials = read_trials(book([["Table 1. All trials"], [], *PLAIN]))
    check_plain(trials)
    assert trials.rows == ("row 4", "row 5")
    assert trials.notes == ("row 1: 'Table 1. All trials' above the header was passed over",)


def test_cells_with_borders_and_no_content_are_nothing() -> None:
    def change(workbook: Any, sheet: Any) -> None:
        form = workbook.add_format({"bold": True})
        for row in range(3, 3000):
            sheet.write_blank(row, 0, None, form)
        sheet.write_blank(1_048_575, 16_383, None, form)

    check_plain(read_trials(book(PLAIN, change=change)))


def test_a_cell_far_away_is_refused_by_name_and_takes_no_memory() -> None:
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from metaback.data.read import read_trials
from metaback.errors import FileError
try:
    read_trials(sys.stdin.buffer.read())
except FileError as error:
    sys.stdout.write(str(error))
"""
    content = book(PLAIN, change=lambda _, sheet: sheet.write("XFD1048576", "x"))
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    assert b"reaches to cell XFD1048576" in done.stdout


def test_an_unnamed_column_is_named_by_its_letter() -> None:
    found = refused(book([["study", "yi", "sei"], ["A", 0.1, 0.2, None, "see text"]]))
    assert found == [(None, None, None, "column E has no name")]


def test_empty_workbooks() -> None:
    with pytest.raises(FileError, match="the workbook is empty"):
        read_trials(book([]))
    with pytest.raises(FileError, match="sheet 'b' is empty"):
        read_trials(book(PLAIN, [], names=("a", "b")), sheet="b")


# ---------------------------------------------------------------- attacks and damage


def test_a_bomb_is_refused() -> None:
    blanks = edited(
        book(PLAIN), {SHEET: lambda data: data.replace(b"</sheetData>", b"</sheetData>" + b" " * (64 << 20))}
    )
    assert len(blanks) < 1 << 20
    with pytest.raises(FileError, match="expands beyond the limits"):
        read_trials(blanks)


def test_an_archive_that_lies_about_its_size_is_refused() -> None:
    content = bytearray(edited(book(PLAIN), {}))
    start = content.index(b"PK\x01\x02", content.index(SHEET.encode()))
    content[start + 24 : start + 28] = (10).to_bytes(4, "little")
    with pytest.raises(FileError):
        read_trials(bytes(content))


DOCTYPE = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/sharedStrings.xml"])
def test_document_types_are_refused(part: str) -> None:
    content = edited(book(PLAIN), {part: lambda data: data.replace(b"?>", b"?>" + DOCTYPE, 1)})
    with pytest.raises(FileError, match="declares a document type"):
        read_trials(content)


def test_a_truncated_workbook_is_named() -> None:
    content = book(PLAIN)
    for size in (30, 100, len(content) // 2, len(content) - 10):
        with pytest.raises(FileError, match="workbook or zip archive"):
            read_trials(content[:size])


@pytest.mark.parametrize(
    "edit",
    [
        swap(b"</sheetData>", b""),
        swap(b'r="1"', b'r="x"'),
        swap(b'r="A1"', b'r="AAAAAAAAAAAA1"'),
        swap(b'r="A1"', b'r="A0"'),
        swap(b'r="2"', b'r="99999999"'),
        {"xl/workbook.xml": lambda _: b"<workbook/>"},
        {"xl/workbook.xml": lambda data: data[:50]},
        {"xl/_rels/workbook.xml.rels": lambda _: b"<none/>"},
        {"xl/sharedStrings.xml": lambda _: b"<sst/>"},
    ],
    ids=[
        "sheet",
        "row number",
        "a long column",
        "row 0",
        "a far row",
        "no sheets",
        "half a list of sheets",
        "no relations",
        "no strings",
    ],
)
def test_a_damaged_workbook_is_an_error_and_no_traceback(edit: Mapping[str, Callable[[bytes], bytes]]) -> None:
    with pytest.raises((FileError, DataError)):
        read_trials(edited(book(PLAIN), edit))


def test_other_archives_are_named() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("table.csv", "study,yi,sei\nA,1,2\n")
    with pytest.raises(FileError, match="a workbook or zip archive of another kind"):
        read_trials(file.getvalue())


def test_without_calamine_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(FileError, match=r"pip install metaback\[excel\]"):
        read_trials(book(PLAIN))


# ---------------------------------------------------------------- ODS and XLS

ODS_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><office:document-content '
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.2">'
    '<office:body><office:spreadsheet><table:table table:name="data">'
)
ODS_MANIFEST = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.2"/>'
)
ODS_TAIL = "</table:table></office:spreadsheet></office:body></office:document-content>"


def ods(*rows: str) -> bytes:
    """Write an ODS workbook of rows of XML."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", ODS_MANIFEST)
        archive.writestr("content.xml", ODS_HEAD + "".join(rows) + ODS_TAIL)
    return file.getvalue()


def row(*cells: Any, more: str = "") -> str:
    """Write a row of ODS."""
    return f"<table:table-row{more}>{''.join(map(cell, cells))}</table:table-row>"


def cell(value: Any) -> str:
    """Write a cell of ODS; text that starts with a tag is XML as it is."""
    if isinstance(value, str) and value.startswith("<"):
        return value
    if isinstance(value, str):
        return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'
    text = f"<text:p>{value}</text:p>"
    return f'<table:table-cell office:value-type="float" office:value="{value}">{text}</table:table-cell>'


ODS_PLAIN = [row(*cells) for cells in PLAIN]


def test_a_plain_ods() -> None:
    check_plain(read_trials(ods(*ODS_PLAIN)))


def test_ods_tells_hidden_rows_and_passes_over_repeated_blanks() -> None:
    blank = '<table:table-cell table:number-columns-repeated="16381"/>'
    trials = read_trials(
        ods(
            *ODS_PLAIN[:2],
            row("B", -0.3, 0.4, blank, more=' table:visibility="collapse"'),
            f'<table:table-row table:number-rows-repeated="1048573">{blank}</table:table-row>',
        )
    )
    check_plain(trials)
    assert trials.notes == ("hidden rows were read like the others: row 3",)


def test_ods_tells_percentages() -> None:
    share = (
        '<table:table-cell office:value-type="percentage" office:value="0.15"><text:p>15%</text:p></table:table-cell>'
    )
    trials = read_trials(ods(ODS_PLAIN[0], row("A", share, 0.2)))
    assert trials.numbers("yi").tolist() == [0.15]
    assert trials.notes == (
        (
            "column 'yi': shown as a percentage in the workbook and read as the number that is stored, "
            "0.15 ('15%' in row 2)"
        ),
    )


def test_ods_refuses_errors_and_formulas_without_values() -> None:
    error = (
        '<table:table-cell table:formula="of:=1/0" office:value-type="string" office:string-value="" '
        'calcext:value-type="error"><text:p>#DIV/0!</text:p></table:table-cell>'
    )
    assert refused(ods(ODS_PLAIN[0], row("A", error, 0.2))) == [
        ("yi", "row 2", "#DIV/0!", "cell B2 holds the error #DIV/0!")
    ]
    never = '<table:table-cell table:formula="of:=1+1"/>'
    assert refused(ods(ODS_PLAIN[0], row("A", never, 0.2)))[0][3].startswith("cell B2 holds a formula")


def test_ods_refuses_what_unrolls_too_far() -> None:
    wide = cell(1).replace("<table:table-cell", '<table:table-cell table:number-columns-repeated="16000"')
    tall = row("A", 0.1, 0.2, more=' table:number-rows-repeated="1048570"')
    with pytest.raises(FileError, match="reaches to cell"):
        read_trials(ods(ODS_PLAIN[0], row("A", wide)))
    with pytest.raises(FileError, match="reaches to cell C1048571"):
        read_trials(ods(ODS_PLAIN[0], tall))


def xls(rows: list[list[Any]] = PLAIN) -> bytes:
    """Write an old workbook."""
    workbook = pytest.importorskip("xlwt").Workbook()
    sheet = workbook.add_sheet("data")
    for r, cells in enumerate(rows):
        for c, value in enumerate(cells):
            sheet.write(r, c, value)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def test_an_old_xls() -> None:
    content = xls()
    trials = read_trials(content)
    check_plain(trials)
    assert "an old XLS workbook does not tell hidden rows" in trials.notes[0]
    with pytest.raises(FileError, match="an old Excel workbook"):
        read_trials(content[:600])


def test_a_large_old_xls() -> None:
    rows = [PLAIN[0], *([f"S{i}", i / 7, 0.5] for i in range(9_000))]
    assert len(read_trials(xls(rows))) == 9_000


def test_an_old_xls_whose_sectors_go_round_in_a_circle_is_refused() -> None:
    content = bytearray(xls())
    table = 512 * (1 + int.from_bytes(content[76:80], "little"))
    content[table : table + 4] = (0).to_bytes(4, "little")  # the first sector follows itself
    with pytest.raises(FileError, match="its sectors follow each other in a circle"):
        read_trials(bytes(content))


def test_an_old_xls_with_a_cell_beyond_its_last_column_is_refused() -> None:
    content = xls()
    cell = b"\xbd\x00\x12\x00\x01\x00\x01\x00"  # numbers in row 2 from column B on
    assert content.count(cell) == 1
    with pytest.raises(FileError, match="it has a cell in column 61,441"):
        read_trials(content.replace(cell, cell[:6] + b"\x00\xf0"))


def test_an_old_xls_that_announces_billions_of_texts_is_refused() -> None:
    content = xls()
    place = content.index(b"\xfc\x00", 512) + 8
    with pytest.raises(FileError, match="it announces more texts than it can hold"):
        read_trials(content[:place] + b"\xff\xff\xff\x7f" + content[place + 4 :])


def test_a_blank_number_stays_blank() -> None:
    trials = read_trials(book([["study", "yi", "sei"], ["A", None, 0.2], ["B", 0.5, 0.2]]))
    assert math.isnan(trials.numbers("yi")[0])
