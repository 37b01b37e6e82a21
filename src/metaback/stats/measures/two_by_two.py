"""Measures from the counts of two independent groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, finish, measure

CORRECTION = "0.5 added to all four cells"
UNDEFINED = "no events, or only events, in both arms"
CELLS = "; a and c are events, b and d non-events"
ADDED = "0.5 was added to all four cells of that study"
ZEROS = Convention(
    "zero counts",
    {
        "RevMan": Choice(
            sentence=f"Where a zero count left a variance undefined, {ADDED}", cite="deeks2010 sweeting2004"
        ),
        "metafor": Choice(
            sentence=f"Where a study had a zero count, {ADDED}, also when neither arm had events",
            cite="viechtbauer2010 sweeting2004",
        ),
        "none": Choice(
            sentence="Zero counts were not corrected; studies whose effect or variance they left undefined were not "
            "pooled"
        ),
    },
)
NO_EVENTS = (
    "; studies without events, or without non-events, in both arms say nothing about a ratio and were not pooled"
)
_REVMAN = ZEROS.choices["RevMan"]
RATIO_ZEROS = replace(
    ZEROS, choices={**ZEROS.choices, "RevMan": replace(_REVMAN, sentence=_REVMAN.sentence + NO_EVENTS)}
)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Events and non-events of both arms after correction, and which rows were corrected."""

    a: Floats
    b: Floats
    c: Floats
    d: Floats
    corrected: NDArray[np.bool_]

    @property
    def one_sided(self) -> NDArray[np.bool_]:
        """Tell where both arms have no events, or both only events (before any correction)."""
        shift = 0.5 * self.corrected
        nobody = (self.a - shift == 0) & (self.c - shift == 0)
        everybody = (self.b - shift == 0) & (self.d - shift == 0)
        return nobody | everybody


def _cells(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, zeros: str, needed: NDArray[np.bool_]
) -> _Cells:
    """Add 0.5 to the cells of rows that the policy corrects: those that need it (RevMan), any with a zero (metafor)."""
    ZEROS.check("zeros", zeros)
    a, b, c, d = events_1, n_1 - events_1, events_2, n_2 - events_2
    any_zero = (a == 0) | (b == 0) | (c == 0) | (d == 0)
    corrected = {"RevMan": needed & any_zero, "metafor": any_zero, "none": np.zeros(a.shape, dtype=bool)}[zeros]
    shift = 0.5 * corrected
    return _Cells(a + shift, b + shift, c + shift, d + shift, corrected)


def _relative(cells: _Cells, yi: Floats, vi: Floats, zeros: str) -> Computed:
    """Finish a ratio: under RevMan's policy rows without events (or without non-events) have no ratio."""
    defined = ~cells.one_sided if zeros == "RevMan" else np.ones(yi.shape, dtype=bool)
    return finish(yi, vi, defined, cells.corrected)


@measure(
    Measure(
        "RR",
        "Risk ratio",
        "RR",
        "log",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula=f"the ratio of risks, with variance 1/a − 1/n₁ + 1/c − 1/n₂ of its logarithm{CELLS}",
        conventions={"zeros": RATIO_ZEROS},
    ),
    cite="deeks2010",
)
def risk_ratio(events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor") -> Computed:
    """Compute the log risk ratio.

    y = log((a/n_1) / (c/n_2)), v = 1/a - 1/n_1 + 1/c - 1/n_2, with a and c the events.

    All arguments (k,) counts. zeros "metafor": 0.5 is added to all four cells of rows with a zero cell; "RevMan":
    likewise, but rows without events in both arms, or with only events, are undefined; "none": rows that need a
    correction are undefined. Source: Deeks & Higgins 2010. Same as `metafor::escalc(measure="RR")`.

    >>> out = risk_ratio(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.8893, 0.3256)
    """
    t = _cells(events_1, n_1, events_2, n_2, zeros, np.ones(events_1.shape, dtype=bool))
    m_1, m_2 = t.a + t.b, t.c + t.d
    with np.errstate(divide="ignore", invalid="ignore"):
        yi = np.log(t.a / m_1) - np.log(t.c / m_2)
        vi = t.b / (t.a * m_1) + t.d / (t.c * m_2)
    return _relative(t, yi, vi, zeros)


@measure(
    Measure(
        "OR",
        "Odds ratio",
        "OR",
        "log",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula=f"the ratio of odds, with variance 1/a + 1/b + 1/c + 1/d of its logarithm{CELLS}",
        conventions={"zeros": RATIO_ZEROS},
    ),
    cite="deeks2010",
)
def odds_ratio(events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor") -> Computed:
    """Compute the log odds ratio.

    y = log(a d / (b c)), v = 1/a + 1/b + 1/c + 1/d, with a, c the events and b, d the non-events.

    All arguments (k,) counts; zero cells as for `risk_ratio`. Source: Deeks & Higgins 2010. Same as
    `metafor::escalc(measure="OR")`.

    >>> out = odds_ratio(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.9387, 0.3571)
    """
    t = _cells(events_1, n_1, events_2, n_2, zeros, np.ones(events_1.shape, dtype=bool))
    with np.errstate(divide="ignore", invalid="ignore"):
        yi = np.log(t.a / t.b) - np.log(t.c / t.d)
        vi = 1 / t.a + 1 / t.b + 1 / t.c + 1 / t.d
    return _relative(t, yi, vi, zeros)


@measure(
    Measure(
        "RD",
        "Risk difference",
        "RD",
        "linear",
        "counts",
        CORRECTION,
        "its variance is 0 without a correction",
        formula=f"the difference in risks, with variance ab/n₁³ + cd/n₂³{CELLS}",
        conventions={"zeros": ZEROS},
    ),
    cite="deeks2010",
)
def risk_difference(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor"
) -> Computed:
    """Compute the risk difference.

    y = a/n_1 - c/n_2, v = a b/n_1^3 + c d/n_2^3, with a, c the events and b, d the non-events.

    All arguments (k,) counts. zeros "metafor": 0.5 is added to all four cells of rows with a zero cell; "RevMan":
    only to rows whose variance would be 0; "none": those rows are undefined. Source: Deeks & Higgins 2010. Same as
    `metafor::escalc(measure="RD")`.

    >>> out = risk_difference(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (-0.0466, 0.00078)
    """
    flat_1, flat_2 = events_1 * (n_1 - events_1) == 0, events_2 * (n_2 - events_2) == 0
    t = _cells(events_1, n_1, events_2, n_2, zeros, flat_1 & flat_2)
    m_1, m_2 = t.a + t.b, t.c + t.d
    vi = t.a * t.b / m_1**3 + t.c * t.d / m_2**3
    return finish(t.a / m_1 - t.c / m_2, vi, np.ones(vi.shape, dtype=bool), t.corrected)
