"""How far a result hangs on how it was made: planned and standard sensitivity analyses, and leave-one-out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaback.models.fitted import Estimate
from metaback.models.plans import Plan
from metaback.numbers import ABSENT, fixed, significant, written
from metaback.postestimation.flips import extremes, interval_text, one_line
from metaback.postestimation.leave_one_out import LeaveOneOut, leave_one_out
from metaback.postestimation.number_styles import STANDARD, NumberStyle, p_cell, restyled
from metaback.postestimation.sensitivity import SensitivityResult, planned_sensitivity
from metaback.postestimation.standard_sensitivity import EQUAL, StandardPool, standard_sensitivity
from metaback.postestimation.standard_working import standard_working
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import (
    NOT_ESTIMABLE,
    comparison,
    effect_digits,
    estimate_cell,
    measure_short,
    percent,
    percent_cell,
    plural,
)
from metaback.report.document import Block, Heading, Paragraph, Table
from metaback.report.words import measure_inside
from metaback.stats.inference import mean_words
from metaback.stats.measures.family import has_null
from metaback.stats.tau2 import TAU2_ESTIMATORS

KEYS = ("veroniki2016", "inthout2014", "viechtbauer2010b")
DEPENDENT = (
    "The answer comes from a working model of rows that depend on each other. The standard analyses change its "
    "likelihood, its sampling covariance and its variance, and set beside it the studies taken together first and the "
    "rows as independent. What independent rows do not know of, they do not count, and their intervals are mostly too "
    "narrow; so it is with planned analyses that say so."
)
PROGRAMS = (
    "DL with the Wald interval is what RevMan 5 and many older programs print, REML with the Wald interval the default "
    "of metafor."
)
PROGRAMS_OF_LEVELS = "Three levels by REML with the Wald interval are what metafor prints for such rows."
LEFT_OUT = (3, 1000)  # effects from which leave-one-out says more than the forest does, and to which it is made
NAMED = 6  # studies that turn the conclusion and are told one by one
RATIOS = frozenset({"exp", "exp_share"})
NO_I2 = 0.05  # percent that is written as 0.0%: a variance between studies that is next to none


@dataclass(frozen=True, slots=True)
class Robustness:
    """What stands beside one result: the analyses of its plan (the main one first), standard ones, leave-one-out.

    left_out: None where there are too few effects for it to say anything, or too many for a report.
    """

    planned: tuple[SensitivityResult, ...]
    standard: tuple[StandardPool, ...]
    left_out: LeaveOneOut | None


def robustness(analysis: Analysis, plan: Plan | None) -> Robustness:
    """Make the sensitivity analyses of one comparison, each once: the report's page and record share them."""
    low, high = LEFT_OUT
    return Robustness(
        planned_sensitivity(analysis, plan),
        standard_working(analysis) or standard_sensitivity(analysis),
        leave_one_out(analysis) if low <= analysis.overall.k <= high else None,
    )


def robustness_blocks(
    analysis: Analysis, found: Robustness, *, anchor: str, style: NumberStyle = STANDARD
) -> tuple[Block, ...]:
    """Return heading, tables and sentences of the sensitivity analyses of one comparison.

    anchor: fragment of the comparison. style: how numbers are written. Analyses that a plan names stand apart from the
    standard ones, which every report has.
    """
    blocks: list[Block] = [Heading(3, "Sensitivity analyses", f"{anchor}-sensitivity")]
    if analysis.dependent:
        blocks.append(Paragraph(DEPENDENT))
    if len(found.planned) > 1:
        main, *others = found.planned
        blocks.append(sensitivity_table(others, main, analysis.fitted.effects.measure, style))
    blocks += [standard_table(analysis, found.standard, style), Paragraph(standard_text(analysis, found, style))]
    if found.left_out is not None:
        blocks.append(Paragraph(left_out_text(analysis, found.left_out, style)))
    elif analysis.overall.k < LEFT_OUT[0]:
        blocks.append(Paragraph("Leave-one-out was not run: of two effects, each would be left alone.", "small"))
    return tuple(blocks)


# ---------------------------------------------------------------- of the plan


def sensitivity_table(
    found: Sequence[SensitivityResult], main: SensitivityResult, measure: str, style: NumberStyle = STANDARD
) -> Table:
    """Return one row per sensitivity analysis below the main one, told of no effect where the measure has it."""
    level = "95%" if main.mean is None else percent(main.mean.level)
    turned = sum(part.turns for part in found)
    said = (
        f"{plural(turned, 'of them says', 'of them say')} something else"
        if turned
        else "none of them says anything else"
    )
    return Table(
        caption=f"Sensitivity analyses of the plan{f'; {said} about no effect' if has_null(measure) else ''}.",
        head=("Analysis", "What differs", "Planned", "Effects", f"Estimate [{level} CI]", style.p_letter, "τ²", "I²"),
        rows=tuple(_row(part, style) for part in (main, *found)),
        numeric=(False, False, False, True, True, True, True, True),
        strong=(0,),
    )


def _row(part: SensitivityResult, style: NumberStyle) -> tuple[str, ...]:
    """Write one sensitivity analysis of a plan."""
    mean = part.mean
    return (
        f"{part.name}{' (turns the conclusion)' if part.turns else ''}",
        _differs(part.what),
        "beforehand" if part.prespecified else "post hoc",
        str(part.k),
        _estimate(mean, style),
        ABSENT if mean is None else p_cell(mean.p_value, style),
        restyled(significant(part.tau2), style),
        percent_cell(part.i2),
    )


def _differs(what: str) -> str:
    """Write what differs for a reader; a condition keeps the names of its columns as the table has them."""
    names = {"tau2": "τ²", "ci": "interval", "pi": "prediction interval"}
    parts = [part.partition(" ") for part in what.split("; ")]
    return "; ".join(f"{names.get(name, name)}{gap}{said}" for name, gap, said in parts)


def _estimate(mean: Estimate | None, style: NumberStyle) -> str:
    if mean is None:
        return NOT_ESTIMABLE
    return restyled(estimate_cell(mean, effect_digits(mean)), style, ratio=mean.way in RATIOS)


def sensitivity_record(analysis: Analysis, found: Sequence[SensitivityResult]) -> dict[str, Any]:
    """Return the sensitivity analyses of a plan as plain JSON values, numbers on the analysis scale.

    found: what `planned_sensitivity` returns; the main analysis, its first, has a place of its own in the record.
    """
    return {"comparison": comparison(analysis).title, "analyses": [_planned_record(part) for part in found[1:]]}


def _planned_record(part: SensitivityResult) -> dict[str, Any]:
    about = {"name": part.name, "what": part.what, "prespecified": part.prespecified, "why": part.why, "k": part.k}
    tail = {"tau2": written(part.tau2), "i2": written(part.i2), "turns": part.turns}
    return {**about, **_mean_record(part.mean), **tail}


def _mean_record(mean: Estimate | None) -> dict[str, float | None]:
    numbers = (None,) * 5 if mean is None else (mean.point, mean.se, mean.lower, mean.upper, mean.p_value)
    names = ("estimate", "se", "ci_low", "ci_high", "p_value")
    return {name: None if value is None else written(value) for name, value in zip(names, numbers, strict=True)}


# ---------------------------------------------------------------- standard


def standard_table(analysis: Analysis, found: Sequence[StandardPool], style: NumberStyle = STANDARD) -> Table:
    """Return one row per estimator of tau2, with the pooled effect under each interval rule.

    Of dependent rows: one row per model of their dependence. The row of the main analysis is strong; cells whose
    interval says something else about no effect are marked.
    """
    rules = list(dict.fromkeys(part.ci for part in found if part.tau2_rule != EQUAL))
    names = list(dict.fromkeys(part.tau2_rule for part in found))
    cells = {(part.tau2_rule, _rule(part)): part for part in found}
    rows: list[tuple[str, ...]] = []
    for name in names:
        first = next(part for part in found if part.tau2_rule == name)
        shown = [_cell(cells.get((name, rule)), style) for rule in rules]
        spread = (restyled(significant(first.tau2), style), percent_cell(first.i2))
        rows.append((_named(name), *(("0", ABSENT) if name == EQUAL else spread), *shown))
    marked = tuple(
        (i, 3 + j)
        for i, name in enumerate(names)
        for j, rule in enumerate(rules)
        if (part := cells.get((name, rule))) is not None and part.turns
    )
    head = f"{measure_short(analysis.fitted.effects)} [{percent(analysis.overall.mean.level)} CI]"
    levels = analysis.dependent
    what, first = ("models of dependent rows", "Model") if levels else ("estimators of τ²", "Estimator of τ²")
    return Table(
        caption=f"The pool under other {what} and other interval rules: a standard set, not chosen by the plan"
        f"{'; marked where the interval says something else about no effect' if marked else ''}.",
        head=(first, "τ²", "I²", *(f"{head}, {mean_words(rule).short}" for rule in rules)),
        rows=tuple(rows),
        numeric=(False, *(True,) * (2 + len(rules))),
        strong=tuple(i for i, name in enumerate(names) if any(p.main for p in found if p.tau2_rule == name)),
        marked=marked,
    )


def _rule(part: StandardPool) -> str:
    """Return the column of a pool: equal effects stand under the normal interval."""
    return "Wald" if part.tau2_rule == EQUAL else part.ci


def _named(name: str) -> str:
    """Return the words of an estimator."""
    if name == EQUAL:
        return "none: equal effects"
    return f"{TAU2_ESTIMATORS[name].title} ({name})" if name in TAU2_ESTIMATORS else name


def _cell(part: StandardPool | None, style: NumberStyle) -> str:
    return "" if part is None else _estimate(part.mean, style)


def standard_text(analysis: Analysis, found: Robustness, style: NumberStyle = STANDARD) -> str:
    """Say how far the standard analyses differ from the main one, and which other programs print."""
    pools = [part for part in found.standard if part.mean is not None]
    turning = [part for part in pools if part.turns]
    means = [part.mean for part in pools if part.mean is not None]
    digits = effect_digits(analysis.overall.mean)
    points = sorted(mean.natural()[0] for mean in means)
    low, high = (restyled(fixed(point, digits), style) for point in (points[0], points[-1]))
    spread = f"Over these {len(pools)} analyses the pooled {measure_inside(analysis.fitted.effects)} "
    spread += f"is {low} throughout" if low == high else f"runs from {low} to {high}"
    if not has_null(analysis.fitted.effects.measure):
        says = ""
    elif len(turning) == len(pools):
        says = "; the conclusion about no effect turns in all of them"
    elif turning:
        names = "; ".join(map(_short, turning[:NAMED]))
        more = f"; and {len(turning) - NAMED} more" if len(turning) > NAMED else ""
        says = f"; the conclusion about no effect turns in {len(turning)} of them ({names}{more})"
    else:
        says = "; the conclusion about no effect is the same in all of them"
    return f"{spread}{says}. {PROGRAMS_OF_LEVELS if analysis.dependent else PROGRAMS}"


def _short(part: StandardPool) -> str:
    rule = mean_words(part.ci).short
    return f"equal effects, {rule}" if part.tau2_rule == EQUAL else f"{part.tau2_rule}, {rule}"


def standard_record(analysis: Analysis, found: Robustness) -> dict[str, Any]:
    """Return the standard analyses and leave-one-out of one comparison as plain JSON values, on the analysis scale."""
    pools = [
        {"tau2_estimator": part.tau2_rule, "ci": part.ci, **_mean_record(part.mean)}
        | {"tau2": written(part.tau2), "i2": written(part.i2), "main": part.main, "turns": part.turns}
        for part in found.standard
    ]
    return {
        "comparison": comparison(analysis).title,
        "analyses": pools,
        "leave_one_out": None if found.left_out is None else _left_out_record(found.left_out),
    }


# ---------------------------------------------------------------- leave-one-out


def left_out_text(analysis: Analysis, found: LeaveOneOut, style: NumberStyle = STANDARD) -> str:
    """Say between what the pooled effect moves when each row is left out, and which rows turn the conclusion.

    style: how numbers are written; those beside names of studies in the sentences of `LeaveOneOut` stay as they are.
    """
    ends = extremes(found.pools.estimate)
    if ends is None:
        return "Leave-one-out: nothing is left without any of the rows."
    effects = analysis.fitted.effects
    shown = [restyled(interval_text(found.pools, i, effects), style, ratio=found.whole.way in RATIOS) for i in ends]
    low, high = (f"{text} without {one_line(found.labels[i])}" for text, i in zip(shown, ends, strict=True))
    made = int(np.isfinite(found.pools.estimate).sum())
    text = f"Leaving out one {found.by} at a time ({plural(made, 'pool')}), the pooled {measure_inside(effects)} "
    text += f"lies between {low} and {high}"
    text += _tau2_span(found, style)
    if not has_null(effects.measure):
        return f"{text}."
    if not found.sentences:
        return f"{text}. The conclusion about no effect stays the same whichever is left out."
    more = len(found.sentences) - NAMED
    rest = f" So {'does one' if more == 1 else f'do {more:,}'} more." if more > 0 else ""
    return f"{text}. {' '.join(found.sentences[:NAMED])}{rest}"


def _tau2_span(found: LeaveOneOut, style: NumberStyle) -> str:
    """Say between what tau2 moves; one of which I2 would be written as 0.0% is next to 0, whatever its digits."""
    places = np.flatnonzero(np.isfinite(found.pools.tau2))
    if not places.size:
        return ""
    tau2, i2 = found.pools.tau2[places], found.pools.i2[places]
    least, most = int(tau2.argmin()), int(tau2.argmax())
    if i2[most] < NO_I2:
        return f"; τ² {'0' if tau2[most] == 0 else 'next to 0'} in every one"
    low = "next to 0" if tau2[least] > 0 and i2[least] < NO_I2 else restyled(significant(float(tau2[least])), style)
    return f"; τ² between {low} and {restyled(significant(float(tau2[most])), style)}"


def _left_out_record(found: LeaveOneOut) -> list[dict[str, Any]]:
    pools = found.pools
    names = {"estimate": pools.estimate, "ci_low": pools.ci_low, "ci_high": pools.ci_high, "p_value": pools.p_value}
    names |= {"tau2": pools.tau2, "i2": pools.i2}
    return [
        {"left_out": label, "k": int(pools.k[i])}
        | {name: _finite(float(values[i])) for name, values in names.items()}
        | {"flips": bool(found.flips[i]), "reason": found.reasons[i]}
        for i, label in enumerate(found.labels)
    ]


def _finite(value: float) -> float | None:
    return written(value) if math.isfinite(value) else None
