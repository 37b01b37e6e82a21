"""Plans: every problem at once with the likely intent, frozen, and a schema that says the same."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from metaback.errors import OptionError
from metaback.models.plans import Plan, make_plan, schema

BAD: dict[str, Any] = {
    "modell": {},
    "model": {"tau2": "REMl", "ci": "Walld", "level": 2, "x": 1},
    "effect": {"measure": "", "r": 3, "instrumnts": {}},
    "checks": {"decision": [{"finding": "a", "action": "drop", "by": "x"}]},
    "deviation": [{"date": "2026", "what": "a", "why": "b"}],
    "data": {"sha256": "x"},
}


def test_all_problems_are_told_at_once() -> None:
    """Each with its place, what stands there, what is allowed and what was meant."""
    with pytest.raises(OptionError) as caught:
        make_plan(BAD, "plan.toml")
    text = str(caught.value)
    assert text.startswith("plan.toml: 12 problems\n")
    for part in (
        "modell is not known (did you mean 'model'?)", "effect.instrumnts is not known (did you mean 'instruments'?)",
        "model.tau2 = 'REMl' is not known (did you mean 'REML'?)",
        "model.ci = 'Walld' is not known (did you mean 'Wald'?)",
        "model.level = 2: input should be less than 1", "checks.decision[1].reason is missing",
        "checks.decision[1].action = 'drop' is not known; use one of: accept, correct, exclude",
        "deviation[1].date = '2026' is not a date such as 2026-03-01", "data.sha256 = 'x' is not 64 hexadecimal digits",
        "effect.measure is blank",
    ):  # fmt: skip
        assert part in text
    assert text.count("model.tau2") == 1


def test_what_stands_twice_is_told() -> None:
    """Two subgroups of one column, two analyses of one name, two decisions about one finding."""
    twice = {"subgroup": [{"column": "a"}] * 2, "sensitivity": [{"name": "s"}] * 2}
    with pytest.raises(OptionError, match=r"subgroup.column = 'a' stands there twice\n.*sensitivity.name = 's'"):
        make_plan(twice)


def test_a_given_tau2_is_a_number() -> None:
    """A word or a number of at least 0."""
    assert make_plan({"model": {"tau2": 0.04}}).model.tau2 == 0.04
    with pytest.raises(OptionError, match=r"model.tau2 = -1: input should be greater than or equal to 0"):
        make_plan({"model": {"tau2": -1}})


def test_a_plan_is_frozen_and_empty_by_default() -> None:
    """Nothing is planned where nothing is said."""
    plan = make_plan({})
    assert plan == Plan()
    with pytest.raises(ValidationError):
        plan.run = None  # type: ignore[assignment, misc]


def test_the_schema_names_every_section() -> None:
    """An editor can complete and check a plan with it."""
    found = schema()
    assert set(found["properties"]) == set(Plan.model_fields)
    assert found["additionalProperties"] is False
    assert "REML" in str(found["$defs"]["Pooling"])


def test_ratings_are_people_s_and_their_words_are_checked() -> None:
    """Certainty and domains by name, a risk as a share, a positive MID, one entry per comparison."""
    wrong = {"certainty": "lo", "reasons": {"imprecison": "few"}, "baseline_risk": 20, "mid": 0}
    with pytest.raises(OptionError) as caught:
        make_plan({"grade": [wrong]})
    text = str(caught.value)
    for part in (
        "grade[1].certainty = 'lo' is not known (did you mean 'low'?); use one of: high, moderate, low, very low",
        "grade[1].reasons.imprecison is not known (did you mean 'imprecision'?)",
        "grade[1].baseline_risk = 20: input should be less than or equal to 1",
        "grade[1].mid = 0: input should be greater than 0",
    ):
        assert part in text
    with pytest.raises(OptionError, match="grade = 'pain a b' stands there twice"):
        make_plan({"grade": [{"outcome": "pain", "compare": ["a", "b"]}] * 2})
    assert make_plan({"grade": [{"baseline_risk": 0.2}]}).grade[0].certainty is None
