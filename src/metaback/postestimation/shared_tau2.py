"""Pools of subgroups that share one tau2: what a regression on the subgroups says of each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.pool import fit_groups
from metaback.models.specs import PoolSpec
from metaback.numbers import humanise
from metaback.postestimation.group_means import SharedMeans, equal_means_p, equal_means_q, shared_means
from metaback.postestimation.notes import PoolFacts, pool_notes
from metaback.postestimation.pools import PREDICTION_FROM, summarise
from metaback.postestimation.summary import Heterogeneity, PoolSummary, Subgroups, SubgroupTest
from metaback.stats.heterogeneity import h2_from_tau2, i2_from_tau2, typical_variance
from metaback.stats.inference import PREDICTION_RULES, quantile
from metaback.stats.tau2_interval import TAU2_INTERVALS, Tau2Limits
from metaback.stats.wls import Bools, Floats, prepare

ALONE = "One study: its interval rests on the τ² of all subgroups."
NO_TAU2 = "Every subgroup has one effect: the τ² that they share cannot be estimated and counts as 0."


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all subgroups have in common: means, limits of tau2, df of prediction (nan where there is none)."""

    means: SharedMeans
    limits: Tau2Limits
    df: float


def shared_subgroups(effects: EffectSizes, spec: PoolSpec, own: Subgroups, masks: Bools, stated: Bools) -> Subgroups:
    """Return subgroups with one tau2: y_i = mu_g(i) + u_i + e_i with u_i ~ N(0, tau2) for all of them.

    Means follow the interval rule of the spec with k - g degrees of freedom, and so does the test of their
    differences: chi-square on g - 1 df, or F on (g - 1, k - g) df under a t rule. tau2 and its limits are those of the
    regression; I2 of a subgroup sets them against its own typical variance. The prediction interval has the df of the
    regression: k - g for "t(k-1)".

    own: the same subgroups with a tau2 of their own; masks: (groups, k) their rows with effects; stated: (groups,).
    Rows without a stated subgroup stay pooled by themselves and do not enter. Edges: a subgroup with one effect has
    the standard error sqrt(v + tau2); with one effect in each, tau2 is 0 and a note says so. Source: Borenstein &
    Higgins 2013. Same as `metafor::rma(yi, vi, mods = ~ 0 + group)`.
    """
    found = _shared(effects, spec, masks[stated])
    at = fit_groups(effects, spec.model_copy(update={"tau2": found.means.tau2}), masks)
    beta, cov, df = at.fit.beta.copy(), at.fit.cov.copy(), at.fit.df.copy()
    beta[stated, 0], cov[stated, 0, 0], df[stated] = found.means.beta, np.diag(found.means.cov), found.means.df
    fitted = replace(at, spec=spec, fit=replace(at.fit, beta=beta, cov=cov, df=df))
    plain = summarise(fitted, masks)
    typical = _typical(effects, masks)
    pools = tuple(
        _pool(pool, found, spec, typical[i : i + 1]) if stated[i] else own.pools[i] for i, pool in enumerate(plain)
    )
    test = _test(found.means) if stated.sum() > 1 else None
    return replace(own, pools=pools, test=test, tau2="common", notes=_notes(found, spec, own.name))


def _shared(effects: EffectSizes, spec: PoolSpec, masks: Bools) -> _Shared:
    """Fit the regression on the subgroups."""
    means = shared_means(effects, spec, masks)
    limits = TAU2_INTERVALS[spec.tau2_ci].function(means.problems, np.array([means.tau2]), spec.level)
    predicts = spec.pi != "none" and means.m + 1 >= PREDICTION_FROM
    df = float(PREDICTION_RULES[spec.pi].function(means.problems.m + 1)[0]) if predicts else math.nan
    return _Shared(means, limits, df)


def _test(means: SharedMeans) -> SubgroupTest:
    """Test that all means are equal."""
    g = means.fit.beta.size
    q = equal_means_q(means.fit.beta, means.cov)
    return SubgroupTest(q, g - 1, equal_means_p(q, g, means.df), means.df)


def _typical(effects: EffectSizes, masks: Bools) -> Floats:
    """Return the typical sampling variance of each subgroup, nan for one effect."""
    y, v = (np.broadcast_to(values, masks.shape) for values in (effects.yi, effects.vi))
    return typical_variance(prepare(y, v, masks))


def _pool(pool: PoolSummary, found: _Shared, spec: PoolSpec, typical: Floats) -> PoolSummary:
    """Return a subgroup with the tau2, the limits and the prediction interval of the regression."""
    spread = _heterogeneity(pool.heterogeneity, found, typical)
    notes = (ALONE,) if pool.k == 1 and found.means.m > 0 else pool.notes if pool.k == 1 else ()
    return replace(pool, heterogeneity=spread, prediction=_prediction(pool.mean, found, spec), notes=notes)


def _prediction(mean: Estimate, found: _Shared, spec: PoolSpec) -> Estimate | None:
    """Return the prediction interval mean -+ quantile sqrt(tau2 + se^2)."""
    wide = float(quantile(spec.level, np.array([found.df]))[0])
    if not math.isfinite(wide):
        return None
    se = math.sqrt(found.means.tau2 + mean.se**2)
    low, high = mean.point - wide * se, mean.point + wide * se
    nothing = {"statistic": math.nan, "p_value": math.nan, "test": ""}
    return replace(mean, lower=low, upper=high, se=se, df=found.df, **nothing)


def _heterogeneity(own: Heterogeneity, found: _Shared, typical: Floats) -> Heterogeneity:
    """Return Q of the subgroup with the tau2 of the regression, and I2 and H2 from both."""
    if found.means.m == 0:
        return own
    tau2, low, high = np.array([found.means.tau2]), found.limits.lower, found.limits.upper

    def known(values: Floats) -> float | None:
        return float(values[0]) if math.isfinite(values[0]) else None

    return replace(
        own,
        tau2=known(tau2),
        tau2_low=known(low),
        tau2_high=known(high),
        i2_tau2=known(i2_from_tau2(tau2, typical)),
        i2_low=known(i2_from_tau2(low, typical)),
        i2_high=known(i2_from_tau2(high, typical)),
        h2=known(h2_from_tau2(tau2, typical)),
        h2_low=known(h2_from_tau2(low, typical)),
        h2_high=known(h2_from_tau2(high, typical)),
        tau=known(np.sqrt(tau2)),
        tau_low=known(np.sqrt(low)),
        tau_high=known(np.sqrt(high)),
    )


def _notes(found: _Shared, spec: PoolSpec, name: str) -> tuple[str, ...]:
    """Return the red flags of the regression on the subgroups."""
    means, m = found.means, found.means.m
    opening = f"Subgroups by {humanise(name)}, with a common τ²: "
    if m == 0:
        return (f"{opening}{NO_TAU2}",)
    q1 = float(means.fit.q1) / m
    normal, student = quantile(spec.level, np.array([np.inf])), quantile(spec.level, np.array([float(m)]))
    facts = PoolFacts(
        k=int(means.problems.y.shape[0]),
        tau2=means.tau2,
        tau2_low=float(found.limits.lower[0]),
        tau2_high=float(found.limits.upper[0]),
        hksj_share=float(student[0] / normal[0]) * math.sqrt(q1),
        hksj_q=q1,
        variance_ratio=1.0,  # told of the overall pool, which has the same rows
        rival=float(means.fit.rival),
        gap=float(means.fit.gap),
        pieces=int(found.limits.pieces[0]),
    )
    notes = list(pool_notes(spec.model_copy(update={"pi": "none"}), facts))
    if spec.pi != "none" and m + 1 < PREDICTION_FROM:
        notes.append(f"No prediction intervals: they need two residual degrees of freedom, there is {m}.")
    return tuple(f"{opening}{note}" for note in notes)
