"""What the rules of dependence find in the table of back-pain trials."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from metaback.data.datasets import load_dataset
from metaback.models.specs import resolve_spec
from metaback.numbers import fixed, p_text
from metaback.postestimation.audit import Audit, Reviewed, audit_table
from metaback.postestimation.consequences import Consequence
from metaback.postestimation.table import Request

VERDICTS = Path(__file__).parents[2] / "docs" / "checks" / "backpain.md"
NARROW = "stratum == '12-16 weeks'"
RUNS = [(query, preset, None) for query in (None, NARROW) for preset in ("cochrane", "revman5")]
FAMILY = {
    "shared-control",
    "several-rows",
    "choice-of-rows",
    "row-twice",
    "same-numbers",
    "study-twice",
    "same-registration",
    "unit-of-analysis",
}


@cache
def _audit(query: str | None, preset: str = "revman5", measure: str | None = None) -> Audit:
    trials = load_dataset("backpain")
    return audit_table(trials.query(query) if query else trials, resolve_spec(preset=preset), Request(measure=measure))


def _of(audit: Audit, rule: str) -> list[Reviewed]:
    return [found for found in audit.findings if found.finding.rule == rule]


def _shown(found: Consequence, name: str) -> tuple[str, str, str, str]:
    mean = next(variant.mean for variant in found.alternatives if variant.name == name)
    assert mean is not None
    return fixed(mean.point), fixed(mean.lower), fixed(mean.upper), p_text(mean.p_value)


@pytest.mark.parametrize("query", [None, "stratum == '12-16 weeks'"])
def test_jackson_counts_its_control_twice(query: str | None) -> None:
    """The control of Jackson 2011 is found from its label alone; without the second row -0.61, p 0.05 is -0.54, p 0.13.

    Narrowed to 12-16 weeks that is the whole pool; from the whole table it is told for that subgroup too.
    """
    audit = _audit(query)
    (found,) = _of(audit, "shared-control")
    places = found.finding.rows
    assert [audit.trials.texts("study")[place] for place in places] == ["Jackson 2011"] * 2
    assert [audit.trials.numbers("effect")[place] for place in places] == [-0.92, -0.91]
    assert (found.finding.severity, found.finding.evidence["seen_by"]) == ("error", "label")
    weeks = found.consequences[-1]
    assert weeks.as_is.mean is not None
    assert (fixed(weeks.as_is.mean.point), p_text(weeks.as_is.mean.p_value)) == ("−0.61", "0.05")
    assert _shown(weeks, "first row of each study only") == ("−0.54", "−1.23", "0.15", "0.13")
    assert weeks.turns
    assert found.turns


def test_the_whole_pool_and_the_subgroup_are_told() -> None:
    """From the whole table the overall result comes first, and the subgroup of the rows after it."""
    (found,) = _of(_audit(None), "shared-control")
    overall, weeks = found.consequences
    assert overall.as_is.mean is not None
    assert (overall.subgroup, weeks.subgroup) == ("", "12-16 weeks")
    assert weeks.pool == "pain, posterior chain vs general exercise, 12-16 weeks"
    assert (overall.as_is.k, weeks.as_is.k) == (9, 5)
    assert (fixed(overall.as_is.mean.point), fixed(overall.as_is.mean.lower)) == ("−0.41", "−0.72")


def test_a_shared_tau2_has_no_pools_of_subgroups() -> None:
    """Where subgroups share tau2 a subset is not the subgroup, and only the whole pool is told."""
    spec = resolve_spec(preset="revman5", subgroup_tau2="common")
    audit = audit_table(load_dataset("backpain"), spec, Request())
    (found,) = _of(audit, "shared-control")
    assert [part.subgroup for part in found.consequences] == [""]


def test_groups_of_one_trial_are_information() -> None:
    """Dougherty 2014a has other people in its two rows (by a prediction rule): nobody is counted twice."""
    found = _of(_audit(None), "several-rows")
    assert [one.finding.severity for one in found] == ["information", "information"]
    assert all("Dougherty 2014a" in one.finding.says for one in found)


def test_nothing_else_is_said_about_dependence() -> None:
    """No other finding of this family, and the rules that lack a column say so."""
    audit = _audit(None)
    assert [
        one.finding.rule for one in audit.findings if one.finding.rule in FAMILY and one.finding.severity == "error"
    ] == ["shared-control"]
    silent = {"choice-of-rows", "row-twice", "same-numbers", "study-twice", "same-registration", "unit-of-analysis"}
    assert not [one for one in audit.findings if one.finding.rule in silent]
    told = {part.rule: part.passed_over for part in audit.coverage}
    assert told["same-registration"]
    assert told["unit-of-analysis"]


def test_every_finding_has_a_verdict() -> None:
    """What the check finds in this table, in the runs that the page names, is what was gone through by hand.

    A new finding needs a verdict; one that is gone, or that rests on other cells, must be taken from the page.
    """
    judged = set(re.findall(r"\*\*`([a-z0-9-]+-[0-9a-f]{6})`\*\*", VERDICTS.read_text(encoding="utf-8")))
    runs = [*RUNS, (None, "cochrane", "MD")]
    assert {one.id for run in runs for one in _audit(*run).findings} == judged


def test_sds_made_from_means_groups_exchanged_and_changes_in_a_note() -> None:
    """What a methodologist sees in the Cochrane rows; pools of metafor 3.8-1 with the variances of RevMan 5."""
    audit = _audit(None)
    assert [one.finding.rows for one in _of(audit, "arm-sds-differ")] == [(37,), (25,)]
    assert all(not one.finding.proposals for one in _of(audit, "arm-sds-differ"))
    (groups,) = _of(audit, "arms-swapped")
    assert groups.finding.rows == (32, 33)
    assert _shown(groups.consequences[0], "only the numbers of people exchanged")[:3] == ("−0.18", "−0.41", "0.05")
    pain, disability = _of(audit, "mixed-scores")
    name = pain.finding.proposals[0].name
    assert _shown(pain.consequences[0], name)[:3] == ("−0.04", "−0.23", "0.15")
    assert _shown(disability.consequences[0], name)[:3] == ("−0.16", "−0.40", "0.07")
