"""The certainty of the evidence: what people rated, beside the numbers and hints that a rating needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from metaback.models.plans import Grade, GradeReasons, Plan
from metaback.numbers import ABSENT, fixed
from metaback.postestimation.clinical import (
    IN_UNITS,
    STANDARDISED,
    InformationSize,
    Instruments,
    Limits,
    absolute_effect,
    control_risk,
    information_size,
    median_sd,
    natural_limits,
    reference_sd,
    thresholds,
)
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import (
    comparison,
    counts,
    effect_digits,
    estimate_cell,
    measure_short,
    null_value,
    percent,
    plural,
)
from metaback.report.clinical import chosen_mid, grade_of, per_thousand, threshold_text
from metaback.report.document import Block, Heading, Listing, Notes, Paragraph, Table
from metaback.stats.absolute import RISK_MEASURES
from metaback.stats.measures.family import has_null

NOT_RATED = "not rated"
CIRCLES = {"high": "⊕⊕⊕⊕", "moderate": "⊕⊕⊕◯", "low": "⊕⊕◯◯", "very low": "⊕◯◯◯"}
DOMAINS = {
    "risk_of_bias": "Risk of bias",
    "inconsistency": "Inconsistency",
    "indirectness": "Indirectness",
    "imprecision": "Imprecision",
    "publication_bias": "Publication bias",
    "other": "Other",
}
FEW_STUDIES = 10  # below which tests of asymmetry and funnel plots are not read


def certainty_words(grade: Grade | None) -> str:
    """Return the end of the one-sentence answer: what people rated, or that nobody did.

    >>> certainty_words(Grade(certainty="low"))
    'low-certainty evidence (GRADE, rated by the authors)'
    """
    if grade is None or grade.certainty is None:
        return "certainty of the evidence not rated"
    return f"{grade.certainty.replace(' ', '-')}-certainty evidence (GRADE, rated by the authors)"


def certainty_blocks(
    plan: Plan | None, analyses: Sequence[Analysis], *, instruments: Instruments | None = None
) -> tuple[Block, ...]:
    """Return the summary of findings, the reasons of the raters and the hints; () where the plan has no [[grade]].

    The numbers are computed, the ratings and their reasons are those of the plan: nothing here rates. Entries of the
    plan that fit no comparison are named. Source: Guyatt et al. 2011, 2013; Schünemann et al. 2024.
    """
    if plan is None or not plan.grade or not analyses:
        return ()
    grades = [grade_of(plan, analysis) for analysis in analyses]
    known: Instruments = instruments or {}
    table, reasons = summary_of_findings(analyses, grades)
    blocks: list[Block] = [Heading(2, "Certainty of the evidence", "certainty"), Paragraph(_how(grades)), table]
    if reasons:
        blocks += [Listing(reasons)]
    blocks += [_hint_table(analyses, grades, known)]
    strangers = unmatched(plan, analyses, grades)
    if strangers:
        blocks.append(Notes("Ratings of the plan that fit no comparison", strangers))
    return tuple(blocks)


def certainty_keys(plan: Plan | None) -> tuple[str, ...]:
    """Return the keys of the references of the part on certainty."""
    return ("guyatt2011imprecision", "guyatt2013binary", "schunemann2024b") if plan is not None and plan.grade else ()


def unmatched(plan: Plan, analyses: Sequence[Analysis], grades: Sequence[Grade | None]) -> tuple[str, ...]:
    """Name the entries of the plan that are used for no comparison: a slip in the name of an outcome, most often."""
    names = sorted({comparison(analysis).title for analysis in analyses})
    unused = [part for part in plan.grade if not any(part is used for used in grades)]
    return tuple(
        f"[[grade]] of {' '.join((part.outcome or 'every outcome', *(part.compare or ())))} is used for none of: "
        f"{'; '.join(names)}."
        for part in unused
    )


def _how(grades: Sequence[Grade | None]) -> str:
    """Say who rated what."""
    missing = sum(grade is None or grade.certainty is None for grade in grades)
    left = f" {plural(missing, 'comparison is', 'comparisons are')} not rated yet." if missing else ""
    return (
        "Certainty and its reasons were rated by people by the GRADE approach and stand here as the plan states them; "
        f"the numbers beside them were computed.{left}"
    )


def summary_of_findings(analyses: Sequence[Analysis], grades: Sequence[Grade | None]) -> tuple[Table, tuple[str, ...]]:
    """Return the table of findings, one row per comparison, and the lettered reasons that its last column points to."""
    level = percent(analyses[0].overall.mean.level)
    letters: dict[str, str] = {}
    rows = tuple(_finding(analysis, grade, letters) for analysis, grade in zip(analyses, grades, strict=True))
    table = Table(
        caption="Summary of findings.",
        head=(
            "Outcome",
            "Participants (evidence)",
            f"Relative effect [{level} CI]",
            "Risk without the intervention",
            f"Risk with it [{level} CI]",
            f"Difference [{level} CI]",
            "Certainty",
        ),
        rows=rows,
        numeric=(False, True, True, True, True, True, False),
    )
    return table, tuple(f"{letter}. {text}" for text, letter in letters.items())


def _finding(analysis: Analysis, grade: Grade | None, letters: dict[str, str]) -> tuple[str, ...]:
    """Write one row; new reasons get the next letter."""
    pool, effects = analysis.overall, analysis.fitted.effects
    effect = f"{measure_short(effects)} {estimate_cell(pool.mean, effect_digits(pool.mean))}"
    people = "not stated throughout" if pool.n is None else f"{pool.n:,}"
    ratio = pool.mean.way == "exp"
    cells = [ABSENT, ABSENT, ABSENT if ratio else effect]
    if grade is not None and grade.baseline_risk is not None:
        found = absolute_effect(analysis, grade.baseline_risk)
        if found is not None:
            cells = [f"{text} per 1,000" for text in per_thousand(found)]
    relative = effect if ratio else ABSENT
    return (comparison(analysis).title, f"{people} ({counts(pool)})", relative, *cells, _rating(grade, letters))


def _rating(grade: Grade | None, letters: dict[str, str]) -> str:
    """Write the rating with the letters of its reasons."""
    if grade is None or grade.certainty is None:
        return NOT_RATED
    marks = [letters.setdefault(text, _letter(len(letters))) for text in reasons_of(grade.reasons)]
    return f"{CIRCLES[grade.certainty]} {grade.certainty}{' ' + ', '.join(marks) if marks else ''}"


def _letter(position: int) -> str:
    """Return a, b, ... z, aa, ab, ..."""
    head, last = divmod(position, 26)
    return (_letter(head - 1) if head else "") + "abcdefghijklmnopqrstuvwxyz"[last]


def reasons_of(reasons: GradeReasons) -> tuple[str, ...]:
    """Return the reasons that were given, each with its domain.

    >>> reasons_of(GradeReasons(imprecision="80 participants"))
    ('Imprecision: 80 participants',)
    """
    given = ((title, getattr(reasons, name)) for name, title in DOMAINS.items())
    return tuple(f"{title}: {text}" for title, text in given if text)


def _hint_table(analyses: Sequence[Analysis], grades: Sequence[Grade | None], instruments: Instruments) -> Table:
    """Return what the numbers say about the domains that numbers can speak to."""
    rows = [
        (comparison(analysis).title, domain, text)
        for analysis, grade in zip(analyses, grades, strict=True)
        for domain, text in hints(analysis, grade, instruments)
    ]
    return Table(
        caption="What the numbers say to those who rate; no rating follows from them by itself.",
        head=("Outcome", "Domain", "Hint"),
        rows=tuple(rows),
        numeric=(False, False, False),
    )


def hints(analysis: Analysis, grade: Grade | None, instruments: Instruments) -> tuple[tuple[str, str], ...]:
    """Return domain and hint, for inconsistency, imprecision and publication bias; the others are left to people.

    Each hint sets an interval beside no effect and the smallest difference that matters, the people that were pooled
    beside the optimal information size, or the number of studies beside ten.
    """
    unit = reference_sd(analysis.fitted.effects, instruments)
    mid, _ = chosen_mid(analysis, grade, instruments, unit)
    return (
        ("Inconsistency", _inconsistency(analysis, mid)),
        ("Imprecision", _imprecision(analysis, grade, mid)),
        ("Publication bias", _few_studies(analysis)),
        ("Risk of bias, indirectness", "Not to be read from these numbers."),
    )


def _inconsistency(analysis: Analysis, mid: float | None) -> str:
    """Set the prediction interval beside no effect and the MID."""
    prediction = analysis.overall.prediction
    if prediction is None:
        why = "one effect" if analysis.overall.k == 1 else "the model or the data give none"
        return f"There is no prediction interval ({why})."
    return f"The prediction interval {_reach(analysis, natural_limits(prediction), mid)}."


def _imprecision(analysis: Analysis, grade: Grade | None, mid: float | None) -> str:
    """Set the confidence interval beside no effect and the MID, and the people beside the information size."""
    interval = f"The confidence interval {_reach(analysis, natural_limits(analysis.overall.mean), mid)}."
    return f"{interval} {_size_words(_size(analysis, grade, mid), analysis)}"


def _size(analysis: Analysis, grade: Grade | None, mid: float | None) -> InformationSize | None:
    """Return the optimal information size, from the stated baseline risk or else the median risk in arm 2."""
    effects = analysis.fitted.effects
    stated = grade.baseline_risk if grade is not None else None
    baseline = stated if stated is not None else control_risk(effects)
    found = information_size(analysis, mid=mid, sd=median_sd(effects), baseline=baseline)
    assumed = found is not None and stated is None and effects.measure in RISK_MEASURES
    return replace(found, basis=f"{found.basis}; the first is the median of arm 2") if found and assumed else found


def _size_words(size: InformationSize | None, analysis: Analysis) -> str:
    """Say whether as many people were pooled as one trial would need."""
    if size is None:
        measure = analysis.fitted.effects.measure
        lacks = "no smallest difference that matters, or no SD" if measure in (*STANDARDISED, *IN_UNITS) else "no basis"
        return f"The optimal information size is not known ({lacks} is stated for {measure})."
    needs = f"{size.needed:,.0f} participants (80% power, two-sided 5%, {size.basis})"
    if size.pooled is None:
        return f"The optimal information size is {needs}; how many were pooled is not stated throughout."
    verb = "reach" if size.pooled >= size.needed else "are fewer than"
    return f"The {size.pooled:,} participants {verb} the optimal information size of {needs}."


def _few_studies(analysis: Analysis) -> str:
    """Say whether there are enough studies to look for asymmetry."""
    studies = plural(analysis.overall.studies, "study", "studies")
    if analysis.overall.studies < FEW_STUDIES:
        return f"{studies}: fewer than {FEW_STUDIES}, so neither a funnel plot nor a test of asymmetry can speak."
    return f"{studies}: enough to look at a funnel plot and to test its asymmetry."


def _reach(analysis: Analysis, found: Limits, mid: float | None) -> str:
    """Say what an interval holds: no effect, and effects of at least the MID on both sides, on one or on none."""
    if not has_null(analysis.fitted.effects.measure):
        return "is that of one group, which has no value of no effect"
    if not found.low <= found.high:  # nan
        return "has no limits"
    null = null_value(analysis.overall.mean.scale)
    inside = found.low <= null <= found.high
    first = f"{'includes' if inside else 'excludes'} no effect ({fixed(null, 0)})"
    if mid is None:
        return f"{first}; the smallest difference that matters is not stated"
    low, high = thresholds(analysis, mid)
    sides = [f"{text} {threshold_text(at)}" for reached, text, at in ((found.low <= low, "at or below", low),
             (found.high >= high, "at or above", high)) if reached]  # fmt: skip
    if not sides:
        return f"{first} and holds no effect that matters (beyond {threshold_text(low)} or {threshold_text(high)})"
    alone = found.high <= low or found.low >= high
    return f"{first} and {'holds only' if alone else 'also holds'} effects that matter: {' and '.join(sides)}"
