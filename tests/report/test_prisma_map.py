"""The map of PRISMA 2020: complete, honest about what is missing, and dependent on what the report has."""

from __future__ import annotations

from dataclasses import fields

import pytest

from metaback.models.plans import make_plan
from metaback.postestimation.summary import Analysis
from metaback.report.bibliography import references
from metaback.report.document import Table
from metaback.report.prisma_map import ITEMS, SPORT, Item, ReportParts, prisma_blocks, prisma_keys, report_parts, where

# Page et al. 2021, table 1: 27 items, of which six have sub-items.
SUB = {"10": "ab", "13": "abcdef", "16": "ab", "20": "abcd", "23": "abcd", "24": "abc"}
NUMBERS = [f"{item}{letter}" for item in range(1, 28) for letter in SUB.get(str(item), "") or ("",)]
FULL = ReportParts(**{part.name: True for part in fields(ReportParts)})


def table_of(parts: ReportParts, *, sport: bool = False) -> Table:
    """Return the table of the map."""
    (table,) = (block for block in prisma_blocks(parts, sport=sport) if isinstance(block, Table))
    return table


def test_every_item_stands_once_in_order() -> None:
    """42 items and sub-items."""
    assert [item.number for item in ITEMS] == NUMBERS
    assert len(NUMBERS) == 42
    assert [row[0] for row in table_of(ReportParts()).rows] == NUMBERS


@pytest.mark.parametrize("item", [*ITEMS, *SPORT], ids=lambda item: f"{item.section}-{item.number}")
def test_an_item_has_a_place_or_an_author(item: Item) -> None:
    """What it needs is a part of reports, and its absence is worded."""
    assert item.place or item.authors
    assert bool(item.needs) == bool(item.without)
    assert not item.needs or item.place
    assert set(item.needs) <= {part.name for part in fields(ReportParts)}
    assert all("see" not in text.split() for text in (item.topic, item.place))


def test_every_part_changes_something_or_is_the_plan() -> None:
    """A part that no item asks for would be a promise without use; a plan alone answers nothing."""
    needed = {name for item in ITEMS for name in item.needs}
    assert {part.name for part in fields(ReportParts)} - needed == {"plan"}


def test_an_item_without_its_part_says_what_is_missing() -> None:
    """And one with it names the place and what is left."""
    (item,) = (item for item in ITEMS if item.number == "15")
    rest = "not covered by this tool: people and process of the rating"
    assert where(item, ReportParts()) == f"not in this report: the plan has no [[grade]] with a rating; {rest}"
    assert where(item, FULL) == f"Certainty of the evidence; {rest}"


def test_counts_of_what_is_answered() -> None:
    """A bare report answers what needs nothing; a full one all that have a place."""
    bare = sum(bool(item.place) and not item.needs for item in ITEMS)
    assert f": {bare} of 42 " in prisma_blocks(ReportParts())[1].text  # type: ignore[union-attr]
    assert f": {sum(bool(item.place) for item in ITEMS)} of 42 " in prisma_blocks(FULL)[1].text  # type: ignore[union-attr]
    assert not any("not in this report" in row[3] for row in table_of(FULL).rows)


def test_parts_come_from_plan_and_analyses(analysis: Analysis) -> None:
    """Subgroups from the analyses, the rest from the plan; a rating that is not made does not count."""
    bare = report_parts(None, ())
    assert bare == ReportParts()
    plan = make_plan(
        {
            "question": {"outcome": "pain", "registration": "PROSPERO CRD1"},
            "sensitivity": [{"name": "DL", "tau2": "DL"}],
            "grade": [{"outcome": "pain", "baseline_risk": 0.2}],
        }
    )
    found = report_parts(plan, (analysis,), checks=True)
    assert found == ReportParts(
        plan=True, question=True, registration=True, deviations=True, checks=True, subgroups=True, sensitivity=True
    )
    rated = plan.model_copy(update={"grade": make_plan({"grade": [{"certainty": "low"}]}).grade})
    assert report_parts(rated, ()).certainty
    with pytest.raises(TypeError):
        report_parts(None, (), chekcs=True)


def test_sport_adds_rows_and_a_reference() -> None:
    """PERSiST stands below the items."""
    assert len(table_of(FULL, sport=True).rows) == len(ITEMS) + len(SPORT)
    assert set(prisma_keys(sport=True)) <= set(references())
