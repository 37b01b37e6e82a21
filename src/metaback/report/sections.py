"""From analyses to blocks of a document: one section per comparison, and the whole report around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaback.effects.effect_sizes import NOT_STATED
from metaback.numbers import df_text, fixed, humanise
from metaback.postestimation.beyond import BeyondThreshold
from metaback.postestimation.fit_statistics import pool_statistics
from metaback.postestimation.number_styles import STANDARD, NumberStyle, p_styled, restyled
from metaback.postestimation.summary import Analysis, PoolSummary
from metaback.postestimation.words import (
    comparison,
    counts,
    difference_statistic,
    effect_digits,
    limits_cell,
    measure_name,
    null_value,
    percent,
    percent_cell,
    plural,
    point_text,
    prediction_words,
    scale_name,
    sentence_case,
)
from metaback.report.bibliography import reference_list
from metaback.report.dependence import dependence_blocks
from metaback.report.document import Block, Document, Figure, Heading, Listing, Notes, Paragraph
from metaback.report.heterogeneity import heterogeneity_table
from metaback.report.methods import methods_keys, methods_sentences, methods_text
from metaback.report.route_table import route_table
from metaback.report.tables import Flag, assumed_table, overview_table, pooled_table, pools, study_table
from metaback.report.words import anchor, direction, tau2_texts
from metaback.stats.measures.family import has_null

NOTES_SHOWN = 40
CERTAINTY = "certainty of the evidence not rated"


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside the numbers of one comparison, besides what every section has.

    blocks: after its heterogeneity (clinical reading, sensitivity analyses, figures); certainty: in words, as people
    rated it. answer: right below the answer, for what a reader must hold against it: the same pooled by another model.
    beyond: shares of settings beyond thresholds, for the table of heterogeneity. style: how its numbers are written.
    cites: keys that its figures and other parts of the report cite, numbered after those of the methods.
    """

    blocks: tuple[Block, ...] = ()
    certainty: str = CERTAINTY
    answer: tuple[Block, ...] = ()
    beyond: tuple[BeyondThreshold, ...] = ()
    style: NumberStyle = STANDARD
    cites: tuple[str, ...] = ()


ALONE = Beside()


def section_blocks(
    analysis: Analysis,
    *,
    number: int | None = None,
    anchor: str = "comparison",
    figure: Figure | None = None,
    cited: tuple[str, ...] | None = None,
    methods: bool = True,
    flags: Mapping[str, tuple[Flag, ...]] | None = None,
    beside: Beside = ALONE,
) -> tuple[Block, ...]:
    """Return everything that is said about one comparison, in reading order.

    number: of the comparison, None when it is the only one; anchor: fragment of its heading, unique in the document.
    cited: keys whose numbers the document has fixed; without it the section brings its own list of references.
    methods: whether the section ends with its methods paragraph. beside: what stands below the answer, and between
    heterogeneity and the studies (clinical reading, sensitivity analyses), and how certain people are.
    flags: findings of the check by the name of the row.
    """
    title = comparison(analysis).title
    blocks: list[Block] = [
        Heading(2, f"{number}. {title}" if number is not None else title, anchor),
        Paragraph(answer(analysis, beside.certainty, beside.style), "answer"),
        *beside.answer,
    ]
    box = notes(analysis)
    blocks += [box] if box.points else []
    blocks += [figure] if figure is not None else []
    blocks += [
        Heading(3, "Pooled results", f"{anchor}-pooled"),
        pooled_table(analysis, beside.style),
        *_assumed_blocks(analysis, beside.style),
        *dependence_blocks(analysis, anchor=anchor, style=beside.style),
        *_heterogeneity_blocks(analysis, beside, f"{anchor}-heterogeneity"),
        *beside.blocks,
        Heading(3, "Studies", f"{anchor}-studies"),
        study_table(analysis, flags=flags, style=beside.style),
        *_route_blocks(analysis),
    ]
    if methods:
        blocks += _methods_blocks(analysis, f"{anchor}-methods", cited)
    return tuple(blocks)


def answer(analysis: Analysis, certainty: str = CERTAINTY, style: NumberStyle = STANDARD) -> str:
    """Answer the question of one comparison in one sentence, with how certain people rated it.

    style: how its numbers are written.
    """
    names, effects, pool = comparison(analysis), analysis.fitted.effects, analysis.overall
    digits = effect_digits(pool.mean)
    subject = [sentence_case(names.outcome)] if names.outcome else []
    if names.first and names.second:
        subject.append(f"{names.first} compared with {names.second}" if subject else f"{names.first} vs {names.second}")
    size = (
        f"{measure_name(effects)} {restyled(point_text(pool.mean, digits), style)} "
        f"({percent(pool.mean.level)} CI {restyled(limits_cell(pool.mean, digits), style)}; "
        f"{restyled(_evidence(pool), style)})"
    )
    ends = [words for words in (direction(analysis), certainty) if words]
    opening = f"{', '.join(subject)}: " if subject else ""
    return sentence_case(f"{opening}{size}; {'; '.join(ends)}.")


def notes(analysis: Analysis) -> Notes:
    """Return what a reader must not miss: notes of the data and of every pool, each once."""
    points = [*analysis.overall.notes]
    for name, pool in pools(analysis)[1:]:
        points += [f"{name}: {note}" for note in pool.notes]
    return Notes("Read this with the result", _limited(tuple(dict.fromkeys(points))))


def _limited(points: tuple[str, ...]) -> tuple[str, ...]:
    """Keep a box readable: the first points, and how many more there are."""
    if len(points) <= NOTES_SHOWN:
        return points
    return (*points[: NOTES_SHOWN - 1], f"{len(points) - NOTES_SHOWN + 1:,} more notes: results.json has them all.")


def _assumed_blocks(analysis: Analysis, style: NumberStyle) -> list[Block]:
    """Return the table of the pool under other pre-post correlations, nothing where none were asked for."""
    table = assumed_table(analysis, style)
    return [] if table is None else [table]


def _heterogeneity_blocks(analysis: Analysis, beside: Beside, where: str) -> list[Block]:
    """Return heading, table and sentences on how much the effects differ; of one effect there is a sentence only."""
    text = Paragraph(heterogeneity_text(analysis, beside.style))
    table = heterogeneity_table(analysis, beside.beyond, beside.style)
    return [text] if table is None else [Heading(3, "Heterogeneity", where), table, text]


def _route_blocks(analysis: Analysis) -> list[Block]:
    """Return the table of numbers that were derived, nothing where every row brought what the measure needs."""
    table = route_table(analysis.fitted.effects)
    return [] if table is None else [table]


def heterogeneity_text(analysis: Analysis, style: NumberStyle = STANDARD) -> str:
    """Say how much the effects differ: Q, tau2, I2 under both definitions, prediction and subgroups.

    style: how numbers are written.
    """
    pool, spec = analysis.overall, analysis.spec
    found, level = pool.heterogeneity, percent(spec.level)
    if found.q_df == 0:
        return "With one effect, heterogeneity cannot be estimated."
    sentences = [f"Cochran's Q was {fixed(found.q)} on {df_text(found.q_df)} df ({p_styled(found.q_p, style)})"]
    if found.tau2 is not None:
        point, ends = tau2_texts(found)
        limits = f" ({level} CI {' to '.join(ends)})" if ends else ""
        scale = scale_name(pool.mean.way)
        unit = f" on the {scale}" if scale else ""
        what = "the variance between and within studies" if analysis.dependent else "the between-study variance"
        sentences.append(f"{what} τ² was {point}{limits}{unit}")
        sentences.append(_i2_sentence(pool, level))
    else:
        sentences.append(f"I² from Q was {percent_cell(found.i2_q)}")
    text = f"{'; '.join(sentences)}."
    parts = [restyled(part, style) for part in (text, _prediction_sentence(analysis), _fit_sentence(analysis))]
    return " ".join(part for part in (*parts[:2], subgroup_sentence(analysis, style), parts[2]) if part)


def _fit_sentence(analysis: Analysis) -> str:
    """Give the fit statistics of the likelihood that tau2 maximises; nothing for moments, a given value or no tau2."""
    found = pool_statistics(analysis)
    part = {"ML": found.ml, "REML": found.reml}.get(found.maximised or "")
    if part is None or part.loglik is None or analysis.overall.heterogeneity.tau2 is None:
        return ""
    names = ("deviance", "AIC", "AICc", "BIC")
    values = (part.deviance, part.aic, part.aicc, part.bic)
    known = ((name, value) for name, value in zip(names, values, strict=True) if value is not None)
    listed = ", ".join(f"{name} {fixed(value)}" for name, value in known)
    return f"The {found.maximised} log-likelihood was {fixed(part.loglik)} ({listed})."


def report_document(
    analyses: Sequence[Analysis],
    *,
    title: str,
    figures: Mapping[int, Figure] | None = None,
    lead: Sequence[Block] = (),
    checks: Sequence[Block] = (),
    tail: Sequence[Block] = (),
    flags: Mapping[str, tuple[Flag, ...]] | None = None,
    beside: Mapping[int, Beside] | None = None,
) -> Document:
    """Put a whole report together: overview, one section per comparison, methods once, references once.

    figures: figure of each comparison by its position. lead: blocks before the first section; tail: after the
    references (provenance). beside: what stands beside the numbers of each comparison, by its position. checks: the
    section on the check of the table, before the methods; flags: its findings by the name of the row.
    """
    drawn = figures or {}
    keys = document_keys(analyses, [key for part in (beside or {}).values() for key in part.cites])
    several = len(analyses) > 1
    blocks: list[Block] = list(lead)
    if several:
        style = (beside or {}).get(0, ALONE).style
        blocks += [Heading(2, "Overview", "overview"), overview_table(analyses, style)]
    for position, analysis in enumerate(analyses):
        number = position + 1 if several else None
        blocks += section_blocks(
            analysis,
            number=number,
            anchor=anchor(comparison(analysis).title, position + 1),
            figure=drawn.get(position),
            cited=keys,
            methods=False,
            flags=flags,
            beside=(beside or {}).get(position, ALONE),
        )
    blocks += checks
    if analyses:
        blocks += [Heading(2, "Methods", "methods"), *_joint_methods(analyses, keys)]
        blocks += [Heading(2, "References", "references"), Listing(reference_list(keys), numbered=True)]
    blocks += tail
    return Document(title, tuple(blocks))


def document_keys(analyses: Sequence[Analysis], cites: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the keys that all methods together cite, in the order of their numbers, then those of other parts."""
    keys: dict[str, None] = {}
    for analysis in analyses:
        keys.update(dict.fromkeys(methods_keys(analysis.spec, analysis.fitted.effects)))
    return tuple(keys | dict.fromkeys(cites))


def _evidence(pool: PoolSummary) -> str:
    people = "number of participants not stated throughout" if pool.n is None else plural(pool.n, "participant")
    return f"{counts(pool)}, {people}"


def _i2_sentence(pool: PoolSummary, level: str) -> str:
    found = pool.heterogeneity
    limits = ""
    if found.i2_low is not None and found.i2_high is not None:
        limits = f" ({level} CI {percent_cell(found.i2_low)} to {percent_cell(found.i2_high)})"
    return f"I² was {percent_cell(found.i2_tau2)}{limits} from τ² and {percent_cell(found.i2_q)} from Q"


def _prediction_sentence(analysis: Analysis) -> str:
    prediction = analysis.overall.prediction
    if prediction is None:
        return ""
    digits = effect_digits(analysis.overall.mean)
    inside = prediction.lower <= 0 <= prediction.upper
    null = fixed(null_value(prediction.scale), 0)
    rule = prediction_words(prediction, analysis.spec).removeprefix("t, ")
    beside = f", a range that {'includes' if inside else 'excludes'} no effect ({null})"
    return (
        f"The true effect in a new setting is expected between {limits_cell(prediction, digits, ' and ')} "
        f"({percent(prediction.level)} prediction interval, {rule})"
        f"{beside if has_null(analysis.fitted.effects.measure) else ''}."
    )


def subgroup_sentence(analysis: Analysis, style: NumberStyle) -> str:
    """Tell the test of differences between subgroups in one sentence, "" where there are none."""
    groups = analysis.subgroups
    if groups is None:
        return ""
    name = humanise(groups.name)
    if groups.test is None and analysis.dependent and sum(level != NOT_STATED for level in groups.levels) > 1:
        why = "the studies are too few for a robust test, or a subgroup has rows of one study alone"
        return f"The difference between subgroups by {name} was not tested: {why}."
    if groups.test is None:
        return f"Only one subgroup by {name} could be pooled, so no difference between subgroups was tested."
    letter, value, df = difference_statistic(groups.test)
    shared = " (one τ² for all)" if groups.tau2 == "common" else ""
    numbers = f"{letter} = {value} on {' and '.join(df)} df ({p_styled(groups.test.p_value, style)})"
    return f"Test for differences between subgroups by {name}{shared}: {restyled(numbers, style)}."


def _methods_blocks(analysis: Analysis, where: str, cited: tuple[str, ...] | None) -> list[Block]:
    text, keys = methods_text(analysis.spec, analysis.fitted.effects, cited=cited or ())
    blocks: list[Block] = [Heading(3, "Methods", where), Paragraph(text)]
    if cited is None:
        blocks += [Heading(3, "References", f"{where}-references"), Listing(reference_list(keys), numbered=True)]
    return blocks


def _joint_methods(analyses: Sequence[Analysis], keys: tuple[str, ...]) -> list[Block]:
    """Return the sentences that hold for all comparisons once, then what holds for some only."""
    all_sentences = [methods_sentences(a.spec, a.fitted.effects, cited=keys)[0] for a in analyses]
    shared = [sentence for sentence in all_sentences[0] if all(sentence in other for other in all_sentences)]
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, sentences in enumerate(all_sentences, 1):
        groups.setdefault(tuple(s for s in sentences if s not in shared), []).append(number)
    blocks: list[Block] = [Paragraph(" ".join(shared))] if shared else []
    for sentences, numbers in groups.items():
        if sentences and len(groups) == 1:
            blocks.append(Paragraph(" ".join(sentences)))
        elif sentences:
            blocks.append(Paragraph(f"{_comparisons(numbers)}: {' '.join(sentences)}"))
    return blocks


def _comparisons(numbers: Sequence[int]) -> str:
    """Write `Comparison 3`, `Comparisons 1 and 2`, `Comparisons 1, 2 and 4`."""
    if len(numbers) == 1:
        return f"Comparison {numbers[0]}"
    return f"Comparisons {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
