"""Numbers of figures against closed forms: limits of a funnel, radial points, P value functions, risks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.errors import OptionError
from metaback.stats.graphs import funnel_limits, p_function, radial_points, risk_under
from metaback.stats.intervals.family import quantile

TIGHT = 1e-12  # closed forms in double precision


def test_funnel_limits_are_normal_quantiles() -> None:
    low, high = funnel_limits(0.3, np.array([0.0, 0.5]), 0.99)
    assert low[0] == high[0] == 0.3
    assert high[1] == pytest.approx(0.3 + 0.5 * 2.5758293035489004, abs=TIGHT)
    assert low[1] == pytest.approx(0.3 - 0.5 * 2.5758293035489004, abs=TIGHT)


def test_a_radial_line_has_the_effect_as_slope() -> None:
    x, z = radial_points(np.array([0.4, -1.0]), np.array([0.09, 0.16]), 0.07)
    assert x == pytest.approx([2.5, 1 / np.sqrt(0.23)], abs=TIGHT)
    assert z / x == pytest.approx([0.4, -1.0], abs=TIGHT)


@pytest.mark.parametrize(("df", "level"), [(np.inf, 0.95), (4.0, 0.9), (12.0, 0.99)])
def test_the_curve_is_one_at_the_estimate_and_cuts_each_level_at_its_interval(df: float, level: float) -> None:
    half = 0.2 * float(quantile(level, np.array([df]))[0])
    p = p_function(np.array([0.5, 0.5 - half, 0.5 + half]), np.array([0.5]), np.array([0.2]), np.array([df]))
    assert p.shape == (1, 3)
    assert p[0] == pytest.approx([1.0, 1 - level, 1 - level], abs=TIGHT)


def test_risks_under_an_effect() -> None:
    p = np.array([0.0, 0.2, 0.5, 1.0])
    assert risk_under("RR", p, np.log(1.5)) == pytest.approx([0, 0.3, 0.75, np.nan], abs=TIGHT, nan_ok=True)
    assert risk_under("RD", p, -0.1) == pytest.approx([np.nan, 0.1, 0.4, 0.9], abs=TIGHT, nan_ok=True)
    odds = risk_under("OR", p, np.log(3))
    assert odds == pytest.approx([0, 0.75 / 1.75, 0.75, 1.0], abs=TIGHT)
    assert np.array_equal(odds, risk_under("PETO", p, np.log(3)))


def test_other_measures_have_no_curve_of_risks() -> None:
    with pytest.raises(OptionError, match="OR, PETO, RR, RD"):
        risk_under("SMD", np.array([0.5]), 0.1)


@given(st.floats(0.01, 0.99), st.floats(-3, 3))
def test_the_effect_comes_back_from_the_risks(risk: float, effect: float) -> None:
    found = float(risk_under("OR", np.array([risk]), effect)[0])
    assert np.log(found / (1 - found)) - np.log(risk / (1 - risk)) == pytest.approx(effect, abs=1e-9)
