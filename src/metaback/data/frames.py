"""Tables that come as data: frames of pandas, polars and arrow, records, JSON and Parquet."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, cast

import numpy as np
import pandas as pd

from metaback.data.headers import duplicate
from metaback.data.limits import MAX_BYTES, MAX_COLUMNS, MAX_ROWS
from metaback.data.text_table import RawTable, short
from metaback.errors import DataError, FileError, Problem

_STARTS_AS_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\[{\]])")
_INDEX = re.compile(r"__index_level_\d+__")
_TEXT = pd.Index(["text"]).dtype  # of an index that pandas makes of texts: objects, before version 3
BATCH = 1024  # rows of Parquet that are unpacked at once


def read_frame(frame: pd.DataFrame) -> RawTable:
    """Take a pandas frame; rows are named by their index."""
    twice = [str(name) for name, count in Counter(map(str, frame.columns)).items() if count > 1]
    if twice:
        raise DataError("the data frame", [duplicate(name) for name in twice])
    plain = frame.reset_index(drop=True)
    if not _are_texts(frame.columns):
        plain.columns = [str(name) for name in frame.columns]
    told: Any = frame.attrs.get("notes", ())  # as `contrasts` leaves them
    notes = tuple(map(str, cast("list[Any]", told))) if type(told) in {tuple, list} else ()
    whole = isinstance(frame.index.dtype, np.dtype) and frame.index.dtype.kind in "iu"
    rows = [f"index {i}" for i in frame.index.tolist()] if whole else map(_row_name, frame.index)
    return RawTable(plain, tuple(rows), notes)


def _are_texts(names: pd.Index[Any]) -> bool:
    """Tell at once that names are nothing but texts; False also where that takes a look at each."""
    plain = type(names) is pd.Index and names.name is None and isinstance(names.dtype, pd.StringDtype)
    return plain and names.dtype == _TEXT and not names.hasnans


def _row_name(label: object) -> str:
    """Name a row by its index; one that names the rows of another table, as that of `contrasts` does, is a name."""
    text = str(label)
    return text if isinstance(label, str) and text.startswith(("row ", "index ")) else f"index {text}"


def read_any_frame(source: Any) -> RawTable:
    """Take a frame of another library through what it offers: plain lists, arrow, pandas or the exchange protocol."""
    kind = f"{type(source).__module__.partition('.')[0]} {type(source).__qualname__}".removeprefix("builtins ")
    if hasattr(source, "collect") and not hasattr(source, "to_pandas"):
        raise FileError(f"a {kind} holds no data yet; call its collect() first")
    for offer, take in _OFFERS.items():
        if hasattr(source, offer):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    frame = take(source)
            except FileError:
                raise
            except Exception as error:  # noqa: BLE001  whatever a foreign library raises is the same to the user
                raise FileError(f"a {kind} cannot be read as a table ({_brief(error)})") from None
            if isinstance(frame, pd.DataFrame):
                return _numbered(frame)
    raise FileError(f"a {kind} is not a table; give a path, a frame, bytes or a list of records")


def _numbered(frame: pd.DataFrame) -> RawTable:
    """Name the rows by their number from 1."""
    table = read_frame(frame.reset_index(drop=True))
    return RawTable(table.frame, tuple(f"row {number}" for number in range(1, len(table.frame) + 1)), table.notes)


def _from_lists(source: Any) -> pd.DataFrame | None:
    """Take the columns of a polars frame as lists, which needs neither polars nor arrow here."""
    if not hasattr(source, "get_columns"):
        return None
    columns: dict[str, list[Any]] = {column.name: column.to_list() for column in source.get_columns()}
    return _columns(columns)


def _columns(columns: Mapping[str, list[Any]]) -> pd.DataFrame:
    """Make a frame of columns, numbers as numbers and everything else as it is."""
    numeric = {
        name: all(value is None or type(value) in {int, float} for value in values)
        and any(type(value) is float for value in values)
        for name, values in columns.items()
    }
    return pd.DataFrame(
        {name: pd.Series(values, dtype=float if numeric[name] else object) for name, values in columns.items()}
    )


def _from_exchange(source: Any) -> pd.DataFrame:
    """Take a frame through the exchange protocol."""
    return pd.api.interchange.from_dataframe(source)


def _from_stream(source: Any) -> pd.DataFrame:
    """Take a stream of arrow batches."""
    return _arrow("an arrow stream").table(source).to_pandas(ignore_metadata=True)


_OFFERS: Mapping[str, Callable[[Any], pd.DataFrame | None]] = {
    "to_dict": _from_lists,
    "to_pandas": lambda source: source.to_pandas(),
    "__dataframe__": _from_exchange,
    "__arrow_c_stream__": _from_stream,
}


def _arrow(name: str) -> Any:
    """Load pyarrow, or say how to get it."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
    except ImportError:
        raise FileError(f"{name}: Parquet and arrow need pyarrow: pip install metaback[parquet]") from None
    return pa


def read_parquet(name: str, content: bytes) -> RawTable:
    """Read a Parquet file batch by batch, up to the limits; columns that only carry an index are left out."""
    pa = _arrow(name)
    try:
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        file: Any = pq.ParquetFile(io.BytesIO(content))  # type: ignore[no-untyped-call]
        _check_size(name, file.metadata)
        table = pa.Table.from_batches(list(_batches(name, file)), schema=file.schema_arrow)
        frame = table.to_pandas(ignore_metadata=True)
    except FileError:
        raise
    except Exception as error:  # noqa: BLE001  pyarrow raises its own, OSError, ValueError and more for damaged files
        raise FileError(f"{name}: cannot be read as Parquet ({_brief(error)})") from None
    return _numbered(frame[[column for column in frame.columns if not _INDEX.fullmatch(str(column))]])


def _check_size(name: str, size: Any) -> None:
    """Refuse a Parquet file that says that it is too large."""
    if size.num_rows > MAX_ROWS or size.num_columns > MAX_COLUMNS:
        found = f"{size.num_rows:,} rows and {size.num_columns:,} columns"
        raise FileError(f"{name}: {found}; {MAX_ROWS:,} and {MAX_COLUMNS:,} are read")


def _batches(name: str, file: Any) -> Iterator[Any]:
    """Unpack a Parquet file batch by batch, up to the limit."""
    total = 0
    for batch in file.iter_batches(batch_size=BATCH):
        total += batch.nbytes
        if total > MAX_BYTES:
            raise FileError(f"{name}: larger than {MAX_BYTES >> 20} MiB when unpacked")
        yield batch


def is_json(text: str) -> bool:
    """Tell whether a text can only be JSON."""
    return bool(_STARTS_AS_JSON.match(text))


def read_json(name: str, text: str) -> RawTable:
    """Read a list of JSON objects, one per row, or lines of one object each; what is not in an object is blank."""
    if _is_lines(text):
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) > MAX_ROWS:
            raise FileError(f"{name}: more than {MAX_ROWS:,} rows")
        rows = tuple(f"row {number}" for number, _ in lines)
        return read_records(name, [_loaded(name, line, number) for number, line in lines], rows)
    records = _loaded(name, text)
    if not isinstance(records, list):
        raise FileError(f"{name}: the JSON is no list of records; write [{{...}}, {{...}}] with one object per row")
    return read_records(name, records)  # type: ignore[arg-type]


def _is_lines(text: str) -> bool:
    """Tell whether a text is JSON lines: its first filled line is an object, and another filled line follows."""
    first, _, rest = text.strip().partition("\n")
    return first.rstrip().endswith("}") and bool(rest) and first.startswith("{")


def _loaded(name: str, text: str, line: int = 1) -> Any:
    """Read a text of JSON that starts on a line of its file."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_whole)
    except _DuplicateError as error:
        raise DataError(short(name), [Problem(f"a record has '{error}' more than once", "Keep one of them")]) from None
    except json.JSONDecodeError as error:
        row = line + error.lineno - 1
        raise FileError(f"{name}: row {row} cannot be read as JSON ({error.msg})") from None
    except (RecursionError, ValueError) as error:
        raise FileError(f"{name}: cannot be read as JSON ({_brief(error)})") from None


class _DuplicateError(ValueError):
    """An object has a key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object whose keys stand once."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _DuplicateError(next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
    return made


def _whole(digits: str) -> float | int:
    """Read a whole number, as infinity where it is longer than any number is."""
    return int(digits) if len(digits) < 400 else float(digits)


def read_records(name: str, records: list[Any], rows: tuple[str, ...] = ()) -> RawTable:
    """Make a table of records (one mapping of column to cell per row); `rows`: where they stand, else `record 1`..."""
    if len(records) > MAX_ROWS:
        raise FileError(f"{name}: more than {MAX_ROWS:,} rows")
    names: dict[str, None] = {}
    for i, record in enumerate(records, 1):
        if not isinstance(record, Mapping):
            _not_a_record(name, rows[i - 1] if rows else f"record {i}", record)
        names.update(dict.fromkeys(map(str, record)))  # type: ignore[arg-type]
        if len(names) > MAX_COLUMNS:
            raise FileError(f"{name}: more than {MAX_COLUMNS} columns")
    rows = rows or tuple(f"record {i}" for i in range(1, len(records) + 1))
    plain: list[dict[str, Any]] = [{str(key): value for key, value in record.items()} for record in records]
    problems = [
        Problem("a cell holds a list or an object", "Write one number or text per cell", key, row, str(value)[:60])
        for record, row in zip(plain, rows, strict=True)
        for key, value in record.items()
        if type(value) in {list, dict, tuple, set}
    ]
    if problems:
        raise DataError(short(name), problems)
    columns = {key: pd.Series([record.get(key) for record in plain], dtype=object) for key in names}
    return RawTable(pd.DataFrame(columns, index=range(len(plain))), rows)


def _not_a_record(name: str, row: str, record: object) -> NoReturn:
    """Refuse what is no mapping."""
    fix = "Write one object {column: cell} per row"
    problem = Problem("is not a record", fix, None, row, str(record)[:60])
    raise DataError(short(name), [problem])


def _brief(error: BaseException) -> str:
    """Return the first line of what another library says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
