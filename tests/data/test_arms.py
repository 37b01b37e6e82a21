"""Long tables to contrasts and back: every pair once, shared arms on record, numbers unchanged."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.data.arms import arms, contrasts
from metaback.data.read import read_trials
from metaback.errors import DataError, OptionError

LONG = """study,year,treatment,n,mean,sd,dose
A,2001,placebo,20,5,2,0
A,2001,low,21,4.5,2.1,10
A,2001,high,22,4,1.9,20
B,2005,placebo,30,6,2.5,0
B,2005,high,31,5.2,2.4,20
"""


def long(text: str = LONG) -> bytes:
    """Give a long table as bytes."""
    return text.encode()


def refused(text: str, **options: object) -> list[tuple[str | None, str | None, str | None, str]]:
    """Return the problems of a long table that must be refused."""
    with pytest.raises(DataError) as caught:
        contrasts(text.encode(), **options)
    assert all(problem.fix for problem in caught.value.problems)
    return [(p.column, p.row, p.value, p.rule) for p in caught.value.problems]


def test_all_pairs() -> None:
    table = contrasts(long())
    pairs = table[["study", "treatment_1", "treatment_2", "shared_arm"]].to_numpy().tolist()
    assert pairs == [
        ["A", "placebo", "low", "placebo; low"],
        ["A", "placebo", "high", "placebo; high"],
        ["A", "low", "high", "low; high"],
        ["B", "placebo", "high", ""],
    ]
    assert table["mean_2"].tolist() == [4.5, 4, 4, 5.2]
    assert table["year"].tolist() == ["2001", "2001", "2001", "2005"]
    assert table["dose_2"].tolist() == ["10", "20", "20", "20"]
    assert list(table.index) == ["row 2 and row 3", "row 2 and row 4", "row 3 and row 4", "row 5 and row 6"]
    trials = read_trials(table)
    assert trials.numbers("n_1").tolist() == [20, 20, 21, 30]
    assert trials.numbers("year").tolist() == [2001, 2001, 2001, 2005]


def test_against_a_reference() -> None:
    table = contrasts(long(), reference="placebo")
    pairs = table[["study", "treatment_1", "treatment_2", "shared_arm"]].to_numpy().tolist()
    assert pairs == [
        ["A", "low", "placebo", "placebo"],
        ["A", "high", "placebo", "placebo"],
        ["B", "high", "placebo", ""],
    ]
    with pytest.raises(OptionError, match="did you mean 'placebo'"):
        contrasts(long(), reference="placbo")


def test_and_back() -> None:
    back = arms(contrasts(long()))
    assert back[["study", "treatment", "n", "mean", "sd"]].to_numpy().tolist() == [
        ["A", "placebo", 20, 5, 2],
        ["A", "low", 21, 4.5, 2.1],
        ["A", "high", 22, 4, 1.9],
        ["B", "placebo", 30, 6, 2.5],
        ["B", "high", 31, 5.2, 2.4],
    ]
    assert back["dose"].tolist() == ["0", "10", "20", "0", "20"]
    assert contrasts(back)["mean_1"].tolist() == contrasts(long())["mean_1"].tolist()


def test_outcomes_are_kept_apart() -> None:
    text = "study,outcome,arm,events,n\nA,x,p,1,9\nA,y,p,2,9\nA,x,q,3,9\nA,y,q,4,9\n"
    table = contrasts(long(text))
    assert table[["outcome", "events_1", "events_2"]].to_numpy().tolist() == [["x", 1, 3], ["y", 2, 4]]
    assert set(table["shared_arm"]) == {""}


def test_guesses_are_told_to_the_end() -> None:
    table = contrasts(long("study,arm,n,mean\nA,p,9,5.1 (2.0)\nA,q,9,4.0 (1.5)\n"))
    assert table["sd_2"].tolist() == [1.5]
    assert "check that it is not a standard error" in read_trials(table).notes[0]


PROBLEMS = {
    "one arm": ("study,arm,n,mean,sd\nA,p,9,1,1\n", ("study", "row 2", "A", "the study has only this arm")),
    "twice": (
        "study,arm,n,mean,sd\nA,p,9,1,1\nA,q,9,1,1\nA,p,8,1,1\n",
        ("treatment", "row 4", "p", "the arm stands twice in this study, first in row 2"),
    ),
    "no name": (
        "study,arm,n,mean,sd\nA,p,9,1,1\nA,,9,1,1\n",
        ("arm", "row 3", "", "an arm needs the name of its treatment"),
    ),
    "no study": ("study,arm,n,mean,sd\nA,p,9,1,1\n,q,9,1,1\n", ("study", "row 3", "", "a study needs a label")),
    "no number": ("study,arm,n,mean,sd\nA,p,9,x,1\nA,q,9,1,1\n", ("mean", "row 2", "x", "is not a number")),
    "no treatment": ("study,n,mean,sd\nA,9,1,1\n", (None, None, None, "no column names the treatment of each arm")),
    "two treatments": (
        "study,arm,group,n,mean,sd\nA,p,p,9,1,1\n",
        (None, None, None, "columns 'arm', 'group' could all be 'treatment'"),
    ),
    "no numbers": ("study,arm,x\nA,p,9\n", (None, None, None, "no column of means or counts per arm was recognised")),
    "no studies": ("arm,n,mean,sd\np,9,1,1\n", (None, None, None, "no column names the studies")),
    "no rows": ("study,arm,n,mean,sd\n", (None, None, None, "the table has no rows")),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_what_is_wrong_with_a_long_table_is_named(kind: str) -> None:
    text, expected = PROBLEMS[kind]
    assert refused(text) == [expected]


def test_a_trial_without_the_reference_is_named() -> None:
    text = LONG + "C,2006,low,9,1,1,10\nC,2006,high,9,1,1,20\n"
    assert refused(text, reference="placebo") == [
        ("study", "row 7", "C", "no arm of the study has the reference 'placebo'")
    ]


def test_roles_by_hand() -> None:
    text = "id,arm,group,n,mean,sd\nA,p,x,9,1,1\nA,q,x,9,2,1\n"
    table = contrasts(long(text), roles={"study": "id", "treatment": "arm"})
    assert table[["treatment_1", "treatment_2", "group"]].to_numpy().tolist() == [["p", "q", "x"]]
    assert refused(text, roles={"study": "id", "treatment": "arn"})[0][3].startswith("there is no column 'arn'")
    assert refused(text, roles={"stdy": "id", "treatment": "arm"})[0][3].startswith("'stdy' is not a role")


WIDE = "study,treatment_1,treatment_2,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"


def test_an_arm_must_be_the_same_in_all_its_rows() -> None:
    with pytest.raises(DataError) as caught:
        arms((WIDE + "A,p,q,9,1,1,9,2,1\nA,p,r,8,1,1,9,3,1\n").encode())
    (problem,) = caught.value.problems
    assert (problem.column, problem.row, problem.value) == ("n", "row 3", "8")
    assert problem.rule == "the arm 'p' has n = 9 in row 2"


def test_contrasts_need_the_names_of_their_arms() -> None:
    with pytest.raises(DataError, match="no column names the arms: treatment_1, treatment_2"):
        arms(b"study,n_1,mean_1,sd_1,n_2,mean_2,sd_2\nA,9,1,1,9,2,1\n")
    with pytest.raises(DataError, match="column 'treatment_2', row 2: found ''"):
        arms((WIDE + "A,p,,9,1,1,9,2,1\n").encode())


TREATMENTS = st.lists(st.sampled_from("pqrst"), min_size=2, max_size=5, unique=True)
ARM = st.tuples(st.integers(1, 500), st.floats(-90, 90), st.floats(0.01, 90))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TREATMENTS, st.lists(ARM, min_size=5, max_size=5)), min_size=1, max_size=5))
def test_a_long_table_survives_the_way_there_and_back(
    studies: list[tuple[list[str], list[tuple[int, float, float]]]],
) -> None:
    rows = [
        {"study": f"S{i}", "treatment": name, "n": n, "mean": mean, "sd": sd}
        for i, (names, cells) in enumerate(studies)
        for name, (n, mean, sd) in zip(names, cells, strict=False)
    ]
    back = arms(contrasts(pd.DataFrame(rows)))
    found = {tuple(row) for row in back[["study", "treatment", "n", "mean", "sd"]].itertuples(index=False)}
    assert found == {tuple(row.values()) for row in rows}


# ---------------------------------------------------------------- whatever a paper reports of an arm

REPORTED: dict[str, tuple[str, dict[str, float | str]]] = {
    "events over their group": (
        "study,treatment,events\nA,x,12/20\nA,y,5 of 21\n",
        {"events_1": 12, "n_1": 20, "events_2": 5, "n_2": 21},
    ),
    "mean (SD)": (
        "study,treatment,n,mean\nA,x,20,5.1 (2.0)\nA,y,21,4.8 (1.9)\n",
        {"mean_1": 5.1, "sd_1": 2.0, "mean_2": 4.8, "sd_2": 1.9},
    ),
    "an error of the mean, the same in both arms": (
        "study,treatment,n,mean,se,site\nA,x,20,5.1,0.5,here\nA,y,21,4.8,0.5,here\n",
        {"se_1": 0.5, "se_2": 0.5, "site": "here"},
    ),
    "medians with quartiles, some the same": (
        "study,treatment,n,median,q1,q3\nA,x,20,5.1,3,8\nA,y,21,4.8,3,7\n",
        {"median_1": 5.1, "q1_1": 3, "q1_2": 3, "q3_1": 8, "q3_2": 7},
    ),
    "changes": (
        "study,treatment,n,mean_change,sd_change\nA,x,20,5.1,3\nA,y,21,5.1,3\n",
        {"mean_change_1": "5.1", "mean_change_2": "5.1", "sd_change_1": 3, "sd_change_2": 3},
    ),
}


@pytest.mark.parametrize("what", REPORTED)
def test_whatever_is_reported_of_an_arm_goes_with_it_and_comes_back(what: str) -> None:
    text, expected = REPORTED[what]
    wide = contrasts(text.encode())
    assert {name: wide[name].iloc[0] for name in expected} == expected
    back = arms(wide)
    again = contrasts(back)
    assert {name: float(again[name].iloc[0]) for name in expected if name != "site"} == {
        name: float(value) for name, value in expected.items() if name != "site"
    }


def test_the_names_of_arms_are_kept() -> None:
    text = b"study,treatment_1,treatment_2,arm_1,arm_2,n1,n2,mean1,mean2,sd1,sd2\nA,x,y,high,usual,9,8,1,2,3,4\n"
    assert arms(read_trials(text))[["treatment", "arm"]].to_numpy().tolist() == [["x", "high"], ["y", "usual"]]
