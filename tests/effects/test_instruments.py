"""Facts of instruments: read once, checked, and used for the rows that name them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.instruments import Instrument, read_instruments
from metaback.errors import DataError, OptionError

CLOSED = 1e-14
CI = 3.919927969080109  # twice the 97.5% quantile of the normal, to all digits of a double
VAS = {"low": 0, "high": 100, "sd": 20, "mid": 15}
NRS = {"low": 0, "high": 10, "sd": 2.5, "mid": 2}
ROW = {"n_1": 40, "mean_1": 31.0, "sd_1": 20.0, "n_2": 38, "mean_2": 46.0, "sd_2": 22.0, "instrument": "VAS"}
READY = {"measure": "MD", "effect": -1.5, "ci_low": -2.5, "ci_high": -0.5, "instrument": "NRS"}
V = 400 / 40 + 484 / 38


def effects(*rows: dict[str, Any], **options: Any) -> EffectSizes:
    """Compute the effects of rows, named A, B, C ... unless they have a study."""
    table = pd.DataFrame([{"study": "ABCDEFGHIJ"[i], **row} for i, row in enumerate(rows)])
    return effect_sizes(read_trials(table), **options)


@pytest.mark.parametrize(("key", "vas", "nrs"), [("POMP", 1, 10), ("SMDE", 1 / 20, 1 / 2.5), ("MIDU", 1 / 15, 1 / 2)])
def test_every_row_enters_in_the_units_of_its_instrument(key: str, vas: float, nrs: float) -> None:
    found = effects(ROW, READY, measure=key, instruments={"VAS": VAS, "NRS": NRS})
    np.testing.assert_allclose(found.yi, [-15 * vas, -1.5 * nrs], rtol=CLOSED)
    np.testing.assert_allclose(found.vi, [V * vas**2, (2 / CI * nrs) ** 2], rtol=CLOSED)
    assert "mean difference" in found.obtained[1]
    assert found.k == 2


def test_columns_say_it_as_well() -> None:
    scale = {"scale_low": 0, "scale_high": 100, "sd_reference": 20, "mid": 15}
    for key, factor in (("POMP", 1), ("SMDE", 1 / 20), ("MIDU", 1 / 15)):
        assert effects(ROW | scale, measure=key).yi[0] == pytest.approx(-15 * factor, rel=CLOSED)


def test_an_effect_on_the_analysis_scale_is_rescaled_too() -> None:
    row = {"measure": "MD", "yi": -4.0, "vi": 9.0, "instrument": "VAS"}
    found = effects(row, measure="MIDU", instruments={"VAS": VAS})
    np.testing.assert_allclose((found.yi[0], found.vi[0]), (-4 / 15, 9 / 225), rtol=CLOSED)


def test_a_rescaled_row_can_be_turned() -> None:
    facts = {"VAS": VAS | {"higher_is_better": False}, "NRS": NRS | {"higher_is_better": True}}
    found = effects(ROW, ROW, READY, measure="POMP", instruments=facts)
    assert found.yi[2] == pytest.approx(15, rel=CLOSED)


def test_a_row_of_an_unknown_instrument_stays_with_the_reason() -> None:
    found = effects(ROW, ROW | {"instrument": "ODI"}, READY, measure="MIDU", instruments={"VAS": VAS})
    assert found.estimable.tolist() == [True, False, False]
    assert "mid of the instrument ODI not given" in found.reasons[1]
    assert "instruments={'ODI': {'mid': ...}}" in found.reasons[1]
    assert "NRS" in found.reasons[2]


def test_names_are_compared_without_regard_to_case() -> None:
    assert effects(ROW | {"instrument": " vas "}, measure="POMP", instruments={"VAS": VAS}).k == 1


def test_an_instrument_that_no_row_names_is_told() -> None:
    found = effects(ROW, measure="POMP", instruments={"VAS": VAS, "NRS": NRS})
    assert any("'nrs'" in note for note in found.notes)


def test_a_table_and_an_instrument_may_not_disagree() -> None:
    with pytest.raises(DataError) as caught:
        effects(ROW | {"mid": 20}, measure="MIDU", instruments={"VAS": VAS})
    (problem,) = caught.value.problems
    assert (problem.column, problem.value) == ("mid", "20")
    assert "mid = 15" in problem.rule


@pytest.mark.parametrize(
    ("change", "column"),
    [({"mean_1": 131.0}, "mean_1"), ({"mean_2": -1.0}, "mean_2"), ({"sd_1": 51.0}, "sd_1")],
)
def test_numbers_that_the_instrument_cannot_give_are_problems(change: dict[str, float], column: str) -> None:
    with pytest.raises(DataError) as caught:
        effects(ROW | change, measure="SMD", instruments={"VAS": VAS})
    (problem,) = caught.value.problems
    assert problem.column == column
    assert problem.row == "index 0"
    assert "VAS" in problem.rule


def test_the_greatest_sd_is_that_of_half_the_people_at_each_end() -> None:
    n = 40
    most = np.std([0.0] * (n // 2) + [100.0] * (n // 2), ddof=1)
    assert effects(ROW | {"sd_1": most}, measure="SMD", instruments={"VAS": VAS}).k == 1
    with pytest.raises(DataError):
        effects(ROW | {"sd_1": most * 1.001}, measure="SMD", instruments={"VAS": VAS})


def test_changes_have_a_range_of_their_own() -> None:
    row = ROW | {"mean_1": -30.0, "mean_2": -12.0, "sd_1": 55.0, "score_type": "change"}
    with pytest.raises(DataError):
        effects(row | {"score_type": "final"}, measure="MD", instruments={"VAS": VAS})
    assert effects(row, measure="MD", instruments={"VAS": VAS}).k == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"VAS": {"hihg": 3}}, "did you mean 'high'"),
        ({"VAS": {"low": 10, "high": 0}}, "low of 'VAS' must be below high"),
        ({"VAS": {"sd": 0}}, "sd of 'VAS' must be a number above 0"),
        ({"VAS": {"mid": "two"}}, "mid of 'VAS' must be a number above 0"),
        ({"VAS": {"higher_is_better": "yes"}}, "must be true or false"),
        ({"VAS": 3}, "needs a mapping"),
    ],
)
def test_a_wrong_description_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        read_instruments(given)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(OptionError) as caught:
        effects(ROW, instruments={"VAS": {"low": "a"}, "NRS": {"sd": -1}}, r=2, r_grid="x")
    for part in ("low of 'VAS'", "sd of 'NRS'", "r=2", "r_grid='x'"):
        assert part in str(caught.value)


def test_a_record_is_as_good_as_a_mapping() -> None:
    assert read_instruments({"VAS": Instrument(high=100.0)})["vas"].high == 100
