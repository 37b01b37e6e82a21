"""Meta-regressions by formula against metafor with tight control (generate_regression.R)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.regression import Regression

AGREE = 1e-8  # metafor solves the normal equations, which cost it half its digits for raw years; usual: 1e-13
P_VALUES = 2e-7  # a p value moves by the statistic times its relative error
EXACT = 1e-12  # counts over counts
NOUGHT = 1e-9  # where REML is at the boundary metafor stops just above 0
STORE = json.loads((Path(__file__).parent / "regression.json").read_text(encoding="utf-8"))
CASES, PERMUTATIONS = STORE["cases"], STORE["permutations"]
RULES = {"z": ("Wald", "z"), "t": ("Wald-t", "t(k-1)"), "knha": ("HKSJ", "t(k-1)")}
CENTRED = {"konstantopoulos raw years"}  # the same model in other columns: its coefficients are not comparable


def table(case: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame({"yi": case["yi"], "vi": case["vi"], **case["columns"]})
    return frame.assign(study=[f"S{i}" for i in range(len(frame))])


@cache
def effects_of(name: str) -> mb.EffectSizes:
    case = CASES[name]
    return mb.effect_sizes(mb.read_trials(table(case)), measure=case["measure"])


@cache
def fit(name: str, method: str, rule: str) -> Regression:
    ci, pi = RULES[rule]
    return mb.regress(effects_of(name), CASES[name]["formula"], tau2=method, ci=ci, pi=pi)


GRID = [(name, method) for name, case in CASES.items() for method in case["fits"]]


@pytest.mark.parametrize(("name", "method"), GRID)
def test_heterogeneity_agrees(name: str, method: str) -> None:
    true, found = CASES[name]["fits"][method], fit(name, method, "z")
    spread = found.heterogeneity
    ours = (spread.tau2, spread.q, spread.i2_tau2, spread.h2)
    theirs = [true[key] for key in ("tau2", "q", "i2", "h2")]
    np.testing.assert_allclose(ours, theirs, rtol=AGREE, atol=NOUGHT)
    assert spread.q_p == pytest.approx(true["q_p"], rel=P_VALUES)
    if true["r2"] is not None:
        assert found.r2 == pytest.approx(true["r2"], rel=AGREE, abs=NOUGHT)
    limits = (spread.tau2_low, spread.tau2_high)
    np.testing.assert_allclose(limits, (true["tau2_low"], true["tau2_high"]), rtol=AGREE, atol=NOUGHT)
    if true["vif"] and name not in CENTRED:
        np.testing.assert_allclose(found.terms()["gvif"].astype(float), true["vif"], rtol=AGREE)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("name", "method"), GRID)
def test_coefficients_tests_and_predictions_agree(name: str, method: str, rule: str) -> None:
    true, found = CASES[name]["fits"][method][rule], fit(name, method, rule)
    frame, values = found.to_frame(), found.fitted_values()
    if name not in CENTRED:
        np.testing.assert_allclose(frame["estimate"], CASES[name]["fits"][method]["beta"], rtol=AGREE, atol=NOUGHT)
        for key in ("se", "ci_low", "ci_high"):
            np.testing.assert_allclose(frame[key], true[key], rtol=AGREE, atol=NOUGHT, err_msg=key)
        np.testing.assert_allclose(frame["p_value"], true["p_value"], rtol=P_VALUES)
    assert found.moderators is not None
    ours = (found.moderators.statistic, found.moderators.p_value)
    np.testing.assert_allclose(ours, (true["qm"], true["qm_p"]), rtol=P_VALUES)
    assert (found.moderators.df_residual == np.inf) is (true["df"] is None)
    theirs = {"estimate": "fitted", "ci_low": "fitted_low", "ci_high": "fitted_high", "pi_low": "new_low"}
    for key, other in {**theirs, "pi_high": "new_high"}.items():
        np.testing.assert_allclose(values[key], true[other], rtol=AGREE, atol=NOUGHT, err_msg=key)


@pytest.mark.parametrize("name", PERMUTATIONS)
def test_exact_permutation_tests_agree(name: str) -> None:
    case = PERMUTATIONS[name]
    ci = "HKSJ" if case["test"] == "knha" else "Wald"
    found = mb.regress(table(case), case["formula"], measure="GEN", tau2=case["method"], ci=ci).permutation_test()
    assert found.exact
    assert list(found.p_values.values()) == pytest.approx(case["p_value"], rel=EXACT)
    assert found.p_moderators == pytest.approx(case["qm_p"], rel=EXACT)


def test_the_grid_cannot_shrink() -> None:
    assert len(CASES) >= 25
    assert len({name.split()[0] for name in CASES}) >= 17
    assert len(PERMUTATIONS) >= 4
    assert all(set(case["fits"]) >= {"DL", "PM", "REML", "ML", "EB", "SJ", "HS"} for case in CASES.values())
