"""Subgroups that share one tau2: the numbers of the regression on them, in every place that tells of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.regression import resolve_regression
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.summary import Subgroups
from metaback.result import Result

Make = Callable[..., EffectSizes]
AGREE = 1e-8  # the stopping rule of metafor's REML
P_VALUES = 2e-7  # a p value moves by its statistic times the relative error
SAME = 1e-9  # two ways to one number; the search for tau2 ends at 1e-12 of its scale
CASES = json.loads((Path(__file__).parents[1] / "reference" / "subgroups.json").read_text(encoding="utf-8"))["cases"]
RULES = {"z": "Wald", "knha": "HKSJ"}
Y, V = [0.1, 0.4, -0.2, 0.5, 0.9, 0.3], [0.02, 0.05, 0.04, 0.1, 0.03, 0.06]
BY = ["b", "a", "b", "c", "a", "b"]


def table(case: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame({"yi": case["yi"], "vi": case["vi"], "group": [str(label) for label in case["group"]]})
    frame = frame.sort_values("group", kind="stable", ignore_index=True)
    return frame.assign(study=[f"S{i}" for i in range(len(frame))])


def shared(effects: EffectSizes, **choices: object) -> Subgroups:
    found = analyse(effects, resolve_spec(subgroup_tau2="common", **choices)).subgroups
    assert found is not None
    assert found.tau2 == "common"
    return found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("method", "preset"), [("REML", "metafor"), ("DL", "revman5")])
@pytest.mark.parametrize("name", CASES)
def test_subgroups_against_metafor(name: str, method: str, preset: str, rule: str) -> None:
    true = CASES[name]["common"][method][rule]
    res = mb.pool(
        table(CASES[name]), measure="GEN", by="group", preset=preset, ci=RULES[rule], pi="z", subgroup_tau2="common"
    )
    assert res.subgroups is not None
    assert res.subgroups.test is not None
    pools, test = res.subgroups.pools, res.subgroups.test
    np.testing.assert_allclose([p.mean.point for p in pools], true["mean"], rtol=AGREE)
    np.testing.assert_allclose([p.mean.se for p in pools], true["se"], rtol=AGREE)
    np.testing.assert_allclose([p.mean.lower for p in pools], true["low"], rtol=AGREE)
    np.testing.assert_allclose([p.mean.upper for p in pools], true["high"], rtol=AGREE)
    np.testing.assert_allclose([p.heterogeneity.tau2 for p in pools], true["tau2"], rtol=AGREE, atol=1e-12)
    assert (test.f if rule == "knha" else test.q) == pytest.approx(true["statistic"], rel=P_VALUES)
    assert test.p_value == pytest.approx(true["p_value"], rel=P_VALUES)


@pytest.mark.parametrize("name", CASES)
def test_subgroups_are_the_regression_on_them(name: str) -> None:
    frame = table(CASES[name])
    res = mb.pool(frame, measure="GEN", by="group", subgroup_tau2="common")
    reg = mb.regress(frame.assign(group=frame["group"].astype(str)), "~ 0 + C(group)", measure="GEN")
    fitted = reg.predict(pd.DataFrame({"group": list(res.subgroups.levels)}))
    spread = reg.heterogeneity
    np.testing.assert_allclose(
        [[p.prediction.lower, p.prediction.upper] for p in res.subgroups.pools],
        fitted[["pi_low", "pi_high"]].to_numpy(),
        rtol=SAME,
    )
    for pool in res.subgroups.pools:
        found = pool.heterogeneity
        assert (found.tau2_low, found.tau2_high) == pytest.approx((spread.tau2_low, spread.tau2_high), rel=SAME)


def test_the_comparison_of_pairs_follows_the_pool() -> None:
    frame = table(next(iter(CASES.values())))
    res = mb.pool(frame, measure="GEN", by="group", subgroup_tau2="common")
    found = res.compare_subgroups()
    assert found.tau2 == "common"
    assert res.subgroups.test.p_value == pytest.approx(found.test.p_value, rel=SAME)
    assert [m.estimate.se for m in found.means] == pytest.approx([p.mean.se for p in res.subgroups.pools], rel=SAME)
    assert mb.pool(frame, measure="GEN", by="group").compare_subgroups().tau2 == "separate"


def test_a_subgroup_with_one_study_has_the_common_tau2(make: Make) -> None:
    found = shared(make(Y, V, BY), ci="Wald", tau2="DL", pi="t(k-1)")
    one = found.pools[found.levels.index("c")]
    tau2 = one.heterogeneity.tau2
    assert tau2 is not None
    assert tau2 > 0
    assert one.mean.se == pytest.approx(math.sqrt(0.1 + tau2), rel=SAME)
    assert (one.heterogeneity.i2_tau2, one.heterogeneity.q_df) == (None, 0)
    assert one.notes == ("One study: its interval rests on the τ² of all subgroups.",)
    assert one.prediction is not None
    assert one.prediction.df == 3  # six effects less three subgroups


def test_rows_without_a_subgroup_do_not_enter(make: Make) -> None:
    from metaback.effects.effect_sizes import NOT_STATED

    plain = shared(make(Y, V, BY))
    more = shared(make([*Y, 5.0, 7.0], [*V, 0.1, 0.1], [*BY, NOT_STATED, NOT_STATED]))
    assert [p.mean for p in more.pools[:3]] == [p.mean for p in plain.pools]
    assert more.test == plain.test
    assert more.pools[3].k == 2
    assert more.pools[3].heterogeneity.tau2 != plain.pools[0].heterogeneity.tau2


def test_one_effect_in_each_subgroup_leaves_nothing_to_share(make: Make) -> None:
    effects = make(Y[:3], V[:3], ["a", "b", "c"])
    own = analyse(effects, resolve_spec()).subgroups
    found = shared(effects)
    assert own is not None
    assert [p.mean.point for p in found.pools] == pytest.approx([p.mean.point for p in own.pools], rel=1e-14)
    assert [p.mean.se for p in found.pools] == pytest.approx([p.mean.se for p in own.pools], rel=1e-14)
    assert "cannot be estimated" in found.notes[0]
    assert found.notes[0] in analyse(effects, resolve_spec(subgroup_tau2="common")).overall.notes


def test_equal_effects_have_no_test_under_hartung_knapp(make: Make) -> None:
    found = shared(make([0.2] * 6, V, BY), ci="HKSJ")
    assert found.test is not None
    assert math.isnan(found.test.q)
    assert any("degenerates to 0" in note for note in found.notes)


def test_one_subgroup_is_the_pool(make: Make) -> None:
    found, overall = shared(make(Y, V, ["a"] * 6)), analyse(make(Y, V), resolve_spec()).overall
    assert found.test is None
    assert found.pools[0].mean.lower == pytest.approx(overall.mean.lower, rel=SAME)
    assert found.pools[0].heterogeneity.i2_high == pytest.approx(overall.heterogeneity.i2_high, rel=SAME)


def test_the_overall_pool_does_not_change(make: Make) -> None:
    one, two = (analyse(make(Y, V, BY), resolve_spec(subgroup_tau2=word)).overall for word in ("separate", "common"))
    assert one.mean == two.mean
    assert one.heterogeneity == two.heterogeneity


@settings(max_examples=25, deadline=None)
@given(
    shift=st.floats(-1e6, 1e6),
    factor=st.sampled_from([1e-3, 1.0, 1e3]),
    order=st.permutations(range(6)),
)
def test_unit_origin_and_order_change_nothing(shift: float, factor: float, order: list[int]) -> None:
    def effects(y: list[float], v: list[float], by: list[str]) -> Subgroups:
        frame = pd.DataFrame({"study": [f"S{i}" for i in range(6)], "yi": y, "vi": v, "by": by})
        found = mb.pool(frame, measure="GEN", by="by", subgroup_tau2="common", ci="Wald", tau2="DL").subgroups
        assert found is not None
        return found

    plain = effects(Y, V, BY)
    y = [(Y[i] + shift) * factor for i in order]
    moved = effects(y, [V[i] * factor**2 for i in order], [BY[i] for i in order])
    lost = 1e-9 + 1e-14 * abs(shift)  # digits of the effects that the shift takes away
    assert moved.test.q == pytest.approx(plain.test.q, rel=10 * lost)
    for level, pool in zip(moved.levels, moved.pools, strict=True):
        other = plain.pools[plain.levels.index(level)]
        assert pool.mean.se == pytest.approx(other.mean.se * factor, rel=10 * lost)
        assert pool.mean.point == pytest.approx((other.mean.point + shift) * factor, rel=lost, abs=lost * factor)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"model": "equal"}, "needs model='random'"),
        ({"model": "IVhet"}, "needs model='random'"),
        ({"weights": "w"}, "no weights of your own"),
        ({"ci": "KR"}, "ci='KR' is a rule of a single mean; use one of Wald, Wald-t"),
        ({"pi": "NNF"}, "pi='NNF' is a rule of a single mean; use one of none, z"),
    ],
)
def test_what_a_regression_cannot_have_is_refused(choices: dict[str, str], words: str) -> None:
    with pytest.raises(OptionError, match="subgroup_tau2='common'") as caught:
        resolve_spec(subgroup_tau2="common", **choices)
    assert words in str(caught.value)


def test_a_regression_has_no_subgroups_to_share() -> None:
    with pytest.raises(OptionError, match="subgroup_tau2 is of the subgroups of a pool"):
        resolve_regression("~ year", subgroup_tau2="common")


def test_an_unknown_word_lists_the_known_ones() -> None:
    with pytest.raises(OptionError, match="separate, common"):
        resolve_spec(subgroup_tau2="same")


@pytest.fixture
def told() -> Result:
    pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    return mb.pool(pain, by="stratum", subgroup_tau2="common")


def test_text_record_and_methods_say_it(told: Result) -> None:
    assert "Subgroups by stratum (one τ² for all):" in repr(told)
    assert "difference: F = 0.76, df 1, 7, P = 0.41" in repr(told)
    assert "in one model, with a mean for each and one τ² for all, and the difference" in told.methods_text()
    assert "τ² of subgroups common instead of separate" in told.methods_text()
    record = told.to_dict()
    assert record["model"]["subgroup_tau2"] == record["subgroups"]["tau2"] == "common"
    assert record["subgroups"]["test"]["df2"] == 7
    assert record["subgroups"]["test"]["f"] == pytest.approx(0.7591908, rel=1e-6)
    plain = told.update(subgroup_tau2="separate")
    assert plain.to_dict()["subgroups"]["tau2"] == "separate"
    assert "subgroups common" not in plain.methods_text()
    assert told.update(tau2="DL").spec.subgroup_tau2 == "common"


def test_the_figure_says_it(told: Result) -> None:
    from metaback.plots.forest_data import forest_data

    drawn = forest_data(told.analysis)
    assert any("subgroups with one τ² for all" in note for note in drawn.footnotes)
    assert any(row.label == "Test for subgroup differences: F = 0.76, df = 1, 7, P = 0.41" for row in drawn.rows)


def test_the_report_says_it(told: Result) -> None:
    from metaback.report.sections import heterogeneity_text

    words = "subgroups by stratum (one τ² for all): F = 0.76 on 1 and 7 df (P = 0.41)."
    assert words in heterogeneity_text(told.analysis)
