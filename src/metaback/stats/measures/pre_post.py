"""Changes within one group, before and after or under two conditions, from paired means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import hyp2f1, ndtr

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, finish, measure
from metaback.stats.measures.small_samples import CORRECT, corrected, hedges_variance, log_of_ratio, small_sample_factor

FEW, TERMS = 100.0, 25  # above FEW so many terms of 2F1 are exact to 1e-17; scipy has no value for millions
CHANGE = "the difference of the two means"
EXACT = "and multiplied by the exact correction for small samples"
PAIRED = "at least 2 pairs, a standard deviation above 0 and a correlation between −1 and 1"
SMCC_VTYPE = Convention(
    "variance of the standardised mean change",
    {
        "LS": Choice(formula=", with the large-sample variance 1/n + g²/(2n)"),
        "LS2": Choice(
            formula=", with variance J²(1/n + d²/(2n))", note="variance of d times J²", cite="borenstein2009"
        ),
        "UB": Choice(formula=", with its unbiased variance", note="unbiased variance", cite="viechtbauer2007b"),
    },
)
SMCR_VTYPE = Convention(
    "variance of the standardised mean change",
    {
        "LS": Choice(formula=", with the large-sample variance 2(1 − r)/n + g²/(2n)"),
        "LS2": Choice(formula=", with variance J²(2(1 − r)/n + d²/(2n))", note="variance of d times J²"),
        "UB": Choice(
            formula=", with its unbiased variance, from the unbiased estimate of the correlation",
            note="unbiased variance",
            cite="olkin1958",
        ),
    },
)
SMCRH_VTYPE = Convention(
    "variance of the standardised mean change without equal variances",
    {
        "LS": Choice(formula=", with variance SD_d²/(SD₁²(n − 1)) + g²/(2(n − 1)), as in metafor since 4.6"),
        "metafor3": Choice(
            formula=", with variance J²(SD_d²/(SD₁²(n − 1)) + g²/(2(n − 1))), as in metafor before 4.6",
            note="variance as in metafor 3",
            cite="viechtbauer2010",
        ),
    },
)
ROMC_CORRECT = Convention(
    "correction for small samples",
    {
        "no": Choice(),
        "yes": Choice(
            formula=" and (c₁² − c₂²)/(2n) added as a correction for small samples",
            note="corrected for small samples",
            cite="lajeunesse2015",
        ),
    },
)


def difference_variance(sd_1: Floats, sd_2: Floats, r: Floats) -> Floats:
    """Return the variance of the difference of paired values, (k,): sd_1^2 + sd_2^2 - 2 r sd_1 sd_2, without loss."""
    return (sd_1 - sd_2) ** 2 + 2 * (1 - r) * sd_1 * sd_2


def unbiased_correlation(r: Floats, n: Floats) -> Floats:
    """Return the unbiased estimate of a correlation, (k,): r 2F1(1/2, 1/2; (n - 2)/2; 1 - r^2); nan for n <= 3.

    Source: Olkin & Pratt 1958, equation 2.3.

    >>> float(unbiased_correlation(np.array([0.77]), np.array([9.0]))[0].round(6))
    0.795108
    """
    usable = (n > 3) & (np.abs(r) <= 1)
    inside = np.where(usable & (r != 0), r, 0.5)
    c, x = np.where(usable, n - 2, 2) / 2, (1 - inside) * (1 + inside)
    term, series, far = np.ones_like(x), np.ones_like(x), np.maximum(c, FEW)
    for k in range(TERMS):
        term = term * (k + 0.5) ** 2 / ((far + k) * (k + 1)) * x
        series = series + term
    return np.where(usable, r * np.where(c > FEW, series, hyp2f1(0.5, 0.5, np.minimum(c, FEW), x)), np.nan)


def _paired(n: Floats, r: Floats) -> NDArray[np.bool_]:
    """Tell which rows have at least two pairs and a correlation that there can be."""
    return (n > 1) & (np.abs(r) <= 1)


@measure(
    Measure(
        "MC",
        "Mean change",
        "MC",
        "linear",
        "paired means",
        undefined=f"MC needs {PAIRED}",
        formula=f"{CHANGE}, with variance (SD₁² + SD₂² − 2rSD₁SD₂)/n",
        turn="sign",
    ),
    cite="morris2000",
)
def mean_change(mean_1: Floats, sd_1: Floats, mean_2: Floats, sd_2: Floats, n: Floats, r: Floats) -> Computed:
    """Compute the mean change of one group, or the mean difference of pairs.

    y = mean_1 - mean_2, v = (sd_1^2 + sd_2^2 - 2 r sd_1 sd_2)/n, with r the correlation of the n pairs. Where the SD of
    the changes is known, give it as sd_1, with 0 for sd_2 and r.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for n < 2, |r| > 1, and where no change
    differs from another. Source: Morris 2000. Same as `metafor::escalc(measure="MC")`.

    >>> out = mean_change(*(np.array([x]) for x in (26.0, 30**0.5, 22.0, 20**0.5, 60.0, 0.7)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (4.0, 0.2618)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        v = difference_variance(sd_1, sd_2, r) / n
    return finish(mean_1 - mean_2, v, _paired(n, r))


@measure(
    Measure(
        "SMCC",
        "Standardised mean change by the SD of change",
        "SMCC",
        "linear",
        "paired means",
        undefined="SMCC needs at least 3 pairs, changes that differ and a correlation between −1 and 1",
        formula=f"{CHANGE} divided by the standard deviation of the changes {EXACT}",
        conventions={"vtype": SMCC_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the SD of the change",
    ),
    cite="gibbons1993",
)
def change_standardised_change(
    mean_1: Floats,
    sd_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n: Floats,
    r: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the mean change in units of the SD of the changes.

    d = (mean_1 - mean_2)/s with s^2 = sd_1^2 + sd_2^2 - 2 r sd_1 sd_2; g = J d with the J of n - 1 degrees of freedom.
    vtype "LS": v = 1/n + g^2/(2 n); "LS2": v = J^2 (1/n + d^2/(2 n)); "UB": v = 1/n + (1 - (n - 3)/((n - 1) J^2)) g^2.
    correct "no": d stands for g, J is 1.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for n < 3, |r| > 1 and s = 0. The unit
    is not that of a standardised difference of groups; do not pool the two. Raises `OptionError` for an unknown vtype
    or correct. Source: Gibbons, Hedeker & Davis 1993; Viechtbauer 2007. Same as `metafor::escalc(measure="SMCC")`.

    >>> out = change_standardised_change(*(np.array([x]) for x in (38.5, 15.0, 30.6, 11.6, 20.0, 0.47)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.5417, 0.0573)
    """
    SMCC_VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    sd = np.sqrt(np.where(_paired(n, r), difference_variance(sd_1, sd_2, np.clip(r, -1, 1)), np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        d = (mean_1 - mean_2) / sd
        v = hedges_variance(d, 1 / n, n, n - 1, vtype, correct=correct)
    return finish(corrected(d, n - 1, correct), v, _paired(n, r) & (n > 2) & (sd > 0))


@measure(
    Measure(
        "SMCR",
        "Standardised mean change by the SD of measurement 1",
        "SMCR",
        "linear",
        "paired means",
        undefined="SMCR needs at least 3 pairs, a first standard deviation above 0 and a correlation between −1 and 1",
        formula=f"{CHANGE} divided by the first standard deviation {EXACT}",
        conventions={"vtype": SMCR_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the SD of measurement 1",
    ),
    cite="becker1988",
)
def raw_standardised_change(
    mean_1: Floats,
    sd_1: Floats,
    mean_2: Floats,
    n: Floats,
    r: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the mean change in units of the SD of measurement 1, mostly the one before.

    d = (mean_1 - mean_2)/sd_1, g = J d with the J of n - 1 degrees of freedom. vtype "LS": v = 2(1 - r)/n + g^2/(2 n);
    "LS2": v = J^2 (2(1 - r)/n + d^2/(2 n)); "UB": v = 2(1 - u)/n + (1 - (n - 3)/((n - 1) J^2)) g^2 with u the unbiased
    estimate of r. All take the SDs of both measurements as equal; `SMCRH` does not. correct "no": d stands for g, J
    is 1. For a gain that is above 0 give the measurement before as 1 and turn the sign, or its SD as sd_1.

    All arguments (k,); means and SD in the units of the instrument. Undefined for n < 3 ("UB": n < 4), |r| > 1 and
    sd_1 = 0. Raises `OptionError` for an unknown vtype or correct. Source: Becker 1988; Morris 2000. Same as
    `metafor::escalc(measure="SMCR")`.

    >>> out = raw_standardised_change(*(np.array([x]) for x in (38.5, 15.0, 30.6, 20.0, 0.47)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.5056, 0.0594)
    """
    SMCR_VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    with np.errstate(divide="ignore", invalid="ignore"):
        d = (mean_1 - mean_2) / sd_1
        base = 2 * (1 - (unbiased_correlation(r, n) if vtype == "UB" else r)) / n
        v = hedges_variance(d, base, n, n - 1, vtype, correct=correct)
    return finish(corrected(d, n - 1, correct), v, _paired(n, r) & (n > 2) & (sd_1 > 0))


@measure(
    Measure(
        "SMCRH",
        "Standardised mean change by the SD of measurement 1, unequal variances",
        "SMCR",
        "linear",
        "paired means",
        undefined="SMCRH needs at least 3 pairs, a first standard deviation above 0 and a correlation between −1 and 1",
        formula=f"{CHANGE} divided by the first standard deviation {EXACT}",
        conventions={"vtype": SMCRH_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the SD of measurement 1",
    ),
    cite="bonett2008",
)
def unequal_raw_standardised_change(
    mean_1: Floats,
    sd_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n: Floats,
    r: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the mean change in units of the SD of measurement 1, where the SDs of the measurements may differ.

    d = (mean_1 - mean_2)/sd_1, g = J d with the J of n - 1 degrees of freedom.
    v = (sd_1^2 + sd_2^2 - 2 r sd_1 sd_2)/(sd_1^2 (n - 1)) + g^2/(2 (n - 1)): vtype "LS" (metafor since 4.6, the
    default); "metafor3" (metafor before 4.6): J^2 times that. correct "no": d stands for g, J is 1.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for n < 3, |r| > 1 and sd_1 = 0. Raises
    `OptionError` for an unknown vtype or correct. Source: Bonett 2008. Same as `metafor::escalc(measure="SMCRH")`.

    >>> out = unequal_raw_standardised_change(*(np.array([x]) for x in (26.0, 30**0.5, 22.0, 20**0.5, 60.0, 0.7)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.721, 0.0133)
    """
    SMCRH_VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = corrected((mean_1 - mean_2) / sd_1, n - 1, correct)
        v = (difference_variance(np.ones_like(sd_1), sd_2 / sd_1, r) + g**2 / 2) / (n - 1)
    if vtype == "metafor3" and correct == "yes":
        v = v * small_sample_factor(n - 1) ** 2
    return finish(g, v, _paired(n, r) & (n > 2) & (sd_1 > 0))


def _average(
    mean_1: Floats, sd_1: Floats, mean_2: Floats, sd_2: Floats, r: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return d by the root of the average variance s2, s2, sd_d^2/s2 and (sd_1^4 + sd_2^4 + 2 (r sd_1 sd_2)^2)/s2^2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        s2 = (sd_1**2 + sd_2**2) / 2
        p_1, p_2 = sd_1 / np.sqrt(s2), sd_2 / np.sqrt(s2)
        spread = p_1**4 + p_2**4 + 2 * (r * p_1 * p_2) ** 2
        return (mean_1 - mean_2) / np.sqrt(s2), s2, difference_variance(p_1, p_2, r), spread


@measure(
    Measure(
        "SMCRP",
        "Standardised mean change by the average SD",
        "SMCRP",
        "linear",
        "paired means",
        undefined=f"SMCRP needs {PAIRED}",
        formula=f"{CHANGE} divided by the root of the average of both variances {EXACT}, with variance 2(1 − r)/n + "
        "g²(1 + r²)/(4n)",
        conventions={"correct": CORRECT},
        turn="sign",
        standardiser="the average SD of both measurements",
    ),
    cite="viechtbauer2010",
)
def average_standardised_change(
    mean_1: Floats, sd_1: Floats, mean_2: Floats, sd_2: Floats, n: Floats, r: Floats, *, correct: str = "yes"
) -> Computed:
    """Compute the mean change in units of the SD averaged over both measurements.

    s^2 = (sd_1^2 + sd_2^2)/2, d = (mean_1 - mean_2)/s, g = J d with the J of 2 (n - 1)/(1 + r^2) degrees of freedom,
    v = 2(1 - r)/n + g^2 (1 + r^2)/(4 n), which takes the SDs of both measurements as equal; `SMCRPH` does not.
    correct "no": d stands for g.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for n < 2, |r| > 1, two SDs of 0, and
    for 2 pairs with |r| = 1. Raises `OptionError` for an unknown correct. Source: Viechtbauer 2010 (the program; no
    paper has the formulas). Same as `metafor::escalc(measure="SMCRP")`.

    >>> out = average_standardised_change(*(np.array([x]) for x in (38.5, 15.0, 30.6, 11.6, 20.0, 0.47)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.5749, 0.058)
    """
    CORRECT.check("correct", correct)
    d, s2, _, _ = _average(mean_1, sd_1, mean_2, sd_2, r)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = corrected(d, 2 * (n - 1) / (1 + r**2), correct)
        v = (2 * (1 - r) + g**2 * (1 + r**2) / 4) / n
    return finish(g, v, _paired(n, r) & (s2 > 0))


@measure(
    Measure(
        "SMCRPH",
        "Standardised mean change by the average SD, unequal variances",
        "SMCRP",
        "linear",
        "paired means",
        undefined=f"SMCRPH needs {PAIRED}",
        formula=f"{CHANGE} divided by the root of the average of both variances {EXACT}, with a variance that does not "
        "take the two variances as equal",
        conventions={"correct": CORRECT},
        turn="sign",
        standardiser="the average SD of both measurements",
    ),
    cite="bonett2008",
)
def unequal_average_standardised_change(
    mean_1: Floats, sd_1: Floats, mean_2: Floats, sd_2: Floats, n: Floats, r: Floats, *, correct: str = "yes"
) -> Computed:
    """Compute the mean change in units of the SD averaged over both measurements, where their SDs may differ.

    d and g as for `SMCRP`; v = sd_d^2/(s^2 (n - 1)) + g^2 (sd_1^4 + sd_2^4 + 2 r^2 sd_1^2 sd_2^2)/(8 s^4 (n - 1)), with
    sd_d^2 = sd_1^2 + sd_2^2 - 2 r sd_1 sd_2. correct "no": d stands for g.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for n < 2, |r| > 1, two SDs of 0, and
    for 2 pairs with |r| = 1. Raises `OptionError` for an unknown correct. Source: Bonett 2008. Same as
    `metafor::escalc(measure="SMCRPH")`.

    >>> out = unequal_average_standardised_change(*(np.array([x]) for x in (38.5, 15.0, 30.6, 11.6, 20.0, 0.47)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.5749, 0.0629)
    """
    CORRECT.check("correct", correct)
    d, s2, difference, spread = _average(mean_1, sd_1, mean_2, sd_2, r)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = corrected(d, 2 * (n - 1) / (1 + r**2), correct)
        v = (difference + g**2 * spread / 8) / (n - 1)
    return finish(g, v, _paired(n, r) & (s2 > 0))


@measure(
    Measure(
        "ROMC",
        "Ratio of means, paired",
        "ROM",
        "log",
        "paired means",
        undefined="ROMC needs at least 2 pairs, two means of one sign and a correlation between −1 and 1",
        formula="the ratio of means of paired measurements, with variance (c₁² + c₂² − 2rc₁c₂)/n of its logarithm, "
        "where c = SD/m",
        conventions={"correct": ROMC_CORRECT},
        back="exp",
    ),
    cite="lajeunesse2011",
)
def paired_ratio_of_means(
    mean_1: Floats, sd_1: Floats, mean_2: Floats, sd_2: Floats, n: Floats, r: Floats, *, correct: str = "no"
) -> Computed:
    """Compute the log ratio of the means of paired measurements.

    y = log(mean_1/mean_2), v = (c_1^2 + c_2^2 - 2 r c_1 c_2)/n with c = sd/mean and r the correlation of the n pairs.
    correct "yes": y = log(mean_1/mean_2) + (c_1^2 - c_2^2)/(2 n); "no" (the default; metafor 3): without.

    All arguments (k,); means and SDs in the units of a ratio scale. Undefined where the means have not the same sign or
    one is 0, for n < 2, |r| > 1 and where v is 0. Raises `OptionError` for an unknown correct. Source: Lajeunesse 2011.
    Same as `metafor::escalc(measure="ROMC")`.

    >>> out = paired_ratio_of_means(*(np.array([x]) for x in (26.0, 30**0.5, 22.0, 20**0.5, 60.0, 0.7)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.1671, 0.0004)
    """
    ROMC_CORRECT.check("correct", correct)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = mean_1 / mean_2
        y = log_of_ratio(mean_1, mean_2)
        c_1, c_2 = sd_1 / mean_1, sd_2 / mean_2
        if correct == "yes":
            y = y + (c_1 - c_2) * (c_1 + c_2) / (2 * n)
        v = difference_variance(c_1, c_2, r) / n
    return finish(y, v, _paired(n, r) & (ratio > 0))


CLES_FACTS = Measure(
    "CLESCN",
    "Common language effect size, paired, normal",
    "CLES",
    "linear",
    "paired means",
    undefined=f"CLESCN needs {PAIRED}",
    formula="the probability, for normal data, that a value of measurement 1 is above an independent one of 2",
    turn="complement",
)


@measure(CLES_FACTS, cite="mcgraw1992")
@measure(
    Measure(
        "AUCCN",
        "Area under the curve, paired, normal",
        "AUC",
        "linear",
        "paired means",
        undefined=f"AUCCN needs {PAIRED}",
        formula=CLES_FACTS.formula,
        turn="complement",
    ),
    cite="mcgraw1992",
)
def paired_common_language(
    mean_1: Floats, sd_1: Floats, mean_2: Floats, sd_2: Floats, n: Floats, r: Floats
) -> Computed:
    """Compute the probability that a value of measurement 1 is above one of measurement 2, for normal data.

    y = Phi(z) with z = (mean_1 - mean_2)/sqrt(sd_1^2 + sd_2^2); v = phi(z)^2 ((sd_1^2 + sd_2^2 - 2 r sd_1 sd_2)/a +
    z^2 (sd_1^4 + sd_2^4 + 2 r^2 sd_1^2 sd_2^2)/(2 a^2)) / (n - 1) with a = sd_1^2 + sd_2^2 (the second term: a^2).
    The correlation r of the pairs enters the variance only. 1/2 means no effect, and turning the measurements gives
    1 - y.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for n < 2, |r| > 1, two SDs of 0, and
    where the variance is below the smallest number. Source: McGraw & Wong 1992; variance by the delta method. Same as
    `metafor::escalc(measure="CLESCN")`.

    >>> out = paired_common_language(*(np.array([x]) for x in (38.5, 15.0, 30.6, 11.6, 20.0, 0.47)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.6615, 0.0042)
    """
    d, s2, difference, spread = _average(mean_1, sd_1, mean_2, sd_2, r)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        z = d / np.sqrt(2)
        v = np.exp(-(z**2)) / (2 * np.pi) * (difference / 2 + z**2 * spread / 8) / (n - 1)
    return finish(ndtr(z), v, _paired(n, r) & (s2 > 0))
