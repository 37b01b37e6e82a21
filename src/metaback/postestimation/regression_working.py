"""The meta-regression of rows that depend on each other: three levels with robust variance, and the naive one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metaback.models.dependent_means import DependentCoefficients
from metaback.models.fitted import Estimate
from metaback.models.regression import FittedRegression, fit_dependent
from metaback.models.specs import estimates_tau2
from metaback.numbers import df_text, significant
from metaback.postestimation.summary import Component, Heterogeneity
from metaback.postestimation.words import plural
from metaback.postestimation.working import (
    BETWEEN,
    FEW_DF,
    WITHIN,
    dependent_rows,
    heterogeneity_of_levels,
    in_its_words,
    own_words,
)
from metaback.status import Status

SHOWN = 4  # coefficients that a note compares


@dataclass(frozen=True, slots=True)
class Dependents:
    """A regression of rows that depend on each other in both ways, and which of them is the answer.

    working: the three-level model, None where it cannot be fitted; naive: each row a study of its own. why: the reason
    where the naive one is the answer, "" where the working model is. sentences: what depends on what and was assumed.
    """

    working: FittedRegression | None
    naive: FittedRegression
    why: str
    sentences: tuple[str, ...]

    @property
    def answer(self) -> FittedRegression:
        """Return the one that counts."""
        return self.naive if self.why or self.working is None else self.working

    @property
    def other(self) -> FittedRegression | None:
        """Return the one beside it."""
        return self.naive if self.answer is self.working else self.working


def dependents(naive: FittedRegression) -> Dependents | None:
    """Fit a regression again by y_ij = x_ij'beta + u_i + w_ij + e_ij with cluster-robust variance (CR2) by study.

    The working model of a pool of the same rows: e has the covariance that the effects bring, else that of shared arms
    and of rho; u and w by REML or ML. Returns None where no study has two rows in use. The naive regression stays the
    answer where the request says that rows are independent, where it names what a working model does not have (see
    `own_words`), and where the working model cannot be fitted, e.g. with one study.
    """
    study, asked = naive.study, naive.spec.pool
    if np.unique(study).size == study.size:
        return None
    words = in_its_words(asked)
    rows, sentences = dependent_rows(naive.effects, words, naive.design.used)
    found = fit_dependent(naive, rows.V, words)
    failed = isinstance(found, Status)
    why = own_words(asked) or (_no_model(found) if failed else "")
    return Dependents(None if failed else found, naive, why, sentences)


def _no_model(status: Status) -> str:
    """Say why there is no working model."""
    return f"they are taken as independent, because the working model has no answer ({status.sentence.rstrip('.')})"


def level_heterogeneity(fitted: FittedRegression, levels: DependentCoefficients) -> Heterogeneity:
    """Return what the moderators leave: Q with the covariances, tau2 as the sum of both components, without limits."""
    total, share = levels.between + levels.within, float(levels.i2.sum())
    return heterogeneity_of_levels(levels.q, levels.m, total if estimates_tau2(fitted.spec.pool) else math.nan, share)


def level_components(fitted: FittedRegression) -> tuple[Component, ...]:
    """Return the variance components that the moderators leave; none where rows are independent."""
    levels = fitted.levels
    if levels is None:
        return ()
    values = ((BETWEEN, levels.between), (WITHIN, levels.within))
    return tuple(
        Component(name, value, float(levels.i2[i]), bool(levels.told[i])) for i, (name, value) in enumerate(values)
    )


def dependents_note(both: Dependents, shown: Mapping[str, Estimate], other: Mapping[str, Estimate]) -> str:
    """Return what must be said first: how the rows were taken, and the standard errors that the other way gives.

    shown, other: coefficients of the answer and of the model beside it, by name.
    """
    counts = np.unique(both.naive.study, return_counts=True)[1]
    several = int((counts > 1).sum())
    who = f"{plural(several, 'study', 'studies')} with several rows"
    pairs = [(name, shown[name].se, other[name].se) for name in list(other)[:SHOWN]]
    more = ", ..." if len(other) > SHOWN else ""
    if both.answer is both.working:
        beside = ", ".join(f"{name} {_se(naive)} (here {_se(here)})" for name, here, naive in pairs)
        return (
            f"{who}, which depend on each other: three-level model with cluster-robust tests (CR2) by study. "
            f"Standard errors as if independent: {beside}{more}."
        )
    if not other:
        return f"{who}, but {both.why}. Intervals can be too narrow."
    beside = ", ".join(f"{name} {_se(robust)} (here {_se(here)})" for name, here, robust in pairs)
    return (
        f"{who}, but {both.why}: intervals can be too narrow. Standard errors of a working model of their dependence, "
        f"robust by study: {beside}{more}."
    )


def _se(value: float) -> str:
    """Write a standard error, or say that there is none."""
    return significant(value) if math.isfinite(value) else "not known"


def robust_notes(fitted: FittedRegression, shown: Mapping[str, Estimate]) -> list[str]:
    """Return what the robust variance cannot know, and where its degrees of freedom are few."""
    if fitted.robust is None:
        return []
    notes: list[str] = []
    lost = [name for name, one in shown.items() if math.isnan(one.se)]
    unit = "study" if fitted.levels is not None else "row"
    if lost:
        verb, has = ("rests", "has") if len(lost) == 1 else ("rest", "have")
        notes.append(
            f"{', '.join(lost)} {verb} on a level, or a value, that one {unit} alone has: its own error leaves no "
            f"residual, so {'it' if len(lost) == 1 else 'they'} {has} no robust variance, interval or test. Merge the "
            "level with another one, or drop it."
        )
    few = [f"{name} ({df_text(one.df)})" for name, one in shown.items() if one.df < FEW_DF]
    if few:
        notes.append(
            f"Degrees of freedom below 4: {', '.join(few)}. Robust intervals and P values are only roughly right there."
        )
    levels = fitted.levels
    if levels is not None and not levels.told.all():
        notes.append("Variance between and within studies cannot be told apart here; their sum is what counts.")
    return notes
