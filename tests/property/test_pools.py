"""Pools of arbitrary effects: what must hold whatever the data are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.summary import Analysis, PoolSummary
from metaback.stats.tau2 import TAU2_ESTIMATORS

EFFECT = st.floats(-1e3, 1e3).map(lambda x: round(x * 2**16) / 2**16)
VARIANCE = st.floats(-4, 4).map(lambda x: 10.0**x)
SPECS = st.builds(
    PoolSpec,
    model=st.sampled_from(["random", "random", "random", "equal", "fixed", "IVhet"]),
    tau2=st.sampled_from(list(TAU2_ESTIMATORS)),
    ci=st.sampled_from(["Wald", "Wald-t", "HKSJ", "HKSJ-wider"]),
    pi=st.sampled_from(["none", "z", "t(k-1)", "t(k-2)"]),
    level=st.sampled_from([0.8, 0.95, 0.99]),
)


@st.composite
def sets(draw: st.DrawFn, min_size: int = 1) -> EffectSizes:
    """Draw effects with variances, subgroups and rows that are not estimable."""
    rows = draw(st.lists(st.tuples(EFFECT, VARIANCE, st.sampled_from("abc")), min_size=min_size, max_size=10))
    gaps = draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    ok = np.array([not gap for gap in gaps])
    assume(ok.sum() >= min_size)
    return build([y for y, _, _ in rows], [v for _, v, _ in rows], ok, tuple(b for _, _, b in rows))


def build(y: list[float], v: list[float], ok: np.ndarray, by: tuple[str, ...]) -> EffectSizes:
    k = len(y)
    return EffectSizes(
        yi=np.where(ok, y, np.nan), vi=np.where(ok, v, np.nan), estimable=ok, labels=tuple(map(str, range(k))),
        rows=tuple(map(str, range(k))), clusters=np.arange(k), measure="GEN", options={}, obtained=("",) * k,
        reasons=tuple("" if fine else "not given" for fine in ok), corrections=("",) * k, inputs={}, by=by,
        by_name="stratum",
    )  # fmt: skip


def pools(found: Analysis) -> tuple[PoolSummary, ...]:
    assert found.subgroups is not None
    return (found.overall, *found.subgroups.pools)


def values(record: Any) -> Iterator[tuple[str, float]]:
    """List the floats of a record."""
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if dataclasses.is_dataclass(value):
            yield from values(value)
        elif isinstance(value, float):
            yield field.name, value


@given(sets(), SPECS)
def test_no_number_of_a_summary_is_nan(effects: EffectSizes, spec: PoolSpec) -> None:
    found = analyse(effects, spec)
    for pool in pools(found):
        degenerate = pool.mean.se == 0  # HKSJ of equal effects has no statistic, and a note says so
        for name, value in values(pool):
            if not (name in {"statistic", "p_value"} and (degenerate or pool.prediction is not None)):
                assert not math.isnan(value), name
        assert not math.isnan(pool.mean.p_value) or degenerate
        assert not degenerate or any("degenerates" in note for note in pool.notes)
        assert np.isnan(pool.weights).sum() == pool.weights.size - pool.k


@given(sets(), SPECS)
def test_intervals_hold_what_they_are_about(effects: EffectSizes, spec: PoolSpec) -> None:
    for pool in pools(analyse(effects, spec)):
        mean, h = pool.mean, pool.heterogeneity
        assert mean.lower <= mean.point <= mean.upper
        assert mean.se >= 0
        assert 0 <= mean.p_value <= 1 or mean.se == 0
        assert abs((mean.lower + mean.upper) / 2 - mean.point) <= 1e-9 * (abs(mean.point) + mean.upper - mean.lower)
        if pool.prediction is not None:
            assert pool.prediction.lower <= pool.prediction.point == mean.point <= pool.prediction.upper
        if h.tau2_low is not None:
            assert 0 <= h.tau2_low <= h.tau2_high
            assert 0 <= h.i2_low <= h.i2_high <= 100
        if h.tau2 is not None:
            assert h.tau2 >= 0
            assert 0 <= h.i2_tau2 <= 100
            assert h.h2 >= 1
        assert h.q >= 0
        assert h.q_p is None or 0 <= h.q_p <= 1
        y = effects.yi[~np.isnan(pool.weights)]
        slack = 1e-12 * (1 + np.abs(y).max())
        assert y.min() - slack <= mean.point <= y.max() + slack
        assert np.nansum(pool.weights) == 100 or abs(np.nansum(pool.weights) - 100) < 1e-9


@given(sets(min_size=2), st.sampled_from(["DL", "PM", "REML"]), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_wider_interval_is_at_least_both(effects: EffectSizes, tau2: str, level: float) -> None:
    widths = {
        ci: [
            pool.mean.upper - pool.mean.lower
            for pool in pools(analyse(effects, PoolSpec(tau2=tau2, ci=ci, level=level)))
        ]
        for ci in ("Wald", "HKSJ", "HKSJ-wider")
    }
    for wald, hksj, wider in zip(*widths.values(), strict=True):
        assert wider >= max(wald, hksj) * (1 - 1e-12)
        assert wider <= max(wald, hksj) * (1 + 1e-12)


@given(sets(), SPECS)
def test_a_higher_level_is_a_wider_interval(effects: EffectSizes, spec: PoolSpec) -> None:
    low, high = (analyse(effects, spec.model_copy(update={"level": level})).overall for level in (0.8, 0.99))
    assert high.mean.upper - high.mean.lower >= low.mean.upper - low.mean.lower
    if low.heterogeneity.tau2_low is not None:
        assert high.heterogeneity.tau2_low <= low.heterogeneity.tau2_low
        assert high.heterogeneity.tau2_high >= low.heterogeneity.tau2_high


@given(sets(), SPECS)
def test_subgroups_are_a_partition(effects: EffectSizes, spec: PoolSpec) -> None:
    found = analyse(effects, spec)
    assert found.subgroups is not None
    assert sum(pool.k for pool in found.subgroups.pools) == found.overall.k == effects.k
    inside = np.array([~np.isnan(pool.weights) for pool in found.subgroups.pools])
    np.testing.assert_array_equal(inside.sum(axis=0), effects.estimable)
    for level, pool in zip(found.subgroups.levels, found.subgroups.pools, strict=True):
        assert {effects.by[i] for i in np.flatnonzero(~np.isnan(pool.weights))} == {level}
    if found.subgroups.test is not None:
        assert found.subgroups.test.df == len(found.subgroups.levels) - 1
        assert 0 <= found.subgroups.test.p_value <= 1


@given(sets(), SPECS, st.sampled_from([1.0, -256.0, 2.0**20]), st.sampled_from([1.0, 2.0**-20, 2.0**20]))
def test_shift_and_unit(effects: EffectSizes, spec: PoolSpec, shift: float, unit: float) -> None:
    # powers of two, so that the inputs are changed without rounding
    moved = dataclasses.replace(effects, yi=(effects.yi + shift) * unit, vi=effects.vi * unit**2)
    one, other = analyse(effects, spec).overall, analyse(moved, spec).overall
    scale = math.sqrt(np.nanmin(effects.vi))
    assert abs(other.mean.point / unit - shift - one.mean.point) <= 1e-9 * scale + 4e-16 * (abs(shift) + 1e3)
    assert abs(other.mean.se / unit - one.mean.se) <= 1e-9 * scale + 1e-9 * one.mean.se
    a, b = other.heterogeneity, one.heterogeneity
    if b.tau2 is not None:
        assert abs(a.tau2 / unit**2 - b.tau2) <= 1e-9 * b.tau2 + 1e-12 * scale**2
    assert abs(a.q - b.q) <= 1e-9 * b.q + 1e-15


@given(sets(min_size=2), SPECS)
def test_equal_effects_are_pooled_to_themselves(effects: EffectSizes, spec: PoolSpec) -> None:
    value = float(effects.yi[effects.estimable][0])
    pool = analyse(dataclasses.replace(effects, yi=np.where(effects.estimable, value, np.nan)), spec).overall
    assert pool.mean.point == value
    assert pool.heterogeneity.q == 0
    assert pool.heterogeneity.tau2 in {None, 0.0}
