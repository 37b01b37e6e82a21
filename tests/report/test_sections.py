"""What a section says, and in which words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from metaback.effects.effect_sizes import Context, EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.specs import resolve_spec
from metaback.postestimation.summary import Analysis, Heterogeneity, SubgroupTest
from metaback.postestimation.words import effect_digits
from metaback.report.document import Figure, Heading, Listing, Notes, Paragraph, Table
from metaback.report.sections import answer, heterogeneity_text, notes, report_document, section_blocks
from metaback.report.tables import compact_table, overview_table, pooled_table, study_table
from metaback.report.words import anchor, clean, column_decimals, favoured, plain, tau2_cell

Make = Callable[..., Analysis]
MakeEffects = Callable[..., EffectSizes]


def test_the_answer_is_one_sentence(analysis: Analysis) -> None:
    assert answer(analysis) == (
        "Pain, posterior chain compared with general exercise: standardised mean difference −0.41 (95% CI −0.74 to "
        "−0.09; 4 effects from 3 studies, 106 participants); favours posterior chain; certainty of the "
        "evidence not rated."
    )


@pytest.mark.parametrize(
    ("low", "high", "higher", "winner"),
    [
        (-2, -1, False, "a"),
        (-2, -1, True, "b"),
        (1, 2, True, "a"),
        (1, 2, False, "b"),
        (-1, 1, True, None),
        (1, 2, None, None),
    ],
)
def test_who_is_favoured(
    low: float, high: float, higher: bool | None, winner: str | None, make_analysis: Make, make_effects: MakeEffects
) -> None:
    effects = make_effects(context=Context("pain", "a", "b", higher))
    analysis = make_analysis(effects, mean=Estimate((low + high) / 2, low, high, 1, 0.95))
    assert favoured(analysis, analysis.overall.mean) == winner
    assert ("favours" in answer(analysis)) == (winner is not None)
    assert ("compatible with no difference" in answer(analysis)) == (low < 0 < high)


@pytest.mark.parametrize(
    "context", [Context("pain", None, "b", True), Context("pain", "a", None, False), Context("pain", "a", "b")]
)
def test_nobody_is_favoured_when_something_is_unknown(
    context: Context, make_analysis: Make, make_effects: MakeEffects
) -> None:
    text = answer(make_analysis(make_effects(context=context)))
    assert "favours" not in text
    better = context.higher_is_better
    unsaid = (
        "which direction is better is not stated" if better is None else "the whole interval lies below no difference"
    )
    assert unsaid in text


def test_a_ratio_is_told_on_its_natural_scale(ratio: Analysis) -> None:
    assert answer(ratio).startswith("Risk ratio 0.24 (95% CI 0.19 to 0.30; 4 studies, 106 participants)")
    assert "includes no effect (1)" in heterogeneity_text(ratio)
    assert "on the log scale" in heterogeneity_text(ratio)


def test_unknown_participants_are_said_to_be_unknown(make_analysis: Make) -> None:
    assert "number of participants not stated throughout" in answer(make_analysis(n=None))


def test_heterogeneity(analysis: Analysis) -> None:
    assert heterogeneity_text(analysis) == (
        "Cochran's Q was 16.14 on 3 df (P = 0.04); the between-study variance τ² was 0.101 (95% CI 0 to 0.471); I² was "
        "50% (95% CI 0% to 82%) from τ² and 50% from Q. The true effect in a new setting is expected between −1.21 and "
        "0.39 (95% prediction interval, 3 df), a range that includes no effect (0). Test for differences between "
        "subgroups by training time: Q = 1.10 on 1 df (P = 0.29)."
    )


def test_one_effect_has_no_heterogeneity(make_analysis: Make) -> None:
    none = Heterogeneity(0.0, 0, None, None, None, None, None, None, None, None, None)
    single = make_analysis(heterogeneity=none, prediction=None, k=1, studies=1)
    assert heterogeneity_text(single) == "With one effect, heterogeneity cannot be estimated."
    blocks = report_document([single], title="x").blocks
    assert not [b for b in blocks if isinstance(b, Table | Paragraph) and "nan" in str(b).replace("finance", "")]


def test_equal_effects_have_no_tau2(make_analysis: Make) -> None:
    found = Heterogeneity(16.14, 3, 0.04, None, None, None, 81.4, None, None, None, None)
    equal = make_analysis(spec=resolve_spec(model="equal"), prediction=None, heterogeneity=found)
    assert "τ²" not in heterogeneity_text(equal)
    assert not any("τ²" in head or "prediction" in head for head in pooled_table(equal).head)


def test_study_table(analysis: Analysis) -> None:
    table = study_table(analysis)
    assert table.head == (
        *("Study", "Row in file", "Training time", "Posterior chain: mean (SD), n", "General exercise: mean (SD), n"),
        *("SMD [95% CI]", "Variance", "Weight (%)"),
        *("How obtained", "Corrected, or why not pooled"),
    )
    assert table.rows[1] == (
        *("Atalay 2017", "3", "early", "−3.25 (1.5), 10", "1234.568 (0.000123), 10"),
        *("−0.33 [−1.22, 0.56]", "0.2041", "20.0", "means and SDs", "arms swapped"),
    )
    assert table.rows[4][-5:] == ("not estimable", "–", "–", "", "not pooled: sd_1 not given")
    assert table.rows[2][3] == "n = 9"
    assert table.rows[4][3] == "1 (–), 12"
    assert table.file == "studies.csv"


def test_very_long_tables_and_notes_are_cut_and_say_so(make_analysis: Make, make_effects: MakeEffects) -> None:
    short = make_effects()
    long = {
        name: getattr(short, name) * 300
        if isinstance(getattr(short, name), tuple)
        else np.tile(getattr(short, name), 300)
        for name in ("yi", "vi", "estimable", "labels", "rows", "clusters", "obtained", "corrections", "by")
    }
    reasons = tuple("" if ok else f"reason {i}" for i, ok in enumerate(long["estimable"]))
    analysis = make_analysis(make_effects(**long, reasons=reasons, inputs={}), weights=np.ones(1500))
    table = study_table(analysis)
    assert len(table.rows) == 1000
    assert table.caption.endswith("The first 1,000 of 1,500 rows are shown.")
    assert len(study_table(analysis, brief=True).rows) == 50
    assert len(notes(analysis).points) == 40
    assert notes(analysis).points[-1] == "263 more notes: results.json has them all."


def test_equal_weights_print_equal(make_analysis: Make) -> None:
    analysis = make_analysis()
    thirds = replace(
        analysis, overall=replace(analysis.overall, weights=np.array([100 / 3, 100 / 3, 100 / 3, math.nan, math.nan]))
    )
    column = study_table(thirds).head.index("Weight (%)")
    assert sorted(row[column] for row in study_table(thirds).rows)[:3] == ["33.3", "33.3", "33.3"]


def test_counts_are_shown_as_events_of_n(ratio: Analysis) -> None:
    table = study_table(ratio)
    assert table.head[2:4] == ("Arm 1: events / n", "Arm 2: events / n")
    assert table.rows[0][2:4] == ("4 / 123", "11 / 139")
    assert "back-transformed" in table.caption


def test_pooled_table(analysis: Analysis, ratio: Analysis) -> None:
    table = pooled_table(analysis)
    assert [row[0] for row in table.rows] == ["All studies", "early", "late"]
    assert table.rows[0] == (
        *("All studies", "3", "4", "106", "−0.41 [−0.74, −0.09]", "0.02", "0.101 [0, 0.471]", "50% [0%, 82%]"),
        *("16.14 (3), 0.04", "−1.21 to 0.39"),
    )
    assert table.rows[1][3] == table.rows[1][-1] == "–"
    assert "Effects" not in pooled_table(ratio).head
    assert len(compact_table(analysis).head) < len(table.head)


def test_q_based_i2_has_no_limits(make_analysis: Make) -> None:
    table = pooled_table(make_analysis(spec=resolve_spec("revman5")))
    assert "I²" in table.head
    assert "I² from Q" in table.caption
    assert "50%" in table.rows[0]


def test_overview(analysis: Analysis, ratio: Analysis) -> None:
    rows = overview_table([analysis, ratio]).rows
    assert rows[0][0] == "1. Pain: posterior chain vs general exercise"
    assert rows[1][-1] == "50%"


def test_notes_of_everything_stand_once(analysis: Analysis) -> None:
    groups = analysis.subgroups
    assert groups is not None
    pools = tuple(replace(pool, notes=("One study.",)) for pool in groups.pools)
    box = notes(replace(analysis, subgroups=replace(groups, pools=pools)))
    assert box.points == (
        "The wider interval is shown.",
        "Kell 2009 enters 2 times (row 4, row 5).",
        "Nil 2012 (row 6) is not pooled: sd_1 not given.",
        "early: One study.",
        "late: One study.",
    )
    told = replace(
        analysis, overall=replace(analysis.overall, notes=("Nil 2012 (row 6) is not pooled: sd_1 not given.",))
    )
    assert sum("Nil 2012" in point for point in notes(told).points) == 1


def test_a_section_alone(analysis: Analysis) -> None:
    figure = Figure("<svg/>", "f", "c", "a")
    blocks = section_blocks(analysis, number=3, anchor="pain", figure=figure)
    assert blocks[0] == Heading(2, "3. Pain: posterior chain vs general exercise", "pain")
    assert blocks[1] == Paragraph(answer(analysis), "answer")
    assert isinstance(blocks[2], Notes)
    assert figure in blocks
    assert isinstance(blocks[-1], Listing)
    assert not any(isinstance(block, Listing) for block in section_blocks(analysis, cited=()))


def test_shared_methods_are_told_once(analysis: Analysis, ratio: Analysis) -> None:
    blocks = report_document([analysis, ratio, ratio], title="x").blocks
    start = next(i for i, b in enumerate(blocks) if isinstance(b, Heading) and b.text == "Methods")
    shared, first, others = (block.text for block in blocks[start + 1 : start + 4] if isinstance(block, Paragraph))
    assert "Cochran's Q" in shared
    assert first.startswith("Comparison 1: The effect of each study is the standardised mean difference")
    assert others.startswith("Comparisons 2 and 3: The effect of each study is the risk ratio")
    assert "Cochran" not in first + others


def test_a_single_subgroup_is_not_tested(analysis: Analysis) -> None:
    assert analysis.subgroups is not None
    for test, words in (
        (None, "no difference between subgroups was tested"),
        (SubgroupTest(0.5, 1, 0.48), "Q = 0.50 on 1 df"),
    ):
        assert words in heterogeneity_text(replace(analysis, subgroups=replace(analysis.subgroups, test=test)))


@pytest.mark.parametrize(
    ("low", "high", "digits"),
    [(-1, 1, 2), (0, 0.05, 3), (0, 0.004, 4), (0, 0, 2), (-math.inf, 1, 2), (0, 1e-30, 15), (0, 1e6, 0)],
)
def test_decimals_follow_the_width(low: float, high: float, digits: int) -> None:
    assert effect_digits(Estimate(0, low, high, 1, 0.95)) == digits


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (29.0, "29"),
        (2.5, "2.5"),
        (-0.000123, "−0.000123"),
        (13598.0, "13598"),
        (6.847928, "6.848"),
        (math.nan, "–"),
        (None, "–"),
        (0.0, "0"),
    ],
)
def test_raw_numbers_look_as_typed(value: float | None, text: str) -> None:
    assert plain(value) == text


def test_a_column_of_variances_is_aligned() -> None:
    assert column_decimals([0.0575, 0.2, 1.25]) == ["0.0575", "0.2000", "1.2500"]
    assert column_decimals([1e-9, 1.0]) == ["1.00e−9", "1.00"]
    assert column_decimals([math.nan]) == ["–"]


@pytest.mark.parametrize(
    ("tau2", "low", "high", "text"),
    [
        (0.0346, 0.000263, 0.709, "0.0346 [0.0003, 0.7090]"),
        (0.0, 0.0, 0.2041, "0 [0, 0.204]"),
        (52.31, 0.0, 1234.5, "52.3 [0, 1234.5]"),
        (0.2, None, None, "0.200"),
        (None, None, None, "–"),
        (0.1, 0.01, math.inf, "0.100 [0.010, ∞]"),
        (1e-9, 0.0, 1e-8, "1.00e−9 [0, 1.00e−8]"),
        (0.0, 0.0, 0.0, "0 [0, 0]"),
    ],
)
def test_tau2_and_its_limits_share_decimals(
    tau2: float | None, low: float | None, high: float | None, text: str
) -> None:
    found = Heterogeneity(1.0, 1, 0.5, tau2, low, high, None, None, None, None, None)
    assert tau2_cell(found) == text


def test_anchors_and_clean_text() -> None:
    assert anchor("Pain: <b> & Ärger", 2) == "pain-b-rger-2"
    assert anchor("\u0645") == "section"
    assert clean("a\x00\r\nb\tc\ud800") == "a\ufffd\nb\tc\ufffd"
