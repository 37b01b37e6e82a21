"""Reading a table of trials from a file or a frame."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from metaback.data.roles import recognise
from metaback.data.trials import Source, Trials, make_trials
from metaback.errors import DataError, FileError, Problem

DELIMITERS = ",;\t|"
DECLARED = re.compile(r"\"?sep=(.)\"?", re.IGNORECASE)  # a first line by which Excel is told the delimiter
SIGNATURES = {
    b"PK\x03\x04": "a workbook or zip archive; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"%PDF": "a PDF; export the table as CSV",
    b"\x89PNG": "a picture",
    b"PAR1": "a Parquet file; read it into a data frame first",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}


def read_trials(source: str | Path | pd.DataFrame, *, roles: Mapping[str, str] | None = None) -> Trials:
    """Read a table of trials and check it: one row per trial x outcome x comparison.

    source: path of a delimited text file (UTF-8; comma, semicolon, tab or bar) or a pandas data frame, which is not
    changed. Columns are recognised by name (see CONTRIBUTING for the vocabulary; metafor's, meta's and RevMan's
    spellings are known); `roles` (role -> column name) overrides.

    Raises `FileError` when the file cannot be read as a table and `DataError` with every problem of the table at
    once: column, row as in the file, value, rule and fix.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"study": ["A", "NA"], "yi": ["0.2", "\u22120.13"], "sei": [0.1, 0.2]})
    >>> read_trials(table).numbers("yi").tolist()
    [0.2, -0.13]
    """
    if isinstance(source, pd.DataFrame):
        return _from_frame(source, roles)
    path = Path(source)
    content = _content(path)
    return _from_text(path, content, roles)


def _from_frame(frame: pd.DataFrame, roles: Mapping[str, str] | None) -> Trials:
    """Check a data frame; rows are named by their index."""
    twice = [str(name) for name, count in Counter(frame.columns).items() if count > 1]
    if twice:
        raise DataError("the data frame", [_duplicate(name) for name in twice])
    plain = frame.reset_index(drop=True)
    plain.columns = [str(name) for name in frame.columns]
    rows = tuple(f"index {label}" for label in frame.index)
    return make_trials(plain, rows, Source("the data frame", "", *frame.shape, {}), roles)


def _content(path: Path) -> bytes:
    """Read the bytes of a file that looks like text."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileError(f"{path}: there is no such file") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror})") from None
    if not content.strip():
        raise FileError(f"{path}: the file is empty")
    for signature, kind in SIGNATURES.items():
        if content.startswith(signature):
            raise FileError(f"{path}: not a text table but {kind}")
    if b"\0" in content:
        raise FileError(f"{path}: not a text table: it holds binary data")
    return content


def _from_text(path: Path, content: bytes, roles: Mapping[str, str] | None) -> Trials:
    """Parse delimited text into a checked table."""
    name = path.name
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileError(f"{path}: row {line} is not UTF-8 text; save the file as 'CSV UTF-8'") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    records, lines = _records(path, text)
    header, body = [cell.strip() for cell in records[0]], records[1:]
    if len(header) == 1 and not recognise(header)[0]:
        raise FileError(f"{path}: not a table: its first line {header[0][:60]!r} is not a header of columns")
    problems = _header_problems(header) + _ragged(len(header), body, lines[1:])
    if problems:
        raise DataError(name, problems)
    frame = pd.DataFrame(body, columns=pd.Index(header), dtype=object)
    source = Source(name, hashlib.sha256(content).hexdigest(), len(body), len(header), {})
    return make_trials(frame, tuple(f"row {line}" for line in lines[1:]), source, roles)


def _records(path: Path, text: str) -> tuple[list[list[str]], list[int]]:
    """Split text into records and the lines on which they start; blank lines are passed over."""
    first = text.lstrip("\n").split("\n", 1)[0]
    declared = DECLARED.fullmatch(first.strip())
    delimiter = declared[1] if declared else _delimiter(first)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    records: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for record in reader:
            if declared and DECLARED.fullmatch(delimiter.join(record).strip()):
                declared = None
            elif any(cell.strip() for cell in record):
                records.append(record)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise FileError(f"{path}: row {line} cannot be read as delimited text ({error})") from None
    return records, lines


def _delimiter(first: str) -> str:
    """Choose the delimiter that cuts the header into the most cells."""
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), list[str]())))


def _duplicate(name: str) -> Problem:
    """Word the problem of a column name that stands twice."""
    return Problem(f"the header has '{name}' more than once", "Give every column its own name")


def _header_problems(header: list[str]) -> list[Problem]:
    """Find column names that are missing or stand twice."""
    problems = [_duplicate(name) for name, count in Counter(header).items() if count > 1 and name]
    blank = [str(i + 1) for i, name in enumerate(header) if not name]
    if blank:
        problems.append(Problem(f"column {', '.join(blank)} has no name", "Name every column in the header"))
    return problems


def _ragged(width: int, body: list[list[str]], lines: list[int]) -> list[Problem]:
    """Find rows with more or fewer cells than the header."""
    fix = "Put cells that contain the delimiter in double quotes, and give every row as many cells as the header"
    return [
        Problem(f"has {len(record)} cells where the header has {width}", fix, row=f"row {line}")
        for record, line in zip(body, lines, strict=True)
        if len(record) != width
    ]
