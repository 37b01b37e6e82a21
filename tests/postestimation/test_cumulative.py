"""Cumulative pools: orders, ties, blanks and the words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.cumulative import cumulative
from metaback.postestimation.summary import Analysis

Make = Callable[..., EffectSizes]

SAME = 1e-12  # the same kernel, in a batch and alone
YEARS = np.array(["2010", "1999", "", "2005", "1999"], dtype=object)


@pytest.fixture
def analysis(make: Make) -> Analysis:
    effects = make([0.1, 0.5, 0.9, np.nan, 0.4], [0.02, 0.03, 0.05, np.nan, 0.02], moderators={"year": YEARS})
    return analyse(effects, resolve_spec("cochrane"))


def test_steps_follow_the_column_and_blanks_come_last(analysis: Analysis) -> None:
    found = cumulative(analysis, order="year")
    assert found.labels == ("study 1", "study 4", "study 0", "study 2")
    assert found.values == ("1999", "1999", "2010", "")
    assert found.last == ("study 2",)
    assert found.unpooled == ("study 3",)
    assert found.pools.k.tolist() == [1, 2, 3, 4]
    assert "Without a value, so at the end: study 2." in repr(found)
    assert found.pools.estimate[-1] == pytest.approx(analysis.overall.mean.point, rel=SAME)
    assert found.pools.ci_high[-1] == pytest.approx(analysis.overall.mean.upper, rel=SAME)


def test_rows_of_one_value_can_enter_together(analysis: Analysis) -> None:
    found = cumulative(analysis, order="year", collapse=True)
    assert found.labels == ("study 1 + study 4", "study 0", "study 2")
    assert found.pools.k.tolist() == [2, 3, 4]


def test_other_orders(analysis: Analysis) -> None:
    assert cumulative(analysis).labels == ("study 0", "study 1", "study 2", "study 4")
    assert cumulative(analysis, order="precision").labels == ("study 0", "study 4", "study 1", "study 2")
    assert cumulative(analysis, order=[5, 4, 3, 2, 1]).labels == ("study 4", "study 2", "study 1", "study 0")
    assert cumulative(analysis, order="year", descending=True).labels == ("study 0", "study 1", "study 4", "study 2")


def test_a_column_of_words_goes_by_the_alphabet(make: Make) -> None:
    names = np.array(["pear", "apple", "fig"], dtype=object)
    effects = make([0.1, 0.5, 0.9], [0.02, 0.03, 0.05], moderators={"fruit": names})
    assert cumulative(analyse(effects, resolve_spec("cochrane")), order="fruit").values == ("apple", "fig", "pear")


def test_where_the_conclusion_changes_is_said(make: Make) -> None:
    effects = make([0.1, 0.5, 0.5, 0.5], [0.04] * 4)
    found = cumulative(analyse(effects, resolve_spec("metafor", model="equal")))
    assert found.sentences == ("From study 1 on (k = 2) the 95% interval excludes no effect: 0.30 [0.02, 0.58].",)


def test_bad_orders_are_told(analysis: Analysis) -> None:
    with pytest.raises(OptionError, match="did you mean 'year'"):
        cumulative(analysis, order="yaer")
    with pytest.raises(OptionError, match="3 values for 5 rows"):
        cumulative(analysis, order=[1, 2, 3])


def test_one_study(make: Make) -> None:
    found = cumulative(analyse(make([0.3], [0.04]), resolve_spec("cochrane")))
    assert found.pools.estimate.tolist() == [0.3]
    assert "1 steps" not in repr(found)


def test_a_step_of_many_rows_is_named_by_its_first(make: Make) -> None:
    year = np.array([1990, 1990, 1990, 1990, 1991], dtype=object)
    found = cumulative(
        analyse(make([0.1, 0.2, 0.3, 0.4, 0.5], [0.1] * 5, moderators={"year": year}), resolve_spec("cochrane")),
        order="year",
        collapse=True,
    )
    assert " and 3 more (1990): " in repr(found)
    assert found.labels[0].count(" + ") == 3
    with pytest.raises(OptionError, match="no order"):
        cumulative(analyse(make([0.1, 0.2], [0.1, 0.1]), resolve_spec("cochrane")), order=["a", "b"])  # type: ignore[list-item]
