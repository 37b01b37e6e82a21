"""Layouts, columns, orders, thresholds, judgements, widths and pages of a forest plot."""

from __future__ import annotations

import dataclasses
import math
import re
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection, LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

import metaback as mb
from metaback.effects.effect_sizes import Context
from metaback.errors import OptionError
from metaback.models.specs import PoolSpec
from metaback.plots.axis import axis_limits
from metaback.plots.fit import LayoutWarning
from metaback.plots.forest import draw_forest, draw_forest_pages, forest_figure, write_forest
from metaback.plots.forest_data import ForestChoices, ForestData, forest_data
from metaback.plots.forest_layouts import LAYOUTS
from metaback.plots.forest_pages import pages_of
from metaback.plots.grid import split_interval
from metaback.plots.line import Line
from metaback.plots.save import svg_text
from metaback.plots.style import Style, drawing
from metaback.plots.text import ruler
from metaback.postestimation.number_styles import NUMBER_STYLES, p_styled, restyled
from metaback.postestimation.predictive import predictive_density
from metaback.postestimation.summary import Analysis

Make = Callable[..., Analysis]
HAIR = 0.005  # inches that two boxes may share: the slack of painted glyphs
AIR = 0.01  # inches that stand at least between two texts of one line
LONG = [
    "The Extraordinarily Long-Winded Collaborative Group for the Study of Exercise in Chronic Low Back Pain 2011",
    "X" * 120, "<script>alert(1)</script> $x_1$", "אבג דהו 2003", "محمد 2005", "b", "c",
]  # fmt: skip


def boxes(figure: Figure) -> list[tuple[str, np.ndarray]]:
    """Return the extents of all texts in inches, as painted."""
    with drawing(Style()):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
        return [(t.get_text(), t.get_window_extent(canvas.get_renderer()).extents / figure.dpi) for t in texts]


def faults(figure: Figure) -> list[str]:
    """List texts that overlap, touch within a line, or reach beyond the figure."""
    found = boxes(figure)
    x0, y0, x1, y1 = np.array([extent for _, extent in found]).T
    width, height = figure.get_size_inches()
    wide = np.minimum(x1[:, None], x1) - np.maximum(x0[:, None], x0)
    high = np.minimum(y1[:, None], y1) - np.maximum(y0[:, None], y0)
    pairs = np.argwhere(np.triu((wide > -AIR) & (high > HAIR), 1))
    out = (x0 < 0) | (y0 < 0) | (x1 > width) | (y1 > height)
    beyond = [found[i][0] for i in np.flatnonzero(out)]
    return [f"{found[i][0]} / {found[j][0]}" for i, j in pairs] + beyond


def with_columns(analysis: Analysis, **columns: list[Any]) -> Analysis:
    """Give the table of an analysis more columns."""
    values = {name: np.array(column, dtype=object) for name, column in columns.items()}
    effects = dataclasses.replace(analysis.fitted.effects, moderators=values)
    return dataclasses.replace(analysis, fitted=dataclasses.replace(analysis.fitted, effects=effects))


def judged(k: int) -> dict[str, list[str]]:
    words = ["low", "some concerns", "high", "no information"]
    return {
        f"rob_{d}": [words[(i + d) % 4] for i in range(k)] for d in (1, 2, 3, 4, 5, "overall") if d != "overall"
    } | {"rob_overall": [words[i % 3] for i in range(k)]}


def counts(make: Make, **options: Any) -> Analysis:
    inputs = {"n_1": [12345, 53, 15], "events_1": [400, 9, 2], "n_2": [12000, 55, 16], "events_2": [500, 15, 3]}
    context = Context("death", "aspirin", "usual_care", higher_is_better=False)
    return make(
        [-0.25, -0.5, -0.6], [0.07, 0.38, 0.9], ["Akbari 2008", "Berg 2017", "Cao 2001"],
        scale="log", measure="RR", inputs=inputs, context=context, **options,
    )  # fmt: skip


def shown(analysis: Analysis, **choices: Any) -> ForestData:
    return forest_data(analysis, ForestChoices(**choices))


# ------------------------------------------------------------------------------------------------------- layouts
CASES = [("k1", 1), ("k2", 2), ("k7", 7), ("k7 subgroups", 7), ("long", 7), ("k50", 50)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("case", "k"), CASES)
def test_no_layout_lets_texts_touch_or_leave_the_figure(make_many: Make, layout: str, case: str, k: int) -> None:
    analysis = make_many(k, raw=True, groups=2 if "subgroups" in case else 0, labels=LONG if case == "long" else None)
    analysis = with_columns(analysis, dose=[f"{i} mg twice daily with food" for i in range(k)], **judged(k))
    data = shown(analysis, layout=layout, columns={"dose": ("Dose of the drug", "right")}, risk_of_bias="RoB 2")
    assert faults(draw_forest(data)) == []


def test_two_hundred_rows_do_not_touch(make_many: Make) -> None:
    analysis = with_columns(make_many(200, raw=True), **judged(200))
    assert faults(draw_forest(shown(analysis, layout="jama", risk_of_bias="RoB 2", sort="weight"))) == []


@pytest.mark.parametrize(
    ("layout", "heads", "cells"),
    [
        (
            "standard",
            ["Events", "N", "Events", "N", "Weight (%)", "RR [95% CI]"],
            ["400", "12345", "0.78 [0.68, 0.89]"],
        ),
        ("revman", ["Events", "N", "Events", "N", "Weight (%)", "RR [95% CI]"], ["400", "0.78 [0.68, 0.89]"]),
        ("jama", ["No./total", "No./total", "RR (95% CI)", "Weight, %"], ["400/12\u2009345", "0.78 (0.68 to 0.89)"]),
        ("bmj", ["No/total", "No/total", "Weight (%)", "RR (95% CI)"], ["400/12\u2009345", "0.78 (0.68 to 0.89)"]),
        ("lancet", ["n/N", "n/N", "RR (95% CI)", "Weight (%)"], ["400/12\u2009345", "0·78 (0·68–0·89)"]),
        ("plain", ["RR [95% CI]"], ["0.78 [0.68, 0.89]"]),
    ],
)
def test_columns_and_numbers_of_each_layout(make: Make, layout: str, heads: list[str], cells: list[str]) -> None:
    data = shown(counts(make), layout=layout)
    assert [column.head for column in data.columns] == heads
    assert set(cells) <= set(data.rows[0].cells)
    effect = next(column for column in data.columns if column.kind == "effect")
    assert effect.side == ("left" if layout in {"revman", "jama"} else "right")


def test_sums_of_joined_columns_are_those_of_their_parts(make: Make) -> None:
    total = next(row for row in shown(counts(make), layout="bmj").rows if row.kind == "total")
    assert total.cells[:2] == ("411/12\u2009413", "518/12\u2009071")


@pytest.mark.parametrize(
    ("layout", "lines"),
    [
        ("standard", "τ² = 0.10, I² (from τ²) = 50%, Q = 16.14, df = 8, P = 0.03"),
        ("revman", "Tau² = 0.10, Chi² = 16.14, df = 8, P = 0.03, I² (from τ²) = 50%"),
        ("jama", "I² (from τ²) = 50%, χ² = 16.14, df = 8, P = .03"),
        ("bmj", "τ² = 0.10, I² (from τ²) = 50%, Q = 16.14, df = 8, P=0.03"),
        ("lancet", "τ² = 0·10, I² (from τ²) = 50%, Q = 16·14, df = 8, p=0·030"),
    ],
)
def test_statistics_in_the_words_and_order_of_each_layout(make_tataryn: Make, layout: str, lines: str) -> None:
    texts = [row.label for row in shown(make_tataryn(by=None), layout=layout).rows if row.kind == "text"]
    assert texts[0] == f"Heterogeneity: {lines}"


def test_every_layout_tells_the_test_of_subgroup_differences(make_tataryn: Make) -> None:
    for layout in LAYOUTS:
        texts = [row.label for row in shown(make_tataryn(), layout=layout).rows if row.kind == "text"]
        assert sum(text.startswith("Test for subgroup differences") for text in texts) == 1
        assert sum(text.startswith("Heterogeneity") for text in texts) == (1 if layout == "plain" else 3)


def test_favours_words_of_jama_stand_over_the_panel_and_are_american(make_many: Make, make: Make) -> None:
    figure = draw_forest(shown(make_many(7), layout="jama"))
    top = figure.axes[0].get_position().y1 * figure.get_size_inches()[1]
    words = [extent for text, extent in boxes(figure) if "Favors" in text]
    assert len(words) == 2
    assert all(extent[1] > top for extent in words)
    assert not [text for text, _ in boxes(figure) if "Favours" in text]
    beside = draw_forest(
        shown(make([-0.8], [0.1], ["a"], context=Context("pain", "a b c", "usual care", False)), layout="jama")
    )
    assert min(extent[1] for text, extent in boxes(beside) if "Favors" in text) < 1.2  # too narrow: under the panel
    assert faults(beside) == []


def test_unknown_layouts_and_options_are_refused(make: Make) -> None:
    with pytest.raises(OptionError, match="did you mean 'lancet'"):
        shown(counts(make), layout="lancett")
    with pytest.raises(OptionError, match=r"pi_style='curve'.*bar, line, density"):
        shown(counts(make), pi_style="curve")
    with pytest.raises(OptionError, match="did you mean 'layout'"):
        forest_figure(counts(make), layuot="bmj")  # type: ignore[call-arg]


# ------------------------------------------------------------------------------------------------- number styles
@pytest.mark.parametrize(
    ("p", "jama", "bmj", "lancet"),
    [
        (0.00004, "P < .001", "P<0.001", "p<0.0001"),
        (0.00042, "P < .001", "P<0.001", "p=0.0004"),
        (0.0031, "P = .003", "P=0.003", "p=0.0031"),
        (0.032, "P = .03", "P=0.03", "p=0.032"),
        (0.0461, "P = .046", "P=0.05", "p=0.046"),
        (0.32, "P = .32", "P=0.32", "p=0.32"),
        (0.996, "P > .99", "P>0.99", "p>0.99"),
    ],
)
def test_p_values_as_journals_write_them(p: float, jama: str, bmj: str, lancet: str) -> None:
    assert [p_styled(p, NUMBER_STYLES[key]) for key in ("jama", "bmj", "lancet")] == [jama, bmj, lancet]


def test_numbers_are_restyled() -> None:
    lancet = NUMBER_STYLES["lancet"]
    assert restyled("\u22120.41 [\u22120.72, \u22120.10]", lancet) == "\u22120·41 (\u22120·72 to \u22120·10)"
    assert restyled("2.00 [0.40, \u221e]", lancet, ratio=True) == "2·00 (0·40–\u221e)"
    assert [restyled(text, lancet) for text in ("1234", "12345", "1234567")] == [
        "1234",
        "12\u2009345",
        "1\u2009234\u2009567",
    ]


def test_names_keep_their_points(make: Make) -> None:
    analysis = make([0.1, 0.2], [0.1, 0.2], ["v1.5 trial 12345", "b"])
    assert shown(analysis, layout="lancet").rows[0].label == "v1.5 trial 12345"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("\u22120.41 [\u22120.72, \u22120.10]", ("\u22120.41", "[\u22120.72,", "\u22120.10]")),
        ("[0.40, 0.88]", ("", "[0.40,", "0.88]")),
        ("0.79 (0.67 to 0.93)", ("0.79", "(0.67 to", "0.93)")),
        ("0·79 (0·67–0·93)", ("0·79", "", "(0·67–0·93)")),
        ("not estimable", None),
    ],
)
def test_intervals_are_split_for_alignment(text: str, parts: tuple[str, ...] | None) -> None:
    assert split_interval(text) == parts


# ----------------------------------------------------------------------------------------------- columns and order
def test_columns_of_the_table_stand_where_they_are_asked_for(make_many: Make) -> None:
    analysis = with_columns(make_many(3), year=[2001, 1999, None], dose=["5 mg", None, "low"], w=[1.25, 2.0, 3.5])
    data = shown(analysis, columns={"year": "Year", "dose": ("Dose", "right"), "w": "W"})
    assert [(c.head, c.side) for c in data.columns] == [
        ("Year", "left"), ("W", "left"), ("Weight (%)", "right"), ("SMD [95% CI]", "right"), ("Dose", "right"),
    ]  # fmt: skip
    assert [row.cells[0] for row in data.rows[:3]] == ["2001", "1999", ""]
    assert [row.cells[1] for row in data.rows[:3]] == ["1.25", "2.00", "3.50"]
    assert [row.cells[-1] for row in data.rows[:3]] == ["5 mg", "", "low"]
    assert data.rows[3].cells[-1] == ""
    with pytest.raises(OptionError, match=r"'yaer' \(did you mean 'year'\?\); 'zzz'; it has: year, dose, w"):
        shown(analysis, columns=["yaer", "zzz"])
    with pytest.raises(OptionError, match="left, right"):
        shown(analysis, columns={"year": ("Year", "top")})


@pytest.mark.parametrize(
    ("sort", "descending", "labels"),
    [
        (None, False, "bcad"),
        ("effect", False, "cabd"),
        ("effect", True, "bacd"),
        ("label", False, "abcd"),
        ("precision", False, "abcd"),
        ("weight", False, "abcd"),
        ("weight", True, "cbad"),
        ("year", False, "cabd"),
        ("arm", False, "cbda"),
    ],
)
def test_rows_are_sorted_and_those_without_a_value_stand_last(
    make: Make, sort: str | None, descending: bool, labels: str
) -> None:
    analysis = make([0.5, 0.1, 0.3, math.nan], [0.2, 0.3, 0.1, 1.0], list("bcad"), reasons={3: "no SD"})
    analysis = with_columns(analysis, year=[2010, 1999, 2004, 2012], arm=["b", "A", None, "C"])
    data = shown(analysis, sort=sort, descending=descending)
    rows = [row.label for row in data.rows if row.kind in {"study", "not_estimable"}]
    assert "".join(rows) == labels
    assert any("sorted" in note for note in data.footnotes) == (sort is not None)


def test_sorting_stays_within_subgroups_and_refuses_unknown_columns(make_tataryn: Make) -> None:
    data = shown(make_tataryn(), sort="effect")
    kinds = [row.kind for row in data.rows]
    first, second = kinds.index("header"), kinds.index("header", 1)
    for block in (data.rows[first:second], data.rows[second:]):
        values = [row.estimate or 0.0 for row in block if row.kind == "study"]
        assert values == sorted(values)
    with pytest.raises(OptionError, match=r"sort='weigth' is not known .did you mean 'weight'"):
        shown(make_tataryn(), sort="weigth")
    with pytest.raises(OptionError, match="needs sort="):
        shown(make_tataryn(), descending=True)


# ---------------------------------------------------------------------------------- prediction, thresholds, judgements
def test_density_is_the_distribution_that_the_interval_is_cut_from(make_many: Make) -> None:
    prediction = make_many(7).overall.prediction
    assert prediction is not None
    prediction = dataclasses.replace(prediction, df=6.0)
    x, height = predictive_density(prediction, PoolSpec())
    inside = (x >= prediction.lower - 1e-9) & (x <= prediction.upper + 1e-9)
    fine = np.linspace(-60, 60, 200_001)  # in units of the half-width: the tails beyond hold less than 1e-8
    z = fine * 2.446912  # quantile of t with 6 df
    whole = np.trapezoid((1 + z**2 / 6) ** -3.5, fine)
    part = np.trapezoid((1 + z**2 / 6) ** -3.5 * (np.abs(fine) <= 1), fine)
    assert part / whole == pytest.approx(0.95, abs=1e-4)
    edge = np.interp(prediction.upper, x, height)
    assert edge == pytest.approx((1 + 2.446912**2 / 6) ** -3.5, rel=1e-3)
    assert inside.sum() == 101
    with pytest.raises(OptionError, match="no density"):
        predictive_density(prediction, PoolSpec(pi="NNF"))


@pytest.mark.parametrize("pi_style", ["bar", "line", "density"])
def test_each_style_of_prediction_spans_its_interval(make_many: Make, pi_style: Any) -> None:
    data = shown(make_many(7), pi_style=pi_style)
    row = next(row for row in data.rows if row.kind == "prediction")
    ax = draw_forest(data, limits=(-3, 3)).axes[0]
    marks: list[Any] = [*ax.findobj(LineCollection), *ax.findobj(PolyCollection)]
    spans = [(min(p.vertices[:, 0]), max(p.vertices[:, 0])) for mark in marks for p in mark.get_paths()]
    near = 0.02 if pi_style == "density" else 1e-9  # the curve has a point in each hundredth of the interval
    assert any(abs(a - (row.lower or 0)) <= near and abs(b - (row.upper or 0)) <= near for a, b in spans)


def test_threshold_is_a_line_within_the_axis_on_the_natural_scale(make: Make) -> None:
    data = shown(counts(make), mcid=0.25)
    assert data.mcid == pytest.approx((math.log(0.25),))
    assert axis_limits(data)[0] < math.log(0.25)
    assert "Dotted line: smallest effect that matters, 0.25." in data.footnotes
    assert "smallest effect that matters, 0.25" in data.alt
    dots = next(c for c in draw_forest(data).axes[0].findobj(LineCollection) if c.get_gid() == "thresholds")
    assert dots.get_paths()[0].vertices[0][0] == pytest.approx(math.log(0.25))
    band = shown(counts(make), mcid=(1.25, 0.8), layout="lancet")
    assert "Shaded band: effects from 0·8 to 1·25, too small to matter." in band.footnotes
    shade = next(c for c in draw_forest(band).axes[0].findobj(PolyCollection) if c.get_gid() == "band")
    ends = shade.get_paths()[0].vertices[:, 0]
    assert (min(ends), max(ends)) == pytest.approx((math.log(0.8), math.log(1.25)))
    with pytest.raises(OptionError, match="has no place on this axis"):
        shown(counts(make), mcid=-0.5)
    with pytest.raises(OptionError, match="two ends"):
        shown(counts(make), mcid=(1, 2, 3))  # type: ignore[arg-type]


def test_judgements_stand_in_circles_beside_their_rows_and_in_a_key(make_many: Make) -> None:
    analysis = with_columns(make_many(4), **judged(4))
    data = shown(analysis, risk_of_bias=True)
    assert data.rob is not None
    assert data.rob.tool.key == "RoB 2"
    assert [cell.symbol for cell in data.rows[0].judgements if cell] == ["\u2212", "\u00d7", "?", "+", "\u2212", "+"]
    assert "overall: 1 high risk, 2 low risk, 1 some concerns" in data.alt
    figure = draw_forest(data)
    circles = next(c for c in figure.findobj(EllipseCollection) if c.get_gid() == "judgements")
    assert len(circles.get_offsets()) == 4 * 6 + 4
    words = [text for text, _ in boxes(figure)]
    assert {"Low risk", "Some concerns", "High risk", "No information", "Overall", "A", "E"} <= set(words)
    assert any("A: Randomisation process; B: Deviations" in text for text in words)
    assert faults(figure) == []
    with pytest.raises(OptionError, match="begin with 'rob_'"):
        shown(make_many(4), risk_of_bias=True)


# ------------------------------------------------------------------------------------------------------ widths, pages
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", ["double", 9.0, 13.0])
def test_figures_are_as_wide_as_asked_and_whole(make_many: Make, layout: str, width: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LayoutWarning)
        figure = draw_forest(shown(make_many(6, raw=True, groups=2), layout=layout), width=width)
    target = 175 / 25.4 if width == "double" else width
    assert figure.get_size_inches()[0] == pytest.approx(target, abs=0.002)
    assert faults(figure) == []


def test_one_column_of_a_journal_keeps_effects_and_tells_what_it_left_out(make: Make) -> None:
    data = shown(counts(make))
    with pytest.warns(LayoutWarning, match="left out for lack of width: 'Aspirin: Events', 'Aspirin: N'"):
        figure = draw_forest(data, width="single")
    assert figure.get_size_inches()[0] == pytest.approx(85 / 25.4, abs=0.002)
    assert faults(figure) == []
    words = " ".join(text for text, _ in boxes(figure))
    assert "RR [95% CI]" in words
    assert all(t.get_fontsize() >= 6 for t in figure.findobj(Text) if t.get_text())


def test_text_is_never_cut_where_a_width_is_too_small(make_many: Make) -> None:
    data = shown(make_many(3, labels=[*LONG[:1], "b", "c"]))
    with pytest.warns(LayoutWarning, match=r"needs .* inches, not 2.0"):
        figure = draw_forest(data, width=2)
    assert figure.get_size_inches()[0] > 2
    assert faults(figure) == []
    with pytest.raises(OptionError, match="single"):
        draw_forest(data, width="tripel")
    with pytest.raises(OptionError, match="2 to 100 inches"):
        draw_forest(data, width=0.1)


def test_pages_hold_every_row_once_and_say_that_they_continue(make_many: Make) -> None:
    data = shown(make_many(120, groups=4, raw=True))
    pages = pages_of(data)
    assert len(pages) >= 3
    kept = [row for page in pages for row in page.rows if row.kind != "blank" and "(continued)" not in row.label]
    assert kept == [row for row in data.rows if row.kind != "blank"]
    assert all(page.title.endswith("(continued)") for page in pages[1:])
    for before, page in pairwise(pages):
        assert before.rows[-1].kind != "header"
        assert page.rows[0].kind == "header"
    assert pages_of(shown(make_many(40))) == (shown(make_many(40)),)
    assert all(len(page.rows) <= 45 + 9 for page in pages)
    assert pages[-1].footnotes[:-1] == data.footnotes


def test_pages_share_columns_axis_and_scale_of_squares(make_many: Make) -> None:
    data = shown(make_many(120, groups=4, raw=True), layout="revman")
    figures = draw_forest_pages(data)
    assert len({tuple(figure.axes[0].get_xlim()) for figure in figures}) == 1
    assert len({round(float(figure.get_size_inches()[0]), 6) for figure in figures}) == 1
    assert (
        len({tuple(round(t.get_position()[0], 6) for t in f.findobj(Text) if t.get_text() == "Mean") for f in figures})
        == 1
    )
    largest = [max(c.get_sizes()) for f in figures for c in f.axes[0].collections if c.get_gid() == "squares"]
    assert max(largest) == pytest.approx(Style().square ** 2)
    assert min(largest) < Style().square ** 2
    assert [faults(figure) for figure in figures] == [[]] * len(figures)


@pytest.mark.parametrize("kind", ["svg", "png", "pdf", "tiff", "eps"])
def test_files_of_every_kind_have_the_same_bytes_twice(
    make_many: Make, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = make_many(48 if kind == "pdf" else 12)  # two pages, and one
    made: list[bytes] = []
    for date in ("1000000000", "1500000000"):  # what the clock says must not matter
        monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
        made.append(write_forest(analysis, tmp_path / f"forest.{kind}", layout="bmj").read_bytes())
    assert made[0] == made[1]
    if kind == "pdf":
        assert b"/Count 2" in made[0]


def test_the_verbs_of_a_result_draw_and_write(tmp_path: Path) -> None:
    pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    res = mb.pool(pain)
    figure = res.forest(layout="bmj", columns=["year"], sort="year", mcid=(-0.2, 0.2), pi_style="line")
    words = [text for text, _ in boxes(figure)]
    assert {"Year", "2015", "SMD (95% CI)"} <= set(words)
    assert res.save_forest(tmp_path / "a.svg", layout="jama").read_text().startswith("<?xml")


def test_squares_are_painted_as_large_as_they_say_and_have_tips(make: Make) -> None:
    data = shown(counts(make))
    figure = draw_forest(data)
    figure.set_dpi(100)
    squares = next(c for c in figure.axes[0].findobj(PathCollection) if c.get_gid() == "squares")
    with drawing(Style()):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    red, green, blue = (int(Style().square_colour[i : i + 2], 16) for i in (1, 3, 5))
    painted = (np.abs(pixels.astype(int) - [red, green, blue]).max(axis=2) < 12).sum()
    said = sum(float(area) for area in squares.get_sizes()) * (100 / 72) ** 2
    assert 0.5 * said < painted < 1.1 * said  # the line of the interval crosses each square
    tips = re.findall(r"<title>(.*?)</title>", svg_text(figure, "f"))
    assert tips == [f"{row.label}: {row.cells[-1]}" for row in data.rows if row.kind == "study"]


def test_texts_are_painted_where_they_were_measured_to_stand() -> None:
    measure = ruler(Style(), [])
    assert measure.width("0.79 (0.67 to 0.93)") > 1
    figure = draw_forest_line("right")
    plain = draw_forest_line("right", plain=True)
    for drawn in (figure, plain):
        drawn.set_dpi(100)
    one, two = (_ink(drawn) for drawn in (figure, plain))
    assert abs(one[0] - two[0]) <= 1
    assert abs(one[1] - two[1]) <= 1


def draw_forest_line(align: str, *, plain: bool = False) -> Figure:
    figure = Figure(figsize=(3, 1))
    kind = Text if plain else Line
    text = kind(2.5, 0.5, "Ag 0.79", transform=figure.dpi_scale_trans, horizontalalignment=align)
    text.set_verticalalignment("baseline")
    figure.add_artist(text)
    return figure


def _ink(figure: Figure) -> tuple[int, int]:
    """Return the first and the last column of pixels that are not white."""
    with drawing(Style()):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    dark = np.flatnonzero((np.asarray(canvas.buffer_rgba())[..., :3].min(axis=2) < 128).any(axis=0))
    return int(dark[0]), int(dark[-1])
