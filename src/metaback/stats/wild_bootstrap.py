"""Cluster wild bootstrap: tests of coefficients that hold their size with few clusters.

The null hypothesis is imposed: y* = fitted under it + f_i times the residuals of cluster i under it, f_i random with
mean 0 and variance 1, one for a cluster. What the statistic would be if the null were true is read off its values for
many y*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.stats.blocks import BlockMatrix
from metaback.stats.regression import in_basis, orthonormal
from metaback.stats.robust import adjusted_residuals, cluster_robust, least_squares_residuals
from metaback.stats.robust_tests import UNSEEN, independent, unseen

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]
Reweigh = Callable[[Floats, Floats], Floats]
DRAWS = 1999  # (draws + 1) times the usual levels is a whole number
EXACT = 10  # clusters up to which all patterns of signs are tried
FEW = 10  # clusters below which signs have too few patterns for a p value of 0.05 or near it: six points instead
SAME = 1e-9  # share within which two statistics are equal: the observed one and that of its own pattern
BATCH = 2_000_000  # numbers that are worked on at a time
SIX = np.sqrt(np.array([1.5, 1.0, 0.5]))  # Webb's points, with both signs


@dataclass(frozen=True, slots=True)
class WildPlan:
    """How the bootstrap is done.

    kind: covariance in the statistic; adjust: of the residuals, CR0, CR2 or CR3; auxiliary: "rademacher" (signs),
    "webb" (six points), "" for signs from ten clusters and six points below; draws: how many y*.
    """

    kind: str = "CR0"
    adjust: str = "CR0"
    auxiliary: str = ""
    draws: int = DRAWS


@dataclass(frozen=True, slots=True)
class WildTest:
    """The test that C beta = null.

    statistic: Q / q, with Q = d'(CVC')^-1 d; df: q; p with its Monte Carlo standard error p_se (0 where all patterns
    were tried); replicates: (draws,) statistics of y*, nan where one could not be computed; exact: all patterns tried;
    auxiliary: which distribution.
    """

    statistic: float
    df: int
    p: float
    p_se: float
    replicates: Floats
    exact: bool
    auxiliary: str


def wild_bootstrap(
    y: Floats,
    X: Floats,
    weights: BlockMatrix | Floats,
    clusters: Labels,
    contrasts: Floats,
    plan: WildPlan | None = None,
    rng: int | np.random.Generator = 1,
    reweigh: Reweigh | None = None,
) -> WildTest:
    """Return the cluster wild bootstrap test of C beta = 0, all replicates in one batch.

    Joshi, Pustejovsky & Beretvas estimate the variance components anew for every y*. With `reweigh` None the weights
    are held, as the sandwich is right whatever the weights are: then the estimate and the scores of y* are linear in
    the f_i and no replicate needs the rows, O(draws C p q) together. With `reweigh` the weights of every replicate are
    estimated as in the paper.

    p = (1 + #{Q* >= Q}) / (1 + draws); the share of Q* >= Q where all patterns of signs are tried (signs with up to 10
    clusters), which has the observed one among them if residuals are not adjusted.

    y: (n,); X: (n, p) of full rank; weights, clusters: see `cluster_robust`; contrasts: (q, p) of full rank; rng: seed
    or generator; reweigh: from effects (R, n) and columns (n, p') to weights (R, n), for example
    `lambda y, X: correlated_effects(y, v, X, study).weights`; it is asked for the null model too, and `weights` is then
    not used. Edges: one cluster, dependent columns, a contrast that one
    cluster alone decides, or a covariance of the contrasts without inverse give p = nan.

    Source: Joshi, Pustejovsky & Beretvas 2022; Webb 2023 for the six points. Same as `wildmeta::Wald_test_cwb`, which
    has #{Q* > Q} / draws for p.

    >>> y, X = np.array([0.5, 0.4, 0.8, 0.1, 0.6, 0.3]), np.ones((6, 1))
    >>> test = wild_bootstrap(y, X, np.ones(6), np.arange(6), np.eye(1), WildPlan(auxiliary="rademacher"))
    >>> test.p, test.exact
    (0.03125, True)
    """
    plan = plan or WildPlan()
    labels = np.unique(clusters, return_inverse=True)[1]
    count = int(labels.max()) + 1
    plan = replace(plan, auxiliary=plan.auxiliary or ("rademacher" if count >= FEW else "webb"))
    f, exact = multipliers(count, plan.draws, plan.auxiliary, np.random.default_rng(rng))
    basis = orthonormal(X, next((j for j in range(X.shape[1]) if (X[:, j] == 1).all()), None))
    fit = basis.Q, in_basis(basis, contrasts), plan.kind
    nulls = basis.Q @ _orthogonal_to(fit[1])
    first = weights if reweigh is None else reweigh(y[None], nulls)[0]
    residuals = least_squares_residuals(nulls, y, first, labels)
    adjusted = adjusted_residuals(nulls, residuals, first, labels, plan.adjust)
    if reweigh is None:
        observed = _held(fit, residuals, weights, labels, np.ones((1, count)))
        replicates = _held(fit, adjusted, weights, labels, f)
    else:
        observed = _anew(y[None], fit, X, reweigh, labels)
        size = max(1, BATCH // (y.size * X.shape[1]))
        parts = (f[i : i + size] for i in range(0, f.shape[0], size))
        stars = (y - residuals + part[:, labels] * adjusted for part in parts)
        replicates = np.concatenate([_anew(star, fit, X, reweigh, labels) for star in stars])
    return _judged(float(observed[0]), replicates, exact, plan, contrasts.shape[0])


def multipliers(count: int, draws: int, auxiliary: str, rng: np.random.Generator) -> tuple[Floats, bool]:
    """Return factors of the clusters (draws, clusters) and whether they are all patterns there are.

    "rademacher": 1 or -1; a pattern and its mirror image have the same statistic, so that up to 10 clusters all
    2^(clusters - 1) are taken, the observed one first. "webb": plus or minus the roots of 1/2, 1 and 3/2.

    >>> multipliers(2, 99, "rademacher", np.random.default_rng(1))[0].tolist()
    [[1.0, 1.0], [1.0, -1.0]]
    """
    if auxiliary == "rademacher" and count <= EXACT:
        patterns = np.array(list(product((1.0, -1.0), repeat=count - 1)), dtype=np.float64).reshape(-1, count - 1)
        return np.hstack((np.ones((patterns.shape[0], 1)), patterns)), True
    signs = 2.0 * rng.integers(0, 2, (draws, count)).astype(np.float64) - 1.0
    if auxiliary == "rademacher":
        return signs, False
    if auxiliary == "webb":
        return signs * SIX[rng.integers(0, 3, (draws, count))], False
    raise OptionError.unknown("auxiliary", auxiliary, ("rademacher", "webb"))


def _orthogonal_to(C: Floats) -> Floats:
    """Return orthonormal columns (p, p - q) that span what the rows of C (q, p) do not."""
    return np.asarray(np.linalg.svd(C)[2], dtype=np.float64)[C.shape[0] :].T


def _held(
    fit: tuple[Floats, Floats, str], residuals: Floats, weights: BlockMatrix | Floats, labels: Labels, f: Floats
) -> Floats:
    """Return Q / q (draws,) of y* = fitted + f times residuals, with the weights held."""
    x, C, kind = fit
    found = cluster_robust(x, residuals, weights, labels, kind=kind)
    plain = found if kind == "CR0" else cluster_robust(x, residuals, weights, labels, kind="CR0")
    if not found.status.ok or (unseen(found, C) > UNSEEN).any():
        return np.full((f.shape[0],), np.nan)
    a = C @ found.basis
    own = found.scores @ a.T
    taken = np.einsum("cpk,qk->pcq", found.adjusted, a)
    out: list[Floats] = []
    size = max(1, BATCH // own.size)
    for start in range(0, f.shape[0], size):
        part = f[start : start + size]
        moved = part @ plain.scores
        scores = part[..., None] * own - np.einsum("rp,pcq->rcq", moved, taken, optimize=True)
        out.append(_wald(moved @ a.T, scores.swapaxes(-1, -2) @ scores))
    return np.concatenate(out)


def _anew(y: Floats, fit: tuple[Floats, Floats, str], X: Floats, reweigh: Reweigh, labels: Labels) -> Floats:
    """Return Q / q (draws,) of effects y (draws, n), with weights estimated for each."""
    x, C, kind = fit
    weights = reweigh(y, X)
    e = least_squares_residuals(x, y, weights, labels)
    found = cluster_robust(x, e, weights, labels, kind=kind)
    if not found.status.ok:
        return np.full((y.shape[0],), np.nan)
    gamma = (y - e) @ x  # x has orthonormal columns
    void = (unseen(found, C) > UNSEEN).any(axis=-1)
    return np.where(void, np.nan, _wald(gamma @ C.T, C @ found.cov @ C.T))


def _wald(d: Floats, V: Floats) -> Floats:
    """Return d'V^-1 d / q for each of (draws, q); nan where V has no inverse."""
    q = d.shape[-1]
    known = independent(V)
    safe = np.where(known[:, None, None], V, np.eye(q))
    solved = d / safe[:, 0] if q == 1 else np.asarray(np.linalg.solve(safe, d[..., None]), dtype=np.float64)[..., 0]
    return np.where(known, np.einsum("rq,rq->r", d, solved) / q, np.nan)


def _judged(observed: float, replicates: Floats, exact: bool, plan: WildPlan, q: int) -> WildTest:
    """Return the test from the observed statistic and those of the replicates."""
    known = replicates[~np.isnan(replicates)]
    if np.isnan(observed) or not known.size:
        return WildTest(observed, q, np.nan, np.nan, replicates, exact, plan.auxiliary)
    beyond, n = int((known >= observed * (1 - SAME)).sum()), known.size
    p = beyond / n if exact and plan.adjust == "CR0" else (1 + beyond) / (1 + n)
    return WildTest(
        observed, q, p, 0.0 if exact else float(np.sqrt(p * (1 - p) / n)), replicates, exact, plan.auxiliary
    )
