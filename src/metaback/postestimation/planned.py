"""From a plan and what is said at a run to the frozen requests that every command makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from metaback.checks.decisions import Decision, read_decisions
from metaback.effects.choices import effect_choices
from metaback.models.plans import Effect, Plan
from metaback.models.specs import PoolSpec, SpecWords, resolve_spec
from metaback.numbers import humanise
from metaback.postestimation.table import Request

OF_MODEL = ("preset", "model", "tau2", "weights", "ci", "pi", "level", *SpecWords.__annotations__)
OF_EFFECT = ("options", "r", "r_grid", "mixed_scores", "instruments", "higher_is_better")
OF_ANALYSIS = ("outcome", "compare", "by")


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done: the requests, the decisions, the plan they come from, and where the run left the plan.

    plan: None where there is none. overridden: one sentence per choice that the run made in another way than the plan.
    """

    spec: PoolSpec
    request: Request
    decisions: tuple[Decision, ...] = ()
    plan: Plan | None = None
    overridden: tuple[str, ...] = ()


def planned_requests(plan: Plan | None, said: Mapping[str, Any]) -> Planned:
    """Return what a plan and a run ask for together: what is said at the run counts, and is told where it differs.

    said: choices by the names of `pool_table` (outcome, compare, by, measure, preset, model, tau2 ...); None, and
    nothing, stand for "as the plan has it". Raises `OptionError` for choices that cannot be had together.

    >>> from metaback.models.plans import make_plan
    >>> found = planned_requests(make_plan({"model": {"tau2": "PM"}}), {"tau2": "DL"})
    >>> found.spec.tau2, found.overridden
    ('DL', ('tau2 is DL; the plan has PM',))
    """
    written = plan or Plan()
    of_plan: dict[str, Any] = {name: getattr(written.model, name) for name in OF_MODEL}
    of_plan |= {name: getattr(written.analysis, name) for name in OF_ANALYSIS}
    of_plan |= {"measure": written.effect.measure, **_effect_words(written.effect)}
    if of_plan["by"] is None and written.subgroup and written.subgroup[0].column != "stratum":
        of_plan["by"] = written.subgroup[0].column  # what a plan names is not left undone; strata are subgroups anyway
    told = {name: value for name, value in said.items() if value is not None and value not in ((), {})}
    choices = {**of_plan, **told}
    fixed = written.model_fields_set if plan is not None else set[str]()
    resolved = {name: getattr(_spec(of_plan), name) for name in OF_MODEL} if fixed else {}
    known = {**of_plan, **resolved}
    overridden = [_differs(name, value, known.get(name)) for name, value in told.items() if fixed]
    effects = effect_choices(**{name: choices[name] for name in OF_EFFECT})
    measure = choices["measure"]
    request = Request(
        choices["outcome"], choices["compare"], choices["by"], measure.upper() if measure else None, effects
    )
    decisions = read_decisions([part.model_dump() for part in written.checks.decision])
    return Planned(_spec(choices), request, decisions, plan, tuple(words for words in overridden if words))


def _spec(choices: Mapping[str, Any]) -> PoolSpec:
    """Return the request that some choices resolve to."""
    return resolve_spec(choices["preset"], **{name: choices[name] for name in OF_MODEL[1:]})


def _effect_words(effect: Effect) -> dict[str, Any]:
    """Return what a plan says about effects, as the keywords of `effect_sizes`."""
    facts = {name: part.model_dump(exclude_none=True) for name, part in effect.instruments.items()}
    return {
        "options": effect.options or None,
        "r": effect.r,
        "r_grid": effect.r_grid or None,
        "mixed_scores": effect.mixed_scores,
        "instruments": facts or None,
        "higher_is_better": effect.higher_is_better,
    }


def _differs(name: str, value: Any, planned: Any) -> str:
    """Say how a choice of the run differs from the plan; "" where it says the same, or only adds to a silent plan."""
    plain, known = _plain(value), _plain(planned)
    if known is None or plain == known:
        return ""
    return f"{humanise(name)} is {_text(plain)}; the plan has {_text(known)}"


def _plain(value: Any) -> Any:
    """Return a list as a tuple, so that the same words compare equal."""
    return tuple(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else value


def _text(value: Any) -> str:
    """Write a choice in a sentence."""
    return ", ".join(map(str, cast("Sequence[Any]", value))) if isinstance(value, tuple) else str(value)
