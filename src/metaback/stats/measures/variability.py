"""Ratios of the variability of two groups, independent or paired."""

from __future__ import annotations

import numpy as np

from metaback.stats.measures.family import Computed, Floats, Measure, finish, measure
from metaback.stats.measures.small_samples import CORRECT, log_of_ratio

NEEDS_TWO = "at least 2 people in each group, standard deviations above 0"


@measure(
    Measure(
        "VR",
        "Variability ratio",
        "VR",
        "log",
        "means",
        undefined="VR needs at least 2 people in each group and standard deviations above 0",
        formula="the ratio of standard deviations, its logarithm corrected by 1/(2(n₁ − 1)) − 1/(2(n₂ − 1)), with "
        "variance 1/(2(n₁ − 1)) + 1/(2(n₂ − 1))",
        conventions={"correct": CORRECT},
        back="exp",
        turn="same",
    ),
    cite="nakagawa2015",
)
def variability_ratio(sd_1: Floats, n_1: Floats, sd_2: Floats, n_2: Floats, *, correct: str = "yes") -> Computed:
    """Compute the log ratio of two standard deviations.

    y = log(sd_1/sd_2) + 1/(2 (n_1 - 1)) - 1/(2 (n_2 - 1)), v = 1/(2 (n_1 - 1)) + 1/(2 (n_2 - 1)).
    correct "no": y = log(sd_1/sd_2).

    All arguments (k,); SDs in the units of the instrument. Undefined for n < 2 and for an SD of 0. Raises
    `OptionError` for an unknown correct. Source: Nakagawa et al. 2015. Same as `metafor::escalc(measure="VR")`.

    >>> out = variability_ratio(*(np.array([x]) for x in (5.5, 50.0, 4.5, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.2007, 0.0204)
    """
    CORRECT.check("correct", correct)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        h_1, h_2 = 0.5 / (n_1 - 1), 0.5 / (n_2 - 1)
        y = log_of_ratio(sd_1, sd_2) + (h_1 - h_2 if correct == "yes" else 0.0)
    return finish(y, h_1 + h_2, (n_1 > 1) & (n_2 > 1) & (sd_1 > 0) & (sd_2 > 0))


@measure(
    Measure(
        "CVR",
        "Coefficient of variation ratio",
        "CVR",
        "log",
        "means",
        undefined=f"CVR needs {NEEDS_TWO} and means above 0",
        formula="the ratio of coefficients of variation, its logarithm corrected by 1/(2(n₁ − 1)) − 1/(2(n₂ − 1)), "
        "with variance 1/(2(n₁ − 1)) + 1/(2(n₂ − 1)) + SD₁²/(n₁m₁²) + SD₂²/(n₂m₂²)",
        conventions={"correct": CORRECT},
        back="exp",
    ),
    cite="nakagawa2015",
)
def variation_ratio(
    mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats, *, correct: str = "yes"
) -> Computed:
    """Compute the log ratio of two coefficients of variation.

    y = log((sd_1/mean_1)/(sd_2/mean_2)) + 1/(2 (n_1 - 1)) - 1/(2 (n_2 - 1)),
    v = 1/(2 (n_1 - 1)) + 1/(2 (n_2 - 1)) + sd_1^2/(n_1 mean_1^2) + sd_2^2/(n_2 mean_2^2), without the correlation of
    mean and SD over studies, as for normal data. correct "no": y without the terms in n.

    All arguments (k,); means and SDs in the units of a ratio scale. Undefined for n < 2, for an SD of 0 and for means
    that are not above 0. Raises `OptionError` for an unknown correct. Source: Nakagawa et al. 2015. Same as
    `metafor::escalc(measure="CVR")`.

    >>> out = variation_ratio(*(np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.1711, 0.0205)
    """
    spread = variability_ratio(sd_1, n_1, sd_2, n_2, correct=correct)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y = spread.yi - log_of_ratio(mean_1, mean_2)
        v = spread.vi + (sd_1 / mean_1) ** 2 / n_1 + (sd_2 / mean_2) ** 2 / n_2
    return finish(y, v, spread.defined & (mean_1 > 0) & (mean_2 > 0))


@measure(
    Measure(
        "VRC",
        "Variability ratio, paired",
        "VR",
        "log",
        "paired means",
        undefined="VRC needs at least 2 people, standard deviations above 0 and a correlation between −1 and 1",
        formula="the ratio of standard deviations of paired measurements, with variance (1 − r²)/(n − 1) of its "
        "logarithm",
        back="exp",
        turn="same",
    ),
    cite="nakagawa2015",
)
def paired_variability_ratio(sd_1: Floats, sd_2: Floats, n: Floats, r: Floats) -> Computed:
    """Compute the log ratio of the standard deviations of paired measurements.

    y = log(sd_1/sd_2), v = (1 - r^2)/(n - 1), with r the correlation of the pairs and n their number; the correction
    for small samples is the same for both and cancels.

    All arguments (k,); SDs in the units of the instrument. Undefined for n < 2, an SD of 0 and |r| >= 1. Source:
    Nakagawa et al. 2015, for dependent measurements. Same as `metafor::escalc(measure="VRC")`.

    >>> out = paired_variability_ratio(*(np.array([x]) for x in (5.5, 4.5, 50.0, 0.5)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.2007, 0.0153)
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y = log_of_ratio(sd_1, sd_2)
        v = (1 - r) * (1 + r) / (n - 1)
    return finish(y, v, (n > 1) & (sd_1 > 0) & (sd_2 > 0) & (np.abs(r) < 1))


@measure(
    Measure(
        "CVRC",
        "Coefficient of variation ratio, paired",
        "CVR",
        "log",
        "paired means",
        undefined="CVRC needs at least 2 people, standard deviations and means above 0 and a correlation between −1 "
        "and 1",
        formula="the ratio of coefficients of variation of paired measurements, with variance (1 − r²)/(n − 1) + "
        "(c₁² + c₂² − 2rc₁c₂)/n of its logarithm, where c = SD/m",
        back="exp",
    ),
    cite="nakagawa2015",
)
def paired_variation_ratio(
    mean_1: Floats, sd_1: Floats, mean_2: Floats, sd_2: Floats, n: Floats, r: Floats
) -> Computed:
    """Compute the log ratio of the coefficients of variation of paired measurements.

    y = log(c_1/c_2) with c = sd/mean, v = (1 - r^2)/(n - 1) + (c_1^2 + c_2^2 - 2 r c_1 c_2)/n, with r the
    correlation of the pairs and n their number.

    All arguments (k,); means and SDs in the units of a ratio scale. Undefined for n < 2, an SD of 0, means that are not
    above 0 and |r| >= 1. Source: Nakagawa et al. 2015, for dependent measurements. Same as
    `metafor::escalc(measure="CVRC")`.

    >>> out = paired_variation_ratio(*(np.array([x]) for x in (103.0, 5.5, 100.0, 4.5, 50.0, 0.5)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.1711, 0.0154)
    """
    spread = paired_variability_ratio(sd_1, sd_2, n, r)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        c_1, c_2 = sd_1 / mean_1, sd_2 / mean_2
        y = spread.yi - log_of_ratio(mean_1, mean_2)
        v = spread.vi + ((c_1 - c_2) ** 2 + 2 * (1 - r) * c_1 * c_2) / n
    return finish(y, v, spread.defined & (mean_1 > 0) & (mean_2 > 0))
