"""Forest plots of measures that come back from another scale than logs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.errors import OptionError
from metaback.numbers import parse_number
from metaback.plots.axis import axis_limits, natural_limits, plan_axis
from metaback.plots.forest import draw_forest
from metaback.plots.forest_data import forest_data
from metaback.plots.style import Style
from metaback.plots.text import ruler
from metaback.stats.transforms import back

PLACED = 1e-9
COUNTS = pd.DataFrame({"study": list("ABCDE"), "events": [0, 3, 12, 9, 31], "n": [9, 40, 60, 33, 400]})
RATES = pd.DataFrame({"study": list("ABCD"), "events": [2, 3, 12, 9], "time": [90.5, 140.0, 600.0, 333.0]})
CORRELATIONS = pd.DataFrame({"study": list("ABCD"), "r": [-0.1, 0.4, 0.6, 0.3], "n": [40, 60, 50, 90]})
ALPHAS = pd.DataFrame({"study": list("ABC"), "alpha": [0.7, 0.8, 0.9], "items": [10, 10, 8], "n": [40, 60, 50]})
TABLES = {
    "PLO": COUNTS, "PRZ": COUNTS, "PAS": COUNTS, "PFT": COUNTS, "PR": COUNTS, "IRS": RATES, "IRFT": RATES,
    "ZCOR": CORRELATIONS, "ABT": ALPHAS, "AHW": ALPHAS,
}  # fmt: skip


@pytest.mark.parametrize("measure", TABLES)
def test_marks_ticks_and_texts_agree(measure: str) -> None:
    data = forest_data(mb.pool(TABLES[measure], measure=measure).analysis, digits=6)
    way = back(data.way)
    drawn = [row for row in data.rows if row.kind in {"study", "total"}]
    assert len(drawn) == len(TABLES[measure]) + 1
    for row in drawn:
        shown = [parse_number(part.strip("[],")) for part in row.cells[-1].split()]
        places = np.array([row.estimate, row.lower, row.upper], dtype=np.float64)
        np.testing.assert_allclose(way.inverse(places, data.size), np.array(shown, dtype=np.float64), atol=6e-7)
    if data.bent:
        axis = plan_axis(data, ruler(Style(), ["0"]), 2.5, (0.0, 0.0))
        values = np.array([parse_number(label) for label in axis.ticks.labels], dtype=np.float64)
        span = axis.high - axis.low
        np.testing.assert_allclose(way.forward(values, data.size), axis.ticks.positions, atol=PLACED * span)


def test_titles_name_the_scale_and_no_line_of_no_effect_is_drawn_for_one_group() -> None:
    data = forest_data(mb.pool(COUNTS, measure="PLO").analysis)
    assert data.axis_title == "Proportion (logit scale)"
    assert data.null is None
    data = forest_data(mb.pool(CORRELATIONS, measure="ZCOR").analysis)
    assert (data.axis_title, data.null) == ("Correlation (scale of Fisher's z)", 0.0)


def test_a_rate_shows_its_events_and_time_with_totals() -> None:
    data = forest_data(mb.pool(RATES, measure="IRLN").analysis)
    assert [column.head for column in data.columns[:2]] == ["Events", "Time"]
    total = next(row for row in data.rows if row.kind == "total")
    assert total.cells[:2] == ("26", "1163.5")


def test_pooled_limits_next_to_0_and_1_do_not_squeeze_the_studies() -> None:
    two = COUNTS.iloc[[0, 2]].assign(n=[300, 60])
    data = forest_data(mb.pool(two, measure="PLO").analysis)
    total = next(row for row in data.rows if row.kind == "total")
    assert total.upper is not None
    low, high = axis_limits(data)
    assert total.upper > high
    assert high < -math.log(1e-4) * 1.2
    assert low < min(row.lower for row in data.rows if row.kind == "study" and row.lower is not None)


def test_limits_are_given_on_the_natural_scale() -> None:
    data = forest_data(mb.pool(COUNTS, measure="PLO").analysis)
    assert natural_limits(data, (0.01, 0.5)) == pytest.approx((-math.log(99), 0.0), abs=1e-12)
    with pytest.raises(OptionError, match="between 0 and 1"):
        natural_limits(data, (0.0, 0.5))
    with pytest.raises(OptionError, match="between 0 and 1"):
        natural_limits(data, (0.1, 1.5))


@pytest.mark.parametrize("measure", TABLES)
def test_every_scale_can_be_drawn(measure: str) -> None:
    figure = draw_forest(forest_data(mb.pool(TABLES[measure], measure=measure).analysis))
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(labels) >= 2


def test_equal_weights_print_equal_and_subtotals_are_exact() -> None:
    same = pd.DataFrame({"study": list("ABCDEFG"), "yi": [0.1] * 7, "vi": [0.2] * 7, "arm": list("xxxyyyy")})
    data = forest_data(mb.pool(same, by="arm").analysis)
    column = next(i for i, c in enumerate(data.columns) if c.head == "Weight (%)")
    weights = {row.kind: row.cells[column] for row in data.rows if row.cells and row.kind in {"study", "total"}}
    assert weights == {"study": "14.3", "total": "100.0"}
    assert [row.cells[column] for row in data.rows if row.kind == "subtotal"] == ["42.9", "57.1"]
