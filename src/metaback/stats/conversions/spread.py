"""Standard deviations and standard errors from what stands around them: intervals, test statistics, quantiles."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from metaback.stats.conversions.family import (
    Floats,
    Level,
    Quantile,
    choose,
    conversion,
    critical,
    keep,
    sample,
    t_from_p,
)

IQR_LARGE_N = 1.35  # the printed factor of the Handbook; the exact limit is 2 * 0.6745 = 1.349
MAD_FACTOR = float(1 / ndtri(0.75))  # 1.4826
QUANTILES = ("t", "normal")


@conversion("sd-from-se", title="SD from SE", text="the standard error times √n", gives="sd", cite="higgins2024")
def sd_from_se(se: Floats, n: Floats) -> Floats:
    """Return the standard deviation of one group from the standard error of its mean.

    sd = se sqrt(n).

    se: (k,) not negative; n: (k,) at least 2; nan elsewhere. Source: Higgins et al. 2024, section 6.5.2.2.

    >>> sd_from_se(np.array([0.97]), np.array([25.0]))
    array([4.85])
    """
    with np.errstate(all="ignore"):
        return keep(se * np.sqrt(n), se >= 0, sample(n))


@conversion("se-from-sd", title="SE from SD", text="the standard deviation over √n", gives="se", cite="higgins2024")
def se_from_sd(sd: Floats, n: Floats) -> Floats:
    """Return the standard error of a mean from the standard deviation of its group: se = sd / sqrt(n).

    sd: (k,) not negative; n: (k,) at least 2; nan elsewhere. Source: Higgins et al. 2024, section 6.5.2.2.

    >>> se_from_sd(np.array([4.85]), np.array([25.0]))
    array([0.97])
    """
    with np.errstate(all="ignore"):
        return keep(sd / np.sqrt(n), sd >= 0, sample(n))


@conversion(
    "sd-from-ci",
    title="SD from the CI of a mean",
    text="the width of the confidence interval of the mean times √n over twice the critical value",
    gives="sd",
    cite="higgins2024",
)
def sd_from_ci(ci_low: Floats, ci_high: Floats, n: Floats, *, level: Level = 0.95, quantile: Quantile = "t") -> Floats:
    """Return the standard deviation of one group from the confidence interval of its mean.

    sd = sqrt(n) (ci_high - ci_low) / (2 c) with c the quantile of t on n - 1 degrees of freedom, or the normal one.

    ci_low, ci_high: (k,) in the units of the mean; n: (k,) at least 2; level: as in 0.95, one or (k,). nan where the
    limits are in the wrong order. Raises `OptionError` for an unknown quantile. The interval of a mean change gives
    the SD of the change. Source: Higgins et al. 2024, section 6.5.2.2.

    >>> sd_from_ci(*(np.array([x]) for x in (30.0, 34.0, 25.0))).round(2)
    array([4.85])
    """
    exact = choose("quantile", quantile, QUANTILES) == "t"
    with np.errstate(all="ignore"):
        c = critical(level, np.where(sample(n), n - 1, np.nan) if exact else np.inf)
        return keep(np.sqrt(n) * (ci_high - ci_low) / (2 * c), ci_high >= ci_low, sample(n))


# ---------------------------------------------------------------- a mean difference and its test


@conversion(
    "se-from-t",
    title="SE from t",
    text="the absolute value of the effect over its t statistic",
    gives="se",
    cite="higgins2024",
)
def se_from_t(effect: Floats, t: Floats) -> Floats:
    """Return the standard error of a mean difference (or of any effect) from its t or z statistic.

    se = |effect / t|.

    effect, t: (k,); nan where either is 0, because a rounded 0 says nothing. Signs are ignored. Source: Higgins et al.
    2024, section 6.5.2.3.

    >>> se_from_t(np.array([3.8]), np.array([2.78])).round(2)
    array([1.37])
    """
    with np.errstate(all="ignore"):
        return keep(np.abs(effect) / np.abs(t), effect != 0, t != 0)


@conversion(
    "se-from-f",
    title="SE from F",
    text="the absolute value of the effect over the square root of its F statistic on 1 degree of freedom",
    gives="se",
    cite="higgins2024",
)
def se_from_f(effect: Floats, f: Floats) -> Floats:
    """Return the standard error of a mean difference from the F statistic with 1 numerator degree of freedom.

    se = |effect| / sqrt(f), because f = t^2.

    effect: (k,) not 0; f: (k,) above 0; nan elsewhere. Source: Higgins et al. 2024, section 6.5.2.3.

    >>> se_from_f(np.array([3.0]), np.array([4.0]))
    array([1.5])
    """
    with np.errstate(all="ignore"):
        return keep(np.abs(effect) / np.sqrt(f), effect != 0, f > 0)


@conversion(
    "se-from-p-t",
    title="SE from the P value of a t test",
    text="the absolute value of the effect over the t statistic behind its two-sided P value",
    gives="se",
    cite="higgins2024",
)
def se_from_p_t(effect: Floats, p: Floats, df: Floats) -> Floats:
    """Return the standard error of a mean difference from the two-sided p value of its t test.

    se = |effect| / t with t the quantile of t on df degrees of freedom at 1 - p/2.

    effect: (k,) not 0; p: (k,) in (0, 1); df: (k,) above 0, inf for a z test; nan elsewhere. Source: Higgins et al.
    2024, section 6.5.2.3.

    >>> se_from_p_t(*(np.array([x]) for x in (3.8, 0.008, 45.0))).round(2)
    array([1.37])
    """
    return se_from_t(effect, t_from_p(p, df))


@conversion(
    "se-from-ci-t",
    title="SE from a CI with the t quantile",
    text="the width of the confidence interval over twice the critical value of t",
    gives="se",
    cite="higgins2024",
)
def se_from_ci_t(ci_low: Floats, ci_high: Floats, df: Floats, *, level: Level = 0.95) -> Floats:
    """Return the standard error of a mean difference from its confidence interval.

    se = (ci_high - ci_low) / (2 c) with c the two-sided quantile of t on df degrees of freedom.

    ci_low, ci_high: (k,); df: (k,) above 0, inf for the normal quantile; level: as in 0.95, one or (k,). nan where the
    limits are equal or in the wrong order. Source: Higgins et al. 2024, section 6.5.2.3.

    >>> se_from_ci_t(*(np.array([x]) for x in (1.04, 6.56, 45.0))).round(2)
    array([1.37])
    """
    with np.errstate(all="ignore"):
        return keep((ci_high - ci_low) / (2 * critical(level, df)), ci_high > ci_low)


@conversion(
    "sd-from-se-difference",
    title="Pooled SD from the SE of a mean difference",
    text="the standard error of the mean difference over √(1/n₁ + 1/n₂), the same in both groups",
    gives="sd",
    cite="higgins2024",
)
def pooled_sd_from_se(se: Floats, n_1: Floats, n_2: Floats) -> Floats:
    """Return the standard deviation within two groups from the standard error of the difference of their means.

    sd = se / sqrt(1/n_1 + 1/n_2): the average of both groups, to be used for each.

    se: (k,) not negative; n_1, n_2: (k,) at least 1 and together at least 3; nan elsewhere. Source: Higgins et al.
    2024, section 6.5.2.3.

    >>> pooled_sd_from_se(*(np.array([x]) for x in (1.37, 25.0, 22.0))).round(2)
    array([4.69])
    """
    with np.errstate(all="ignore"):
        return keep(se / np.sqrt(1 / n_1 + 1 / n_2), se >= 0, sample(n_1, 1), sample(n_2, 1), n_1 + n_2 >= 3)


@conversion(
    "sd-from-t",
    title="Pooled SD from t",
    text="the pooled SD behind the mean difference and the t statistic of the two groups",
    gives="sd",
    cite="higgins2024",
)
def pooled_sd_from_t(effect: Floats, t: Floats, n_1: Floats, n_2: Floats) -> Floats:
    """Return the standard deviation within two groups from their mean difference and its t statistic.

    sd = |effect / t| / sqrt(1/n_1 + 1/n_2).

    effect, t: (k,) not 0; n_1, n_2: as in `pooled_sd_from_se`. Source: Higgins et al. 2024, section 6.5.2.3.

    >>> pooled_sd_from_t(*(np.array([x]) for x in (3.8, 2.78, 25.0, 22.0))).round(2)
    array([4.68])
    """
    return pooled_sd_from_se(se_from_t(effect, t), n_1, n_2)


@conversion(
    "sd-from-f",
    title="Pooled SD from F",
    text="the pooled SD behind the mean difference and the F statistic of the two groups",
    gives="sd",
    cite="higgins2024",
)
def pooled_sd_from_f(effect: Floats, f: Floats, n_1: Floats, n_2: Floats) -> Floats:
    """Return the standard deviation within two groups from their mean difference and the F statistic on 1 df.

    sd = |effect| / sqrt(f (1/n_1 + 1/n_2)).

    effect: (k,) not 0; f: (k,) above 0; n_1, n_2: as in `pooled_sd_from_se`. Not for an F that is adjusted for
    covariates: its error variance is smaller. Source: Higgins et al. 2024, section 6.5.2.3.

    >>> pooled_sd_from_f(*(np.array([x]) for x in (3.0, 4.5, 4.0, 4.0))).round(12)
    array([2.])
    """
    return pooled_sd_from_se(se_from_f(effect, f), n_1, n_2)


@conversion(
    "sd-from-p",
    title="Pooled SD from P",
    text="the pooled SD behind the mean difference and the two-sided P value of the t test of the two groups",
    gives="sd",
    cite="higgins2024",
)
def pooled_sd_from_p(effect: Floats, p: Floats, n_1: Floats, n_2: Floats) -> Floats:
    """Return the standard deviation within two groups from their mean difference and the p value of its t test.

    sd = |effect| / t / sqrt(1/n_1 + 1/n_2) with t the quantile on n_1 + n_2 - 2 degrees of freedom at 1 - p/2.

    effect: (k,) not 0; p: (k,) two-sided, in (0, 1); n_1, n_2: as in `pooled_sd_from_se`. Source: Higgins et al. 2024,
    section 6.5.2.3.

    >>> pooled_sd_from_p(*(np.array([x]) for x in (3.8, 0.008, 25.0, 22.0))).round(2)
    array([4.68])
    """
    with np.errstate(all="ignore"):
        return pooled_sd_from_se(se_from_p_t(effect, p, n_1 + n_2 - 2), n_1, n_2)


@conversion(
    "sd-from-ci-difference",
    title="Pooled SD from the CI of a mean difference",
    text="the pooled SD behind the confidence interval of the mean difference",
    gives="sd",
    cite="higgins2024",
)
def pooled_sd_from_ci(
    ci_low: Floats, ci_high: Floats, n_1: Floats, n_2: Floats, *, level: Level = 0.95, quantile: Quantile = "t"
) -> Floats:
    """Return the standard deviation within two groups from the confidence interval of their mean difference.

    sd = (ci_high - ci_low) / (2 c) / sqrt(1/n_1 + 1/n_2), c the quantile of t on n_1 + n_2 - 2 df, or the normal one.

    Arguments as in `sd_from_ci` and `pooled_sd_from_se`. Raises `OptionError` for an unknown quantile. Source: Higgins
    et al. 2024, section 6.5.2.3.

    >>> pooled_sd_from_ci(*(np.array([x]) for x in (1.04, 6.56, 25.0, 22.0))).round(2)
    array([4.69])
    """
    exact = choose("quantile", quantile, QUANTILES) == "t"
    with np.errstate(all="ignore"):
        df = n_1 + n_2 - 2 if exact else np.full_like(n_1 + n_2, np.inf)
        return pooled_sd_from_se(se_from_ci_t(ci_low, ci_high, df, level=level), n_1, n_2)


# ---------------------------------------------------------------- change from baseline


@conversion(
    "sd-change-from-r",
    title="SD of the change from r",
    text="the SD of the change from the SDs before and after and their correlation",
    gives="sd_change",
    cite="higgins2024",
)
def sd_change_from_r(sd_pre: Floats, sd_post: Floats, r: Floats) -> Floats:
    """Return the standard deviation of the change from those of both occasions and their correlation.

    sd_change^2 = sd_pre^2 + sd_post^2 - 2 r sd_pre sd_post, summed as (sd_pre - sd_post)^2 + 2 (1 - r) sd_pre sd_post.

    sd_pre, sd_post: (k,) not negative; r: (k,) in [-1, 1]; nan elsewhere. Source: Higgins et al. 2024, section
    6.5.2.8.

    >>> sd_change_from_r(*(np.array([x]) for x in (6.4, 7.1, 0.80))).round(2)
    array([4.32])
    """
    with np.errstate(all="ignore"):
        cross = np.sqrt(2 * (1 - r)) * (np.sqrt(sd_pre) * np.sqrt(sd_post))
        return keep(np.hypot(sd_pre - sd_post, cross), sd_pre >= 0, sd_post >= 0, np.abs(r) <= 1)


@conversion(
    "sd-change-from-t",
    title="SD of the change from a paired t",
    text="the SD of the change behind the mean change and its paired t statistic",
    gives="sd_change",
    cite="higgins2024",
)
def sd_change_from_t(mean_change: Floats, t: Floats, n: Floats) -> Floats:
    """Return the standard deviation of the change of one group from the mean change and the paired t statistic.

    sd_change = sqrt(n) |mean_change / t|.

    mean_change, t: (k,) not 0; n: (k,) at least 2; nan elsewhere. Source: Higgins et al. 2024, section 6.5.2.3.

    >>> sd_change_from_t(*(np.array([x]) for x in (2.0, 4.0, 16.0)))
    array([2.])
    """
    return sd_from_se(se_from_t(mean_change, t), n)


@conversion(
    "sd-change-from-p",
    title="SD of the change from a paired P",
    text="the SD of the change behind the mean change and the two-sided P value of its paired t test",
    gives="sd_change",
    cite="higgins2024",
)
def sd_change_from_p(mean_change: Floats, p: Floats, n: Floats) -> Floats:
    """Return the standard deviation of the change of one group from the mean change and its two-sided paired p value.

    sd_change = sqrt(n) |mean_change| / t with t the quantile on n - 1 degrees of freedom at 1 - p/2.

    mean_change: (k,) not 0; p: (k,) in (0, 1); n: (k,) at least 2; nan elsewhere. Source: Higgins et al. 2024, section
    6.5.2.3.

    >>> sd_change_from_p(*(np.array([x]) for x in (2.0, 0.00116, 16.0))).round(2)
    array([2.])
    """
    with np.errstate(all="ignore"):
        return sd_from_se(se_from_p_t(mean_change, p, n - 1), n)


# ---------------------------------------------------------------- quantiles


def normal_width(n: Floats, *, quartiles: bool) -> Floats:
    """Return how many standard deviations the range, or the interquartile range, of n normal values spans.

    xi(n) = 2 Phi^-1((n - 0.375) / (n + 0.25)); eta(n) = 2 Phi^-1((0.75 n - 0.125) / (n + 0.25)).

    n: (k,) sample sizes, at least 2 for the range and 5 for quartiles (the smallest n = 4Q + 1); nan elsewhere. The
    upper tail is used, which keeps its digits for n up to 1e15. Source: Wan et al. 2014.

    >>> normal_width(np.array([25.0, 50.0]), quartiles=False).round(3)
    array([3.928, 4.487])
    """
    with np.errstate(all="ignore"):
        n = np.where(sample(n, 5 if quartiles else 2), n, np.nan)
        return -2 * ndtri((0.25 * n + 0.375 if quartiles else 0.625) / (n + 0.25))


@conversion(
    "sd-from-iqr",
    title="SD from the quartiles",
    text="the interquartile range over the number of SDs that it spans in normal data",
    gives="sd",
    cite="wan2014 higgins2024",
)
def sd_from_iqr(q1: Floats, q3: Floats, n: Floats, *, factor: str = "wan") -> Floats:
    """Return the standard deviation of one group from its quartiles.

    factor "wan": sd = (q3 - q1) / (2 Phi^-1((0.75 n - 0.125) / (n + 0.25))); "large-n": sd = (q3 - q1) / 1.35.

    q1, q3: (k,) in the units of the instrument; n: (k,) at least 5; nan elsewhere and for q3 < q1. Right for normal
    data only. Raises `OptionError` for an unknown factor. Source: Wan et al. 2014, equation 16; Higgins et al. 2024,
    section 6.5.2.5.

    >>> sd_from_iqr(*(np.array([x]) for x in (10.0, 20.0, 40.0))).round(3)
    array([7.689])
    """
    exact = choose("factor", factor, ("wan", "large-n")) == "wan"
    with np.errstate(all="ignore"):
        width = normal_width(n, quartiles=True)
        return keep((q3 - q1) / (width if exact else IQR_LARGE_N), q3 >= q1, sample(n, 5))


@conversion(
    "sd-from-range",
    title="SD from the range",
    text="the range over the number of SDs that it spans in n normal values",
    gives="sd",
    cite="wan2014",
)
def sd_from_range(min: Floats, max: Floats, n: Floats) -> Floats:  # noqa: A002 - the roles are called so
    """Return the standard deviation of one group from its smallest and largest value.

    sd = (max - min) / (2 Phi^-1((n - 0.375) / (n + 0.25))).

    min, max: (k,) in the units of the instrument; n: (k,) at least 2; nan elsewhere and for max < min. Right for
    normal data only, and one outlier moves it. Source: Wan et al. 2014, equation 9.

    >>> sd_from_range(*(np.array([x]) for x in (10.0, 50.0, 25.0))).round(3)
    array([10.182])
    """
    with np.errstate(all="ignore"):
        return keep((max - min) / normal_width(n, quartiles=False), max >= min, sample(n))


@conversion(
    "sd-from-range-hozo",
    title="SD from the range (Hozo)",
    text="the rules of Hozo and others for the range: a quarter of it, a sixth of it above n = 70",
    gives="sd",
    cite="hozo2005",
)
def sd_from_range_hozo(min: Floats, median: Floats, max: Floats, n: Floats) -> Floats:  # noqa: A002 - role names
    """Return the standard deviation of one group from median and range by the rules of Hozo and others.

    n <= 15: sd^2 = ((min - 2 median + max)^2 / 4 + (max - min)^2) / 12; n <= 70: sd = (max - min) / 4; above that
    sd = (max - min) / 6.

    min, median, max: (k,) in order; n: (k,) at least 2; nan elsewhere. It jumps at n = 15 and n = 70 and is kept for
    comparison with older reviews; `sd_from_range` is better at every n. Source: Hozo et al. 2005,
    conclusions.

    >>> sd_from_range_hozo(*(np.array([x]) for x in (0.0, 6.0, 12.0, 15.0))).round(4)
    array([3.4641])
    """
    with np.errstate(all="ignore"):
        width = max - min
        small = np.hypot((min - median) + (max - median), 2 * width) / np.sqrt(48)
        sd = np.where(n <= 15, small, np.where(n <= 70, width / 4, width / 6))
        return keep(sd, min <= median, median <= max, sample(n))


@conversion(
    "sd-from-mad",
    title="SD from the median absolute deviation",
    text="1.4826 times the median absolute deviation",
    gives="sd",
    cite="rousseeuw1993",
)
def sd_from_mad(mad: Floats) -> Floats:
    """Return the standard deviation of normal data from the median absolute deviation around the median.

    sd = mad / Phi^-1(3/4) = 1.4826 mad.

    mad: (k,) not negative, without the factor 1.4826 that some programs (R's `mad`) include; nan elsewhere. The
    factor is that of large samples. Source: Rousseeuw & Croux 1993, section 1.

    >>> sd_from_mad(np.array([2.0])).round(4)
    array([2.9652])
    """
    return keep(mad * MAD_FACTOR, mad >= 0)
