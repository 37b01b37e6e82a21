"""The correlation between before and after, solved from what a row reports about the change."""

from __future__ import annotations

import numpy as np

from metaback.stats.conversions.family import R_SLACK, Floats, Level, Quantile, conversion, keep
from metaback.stats.conversions.spread import sd_change_from_p, sd_change_from_t, sd_from_ci, sd_from_se


@conversion(
    "r-from-sds",
    title="r from three SDs",
    text="solved from the SDs before, after and of the change",
    gives="r",
    cite="higgins2024",
)
def r_from_sds(sd_pre: Floats, sd_post: Floats, sd_change: Floats) -> Floats:
    """Return the correlation between both occasions from the three standard deviations.

    r = (sd_pre^2 + sd_post^2 - sd_change^2) / (2 sd_pre sd_post), computed from the side of 1 or -1 that is nearer,
    1 - r = (sd_change^2 - (sd_pre - sd_post)^2) / (2 sd_pre sd_post), so that nothing overflows.

    sd_pre, sd_post: (k,) above 0; sd_change: (k,) not negative; nan elsewhere. SDs that no correlation can bring
    together (|r| > 1) contradict each other and give nan; 1e-12 beyond is taken for the last digit and clipped. The
    error of r is that of the rounding of the SDs times about sd / sd_change. Source: Higgins et al. 2024, 6.5.2.8.

    >>> r_from_sds(*(np.array([x]) for x in (6.4, 7.1, 4.5))).round(2)
    array([0.78])
    """
    with np.errstate(all="ignore"):
        gap, total = sd_pre - sd_post, sd_pre + sd_post
        below = (sd_change - gap) / sd_pre * ((sd_change + gap) / sd_post) / 2
        above = (total - sd_change) / sd_pre * ((total + sd_change) / sd_post) / 2
        r = np.where(below <= 1, 1 - below, above - 1)
        inside = np.abs(r) <= 1 + R_SLACK
        return keep(np.clip(r, -1, 1), inside, sd_pre > 0, sd_post > 0, sd_change >= 0)


@conversion(
    "r-from-se-change",
    title="r from the SE of the mean change",
    text="solved from the SDs before and after and the standard error of the mean change",
    gives="r",
    cite="higgins2024",
)
def r_from_se_change(sd_pre: Floats, sd_post: Floats, n: Floats, se_change: Floats) -> Floats:
    """Return the correlation between both occasions from their SDs and the standard error of the mean change.

    As `r_from_sds` with sd_change = se_change sqrt(n).

    sd_pre, sd_post: (k,) above 0; n: (k,) at least 2; se_change: (k,) not negative; nan elsewhere and for |r| > 1.
    Source: Higgins et al. 2024, sections 6.5.2.2 and 6.5.2.8.

    >>> r_from_se_change(*(np.array([x]) for x in (3.0, 4.0, 25.0, 1.0)))
    array([0.])
    """
    return r_from_sds(sd_pre, sd_post, sd_from_se(se_change, n))


@conversion(
    "r-from-paired-t",
    title="r from a paired t",
    text="solved from the means and SDs before and after and the paired t statistic",
    gives="r",
    cite="higgins2024 morris2002",
)
def r_from_paired_t(
    mean_pre: Floats, sd_pre: Floats, mean_post: Floats, sd_post: Floats, n: Floats, t: Floats
) -> Floats:
    """Return the correlation between both occasions from the paired t statistic of one group.

    sd_change = sqrt(n) |(mean_post - mean_pre) / t|, then as `r_from_sds`; equal to
    r = (sd_pre^2 t^2 + sd_post^2 t^2 - n (mean_post - mean_pre)^2) / (2 sd_pre sd_post t^2).

    Means (k,) in the units of the instrument, not equal; SDs (k,) above 0; n: (k,) pairs, at least 2; t: (k,) not 0, of
    either sign. nan elsewhere, and where the numbers contradict each other (|r| > 1). Source: Morris & DeShon 2002;
    Higgins et al. 2024, section 6.5.2.8.

    >>> r_from_paired_t(*(np.array([x]) for x in (10.0, 3.0, 12.0, 4.0, 25.0, 2.0))).round(12)
    array([0.])
    """
    with np.errstate(all="ignore"):
        return r_from_sds(sd_pre, sd_post, sd_change_from_t(mean_post - mean_pre, t, n))


@conversion(
    "r-from-paired-f",
    title="r from a repeated-measures F",
    text="solved from the means and SDs before and after and the F statistic of the time effect in one group",
    gives="r",
    cite="higgins2024 morris2002",
)
def r_from_paired_f(
    mean_pre: Floats, sd_pre: Floats, mean_post: Floats, sd_post: Floats, n: Floats, f: Floats
) -> Floats:
    """Return the correlation between both occasions from the F statistic (1, n - 1 df) of the change of one group.

    As `r_from_paired_t` with t = sqrt(f).

    f: (k,) above 0; the rest as in `r_from_paired_t`. Source: Morris & DeShon 2002.

    >>> r_from_paired_f(*(np.array([x]) for x in (10.0, 3.0, 12.0, 4.0, 25.0, 4.0))).round(12)
    array([0.])
    """
    with np.errstate(all="ignore"):
        return r_from_paired_t(mean_pre, sd_pre, mean_post, sd_post, n, np.sqrt(f))


@conversion(
    "r-from-paired-p",
    title="r from a paired P value",
    text="solved from the means and SDs before and after and the two-sided P value of the paired t test",
    gives="r",
    cite="higgins2024 morris2002",
)
def r_from_paired_p(
    mean_pre: Floats, sd_pre: Floats, mean_post: Floats, sd_post: Floats, n: Floats, p: Floats
) -> Floats:
    """Return the correlation between both occasions from the two-sided p value of the paired t test of one group.

    As `r_from_paired_t` with t the quantile on n - 1 degrees of freedom at 1 - p/2.

    p: (k,) in (0, 1), exact: a p that is only bounded ("< 0.05") bounds r from below. The rest as in
    `r_from_paired_t`. Source: Higgins et al. 2024, sections 6.5.2.3 and 6.5.2.8.

    >>> r_from_paired_p(*(np.array([x]) for x in (10.0, 3.0, 12.0, 4.0, 25.0, 0.05693984993))).round(9)
    array([0.])
    """
    with np.errstate(all="ignore"):
        return r_from_sds(sd_pre, sd_post, sd_change_from_p(mean_post - mean_pre, p, n))


@conversion(
    "r-from-change-ci",
    title="r from the CI of the mean change",
    text="solved from the SDs before and after and the confidence interval of the mean change",
    gives="r",
    cite="higgins2024",
)
def r_from_change_ci(
    sd_pre: Floats,
    sd_post: Floats,
    n: Floats,
    ci_low: Floats,
    ci_high: Floats,
    *,
    level: Level = 0.95,
    quantile: Quantile = "t",
) -> Floats:
    """Return the correlation between both occasions from their SDs and the confidence interval of the mean change.

    sd_change = sqrt(n) (ci_high - ci_low) / (2 c), c the quantile of t on n - 1 df or the normal one; then as
    `r_from_sds`.

    Arguments as in `sd_from_ci` and `r_from_sds`; nan elsewhere and for |r| > 1. Source: Higgins et al. 2024, sections
    6.5.2.2 and 6.5.2.8.

    >>> r_from_change_ci(*(np.array([x]) for x in (3.0, 4.0, 25.0, -2.0638985616, 2.0638985616))).round(9)
    array([0.])
    """
    return r_from_sds(sd_pre, sd_post, sd_from_ci(ci_low, ci_high, n, level=level, quantile=quantile))
