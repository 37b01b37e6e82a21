"""Differences and ratios of the means of two independent groups."""

from __future__ import annotations

import numpy as np

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, finish, measure
from metaback.stats.measures.small_samples import (
    CORRECT,
    corrected,
    hedges_variance,
    log_of_ratio,
    mean_of_rows,
    small_sample_factor,
)

HEDGES = " and multiplied by the exact correction for small samples (Hedges' g), with "
VTYPE = Convention(
    "variance of the standardised mean difference",
    {
        "LS": Choice(
            formula=f"{HEDGES}the large-sample variance 1/n₁ + 1/n₂ + g²/(2N), as in metafor",
            note="large-sample variance",
            cite="viechtbauer2010",
        ),
        "RevMan": Choice(
            formula=" and multiplied by 1 − 3/(4N − 9) (Hedges' adjusted g), with variance "
            "N/(n₁n₂) + g²/(2(N − 3.94)), the formulas of Review Manager 5",
            note="variance as in RevMan",
            cite="deeks2010",
        ),
        "LS2": Choice(
            formula=f"{HEDGES}variance J²(1/n₁ + 1/n₂ + d²/(2N))",
            note="variance of d times J²",
            cite="borenstein2009",
        ),
        "UB": Choice(formula=f"{HEDGES}its unbiased variance", note="unbiased variance", cite="hedges1983"),
        "AV": Choice(
            formula=f"{HEDGES}variance 1/n₁ + 1/n₂ + ḡ²/(2N), where ḡ is the mean of g over the studies",
            note="variance from the mean of g",
            cite="viechtbauer2010",
        ),
        "H0": Choice(
            formula=f"{HEDGES}variance J²(1/n₁ + 1/n₂)(N − 2)/(N − 4), which holds where there is no effect",
            note="variance under no effect",
            cite="viechtbauer2010",
        ),
    },
)
MD_VTYPE = Convention(
    "variance of the mean difference",
    {
        "LS": Choice(formula=", with variance SD₁²/n₁ + SD₂²/n₂"),
        "RevMan": Choice(formula=", with variance SD₁²/n₁ + SD₂²/n₂"),
        "HO": Choice(
            formula=", with variance s²(1/n₁ + 1/n₂) from the pooled variance s²",
            note="pooled variance",
            cite="borenstein2009",
        ),
    },
)
SMD1_VTYPE = Convention(
    "variance of the standardised mean difference by one SD",
    {
        "LS": Choice(formula=", with the large-sample variance 1/n₁ + 1/n₂ + g²/(2n₂)"),
        "LS2": Choice(formula=", with variance J²(1/n₁ + 1/n₂ + d²/(2n₂))", note="variance of d times J²"),
        "UB": Choice(formula=", with its unbiased variance", note="unbiased variance", cite="hedges1983"),
        "AV": Choice(
            formula=", with variance 1/n₁ + 1/n₂ + ḡ²/(2n₂), where ḡ is the mean of g over the studies",
            note="variance from the mean of g",
        ),
        "H0": Choice(
            formula=", with variance J²(1/n₁ + 1/n₂)(n₂ − 1)/(n₂ − 3), which holds where there is no effect",
            note="variance under no effect",
        ),
    },
)
UNEQUAL = "with a variance that does not take the two groups' variances as equal"
SMDH_VTYPE = Convention(
    "variance of the standardised mean difference without equal variances",
    {
        "LS": Choice(formula=f", {UNEQUAL} (n − 1 throughout, as in metafor since 4.6)", cite="bonett2008"),
        "LS2": Choice(formula=f", {UNEQUAL} (n throughout)", note="variance with n"),
        "LS3": Choice(formula=f", {UNEQUAL} (n for the means, n − 1 for the SDs)", note="variance with n and n − 1"),
        "metafor3": Choice(
            formula=f", {UNEQUAL} (n − 1 throughout, times J², as in metafor before 4.6)",
            note="variance as in metafor 3",
            cite="bonett2008 viechtbauer2010",
        ),
    },
)
ROM_VTYPE = Convention(
    "variance of the log ratio of means",
    {
        "LS": Choice(formula=", with variance SD₁²/(n₁m₁²) + SD₂²/(n₂m₂²) of its logarithm"),
        "LS2": Choice(
            formula=", with the variance of its logarithm to the second order",
            note="variance to the second order",
            cite="lajeunesse2015",
        ),
        "HO": Choice(
            formula=", with the variance of its logarithm from the pooled variance of the groups",
            note="pooled variance",
        ),
        "AV": Choice(
            formula=", with the variance of its logarithm from the mean coefficient of variation of each group over "
            "the studies",
            note="variance from the mean coefficients of variation",
            cite="nakagawa2023",
        ),
        "AVHO": Choice(
            formula=", with the variance of its logarithm from the mean coefficient of variation over both groups "
            "and all studies",
            note="variance from the mean coefficient of variation",
            cite="nakagawa2023",
        ),
    },
)
ROM_CORRECT = Convention(
    "correction for small samples",
    {
        "no": Choice(),
        "yes": Choice(
            formula=" and half the difference of the two parts of the variance added as a correction for small samples",
            note="corrected for small samples",
            cite="lajeunesse2015",
        ),
    },
)
NEEDS_TWO = "needs at least 2 people in each group and a standard deviation above 0"


@measure(
    Measure(
        "SMD",
        "Standardised mean difference",
        "SMD",
        "linear",
        "means",
        undefined="SMD needs more than 3 people and a standard deviation above 0",
        formula="the difference in means divided by the pooled standard deviation",
        conventions={"vtype": VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the pooled SD",
    ),
    cite="hedges1981",
)
def standardised_mean_difference(
    mean_1: Floats,
    sd_1: Floats,
    n_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n_2: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute Hedges' g, the difference of means in units of their pooled standard deviation, corrected for bias.

    d = (mean_1 - mean_2) / s with s^2 = ((n_1 - 1) sd_1^2 + (n_2 - 1) sd_2^2) / (N - 2) and N = n_1 + n_2.
    g = J d with the exact J of N - 2 degrees of freedom; vtype, with w = 1/n_1 + 1/n_2:
    "LS": v = w + g^2/(2 N); "LS2": v = J^2 (w + d^2/(2 N)); "UB": v = w + (1 - (N - 4)/((N - 2) J^2)) g^2;
    "AV": v = w + h^2/(2 N), h the mean of g weighted by N over all rows given, so that rows know each other;
    "H0": v = J^2 w (N - 2)/(N - 4), exact where there is no effect;
    "RevMan": g = (1 - 3/(4N - 9)) d, v = N/(n_1 n_2) + g^2/(2 (N - 3.94)).
    correct "no": d stands for g, J is 1.

    All arguments (k,); means and SDs in the units of the instrument, effects in SD units. Undefined for N <= 3 ("H0":
    N <= 4) and for two SDs of 0. Raises `OptionError` for an unknown vtype or correct. Source: Hedges
    1981, 1982 (LS), 1983 (UB); Borenstein 2009 (LS2); Deeks & Higgins 2010 (RevMan). Same as
    `metafor::escalc(measure="SMD")`.

    >>> one = [np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)]
    >>> out = standardised_mean_difference(*one)
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.5924, 0.0418)
    """
    VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    total, df = n_1 + n_2, n_1 + n_2 - 2
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = pooled_sd(sd_1, n_1, sd_2, n_2)
        d = (mean_1 - mean_2) / sd
        base = 1 / n_1 + 1 / n_2
        defined = (total > 3) & (sd > 0)
        g = corrected(d, df, correct)
        if vtype == "RevMan":
            g = (1 - 3 / (4 * total - 9)) * d if correct == "yes" else d
            v = total / (n_1 * n_2) + g**2 / (2 * (total - 3.94))
        elif vtype == "AV":
            v = base + mean_of_rows(g, total, defined & np.isfinite(g)) ** 2 / (2 * total)
        else:
            v = hedges_variance(d, base, total, df, vtype, correct=correct)
    return finish(g, v, defined)


@measure(
    Measure(
        "MD",
        "Mean difference",
        "MD",
        "linear",
        "means",
        undefined="MD needs a standard deviation above 0",
        formula="the difference in means",
        conventions={"vtype": MD_VTYPE},
        turn="sign",
    ),
    cite="deeks2010",
)
def mean_difference(
    mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats, *, vtype: str = "LS"
) -> Computed:
    """Compute the difference of means.

    y = mean_1 - mean_2; vtype "LS" and "RevMan": v = sd_1^2/n_1 + sd_2^2/n_2; "HO" (groups of one variance):
    v = s^2 (1/n_1 + 1/n_2) with s^2 = ((n_1 - 1) sd_1^2 + (n_2 - 1) sd_2^2) / (n_1 + n_2 - 2).

    All arguments (k,), in the units of the instrument. Undefined for two SDs of 0, and "HO" for two people. Raises
    `OptionError` for an unknown vtype. Source: Deeks & Higgins 2010; Borenstein 2009. Same as
    `metafor::escalc(measure="MD")`.

    >>> one = [np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)]
    >>> out = mean_difference(*one)
    >>> float(out.yi[0]), float(out.vi[0].round(12))
    (3.0, 1.01)
    """
    MD_VTYPE.check("vtype", vtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        if vtype == "HO":
            v = pooled_sd(sd_1, n_1, sd_2, n_2) ** 2 * (1 / n_1 + 1 / n_2)
        else:
            v = sd_1**2 / n_1 + sd_2**2 / n_2
    return finish(mean_1 - mean_2, v, (n_1 > 0) & (n_2 > 0))


def pooled_sd(sd_1: Floats, n_1: Floats, sd_2: Floats, n_2: Floats) -> Floats:
    """Return the pooled SD of two groups, (k,): nan for two people in all or less."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(((n_1 - 1) * sd_1**2 + (n_2 - 1) * sd_2**2) / (n_1 + n_2 - 2))


@measure(
    Measure(
        "SMDH",
        "Standardised mean difference, unequal variances",
        "SMD",
        "linear",
        "means",
        undefined=f"SMDH {NEEDS_TWO}",
        formula="the difference in means divided by the root of the average of both variances and multiplied by the "
        "exact correction for small samples",
        conventions={"vtype": SMDH_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the average SD of both groups",
    ),
    cite="bonett2009",
)
def unequal_standardised_mean_difference(
    mean_1: Floats,
    sd_1: Floats,
    n_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n_2: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the standardised mean difference of groups whose variances may differ.

    s^2 = (sd_1^2 + sd_2^2)/2, d = (mean_1 - mean_2)/s, g = J d with the J of n_1 + n_2 - 2 degrees of freedom.
    v = g^2 (sd_1^4/a_1 + sd_2^4/a_2)/(8 s^4) + (sd_1^2/b_1 + sd_2^2/b_2)/s^2, where vtype says what a and b are:
    "LS" (metafor since 4.6, the default): both n - 1; "LS2": both n; "LS3": a = n - 1, b = n; "metafor3" (metafor
    before 4.6): both n - 1, and the whole times J^2. correct "no": d stands for g, J is 1.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for n < 2 in a group and for two SDs
    of 0. Raises `OptionError` for an unknown vtype or correct. Source: Bonett 2008, 2009. Same as
    `metafor::escalc(measure="SMDH")`, but for vtype "LS2" of 3.8-1, which depends on the unit of the instrument.

    >>> one = [np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)]
    >>> out = unequal_standardised_mean_difference(*one)
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.5924, 0.0427)
    """
    SMDH_VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    a_1, a_2 = (n_1, n_2) if vtype == "LS2" else (n_1 - 1, n_2 - 1)
    b_1, b_2 = (n_1, n_2) if vtype in {"LS2", "LS3"} else (n_1 - 1, n_2 - 1)
    df = n_1 + n_2 - 2
    with np.errstate(divide="ignore", invalid="ignore"):
        s2 = (sd_1**2 + sd_2**2) / 2
        p_1, p_2 = sd_1**2 / s2, sd_2**2 / s2
        g = corrected((mean_1 - mean_2) / np.sqrt(s2), df, correct)
        v = g**2 * (p_1**2 / a_1 + p_2**2 / a_2) / 8 + p_1 / b_1 + p_2 / b_2
    if vtype == "metafor3" and correct == "yes":
        v = v * small_sample_factor(df) ** 2
    return finish(g, v, (n_1 > 1) & (n_2 > 1) & (s2 > 0))


@measure(
    Measure(
        "SMD1",
        "Standardised mean difference by the SD of group 2",
        "SMD",
        "linear",
        "means",
        undefined="SMD1 needs at least 3 people in group 2 and a standard deviation there above 0",
        formula="the difference in means divided by the standard deviation of the second group and multiplied by the "
        "exact correction for small samples (Glass's delta)",
        conventions={"vtype": SMD1_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the SD of group 2",
    ),
    cite="hedges1981",
)
def control_standardised_mean_difference(
    mean_1: Floats,
    n_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n_2: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the difference of means in units of the SD of the second group (Glass's delta, corrected).

    d = (mean_1 - mean_2)/sd_2, g = J d with the J of n_2 - 1 degrees of freedom. vtype, with w = 1/n_1 + 1/n_2:
    "LS": v = w + g^2/(2 n_2); "LS2": v = J^2 (w + d^2/(2 n_2)); "UB": v = w + (1 - (n_2 - 3)/((n_2 - 1) J^2)) g^2;
    "AV": v = w + h^2/(2 n_2), h the mean of g weighted by n_1 + n_2 over all rows given;
    "H0": v = J^2 w (n_2 - 1)/(n_2 - 3). All take the variances of the groups as equal; `SMD1H` does not.
    correct "no": d stands for g, J is 1.

    All arguments (k,); means and SD in the units of the instrument. Undefined for n_2 <= 2 ("H0": n_2 <= 3) and
    sd_2 = 0. The second group sets the unit, so that swapping the groups does not turn the sign only. Raises
    `OptionError` for an unknown vtype or correct. Source: Hedges 1981. Same as `metafor::escalc(measure="SMD1")`.

    >>> one = [np.array([x]) for x in (103.0, 50.0, 100.0, 4.5, 50.0)]
    >>> out = control_standardised_mean_difference(*one)
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.6564, 0.0443)
    """
    SMD1_VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    df, defined = n_2 - 1, (n_2 > 2) & (sd_2 > 0) & (n_1 > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        d = (mean_1 - mean_2) / sd_2
        base = 1 / n_1 + 1 / n_2
        g = corrected(d, df, correct)
        if vtype == "AV":
            v = base + mean_of_rows(g, n_1 + n_2, defined & np.isfinite(g)) ** 2 / (2 * n_2)
        else:
            v = hedges_variance(d, base, n_2, df, vtype, correct=correct)
    return finish(g, v, defined)


SMD1H_VTYPE = Convention(
    "variance of the standardised mean difference by one SD without equal variances",
    {
        "LS": Choice(formula=f", {UNEQUAL} (n − 1 throughout, as in metafor since 4.6)", cite="bonett2008"),
        "metafor3": Choice(
            formula=f", {UNEQUAL} (n throughout, as in metafor before 4.6)", note="variance as in metafor 3"
        ),
    },
)


@measure(
    Measure(
        "SMD1H",
        "Standardised mean difference by the SD of group 2, unequal variances",
        "SMD",
        "linear",
        "means",
        undefined="SMD1H needs at least 3 people in group 2, 2 in group 1, and a standard deviation in group 2 above 0",
        formula="the difference in means divided by the standard deviation of the second group and multiplied by the "
        "exact correction for small samples (Glass's delta)",
        conventions={"vtype": SMD1H_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the SD of group 2",
    ),
    cite="bonett2008",
)
def unequal_control_standardised_mean_difference(
    mean_1: Floats,
    sd_1: Floats,
    n_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n_2: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the difference of means in units of the SD of the second group, where the variances may differ.

    d = (mean_1 - mean_2)/sd_2, g = J d with the J of n_2 - 1 degrees of freedom.
    v = sd_1^2/(sd_2^2 b_1) + 1/b_2 + g^2/(2 b_2); vtype "LS" (metafor since 4.6, the default): b = n - 1;
    "metafor3" (metafor before 4.6): b = n. correct "no": d stands for g.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for n_2 <= 2, n_1 < 2 and sd_2 = 0.
    Swapping the groups does not turn the sign only. Raises `OptionError` for an unknown vtype or correct. Source:
    Bonett 2008. Same as `metafor::escalc(measure="SMD1H")`.

    >>> one = [np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)]
    >>> out = unequal_control_standardised_mean_difference(*one)
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.6564, 0.0553)
    """
    SMD1H_VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    b_1, b_2 = (n_1, n_2) if vtype == "metafor3" else (n_1 - 1, n_2 - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = corrected((mean_1 - mean_2) / sd_2, n_2 - 1, correct)
        v = (sd_1 / sd_2) ** 2 / b_1 + 1 / b_2 + g**2 / (2 * b_2)
    return finish(g, v, (n_2 > 2) & (b_1 > 0) & (sd_2 > 0))


@measure(
    Measure(
        "ROM",
        "Ratio of means",
        "ROM",
        "log",
        "means",
        undefined="ROM needs two means of one sign and a standard deviation above 0",
        formula="the ratio of means",
        conventions={"vtype": ROM_VTYPE, "correct": ROM_CORRECT},
        back="exp",
    ),
    cite="hedges1999",
)
def ratio_of_means(
    mean_1: Floats,
    sd_1: Floats,
    n_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n_2: Floats,
    *,
    vtype: str = "LS",
    correct: str = "no",
) -> Computed:
    """Compute the log ratio of means (response ratio).

    y = log(mean_1/mean_2). vtype, with q = sd^2/(n mean^2) of each group: "LS": v = q_1 + q_2; "LS2" (to the second
    order): v = q_1 + q_2 + (q_1^2 + q_2^2)/2; "HO": the pooled variance stands for both sd^2; "AV": the mean of
    sd/mean over all rows given, weighted by n, stands for that of each group; "AVHO": the same over both groups.
    correct "yes" (metafor since 4): y = log(mean_1/mean_2) + (q_1 - q_2)/2; "no" (the default; metafor 3): without.

    All arguments (k,); means and SDs in the units of a ratio scale. Undefined where the means have not the same sign
    or one is 0, and for two SDs of 0. Raises `OptionError` for an unknown vtype or correct. Source: Hedges, Gurevitch
    & Curtis 1999; Lajeunesse 2015 (LS2, correct); Nakagawa 2023 (AV, AVHO). Same as `metafor::escalc(measure="ROM")`.

    >>> one = [np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)]
    >>> out = ratio_of_means(*one)
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (0.0296, 9.8e-05)
    """
    ROM_VTYPE.check("vtype", vtype)
    ROM_CORRECT.check("correct", correct)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y = log_of_ratio(mean_1, mean_2)
        defined = np.isfinite(y) & (n_1 > 0) & (n_2 > 0) & np.isfinite(sd_1) & np.isfinite(sd_2)
        q_1, q_2 = (sd_1 / mean_1) ** 2 / n_1, (sd_2 / mean_2) ** 2 / n_2
        if correct == "yes":
            y = y + (q_1 - q_2) / 2
        v = q_1 + q_2
        if vtype == "LS2":
            v = v + (q_1**2 + q_2**2) / 2
        elif vtype == "HO":
            v = pooled_sd(sd_1, n_1, sd_2, n_2) ** 2 * (1 / (n_1 * mean_1**2) + 1 / (n_2 * mean_2**2))
        elif vtype in {"AV", "AVHO"}:
            cv_1, cv_2 = (mean_of_rows(s / m, n, defined) for s, m, n in ((sd_1, mean_1, n_1), (sd_2, mean_2, n_2)))
            if vtype == "AVHO":
                size_1, size_2 = (np.sum(n, where=defined, keepdims=True) for n in (n_1, n_2))
                cv_1 = cv_2 = (size_1 * cv_1 + size_2 * cv_2) / (size_1 + size_2)
            v = cv_1**2 / n_1 + cv_2**2 / n_2
    return finish(y, v, defined)
