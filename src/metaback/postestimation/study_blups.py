"""Predicted true effects of studies and of their rows, where a pool models rows of a study as dependent."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from metaback.models.multilevel import FittedMultilevel, model_covariance
from metaback.numbers import fixed
from metaback.postestimation.blup import Blups, blup
from metaback.postestimation.flips import digits_for, level_text
from metaback.postestimation.multilevel_predict import LevelEffects, level_effects
from metaback.postestimation.subsets import row_labels, sizes_of
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import plural
from metaback.postestimation.working import BETWEEN, WITHIN
from metaback.postestimation.working_levels import as_levels
from metaback.stats.blocks import BlockMatrix
from metaback.stats.inference import quantile
from metaback.stats.mixed import marginal
from metaback.stats.wls import Floats


@dataclass(frozen=True, slots=True, repr=False)
class StudyBlups(Blups):
    """Predicted true effects of the rows of a pool by the working model, as `Blups`, and of its studies.

    studies: those of the studies, in the order of the table, one entry each: own is the mean of its rows by their
    covariance within the study, V + s2_w I. components: the random effects alone, without the mean, between and within
    studies; their standard errors and limits are those of `multilevel`'s `blup`.
    """

    studies: Blups
    components: tuple[LevelEffects, LevelEffects]

    def random_effects(self) -> pd.DataFrame:
        """Return the predicted u and w, one tidy row per study, then per row that was pooled."""
        return pd.concat([part.to_frame().drop(columns="inner") for part in self.components], ignore_index=True)

    def __repr__(self) -> str:
        """Return how far the predictions of studies reach, and those of their rows."""
        lines = [f"Predicted true effects, with {level_text(self.mean.level)} intervals (analysis scale)"]
        for part in (self.studies, self):
            known = part.estimate[np.isfinite(part.estimate)]
            ends = float(known.min()), float(known.max())
            low, high = (fixed(end, digits_for(*ends)) for end in ends)
            share = f"{fixed(100 * float(np.nanmedian(part.shrinkage)), 0)}%"
            count = plural(known.size, *part.unit)
            lines.append(f"{count}: from {low} to {high}; the median {part.unit[0]} is shrunk to the mean by {share}")
        return "\n".join([*lines, "See .studies.to_frame(), .to_frame() and .random_effects()"])


def blup_of(analysis: Analysis) -> Blups:
    """Return the predicted true effects of a pool: with those of its studies where rows are modelled as dependent."""
    return study_blups(analysis) if analysis.dependent else blup(analysis)


def study_blups(analysis: Analysis) -> StudyBlups:
    """Return the best linear unbiased predictions of the true effects of studies, mu + u_i, and rows, mu + u_i + w_ij.

    Under y_ij = mu + u_i + w_ij + e_ij, M = V + s2_u (rows of one study) + s2_w I: mu + c'M^-1(y - mu) with c the
    covariance of the true effect and y, mean squared error g - c'M^-1 c + (1 - c'M^-1 1)^2 Var(mu). Variances count as
    known; Var(mu) is the robust variance of the mean, and intervals have its df. shrinkage is 1 - c'M^-1 1, the share
    of the mean: of a study, estimate = shrinkage mu + (1 - shrinkage) own. The random effects alone have the standard
    error of the working model, as `metafor::ranef` has it.

    Edges: a variance of 0 predicts the mean for every study (between), or the study's own for each of its rows
    (within); where the data do not tell both apart only rows of one study compare well. Rows that were not pooled have
    nan. Raises `OptionError` for rows of one study alone. Source: Robinson 1991; Pustejovsky & Tipton 2022. The
    studies are `multilevel(es, "CHE").predict(known="study", of="study")`.

    >>> import metaback as mb
    >>> res = mb.pool(mb.load_dataset("backpain").query("outcome == 'pain' and weeks < 9"))
    >>> found = study_blups(res.analysis)
    >>> len(found.studies.estimate) == res.analysis.overall.studies, len(found.estimate) == len(res.effects.yi)
    (True, True)
    """
    fitted, effects = as_levels(analysis), analysis.fitted.effects
    used = np.flatnonzero(fitted.design.used)
    _, first, rank = np.unique(effects.clusters[used], return_index=True, return_inverse=True)
    study = np.argsort(np.argsort(first))[rank]  # numbered as they come in the table
    first = np.sort(first)
    places: list[int] = used[first].tolist()
    labels = tuple(effects.labels[i] for i in places)
    masks = np.zeros((first.size, effects.yi.size), dtype=bool)
    masks[study, used] = True
    point, se, share = (values[first] for values in _true_effects(fitted, 1))
    studies = _blups(analysis, labels, point, se, _own_means(fitted)[first], share, size=sizes_of(effects, masks))
    studies = replace(studies, unit=("study", "studies"))
    full = np.full((3, effects.yi.size), np.nan)
    full[:, used] = _true_effects(fitted, 2)
    names = row_labels(effects)
    rows = _blups(analysis, names, full[0], full[1], np.where(effects.estimable, effects.yi, np.nan), full[2])
    between, within = (level_effects(fitted, term.key) for term in fitted.random.terms)
    return StudyBlups(
        **{field.name: getattr(rows, field.name) for field in fields(Blups)},
        studies=studies,
        components=(
            replace(between, term=BETWEEN, labels=labels),
            replace(within, term=WITHIN, labels=tuple(names[i] for i in used.tolist())),
        ),
    )


def _true_effects(fitted: FittedMultilevel, levels: int) -> tuple[Floats, Floats, Floats]:
    """Return the predicted true effect mu + u at each row, its standard error, and the share of the mean in it, (n,).

    u: the sum of the random effects of the first `levels` terms.
    """
    M = model_covariance(fitted)
    none = BlockMatrix(M.blocks, tuple(np.zeros_like(part) for part in M.parts))
    own = marginal(fitted.fit.theta[:levels], none, fitted.terms[:levels])
    mean, variance = float(fitted.fit.beta[0]), float(fitted.cov[0, 0])
    found = np.empty((3, fitted.y.size))
    for rows, part, S in zip(M.blocks.rows, M.parts, own.parts, strict=True):
        B = np.linalg.solve(part, S.swapaxes(1, 2)).swapaxes(1, 2)
        share = 1 - B.sum(axis=2)
        point = mean + (B @ (fitted.y[rows] - mean)[..., None])[..., 0]
        spread = np.diagonal(S, axis1=1, axis2=2) - (B * S).sum(axis=2) + share**2 * variance
        found[:, rows] = point, np.sqrt(np.maximum(spread, 0)), share
    return found[0], found[1], found[2]


def _own_means(fitted: FittedMultilevel) -> Floats:
    """Return the mean of the study of each row, (n,), by the covariance of its rows within the study."""
    within = marginal(np.array([0.0, *fitted.fit.theta[1:]]), fitted.V, fitted.terms)
    found = np.empty(fitted.y.size)
    for rows, part in zip(within.blocks.rows, within.parts, strict=True):
        weights = np.linalg.solve(part, np.ones((*rows.shape, 1)))[..., 0]
        found[rows] = ((weights * fitted.y[rows]).sum(axis=1) / weights.sum(axis=1))[:, None]
    return found


def _blups(
    analysis: Analysis, labels: tuple[str, ...], point: Floats, se: Floats, own: Floats, share: Floats,
    *, size: Floats | None = None,
) -> Blups:  # fmt: skip
    """Return predictions with intervals on the degrees of freedom of the mean."""
    mean = analysis.overall.mean
    half = float(quantile(mean.level, np.array([mean.df]))[0]) * se
    return Blups(labels, point, se, point - half, point + half, own, share, mean, analysis.fitted.effects, size=size)
