"""A model of dependent effects with one mean, as the pool that a forest plot shows: weights, prediction, studies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from metaback.design.design import Design
from metaback.design.formula import INTERCEPT
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.fitted import Estimate, Fit, Fitted
from metaback.models.multilevel import FittedMultilevel, weights_of
from metaback.models.specs import resolve_spec
from metaback.postestimation.multilevel import MultilevelAnalysis, criterion
from metaback.postestimation.multilevel_predict import predict_multilevel
from metaback.postestimation.summary import Analysis, Heterogeneity, PoolSummary
from metaback.stats.blocks import BlockMatrix, Floats, Places, blocks_of, from_pairs, on_diagonal
from metaback.stats.mixed.crossed_predicted import crossed_inverse


@dataclass(frozen=True, slots=True)
class OneMean:
    """A model with one mean as a pool: `analysis`, whose clusters are those of the model, and the name of each row's.

    The effects of `analysis` carry the sampling covariance of the model; rows that it does not use have no effect.
    """

    analysis: Analysis
    clusters: tuple[str, ...]


def as_pool(analysis: MultilevelAnalysis) -> OneMean:
    """Return a model of dependent effects that has one mean and no moderators as a pool.

    Weights are 1'W / (1'W1), W = M^-1 with M = V + the random terms, or the weights by moments: the mean is their sum
    with the effects. Heterogeneity is
    in total: the sum of the variances, each the mean over the rows. The prediction interval is for a new effect in new
    levels of every term, None where a term is of a factor or a slope. Raises `OptionError` for moderators.

    >>> import metaback as mb
    >>> fit = mb.multilevel(mb.load_dataset("backpain").query("outcome == 'pain'"), "~ 1 | study/effect")
    >>> pool = as_pool(fit.analysis).analysis.overall
    >>> round(float(np.nansum(pool.weights)), 6), pool.mean == fit.estimate
    (100.0, True)
    """
    fitted = analysis.fitted
    if len(analysis.coefficients) != 1 or not fitted.design.intercept:
        named = ", ".join(analysis.coefficients)
        raise OptionError(
            f"a forest plot needs one mean, but the model has the coefficients {named}: leave formula= out"
        )
    mean, used = analysis.coefficients[INTERCEPT], np.flatnonzero(fitted.design.used)
    codes, names = _clusters(fitted, used)
    prediction = _prediction(fitted)
    weights = np.full(fitted.design.used.size, np.nan)
    weights[used] = 100 * _shares(fitted)
    overall = PoolSummary(
        mean=mean,
        prediction=prediction,
        heterogeneity=_heterogeneity(analysis),
        weights=weights,
        k=analysis.k,
        studies=int(np.unique(fitted.clusters).size),
        n=None,
        notes=analysis.notes,
    )
    spec = resolve_spec(
        "cochrane", tau2=criterion(fitted.spec), ci="Wald-t", level=fitted.spec.level, pi=None if prediction else "none"
    )
    found = fitted.fit
    fit = Fit(
        found.beta, fitted.cov, found.theta, fitted.df, np.asarray(found.loglik), np.asarray(found.status),
        np.asarray(found.n_iter),
    )  # fmt: skip
    effects = _in_use(fitted, used, codes)
    return OneMean(Analysis(Fitted(spec, effects, Design(None, ("overall",)), fit), overall, None, levels=True), names)


def _prediction(fitted: FittedMultilevel) -> Estimate | None:
    """Return the prediction interval of a new effect in new levels, where all terms are intercepts."""
    if any(term.inner_name or term.inner_levels or term.slopes is not None for term in fitted.random.terms):
        return None
    (found,) = predict_multilevel(fitted, pd.DataFrame(index=range(1)))
    return found.interval


def _shares(fitted: FittedMultilevel) -> Floats:
    """Return the weight (n,) of each row in use; they sum to 1 and can be negative."""
    crossed = None
    if fitted.moments is None:
        crossed = crossed_inverse(fitted.fit, fitted.y, fitted.design.X, fitted.V, fitted.terms)
    if crossed is not None:  # W would be a matrix of all rows by all rows
        sums = crossed.solve(np.ones((fitted.y.size, 1)))[:, 0]
        return sums / sums.sum()
    W = weights_of(fitted)
    sums = np.empty(fitted.y.size)
    for rows, part in zip(W.blocks.rows, W.parts, strict=True):
        sums[rows] = part.sum(axis=-1)
    return sums / sums.sum()


def _heterogeneity(analysis: MultilevelAnalysis) -> Heterogeneity:
    """Return the heterogeneity of all levels together."""
    found = analysis.heterogeneity
    total = math.fsum(level.variance for level in found.levels) if found.levels else None
    return Heterogeneity(
        q=found.q,
        q_df=int(found.q_df),
        q_p=found.q_p if math.isfinite(found.q_p) else None,
        tau2=total,
        tau2_low=None,
        tau2_high=None,
        i2_q=None,
        i2_tau2=found.total,
        i2_low=None,
        i2_high=None,
        h2=None,
        tau=None if total is None else math.sqrt(total),
    )


def _clusters(fitted: FittedMultilevel, used: Places) -> tuple[Places, tuple[str, ...]]:
    """Return number and name of the cluster of every row; a row that is not in use is of its own study's cluster.

    Where that cluster has no row in use it is a new one.
    """
    effects = fitted.effects
    codes, names = np.full(len(effects.labels), -1, dtype=np.intp), list(effects.labels)
    codes[used] = fitted.clusters
    numbers = dict(zip(fitted.cluster_names, range(len(fitted.cluster_names)), strict=True))
    for row in used.tolist():
        names[row] = fitted.cluster_names[int(codes[row])]
    for row in np.flatnonzero(codes < 0).tolist():
        codes[row] = numbers.setdefault(names[row], len(numbers))
    return codes, tuple(names)


def _in_use(fitted: FittedMultilevel, used: Places, codes: Places) -> EffectSizes:
    """Return the effects with the rows and the sampling covariance of the model, clusters as numbered."""
    effects, V = fitted.effects, fitted.V
    why = zip(effects.reasons, fitted.design.reasons, strict=True)
    spread = np.full(effects.yi.size, np.nan)
    spread[used] = on_diagonal(V)
    return replace(
        effects,
        yi=np.where(fitted.design.used, effects.yi, np.nan),
        vi=spread,
        estimable=fitted.design.used,
        reasons=tuple(told or gap for told, gap in why),
        clusters=codes.astype(np.int64),
        by=None,
        cov=_over_all(V, used, spread),
    )


def _over_all(V: BlockMatrix, used: Places, spread: Floats) -> BlockMatrix:
    """Return a covariance of some rows as one of all, nan on the diagonal of the others."""
    labels = np.arange(spread.size)
    i: list[Places] = [np.empty(0, dtype=np.intp)]
    j: list[Places] = [np.empty(0, dtype=np.intp)]
    values: list[Floats] = [np.empty(0)]
    for rows, part in zip(V.blocks.rows, V.parts, strict=True):
        places = used[rows]
        labels[places] = places[:, :1]
        a, b = np.triu_indices(rows.shape[1], 1)
        i.append(places[:, a].ravel())
        j.append(places[:, b].ravel())
        values.append(part[:, a, b].ravel())
    return from_pairs(blocks_of(labels), spread, np.concatenate(i), np.concatenate(j), np.concatenate(values))
