"""The contents of the influence figure as plain values: eight diagnostics of each study, with what they are held to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaback.models.fitted import Fitted
from metaback.models.specs import estimates_tau2
from metaback.numbers import fixed, significant
from metaback.plots.forest_words import distinct_labels
from metaback.postestimation.influence import OUTLYING, Influence
from metaback.postestimation.study_influence import influence_of
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import comparison, plural
from metaback.stats.deletion import flag_limits
from metaback.stats.wls import Bools, Floats

DRAWN = 500  # rows above which only those that are flagged are drawn


@dataclass(frozen=True, slots=True)
class InfluencePanel:
    """One diagnostic: (n,) values, nan where a row has none; the value of the whole fit, and limits or expectations.

    lines: values that are drawn dashed because `flags` or the rule of outlying rows goes by them. beyond: (n,) rows
    whose value lies beyond a line.
    """

    key: str
    title: str
    values: Floats
    reference: float | None
    lines: tuple[float, ...]
    beyond: Bools


@dataclass(frozen=True, slots=True)
class InfluenceData:
    """An influence figure before it is drawn: rows of the table down, eight diagnostics across.

    influential, outlying: (n,) rows by the usual rules of thumb.
    """

    title: str
    labels: tuple[str, ...]
    panels: tuple[InfluencePanel, ...]
    influential: Bools
    outlying: Bools
    footnotes: tuple[str, ...]
    alt: str


def influence_data(analysis: Analysis, *, title: str | None = None) -> InfluenceData:
    """Return the contents of the influence figure of a pool: the eight panels of `metafor::plot.infl.rma.uni`.

    Lines: rstudent at +-1.96 and the limits of `metaback.stats.deletion.flag_limits`; references: 0 for residuals and
    DFFITS, 1 for the ratio of covariances, tau2 and Q of all, the mean hat value and the mean weight. Above 500 rows
    only those that are flagged are drawn, which the notes tell.

    Edges: k = 1 has hat and weight only, and says so. A row without an effect keeps its place.
    """
    fitted = analysis.fitted
    found = influence_of(analysis)
    panels = _panels(found, fitted, analysis)
    rows = _rows(found)
    name = comparison(analysis)
    return InfluenceData(
        title=name.known if title is None else title,
        labels=tuple(distinct_labels(_names(found, analysis))[i] for i in rows),
        panels=tuple(_taken(panel, rows) for panel in panels),
        influential=found.influential[rows],
        outlying=found.outlying[rows],
        footnotes=_footnotes(found, analysis, len(rows)),
        alt=_alt(found, analysis),
    )


def _names(found: Influence, analysis: Analysis) -> tuple[str, ...]:
    """Return the label of each row, or of each study where its rows are modelled together."""
    return found.labels if analysis.dependent else analysis.fitted.effects.labels


def _count(analysis: Analysis) -> int:
    """Count the rows, or the studies where rows of a study are modelled together."""
    return analysis.overall.studies if analysis.dependent else analysis.overall.k


def _rows(found: Influence) -> list[int]:
    """Return the rows that are drawn."""
    every = len(found.labels)
    return list(range(every)) if every <= DRAWN else np.flatnonzero(found.influential | found.outlying).tolist()


def _taken(panel: InfluencePanel, rows: list[int]) -> InfluencePanel:
    """Return a panel with some of its rows."""
    return InfluencePanel(
        panel.key, panel.title, panel.values[rows], panel.reference, panel.lines, panel.beyond[rows]
    )  # fmt: skip


def _panels(found: Influence, fitted: Fitted, analysis: Analysis) -> list[InfluencePanel]:
    """Return the eight diagnostics of all rows."""
    k = _count(analysis)
    limits = flag_limits(k, 1)
    heterogeneity = analysis.overall.heterogeneity
    shift = (-limits.dffits, limits.dffits) if math.isfinite(limits.dffits) else ()
    whole_q = heterogeneity.q if k > 1 else None
    tau2 = heterogeneity.tau2 if estimates_tau2(fitted.spec) else None
    return [
        _panel("rstudent", "Deleted residual", found.rstudent, 0.0, (-OUTLYING, OUTLYING)),
        _panel("dffits", "DFFITS", found.dffits, 0.0, shift),
        _panel("cook", "Cook's distance", found.cook, 0.0, (limits.cook,)),
        _panel("cov_ratio", "Covariance ratio", found.cov_ratio, 1.0, ()),
        _panel("tau2_deleted", "τ² without it", found.tau2_deleted, tau2, ()),
        _panel("q_deleted", "Q without it", found.q_deleted, whole_q, ()),
        _panel("hat", "Hat value", found.hat, 1.0 / k, (limits.hat,)),
        _panel("weight", "Weight (%)", found.weight, 100.0 / k, ()),
    ]


def _panel(key: str, title: str, values: Floats, reference: float | None, lines: tuple[float, ...]) -> InfluencePanel:
    """Return one diagnostic, and which rows lie beyond its lines."""
    low, high = min((line for line in lines if line < 0), default=-math.inf), max(lines, default=math.inf)
    with np.errstate(invalid="ignore"):
        beyond = (values > high) | (values < low)
    return InfluencePanel(key, title, values, reference, lines, beyond)


def _footnotes(found: Influence, analysis: Analysis, drawn: int) -> tuple[str, ...]:
    """Tell what the lines are, who is flagged, and who has no numbers."""
    k = _count(analysis)
    if k == 1:
        return ("One study: nothing is left without it, so there is nothing to compare.",)
    limits = flag_limits(k, 1)
    whole = ", with all its rows," if analysis.dependent else ""
    notes = [
        (
            f"Each study is left out in turn{whole} and τ² estimated anew. Solid lines: no change, the value of all, "
            f"or the mean of the panel. Dashed lines: |deleted residual| = {fixed(OUTLYING)} (outlying); |DFFITS| = "
            f"{fixed(limits.dffits)}, Cook's distance = {fixed(limits.cook)}, hat = {significant(limits.hat, 2)} "
            "(influential; a change of the mean by more than one standard error counts too). These are rules of "
            "thumb, not tests."
        )
    ]
    notes += found.sentences[:6]
    if len(found.sentences) > 6:
        more = plural(len(found.sentences) - 6, "more is", "more are")
        notes.append(f"{more} outlying or influential.")
    if not found.sentences:
        notes.append("No study is outlying or influential by these rules.")
    missing = [i for i in range(len(found.labels)) if not np.isfinite(found.hat[i])]
    if missing:
        what = ("study", "studies") if analysis.dependent else ("row", "rows")
        notes.append(f"Not pooled, so without marks: {plural(len(missing), *what)}.")
    if drawn < len(found.labels):
        notes.append(f"{len(found.labels):,} rows: only the {drawn:,} that are flagged are drawn.")
    return tuple(notes)


def _alt(found: Influence, analysis: Analysis) -> str:
    """Describe the figure in words."""
    name = comparison(analysis).known
    k = _count(analysis)
    what = plural(k, "study", "studies") if analysis.dependent else plural(k, "effect")
    head = f"Influence of {what}{f', {name}' if name else ''}, in eight panels"
    if k == 1:
        return f"{head}. One study: nothing is left without it."
    cook = found.cook
    most = ""
    if np.isfinite(cook).any():
        i = int(np.nanargmax(cook))
        most = f" Largest Cook's distance: {significant(float(cook[i]))}, {found.labels[i]}."
    said = " ".join(found.sentences) or "No study is outlying or influential by the usual rules of thumb."
    return f"{head}. {said}{most}"
