"""The contents of an orchard plot as plain values: every effect, and for each group its mean with two intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaback.effects.effect_sizes import NOT_STATED, EffectSizes
from metaback.models.fitted import Estimate
from metaback.plots import forest_words as words
from metaback.plots.forest_models import model_words
from metaback.postestimation.scales import way_back
from metaback.postestimation.summary import Analysis, PoolSummary
from metaback.postestimation.words import (
    comparison,
    counts,
    effect_digits,
    estimate_cell,
    level_words,
    limits_cell,
    measure_name,
    percent,
    plural,
    sentence_case,
    study_estimates,
)
from metaback.stats.measures.family import has_null
from metaback.stats.scatter import side_by_side
from metaback.stats.wls import Bools, Floats

NAMED = 6  # groups whose numbers the text alternative tells


@dataclass(frozen=True, slots=True)
class OrchardGroup:
    """One row: its name, counts in words, the mean and its intervals on the analysis scale, and its effects.

    prediction: limits of a new setting, None where there are none. effects: (m,) and precision 1 / SE: (m,) of those
    that are pooled; places: (m,) where each stands across the row, -1 to 1; labels: (m,); tips: (m,) what a page shows
    of each.
    """

    name: str
    counts: str
    text: str
    mean: tuple[float, float, float] | None
    prediction: tuple[float, float] | None
    effects: Floats
    precision: Floats
    places: Floats
    labels: tuple[str, ...]
    tips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OrchardData:
    """An orchard plot before it is drawn: one row per subgroup, and one for all."""

    title: str
    axis_title: str
    back: str
    size: float | None
    null: float | None
    favours: tuple[str, str] | None
    groups: tuple[OrchardGroup, ...]
    footnotes: tuple[str, ...]
    alt: str


def orchard_data(analysis: Analysis, *, title: str | None = None) -> OrchardData:
    """Return the contents of the orchard plot: each subgroup, then all effects.

    Effects stand across a row by a fixed sequence that follows their density, so that none hides another and two runs
    give the same picture. Source: Nakagawa et al. 2021.

    Edges: a group of one effect has its own interval and no prediction; rows without an effect are told.
    """
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    digits = effect_digits(mean)
    every = effects.estimable
    cells = [estimate_cell(one, digits) for one in study_estimates(analysis)]
    whole = _group("All effects", analysis.overall, effects, every, cells, digits)
    groups = [*_subgroups(analysis, cells, digits), whole]
    return OrchardData(
        title=comparison(effects).known if title is None else title,
        axis_title=words.axis_title(effects, mean.way),
        back=way_back(effects),
        size=mean.size,
        null=0.0 if has_null(effects.measure) else None,
        favours=words.favours_words(effects),
        groups=tuple(groups),
        footnotes=_footnotes(analysis),
        alt=_alt(analysis, groups),
    )


def _subgroups(analysis: Analysis, cells: list[str], digits: int) -> list[OrchardGroup]:
    """Return the rows of the subgroups; effects of no stated group have a row without a mean."""
    effects, groups = analysis.fitted.effects, analysis.subgroups
    if groups is None or effects.by is None:
        return []
    pools = dict(zip(groups.levels, groups.pools, strict=True))
    made: list[OrchardGroup] = []
    for level in dict.fromkeys(effects.by):
        rows = effects.estimable & np.array([label == level for label in effects.by])
        if not rows.any():
            continue
        name = "No subgroup given" if level == NOT_STATED else sentence_case(level_words(groups.name, level))
        made.append(_group(name, pools.get(level), effects, rows, cells, digits))
    return made


def _group(
    name: str, pool: PoolSummary | None, effects: EffectSizes, rows: Bools, cells: list[str], digits: int
) -> OrchardGroup:
    """Return one row; cells: the estimate of every effect of the table."""
    yi, places = effects.yi[rows], np.flatnonzero(rows).tolist()
    mean = None if pool is None else pool.mean
    prediction = None if pool is None else pool.prediction
    return OrchardGroup(
        name=name,
        counts=plural(int(rows.sum()), "effect") if pool is None else counts(pool, words.JOINT),
        text="" if mean is None else estimate_cell(mean, digits) + _also(prediction, digits),
        mean=None if mean is None else (mean.point, mean.lower, mean.upper),
        prediction=None if prediction is None else (prediction.lower, prediction.upper),
        effects=yi,
        precision=1 / np.sqrt(effects.vi[rows]),
        places=side_by_side(yi),
        labels=tuple(effects.labels[i] for i in places),
        tips=tuple(f"{effects.labels[i]}: {cells[i]}" for i in places),
    )


def _also(prediction: Estimate | None, digits: int) -> str:
    """Write the prediction interval behind the estimate."""
    return "" if prediction is None else f"; PI {limits_cell(prediction, digits)}"


def _footnotes(analysis: Analysis) -> tuple[str, ...]:
    """Tell what the marks are, how the means were made, and who is missing."""
    level = percent(analysis.spec.level)
    mark = f"Thick lines: {level} confidence intervals of the means"
    thin = [analysis.overall, *(analysis.subgroups.pools if analysis.subgroups else ())]
    also = f"; thin lines: {level} prediction intervals (PI)" if any(pool.prediction for pool in thin) else ""
    area = (
        "Circles: single effects, their area proportional to precision (1/SE); their places across a row mean nothing"
    )
    labels = words.distinct_labels(analysis.fitted.effects.labels)
    return (f"{mark}{also}. {area}.", *words.footnotes(analysis, labels, model_words(analysis).methods))


def _alt(analysis: Analysis, groups: list[OrchardGroup]) -> str:
    """Describe the figure in words."""
    effects = analysis.fitted.effects
    name = comparison(effects).known
    parts = [f"Orchard plot{f' of {name}' if name else ''}, {counts(analysis.overall, words.JOINT)}"]
    parts.append(f"{sentence_case(measure_name(effects))}, estimates with {percent(analysis.spec.level)} CI")
    ordered = [groups[-1], *groups[:-1]]
    parts += [f"{group.name}: {group.text} ({group.counts})" for group in ordered[: NAMED + 1] if group.text]
    if len(groups) - 1 > NAMED:
        parts.append(f"and {len(groups) - 1 - NAMED} more groups")
    return ". ".join(parts) + "."


def size_steps(data: OrchardData) -> tuple[float, ...]:
    """Return up to three round precisions for the key of circle sizes, the largest first.

    >>> one = OrchardGroup("a", "", "", None, None, np.zeros(2), np.array([1.3, 9.7]), np.zeros(2), ("x", "y"))
    >>> size_steps(OrchardData("", "", "identity", None, None, None, (one,), (), ""))
    (10.0, 6.0, 1.0)
    """
    every = np.concatenate([group.precision for group in data.groups])
    every = every[np.isfinite(every)]
    if not every.size:
        return ()
    top = _round(float(every.max()))
    low = _round(float(every.min()))
    return tuple(sorted({top, _round(0.5 * (top + low)), low}, reverse=True))


def _round(value: float) -> float:
    """Round to one significant digit."""
    return float(f"{value:.0e}") if value > 0 and math.isfinite(value) else 0.0
