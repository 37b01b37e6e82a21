"""The counts of a flow diagram and the figures of a report in a plan: every fault at once, with the likely intent."""

from __future__ import annotations

from typing import Any

import pytest

from metaback.errors import OptionError
from metaback.models.plans import Flow, make_plan, schema
from metaback.plots.prisma_data import KEYS

COUNT = "give a whole number of at least 0"


def test_a_plan_knows_the_boxes_of_the_diagram() -> None:
    assert set(Flow.model_fields) == set(KEYS)
    found = schema()["$defs"]["Flow"]["properties"]
    parts = {name for name, field in found.items() if "additionalProperties" in str(field)}
    assert parts == {name for name, key in KEYS.items() if key.parts}


def test_counts_and_parts_are_read() -> None:
    plan = make_plan({"prisma": {"databases": {"MEDLINE": 310, "Embase": 0}, "screened": 100}})
    assert plan.prisma is not None
    assert plan.prisma.counts == {"databases": {"MEDLINE": 310, "Embase": 0}, "screened": 100}
    assert make_plan({}).prisma is None


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"screened": -1}, f"prisma.screened = -1: {COUNT}"),
        ({"screened": 2.5}, f"prisma.screened = 2.5: {COUNT}"),
        ({"screened": True}, f"prisma.screened = True: {COUNT}"),
        ({"screened": {"a": 1}}, f"prisma.screened = {{'a': 1}}: {COUNT}"),
        ({"databases": {}}, 'or parts such as { "MEDLINE" = 310 }'),
        ({"excluded": {"a": -1}}, "the part 'a' is no whole number of at least 0"),
        ({"screend": 3}, "prisma.screend is not known (did you mean 'screened'?)"),
    ],
)
def test_what_is_no_count_is_told(counts: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError) as caught:
        make_plan({"prisma": counts})
    assert says in str(caught.value)
    assert "the plan: 1 problem" in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(OptionError) as caught:
        make_plan({"prisma": {"databases": -1, "screend": 3}, "report": {"figures": ["funel"], "formats": ["docs"]}})
    assert "the plan: 4 problems" in str(caught.value)
    assert "report.figures[1] = 'funel' is not known (did you mean 'funnel'?)" in str(caught.value)
    assert "report.formats[1] = 'docs' is not known (did you mean 'docx'?)" in str(caught.value)
