"""Degrees of freedom, typical variance and Q of models of dependent effects, by dense algebra and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.stats.blocks import BlockMatrix, blocks_of, gathered, whole
from metaback.stats.mixed import Term, fit_mixed, marginal
from metaback.stats.mixed_df import satterthwaite
from metaback.stats.mixed_inference import constant_correlation, containment_df, sampling, solved

EXACT = 1e-10  # the same algebra in another order
STEP = 1e-5  # relative, of central differences; they leave about 1e-9


def problem(seed: int, n: int = 24) -> tuple[np.ndarray, np.ndarray, BlockMatrix, list[Term]]:
    """Return effects, design, V and nested terms."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(n // 3), 3)
    V = constant_correlation(rng.uniform(0.02, 0.2, n), study, 0.4)
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = rng.normal(size=n // 3)[study] * 0.5 + rng.normal(size=n) * 0.4
    return y, X, V, [Term("ID0", study), Term("ID0", np.arange(n))]


def test_constant_correlation_is_as_written() -> None:
    V = whole(constant_correlation(np.array([1.0, 4.0, 9.0]), np.array([0, 1, 0]), 0.5))
    assert V.tolist() == [[1, 0, 1.5], [0, 4, 0], [1.5, 0, 9]]


@pytest.mark.parametrize("seed", range(4))
def test_typical_variance_and_q_are_those_of_dense_matrices(seed: int) -> None:
    y, X, V, _ = problem(seed)
    W = np.linalg.inv(whole(V))
    inside = X @ np.linalg.inv(X.T @ W @ X) @ X.T @ W
    P = W - W @ inside
    found = sampling(y, X, V)
    assert found.typical == pytest.approx((y.size - 2) / np.trace(P), rel=EXACT)
    assert np.allclose(found.diagonal, np.diag(P), rtol=1e-8)
    assert np.allclose(found.hat, np.diag(inside), atol=1e-12)
    assert found.q == pytest.approx(y @ P @ y, rel=EXACT)
    half = np.arange(y.size) < 10
    expected = (half.sum() - np.diag(inside)[half].sum()) / np.diag(P)[half].sum()
    assert found.of(half) == pytest.approx(expected, rel=1e-8)


def test_solved_is_the_inverse_times_a_matrix() -> None:
    _, X, V, _ = problem(7)
    assert np.allclose(solved(V, X), np.linalg.solve(whole(V), X), rtol=EXACT)


def test_containment_takes_the_coarsest_level_within_which_a_column_is_constant() -> None:
    study, lab = np.array([0, 0, 1, 1, 2, 3]), np.array([0, 0, 0, 0, 1, 1])
    X = np.column_stack([np.ones(6), study > 0, np.arange(6.0)])
    assert containment_df(X, [(study, 4), (lab, 2)]).tolist() == [-1.0, 1.0, 3.0]
    assert containment_df(X, []).tolist() == [3.0] * 3


def test_a_column_with_random_slopes_varies_between_their_levels() -> None:
    study = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    X = np.column_stack([np.ones(8), np.arange(8.0)])
    assert containment_df(X, [(study, 4)]).tolist() == [2.0, 6.0]
    assert containment_df(X, [(study, 4)], [(X, 4)]).tolist() == [2.0, 2.0]


def test_satterthwaite_of_equal_variances_is_the_t_of_a_sample() -> None:
    y = np.array([0.3, 1.9, 0.2, 2.0, 1.1])
    V = gathered(blocks_of(np.arange(5)), 0.1 * np.eye(5))
    fit = fit_mixed(y, np.ones((5, 1)), V, [Term("ID0", np.arange(5))])
    df = satterthwaite(y, np.ones((5, 1)), V, [Term("ID0", np.arange(5))], fit.theta, np.eye(1), method="REML")
    assert df[0] == pytest.approx(4.0, rel=1e-9)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("seed", range(3))
def test_satterthwaite_agrees_with_differences_of_dense_matrices(seed: int, method: str) -> None:
    y, X, V, terms = problem(seed)
    fit = fit_mixed(y, X, V, terms, method)
    contrasts = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -2.0]])

    def covariance(theta: np.ndarray) -> np.ndarray:
        M = whole(marginal(theta, V, terms))
        return np.linalg.inv(X.T @ np.linalg.solve(M, X))

    gradient = np.empty((3, 2))
    for j in range(2):
        step = np.zeros(2)
        step[j] = STEP * max(float(fit.theta[j]), 0.1)
        change = (covariance(fit.theta + step) - covariance(fit.theta - step)) / (2 * step[j])
        gradient[:, j] = np.einsum("ra,ab,rb->r", contrasts, change, contrasts)
    size = np.einsum("ra,ab,rb->r", contrasts, fit.cov, contrasts)
    known = np.isfinite(np.diag(fit.theta_cov))
    spread = np.einsum("rj,jk,rk->r", gradient[:, known], fit.theta_cov[np.ix_(known, known)], gradient[:, known])
    found = satterthwaite(y, X, V, terms, fit.theta, contrasts, method=method)
    assert np.allclose(found, 2 * size**2 / spread, rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-4, 1e4), st.integers(0, 50))
def test_satterthwaite_does_not_depend_on_the_unit(unit: float, seed: int) -> None:
    y, X, V, terms = problem(seed, 12)
    scaled = BlockMatrix(V.blocks, tuple(unit**2 * part for part in V.parts))
    one, two = fit_mixed(y, X, V, terms), fit_mixed(unit * y, X, scaled, terms)
    df = [
        satterthwaite(y, X, V, terms, one.theta, np.eye(2), method="REML"),
        satterthwaite(unit * y, X, scaled, terms, two.theta, np.eye(2), method="REML"),
    ]
    assert np.allclose(df[0], df[1], rtol=1e-5)
