"""Pools of one set of effects under many requests and without many parts of its rows, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Fit
from metaback.models.pool import own_weights
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.models.univariate import fit_univariate
from metaback.postestimation.dependent_sets import joint_of
from metaback.postestimation.means import mean_limits
from metaback.postestimation.pools import prediction_limits_of
from metaback.postestimation.subsets import sizes_of
from metaback.postestimation.working import working_subsets
from metaback.progress import Progress, silent, within
from metaback.stats.heterogeneity import cochran_q, i2_from_q, i2_from_tau2, typical_variance
from metaback.stats.inference import MEAN_RULES
from metaback.stats.measures.family import has_null
from metaback.stats.wls import Bools, Floats, Problems, prepare
from metaback.status import Status

FINE = 10_000  # steps of a request that are told at most, where its rule resamples
CHUNK = 200_000  # effects handled at a time, so that memory does not grow with the number of row sets


@dataclass(frozen=True, slots=True)
class SpecificationNumbers:
    """Pools of n specifications on the analysis scale, all (n,); nan where a number does not exist.

    k: pooled effects. tau2: nan for one effect and for equal effects; i2: percent, by the definition of the request.
    status: codes of `metaback.status.Status`. size: what the way back to the natural scale needs, nan where nothing.
    """

    k: NDArray[np.int64]
    estimate: Floats
    se: Floats
    ci_low: Floats
    ci_high: Floats
    p_value: Floats
    pi_low: Floats
    pi_high: Floats
    tau2: Floats
    i2: Floats
    status: NDArray[np.int64]
    size: Floats


def specification_numbers(
    effects: EffectSizes, masks: Bools, specs: Sequence[PoolSpec], tell: Progress = silent
) -> tuple[SpecificationNumbers, ...]:
    """Pool every set of rows under every request, and return the numbers of the sets for each request.

    tau2 is estimated once for all requests, in one masked batch call; rules that are a factor and degrees of freedom
    are applied to the same fit, and those that need the data get it with the same tau2.

    masks: (n, rows) which rows belong to each set; rows that are not estimable are left out. specs: requests that
    agree in model, tau2 and weights. tell: hears of pools done. Edges: a set that cannot be pooled has its status and
    nan. One effect has its own estimate and interval.

    >>> from metaback.data.datasets import load_dataset
    >>> from metaback.effects.compute import effect_sizes
    >>> es = effect_sizes(load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'"))
    >>> requests = [PoolSpec(), PoolSpec(ci="Wald")]
    >>> found = specification_numbers(es, np.ones((1, 9), dtype=bool), requests)
    >>> [numbers.k.tolist() for numbers in found], bool(found[0].estimate[0] == found[1].estimate[0])
    ([[9], [9]], True)
    """
    step = max(1, CHUNK // max(masks.shape[1], 1))
    cuts = [slice(start, start + step) for start in range(0, max(len(masks), 1), step)]
    n = len(specs) * len(masks)
    ends = [(cut, within(tell, cut.start * len(specs), min(cut.stop * len(specs), n), n)) for cut in cuts]
    parts = [_chunk(effects, masks[cut] & effects.estimable, specs, told) for cut, told in ends]
    return tuple(together([part[i] for part in parts]) for i in range(len(specs)))


def working_numbers(
    effects: EffectSizes, masks: Bools, specs: Sequence[PoolSpec], tell: Progress = silent
) -> tuple[SpecificationNumbers, ...]:
    """Pool every set of rows under every request by the working model of dependent rows, a batch for each request.

    masks: (sets, rows); of a study of which only a part is in a set, that part with its covariance. specs: requests
    that the model answers. tell: hears of pools done.
    """
    V = joint_of(effects, specs[0]).V
    out: list[SpecificationNumbers] = []
    for i, spec in enumerate(specs):
        found = working_subsets(effects, spec, masks, V)
        names = [part.name for part in fields(SpecificationNumbers)]
        out.append(SpecificationNumbers(**{name: getattr(found, name) for name in names}))
        tell((i + 1) * len(masks), len(specs) * len(masks))
    return tuple(out)


def together(parts: Sequence[SpecificationNumbers]) -> SpecificationNumbers:
    """Put numbers behind each other."""
    names = [part.name for part in fields(SpecificationNumbers)]
    return SpecificationNumbers(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _chunk(effects: EffectSizes, masks: Bools, specs: Sequence[PoolSpec], tell: Progress) -> list[SpecificationNumbers]:
    """Fit one chunk of row sets, and apply every request to the fits."""
    plain = specs[0].model_copy(update={"ci": "Wald", "pi": "none"})
    fit = fit_univariate(effects.yi, effects.vi, masks, plain, weights=own_weights(effects, plain))
    good = np.flatnonzero(fit.status == Status.CONVERGED)
    k = masks.sum(axis=1)
    if not good.size:
        return [_spread({}, good, k, fit.status) for _ in specs]
    y, v = (np.broadcast_to(values, masks.shape)[good] for values in (effects.yi, effects.vi))
    problems = prepare(y, v, masks[good])
    found = Fit(**{part.name: getattr(fit, part.name)[good] for part in fields(Fit)})
    shared = {"size": sizes_of(effects, masks[good])}
    tested = has_null(effects.measure)
    out: list[SpecificationNumbers] = []
    for i, spec in enumerate(specs):
        told = within(tell, i * FINE, (i + 1) * FINE, len(specs) * FINE)
        out.append(_spread(shared | _numbers(problems, found, spec, tested, told), good, k, fit.status))
        told(1, 1)
    return out


def _numbers(problems: Problems, plain: Fit, spec: PoolSpec, tested: bool, tell: Progress) -> dict[str, Floats]:
    """Return what one request says about fits with the covariance of their model."""
    factor, df = MEAN_RULES[spec.ci].function(plain.q1, plain.m, spec.level)
    fit = replace(plain, cov=plain.cov * factor[:, None, None], df=df)
    means, prediction = mean_limits(fit, spec, problems, tell), prediction_limits_of(fit, spec, problems)
    nothing = np.full(problems.n, np.nan)
    tau2 = np.where((problems.m > 0) & estimates_tau2(spec), fit.theta[:, 0], np.nan)
    if spec.i2 == "Q" or not estimates_tau2(spec):
        i2 = np.where(problems.m > 0, i2_from_q(cochran_q(problems)[0], problems.m), np.nan)
    else:
        i2 = i2_from_tau2(tau2, typical_variance(problems))
    return {
        "estimate": means.point,
        "se": means.se,
        "ci_low": means.lower,
        "ci_high": means.upper,
        "p_value": means.p if tested else nothing,
        "pi_low": nothing if prediction is None else prediction.lower,
        "pi_high": nothing if prediction is None else prediction.upper,
        "tau2": tau2,
        "i2": i2,
    }


def _spread(
    found: dict[str, Floats], good: NDArray[np.intp], k: NDArray[np.int64], status: NDArray[np.int64]
) -> SpecificationNumbers:
    """Put the numbers of fits into their places among those that could not be made."""
    columns: dict[str, NDArray[Any]] = {"k": k, "status": status}
    for part in fields(SpecificationNumbers):
        if part.name not in columns:
            columns[part.name] = np.full(k.size, np.nan)
            columns[part.name][good] = found.get(part.name, np.nan)
    return SpecificationNumbers(**columns)
