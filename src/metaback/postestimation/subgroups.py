"""Pools of subgroups, each with its own tau2 or one for all, and the test whether their means differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import chdtrc

from metaback.effects.effect_sizes import NOT_STATED, EffectSizes
from metaback.models.fitted import Fitted
from metaback.models.pool import fit_groups
from metaback.models.specs import PoolSpec
from metaback.postestimation.pools import summarise
from metaback.postestimation.shared_tau2 import shared_subgroups
from metaback.postestimation.summary import Subgroups, SubgroupTest, Working
from metaback.postestimation.working import working_difference, working_sets
from metaback.progress import Progress, silent
from metaback.stats.wls import Bools, Floats


def between_groups_q(means: Floats, variances: Floats) -> tuple[float, int, float]:
    """Return Q between independent means, its df and chi-square p value.

    Q = sum_g w_g (m_g - m)^2 with w_g = 1 / variance_g and m their weighted mean; df = groups - 1.

    means, variances: (groups,), at least two. Source: Borenstein & Higgins 2013. Same as the QE of
    `metafor::rma(means, variances, method="FE")`.

    >>> q, df, p = between_groups_q(np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    >>> round(q, 12), df
    (1.0, 1)
    """
    origin = means[np.argmin(variances)]
    w, y = 1 / variances, means - origin
    q = float(np.sum(w * (y - np.sum(w * y) / np.sum(w)) ** 2))
    df = means.size - 1
    return q, df, float(chdtrc(df, q))


def group_masks(effects: EffectSizes) -> tuple[tuple[str, ...], np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
    """Return the subgroups that have a row to pool, in order of first appearance, and their masks (groups, k)."""
    labels = np.array(effects.by or (), dtype=object)
    levels = tuple(dict.fromkeys(label for label, ok in zip(effects.by or (), effects.estimable, strict=True) if ok))
    return levels, np.array([labels == level for level in levels], dtype=bool).reshape(len(levels), -1)


def subgroups(
    effects: EffectSizes, spec: PoolSpec, tell: Progress = silent, *, working: Working | None = None
) -> Subgroups | None:
    """Pool each subgroup and test the difference between their means.

    With `subgroup_tau2="common"` one tau2 serves all: see `shared_subgroups`. Else each has its own, and the test is Q
    between subgroup means with their Wald standard errors (the model's, whatever rule makes the intervals), chi-square
    with groups - 1 df. Rows without a stated subgroup are pooled and not tested. working: the working model of
    dependent rows, by which to pool and test. Returns None where the effects have no subgroups; the test is None for a
    single subgroup.
    """
    if effects.by is None or effects.by_name is None:
        return None
    levels, masks = group_masks(effects)
    if working is not None:
        stated = np.array([level != NOT_STATED for level in levels], dtype=bool)
        test = working_difference(effects, spec, masks[stated], working.V) if stated.sum() > 1 else None
        return Subgroups(effects.by_name, levels, working_sets(effects, spec, masks, working.V), test)
    origin = effects.yi[effects.estimable][0]  # means far from zero would lose the digits in which they differ
    centred = fit_groups(replace(effects, yi=effects.yi - origin), spec, masks)
    fitted = replace(centred, effects=effects, fit=replace(centred.fit, beta=centred.fit.beta + origin))
    stated = np.array([level != NOT_STATED for level in levels], dtype=bool)
    own = Subgroups(effects.by_name, levels, summarise(fitted, masks, tell), _test(centred, masks, stated))
    shares = spec.subgroup_tau2 == "common" and bool(stated.any())
    return shared_subgroups(effects, spec, own, masks & effects.estimable, stated) if shares else own


def _test(fitted: Fitted, masks: np.ndarray[tuple[int, int], np.dtype[np.bool_]], stated: Bools) -> SubgroupTest | None:
    """Test the difference between the means of the subgroups that are stated."""
    if stated.sum() < 2:
        return None
    use = masks & fitted.effects.estimable
    w = np.where(use, 1 / (np.where(use, fitted.effects.vi, 1.0) + fitted.fit.theta), 0.0)
    return SubgroupTest(*between_groups_q(fitted.fit.beta[stated, 0], 1 / w.sum(axis=1)[stated]))
