"""The part of a report on sensitivity: planned and standard analyses, and leave-one-out, in blocks and as a record."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.models.plans import make_plan
from metaback.postestimation.number_styles import NUMBER_STYLES
from metaback.report.document import Heading, Paragraph, Table
from metaback.report.robustness import (
    left_out_text,
    robustness,
    robustness_blocks,
    sensitivity_record,
    standard_record,
)

PLAN = {"sensitivity": [{"name": "PM", "tau2": "PM"}, {"name": "late", "tau2": "DL", "prespecified": False}]}


def _result(k: int = 6, effect: float = 0.3, measure: str | None = None) -> mb.Result:
    rng = np.random.default_rng(3)
    yi = np.append(rng.normal(effect, 0.05, k - 1), effect + 1.5)
    frame = pd.DataFrame({"study": [f"S{i}" for i in range(k)], "yi": yi, "vi": 0.02})
    return mb.pool(frame, measure=measure)


def test_without_a_plan_the_standard_analyses_stand_alone() -> None:
    analysis = _result().analysis
    heading, table, text, left_out = robustness_blocks(analysis, robustness(analysis, None), anchor="a")
    assert isinstance(heading, Heading)
    assert heading.anchor == "a-sensitivity"
    assert isinstance(table, Table)
    assert "not chosen by the plan" in table.caption
    assert table.head[:3] == ("Estimator of τ²", "τ²", "I²")
    assert [row[0] for row in table.rows][-1] == "none: equal effects"
    assert table.strong == (0,)
    assert isinstance(text, Paragraph)
    assert text.text.startswith("Over these 19 analyses the pooled ")
    assert "RevMan 5" in text.text
    assert isinstance(left_out, Paragraph)
    assert left_out.text.startswith("Leaving out one row at a time (6 pools), ")
    assert "without S5" in left_out.text


def test_planned_analyses_come_first_and_are_told_from_the_standard_ones() -> None:
    analysis = _result().analysis
    found = robustness(analysis, make_plan(PLAN))
    tables = [part for part in robustness_blocks(analysis, found, anchor="a") if isinstance(part, Table)]
    assert tables[0].caption.startswith("Sensitivity analyses of the plan")
    assert [row[2] for row in tables[0].rows] == ["beforehand", "beforehand", "post hoc"]
    record = sensitivity_record(analysis, found.planned)
    assert [part["name"] for part in record["analyses"]] == ["PM", "late"]


def test_cells_that_turn_the_conclusion_are_marked_and_counted() -> None:
    analysis = _result().analysis
    found = robustness(analysis, None)
    turning = [part for part in found.standard if part.turns]
    assert turning
    blocks = robustness_blocks(analysis, found, anchor="a")
    (table,) = (part for part in blocks if isinstance(part, Table))
    assert len(table.marked) == len(turning)
    text = " ".join(part.text for part in blocks if isinstance(part, Paragraph))
    assert f"turns in {len(turning)} of them" in text


def test_measures_without_a_value_of_no_effect_say_nothing_about_it() -> None:
    frame = pd.DataFrame({"study": list("abcd"), "events": [3, 10, 20, 5], "n": [30, 40, 50, 60]})
    analysis = mb.pool(frame, measure="PLO").analysis
    blocks = robustness_blocks(analysis, robustness(analysis, None), anchor="a")
    said = " ".join(part.text for part in blocks if isinstance(part, Paragraph))
    assert "no effect" not in said
    assert "lies between" in said


@pytest.mark.parametrize(("k", "made"), [(2, False), (3, True)])
def test_two_effects_have_no_leave_one_out(k: int, made: bool) -> None:
    analysis = _result(k).analysis
    found = robustness(analysis, None)
    assert (found.left_out is not None) is made
    blocks = robustness_blocks(analysis, found, anchor="a")
    assert ("Leave-one-out was not run" in str(blocks)) is not made


def test_the_record_is_plain_and_holds_the_numbers() -> None:
    result = _result()
    record = standard_record(result.analysis, robustness(result.analysis, None))
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert len(record["analyses"]) == 19
    (main,) = (part for part in record["analyses"] if part["main"])
    assert main["estimate"] == pytest.approx(result.estimate.point, rel=1e-11)
    rows = result.leave_one_out().to_frame()
    assert [part["estimate"] for part in record["leave_one_out"]] == pytest.approx(rows["estimate"].tolist(), rel=1e-11)


def test_numbers_follow_the_journal() -> None:
    analysis = _result().analysis
    blocks = robustness_blocks(analysis, robustness(analysis, make_plan(PLAN)), anchor="a", style=NUMBER_STYLES["jama"])
    tables = [part for part in blocks if isinstance(part, Table)]
    assert tables[0].rows[0][5].startswith((".", "<."))
    assert all("[" not in cell for table in tables for row in table.rows for cell in row)


def test_equal_answers_are_told_in_one_number_and_sentences_follow_the_journal() -> None:
    frame = pd.DataFrame({"study": list("abcd"), "yi": [0.3, 0.31, 0.29, 0.3], "vi": 0.02})
    analysis = mb.pool(frame).analysis
    blocks = robustness_blocks(analysis, robustness(analysis, None), anchor="a", style=NUMBER_STYLES["lancet"])
    said = [part.text for part in blocks if isinstance(part, Paragraph)]
    assert "is 0·30 throughout" in said[0]
    assert "lies between 0·30 (0·" in said[1]


def dependent(point: float, spread: float = 0.0) -> mb.Result:
    """Pool six studies with three outcomes each of the same people."""
    y = point + spread * np.repeat([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0], 3)
    frame = {"study": np.repeat(list("abcdef"), 3), "instrument": ["x", "y", "z"] * 6, "yi": y, "vi": 0.04}
    return mb.pool(pd.DataFrame(frame))


def test_dependent_rows_are_told() -> None:
    """Where the answer is that of a working model, the standard analyses are of models of dependence, it among them."""
    analysis = dependent(0.3).analysis
    found = robustness(analysis, None)
    blocks = robustness_blocks(analysis, found, anchor="a")
    texts = [part.text for part in blocks if isinstance(part, Paragraph)]
    assert texts[0].startswith("The answer comes from a working model of rows that depend on each other.")
    (table,) = (part for part in blocks if isinstance(part, Table))
    assert "models of dependent rows" in table.caption
    assert table.strong == (0,)
    assert [part.mean for part in found.standard if part.main] == [analysis.overall.mean]
    assert table.rows[-1][0] == "rows as independent"


def test_standard_analyses_of_dependent_rows_are_held_against_the_answer() -> None:
    """Those of independent rows exclude no effect, the answer includes it: that is told."""
    result = dependent(0.12, 0.13)
    assert result.ci[0] < 0 < result.update(independent=True).ci[0]
    found = robustness(result.analysis, None)
    turning = {(part.tau2_rule, part.ci) for part in found.standard if part.turns}
    assert ("rows as independent", "HKSJ-wider") in turning
    assert ("three levels, ML", "CR2") not in turning
    (said,) = (text for text in _texts(result) if text.startswith("Over these"))
    assert "rows as independent, HKSJ or wider" in said
    assert "the pooled effect" in said


@pytest.mark.parametrize(("n", "rest"), [(6, ""), (7, "does one more."), (8, "do 2 more.")])
def test_studies_that_are_not_named_are_counted(monkeypatch: pytest.MonkeyPatch, n: int, rest: str) -> None:
    """Of the studies that turn the conclusion, six are told one by one."""
    result = dependent(0.3)
    left = robustness(result.analysis, None).left_out
    assert left is not None
    monkeypatch.setattr(type(left), "sentences", property(lambda _: ("Without it.",) * n))
    assert left_out_text(result.analysis, left).partition(" So ")[2] == rest


def _texts(result: mb.Result) -> list[str]:
    blocks = robustness_blocks(result.analysis, robustness(result.analysis, None), anchor="a")
    return [part.text for part in blocks if isinstance(part, Paragraph)]
