"""How far a model of dependent effects hangs on how it was made: the same effects under other choices, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.effects.dependence import SamplingCovariance
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import MetabackError, OptionError
from metaback.models.fitted import Estimate
from metaback.models.moments import weighing
from metaback.models.multilevel import FittedMultilevel, fit_multilevel, with_variance
from metaback.models.multilevel_spec import MultilevelSpec, resolve_multilevel, said_in
from metaback.models.plans import Sensitivity, level_words
from metaback.models.specs import PoolSpec
from metaback.numbers import humanise
from metaback.postestimation.exclusions import exclusions
from metaback.postestimation.flips import turned
from metaback.postestimation.multilevel import MultilevelAnalysis, linear_estimates
from metaback.postestimation.multilevel_refits import ClusterLeaveOneOut, leave_clusters_out, sweep
from metaback.postestimation.planned_levels import GRID, covariance_of, text_of
from metaback.stats.blocks import BlockMatrix

FEWEST = 3  # clusters from which leaving one out says more than the rows do
MOST = 500_000  # clusters times effects up to which a report leaves every cluster out


@dataclass(frozen=True, slots=True)
class LevelVariant:
    """The model under another choice.

    name, what: what it is called, and what differs; planned: whether a plan named it beforehand (True) or afterwards
    (False), None for the standard ones; why: the plan's reason. k: effects in use. coefficients: by name, None where
    there is no such model, and then reason says why. turns: names of coefficients whose interval says something else
    about no effect.
    """

    name: str
    what: str
    k: int
    coefficients: Mapping[str, Estimate] | None
    planned: bool | None = None
    why: str | None = None
    turns: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LevelRobustness:
    """What stands beside a model: the analyses of its plan, standard ones, and the model without each cluster.

    left_out: None where there are too few clusters for it to say anything, too many for a report, or no likelihood.
    """

    planned: tuple[LevelVariant, ...]
    standard: tuple[LevelVariant, ...]
    left_out: ClusterLeaveOneOut | None


def level_robustness(
    analysis: MultilevelAnalysis,
    planned: Sequence[Sensitivity] = (),
    covariance: SamplingCovariance | None = None,
) -> LevelRobustness:
    """Make the model of an analysis under other choices: those of a plan, standard ones, and without each cluster.

    covariance: what the sampling covariances came from, whose grid is used. The standard ones are: rows as independent,
    other sampling correlations, other pre-post correlations where effects carry them, the other likelihood, and the
    other kind of variance. Raises `OptionError` with everything of the plan that cannot be done at once.
    """
    fitted = analysis.fitted
    standard = [_variant(analysis, "Rows as independent", "no dependence, no robust variance", dict(analysis.naive))]
    standard += _correlations(analysis, covariance)
    standard += _assumed(analysis)
    if fitted.moments is None and fitted.random.terms:
        other = "ML" if fitted.spec.method == "REML" else "REML"
        spec = fitted.spec.model_copy(update={"method": other})
        standard.append(_fit(analysis, "Other likelihood", other, fitted.effects, spec, fitted.given))
        standard.append(_other_variance(analysis))
    return LevelRobustness(_of_plan(analysis, planned), tuple(standard), _without(fitted))


def _without(fitted: FittedMultilevel) -> ClusterLeaveOneOut | None:
    """Leave out each cluster, where that says something and does not take for ever."""
    count = len(fitted.cluster_names)
    if weighing(fitted.spec) or count < FEWEST or count * fitted.y.size > MOST:
        return None
    try:
        return leave_clusters_out(fitted)
    except OptionError:  # crossed effects tie all clusters together
        return None


def _named(fitted: FittedMultilevel) -> dict[str, Estimate]:
    """Return the coefficients of a model by name."""
    names = fitted.design.design.columns
    return dict(zip(names, linear_estimates(fitted, np.eye(len(names)), fitted.df), strict=True))


def _variant(
    analysis: MultilevelAnalysis, name: str, what: str, found: Mapping[str, Estimate], k: int | None = None
) -> LevelVariant:
    """Hold coefficients against those of the main analysis."""
    measure, main = analysis.fitted.effects.measure, analysis.coefficients
    turns = tuple(term for term, part in found.items() if term in main and turned(main[term], part, measure))
    return LevelVariant(name, what, analysis.k if k is None else k, found, turns=turns)


def _fit(
    analysis: MultilevelAnalysis,
    name: str,
    what: str,
    effects: EffectSizes,
    spec: MultilevelSpec,
    V: BlockMatrix | None,
) -> LevelVariant:
    """Make the model once more; what keeps it from being made is told."""
    try:
        found = fit_multilevel(effects, spec, V=V, known=analysis.fitted.known)
    except MetabackError as error:
        return LevelVariant(name, what, effects.k, None, reason=" ".join(str(error).split()))
    return _variant(analysis, name, what, _named(found), found.y.size)


def _correlations(analysis: MultilevelAnalysis, covariance: SamplingCovariance | None) -> list[LevelVariant]:
    """Make the model under other sampling correlations, where one was assumed."""
    fitted = analysis.fitted
    grid = () if covariance is None else covariance.grid
    if not grid and (fitted.spec.rho is None or weighing(fitted.spec) == "HIER"):
        return []
    name = "Sampling correlation"
    if weighing(fitted.spec):
        found = sweep(fitted, GRID)
        pairs = [(rho, fit) for rho, fit in zip(found.rho, found.fits, strict=True) if rho != fitted.spec.rho]
        return [_variant(analysis, name, f"ρ {rho:g}", _named(fit)) for rho, fit in pairs]
    if grid and covariance is not None:
        moved = ((rho, V) for rho, V in grid if rho != covariance.rho and not _same(V, covariance.matrix))
        others = sorted(moved, key=lambda pair: pair[0])
        return [_fit(analysis, name, f"ρ {rho:g}", fitted.effects, fitted.spec, V) for rho, V in others]
    specs = [fitted.spec.model_copy(update={"rho": rho}) for rho in GRID if rho != fitted.spec.rho]
    return [_fit(analysis, name, f"ρ {spec.rho:g}", fitted.effects, spec, None) for spec in specs]


def _same(one: BlockMatrix, other: BlockMatrix) -> bool:
    """Tell whether two covariances are the same number for number: no correlation was assumed then."""
    return len(one.parts) == len(other.parts) and all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(one.parts, other.parts, strict=True)
    )


def _assumed(analysis: MultilevelAnalysis) -> list[LevelVariant]:
    """Make the model under other pre-post correlations, where effects rest on one."""
    effects, fitted = analysis.fitted.effects, analysis.fitted
    if effects.grid is None or fitted.given is not None:
        return []
    parts = zip(effects.grid.r.tolist(), effects.grid.yi, effects.grid.vi, strict=True)
    return [
        _fit(analysis, "Pre-post correlation", f"r {r:g}", replace(effects, yi=yi, vi=vi), fitted.spec, None)
        for r, yi, vi in parts
    ]


def _other_variance(analysis: MultilevelAnalysis) -> LevelVariant:
    """Judge the same coefficients by the other kind of variance: robust, or that of the model."""
    fitted = analysis.fitted
    kind = "CR2" if fitted.spec.robust == "none" else "none"
    said = {name: value for name, value in said_in(fitted.spec).items() if name != "df"}
    spec = resolve_multilevel(**{**said, "robust": kind}).model_copy(
        update={"rho": fitted.spec.rho, "known": fitted.spec.known, "cluster": fitted.spec.cluster}
    )
    words = f"{kind} by {fitted.spec.cluster}" if kind == "CR2" else "that of the model"
    try:
        found = with_variance(replace(fitted, spec=spec))
    except MetabackError as error:
        return LevelVariant("Other variance", words, analysis.k, None, reason=" ".join(str(error).split()))
    return _variant(analysis, "Other variance", words, _named(found))


# ---------------------------------------------------------------- of the plan


def _of_plan(analysis: MultilevelAnalysis, planned: Sequence[Sensitivity]) -> tuple[LevelVariant, ...]:
    """Make the model as each sensitivity analysis of a plan says."""
    faults: list[str] = []
    asked = [(one, _spec(analysis, one, faults), _kept(analysis, one, faults)) for one in planned]
    if faults:
        raise OptionError("; ".join(faults))
    return tuple(_planned(analysis, one, spec, kept) for one, spec, kept in asked)


def _planned(
    analysis: MultilevelAnalysis, one: Sensitivity, spec: MultilevelSpec, kept: NDArray[np.bool_]
) -> LevelVariant:
    """Make one analysis of the plan."""
    fitted = analysis.fitted
    effects = fitted.effects
    if not kept.all():
        why = tuple("" if stays else f"left out: {one.exclude}" for stays in kept.tolist())
        told = tuple(known or own for known, own in zip(effects.reasons, why, strict=True))
        effects = replace(effects, estimable=effects.estimable & kept, reasons=told)
    V = fitted.given
    if one.covariance is not None:
        found = covariance_of(effects, one.covariance, one.rho)
        V = None if found is None else found.matrix
    elif one.rho is not None or one.random is not None:
        V = None
    made = _fit(analysis, one.name, _what(one), effects, spec, V)
    return replace(made, planned=one.prespecified, why=one.why)


def _spec(analysis: MultilevelAnalysis, one: Sensitivity, faults: list[str]) -> MultilevelSpec:
    """Return the request of one sensitivity analysis: the main one's, with what it says."""
    main = analysis.fitted.spec
    kept, own = said_in(main), level_words(one)
    if own.get("random"):
        for name in ("struct", "cluster", "fixed", "rho"):
            kept.pop(name, None)
    if own.get("robust"):
        kept.pop("df", None)
    if one.covariance is not None:
        own.pop("rho", None)
    try:
        return resolve_multilevel(**{**kept, **own}).model_copy(update={"known": main.known})
    except OptionError as error:
        faults.append(f"sensitivity {one.name!r}: {error}")
        return main


def _kept(analysis: MultilevelAnalysis, one: Sensitivity, faults: list[str]) -> NDArray[np.bool_]:
    """Return the rows that one sensitivity analysis keeps."""
    effects = analysis.fitted.effects
    everything = np.ones(len(effects.labels), dtype=bool)
    if one.exclude is None:
        return everything
    if one.exclude == "outliers":
        faults.append(f"sensitivity {one.name!r}: exclude='outliers' is a rule of pools; name rows, e.g. rob == 'high'")
        return everything
    try:
        parts = exclusions(effects, one.exclude, PoolSpec())
    except OptionError as error:
        faults.append(f"sensitivity {one.name!r}: {error}")
        return everything
    if len(parts) > 2:
        faults.append(f"sensitivity {one.name!r}: exclude={one.exclude!r} is many analyses; name rows")
        return everything
    return everything & ~parts[len(parts) - 1].rows


def _what(one: Sensitivity) -> str:
    """Say what differs in one sensitivity analysis."""
    own: dict[str, Any] = level_words(one)
    said = [f"{'ρ' if name == 'rho' else humanise(name)} {text_of(value)}" for name, value in own.items()]
    said += ["covariances of the table"] if one.covariance is not None else []
    said += [f"without rows where {one.exclude}"] if one.exclude else []
    return "; ".join(said) or "nothing"
