"""What changes in the conclusion when a part of the studies is left out, in words."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.numbers import estimate_text, significant
from metaback.postestimation.scales import way_back
from metaback.postestimation.subsets import Subsets, natural_columns
from metaback.stats.measures.family import has_null
from metaback.stats.wls import Bools, Floats

Sides = NDArray[np.int64]
SIDES = {-1: "below no effect", 0: "including no effect", 1: "above no effect"}


def sides(low: Floats, high: Floats) -> Sides:
    """Return where intervals lie, (n,): 1 above 0, -1 below it, 0 where they include it or do not exist.

    A limit at 0 includes it.

    >>> sides(np.array([0.1, -0.2, -0.2, np.nan]), np.array([0.3, -0.1, 0.1, np.nan]))
    array([ 1, -1,  0,  0])
    """
    return (low > 0).astype(np.int64) - (high < 0).astype(np.int64)


def turned(mean: Estimate | None, other: Estimate | None, measure: str) -> bool:
    """Tell whether the interval of another pool says something else about no effect; not where either is missing.

    Never for measures without a value of no effect: shares, rates, single means.

    >>> low, high = (Estimate(0.3, at, 0.6, 0.1, level=0.95, scale="log") for at in (-0.1, 0.1))
    >>> turned(low, high, "OR"), turned(low, low, "OR"), turned(low, None, "OR"), turned(low, high, "PLO")
    (True, False, False, False)
    """
    if mean is None or other is None or not has_null(measure):
        return False
    one, two = sides(np.array([mean.lower, other.lower]), np.array([mean.upper, other.upper]))
    return bool(one != two)


def flipped(mean: Estimate, pools: Subsets, effects: EffectSizes) -> Bools:
    """Tell which subsets lead to another conclusion than the pool: their interval lies elsewhere with respect to 0.

    Never for measures without a value of no effect, nor for subsets without an interval.
    """
    if not has_null(effects.measure):
        return np.zeros(pools.k.size, dtype=bool)
    whole = sides(np.array([mean.lower]), np.array([mean.upper]))
    return np.isfinite(pools.estimate) & (sides(pools.ci_low, pools.ci_high) != whole)


def flip_words(mean: Estimate, pools: Subsets, i: int, effects: EffectSizes) -> str:
    """Write what the interval of one subset does that the pool's does not: `includes no effect: 0.2 [-0.1, 0.5]`."""
    here = int(sides(pools.ci_low[[i]], pools.ci_high[[i]])[0])
    whole = int(sides(np.array([mean.lower]), np.array([mean.upper]))[0])
    verb = "includes no effect" if here == 0 else "excludes no effect" if whole == 0 else f"lies {SIDES[here]}"
    return f"the {level_text(mean.level)} interval {verb}: {interval_text(pools, i, effects)}"


def level_text(level: float) -> str:
    """Write a confidence level: `95%`."""
    return f"{significant(100 * level)}%" if not float(100 * level).is_integer() else f"{round(100 * level)}%"


def interval_text(pools: Subsets, i: int, effects: EffectSizes) -> str:
    """Write the estimate of one subset with its interval on the scale of readers."""
    found = {name: getattr(pools, name)[[i]] for name in ("estimate", "ci_low", "ci_high")}
    found = natural_columns(found, way_back(effects), pools.size[[i]])
    point, low, high = (float(values[0]) for values in found.values())
    return estimate_text(point, low, high, digits_for(low, high))


def digits_for(low: float, high: float) -> int:
    """Return how many decimals tell two numbers apart: 2, and more where they are closer than 0.02 (12 at most).

    >>> digits_for(-0.74, -0.09), digits_for(-0.0061, 0.0012), digits_for(0.3, 0.3)
    (2, 4, 2)
    """
    width = abs(high - low)
    if not 0 < width < 0.02:
        return 2
    return min(12, 1 - math.floor(math.log10(width)))


def listed(lines: list[str], most: int = 10) -> str:
    r"""Put lines under each other, and tell how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a\nb\n... and 1 more: see .to_frame()'
    """
    more = [f"... and {len(lines) - most} more: see .to_frame()"] if len(lines) > most else []
    return "\n".join([*lines[:most], *more])


def one_line(text: str) -> str:
    r"""Make a name from a file safe to show within a line.

    >>> one_line("Smith\t2001")
    'Smith 2001'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def extremes(values: Floats) -> tuple[int, int] | None:
    """Return the places of the smallest and the largest number, None where there is none."""
    if not np.isfinite(values).any():
        return None
    return int(np.nanargmin(values)), int(np.nanargmax(values))
