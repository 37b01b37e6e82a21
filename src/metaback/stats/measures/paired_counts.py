"""Measures that compare the outcomes of two treatments in the same people, or in matched pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, amount, finish, measure
from metaback.stats.measures.zero_cells import (
    ADD,
    CORRECTION,
    RATIO_ZEROS,
    UNDEFINED,
    ZEROS,
    Bools,
    close,
    corrected_rows,
    log_ratio,
    relative_cells,
)

NO_DISCORDANT = "no pairs with different outcomes"
SAME_FOR_ALL = "no events, or only events, under both treatments"
PAIRS = "; a and d are the pairs with and without events under both treatments, b and c those under one only"
_ADDED = "Where a study had a zero count, 0.5 was added to all four cells of that study"
_DROPPED = "; studies without events, or without non-events, under both treatments were not pooled"
PAIR_ZEROS = Convention(
    ZEROS.title,
    {
        **{name: choice for name, choice in ZEROS.choices.items() if name != "treatment-arm"},
        "drop00": Choice(sentence=_ADDED + _DROPPED, cite="viechtbauer2010"),
        "only0-drop00": Choice(sentence=_ADDED + _DROPPED, cite="viechtbauer2010"),
        "all-drop00": Choice(
            sentence=f"0.5 was added to all four cells of every study{_DROPPED}", cite="viechtbauer2010"
        ),
        "if0all-drop00": Choice(
            sentence="If any study that was pooled had a zero count, 0.5 was added to all four cells of every "
            f"study{_DROPPED}",
            cite="viechtbauer2010",
        ),
    },
)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs with both, only the first, only the second and no event after correction, and what a policy did."""

    a: Floats
    b: Floats
    c: Floats
    d: Floats
    corrected: Bools
    lost: Bools


def _revman_rows(raw: Floats, kind: str) -> tuple[Bools, Bools]:
    """Tell which rows RevMan's policy corrects (they have no variance) and which it leaves out (they say nothing)."""
    a, b, c, d = raw
    agree = b + c == 0
    same = agree & ((a == 0) | (d == 0))
    nowhere = np.zeros_like(same)
    one_way = (a + d == 0) & ((b == 0) | (c == 0))
    no_events = (a + b == 0) | (a + c == 0)
    return {
        "difference": (agree | one_way, nowhere),
        "ratio": (agree | no_events, same),
        "odds": (agree | no_events | (c + d == 0) | (b + d == 0), same),
        "conditional": ((b == 0) | (c == 0), agree),
        "peto": (nowhere, agree),
    }[kind]


def _pairs(cells: tuple[Floats, Floats, Floats, Floats], zeros: str, add: str, kind: str) -> _Pairs:
    """Return the cells of the paired table under a policy for zero counts; rows that are no table are nan.

    kind: which rows have no variance, or say nothing, depends on the measure: see `_revman_rows`.
    """
    PAIR_ZEROS.check("zeros", zeros)
    ADD.check("add", add)
    raw = np.stack(cells).astype(np.float64)
    valid = np.isfinite(raw).all(axis=0) & (raw >= 0).all(axis=0) & (raw.sum(axis=0) > 0)
    raw = np.where(valid, raw, np.nan)
    needs, silent = _revman_rows(raw, kind)
    same = (raw[1] + raw[2] == 0) & ((raw[0] == 0) | (raw[3] == 0))
    lost = same if zeros.endswith("drop00") else silent if zeros == "RevMan" else np.zeros_like(same)
    zero = (raw == 0).any(axis=0) & ~(lost & zeros.endswith("drop00"))
    corrected = corrected_rows(zeros, zero, needs & ~silent) & valid & (amount(add) > 0)
    a, b, c, d = raw + amount(add) * corrected
    return _Pairs(a, b, c, d, corrected, lost)


def _close(t: _Pairs, yi: Floats, vi: Floats) -> Computed:
    """Finish a measure of pairs."""
    return finish(yi, vi, ~t.lost, t.corrected)


@measure(
    Measure(
        "MPRD",
        "Risk difference of matched pairs",
        "RD",
        "linear",
        "counts",
        CORRECTION,
        SAME_FOR_ALL,
        formula="the marginal difference in risks, with variance ((b + c)(a + d) + 4bc)/n³" + PAIRS,
        conventions={"zeros": PAIR_ZEROS, "add": ADD},
        turn="sign",
    ),
    cite="newcombe1998 elbourne2002",
)
def paired_risk_difference(
    pairs_11: Floats, pairs_12: Floats, pairs_21: Floats, pairs_22: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the marginal risk difference of matched pairs.

    y = (b - c)/n, v = ((b + c) - (b - c)^2/n)/n^2 = ((b + c)(a + d) + 4 b c)/n^3, with a, b, c, d the pairs with
    events under both treatments, the first only, the second only, and none.

    All arguments (k,) counts of pairs. zeros "metafor" and "only0": 0.5 is added to all four cells of rows with a
    zero cell; "RevMan": only where the variance would be 0; "drop00": as "metafor", but rows in which everybody has the
    same outcome are undefined; "none", "all", "if0all": no row,
    every row, every row if any has a zero cell. There is no opposite arm, so "treatment-arm" is refused.
    Source: Newcombe 1998; Elbourne et al. 2002. Same as `metafor::escalc(measure="MPRD")`; its `drop00` leaves out
    rows with a = c = 0 or b = d = 0, as if the arms were independent, which are informative.

    >>> out = paired_risk_difference(*(np.array([x]) for x in (92.0, 86.0, 160.0, 612.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (-0.0779, 0.000266)
    """
    t = _pairs((pairs_11, pairs_12, pairs_21, pairs_22), zeros, add, "difference")
    n = t.a + t.b + t.c + t.d
    odd = t.b + t.c
    return _close(t, (t.b - t.c) / n, (odd * (t.a + t.d) + 4 * t.b * t.c) / n**3)


@measure(
    Measure(
        "MPRR",
        "Risk ratio of matched pairs",
        "RR",
        "log",
        "counts",
        CORRECTION,
        SAME_FOR_ALL,
        formula="the marginal ratio of risks, with variance (b + c)/((a + b)(a + c)) of its logarithm" + PAIRS,
        conventions={"zeros": PAIR_ZEROS, "add": ADD},
        back="exp",
        turn="counts",
    ),
    cite="zou2007",
)
def paired_risk_ratio(
    pairs_11: Floats, pairs_12: Floats, pairs_21: Floats, pairs_22: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the log of the marginal risk ratio of matched pairs.

    y = log((a + b)/(a + c)), v = (b + c)/((a + b)(a + c)), with a, b, c the pairs with events under both treatments,
    the first only and the second only.

    All arguments (k,) counts of pairs; zeros as for `paired_risk_difference`, but "RevMan" corrects where an effect or
    variance needs it, and rows in which everybody has the same outcome are undefined. Source: Zou 2007. Same as
    `metafor::escalc(measure="MPRR")`.

    >>> out = paired_risk_ratio(*(np.array([x]) for x in (92.0, 86.0, 160.0, 612.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (-0.3476, 0.005484)
    """
    t = _pairs((pairs_11, pairs_12, pairs_21, pairs_22), zeros, add, "ratio")
    one, two = t.a + t.b, t.a + t.c
    with np.errstate(divide="ignore", invalid="ignore"):
        return _close(t, log_ratio(one, two), (t.b + t.c) / one / two)


@measure(
    Measure(
        "MPOR",
        "Odds ratio of matched pairs (marginal)",
        "OR",
        "log",
        "counts",
        CORRECTION,
        SAME_FOR_ALL,
        formula="the marginal ratio of odds, with the variance of its logarithm from the paired table",
        conventions={"zeros": PAIR_ZEROS, "add": ADD},
        back="exp",
        turn="sign",
    ),
    cite="becker1993 elbourne2002",
)
def paired_odds_ratio(
    pairs_11: Floats, pairs_12: Floats, pairs_21: Floats, pairs_22: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the log of the marginal odds ratio of matched pairs.

    y = log(A D/(B C)) with A = a + b, B = c + d the events and non-events under the first treatment, C = a + c,
    D = b + d those under the second. v = 1/A + 1/B + 1/C + 1/D - 2 n (ad - bc)/(A B C D), computed as the sum of cell
    x gradient^2, whose terms are all positive: it stays accurate where nearly all pairs agree.

    All arguments (k,) counts of pairs; zeros as for `paired_risk_ratio`. Source: Becker & Balagtas 1993;
    Elbourne et al. 2002. Same as `metafor::escalc(measure="MPOR")`.

    >>> out = paired_odds_ratio(*(np.array([x]) for x in (92.0, 86.0, 160.0, 612.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (-0.4484, 0.00897)
    """
    t = _pairs((pairs_11, pairs_12, pairs_21, pairs_22), zeros, add, "odds")
    a_1, b_1, a_2, b_2 = t.a + t.b, t.c + t.d, t.a + t.c, t.b + t.d
    with np.errstate(divide="ignore", invalid="ignore"):
        yi = log_ratio(a_1 * b_2, a_2 * b_1)
        odd = (t.b - t.c) ** 2
        vi = t.a * odd / (a_1 * a_2) ** 2 + t.d * odd / (b_1 * b_2) ** 2
        vi = vi + t.b * ((a_1 + b_2) / a_1 / b_2) ** 2 + t.c * ((b_1 + a_2) / b_1 / a_2) ** 2
    return _close(t, yi, vi)


@measure(
    Measure(
        "MPORC",
        "Odds ratio of matched pairs (conditional)",
        "OR",
        "log",
        "counts",
        CORRECTION,
        NO_DISCORDANT,
        formula="the conditional ratio of odds, b/c, with variance 1/b + 1/c of its logarithm" + PAIRS,
        conventions={"zeros": PAIR_ZEROS, "add": ADD},
        back="exp",
        turn="sign",
    ),
    cite="zou2007",
)
def paired_conditional_odds_ratio(
    pairs_11: Floats, pairs_12: Floats, pairs_21: Floats, pairs_22: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the log of the conditional odds ratio of matched pairs.

    y = log(b/c), v = 1/b + 1/c, with b, c the pairs with events under the first and the second treatment only.

    All arguments (k,) counts of pairs; zeros as for `paired_risk_difference`, but "RevMan" corrects only where b or
    c is 0, and rows without discordant pairs are undefined. Source: Zou 2007. Same as
    `metafor::escalc(measure="MPORC")`.

    >>> out = paired_conditional_odds_ratio(*(np.array([x]) for x in (92.0, 86.0, 160.0, 612.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (-0.6208, 0.017878)
    """
    t = _pairs((pairs_11, pairs_12, pairs_21, pairs_22), zeros, add, "conditional")
    with np.errstate(divide="ignore", invalid="ignore"):
        return _close(t, log_ratio(t.b, t.c), 1 / t.b + 1 / t.c)


@measure(
    Measure(
        "MPPETO",
        "Peto odds ratio of matched pairs",
        "Peto OR",
        "log",
        "counts",
        CORRECTION,
        NO_DISCORDANT,
        formula="the conditional odds ratio of Peto's method, exp(2(b − c)/(b + c)), with variance 4/(b + c) of its "
        "logarithm" + PAIRS,
        conventions={"zeros": PAIR_ZEROS, "add": ADD},
        back="exp",
        turn="sign",
    ),
    cite="zou2007 yusuf1985",
)
def paired_peto_odds_ratio(
    pairs_11: Floats, pairs_12: Floats, pairs_21: Floats, pairs_22: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the log of the conditional odds ratio of matched pairs by Peto's one-step method.

    y = (O - E)/V, v = 1/V with O - E = (b - c)/2 and V = (b + c)/4, where b, c are the pairs with events under the
    first and the second treatment only.

    All arguments (k,) counts of pairs; zeros as for `paired_conditional_odds_ratio`, but "RevMan" corrects
    nothing. Source: Yusuf et al. 1985; Zou 2007. Same as `metafor::escalc(measure="MPPETO")`.

    >>> out = paired_peto_odds_ratio(*(np.array([x]) for x in (92.0, 86.0, 160.0, 612.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (-0.6016, 0.01626)
    """
    t = _pairs((pairs_11, pairs_12, pairs_21, pairs_22), zeros, add, "peto")
    odd = t.b + t.c
    with np.errstate(divide="ignore", invalid="ignore"):
        return _close(t, 2 * (t.b - t.c) / odd, 4 / odd)


@measure(
    Measure(
        "MPORM",
        "Odds ratio of matched pairs (from margins)",
        "OR",
        "log",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula="the marginal ratio of odds, with variance s₁² + s₂² − 2r s₁s₂ of its logarithm; s² is 1/events + "
        "1/non-events of a treatment, r the correlation of the outcomes of a pair",
        conventions={"zeros": RATIO_ZEROS, "add": ADD},
        back="exp",
        turn="sign",
    ),
    cite="becker1993 elbourne2002",
)
def paired_odds_ratio_from_margins(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, r: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the log of the marginal odds ratio of matched pairs whose paired table is not reported.

    y = log(A D/(B C)) from the events and non-events A, B and C, D under the two treatments; v = s_1^2 + s_2^2 -
    2 r s_1 s_2 with s_1^2 = 1/A + 1/B, s_2^2 = 1/C + 1/D.

    events and n (k,) counts, both n the number of pairs; r (k,) the phi coefficient of the paired table, with which v
    is that of `paired_odds_ratio`. Undefined for r beyond -1 to 1. zeros as for `risk_ratio`.
    Source: Becker & Balagtas 1993; Elbourne et al. 2002. Same as `metafor::escalc(measure="MPORM")`.

    >>> out = paired_odds_ratio_from_margins(*(np.array([x]) for x in (178.0, 252.0, 138.0, 252.0, 0.3)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (0.6867, 0.024646)
    """
    t = relative_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    r = np.where(np.abs(r) <= 1, r, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        s_1, s_2 = np.sqrt(1 / t.a + 1 / t.b), np.sqrt(1 / t.c + 1 / t.d)
        return close(t, log_ratio(t.a * t.d, t.b * t.c), (s_1 - s_2) ** 2 + 2 * (1 - r) * s_1 * s_2)
