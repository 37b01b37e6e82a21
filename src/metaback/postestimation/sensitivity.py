"""Sensitivity analyses that a plan names: the same effects pooled in other ways, each beside the main result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.models.plans import Plan, Sensitivity
from metaback.models.specs import PoolSpec, chosen, resolve_spec
from metaback.postestimation.exclusions import exclusions
from metaback.postestimation.flips import turned
from metaback.postestimation.scales import way_back
from metaback.postestimation.specification_fits import SpecificationNumbers, specification_numbers
from metaback.postestimation.summary import Analysis, Working
from metaback.postestimation.working import in_its_words, own_words, working_sets
from metaback.stats.measures import about
from metaback.status import Status


@dataclass(frozen=True, slots=True)
class SensitivityResult:
    """One sensitivity analysis: its name, what differs, whether it was named beforehand, and its pool.

    mean: None where nothing can be pooled; prediction: limits, nan where there are none; tau2, i2: nan likewise.
    turns: whether its interval says something else about no effect than that of the main analysis; never where the
    measure has no such value.
    """

    name: str
    what: str
    prespecified: bool
    why: str
    k: int
    mean: Estimate | None
    tau2: float
    i2: float
    turns: bool


def sensitivity_analyses(analysis: Analysis, planned: Sequence[Sensitivity]) -> tuple[SensitivityResult, ...]:
    """Pool the effects of an analysis as each sensitivity analysis of a plan says.

    Analyses that share the estimator of tau2 are one masked batch call. What a sensitivity analysis does not say stays
    as in the main one. Raises `OptionError` with everything that cannot be done at once.
    """
    faults: list[str] = []
    specs = [_spec(analysis.fitted.spec, one, faults) for one in planned]
    masks = [_mask(analysis, one, faults) for one in planned]
    if faults:
        raise OptionError("; ".join(faults))
    found: dict[int, SpecificationNumbers] = {}
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, spec in enumerate(specs):
        groups.setdefault((spec.model, spec.tau2, spec.weights), []).append(i)
    for members in groups.values():
        rows = np.array([masks[i] for i in members])
        for place, numbers in enumerate(
            specification_numbers(analysis.fitted.effects, rows, [specs[i] for i in members])
        ):
            found[members[place]] = numbers if len(members) == 1 else _taken(numbers, place)
    made = [_result(analysis, one, specs[i], found[i]) for i, one in enumerate(planned)]
    return tuple(_modelled(analysis, analysis.working, made, specs, masks) if analysis.dependent else made)


def _modelled(
    analysis: Analysis,
    working: Working | None,
    made: Sequence[SensitivityResult],
    specs: Sequence[PoolSpec],
    masks: Sequence[NDArray[np.bool_]],
) -> list[SensitivityResult]:
    """Put pools of the working model in the place of those that take dependent rows as independent, or say so.

    Analyses that share estimator and rules are one batch call.
    """
    effects, main = analysis.fitted.effects, analysis.overall.mean
    out = [replace(one, what=f"{one.what}; rows as independent") for one in made]
    groups: dict[PoolSpec, list[int]] = {}
    for i, spec in enumerate(specs):
        if made[i].mean is None:
            out[i] = made[i]
        elif not own_words(spec):
            groups.setdefault(in_its_words(spec), []).append(i)
    for spec, members in groups.items():
        if working is None:
            continue
        pools = working_sets(effects, spec, np.array([masks[i] for i in members]), working.V)
        for i, pool in zip(members, pools, strict=True):
            spread = pool.heterogeneity.tau2, pool.heterogeneity.i2_tau2
            tau2, i2 = (math.nan if value is None else value for value in spread)
            turns = turned(main, pool.mean, effects.measure)
            out[i] = replace(made[i], mean=pool.mean, tau2=tau2, i2=i2, turns=turns)
    return out


def planned_sensitivity(analysis: Analysis, plan: Plan | None) -> tuple[SensitivityResult, ...]:
    """Return the main analysis and behind it the sensitivity analyses of a plan; nothing where a plan names none."""
    if plan is None or not plan.sensitivity:
        return ()
    return sensitivity_analyses(analysis, (Sensitivity(name="Main analysis"), *plan.sensitivity))


def _taken(numbers: SpecificationNumbers, place: int) -> SpecificationNumbers:
    """Return the numbers of one row set."""
    return SpecificationNumbers(*(getattr(numbers, name)[place : place + 1] for name in numbers.__dataclass_fields__))


def _spec(main: PoolSpec, one: Sensitivity, faults: list[str]) -> PoolSpec:
    """Return the request of one sensitivity analysis."""
    said = {name: getattr(one, name) for name in ("model", "tau2", "ci", "pi") if getattr(one, name) is not None}
    kept = chosen(main)
    if said.get("model") in ("equal", "fixed"):
        kept = {name: value for name, value in kept.items() if name not in ("tau2", "pi", "ci", "i2")}
    try:
        return resolve_spec(**{**kept, **said})
    except OptionError as error:
        faults.append(f"sensitivity {one.name!r}: {error}")
        return main


def _mask(analysis: Analysis, one: Sensitivity, faults: list[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return the rows that one sensitivity analysis keeps."""
    everything = np.ones(len(analysis.fitted.effects.labels), dtype=bool)
    if one.exclude is None:
        return everything
    try:
        parts = exclusions(analysis.fitted.effects, one.exclude, analysis.fitted.spec)
    except OptionError as error:
        faults.append(f"sensitivity {one.name!r}: {error}")
        return everything
    if len(parts) > 2:
        faults.append(f"sensitivity {one.name!r}: exclude={one.exclude!r} is many analyses; see multiverse")
    return everything & ~parts[len(parts) - 1].rows


def _result(analysis: Analysis, one: Sensitivity, spec: PoolSpec, numbers: SpecificationNumbers) -> SensitivityResult:
    """Read one pool of the batch."""
    said = [f"{name} {getattr(one, name)}" for name in ("model", "tau2", "ci", "pi") if getattr(one, name) is not None]
    said += (
        [f"without {one.exclude}" if one.exclude == "outliers" else f"without rows where {one.exclude}"]
        if one.exclude
        else []
    )
    effects, size = analysis.fitted.effects, float(numbers.size[0])
    mean = None
    if numbers.status[0] == Status.CONVERGED:
        mean = Estimate(
            *(float(values[0]) for values in (numbers.estimate, numbers.ci_low, numbers.ci_high, numbers.se)),
            level=spec.level,
            scale=about(effects.measure).scale,
            p_value=float(numbers.p_value[0]),
            back=way_back(effects),
            size=None if np.isnan(size) else size,
        )
    return SensitivityResult(
        one.name,
        "; ".join(said) or "as the main analysis",
        one.prespecified,
        one.why or "",
        int(numbers.k[0]),
        mean,
        float(numbers.tau2[0]),
        float(numbers.i2[0]),
        turned(analysis.overall.mean, mean, effects.measure),
    )
