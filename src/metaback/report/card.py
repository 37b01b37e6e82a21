"""The card that a notebook shows for a result: small, escaped, without ids or script, the same bytes each time."""

from __future__ import annotations

from metaback.numbers import humanise, p_phrase
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import comparison, counts, sentence_case
from metaback.report.html import environment, style
from metaback.report.sections import notes
from metaback.report.tables import compact_table, study_table
from metaback.report.words import measure_words, model_words


def card_html(analysis: Analysis, *, checks: str = "") -> str:
    """Return the pooled results, the notes and the folded study table of one analysis as an HTML fragment.

    checks: what the check of the table found, in words.
    """
    effects, spec = analysis.fitted.effects, analysis.spec
    words = [
        sentence_case(measure_words(effects)),
        model_words(spec),
        counts(analysis.overall),
    ]
    groups = analysis.subgroups
    if groups is not None and groups.test is not None:
        words.append(f"difference between subgroups by {humanise(groups.name)}: {p_phrase(groups.test.p_value)}")
    card = environment().get_template("card.html.j2")
    return card.render(
        title=comparison(analysis).title,
        model="; ".join(words),
        pooled=compact_table(analysis),
        notes=notes(analysis),
        studies=study_table(analysis, brief=True),
        checks=checks,
        css=style("card.css"),
    )
