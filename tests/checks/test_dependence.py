"""Rows of one study that are pooled as independent: shared arms, several rows, and what a choice of rows could do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.checks.rules import RULES as REGISTERED

SEEDS = (1, 2, 3, 4, 5)
RULES = ("several-rows", "shared-control", "choice-of-rows")


def _two_arms(means_table: Any) -> pd.DataFrame:
    """Return a clean table in which row 4 is a second arm of the study of row 3, against the same control group."""
    table = means_table()
    table.loc[4, "study"] = table.loc[3, "study"]
    table.loc[4, ["n_2", "mean_2", "sd_2"]] = table.loc[3, ["n_2", "mean_2", "sd_2"]]
    return table


@pytest.mark.parametrize("rule", RULES)
def test_clean_tables_have_no_finding(rule: str, run: Any, means_table: Any) -> None:
    """One row per study is nothing to tell, and all rows were looked at."""
    for seed in SEEDS:
        outcome = run(rule, means_table(seed=seed))
        assert outcome.findings == ()
        assert outcome.examined == 8


@pytest.mark.parametrize("measure", ["SMD", "MD", "ROM"])
def test_covariance_of_a_shared_control(measure: str, scene_of: Any, found: Any, means_table: Any) -> None:
    """The two rows would enter with the covariance of Gleser & Olkin, from the control's numbers."""
    table = _two_arms(means_table)
    (finding,) = found("shared-control", table, measure=measure)
    assert (finding.severity, finding.rows, finding.evidence["seen_by"]) == ("error", (3, 4), "numbers")
    assert {cell.role for cell in finding.cells} == {"n_2", "mean_2", "sd_2"}
    pool = scene_of(table, measure=measure).pools[0]
    n, mean, sd = (float(table.loc[3, role]) for role in ("n_2", "mean_2", "sd_2"))
    total = n + float(table.loc[3, "n_1"] + table.loc[4, "n_1"])
    expected = {
        "SMD": 1 / n + pool.yi[3] * pool.yi[4] / (2 * total),
        "MD": sd**2 / n,
        "ROM": sd**2 / (n * mean**2),
    }[measure]
    (joint,) = finding.proposals[0].joint
    assert joint.places == (3, 4)
    assert joint.covariance[0][1] == pytest.approx(expected, rel=1e-13)
    assert (joint.covariance[0][0], joint.covariance[1][1]) == (pool.vi[3], pool.vi[4])
    w = 1 / pool.vi[3:5]
    factor = np.sqrt((w.sum() + 2 * w.prod() * expected) / w.sum())
    assert finding.evidence["se_factor"] == pytest.approx(factor, rel=1e-12)


def test_what_mending_a_shared_control_gives(found: Any, audit_of: Any, means_table: Any) -> None:
    """The control's people are shared out, and the pool takes the two rows as one effect or keeps the first."""
    table = _two_arms(means_table)
    (finding,) = found("shared-control", table, measure="MD")
    assert finding.proposals[1].without == (4,)
    changes = {(change.place, change.role): change.value for change in finding.proposals[2].changes}
    assert changes == {(3, "n_2"): table.loc[3, "n_2"] / 2, (4, "n_2"): table.loc[3, "n_2"] / 2}
    audit = audit_of(table, measure="MD")
    (reviewed,) = [one for one in audit.findings if one.finding.rule == "shared-control"]
    assert [variant.k for variant in reviewed.consequences[0].alternatives] == [7, 7, 8, 6]


def test_several_arms_of_a_study_are_told_once(found: Any, means_table: Any) -> None:
    """Where one shared control explains all rows of a study, nothing else is told about them."""
    assert found("several-rows", _two_arms(means_table)) == ()


def test_arms_named_the_other_way_round(found: Any, means_table: Any) -> None:
    """A control that stands in arm 1 of a row whose treatments are turned is still the same control."""
    table = _two_arms(means_table)
    pairs = [("n_1", "n_2"), ("mean_1", "mean_2"), ("sd_1", "sd_2"), ("treatment_1", "treatment_2")]
    table = table.astype({role: float for pair in pairs[:3] for role in pair})
    for one, two in pairs:
        table.loc[4, [one, two]] = table.loc[4, [two, one]].to_numpy()
    (finding,) = found("shared-control", table)
    assert [(cell.place, cell.role) for cell in finding.cells if cell.role.startswith("n")] == [(3, "n_2"), (4, "n_1")]


def test_numbers_of_fewer_decimals(found: Any, means_table: Any) -> None:
    """A control that was rounded differently in both rows is a suspicion; whole numbers must be equal."""
    table = _two_arms(means_table)
    table["mean_2"] = table["mean_2"].astype(float)
    table.loc[4, "mean_2"] = round(float(table.loc[3, "mean_2"]) + 0.04, 2)
    (finding,) = found("shared-control", table)
    assert finding.severity == "warning"
    table.loc[4, "mean_2"] = round(float(table.loc[3, "mean_2"]) + 0.3, 2)
    assert found("shared-control", table) == ()


def test_few_digits_are_no_proof(found: Any, means_table: Any) -> None:
    """Mean 4 and SD 2 may be two groups: a warning."""
    table = _two_arms(means_table)
    table.loc[3:4, ["mean_2", "sd_2"]] = [[4, 2], [4, 2]]
    (finding,) = found("shared-control", table)
    assert finding.severity == "warning"


def _counts(**columns: Any) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "study": ["A 2001", "A 2001", "B 2002", "C 2003"],
            "events_1": [7, 9, 5, 11],
            "n_1": [40, 45, 40, 50],
            "events_2": [14, 14, 9, 12],
            "n_2": [41, 41, 40, 52],
        }
    )
    return table.assign(**columns)


@pytest.mark.parametrize(
    ("measure", "covariance"),
    [("OR", 1 / 14 + 1 / 27), ("RR", 1 / 14 - 1 / 41), ("RD", 14 / 41 * 27 / 41 / 41)],
)
def test_counts(measure: str, covariance: float, found: Any, audit_of: Any) -> None:
    """Equal counts are a warning; their covariance is exact, and events are shared out with the people."""
    (finding,) = found("shared-control", _counts(), measure=measure)
    assert finding.severity == "warning"
    assert finding.evidence["covariance"] == pytest.approx(covariance, rel=1e-12)
    changes = {(change.place, change.role): change.value for change in finding.proposals[2].changes}
    assert changes[0, "events_2"] == 7
    assert changes[1, "n_2"] == 20.5
    audit = audit_of(_counts(), measure=measure)
    (reviewed,) = [one for one in audit.findings if one.finding.rule == "shared-control"]
    assert [variant.k for variant in reviewed.consequences[0].alternatives] == [3, 3, 4, 2]


def test_few_events_in_equal_arms_are_not_a_shared_control(found: Any) -> None:
    """Two outcomes of the same people can have 3 events in one arm: the rows are several rows of a study."""
    table = _counts(n_1=[40, 40, 40, 50], events_2=[3, 3, 9, 12])
    assert found("shared-control", table, measure="OR") == ()
    (finding,) = found("several-rows", table, measure="OR")
    assert finding.severity == "warning"


def _printed(**columns: Any) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "study": ["A 2001", "A 2001", "B 2002", "C 2003"],
            "yi": [0.31, 0.42, 0.15, 0.27],
            "vi": [0.04, 0.05, 0.06, 0.03],
            "arm_1": ["young", "old", "adults", "adults"],
            "arm_2": "usual care",
        }
    )
    return table.assign(**columns)


def test_a_label_alone_is_a_suspicion(found: Any) -> None:
    """The same label of the control is a warning, an error where it says that the group is used twice."""
    (finding,) = found("shared-control", _printed())
    assert (finding.severity, finding.evidence["seen_by"]) == ("warning", "label")
    assert finding.evidence["covariance"] == pytest.approx(0.5 * np.sqrt(0.04 * 0.05), rel=1e-13)
    assert len(finding.proposals) == 2  # no numbers that could be shared out
    assert "assumed" in finding.says
    labels = ["one control group", "one control group", "usual care", "usual care"]
    assert found("shared-control", _printed(arm_2=labels))[0].severity == "error"


def test_sizes_give_a_better_covariance_than_an_assumption(found: Any) -> None:
    """With n but no formula for the measure, the correlation follows from the sizes of the arms."""
    table = _printed(n_1=[10, 40, 30, 30], n_2=[20, 20, 30, 30])
    (finding,) = found("shared-control", table, measure="GEN")
    expected = (1 / 20) / np.sqrt((1 / 10 + 1 / 20) * (1 / 40 + 1 / 20))
    assert finding.evidence["correlation"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "columns",
    [
        {"n_2": [20, 31, 30, 30], "n_1": [20, 22, 30, 30]},  # the same label, another number of people
        {"weeks": [4.0, 12.0, 4.0, 4.0]},  # two times
        {"instrument": ["VAS", "NPRS", "VAS", "VAS"]},  # two instruments
        {"arm_1": "exercise"},  # nothing differs
    ],
)
def test_near_misses_of_a_label(columns: dict[str, Any], found: Any) -> None:
    """Equal labels with other numbers, times, instruments, or the same other arm are no shared control."""
    assert found("shared-control", _printed(**columns)) == ()


def _times(means_table: Any, *, same_n: bool = True, **columns: Any) -> pd.DataFrame:
    table = means_table().assign(weeks=8.0)
    table.loc[5, "study"] = table.loc[2, "study"]
    if same_n:
        table.loc[5, ["n_1", "n_2"]] = table.loc[2, ["n_1", "n_2"]]
    else:
        table.loc[[2, 5], ["n_1", "n_2"]] = [[20, 22], [24, 27]]
    for name, value in columns.items():
        table.loc[5, name] = value
    return table


@pytest.mark.parametrize(("role", "value", "kind"), [("weeks", 26.0, "times"), ("instrument", "NPRS", "instruments")])
def test_the_same_people_at_another_time(role: str, value: Any, kind: str, found: Any, means_table: Any) -> None:
    """Equal n in both arms at two times is an error; with other n it is a warning."""
    (finding,) = found("several-rows", _times(means_table, **{role: value}))
    assert (finding.severity, finding.rows, finding.evidence["differ_in"]) == ("error", (2, 5), kind)
    assert [finding.evidence[f"se_factor_{rho}"] for rho in (0.3, 0.5, 0.8)] == sorted(
        finding.evidence[f"se_factor_{rho}"] for rho in (0.3, 0.5, 0.8)
    )
    assert finding.evidence["se_factor_0.5"] == pytest.approx(np.sqrt(1.5), abs=0.02)  # variances are near equal
    (other,) = found("several-rows", _times(means_table, same_n=False, **{role: value}))
    assert other.severity == "warning"


def test_separate_groups_of_people_are_information(found: Any, means_table: Any) -> None:
    """Men and women with other n, means and SDs in both arms count nobody twice."""
    (finding,) = found("several-rows", _times(means_table, same_n=False))
    assert finding.severity == "information"
    assert finding.proposals == ()
    table = _times(means_table, same_n=False)
    table.loc[[2, 5], ["n_1", "n_2"]] = [[20, 22], [20, 21]]  # n tells nothing; the strata do
    assert found("several-rows", table)[0].severity == "warning"
    strata = ["all", "all", "men", "all", "all", "women", "all", "all"]
    assert found("several-rows", table.assign(stratum=strata))[0].severity == "information"


def test_other_years_are_other_studies(found: Any, means_table: Any) -> None:
    """Rows with one author and two years look like two studies."""
    table = _times(means_table).assign(year=np.arange(2001, 2009))
    assert found("several-rows", table)[0].severity == "information"


def test_nothing_tells_the_rows_apart(found: Any) -> None:
    """Effects without any column that tells them apart are a warning, with the factor of the assumed correlations."""
    table = pd.DataFrame({"study": list("AABC"), "yi": [0.1, 0.3, 0.2, 0.5], "vi": [0.04] * 4})
    (finding,) = found("several-rows", table)
    assert finding.severity == "warning"
    factors = [finding.evidence[f"se_factor_{rho}"] for rho in (0.3, 0.5, 0.8)]
    assert factors == pytest.approx(np.sqrt([1.3, 1.5, 1.8]), rel=1e-12)
    ((joint,), second) = finding.proposals[0].joint, finding.proposals[1]
    assert joint.covariance[0][1] == pytest.approx(0.02)
    assert second.without == (1,)


def test_who_says_that_rows_are_independent_is_believed(scene_of: Any) -> None:
    """With the word of the user both rules tell an information."""
    table = pd.DataFrame({"study": list("AABC"), "yi": [0.1, 0.3, 0.2, 0.5], "vi": [0.04] * 4})
    for frame, rule in ((table, "several-rows"), (_counts(), "shared-control")):
        scene = scene_of(frame, measure="OR" if rule == "shared-control" else None)
        said = replace(scene, plan=replace(scene.plan, independent=True))
        (finding,) = REGISTERED[rule].function(said).findings
        assert finding.severity == "information"


def test_many_studies_become_one_finding(found: Any) -> None:
    """Six studies with two rows each are told together, with the rows and studies of the pool."""
    table = pd.DataFrame({"study": [*"ABCDEF" * 2, "G"], "yi": np.linspace(0.1, 0.7, 13), "vi": [0.04] * 13})
    (finding,) = found("several-rows", table)
    assert finding.whole
    assert (finding.evidence["rows"], finding.evidence["studies"], finding.evidence["repeated"]) == (13, 7, 6)
    assert len(finding.proposals[0].joint) == 6
    assert finding.proposals[1].without == (6, 7, 8, 9, 10, 11)


def test_the_choice_of_a_row(found: Any, audit_of: Any, means_table: Any) -> None:
    """The lowest and the highest effect of a study with two times bound what choosing could do."""
    table = _times(means_table, weeks=26.0)
    (finding,) = found("choice-of-rows", table)
    assert finding.severity == "information"
    without = {proposal.name: proposal.without for proposal in finding.proposals}
    assert sorted(place for places in without.values() for place in places) == [2, 5]
    audit = audit_of(table)
    (reviewed,) = [one for one in audit.findings if one.finding.rule == "choice-of-rows"]
    low, high = (variant.mean for variant in reviewed.consequences[0].alternatives)
    assert low is not None
    assert high is not None
    assert low.point < high.point
    assert found("choice-of-rows", table.assign(selected=True)) == ()


def test_a_table_without_effects_is_passed_over(run: Any) -> None:
    """Where nothing can be pooled the rule says so."""
    table = pd.DataFrame({"study": ["A", "A"], "yi": [np.nan, np.nan], "vi": [np.nan, np.nan]})
    outcome = run("several-rows", table)
    assert outcome.examined == 0
    assert "nothing would be pooled" in outcome.passed_over[0]
    lacking = run("shared-control", pd.DataFrame({"study": list("ABC"), "yi": [1.0, 2, 3], "vi": [1.0, 1, 1]}))
    assert "n_1" in lacking.passed_over[0]


def test_rows_that_the_pool_models_are_no_error() -> None:
    """The default request models what rows of a study share: a look is enough, and nothing stops the pool."""
    table = mb.load_dataset("backpain").query("study == 'Jackson 2011' and outcome == 'pain'")
    for choices, severity in (({}, "warning"), ({"ci": "HKSJ"}, "error"), ({"independent": True}, "information")):
        (finding,) = [
            part
            for part in (one.finding for one in mb.check(table, **choices).audit.findings)
            if part.rule == "shared-control"
        ]
        assert finding.severity == severity
        assert ("model of their dependence" in finding.fix) == (severity == "warning")
