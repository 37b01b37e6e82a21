"""What a report says of rows that depend on each other: the working model beside the pool that ignores it."""

from __future__ import annotations

import math

from metaback.numbers import ABSENT, fixed, p_text, significant
from metaback.postestimation.number_styles import STANDARD, NumberStyle, restyled
from metaback.postestimation.summary import Analysis, Component, PoolSummary, Working
from metaback.postestimation.words import effect_digits, estimate_cell, percent, percent_cell
from metaback.report.document import Block, Heading, Paragraph, Table

SENTENCES = 12  # of what depends on what, that a page shows


def dependence_blocks(analysis: Analysis, *, anchor: str, style: NumberStyle = STANDARD) -> tuple[Block, ...]:
    """Return heading, the two answers side by side, the components, other correlations, and what depends on what.

    anchor: fragment of the comparison; style: how numbers are written. Nothing where every study has one row.
    """
    working = analysis.working
    if working is None:
        return ()
    blocks: list[Block] = [
        Heading(3, "Effects that depend on each other", f"{anchor}-dependence"),
        _beside(working, effect_digits(analysis.overall.mean), style),
    ]
    if components := _components(working):
        blocks.append(Paragraph(components))
    if working.grid:
        blocks.append(_grid(working, effect_digits(analysis.overall.mean), style))
    told = working.sentences[:SENTENCES]
    more = len(working.sentences) - len(told)
    blocks.append(Paragraph(" ".join([*told, *([f"{more} more: see results.json."] if more > 0 else [])])))
    return tuple(blocks)


def _beside(working: Working, digits: int, style: NumberStyle) -> Table:
    """Return the answer of the working model and that of independent rows, the one that counts first."""
    one = working.pool.studies < 2
    first = "Taken together by their covariance" if one else "Working model, robust variance"
    both = [(first, working.pool), ("Every row as independent", working.naive)]
    rows = both if working.primary else both[::-1]
    why = "" if working.primary else f" The second is not the answer here: {working.why}."
    return Table(
        caption=f"The same effects with and without their dependence.{why}",
        head=("Model", f"Estimate [{percent(working.spec.level)} CI]", "SE", style.p_letter, "Prediction", "τ²", "I²"),
        rows=tuple(_row(name, pool, digits, style) for name, pool in rows),
        numeric=(False, True, True, True, True, True, True),
        strong=(0,),
    )


def _row(name: str, pool: PoolSummary, digits: int, style: NumberStyle) -> tuple[str, ...]:
    """Write one answer."""
    found = pool.heterogeneity
    cells = (
        estimate_cell(pool.mean, digits),
        significant(pool.mean.se),
        p_text(pool.mean.p_value) if math.isfinite(pool.mean.p_value) else ABSENT,
        ABSENT if pool.prediction is None else estimate_cell(pool.prediction, digits).partition(" ")[2],
        ABSENT if found.tau2 is None else significant(found.tau2),
        percent_cell(found.i2_tau2),
    )
    return (name, *(restyled(cell, style) for cell in cells))


def _components(working: Working) -> str:
    """Say how much effects vary between and within studies."""
    if not working.components:
        return ""
    if not any(part.tau2 for part in working.components):
        ends = " and ".join(f"{significant(part.high)} {part.name}" for part in working.components if part.high)
        limits = f", with upper limits of {ends}" if ends else ""
        return f"The variance of true effects is estimated as 0, between and within studies{limits}.{_wider(working)}"
    told = all(part.told for part in working.components)
    level = percent(working.spec.level)
    parts = [
        f"{significant(part.tau2)}{_limits(part, level)} {part.name} ({percent_cell(part.i2)} of the variance)"
        for part in working.components
    ]
    if not told:
        total = sum(part.tau2 for part in working.components)
        apart = f"The variances between and within studies cannot be told apart; their sum is {significant(total)}."
        return f"{apart}{_wider(working)}"
    return f"The variance of true effects is {' and '.join(parts)}.{_wider(working)}"


def _limits(part: Component, level: str) -> str:
    """Write the profile likelihood limits of a component, nothing where it has none."""
    if part.low is None or part.high is None:
        return ""
    return f" ({level} profile likelihood CI {significant(part.low)} to {significant(part.high)})"


def _wider(working: Working) -> str:
    """Say how the robust interval compares with that of independent rows, nothing where that has no width."""
    if not math.isfinite(working.widened):
        return ""
    return f" The robust interval is {fixed(working.widened)} times as wide as that of independent rows."


def _grid(working: Working, digits: int, style: NumberStyle) -> Table:
    """Return the pool under other correlations of effects on the same people."""
    return Table(
        caption=f"The pool under other correlations of effects on the same people; {working.spec.rho:g} was assumed.",
        head=("Correlation", f"Estimate [{percent(working.spec.level)} CI]", style.p_letter, "τ²"),
        rows=tuple(
            (
                f"{part.rho:g}",
                restyled(estimate_cell(part.mean, digits), style),
                restyled(p_text(part.mean.p_value) if math.isfinite(part.mean.p_value) else ABSENT, style),
                restyled(significant(part.tau2), style),
            )
            for part in working.grid
        ),
        numeric=(False, True, True, True),
        strong=tuple(i for i, part in enumerate(working.grid) if part.rho == working.spec.rho),
    )
