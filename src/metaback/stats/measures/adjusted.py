"""Differences of means that the study adjusted for a covariate, mostly the value before (analysis of covariance)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, finish, measure
from metaback.stats.measures.means import pooled_sd
from metaback.stats.measures.small_samples import CORRECT, corrected, hedges_variance

ADJUSTED = "the difference in means adjusted for the covariate"
EXACT = "and multiplied by the exact correction for small samples"
TWO_EACH = "at least 1 person in each group and 4 in all"
SHARE = "a correlation with the covariate between −1 and 1"


def _vtypes(base: str) -> Convention:
    """Describe the two variances of a standardised adjusted difference."""
    return Convention(
        "variance of the adjusted standardised mean difference",
        {
            "LS": Choice(formula=f", with the large-sample variance {base} + g²/(2N)"),
            "LS2": Choice(
                formula=f", with variance J²({base} + d²/(2N))", note="variance of d times J²", cite="borenstein2009b"
            ),
        },
    )


UNADJUSTED_VTYPE = _vtypes("(1 − r²)(1/n₁ + 1/n₂)")
RESIDUAL_VTYPE = _vtypes("1/n₁ + 1/n₂")


def _sizes(n_1: Floats, n_2: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return 1/n_1 + 1/n_2, the residual degrees of freedom with one covariate, and which rows have people."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 / n_1 + 1 / n_2, n_1 + n_2 - 3, (n_1 >= 1) & (n_2 >= 1)


def _standardised(
    difference: Floats, unit: Floats, base: Floats, sizes: tuple[Floats, Floats], words: tuple[str, str]
) -> tuple[Floats, Floats]:
    """Return g and its variance; base: the variance of the difference in units of the true SD; sizes: N and df."""
    vtype, correct = words
    with np.errstate(divide="ignore", invalid="ignore"):
        d = difference / unit
        return corrected(d, sizes[1], correct), hedges_variance(d, base, *sizes, vtype, correct=correct)


@measure(
    Measure(
        "MDA",
        "Mean difference, adjusted",
        "MD",
        "linear",
        "means",
        undefined=f"MDA needs {TWO_EACH} and a residual standard deviation above 0",
        formula=f"{ADJUSTED}, with variance s²(1/n₁ + 1/n₂) from the residual standard deviation s",
        turn="sign",
    ),
    cite="deeks2024",
)
def adjusted_difference(
    mean_adj_1: Floats, n_1: Floats, mean_adj_2: Floats, n_2: Floats, sd_residual: Floats
) -> Computed:
    """Compute the difference of two means that were adjusted for a covariate.

    y = mean_adj_1 - mean_adj_2, v = sd_residual^2 (1/n_1 + 1/n_2). The exact variance has one more term,
    sd_residual^2 (x_1 - x_2)^2/SS with the groups' means x of the covariate and its sum of squares SS within groups,
    which papers do not print; it is 0 where the groups start equal and of the order 1/N^2 where they are randomised.

    All arguments (k,), in the units of the instrument; sd_residual is the root of the mean square error of the analysis
    of covariance. May be pooled with `MD` of final values and `MDCH` of the same instrument. Undefined for N < 4 and
    for an sd_residual of 0. Source: the analysis of covariance; Deeks et al. 2024, section 10.5.2, on pooling such
    estimates with others.

    >>> out = adjusted_difference(*(np.array([x]) for x in (103.0, 50.0, 100.0, 50.0, 5.5)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (3.0, 1.21)
    """
    base, df, people = _sizes(n_1, n_2)
    return finish(mean_adj_1 - mean_adj_2, sd_residual**2 * base, people & (df > 0) & (sd_residual > 0))


@measure(
    Measure(
        "SMDA",
        "Standardised mean difference, adjusted, by the unadjusted SD",
        "SMD",
        "linear",
        "means",
        undefined=f"SMDA needs {TWO_EACH}, a standard deviation above 0 and {SHARE}",
        formula=f"{ADJUSTED} divided by the pooled unadjusted standard deviation {EXACT}; r is the correlation of "
        "covariate and outcome within groups",
        conventions={"vtype": UNADJUSTED_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the pooled SD",
    ),
    cite="borenstein2009b",
)
def adjusted_standardised_difference(
    mean_adj_1: Floats,
    sd_1: Floats,
    n_1: Floats,
    mean_adj_2: Floats,
    sd_2: Floats,
    n_2: Floats,
    r_covariate: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the adjusted difference of means in units of the pooled SD that the outcome has without adjustment.

    d = (mean_adj_1 - mean_adj_2)/s with the pooled SD s of sd_1 and sd_2, g = J d with the exact J of N - 2 degrees of
    freedom, N = n_1 + n_2, w = (1 - r_covariate^2)(1/n_1 + 1/n_2). vtype "LS": v = w + g^2/(2 N); "LS2":
    v = J^2 (w + d^2/(2 N)). correct "no": d stands for g, J is 1. The unit is that of `SMD`, so the two may be pooled.

    All arguments (k,), means and SDs in the units of the instrument; r_covariate is the correlation of covariate and
    outcome within groups (for several covariates the multiple correlation). Undefined for N < 4, |r_covariate| > 1 and
    two SDs of 0. Raises `OptionError` for an unknown vtype or correct. Source: Borenstein 2009, who has "LS2".

    >>> row = (103.0, 7.7, 50.0, 100.0, 7.7, 50.0, 0.7)
    >>> out = adjusted_standardised_difference(*(np.array([x]) for x in row))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.3866, 0.0211)
    """
    UNADJUSTED_VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    base, df, people = _sizes(n_1, n_2)
    sd = pooled_sd(sd_1, n_1, sd_2, n_2)
    left = (1 - r_covariate) * (1 + r_covariate)
    g, v = _standardised(mean_adj_1 - mean_adj_2, sd, left * base, (n_1 + n_2, df + 1), (vtype, correct))
    return finish(g, v, people & (df > 0) & (sd > 0) & (left >= 0))


@measure(
    Measure(
        "SMDAW",
        "Standardised mean difference, adjusted, by the SD within groups from the residual SD",
        "SMD",
        "linear",
        "means",
        undefined=f"SMDAW needs {TWO_EACH}, a residual standard deviation above 0 and {SHARE}",
        formula=f"{ADJUSTED} divided by the standard deviation within groups, s/√(1 − r²) from the residual standard "
        f"deviation s and the correlation r of covariate and outcome within groups, {EXACT}",
        conventions={"vtype": UNADJUSTED_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the pooled SD",
    ),
    cite="borenstein2009b",
)
def residual_to_unadjusted_difference(
    mean_adj_1: Floats,
    n_1: Floats,
    mean_adj_2: Floats,
    n_2: Floats,
    sd_residual: Floats,
    r_covariate: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the adjusted difference of means in units of the SD within groups, recovered from the residual SD.

    s = sd_residual/sqrt(1 - r_covariate^2), d = (mean_adj_1 - mean_adj_2)/s, g = J d with the exact J of N - 3 degrees
    of freedom, which one covariate leaves; vtype and correct as for `SMDA`, with which it shares its unit.

    All arguments (k,), means and SD in the units of the instrument; sd_residual is the root of the mean square error.
    Undefined for N < 5, |r_covariate| >= 1 and an sd_residual of 0. Raises `OptionError` for an unknown vtype or
    correct. Source: Borenstein 2009, who has "LS2".

    >>> out = residual_to_unadjusted_difference(*(np.array([x]) for x in (103.0, 50.0, 100.0, 50.0, 5.5, 0.7)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.3865, 0.0211)
    """
    UNADJUSTED_VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    base, df, people = _sizes(n_1, n_2)
    left = (1 - r_covariate) * (1 + r_covariate)
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = sd_residual / np.sqrt(np.where(left > 0, left, np.nan))
    g, v = _standardised(mean_adj_1 - mean_adj_2, sd, left * base, (n_1 + n_2, df), (vtype, correct))
    return finish(g, v, people & (sd > 0))


@measure(
    Measure(
        "SMDAR",
        "Standardised mean difference, adjusted, by the residual SD",
        "SMD by residual SD",
        "linear",
        "means",
        undefined=f"SMDAR needs {TWO_EACH} and a residual standard deviation above 0",
        formula=f"{ADJUSTED} divided by the residual standard deviation {EXACT}",
        conventions={"vtype": RESIDUAL_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the residual SD",
    ),
    cite="borenstein2009b",
)
def residual_standardised_difference(
    mean_adj_1: Floats,
    n_1: Floats,
    mean_adj_2: Floats,
    n_2: Floats,
    sd_residual: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the adjusted difference of means in units of the residual SD.

    d = (mean_adj_1 - mean_adj_2)/sd_residual, g = J d with the exact J of N - 3 degrees of freedom, which one covariate
    leaves, w = 1/n_1 + 1/n_2. vtype "LS": v = w + g^2/(2 N); "LS2": v = J^2 (w + d^2/(2 N)). correct "no": d stands for
    g, J is 1.

    All arguments (k,), in the units of the instrument. The residual SD is smaller than the SD of the outcome by
    sqrt(1 - r^2), so that effects are larger than those of `SMD`: do not pool the two. Undefined for N < 5 and an
    sd_residual of 0. Raises `OptionError` for an unknown vtype or correct. Source: Borenstein 2009, without his step to
    the SD within groups.

    >>> out = residual_standardised_difference(*(np.array([x]) for x in (103.0, 50.0, 100.0, 50.0, 5.5)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.5412, 0.0415)
    """
    RESIDUAL_VTYPE.check("vtype", vtype)
    CORRECT.check("correct", correct)
    base, df, people = _sizes(n_1, n_2)
    g, v = _standardised(mean_adj_1 - mean_adj_2, sd_residual, base, (n_1 + n_2, df), (vtype, correct))
    return finish(g, v, people & (sd_residual > 0))
