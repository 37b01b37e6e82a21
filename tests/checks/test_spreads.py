"""Rules about standard deviations."""

from __future__ import annotations

from typing import Any


def test_se_as_sd_finds_the_row_and_what_it_would_be(found: Any, means_table: Any) -> None:
    """A row whose SDs were divided by the square root of n is found, with the SDs that it had."""
    table = means_table()
    right = table.loc[3, ["sd_1", "sd_2"]].astype(float)
    table.loc[3, ["sd_1", "sd_2"]] = (right / table.loc[3, ["n_1", "n_2"]].astype(float).to_numpy() ** 0.5).to_numpy()
    (finding,) = found("se-as-sd", table)
    assert finding.rows == (3,)
    values = [change.value for change in finding.proposals[0].changes]
    assert abs(values[0] - right.iloc[0]) < 1e-9
    assert abs(values[1] - right.iloc[1]) < 1e-9


def test_a_clean_table_has_no_finding(run: Any, means_table: Any) -> None:
    """All rows of a clean table are looked at, and none is suspected."""
    outcome = run("se-as-sd", means_table())
    assert outcome.findings == ()
    assert outcome.examined == 8
