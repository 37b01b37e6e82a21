"""The report page of a meta-regression and the files beside it: the same bytes on every run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from metaback.effects.effect_sizes import EffectSizes
from metaback.numbers import ABSENT, fixed, p_phrase, significant
from metaback.postestimation.regression import RegressionAnalysis, fitted_values
from metaback.postestimation.words import percent, plural
from metaback.report.bibliography import reference_list, selected_bibtex
from metaback.report.document import Block, Document, Heading, Listing, Notes, Paragraph, Table
from metaback.report.html import render_html
from metaback.report.provenance import provenance_blocks, reading_blocks
from metaback.report.records import csv_text, json_text
from metaback.report.regression_methods import regression_methods
from metaback.report.regression_tables import (
    beside_frame,
    coefficients_frame,
    predictions_frame,
    regression_record,
    terms_frame,
)
from metaback.report.regression_text import coefficient_cells, coefficient_table, joint_text, row_table
from metaback.report.words import measure_words, model_words, tau2_texts

SCHEMA = "metaback/regression"
SCHEMA_VERSION = 1


def regression_document(analysis: RegressionAnalysis, *, title: str, record: Mapping[str, Any]) -> Document:
    """Put the page together: the answer, notes, coefficients, tests, heterogeneity, rows, methods, references.

    record: provenance, told at the end.
    """
    text, keys = regression_methods(analysis)
    fitted = analysis.fitted
    left = f"; {plural(len(analysis.left_out), 'row')} left out" if analysis.left_out else ""
    blocks: list[Block] = [
        *reading_blocks(record),
        Heading(2, f"Meta-regression {fitted.spec.formula}", "regression"),
        Paragraph(_answer(analysis), "answer"),
        *([Notes("Read this with the result", analysis.notes)] if analysis.notes else []),
        Paragraph(
            f"{_effects(fitted.effects)}; model: {model_words(fitted.spec.pool)}; "
            f"{plural(analysis.k, 'effect')}{left}, {plural(analysis.p, 'coefficient')}."
        ),
        Heading(3, "Coefficients", "coefficients"),
        coefficient_table(analysis),
        *([_beside(analysis)] if analysis.beside else []),
        *([_terms(analysis)] if analysis.terms else []),
        Heading(3, "Residual heterogeneity", "heterogeneity"),
        Paragraph(_heterogeneity(analysis)),
        Heading(3, "Studies", "studies"),
        row_table(analysis),
        Heading(2, "Methods", "methods"),
        Paragraph(text),
        Heading(2, "References", "references"),
        Listing(reference_list(keys), numbered=True),
        *provenance_blocks(record),
    ]
    return Document(title, tuple(blocks))


def regression_files(analysis: RegressionAnalysis, name: str, record: Mapping[str, Any]) -> dict[str, bytes | str]:
    """Make every file of the report; name: of the table; record: its provenance."""
    title = f"Meta-regression of {name}"
    results = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "title": title, "provenance": dict(record)}
    return {
        "report.html": render_html(regression_document(analysis, title=title, record=record)),
        "results.json": json_text(results | regression_record(analysis)),
        "tables/coefficients.csv": _csv(coefficients_frame(analysis)),
        **({"tables/coefficients_beside.csv": _csv(beside_frame(analysis))} if analysis.beside else {}),
        "tables/terms.csv": _csv(terms_frame(analysis)),
        "tables/rows.csv": _csv(_rows(analysis)),
        "references.bib": selected_bibtex(regression_methods(analysis)[1]),
    }


def _effects(effects: EffectSizes) -> str:
    """Name the measure of the effects, or say that they are taken as given."""
    return "Effects are taken as given" if effects.measure == "GEN" else f"Effects are the {measure_words(effects)}"


def _answer(analysis: RegressionAnalysis) -> str:
    """Say in one sentence what the moderators explain."""
    names = " and ".join(term.name for term in analysis.terms)
    if analysis.moderators is None:
        return f"The formula has no moderator: the intercept is the pooled effect of {plural(analysis.k, 'effect')}."
    of = "the variance between and within studies" if analysis.dependent else "the between-study variance"
    share = "" if analysis.r2 is None else f"; they explain {fixed(analysis.r2, 0)}% of {of}"
    many = "together" if len(analysis.terms) > 1 else "overall"
    return f"Effects against {names} ({plural(analysis.k, 'effect')}): {many} {joint_text(analysis.moderators)}{share}."


def _beside(analysis: RegressionAnalysis) -> Table:
    """Return the coefficients that the other way to take rows of one study gives: independent, or the working model."""
    other = "every row as independent" if analysis.dependent else "a working model of dependent rows, robust by study"
    level, own = percent(analysis.fitted.spec.pool.level), not analysis.dependent
    head = ("Term", "Estimate", "SE", f"{level} CI", "t" if own else "Statistic", *(["df"] if own else []), "P")
    return Table(
        caption=f"For comparison, not the answer: {other}",
        head=head,
        rows=tuple((name, *coefficient_cells(one, own=own)) for name, one in analysis.beside.items()),
        numeric=(False, *(True for _ in head[1:])),
        file="coefficients_beside.csv",
    )


def _terms(analysis: RegressionAnalysis) -> Table:
    """Return the test of each term and how collinear it is."""
    rows = [
        (t.name, joint_text(t.test), *(ABSENT if v is None else fixed(v) for v in (t.gvif, t.gsif)))
        for t in analysis.terms
    ]
    return Table(
        caption="Tests of terms, and their (generalised) variance inflation: the factor, and its root by df",
        head=("Term", "Test", "GVIF", "GVIF^(1/2df)"),
        rows=tuple(rows),
        numeric=(False, True, True, True),
        file="terms.csv",
    )


def _heterogeneity(analysis: RegressionAnalysis) -> str:
    """Say what the moderators leave unexplained."""
    found, level = analysis.heterogeneity, percent(analysis.fitted.spec.pool.level)
    parts = [f"QE was {fixed(found.q)} on {found.q_df} df ({p_phrase(math.nan if found.q_p is None else found.q_p)})"]
    if found.tau2 is not None:
        point, ends = tau2_texts(found)
        limits = f" ({level} CI {' to '.join(ends)})" if ends else ""
        where = "variance" if analysis.dependent else "between-study variance"
        parts.append(f"the residual {where} τ² was {point}{limits}")
        parts.append(f"I² was {fixed(found.i2_tau2, 0)}%")
    if len(analysis.components) and all(part.told for part in analysis.components):
        both = " and ".join(f"{significant(part.tau2)} {part.name}" for part in analysis.components)
        parts.append(f"τ² is the sum of {both}")
    if analysis.r2 is not None:
        parts.append(f"the moderators lower τ² by {fixed(analysis.r2, 0)}% (R²)")
    return f"{'; '.join(parts)}."


def _rows(analysis: RegressionAnalysis) -> pd.DataFrame:
    """Return every row of the table: effect and prediction where it is in use, else the reason."""
    effects, used = analysis.fitted.effects, analysis.fitted.design.used
    reasons = {row: why for _, row, why in analysis.left_out}
    frame = pd.DataFrame(
        {
            "row": effects.rows,
            "study": effects.labels,
            "yi": effects.yi,
            "vi": effects.vi,
            "used": used,
            "reason": [reasons.get(row, "") for row in effects.rows],
        }
    )
    expected = predictions_frame(fitted_values(analysis.fitted), {}).set_index(frame.index[used])
    return frame.join(expected[["estimate", "se", "ci_low", "ci_high", "pi_low", "pi_high"]])


def _csv(frame: pd.DataFrame) -> str:
    """Write a frame as CSV; what does not exist is blank."""
    columns: Sequence[str] = list(frame.columns)
    return csv_text(columns, [tuple(map(_plain, row)) for row in frame.itertuples(index=False)])


def _plain(value: Any) -> Any:
    """Return a cell as a plain value."""
    plain: Any = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
