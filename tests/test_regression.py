"""The verb `regress` and its result, as a user meets them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.regression import COEFFICIENT_RULES
from metaback.models.specs import resolve_spec
from metaback.postestimation.group_comparison import compare_groups
from metaback.regression import Regression
from metaback.stats.tau2_interval import TAU2_INTERVALS

SAME = 1e-9  # the same numbers in another order or unit
NIST = json.loads((Path(__file__).parent / "reference" / "nist.json").read_text(encoding="utf-8"))["cases"]
# Correct digits of the worst coefficient and standard error. Filip's powers of ten and Wampler5's noise (its residuals
# are 1e7 times the coefficients) leave no more in double precision.
DIGITS = {"Longley": (12, 13), "Filip": (6.5, 7), "Wampler5": (6, 13)}
USUAL = (8, 9)


def table(k: int = 14, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "study": [f"S{i}" for i in range(k)],
            "yi": rng.normal(size=k),
            "vi": rng.uniform(0.05, 0.3, k),
            "dose": rng.uniform(1, 9, k),
            "year": 1990.0 + rng.permutation(k),
            "arm": rng.permutation(np.array(list("abc") * k)[:k]),
        }
    )


def effects_of(frame: pd.DataFrame, by: str | None = None) -> EffectSizes:
    return mb.effect_sizes(mb.read_trials(frame), measure="GEN", by=by)


def numbers(fit: Regression) -> list[float]:
    spread = fit.heterogeneity
    assert fit.moderators is not None
    return [spread.tau2 or 0.0, spread.q, fit.moderators.statistic, fit.moderators.p_value]


@pytest.mark.parametrize("case", NIST, ids=lambda case: case["name"])
def test_nist_regressions_through_the_formula(case: dict[str, list[float]]) -> None:
    y = np.array(case["y"])
    if "rows" in case:
        columns = {f"x{i}": column for i, column in enumerate(np.array(case["rows"]).T)}
        formula = "~ " + " + ".join(columns)
    else:
        columns = {"x": np.array(case["x"])}
        formula = "~ x + " + " + ".join(f"I(x**{j})" for j in range(2, int(case["degree"]) + 1))
    frame = pd.DataFrame({"yi": y, "vi": np.ones(y.size), **columns})
    found = mb.regress(frame, formula, measure="GEN", model="equal", ci="HKSJ", effect="yi").to_frame()
    for name, true, digits in zip(
        ("estimate", "se"), (case["beta"], case["se"]), DIGITS.get(str(case["name"]), USUAL), strict=True
    ):
        values = np.array([float(text) for text in true])
        error = np.abs(found[name] - values) / np.where(values == 0, 1, np.abs(values))
        assert -math.log10(max(error.max(), 1e-17)) >= digits, name


@given(st.permutations(range(14)), st.sampled_from([1e-6, 1e-2, 1e3, 1e6]))
def test_order_and_unit_do_not_matter(order: list[int], c: float) -> None:
    frame = table()
    plain = mb.regress(effects_of(frame), "~ dose + year + I(year^2) + arm")
    other = frame.iloc[order].assign(yi=lambda d: d["yi"] * c, vi=lambda d: d["vi"] * c * c).reset_index(drop=True)
    fit = mb.regress(effects_of(other), "~ dose + year + I(year^2) + arm")
    ours, theirs = numbers(fit), numbers(plain)
    np.testing.assert_allclose(ours[0] / c**2, theirs[0], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours[1:], theirs[1:], rtol=1e-8)


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_the_origin_and_unit_of_a_moderator_do_not_matter(shift: float, scale: float) -> None:
    frame = table()
    plain = mb.regress(effects_of(frame), "~ dose + arm")
    moved = mb.regress(effects_of(frame.assign(dose=frame["dose"] * scale + shift)), "~ dose + arm")
    np.testing.assert_allclose(numbers(moved), numbers(plain), rtol=SAME)
    np.testing.assert_allclose(moved.fitted_values()["pi_low"], plain.fitted_values()["pi_low"], rtol=1e-8)
    assert moved.coefficients["dose"].point * scale == pytest.approx(plain.coefficients["dose"].point, rel=1e-8)


@given(st.integers(0, 30))
def test_another_coding_of_a_factor_is_the_same_model(seed: int) -> None:
    effects = effects_of(table(seed=seed))
    treatment, cells = mb.regress(effects, "~ arm + dose"), mb.regress(effects, "~ arm + dose - 1")
    assert cells.tau2 == pytest.approx(treatment.tau2, rel=SAME, abs=1e-12)
    difference = cells.contrast("arm[b] - arm[a]").iloc[0]
    same = treatment.to_frame().set_index("term").loc["arm[T.b]"]
    for name in ("estimate", "se", "p_value", "ci_low"):
        assert difference[name] == pytest.approx(same[name], rel=1e-8)
    joint, term = cells.joint_test("arm[b] - arm[a]", "arm[c] - arm[a]"), treatment.terms().set_index("term").loc["arm"]
    assert joint is not None
    assert joint.statistic == pytest.approx(term["statistic"], rel=1e-8)


def test_the_intercept_alone_is_the_pool() -> None:
    effects = effects_of(table())
    fit, pool = mb.regress(effects, "~ 1"), mb.pool(effects)
    mean = fit.coefficients["Intercept"]
    ours = (mean.point, mean.se, mean.lower, mean.p_value, fit.tau2)
    np.testing.assert_allclose(
        ours, (pool.estimate.point, pool.estimate.se, pool.ci[0], pool.p_value, pool.tau2), rtol=SAME
    )
    assert fit.moderators is None
    assert fit.r2 is None
    assert fit.predict(pd.DataFrame(index=[0]))["pi_low"][0] == pytest.approx(pool.pi[0], rel=SAME)


def test_rows_without_a_moderator_are_listed_and_counted() -> None:
    frame = table()
    frame.loc[[2, 5], "dose"] = np.nan
    frame.loc[7, "yi"] = np.nan
    fit = mb.regress(effects_of(frame), "~ dose")
    assert [row for _, row, _ in fit.left_out] == ["index 2", "index 5", "index 7"]
    assert fit.left_out[0][2] == "no value of dose"
    assert "3 rows are left out for want of an effect or a moderator:" in fit.notes
    assert "S2 (index 2): no value of dose." in fit.notes
    assert (fit.k, len(fit.fitted_values())) == (11, 11)
    assert "3 rows left out" in repr(fit)
    assert "left out: no value of dose" in fit._repr_html_()


def test_adjusted_means_are_averages_of_predictions() -> None:
    frame = table()
    fit = mb.regress(effects_of(frame), "~ arm + dose")
    means = fit.adjusted_means("arm").set_index("arm")["estimate"]
    for level, mean in means.items():
        assert mean == pytest.approx(fit.predict(frame.assign(arm=level))["estimate"].mean(), rel=SAME)
    at_mean = fit.predict(pd.DataFrame({"arm": ["b"], "dose": [frame["dose"].mean()]}))
    assert fit.adjusted_means("arm")["se"][1] == pytest.approx(at_mean["se"][0], rel=SAME)


def test_ratios_are_shown_as_ratios_where_asked() -> None:
    frame = table().rename(columns={"yi": "log_rr"})
    fit = mb.regress(frame, "~ dose", measure="RR", effect="log_rr")
    plain, natural = fit.to_frame(), fit.to_frame(transform="natural")
    np.testing.assert_allclose(natural["ci_high"], np.exp(plain["ci_high"]), rtol=1e-14)
    assert set(natural["scale"]) == {"natural"}
    one = fit.predict(pd.DataFrame({"dose": [4.0]}), transform="natural")
    assert one["pi_high"][0] == pytest.approx(
        math.exp(fit.predict(pd.DataFrame({"dose": [4.0]}))["pi_high"][0]), rel=1e-12
    )


def test_the_permutation_test_counts_what_a_loop_would_count() -> None:
    frame = table(k=6)
    fit = mb.regress(effects_of(frame), "~ dose", ci="HKSJ", tau2="DL")
    found = fit.permutation_test()
    assert (found.exact, found.n, found.seed) == (True, 720, None)
    observed = abs(fit.coefficients["dose"].statistic)
    rng, hits, tries = np.random.default_rng(5), 0, 60
    for _ in range(tries):
        dose = rng.permutation(frame["dose"].to_numpy())
        other = mb.regress(effects_of(frame.assign(dose=dose)), "~ dose", ci="HKSJ", tau2="DL")
        hits += abs(other.coefficients["dose"].statistic) >= observed * (1 - SAME)
    p = found.p_values["dose"]
    assert abs(hits / tries - p) < 4 * math.sqrt(p * (1 - p) / tries) + 1 / tries  # four standard errors


def test_random_permutations_count_the_observed_order_and_repeat_with_their_seed() -> None:
    fit = mb.regress(effects_of(table()), "~ dose + year")
    one, two, three = (fit.permutation_test(n=200, rng=seed) for seed in (1, 1, 2))
    assert one == two
    assert one.p_values != three.p_values
    assert (one.exact, one.seed) == (False, 1)
    assert min(one.p_values.values()) >= 1 / 201
    assert one.p_moderators * 201 == pytest.approx(round(one.p_moderators * 201), rel=1e-12)


def test_groups_with_a_common_tau2_are_a_regression_on_the_groups() -> None:
    effects = effects_of(table(k=15), by="arm")
    found = compare_groups(effects, resolve_spec("cochrane", ci="HKSJ"), tau2="common", adjust="bonferroni")
    fit = mb.regress(effects, "~ arm - 1", ci="HKSJ")
    assert [m.estimate.point for m in sorted(found.means, key=lambda m: m.level)] == pytest.approx(
        [e.point for e in fit.coefficients.values()], rel=SAME
    )
    joint = fit.joint_test("arm[b] - arm[a]", "arm[c] - arm[a]")
    assert joint is not None
    assert (found.test.statistic, found.test.p_value) == pytest.approx((joint.statistic, joint.p_value), rel=SAME)
    for pair in found.pairs:
        row = fit.contrast(f"arm[{pair.second}] - arm[{pair.first}]").iloc[0]
        assert pair.estimate.p_value == pytest.approx(row["p_value"], rel=SAME)
        assert pair.p_adjusted == pytest.approx(min(1, 3 * row["p_value"]), rel=SAME)


def test_groups_with_their_own_tau2_are_tested_as_the_subgroups_of_a_pool() -> None:
    effects = effects_of(table(k=15), by="arm")
    for ci in ("Wald", "HKSJ"):
        pool = mb.pool(effects, ci=ci)
        found = compare_groups(effects, pool.spec)
        assert pool.subgroups is not None
        assert pool.subgroups.test is not None
        assert found.test.statistic == pytest.approx(pool.subgroups.test.q, rel=SAME)
        assert pool.compare_subgroups() == found
        assert list(pool.subgroup_pairs()["term"]) == [f"{p.second} - {p.first}" for p in found.pairs]
        assert found.test.p_value == pytest.approx(pool.subgroups.test.p_value, rel=SAME)
        for mean, group in zip(found.means, pool.subgroups.pools, strict=True):
            assert (mean.estimate.lower, mean.k) == (pytest.approx(group.mean.lower, rel=SAME), group.k)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"tau2": "separated"}, "did you mean 'separate'"),
        ({"adjust": "holmes"}, "did you mean 'holm'"),
    ],
)
def test_comparisons_refuse_unknown_words(keywords: dict[str, str], words: str) -> None:
    with pytest.raises(mb.OptionError, match=words):
        compare_groups(effects_of(table(), by="arm"), resolve_spec(), **keywords)


def test_comparisons_need_groups() -> None:
    with pytest.raises(mb.OptionError, match="no subgroups"):
        compare_groups(effects_of(table()), resolve_spec())
    with pytest.raises(mb.EstimationError, match="needs two subgroups"):
        compare_groups(effects_of(table().assign(arm="a"), by="arm"), resolve_spec())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda d: mb.regress(d, "~ doze"), "did you mean 'dose'"),
        (lambda d: mb.regress(d, "~ dose", ci="HKS"), "did you mean"),
        (lambda d: mb.regress(d, "~ dose", ci="HC"), "is a rule of a mean; use one of Wald, "),
        (lambda d: mb.regress(d, "~ dose", ci="KR"), "its own degrees of freedom"),
        (lambda d: mb.regress(d, "~ dose", pi="NNF"), "is a rule of a mean; use one of none, "),
        (lambda d: mb.regress(d, "~ dose", model="IVhet"), "use model='random' without weights"),
        (lambda d: mb.regress(d, "~ dose").update(weights="dose"), "weights='dose' weighs the mean of a pool"),
        (lambda d: mb.regress(d, "~ dose").to_frame(transform="x"), "natural"),
        (lambda d: mb.regress(d, "~ dose").contrast("doze"), "did you mean 'dose'"),
        (lambda d: mb.regress(d, "~ dose").contrast([[1.0, 2.0, 3.0]]), "one column per coefficient"),
        (lambda d: mb.regress(d, "~ dose").contrast([[0.0, 0.0]]), "every weight of its row is 0"),
        (lambda d: mb.regress(d, "~ 1").permutation_test(), "needs moderators"),
        (lambda d: mb.regress(d, "~ dose").permutation_test(n=5), "outside"),
        (lambda d: mb.regress(d, "~ dose").adjusted_means("dose"), "factor='dose' is not known"),
    ],
)
def test_errors_say_what_to_do(call: object, words: str) -> None:
    assert callable(call)
    with pytest.raises(mb.OptionError, match=words):
        call(effects_of(table()))


def test_what_is_said_of_a_result_is_the_same_everywhere() -> None:
    fit = mb.regress(effects_of(table()), "~ dose + arm")
    text, record = repr(fit), fit.to_dict()
    assert 15 <= len(text.splitlines()) <= 25
    assert all(name in text for name in fit.coefficients)
    assert json.loads(json.dumps(record))["k"] == 14
    assert record["coefficients"][1]["estimate"] == pytest.approx(fit.coefficients["dose"].point, rel=1e-11)
    assert "~ dose + arm" in fit.methods_text()
    assert fit.update(ci="Wald").moderators is not None
    assert math.isinf(fit.update(ci="Wald").moderators.df_residual)
    assert repr(fit) == repr(mb.regress(effects_of(table()), "~ dose + arm"))


def test_names_from_files_are_escaped_in_the_card() -> None:
    frame = table().rename(columns={"arm": "<b>arm</b>"})
    frame.loc[0, "study"] = "<script>alert(1)</script>"
    fit = mb.regress(effects_of(frame), "~ `<b>arm</b>`")
    assert "<script>alert" not in fit._repr_html_()
    assert "<b>arm" not in fit._repr_html_()
    assert "<b>arm</b>[T.b]" in repr(fit)


@pytest.mark.parametrize("ci", COEFFICIENT_RULES)
@pytest.mark.parametrize("tau2", ["REML", "ML", "DL", "PM", "SJ", "EB", 0.04])
def test_every_rule_and_estimator_has_numbers_and_words(ci: str, tau2: str | float) -> None:
    fit = mb.regress(effects_of(table()), "~ dose + arm", ci=ci, tau2=tau2)
    assert fit.to_frame()[["estimate", "se", "p_value", "ci_low", "ci_high"]].notna().all(axis=None)
    assert fit.methods_text().endswith(".")
    assert (fit.r2 is None) is not isinstance(tau2, str)


def test_a_factor_of_the_variance_is_not_below_one_where_that_is_asked() -> None:
    frame = table().assign(yi=lambda d: 0.1 * d["dose"])
    effects = effects_of(frame.assign(yi=frame["yi"] + 0.01 * np.sin(np.arange(14))))
    plain, guarded = (mb.regress(effects, "~ dose", ci=ci) for ci in ("Wald", "HKSJ-q1"))
    assert guarded.coefficients["dose"].se == pytest.approx(plain.coefficients["dose"].se, rel=SAME)
    assert guarded.coefficients["dose"].df == 12


@pytest.mark.parametrize("model", ["equal", "fixed"])
def test_without_tau2_there_is_no_share_of_it_and_no_prediction(model: str) -> None:
    fit = mb.regress(effects_of(table()), "~ dose", model=model)
    weighted = np.polynomial.polynomial.polyfit(table()["dose"], table()["yi"], 1, w=table()["vi"] ** -0.5)
    assert [e.point for e in fit.coefficients.values()] == pytest.approx(weighted.tolist(), rel=1e-10)
    assert (fit.tau2, fit.r2) == (None, None)
    assert fit.predict(pd.DataFrame({"dose": [2.0]}))[["pi_low", "pi_high"]].isna().all(axis=None)
    assert "τ² = 0" in fit.methods_text()
    assert json.dumps(fit.to_dict())


@pytest.mark.parametrize("rule", list(TAU2_INTERVALS))
def test_tau2_has_the_interval_that_is_asked_for(rule: str) -> None:
    effects = effects_of(table())
    spread = mb.regress(effects, "~ 1", tau2_ci=rule).heterogeneity
    pool = mb.pool(effects, tau2_ci=rule).heterogeneity
    ours = (spread.tau2_low, spread.tau2_high, spread.i2_low, spread.h2_high, spread.tau_high)
    assert ours == pytest.approx((pool.tau2_low, pool.tau2_high, pool.i2_low, pool.h2_high, pool.tau_high), rel=1e-8)
    fit = mb.regress(effects, "~ dose + arm", tau2_ci=rule)
    low, high = fit.heterogeneity.tau2_low, fit.heterogeneity.tau2_high
    assert low is not None
    assert high is not None
    assert low <= high
    assert TAU2_INTERVALS[rule].facts["text"] in fit.methods_text()


def test_the_flags_of_pools_are_flags_of_regressions() -> None:
    frame = table()
    agree = effects_of(frame.assign(yi=0.1 * frame["dose"] + 0.01 * np.sin(np.arange(14))))
    assert any("as wide as the Wald interval" in note for note in mb.regress(agree, "~ dose").notes)
    assert any(note.startswith("14 studies for 3 moderators") for note in mb.regress(agree, "~ dose + arm").notes)
    peaks = pd.DataFrame({"yi": [0.0, 0.0, 0.1, 5.0, -5.0], "vi": [1e-4, 1e-4, 1e-4, 4.0, 4.0]})
    assert mb.pool(peaks.assign(study=list("abcde")), measure="GEN").notes[:1] == tuple(
        note for note in mb.regress(peaks.assign(study=list("abcde")), "~ 1", measure="GEN").notes[:1]
    )


def test_one_residual_degree_of_freedom_predicts_nothing() -> None:
    fit = mb.regress(effects_of(table(k=3)), "~ dose")
    assert fit.predict(pd.DataFrame({"dose": [2.0]}))["pi_low"].isna().all()
    assert "No prediction intervals: they need two residual degrees of freedom, there is 1." in fit.notes


def test_categories_keep_their_order_and_their_first_is_compared_with() -> None:
    order = ["c", "a", "never", "b"]
    frame = table().assign(arm=lambda d: pd.Categorical(d["arm"], categories=order, ordered=True))
    fit = mb.regress(effects_of(frame), "~ arm")
    assert list(fit.coefficients) == ["Intercept", "arm[T.a]", "arm[T.b]"]
    assert list(fit.adjusted_means("arm")["arm"]) == ["c", "a", "b"]
    assert list(fit.predict(pd.DataFrame({"arm": ["b", "c"]}))["estimate"]) == pytest.approx(
        list(mb.regress(effects_of(table()), "~ arm").predict(pd.DataFrame({"arm": ["b", "c"]}))["estimate"]), rel=SAME
    )
    assert list(mb.regress(effects_of(frame), "~ dose").update("~ C(arm)").coefficients)[1:] == [
        "C(arm)[T.a]",
        "C(arm)[T.b]",
    ]
    numbers_first = table().assign(arm=lambda d: pd.Categorical(d["arm"].map({"a": 3, "b": 1, "c": 2}), [3, 1, 2]))
    assert list(mb.regress(effects_of(numbers_first), "~ C(arm)").coefficients)[1:] == ["C(arm)[T.1]", "C(arm)[T.2]"]


@pytest.mark.parametrize("kind", ["bool", "boolean"])
def test_true_is_one_and_false_is_nought(kind: str) -> None:
    flag = np.arange(14) % 3 == 0
    fit = mb.regress(effects_of(table().assign(flag=pd.array(flag, dtype=kind))), "~ flag")
    same = mb.regress(effects_of(table().assign(flag=flag.astype(float))), "~ flag")
    assert list(fit.coefficients) == ["Intercept", "flag"]
    assert fit.coefficients["flag"].point == pytest.approx(same.coefficients["flag"].point, rel=1e-12)
    assert fit.predict(pd.DataFrame({"flag": [True]}))["estimate"][0] == pytest.approx(
        same.predict(pd.DataFrame({"flag": [1.0]}))["estimate"][0], rel=1e-12
    )


@pytest.mark.parametrize(
    "dates",
    [
        pd.date_range("2020-01-01", periods=14).to_series(index=range(14)),
        pd.period_range("2020-01", periods=14, freq="M").to_series(index=range(14)),
        pd.Series([f"2020-01-{day + 1:02d}" for day in range(14)]),
        pd.Series([f"{day + 1}.1.2020" for day in range(14)]),
    ],
)
def test_dates_are_refused_in_words(dates: pd.Series) -> None:
    with pytest.raises(mb.DataError, match=r"column 'when'.*holds dates.*the days since a start"):
        mb.regress(effects_of(table().assign(when=dates)), "~ when")


def test_words_for_nothing_among_numbers_are_blanks_and_their_rows_are_named() -> None:
    dose = [str(x) for x in range(14)]
    dose[3], dose[9] = "NR", "n/a"
    fit = mb.regress(effects_of(table().assign(amount=dose)), "~ amount")
    assert fit.k == 12
    assert [row for _, row, _ in fit.left_out] == ["index 3", "index 9"]
    with pytest.raises(mb.DataError, match="'about 5': is text in a column of numbers"):
        mb.regress(effects_of(table().assign(amount=[*dose[:13], "about 5"])), "~ amount")


def test_codes_of_missing_values_are_told() -> None:
    frame = table()
    frame.loc[4, "dose"] = -999.0
    notes = mb.regress(effects_of(frame), "~ dose").notes
    assert any(note.startswith("dose holds -999, far from its other values") for note in notes)
    assert not any("far from" in note for note in mb.regress(effects_of(table()), "~ dose").notes)


def test_predictions_beyond_the_values_of_the_fit_are_marked() -> None:
    frame = table()
    fit = mb.regress(effects_of(frame), "~ dose + arm")
    low, high = frame["dose"].min(), frame["dose"].max()
    new = pd.DataFrame({"dose": [low, high, high + 1, low - 1], "arm": list("abca")})
    outside = fit.predict(new)["outside"]
    assert outside.tolist()[:2] == ["", ""]
    assert outside[2] == outside[3] == f"dose beyond {low:g} to {high:g}"
    assert "outside" not in fit.fitted_values()
    natural = fit.predict(new, transform="natural")
    assert natural["outside"].tolist() == outside.tolist()


@pytest.mark.parametrize(
    ("formula", "new", "words"),
    [
        ("~ arm", {"arm": ["a", "d"]}, "column 'arm', index 1: found 'd': is not a level of the fit"),
        (
            "~ bs(dose, df=4)",
            {"dose": [4.0, 20.0]},
            "column 'dose', index 1: found '20': lies beyond .* where bs.. ends",
        ),
        ("~ bs(`my dose`, df=4)", {"my dose": [20.0]}, "column 'my dose', index 0: found '20': lies beyond"),
        ("~ log(dose)", {"dose": [4.0, -1.0]}, "index 1: log.dose. is not a number"),
        ("~ dose", {"doze": [4.0]}, "the moderator is missing from the new rows"),
    ],
)
def test_new_rows_that_have_no_prediction_are_errors(formula: str, new: dict[str, list[object]], words: str) -> None:
    fit = mb.regress(effects_of(table().assign(**{"my dose": table()["dose"]})), formula)
    with pytest.raises(mb.DataError, match=words):
        fit.predict(pd.DataFrame(new))


def test_a_natural_spline_goes_on_as_a_line() -> None:
    fit = mb.regress(effects_of(table()), "~ cr(dose, df=3, constraints='center')")
    three = fit.predict(pd.DataFrame({"dose": [20.0, 21.0, 22.0]}))
    assert np.diff(three["estimate"], 2) == pytest.approx(0, abs=1e-9)
    assert three["outside"].str.startswith("dose beyond").all()


@pytest.mark.parametrize("dtype", [float, object])
def test_new_numbers_keep_all_their_digits(dtype: type) -> None:
    frame = table().assign(year=lambda d: d["year"] + math.pi / 1e10)
    fit = mb.regress(effects_of(frame), "~ year")
    again = fit.predict(pd.DataFrame({"year": frame["year"].astype(dtype)}))
    np.testing.assert_allclose(again["estimate"], fit.fitted_values()["estimate"], rtol=1e-13)


def test_what_a_cell_of_a_notebook_shows_is_words_and_not_a_dump() -> None:
    frame = table()
    fit, pooled = mb.regress(effects_of(frame), "~ dose"), mb.pool(effects_of(frame, by="arm"))
    joint = fit.moderators
    assert joint is not None
    assert repr(joint) == f"{joint}  (dose)"
    shuffled, scale = fit.permutation_test(n=200), fit.location_scale("~ dose")
    groups = pooled.compare_subgroups(tau2="common")
    shown = {
        repr(shuffled): ["Permutation test (200 random orders, seed 1)", "Intercept  ", "Moderators together  P"],
        repr(scale): ["Location-scale model (REML, 14 effects), log τ² ~ dose", "Scale ", "Wald test: χ²(1)", "!"],
        repr(groups): ["Subgroups by arm, one τ² for all", "All equal: F(2, 11)", "P adjusted by holm", "k = 5"],
        repr(pooled.probability_beyond(0.5)): ["P(true effect above 0.5) = 0."],
    }
    for text, words in shown.items():
        assert all(word in text for word in words), text
        assert not re.search(r"\bnan\b|float64|Estimate\(|array\(", text)
