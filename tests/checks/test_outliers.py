"""Rules about effects that are too large, far from the others, or in command of the pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.checks.outliers import MANY, leave_each
from metaback.checks.scene import Plan, Pooled

KEYS = ("implausible-effect", "outlying-effect", "influential-effect", "heavy-row")
DIGITS = 1e-9  # the same closed forms by another path
NEAR = 0.12  # what one of 100 rows can do to tau2, and so to its own residual


def _effects(y: list[float], v: float | list[float] = 0.04) -> pd.DataFrame:
    return pd.DataFrame({"study": [f"S{i}" for i in range(len(y))], "yi": y, "vi": v})


def _pooled(y: np.ndarray, v: np.ndarray) -> Pooled:
    k = y.size
    return Pooled("pain", np.arange(k), "SMD", "linear", y, v, np.ones(k, dtype=bool), np.zeros(k, dtype=bool))


# ---------------------------------------------------------------- implausible-effect


@pytest.mark.parametrize(("size", "severity"), [(1.7, None), (2.5, "warning"), (4.0, "error")])
def test_large_differences(found: Any, means_table: Any, size: float, severity: str | None) -> None:
    table = means_table()
    table.loc[2, ["n_1", "n_2", "sd_1", "sd_2"]] = [20, 20, 20.0, 20.0]
    table.loc[2, "mean_1"] = table.loc[2, "mean_2"] - 20 * size
    findings = found("implausible-effect", table, measure="SMD")
    assert [finding.severity for finding in findings] == ([] if severity is None else [severity])
    for finding in findings:
        assert finding.rows == (2,)
        assert abs(finding.evidence["effect"]) == pytest.approx(size * (1 - 3 / (4 * 38 - 1)), rel=1e-3)


def test_what_is_told_as_a_standard_error_is_not_told_again(found: Any, means_table: Any) -> None:
    table = means_table()
    for arm in "12":
        table.loc[3, f"sd_{arm}"] = table.loc[3, f"sd_{arm}"] / float(table.loc[3, f"n_{arm}"]) ** 0.5
    table.loc[3, "mean_1"] = table.loc[3, "mean_2"] - 20
    assert len(found("se-as-sd", table, measure="SMD")) == 1
    assert found("implausible-effect", table, measure="SMD") == ()
    assert found("outlying-effect", table, measure="SMD") == ()


def test_where_huge_differences_are_the_way_of_the_outcome_they_are_no_errors(found: Any, means_table: Any) -> None:
    findings = found("implausible-effect", means_table(effect=-4.0), measure="SMD")
    assert {finding.severity for finding in findings} == {"warning"}
    assert len(findings) >= 6


def test_a_doubled_mean(found: Any, means_table: Any) -> None:
    table = means_table(effect=-0.1)
    assert found("implausible-effect", table, measure="ROM") == ()
    table.loc[1, "mean_1"] = 2.1 * table.loc[1, "mean_2"]
    (finding,) = found("implausible-effect", table, measure="ROM")
    assert (finding.rows, finding.severity) == ((1,), "warning")
    assert "2.10 times the other" in finding.says


def test_other_measures_have_no_limit(run: Any, means_table: Any) -> None:
    outcome = run("implausible-effect", means_table(), measure="MD")
    assert outcome.examined == 0
    assert outcome.passed_over == ("no pool is of standardised mean differences or ratios of means",)


# ---------------------------------------------------------------- outlying-effect


def test_an_effect_far_from_the_others(found: Any) -> None:
    (finding,) = found("outlying-effect", _effects([0.5, 0.7, 0.6, 0.4, 0.8, 0.55, 2.4]))
    assert finding.rows == (6,)
    assert finding.evidence["p"] < 0.01


def test_the_near_miss_of_an_outlier(found: Any) -> None:
    assert found("outlying-effect", _effects([0.5, 0.7, 0.6, 0.4, 0.8, 0.55, 1.3])) == ()


def test_a_turned_sign_is_left_to_its_own_rule(found: Any) -> None:
    """The last effect would fit with the other sign."""
    assert found("outlying-effect", _effects([1.5, 1.7, 1.6, 1.4, 1.8, 1.55, -1.6])) == ()


def test_small_pools_are_passed_over(run: Any) -> None:
    outcome = run("outlying-effect", _effects([0.1, 0.2, 3.0]))
    assert outcome.examined == 0
    assert outcome.passed_over == ("fewer than 5 effects in the pool (3)",)


# ---------------------------------------------------------------- influence and weight


def test_the_row_that_moves_the_mean(found: Any) -> None:
    y, v = [0.5, 0.52, 0.48, 0.51, 0.49, 0.5, 1.1], [0.04] * 6 + [0.01]
    (finding,) = found("influential-effect", _effects(y, v))
    assert (finding.rows, finding.severity) == ((6,), "information")
    assert found("influential-effect", _effects([0.5, 0.52, 0.48, 0.51, 0.49, 0.5, 0.53], v)) == ()


@pytest.mark.parametrize(("v", "told"), [(0.005, True), (0.03, False)])
def test_the_row_with_most_of_the_weight(found: Any, v: float, *, told: bool) -> None:
    findings = found("heavy-row", _effects([0.5, 0.52, 0.48, 0.51, 0.49], [0.04] * 4 + [v]))
    assert [finding.rows for finding in findings] == ([(4,)] if told else [])
    for finding in findings:
        assert finding.evidence["weight"] == pytest.approx(200 / 300)


def test_weights_are_those_of_the_plan(found: Any) -> None:
    """Between-study variance evens weights out; the equal-effects model has none."""
    table = _effects([0.1, 1.2, 0.5, 2.0, -0.6], [0.04] * 4 + [0.005])
    assert found("heavy-row", table) == ()
    assert len(found("heavy-row", table, spec={"model": "equal"})) == 1


def test_two_rows_cannot_but_have_half_the_weight(found: Any) -> None:
    assert found("heavy-row", _effects([0.1, 0.2])) == ()


# ---------------------------------------------------------------- all


@pytest.mark.parametrize("key", KEYS)
def test_clean_tables_have_no_finding(found: Any, means_table: Any, key: str) -> None:
    for seed in range(6):
        assert found(key, means_table(seed=seed), measure="SMD") == ()


@pytest.mark.parametrize("key", KEYS)
def test_single_rows_and_blank_effects_are_no_trouble(run: Any, means_table: Any, key: str) -> None:
    assert run(key, means_table(1), measure="SMD").findings == ()
    table = means_table()
    table.loc[1, "mean_1"] = np.nan
    assert run(key, table, measure="SMD").findings == ()


# ---------------------------------------------------------------- the kernel


def test_residuals_are_those_of_the_influence_of_the_pool() -> None:
    """`influence` of a pool, which is tested against metafor, has the same residuals with the same tau2."""
    rng = np.random.default_rng(3)
    y, v = rng.normal(0.3, 0.4, 9), rng.uniform(0.02, 0.2, 9)
    (found,) = leave_each([_pooled(y, v)], Plan(tau2="DL"))
    pool = mb.pool(_effects(y.tolist(), v.tolist()), tau2="DL", ci="Wald")
    whole = pool.influence()
    np.testing.assert_allclose(found.residual, whole.rstudent, rtol=DIGITS)
    np.testing.assert_allclose(found.cook, whole.cook, rtol=DIGITS)
    np.testing.assert_allclose(100 * found.weight, whole.weight, rtol=DIGITS)


def test_pools_of_all_sizes_side_by_side_are_what_they_are_alone() -> None:
    rng = np.random.default_rng(4)
    pools = [_pooled(rng.normal(0, 1, k), rng.uniform(0.1, 1, k)) for k in (1, 2, 3, 7, 8, 40, MANY + 5)]
    together = leave_each(pools, Plan())
    for pool, found in zip(pools, together, strict=True):
        (alone,) = leave_each([pool], Plan())
        np.testing.assert_allclose(found.residual, alone.residual, rtol=DIGITS)
        np.testing.assert_allclose(found.weight, alone.weight, rtol=DIGITS)
    assert np.isnan(together[0].residual).all()


def test_a_large_pool_keeps_its_tau2() -> None:
    """From 100 rows on tau2 is that of all rows; the residuals differ little from those with tau2 of the others."""
    rng = np.random.default_rng(5)
    y, v = rng.normal(0, 1, MANY - 1), rng.uniform(0.1, 1, MANY - 1)
    (exact,) = leave_each([_pooled(y, v)], Plan())
    (near,) = leave_each([_pooled(np.append(y, y.mean()), np.append(v, 1.0))], Plan())
    np.testing.assert_allclose(near.residual[:-1], exact.residual, rtol=NEAR, atol=NEAR / 4)
    largest = np.argmax(np.abs(exact.residual))
    assert abs(near.residual[largest]) < abs(exact.residual[largest])  # an outlier widens the tau2 it is judged by
