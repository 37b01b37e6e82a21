"""The clinical reading of a result: shares of settings, units that people know, absolute risks, shares of people."""

from __future__ import annotations

import math
from collections.abc import Mapping

from metaback.models.plans import Grade, Plan
from metaback.numbers import ABSENT, as_given, estimate_text, fixed, limit, significant
from metaback.postestimation.beyond import BeyondThreshold
from metaback.postestimation.clinical import (
    IN_UNITS,
    STANDARDISED,
    AbsoluteEffect,
    Instruments,
    Limits,
    ReferenceSD,
    absolute_effect,
    natural_limits,
    people_better,
    reference_sd,
    settings_beyond,
    shared_mid,
)
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import comparison, percent
from metaback.report.document import Block, Heading, Paragraph, Table
from metaback.stats.absolute import RISK_MEASURES

Row = tuple[str, str, str]
INFINITY = "\u221e"


def grade_of(plan: Plan | None, analysis: Analysis) -> Grade | None:
    """Return what the plan says about the certainty of one comparison: the most particular entry that fits it."""
    fitting = [part for part in plan.grade if _fits(part, analysis)] if plan is not None else []
    return max(fitting, key=lambda part: (part.compare is not None, part.outcome is not None), default=None)


def _fits(grade: Grade, analysis: Analysis) -> bool:
    """Tell whether an entry is about a comparison; what it leaves out fits every one."""
    context = analysis.fitted.effects.context
    pair = (context.treatment_1, context.treatment_2)
    outcome = grade.outcome is None or _same(grade.outcome, context.outcome)
    return outcome and (grade.compare is None or all(map(_same, grade.compare, pair)))


def _same(one: str, other: str | None) -> bool:
    """Tell whether two names are the same but for capitals, underscores and spaces."""
    return other is not None and _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def clinical_blocks(
    analysis: Analysis, *, grade: Grade | None = None, instruments: Instruments | None = None, anchor: str = "clinical"
) -> tuple[Block, ...]:
    """Return heading, table and small print of the clinical reading of one comparison; () where nothing can be said.

    grade: what the plan says of it (MID, baseline risk); instruments: facts by name, as `[effect.instruments]` has
    them. anchor: fragment of the comparison.
    """
    known: Instruments = instruments or {}
    unit = reference_sd(analysis.fitted.effects, known)
    mid, source = chosen_mid(analysis, grade, known, unit)
    rows = [
        *_setting_rows(analysis, mid, source),
        *_unit_rows(analysis, unit, mid, source),
        *_people_rows(analysis),
        *_risk_rows(analysis, grade),
    ]
    if not rows:
        return ()
    level = percent(analysis.overall.mean.level)
    blocks: list[Block] = [
        Heading(3, "Clinical reading", f"{anchor}-clinical"),
        Table(
            caption="What the result means in practice.",
            head=("Reading", f"Result [{level} CI]", "Rests on"),
            rows=tuple(rows),
            numeric=(False, True, False),
        ),
    ]
    text = _small_print(analysis, mid, unit, grade)
    return (*blocks, Paragraph(text, "small")) if text else tuple(blocks)


def clinical_keys(analysis: Analysis, *, grade: Grade | None = None) -> tuple[str, ...]:
    """Return the keys of the references that the clinical reading of a comparison rests on."""
    measure = analysis.fitted.effects.measure
    keys = ["mathur2019"] if settings_beyond(analysis) else []
    keys += ["mcgraw1992", "cohen1988", "schunemann2024"] if measure in STANDARDISED else []
    if measure in RISK_MEASURES and grade is not None and grade.baseline_risk is not None:
        keys += ["schunemann2024", "altman1998"] + (["skoetz2020"] if measure == "HR" else [])
    return tuple(dict.fromkeys(keys))


def chosen_mid(
    analysis: Analysis, grade: Grade | None, instruments: Instruments, unit: ReferenceSD | None
) -> tuple[float | None, str]:
    """Return the smallest difference that matters, in the units of the measure, and where it comes from.

    First that of the plan for this comparison; then that of the instrument, for a standardised difference over the SD
    that turns it into units.
    """
    if grade is not None and grade.mid is not None:
        return grade.mid, grade.mid_source or "the plan"
    if unit is not None and unit.mid is not None:
        return unit.mid / unit.sd, f"{as_given(unit.mid)} on {unit.instrument} over its SD of {threshold_text(unit.sd)}"
    shared = shared_mid(analysis.fitted.effects, instruments)
    return (None, "") if shared is None else (shared[0], f"the MID of {shared[1]}")


def _setting_rows(analysis: Analysis, mid: float | None, source: str) -> list[Row]:
    """Write the shares of settings beyond no effect and beyond the MID."""
    several = analysis.dependent or analysis.levels
    spread = "the variances between and within studies" if several else "the estimated τ²"
    rests = f"true effects taken as normal around the mean, with {spread}"
    rows: list[Row] = []
    sides = comparison(analysis).sides
    for part, found in enumerate(settings_beyond(analysis, mid)):
        favoured = "" if sides is None else f", in favour of {sides[found.direction == 'above']}"
        where = f"{found.direction} {threshold_text(found.threshold)}{favoured}"
        name = "no effect" if part == 0 else "the smallest difference that matters"
        why = rests if part == 0 else f"the same; {source}"
        rows.append((f"Settings whose true effect lies beyond {name} ({where})", share_text(found), why))
    return rows


def threshold_text(value: float) -> str:
    """Write a threshold: as given, an inverse with three digits."""
    text = as_given(value)
    return text if len(text) <= 6 else significant(value)


def share_text(found: BeyondThreshold) -> str:
    """Write a probability with its limits in percent."""
    limits = (
        "" if found.lower is None or found.upper is None else f" [{_percent(found.lower)}, {_percent(found.upper)}]"
    )
    return f"{_percent(found.point)}{limits}"


def _percent(value: float) -> str:
    """Write a share in percent; what is not quite none or all does not become it."""
    if 0 < value < 0.005:
        return "<0.5%"
    return ">99.5%" if 0.995 <= value < 1 else f"{fixed(100 * value, 0)}%"


def _unit_rows(analysis: Analysis, unit: ReferenceSD | None, mid: float | None, source: str) -> list[Row]:
    """Write the effect in units of an instrument and as multiples of the MID."""
    measure, found = analysis.fitted.effects.measure, natural_limits(analysis.overall.mean)
    rows: list[Row] = []
    if unit is not None:
        rests = f"{measure} × {threshold_text(unit.sd)}, {unit.source}"
        rows.append((f"In units of {unit.instrument}", _limits(found.times(unit.sd)), rests))
    if mid is not None and measure in (*STANDARDISED, *IN_UNITS):
        rests = f"{measure} / {threshold_text(mid)}: {source}"
        rows.append(("In smallest differences that matter", _limits(found.times(1 / mid)), rests))
    return rows


def _limits(found: Limits) -> str:
    """Write a number with its limits, with decimals that show the width of the interval."""
    width = found.high - found.low
    wide = width if math.isfinite(width) and width > 0 else 1.0
    digits = min(6, max(0, 1 - math.floor(math.log10(wide / 2))))
    return estimate_text(found.point, found.low, found.high, digits)


def _people_rows(analysis: Analysis) -> list[Row]:
    """Write how often people of one arm fare better, and how many of the other the average person surpasses."""
    found = people_better(analysis)
    if found is None:
        return []
    first, second = _arms(analysis)
    better = {True: "higher, which is better", False: "lower, which is better", None: "higher"}
    word = better[comparison(analysis).higher_is_better]
    sign = "\u2212" if comparison(analysis).higher_is_better is False else ""
    pairs, below = (_percents(part) for part in found)
    return [
        (
            f"Pairs of one person with {first} and one with {second} in which the first scores {word}",
            pairs,
            f"Φ({sign}d/√2), normal scores with one SD; half of all pairs where there is no effect",
        ),
        (
            f"People with {second} whom the average person with {first} surpasses",
            below,
            f"Cohen's U3 = Φ({sign}d), normal scores with one SD; half where there is no effect",
        ),
    ]


def _percents(found: Limits) -> str:
    return f"{_percent(found.point)} [{_percent(found.low)}, {_percent(found.high)}]"


def _arms(analysis: Analysis) -> tuple[str, str]:
    """Return the names of both arms within a sentence."""
    names = comparison(analysis)
    return names.first or "arm 1", names.second or "arm 2"


def _risk_rows(analysis: Analysis, grade: Grade | None) -> list[Row]:
    """Write absolute risks, their difference and the number needed to treat at the stated baseline risk."""
    if grade is None or grade.baseline_risk is None:
        return []
    found = absolute_effect(analysis, grade.baseline_risk)
    if found is None:
        return []
    first, second = _arms(analysis)
    better = comparison(analysis).higher_is_better
    cut = "; cut off where a risk cannot be" if found.cut else ""
    return [
        (f"Events with {second}", f"{per_thousand(found)[0]} per 1,000", grade.baseline_source or "the plan"),
        (f"Events with {first}", f"{per_thousand(found)[1]} per 1,000", f"{_formula(analysis)}{cut}"),
        ("Difference", f"{per_thousand(found)[2]} per 1,000", "the baseline risk is taken as known"),
        (needed_name(better), needed_text(found, better), "1 / |difference|, rounded up"),
    ]


def _formula(analysis: Analysis) -> str:
    """Say how a risk follows from the effect and the baseline risk p."""
    measure = analysis.fitted.effects.measure
    words: Mapping[str, str] = {
        "RR": "p × RR",
        "RD": "p + RD",
        "HR": "1 − (1 − p)^HR, hazards taken as proportional",
    }
    return words.get(measure, f"p × {measure} / (1 − p + p × {measure})")


def per_thousand(found: AbsoluteEffect) -> tuple[str, str, str]:
    """Write baseline risk, risk and difference per 1,000 people, with as many decimals as the smallest of them needs.

    The difference says more or fewer: `62 fewer [95 fewer, 23 fewer]`.
    """
    sizes = [abs(v) * 1000 for v in (found.difference.point, found.difference.low, found.difference.high) if v]
    smallest = min((size for size in sizes if math.isfinite(size)), default=1000.0)
    digits = 0 if smallest >= 1 else min(4, math.ceil(-math.log10(smallest)))
    risk, gap = found.risk.times(1000), found.difference.times(1000)
    limits = (_fewer(value, digits) for value in (gap.low, gap.high))
    return (
        fixed(1000 * found.baseline, digits),
        estimate_text(risk.point, risk.low, risk.high, digits),
        f"{_fewer(gap.point, digits)} [{', '.join(limits)}]",
    )


def _fewer(value: float, digits: int) -> str:
    """Write a difference of counts with its direction in words."""
    if not math.isfinite(value):
        return ABSENT
    text = fixed(abs(value), digits)
    return "0" if float(text) == 0 else f"{text} {'fewer' if value < 0 else 'more'}"


def needed_name(higher_is_better: bool | None) -> str:
    """Return the head of the number needed to treat, in the words of Altman where more events are good or bad."""
    if higher_is_better is None:
        return "People treated for one event more or fewer"
    return "Number needed to treat (NNTB: for one to benefit, NNTH: for one to be harmed)"


def needed_text(found: AbsoluteEffect, higher_is_better: bool | None) -> str:
    """Write the number needed to treat with its interval.

    Where the interval of the difference holds 0, that of the number runs through infinity and is written so:
    `NNTB 10 [NNTB 4 to ∞ to NNTH 20]`. Source: Altman 1998.
    """
    point = _needed(found.number.point, found.difference.point, higher_is_better)
    if not (math.isfinite(found.difference.low) and math.isfinite(found.difference.high)):
        return point
    ends = [(found.number.low, found.difference.low), (found.number.high, found.difference.high)]
    if found.difference.point > 0 or (found.difference.point == 0 and higher_is_better):
        ends.reverse()
    if found.crosses:  # from the side of the estimate through infinity to the other one
        near, far = (_needed(number, difference, higher_is_better) for number, difference in ends)
        parts = tuple(dict.fromkeys((near, INFINITY, far)))
        return f"{point} [{' to '.join(parts)}]" if len(parts) > 1 else point
    few, many = sorted(number for number, _ in ends)
    return f"{point} [{_count(few)} to {_count(many)}]"


def _needed(number: float, difference: float, higher_is_better: bool | None) -> str:
    """Write one number of people with what it is for; infinity is for nothing."""
    if math.isinf(number) or difference == 0:
        return INFINITY
    if higher_is_better is None:
        return f"{_count(number)} ({'more' if difference > 0 else 'fewer'})"
    return f"{'NNTB' if (difference > 0) == higher_is_better else 'NNTH'} {_count(number)}"


def _count(number: float) -> str:
    """Write a whole number of people."""
    return limit(number, 0) if not math.isfinite(number) or number < 1000 else f"{number:,.0f}"


def _small_print(analysis: Analysis, mid: float | None, unit: ReferenceSD | None, grade: Grade | None) -> str:
    """Say what was not computed and what it would need; notes of the shares of settings."""
    measure = analysis.fitted.effects.measure
    notes = dict.fromkeys(note for found in settings_beyond(analysis, mid) for note in found.notes)
    lacking: list[str] = []
    if mid is None and measure in (*STANDARDISED, *IN_UNITS, *RISK_MEASURES):
        lacking.append("the smallest difference that matters (mid, of a grade in the plan or of an instrument)")
    if unit is None and measure in STANDARDISED:
        lacking.append("a reference SD (sd, of an instrument that the rows name, or SDs of trials with it)")
    if measure in RISK_MEASURES and (grade is None or grade.baseline_risk is None):
        lacking.append("the risk without the intervention (baseline_risk, of a grade in the plan)")
    told = f"Not stated, and so not read from the result: {'; '.join(lacking)}." if lacking else ""
    return " ".join(part for part in (*notes, told) if part)
