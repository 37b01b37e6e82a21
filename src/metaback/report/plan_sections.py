"""The plan as a part of a report: question, what was planned, deviations from it, and its sensitivity analyses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from metaback.models.plans import Plan
from metaback.numbers import humanise
from metaback.postestimation.further_subgroups import FurtherSubgroups
from metaback.postestimation.number_styles import STANDARD, NumberStyle
from metaback.postestimation.planned import Planned
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import plural
from metaback.report.document import Block, Heading, Notes, Paragraph, Table
from metaback.report.records import subgroups_record
from metaback.report.sections import subgroup_sentence
from metaback.report.tables import pooled_table, pools
from metaback.report.words import comparison

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


def subgroup_blocks(analysis: Analysis, planned: Planned | None) -> tuple[Block, ...]:
    """Return whether the subgroups of one comparison were planned; nothing without a plan that speaks of any."""
    groups = analysis.subgroups
    tag = subgroup_tag(None if planned is None else planned.plan, None if groups is None else groups.name)
    return (Paragraph(f"Subgroups by {humanise(groups.name)}: {tag}."),) if tag and groups is not None else ()


def further_blocks(
    analysis: Analysis, found: Sequence[FurtherSubgroups], *, anchor: str, style: NumberStyle = STANDARD
) -> tuple[Block, ...]:
    """Return a section for each further column of subgroups: its pools, its test, whether and why it was planned.

    style: how numbers are written.
    """
    blocks: list[Block] = []
    for place, part in enumerate(found, 1):
        name, own = humanise(part.found.name), replace(analysis, subgroups=part.found)
        caption = f"Pooled results by {name}."
        tag = "Prespecified" if part.planned.prespecified else "Post hoc"
        why = f"; why: {part.planned.why.removesuffix('.')}" if part.planned.why else ""
        points = [f"{label}: {note}" for label, pool in pools(own)[1:] for note in pool.notes]
        blocks += [
            Heading(3, f"Subgroups by {name}", f"{anchor}-subgroups-{place}"),
            replace(pooled_table(own, style), caption=caption, file=""),
            Paragraph(f"{subgroup_sentence(own, style)} {tag}{why}."),
            *([Notes("Read this with these subgroups", tuple(dict.fromkeys(points)))] if points else []),
        ]
    return tuple(blocks)


def further_record(analysis: Analysis, found: Sequence[FurtherSubgroups]) -> dict[str, Any]:
    """Return the further subgroups of one comparison as plain JSON values."""
    made = [
        {"prespecified": part.planned.prespecified, "why": part.planned.why} | (subgroups_record(part.found) or {})
        for part in found
    ]
    return {"comparison": comparison(analysis).title, "analyses": made}


def subgroup_tag(plan: Plan | None, column: str | None) -> str:
    """Say whether subgroups by a column were planned: "prespecified", "post hoc", or "" without a plan."""
    if plan is None or column is None or not plan.subgroup:
        return ""
    planned = {part.column: part.prespecified for part in plan.subgroup}
    return "prespecified" if planned.get(column, False) else "post hoc"
