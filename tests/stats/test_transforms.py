"""The ways back from the analysis scale: there and back again, slopes, directions and what lies outside."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.errors import OptionError
from metaback.stats.measures import MEASURES, about
from metaback.stats.transforms import TRANSFORMS, back, harmonic_mean

KEYS = tuple(TRANSFORMS)
SIZED = tuple(key for key in KEYS if back(key).size)
ROUND = 1e-12  # relative to the larger of the value, its distance from the end of the scale and what the size resolves
SLOPE = 1e-5  # a difference quotient with a step of 1e-6
DIGITS = 50
BIBLIOGRAPHY = (Path(__file__).parents[2] / "references.bib").read_text(encoding="utf-8")
# values of readers that each scale can tell apart in double precision
READERS = {
    "identity": (-1e6, 1e6), "exp": (1e-9, 1e9), "exp_share": (1e-9, 1.0), "share": (0.0, 1.0),
    "tanh": (-0.999, 0.999), "tanh2": (0.0, 0.999),
    "expit": (1e-9, 1 - 1e-9), "ndtr": (1e-9, 1 - 1e-9), "sin2": (0.0, 1.0), "freeman_tukey_proportion": (0.0, 1.0),
    "square": (0.0, 1e6), "freeman_tukey_rate": (0.0, 1e3), "hakstian_whalen": (-5.0, 1.0),
    "hakstian_whalen_1976": (-5.0, 1.0), "bonett": (-5.0, 0.999), "bonett_2002": (-5.0, 0.999),
}  # fmt: skip
SHARES = st.floats(min_value=0.0, max_value=1.0)
SIZES = st.floats(min_value=1.0, max_value=1e6)


def reader(key: str, share: float) -> np.ndarray:
    """Place a share of 0 ... 1 between the ends of the values of readers."""
    low, high = READERS[key]
    return np.array([low + share * (high - low)])


@pytest.mark.parametrize("key", KEYS)
@given(share=SHARES, size=SIZES)
def test_there_and_back_again(key: str, share: float, size: float) -> None:
    way, value = back(key), reader(key, share)
    x = way.forward(value, size)
    assert np.isfinite(x).all()
    # an analysis value is known to 1 unit in the last place: what that is worth here
    resolved = 4 * np.finfo(float).eps * np.abs(x) * np.abs(way.derivative(x, size))
    assert np.abs(way.inverse(x, size) - value) <= ROUND * np.abs(value) + resolved + 1e-15


@pytest.mark.parametrize("key", KEYS)
@given(one=SHARES, two=SHARES, size=SIZES)
def test_the_direction_is_the_one_that_is_declared(key: str, one: float, two: float, size: float) -> None:
    way = back(key)
    a, b = sorted((one, two))
    low, high = way.forward(reader(key, a), size), way.forward(reader(key, b), size)
    assert (low >= high) if way.decreasing else (low <= high)


@pytest.mark.parametrize("key", KEYS)
@given(x=st.floats(min_value=-50, max_value=50), size=SIZES)
def test_the_way_back_stays_among_the_values_of_readers(key: str, x: float, size: float) -> None:
    way = back(key)
    value, slope = way.inverse(np.array([x]), size), way.derivative(np.array([x]), size)
    assert way.image[0] <= value[0] <= way.image[1]
    assert math.isfinite(slope[0])
    assert slope[0] <= 0 if way.decreasing else slope[0] >= 0
    low, high = way.domain
    if x < low or x > high:
        assert value[0] == way.inverse(np.clip([x], low, high), size)[0]
        assert slope[0] == 0


@pytest.mark.parametrize("key", KEYS)
@given(share=st.floats(min_value=0.02, max_value=0.98), size=st.floats(min_value=5.0, max_value=1e4))
def test_the_slope_is_that_of_the_inverse(key: str, share: float, size: float) -> None:
    way = back(key)
    x = way.forward(reader(key, share), size)
    step = 1e-6 * np.maximum(1, np.abs(x))
    quotient = (way.inverse(x + step, size) - way.inverse(x - step, size)) / (2 * step)
    np.testing.assert_allclose(way.derivative(x, size), quotient, rtol=SLOPE, atol=1e-8)


@pytest.mark.parametrize("key", KEYS)
def test_nothing_known_gives_nothing_known(key: str) -> None:
    way, gap = back(key), np.array([np.nan, 0.3])
    for function in (way.forward, way.inverse, way.derivative):
        found = function(gap, np.array([9.0, 9.0]))
        assert np.isnan(found[0])
        assert np.isfinite(found[1])
    for end in way.image:
        if math.isfinite(end) and not way.size:
            outside = np.array([end + math.copysign(1.0, end - 0.5)])
            if outside[0] < way.image[0] or outside[0] > way.image[1]:
                assert np.isnan(way.forward(outside)).all()


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_has_its_source(key: str) -> None:
    entry, way = TRANSFORMS[key], back(key)
    assert (way.key, way.title) == (key, entry.title)
    assert way.inverse is entry.function
    assert "Source:" in (inspect.getdoc(entry.function) or "")
    assert entry.cite
    for word in entry.cite:
        assert re.search(rf"^@\w+{{{word},", BIBLIOGRAPHY, re.MULTILINE), word


@pytest.mark.parametrize("key", KEYS)
def test_no_number_raises_a_warning(key: str) -> None:
    way = back(key)
    ends = np.array([np.nan, np.inf, -np.inf, -1e200, -1, -1e-300, 0, 1e-300, 0.5, 1, 800, 1e200])
    x, size = (axis.ravel() for axis in np.meshgrid(ends, ends))
    for function in (way.forward, way.inverse, way.derivative):
        assert np.isnan(function(x, size)[np.isnan(x)]).all()


def test_every_measure_names_a_way_back() -> None:
    assert {about(key).back for key in MEASURES} <= set(KEYS)
    assert set(KEYS) == set(READERS)
    assert {key for key in KEYS if back(key).decreasing} == {"hakstian_whalen_1976", "bonett_2002"}


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(OptionError, match="back='nonsense' is not known"):
        back("nonsense")


# ---------------------------------------------------------------- Freeman and Tukey


@pytest.mark.parametrize("key", SIZED)
def test_a_size_is_not_guessed(key: str) -> None:
    way = back(key)
    for function in (way.forward, way.inverse, way.derivative):
        with pytest.raises(OptionError, match=f"{key}.*needs a size"):
            function(np.array([0.3]))
        assert np.isnan(function(np.array([0.3]), 0.0)).all()


@pytest.mark.parametrize("n", [1.0, 7.0, 50.0, 1e4])
def test_every_count_comes_back(n: float) -> None:
    x = np.unique(np.round(np.linspace(0, n, 21)))
    for key, measure in (("freeman_tukey_proportion", "PFT"), ("freeman_tukey_rate", "IRFT")):
        y = MEASURES[measure].function(x, np.full(x.shape, n)).yi
        np.testing.assert_allclose(back(key).inverse(y, n), x / n, rtol=ROUND, atol=ROUND)
        np.testing.assert_allclose(back(key).forward(x / n, n), y, rtol=ROUND)


def test_values_beyond_no_events_and_only_events_are_the_ends() -> None:
    way = back("freeman_tukey_proportion")
    ends = way.forward(np.array([0.0, 1.0]), 10.0)
    beyond = ends + np.array([-0.05, 0.05])
    np.testing.assert_array_equal(way.inverse(beyond, 10.0), [0.0, 1.0])
    assert (way.derivative(beyond, 10.0) == 0).all()


def test_miller_in_fifty_digits() -> None:
    y, n = np.array([0.05, 0.3, 0.785, 0.9, 1.4]), 37.0
    with mpmath.workdps(DIGITS):
        for found, value in zip(back("freeman_tukey_proportion").inverse(y, n), y, strict=True):
            t = 2 * mpmath.mpf(float(value))
            u = mpmath.sin(t) + (mpmath.sin(t) - 1 / mpmath.sin(t)) / n
            lowest = mpmath.asin(mpmath.sqrt(mpmath.mpf(1) / (n + 1)))
            true = (1 - mpmath.sign(mpmath.cos(t)) * mpmath.sqrt(1 - u**2)) / 2 if t > lowest else mpmath.mpf(0)
            assert float(found) == pytest.approx(float(true), rel=ROUND, abs=1e-15)


def test_harmonic_mean() -> None:
    assert harmonic_mean(np.array([10.0, 40.0, np.nan, 0.0])) == pytest.approx(16.0, rel=1e-15)
    assert math.isnan(harmonic_mean(np.array([np.nan])))


# ---------------------------------------------------------------- the delta method


@pytest.mark.parametrize(
    ("key", "natural"), [("ZCOR", "COR"), ("PLN", "PR"), ("PLO", "PR"), ("PRZ", "PR"), ("ABT", "ARAW")]
)
def test_the_delta_method_gives_the_variance_on_the_scale_of_readers(key: str, natural: str) -> None:
    # ZCOR and COR divide by n - 3 and n - 1; the others agree to the last digit
    raw = {"COR": (0.4, 1e9), "PR": (30.0, 100.0), "ARAW": (0.8, 10.0, 50.0)}[natural]
    arguments = [np.array([value]) for value in raw]
    one, other = MEASURES[key].function(*arguments), MEASURES[natural].function(*arguments)
    way = back(about(key).back)
    np.testing.assert_allclose(way.inverse(one.yi), other.yi, rtol=ROUND)
    slope = way.derivative(one.yi)
    np.testing.assert_allclose(slope**2 * one.vi, other.vi, rtol=2e-8)
