"""Decisions about findings: how they are read, which finding they fit, and what they do to a table."""

from __future__ import annotations

import pandas as pd
import pytest

from metaback.checks.decisions import Decision, answered, decision_for, read_decisions
from metaback.checks.findings import Cell, Change, Finding, Proposal, identify
from metaback.data.read import read_trials
from metaback.data.trials import Trials
from metaback.errors import OptionError


def trials(sd: float = 5.0, order: tuple[int, ...] = (0, 1)) -> Trials:
    """Return two trials with means and SDs, in some order."""
    table = pd.DataFrame(
        {
            "study": ["A", "B"], "outcome": ["pain", "pain"],
            "n_1": [10, 12], "mean_1": [3.0, 4.0], "sd_1": [sd, 6.0], "n_2": [11, 13], "mean_2": [5.0, 5.5],
            "sd_2": [5.5, 6.5],
        }
    )  # fmt: skip
    return read_trials(table.iloc[list(order)].reset_index(drop=True))


def finding(row: int = 0, says: str = "something") -> Finding:
    """Return a finding about one SD, with a proposal."""
    proposal = Proposal("turned", (Change(row, "sd_1", 20.0),))
    return Finding("se-as-sd", "error", (row,), says, "look", cells=(Cell(row, "sd_1"),), proposals=(proposal,))


def test_the_identifier_is_that_of_the_numbers() -> None:
    """Order of rows and words do not matter; another value in the cell makes another finding."""
    first = identify(finding(), trials())
    assert first == identify(finding(1, "other words"), trials(order=(1, 0)))
    assert first != identify(finding(), trials(sd=5.1))
    assert first.startswith("se-as-sd-")


def test_all_faults_are_told_at_once() -> None:
    """Unknown words, missing reasons, actions, values and doubled decisions stand in one message."""
    said = [
        {"finding": "x-1", "reason": "r", "by": "AB", "action": "drop", "resaon": "s"},
        {"finding": "x-1", "by": "AB"},
        {"finding": "x-2", "reason": "r", "by": "AB", "values": {"sd_1": "five"}, "action": "correct"},
        {"finding": "x-3", "reason": "r", "by": "AB", "values": {"sd_1": 5}},
        "accept it",
    ]
    with pytest.raises(OptionError) as caught:
        read_decisions(said)  # type: ignore[list-item]
    text = str(caught.value)
    for part in (
        "decision 1: 'resaon' is not known (did you mean 'reason'?)", "action='drop' is not known",
        "decision 2: reason is missing", "'x-1' is decided twice", "decision 3: sd_1 = 'five' is not a number",
        "decision 4: values are given, but the action is 'accept'", "decision 5: 'accept it' is not a mapping",
    ):  # fmt: skip
        assert part in text


def test_one_mapping_is_not_a_list() -> None:
    """A forgotten pair of brackets is told."""
    with pytest.raises(OptionError, match="needs a list"):
        read_decisions({"finding": "x", "reason": "r", "by": "AB"})  # type: ignore[arg-type]


def test_the_nearest_decision_counts() -> None:
    """A decision that names the finding goes before one that names its rule."""
    name = identify(finding(), trials())
    of_rule, own = Decision("se-as-sd", "accept", "r", "AB"), Decision(name, "exclude", "r", "AB")
    assert decision_for(name, finding(), [of_rule, own]) is own
    assert decision_for(name, finding(), [of_rule]) is of_rule
    assert decision_for("se-as-sd-other", finding(), [own]) is None


def test_what_decisions_do() -> None:
    """Accepting does nothing, correcting changes cells (proposed or given), excluding keeps rows out, with words."""
    table = trials()
    assert answered(table, [(finding(), Decision("x", "accept", "checked", "AB"))]).changes == ()
    done = answered(table, [(finding(), Decision("x", "correct", "SEM in Table 2", "AB"))])
    assert done.changes == (Change(0, "sd_1", 20.0),)
    assert done.corrected == {0: "sd_1 5 corrected to 20 by AB: SEM in Table 2"}
    done = answered(table, [(finding(), Decision("x", "correct", "erratum", "AB", {"sd_2": 7.5}))])
    assert done.changes == (Change(0, "sd_2", 7.5),)
    done = answered(table, [(finding(1), Decision("x", "exclude", "retracted", "AB"))])
    assert done.excluded == {1: "left out by decision of AB: retracted"}


def test_corrections_that_cannot_be_made_are_refused() -> None:
    """A correction needs numbers, of roles that the table has, for one row."""
    bare = Finding("r", "error", (0,), "s", "f")
    both = Finding("r", "error", (0, 1), "s", "f")
    with pytest.raises(OptionError, match="proposes no numbers"):
        answered(trials(), [(bare, Decision("x", "correct", "r", "AB"))])
    with pytest.raises(OptionError, match=r"no 'sd1' \(did you mean 'sd_1'"):
        answered(trials(), [(bare, Decision("x", "correct", "r", "AB", {"sd1": 3.0}))])
    with pytest.raises(OptionError, match="fit one row"):
        answered(trials(), [(both, Decision("x", "correct", "r", "AB", {"sd_1": 3.0}))])
