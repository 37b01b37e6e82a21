"""What small samples do to standardised means: the factor J, the variance of Hedges' g, and words for both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma

from metaback.stats.measures.family import Choice, Convention, Floats

SERIES_FROM = 100.0  # above this the series of the gamma ratio is exact to 1e-16, below it `gamma` does not overflow
RATIO_TERMS = (-1 / 8, 1 / 128, 5 / 1024, -21 / 32768, -399 / 262144)
EXCESS_FROM = 200.0  # above this the terms of the series fall by a factor of 100 each
EXCESS_TERMS = (1 / 2, 9 / 8, 39 / 16, 651 / 128, 2631 / 256, 20877 / 1024, 82887 / 2048, 2667891 / 32768)
CORRECT = Convention(
    "correction for small samples",
    {"yes": Choice(), "no": Choice(formula="; the correction for small samples was left out")},
)


def small_sample_factor(df: Floats) -> Floats:
    """Return the exact factor J that removes the bias of Cohen's d.

    J = gamma(df/2) / (sqrt(df/2) gamma((df - 1)/2)).

    df: degrees of freedom of the SD, (k,); nan for df <= 1, where the expectation does not exist. For large df
    the ratio is summed from its asymptotic series, because differences of log-gamma lose half of the digits.
    Source: Hedges 1981.

    >>> float(small_sample_factor(np.array([18.0]))[0].round(10))
    0.957646427
    """
    df = np.where(df > 1, df, np.nan)
    x = (df - 1) / 2
    small = np.minimum(x, SERIES_FROM)
    direct = gamma(small + 0.5) / gamma(small)
    ratio = np.where(x <= SERIES_FROM, direct, (1 + _series(1 / np.maximum(x, SERIES_FROM), RATIO_TERMS)) * np.sqrt(x))
    return ratio / np.sqrt(df / 2)


def unbiased_share(df: Floats) -> Floats:
    """Return the share of g^2 in the unbiased estimate of the variance of g: 1 - (df - 2)/(df J^2).

    df: degrees of freedom of the SD, (k,); nan for df <= 1. Near 1/(2 df) for large df, where the difference would
    lose its digits and a series in 1/df takes its place. Source: Hedges 1983.

    >>> float(unbiased_share(np.array([18.0]))[0].round(10))
    0.0307471376
    """
    factor = small_sample_factor(df)
    with np.errstate(divide="ignore", invalid="ignore"):
        direct = 1 - (df - 2) / (df * factor**2)
        excess = _series(1 / np.maximum(df, EXCESS_FROM), EXCESS_TERMS)
        return np.where(df > EXCESS_FROM, excess / (1 + excess), direct)


def hedges_variance(d: Floats, base: Floats, size: Floats, df: Floats, vtype: str, *, correct: str) -> Floats:
    """Return the variance of a standardised mean (difference) by one of the rules that textbooks give for it.

    With g = J d (g = d and J = 1 where correct is "no"): "LS": base + g^2/(2 size); "LS2": J^2 (base + d^2/(2 size));
    "UB": base + (1 - (df - 2)/(df J^2)) g^2 with the J of df always, divided by J^2 for d; "H0": J^2 df/(df - 2) base,
    exact where the true value is 0.

    d: Cohen's d, (k,); base: the variance of the difference in units of the true SD, squared; size: how
    many people the SD is from; df: its degrees of freedom. Undefined (nan) for df <= 1. Source: Hedges 1982, 1983;
    Borenstein 2009.
    """
    exact = small_sample_factor(df)
    factor = exact if correct == "yes" else np.ones_like(exact)
    if vtype == "LS2":
        return factor**2 * (base + d**2 / (2 * size))
    if vtype == "UB":
        return (base + unbiased_share(df) * (exact * d) ** 2) * (factor / exact) ** 2
    if vtype == "H0":
        return factor**2 * base * df / np.where(df > 2, df - 2, np.nan)
    return base + (factor * d) ** 2 / (2 * size)


def corrected(d: Floats, df: Floats, correct: str) -> Floats:
    """Return J(df) d where the correction is wanted, else d where J would exist; both (k,)."""
    factor = small_sample_factor(df)
    return d * factor if correct == "yes" else np.where(np.isnan(factor), np.nan, d)


def mean_of_rows(values: Floats, weights: Floats, usable: NDArray[np.bool_]) -> Floats:
    """Return the weighted mean over the usable rows, (1,): what the variances "AV" of all rows are made from."""
    inside = np.where(usable, weights, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.atleast_1d(np.where(usable, values, 0.0) @ inside / inside.sum())


def log_of_ratio(one: Floats, two: Floats) -> Floats:
    """Return log(one/two), (k,), to full relative precision also where the two are close; nan where signs differ.

    >>> float(log_of_ratio(np.array([1.0 + 2.0**-40]), np.array([1.0]))[0] * 2**40)
    0.9999999999995453
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        ratio = one / two
        usable = np.where((ratio > 0) & np.isfinite(ratio), ratio, np.nan)
        return np.where(np.abs(usable - 1) < 0.5, np.log1p((one - two) / two), np.log(usable))


def _series(u: Floats, terms: tuple[float, ...]) -> Floats:
    """Sum terms[0] u + terms[1] u^2 + ..."""
    total = np.zeros_like(u)
    for term in reversed(terms):
        total = (total + term) * u
    return total
