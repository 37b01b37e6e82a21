"""Summaries of pools: what exists for one, two and more studies, and what subgroups are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import EstimationError
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.subgroups import between_groups_q
from metaback.postestimation.summary import PoolSummary

Make = Callable[..., EffectSizes]
NAN = float("nan")
Z = 1.959963984540054  # 97.5% quantile of the normal
Y, V = [0.1, 0.9, -0.4, 0.5, 1.6, 0.2], [0.05, 0.08, 0.06, 0.1, 0.07, 0.09]
CIS = ["Wald", "Wald-t", "HKSJ", "HKSJ-wider"]
METHODS = ["DL", "PM", "REML"]


# ---------------------------------------------------------------- one, two, none


@pytest.mark.parametrize("ci", CIS)
@pytest.mark.parametrize("tau2", METHODS)
def test_one_study_is_itself(make: Make, ci: str, tau2: str) -> None:
    pool = analyse(make([0.4], [0.09]), PoolSpec(ci=ci, tau2=tau2)).overall
    assert (pool.mean.point, pool.mean.se, pool.mean.df) == (0.4, pytest.approx(0.3, rel=1e-15), math.inf)
    assert pool.mean.lower == pytest.approx(0.4 - 0.3 * Z, rel=1e-14)
    assert pool.mean.upper == pytest.approx(0.4 + 0.3 * Z, rel=1e-14)
    assert pool.prediction is None
    h = pool.heterogeneity
    assert (h.q, h.q_df) == (0, 0)
    others = (h.q_p, h.tau2, h.tau2_low, h.tau2_high, h.i2_q, h.i2_tau2, h.i2_low, h.i2_high, h.h2)
    assert others == (None,) * 9
    assert (pool.weights.tolist(), pool.k, pool.studies) == ([100.0], 1, 1)


@pytest.mark.parametrize("ci", CIS)
def test_two_studies_have_heterogeneity_but_no_prediction(make: Make, ci: str) -> None:
    pool = analyse(make([0.0, 1.0], [0.1, 0.1]), PoolSpec(ci=ci)).overall
    assert pool.prediction is None
    assert pool.heterogeneity.q == pytest.approx(5.0, rel=1e-14)
    assert pool.heterogeneity.tau2 == pytest.approx(0.4, rel=1e-12)  # the sample variance 0.5 less 0.1
    assert pool.weights.tolist() == [50.0, 50.0]


def test_three_studies_have_a_prediction_interval_under_every_rule(make: Make) -> None:
    for pi in ("z", "t(k-1)", "t(k-2)"):
        found = analyse(make(Y[:3], V[:3]), PoolSpec(pi=pi)).overall.prediction
        assert found is not None
        assert found.df == {"z": math.inf, "t(k-1)": 2, "t(k-2)": 1}[pi]
    assert analyse(make(Y[:3], V[:3]), PoolSpec(pi="none")).overall.prediction is None


@pytest.mark.parametrize("tau2", METHODS)
def test_nothing_to_pool_is_an_error_with_a_cure(make: Make, tau2: str) -> None:
    with pytest.raises(EstimationError, match="no row has an effect to pool"):
        analyse(make([NAN, NAN], [NAN, NAN]), PoolSpec(tau2=tau2))


# ---------------------------------------------------------------- equal effects


def test_the_equal_effects_model_by_hand(make: Make) -> None:
    pool = analyse(make([0.0, 1.0, 2.0], [0.25, 0.5, 0.5]), PoolSpec(model="equal", ci="Wald")).overall
    assert pool.mean.point == pytest.approx(0.75, rel=1e-15)
    assert pool.mean.se == pytest.approx(math.sqrt(1 / 8), rel=1e-15)
    assert pool.mean.statistic == pytest.approx(0.75 * math.sqrt(8), rel=1e-14)
    assert pool.weights.tolist() == [50.0, 25.0, 25.0]
    assert pool.prediction is None
    h = pool.heterogeneity
    assert h.q == pytest.approx(5.5, rel=1e-15)
    assert h.i2_q == pytest.approx(100 * 3.5 / 5.5, rel=1e-14)
    assert (h.tau2, h.tau2_low, h.tau2_high, h.i2_tau2, h.i2_low, h.i2_high, h.h2) == (None,) * 7


# ---------------------------------------------------------------- rows that are not estimable


@pytest.mark.parametrize("tau2", METHODS)
def test_a_row_that_is_not_estimable_has_no_weight_and_no_influence(make: Make, tau2: str) -> None:
    spec = PoolSpec(tau2=tau2)
    gaps = make([NAN, *Y[:3], NAN, *Y[3:]], [NAN, *V[:3], NAN, *V[3:]])
    with_gaps, without = analyse(gaps, spec).overall, analyse(make(Y, V), spec).overall
    for part in ("mean", "heterogeneity"):
        for name in (field.name for field in dataclasses.fields(getattr(without, part))):
            a, b = getattr(getattr(with_gaps, part), name), getattr(getattr(without, part), name)
            assert a == (pytest.approx(b, rel=1e-13) if isinstance(b, float) else b)
    assert with_gaps.k == 6
    assert np.isnan(with_gaps.weights).tolist() == [True, False, False, False, True, False, False, False]
    np.testing.assert_allclose(with_gaps.weights[~np.isnan(with_gaps.weights)], without.weights, rtol=1e-13)
    assert math.fsum(without.weights) == pytest.approx(100, rel=1e-14)


def test_participants_are_known_only_where_every_pooled_row_states_them(make: Make) -> None:
    sizes = {"n_1": np.array([10.0, 20, NAN, 5]), "n_2": np.array([11.0, 21, 31, 6])}
    pool = analyse(make([0.1, 0.2, NAN, 0.4], [0.1] * 4, inputs=sizes), PoolSpec()).overall
    assert pool.n == 10 + 11 + 20 + 21 + 5 + 6
    assert analyse(make([0.1, 0.2, 0.3, 0.4], [0.1] * 4, inputs=sizes), PoolSpec()).overall.n is None
    assert analyse(make([0.1, 0.2], [0.1] * 2), PoolSpec()).overall.n is None


def test_studies_are_counted_once(make: Make) -> None:
    pool = analyse(make([0.1, 0.2, 0.3], [0.1] * 3, clusters=np.array([0, 1, 0])), PoolSpec()).overall
    assert (pool.k, pool.studies) == (3, 2)


# ---------------------------------------------------------------- scales


def test_a_ratio_comes_back_as_a_ratio(make: Make) -> None:
    mean = analyse(make(Y, V, measure="OR"), PoolSpec()).overall.mean
    assert mean.scale == "log"
    assert mean.natural() == tuple(math.exp(x) for x in (mean.point, mean.lower, mean.upper))
    linear = analyse(make(Y, V), PoolSpec()).overall.mean
    assert linear.natural() == (linear.point, linear.lower, linear.upper) == (mean.point, mean.lower, mean.upper)


# ---------------------------------------------------------------- subgroups

BY = ["b", "a", "b", "c", "a", "b"]


def alone(make: Make, spec: PoolSpec, level: str) -> PoolSummary:
    use = [i for i in range(6) if BY[i] == level]
    return analyse(make([Y[i] for i in use], [V[i] for i in use]), spec).overall


@pytest.mark.parametrize("ci", CIS)
@pytest.mark.parametrize("tau2", METHODS)
def test_a_subgroup_is_the_pool_of_its_rows(make: Make, ci: str, tau2: str) -> None:
    spec = PoolSpec(ci=ci, tau2=tau2)
    found = analyse(make(Y, V, BY), spec).subgroups
    assert found is not None
    assert (found.name, found.levels) == ("stratum", ("b", "a", "c"))
    assert [pool.k for pool in found.pools] == [3, 2, 1]
    for level, pool in zip(found.levels, found.pools, strict=True):
        single = alone(make, spec, level)
        for field in dataclasses.fields(single.mean):
            a, b = getattr(pool.mean, field.name), getattr(single.mean, field.name)
            assert a == (pytest.approx(b, rel=1e-12, nan_ok=True) if isinstance(b, float) else b)
        assert pool.heterogeneity.q == pytest.approx(single.heterogeneity.q, rel=1e-12)
        assert pool.notes == single.notes
        assert np.nansum(pool.weights) == pytest.approx(100, rel=1e-14)
        assert (~np.isnan(pool.weights)).tolist() == [label == level for label in BY]


def test_a_subgroup_with_one_study(make: Make) -> None:
    found = analyse(make(Y, V, BY), PoolSpec()).subgroups
    assert found is not None
    one = found.pools[found.levels.index("c")]
    assert (one.mean.point, one.mean.se, one.heterogeneity.tau2) == (0.5, pytest.approx(math.sqrt(0.1)), None)
    assert one.notes[0].startswith("One study")
    assert found.test is not None
    assert found.test.df == 2


def test_the_test_of_differences_uses_wald_errors_whatever_makes_the_intervals(make: Make) -> None:
    tests = {analyse(make(Y, V, BY), PoolSpec(ci=ci)).subgroups.test for ci in CIS}
    assert len(tests) == 1
    pools = analyse(make(Y, V, BY), PoolSpec(ci="Wald")).subgroups.pools
    means, ses = np.array([p.mean.point for p in pools]), np.array([p.mean.se for p in pools])
    w = 1 / ses**2
    (test,) = tests
    assert test.q == pytest.approx(float((w * (means - (w * means).sum() / w.sum()) ** 2).sum()), rel=1e-12)
    assert test.p_value == pytest.approx(math.exp(-test.q / 2), rel=1e-12)  # chi-square with 2 df


def test_one_subgroup_cannot_be_tested(make: Make) -> None:
    found = analyse(make(Y, V, ["a"] * 6), PoolSpec()).subgroups
    assert found is not None
    assert found.test is None
    assert found.pools[0].mean == analyse(make(Y, V), PoolSpec()).overall.mean
    assert analyse(make(Y, V), PoolSpec()).subgroups is None


def test_a_subgroup_without_an_estimable_row_is_left_out(make: Make) -> None:
    effects = make([0.1, 0.2, NAN], [0.1, 0.1, NAN], ["a", "b", "c"])
    found = analyse(effects, PoolSpec()).subgroups
    assert found is not None
    assert found.levels == ("a", "b")
    assert found.test is not None
    assert found.test.df == 1
    assert "study 2 (row 4) is not pooled" in analyse(effects, PoolSpec()).overall.notes[-1]


def test_q_between_does_not_lose_digits_to_a_common_offset() -> None:
    means, variances = np.array([0.0, 0.25, 0.5]), np.array([0.1, 0.2, 0.4])
    plain, moved = between_groups_q(means, variances), between_groups_q(means + 2.0**30, variances)
    assert moved == plain
