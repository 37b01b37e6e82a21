"""What the spreads of trials say about each other: which are standard errors, which differ, which cannot be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtr, fdtrc

from metaback.stats.wls import Bools, Floats

Places = NDArray[np.intp]

# Standard deviations of ln SD between trials that are weighed up; the large ones are for rows of different outcomes.
BETWEEN = np.array([0.12, 0.2, 0.32, 0.5, 0.8, 1.3, 2.0, 3.2])
USUAL_BETWEEN, WIDTH = (
    0.3,
    0.5,
)  # their prior: log-normal about the middle of what outcomes of one unit show, 0.2 to 0.45
CENTRES = np.linspace(
    -1.5, 1.5, 25
)  # middles that are weighed up, from the median on; the steps are finer than BETWEEN
# Shares of rows before any is seen. 45% of 20 reviews took at least one SE for an SD (Kadlec et al. 2023): with 10 to
# 20 rows each that is 3 to 6 rows in 100. For the other two no count is known; they are set lower.
SHARES = {"se": 0.05, "root": 0.03, "other": 0.02}
FAR = 1.5  # standard deviation of ln SD of a row that fits neither reading
EFFECTS = 0.5  # standard deviation of standardised differences of one outcome between trials, on the wide side


@dataclass(frozen=True, slots=True)
class Readings:
    """How likely each row's spread is something else than an SD like those of its group, and the group's middle.

    se: the SDs are standard errors; root: they are SDs times the square root of n; other: neither, yet they do not
    fit; middle: ln of the usual SD; between: standard deviation of ln SD between the rows of the group. All (k,).
    """

    se: Floats
    root: Floats
    other: Floats
    middle: Floats
    between: Floats


def read_spreads(x: Floats, h: Floats, df: Floats, d: Floats, group: Places) -> Readings:
    """Return what the spread of each row probably is, judged by the other rows of its group.

    x_i = ln SD_i is a draw from a mixture: N(m, s^2 + e_i) if the SD is an SD, N(m - h_i, s^2 + e_i) if it is a
    standard error, N(m + h_i, s^2 + e_i) if it was multiplied by sqrt(n), and N(m, 1.5^2) if it is anything else, with
    h_i = ln(n_i) / 2 and e_i = 1 / (2 df_i), the sampling variance of ln SD. Where a standardised difference d_i is
    known, each reading also says what it would be (d_i, d_i / sqrt(n_i), d_i sqrt(n_i)), with the density
    N(+-c, 0.5^2 + 2 / n_i + d^2 / (2 df_i)) and c the median of |d| in the group. The middle m (flat) and the spread s
    (log-normal about 0.3) of a group are integrated out on a grid, so that a few false rows move nothing.

    x, h, df: (k,), natural logarithms and degrees of freedom; d: (k,), nan where unknown; group: (k,) numbers from 0.
    Edges: a row that is alone in its group is judged by its d and the prior alone; equal rows are all SDs.
    Source: mixture and outlier models as in Box & Tiao 1968; sampling variance of ln SD: Nakagawa et al. 2015.

    >>> x = np.log([20.0, 18.0, 22.0, 19.0, 5.0])
    >>> found = read_spreads(x, np.full(5, np.log(4)), np.full(5, 30.0), np.full(5, np.nan), np.zeros(5, dtype=int))
    >>> found.se.round(2).tolist(), float(np.exp(found.middle[0]).round(1))
    ([0.0, 0.0, 0.0, 0.0, 0.92], 19.6)
    """
    start = _median_of(x, group)
    sd = np.sqrt(BETWEEN[:, None] ** 2 + 1 / (2 * df[:, None, None]))  # (k, 8, 1)
    off = (x - start)[:, None, None] - CENTRES  # (k, 1, 25)
    as_sd, as_se, as_root = (_implied(d, h, df, group, sign) for sign in (0.0, -1.0, 1.0))
    rest = 1 - sum(SHARES.values())
    usual = rest * as_sd[:, None, None] * _normal(off, sd)
    se = SHARES["se"] * as_se[:, None, None] * _normal(off + h[:, None, None], sd)
    root = SHARES["root"] * as_root[:, None, None] * _normal(off - h[:, None, None], sd)
    other = SHARES["other"] * as_sd[:, None, None] * _normal(off, np.full((1, 1, 1), FAR))
    total = usual + se + root + other
    weight = _posterior(total, group)
    parts = [np.einsum("kij,kij->k", weight, part / total) for part in (se, root, other)]
    middle = start + np.einsum("kij,j->k", weight, CENTRES)
    return Readings(parts[0], parts[1], parts[2], middle, np.einsum("kij,i->k", weight, BETWEEN))


def _normal(off: Floats, sd: Floats) -> Floats:
    """Return the normal density without its constant, bounded below so that no row is impossible."""
    z = off / sd
    return np.maximum(np.exp(-0.5 * z * z) / sd, 1e-300)


def _implied(d: Floats, h: Floats, df: Floats, group: Places, sign: float) -> Floats:
    """Return the density of d (k,) under the reading that multiplies it by exp(sign h); 1 where d is unknown."""
    known = np.isfinite(d)
    centre = _median_of(np.abs(d), group)
    factor = np.exp(sign * h)
    true = np.where(known, d * factor, 0.0)
    sd = np.sqrt(EFFECTS**2 + 2 * np.exp(-2 * h) + true * true / (2 * df))
    both = _normal(true - centre, sd) + _normal(true + centre, sd)
    return np.where(known & np.isfinite(centre), factor * both / 2, 1.0)


def _posterior(total: Floats, group: Places) -> Floats:
    """Return for each row the weights (k, 8, 25) of spreads and middles that all rows of its group give, sum 1."""
    logs = np.log(total)
    prior = -0.5 * (np.log(BETWEEN / USUAL_BETWEEN) / WIDTH) ** 2
    sums = np.zeros((int(group.max(initial=-1)) + 1, *logs.shape[1:]))
    np.add.at(sums, group, logs)
    sums += prior[:, None]
    sums -= sums.max(axis=(1, 2), keepdims=True)
    weights = np.exp(sums)
    return (weights / weights.sum(axis=(1, 2), keepdims=True))[group]


def _median_of(values: Floats, group: Places) -> Floats:
    """Return for each row the median of its group, (k,); nan where no row of the group has a number.

    >>> _median_of(np.array([1.0, 5.0, 2.0, np.nan]), np.array([0, 0, 0, 1])).tolist()
    [2.0, 2.0, 2.0, nan]
    """
    order = np.lexsort((values, group))  # nan comes last within a group
    count = np.bincount(group, weights=np.isfinite(values), minlength=int(group.max(initial=-1)) + 1).astype(np.intp)
    first = np.searchsorted(group[order], np.arange(count.size))
    low, high = first + np.maximum(count - 1, 0) // 2, first + count // 2
    high = np.minimum(high, first + np.maximum(count - 1, 0))
    middle = 0.5 * (values[order][low] + values[order][high])
    return np.where(count > 0, middle, np.nan)[group]


def variance_ratio_p(sd_1: Floats, df_1: Floats, sd_2: Floats, df_2: Floats) -> Floats:
    """Return the two-sided p value of the F test of two equal variances, (k,).

    F = sd_1^2 / sd_2^2 on df_1 and df_2 degrees of freedom, n - 1 for normal data; p = 2 min(P(F' <= F), P(F' >= F)).

    Edges: nan where an SD or the degrees of freedom are not positive. Same as `var.test` of R on the data.

    >>> variance_ratio_p(*(np.array([x]) for x in (44.0, 17.0, 17.0, 19.0))).round(7).tolist()
    [0.0001502]
    """
    ok = (sd_1 > 0) & (sd_2 > 0) & (df_1 > 0) & (df_2 > 0)
    one, two = np.where(ok, df_1, 1.0), np.where(ok, df_2, 1.0)
    ratio = np.where(ok, sd_1, 1.0) ** 2 / np.where(ok, sd_2, 1.0) ** 2
    tail = np.minimum(fdtr(one, two, ratio), fdtrc(one, two, ratio))
    return np.where(ok, np.minimum(2 * tail, 1.0), np.nan)


def largest_sd(mean: Floats, n: Floats, low: Floats, high: Floats) -> Floats:
    """Return the largest SD (divisor n - 1) that n scores between low and high with a given mean can have, (k,).

    sd^2 <= (mean - low)(high - mean) n / (n - 1), reached where every score is at one end.

    Edges: nan for n < 2, for a mean outside the scale and where a number lacks. Source: Bhatia & Davis 2000.

    >>> largest_sd(np.array([22.0]), np.array([18.0]), np.array([0.0]), np.array([100.0])).round(2).tolist()
    [42.63]
    """
    inside: Bools = (mean >= low) & (mean <= high) & (n > 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(inside, np.sqrt(np.where(inside, (mean - low) * (high - mean), 0.0) * n / (n - 1)), np.nan)
