"""Log-likelihood, deviance and information criteria: metafor's numbers, and what does not exist."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.postestimation.analysis import analyse
from metaback.postestimation.fit_statistics import FitStatistics, fit_statistics
from metaback.report.records import analysis_record
from metaback.report.sections import heterogeneity_text

CASES = json.loads(
    (Path(__file__).parents[1] / "reference" / "metafor_univariate_tau2.json").read_text(encoding="utf-8")
)["cases"]
NAMES = ("dat.bcg", "dat.normand1999", "dat.raudenbush1985", "dat.collins1985b", "dat.molloy2014", "dat.fine1993")
PRINTED = 1e-8  # metafor stops at 1e-14, the likelihood is flat at its peak; the file has 15 digits
Make = Callable[..., EffectSizes]


def found(name: str, method: str, model: str) -> FitStatistics:
    y, v = np.array(CASES[name]["yi"]), np.array(CASES[name]["vi"])
    row = np.arange(1, y.size + 1)
    X = np.column_stack((np.ones(y.size), (7 * row) % 5)) if model == "line" else None
    spec = PoolSpec(tau2=method, ci="Wald")
    return fit_statistics(fit_univariate(y, v, np.ones(y.size, dtype=bool), spec, X), spec, y.size)


@pytest.mark.parametrize("model", ["mean", "line"])
@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("name", NAMES)
def test_all_numbers_are_those_of_metafor(name: str, method: str, model: str) -> None:
    mine = found(name, method, model)
    theirs = CASES[name]["statistics" if model == "mean" else "line_statistics"][method]
    assert (mine.maximised, mine.parameters) == (method, 2 if model == "mean" else 3)
    for part, row in ((mine.ml, theirs["ML"]), (mine.reml, theirs["REML"])):
        numbers = (part.loglik, part.deviance, part.aic, part.bic, part.aicc)
        np.testing.assert_allclose(numbers, row, rtol=PRINTED, atol=PRINTED)


def test_one_study_has_a_full_likelihood_only(make: Make) -> None:
    fit = analyse(make([0.4], [0.09]), PoolSpec()).fitted
    one = fit_statistics(fit.fit, fit.spec, 1)
    assert (one.parameters, one.maximised, one.ml.size, one.reml.size) == (1, None, 1, 0)
    assert one.ml.loglik == pytest.approx(-0.5 * np.log(2 * np.pi * 0.09), rel=1e-14)
    assert one.ml.deviance == pytest.approx(0.0, abs=1e-15)
    assert one.reml.loglik is one.reml.aic is one.reml.bic is None


def test_moments_and_given_values_are_at_no_maximum(make: Make) -> None:
    effects = make([0.1, 0.9, -0.4, 0.5], [0.05, 0.08, 0.06, 0.1])
    for tau2, parameters in (("DL", 2), (0.04, 1)):
        analysis = analyse(effects, PoolSpec(tau2=tau2))
        mine = fit_statistics(analysis.fitted.fit, analysis.fitted.spec, 4)
        assert (mine.maximised, mine.parameters) == (None, parameters)
        assert "log-likelihood" not in heterogeneity_text(analysis)
    equal = analyse(effects, PoolSpec(model="equal", ci="Wald", pi="none"))
    assert fit_statistics(equal.fitted.fit, equal.fitted.spec, 4).maximised == "ML"


def test_the_result_the_record_and_the_sentence_have_the_same_numbers() -> None:
    pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    res = mb.pool(pain)
    mine = res.fit_statistics
    record = res.to_dict()["fit_statistics"]
    assert record["maximised"] == "REML"
    assert record["reml"]["aic"] == pytest.approx(mine.reml.aic, rel=1e-11)
    assert record["ml"]["size"] == record["reml"]["size"] + 1 == res.k
    assert f"AIC {mine.reml.aic:.2f}" in heterogeneity_text(res.analysis)
    assert analysis_record(res.analysis)["fit_statistics"] == record
    fit = mb.regress(pain, "~ weeks", tau2="ML")
    assert fit.fit_statistics.parameters == 3
    assert fit.fit_statistics.ml.loglik == pytest.approx(float(fit.analysis.fitted.fit.loglik), rel=1e-12)
    assert fit.to_dict()["fit_statistics"]["ml"]["bic"] == pytest.approx(fit.fit_statistics.ml.bic, rel=1e-11)
