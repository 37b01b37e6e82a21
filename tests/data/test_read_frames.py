"""Data frames: the same checks as for files, whatever the types of the columns, and the frame is never changed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.data.read import read_trials
from metaback.data.trials import held
from metaback.errors import DataError

INTS = pd.array([1, None], dtype="Int64")


def frame(**columns: Any) -> pd.DataFrame:
    """Make a frame of two studies."""
    return pd.DataFrame({"study": ["A", "B"], "yi": [0.1, 0.2], "sei": [0.3, 0.4], **columns})


def numbers(column: Any) -> str:
    """Read a column of effects."""
    return str(read_trials(frame(yi=column)).numbers("yi").tolist())


@pytest.mark.parametrize(
    ("column", "read"),
    [
        ([1, 2], "[1.0, 2.0]"),
        (np.array([0.5, np.nan]), "[0.5, nan]"),
        (INTS, "[1.0, nan]"),
        (pd.array([1.5, None], dtype="Float64"), "[1.5, nan]"),
        (pd.array(["1.5", None], dtype="string"), "[1.5, nan]"),
        (pd.array(["\u22121.5", "NA"], dtype="str"), "[-1.5, nan]"),
        (pd.Categorical([3, 4]), "[3.0, 4.0]"),
        (pd.arrays.SparseArray([0.5, np.nan]), "[0.5, nan]"),
        (np.array([0.5, 0.25], dtype="float32"), "[0.5, 0.25]"),
        (pd.Series([np.int64(3), np.float32(0.5)], dtype=object), "[3.0, 0.5]"),
        ([Decimal("0.1"), 1], "[0.1, 1.0]"),
        ([Fraction(1, 4), 1], "[0.25, 1.0]"),
        ([" .5 ", ""], "[0.5, nan]"),
    ],
    ids=["int", "float", "Int64", "Float64", "string", "str", "category", "sparse", "float32", "object", "decimal",
         "fraction", "text"],
)  # fmt: skip
def test_numbers_of_every_type(column: Any, read: str) -> None:
    assert numbers(column) == read


@pytest.mark.parametrize("missing", [None, np.nan, float("nan"), pd.NA, pd.NaT, "", "NA", " . "], ids=repr)
def test_missing_values_of_every_kind(missing: Any) -> None:
    column = pd.Series([missing, 0.5], dtype=object)
    assert numbers(column) == "[nan, 0.5]"
    assert read_trials(frame(outcome=pd.Series([missing, "pain"], dtype=object))).texts("outcome")[1] == "pain"


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, "", "  "], ids=repr)
def test_a_missing_label_is_refused_not_invented(missing: Any) -> None:
    with pytest.raises(DataError) as caught:
        read_trials(frame(study=pd.Series(["A", missing], dtype=object)))
    assert [(p.column, p.row, p.rule) for p in caught.value.problems] == [("study", "index 1", "a study needs a label")]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT], ids=repr)
def test_a_missing_text_is_blank(missing: Any) -> None:
    assert read_trials(frame(outcome=pd.Series(["pain", missing], dtype=object))).texts("outcome") == ("pain", "")


@pytest.mark.parametrize(
    "cell",
    [np.inf, -np.inf, True, np.bool_(True), 1j, [1], "x", pd.Timestamp("2020-03-04"), 10**400],
    ids=lambda cell: repr(cell)[:20],
)
def test_what_is_not_a_number_is_named(cell: Any) -> None:
    with pytest.raises(DataError) as caught:
        read_trials(frame(yi=pd.Series([cell, 0.5], dtype=object)))
    (problem,) = caught.value.problems
    assert (problem.column, problem.row, problem.rule) == ("yi", "index 0", "is not a number")
    assert problem.value == str(cell)


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (["x", "y"], "index y"), ([5, 7], "index 7"), ([1, 1], "index 1"),
        (pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]), "index ('b', 2)"),
    ],
    ids=["text", "numbers", "repeated", "levels"],
)  # fmt: skip
def test_rows_are_named_by_their_index(index: Any, name: str) -> None:
    table = frame(yi=[0.1, "x"]).set_axis(index)
    with pytest.raises(DataError) as caught:
        read_trials(table)
    assert [(p.column, p.row, p.value) for p in caught.value.problems] == [("yi", name, "x")]


@pytest.mark.parametrize("dtype", ["object", "string", "str", "category"])
def test_labels_of_every_type_stay_labels(dtype: str) -> None:
    table = frame(study=pd.Series(["NA", "007"], dtype=dtype))
    assert read_trials(table).texts("study") == ("NA", "007")


@pytest.mark.parametrize(
    ("column", "flags"),
    [
        ([True, False], (True, False)),
        (pd.array([True, None], dtype="boolean"), (True, None)),
        (["Yes", np.nan], (True, None)),
        ([1.0, 0.0], (True, False)),
        ([np.bool_(False), None], (False, None)),
    ],
)
def test_flags_of_every_type(column: Any, flags: tuple[bool | None, ...]) -> None:
    assert read_trials(frame(higher_is_better=column)).flags("higher_is_better") == flags


def test_the_frame_is_not_changed() -> None:
    table = frame(yi=["\u22120.5", ""], study=["7", "NA"], extra=INTS).set_axis(["p", "q"])
    before = table.copy(deep=True)
    trials = read_trials(table)
    trials.frame.loc[:, "sei"] = 9.0
    pd.testing.assert_frame_equal(table, before)


def test_a_frame_can_be_wrong_in_its_columns() -> None:
    with pytest.raises(DataError, match="the header has 'yi' more than once"):
        read_trials(pd.DataFrame([["A", 1, 2, 3]], columns=["study", "yi", "yi", "sei"]))
    with pytest.raises(DataError, match="the table has no rows"):
        read_trials(frame().iloc[:0])
    with pytest.raises(DataError, match="no column names the studies"):
        read_trials(pd.DataFrame())


def test_columns_that_are_numbers_can_be_given_roles() -> None:
    table = pd.DataFrame([["A", 0.5, 0.1]])
    assert read_trials(table, roles={"study": "0", "yi": "1", "sei": "2"}).numbers("yi").tolist() == [0.5]


def test_the_source_of_a_frame_has_no_file() -> None:
    source = read_trials(frame()).source
    assert (source.name, source.sha256, source.rows, source.columns) == ("the data frame", "", 2, 3)


def test_what_was_read_does_not_change_with_the_frame() -> None:
    """Columns of plain numbers and texts are kept as they stand, but as a copy."""
    effects = np.array([0.1, 0.2])
    table = pd.DataFrame({"study": ["A", "B"], "yi": effects, "sei": [0.3, 0.4]}, copy=False)
    trials = read_trials(table)
    effects[0] = 9.0
    table.loc[1, "sei"] = 9.0
    table["study"] = "C"
    assert trials.numbers("yi").tolist() == [0.1, 0.2]
    assert trials.numbers("sei").tolist() == [0.3, 0.4]
    assert trials.texts("study") == ("A", "B")


@pytest.mark.parametrize("kind", ["str", "object", "string", "category"])
def test_labels_have_one_type_whatever_they_came_in(kind: str) -> None:
    """A column that stands already and one that was read anew are of the same type."""
    plain = read_trials(frame(study=pd.Series(["A", "B"], dtype=kind))).frame["study"]
    read = read_trials(frame(study=pd.Series([" A", "B "], dtype=kind))).frame["study"]
    assert plain.dtype == read.dtype == pd.Series(["A", "B"]).dtype
    assert plain.tolist() == read.tolist() == ["A", "B"]


@pytest.mark.parametrize("names", [["study", "yi", 3], pd.Index(["study", "yi", "3"], name="of columns")])
def test_names_of_columns_are_texts(names: Any) -> None:
    columns = read_trials(pd.DataFrame([["A", 0.5, 0.1]], columns=names), roles={"sei": "3"}).frame.columns
    assert columns.tolist() == ["study", "yi", "3"]
    assert columns.equals(pd.Index(["study", "yi", "3"]))
    assert columns.name is None


def test_a_held_table_gives_what_the_table_gives() -> None:
    """It reads each column once, its arrays cannot be changed, and a part of it remembers nothing of the whole."""
    trials = read_trials(frame(measure=["OR", "md"], outcome=["pain", ""]))
    table = held(trials)
    for _ in range(2):
        assert table.numbers("yi").tolist() == trials.numbers("yi").tolist() == [0.1, 0.2]
        assert np.isnan(table.numbers("effect")).all()
        assert table.texts("outcome") == trials.texts("outcome") == ("pain", "")
        assert table.texts("instrument") == ("", "")
        assert table.names("OR").tolist() == trials.names("OR").tolist() == [True, False]
        assert table.names("", "MD").tolist() == [False, True]
    with pytest.raises(ValueError, match="read-only"):
        table.numbers("effect")[0] = 1.0
    assert table.take([False, True]).numbers("yi").tolist() == [0.2]
    assert table.take([False, True]).kept is None
    assert trials.kept is None


def test_labels_that_look_like_sums_or_dates_are_told_in_every_row() -> None:
    table = frame().iloc[[0, 0, 0, 0]].assign(study=["Total", "Jan-05", "A", "Total"])
    sums = "the label 'Total' reads like a sum of other rows; take the row out if it is one"
    date = "the label 'Jan-05' looks like a date that a spreadsheet made of another label"
    found = read_trials(table.reset_index(drop=True)).notes
    assert found == (f"index 0: {sums}", f"index 1: {date}", f"index 3: {sums}")
