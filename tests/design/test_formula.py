"""Formulas: what they mean, what they refuse, and that none of their text is ever run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.design.formula import (
    DesignTable,
    FormulaDesign,
    average_rows,
    build_design,
    build_designs,
    collinear,
    new_rows,
    observed,
)
from metaback.errors import DataError, MetabackError, OptionError

K = 12
ROWS = tuple(f"row {i + 2}" for i in range(K))
COLUMNS: dict[str, np.ndarray[Any, Any]] = {
    "weeks": np.array([4.0, 6, 8, 12, 7, 9, 10, 5, 11, 3, 14, np.nan]),
    "stratum": np.array([*"abcabcabcab", ""], dtype=object),
    "year": 1990.0 + np.arange(K),
    "my col": np.array([str(i * i) for i in range(K)], dtype=object),
    "dose": np.array(["1", "2", "3", "1", "2", "3", "1", "2", "3", "1", "2", "<3"], dtype=object),
    "comma": np.array(["1,5"] * K, dtype=object),
    "one": np.array(["u"] * K, dtype=object),
    "flag": np.array([True, False] * 6),
    "arm": np.array(["10", "9", "8"] * 4, dtype=object),
    "C": np.ones(K),
    "mean.e": np.arange(K) ** 2.0,
}


def design(formula: str, usable: np.ndarray[Any, Any] | None = None) -> FormulaDesign:
    return build_design(formula, COLUMNS, np.ones(K, dtype=bool) if usable is None else usable, ROWS)


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("~ weeks", ("Intercept", "weeks")),
        ("weeks", ("Intercept", "weeks")),
        ("~ weeks - 1", ("weeks",)),
        ("~ stratum", ("Intercept", "stratum[T.b]", "stratum[T.c]")),
        ("~ stratum - 1", ("stratum[a]", "stratum[b]", "stratum[c]")),
        ("~ C(stratum, contr.treatment('b'))", None),
        ("~ C(arm)", ("Intercept", "C(arm)[T.9]", "C(arm)[T.10]")),
        ("~ year + I(year^2)", ("Intercept", "year", "I(year ** 2)")),
        ("~ `my col`", ("Intercept", "my col")),
        ("~ mean.e", ("Intercept", "mean.e")),
        ("~ flag", ("Intercept", "flag")),
        ("~ year:flag", ("Intercept", "year:flag")),
        ("~ 1", ("Intercept",)),
    ],
)
def test_a_formula_makes_these_columns(formula: str, names: tuple[str, ...] | None) -> None:
    found = design(formula)
    assert names is None or found.design.columns == names
    assert found.X.shape == (found.used.sum(), len(found.design.columns))


def test_interactions_hold_products_and_terms_know_their_columns() -> None:
    found = design("~ year * stratum")
    assert [t.name for t in found.terms] == ["year", "stratum", "year:stratum"]
    assert [len(t.columns) for t in found.terms] == [1, 2, 2]
    X, names = found.X, found.design.columns
    b = names.index("year:stratum[T.b]"), names.index("year"), names.index("stratum[T.b]")
    np.testing.assert_array_equal(X[:, b[0]], X[:, b[1]] * X[:, b[2]])


def test_splines_sum_to_one_and_polynomials_are_orthonormal() -> None:
    spline = design("~ bs(year, df=5, include_intercept=True) - 1").X
    np.testing.assert_allclose(spline.sum(axis=1), 1, rtol=1e-14)
    poly = design("~ poly(year, 3) - 1").X
    np.testing.assert_allclose(poly.T @ poly, np.eye(3), atol=1e-12)


def test_rows_without_a_moderator_are_named_with_the_reason() -> None:
    usable = np.ones(K, dtype=bool)
    usable[0] = False
    found = design("~ weeks + stratum", usable)
    assert not found.used[[0, 11]].any()
    assert found.reasons[11] == "no value of stratum and weeks"
    assert set(found.reasons[:11]) == {""}


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("~ weks", "'weks' is not a column (did you mean 'weeks'?)"),
        ("yi ~ weeks", "begin with '~', as in '~ weeks'"),
        ("~", "the formula is empty"),
        ("~ weeks +", "cannot be read"),
        ("~ a | b", "one right side"),
        ("~ .", "one right side"),
        ("~ C(C)", "the name of a column and of a transform"),
        ("~ 0", "has no term"),
        ("~ bs(year, degree=3, df=1)", "df"),
        ("~ I(`my col`.x)", "'my col.x'"),
        ("~ " + "year + " * 200 + "year", "characters"),
    ],
)
def test_a_formula_that_cannot_be_read_says_why(formula: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        design(formula)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("~ dose", "column 'dose', row 13: found '<3': is text in a column of numbers"),
        ("~ comma", "looks like a number and is none"),
        ("~ one", "all rows with an effect have 'u'"),
        ("~ year + scale(year)", "repeat each other: 'Intercept', 'year', 'scale(year)'"),
        ("~ cr(year, df=3)", "constraints='center'"),
        ("~ C(year)", "year has 12 levels"),
        ("~ log(year - 1995)", "log(year - 1995) is not a number"),
        ("~ poly(year, 12)", "12 rows cannot estimate 13 coefficients"),
    ],
)
def test_a_table_that_does_not_fit_says_where(formula: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        design(formula)
    assert words in str(caught.value)


def test_all_cells_in_doubt_are_told_at_once_and_a_factor_takes_them() -> None:
    with pytest.raises(DataError) as caught:
        design("~ dose + comma")
    assert {p.column for p in caught.value.problems} == {"dose", "comma"}
    assert design("~ C(dose)").moderators[0].levels == ("1", "2", "3", "<3")


ATTACKS = (
    "~ __import__('os').system('touch {marker}')",
    "~ I(__import__('os').system('touch {marker}'))",
    "~ {{__import__('os').system('touch {marker}')}}",
    "~ I(open('{marker}', 'w'))",
    "~ {{open('{marker}', 'w')}}",
    "~ I(().__class__.__bases__[0].__subclasses__())",
    "~ {{(lambda: open('{marker}', 'w'))()}}",
    "~ {{[open('{marker}', 'w') for _ in (1,)]}}",
    "~ {{f'{{open(1)}}'}}",
    "~ np.save('{marker}', weeks)",
    "~ I(np.save('{marker}', weeks))",
    "~ I(weeks.to_csv('{marker}'))",
    "~ {{weeks.to_pickle('{marker}')}}",
    "~ weeks.__class__",
    "~ C(weeks, contr.__init__('a'))",
    "~ C(weeks, contr.treatment(open('{marker}', 'w')))",
    "~ C(weeks, contrasts=open('{marker}', 'w'))",
    "~ bs(weeks, knots=[open('{marker}', 'w')])",
    "~ Q('weeks')",
    "~ hashed(weeks, levels=3)",
    "~ lag(weeks)",
    "~ eval('1')",
    "~ I(weeks if open('{marker}', 'w') else 1)",
    "~ I(x := open('{marker}', 'w'))",
    "~ I(weeks, *open('{marker}', 'w'))",
    "~ `__import__('os').system('touch {marker}')`",
    "~ I(`weeks'); open('{marker}', 'w'); I('`)",
    "~ I('a' * 9**9)",
    "~ I(9**9**9 * weeks)",
    "~ I(weeks ** 99999999)",
    "~ I(weeks ** year)",
    "~ I((9 ** 20) ** 20)",
    "~ (weeks + year + flag) ** 99999",
    "~ (weeks + year + flag) ** 1000000000000000000000",
    "~ " + " * ".join(["(weeks + year + flag + stratum)"] * 12),
    "~ poly(year, 999999)",
    "~ bs(year, df=999999999)",
    "~ " + "(" * 450 + "weeks" + ")" * 450,
    "~ I(" + "-" * 900 + "weeks)",
    "~ I(" + "(" * 400 + "weeks" + ")" * 400 + ")",
    "~ \x00weeks",
    "~ weeks # comment",
    "~ weeks\n; import os",
)


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_hostile_text_is_refused_in_no_time_and_never_run(attack: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    start = time.perf_counter()
    try:
        design(attack.format(marker=marker) if "{marker}" in attack else attack)
    except MetabackError:
        pass
    else:
        assert "((((" in attack  # only parentheses: a formula like any other
    assert not marker.exists()
    assert time.perf_counter() - start < 5  # the slowest takes a hundredth of it; a stalled parser takes for ever


@given(st.text(alphabet="~weksyar+-*:/^()[]{}`'\"0123., |CI_#=<>\\\n", max_size=40))
def test_any_text_is_a_design_or_an_error_of_ours(text: str) -> None:
    try:
        found = design(text)
    except MetabackError:
        return
    assert found.X.shape[0] > found.X.shape[1]


@given(st.permutations(range(11)))
def test_new_rows_are_coded_as_in_the_fit(order: list[int]) -> None:
    found = design("~ bs(weeks, df=4) + stratum + poly(year, 2)")
    frame = observed(found).iloc[order]
    np.testing.assert_allclose(new_rows(found, frame), found.X[order], rtol=1e-12, atol=1e-12)


def test_new_rows_with_gaps_and_unknown_levels_are_all_told() -> None:
    found = design("~ weeks + stratum")
    with pytest.raises(DataError) as caught:
        new_rows(found, pd.DataFrame({"stratum": ["a", "z", None]}))
    told = [(p.column, p.row) for p in caught.value.problems]
    assert told == [("stratum", "index 2"), ("stratum", "index 1"), ("weeks", None)]
    with pytest.raises(DataError, match="is not a number"):
        new_rows(found, pd.DataFrame({"stratum": ["a"], "weeks": ["long"]}))


@pytest.mark.parametrize("blank", [np.nan, None, ""])
def test_new_rows_without_any_value_of_a_number_have_no_prediction(blank: object) -> None:
    found = design("~ weeks")
    with pytest.raises(DataError, match="column 'weeks', index 0: has no value"):
        new_rows(found, pd.DataFrame({"weeks": [blank]}, dtype=object))


def test_a_frame_without_rows_has_no_prediction() -> None:
    with pytest.raises(DataError, match="there is no row"):
        new_rows(design("~ weeks"), pd.DataFrame({"weeks": []}))


def test_an_infinite_moderator_is_not_called_text() -> None:
    with pytest.raises(DataError, match="column 'x', 3: found 'inf': is not a finite number"):
        build_design("~ x", {"x": np.array([1.0, np.inf, 3.0])}, np.ones(3, bool), ("2", "3", "4"))


def test_flags_are_numbers_in_new_rows_too() -> None:
    found = design("~ flag")
    np.testing.assert_array_equal(new_rows(found, pd.DataFrame({"flag": [True, False]})), [[1, 1], [1, 0]])


def test_average_rows_set_the_factor_and_keep_the_rest() -> None:
    found = design("~ weeks + stratum")
    rows = average_rows(found, "stratum", observed(found))
    mean = COLUMNS["weeks"][:11].mean()
    np.testing.assert_allclose(rows["b"], [1, mean, 1, 0] if found.design.columns[1] == "weeks" else [1, 1, 0, mean])
    with pytest.raises(OptionError, match="factor='weeks' is not known"):
        average_rows(found, "weeks", observed(found))


def test_raw_years_and_their_squares_are_not_called_collinear() -> None:
    year = np.arange(1950.0, 2020)
    assert collinear(np.column_stack((np.ones(70), year, year**2))) == ()
    assert collinear(np.column_stack((np.ones(70), year, 3 * year - 5))) == (0, 1, 2)
    assert collinear(np.column_stack((np.ones(70), 0 * year))) == (1,)


@pytest.mark.parametrize(
    "formula",
    ["~ 1", "~ weeks", "~ weeks * C(arm)", "~ arm - 1", "~ log(weeks)", "~ poly(weeks, 2)", "~ center(weeks) + arm"],
)
def test_many_tables_have_the_designs_that_each_has_alone(formula: str) -> None:
    rng = np.random.default_rng(5)
    tables: list[DesignTable] = []
    for number in range(40):
        k = int(rng.integers(2, 14))
        weeks = rng.uniform(-1 if number % 5 == 0 else 1, 20, k).astype(object)
        weeks[rng.random(k) < 0.1] = None
        if number == 7:
            weeks[0] = "1,5"
        columns = {"weeks": weeks, "arm": rng.choice(["a", "b", "c"][: 1 + number % 3], k).astype(object)}
        tables.append(DesignTable(columns, rng.random(k) < 0.9, [f"row {i}" for i in range(k)]))
    kinds: set[str] = set()
    for table, found in zip(tables, build_designs(formula, tables, "the group"), strict=True):
        try:
            alone: FormulaDesign | Exception = build_design(
                formula, table.columns, table.usable, table.rows, "the group"
            )
        except (DataError, OptionError) as error:
            alone = error
        kinds.add(type(found).__name__)
        if isinstance(found, FormulaDesign):
            assert isinstance(alone, FormulaDesign)
            assert found.design.columns == alone.design.columns
            assert (found.terms, found.reasons, found.intercept) == (alone.terms, alone.reasons, alone.intercept)
            assert np.array_equal(found.X, alone.X)
        else:
            assert str(found) == str(alone)
    assert "FormulaDesign" in kinds
    assert "DataError" in kinds


def test_a_formula_that_cannot_be_read_is_told_for_every_table() -> None:
    table = DesignTable({"weeks": np.arange(4.0).astype(object)}, np.ones(4, dtype=bool), ["1", "2", "3", "4"])
    found = build_designs("~ week", [table, table], "the group")
    assert [str(error).split(";")[0] for error in found] == [
        "formula='~ week': 'week' is not a column (did you mean 'weeks'?)"
    ] * 2
    assert build_designs("~ week", [], "the group") == []
