"""Workbooks: XLSX, ODS and XLS through python-calamine, after a look at what is really in them."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from metaback.data.archive import (
    SheetFacts,
    cell_name,
    check_extent,
    excel_facts,
    open_document_facts,
    percent_styles,
    repacked,
    sheet_parts,
    unpack,
)
from metaback.data.columns import BadCell, PercentCell
from metaback.data.compound import check_compound
from metaback.data.headers import drop_empty_columns, find_header, header_problems, is_empty, looks_like_a_table
from metaback.data.text_table import RawTable, short
from metaback.errors import DataError, FileError, OptionError, Problem

ZIP, OLD = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
EXTRA = "workbooks need python-calamine: pip install metaback[excel]"
XLS_NOTE = (
    "an old XLS workbook does not tell hidden rows and errors of formulas, which are read as rows and as blank; "
    "save it as XLSX to have them checked"
)
Grid = list[list[Any]]


@dataclass(frozen=True)
class _Book:
    """An open workbook: its sheets, and what their XML says (None for XLS, which has none)."""

    name: str
    opened: Any
    sheets: tuple[str, ...]
    facts_of: Callable[[str], SheetFacts | None]


@dataclass(frozen=True)
class _Sheet:
    """The cells of a sheet from its first filled row and column on."""

    title: str
    cells: Grid
    top: int
    left: int
    facts: SheetFacts | None
    merged: tuple[tuple[tuple[int, int], tuple[int, int]], ...]


def read_workbook(name: str, content: bytes, roles: Mapping[str, str] | None, sheet: str | int | None) -> RawTable:
    """Read one sheet of a workbook: the one that is asked for, or the first that looks like a table."""
    book = _open(name, content)
    chosen, notes = _choose(book, roles, sheet)
    table = _table(name, chosen, roles)
    old = (XLS_NOTE,) if chosen.facts is None else ()
    return RawTable(table.frame, table.rows, (*notes, *old, *table.notes))


def _open(name: str, content: bytes) -> _Book:
    """Open a workbook whose parts were checked."""
    if content.startswith(OLD):
        check_compound(name, content)
        opened = _calamine(name, io.BytesIO(content), "an old Excel workbook that is damaged or has a password")
        return _Book(name, opened, _titles(opened), lambda _: None)
    parts = unpack(name, content)
    if "xl/workbook.xml" in parts:
        sheets = sheet_parts(name, parts)
        percent = percent_styles(name, parts["xl/styles.xml"]) if "xl/styles.xml" in parts else frozenset[str]()
        facts_of: Callable[[str], SheetFacts | None] = lambda title: excel_facts(name, sheets[title], percent)  # noqa: E731
    elif "content.xml" in parts:
        facts = open_document_facts(name, parts["content.xml"])
        for title, found in facts.items():
            check_extent(name, title, found)  # calamine unrolls every sheet when it opens the file
        facts_of = facts.__getitem__
    else:
        kind = "a binary workbook (XLSB)" if "xl/workbook.bin" in parts else "a workbook or zip archive of another kind"
        raise FileError(f"{name}: not a text table but {kind}; save the sheet as XLSX or CSV")
    opened = _calamine(name, repacked(parts), "a workbook that is damaged")
    return _Book(name, opened, _titles(opened), facts_of)


def _guarded(name: str, words: str, act: Callable[[], Any]) -> Any:
    """Run something of calamine; whatever goes wrong in it is a file that cannot be read."""
    try:
        return act()
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001  a panic in calamine is no Exception
        raise FileError(f"{name}: not a text table but {words} ({str(error)[:80]})") from None


def _calamine(name: str, file: io.BytesIO, words: str) -> Any:
    """Open a workbook with calamine."""
    try:
        from python_calamine import CalamineWorkbook
    except ImportError:
        kind = "an old Excel workbook" if words.startswith("an old") else "a workbook or zip archive"
        raise FileError(f"{name}: not a text table but {kind}; {EXTRA}") from None
    return _guarded(name, words, lambda: CalamineWorkbook.from_filelike(file))


def _titles(opened: Any) -> tuple[str, ...]:
    """List the sheets with cells, the visible ones first."""
    plain = [meta for meta in opened.sheets_metadata if str(meta.typ).endswith("WorkSheet")]
    shown = [meta.name for meta in plain if str(meta.visible).endswith(".Visible")]
    return (*shown, *(meta.name for meta in plain if meta.name not in shown))


def _choose(book: _Book, roles: Mapping[str, str] | None, asked: str | int | None) -> tuple[_Sheet, tuple[str, ...]]:
    """Return the sheet to read, and what is to be told about the choice."""
    if asked is not None:
        return _load(book, _asked(book, asked)), ()
    filled: list[_Sheet] = []
    for title in book.sheets:
        sheet = _load(book, title)
        if not sheet.cells:
            continue
        filled.append(sheet)
        records, rows = _records(sheet)
        if looks_like_a_table(find_header(records[:20], rows[:20], roles).names, roles):
            return sheet, _told(book, title)
    if not filled:
        raise FileError(f"{book.name}: the workbook is empty")
    return filled[0], _told(book, filled[0].title)


def _told(book: _Book, title: str) -> tuple[str, ...]:
    """Tell which sheet was read, where there are several."""
    others = ", ".join(f"'{other}'" for other in book.sheets if other != title)
    return (f"sheet '{title}' was read, and not: {others}; choose with sheet=...",) if others else ()


def _asked(book: _Book, asked: str | int) -> str:
    """Find a sheet by name or by its number from 1."""
    names = list(book.opened.sheet_names)
    if isinstance(asked, int) and 1 <= asked <= len(names) and names[asked - 1] in book.sheets:
        return names[asked - 1]
    if asked not in book.sheets:
        raise OptionError.unknown("sheet", asked, book.sheets)
    return str(asked)


def _load(book: _Book, title: str) -> _Sheet:
    """Read the cells of one sheet, after checking how far it reaches."""
    try:
        facts = book.facts_of(title)
    except KeyError:
        raise FileError(f"{book.name}: the workbook is damaged (sheet '{title}' is missing)") from None
    if facts is not None:
        check_extent(book.name, title, facts)
    words = f"a workbook whose sheet '{title}' is damaged"
    sheet = _guarded(book.name, words, lambda: book.opened.get_sheet_by_name(title))
    start = sheet.start or (0, 0)
    cells: Grid = _guarded(book.name, words, lambda: sheet.to_python(skip_empty_area=True))
    merged = tuple(getattr(sheet, "merged_cell_ranges", None) or ())  # an older calamine may not have them
    return _with_bad(_Sheet(title, cells, start[0], start[1], facts, merged))


def _with_bad(sheet: _Sheet) -> _Sheet:
    """Put what is wrong with cells in their place, also where it stands outside of the filled rectangle.

    Numbers that are shown as percentages are marked.
    """
    bad = sheet.facts.bad if sheet.facts else {}
    if not sheet.cells:
        return sheet
    for row, column in sheet.facts.percent if sheet.facts else ():
        i, j = row - sheet.top, column - sheet.left
        if 0 <= i < len(sheet.cells) and 0 <= j < len(sheet.cells[i]) and type(sheet.cells[i][j]) in {int, float}:
            sheet.cells[i][j] = PercentCell(sheet.cells[i][j])
    for (row, column), text in bad.items():
        i, j = row - sheet.top, column - sheet.left
        if 0 <= i < len(sheet.cells) and j >= 0:
            line = sheet.cells[i]
            line += [""] * (j + 1 - len(line))
            line[j] = _error(cell_name(row, column), text)
    return sheet


def _error(place: str, text: str) -> BadCell:
    """Make a cell of an error or of a formula without a value."""
    if text:
        return BadCell(text, f"cell {place} holds the error {text}", "Mend the formula, or leave the cell blank")
    fix = "Open the workbook in a spreadsheet program and save it, so that the values are stored"
    return BadCell("", f"cell {place} holds a formula whose value was never computed", fix)


def _records(sheet: _Sheet) -> tuple[list[list[Any]], list[str]]:
    """Return the rows that hold something, and their names."""
    filled = [
        (i, row) for i, row in enumerate(sheet.cells) if any(isinstance(c, BadCell) or not is_empty(c) for c in row)
    ]
    return [row for _, row in filled], [f"row {sheet.top + i + 1}" for i, _ in filled]


def _table(name: str, sheet: _Sheet, roles: Mapping[str, str] | None) -> RawTable:
    """Make a table of a sheet."""
    records, rows = _records(sheet)
    if not records:
        raise FileError(f"{name}: sheet '{sheet.title}' is empty")
    header = find_header(records[:20], rows[:20], roles)
    body, lines = records[header.records :], rows[header.records :]
    width = max(len(header.names), *(len(row) for row in body), 0) if body else len(header.names)
    names = (*header.names, *[""] * (width - len(header.names)))
    filled = _fill_merged(sheet, body, lines)
    plain = [[*row, *[""] * (width - len(row))] for row in body]
    keep = drop_empty_columns(names, plain)
    problems = header_problems([names[i] for i in keep])
    if problems:
        raise DataError(short(name), [_placed(problem, sheet, names, keep) for problem in problems])
    columns: dict[int, list[Any]] = {
        i: [_cell(row[i], int(line[4:]), sheet.left + i) for row, line in zip(plain, lines, strict=True)] for i in keep
    }
    frame = pd.DataFrame({i: pd.Series(cells, dtype=object) for i, cells in columns.items()})
    frame.columns = pd.Index([names[i] for i in keep], dtype=object)
    notes = (*header.notes, *filled, *_hidden(sheet, lines))
    return RawTable(frame, tuple(lines), notes)


def _placed(problem: Problem, sheet: _Sheet, names: Sequence[str], keep: Sequence[int]) -> Problem:
    """Name unnamed columns by their letters."""
    blank = [cell_name(0, sheet.left + i)[:-1] for i in keep if not names[i]]
    if "has no name" not in problem.rule:
        return problem
    return Problem(f"column {', '.join(blank)} has no name", problem.fix)


def _cell(cell: Any, row: int, column: int) -> Any:
    """Turn a cell of calamine into a text, a number, or a cell with what is wrong with it."""
    if isinstance(cell, (dt.date, dt.time, dt.timedelta)):
        text = cell.isoformat() if isinstance(cell, (dt.date, dt.time)) else str(cell)
        place = cell_name(row - 1, column)
        rule = f"cell {place} is a date or time, perhaps made from a text such as 'MARCH1' or '3/4'"
        return BadCell(text, rule, "Format the column as text and type the cell again")
    if type(cell) is float and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return cell


def _fill_merged(sheet: _Sheet, body: list[list[Any]], lines: Sequence[str]) -> tuple[str, ...]:
    """Give every row of a merged cell its value."""
    by_line = {int(line[4:]) - 1: row for row, line in zip(body, lines, strict=True)}
    last = max(by_line, default=0)
    notes: list[str] = []
    for (top, left), (bottom, _) in sheet.merged:
        first, j = by_line.get(top), left - sheet.left
        if bottom <= top or first is None or not 0 <= j < len(first) or is_empty(first[j]):
            continue
        for line in range(top + 1, min(bottom, last) + 1):
            row = by_line.get(line)
            if row is not None and j < len(row) and is_empty(row[j]):
                row[j] = first[j]
        place = f"{cell_name(top, left)}:{cell_name(bottom, left)}"
        notes.append(f"cells {place} are merged; {str(first[j])!r} was read for every row of them")
    return tuple(notes)


def _hidden(sheet: _Sheet, lines: Sequence[str]) -> Iterator[str]:
    """Tell rows and columns that a spreadsheet program does not show."""
    if sheet.facts is None:
        return
    rows = [line for line in lines if int(line[4:]) - 1 in sheet.facts.hidden_rows]
    if rows:
        more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
        yield f"hidden rows were read like the others: {', '.join(rows[:10])}{more}"
    columns = sorted(j for j in sheet.facts.hidden_columns if sheet.left <= j < sheet.facts.columns)
    if columns:
        yield f"hidden columns were read like the others: {', '.join(cell_name(0, j)[:-1] for j in columns[:10])}"
