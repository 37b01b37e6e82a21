"""Round ticks for an axis that is neither linear nor logarithmic: round numbers of the natural scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from metaback import numbers
from metaback.plots.ticks import FEWEST, LIKED, MOST, Ticks, first_that_fits, round_sets
from metaback.stats.transforms import Transform, back

_PARTS = (((1.0,), 1), ((1.0, 5.0), 1), ((1.0, 2.0, 5.0), 1), ((1.0,), 2), ((1.0,), 3))  # with the stride of powers
_WIDE, _CLOSE = 0.3, 0.06  # a gap of more than this share of the axis is empty, one of less is crowded
_EMPTY_COST, _CROWD_COST, _FUSSY_COST = 12.0, 2.0, 2.1
_SLACK = 1e-9


def bent_ticks(
    low: float,
    high: float,
    way: str,
    size: float | None = None,
    *,
    null: float | None = None,
    inches: float = math.inf,
    width: Callable[[str], float] | None = None,
) -> Ticks:
    """Choose the ticks of an axis from low to high (analysis scale) whose labels are numbers of the natural scale.

    way, size: key of stats/transforms.py and the size that it needs. Steps of one length are tried, and numbers that
    crowd towards the ends of the natural scale (0.01, 0.1, 0.5, 0.9, 0.99 for proportions): those that leave no part
    of the axis without a tick are taken. inches, width: as in `axis_ticks`.

    >>> bent_ticks(-4.6, 2.2, "expit").labels
    ('0.01', '0.05', '0.1', '0.5', '0.9')
    """
    facts = back(way)
    one, two = sorted(_natural(facts, value, size) for value in (low, high))
    found = [(fussy, even.labels) for fussy, even in (round_sets(one, two, 0.0) if one < two else [])]
    found += [(False, tuple(map(_label, values))) for values in _end_sets(facts.image, one, two)]
    ranked: list[tuple[float, Ticks]] = []
    for fussy, labels in found:
        ticks = _placed(labels, facts, size, (low, high))
        if FEWEST <= len(ticks.positions) <= MOST:
            ranked.append((_dislike(ticks, low, high) + (_FUSSY_COST if fussy else 0.0), ticks))
    candidates = [ticks for _, ticks in sorted(ranked, key=lambda pair: pair[0])]
    if not candidates:
        candidates = [_placed([numbers.significant(value, 2) for value in (one, two)], facts, size, (low, high))]
    return first_that_fits(candidates, (low, high), null=null, inches=inches, width=width)


def _natural(facts: Transform, value: float, size: float | None) -> float:
    return float(facts.inverse(np.array([value]), size)[0])


def _placed(labels: Sequence[str], facts: Transform, size: float | None, ends: tuple[float, float]) -> Ticks:
    """Return the numbers of the labels, as they read, where they lie on the axis, without those beyond its ends."""
    values = [numbers.parse_number(label) for label in labels]
    where = facts.forward(np.array([math.nan if value is None else value for value in values]), size).tolist()
    pad = _SLACK * (ends[1] - ends[0])
    pairs = sorted(
        (min(max(x, ends[0]), ends[1]), label)
        for x, label in zip(where, labels, strict=True)
        if ends[0] - pad <= x <= ends[1] + pad
    )
    return Ticks(tuple(x for x, _ in pairs), tuple(label for _, label in pairs))


def _end_sets(image: tuple[float, float], low: float, high: float) -> Iterator[list[float]]:
    """Yield numbers that crowd towards the finite ends of the natural scale, within the limits."""
    first, last = image
    middle = (first + last) / 2 if math.isfinite(first) and math.isfinite(last) else None
    for parts, stride in _PARTS:
        steps = [float(f"{part}e{power}") for power in range(-12, 13) if power % stride == 0 for part in parts]
        up = [first + step for step in steps] if math.isfinite(first) else []
        down = [last - step for step in steps] if math.isfinite(last) else []
        if middle is not None:
            up, down = [v for v in up if v < middle - _SLACK], [v for v in down if v > middle + _SLACK]
            up.append(middle)
        values = {round(v, 12) for v in (*up, *down, *(end for end in image if math.isfinite(end)))}
        yield sorted(v for v in values if low - _SLACK <= v <= high + _SLACK)


def _label(value: float) -> str:
    """Write a round number with the decimals that it needs."""
    digits = next((d for d in range(12) if math.isclose(round(value, d), value, rel_tol=1e-9, abs_tol=1e-13)), 12)
    return numbers.fixed(value, digits)


def _dislike(ticks: Ticks, low: float, high: float) -> float:
    """Rank a set: far from the number that is liked, a part of the axis without a tick, ticks on a heap."""
    ends = (low, *ticks.positions, high)
    gaps = [(b - a) / (high - low) for a, b in pairwise(ends)]
    between = gaps[1:-1]
    empty, crowded = max(gaps), min(between, default=1.0)
    cost = abs(len(ticks.positions) - LIKED) + _EMPTY_COST * max(0.0, empty - _WIDE)
    return cost + (_CROWD_COST if crowded < _CLOSE else 0.0)
