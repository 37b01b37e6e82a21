"""The scale on which effects are shown: the way back of their measure, and the sizes that some ways need."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metaback.effects.effect_sizes import EffectSizes, Floats
from metaback.postestimation.summary import PoolSummary
from metaback.stats.measures import about
from metaback.stats.measures.family import has_null
from metaback.stats.transforms import back, harmonic_mean
from metaback.stats.wls import Bools

# A proportion, and the logarithm of one, can have Wald limits that no proportion can be: they are shown at the bound.
BOUNDED = {"PR": "share", "PLN": "exp_share"}


def way_back(effects: EffectSizes) -> str:
    """Return the key of the way on which effects are shown: that of their measure.

    A double arcsine or double square root comes back with a size only. Where a pooled row has none, all numbers stay
    on the analysis scale ("identity"), and the words say so: see `measure_name`.
    """
    key = natural_way(effects.measure)
    sizes = row_sizes(effects)
    if back(key).size and not (sizes is not None and bool((sizes[effects.estimable] > 0).all())):
        return "identity"
    return key


def natural_way(measure: str) -> str:
    """Return the way back of a measure.

    >>> natural_way("RR"), natural_way("PLO"), natural_way("SMD"), natural_way("PR")
    ('exp', 'expit', 'identity', 'share')
    """
    facts = about(measure)
    return BOUNDED.get(measure) or ("exp" if facts.scale == "log" else facts.back)


def row_sizes(effects: EffectSizes) -> Floats | None:
    """Return the size of each row (k,) that the way back of the measure needs; None where it needs none or has none."""
    role = back(natural_way(effects.measure)).size
    return effects.inputs.get(role) if role else None


def shown_pool(pool: PoolSummary, effects: EffectSizes, rows: Bools) -> PoolSummary:
    """Return the summary of some rows with the way back that shows it, and its size: their harmonic mean.

    Source: Miller 1978 for the harmonic mean, the convention of metafor's `transf.ipft.hm`.
    """
    key = way_back(effects)
    if key == "identity" or (key == "exp" and has_null(effects.measure)):
        return pool  # the estimate's own scale says it all
    sizes = row_sizes(effects)
    size = harmonic_mean(sizes[np.asarray(rows, dtype=bool)]) if back(key).size and sizes is not None else None
    prediction = None if pool.prediction is None else replace(pool.prediction, back=key, size=size)
    return replace(pool, mean=replace(pool.mean, back=key, size=size), prediction=prediction)
