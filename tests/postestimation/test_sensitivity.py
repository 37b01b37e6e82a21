"""Sensitivity analyses of a plan are the pools that a user would make one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.errors import OptionError
from metaback.models.plans import Plan, Sensitivity
from metaback.postestimation.sensitivity import planned_sensitivity, sensitivity_analyses
from metaback.report.robustness import sensitivity_table

SAME = 1e-10  # closed forms and a root to 1e-12 of its bracket, on the same effects


@pytest.fixture(scope="module")
def pain() -> mb.Trials:
    """Return nine effects of one outcome."""
    return mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        ({"tau2": "DL", "ci": "Wald"}, {"tau2": "DL", "ci": "Wald"}),
        ({"ci": "HKSJ"}, {"ci": "HKSJ"}),
        ({"tau2": 0.1, "pi": "HK"}, {"tau2": 0.1, "pi": "HK"}),
        ({"model": "equal"}, {"model": "equal"}),
        ({"tau2": "PM"}, {"tau2": "PM"}),
    ],
)
def test_each_is_the_pool_of_its_choices(pain: mb.Trials, words: dict[str, Any], choices: dict[str, Any]) -> None:
    """Mean, limits and tau2 are those of a pool made alone; those beside it in the plan change nothing."""
    main = mb.pool(pain)
    planned = [
        Sensitivity(name="other", tau2="DL"),
        Sensitivity(name="this", **words),
        Sensitivity(name="HK", ci="HKSJ"),
    ]
    found = sensitivity_analyses(main.analysis, planned)[1]
    alone = mb.pool(pain, **choices)
    assert found.mean is not None
    np.testing.assert_allclose(
        [found.mean.point, found.mean.lower, found.mean.upper, found.mean.p_value],
        [alone.estimate.point, *alone.ci, alone.p_value], rtol=SAME,
    )  # fmt: skip
    if alone.heterogeneity.tau2 is not None:
        assert found.tau2 == pytest.approx(alone.heterogeneity.tau2, rel=SAME)


def test_rows_are_left_out_and_a_turned_conclusion_is_told(pain: mb.Trials) -> None:
    """Without the trial whose control was counted twice the interval includes no effect."""
    main = mb.pool(pain, independent=True)
    (found,) = sensitivity_analyses(main.analysis, [Sensitivity(name="J", exclude="study == 'Jackson 2011'")])
    alone = mb.pool(pain.query("study != 'Jackson 2011'"), independent=True)
    assert found.k == 7
    assert found.turns
    assert found.mean is not None
    np.testing.assert_allclose([found.mean.lower, found.mean.upper], alone.ci, rtol=SAME)


@pytest.mark.parametrize(("measure", "turns"), [("GEN", True), ("PLO", False), ("IRLN", False), ("MN", False)])
def test_only_a_measure_with_no_effect_has_a_conclusion_to_turn(measure: str, turns: bool) -> None:
    """The same numbers turn the conclusion of a difference, and say nothing of a share, a rate or a mean."""
    frame = pd.DataFrame({"study": list("ABCD"), "yi": [0.5, 0.6, 0.55, -2.0], "vi": [0.01, 0.01, 0.01, 0.01]})
    main = mb.pool(frame, measure=measure).analysis
    (found,) = sensitivity_analyses(main, [Sensitivity(name="without D", exclude="study == 'D'")])
    assert found.mean is not None
    assert main.overall.mean.lower < 0 < found.mean.lower
    assert found.turns is turns
    assert (" about no effect" in sensitivity_table([found], found, measure).caption) is turns


def test_all_faults_are_told_at_once(pain: mb.Trials) -> None:
    """A model that has no tau2, and a query of a column that is not there."""
    planned = [
        Sensitivity(name="a", model="equal", tau2="DL"),
        Sensitivity(name="b", exclude="rob == 'high'"),
        Sensitivity(name="c", exclude="each study"),
    ]
    with pytest.raises(OptionError) as caught:
        sensitivity_analyses(mb.pool(pain).analysis, planned)
    text = str(caught.value)
    assert "sensitivity 'a': model='equal' has no tau2" in text
    assert "sensitivity 'b'" in text
    assert "sensitivity 'c'" in text


def test_a_plan_gives_the_main_analysis_first_and_nothing_where_it_names_none(pain: mb.Trials) -> None:
    """The main analysis is that of the pool; a plan without sensitivity analyses, or none, asks for nothing."""
    main = mb.pool(pain)
    plan = Plan(sensitivity=(Sensitivity(name="DL", tau2="DL"),))
    first, other = planned_sensitivity(main.analysis, plan)
    assert (first.name, other.name) == ("Main analysis", "DL")
    assert first.mean is not None
    np.testing.assert_allclose([first.mean.point, first.mean.lower, first.mean.upper], [main.estimate.point, *main.ci])
    assert not first.turns
    assert planned_sensitivity(main.analysis, Plan()) == planned_sensitivity(main.analysis, None) == ()
