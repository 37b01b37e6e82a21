"""The axis of a forest panel: its limits, ticks, title and the words on either side of no effect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from metaback.errors import OptionError
from metaback.plots.forest_data import ForestData
from metaback.plots.text import Ruler
from metaback.plots.ticks import Ticks, axis_ticks

TICK, TICK_PAD = 3.0, 2.5
_BULK = 3.0
_REACH = 1.5
_PAD, _NULL_PAD = 0.04, 0.14
_ARROWS = ("\u2190\u00a0{}", "{}\u00a0\u2192")


@dataclass(frozen=True, slots=True)
class AxisPlan:
    """Everything about the axis but its place.

    low, high: limits on the analysis scale; title: lines; favours: lines left and right of no effect, or None.
    fits: whether the favours words fit within the room that they were given.
    """

    low: float
    high: float
    ticks: Ticks
    title: tuple[str, ...]
    favours: tuple[tuple[str, ...], tuple[str, ...]] | None
    fits: bool = True

    def fraction(self, value: float) -> float:
        """Return where a value lies between the limits, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def axis_limits(data: ForestData) -> tuple[float, float]:
    """Return limits that hold the bulk of the study intervals and always the total, its prediction and no effect.

    A limit that lies far beyond the bulk (the 3rd percentile, or 1.5 times the range between the quartiles) is left
    out, so that one wide interval does not squeeze all others.
    """
    lowers = _finite(row.lower for row in data.rows if row.kind == "study")
    uppers = _finite(row.upper for row in data.rows if row.kind == "study")
    pooled = [row for row in data.rows if row.kind in {"total", "prediction"}]
    kept = [v for row in pooled for v in (row.lower, row.upper, row.estimate) if v is not None and math.isfinite(v)]
    if data.null is not None:
        kept.append(data.null)
    if lowers and uppers:
        first, last = float(np.percentile(lowers, 25)), float(np.percentile(uppers, 75))
        reach = _REACH * (last - first)
        kept.append(max(_bulk_edge(lowers), first - reach))
        kept.append(min(-_bulk_edge([-v for v in uppers]), last + reach))
    if not kept:
        return -1.0, 1.0
    low, high = min(kept), max(kept)
    span = high - low
    if span <= 1e-9 * max(abs(low), abs(high), 1e-3):
        pad = 0.5 if low == 0 or data.scale == "log" else 0.5 * abs(low)
        return low - pad, high + pad
    left, right = (_NULL_PAD if edge == data.null else _PAD for edge in (low, high))
    return low - left * span, high + right * span


def _finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _bulk_edge(values: Sequence[float]) -> float:
    """Return the value below which at most 3 in 100 lie: the smallest itself for fewer than 34."""
    return sorted(values)[math.floor(_BULK / 100 * len(values))]


def natural_limits(data: ForestData, limits: tuple[float, float]) -> tuple[float, float]:
    """Bring limits given by a reader on the natural scale to the analysis scale."""
    low, high = limits
    if data.scale == "log" and low <= 0:
        raise OptionError(f"limits={limits!r}: a log axis needs limits above 0")
    if not low < high:
        raise OptionError(f"limits={limits!r}: the lower limit must come first")
    return (math.log(low), math.log(high)) if data.scale == "log" else (low, high)


def plan_axis(
    data: ForestData, ruler: Ruler, width: float, room: tuple[float, float], limits: tuple[float, float] | None = None
) -> AxisPlan:
    """Plan the axis of a panel of that width in inches.

    room: inches to the left and right of the panel into which the favours words may reach.
    """
    low, high = axis_limits(data) if limits is None else natural_limits(data, limits)
    null = data.null if data.null is not None and low <= data.null <= high else None
    ticks = axis_ticks(low, high, data.scale, null=null, inches=width, width=ruler.width)
    title = ruler.wrap(data.axis_title, width + sum(room) / 2, lines=2).lines
    plan = AxisPlan(low, high, ticks, title, None)
    if data.favours is None or null is None:
        return plan
    left = plan.fraction(null) * width
    rooms = (room[0] + left - ruler.style.gap / 2, room[1] + width - left - ruler.style.gap / 2)
    favours, fits = _favours(data.favours, ruler, rooms)
    return AxisPlan(low, high, ticks, title, favours, fits)


def _favours(
    words: tuple[str, str], ruler: Ruler, rooms: tuple[float, float]
) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], bool]:
    """Break the words so that each stays on its side; tell whether that worked without breaking a word."""
    sides: list[tuple[str, ...]] = []
    fits = True
    for text, arrow, room in zip(words, _ARROWS, rooms, strict=True):
        glued = arrow.format(ruler.face.printable(text))
        longest = max(ruler.width(word) for word in glued.split(" "))
        fits = fits and longest <= room
        sides.append(ruler.balanced(glued, max(room, longest)).lines)
    return (sides[0], sides[1]), fits
