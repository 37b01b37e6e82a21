"""Reading a table of trials from a file or a frame."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import pandas as pd

from metaback.data.columns import Habits
from metaback.data.frames import is_json, read_any_frame, read_frame, read_json, read_parquet, read_records
from metaback.data.limits import MAX_BYTES, MAX_COLUMNS, MAX_ROWS
from metaback.data.text_table import RawTable, decode, read_text, short
from metaback.data.trials import Source, Trials, make_trials
from metaback.data.workbook import OLD, ZIP, read_workbook
from metaback.errors import FileError, OptionError

SIGNATURES = {
    b"%PDF": "a PDF; export the table as CSV",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x1f\x8b": "a compressed file; unpack it first",
    b"BZh": "a compressed file; unpack it first",
    b"7z\xbc\xaf": "a compressed file; unpack it first",
    b"\x28\xb5\x2f\xfd": "a compressed file; unpack it first",
    b"\xfd7zXZ": "a compressed file; unpack it first",
    b"RDX": "an R workspace; write the table as CSV",
    b"$FL2": "an SPSS file; save it as CSV",
    b"<stata_dta>": "a Stata file; export it as CSV",
    **{b"\x80" + bytes([protocol]): "a Python pickle, which is never opened" for protocol in range(2, 6)},
}


class Readable(Protocol):
    """An open file."""

    def read(self, size: int = -1, /) -> str | bytes:
        """Return what is left in the file, or at most `size` of it."""
        ...


TableSource = str | Path | bytes | Readable | pd.DataFrame | Iterable[Mapping[str, Any]]


def read_trials(
    source: TableSource,
    *,
    roles: Mapping[str, str] | None = None,
    sheet: str | int | None = None,
    missing: Iterable[object] | None = None,
    decimal: str | None = None,
) -> Trials:
    r"""Read a table of trials and check it: one row per trial x outcome x comparison.

    source: a path, "-" for standard input, bytes or an open file of delimited text (comma, semicolon, tab or bar), a
    workbook (XLSX, ODS, XLS), Parquet, JSON records or JSON lines, told apart by what is in them; or a pandas, polars
    or arrow frame, which is not changed. Columns are recognised by name (`metaback.data.roles` has the vocabulary;
    metafor's, meta's, Stata's and RevMan's spellings are known); `roles` (role -> column name) overrides. Cells of
    several numbers, such as `12/20`, `5.1 (2.0)` or `12 [8, 15]`, are split where role and words say what they are.
    sheet: name or number (from 1) of a workbook's sheet; None takes the first that looks like a table.
    missing: numbers and words that stand for a missing value beside the usual ones, e.g. [-99]; without it, numbers
    that look like such codes are refused; [] takes them as numbers.
    decimal: "." or "," where the table leaves open what `1.020` is.

    Every guess (encoding, decimal mark, sheet, cells that were split) is told in `notes` of the result. Raises
    `FileError` when the source cannot be read as a table and `DataError` with every problem of the table at once:
    column, row as in the file, value, rule and fix.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"study": ["A", "NA"], "yi": ["0.2", "\u22120.13"], "sei": [0.1, 0.2]})
    >>> read_trials(table).numbers("yi").tolist()
    [0.2, -0.13]
    >>> trials = read_trials(b"study;effect\nA;0.50 (0.20 to 0.80)\n")
    >>> trials.numbers("ci_high").tolist(), len(trials.notes)
    ([0.8], 1)
    """
    habits = make_habits(missing, decimal)
    table, kept = read_raw(source, roles, sheet)
    known = Habits(habits.missing, habits.decimal, table.delimiter)
    return make_trials(table.frame, table.rows, kept, roles, notes=table.notes, habits=known)


def make_habits(missing: Iterable[object] | None, decimal: str | None) -> Habits:
    """Check what the user says about the numbers of a table."""
    if decimal not in {None, ".", ","}:
        raise OptionError(f"decimal={decimal!r} is not known; use one of: '.', ','")
    if isinstance(missing, str):
        missing = [missing]
    return Habits(None if missing is None else tuple(missing), decimal)


def read_raw(
    source: TableSource, roles: Mapping[str, str] | None = None, sheet: str | int | None = None
) -> tuple[RawTable, Source]:
    """Read a table as it stands, within the limits, without giving its columns their roles."""
    opened = _open(source)
    if opened is None:
        if sheet is not None:
            raise OptionError(f"sheet={sheet!r}: only workbooks have sheets")
        name, digest, table = "the data frame", "", _from_objects(source)
    else:
        name, content = short(opened[0]), opened[1]
        digest, table = hashlib.sha256(content).hexdigest(), _parse(*opened, roles, sheet)
    size = table.frame.shape
    if size[0] > MAX_ROWS or size[1] > MAX_COLUMNS:
        raise FileError(f"{name}: {size[0]:,} rows and {size[1]:,} columns; {MAX_ROWS:,} and {MAX_COLUMNS:,} are read")
    return table, Source(name, digest, *size, {})


def _open(source: object) -> tuple[str, bytes] | None:
    """Return the name and the bytes of a file, or None for a table in memory."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "the bytes", _checked("the bytes", bytes(cast("bytes", source)))
    if isinstance(source, str) and source == "-":
        return "standard input", _drained("standard input", getattr(sys.stdin, "buffer", sys.stdin))
    if isinstance(source, (str, Path)):
        return str(source), _file(Path(source))
    if hasattr(source, "read") and not hasattr(source, "columns"):
        name = getattr(source, "name", None)
        label = name if isinstance(name, str) and name else "the open file"
        return label, _drained(label, cast("Readable", source))
    return None


def _file(path: Path) -> bytes:
    """Read the bytes of a file."""
    try:
        with path.open("rb") as file:
            return _drained(str(path), file)
    except FileNotFoundError:
        raise FileError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FileError(f"{path}: cannot be read ({reason})") from None


def _drained(name: str, file: Readable) -> bytes:
    """Read an open file, up to the limit."""
    try:
        content = file.read(MAX_BYTES + 1)
    except UnicodeDecodeError:
        raise FileError(f"{name}: is not UTF-8 text; open the file in binary mode") from None
    return _checked(name, content.encode("utf-8", "surrogatepass") if isinstance(content, str) else bytes(content))


def _checked(name: str, content: bytes) -> bytes:
    """Refuse what is empty, too large or of a kind that holds no table."""
    if len(content) > MAX_BYTES:
        raise FileError(f"{name}: larger than {MAX_BYTES >> 20} MiB")
    if not content.strip():
        raise FileError(f"{name}: the file is empty")
    for signature, kind in SIGNATURES.items():
        if content.startswith(signature):
            raise FileError(f"{name}: not a text table but {kind}")
    return content


def _parse(name: str, content: bytes, roles: Mapping[str, str] | None, sheet: str | int | None) -> RawTable:
    """Read the bytes of a file by what they are, whatever its name says."""
    if content.startswith((ZIP, OLD)):
        return read_workbook(name, content, roles, sheet)
    if sheet is not None:
        raise OptionError(f"sheet={sheet!r}: {name} is not a workbook and has no sheets")
    if content.startswith(b"PAR1"):
        return read_parquet(name, content)
    text, notes = decode(name, content)
    if not text.strip():
        raise FileError(f"{name}: the file is empty")
    table = read_json(name, text) if is_json(text) else read_text(name, text, roles)
    return RawTable(table.frame, table.rows, (*notes, *_named_wrongly(name), *table.notes), table.delimiter)


def _named_wrongly(name: str) -> tuple[str, ...]:
    """Tell that text has the name of a workbook."""
    wrong = name.lower().endswith((".xlsx", ".xls", ".ods", ".xlsm", ".parquet"))
    return (
        (f"the file is named as a .{name.rsplit('.', 1)[-1]} file but holds text, and was read as text",)
        if wrong
        else ()
    )


def _from_objects(source: Any) -> RawTable:
    """Read a frame of any library, or records."""
    if isinstance(source, pd.DataFrame):
        return read_frame(source)
    if isinstance(source, (list, tuple)):
        return read_records("the records", list(cast("list[Any]", source)))
    return read_any_frame(source)
