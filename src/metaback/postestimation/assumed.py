"""What an assumed pre-post correlation is worth: the pool under each of several, in one batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate, Fit
from metaback.models.pool import own_weights
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.models.univariate import fit_univariate
from metaback.postestimation.means import mean_estimate, mean_limits
from metaback.stats.measures import about
from metaback.stats.measures.family import has_null
from metaback.stats.wls import prepare
from metaback.status import Status


@dataclass(frozen=True, slots=True)
class AssumedR:
    """The pooled effect under several assumed pre-post correlations.

    r: that of the main result; rows: how many pooled rows rest on it. grid: the correlations, ascending, that of the
    main result among them; means, tau2, k: pooled effect, between-study variance and effects under each, None where it
    could not be estimated. Empty where only one correlation was asked for.
    """

    r: float
    rows: int
    grid: tuple[float, ...] = ()
    means: tuple[Estimate | None, ...] = ()
    tau2: tuple[float | None, ...] = ()
    k: tuple[int, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Tell where the answer depends on the correlation: in its sign, or in whether the interval leaves out 0."""
        signs: dict[str, list[float]] = {}
        for r, mean in zip(self.grid, self.means, strict=True):
            if mean is not None and math.isfinite(mean.statistic):
                signs.setdefault(_conclusion(mean), []).append(r)
        if len(signs) < 2:
            return ()
        said = "; ".join(f"{words} for r = {', '.join(f'{r:g}' for r in rs)}" for words, rs in signs.items())
        return (f"The conclusion depends on the assumed pre-post correlation: {said}.",)


def _conclusion(mean: Estimate) -> str:
    """Say on which side of no effect an interval lies."""
    if mean.lower > 0:
        return "the interval lies above no effect"
    return "the interval lies below no effect" if mean.upper < 0 else "the interval includes no effect"


def assumed_r(effects: EffectSizes, spec: PoolSpec) -> AssumedR | None:
    """Pool the effects under every correlation of their grid in one masked batch call, y and v of shape (g, k).

    Return None where no row rests on an assumed correlation. A row without an effect under one correlation is left out
    of that pool.
    """
    found = effects.grid
    if found is None:
        return None
    rows = int((found.rows & effects.estimable).sum())
    if not found.r.size:
        return AssumedR(found.assumed, rows)
    mask = np.isfinite(found.yi) & (found.vi > 0)
    fit = fit_univariate(found.yi, found.vi, mask, spec, weights=own_weights(effects, spec))
    k = mask.sum(axis=1)
    good = np.flatnonzero([Status(int(code)).ok for code in fit.status])
    means: list[Estimate | None] = [None] * found.r.size
    if good.size:
        limits = mean_limits(_taken(fit, good), spec, prepare(found.yi[good], found.vi[good], mask[good]))
        scale, tested = about(effects.measure).scale, has_null(effects.measure)
        for place, i in enumerate(good.tolist()):
            means[i] = mean_estimate(limits, spec, place, scale, int(k[i]), tested=tested)
    known = estimates_tau2(spec)
    tau2 = tuple(float(fit.theta[i, 0]) if known and mean is not None else None for i, mean in enumerate(means))
    grid: tuple[float, ...] = tuple(found.r.tolist())
    return AssumedR(found.assumed, rows, grid, tuple(means), tau2, tuple(int(count) for count in k))


def _taken(fit: Fit, index: NDArray[np.intp]) -> Fit:
    """Select fits of a batch."""
    return Fit(*(getattr(fit, part.name)[index] for part in fields(Fit)))
