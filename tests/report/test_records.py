"""Records: every number once, nothing that is not JSON, no formula for a spreadsheet to run."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.postestimation.summary import Analysis, Heterogeneity
from metaback.report.records import (
    POOLED_COLUMNS,
    STUDY_COLUMNS,
    TIDY,
    csv_text,
    defused,
    json_text,
    pooled_csv,
    restored,
    results_record,
    studies_csv,
)

FORMULAS = (
    "=1+1",
    "+x",
    "-x",
    "@x",
    "\tx",
    "\rx",
    "\nx",
    "\uff1dx",
    "\uff0bx",
    "\uff0dx",
    "\uff20x",
    " =1+1",
    "\u00a0=x",
    "-",
)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [n for part in value.values() for n in numbers(part)]
    if isinstance(value, list):
        return [n for part in value for n in numbers(part)]
    return [value] if isinstance(value, float) else []


def test_record_is_json_and_comes_back(analysis: Analysis, ratio: Analysis) -> None:
    record = results_record([analysis, ratio], title="x", provenance={"a": 1})
    text = json_text(record)
    assert json.loads(text) == record
    assert json_text(json.loads(text)) == text
    assert all(math.isfinite(n) for n in numbers(record))
    assert list(record) == ["schema", "schema_version", "title", "provenance", "comparisons"]


def test_nan_and_infinity_become_nothing(make_analysis: Callable[..., Analysis]) -> None:
    gone = Heterogeneity(math.nan, 0, None, math.nan, None, math.inf, None, None, None, None, None)
    mean = Estimate(math.nan, -math.inf, math.inf, math.nan, 0.95)
    (found,) = results_record([make_analysis(mean=mean, heterogeneity=gone)])["comparisons"]
    assert found["overall"]["mean"]["estimate"] is None
    assert found["overall"]["mean"]["ci_high"] is None
    assert found["overall"]["heterogeneity"]["tau2_high"] is None
    json_text(found)


def test_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text({"a": math.nan})


def test_every_row_is_recorded(analysis: Analysis) -> None:
    studies = results_record([analysis])["comparisons"][0]["studies"]
    assert [s["study"] for s in studies] == list(analysis.fitted.effects.labels)
    assert studies[4]["estimable"] is False
    assert studies[4]["yi"] is None
    assert studies[4]["reason"] == "sd_1 not given"
    assert studies[1]["correction"] == "arms swapped"
    assert studies[0]["inputs"]["mean_1"] == 2.5
    assert studies[0]["sei"] == pytest.approx(math.sqrt(0.0575), rel=1e-11)


def test_numbers_have_twelve_digits(
    make_analysis: Callable[..., Analysis], make_effects: Callable[..., EffectSizes]
) -> None:
    nudged = make_effects(yi=make_effects().yi * (1 + 1e-15))
    assert json_text(results_record([make_analysis(nudged)])) == json_text(results_record([make_analysis()]))
    assert studies_csv([make_analysis(nudged)]) == studies_csv([make_analysis()])
    other = make_effects(yi=make_effects().yi * (1 + 1e-10))
    assert json_text(results_record([make_analysis(other)])) != json_text(results_record([make_analysis()]))


def test_pooled_numbers_are_rounded_and_never_nan(make_analysis: Callable[..., Analysis]) -> None:
    def written(point: float, se: float) -> str:
        return pooled_csv([make_analysis(mean=Estimate(point, -1.0, 1.0, se, 0.95))])

    assert written(0.1 * 3, 1.0) == written(0.3, 1.0)
    assert written(0.3, 1.0) != written(0.30000001, 1.0)
    assert "nan" not in written(math.nan, math.nan)


def test_ratios_keep_their_scale(ratio: Analysis) -> None:
    found = results_record([ratio])["comparisons"][0]
    assert found["scale"] == "log"
    assert found["overall"]["mean"]["estimate"] == -1.43
    assert found["overall"]["mean"]["natural"]["estimate"] == pytest.approx(math.exp(-1.43), rel=1e-11)
    assert found["overall"]["mean"]["distribution"] == "normal"
    assert found["overall"]["mean"]["df"] is None
    assert found["subgroups"] is None


def test_pooled_table(analysis: Analysis, ratio: Analysis) -> None:
    rows = table(pooled_csv([analysis, ratio]))
    assert POOLED_COLUMNS[: len(TIDY)] == TIDY
    assert list(rows[0]) == list(POOLED_COLUMNS)
    assert [row["term"] for row in rows] == ["overall", "early", "late", "overall"]
    assert [row["comparison"] for row in rows] == ["1", "1", "1", "2"]
    assert rows[0]["estimate"] == "-0.4135"
    assert rows[0]["n"] == "106"
    assert rows[0]["subgroup"] == ""
    assert rows[1]["subgroup"] == "early"
    assert rows[1]["pi_low"] == rows[1]["n"] == ""
    assert rows[3]["df"] == "Inf"
    assert rows[3]["scale"] == "log"


def test_studies_table(analysis: Analysis, ratio: Analysis) -> None:
    text = studies_csv([analysis, ratio])
    rows = table(text)
    assert list(rows[0])[: len(STUDY_COLUMNS)] == list(STUDY_COLUMNS)
    assert len(rows) == 10
    assert rows[4]["estimable"] == "false"
    assert rows[4]["yi"] == rows[4]["weight"] == ""
    assert rows[0]["events_1"] == ""
    assert rows[5]["events_1"] == "4.0"
    assert "\r" not in text
    assert text.endswith("\n")
    assert "nan" not in text


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_defused_and_come_back(
    text: str, make_effects: Callable[..., EffectSizes], make_analysis: Callable[..., Analysis]
) -> None:
    rows = table(studies_csv([make_analysis(make_effects(labels=(text,) * 5))]))
    assert rows[0]["study"] == f"'{text}"
    assert restored(rows[0]["study"]) == text


@pytest.mark.parametrize("text", ["-5", "+5.5", "-1e-3", "\u22125", "Aasa 2015", "", "'quoted'", "1-2", "a=b"])
def test_numbers_and_plain_texts_stay(text: str) -> None:
    assert defused(text) == text
    assert restored(text) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_text_comes_back(text: str) -> None:
    written = csv_text(("a", "b"), [(text, "x")])
    (_, (cell, _)) = list(csv.reader(io.StringIO(written, newline="")))
    assert restored(cell) == text
    assert not cell.lstrip().startswith(("=", "@", "\uff1d", "\uff20"))


def test_heads_are_defused_too() -> None:
    assert csv_text(("=a",), []) == "'=a\n"


def test_lone_surrogates_can_be_written(
    make_effects: Callable[..., EffectSizes], make_analysis: Callable[..., Analysis]
) -> None:
    odd = make_analysis(make_effects(labels=("a\ud800b",) * 5))
    assert b"a\xef\xbf\xbdb" in studies_csv([odd]).encode("utf-8")
    assert b"a\xef\xbf\xbdb" in json_text(results_record([odd])).encode("utf-8")


def test_notes_of_pool_and_data_are_kept_once(analysis: Analysis) -> None:
    both = replace(analysis, overall=replace(analysis.overall, notes=("a", *analysis.fitted.effects.notes)))
    assert results_record([both])["comparisons"][0]["notes"] == ["a", *analysis.fitted.effects.notes]


def test_nothing_is_changed(analysis: Analysis) -> None:
    before = np.array(analysis.fitted.effects.yi)
    results_record([analysis])
    studies_csv([analysis])
    assert np.array_equal(before, analysis.fitted.effects.yi, equal_nan=True)
