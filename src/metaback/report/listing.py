"""What was asked for and not pooled: comparisons with a single study, and rows from which no effect follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import comparison, effect_digits, estimate_cell, measure_name, percent
from metaback.report.document import Block, Heading, Paragraph, Table

HEAD = ("Comparison", "Study", "Row", "Effect", "Estimate", "Why it is not pooled")


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of the file that is listed and not pooled: its comparison, its estimate where it has one, and why.

    measure: its key; effect: its name in running text.
    """

    comparison: str
    study: str
    row: str
    measure: str
    estimate: Estimate | None
    reason: str
    effect: str


def listed(single: Sequence[Analysis], unpooled: Sequence[EffectSizes]) -> tuple[Listed, ...]:
    """Return the one study of each comparison with a single study, and every row of those without any effect."""
    alone = [(a.fitted.effects, int(a.fitted.effects.estimable.argmax()), a.overall.mean, "one study") for a in single]
    without = [(effects, i, None, reason) for effects in unpooled for i, reason in enumerate(effects.reasons)]
    return tuple(
        Listed(
            comparison(effects).known or "Effect",
            effects.labels[i],
            effects.rows[i],
            effects.measure,
            estimate,
            reason,
            measure_name(effects),
        )
        for effects, i, estimate, reason in (*alone, *without)
    )


def listing_blocks(single: Sequence[Analysis], unpooled: Sequence[EffectSizes]) -> tuple[Block, ...]:
    """Return the section that lists what was not pooled; nothing when everything was."""
    rows = tuple(_cells(row) for row in listed(single, unpooled))
    if not rows:
        return ()
    level = percent(single[0].overall.mean.level) if single else "95%"
    caption = f"Comparisons that are listed, not pooled (estimates with {level} CI)"
    text = "A comparison with a single study, or with rows from which no effect follows, cannot be pooled."
    return (
        Heading(2, "Listed, not pooled", "listed"),
        Paragraph(text),
        Table(caption, HEAD, rows, (False,) * len(HEAD)),
    )


def _cells(row: Listed) -> tuple[str, ...]:
    """Write one row of the table."""
    digits = effect_digits(row.estimate) if row.estimate else 0
    estimate = estimate_cell(row.estimate, digits)
    return row.comparison, row.study, row.row, row.effect, estimate, row.reason
