"""Printed tests and effects against the means, SDs and numbers of people beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats


def _tested(table: pd.DataFrame, *, welch: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return t and two-sided P of every row, as scipy computes them from summary statistics."""
    found = [
        stats.ttest_ind_from_stats(r.mean_1, r.sd_1, r.n_1, r.mean_2, r.sd_2, r.n_2, equal_var=not welch)
        for r in table.itertuples()
    ]
    return np.array([x.statistic for x in found]), np.array([x.pvalue for x in found])


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("welch", [False, True])
def test_usual_tests_of_either_kind_fit(run: Any, means_table: Any, seed: int, welch: bool) -> None:
    """Rounded P values of one or two sides, t and F of Student's or Welch's test are not told."""
    table = means_table(10, seed=seed)
    t, p = _tested(table, welch=welch)
    for column in (
        {"p": p.round(2)},
        {"p": p.round(3)},
        {"p": (p / 2).round(3)},
        {"t": t.round(2)},
        {"f_value": (t**2).round(1)},
    ):
        outcome = run("test-against-means", table.assign(**column))
        assert outcome.findings == ()
        assert outcome.examined == 10


def test_bounds_that_fit_are_clean_and_those_that_do_not_are_told(found: Any, means_table: Any) -> None:
    """P < 0.05 of a difference with P = 0.6 does not fit; P > 0.05 does."""
    table = means_table(3)
    table.loc[1, ["n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2"]] = [20, 10.0, 6.1, 20, 9.0, 5.9]
    p = pd.Series([np.nan] * 3, dtype=object)
    p[1] = ">0.05"
    assert found("test-against-means", table.assign(p=p.fillna(""))) == ()
    p[1] = "<0.05"
    (finding,) = found("test-against-means", table.assign(p=p.fillna("")))
    assert finding.severity == "warning"
    assert "P < 0.05 does not fit" in finding.says
    assert "t = 0.527 on 38 degrees of freedom, P = 0.60" in finding.says


def test_sds_that_are_standard_errors_are_known_by_the_printed_test(found: Any, means_table: Any) -> None:
    """With SEs in the place of SDs the printed t fits SD = SE sqrt(n), which is proposed."""
    table = means_table(6)
    t, _ = _tested(table)
    row = int(np.argmax(np.abs(t)))
    true = table.loc[row, ["sd_1", "sd_2"]].to_numpy(dtype=float, copy=True)
    n = table.loc[row, ["n_1", "n_2"]].to_numpy(dtype=float)
    table.loc[row, ["sd_1", "sd_2"]] = (true / n**0.5).round(2)
    (finding,) = found("test-against-means", table.assign(t=t.round(2)))
    assert finding.severity == "error"
    assert finding.rows == (row,)
    proposed = [change.value for change in finding.proposals[0].changes]
    np.testing.assert_allclose(proposed, true, atol=0.005 * n.max() ** 0.5)


def test_an_adjusted_test_is_a_warning_that_says_so(found: Any, means_table: Any) -> None:
    """A P value from an analysis with baseline values (SE 0.7 times) is told with that explanation."""
    table = means_table(2)
    table.loc[0, ["n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2"]] = [30, 40.0, 15.2, 30, 50.0, 14.9]
    t = 10 / (15.05 * (2 / 30) ** 0.5) / 0.7
    p = round(float(2 * stats.t.sf(t, 58)), 6)
    (finding,) = found("test-against-means", table.assign(p=[p, np.nan]))
    assert finding.severity == "warning"
    assert "adjusted for baseline values would explain" in finding.says


def test_rounding_of_the_means_is_allowed_for(run: Any) -> None:
    """Means of 1.2 and 1.1 may differ by 0 to 0.2: hardly any P contradicts them."""
    table = pd.DataFrame(
        {"study": ["A"], "n_1": [20], "mean_1": [1.2], "sd_1": [0.2], "n_2": [20], "mean_2": [1.1], "sd_2": [0.2]}
    )
    assert run("test-against-means", table.assign(p=[0.01])).findings == ()
    assert run("test-against-means", table.assign(p=[0.9])).findings == ()


def test_tests_of_changes_and_hidden_ones_are_not_told(run: Any, means_table: Any) -> None:
    """A P of changes fits changes; where there are only baseline means the row is passed over."""
    table = means_table(4)
    changes = {"mean_change_1": [-9.5, -8.1, -7.2, -9.9], "sd_change_1": [8.1, 9.2, 7.7, 8.8]}
    changes |= {"mean_change_2": [-2.5, -1.1, -3.2, -0.9], "sd_change_2": [8.3, 9.4, 7.1, 8.2]}
    whole = table.assign(**changes)
    named = whole.drop(columns=["mean_1", "sd_1", "mean_2", "sd_2"]).rename(
        columns=lambda c: c.replace("_change", "") if "_change_" in c else c
    )
    _, p = _tested(named)
    assert run("test-against-means", whole.assign(p=p.round(4))).findings == ()
    outcome = run("test-against-means", table.assign(mean_pre_1=60.0, mean_pre_2=61.0, p=p.round(4)))
    assert outcome.findings == ()
    assert outcome.passed_over == ("4 rows have baseline means: their test may be one of changes",)


def test_zero_spread_and_blanks_do_not_stop_the_rule(run: Any, means_table: Any) -> None:
    """Blank and zero SDs are not judged; without a test the rule is passed over."""
    table = means_table(3).astype({"sd_1": float})
    table.loc[0, ["sd_1", "sd_2"]] = [np.nan, 3.0]
    table.loc[1, ["sd_1", "sd_2"]] = [0.0, 0.0]
    run("test-against-means", table.assign(p=[0.2, 0.03, np.nan]))
    assert run("test-against-means", table).passed_over[0].startswith("no column")


def test_many_rows_of_one_kind_are_one_finding(found: Any, means_table: Any) -> None:
    """Thirteen tests that do not fit are told once."""
    table = means_table(20)
    table["mean_1"] = table["mean_2"] + 0.1
    (finding,) = found("test-against-means", table.assign(p=0.0002))
    assert len(finding.rows) == 20
    assert "19 more rows are alike" in finding.says


def _d(table: pd.DataFrame, *, power: float = 0.0) -> np.ndarray:
    """Return Cohen's d with every SD multiplied by n^power."""
    one, two = table["sd_1"] * table["n_1"] ** power, table["sd_2"] * table["n_2"] ** power
    pooled = ((table["n_1"] - 1) * one**2 + (table["n_2"] - 1) * two**2) / (table["n_1"] + table["n_2"] - 2)
    return ((table["mean_1"] - table["mean_2"]) / pooled**0.5).to_numpy(dtype=float)


@pytest.mark.parametrize("seed", range(10))
def test_d_and_its_cousins_fit(run: Any, means_table: Any, seed: int) -> None:
    """Cohen's d, Glass' delta and those of the other sign are not warned about."""
    table = means_table(8, seed=seed)
    for d in (_d(table), -_d(table), ((table["mean_1"] - table["mean_2"]) / table["sd_2"]).to_numpy(dtype=float)):
        outcome = run("published-d", table.assign(d=d.round(2)))
        assert [one for one in outcome.findings if one.severity != "information"] == []
        assert outcome.examined == 8


def test_a_d_that_does_not_follow_is_told_beyond_005(found: Any, means_table: Any) -> None:
    """A d that is 0.3 away from every convention is a warning with the recomputed one; 0.04 away is nothing."""
    table = means_table(3)
    d = _d(table)
    assert found("published-d", table.assign(d=[d[0].round(2) - 0.04, np.nan, np.nan])) == ()
    (finding,) = found("published-d", table.assign(d=[np.nan, d[1].round(2) - 0.4, np.nan]))
    assert finding.severity == "warning"
    assert abs(finding.evidence["d"] - d[1]) < 0.01  # the middle of what rounding allows


def test_d_by_standard_errors_is_named(found: Any, means_table: Any) -> None:
    """A d computed with standard errors is sqrt(n) times too large; one beside SEs typed as SDs is an error."""
    table = means_table(2)
    (finding,) = found("published-d", table.assign(d=[_d(table, power=-0.5)[0].round(2), np.nan]))
    assert finding.severity == "warning"
    assert "Divided by standard errors instead of SDs" in finding.says
    right = _d(table).round(2)
    for arm in "12":
        table[f"sd_{arm}"] = (table[f"sd_{arm}"] / table[f"n_{arm}"] ** 0.5).round(2)
    findings = found("published-d", table.assign(d=right))
    assert {one.severity for one in findings} == {"error"}
    assert findings[0].proposals[0].changes[0].role == "sd_1"


def test_hedges_g_in_a_column_of_d_is_an_information(found: Any) -> None:
    """Of 6 and 6 people g is 0.923 d: the ratio is J of 10 degrees of freedom (Hedges 1981)."""
    table = pd.DataFrame(
        {
            "study": ["A"],
            "n_1": [6],
            "mean_1": [30.25],
            "sd_1": [10.11],
            "n_2": [6],
            "mean_2": [20.13],
            "sd_2": [9.87],
        }
    )
    d = _d(table)[0]
    (finding,) = found("published-d", table.assign(d=[round(d * 0.9227456, 3)]))
    assert finding.severity == "information"
    assert "J = 0.923" in finding.says
    assert abs(finding.proposals[0].changes[0].value - d) < 1e-3
    assert found("published-d", table.assign(d=[round(d, 3)])) == ()


def test_mean_differences_of_the_means_are_clean_and_others_told(found: Any, means_table: Any) -> None:
    """Rounding and small adjustments are let pass; another number and another sign are told."""
    table = means_table(4)
    md = (table["mean_1"] - table["mean_2"]).to_numpy(dtype=float)
    table = table.assign(measure="MD", ci_low=md - 20, ci_high=md + 20)
    assert found("difference-against-means", table.assign(effect=md.round(1))) == ()
    effect = md.round(1).copy()
    effect[1], effect[2] = -md[1].round(1), md[2].round(1) - 9
    by_row = {one.rows[0]: one for one in found("difference-against-means", table.assign(effect=effect))}
    assert set(by_row) == {1, 2}
    assert "other direction" in by_row[1].says
    assert "other direction" not in by_row[2].says


def test_zeros_are_told(found: Any, means_table: Any) -> None:
    """A P of 0 is an information for all rows, an SE of 0 a warning for each; the cell is proposed empty."""
    table = means_table(4).drop(columns=["sd_1", "sd_2"])
    table = table.assign(se_1=[1.0, 0.0, 2.0, 1.5], se_2=[1.0, 1.1, 2.0, 1.5], p=[0.0, 0.2, 0.0, 0.5])
    by_severity = {one.severity: one for one in found("printed-zero", table)}
    assert by_severity["information"].rows == (0, 2)
    assert by_severity["warning"].rows == (1,)
    assert np.isnan(by_severity["warning"].proposals[0].changes[0].value)
    assert found("printed-zero", table.assign(se_1=1.0, p=0.5)) == ()
