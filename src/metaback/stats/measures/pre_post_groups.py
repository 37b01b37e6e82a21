"""Changes of two groups compared: before and after in a treated and a control group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, finish, measure
from metaback.stats.measures.means import mean_difference, pooled_sd, standardised_mean_difference
from metaback.stats.measures.small_samples import CORRECT, corrected

NEEDS = "standard deviations before above 0 and correlations between −1 and 1"
MORRIS = "the formulas of Morris (2008)"
DPPC2_VTYPE = Convention(
    "factor and variance of the difference of changes",
    {
        "Morris": Choice(formula=f" and multiplied by 1 − 3/(4(N − 2) − 1), with {MORRIS}", note="variance of Morris"),
        "LS": Choice(
            formula=" and multiplied by the exact correction for small samples, with the large-sample variance "
            "2(1 − r₁)/n₁ + 2(1 − r₂)/n₂ + g²/(2N)",
            note="large-sample variance",
            cite="viechtbauer2010",
        ),
    },
)
CHANGE_VTYPE = Convention(
    "variance of the difference of changes",
    {
        "LS": Choice(formula=", with the large-sample variance 1/n₁ + 1/n₂ + g²/(2N)"),
        "LS2": Choice(formula=", with variance J²(1/n₁ + 1/n₂ + d²/(2N))", note="variance of d times J²"),
        "UB": Choice(formula=", with its unbiased variance", note="unbiased variance", cite="hedges1983"),
        "H0": Choice(
            formula=", with variance J²(1/n₁ + 1/n₂)(N − 2)/(N − 4), which holds where there is no effect",
            note="variance under no effect",
        ),
    },
)
RAW_CHANGE_VTYPE = Convention(
    "variance of the difference of mean changes",
    {
        "LS": Choice(formula=", with variance SD₁²/n₁ + SD₂²/n₂"),
        "HO": Choice(
            formula=", with variance s²(1/n₁ + 1/n₂) from the pooled variance s² of the changes", note="pooled variance"
        ),
    },
)


@dataclass(frozen=True, slots=True)
class _Arm:
    """What a group gained, its SD before, its size, the correlation, and the variance of the gain in SDs before."""

    gain: Floats
    sd: Floats
    n: Floats
    r: Floats

    @property
    def base(self) -> Floats:
        """Return 2 (1 - r)/n."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * (1 - self.r) / self.n

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Tell where there are people and a correlation that there can be."""
        return (self.n > 1) & (np.abs(self.r) <= 1)


def _morris(d: Floats, base: Floats, df: Floats) -> tuple[Floats, Floats]:
    """Return g = c d with c = 1 - 3/(4 df - 1), and its variance c^2 df/(df - 2) (base + g^2) - g^2, without loss.

    c^2 df/(df - 2) - 1 is a ratio of polynomials, (8 df^2 - df + 2)/((4 df - 1)^2 (df - 2)), so that nothing cancels.
    """
    df = np.where(df > 2, df, np.nan)
    c = (4 * df - 4) / (4 * df - 1)
    g = c * d
    return g, c**2 * df / (df - 2) * base + g**2 * (8 * df**2 - df + 2) / ((4 * df - 1) ** 2 * (df - 2))


@measure(
    Measure(
        "DPPC1",
        "Difference of standardised mean changes (Morris)",
        "SMD",
        "linear",
        "pre-post",
        undefined=f"DPPC1 needs at least 4 people in each group, {NEEDS}",
        formula="the difference between the groups of the mean change divided by the group's own standard deviation "
        f"before, with {MORRIS}",
        turn="sign",
        standardiser="the SD of each group before",
    ),
    cite="morris2008 becker1988",
)
def separate_pre_post_difference(
    mean_pre_1: Floats,
    sd_pre_1: Floats,
    mean_post_1: Floats,
    n_1: Floats,
    r_1: Floats,
    mean_pre_2: Floats,
    sd_pre_2: Floats,
    mean_post_2: Floats,
    n_2: Floats,
    r_2: Floats,
) -> Computed:
    """Compute the difference of two changes, each in units of the SD before of its own group (d_ppc1).

    g = c (mean_post - mean_pre)/sd_pre with c = 1 - 3/(4 (n - 1) - 1) in each group, y = g_1 - g_2,
    v = v_1 + v_2 with v_i = c^2 (n - 1)/(n - 3) (2 (1 - r)/n + g^2) - g^2.

    All arguments (k,); means and SDs in the units of the instrument, r the correlation of before and after. Undefined
    for n < 4, |r| > 1 and an SD of 0. `SMCRD` is the same with the exact factor and the large-sample variance. Source:
    Morris 2008; Becker 1988.

    >>> group_1, group_2 = (30.6, 15.0, 38.5, 20.0, 0.47), (23.1, 13.8, 19.7, 20.0, 0.47)
    >>> out = separate_pre_post_difference(*(np.array([x]) for x in group_1 + group_2))
    >>> round(float(out.yi[0]), 2), round(float(out.vi[0]), 2)
    (0.74, 0.12)
    """
    arms = (_Arm(mean_post_1 - mean_pre_1, sd_pre_1, n_1, r_1), _Arm(mean_post_2 - mean_pre_2, sd_pre_2, n_2, r_2))
    with np.errstate(divide="ignore", invalid="ignore"):
        (g_1, v_1), (g_2, v_2) = (_morris(arm.gain / arm.sd, arm.base, arm.n - 1) for arm in arms)
        g, v = g_1 - g_2, v_1 + v_2
    return finish(g, v, arms[0].usable & arms[1].usable & (sd_pre_1 > 0) & (sd_pre_2 > 0))


@measure(
    Measure(
        "SMCRD",
        "Difference of standardised mean changes (Becker)",
        "SMD",
        "linear",
        "pre-post",
        undefined=f"SMCRD needs at least 3 people in each group, {NEEDS}",
        formula="the difference between the groups of the mean change divided by the group's own standard deviation "
        "before and multiplied by the exact correction for small samples, with variance 2(1 − r)/n + g²/(2n) of each",
        conventions={"correct": CORRECT},
        turn="sign",
        standardiser="the SD of each group before",
    ),
    cite="becker1988",
)
def difference_of_standardised_changes(
    mean_pre_1: Floats,
    sd_pre_1: Floats,
    mean_post_1: Floats,
    n_1: Floats,
    r_1: Floats,
    mean_pre_2: Floats,
    sd_pre_2: Floats,
    mean_post_2: Floats,
    n_2: Floats,
    r_2: Floats,
    *,
    correct: str = "yes",
) -> Computed:
    """Compute the difference of two standardised mean changes, each `SMCR` in units of the SD before.

    y = g_1 - g_2 with g = J (mean_post - mean_pre)/sd_pre, the exact J of n - 1 degrees of freedom,
    v = 2(1 - r_1)/n_1 + g_1^2/(2 n_1) + 2(1 - r_2)/n_2 + g_2^2/(2 n_2). correct "no": J is 1.

    All arguments (k,); means and SDs in the units of the instrument, r the correlation of before and after. Undefined
    for n < 3, |r| > 1 and an SD of 0. Raises `OptionError` for an unknown correct. Source: Becker 1988. Same as the
    difference of two `metafor::escalc(measure="SMCR")`.

    >>> group_1, group_2 = (30.6, 15.0, 38.5, 20.0, 0.47), (23.1, 13.8, 19.7, 20.0, 0.47)
    >>> out = difference_of_standardised_changes(*(np.array([x]) for x in group_1 + group_2))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.7421, 0.1138)
    """
    CORRECT.check("correct", correct)
    arms = (_Arm(mean_post_1 - mean_pre_1, sd_pre_1, n_1, r_1), _Arm(mean_post_2 - mean_pre_2, sd_pre_2, n_2, r_2))
    with np.errstate(divide="ignore", invalid="ignore"):
        g_1, g_2 = (corrected(arm.gain / arm.sd, arm.n - 1, correct) for arm in arms)
        g = g_1 - g_2
        v = arms[0].base + g_1**2 / (2 * n_1) + arms[1].base + g_2**2 / (2 * n_2)
    return finish(g, v, arms[0].usable & arms[1].usable & (sd_pre_1 > 0) & (sd_pre_2 > 0))


@measure(
    Measure(
        "DPPC2",
        "Difference of mean changes by the pooled SD before",
        "SMD",
        "linear",
        "pre-post",
        undefined=f"DPPC2 needs at least 2 people in each group and 5 in all, {NEEDS}",
        formula="the difference of the mean changes divided by the pooled standard deviation before",
        conventions={"vtype": DPPC2_VTYPE},
        turn="sign",
        standardiser="the pooled SD before",
    ),
    cite="morris2008",
)
def pooled_pre_post_difference(
    mean_pre_1: Floats,
    sd_pre_1: Floats,
    mean_post_1: Floats,
    n_1: Floats,
    r_1: Floats,
    mean_pre_2: Floats,
    sd_pre_2: Floats,
    mean_post_2: Floats,
    n_2: Floats,
    r_2: Floats,
    *,
    vtype: str = "Morris",
) -> Computed:
    """Compute the difference of two changes in units of the pooled SD before (d_ppc2).

    d = ((mean_post_1 - mean_pre_1) - (mean_post_2 - mean_pre_2))/s, s the pooled SD before, N = n_1 + n_2,
    w = 2(1 - r_1)/n_1 + 2(1 - r_2)/n_2 (for r_1 = r_2 = r: 2(1 - r) N/(n_1 n_2)).
    vtype "Morris": g = c d with c = 1 - 3/(4 (N - 2) - 1), v = c^2 (N - 2)/(N - 4) (w + g^2) - g^2; "LS": g = J d with
    the exact J of N - 2 degrees of freedom, v = w + g^2/(2 N).

    All arguments (k,); means and SDs in the units of the instrument, r the correlation of before and after. Undefined
    for n < 2 in a group, N < 5, |r| > 1 and two SDs of 0. Raises `OptionError` for an unknown vtype. Source: Morris
    2008, equations 8 to 10 and 25, which has one correlation for both groups.

    >>> group_1, group_2 = (30.6, 15.0, 38.5, 20.0, 0.47), (23.1, 13.8, 19.7, 20.0, 0.47)
    >>> out = pooled_pre_post_difference(*(np.array([x]) for x in group_1 + group_2))
    >>> round(float(out.yi[0]), 2), round(float(out.vi[0]), 2)
    (0.77, 0.12)
    """
    DPPC2_VTYPE.check("vtype", vtype)
    one, two = _Arm(mean_post_1 - mean_pre_1, sd_pre_1, n_1, r_1), _Arm(mean_post_2 - mean_pre_2, sd_pre_2, n_2, r_2)
    base, total = one.base + two.base, n_1 + n_2
    with np.errstate(divide="ignore", invalid="ignore"):
        d = (one.gain - two.gain) / pooled_sd(sd_pre_1, n_1, sd_pre_2, n_2)
        if vtype == "Morris":
            g, v = _morris(d, base, total - 2)
        else:
            g = corrected(d, total - 2, "yes")
            v = base + g**2 / (2 * total)
    return finish(g, v, one.usable & two.usable & (total > 4) & ((sd_pre_1 > 0) | (sd_pre_2 > 0)))


@measure(
    Measure(
        "DPPC3",
        "Difference of mean changes by the SD pooled over groups and times",
        "SMD",
        "linear",
        "pre-post",
        undefined="DPPC3 needs at least 2 people in each group, a standard deviation above 0 and correlations between "
        "−1 and 1",
        formula="the difference of the mean changes divided by the standard deviation pooled over both groups, before "
        "and after, and multiplied by 1 − 3/(4(2N − 4) − 1) (Morris 2008), with its variance by the delta method",
        turn="sign",
        standardiser="the SD pooled over groups and times",
    ),
    cite="morris2008",
)
def fully_pooled_pre_post_difference(
    mean_pre_1: Floats,
    sd_pre_1: Floats,
    mean_post_1: Floats,
    sd_post_1: Floats,
    n_1: Floats,
    r_1: Floats,
    mean_pre_2: Floats,
    sd_pre_2: Floats,
    mean_post_2: Floats,
    sd_post_2: Floats,
    n_2: Floats,
    r_2: Floats,
) -> Computed:
    """Compute the difference of two changes in units of the SD pooled over groups and times (d_ppc3).

    s^2 = ((n_1 - 1)(sd_pre_1^2 + sd_post_1^2) + (n_2 - 1)(sd_pre_2^2 + sd_post_2^2)) / (2 (N - 2)), N = n_1 + n_2,
    g = c ((mean_post_1 - mean_pre_1) - (mean_post_2 - mean_pre_2))/s with c = 1 - 3/(4 (2N - 4) - 1).
    The paper has no variance for it, because the SDs before and after depend on each other. By the delta method, with
    equal true SDs: v = 2(1 - r_1)/n_1 + 2(1 - r_2)/n_2 + g^2 q/(4 (N - 2)^2) with
    q = (n_1 - 1)(1 + r_1^2) + (n_2 - 1)(1 + r_2^2).

    All arguments (k,); means and SDs in the units of the instrument, r the correlation of before and after. Undefined
    for n < 2 in a group, |r| > 1 and SDs of 0. Source: Morris 2008; the variance is ours.

    >>> group_1, group_2 = (30.6, 15.0, 38.5, 11.6, 20.0, 0.47), (23.1, 13.8, 19.7, 14.8, 20.0, 0.47)
    >>> out = fully_pooled_pre_post_difference(*(np.array([x]) for x in group_1 + group_2))
    >>> round(float(out.yi[0]), 2), round(float(out.vi[0]), 2)
    (0.81, 0.11)
    """
    one, two = _Arm(mean_post_1 - mean_pre_1, sd_pre_1, n_1, r_1), _Arm(mean_post_2 - mean_pre_2, sd_pre_2, n_2, r_2)
    df = n_1 + n_2 - 2
    with np.errstate(divide="ignore", invalid="ignore"):
        before, after = pooled_sd(sd_pre_1, n_1, sd_pre_2, n_2), pooled_sd(sd_post_1, n_1, sd_post_2, n_2)
        sd = np.sqrt((before**2 + after**2) / 2)
        g = (1 - 3 / (8 * df - 1)) * (one.gain - two.gain) / sd
        share = ((n_1 - 1) * (1 + r_1**2) + (n_2 - 1) * (1 + r_2**2)) / (4 * df**2)
        v = one.base + two.base + g**2 * share
    return finish(g, v, one.usable & two.usable & (sd > 0))


@measure(
    Measure(
        "MDCH",
        "Mean difference of changes",
        "MD",
        "linear",
        "changes",
        undefined="MDCH needs a standard deviation of the changes above 0",
        formula="the difference in mean changes",
        conventions={"vtype": RAW_CHANGE_VTYPE},
        turn="sign",
    ),
    cite="deeks2010",
)
def change_difference(
    mean_change_1: Floats,
    sd_change_1: Floats,
    n_1: Floats,
    mean_change_2: Floats,
    sd_change_2: Floats,
    n_2: Floats,
    *,
    vtype: str = "LS",
) -> Computed:
    """Compute the difference of the mean changes of two groups.

    y = mean_change_1 - mean_change_2; vtype "LS": v = sd_change_1^2/n_1 + sd_change_2^2/n_2; "HO" as for `MD`.

    All arguments (k,), in the units of the instrument; the SDs are those of the changes. May be pooled with `MD` of
    final values of the same instrument. Undefined for two SDs of 0. Raises `OptionError` for an unknown vtype. Source:
    Deeks & Higgins 2010.

    >>> out = change_difference(*(np.array([x]) for x in (-2.0, 3.0, 30.0, -0.5, 2.5, 28.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-1.5, 0.5232)
    """
    RAW_CHANGE_VTYPE.check("vtype", vtype)
    return mean_difference(mean_change_1, sd_change_1, n_1, mean_change_2, sd_change_2, n_2, vtype=vtype)


@measure(
    Measure(
        "SMDCH",
        "Standardised mean difference of changes, by the SD of change",
        "SMD of change",
        "linear",
        "changes",
        undefined="SMDCH needs more than 3 people and a standard deviation of the changes above 0",
        formula="the difference in mean changes divided by the pooled standard deviation of the changes and multiplied "
        "by the exact correction for small samples",
        conventions={"vtype": CHANGE_VTYPE, "correct": CORRECT},
        turn="sign",
        standardiser="the pooled SD of the change",
    ),
    cite="hedges1981 gibbons1993",
)
def change_standardised_difference(
    mean_change_1: Floats,
    sd_change_1: Floats,
    n_1: Floats,
    mean_change_2: Floats,
    sd_change_2: Floats,
    n_2: Floats,
    *,
    vtype: str = "LS",
    correct: str = "yes",
) -> Computed:
    """Compute the difference of mean changes in units of the pooled SD of the changes.

    As `SMD`, with changes for values; vtypes "LS", "LS2", "UB" and "H0" and correct as there.

    All arguments (k,), in the units of the instrument; the SDs are those of the changes. That SD depends on the
    correlation of before and after, so the result must not be pooled with `SMD` of final values. Undefined for N <= 3
    and for two SDs of 0. Raises `OptionError` for an unknown vtype or correct. Source: Hedges 1981; Gibbons, Hedeker &
    Davis 1993.

    >>> out = change_standardised_difference(*(np.array([x]) for x in (-2.0, 3.0, 30.0, -0.5, 2.5, 28.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.5342, 0.0715)
    """
    CHANGE_VTYPE.check("vtype", vtype)
    given = (mean_change_1, sd_change_1, n_1, mean_change_2, sd_change_2, n_2)
    return standardised_mean_difference(*given, vtype=vtype, correct=correct)
