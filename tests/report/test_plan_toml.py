"""Plans written as TOML read back to the same plan."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import metaback as mb
from metaback.models.plans import Plan, make_plan
from metaback.models.specs import resolve_spec
from metaback.report.plan_toml import first_plan, resolved_toml, toml_text

KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
VALUES = st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), KEYS,
    st.lists(st.integers(-5, 5), max_size=3),
)  # fmt: skip
SECTIONS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(st.dictionaries(KEYS, st.one_of(VALUES, SECTIONS, st.lists(SECTIONS, min_size=1, max_size=3)), max_size=5))
def test_text_reads_back(content: dict[str, object]) -> None:
    """Whatever stands in names and texts: quotes, line ends, signs of control, emptiness."""
    read = tomllib.loads(toml_text(content))
    assert read == {name: value for name, value in content.items() if value != {}}


def test_a_resolved_plan_makes_the_same_request() -> None:
    """Every choice of the preset is written out, and nothing of the plan is lost."""
    plan = make_plan(
        {
            "question": {"title": 'Exercise "for" pain\nand function'},
            "model": {"preset": "metafor", "tau2": "PM"},
            "effect": {"instruments": {"VAS": {"low": 0, "high": 100, "higher_is_better": False}}},
            "sensitivity": [{"name": "DL", "tau2": "DL"}],
            "checks": {
                "decision": [{"finding": "a-1", "action": "correct", "reason": "r", "by": "b", "values": {"sd_1": 2.5}}]
            },
        }
    )
    spec = resolve_spec("metafor", tau2="PM")
    again = make_plan(tomllib.loads(resolved_toml(plan, spec)))
    assert again.checks == plan.checks
    assert again.effect == plan.effect
    assert again.question == plan.question
    words = again.model.model_dump(exclude={"preset"}, exclude_none=True)
    assert resolve_spec(again.model.preset, **words) == spec


@pytest.mark.parametrize("model", ["equal", "fixed"])
def test_a_model_without_tau2_reads_back(model: str) -> None:
    """What such a model cannot have is not written."""
    spec = resolve_spec(model=model)
    again = make_plan(tomllib.loads(resolved_toml(Plan(), spec)))
    words = again.model.model_dump(exclude={"preset"}, exclude_none=True)
    assert resolve_spec(again.model.preset, **words) == spec


def test_the_first_plan_is_a_plan() -> None:
    """It reads as it stands, and names what the table holds."""
    trials = mb.load_dataset("backpain")
    text = first_plan(trials, "data/trials.csv")
    plan = make_plan(tomllib.loads(text))
    assert plan.data.file == "data/trials.csv"
    assert plan.analysis.by == "stratum"
    assert plan.effect.measure == "SMD"
    assert "pain, posterior chain vs general exercise: 9 rows" in text
