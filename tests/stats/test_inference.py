"""Quantiles, p values and interval rules against 50-digit arithmetic and by hand."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from metaback.stats.inference import (
    MEAN_RULES,
    PREDICTION_RULES,
    prediction_limits,
    quantile,
    two_sided_p,
)
from metaback.stats.measures.means import small_sample_factor

FACTOR = 1e-13  # J: a ratio of two gammas near 1
TAIL = 1e-11  # scipy's tails of t keep a few digits fewer than those of the normal
DIGITS = 60


def exact_two_sided(statistic: float, df: float) -> mpmath.mpf:
    """Return the two-sided p value with 60 digits."""
    t = mpmath.mpf(statistic)
    if math.isinf(df):
        return mpmath.erfc(abs(t) / mpmath.sqrt(2))
    n = mpmath.mpf(df)
    return mpmath.betainc(n / 2, mpmath.mpf(1) / 2, 0, n / (n + t * t), regularized=True)


@pytest.mark.parametrize("statistic", [0.0, 1e-8, 0.5, 1.959964, -4.2, 8.0, 20.0, 35.0])
def test_p_of_z_has_its_digits_in_the_far_tail(statistic: float) -> None:
    with mpmath.workdps(DIGITS):
        true = exact_two_sided(statistic, math.inf)
        found = two_sided_p(np.array([statistic]), np.array([np.inf]))[0]
        assert abs(found / true - 1) < 1e-12


@pytest.mark.parametrize("df", [1, 2, 3, 5, 12, 40, 200, 1e4, 2.5])
@pytest.mark.parametrize("statistic", [0.0, 0.5, 2.1, -4.2, 12.0, 60.0, 1e3])
def test_p_of_t_has_its_digits_in_the_far_tail(df: float, statistic: float) -> None:
    with mpmath.workdps(DIGITS):
        true = exact_two_sided(statistic, df)
        found = two_sided_p(np.array([statistic]), np.array([float(df)]))[0]
        if true < 1e-300:  # below the range that is promised it must still be tiny
            assert 0 <= found < 1e-299
        else:
            assert abs(found / true - 1) < TAIL


def test_p_of_the_promised_smallest_size() -> None:
    # RELIABILITY (1): relative 1e-8 down to 1e-300
    with mpmath.workdps(DIGITS):
        found, true = two_sided_p(np.array([37.0]), np.array([np.inf]))[0], exact_two_sided(37.0, math.inf)
        assert 1e-300 < true < 1e-298
        assert abs(found / true - 1) < 1e-12


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999999])
@pytest.mark.parametrize("df", [1, 2, 3, 7, 30, 1e3, math.inf])
def test_a_quantile_has_the_probability_that_it_is_asked_for(level: float, df: float) -> None:
    with mpmath.workdps(DIGITS):
        found = float(quantile(level, np.array([float(df)]))[0])
        # found -> probability: the level itself is a double, so 1 - level has fewer digits near 1
        assert abs(exact_two_sided(found, df) / (1 - mpmath.mpf(level)) - 1) < max(TAIL, 4e-16 / (1 - level))


def test_there_is_no_quantile_without_degrees_of_freedom() -> None:
    df = np.array([0.0, -1.0, np.nan, 1.0, np.inf])
    assert np.isnan(quantile(0.95, df)).tolist() == [True, True, True, False, False]
    assert np.isnan(two_sided_p(np.ones(5), df)).tolist() == [True, True, True, False, False]


# ---------------------------------------------------------------- rules of the mean

Q1 = np.array([0.5, 4.0, 8.0, 0.0])
M = np.array([4.0, 4.0, 4.0, 4.0])


def test_wald_leaves_the_covariance_and_takes_the_normal() -> None:
    factor, df = MEAN_RULES["Wald"].function(Q1, M, 0.95)
    assert factor.tolist() == [1, 1, 1, 1]
    assert np.isinf(df).all()


def test_wald_t_takes_the_residual_degrees_of_freedom() -> None:
    factor, df = MEAN_RULES["Wald-t"].function(Q1, M, 0.95)
    assert factor.tolist() == [1, 1, 1, 1]
    assert df.tolist() == [4, 4, 4, 4]


def test_hartung_knapp_multiplies_by_the_mean_square() -> None:
    factor, df = MEAN_RULES["HKSJ"].function(Q1, M, 0.95)
    assert factor.tolist() == [0.125, 1.0, 2.0, 0.0]
    assert df.tolist() == [4, 4, 4, 4]


def test_the_wider_rule_switches_where_the_widths_cross() -> None:
    # at 95% and 4 df the widths cross where sqrt(q1/4) t = z, q1 = 4 (1.959964/2.776445)^2
    cross = 4 * float(quantile(0.95, np.array([np.inf]))[0] / quantile(0.95, np.array([4.0]))[0]) ** 2
    assert cross == pytest.approx(4 * (1.9599640 / 2.7764451) ** 2, rel=1e-7)
    q1 = np.array([cross * (1 - 1e-9), cross * (1 + 1e-9)])
    factor, df = MEAN_RULES["HKSJ-wider"].function(q1, np.array([4.0, 4.0]), 0.95)
    assert (factor[0], df[0]) == (1.0, np.inf)
    assert (factor[1], df[1]) == (q1[1] / 4, 4.0)


def test_the_wider_rule_depends_on_the_level() -> None:
    q1, m = np.array([1.8]), np.array([4.0])
    assert np.isinf(MEAN_RULES["HKSJ-wider"].function(q1, m, 0.95)[1][0])
    assert MEAN_RULES["HKSJ-wider"].function(q1, m, 0.999)[1][0] == 4  # the t tail is heavier further out


@pytest.mark.parametrize("rule", tuple(MEAN_RULES))
def test_without_residual_degrees_of_freedom_every_rule_is_wald(rule: str) -> None:
    factor, df = MEAN_RULES[rule].function(np.array([0.0]), np.array([0.0]), 0.95)
    assert (factor[0], df[0]) == (1.0, np.inf)


# ---------------------------------------------------------------- prediction


def test_degrees_of_freedom_of_prediction() -> None:
    k = np.array([3.0, 10.0])
    assert np.isinf(PREDICTION_RULES["z"].function(k)).all()
    assert PREDICTION_RULES["t(k-1)"].function(k).tolist() == [2, 9]
    assert PREDICTION_RULES["t(k-2)"].function(k).tolist() == [1, 8]


def test_limits_of_prediction_by_hand() -> None:
    # t with 1 df at 95% is tan(0.475 pi) = 12.7062; sqrt(0.09 + 0.16) = 0.5
    low, high = prediction_limits(np.array([0.2]), np.array([0.16]), np.array([0.09]), np.array([1.0]), 0.95)
    half = 0.5 * math.tan(0.475 * math.pi)
    assert (low[0], high[0]) == (pytest.approx(0.2 - half, rel=1e-12), pytest.approx(0.2 + half, rel=1e-12))


# ---------------------------------------------------------------- the factor J


def test_the_small_sample_factor_from_1_5_to_4e7_degrees_of_freedom() -> None:
    grid = [1.5, 2, 3, 4, 7, 18, 98, 199, 200, 200.9, 201, 201.1, 202, 250, 340, 343, 344, 1e3, 1e4, 1e5, 1e6, 1e7, 4e7]
    df = np.array(grid + list(np.geomspace(1.5, 4e7, 200)))
    with mpmath.workdps(DIGITS):
        true = [mpmath.gammaprod([d / 2], [(d - 1) / 2]) / mpmath.sqrt(d / 2) for d in map(mpmath.mpf, df)]
    np.testing.assert_allclose(small_sample_factor(df), [float(t) for t in true], rtol=FACTOR)


def test_the_small_sample_factor_rises_to_1_and_does_not_exist_below() -> None:
    # from 1.5: near its series (df = 201) two neighbours may differ in the last bit
    found = small_sample_factor(np.geomspace(1.5, 1e7, 1_000))
    assert (np.diff(found) > -2e-16).all()
    assert (found < 1).all()
    assert np.isnan(small_sample_factor(np.array([1.0, 0.5, 0.0, -1.0]))).all()
