"""Tests and intervals from a cluster-robust covariance: single contrasts with Satterthwaite's df, and joint ones (HTZ).

Under the working model the scores s_i of the clusters have cov(s_i, s_j) = O_ij = [i = j] D_i + F_i' K F_j. The
diagonal D_i and the few rows of F_i give every sum over pairs of clusters from sums over clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, chdtrc

from metaback.registry import Registry
from metaback.stats.intervals.family import quantile, two_sided_p
from metaback.stats.robust import Robust

Floats = NDArray[np.float64]
UNSEEN = 1e-8  # share of a contrast's variance without residuals: above it the robust variance is void, below rounding
FEW = 4.0  # df below which the t distribution is no good description (Tipton 2015)
SINGULAR = 1e-12  # smallest eigenvalue of the correlations of contrasts that count as independent

DfRule = Callable[[Robust, Floats], Floats]
JointRule = Callable[[Robust, Floats], Floats]
DF_RULES: Registry[DfRule] = Registry("df")
JOINT_TESTS: Registry[JointRule] = Registry("test")


@dataclass(frozen=True, slots=True)
class ContrastTests:
    """Tests of m contrasts, all (..., m).

    unseen: share of the variance under the working model that leaves no residual, because one cluster alone decides it;
    where it is not 0, se, statistic, df, p and limits are nan: the robust variance would be too small without a sign of
    it. few: df below 4, so that the p value is not to be trusted.
    """

    estimate: Floats
    se: Floats
    statistic: Floats
    df: Floats
    p: Floats
    lower: Floats
    upper: Floats
    unseen: Floats
    few: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class JointTest:
    """A joint test of q contrasts, all (...).

    statistic: F; df, df_residual (inf for chi-square); p. q_statistic: the Wald statistic; eta: df of the Wishart
    distribution that comes nearest to the covariance (nan but for HTZ). All nan where the contrasts cannot be tested:
    they depend on each other, one cluster alone decides one of them (unseen above 0), or there are not clusters enough.
    few: df_residual below 4.
    """

    statistic: Floats
    df: int
    df_residual: Floats
    p: Floats
    q_statistic: Floats
    eta: Floats
    unseen: Floats
    few: NDArray[np.bool_]


# ---------------------------------------------------------------- degrees of freedom


@DF_RULES.register("satterthwaite", title="Satterthwaite", cite="bell2002 pustejovsky2018")
def satterthwaite(found: Robust, weights: Floats) -> Floats:
    """Return nu = (tr O)^2 / ||O||^2 with O (C, C) the covariance of the scores of a contrast, (..., m).

    It matches mean and variance of c'Vc to those of a multiple of chi-square under the working model. With
    O = diag(d) + f K f': tr O = sum d_i + f_i'Kf_i, ||O||^2 = sum d_i^2 + 2 sum d_i f_i'Kf_i + tr(K G K G), G = f'f.

    weights: (..., m, p) contrasts in the coordinates of `found`. nan where O is 0. Source: Bell & McCaffrey 2002;
    Pustejovsky & Tipton 2018, section 3.1.
    """
    d = np.einsum("...mp,...cpq,...mq->...mc", weights, found.own, weights, optimize=True)
    f = np.einsum("...crp,...mp->...mcr", found.factor, weights)
    kernel = found.kernel[..., None, :, :]
    fkf = np.einsum("...mcr,...mcr->...mc", f @ kernel, f)
    product = kernel @ (f.swapaxes(-1, -2) @ f)
    trace = (d + fkf).sum(axis=-1)
    square = (d * (d + 2 * fkf)).sum(axis=-1) + np.einsum("...rs,...sr->...", product, product)
    known = trace > SINGULAR * d.sum(axis=-1)
    return np.where(known, trace**2 / np.where(known, square, 1.0), np.nan)


@DF_RULES.register("clusters", title="clusters - 1", cite="pustejovsky2018")
def clusters_less_one(found: Robust, weights: Floats) -> Floats:
    """Return C - 1 df whatever the contrast; too many where clusters differ. Source: Pustejovsky & Tipton 2018."""
    return np.broadcast_to(found.clusters[..., None] - 1, weights.shape[:-1])


@DF_RULES.register("residual", title="clusters - coefficients", cite="hedges2010")
def clusters_less_coefficients(found: Robust, weights: Floats) -> Floats:
    """Return C - p df whatever the contrast; 0 or less gives nan later. Source: Hedges, Tipton & Johnson 2010."""
    return np.broadcast_to(found.clusters[..., None] - found.cov.shape[-1], weights.shape[:-1])


@DF_RULES.register("z", title="normal", cite="liang1986")
def normal(found: Robust, weights: Floats) -> Floats:
    """Return infinite df, the large-sample test. Source: Liang & Zeger 1986."""
    return np.full(weights.shape[:-1], np.inf)


# ---------------------------------------------------------------- single contrasts


def unseen(found: Robust, contrasts: Floats) -> Floats:
    """Return the share of each contrast's variance that leaves no residual, (..., m), 0 where all of it does.

    It is a'La / a'a, L the part of X'WX in directions that one cluster alone decides (leverage 1), a the contrast in
    coordinates with X'WX = I. A moderator level seen in one study has such a direction: its robust variance knows
    nothing of that study's error.

    contrasts: (m, p).

    >>> from metaback.stats.robust import cluster_robust
    >>> X, y = np.array([[1.0, 0], [1, 0], [1, 1]]), np.array([0.0, 1.0, 5.0])
    >>> found = cluster_robust(X, y - np.array([0.5, 0.5, 5.0]), np.ones(3), np.arange(3))
    >>> unseen(found, np.eye(2)).round(6) + 0.0
    array([0.      , 0.666667])
    """
    a = contrasts @ found.basis
    return np.einsum("...mp,...pq,...mq->...m", a, found.lost, a) / (a * a).sum(axis=-1)


def contrast_tests(
    beta: Floats,
    found: Robust,
    contrasts: Floats | None = None,
    *,
    df: str = "satterthwaite",
    null: Floats | float = 0.0,
    level: float = 0.95,
) -> ContrastTests:
    """Return t tests and intervals of contrasts c'beta with the robust covariance.

    t = (c'b - null) / sqrt(c'Vc) on df by `df`: satterthwaite, clusters (C - 1), residual (C - p), z.

    beta: (..., p); contrasts: (m, p), None for every coefficient; null: (m,) or one number; level: in (0, 1). Edges:
    see `ContrastTests`; two clusters work, with about 1 df; se 0 gives no test.

    Source: Bell & McCaffrey 2002; Tipton 2015. Same as `clubSandwich::coef_test`.

    >>> from metaback.stats.robust import cluster_robust
    >>> y = np.array([1.0, 2.0, 4.0])
    >>> found = cluster_robust(np.ones((3, 1)), y - y.mean(), np.ones(3), np.arange(3))
    >>> tests = contrast_tests(np.array([y.mean()]), found)
    >>> round(float(tests.df[0]), 6), round(float(tests.p[0]), 6)
    (2.0, 0.118083)
    """
    C = np.eye(beta.shape[-1]) if contrasts is None else contrasts
    estimate = np.einsum("mp,...p->...m", C, beta)
    variance = np.einsum("mp,...pq,mq->...m", C, found.cov, C)
    hidden = unseen(found, C)
    void = ~(hidden <= UNSEEN) | ~(variance >= 0)
    se = np.where(void, np.nan, np.sqrt(np.where(void, 0.0, variance)))
    freedom = np.where(void, np.nan, DF_RULES[df].function(found, C @ found.basis))
    known = se > 0
    statistic = np.where(known, (estimate - null) / np.where(known, se, 1.0), np.nan)
    half = quantile(level, freedom) * se
    return ContrastTests(
        estimate=estimate,
        se=se,
        statistic=statistic,
        df=freedom,
        p=two_sided_p(statistic, freedom),
        lower=estimate - half,
        upper=estimate + half,
        unseen=hidden,
        few=freedom < FEW,
    )


# ---------------------------------------------------------------- joint tests


@JOINT_TESTS.register("HTZ", title="approximate Hotelling's T2 (HTZ)", cite="tipton2015joint")
def wishart_df(found: Robust, weights: Floats) -> Floats:
    """Return eta, df of the Wishart distribution whose total variance is that of the robust covariance, (...).

    eta = q (q + 1) / sum_st var(d_st), with the contrasts turned so that the covariance d has expectation I under the
    working model; then sum_st var(d_st) = sum_ij [tr(O_ij)^2 + tr(O_ij O_ij)] over pairs of clusters, O_ij (q, q). For
    q = 1 eta is Satterthwaite's df.

    weights: (..., q, p) contrasts in the coordinates of `found`. nan where they depend on each other. Source: Tipton &
    Pustejovsky 2015, AHZ.
    """
    D = np.einsum("...sp,...cpq,...tq->...cst", weights, found.own, weights, optimize=True)
    f = np.einsum("...crp,...sp->...crs", found.factor, weights)
    K = found.kernel
    expected = (D + f.swapaxes(-1, -2) @ K[..., None, :, :] @ f).sum(axis=-3)
    q = weights.shape[-2]
    known = independent(np.asarray(expected, dtype=np.float64))
    lower = np.linalg.cholesky(np.where(known[..., None, None], expected, np.eye(q)))
    turn = np.asarray(np.linalg.inv(lower), dtype=np.float64)
    across = turn.swapaxes(-1, -2)[..., None, :, :]
    D, f = turn[..., None, :, :] @ D @ across, f @ across
    fkf = f.swapaxes(-1, -2) @ K[..., None, :, :] @ f
    G = np.einsum("...crs,...cut->...rsut", f, f, optimize=True)
    H = np.einsum("...ar,...rsut,...bu->...asbt", K, G, K, optimize=True)  # K G K by the first index of each pair
    traces, own = np.einsum("...css->...c", D), np.einsum("...css->...c", fkf)
    of_traces = (traces * (traces + 2 * own)).sum(axis=-1) + np.einsum("...rsut,...rsut->...", G, H)
    of_products = np.einsum("...cst,...cts->...", D, D + 2 * fkf) + np.einsum("...rsut,...rtus->...", G, H)
    return np.where(known, q * (q + 1) / (of_traces + of_products), np.nan)


@JOINT_TESTS.register("naive-F", title="F with clusters - 1 df", cite="pustejovsky2018")
def naive(found: Robust, weights: Floats) -> Floats:
    """Return eta that leaves C - 1 residual df and the statistic as it is; too liberal with few clusters.

    Source: Pustejovsky & Tipton 2018.
    """
    return np.asarray(found.clusters - 1, dtype=float)


@JOINT_TESTS.register("chi-square", title="chi-square", cite="liang1986")
def large_sample(found: Robust, weights: Floats) -> Floats:
    """Return infinite df, the large-sample test. Source: Liang & Zeger 1986."""
    return np.full(found.clusters.shape, np.inf)


def joint_test(
    beta: Floats, found: Robust, contrasts: Floats, *, test: str = "HTZ", null: Floats | float = 0.0
) -> JointTest:
    """Return the test that all contrasts C beta equal `null` at once.

    Q = d'(CVC')^-1 d, d = Cb - null. HTZ: F = (eta - q + 1) / (eta q) Q on (q, eta - q + 1) df; naive-F: Q / q on
    (q, C - 1); chi-square: Q on q df, given as Q / q.

    beta: (..., p); contrasts: (q, p) of full rank; null: (q,) or one number. Edges: see `JointTest`; HTZ with
    eta <= q - 1 has no F distribution and gives nan.

    Source: Tipton & Pustejovsky 2015. Same as `clubSandwich::Wald_test`.

    >>> from metaback.stats.robust import cluster_robust
    >>> X, y = np.eye(2)[[0, 0, 0, 1, 1, 1]], np.array([1.0, 2, 3, 0, 1, 5])
    >>> found = cluster_robust(X, y - 2.0, np.ones(6), np.arange(6))
    >>> joint = joint_test(np.array([2.0, 2.0]), found, np.eye(2))
    >>> round(float(joint.eta), 6), round(float(joint.p), 4)
    (3.0, 0.1795)
    """
    eta_of = JOINT_TESTS[test].function
    q = contrasts.shape[0]
    d = np.einsum("qp,...p->...q", contrasts, beta) - null
    V = contrasts @ found.cov @ contrasts.T
    hidden = unseen(found, contrasts).max(axis=-1)
    void = ~independent(V) | ~(hidden <= UNSEEN)
    safe = np.where(void[..., None, None], np.eye(q), V)
    solved = np.asarray(np.linalg.solve(safe, d[..., None]), dtype=np.float64)[..., 0]
    Q = np.where(void, np.nan, np.einsum("...q,...q->...", d, solved))
    eta = np.full(Q.shape, np.nan) if void.all() else eta_of(found, contrasts @ found.basis)
    small = test == "HTZ"
    residual = eta - q + 1 if small else eta
    residual = np.where(void | ~(residual > 0), np.nan, residual)
    statistic = np.where(np.isnan(residual), np.nan, Q / q * (residual / eta if small else 1.0))
    return JointTest(
        statistic=statistic,
        df=q,
        df_residual=residual,
        p=_upper_tail(statistic, q, residual),
        q_statistic=Q,
        eta=np.where(void, np.nan, eta) if small else np.full(Q.shape, np.nan),
        unseen=hidden,
        few=residual < FEW,
    )


def _upper_tail(statistic: Floats, q: int, residual: Floats) -> Floats:
    """Return p of F on (q, residual) df, chi-square for residual = inf; small p keep their digits."""
    finite = np.where(np.isinf(residual), 1.0, residual)
    of_f = np.asarray(betainc(finite / 2, q / 2, finite / (finite + q * statistic)))
    return np.asarray(np.where(np.isinf(residual), chdtrc(q, q * statistic), of_f))


def independent(V: Floats) -> NDArray[np.bool_]:
    """Tell which covariances (..., q, q) of contrasts can be inverted, from the eigenvalues of their correlations.

    >>> independent(np.array([[[1.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 4.0]]])).tolist()
    [False, True]
    """
    spread = np.diagonal(V, axis1=-2, axis2=-1)
    usable = np.asarray(np.isfinite(V).all(axis=(-1, -2)) & (spread > 0).all(axis=-1))
    root = np.sqrt(np.where(usable[..., None], spread, 1.0))
    R = np.where(usable[..., None, None], V / (root[..., :, None] * root[..., None, :]), np.eye(V.shape[-1]))
    return usable & (np.linalg.eigvalsh(R)[..., 0] > SINGULAR)
