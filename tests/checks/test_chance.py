"""What chance does in large tables, and one fact told once: near misses that public tables have shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import pytest

SEED = 20261122
HANDFUL = 6  # findings of a clean table of 10,000 rows, in which some rows are far out by chance
SECONDS = 6.0  # three times what is promised for 10,000 rows, because other work runs beside the tests


def large(outcomes: int, studies: int) -> pd.DataFrame:
    """Return a clean table whose numbers of people and SDs are independent in all rows."""
    rng = np.random.default_rng(SEED)
    k = outcomes * studies
    n_1, n_2 = rng.integers(10, 31, k), rng.integers(10, 31, k)
    means = 50 + rng.normal(0, 3, k)
    return pd.DataFrame(
        {
            "study": np.tile([f"Author{i} {1990 + i % 30}" for i in range(studies)], outcomes),
            "outcome": np.repeat([f"outcome {i}" for i in range(outcomes)], studies),
            "instrument": "VAS 0-100",
            "higher_is_better": False,
            "n_1": n_1,
            "mean_1": (means - 8 + rng.normal(0, 20, k) / np.sqrt(n_1)).round(1),
            "sd_1": (20 * np.exp(rng.normal(0, 0.15, k))).round(1),
            "n_2": n_2,
            "mean_2": (means + rng.normal(0, 20, k) / np.sqrt(n_2)).round(1),
            "sd_2": (20 * np.exp(rng.normal(0, 0.15, k))).round(1),
        }
    )


@pytest.mark.parametrize(("outcomes", "studies"), [(50, 200), (1, 10_000)])
def test_a_clean_table_of_10000_rows_has_a_handful_of_findings_in_seconds(
    audit_of: Callable[..., Any], outcomes: int, studies: int
) -> None:
    table = large(outcomes, studies)
    start = process_time()
    audit = audit_of(table, measure="SMD")
    assert process_time() - start < SECONDS
    assert len(audit.findings) <= HANDFUL, Counter(found.finding.rule for found in audit.findings)
    assert audit.count("error") == 0


def test_one_exchange_is_told_in_a_small_table_and_none_in_a_large_one_of_many_sizes(found: Callable[..., Any]) -> None:
    small = pd.concat([large(1, 5).assign(n_1=15, n_2=22, outcome=name) for name in ("pain", "function", "mood")])
    small = small.reset_index(drop=True)
    small.loc[12, ["n_1", "n_2"]] = [22, 15]
    assert [finding.rows for finding in found("arms-swapped", small)] == [(12,)]
    assert found("arms-swapped", large(50, 20)) == ()


def test_a_total_is_told_in_a_small_table_and_none_in_a_large_one_of_many_sizes(found: Callable[..., Any]) -> None:
    small = pd.concat([large(1, 5).assign(n_1=15, n_2=15, outcome=name) for name in ("pain", "function")])
    small = small.reset_index(drop=True)
    small.loc[7, ["n_1", "n_2"]] = [30, 30]
    assert [finding.rows for finding in found("total-as-arm", small)] == [(7,)]
    assert found("total-as-arm", large(50, 20)) == ()


def test_copied_sds_are_told_among_10_trials_and_thrice_among_10000_is_chance(found: Callable[..., Any]) -> None:
    small = large(1, 10)
    small.loc[[1, 4, 7], ["sd_1", "sd_2"]] = [19.3, 21.4]
    assert [finding.rows for finding in found("sds-repeated", small)] == [(1, 4, 7)]
    many = large(1, 10_000)
    assert found("sds-repeated", many) == ()
    many.loc[:39, ["sd_1", "sd_2"]] = [19.3, 21.4]
    (finding,) = found("sds-repeated", many)
    assert set(range(40)) <= set(finding.rows)


def test_many_copied_pairs_of_sds_are_one_finding(found: Callable[..., Any]) -> None:
    table = large(1, 60)
    for i in range(15):
        table.loc[4 * i : 4 * i + 3, ["sd_1", "sd_2"]] = [11.3 + i, 39.7 - i]
    (finding,) = found("sds-repeated", table)
    assert len(finding.rows) == 60
    assert "14 more pairs" in finding.says


def _counts(weeks: tuple[float, float]) -> pd.DataFrame:
    """Return a trial whose first arm has as many events at two times, and four others."""
    rows = [("Two 1993", weeks[0], 15, 34, 8, 35), ("Two 1993", weeks[1], 15, 34, 6, 36)]
    rows += [(f"Other{i} 1990", 26.0, 10 + i, 40 + 3 * i, 8 + i, 41 + 2 * i) for i in range(4)]
    return pd.DataFrame(rows, columns=["study", "weeks", "events_1", "n_1", "events_2", "n_2"])


def test_equal_counts_at_two_times_are_not_a_shared_group(found: Callable[..., Any]) -> None:
    (told,) = found("shared-control", _counts((78.0, 78.0)), measure="OR")
    assert told.rows == (0, 1)
    assert found("shared-control", _counts((78.0, 104.0)), measure="OR") == ()


@pytest.mark.parametrize(("weeks", "told"), [((78.0, 78.0), 1), ((78.0, 104.0), 0)])
def test_no_event_between_two_times_is_not_a_row_entered_twice(
    found: Callable[..., Any], weeks: tuple[float, float], told: int
) -> None:
    table = _counts(weeks)
    table.loc[1, ["events_1", "n_1", "events_2", "n_2"]] = table.loc[0, ["events_1", "n_1", "events_2", "n_2"]]
    table.loc[:1, ["n_1", "n_2"]] = [134, 135]
    assert len(found("row-twice", table, measure="OR")) == told


def _effects(vi: float) -> pd.DataFrame:
    """Return 42 effects with two decimals, two of which have the same effect and variance."""
    rng = np.random.default_rng(SEED)
    sei = rng.uniform(0.1, 1.4, 42).round(2)
    table = pd.DataFrame(
        {"study": [f"Study {chr(65 + i % 26)}{i}" for i in range(42)], "yi": rng.normal(1, 1, 42).round(2)}
    )
    table["vi"] = (sei**2).round(4)
    table.loc[[8, 9], ["yi", "vi"]] = [1.64, vi]
    return table


def test_a_variance_has_no_more_digits_than_the_standard_error_it_was_made_of(found: Callable[..., Any]) -> None:
    assert found("same-numbers", _effects(0.4096)) == ()
    (told,) = found("same-numbers", _effects(0.4097))
    assert told.rows == (8, 9)


def test_two_studies_with_several_equal_rows_are_one_finding(found: Callable[..., Any]) -> None:
    table = _effects(0.4097)
    table.loc[[20, 30], ["yi", "vi"]] = [0.773, 0.1173]
    table.loc[[8, 20], "study"], table.loc[[9, 30], "study"] = "Pleban 2009", "Johnson 2009"
    (told,) = found("same-numbers", table)
    assert told.rows == (8, 9, 20, 30)
    assert "2 sets of rows" in told.says
    assert told.proposals[0].without == (9, 30)


def _shared(groups: int) -> pd.DataFrame:
    """Return trials with two arms against one control group."""
    table = large(1, 2 * groups)
    table["study"] = [f"Trial{i // 2} 2001" for i in range(2 * groups)]
    for i in range(groups):
        table.loc[2 * i + 1, ["n_2", "mean_2", "sd_2"]] = table.loc[2 * i, ["n_2", "mean_2", "sd_2"]]
    return table


@pytest.mark.parametrize(("groups", "findings"), [(5, 5), (6, 1)])
def test_more_than_five_shared_groups_are_one_finding(found: Callable[..., Any], groups: int, findings: int) -> None:
    told = found("shared-control", _shared(groups), measure="SMD")
    assert len(told) == findings
    assert {row for finding in told for row in finding.rows} == set(range(2 * groups))
    assert sum(len(finding.proposals[0].joint) for finding in told) == groups
    assert {place for finding in told for place in finding.proposals[1].without} == set(range(1, 2 * groups, 2))


def test_one_control_group_in_two_strata_may_be_a_copy(found: Callable[..., Any]) -> None:
    (told,) = found("shared-control", _shared(1).assign(stratum=["men", "women"]), measure="SMD")
    assert "different strata (men, women)" in told.says


def test_rows_that_differ_in_their_stratum_are_told_so(found: Callable[..., Any]) -> None:
    table = pd.DataFrame(
        {"study": ["1", "1", "2"], "stratum": ["BMT", "CMO", "BMT"], "yi": [0.4, 0.2, 0.3], "sei": 0.1}
    )
    (told,) = found("several-rows", table)
    assert told.severity == "warning"
    assert "They differ in stratum BMT, CMO" in told.says


def test_the_rows_of_one_study_are_no_standard_for_the_sds_of_another(found: Callable[..., Any]) -> None:
    table = large(1, 12)
    table.loc[11, ["sd_1", "sd_2"]] = table.loc[11, ["sd_1", "sd_2"]] / np.sqrt(20.0)
    table.loc[11, ["n_1", "n_2"]] = 20
    table["mean_1"] = table["mean_2"] - 8
    assert [finding.rows for finding in found("se-as-sd", table)] == [(11,)]
    assert found("se-as-sd", table.assign(study=["Mill 2007"] * 10 + ["Oak 2003", "Pike 2005"])) == ()


def test_many_large_differences_are_one_finding(found: Callable[..., Any]) -> None:
    table = large(1, 20)
    table["mean_1"] = table["mean_2"] - 45
    told = found("implausible-effect", table, measure="SMD")
    assert len(told) <= 2
    assert len({row for finding in told for row in finding.rows}) > 12
