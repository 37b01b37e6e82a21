"""Measures that compare the event rates of two independent groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.stats.measures.family import Computed, Convention, Floats, Measure, amount, finish, measure
from metaback.stats.measures.zero_cells import ADD, ZEROS, Bools, corrected_rows, log_ratio, reworded, shares

CORRECTION = "0.5 added to the events of both arms"
UNDEFINED = "no events in both arms"
_UNCORRECTED = ZEROS.choices["none"].sentence
_ADDED = "0.5 was added to the events of both arms of that study"
_DROPPED = "; studies without events in both arms were not pooled"
RATE_ZEROS = reworded(
    ZEROS,
    {
        "RevMan": f"Where no events left a variance undefined, {_ADDED}",
        "metafor": f"Where an arm had no events, {_ADDED}, also when neither arm had any",
        "only0": f"Where an arm had no events, {_ADDED}, also when neither arm had any",
        "all": "0.5 was added to the events of both arms of every study",
        "if0all": "If any arm had no events, 0.5 was added to the events of both arms of every study",
        "drop00": f"Where an arm had no events, {_ADDED}{_DROPPED}",
        "only0-drop00": f"Where an arm had no events, {_ADDED}{_DROPPED}",
        "all-drop00": f"0.5 was added to the events of both arms of every study{_DROPPED}",
        "if0all-drop00": "If any arm of a study that was pooled had no events, 0.5 was added to the events of both "
        f"arms of every study{_DROPPED}",
        "treatment-arm": "Where an arm had no events, each arm's share of the total time was added to its events "
        "(treatment-arm continuity correction)",
    },
)
RATE_RATIO_ZEROS = reworded(RATE_ZEROS, {"RevMan": RATE_ZEROS.choices["RevMan"].sentence + _DROPPED})
PLAIN_RATE_ZEROS: Convention = reworded(
    RATE_ZEROS, {"RevMan": _UNCORRECTED, "metafor": _UNCORRECTED, "drop00": "Zero counts were not corrected" + _DROPPED}
)


@dataclass(frozen=True, slots=True)
class _Rates:
    """Events after correction and times of both arms, rows that were corrected, and rows that a policy leaves out."""

    x_1: Floats
    t_1: Floats
    x_2: Floats
    t_2: Floats
    corrected: Bools
    lost: Bools


def _rates(
    arms: tuple[Floats, Floats, Floats, Floats], zeros: str, add: str, needed: str = "any", *, plain: bool = False
) -> _Rates:
    """Return events and times under a policy for zero counts.

    needed: which rows "RevMan" corrects: "any" with one arm without events (those without events in both arms are
    left out), "both" those without events in both arms, "never" none. Rows that are no rates are nan.
    """
    ZEROS.check("zeros", zeros)
    ADD.check("add", add)
    raw = np.stack(arms).astype(np.float64)
    valid = np.isfinite(raw).all(axis=0) & (raw >= 0).all(axis=0) & (raw[1] > 0) & (raw[3] > 0)
    x_1, t_1, x_2, t_2 = np.where(valid, raw, np.nan)
    neither = (x_1 == 0) & (x_2 == 0)
    needs = {"any": ~neither, "both": neither, "never": np.zeros_like(neither)}[needed]
    dropped = neither & zeros.endswith("drop00")
    lost = dropped | (neither & (zeros == "RevMan") & (needed == "any"))
    zero = ((x_1 == 0) | (x_2 == 0)) & ~dropped
    corrected = corrected_rows(zeros, zero, needs, plain=plain) & valid & (amount(add) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = shares(zeros, add, t_1, t_2)
    return _Rates(x_1 + np.where(corrected, one, 0.0), t_1, x_2 + np.where(corrected, two, 0.0), t_2, corrected, lost)


@measure(
    Measure(
        "IRR",
        "Incidence rate ratio",
        "IRR",
        "log",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula="the ratio of incidence rates, with variance 1/x₁ + 1/x₂ of its logarithm; x₁ and x₂ are the events",
        conventions={"zeros": RATE_RATIO_ZEROS, "add": ADD},
        back="exp",
    ),
    cite="bagos2009 rothman2008",
)
def rate_ratio(
    events_1: Floats, time_1: Floats, events_2: Floats, time_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the log incidence rate ratio.

    y = log((x_1/t_1) / (x_2/t_2)), v = 1/x_1 + 1/x_2, with x the events and t the person-time.

    All arguments (k,); time in any one unit. zeros "metafor" and "only0": 0.5 is added to the events of both arms
    where one has none; "RevMan", "drop00": likewise, but rows without any events are undefined; "none": nothing is
    corrected; "all": every row; "if0all": every row if any has a zero; "treatment-arm": t_1/(t_1 + t_2) and
    t_2/(t_1 + t_2) are added instead. Source: Rothman et al. 2008; Bagos & Nikolopoulos 2009. Same as
    `metafor::escalc(measure="IRR")`.

    >>> out = rate_ratio(*(np.array([x]) for x in (5.0, 10.0, 3.0, 11.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.6061, 0.5333)
    """
    r = _rates((events_1, time_1, events_2, time_2), zeros, add)
    with np.errstate(divide="ignore", invalid="ignore"):
        yi = log_ratio(r.x_1 * r.t_2, r.x_2 * r.t_1)
        return finish(yi, 1 / r.x_1 + 1 / r.x_2, ~r.lost, r.corrected)


@measure(
    Measure(
        "IRD",
        "Incidence rate difference",
        "IRD",
        "linear",
        "counts",
        CORRECTION,
        "its variance is 0 without a correction",
        formula="the difference in incidence rates, with variance x₁/t₁² + x₂/t₂²; x are the events, t the person-time",
        conventions={"zeros": RATE_ZEROS, "add": ADD},
        turn="sign",
    ),
    cite="bagos2009 rothman2008",
)
def rate_difference(
    events_1: Floats, time_1: Floats, events_2: Floats, time_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the incidence rate difference.

    y = x_1/t_1 - x_2/t_2, v = x_1/t_1^2 + x_2/t_2^2, with x the events and t the person-time.

    All arguments (k,); the effect is per unit of time. zeros as for `rate_ratio`, but "RevMan" corrects only rows
    without events in both arms, whose variance would be 0, and keeps them. Source: Rothman et al. 2008; Bagos &
    Nikolopoulos 2009. Same as `metafor::escalc(measure="IRD")`.

    >>> out = rate_difference(*(np.array([x]) for x in (5.0, 10.0, 3.0, 11.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.2273, 0.0748)
    """
    r = _rates((events_1, time_1, events_2, time_2), zeros, add, "both")
    yi = (r.x_1 * r.t_2 - r.x_2 * r.t_1) / r.t_1 / r.t_2
    return finish(yi, r.x_1 / r.t_1**2 + r.x_2 / r.t_2**2, ~r.lost, r.corrected)


@measure(
    Measure(
        "IRSD",
        "Difference in square roots of incidence rates",
        "IRSD",
        "linear",
        "counts",
        CORRECTION,
        "an arm has no person-time",
        formula="the difference in square roots of incidence rates, with variance 1/(4t₁) + 1/(4t₂); t is the "
        "person-time",
        conventions={"zeros": PLAIN_RATE_ZEROS, "add": ADD},
    ),
    cite="bagos2009 rothman2008",
)
def root_rate_difference(
    events_1: Floats, time_1: Floats, events_2: Floats, time_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the difference of the square roots of incidence rates, whose variance does not depend on the rates.

    y = sqrt(x_1/t_1) - sqrt(x_2/t_2), v = 1/(4 t_1) + 1/(4 t_2), with x the events and t the person-time.

    All arguments (k,). No events are no obstacle: zeros "metafor", "RevMan" and "none" leave them as they are,
    "drop00" leaves out rows without any events, the others add as for `rate_ratio`. Source: Rothman et al. 2008;
    Bagos & Nikolopoulos 2009. Same as `metafor::escalc(measure="IRSD")`.

    >>> out = root_rate_difference(*(np.array([x]) for x in (5.0, 10.0, 3.0, 11.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.1849, 0.0477)
    """
    r = _rates((events_1, time_1, events_2, time_2), zeros, add, "never", plain=True)
    gap = (r.x_1 * r.t_2 - r.x_2 * r.t_1) / r.t_1 / r.t_2
    total = np.sqrt(r.x_1 / r.t_1) + np.sqrt(r.x_2 / r.t_2)
    yi = np.divide(gap, total, out=np.zeros_like(gap), where=total != 0)
    return finish(yi, 1 / (4 * r.t_1) + 1 / (4 * r.t_2), ~r.lost, r.corrected)
