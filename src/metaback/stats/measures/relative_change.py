"""Relative changes of two groups compared: percent change from baseline, and the ratio of the two ratios."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaback.stats.measures.family import Computed, Floats, Measure, finish, measure
from metaback.stats.measures.pre_post import difference_variance
from metaback.stats.measures.small_samples import log_of_ratio

NEEDS = "at least 2 people in each group, a standard deviation above 0 and correlations between −1 and 1"


def _usable(mean_pre: Floats, n: Floats, r: Floats) -> NDArray[np.bool_]:
    """Tell which rows have people, a mean before that is above 0 and a correlation that there can be."""
    return (n > 1) & (mean_pre > 0) & (np.abs(r) <= 1)


def _percent(pre: tuple[Floats, Floats], post: tuple[Floats, Floats], n: Floats, r: Floats) -> tuple[Floats, Floats]:
    """Return the percent change of a group and its variance; pre, post: mean and SD."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        v = difference_variance(post[1], post[0] / pre[0] * pre[1], r) / n
        return 100 * ((post[0] - pre[0]) / pre[0]), 100**2 * v / pre[0] ** 2


@measure(
    Measure(
        "PCMD",
        "Difference of percent changes",
        "% change",
        "linear",
        "pre-post",
        undefined=f"PCMD needs {NEEDS}, means before above 0 and means after of at least 0",
        formula="the difference between the groups of the percent change of the mean from before to after, with its "
        "variance by the delta method",
        turn="none",
    ),
    cite="vickers2001 lajeunesse2011",
)
def percent_change_difference(
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
    """Compute the difference between two groups of the percent change of their means.

    p = 100 (mean_post - mean_pre)/mean_pre in each group, y = p_1 - p_2, v = v_1 + v_2 with
    v_i = 100^2 (sd_post^2 + q^2 sd_pre^2 - 2 r q sd_post sd_pre)/(n mean_pre^2) and q = mean_post/mean_pre, by the
    delta method. This is the percent change of the mean, not the mean of everyone's percent change, which papers also
    print.

    All arguments (k,); means and SDs in the units of a ratio scale with a true 0, r the correlation of before and
    after. Undefined for n < 2, |r| > 1, a mean before that is not above 0, a mean after below 0, and where nothing
    varies. A mean before close to 0 makes the delta method fail: then prefer `MDCH`. Source: the ratio by the delta
    method as in Lajeunesse 2011; on the weaknesses of percent change Vickers 2001.

    >>> group_1, group_2 = (40.0, 10.0, 46.0, 11.0, 25.0, 0.8), (41.0, 9.0, 42.0, 10.0, 24.0, 0.75)
    >>> out = percent_change_difference(*(np.array([x]) for x in group_1 + group_2))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (12.561, 24.2896)
    """
    y_1, v_1 = _percent((mean_pre_1, sd_pre_1), (mean_post_1, sd_post_1), n_1, r_1)
    y_2, v_2 = _percent((mean_pre_2, sd_pre_2), (mean_post_2, sd_post_2), n_2, r_2)
    defined = _usable(mean_pre_1, n_1, r_1) & _usable(mean_pre_2, n_2, r_2)
    return finish(y_1 - y_2, v_1 + v_2, defined & (mean_post_1 >= 0) & (mean_post_2 >= 0))


@measure(
    Measure(
        "ROMCD",
        "Ratio of the relative changes",
        "RoR",
        "log",
        "pre-post",
        undefined=f"ROMCD needs {NEEDS}, and means before and after above 0",
        formula="the ratio between the groups of mean after over mean before, with its variance by the delta method",
        back="exp",
        turn="none",
    ),
    cite="lajeunesse2011",
)
def ratio_of_changes(
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
    """Compute the log of the ratio of two relative changes, mean after over mean before in each group.

    y = log(mean_post_1/mean_pre_1) - log(mean_post_2/mean_pre_2), v = v_1 + v_2 with
    v_i = (c_post^2 + c_pre^2 - 2 r c_post c_pre)/n and c = sd/mean: the difference of two `ROMC`. Back from the
    logs, 1.1 is a relative change that is a tenth greater in group 1.

    All arguments (k,); means and SDs in the units of a ratio scale with a true 0, r the correlation of before and
    after. Undefined for n < 2, |r| > 1, means that are not above 0, and where nothing varies. Source: Lajeunesse 2011.

    >>> group_1, group_2 = (40.0, 10.0, 46.0, 11.0, 25.0, 0.8), (41.0, 9.0, 42.0, 10.0, 24.0, 0.75)
    >>> out = ratio_of_changes(*(np.array([x]) for x in group_1 + group_2))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.1157, 0.0021)
    """
    y, v = np.zeros_like(mean_pre_1), np.zeros_like(mean_pre_1)
    arms = (
        (1.0, mean_post_1, sd_post_1, mean_pre_1, sd_pre_1, n_1, r_1),
        (-1.0, mean_post_2, sd_post_2, mean_pre_2, sd_pre_2, n_2, r_2),
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for sign, post, sd_post, pre, sd_pre, n, r in arms:
            y = y + sign * log_of_ratio(post, pre)
            v = v + difference_variance(sd_post / post, sd_pre / pre, r) / n
    return finish(y, v, _usable(mean_pre_1, n_1, r_1) & _usable(mean_pre_2, n_2, r_2))
