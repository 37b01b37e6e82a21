"""Effects of one study in a forest plot: their places, names, means and weights; pages; models of dependent effects."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

import metaback as mb
from metaback.errors import OptionError
from metaback.plots.forest import draw_forest, draw_forest_pages
from metaback.plots.forest_data import ForestChoices, ForestData, ForestRow, forest_data
from metaback.plots.forest_layouts import LAYOUTS
from metaback.plots.forest_pages import pages_of
from metaback.plots.multilevel_forest_data import multilevel_forest_data
from metaback.plots.report_figures import LeftOut, report_figures
from metaback.plots.save import svg_text
from metaback.plots.style import Style, drawing
from metaback.plots.subset_forest_data import cumulative_forest_data, leave_one_out_forest_data
from metaback.postestimation.cumulative import cumulative
from metaback.postestimation.leave_one_out import leave_one_out
from metaback.postestimation.multilevel_pool import as_pool
from metaback.postestimation.row_names import row_names

DATA = Path(__file__).parents[1] / "reference" / "dependent" / "data.json"
R_TOLERANCE = 1e-7  # relative: rma.mv stops its search when the restricted likelihood is that flat
EXACT = 1e-12  # sums of a few numbers
HAIR = 0.005  # inches that two boxes may share: the slack of painted glyphs
AIR = 0.01  # inches that stand at least between two texts of one line
OUTCOMES = ("pain", "disability", "quality of life", "mood", "sleep")
LONG = [
    "The Extraordinarily Long-Winded Collaborative Group for the Study of Exercise in Chronic Low Back Pain 2011",
    "X" * 120, "<script>alert(1)</script> $x_1$", "אבג דהו 2003", "محمد 2005", "b\u202e\u0007 c\td\ne", "日本語 🧪",
]  # fmt: skip


@cache
def konstantopoulos() -> pd.DataFrame:
    """Konstantopoulos 2011: 56 schools in 11 districts."""
    return pd.DataFrame(json.loads(DATA.read_text())["sets"]["konstantopoulos2011"]["columns"])


@cache
def by_district() -> Any:
    """Pool the schools by the working model of districts; without the years, which would keep schools apart."""
    table = konstantopoulos()[["district", "school", "yi", "vi"]].rename(columns={"district": "study"})
    return mb.pool(table)


def table(studies: int, effects: int, *, single: int = 0, labels: list[str] | None = None) -> pd.DataFrame:
    """Make studies with several outcomes, and some with one, from a fixed stream."""
    rng = np.random.default_rng(100 * studies + effects)
    rows: list[dict[str, Any]] = []
    for s in range(studies + single):
        center, v = rng.normal(-0.3, 0.3), rng.uniform(0.01, 0.12)
        rows += [
            {
                "study": labels[s % len(labels)] if labels else f"Author-{s} {1985 + s % 38}",
                "outcome": OUTCOMES[j],
                "yi": round(rng.normal(center, v**0.5), 3),
                "vi": round(v * rng.uniform(0.8, 1.3), 4),
                "region": ("Europe", "Asia")[(s + j) % 2],
                "dose": f"{s} mg twice daily with food",
                "rob_1": "low" if s % 2 else "high",
                "rob_overall": ("low", "some concerns", "high")[(s + j) % 3],
            }
            for j in range(effects if s < studies else 1)
        ]
    return pd.DataFrame(rows)


def shown(result: Any, **choices: Any) -> ForestData:
    return forest_data(result.analysis, ForestChoices(**choices))


def kinds(data: ForestData) -> list[str]:
    return [row.kind for row in data.rows]


def heads(data: ForestData) -> list[ForestRow]:
    return [row for row in data.rows if row.kind == "study_mean"]


def faults(figure: Figure) -> list[str]:
    """List texts that overlap, touch within a line, or reach beyond the figure."""
    with drawing(Style()):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
        found = [(t.get_text(), t.get_window_extent(canvas.get_renderer()).extents / figure.dpi) for t in texts]
    x0, y0, x1, y1 = np.array([extent for _, extent in found]).T
    width, height = figure.get_size_inches()
    wide = np.minimum(x1[:, None], x1) - np.maximum(x0[:, None], x0)
    high = np.minimum(y1[:, None], y1) - np.maximum(y0[:, None], y0)
    pairs = np.argwhere(np.triu((wide > -AIR) & (high > HAIR), 1))
    out = (x0 < 0) | (y0 < 0) | (x1 > width) | (y1 > height)
    beyond = [found[i][0] for i in np.flatnonzero(out)]
    return [f"{found[i][0]} / {found[j][0]}" for i, j in pairs] + beyond


# ------------------------------------------------------------------------------------------------------- numbers
@pytest.mark.parametrize(
    ("district", "yi", "vi"),  # metafor 3.8-1: aggregate(..., cluster=district, struct="CS", rho=0.6)
    [
        ("11", -0.149770220793, 0.08947200797287),
        ("71", 1.016131450081, 0.00827797138941),
        ("86", -0.028750000000, 0.00065000000000),
    ],
)
def test_the_mean_of_a_study_is_that_of_metafor(district: str, yi: float, vi: float) -> None:
    head = next(row for row in heads(shown(by_district())) if row.label == district)
    half = 1.959963984540054 * vi**0.5
    assert head.estimate == pytest.approx(yi, rel=1e-10)
    assert head.lower == pytest.approx(yi - half, rel=1e-10)
    assert head.upper == pytest.approx(yi + half, rel=1e-10)


def test_weights_are_those_of_the_model_and_a_study_has_their_sum() -> None:
    data = shown(by_district())
    rows = [row.weight for row in data.rows if row.kind == "study"]
    # metafor 3.8-1, type "rowsum", V of vcalc with rho = 0.6, random effects of districts and of schools in them
    expected = [1.416766547330, 0.933869671417, 1.835897370854, 1.481397405169, 1.821395787268]
    assert [rows[i] for i in (0, 2, 11, 33, 55)] == pytest.approx(expected, rel=R_TOLERANCE)
    sums = {row.label: row.weight for row in heads(data)}
    assert sums["86"] == pytest.approx(11.851179241, rel=R_TOLERANCE)
    assert sum(w or 0 for w in sums.values()) == pytest.approx(100, abs=EXACT * 100)


def test_printed_weights_of_effects_add_up_to_that_of_their_study() -> None:
    data = shown(mb.pool(table(9, 4)))
    column = next(i for i, c in enumerate(data.columns) if c.kind == "weight")
    for head in heads(data):
        parts = [float(row.cells[column]) for row in data.rows if row.study == head.label]
        assert float(head.cells[column]) == pytest.approx(sum(parts), abs=1e-9)


def test_two_effects_by_hand() -> None:
    frame = pd.DataFrame(
        {"study": ["A", "A", "B"], "outcome": ["x", "y", "x"], "yi": [0.2, 0.6, 0.1], "vi": [0.04, 0.09, 0.05]}
    )
    head = heads(shown(mb.pool(frame, rho=0.5)))[0]
    c = 0.5 * 0.2 * 0.3
    first = (0.09 - c) / (0.04 + 0.09 - 2 * c)
    variance = (0.04 * 0.09 - c * c) / (0.04 + 0.09 - 2 * c)
    assert head.estimate == pytest.approx(first * 0.2 + (1 - first) * 0.6, abs=EXACT)
    assert (head.upper or 0) - (head.lower or 0) == pytest.approx(2 * 1.959963984540054 * variance**0.5, abs=EXACT)


def test_an_effect_of_negative_weight_has_its_number_and_no_square() -> None:
    frame = pd.DataFrame(
        {
            "study": ["A", "A", "B", "C"], "outcome": ["x", "y", "x", "x"], "yi": [0.20, 0.25, 0.15, 0.22],
            "vi": [0.01, 0.36, 0.02, 0.03],
        }
    )  # fmt: skip
    data = shown(mb.pool(frame, rho=0.9))
    row = next(row for row in data.rows if row.label == "Y")
    assert row.weight is not None
    assert row.weight < 0
    column = next(i for i, c in enumerate(data.columns) if c.kind == "weight")
    assert row.cells[column].startswith("\u2212")
    assert any("Without a square" in note for note in data.footnotes)
    ax = draw_forest(data).axes[0]
    squares = next(c for c in ax.findobj(PathCollection) if c.get_gid() == "squares")
    assert row.estimate not in [x for x, _ in squares.get_offsets().tolist()]
    strokes = next(c for c in ax.findobj(LineCollection) if c.get_gid() == "strokes")
    assert strokes.get_paths()[0].vertices[:, 0].tolist() == [row.estimate] * 2


# ---------------------------------------------------------------------------------------------- who stands where
def test_effects_stand_under_their_study_where_they_are_modelled_as_dependent() -> None:
    data = shown(mb.pool(table(2, 2, single=1)))
    assert kinds(data)[:7] == ["study_mean", "study", "study", "study_mean", "study", "study", "study"]
    assert [row.label for row in data.rows[:3]] == ["Author-0 1985", "Pain", "Disability"]
    assert [row.level for row in data.rows[:7]] == [0, 1, 1, 0, 1, 1, 0]
    assert data.rows[1].study == "Author-0 1985"
    assert data.rows[6].label == "Author-2 1987"
    assert data.rows[6].study == ""


def test_by_study_overrides_what_the_pool_does() -> None:
    frame = table(3, 2)
    alone = shown(mb.pool(frame), by_study=False)
    assert not heads(alone)
    assert alone.rows[0].label == "Author-0 1985a"
    naive = mb.pool(frame, independent=True)
    assert not heads(shown(naive))
    data = shown(naive, by_study=True)
    assert len(heads(data)) == 3
    assert any("A working model of it gives" in note for note in data.footnotes)
    with pytest.raises(OptionError, match="by_study"):
        shown(naive, by_study="yes")
    single = table(0, 1, single=4)
    assert not heads(shown(mb.pool(single), by_study=True))


def test_a_study_of_two_subgroups_stands_in_both() -> None:
    frame = table(4, 4)
    data = shown(mb.pool(frame, by="region"))
    labels = [row.label for row in heads(data)]
    assert len(labels) == 8
    assert labels[:4] == labels[4:]
    assert {row.level for row in heads(data)} == {1}
    assert {row.level for row in data.rows if row.kind == "study"} == {2}
    first = [row.label for row in data.rows if row.kind == "study"][:2]
    assert first == ["Pain", "Quality of life"]
    subtotal = next(row for row in data.rows if row.kind == "subtotal")
    inside = [row.weight or 0 for row in data.rows if row.kind == "study"][:8]
    assert subtotal.weight == pytest.approx(sum(inside), rel=1e-12)


def test_studies_are_sorted_as_a_whole() -> None:
    result = mb.pool(table(6, 3, single=2))
    data = shown(result, sort="effect")
    order = [row.estimate for row in data.rows if row.kind == "study_mean" or (row.kind == "study" and not row.study)]
    assert order == sorted(order)
    within: dict[str, list[float]] = {}
    for row in data.rows:
        if row.study:
            within.setdefault(row.study, []).append(row.estimate or 0)
    assert len(within) == 6
    assert all(values == sorted(values) for values in within.values())
    heavy = shown(result, sort="weight")
    sums = [row.weight for row in heavy.rows if row.kind == "study_mean" or (row.kind == "study" and not row.study)]
    assert sums == sorted(sums, reverse=True)
    names = [row.label for row in heads(shown(result, sort="label", descending=True))]
    assert names == sorted(names, reverse=True)


def test_an_effect_that_cannot_be_estimated_keeps_its_place_and_reason() -> None:
    frame = table(2, 2)
    frame.loc[1, "vi"] = np.nan
    data = shown(mb.pool(frame))
    assert kinds(data)[:3] == ["study_mean", "study", "not_estimable"]
    assert data.rows[0].estimate is None
    assert data.rows[2].label == "Disability"
    assert any("Author-0 1985: Disability" in note for note in data.footnotes)


def test_judgements_of_a_study_are_shown_once_where_they_agree() -> None:
    frame = table(3, 2)
    frame["rob_overall"] = np.repeat(["low", "high", "low"], 2)
    data = shown(mb.pool(frame), risk_of_bias="RoB 2")
    assert all(row.judgements for row in heads(data))
    assert not any(row.judgements for row in data.rows if row.study)
    frame.loc[0, "rob_overall"] = "high"
    data = shown(mb.pool(frame), risk_of_bias="RoB 2")
    assert not data.rows[0].judgements
    assert all(row.judgements for row in data.rows if row.study == data.rows[0].label)


# --------------------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ({"outcome": ["pain", "function"]}, ("Pain", "Function")),
        ({"outcome": ["pain", "pain"], "weeks": [1, 12]}, ("1 week", "12 weeks")),
        (
            {"outcome": ["pain", "pain"], "instrument": ["VAS", "NRS"], "weeks": [4, 8]},
            ("VAS, 4 weeks", "NRS, 8 weeks"),
        ),
        ({"treatment_1": ["yoga_class", "walking"], "treatment_2": ["usual_care"] * 2}, ("Yoga class", "Walking")),
        ({"treatment_1": ["a", "b"], "treatment_2": ["b", "c"]}, ("A vs b", "B vs c")),
        ({"outcome": ["pain", "pain"]}, ("row 2", "row 3")),
        ({"outcome": ["pain", ""]}, ("Pain", "row 3")),
        ({"school": [3, 7]}, ("School 3", "School 7")),
        ({"site": ["Oslo", "Bergen"]}, ("Oslo", "Bergen")),
        ({"dose": [1.5, 2.5]}, ("row 2", "row 3")),
    ],
)
def test_effects_are_named_by_what_tells_them_apart(columns: dict[str, list[Any]], names: tuple[str, ...]) -> None:
    frame = pd.DataFrame({"study": ["A", "A"], "yi": [0.1, 0.2], "vi": [0.1, 0.1], **columns})
    effects = mb.effect_sizes(mb.read_trials(frame))
    found = row_names(effects, np.array([0, 0]))
    assert found == tuple(name.replace("row 2", effects.rows[0]).replace("row 3", effects.rows[1]) for name in names)


# --------------------------------------------------------------------------------------------------------- words
def test_the_total_names_the_model_and_the_naive_result_stands_beside_it() -> None:
    result = by_district()
    data = shown(result)
    total = next(row for row in data.rows if row.kind == "total")
    assert total.label == "Total (three-level, REML, robust)"
    assert (total.estimate, total.lower, total.upper) == (
        result.estimate.point, result.estimate.lower, result.estimate.upper,
    )  # fmt: skip
    prediction = next(row for row in data.rows if row.kind == "prediction")
    assert prediction.label == "95% prediction interval: a new effect of a new study"
    assert "ρ = 0.6" in data.footnotes[0]
    assert "CR2" in data.footnotes[0]
    assert f"df = {result.estimate.df:.1f};" in data.footnotes[0]
    naive = result.analysis.working.naive.mean
    assert data.footnotes[1].startswith(f"As if rows were independent: {naive.point:.2f} [")
    spread = next(row.label for row in data.rows if row.label.startswith("Heterogeneity"))
    between, within = (part.tau2 for part in result.analysis.working.components)
    assert f"between studies\u00a0{between:.3f}, within studies\u00a0{within:.3f}" in spread
    assert "three-level model" in data.alt


def test_one_study_of_several_effects_and_too_few_for_a_prediction() -> None:
    one = shown(mb.pool(table(1, 3)))
    assert next(row for row in one.rows if row.kind == "total").label == "One study, its effects taken together"
    assert "prediction" not in kinds(one)
    two = shown(mb.pool(table(2, 2)))
    assert "Prediction interval: not estimable (2 studies)." in two.footnotes
    assert "below 4 it is only roughly right" in two.footnotes[0]


def test_the_given_covariance_is_named() -> None:
    es = mb.sampling_covariance(mb.effect_sizes(mb.read_trials(table(4, 2))), rho=0.3).with_effects()
    data = shown(mb.pool(es))
    assert "the sampling covariance that came with the effects" in data.footnotes[0]


# ------------------------------------------------------------------------------------------------------- drawing
CASES: dict[str, tuple[pd.DataFrame, str | None]] = {
    "two of two": (table(2, 2), None),
    "mixed": (table(5, 3, single=4), None),
    "subgroups": (table(5, 4, single=3), "region"),
    "hostile": (table(7, 2, labels=LONG), None),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES)
def test_no_texts_touch_in_any_layout(layout: str, case: str) -> None:
    frame, by = CASES[case]
    data = shown(mb.pool(frame, by=by), layout=layout, columns={"dose": ("Dose", "right")}, risk_of_bias="RoB 2")
    assert heads(data)
    assert faults(draw_forest(data)) == []


@pytest.mark.parametrize("studies", [40, 60])
def test_hundreds_of_effects_do_not_touch(studies: int) -> None:
    assert faults(draw_forest(shown(mb.pool(table(studies, 5)), sort="effect"))) == []


@pytest.mark.parametrize("width", ["single", "double", 5.0])
def test_every_width_keeps_texts_apart(width: str | float) -> None:
    frame, by = CASES["subgroups"]
    assert faults(draw_forest(shown(mb.pool(frame, by=by), layout="plain"), width=width)) == []


def test_means_are_open_diamonds_with_tips_and_effects_are_paler() -> None:
    data = shown(mb.pool(table(3, 2, single=1)))
    figure = draw_forest(data)
    ax = figure.axes[0]
    diamonds = next(c for c in ax.findobj(PolyCollection) if c.get_gid() == "study-means")
    spans = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in diamonds.get_paths()]
    assert spans == [(row.lower, row.upper) for row in heads(data)]
    assert diamonds.get_facecolor().tolist() == [[1.0, 1.0, 1.0, 1.0]]
    squares = next(c for c in ax.findobj(PathCollection) if c.get_gid() == "squares")
    light = squares.get_facecolor()[:, :3].sum(axis=1)
    assert light[0] == light[5] > light[6]
    svg = svg_text(figure, "f")
    assert "<title>Author-0 1985, Pain: " in svg
    assert svg.count("<title>Author-0 1985: ") == 1


def test_plain_forests_have_no_marks_of_studies() -> None:
    ax = draw_forest(shown(mb.pool(table(0, 1, single=5)))).axes[0]
    gids = {c.get_gid() for c in ax.collections}
    assert not gids & {"study-means", "strokes"}


# --------------------------------------------------------------------------------------------------------- pages
def rows_of_pages(result: Any, rows: int) -> list[tuple[ForestRow, ...]]:
    return [page.rows for page in pages_of(shown(result), rows)]


@pytest.mark.parametrize("rows", [8, 20, 45])
def test_a_study_is_on_one_page_where_a_page_can_hold_it(rows: int) -> None:
    result = mb.pool(table(20, 4, single=5))
    pages = rows_of_pages(result, rows)
    assert len(pages) > 1
    for page in pages:
        assert page[0].study == ""
        assert page[-1].kind != "study_mean"
        for head in (row for row in page if row.kind == "study_mean"):
            assert sum(row.study == head.label for row in page) == 4
    every = [row for page in pages for row in page]
    assert sum(row.kind == "study" for row in every) == 85


def test_a_study_longer_than_a_page_goes_on_under_its_name() -> None:
    frame = table(2, 5)
    frame = pd.concat([frame.assign(weeks=w) for w in (4, 8, 12)], ignore_index=True)
    pages = rows_of_pages(mb.pool(frame), 10)
    second = pages[1]
    assert second[0].kind == "study_mean"
    assert second[0].label == "Author-0 1985 (continued)"
    assert second[0].estimate is None
    assert second[1].study == "Author-0 1985"
    assert sum(row.kind == "study" for page in pages for row in page) == 30


def test_pages_of_subgroups_repeat_both_heads() -> None:
    frame = table(3, 5)
    frame = pd.concat([frame.assign(weeks=w) for w in (4, 8, 12)], ignore_index=True).assign(region="Asia")
    frame.loc[0, "region"] = "Europe"
    pages = rows_of_pages(mb.pool(frame, by="region"), 9)
    starts = [[row.label for row in page[:2]] for page in pages if page[0].label.endswith("(continued)")]
    assert ["Asia (continued)", "Author-0 1985 (continued)"] in starts
    for figure in draw_forest_pages(shown(mb.pool(frame, by="region")), rows=20):
        assert faults(figure) == []


# ---------------------------------------------------------------------------------------------- multilevel models
def test_a_multilevel_model_has_the_weights_of_metafor() -> None:
    fit = mb.multilevel(konstantopoulos(), "~ 1 | district/school")
    found = as_pool(fit.analysis)
    weights = found.analysis.overall.weights
    # metafor 3.8-1, type "rowsum", sampling errors independent
    expected = [1.82464144231, 1.55621543564, 1.82883523207, 1.29001978872, 2.09908209709]
    assert weights[[0, 2, 11, 33, 55]] == pytest.approx(expected, rel=R_TOLERANCE)
    assert float(weights @ fit.effects.yi) / 100 == pytest.approx(fit.estimate.point, abs=EXACT)
    # the study mean: aggregate of metafor with struct "ID"
    data = multilevel_forest_data(fit.analysis)
    first = heads(data)[0]
    assert first.estimate == pytest.approx(-0.125687022901, rel=1e-10)
    assert ((first.upper or 0) - (first.estimate or 0)) ** 2 == pytest.approx(1.959963984540054**2 * 0.03242748091603)


def test_a_multilevel_forest_groups_by_the_clusters_of_the_model() -> None:
    fit = mb.multilevel(konstantopoulos(), "~ 1 | district/school")
    data = multilevel_forest_data(fit.analysis)
    assert data.label_head == "District"
    assert len(heads(data)) == 11
    assert [row.label for row in data.rows[:3]] == ["District 11", "Study 1", "Study 2"]
    total = next(row for row in data.rows if row.kind == "total")
    assert total.label == "Mean (multilevel, REML)"
    assert total.upper == fit.estimate.upper
    prediction = next(row for row in data.rows if row.kind == "prediction")
    low, high = fit.predict()[["pi_low", "pi_high"]].iloc[0]
    assert (prediction.lower, prediction.upper) == (low, high)
    assert prediction.label.endswith("a new effect of a new district")
    assert "~ 1 | district/school" in data.footnotes[0]
    assert isinstance(fit.forest(), Figure)
    assert not heads(multilevel_forest_data(fit.analysis, ForestChoices(by_study=False)))


def test_a_multilevel_forest_shows_rows_that_are_not_in_use() -> None:
    frame = konstantopoulos().assign(district=lambda f: f["district"].astype(str))
    frame.loc[1, "vi"] = np.nan
    frame.loc[2, "vi"] = np.nan
    data = multilevel_forest_data(mb.multilevel(frame, "~ 1 | district/effect").analysis)
    assert kinds(data).count("not_estimable") == 2
    assert kinds(data).count("study") == 54


def test_a_working_model_of_multilevel_and_robust_limits() -> None:
    frame = table(8, 3)
    fit = mb.multilevel(frame, "CHE", rho=0.6)
    data = multilevel_forest_data(fit.analysis)
    pooled = shown(mb.pool(frame, rho=0.6))
    assert [row.estimate for row in heads(data)] == pytest.approx([row.estimate for row in heads(pooled)], abs=EXACT)
    weights = [[row.weight for row in found.rows if row.kind == "study"] for found in (data, pooled)]
    assert weights[0] == pytest.approx(weights[1], rel=1e-6)
    assert next(row for row in data.rows if row.kind == "total").label == "Mean (CHE, REML, CR2)"
    assert faults(fit.forest()) == []


def test_models_without_a_single_mean_are_refused_and_factors_have_no_prediction() -> None:
    with pytest.raises(OptionError, match="one mean"):
        mb.multilevel(konstantopoulos(), "~ 1 | district/school", formula="~ year").forest()
    frame = table(12, 2)
    data = multilevel_forest_data(mb.multilevel(frame, "~ outcome | study", struct="CS").analysis)
    assert "prediction" not in kinds(data)
    assert len(heads(data)) == 12


# -------------------------------------------------------------------------------------- forests of parts of a pool
def test_forests_of_parts_have_a_row_for_each_study() -> None:
    analysis = mb.pool(table(5, 2, single=1).assign(year=lambda f: f["study"].str[-4:])).analysis
    out = leave_one_out_forest_data(analysis, leave_one_out(analysis))
    assert out.label_head == "Without this study"
    assert [row.label.removesuffix(" \u2021") for row in out.rows[:2]] == ["Author-0 1985", "Author-1 1986"]
    assert sum(row.kind == "study" for row in out.rows) == 6
    steps = cumulative_forest_data(analysis, cumulative(analysis, order="year"))
    assert [row.label for row in steps.rows[:2]] == ["Author-0 1985 (2 effects)", "Author-1 1986 (2 effects)"]
    assert [row.cells[0] for row in steps.rows[:6]] == ["2", "4", "6", "8", "10", "11"]
    for data in (out, steps):
        total = next(row for row in data.rows if row.kind == "total")
        assert total.label == "All (three-level, REML, robust)"
        assert any(note.startswith("As if rows were independent") for note in data.footnotes)


def test_a_report_says_of_two_studies_that_no_row_would_be_a_pool() -> None:
    found = {part.key: part for part in report_figures(mb.pool(table(2, 3)).analysis)}
    part = found["leave-one-out"]
    assert isinstance(part, LeftOut)
    assert part.why.endswith("with 2 studies each row would be a single study.")


@pytest.mark.parametrize("independent", [False, True])
def test_people_of_several_rows_are_not_added_up(independent: bool) -> None:
    """The total of a column would count the people of Ito twice; taken as independent, rows are other people."""
    frame = pd.DataFrame(
        {
            "study": ["Ito", "Ito", "Lund"], "outcome": "pain", "weeks": [8, 26, 8], "n_1": [30, 30, 40],
            "mean_1": [4.0, 4.2, 4.1], "sd_1": 1.2, "n_2": [31, 31, 42], "mean_2": [5.0, 5.1, 5.3], "sd_2": 1.3,
        }
    )  # fmt: skip
    data = forest_data(mb.pool(frame, measure="MD", independent=independent).analysis)
    (total,) = (row for row in data.rows if row.kind == "total")
    assert ("100" in total.cells) == ("104" in total.cells) == independent


def test_a_study_in_two_subgroups_keeps_its_name() -> None:
    """One study is not made two by letters after its year, which would say two publications."""
    frame = {"study": ["Berg 2012", "Berg 2012", "Chou 2013"], "weeks": [8, 26, 8], "yi": [0.1, 0.2, 0.4], "vi": 0.03}
    data = forest_data(mb.pool(pd.DataFrame(frame), by="weeks").analysis)
    assert [row.label for row in data.rows if row.kind == "study"] == ["Berg 2012", "Chou 2013", "Berg 2012"]
