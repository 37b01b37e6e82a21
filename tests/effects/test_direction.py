"""Rows that point the other way: turned exactly, told, or refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import DataError
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse
from metaback.result import pool

CLOSED = 1e-14
SIMILAR = 1e-12  # the same sums with other signs
MEANS = {"n_1": 50, "mean_1": 103, "sd_1": 5.5, "n_2": 50, "mean_2": 100, "sd_2": 4.5}
COUNTS = {"events_1": 4, "n_1": 123, "events_2": 11, "n_2": 139}
UP, DOWN = {"higher_is_better": True}, {"higher_is_better": False}
PAIRS = {"pairs_11": 20, "pairs_12": 7, "pairs_21": 4, "pairs_22": 31}
PRINTED = {"effect": 0.5, "ci_low": 0.1, "ci_high": 0.9}


def effects(*rows: dict[str, Any], **options: Any) -> EffectSizes:
    """Compute the effects of rows, named A, B, C ... unless they have a study."""
    table = pd.DataFrame([{"study": "ABCDEFGHIJ"[i], **row} for i, row in enumerate(rows)])
    return effect_sizes(read_trials(table), **options)


def problems(*rows: dict[str, Any], **options: Any) -> list[str]:
    """Return the problems of rows that are refused."""
    with pytest.raises(DataError) as caught:
        effects(*rows, **options)
    return [str(problem) for problem in caught.value.problems]


# ---------------------------------------------------------------- numbers


def test_differences_change_their_sign_and_keep_their_variance() -> None:
    found = effects(MEANS | DOWN, MEANS | DOWN, MEANS | UP, measure="MD")
    np.testing.assert_allclose(found.yi, [3, 3, -3], rtol=CLOSED)  # 103 - 100
    np.testing.assert_allclose(found.vi, [(5.5**2 + 4.5**2) / 50] * 3, rtol=CLOSED)
    assert found.corrections == ("", "", "turned, so that lower is better")
    assert found.context.higher_is_better is False
    assert "Effects of C (index 2) were turned so that lower is better throughout." in found.notes


def test_a_ready_made_effect_is_turned_like_a_computed_one() -> None:
    found = effects(MEANS | DOWN, PRINTED | DOWN, PRINTED | UP, {"yi": 0.2, "vi": 0.04} | UP, measure="MD")
    assert found.context.higher_is_better is False  # two and two: as the first row has it
    np.testing.assert_allclose(found.yi, [3, 0.5, -0.5, -0.2], rtol=CLOSED)


def test_a_risk_ratio_is_turned_by_its_non_events() -> None:
    found = effects(COUNTS | DOWN, COUNTS | DOWN, COUNTS | UP, measure="RR")
    turned = math.log((119 / 123) / (128 / 139))
    np.testing.assert_allclose(found.yi[2], turned, rtol=CLOSED)
    np.testing.assert_allclose(found.vi[2], 1 / 119 - 1 / 123 + 1 / 128 - 1 / 139, rtol=1e-12)
    assert found.corrections[2] == "computed from non-events, so that lower is better"
    assert found.inputs["events_1"].tolist() == [4, 4, 4]  # the table is shown as it is


def test_a_risk_ratio_of_pairs_is_turned_by_its_non_events() -> None:
    found = effects(PAIRS | DOWN, PAIRS | DOWN, PAIRS | UP, measure="MPRR")
    np.testing.assert_allclose(found.yi[0], math.log(27 / 24), rtol=CLOSED)
    np.testing.assert_allclose(found.yi[2], math.log((4 + 31) / (7 + 31)), rtol=CLOSED)


@pytest.mark.parametrize("key", ["OR", "RD", "PETO", "AS", "YUQ", "PHI"])
def test_other_effects_of_counts_change_their_sign(key: str) -> None:
    found = effects(COUNTS | DOWN, COUNTS | DOWN, COUNTS | UP, measure=key)
    by_hand = effects({"events_1": 119, "n_1": 123, "events_2": 128, "n_2": 139}, measure=key)
    np.testing.assert_allclose(found.yi[2], -found.yi[0], rtol=CLOSED)
    np.testing.assert_allclose(found.yi[2], by_hand.yi[0], rtol=SIMILAR)
    np.testing.assert_allclose(found.vi[2], by_hand.vi[0], rtol=SIMILAR)


def test_an_area_under_the_curve_becomes_the_rest_to_one() -> None:
    row = {"auc": 0.7, "n_1": 40, "n_2": 50}
    found = effects(row | DOWN, row | DOWN, row | UP, measure="AUC")
    np.testing.assert_allclose(found.yi, [0.7, 0.7, 0.3], rtol=CLOSED)
    assert found.vi[2] == found.vi[0]


def test_swapped_arms_and_the_other_direction_cancel() -> None:
    arms = {"treatment_1": "x", "treatment_2": "y"}
    swapped = {"treatment_1": "y", "treatment_2": "x"}
    found = effects(MEANS | UP | arms, MEANS | UP | arms, MEANS | DOWN | swapped, measure="SMD")
    assert found.yi[2] == pytest.approx(found.yi[0], rel=CLOSED)
    assert found.corrections[2] == "arms swapped; turned, so that higher is better"


def test_no_difference_keeps_a_plain_zero() -> None:
    found = effects({"yi": 0.0, "vi": 1.0} | UP, {"yi": 1.0, "vi": 1.0} | DOWN, higher_is_better=False, measure="MD")
    assert math.copysign(1, found.yi[0]) == 1


# ---------------------------------------------------------------- which direction


def test_the_direction_is_that_of_most_rows() -> None:
    assert effects(MEANS | DOWN, MEANS | UP, MEANS | UP).context.higher_is_better is True
    assert effects(MEANS | DOWN, MEANS | UP).context.higher_is_better is False


def test_the_user_decides_the_direction() -> None:
    rows = (MEANS | DOWN, MEANS | DOWN)
    assert effects(*rows, measure="MD", higher_is_better=False).yi.tolist() == [3, 3]
    found = effects(*rows, measure="MD", higher_is_better=True)
    assert found.yi.tolist() == [-3, -3]
    assert found.context.higher_is_better is True


def test_without_a_word_in_the_table_the_direction_is_what_the_user_says_of_all_rows() -> None:
    found = effects(MEANS, MEANS, measure="MD", higher_is_better=True)
    assert (found.yi.tolist(), found.context.higher_is_better) == ([3, 3], True)


def test_an_instrument_knows_its_direction() -> None:
    rows = [MEANS | {"instrument": name} for name in ("VAS", "ODI", "SF-36")]
    facts = {
        "vas": {"higher_is_better": False},
        "ODI": {"higher_is_better": False},
        "SF-36": {"higher_is_better": True},
    }
    found = effects(*rows, measure="SMD", instruments=facts)
    assert [bool(fix) for fix in found.corrections] == [False, False, True]


def test_an_instrument_and_its_row_may_not_disagree() -> None:
    (said,) = problems(MEANS | UP | {"instrument": "VAS"}, instruments={"VAS": {"higher_is_better": False}})
    assert "column 'higher_is_better'" in said
    assert "VAS" in said


def test_rows_that_say_nothing_follow_where_all_others_agree() -> None:
    found = effects(MEANS | UP, MEANS, MEANS | UP, measure="MD")
    assert found.context.higher_is_better is True
    assert any("not said in index 1; higher is better in all other rows" in note for note in found.notes)
    assert effects(MEANS | UP, MEANS, measure="MD", higher_is_better=False).yi.tolist() == [-3, -3]


def test_rows_that_say_nothing_are_refused_where_the_others_differ() -> None:
    (said,) = problems(MEANS | UP, MEANS, MEANS | DOWN)
    assert "index 1" in said
    assert "does not say whether higher is better" in said


# ---------------------------------------------------------------- what cannot be turned


def test_a_ready_made_risk_ratio_is_refused_with_the_reason() -> None:
    (said,) = problems(COUNTS | DOWN, COUNTS | DOWN, PRINTED | UP, measure="RR")
    assert "index 2" in said
    assert "a ready-made RR of events does not tell that of non-events" in said
    assert "counts" in said


@pytest.mark.parametrize(
    ("key", "row", "why"),
    [
        ("ROM", MEANS, "where the scale starts"),
        ("CVR", MEANS, "where the scale starts"),
        ("IRR", {"events_1": 3, "time_1": 40, "events_2": 5, "time_2": 44}, "rate of non-events"),
        ("PLO", {"events": 3, "n": 40}, "level of one group"),
        ("MN", {"mean": 3, "sd": 1, "n": 40}, "level of one group"),
        ("GEN", {"yi": 0.3, "vi": 0.1}, "what kind of effect"),
        ("HR", {"yi": 0.3, "vi": 0.1}, "hazard"),
    ],
)
def test_what_does_not_follow_from_the_effect_is_refused(key: str, row: dict[str, Any], why: str) -> None:
    (said,) = problems(row | UP, row | UP, row | DOWN, measure=key)
    assert "index 2" in said
    assert why in said


def test_variability_does_not_depend_on_the_direction() -> None:
    found = effects(MEANS | UP, MEANS | UP, MEANS | DOWN, measure="VR")
    assert found.yi[2] == found.yi[0]
    assert found.corrections == ("", "", "")
    assert any("makes no difference to VR" in note for note in found.notes)


def test_a_row_without_an_effect_is_not_turned() -> None:
    found = effects(MEANS | UP, MEANS | UP, {"n_1": 3} | DOWN, measure="ROM")
    assert found.estimable.tolist() == [True, True, False]


# ---------------------------------------------------------------- pools


ROW = st.tuples(st.floats(-3, 3), st.floats(0.01, 2), st.booleans())


@given(st.lists(ROW, min_size=2, max_size=8))
def test_a_pool_of_both_directions_is_that_of_rows_turned_by_hand(rows: list[tuple[float, float, bool]]) -> None:
    mixed = [{"yi": y, "vi": v, "higher_is_better": flag} for y, v, flag in rows]
    by_hand = [{"yi": y if flag else -y, "vi": v} for y, v, flag in rows]
    one = analyse(effects(*mixed, measure="SMD", higher_is_better=True), PoolSpec()).overall
    other = analyse(effects(*by_hand, measure="SMD"), PoolSpec()).overall
    assert (one.mean.point, one.mean.lower, one.mean.upper) == (other.mean.point, other.mean.lower, other.mean.upper)


@given(st.lists(ROW, min_size=2, max_size=8))
def test_turning_every_row_turns_the_pool(rows: list[tuple[float, float, bool]]) -> None:
    table = [{"yi": y, "vi": v, "higher_is_better": False} for y, v, _ in rows]
    one = analyse(effects(*table, measure="SMD", higher_is_better=False), PoolSpec()).overall
    other = analyse(effects(*table, measure="SMD", higher_is_better=True), PoolSpec()).overall
    np.testing.assert_allclose(
        (other.mean.point, other.mean.lower, other.mean.upper),
        (-one.mean.point, -one.mean.upper, -one.mean.lower),
        rtol=SIMILAR,
        atol=SIMILAR,
    )
    assert other.heterogeneity.tau2 == pytest.approx(one.heterogeneity.tau2, rel=1e-9, abs=1e-12)


def test_the_sides_of_the_figure_follow_the_direction() -> None:
    arms = {"treatment_1": "training", "treatment_2": "rest"}
    table = pd.DataFrame(
        [{"study": name, **MEANS, **arms, **flag} for name, flag in zip("ABC", (UP, UP, DOWN), strict=True)]
    )
    assert pool(table, measure="SMD").effects.context.higher_is_better is True
    assert pool(table, measure="SMD", higher_is_better=False).effects.context.higher_is_better is False
    assert "turned so that higher is better" in pool(table, measure="SMD")._repr_html_()
