"""Variances against the number of people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from metaback.checks.findings import Change

N1 = np.array([20, 35, 60, 15, 110, 45])
N2 = np.array([22, 30, 64, 16, 98, 40])
G = np.array([0.2, 0.5, 0.1, 0.8, 0.3, 0.4])
V = 1 / N1 + 1 / N2 + G**2 / (2 * (N1 + N2))
DIGITS = 1e-9


def _table(**columns: Any) -> pd.DataFrame:
    names = [f"S{i}" for i in range(6)]
    return pd.DataFrame({"study": names, "yi": G, "n_1": N1, "n_2": N2, "measure": "SMD", **columns})


def test_right_variances_are_clean(run: Any) -> None:
    """Variances and standard errors of the usual formula are not told."""
    assert run("variance-as-se", _table(vi=V)).findings == ()
    outcome = run("variance-as-se", _table(sei=V**0.5))
    assert outcome.findings == ()
    assert outcome.examined == 6


def test_standard_errors_typed_as_variances_are_an_error(found: Any) -> None:
    """All rows are told at once, and squares are proposed."""
    (finding,) = found("variance-as-se", _table(vi=V**0.5))
    assert finding.severity == "error"
    assert finding.rows == tuple(range(6))
    assert finding.proposals[0].changes[2].role == "vi"
    assert abs(finding.proposals[0].changes[2].value - V[2]) < DIGITS
    assert "a standard error in the place of a variance" in finding.says


def test_variances_typed_as_standard_errors_are_an_error_even_where_the_measure_is_unknown(found: Any) -> None:
    """Bare effects need five rows that fit; roots are proposed."""
    table = _table(sei=V).drop(columns="measure")
    (finding,) = found("variance-as-se", table)
    assert finding.severity == "error"
    assert abs(finding.proposals[0].changes[0].value - V[0] ** 0.5) < DIGITS
    assert found("variance-as-se", table.head(4)) == ()


def test_one_row_among_others_is_a_warning(found: Any) -> None:
    """One standard error in a column of variances is told alone."""
    v = V.copy()
    v[4] **= 0.5
    (finding,) = found("variance-as-se", _table(vi=v))
    assert (finding.rows, finding.severity) == ((4,), "warning")


def test_ratios_and_means_are_passed_over(run: Any, means_table: Any) -> None:
    """The n does not give the variance of a log odds ratio; a table of means has no printed spread."""
    outcome = run("variance-as-se", _table(vi=V**0.5).assign(measure="OR"), measure="OR")
    assert outcome.findings == ()
    assert outcome.passed_over == ("OR: n alone does not give the variance",)
    assert run("variance-as-se", means_table()).passed_over[0].startswith("no columns")


def _printed(effect: float, low: float, high: float, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": ["Cortell-Tormo 2018"],
            "effect": [effect],
            "ci_low": [low],
            "ci_high": [high],
            "measure": ["SMD"],
            **columns,
        }
    )


def test_the_interval_of_cortell_tormo_needs_24_people(found: Any, run: Any) -> None:
    """Tataryn 2021, Table 5: SMD -0.83 (-1.67 to 0.01) with 19 people; 12 and 12 give the interval, 10 and 9 do not."""
    (finding,) = found("interval-against-n", _printed(-0.83, -1.67, 0.01, n_1=[10], n_2=[9]))
    assert "needs about 24 people, where the table has 19" in finding.says
    assert run("interval-against-n", _printed(-0.83, -1.67, 0.01, n_1=[12], n_2=[12])).findings == ()
    assert found("interval-against-n", _printed(-0.83, -1.67, 0.01, n=[19])) != ()


def test_every_usual_formula_is_allowed_for(run: Any) -> None:
    """Intervals by z or t, with or without J, by LS or by 2(N - 3.94), of small arms are not told."""
    g, n1, n2 = 0.9, 8, 11
    j = 1 - 3 / (4 * (n1 + n2 - 2) - 1)
    base = 1 / n1 + 1 / n2
    variances = (
        base + g**2 / (2 * (n1 + n2)),
        base + g**2 / (2 * (n1 + n2 - 3.94)),
        j**2 * (base + (g / j) ** 2 / (2 * (n1 + n2))),
    )
    for v in variances:
        for c in (1.96, 2.11):
            low, high = round(g - c * v**0.5, 2), round(g + c * v**0.5, 2)
            assert run("interval-against-n", _printed(g, low, high, n_1=[n1], n_2=[n2])).findings == ()


def test_intervals_of_90_percent_are_told_together(found: Any) -> None:
    """Three rows or more that fit as 90% are one finding, with the level proposed."""
    half = 1.644854 * V**0.5
    table = _table(effect=G.round(2), ci_low=(G - half).round(2), ci_high=(G + half).round(2)).drop(columns="yi")
    finding = max(found("interval-against-n", table), key=lambda one: len(one.rows))
    assert len(finding.rows) >= 3
    assert finding.proposals[0].changes[0] == Change(finding.rows[0], "ci_level", 90.0)


def test_blank_sizes_are_passed_over_in_words(run: Any) -> None:
    """A table whose n columns are blank says that no row could be judged."""
    outcome = run("interval-against-n", _printed(-0.83, -1.67, 0.01, n_1=[np.nan], n_2=[np.nan]))
    assert outcome.examined == 0
    assert outcome.passed_over == ("no row has a printed SMD, its interval and n",)


def test_the_audit_weighs_what_a_finding_proposes(audit_of: Any) -> None:
    """With roots of the variances typed as standard errors the pool is that of the right table, where tau2 is 0."""
    audit = audit_of(_table(sei=V))
    (found,) = [one for one in audit.findings if one.finding.rule == "variance-as-se"]
    (worth,) = found.consequences
    mended = next(one for one in worth.alternatives if one.name == "square roots taken")
    assert (mended.k, mended.tau2) == (6, 0.0)
    assert mended.mean is not None
    assert abs(mended.mean.point - np.sum(G / V) / np.sum(1 / V)) < DIGITS


def test_the_audit_weighs_another_level(audit_of: Any) -> None:
    """Three intervals read as 90% make their trials less precise."""
    half = 1.644854 * V**0.5
    table = _table(effect=G.round(2), ci_low=(G - half).round(2), ci_high=(G + half).round(2)).drop(columns="yi")
    found = next(one for one in audit_of(table).findings if one.finding.rule == "interval-against-n")
    assert "intervals of 90%" in [one.name for one in found.consequences[0].alternatives]
