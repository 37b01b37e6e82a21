"""The scale on which effects are shown."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import metaback as mb
from metaback.models.fitted import Estimate
from metaback.postestimation.scales import natural_way
from metaback.postestimation.words import estimate_cell, measure_name, measure_short, scale_name, study_estimates
from metaback.stats.measures import MEASURES
from metaback.stats.transforms import TRANSFORMS, back

COUNTS = pd.DataFrame(
    {"study": list("ABCDE"), "events": [0, 3, 12, 9, 20], "n": [14, 40, 60, 33, 80], "arm": ["x", "x", "y", "y", "y"]}
)
ROUND = 1e-12


def test_a_falling_way_back_swaps_the_limits() -> None:
    point, low, high = Estimate(-1.5, -2.0, -1.0, 0.25, 0.95, back="bonett_2002").natural()
    np.testing.assert_allclose([point, low, high], [1 - math.exp(v) for v in (-1.5, -1.0, -2.0)], rtol=ROUND)


def test_what_is_not_known_stays_so() -> None:
    assert all(map(math.isnan, Estimate(*[math.nan] * 4, 0.95, back="freeman_tukey_proportion", size=20.0).natural()))
    assert all(map(math.isnan, Estimate(0.5, 0.4, 0.6, 0.1, 0.95, back="freeman_tukey_rate", size=math.nan).natural()))
    assert Estimate(800.0, -math.inf, math.inf, 1.0, 0.95, "log").natural() == (math.inf, 0.0, math.inf)


@given(st.sampled_from(tuple(TRANSFORMS)), st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.floats(1.0, 1e5))
def test_nothing_leaves_the_natural_scale_and_the_order_holds(key: str, values: list[float], size: float) -> None:
    low, point, high = sorted(values)
    natural = Estimate(point, low, high, 1.0, 0.95, back=key, size=size).natural()
    first, last = back(key).image
    assert all(first <= value <= last for value in natural)
    assert natural[1] <= natural[0] <= natural[2]


@pytest.mark.parametrize("measure", ["PR", "PLN", "PLO", "PRZ", "PAS", "PFT"])
def test_a_proportion_never_leaves_0_and_1(measure: str) -> None:
    res = mb.pool(COUNTS.assign(events=[0, 40, 1, 33, 80]), measure=measure)
    shown = [res.estimate, *(study for study in study_estimates(res.analysis) if study is not None)]
    assert all(0 <= value <= 1 for estimate in shown for value in estimate.natural())
    assert measure_short(res.effects) == "Proportion"


def test_a_double_arcsine_comes_back_with_the_harmonic_mean_of_its_own_rows() -> None:
    res = mb.pool(COUNTS, measure="PFT", by="arm")
    assert res.estimate.size == pytest.approx(5 / (1 / COUNTS["n"]).sum(), rel=ROUND)
    assert res.subgroups is not None
    assert res.subgroups.pools[0].mean.size == pytest.approx(2 / (1 / 14 + 1 / 40), rel=ROUND)
    shown = study_estimates(res.analysis)
    shares = [study.natural()[0] for study in shown if study is not None]
    np.testing.assert_allclose(shares, COUNTS["events"] / COUNTS["n"], atol=ROUND)


def test_without_a_size_a_double_arcsine_is_shown_as_it_is_and_said_to_be() -> None:
    ready = pd.DataFrame({"study": list("AB"), "measure": "PFT", "yi": [0.4, 0.5], "vi": [0.01, 0.02]})
    res = mb.pool(ready, measure="PFT")
    assert res.estimate.natural()[0] == res.estimate.point
    assert measure_name(res.effects) == "proportion, shown as double arcsine"
    assert measure_short(res.effects) == "PFT"
    assert "double arcsine scale" not in repr(res) + res.methods_text()


def test_small_shares_have_two_significant_digits() -> None:
    rare = pd.DataFrame({"study": list("ABC"), "events": [2, 3, 5], "n": [400, 500, 900]})
    assert "0.0056" in repr(mb.pool(rare, measure="PLO", model="equal"))
    assert estimate_cell(Estimate(0.0, -1.0, 1.0, 0.5, 0.95, back="expit"), 2) == "0.50 [0.27, 0.73]"


def test_ratios_and_differences_name_no_other_way_back() -> None:
    table = pd.DataFrame(
        {"study": list("AB"), "events_1": [3, 5], "n_1": [20, 30], "events_2": [6, 7], "n_2": [20, 30]}
    )
    for measure in ("RR", "OR", "RD"):
        estimate = mb.pool(table, measure=measure).estimate
        assert (estimate.back, estimate.size) == ("", None)


def test_every_way_back_but_none_at_all_names_its_scale() -> None:
    assert {key for key in TRANSFORMS if not scale_name(key)} == {"identity", "share"}
    assert {natural_way(key) for key in MEASURES} <= set(TRANSFORMS)
