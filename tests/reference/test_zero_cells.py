"""Any amount added to zero counts, to whom, and who is dropped, against metafor's `escalc` and in words.

zero_cells.json is made by generate_zero_cells.R. What metafor calls to="only0", "all", "if0all" and "none" are the
words of `zeros`; drop00=TRUE is their ending "-drop00". A variance of 0 is a row without an effect here, and 0 there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.errors import OptionError
from metaback.stats.measures import MEASURES, choices_of
from metaback.stats.measures.family import correction_of, option_names

CLOSED = 1e-10  # closed forms, against metafor; an effect near 0 is measured against its standard error
SAME = 1e-13  # one computation under two names
PINNED: dict[str, Any] = json.loads((Path(__file__).parent / "zero_cells.json").read_text(encoding="utf-8"))
PLAIN = {"AS", "PHI", "IRSD"}  # metafor adds nothing by default: there "drop00" drops and adds nothing
TABLES = {
    name: {column: np.array(values, dtype=float) for column, values in table.items()}
    for name, table in PINNED["tables"].items()
}


def columns(data: str) -> list[np.ndarray]:
    table = TABLES[data]
    if data == "arms":
        return [table["ai"], table["ai"] + table["bi"], table["ci"], table["ci"] + table["di"]]
    if data == "rates":
        return [table["x1i"], table["t1i"], table["x2i"], table["t2i"]]
    return [table["xi"], table["xi"] + table["mi"]] if data == "one" else [table["xi"], table["ti"]]


def policy(case: dict[str, Any]) -> str:
    if not case["drop00"]:
        return str(case["to"])
    if case["to"] == "none":
        return "drop00" if case["measure"] in PLAIN else "none"  # a ratio without events has no effect anyway
    return f"{case['to']}-drop00"


@pytest.mark.parametrize(
    "case", PINNED["cases"], ids=lambda c: f"{c['measure']}-{c['to']}-{c['add']}{'-drop00' if c['drop00'] else ''}"
)
def test_metafor_agrees(case: dict[str, Any]) -> None:
    done = MEASURES[case["measure"]].function(*columns(case["data"]), zeros=policy(case), add=case["add"])
    for i, (yi, vi) in enumerate(zip(case["yi"], case["vi"], strict=True)):
        if yi is None or vi is None or abs(vi) < 1e-15:  # phi of 1: metafor leaves 1e-17 of its variance
            assert not done.defined[i]
            continue
        assert done.defined[i]
        assert abs(done.yi[i] - yi) <= CLOSED * max(abs(yi), vi**0.5)
        assert abs(done.vi[i] / vi - 1) <= CLOSED
    if case["add"] == "0":
        assert not done.corrected.any()


def test_the_grid_cannot_shrink() -> None:
    assert PINNED["meta"]["metafor"] == "3.8-1"
    assert len(PINNED["cases"]) >= 528
    assert {case["add"] for case in PINNED["cases"]} == {"0", "0.01", "0.25", "1"}
    assert sum(v is not None for case in PINNED["cases"] for v in case["vi"]) >= 3000


WITH_ADD = [key for key in MEASURES if "add" in option_names(key)]


def test_every_measure_that_has_a_policy_for_zeros_has_an_amount() -> None:
    assert [key for key in MEASURES if "zeros" in option_names(key)] == WITH_ADD
    assert len(WITH_ADD) >= 29


@pytest.mark.parametrize("bad", ["-1", "nan", "inf", "half", "", "0,5", "1e400"])
def test_an_amount_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(OptionError, match="is not a number of at least 0; write for instance add="):
        MEASURES["OR"].function(*columns("arms"), add=bad)
    with pytest.raises(OptionError, match="add="):
        MEASURES["IR"].function(*columns("time"), add=bad)


@pytest.mark.parametrize("key", ["RR", "OR", "RD"])
def test_the_treatment_arm_correction_scales_with_the_amount(key: str) -> None:
    given = columns("arms")
    done = MEASURES[key].function(*given, zeros="treatment-arm", add="0.25")
    a, n_1, c, n_2 = given
    rows = (a == 0) | (a == n_1) | (c == 0) | (c == n_2)
    one, two = (np.where(rows, n / (n_1 + n_2) / 2, 0.0) for n in (n_1, n_2))
    same = MEASURES[key].function(a + one, n_1 + 2 * one, c + two, n_2 + 2 * two, zeros="none")
    np.testing.assert_allclose(done.yi, same.yi, rtol=SAME, atol=SAME)
    np.testing.assert_allclose(done.vi, same.vi, rtol=1e-11)
    np.testing.assert_array_equal(done.corrected, rows & done.defined)


def test_the_words_say_what_was_added() -> None:
    options = {"zeros": "metafor", "add": "0.25", "vtype": "LS"}
    sentence = " ".join(choice.sentence for choice in choices_of("OR", options))
    assert "0.25 was added to all four cells of that study" in sentence
    assert "0.5" not in sentence
    assert correction_of("OR", options) == "0.25 added to all four cells"
    assert correction_of("OR", options | {"add": "0.50"}) == "0.5 added to all four cells"
    assert correction_of("OR", {"zeros": "treatment-arm", "add": "0.5"}) == "treatment-arm continuity correction"
    assert correction_of("OR", {"zeros": "treatment-arm", "add": "1"}).endswith("scaled to a sum of twice 1")
    table = pd.DataFrame([{"study": "A", "events_1": 0, "n_1": 10, "events_2": 3, "n_2": 11}])
    es = effect_sizes(read_trials(table), measure="OR", options={"add": "0.25"})
    assert es.corrections == ("0.25 added to all four cells",)
    assert es.options["add"] == "0.25"


def test_if0all_does_not_count_a_study_that_is_dropped() -> None:
    given = [np.array(x, dtype=float) for x in ([0, 4], [10, 20], [0, 5], [12, 21])]
    done = MEASURES["OR"].function(*given, zeros="if0all-drop00")
    assert done.defined.tolist() == [False, True]
    assert done.corrected.tolist() == [False, False]
    assert MEASURES["OR"].function(*given, zeros="if0all").corrected.tolist() == [True, True]
