"""Red flags: each is raised where it must be and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse

Make = Callable[..., EffectSizes]
CLEAN = ([0.1, 0.9, -0.4, 0.5, 1.6, 0.2], [0.05, 0.08, 0.06, 0.1, 0.07, 0.09])  # Q well above its df, one peak
AGREE = ([0.30, 0.35, 0.25, 0.30], [0.1, 0.1, 0.1, 0.1])  # closer than chance, but within the Q-profile set at 99.9%
TWO_PEAKS = ([-2.1, 0.7, 0.9], [1.322, 0.002, 0.004])  # RELIABILITY: the second peak is 0.22 units lower
FAR_PEAK = ([-1, 0.5, -1, 1.5, -0.3], [0.001, 9.538, 0.014, 0.325, 1.903])  # the second peak is 4.5 units lower


def notes(make: Make, data: tuple[list[float], list[float]], **spec: object) -> tuple[str, ...]:
    return analyse(make(*data), PoolSpec(**spec)).overall.notes


def some(found: tuple[str, ...], words: str) -> bool:
    return any(words in note for note in found)


@pytest.mark.parametrize("tau2", ["DL", "PM", "REML"])
@pytest.mark.parametrize("ci", ["Wald", "Wald-t", "HKSJ", "HKSJ-wider"])
def test_an_ordinary_pool_has_nothing_to_tell(make: Make, tau2: str, ci: str) -> None:
    assert notes(make, CLEAN, tau2=tau2, ci=ci) == ()


def test_one_study_is_told_and_nothing_else(make: Make) -> None:
    for spec in ({}, {"model": "equal"}, {"ci": "HKSJ"}, {"tau2": "DL", "pi": "z"}):
        (note,) = notes(make, ([0.4], [0.1]), **spec)
        assert note.startswith("One study")


def test_an_interval_narrower_than_wald_is_told(make: Make) -> None:
    wider = notes(make, AGREE, ci="HKSJ-wider", level=0.999)
    assert some(wider, "as wide as the Wald interval; the wider one")
    bare = notes(make, AGREE, ci="HKSJ", level=0.999)
    assert some(bare, "Use ci='HKSJ-wider'")
    for ci in ("Wald", "Wald-t"):
        assert not some(notes(make, AGREE, ci=ci, level=0.999), "Hartung")


def test_the_share_in_the_note_is_the_share_of_the_widths(make: Make) -> None:
    hksj, wald = (analyse(make(*AGREE), PoolSpec(ci=ci)).overall.mean for ci in ("HKSJ", "Wald"))
    share = (hksj.upper - hksj.lower) / (wald.upper - wald.lower)
    assert share < 1
    assert some(notes(make, AGREE, ci="HKSJ"), f"only {share:.0%} as wide")


def test_equal_effects_degenerate(make: Make) -> None:
    same = ([0.5, 0.5, 0.5], [0.1, 0.2, 0.3])
    assert some(notes(make, same, ci="HKSJ"), "degenerates to 0, so its interval must not be used")
    assert some(notes(make, same, ci="HKSJ-wider"), "degenerates to 0, so the Wald interval is shown")
    assert not some(notes(make, same, ci="Wald"), "degenerates")
    assert not some(notes(make, AGREE, ci="HKSJ"), "degenerates")


def test_effects_equal_but_for_rounding_degenerate_too(make: Make) -> None:
    assert some(notes(make, ([0.3, 0.1 + 0.2, 0.3], [0.1, 0.2, 0.3])), "degenerates to 0")


def test_a_second_peak_nearby_is_told(make: Make) -> None:
    (note,) = [n for n in notes(make, TWO_PEAKS) if "second peak" in n]
    assert "at τ² = 1.19" in note
    assert "0.22 log-likelihood units" in note
    assert "at τ² = 0.0195" in note


@pytest.mark.parametrize(
    ("data", "spec"), [(FAR_PEAK, {}), (TWO_PEAKS, {"tau2": "DL"}), (TWO_PEAKS, {"model": "equal"})]
)
def test_a_far_peak_or_another_method_has_no_such_note(
    make: Make, data: tuple[list[float], list[float]], spec: dict[str, str]
) -> None:
    assert not some(notes(make, data, **spec), "second peak")


def test_an_estimate_outside_its_interval_is_told(make: Make) -> None:
    found = notes(make, FAR_PEAK, tau2="DL")
    assert some(found, "lies outside its own Q-profile interval (0.161 to 8.86)")
    assert not some(notes(make, FAR_PEAK, tau2="REML"), "outside")
    assert not some(notes(make, FAR_PEAK, model="equal"), "outside")


def test_an_empty_interval_is_told(make: Make) -> None:
    assert some(notes(make, AGREE), "Q-profile interval of τ² is empty")
    assert not some(notes(make, AGREE, level=0.999), "empty")
    assert not some(notes(make, AGREE, model="equal"), "empty")


def test_two_studies_have_no_prediction_interval(make: Make) -> None:
    two = ([0.1, 0.9], [0.05, 0.08])
    assert some(notes(make, two), "it needs at least 3 studies, there are 2")
    assert not some(notes(make, two, pi="none"), "prediction")
    assert not some(notes(make, two, model="equal"), "prediction")
    assert not some(notes(make, ([0.1, 0.9, 0.3], [0.05, 0.08, 0.1])), "prediction")


@pytest.mark.parametrize(("ratio", "told"), [(1.01e7, True), (0.99e7, False)])
def test_variances_of_another_unit_are_told(make: Make, ratio: float, told: bool) -> None:
    assert some(notes(make, ([0.1, 0.2, 0.3], [1e-6, 1e-6 * ratio, 1e-5])), "ten million") == told


def test_rows_left_out_are_named_with_their_reason(make: Make) -> None:
    effects = make([0.1, float("nan"), 0.9, 0.3], [0.1, 1.0, 0.2, 0.1], notes=("A fact about the set.",))
    found = analyse(effects, PoolSpec()).overall.notes
    assert found[-2:] == ("A fact about the set.", "study 1 (row 3) is not pooled: not given.")


@pytest.mark.parametrize("ci", ["boot-percentile", "boot-basic", "boot-BCa"])
def test_a_bootstrap_of_equal_effects_is_told_to_have_no_width(make: Make, ci: str) -> None:
    found = notes(make, ([0.5] * 5, [0.1, 0.2, 0.1, 0.3, 0.2]), ci=ci)
    assert some(found, "no width and must not be used")
    assert not some(notes(make, CLEAN, ci=ci), "no width")
    assert not some(notes(make, ([0.5] * 5, [0.1, 0.2, 0.1, 0.3, 0.2]), ci="pboot-basic"), "no width")
