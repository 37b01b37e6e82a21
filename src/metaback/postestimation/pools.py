"""Everything that is said about pools of one set of effects, for all subsets in one batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate, Fit, Fitted
from metaback.models.specs import PoolSpec
from metaback.postestimation.notes import PoolFacts, pool_notes
from metaback.postestimation.summary import Heterogeneity, PoolSummary
from metaback.stats.heterogeneity import cochran_q, h2_from_tau2, i2_from_q, i2_from_tau2, typical_variance
from metaback.stats.inference import PREDICTION_RULES, prediction_limits, quantile, two_sided_p
from metaback.stats.measures import about
from metaback.stats.measures.family import has_null
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.tau2_interval import q_profile
from metaback.stats.wls import Floats, Problems, coefficients, prepare, shares

PREDICTION_FROM = 3  # a prediction interval needs three studies: with two, tau2 is hardly known at all


@dataclass(frozen=True, slots=True)
class _Spread:
    """Heterogeneity of a batch of pools, each (n,), nan where a number does not exist."""

    q: Floats
    p: Floats
    low: Floats
    high: Floats
    i2_q: Floats
    i2_tau2: Floats
    i2_low: Floats
    i2_high: Floats
    h2: Floats


def summarise(fitted: Fitted, masks: NDArray[np.bool_]) -> tuple[PoolSummary, ...]:
    """Turn a batch of fits, one per row of `masks` (groups, k), into finished summaries."""
    effects, spec, fit = fitted.effects, fitted.spec, fitted.fit
    masks = masks & effects.estimable
    n = masks.shape[0]
    problems = prepare(np.broadcast_to(effects.yi, masks.shape), np.broadcast_to(effects.vi, masks.shape), masks)
    spread = _spread(problems, fit.theta[:, 0], spec.level)
    prediction = _predictions(fit, spec, problems)
    weights = 100 * shares(np.broadcast_to(effects.vi, masks.shape), masks, fit.theta[:, 0])
    scale, tested = about(effects.measure).scale, has_null(effects.measure)
    facts = _facts(problems, fit, spec, spread)
    return tuple(
        PoolSummary(
            mean=_mean(fit, spec, i, scale, tested=tested),
            prediction=_prediction(fit, prediction, spec, i, scale),
            heterogeneity=_heterogeneity(spread, fit, spec, i, int(problems.m[i])),
            weights=np.where(masks[i], weights[i], np.nan),
            k=int(masks[i].sum()),
            studies=len(set(effects.clusters[masks[i]].tolist())),
            n=participants(effects, masks[i]),
            notes=pool_notes(spec, facts[i]),
        )
        for i in range(n)
    )


def _spread(problems: Problems, tau2: Floats, level: float) -> _Spread:
    """Evaluate the heterogeneity of a batch."""
    q, p = cochran_q(problems)
    low, high = q_profile(problems, level)
    typical = typical_variance(problems)
    i2_tau2, i2_low, i2_high = (i2_from_tau2(value, typical) for value in (tau2, low, high))
    return _Spread(q, p, low, high, i2_from_q(q, problems.m), i2_tau2, i2_low, i2_high, h2_from_tau2(tau2, typical))


def participants(effects: EffectSizes, mask: NDArray[np.bool_]) -> int | None:
    """Add up both arms of the pooled rows, or return None where a row does not state them."""
    if not mask.any() or not {"n_1", "n_2"} <= set(effects.inputs):
        return None
    total = (effects.inputs["n_1"] + effects.inputs["n_2"])[mask].sum()
    return int(total) if math.isfinite(total) else None


def _known(value: float) -> float | None:
    """Return a number, or None for one that does not exist."""
    return float(value) if math.isfinite(value) else None


def _mean(fit: Fit, spec: PoolSpec, i: int, scale: str, *, tested: bool) -> Estimate:
    """Return the pooled mean of pool i with its interval, and its test where 0 means no effect."""
    point, se, df = float(fit.beta[i, 0]), math.sqrt(fit.cov[i, 0, 0]), fit.df[i : i + 1]
    half = float(quantile(spec.level, df)[0]) * se
    statistic = point / se if tested and se > 0 else math.nan
    p = float(two_sided_p(np.array([statistic]), df)[0])
    return Estimate(point, point - half, point + half, se, spec.level, scale, statistic, float(df[0]), p)


def _predictions(fit: Fit, spec: PoolSpec, problems: Problems) -> tuple[Floats, Floats, Floats] | None:
    """Return df and limits of the prediction intervals, or None where the spec has none."""
    if spec.pi == "none" or spec.model == "equal":
        return None
    df = PREDICTION_RULES[spec.pi].function(problems.m + 1)
    df = np.where(problems.m + 1 >= PREDICTION_FROM, df, np.nan)
    with np.errstate(invalid="ignore"):
        return df, *prediction_limits(fit.beta[:, 0], fit.cov[:, 0, 0], fit.theta[:, 0], df, spec.level)


def _prediction(
    fit: Fit, limits: tuple[Floats, Floats, Floats] | None, spec: PoolSpec, i: int, scale: str
) -> Estimate | None:
    """Return the prediction interval of pool i, None where it is not asked for or not estimable."""
    if limits is None or not math.isfinite(limits[1][i]):
        return None
    se = math.sqrt(fit.theta[i, 0] + fit.cov[i, 0, 0])
    df, low, high = (float(a[i]) for a in limits)
    return Estimate(float(fit.beta[i, 0]), low, high, se, spec.level, scale, df=df)


def _heterogeneity(spread: _Spread, fit: Fit, spec: PoolSpec, i: int, m: int) -> Heterogeneity:
    """Return the heterogeneity record of pool i."""
    random = spec.model == "random" and m > 0

    def when(condition: bool, values: Floats) -> float | None:
        return _known(float(values[i])) if condition else None

    return Heterogeneity(
        q=float(spread.q[i]),
        q_df=m,
        q_p=_known(spread.p[i]),
        tau2=when(random, fit.theta[:, 0]),
        tau2_low=when(random, spread.low),
        tau2_high=when(random, spread.high),
        i2_q=when(m > 0, spread.i2_q),
        i2_tau2=when(random, spread.i2_tau2),
        i2_low=when(random, spread.i2_low),
        i2_high=when(random, spread.i2_high),
        h2=when(random, spread.h2),
    )


def _facts(problems: Problems, fit: Fit, spec: PoolSpec, spread: _Spread) -> list[PoolFacts]:
    """Collect what the notes are made from."""
    tau2 = fit.theta[:, 0]
    at = coefficients(problems, tau2)
    q1 = np.where(problems.m > 0, at.q1 / np.where(problems.m > 0, problems.m, 1.0), 1.0)
    normal, student = quantile(spec.level, np.full_like(tau2, np.inf)), quantile(spec.level, problems.m)
    ratio = np.where(problems.m > 0, student * np.sqrt(q1) / normal, np.nan)
    finite = np.where(np.isinf(problems.v), 0.0, problems.v)
    spans = finite.max(axis=0) / problems.v_min
    found = TAU2_ESTIMATORS["REML"].function(problems) if spec.tau2 == "REML" else None
    return [
        PoolFacts(
            k=int(problems.m[i]) + 1,
            tau2=float(tau2[i]),
            tau2_low=float(spread.low[i]),
            tau2_high=float(spread.high[i]),
            hksj_share=float(ratio[i]),
            hksj_q=float(q1[i]),
            variance_ratio=float(spans[i]),
            rival=float(found.rival[i]) if found else math.nan,
            gap=float(found.gap[i]) if found else math.inf,
        )
        for i in range(tau2.size)
    ]
