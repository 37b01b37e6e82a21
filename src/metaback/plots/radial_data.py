"""The contents of Galbraith's radial plot as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaback.numbers import fixed
from metaback.plots.chart_data import (
    ChartAxis,
    Names,
    chosen_names,
    effect_title,
    heading,
    labels_of,
    need_two,
    pooled_words,
    ranked_by,
    shown_way,
    span,
)
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import (
    counts,
    effect_digits,
    estimate_cell,
    measure_name,
    percent,
    plural,
    study_estimates,
)
from metaback.stats.graphs import funnel_limits, radial_points
from metaback.stats.measures.family import has_null
from metaback.stats.wls import Floats


@dataclass(frozen=True, slots=True)
class RadialData:
    """A radial plot before it is drawn.

    precision, z: (k,) 1 / s and effect / s of the pooled rows, s the standard error with tau2 where there is one.
    pooled, low, high: slope of the line, and of the ends of its interval, on the analysis scale. band: how far the
    parallel lines are above and below it. arc: the scale of slopes at the right.
    """

    title: str
    x: ChartAxis
    y: ChartAxis
    arc: ChartAxis
    labels: tuple[str, ...]
    precision: Floats
    z: Floats
    pooled: float
    low: float
    high: float
    pooled_text: str
    band: float
    level: float
    named: tuple[int, ...]
    tips: tuple[str, ...]
    footnotes: tuple[str, ...]
    alt: str


def radial_data(analysis: Analysis, *, names: Names = "outlying", title: str | None = None) -> RadialData:
    """Write down the radial plot of a pool: effect / s against 1 / s, so that a slope from 0 is an effect.

    Under random effects s = sqrt(v + tau2), under equal effects the standard error. names: "outlying" (beyond the
    parallel lines), "all", "none" or labels. Raises `EstimationError` for one effect. Source: Galbraith 1988. Same as
    `metafor::radial`.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> data = radial_data(mb.pool(pain, preset="revman5").analysis)
    >>> round(data.pooled, 2), round(data.band, 2)
    (-0.41, 1.96)
    """
    effects, overall, mean = analysis.fitted.effects, analysis.overall, analysis.overall.mean
    need_two(overall.k, "a radial plot")
    used, tau2 = effects.estimable, overall.heterogeneity.tau2 or 0.0
    precision, z = radial_points(effects.yi[used], effects.vi[used], tau2)
    labels = labels_of(effects, used)
    band = float(funnel_limits(0.0, np.ones(1), mean.level)[1][0])
    away = np.abs(z - mean.point * precision)
    end = 1.05 * float(precision.max())
    low, high = span(z, [-band, band], pad=0.06)
    null = 0.0 if has_null(effects.measure) else None
    beyond = int((away > band).sum())
    return RadialData(
        title=heading("Radial plot", effects, title),
        x=ChartAxis(0.0, end, "Precision (1 / s)"),
        y=ChartAxis(low, high, "Standardised effect (effect / s)", null=0.0),
        arc=ChartAxis(
            *_slopes(effects.yi[used], mean.point), effect_title(effects, mean), shown_way(mean), mean.size, null
        ),
        labels=labels,
        precision=precision,
        z=z,
        pooled=mean.point,
        low=mean.lower if math.isfinite(mean.lower) else mean.point,
        high=mean.upper if math.isfinite(mean.upper) else mean.point,
        pooled_text=pooled_words(mean, effect_digits(mean)),
        band=band,
        level=mean.level,
        named=chosen_names(names, labels, ranked_by(away, band)),
        tips=_tips(analysis, labels, precision),
        footnotes=tuple(_footnotes(analysis, tau2)),
        alt=f"{heading('Radial plot', effects, None)}: radial plot of the {measure_name(effects)}, "
        f"{counts(overall, ', ')}. Pooled effect {estimate_cell(mean, effect_digits(mean))}. {beyond} of "
        f"{plural(overall.k, 'effect')} lie beyond the {percent(mean.level)} band.",
    )


def _slopes(effect: Floats, pooled: float) -> tuple[float, float]:
    """Return the effects that the arc spans."""
    return span(effect, pooled, 0.0, pad=0.02)


def _tips(analysis: Analysis, labels: tuple[str, ...], precision: Floats) -> tuple[str, ...]:
    digits = effect_digits(analysis.overall.mean)
    cells = [estimate_cell(one, digits) for one in study_estimates(analysis) if one is not None]
    return tuple(f"{a}: {b}, 1/s {fixed(p)}" for a, b, p in zip(labels, cells, precision.tolist(), strict=True))


def _footnotes(analysis: Analysis, tau2: float) -> list[str]:
    """Say what s is and how to read the plot."""
    level = percent(analysis.overall.mean.level)
    s = "the standard error with τ², sqrt(v + τ²)" if tau2 > 0 else "the standard error"
    notes = [f"s: {s}. The line from 0 through a point meets the arc at its effect."]
    notes.append(
        f"Band: {level} of points lie in it if the model holds. Thick part of the arc: {level} CI of the pooled effect."
    )
    out = int((~analysis.fitted.effects.estimable).sum())
    return [*notes, *([f"{plural(out, 'row is', 'rows are')} not estimable and not drawn."] if out else [])]
