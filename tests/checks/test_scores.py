"""Rules about changes and final scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

SEEDS = (1, 2, 3, 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_table_has_no_finding(run: Any, means_table: Any, seed: int) -> None:
    """Nothing is suspected in a clean table of final scores."""
    outcome = run("mixed-scores", means_table(seed=seed))
    assert outcome.findings == ()
    assert outcome.examined == 8


# ---------------------------------------------------------------- two kinds of scores


def test_stated_kinds_are_an_error(found: Any, means_table: Any) -> None:
    """The rows of changes are named; at r = 0.75 their SDs become sqrt(2) times as large."""
    table = means_table()
    table["score_type"] = ["final"] * 6 + ["change"] * 2
    (finding,) = found("mixed-scores", table)
    assert (finding.rows, finding.severity) == ((6, 7), "error")
    assert "1.41 times as large" in finding.says
    changes = {(change.place, change.role): change.value for change in finding.proposals[0].changes}
    assert len(changes) == 4
    assert changes[7, "sd_2"] == pytest.approx(np.sqrt(2) * table.loc[7, "sd_2"], rel=1e-12)


def test_words_and_mean_differences_settle_it(run: Any, means_table: Any) -> None:
    """With a reason, or as MD, both kinds may stand together."""
    table = means_table()
    table["score_type"] = ["final"] * 6 + ["change"] * 2
    assert run("mixed-scores", table, mixed_scores="all trials are randomised").findings == ()
    outcome = run("mixed-scores", table, measure="MD")
    assert (outcome.findings, outcome.examined) == ((), 0)
    assert outcome.passed_over == ("MD is not divided by an SD of each trial's own scores",)


def test_a_note_that_speaks_of_changes(found: Any, run: Any, means_table: Any) -> None:
    """A warning for the row; none where a column says what it is, where it is said of most rows, or of MD."""
    table = means_table()
    table["note"] = ["final values"] * 5 + ["change scores; SD imputed", "no change scores here", "exchange student"]
    (finding,) = found("mixed-scores", table)
    assert (finding.rows, finding.severity) == ((5,), "warning")
    changes = {change.role: change.value for change in finding.proposals[0].changes}
    assert changes["sd_1"] == pytest.approx(np.sqrt(2) * table.loc[5, "sd_1"], rel=1e-12)
    assert found("mixed-scores", table.assign(score_type="final")) == ()
    assert found("mixed-scores", table.assign(note="change scores")) == ()
    assert run("mixed-scores", table, measure="MD").findings == ()
    assert found("mixed-scores", table, mixed_scores="all trials are randomised") == ()


def test_columns_of_changes_are_changes(found: Any, means_table: Any) -> None:
    """A row that has only means and SDs of changes is one, and its SDs of changes are mended."""
    table = means_table()
    for role in ("mean", "sd"):
        for arm in "12":
            table[f"{role}_change_{arm}"] = np.where(table.index == 2, table[f"{role}_{arm}"], np.nan)
            table[f"{role}_{arm}"] = table[f"{role}_{arm}"].where(table.index != 2)
    (finding,) = found("mixed-scores", table)
    assert finding.rows == (2,)
    assert [change.role for change in finding.proposals[0].changes] == ["sd_change_1", "sd_change_2"]


def test_a_printed_effect_of_changes_shrinks(found: Any) -> None:
    """A ready-made SMD of changes becomes sqrt(0.5) times as large at r = 0.75, with its interval."""
    table = pd.DataFrame({"study": list("ABC"), "measure": "SMD", "effect": [0.5, 0.6, 1.0], "ci_low": [0.1, 0.2, 0.4]})
    table["ci_high"], table["score_type"] = [0.9, 1.0, 1.6], ["final", "final", "change"]
    (finding,) = found("mixed-scores", table)
    values = {change.role: change.value for change in finding.proposals[0].changes}
    assert values == pytest.approx({"effect": 0.5**0.5, "ci_low": 0.4 * 0.5**0.5, "ci_high": 1.6 * 0.5**0.5}, rel=1e-12)


def _with_change(means_table: Any, *, sd: float) -> pd.DataFrame:
    """Return a table whose fourth row has small means, and SDs that are a share of what they were."""
    table = means_table()
    table.loc[3, ["mean_1", "mean_2"]] = [2.0, 6.1]
    table.loc[3, ["sd_1", "sd_2"]] = (sd * table.loc[3, ["sd_1", "sd_2"]].astype(float)).round(1)
    return table


def test_rows_that_look_like_changes_are_a_warning(found: Any, means_table: Any) -> None:
    """Small means with half the usual SD are told; with the usual SD, or stated as final, not; negative ones are."""
    (finding,) = found("mixed-scores", _with_change(means_table, sd=0.5))
    assert (finding.rows, finding.severity) == ((3,), "warning")
    assert found("mixed-scores", _with_change(means_table, sd=1.0)) == ()
    assert found("mixed-scores", _with_change(means_table, sd=0.5).assign(score_type="final")) == ()
    table = _with_change(means_table, sd=1.0)
    table.loc[3, "mean_1"] = -18.1
    assert [finding.rows for finding in found("mixed-scores", table)] == [(3,)]


def test_other_units_are_no_changes(found: Any, means_table: Any) -> None:
    """A row out of 10 keeps its mean/SD; few rows cannot be judged."""
    table = means_table()
    roles = ["mean_1", "mean_2", "sd_1", "sd_2"]
    table.loc[3, roles] = (table.loc[3, roles].astype(float) / 2.9).to_numpy()
    assert found("mixed-scores", table) == ()
    assert found("mixed-scores", _with_change(means_table, sd=0.5).iloc[:4]) == ()


# ---------------------------------------------------------------- SDs of changes


def _changes(before: float, after: float, change: float, n: float = 25) -> pd.DataFrame:
    """Return three rows with means and SDs before, after and of changes; the first is as given, the others are fine."""
    table = pd.DataFrame({"study": ["A 2001", "B 2002", "C 2003"]})
    for arm in "12":
        table[f"n_{arm}"] = n
        table[f"mean_pre_{arm}"], table[f"mean_post_{arm}"] = [50.0, 51.0, 52.0], [44.0, 46.0, 45.0]
        table[f"sd_pre_{arm}"] = [before if arm == "1" else 10.1, 9.8, 10.4]
        table[f"sd_post_{arm}"] = [after if arm == "1" else 10.3, 10.2, 9.9]
        table[f"sd_change_{arm}"] = [change if arm == "1" else 7.4, 7.7, 6.9]
    return table


@pytest.mark.parametrize(("change", "below"), [(20.5, True), (0.4, False)])
def test_impossible_sds_are_an_error(found: Any, change: float, below: bool) -> None:
    """SDs of 10.0 and 10.5 allow SDs of changes of 0.5 to 20.5: both misses, with their rounding, or just not."""
    first, last = (10.0, 10.3) if below else (10.0, 10.6)
    (finding,) = found("impossible-change-sd", _changes(first, last, change))
    assert (finding.rows, finding.severity) == ((0,), "error")
    r = (first**2 + last**2 - change**2) / (2 * first * last)
    assert finding.evidence["r"] == pytest.approx(r, rel=1e-12)


@pytest.mark.parametrize("change", [20.6, 0.4])
def test_what_rounding_explains_is_possible(found: Any, change: float) -> None:
    """10.0 and 10.5 round from as much as 10.05 and 10.55, and from as little as 0.4 apart."""
    findings = found("impossible-change-sd", _changes(10.0, 10.5, change))
    assert all(finding.severity != "error" for finding in findings)


def test_an_se_is_proposed_as_an_sd(found: Any) -> None:
    """An SE of 1.5 from 25 people is an SD of 7.5; without it the usual correlation gives the SD."""
    finding = found("impossible-change-sd", _changes(10.0, 12.0, 1.5))[0]
    assert finding.severity == "error"
    assert finding.proposals[0].name == "SE of the changes turned into an SD"
    assert finding.proposals[0].changes[0].value == pytest.approx(7.5, rel=1e-12)
    r = (10.1**2 + 10.3**2 - 7.4**2) / (2 * 10.1 * 10.3)
    assert finding.proposals[1].changes[0].value > 2.0
    assert 0.6 < r < 0.8


def test_strange_correlations_are_warnings(found: Any) -> None:
    """A correlation of 0.998 is told; one of 0.1 is told for 60 people and not for 12, where it may be chance."""
    (finding,) = found("impossible-change-sd", _changes(10.0, 10.0, 0.6))
    assert (finding.severity, finding.rows) == ("warning", (0,))
    assert finding.evidence["r"] == pytest.approx(0.9982, abs=1e-12)
    (finding,) = found("impossible-change-sd", _changes(10.0, 10.0, 13.4, n=60))
    assert finding.evidence["r"] == pytest.approx(1 - 13.4**2 / 200, abs=1e-12)
    assert found("impossible-change-sd", _changes(10.0, 10.0, 13.4, n=12)) == ()


def test_usual_correlations_and_zero_sds_are_left(run: Any) -> None:
    """Nothing is said of plausible SDs, nor of an SD of 0, which has no correlation."""
    outcome = run("impossible-change-sd", _changes(10.0, 10.4, 7.2))
    assert (outcome.findings, outcome.examined) == ((), 3)
    assert run("impossible-change-sd", _changes(0.0, 10.0, 7.2)).findings == ()


def test_one_correlation_for_all_is_information(found: Any) -> None:
    """SDs of changes made from one r are told; r = 0.7 in a column is, too."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"study": [f"S{i}" for i in range(6)], "n_1": 20, "n_2": 20, "mean_1": 1.0, "mean_2": 2.0})
    table["sd_1"], table["sd_2"] = 2.0, 2.1
    a, b = rng.uniform(8, 12, 6).round(2), rng.uniform(8, 12, 6).round(2)
    table["sd_pre_1"], table["sd_post_1"] = a, b
    table["sd_change_1"] = np.sqrt(a**2 + b**2 - 2 * 0.7 * a * b).round(2)
    (finding,) = found("impossible-change-sd", table)
    assert (finding.severity, finding.whole) == ("information", True)
    assert finding.evidence["r"] == pytest.approx(0.7, abs=0.002)
    other = np.sqrt(a**2 + b**2 - 2 * rng.uniform(0.5, 0.9, 6) * a * b).round(2)
    assert found("impossible-change-sd", table.assign(sd_change_1=other)) == ()
    assert found("impossible-change-sd", table.assign(sd_change_1=other, r_1=0.7))[0].evidence["r"] == 0.7


def test_missing_columns_are_told(run: Any, means_table: Any) -> None:
    """Without SDs of changes the rule is passed over."""
    (words,) = run("impossible-change-sd", means_table()).passed_over
    assert words.startswith("no column")
