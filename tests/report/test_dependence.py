"""What a report says of a pool whose rows depend on each other agrees with itself, in every table and sentence."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.report.dependence import dependence_blocks
from metaback.report.document import Block, Paragraph, Table
from metaback.report.heterogeneity import heterogeneity_table
from metaback.report.markdown import render_markdown
from metaback.report.sections import heterogeneity_text, report_document
from metaback.report.tables import pooled_table, study_table

SPREAD = 0.3


def pooled(studies: int = 8, spread: float = SPREAD, **more: object) -> mb.Result:
    """Pool two outcomes of the same people from each of some studies, and one from the last."""
    rng = np.random.default_rng(5)
    study = np.append(np.repeat(np.arange(studies), 2), studies)
    v = rng.uniform(0.02, 0.06, study.size)
    y = 0.3 + spread * rng.normal(size=studies + 1)[study] + spread * rng.normal(0, np.sqrt(v))
    frame = {
        "study": [f"Study {i}" for i in study],
        "yi": y,
        "vi": v,
        "instrument": ["walk", "stairs"] * studies + [""],
    }
    return mb.pool(pd.DataFrame(frame), **more)  # type: ignore[arg-type]


def texts(blocks: tuple[Block, ...]) -> str:
    return " ".join(block.text for block in blocks if isinstance(block, Paragraph))


def test_the_variance_is_named_for_what_it_is() -> None:
    """Two variances, their sum in the tables: nowhere is the sum called that between studies."""
    result = pooled()
    said = heterogeneity_text(result.analysis)
    assert "the variance between and within studies τ² was" in said
    assert "between-study" not in said
    table = heterogeneity_table(result.analysis)
    assert table is not None
    assert (
        dict(row[:1] + row[2:] for row in table.rows)["τ²"]
        == "Variance of the true effects, between and within studies."
    )
    assert "the between-study variance" in heterogeneity_text(result.update(independent=True).analysis)


def test_no_table_promises_limits_that_there_are_not() -> None:
    """A working model has no limits of its variances; heads and captions do not speak of them."""
    for result, limits in ((pooled(), False), (pooled(independent=True), True)):
        analysis = result.analysis
        table = heterogeneity_table(analysis)
        assert table is not None
        assert ("limits of" in table.caption) == ("[95% CI]" in table.head[1]) == limits
        heads = pooled_table(analysis).head
        assert ("τ² [95% CI]" in heads) == ("I² [95% CI]" in heads) == limits


def test_fit_statistics_without_a_value_are_left_out() -> None:
    said = heterogeneity_text(pooled().analysis)
    assert "deviance" not in said
    assert re.search(r"log-likelihood was \S+ \(AIC ", said)


def test_variances_of_zero_are_told_as_such() -> None:
    said = texts(dependence_blocks(pooled(spread=0.0).analysis, anchor="a"))
    assert "The variance of true effects is estimated as 0, between and within studies." in said
    assert "times as wide as that of independent rows" in said
    assert "% of the variance" not in said


def test_rows_of_a_study_are_told_apart_and_weights_explained() -> None:
    result = pooled()
    table = study_table(result.analysis)
    place = table.head.index("Which effect")
    assert [row[place] for row in table.rows[:3]] == ["Walk", "Stairs", "Walk"]
    assert table.rows[-1][place] == ""
    assert "by the working model" in table.caption
    brief = study_table(result.analysis, brief=True)
    assert "Which effect" not in brief.head
    single = mb.pool(pd.DataFrame({"study": list("abc"), "yi": [0.1, 0.2, 0.4], "vi": 0.02}))
    assert "Which effect" not in study_table(single.analysis).head
    assert "working model" not in study_table(single.analysis).caption


@pytest.mark.parametrize(("v", "told"), [((0.01, 0.3), True), ((0.1, 0.1), False)])
def test_a_weight_below_zero_is_explained(v: tuple[float, float], told: bool) -> None:
    study = np.repeat(list("abcd"), 2)
    result = mb.pool(pd.DataFrame({"study": study, "yi": np.linspace(0.3, 0.32, 8), "vi": v * 4}))
    assert bool((result.analysis.overall.weights < 0).any()) == told
    assert ("one below 0 belongs to" in study_table(result.analysis).caption) == told


def test_one_study_is_not_called_a_robust_model() -> None:
    frame = pd.DataFrame(
        {"study": "Ito", "instrument": ["walk", "stairs", "balance"], "yi": [0.3, 0.5, 0.4], "vi": 0.02}
    )
    result = mb.pool(frame)
    page = render_markdown(report_document([result.analysis], title="One study"))
    assert "Taken together by their covariance" in page
    assert "three-level" not in page
    assert not re.search(r"robust (variance|interval)", page)


def test_other_correlations_stand_under_their_head() -> None:
    """The first cell of a row heads it, and is not set as a number."""
    tables = [block for block in dependence_blocks(pooled().analysis, anchor="a") if isinstance(block, Table)]
    assert tables[1].head[0] == "Correlation"
    assert tables[1].numeric[0] is False
