"""Bornmann, Mutz & Daniel 2007, gender differences in grant peer review: three levels, and the type of the grant.

Numbers of metaSEM (Cheung, examples of three-level meta-analysis, data Bornmann07), which replicate Table 3 of Marsh et
al. 2009; its effects have five decimals, so the last digits differ.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import metaback as mb


@pytest.fixture(name="frame")
def table(dependent: Any) -> pd.DataFrame:
    """Return the table."""
    return dependent.frame("bornmann2007")


def test_three_levels(frame: pd.DataFrame) -> None:
    fit = mb.multilevel(frame, "~ 1 | study/obs", method="ML", test="z")
    assert fit.estimate.point == pytest.approx(-0.1007784, abs=1e-5)
    assert fit.estimate.se == pytest.approx(0.0401327, rel=0.02)  # its own: of the joint Hessian, not of GLS
    assert fit.components["estimate"].tolist() == pytest.approx([0.0141352, 0.0037965], abs=1e-5)
    assert -2 * fit.loglik == pytest.approx(25.80256, abs=1e-3)
    assert fit.heterogeneity.q == pytest.approx(221.2809, abs=1e-2)


def test_likelihood_ratio_of_the_variance_between_studies(frame: pd.DataFrame) -> None:
    full = mb.multilevel(frame, "~ 1 | study/obs", method="ML")
    found = full.compare(full.update(fixed={"sigma2 study": 0}))
    assert found.df == 1
    assert found.statistic == pytest.approx(10.22024, abs=1e-3)
    assert found.p_value == pytest.approx(0.001389081, rel=1e-3)
    assert found.p_boundary == pytest.approx(found.p_value / 2)


def test_the_type_of_the_grant(frame: pd.DataFrame) -> None:
    fit = mb.multilevel(frame, "~ 1 | study/obs", formula="~ type", method="ML", test="z")
    difference = list(fit.coefficients.values())[1]
    assert abs(difference.point) == pytest.approx(0.1955869, abs=1e-4)
    assert difference.se == pytest.approx(0.0541649, rel=0.05)  # as above
    assert fit.components["estimate"].tolist() == pytest.approx([0.0029079, 0.0035335], abs=1e-5)
    r2 = fit.r2().set_index("term")["r2"] / 100
    assert r2["study"] == pytest.approx(0.7943, abs=1e-3)
    assert r2["study/obs"] == pytest.approx(0.0693, abs=1e-3)
