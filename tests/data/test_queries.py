"""Questions to columns: digits that are stored as text, texts, and what is no question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.data.queries import rows_where

CELLS = {
    "dose": np.array(["9", "10", "", "NA", "-1.5"], dtype=object),
    "code": np.array(["1", "2", "x", "", "3"], dtype=object),
    "arm x": np.array(["5", "6", "7", "8", "9"], dtype=object),
    "year": np.array([2001.0, 2002.0, np.nan, 2004.0, 2005.0]),
    "flag": pd.Series([True, False, None, True, True], dtype="boolean"),
}
ASKED = [
    ("dose > 9", [1]),  # as texts "10" is below "9"
    ("dose == 10", [1]),  # as texts no cell is 10, and nothing was left out
    ("dose < 0", [4]),
    ("dose.isna()", [2, 3]),
    ("dose == '10'", [1]),
    ("dose in ['10', '9'] and year > 2001", [1]),
    ("dose == '' | year == 2005", [2, 4]),
    ("(dose > 9) & (code == '2')", [1]),
    ("dose > 8 & code != 'x'", [0, 1]),
    ("dose.str.startswith('1')", [1]),
    ("`arm x` > 7", [3, 4]),
    ("`arm x` == '7' or dose > 9", [1, 2]),
    ("flag", [0, 3, 4]),
    ("dose > year", []),
]


@pytest.mark.parametrize(("query", "rows"), ASKED)
def test_digits_stored_as_text_are_asked_as_numbers_unless_a_text_is_asked_for(query: str, rows: list[int]) -> None:
    assert np.flatnonzero(rows_where(CELLS, 5, query)).tolist() == rows


@pytest.mark.parametrize("query", ["code > 1", "dos > 1", "dose >", "dose", "'x", "dose > '9' and dose > 1", "1"])
def test_what_is_no_question_is_told(query: str) -> None:
    with pytest.raises(ValueError, match=r"not|no query|compar"):
        rows_where(CELLS, 5, query)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "doses.csv"
    found.write_text("study,yi,vi,dose,code\nA,0.1,0.02,0.5,1\nB,0.3,0.03,10,low\nC,0.2,0.02,,2\nD,0.5,0.05,9,3\n")
    return found


def test_a_column_without_a_role_of_a_file_leaves_rows_out_by_number(path: Path) -> None:
    trials = mb.read_trials(path)
    found = mb.multiverse(trials, tau2="DL", ci="Wald", exclude={"high": "dose > 9"}).to_frame().set_index("exclude")
    assert found["k"].to_dict() == {"nothing": 4, "high": 3}
    with pytest.raises(mb.OptionError, match="exclude='code > 1' cannot be used"):
        mb.multiverse(trials, tau2="DL", ci="Wald", exclude="code > 1")


def test_trials_are_selected_in_the_same_way(path: Path) -> None:
    trials = mb.read_trials(path)
    assert trials.query("dose > 1").texts("study") == ("B", "D")
    with pytest.raises(mb.OptionError, match=r"the query 'code > 1' cannot be used: .*; columns: study, yi, vi, dose"):
        trials.query("code > 1")
