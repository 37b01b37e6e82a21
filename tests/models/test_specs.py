"""Requests: words, numbers in the place of words, and what cannot be asked together."""

from __future__ import annotations

import re

import pandas as pd
import pytest

import metaback as mb
from metaback.errors import DataError, OptionError
from metaback.models.specs import PoolSpec, chosen, resolve_spec, tau2_label
from metaback.plots.forest_data import forest_data

TABLE = pd.DataFrame(
    {
        "trial": list("ABCD"),
        "g": [0.1, 0.3, 0.5, 1.2],
        "s": [0.14, 0.17, 0.22, 0.3],
        "w": [1, 2, 3, 4],
        "bad": [1, -1, None, "x"],
    }
)
COLUMNS = {"effect": "g", "se": "s", "study": "trial"}


def pool(**choices: object) -> mb.Result:
    return mb.pool(TABLE, **COLUMNS, **choices)


@pytest.mark.parametrize("given", [0.04, "0.04", 0, "0", 1e-9])
def test_a_given_tau2_is_a_number_and_survives_json(given: object) -> None:
    spec = resolve_spec(tau2=given)
    assert spec.tau2 == float(str(given))
    assert PoolSpec.model_validate_json(spec.model_dump_json()) == spec
    assert resolve_spec(**chosen(spec)) == spec


@pytest.mark.parametrize("wrong", [-1, -0.01, "-1", float("nan"), float("inf"), True])
def test_a_given_tau2_is_at_least_0(wrong: object) -> None:
    with pytest.raises(OptionError, match="number of at least 0"):
        resolve_spec(tau2=wrong)


def test_a_word_that_is_no_estimator_is_refused_with_the_vocabulary() -> None:
    with pytest.raises(OptionError, match=r"tau2='REMLL' is not known \(did you mean 'REML'\?\); use one of: DL, DL2"):
        resolve_spec(tau2="REMLL")


@pytest.mark.parametrize("model", ["equal", "fixed"])
def test_a_model_without_tau2_takes_none(model: str) -> None:
    with pytest.raises(OptionError, match="has no tau2"):
        resolve_spec(model=model, tau2=0.1)
    assert resolve_spec(model=model).pi == "none"


def test_ivhet_sets_its_own_weights() -> None:
    spec = resolve_spec(model="IVhet")
    assert (spec.tau2, spec.ci, spec.pi) == ("DL", "Wald", "none")
    with pytest.raises(OptionError, match="sets the weights itself"):
        resolve_spec(model="IVhet", weights="w")


def test_fixed_effects_are_equal_effects_in_other_words() -> None:
    equal, fixed = pool(model="equal"), pool(model="fixed")
    assert equal.estimate == fixed.estimate
    assert "fixed effects" in repr(fixed)
    assert "may differ" in fixed.methods_text()


def test_ivhet_by_hand() -> None:
    found = pool(model="IVhet")
    y, v = TABLE["g"].to_numpy(), TABLE["s"].to_numpy() ** 2
    w = 1 / v / (1 / v).sum()
    assert found.estimate.point == pytest.approx((w * y).sum(), rel=1e-12)
    assert found.estimate.se == pytest.approx((w**2 * (v + found.tau2)).sum() ** 0.5, rel=1e-12)
    assert found.analysis.overall.weights == pytest.approx(100 * w, rel=1e-12)


def test_weights_of_a_column_by_hand() -> None:
    found = pool(weights="w", ci="Wald")
    y, v = TABLE["g"].to_numpy(), TABLE["s"].to_numpy() ** 2
    w = TABLE["w"].to_numpy() / 10
    assert found.estimate.point == pytest.approx((w * y).sum(), rel=1e-12)
    assert found.estimate.se == pytest.approx((w**2 * (v + found.tau2)).sum() ** 0.5, rel=1e-12)
    assert found.analysis.overall.weights == pytest.approx(100 * w, rel=1e-12)
    assert "the weights of the column w" in found.methods_text()


def test_all_weights_that_are_no_weights_are_named_at_once() -> None:
    with pytest.raises(DataError) as caught:
        pool(weights="bad")
    assert [problem.value for problem in caught.value.problems] == ["-1", "None", "x"]
    with pytest.raises(OptionError, match="weights='v' is not known"):
        pool(weights="v")


def test_a_given_tau2_is_said_to_be_given() -> None:
    found = pool(tau2=0.04)
    assert found.tau2 == 0.04
    assert tau2_label(found.spec) == "0.0400, given"
    assert "not estimated but given: τ² = 0.0400" in found.methods_text()


@pytest.mark.parametrize("ci", ["Wald-t", "HKSJ", "HKSJ-q1"])
def test_the_prediction_of_the_preset_metafor_follows_the_interval_of_the_mean(ci: str) -> None:
    assert resolve_spec("metafor").pi == "z"
    assert resolve_spec("metafor", ci=ci).pi == "t(k-1)"  # predict() after rma(test = "t", "knha" or "adhoc")
    assert resolve_spec("metafor", ci=ci, pi="z").pi == "z"
    assert resolve_spec("revman5", ci=ci).pi == "none"


def test_a_prediction_that_followed_the_interval_of_the_mean_goes_back_with_it() -> None:
    res = pool(preset="metafor", ci="HKSJ")
    assert "pi" not in chosen(res.spec)
    assert res.update(ci="Wald").spec.pi == "z"
    assert res.update(tau2="DL").spec.pi == "t(k-1)"
    assert pool(preset="metafor", ci="HKSJ", pi="z").update(tau2="DL").spec.pi == "z"


def test_the_prediction_under_knapp_and_hartung_is_that_of_metafor() -> None:
    # metafor 3.8-1: predict(rma(g, s^2, test = "knha")) on this table, tight control
    low, high = pool(preset="metafor", ci="HKSJ").pi or (0.0, 0.0)
    assert (low, high) == pytest.approx((-0.930855758194333, 1.873134191589731), rel=1e-8)


def test_weights_of_the_user_are_named_on_the_result_and_under_the_figure() -> None:
    res = pool(weights="w", ci="Wald")
    assert "random effects (REML, Wald, weights of column w), k = 4" in str(res)
    assert "weights: column w" in " ".join(forest_data(res.analysis).footnotes)
    assert "weights" not in str(pool(ci="Wald"))


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"method": "DL"}, "tau2= or model="),
        ({"test": "knha"}, "ci="),
        ({"ci": "knha"}, "ci='HKSJ'"),
        ({"ci": "adhoc"}, "ci='HKSJ-q1'"),
        ({"tau2": "FE"}, "model='fixed'"),
        ({"pi": "riley"}, "pi='t(k-2)'"),
    ],
)
def test_words_of_metafor_are_answered_with_those_of_this_program(choices: dict[str, str], words: str) -> None:
    with pytest.raises(OptionError, match=re.escape(f"(in metafor's words; here it is {words})")):
        pool(**choices)
