"""Rows that say a number twice: ready-made effects beside their interval, SE, t and P, and SDs that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.said_twice import impossible_changes
from metaback.errors import DataError


def effects(*rows: dict[str, Any], **options: Any) -> EffectSizes:
    """Compute the effects of rows, named A, B, C ..."""
    table = pd.DataFrame([{"study": "ABCDEFGH"[i], **row} for i, row in enumerate(rows)])
    return effect_sizes(read_trials(table), **options)


HR = {"measure": "HR", "effect": 0.70, "ci_low": 0.5, "ci_high": 0.98}


def test_a_p_value_that_the_interval_does_not_give_is_told() -> None:
    # ln 0.7 over the SE of the interval, 0.17167, is z = -2.08: P = 0.038, not 0.5
    found = effects(HR | {"p": 0.038}, HR | {"p": 0.5})
    assert found.disagreements[0] == ()
    assert found.disagreements[1] == ("the standard error is 0.1717 as used, but 0.5288 by its P value (p = 0.5)",)
    assert found.ignored[0] == ("its P value (p = 0.038)",)
    assert any(note.startswith("row 1 (B)") or "(B)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"yi": -2.0, "vi": 1.0, "sei": 3.0}, "the standard error is 1.000 as used, but 3.000 by sei = 3"),
        ({"yi": -2.0, "vi": 1.0, "sei": 1.0}, ""),
        ({"yi": -2.0, "vi": 1.0, "ci_low": -9.02, "ci_high": -1.01}, "its interval (−9.02 to −1.01)"),
        ({"yi": -2.0, "sei": 1.0, "t": -2.0}, ""),
        ({"yi": -2.0, "sei": 1.0, "t": -4.0}, "0.5000 by its test (t = −4)"),
        ({"measure": "MD", "effect": -2.2, "ci_low": -5.1, "ci_high": 0.7, "se": 1.48}, ""),
        ({"measure": "MD", "effect": -2.2, "ci_low": -5.1, "ci_high": 0.7, "se": 2.96}, "2.960 by se = 2.96"),
        ({"measure": "MD", "effect": -2.2, "ci_low": -5.1, "ci_high": 0.7, "se": 1.48, "p": 0.138}, ""),
    ],
)
def test_a_standard_error_that_is_said_twice_is_held_against_itself(row: dict[str, Any], words: str) -> None:
    (told,) = effects(row).disagreements
    assert (words in told[0]) if words else told == ()


@pytest.mark.parametrize(
    ("row", "middle"),
    [
        # sqrt(0.22 * 2.02) = 0.667 on the log scale; 1.15 is the middle of the interval of differences
        ({"measure": "OR", "effect": 1.51, "ci_low": 0.22, "ci_high": 2.02}, "0.6666"),
        ({"measure": "OR", "effect": 2.01, "ci_low": 1.01, "ci_high": 3.99}, ""),
        ({"measure": "OR", "effect": 2.0, "ci_low": 1.01, "ci_high": 2.99}, "1.738"),
        ({"measure": "SMD", "effect": 0.5, "ci_low": 0.41, "ci_high": 1.99}, "1.200"),
        ({"measure": "SMD", "effect": 0.5, "ci_low": 0.11, "ci_high": 0.89}, ""),
    ],
)
def test_an_effect_away_from_the_middle_of_its_interval_is_told(row: dict[str, Any], middle: str) -> None:
    (told,) = effects(row).disagreements
    assert (middle in told[0] and "not in the middle" in told[0]) if middle else told == ()


def test_an_interval_by_t_is_no_contradiction() -> None:
    # 0.5 +- 2.228 * 0.2, t of 10 degrees of freedom, beside its SE
    assert effects({"measure": "SMD", "effect": 0.5, "ci_low": 0.0544, "ci_high": 0.9456, "se": 0.2}).disagreements == (
        (),
    )


def test_an_sd_of_the_change_that_no_correlation_gives_is_told() -> None:
    before = {f"{role}_{arm}": value for arm in (1, 2) for role, value in (("mean_pre", 50), ("sd_pre", 12))}
    after = {f"{role}_{arm}": value for arm in (1, 2) for role, value in (("mean_post", 40), ("sd_post", 13))}
    row = before | after | {"n_1": 20, "n_2": 21, "sd_change_2": 9.0}
    found = effects(row | {"sd_change_1": 9.5}, row | {"sd_change_1": 30.0}, measure="DPPC2")
    assert found.disagreements[0] == ()
    (told,) = found.disagreements[1]
    assert told.startswith("sd_change_1 = 30 cannot be: with SDs of 12 before and 13 after it lies between 1 and 25,")


def test_the_ends_of_what_is_possible_are_possible() -> None:
    known = {role: np.array([x, x2]) for role, x, x2 in (("sd_1", 12.0, 12.0), ("sd_2", 13.0, 13.0))}
    known["sd_change"] = np.array([25.0, 1.0])
    assert impossible_changes(known, np.array([True, True]), ("r",)) == ((), ())


MEANS = {"n_1": 22, "mean_1": 31.2, "sd_1": 14.8, "n_2": 21, "mean_2": 42.5, "sd_2": 16.1}
# Of these means: Wald with both SDs apart is sqrt(14.8^2/22 + 16.1^2/21) = 4.7222, Student 4.7128 with t(41) = 2.0195
EFFECT = {"measure": "MD", "effect": -11.3}


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-20.56, -2.04, False),  # normal, as Review Manager prints it: 11.3 -+ 1.96 * 4.722
        (-20.82, -1.78, False),  # Student: 11.3 -+ 2.0195 * 4.713
        (-20.84, -1.76, False),  # Welch
        (-19.06, -3.54, True),  # of 90%
        (-15.9, -6.7, True),  # of the SE for the SD
    ],
)
def test_the_interval_of_another_test_is_no_contradiction(low: float, high: float, told: bool) -> None:
    (words,) = effects(MEANS | EFFECT | {"ci_low": low, "ci_high": high}, measure="MD").disagreements
    assert bool(words) is told


def test_a_full_correlation_of_two_measurements_is_told() -> None:
    row = {f"{role}_{arm}": x for arm in (1, 2) for role, x in (("mean_pre", 50), ("sd_pre", 12), ("mean_post", 40))}
    row |= {"n_1": 20, "n_2": 21, "r_2": 0.5}
    found = effects(row | {"r_1": 1.0}, row | {"r_1": 0.99}, measure="DPPC2")
    (told,) = [note for note in found.notes if "correlation of 1" in note]
    assert told.startswith("A (index 0) brings a pre-post correlation of 1 or −1, which no two")


def test_change_scores_beside_final_ones_are_not_taken_for_them() -> None:
    row = {"n_1": 25, "mean_1": 10, "sd_1": 5, "n_2": 25, "mean_2": 12, "sd_2": 6, "score_type": "change"}
    changes = {"mean_change_1": -3, "sd_change_1": 2, "mean_change_2": -1, "sd_change_2": 2}
    assert effects(row, measure="SMD").score_types == ("change",)
    with pytest.raises(DataError, match="beside mean changes of its own"):
        effects(row | changes, measure="SMD")
