"""Assink & Wibbelink 2016, Quantitative Methods for Psychology 12:154-174: the data of the tutorial on three levels.

The tables of the tutorial could not be read. The three-level model as other programs print it for the data that metadat
has (100 effects of 17 studies), and the robust variances of clubSandwich's help page (vcovCR for rma.mv, assink2016).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb


@pytest.fixture(name="frame")
def table(dependent: Any) -> pd.DataFrame:
    """Return the table."""
    return dependent.frame("assink2016")


CR2 = np.array(
    [
        [0.015081059, -0.0020131555, -0.0036579995, -0.007130740],
        [-0.002013156, 0.0007603265, -0.0002607379, 0.000218784],
        [-0.003658000, -0.0002607379, 0.0042972555, 0.004769307],
        [-0.007130740, 0.0002187840, 0.0047693066, 0.010075586],
    ]
)


def test_three_levels(frame: pd.DataFrame) -> None:
    fit = mb.multilevel(frame, "~ 1 | study/esid")
    assert (round(fit.estimate.point, 4), round(fit.estimate.se, 4)) == (0.4268, 0.1184)
    assert [round(value, 4) for value in fit.components["estimate"]] == [0.1879, 0.1120]


def test_moderators_with_the_robust_variance_of_the_help_page(frame: pd.DataFrame) -> None:
    plain = mb.multilevel(frame, "~ 1 | study/esid", formula="~ year + deltype", test="z")
    assert [round(part.point, 4) for part in plain.coefficients.values()] == [-0.2438, -0.0380, 0.7094, 0.5054]
    assert [round(value, 4) for value in plain.components["estimate"]] == [0.1493, 0.0853]
    assert round(plain.heterogeneity.q, 4) == 610.2644
    assert plain.moderators is not None
    assert round(plain.moderators.statistic, 4) == 19.2399
    robust = plain.update(robust="CR2", test="t")
    assert np.allclose(robust.cov, CR2, rtol=1e-6)


def test_what_one_study_alone_decides_is_not_told(frame: pd.DataFrame) -> None:
    """Covert delinquency is in study 16 only: clubSandwich has 2 to 7 df, but its own error leaves no trace."""
    fit = mb.multilevel(frame, "~ 1 | study/esid", formula="~ deltype", robust="CR2")
    assert math.isnan(fit.coefficients["Intercept"].se)
    assert any("a single study decides" in note for note in fit.notes)
