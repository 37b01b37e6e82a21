"""Groups of a Parquet file in bounded memory, and results written to Parquet whole or not at all.

A file whose groups stand together (sorted by its key, say) is read once from top to bottom; any other is first split by
a hash of the key into temporary files, so that every group is in one of them.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.data.grouped import GroupColumns, Groups, check_columns, collected, grouped_frame
from metaback.errors import FileError

BATCH_ROWS = 500_000  # rows that are read at a time
PARTITION_ROWS = 2_000_000  # rows of a temporary file, which is read whole
ROW = "__metaback_row__"
MIX = np.uint64(0x9E3779B97F4A7C15)  # an odd constant that spreads the hash of one column before the next is added


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """A Parquet file: its path, its number of rows, the columns to read and whether its groups stand together."""

    path: Path
    rows: int
    columns: GroupColumns
    names: tuple[str, ...]
    together: bool


def _arrow() -> tuple[Any, Any]:
    """Load pyarrow, or say how to get it."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        raise FileError("Parquet needs pyarrow: pip install metaback[parquet]") from None
    return pa, pq


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    """Open a Parquet file, or say why not."""
    pa, pq = _arrow()
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise FileError(f"{path}: there is no such file") from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise FileError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0][:120]})") from None


def open_parquet(path: Path, columns: GroupColumns) -> ParquetTable:
    """Check the columns of a file and look through its keys once, to tell whether its groups stand together."""
    with _opened(path) as file:
        present = list(file.schema_arrow.names)
        check_columns(columns, present)
        names = tuple(present) if columns.others else columns.needed
        return ParquetTable(path, int(file.metadata.num_rows), columns, names, _together(file, columns.by))


def _together(file: Any, by: tuple[str, ...]) -> bool:
    """Tell whether no key comes back after another has begun; two keys of one 64-bit hash count as the same."""
    seen: list[NDArray[np.uint64]] = []
    last = None
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(by)):
        if not batch.num_rows:
            continue
        hashes = _hashes(batch.take(_starts(batch, by)), by)
        fresh = hashes[1:] if last is not None and hashes[0] == last else hashes
        last = hashes[-1]
        seen.append(fresh)
    if not seen:
        return True
    every = np.concatenate(seen)
    return np.unique(every).size == every.size


def _starts(batch: Any, by: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the rows of a batch or table at which another key begins."""
    change = np.zeros(batch.num_rows, dtype=bool)
    change[:1] = True
    for name in by:
        column = batch.column(name)
        column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        codes = column if hasattr(column, "indices") else column.dictionary_encode()
        number = codes.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        change[1:] |= number[1:] != number[:-1]
    return np.flatnonzero(change)


def _hashes(part: Any, by: tuple[str, ...]) -> NDArray[np.uint64]:
    """Return a hash of the key of each row, which depends on the values and the types of the file alone."""
    found = np.zeros(part.num_rows, dtype=np.uint64)
    for name in by:
        column = part.column(name)
        kind = column.type
        if hasattr(kind, "value_type") and hasattr(kind, "index_type"):
            column, kind = column.cast(kind.value_type), kind.value_type
        values = _hashable(column, str(kind))
        blank = np.asarray(column.is_null(nan_is_null=True).to_numpy(zero_copy_only=False), dtype=bool)
        own = np.asarray(pd.util.hash_array(values), dtype=np.uint64)
        found = found * MIX + np.where(blank, np.uint64(1), own)
    return found


def _hashable(column: Any, kind: str) -> NDArray[Any]:
    """Return a column as an array of one type, whatever blanks it has: whole numbers, floats or texts."""
    if kind.startswith(("int", "uint")):
        return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False))
    if kind in ("float", "double", "halffloat"):
        numbers = np.asarray(column.cast("float64").fill_null(0.0).to_numpy(zero_copy_only=False)) + 0.0  # no -0
        return np.where(np.isnan(numbers), np.nan, numbers)
    return np.asarray(column.cast("string").fill_null("").to_numpy(zero_copy_only=False), dtype=object)


def parquet_groups(table: ParquetTable) -> Iterator[Groups]:
    """Yield the groups of a file, many at a time, in order of first appearance where they stand together.

    Where they do not, those of one temporary file come after each other; `first` tells the order of all. Memory is
    that of a batch of rows or of one temporary file, and of the largest group.
    """
    if table.together and table.rows:
        yield from _streamed(table)
    elif table.rows <= PARTITION_ROWS:
        with _opened(table.path) as file:
            yield _as_groups(file.read(columns=list(table.names)), table.columns)
    else:
        yield from _partitioned(table)


def _streamed(table: ParquetTable) -> Iterator[Groups]:
    """Yield the groups of a file in which they stand together; the last of a batch waits for the next one."""
    pa, _ = _arrow()
    rest, at = None, 0
    with _opened(table.path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(table.names)):
            fresh = pa.Table.from_batches([batch])
            rest = fresh if rest is None else pa.concat_tables([rest, fresh])
            starts = _starts(rest, table.columns.by)
            if starts.size > 1:
                yield _runs(rest.slice(0, int(starts[-1])), starts[:-1], table.columns, at)
                at += int(starts[-1])
                rest = rest.slice(int(starts[-1]))
    if rest is not None and rest.num_rows:
        yield _runs(rest, _starts(rest, table.columns.by), table.columns, at)


def _runs(part: Any, starts: NDArray[np.int64], columns: GroupColumns, at: int) -> Groups:
    """Return groups that stand together; `at`: number of the first row in the file."""
    keys = part.select(list(columns.by)).take(starts)
    frame = _frame(part, columns)
    sizes = np.diff(np.append(starts, part.num_rows)).astype(np.int64)
    everything: NDArray[np.intp] = np.arange(int(part.num_rows), dtype=np.intp)
    return collected(frame, columns, everything, _kept(keys), sizes, starts + at)


def _kept(keys: Any) -> pd.DataFrame:
    """Return keys as a frame that keeps the types of the file; nan is blank as null is, and -0 is 0."""
    frame: pd.DataFrame = keys.to_pandas(types_mapper=pd.ArrowDtype)
    plain: pd.DataFrame = keys.to_pandas(ignore_metadata=True)
    for name in (name for name in frame.columns if plain[name].dtype.kind == "f" and frame[name].dtype.kind == "f"):
        frame[name] = (
            pd.Series(plain[name] + 0.0, dtype=object).where(plain[name].notna(), None).astype(frame[name].dtype)
        )
    return frame


def _frame(part: Any, columns: GroupColumns) -> pd.DataFrame:
    """Return all columns but those of the key as a frame."""
    names = [name for name in part.column_names if name not in columns.by]
    return part.select(names).to_pandas(ignore_metadata=True)


def _as_groups(part: Any, columns: GroupColumns) -> Groups:
    """Return the groups of a whole table whose rows stand in any order."""
    kept = _kept(part.select(list(columns.by)))
    plain = pd.concat([kept, _frame(part, columns)], axis=1)
    if ROW not in plain.columns:
        return grouped_frame(plain, columns)
    rows = np.asarray(plain[ROW].to_numpy(), dtype=np.int64)
    return grouped_frame(plain.drop(columns=ROW), columns, rows)


def _partitioned(table: ParquetTable) -> Iterator[Groups]:
    """Split a file by a hash of its keys into temporary files, and yield the groups of each."""
    count = table.rows // PARTITION_ROWS + 1
    with tempfile.TemporaryDirectory(prefix="metaback-") as folder:
        paths = [Path(folder) / f"{number}.parquet" for number in range(count)]
        _split(table, paths)
        for path in paths:
            with _opened(path) as file:
                part = file.read()
            if part.num_rows:
                yield _as_groups(part, table.columns)


def _split(table: ParquetTable, paths: list[Path]) -> None:
    """Write every row, with its number, into the file that its key belongs to."""
    pa, pq = _arrow()
    at = 0
    with _opened(table.path) as file, ExitStack() as stack:
        fields = [file.schema_arrow.field(name) for name in table.names]
        schema = pa.schema([*fields, pa.field(ROW, pa.int64())])
        writers = [stack.enter_context(pq.ParquetWriter(path, schema)) for path in paths]
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(table.names)):
            part = pa.Table.from_batches([batch]).select(list(table.names))
            part = part.append_column(ROW, pa.array(np.arange(at, at + part.num_rows)))
            at += part.num_rows
            place = _hashes(part.combine_chunks(), table.columns.by) % np.uint64(len(paths))
            for number, writer in enumerate(writers):
                writer.write_table(part.filter(pa.array(place == number)).cast(schema))


@dataclass(slots=True)
class ParquetSink:
    """A Parquet file in the making: pieces are appended, and only a finished one takes the name."""

    temporary: Path
    writer: Any = None

    def add(self, piece: pd.DataFrame) -> None:
        """Append a piece; the first one sets the types."""
        pa, pq = _arrow()
        made = pa.Table.from_pandas(piece, preserve_index=False).replace_schema_metadata(None)
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.temporary, made.schema)
        self.writer.write_table(made.cast(self.writer.schema))

    def close(self) -> None:
        """Finish the file."""
        if self.writer is not None:
            self.writer.close()


@contextmanager
def parquet_sink(out: Path) -> Generator[ParquetSink]:
    """Give a sink whose file takes the name `out` when the block ends well; else nothing of it stays.

    Raises `FileError` for a folder that is not there and for a file that cannot be written.
    """
    _arrow()
    if not out.parent.is_dir():
        raise FileError(f"{out}: there is no folder '{out.parent}'")
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    sink = ParquetSink(temporary)
    try:
        yield sink
        sink.close()
        temporary.replace(out)
    except OSError as error:
        raise FileError(f"cannot write '{out}': {error.strerror or error}; nothing was written") from error
    finally:
        with suppress(OSError, ValueError):
            sink.close()
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
