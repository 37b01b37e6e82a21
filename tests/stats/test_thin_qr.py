"""The fast QR gives the digits of Householder's, and steps back where it could not."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from metaback.stats import wls
from metaback.stats.thin_qr import TALL, gram_spread, thin_qr
from metaback.stats.wls import coefficients, moments, prepare

ORTHONORMAL = 1e-14  # a few roundings over the columns
SAME = 1e-12  # what both factorisations leave of a well-conditioned regression
K, P = 700, 4


def unit(A: np.ndarray) -> np.ndarray:
    return A / np.sqrt((A * A).sum(axis=1, keepdims=True))


def batch(condition: float, n: int = 3) -> np.ndarray:
    rng = np.random.default_rng(4)
    A = rng.normal(size=(n, K, P))
    A[..., 1] = A[..., 0] + A[..., 1] / condition
    return unit(A)


@pytest.mark.parametrize("condition", [1.0, 30.0, 500.0, 1e4, 1e9])
def test_factors_are_orthonormal_and_triangular_whatever_the_condition(condition: float) -> None:
    A = batch(condition)
    assert A[0].size >= TALL
    q, r = thin_qr(A)
    np.testing.assert_allclose(q.swapaxes(1, 2) @ q, np.broadcast_to(np.eye(P), (3, P, P)), atol=ORTHONORMAL)
    np.testing.assert_allclose(q @ r, A, atol=ORTHONORMAL)
    assert np.abs(np.tril(r, -1)).max() == 0


def test_a_batch_is_its_rows_though_one_of_them_is_hard() -> None:
    A = np.concatenate((batch(1.0), batch(1e9)))
    q, r = thin_qr(A)
    for i in range(len(A)):
        one_q, one_r = thin_qr(A[i : i + 1])
        np.testing.assert_allclose(q[i], one_q[0], atol=ORTHONORMAL)
        np.testing.assert_allclose(r[i], one_r[0], atol=ORTHONORMAL)


def test_what_is_no_number_or_nought_stops_nothing() -> None:
    A = batch(1.0)
    A[0], A[1, :, 2] = np.nan, 0.0
    q, r = thin_qr(A)
    assert np.isnan(q[0]).all()
    np.testing.assert_allclose(q[1] @ r[1], A[1], atol=ORTHONORMAL)
    np.testing.assert_allclose(q[2] @ r[2], A[2], atol=ORTHONORMAL)
    assert gram_spread(A)[0] == 0
    assert gram_spread(A)[1] == pytest.approx(0, abs=1e-12)


def test_the_spread_of_the_gram_matrix_is_the_condition_squared() -> None:
    A = batch(10.0)
    values = np.linalg.svd(A, compute_uv=False)
    np.testing.assert_allclose(gram_spread(A), (values[:, -1] / values[:, 0]) ** 2, rtol=1e-10)


@pytest.mark.parametrize("condition", [1.0, 5.0, 200.0])
def test_a_tall_regression_has_the_numbers_of_householder(condition: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    X = batch(condition, 2)
    X[..., 2] = 1.0
    y, v = rng.normal(size=(2, K)), rng.uniform(0.01, 0.5, (2, K))
    problems, tau2 = prepare(y, v, np.ones((2, K), dtype=bool), X), np.array([0.0, 0.2])
    fast, fast_moments = coefficients(problems, tau2), moments(problems, tau2)
    monkeypatch.setattr(wls, "thin_qr", np.linalg.qr)
    monkeypatch.setattr(wls, "TALL", 10**9)
    slow, slow_moments = coefficients(problems, tau2), moments(problems, tau2)
    for name in ("beta", "cov", "q1", "logdet", "logdet_x"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=SAME * condition, atol=1e-15)
    for name in ("q1", "q2", "q3", "t1", "t2"):
        np.testing.assert_allclose(getattr(fast_moments, name), getattr(slow_moments, name), rtol=SAME)


def test_coefficients_without_corrections_are_right_to_40_digits() -> None:
    rng = np.random.default_rng(3)
    X = np.column_stack((np.ones(K), rng.normal(size=(K, P - 1))))
    y, v = rng.normal(size=K), rng.uniform(0.01, 0.5, K)
    found = coefficients(prepare(y[None], v[None], np.ones((1, K), dtype=bool), X[None]), np.zeros(1))
    with mpmath.workdps(40):
        A, W = mpmath.matrix(X.tolist()), [1 / mpmath.mpf(one) for one in v.tolist()]
        WA = mpmath.matrix([[w * A[i, j] for j in range(P)] for i, w in enumerate(W)])
        true = mpmath.lu_solve(A.T * WA, WA.T * mpmath.matrix(y.tolist()))
    np.testing.assert_allclose(found.beta[0], [float(b) for b in true], rtol=1e-12, atol=1e-15)
