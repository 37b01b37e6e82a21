"""Konstantopoulos 2011, Research Synthesis Methods 2(1):61-76 (doi 10.1002/jrsm.35): schools within districts.

Tables 4 and 5, pp. 70-71, with the four digits that metafor's own comparison with the paper has, and the numbers that
metaSEM prints for the same data (Cheung, metaSEM examples of three-level meta-analysis, data Cooper03). The paper
prints 0.183 for the intercept of the model with year, where every program has 0.178.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import metaback as mb


@pytest.fixture(name="schools")
def table(dependent: Any) -> pd.DataFrame:
    """Return the table."""
    return dependent.frame("konstantopoulos2011")


def shown(values: list[float], digits: int) -> list[float]:
    """Round as a table prints."""
    return [round(value, digits) for value in values]


def test_two_levels_of_table_4(schools: pd.DataFrame) -> None:
    fit = mb.multilevel(schools, "~ 1 | study")
    assert shown([fit.estimate.point, fit.estimate.se], 4) == [0.1279, 0.0439]
    assert shown(fit.components["estimate"].tolist(), 4) == [0.0884]


def test_three_levels_of_table_5(schools: pd.DataFrame) -> None:
    fit = mb.multilevel(schools, "~ 1 | district/school", method="ML")
    assert shown([fit.estimate.point, fit.estimate.se], 4) == [0.1845, 0.0805]
    assert shown(fit.components["estimate"].tolist(), 4) == [0.0577, 0.0329]


def test_three_levels_with_year_of_table_5(schools: pd.DataFrame) -> None:
    fit = mb.multilevel(schools, "~ 1 | district/school", formula="~ year_c", method="ML")
    assert shown([part.point for part in fit.coefficients.values()], 4) == [0.1780, 0.0051]
    assert shown([part.se for part in fit.coefficients.values()], 4) == [0.0805, 0.0085]
    assert shown(fit.components["estimate"].tolist(), 4) == [0.0565, 0.0329]


def test_the_digits_that_metasem_prints(schools: pd.DataFrame) -> None:
    fit = mb.multilevel(schools, "~ 1 | district/school", method="ML", test="z")
    assert fit.estimate.point == pytest.approx(0.1844554, abs=5e-7)
    # its standard error of 0.0805411 is that of the joint Hessian; GLS has 0.0804817
    assert fit.estimate.se == pytest.approx(0.0804817, abs=5e-7)
    assert -2 * fit.loglik == pytest.approx(16.78987, abs=1e-4)  # the last digits rest on rounded effects
    assert fit.heterogeneity.q == pytest.approx(578.864, abs=5e-4)
    reml = mb.multilevel(schools, "~ 1 | district/school")
    assert reml.components["estimate"].tolist() == pytest.approx([0.0650619, 0.0327365], abs=5e-7)


def test_explained_variance_of_metasem(schools: pd.DataFrame) -> None:
    fit = mb.multilevel(schools, "~ 1 | district/school", formula="~ year_c", method="ML")
    r2 = fit.r2().set_index("term")["r2"]
    assert round(r2["district"], 2) == 2.21
    assert r2["district/school"] < 0  # metaSEM prints 0


def test_i2_per_level_as_on_the_pages_of_metafor(schools: pd.DataFrame) -> None:
    """See metafor-project.org, tips:i2_multilevel_multivariate, three-level model."""
    i2 = mb.multilevel(schools, "~ 1 | district/school").i2.set_index("level")["i2"]
    assert shown(i2.tolist(), 2) == [63.32, 31.86, 95.19]


def test_the_naive_result_stands_beside_it(schools: pd.DataFrame) -> None:
    fit = mb.multilevel(schools, "~ 1 | district/school")
    assert fit.naive["Intercept"].point == pytest.approx(mb.pool(schools, independent=True).estimate.point, abs=1e-10)
    assert fit.estimate.se / fit.naive["Intercept"].se == pytest.approx(1.951, abs=1e-3)
