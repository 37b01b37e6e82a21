"""A meta-regression as text for a terminal and as a card for a notebook."""

from __future__ import annotations

import math
import textwrap

from metaback.models.fitted import Estimate
from metaback.numbers import ABSENT, df_text, fixed, p_phrase, p_text
from metaback.postestimation.regression import STABLE_R2, JointTest, RegressionAnalysis, fitted_values
from metaback.postestimation.words import percent, plural, sentence_case
from metaback.report.document import Notes, Table
from metaback.report.html import environment, style
from metaback.report.words import clean, measure_words, model_words, one_line, tau2_cell

WIDTH = 100
NAME = 34
NOTE_LINES = 6
NEXT_STEPS = "Next: .to_frame()  .terms()  .contrast()  .predict(frame)  .permutation_test()  .report()"


def regression_text(analysis: RegressionAnalysis) -> str:
    """Return about 20 lines: what was regressed on what, coefficients, tests, residual heterogeneity and notes.

    Only the coefficients (one line each) grow with the formula.
    """
    names = [one_line(name) for name in analysis.coefficients]
    width = min(NAME, max(map(len, names)))
    cells = [_cells(e) for e in analysis.coefficients.values()]
    head = ("estimate", "SE", f"{percent(analysis.fitted.spec.pool.level)} CI", _statistic_name(analysis), "P")
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    lines = [
        one_line(_title(analysis)),
        _model(analysis),
        "",
        f"  {'':<{width}}  " + "  ".join(f"{text:>{w}}" for text, w in zip(head, widths, strict=True)),
    ]
    for name, row in zip(names, cells, strict=True):
        short = name if len(name) <= width else f"{name[: width - 1]}…"
        lines.append(f"  {short:<{width}}  " + "  ".join(f"{t:>{w}}" for t, w in zip(row, widths, strict=True)))
    lines += ["", *(f"  {name:<12} {text}" for name, text in _summary(analysis)), *_note_lines(analysis), NEXT_STEPS]
    return "\n".join(clean(line).rstrip() for line in lines)


def regression_card(analysis: RegressionAnalysis) -> str:
    """Return coefficients, tests, notes and the folded table of rows as an HTML fragment, escaped."""
    words = [_model(analysis), *(f"{name}: {text}" for name, text in _summary(analysis))]
    card = environment().get_template("card.html.j2")
    return card.render(
        title=_title(analysis),
        model="; ".join(words),
        pooled=coefficient_table(analysis),
        notes=Notes("Read this with the result", analysis.notes),
        studies=row_table(analysis),
        checks="",
        css=style("card.css"),
    )


def coefficient_table(analysis: RegressionAnalysis) -> Table:
    """Return the coefficients as a table of texts."""
    level = percent(analysis.fitted.spec.pool.level)
    return Table(
        caption="Coefficients",
        head=("Term", "Estimate", "SE", f"{level} CI", _statistic_name(analysis), "P"),
        rows=tuple((name, *_cells(estimate)) for name, estimate in analysis.coefficients.items()),
        numeric=(False, True, True, True, True, True),
        file="coefficients.csv",
    )


def row_table(analysis: RegressionAnalysis) -> Table:
    """Return every row of the table with its effect and fitted value, or the reason why it is left out."""
    fitted = analysis.fitted
    effects = fitted.effects
    expected = iter(fitted_values(fitted))
    rows: list[tuple[str, ...]] = []
    reasons = {row: why for _, row, why in analysis.left_out}
    for i, (label, row) in enumerate(zip(effects.labels, effects.rows, strict=True)):
        used = bool(fitted.design.used[i])
        effect = fixed(float(effects.yi[i])) if effects.estimable[i] else ABSENT
        at = fixed(next(expected).mean.point) if used else ABSENT
        rows.append((label, row, effect, at, "" if used else f"left out: {reasons.get(row, '')}"))
    return Table(
        caption="Rows",
        head=("Study", "Row", "Effect", "Fitted", "Remark"),
        rows=tuple(rows),
        numeric=(False, False, True, True, False),
        file="rows.csv",
    )


def joint_text(test: JointTest) -> str:
    """Write a joint test: `F(4, 14) = 0.68, P = 0.62` or `χ²(4) = 2.73, P = 0.60`."""
    return str(test)


def _title(analysis: RegressionAnalysis) -> str:
    """Return the heading: the formula, and how many rows it rests on."""
    left = f"; {plural(len(analysis.left_out), 'row')} left out" if analysis.left_out else ""
    count = f"{plural(analysis.k, 'effect')}, {plural(analysis.p, 'coefficient')}{left}"
    return f"Meta-regression {analysis.fitted.spec.formula} ({count})"


def _model(analysis: RegressionAnalysis) -> str:
    """Name the measure and the model."""
    fitted = analysis.fitted
    scale = ", on the log scale" if next(iter(analysis.coefficients.values())).scale == "log" else ""
    return f"{sentence_case(measure_words(fitted.effects.measure))}{scale}, {model_words(fitted.spec.pool)}"


def _statistic_name(analysis: RegressionAnalysis) -> str:
    """Name the statistic of the coefficients."""
    df = float(analysis.fitted.fit.df)
    return "z" if math.isinf(df) else f"t({df_text(df)})"


def _cells(estimate: Estimate) -> tuple[str, ...]:
    """Write a coefficient with the decimals that two digits of its standard error need."""
    digits = 2
    if math.isfinite(estimate.se) and estimate.se > 0:
        digits = min(max(2, 1 - math.floor(math.log10(estimate.se))), 10)
    limits = f"{fixed(estimate.lower, digits)} to {fixed(estimate.upper, digits)}"
    statistic = fixed(estimate.statistic)
    return fixed(estimate.point, digits), fixed(estimate.se, digits), limits, statistic, p_text(estimate.p_value)


def _summary(analysis: RegressionAnalysis) -> list[tuple[str, str]]:
    """Return the lines below the coefficients."""
    spread = analysis.heterogeneity
    lines: list[tuple[str, str]] = []
    if analysis.moderators is not None:
        lines.append(("Moderators", joint_text(analysis.moderators)))
    parts = [f"QE {fixed(spread.q)}, df {df_text(spread.q_df)}, {p_phrase(spread.q_p)}"]
    if spread.tau2 is not None:
        parts = [f"τ² {tau2_cell(spread)}", f"I² {fixed(spread.i2_tau2, 1)}%", *parts]
    lines.append(("Residual", "   ".join(parts)))
    if analysis.r2 is not None:
        doubt = f" (from {analysis.k} effects: may be far off)" if analysis.k < STABLE_R2 else ""
        lines.append(("R²", f"{fixed(analysis.r2, 1)}% of τ² explained{doubt}"))
    return lines


def _note_lines(analysis: RegressionAnalysis) -> list[str]:
    """Return the notes, two lines each at most and six together."""
    lines: list[str] = []
    for position, point in enumerate(analysis.notes):
        wrapped = textwrap.wrap(one_line(point), WIDTH - 4, max_lines=2, placeholder=" …")
        if len(lines) + len(wrapped) > NOTE_LINES:
            return [*lines, f"  ! {plural(len(analysis.notes) - position, 'more note')}: see .notes"]
        lines += [f"  ! {wrapped[0]}", *(f"    {line}" for line in wrapped[1:])]
    return lines
