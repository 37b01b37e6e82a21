"""Intervals of the mean by resampling: sign flips and the bootstrap, all refits in one masked batch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from metaback.stats.intervals.family import IntervalRequest, Limits, wald_limits, whole_mean_rule
from metaback.stats.wls import Bools, Floats, Problems, coefficients, prepare

EXACT_FLIPS = 12  # studies up to which all 2^(k - 1) patterns of signs are tried
SAME = 1e-9  # share of a statistic within which two are equal: ties of the observed one with its own pattern
HALVINGS = 30  # of the bracket of a permutation limit: 1e-9 of its width
DOUBLINGS = 60  # of the search for the outer end of that bracket
BATCH = 2_000_000  # effects that are fitted at a time


def _studies(problems: Problems, i: int) -> tuple[Floats, Floats]:
    """Return effects minus the origin and variances of one problem, in an order that does not depend on the rows'."""
    real = np.isfinite(problems.v[:, i])
    y, v = problems.y[real, i], problems.v[real, i]
    order = np.lexsort((y, v))
    return y[order], v[order]


def _means(y: Floats, v: Floats, mask: Bools, request: IntervalRequest) -> tuple[Floats, Floats]:
    """Return means and model standard errors of a batch (n, k), tau2 estimated for each."""
    point, se = np.empty(y.shape[0]), np.empty(y.shape[0])
    size = max(1, BATCH // y.shape[1])
    for start in range(0, y.shape[0], size):
        cut = slice(start, start + size)
        part = prepare(y[cut], v[cut], mask[cut])
        fit = coefficients(part, request.estimate(part))
        point[cut], se[cut] = fit.beta[:, 0], np.sqrt(fit.cov[:, 0, 0])
    return point, se


# ---------------------------------------------------------------- permutation


def sign_patterns(k: int, draws: int, seed: int) -> tuple[NDArray[np.float64], bool]:
    """Return patterns of signs (patterns, k), the observed one first, and whether they are all there are.

    A pattern and its mirror image give the same two-sided statistic, so the first study keeps its sign: 2^(k - 1)
    patterns for k up to 12, else `draws` random ones after the observed.
    """
    if k <= EXACT_FLIPS:
        patterns = np.array(list(product((1.0, -1.0), repeat=k - 1)), dtype=np.float64).reshape(2 ** (k - 1), k - 1)
        return np.hstack((np.ones((patterns.shape[0], 1)), patterns)), True
    random = np.random.default_rng(seed).integers(0, 2, (draws, k)).astype(np.float64) * 2.0 - 1.0
    return np.vstack((np.ones((1, k)), random)), False


def permutation_p(y: Floats, v: Floats, shifts: Floats, request: IntervalRequest) -> Floats:
    """Return two-sided p values of mean = shift for each of `shifts`, (shifts,), by sign flips of y - shift.

    p = share of the patterns whose |mean / se|, with tau2 estimated anew, is at least the observed one.

    y, v: (k,). Source: Follmann & Proschan 1999. Same as `metafor::permutest(exact=TRUE)` of y - shift.
    """
    signs, _ = sign_patterns(y.size, request.draws, request.seed)
    flipped = (signs * (y - shifts[:, None, None])).reshape(-1, y.size)
    point, se = _means(flipped, np.broadcast_to(v, flipped.shape), np.ones(flipped.shape, dtype=bool), request)
    statistic = np.abs(point / se).reshape(shifts.size, -1)
    return (statistic >= statistic[:, :1] * (1 - SAME)).mean(axis=1)


def _permutation_limit(y: Floats, v: Floats, start: float, step: float, request: IntervalRequest) -> float:
    """Return the shift, on the side of `step`, beyond which p is at most 1 - level; infinite where p never is."""
    signs = sign_patterns(y.size, request.draws, request.seed)[0].shape[0]
    goal = 1 - request.level
    if 1 / signs > goal:  # the observed pattern alone
        return float(np.copysign(np.inf, step))

    def inside(shift: float) -> bool:
        return bool(permutation_p(y, v, np.array([shift]), request)[0] > goal * (1 + SAME))

    low, high = start, start + step
    for _ in range(DOUBLINGS):
        if not inside(high):
            break
        low, high = high, high + 2 * (high - start)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) else (low, middle)
    return (low + high) / 2


@whole_mean_rule(
    "perm",
    title="permutation",
    short="permutation",
    text="were permutation intervals: shifts of the effects that a two-sided test by sign flips, with τ² estimated "
    "anew for every pattern of signs, does not reject",
    cite="follmann1999",
    seeded=True,
)
def permutation(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return the permutation test of no effect and the interval of shifts that it does not reject.

    All patterns of signs are tried for k up to 12, else `request.draws` random ones; see `permutation_p`.

    Edges: the smallest possible p value is 2^(1 - k), so that a 95% interval is infinite below 6 studies. Source:
    Follmann & Proschan 1999. The p value is that of `metafor::permutest(exact=TRUE)`.
    """
    base = wald_limits(problems, tau2, request.level)
    lower, upper, p = base.lower.copy(), base.upper.copy(), base.p.copy()
    for i in range(problems.n):
        y, v = _studies(problems, i)
        centre = float(base.point[i] - problems.origin[i])
        width = 2 * float(base.upper[i] - base.lower[i])
        lower[i] = problems.origin[i] + _permutation_limit(y, v, centre, -width, request)
        upper[i] = problems.origin[i] + _permutation_limit(y, v, centre, width, request)
        p[i] = permutation_p(y, v, -problems.origin[i : i + 1], request)[0]
    return Limits(base.point, base.se, base.df, lower, upper, base.statistic, p, tau2)


# ---------------------------------------------------------------- bootstrap


def _resampled(y: Floats, v: Floats, tau2: float, request: IntervalRequest) -> Floats:
    """Return means of samples of studies with replacement, (draws,), tau2 estimated for each."""
    picked = np.random.default_rng(request.seed).integers(0, y.size, (request.draws, y.size))
    return _means(y[picked], v[picked], np.ones(picked.shape, dtype=bool), request)[0]


def _simulated(y: Floats, v: Floats, tau2: float, request: IntervalRequest) -> Floats:
    """Return means of effects drawn from the fitted model, (draws,), tau2 estimated for each."""
    at = prepare(y[None], v[None], np.ones((1, y.size), dtype=bool))
    mean = float(coefficients(at, np.array([tau2])).beta[0, 0])
    noise: Floats = np.random.default_rng(request.seed).standard_normal((request.draws, y.size))
    spread: Floats = np.sqrt(v + tau2)
    drawn: Floats = np.asarray(mean + noise * spread, dtype=np.float64)
    return _means(drawn, np.broadcast_to(v, drawn.shape), np.ones(drawn.shape, dtype=bool), request)[0]


def _order_statistic(values: Floats, p: Floats) -> Floats:
    """Return quantiles at p (B + 1), interpolated between order statistics."""
    return np.quantile(values, p, method="weibull")


def _tails(level: float) -> Floats:
    return np.array([(1 - level) / 2, (1 + level) / 2])


def percentile_ends(means: Floats, point: float, jackknife: Floats, level: float) -> Floats:
    """Return the quantiles of the resampled means. Source: Efron 1979; Davison & Hinkley 1997."""
    return _order_statistic(means, _tails(level))


def basic_ends(means: Floats, point: float, jackknife: Floats, level: float) -> Floats:
    """Return twice the point less the quantiles, mirrored. Source: Davison & Hinkley 1997."""
    return 2 * point - _order_statistic(means, _tails(level))[::-1]


def bca_ends(means: Floats, point: float, jackknife: Floats, level: float) -> Floats:
    """Return the bias-corrected and accelerated quantiles.

    p -> Phi(z0 + (z0 + z_p) / (1 - a (z0 + z_p))), z0 from the share of means below the point (ties count half), a from
    the skewness of the leave-one-out means. Source: Efron 1987.
    """
    share = (np.sum(means < point) + np.sum(means == point) / 2) / means.size
    z0 = ndtri(np.clip(share, 1 / (means.size + 1), means.size / (means.size + 1)))
    d = jackknife.mean() - jackknife
    scale = np.sum(d * d) ** 1.5
    a = np.sum(d**3) / (6 * scale) if scale > 0 else 0.0
    z = z0 + ndtri(_tails(level))
    return _order_statistic(means, ndtr(z0 + z / (1 - a * z)))


def _leave_one_out(y: Floats, v: Floats, request: IntervalRequest) -> Floats:
    """Return the means without each study in turn, (k,)."""
    k = y.size
    shape = (k, k)
    return _means(np.broadcast_to(y, shape), np.broadcast_to(v, shape), ~np.eye(k, dtype=bool), request)[0]


Sampler = Callable[[Floats, Floats, float, IntervalRequest], Floats]
Ends = Callable[[Floats, float, Floats, float], Floats]


def _bootstrap(problems: Problems, tau2: Floats, request: IntervalRequest, sampler: Sampler, ends: Ends) -> Limits:
    """Return the bootstrap interval of each problem; its own tau2 and mean stay, no test is made."""
    base = wald_limits(problems, tau2, request.level)
    lower, upper, se = base.lower.copy(), base.upper.copy(), base.se.copy()
    nothing = np.full(problems.n, np.nan)
    for i in range(problems.n):
        y, v = _studies(problems, i)
        means = sampler(y, v, float(tau2[i]), request)
        point = float(base.point[i] - problems.origin[i])
        jackknife = _leave_one_out(y, v, request) if ends is bca_ends else means
        lower[i], upper[i] = problems.origin[i] + ends(means, point, jackknife, request.level)
        se[i] = means.std(ddof=1)
    return Limits(base.point, se, np.full(problems.n, np.inf), lower, upper, nothing, nothing, tau2)


@whole_mean_rule(
    "boot-percentile",
    title="bootstrap of studies, percentile",
    short="bootstrap, percentile",
    text="were percentiles of the means of studies drawn with replacement, with τ² estimated for each sample",
    cite="efron1979 davison1997",
    seeded=True,
)
def bootstrap_percentile(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return percentiles of the means of studies drawn with replacement.

    Edges: a sample may hold one study many times; few studies make the interval too narrow. Source: Efron 1979.
    """
    return _bootstrap(problems, tau2, request, _resampled, percentile_ends)


@whole_mean_rule(
    "boot-basic",
    title="bootstrap of studies, basic",
    short="bootstrap, basic",
    text="were basic bootstrap intervals from studies drawn with replacement, with τ² estimated for each sample",
    cite="davison1997",
    seeded=True,
)
def bootstrap_basic(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return the percentiles of studies drawn with replacement, mirrored at the mean.

    Source: Davison & Hinkley 1997.
    """
    return _bootstrap(problems, tau2, request, _resampled, basic_ends)


@whole_mean_rule(
    "boot-BCa",
    title="bootstrap of studies, bias-corrected and accelerated",
    short="bootstrap, BCa",
    text="were bias-corrected and accelerated bootstrap intervals from studies drawn with replacement, with τ² "
    "estimated for each sample",
    cite="efron1987",
    seeded=True,
)
def bootstrap_bca(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return bias-corrected and accelerated percentiles of studies drawn with replacement.

    Source: Efron 1987.
    """
    return _bootstrap(problems, tau2, request, _resampled, bca_ends)


@whole_mean_rule(
    "pboot-percentile",
    title="parametric bootstrap, percentile",
    short="parametric bootstrap, percentile",
    text="were percentiles of the means of effects drawn from the fitted model, with τ² estimated for each sample",
    cite="efron1979 davison1997",
    seeded=True,
)
def parametric_percentile(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return percentiles of the means of effects drawn from N(mean, v + tau2).

    Source: Davison & Hinkley 1997.
    """
    return _bootstrap(problems, tau2, request, _simulated, percentile_ends)


@whole_mean_rule(
    "pboot-basic",
    title="parametric bootstrap, basic",
    short="parametric bootstrap, basic",
    text="were basic bootstrap intervals from effects drawn from the fitted model, with τ² estimated for each sample",
    cite="davison1997",
    seeded=True,
)
def parametric_basic(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return the percentiles of effects drawn from N(mean, v + tau2), mirrored at the mean.

    Source: Davison & Hinkley 1997.
    """
    return _bootstrap(problems, tau2, request, _simulated, basic_ends)
