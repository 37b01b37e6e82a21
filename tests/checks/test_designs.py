"""Rules about designs: changes within groups, cross-over trials and groups that began apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

SEEDS = (1, 2, 3, 4)
KEYS = ("within-group", "crossover-as-parallel")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_table_has_no_finding(run: Any, means_table: Any, key: str, seed: int) -> None:
    """Nothing is suspected in a table of parallel trials."""
    assert run(key, means_table(seed=seed)).findings == ()


# ---------------------------------------------------------------- within groups


def _paired() -> pd.DataFrame:
    """Return four trials of one group, measured twice."""
    return pd.DataFrame(
        {
            "study": list("ABCD"),
            "n": 20,
            "mean_1": [40.0, 41.0, 39.0, 42.0],
            "sd_1": 10.0,
            "mean_2": [50.0, 49.0, 52.0, 51.0],
            "sd_2": 11.0,
            "r": 0.6,
        }
    )


def test_changes_beside_a_control_arm_are_an_error(found: Any) -> None:
    """A table with people in a second arm has a control group that the measure leaves out."""
    (finding,) = found("within-group", _paired().assign(n_1=20, n_2=20), measure="SMCR")
    assert (finding.severity, finding.rows, finding.whole) == ("error", (0, 1, 2, 3), True)
    assert "(n_2)" in finding.says


def test_changes_without_a_control_arm_are_a_warning(found: Any) -> None:
    """Single groups are told, unless the two measurements are of two treatments or of a cross-over trial."""
    (finding,) = found("within-group", _paired(), measure="MC")
    assert finding.severity == "warning"
    named = _paired().assign(treatment_1="exercise", treatment_2="usual care")
    assert found("within-group", named, measure="MC") == ()
    assert found("within-group", named.assign(treatment_2="baseline"), measure="MC")[0].severity == "warning"
    assert found("within-group", _paired().assign(design="cross-over"), measure="MC") == ()


def test_single_groups_among_comparisons_are_an_error(found: Any, means_table: Any) -> None:
    """A design that says so is an error; uncontrolled is not controlled; all alike is nothing."""
    table = means_table()
    table["design"] = ["RCT"] * 6 + ["uncontrolled before-after", "single-arm"]
    (finding,) = found("within-group", table)
    assert (finding.severity, finding.rows) == ("error", (6, 7))
    assert found("within-group", table.assign(design="RCT, pre-post controlled")) == ()


def test_people_in_one_arm_only_are_a_warning(found: Any) -> None:
    """A printed effect with people in arm 1 only stands out among those with both."""
    table = pd.DataFrame({"study": list("ABCDE"), "measure": "SMD", "yi": 0.3, "vi": 0.1, "n_1": 20.0})
    table["n_2"] = [20, 20, 20, 20, np.nan]
    (finding,) = found("within-group", table)
    assert (finding.severity, finding.rows) == ("warning", (4,))
    assert found("within-group", table.assign(n_2=np.nan)) == ()


# ---------------------------------------------------------------- cross-over


def test_cross_over_trials_with_parallel_variances_are_told(found: Any, means_table: Any, audit_of: Any) -> None:
    """Paired variance of MD: v - 2 r sd1 sd2 / n; the mended row enters the pool."""
    table = means_table()
    table["design"] = ["parallel"] * 6 + ["Crossover"] * 2
    table.loc[6:, ["n_1", "n_2"]] = 16
    (finding,) = found("crossover-as-parallel", table, measure="MD")
    assert finding.rows == (6, 7)
    half = {(c.place, c.role): c.value for c in finding.proposals[1].changes}
    sd = table.loc[7, ["sd_1", "sd_2"]].astype(float).to_numpy()
    assert half[7, "vi"] == pytest.approx((sd @ sd - 2 * 0.5 * sd[0] * sd[1]) / 16, rel=1e-12)
    assert half[7, "yi"] == pytest.approx(table.loc[7, "mean_1"] - table.loc[7, "mean_2"], rel=1e-12)
    reviewed = next(f for f in audit_of(table, measure="MD").findings if f.finding.rule == "crossover-as-parallel")
    names = [variant.name for variant in reviewed.consequences[0].alternatives]
    assert "as paired data with r = 0.5" in names
    assert all(variant.k == 8 for variant in reviewed.consequences[0].alternatives[:3])


def test_a_paired_variance_is_left(run: Any) -> None:
    """Ready-made SMDs: the parallel variance is told, half of it is not."""
    n, d = 20, 0.5
    parallel = 2 / n + d**2 / (4 * n)
    table = pd.DataFrame({"study": list("ABC"), "measure": "SMD", "yi": d, "vi": [parallel, parallel / 2, parallel]})
    table = table.assign(n_1=n, n_2=n, study_design=["cross-over", "cross-over", "parallel"])
    outcome = run("crossover-as-parallel", table)
    assert [finding.rows for finding in outcome.findings] == [(0,)]
    assert outcome.examined == 2


def test_without_a_design_it_is_passed_over(run: Any, means_table: Any) -> None:
    """The coverage names the column; numbers in it are no words."""
    for table in (means_table(), means_table().assign(design=1)):
        outcome = run("crossover-as-parallel", table)
        assert outcome.examined == 0
        assert "no column design" in outcome.passed_over[0]


# ---------------------------------------------------------------- baseline


def _with_baseline(means_table: Any, d: float, n: int) -> pd.DataFrame:
    """Return a table whose groups began alike, but for the first, with n people per arm."""
    table = means_table()
    table["mean_pre_1"], table["mean_pre_2"], table["sd_pre_1"], table["sd_pre_2"] = 60.0, 60.0, 20.0, 20.0
    table.loc[0, ["n_1", "n_2"]], table.loc[0, "mean_pre_1"] = n, 60 + 20 * d
    return table


def test_a_surprising_baseline_is_a_warning(found: Any, means_table: Any) -> None:
    """With 25 per arm d = 1 has P = 0.0009, times 8 below 0.05; the final mean is adjusted with r = 0.5."""
    table = _with_baseline(means_table, 1.0, 25)
    (finding,) = found("baseline-imbalance", table)
    assert (finding.severity, finding.rows) == ("warning", (0,))
    assert finding.evidence["d"] == pytest.approx(1, rel=1e-12)
    assert finding.evidence["p"] == pytest.approx(0.00091291465152, rel=1e-10)  # 2 * pt(-sqrt(12.5), 48) in R
    ratio = (table.loc[0, "sd_1"] + table.loc[0, "sd_2"]) / 40
    assert finding.proposals[0].changes[0].value == pytest.approx(table.loc[0, "mean_1"] - 0.5 * ratio * 20, rel=1e-12)


def test_small_trials_differ_by_chance(found: Any, means_table: Any) -> None:
    """A difference of d = 0.8 with 10 per arm is information, with how often chance gives more than 0.5 there."""
    (finding,) = found("baseline-imbalance", _with_baseline(means_table, 0.8, 10))
    assert (finding.severity, finding.rows) == ("information", (0,))
    assert finding.evidence["chance"] == pytest.approx(0.2782527549, rel=1e-9)  # 2 * pt(-sqrt(1.25), 18) in R


def test_alike_groups_and_changes_are_left(run: Any, means_table: Any) -> None:
    """Half an SD is the limit; effects of changes do not carry the start on; blank and zero SDs do not count."""
    assert run("baseline-imbalance", _with_baseline(means_table, 0.49, 25)).findings == ()
    table = _with_baseline(means_table, 1.0, 25).assign(mean_change_1=-5.0, mean_change_2=-4.0)
    assert run("baseline-imbalance", table).findings == ()
    table = _with_baseline(means_table, 1.0, 25)
    table.loc[0, "sd_pre_1"], table.loc[1, ["sd_pre_1", "sd_pre_2"]] = np.nan, 0.0
    outcome = run("baseline-imbalance", table)
    assert (outcome.findings, outcome.examined) == ((), 6)
    assert run("baseline-imbalance", means_table()).passed_over[0].startswith("no columns mean_pre_1")
