"""Cluster wild bootstrap: the linear algebra is that of refits, all patterns are all, and the size holds."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from metaback.errors import OptionError
from metaback.stats.blocks import blocks_of, gathered
from metaback.stats.robust import adjusted_residuals, cluster_robust, least_squares_residuals
from metaback.stats.rve import correlated_effects
from metaback.stats.wild_bootstrap import WildPlan, multipliers, wild_bootstrap

SAME = 1e-9  # relative, after solving with the covariance of contrasts twice


def data_of(clusters: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return y, X, v and labels; half of the clusters have a moderator of 1."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(clusters), rng.integers(2, 5, clusters))
    v = rng.uniform(0.05, 0.2, labels.size)
    y = rng.normal(size=clusters)[labels] * 0.4 + rng.normal(size=labels.size) * np.sqrt(v)
    return y, np.column_stack((np.ones(y.size), labels % 2, rng.normal(size=y.size))), v, labels


@pytest.mark.parametrize("kind", ["CR0", "CR2"])
@pytest.mark.parametrize("adjust", ["CR0", "CR2", "CR3"])
@pytest.mark.parametrize("blocks", [False, True])
def test_statistics_are_those_of_refits(kind: str, adjust: str, blocks: bool) -> None:
    """Every replicate, by building y*, fitting it and taking its robust covariance."""
    y, X, v, labels = data_of(12)
    shared = np.where(labels[:, None] == labels, 0.1, 0.0)
    W = gathered(blocks_of(labels), np.linalg.inv(np.diag(v) + shared)) if blocks else 1 / (v + 0.1)
    C = np.eye(3)[1:]
    plan = WildPlan(kind=kind, adjust=adjust, draws=7)
    test = wild_bootstrap(y, X, W, labels, C, plan)
    f, _ = multipliers(12, 7, "rademacher", np.random.default_rng(1))
    e0 = least_squares_residuals(X[:, :1], y, W, labels)
    shape = adjusted_residuals(X[:, :1], e0, W, labels, adjust)
    stars = [y, *(y - e0 + part[labels] * shape for part in f)]
    for star, statistic in zip(stars, [test.statistic, *test.replicates], strict=True):
        e = least_squares_residuals(X, star, W, labels)
        beta = np.linalg.lstsq(X, star - e, rcond=None)[0]
        V = C @ cluster_robust(X, e, W, labels, kind=kind).cov @ C.T
        assert statistic == pytest.approx((C @ beta) @ np.linalg.solve(V, C @ beta) / 2, rel=SAME)


def test_all_patterns_of_an_intercept_are_those_by_hand() -> None:
    """Seven clusters: 128 patterns of signs, t of the signed means of clusters against the observed t."""
    y, X, _, labels = data_of(7)
    plan = WildPlan(auxiliary="rademacher")
    test = wild_bootstrap(y, X[:, :1], np.ones(y.size), labels, np.eye(1), plan)
    observed, count = None, 0
    for signs in product((1.0, -1.0), repeat=7):
        star = np.array(signs)[labels] * y
        sums = np.bincount(labels, star - star.mean())
        t = abs(star.sum()) / np.sqrt(sums @ sums)
        observed = t if observed is None else observed
        count += t >= observed * (1 - 1e-9)
    assert test.exact
    assert test.p == pytest.approx(count / 128, abs=0)
    assert test.p_se == 0


def test_weights_estimated_anew_are_those_of_a_loop() -> None:
    """The correlated effects model, with tau2 of every replicate, for y* and for the null model."""
    y, X, v, labels = data_of(11)
    C = np.eye(3)[[1]]
    test = wild_bootstrap(
        y, X, 1 / v, labels, C, WildPlan(draws=5), 1, lambda y, X: correlated_effects(y, v, X, labels).weights
    )
    null = correlated_effects(y, v, X[:, [0, 2]], labels)
    f, _ = multipliers(11, 5, "rademacher", np.random.default_rng(1))
    for r in range(5):
        fit = correlated_effects(y - null.residuals + f[r][labels] * null.residuals, v, X, labels)
        V = cluster_robust(X, fit.residuals, fit.weights, labels, kind="CR0").cov
        assert test.replicates[r] == pytest.approx(fit.beta[1] ** 2 / V[1, 1], rel=SAME)


def test_the_same_seed_gives_the_same_and_another_is_near() -> None:
    """P values of two seeds differ by no more than their Monte Carlo errors allow."""
    y, X, v, labels = data_of(20)
    tests = [wild_bootstrap(y, X, 1 / v, labels, np.eye(3)[1:], rng=seed) for seed in (1, 1, 2)]
    assert tests[0].p == tests[1].p
    assert abs(tests[0].p - tests[2].p) < 4 * np.hypot(tests[0].p_se, tests[2].p_se)
    assert tests[0].p_se == pytest.approx(np.sqrt(tests[0].p * (1 - tests[0].p) / 1999))


def test_points_have_mean_zero_and_variance_one() -> None:
    """Six points for few clusters, signs for others, by the plan that says neither."""
    y, X, v, labels = data_of(6)
    assert wild_bootstrap(y, X, 1 / v, labels, np.eye(3)[[1]], WildPlan(draws=99)).auxiliary == "webb"
    draws, exact = multipliers(6, 20_000, "webb", np.random.default_rng(1))
    assert not exact
    assert np.abs(draws.mean(axis=0)).max() < 0.04
    assert np.abs((draws**2).mean(axis=0) - 1).max() < 0.04
    assert np.unique(draws.round(12)).size == 6


def test_size_is_held_with_twelve_clusters() -> None:
    """Of 400 data sets under the null 0.6% to 9.4% have p <= 0.05: 5% and 4 Monte Carlo standard errors."""
    below = 0
    for seed in range(400):
        y, X, v, labels = data_of(12, seed)
        below += wild_bootstrap(y, X, 1 / (v + 0.16), labels, np.eye(3)[[1]], WildPlan(draws=199), seed).p <= 0.05
    assert 0.006 <= below / 400 <= 0.094


def test_what_cannot_be_tested_is_nan_or_refused() -> None:
    """One cluster, a moderator that one cluster alone has, and words that are not known."""
    y, X, v, labels = data_of(12)
    alone = np.column_stack((X[:, :1], labels == 3))
    assert np.isnan(wild_bootstrap(y, X, 1 / v, labels * 0, np.eye(3)[[1]]).p)
    assert np.isnan(wild_bootstrap(y, alone, 1 / v, labels, np.eye(2)[[1]]).p)
    with pytest.raises(OptionError, match="auxiliary"):
        wild_bootstrap(y, X, 1 / v, labels, np.eye(3)[[1]], WildPlan(auxiliary="mammen"))
    with pytest.raises(OptionError, match="adjust"):
        wild_bootstrap(y, X, 1 / v, labels, np.eye(3)[[1]], WildPlan(adjust="CR1"))
