"""Predictions from a model of dependent effects: new studies, new effects in known studies, and the levels of a fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.design.formula import new_rows
from metaback.design.moderators import cell_text
from metaback.design.random_terms import RandomTerm, is_slopes
from metaback.errors import DataError, OptionError, Problem, suggestion
from metaback.models.fitted import Estimate
from metaback.models.moments import without_likelihood
from metaback.models.multilevel import FittedMultilevel, connected, model_covariance
from metaback.postestimation.multilevel import covariance_of, linear_estimates, slices_of
from metaback.postestimation.regression import Prediction
from metaback.stats.blocks import BlockMatrix, Blocks, blocks_of
from metaback.stats.inference import quantile
from metaback.stats.mixed import marginal
from metaback.stats.mixed.crossed_predicted import crossed_effects, crossed_inverse
from metaback.stats.mixed_inference import solved

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Ask:
    """Which random effects a prediction knows, and which new ones it includes.

    known: terms whose levels are named; new: terms of which a new level is drawn. group: per known term the level (r,)
    of each row of the frame; cross: per term the vectors (r, levels of G) with which G enters each row.
    """

    known: tuple[int, ...]
    new: tuple[int, ...]
    group: Mapping[int, Places]
    loads: Mapping[int, Floats]


def predict_multilevel(
    fitted: FittedMultilevel, frame: pd.DataFrame, *, known: str | Sequence[str] = (), of: str = "effect"
) -> tuple[Prediction, ...]:
    """Return for each row of a frame the expected effect with its interval, and where a true effect there lies.

    Mean x'beta, prediction variance x'Cx + sum of the variances of the random effects at x. `known` names columns of
    the frame whose levels are in the fit: their random effects u are predicted too, x'beta + c'M^-1(y - X beta) with
    mean squared error g - c'M^-1 c + d'Cd, d = x - X'M^-1 c, c = cov(u, y), g = var(u); what is not known is drawn
    anew. of: "effect" for a single effect, or the name of a grouping ("study") for its mean: finer levels are left out
    then.

    The prediction interval has the df of the mean at x, as `metafor::predict` has it: a model with moderators or
    several levels has no one number of studies to count. `pool` of dependent rows takes studies - 1 (`pi=`): the same
    where studies are alike; where they are uneven these are a little wider. Both cover alike to 0.01 in simulations.

    Source: Robinson 1991; Higgins, Thompson & Spiegelhalter 2009. Edge: without random effects there is no prediction
    interval. Raises `DataError` for levels that the fit does not have, `OptionError` for unknown words.
    """
    X = np.ones((len(frame), 1)) if fitted.design.model is None else new_rows(fitted.design, frame)
    ask = _asked(fitted, frame, (known,) if isinstance(known, str) else tuple(known), of)
    parts = [(term, covariance_of(term, fitted.fit.theta[part])) for term, part in slices_of(fitted)]
    new = np.zeros(len(frame))
    for i in ask.new:
        new += np.einsum("ra,ab,rb->r", ask.loads[i], parts[i][1], ask.loads[i])
    means = linear_estimates(fitted, X)
    if ask.known:
        means = _with_known(fitted, X, ask, parts, means)
    df = np.array([mean.df for mean in means])
    wide = quantile(fitted.spec.level, df)
    out: list[Prediction] = []
    for mean, variance, width in zip(means, new.tolist(), wide.tolist(), strict=True):
        se = float(np.sqrt(variance + mean.se**2))
        ends = mean.point - width * se, mean.point + width * se
        interval = replace(mean, lower=ends[0], upper=ends[1], se=se, statistic=np.nan, p_value=np.nan)
        out.append(Prediction(mean, interval if fitted.random.terms and np.isfinite(width) else None))
    return tuple(out)


def _asked(fitted: FittedMultilevel, frame: pd.DataFrame, known: tuple[str, ...], of: str) -> _Ask:
    """Read which levels are known and which are new."""
    terms = fitted.random.terms
    if known:
        without_likelihood(fitted.spec, "known")
    groupings = {name for term in terms for name in term.grouping.columns if name not in ("all rows", "effect")}
    for name in known:
        if name not in groupings:
            raise OptionError.unknown("known", name, sorted(groupings))
    if of != "effect" and of not in groupings:
        raise OptionError.unknown("of", of, ["effect", *sorted(groupings)])
    taken = [i for i, term in enumerate(terms) if of == "effect" or not _finer(term.grouping.columns, of)]
    placed = [terms[i].key for i in taken if terms[i].term.position is not None]
    if known and placed:
        raise OptionError(f"known: {placed[0]} depends on distances, and predictions know no place; leave known= out")
    mine = tuple(i for i in taken if set(terms[i].grouping.columns) <= {*known, "all rows"} and known)
    problems: list[Problem] = []
    group = {i: _levels(terms[i], frame, problems) for i in mine}
    loads = {i: _loads(fitted, terms[i], frame, problems) for i in taken}
    if problems:
        raise DataError("the new rows", list(dict.fromkeys(problems)))
    return _Ask(mine, tuple(i for i in taken if i not in mine), group, loads)


def _finer(columns: tuple[str, ...], of: str) -> bool:
    """Tell whether a grouping lies below another."""
    return columns[-1] == "effect" or (of in columns and columns[-1] != of)


def _levels(term: RandomTerm, frame: pd.DataFrame, problems: list[Problem]) -> Places:
    """Return the level (r,) of a grouping that each row of a frame names."""
    names = {label: i for i, label in enumerate(term.grouping.labels())}
    missing = [name for name in term.grouping.columns if name != "all rows" and name not in frame.columns]
    if missing:
        raise OptionError(f"known: the frame has no column {missing[0]!r}; add the level that each row belongs to")
    if term.grouping.columns == ("all rows",):
        return np.zeros(len(frame), dtype=np.intp)
    cells = [[cell_text(value) for value in frame[name].tolist()] for name in term.grouping.columns]
    texts = ["/".join(parts) for parts in zip(*cells, strict=True)]
    for i, text in enumerate(texts):
        if text not in names:
            rule = f"is not in the fit{suggestion(text, names)}"
            fix = "Name a level of the fit, or leave known= out for a new one"
            problems.append(Problem(rule, fix, term.grouping.columns[-1], f"index {frame.index[i]}", text))
    return np.array([names.get(text, 0) for text in texts], dtype=np.intp)


def _loads(fitted: FittedMultilevel, term: RandomTerm, frame: pd.DataFrame, problems: list[Problem]) -> Floats:
    """Return the vectors (r, levels of G) with which the covariance of a term enters each row."""
    if is_slopes(term):
        if term.slopes is None:
            raise OptionError(f"the slopes of {term.key} are not known")
        return new_rows(term.slopes, frame)
    if not term.inner_levels:
        return np.ones((len(frame), 1))
    if term.inner_name not in frame.columns:
        raise OptionError(f"the frame has no column {term.inner_name!r}, and variances differ by it; add it")
    place = {level: i for i, level in enumerate(term.inner_levels)}
    texts = [cell_text(value) for value in frame[term.inner_name].tolist()]
    fix = f"Use one of: {', '.join(term.inner_levels)}"
    problems += [
        Problem(f"is not a level of the fit{suggestion(text, place)}", fix, term.inner_name, f"index {row}", text)
        for row, text in zip(frame.index.tolist(), texts, strict=True)
        if text not in place
    ]
    return np.eye(len(place))[[place.get(text, 0) for text in texts]]


def _with_known(
    fitted: FittedMultilevel,
    X: Floats,
    ask: _Ask,
    parts: Sequence[tuple[RandomTerm, Floats]],
    means: Sequence[Estimate],
) -> tuple[Estimate, ...]:
    """Add the predicted effects of known levels to the means, with their mean squared errors."""
    n, rows = fitted.y.size, X.shape[0]
    prior = np.zeros(rows)
    c = np.zeros((n, rows))
    for i in ask.known:
        term, G = parts[i]
        prior += np.einsum("ra,ab,rb->r", ask.loads[i], G, ask.loads[i])
        c += (row_loads(term) @ G @ ask.loads[i].T) * related(term, ask.group[i])
    crossed = crossed_inverse(fitted.fit, fitted.y, fitted.design.X, fitted.V, fitted.terms)
    weighted = solved(model_covariance(fitted), c) if crossed is None else crossed.solve(c)
    residual = fitted.y - fitted.design.X @ fitted.fit.beta
    point = np.array([mean.point for mean in means]) + weighted.T @ residual
    d = X - weighted.T @ fitted.design.X
    mse = prior - (c * weighted).sum(axis=0) + np.einsum("ra,ab,rb->r", d, fitted.cov, d)
    se = np.sqrt(np.maximum(mse, 0))
    half = quantile(fitted.spec.level, np.array([mean.df for mean in means])) * se
    return tuple(
        replace(mean, point=b, lower=b - h, upper=b + h, se=s, statistic=np.nan, p_value=np.nan)
        for mean, b, h, s in zip(means, point.tolist(), half.tolist(), se.tolist(), strict=True)
    )


def row_loads(term: RandomTerm) -> Floats:
    """Return the vectors (n, levels of G) with which the covariance of a term enters the rows of the fit."""
    if term.term.Z is not None:
        return term.term.Z
    if term.inner_levels and term.term.inner is not None:
        return np.eye(len(term.inner_levels))[term.term.inner]
    return np.ones((term.grouping.codes.size, 1))


def related(term: RandomTerm, levels: Places) -> Floats:
    """Return how much of the outer factor rows of the fit share with some levels, (n, r)."""
    codes = term.grouping.codes
    if term.term.known is not None:
        return term.term.known[codes[:, None], levels[None, :]]
    return (codes[:, None] == levels[None, :]).astype(float)


# ---------------------------------------------------------------- the levels of the fit


@dataclass(frozen=True, slots=True, repr=False)
class LevelEffects:
    """Predicted random effects of a term: how far each level lies from what its moderators say.

    labels: names of the levels; inner: the level of the factor or the slope that each is about, "" for intercepts.
    estimate, se, ci_low, ci_high: (m,), the standard error of the prediction error, normal or t as the request has it.
    """

    term: str
    labels: tuple[str, ...]
    inner: tuple[str, ...]
    estimate: Floats
    se: Floats
    ci_low: Floats
    ci_high: Floats
    level: float

    def to_frame(self) -> pd.DataFrame:
        """Return one tidy row per level, on the analysis scale."""
        columns = {"level": self.labels, "inner": self.inner, "estimate": self.estimate, "se": self.se}
        return pd.DataFrame({"term": self.term, **columns, "ci_low": self.ci_low, "ci_high": self.ci_high})

    def __repr__(self) -> str:
        """Return how many levels there are and how far they reach."""
        return f"Random effects of {len(self.labels)} levels of {self.term}: see .to_frame()"


def level_effects(fitted: FittedMultilevel, key: str) -> LevelEffects:
    """Return the best linear unbiased predictions of the random effects of a term, with their standard errors.

    u = c'M^-1(y - X beta), its error variance g - c'M^-1 c + c'M^-1 X C X'M^-1 c, per block of M. For a factor, the
    effects of the levels that occur. Intervals: see `_term_df`. Source: Robinson 1991. Same as `metafor::ranef`.
    """
    without_likelihood(fitted.spec, "blup")
    found = {term.key: (term, part) for term, part in slices_of(fitted)}
    if key not in found:
        raise OptionError.unknown("term", key, found)
    term, part = found[key]
    crossed = crossed_inverse(fitted.fit, fitted.y, fitted.design.X, fitted.V, fitted.terms)
    if crossed is not None:  # M would be a matrix of all rows by all rows
        place = [other.key for other, _ in slices_of(fitted)].index(key)
        value, variance = crossed_effects(crossed, fitted.fit, fitted.y.size, fitted.terms)[place]
        return _at_levels(fitted, term, value, np.sqrt(np.maximum(variance, 0)))
    G = covariance_of(term, fitted.fit.theta[part])
    blocks = blocks_of(connected(fitted))
    M = model_covariance(fitted)
    S = None if is_slopes(term) else _own_part(fitted, term, part, blocks)
    loads = row_loads(term)
    columns = range(G.shape[0]) if is_slopes(term) else range(1)
    point, se = np.empty((fitted.y.size, len(columns))), np.empty((fitted.y.size, len(columns)))
    for a in columns:
        prior = np.full(fitted.y.size, G[a, a]) if S is None else np.einsum("na,ab,nb->n", loads, G, loads)
        cross = _slope_cross(term, G[a] @ loads.T, M.blocks) if S is None else S
        point[:, a], se[:, a] = _predicted(fitted, M, cross, prior)
    return _at_levels(fitted, term, point, se)


def _own_part(fitted: FittedMultilevel, term: RandomTerm, part: slice, blocks: Blocks) -> BlockMatrix:
    """Return what one term adds to M, in the blocks of M."""
    zero = BlockMatrix(blocks, tuple(np.zeros((*rows.shape, rows.shape[1])) for rows in blocks.rows))
    return marginal(fitted.fit.theta[part], zero, (term.term,))


def _slope_cross(term: RandomTerm, values: Floats, blocks: Blocks) -> BlockMatrix:
    """Return the covariance of one slope at the level of row i with the effect of row j, in the blocks of M."""
    codes = term.grouping.codes
    parts: list[Floats] = []
    for rows in blocks.rows:
        outer = codes[rows]
        parts.append((outer[:, :, None] == outer[:, None, :]) * values[rows][:, None, :])
    return BlockMatrix(blocks, tuple(parts))


def _predicted(fitted: FittedMultilevel, M: BlockMatrix, cross: BlockMatrix, prior: Floats) -> tuple[Floats, Floats]:
    """Return the predicted effect at each row (n,) and its standard error."""
    X, residual = fitted.design.X, fitted.y - fitted.design.X @ fitted.fit.beta
    point, variance = np.empty(fitted.y.size), np.empty(fitted.y.size)
    for rows, part, S in zip(M.blocks.rows, M.parts, cross.parts, strict=True):
        B = np.linalg.solve(part, S.swapaxes(1, 2)).swapaxes(1, 2)
        point[rows] = (B @ residual[rows][..., None])[..., 0]
        away = B @ X[rows]
        variance[rows] = prior[rows] - (B * S).sum(axis=2) + np.einsum("bma,ac,bmc->bm", away, fitted.fit.cov, away)
    return point, np.sqrt(np.maximum(variance, 0))


def _at_levels(fitted: FittedMultilevel, term: RandomTerm, point: Floats, se: Floats) -> LevelEffects:
    """Return the effects at the first row of each level, or of each combination of levels."""
    names = np.array(term.grouping.labels() or ("all rows",), dtype=object)
    if is_slopes(term):
        first = np.repeat(term.grouping.first, len(term.inner_levels))
        column = np.tile(np.arange(len(term.inner_levels)), term.grouping.count)
        shown: list[int] = column.tolist()
    else:
        split = np.zeros(fitted.y.size, dtype=np.intp) if term.term.inner is None else term.term.inner
        both = term.grouping.codes * (int(split.max(initial=0)) + 1) + split
        first = np.sort(np.unique(both, return_index=True)[1])
        column = np.zeros(first.size, dtype=np.intp)
        shown = split[first].tolist()
    inner = tuple(_inner_label(term, place, row) for place, row in zip(shown, first.tolist(), strict=True))
    estimate, spread = point[first, column], se[first, column]
    width = quantile(fitted.spec.level, np.array([_term_df(fitted, term)]))
    half = np.where(np.isfinite(width), width, np.nan) * spread
    labels = tuple(str(name) for name in names[term.grouping.codes[first]].tolist())
    return LevelEffects(term.key, labels, inner, estimate, spread, estimate - half, estimate + half, fitted.spec.level)


def _term_df(fitted: FittedMultilevel, term: RandomTerm) -> float:
    """Return the degrees of freedom of the effects of a term: its levels less coefficients, nan below 1.

    inf for z and n - p under "residual". One level that holds all rows counts by its inner levels. As the intervals
    of `metafor::ranef` under dfs = "contain".
    """
    n, p = fitted.design.X.shape
    if fitted.spec.test == "z":
        return math.inf
    if fitted.spec.df == "residual":
        return float(n - p)
    count = term.grouping.count if term.grouping.count > 1 else max(term.term.levels, 1)
    return float(count - p) if count > p else math.nan


def _inner_label(term: RandomTerm, place: int, row: int) -> str:
    """Name what an effect within its level is about: the level of a factor, a slope, a time; "" for intercepts."""
    if term.inner_levels:
        return term.inner_levels[place]
    return "" if term.term.position is None else ", ".join(f"{value:g}" for value in term.term.position[row].tolist())
