"""Risk of bias and the flow diagram: shares add up, every fault of a table is told at once, texts stay apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import metaback as mb
from metaback.errors import DataError, OptionError
from metaback.plots.prisma import draw_prisma
from metaback.plots.prisma_data import prisma_data
from metaback.plots.rob import draw_rob, draw_rob_figure
from metaback.plots.rob_data import rob_data, rob_table_data
from metaback.plots.save import figure_bytes, svg_text

EXACT = 1e-12  # sums of shares differ from 1 by rounding only
Clear = Callable[[Figure], None]


def judged(k: int, words: tuple[str, ...], domains: int, *, long: bool = False) -> mb.Result:
    rng = np.random.default_rng(k)
    name = "A very long label of a trial <b>&amp; $x$, number {}" if long else "Author {}"
    table = pd.DataFrame(
        {"study": [name.format(i) for i in range(k)], "yi": rng.normal(0, 1, k), "sei": rng.uniform(0.1, 1, k)}
    )
    for j in range(domains):
        table[f"rob_{j + 1}"] = rng.choice(words, k)
    table["rob_overall"] = rng.choice(words, k)
    return mb.pool(table)


# ---------------------------------------------------------------- risk of bias


def test_shares_count_studies_or_weigh_them() -> None:
    table = pd.DataFrame({"study": list("ABCD"), "yi": [0.1, 0.2, 0.3, 0.4], "sei": [0.1, 0.1, 0.1, 0.1 / np.sqrt(3)]})
    table["rob_1"] = ["low", "some concerns", "low", "high"]
    table["rob_overall"] = ["low", "", "low", "high"]
    res = mb.pool(table, model="equal")  # weights 1 : 1 : 1 : 3
    plain = rob_data(res.analysis)
    assert [judgement.key for judgement in plain.used] == ["low", "some", "high"]
    assert plain.bars[0].shares == pytest.approx((0.5, 0.25, 0.25), abs=EXACT)
    assert (plain.bars[1].shares, plain.bars[1].blank) == ((0.5, 0.0, 0.25), 0.25)
    weighted = rob_data(res.analysis, weights="pool")
    assert weighted.bars[0].shares == pytest.approx((2 / 6, 1 / 6, 3 / 6), abs=1e-9)  # the weights of the fit
    assert weighted.weighted
    assert "by their weight" in weighted.footnotes[0]


@given(st.lists(st.sampled_from(["low", "some concerns", "high", ""]), min_size=1, max_size=30))
def test_shares_of_a_bar_sum_to_one(cells: list[str]) -> None:
    data = rob_table_data({"rob_1": cells, "rob_2": ["low"] * len(cells)}, [str(i) for i in range(len(cells))])
    for bar in data.bars:
        assert sum(bar.shares) + bar.blank == pytest.approx(1.0, abs=EXACT)


def test_rows_of_one_study_with_the_same_judgements_are_one() -> None:
    data = rob_table_data({"rob_1": ["low", "low", "high", "low"]}, ["A", "A", "A", "B"])
    assert data.labels == ("A (1)", "A (2)", "B")
    assert data.bars[0].shares == pytest.approx((2 / 3, 1 / 3), abs=EXACT)
    assert any("4 rows" in note for note in data.footnotes)


def test_totals_of_a_scale_are_numbers_without_a_bar() -> None:
    data = rob_table_data({"rob_1": ["1", "0"], "rob_total": ["7", "5"]}, ["A", "B"], tool="PEDro")
    assert [bar.domain.title for bar in data.bars] == ["Eligibility criteria"]
    assert [row[1].symbol if row[1] else "" for row in data.cells] == ["7", "5"]
    assert any("no bar" in note for note in data.footnotes)


def test_bad_judgements_are_told_together_with_their_rows() -> None:
    table = pd.DataFrame(
        {"study": list("AB"), "yi": [0.1, 0.2], "sei": 0.1, "rob_1": ["loww", "low"], "rob_2": ["low", "so"]}
    )
    with pytest.raises(DataError) as error:
        draw_rob_figure(mb.pool(table).analysis)
    assert len(error.value.problems) == 2
    assert "rob_1" in str(error.value)
    assert "rob_2" in str(error.value)


def test_a_table_without_judgements_and_unknown_words_are_refused() -> None:
    res = mb.pool(pd.DataFrame({"study": list("AB"), "yi": [0.1, 0.2], "sei": 0.1}))
    with pytest.raises(OptionError, match="begin with 'rob_'"):
        draw_rob_figure(res.analysis)
    with pytest.raises(OptionError, match="both, traffic-light, summary"):
        draw_rob_figure(judged(3, ("low", "high"), 2).analysis, view="traffic")
    with pytest.raises(OptionError, match="pool, none"):
        draw_rob_figure(judged(3, ("low", "high"), 2).analysis, weights="size")


@pytest.mark.parametrize("view", ["both", "traffic-light", "summary"])
@pytest.mark.parametrize(("k", "domains"), [(1, 5), (7, 7), (50, 11)])
def test_no_text_of_the_traffic_lights_touches_another(view: str, k: int, domains: int, all_clear: Clear) -> None:
    words = ("low", "moderate", "serious", "critical", "no information")
    figure = draw_rob_figure(judged(k, words, domains, long=k == 7).analysis, view=view, title="A title")
    all_clear(figure)


def test_every_judgement_has_its_sign_and_the_same_bytes() -> None:
    data = rob_data(judged(7, ("low", "some concerns", "high"), 5, long=True).analysis)
    assert len({judgement.symbol for judgement in data.used}) == len(data.used) == 3
    assert figure_bytes(draw_rob(data), "svg") == figure_bytes(draw_rob(data), "svg")
    assert "<b>" not in svg_text(draw_rob(data))
    assert "low risk" in data.alt


def test_the_summary_is_drawn_in_given_axes() -> None:
    figure = Figure(figsize=(5, 3))
    data = rob_data(judged(7, ("low", "high"), 3).analysis)
    assert draw_rob(data, ax=figure.add_subplot()) is figure


# ---------------------------------------------------------------- PRISMA 2020

SMALL: dict[str, Any] = {
    "databases": {"MEDLINE": 80, "Embase": 40}, "duplicates": 20, "screened": 100, "excluded": 70, "sought": 30,
    "not_retrieved": 2, "assessed": 28, "reports_excluded": {"wrong outcome": 12, "not randomised": 6},
    "studies": 9, "reports": 10,
}  # fmt: skip
LARGE: dict[str, Any] = {
    **SMALL, "registers": 15, "automation": 15, "other_sources": {"Citation searching": 6, "Websites": 4},
    "other_sought": 9, "other_not_retrieved": 1, "other_assessed": 8,
    "other_excluded": {"A long reason <b>&amp; $x_1$ that takes several lines of the box that it stands in": 6},
    "studies": 10, "reports": 12, "previous_studies": 5, "previous_reports": 6, "total_studies": 15,
    "total_reports": 18,
}  # fmt: skip


def problems(counts: dict[str, Any]) -> list[str]:
    with pytest.raises(DataError) as error:
        prisma_data(counts)
    return [str(problem) for problem in error.value.problems]


def test_the_boxes_hold_the_counts() -> None:
    boxes = {box.name: [" ".join(line.split()) for line in box.lines] for box in prisma_data(SMALL).boxes}
    assert boxes["identified"] == ["Records identified from databases (n = 120)", "MEDLINE (n = 80)", "Embase (n = 40)"]
    assert boxes["removed"] == ["Records removed before screening:", "Duplicate records removed (n = 20)"]
    assert boxes["reports_excluded"] == [
        "Reports excluded (n = 18)",
        "wrong outcome (n = 12)",
        "not randomised (n = 6)",
    ]
    assert boxes["included"] == ["Studies included in review (n = 9)", "Reports of included studies (n = 10)"]


def test_other_methods_and_previous_versions_have_columns() -> None:
    flow = prisma_data(LARGE)
    assert [column for column, _ in flow.heads] == ["previous", "main", "other"]
    assert ("other_assessed", "included") in flow.arrows
    assert ("previous", "total") in flow.arrows
    assert prisma_data(SMALL).heads == ()


def test_every_mismatch_is_told_at_once() -> None:
    found = problems({**SMALL, "screened": 101, "sought": 29, "assessed": 20, "studies": 11})
    assert [words.split("'")[1] for words in found] == ["screened", "sought", "assessed", "reports", "studies"]
    assert "databases 120 − duplicates 20 = 100" in found[0]
    assert "screened 101 − excluded 70 = 31" in found[1]
    assert "sought 29 − not_retrieved 2 = 27" in found[2]


def test_missing_unknown_and_broken_counts_are_told_at_once() -> None:
    counts = {name: n for name, n in SMALL.items() if name != "assessed"}
    found = problems({**counts, "screend": 100, "excluded": -3, "not_retrieved": 1.5, "other_sought": 3})
    text = "\n".join(found)
    assert "did you mean 'screened'" in text
    assert "found '-3'" in text
    assert "found '1.5'" in text
    assert "needs 'Reports assessed for eligibility'" in text
    assert "other_assessed" in text
    assert not any("sought'" in words and "give" in words.lower() and "= " in words for words in found)


def test_more_studies_than_reports_are_refused() -> None:
    found = problems({**{name: n for name, n in SMALL.items() if name != "reports"}, "studies": 11})
    assert len(found) == 1
    assert "only 10 reports" in found[0]


@given(st.lists(st.integers(0, 500), min_size=6, max_size=6))
def test_counts_that_follow_from_each_other_are_never_refused(parts: list[int]) -> None:
    duplicates, excluded, lost, out, reports, extra = parts
    assessed = out + reports
    sought, screened = assessed + lost, assessed + lost + excluded
    data = prisma_data(
        {
            "databases": screened + duplicates, "duplicates": duplicates, "screened": screened, "excluded": excluded,
            "sought": sought, "not_retrieved": lost, "assessed": assessed, "reports_excluded": out,
            "studies": max(0, reports - extra), "reports": reports,
        }
    )  # fmt: skip
    said = " ".join(line.replace("\u00a0", " ") for box in data.boxes for line in box.lines)
    assert all(f"{count}" in said.replace("\u2009", "").replace(",", "") for count in (screened, excluded, sought, out))


@pytest.mark.parametrize("counts", [SMALL, LARGE])
def test_no_text_of_the_flow_touches_another(counts: dict[str, Any], all_clear: Clear) -> None:
    figure = mb.prisma_flow(counts)
    all_clear(figure)
    assert figure.get_label().startswith("PRISMA 2020 flow diagram. Records identified from databases (n = 120)")
    assert figure_bytes(figure, "svg") == figure_bytes(draw_prisma(prisma_data(counts)), "svg")
    assert "<b>" not in svg_text(figure)


def test_many_reasons_are_put_together() -> None:
    reasons = {f"reason {i}": 1 for i in range(18)}
    boxes = {box.name: box.lines for box in prisma_data({**SMALL, "reports_excluded": reasons}).boxes}
    assert len(boxes["reports_excluded"]) == 13
    assert boxes["reports_excluded"][-1].split("\u2003")[1].startswith("7 other reasons")
