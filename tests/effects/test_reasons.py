"""Why a row has no effect: the sentence names what is missing and what would help."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from metaback.data.read import read_trials
from metaback.effects.compute import default_measure, effect_sizes

PRE_POST = {f"{role}_{arm}": 10 for role in ("mean_pre", "sd_pre", "mean_post", "sd_post", "n") for arm in (1, 2)}
SIZES = {"n_1": 20, "n_2": 20}


def reason(row: dict[str, Any], **options: Any) -> str:
    """Return why a row has no effect."""
    return effect_sizes(read_trials(pd.DataFrame([{"study": "A", **row}])), **options).reasons[0]


@pytest.mark.parametrize(
    ("row", "options", "words"),
    [
        (PRE_POST, {"measure": "SMDCH"}, "fill r_1 and r_2, or assume r=0.5"),
        (PRE_POST, {"measure": "DPPC2"}, "give it, or assume one with r=0.5"),
        # 7 and 8 of 20 are 35% and 40%
        ({"percent_1": 37, "percent_2": 20, **SIZES}, {}, "percent_1 = 37 is the percentage of no whole number of 20"),
        ({"p": 0.04, **SIZES}, {}, "fill a column sign with 1 or -1"),
        ({"events": 12, "n": 20}, {}, "say measure='PR' or another of PLN, PLO"),
        ({"r": 0.2, "n": 20}, {}, "say measure='COR'"),
        (
            {"mean_pre": 50, "mean_post": 40, "n": 20, "r": 0.5},
            {"measure": "SMCR"},
            "mean_2 sd_2 (effects",
        ),
        ({"treatment": "yoga", "mean": 3, "sd": 4, "n": 20}, {}, "make pairs of them with contrasts()"),
    ],
)
def test_a_reason_says_what_would_help(row: dict[str, Any], options: dict[str, Any], words: str) -> None:
    assert words in reason(row, **options)


def test_nothing_is_proposed_to_a_row_without_numbers() -> None:
    empty = {"mean_1": None, "sd_1": None, "mean_2": None, "sd_2": None, "n_1": None, "n_2": None}
    assert reason(empty) == "no effect and no raw numbers are given"


@pytest.mark.parametrize(
    ("row", "measure"),
    [
        (PRE_POST, "SMD"),
        ({"median_1": 4, "q1_1": 2, "q3_1": 6, "median_2": 5, "q1_2": 3, "q3_2": 7, **SIZES}, "SMD"),
        ({"t": 2.1, **SIZES}, "SMD"),
        ({"percent_1": 35, "percent_2": 20, **SIZES}, "RR"),
        ({"effect": 0.3, "p": 0.04, **SIZES}, "GEN"),
    ],
)
def test_what_stands_for_means_or_counts_chooses_the_measure(row: dict[str, Any], measure: str) -> None:
    assert default_measure(read_trials(pd.DataFrame([{"study": "A", **row}]))) == measure


def test_a_million_rows_are_explained_in_one_pass() -> None:
    # one look at each column, not one for each row: 20,000 rows took minutes before
    table = pd.DataFrame({"study": ["A"] * 20_000, "events": 1.0, "n": 9.0})
    assert set(effect_sizes(read_trials(table)).reasons) == {reason({"events": 1, "n": 9})}
