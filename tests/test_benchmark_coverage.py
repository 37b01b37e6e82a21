"""Intervals of dependent effects hold what they promise, and the batches of the simulation are the public verbs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import metaback as mb

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "coverage.py"
SETS = 200
ERRORS = 3.0  # Monte Carlo standard errors of a coverage; six coverages of one that is right pass in 98 of 100 seeds
SAME = 1e-6  # two climbs to one peak, of a batch and alone, relative to an interval about 0.3 wide


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Load the script as a module."""
    spec = importlib.util.spec_from_file_location("benchmark_coverage", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("k", [10, 20, 40])
@pytest.mark.parametrize("rho", [0.4, 0.8])
def test_robust_intervals_cover_95_percent_and_naive_ones_do_not(script: ModuleType, k: int, rho: float) -> None:
    found = script.simulated(k, rho, SETS)
    error = 100 * np.sqrt(0.95 * 0.05 / SETS)
    for method in ("default", "no-v"):
        assert found[method].sets == SETS
        assert abs(found[method].share - 95) < ERRORS * error
    for method in ("naive", "wald"):
        assert found[method].share < 95 - ERRORS * error


def test_a_batch_gives_the_intervals_of_the_public_verbs(script: ModuleType) -> None:
    table = next(script.tables(10, 0.4, 3))
    found = script.intervals(table)
    for number, rows in table.groupby("set"):
        es = mb.effect_sizes(mb.read_trials(rows.drop(columns="set").reset_index(drop=True)), measure="MD")
        V = mb.sampling_covariance(es, rho=script.ASSUMED)
        told = {
            "default": mb.pool(es).estimate,
            "no-v": mb.multilevel(es, "~ 1 | study/effect", robust="CR2").estimate,
            "model": mb.multilevel(es, "~ 1 | study/effect", V=V).estimate,
            "naive": mb.pool(es, independent=True).estimate,
            "wald": mb.pool(es, preset="metafor").estimate,
        }
        assert told.keys() == found.keys()
        for method, estimate in told.items():
            limits = [estimate.lower, estimate.upper]
            np.testing.assert_allclose(found[method][number], limits, rtol=SAME, atol=SAME, err_msg=method)


def test_the_simulated_scores_have_the_moments_that_they_are_said_to_have(script: ModuleType) -> None:
    rng = np.random.default_rng(1)
    table = script.data_set(rng, 4_000, 0.4)
    wide = table[table["arm_1"] == "treatment 0"].pivot(index="study", columns="outcome", values=["mean_2", "n_2"])
    scores = (wide["mean_2"] * np.sqrt(wide["n_2"].astype(float))).dropna()
    assert len(scores) > 1_000
    np.testing.assert_allclose(np.cov(scores.T.astype(float)), 0.4 + 0.6 * np.eye(3), atol=0.1)  # 3 errors of 0.03
    counts = table.groupby("study").agg(rows=("arm_1", "size"), arms=("arm_1", "nunique"))
    assert set(counts["arms"]) == {1, 2, 3}
    assert set(counts["rows"]) == {1, 2, 3, 4, 6, 9}


def test_a_set_without_an_interval_is_not_passed_over(script: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="1 data sets have no interval"):
        script._covered(np.array([[0.1, 0.5], [np.nan, np.nan]]))
