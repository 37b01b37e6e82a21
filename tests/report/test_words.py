"""The words that pages share with figures: one spelling of everything."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from metaback.effects.effect_sizes import Context, EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.specs import PoolSpec, resolve_spec
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import (
    Comparison,
    asks_prediction,
    comparison,
    counts,
    effect_digits,
    estimate_cell,
    i2_shown,
    i2_source,
    limits_cell,
    mean_test,
    measure_name,
    natural,
    null_value,
    percent,
    plural,
    point_text,
    sentence_case,
    study_estimates,
)
from metaback.report.frames import listed_record
from metaback.report.listing import listing_blocks
from metaback.report.records import json_text, results_record
from metaback.report.text import summary_text

MakeEffects = Callable[..., EffectSizes]


@pytest.mark.parametrize(
    ("names", "known", "arms"),
    [
        (Comparison("pain", "a", "b"), "Pain: a vs b", ("A", "B")),
        (Comparison(None, "a", "b"), "a vs b", ("A", "B")),
        (Comparison("mHealth use", "a", None), "mHealth use", ("A", "Arm 2")),
        (Comparison(None, None, None), "", ("Arm 1", "Arm 2")),
    ],
)
def test_a_comparison_is_named_by_what_is_known(names: Comparison, known: str, arms: tuple[str, str]) -> None:
    assert names.known == known
    assert names.title == (known or "Pooled effect")
    assert names.arms == arms


def test_an_analysis_and_its_effects_have_one_name(analysis: Analysis) -> None:
    assert comparison(analysis) == comparison(analysis.fitted.effects)
    assert comparison(analysis).title == "Pain: posterior chain vs general exercise"


@pytest.mark.parametrize(("higher", "sides"), [(True, ("b", "a")), (False, ("a", "b")), (None, None)])
def test_sides_follow_the_direction(higher: bool | None, sides: tuple[str, str] | None) -> None:
    assert Comparison("x", "a", "b", higher).sides == sides
    assert Comparison("x", None, "b", higher).sides is None


@pytest.mark.parametrize(
    ("text", "cased"),
    [("pain", "Pain"), ("6-8 weeks", "6-8 weeks"), ("iCBT online", "iCBT online"), ("", ""), ("SMD", "SMD")],
)
def test_a_word_with_capitals_of_its_own_is_left_alone(text: str, cased: str) -> None:
    assert sentence_case(text) == cased


def test_names_of_measures() -> None:
    assert [measure_name(key) for key in ("SMD", "RR", "GEN")] == [
        "standardised mean difference", "risk ratio", "effect",
    ]  # fmt: skip


@pytest.mark.parametrize(("level", "text"), [(0.95, "95%"), (0.975, "97.5%"), (0.9999, "99.99%"), (0.9, "90%")])
def test_levels_are_written_as_they_are(level: float, text: str) -> None:
    assert percent(level) == text


def test_counts(analysis: Analysis) -> None:
    pool = analysis.overall
    assert counts(pool) == "4 effects from 3 studies"
    assert counts(pool, ", ") == "4 effects, 3 studies"
    assert counts(replace(pool, k=1204, studies=1204)) == "1,204 studies"
    assert counts(replace(pool, k=1, studies=1)) == "1 study"
    assert plural(2, "row is", "rows are") == "2 rows are"


def test_estimates_on_the_natural_scale() -> None:
    log = Estimate(math.log(0.5), math.log(0.25), math.log(1), 0.35, 0.95, "log")
    assert estimate_cell(log, 2) == "0.50 [0.25, 1.00]"
    assert limits_cell(log, 2) == "0.25 to 1.00"
    assert point_text(log, 1) == "0.5"
    assert estimate_cell(None, 2) == limits_cell(None, 2) == "\u2013"
    assert (null_value("log"), null_value("linear")) == (1.0, 0.0)
    assert (natural(710.0, "log"), natural(710.0, "linear")) == (math.inf, 710.0)


@pytest.mark.parametrize(("width", "digits"), [(3.0, 2), (0.3, 2), (0.03, 3), (0.002, 4), (1e-9, 10), (math.nan, 2)])
def test_narrow_intervals_get_more_decimals(width: float, digits: int) -> None:
    assert effect_digits(Estimate(1.0, 1.0 - width / 2, 1.0 + width / 2, 0.1, 0.95)) == digits


def test_limits_beyond_numbers_are_infinite_on_pages_and_none_in_records(ratio: Analysis) -> None:
    mean = replace(ratio.overall.mean, upper=1e4)
    huge = replace(ratio, overall=replace(ratio.overall, mean=mean))
    assert "95% CI 0.19 to \u221e" in summary_text(huge)
    record = json.loads(json_text(results_record([huge])))
    assert record["comparisons"][0]["overall"]["mean"]["natural"]["ci_high"] is None


def test_each_row_has_its_normal_interval_or_none(analysis: Analysis) -> None:
    studies = study_estimates(analysis)
    assert studies[-1] is None
    first = studies[0]
    assert first is not None
    assert (first.point, first.se) == (-0.13, math.sqrt(0.0575))
    assert first.upper - first.point == pytest.approx(1.959963985 * first.se, rel=1e-9)


@pytest.mark.parametrize(
    ("spec", "source"),
    [(resolve_spec(), "τ²"), (resolve_spec("revman5"), "Q"), (resolve_spec(model="equal"), "Q")],
)
def test_i2_follows_the_definition(spec: PoolSpec, source: str, analysis: Analysis) -> None:
    found = replace(analysis.overall.heterogeneity, i2_q=20.0, i2_tau2=30.0)
    assert i2_source(spec) == source
    assert i2_shown(found, spec) == {"Q": 20.0, "τ²": 30.0}[source]


def test_prediction_is_asked_for_by_random_effects_only() -> None:
    assert asks_prediction(resolve_spec())
    assert not asks_prediction(resolve_spec("revman5"))
    assert not asks_prediction(resolve_spec(model="equal"))


def test_the_test_of_the_mean() -> None:
    student = Estimate(-0.4, -0.7, -0.1, 0.1, 0.95, "linear", -2.9107, 3.0, 0.0196)
    assert mean_test(student) == "t = −2.91, df = 3, P = 0.02"
    assert mean_test(student, brief=True) == "t(3) = −2.91, P = 0.02"
    normal = replace(student, df=math.inf)
    assert mean_test(normal) == mean_test(normal, brief=True) == "z = −2.91, P = 0.02"
    assert mean_test(replace(student, statistic=math.nan)) == ""


def test_the_list_of_the_page_and_of_the_record_agree(analysis: Analysis, make_effects: MakeEffects) -> None:
    nothing = make_effects(context=Context(), reasons=("no SD",) * 5)
    table = listing_blocks([analysis], [nothing])[-1]
    record = listed_record([analysis], [nothing])
    shown = [(row[0], row[1], row[2], row[5]) for row in table.rows]  # type: ignore[union-attr]
    assert shown == [(row["comparison"], row["study"], row["row"], row["reason"]) for row in record]
    assert shown[0] == ("Pain: posterior chain vs general exercise", "Aasa 2015", "row 2", "one study")
    assert shown[-1] == ("Effect", "Nil 2012", "row 6", "no SD")
