"""Measures from the means and standard deviations of two independent groups."""

from __future__ import annotations

import numpy as np
from scipy.special import gamma

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, finish, measure

SERIES_FROM = 100.0  # above this the series of the gamma ratio is exact to 1e-16, below it `gamma` does not overflow
VTYPE = Convention(
    "variance of the standardised mean difference",
    {
        "LS": Choice(
            formula=" and multiplied by the exact correction for small samples (Hedges' g), with the large-sample "
            "variance 1/n₁ + 1/n₂ + g²/(2N), as in metafor",
            note="large-sample variance",
            cite="viechtbauer2010",
        ),
        "RevMan": Choice(
            formula=" and multiplied by 1 − 3/(4N − 9) (Hedges' adjusted g), with variance "
            "N/(n₁n₂) + g²/(2(N − 3.94)), the formulas of Review Manager 5",
            note="variance as in RevMan",
            cite="deeks2010",
        ),
    },
)


def small_sample_factor(df: Floats) -> Floats:
    """Return the exact factor J that removes the bias of Cohen's d.

    J = gamma(df/2) / (sqrt(df/2) gamma((df - 1)/2)).

    df: degrees of freedom of the pooled SD, (k,); nan for df <= 1, where the expectation does not exist. For large df
    the ratio is summed from its asymptotic series, because differences of log-gamma lose half of the digits.
    Source: Hedges 1981.

    >>> float(small_sample_factor(np.array([18.0]))[0].round(10))
    0.957646427
    """
    df = np.where(df > 1, df, np.nan)
    x = (df - 1) / 2
    small = np.minimum(x, SERIES_FROM)
    direct = gamma(small + 0.5) / gamma(small)
    u = 1 / np.maximum(x, SERIES_FROM)
    terms = (-1 / 8, 1 / 128, 5 / 1024, -21 / 32768, -399 / 262144)
    series = np.ones_like(u)
    for power, term in enumerate(terms, start=1):
        series = series + term * u**power
    ratio = np.where(x <= SERIES_FROM, direct, series * np.sqrt(x))
    return ratio / np.sqrt(df / 2)


@measure(
    Measure(
        "SMD",
        "Standardised mean difference",
        "SMD",
        "linear",
        "means",
        undefined="SMD needs more than 3 people and a standard deviation above 0",
        formula="the difference in means divided by the pooled standard deviation",
        conventions={"vtype": VTYPE},
    ),
    cite="hedges1981",
)
def standardised_mean_difference(
    mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats, *, vtype: str = "LS"
) -> Computed:
    """Compute Hedges' g, the difference of means in units of their pooled standard deviation, corrected for bias.

    d = (mean_1 - mean_2) / s with s^2 = ((n_1 - 1) sd_1^2 + (n_2 - 1) sd_2^2) / (N - 2) and N = n_1 + n_2.
    vtype "LS" (metafor): g = J d with the exact J, v = 1/n_1 + 1/n_2 + g^2 / (2 N).
    vtype "RevMan": g = (1 - 3/(4N - 9)) d, v = N/(n_1 n_2) + g^2 / (2 (N - 3.94)).

    All arguments (k,); means and SDs in the units of the instrument, effects in SD units. Undefined for N <= 3 and
    for two SDs of 0. Raises `OptionError` for an unknown vtype. Source: Hedges 1981; Deeks & Higgins 2010.

    >>> one = [np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)]
    >>> out = standardised_mean_difference(*one)
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.5924, 0.0418)
    """
    VTYPE.check("vtype", vtype)
    total = n_1 + n_2
    df = total - 2
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(((n_1 - 1) * sd_1**2 + (n_2 - 1) * sd_2**2) / df)
        d = (mean_1 - mean_2) / sd
        if vtype == "LS":
            g = small_sample_factor(df) * d
            v = 1 / n_1 + 1 / n_2 + g**2 / (2 * total)
        else:
            g = (1 - 3 / (4 * total - 9)) * d
            v = total / (n_1 * n_2) + g**2 / (2 * (total - 3.94))
    return finish(g, v, (total > 3) & (sd > 0))


@measure(
    Measure(
        "MD",
        "Mean difference",
        "MD",
        "linear",
        "means",
        undefined="MD needs a standard deviation above 0",
        formula="the difference in means, with variance SD₁²/n₁ + SD₂²/n₂",
    ),
    cite="deeks2010",
)
def mean_difference(mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats) -> Computed:
    """Compute the difference of means.

    y = mean_1 - mean_2, v = sd_1^2/n_1 + sd_2^2/n_2.

    All arguments (k,), in the units of the instrument. Undefined for two SDs of 0. Source: Deeks & Higgins 2010.
    Same as `metafor::escalc(measure="MD")`.

    >>> one = [np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)]
    >>> out = mean_difference(*one)
    >>> float(out.yi[0]), float(out.vi[0].round(12))
    (3.0, 1.01)
    """
    return finish(mean_1 - mean_2, sd_1**2 / n_1 + sd_2**2 / n_2, np.ones(mean_1.shape, dtype=bool))
