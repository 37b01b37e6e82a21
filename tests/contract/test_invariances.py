"""Units, origin, direction and row order do not change a result: every estimator with every interval rule.

For effects y c with variances v c^2, c from 1e-6 to 1e6, for y + 1e8, -y and any order of the rows. The effects are
multiples of 2^-20, so that adding 1e8 loses nothing: what then differs was lost by the package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse
from metaback.stats.inference import MEAN_RULES, PREDICTION_RULES
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.tau2_interval import TAU2_INTERVALS

SAME = 1e-9  # the promise
OFFSET = 1e8
NEAR = 4 * np.spacing(OFFSET)  # absolute: a mean near 1e8 has no more digits
SMALL = 1e-6  # of the largest variance: below, a variance is a difference of nearly equal numbers
QUICK = ("DL", "REML", "GENQM")  # of make test; make test-all takes all
RULES = [
    *({"ci": key} for key in MEAN_RULES),
    *({"tau2_ci": key, "ci": "Wald"} for key in TAU2_INTERVALS),
    *({"pi": key, "ci": "Wald"} for key in PREDICTION_RULES),
]
QUICK_RULES = [rule for rule in RULES if not {"perm", "NNF"} & set(rule.values())]  # those two take seconds each
RNG = np.random.default_rng(404)


def _data(k: int, spans: float, tau: float) -> tuple[np.ndarray, np.ndarray]:
    v = 10 ** (spans * RNG.uniform(-0.5, 0.5, k) - 1)
    return np.round(RNG.normal(0.3, np.sqrt(v + tau**2)) * 2**20) / 2**20, v


DATA = (_data(3, 1.0, 0.8), _data(8, 2.0, 0.5), _data(7, 1.0, 0.0))


@dataclass(frozen=True)
class Numbers:
    """What a pool tells: places (on the scale of y), lengths (a difference of places), variances, and pure numbers."""

    places: np.ndarray
    lengths: np.ndarray
    variances: np.ndarray
    pure: np.ndarray


def _array(*values: float | None) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def numbers(y: np.ndarray, v: np.ndarray, spec: PoolSpec) -> Numbers:
    words = ("",) * y.size
    effects = EffectSizes(
        y, v, np.ones(y.size, dtype=bool), words, words, np.arange(y.size), "GEN", {}, words, words, words, {}
    )
    pool = analyse(effects, spec).overall
    mean, ahead, h = pool.mean, pool.prediction, pool.heterogeneity
    limits = (None, None) if ahead is None else (ahead.lower, ahead.upper)
    return Numbers(
        _array(mean.point, mean.lower, mean.upper, *limits),
        _array(mean.se),
        _array(h.tau2, h.tau2_low, h.tau2_high),
        _array(h.q, h.i2_tau2, h.i2_low, h.i2_high, h.h2, mean.df),
    )


def check(found: Numbers, true: Numbers, *, unit: float, largest: float, room: float = 0.0) -> None:
    """Compare after a change of unit; `largest`: the largest variance of the effects; `room`: absolute, of places."""
    np.testing.assert_allclose(found.places, true.places, rtol=SAME, atol=room + SAME * SMALL * unit)
    np.testing.assert_allclose(found.lengths, true.lengths, rtol=SAME)
    np.testing.assert_allclose(found.variances, true.variances, rtol=SAME, atol=SAME * SMALL * largest * unit**2)
    np.testing.assert_allclose(found.pure, true.pure, rtol=SAME, atol=SAME * 1e-3)


def sweep(tau2: str, rule: dict[str, str], scales: tuple[float, ...]) -> None:
    """Hold one estimator with one rule to all invariances on every data set."""
    spec = PoolSpec(**{"pi": "none", **rule}, tau2=tau2, draws=99)
    mirror: Callable[[np.ndarray], np.ndarray] = lambda a: a[[0, 2, 1, 4, 3]]  # noqa: E731
    for y, v in DATA:
        true, largest = numbers(y, v, spec), float(v.max())
        for c in scales:
            scaled = Numbers(true.places * c, true.lengths * c, true.variances * c * c, true.pure)
            check(numbers(y * c, v * c * c, spec), scaled, unit=c, largest=largest)
        moved = Numbers(true.places + OFFSET, true.lengths, true.variances, true.pure)
        check(numbers(y + OFFSET, v, spec), moved, unit=1.0, largest=largest, room=NEAR)
        if not spec.ci.startswith("pboot"):  # the noise of a seed is not mirrored
            turned = Numbers(-mirror(true.places), true.lengths, true.variances, true.pure)
            check(numbers(-y, v, spec), turned, unit=1.0, largest=largest)
        for seed in range(2):
            order = np.random.default_rng(seed).permutation(y.size)
            check(numbers(y[order], v[order], spec), true, unit=1.0, largest=largest)


@pytest.mark.parametrize("rule", QUICK_RULES, ids=lambda rule: "-".join(rule.values()))
def test_common_estimators_are_invariant(rule: dict[str, str]) -> None:
    for tau2 in QUICK:
        sweep(tau2, rule, (1e-4, 1e5))


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "-".join(rule.values()))
@pytest.mark.parametrize("tau2", tuple(TAU2_ESTIMATORS))
def test_every_estimator_with_every_rule_is_invariant(tau2: str, rule: dict[str, str]) -> None:
    sweep(tau2, rule, (1e-6, 1e-3, 0.1, 10.0, 1e3, 1e6))


def test_no_rule_is_left_out() -> None:
    seen = {value for rule in RULES for value in rule.values()}
    assert seen >= {*MEAN_RULES, *TAU2_INTERVALS, *PREDICTION_RULES}
    assert set(QUICK) < set(TAU2_ESTIMATORS)
    assert any(key.startswith("perm") for key in MEAN_RULES)
