"""What must be told, or refused, of a set of rows: other pairs, units of several instruments, directions unsaid."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from metaback.data.arms import contrasts
from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes, set_aside
from metaback.errors import DataError

ROWS = [("VAS 0-10", 3.1, 1.4, 4.2, 1.6), ("VAS 0-100", 28.0, 15.0, 35.0, 16.0)]
LONG = pd.DataFrame(
    [
        ("A", "yoga", 20, 31.0, 14.0),
        ("A", "pilates", 21, 35.0, 13.0),
        ("A", "usual care", 22, 42.0, 15.0),
        ("B", "yoga", 18, 30.0, 12.0),
        ("B", "usual care", 17, 38.0, 11.0),
    ],
    columns=["study", "treatment", "n", "mean", "sd"],
)


def pain(rows: list[tuple[str, float, float, float, float]] = ROWS, **options: Any) -> EffectSizes:
    """Compute rows of an instrument, two means and two SDs."""
    table = [
        {"study": f"S{i}", "instrument": name, "n_1": 20, "mean_1": m1, "sd_1": s1, "n_2": 21, "mean_2": m2, "sd_2": s2}
        for i, (name, m1, s1, m2, s2) in enumerate(rows)
    ]
    return effect_sizes(read_trials(pd.DataFrame(table)), **options)


def test_a_pair_that_was_asked_for_is_not_pooled_with_another() -> None:
    # pilates minus usual care (-7) stood unturned beside usual care minus yoga (11, 8)
    found = effect_sizes(contrasts(LONG, reference="usual care"), measure="MD", compare=("usual care", "yoga"))
    assert found.estimable.tolist() == [True, False, True]
    assert found.yi[[0, 2]].tolist() == [11.0, 8.0]
    assert found.reasons[1] == "it compares pilates with usual care, and the pool is of usual care with yoga"
    assert found.obtained[1] == found.corrections[1] == ""


def test_all_pairs_stay_where_none_was_asked_for() -> None:
    assert effect_sizes(contrasts(LONG, reference="usual care"), measure="MD").yi.tolist() == [-11.0, -7.0, -8.0]


def test_mean_differences_of_several_instruments_are_told() -> None:
    assert any("MD keeps the units" in note and "VAS 0-10, VAS 0-100" in note for note in pain(measure="MD").notes)
    assert not any("keeps the units" in note for note in pain(measure="SMD").notes)
    assert not any("keeps the units" in note for note in pain(ROWS[:1] * 2, measure="MD").notes)


def test_mean_differences_on_ranges_of_other_width_are_refused() -> None:
    ranges = {"VAS 0-10": {"low": 0, "high": 10}, "VAS 0-100": {"low": 0, "high": 100}}
    with pytest.raises(DataError, match=r"the ranges of the scales differ in width: 10 in S0 .*; 100 in S1"):
        pain(measure="MD", instruments=ranges)
    # -1.1 of 10 and -7 of 100 are -11% and -7% of the range
    assert pain(measure="POMP", instruments=ranges).yi.round(10).tolist() == [-11.0, -7.0]


def test_several_instruments_without_a_direction_are_told() -> None:
    words = "none says whether higher is better"
    assert any(words in note for note in pain(measure="SMD").notes)
    ways: dict[str, Any] = {"VAS 0-10": {"higher_is_better": False}, "VAS 0-100": {"higher_is_better": False}}
    assert not any(words in note for note in pain(measure="SMD", instruments=ways).notes)
    assert not any(words in note for note in pain(measure="SMD", higher_is_better=False).notes)
    assert not any(words in note for note in pain(measure="VR").notes)


def test_both_arms_have_their_means_from_one_estimator() -> None:
    # Box-Cox fits arm 2 (mean 71.5) and not arm 1 (45.3 by Luo): the difference was -26 where either alone gives -10
    row = {"n_1": 50, "median_1": 40, "q1_1": 25, "q3_1": 70, "n_2": 50, "median_2": 50, "q1_2": 30, "q3_2": 85}
    trials = read_trials(pd.DataFrame([{"study": "A", **row}, {"study": "B", **row | {"q3_1": 60, "q3_2": 75}}]))
    found = effect_sizes(trials, measure="MD", options={"five_numbers": "BC"})
    usual = effect_sizes(trials, measure="MD")
    assert (found.yi[0], found.vi[0]) == (usual.yi[0], usual.vi[0])
    assert {step.conversion for step in found.steps[0]} == {"mean-sd-luo-wan-shi"}
    assert {step.conversion for step in found.steps[1]} == {"mean-sd-bc"}


def test_a_study_whose_other_row_was_left_out_enters_once() -> None:
    """The note that a study enters twice goes with the row that a decision leaves out, and counts those that stay."""
    table = pd.DataFrame({"study": ["A", "B", "A", "A"], "yi": [0.1, 0.2, 0.3, 0.4], "vi": 0.1})
    found = effect_sizes(read_trials(table), measure="SMD")
    assert [note[:17] for note in found.notes if "enters" in note] == ["A enters 3 times "]
    (note,) = [note for note in set_aside(found, {2: "left out"}, {}).notes if "enters" in note]
    assert note.startswith("A enters 2 times (index 0, index 3)")
    assert not [note for note in set_aside(found, {2: "left out", 3: "left out"}, {}).notes if "enters" in note]
