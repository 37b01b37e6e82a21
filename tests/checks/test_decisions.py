"""Decisions about findings: how they are read, which finding they fit, and what they do to a table."""

from __future__ import annotations

import pandas as pd
import pytest

from metaback.checks.decisions import Decision, answered, decision_for, read_decisions
from metaback.checks.findings import Cell, Change, Finding, Proposal, identifiers
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
    (first,) = identifiers([finding()], trials())
    assert (first,) == identifiers([finding(1, "other words")], trials(order=(1, 0)))
    assert (first,) != identifiers([finding()], trials(sd=5.1))
    assert first.startswith("se-as-sd-")


def test_findings_about_two_comparisons_of_one_study_have_names_of_their_own() -> None:
    """The cells that both point to (the times) are the same; a decision on one must not stand for the other."""
    table = pd.DataFrame(
        {
            "study": ["Jensen"] * 4, "outcome": "function", "weeks": [8, 26, 8, 26],
            "treatment_1": ["aerobic", "aerobic", "strength", "strength"], "treatment_2": "usual care",
            "n_1": [42, 42, 37, 50], "mean_1": [46.9, 37.3, 49.1, 44.2], "sd_1": [11.6, 9.8, 12.4, 10.6],
            "n_2": 40, "mean_2": [45.0, 36.3, 45.0, 36.3], "sd_2": [12.6, 9.5, 12.6, 9.5],
        }
    )  # fmt: skip

    def about(rows: tuple[int, int]) -> Finding:
        cells = tuple(Cell(row, "weeks") for row in rows)
        return Finding("several-rows", "warning", rows, "says", "fix", cells=cells)

    def names(order: tuple[int, ...]) -> tuple[str, ...]:
        found = [about((order.index(a), order.index(b))) for a, b in ((0, 1), (2, 3))]
        return identifiers(found, read_trials(table.iloc[list(order)].reset_index(drop=True)))

    assert len(set(names((0, 1, 2, 3)))) == 2
    assert names((0, 1, 2, 3)) == names((3, 1, 0, 2))


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
    (name,) = identifiers([finding()], trials())
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
    assert done.corrected == {0: "corrected by AB: sd_1 5 to 20 (SEM in Table 2)"}
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


def test_a_doubled_row_is_left_out_by_name() -> None:
    """Of two rows one can be left out, named as in the file, by its number or by its study; a wrong name is told."""
    both = Finding("r", "error", (0, 1), "s", "f")
    for name in ("index 1", "1", "B"):
        (said,) = read_decisions([{"finding": "x", "action": "exclude", "reason": "r", "by": "AB", "rows": [name]}])
        assert answered(trials(), [(both, said)]).excluded == {1: "left out by decision of AB: r"}
    with pytest.raises(OptionError, match="has no row 'row 7'; its rows are: index 0, index 1"):
        answered(trials(), [(both, Decision("x", "exclude", "r", "AB", {}, ("row 7",)))])
    with pytest.raises(OptionError, match=r"rows must be a list .*rows are named, but the action is 'accept'"):
        read_decisions(
            [
                {"finding": "x", "action": "exclude", "reason": "r", "by": "AB", "rows": "row 9"},
                {"finding": "y", "reason": "r", "by": "AB", "rows": [9]},
            ]
        )


def test_the_people_of_a_shared_group_are_shared_out() -> None:
    """A correction of several rows names each; all cells change, and both rows say so."""
    both = Finding("r", "error", (0, 1), "s", "f", cells=(Cell(0, "n_2"), Cell(1, "n_2")))
    said = {"finding": "x", "action": "correct", "reason": "shared", "by": "AB"}
    (decision,) = read_decisions([{**said, "values": {"A": {"n_2": 5}, "index 1": {"n_2": 6}}}])
    done = answered(trials(), [(both, decision)])
    assert done.changes == (Change(0, "n_2", 5.0), Change(1, "n_2", 6.0))
    assert done.corrected[1] == "corrected by AB: n_2 13 to 6 (shared)"
    with pytest.raises(OptionError, match=r"fit one row.*values = \{'index 0': \{'n_2': ...\}\}"):
        answered(trials(), [(both, Decision("x", "correct", "r", "AB", {"n_2": 5.0}))])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sd_1": -5.0}, "sd_1 = -5: must not be negative"),
        ({"n_1": 10.5}, "n_1 = 10.5: must be a whole number of people, 1 or more"),
        ({"outcome": 3.0}, "'outcome' holds words"),
        ({"sd1": 3.0}, "no 'sd1' (did you mean 'sd_1'?)"),
    ],
)
def test_a_corrected_number_keeps_the_rules_of_its_column(values: dict[str, float], words: str) -> None:
    """What the reader would refuse in the table cannot come in through a decision."""
    with pytest.raises(OptionError) as caught:
        answered(trials(), [(finding(), Decision("x", "correct", "r", "AB", values))])
    assert words in str(caught.value)


def test_not_a_number_is_refused_and_a_blank_is_called_one() -> None:
    """Numbers that are none (nan, infinity) are no right values; a proposal that empties a cell says so."""
    said = {"finding": "x", "action": "correct", "reason": "r", "by": "AB"}
    for value in (float("nan"), float("inf"), True, "5"):
        with pytest.raises(OptionError, match="is not a number"):
            read_decisions([{**said, "values": {"sd_1": value}}])
    emptied = Finding("r", "error", (0,), "s", "f", proposals=(Proposal("p", (Change(0, "sd_1", float("nan")),)),))
    done = answered(trials(), [(emptied, Decision("x", "correct", "r", "AB"))])
    assert done.corrected == {0: "corrected by AB: sd_1 5 to blank (r)"}


def test_values_of_a_rule_are_not_taken_for_all_its_findings() -> None:
    """One SD cannot be right for two trials: the finding must be named."""
    whole = Decision("se-as-sd", "correct", "r", "AB", {"sd_1": 3.0})
    assert answered(trials(), [(finding(), whole)]).changes == (Change(0, "sd_1", 3.0),)
    with pytest.raises(OptionError, match="belong to one finding, and 2 are meant"):
        answered(trials(), [(finding(), whole), (finding(1), whole)])
