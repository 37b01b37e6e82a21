"""What must not change a fit: the order of rows, the unit, a shift, one call or many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal, selected
from metaback.stats.mixed import Term, clusters_of, fit_mixed, profile_loglik

SAME = 1e-8  # relative: the same likelihood, summed in another order
WEIGHTED = 1e-7  # a fit with counts against a fit of the rows that they keep


def _pick(term: Term, rows: np.ndarray) -> Term:
    inner = None if term.inner is None else term.inner[rows]
    position = None if term.position is None else term.position[rows]
    return Term(term.structure, term.outer[rows], inner, term.levels, None, position, term.known)


@pytest.mark.parametrize("key", ["CS", "UN", "HAR", "SPEXP"])
def test_the_order_of_rows_does_not_matter(case: Any, key: str) -> None:
    terms = [case.term(key), case.row] if key == "SPEXP" else [case.term(key)]
    fit = fit_mixed(case.y, case.X, case.V, terms)
    order = np.random.default_rng(1).permutation(case.y.size)
    turned = [_pick(term, order) for term in terms]
    again = fit_mixed(case.y[order], case.X[order], selected(case.V, order), turned)
    np.testing.assert_allclose(again.theta, fit.theta, rtol=SAME)
    np.testing.assert_allclose(again.loglik, fit.loglik, rtol=1e-11)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 7.0, 1e8])
@pytest.mark.parametrize("key", ["ID0", "CS", "UN", "HCS"])
def test_another_unit_gives_the_same_model(case: Any, key: str, scale: float) -> None:
    terms = [case.term(key)]
    fit = fit_mixed(case.y, case.X, case.V, terms)
    wide = BlockMatrix(case.V.blocks, tuple(part * scale**2 for part in case.V.parts))
    again = fit_mixed(case.y * scale, case.X, wide, terms)
    variance = np.array([not name.startswith("rho") for name in fit.names])
    np.testing.assert_allclose(again.theta, fit.theta * np.where(variance, scale**2, 1), rtol=SAME)
    np.testing.assert_allclose(again.beta, fit.beta * scale, rtol=SAME)
    rows = case.y.size - case.X.shape[1]
    np.testing.assert_allclose(again.loglik + rows * np.log(scale), fit.loglik, rtol=1e-9)


def test_a_shift_moves_the_coefficients_alone(case: Any) -> None:
    terms = [case.term("CS")]
    fit = fit_mixed(case.y, case.X, case.V, terms)
    again = fit_mixed(case.y + 1e6, case.X, case.V, terms)
    np.testing.assert_allclose(again.theta, fit.theta, rtol=1e-7)
    np.testing.assert_allclose(again.beta - 1e6, fit.beta, atol=1e-8)


@pytest.mark.parametrize("key", ["three", "UN", "CS"])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_counts_are_a_loop_over_clusters(make_case: Any, key: str, method: str) -> None:
    case = make_case(studies=9, seed=8)
    V = case.V if key != "three" else diagonal(blocks_of(np.arange(case.y.size)), np.full(case.y.size, 0.05))
    terms = [case.term("ID0"), case.row] if key == "three" else [case.term(key)]
    X = np.ones((case.y.size, 1))
    labels = clusters_of(V, terms)
    count = labels.max() + 1
    counts = np.vstack([1 - np.eye(count), np.ones(count)])
    batch = fit_mixed(case.y, X, V, terms, method, counts=counts)
    for r, weight in enumerate(counts):
        rows = np.flatnonzero(weight[labels] > 0)
        one = fit_mixed(case.y[rows], X[rows], selected(V, rows), [_pick(term, rows) for term in terms], method)
        assert batch.status[r] == one.status == 0
        assert batch.loglik[r] >= one.loglik - 1e-9
        np.testing.assert_allclose(batch.loglik[r], one.loglik, rtol=1e-8)
        np.testing.assert_allclose(batch.beta[r], one.beta, rtol=WEIGHTED)
        np.testing.assert_allclose(batch.cov[r], one.cov, rtol=WEIGHTED)


def test_a_cluster_that_counts_twice_is_two_clusters() -> None:
    rng = np.random.default_rng(5)
    study = np.repeat(np.arange(6), 3)
    v, y = rng.uniform(0.02, 0.1, 18), rng.normal(0, 0.4, 18) + np.repeat(rng.normal(0, 0.5, 6), 3)
    V, X = diagonal(blocks_of(np.arange(18)), v), np.ones((18, 1))
    terms = [Term("ID0", study), Term("ID0", np.arange(18))]
    batch = fit_mixed(y, X, V, terms, counts=np.array([[2.0, 1, 1, 1, 1, 1]]))
    rows = np.concatenate([np.arange(18), np.arange(3)])
    again = np.concatenate([study, np.full(3, 6)])
    long = [Term("ID0", again), Term("ID0", np.arange(21))]
    one = fit_mixed(y[rows], X[rows], diagonal(blocks_of(np.arange(21)), v[rows]), long)
    np.testing.assert_allclose(batch.theta[0], one.theta, rtol=1e-8)
    np.testing.assert_allclose(batch.loglik[0], one.loglik, rtol=1e-11)


def test_a_replicate_that_cannot_be_fitted_stops_no_other(case: Any) -> None:
    first = (case.study == 0).astype(float)
    X = np.column_stack([np.ones(case.y.size), first])
    terms = [case.term("ID0")]
    count = clusters_of(case.V, terms).max() + 1
    batch = fit_mixed(
        case.y, X, case.V, terms, counts=np.vstack([1 - np.eye(count)[0], np.ones(count), np.zeros(count)])
    )
    assert batch.status.tolist() == [3, 0, 1]
    assert np.isnan(batch.beta[0]).all()
    np.testing.assert_allclose(batch.beta[1], fit_mixed(case.y, X, case.V, terms).beta, rtol=1e-8)


def test_a_replicate_takes_its_own_highest_peak() -> None:
    """Without the last study all variance lies between studies; with it, within: two peaks, 0.41 apart."""
    study = np.repeat(np.arange(4), [1, 4, 3, 2])
    y = np.array([-2.26, -0.51, -0.36, 0.87, 0.28, -0.03, -0.03, 0.53, 0.01, -0.41])
    v = np.array([0.569, 0.072, 0.04, 0.159, 0.246, 0.178, 0.033, 0.096, 0.261, 0.202])
    X, V, rows = np.ones((10, 1)), diagonal(blocks_of(np.arange(10)), v), study < 3
    terms = [Term("ID0", study), Term("ID0", np.arange(10))]
    assert fit_mixed(y, X, V, terms).theta[0] == 0
    batch = fit_mixed(y, X, V, terms, counts=1 - np.eye(4))
    one = fit_mixed(
        y[rows], X[rows], selected(V, np.flatnonzero(rows)), [_pick(t, np.flatnonzero(rows)) for t in terms]
    )
    np.testing.assert_allclose(batch.loglik[3], one.loglik, rtol=1e-10)
    np.testing.assert_allclose(batch.theta[3], [0.98407579, 0.16124134], rtol=1e-6)
    np.testing.assert_allclose(batch.beta[3], [-0.49081646], rtol=1e-6)


@pytest.mark.parametrize("key", ["ID0", "CS", "UN", "AR", "SPEXP"])
def test_the_profile_peaks_at_the_estimate(case: Any, key: str) -> None:
    terms = [case.term(key)]
    fit = fit_mixed(case.y, case.X, case.V, terms)
    for index in range(min(fit.theta.size, 5)):
        near = fit.theta[index] * np.array([0.7, 1.0, 1.2])
        profile = profile_loglik(case.y, case.X, case.V, terms, index=index, values=near, start=fit.theta)
        np.testing.assert_allclose(profile[1], fit.loglik, rtol=1e-10)
        assert profile[0] < profile[1] > profile[2]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0, 2), st.floats(0, 2))
def test_three_levels_agree_with_whole_matrices(seed: int, studies: int, between: float, within: float) -> None:
    rng = np.random.default_rng(seed)
    study = rng.integers(0, studies, 14)
    v = 10 ** rng.uniform(-3, 0, 14)
    y = between * rng.normal(size=studies)[study] + within * rng.normal(size=14) + np.sqrt(v) * rng.normal(size=14)
    V, X = diagonal(blocks_of(np.arange(14)), v), np.ones((14, 1))
    terms = [Term("ID0", study), Term("ID0", np.arange(14))]
    quick = fit_mixed(y, X, V, terms)
    slow = fit_mixed(y, X, V, [Term("ID0", study), Term("ID", study, np.arange(14), 14)])
    assert quick.status == slow.status == 0
    np.testing.assert_allclose(quick.loglik, slow.loglik, rtol=1e-9, atol=1e-9)
    told = quick.identifiable
    np.testing.assert_allclose(quick.theta[told], slow.theta[told], rtol=1e-6, atol=1e-9)
    assert (quick.theta >= 0).all()
