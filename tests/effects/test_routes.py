"""A messy table from start to end: each row by its own route, the record of it, and what the notes say."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import DataError, OptionError
from metaback.models.specs import PoolSpec
from metaback.report.methods import methods_text

EXACT = 1e-12  # closed forms and quantiles in double precision
SAME = 1e-10  # an SD to its SE and back
SECONDS = 30.0  # for 100 000 rows on a slow machine; they take a few seconds
COLUMNS = [
    *("study", "row", "measure", "obtained", "inputs", "formulas", "assumed", "ignored", "disagreements"),
    *("corrections", "yi", "vi", "reason"),
]
SIZES = {"n_1": 25, "n_2": 22}
MEANS = {**SIZES, "mean_1": 12, "sd_1": 4.85, "mean_2": 10, "sd_2": 4.1}
METAFOR = {"preset": "metafor"}


def effects(*rows: dict[str, Any], **options: Any) -> EffectSizes:
    """Compute the effects of rows, named A, B, C ... unless they have a study."""
    return effect_sizes(pd.DataFrame([{"study": "ABCDEFGHIJKL"[i], **row} for i, row in enumerate(rows)]), **options)


def g_of(d: float, n_1: int, n_2: int) -> tuple[float, float]:
    """Return Hedges' g and its large-sample variance from d, with the exact J of n_1 + n_2 - 2 degrees of freedom."""
    m = n_1 + n_2 - 2
    j = math.exp(math.lgamma(m / 2) - math.log(m / 2) / 2 - math.lgamma((m - 1) / 2))
    return j * d, 1 / n_1 + 1 / n_2 + (j * d) ** 2 / (2 * (n_1 + n_2))


MESSY: dict[str, tuple[dict[str, Any], float, str]] = {  # row, d by hand, route
    "means": (MEANS, 2 / ((24 * 4.85**2 + 21 * 4.1**2) / 45) ** 0.5, "means and SDs"),
    "SEs": (
        {**SIZES, "mean_1": 12, "se_1": 0.97, "mean_2": 10, "se_2": 0.9},
        2 / ((24 * 25 * 0.97**2 + 21 * 22 * 0.9**2) / 45) ** 0.5,
        "means and SDs, SD from SE",
    ),
    "CIs": (
        {"n_1": 25, "n_2": 25, "mean_1": 32, "mean_2": 30}
        | {"mean_ci_low_1": 30, "mean_ci_high_1": 34, "mean_ci_low_2": 28, "mean_ci_high_2": 32},
        2 / 4.8451993648912135,
        "means and SDs, SD from the CI of a mean",
    ),
    "ranges": (
        {**SIZES, "mean_1": 12, "mean_2": 10, "min_1": 0, "max_1": 40, "min_2": 0, "max_2": 40} | {"n_2": 25},
        2 / 10.182175192102885,
        "means and SDs, SD from the range",
    ),
    "t": ({**SIZES, "t": 2.78}, 2.78 * (1 / 25 + 1 / 22) ** 0.5, "standardised mean difference d, d from t"),
    "P": ({**SIZES, "p": 0.008, "sign": -1}, -0.81136433763529118, "standardised mean difference d, d from P"),
    "d": ({**SIZES, "d": -0.4}, -0.4, "standardised mean difference d"),
    "t beside means": (
        {**SIZES, "mean_1": 12, "mean_2": 8.2, "t": 2.78},
        2.78 * (1 / 25 + 1 / 22) ** 0.5,
        "standardised mean difference d, d from t",
    ),
}


def test_a_messy_table_ends_in_the_right_effects() -> None:
    found = effects(*(row for row, _, _ in MESSY.values()), measure="SMD", **METAFOR)
    for i, (row, d, route) in enumerate(MESSY.values()):
        yi, vi = g_of(d, row["n_1"], row["n_2"])
        assert found.yi[i] == pytest.approx(yi, rel=EXACT), list(MESSY)[i]
        assert found.vi[i] == pytest.approx(vi, rel=EXACT), list(MESSY)[i]
        assert found.obtained[i] == route
    assert found.k == len(MESSY)


def test_t_and_d_give_what_escalc_gives() -> None:
    """Metafor 3.8-1: escalc("SMD", ti=2.78, n1i=25, n2i=22) and escalc("SMD", di=-0.4, ...)."""
    found = effects({**SIZES, "t": 2.78}, {**SIZES, "d": -0.4}, measure="SMD", **METAFOR)
    assert found.yi == pytest.approx([0.799033690854396, -0.393289817750911], rel=EXACT)
    assert found.vi == pytest.approx([0.0922466182111454, 0.0871000441858917], rel=EXACT)


def test_quartiles_and_counts_come_by_their_ways() -> None:
    found = effects(
        {"n_1": 40, "median_1": 12, "q1_1": 9, "q3_1": 16, "n_2": 40, "mean_2": 10, "sd_2": 4}, measure="MD"
    )
    mean = (0.7 + 0.39 / 40) * (9 + 16) / 2 + (1 - 0.7 - 0.39 / 40) * 12  # Luo et al. 2018, equation 11
    sd = 7 / (10 / 7.6892990147942130)  # Wan et al. 2014, equation 16, with its width at n = 40 in 50 digits
    assert found.yi[0] == pytest.approx(mean - 10, rel=EXACT)
    assert found.vi[0] == pytest.approx(sd**2 / 40 + 16 / 40, rel=EXACT)
    counts = effects({"events_1": 3, "n_1": 20, "n_2": 20, "percent_2": 25}, measure="RR")
    assert counts.yi[0] == pytest.approx(np.log(3 / 5), rel=EXACT)
    assert counts.inputs["events_2"][0] == 5
    margins = {"n_1": 122, "n_2": 118, "events_total": 56, "effect": 2.05, "measure": "OR"}
    table = effects(margins, measure="RD")
    assert table.yi[0] == pytest.approx(36 / 122 - 20 / 118, rel=EXACT)


def test_a_mean_difference_from_t_keeps_its_standard_error() -> None:
    found = effects({**SIZES, "mean_1": 12, "mean_2": 8.2, "t": 2.78}, measure="MD")
    assert found.yi[0] == pytest.approx(3.8, rel=EXACT)
    assert found.vi[0] == pytest.approx((3.8 / 2.78) ** 2, rel=EXACT)


PRINTED: dict[str, tuple[dict[str, Any], str, float, float]] = {
    # z of P = 0.17 is 1.372203808; of 90% limits 1.6448536269514727, of 95% limits 1.959963984540054
    "ratio with P": ({"effect": 0.64, "p": 0.17}, "RR", np.log(0.64), np.log(0.64) / 1.3722038089987258),
    "90% CI": (
        {"effect": 0.64, "ci_low": 0.33, "ci_high": 1.22, "ci_level": 90},
        "OR",
        np.log(0.64),
        np.log(1.22 / 0.33) / (2 * 1.6448536269514727),
    ),
    "limits alone": (
        {"ci_low": 0.33, "ci_high": 1.22},
        "RR",
        np.log(0.33 * 1.22) / 2,
        np.log(1.22 / 0.33) / (2 * 1.959963984540054),
    ),
    "one limit": ({"effect": 0.5, "ci_high": 1.0}, "RR", np.log(0.5), np.log(2) / 1.959963984540054),
    "difference with t": ({"effect": 3.8, "t": -2.78}, "MD", 3.8, 3.8 / 2.78),
    "difference with P": ({"effect": 3.8, "p": 0.008, **SIZES}, "MD", 3.8, 3.8 / 2.7755453694973524),
    "SMD with P": ({"effect": 0.5, "p": 0.05}, "SMD", 0.5, 0.5 / 1.959963984540054),
    "yi with t": ({"yi": -0.5, "t": 2.5}, "ROM", -0.5, 0.2),
    "log-rank P": (
        {"p": 0.05, "events_total": 100, "n_1": 80, "n_2": 80, "sign": -1},
        "HR",
        -1.959963984540054 / 5,
        0.2,
    ),
}


@pytest.mark.parametrize("case", PRINTED)
def test_a_ready_made_effect_gets_its_standard_error_from_what_stands_beside_it(case: str) -> None:
    row, key, yi, sei = PRINTED[case]
    found = effects({**row, "measure": key}, measure=key)
    assert found.yi[0] == pytest.approx(yi, rel=EXACT)
    assert found.vi[0] == pytest.approx(sei**2, rel=EXACT)
    assert found.routes()["inputs"][0]


def test_the_order_of_routes() -> None:
    quartiles = {**SIZES, **{f"{role}_{a}": v for a in "12" for role, v in (("q1", 9), ("median", 12), ("q3", 16))}}
    printed = {"effect": 0.5, "ci_low": 0.1, "ci_high": 0.9, "measure": "SMD"}
    found = effects(
        MEANS | quartiles | printed,
        quartiles | printed | {"t": 2.0},
        quartiles | {"t": 2.0},
        quartiles,
        {**SIZES, "mean_1": 12, "mean_2": 10, "se_1": 1, "se_2": 1} | printed,
        measure="SMD",
    )
    assert found.obtained == (
        "means and SDs",
        "printed effect with 95% CI",
        "standardised mean difference d, d from t",
        "means and SDs, mean and SD from five numbers (Luo, Wan, Shi)",
        "means and SDs, SD from SE",
    )


def test_change_scores_are_marked() -> None:
    change = {**SIZES, "mean_change_1": -3, "se_change_1": 0.5, "mean_change_2": -1, "se_change_2": 0.6}
    found = effects(change, measure="MD")
    assert found.yi[0] == -2
    assert found.vi[0] == pytest.approx(0.25 + 0.36, rel=EXACT)
    assert found.score_types == ("change",)
    with pytest.raises(DataError, match="change"):
        effects(change, MEANS, measure="SMD")


def test_a_row_that_lacks_a_correlation_is_told_how_to_go_on() -> None:
    pre_post = {f"{s}_{t}_{a}": 3.0 + (t == "post") for s in ("mean", "sd") for t in ("pre", "post") for a in "12"}
    row = {**SIZES, **pre_post}
    (reason,) = effects(row, measure="DPPC2").reasons
    assert reason.startswith("r_1 and r_2 not given and not solvable from the SD, SE, CI, t, F or P of the change; ")
    assert reason.endswith("; give it, or assume one with r=0.5")
    found = effects(row, row | {"r_1": 0.5, "r_2": 0.5}, measure="DPPC2", r=0.5)
    assert found.yi[0] == found.yi[1]
    assert found.vi[0] == found.vi[1]
    assert found.routes()["assumed"].tolist() == ["r_1 = 0.5; r_2 = 0.5", ""]


def test_a_paired_test_stands_for_the_correlation() -> None:
    row = {"n": 20, "mean_1": 12, "sd_1": 4, "mean_2": 10, "sd_2": 3}
    t = 2 / (3.2 / 20**0.5)
    found = effects(row | {"t": t}, row | {"r": (16 + 9 - 3.2**2) / 24}, measure="SMCC", preset="metafor")
    assert found.yi == pytest.approx([0.599943970577658] * 2, rel=EXACT)  # metafor 3.8-1, escalc("SMCC")
    assert found.vi == pytest.approx([0.0589983191958122] * 2, rel=EXACT)


# ---------------------------------------------------------------- the record


def test_the_table_of_routes_tells_all() -> None:
    found = effects(MEANS | {"se_1": 0.5}, {**SIZES, "mean_1": 12, "se_1": 0.97, "mean_2": 10, "sd_2": 4}, {"n_1": 3})
    table = found.routes()
    assert list(table.columns) == COLUMNS
    assert table["inputs"][1] == "n_1 = 25, mean_1 = 12, n_2 = 22, mean_2 = 10, sd_2 = 4, se_1 = 0.97"
    assert table["formulas"][1].startswith("sd_1 = the standard error times √n = 4.8500; SMD = the difference")
    assert table["ignored"][0] == "SD from SE (se_1 = 0.5)"
    assert table["disagreements"][0] == "sd_1 is 4.85 as given, but 2.500 by SD from SE (se_1 = 0.5)"
    assert table["reason"].tolist()[:2] == ["", ""]
    assert table["reason"][2] == "mean_1, sd_1, mean_2, sd_2, n_2 not given"
    assert table["formulas"][2] == table["inputs"][2] == ""
    assert any("index 0 (A): sd_1 is 4.85 as given, but 2.500 by SD from SE" in note for note in found.notes)


def test_beliefs_are_notes_and_methods_cite_what_was_done() -> None:
    quartiles = {**SIZES, **{f"{role}_{a}": v for a in "12" for role, v in (("q1", 9), ("median", 12), ("q3", 16))}}
    found = effects(quartiles, MEANS, measure="MD")
    (words,) = (note for note in found.notes if "rests on" in note)
    assert words.startswith("1 row rests on the belief that the data are normal (mean and SD from five numbers (Luo")
    assert words.endswith("): A (index 0).")
    text, keys = methods_text(PoolSpec(), found)
    assert "Mean and SD from five numbers (Luo, Wan, Shi) (the estimators of Luo" in text
    assert {"luo2018", "wan2014", "shi2020"} <= set(keys)
    assert "derived" not in methods_text(PoolSpec(), effects(MEANS, measure="MD"))[0]


def test_a_printed_difference_that_does_not_fit_the_means_is_told() -> None:
    found = effects(MEANS | {"effect": 3.9, "measure": "MD"}, MEANS | {"effect": 2.9, "measure": "MD"}, measure="MD")
    (words,) = found.disagreements[0]
    assert words == "mean difference is 2.000 by Mean difference (mean_1 = 12, mean_2 = 10), but 3.9 as given"
    assert found.disagreements[1] == ()
    assert found.ignored[1][-1] == "printed effect (effect = 2.9)"


def test_options_of_derivation_are_options() -> None:
    row = {**SIZES, **{f"{role}_{a}": v for a in "12" for role, v in (("q1", 9), ("median", 12), ("q3", 20))}}
    usual, skewed = effects(row, measure="MD"), effects(row, measure="MD", options={"five_numbers": "QE"})
    assert skewed.vi[0] != usual.vi[0]
    assert "quantile estimation" in skewed.obtained[0]
    with pytest.raises(OptionError, match="five_numbers='mean' is not known"):
        effects(row, measure="MD", options={"five_numbers": "mean"})


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**SIZES, "mean_1": 1, "mean_2": 2, "p": 1.2}, "must be between 0 and 1"),
        ({**SIZES, "percent_1": 120, "percent_2": 20}, "must be between 0 and 100"),
        ({**SIZES, "median_1": 5, "q1_1": 6, "q3_1": 9, "mean_2": 1, "sd_2": 1}, "which must not be larger"),
        (MEANS | {"mean_ci_low_1": 13.0, "mean_ci_high_1": 14.0}, "must lie between its limits"),
        ({"effect": 0.5, "ci_low": 0.1, "measure": "MD"}, "only one limit"),
    ],
)
def test_impossible_numbers_are_refused(row: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_trials(pd.DataFrame([{"study": "A", **row}]))


def test_people_and_programs_name_the_columns() -> None:
    frame = pd.DataFrame(
        {
            "Author": ["A"],
            "n.e": [25],
            "median.e": [12],
            "q1.e": [9],
            "q3.e": [16],
            "N (control)": [22],
            "Mean (control)": [10],
            "SE (control)": [0.9],
        }
    )
    found = effect_sizes(frame, measure="MD")
    assert found.k == 1
    assert {step.conversion for step in found.steps[0]} == {"sd-from-se", "mean-sd-luo-wan-shi"}


# ---------------------------------------------------------------- invariants

NUMBER = st.floats(1, 100).map(lambda x: round(x, 2))


@given(NUMBER, NUMBER, NUMBER, NUMBER, st.integers(3, 200), st.integers(3, 200))
def test_an_sd_may_be_told_as_anything_that_gives_it(a: float, s: float, b: float, t: float, n: int, m: int) -> None:
    assume(abs(a - b) > 0.1)
    full = {"n_1": n, "mean_1": a, "sd_1": s, "n_2": m, "mean_2": b, "sd_2": t}
    rest = {role: value for role, value in full.items() if not role.startswith("sd")}
    within = (((n - 1) * s * s + (m - 1) * t * t) / (n + m - 2)) ** 0.5
    test = (a - b) / within / (1 / n + 1 / m) ** 0.5
    found = effects(
        full,
        rest | {"se_1": s / n**0.5, "se_2": t / m**0.5},
        rest | {"sd_1": s, "se_2": t / m**0.5},
        {"n_1": n, "n_2": m, "t": test},
        {"n_1": n, "n_2": m, "f_value": test**2, "sign": test},
        measure="SMD",
    )
    assert found.yi == pytest.approx([found.yi[0]] * 5, rel=SAME)
    assert found.vi == pytest.approx([found.vi[0]] * 5, rel=SAME)


ROWS = [
    {**SIZES, "mean_1": 12, "se_1": 0.97, "mean_2": 10, "sd_2": 4},
    {**SIZES, "median_1": 12, "q1_1": 9, "q3_1": 16, "mean_2": 10, "mad_2": 3},
    {**SIZES, "t": 2.78},
    {**SIZES, "d": -0.4},
    {**SIZES, "p": 0.008, "sign": -1},
    {**SIZES, "f_value": 5.0, "sign": 1},
    {**SIZES, "mean_1": 12, "mean_2": 8, "effect": 4.0, "ci_low": 1.0, "ci_high": 7.0, "measure": "MD"},
]
TURNED = {"t": -1, "d": -1, "sign": -1, "effect": -1}


@pytest.mark.parametrize("row", ROWS)
def test_an_exchange_of_the_arms_turns_the_effect(row: dict[str, Any]) -> None:
    names = {"treatment_1": "drug", "treatment_2": "placebo"}
    first = {"study": "first", **names, **MEANS}
    found = effects(first, names | row, {"treatment_1": "placebo", "treatment_2": "drug"} | row, measure="SMD")
    assert found.yi[2] == -found.yi[1]
    assert found.vi[2] == found.vi[1]
    assert found.corrections[2] == "arms swapped"


def test_counts_turn_with_their_arms() -> None:
    names = {"treatment_1": "drug", "treatment_2": "placebo"}
    row = {"n_1": 122, "n_2": 118, "events_total": 56, "effect": 2.05, "measure": "OR"}
    other = {"treatment_1": "placebo", "treatment_2": "drug"}
    back = {"n_1": 118, "n_2": 122, "events_total": 56, "effect": 1 / 2.05, "measure": "OR"}
    found = effects(
        names | row, other | back, names | {"percent_1": 30, "n_1": 20, "events_2": 3, "n_2": 20}, measure="RR"
    )
    assert found.yi[1] == pytest.approx(found.yi[0], rel=EXACT)
    assert found.yi[2] == pytest.approx(np.log(2), rel=EXACT)


def test_many_rows_are_fast() -> None:
    k = 100_000
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"n_{a}": rng.integers(10, 90, k) for a in "12"} | {"study": np.arange(k).astype(str)})
    frame["mean_1"], frame["mean_2"] = rng.normal(10, 2, k), rng.normal(9, 2, k)
    frame["se_1"], frame["se_2"] = rng.uniform(0.5, 1, k), rng.uniform(0.5, 1, k)
    trials = read_trials(frame)
    start = time.perf_counter()
    found = effect_sizes(trials, measure="SMD")
    assert found.k == k
    assert time.perf_counter() - start < SECONDS


def escalc_rows(y: list[float], v: list[float]) -> pd.DataFrame:
    """Return what summary(escalc) prints of an effect, without its variance."""
    half = 1.959963984540054 * np.sqrt(v)
    columns = {"yi": y, "ci.lb": np.array(y) - half, "ci.ub": np.array(y) + half}
    return pd.DataFrame({"study": [f"S{i}" for i in range(len(y))], **columns})


@pytest.mark.parametrize("measure", ["RR", "SMD", "PLO", "ZCOR"])
@pytest.mark.parametrize("shift", [0.0, 2.0, -2.0])
def test_limits_beside_an_effect_on_the_analysis_scale_are_on_that_scale(measure: str, shift: float) -> None:
    y, v = [0.1 + shift, -0.3 + shift, 0.4 + shift], [0.04, 0.05, 0.09]
    found = effect_sizes(read_trials(escalc_rows(y, v)), measure=measure)
    assert found.yi.tolist() == y
    np.testing.assert_allclose(found.vi, v, rtol=1e-12)
    assert set(found.obtained) == {"effect with 95% CI"}


def test_limits_as_printed_beside_a_log_ratio_are_known_by_their_middle() -> None:
    table = escalc_rows([0.5, -0.7], [0.04, 0.09])
    table[["ci.lb", "ci.ub"]] = np.exp(table[["ci.lb", "ci.ub"]])
    found = effect_sizes(read_trials(table), measure="OR")
    np.testing.assert_allclose(found.vi, [0.04, 0.09], rtol=1e-12)
    assert set(found.obtained) == {"effect with 95% CI, limits as printed"}


def test_limits_that_do_not_lie_around_an_effect_give_nothing() -> None:
    table = escalc_rows([0.5, 0.2], [0.04, 0.09]).assign(**{"ci.lb": [1.2, -0.388], "ci.ub": [9.8, 0.788]})
    found = effect_sizes(read_trials(table), measure="RR")
    assert found.estimable.tolist() == [False, True]
    assert found.reasons[0] == "its limits do not lie around its effect; check their scale and that of the effect"


def test_a_blank_effect_among_those_on_the_analysis_scale_takes_no_logs_of_its_limits() -> None:
    table = escalc_rows([2.1, 1.8], [0.04, 0.09]).assign(yi=[np.nan, 1.8])
    assert effect_sizes(read_trials(table), measure="RR").estimable.tolist() == [False, True]


def test_a_printed_ratio_keeps_the_scale_of_its_limits() -> None:
    rows = pd.DataFrame(
        {"study": ["A", "B"], "yi": [np.nan, 0.2], "vi": [np.nan, 0.04], "effect": [2.0, np.nan]}
    ).assign(ci_low=[1.0, np.nan], ci_high=[4.0, np.nan])
    found = effect_sizes(read_trials(rows), measure="RR")
    assert found.yi.tolist() == pytest.approx([math.log(2), 0.2], rel=1e-12)
    assert found.obtained[0] == "printed effect with 95% CI"


@pytest.mark.parametrize(("yates", "words"), [("yes", "has Yates' continuity"), ("no", "has no continuity")])
def test_a_chi_square_says_which_correction_it_is_taken_to_have(yates: str, words: str) -> None:
    row = {"chi2": 4.65, "sign": 1, "n_1": 122, "n_2": 118, "events_total": 56}
    found = effects(row, measure="RR", options={"yates": yates})
    assert any(words in step.assumes for step in found.steps[0])
    assert any(words in note for note in found.notes)
