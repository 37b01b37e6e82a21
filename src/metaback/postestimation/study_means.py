"""The mean of each study's effects: what a forest plot shows of a study beside its rows."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from metaback.effects.dependence import sampling_covariance
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.postestimation.scales import row_sizes
from metaback.postestimation.summary import Analysis
from metaback.stats.aggregate import group_means
from metaback.stats.blocks import BlockMatrix, on_diagonal, selected
from metaback.stats.transforms import harmonic_mean


def study_means(analysis: Analysis, groups: NDArray[np.intp]) -> tuple[Estimate | None, ...]:
    """Return the mean of the effects of each group with its normal interval, None for a group without an effect.

    y* = (1' V^-1 y) / (1' V^-1 1) with variance 1 / (1' V^-1 1), V the sampling covariance of the rows of the group:
    the one that the effects bring, else that of `sampling_covariance` under the rho of the request. It says what a
    study found, so no variance of true effects is in it.

    analysis: a pool; groups: (rows,) whole numbers, 0 to g - 1, each of which occurs. Edges: a group of one effect is
    that effect; the mean can lie outside the range of its effects where a weight is negative. Numbers that come back
    with a size have the harmonic mean of those of their rows. Source: Gleser & Olkin 2009.

    >>> import metaback as mb
    >>> res = mb.pool(mb.load_dataset("backpain").query("study == 'Jackson 2011' and outcome == 'pain'"))
    >>> (one,) = study_means(res.analysis, np.zeros(2, dtype=np.intp))
    >>> round(one.point, 3), one.level
    (-0.915, 0.95)
    """
    effects, like = analysis.fitted.effects, analysis.overall.mean
    places = np.flatnonzero(effects.estimable)
    present, own = np.unique(groups[places], return_inverse=True)
    found = group_means(effects.yi[places], _covariance(effects, places, analysis.fitted.spec.rho), own.astype(np.intp))
    half = NormalDist().inv_cdf((1 + analysis.spec.level) / 2)
    sizes = row_sizes(effects) if like.size is not None else None
    made: list[Estimate | None] = [None] * (int(groups.max(initial=-1)) + 1)
    means = zip(present.tolist(), found.y.tolist(), on_diagonal(found.cov).tolist(), strict=True)
    for number, point, variance in means:
        se = math.sqrt(variance)
        size = None if sizes is None else harmonic_mean(sizes[places[groups[places] == number]])
        mean = Estimate(point, point - half * se, point + half * se, se, analysis.spec.level, like.scale)
        made[number] = replace(mean, back=like.back, size=size)
    return tuple(made)


def _covariance(effects: EffectSizes, places: NDArray[np.intp], rho: float) -> BlockMatrix:
    """Return the sampling covariance of the rows at some places."""
    matrix = effects.cov
    if matrix is None:
        matrix = sampling_covariance(effects, rho=rho, nearest=True).matrix
    return selected(matrix, places)
