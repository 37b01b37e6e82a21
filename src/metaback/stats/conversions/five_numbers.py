"""Mean and standard deviation from smallest value, quartiles, median and largest value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import betaincinv, gammaincinv, gammaln, ndtri

from metaback.stats.conversions.family import Floats, conversion, keep, sample
from metaback.stats.conversions.spread import normal_width

LEAST_N = 5  # the weights were derived for n = 4Q + 1 with Q >= 1
GRID: Floats = np.linspace(-4.0, 4.0, 81)  # log shapes tried, from a first guess
FAMILIES = ("normal", "log-normal", "gamma", "Weibull", "beta")
STEPS = 16  # of false position in a grid step: the last digit is reached after about 8
STEP = 0.01  # of log shape in a sixth-order difference: truncation and rounding are both near 1e-14


@dataclass(frozen=True, slots=True)
class MeanSd:
    """Mean and SD, and the scenario that they were estimated from: 1 range, 2 quartiles, 3 both, 0 none; (k,)."""

    mean: Floats
    sd: Floats
    scenario: NDArray[np.int_]


@dataclass(frozen=True, slots=True)
class QuantileFit:
    """Mean and SD of the family whose quantiles are nearest, its name, and the sum of squared distances; (k,)."""

    mean: Floats
    sd: Floats
    family: NDArray[np.str_]
    loss: Floats


@dataclass(frozen=True, slots=True)
class Skewness:
    """Statistic and critical value (level 0.05) of the skewness test, and whether it is exceeded; (k,)."""

    statistic: Floats
    critical: Floats
    skewed: NDArray[np.bool_]


def _in_order(*values: Floats) -> NDArray[np.bool_]:
    """Tell where those values of an ordered list that are there are in order and finite."""
    good = np.ones(np.broadcast(*values).shape, dtype=bool)
    highest = np.full(good.shape, -np.inf)
    for value in values:
        good = good & ~((value < highest) | np.isinf(value))
        highest = np.where(np.isnan(value), highest, value)
    return good


def scenario_of(  # the roles are called min and max
    min: Floats,  # noqa: A002
    q1: Floats,
    median: Floats,
    q3: Floats,
    max: Floats,  # noqa: A002
) -> NDArray[np.int_]:
    """Return what a row has: 3 all five numbers, 2 median and quartiles, 1 median and range, 0 less than that.

    All (k,), nan where missing; 0 also for numbers that are not in order, used or not.

    >>> row = [np.array([x, y]) for x, y in ((2.0, np.nan), (4.0, 4.0), (6.0, 6.0), (10.0, 10.0), (14.0, 5.0))]
    >>> scenario_of(*row)
    array([3, 0])
    """
    spread, box, middle = ~np.isnan(min + max), ~np.isnan(q1 + q3), ~np.isnan(median)
    kind = np.where(spread & box, 3, np.where(box, 2, np.where(spread, 1, 0)))
    return np.where(middle & _in_order(min, q1, median, q3, max), kind, 0)


# ---------------------------------------------------------------- normal data


@conversion(
    "mean-luo",
    title="Mean from five numbers (Luo)",
    text="the optimally weighted mid-range, mid-quartile range and median",
    gives="mean",
    cite="luo2018",
)
def mean_luo(
    min: Floats,  # noqa: A002 - the roles are called so
    q1: Floats,
    median: Floats,
    q3: Floats,
    max: Floats,  # noqa: A002
    n: Floats,
) -> Floats:
    """Return the mean of one group from up to five numbers, with the optimal weights for normal data.

    Range: w (min + max)/2 + (1 - w) median, w = 4 / (4 + n^0.75). Quartiles: w (q1 + q3)/2 + (1 - w) median,
    w = 0.7 + 0.39/n. All five: w_1 (min + max)/2 + w_2 (q1 + q3)/2 + (1 - w_1 - w_2) median with
    w_1 = 2.2 / (2.2 + n^0.75) and w_2 = 0.7 - 0.72 / n^0.55.

    All (k,), nan where missing: each row takes the fullest of the three that it has. nan where there is none, for
    numbers out of order, and for n < 5. Source: Luo et al. 2018, equations 7, 11 and 15.

    >>> mean_luo(*(np.array([x]) for x in (np.nan, 4.0, 6.0, 10.0, np.nan, 20.0))).round(4)
    array([6.7195])
    """
    kind = scenario_of(min, q1, median, q3, max)
    with np.errstate(all="ignore"):
        power = n**0.75
        outer = ((min - median) + (max - median)) / 2
        inner = ((q1 - median) + (q3 - median)) / 2
        one = 4 / (4 + power) * outer
        two = (0.7 + 0.39 / n) * inner
        three = 2.2 / (2.2 + power) * outer + (0.7 - 0.72 / n**0.55) * inner
        away = np.select([kind == 1, kind == 2, kind == 3], [one, two, three], np.nan)
        return keep(median + away, kind > 0, sample(n, LEAST_N))


@conversion(
    "sd-wan-shi",
    title="SD from five numbers (Wan, Shi)",
    text="range and interquartile range over the numbers of SDs that they span in normal data, weighted",
    gives="sd",
    cite="wan2014 shi2020",
)
def sd_wan_shi(min: Floats, q1: Floats, q3: Floats, max: Floats, n: Floats) -> Floats:  # noqa: A002 - role names
    """Return the SD of one group from range, quartiles or both, for normal data; the median is not needed.

    Range: (max - min) / xi; quartiles: (q3 - q1) / eta; both: w (max - min)/xi + (1 - w) (q3 - q1)/eta with
    w = 1 / (1 + 0.07 n^0.6); xi and eta as in `normal_width`.

    All (k,), nan where missing; nan where there is neither, for numbers out of order, and for n < 5. Source: Wan et al.
    2014, equations 9 and 16; Shi et al. 2020, equation 10.

    >>> sd_wan_shi(*(np.array([x]) for x in (2.0, 4.0, 10.0, 14.0, 20.0))).round(4)
    array([3.6794])
    """
    good = _in_order(min, q1, q3, max) & sample(n, LEAST_N)
    with np.errstate(all="ignore"):
        whole = (max - min) / normal_width(n, quartiles=False)
        box = (q3 - q1) / normal_width(n, quartiles=True)
        share = 0.07 * n**0.6
        both = (whole + share * box) / (1 + share)
        sd = np.where(np.isnan(box), whole, np.where(np.isnan(whole), box, both))
        return keep(sd, good)


@conversion(
    "mean-sd-luo-wan-shi",
    title="Mean and SD from five numbers (Luo, Wan, Shi)",
    text="the estimators of Luo and others for the mean and of Wan and others and Shi and others for the SD",
    gives="mean sd",
    cite="luo2018 wan2014 shi2020",
)
def luo_wan_shi(
    min: Floats,  # noqa: A002
    q1: Floats,
    median: Floats,
    q3: Floats,
    max: Floats,  # noqa: A002
    n: Floats,
) -> MeanSd:
    """Return mean and SD of one group from up to five numbers, by the best estimators for normal data.

    The mean of `mean_luo` and the SD of `sd_wan_shi`, from the same scenario; ask `skewness_test` first.

    All (k,), nan where missing; edges as there. Source: Luo et al. 2018; Wan et al. 2014; Shi et al. 2020. Counterpart:
    `metafor::conv.fivenum(method="luo/wan/shi", test=FALSE)`.

    >>> out = luo_wan_shi(*(np.array([x]) for x in (2.0, np.nan, 6.0, np.nan, 14.0, 20.0)))
    >>> out.mean.round(4), out.sd.round(4), out.scenario
    (array([6.5945]), array([3.2116]), array([1]))
    """
    kind = scenario_of(min, q1, median, q3, max)
    lost = np.full(kind.shape, np.nan)
    ends, box = kind % 2 == 1, kind >= 2
    low, high = np.where(ends, min, lost), np.where(ends, max, lost)
    sd = sd_wan_shi(low, np.where(box, q1, lost), np.where(box, q3, lost), high, n)
    mean = mean_luo(min, q1, median, q3, max, n)
    both = np.isfinite(mean) & np.isfinite(sd)
    return MeanSd(keep(mean, both), keep(sd, both), np.where(both, kind, 0))


@conversion(
    "skewness-test",
    title="Skewness test of five numbers",
    text="tested for skewness by the distances of the numbers from the median",
    gives="statistic critical",
    cite="shi2023",
)
def skewness_test(
    min: Floats,  # noqa: A002
    q1: Floats,
    median: Floats,
    q3: Floats,
    max: Floats,  # noqa: A002
    n: Floats,
) -> Skewness:
    """Test at level 0.05 whether up to five numbers can come from a symmetric (normal) distribution.

    a = |min + max - 2 median| / (max - min), b = |q1 + q3 - 2 median| / (q3 - q1). Range: a against
    1 / log(n + 9) + 2.5 / (n + 1). Quartiles: b against 2.65 / sqrt(n) - 6 / n^2. All five:
    max(2.65 log(0.6 n) / sqrt(n) a, b) against 3 / sqrt(n) - 40 / n^3.

    All (k,), nan where missing: each row takes the fullest of the three that it has. nan and not skewed where there
    is none, for numbers out of order, a range or interquartile range of 0, and n < 5. A test that is not significant
    does not show that the data are normal. Source: Shi et al. 2023; their preprint of 2020 has 1.01 and 2.43, 2.66 and
    5.92, 2.97 and 39.1. Counterpart: `metafor::conv.fivenum(test=TRUE)`.

    >>> out = skewness_test(*(np.array([x]) for x in (2.0, 4.0, 6.0, 14.0, 20.0, 20.0)))
    >>> out.statistic.round(3), out.critical.round(3), out.skewed
    (array([0.818]), array([0.666]), array([ True]))
    """
    kind = scenario_of(min, q1, median, q3, max)
    with np.errstate(all="ignore"):
        root = np.sqrt(n)
        a = np.abs((max - median) - (median - min)) / (max - min)
        b = np.abs((q3 - median) - (median - q1)) / (q3 - q1)
        both = np.maximum(2.65 * np.log(0.6 * n) / root * a, b)
        one = 1 / np.log(n + 9) + 2.5 / (n + 1)
        two, three = 2.65 / root - 6 / n**2, 3 / root - 40 / n**3
        kinds = [kind == 1, kind == 2, kind == 3]
        statistic = np.select(kinds, [a, b, both], np.nan)
        critical = np.select(kinds, [one, two, three], np.nan)
        good = (kind > 0) & sample(n, LEAST_N) & np.isfinite(statistic)
        return Skewness(keep(statistic, good), keep(critical, good), good & (statistic > critical))


# ---------------------------------------------------------------- quantile estimation


def _lognormal_shape(p: Floats, log_u: Floats) -> tuple[Floats, Floats]:
    """Return the quantiles of a log-normal with median 1 and log SD u, and their slopes in log u."""
    z = ndtri(p)
    step = np.exp(log_u)[:, None] * z
    h = np.exp(step)
    return h, h * step


def _weibull_shape(p: Floats, log_u: Floats) -> tuple[Floats, Floats]:
    """Return the quantiles of a Weibull with scale 1 and shape 1/u, and their slopes in log u."""
    step = np.exp(log_u)[:, None] * np.log(-np.log1p(-p))
    h = np.exp(step)
    return h, h * step


def _gamma_quantile(p: Floats, log_u: Floats) -> Floats:
    """Return the quantiles of a gamma with mean 1 and coefficient of variation u."""
    shape = np.exp(-2 * log_u)[:, None]
    return gammaincinv(shape, p) / shape


def _gamma_shape(p: Floats, log_u: Floats) -> tuple[Floats, Floats]:
    """Return the quantiles of a gamma with mean 1 and coefficient of variation u, and their slopes in log u."""
    parts = [
        weight * (_gamma_quantile(p, log_u + i * STEP) - _gamma_quantile(p, log_u - i * STEP))
        for i, weight in ((1, 45.0), (2, -9.0), (3, 1.0))
    ]
    return _gamma_quantile(p, log_u), (parts[0] + parts[1] + parts[2]) / (60 * STEP)


def _lognormal_moments(scale: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Return mean and SD from the median and the log SD."""
    mean = scale * np.exp(u * u / 2)
    return mean, mean * np.sqrt(np.expm1(u * u))


def _weibull_moments(scale: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Return mean and SD from the scale and 1/shape; the variance without the difference of both moments."""
    first, second = gammaln(1 + u), gammaln(1 + 2 * u)
    mean = scale * np.exp(first)
    return mean, mean * np.sqrt(np.expm1(second - 2 * first))


def _gamma_moments(scale: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Return mean and SD from the mean and the coefficient of variation."""
    return scale, scale * u


_least_squares = cast("Callable[..., Any]", optimize.least_squares)  # scipy brings no types for it

Shape = Callable[[Floats, Floats], tuple[Floats, Floats]]
SCALE_FAMILIES: Mapping[str, tuple[Shape, Shape]] = {
    "log-normal": (_lognormal_shape, _lognormal_moments),
    "gamma": (_gamma_shape, _gamma_moments),
    "Weibull": (_weibull_shape, _weibull_moments),
}


def _profile(q: Floats, h: Floats, there: Floats) -> tuple[Floats, Floats]:
    """Return the best scale for quantiles h and what it leaves, q - s h."""
    scale = (there * q * h).sum(-1) / (there * h * h).sum(-1)
    return scale, there * (q - scale[:, None] * h)


def _fit_scale_family(
    q: Floats, p: Floats, there: Floats, guess: Floats, shape: Shape
) -> tuple[Floats, Floats, Floats]:
    """Return scale, u and loss of the family nearest to the quantiles: a grid, then the root of the slope in it.

    The scale is profiled out. By the envelope theorem the slope of the loss is -2 s sum (q - s h) dh/dlog u.
    """
    best, at = np.full(guess.shape, np.inf), guess + 0.0
    for away in GRID.tolist():
        trial = guess + away
        _, rest = _profile(q, shape(p, trial)[0], there)
        loss = (rest * rest).sum(-1)
        better = loss < best
        best, at = np.where(better, loss, best), np.where(better, trial, at)
    width = float(GRID[1] - GRID[0])
    inside = np.abs(at - guess) < float(GRID[-1]) - width / 2
    middle = _root(lambda log_u: _slope(q, p, there, log_u, shape), at - width, at + width)
    scale, rest = _profile(q, shape(p, middle)[0], there)
    return scale, np.exp(middle), np.where(inside & (scale > 0), (rest * rest).sum(-1), np.inf)


def _slope(q: Floats, p: Floats, there: Floats, log_u: Floats, shape: Shape) -> Floats:
    """Return how fast the loss falls with log u, but for a factor of 2."""
    h, slope = shape(p, log_u)
    scale, rest = _profile(q, h, there)
    return scale * (rest * slope).sum(-1)


def _root(f: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Return where f falls through 0 between low and high: false position that halves a stuck end (Illinois)."""
    f_low, f_high, x = f(low), f(high), (low + high) / 2
    before = np.zeros(x.shape)
    for _ in range(STEPS):
        x = (low * f_high - high * f_low) / (f_high - f_low)
        x = np.where((x >= low) & (x <= high), x, (low + high) / 2)
        f_x = f(x)
        left = f_x > 0
        low, high = np.where(left, x, low), np.where(left, high, x)
        stuck = np.where(np.where(left, 1.0, -1.0) == before, 0.5, 1.0)
        f_low, f_high = np.where(left, f_x, f_low * stuck), np.where(left, f_high * stuck, f_x)
        before = np.where(left, 1.0, -1.0)
    return x


def _fit_normal(q: Floats, p: Floats, there: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, SD and loss of the nearest normal distribution: a straight line through (z, q)."""
    z = ndtri(p)
    count = there.sum(-1)
    z_bar = (there * z).sum(-1) / count
    first = np.where(there > 0, q, np.inf).min(-1)
    away = there * (q - first[:, None])
    q_bar = away.sum(-1) / count
    centred = there * (z - z_bar[:, None])
    sd = (centred * away).sum(-1) / (centred * centred).sum(-1)
    rest = there * (away - q_bar[:, None] - sd[:, None] * centred)
    return first + q_bar - sd * z_bar, sd, (rest * rest).sum(-1)


def _fit_beta(q: Floats, p: Floats) -> tuple[float, float, float]:
    """Return mean, SD and loss of the nearest beta distribution for the numbers of one row, all inside (0, 1)."""

    def miss(logs: Floats) -> Floats:
        a, b = np.exp(np.clip(logs, -12, 25))
        return betaincinv(a, b, p) - q

    centre = float(q.mean())
    spread = float(q.std()) / float(np.std(ndtri(p)))
    total = np.maximum(centre * (1 - centre) / spread**2 - 1, 0.05)
    best, cost = np.zeros(2), np.inf
    for times in (1.0, 0.2, 5.0):
        start = np.log([centre * total * times, (1 - centre) * total * times])
        fit = _least_squares(miss, start, "3-point", xtol=3e-16, ftol=3e-16, gtol=3e-16)
        if fit.cost < cost:
            best, cost = fit.x, fit.cost
    a, b = np.exp(best)
    return float(a / (a + b)), float(np.sqrt(a * b / (a + b + 1)) / (a + b)), 2 * cost


def _fit_beta_rows(q: Floats, p: Floats, there: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, SD and loss of the nearest beta distribution for the rows whose numbers all lie inside (0, 1)."""
    held = there > 0
    inside = (np.where(held, q, 0.5) > 0).all(-1) & (np.where(held, q, 0.5) < 1).all(-1)
    mean, sd, loss = np.zeros(inside.shape), np.zeros(inside.shape), np.full(inside.shape, np.inf)
    for row in np.flatnonzero(inside):
        mean[row], sd[row], loss[row] = _fit_beta(q[row, held[row]], p[row, held[row]])
    return mean, sd, loss


def _nearest(q: Floats, p: Floats, there: Floats) -> tuple[Floats, Floats, NDArray[np.int_], Floats]:
    """Return mean, SD, place in FAMILIES and loss of the nearest family, for rows whose numbers are not all equal."""
    held = there > 0
    top, bottom = np.where(held, q, -np.inf).max(-1), np.where(held, q, np.inf).min(-1)
    unit = 2.0 ** np.rint(np.log2(top - bottom))  # a power of 2: squares cannot overflow, and no digit is lost
    q = q / unit[:, None]
    fits = [_fit_normal(q, p, there)]
    positive = bottom >= 0
    safe = there * np.where(positive[:, None], q, 1.0 + p)
    high = np.where(positive, top / unit, 2.0)
    ratio = high / np.where(positive, np.maximum(bottom / unit, 1e-3 * high), 1.0)
    z = ndtri(p)
    guess = np.log(np.log(ratio) / (z.max(-1) - z.min(-1)))
    for shape, moments in SCALE_FAMILIES.values():
        scale, u, loss = _fit_scale_family(safe, p, there, guess, shape)
        mean, sd = moments(scale, u)
        fits.append((mean, sd, np.where(positive & np.isfinite(sd), loss, np.inf)))
    mean, sd, loss = _fit_beta_rows(q * unit[:, None], p, there)
    fits.append((mean / unit, sd / unit, loss / unit**2))
    means, sds, losses = (np.stack(part) for part in zip(*fits, strict=True))
    losses = np.where(np.isfinite(losses), losses, np.inf)
    chosen = losses.argmin(0)
    mean, sd, loss = (np.take_along_axis(part, chosen[None], 0)[0] for part in (means, sds, losses))
    return mean * unit, sd * unit, chosen, loss * unit * unit


@conversion(
    "mean-sd-qe",
    title="Mean and SD from five numbers (quantile estimation)",
    text="the mean and SD of the distribution whose quantiles are nearest",
    gives="mean sd",
    cite="mcgrath2020",
)
def quantile_estimation(
    min: Floats,  # noqa: A002
    q1: Floats,
    median: Floats,
    q3: Floats,
    max: Floats,  # noqa: A002
    n: Floats,
) -> QuantileFit:
    """Return mean and SD of one group by quantile estimation (QE), also for skewed data.

    Of normal, log-normal, gamma, Weibull and (for numbers inside (0, 1)) beta, the distribution and its parameters that
    minimise sum (F^-1(p_i) - q_i)^2, with p = 1/n and 1 - 1/n for the ends and 1/4, 1/2, 3/4 for the middle.

    All (k,), nan where missing: each row takes the fullest scenario that it has. nan where there is none, for numbers
    out of order or all equal, and n < 5. With a negative number only the normal distribution can be. The parameters
    have no bounds, so that a change of scale changes nothing (but for beta). Source: McGrath et al. 2020. Same
    objective as `estmeansd::qe.mean.sd`, whose optimiser stops earlier and within boxes.

    >>> out = quantile_estimation(*(np.array([x]) for x in (2.0, np.nan, 4.0, np.nan, 9.0, 100.0)))
    >>> out.mean.round(3), out.sd.round(3), str(out.family[0])
    (array([4.347]), array([1.502]), 'log-normal')
    """
    *values, n = np.broadcast_arrays(min, q1, median, q3, max, n)
    kind = scenario_of(*values)
    q = np.stack([np.asarray(v, dtype=np.float64) for v in values], axis=-1)
    ends, box = (kind % 2 == 1)[..., None], (kind >= 2)[..., None]
    there = np.concatenate([ends, box, ends | box, box, ends], axis=-1)
    top, bottom = np.where(there, q, -np.inf).max(-1), np.where(there, q, np.inf).min(-1)
    rows = np.flatnonzero((kind > 0) & sample(n, LEAST_N) & (top > bottom))
    mean, sd, loss = (np.full(kind.shape, np.nan) for _ in range(3))
    family = np.full(kind.shape, "", dtype="U10")
    if rows.size:
        held = there[rows]
        share = 1 / n[rows]
        quarter = np.full(share.shape, 0.25)
        p = np.stack([share, quarter, 2 * quarter, 3 * quarter, 1 - share], axis=-1)
        with np.errstate(all="ignore"):
            found = _nearest(np.where(held, q[rows], 0.0), np.where(held, p, 0.5), held.astype(np.float64))
        mean[rows], sd[rows], family[rows], loss[rows] = found[0], found[1], np.array(FAMILIES)[found[2]], found[3]
    return QuantileFit(mean, sd, family, loss)
