"""Berkey et al. 1998, Statistics in Medicine 17:2537-2550, Table II, p. 2545: two outcomes of periodontal treatment.

Pocket depth and attachment level of five trials with their covariances; model with the year of the trial, by full
maximum likelihood. Four digits as in metafor's comparison with the table, which has two or three.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.stats.blocks import BlockMatrix


@pytest.fixture(name="frame")
def table(dependent: Any) -> pd.DataFrame:
    """Return the table."""
    return dependent.frame("berkey1998").rename(columns={"trial": "study"})


@pytest.fixture(name="V")
def sampling(dependent: Any) -> BlockMatrix:
    """Return the covariances of the trials."""
    return dependent.covariance("berkey1998")


def test_the_model_with_year_of_table_2(frame: pd.DataFrame, V: BlockMatrix) -> None:
    fit = mb.multilevel(
        frame, "~ outcome | study", struct="UN", V=V, formula="~ outcome + outcome:year_c - 1", method="ML", test="z"
    )
    assert [round(part.point, 4) for part in fit.coefficients.values()] == [-0.3351, 0.3479, -0.0108, 0.0010]
    assert [round(part.se, 4) for part in fit.coefficients.values()] == [0.0787, 0.0520, 0.0243, 0.0154]
    tau2_al, tau2_pd, rho = fit.components["estimate"].tolist()
    assert (round(tau2_al, 4), round(tau2_pd, 4), round(rho, 4)) == (0.0250, 0.0080, 0.6587)
    assert round(rho * np.sqrt(tau2_al * tau2_pd), 4) == 0.0093


def test_covariances_may_be_given_as_columns_of_the_table(frame: pd.DataFrame, V: BlockMatrix) -> None:
    effects = mb.effect_sizes(frame, measure="GEN")
    covariance = mb.sampling_covariance(effects, matrix=list(V.parts[0]))
    by_blocks = mb.multilevel(effects, "~ outcome | study", struct="UN", V=covariance, formula="~ outcome - 1")
    whole = mb.multilevel(effects, "~ outcome | study", struct="UN", V=V, formula="~ outcome - 1")
    assert by_blocks.loglik == pytest.approx(whole.loglik, abs=1e-12)
