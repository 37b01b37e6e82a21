"""Do subgroups differ? Their means under one model, the test of it, and every pair adjusted for their number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import NOT_STATED, EffectSizes
from metaback.errors import EstimationError, OptionError
from metaback.models.fitted import Estimate
from metaback.models.pool import fit_groups
from metaback.models.regression import COEFFICIENT_RULES
from metaback.models.specs import PoolSpec
from metaback.numbers import p_phrase
from metaback.postestimation.group_means import equal_means_p, equal_means_q, shared_means
from metaback.postestimation.regression import JointTest
from metaback.postestimation.subgroups import group_masks
from metaback.postestimation.words import effect_digits, estimate_cell
from metaback.stats.inference import quantile, two_sided_p
from metaback.stats.measures import about
from metaback.stats.multiplicity import adjusted

Floats = NDArray[np.float64]
KINDS = ("separate", "common")


@dataclass(frozen=True, slots=True)
class GroupMean:
    """Mean of one subgroup: its level, estimate, number of effects and tau2."""

    level: str
    estimate: Estimate
    k: int
    tau2: float


@dataclass(frozen=True, slots=True)
class PairDifference:
    """Mean of `second` minus mean of `first`, with its p value adjusted for the number of pairs."""

    first: str
    second: str
    estimate: Estimate
    p_adjusted: float


@dataclass(frozen=True, slots=True, repr=False)
class GroupComparison:
    """Subgroups under one stated model.

    name: the column; tau2: "separate" or "common"; test: that all means are equal; adjust: how pairs are adjusted.
    """

    name: str
    tau2: str
    means: tuple[GroupMean, ...]
    test: JointTest
    pairs: tuple[PairDifference, ...]
    adjust: str

    def __repr__(self) -> str:
        """Return the means, the test and the pairs, on the natural scale."""
        means = {mean.level: (mean.estimate, f"   k = {mean.k}") for mean in self.means}
        pairs = {f"{p.second} vs {p.first}": (p.estimate, f"   {p_phrase(p.p_adjusted)}") for p in self.pairs}
        width = max(map(len, (*means, *pairs)))
        shared = "one τ² for all" if self.tau2 == "common" else "each with its own τ²"

        def rows(of: dict[str, tuple[Estimate, str]]) -> list[str]:
            return [
                f"  {n:{width}}  {estimate_cell(value, effect_digits(value))}{more}" for n, (value, more) in of.items()
            ]

        how = "not adjusted" if self.adjust == "none" else f"adjusted by {self.adjust}"
        test = f"  All equal: {self.test}"
        return "\n".join([f"Subgroups by {self.name}, {shared}", *rows(means), test, f"Pairs, P {how}", *rows(pairs)])


def compare_groups(
    effects: EffectSizes, spec: PoolSpec, *, tau2: str | None = None, adjust: str = "holm"
) -> GroupComparison:
    """Compare the means of the stated subgroups of `effects.by`.

    tau2="common": one tau2 for all groups, a meta-regression on the groups; means, differences and their test follow
    the interval rule of the spec, with F on (groups - 1, k - groups) df under a t rule.
    tau2="separate": each group has its own tau2; differences and their test use the models' standard errors with the
    normal and the chi-square distribution, because the groups' own t distributions have no common df.
    None takes the `subgroup_tau2` of the spec.

    adjust: key of `ADJUSTMENTS`. Raises `OptionError` for an unknown word, `EstimationError` for fewer than two
    groups, or as many groups as effects where tau2 is common. Source: Borenstein & Higgins 2013.
    """
    tau2 = spec.subgroup_tau2 if tau2 is None else tau2
    if tau2 not in KINDS:
        raise OptionError.unknown("tau2", tau2, KINDS)
    if effects.by is None or effects.by_name is None:
        raise OptionError("the effects have no subgroups; name their column with by=")
    levels, masks = group_masks(effects)
    stated = np.array([level != NOT_STATED for level in levels], dtype=bool)
    levels, masks = tuple(level for level in levels if level != NOT_STATED), masks[stated] & effects.estimable
    if len(levels) < 2:
        raise EstimationError(f"{effects.source}: a comparison needs two subgroups of {effects.by_name} with effects")
    fit = _separate if tau2 == "separate" else _common
    beta, cov, df, found = fit(effects, spec, masks)
    scale = about(effects.measure).scale

    def estimate(weights: Floats, df: float) -> Estimate:
        return _estimate(float(weights @ beta), math.sqrt(weights @ cov @ weights), df, spec.level, scale)

    unit = np.eye(len(levels))
    means = tuple(
        GroupMean(level, estimate(unit[i], df[i]), int(masks[i].sum()), found[i]) for i, level in enumerate(levels)
    )
    cov_test, df_test = (cov, float(df[0])) if tau2 == "common" else (_model_cov(effects, masks, found), math.inf)
    cov = cov_test
    chosen = list(combinations(range(len(levels)), 2))
    differences = [estimate(unit[j] - unit[i], df_test) for i, j in chosen]
    p = adjusted(np.array([d.p_value for d in differences]), adjust)
    pairs = tuple(
        PairDifference(levels[i], levels[j], d, float(a)) for (i, j), d, a in zip(chosen, differences, p, strict=True)
    )
    return GroupComparison(effects.by_name, tau2, means, _test(levels, beta, cov, df_test), pairs, adjust)


def _estimate(point: float, se: float, df: float, level: float, scale: str) -> Estimate:
    """Return a mean or a difference with its interval and test."""
    half = float(quantile(level, np.array([df]))[0]) * se
    statistic = point / se if se > 0 else math.nan
    p = float(two_sided_p(np.array([statistic]), np.array([df]))[0])
    return Estimate(point, point - half, point + half, se, level, scale, statistic, df, p)


def _test(levels: tuple[str, ...], beta: Floats, cov: Floats, df: float) -> JointTest:
    """Test whether all means are equal."""
    r, q = len(levels) - 1, equal_means_q(beta, cov)
    statistic = q if math.isinf(df) else q / r
    return JointTest(levels, statistic, r, df, equal_means_p(q, len(levels), df))


def _separate(effects: EffectSizes, spec: PoolSpec, masks: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats, Floats]:
    """Pool every group by itself."""
    fit = fit_groups(effects, spec, masks).fit
    return fit.beta[:, 0], np.diag(fit.cov[:, 0, 0]), fit.df, fit.theta[:, 0]


def _model_cov(effects: EffectSizes, masks: NDArray[np.bool_], tau2: Floats) -> Floats:
    """Return the diagonal covariance of separate means that the models state, whatever rule makes the intervals."""
    v = np.where(effects.estimable, effects.vi, 1.0)
    return np.diag(1 / np.where(masks, 1 / (v + tau2[:, None]), 0.0).sum(axis=1))


def _common(effects: EffectSizes, spec: PoolSpec, masks: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats, Floats]:
    """Fit one mean per group with one tau2."""
    if spec.ci not in COEFFICIENT_RULES:
        raise OptionError.unknown("ci", spec.ci, COEFFICIENT_RULES)
    found = shared_means(effects, spec, masks)
    g = len(masks)
    return found.beta, found.cov, np.full(g, found.df), np.full(g, found.tau2)
