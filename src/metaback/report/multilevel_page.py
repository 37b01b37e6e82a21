"""The report page of a model of dependent effects and the files beside it: the same bytes on every run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from metaback.design.formula import INTERCEPT
from metaback.numbers import fixed, humanise, significant, written
from metaback.postestimation.multilevel import MultilevelAnalysis
from metaback.postestimation.multilevel_pool import as_pool
from metaback.postestimation.words import effect_digits, estimate_cell, limits_cell, percent, plural, sentence_case
from metaback.report.bibliography import reference_list, selected_bibtex
from metaback.report.document import Block, Document, Figure, Heading, Listing, Notes, Paragraph, Table
from metaback.report.formats import document_files
from metaback.report.html import render_html
from metaback.report.multilevel_methods import multilevel_methods
from metaback.report.multilevel_tables import i2_frame, multilevel_frame, multilevel_record, rows_frame
from metaback.report.multilevel_text import model_line, multilevel_table, rows_table, summary, title
from metaback.report.provenance import provenance_blocks, reading_blocks
from metaback.report.records import csv_text, json_text
from metaback.report.regression_text import joint_text
from metaback.stats.measures.family import has_null

SCHEMA = "metaback/multilevel"
SCHEMA_VERSION = 1
_SWEEP = re.compile(r"; \.sweep\([^)]*\) shows others")
_CALL = re.compile(r"; see \.\w+\([^)]*\)")


def has_one_mean(analysis: MultilevelAnalysis) -> bool:
    """Tell whether a model has a mean and no moderators, so that a forest plot can show it."""
    return tuple(analysis.coefficients) == (INTERCEPT,) and math.isfinite(analysis.coefficients[INTERCEPT].lower)


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around the numbers of a model on its page.

    title: None for one that names the table. lead: before the answer (open errors, the plan, the flow of studies);
    certainty: what people rated, for the end of the answer. reading, sensitivity, figures: below the components;
    checks: before the methods; tail: before the provenance. cites: keys of references of these parts; bib: keys for
    references.bib alone. record: further parts of results.json; files: further
    files; formats: what is written beside page and Markdown; painted: pictures for Word alone.
    """

    title: str | None = None
    lead: tuple[Block, ...] = ()
    certainty: str = ""
    reading: tuple[Block, ...] = ()
    sensitivity: tuple[Block, ...] = ()
    figures: tuple[Block, ...] = ()
    checks: tuple[Block, ...] = ()
    tail: tuple[Block, ...] = ()
    cites: tuple[str, ...] = ()
    bib: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: Mapping[str, bytes | str] = field(default_factory=dict[str, "bytes | str"])
    formats: tuple[str, ...] = ()
    painted: Mapping[str, bytes | str] = field(default_factory=dict[str, "bytes | str"])


def multilevel_document(
    analysis: MultilevelAnalysis,
    components: pd.DataFrame,
    forest: Figure | None,
    *,
    heading: str,
    record: Mapping[str, Any],
    around: Around,
) -> Document:
    """Put the page together: answer, notes, coefficients beside naive ones, components, forest, rows, methods.

    components: with columns ci_low and ci_high where there are intervals; forest: None for models with moderators;
    record: provenance, told at the end.
    """
    text, keys = multilevel_methods(analysis)
    tests = "; ".join(f"{name}: {', '.join(line.split('   '))}" for name, line in summary(analysis))
    blocks: list[Block] = [
        *around.lead,
        *reading_blocks(record),
        Heading(2, title(analysis), "model"),
        Paragraph(_answer(analysis, around.certainty), "answer"),
        *([Notes("Read this with the result", for_readers(analysis.notes))] if analysis.notes else []),
        Paragraph(f"{model_line(analysis)}. {tests}."),
        *([forest] if forest is not None else []),
        Heading(3, "Coefficients", "coefficients"),
        multilevel_table(analysis),
        Heading(3, "Variance components", "components"),
        _components(analysis, components),
        *_shares(analysis),
        *around.reading,
        *around.sensitivity,
        *around.figures,
        Heading(3, "Rows", "rows"),
        rows_table(analysis),
        *around.checks,
        Heading(2, "Methods", "methods"),
        Paragraph(text),
        Heading(2, "References", "references"),
        Listing(reference_list(tuple(dict.fromkeys((*keys, *around.cites)))), numbered=True),
        *around.tail,
        *provenance_blocks(record),
    ]
    return Document(heading, tuple(blocks))


def for_readers(notes: Sequence[str]) -> tuple[str, ...]:
    """Return notes without what they tell a user of Python to call next.

    >>> for_readers(["Errors are assumed to correlate by 0.50; .sweep(rho=[...]) shows others."])
    ('Errors are assumed to correlate by 0.50; others stand under the sensitivity analyses.',)
    """
    swept = (_SWEEP.sub("; others stand under the sensitivity analyses", note) for note in notes)
    return tuple(_CALL.sub("", note) for note in swept)


def multilevel_files(
    analysis: MultilevelAnalysis,
    components: pd.DataFrame,
    forest: Figure | None,
    *,
    name: str,
    record: Mapping[str, Any],
    around: Around,
) -> dict[str, bytes | str]:
    """Make every file of the report; name: of the table; record: its provenance."""
    heading = around.title or f"Dependent effects of {name}"
    document = multilevel_document(analysis, components, forest, heading=heading, record=record, around=around)
    found = multilevel_record(analysis)
    if "ci_low" in components:
        for part, low, high in zip(found["components"], components["ci_low"], components["ci_high"], strict=True):
            part["ci"] = [_plain(low), _plain(high)]
    results = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "title": heading, "provenance": dict(record)}
    keys = (*multilevel_methods(analysis)[1], *around.cites, *around.bib)
    files: dict[str, bytes | str] = {
        "results.json": json_text(results | found | {"studies": study_rows(analysis)} | dict(around.record)),
        "tables/coefficients.csv": _csv(multilevel_frame(analysis)),
        "tables/components.csv": _csv(components),
        "tables/i2.csv": _csv(i2_frame(analysis.heterogeneity)),
        "tables/rows.csv": _csv(rows_frame(analysis)),
        "references.bib": selected_bibtex(tuple(dict.fromkeys(keys))),
        **around.files,
    }
    files |= document_files(document, around.formats, files | dict(around.painted))
    return files | {"report.html": render_html(document)}


def methods_keys(analysis: MultilevelAnalysis, cites: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the keys of all numbered references of a page, in the order of their numbers."""
    return tuple(dict.fromkeys((*multilevel_methods(analysis)[1], *cites)))


def study_rows(analysis: MultilevelAnalysis) -> list[dict[str, Any]]:
    """Return one record per row of the table: study, effect, variance, route, numbers, and why it is not in use."""
    effects, used = analysis.fitted.effects, analysis.fitted.design.used.tolist()
    reasons = {row: why for _, row, why in analysis.left_out}
    return [
        {
            "study": effects.labels[i],
            "row": effects.rows[i],
            "used": used[i],
            "yi": _rounded(effects.yi[i]),
            "vi": _rounded(effects.vi[i]),
            "route": effects.obtained[i],
            "correction": effects.corrections[i],
            "reason": reasons.get(effects.rows[i], ""),
            "inputs": {role: _rounded(values[i]) for role, values in effects.inputs.items()},
        }
        for i in range(len(effects.labels))
    ]


def _rounded(value: Any) -> float | None:
    """Return a number as JSON has it."""
    number = float(value)
    return written(number) if math.isfinite(number) else None


def _shares(analysis: MultilevelAnalysis) -> tuple[Block, ...]:
    """Say what share of the variance each level has, nothing where that is not known."""
    found = analysis.heterogeneity
    told = [f"{fixed(part.i2, 1)}% to {part.term}" for part in found.levels if math.isfinite(part.i2)]
    if found.total is None or not math.isfinite(found.total) or len(told) < 2:
        return ()
    sampling = fixed(100 - found.total, 1)
    return (Paragraph(f"The variance of an effect is due {', '.join(told)} and {sampling}% to sampling error."),)


def _answer(analysis: MultilevelAnalysis, certainty: str = "") -> str:
    """Say in one sentence what the model finds, and how certain people rate it."""
    count = f"{plural(analysis.k, 'effect')} in {plural(len(analysis.fitted.cluster_names), 'cluster')}"
    if analysis.moderators is not None:
        names = " and ".join(analysis.moderators.terms)
        told = math.isfinite(analysis.moderators.statistic)
        together = joint_text(analysis.moderators) if told else "which cannot be tested together"
        return f"Effects against {names} ({count}): {together}."
    if not has_one_mean(analysis):
        return f"{count} were modelled with {plural(analysis.p, 'coefficient')}, given below."
    overall = as_pool(analysis).analysis.overall
    digits = effect_digits(overall.mean)
    level = percent(analysis.fitted.spec.level)
    outcome = analysis.fitted.effects.context.outcome
    about = f"{sentence_case(humanise(outcome))}: the" if outcome else "The"
    answer = f"{about} mean effect of {count} is {estimate_cell(overall.mean, digits)} ({level} CI)"
    if overall.prediction is not None:
        answer += f"; {level} prediction interval of a new effect {limits_cell(overall.prediction, digits)}"
    rated = f"; {certainty}" if certainty else ""
    return f"{answer}{rated}.{_favours(analysis)}"


def _favours(analysis: MultilevelAnalysis) -> str:
    """Say which side of no effect favours whom, nothing where the table does not tell."""
    effects = analysis.fitted.effects
    better = effects.context.higher_is_better
    if better is None or not has_null(effects.measure):
        return ""
    none = "1" if next(iter(analysis.coefficients.values())).scale == "log" else "0"
    first = humanise(effects.context.treatment_1) if effects.context.treatment_1 else "the first arm"
    return f" Values {'above' if better else 'below'} {none} favour {first}."


def _components(analysis: MultilevelAnalysis, frame: pd.DataFrame) -> Table:
    """Return the components as a table of texts, with their intervals where there are any."""
    limits = "ci_low" in frame
    level = percent(analysis.fitted.spec.level)
    rows: list[tuple[str, ...]] = []
    for i, part in enumerate(analysis.components):
        ends = [significant(float(frame[end].iloc[i])) for end in ("ci_low", "ci_high")] if limits else []
        interval = (" to ".join(ends),) if limits else ()
        rows.append((part.name, significant(part.estimate), *interval, str(part.levels), part.why))
    head = ("Component", "Estimate", *((f"{level} CI",) if limits else ()), "Levels", "Remark")
    caption = f"Variance components{', intervals by profile likelihood' if limits else ', by moments'}"
    numeric = (False, *(True for _ in head[1:-1]), False)
    return Table(caption, head, tuple(rows), numeric, file="components.csv")


def _csv(frame: pd.DataFrame) -> str:
    """Write a frame as CSV; what does not exist is blank."""
    return csv_text(list(frame.columns), [tuple(map(_plain, row)) for row in frame.itertuples(index=False)])


def _plain(value: Any) -> Any:
    """Return a cell as a plain value."""
    plain: Any = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
