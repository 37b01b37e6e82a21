"""Conversions against R: t.test, aov, cor, chisq.test on known data, and escalc (generate_conversions.R)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from metaback.stats.conversions import arms, effects, five_numbers, pre_post_r, spread
from metaback.stats.conversions.family import t_from_p, z_from_p

CLOSED = 1e-10  # closed formulas; R and numpy sum in another order
SHIFTED = 1e-8  # data near 1e6: the SDs that R reports have lost six digits themselves
R_QT = 1e-7  # R's qt(5e-301, 3.5) is off by 4.4e-8, as 50-digit arithmetic shows (test_exact.py); the rest is not
DATA = json.loads((Path(__file__).parents[2] / "reference" / "conversions.json").read_text(encoding="utf-8"))


def columns(table: str) -> dict[str, np.ndarray]:
    rows = DATA[table]
    return {
        key: np.array([np.nan if row[key] is None else row[key] for row in rows])
        for key in rows[0]
        if key != "name" and not isinstance(rows[0][key], list)
    }


def same(found: np.ndarray, wanted: np.ndarray, tolerance: float = CLOSED) -> None:
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=0)


def test_the_pooled_sd_comes_back_from_every_statistic_of_a_t_test() -> None:
    g = columns("groups")
    sizes = (g["n_1"], g["n_2"])
    same(spread.pooled_sd_from_t(g["effect"], g["t"], *sizes), g["sd"])
    same(spread.pooled_sd_from_f(g["effect"], g["f"], *sizes), g["sd"])
    same(spread.pooled_sd_from_p(g["effect"], g["p"], *sizes), g["sd"])
    same(spread.pooled_sd_from_se(g["se"], *sizes), g["sd"])
    same(spread.pooled_sd_from_ci(g["ci_low"], g["ci_high"], *sizes, level=g["level"]), g["sd"])


def test_the_se_comes_back_from_every_statistic_of_a_t_test() -> None:
    g = columns("groups")
    same(spread.se_from_t(g["effect"], g["t"]), g["se"])
    same(spread.se_from_f(g["effect"], g["f"]), g["se"])
    same(spread.se_from_p_t(g["effect"], g["p"], g["df"]), g["se"])
    same(spread.se_from_ci_t(g["ci_low"], g["ci_high"], g["df"], level=g["level"]), g["se"])


def test_d_comes_back_from_every_statistic_of_a_t_test() -> None:
    g = columns("groups")
    d, sign, sizes = g["effect"] / g["sd"], np.sign(g["effect"]), (g["n_1"], g["n_2"])
    same(effects.d_from_t(g["t"], *sizes), d)
    same(effects.d_from_f(g["f"], *sizes, sign), d)
    same(effects.d_from_p(g["p"], *sizes, sign), d)
    same(effects.t_from_d(d, *sizes), g["t"])


def test_the_sd_of_the_change_and_r_come_back_from_a_paired_t_test() -> None:
    q = columns("pairs")
    change, n = q["mean_post"] - q["mean_pre"], q["n"]
    means = (q["mean_pre"], q["sd_pre"], q["mean_post"], q["sd_post"], n)
    same(spread.sd_change_from_t(change, q["t"], n), q["sd_change"])
    same(spread.sd_change_from_p(change, q["p"], n), q["sd_change"])
    same(spread.sd_change_from_r(q["sd_pre"], q["sd_post"], q["r"]), q["sd_change"])
    same(spread.sd_from_ci(q["ci_low"], q["ci_high"], n, level=q["level"]), q["sd_change"])
    same(spread.sd_from_ci(q["post_low"], q["post_high"], n, level=q["level"]), q["sd_post"])
    same(pre_post_r.r_from_sds(q["sd_pre"], q["sd_post"], q["sd_change"]), q["r"])
    same(pre_post_r.r_from_se_change(q["sd_pre"], q["sd_post"], n, q["se_change"]), q["r"])
    same(pre_post_r.r_from_paired_t(*means, q["t"]), q["r"])
    same(pre_post_r.r_from_paired_f(*means, q["t"] ** 2), q["r"])
    same(pre_post_r.r_from_paired_p(*means, q["p"]), q["r"])
    limits = (q["ci_low"], q["ci_high"])
    same(pre_post_r.r_from_change_ci(q["sd_pre"], q["sd_post"], n, *limits, level=q["level"]), q["r"])


@pytest.mark.parametrize("case", DATA["arms"], ids=lambda case: case["name"])
def test_combined_arms_are_the_raw_data_put_together(case: dict) -> None:
    out = arms.combine_means(*(np.array([case[key]]) for key in ("n", "mean", "sd")))
    assert out.n[0] == case["all_n"]
    same(out.mean, np.array([case["all_mean"]]))
    same(out.sd, np.array([case["all_sd"]]), SHIFTED if case["name"] == "shifted" else CLOSED)


def test_counts_come_back_from_the_association_and_the_margins() -> None:
    c = columns("counts")
    margins = (c["n_1"], c["n_2"], c["events_1"] + c["events_2"])
    for out in (
        arms.counts_from_odds_ratio(c["or"], *margins),
        arms.counts_from_risk_ratio(c["rr"], *margins),
        arms.counts_from_phi(c["phi"], *margins),
        arms.counts_from_chi2(c["chi2"], *margins, yates=False),
    ):
        np.testing.assert_array_equal(out.events_1, c["events_1"])
        np.testing.assert_array_equal(out.events_2, c["events_2"])
        same(out.unrounded_1, c["events_1"], SHIFTED)  # phi and OR of 1 in 1e5 determine the count to 1e-9
    out = arms.counts_from_chi2(c["chi2_yates"], *margins)
    wanted = np.where(c["chi2_yates"] == 0, np.nan, c["events_1"])  # R's corrected statistic of 0 says nothing
    np.testing.assert_array_equal(out.events_1, wanted)


@pytest.mark.parametrize("decimals", [1, 2])
def test_counts_come_back_from_printed_statistics(decimals: int) -> None:
    c = {key: value[:5] for key, value in columns("counts").items()}
    c = {key: value[[0, 2, 3, 4]] for key, value in c.items()}
    margins = (c["n_1"], c["n_2"], c["events_1"] + c["events_2"])
    found = arms.counts_from_chi2(np.round(c["chi2_yates"], decimals), *margins).events_1
    np.testing.assert_array_equal(found, c["events_1"])


def test_d_and_the_log_odds_ratio_agree_with_escalc() -> None:
    o = columns("d_or")
    for method in ("hasselblad", "cox"):
        d = effects.d_from_log_odds(o["yi"], np.sqrt(o["vi"]), method=method)
        same(d.yi, o[f"{method}_yi"])
        same(d.sei**2, o[f"{method}_vi"])
        back = effects.log_odds_from_d(d.yi, d.sei, method=method)
        same(back.yi, o["yi"])
        same(back.sei**2, o["vi"])


@pytest.mark.parametrize("transform", ["logit", "log", "arcsine"])
def test_the_delta_method_agrees_with_the_measures_of_escalc(transform: str) -> None:
    s = columns("single")
    out = effects.delta_method(s["yi"], np.sqrt(s["vi"]), transform=transform)
    same(out.yi, s[f"{transform}_yi"])
    same(out.sei**2, s[f"{transform}_vi"])


def test_quantiles_behind_p_values_agree_with_qt_and_qnorm() -> None:
    q = columns("quantiles")
    same(z_from_p(q["p"]), q["z"])
    found = t_from_p(q["p"], q["df"])
    usual = q["p"] > 1e-30
    same(found[usual], q["t"][usual])
    same(found[~usual], q["t"][~usual], R_QT)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_five_numbers_agree_with_the_printed_equations(kind: int) -> None:
    f = columns("fives")
    lost = np.full(f["n"].shape, np.nan)
    ends = [f["min"], f["max"]] if kind != 2 else [lost, lost]
    box = [f["q1"], f["q3"]] if kind != 1 else [lost, lost]
    numbers = (ends[0], box[0], f["median"], box[1], ends[1], f["n"])
    out = five_numbers.luo_wan_shi(*numbers)
    same(out.mean, f[f"mean_{kind}"])
    same(out.sd, f[f"sd_{kind}"])
    assert set(out.scenario) == {kind}
    test = five_numbers.skewness_test(*numbers)
    np.testing.assert_allclose(test.statistic, f[f"test_{kind}"], rtol=CLOSED, atol=1e-15)
    same(test.critical, f[f"critical_{kind}"])
    np.testing.assert_array_equal(test.skewed, f[f"test_{kind}"] > f[f"critical_{kind}"])


def test_the_grid_cannot_shrink() -> None:
    least = {"groups": 6, "pairs": 5, "arms": 4, "counts": 10, "d_or": 10, "single": 4, "quantiles": 70, "fives": 7}
    assert {key: len(DATA[key]) for key in least} == least
    assert DATA["meta"]["metafor"] == "3.8.1"
