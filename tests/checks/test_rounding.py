"""What printed numbers stand for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from metaback.checks.rounding import printed, rounded, shared_decimals
from metaback.stats.same_arms import decimals

SLACK = 1e-12  # half a unit is no binary fraction


@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_decimals_are_those_of_the_shortest_text(whole: int, digits: int) -> None:
    """The decimals are those of the number as Python writes it, and its interval holds the number."""
    exact = Decimal(whole).scaleb(-digits).normalize()
    value = float(exact)
    found = decimals(np.array([value]))
    assert found[0] == max(0, -int(exact.as_tuple().exponent))
    ends = rounded(np.array([value]), found)
    assert ends.low[0] < value < ends.high[0]


def test_a_trailing_zero_is_known_from_the_other_cells_of_the_study(scene_of: Any, means_table: Any) -> None:
    """12.0 stands for 11.95 to 12.05 where the other arm has a decimal, and for 11.5 to 12.5 where nothing has."""
    table = means_table(2)
    table[["mean_1", "mean_2"]] = [[12.0, 11.5], [12.0, 9.0]]
    scene = scene_of(table)
    assert shared_decimals(scene, "mean_1", "mean_2").tolist() == [1, 0]
    ends = printed(scene, "mean_1", "mean_2", "n_1")
    np.testing.assert_allclose(ends["mean_1"].low, [11.95, 11.5], atol=SLACK)
    np.testing.assert_allclose(ends["mean_1"].high, [12.05, 12.5], atol=SLACK)
    np.testing.assert_array_equal(ends["n_1"].low, scene.numbers("n_1"))


def test_decimals_are_shared_within_a_study_and_unit_only(scene_of: Any, means_table: Any) -> None:
    """Another outcome of the same study may have been printed otherwise; the same outcome was not."""
    table = means_table(1)
    three = pd.concat([table, table, table], ignore_index=True)
    three["outcome"] = ["pain", "strength", "pain"]
    three["mean_1"] = [4.25, 120.0, 3.0]
    three["mean_2"] = [4.0, 110.0, 3.0]
    assert shared_decimals(scene_of(three), "mean_1", "mean_2").tolist() == [2, 0, 2]


def test_a_spread_does_not_fall_below_zero_and_blanks_stay_blank(scene_of: Any, means_table: Any) -> None:
    """A printed SD of 0 is at least 0; a blank has no interval."""
    table = means_table(2)
    table["sd_1"] = [0.0, np.nan]
    table["sd_2"] = [1.0, 2.0]
    ends = printed(scene_of(table), "sd_1", "sd_2")
    assert ends["sd_1"].low[0] == 0.0
    assert ends["sd_1"].high[0] == 0.5
    assert np.isnan(ends["sd_1"].low[1])
