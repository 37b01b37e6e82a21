"""Subgroups by the columns that a plan names beside the one of a run: each column an analysis of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from metaback.effects.effect_sizes import NOT_STATED
from metaback.errors import OptionError
from metaback.models.plans import Plan, Subgroup
from metaback.postestimation.subgroups import subgroups
from metaback.postestimation.summary import Analysis, Subgroups


@dataclass(frozen=True, slots=True)
class FurtherSubgroups:
    """Subgroups by one further column, and what the plan says of it."""

    planned: Subgroup
    found: Subgroups


def further_subgroups(analysis: Analysis, plan: Plan | None) -> tuple[FurtherSubgroups, ...]:
    """Return the subgroups by every column of a plan that the analysis has not, in the order of the plan.

    They are pooled and tested as those of the run: by its request and, where rows depend on each other, by its working
    model. Edges: nothing without a plan; a column without any cell in this comparison gives no subgroups, and one with
    a single value no test; the first column is that of the run where that has none here (strata that are all the same).
    Raises `OptionError` for columns that the table does not have, all at once.
    """
    listed = () if plan is None else plan.subgroup
    fitted, effects = analysis.fitted, analysis.fitted.effects
    done = effects.by_name or (listed[0].column if listed else "")
    rest = [part for part in listed if part.column != done]
    if unknown := [part.column for part in rest if part.column not in effects.moderators]:
        raise OptionError("; ".join(str(OptionError.unknown("by", name, effects.moderators)) for name in unknown))
    model = analysis.working if analysis.dependent else None
    out: list[FurtherSubgroups] = []
    for part in rest:
        labels = tuple(_label(value) or NOT_STATED for value in effects.moderators[part.column].tolist())
        if all(label == NOT_STATED for label, ok in zip(labels, effects.estimable, strict=True) if ok):
            continue
        found = subgroups(replace(effects, by=labels, by_name=part.column), fitted.spec, working=model)
        if found is not None:
            out.append(FurtherSubgroups(part, found))
    return tuple(out)


def _label(value: Any) -> str:
    """Write a cell as the label of a subgroup: whole numbers without a decimal point, "" where blank."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return "" if value is None else str(value).strip()
