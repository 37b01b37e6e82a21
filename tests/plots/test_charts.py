"""Funnel, Baujat, radial, L'Abbe, bubble and drapery: their numbers, their words, and that no text touches another."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

import metaback as mb
from metaback.errors import EstimationError, OptionError
from metaback.plots.baujat_data import baujat_data
from metaback.plots.bubble_data import bubble_data
from metaback.plots.chart_data import NAMED, span
from metaback.plots.drapery_data import drapery_data
from metaback.plots.funnel_data import funnel_data
from metaback.plots.labbe_data import labbe_data
from metaback.plots.radial_data import radial_data
from metaback.plots.registry import FIGURES, figures_of, option_names
from metaback.plots.save import figure_bytes, svg_text

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "figures.json").read_text())
METAFOR = 1e-9  # metafor 3.8-1 with a step tolerance of 1e-14 has tau2 to about 11 digits
DELETED = 1e-7  # the squared change without a study is a difference of two means, which costs it digits
TOUCH = 1.5  # pixels at 100 dots per inch that boxes of lines above each other may share: ascenders that no letter has
HOSTILE = "Łukasiewicz-Villanueva & <b>Ó'Súilleabháin</b> $x^2$ ]]> a very long name "
BCG = pd.DataFrame(
    {
        "study": [f"Trial {i}" for i in range(1, 14)],
        "events_1": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
        "n_1": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716, 50634, 2498, 16913],
        "events_2": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
        "n_2": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665, 27338, 2341, 17854],
        "ablat": [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33],
        "year": [1948, 1949, 1960, 1977, 1973, 1953, 1973, 1980, 1968, 1961, 1974, 1969, 1976],
        "alloc": ["random"] * 4 + ["alternate"] * 2 + ["random"] * 3 + ["systematic"] * 4,
    }
)


def table(k: int, *, hostile: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(k)
    s = rng.uniform(0.06, 0.5, k)
    names = [(HOSTILE if hostile and i % 2 else "Author ") + str(1900 + i) for i in range(k)]
    columns = {"study": names, "yi": rng.normal(0.3, 0.3, k) + rng.normal(0, s), "sei": s}
    return pd.DataFrame({**columns, "dose": rng.uniform(1, 20, k), "group": np.arange(k) % 3})


def pooled(frame: pd.DataFrame, **choices: Any) -> mb.Result:
    return mb.pool(frame, effect="yi", se="sei", study="study", **choices)


@cache
def bcg(measure: str = "RR", **choices: Any) -> mb.Result:
    return mb.pool(BCG, measure=measure, preset="metafor", **choices)


@cache
def regression(formula: str) -> mb.Regression:
    return mb.regress(BCG, formula, measure="RR", preset="metafor", pi="z")


# ---------------------------------------------------------------- numbers


def test_funnel_has_the_points_of_metafor_and_normal_contours() -> None:
    data = funnel_data(bcg().analysis)
    assert data.effect == pytest.approx(REFERENCE["funnel"]["x"], rel=METAFOR)
    assert data.height == pytest.approx(REFERENCE["funnel"]["y"], rel=METAFOR)
    assert [band.p for band in data.contours] == [0.1, 0.05, 0.01]
    end = data.grid[-1]
    assert data.contours[1].high[-1] == pytest.approx(1.959963984540054 * end)
    assert data.limits is not None
    assert data.limits.low[-1] == pytest.approx(data.pooled - 1.959963984540054 * end)
    assert data.limits.low[0] == data.limits.high[0] == data.pooled == bcg().estimate.point
    assert (data.y.low, data.y.inverted, data.x.null, data.x.back) == (0.0, True, 0.0, "exp")
    outside = np.abs(data.effect - data.pooled) > 1.959963984540054 * data.height
    assert tuple(outside.tolist()) == data.outside
    assert set(data.named) == set(np.flatnonzero(outside).tolist())


def test_funnel_of_precision_is_the_same_curve_turned_over() -> None:
    data = funnel_data(bcg().analysis, y="precision")
    assert data.limits is not None
    assert data.height == pytest.approx(1 / funnel_data(bcg().analysis).height)
    assert (data.limits.high - data.pooled) * data.grid == pytest.approx(np.full(data.grid.size, 1.959963984540054))
    assert not data.y.inverted


def test_funnel_of_participants_has_no_lines_that_need_a_standard_error() -> None:
    data = funnel_data(bcg().analysis, y="size")
    assert data.height[0] == 123 + 139
    assert data.limits is None
    assert data.contours == ()
    assert any("not drawn against participants" in note for note in data.footnotes)
    with pytest.raises(OptionError, match="participants of every pooled row"):
        funnel_data(pooled(table(5)).analysis, y="size")


def test_funnel_of_shares_has_no_contours_of_no_effect() -> None:
    frame = pd.DataFrame({"events": [3, 5, 8, 13], "n": [40, 60, 50, 80]})
    data = funnel_data(mb.pool(frame, measure="PLO").analysis)
    assert data.contours == ()
    assert data.x.null is None
    assert any(note.startswith("No contours") for note in data.footnotes)


def test_a_funnel_of_few_studies_says_that_it_must_not_be_read() -> None:
    assert funnel_data(pooled(table(10)).analysis).warning == ""
    data = funnel_data(pooled(table(9)).analysis)
    assert data.warning.startswith("Not to be read for asymmetry: 9 studies, fewer than 10.")
    assert "Not to be read" in data.alt
    drawn = " ".join(text.get_text() for text in pooled(table(9)).figure("funnel").findobj(Text))  # type: ignore[attr-defined]
    assert "Not to be read for asymmetry: 9 studies, fewer than 10." in drawn
    doubled = pd.concat([table(6), table(6).assign(yi=lambda f: f["yi"] + 0.1)])
    assert "6 studies" in funnel_data(pooled(doubled).analysis).warning, "12 effects of 6 studies are 6 studies"


def test_baujat_has_the_points_of_metafor() -> None:
    data = baujat_data(bcg().analysis)
    assert data.heterogeneity == pytest.approx(REFERENCE["baujat"]["x"], rel=METAFOR)
    assert data.influence == pytest.approx(REFERENCE["baujat"]["y"], rel=DELETED)
    assert len(data.named) == 13


def test_radial_has_the_points_of_metafor() -> None:
    data = radial_data(bcg().analysis)
    assert data.precision == pytest.approx(REFERENCE["radial"]["x"], rel=METAFOR)
    assert data.z == pytest.approx(REFERENCE["radial"]["y"], rel=METAFOR)
    equal = radial_data(bcg(model="equal").analysis)
    assert equal.precision == pytest.approx(1 / np.sqrt(bcg().effects.vi))


def test_bubble_has_the_line_and_the_bands_of_metafor() -> None:
    data = bubble_data(regression("~ ablat").analysis)
    assert data.grid[[0, -1]] == pytest.approx([13, 55])
    for name, values in REFERENCE["ablat"].items():
        assert getattr(data, name)[[0, -1]] == pytest.approx(values, rel=METAFOR), name
    assert data.weight.sum() == pytest.approx(100)
    assert "fitted effect 0.88 [0.63, 1.23] at 13" in data.alt


def test_bubble_holds_other_moderators_at_their_means_and_says_so() -> None:
    data = bubble_data(regression("~ ablat + year").analysis, of="ablat")
    for name, values in REFERENCE["ablat_at_mean_year"].items():
        assert getattr(data, name)[[0, -1]] == pytest.approx(values, rel=METAFOR), name
    assert any("year held at the mean" in note for note in data.footnotes)
    assert not any("held at" in note for note in bubble_data(regression("~ ablat").analysis).footnotes)


def test_bubble_of_a_factor_is_strips_with_the_adjusted_means() -> None:
    fit = regression("~ alloc + ablat")
    data = bubble_data(fit.analysis, of="alloc")
    assert data.strips
    assert data.x.levels == ("alternate", "random", "systematic")
    assert data.mean == pytest.approx(fit.adjusted_means("alloc")["estimate"].to_numpy())
    nearest = np.rint(data.at).astype(int)
    assert [data.x.levels[i] for i in nearest] == BCG["alloc"].tolist()


def test_bubble_tells_no_slope_of_a_product() -> None:
    assert "Slope" in bubble_data(regression("~ ablat").analysis).alt
    assert "Slope" not in bubble_data(regression("~ ablat * alloc").analysis).alt


def test_levels_too_long_for_their_strips_are_numbered_in_a_note() -> None:
    frame = table(30).assign(g=[f"a level with a very long name {i % 6}" for i in range(30)])
    fit = mb.regress(frame, "~ g", effect="yi", se="sei", study="study")
    drawn = [text.get_text() for text in fit.figure("bubble", width=3.35).findobj(Text)]  # type: ignore[attr-defined]
    assert {"1", "2", "3", "4", "5", "6"} <= set(drawn)
    assert "6 a level with a very long name 5" in " ".join(drawn)


def test_an_axis_without_natural_numbers_tells_both() -> None:
    frame = pd.DataFrame({"events": [3, 5, 8, 13], "n": [40, 60, 50, 80]})
    res = mb.pool(frame, measure="PFT")
    data = funnel_data(res.analysis)
    assert data.x.back == "identity"
    assert data.x.title == "Proportion, on the double arcsine scale"
    assert data.pooled_text.endswith(f"({res.estimate.point:.2f} on this axis)")


def test_labbe_has_observed_risks_and_the_curve_of_the_measure() -> None:
    for measure in ("RR", "OR", "RD"):
        data = labbe_data(bcg(measure).analysis)
        assert data.risk_1[0] == pytest.approx(100 * 4 / 123)
        assert data.risk_2[0] == pytest.approx(100 * 11 / 139)
        i = 150
        p, effect = data.grid[i] / 100, bcg(measure).estimate.point
        odds = p / (1 - p) * np.exp(effect)
        expected = {"RR": p * np.exp(effect), "RD": p + effect, "OR": odds / (1 + odds)}[measure]
        assert data.curve[i] == pytest.approx(100 * expected)
        assert data.low[i] < data.curve[i] < data.high[i]


def test_labbe_shows_rows_that_are_not_pooled_as_crosses() -> None:
    frame = BCG.copy()
    frame.loc[0, ["events_1", "events_2"]] = 0
    data = labbe_data(mb.pool(frame, measure="OR", preset="revman5").analysis)
    assert np.isnan(data.weight[0])
    assert (data.risk_1[0], data.risk_2[0]) == (0, 0)
    assert any("1 row with counts but without an effect" in note for note in data.footnotes)


def test_drapery_curves_are_the_p_values_of_the_package() -> None:
    res = bcg(ci="HKSJ")
    data = drapery_data(res.analysis)
    assert data.pooled is not None
    assert np.interp(0.0, data.grid, data.pooled) == pytest.approx(res.p_value, rel=0.02), "read off a grid"
    for end in data.ci:
        assert data.pooled[int(np.argmin(np.abs(data.grid - end)))] == pytest.approx(0.05, abs=1e-12)
    assert data.pooled.max() == 1.0
    assert data.studies.shape == (13, data.grid.size)
    assert (data.studies.max(axis=1) == 1.0).all()


def test_drapery_without_a_curve_says_so() -> None:
    data = drapery_data(bcg(ci="PL").analysis)
    assert data.pooled is None
    assert any(note.startswith("No curve for the pool") for note in data.footnotes)
    bcg(ci="PL").figure("drapery")


# ---------------------------------------------------------------- refusals and options


@pytest.mark.parametrize("kind", ["funnel", "baujat", "radial", "drapery"])
def test_one_study_is_refused_in_words(kind: str) -> None:
    with pytest.raises(EstimationError, match=r"1 effect|one effect"):
        pooled(table(1)).figure(kind)


def test_labbe_refuses_what_it_cannot_show() -> None:
    with pytest.raises(OptionError, match="risks of two arms"):
        pooled(table(5)).figure("labbe")
    frame = pd.DataFrame({"yi": [0.1, 0.2], "sei": [0.1, 0.2], "study": ["a", "b"]})
    ready = mb.pool(frame, measure="RR", effect="yi", se="sei", study="study")
    with pytest.raises(OptionError, match="events and totals of both arms"):
        ready.figure("labbe")
    with pytest.raises(EstimationError, match="there is 1 effect"):
        mb.pool(BCG.iloc[:1], measure="RR").figure("labbe")


def test_bubble_needs_a_moderator() -> None:
    with pytest.raises(OptionError, match="this regression has none"):
        regression("~ 1").figure("bubble")
    with pytest.raises(OptionError, match=r"of=.ablatt. is not known .did you mean .ablat."):
        regression("~ ablat").figure("bubble", of="ablatt")


def test_unknown_words_list_the_known_ones() -> None:
    res = bcg()
    with pytest.raises(OptionError, match=r"kind='funel' is not known .did you mean 'funnel'"):
        res.figure("funel")
    with pytest.raises(OptionError, match="'bubble' is a figure of a meta-regression; of a pool there are: "):
        res.figure("bubble")
    with pytest.raises(OptionError, match=r"figure 'funnel' has no option 'z'; its options: y, contours, names"):
        res.figure("funnel", z=1)
    with pytest.raises(OptionError, match="names='Trial 99' is not known"):
        res.figure("funnel", names=["Trial 99"])
    with pytest.raises(OptionError, match="y='variance' is not known"):
        res.figure("funnel", y="variance")
    with pytest.raises(OptionError, match=r"5.0 is no P value"):
        res.figure("funnel", contours=(5.0,))


def test_names_are_chosen() -> None:
    analysis = pooled(table(50)).analysis
    assert funnel_data(analysis, names="none").named == ()
    assert len(funnel_data(analysis, names="all").named) == 50
    assert funnel_data(analysis, names=["Author 1903"]).named == (3,)
    assert len(baujat_data(pooled(table(200)).analysis).named) == NAMED
    assert any(f"{NAMED} furthest out of 200" in note for note in baujat_data(pooled(table(200)).analysis).footnotes)


def test_a_span_holds_its_values_and_is_never_empty() -> None:
    assert span([2.0, 2.0]) == (1.0, 3.0)
    assert span(None) == (-1.0, 1.0)


# ---------------------------------------------------------------- pictures

DRAWN: dict[str, Callable[[int], Figure]] = {
    "funnel": lambda k: pooled(table(k, hostile=True)).figure("funnel"),
    "funnel all": lambda k: pooled(table(k, hostile=True)).figure("funnel", names="all"),
    "funnel precision": lambda k: pooled(table(k)).figure("funnel", y="precision", title="A title\nof two $lines$"),
    "baujat": lambda k: pooled(table(k, hostile=True)).figure("baujat"),
    "radial": lambda k: pooled(table(k)).figure("radial", names="all"),
    "drapery": lambda k: pooled(table(k)).figure("drapery"),
    "bubble": lambda k: fitted(k, "~ dose").figure("bubble"),
    "bubble strips": lambda k: fitted(k, "~ dose + C(group)").figure("bubble", of="group"),
}


def fitted(k: int, formula: str) -> mb.Regression:
    return mb.regress(table(k, hostile=True), formula, effect="yi", se="sei", study="study")


@pytest.mark.parametrize("k", [7, 50, 200])
@pytest.mark.parametrize("name", DRAWN)
def test_no_text_touches_another_or_leaves_the_page(name: str, k: int) -> None:
    figure = DRAWN[name](k)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts]  # type: ignore[attr-defined]
    width, height = canvas.get_width_height()
    for words, box in boxes:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -TOUCH, words
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= TOUCH or up <= 2 * TOUCH, (one, two)


@pytest.mark.parametrize("name", [name for name in DRAWN if "bubble" not in name])  # no regression of two studies
def test_two_studies_are_drawn(name: str) -> None:
    figure = DRAWN[name](2)
    content = figure_bytes(figure, "svg")
    assert len(figure.get_label()) > 40  # type: ignore[arg-type]  # the text alternative
    page = minidom.parseString(content).documentElement  # noqa: S318  made by ourselves
    assert page.tagName == "svg"
    assert len(page.getElementsByTagName("path")) > 2


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_figure_has_the_same_bytes_and_hostile_names_are_text(name: str) -> None:
    one, two = (svg_text(DRAWN[name](50)) for _ in range(2))
    assert one == two
    minidom.parseString(one)  # noqa: S318  well-formed, made by ourselves
    assert "<b>" not in one


@pytest.mark.parametrize("k", [7, 200])
def test_every_point_has_its_tip(k: int) -> None:
    for kind in ("funnel", "baujat", "radial"):
        figure = pooled(table(k)).figure(kind)
        page = svg_text(figure)
        for i in (0, k - 1):
            assert len(re.findall(f"<title>Author {1900 + i}: ", page)) == 1, kind
    page = svg_text(bcg().figure("labbe"))
    assert "<title>Trial 1: 4/123 (3.3%) vs 11/139 (7.9%)</title></" in page


def test_a_figure_in_given_axes_leaves_the_rest_alone() -> None:
    for kind in ("funnel", "baujat", "radial", "labbe", "drapery"):
        own = Figure(figsize=(8, 3))
        left, right = own.subplots(1, 2)
        right.plot([0, 1], [0, 1])
        assert bcg().figure(kind, ax=left) is own
        assert right.get_xlim() == pytest.approx((-0.05, 1.05))
    own = Figure(figsize=(8, 3))
    left = own.subplots()
    assert regression("~ ablat").figure("bubble", left) is own


def test_every_figure_is_registered_with_a_title_and_a_source() -> None:
    assert {"forest", "funnel", "baujat", "radial", "labbe", "drapery"} <= {e.key for e in figures_of("pool")}
    assert {"bubble", "baujat"} <= {entry.key for entry in figures_of("regression")}
    for entry in FIGURES.entries():
        assert entry.title
        assert entry.facts["of"]
        assert not {"ax", "style"} & set(option_names(entry))


def test_of_very_many_points_none_is_named_and_that_is_told() -> None:
    fit = mb.regress(table(600), "~ dose", effect="yi", se="sei", study="study", model="equal")
    data = bubble_data(fit.analysis)
    assert data.named == ()
    assert any("more than 500 points" in note for note in data.footnotes)
    assert bubble_data(fit.analysis, names=["Author 1903"]).named == (3,)
