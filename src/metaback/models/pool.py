"""Pooling: effects and a request in, a finished model out."""

from __future__ import annotations

import math

import numpy as np

from metaback.design.design import intercept
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import DataError, EstimationError, OptionError, Problem
from metaback.models.fitted import Fitted
from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.stats.wls import Floats
from metaback.status import Status

SHOWN = 20  # reasons that an error lists


def fit_pool(effects: EffectSizes, spec: PoolSpec) -> Fitted:
    """Pool one set of effects.

    Raises `EstimationError` with the status' own sentence when there is nothing to pool.
    """
    fit = fit_univariate(effects.yi, effects.vi, effects.estimable, spec, weights=own_weights(effects, spec))
    status = Status(int(fit.status))
    if status is Status.NO_STUDIES:
        raise no_effects(effects)
    if not status.ok:
        raise EstimationError(f"{effects.source}: {status.sentence}")
    return Fitted(spec, effects, intercept(), fit)


def own_weights(effects: EffectSizes, spec: PoolSpec) -> Floats | None:
    """Return the weights (k,) that the request sets for the mean, None for those of least squares.

    The column that `weights` names, or 1 / v for "IVhet"; 0 where a row cannot be pooled. Raises `OptionError` for a
    column that is not there and `DataError` with every row whose weight is blank, no number, negative or infinite.
    """
    if spec.model == "IVhet":
        return np.where(effects.estimable, 1 / np.where(effects.estimable, effects.vi, 1.0), 0.0)
    if spec.weights is None:
        return None
    if spec.weights not in effects.moderators:
        raise OptionError.unknown("weights", spec.weights, effects.moderators)
    cells = effects.moderators[spec.weights]
    values = np.array([_number(cell) for cell in cells])
    bad = effects.estimable & ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        rule, cure = "a weight must be a number of at least 0", "fill in the weight, or leave the row out of the table"
        raise DataError(
            effects.source,
            [Problem(rule, cure, spec.weights, effects.rows[i], str(cells[i])) for i in np.flatnonzero(bad)],
        )
    return np.where(effects.estimable, values, 0.0)


def _number(cell: object) -> float:
    """Return the number of a cell, nan where it has none."""
    try:
        return float(str(cell))
    except ValueError:
        return math.nan


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
    own = own_weights(effects, spec)
    fit = fit_univariate(effects.yi, effects.vi, masks & effects.estimable, spec, weights=own)
    return Fitted(spec, effects, intercept(), fit)
