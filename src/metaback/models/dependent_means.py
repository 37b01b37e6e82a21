"""Means of effects that depend on each other: three levels and robust variance, many sets of studies at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.stats.blocks import BlockMatrix, blocks_of, regrouped
from metaback.stats.heterogeneity import i2_from_tau2
from metaback.stats.intervals.family import quantile, two_sided_p
from metaback.stats.mixed import Term, clusters_of, fit_mixed, fit_mixed_many
from metaback.stats.robust import Robust, cluster_robust
from metaback.stats.robust_tests import contrast_tests
from metaback.status import Status

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp]
CHUNK = 4_000_000  # numbers of blocks x replicates handled at a time


@dataclass(frozen=True, slots=True)
class DependentMeans:
    """Means of R sets of studies, each array with the axis R.

    mean ... p: with the robust variance (CR2, Satterthwaite's df); of a single study with that of its own covariance
    and the normal. variance: of the mean as the working model has it, 1 / 1'M^-1 1. between, within: variance
    components of studies and of the rows of a study; told: (R, 2) whether the data tell them apart. i2: (R, 2) what
    they make of the total variance, in percent. q, m: Cochran's Q with the covariances, and its df. weights: (R, n)
    shares of the mean, which sum to 1 and may be negative. few: df below 4.
    """

    mean: Floats
    variance: Floats
    se: Floats
    df: Floats
    lower: Floats
    upper: Floats
    statistic: Floats
    p: Floats
    between: Floats
    within: Floats
    told: Bools
    i2: Floats
    q: Floats
    m: Floats
    studies: Floats
    weights: Floats
    loglik: Floats
    few: Bools
    status: NDArray[np.int64]

    def take(self, places: Places) -> DependentMeans:
        """Return some of the sets."""
        return DependentMeans(*(getattr(self, name)[places] for name in self.__slots__))


def dependent_means(
    y: Floats, V: BlockMatrix, study: Places, *, present: Bools | None = None, method: str = "REML", level: float = 0.95
) -> DependentMeans:
    r"""Return means of y_ij = mu + u_i + w_ij + e_ij with robust variance, u ~ N(0, s2_u), w ~ N(0, s2_w), e ~ N(0, V).

    M = V + s2_u (rows of one study) + s2_w I; mean = 1'M^-1 y / 1'M^-1 1; its variance is CR2 with studies as
    clusters, which holds whatever the true dependence within studies. s2_u and s2_w by `method`, anew for each set.

    y: (n,) effects; V: their sampling covariance, each block within one study; study: (n,) whole numbers. present:
    (R, C) which studies, in the rising order of their numbers, belong to each set; None is one set of all.

    Edges: of a single study the mean and its variance follow from V alone, without components; components that cannot
    be told apart (one row in every study) are flagged, their sum stands. A set that cannot be fitted has its status
    and nan, and so has every set where there are no rows at all.
    Source: Pustejovsky & Tipton 2022 (their correlated and hierarchical effects model).

    >>> from metaback.stats.blocks import diagonal
    >>> y, study = np.array([0.1, 0.3, 0.5, 0.9]), np.array([0, 0, 1, 2])
    >>> found = dependent_means(y, diagonal(blocks_of(study), np.full(4, 0.04)), study)
    >>> found.mean.round(4).tolist(), found.m.tolist()
    ([0.5151], [3.0])
    """
    numbers, rank = np.unique(study, return_inverse=True)
    who = np.ones((1, numbers.size), dtype=bool) if present is None else present
    if not y.size:
        return _of_no_rows(len(who))
    step = max(1, CHUNK // max(1, sum(rows.size * rows.shape[1] for rows in blocks_of(study).rows)))
    parts = [_chunk(y, V, rank, who[i : i + step], method, level) for i in range(0, max(len(who), 1), step)]
    return parts[0] if len(parts) == 1 else _joined(parts)


def dependent_means_many(
    y: Floats, Vs: Sequence[BlockMatrix], study: Places, *, method: str = "REML", level: float = 0.95
) -> DependentMeans:
    """Return the mean of all rows under each of R sampling covariances, their components found in one batch.

    Vs: covariances of the same rows, as under several assumed correlations. The numbers are those of `dependent_means`
    under each alone, to rounding.

    >>> from metaback.stats.blocks import diagonal
    >>> y, study = np.array([0.1, 0.3, 0.5, 0.9]), np.array([0, 0, 1, 2])
    >>> Vs = [diagonal(blocks_of(study), np.full(4, v)) for v in (0.04, 0.08)]
    >>> dependent_means_many(y, Vs, study).mean.round(4).tolist()
    [0.5151, 0.4966]
    """
    rank = np.unique(study, return_inverse=True)[1]
    terms = [Term("ID0", rank), Term("ID0", np.arange(y.size))]
    fits = fit_mixed_many(y, np.ones((y.size, 1)), Vs, terms, method)
    theta, told, loglik, status = (
        np.array([getattr(fit, name) for fit in fits]) for name in ("theta", "identifiable", "loglik", "status")
    )
    parts = zip(*(regrouped(V, blocks_of(rank)).parts for V in Vs), strict=True)
    own = BlockMatrix(blocks_of(rank), tuple(map(np.stack, parts)))
    who = np.ones((len(Vs), int(rank.max(initial=-1)) + 1), dtype=bool)
    return _means(_Sets(y, own, rank, who), _Found(theta, told, loglik, status), level)


@dataclass(frozen=True, slots=True)
class DependentCoefficients:
    """Coefficients (p,) of one model of dependent effects, and what their tests are made of.

    robust: CR2 with studies as clusters; model: (p, p) covariance under the working model; weights: M^-1. between,
    within, told, i2 (2,), q, m: as in `DependentMeans`, for what the design leaves. loglik: of the method.
    """

    beta: Floats
    robust: Robust
    model: Floats
    weights: BlockMatrix
    between: float
    within: float
    told: Bools
    i2: Floats
    q: float
    m: int
    loglik: float


def dependent_coefficients(
    y: Floats, X: Floats, V: BlockMatrix, study: Places, *, method: str = "REML"
) -> DependentCoefficients | Status:
    """Return the coefficients of y = X beta + u + w + e with their robust covariance, or why there are none.

    The model of `dependent_means` with a design X (n, p) of full rank; for a column of ones the same numbers.

    >>> from metaback.stats.blocks import diagonal
    >>> y, study = np.array([0.1, 0.3, 0.5, 0.9]), np.array([0, 0, 1, 2])
    >>> found = dependent_coefficients(y, np.ones((4, 1)), diagonal(blocks_of(study), np.full(4, 0.04)), study)
    >>> isinstance(found, DependentCoefficients) and found.beta.round(4).tolist()
    [0.5151]
    """
    terms = [Term("ID0", study), Term("ID0", np.arange(y.size))]
    fit = fit_mixed(y, X, V, terms, method)
    if fit.status != Status.CONVERGED:
        return Status(int(fit.status))
    own = regrouped(V, blocks_of(study))
    W = _first(inverse_blocks(own, fit.theta[None]))
    residual = y - X @ fit.beta
    robust = cluster_robust(X, residual, W, study)
    if robust.status is not Status.CONVERGED:
        return robust.status
    q, m, typical = _left(_first(inverse_blocks(own, np.zeros((1, 2)))), X, residual)
    between, within = (float(value) for value in fit.theta)
    i2 = _shares(fit.theta[None], np.array([typical]))[0]
    told = np.asarray(fit.identifiable, dtype=bool)
    return DependentCoefficients(fit.beta, robust, fit.cov, W, between, within, told, i2, q, m, float(fit.loglik))


def _first(W: BlockMatrix) -> BlockMatrix:
    """Return the first replicate."""
    return BlockMatrix(W.blocks, tuple(part[0] for part in W.parts))


def _left(W: BlockMatrix, X: Floats, e: Floats) -> tuple[float, int, float]:
    """Return Q of y - X b under W = V^-1, its df n - p, and the typical variance (n - p) / tr P.

    e: (n,) y less any combination of the columns of X. P = W - WX (X'WX)^-1 X'W.
    """
    WX, We, trace = np.zeros(X.shape), np.zeros(e.size), 0.0
    for rows, part in zip(W.blocks.rows, W.parts, strict=True):
        WX[rows] = part @ X[rows]
        We[rows] = (part @ e[rows][..., None])[..., 0]
        trace += float(np.diagonal(part, axis1=-2, axis2=-1).sum())
    A = X.T @ WX
    trace -= float(np.trace(np.linalg.solve(A, WX.T @ WX)))
    shift = np.asarray(np.linalg.solve(A, X.T @ We), dtype=np.float64)
    q, m = float(e @ We - (X.T @ We) @ shift), X.shape[0] - X.shape[1]
    return max(q, 0.0), m, m / trace if m > 0 else np.nan


def _of_no_rows(sets: int) -> DependentMeans:
    """Return what sets without a row have: a status and nan."""
    none, pairs, no = np.full(sets, np.nan), np.full((sets, 2), np.nan), np.zeros(sets, dtype=bool)
    return DependentMeans(
        mean=none, variance=none, se=none, df=none, lower=none, upper=none, statistic=none, p=none,
        between=none, within=none, told=np.zeros((sets, 2), dtype=bool), i2=pairs, q=none, m=none,
        studies=np.zeros(sets), weights=np.empty((sets, 0)), loglik=none, few=no,
        status=np.full(sets, int(Status.NO_STUDIES), dtype=np.int64),
    )  # fmt: skip


def _joined(parts: list[DependentMeans]) -> DependentMeans:
    """Put the sets of several chunks behind each other."""
    names = DependentMeans.__slots__
    return DependentMeans(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _chunk(y: Floats, V: BlockMatrix, study: Places, who: Bools, method: str, level: float) -> DependentMeans:
    """Fit the sets of one chunk."""
    terms = [Term("ID0", study), Term("ID0", np.arange(y.size))]
    counts = np.zeros(who.shape)
    counts[:, clusters_of(V, terms)] = who[:, study]
    fit = fit_mixed(y, np.ones((y.size, 1)), V, terms, method, counts=counts)
    found = _Found(fit.theta, fit.identifiable, fit.loglik, fit.status)
    return _means(_Sets(y, regrouped(V, blocks_of(study)), study, who), found, level)


@dataclass(frozen=True, slots=True)
class _Sets:
    """Rows (n,) of studies from 0; blocks of V by study, of all sets (B, m, m) or of each (R, B, m, m); who: (R, J)."""

    y: Floats
    V: BlockMatrix
    study: Places
    who: Bools


@dataclass(frozen=True, slots=True)
class _Found:
    """What the engine found of R sets: both components (R, 2), whether they are told apart, log-likelihood, status."""

    theta: Floats
    told: Bools
    loglik: Floats
    status: NDArray[np.int64]


def _means(sets: _Sets, fit: _Found, level: float) -> DependentMeans:
    """Return the means of sets whose components are found."""
    y, own, study, who = sets.y, sets.V, sets.study, sets.who
    several = who.sum(axis=1) > 1
    theta = np.where(several[:, None], fit.theta, 0.0)
    W = inverse_blocks(own, theta)
    rows = np.broadcast_to(who[:, study], (len(who), y.size))
    weight, total, mean = _gls(W, rows, y)
    alone = ~several & rows.any(axis=1)
    columns, few = _tested(mean, 1 / total, alone, level), np.zeros(len(who), dtype=bool)
    ready = several & (fit.status == Status.CONVERGED)
    if ready.any():
        X, e = np.ones((y.size, 1)), (y - mean[:, None])[ready]
        robust = cluster_robust(X, e, _taken(W, ready), study, present=who[ready])
        tests = contrast_tests(mean[ready][:, None], robust, level=level)
        for name in ("se", "df", "lower", "upper", "statistic", "p"):
            columns[name][ready] = getattr(tests, name)[..., 0]
        few[ready] = tests.few[..., 0]
    q, m, typical = _spread(inverse_blocks(own, np.zeros((1, 2))), rows, y)
    status = np.where(alone, int(Status.CONVERGED), fit.status).astype(np.int64)
    status[~rows.any(axis=1)] = Status.NO_STUDIES
    known = np.where(several[:, None], fit.theta, np.nan)
    return DependentMeans(
        mean=np.where(status == Status.CONVERGED, mean, np.nan),
        variance=np.where(status == Status.CONVERGED, 1 / total, np.nan),
        **columns,
        between=known[:, 0],
        within=known[:, 1],
        told=fit.told & several[:, None],
        i2=_shares(known, typical),
        q=q,
        m=m,
        studies=who.sum(axis=1).astype(float),
        weights=np.where(rows, weight / total[:, None], np.nan),
        loglik=np.where(several, fit.loglik, np.nan),
        few=few,
        status=status,
    )


def _tested(mean: Floats, variance: Floats, alone: Bools, level: float) -> dict[str, Floats]:
    """Return the columns of a normal interval where a study stands alone, nan elsewhere."""
    se = np.where(alone, np.sqrt(np.where(alone, variance, 1.0)), np.nan)
    df = np.where(alone, np.inf, np.nan)
    half, statistic = quantile(level, df) * se, mean / se
    return {
        "se": se,
        "df": df,
        "lower": mean - half,
        "upper": mean + half,
        "statistic": statistic,
        "p": two_sided_p(statistic, df),
    }


def inverse_blocks(V: BlockMatrix, theta: Floats) -> BlockMatrix:
    """Return M^-1 for R pairs of components, blocks (R, B, m, m).

    V: blocks of whole studies, (B, m, m) or (R, B, m, m); theta: (R, 2) variance between and within studies, nan for
    none.

    >>> from metaback.stats.blocks import diagonal
    >>> V = diagonal(blocks_of(np.zeros(1, dtype=int)), np.ones(1))
    >>> inverse_blocks(V, np.array([[0.5, 0.5]])).parts[0].tolist()
    [[[[0.5]]]]
    """
    parts: list[Floats] = []
    for values in V.parts:
        eye = np.eye(values.shape[-1])
        more = theta[:, 0, None, None] + theta[:, 1, None, None] * eye
        M = values + np.nan_to_num(more)[:, None]
        parts.append(np.linalg.inv(M).astype(np.float64))
    return BlockMatrix(V.blocks, tuple(parts))


def _taken(W: BlockMatrix, which: Bools) -> BlockMatrix:
    """Return some of the replicates."""
    return BlockMatrix(W.blocks, tuple(part[which] for part in W.parts))


def _sums(W: BlockMatrix, values: Floats) -> Floats:
    """Return W values (R, n) of values (R, n)."""
    out = np.zeros(np.broadcast_shapes((W.parts[0].shape[0], 1), values.shape))
    for rows, part in zip(W.blocks.rows, W.parts, strict=True):
        out[:, rows] = np.einsum(
            "rbij,rbj->rbi", part, np.broadcast_to(values, (len(values), values.shape[1]))[:, rows]
        )
    return out


def _gls(W: BlockMatrix, rows: Bools, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return 1'W (R, n), 1'W1 (R,) and the generalised mean (R,) over the rows of each set; nan where there is none."""
    ones = rows.astype(float)
    weight = np.where(rows, _sums(W, ones), 0.0)
    total = weight.sum(axis=1)
    total = np.where(rows.any(axis=1), total, np.nan)
    origin = y[np.argmax(rows, axis=1)]  # effects far from 0 would lose digits
    return weight, total, origin + (weight * (y - origin[:, None])).sum(axis=1) / total


def _spread(W: BlockMatrix, rows: Bools, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return Q (R,) at no heterogeneity, its df, and the typical variance m / tr P; W: blocks (1 or R, B, m, m)."""
    whole = BlockMatrix(W.blocks, tuple(np.broadcast_to(part, (len(rows), *part.shape[1:])) for part in W.parts))
    weight, total, mean = _gls(whole, rows, y)
    e = np.where(rows, y - mean[:, None], 0.0)
    q = (e * _sums(whole, e)).sum(axis=1)
    m = rows.sum(axis=1) - 1.0
    trace = np.zeros(len(rows))
    for places, part in zip(W.blocks.rows, W.parts, strict=True):
        trace += (rows[:, places] * np.diagonal(part, axis1=-2, axis2=-1)).sum(axis=(1, 2))
    trace -= (weight**2).sum(axis=1) / total
    return np.where(m >= 0, q, np.nan), m, np.where(m > 0, m, np.nan) / np.where(m > 0, trace, 1.0)


def _shares(theta: Floats, typical: Floats) -> Floats:
    """Return the share of each component in the total variance, in percent, (R, 2)."""
    total = theta.sum(axis=1)
    whole = i2_from_tau2(total, typical)
    return np.where(total[:, None] > 0, theta / np.where(total > 0, total, 1.0)[:, None], 0.0) * whole[:, None]
