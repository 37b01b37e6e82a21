"""Mean and SD of skewed data from five numbers, by way of a scale on which the data are normal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from metaback.stats.conversions.family import Floats, choose, conversion, keep, sample
from metaback.stats.conversions.five_numbers import LEAST_N, MeanSd, luo_wan_shi, mean_luo, scenario_of, sd_wan_shi
from metaback.stats.conversions.spread import normal_width

HALVINGS = 70  # of a bracket: the last digit is reached after about 55
SERIES_TERMS = 22  # of the slope of (exp(x) - 1)/x for |x| <= 1: the rest is below 1e-17
BLOCK = 1024  # rows that are integrated at once
TAIL = 9.0  # standard deviations beyond the peak of the integrand: what is left out is below 1e-18 of it
GONE = 1e-8  # share of the peak to which an integrand must fall before it may be cut off
POWERS: Floats = np.linspace(0.0, 10.0, 201)  # tried before the best of them is made exact; bounds as in estmeansd
NEWTON_STEPS = 40  # of a concave function of two parameters: about 8 are needed
PHI_0 = float(1 / np.sqrt(2 * np.pi))  # the normal density in the middle
BEYOND = 40.0  # standard deviations: there the normal density is 0
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
    return _box_cox((min, q1, median, q3, max, n), _balanced)


Fit = Callable[[Floats, Floats, NDArray[np.int_], Floats], tuple[Floats, Floats, Floats]]


def _box_cox(numbers: tuple[Floats, ...], fit: Fit) -> BoxCox:
    """Return mean and SD of what a power and a normal distribution are fitted to, in blocks of rows.

    fit: from logs of the numbers over the median (5, k), n, scenario and the median to power, mean and SD there.
    """
    *values, size = (np.asarray(v, dtype=np.float64) for v in np.broadcast_arrays(*numbers))
    five = np.stack(values)
    kind = np.where(sample(size, LEAST_N), scenario_of(*values), 0)
    kind = np.where((np.where(np.stack(_used(kind)), five, 1.0) > 0).all(axis=0), kind, 0)
    mean, sd, power = (np.full(kind.shape, np.nan) for _ in range(3))
    for first in range(0, kind.size, BLOCK):
        rows = np.flatnonzero(kind > 0)[first : first + BLOCK]
        if not rows.size:
            continue
        used, middle = np.stack(_used(kind[rows])), five[2, rows]
        with np.errstate(all="ignore"):
            logs = np.where(used, np.log(np.where(used, five[:, rows] / middle, 1.0)), 0.0)
            power[rows], centre, spread = fit(logs, size[rows], kind[rows], middle)
            mean[rows], sd[rows] = _back(power[rows], centre, spread, middle)
    good = np.isfinite(mean) & np.isfinite(sd) & (sd > 0)
    return BoxCox(keep(mean, good), keep(sd, good), keep(power, good), np.where(good, kind, 0))


def _back(power: Floats, centre: Floats, spread: Floats, median: Floats) -> tuple[Floats, Floats]:
    """Return mean and SD of the data from those of the transformed data, in which the median is 0."""
    step = power * centre
    middle: Floats = median * np.exp(centre * np.where(step == 0, 1.0, np.log1p(step) / step))
    mean, sd = _moments(power, spread / np.where(step > -1, 1 + step, np.nan))
    return middle * mean, middle * sd


def _balanced(logs: Floats, n: Floats, kind: NDArray[np.int_], median: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the power that makes the numbers symmetric, and Luo's mean and Wan's SD of the transformed numbers."""
    del median
    power = _power(logs, kind)
    return power, *_transformed(logs, n, power, kind)


# ---------------------------------------------------------------- maximum likelihood


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Ends of the intervals between the ordered numbers that a row has, and how many people are in each; (6, k)."""

    low: NDArray[np.int_]
    high: NDArray[np.int_]
    people: Floats

    def ends(self, values: Floats, outside: float) -> tuple[Floats, Floats]:
        """Return the values (5, k) at both ends of each interval; minus or plus `outside` where there is no end."""
        edge = np.full(values.shape[1:], outside)
        padded = np.concatenate([[-edge], values, [edge]])
        return np.take_along_axis(padded, self.low, axis=0), np.take_along_axis(padded, self.high, axis=0)


def _gaps(n: Floats, kind: NDArray[np.int_]) -> _Gaps:
    """Return the intervals of each row: the numbers have the ranks 1, n/4 + 1, n/2 + 1, 3n/4 + 1 (rounded down), n."""
    used = np.stack([np.ones(kind.shape, bool), *_used(kind), np.ones(kind.shape, bool)])
    ranks = np.stack([0 * n, 0 * n + 1, *(np.floor(share * n + 1) for share in (0.25, 0.5, 0.75)), n, n + 1])
    place = np.arange(7)[:, None]
    low = np.maximum.accumulate(np.where(used, place, 0), axis=0)[:-1]
    high = np.minimum.accumulate(np.where(used, place, 6)[::-1], axis=0)[::-1][1:]
    people = np.take_along_axis(ranks, high, axis=0) - np.take_along_axis(ranks, low, axis=0) - 1
    return _Gaps(low, high, np.where(used[1:], people, 0.0))  # each interval once: where its upper end stands


def _density(z: Floats) -> Floats:
    bell: Floats = np.exp(-np.square(z) / 2) * PHI_0
    return bell


def _between(low: Floats, high: Floats) -> Floats:
    """Return the normal probability between two ends, from the nearer tail."""
    right: Floats = ndtr(-low) - ndtr(-high)
    left: Floats = ndtr(high) - ndtr(low)
    return np.where(low > 0, right, left)


def _likelihood(z: Floats, scale: Floats, used: NDArray[np.bool_], gaps: _Gaps) -> Floats:
    """Return the log likelihood of standardised ordered numbers (5, ..., k), up to a constant: (..., k).

    sum over the numbers of -log(scale) - z^2/2, plus sum over the intervals of people log(Phi(high) - Phi(low)).
    """
    low, high = gaps.ends(z, BEYOND)
    inside = np.where(gaps.people > 0, gaps.people * np.log(_between(low, high)), 0.0).sum(axis=0)
    return np.where(used, -np.log(scale) - z**2 / 2, 0.0).sum(axis=0) + inside


def _pull(z: Floats, used: NDArray[np.bool_], gaps: _Gaps, along: Floats) -> Floats:
    """Return the slope of the log likelihood when the standardised numbers move by `along` (5, k)."""
    (low, high), (low_move, high_move) = gaps.ends(z, BEYOND), gaps.ends(along, 0.0)
    inside = (high_move * _density(high) - low_move * _density(low)) / _between(low, high)
    return np.where(gaps.people > 0, gaps.people * inside, 0.0).sum(axis=0) - np.where(used, z * along, 0.0).sum(axis=0)


def _luo_wan(n: Floats, kind: NDArray[np.int_]) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Return the function that takes five numbers (5, k), 0 in the middle and where missing, to Luo's mean, Wan's SD.

    It is linear, and so takes slopes as well.
    """
    ends, box = kind % 2 == 1, kind >= 2

    def mean(q3: float) -> Floats:
        zero, two = np.zeros(n.shape), np.full(n.shape, 2.0)
        inner, outer = np.where(box, zero, np.nan), np.where(ends, zero, np.nan)
        return mean_luo(outer, inner, zero, inner + q3, np.where(ends, two, np.nan), n)

    whole = np.where(ends, mean(0.0), 0.0)
    quarters = np.where(box, mean(2.0), whole) - whole
    width, box_width = normal_width(n, quartiles=False), normal_width(n, quartiles=True)

    def both(y: Floats) -> tuple[Floats, Floats]:
        sums = np.where(ends, (y[4] - y[0]) / width, 0.0) + np.where(box, (y[3] - y[1]) / box_width, 0.0)
        return whole * (y[0] + y[4]) / 2 + quarters * (y[1] + y[3]) / 2, sums / np.where(ends & box, 2.0, 1.0)

    return both


def _likeliest_power(logs: Floats, n: Floats, kind: NDArray[np.int_], tilt: Floats) -> Floats:
    """Return the power from 0 to 10 with the highest likelihood, mean and SD being those of `_luo_wan`; (k,).

    tilt: what the change of variables adds to the log likelihood for each 1 of the power.
    """
    used, gaps, luo_wan = np.stack(_used(kind)), _gaps(n, kind), _luo_wan(n, kind)

    def standard(power: Floats) -> tuple[Floats, Floats]:
        y = logs * _phi(power * logs)
        mean, sd = luo_wan(y)
        return np.where(used, (y - mean) / sd, 0.0), sd

    def height(power: float) -> Floats:
        z, sd = standard(np.full(n.shape, power))
        return _likelihood(z, sd, used, gaps) + power * tilt

    def fall(power: Floats) -> Floats:
        (z, sd), (mean_slope, sd_slope) = standard(power), luo_wan(logs**2 * _phi_slope(power * logs))
        along = np.where(used, (logs**2 * _phi_slope(power * logs) - mean_slope - z * sd_slope) / sd, 0.0)
        return used.sum(axis=0) * sd_slope / sd - _pull(z, used, gaps, along) - tilt

    heights = np.stack([height(float(power)) for power in POWERS])
    heights = np.where(np.isfinite(heights), heights, -np.inf)
    best = heights.argmax(axis=0)
    beyond = fall(POWERS[best]) >= 0
    low, high = POWERS[np.maximum(best - beyond, 0)], POWERS[np.minimum(best + ~beyond, POWERS.size - 1)]
    found = _bisect(fall, low, high)
    return keep(found, heights.max(axis=0) > -np.inf)


def _likeliest_normal(y: Floats, n: Floats, kind: NDArray[np.int_]) -> tuple[Floats, Floats]:
    """Return mean and SD of the normal distribution with the highest likelihood of the numbers y (5, k); (k,) each.

    Newton's method for 1/SD and mean/SD, in which the log likelihood is concave, from Luo's mean and Wan's SD on.
    """
    used, gaps = np.stack(_used(kind)), _gaps(n, kind)
    mean, sd = _luo_wan(n, kind)(y)
    x = np.where(used, (y - mean) / sd, 0.0)
    rate, shift = np.ones(n.shape), np.zeros(n.shape)

    def height(rate: Floats, shift: Floats) -> Floats:
        value = _likelihood(np.where(used, rate * x - shift, 0.0), 1 / rate, used, gaps)
        return np.where((rate > 0) & np.isfinite(value), value, -np.inf)

    for _ in range(NEWTON_STEPS):
        steps = _newton(x, rate, shift, used, gaps)
        share, now = np.ones(n.shape), height(rate, shift)
        for _ in range(NEWTON_STEPS):
            worse = height(rate + share * steps[0], shift + share * steps[1]) < now
            if not worse.any():
                break
            share = np.where(worse, share / 2, share)
        rate, shift = rate + share * steps[0], shift + share * steps[1]
        if not (np.abs(steps) > np.finfo(float).eps).any():
            break
    return mean + sd * shift / rate, sd / rate


def _newton(x: Floats, rate: Floats, shift: Floats, used: NDArray[np.bool_], gaps: _Gaps) -> Floats:
    """Return Newton's step (2, k) of 1/SD and mean/SD for the log likelihood of the numbers x (5, k)."""
    z = np.where(used, rate * x - shift, 0.0)
    low, high = gaps.ends(z, BEYOND)
    moves = (gaps.ends(x, 0.0), gaps.ends(-np.ones(x.shape), 0.0))
    inside = np.where(gaps.people > 0, _between(low, high), 1.0)
    low_ratio, high_ratio = _density(low) / inside, _density(high) / inside

    def curve(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> Floats:
        straight = low * low_ratio * a[0] * b[0] - high * high_ratio * a[1] * b[1]
        first, second = (high_ratio * c[1] - low_ratio * c[0] for c in (a, b))
        return np.where(gaps.people > 0, gaps.people * (straight - first * second), 0.0).sum(axis=0)

    count = used.sum(axis=0)
    p = count / rate + _pull(z, used, gaps, np.where(used, x, 0.0))
    q = _pull(z, used, gaps, np.where(used, -1.0, 0.0))
    pp = curve(moves[0], moves[0]) - count / rate**2 - np.where(used, x**2, 0.0).sum(axis=0)
    pq = curve(moves[0], moves[1]) + np.where(used, x, 0.0).sum(axis=0)
    qq = curve(moves[1], moves[1]) - count
    return np.stack([pq * q - qq * p, pq * p - pp * q]) / (pp * qq - pq**2)


@conversion(
    "mean-sd-mln",
    title="Mean and SD from five numbers (maximum likelihood)",
    text="the mean and SD of the distribution that the likeliest power makes normal",
    gives="mean sd",
    cite="cai2021 box1964",
)
def unknown_non_normal(
    min: Floats,  # noqa: A002 - the roles are called so
    q1: Floats,
    median: Floats,
    q3: Floats,
    max: Floats,  # noqa: A002
    n: Floats,
    *,
    criterion: Literal["likelihood", "estmeansd"] = "likelihood",
) -> BoxCox:
    """Return mean and SD of one group by the method for unknown non-normal distributions (MLN), for data above 0.

    y = (x^lambda - 1)/lambda is taken as normal. The numbers are order statistics of n values with the ranks 1,
    n/4 + 1, n/2 + 1, 3n/4 + 1 (rounded down) and n, so the log likelihood is the sum of log phi((y - m)/s) - log s
    over the numbers, plus that of people log(Phi((y_high - m)/s) - Phi((y_low - m)/s)) over the intervals between them.
    First lambda from 0 to 10 maximises it with m by Luo and s by Wan (the average of both for five numbers), then m and
    s do for that lambda. Mean and SD are those of the data that m, s and lambda stand for, by quadrature, cut off as in
    `box_cox`.

    criterion: "likelihood" is that of the numbers themselves, with (lambda - 1) log x of the change of variables (Box
    and Cox, section 3) for each number, so that a change of unit changes nothing. "estmeansd" leaves it out as that
    program does; the same data in other units then give other means and SDs (lambda is 0 for most data in numbers
    above 1): for quartiles 10, 20 and 27 of 50 people an SD of 18.5, and 2.1 after a division by 100.

    All (k,), nan where missing: each row takes the fullest scenario that it has. nan where there is none, for numbers
    that are not above 0 or out of order, n < 5, and where two numbers are alike with people between them.
    Source: Cai et al. 2021, as the help page of `estmeansd` has it. Counterpart: `estmeansd::mln.mean.sd`, which
    averages 10 000 random numbers.

    >>> out = unknown_non_normal(*(np.array([x]) for x in (2.0, np.nan, 4.0, np.nan, 9.0, 100.0)))
    >>> out.mean.round(3), out.sd.round(3), out.power
    (array([4.202]), array([1.301]), array([0.]))
    """
    choose("criterion", criterion, ("likelihood", "estmeansd"))

    def likeliest(logs: Floats, n: Floats, kind: NDArray[np.int_], median: Floats) -> tuple[Floats, Floats, Floats]:
        count = np.stack(_used(kind)).sum(axis=0)
        tilt = logs.sum(axis=0) if criterion == "likelihood" else -count * np.log(median)
        power = _likeliest_power(logs, n, kind, tilt)
        return power, *_likeliest_normal(logs * _phi(power * logs), n, kind)

    return _box_cox((min, q1, median, q3, max, n), likeliest)


# ---------------------------------------------------------------- log-normal data


def _log_spread(logs: tuple[Floats, ...], n: Floats, kind: NDArray[np.int_]) -> tuple[Floats, Floats]:
    """Return the estimates of sigma^2 and sigma^4 of normal logs that have the least squared error; (k,) each."""
    ends, box = kind % 2 == 1, kind >= 2
    a, one, _, two, b = logs
    lost = np.full(n.shape, np.nan)
    sd = sd_wan_shi(
        np.where(ends, a, lost), np.where(box, one, lost), np.where(box, two, lost), np.where(ends, b, lost), n
    )
    size = np.log(n) ** 2
    kinds = [kind == 1, kind == 2, kind == 3]
    second = np.select(kinds, [1.01 + 0.25 / size, 1 + 1.58 / n, 1 + 0.28 / size], np.nan)
    fourth = np.select(kinds, [1 + 2.23 / size, 1 + 19.2 / n**1.2, 1 + 3.93 / n], np.nan)
    return sd**2 / second, sd**4 / fourth


@conversion(
    "mean-sd-lognormal",
    title="Mean and SD from five numbers (log-normal)",
    text="the mean and SD of a log-normal distribution, by the estimators of Shi and others",
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
    *,
    correct: Literal["yes", "no"] = "yes",
) -> MeanSd:
    """Return mean and SD of one group whose logarithms are normal, from up to five numbers.

    Of the logs, m is Luo's mean and d the SD of Wan (three numbers) or Shi (five). v = d^2 / A and w = d^4 / B estimate
    sigma^2 and sigma^4. With e(i, j) = 1 + (i v + j w)/n,

        mean = exp(m + v/2) / e(a, b),    sd^2 = exp(2m + 2v) / e(4a, 16b) - exp(2m + v) / e(4a, 4b),

    where for the range A = 1.01 + 0.25/log(n)^2, B = 1 + 2.23/log(n)^2, a = 0.565, b = 0.37; for quartiles
    A = 1 + 1.58/n, B = 1 + 19.2/n^1.2, a = 0.57, b = 0.75; for all five A = 1 + 0.28/log(n)^2, B = 1 + 3.93/n,
    a = 0.405, b = 0.315. The divisors take out the bias of order 1/n that the exponential function makes of the
    variances of m and v. correct="no" takes d^2 as v and leaves the divisors out.

    All (k,), nan where missing: each row takes the fullest scenario that it has; nan where there is none, for numbers
    that are not above 0 or out of order, n < 5, and where the two terms of sd^2 leave nothing. Source: Shi et al. 2020
    (log-normal). Counterpart: `metafor::conv.fivenum(dist="lnorm", test=FALSE)` of version 4 and later.

    >>> out = log_normal(*(np.array([x]) for x in (2.0, np.nan, 4.0, np.nan, 9.0, 100.0)))
    >>> out.mean.round(4), out.sd.round(4)
    (array([4.2068]), array([1.2777]))
    """
    choose("correct", correct, ("yes", "no"))
    with np.errstate(all="ignore"):
        low = np.where(np.isnan(min), q1, min)
        a, one, middle, two, b = (np.log(np.where(np.asarray(v) > 0, v, np.nan)) for v in (min, q1, median, q3, max))
        logs = luo_wan_shi(a, one, middle, two, b, n)
        kind = np.where(low <= 0, 0, logs.scenario)
        m, size = logs.mean, np.asarray(n, dtype=np.float64)
        if correct == "no":
            raw = raw_from_log(m, logs.sd)
            mean, sd = raw.mean, raw.sd
        else:
            v, w = _log_spread((a, one, middle, two, b), size, kind)
            kinds = [kind == 1, kind == 2, kind == 3]
            i = np.select(kinds, [0.565, 0.57, 0.405], np.nan) * v / size
            j = np.select(kinds, [0.37, 0.75, 0.315], np.nan) * w / size
            mean = np.exp(m + v / 2) / (1 + i + j)
            sd = np.exp(m + v / 2) * np.sqrt(np.exp(v) / (1 + 4 * i + 16 * j) - 1 / (1 + 4 * i + 4 * j))
    good = (kind > 0) & np.isfinite(mean) & np.isfinite(sd)
    return MeanSd(keep(mean, good), keep(sd, good), np.where(good, kind, 0))


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
