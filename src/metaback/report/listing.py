"""What was asked for and not pooled: comparisons with a single study, and rows from which no effect follows."""

from __future__ import annotations

from collections.abc import Sequence

from metaback.effects.effect_sizes import EffectSizes
from metaback.numbers import ABSENT, humanise
from metaback.postestimation.summary import Analysis
from metaback.report.document import Block, Heading, Paragraph, Table
from metaback.report.words import comparison, effect_digits, estimate_cell, measure_name, percent

HEAD = ("Comparison", "Study", "Row", "Effect", "Estimate", "Why it is not pooled")


def listing_blocks(single: Sequence[Analysis], unpooled: Sequence[EffectSizes]) -> tuple[Block, ...]:
    """Return the section that lists what was not pooled; nothing when everything was."""
    rows = [_single_row(analysis) for analysis in single]
    rows += [row for effects in unpooled for row in _unpooled_rows(effects)]
    if not rows:
        return ()
    level = percent(single[0].overall.mean.level) if single else "95%"
    caption = f"Comparisons that are listed, not pooled (estimates with {level} CI)"
    text = "A comparison with a single study, or with rows from which no effect follows, cannot be pooled."
    numeric = (False, False, False, False, False, False)
    return (
        Heading(2, "Listed, not pooled", "listed"),
        Paragraph(text),
        Table(caption, HEAD, tuple(rows), numeric),
    )


def effects_title(effects: EffectSizes) -> str:
    """Name a comparison that has no analysis."""
    context = effects.context
    outcome = humanise(context.outcome or "Effect")
    title = outcome[:1].upper() + outcome[1:]
    if context.treatment_1 and context.treatment_2:
        return f"{title}: {humanise(context.treatment_1)} vs {humanise(context.treatment_2)}"
    return title


def _single_row(analysis: Analysis) -> tuple[str, ...]:
    """Write the one study of a comparison."""
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    i = int(effects.estimable.argmax())
    cell = estimate_cell(mean, effect_digits(mean))
    name = measure_name(effects.measure)
    return (comparison(analysis).title, effects.labels[i], effects.rows[i], name, cell, "one study")


def _unpooled_rows(effects: EffectSizes) -> list[tuple[str, ...]]:
    """Write the rows of a comparison without any effect."""
    title, name = effects_title(effects), measure_name(effects.measure)
    return [
        (title, label, row, name, ABSENT, reason)
        for label, row, reason in zip(effects.labels, effects.rows, effects.reasons, strict=True)
    ]
