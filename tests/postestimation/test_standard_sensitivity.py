"""The standard sensitivity analyses are the pools that a user would make one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import metaback as mb
from metaback.postestimation.standard_sensitivity import EQUAL, ESTIMATORS, RULES, StandardPool, standard_sensitivity

ROWS = "outcome == 'pain' and treatment_1 == 'posterior_chain' and study != 'Jackson 2011'"
SAME = 1e-12  # the batch and the single fit stop at the same tolerance


@pytest.fixture
def result() -> mb.Result:
    """Give seven independent effects: one row per study."""
    return mb.pool(mb.load_dataset("backpain").query(ROWS))


def _found(pools: tuple[StandardPool, ...], tau2: str, ci: str) -> StandardPool:
    (found,) = (part for part in pools if (part.tau2_rule, part.ci) == (tau2, ci))
    return found


def test_every_pool_is_that_of_a_single_call(result: mb.Result) -> None:
    pools = standard_sensitivity(result.analysis)
    for tau2 in ESTIMATORS:
        for ci in RULES:
            single = result.update(tau2=tau2, ci=ci)
            found = _found(pools, tau2, ci)
            assert found.mean is not None
            numbers = (found.mean.point, found.mean.lower, found.mean.upper, found.tau2, found.i2, found.mean.p_value)
            expected = (single.estimate.point, *single.ci, single.tau2, single.i2, single.p_value)
            np.testing.assert_allclose(numbers, expected, rtol=SAME, atol=SAME)
    equal = mb.pool(result.effects, model="equal")
    found = _found(pools, EQUAL, "Wald")
    assert found.mean is not None
    np.testing.assert_allclose((found.mean.point, found.mean.upper), (equal.estimate.point, equal.ci[1]), rtol=SAME)
    assert np.isnan(found.tau2)


@pytest.mark.parametrize(
    ("words", "main"),
    [
        ({}, ("REML", "HKSJ-wider")),
        ({"preset": "revman5"}, ("DL", "Wald")),
        ({"tau2": "EB"}, ("EB", "HKSJ-wider")),
        ({"ci": "KR"}, ("REML", "KR")),
        ({"model": "equal"}, (EQUAL, "Wald")),
        ({"tau2": 0.1}, ("0.100, given", "HKSJ-wider")),
    ],
)
def test_the_main_analysis_is_among_them_and_never_turns(
    result: mb.Result, words: dict[str, Any], main: tuple[str, str]
) -> None:
    pool = mb.pool(result.effects, **words)
    (found,) = (part for part in standard_sensitivity(pool.analysis) if part.main)
    assert (found.tau2_rule, found.ci) == main
    assert found.mean is not None
    np.testing.assert_allclose((found.mean.point, found.mean.lower), (pool.estimate.point, pool.ci[0]), rtol=SAME)
    assert not found.turns


def test_a_turned_conclusion_is_told(result: mb.Result) -> None:
    for part in standard_sensitivity(result.analysis):
        assert part.mean is not None
        sides = [(mean.lower > 0) - (mean.upper < 0) for mean in (part.mean, result.estimate)]
        assert part.turns is (sides[0] != sides[1])


def test_two_effects_and_a_rule_that_resamples(result: mb.Result) -> None:
    two = mb.pool(mb.load_dataset("backpain").query(f"{ROWS} and study in ['Aasa 2015', 'Atalay 2017']"))
    assert len(standard_sensitivity(two.analysis)) == 1 + len(ESTIMATORS) * len(RULES)
    resampled = standard_sensitivity(mb.pool(result.effects, ci="perm").analysis)
    assert {part.ci for part in resampled} == set(RULES)
    assert not any(part.main for part in resampled)
