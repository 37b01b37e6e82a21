"""A model of dependent effects as text for a terminal and as a card for a notebook."""

from __future__ import annotations

import math

from metaback.models.fitted import Estimate
from metaback.models.multilevel_spec import MultilevelSpec, working_of
from metaback.numbers import ABSENT, df_text, fixed, p_phrase, p_text, significant
from metaback.postestimation.multilevel import (
    NOBODY_TWICE,
    Component,
    MultilevelAnalysis,
    nobody_twice,
    shares_people,
)
from metaback.postestimation.words import percent, plural, rho_text, sentence_case
from metaback.report.document import Notes, Table
from metaback.report.html import environment, style
from metaback.report.multilevel_tables import rows_frame
from metaback.report.regression_text import note_lines
from metaback.report.words import clean, measure_words, one_line

NAME = 34
NOTE_LINES = 8
SHOWN = 200  # rows of the table that the card lists
NEXT_STEPS = "Next: .to_frame()  .components_ci()  .predict()  .blup()  .leave_one_out()  .sweep(rho=[...])"
NEXT_BY_MOMENTS = "Next: .to_frame()  .predict()  .wild_bootstrap()  .robust('CR3')"
DF_WORDS = {
    "containment": "t with containment df",
    "satterthwaite": "t with Satterthwaite df",
    "residual": "t with n − p df",
}


def multilevel_text(analysis: MultilevelAnalysis, *, hint: bool = True) -> str:
    """Return about 25 lines: the model, coefficients beside the naive ones, components, I2, tests and notes.

    hint: whether the last line names what can be asked next in Python.
    """
    names = [one_line(name) for name in analysis.coefficients]
    width = min(NAME, max(len("as if independent"), *map(len, names)))
    head = ("estimate", "SE", f"{percent(analysis.fitted.spec.level)} CI", "t" if _has_t(analysis) else "z", "df", "P")
    rows: list[tuple[str, tuple[str, ...]]] = []
    for name, part in zip(names, analysis.coefficients.values(), strict=True):
        rows.append((name, coefficient_cells(part)))
    naive = (
        [("as if independent", coefficient_cells(part)) for part in analysis.naive.values()] if len(names) == 1 else []
    )
    cells = [row for _, row in (*rows, *naive)]
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    lines = [one_line(title(analysis)), model_line(analysis), ""]
    lines += [_line("", head, width, widths), *(_line(name, row, width, widths) for name, row in (*rows, *naive)), ""]
    lines += component_lines(analysis)
    lines += [f"  {name:<12} {text}" for name, text in summary(analysis)]
    lines += [
        *note_lines(analysis.notes, NOTE_LINES),
        *([NEXT_STEPS if analysis.fitted.moments is None else NEXT_BY_MOMENTS] if hint else []),
    ]
    return "\n".join(clean(line).rstrip() for line in lines)


def multilevel_card(analysis: MultilevelAnalysis) -> str:
    """Return coefficients, components, notes and the folded table of rows as an HTML fragment, escaped."""
    words = [model_line(analysis), *(f"{part.name} {component_cell(part)}" for part in analysis.components)]
    words += [f"{name}: {text}" for name, text in summary(analysis)]
    card = environment().get_template("card.html.j2")
    return card.render(
        title=title(analysis),
        model="; ".join(words),
        pooled=multilevel_table(analysis),
        notes=Notes("Read this with the result", analysis.notes),
        studies=rows_table(analysis, SHOWN),
        checks="",
        css=style("card.css"),
    )


def multilevel_table(analysis: MultilevelAnalysis) -> Table:
    """Return the coefficients as a table of texts, the naive ones beside them."""
    level = percent(analysis.fitted.spec.level)
    rows: list[tuple[str, ...]] = []
    for name, part in analysis.coefficients.items():
        alone = analysis.naive[name]
        ratio = part.se / alone.se if alone.se > 0 else math.nan
        cells = coefficient_cells(alone)
        independent = f"{cells[0]} ({cells[2]})"
        rows.append((name, *coefficient_cells(part), independent, fixed(ratio)))
    return Table(
        caption="Coefficients",
        head=("Term", "Estimate", "SE", f"{level} CI", "t" if _has_t(analysis) else "z", "df", "P",
              "As if independent", "SE ratio"),
        rows=tuple(rows),
        numeric=(False, *(True,) * 8),
        file="coefficients.csv",
    )  # fmt: skip


def rows_table(analysis: MultilevelAnalysis, most: int | None = None) -> Table:
    """Return the rows (`most` of them at most) with effect and fixed part, or the reason why one is left out.

    The cluster stands beside the study where it is another.
    """
    frame = rows_frame(analysis)
    shown = frame if most is None else frame.head(most)
    other = bool(((frame["cluster"] != frame["study"]) & (frame["cluster"] != "")).any())
    own = analysis.fitted.spec.cluster != "effect" and other
    least = float(frame["se"].min(skipna=True))
    digits = min(max(2, 1 - math.floor(math.log10(least))), 4) if least > 0 else 2
    rows: list[tuple[str, ...]] = []
    numbers = shown[["effect", "se", "expected"]].to_numpy(dtype=float).tolist()
    words = shown[["study", "cluster", "row", "remark"]].to_numpy(dtype=object).tolist()
    for values, (study, cluster, row, remark) in zip(numbers, words, strict=True):
        cells = [fixed(value, digits) if math.isfinite(value) else ABSENT for value in values]
        rows.append((study, *([cluster or ABSENT] if own else []), row, *cells, remark))
    names = ("Study", sentence_case(str(analysis.fitted.spec.cluster)), "Row") if own else ("Study", "Row")
    if len(frame) > len(shown):
        rows.append((f"... and {len(frame) - len(shown):,} more", *[""] * (len(names) + 3)))
    numeric = (*(False,) * len(names), True, True, True, False)
    return Table("Rows", (*names, "Effect", "SE", "Expected", "Remark"), tuple(rows), numeric, file="rows.csv")


def title(analysis: MultilevelAnalysis) -> str:
    """Return the heading: what varies, over how many rows and clusters."""
    fitted = analysis.fitted
    spec = fitted.spec
    model = working_of(spec)
    random = model.title if model is not None else ", ".join(spec.random)
    left = f"; {plural(len(analysis.left_out), 'row')} left out" if analysis.left_out else ""
    formula = "" if fitted.design.model is None else f", {spec.formula}"
    count = f"{plural(analysis.k, 'effect')} in {plural(len(fitted.cluster_names), 'cluster')} ({spec.cluster}){left}"
    return f"Dependent effects: {random}{formula} ({count})"


def model_line(analysis: MultilevelAnalysis) -> str:
    """Name the measure, the likelihood, V and the rule of the intervals."""
    fitted = analysis.fitted
    scale = ", on the log scale" if next(iter(analysis.coefficients.values())).scale == "log" else ""
    parts = [
        f"{sentence_case(measure_words(fitted.effects.measure))}{scale}",
        "components by moments" if fitted.moments is not None else fitted.spec.method,
        sampling_words(analysis),
    ]
    return "; ".join([*parts, variance_words(fitted.spec)])


def sampling_words(analysis: MultilevelAnalysis) -> str:
    """Name the sampling covariance."""
    fitted = analysis.fitted
    if fitted.spec.rho is not None:
        return f"sampling correlation {rho_text(fitted.spec.rho)} assumed"
    if fitted.given is not None and shares_people(fitted):
        made = analysis.sampling
        if made is None or not made.from_table:
            return "sampling covariances given"
        assumed = "" if made.rho is None else f" (correlation {rho_text(made.rho)} assumed)"
        return f"sampling covariances from the table{assumed}"
    return f"sampling errors independent: {NOBODY_TWICE}" if nobody_twice(analysis) else "independent sampling errors"


def variance_words(spec: MultilevelSpec) -> str:
    """Name the rule of variances and degrees of freedom: `CR2 by study, t with Satterthwaite df`."""
    rule = DF_WORDS[spec.df] if spec.test == "t" else "z"
    if spec.robust != "none" and spec.df == "residual":
        rule = "t with clusters − p df"
    return rule if spec.robust == "none" else f"{spec.robust} by {spec.cluster}, {rule}"


def component_lines(analysis: MultilevelAnalysis) -> list[str]:
    """Return one line for each component, many of one term in columns."""
    shares = {part.term.split(" + ")[0]: part.i2 for part in analysis.heterogeneity.levels}
    lines: list[str] = []
    shown: set[str] = set()
    for part in analysis.components:
        share = ""
        if part.term not in shown and math.isfinite(shares.get(part.term, math.nan)):
            share = f"   I² {fixed(shares[part.term], 1)}%"
        shown.add(part.term)
        name = part.name if len(part.name) <= 2 * NAME else f"{part.name[: 2 * NAME - 1]}…"
        lines.append(f"  {one_line(name)}   {component_cell(part)}   {plural(part.levels, 'level')}{share}")
    return lines


def component_cell(part: Component) -> str:
    """Write a component: value, with its root for a variance; what is to be said where it cannot be told."""
    if not part.identifiable:
        return "not identifiable"
    given = f"   {part.why}" if part.why.startswith("given") else ""
    if part.kind == "variance":
        return f"{significant(part.estimate)} (SD {significant(math.sqrt(max(part.estimate, 0.0)))}){given}"
    if part.kind == "correlation":
        close = abs(part.estimate) < 1 and abs(round(part.estimate, 2)) == 1
        return f"{fixed(part.estimate, 3 if close else 2)}{given}"
    return f"{significant(part.estimate)}{given}"


def summary(analysis: MultilevelAnalysis) -> list[tuple[str, str]]:
    """Return the lines below the components."""
    spread = analysis.heterogeneity
    lines: list[tuple[str, str]] = []
    if analysis.moderators is not None:
        known = math.isfinite(analysis.moderators.statistic)
        lines.append(("Moderators", str(analysis.moderators) if known else "cannot be tested together"))
    total = "" if spread.total is None or math.isnan(spread.total) else f"I² {fixed(spread.total, 1)}% in total   "
    if not spread.q_df and analysis.fitted.moments is not None:
        return [*lines, ("Residual", f"{total}Q {fixed(spread.q)}")]
    lines.append(("Residual", f"{total}QE {fixed(spread.q)}, df {spread.q_df}, {p_phrase(spread.q_p)}"))
    return lines


def _line(name: str, row: tuple[str, ...], width: int, widths: list[int]) -> str:
    """Write one line of the table of coefficients."""
    short = name if len(name) <= width else f"{name[: width - 1]}…"
    return f"  {short:<{width}}  " + "  ".join(f"{text:>{w}}" for text, w in zip(row, widths, strict=True))


def _has_t(analysis: MultilevelAnalysis) -> bool:
    """Tell whether the statistics are of a t distribution."""
    return analysis.fitted.spec.test == "t"


def _digits(estimate: Estimate) -> int:
    """Return the decimals that two digits of the standard error need."""
    if math.isfinite(estimate.se) and estimate.se > 0:
        return min(max(2, 1 - math.floor(math.log10(estimate.se))), 10)
    return 2


def _limits(estimate: Estimate, digits: int) -> str:
    """Write the interval, a dash where there is none."""
    if math.isnan(estimate.lower):
        return ABSENT
    return f"{fixed(estimate.lower, digits)} to {fixed(estimate.upper, digits)}"


def coefficient_cells(estimate: Estimate) -> tuple[str, ...]:
    """Write a coefficient (estimate, SE, interval, statistic, df, P) in the decimals that its SE needs."""
    digits = _digits(estimate)
    df = ABSENT if math.isnan(estimate.df) else df_text(estimate.df)
    ends = (fixed(estimate.statistic), df, p_text(estimate.p_value))
    return fixed(estimate.point, digits), fixed(estimate.se, digits), _limits(estimate, digits), *ends
