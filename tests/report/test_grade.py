"""The summary of findings: ratings are those of people, numbers are computed, hints never rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from metaback.effects.effect_sizes import Context, EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.plans import Grade, Plan, make_plan
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.summary import Analysis
from metaback.report.bibliography import references
from metaback.report.document import Document, Heading, Listing, Notes, Paragraph, Table
from metaback.report.grade import certainty_blocks, certainty_keys, certainty_words, hints, summary_of_findings
from metaback.report.html import render_html
from metaback.report.words import well_formed

Make = Callable[..., Analysis]
MakeEffects = Callable[..., EffectSizes]
REASONS = {"imprecision": "106 participants", "inconsistency": "opposite results"}


def plan_of(*grades: dict[str, object]) -> Plan:
    """Return a plan with some entries."""
    return make_plan({"grade": list(grades)})


def hinted(analysis: Analysis, grade: Grade | None = None) -> dict[str, str]:
    """Return the hints by domain."""
    return dict(hints(analysis, grade, {}))


@pytest.mark.parametrize(
    ("certainty", "words"),
    [
        ("very low", "very-low-certainty evidence (GRADE, rated by the authors)"),
        ("high", "high-certainty evidence (GRADE, rated by the authors)"),
        (None, "certainty of the evidence not rated"),
    ],
)
def test_words_of_the_answer(certainty: str | None, words: str) -> None:
    """What people rated, or that nobody did."""
    assert certainty_words(Grade.model_validate({"certainty": certainty})) == words
    assert certainty_words(None) == "certainty of the evidence not rated"


def test_a_row_of_findings(analysis: Analysis) -> None:
    """A difference has no relative effect; the rating has circles, word and letters of its reasons."""
    grade = make_plan({"grade": [{"certainty": "low", "reasons": REASONS}]}).grade[0]
    table, reasons = summary_of_findings([analysis, analysis], [grade, None])
    title = "Pain: posterior chain vs general exercise"
    people = "106 (4 effects from 3 studies)"
    effect = "SMD −0.41 [−0.74, −0.09]"
    assert table.rows[0] == (title, people, "–", "–", "–", effect, "⊕⊕◯◯ low a, b")
    assert table.rows[1][-1] == "not rated"
    assert reasons == ("a. Inconsistency: opposite results", "b. Imprecision: 106 participants")


def test_equal_reasons_share_a_letter(analysis: Analysis) -> None:
    """And a new one gets the next."""
    one, other = plan_of(
        {"outcome": "a", "certainty": "low", "reasons": REASONS},
        {"outcome": "b", "certainty": "low", "reasons": {**REASONS, "other": "x"}},
    ).grade
    table, reasons = summary_of_findings([analysis, analysis], [one, other])
    assert [row[-1] for row in table.rows] == ["⊕⊕◯◯ low a, b", "⊕⊕◯◯ low a, b, c"]
    assert len(reasons) == 3


def test_absolute_effects_of_a_ratio(ratio: Analysis) -> None:
    """RR 0.24 [0.19, 0.30] at 150 per 1,000: exp(-1.43) * 150 = 36, exp(-1.66) * 150 = 29, exp(-1.2) * 150 = 45."""
    (grade,) = plan_of({"certainty": "moderate", "baseline_risk": 0.15}).grade
    table, _ = summary_of_findings([ratio], [grade])
    assert table.rows[0][2:6] == (
        "RR 0.24 [0.19, 0.30]",
        "150 per 1,000",
        "36 [29, 45] per 1,000",
        "114 fewer [121 fewer, 105 fewer] per 1,000",
    )
    bare, _ = summary_of_findings([ratio], [None])
    assert bare.rows[0][3:6] == ("–", "–", "–")


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-0.8, -0.6, "excludes no effect (0) and holds only effects that matter: at or below −0.5"),
        (-0.8, -0.1, "excludes no effect (0) and also holds effects that matter: at or below −0.5"),
        (-0.4, -0.1, "excludes no effect (0) and holds no effect that matters (beyond −0.5 or 0.5)"),
        (-0.4, 0.4, "includes no effect (0) and holds no effect that matters (beyond −0.5 or 0.5)"),
        (-0.5, 0.7, "includes no effect (0) and also holds effects that matter: at or below −0.5 and at or above 0.5"),
    ],
)
def test_intervals_beside_the_mid(low: float, high: float, text: str, make_analysis: Make) -> None:
    """The confidence interval in imprecision, the prediction interval in inconsistency."""
    estimate = Estimate((low + high) / 2, low, high, 0.1, 0.95)
    found = hinted(make_analysis(mean=estimate, prediction=estimate), Grade(mid=0.5))
    assert f"The confidence interval {text}." in found["Imprecision"]
    assert found["Inconsistency"] == f"The prediction interval {text}."


def test_thresholds_of_a_ratio_are_inverses(ratio: Analysis) -> None:
    """0.75 and 1.33; the prediction interval of the ratio reaches 1.02."""
    found = hinted(ratio, Grade(mid=0.75))
    assert found["Inconsistency"] == (
        "The prediction interval includes no effect (1) and also holds effects that matter: at or below 0.75."
    )


def test_information_size_beside_participants(analysis: Analysis, ratio: Analysis, make_analysis: Make) -> None:
    """2 (1.96 + 0.84)^2 / 0.25 = 62.8 per group, so 126; the risk of arm 2 is its median where none is stated."""
    assert (
        "The 106 participants are fewer than the optimal information size of 126 participants"
        in hinted(analysis, Grade(mid=0.5))["Imprecision"]
    )
    assert "reach the optimal information size of 32 participants" in hinted(analysis, Grade(mid=1))["Imprecision"]
    assert "not stated throughout" in hinted(make_analysis(n=None), Grade(mid=0.5))["Imprecision"]
    assert "is not known (no smallest difference that matters" in hinted(analysis)["Imprecision"]
    # arm 2 of the pooled rows: 11/139, 29/303, 11/220, 9/98; the median is between 11/139 and 9/98: 85.5 per 1,000
    lower = "per 1,000 and one that is lower by a quarter"
    assert f"a risk of 85.5 {lower}; the first is the median of arm 2)" in hinted(ratio)["Imprecision"]
    assert f"a risk of 200 {lower})" in hinted(ratio, Grade(baseline_risk=0.2))["Imprecision"]


def test_few_studies_are_told(make_analysis: Make) -> None:
    """Nine are too few for asymmetry, ten are not."""
    assert "9 studies: fewer than 10" in hinted(make_analysis(studies=9))["Publication bias"]
    assert "10 studies: enough" in hinted(make_analysis(studies=10))["Publication bias"]


def test_one_effect(make_effects: MakeEffects) -> None:
    """No prediction interval, and everything else is said."""
    one = make_effects(by=None, by_name=None, estimable=np.array([True, *[False] * 4]))
    found = hinted(analyse(one, resolve_spec()), Grade(mid=0.5))
    assert found["Inconsistency"] == "There is no prediction interval (one effect)."
    assert "1 study" in found["Publication bias"]


def test_the_whole_part(analysis: Analysis, ratio: Analysis) -> None:
    """Heading, who rated, findings, reasons, hints, and entries that fit nothing."""
    plan = plan_of(
        {"outcome": "pain", "certainty": "low", "reasons": REASONS}, {"outcome": "payn", "certainty": "high"}
    )
    blocks = certainty_blocks(plan, [analysis, ratio])
    assert [type(block) for block in blocks] == [Heading, Paragraph, Table, Listing, Table, Notes]
    assert isinstance(blocks[1], Paragraph)
    assert blocks[1].text.endswith("1 comparison is not rated yet.")
    assert isinstance(blocks[-1], Notes)
    assert blocks[-1].points == (
        "[[grade]] of payn is used for none of: Pain: posterior chain vs general exercise; Pooled effect.",
    )
    assert set(certainty_keys(plan)) <= set(references())


def test_nothing_is_rated_without_people(analysis: Analysis) -> None:
    """No plan, no entries, or an entry with numbers only: no word of certainty appears."""
    assert certainty_blocks(None, [analysis]) == ()
    assert certainty_blocks(make_plan({}), [analysis]) == ()
    assert certainty_keys(None) == ()
    blocks = certainty_blocks(plan_of({"mid": 0.5}), [analysis])
    page = render_html(Document("t", blocks))
    assert "⊕" not in page
    assert "not rated" in page


def test_hostile_reasons_stay_text(analysis: Analysis, hostile: str) -> None:
    """Reasons are words of people."""
    text = well_formed(hostile)  # a plan refuses what is no text
    plan = plan_of({"outcome": "pain", "certainty": "low", "reasons": {"other": text}}, {"outcome": text})
    page = render_html(Document("t", certainty_blocks(plan, [analysis])))
    assert "<script>alert" not in page
    assert "<img src=" not in page
    assert analysis.fitted.effects.context == Context("pain", "posterior_chain", "general_exercise", False)
