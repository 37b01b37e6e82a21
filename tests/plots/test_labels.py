"""Names beside points: no box touches a mark, a box or the edge, and what has no room is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.plots.labels import Box, Name, Placement, place_names

ROOM = Box(0.0, 0.0, 4.0, 3.0)
HEIGHT = 0.1


def names(widths: list[float]) -> list[Name]:
    return [Name(f"name {i}", i, width, HEIGHT) for i, width in enumerate(widths)]


def overlap(a: Box, b: Box) -> bool:
    return min(a.right, b.right) > max(a.left, b.left) and min(a.top, b.top) > max(a.bottom, b.bottom)


def check(placement: Placement, marks: np.ndarray, radii: np.ndarray) -> None:
    for i, one in enumerate(placement.placed):
        assert ROOM.left <= one.box.left
        assert one.box.right <= ROOM.right
        assert ROOM.bottom <= one.box.bottom
        assert one.box.top <= ROOM.top
        for two in placement.placed[:i]:
            assert not overlap(one.box, two.box)
        for (x, y), radius in zip(marks, radii, strict=True):
            across = max(one.box.left - x, 0.0, x - one.box.right)
            up = max(one.box.bottom - y, 0.0, y - one.box.top)
            assert np.hypot(across, up) >= radius


def test_a_free_name_stands_at_the_right_of_its_mark() -> None:
    marks, radii = np.array([[1.0, 1.0]]), np.array([0.05])
    (one,) = place_names(names([0.5]), marks, radii, ROOM).placed
    assert one.box.left == pytest.approx(1.0 + 0.05 + 0.03)
    assert one.leader is None


def test_at_the_right_edge_it_stands_left() -> None:
    (one,) = place_names(names([0.5]), np.array([[3.9, 1.0]]), np.array([0.05]), ROOM).placed
    assert one.box.right == pytest.approx(3.9 - 0.08)


def test_a_crowd_moves_names_out_on_lines_and_drops_the_least_important() -> None:
    rng = np.random.default_rng(3)
    marks = rng.normal([2.0, 1.5], 0.12, (60, 2))
    radii = np.full(60, 0.03)
    placement = place_names(names([0.7] * 60), marks, radii, ROOM)
    check(placement, marks, radii)
    assert any(one.leader is not None for one in placement.placed)
    assert placement.dropped
    assert placement.told == f"{len(placement.dropped)} names have no room in the figure."
    assert {one.name.mark for one in placement.placed} | {one.mark for one in placement.dropped} == set(range(60))


def test_what_is_blocked_stays_free() -> None:
    marks, radii = np.array([[1.0, 1.0]]), np.array([0.05])
    wall = Box(1.05, 0.0, 4.0, 3.0)
    (one,) = place_names(names([0.5]), marks, radii, ROOM, blocked=[wall]).placed
    assert not overlap(one.box, wall)


def test_a_mark_beyond_the_axes_has_no_name_and_nothing_is_told_where_all_are_placed() -> None:
    placement = place_names(names([0.3, 0.3]), np.array([[np.nan, 1.0], [2.0, 1.0]]), np.array([0.05, 0.05]), ROOM)
    assert [one.name.mark for one in placement.placed] == [1]
    assert placement.told == "1 name has no room in the figure."
    assert place_names([], np.empty((0, 2)), np.empty(0), ROOM).told == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 4), st.floats(0, 3), st.floats(0.1, 1.5), st.floats(0.01, 0.1)), min_size=1, max_size=25
    )
)
def test_nothing_ever_overlaps(points: list[tuple[float, float, float, float]]) -> None:
    marks = np.array([[x, y] for x, y, _, _ in points])
    radii = np.array([r for *_, r in points])
    check(place_names(names([w for _, _, w, _ in points]), marks, radii, ROOM), marks, radii)
