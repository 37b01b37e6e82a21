"""Working models by moments through `multilevel`: robumeta's numbers, what they refuse, what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.plots.multilevel_forest_data import multilevel_forest_data

HERE = Path(__file__).parent / "reference" / "dependent"
CASES = json.loads((HERE / "robumeta.json").read_text(encoding="utf-8"))["cases"]
SETS = json.loads((HERE / "data.json").read_text(encoding="utf-8"))["sets"]
NAMES = [name for name, case in CASES.items() if case["modelweights"] != "user"]
SAME = 1e-10  # relative: closed forms in both programs
COLUMNS = {"estimate": "b", "se": "se", "df": "df", "p_value": "p", "ci_low": "ci_low", "ci_high": "ci_high"}


def fitted(name: str, **choices: Any) -> mb.Multilevel:
    """Return our fit of a case of robumeta; rho = 1, which no covariance can have, is left to the sweep."""
    case = CASES[name]
    frame = pd.DataFrame(SETS[case["set"]]["columns"])
    frame["study"] = frame[case["cluster_by"]].astype(str)
    if not case["small"]:
        choices |= {"robust": "CR1p", "df": "residual"}
    if case["modelweights"] == "CORR":
        choices.setdefault("rho", min(case["rho"], 0.99))
    return mb.multilevel(frame, case["modelweights"], formula=case["formula"], measure="GEN", **choices)


@pytest.fixture(name="corr", scope="module")
def correlated() -> mb.Multilevel:
    """Return a fit with correlated effects weights and three moderators."""
    return fitted("corrdat moderators | CORR 0.8")


@pytest.fixture(name="hier", scope="module")
def hierarchical() -> mb.Multilevel:
    """Return a fit with hierarchical effects weights and three moderators."""
    return fitted("hierdat moderators | HIER")


def test_the_grid_cannot_shrink() -> None:
    assert len(NAMES) == 72


@pytest.mark.parametrize("name", NAMES)
def test_fits_are_those_of_robumeta(name: str) -> None:
    case = CASES[name]
    fit = fitted(name)
    frame = fit.to_frame()
    components = fit.components["estimate"].tolist()
    if case["rho"] == 1 and case["modelweights"] == "CORR":
        sweep = fit.sweep(rho=[1.0])
        frame, components = sweep.to_frame(), sweep.fits[0].fit.theta.tolist()
    elif case["I2"] is not None:
        assert fit.heterogeneity.total == pytest.approx(case["I2"], rel=SAME)
    for ours, theirs in COLUMNS.items():
        np.testing.assert_allclose(frame[ours], case[theirs], rtol=SAME, atol=SAME)
    expected = [value for value in (case["tau2"], case["omega2"]) if value is not None]
    np.testing.assert_allclose(components, expected, rtol=SAME, atol=SAME)


def test_a_sweep_holds_the_fit_of_each_correlation(corr: mb.Multilevel) -> None:
    frame = corr.sweep(rho=[0.0, 0.5, 0.8]).to_frame()
    for rho in (0.0, 0.5, 0.8):
        own = frame[frame["rho"] == rho].reset_index(drop=True)
        np.testing.assert_allclose(own["se"], CASES[f"corrdat moderators | CORR {rho:g}"]["se"], rtol=SAME)
        assert own["τ² study"][0] == pytest.approx(CASES[f"corrdat moderators | CORR {rho:g}"]["tau2"], rel=SAME)


def test_other_adjustments_and_tests_keep_the_weights(corr: mb.Multilevel) -> None:
    more = corr.robust("CR3")
    assert more.coefficients["binge"].point == corr.coefficients["binge"].point
    assert more.coefficients["binge"].se > corr.coefficients["binge"].se
    assert corr.update(rho=0.2).coefficients["binge"].se == pytest.approx(
        CASES["corrdat moderators | CORR 0.2"]["se"][3], rel=SAME
    )
    large = corr.robust("CR1p").update(df="residual")
    assert large.coefficients["binge"].df == 35
    assert corr.update(random="CHE").spec.method == "REML"
    assert corr.joint_test("binge").p_value == pytest.approx(corr.coefficients["binge"].p_value, rel=1e-8)


def test_predictions_have_the_variances_of_the_model(hier: mb.Multilevel) -> None:
    mean = hier.update(formula="~ 1")
    found = mean.predict()
    tau2, omega2 = mean.components["estimate"]
    half = (found["pi_high"][0] - found["pi_low"][0]) / (found["ci_high"][0] - found["ci_low"][0])
    assert half == pytest.approx(np.sqrt(mean.estimate.se**2 + tau2 + omega2) / mean.estimate.se, rel=SAME)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda fit: fit.profile(0), "profile: CORR has weights"),
        (lambda fit: fit.components_ci(), "components_ci: CORR"),
        (lambda fit: fit.blup(), "random='CE' is its like with a likelihood"),
        (lambda fit: fit.loglik, "loglik: CORR"),
        (lambda fit: fit.compare(fit), "compare: CORR"),
        (lambda fit: fit.leave_one_out(), "leave_one_out: CORR"),
        (lambda fit: fit.robust("none"), "robust='none'"),
        (lambda fit: fit.update(method="ML"), "found by moments"),
        (lambda fit: fit.update(fixed={"tau2 study": 0.1}), "cannot be held"),
        (lambda fit: fit.update(rho=-0.1), "from 0 to 1"),
        (lambda fit: fit.sweep(rho=[-0.1]), "from 0 to 1"),
        (lambda fit: fit.sweep(rho=[1.1]), "a correlation from 0 to 1"),
        (lambda fit: fit.update(V=mb.sampling_covariance(fit.effects, rho=0.5)), "know variances only"),
        (lambda fit: fit.update(random="~ 1 | study", method="moments"), "belongs to random='CORR'"),
    ],
)
def test_what_such_a_fit_does_not_have_is_refused_with_the_cure(
    corr: mb.Multilevel, ask: Callable[[mb.Multilevel], Any], said: str
) -> None:
    with pytest.raises(mb.OptionError) as caught:
        ask(corr)
    assert said in str(caught.value)


def test_hierarchical_weights_know_no_sampling_correlation(hier: mb.Multilevel) -> None:
    with pytest.raises(mb.OptionError, match="leave rho out"):
        hier.update(rho=0.5)
    with pytest.raises(mb.OptionError, match="random='CORR'"):
        hier.sweep(rho=[0.5])


def test_moments_that_do_not_tell_the_variances_are_refused() -> None:
    frame = pd.DataFrame({"study": list("abcd"), "yi": [0.1, 0.2, 0.5, 0.3], "vi": [0.1] * 4})
    with pytest.raises(mb.EstimationError, match=r"mb\.pool"):
        mb.multilevel(frame, "HIER", measure="GEN")
    two = pd.DataFrame({"study": list("aabb"), "x": [0, 0, 1, 1], "yi": [0.1, 0.2, 0.5, 0.3], "vi": [0.1] * 4})
    with pytest.raises(mb.EstimationError, match="leave moderators out"):
        mb.multilevel(two, "CORR", formula="~ x", measure="GEN")


def test_card_record_methods_and_forest_name_components_and_correlation(
    corr: mb.Multilevel, hier: mb.Multilevel
) -> None:
    text = repr(corr)
    assert "τ² study   0.156" in text
    assert "I² 75.1%" in text
    assert "sampling correlation 0.80 assumed" in text
    assert "components by moments; " in text
    assert "ω² study/effect   0.109" in repr(hier)
    assert "the method of moments" in corr.methods_text()
    assert "likelihood" not in corr.methods_text()
    record = corr.to_dict()
    assert (record["spec"]["method"], record["loglik"], record["spec"]["rho"]) == ("moments", None, 0.8)
    assert "τ² study" in corr._repr_html_()
    assert hier.update(formula="~ 1").forest().axes


def test_covariances_that_come_with_the_effects_are_told_as_not_used() -> None:
    effects = mb.effect_sizes(pd.DataFrame(SETS["assink2016"]["columns"]), measure="GEN")
    carried = replace(effects, cov=mb.sampling_covariance(effects, rho=0.4).matrix)
    fit, plain = mb.multilevel(carried, "CORR"), mb.multilevel(effects, "CORR")
    assert fit.estimate == plain.estimate
    assert any("the weights of CORR do not use" in note for note in fit.notes)


def test_the_forest_has_tau2_and_i2_and_no_test_of_a_q_without_distribution() -> None:
    data = multilevel_forest_data(fitted("corrdat | CORR 0.8").analysis)
    told = [line for line in (*(row.label for row in data.rows), data.alt) if "Heterogeneity: " in line]
    assert told[0] == "Heterogeneity: τ² = 0.15, I² (from Q) = 76%"
    assert "Heterogeneity: τ² = 0.15, I² = 76%. " in told[1]
