"""JSON records, Parquet and frames of other libraries: the same checks, the same places in messages."""

from __future__ import annotations

import builtins
import io
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from metaback.data.read import read_trials
from metaback.data.trials import Trials
from metaback.errors import DataError, FileError

RECORDS = [{"study": "A", "yi": 0.1, "sei": 0.2}, {"study": "NA", "yi": "\u22120.3", "sei": 0.4}]


def check(trials: Trials, place: str) -> None:
    """Check the table of the records."""
    assert trials.texts("study") == ("A", "NA")
    assert trials.numbers("yi").tolist() == [0.1, -0.3]
    assert trials.rows == (f"{place} 1", f"{place} 2")


# ---------------------------------------------------------------- JSON


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_records(encoding: str) -> None:
    check(read_trials(json.dumps(RECORDS).encode(encoding)), "record")
    check(read_trials(RECORDS), "record")


def test_what_a_record_does_not_have_is_blank() -> None:
    trials = read_trials(b'[{"study": "A", "yi": 1}, {"sei": 2, "study": "B", "yi": null}, {"study": 7, "yi": NaN}]')
    assert trials.texts("study") == ("A", "B", "7")
    assert str(trials.numbers("yi").tolist()) == "[1.0, nan, nan]"


JSON_BAD: dict[str, tuple[bytes, type[Exception], str]] = {
    "one object": (b'{"study": "A", "yi": 1, "sei": 1}', FileError, "no list of records"),
    "columns": (b'{"study": ["A"], "yi": [1]}', FileError, "no list of records"),
    "lists": (b'[["study", "yi"], ["A", 1]]', DataError, "record 1: found \"['study', 'yi']\": is not a record"),
    "a number among records": (b'[{"study": "A"}, 5]', DataError, "record 2: found '5': is not a record"),
    "cut off": (b'[{"study": "A",\n "yi": 1', FileError, "row 2 cannot be read as JSON"),
    "a key twice": (b'[{"study": "A", "yi": 1, "yi": 2}]', DataError, "a record has 'yi' more than once"),
    "a list in a cell": (b'[{"study": "A", "yi": [1, 2], "sei": 1}]', DataError, "column 'yi', record 1"),
    "a truth value": (b'[{"study": "A", "yi": true, "sei": 1}]', DataError, "column 'yi', record 1: found 'True'"),
    "infinity": (b'[{"study": "A", "yi": Infinity, "sei": 1}]', DataError, "column 'yi', record 1: found 'inf'"),
    "5000 digits": (b'[{"study": "A", "yi": ' + b"9" * 5000 + b', "sei": 1}]', DataError, "column 'yi', record 1"),
    "deep": (b"[" * 100_000 + b"{", FileError, "cannot be read as JSON"),
    "empty": (b"[]", DataError, "the table has no rows"),
    "a broken line": (
        b'{"study": "A", "yi": 1}\n\n{"study": "B", "yi": x}',
        FileError,
        "row 3 cannot be read as JSON",
    ),
    "a line that is no object": (b'{"study": "A", "yi": 1}\n5', DataError, "row 2: found '5': is not a record"),
    "a line with a key twice": (b'{"study": "A"}\n{"study": "A", "yi": 1, "yi": 2}', DataError, "'yi' more than once"),
    "a bad number in a line": (
        b'{"study": "A", "yi": 1, "sei": 1}\n\n{"study": "B", "yi": "x", "sei": 1}',
        DataError,
        "column 'yi', row 3: found 'x'",
    ),
    "an object over several lines": (b'{"study":\n "A"}', FileError, "no list of records"),
}


@pytest.mark.parametrize("kind", JSON_BAD)
def test_json_that_is_no_table_is_named(kind: str) -> None:
    content, error, words = JSON_BAD[kind]
    with pytest.raises((FileError, DataError)) as caught:
        read_trials(content)
    assert isinstance(caught.value, error)
    assert words in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_json_lines(end: str) -> None:
    trials = read_trials(end.join(map(json.dumps, RECORDS)).encode())
    assert trials.texts("study") == ("A", "NA")
    assert trials.numbers("yi").tolist() == [0.1, -0.3]
    assert trials.rows == ("row 1", "row 3" if end == "\n\n" else "row 2")


def test_too_many_json_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaback.data.frames.MAX_ROWS", 1)
    with pytest.raises(FileError, match="more than 1 rows"):
        read_trials("\n".join(map(json.dumps, RECORDS)).encode())


# ---------------------------------------------------------------- Parquet


def parquet(frame: pd.DataFrame, **options: Any) -> bytes:
    """Write a frame as Parquet."""
    pytest.importorskip("pyarrow")
    file = io.BytesIO()
    frame.to_parquet(file, **options)
    return file.getvalue()


TABLE = pd.DataFrame({"study": ["A", "B"], "yi": [0.1, -0.3], "sei": [0.2, math.nan]})


def test_parquet() -> None:
    trials = read_trials(parquet(TABLE.set_axis([5, 7])))
    assert trials.texts("study") == ("A", "B")
    assert str(trials.numbers("sei").tolist()) == "[0.2, nan]"
    assert trials.rows == ("row 1", "row 2")
    assert list(trials.frame.columns) == ["study", "yi", "sei"]  # no column of the index


def test_parquet_that_is_damaged_or_too_large_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    content = parquet(TABLE)
    for broken in (content[:50], content[:-4], b"PAR1" + b"x" * 100, content[:100] + b"x" * 50 + content[150:]):
        with pytest.raises(FileError, match="cannot be read as Parquet"):
            read_trials(broken)
    monkeypatch.setattr("metaback.data.frames.MAX_ROWS", 1)
    with pytest.raises(FileError, match="2 rows and 3 columns"):
        read_trials(content)
    monkeypatch.undo()
    monkeypatch.setattr("metaback.data.frames.MAX_BYTES", 10)
    with pytest.raises(FileError, match="when unpacked"):
        read_trials(content)


def test_without_pyarrow_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FileError, match=r"pip install metaback\[parquet\]"):
        read_trials(b"PAR1 and so on")


# ---------------------------------------------------------------- frames of other libraries


def polars_frame() -> Any:
    """Make a polars frame."""
    return pytest.importorskip("polars").DataFrame(
        {"study": ["A", "NA"], "yi": ["0.1", "\u22120.3"], "sei": [0.2, 0.4]}
    )


def arrow_table() -> Any:
    """Make an arrow table."""
    return pytest.importorskip("pyarrow").table({"study": ["A", "NA"], "yi": ["0.1", "\u22120.3"], "sei": [0.2, 0.4]})


class Stream:
    """Something that only has the stream of arrow."""

    def __arrow_c_stream__(self, schema: object = None) -> Any:
        return arrow_table().__arrow_c_stream__(schema)


class Exchange:
    """Something that only has the exchange protocol."""

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        return pd.DataFrame({"study": ["A", "NA"], "yi": [0.1, -0.3], "sei": [0.2, 0.4]}).__dataframe__()


@pytest.mark.parametrize("make", [polars_frame, arrow_table, Stream], ids=["polars", "arrow", "stream"])
def test_frames_of_other_libraries(make: Callable[[], Any]) -> None:
    if make is Stream:
        pytest.importorskip("pyarrow")
    trials = read_trials(make())
    check(trials, "row")
    assert trials.source.name == "the data frame"


def test_polars_is_not_imported_to_read_it() -> None:
    class Column:
        name = "study"

        def to_list(self) -> list[str]:
            return ["A"]

    class Frame:
        columns = ("study",)

        def to_dict(self) -> None: ...

        def get_columns(self) -> list[Column]:
            return [Column()]

    before = set(sys.modules)
    with pytest.raises(DataError, match="no effect size can be computed"):
        read_trials(Frame())
    assert not {name for name in set(sys.modules) - before if name.partition(".")[0] == "polars"}


def test_a_polars_column_of_whole_numbers_with_gaps() -> None:
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"study": ["A", "B"], "yi": [1, None], "sei": [0.5, None], "n_1": [2**60, 3]})
    with pytest.raises(DataError, match="too large to be a number of people"):
        read_trials(table)
    assert str(read_trials(table.drop("n_1")).numbers("yi").tolist()) == "[1.0, nan]"


def test_a_lazy_frame_must_be_collected() -> None:
    polars = pytest.importorskip("polars")
    with pytest.raises(FileError, match=r"call its collect\(\) first"):
        read_trials(polars.DataFrame({"study": ["A"]}).lazy())


def test_what_a_foreign_frame_raises_is_one_error() -> None:
    class Broken:
        def to_pandas(self) -> None:
            raise RuntimeError("out of order")

    class Strange:
        def to_pandas(self) -> str:
            return "no frame"

    with pytest.raises(FileError, match="cannot be read as a table \\(out of order\\)"):
        read_trials(Broken())
    with pytest.raises(FileError, match="is not a table"):
        read_trials(Strange())


def test_codes_for_missing_in_frames_are_questioned_too() -> None:
    with pytest.raises(DataError, match=r"column 'yi', index 1: found '-99.0': looks like a code"):
        read_trials(pd.DataFrame({"study": ["A", "B"], "yi": [0.5, -99.0], "sei": [1, 1]}))
    table = pd.DataFrame({"study": ["A", "B"], "yi": [0.5, -99.0], "sei": [1, 1]})
    assert str(read_trials(table, missing=[-99]).numbers("yi").tolist()) == "[0.5, nan]"
    assert table["yi"].tolist() == [0.5, -99.0]


def test_large_numbers_among_large_numbers_are_no_codes() -> None:
    table = pd.DataFrame({"study": ["A", "B"], "yi": [0.5, 1], "sei": [1, 1], "n_1": [999, 400], "n_2": [9999, 9000]})
    assert read_trials(table).numbers("n_1").tolist() == [999, 400]


@pytest.mark.parametrize(("name", "what"), [("t", "'t', a t statistic"), ("time", "'time', person-time")])
def test_a_column_of_words_that_its_name_makes_one_of_numbers_is_one_problem(name: str, what: str) -> None:
    """Two cells, one cause: the name. Where the user gave the role, or one cell is a number, the cells are at fault."""
    table = pd.DataFrame({"study": ["A", "B"], "yi": [0.5, 1], "vi": [1, 1], "weeks": [4, 8], name: ["early", "late"]})
    with pytest.raises(DataError) as caught:
        read_trials(table)
    told = f"its name makes the column {what}, and none of its cells is a number. Rename it if it holds something else"
    assert told in str(caught.value)
    assert len(caught.value.problems) == 1
    for same, roles in ((table.assign(**{name: ["early", "3"]}), {}), (table, {name: name})):
        with pytest.raises(DataError, match=f"column '{name}', index 0: found 'early': is not a number"):
            read_trials(same, roles=roles)


def test_arms_without_an_underscore_are_arms() -> None:
    table = pd.DataFrame({"study": ["A"], "yi": [0.5], "vi": [1], "arm1": ["low dose"], "Arm 2": ["placebo"]})
    assert read_trials(table).texts("arm_1") == ("low dose",)
    assert read_trials(table).texts("arm_2") == ("placebo",)
