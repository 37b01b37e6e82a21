"""Printed effects against their own intervals and standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

DIGITS = 1e-9  # proposals are plain functions of the cells
Z = 1.959964


def _effects(effect: list[float], low: list[float], high: list[float], **columns: Any) -> pd.DataFrame:
    """Return a table of printed effects."""
    names = [f"S{i}" for i in range(len(effect))]
    return pd.DataFrame({"study": names, "effect": effect, "ci_low": low, "ci_high": high, **columns})


def _ratios(k: int = 6) -> pd.DataFrame:
    """Return a clean table of odds ratios as papers print them."""
    y, se = np.linspace(-0.7, 0.4, k), np.linspace(0.2, 0.6, k)
    columns = [np.exp(x).round(2).tolist() for x in (y, y - Z * se, y + Z * se)]
    return _effects(*columns, measure="OR")


def test_ratios_with_their_own_intervals_are_clean(run: Any) -> None:
    """Rounded odds ratios are symmetric on the log scale."""
    outcome = run("interval-off-centre", _ratios())
    assert outcome.findings == ()
    assert outcome.examined == 6


def test_ratios_pooled_as_they_are_are_an_error(found: Any) -> None:
    """Odds ratios without their measure are told, with their logarithms proposed for all rows at once."""
    table = _ratios().drop(columns="measure")
    (finding,) = found("interval-off-centre", table)
    assert finding.severity == "error"
    assert "look like ratios" in finding.says
    values = {(change.place, change.role): change.value for change in finding.proposals[0].changes}
    assert abs(values[(0, "effect")] - np.log(table["effect"][0])) < DIGITS
    assert abs(values[(0, "ci_low")] - np.log(table["ci_low"][0])) < DIGITS


def test_logarithms_named_as_ratios_are_found(found: Any) -> None:
    """A log hazard ratio of 0.52 (0.21 to 0.83) typed as ratio is at the arithmetic middle; its ratio is 1.68."""
    table = _effects([0.52, 0.91, 1.22], [0.21, 0.11, 0.43], [0.83, 1.71, 2.01], measure="HR")
    (finding,) = found("interval-off-centre", table)
    assert finding.severity == "error"
    assert finding.rows == (0, 1, 2)
    assert abs(finding.proposals[0].changes[0].value - np.exp(0.52)) < DIGITS


def test_a_narrow_interval_or_a_coarse_one_cannot_be_told_apart(found: Any) -> None:
    """0.90 (0.85 to 0.95) is symmetric on both scales, and 0.2 (0.1 to 0.4) within its rounding."""
    assert found("interval-off-centre", _effects([0.90, 0.2], [0.85, 0.1], [0.95, 0.4], measure="OR")) == ()


def test_a_lost_sign_is_named(found: Any) -> None:
    """An effect of 0.31 (0.19 to 0.81) fits with a lower limit of -0.19."""
    (finding,) = found("interval-off-centre", _effects([0.31, 0.11], [0.19, -0.32], [0.81, 0.54], measure="SMD"))
    assert finding.rows == (0,)
    assert finding.severity == "warning"
    (proposal,) = finding.proposals
    assert (proposal.changes[0].role, proposal.changes[0].value) == ("ci_low", -0.19)


def test_a_leaning_interval_of_a_proportion_is_passed_over(run: Any) -> None:
    """The intervals of proportions lean on every scale; they are not judged, which is told."""
    outcome = run("interval-off-centre", _effects([0.02], [0.005], [0.07], measure="PR"))
    assert outcome.findings == ()
    assert "1 printed intervals are of measures on bounded scales" in outcome.passed_over[0]


def test_without_an_interval_the_rule_is_passed_over(run: Any, means_table: Any) -> None:
    """A table of means has no printed effects."""
    assert run("interval-off-centre", means_table()).passed_over == ("no columns effect, ci_low, ci_high",)


def _with_se(factor: Any, k: int = 5) -> pd.DataFrame:
    """Return mean differences with 95% intervals and a column of standard errors made from the right ones."""
    y, se = np.linspace(-2, 3, k), np.linspace(0.4, 2.2, k)
    table = _effects(y.round(2).tolist(), (y - Z * se).round(2).tolist(), (y + Z * se).round(2).tolist(), measure="MD")
    return table.assign(se=factor(se).round(3))


@pytest.mark.parametrize(
    ("factor", "reading", "severity", "proposed"),
    [
        (lambda se: se**2, "variance", "error", ("se", 0.4)),
        (lambda se: Z * se, "half width", "error", ("se", 0.4)),
        (lambda se: se * Z / 1.644854, "the interval is one of 90%", "warning", ("ci_level", 90.0)),
        (lambda se: se * Z / 2.575829, "the interval is one of 99%", "warning", ("ci_level", 99.0)),
    ],
)
def test_what_a_standard_error_is_that_does_not_fit(
    found: Any, factor: Any, reading: str, severity: str, proposed: tuple[str, float]
) -> None:
    """Variances, half widths and other levels are named, with the right number proposed."""
    findings = found("se-against-interval", _with_se(factor))
    finding = max(findings, key=lambda one: len(one.rows))
    assert finding.evidence["reading"] == reading
    assert finding.severity == severity
    change = next(change for change in finding.proposals[0].changes if change.place == finding.rows[0])
    true = np.linspace(0.4, 2.2, 5)[finding.rows[0]] if proposed[0] == "se" else proposed[1]
    assert change.role == proposed[0]
    assert abs(change.value - true) < 2e-3  # the column has three decimals


def test_standard_errors_that_fit_are_clean(run: Any) -> None:
    """Standard errors of the intervals themselves, and those of t intervals of small groups, are not told."""
    outcome = run("se-against-interval", _with_se(lambda se: se))
    assert outcome.findings == ()
    assert outcome.examined == 5
    assert run("se-against-interval", _with_se(lambda se: se * Z / 2.228)).findings == ()  # t on 10 df


def test_an_unexplained_contradiction_is_told_plainly(found: Any) -> None:
    """A standard error 1.6 times too large has no reading, and nothing is proposed."""
    (finding,) = found("se-against-interval", _with_se(lambda se: 1.6 * se, k=1))
    assert finding.severity == "warning"
    assert finding.proposals == ()


def test_a_ratio_may_have_the_standard_error_of_its_logarithm_or_its_own(run: Any) -> None:
    """Both conventions are in use; neither is told."""
    table = _ratios()
    log = np.linspace(0.2, 0.6, 6)
    assert run("se-against-interval", table.assign(se=log.round(3))).findings == ()
    assert run("se-against-interval", table.assign(se=(log * table["effect"]).round(3))).findings == ()
