"""A pool of dependent rows under other models of their dependence, beside every result whether or not a plan asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from metaback.effects.aggregate import aggregate
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.dependent_means import DependentMeans, dependent_means_many
from metaback.models.fitted import Estimate
from metaback.models.specs import MeanInterval, PoolSpec
from metaback.postestimation.dependent_sets import rows_of
from metaback.postestimation.flips import turned
from metaback.postestimation.specification_fits import specification_numbers
from metaback.postestimation.standard_sensitivity import StandardPool
from metaback.postestimation.summary import Analysis, Working
from metaback.stats.blocks import BlockMatrix, diagonal, on_diagonal
from metaback.stats.inference import quantile, two_sided_p
from metaback.status import Status

LEVELS, APART = "three levels", "three levels, sampling errors independent"
TOGETHER, INDEPENDENT = "studies taken together first", "rows as independent"
ROBUST: MeanInterval = "CR2"
RULES: tuple[MeanInterval, ...] = ("Wald", "HKSJ-wider")


def standard_working(analysis: Analysis) -> tuple[StandardPool, ...]:
    """Pool dependent rows under the usual other models of their dependence; nothing for a pool of independent rows.

    Three levels by REML and by ML, with the covariance of the pool and with independent sampling errors (the
    hierarchical effects model), each with the robust interval and with the model's own (normal); three levels under
    other assumed correlations; the rows of each study taken together first (`aggregate`); every row as independent.
    The last two by the estimator of the pool, with the wider of HKSJ and Wald, and with Wald. `tau2_rule` names the
    model; the request of the pool is among them. Edges: what is the same as another is left out (sampling errors that
    are independent anyway, correlations that nothing hangs on); one that fails has no mean.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and weeks < 9")
    >>> found = standard_working(mb.pool(pain).analysis)
    >>> [part.tau2_rule for part in found if part.main]
    ['three levels, REML']
    """
    working = analysis.working
    if working is None or not analysis.dependent:
        return ()
    return (*_levels(analysis, working), *_correlations(analysis, working), *_single(analysis, working))


def _levels(analysis: Analysis, working: Working) -> Iterator[StandardPool]:
    """Pool by three levels: both likelihoods, with the covariance of the pool and with a diagonal one."""
    effects, own = analysis.fitted.effects, str(working.spec.tau2)
    rows = rows_of(effects, working.V)
    spread = on_diagonal(rows.V)
    alone = diagonal(rows.V.blocks, spread)
    same = all(map(np.array_equal, alone.parts, rows.V.parts))
    Vs = [rows.V] if same else [rows.V, alone]
    y, level = effects.yi[rows.places], working.spec.level
    other = "ML" if own == "REML" else "REML"
    for method, tried in ((own, Vs), (other, Vs[:1])):
        found = dependent_means_many(y, tried, rows.study, method=method, level=level)
        for i, name in enumerate((LEVELS, APART)[: len(tried)]):
            label = f"{name}, {method}"
            yield _pool(analysis, label, ROBUST, found, i, main=(name, method) == (LEVELS, own))
            yield _pool(analysis, label, "Wald", found, i, main=False)


def _pool(
    analysis: Analysis, name: str, rule: MeanInterval, found: DependentMeans, i: int, *, main: bool
) -> StandardPool:
    """Read one pool of three levels with its robust interval, or with that of the model."""
    mean = analysis.overall.mean if main else None
    if not main and found.status[i] == Status.CONVERGED:
        names = ("mean", "lower", "upper", "se", "df", "p")
        point, low, high, se, df, p_value = (float(getattr(found, part)[i]) for part in names)
        if rule != ROBUST:
            se, df = float(np.sqrt(found.variance[i])), np.inf
            half = float(quantile(analysis.spec.level, np.array([df]))[0]) * se
            low, high = point - half, point + half
            p_value = float(two_sided_p(np.array([point / se]), np.array([df]))[0])
        mean = _as(analysis, point, low, high, se, df, p_value)
    tau2, i2 = float(found.between[i] + found.within[i]), float(found.i2[i].sum())
    return StandardPool(name, rule, mean, tau2, i2, main, _turns(analysis, mean))


def _correlations(analysis: Analysis, working: Working) -> Iterator[StandardPool]:
    """Return the pools under other assumed correlations, which the working model has already."""
    for part in working.grid:
        if part.rho != working.spec.rho:
            name = f"{LEVELS}, {working.spec.tau2}, ρ = {part.rho:g}"
            turns = _turns(analysis, part.mean)
            yield StandardPool(name, ROBUST, part.mean, part.tau2, np.nan, main=False, turns=turns)


def _single(analysis: Analysis, working: Working) -> Iterator[StandardPool]:
    """Pool one effect for each study, and every row as if it were of a study of its own."""
    effects = analysis.fitted.effects
    specs = [_request(working, rule) for rule in RULES]
    for name, each in ((TOGETHER, _together(effects, working.V)), (INDEPENDENT, effects)):
        everything = np.ones((1, each.yi.size), dtype=bool)
        for spec, found in zip(specs, specification_numbers(each, everything, specs), strict=True):
            mean = None
            if found.status[0] == Status.CONVERGED:
                numbers = (found.estimate, found.ci_low, found.ci_high, found.se)
                point, low, high, se = (float(values[0]) for values in numbers)
                mean = _as(analysis, point, low, high, se, np.nan, float(found.p_value[0]))
            turns = _turns(analysis, mean)
            yield StandardPool(name, spec.ci, mean, float(found.tau2[0]), float(found.i2[0]), main=False, turns=turns)


def _together(effects: EffectSizes, V: BlockMatrix) -> EffectSizes:
    """Return one effect for each study, weighted by the covariance of the pool."""
    return aggregate(replace(effects, cov=V))


def _request(working: Working, rule: MeanInterval) -> PoolSpec:
    """Return the request of the pool for independent effects."""
    return working.spec.model_copy(update={"ci": rule, "pi": "none", "independent": True})


def _as(analysis: Analysis, point: float, lower: float, upper: float, se: float, df: float, p_value: float) -> Estimate:
    """Return an estimate in the words of the answer."""
    main = analysis.overall.mean
    tested = np.isfinite(main.p_value)
    p_value = p_value if tested else np.nan
    statistic = point / se if tested and se > 0 else np.nan
    return replace(
        main, point=point, lower=lower, upper=upper, se=se, df=df, statistic=statistic, p_value=p_value
    )  # fmt: skip


def _turns(analysis: Analysis, mean: Estimate | None) -> bool:
    """Tell whether an interval says something else about no effect than that of the answer."""
    return turned(analysis.overall.mean, mean, analysis.fitted.effects.measure)
