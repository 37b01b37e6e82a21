"""Measures of one group: rates of events per time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaback.stats.measures.family import USUAL, Choice, Computed, Convention, Floats, Measure, amount, finish, measure
from metaback.stats.measures.single import NOT_ADDED
from metaback.stats.measures.zero_cells import ADD, corrected_rows

RATE_CORRECTION = "0.5 added to the events"
_ADDED_1 = "0.5 was added to its events"
RATE_ZEROS = Convention(
    "zero counts",
    {
        "metafor": Choice(sentence=f"Where a study had no events, {_ADDED_1}", cite="viechtbauer2010 sweeting2004"),
        "only0": Choice(sentence=f"Where a study had no events, {_ADDED_1}", cite="viechtbauer2010 sweeting2004"),
        "all": Choice(sentence="0.5 was added to the events of every study", cite="viechtbauer2010"),
        "if0all": Choice(
            sentence="If any study had no events, 0.5 was added to the events of every study", cite="viechtbauer2010"
        ),
        "none": Choice(sentence=f"Zero counts {NOT_ADDED}"),
    },
)


def _counted(
    events: Floats, time: Floats, zeros: str, add: str
) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return events and time after correction, which rows were corrected, and which can be."""
    RATE_ZEROS.check("zeros", zeros)
    ADD.check("add", add)
    possible = (events >= 0) & (time > 0) & np.isfinite(events) & np.isfinite(time)
    corrected = possible & corrected_rows(zeros, possible & (events == 0), needed=True) & (amount(add) > 0)
    x: Floats = np.where(possible, events + amount(add) * corrected, np.nan)
    return x, np.where(possible, time, np.nan), corrected, possible


@measure(
    Measure(
        "IR",
        "Incidence rate",
        "Rate",
        "linear",
        "counts",
        RATE_CORRECTION,
        "it has no events, or no time at risk",
        formula="the number of events x divided by the time at risk t, with variance x/t²",
        conventions={"zeros": RATE_ZEROS, "add": ADD},
    ),
    cite="rothman2008",
)
@np.errstate(all="ignore")
def rate(events: Floats, time: Floats, *, zeros: str = "metafor", add: str = "0.5") -> Computed:
    """Compute the raw incidence rate.

    y = x/t, v = x/t^2, with x the events and t the time at risk of all people together.

    events, time: (k,). zeros "metafor", "only0": the number `add` is added to the events of rows that have none; "all":
    to those of every row; "if0all": of every row if any has none; "none": rows without events are undefined. Undefined
    for a time of 0. Source: Rothman, Greenland & Lash 2008. Same as `metafor::escalc(measure="IR")`.

    >>> out = rate(np.array([5.0]), np.array([20.0]))
    >>> float(out.yi[0]), float(out.vi[0])
    (0.25, 0.0125)
    """
    x, t, corrected, possible = _counted(events, time, zeros, add)
    return finish(x / t, x / t**2, possible, corrected)


@measure(
    Measure(
        "IRLN",
        "Incidence rate",
        "Rate",
        "log",
        "counts",
        RATE_CORRECTION,
        "it has no events, or no time at risk",
        formula="the logarithm of the number of events x divided by the time at risk, with variance 1/x",
        conventions={"zeros": RATE_ZEROS, "add": ADD},
        back="exp",
    ),
    cite="rothman2008",
)
@np.errstate(all="ignore")
def log_rate(events: Floats, time: Floats, *, zeros: str = "metafor", add: str = "0.5") -> Computed:
    """Compute the logarithm of the incidence rate.

    y = log(x/t), v = 1/x, with x the events and t the time at risk of all people together.

    events, time: (k,); zeros and edges as for `rate`. With expected events as time: log standardised incidence ratio.
    Source: Rothman, Greenland & Lash 2008. Same as `metafor::escalc(measure="IRLN")`.

    >>> out = log_rate(np.array([5.0]), np.array([20.0]))
    >>> round(float(out.yi[0]), 6), float(out.vi[0])
    (-1.386294, 0.2)
    """
    x, t, corrected, possible = _counted(events, time, zeros, add)
    return finish(np.log(x / t), 1 / x, possible, corrected)


@measure(
    Measure(
        "IRS",
        "Incidence rate",
        "Rate",
        "linear",
        "counts",
        RATE_CORRECTION,
        "it has no time at risk",
        formula="the square root of the incidence rate, with variance 1/(4t) for a time at risk of t",
        back="square",
    ),
    cite="rothman2008",
)
@np.errstate(all="ignore")
def root_rate(events: Floats, time: Floats) -> Computed:
    """Compute the square root of the incidence rate.

    y = sqrt(x/t), v = 1/(4t), with x the events and t the time at risk of all people together.

    events, time: (k,). Nothing is corrected: rows without events are defined. Undefined for a time of 0. Source:
    Rothman, Greenland & Lash 2008, delta method. Same as `metafor::escalc(measure="IRS")`.

    >>> out = root_rate(np.array([5.0]), np.array([20.0]))
    >>> float(out.yi[0]), float(out.vi[0])
    (0.5, 0.0125)
    """
    x, t, _, possible = _counted(events, time, "none", USUAL)
    return finish(np.sqrt(x / t), 1 / (4 * t), possible)


@measure(
    Measure(
        "IRFT",
        "Incidence rate",
        "Rate",
        "linear",
        "counts",
        RATE_CORRECTION,
        "it has no time at risk",
        formula="the Freeman-Tukey transformation of the incidence rate, with variance 1/(4t) for a time at risk of t",
        back="freeman_tukey_rate",
    ),
    cite="freeman1950",
)
@np.errstate(all="ignore")
def double_root_rate(events: Floats, time: Floats) -> Computed:
    """Compute the Freeman-Tukey transformation of the incidence rate.

    y = (sqrt(x/t) + sqrt((x + 1)/t)) / 2, v = 1/(4t), with x the events and t the time at risk of all people together.

    events, time: (k,). Nothing is corrected: rows without events are defined. Undefined for a time of 0. The way back
    needs a time (see the transforms). Source: Freeman & Tukey 1950. Same as `metafor::escalc(measure="IRFT")`.

    >>> out = double_root_rate(np.array([0.0]), np.array([25.0]))
    >>> float(out.yi[0]), float(out.vi[0])
    (0.1, 0.01)
    """
    x, t, _, possible = _counted(events, time, "none", USUAL)
    return finish((np.sqrt(x / t) + np.sqrt((x + 1) / t)) / 2, 1 / (4 * t), possible)
