"""The ends of the model: components of 0, correlations of 1, things the data cannot tell, and rows without a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal, gathered
from metaback.stats.mixed import Term, fit_mixed
from metaback.stats.mixed.climb import Peak
from metaback.stats.mixed.problem import problem_of, slope_at
from metaback.stats.mixed.search import _highest  # pyright: ignore[reportPrivateUsage]
from metaback.status import Status


def _plain(v: np.ndarray) -> BlockMatrix:
    return diagonal(blocks_of(np.arange(v.size)), v)


def _rows(n: int) -> Term:
    return Term("ID0", np.arange(n))


def test_effects_without_scatter_have_components_of_0() -> None:
    v = np.full(12, 0.8)
    study = np.repeat(np.arange(4), 3)
    fit = fit_mixed(np.linspace(0, 0.1, 12), np.ones((12, 1)), _plain(v), [Term("ID0", study), _rows(12)])
    assert fit.theta.tolist() == [0.0, 0.0]
    assert fit.at_bound.all()
    assert np.isnan(fit.theta_cov).all()


def test_one_effect_per_study_confounds_two_components() -> None:
    rng = np.random.default_rng(1)
    y, v = rng.normal(0, 2, 12), rng.uniform(0.5, 1, 12)
    both = fit_mixed(y, np.ones((12, 1)), _plain(v), [_rows(12), _rows(12)])
    one = fit_mixed(y, np.ones((12, 1)), _plain(v), [_rows(12)])
    assert not both.identifiable.any()
    np.testing.assert_allclose(both.theta.sum(), one.theta[0], rtol=1e-8)
    np.testing.assert_allclose(both.loglik, one.loglik, rtol=1e-12)


def test_one_study_says_nothing_of_the_variance_between_studies() -> None:
    rng = np.random.default_rng(1)
    fit = fit_mixed(rng.normal(0, 2, 9), np.ones((9, 1)), _plain(np.ones(9)), [Term("ID0", np.zeros(9, int)), _rows(9)])
    assert fit.status == Status.CONVERGED
    assert fit.identifiable.tolist() == [False, True]


def test_a_pair_of_outcomes_that_never_meets_has_no_correlation() -> None:
    rng = np.random.default_rng(3)
    level = np.tile([0, 1], 10)
    fit = fit_mixed(rng.normal(0, 2, 20), np.eye(2)[level], _plain(np.ones(20)), [Term("UN", np.arange(20), level, 2)])
    assert fit.identifiable.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("sign", "keys"), [(1, ("UN", "HCS", "HAR", "CS", "AR")), (-1, ("UN", "HCS", "HAR", "CS", "AR"))]
)
def test_outcomes_that_move_together_reach_the_end(sign: int, keys: tuple[str, ...]) -> None:
    rng = np.random.default_rng(6)
    u = rng.normal(size=15)
    level, study = np.tile([0, 1], 15), np.repeat(np.arange(15), 2)
    y = np.repeat(u, 2) * np.tile([1, sign], 15) + 0.02 * rng.normal(size=30)
    for key in keys:
        fit = fit_mixed(y, np.eye(2)[level], _plain(np.full(30, 0.01)), [Term(key, study, level, 2)])
        assert fit.status == Status.CONVERGED
        np.testing.assert_allclose(fit.theta[-1], sign, atol=1e-9)
        assert fit.at_bound[-1]


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_two_effects_are_enough_and_one_is_not(method: str) -> None:
    y, V = np.array([-1.0, 2.0]), _plain(np.ones(2))
    fit = fit_mixed(y, np.ones((2, 1)), V, [_rows(2)], method)
    right = {"REML": 4.5 - 1, "ML": 4.5 / 2 - 1}[method]
    np.testing.assert_allclose(fit.theta, [right], rtol=1e-12)
    one = fit_mixed(y[:1], np.ones((1, 1)), _plain(np.ones(1)), [_rows(1)], method)
    assert one.status == (Status.TOO_FEW_STUDIES if method == "REML" else Status.CONVERGED)
    assert fit_mixed(y, np.eye(2), V, [_rows(2)], "REML").status == Status.TOO_FEW_STUDIES


def test_what_cannot_be_fitted_has_a_status() -> None:
    y, V = np.arange(4.0), _plain(np.ones(4))
    collinear = fit_mixed(y, np.ones((4, 2)), V, [_rows(4)])
    assert collinear.status == Status.RANK_DEFICIENT
    singular = gathered(blocks_of(np.array([0, 0, 1, 1])), np.kron(np.eye(2), np.ones((2, 2))))
    assert fit_mixed(y, np.ones((4, 1)), singular, [_rows(4)]).status == Status.IMPOSSIBLE_NUMBERS
    assert fit_mixed(y * np.nan, np.ones((4, 1)), V, [_rows(4)]).status == Status.IMPOSSIBLE_NUMBERS
    assert np.isnan(collinear.beta).all()
    with pytest.raises(ValueError, match="REML"):
        fit_mixed(y, np.ones((4, 1)), V, [_rows(4)], "DL")


def test_without_terms_the_fit_is_generalised_least_squares() -> None:
    fit = fit_mixed(np.array([1.0, 2.0, 4.0]), np.ones((3, 1)), _plain(np.array([1.0, 1.0, 2.0])), [])
    np.testing.assert_allclose(fit.beta, [2.0])
    np.testing.assert_allclose(fit.cov, [[0.4]])
    assert fit.theta.shape == (0,)


def test_of_peaks_of_one_height_one_inside_the_bounds_is_taken() -> None:
    """A likelihood that is flat down to a bound: whether the data tell a variance must not hang on rounding."""
    n = 6
    V, terms = (
        diagonal(blocks_of(np.arange(n)), np.ones(n)),
        [Term("ID0", np.arange(n) // 2), Term("ID0", np.arange(n))],
    )
    problem = problem_of(np.arange(n) / 3, np.ones((n, 1)), V, terms)
    x = np.array([[0.0, 0.5], [0.3, 0.5], [0.3, 0.5]])
    at = slope_at(problem, x, None, reml=True)
    height, steep = np.array([2.0, 2.0 - 1e-12, 1.0]), np.array([[1e-9, 0.0], [1e-8, 0.0], [0.0, 0.0]])
    done, no = np.ones(3, dtype=bool), np.zeros((3, 2), dtype=bool)
    peaks = Peak(x, replace(at, value=height, gradient=steep), done, np.ones(3, dtype=int), no)
    found = _highest(problem, peaks)
    assert found.peak.x.tolist() == [[0.3, 0.5]]
    assert found.peak.at.value.tolist() == [2.0 - 1e-12]
    assert found.gaps.tolist() == [1.0]
