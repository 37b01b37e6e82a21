"""Numbers of people and of events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.checks.findings import Change
from metaback.checks.tallies import crude_effect

LOOSE = 1e-9


def _counts(k: int = 8, seed: int = 5, risk: float = 0.12) -> pd.DataFrame:
    """Return a clean table of events in arms of 20 to 60 people."""
    rng = np.random.default_rng(seed)
    n1, n2 = rng.integers(20, 60, k), rng.integers(20, 60, k)
    return pd.DataFrame(
        {
            "study": [f"S{i}" for i in range(k)],
            "outcome": "falls",
            "n_1": n1,
            "events_1": rng.binomial(n1, risk * 0.8),
            "n_2": n2,
            "events_2": rng.binomial(n2, risk),
        }
    )


@pytest.mark.parametrize("seed", range(60))
def test_clean_counts_are_not_told(found: Any, seed: int) -> None:
    """Random counts give no warning and no error."""
    table = _counts(seed=seed)
    for key in ("total-as-arm", "percentage-as-count"):
        assert found(key, table) == ()


def test_arms_of_the_size_of_the_trial(found: Any, means_table: Any) -> None:
    """Both arms equal to n: half of it is proposed; arms that add up to n, or to less, are nothing."""
    table = means_table(3)
    n = (table["n_1"] + table["n_2"]).to_numpy(copy=True)
    assert found("total-as-arm", table.assign(n=n)) == ()
    assert found("total-as-arm", table.assign(n=n + 5)) == ()
    table.loc[1, ["n_1", "n_2"]] = [41, 41]
    n[1] = 41
    (finding,) = found("total-as-arm", table.assign(n=n))
    assert finding.severity == "warning"
    assert finding.proposals[0].changes == (Change(1, "n_1", 21.0), Change(1, "n_2", 20.0))
    n[1] = 60
    (finding,) = found("total-as-arm", table.assign(n=n))
    assert finding.proposals == ()


def test_arms_as_large_as_the_whole_of_another_row(found: Any, means_table: Any) -> None:
    """40 and 40 beside 19 and 21 of the same study are told; combined arms and other years are not."""
    one, other = means_table(1), means_table(1)
    one[["n_1", "n_2"]], other[["n_1", "n_2"]] = [[19, 21]], [[40, 40]]
    other["outcome"] = "disability"
    table = pd.concat([one, other], ignore_index=True)
    (finding,) = found("total-as-arm", table)
    assert finding.rows == (1,)
    assert [change.value for change in finding.proposals[0].changes] == [19.0, 21.0]
    assert found("total-as-arm", table.assign(year=[2000, 2004])) == ()
    table.loc[1, "n_2"] = 21
    assert found("total-as-arm", table) == ()


def test_percentages_beside_counts(found: Any) -> None:
    """30 events of 20 people cannot be read; 15 of 40 beside 15% are the percentage, of 6 events."""
    table = _counts(3).assign(events_1=[15, 4, 0], n_1=[40, 32, 25], percent_1=[15.0, 12.5, 0.0])
    (finding,) = found("percentage-as-count", table)
    assert finding.severity == "error"
    assert finding.proposals[0].changes == (Change(0, "events_1", 6.0),)
    table["percent_1"] = [37.5, 12.5, 4.0]
    (finding,) = found("percentage-as-count", table)
    assert (finding.severity, finding.rows) == ("warning", (2,))
    table["percent_1"] = [38.0, 13.0, np.nan]  # rounded to whole percents, and blank
    assert found("percentage-as-count", table) == ()


def test_a_table_of_percentages_is_known_by_their_gaps(found: Any) -> None:
    """Six rows whose counts are all whole percentages of arms of about 30 are told once."""
    table = _counts(6)
    real = table[["events_1", "events_2"]].to_numpy()
    for arm in "12":
        table[f"events_{arm}"] = (
            (100 * table[f"events_{arm}"] / table[f"n_{arm}"]).round().clip(upper=table[f"n_{arm}"])
        )
    (finding,) = found("percentage-as-count", table)
    assert finding.severity == "warning"
    assert finding.rows == tuple(range(6))
    proposed = [change.value for change in finding.proposals[0].changes]
    assert proposed == real.ravel().tolist()


def test_one_row_of_percentages_is_told(found: Any) -> None:
    """2 and 3 events of 20 people, typed as 10 and 15, are three times the usual risk and whole percentages."""
    table = _counts(10, risk=0.12)
    table["events_1"] = (0.1 * table["n_1"]).round().astype(int)
    table["events_2"] = (0.14 * table["n_2"]).round().astype(int)
    table.loc[4, ["n_1", "events_1", "n_2", "events_2"]] = [20, 10, 20, 15]
    (finding,) = found("percentage-as-count", table)
    assert (finding.rows, finding.severity) == ((4,), "warning")
    assert [change.value for change in finding.proposals[0].changes] == [2.0, 3.0]
    table.loc[4, "events_1"] = 11  # no whole percentage of 20 people
    assert found("percentage-as-count", table) == ()


def test_few_rows_are_passed_over_in_words(run: Any, means_table: Any) -> None:
    """Less than five rows say so; a table of means has no counts."""
    assert run("percentage-as-count", _counts(3)).passed_over == ("falls: 3 rows with counts, 5 needed",)
    assert run("percentage-as-count", means_table()).passed_over == ("no columns events_1, events_2",)


def test_trials_without_events_are_counted(found: Any, run: Any) -> None:
    """Rows without an event, and rows of nothing else, are told once each; one event is enough."""
    table = _counts(5)
    table.loc[1, ["events_1", "events_2"]] = [0, 0]
    table.loc[3, ["events_1", "events_2"]] = table.loc[3, ["n_1", "n_2"]].to_numpy()
    table.loc[4, ["events_1", "events_2"]] = [0, 1]
    none, all_ = found("no-events", table)
    assert (none.rows, all_.rows) == ((1,), (3,))
    assert none.severity == "information"
    assert "1 of 5 rows of falls has no event in either arm: S1" in none.says
    assert run("no-events", _counts(5).assign(events_1=3)).findings == ()


def test_crude_effects_are_those_of_the_textbook() -> None:
    """Of the BCG trial of Aronson 1948 (4/123 and 11/139) ln OR is -0.9387 with variance 0.3571 (metafor 3.8-1)."""
    effect, se = crude_effect("OR", *(np.array([float(x)]) for x in (4, 123, 11, 139)))
    assert round(float(effect[0]), 4) == -0.9387
    assert round(float(se[0] ** 2), 4) == 0.3571
    effect, se = crude_effect("RR", *(np.array([float(x)]) for x in (4, 123, 11, 139)))
    assert round(float(effect[0]), 4) == -0.8893
    assert round(float(se[0] ** 2), 4) == 0.3256


def test_published_ratios_of_their_counts_are_clean_and_others_told(found: Any) -> None:
    """Crude, corrected and Peto odds ratios fit; a risk ratio, swapped arms and other numbers are told as such."""
    table = _counts(4).assign(events_1=[12, 0, 9, 14], n_1=40, events_2=[20, 3, 15, 8], n_2=40, measure="OR")
    log = [
        crude_effect("OR", *table.loc[[i], ["events_1", "n_1", "events_2", "n_2"]].to_numpy(float).T)[0][0]
        for i in range(4)
    ]
    right = np.exp(np.array(log)).round(2)
    right[1] = 0.13  # with half an event in each cell: 0.5 * 37.5 / (3.5 * 40.5) = 0.1323
    low, high = right / 3, right * 3
    table = table.assign(ci_low=low.round(3), ci_high=high.round(3))
    assert found("ratio-against-counts", table.assign(effect=right)) == ()
    wrong = right.copy()
    wrong[0] = round(12 / 20, 2)
    wrong[2] = round(1 / float(np.exp(log[2])), 2)
    wrong[3] = 1.20
    by_row = {
        one.rows[0]: one for one in found("ratio-against-counts", table.assign(effect=wrong, ci_low=0.1, ci_high=9))
    }
    assert set(by_row) == {0, 2, 3}
    assert "of the RR instead" in by_row[0].says
    assert "of its arms swapped" in by_row[2].says
    assert "It is that" not in by_row[3].says
    assert abs(by_row[3].evidence["by_counts"] - np.exp(log[3])) < LOOSE
