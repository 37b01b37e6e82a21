"""Delimited text: bytes in, a table of text cells out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from metaback.data.headers import drop_empty_columns, find_header, header_problems
from metaback.data.limits import MAX_COLUMNS, MAX_ROWS
from metaback.data.roles import recognise
from metaback.errors import DataError, FileError, Problem

DELIMITERS = ",;\t|"
DECLARED = re.compile(r"\"?sep=(.)\"?", re.IGNORECASE)  # a first line by which Excel is told the delimiter
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_UTF8_PAIR = re.compile(rb"[\xc3-\xf4][\x80-\xbf]")


@dataclass(frozen=True)
class RawTable:
    """A table as its source has it: cells of any type, where the rows stand, what was guessed, its delimiter."""

    frame: pd.DataFrame
    rows: tuple[str, ...]
    notes: tuple[str, ...] = ()
    delimiter: str = ""


def decode(name: str, content: bytes) -> tuple[str, tuple[str, ...]]:
    """Decode bytes as UTF-8 or UTF-16 with a mark, or as Windows-1252, which is a guess and told.

    Line ends of every kind become line feeds. Raises `FileError` for anything that is not text.
    """
    notes: tuple[str, ...] = ()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = content.decode("utf-16")
        except UnicodeDecodeError:
            raise FileError(f"{name}: the UTF-16 text is damaged; save the file as 'CSV UTF-8'") from None
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            text, notes = _windows(name, content, error.start)
    if "\0" in text:
        raise FileError(f"{name}: not a text table: it holds binary data")
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def _windows(name: str, content: bytes, start: int) -> tuple[str, tuple[str, ...]]:
    """Decode text of Windows-1252 where it can be nothing else."""
    before = content[:start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    line = before.count(b"\n") + 1
    refusal = f"{name}: row {line} is not UTF-8 text; save the file as 'CSV UTF-8'"
    if b"\0" in content:
        raise FileError(f"{name}: not a text table: it holds binary data")
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        raise FileError(refusal) from None
    if _CONTROLS.search(text):
        raise FileError(refusal)
    if _UTF8_PAIR.search(content):
        raise FileError(f"{refusal} (other rows are: two encodings seem to be mixed)")
    shown = text[start - 20 if start > 20 else 0 : start + 20].replace("\r", "\n").replace("\n", " ")
    return text, (f"the encoding is not UTF-8 and was guessed as Windows-1252; row {line} reads {shown.strip()!r}",)


def read_text(name: str, text: str, roles: Mapping[str, str] | None) -> RawTable:
    """Cut delimited text into a table; its first line may declare the delimiter (`sep=;`)."""
    records, lines, delimiter = _records(name, text, roles)
    if not records:
        raise FileError(f"{name}: the file is empty")
    rows = [f"row {line}" for line in lines[:20]]
    header = find_header(records[:20], rows, roles)
    page = text.lstrip()[:9].lower().startswith(("<?xml", "<!doctype", "<html", "<table"))
    if page or (header.filled <= 1 and not recognise(header.names)[0]):
        start = " ".join(records[0])[:60]
        raise FileError(f"{name}: not a table: its first line {start.strip()!r} is not a header of columns")
    if header.filled > MAX_COLUMNS:
        raise FileError(f"{name}: more than {MAX_COLUMNS} columns")
    body, lines = records[header.records :], lines[header.records :]
    del records
    names = header.names
    problems = _fit(len(names), body, lines)
    keep = drop_empty_columns(names, [] if problems else body)
    problems = header_problems([names[i] for i in keep]) + problems
    if problems:
        raise DataError(short(name), problems)
    columns = list(zip(*body, strict=True)) or [()] * len(names)
    frame = pd.DataFrame({i: pd.Series(columns[i], dtype=object) for i in keep})
    frame.columns = pd.Index([names[i] for i in keep], dtype=object)
    return RawTable(frame, tuple(f"row {line}" for line in lines), header.notes, delimiter)


def short(name: str) -> str:
    """Return the name of a file without its folder."""
    return name.replace("\\", "/").rsplit("/", 1)[-1] or name


def _fit(width: int, body: list[list[str]], lines: list[int]) -> list[Problem]:
    """Cut off empty cells at the end of rows, and find rows with more or fewer cells than the header."""
    fix = "Put cells that contain the delimiter in double quotes, and give every row as many cells as the header"
    problems: list[Problem] = []
    for record, line in zip(body, lines, strict=True):
        while len(record) > width and not record[-1].strip():
            record.pop()
        if len(record) != width:
            rule = f"has {len(record)} cells where the header has {width}"
            problems.append(Problem(rule, fix, row=f"row {line}"))
    return problems


def _records(name: str, text: str, roles: Mapping[str, str] | None) -> tuple[list[list[str]], list[int], str]:
    """Split text into records and the lines on which they start; blank lines are passed over."""
    first = text.lstrip("\n").split("\n", 1)[0]
    declared = DECLARED.fullmatch(first.strip(" "))
    delimiter = declared[1] if declared and declared[1] not in "\"'" else _delimiter(text, roles)
    records: list[list[str]] = []
    lines: list[int] = []
    line = 1
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for record in reader:
            if declared and DECLARED.fullmatch(delimiter.join(record).strip(" ")):
                declared = None
            elif any(cell and not cell.isspace() for cell in record):
                records.append(record)
                lines.append(line)
                if len(records) > MAX_ROWS + 2:
                    raise FileError(f"{name}: more than {MAX_ROWS:,} rows")
            line = reader.line_num + 1
    except (csv.Error, TypeError, ValueError) as error:
        raise FileError(f"{name}: row {line} cannot be read as delimited text ({error})") from None
    return records, lines, delimiter


def _delimiter(text: str, roles: Mapping[str, str] | None) -> str:
    """Choose the delimiter that cuts the header into the most names that are known, then into the most cells."""
    head = text.lstrip("\n")[:100_000]

    def cut(mark: str) -> tuple[int, int]:
        try:
            reader = csv.reader(io.StringIO(head), delimiter=mark)
            records = [record for _, record in zip(range(3), reader, strict=False)]
        except csv.Error:
            return 0, 0
        return max((len(recognise(record, roles)[0]), len(record)) for record in records) if records else (0, 0)

    return max(DELIMITERS, key=cut)
