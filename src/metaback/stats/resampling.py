"""Intervals of the mean by resampling: sign flips and the bootstrap, all refits in one masked batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from metaback.progress import Progress, silent, within
from metaback.stats.intervals.family import IntervalRequest, Limits, wald_limits, whole_mean_rule
from metaback.stats.wls import Bools, Floats, Problems, coefficients, prepare

EXACT_FLIPS = 12  # studies up to which all 2^(k - 1) patterns of signs are tried, however few draws are asked for
TIE = 1e-10  # of the range of resampled means: a sample of the same studies in another order differs by rounding
FIRST = 1.5  # first outer end of a permutation limit, in halves of the Wald interval
SAME = 1e-9  # share of a statistic within which two are equal: ties of the observed one with its own pattern
HALVINGS = 30  # of the bracket of a permutation limit: 1e-9 of its width
LIMIT = 2 * HALVINGS  # steps that the search of one limit takes at most
DOUBLINGS = 60  # of the search for the outer end of that bracket
BATCH = 1_000_000  # effects that are fitted at a time: a fraction of a second


def _studies(problems: Problems, i: int) -> tuple[Floats, Floats]:
    """Return effects minus the origin and variances of one problem, in an order that does not depend on the rows'."""
    real = np.isfinite(problems.v[:, i])
    y, v = problems.y[real, i], problems.v[real, i]
    order = np.lexsort((y, v))
    return y[order], v[order]


def _means(
    y: Floats, v: Floats, mask: Bools, request: IntervalRequest, tell: Progress = silent
) -> tuple[Floats, Floats]:
    """Return means and model standard errors of a batch (n, k), tau2 estimated for each."""
    point, se = np.empty(y.shape[0]), np.empty(y.shape[0])
    size = max(1, BATCH // y.shape[1])
    for start in range(0, y.shape[0], size):
        cut = slice(start, start + size)
        here = prepare(y[cut], v[cut], mask[cut])
        fit = coefficients(here, request.estimate(here))
        point[cut], se[cut] = fit.beta[:, 0], np.sqrt(fit.cov[:, 0, 0])
        tell(min(start + size, y.shape[0]), y.shape[0])
    return point, se


# ---------------------------------------------------------------- permutation


def sign_patterns(k: int, draws: int, seed: int) -> tuple[NDArray[np.float64], bool]:
    """Return patterns of signs (patterns, k), the observed one first, and whether they are all there are.

    A pattern and its mirror image give the same two-sided statistic, so the first study keeps its sign: 2^(k - 1)
    patterns where `tries_all`, else `draws` random ones after the observed.
    """
    if tries_all(k, draws):
        patterns = np.array(list(product((1.0, -1.0), repeat=k - 1)), dtype=np.float64).reshape(2 ** (k - 1), k - 1)
        return np.hstack((np.ones((patterns.shape[0], 1)), patterns)), True
    random = np.random.default_rng(seed).integers(0, 2, (draws, k)).astype(np.float64) * 2.0 - 1.0
    return np.vstack((np.ones((1, k)), random)), False


def tries_all(k: int, draws: int) -> bool:
    """Tell whether all patterns of signs of k studies are tried: up to 12 studies, and where they are fewer than draws.

    >>> tries_all(12, 999), tries_all(13, 4999), tries_all(14, 4999)
    (True, True, False)
    """
    return k <= EXACT_FLIPS or 2 ** (k - 1) <= draws


def permutation_p(y: Floats, v: Floats, shifts: Floats, request: IntervalRequest) -> Floats:
    """Return two-sided p values of mean = shift for each of `shifts`, (shifts,), by sign flips of y - shift.

    p = share of the patterns whose |mean / se|, with tau2 estimated anew, is at least the observed one.

    y, v: (k,). Source: Follmann & Proschan 1999. Same as `metafor::permutest(exact=TRUE)` of y - shift.
    """
    signs = sign_patterns(y.size, request.draws, request.seed)[0]
    flipped = (signs * (y - shifts[:, None, None])).reshape(-1, y.size)
    at_least = _at_least(flipped, v, request, shifts.size)
    return at_least.mean(axis=1)


def _at_least(flipped: Floats, v: Floats, request: IntervalRequest, shifts: int) -> Bools:
    """Tell which statistics are at least that of the first pattern of their shift, (shifts, patterns)."""
    point, se = _means(flipped, np.broadcast_to(v, flipped.shape), np.ones(flipped.shape, dtype=bool), request)
    statistic = np.abs(point / se).reshape(shifts, -1)
    return statistic >= statistic[:, :1] * (1 - SAME)


def _permutation_limit(y: Floats, v: Floats, ends: tuple[float, float], request: IntervalRequest) -> float:
    """Return the shift beyond the centre `ends[0]`, on the side of `ends[1]`, from which p is at most 1 - level.

    Infinite where p never is. Patterns that are on one side of the observed statistic at both ends of the bracket are
    not fitted again within it; the end that is left is checked with all patterns, and where the check fails all are
    fitted in every halving.
    """
    signs = sign_patterns(y.size, request.draws, request.seed)[0]
    goal = (1 - request.level) * (1 + SAME) * signs.shape[0]
    low, high = ends
    if signs.shape[0] * (1 - request.level) < 1:  # the observed pattern alone
        return float(np.copysign(np.inf, high - low))

    def counted(shift: float, of: Bools) -> Bools:
        return _at_least(signs[of] * (y - shift), v, request, 1)[0]

    everything = np.ones(signs.shape[0], dtype=bool)
    at_low, at_high = everything, counted(high, everything)  # at the centre the observed statistic is 0
    for _ in range(DOUBLINGS):
        if at_high.sum() <= goal:
            break
        low, high, at_low = high, high + 2 * (high - ends[0]), at_high
        at_high = counted(high, everything)
    for shortcut in (True, False):
        inner, outer, at_inner, at_outer = low, high, at_low, at_high
        for step in range(HALVINGS):
            request.tell(step if shortcut else HALVINGS + step, LIMIT)
            middle = (inner + outer) / 2
            of = (at_inner != at_outer) | ~np.full(signs.shape[0], shortcut)
            of[0] = True  # the observed pattern, which the others are compared with
            at_middle = at_inner.copy()
            at_middle[of] = counted(middle, of)
            inside = at_middle.sum() > goal
            inner, outer = (middle, outer) if inside else (inner, middle)
            at_inner, at_outer = (at_middle, at_outer) if inside else (at_inner, at_middle)
        if not shortcut or bool((counted(inner, everything) == at_inner).all()):
            break
    return (inner + outer) / 2


@whole_mean_rule(
    "perm",
    title="permutation",
    short="permutation",
    text="were permutation intervals: shifts of the effects that a two-sided test by sign flips, with τ² estimated "
    "anew for every pattern of signs, does not reject",
    cite="follmann1999",
    test="permutation",
    seeded=True,
)
def permutation(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return the permutation test of no effect and the interval of shifts that it does not reject.

    All patterns of signs are tried for k up to 12 and where they are no more than `request.draws`, else that many
    random ones; see `permutation_p`. The cost is that of some ten fits of every pattern: for REML and
    13 studies half a second to a second.

    Edges: the smallest possible p value is 2^(1 - k), so that a 95% interval is infinite below 6 studies. Source:
    Follmann & Proschan 1999. The p value is that of `metafor::permutest(exact=TRUE)`.
    """
    base = wald_limits(problems, tau2, request.level)
    lower, upper, p = base.lower.copy(), base.upper.copy(), base.p.copy()
    whole = 2 * LIMIT * problems.n
    for i in range(problems.n):
        y, v = _studies(problems, i)
        origin = float(problems.origin[i])
        centre, low, high = (float(ends[i]) - origin for ends in (base.point, base.lower, base.upper))
        for side, (limits, end) in enumerate(((lower, low), (upper, high))):
            begun = LIMIT * (2 * i + side)
            told = replace(request, tell=within(request.tell, begun, begun + LIMIT, whole))
            limits[i] = origin + _permutation_limit(y, v, (centre, centre + FIRST * (end - centre)), told)
        p[i] = permutation_p(y, v, -problems.origin[i : i + 1], request)[0]
        request.tell(2 * LIMIT * (i + 1), whole)
    return Limits(base.point, base.se, base.df, lower, upper, base.statistic, p, tau2)


# ---------------------------------------------------------------- bootstrap


def _resampled(y: Floats, v: Floats, tau2: float, request: IntervalRequest) -> Floats:
    """Return means of samples of studies with replacement, (draws,), tau2 estimated for each."""
    picked = np.random.default_rng(request.seed).integers(0, y.size, (request.draws, y.size))
    return _means(y[picked], v[picked], np.ones(picked.shape, dtype=bool), request, request.tell)[0]


def _mean_at(y: Floats, v: Floats, tau2: float) -> float:
    """Return the mean at a given tau2, on the origin of y."""
    at = prepare(y[None], v[None], np.ones((1, y.size), dtype=bool))
    return float(coefficients(at, np.array([tau2])).beta[0, 0])


def _simulated(y: Floats, v: Floats, tau2: float, request: IntervalRequest) -> Floats:
    """Return means of effects drawn from the fitted model, (draws,), tau2 estimated for each."""
    mean = _mean_at(y, v, tau2)
    noise: Floats = np.random.default_rng(request.seed).standard_normal((request.draws, y.size))
    spread: Floats = np.sqrt(v + tau2)
    drawn: Floats = np.asarray(mean + noise * spread, dtype=np.float64)
    return _means(drawn, np.broadcast_to(v, drawn.shape), np.ones(drawn.shape, dtype=bool), request, request.tell)[0]


def _order_statistic(values: Floats, p: Floats) -> Floats:
    """Return quantiles at p (B + 1), interpolated between order statistics."""
    return np.quantile(values, p, method="weibull")


def _tails(level: float) -> Floats:
    return np.array([(1 - level) / 2, (1 + level) / 2])


@dataclass(frozen=True, slots=True)
class Ends:
    """A bootstrap interval (2,) and the p value of zero: 1 - level of the interval that ends at zero."""

    limits: Floats
    p: float


def _least_level(below: float, above: float, size: int) -> float:
    """Return twice the smaller tail share, each counted with one more, so that p is at least 2 / (B + 1)."""
    return min(1.0, 2 * (min(below, above) + 1) / (size + 1))


def percentile_ends(means: Floats, point: float, zero: float, jackknife: Floats, level: float) -> Ends:
    """Return the quantiles of the resampled means. Source: Efron 1979; Davison & Hinkley 1997.

    p = 2 (1 + min(number of means <= 0, number >= 0)) / (B + 1): the interval leaves out 0 where p <= 1 - level.
    """
    p = _least_level(float(np.sum(means <= zero)), float(np.sum(means >= zero)), means.size)
    return Ends(_order_statistic(means, _tails(level)), p)


def basic_ends(means: Floats, point: float, zero: float, jackknife: Floats, level: float) -> Ends:
    """Return twice the point less the quantiles, mirrored; p likewise. Source: Davison & Hinkley 1997."""
    return percentile_ends(2 * point - means, point, zero, jackknife, level)


def _share_below(means: Floats, at: float) -> float:
    """Return the share of means below a point; ties, which few studies have many of, count half."""
    room = TIE * float(np.ptp(means))
    return float(np.sum(means < at - room) + np.sum(np.abs(means - at) <= room) / 2) / means.size


def bca_ends(means: Floats, point: float, zero: float, jackknife: Floats, level: float) -> Ends:
    """Return the bias-corrected and accelerated quantiles.

    p -> Phi(z0 + (z0 + z_p) / (1 - a (z0 + z_p))), z0 from the share of means below the point (ties count half), a from
    the skewness of the leave-one-out means. The p value is the one whose quantile is 0, and at least 2 / (B + 1).
    Source: Efron 1987.
    """
    size = means.size
    share = _share_below(means, point)
    z0 = ndtri(np.clip(share, 1 / (size + 1), size / (size + 1)))
    d = jackknife.mean() - jackknife
    scale = np.sum(d * d) ** 1.5
    a = np.sum(d**3) / (6 * scale) if scale > 0 else 0.0
    z = z0 + ndtri(_tails(level))
    below = _share_below(means, zero)
    w = ndtri(np.clip(below, 1 / (size + 1), size / (size + 1))) - z0
    p = 2 * float(ndtr(-np.abs(w / (1 + a * w) - z0)))
    return Ends(_order_statistic(means, ndtr(z0 + z / (1 - a * z))), max(p, 2 / (size + 1)))


def _leave_one_out(y: Floats, v: Floats, request: IntervalRequest) -> Floats:
    """Return the means without each study in turn, (k,)."""
    k = y.size
    shape = (k, k)
    return _means(np.broadcast_to(y, shape), np.broadcast_to(v, shape), ~np.eye(k, dtype=bool), request)[0]


Sampler = Callable[[Floats, Floats, float, IntervalRequest], Floats]
Rule = Callable[[Floats, float, float, Floats, float], Ends]


def _bootstrap(problems: Problems, tau2: Floats, request: IntervalRequest, sampler: Sampler, ends: Rule) -> Limits:
    """Return the bootstrap interval of each problem; its own tau2 and mean stay, p is that of the interval."""
    base = wald_limits(problems, tau2, request.level)
    lower, upper, se, p = base.lower.copy(), base.upper.copy(), base.se.copy(), base.p.copy()
    nothing = np.full(problems.n, np.nan)
    for i in range(problems.n):
        y, v = _studies(problems, i)
        told = within(request.tell, i * request.draws, (i + 1) * request.draws, problems.n * request.draws)
        means = sampler(y, v, float(tau2[i]), replace(request, tell=told))
        origin = float(problems.origin[i])
        jackknife = _leave_one_out(y, v, request) if ends is bca_ends else means
        found = ends(means, _mean_at(y, v, float(tau2[i])), -origin, jackknife, request.level)
        lower[i], upper[i] = origin + found.limits
        se[i], p[i] = means.std(ddof=1), found.p
    return Limits(base.point, se, nothing, lower, upper, nothing, p, tau2)


@whole_mean_rule(
    "boot-percentile",
    title="bootstrap of studies, percentile",
    short="bootstrap, percentile",
    text="were percentiles of the means of studies drawn with replacement, with τ² estimated for each sample",
    cite="efron1979 davison1997",
    test="bootstrap",
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
    test="bootstrap",
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
    test="bootstrap",
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
    test="bootstrap",
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
    test="bootstrap",
    seeded=True,
)
def parametric_basic(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return the percentiles of effects drawn from N(mean, v + tau2), mirrored at the mean.

    Source: Davison & Hinkley 1997.
    """
    return _bootstrap(problems, tau2, request, _simulated, basic_ends)
