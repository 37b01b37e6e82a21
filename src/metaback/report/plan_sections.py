"""The plan as a part of a report: question, what was planned, deviations from it, and its sensitivity analyses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metaback.models.plans import Plan
from metaback.numbers import ABSENT, humanise, p_text, significant, written
from metaback.postestimation.planned import Planned
from metaback.postestimation.sensitivity import SensitivityResult
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import comparison, effect_digits, estimate_cell, percent_cell, plural
from metaback.report.document import Block, Heading, Notes, Paragraph, Table
from metaback.report.words import anchor
from metaback.stats.measures.family import has_null

PARTS = (
    ("population", "Population"),
    ("intervention", "Intervention"),
    ("comparator", "Comparator"),
    ("outcome", "Outcome"),
    ("registration", "Registration"),
)


def plan_blocks(plan: Plan | None, sha256: str = "", overridden: Sequence[str] = ()) -> tuple[Block, ...]:
    """Return the question and how the analysis stands to its plan; nothing where there is no plan with a question.

    overridden: choices of the command that differ from the plan, in words: deviations too.
    """
    if plan is None:
        return ()
    asked = [(label, text) for name, label in PARTS if (text := getattr(plan.question, name))]
    blocks: list[Block] = []
    if asked:
        rows = tuple((label, text) for label, text in asked)
        blocks += [
            Heading(2, "Question", "question"),
            Table("The question in the words of the plan.", ("Part", "Plan"), rows, (False, False)),
        ]
    points = [f"{part.date}: {part.what}. Why: {part.why}." for part in plan.deviation]
    points += [f"At this run: {words}." for words in overridden]
    blocks.append(Paragraph(status_line(plan, sha256, overridden), "plain"))
    if points:
        blocks.append(Notes("Deviations from the plan", tuple(points)))
    return tuple(blocks)


def status_line(plan: Plan, sha256: str, overridden: Sequence[str] = ()) -> str:
    """Say in one sentence whether the analysis follows its plan."""
    count = len(plan.deviation) + len(overridden)
    posthoc = sum(not part.prespecified for part in (*plan.subgroup, *plan.sensitivity))
    mark = f" (SHA-256 {sha256})" if sha256 else ""
    status = f"with {plural(count, 'deviation')}, listed here" if count else "without deviations"
    added = "analysis was added afterwards and is" if posthoc == 1 else "analyses were added afterwards and are"
    late = f"; {posthoc} {added} marked post hoc" if posthoc else ""
    return f"This analysis follows its plan{mark} {status}{late}."


def beside_blocks(analysis: Analysis, planned: Planned | None, found: Sequence[SensitivityResult]) -> tuple[Block, ...]:
    """Return what a plan adds to one comparison: whether its subgroups were planned, and its sensitivity analyses.

    found: what `planned_sensitivity` returns, the main analysis first.
    """
    plan = None if planned is None else planned.plan
    if plan is None:
        return ()
    groups = analysis.subgroups
    tag = subgroup_tag(plan, None if groups is None else groups.name)
    blocks: list[Block] = []
    if tag and groups is not None:
        blocks.append(Paragraph(f"Subgroups by {humanise(groups.name)}: {tag}."))
    if len(found) > 1:
        name = anchor(f"{comparison(analysis).title}-sensitivity")
        blocks += [
            Heading(3, "Sensitivity analyses", name),
            sensitivity_table(found[1:], found[0], analysis.fitted.effects.measure),
        ]
    return tuple(blocks)


def sensitivity_record(analysis: Analysis, found: Sequence[SensitivityResult]) -> dict[str, Any]:
    """Return the sensitivity analyses of one comparison as plain JSON values, numbers on the analysis scale.

    found: what `planned_sensitivity` returns; the main analysis, its first, has a place of its own in the record.
    """
    return {"comparison": comparison(analysis).title, "analyses": [_record(part) for part in found[1:]]}


def _record(part: SensitivityResult) -> dict[str, Any]:
    mean = part.mean
    numbers = (None,) * 5 if mean is None else (mean.point, mean.se, mean.lower, mean.upper, mean.p_value)
    names = ("estimate", "se", "ci_low", "ci_high", "p_value")
    values = {name: None if value is None else written(value) for name, value in zip(names, numbers, strict=True)}
    about = {"name": part.name, "what": part.what, "prespecified": part.prespecified, "why": part.why, "k": part.k}
    return {**about, **values, "tau2": written(part.tau2), "i2": written(part.i2), "turns": part.turns}


def subgroup_tag(plan: Plan | None, column: str | None) -> str:
    """Say whether subgroups by a column were planned: "prespecified", "post hoc", or "" without a plan."""
    if plan is None or column is None or not plan.subgroup:
        return ""
    planned = {part.column: part.prespecified for part in plan.subgroup}
    return "prespecified" if planned.get(column, False) else "post hoc"


def sensitivity_table(found: Sequence[SensitivityResult], main: SensitivityResult, measure: str) -> Table:
    """Return one row per sensitivity analysis below the main one, told of no effect where the measure has it."""
    level = "95%" if main.mean is None else f"{100 * main.mean.level:g}%"
    turned = sum(part.turns for part in found)
    said = (
        f"{plural(turned, 'of them says', 'of them say')} something else"
        if turned
        else "none of them says anything else"
    )
    return Table(
        caption=f"Sensitivity analyses of the plan{f'; {said} about no effect' if has_null(measure) else ''}.",
        head=("Analysis", "What differs", "Planned", "Effects", f"Estimate [{level} CI]", "P", "τ²", "I²"),
        rows=tuple(_row(part) for part in (main, *found)),
        numeric=(False, False, False, True, True, True, True, True),
        strong=(0,),
    )


def _row(part: SensitivityResult) -> tuple[str, ...]:
    """Write one sensitivity analysis."""
    mean = part.mean
    estimate = "not estimable" if mean is None else estimate_cell(mean, effect_digits(mean))
    return (
        f"{part.name}{' (turns the conclusion)' if part.turns else ''}",
        humanise(part.what),
        "beforehand" if part.prespecified else "post hoc",
        str(part.k),
        estimate,
        ABSENT if mean is None else p_text(mean.p_value),
        significant(part.tau2),
        percent_cell(part.i2),
    )
