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
from metaback.numbers import df_text, p_phrase
from metaback.postestimation.group_means import equal_means_p, equal_means_q, shared_means
from metaback.postestimation.regression import JointTest
from metaback.postestimation.subgroups import group_masks
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import effect_digits, estimate_cell
from metaback.postestimation.working import working_groups
from metaback.stats.blocks import BlockMatrix
from metaback.stats.inference import quantile, two_sided_p
from metaback.stats.measures import about
from metaback.stats.multiplicity import adjusted
from metaback.stats.robust_tests import FEW, contrast_tests, joint_test
from metaback.status import Status

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
    dependent: whether the model is that of rows which depend on each other. notes: what a reader must know.
    """

    name: str
    tau2: str
    means: tuple[GroupMean, ...]
    test: JointTest
    pairs: tuple[PairDifference, ...]
    adjust: str
    dependent: bool = False
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the means, the test and the pairs, on the natural scale."""
        means = {mean.level: (mean.estimate, f"   k = {mean.k}") for mean in self.means}
        pairs = {f"{p.second} vs {p.first}": (p.estimate, f"   {p_phrase(p.p_adjusted)}") for p in self.pairs}
        width = max(map(len, (*means, *pairs)))
        shared = "one τ² for all" if self.tau2 == "common" else "each with its own τ²"
        shared = "one three-level model with robust variance (CR2, HTZ)" if self.dependent else shared

        def rows(of: dict[str, tuple[Estimate, str]]) -> list[str]:
            return [
                f"  {n:{width}}  {estimate_cell(value, effect_digits(value))}{more}" for n, (value, more) in of.items()
            ]

        how = "not adjusted" if self.adjust == "none" else f"adjusted by {self.adjust}"
        test = f"  All equal: {self.test}"
        notes = [f"  ! {note}" for note in self.notes]
        head = f"Subgroups by {self.name}, {shared}"
        return "\n".join([head, *rows(means), test, f"Pairs, P {how}", *rows(pairs), *notes])


def compare_pooled(analysis: Analysis, *, tau2: str | None = None, adjust: str = "holm") -> GroupComparison:
    """Compare the subgroups of a pool under its own model: `compare_dependent` where rows depend on each other."""
    effects, spec, working = analysis.fitted.effects, analysis.spec, analysis.working
    if working is None or not analysis.dependent:
        return compare_groups(effects, spec, tau2=tau2, adjust=adjust)
    if tau2 not in (None, "common"):
        known = OptionError.unknown("tau2", tau2, KINDS) if tau2 not in KINDS else f"tau2={tau2!r}"
        raise OptionError(
            f"{known}: subgroups of dependent rows are compared in one model, whose variances between and within "
            "studies are those of all (tau2='common'), because rows of one study may stand in several; subgroups with "
            "variances of their own are in .subgroups"
        )
    return compare_dependent(effects, spec, working.V, adjust=adjust)


def compare_dependent(effects: EffectSizes, spec: PoolSpec, V: BlockMatrix, *, adjust: str = "holm") -> GroupComparison:
    """Compare the means of the stated subgroups of rows that depend on each other, in one model of all of them.

    y_ij = mu_g(ij) + u_i + w_ij + e_ij: the working model of the pool with the subgroups in place of the mean, so that
    rows of one study are correlated within and across subgroups. Components by the method of the spec; means and
    differences with robust variance (CR2) and Satterthwaite's df of each, their joint test HTZ. Rows without a stated
    subgroup are left out.

    V: (k, k) sampling covariance of all rows. Edges: what the rows of one study alone decide (a subgroup that no other
    study has) has no robust variance: nan, and a note. Raises `EstimationError` for fewer than two subgroups and where
    the model has no fit. Source: Tipton & Pustejovsky 2015; Pustejovsky & Tipton 2022. Same as
    `clubSandwich::coef_test`, `linear_contrast` and `Wald_test` of `metafor::rma.mv` with mods = ~ 0 + subgroup.

    >>> import metaback as mb
    >>> res = mb.pool(mb.load_dataset("backpain").query("weeks < 9"), by="outcome", measure="SMD")
    >>> found = compare_dependent(res.effects, res.spec, res.analysis.working.V)
    >>> round(found.test.p_value, 6) == round(res.subgroups.test.p_value, 6)
    True
    """
    levels, masks = _stated(effects)
    found = working_groups(effects, spec, masks, V)
    if isinstance(found, Status):
        raise EstimationError(f"{effects.source}: the subgroups have no common model: {found.sentence}")
    scale, unit = about(effects.measure).scale, np.eye(len(levels))
    chosen = list(combinations(range(len(levels)), 2))
    contrasts = np.array([*unit, *(unit[j] - unit[i] for i, j in chosen)])
    tests = contrast_tests(found.beta, found.robust, contrasts, level=spec.level)
    names = ("estimate", "lower", "upper", "se", "statistic", "df", "p")
    parts = [
        Estimate(point, low, high, se, spec.level, scale, statistic, df, p)
        for point, low, high, se, statistic, df, p in zip(*(getattr(tests, n).tolist() for n in names), strict=True)
    ]
    tau2 = found.between + found.within
    means = tuple(
        GroupMean(level, part, int(mask.sum()), tau2)
        for level, part, mask in zip(levels, parts[: len(levels)], masks, strict=True)
    )
    differences = parts[len(levels) :]
    p = adjusted(np.array([part.p_value for part in differences]), adjust)
    pairs = tuple(
        PairDifference(levels[i], levels[j], d, float(a)) for (i, j), d, a in zip(chosen, differences, p, strict=True)
    )
    joint = joint_test(found.beta, found.robust, unit[1:] - unit[0])
    test = JointTest(levels, float(joint.statistic), joint.df, float(joint.df_residual), float(joint.p))
    notes = _robust_notes(means, pairs, test)
    return GroupComparison(effects.by_name or "", "common", means, test, pairs, adjust, True, notes)


def _robust_notes(means: tuple[GroupMean, ...], pairs: tuple[PairDifference, ...], test: JointTest) -> tuple[str, ...]:
    """Return which means and differences have no robust variance, and whether any rests on few degrees of freedom."""
    alone = [mean.level for mean in means if math.isnan(mean.estimate.se)]
    notes: list[str] = []
    if alone:
        notes.append(
            f"{', '.join(alone)}: rows of one study alone decide this, so there is no robust interval and test."
        )
    known = [part.estimate.df for part in (*means, *pairs)] + [test.df_residual]
    if any(df < FEW for df in known):
        few = df_text(min(df for df in known if df < FEW))
        notes.append(
            f"Some tests have few degrees of freedom (down to {few}): below 4 P values are only roughly right."
        )
    return tuple(notes)


def _stated(effects: EffectSizes) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """Return the stated subgroups that have effects, and their rows (groups, k). Raises where there are no two."""
    if effects.by is None or effects.by_name is None:
        raise OptionError("the effects have no subgroups; name their column with by=")
    levels, masks = group_masks(effects)
    stated = np.array([level != NOT_STATED for level in levels], dtype=bool)
    levels, masks = tuple(level for level in levels if level != NOT_STATED), masks[stated] & effects.estimable
    if len(levels) < 2:
        raise EstimationError(f"{effects.source}: a comparison needs two subgroups of {effects.by_name} with effects")
    return levels, masks


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
    levels, masks = _stated(effects)
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
    return GroupComparison(effects.by_name or "", tau2, means, _test(levels, beta, cov, df_test), pairs, adjust)


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
