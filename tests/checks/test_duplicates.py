"""People who stand in a pool twice: repeated rows, equal numbers, labels and registrations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.checks.duplicates import one_letter_apart, take_apart

SEEDS = (1, 2, 3, 4, 5)
RULES = ("row-twice", "same-numbers", "study-twice", "same-registration")
NUMBERS = ["n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2"]


@pytest.mark.parametrize("rule", RULES)
def test_clean_tables_have_no_finding(rule: str, found: Any, means_table: Any) -> None:
    """Different studies with different numbers are not suspected."""
    for seed in SEEDS:
        assert found(rule, means_table(12, seed=seed)) == ()


def _copied(means_table: Any, *, study: bool = True) -> pd.DataFrame:
    table = means_table()
    table.loc[6, NUMBERS] = table.loc[1, NUMBERS]
    if study:
        table.loc[6, "study"] = table.loc[1, "study"]
    return table


def test_a_row_entered_twice(found: Any, means_table: Any) -> None:
    """The same row of a study is an error, a warning where the rows are about two times, and told by no other rule."""
    table = _copied(means_table)
    (finding,) = found("row-twice", table)
    assert (finding.severity, finding.rows, finding.proposals[0].without) == ("error", (1, 6), (6,))
    assert {cell.role for cell in finding.cells} == set(NUMBERS)
    table["weeks"] = [4, 4, 4, 4, 4, 4, 8, 4]
    assert found("row-twice", table)[0].severity == "warning"
    for rule in ("several-rows", "shared-control", "same-numbers"):
        assert found(rule, _copied(means_table)) == ()


def test_equal_effects_without_numbers_are_information(found: Any) -> None:
    """A study whose effects are equal to many digits is told; equal to few, it is several rows only."""
    table = pd.DataFrame({"study": list("AABC"), "yi": [0.1234, 0.1234, 0.2, 0.5], "vi": [0.0411, 0.0411, 0.05, 0.06]})
    (finding,) = found("row-twice", table)
    assert finding.severity == "information"
    assert found("several-rows", table)[0].severity == "warning"
    assert found("row-twice", table.assign(yi=[0.1, 0.1, 0.2, 0.5], vi=[0.04, 0.04, 0.05, 0.06])) == ()


def test_equal_rows_of_two_studies(found: Any, means_table: Any) -> None:
    """All numbers of another study are an error; the pool keeps the first."""
    (finding,) = found("same-numbers", _copied(means_table, study=False))
    assert (finding.severity, finding.rows, finding.proposals[0].without) == ("error", (1, 6), (6,))


def test_one_arm_in_two_studies(found: Any, means_table: Any) -> None:
    """A control group with the same n, mean and SD in two studies is a warning with the covariance it implies."""
    table = means_table()
    table.loc[[1, 6], ["n_2", "mean_2", "sd_2"]] = [[21, 48.3, 18.7]] * 2
    (finding,) = found("same-numbers", table, measure="MD")
    assert (finding.severity, finding.rows) == ("warning", (1, 6))
    assert "historical" in finding.says
    assert finding.proposals[0].joint[0].covariance[0][1] == pytest.approx(18.7**2 / 21, rel=1e-12)


@pytest.mark.parametrize("numbers", [[[21, 48, 18]] * 2, [[21, 48.3, 18.7], [22, 48.3, 18.7]]])
def test_near_misses_of_one_arm(numbers: list[list[float]], found: Any, means_table: Any) -> None:
    """Few digits, or another n, are no reason to suspect."""
    table = means_table()
    table.loc[[1, 6], ["n_2", "mean_2", "sd_2"]] = numbers
    assert found("same-numbers", table) == ()


def test_counts_need_more_digits(found: Any) -> None:
    """Equal counts of small trials are chance; of large ones a warning."""
    table = pd.DataFrame(
        {"study": list("ABC"), "events_1": [3, 3, 5], "n_1": [50, 50, 40], "events_2": [4, 4, 6], "n_2": [50, 50, 41]}
    )
    assert found("same-numbers", table, measure="OR") == ()
    large = table.assign(n_1=[512, 512, 40], n_2=[498, 498, 41], events_1=[31, 31, 5], events_2=[44, 44, 6])
    assert found("same-numbers", large, measure="OR")[0].severity == "warning"


def test_equal_effects_of_two_studies(found: Any) -> None:
    """Effect and standard error with many digits are a warning; two decimals, or the variance of one SE, are chance."""
    table = pd.DataFrame({"study": list("ABCD"), "yi": [0.1234, 0.2, 0.1234, 0.5], "vi": [0.0411, 0.05, 0.0411, 0.06]})
    (finding,) = found("same-numbers", table)
    assert (finding.severity, finding.rows) == ("warning", (0, 2))
    few = pd.DataFrame({"study": list("ABCD"), "yi": [0.64, 0.2, 0.64, 0.5], "sei": [0.31, 0.2, 0.31, 0.3]})
    assert found("same-numbers", few) == ()
    derived = few.assign(vi=few["sei"] ** 2)
    assert found("same-numbers", derived) == ()


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Müller 2010", "Muller, 2010"),
        ("Smith et al. 2012", "smith 2012"),
        ("Sørensen & Dahl 1999", "Sorensen and Dahl 1999"),
    ],
)
def test_one_study_in_two_spellings(one: str, two: str, found: Any, means_table: Any) -> None:
    """Accents, marks, case and small words make no other study."""
    table = means_table()
    table.loc[[2, 5], "study"] = [one, two]
    (finding,) = found("study-twice", table)
    assert (finding.severity, finding.rows, finding.evidence["differ_in"]) == ("warning", (2, 5), "spelling")


def test_one_letter_needs_an_equal_number_of_people(found: Any, means_table: Any) -> None:
    """A slip of one letter is told where an arm has the same n; other surnames exist."""
    table = means_table()
    table.loc[[2, 5], "study"] = ["Rasmussen-Barr 2003", "Rasmusen-Barr 2003"]
    table.loc[[2, 5], "n_1"] = [21, 24]
    table.loc[[2, 5], "n_2"] = [22, 25]
    assert found("study-twice", table) == ()
    table.loc[5, "n_1"] = 21
    (finding,) = found("study-twice", table)
    assert (finding.severity, finding.evidence["differ_in"]) == ("warning", "slip")


@pytest.mark.parametrize(
    ("one", "two"), [("Centre A", "Centre B"), ("Azurin 1965-ii", "Azurin 1965-iii"), ("Trial 1", "Trial 2")]
)
def test_parts_of_a_series_are_not_slips(one: str, two: str, found: Any, means_table: Any) -> None:
    """Letters and numbers that count are not spelling."""
    table = means_table()
    table.loc[[2, 5], "study"] = [one, two]
    table.loc[[2, 5], "n_1"] = 21
    assert found("study-twice", table) == ()


def test_letters_after_the_year(found: Any, means_table: Any) -> None:
    """2020a and 2020b in one pool are an information, a warning where both arms have the same n."""
    table = means_table()
    table.loc[[2, 5], "study"] = ["De Oliveira 2020a", "De Oliveira 2020b"]
    table.loc[[2, 5], ["n_1", "n_2"]] = [[20, 21], [20, 22]]
    (finding,) = found("study-twice", table)
    assert (finding.severity, finding.whole) == ("information", True)
    table.loc[5, "n_2"] = 21
    assert found("study-twice", table)[0].severity == "warning"
    table.loc[5, "study"] = "De Oliveira 2019b"
    assert found("study-twice", table) == ()


def test_labels_taken_apart() -> None:
    """Names, numbers and the letter of the year."""
    assert take_apart("Strauß 2001b") == take_apart("STRAUSS 2001b")
    assert take_apart("García-López 2001").names == "garcialopez"
    assert take_apart("UK BEAM Trial 2004").numbers == ("2004",)
    assert not one_letter_apart("smith", "smith")
    assert one_letter_apart("jonson", "johnson")
    assert not one_letter_apart("jones", "janas")


@pytest.mark.parametrize(
    "number", ["NCT01234567", "ISRCTN12345678", "ACTRN12612000123456", "DRKS00001234", "2010-012345-12"]
)
def test_one_registration_of_two_studies(number: str, run: Any, means_table: Any) -> None:
    """A registration in the notes of two studies is a warning; in one study, or in many, it is none."""
    notes = [""] * 8
    notes[1], notes[4] = f"registered as {number}; 12 weeks", f"protocol {number.lower()}"
    table = means_table().assign(note=notes)
    outcome = run("same-registration", table)
    (finding,) = outcome.findings
    assert (finding.severity, finding.rows, outcome.examined) == ("warning", (1, 4), 2)
    assert finding.evidence["registration"] == number
    table.loc[4, "study"] = table.loc[1, "study"]
    assert run("same-registration", table).findings == ()
    assert run("same-registration", means_table().assign(note=number)).findings == ()


def test_no_registration_is_told(run: Any, means_table: Any) -> None:
    """Without any registration number the rule says that it saw nothing."""
    outcome = run("same-registration", means_table())
    assert outcome.examined == 0
    assert "registration" in outcome.passed_over[0]


@pytest.mark.parametrize("rule", RULES[:3])
def test_one_row_and_blank_cells(rule: str, run: Any, means_table: Any) -> None:
    """A single row, and rows without numbers, are no pair of anything."""
    assert run(rule, means_table(1)).findings == ()
    table = means_table().astype(dict.fromkeys(NUMBERS, float))
    table.loc[2:4, NUMBERS] = np.nan
    outcome = run(rule, table)
    assert (outcome.findings, outcome.examined) == ((), 5)
