"""People are counted once, whatever number of rows they stand in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.people import people_once


def effects(**columns: object) -> EffectSizes:
    """Return mean differences of three rows of one study and one row of another."""
    base: dict[str, object] = {
        "study": ["Ito", "Ito", "Ito", "Lund"],
        "outcome": "pain",
        "treatment_1": "aerobic",
        "treatment_2": "usual",
        "n_1": [30, 30, 30, 50],
        "mean_1": [41.21, 42.37, 43.58, 40.12],
        "sd_1": [12.13, 13.25, 14.36, 12.48],
        "n_2": [31, 31, 31, 52],
        "mean_2": [52.34, 53.45, 51.56, 49.67],
        "sd_2": [14.57, 13.68, 12.79, 15.81],
    }
    return mb.effect_sizes(mb.read_trials(pd.DataFrame(base | columns)), measure="MD")


@pytest.mark.parametrize(
    ("columns", "people"),
    [
        ({"weeks": [4, 8, 26, 8]}, 61 + 102),
        ({"outcome": ["pain", "function", "mood", "pain"]}, 61 + 102),
        ({"weeks": [4, 8, 26, 8], "n_1": [30, 28, 25, 50], "n_2": [31, 30, 29, 52]}, 61 + 102),  # people left
        ({"stratum": ["men", "women", "older", "all"], "n_1": [30, 20, 10, 50], "n_2": [31, 21, 11, 52]}, 123 + 102),
        (
            {  # one control group
                "treatment_1": ["aerobic", "strength", "yoga", "aerobic"],
                "mean_2": [52.34, 52.34, 52.34, 49.67],
                "sd_2": [14.57, 14.57, 14.57, 15.81],
            },
            3 * 30 + 31 + 102,
        ),
    ],
)
def test_arms_that_rows_share_are_one(columns: dict[str, object], people: int) -> None:
    found = effects(**columns)
    assert people_once(found, found.estimable) == people


def test_rows_that_are_not_asked_for_are_not_counted() -> None:
    found = effects(weeks=[4, 8, 26, 8])
    assert people_once(found, np.array([False, True, False, False])) == 61
    assert people_once(found, np.zeros(4, dtype=bool)) is None


def test_unknown_numbers_of_people_make_no_sum() -> None:
    found = mb.effect_sizes(pd.DataFrame({"study": ["a", "a"], "yi": [0.1, 0.2], "vi": 0.1}))
    assert people_once(found, found.estimable) is None
