"""Right digits are counted relative to the number, on the scale of the problem where that is 0."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.stats.accuracy import right_digits


@pytest.mark.parametrize(
    ("found", "exact", "scale", "digits_"),
    [
        (1.0, 1.0, 1.0, 15.0),
        (1.001, 1.0, 1.0, 3.0),
        (-2.0, 1.0, 1.0, 0.0),  # never below none
        (1e-5, 0.0, 1.0, 5.0),
        (1e-5, 0.0, 100.0, 7.0),
        (math.inf, 1.0, 1.0, 0.0),
        (math.nan, 0.0, 1.0, 0.0),
        (1.0000001e-300, 1e-300, 1.0, 7.0),  # relative to the number, however small
    ],
)
def test_right_digits(found: float, exact: float, scale: float, digits_: float) -> None:
    assert right_digits(found, exact, scale) == pytest.approx(digits_, abs=1e-6)


@given(st.floats(1e-100, 1e100), st.integers(1, 14), st.sampled_from([-1.0, 1.0]))
def test_right_digits_do_not_depend_on_the_unit(exact: float, wanted: int, sign: float) -> None:
    found = exact * (1 + sign * 10.0**-wanted)
    assert right_digits(found, exact) == pytest.approx(wanted, abs=0.01 if wanted < 13 else 0.1)
    assert right_digits(-found, -exact) == right_digits(found, exact)
