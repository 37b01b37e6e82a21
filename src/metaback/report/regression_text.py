"""A meta-regression as text for a terminal and as a card for a notebook."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from metaback.models.fitted import Estimate
from metaback.numbers import ABSENT, df_text, fixed, p_phrase, p_text, significant
from metaback.postestimation.regression import STABLE_R2, JointTest, RegressionAnalysis, fitted_values
from metaback.postestimation.words import percent, plural, sentence_case
from metaback.report.document import Notes, Table
from metaback.report.html import environment, style
from metaback.report.words import clean, measure_words, model_words, one_line, tau2_cell

WIDTH = 100
NAME = 34
NOTE_LINES = 6
NEXT_STEPS = "Next: .to_frame()  .terms()  .contrast()  .predict(frame)  .permutation_test()  .report()"
NEXT_OF_LEVELS = "Next: .to_frame()  .terms()  .contrast()  .predict(frame)  .robust()  .beside  .report()"


def regression_text(analysis: RegressionAnalysis) -> str:
    """Return about 20 lines: what was regressed on what, coefficients, tests, residual heterogeneity and notes.

    Only the coefficients (one line each) grow with the formula.
    """
    names = [one_line(name) for name in analysis.coefficients]
    width = min(NAME, max(map(len, names)))
    own = own_df(analysis)
    cells = [coefficient_cells(e, own=own) for e in analysis.coefficients.values()]
    head = ("estimate", "SE", f"{percent(analysis.fitted.spec.pool.level)} CI", *_statistic_names(analysis), "P")
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    lines = [
        one_line(_title(analysis)),
        _model(analysis),
        "",
        f"  {'':<{width}}  " + "  ".join(f"{text:>{w}}" for text, w in zip(head, widths, strict=True)),
    ]
    last = NEXT_OF_LEVELS if analysis.dependent else NEXT_STEPS
    for name, row in zip(names, cells, strict=True):
        short = name if len(name) <= width else f"{name[: width - 1]}…"
        lines.append(f"  {short:<{width}}  " + "  ".join(f"{t:>{w}}" for t, w in zip(row, widths, strict=True)))
    lines += [
        "",
        *(f"  {name:<12} {text}" for name, text in _summary(analysis)),
        *note_lines(analysis.notes, NOTE_LINES),
        last,
    ]
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
    level, own = percent(analysis.fitted.spec.pool.level), own_df(analysis)
    head = ("Term", "Estimate", "SE", f"{level} CI", *_statistic_names(analysis), "P")
    return Table(
        caption="Coefficients",
        head=head,
        rows=tuple((name, *coefficient_cells(estimate, own=own)) for name, estimate in analysis.coefficients.items()),
        numeric=(False, *(True for _ in head[1:])),
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


def own_df(analysis: RegressionAnalysis) -> bool:
    """Tell whether every coefficient has degrees of freedom of its own."""
    return analysis.fitted.robust is not None


def _statistic_names(analysis: RegressionAnalysis) -> tuple[str, ...]:
    """Name the statistic of the coefficients, and the column of their degrees of freedom where these differ."""
    df = float(analysis.fitted.fit.df)
    if own_df(analysis):
        return "t", "df"
    return ("z",) if math.isinf(df) else (f"t({df_text(df)})",)


def coefficient_cells(estimate: Estimate, *, own: bool = False) -> tuple[str, ...]:
    """Write a coefficient with the decimals that two digits of its standard error need; own: also its df."""
    digits = 2
    if math.isfinite(estimate.se) and estimate.se > 0:
        digits = min(max(2, 1 - math.floor(math.log10(estimate.se))), 10)
    known = math.isfinite(estimate.lower)
    limits = f"{fixed(estimate.lower, digits)} to {fixed(estimate.upper, digits)}" if known else ABSENT
    statistic = (fixed(estimate.statistic), *([fixed(estimate.df, 1)] if own else []))
    return fixed(estimate.point, digits), fixed(estimate.se, digits), limits, *statistic, p_text(estimate.p_value)


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
    if len(analysis.components) and all(part.told for part in analysis.components):
        lines.append(("τ² of", "   ".join(f"{part.name} {significant(part.tau2)}" for part in analysis.components)))
    if analysis.r2 is not None:
        units, what = analysis.fitted.units, "studies" if analysis.dependent else "effects"
        doubt = f" (from {units} {what}: may be far off)" if units < STABLE_R2 else ""
        lines.append(("R²", f"{fixed(analysis.r2, 1)}% of τ² explained{doubt}"))
    return lines


def note_lines(notes: Sequence[str], most: int) -> list[str]:
    """Return notes as lines of text, two each at most and `most` together; how many more there are is said."""
    lines: list[str] = []
    for position, point in enumerate(notes):
        wrapped = textwrap.wrap(one_line(point), WIDTH - 4, max_lines=2, placeholder=" …")
        if len(lines) + len(wrapped) > most:
            return [*lines, f"  ! {plural(len(notes) - position, 'more note')}: see .notes"]
        lines += [f"  ! {wrapped[0]}", *(f"    {line}" for line in wrapped[1:])]
    return lines
