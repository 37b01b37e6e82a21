"""The axis of a forest panel: its limits, ticks, title and the words on either side of no effect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metaback.errors import OptionError
from metaback.plots.bent_ticks import bent_ticks
from metaback.plots.forest_records import ForestData
from metaback.plots.text import Ruler
from metaback.plots.ticks import Ticks, axis_ticks
from metaback.postestimation.number_styles import restyled
from metaback.stats.transforms import back

TICK, TICK_PAD = 3.0, 2.5
_BULK = 3.0
_REACH = 1.5
_APART = 1e-4  # of the natural scale: nearer to its ends nothing can be read off
_PAD, _NULL_PAD = 0.04, 0.14
ARROWS = ("\u2190\u00a0{}", "{}\u00a0\u2192")


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

    def placed(self, *, above: bool) -> AxisPlan:
        """Return the axis without the favours words where they stand above the panel already."""
        return replace(self, favours=None) if above else self


def axis_limits(data: ForestData) -> tuple[float, float]:
    """Return limits that hold the bulk of the study intervals and always the total, its prediction and no effect.

    A limit that lies far beyond the bulk (the 3rd percentile, or 1.5 times the range between the quartiles) is left
    out, so that one wide interval does not squeeze all others.
    """
    lowers = _finite(row.lower for row in data.rows if row.kind == "study")
    uppers = _finite(row.upper for row in data.rows if row.kind == "study")
    pooled = [row for row in data.rows if row.kind in {"total", "prediction"}]
    kept = _told_apart(_finite(v for row in pooled for v in (row.lower, row.upper, row.estimate)), data, lowers, uppers)
    kept += [*([data.null] if data.null is not None else []), *data.mcid]
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


def _told_apart(kept: list[float], data: ForestData, lowers: Sequence[float], uppers: Sequence[float]) -> list[float]:
    """Bring pooled limits back to where natural numbers can be told apart, unless a study is out there itself.

    An axis of logits goes on for ever towards 0 and 1: two studies can have limits of 1 in a billion.
    """
    way = back(data.way)
    if not data.bent or way.decreasing:
        return kept
    first, last = way.image
    far = _APART * (last - first) if math.isfinite(last - first) else _APART
    low, high = -math.inf, math.inf
    if math.isfinite(first) and math.isinf(way.domain[0]):
        low = min(float(way.forward(np.array([first + far]), data.size)[0]), *lowers, math.inf)
    if math.isfinite(last) and math.isinf(way.domain[1]):
        high = max(float(way.forward(np.array([last - far]), data.size)[0]), *uppers, -math.inf)
    return [min(max(value, low), high) for value in kept]


def _finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _bulk_edge(values: Sequence[float]) -> float:
    """Return the value below which at most 3 in 100 lie: the smallest itself for fewer than 34."""
    return sorted(values)[math.floor(_BULK / 100 * len(values))]


def natural_limits(data: ForestData, limits: tuple[float, float]) -> tuple[float, float]:
    """Bring limits given by a reader on the natural scale to the analysis scale.

    Raises `OptionError` for limits in the wrong order, or where the analysis scale does not reach.
    """
    low, high = limits
    if data.scale == "log" and low <= 0:
        raise OptionError(f"limits={limits!r}: a log axis needs limits above 0")
    if not low < high:
        raise OptionError(f"limits={limits!r}: the lower limit must come first")
    if data.scale == "log":
        return math.log(low), math.log(high)
    if not data.bent:
        return low, high
    way = back(data.way)
    one, two = sorted(float(x) for x in way.forward(np.array([low, high]), data.size))
    if not (math.isfinite(one) and math.isfinite(two)):
        first, last = way.image
        raise OptionError(f"limits={limits!r}: this axis needs limits between {first:g} and {last:g}, ends excluded")
    return one, two


def plan_axis(
    data: ForestData, ruler: Ruler, width: float, room: tuple[float, float], limits: tuple[float, float] | None = None
) -> AxisPlan:
    """Plan the axis of a panel of that width in inches.

    room: inches to the left and right of the panel into which the favours words may reach.
    """
    low, high = axis_limits(data) if limits is None else natural_limits(data, limits)
    null = data.null if data.null is not None and low <= data.null <= high else None
    if data.bent:
        ticks = bent_ticks(low, high, data.way, data.size, null=null, inches=width, width=ruler.width)
    else:
        ticks = axis_ticks(low, high, data.scale, null=null, inches=width, width=ruler.width)
    labels = tuple(restyled(label, data.layout.numbers) for label in ticks.labels)
    ticks = Ticks(ticks.positions, labels)
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
    for text, arrow, room in zip(words, ARROWS, rooms, strict=True):
        glued = arrow.format(ruler.face.printable(text))
        longest = max(ruler.width(word) for word in glued.split(" "))
        fits = fits and longest <= room
        sides.append(ruler.balanced(glued, max(room, longest)).lines)
    return (sides[0], sides[1]), fits
