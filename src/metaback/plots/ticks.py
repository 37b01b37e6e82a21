"""Round ticks for a linear or a logarithmic axis: they hold the no-effect value, three to seven, in plain decimals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from metaback import numbers
from metaback.errors import OptionError

FEWEST, MOST, LIKED = 3, 7, 5
MANY = 10_000  # from here on thousands are marked: years keep their four digits
_STEPS = (1.0, 2.0, 2.5, 5.0)
_DECADE_SETS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
_SLACK, _FUSSY = 1e-9, 2.1


@dataclass(frozen=True, slots=True)
class Ticks:
    """Positions on the analysis scale (logs for a log axis), increasing, with the labels that a reader sees."""

    positions: tuple[float, ...]
    labels: tuple[str, ...]


def axis_ticks(
    low: float,
    high: float,
    scale: Literal["linear", "log"] = "linear",
    *,
    null: float | None = 0.0,
    inches: float = math.inf,
    width: Callable[[str], float] | None = None,
) -> Ticks:
    """Choose the ticks of an axis from low to high (analysis scale) that is `inches` long.

    `width` measures a label in inches; labels that would touch make way for a coarser set, and then for their
    neighbour nearer to the no-effect value.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise OptionError(f"an axis needs two finite limits, the lower one first; got {low!r} and {high!r}")
    found = _log_sets(low, high) if scale == "log" else round_sets(low, high, null or 0.0)
    candidates = [ticks for _, ticks in sorted(found, key=_dislike)]
    return first_that_fits(candidates, (low, high), null=null, inches=inches, width=width)


def first_that_fits(
    candidates: Sequence[Ticks],
    ends: tuple[float, float],
    *,
    null: float | None,
    inches: float,
    width: Callable[[str], float] | None,
) -> Ticks:
    """Return the first set whose labels do not touch on an axis of that length, else the coarsest without those.

    Labels get commas between their thousands here, so that they are measured as they are drawn.
    """
    low, high = ends
    candidates = [with_commas(ticks) for ticks in candidates]
    if width is None or not math.isfinite(inches):
        return candidates[0]
    unit = inches / (high - low)
    for ticks in candidates:
        if len(_apart(ticks, unit, width, null)) == len(ticks.positions):
            return ticks
    coarsest = min(candidates, key=lambda ticks: len(ticks.positions))
    kept = _apart(coarsest, unit, width, null)
    if len(kept) == 1:  # one number is no scale
        anchors = [(ticks, null) for ticks in candidates]
        if null is None:
            anchors += [(ticks, position) for ticks in candidates for position in ticks.positions]
        found = [(ticks, _apart(ticks, unit, width, anchor)) for ticks, anchor in anchors]
        coarsest, kept = max(found, key=lambda pair: len(pair[1]))
    return Ticks(tuple(coarsest.positions[i] for i in kept), tuple(coarsest.labels[i] for i in kept))


def short_ticks(low: float, high: float, fits: Callable[[float, str], bool], touch: Callable[..., bool]) -> Ticks:
    """Return the ticks of a linear axis too short for three: two round numbers or more, else the one in the middle.

    fits: whether a label at a place stays within the axis; touch: whether the labels of two such pairs touch.

    >>> short_ticks(0.00418, 0.00522, lambda at, label: True, lambda one, two: True).labels
    ('0.0047',)
    """
    for step, decimals, _ in _round_steps(high - low):
        pairs = [pair for pair in zip(*_multiples(low, high, 0.0, step, decimals), strict=True) if fits(*pair)]
        if len(pairs) > 1 and not any(touch(*both) for both in pairwise(pairs)):
            break
    else:
        power = math.floor(math.log10((high - low) / 4))
        value = round((low + high) / 2, -power)
        pairs = [pair for pair in [(value, numbers.fixed(value, max(0, -power)))] if fits(*pair)]
    return with_commas(Ticks(tuple(at for at, _ in pairs), tuple(label for _, label in pairs)))


def with_commas(ticks: Ticks) -> Ticks:
    """Return ticks with commas between the thousands of all labels, where one of them has five digits or more.

    >>> with_commas(Ticks((0.0, 5000.0, 10000.0), ("0", "5000", "10000"))).labels
    ('0', '5,000', '10,000')
    >>> with_commas(Ticks((1990.0, 2000.0), ("1990", "2000"))).labels
    ('1990', '2000')
    """
    if all(abs(float(label.replace(numbers.MINUS, "-"))) < MANY for label in ticks.labels):
        return ticks
    return Ticks(ticks.positions, tuple(map(numbers.grouped, ticks.labels)))


def _dislike(candidate: tuple[bool, Ticks]) -> float:
    """Rank a set by how far it is from the number that is liked; steps of 2.5 need an extra decimal and come last."""
    fussy, ticks = candidate
    return abs(len(ticks.positions) - LIKED) + (_FUSSY if fussy else 0.0)


def round_sets(low: float, high: float, origin: float) -> list[tuple[bool, Ticks]]:
    """List the sets of multiples of a round step, counted from the origin, that have an allowed number of ticks."""
    found: list[tuple[bool, Ticks]] = []
    for step, decimals, fussy in _round_steps(high - low):
        values, labels = _multiples(low, high, origin, step, decimals)
        if FEWEST <= len(values) <= MOST:
            found.append((fussy, Ticks(tuple(values), tuple(labels))))
    return found


def _round_steps(span: float) -> list[tuple[float, int, bool]]:
    """List round steps from a twentieth to once the span, coarse first: step, its decimals, whether it is a 2.5."""
    top = math.floor(math.log10(span)) + 1
    steps: list[tuple[float, int, bool]] = []
    for power in range(top, top - 4, -1):
        for mantissa in reversed(_STEPS):
            decimals = max(0, -power + (1 if mantissa == 2.5 else 0))
            steps.append((float(f"{mantissa}e{power}"), decimals, mantissa == 2.5))
    return [step for step in steps if span / 20 <= step[0] <= span]


def _multiples(low: float, high: float, origin: float, step: float, decimals: int) -> tuple[list[float], list[str]]:
    """Return the multiples of the step within the limits, and their labels."""
    first = math.ceil((low - origin) / step - _SLACK)
    last = math.floor((high - origin) / step + _SLACK)
    values = [min(max(origin + i * step, low), high) for i in range(first, last + 1)]
    digits = decimals if origin == 0 else max(decimals, _decimals(origin))
    return values, [numbers.fixed(value, digits) for value in values]


def _decimals(value: float) -> int:
    """Return how many decimals a number needs, at most six."""
    return next((d for d in range(6) if math.isclose(round(value, d), value, rel_tol=1e-9, abs_tol=1e-12)), 6)


def _log_sets(low: float, high: float) -> list[tuple[bool, Ticks]]:
    """List the tick sets of a log axis: decades and their parts where the range is wide, else round linear steps."""
    wide = [_decade_set(low, high, parts, 1) for parts in _DECADE_SETS]
    stride = 2
    while len((coarse := _decade_set(low, high, (1.0,), stride)).positions) >= FEWEST:
        wide.append(coarse)
        stride += 1
    allowed = [(False, ticks) for ticks in wide if FEWEST <= len(ticks.positions) <= MOST]
    return allowed or _narrow_log_sets(low, high)


def _decade_set(low: float, high: float, parts: Sequence[float], stride: int) -> Ticks:
    """Return part x 10^power within the limits for every power that is a multiple of the stride."""
    first = math.floor(low / math.log(10) / stride) * stride
    last = math.ceil(high / math.log(10))
    positions: list[float] = []
    labels: list[str] = []
    for power in range(first, last + 1, stride):
        for part in parts:
            position = math.log(part) + power * math.log(10)
            if low - _SLACK <= position <= high + _SLACK:
                positions.append(min(max(position, low), high))
                digits = max(0, -power + (1 if part == 1.5 else 0))
                labels.append(numbers.fixed(float(f"{part}e{power}"), digits))
    return Ticks(tuple(positions), tuple(labels))


def _narrow_log_sets(low: float, high: float) -> list[tuple[bool, Ticks]]:
    """List linear steps for a log axis too narrow for decades: 0.8, 0.9, 1.0, 1.1 (every step below 1 divides 1)."""
    sets = round_sets(math.exp(low), math.exp(high), 0.0)
    return [(f, Ticks(tuple(min(max(math.log(v), low), high) for v in s.positions), s.labels)) for f, s in sets]


def _apart(ticks: Ticks, unit: float, width: Callable[[str], float], null: float | None) -> list[int]:
    """Return the indices of the ticks whose labels do not touch, counted outwards from the no-effect value."""
    widths = [width(label) for label in ticks.labels]
    gap = width("0")

    def clear(i: int, j: int) -> bool:
        distance = abs(ticks.positions[j] - ticks.positions[i]) * unit
        return distance >= (widths[i] + widths[j]) / 2 + gap

    anchor = min(range(len(widths)), key=lambda i: abs(ticks.positions[i] - null)) if null is not None else 0
    kept = [anchor]
    for i in range(anchor + 1, len(widths)):
        if clear(kept[-1], i):
            kept.append(i)
    kept.sort(reverse=True)
    lowest = anchor
    for i in range(anchor - 1, -1, -1):
        if clear(lowest, i):
            kept.append(i)
            lowest = i
    return sorted(kept)
