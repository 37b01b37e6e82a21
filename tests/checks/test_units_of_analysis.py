"""Limbs, sessions and clusters counted as if they were people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

RULE = "unit-of-analysis"


def test_clean_tables_are_passed_over_or_silent(run: Any, means_table: Any) -> None:
    """Without a column nothing can be said; with people as the unit nothing is found."""
    outcome = run(RULE, means_table())
    assert outcome.examined == 0
    assert "unit" in outcome.passed_over[0]
    table = means_table()
    for columns in ({"unit": "person"}, {"n_people": table["n_1"] + table["n_2"]}, {"design": "parallel"}):
        outcome = run(RULE, table.assign(**columns))
        assert (outcome.findings, outcome.examined) == ((), 8)


def test_knees_of_one_person(found: Any, audit_of: Any, means_table: Any) -> None:
    """Two knees per person with an assumed correlation of 0.5: the design effect is 1.5, and n is divided by it."""
    table = means_table().assign(unit="person", n_people=np.nan)
    table.loc[3, ["unit", "n_1", "n_2"]] = ["knees", 20, 22]
    table.loc[3, "n_people"] = 21
    (finding,) = found(RULE, table)
    assert (finding.severity, finding.rows, finding.evidence["size"]) == ("error", (3,), 2.0)
    effects = [finding.evidence[f"design_effect_{name}"] for name in ("low", "proposed", "high")]
    assert effects == pytest.approx([1.3, 1.5, 1.8], rel=1e-14)
    changes = {change.role: change.value for change in finding.proposals[0].changes}
    assert changes == pytest.approx({"n_1": 20 / 1.5, "n_2": 22 / 1.5})
    audit = audit_of(table)
    (reviewed,) = [one for one in audit.findings if one.finding.rule == RULE]
    assert reviewed.consequences[0].alternatives[0].k == 8
    assert reviewed.shift > 0


def test_unknown_number_of_people(found: Any, means_table: Any) -> None:
    """Without the number of people the finding is a warning with an example, and proposes nothing."""
    table = means_table().assign(unit=["leg", *["people"] * 7])
    (finding,) = found(RULE, table)
    assert (finding.severity, finding.proposals) == ("warning", ())
    assert "1.22" in finding.says


def test_more_observations_than_people(found: Any, means_table: Any) -> None:
    """More observations than people are found without a unit; twice as many are a cross-over, and no more are fine."""
    table = means_table()
    people = (table["n_1"] + table["n_2"]).astype(float)
    assert found(RULE, table.assign(n_people=people / 2)) == ()
    (finding,) = found(RULE, table.assign(n_people=[people[0] / 3, *people[1:]]))
    assert (finding.rows, finding.severity) == ((0,), "error")
    crossed = table.assign(n_people=[people[0] / 3, *people[1:]], design=["crossover", *["parallel"] * 7])
    assert found(RULE, crossed) == ()


def test_clusters_with_their_numbers(found: Any, means_table: Any) -> None:
    """A cluster trial with 21 people per cluster and ICC 0.05: the design effect is 2."""
    table = means_table().assign(
        design=["cluster randomised", *["individual"] * 7],
        cluster_size=[21.0, *[np.nan] * 7],
        icc=[0.05, *[np.nan] * 7],
    )
    (finding,) = found(RULE, table)
    assert finding.severity == "warning"
    assert finding.evidence["design_effect_low"] == finding.evidence["design_effect_high"]
    assert finding.evidence["design_effect_proposed"] == pytest.approx(2.0, rel=1e-14)
    changes = {change.role: change.value for change in finding.proposals[0].changes}
    assert changes == pytest.approx({"n_1": table.loc[0, "n_1"] / 2, "n_2": table.loc[0, "n_2"] / 2})


def test_printed_effects_of_clusters_get_a_larger_variance(found: Any, scene_of: Any, means_table: Any) -> None:
    """A printed effect may be adjusted already: an information, with the variance times the design effect."""
    frame = scene_of(means_table()).pools[0]
    table = means_table()[["study"]].assign(
        yi=frame.yi,
        vi=frame.vi,
        note=["a cluster-randomised trial", *["not cluster-randomised"] * 7],
        cluster_size=21.0,
    )
    (finding,) = found(RULE, table)
    assert (finding.severity, finding.rows) == ("information", (0,))
    (joint,) = finding.proposals[0].joint
    assert joint.covariance[0][0] == pytest.approx(2 * frame.vi[0], rel=1e-12)


def test_unknown_clusters(found: Any, means_table: Any) -> None:
    """Without a size the example of 20 people and an ICC of 0.05 is told."""
    (finding,) = found(RULE, means_table().assign(unit=["team", *["people"] * 7]))
    assert (finding.severity, finding.proposals) == ("warning", ())
    assert f"{np.sqrt(1 + 19 * 0.05):.2f}" in finding.says
