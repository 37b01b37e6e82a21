"""From a table, a plan and what is said at a run to the request of one model of dependent effects and its effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from metaback.checks.decisions import Answered, Decision
from metaback.data.comparisons import comparisons
from metaback.data.trials import Trials
from metaback.effects.compute import effect_sizes
from metaback.effects.dependence import SamplingCovariance, sampling_covariance
from metaback.effects.effect_sizes import EffectSizes, set_aside
from metaback.errors import DataError, OptionError
from metaback.models.multilevel_spec import MultilevelSpec, resolve_multilevel
from metaback.models.plans import OF_LEVELS, OF_POOLS, Plan, level_words
from metaback.models.specs import resolve_spec
from metaback.numbers import humanise
from metaback.postestimation.audit import Audit, audit_table
from metaback.postestimation.planned import OF_EFFECT, planned_requests
from metaback.postestimation.table import Request
from metaback.stats.working_covariance import RHO

OF_TABLE = ("outcome", "compare", "measure", "preset", *OF_EFFECT)
OF_RUN = ("random", *(name for name in OF_LEVELS if name != "covariance"), "rho", "level")
GRID = (0.2, 0.4, 0.6, 0.8)  # correlations that a model is made under again where one was assumed
RANDOM = "~ 1 | study/effect"


@dataclass(frozen=True, slots=True)
class PlannedLevels:
    """What is to be done: the request and its words, what is asked of the table, the decisions, the plan, deviations.

    words: keywords of `multilevel` that make `spec`; covariance: "table" for covariances as the table tells them, else
    None; preset: whose conventions effects follow. overridden: one sentence per choice that the run made in another way
    than the plan.
    """

    spec: MultilevelSpec
    words: Mapping[str, Any]
    covariance: str | None
    request: Request
    preset: str
    decisions: tuple[Decision, ...] = ()
    plan: Plan | None = None
    overridden: tuple[str, ...] = field(default=())


def planned_levels(plan: Plan | None, said: Mapping[str, Any]) -> PlannedLevels:
    """Return what a plan and a run ask of one model of dependent effects: what is said at the run counts, and is told.

    said: choices by the names of `multilevel` and of `pool_table` (random, struct, formula, covariance, outcome ...);
    None, and nothing, stand for "as the plan has it". A run that says other random effects than the plan takes neither
    structures nor clusters from it. Raises `OptionError` for choices that cannot be had together.

    >>> from metaback.models.plans import make_plan
    >>> found = planned_levels(make_plan({"model": {"random": "CHE", "rho": 0.5}}), {"rho": 0.7})
    >>> found.spec.rho, found.overridden
    (0.7, ('rho is 0.7; the plan has 0.5',))
    """
    told = {name: value for name, value in said.items() if value is not None and value not in ((), {})}
    of_table = {name: told[name] for name in (*OF_TABLE, "level") if name in told}
    tables = planned_requests(None if plan is None else _of_table(plan), of_table)
    written = {} if plan is None or plan.model.random is None else level_words(plan.model)
    source = None if not written or plan is None else plan.model.covariance
    words = {name: told[name] for name in OF_RUN if name in told}
    kept = dict(written)
    if "random" in words and tuple(words["random"]) != tuple(written.get("random", ())):
        for name in ("struct", "cluster", "fixed"):
            kept.pop(name, None)
    covariance = told.get("covariance", None if "rho" in words and "covariance" not in told else source)
    chosen = {"random": (RANDOM,), **kept, **words}
    spec = resolve_multilevel(**_apart(chosen, covariance))
    overridden = list(tables.overridden)
    if plan is not None:
        overridden += _left(plan, written, words, spec)
        if covariance != source and written:
            overridden.append(f"sampling covariances are {_source(covariance)}; the plan has {_source(source)}")
    request = replace(tables.request, by=None, moderators=spec.formula)
    return PlannedLevels(
        spec, chosen, covariance, request, tables.spec.preset, tables.decisions, plan, tuple(dict.fromkeys(overridden))
    )


def _apart(words: Mapping[str, Any], covariance: str | None) -> dict[str, Any]:
    """Return the words of the model itself; with covariances of the table rho is a part of these."""
    return {name: value for name, value in words.items() if covariance is None or name != "rho"}


def _of_table(plan: Plan) -> Plan:
    """Return a plan without what belongs to models, for the request of the table."""
    kept = {"preset": plan.model.preset, "level": plan.model.level}
    bare = type(plan.model).model_validate({name: value for name, value in kept.items() if value is not None})
    return plan.model_copy(update={"model": bare, "subgroup": (), "sensitivity": ()})


def _left(plan: Plan, written: Mapping[str, Any], words: Mapping[str, Any], spec: MultilevelSpec) -> list[str]:
    """Say where a run leaves the model of its plan."""
    if not written:
        silent = not plan.model.model_fields_set - {"preset", "level", "rho"}
        pools = [name for name in OF_POOLS if getattr(plan.model, name) is not None]
        if silent and not plan.subgroup and not plan.sensitivity:
            return []
        what = f" ({', '.join(map(humanise, pools))})" if pools else ""
        return [f"one model of dependent effects ({', '.join(spec.random)}) was made; the plan has pools{what}"]
    was = resolve_multilevel(**_apart(written, plan.model.covariance))
    said: list[str] = []
    for name, value in words.items():
        known = written.get(name, getattr(was, name, None))
        if name != "level" and known is not None and _plain(value) != _plain(known):
            said.append(f"{humanise(name)} is {text_of(value)}; the plan has {text_of(known)}")
    return said


def _source(covariance: str | None) -> str:
    return "those of the table" if covariance == "table" else "assumed or independent"


def _plain(value: Any) -> Any:
    return tuple(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else value


def text_of(value: Any) -> str:
    """Write a choice in a sentence."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {part}" for name, part in cast("Mapping[str, Any]", value).items())
    return ", ".join(map(str, cast("Sequence[Any]", value))) if isinstance(value, list | tuple) else str(value)


# ---------------------------------------------------------------- the table


def narrowed(trials: Trials, request: Request) -> Trials:
    """Return the rows of a table that a request for one outcome and one pair of treatments leaves, in their order."""
    if request.outcome is None and request.compare is None:
        return trials
    found = comparisons(trials, outcome=request.outcome, compare=request.compare)
    return trials.at(sorted(place for part in found for place in part.places))


def audit_rows(
    trials: Trials, request: Request, preset: str, level: float, decisions: Sequence[Decision] = ()
) -> Audit:
    """Check the rows of one model of dependent effects, and apply decisions; trials: as `narrowed` returns them.

    What a finding changes is not told, because coefficients are no pool.
    """
    spec = resolve_spec(preset, level=level, independent=False)
    whole = replace(request, outcome=None, compare=None)
    return audit_table(trials, spec, whole, decisions, split=False, weigh=False, strata=False)


def effects_of_rows(trials: Trials, request: Request, preset: str, answers: Answered | None = None) -> EffectSizes:
    """Compute the effects of one model of dependent effects, without the rows that decisions leave out.

    trials: as `narrowed` returns them, or as the check left them.
    """
    found = effect_sizes(
        trials, measure=request.measure, preset=preset, compare=request.compare, **request.choices.words()
    )
    return found if answers is None else set_aside(found, answers.excluded, answers.corrected)


def covariance_of(effects: EffectSizes, source: str | None, rho: float | None) -> SamplingCovariance | None:
    """Return the sampling covariance that a word names, with others for a sweep: "table"; None for None.

    rho: correlation of effects on the same people that the table does not tell, None for the usual. Raises
    `OptionError` for another word.
    """
    if source is None:
        return None
    if source != "table":
        raise OptionError.unknown("V", source, ["table"])
    at = RHO if rho is None else rho
    try:
        return sampling_covariance(effects, rho=at, grid=GRID)
    except DataError:
        return sampling_covariance(effects, rho=at)  # some other correlation is impossible, or this one, which says why
