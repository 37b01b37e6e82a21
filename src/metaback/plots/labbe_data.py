"""The contents of the plot of L'Abbe as plain values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.numbers import as_given, fixed
from metaback.plots.chart_data import ChartAxis, Names, chosen_names, heading, labels_of, need_two, outlying, too_many
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import (
    comparison,
    counts,
    effect_digits,
    estimate_cell,
    measure_short,
    plural,
)
from metaback.stats.graphs import RISK_MEASURES, risk_under
from metaback.stats.wls import Bools, Floats

_ROLES = ("events_1", "n_1", "events_2", "n_2")
_GRID = 201


@dataclass(frozen=True, slots=True)
class LabbeData:
    """A plot of L'Abbe before it is drawn: risks in percent.

    risk_2, risk_1: (k,) observed risk of arm 2 (across) and arm 1 (up) of every row with counts; weight: (k,) percent
    of the pool, nan where a row is not pooled. grid: (g,) risks of arm 2; curve, low, high: (g,) risk of arm 1 under
    the pooled effect and the ends of its interval, nan where no such risk exists.
    """

    title: str
    x: ChartAxis
    y: ChartAxis
    labels: tuple[str, ...]
    risk_2: Floats
    risk_1: Floats
    weight: Floats
    grid: Floats
    curve: Floats
    low: Floats
    high: Floats
    pooled_text: str
    level: float
    named: tuple[int, ...]
    tips: tuple[str, ...]
    footnotes: tuple[str, ...]
    alt: str


def labbe_data(analysis: Analysis, *, names: Names = "outlying", title: str | None = None) -> LabbeData:
    """Write down the plot of L'Abbe of a pool of counts: the risk of one arm against that of the other.

    The curve shows the pooled effect at every risk: a line through 0 for RR, a parallel for RD, a bow for OR. names:
    "outlying" (deleted residual beyond 1.96), "all", "none" or labels. Raises `OptionError` for measures that are not
    OR, PETO, RR or RD and for effects without events and totals, `EstimationError` for one effect. Source: L'Abbe et
    al. 1987.

    >>> import pandas as pd, metaback as mb
    >>> counts = {"events_1": [4, 6, 9], "n_1": [50, 60, 70], "events_2": [8, 9, 15], "n_2": [50, 60, 70]}
    >>> data = labbe_data(mb.pool(pd.DataFrame(counts), measure="RR").analysis)
    >>> [round(float(risk), 1) for risk in data.risk_1]
    [8.0, 10.0, 12.9]
    """
    effects, overall, mean = analysis.fitted.effects, analysis.overall, analysis.overall.mean
    _suits(effects)
    need_two(overall.k, "a plot of L'Abbe")
    a, n_1, c, n_2 = (effects.inputs[role] for role in _ROLES)
    with np.errstate(divide="ignore", invalid="ignore"):
        risk_1, risk_2 = 100 * a / n_1, 100 * c / n_2
    known = np.isfinite(risk_1) & np.isfinite(risk_2)
    labels = labels_of(effects, known)
    end = _end(max(float(risk_1[known].max()), float(risk_2[known].max()), 0.0))
    grid = np.linspace(0.0, end, _GRID)
    curve, low, high = (100 * risk_under(effects.measure, grid / 100, e) for e in (mean.point, mean.lower, mean.upper))
    text = estimate_cell(mean, effect_digits(mean))
    return LabbeData(
        title=heading("Plot of L'Abbé", effects, title),
        x=ChartAxis(0.0, end, _axis_title(effects, 1)),
        y=ChartAxis(0.0, end, _axis_title(effects, 0)),
        labels=labels,
        risk_2=risk_2[known],
        risk_1=risk_1[known],
        weight=overall.weights[known],
        grid=grid,
        curve=curve,
        low=low,
        high=high,
        pooled_text=f"{measure_short(effects)} {text}",
        level=mean.level,
        named=chosen_names(names, labels, outlying(analysis.fitted, names, known)),
        tips=_tips(effects, known),
        footnotes=(*_footnotes(effects, known), *too_many(names, len(labels))),
        alt=f"{heading('Plot of L’Abbé', effects, None)}: risks of both arms, {counts(overall, ', ')}. Pooled "
        f"{measure_short(effects)} {text}. {int((risk_1[known] < risk_2[known]).sum())} of "
        f"{plural(len(labels), 'row')} "
        "have the lower risk in the first arm.",
    )


def _suits(effects: EffectSizes) -> None:
    """Raise `OptionError` for effects that are not of counts of two arms."""
    if effects.measure not in RISK_MEASURES:
        raise OptionError(
            f"the plot of L'Abbe shows risks of two arms; this pool is of {effects.measure}: "
            f"use one of {', '.join(RISK_MEASURES)}"
        )
    if not set(_ROLES) <= set(effects.inputs):
        raise OptionError("the plot of L'Abbe needs events and totals of both arms; these effects came without them")


def _end(largest: float) -> float:
    """Return the common end of both axes in percent: a little beyond the largest risk, at most 100."""
    return min(100.0, 1.08 * largest) if largest > 0 else 1.0


def _axis_title(effects: EffectSizes, arm: int) -> str:
    """Name the arm and what is counted."""
    names = comparison(effects)
    what = names.outcome or "events"
    return f"{names.arms[arm]}: {what} (%)"


def _tips(effects: EffectSizes, known: Bools) -> tuple[str, ...]:
    """Write the tip of each point: its study and its counts."""
    a, n_1, c, n_2 = (effects.inputs[role].tolist() for role in _ROLES)
    return tuple(
        f"{effects.labels[i]}: {as_given(a[i])}/{as_given(n_1[i])} ({fixed(100 * a[i] / n_1[i], 1)}%) vs "
        f"{as_given(c[i])}/{as_given(n_2[i])} ({fixed(100 * c[i] / n_2[i], 1)}%)"
        for i in np.flatnonzero(known).tolist()
    )


def _footnotes(effects: EffectSizes, known: Bools) -> list[str]:
    """Say what circles and lines are, and which rows are missing."""
    notes = ["Area of a circle: weight in the pool. Observed risks, without corrections of zero cells."]
    hollow = int((known & ~effects.estimable).sum())
    out = int((~known).sum())
    if hollow:
        notes.append(f"Crosses: {plural(hollow, 'row')} with counts but without an effect, not pooled.")
    return [*notes, *([f"{plural(out, 'row has', 'rows have')} no counts and cannot be drawn."] if out else [])]
