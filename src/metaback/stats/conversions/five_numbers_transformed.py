"""Mean and SD of skewed data from five numbers, by way of a scale on which the data are normal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.stats.conversions.family import Floats, conversion, keep, sample
from metaback.stats.conversions.five_numbers import LEAST_N, MeanSd, luo_wan_shi, mean_luo, scenario_of
from metaback.stats.conversions.spread import normal_width

HALVINGS = 70  # of a bracket: the last digit is reached after about 55
SERIES_TERMS = 22  # of the slope of (exp(x) - 1)/x for |x| <= 1: the rest is below 1e-17
BLOCK = 1024  # rows that are integrated at once
TAIL = 9.0  # standard deviations beyond the peak of the integrand: what is left out is below 1e-18 of it
GONE = 1e-8  # share of the peak to which an integrand must fall before it may be cut off
NODES: Floats = np.linspace(-3.4, 3.4, 1201)  # of the double exponential rule: both tails and both ends are exact


@dataclass(frozen=True, slots=True)
class BoxCox:
    """Mean and SD of the fitted distribution, the power lambda of the transformation, and the scenario; (k,)."""

    mean: Floats
    sd: Floats
    power: Floats
    scenario: NDArray[np.int_]


def _phi(x: Floats) -> Floats:
    """Return (exp(x) - 1)/x, 1 at 0."""
    return np.where(x == 0, 1.0, np.expm1(x) / np.where(x == 0, 1.0, x))


def _phi_slope(x: Floats) -> Floats:
    """Return the slope of (exp(x) - 1)/x: a series near 0, where the difference would lose its digits."""
    near = np.clip(x, -1, 1)
    term, total = np.full(x.shape, 0.5), np.zeros(x.shape)
    for k in range(SERIES_TERMS):
        total = total + term
        term = term * near * (k + 2) / ((k + 1) * (k + 3))
    far = np.where(np.abs(x) > 1, x, 1.0)
    return np.where(np.abs(x) > 1, (far * np.exp(far) - np.expm1(far)) / far**2, total)


def _bisect(f: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Return where f rises through 0 between low and high."""
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        below = f(middle) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low + (high - low) / 2


def _asymmetry(power: Floats, down: Floats, up: Floats) -> Floats:
    """Return how much further the upper number is from the median than the lower one after the transformation.

    down, up: log(median/low), log(high/median), (k,), at least 0. Rises with the power.
    """
    return up * _phi(power * up) - down * _phi(-power * down)


def _balance(down: Floats, up: Floats) -> Floats:
    """Return the power that makes two numbers symmetric about the median; nan where one of them is the median.

    The root lies between -log(2)/down and log(2)/up, where one of the distances is bounded.
    """
    good = (down > 0) & (up > 0)
    one, two = np.where(good, down, 1.0), np.where(good, up, 1.0)
    low, high = -np.log(2) / one, np.log(2) / two
    return np.where(good, _bisect(lambda power: _asymmetry(power, one, two), low, high), np.nan)


def _power(logs: Floats, kind: NDArray[np.int_]) -> Floats:
    """Return the power of each row from the logs of its five numbers over the median, (5, k)."""
    ends, box = _balance(-logs[0], logs[4]), _balance(-logs[1], logs[3])

    def slope(power: Floats) -> Floats:
        total = np.zeros(power.shape)
        for low, high in ((0, 4), (1, 3)):
            down, up = -logs[low], logs[high]
            rise = up**2 * _phi_slope(power * up) + down**2 * _phi_slope(-power * down)
            total = total + _asymmetry(power, down, up) * rise
        return total

    both = _bisect(slope, np.minimum(ends, box), np.maximum(ends, box))
    return np.select([kind == 1, kind == 2, kind == 3], [ends, box, both], np.nan)


def _reach(power: Floats, spread: Floats) -> Floats:
    """Return how many SDs to both sides of the middle the normal variable is followed, nan where moments do not exist.

    A power above 0 ends the scale 1/(power spread) below the middle, and the same is cut off above. Below 0 the values
    become infinite at as many SDs above: the second moment is followed until its integrand is smallest between its peak
    and there, which is far out wherever the fit means anything.
    """
    edge = 1 / np.where(power == 0, np.nan, np.abs(power) * spread)
    inside = 1 - 8 * np.abs(power) * spread**2
    root = np.sqrt(np.where(inside > 0, inside, np.nan))
    peak, valley = 4 * spread / (1 + root), edge * (1 + root) / 2

    def height(at: Floats) -> Floats:
        return -(at**2) / 2 + 2 / np.where(power < 0, power, -1.0) * np.log1p(-at / np.where(power < 0, edge, np.inf))

    falls = height(valley) - height(peak) < np.log(GONE)
    below = np.where(falls, np.minimum(valley, peak + TAIL), np.nan)
    above = np.minimum(np.where(power > 0, edge, np.inf), 2 * spread + TAIL)
    return np.where(power < 0, below, above)


def _moments(power: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Return mean and SD of (1 + power spread u)^(1/power) for a normal u cut off on both sides at `_reach`, (k,)."""
    reach = _reach(power, spread)[:, None]
    curve = np.pi / 2 * np.sinh(NODES)
    u = reach * np.tanh(curve)
    weight = np.cosh(NODES) / np.cosh(curve) ** 2 * np.exp(-(u**2) / 2)
    weight = weight / weight.sum(axis=-1, keepdims=True)
    step = power[:, None] * spread[:, None] * u
    ratio = np.where(step == 0, 1.0, np.log1p(step) / np.where(step == 0, 1.0, step))
    value = np.where(step <= -1, 0.0, np.exp(spread[:, None] * u * ratio))
    mean = (weight * value).sum(axis=-1)
    return mean, np.sqrt((weight * (value - mean[:, None]) ** 2).sum(axis=-1))


def _transformed(logs: Floats, n: Floats, power: Floats, kind: NDArray[np.int_]) -> tuple[Floats, Floats]:
    """Return mean (Luo) and SD (Wan) of the transformed numbers, in which the median is 0."""
    y = logs * _phi(power * logs)
    low, one, middle, two, high = (np.where(used, row, np.nan) for used, row in zip(_used(kind), y, strict=True))
    mean = mean_luo(low, one, middle, two, high, n)
    ends = (y[4] - y[0]) / normal_width(n, quartiles=False)
    box = (y[3] - y[1]) / normal_width(n, quartiles=True)
    return mean, np.select([kind == 1, kind == 2, kind == 3], [ends, box, (ends + box) / 2], np.nan)


def _used(kind: NDArray[np.int_]) -> tuple[NDArray[np.bool_], ...]:
    """Tell which of the five numbers each row's scenario uses."""
    ends, box = kind % 2 == 1, kind >= 2
    return ends, box, kind > 0, box, ends


@conversion(
    "mean-sd-bc",
    title="Mean and SD from five numbers (Box-Cox)",
    text="the mean and SD of the distribution that a Box-Cox transformation makes normal",
    gives="mean sd",
    cite="mcgrath2020",
)
def box_cox(
    min: Floats,  # noqa: A002 - the roles are called so
    q1: Floats,
    median: Floats,
    q3: Floats,
    max: Floats,  # noqa: A002
    n: Floats,
) -> BoxCox:
    """Return mean and SD of one group by the Box-Cox method (BC), also for skewed data above 0.

    The power lambda makes (x^lambda - 1)/lambda of the numbers symmetric about that of the median: exactly for three
    numbers, by least squares of both asymmetries for five. Mean (Luo) and SD (Wan, the average of both for five
    numbers) of the transformed numbers give a normal distribution; mean and SD are those of what it is transformed
    back to, by quadrature. Where lambda ends the scale, the normal distribution is cut off on both sides alike, as the
    help page of `estmeansd` has it (its default drops the negative domain and the same tail on the other side, so that
    the normal distribution stays symmetric). That makes SDs small where lambda is large and the spread wide: quartiles
    2, 4, 6 of 30 people give 2.1, where normal data have 3.1 (`luo_wan_shi`) and evenly spread ones 2.3.

    All (k,), nan where missing: each row takes the fullest scenario that it has. nan where there is none, for numbers
    that are not above 0 or out of order, a median that equals a quartile or an end of its scenario, n < 5, and where
    the distribution has no mean or SD because lambda is well below 0 (more skewed than log-normal: there averages of
    random numbers do not settle either). The numbers are divided by the median first, so that a change of unit changes
    nothing. Source: McGrath et al. 2020. Counterpart: `estmeansd::bc.mean.sd`, which averages random numbers.

    >>> out = box_cox(*(np.array([x]) for x in (2.0, np.nan, 4.0, np.nan, 9.0, 100.0)))
    >>> out.mean.round(3), out.sd.round(3), out.power.round(3)
    (array([4.227]), array([1.339]), array([-0.209]))
    >>> box_cox(*(np.array([x]) for x in (np.nan, 2.0, 4.0, 6.0, np.nan, 30.0))).sd.round(1)
    array([2.1])
    """
    *values, n = (np.asarray(v, dtype=np.float64) for v in np.broadcast_arrays(min, q1, median, q3, max, n))
    numbers, size = np.stack(values), n
    kind = np.where(sample(size, LEAST_N), scenario_of(*values), 0)
    used = np.stack(_used(kind))
    kind = np.where((np.where(used, numbers, 1.0) > 0).all(axis=0), kind, 0)
    mean, sd, power = (np.full(kind.shape, np.nan) for _ in range(3))
    for first in range(0, kind.size, BLOCK):
        rows = np.flatnonzero(kind > 0)[first : first + BLOCK]
        if rows.size:
            mean[rows], sd[rows], power[rows] = _fit(numbers[:, rows], size[rows], kind[rows])
    good = np.isfinite(mean) & np.isfinite(sd) & (sd > 0)
    return BoxCox(keep(mean, good), keep(sd, good), keep(power, good), np.where(good, kind, 0))


def _fit(numbers: Floats, n: Floats, kind: NDArray[np.int_]) -> tuple[Floats, Floats, Floats]:
    """Return mean, SD and power of a block of rows whose numbers are above 0 and in order."""
    used = np.stack(_used(kind))
    with np.errstate(all="ignore"):
        logs = np.where(used, np.log(np.where(used, numbers / numbers[2], 1.0)), 0.0)
        power = _power(logs, kind)
        centre, spread = _transformed(logs, n, power, kind)
        step = power * centre
        middle: Floats = numbers[2] * np.exp(centre * np.where(step == 0, 1.0, np.log1p(step) / step))
        mean, sd = _moments(power, spread / np.where(step > -1, 1 + step, np.nan))
        return middle * mean, middle * sd, power


@conversion(
    "mean-sd-lognormal",
    title="Mean and SD from five numbers (log-normal)",
    text="the mean and SD of a log-normal distribution, from the estimators of Luo, Wan and Shi on the logs",
    gives="mean sd",
    cite="shi2020log luo2018 wan2014 shi2020",
)
def log_normal(
    min: Floats,  # noqa: A002
    q1: Floats,
    median: Floats,
    q3: Floats,
    max: Floats,  # noqa: A002
    n: Floats,
) -> MeanSd:
    """Return mean and SD of one group whose logarithms are normal, from up to five numbers.

    m and s are mean and SD of the logs by `luo_wan_shi`; mean = exp(m + s^2/2), sd = mean sqrt(exp(s^2) - 1). The
    source does the same with estimators of its own for s^2 and with corrections of a bias that is of the order 1/n,
    which are not here; `metafor::conv.fivenum(dist="lnorm")` has them, and so differs in that order.

    All (k,), nan where missing: each row takes the fullest scenario that it has; nan where there is none, for numbers
    that are not above 0 or out of order, and n < 5. Source: Shi et al. 2020 (log-normal).

    >>> out = log_normal(*(np.array([x]) for x in (2.0, np.nan, 4.0, np.nan, 9.0, 100.0)))
    >>> out.mean.round(4), out.sd.round(4)
    (array([4.2131]), array([1.2974]))
    """
    with np.errstate(all="ignore"):
        a, one, middle, two, b = (np.log(np.where(np.asarray(v) > 0, v, np.nan)) for v in (min, q1, median, q3, max))
        logs = luo_wan_shi(a, one, middle, two, b, n)
        low = np.where(np.isnan(min), q1, min)
        positive = ~(np.asarray(low) <= 0)
        raw = raw_from_log(logs.mean, logs.sd)
    return MeanSd(keep(raw.mean, positive), keep(raw.sd, positive), np.where(positive, logs.scenario, 0))


@dataclass(frozen=True, slots=True)
class LogMeanSd:
    """Mean and SD of the natural logarithms of a variable; (k,)."""

    mean_log: Floats
    sd_log: Floats


@dataclass(frozen=True, slots=True)
class RawMeanSd:
    """Mean and SD of a variable; (k,)."""

    mean: Floats
    sd: Floats


@conversion(
    "log-from-raw",
    title="Mean and SD of the logs",
    text="taken to the log scale as for log-normal data",
    gives="mean_log sd_log",
    cite="higgins2008",
)
def log_from_raw(mean: Floats, sd: Floats) -> LogMeanSd:
    """Return mean and SD of the logarithms of log-normal data from mean and SD of the data.

    sd_log^2 = log(1 + sd^2/mean^2), mean_log = log(mean) - sd_log^2/2.

    All (k,); mean above 0, SD at least 0, in the units of a ratio scale; nan elsewhere. An SD of 0 gives 0. Source:
    Higgins et al. 2008, method 1.

    >>> out = log_from_raw(np.array([4.2131]), np.array([1.2973]))
    >>> out.mean_log.round(4), out.sd_log.round(4)
    (array([1.3929]), array([0.301]))
    """
    good = (np.asarray(mean) > 0) & (np.asarray(sd) >= 0) & np.isfinite(sd)
    with np.errstate(all="ignore"):
        variance = np.log1p((sd / np.where(good, mean, np.nan)) ** 2)
        return LogMeanSd(keep(np.log(mean) - variance / 2, good), keep(np.sqrt(variance), good))


@conversion(
    "raw-from-log",
    title="Mean and SD from those of the logs",
    text="taken back from the log scale as for log-normal data",
    gives="mean sd",
    cite="higgins2008",
)
def raw_from_log(mean_log: Floats, sd_log: Floats) -> RawMeanSd:
    """Return mean and SD of log-normal data from mean and SD of their natural logarithms.

    mean = exp(mean_log + sd_log^2/2), sd = mean sqrt(exp(sd_log^2) - 1).

    All (k,); for a geometric mean give its logarithm. nan for an SD below 0 and where a result is beyond the range of
    numbers. Source: Higgins et al. 2008, method 1.

    >>> out = raw_from_log(np.array([1.3929]), np.array([0.301]))
    >>> out.mean.round(2), out.sd.round(2)
    (array([4.21]), array([1.3]))
    """
    good = np.asarray(sd_log) >= 0
    with np.errstate(all="ignore"):
        mean = np.exp(mean_log + np.square(sd_log) / 2)
        sd = mean * np.sqrt(np.expm1(np.square(sd_log)))
    return RawMeanSd(keep(mean, good, np.isfinite(sd)), keep(sd, good))
