"""What effects are divided by: known of raw rows, read of ready-made ones, and not mixed without a word."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.standardisers import inflation, score_words
from metaback.errors import DataError, OptionError
from metaback.result import pool

MEANS = {"n_1": 50, "mean_1": 103, "sd_1": 5.5, "n_2": 50, "mean_2": 100, "sd_2": 4.5}
PRINTED = {"effect": 0.5, "ci_low": 0.1, "ci_high": 0.9}
CHANGE, FINAL = {"score_type": "change"}, {"score_type": "final"}


def effects(*rows: dict[str, Any], **options: Any) -> EffectSizes:
    """Compute the effects of rows, named A, B, C ... unless they have a study."""
    table = pd.DataFrame([{"study": "ABCDEFGHIJ"[i], **row} for i, row in enumerate(rows)])
    return effect_sizes(read_trials(table), **options)


def test_the_size_of_the_matter_is_right() -> None:
    assert inflation(0.75) == pytest.approx(math.sqrt(2), rel=1e-15)
    assert inflation(0.5) == 1
    r = 0.75  # two measurements with SD 1: the SD of their difference is sqrt(1 + 1 - 2 r)
    assert inflation(r) == pytest.approx(1 / math.sqrt(2 - 2 * r), rel=1e-15)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Final", "final"),
        ("post", "final"),
        ("change from baseline", "change"),
        ("ANCOVA", "ancova"),
        ("", ""),
        ("x", None),
    ],
)
def test_spellings_of_score_types(text: str, word: str | None) -> None:
    assert score_words(text) == word


def test_raw_rows_know_their_standardiser() -> None:
    found = effects(MEANS, MEANS | FINAL)
    assert found.standardisers == ("the pooled SD of final scores",) * 2
    assert found.score_types == ("final", "final")
    assert effects(MEANS | CHANGE).standardisers == ("the pooled SD of change scores",)
    assert effects(MEANS, measure="SMD1").standardisers == ("the SD of group 2 of final scores",)
    assert effects(MEANS, measure="MD").standardisers == ("",)
    pairs = {"mean_1": 5, "sd_1": 2, "mean_2": 4, "sd_2": 2, "n": 30, "r": 0.5}
    assert effects(pairs, measure="SMCC").standardisers == ("the SD of the change",)
    assert effects({"yi": 0.3, "vi": 0.1} | pairs, {"yi": 0.3, "vi": 0.1}, measure="SMCR").standardisers[1] == (
        "the SD of measurement 1"
    )


def test_a_ready_made_effect_is_what_its_row_says() -> None:
    found = effects(MEANS, PRINTED, PRINTED | {"standardiser": "the SD before"})
    assert found.standardisers == ("the pooled SD of final scores", "", "the SD before")
    assert "The standardiser is not stated in 1 row: B (index 1)." in found.notes


def test_changes_and_final_scores_are_not_mixed_without_a_word() -> None:
    with pytest.raises(DataError) as caught:
        effects(MEANS, MEANS | CHANGE, PRINTED | CHANGE)
    (problem,) = caught.value.problems
    assert "B (index 1), C (index 2)" in problem.rule
    assert "A (index 0)" in problem.rule
    assert "1.41 times" in problem.rule
    assert "mixed_scores=" in problem.fix


def test_changes_from_columns_of_changes_are_not_mixed_either() -> None:
    change = {"n_1": 40, "mean_change_1": -5, "sd_change_1": 4, "n_2": 41, "mean_change_2": -2, "sd_change_2": 4.4}
    only = effects(change, change, measure="SMD")
    assert only.score_types == ("change", "change")
    assert only.standardisers == ("the pooled SD of change scores",) * 2
    sp = math.sqrt((39 * 16 + 40 * 4.4**2) / 79)
    j = 1 - 3 / (4 * 79 - 1)
    assert only.yi[0] == pytest.approx(j * -3 / sp, rel=1e-4)  # with the usual approximation of J
    with pytest.raises(DataError, match="change scores"):
        effects(change, MEANS, measure="SMD")


def test_the_reason_of_the_user_allows_it_and_is_told() -> None:
    reason = "r is about 0.5 in all trials, so both SDs agree"
    found = effects(MEANS, MEANS | CHANGE, mixed_scores=reason)
    assert found.mixed_scores == reason
    assert any(reason in note for note in found.notes)
    table = pd.DataFrame([{"study": "A", **MEANS, **FINAL}, {"study": "B", **MEANS, **CHANGE}])
    text = pool(table, measure="SMD", mixed_scores=reason).methods_text()
    assert reason in text
    assert "the pooled SD of final scores (1 row); the pooled SD of change scores (1 row)" in text
    with pytest.raises(OptionError, match="in words"):
        effects(MEANS, mixed_scores=" ")


def test_changes_divided_by_an_sd_of_scores_are_on_one_scale_with_final_scores() -> None:
    found = effects(MEANS, PRINTED | CHANGE | {"standardiser": "pooled SD before"})
    assert found.estimable.all()


def test_adjusted_and_final_scores_share_a_scale() -> None:
    assert effects(MEANS, PRINTED | {"score_type": "ANCOVA"}).estimable.all()


def test_mean_differences_may_mix_and_say_so() -> None:
    found = effects(MEANS, MEANS | CHANGE, measure="MD")
    assert any("changes in 1 row and from final scores in 1" in note for note in found.notes)
    assert not any("changes" in note for note in effects(MEANS, PRINTED, measure="MD").notes)


def test_rows_without_an_effect_do_not_count() -> None:
    assert effects(MEANS, {"n_1": 4} | CHANGE).k == 1


def test_an_unknown_type_is_a_problem_of_its_cell() -> None:
    with pytest.raises(DataError) as caught:
        effects(MEANS | {"score_type": "baseline"})
    assert caught.value.problems[0].column == "score_type"
    assert caught.value.problems[0].value == "baseline"


def test_the_methods_always_state_the_standardiser() -> None:
    table = pd.DataFrame([{"study": "A", **MEANS}, {"study": "B", **MEANS}])
    assert "The standardiser of effects was the pooled SD of final scores." in pool(table, measure="SMD").methods_text()
    assert "standardiser" not in pool(table, measure="MD").methods_text()
    frame = pool(table, measure="SMD").studies()
    assert frame["standardiser"].tolist() == ["the pooled SD of final scores"] * 2
    np.testing.assert_array_equal(frame["score_type"], ["final", "final"])
