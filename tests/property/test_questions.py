"""Questions to a fit of arbitrary effects: a batch gives what a loop of pools gives, and invariances hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.cumulative import cumulative
from metaback.postestimation.gosh import gosh
from metaback.postestimation.influence import influence
from metaback.postestimation.leave_one_out import leave_one_out
from metaback.postestimation.subsets import Subsets
from metaback.stats.tau2 import TAU2_ESTIMATORS

SAME = 1e-12  # the promise for batch = loop; the two differ in the order of a few sums, if at all
WEIGHED = 1e-9  # of the same question in other units: tau2 is found to 1e-14 of v + tau2, small ones to fewer digits
EFFECT = st.floats(-2, 2).map(lambda x: round(x * 2**16) / 2**16)
VARIANCE = st.floats(-3, 1).map(lambda x: 10.0**x)
SPECS = st.builds(
    PoolSpec,
    model=st.sampled_from(["random", "random", "random", "random", "equal", "fixed", "IVhet"]),
    tau2=st.sampled_from([*TAU2_ESTIMATORS, 0.0, 0.3]),
    ci=st.sampled_from(["Wald", "Wald-t", "HKSJ", "HKSJ-wider", "HKSJ-q1"]),
    pi=st.sampled_from(["none", "z", "t(k-1)", "t(k-2)"]),
    i2=st.sampled_from(["tau2", "Q"]),
    independent=st.just(True),
    level=st.sampled_from([0.8, 0.95]),
)


@st.composite
def sets(draw: st.DrawFn) -> EffectSizes:
    """Draw effects with variances, some of them in one study, and rows that are not estimable."""
    rows = draw(st.lists(st.tuples(EFFECT, VARIANCE, st.integers(0, 4)), min_size=1, max_size=9))
    gaps = draw(st.lists(st.booleans(), min_size=len(rows) - 1, max_size=len(rows) - 1))
    ok = np.array([True, *(not gap for gap in gaps)])
    y, v, clusters = (np.array(column) for column in zip(*rows, strict=True))
    k = len(rows)
    return EffectSizes(
        yi=np.where(ok, y, np.nan), vi=np.where(ok, v, np.nan), estimable=ok, labels=tuple(map(str, clusters)),
        rows=tuple(map(str, range(k))), clusters=clusters, measure="GEN", options={}, obtained=("",) * k,
        reasons=tuple("" if fine else "not given" for fine in ok), corrections=("",) * k, inputs={},
    )  # fmt: skip


def of_rows(effects: EffectSizes, rows: np.ndarray) -> EffectSizes:
    return replace(effects, estimable=effects.estimable & rows)


def number(value: float | None) -> float:
    return np.nan if value is None else value


def alone(effects: EffectSizes, spec: PoolSpec) -> list[float]:
    """Return the numbers of one pool in the order of `numbers`."""
    pool = analyse(effects, spec).overall
    mean, spread = pool.mean, pool.heterogeneity
    i2 = spread.i2_q if spec.i2 == "Q" or spec.model in ("equal", "fixed") else spread.i2_tau2
    limits = (None, None) if pool.prediction is None else (pool.prediction.lower, pool.prediction.upper)
    found = [mean.point, mean.se, mean.statistic, mean.df, mean.p_value, mean.lower, mean.upper, *limits]
    return [number(value) for value in (*found, spread.tau2, i2, spread.h2, spread.q, spread.q_p)]


NAMES = (
    "estimate", "se", "statistic", "df", "p_value", "ci_low", "ci_high", "pi_low", "pi_high", "tau2", "i2", "h2", "q",
    "q_p",
)  # fmt: skip


def numbers(pools: Subsets, i: int) -> list[float]:
    return [float(getattr(pools, name)[i]) for name in NAMES]


def same(mine: list[float], theirs: list[float]) -> None:
    np.testing.assert_allclose(mine, theirs, rtol=SAME, atol=SAME)


def batch_is_loop(effects: EffectSizes, spec: PoolSpec) -> None:
    analysis = analyse(effects, spec)
    rows = np.arange(effects.yi.size)
    by_row = leave_one_out(analysis)
    for i in rows[effects.estimable]:
        rest = of_rows(effects, rows != i)
        if rest.k:
            same(numbers(by_row.pools, i), alone(rest, spec))
    by_study = leave_one_out(analysis, by="study")
    for i, study in enumerate(dict.fromkeys(effects.clusters.tolist())):
        rest = of_rows(effects, effects.clusters != study)
        if rest.k and rest.k < effects.k:
            same(numbers(by_study.pools, i), alone(rest, spec))
    grown = cumulative(analysis, order="precision")
    for i, has in enumerate(np.logical_or.accumulate(grown.added, axis=0)):
        same(numbers(grown.pools, i), alone(of_rows(effects, has), spec))


@given(sets(), SPECS)
def test_a_batch_is_a_loop(effects: EffectSizes, spec: PoolSpec) -> None:
    batch_is_loop(effects, spec)


@pytest.mark.slow
@settings(max_examples=1_000)
@given(sets(), SPECS)
def test_a_batch_is_a_loop_on_a_thousand_requests(effects: EffectSizes, spec: PoolSpec) -> None:
    batch_is_loop(effects, spec)


@given(sets(), SPECS)
def test_every_subset_is_its_pool(effects: EffectSizes, spec: PoolSpec) -> None:
    found = gosh(analyse(effects, spec).fitted)
    rows = np.flatnonzero(effects.estimable)
    for subset in range(0, len(found.size), max(1, len(found.size) // 10)):
        has = np.zeros(effects.yi.size, dtype=bool)
        has[rows] = [bool(found.includes(place)[subset]) for place in range(rows.size)]
        pool = alone(of_rows(effects, has), spec)
        mine = [found.estimate[subset], found.tau2[subset], found.i2[subset], found.q[subset]]
        same([float(value) for value in mine], [pool[NAMES.index(name)] for name in ("estimate", "tau2", "i2", "q")])


SMOOTH = st.builds(PoolSpec, tau2=st.sampled_from(["DL", "PM", "HE"]), ci=st.sampled_from(["Wald", "HKSJ"]))


@given(sets(), SMOOTH, st.integers(-8, 8), st.integers(-64, 64))
def test_influence_does_not_depend_on_unit_origin_and_sign(
    effects: EffectSizes, spec: PoolSpec, power: int, origin: int
) -> None:
    unit = 2.0**power
    plain = influence(analyse(effects, spec).fitted)
    turned = replace(effects, yi=-unit * (effects.yi + origin), vi=unit**2 * effects.vi)
    other = influence(analyse(turned, spec).fitted)
    for name, sign in (("rstudent", -1), ("rstandard", -1), ("dffits", -1), ("cook", 1), ("cov_ratio", 1), ("hat", 1)):
        mine, theirs = getattr(plain, name), getattr(other, name)
        np.testing.assert_allclose(theirs, sign * mine, rtol=WEIGHED, atol=WEIGHED)
