"""The contents of the plot of Baujat as plain values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.errors import EstimationError
from metaback.numbers import significant
from metaback.plots.chart_data import ChartAxis, Names, chosen_names, heading, ranked_by
from metaback.postestimation.baujat import baujat
from metaback.postestimation.regression import RegressionAnalysis
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import measure_name, plural
from metaback.stats.wls import Floats


@dataclass(frozen=True, slots=True)
class BaujatData:
    """The plot of Baujat before it is drawn: (k,) points of the rows in use, in the order of the table."""

    title: str
    x: ChartAxis
    y: ChartAxis
    labels: tuple[str, ...]
    heterogeneity: Floats
    influence: Floats
    named: tuple[int, ...]
    tips: tuple[str, ...]
    footnotes: tuple[str, ...]
    alt: str


def baujat_data(
    analysis: Analysis | RegressionAnalysis, *, names: Names = "outlying", title: str | None = None
) -> BaujatData:
    """Write down the plot of Baujat of a pool or a regression.

    names: "outlying" for the 15 points furthest out (share of the largest number on either axis), "all", "none", or
    labels of studies. Raises `EstimationError` where nothing can be left out (k = 1). Numbers: see
    `metaback.postestimation.baujat`.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> baujat_data(mb.pool(pain, model="equal").analysis).labels[0]
    'Aasa 2015'
    """
    found = baujat(analysis if isinstance(analysis, Analysis) else analysis.fitted)
    used = np.isfinite(found.heterogeneity) & np.isfinite(found.influence)
    places = np.flatnonzero(used).tolist()
    if not places:
        raise EstimationError("the plot of Baujat compares the result with and without each study; there is one effect")
    x, y = found.heterogeneity[used], found.influence[used]
    labels = tuple(found.labels[i] for i in places)
    far = np.maximum(x / (x.max() or 1.0), y / (y.max() or 1.0))
    ranked = ranked_by(far, -1.0)
    named = chosen_names(names, labels, ranked)
    of = "the fitted value" if isinstance(analysis, RegressionAnalysis) else "the pooled effect"
    kind = "residual heterogeneity" if isinstance(analysis, RegressionAnalysis) else "heterogeneity"
    cells = zip(labels, x.tolist(), y.tolist(), strict=True)
    most = ", ".join(labels[i] for i in ranked[:3])
    effects = analysis.fitted.effects
    studies = isinstance(analysis, Analysis) and analysis.dependent
    shown = plural(len(labels), "study", "studies") if studies else plural(len(labels), "effect")
    return BaujatData(
        title=heading("Plot of Baujat", effects, title),
        x=ChartAxis(0.0, _end(x), f"Contribution to the {kind} (squared Pearson residual)"),
        y=ChartAxis(0.0, _end(y), f"Influence on {of} (squared standardised change)"),
        labels=labels,
        heterogeneity=x,
        influence=y,
        named=named,
        tips=tuple(f"{a}: heterogeneity {significant(b)}, influence {significant(c)}" for a, b, c in cells),
        footnotes=tuple(_footnotes(len(named), len(labels), int((~used).sum()), names, studies=studies)),
        alt=f"{heading('Plot of Baujat', effects, None)}: plot of Baujat of the {measure_name(effects)}, "
        f"{shown}. Furthest out: {most}.",
    )


def _end(values: Floats) -> float:
    """Return the end of an axis from 0."""
    return 1.08 * float(values.max()) or 1.0


def _footnotes(named: int, k: int, out: int, names: Names, *, studies: bool) -> list[str]:
    """Say how to read the plot, and what is missing."""
    notes = ["Right: adds much to the heterogeneity. Up: moves the result when left out."]
    if studies:
        notes = ["Each point is a study with all its rows.", *notes]
    if names == "outlying" and named < k:
        notes.append(f"The {named} furthest out of {k} are named.")
    what = ("study is", "studies are") if studies else ("row is", "rows are")
    return [*notes, *([f"{plural(out, *what)} not in use and not drawn."] if out else [])]
