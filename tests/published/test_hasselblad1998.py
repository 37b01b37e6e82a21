"""Hasselblad 1998, Medical Decision Making 18:37-43, as in metadat: a network of treatments for smokers as one model.

Contrasts of each study with a shared arm, whose sampling covariances are given; the random effects of contrasts
correlate by one half (Salanti et al. 2008). The numbers are those of `tests/reference/dependent/fits.json`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import metaback as mb


@pytest.fixture(name="frame")
def table(dependent: Any) -> pd.DataFrame:
    """Return the table."""
    return dependent.frame("hasselblad1998_contrasts")


FORMULA = "~ self_help + ind_counseling + grp_counseling - 1"


def test_a_network_is_a_model_of_contrasts_that_share_an_arm(frame: pd.DataFrame, dependent: Any) -> None:
    theirs = dependent.fit("hasselblad1998_contrasts | network", "REML")
    fit = mb.multilevel(
        frame,
        "~ comp | study",
        struct="CS",
        formula=FORMULA,
        V=dependent.covariance("hasselblad1998_contrasts"),
        fixed={"rho": 0.5},
    )
    assert fit.loglik == pytest.approx(theirs["loglik"], abs=1e-8)
    assert [part.point for part in fit.coefficients.values()] == pytest.approx(theirs["beta"], abs=1e-7)
    assert [part.se for part in fit.coefficients.values()] == pytest.approx(theirs["se"], rel=1e-6)
    tau2, rho = fit.components["estimate"]
    assert tau2 == pytest.approx(theirs["tau2"][0], rel=1e-6)
    assert rho == 0.5
