"""Risks behind relative effects, numbers needed to treat, overlap of groups, and people that a trial needs."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.errors import OptionError
from metaback.stats.absolute import (
    RISK_MEASURES,
    number_needed,
    people_for_means,
    people_for_risks,
    risk_with,
    superiority,
    u3,
)

LAST_BITS = 1e-14  # a handful of operations in double precision


def one(measure: str, effect: float, baseline: float) -> float:
    """Return the risk of one effect."""
    return float(risk_with(measure, np.array([effect]), baseline)[0])


@pytest.mark.parametrize(
    ("measure", "effect", "baseline", "per_1000"),
    [
        ("OR", 0.73, 0.3, -62),  # Cochrane Handbook 5.1, section 12.5.4.3
        ("RR", 0.75, 0.8, -200),  # the same, section 11.5.5: 80% becomes 60%
        ("RR", 0.75, 0.2, -50),  # the same: 20% becomes 15%
    ],
)
def test_examples_of_the_handbook(measure: str, effect: float, baseline: float, per_1000: int) -> None:
    """Events per 1,000 people, as printed."""
    assert round(1000 * (one(measure, effect, baseline) - baseline)) == per_1000


def test_the_number_needed_of_the_handbook() -> None:
    """The same odds ratio needs 17 people for one event fewer."""
    assert number_needed(np.array([one("OR", 0.73, 0.3) - 0.3]))[0] == 17


def test_numbers_needed_of_guyatt_2011() -> None:
    """Absolute reduction of strokes of 1.3% (0.6% to 2.0%): 77 people (50 to 167)."""
    assert number_needed(np.array([0.013, 0.006, 0.02])).tolist() == [77, 167, 50]


def test_numbers_needed_of_altman_1998() -> None:
    """A reduction of 10% (-5% to 25%): 10, with the ends at 20 to harm and 4 to benefit."""
    assert number_needed(np.array([0.10, -0.05, 0.25])).tolist() == [10, 20, 4]


@pytest.mark.parametrize("n", [2, 3, 7, 10, 49, 1000, 99_999])
def test_a_whole_number_stays_although_its_share_is_rounded(n: int) -> None:
    """The last bit of a difference does not ask for one more person."""
    for baseline in (0.0, 0.1, 0.3, 0.7):
        assert number_needed(np.array([baseline + 1 / n - baseline]))[0] == n


@pytest.mark.parametrize("effect", [0.01, 0.73, 1.0, 3.7, 900.0])
@pytest.mark.parametrize("baseline", [1e-9, 0.0123, 0.5, 0.987])
def test_risks_in_fifty_digits(effect: float, baseline: float) -> None:
    """Odds and proportional hazards, written out as they are defined."""
    with mp.workdps(50):
        p, r = mp.mpf(baseline), mp.mpf(effect)
        odds = r * p / (1 - p)
        assert one("OR", effect, baseline) == pytest.approx(float(odds / (1 + odds)), rel=LAST_BITS)
        assert one("HR", effect, baseline) == pytest.approx(float(1 - (1 - p) ** r), rel=LAST_BITS)


@pytest.mark.parametrize("measure", ["RR", "OR", "PETO", "HR"])
def test_ends_of_the_baseline(measure: str) -> None:
    """Nothing comes from nothing; whom the event meets anyway it meets in both arms, but for a risk ratio."""
    assert one(measure, 3.0, 0.0) == 0
    assert one(measure, 0.5, 1.0) == (0.5 if measure == "RR" else 1.0)
    assert math.isnan(one(measure, math.inf, 0.0))
    assert one(measure, math.inf, 0.2) in (1.0, math.inf)


def test_a_risk_beyond_one_is_left_for_the_caller_to_tell() -> None:
    """RR 2 at 0.8, RD -0.3 at 0.1."""
    assert one("RR", 2.0, 0.8) == 1.6
    assert one("RD", -0.3, 0.1) == pytest.approx(-0.2)


@given(st.sampled_from(("RR", "OR", "HR")), st.floats(1e-6, 1 - 1e-6), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_a_larger_ratio_is_a_larger_risk(measure: str, baseline: float, one_ratio: float, other: float) -> None:
    """And a ratio of 1 changes nothing."""
    low, high = sorted((one_ratio, other))
    assert one(measure, low, baseline) <= one(measure, high, baseline) * (1 + LAST_BITS)
    assert one(measure, 1.0, baseline) == pytest.approx(baseline, rel=1e-9)  # 1 - (1 - p) of a small p


@given(st.floats(0.001, 0.999), st.floats(0.01, 100))
def test_the_odds_of_the_opposite_event(baseline: float, ratio: float) -> None:
    """The odds ratio of staying free of the event is the inverse one, and leads to the same risks."""
    assert one("OR", 1 / ratio, 1 - baseline) == pytest.approx(1 - one("OR", ratio, baseline), rel=1e-9)


def test_refusals() -> None:
    """A baseline in percent, and a measure that is no relation of risks."""
    with pytest.raises(OptionError, match="a risk lies between 0 and 1"):
        risk_with("RR", np.ones(1), 20)
    with pytest.raises(OptionError, match="baseline_risk=nan"):
        risk_with("RR", np.ones(1), math.nan)
    with pytest.raises(OptionError, match="RR, OR, PETO, RD, HR"):
        risk_with("SMD", np.ones(1), 0.2)
    assert len(RISK_MEASURES) == 5


def test_overlap_of_cohen_1988() -> None:
    """Table 2.2.1: U3 is 57.9%, 69.1% and 78.8% for d of 0.2, 0.5 and 0.8."""
    assert (100 * u3(np.array([0.2, 0.5, 0.8]))).round(1).tolist() == [57.9, 69.1, 78.8]


def test_heights_of_mcgraw_and_wong_1992() -> None:
    """Men of 69.7 (2.8) and women of 64.3 (2.6) inches: a man is taller in 92% of pairs."""
    d = (69.7 - 64.3) / math.sqrt((2.8**2 + 2.6**2) / 2)
    assert round(float(superiority(np.array([d]))[0]), 2) == 0.92


def test_people_for_risks_as_power_prop_test() -> None:
    """R 4.2.2, stats::power.prop.test: 905.365777967, 4201.89596834 (80%, 5%) and 734.053759584 (90%, 1%) per group."""
    assert people_for_risks(0.2, 0.15) == 2 * 906
    assert people_for_risks(0.05, 0.0375) == 2 * 4202
    assert people_for_risks(0.5, 0.4, level=0.99, power=0.9) == 2 * 735


def test_people_for_risks_of_guyatt_2011() -> None:
    """Control risk 0.2 and a quarter less: about 2,000 people, as read from the figure."""
    assert 1_750 <= people_for_risks(0.2, 0.15) <= 2_250


@pytest.mark.parametrize(("difference", "sd", "power"), [(5.0, 10.0, 0.8), (-0.2, 1.0, 0.8), (0.5, 1.0, 0.9)])
def test_people_for_means_in_fifty_digits(difference: float, sd: float, power: float) -> None:
    """2 (1.959964 + z)^2 sd^2 / d^2 per group, quantiles by inverting erf."""
    with mp.workdps(50):
        z = mp.sqrt(2) * (mp.erfinv(mp.mpf("0.95")) + mp.erfinv(2 * mp.mpf(str(power)) - 1))
        exact = 2 * (z * mp.mpf(sd) / mp.mpf(difference)) ** 2
    assert people_for_means(difference, sd, power=power) == 2 * int(mp.ceil(exact))


def test_people_refuse_what_cannot_be() -> None:
    """No difference is never found."""
    with pytest.raises(OptionError, match="a difference other than 0"):
        people_for_means(0.0, 1.0)
    with pytest.raises(OptionError, match="SD above 0"):
        people_for_means(1.0, 0.0)
    with pytest.raises(OptionError, match="two different risks"):
        people_for_risks(0.2, 0.2)
