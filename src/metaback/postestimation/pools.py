"""Everything that is said about pools of one set of effects, for all subsets in one batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.people import people_once
from metaback.models.fitted import Estimate, Fit, Fitted
from metaback.models.pool import own_weights
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.postestimation.means import mean_estimate, mean_limits, request_of
from metaback.postestimation.notes import PoolFacts, pool_notes
from metaback.postestimation.scales import shown_pool
from metaback.postestimation.summary import Heterogeneity, PoolSummary
from metaback.progress import Progress, silent
from metaback.stats.heterogeneity import cochran_q, h2_from_tau2, i2_from_q, i2_from_tau2, typical_variance
from metaback.stats.inference import (
    PREDICTION_RULES,
    Limits,
    apply_whole,
    prediction_limits,
    quantile,
    whole_prediction,
)
from metaback.stats.measures import about, raw_roles
from metaback.stats.measures.family import has_null
from metaback.stats.tau2_interval import TAU2_INTERVALS
from metaback.stats.wls import Floats, Problems, coefficients, prepare, shares

PREDICTION_FROM = 3  # a prediction interval needs three studies: with two, tau2 is hardly known at all


@dataclass(frozen=True, slots=True)
class _Spread:
    """Heterogeneity of a batch of pools, each (n,), nan where a number does not exist."""

    q: Floats
    p: Floats
    low: Floats
    high: Floats
    pieces: NDArray[np.int64]
    i2_q: Floats
    i2_tau2: Floats
    i2_low: Floats
    i2_high: Floats
    h2: Floats
    h2_low: Floats
    h2_high: Floats


def summarise(fitted: Fitted, masks: NDArray[np.bool_], tell: Progress = silent) -> tuple[PoolSummary, ...]:
    """Turn a batch of fits, one per row of `masks` (groups, k), into finished summaries; `tell`: how far rules are."""
    effects, spec, fit = fitted.effects, fitted.spec, fitted.fit
    masks = masks & effects.estimable
    n = masks.shape[0]
    problems = prepare(np.broadcast_to(effects.yi, masks.shape), np.broadcast_to(effects.vi, masks.shape), masks)
    spread = _spread(problems, fit.theta[:, 0], spec)
    means, prediction = mean_limits(fit, spec, problems, tell), prediction_limits_of(fit, spec, problems)
    own = own_weights(effects, spec)
    weights = 100 * shares(np.broadcast_to(effects.vi, masks.shape), masks, means.tau2, own)
    scale, tested = about(effects.measure).scale, has_null(effects.measure)
    facts = _facts(problems, fit, spread, prediction, spec.level)
    pools = (
        PoolSummary(
            mean=mean_estimate(means, spec, i, scale, int(problems.m[i]) + 1, tested=tested),
            prediction=_prediction(prediction, spec, i, scale),
            heterogeneity=_heterogeneity(spread, fit, spec, i, int(problems.m[i])),
            weights=np.where(masks[i], weights[i], np.nan),
            k=int(masks[i].sum()),
            studies=len(set(effects.clusters[masks[i]].tolist())),
            n=participants(effects, masks[i]),
            notes=pool_notes(spec, facts[i]),
        )
        for i in range(n)
    )
    return tuple(shown_pool(pool, effects, mask) for pool, mask in zip(pools, masks, strict=True))


def _spread(problems: Problems, tau2: Floats, spec: PoolSpec) -> _Spread:
    """Evaluate the heterogeneity of a batch."""
    q, p = cochran_q(problems)
    limits = TAU2_INTERVALS[spec.tau2_ci].function(problems, tau2, spec.level)
    low, high = limits.lower, limits.upper
    typical = typical_variance(problems)
    i2_tau2, i2_low, i2_high = (i2_from_tau2(value, typical) for value in (tau2, low, high))
    h2, h2_low, h2_high = (h2_from_tau2(value, typical) for value in (tau2, low, high))
    from_q = i2_from_q(q, problems.m)
    return _Spread(q, p, low, high, limits.pieces, from_q, i2_tau2, i2_low, i2_high, h2, h2_low, h2_high)


def participants(effects: EffectSizes, mask: NDArray[np.bool_]) -> int | None:
    """Count the people of both arms, or of the one group, of the pooled rows.

    Those who stand in several rows of a study count once, whether or not the pool takes rows as independent: see
    `people_once`. None where a row does not state its numbers, and where rows of one group repeat a study.
    """
    clusters = effects.clusters[mask]
    if np.unique(clusters).size < clusters.size:
        return people_once(effects, mask)
    roles = ("n",) if "n" in raw_roles(effects.measure) else ("n_1", "n_2")
    if not mask.any() or not set(roles) <= set(effects.inputs):
        return None
    total = sum(float(effects.inputs[role][mask].sum()) for role in roles)
    return int(total) if math.isfinite(total) else None


def _known(value: float) -> float | None:
    """Return a number, or None for one that does not exist."""
    return float(value) if math.isfinite(value) else None


def prediction_limits_of(fit: Fit, spec: PoolSpec, problems: Problems) -> Limits | None:
    """Return the prediction intervals, nan below three studies, or None where the spec has none."""
    if spec.pi == "none" or not estimates_tau2(spec):
        return None
    rule, tau2, point = whole_prediction(spec.pi), fit.theta[:, 0], fit.beta[:, 0]
    enough = problems.m + 1 >= PREDICTION_FROM
    nothing = np.full(problems.n, np.nan)
    if rule is None:
        df = np.where(enough, PREDICTION_RULES[spec.pi].function(problems.m + 1), np.nan)
        with np.errstate(invalid="ignore"):
            low, high = prediction_limits(point, fit.cov[:, 0, 0], tau2, df, spec.level)
        return Limits(point, np.sqrt(tau2 + fit.cov[:, 0, 0]), df, low, high, nothing, nothing, tau2)
    found = Limits(*(nothing.copy() for _ in range(8)))
    if enough.any():
        part = apply_whole(rule, problems.take(np.flatnonzero(enough)), tau2[enough], request_of(spec))
        for name in ("se", "df", "lower", "upper"):
            getattr(found, name)[enough] = getattr(part, name)
        found.point[enough] = part.point
    return found


def _prediction(found: Limits | None, spec: PoolSpec, i: int, scale: str) -> Estimate | None:
    """Return the prediction interval of pool i, None where it is not asked for or not estimable."""
    if found is None or not math.isfinite(found.lower[i]):
        return None
    point, low, high, se, df = (
        float(column[i]) for column in (found.point, found.lower, found.upper, found.se, found.df)
    )
    return Estimate(point, low, high, se, spec.level, scale, df=df)


def _heterogeneity(spread: _Spread, fit: Fit, spec: PoolSpec, i: int, m: int) -> Heterogeneity:
    """Return the heterogeneity record of pool i."""
    random = estimates_tau2(spec) and m > 0

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
        h2_low=when(random, spread.h2_low),
        h2_high=when(random, spread.h2_high),
        tau=when(random, np.sqrt(fit.theta[:, 0])),
        tau_low=when(random, np.sqrt(spread.low)),
        tau_high=when(random, np.sqrt(spread.high)),
    )


def _facts(problems: Problems, fit: Fit, spread: _Spread, prediction: Limits | None, level: float) -> list[PoolFacts]:
    """Collect what the notes are made from."""
    tau2 = fit.theta[:, 0]
    at = coefficients(problems, tau2)
    q1 = np.where(problems.m > 0, at.q1 / np.where(problems.m > 0, problems.m, 1.0), 1.0)
    normal, student = quantile(level, np.full_like(tau2, np.inf)), quantile(level, problems.m)
    ratio = np.where(problems.m > 0, student * np.sqrt(q1) / normal, np.nan)
    finite = np.where(np.isinf(problems.v), 0.0, problems.v)
    spans = finite.max(axis=0) / problems.v_min
    return [
        PoolFacts(
            k=int(problems.m[i]) + 1,
            tau2=float(tau2[i]),
            tau2_low=float(spread.low[i]),
            tau2_high=float(spread.high[i]),
            hksj_share=float(ratio[i]),
            hksj_q=float(q1[i]),
            variance_ratio=float(spans[i]),
            pieces=int(spread.pieces[i]),
            rival=float(fit.rival[i]),
            gap=float(fit.gap[i]),
            prediction_low=0.0 if prediction is None else float(prediction.lower[i]),
        )
        for i in range(tau2.size)
    ]
