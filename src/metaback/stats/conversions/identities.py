"""Sums, differences and substitutions: the small steps between what a table has and what a conversion asks for."""

from __future__ import annotations

import numpy as np

from metaback.stats.conversions.family import Floats, conversion, keep, sample


@conversion(
    "difference", title="Mean difference", text="the mean of arm 1 less that of arm 2", gives="md", cite="higgins2024"
)
def difference(mean_1: Floats, mean_2: Floats) -> Floats:
    """Return the difference of the means of two groups: md = mean_1 - mean_2.

    mean_1, mean_2: (k,) in the units of the instrument; nan where not finite. Source: Higgins et al. 2024, section
    6.5.1.1.

    >>> difference(np.array([12.0]), np.array([10.0]))
    array([2.])
    """
    with np.errstate(all="ignore"):
        return keep(mean_1 - mean_2)


@conversion(
    "mean-change",
    title="Mean change",
    text="the mean after less the mean before",
    gives="mean_change",
    cite="higgins2024",
)
def mean_change(mean_pre: Floats, mean_post: Floats) -> Floats:
    """Return the mean change of one group: mean_post - mean_pre, exact for the same people on both occasions.

    mean_pre, mean_post: (k,) in the units of the instrument; nan where not finite. Source: Higgins et al. 2024, section
    6.5.2.8.

    >>> mean_change(np.array([10.0]), np.array([12.0]))
    array([2.])
    """
    with np.errstate(all="ignore"):
        return keep(mean_post - mean_pre)


@conversion(
    "mean-after",
    title="Mean after",
    text="the mean before plus the mean change",
    gives="mean_post",
    cite="higgins2024",
)
def mean_after(mean_pre: Floats, mean_change: Floats) -> Floats:
    """Return the mean after from that before and the mean change: mean_pre + mean_change.

    mean_pre, mean_change: (k,) in the units of the instrument; nan where not finite. Source: Higgins et al. 2024,
    section 6.5.2.8.

    >>> mean_after(np.array([10.0]), np.array([2.0]))
    array([12.])
    """
    with np.errstate(all="ignore"):
        return keep(mean_pre + mean_change)


@conversion("final-score", title="Final scores", text="the score after", gives="score", cite="higgins2024")
def final_score(score: Floats) -> Floats:
    """Return scores after as the scores that two groups are compared by.

    score: (k,) means or SDs; nan where not finite. Source: Higgins et al. 2024, section 6.5.2.8.

    >>> final_score(np.array([2.0]))
    array([2.])
    """
    return keep(np.asarray(score, dtype=np.float64))


@conversion("change-score", title="Change scores", text="the change from baseline", gives="score", cite="deeks2024")
def change_score(score: Floats) -> Floats:
    """Return changes from baseline as the scores that two groups are compared by.

    A difference of mean changes estimates what a difference of final means does; a standardised one does not, because
    the SD of the change is another unit.

    score: (k,) means or SDs of the change; nan where not finite. Source: Deeks et al. 2024, section 10.5.2.

    >>> change_score(np.array([2.0]))
    array([2.])
    """
    return keep(np.asarray(score, dtype=np.float64))


@conversion("mean-is-median", title="Median as mean", text="the median", gives="mean", cite="higgins2024")
def mean_is_median(median: Floats) -> Floats:
    """Return the median in place of the mean, right for symmetric distributions.

    median: (k,) in the units of the instrument; nan where not finite. Source: Higgins et al. 2024, section 6.5.2.9.

    >>> mean_is_median(np.array([2.0]))
    array([2.])
    """
    return keep(np.asarray(median, dtype=np.float64))


@conversion("pooled-sd", title="Pooled SD", text="the SD within both groups", gives="sd_within", cite="borenstein2009")
def pooled_sd(sd_1: Floats, n_1: Floats, sd_2: Floats, n_2: Floats) -> Floats:
    """Return the standard deviation within two groups.

    sd^2 = ((n_1 - 1) sd_1^2 + (n_2 - 1) sd_2^2) / (n_1 + n_2 - 2).

    sd_1, sd_2: (k,) not negative; n_1, n_2: (k,) at least 1 and together at least 3; nan elsewhere. Source: Borenstein
    et al. 2009, equation 4.19.

    >>> pooled_sd(*(np.array([x]) for x in (3.0, 11.0, 4.0, 11.0))).round(4)
    array([3.5355])
    """
    with np.errstate(all="ignore"):
        df = n_1 + n_2 - 2
        both = np.hypot(np.sqrt((n_1 - 1) / df) * sd_1, np.sqrt((n_2 - 1) / df) * sd_2)
        return keep(both, sd_1 >= 0, sd_2 >= 0, sample(n_1, 1), sample(n_2, 1), df >= 1)


@conversion("equal-sds", title="Equal SDs", text="the SD within both groups", gives="sd", cite="higgins2024")
def equal_sds(sd_within: Floats) -> Floats:
    """Return the standard deviation within two groups as that of each.

    sd_within: (k,) not negative; nan elsewhere. A mean difference and its standard error come out as they were; a
    measure that asks for each SD by itself does not. Source: Higgins et al. 2024, section 6.5.2.3.

    >>> equal_sds(np.array([2.0]))
    array([2.])
    """
    return keep(np.asarray(sd_within, dtype=np.float64), sd_within >= 0)


@conversion(
    "t-from-f", title="t from F", text="the square root of F on 1 degree of freedom", gives="t", cite="higgins2024"
)
def t_from_f(f: Floats) -> Floats:
    """Return the absolute t statistic behind an F statistic with 1 numerator degree of freedom: t = sqrt(f).

    f: (k,) not negative; nan elsewhere. Source: Higgins et al. 2024, section 6.5.2.3.

    >>> t_from_f(np.array([4.0]))
    array([2.])
    """
    with np.errstate(all="ignore"):
        return keep(np.sqrt(f), f >= 0)


@conversion(
    "same-r",
    title="r of the study",
    text="the correlation that is given for another arm or for the whole study",
    gives="r",
    cite="higgins2024",
)
def same_r(r: Floats) -> Floats:
    """Return the correlation of one arm, or of the whole study, for an arm that has none.

    r: (k,) in [-1, 1]; nan elsewhere. Source: Higgins et al. 2024, section 6.5.2.8, which borrows from the other arm.

    >>> same_r(np.array([0.7]))
    array([0.7])
    """
    return keep(np.asarray(r, dtype=np.float64), np.abs(r) <= 1)


@conversion("assumed", title="r assumed", text="assumed, not reported", gives="r", cite="higgins2024")
def assumed(r: Floats) -> Floats:
    """Return a correlation that is assumed because nothing in the table says what it is.

    r: (k,) in [-1, 1]; nan elsewhere. Source: Higgins et al. 2024, section 6.5.2.8, which asks for a range of values.

    >>> assumed(np.array([0.5]))
    array([0.5])
    """
    return keep(np.asarray(r, dtype=np.float64), np.abs(r) <= 1)


@conversion("n-from-counts", title="n from counts", text="events plus non-events", gives="n", cite="higgins2024")
def n_from_counts(events: Floats, nonevents: Floats) -> Floats:
    """Return the size of a group from its people with and without the event: events + nonevents.

    events, nonevents: (k,) not negative; nan elsewhere. Source: Higgins et al. 2024, section 6.4.1.

    >>> n_from_counts(np.array([3.0]), np.array([7.0]))
    array([10.])
    """
    return keep(events + nonevents, events >= 0, nonevents >= 0)


@conversion(
    "events-from-rest", title="Events from the rest", text="all less those without", gives="events", cite="higgins2024"
)
def events_from_rest(total: Floats, rest: Floats) -> Floats:
    """Return the events that are left of a total: people less non-events, or events of both arms less those of one.

    total, rest: (k,) not negative, rest <= total; nan elsewhere. Source: Higgins et al. 2024, section 6.4.1.

    >>> events_from_rest(np.array([10.0]), np.array([7.0]))
    array([3.])
    """
    with np.errstate(all="ignore"):
        return keep(total - rest, rest >= 0, total >= rest)


@conversion(
    "risk-ratio",
    title="Risk ratio",
    text="the risk of arm 1 over that of arm 2",
    gives="risk_ratio",
    cite="higgins2024",
)
def risk_ratio(events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats) -> Floats:
    """Return the risk ratio of two groups, without any correction: (events_1 / n_1) / (events_2 / n_2).

    Counts (k,) above 0, at most n; nan elsewhere. Source: Higgins et al. 2024, section 6.4.1.1.

    >>> risk_ratio(*(np.array([x]) for x in (10.0, 20.0, 5.0, 20.0)))
    array([2.])
    """
    with np.errstate(all="ignore"):
        ratio = (events_1 / n_1) / (events_2 / n_2)
        return keep(ratio, events_1 > 0, events_2 > 0, events_1 <= n_1, events_2 <= n_2)


@conversion(
    "odds-ratio",
    title="Odds ratio",
    text="the odds of arm 1 over those of arm 2",
    gives="odds_ratio",
    cite="higgins2024",
)
def odds_ratio(events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats) -> Floats:
    """Return the odds ratio of two groups, without any correction.

    OR = events_1 (n_2 - events_2) / (events_2 (n_1 - events_1)). Cells (k,) above 0; nan elsewhere. Source: Higgins et
    al. 2024, section 6.4.1.2.

    >>> odds_ratio(*(np.array([x]) for x in (10.0, 20.0, 5.0, 20.0)))
    array([3.])
    """
    with np.errstate(all="ignore"):
        ratio = (events_1 / (n_1 - events_1)) / (events_2 / (n_2 - events_2))
        return keep(ratio, events_1 > 0, events_2 > 0, events_1 < n_1, events_2 < n_2)
