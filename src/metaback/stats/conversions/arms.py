"""Arms put together, a shared arm split, and counts found again from percentages or from margins and an association."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.stats.conversions.family import Floats, conversion, keep, sample

COUNT_SLACK = 1e-9  # share of a count that sums of decimal inputs lose; far below the half that decides
WHOLE = 0.5  # a cell that is negative by less than this rounds to 0


@dataclass(frozen=True, slots=True)
class Arm:
    """Sample size, mean and standard deviation of one group, (k,)."""

    n: Floats
    mean: Floats
    sd: Floats


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Events and sample size of one group, (k,)."""

    events: Floats
    n: Floats


@dataclass(frozen=True, slots=True)
class Counts:
    """The whole number of events nearest to a percentage; lowest and highest that are printed as it, (k,)."""

    events: Floats
    lowest: Floats
    highest: Floats


@dataclass(frozen=True, slots=True)
class TwoArmCounts:
    """Whole numbers of events in both arms, and those of arm 1 before rounding, (k,)."""

    events_1: Floats
    events_2: Floats
    unrounded_1: Floats


# ---------------------------------------------------------------- several arms as one, one as several


@conversion(
    "combine-means",
    title="Arms combined",
    text="n, mean and SD of several arms as if they were one group",
    gives="n mean sd",
    cite="higgins2024",
)
def combine_means(n: Floats, mean: Floats, sd: Floats, *, arms: NDArray[np.bool_] | None = None) -> Arm:
    """Combine two or more groups into one, exactly as if their raw data were put together.

    N = sum n_j, M = sum n_j m_j / N, (N - 1) S^2 = sum (n_j - 1) s_j^2 + sum n_j (m_j - M)^2.

    n, mean, sd: (k, m), one column for each of m groups; n at least 1, SDs not negative (for n = 1 the SD is not
    used). arms: (k, m) which groups a row has, all if not given; what is masked may hold anything. A missing number
    of a group that is there leaves the row undefined: no group is left out in silence. Source: Higgins et al. 2024,
    table 6.5.a, whose formula for two groups is the same.

    >>> out = combine_means(np.array([[10.0, 20.0]]), np.array([[5.0, 8.0]]), np.array([[2.0, 3.0]]))
    >>> float(out.n[0]), float(out.mean[0]), float(out.sd[0].round(4))
    (30.0, 7.0, 3.0343)
    """
    there = np.ones(np.shape(n), dtype=bool) if arms is None else np.asarray(arms, dtype=bool)
    with np.errstate(all="ignore"):
        spread = np.where(n == 1, 0.0, sd)
        good = ~there | (sample(n, 1) & np.isfinite(mean) & np.isfinite(spread) & (spread >= 0))
        good = good.all(axis=-1) & there.any(axis=-1)
        size = np.where(there, n, 0.0)
        total = size.sum(axis=-1)
        first = np.take_along_axis(np.asarray(mean), there.argmax(axis=-1)[..., None], axis=-1)
        shift = np.where(there, mean - first, 0.0)
        middle = (size * shift).sum(axis=-1) / total
        within = np.where(there, (n - 1) * spread**2, 0.0)
        between = size * (shift - middle[..., None]) ** 2
        combined = np.sqrt((within + between).sum(axis=-1) / (total - 1))
    good = good & (total > 1) & np.isfinite(combined)
    return Arm(keep(total, good), keep(first[..., 0] + middle, good), keep(combined, good))


@conversion(
    "combine-counts",
    title="Counts of arms combined",
    text="events and n of several arms, added",
    gives="events n",
    cite="higgins2024",
)
def combine_counts(events: Floats, n: Floats, *, arms: NDArray[np.bool_] | None = None) -> ArmCounts:
    """Add events and sizes of two or more groups.

    events, n: (k, m), 0 <= events <= n; arms: as in `combine_means`. A missing number of a group that is there leaves
    the row undefined. Source: Higgins et al. 2024, section 6.2.9.

    >>> combine_counts(np.array([[3.0, 4.0]]), np.array([[10.0, 20.0]])).events
    array([7.])
    """
    there = np.ones(np.shape(n), dtype=bool) if arms is None else np.asarray(arms, dtype=bool)
    good = ~there | (sample(n, 1) & (events >= 0) & (events <= n))
    good = good.all(axis=-1) & there.any(axis=-1)
    with np.errstate(all="ignore"):
        total, size = np.where(there, events, 0.0).sum(axis=-1), np.where(there, n, 0.0).sum(axis=-1)
    good = good & np.isfinite(size)
    return ArmCounts(keep(total, good), keep(size, good))


@conversion(
    "split-n",
    title="Shared group split",
    text="the shared group divided by the number of comparisons; mean and SD stay",
    gives="n",
    cite="higgins2024b",
)
def split_n(n: Floats, comparisons: Floats) -> Floats:
    """Divide the size of a group that several comparisons share: n / comparisons, not rounded.

    n: (k,) at least 1; comparisons: (k,) whole numbers from 1 to n; nan elsewhere. Mean and SD stay as they are.
    Source: Higgins et al. 2024b, section 23.3.4.

    >>> split_n(np.array([45.0]), np.array([2.0]))
    array([22.5])
    """
    with np.errstate(all="ignore"):
        return keep(n / comparisons, sample(comparisons, 1), comparisons == np.floor(comparisons), comparisons <= n)


@conversion(
    "split-counts",
    title="Counts of a shared group split",
    text="events and n of the shared group divided by the number of comparisons",
    gives="events n",
    cite="higgins2024b",
)
def split_counts(events: Floats, n: Floats, comparisons: Floats) -> ArmCounts:
    """Divide events and size of a group that several comparisons share; the risk stays, nothing is rounded.

    events, n: (k,) with 0 <= events <= n; comparisons: as in `split_n`. nan elsewhere. Source: Higgins et al. 2024b,
    section 23.3.4.

    >>> split_counts(np.array([9.0]), np.array([45.0]), np.array([2.0])).events
    array([4.5])
    """
    size = split_n(n, comparisons)
    with np.errstate(all="ignore"):
        part = keep(events / comparisons, np.isfinite(size), events >= 0, events <= n)
    return ArmCounts(part, keep(size, np.isfinite(part)))


# ---------------------------------------------------------------- counts from percentages


@conversion(
    "events-from-percent",
    title="Events from a percentage",
    text="the whole number of events that is printed as this percentage of n",
    gives="events lowest highest",
    cite="higgins2024",
)
def events_from_percent(percent: Floats, n: Floats, *, decimals: int | Floats = 0) -> Counts:
    """Return the number of events behind a printed percentage, and whether any or several numbers are printed so.

    events = the whole number nearest to percent n / 100; lowest and highest are the ends of the whole numbers e with
    |100 e / n - percent| <= 10^-decimals / 2. More than one is left over from n = 100 x 10^decimals on.

    percent: (k,) in [0, 100]; n: (k,) whole, at least 1; decimals: how many the percentage is printed with, one or
    (k,). nan elsewhere, and where no whole number is printed so: then percentage and n do not belong together. A half
    is accepted rounded up or down. Source: Higgins et al. 2024, section 6.4.

    >>> out = events_from_percent(np.array([33.0, 33.0, 50.0]), np.array([12.0, 10.0, 400.0]))
    >>> out.events, out.highest - out.lowest
    (array([  4.,  nan, 200.]), array([ 0., nan,  4.]))
    """
    with np.errstate(all="ignore"):
        half = 0.5 * 10.0 ** -np.asarray(decimals, dtype=np.float64)
        slack = COUNT_SLACK * (1 + n * 1e-6)
        lowest = np.maximum(np.ceil((percent - half) * n / 100 - slack), 0.0)
        highest = np.minimum(np.floor((percent + half) * n / 100 + slack), n)
        events = np.clip(np.rint(percent * n / 100), lowest, highest)
        good = (percent >= 0) & (percent <= 100) & sample(n, 1) & (n == np.floor(n)) & (lowest <= highest)
        return Counts(keep(events, good), keep(lowest, good), keep(highest, good))


# ---------------------------------------------------------------- a 2 x 2 table from its margins


def _table(a: Floats, n_1: Floats, n_2: Floats, events: Floats) -> TwoArmCounts:
    """Round the events of arm 1 and take the rest from the margins; undefined where a cell would be negative."""
    with np.errstate(all="ignore"):
        first = np.rint(a) + 0.0
        second = events - first
        margins = sample(n_1, 1) & sample(n_2, 1) & (events >= 0) & (events <= n_1 + n_2)
        whole = (n_1 == np.floor(n_1)) & (n_2 == np.floor(n_2)) & (events == np.floor(events))
        inside = (first >= 0) & (first <= n_1) & (second >= 0) & (second <= n_2)
        good = margins & whole & inside & np.isfinite(a)
        return TwoArmCounts(keep(first, good), keep(second, good), keep(a, good))


@conversion(
    "counts-from-or",
    title="Counts from margins and odds ratio",
    text="the counts of both arms that have these sizes, this total of events and this odds ratio",
    gives="events_1 events_2",
    cite="bonett2007",
)
def counts_from_odds_ratio(odds_ratio: Floats, n_1: Floats, n_2: Floats, events: Floats) -> TwoArmCounts:
    """Find the events of both arms again from their sizes, the total of events and the odds ratio.

    a (n_2 - e + a) = OR (n_1 - a)(e - a), with a the events of arm 1 and e those of both. The root, written so that
    nothing cancels, is a = 2 OR n_1 e / (p + 2 OR e + sqrt(p^2 + 4 OR e (n_1 + n_2 - e))) with
    p = n_2 - e + OR (n_1 - e), and its conjugate form where p + 2 OR e < 0.

    odds_ratio: (k,) not negative; n_1, n_2, events: (k,) whole, events <= n_1 + n_2; undefined elsewhere and where a
    cell would be below 0. Arm 2 gets events - a. `unrounded_1` shows how far the printed odds ratio was from a table.
    Source: Bonett 2007. Counterpart: `metafor::conv.2x2(ori=, ni=n_1 + n_2, n1i=n_1, n2i=events)`.

    >>> out = counts_from_odds_ratio(*(np.array([x]) for x in (2.05, 122.0, 118.0, 56.0)))
    >>> float(out.events_1[0]), float(out.events_2[0]), float(out.unrounded_1[0].round(3))
    (36.0, 20.0, 35.994)
    """
    with np.errstate(all="ignore"):
        p = n_2 - events + odds_ratio * (n_1 - events)
        b = p + 2 * odds_ratio * events
        root = np.sqrt(p * p + 4 * odds_ratio * events * (n_1 + n_2 - events))
        none = (odds_ratio == 0) | (events == 0)
        lone = np.where(none, np.maximum(events - n_2, 0.0), 2 * odds_ratio * n_1 * events / (b + root))
        a = np.where((b < 0) & ~none, (root - b) / (2 * (1 - odds_ratio)), lone)
        return _table(np.where(odds_ratio >= 0, a, np.nan), n_1, n_2, events)


@conversion(
    "counts-from-rr",
    title="Counts from margins and risk ratio",
    text="the counts of both arms that have these sizes, this total of events and this risk ratio",
    gives="events_1 events_2",
    cite="dipietrantonj2006",
)
def counts_from_risk_ratio(risk_ratio: Floats, n_1: Floats, n_2: Floats, events: Floats) -> TwoArmCounts:
    """Find the events of both arms again from their sizes, the total of events and the risk ratio.

    a = e RR n_1 / (RR n_1 + n_2), from (a / n_1) / ((e - a) / n_2) = RR.

    Arguments and edges as in `counts_from_odds_ratio`. Source: Di Pietrantonj 2006 (the margins known).

    >>> out = counts_from_risk_ratio(*(np.array([x]) for x in (1.74, 122.0, 118.0, 56.0)))
    >>> float(out.events_1[0]), float(out.events_2[0])
    (36.0, 20.0)
    """
    with np.errstate(all="ignore"):
        a = events * (risk_ratio * n_1 / (risk_ratio * n_1 + n_2))
        return _table(np.where(risk_ratio >= 0, a, np.nan), n_1, n_2, events)


@conversion(
    "counts-from-phi",
    title="Counts from margins and phi",
    text="the counts of both arms that have these sizes, this total of events and this phi coefficient",
    gives="events_1 events_2",
    cite="bonett2007",
)
def counts_from_phi(phi: Floats, n_1: Floats, n_2: Floats, events: Floats) -> TwoArmCounts:
    """Find the events of both arms again from their sizes, the total of events and the phi coefficient.

    a = (n_1 e + phi sqrt(n_1 n_2 e (N - e))) / N with N = n_1 + n_2, because a d - b c = a N - n_1 e.

    phi: (k,) in [-1, 1], positive where arm 1 has the higher risk; the rest and the edges as in
    `counts_from_odds_ratio`. Source: the definition of phi; Bonett 2007. Counterpart: `metafor::conv.2x2(ri=, ...)`.

    >>> out = counts_from_phi(*(np.array([x]) for x in (0.15, 122.0, 118.0, 56.0)))
    >>> float(out.events_1[0]), float(out.events_2[0])
    (36.0, 20.0)
    """
    with np.errstate(all="ignore"):
        total = n_1 + n_2
        spread = np.sqrt(n_1 * n_2) * np.sqrt(events * (total - events))
        a = (n_1 * events + phi * spread) / total
        return _table(np.where(np.abs(phi) <= 1, a, np.nan), n_1, n_2, events)


@conversion(
    "counts-from-chi2",
    title="Counts from margins and chi-square",
    text="the counts of both arms that have these sizes, this total of events and this chi-square statistic",
    gives="events_1 events_2",
    cite="bonett2007",
)
def counts_from_chi2(
    chi2: Floats, n_1: Floats, n_2: Floats, events: Floats, *, yates: bool | NDArray[np.bool_] = True
) -> TwoArmCounts:
    """Find the events of both arms again from their sizes, the total of events and the signed chi-square on 1 df.

    |a d - b c| = sqrt(|chi2| n_1 n_2 e (N - e) / N) + c, with c = N/2 for Yates' correction and 0 without, and the
    sign of chi2; then a = (n_1 e + (a d - b c)) / N.

    chi2: (k,) with the sign of the association (positive where arm 1 has the higher risk); yates: one or (k,). The
    rest and the edges as in `counts_from_odds_ratio`; a corrected chi2 of 0 stands for many tables and is undefined.
    Source: the definition of the statistic; Bonett 2007. Counterpart: `metafor::conv.2x2(x2i=, correct=, ...)`.

    >>> out = counts_from_chi2(*(np.array([x]) for x in (4.65, 122.0, 118.0, 56.0)))
    >>> float(out.events_1[0]), float(out.events_2[0])
    (36.0, 20.0)
    """
    with np.errstate(all="ignore"):
        total = n_1 + n_2
        size = np.sqrt(np.abs(chi2) * n_1 / total) * np.sqrt(n_2 * events * (total - events))
        size = size + np.where(yates, total / 2, 0.0)
        a = (n_1 * events + np.sign(chi2) * size) / total
        many = np.asarray(yates) & (chi2 == 0)
        return _table(np.where(many, np.nan, a), n_1, n_2, events)
