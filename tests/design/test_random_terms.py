"""Random terms over the rows of a table: levels, factors, slopes, known correlations, and what cannot be told apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.design.random_terms import KnownCorrelation, RandomTable, build_random, coded
from metaback.design.random_words import read_random
from metaback.errors import DataError, OptionError


def column(*values: Any) -> np.ndarray:
    """Return a column of a table."""
    return np.array(values, dtype=object)


def table(used: list[bool] | None = None, **columns: Any) -> RandomTable:
    """Return a table with its rows numbered as in a file."""
    k = len(next(iter(columns.values())))
    rows = tuple(f"row {i + 2}" for i in range(k))
    held = np.ones(k, dtype=bool) if used is None else np.array(used)
    known = columns.pop("known", {})
    return RandomTable({name: column(*values) for name, values in columns.items()}, held, rows, known=known)


def test_levels_are_numbered_by_first_appearance_over_the_rows_in_use() -> None:
    built = build_random(
        read_random(["~ 1 | lab/study"]), table(lab="BBAA", study="1112", used=[True, True, True, True])
    )
    lab, study = built.terms
    assert lab.grouping.codes.tolist() == [0, 0, 1, 1]
    assert study.grouping.codes.tolist() == [0, 0, 1, 2]
    assert study.grouping.labels() == ("B/1", "A/1", "A/2")
    less = build_random(
        read_random(["~ 1 | lab/study"]), table(lab="BBAA", study="1112", used=[False, True, True, True])
    )
    assert less.terms[0].grouping.codes.tolist() == [0, 1, 1]


def test_effect_is_the_row_itself_and_its_label_the_row_of_the_file() -> None:
    built = build_random(read_random(["~ 1 | study/effect"]), table(study="AAB"))
    assert built.terms[1].grouping.codes.tolist() == [0, 1, 2]
    assert built.terms[1].grouping.labels() == ("A/2", "A/3", "B/4")


def test_a_column_called_effect_that_repeats_is_not_taken_for_the_row() -> None:
    with pytest.raises(DataError) as caught:
        build_random(read_random(["~ 1 | study/effect"]), table(study="AAAB", effect=[1, 1, 2, 1]))
    assert "column 'effect' that repeats" in str(caught.value)
    printed = build_random(read_random(["~ 1 | study/effect"]), table(study="AAB", effect=[0.5, 0.5, 0.7]))
    assert len(printed.terms) == 2  # printed effects are numbers, not levels


def test_one_effect_per_study_leaves_one_variance_and_says_that_it_is_the_sum() -> None:
    built = build_random(read_random(["~ 1 | study/effect"]), table(study="ABC"))
    (term,) = built.terms
    assert (term.key, term.also) == ("study", ("study/effect",))
    assert "cannot be told apart" in built.dropped["study/effect"]
    assert "only their sum is estimated" in built.notes[0]


def test_a_grouping_with_one_level_is_left_out_on_record() -> None:
    built = build_random(read_random(["~ 1 | lab/study"]), table(lab="AAA", study="112"))
    assert [term.key for term in built.terms] == ["lab/study"]
    assert "all rows belong to one lab" in built.dropped["lab"]


def test_blank_cells_of_groupings_and_factors_are_all_named_by_row() -> None:
    blank = table(study=["A", None, "B", " "], outcome=["x", "y", float("nan"), "x"])
    with pytest.raises(DataError) as caught:
        build_random(read_random(["~ outcome | study"], "UN"), blank)
    told = [(problem.column, problem.row) for problem in caught.value.problems]
    assert told == [("study", "row 3"), ("study", "row 5"), ("outcome", "row 4")]


def test_blank_cells_of_rows_without_an_effect_are_no_problem() -> None:
    built = build_random(read_random(["~ 1 | study"]), table(study=["A", None, "B"], used=[True, False, True]))
    assert built.terms[0].grouping.count == 2


def test_the_levels_of_a_factor_stand_in_their_order_and_words_mean_un() -> None:
    (term,) = build_random(read_random(["~ outcome | study"]), table(study="AABB", outcome=["pain", "load"] * 2)).terms
    assert (term.struct, term.inner_levels) == ("UN", ("load", "pain"))
    assert term.term.inner is not None
    assert term.term.inner.tolist() == [1, 0, 1, 0]


def test_numbers_left_of_the_bar_mean_slopes_unless_a_structure_makes_them_a_factor() -> None:
    data = table(study="AABBC", weeks=[4, 8, 4, 12, 8])
    (slope,) = build_random(read_random(["~ weeks | study"]), data).terms
    assert (slope.struct, slope.inner_levels) == ("GEN", ("Intercept", "weeks"))
    assert slope.term.Z is not None
    assert slope.term.Z.tolist() == [[1, 4], [1, 8], [1, 4], [1, 12], [1, 8]]
    (factor,) = build_random(read_random(["~ weeks | study"], "AR"), data).terms
    assert factor.inner_levels == ("4", "8", "12")  # by size, not by letters


def test_times_and_places_are_numbers_and_rows_at_one_place_share_it() -> None:
    data = table(x=[0, 0, 3], y=[1, 1, 4])
    (term,) = build_random(read_random(["~ x + y | 1"], "SPEXP"), data).terms
    assert term.term.position is not None
    assert term.term.position.tolist() == [[0, 1], [0, 1], [3, 4]]
    assert term.term.inner is not None
    assert term.term.inner.tolist() == [0, 0, 1]
    with pytest.raises(DataError, match=r"row 3.*'later'.*needs distances"):
        build_random(read_random(["~ t | study"], "CAR"), table(study="AA", t=[1, "later"]))


CORRELATION = KnownCorrelation(("a", "b", "c"), ("a", "b", "c"), np.array([[1, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 1]]))


def test_a_known_correlation_is_brought_into_the_order_of_the_levels() -> None:
    (term,) = build_random(read_random(["~ 1 | species"]), table(species="cab", known={"species": CORRELATION})).terms
    assert term.known
    assert term.term.known is not None
    assert term.term.known.tolist() == [[1, 0, 0.2], [0, 1, 0.5], [0.2, 0.5, 1]]


def test_a_covariance_of_levels_is_brought_to_correlations() -> None:
    doubled = KnownCorrelation(CORRELATION.rows, CORRELATION.columns, 4 * CORRELATION.values)
    (term,) = build_random(read_random(["~ 1 | species"]), table(species="abc", known={"species": doubled})).terms
    assert term.term.known is not None
    assert np.array_equal(term.term.known, CORRELATION.values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda R: KnownCorrelation(R.rows[:2], R.rows[:2], R.values[:2, :2]), "has no row for 'c'"),
        (lambda R: KnownCorrelation(R.rows, R.rows[::-1], R.values), "the same names, each once"),
        (lambda R: KnownCorrelation(R.rows, R.columns, R.values + np.triu(np.ones((3, 3)), 1)), "is not symmetric"),
        (lambda R: KnownCorrelation(R.rows, R.columns, 3 * R.values - 2 * np.eye(3)), "a negative eigenvalue"),
        (lambda R: KnownCorrelation(R.rows, R.columns, R.values * np.nan), "cells that are no numbers"),
    ],
)
def test_known_correlations_that_do_not_fit_are_refused(change: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        build_random(read_random(["~ 1 | species"]), table(species="abc", known={"species": change(CORRELATION)}))
    assert said in str(caught.value)


def test_a_known_correlation_of_no_random_effect_is_an_error() -> None:
    with pytest.raises(OptionError, match="R='species' is not known"):
        build_random(read_random(["~ 1 | study"]), table(study="abc", known={"species": CORRELATION}))


def test_unknown_columns_list_those_that_there_are() -> None:
    with pytest.raises(OptionError, match=r"'studdy' is not a column \(did you mean 'study'\?\)"):
        build_random(read_random(["~ 1 | studdy"]), table(study="AB"))


def test_a_slope_without_a_value_is_told_by_row() -> None:
    data = table(study="ABAB", weeks=[1, None, 2, 3])
    with pytest.raises(DataError, match=r"column 'weeks', row 3: is blank"):
        build_random(read_random(["~ weeks | study"], "GEN"), data)
    with pytest.raises(DataError, match=r"column 'weeks', row 3: has no value"):
        build_random(read_random(["~ I(weeks**2) | study"], "GEN"), data)


@given(st.lists(st.sampled_from(["a", "b ", " b", "3", 3, 3.0, None, "", float("nan")]), min_size=1, max_size=30))
def test_codes_and_texts_give_back_every_cell(values: list[Any]) -> None:
    codes, names = coded(column(*values))
    blank = {None, ""}
    for value, code in zip(values, codes.tolist(), strict=True):
        if value in blank or pd.isna(value):
            assert code == -1
        else:
            assert names[code] == str(value).strip().removesuffix(".0")
    assert len(set(names.tolist())) == names.size
