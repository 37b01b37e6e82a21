"""A plan and what is said at a run become one request, and where they differ is told."""

from __future__ import annotations

import pytest

from metaback.errors import OptionError
from metaback.models.plans import Plan, make_plan
from metaback.models.specs import PoolSpec
from metaback.postestimation.planned import planned_requests
from metaback.postestimation.table import Request

PLAN = {
    "analysis": {"outcome": "pain", "compare": ["a", "b"], "by": "stratum"},
    "effect": {"measure": "SMD", "r": 0.5, "instruments": {"VAS": {"low": 0, "high": 100}}},
    "model": {"preset": "metafor", "tau2": "PM"},
    "checks": {"decision": [{"finding": "x-1", "action": "accept", "reason": "r", "by": "AB"}]},
}


def test_nothing_said_is_the_usual_request() -> None:
    """Without a plan and without words the request is that of the command."""
    found = planned_requests(None, {})
    assert found.spec == PoolSpec()
    assert found.request == Request()
    assert found.overridden == ()


def test_a_plan_alone() -> None:
    """Every section reaches its place."""
    found = planned_requests(make_plan(PLAN), {"tau2": None, "options": {}})
    assert found.spec.tau2 == "PM"
    assert found.spec.preset == "metafor"
    assert (found.request.outcome, found.request.compare, found.request.by) == ("pain", ("a", "b"), "stratum")
    assert found.request.choices.r == 0.5
    assert found.request.choices.instruments["vas"].high == 100
    assert found.decisions[0].finding == "x-1"
    assert found.overridden == ()


def test_what_is_said_counts_and_is_told_where_it_differs() -> None:
    """The same word again is no deviation, and neither is one that the plan is silent about."""
    said = {"tau2": "DL", "outcome": "pain", "ci": "HKSJ", "compare": ("a", "c"), "pi": "z", "higher_is_better": True}
    found = planned_requests(make_plan(PLAN), said)
    assert found.spec.tau2 == "DL"
    assert found.spec.ci == "HKSJ"
    assert found.overridden == (
        "tau2 is DL; the plan has PM",
        "ci is HKSJ; the plan has Wald",  # as its preset has it
        "compare is a, c; the plan has a, b",
    )


def test_choices_that_cannot_be_had_together_are_refused() -> None:
    """A plan with an estimator and a run without a between-study variance."""
    with pytest.raises(OptionError, match="has no tau2"):
        planned_requests(make_plan(PLAN), {"model": "equal"})
    assert planned_requests(Plan(), {"model": "equal"}).spec.model == "equal"


def test_the_subgroups_that_a_plan_names_are_made() -> None:
    """The first column counts, unless `[analysis] by` or the run names another; none of them is passed over."""
    plan = make_plan({"subgroup": [{"column": "country"}]})
    assert planned_requests(plan, {}).request.by == "country"
    assert planned_requests(plan, {"by": "sex"}).request.by == "sex"
    both = make_plan({"subgroup": [{"column": "country"}], "analysis": {"by": "sex"}})
    assert planned_requests(both, {}).request.by == "sex"
