"""Questions to a model of dependent effects that need other fits: comparison, explained variance, deletion, rho."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from metaback.design.random_words import FACTOR
from metaback.errors import EstimationError, OptionError
from metaback.models.fitted import Estimate
from metaback.models.moments import as_mixed, at_place, moment_weights, weighing, without_likelihood
from metaback.models.multilevel import (
    FittedMultilevel,
    connected,
    fit_multilevel,
    loose_ends,
    sampling_part,
    with_study,
    with_variance,
)
from metaback.models.multilevel_spec import MultilevelSpec
from metaback.numbers import fixed, p_phrase
from metaback.postestimation.multilevel import components_of, linear_estimates, row_variances, slices_of
from metaback.postestimation.words import rho_text
from metaback.stats.blocks import BlockMatrix
from metaback.stats.mixed import Term, fit_mixed, fit_mixed_many
from metaback.stats.mixed.structures import chart_of
from metaback.status import Status

Floats = NDArray[np.float64]
CASES = {  # structure -> those of which it is a case
    "ID": ("CS", "AR", "DIAG", "HCS", "HAR", "UN"),
    "CS": ("HCS", "UN"),
    "AR": ("HAR", "UN"),
    "DIAG": ("HCS", "HAR", "UN"),
    "HCS": ("UN",),
    "HAR": ("UN",),
}
SLACK = 1e-8  # by which the log-likelihood of a smaller model may lie above: rounding
SAME = 1e-9  # relative difference of effects and variances that are the same
SHOWN = 5  # clusters that a sentence names
CHUNK = 2_000_000  # counts of clusters in replicates that are held at a time


@dataclass(frozen=True, slots=True, repr=False)
class LikelihoodRatio:
    """A likelihood-ratio test of two nested models.

    statistic: twice the difference in log-likelihood; df: parameters more in the larger one; p_value: from chi-square.
    p_boundary: where the smaller model sets one variance to 0, the mixture of chi-square with df - 1 and df, half each
    (Stram & Lee 1994), None otherwise. method: the likelihood.
    """

    statistic: float
    df: int
    p_value: float
    p_boundary: float | None
    method: str
    logliks: tuple[float, float]

    def to_frame(self) -> pd.DataFrame:
        """Return one row."""
        return pd.DataFrame(
            {
                "statistic": [self.statistic],
                "df": [self.df],
                "p_value": [self.p_value],
                "p_boundary": [self.p_boundary],
                "loglik_smaller": [self.logliks[0]],
                "loglik_larger": [self.logliks[1]],
                "method": [self.method],
            }
        )

    def __repr__(self) -> str:
        """Return the test in a sentence."""
        text = f"χ²({self.df}) = {fixed(self.statistic)}, {p_phrase(self.p_value)} ({self.method})"
        if self.p_boundary is None:
            return text
        return f"{text}; a variance of 0 is at its bound: {p_phrase(self.p_boundary)} by the mixture of chi-squares"


def compare(one: FittedMultilevel, two: FittedMultilevel) -> LikelihoodRatio:
    """Test the smaller of two nested models against the larger.

    Both must be fits of the same rows with the same V by the same likelihood; REML needs the same fixed effects,
    because restricted likelihoods of different ones cannot be compared. The chi-square test of a variance of 0 is
    conservative; with one variance more, half of chi2(0) and half of chi2(1), say, is the right reference (Self & Liang
    1987).

    Raises `OptionError` where the two cannot be compared.
    """
    for fitted in (one, two):
        without_likelihood(fitted.spec, "compare")
    small, large = sorted((one, two), key=_parameters)
    _check(small, large)
    df = _parameters(large) - _parameters(small)
    logliks = float(small.fit.loglik), float(large.fit.loglik)
    statistic = max(0.0, 2 * (logliks[1] - logliks[0]))
    extra = _free_variances(large) - _free_variances(small)
    fixed_alike = small.design.X.shape[1] == large.design.X.shape[1]
    mixed = None
    if extra == 1 and fixed_alike and not _above_zero(small):
        mixed = 0.5 * _tail(statistic, df - 1) + 0.5 * _tail(statistic, df)
    return LikelihoodRatio(statistic, df, _tail(statistic, df), mixed, small.spec.method, logliks)


def _given(fitted: FittedMultilevel) -> list[tuple[str, float | None]]:
    """Return kind and given value (None: estimated) of every component."""
    values = [value for term in fitted.terms for value in (term.fixed or (None,) * len(chart_of(term).kinds))]
    return list(zip([part.kind for part in components_of(fitted)], values, strict=True))


def _free_variances(fitted: FittedMultilevel) -> int:
    """Count the variances that are estimated."""
    return sum(kind == "variance" and value is None for kind, value in _given(fitted))


def _above_zero(fitted: FittedMultilevel) -> bool:
    """Tell whether a variance is given that is not at the end of its range."""
    return any(kind == "variance" and (value or 0.0) > 0 for kind, value in _given(fitted))


def _tail(statistic: float, df: int) -> float:
    """Return P(chi2(df) >= statistic); chi2(0) is 0."""
    return float(chdtrc(df, statistic)) if df > 0 else float(statistic <= 0)


def _parameters(fitted: FittedMultilevel) -> int:
    """Count coefficients and components that are estimated: correlations of levels that never meet are none."""
    given = sum(value is not None for term in fitted.terms for value in term.fixed)
    return fitted.design.X.shape[1] + fitted.fit.theta.size - given - sum(map(_never_met, fitted.terms))


def _never_met(term: Term) -> int:
    """Count the pairs of inner levels with a free correlation that no level of the outer factor holds together."""
    if term.structure != "UN" or term.inner is None:
        return 0
    seen = np.zeros((int(term.outer.max()) + 1, term.levels), dtype=bool)
    seen[term.outer, term.inner] = True
    a, b = np.triu_indices(term.levels, 1)
    given = term.fixed[term.levels :] or (None,) * a.size
    free = np.array([value is None for value in given])
    return int((free & ~(seen[:, a] & seen[:, b]).any(axis=0)).sum())


def _check(small: FittedMultilevel, large: FittedMultilevel) -> None:
    """Refuse two models whose likelihoods cannot be compared, for all reasons at once."""
    problems: list[str] = []
    rows = [fitted.effects.rows for fitted in (small, large)]
    if rows[0] != rows[1] or not np.array_equal(small.design.used, large.design.used):
        raise OptionError(
            "compare: the two models are not fits of the same rows; leave out rows without moderators first"
        )
    if not np.allclose(small.y, large.y, rtol=SAME, atol=0) or not _same_matrix(small.V, large.V):
        problems.append("their effects or sampling covariances differ")
    if small.spec.method != large.spec.method:
        problems.append(f"one is fitted by {small.spec.method} and the other by {large.spec.method}")
    inside = _spans(large.design.X, small.design.X)
    if small.spec.method == "REML" and not (inside and _spans(small.design.X, large.design.X)):
        problems.append(
            "their fixed effects differ, and restricted likelihoods of different fixed effects cannot be compared: use "
            "method='ML' for both"
        )
    elif not inside:
        problems.append("the fixed effects of the smaller one are not among those of the larger")
    if _parameters(small) == _parameters(large):
        problems.append("both have the same number of parameters, so neither is a case of the other; compare .aic")
    elif float(small.fit.loglik) > float(large.fit.loglik) + SLACK:
        problems.append("the one with fewer parameters fits better, so that it is no case of the other")
    problems += _no_case(small, large)
    if problems:
        raise OptionError(f"compare: {'; '.join(problems)}")


def _no_case(small: FittedMultilevel, large: FittedMultilevel) -> list[str]:
    """Name structures of the smaller model that are no case of those which the larger has in their place."""
    wide = {term.key: term for term in large.random.terms}
    problems: list[str] = []
    for term in small.random.terms:
        other = wide.get(term.key)
        if other is None or other.struct == term.struct or len(other.inner_levels) < 3:  # of two levels AR is CS
            continue
        if {term.struct, other.struct} <= set(FACTOR) and other.struct not in CASES.get(term.struct, ()):
            problems.append(f"{term.struct} of {term.key} is no case of {other.struct}; compare .aic")
    return problems


def information(fitted: FittedMultilevel) -> tuple[float, float]:
    """Return AIC = 2 q - 2 l and BIC = q log(m) - 2 l of a model.

    q: coefficients and components that are estimated; m: rows, under REML rows less coefficients. Under REML they
    compare random parts of one formula only. Same as AIC and BIC of `metafor::rma.mv`.
    """
    without_likelihood(fitted.spec, "aic")
    n, p = fitted.design.X.shape
    q, loglik = _parameters(fitted), float(fitted.fit.loglik)
    m = n - p if fitted.spec.method == "REML" else n
    return 2 * q - 2 * loglik, q * math.log(m) - 2 * loglik


def _same_matrix(one: BlockMatrix, two: BlockMatrix) -> bool:
    """Tell whether two block matrices are the same."""
    if len(one.parts) != len(two.parts):
        return False
    return all(
        np.array_equal(a, b) and c.shape == d.shape and np.allclose(c, d, rtol=SAME, atol=0)
        for a, b, c, d in zip(one.blocks.rows, two.blocks.rows, one.parts, two.parts, strict=True)
    )


def _spans(X: Floats, Z: Floats) -> bool:
    """Tell whether the columns of Z are combinations of those of X."""
    Q, _ = np.linalg.qr(X)
    left = Z - Q @ (Q.T @ Z)
    return bool((np.abs(left).max(axis=0) <= 1e-8 * np.abs(Z).max(axis=0)).all())


# ---------------------------------------------------------------- explained variance


def r2_levels(fitted: FittedMultilevel, null: FittedMultilevel | None = None) -> pd.DataFrame:
    """Return per random term the share of its variance that the moderators explain, 100 (1 - s / s_0), and in total.

    s: mean over rows of the variance of the term; s_0: in the model without moderators (or `null`), on the same rows.
    Negative where the moderators leave more, and nan where s_0 is 0. Source: Raudenbush & Bryk 2002, chapter 4.
    """
    base = null or null_model(fitted)
    after = {term.key: float(row_variances(term, fitted.fit.theta[part]).mean()) for term, part in slices_of(fitted)}
    before = {term.key: float(row_variances(term, base.fit.theta[part]).mean()) for term, part in slices_of(base)}
    keys = [key for key in after if key in before]
    rows = [(key, before[key], after[key]) for key in keys]
    rows.append(("total", sum(before.values()), sum(after.values())))
    return pd.DataFrame(
        [(key, s0, s, 100 * (1 - s / s0) if s0 > 0 else math.nan) for key, s0, s in rows],
        columns=["term", "variance_without", "variance", "r2"],
    )


def null_model(fitted: FittedMultilevel) -> FittedMultilevel:
    """Return the model of the same rows without moderators."""
    used = fitted.design.used
    effects = replace(fitted.effects, estimable=fitted.effects.estimable & used)
    spec = fitted.spec.model_copy(update={"formula": "~ 1", "robust": "none", "df": "residual"})
    return fit_multilevel(effects, spec, V=fitted.given, known=fitted.known)


# ---------------------------------------------------------------- clusters left out, one at a time


@dataclass(frozen=True, slots=True, repr=False)
class ClusterLeaveOneOut:
    """The model without each cluster in turn.

    clusters: names; estimate, se: (C, p) coefficients and their model standard errors, nan where the rest cannot be
    fitted; theta: (C, q) components; term: names of the coefficients; components: names of the components.
    """

    clusters: tuple[str, ...]
    terms: tuple[str, ...]
    components: tuple[str, ...]
    estimate: Floats
    se: Floats
    theta: Floats
    whole: tuple[Estimate, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one tidy row per cluster and coefficient, and a column for each component."""
        parts: list[pd.DataFrame] = []
        for j, term in enumerate(self.terms):
            shift = self.estimate[:, j] - self.whole[j].point
            columns = {"left_out": self.clusters, "term": term, "estimate": self.estimate[:, j], "se": self.se[:, j]}
            told = {name: self.theta[:, i] for i, name in enumerate(self.components)}
            parts.append(pd.DataFrame({**columns, "shift": shift, **told}))
        return pd.concat(parts, ignore_index=True)

    def __repr__(self) -> str:
        """Name the clusters that matter most for each coefficient."""
        lines: list[str] = []
        none = [name for name, row in zip(self.clusters, self.estimate, strict=True) if np.isnan(row).all()]
        if none:
            shown = ", ".join(none[:SHOWN]) + (f" and {len(none) - SHOWN} more" if len(none) > SHOWN else "")
            lines.append(f"Without {shown} the model cannot be fitted: it decides a coefficient or a component alone")
        for j, term in enumerate(self.terms):
            shift = np.abs(self.estimate[:, j] - self.whole[j].point)
            if not np.isfinite(shift).any():
                continue
            i = int(np.nanargmax(shift))
            lines.append(
                f"{term}: from {fixed(float(np.nanmin(self.estimate[:, j])), 3)} to "
                f"{fixed(float(np.nanmax(self.estimate[:, j])), 3)} (all: {fixed(self.whole[j].point, 3)}); most "
                f"without {self.clusters[i]}"
            )
        return "\n".join([f"Without each of {len(self.clusters)} clusters in turn", *lines])


def leave_clusters_out(fitted: FittedMultilevel) -> ClusterLeaveOneOut:
    """Fit the model without each cluster in turn, all in one batch.

    Clusters are those of the request; where the model correlates rows of different ones (crossed effects), its own
    independent parts.
    """
    without_likelihood(fitted.spec, "leave_one_out")
    parts = connected(fitted)
    count = int(parts.max()) + 1
    owner = np.full(count, -1, dtype=np.intp)
    owner[parts] = fitted.clusters
    names = fitted.cluster_names
    if not np.array_equal(owner[parts], fitted.clusters):
        owner = np.arange(count)
        first = np.unique(parts, return_index=True)[1]
        used = np.flatnonzero(fitted.design.used)
        names = tuple(f"rows linked with {fitted.effects.labels[i]}" for i in used[first].tolist())
    if len(names) < 2:
        linked = "all rows belong together" if fitted.cluster_names[1:] else f"there is one {fitted.spec.cluster}"
        raise OptionError(
            f"leave_one_out needs at least two clusters, but {linked} (by {', '.join(fitted.spec.random)}, or V)"
        )
    step = max(1, CHUNK // count)
    found = [
        fit_mixed(
            fitted.y, fitted.design.X, fitted.V, fitted.terms, fitted.spec.method,
            counts=(owner[None, :] != np.arange(start, min(start + step, len(names)))[:, None]).astype(float),
        )
        for start in range(0, len(names), step)
    ]  # fmt: skip
    ok = np.concatenate([fit.status for fit in found]) == Status.CONVERGED
    beta = np.concatenate([fit.beta for fit in found])
    spread = np.sqrt(np.concatenate([np.diagonal(fit.cov, axis1=1, axis2=2) for fit in found]))
    theta = np.concatenate([fit.theta for fit in found])
    return ClusterLeaveOneOut(
        names,
        fitted.design.design.columns,
        tuple(part.name for part in components_of(fitted)),
        np.where(ok[:, None], beta, np.nan),
        np.where(ok[:, None], spread, np.nan),
        np.where(ok[:, None], theta, np.nan),
        linear_estimates(fitted, np.eye(beta.shape[1]), fitted.df),
    )


# ---------------------------------------------------------------- other sampling correlations


@dataclass(frozen=True, slots=True, repr=False)
class Sweep:
    """The model under several assumed sampling correlations: one set of coefficients and components for each rho."""

    rho: tuple[float, ...]
    fits: tuple[FittedMultilevel, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one tidy row per rho and coefficient, with a column for each component and the log-likelihood."""
        rows: list[dict[str, object]] = []
        for rho, fitted in zip(self.rho, self.fits, strict=True):
            parts = {part.name: part.estimate for part in components_of(fitted)}
            p = fitted.design.X.shape[1]
            names = fitted.design.design.columns
            for name, part in zip(names, linear_estimates(fitted, np.eye(p), fitted.df), strict=True):
                numbers = {"estimate": part.point, "se": part.se, "df": part.df, "p_value": part.p_value}
                ends = {"ci_low": part.lower, "ci_high": part.upper}
                rows.append({"rho": rho, "term": name, **numbers, **ends, **parts, "loglik": float(fitted.fit.loglik)})
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        """Say how far the coefficients move."""
        frame = self.to_frame()
        low, high = (rho_text(end) for end in (min(self.rho), max(self.rho)))
        several = f"{len(self.rho)} sampling correlations from {low} to {high}"
        lines = [f"Under {several if len(self.rho) > 1 else f'a sampling correlation of {low}'}"]
        for name, part in frame.groupby("term", sort=False):
            low, high = float(part["estimate"].min()), float(part["estimate"].max())
            lines.append(
                f"{name}: {fixed(low, 3)} to {fixed(high, 3)}, SE {fixed(float(part['se'].min()), 3)} to "
                f"{fixed(float(part['se'].max()), 3)}"
            )
        return "\n".join(lines)


def sweep(fitted: FittedMultilevel, rho: Sequence[float] = (), grid: Sequence[tuple[float, BlockMatrix]] = ()) -> Sweep:
    """Fit the model again under other sampling correlations.

    rho: of constant correlation within a study (within subgroups, where the working model says so); grid: ready
    covariances over all rows with the rho of each, from `sampling_covariance(..., grid=...)`. All climb together.
    """
    as_list = "as in .sweep(rho=[0, 0.3, 0.6, 0.9])"
    try:
        rho = tuple(map(float, (rho,) if isinstance(rho, str) else rho))
    except (TypeError, ValueError):
        raise OptionError(f"sweep: rho={rho!r} is no list of numbers; give the correlations, {as_list}") from None
    if not rho and not grid:
        raise OptionError(f"sweep: give the correlations, {as_list}")
    if rho and fitted.given is not None and not grid:
        raise OptionError(
            "sweep: V was given, so rho cannot replace it; give sampling_covariance(es, grid=[...]) as V, or rho "
            "instead of V"
        )
    highest = 1 if weighing(fitted.spec) else math.nextafter(1, 0)
    out_of_range = [value for value in rho if not -1 < value <= highest]
    if out_of_range:
        ends = "from 0 to 1" if weighing(fitted.spec) else "above -1 and below 1"
        raise OptionError(f"sweep: rho={out_of_range[0]:g} is out of range: a correlation {ends} is needed")
    if weighing(fitted.spec):
        return _sweep_moments(fitted, rho)
    if rho and not grid:
        specs = [fitted.spec.model_copy(update={"rho": float(value)}) for value in rho]
        return Sweep(tuple(float(value) for value in rho), _under(fitted, specs, [None] * len(specs)))
    made = [r for r, _ in grid]
    absent = [value for value in rho if not any(abs(r - value) < SAME for r in made)]
    if absent:
        raise OptionError(
            f"sweep: V has no matrix for rho={absent[0]:g}; its grid is {', '.join(f'{r:g}' for r in made)}: give "
            "sampling_covariance(es, grid=[...]) the values that you want"
        )
    chosen = [(r, V) for r, V in grid if not rho or any(abs(r - value) < SAME for value in rho)]
    plain = fitted.spec.model_copy(update={"rho": None})
    fits = _under(fitted, [plain] * len(chosen), [V for _, V in chosen])
    return Sweep(tuple(float(r) for r, _ in chosen), fits)


def _under(
    fitted: FittedMultilevel, specs: Sequence[MultilevelSpec], given: Sequence[BlockMatrix | None]
) -> tuple[FittedMultilevel, ...]:
    """Fit the model under other requests of a sampling covariance, or given ones over all rows, in one climb."""
    effects, columns = fitted.effects, with_study(fitted.effects, fitted.spec)
    Vs = [sampling_part(effects, spec, fitted.design, columns, V) for spec, V in zip(specs, given, strict=True)]
    found = fit_mixed_many(fitted.y, fitted.design.X, Vs, fitted.terms, fitted.spec.method)
    fits: list[FittedMultilevel] = []
    for spec, own, V, fit in zip(specs, given, Vs, found, strict=True):
        status = Status(int(fit.status))
        if not status.ok:
            raise EstimationError(f"{effects.source}: {status.sentence}")
        again = replace(fitted, spec=spec, given=own, V=V, fit=fit, loose=())
        fits.append(with_variance(replace(again, loose=loose_ends(again))))
    return tuple(fits)


def _sweep_moments(fitted: FittedMultilevel, rho: Sequence[float]) -> Sweep:
    """Find weights and components under all correlations in one call."""
    spec, X, used = fitted.spec, fitted.design.X, fitted.design.used
    if weighing(spec) != "CORR":
        raise OptionError("sweep: the weights of HIER know no sampling correlation; use random='CORR' or 'CHE'")
    if min(rho) < 0:
        raise OptionError(f"sweep: rho={min(rho)!r}: CORR takes correlations from 0 to 1")
    study = fitted.random.terms[0].grouping.codes
    grid = moment_weights(spec, fitted.y, fitted.effects.vi[used], X, study, np.asarray(rho, dtype=float))
    fits: list[FittedMultilevel] = []
    for i, value in enumerate(rho):
        own, found = spec.model_copy(update={"rho": float(value)}), at_place(grid, i)
        numbers = as_mixed(own, found, X, fitted.effects.source)
        fits.append(with_variance(replace(fitted, spec=own, fit=numbers, moments=found)))
    return Sweep(tuple(float(value) for value in rho), tuple(fits))
