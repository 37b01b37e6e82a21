"""What the table of heterogeneity says, number by number and in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from metaback.models.specs import resolve_spec
from metaback.postestimation.beyond import BeyondThreshold
from metaback.postestimation.number_styles import NUMBER_STYLES
from metaback.postestimation.summary import Analysis, Heterogeneity
from metaback.report.document import Table
from metaback.report.heterogeneity import heterogeneity_table

Make = Callable[..., Analysis]


def _rows(table: Table | None) -> dict[str, tuple[str, str]]:
    assert table is not None
    return {name: (value, says) for name, value, says in table.rows}


def test_every_statistic_has_its_value_and_its_meaning(make_analysis: Make) -> None:
    found = Heterogeneity(16.14, 8, 0.0404, 0.101, 0.0, 0.471, 50.4, 50.0, 0.0, 82.3, 2.0, 1.0, 5.66, 0.318, 0.0, 0.686)
    beyond = BeyondThreshold(-0.2, "below", 0.75, 0.39, 0.998, 0.95, ())
    rows = _rows(heterogeneity_table(make_analysis(heterogeneity=found), (beyond,)))
    assert rows["Cochran's Q"] == (
        "16.14 on 8 df, P = 0.04",
        "The effects scatter more than sampling error alone leads to expect (Q > df).",
    )
    assert rows["τ²"] == ("0.101 [0, 0.471]", "Variance of the true effects. Its interval includes 0.")
    assert rows["τ"][0] == "0.318 [0, 0.686]"
    assert "about two thirds lie within 0.318 of the mean SMD" in rows["τ"][1]
    assert rows["I² from τ²"][0] == "50% [0%, 82%]"
    assert rows["I² from Q"] == (
        "50%",
        "Share of the variance of observed effects that true differences account for: (Q − df) / Q, not below 0.",
    )
    assert rows["H²"][0] == "2.00 [1.00, 5.66]"
    value, says = rows["95% prediction interval"]
    assert value == "−1.21 to 0.39"
    assert "includes no effect (0); settings on either side of it are to be expected" in says
    assert rows["Settings below −0.2"] == (
        "75% [39%, >99.5%]",
        "Estimated share of settings whose true effect lies there, in favour of posterior chain.",
    )


def test_few_studies_and_a_large_p_value_are_not_read_as_equality(make_analysis: Make) -> None:
    found = Heterogeneity(2.0, 3, 0.57, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 60.0, 1.0, 1.0, 2.5, 0.0, 0.0, 0.55)
    rows = _rows(heterogeneity_table(make_analysis(heterogeneity=found)))
    assert "no more than sampling error" in rows["Cochran's Q"][1]
    assert rows["Cochran's Q"][1].endswith(
        "A large P value does not show that they are equal, and with so few studies the test has little power."
    )
    assert rows["τ²"][1] == "Variance of the true effects. Estimated as 0; its interval leaves room for more."
    assert "τ" not in rows


def test_a_ratio_is_told_as_a_factor(ratio: Analysis) -> None:
    found = replace(ratio.overall.heterogeneity, tau2=0.25, tau=0.5, tau2_low=0.01, tau2_high=1.0)
    says = _rows(heterogeneity_table(replace(ratio, overall=replace(ratio.overall, heterogeneity=found))))
    assert "within a factor of 1.65 of the mean RR" in says["τ"][1]
    assert says["τ²"][1] == "Variance of the true effects, on the log scale. Its interval excludes 0."


@pytest.mark.parametrize(("pi", "why"), [("none", "not asked for"), ("t(k-1)", "not estimable from 4 effects")])
def test_a_missing_prediction_interval_says_why(make_analysis: Make, pi: str, why: str) -> None:
    rows = _rows(heterogeneity_table(make_analysis(prediction=None, spec=resolve_spec(pi=pi))))
    assert rows["Prediction interval"] == ("–", f"None: {why}.")


def test_equal_effects_have_q_and_i2_only(make_analysis: Make) -> None:
    found = Heterogeneity(16.14, 3, 0.001, None, None, None, 81.4, None, None, None, None)
    equal = make_analysis(spec=resolve_spec(model="equal"), prediction=None, heterogeneity=found)
    assert list(_rows(heterogeneity_table(equal))) == ["Cochran's Q", "I² from Q"]


def test_one_effect_has_no_table(make_analysis: Make) -> None:
    none = Heterogeneity(0.0, 0, None, None, None, None, None, None, None, None, None)
    assert heterogeneity_table(make_analysis(heterogeneity=none, prediction=None, k=1, studies=1)) is None


def test_numbers_follow_the_journal(analysis: Analysis) -> None:
    rows = _rows(heterogeneity_table(analysis, style=NUMBER_STYLES["lancet"]))
    assert "p=0·04" in rows["Cochran's Q"][0]
    assert rows["τ²"][0] == "0·101 (0 to 0·471)"
