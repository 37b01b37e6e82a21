"""Tests about coefficients: 50-digit values, published p adjustments, and what must not matter."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.errors import OptionError
from metaback.stats.multiplicity import ADJUSTMENTS, adjusted
from metaback.stats.orders import all_orders, count_orders, random_orders
from metaback.stats.regression import contrast_q, gvif, in_basis, joint_p, orthonormal, r_squared, subset_q

EXACT = 1e-12  # closed forms
P_VALUE = 1e-10  # upper tails of chi-square and F

YEARS = np.arange(1970.0, 1990.0)
X = np.column_stack((np.ones(20), YEARS, YEARS**2))
Y = np.sin(YEARS) + 0.02 * (YEARS - 1980) ** 2
V = 0.1 + 0.05 * np.cos(YEARS) ** 2
# R 4.2.2: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.2), method), with "BH" and "BY" for the last two
P = np.array([0.01, 0.04, 0.03, 0.005, 0.2])
BY_R = {
    "none": [0.01, 0.04, 0.03, 0.005, 0.2],
    "bonferroni": [0.05, 0.2, 0.15, 0.025, 1.0],
    "holm": [0.04, 0.09, 0.09, 0.025, 0.2],
    "hochberg": [0.04, 0.08, 0.08, 0.025, 0.2],
    "fdr_bh": [0.025, 0.05, 0.05, 0.025, 0.2],
    "fdr_by": [
        0.057083333333333333,
        0.11416666666666667,
        0.11416666666666665,
        0.057083333333333333,
        0.45666666666666667,
    ],
}


def exact_q(tau2: float, tested: list[int]) -> mpmath.mpf:
    """Return b'V^-1 b of raw years with 60 digits, by the normal equations."""
    with mpmath.workdps(60):
        A = mpmath.matrix(X.tolist())
        W = mpmath.diag([1 / (mpmath.mpf(v) + mpmath.mpf(tau2)) for v in V.tolist()])
        cov = (A.T * W * A) ** -1
        beta = cov * (A.T * W * mpmath.matrix(Y.tolist()))
        part = mpmath.matrix([[cov[i, j] for j in tested] for i in tested])
        b = mpmath.matrix([beta[i] for i in tested])
        return (b.T * part**-1 * b)[0]


@pytest.mark.parametrize("tested", [[1], [2], [1, 2], [0, 1, 2]])
@pytest.mark.parametrize("tau2", [0.0, 0.3])
def test_what_columns_explain_has_its_digits_for_raw_years(tau2: float, tested: list[int]) -> None:
    found = subset_q(Y[None], V[None], X, np.array([tau2]), tested)[0]
    assert found == pytest.approx(float(exact_q(tau2, tested)), rel=1e-9)  # X has condition 1e10 in raw years


def test_a_batch_is_its_rows() -> None:
    order = np.array([np.arange(20), np.arange(20)[::-1]])
    both = subset_q(Y[order], V[order], X, np.array([0.1, 0.2]), [1, 2])
    one = [
        subset_q(Y[o][None], V[o][None], X, np.array([t]), [1, 2])[0] for o, t in zip(order, (0.1, 0.2), strict=True)
    ]
    np.testing.assert_array_equal(both, one)


@pytest.mark.parametrize(("x", "df"), [(3.84, 1), (150.0, 3), (1300.0, 7), (0.01, 2)])
def test_chi_square_tails_keep_their_digits(x: float, df: int) -> None:
    with mpmath.workdps(50):
        true = mpmath.gammainc(mpmath.mpf(df) / 2, mpmath.mpf(x) / 2, regularized=True)
    assert float(joint_p(x, df, math.inf)) == pytest.approx(float(true), rel=P_VALUE)


@pytest.mark.parametrize(("x", "df", "residual"), [(4.0, 2, 10), (1e6, 3, 40), (1e-6, 4, 5), (350.0, 1, 200)])
def test_f_tails_keep_their_digits(x: float, df: int, residual: float) -> None:
    with mpmath.workdps(60):
        z = residual / (residual + df * mpmath.mpf(x))
        true = mpmath.betainc(mpmath.mpf(residual) / 2, mpmath.mpf(df) / 2, 0, z, regularized=True)
    assert float(joint_p(x, df, residual)) == pytest.approx(float(true), rel=P_VALUE)


def test_dependent_estimates_have_no_joint_test() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        contrast_q(np.array([1.0, 2.0]), np.array([[1.0, 2.0], [2.0, 4.0]]))


def test_gvif_of_one_coefficient_is_one_over_one_minus_r_squared() -> None:
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(40, 3)) @ np.array([[1, 0.6, 0], [0, 1, 0.3], [0, 0, 1]])
    A = np.column_stack((np.ones(40), Z))
    cov = np.linalg.inv(A.T @ A)
    centred = Z - Z.mean(axis=0)
    for j in range(3):
        others = np.delete(centred, j, axis=1)
        residual = centred[:, j] - others @ np.linalg.lstsq(others, centred[:, j], rcond=None)[0]
        vif = (centred[:, j] @ centred[:, j]) / (residual @ residual)
        assert gvif(cov, [[j + 1]], [1, 2, 3])[0] == pytest.approx(vif, rel=EXACT)
    assert gvif(cov, [[1, 2, 3]], [1, 2, 3])[0] == pytest.approx(1, rel=EXACT)


def test_r_squared_is_truncated_and_absent_without_heterogeneity() -> None:
    assert (r_squared(0.2, 0.1), r_squared(0.1, 0.0), r_squared(0.0, 0.1)) == (0.0, None, 100.0)


@given(st.floats(1e-6, 1e6), st.floats(-1e6, 1e6))
def test_the_basis_does_not_know_the_unit_of_a_column(scale: float, shift: float) -> None:
    Z = np.column_stack((np.ones(20), (YEARS - 1980) * scale + shift))
    basis = orthonormal(Z, 0)
    np.testing.assert_allclose(basis.Q.T @ basis.Q, np.eye(2), atol=EXACT)
    if abs(shift) < 1e3 * scale:
        np.testing.assert_allclose(in_basis(basis, Z), basis.Q, atol=1e-11)


@pytest.mark.parametrize("method", BY_R)
def test_adjusted_p_values_are_those_of_r(method: str) -> None:
    np.testing.assert_allclose(adjusted(P, method), BY_R[method], rtol=EXACT)


def test_every_adjustment_is_checked() -> None:
    assert set(BY_R) == set(ADJUSTMENTS)
    with pytest.raises(OptionError, match="did you mean 'holm'"):
        adjusted(P, "holms")


@given(st.lists(st.floats(0, 1), max_size=8), st.sampled_from(sorted(BY_R)))
def test_adjusting_never_lowers_and_never_passes_one(p: list[float], method: str) -> None:
    values = np.array([*p, np.nan])
    found = adjusted(values, method)
    assert np.isnan(found[-1])
    assert np.all((found[:-1] >= values[:-1] * (1 - EXACT)) & (found[:-1] <= 1))


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 1, 1, 2], [1, 0, 1, 0], [0], [0, 0, 0]])
def test_all_orders_are_all_arrangements_once(labels: list[int]) -> None:
    marks = np.array(labels)
    orders = all_orders(marks)
    assert all(sorted(order) == list(range(len(labels))) for order in orders.tolist())
    # order[i] is the thing at place i: which label every thing gets must differ from row to row
    arrangements = {tuple(marks[np.argsort(order)].tolist()) for order in orders}
    assert len(arrangements) == len(orders) == count_orders(marks)


def test_random_orders_are_orders_and_repeat_with_their_seed() -> None:
    one, two = (random_orders(9, 50, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert all(sorted(order) == list(range(9)) for order in one.tolist())
