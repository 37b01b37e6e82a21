"""Mean differences in units that do not come from the study: percent of the scale, a reference SD, an important change.

What divides the difference is the same number for all people of a row and is taken as known, so the variance of the
mean difference is divided by its square, there is no correction for small samples, and change scores may be pooled with
final values of the same instrument.
"""

from __future__ import annotations

import numpy as np

from metaback.stats.measures.family import Computed, Floats, Measure, finish, measure
from metaback.stats.measures.means import MD_VTYPE, mean_difference


def _in_units(difference: Computed, unit: Floats) -> Computed:
    """Divide a mean difference by a known number; undefined where that is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return finish(difference.yi / unit, difference.vi / unit**2, difference.defined & (unit > 0))


@measure(
    Measure(
        "POMP",
        "Mean difference in percent of the scale",
        "MD, % of scale",
        "linear",
        "means",
        undefined="POMP needs a standard deviation above 0, a highest score above the lowest and a difference within "
        "the scale",
        formula="the difference in means as a percentage of the range of the scale (percent of maximum possible)",
        conventions={"vtype": MD_VTYPE},
        turn="sign",
        standardiser="the range of the scale",
    ),
    cite="cohen1999",
)
def percent_of_range(
    mean_1: Floats,
    sd_1: Floats,
    n_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n_2: Floats,
    scale_low: Floats,
    scale_high: Floats,
    *,
    vtype: str = "LS",
) -> Computed:
    """Compute the difference of means as a percentage of the range of the scale (POMP, percent of maximum possible).

    y = 100 (mean_1 - mean_2)/(scale_high - scale_low), v = 100^2 v(MD)/(scale_high - scale_low)^2, with the variance
    of `mean_difference`: vtype "LS" and "RevMan": sd_1^2/n_1 + sd_2^2/n_2; "HO": from the pooled variance.

    All arguments (k,), means, SDs and the lowest and highest possible score in the units of the instrument; mean
    changes may stand for means. Undefined for two SDs of 0, for a range of 0 or less, and for a difference greater than
    the range, which no final values can have. Raises `OptionError` for an unknown vtype. Source: Cohen, Cohen, Aiken &
    West 1999.

    >>> row = (3.1, 2.0, 40.0, 4.6, 2.2, 38.0, 0.0, 10.0)
    >>> out = percent_of_range(*(np.array([x]) for x in row))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-15.0, 22.7368)
    """
    difference = mean_difference(mean_1, sd_1, n_1, mean_2, sd_2, n_2, vtype=vtype)
    done = _in_units(difference, (scale_high - scale_low) / 100)
    return finish(done.yi, done.vi, done.defined & (np.abs(done.yi) <= 100))


@measure(
    Measure(
        "SMDE",
        "Mean difference by a reference SD",
        "SMD",
        "linear",
        "means",
        undefined="SMDE needs a standard deviation and a reference standard deviation above 0",
        formula="the difference in means divided by a reference standard deviation of the instrument from outside the "
        "study, which is taken as known",
        conventions={"vtype": MD_VTYPE},
        turn="sign",
        standardiser="a reference SD of the instrument",
    ),
    cite="daly2021 gallardogomez2024",
)
def reference_standardised_difference(
    mean_1: Floats,
    sd_1: Floats,
    n_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n_2: Floats,
    sd_reference: Floats,
    *,
    vtype: str = "LS",
) -> Computed:
    """Compute the difference of means in units of one reference SD per instrument.

    y = (mean_1 - mean_2)/sd_reference, v = v(MD)/sd_reference^2, with the variance of `mean_difference`: vtype "LS" and
    "RevMan": sd_1^2/n_1 + sd_2^2/n_2; "HO": from the pooled variance. The studies' own SDs serve precision alone,
    so differences between them do not pass for differences between effects, as they do in an `SMD`.

    All arguments (k,), in the units of the instrument; mean changes may stand for means, with the SDs of the changes;
    give every row of an instrument the same sd_reference. Undefined for two SDs of 0 and for an sd_reference that is
    not above 0. Raises `OptionError` for an unknown vtype. Source: Daly et al. 2021; Gallardo-Gómez et al. 2024.

    >>> out = reference_standardised_difference(*(np.array([x]) for x in (3.1, 2.0, 40.0, 4.6, 2.2, 38.0, 2.5)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.6, 0.0364)
    """
    return _in_units(mean_difference(mean_1, sd_1, n_1, mean_2, sd_2, n_2, vtype=vtype), sd_reference)


@measure(
    Measure(
        "MIDU",
        "Mean difference in minimal important differences",
        "MD, MID units",
        "linear",
        "means",
        undefined="MIDU needs a standard deviation and a minimal important difference above 0",
        formula="the difference in means divided by the minimal important difference of the instrument, which is taken "
        "as known",
        conventions={"vtype": MD_VTYPE},
        turn="sign",
        standardiser="the minimal important difference of the instrument",
    ),
    cite="johnston2010",
)
def important_differences(
    mean_1: Floats,
    sd_1: Floats,
    n_1: Floats,
    mean_2: Floats,
    sd_2: Floats,
    n_2: Floats,
    mid: Floats,
    *,
    vtype: str = "LS",
) -> Computed:
    """Compute the difference of means in units of the minimal important difference (MID) of the instrument.

    y = (mean_1 - mean_2)/mid, v = v(MD)/mid^2, with the variance of `mean_difference`: vtype "LS" and "RevMan":
    sd_1^2/n_1 + sd_2^2/n_2; "HO": from the pooled variance. The uncertainty of the MID itself is not in v.

    All arguments (k,), in the units of the instrument; mid above 0, whether higher is better or worse; mean changes may
    stand for means, with the SDs of the changes. An effect of 1 is one MID; that an average is below it does not say
    that few people gain. Undefined for two SDs of 0 and for a mid that is not above 0. Raises `OptionError` for an
    unknown vtype. Source: Johnston et al. 2010.

    >>> out = important_differences(*(np.array([x]) for x in (3.1, 2.0, 40.0, 4.6, 2.2, 38.0, 1.5)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-1.0, 0.1011)
    """
    return _in_units(mean_difference(mean_1, sd_1, n_1, mean_2, sd_2, n_2, vtype=vtype), mid)
