"""Rules about standard deviations by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import metaback as mb
from metaback.stats.spreads import largest_sd, variance_ratio_p

DIGITS = 1e-12  # closed forms against another program's of the same distribution
KEYS = ("arm-sds-differ", "sd-zero", "sd-beyond-scale", "mean-beyond-scale", "sds-repeated")


def _arms(table: pd.DataFrame, row: int, sd_1: float, sd_2: float, *, n: int = 16) -> pd.DataFrame:
    table = table.copy()
    table.loc[row, ["n_1", "n_2"]] = n
    table.loc[row, ["sd_1", "sd_2"]] = [sd_1, sd_2]
    return table


# ---------------------------------------------------------------- arm-sds-differ


def test_one_arm_with_a_standard_error(found: Any, means_table: Any) -> None:
    (finding,) = found("arm-sds-differ", _arms(means_table(), 3, 5.0, 21.0))
    assert finding.rows == (3,)
    assert [cell.role for cell in finding.cells] == ["sd_1", "sd_2"]
    (change,) = finding.proposals[0].changes
    assert (change.role, change.value) == ("sd_1", 20.0)
    assert finding.evidence["ratio"] == pytest.approx(4.2)


def test_two_sds_that_differ_without_a_root(found: Any, means_table: Any) -> None:
    """A factor of 10 in arms of 16 is no square root, so that nothing is proposed."""
    (finding,) = found("arm-sds-differ", _arms(means_table(), 3, 2.1, 21.0))
    assert finding.proposals == ()


@pytest.mark.parametrize(("sd_1", "n"), [(11.0, 200), (8.0, 10), (7.5, 10)])
def test_what_chance_or_people_explain_is_not_told(found: Any, means_table: Any, sd_1: float, n: int) -> None:
    """A factor of 1.9 in large arms, and of 2.6 or 2.8 in arms of 10, of which chance makes one in 100 or 200."""
    assert found("arm-sds-differ", _arms(means_table(), 3, sd_1, 21.0, n=n)) == ()


def test_an_outcome_on_which_arms_always_differ(found: Any, means_table: Any) -> None:
    table = means_table()
    table["sd_1"] = 7.0
    table["sd_2"] = [18.0, 21.0, 16.0, 25.0, 22.0, 19.0, 20.0, 26.0]
    table[["n_1", "n_2"]] = 25
    assert found("arm-sds-differ", table) == ()


def test_rounding_may_explain_it(found: Any, means_table: Any) -> None:
    """0.1 stands for 0.05 to 0.15 and 0.4 for 0.35 to 0.45, a factor of 2.3 at least; 0.10 and 0.40 differ by 3.7."""
    table = means_table(2, sd=0.3, mean=5.0)
    table[["sd_1", "sd_2"]] = 0.3
    assert found("arm-sds-differ", _arms(table, 0, 0.1, 0.4, n=14)) == ()
    assert len(found("arm-sds-differ", _arms(table, 0, 0.101, 0.4, n=14))) == 1


def test_the_trials_of_the_review() -> None:
    """Nejati 2019 and De Oliveira 2020a stand in the Cochrane review with SDs that do not fit their other arm."""
    audit = mb.load_dataset("backpain")
    from_rules = _findings(audit)
    assert [f.rows for f in from_rules["arm-sds-differ"]] == [(25,), (37,)]
    assert all("Nejati 2019" in f.says for f in from_rules["arm-sds-differ"])
    assert all("1.06999 times its mean" in f.says for f in from_rules["arm-sds-differ"])
    assert not any(f.proposals for f in from_rules["arm-sds-differ"])
    (beyond,) = from_rules["sd-beyond-scale"]
    assert "De Oliveira 2020a" in beyond.says
    assert beyond.severity == "warning"
    assert beyond.evidence["largest_sd"] == pytest.approx((18.5 * 81.5 * 22 / 21) ** 0.5)


def test_an_sd_made_from_its_mean_is_no_standard_error(found: Any, means_table: Any) -> None:
    """An SD that is one multiple of its mean in two rows of a study was made from it; three digits do not show that."""
    table = pd.concat([means_table(2), means_table(2)], ignore_index=True)
    table["outcome"] = ["pain", "pain", "function", "function"]
    table.loc[[0, 2], ["n_1", "n_2"]] = 17
    table.loc[[0, 2], ["mean_2", "sd_2"]] = [[36.4, 35.7], [45.0, 40.0]]
    table.loc[[0, 2], "mean_1"] = [6.4, 8.2]
    for digits, made in ((6, True), (2, False)):
        table.loc[[0, 2], "sd_1"] = (1.07123456 * table.loc[[0, 2], "mean_1"]).round(digits)
        told = found("arm-sds-differ", table)
        assert [finding.rows for finding in told] == [(0,), (2,)]
        assert all(("it was made from the mean" in finding.says) == made for finding in told)
        assert all(bool(finding.proposals) != made for finding in told)
    table.loc[[0, 2], "sd_1"] = [6.855901, 8.784160]  # another multiple in its last digits
    assert not any("it was made" in finding.says for finding in found("arm-sds-differ", table))


def _findings(trials: Any) -> dict[str, Any]:
    from metaback.checks.rules import RULES
    from metaback.checks.scene import Scene

    return {key: RULES[key].function(Scene(trials)).findings for key in KEYS}


# ---------------------------------------------------------------- sd-zero


def test_an_sd_of_zero(found: Any, means_table: Any) -> None:
    table = means_table()
    table.loc[2, "sd_2"] = 0.0
    (finding,) = found("sd-zero", table)
    assert (finding.rows, finding.severity) == ((2,), "error")
    assert [cell.role for cell in finding.cells] == ["sd_2"]
    assert np.isnan(finding.proposals[0].changes[0].value)


def test_one_person_has_no_spread(found: Any, means_table: Any) -> None:
    table = means_table()
    table.loc[2, "sd_2"], table.loc[2, "n_2"] = 0.0, 1
    assert found("sd-zero", table) == ()


# ---------------------------------------------------------------- scales


def test_an_sd_beyond_a_stated_scale(found: Any, means_table: Any) -> None:
    table = means_table().assign(scale_low=0.0, scale_high=100.0)
    table.loc[4, ["mean_1", "mean_2", "sd_2", "n_2"]] = [41.3, 20.0, 45.0, 10]
    (finding,) = found("sd-beyond-scale", table)
    assert (finding.rows, finding.severity) == ((4,), "error")
    assert finding.evidence["largest_sd"] == pytest.approx((20.05 * 79.95 * 10 / 9) ** 0.5)


def test_the_largest_sd_itself_is_possible(found: Any, means_table: Any) -> None:
    """Two of ten people at 100 and eight at 0: mean 20.0, SD 42.2."""
    table = means_table().assign(scale_low=0.0, scale_high=100.0)
    scores = np.array([100.0] * 2 + [0.0] * 8)
    table.loc[4, ["mean_2", "sd_2", "n_2"]] = [scores.mean(), round(float(scores.std(ddof=1)), 1), 10]
    assert found("sd-beyond-scale", table) == ()


def test_small_means_may_be_changes(found: Any, means_table: Any) -> None:
    """A mean of 1 with an SD of 15 is possible for changes; scores that are said to be final cannot have it."""
    table = means_table().assign(scale_low=0.0, scale_high=100.0)
    table.loc[4, ["mean_2", "sd_2", "n_2"]] = [1.0, 15.0, 20]
    assert found("sd-beyond-scale", table) == ()
    table["score_type"] = "final"
    assert len(found("sd-beyond-scale", table)) == 1
    table["score_type"] = "change"
    assert found("sd-beyond-scale", table) == ()


def test_ends_in_the_name_of_the_instrument(found: Any, means_table: Any) -> None:
    table = means_table()
    table.loc[4, ["mean_2", "sd_2", "n_2"]] = [20.0, 45.0, 10]
    (finding,) = found("sd-beyond-scale", table)
    assert finding.severity == "warning"
    assert "if VAS 0-100 is a scale from 0 to 100" in finding.says


@pytest.mark.parametrize(("mean", "severity"), [(103.0, "error"), (-4.0, "warning")])
def test_a_mean_outside_its_scale(found: Any, means_table: Any, mean: float, severity: str) -> None:
    table = means_table().assign(scale_low=0.0, scale_high=100.0)
    table.loc[4, "mean_2"] = mean
    (finding,) = found("mean-beyond-scale", table)
    assert (finding.rows, finding.severity) == ((4,), severity)
    assert ("may be a change" in finding.says) == (severity == "warning")


def test_a_mean_at_the_end_of_its_scale(run: Any, means_table: Any) -> None:
    table = means_table().assign(scale_low=0.0, scale_high=100.0)
    table.loc[4, "mean_2"] = 100.0
    outcome = run("mean-beyond-scale", table)
    assert outcome.findings == ()
    assert outcome.examined == 8


def test_without_ends_scales_are_passed_over(run: Any, means_table: Any) -> None:
    outcome = run("mean-beyond-scale", means_table())
    assert outcome.examined == 0
    assert "scale_low" in outcome.passed_over[0]


# ---------------------------------------------------------------- sds-repeated


def test_sds_that_three_studies_share(found: Any, means_table: Any) -> None:
    table = means_table()
    table.loc[[1, 4, 6], ["sd_1", "sd_2"]] = [18.3, 19.7]
    (finding,) = found("sds-repeated", table)
    assert finding.rows == (1, 4, 6)
    assert finding.says.startswith("3 studies have the same SDs, 18.3 and 19.7")


def test_sds_that_may_agree_by_chance(found: Any, means_table: Any) -> None:
    table = means_table()
    table.loc[[1, 4], ["sd_1", "sd_2"]] = [18.3, 19.7]
    assert found("sds-repeated", table) == ()
    table.loc[[1, 4, 6], ["sd_1", "sd_2"]] = [18, 20]
    assert found("sds-repeated", table) == ()
    table.loc[[1, 4, 6], ["sd_1", "sd_2"]] = [18.3, 19.7]
    table.loc[[1, 4, 6], "study"] = "One 2001"
    assert found("sds-repeated", table) == ()


# ---------------------------------------------------------------- all


@pytest.mark.parametrize("key", KEYS)
def test_clean_tables_have_no_finding(found: Any, means_table: Any, key: str) -> None:
    for seed in range(10):
        assert found(key, means_table(seed=seed).assign(scale_low=0.0, scale_high=100.0)) == ()


@pytest.mark.parametrize("key", KEYS)
def test_one_row_and_blank_cells_are_no_trouble(run: Any, means_table: Any, key: str) -> None:
    assert run(key, means_table(1)).findings == ()
    table = means_table()
    table.loc[1, ["sd_1", "mean_1"]] = np.nan
    assert run(key, table).findings == ()


@pytest.mark.parametrize("key", KEYS)
def test_tables_of_counts_are_passed_over(run: Any, key: str) -> None:
    table = pd.DataFrame({"study": ["A", "B"], "events_1": [3, 4], "n_1": [9, 9], "events_2": [5, 6], "n_2": [9, 9]})
    outcome = run(key, table)
    assert outcome.examined == 0
    assert outcome.passed_over


# ---------------------------------------------------------------- kernels


@pytest.mark.parametrize(("sd_1", "n_1", "sd_2", "n_2"), [(44, 22, 17, 20), (2, 5, 9, 31), (3, 12, 3, 12)])
def test_the_f_test_is_that_of_scipy(sd_1: float, n_1: int, sd_2: float, n_2: int) -> None:
    f = stats.f(n_1 - 1, n_2 - 1)
    expected = 2 * min(f.cdf(sd_1**2 / sd_2**2), f.sf(sd_1**2 / sd_2**2))
    found = variance_ratio_p(*(np.array([float(x)]) for x in (sd_1, n_1 - 1, sd_2, n_2 - 1)))
    assert found[0] == pytest.approx(min(expected, 1.0), rel=DIGITS)


@pytest.mark.parametrize("top", range(1, 9))
def test_the_largest_sd_is_that_of_scores_at_both_ends(top: int) -> None:
    scores = np.array([7.0] * top + [-3.0] * (9 - top))
    bound = largest_sd(*(np.array([x]) for x in (scores.mean(), 9.0, -3.0, 7.0)))
    assert bound[0] == pytest.approx(scores.std(ddof=1), rel=DIGITS)


def test_kernels_have_no_number_where_there_is_none() -> None:
    bad = np.array([0.0, np.nan, 1.0])
    assert np.isnan(variance_ratio_p(bad, np.ones(3), np.ones(3), np.array([5.0, 5.0, 0.0]))).all()
    assert np.isnan(
        largest_sd(np.array([-1.0, 5.0, np.nan]), np.array([5.0, 1.0, 5.0]), np.zeros(3), np.full(3, 9))
    ).all()
