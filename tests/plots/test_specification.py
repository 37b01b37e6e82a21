"""The specification plot: what it holds is what the multiverse found, and no text touches another."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

import metaback as mb
from metaback.plots.specification import draw_specification, specification_data
from metaback.plots.specification_data import ALL_DRAWN, COLUMNS
from metaback.postestimation.specification_words import decided, turned

SLACK = 1.0  # pixels at 100 dots per inch that boxes of neighbouring lines may share: ascenders that no letter has


def pain() -> mb.Trials:
    return mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")


@pytest.fixture(scope="module")
def small() -> mb.Multiverse:
    return mb.multiverse(pain(), tau2="REML", ci=("HKSJ", "Wald"), exclude={"before 2012": "year < 2012"})


@pytest.fixture(scope="module")
def middle() -> mb.Multiverse:
    return mb.multiverse(pain(), tau2=("REML", "DL", "PM", "SJ"), ci=("HKSJ", "Wald", "KR"))


@pytest.fixture(scope="module")
def large() -> mb.Multiverse:
    rng = np.random.default_rng(7)
    names = [f"A study with a rather long name, number {i}" for i in range(20)]
    table = pd.DataFrame({"study": names, "yi": rng.normal(0.3, 0.4, 20), "sei": rng.uniform(0.1, 0.5, 20)})
    found = mb.multiverse(
        table,
        model=("random", "IVhet"),
        tau2=("REML", "DL", "PM", "ML", "SJ", "HE", "EB", "HS", "DL2", "GENQ"),
        ci=("HKSJ", "HKSJ-wider", "HKSJ-q1", "Wald", "Wald-t"),
        pi=("none", "z", "t(k-1)", "t(k-2)", "HK"),
    )
    assert len(found) > 8_000
    return found


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("dpi", [80, 100])  # few pixels make letters wider than they were measured
@pytest.mark.parametrize("name", ["small", "middle", "large"])
def test_no_text_touches_another_or_leaves_the_page(name: str, dpi: int, request: pytest.FixtureRequest) -> None:
    figure = request.getfixturevalue(name).plot(title="A title of one line")
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts(figure)]
    width, height = figure.canvas.get_width_height()
    for words, box in boxes:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= 0, words
    for (one, a), (two, b) in combinations(boxes, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        deep = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= SLACK or deep <= SLACK + 2, (one, two)


def test_every_specification_has_a_column_in_order(middle: mb.Multiverse) -> None:
    (panel,) = specification_data(middle.specifications).panels
    frame = middle.to_frame().sort_values(["estimate", "ci_low"], kind="stable")
    assert not panel.joined
    assert panel.size == len(middle) == panel.estimate.size
    assert np.array_equal(panel.estimate, frame["estimate"])
    assert np.array_equal(panel.high, frame["ci_high"])
    assert panel.main is not None
    assert frame.iloc[panel.main.column]["main"]
    assert panel.main.low == frame.query("main")["ci_low"].iloc[0]


def test_rows_tell_which_option_was_taken(middle: mb.Multiverse) -> None:
    data = specification_data(middle.specifications)
    (panel,) = data.panels
    frame = middle.to_frame().sort_values(["estimate", "ci_low"], kind="stable")
    shares = middle.shares().set_index(["choice", "option"])
    for taken, row in zip(panel.taken, data.rows, strict=True):
        if row.head == "Interval of the mean":
            assert np.array_equal(taken == 1, frame["ci"] == row.label)
            share = shares.loc[("ci", row.label)]
            assert row.count == f"{share['same']:.0f} of {share['concluding']:.0f}"
    heads = list(dict.fromkeys(row.head for row in data.rows))
    assert heads == ["Estimator of τ²", "Interval of the mean", "Left out"]
    by_head = {head: sum(t for t, r in zip(panel.taken, data.rows, strict=True) if r.head == head) for head in heads}
    assert all(np.allclose(total, 1) for total in by_head.values())


def test_many_specifications_share_columns_and_lose_nothing(large: mb.Multiverse) -> None:
    found = large.specifications
    (panel,) = specification_data(found).panels
    frame = large.to_frame().sort_values(["estimate", "ci_low"], kind="stable")
    assert panel.joined
    assert panel.size == len(large) > ALL_DRAWN
    assert panel.estimate.size == COLUMNS
    assert panel.far_low.min() == frame["ci_low"].min()
    assert panel.far_high.max() == frame["ci_high"].max()
    counts = np.diff(np.linspace(0, panel.size, COLUMNS + 1).astype(int))
    same = decided(found) & ~turned(found)
    assert np.isclose((panel.agrees * counts).sum(), same.sum())
    assert (np.diff(panel.estimate) >= 0).all()
    first = frame["estimate"].to_numpy()[: counts[0]]
    assert panel.estimate[0] == np.median(first)


def test_a_long_choice_keeps_the_options_that_turn_most(large: mb.Multiverse) -> None:
    rows = [row for row in specification_data(large.specifications).rows if row.head == "Left out"]
    shares = large.shares().query("choice == 'exclude'")
    assert rows[0].label == "Nothing"
    assert rows[-1].label == f"{len(shares) - len(rows) + 1} others"
    shown = shares[shares["option"].isin([row.label for row in rows])]
    hidden = shares[~shares["option"].isin([*(row.label for row in rows), "nothing"])]
    assert hidden["same"].min() >= shown["same"].max()
    assert rows[-1].count == f"{hidden['same'].sum():,} of {hidden['concluding'].sum():,}"


def test_each_measure_has_its_own_panel_and_scale() -> None:
    table = pd.DataFrame(
        {"study": list("ABCD"), "ai": [4, 6, 3, 62], "bi": [119, 300, 228, 900], "ci": [11, 29, 11, 90],
         "di": [128, 274, 209, 800]}
    )  # fmt: skip
    found = mb.multiverse(table, measure=("RR", "RD"), mcid={"RR": 0.8})
    data = specification_data(found.specifications)
    assert [panel.scale for panel in data.panels] == ["log", "linear"]
    assert [panel.main is None for panel in data.panels] == [False, True]
    assert data.panels[0].mcid == pytest.approx(-np.log(0.8))
    assert data.panels[1].mcid is None
    assert len(draw_specification(data).axes) == 4


@pytest.mark.parametrize("exclude", [None, {"all": [True] * 3}])
def test_one_specification_and_one_that_has_no_numbers_are_drawn(exclude: Any) -> None:
    table = pd.DataFrame({"study": list("ABC"), "yi": [0.1, 0.1, 0.1], "sei": [0.2, 0.2, 0.2]})
    found = mb.multiverse(table, tau2="DL", ci="Wald", exclude=exclude)
    data = specification_data(found.specifications)
    assert data.panels[0].size == 1
    assert found.plot()._repr_png_()[:4] == b"\x89PNG"
    assert data.footnotes[-1].endswith("could not be estimated.") is (exclude is not None)


def test_the_alternative_text_says_the_result(middle: mb.Multiverse) -> None:
    data = specification_data(middle.specifications)
    assert middle.flips[0] in data.alt
    assert data.alt == middle.plot().get_label()


def test_the_key_names_another_conclusion_only_where_there_is_one(middle: mb.Multiverse) -> None:
    table = pd.DataFrame({"study": list("ABC"), "yi": [1.0, 1.1, 0.9], "sei": [0.1, 0.1, 0.1]})
    words = [text.get_text() for text in texts(mb.multiverse(table, ci="Wald", exclude=None).plot())]
    assert "another conclusion" not in words
    assert "another conclusion" in [text.get_text() for text in texts(middle.plot())]


def test_long_notes_stay_on_the_page_at_few_dots_per_inch() -> None:
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"study": [f"Author {i} and others 2010" for i in range(9)], "n_1": 30, "n_2": 31})
    table = table.assign(mean_1=rng.normal(10, 1, 9), mean_2=rng.normal(11, 1, 9), sd_1=2.1, sd_2=2.3)
    figure = mb.multiverse(table, measure=("MD", "SMD", "ROM"), model=("random", "equal")).plot()
    for dpi in (60, 80, 100):
        figure.set_dpi(dpi)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        right = max(text.get_window_extent(canvas.get_renderer()).x1 for text in texts(figure))
        assert right <= canvas.get_width_height()[0]
