"""Round ticks: what every reader of an axis relies on."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.errors import OptionError
from metaback.numbers import MINUS
from metaback.plots.ticks import FEWEST, MOST, axis_ticks, short_ticks

EDGES = st.floats(1e-4, 1e4)


def numbers_of(labels: tuple[str, ...]) -> list[float]:
    return [float(label.replace(MINUS, "-").replace(",", "")) for label in labels]


@given(EDGES, EDGES)
def test_linear_ticks_hold_zero_and_are_few_increasing_inside_and_as_labelled(below: float, above: float) -> None:
    low, high = -below, above
    ticks = axis_ticks(low, high)
    assert 0.0 in ticks.positions
    assert FEWEST <= len(ticks.positions) <= MOST
    assert all(a < b for a, b in zip(ticks.positions, ticks.positions[1:], strict=False))
    assert low <= ticks.positions[0]
    assert ticks.positions[-1] <= high
    assert numbers_of(ticks.labels) == pytest.approx(ticks.positions, abs=1e-9)


@given(st.floats(1e-3, 30), st.floats(1e-3, 30))
def test_log_ticks_hold_one_and_are_few_increasing_inside_and_as_labelled(below: float, above: float) -> None:
    low, high = -below, above
    ticks = axis_ticks(low, high, "log")
    assert min(map(abs, ticks.positions)) < 1e-9
    assert FEWEST <= len(ticks.positions) <= MOST
    assert all(a < b for a, b in zip(ticks.positions, ticks.positions[1:], strict=False))
    assert low <= ticks.positions[0]
    assert ticks.positions[-1] <= high
    assert [math.log(n) for n in numbers_of(ticks.labels)] == pytest.approx(ticks.positions, abs=1e-7)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_axes_without_no_effect_have_ticks_too(low: float, span: float) -> None:
    ticks = axis_ticks(low, low + span, null=None)
    assert FEWEST <= len(ticks.positions) <= MOST
    assert low <= ticks.positions[0] < ticks.positions[-1] <= low + span


@pytest.mark.parametrize(
    ("low", "high", "scale", "labels"),
    [
        (-1.9, 0.7, "linear", "\u22121.5 \u22121.0 \u22120.5 0.0 0.5"),
        (-0.02, 0.11, "linear", "0.00 0.05 0.10"),
        (-18, 22, "linear", "\u221210 0 10 20"),
        (math.log(0.1), math.log(10), "log", "0.1 0.3 1 3 10"),
        (math.log(0.4), math.log(2.4), "log", "0.5 0.7 1 1.5 2"),
        (math.log(0.75), math.log(1.3), "log", "0.8 0.9 1.0 1.1 1.2 1.3"),
        (math.log(1e-6), math.log(1e6), "log", "0.000001 0.001 1 1,000 1,000,000"),
    ],
)
def test_ticks_of_common_axes(low: float, high: float, scale: str, labels: str) -> None:
    assert " ".join(axis_ticks(low, high, scale).labels) == labels  # type: ignore[arg-type]


@given(st.floats(0.01, 25), st.floats(0.01, 25), st.sampled_from(["linear", "log"]), st.floats(0.3, 4))
def test_labels_never_touch(below: float, above: float, scale: str, inches: float) -> None:
    def width(text: str) -> float:
        return 0.07 * len(text)

    ticks = axis_ticks(-below, above, scale, inches=inches, width=width)  # type: ignore[arg-type]
    unit = inches / (below + above)
    pairs = zip(ticks.positions, ticks.labels, ticks.positions[1:], ticks.labels[1:], strict=False)
    assert all((b - a) * unit > (width(left) + width(right)) / 2 for a, left, b, right in pairs)
    assert min(map(abs, ticks.positions)) < 1e-9


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.inf)])
def test_impossible_axes_are_refused(low: float, high: float) -> None:
    with pytest.raises(OptionError, match="two finite limits"):
        axis_ticks(low, high)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (-31_000.0, 12_000.0, "\u221230,000 \u221220,000 \u221210,000 0 10,000"),
        (-2_000.0, 9_000.0, "\u22122000 0 2000 4000 6000 8000"),
    ],
)
def test_thousands_are_marked_from_five_digits_on(low: float, high: float, labels: str) -> None:
    assert " ".join(axis_ticks(low, high).labels) == labels


def test_years_keep_their_four_digits() -> None:
    assert axis_ticks(1988.0, 2021.0, null=None).labels == ("1990", "2000", "2010", "2020")


@given(st.floats(-50, 50), st.floats(0.001, 90), st.floats(0.4, 0.8))
def test_a_short_axis_has_two_numbers_that_are_apart_or_at_most_one(low: float, span: float, inches: float) -> None:
    high = low + span
    unit = inches / span

    def half(label: str) -> float:
        return 0.03 * len(label)

    def fits(at: float, label: str) -> bool:
        return (at - low) * unit >= half(label) - 0.06 and (high - at) * unit >= half(label) - 0.06

    def touch(one: tuple[float, str], two: tuple[float, str]) -> bool:
        return (two[0] - one[0]) * unit < half(one[1]) + half(two[1])

    ticks = short_ticks(low, high, fits, touch)
    pairs = list(zip(ticks.positions, ticks.labels, strict=True))
    assert all(fits(*pair) for pair in pairs)
    assert len(pairs) < 2 or not any(touch(a, b) for a, b in pairwise(pairs))
    assert numbers_of(ticks.labels) == pytest.approx(ticks.positions, rel=1e-6, abs=1e-9)
