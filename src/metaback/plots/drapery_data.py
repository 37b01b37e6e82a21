"""The contents of a drapery plot as plain values: P value functions of the studies and of the pool."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaback.models.fitted import Estimate
from metaback.numbers import fixed
from metaback.plots.chart_data import ChartAxis, effect_title, heading, labels_of, need_two, shown_way, span
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import (
    counts,
    effect_digits,
    estimate_cell,
    limits_cell,
    mean_test,
    measure_name,
    percent,
    plural,
)
from metaback.stats.graphs import p_function
from metaback.stats.inference import MEAN_RULES
from metaback.stats.measures.family import has_null
from metaback.stats.wls import Floats

_GRID = 401
_MANY = 300  # studies up to which every curve has its top among the values
_SAME = 1e-6  # of the width of an interval, by which its ends may miss those of a curve


@dataclass(frozen=True, slots=True)
class DraperyData:
    """A drapery plot before it is drawn.

    grid: (g,) effects on the analysis scale; studies: (k, g) two-sided P value of each study for each effect; weight:
    (k,) percent. pooled, prediction: (g,) those of the pool and of a new setting, None where there is no such curve.
    ci, pi: limits at `level`.
    """

    title: str
    x: ChartAxis
    y: ChartAxis
    labels: tuple[str, ...]
    grid: Floats
    studies: Floats
    weight: Floats
    pooled: Floats | None
    prediction: Floats | None
    ci: tuple[float, float]
    pi: tuple[float, float] | None
    level: float
    pooled_text: str
    footnotes: tuple[str, ...]
    alt: str


def drapery_data(analysis: Analysis, *, title: str | None = None) -> DraperyData:
    """Write down the drapery plot of a pool: for every possible effect, the P value with which it would be rejected.

    A curve is 1 at the estimate and cuts the line of 0.05 at the ends of the 95% interval; so all levels are seen at
    once. Studies have normal curves, the pool and the prediction those of their own rules. Interval rules that are not
    an estimate with a standard error (profile likelihood, bootstraps ...) have no curve and a note says so. Raises
    `EstimationError` for one effect. Source: Ruecker & Schwarzer 2021. Same as `meta::drapery(type="pvalue")`.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> data = drapery_data(mb.pool(pain, preset="revman5").analysis)
    >>> at = int(np.argmin(np.abs(data.grid - data.ci[0])))
    >>> abs(float(data.pooled[at]) - 0.05) < 0.03
    True
    """
    effects, overall, mean = analysis.fitted.effects, analysis.overall, analysis.overall.mean
    need_two(overall.k, "a drapery plot")
    used = effects.estimable
    yi, sei = effects.yi[used], np.sqrt(effects.vi[used])
    null = 0.0 if has_null(effects.measure) else None
    pi = overall.prediction
    low, high = _limits(yi, sei, (mean, *((pi,) if pi else ())), null)
    tops = yi if yi.size <= _MANY else yi[:0]
    ends = np.array([v for v in (mean.point, mean.lower, mean.upper) if low < v < high])
    grid = np.union1d(np.linspace(low, high, _GRID), np.append(tops, ends))
    text = estimate_cell(mean, effect_digits(mean))
    return DraperyData(
        title=heading("Drapery plot", effects, title),
        x=ChartAxis(low, high, effect_title(effects, mean), shown_way(mean), mean.size, null),
        y=ChartAxis(0.0, 1.0, "Two-sided P value"),
        labels=labels_of(effects, used),
        grid=grid,
        studies=p_function(grid, yi, sei, np.full(yi.size, np.inf)),
        weight=overall.weights[used],
        pooled=_curve(mean, grid),
        prediction=None if pi is None else _curve(pi, grid),
        ci=(mean.lower, mean.upper),
        pi=None if pi is None else (pi.lower, pi.upper),
        level=mean.level,
        pooled_text=text if shown_way(mean) == mean.way else f"{text} ({fixed(mean.point, 2)} on this axis)",
        footnotes=tuple(_footnotes(analysis, grid)),
        alt=_alt(analysis, text),
    )


def _limits(yi: Floats, sei: Floats, pooled: tuple[Estimate, ...], null: float | None) -> tuple[float, float]:
    """Return an axis that holds all estimates, the pooled intervals, no effect and the feet of most curves."""
    first, last = np.quantile(yi - 1.5 * sei, 0.1), np.quantile(yi + 1.5 * sei, 0.9)
    ends = [value for one in pooled for value in (one.lower, one.upper) if math.isfinite(value)]
    reach = 1.5 * max(float(np.ptp(yi)), float(sei.max()))
    kept = [value for value in ends if yi.min() - reach <= value <= yi.max() + reach]
    return span(yi, kept, null, [float(first), float(last)])


def _curve(estimate: Estimate, grid: Floats) -> Floats | None:
    """Return the P value function of an estimate, None where its interval is not estimate -+ quantile x se."""
    point, se, df = (np.array([value]) for value in (estimate.point, estimate.se, estimate.df))
    if not (estimate.se > 0 and estimate.df > 0):
        return None
    ends = np.array([estimate.lower, estimate.upper])
    at = p_function(ends, point, se, df)[0]
    if not (np.isfinite(ends).all() and bool((np.abs(at - (1 - estimate.level)) < _SAME).all())):
        return None
    return p_function(grid, point, se, df)[0]


def _footnotes(analysis: Analysis, grid: Floats) -> list[str]:
    """Say how to read the curves, and which are missing."""
    overall, spec = analysis.overall, analysis.spec
    cut = f"A curve cuts the dotted line at the ends of its {percent(overall.mean.level)} interval."
    notes = [f"Each curve: P value of the test that the effect is the value below it. {cut}"]
    notes.append("Grey: studies, the darker the more weight they have.")
    if _curve(overall.mean, grid) is None:
        title = MEAN_RULES[spec.ci].title
        notes.append(
            f"No curve for the pool: its interval ({title}) is not an estimate with a standard error; a bar shows it."
        )
    if overall.prediction is not None and _curve(overall.prediction, grid) is None:
        notes.append(
            "No curve for the prediction: its interval is not an estimate with a standard error; a bar shows it."
        )
    out = int((~analysis.fitted.effects.estimable).sum())
    return [*notes, *([f"{plural(out, 'row is', 'rows are')} not estimable and not drawn."] if out else [])]


def _alt(analysis: Analysis, text: str) -> str:
    """Describe the figure."""
    effects, overall = analysis.fitted.effects, analysis.overall
    digits = effect_digits(overall.mean)
    what = f"{measure_name(effects)}, {counts(overall, ', ')}"
    sentences = [
        f"{heading('Drapery plot', effects, None)}: P value functions of the {what}",
        f"Pooled effect {text}" + (f", {test}" if (test := mean_test(overall.mean)) else ""),
    ]
    if overall.prediction is not None:
        sentences.append(f"Prediction interval {limits_cell(overall.prediction, digits)}")
    return ". ".join(sentences) + "."
