"""Cluster-robust covariances: clubSandwich's numbers, 50 digits, what must not matter, and edges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal, gathered, whole
from metaback.stats.robust import ADJUSTMENTS, Robust, adjusted_residuals, cluster_robust, least_squares_residuals
from metaback.stats.robust_tests import contrast_tests, joint_test
from metaback.status import Status

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "robust.json").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in REFERENCE["cases"]}
VOID = {"level seen in one cluster": [2], "factor level in one study": [0, 2, 3]}  # the latter is the reference level
SAME = 1e-11  # relative to the largest number: both sides lose a few digits in the inverse of X'WX
EXACT = 1e-13  # against 50 digits
ROUNDING = 1e-9  # of quantities that are equal in exact arithmetic, after a condition of up to 1e4


def matrix_of(record: dict[str, Any] | None, clusters: np.ndarray) -> BlockMatrix | np.ndarray | None:
    """Return weights or a working covariance as the file has them."""
    if record is None or "diag" in record:
        return None if record is None else np.array(record["diag"], dtype=float)
    dense = np.zeros((clusters.size, clusters.size))
    dense[record["sparse"]["i"], record["sparse"]["j"]] = record["sparse"]["x"]
    return gathered(blocks_of(clusters), (dense + dense.T) / 2)


def fit_of(case: dict[str, Any], kind: str) -> tuple[np.ndarray, Robust]:
    """Return coefficients and the robust covariance of a reference case."""
    y, clusters = np.array(case["y"]), np.array(case["cluster"])
    X = np.array(case["X"]).reshape(y.size, case["p"])
    W = matrix_of(case["W"], clusters)
    assert W is not None
    e = least_squares_residuals(X, y, W, clusters)
    beta = np.linalg.lstsq(X, y - e, rcond=None)[0]
    return beta, cluster_robust(X, e, W, clusters, kind=kind, working=matrix_of(case["Phi"], clusters))


def test_the_grid_cannot_shrink() -> None:
    """Ten cases, six types each, one that R cannot do."""
    assert len(CASES) == 10
    failed = [(c, k) for c, case in CASES.items() for k, facts in case["facts"].items() if "failed" in facts]
    assert failed == [("level seen in one cluster", "CR3")]
    assert all(set(case["facts"]) == set(ADJUSTMENTS) for case in CASES.values())
    assert sum(len(f["joint"]) for c in CASES.values() for f in c["facts"].values() if "joint" in f) == 48


@pytest.mark.parametrize("kind", list(ADJUSTMENTS))
@pytest.mark.parametrize("name", CASES)
def test_covariances_are_those_of_clubsandwich(name: str, kind: str) -> None:
    """All types, for weights of one and of several levels, multivariate, and of the user."""
    facts = CASES[name]["facts"][kind]
    if "failed" in facts or (name in VOID and kind == "CR3"):
        pytest.skip("R inverts a matrix that has no inverse")
    found = fit_of(CASES[name], kind)[1]
    V = np.array(facts["vcov"]).reshape(found.cov.shape)
    size = np.sqrt(np.outer(np.diag(V), np.diag(V)))
    np.testing.assert_allclose(found.cov / size, V / size, atol=SAME, rtol=0)


@pytest.mark.parametrize("kind", list(ADJUSTMENTS))
@pytest.mark.parametrize("name", sorted(set(CASES) - set(VOID)))
def test_tests_are_those_of_clubsandwich(name: str, kind: str) -> None:
    """Satterthwaite's df and its p, naive t and z, and every joint test."""
    case, facts = CASES[name], CASES[name]["facts"][kind]
    beta, found = fit_of(case, kind)
    np.testing.assert_allclose(beta, np.atleast_1d(case["beta"]), rtol=SAME)
    tests = contrast_tests(beta, found)
    np.testing.assert_allclose(tests.df, np.atleast_1d(facts["df"]), rtol=SAME)
    for df, p in (("satterthwaite", "p_satt"), ("clusters", "p_naive"), ("z", "p_z")):
        np.testing.assert_allclose(contrast_tests(beta, found, df=df).p, np.atleast_1d(facts[p]), rtol=SAME)
    names = {"HTZ": "HTZ", "Naive-F": "naive-F", "chi-sq": "chi-square"}
    for joint in facts["joint"]:
        C = np.eye(case["p"])[np.atleast_1d(joint["set"])]
        rows = zip(joint["test"], joint["Fstat"], joint["df_denom"], joint["p_val"], strict=True)
        for test, statistic, df, p in rows:
            ours = joint_test(beta, found, C, test=names[test])
            expected = [statistic, float(df), p]
            np.testing.assert_allclose([ours.statistic, ours.df_residual, ours.p], expected, rtol=SAME)


@pytest.mark.parametrize("name", sorted(VOID))
@pytest.mark.parametrize("kind", list(ADJUSTMENTS))
def test_a_level_seen_in_one_study_has_no_robust_variance(name: str, kind: str) -> None:
    """A program gives a standard error that knows nothing of that study's own error; here it is nan, and told."""
    beta, found = fit_of(CASES[name], kind)
    tests = contrast_tests(beta, found)
    alone = VOID[name]
    assert (tests.unseen[alone] > 0.01).all()
    assert np.isnan(np.array([tests.se, tests.df, tests.p, tests.lower])[:, alone]).all()
    assert np.isnan(joint_test(beta, found, np.eye(beta.size)[1:]).p)
    others = [j for j in range(beta.size) if j not in alone]
    assert (tests.unseen[others] < 1e-8).all()
    assert np.isfinite(tests.p[others]).all()
    if name == "factor level in one study":  # the two other levels can be compared
        between = contrast_tests(beta, found, np.array([[0.0, 0.0, 1.0, -1.0]]))
        assert between.unseen[0] < 1e-8
        assert between.df[0] > 1


def exact_cr2(y: Any, X: Any, W: Any, sizes: list[int]) -> tuple[Any, list[Any]]:
    """Return covariance and df of CR2 by its definition, whole matrices in 50 digits."""
    n, p = X.rows, X.cols
    M = (X.T * W * X) ** -1
    Phi, hat = W**-1, mp.eye(n) - X * M * X.T * W
    e, S = hat * y, hat * Phi * hat.T
    V, G, start = mp.zeros(p), [], 0
    for m in sizes:
        cut = slice(start, start + m)
        L = mp.cholesky(Phi[cut, cut])
        values, vectors = mp.eigsy(L.T * S[cut, cut] * L)
        root = vectors * mp.diag([1 / mp.sqrt(x) for x in values]) * vectors.T
        part = mp.zeros(n, p)
        part[cut, :] = L * root * L.T * W[cut, cut] * X[cut, :] * M
        V += (part.T * e) * (part.T * e).T
        G.append(part)
        start += m
    df = []
    for j in range(p):
        O = mp.matrix([[(a[:, j].T * S * b[:, j])[0] for b in G] for a in G])
        trace = mp.fsum(O[i, i] for i in range(O.rows))
        df.append(trace**2 / mp.fsum(O[i, k] ** 2 for i in range(O.rows) for k in range(O.rows)))
    return V, df


@pytest.mark.parametrize("ratio", [1, 1000])
def test_cr2_and_df_in_fifty_digits(ratio: int) -> None:
    """Unequal variances within clusters of 3, 2, 2 and 1, correlated within the first; columns with raw years."""
    y = [0.3, -0.2, 0.9, 0.5, 0.1, 0.45, -0.6, 0.25]
    years = [2001, 2004, 2004, 2009, 2010, 2015, 2016, 2020]
    v = [0.1 * ratio, 0.2, 0.05, 0.3, 0.01, 0.2 * ratio, 0.1, 0.15]
    M = np.diag(v)
    M[0, 1] = M[1, 0] = 0.03
    clusters = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    with mp.workdps(50):
        W = mp.matrix(M.tolist()) ** -1
        V, df = exact_cr2(mp.matrix(y), mp.matrix([[1, t] for t in years]), W, [3, 2, 2, 1])
        dense = np.array(W.tolist(), dtype=float)
        expected = np.array(V.tolist(), dtype=float), np.array(df, dtype=float)
    X = np.column_stack((np.ones(8), np.array(years, dtype=float)))
    W = gathered(blocks_of(clusters), dense)
    e = least_squares_residuals(X, np.array(y), W, clusters)
    found = cluster_robust(X, e, W, clusters)
    np.testing.assert_allclose(found.cov, expected[0], rtol=EXACT * 50)
    np.testing.assert_allclose(contrast_tests(np.zeros(2), found).df, expected[1], rtol=EXACT * 50)


def test_cr0_by_hand() -> None:
    """Three clusters of one, two and one: V = sum of squared cluster sums over 16."""
    e = np.array([1.0, -2.0, 0.5, 0.5])
    found = cluster_robust(np.ones((4, 1)), e, np.ones(4), np.array([0, 1, 1, 2]), kind="CR0")
    assert found.cov[0, 0] == pytest.approx((1.0 + 1.5**2 + 0.25) / 16, rel=EXACT)


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return y, X, a whole block-diagonal W and Phi, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate((np.arange(6), rng.integers(0, 6, 12)))
    n = labels.size
    inside = labels[:, None] == labels
    roots = rng.normal(size=(2, n, n))
    W, Phi = (np.where(inside, r @ r.T + n * np.eye(n), 0.0) / n for r in roots)
    return rng.normal(size=n), np.column_stack((np.ones(n), rng.normal(size=n))), W, Phi, labels


def dense_omega(X: np.ndarray, W: np.ndarray, Phi: np.ndarray, found: Robust, labels: np.ndarray) -> np.ndarray:
    """Return the covariances of all pairs of scores (C, C, p, p) of CR0, by whole matrices."""
    M = np.linalg.inv(X.T @ W @ X)
    hat = np.eye(X.shape[0]) - X @ M @ X.T @ W
    S = hat @ Phi @ hat.T
    G = [np.where((labels == c)[:, None], W @ X @ M, 0.0) for c in found.number]
    return np.array([[a.T @ S @ b for b in G] for a in G])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_low_rank_covariances_of_scores_are_the_whole_ones(seed: int, given_phi: bool) -> None:
    """[i = j] own + F'KF, for Phi = W^-1 and for any other."""
    y, X, W, Phi, labels = random_case(seed)
    blocks = blocks_of(labels)
    working = gathered(blocks, Phi) if given_phi else None
    e = least_squares_residuals(X, y, gathered(blocks, W), labels)
    found = cluster_robust(X, e, gathered(blocks, W), labels, kind="CR0", working=working)
    ours = np.einsum("irp,rs,jsq->ijpq", found.factor, found.kernel, found.factor)
    ours[np.arange(6), np.arange(6)] += found.own
    ours = np.einsum("ap,ijpq,bq->ijab", found.basis, ours, found.basis)
    expected = dense_omega(X, W, Phi if given_phi else np.linalg.inv(W), found, labels)
    np.testing.assert_allclose(ours, expected, atol=ROUNDING * np.abs(expected).max())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(sorted(ADJUSTMENTS)))
def test_order_labels_and_scale_do_not_matter(seed: int, kind: str) -> None:
    """Rows in another order, other labels, effects in another unit, a moderator in another unit."""
    y, X, W, _, labels = random_case(seed)
    e = least_squares_residuals(X, y, gathered(blocks_of(labels), W), labels)
    first = cluster_robust(X, e, gathered(blocks_of(labels), W), labels, kind=kind)
    order = np.random.default_rng(seed).permutation(y.size)
    named = 70 - 3 * labels[order]
    moved = X[order] * np.array([1.0, 1e3]) + np.array([0.0, 5e3])
    turned = gathered(blocks_of(named), W[np.ix_(order, order)] / 1e6)
    second = cluster_robust(moved, e[order] * 1e3, turned, named, kind=kind)
    assert second.cov[1, 1] == pytest.approx(first.cov[1, 1], rel=ROUNDING)
    ours, theirs = (contrast_tests(np.zeros(2), found).df[1] for found in (first, second))
    assert theirs == pytest.approx(ours, rel=ROUNDING)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_cr2_is_unbiased_under_the_working_model(seed: int) -> None:
    """E(V) = sum of own + F'KF = X'W Phi W X in the coordinates with X'WX = I, whatever Phi."""
    y, X, W, Phi, labels = random_case(seed)
    blocks = blocks_of(labels)
    for working in (None, gathered(blocks, Phi)):
        found = cluster_robust(X, y, gathered(blocks, W), labels, working=working)
        pairs = np.einsum("irp,rs,isq->pq", found.factor, found.kernel, found.factor)
        np.testing.assert_allclose(found.own.sum(axis=0) + pairs, found.model, atol=ROUNDING)


def test_diagonal_weights_and_their_blocks_agree() -> None:
    """The short form is the same matrix, and so is a matrix in smaller blocks than the clusters."""
    y, X, _, _, labels = random_case(1)
    w = np.linspace(1.0, 9.0, y.size)
    e = least_squares_residuals(X, y, w, labels)
    for kind in ADJUSTMENTS:
        short = cluster_robust(X, e, w, labels, kind=kind)
        for where in (labels, np.arange(y.size)):
            full = cluster_robust(X, e, diagonal(blocks_of(where), w), labels, kind=kind)
            np.testing.assert_allclose(full.cov, short.cov, rtol=ROUNDING)


def test_a_batch_is_a_loop() -> None:
    """Replicates with other residuals, weights and clusters left out are what one call each gives."""
    y, X, _, _, labels = random_case(2)
    rng = np.random.default_rng(3)
    w = rng.uniform(0.5, 2.0, (6, y.size))
    present = ~np.eye(6, dtype=bool)
    kept = present[:, labels]
    e = np.array([np.zeros(y.size) for _ in range(6)])
    for r in range(6):
        e[r, kept[r]] = least_squares_residuals(X[kept[r]], y[kept[r]], w[r, kept[r]], labels[kept[r]])
    for kind in ADJUSTMENTS:
        batch = cluster_robust(X, e, w, labels, kind=kind, present=present)
        df = contrast_tests(np.zeros((6, 2)), batch).df
        eta = joint_test(np.ones((6, 2)), batch, np.eye(2)).eta
        for r in range(6):
            at = kept[r]
            one = cluster_robust(X[at], e[r, at], w[r, at], labels[at], kind=kind)
            np.testing.assert_allclose(batch.cov[r], one.cov, rtol=ROUNDING)
            np.testing.assert_allclose(df[r], contrast_tests(np.zeros(2), one).df, rtol=ROUNDING)
            np.testing.assert_allclose(eta[r], joint_test(np.ones(2), one, np.eye(2)).eta, rtol=ROUNDING)


def test_a_replicate_that_cannot_be_fitted_does_not_stop_the_batch() -> None:
    """Without cluster 5 the moderator is constant; with cluster 5 alone there is one cluster; the rest have numbers."""
    y, X, _, _, labels = random_case(6)
    X = np.column_stack((X[:, 0], labels == 5, X[:, 1]))
    present = np.ones((4, 6), dtype=bool)
    present[1, 5] = False
    present[2, :5] = False
    found = cluster_robust(X, np.tile(y, (4, 1)), np.ones(y.size), labels, present=present)
    whole_fit = contrast_tests(np.zeros((4, 3)), found)
    assert np.isnan(whole_fit.p[1:3]).all()
    np.testing.assert_array_equal(np.isnan(whole_fit.se[0]), [False, True, False])
    between = joint_test(np.ones((4, 3)), found, np.eye(3)[[0, 2]])
    np.testing.assert_array_equal(np.isnan(between.p), [False, True, True, False])


def test_adjusted_residuals_make_the_scores() -> None:
    """X'W A e of adjusted residuals are the scores of the adjusted covariance."""
    y, X, W, _, labels = random_case(4)
    M = gathered(blocks_of(labels), W)
    e = least_squares_residuals(X, y, M, labels)
    for kind in ("CR0", "CR2", "CR3"):
        adjusted = adjusted_residuals(X, e, M, labels, kind)
        plain = cluster_robust(X, adjusted, M, labels, kind="CR0")
        np.testing.assert_allclose(plain.cov, cluster_robust(X, e, M, labels, kind=kind).cov, rtol=ROUNDING)


def test_what_cannot_be_fitted_has_a_status() -> None:
    """One cluster, no cluster, dependent columns, weights of 0 and a block that is not positive definite."""
    X, e, w = np.column_stack((np.ones(4), np.arange(4.0))), np.ones(4), np.ones(4)
    two = np.array([0, 0, 1, 1])
    bad = diagonal(blocks_of(two), np.array([1.0, 1.0, 1.0, -1.0]))
    cases = [
        (cluster_robust(X, e, w, np.zeros(4, dtype=int)), Status.TOO_FEW_CLUSTERS),
        (cluster_robust(X[:0], e[:0], w[:0], two[:0]), Status.NO_STUDIES),
        (cluster_robust(np.ones((4, 2)), e, w, two), Status.RANK_DEFICIENT),
        (cluster_robust(X, e, w * 0, two), Status.IMPOSSIBLE_NUMBERS),
        (cluster_robust(X, e, bad, two), Status.IMPOSSIBLE_NUMBERS),
        (cluster_robust(X, e * np.nan, w, two), Status.IMPOSSIBLE_NUMBERS),
    ]
    for found, status in cases:
        assert found.status is status
        assert np.isnan(found.cov).all()
        assert np.isnan(contrast_tests(np.zeros(2), found).p).all()
    with pytest.raises(ValueError, match="does not lie within one"):
        cluster_robust(X, e, diagonal(blocks_of(np.zeros(4, dtype=int)), w), two)


def test_no_whole_matrix_is_made() -> None:
    """20,000 rows would need 3 GB for one matrix of rows by rows; clusters by clusters 128 MB."""
    n = 20_000
    labels = np.repeat(np.arange(n // 5), 5)
    X = np.column_stack((np.ones(n), np.linspace(-1, 1, n) ** 2))
    e = least_squares_residuals(X, np.sin(np.arange(n)), np.ones(n), labels)
    tests = contrast_tests(np.zeros(2), cluster_robust(X, e, np.ones(n), labels))
    assert (tests.df < n // 5).all()
    assert (tests.df > 1000).all()


def test_whole_is_the_test_of_the_reference() -> None:
    """The weights of the three-level case are not diagonal, so that the blocks are really used."""
    case = CASES["rma.mv three levels"]
    W = matrix_of(case["W"], np.array(case["cluster"]))
    assert isinstance(W, BlockMatrix)
    dense = whole(W)
    assert np.count_nonzero(dense - np.diag(np.diag(dense))) > 100
