"""The drawn forest: nothing overlaps, nothing is cut off, marks stand where the numbers are, bytes repeat."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from metaback.effects.effect_sizes import Context
from metaback.errors import OptionError
from metaback.plots.axis import axis_limits
from metaback.plots.fonts import MISSING, typeface
from metaback.plots.forest import draw_forest
from metaback.plots.forest_data import ForestData, forest_data
from metaback.plots.layout import lay_out
from metaback.plots.panel import diamond
from metaback.plots.save import figure_bytes, save_figure, svg_text
from metaback.plots.style import Style, drawing
from metaback.plots.text import ELLIPSIS, glue, ruler
from metaback.postestimation.summary import Analysis

Make = Callable[..., Analysis]
THIN_SPACE = 0.015  # inches: the narrowest gap is that between an estimate and its bold interval
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "$x_1$ and $$ 2001",
    '<script>alert(\'a\')</script> & "b" url(#x) id="y" 2002',
    "אבג דהו 2003",
    "日本語 研究 🧪 2004",
    "محمد 2005",
    "bidi \u202egnihton\u202c \u0007 bell\ttab\nline 2006",
    "surrogate \ud800 2007",
    "--> ]]> <!-- 2008",
]
LONG = [
    "The Extraordinarily Long-Winded Collaborative Group for the Study of Exercise in Chronic Low Back Pain 2011",
    "X" * 120,
    "Short 2001",
]


def boxes(figure: Figure) -> list[tuple[str, np.ndarray]]:
    """Return the extents of all texts in inches, as painted."""
    with drawing(Style()):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
        return [(t.get_text(), t.get_window_extent(renderer).extents / figure.dpi) for t in texts]


def collisions(figure: Figure) -> list[tuple[str, str]]:
    """List the pairs of texts that overlap, or stand side by side with less than a thin space between them."""
    found = boxes(figure)
    x0, y0, x1, y1 = np.array([extent for _, extent in found]).T
    wide = np.minimum(x1[:, None], x1) - np.maximum(x0[:, None], x0)
    high = np.minimum(y1[:, None], y1) - np.maximum(y0[:, None], y0)
    pairs = np.argwhere(np.triu((wide > -THIN_SPACE) & (high > 0.005), 1))
    return [(found[i][0], found[j][0]) for i, j in pairs]


def outside(figure: Figure) -> list[str]:
    """List the texts that reach beyond the figure."""
    width, height = figure.get_size_inches()
    return [text for text, (x0, y0, x1, y1) in boxes(figure) if x0 < 0 or y0 < 0 or x1 > width or y1 > height]


def events(make: Make, **options: Any) -> Analysis:
    inputs = {"n_1": [29, 53, 15, 15], "events_1": [4, 9, 0, 0], "n_2": [29, 55, 16, 14], "events_2": [9, 15, 3, 0]}
    context = Context("recurrence", "cognitive_behavioural_therapy_for_insomnia", "usual_care", higher_is_better=False)
    return make(
        [-0.8, -0.5, -1.9, math.nan], [0.54, 0.38, 1.47, math.nan], ["Akbari 2008", "Akhtar 2017", "Kamali", "Nejati"],
        scale="log", measure="RR", inputs=inputs, reasons={3: "no events in either arm"}, context=context, **options,
    )  # fmt: skip


@pytest.fixture(
    params=[
        "k1", "k2", "k9", "k9 subgroups", "k50", "k200 raw", "k200 subgroups", "raw subgroups", "counts", "long",
        "hostile", "wide null", "all right of null", "nothing known",
    ]
)  # fmt: skip
def data(request: pytest.FixtureRequest, make: Make, make_tataryn: Make, make_many: Make) -> ForestData:
    ours = Context(
        "pain and disability", "posterior_chain_exercise", "any_other_kind_of_exercise", higher_is_better=True
    )
    makers: dict[str, Callable[[], Analysis]] = {
        "k1": lambda: make([-0.4], [0.2], ["Aasa 2015"], context=ours),
        "k2": lambda: make([-0.4, 0.1], [0.2, 0.3], ["Aasa 2015", "Kell 2009"], context=ours),
        "k9": lambda: make_tataryn(by=None),
        "k9 subgroups": make_tataryn,
        "k50": lambda: make_many(50),
        "k200 raw": lambda: make_many(200, raw=True),
        "k200 subgroups": lambda: make_many(200, groups=7),
        "raw subgroups": lambda: make_many(12, groups=3, raw=True),
        "counts": lambda: events(make),
        "long": lambda: make_many(3, labels=LONG, raw=True),
        "hostile": lambda: make_many(len(HOSTILE), labels=HOSTILE),
        "wide null": lambda: make([-0.3, -0.2, -8, 0.2], [0.2, 0.1, 3, 2], list("abcd"), context=ours, measure="MD"),
        "all right of null": lambda: make([900, 1200], [20, 30], list("ab"), context=ours, measure="MD"),
        "nothing known": lambda: make([0.1, 0.2, 0.4], [0.2] * 3, list("abc"), measure="GEN"),
    }
    return forest_data(makers[request.param]())


def test_no_text_touches_another_or_leaves_the_figure(data: ForestData) -> None:
    figure = draw_forest(data)
    assert collisions(figure) == []
    assert outside(figure) == []


def test_checks_of_the_layout_can_fail() -> None:
    figure = Figure(figsize=(1, 1))
    figure.text(0.5, 0.5, "one")
    figure.text(0.52, 0.52, "two")
    assert collisions(figure) == [("one", "two")]
    figure.text(0.9, 0.1, "too long for this")
    assert outside(figure) == ["too long for this"]


def test_no_text_stands_in_the_panel(make_tataryn: Make) -> None:
    figure = draw_forest(forest_data(make_tataryn()))
    box = figure.axes[0].get_position()
    width, height = figure.get_size_inches()
    inside = [
        text
        for text, (x0, y0, x1, y1) in boxes(figure)
        if x1 > box.x0 * width and x0 < box.x1 * width and y1 > box.y0 * height + 0.001 and y0 < box.y1 * height
    ]
    assert inside == []


def test_bytes_repeat_and_no_figure_stays_registered(make_tataryn: Make, tmp_path: Path) -> None:
    made: list[list[bytes]] = []
    for run in ("a", "b"):
        figure = draw_forest(forest_data(make_tataryn()))
        files = [save_figure(figure, tmp_path / f"{run}.{kind}", dpi=60) for kind in ("svg", "png", "pdf")]
        made.append([file.read_bytes() for file in files])
    assert made[0] == made[1]
    assert made[0][0].startswith(b"<?xml")
    assert made[0][1].startswith(b"\x89PNG")
    assert Gcf.get_all_fig_managers() == []


def test_own_settings_of_the_reader_change_nothing_and_come_back(make_tataryn: Make) -> None:
    data = forest_data(make_tataryn(by=None))
    plain = figure_bytes(draw_forest(data), "svg")
    theirs: Any = {"font.size": 20, "axes.grid": True, "savefig.bbox": "tight", "svg.fonttype": "none"}
    with mpl.rc_context(theirs):
        assert figure_bytes(draw_forest(data), "svg") == plain
        assert mpl.rcParams["font.size"] == 20
        assert mpl.rcParams["svg.fonttype"] == "none"


def test_svg_is_safe_and_unique_in_a_page(make_many: Make) -> None:
    data = forest_data(make_many(len(HOSTILE), labels=HOSTILE))
    figure = draw_forest(data)
    first, second = svg_text(figure, "one", title="A < B", alt=data.alt), svg_text(figure, "two")
    page = ET.fromstring(f"<html>{first}{second}</html>")
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    links = [value[1:] for element in page.iter() for key, value in element.attrib.items() if key.endswith("href")]
    links += re.findall(r"url\(#([^)]*)\)", re.sub(r"<title>.*?</title>", "", first + second))
    assert links
    assert set(links) <= set(ids)
    assert not [element for element in page.iter() if element.tag.endswith(("script", "style", "metadata"))]
    assert first.startswith("<svg")
    assert 'role="img"' in first
    root = page[0]
    assert root.find(f"{SVG}title").text == "A < B"  # type: ignore[union-attr]
    assert root.find(f"{SVG}desc").text == data.alt  # type: ignore[union-attr]


def test_shortened_labels_are_whole_in_the_svg(make_many: Make) -> None:
    labels = [*LONG, "日本 & 2014"]
    svg = svg_text(draw_forest(forest_data(make_many(4, labels=labels))), "f")
    titles = {title.text for title in ET.fromstring(svg).iter(f"{SVG}title")}
    assert {LONG[0], LONG[1]} <= titles
    assert LONG[2] not in titles


def test_texts_are_words_never_formulas(make_many: Make) -> None:
    figure = draw_forest(forest_data(make_many(len(HOSTILE), labels=HOSTILE)))
    assert not [text for text in figure.findobj(Text) if text.get_text() and text.get_parse_math()]
    assert "$x_1$ and $$ 2001" in [text.get_text() for text in figure.findobj(Text)]


def test_characters_without_a_glyph_become_boxes_and_controls_vanish() -> None:
    face = typeface("DejaVu Sans", ["\U000f0000 a"])
    assert face.missing == {"\U000f0000"}
    assert face.printable("\U000f0000 a\u202e\tb\n") == f"{MISSING} a b"


def test_area_of_squares_is_proportional_to_weight(make: Make) -> None:
    data = forest_data(make([0.1, 0.2, 0.3], [0.1, 0.2, 5.0], list("abc")))
    squares = next(c for c in draw_forest(data).axes[0].findobj(PathCollection) if c.get_gid() == "squares")
    areas = squares.get_sizes()
    weights = [row.weight or 0 for row in data.rows[:3]]
    style = Style()
    assert areas[0] == pytest.approx(style.square**2)
    assert areas[1] / areas[0] == pytest.approx(weights[1] / weights[0])
    assert areas[2] == pytest.approx(style.square_min**2)


def test_marks_outside_the_axis_are_arrows(make: Make) -> None:
    data = forest_data(make([0.0, 0.1, 3.0, -0.2], [0.1, 0.1, 0.2, 2.0], list("abcd"), measure="MD"))
    ax = draw_forest(data, limits=(-1, 1)).axes[0]
    scatters = ax.findobj(PathCollection)
    squares = next(c for c in scatters if c.get_gid() == "squares")
    assert [round(float(x), 6) for x, _ in squares.get_offsets()] == [0.0, 0.1, -0.2]
    ends = sorted(float(x) for c in scatters if c.get_gid() != "squares" for x, _ in c.get_offsets())
    assert (ends[0], ends[-1]) == (-1.0, 1.0)
    lines = [path.vertices[:, 0] for c in ax.findobj(LineCollection) for path in c.get_paths()]
    assert min(map(min, lines)) >= -1
    assert max(map(max, lines)) <= 1


@pytest.mark.parametrize(
    ("limits", "corners"),
    [
        ((-1.0, 1.0), [(-0.5, 0.0), (0.0, 1.0), (0.5, 0.0), (0.5, 0.0), (0.0, -1.0), (-0.5, 0.0)]),
        ((-0.25, 1.0), [(-0.25, 0.5), (0.0, 1.0), (0.5, 0.0), (0.5, 0.0), (0.0, -1.0), (-0.25, -0.5)]),
        ((0.25, 1.0), [(0.25, 0.5), (0.5, 0.0), (0.5, 0.0), (0.25, -0.5)]),
        ((0.75, 1.0), []),
    ],
)
def test_diamond_has_its_tips_at_the_limits_and_is_cut_by_the_axis(
    limits: tuple[float, float], corners: list[tuple[float, float]]
) -> None:
    assert [(x, y + 0.0) for x, y in diamond(-0.5, 0.0, 0.5, *limits)] == corners


def test_diamond_of_the_total_is_solid_and_spans_its_interval(make_tataryn: Make) -> None:
    data = forest_data(make_tataryn())
    polygons = draw_forest(data).axes[0].findobj(PolyCollection)
    total = next(row for row in data.rows if row.kind == "total")
    spans = [(p.get_paths()[0].vertices[:, 0].min(), p.get_paths()[0].vertices[:, 0].max()) for p in polygons]
    solid = [p for p, span in zip(polygons, spans, strict=True) if span == (total.lower, total.upper)]
    assert len(solid) == 1
    assert mpl.colors.to_hex(solid[0].get_facecolor()[0]).upper() == Style().diamond_colour


def test_axis_keeps_what_matters_and_leaves_out_what_would_squeeze_it(make: Make) -> None:
    data = forest_data(make([-0.3, -0.2, -0.4, -0.1, -8.0], [0.2, 0.15, 0.2, 0.3, 3.0], list("abcde"), measure="MD"))
    low, high = axis_limits(data)
    assert low > -5
    for row in data.rows:
        if row.kind in {"total", "prediction"}:
            assert low < (row.lower or 0) < (row.upper or 0) < high
    assert low < 0.0 < high


def test_dashed_line_ends_at_the_diamond_of_the_total(make_tataryn: Make) -> None:
    data = forest_data(make_tataryn())
    ax = draw_forest(data).axes[0]
    sheet = lay_out(data, ruler(Style(), []))
    dashed = [c for c in ax.findobj(LineCollection) if c.get_linestyle()[0][1] is not None]
    (x0, y0), (x1, y1) = dashed[0].get_paths()[0].vertices
    total = [row.kind for row in data.rows].index("total")
    first = [row.kind for row in data.rows].index("study")
    assert x0 == x1 == data.reference
    assert y1 == pytest.approx(sheet.centres[total])
    assert y0 == pytest.approx((sheet.centres[first] or 0) - sheet.row / 2)


def test_favours_words_stand_on_their_sides_of_no_effect(make: Make) -> None:
    context = Context("function", "exercise", "usual_care", higher_is_better=True)
    figure = draw_forest(forest_data(make([0.2, 0.5], [0.1, 0.2], ["a", "b"], context=context)))
    ax = figure.axes[0]
    null = ax.transData.transform((0.0, 0.0))[0] / figure.dpi
    found = dict(boxes(figure))
    left, right = found["\u2190\u00a0Favours usual care"], found["Favours exercise\u00a0\u2192"]
    assert left[2] < null < right[0]


def test_panel_alone_goes_into_given_axes(make_tataryn: Make) -> None:
    figure = Figure(figsize=(6, 4))
    ax = figure.add_axes((0.35, 0.25, 0.5, 0.7))
    assert draw_forest(forest_data(make_tataryn()), ax=ax) is figure
    assert figure.axes == [ax]
    assert [t.get_text() for t in ax.get_yticklabels()][:2] == ["6-8 weeks", "Aasa 2015"]
    assert collisions(figure) == []


def test_limits_of_the_reader_win_and_nonsense_is_refused(make: Make) -> None:
    data = forest_data(events(make))
    assert draw_forest(data, limits=(0.1, 10)).axes[0].get_xlim() == pytest.approx((math.log(0.1), math.log(10)))
    with pytest.raises(OptionError, match="above 0"):
        draw_forest(data, limits=(0, 10))
    with pytest.raises(OptionError, match="lower limit must come first"):
        draw_forest(data, limits=(3, 2))


def test_unknown_kind_of_file_is_refused(make_tataryn: Make, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="did you mean 'svg'"):
        save_figure(draw_forest(forest_data(make_tataryn())), tmp_path / "forest.svgg")


def test_font_that_is_not_there_is_refused(make_tataryn: Make) -> None:
    with pytest.raises(OptionError, match="did you mean 'DejaVu Sans'"):
        draw_forest(forest_data(make_tataryn()), style=Style(font="Dejavu Sanz"))


def test_rows_are_denser_in_a_tall_forest(make_many: Make) -> None:
    style = Style()
    few, many = (lay_out(forest_data(make_many(k)), ruler(style, [])) for k in (9, 100))
    assert few.row == pytest.approx(1.75 * 8 / 72)
    assert many.row == pytest.approx(1.45 * 8 / 72)


def test_tall_figures_lower_their_resolution(make_many: Make) -> None:
    figure = Figure(figsize=(5, 900))
    png = figure_bytes(figure, "png", dpi=300)
    assert int.from_bytes(png[20:24], "big") < 65_536


def test_wrapping_keeps_lines_within_the_width_and_equations_together() -> None:
    measure = ruler(Style(), [])
    text = "Heterogeneity: τ² = 0.10, I² (from τ²) = 50%, Q = 16.14, df = 8, P < 0.001"
    for width in (1.2, 2.0, 3.0):
        wrapped = measure.wrap(glue(text), width)
        assert all(measure.width(line) <= width for line in wrapped.lines)
        assert " ".join(wrapped.lines).replace("\u00a0", " ") == text
        assert not [line for line in wrapped.lines if line.startswith(("=", "<"))]
    cut = measure.wrap("X" * 120, 1.0, lines=2)
    assert len(cut.lines) == 2
    assert cut.lines[1].endswith(ELLIPSIS)
    assert not cut.whole


def test_names_that_are_cut_lose_their_middle_and_sentences_their_end() -> None:
    name = "The consortium of trials whose name is far too long for any column 2015"
    measure = ruler(Style(), [name])
    assert measure.wrap(name, 1.6, lines=2, named=True).lines[-1].endswith("\u2026column 2015")
    assert measure.wrap(name, 1.6, lines=2).lines[-1].endswith("\u2026")
    assert all(measure.width(line) <= 1.6 for line in measure.wrap(name, 1.6, lines=2, named=True).lines)
    assert measure.wrap("X" * 120, 0.5, lines=2, named=True).lines[-1].endswith("X\u2026")  # no room for an ending
