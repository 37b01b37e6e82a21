"""Tanner-Smith & Tipton 2014, Research Synthesis Methods 5:13-30: correlated effects weights with three moderators.

As printed in Pustejovsky 2014, "Another meta-sandwich" (www.jepusto.com/robust-meta-analysis-2), with the data corrdat
of robumeta, rho = 0.8, without the small-sample correction. robumeta's own tests and the help of clubSandwich print
fits of its other data, with hierarchical effects weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import metaback as mb

PRINTED = {
    entry["name"]: entry
    for entry in json.loads(
        (Path(__file__).parents[1] / "reference" / "dependent" / "published.json").read_text(encoding="utf-8")
    )["results"]
}


def table(dependent: Any, name: str) -> pd.DataFrame:
    """Return a data set of robumeta with its studies by name."""
    frame = dependent.frame(name)
    return frame.assign(study=frame["studyid"].astype(str))


def test_correlated_effects_without_correction(dependent: Any) -> None:
    printed = PRINTED["Tanner-Smith & Tipton 2014 correlated effects"]
    fit = mb.multilevel(
        table(dependent, "corrdat"), "CORR", rho=0.8, formula="~ males + college + binge", robust="CR1p", df="residual",
        measure="GEN",
    )  # fmt: skip
    frame = fit.to_frame()
    assert frame["estimate"].round(5).tolist() == printed["beta"]
    assert frame["se"].round(5).tolist() == printed["se"]
    assert frame["df"].tolist() == printed["df"]
    assert frame["p_value"].round(3).tolist() == printed["p"]
    for low, high, (said_low, said_high) in zip(frame["ci_low"], frame["ci_high"], printed["ci"], strict=True):
        assert (low, high) == pytest.approx((said_low, said_high), abs=6e-5)
    assert round(float(fit.components["estimate"][0]), 7) == printed["tau2"]
    assert round(float(fit.heterogeneity.total or 0.0), 5) == printed["I2"]


def test_hierarchical_effects_in_the_help_of_clubsandwich(dependent: Any) -> None:
    printed = PRINTED["clubSandwich help, hierdat"]
    fit = mb.multilevel(
        table(dependent, "hierdat"), "HIER", formula="~ binge + followup + sreport + age", measure="GEN"
    )
    frame = fit.to_frame()
    assert fit.components["estimate"].tolist() == pytest.approx([printed["tau2"], printed["omega2"]], rel=1e-6)
    assert frame["estimate"].tolist() == pytest.approx(printed["beta"], abs=5.1e-6)
    assert frame["se"].tolist() == pytest.approx(printed["se"], abs=5.1e-7)
    assert frame["df"].round(2).tolist() == printed["df"]
    assert frame["p_value"].round(4).tolist() == printed["p"]
    joint = fit.joint_test("binge", "sreport")
    assert joint.p_value == pytest.approx(printed["HTZ"][0]["p"], abs=5.1e-5)
    assert joint.df_residual == pytest.approx(printed["HTZ"][0]["df_denom"], abs=5.1e-3)


def test_one_moderator_in_the_tests_of_robumeta(dependent: Any) -> None:
    printed = PRINTED["robumeta's own tests, hierarchical effects"]
    fit = mb.multilevel(table(dependent, "hierdat"), "HIER", formula="~ followup", measure="GEN")
    assert fit.components["estimate"].round(8).tolist() == [printed["tau2"], printed["omega2"]]
    other = PRINTED["robumeta's own tests, correlated effects"]
    found = mb.multilevel(table(dependent, "corrdat"), "CORR", formula="~ followup", measure="GEN").sweep(rho=[1.0])
    frame = found.to_frame()
    assert frame["estimate"].round(9).tolist() == other["beta"]
    assert frame["τ² study"][0] == pytest.approx(other["tau2"], abs=1e-11)  # printed cut off, not rounded
