"""Ticks of axes that are neither linear nor logarithmic."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metaback.numbers import parse_number
from metaback.plots.bent_ticks import bent_ticks
from metaback.plots.ticks import MOST
from metaback.stats.transforms import back

PLACED = 1e-9  # of the axis: a tick stands where its label says
# natural values that an axis can reach, with a size where one is needed
WAYS = {
    "expit": (1e-4, 1 - 1e-4), "ndtr": (1e-4, 1 - 1e-4), "sin2": (0.0, 1.0), "freeman_tukey_proportion": (0.0, 1.0),
    "square": (0.0, 500.0), "freeman_tukey_rate": (0.0, 500.0), "tanh": (-0.999, 0.999), "tanh2": (0.0, 0.999),
    "bonett": (-3.0, 0.999), "hakstian_whalen": (-3.0, 1.0), "bonett_2002": (-3.0, 0.999),
    "hakstian_whalen_1976": (-3.0, 1.0),
}  # fmt: skip
SHARES = st.floats(min_value=0.0, max_value=1.0)


def natural(label: str) -> float:
    value = parse_number(label)
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("way", "low", "high", "labels"),
    [
        ("expit", 0.01, 0.9, ("0.01", "0.05", "0.1", "0.5", "0.9")),
        ("expit", 0.3, 0.7, ("0.3", "0.4", "0.5", "0.6", "0.7")),
        ("tanh", -0.5, 0.5, ("−0.4", "−0.2", "0.0", "0.2", "0.4")),
        ("sin2", 0.0, 1.0, ("0.0", "0.2", "0.4", "0.6", "0.8", "1.0")),
        ("bonett", 0.3, 0.97, ("0.5", "0.8", "0.9", "0.95")),
    ],
)
def test_ticks_that_an_editor_would_choose(way: str, low: float, high: float, labels: tuple[str, ...]) -> None:
    ends = back(way).forward(np.array([low, high])).tolist()
    assert bent_ticks(*ends, way).labels == labels


@pytest.mark.parametrize("way", WAYS)
@given(one=SHARES, two=SHARES, size=st.floats(5.0, 1e4))
def test_every_tick_stands_where_its_label_says(way: str, one: float, two: float, size: float) -> None:
    first, last = WAYS[way]
    facts = back(way)
    values = first + (last - first) * np.array([one, two])
    low, high = sorted(facts.forward(values, size).tolist())
    assume(high - low > 1e-4 * (1 + abs(low)) and abs(values[1] - values[0]) > 1e-6 * (1 + abs(values[0])))
    ticks = bent_ticks(low, high, way, size)
    assert 1 <= len(ticks.positions) <= MOST
    assert all(a < b for a, b in pairwise(ticks.positions))
    assert low <= ticks.positions[0]
    assert ticks.positions[-1] <= high
    where = facts.forward(np.array([natural(label) for label in ticks.labels]), size)
    np.testing.assert_allclose(where, ticks.positions, atol=PLACED * (high - low) + 1e-12)


def test_no_tick_of_a_logit_is_0_or_1() -> None:
    assert {"0", "0.0", "1", "1.0"}.isdisjoint(bent_ticks(-20.0, 20.0, "expit").labels)


def test_ticks_that_would_touch_make_way() -> None:
    ticks = bent_ticks(-4.6, 2.2, "expit", inches=0.8, width=lambda text: 0.08 * len(text))
    gaps = np.diff(ticks.positions) * 0.8 / 6.8
    assert len(ticks.positions) >= 2
    assert (gaps >= 0.2).all()
    assert math.isfinite(gaps.sum())
