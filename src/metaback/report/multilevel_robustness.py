"""The sensitivity analyses of a model of dependent effects as a part of its report: tables, sentences and record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from metaback.models.fitted import Estimate
from metaback.numbers import ABSENT, fixed, p_text, written
from metaback.postestimation.level_robustness import FEWEST, MOST, LevelRobustness, LevelVariant
from metaback.postestimation.multilevel import MultilevelAnalysis
from metaback.postestimation.multilevel_refits import ClusterLeaveOneOut
from metaback.postestimation.words import NOT_ESTIMABLE, effect_digits, percent, plural
from metaback.report.document import Block, Heading, Paragraph, Table
from metaback.report.multilevel_text import coefficient_cells
from metaback.stats.measures.family import has_null

MANY = 12  # coefficients above which the page tells the sensitivity analyses of none


def robustness_sections(analysis: MultilevelAnalysis, found: LevelRobustness) -> tuple[Block, ...]:
    """Return heading, a table for the analyses of the plan and one for the standard ones, and what clusters do.

    Coefficients are on the scale of the table of coefficients. A model with very many coefficients has a sentence that
    names the table in the folder.
    """
    blocks: list[Block] = [Heading(3, "Sensitivity analyses", "sensitivity")]
    if len(analysis.coefficients) > MANY:
        text = f"With {len(analysis.coefficients)} coefficients they are in tables/sensitivity.csv alone."
        return (*blocks, Paragraph(text))
    main = LevelVariant("Main analysis", "", analysis.k, analysis.coefficients)
    if found.planned:
        blocks.append(_table(analysis, (main, *found.planned), "Sensitivity analyses of the plan", planned=True))
    caption = "The model under other choices: a standard set, not chosen by the plan"
    blocks.append(_table(analysis, (main, *found.standard), caption, planned=False))
    failed = [f"{part.name} ({part.what}): {part.reason}" for part in (*found.planned, *found.standard) if part.reason]
    if failed:
        blocks.append(Paragraph(f"Not estimable: {'; '.join(failed)}", "small"))
    blocks.append(Paragraph(_left_out_text(analysis, found.left_out)))
    return tuple(blocks)


def _table(analysis: MultilevelAnalysis, parts: Sequence[LevelVariant], caption: str, *, planned: bool) -> Table:
    """Return one row for each analysis and coefficient, the main analysis first."""
    several = len(analysis.coefficients) > 1
    level = percent(analysis.fitted.spec.level)
    rows: list[tuple[str, ...]] = []
    turned = 0
    for part in parts:
        for name in part.coefficients or dict.fromkeys(analysis.coefficients):
            mean = None if part.coefficients is None else part.coefficients[name]
            turns = name in part.turns
            turned += turns
            when = ABSENT if part.planned is None else "beforehand" if part.planned else "post hoc"
            cells = (f"{part.name}{' (turns the conclusion)' if turns else ''}", part.what or ABSENT)
            shown = (*((when,) if planned else ()), *((name,) if several else ()), str(part.k), *_numbers(mean))
            rows.append((*cells, *shown))
    told = ""
    if has_null(analysis.fitted.effects.measure):
        told = f"; {plural(turned, 'interval says', 'intervals say')} something else about no effect" if turned else (
            "; none of them says anything else about no effect"
        )  # fmt: skip
    head = ("Analysis", "What differs", *(("Planned",) if planned else ()), *(("Term",) if several else ()))
    numeric = (*(False,) * len(head), *(True,) * 4)
    return Table(
        caption=f"{caption}{told}",
        head=(*head, "Effects", f"Estimate [{level} CI]", "SE", "P"),
        rows=tuple(rows),
        numeric=numeric,
        file="sensitivity.csv",
        strong=tuple(range(len(analysis.coefficients))),
    )


def _numbers(mean: Estimate | None) -> tuple[str, str, str]:
    """Write estimate with interval, standard error and P value."""
    if mean is None or not math.isfinite(mean.point):
        return NOT_ESTIMABLE, ABSENT, ABSENT
    point, se, limits = coefficient_cells(mean)[:3]
    inside = limits if math.isfinite(mean.lower) else "no interval"
    return f"{point} [{inside}]", se, p_text(mean.p_value) if math.isfinite(mean.p_value) else ABSENT


def _left_out_text(analysis: MultilevelAnalysis, found: ClusterLeaveOneOut | None) -> str:
    """Say how far single clusters carry each coefficient."""
    unit = analysis.fitted.spec.cluster
    if found is None:
        count = len(analysis.fitted.cluster_names)
        why = (
            f"there are fewer than {FEWEST} of them" if count < FEWEST
            else "components are found by moments" if analysis.fitted.moments is not None
            else "there are too many for a report" if count * analysis.k > MOST
            else "the model ties all of them together"
        )  # fmt: skip
        return f"The model without each cluster ({unit}) in turn was not made: {why}."
    said: list[str] = []
    for j, term in enumerate(found.terms):
        points = found.estimate[:, j]
        if not np.isfinite(points).any():
            continue
        low, high = float(np.nanmin(points)), float(np.nanmax(points))
        most = found.clusters[int(np.nanargmax(np.abs(points - found.whole[j].point)))]
        name = "the mean effect" if len(found.terms) == 1 else f"the coefficient of {term}"
        digits = effect_digits(found.whole[j])
        said.append(f"{name} lies from {fixed(low, digits)} to {fixed(high, digits)}, farthest without {most}")
    lost = int((~np.isfinite(found.estimate).all(axis=1)).sum())
    more = f" Without {plural(lost, 'of them', 'of them')} the model cannot be estimated." if lost else ""
    return f"Without each of {len(found.clusters)} clusters ({unit}) in turn: {'; '.join(said)}.{more}"


def robustness_record(found: LevelRobustness) -> dict[str, Any]:
    """Return the sensitivity analyses as plain JSON values, numbers rounded to 12 digits."""
    without = found.left_out
    return {
        "planned": [_record(part) for part in found.planned],
        "standard": [_record(part) for part in found.standard],
        "left_out": None if without is None else [
            {"left_out": name, **{term: _plain(value) for term, value in zip(without.terms, row, strict=True)}}
            for name, row in zip(without.clusters, without.estimate.tolist(), strict=True)
        ],
    }  # fmt: skip


def _record(part: LevelVariant) -> dict[str, Any]:
    about = {"name": part.name, "what": part.what, "prespecified": part.planned, "why": part.why, "k": part.k}
    found = None if part.coefficients is None else {name: _mean(mean) for name, mean in part.coefficients.items()}
    return {**about, "coefficients": found, "turns": list(part.turns), "reason": part.reason or None}


def _mean(mean: Estimate) -> dict[str, float | None]:
    values = (mean.point, mean.se, mean.df, mean.lower, mean.upper, mean.p_value)
    names = ("estimate", "se", "df", "ci_low", "ci_high", "p_value")
    return {name: _plain(value) for name, value in zip(names, values, strict=True)}


def _plain(value: float) -> float | None:
    return written(value) if math.isfinite(value) else None


SENSITIVITY = (
    "set", "name", "what", "prespecified", "k", "term", "estimate", "se", "df", "ci_low", "ci_high", "p_value", "turns",
)  # fmt: skip


def robustness_rows(found: LevelRobustness) -> list[tuple[str | float | int | bool | None, ...]]:
    """Return one row of plain values for each analysis and coefficient, in the columns of `SENSITIVITY`."""
    rows: list[tuple[str | float | int | bool | None, ...]] = []
    for kind, parts in (("plan", found.planned), ("standard", found.standard)):
        for part in parts:
            about = (kind, part.name, part.what, part.planned, part.k)
            for name, mean in (part.coefficients or {}).items():
                rows.append((*about, name, *_mean(mean).values(), name in part.turns))
            if part.coefficients is None:
                rows.append((*about, None, *(None,) * 6, None))
    return rows
