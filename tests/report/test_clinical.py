"""The clinical reading as rows of a table, and how a number needed to treat is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from metaback.effects.effect_sizes import Context, EffectSizes
from metaback.effects.instruments import Instrument
from metaback.models.plans import Grade, make_plan
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.clinical import AbsoluteEffect, Limits
from metaback.postestimation.summary import Analysis
from metaback.report.bibliography import references
from metaback.report.clinical import clinical_blocks, clinical_keys, grade_of, needed_text, per_thousand
from metaback.report.document import Document, Heading, Paragraph, Table
from metaback.report.html import render_html
from metaback.report.words import well_formed
from metaback.stats.absolute import number_needed

MakeEffects = Callable[..., EffectSizes]


def absolute(point: float, low: float, high: float, baseline: float = 0.5) -> AbsoluteEffect:
    """Return an absolute effect from differences of risks."""
    numbers = number_needed(np.array([point, low, high])).tolist()
    risk = Limits(baseline + point, baseline + low, baseline + high)
    return AbsoluteEffect(baseline, risk, Limits(point, low, high), Limits(*numbers), low <= 0 <= high, cut=False)


@pytest.mark.parametrize(
    ("differences", "better", "text"),
    [
        ((-0.10, -0.25, 0.05), False, "NNTB 10 [NNTB 4 to ∞ to NNTH 20]"),  # Altman 1998
        ((0.10, -0.05, 0.25), True, "NNTB 10 [NNTB 4 to ∞ to NNTH 20]"),  # the same, where events are wanted
        ((-0.013, -0.020, -0.006), False, "NNTB 77 [50 to 167]"),  # Guyatt et al. 2011
        ((0.10, 0.05, 0.25), False, "NNTH 10 [4 to 20]"),
        ((0.10, -0.05, 0.25), False, "NNTH 10 [NNTH 4 to ∞ to NNTB 20]"),
        ((0.10, -0.05, 0.25), None, "10 (more) [4 (more) to ∞ to 20 (fewer)]"),
        ((-0.1, -0.2, 0.0), False, "NNTB 10 [NNTB 5 to ∞]"),
        ((0.0, -0.2, 0.2), False, "∞ [NNTB 5 to ∞ to NNTH 5]"),
        ((0.0, 0.0, 0.0), False, "∞"),
        ((-0.0001, -0.0002, -0.00005), False, "NNTB 10,000 [5,000 to 20,000]"),
        ((-0.1, math.nan, math.nan), False, "NNTB 10"),
    ],
)
def test_the_convention_of_altman(differences: tuple[float, float, float], better: bool | None, text: str) -> None:
    """An interval that holds no difference runs through infinity, from the side of the estimate."""
    assert needed_text(absolute(*differences), better) == text


def test_events_per_thousand() -> None:
    """Whole people, decimals where the difference is smaller than one, words for the direction."""
    assert per_thousand(absolute(-0.062, -0.095, 0.023, 0.3)) == (
        "300",
        "238 [205, 323]",
        "62 fewer [95 fewer, 23 more]",
    )
    assert per_thousand(absolute(-0.0004, -0.0005, -0.0002, 0.001))[0] == "1.0"
    assert per_thousand(absolute(0, 0, 0, 0.2)) == ("200", "200 [200, 200]", "0 [0, 0]")


@pytest.fixture
def smd(make_effects: MakeEffects) -> Analysis:
    """Pool the five rows, of which four have an effect, on one instrument."""
    names = np.array(["VAS"] * 5, dtype=object)
    return analyse(make_effects(by=None, by_name=None, moderators={"instrument": names}), resolve_spec())


def rows_of(blocks: tuple[object, ...]) -> dict[str, tuple[str, ...]]:
    """Return the rows of the table by their heads."""
    (table,) = (block for block in blocks if isinstance(block, Table))
    return {row[0]: row[1:] for row in table.rows}


def test_a_standardised_difference(smd: Analysis) -> None:
    """Shares of settings, units, MIDs and people; each row says what it rests on."""
    blocks = clinical_blocks(smd, grade=Grade(mid=0.5), instruments={"VAS": Instrument(sd=20)}, anchor="a")
    assert blocks[0] == Heading(3, "Clinical reading", "a-clinical")
    rows = rows_of(blocks)
    d = smd.overall.mean.point
    assert rows["In units of VAS"][0].startswith(f"−{abs(20 * d):.0f} [")
    assert rows["In units of VAS"][1] == "SMD × 20, the SD that the plan or call states for it"
    assert rows["In smallest differences that matter"][0].startswith(f"−{abs(d / 0.5):.1f}")
    people = rows["People with general exercise whom the average person with posterior chain surpasses"]
    assert people[0].startswith(f"{50 * (1 + math.erf(-d / math.sqrt(2))):.0f}% [")
    assert any("scores lower, which is better" in name for name in rows)
    assert sum(name.startswith("Settings whose true effect") for name in rows) == 3


def test_a_mid_of_the_instrument_is_carried_to_standard_deviations(smd: Analysis) -> None:
    """15 points over an SD of 20 are 0.75 SD; that of the plan goes first."""
    facts = {"VAS": Instrument(sd=20, mid=15)}
    assert any(
        "(below −0.75, in favour of posterior chain)" in name
        for name in rows_of(clinical_blocks(smd, instruments=facts))
    )
    assert any(
        "(below −0.4, in favour of posterior chain)" in name
        for name in rows_of(clinical_blocks(smd, instruments=facts, grade=Grade(mid=0.4)))
    )


def test_what_is_not_stated_is_told(smd: Analysis) -> None:
    """MID, reference SD, baseline risk."""
    bare = replace(smd, fitted=replace(smd.fitted, effects=replace(smd.fitted.effects, moderators={})))
    *_, last = clinical_blocks(bare)
    assert isinstance(last, Paragraph)
    assert "the smallest difference that matters" in last.text
    assert "a reference SD" in last.text
    assert "baseline_risk" not in last.text


def test_a_ratio_with_a_baseline_risk(make_effects: MakeEffects) -> None:
    """Events in both arms, the difference and the number needed, with the source of the baseline; one effect."""
    one = make_effects(measure="RR", by=None, by_name=None, estimable=np.array([True, *[False] * 4]))
    analysis = analyse(one, resolve_spec())
    rows = rows_of(clinical_blocks(analysis, grade=Grade(baseline_risk=0.2, baseline_source="registry of 2020")))
    assert list(rows)[:3] == ["Events with general exercise", "Events with posterior chain", "Difference"]
    assert rows["Events with general exercise"] == ("200 per 1,000", "registry of 2020")
    assert not any(name.startswith("Settings") for name in rows)
    assert clinical_blocks(analysis) == ()
    sure = rows_of(clinical_blocks(analysis, grade=Grade(baseline_risk=0.99)))
    assert "cut off" in sure["Events with posterior chain"][1]


def test_the_entry_that_fits_best(smd: Analysis) -> None:
    """Names fit without capitals and underscores; the most particular entry goes first; others do not fit."""
    plan = make_plan(
        {
            "grade": [
                {"mid": 1},
                {"outcome": "PAIN", "mid": 2},
                {"outcome": "Pain", "compare": ["Posterior chain", "general_exercise"], "mid": 3},
                {"outcome": "disability", "mid": 4},
                {"outcome": "pain", "compare": ["general_exercise", "posterior_chain"], "mid": 5},
            ]
        }
    )
    found = grade_of(plan, smd)
    assert found is not None
    assert found.mid == 3
    other = replace(smd, fitted=replace(smd.fitted, effects=replace(smd.fitted.effects, context=Context("falls"))))
    found = grade_of(plan, other)
    assert found is not None
    assert found.mid == 1
    assert grade_of(None, smd) is None


def test_references_are_known(smd: Analysis) -> None:
    """Every key of the reading stands in the bibliography."""
    assert set(clinical_keys(smd)) <= set(references())
    assert "mathur2019" in clinical_keys(smd)


def test_hostile_texts_stay_text(smd: Analysis, hostile: str) -> None:
    """Sources are words of people."""
    grade = Grade(mid=0.5, mid_source=well_formed(hostile))  # a plan refuses what is no text
    blocks = clinical_blocks(smd, grade=grade, anchor="a")
    page = render_html(Document("t", (Heading(2, "t", "t"), *blocks)))
    assert "<script>alert" not in page
    assert "<img src=" not in page
