"""`mb.regress` on rows that depend on each other, against clubSandwich 0.5.8 on fits of metafor 3.8-1.

Three levels: default of `regress` with the correlation that the fit of R assumed. One level: `Regression.robust` on the
weights 1 / (v + tau2), every kind. What R computes where a level rests on one study is not to be agreed with: see
README.md.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.regression import Regression

HERE = Path(__file__).parent / "dependent"
CASES: dict[str, Any] = json.loads((HERE / "clubsandwich.json").read_text(encoding="utf-8"))["cases"]
SETS: dict[str, Any] = json.loads((HERE / "data.json").read_text(encoding="utf-8"))["sets"]
ESTIMATE = 1e-6  # in standard errors: the last step of rma.mv's optimiser
SPREAD = 1e-5  # relative, of standard errors, df and tests: they follow the components
UNIVARIATE = 1e-7  # relative: tau2 of rma.uni has more digits, its weights are the same numbers
TINY = 1e-12  # absolute, of P values

LEVELS = {  # case: formula, assumed correlation
    "konstantopoulos2011 | three levels": ("~ 1", 0.0),
    "konstantopoulos2011 | year": ("~ year_c", 0.0),
    "assink2016 | three levels": ("~ 1", 0.0),
    "assink2016_V | CHE": ("~ 1", 0.6),
    "hierdat | moderators": ("~ followup + binge", 0.0),
}
ALONE = {
    "uni konstantopoulos2011 year": "~ year_c",
    "uni konstantopoulos2011": "~ 1",
    "uni konstantopoulos2011 two clusters": "~ 1",
    "uni crede2010 criterion": "~ C(criterion, contr.treatment('gpa'))",
    "uni hierdat": "~ binge + followup + sreport + age",
}
KEPT = ("yi", "vi", "year_c", "deltype", "criterion", "binge", "followup", "sreport", "age")
KINDS = ("CR0", "CR1", "CR1S", "CR1p", "CR2", "CR3")


def table(case: dict[str, Any]) -> pd.DataFrame:
    """Return the table of a case with its clusters as studies."""
    frame = pd.DataFrame(SETS[case["set"]]["columns"])
    frame = frame.iloc[case.get("rows", range(len(frame)))].reset_index(drop=True)
    return frame[[name for name in frame if name in KEPT]].assign(
        study=[str(value) for value in frame[case["cluster_by"]]]
    )


def levels(name: str, formula: str, rho: float) -> Regression:
    """Return the default regression of a case."""
    return mb.regress(table(CASES[name]), formula, measure="GEN", rho=rho)


@pytest.mark.parametrize("name", LEVELS)
def test_three_levels_are_those_of_clubsandwich(name: str) -> None:
    """Coefficients, CR2 standard errors, Satterthwaite's df, limits and P values, and HTZ of several coefficients."""
    case, (formula, rho) = CASES[name], LEVELS[name]
    fit = levels(name, formula, rho)
    wanted = case["types"]["CR2"]
    found = fit.to_frame()
    assert fit.analysis.dependent
    assert fit.spec.pool.ci == "CR2"
    beta, se = np.atleast_1d(case["beta"]), np.atleast_1d(wanted["Satterthwaite"]["se"])
    assert np.abs(found["estimate"] - beta).to_numpy() / se == pytest.approx(0, abs=ESTIMATE)
    assert found["se"].to_numpy() == pytest.approx(se, rel=SPREAD)
    assert found["df"].to_numpy() == pytest.approx(np.atleast_1d(wanted["Satterthwaite"]["df"]), rel=SPREAD)
    assert found["p_value"].to_numpy() == pytest.approx(
        np.atleast_1d(wanted["Satterthwaite"]["p"]), rel=10 * SPREAD, abs=TINY
    )
    assert np.abs(found["ci_low"] - np.atleast_1d(wanted["ci"]["low"])).to_numpy() / se == pytest.approx(0, abs=SPREAD)
    if fit.moderators is not None:
        joint = wanted["wald"]["HTZ"]
        assert fit.moderators.statistic == pytest.approx(joint["F"], rel=10 * SPREAD)
        assert fit.moderators.df == joint["df_num"]
        assert fit.moderators.df_residual == pytest.approx(joint["df_denom"], rel=SPREAD)
        assert fit.moderators.p_value == pytest.approx(joint["p"], rel=10 * SPREAD)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ALONE)
def test_one_level_is_that_of_clubsandwich(name: str, kind: str) -> None:
    """Every kind on the weights 1 / (v + tau2) of independent rows, with studies as clusters."""
    case = CASES[name]
    wanted = case["types"][kind]
    fit = mb.regress(table(case), ALONE[name], measure="GEN", preset="metafor")
    assert not fit.analysis.dependent
    found = fit.robust(kind)
    tests = wanted["Satterthwaite"]
    assert found["se"].to_numpy() == pytest.approx(np.array(tests["se"], dtype=float, ndmin=1), rel=UNIVARIATE)
    assert found["df"].to_numpy() == pytest.approx(np.array(tests["df"], dtype=float, ndmin=1), rel=UNIVARIATE)
    assert (found["kind"] == kind).all()
    assert (found["clusters"] == len(set(case["cluster"]))).all()


@pytest.mark.parametrize(("name", "rho"), [("assink2016 | deltype", 0.0), ("assink2016_V | CHE deltype", 0.6)])
def test_a_level_of_one_study_has_no_robust_variance(name: str, rho: float) -> None:
    """Covert delinquency is in one study: nan with a sentence; the contrast of the other levels is clubSandwich's."""
    case = CASES[name]
    fit = levels(name, "~ deltype", rho)
    found = fit.to_frame().set_index("term")
    assert found["estimate"].to_numpy() == pytest.approx(np.array(case["beta"]), abs=1e-5)
    assert math.isnan(found["se"].iloc[0])
    assert math.isnan(found["p_value"].iloc[0])
    assert any("that one study alone has" in note and "Intercept" in note for note in fit.notes)
    assert fit.moderators is not None
    assert math.isnan(fit.moderators.p_value)
    assert str(fit.moderators).startswith("no test")
    between = fit.contrast("deltype[T.general] - deltype[T.overt] = 0")
    c, V = np.array([0, 1, -1]), np.array(case["types"]["CR2"]["vcov"])
    assert between["se"].iloc[0] == pytest.approx(math.sqrt(c @ V @ c), rel=SPREAD)
    assert between["df"].iloc[0] > 1
    assert "nan" not in repr(fit)
