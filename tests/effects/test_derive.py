"""From what a row reports to what a measure needs: every way against exact values, order, and what contradicts."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.effects.derive import Derived, derive
from metaback.effects.overlooked import overlooked
from metaback.effects.ways import CONVENTIONS, DEFAULTS, WAYS, Way, chosen
from metaback.errors import OptionError
from metaback.stats.conversions import CONVERSIONS
from metaback.stats.conversions.five_numbers import luo_wan_shi, quantile_estimation
from metaback.stats.conversions.five_numbers_transformed import box_cox, log_normal, unknown_non_normal

EXACT = 1e-13  # closed forms and quantiles in double precision, against 50 digits
ROUND_TRIP = 1e-9  # there and back again, over a square root and a quantile
SECONDS = 5.0  # for 100 000 rows on a slow machine; they take a tenth of it


def table(**roles: Any) -> dict[str, np.ndarray]:
    """Make a table of one row, or of several where lists are given."""
    return {role: np.atleast_1d(np.array(value, dtype=float)) for role, value in roles.items()}


def one(wanted: str, assumed: float | None = None, **roles: Any) -> float:
    """Derive one number of one row."""
    found = derive(table(**roles), [wanted], assume=None if assumed is None else {"r": assumed})
    return float(found.values[wanted][0])


def path(found: Derived, row: int = 0) -> list[str]:
    """Return the conversions of a row."""
    return [step.conversion for step in found.steps[row]]


SIZES = {"n_1": 25, "n_2": 22}
MEANS = {"mean_1": 13.8, "mean_2": 10.0}  # 3.8 apart, as in the Handbook's example of section 6.5.2.3
PAIRS = {"mean_pre_1": 10, "sd_pre_1": 3, "mean_post_1": 11, "sd_post_1": 3.5, "n_1": 21}
# 50-digit arithmetic, rounded to 17 digits: quantiles of t by the root of the incomplete beta function
VALUES: dict[str, tuple[str, dict[str, float], float]] = {
    "SE": ("sd_1", {"se_1": 0.97, "n_1": 25}, 4.85),
    "SE of arm 2": ("sd_2", {"se_2": 0.97, "n_2": 25}, 4.85),
    "SE of one group": ("sd", {"se": 0.97, "n": 25}, 4.85),
    "CI": ("sd_1", {"mean_ci_low_1": 30, "mean_ci_high_1": 34, "n_1": 25}, 4.8451993648912135),
    "CI of 90%": ("sd_1", {"mean_ci_low_1": 30, "mean_ci_high_1": 34, "n_1": 25, "ci_level": 90}, 5.8449381856459594),
    "t": ("sd_1", {**SIZES, **MEANS, "t": 2.78}, 4.6759646200131181),
    "F": ("sd_2", {**SIZES, **MEANS, "f_value": 2.78**2}, 4.6759646200131181),
    "P": ("sd_1", {**SIZES, **MEANS, "p": 0.008}, 4.6834693413750982),
    "CI of the difference": ("sd_1", {**SIZES, "md_low": 1.04, "md_high": 6.56}, 4.6876992165014427),
    "SE of the difference": ("sd_2", {"n_1": 8, "n_2": 8, "md_se": 0.5}, 1.0),
    "quartiles": ("sd_1", {"q1_1": 10, "q3_1": 20, "n_1": 40}, 7.6892990147942130),
    "width of the quartiles": ("sd_1", {"iqr_1": 10, "n_1": 40}, 7.6892990147942130),
    "range": ("sd_2", {"min_2": 10, "max_2": 50, "n_2": 25}, 10.182175192102885),
    "MAD": ("sd", {"mad": 2}, 2.9652044370112037),
    "median": ("mean_1", {"median_1": 7}, 7.0),
    "percentage": ("events_1", {"percent_1": 33, "n_1": 12}, 4.0),
    "the other arm": ("events_2", {"events_total": 9, "events_1": 4}, 5.0),
    "non-events": ("events_1", {"nonevents_1": 7, "n_1": 10}, 3.0),
    "cells": ("n_2", {"events_2": 3, "nonevents_2": 7}, 10.0),
    "odds ratio": ("events_1", {"odds_ratio": 2.05, "n_1": 122, "n_2": 118, "events_total": 56}, 36.0),
    "risk ratio": ("events_2", {"risk_ratio": 1.74, "n_1": 122, "n_2": 118, "events_total": 56}, 20.0),
    "phi": ("events_1", {"phi": 0.15, "n_1": 122, "n_2": 118, "events_total": 56}, 36.0),
    "chi-square": ("events_1", {"chi2": 4.65, "sign": 1, "n_1": 122, "n_2": 118, "events_total": 56}, 36.0),
    "chi-square the other way": (
        "events_2",
        {"chi2": 4.65, "sign": -1, "n_1": 118, "n_2": 122, "events_total": 56},
        36,
    ),
    "d from t": ("d", {**SIZES, "t": 2.78}, 2.78 * (1 / 25 + 1 / 22) ** 0.5),
    "d from F": ("d", {**SIZES, "f_value": 2.78**2, "sign": -1}, -2.78 * (1 / 25 + 1 / 22) ** 0.5),
    "d from P": ("d", {**SIZES, "p": 0.008, "sign": 3}, 0.81136433763529118),
    "change": ("mean_change_1", {"mean_pre_1": 10, "mean_post_1": 12}, 2.0),
    "SD of change from SE": ("sd_change_1", {"se_change_1": 0.5, "n_1": 25}, 2.5),
    "SD of change from r": ("sd_change_2", {"sd_pre_2": 3, "sd_post_2": 4, "r_2": 0.5}, 13**0.5),
    "SD of change from t": ("sd_change_1", {"mean_change_1": 2, "t_change_1": 4, "n_1": 16}, 2.0),
    "SD of change from F": ("sd_change_1", {"mean_change_1": 2, "f_change_1": 16, "n_1": 16}, 2.0),
    "SD of change from P": ("sd_change_1", {**PAIRS, "p_change_1": 0.04}, 2.0861582575772922),
    "r from SDs": ("r_1", {"sd_pre_1": 3, "sd_post_1": 4, "sd_change_1": 5}, 0.0),
    "r from P": ("r_1", {**PAIRS, "p_change_1": 0.04}, 0.80466398687343220),
    "r from SE": ("r_2", {"sd_pre_2": 3, "sd_post_2": 4, "se_change_2": 1, "n_2": 25}, 0.0),
    "r of pairs": ("r", {"sd_1": 3, "sd_2": 4, "sd_change": 5}, 0.0),
    "r of the study": ("r_2", {"r": 0.7}, 0.7),
    "r of the other arm": ("r_2", {"r_1": 0.6}, 0.6),
    "final scores": ("mean_1", {f"{s}_post_{a}": 2 for s in ("mean", "sd") for a in "12"}, 2.0),
    "change scores": ("sd_2", {f"{s}_change_{a}": 3 for s in ("mean", "sd") for a in "12"}, 3.0),
}


@pytest.mark.parametrize("case", VALUES)
def test_each_way_gives_the_exact_number(case: str) -> None:
    wanted, roles, expected = VALUES[case]
    assert one(wanted, **roles) == pytest.approx(expected, rel=EXACT, abs=EXACT)


def test_no_way_is_left_without_a_number() -> None:
    gone = {key for wanted, roles, _ in VALUES.values() for key in path(derive(table(**roles), [wanted]))}
    five = {"mean-sd-luo-wan-shi", "mean-sd-qe", "mean-sd-bc", "mean-sd-mln", "mean-sd-lognormal"}
    checked = {"odds-ratio", "risk-ratio", "pooled-sd", "mean-after", "assumed"}  # below, and in the tests of routes
    assert {way.conversion for way in WAYS} - gone - five - checked == set()


@pytest.mark.parametrize("word", ["LWS", "QE", "BC", "MLN", "LN"])
def test_five_numbers_take_the_estimator_that_is_chosen(word: str) -> None:
    roles = {"median_1": 12.0, "q1_1": 9.0, "q3_1": 16.0, "n_1": 40.0}
    found = derive(table(**roles), ["mean_1", "sd_1"], options={"five_numbers": word})
    blank = np.array([np.nan])
    numbers = (blank, *(np.array([roles[role]]) for role in ("q1_1", "median_1", "q3_1")), blank, np.array([40.0]))
    kernels = {"LWS": luo_wan_shi, "QE": quantile_estimation, "BC": box_cox, "MLN": unknown_non_normal}
    kernel = kernels.get(word, log_normal)(*numbers)
    assert found.values["mean_1"] == kernel.mean
    assert found.values["sd_1"] == kernel.sd
    assert len(found.steps[0]) == 1
    assert found.steps[0][0].gives == ("mean_1", "sd_1")
    assert found.steps[0][0].takes == ("q1_1", "median_1", "q3_1", "n_1")


def test_the_estimator_for_normal_data_stands_in_where_the_chosen_one_cannot_fit() -> None:
    roles = table(median_1=12, q1_1=9, q3_1=17, n_1=40)  # longer on one side than any power of normal data with a mean
    assert path(derive(roles, ["mean_1", "sd_1"], options={"five_numbers": "BC"})) == ["mean-sd-luo-wan-shi"]


def test_a_reported_mean_stays_where_quartiles_give_the_sd() -> None:
    found = derive(table(mean_1=12.5, median_1=12, q1_1=9, q3_1=17, n_1=40), ["mean_1", "sd_1"])
    assert found.values["mean_1"] == 12.5
    assert found.steps[0][0].gives == ("sd_1",)


def test_the_skewness_test_is_told_where_it_rejects() -> None:
    found = derive(table(median_1=[12, 12], q1_1=[9, 11], q3_1=[15, 40], n_1=[40, 400]), ["sd_1"])
    assert [steps[0].assumes for steps in found.steps] == [
        "the data are normal",
        "the data are normal, which the skewness test rejects",
    ]


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(OptionError, match="five_numbers='median' is not known"):
        chosen({"five_numbers": "median"})
    with pytest.raises(OptionError, match="is not known"):
        chosen({"vtype": "LS"})
    assert set(DEFAULTS) == set(CONVENTIONS)


# ---------------------------------------------------------------- which way


def test_what_is_given_stays_and_identities_come_before_estimates() -> None:
    full = {"sd_1": 4, "se_1": 1, "q1_1": 1, "median_1": 2, "q3_1": 3, "n_1": 25, "mad_1": 9}
    assert path(derive(table(**full), ["sd_1"])) == []
    del full["sd_1"]
    assert path(derive(table(**full), ["sd_1"])) == ["sd-from-se"]
    del full["se_1"]
    assert path(derive(table(**full), ["sd_1"])) == ["mean-sd-luo-wan-shi"]
    del full["median_1"]
    assert path(derive(table(**full), ["sd_1"])) == ["sd-from-iqr"]
    del full["q1_1"]
    assert path(derive(table(**full), ["sd_1"])) == ["sd-from-mad"]


def test_a_grade_ends_the_search() -> None:
    roles = table(q1_1=1, q3_1=3, n_1=25)
    assert np.isnan(derive(roles, ["sd_1"], grade="exact").values["sd_1"][0])
    assert np.isfinite(derive(roles, ["sd_1"], grade="estimated").values["sd_1"][0])


def test_ways_build_on_each_other_and_only_what_was_used_is_told() -> None:
    roles = {"sd_pre_1": 3, "sd_post_1": 4, "mean_pre_1": 10, "mean_post_1": 12, "t_change_1": 2, "n_1": 25}
    found = derive(table(**roles), ["r_1"])
    assert path(found) == ["mean-change", "sd-change-from-t", "r-from-sds"]
    assert found.values["r_1"][0] == pytest.approx(0, abs=EXACT)
    assert [step.gave for step in found.steps[0]][:2] == [(2.0,), (5.0,)]
    assert path(derive(table(**roles), ["mean_change_1"])) == ["mean-change"]


def test_two_kinds_of_scores_are_never_mixed() -> None:
    change = {f"{s}_change_{a}": 3.0 for s in ("mean", "sd") for a in "12"}
    found = derive(table(**change, mean_1=7), ["mean_1", "sd_1", "mean_2", "sd_2"])
    assert found.values["mean_1"] == 7
    assert all(np.isnan(found.values[role][0]) for role in ("sd_1", "mean_2", "sd_2"))
    assert path(found) == []


def test_the_sd_of_one_arm_is_never_lent_to_the_other() -> None:
    assert np.isnan(one("sd_2", sd_1=4, mean_1=12, mean_2=10, **SIZES))


def test_a_correlation_is_assumed_last_and_only_where_asked() -> None:
    solvable = {"sd_pre_1": 3, "sd_post_1": 4, "sd_change_1": 5}
    assert one("r_1", assumed=0.9, **solvable) == pytest.approx(0, abs=EXACT)
    assert one("r_1", assumed=0.9, r_1=0.2) == 0.2
    assert one("r_2", assumed=0.9, r_1=0.2) == 0.2  # of the same trial, rather than made up
    assert np.isnan(one("r_1", sd_pre_1=3))
    found = derive(table(sd_pre_1=3), ["r_1", "r_2"], assume={"r": 0.9})
    assert [(step.conversion, step.gives, step.gave) for step in found.steps[0]] == [
        ("assumed", ("r_1",), (0.9,)),
        ("assumed", ("r_2",), (0.9,)),
    ]


def test_an_assumed_correlation_leads_on_to_the_sd_of_the_change() -> None:
    assert one("sd_change_1", assumed=0.5, sd_pre_1=3, sd_post_1=4) == pytest.approx(13**0.5, rel=EXACT)


def test_contradictions_give_nothing() -> None:
    assert np.isnan(one("r_1", sd_pre_1=1, sd_post_1=1, sd_change_1=5))
    assert np.isnan(one("events_1", percent_1=33, n_1=10))


def test_nothing_is_changed_and_blank_rows_stay_blank() -> None:
    roles = table(se_1=[1, np.nan, 2], n_1=[25, 25, np.nan])
    before = {role: column.copy() for role, column in roles.items()}
    found = derive(roles, ["sd_1"], rows=np.array([False, True, True]))
    assert np.isnan(found.values["sd_1"]).all()
    assert found.steps == ((), (), ())
    assert all(np.array_equal(roles[role], before[role], equal_nan=True) for role in before)
    assert derive({}, ["sd_1"]).steps == ()
    assert derive({}, ["sd_1"], rows=np.array([True, True])).values["sd_1"].shape == (2,)


@given(st.lists(st.tuples(*[st.floats(0.1, 1e3)] * 3, st.integers(5, 500)), min_size=1, max_size=6))
def test_rows_do_not_know_each_other(rows: list[tuple[float, float, float, int]]) -> None:
    columns = np.array(rows, dtype=float).T
    roles = {"se_1": columns[0], "mad_1": columns[1], "iqr_1": columns[2], "n_1": columns[3]}
    roles["se_1"] = np.where(columns[0] > 500, np.nan, roles["se_1"])
    together = derive(roles, ["sd_1"])
    for i in range(len(rows)):
        alone = derive({role: column[i : i + 1] for role, column in roles.items()}, ["sd_1"])
        assert alone.values["sd_1"][0] == together.values["sd_1"][i]
        assert alone.steps[0] == together.steps[i]


@given(st.floats(0.5, 50), st.floats(0.5, 50), st.floats(-0.95, 0.95), st.integers(3, 300), st.floats(0.2, 30))
def test_a_correlation_comes_back_from_every_statistic_of_the_change(
    pre: float, post: float, r: float, n: int, change: float
) -> None:
    sd = (pre**2 + post**2 - 2 * r * pre * post) ** 0.5
    base = {"sd_pre_1": pre, "sd_post_1": post, "mean_pre_1": 10.0, "mean_post_1": 10.0 + change, "n_1": n}
    t = change / sd * n**0.5
    room = ROUND_TRIP * max(1.0, (sd / pre) * (sd / post), 10 / change)
    for statistic in ({"se_change_1": sd / n**0.5}, {"t_change_1": t}, {"f_change_1": t * t}):
        assert one("r_1", **base, **statistic) == pytest.approx(r, abs=room)


def test_many_rows_are_fast() -> None:
    k = 100_000
    rng = np.random.default_rng(1)
    roles = {f"n_{a}": rng.integers(10, 90, k).astype(float) for a in "12"}
    roles |= {f"mean_{a}": rng.normal(10, 2, k) for a in "12"}
    roles |= {"se_1": rng.uniform(0.5, 1, k), "t": rng.normal(0, 2, k), "sd_2": rng.uniform(1, 3, k)}
    start = time.perf_counter()
    found = derive(roles, ["mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"])
    assert time.perf_counter() - start < SECONDS
    assert np.isfinite(found.values["sd_1"]).all()


# ---------------------------------------------------------------- what else the row says


def said(wanted: str, **roles: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is ignored and what contradicts, of one row."""
    ignored, apart = overlooked(table(**roles), [wanted], rows=np.array([True]))
    return ignored[0], apart[0]


def test_what_was_ignored_is_told_and_rounding_is_no_contradiction() -> None:
    assert said("sd_1", sd_1=4.9, se_1=0.97, n_1=25) == (("SD from SE (se_1 = 0.97)",), ())
    assert said("sd_1", sd_1=4.85, n_1=25) == ((), ())


@pytest.mark.parametrize(("sd", "apart"), [(4.8, False), (4.9, False), (4.7, True), (5.0, True)])
def test_rounding_of_both_numbers_is_allowed_for_and_no_more(sd: float, apart: bool) -> None:
    # 0.97 +- 0.005 times 5 is 4.825 to 4.875; 4.8 and 4.9 may be from 4.75 to 4.95, and 5 (one digit) from 4.5 to 5.5
    found = said("sd_1", sd_1=sd, se_1=0.97, n_1=25)[1]
    assert bool(found) == (apart and sd != 5.0)


def test_a_test_that_does_not_fit_the_sds_is_told() -> None:
    roles = {"mean_1": 13.8, "sd_1": 4.6, "mean_2": 10.0, "sd_2": 4.7, **SIZES}
    assert said("sd_1", **roles, t=2.8)[1] == ()
    (words,) = said("sd_1", **roles, t=1.2)[1]
    assert words.startswith("SD within groups is 4.647 by Pooled SD (")
    assert (
        words.endswith("but 10.83 by Pooled SD from t (mean_1 = 13.8, mean_2 = 10, t = 1.2)")
        or "from t (t = 1.2)" in words
    )


def test_estimates_are_never_held_against_a_reported_number() -> None:
    ignored, apart = said("sd_1", sd_1=4, q1_1=0, q3_1=50, median_1=20, n_1=40)
    assert len(ignored) == 2
    assert apart == ()


def test_two_identities_that_differ_are_told_where_neither_is_given() -> None:
    (words,) = said("sd_1", se_1=0.97, mean_ci_low_1=10.0, mean_ci_high_1=20.0, n_1=25)[1]
    assert words == (
        "sd_1 is 4.850 by SD from SE (se_1 = 0.97), "
        "but 12.11 by SD from the CI of a mean (mean_ci_low_1 = 10, mean_ci_high_1 = 20)"
    )


def test_every_way_is_sound() -> None:
    for way in WAYS:
        assert isinstance(way, Way)
        assert way.conversion in CONVERSIONS
        assert not set(way.gives) & set(way.takes)
        assert way.optional <= set(way.takes)
        assert (way.grade == "exact") or way.assumes


def test_only_words_that_exist_are_offered() -> None:
    with pytest.raises(OptionError, match="five_numbers='BLUE' is not known") as caught:
        chosen({"five_numbers": "BLUE"})
    assert "LWS, QE, BC, MLN, LN" in str(caught.value)
