"""Pools of many subsets of the same effects as arrays: what leave-one-out, cumulative and GOSH are made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.fitted import Fit, Fitted
from metaback.models.pool import own_weights
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.models.univariate import fit_univariate
from metaback.postestimation.means import mean_limits
from metaback.postestimation.pools import prediction_limits_of
from metaback.postestimation.scales import row_sizes, way_back
from metaback.stats.heterogeneity import h2_from_tau2, i2_from_q, i2_from_tau2, spread_at_zero
from metaback.stats.measures import about
from metaback.stats.measures.family import has_null
from metaback.stats.transforms import back, harmonic_mean
from metaback.stats.wls import Bools, Floats, prepare
from metaback.status import Status

CHUNK = 200_000  # effects handled at a time, so that memory does not grow with the number of subsets
NATURAL = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")
PRINTED = ("estimate", "se", "statistic", "df", "p_value", "ci_low", "ci_high", "pi_low", "pi_high")


@dataclass(frozen=True, slots=True)
class Subsets:
    """Pools of n subsets on the analysis scale, all (n,); nan where a number does not exist.

    k: effects in the subset. estimate ... ci_high: mean, its test and interval by the rule of the pool; pi_low,
    pi_high: prediction interval. tau2: nan for one effect and for equal effects; i2: in percent, by the definition of
    the pool; h2; q, q_p: Cochran's Q with its test. status: codes of `metaback.status.Status`.
    size: what the way back to the natural scale needs, nan where it needs nothing.
    """

    k: NDArray[np.int64]
    estimate: Floats
    se: Floats
    statistic: Floats
    df: Floats
    p_value: Floats
    ci_low: Floats
    ci_high: Floats
    pi_low: Floats
    pi_high: Floats
    tau2: Floats
    i2: Floats
    h2: Floats
    q: Floats
    q_p: Floats
    status: NDArray[np.int64]
    size: Floats


def pool_subsets(fitted: Fitted, masks: Bools) -> Subsets:
    """Pool every subset of the effects of a finished fit by the same request, in masked batch calls.

    masks: (n, rows) which rows belong to each subset; rows that are not estimable are left out. Memory is bounded: the
    subsets are taken in chunks. Rules that resample cost for each subset what they cost for the pool.
    """
    effects, spec = fitted.effects, fitted.spec
    rows = effects.estimable
    masks = (masks & rows)[:, rows]
    own = own_weights(effects, spec)
    y, v, own = effects.yi[rows], effects.vi[rows], None if own is None else own[rows]
    step = max(1, CHUNK // max(y.size, 1))
    cuts = [slice(start, start + step) for start in range(0, max(len(masks), 1), step)]
    return joined([_pooled(y, v, own, masks[cut], spec, effects) for cut in cuts])


def joined(parts: list[Subsets]) -> Subsets:
    """Put the subsets of several chunks behind each other."""
    if not parts:
        none, counts = np.zeros(0), np.zeros(0, dtype=np.int64)
        return Subsets(counts, *(none,) * 14, status=counts, size=none)
    return Subsets(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Subsets)))


def at(pools: Subsets, places: NDArray[np.intp], n: int) -> Subsets:
    """Spread subsets over n rows: row i of `pools` stands at places[i], and the rest has no numbers."""
    columns: dict[str, Any] = {}
    for field in fields(Subsets):
        values: NDArray[Any] = getattr(pools, field.name)
        empty = {"k": 0, "status": int(Status.NO_STUDIES)}.get(field.name, np.nan)
        columns[field.name] = np.full(n, empty, dtype=values.dtype)
        columns[field.name][places] = values
    return Subsets(**columns)


def _pooled(y: Floats, v: Floats, own: Floats | None, masks: Bools, spec: PoolSpec, effects: EffectSizes) -> Subsets:
    """Pool one chunk of subsets of effects that can all be pooled."""
    fit = fit_univariate(y, v, masks, spec, weights=own)
    good = fit.status == Status.CONVERGED
    if not good.all():
        return _with_gaps(y, v, own, masks, spec, effects, good, fit)
    problems = prepare(np.broadcast_to(y, masks.shape), np.broadcast_to(v, masks.shape), masks)
    means, prediction = mean_limits(fit, spec, problems), prediction_limits_of(fit, spec, problems)
    q, q_p, typical = spread_at_zero(problems)
    nothing = np.full(problems.n, np.nan)
    several = problems.m > 0
    random = several & estimates_tau2(spec)
    tau2 = np.where(random, fit.theta[:, 0], np.nan)
    from_q = np.where(several, i2_from_q(q, problems.m), np.nan)
    tested = has_null(effects.measure)
    return Subsets(
        k=masks.sum(axis=1),
        estimate=means.point,
        se=means.se,
        statistic=means.statistic if tested else nothing,
        df=means.df,
        p_value=means.p if tested else nothing,
        ci_low=means.lower,
        ci_high=means.upper,
        pi_low=nothing if prediction is None else prediction.lower,
        pi_high=nothing if prediction is None else prediction.upper,
        tau2=tau2,
        i2=from_q if spec.i2 == "Q" or not estimates_tau2(spec) else i2_from_tau2(tau2, typical),
        h2=h2_from_tau2(tau2, typical),
        q=q,
        q_p=q_p,
        status=fit.status,
        size=sizes_of(effects, _over_all(effects, masks)),
    )


def _with_gaps(
    y: Floats, v: Floats, own: Floats | None, masks: Bools, spec: PoolSpec, effects: EffectSizes, good: Bools, fit: Fit
) -> Subsets:
    """Pool the subsets that can be pooled; the others keep their place with their status."""
    k = masks.sum(axis=1)
    n = len(masks)
    if not good.any():
        found = at(joined([]), np.zeros(0, dtype=np.intp), n)
    else:
        found = at(_pooled(y, v, own, masks[good], spec, effects), np.flatnonzero(good), n)
    found.k[:], found.status[:] = k, fit.status
    return found


def _over_all(effects: EffectSizes, masks: Bools) -> Bools:
    """Return sets of the rows with an effect as sets of all rows."""
    whole = np.zeros((len(masks), effects.yi.size), dtype=bool)
    whole[:, effects.estimable] = masks
    return whole


def sizes_of(effects: EffectSizes, masks: Bools) -> Floats:
    """Return the harmonic mean of the sizes in each set of rows, (sets, k), where the way back needs one; else nan."""
    sizes = row_sizes(effects) if back(way_back(effects)).size else None
    if sizes is None:
        return np.full(len(masks), np.nan)
    return np.array([harmonic_mean(sizes[mask]) if mask.any() else np.nan for mask in masks])


def shown(pools: Subsets, effects: EffectSizes, transform: str | None) -> dict[str, Any]:
    """Return the columns of a tidy frame: the fixed ones, heterogeneity, and the scale.

    transform: None leaves numbers on the analysis scale, "natural" carries estimates and limits back. Raises
    `OptionError` for another word.
    """
    if transform not in (None, "natural"):
        raise OptionError.unknown("transform", transform, ["natural"])
    columns: dict[str, Any] = {name: getattr(pools, name) for name in PRINTED}
    scale, way = about(effects.measure).scale, way_back(effects)
    if transform and way != "identity":
        columns |= natural_columns({name: columns[name] for name in NATURAL}, way, pools.size)
        scale = "natural"
    columns |= {name: getattr(pools, name) for name in ("tau2", "i2", "h2", "q", "q_p", "k")}
    return columns | {"scale": scale}


def natural_columns(columns: dict[str, Floats], way: str, size: Floats | None = None) -> dict[str, Floats]:
    """Carry columns of numbers back; `*_low` and `*_high` change places where the way back falls."""
    about_way = back(way)
    with np.errstate(over="ignore"):
        found = {name: about_way.inverse(values, size) for name, values in columns.items()}
    if not about_way.decreasing:
        return found
    other = {name: name.replace("low", "\0").replace("high", "low").replace("\0", "high") for name in found}
    return {name: found[other[name]] for name in found}


def row_labels(effects: EffectSizes) -> tuple[str, ...]:
    """Return a label for each row that no other row has: the study, with its row in the file where studies repeat."""
    count = Counter(effects.labels)
    return tuple(
        label if count[label] == 1 else f"{label} ({row})"
        for label, row in zip(effects.labels, effects.rows, strict=True)
    )
