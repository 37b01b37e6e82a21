"""The figures beside the forest plot in a report: which are drawn of one comparison, and why others are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from metaback.errors import MetabackError
from metaback.numbers import parse_number
from metaback.plots.figures import draw_figure
from metaback.plots.funnel_data import FEWEST
from metaback.plots.registry import FIGURES
from metaback.plots.rob_words import rob_columns
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import comparison, plural

# Fewest effects of each figure that is drawn unasked. Leave-one-out of two would show each study alone, which the
# forest does. The rule of influence looks for leverage above 3 / k, which nothing can reach below four.
LEAST = {"leave-one-out": 3, "cumulative": 3, "baujat": 4, "influence": 4}
MOST = 100  # effects above which a figure with a row for each is no longer read
PER_ROW = frozenset({"leave-one-out", "cumulative", "influence"})
FORESTS = frozenset({"leave-one-out", "cumulative"})
USUAL = ("risk-of-bias", "funnel", "leave-one-out", "cumulative", "baujat", "influence")
NAIVE = frozenset({"radial", "drapery", "profile", "gosh"})
ALONE = "Every row is taken as independent here."
NO_MODEL = "it takes every effect for a study of its own, and here effects of a study depend on each other."
READ = {
    "risk-of-bias": "Judgements of each study, and their shares.",
    "funnel": "Shaded: where single effects would be significant; dashed: where they would lie if all were one.",
    "leave-one-out": "Each row is the pool without the one that it names.",
    "cumulative": "Each row is the pool of that study and all above it.",
    "baujat": "Right: adds much to the heterogeneity; up: moves the pooled effect.",
    "influence": "What the pool loses or gains with each {unit}; dashed: limits of the usual rules of thumb.",
}


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """One figure of a report: its key, the drawing, its title, what to read in it, text alternative, and what it cites.

    subject: the comparison; read: one sentence or "".
    """

    key: str
    drawing: Figure
    title: str
    subject: str
    read: str
    alt: str
    cites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A figure that is not drawn, and why, in a sentence."""

    key: str
    why: str


def report_figures(
    analysis: Analysis,
    asked: Sequence[str] | None = None,
    *,
    layout: str = "standard",
    usual: Sequence[str] = USUAL,
) -> Iterator[ReportFigure | LeftOut]:
    """Draw the figures of one comparison that stand beside its forest plot, or say why one is not drawn.

    asked: keys of `FIGURES` that a plan names, all tried, and said where they cannot be drawn; None for the usual ones
    where they can be read: funnel from 10 studies, leave-one-out from 3 effects, plot of Baujat and influence from 4,
    cumulative where the table has years, risk of bias where it has judgements; those with a row per effect up to 100;
    influence not of dependent rows.
    layout: of the forests among them. usual: what is tried unasked.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> [found.key for found in report_figures(mb.pool(pain).analysis)]
    ['funnel', 'leave-one-out', 'cumulative', 'baujat', 'influence']
    """
    for key in usual if asked is None else dict.fromkeys(asked):
        if key == "forest":
            continue
        if asked is None and not _has_material(analysis, key):
            continue
        why = _unreadable(analysis, key) if asked is None else ""
        yield LeftOut(key, why) if why else _drawn(analysis, key, layout)


def _has_material(analysis: Analysis, key: str) -> bool:
    """Tell whether the table has what a figure is about; nobody misses the others."""
    moderators = analysis.fitted.effects.moderators
    if key == "risk-of-bias":
        return bool(rob_columns(list(moderators)))
    return key != "cumulative" or _years(analysis) > 1


def _years(analysis: Analysis) -> int:
    """Count the years of the pooled rows."""
    effects = analysis.fitted.effects
    cells = effects.moderators.get("year")
    if cells is None:
        return 0
    found = {parse_number(str(cell)) for cell, used in zip(cells, effects.estimable, strict=True) if used}
    return len(found - {None})


def _unreadable(analysis: Analysis, key: str) -> str:
    """Say why a figure would mislead or not be read, "" where it can be."""
    k, studies, name = analysis.overall.k, analysis.overall.studies, FIGURES[key].title
    if key == "funnel" and studies < FEWEST:
        return (
            f"No funnel plot: with {plural(studies, 'study', 'studies')}, fewer than {FEWEST}, chance alone makes it "
            "look skewed, and tests of asymmetry have little power."
        )
    rows, of = (studies, plural(studies, "study", "studies")) if analysis.dependent else (k, plural(k, "effect"))
    if rows < LEAST.get(key, 2):
        alone = "each row would be a single study" if rows > 1 else "nothing would be left"
        few = alone if key == "leave-one-out" else "there is too little to compare"
        return f"No figure “{name}”: with {of} {few}."
    if key == "influence" and analysis.dependent:  # its eight panels take as long as the rest of such a comparison
        return f"No figure “{name}” unless a plan names it: the plot of Baujat shows which studies move the pool."
    if key in PER_ROW and rows > MOST:
        return f"No figure “{name}”: {rows:,} rows would not be read; the functions of the package give its numbers."
    return ""


def _drawn(analysis: Analysis, key: str, layout: str) -> ReportFigure | LeftOut:
    """Draw one figure; a refusal in words becomes the reason."""
    entry = FIGURES[key]
    options: dict[str, Any] = {"layout": layout} if key in FORESTS else {}
    if key == "cumulative":
        options["order"] = "year" if _years(analysis) > 1 else "precision"
    try:
        drawing = draw_figure(key, analysis, options=options)
    except MetabackError as error:
        if analysis.dependent and key in NAIVE:
            return LeftOut(key, f"No figure “{entry.title}”: {NO_MODEL}")
        return LeftOut(key, f"No figure “{entry.title}”: {str(error).rstrip('.')}.")
    subject, alt = comparison(analysis).title, str(drawing.get_label())
    words = READ.get(key, "").format(unit="study" if analysis.dependent else "row")
    read = " ".join(text for text in (words, ALONE if key in NAIVE and analysis.dependent else "") if text)
    return ReportFigure(key, drawing, entry.title, subject, read, alt, entry.cite)
