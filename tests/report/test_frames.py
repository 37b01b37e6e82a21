"""Tidy frames on the natural scale and in percent; words, tables and records of transformed measures."""

from __future__ import annotations

import math

import pandas as pd
import pytest

import metaback as mb
from metaback.report.sections import heterogeneity_text
from metaback.report.tables import pooled_table, study_table

ROUND = 1e-12
WRITTEN = 1e-11  # records have 12 significant digits
COUNTS = pd.DataFrame({"study": list("ABCD"), "events": [4, 3, 12, 9], "n": [14, 40, 60, 33], "arm": list("xxyy")})
MEANS = pd.DataFrame(
    {"study": list("ABC"), "n_1": [20, 30, 25], "mean_1": [12.0, 14.0, 11.0], "sd_1": [3.0, 4.0, 2.0],
     "n_2": [21, 29, 26], "mean_2": [10.0, 11.0, 10.5], "sd_2": [3.0, 3.5, 2.5]}
)  # fmt: skip
NUMBERS = ["estimate", "ci_low", "ci_high", "pi_low", "pi_high"]


def test_percent_of_a_proportion_is_a_hundred_times_its_natural_value() -> None:
    res = mb.pool(COUNTS, measure="PLO", by="arm")
    natural, percent = res.to_frame(transform="natural"), res.to_frame(transform="percent")
    assert set(natural["scale"]) == {"natural"}
    assert set(percent["scale"]) == {"percent"}
    for name in ("estimate", "ci_low", "ci_high"):
        assert percent[name].tolist() == pytest.approx([100 * value for value in natural[name]], rel=ROUND)
    assert natural["estimate"].tolist() == pytest.approx(
        [1 / (1 + math.exp(-value)) for value in res.to_frame()["estimate"]], rel=ROUND
    )


def test_percent_of_a_ratio_of_means_is_its_change() -> None:
    res = mb.pool(MEANS, measure="ROM")
    row = res.to_frame(transform="percent").iloc[0]
    assert row["scale"] == "percent change"
    assert row["ci_low"] == pytest.approx(100 * (math.exp(res.estimate.lower) - 1), rel=ROUND)
    assert row["se"] == res.estimate.se


@pytest.mark.parametrize("measure", ["SMD", "MD"])
def test_a_difference_has_no_percentage(measure: str) -> None:
    with pytest.raises(mb.OptionError, match="for proportions and for ratios"):
        mb.pool(MEANS, measure=measure).to_frame(transform="percent")


def test_natural_numbers_of_a_difference_are_those_of_the_analysis() -> None:
    res = mb.pool(MEANS, measure="MD")
    pd.testing.assert_frame_equal(res.to_frame(transform="natural"), res.to_frame())


def test_an_unknown_transform_lists_the_known() -> None:
    with pytest.raises(mb.OptionError, match=r"natural.*percent"):
        mb.pool(MEANS, measure="MD").to_frame(transform="exp")


def test_tables_and_text_show_proportions_and_name_the_scale_of_tau2() -> None:
    res = mb.pool(COUNTS, measure="PLO")
    assert "Proportion [95% CI]" in pooled_table(res.analysis).head
    assert "back-transformed; variances are those of the logit scale" in study_table(res.analysis).caption
    assert "on the logit scale" in heterogeneity_text(res.analysis)
    assert "analysed on the logit scale and are shown back-transformed" in res.methods_text()
    assert study_table(res.analysis).rows[0][study_table(res.analysis).head.index("Proportion [95% CI]")][:4] == "0.29"


def test_one_group_measures_count_their_people_and_have_no_column_of_p() -> None:
    res = mb.pool(COUNTS, measure="PLO")
    assert "147 participants" in repr(res)
    assert "P" not in pooled_table(res.analysis).head
    assert "P" in pooled_table(mb.pool(MEANS, measure="MD").analysis).head


def test_the_methods_say_with_which_size_a_double_arcsine_came_back() -> None:
    res = mb.pool(COUNTS, measure="PFT")
    assert "the harmonic mean of the studies' number of participants" in res.methods_text()
    assert res.to_dict()["overall"]["mean"]["natural"]["size"] == pytest.approx(res.estimate.size, rel=WRITTEN)


def test_logs_of_one_group_are_no_ratios() -> None:
    assert "Effects were analysed as natural logarithms" in mb.pool(COUNTS, measure="PLN").methods_text()
    assert "Ratios were analysed as natural logarithms" in mb.pool(MEANS, measure="ROM").methods_text()
