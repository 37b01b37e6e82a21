"""Pooling: effects and a request in, a finished model out."""

from __future__ import annotations

import numpy as np

from metaback.design.design import intercept
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import EstimationError
from metaback.models.fitted import Fitted
from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.status import Status

SHOWN = 20  # reasons that an error lists


def fit_pool(effects: EffectSizes, spec: PoolSpec) -> Fitted:
    """Pool one set of effects.

    Raises `EstimationError` with the status' own sentence when there is nothing to pool.
    """
    fit = fit_univariate(effects.yi, effects.vi, effects.estimable, spec)
    status = Status(int(fit.status))
    if status is Status.NO_STUDIES:
        raise no_effects(effects)
    if not status.ok:
        raise EstimationError(f"{effects.source}: {status.sentence}")
    return Fitted(spec, effects, intercept(), fit)


def no_effects(*sets: EffectSizes) -> EstimationError:
    """Word the error that no row has an effect, with the reason for each."""
    reasons = [
        f"  - {label} ({row}): {reason}"
        for effects in sets
        for label, row, reason in zip(effects.labels, effects.rows, effects.reasons, strict=True)
    ]
    more = [f"  - ... and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
    return EstimationError("\n".join([f"{sets[0].source}: no row has an effect to pool", *reasons[:SHOWN], *more]))


def fit_groups(effects: EffectSizes, spec: PoolSpec, masks: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Fitted:
    """Pool several subsets of one set of effects in one masked batch call.

    masks: (groups, k) rows of each subset; rows that are not estimable are left out. The fit has a batch axis.
    """
    fit = fit_univariate(effects.yi, effects.vi, masks & effects.estimable, spec)
    return Fitted(spec, effects, intercept(), fit)
