"""Rules about units, instruments and medians."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.data.datasets import load_dataset

SEEDS = (1, 2, 3, 4)
KEYS = ("mixed-units", "mixed-scales", "median-as-mean")
SCORES = ["mean_1", "sd_1", "mean_2", "sd_2"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_table_has_no_finding(run: Any, means_table: Any, key: str, seed: int) -> None:
    """Nothing is suspected in a clean table, and all rows are looked at."""
    outcome = run(key, means_table(seed=seed), measure="MD")
    assert outcome.findings == ()
    assert outcome.examined == 8


# ---------------------------------------------------------------- units


def test_scores_out_of_ten_are_found_among_scores_out_of_a_hundred(found: Any, means_table: Any) -> None:
    """Two rows a tenth of the others are one finding, and the proposal gives back what they were."""
    clean = means_table()
    table = clean.astype(dict.fromkeys(SCORES, float))
    table.loc[[2, 5], SCORES] = clean.loc[[2, 5], SCORES] / 10
    (finding,) = found("mixed-units", table, measure="MD")
    assert finding.rows == (2, 5)
    assert finding.evidence["factor"] == 10
    assert finding.proposals[0].name == "multiplied by 10"
    for change in finding.proposals[0].changes:
        assert change.value == pytest.approx(clean.loc[change.place, change.role], rel=1e-12)


def test_pounds_are_found_among_kilograms(found: Any) -> None:
    """Body weights differ little between trials, so that 2.205 can be told."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"study": [f"S{i}" for i in range(8)], "outcome": "weight", "n_1": 20, "n_2": 20})
    for arm in "12":
        table[f"mean_{arm}"] = rng.normal(80, 3, 8).round(1)
        table[f"sd_{arm}"] = rng.normal(14, 1, 8).round(1)
    table.loc[4, SCORES] = (table.loc[4, SCORES].astype(float) * 2.205).round(1)
    (finding,) = found("mixed-units", table, measure="MD")
    assert (finding.rows, finding.evidence["factor"]) == ((4,), 2.205)
    assert finding.proposals[0].name == "divided by 2.205"


def test_a_mean_alone_is_no_unit(found: Any, means_table: Any) -> None:
    """Means ten times as large with the usual SDs are something else, and so are SDs alone."""
    for roles in (["mean_1", "mean_2"], ["sd_1", "sd_2"]):
        table = means_table().astype(dict.fromkeys(SCORES, float))
        table.loc[2, roles] /= 10
        assert found("mixed-units", table, measure="MD") == ()


def test_standardised_effects_do_not_depend_on_units(run: Any, means_table: Any) -> None:
    """For SMD nothing is examined, with the reason."""
    outcome = run("mixed-units", means_table())
    assert outcome.examined == 0
    assert outcome.passed_over == ("no effects in the units of the scores: others do not depend on units",)


def test_few_rows_and_blank_or_negative_means_are_passed_over(run: Any, means_table: Any) -> None:
    """Four usable rows are not enough: a blank, zero SDs and a negative mean do not count."""
    table = means_table(7).astype(dict.fromkeys(SCORES, float))
    table.loc[0, "mean_1"], table.loc[1, "mean_2"] = np.nan, -5.0
    table.loc[2, ["sd_1", "sd_2"]] = 0.0
    outcome = run("mixed-units", table, measure="MD")
    assert (outcome.findings, outcome.examined) == ((), 0)
    assert outcome.passed_over == ("pain: 4 rows with positive means and SDs of one instrument, 5 needed",)


# ---------------------------------------------------------------- instruments


def test_instruments_of_unknown_range_are_an_error_as_mean_differences(run: Any, means_table: Any) -> None:
    """Mean differences of two instruments are told; standardised ones are not."""
    table = means_table()
    table["instrument"] = ["VAS"] * 5 + ["von Korff"] * 3
    (finding,) = run("mixed-scales", table, measure="MD").findings
    assert finding.severity == "error"
    assert finding.whole
    assert "2 instruments (VAS, von Korff)" in finding.says
    outcome = run("mixed-scales", table)
    assert (outcome.findings, outcome.examined) == ((), 0)
    assert outcome.passed_over == ("SMD does not keep the units of the scores",)


def test_ranges_in_the_names_are_read(found: Any, means_table: Any) -> None:
    """Ranges of one width are fine; of two widths they are brought to the usual one."""
    table = means_table()
    table["instrument"] = ["VAS 0-100"] * 5 + ["NPRS (0\u2013100)"] * 3
    assert found("mixed-scales", table, measure="MD") == ()
    table["instrument"] = ["VAS 0-100"] * 5 + ["NPRS 0 to 10"] * 3
    (finding,) = found("mixed-scales", table, measure="MD")
    changes = {(change.place, change.role): change.value for change in finding.proposals[0].changes}
    assert len(changes) == 12
    assert changes[6, "sd_1"] == pytest.approx(10 * table.loc[6, "sd_1"], rel=1e-12)
    assert finding.says.endswith("with ranges of 100 and 10 points.")


def test_stated_ranges_win(found: Any, means_table: Any) -> None:
    """Columns that say one range for all settle the matter."""
    table = means_table()
    table["instrument"] = ["VAS"] * 5 + ["NPRS"] * 3
    table["scale_low"], table["scale_high"] = 0, 100
    assert found("mixed-scales", table, measure="MD") == ()


def test_the_back_pain_data_as_mean_differences(run: Any, scene_of: Any) -> None:
    """Pain on VAS, NPRS and von Korff, and disability on RMDQ and ODI, cannot be pooled in their own units unsaid."""
    outcome = run("mixed-scales", load_dataset("backpain").frame, measure="MD")
    assert [finding.severity for finding in outcome.findings] == ["error"] * 3
    assert "3 instruments (NPRS, VAS, von Korff)" in outcome.findings[0].says


# ---------------------------------------------------------------- medians


def test_rows_that_say_median_are_an_error(found: Any, means_table: Any) -> None:
    """The SDs are read as IQRs of 25 people, 2 Phi^-1(18.625 / 25.25) SDs wide in normal data by the formula of Wan."""
    table = means_table()
    table["stat_type"] = ["mean (SD)"] * 8
    table.loc[4, "stat_type"], table.loc[4, ["n_1", "n_2"]] = "median (IQR)", 25
    (finding,) = found("median-as-mean", table)
    assert (finding.rows, finding.severity) == ((4,), "error")
    ratio = table.loc[4, "sd_1"] / finding.proposals[0].changes[0].value
    assert ratio == pytest.approx(2 * NormalDist().inv_cdf(18.625 / 25.25), rel=1e-12)


def test_sds_that_are_interquartile_ranges_are_found(found: Any, means_table: Any) -> None:
    """An SD that equals q3 - q1 as printed is told once for both arms; one that does not is left."""
    table = means_table()
    for arm in "12":
        table[f"q1_{arm}"] = table[f"mean_{arm}"] - 10.3
        table[f"q3_{arm}"] = table[f"mean_{arm}"] + 11.0
    table.loc[2, ["sd_1", "sd_2"]] = 21.3
    table.loc[5, ["sd_1", "sd_2"]] = 21.5
    findings = [f for f in found("median-as-mean", table.round(1)) if f.severity == "warning"]
    assert [finding.rows for finding in findings] == [(2,)]
    assert [change.role for change in findings[0].proposals[0].changes] == ["sd_1", "sd_2"]


def test_skewed_quartiles_are_told(found: Any) -> None:
    """The example of the skewness test: 0.818 against 0.666 for 20 people; its mirror image in the middle is fine."""
    table = pd.DataFrame({"study": ["A", "B"], "n_1": 20, "n_2": 20, "min_1": [2, 2], "q1_1": [4, 7]})
    table["median_1"], table["q3_1"], table["max_1"] = [6, 11], [14, 15], [20, 20]
    table = table.assign(**{f"{stem}_2": table.loc[1, f"{stem}_1"] for stem in ("min", "q1", "median", "q3", "max")})
    (finding,) = found("median-as-mean", table)
    assert finding.rows == (0,)
    assert finding.evidence["worst"] == pytest.approx(0.818 / 0.666, abs=2e-3)


def test_means_below_their_sds_are_information(found: Any, means_table: Any) -> None:
    """A mean of half its SD is told on a scale from 0; not for changes, nor on a scale that goes below 0."""
    table = means_table()
    table.loc[3, "mean_2"] = round(table.loc[3, "sd_2"] / 2, 1)
    table["scale_low"], table["scale_high"] = 0, 100
    (finding,) = found("median-as-mean", table)
    assert (finding.rows, finding.severity) == ((3,), "information")
    assert finding.evidence["least_ratio"] == pytest.approx(0.5, abs=0.01)
    assert found("median-as-mean", table.assign(scale_low=-100)) != ()  # positive scores that usually exceed their SDs
    assert found("median-as-mean", table.assign(score_type="change")) == ()
    assert found("median-as-mean", table.iloc[3:6].assign(scale_low=-100)) == ()


def test_effects_alone_are_passed_over(run: Any) -> None:
    """Without means there is nothing to judge, and the coverage says what lacks."""
    table = pd.DataFrame({"study": ["A", "B"], "yi": [0.1, 0.2], "vi": 0.1})
    assert run("mixed-units", table).passed_over == ("no columns mean_1, sd_1, mean_2, sd_2",)
    assert run("mixed-scales", table).passed_over == ("no column instrument",)
    assert run("median-as-mean", table).examined == 0
