"""The contents of a contour-enhanced funnel plot as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.numbers import as_given, fixed
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
    sentence_case,
    study_estimates,
)
from metaback.stats.graphs import funnel_limits
from metaback.stats.measures import about
from metaback.stats.measures.family import has_null
from metaback.stats.wls import Floats

FEWEST = 10  # studies below which a funnel is not to be read (Sterne et al. 2011)
CONTOURS = (0.10, 0.05, 0.01)
Height = Literal["se", "precision", "size"]
_TITLES = {"se": "Standard error", "precision": "Precision (1 / standard error)", "size": "Participants"}
_GRID = 160


@dataclass(frozen=True, slots=True)
class FunnelBand:
    """The part of the panel between two lines: p is the two-sided P value on them; low, high: (g,) analysis scale."""

    p: float
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class FunnelData:
    """A funnel plot before it is drawn; numbers are on the analysis scale.

    labels, effect, height: (k,) pooled rows; height is the standard error, its inverse or the number of participants.
    grid: (g,) heights of the bands. contours: around no effect, the widest P value first; () where no effect has no
    place on the axis. limits: around the pooled effect, where a share of estimates lies if all effects are one; None
    for participants. outside: (k,) which points lie beyond them. named: places of the points with a name. warning: why
    the plot must not be read, "" where it may.
    """

    title: str
    kind: Height
    x: ChartAxis
    y: ChartAxis
    labels: tuple[str, ...]
    effect: Floats
    height: Floats
    grid: Floats
    contours: tuple[FunnelBand, ...]
    limits: FunnelBand | None
    pooled: float
    pooled_text: str
    level: float
    outside: tuple[bool, ...]
    named: tuple[int, ...]
    tips: tuple[str, ...]
    warning: str
    footnotes: tuple[str, ...]
    alt: str


def funnel_data(
    analysis: Analysis,
    *,
    y: str = "se",
    contours: Sequence[float] = CONTOURS,
    names: Names = "outlying",
    title: str | None = None,
) -> FunnelData:
    """Write down the funnel plot of a pool: effects against their precision.

    y: "se" (0 at the top), "precision" or "size" (participants, without contours and limits, which need the SE).
    contours: two-sided P values of no effect, around no effect. names: "outlying" (beyond the limits), "all", "none"
    or labels of studies. Below 10 studies it is drawn, and says that it must not be read. Raises `EstimationError` for
    one effect, `OptionError` for unknown words and for P values that are none. Source: Peters et al. 2008; Sterne et
    al. 2011.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> data = funnel_data(mb.pool(pain).analysis)
    >>> data.warning.partition(":")[0], round(float(data.height.max()), 3), len(data.contours)
    ('Not to be read for asymmetry', 0.497, 3)
    """
    kind = _kind(y)
    effects, overall, mean = analysis.fitted.effects, analysis.overall, analysis.overall.mean
    need_two(overall.k, "a funnel plot")
    effect, se = effects.yi[effects.estimable], np.sqrt(effects.vi[effects.estimable])
    labels = labels_of(effects, effects.estimable)
    height = _height(effects, kind, se)
    grid, at = _grid(kind, height)
    away = np.abs(effect - mean.point) / se
    beyond = away > funnel_limits(0.0, np.ones(1), mean.level)[1]
    ranked = ranked_by(np.where(beyond & (kind != "size"), away, np.nan), 0.0)
    bands, limits = _bands(analysis, kind, at, contours)
    return FunnelData(
        title=heading("Funnel plot", effects, title),
        kind=kind,
        x=_across(analysis, effect, se, kind),
        y=_along(kind, height),
        labels=labels,
        effect=effect,
        height=height,
        grid=grid,
        contours=bands,
        limits=limits,
        pooled=mean.point,
        pooled_text=pooled_words(mean, effect_digits(mean)),
        level=mean.level,
        outside=tuple(beyond.tolist()),
        named=chosen_names(names, labels, ranked),
        tips=_tips(analysis, labels, se),
        warning=_warning(overall.studies),
        footnotes=tuple(_footnotes(analysis, kind, bool(bands))),
        alt=_alt(analysis, kind, int(beyond.sum())),
    )


def _kind(y: str) -> Height:
    """Return what stands along the upright axis."""
    if y not in _TITLES:
        raise OptionError.unknown("y", y, _TITLES)
    return cast("Height", y)


def _height(effects: EffectSizes, kind: Height, se: Floats) -> Floats:
    """Return the heights of the points."""
    if kind != "size":
        return se if kind == "se" else 1 / se
    roles = [role for role in ("n_1", "n_2", "n") if role in effects.inputs]
    roles = ["n"] if "n" in roles and "n_1" not in roles else [role for role in roles if role != "n"]
    total = sum((effects.inputs[role][effects.estimable] for role in roles), np.zeros(se.size))
    if not roles or not np.isfinite(total).all():
        raise OptionError("y='size' needs the participants of every pooled row; use y='se' or y='precision'")
    return np.asarray(total, dtype=float)


def _grid(kind: Height, height: Floats) -> tuple[Floats, Floats]:
    """Return the heights of the bands, from one end of the axis to the other, and the standard errors there."""
    axis = _along(kind, height)
    if kind == "se":
        grid = np.linspace(axis.low, axis.high, 2)
        return grid, grid
    grid = np.geomspace(max(axis.low, axis.high / 400), axis.high, _GRID)
    return grid, 1 / grid


def _along(kind: Height, height: Floats) -> ChartAxis:
    return ChartAxis(0.0, 1.06 * float(height.max()), _TITLES[kind], inverted=kind == "se")


def _across(analysis: Analysis, effect: Floats, se: Floats, kind: Height) -> ChartAxis:
    """Return the axis of effects: all points, the limits at the largest standard error, no effect."""
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    null = 0.0 if has_null(effects.measure) else None
    ends = funnel_limits(mean.point, se.max(keepdims=True), mean.level) if kind == "se" else (se[:0], se[:0])
    low, high = span(effect, *ends, null, mean.point, pad=0.06)
    return ChartAxis(low, high, effect_title(effects, mean), shown_way(mean), mean.size, null)


def _bands(
    analysis: Analysis, kind: Height, se: Floats, contours: Sequence[float]
) -> tuple[tuple[FunnelBand, ...], FunnelBand | None]:
    """Return the contours around no effect and the limits around the pooled effect, where the axis has them."""
    found, mean = _contours(contours, se), analysis.overall.mean
    if kind == "size":
        return (), None
    limits = FunnelBand(1 - mean.level, *funnel_limits(mean.point, se, mean.level))
    return found if has_null(analysis.fitted.effects.measure) else (), limits


def _contours(values: Sequence[float], se: Floats) -> tuple[FunnelBand, ...]:
    """Return the contours around no effect, the largest P value first."""
    if bad := [value for value in values if not 0 < value < 1]:
        raise OptionError(f"contours: {', '.join(map(str, bad))} is no P value between 0 and 1")
    return tuple(FunnelBand(p, *funnel_limits(0.0, se, 1 - p)) for p in sorted(set(values), reverse=True))


def _warning(studies: int) -> str:
    """Say why a funnel of few studies is drawn but not to be read, "" for one of enough."""
    if studies >= FEWEST:
        return ""
    return (
        f"Not to be read for asymmetry: {plural(studies, 'study', 'studies')}, fewer than {FEWEST}. With so few, "
        "chance alone makes a funnel look skewed."
    )


def _tips(analysis: Analysis, labels: tuple[str, ...], se: Floats) -> tuple[str, ...]:
    """Write the tip of each point: its study, its effect and its standard error."""
    digits = effect_digits(analysis.overall.mean)
    cells = [estimate_cell(one, digits) for one in study_estimates(analysis) if one is not None]
    return tuple(f"{a}: {b}, SE {fixed(s, 3)}" for a, b, s in zip(labels, cells, se.tolist(), strict=True))


def _footnotes(analysis: Analysis, kind: Height, bands: bool) -> list[str]:
    """Say what the lines are, and what could make the funnel skewed besides missing studies."""
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    notes: list[str] = []
    if kind == "size":
        notes.append("Contours and limits need the standard error and are not drawn against participants.")
    else:
        notes.append(
            f"Dashed lines: around the pooled effect, where {percent(mean.level)} of estimates would lie if all "
            "studies had this one true effect."
        )
    if bands:
        notes.append("Shades: two-sided P value of each place for no effect (normal test), centred on no effect.")
    elif kind != "size":
        notes.append("No contours: this measure has no value of no effect.")
    if about(effects.measure).standardiser:
        notes.append(
            "The SE of a standardised mean difference grows with the difference, which skews a funnel by itself."
        )
    elif effects.measure in ("OR", "PETO", "RR", "RD") and kind != "size":
        notes.append("The SE of a measure of counts depends on the risks, which can skew a funnel by itself.")
    out = int((~effects.estimable).sum())
    return [*notes, *([f"{plural(out, 'row is', 'rows are')} not estimable and not drawn."] if out else [])]


def _alt(analysis: Analysis, kind: Height, beyond: int) -> str:
    """Describe the figure."""
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    share = f"{beyond} of {plural(analysis.overall.k, 'effect')} lie outside the {percent(mean.level)} limits"
    what = f"{measure_name(effects)} against {_TITLES[kind].lower()}, {counts(analysis.overall, ', ')}"
    sentences = [
        f"{heading('Funnel plot', effects, None)}: funnel plot of the {what}",
        f"{sentence_case('pooled effect')} {estimate_cell(mean, effect_digits(mean))}",
        *([share] if kind != "size" else []),
        *([warning.rstrip(".")] if (warning := _warning(analysis.overall.studies)) else []),
    ]
    return ". ".join(sentences) + "."


def p_words(band: FunnelBand, wider: FunnelBand | None) -> str:
    """Name the part between two contours: `0.05 < P ≤ 0.10`, or `P ≤ 0.01` beyond the last one.

    >>> p_words(FunnelBand(0.1, np.zeros(1), np.zeros(1)), FunnelBand(0.05, np.zeros(1), np.zeros(1)))
    '0.05 < P ≤ 0.1'
    """
    if wider is None:
        return f"P ≤ {as_given(band.p)}"
    return f"{as_given(wider.p)} < P ≤ {as_given(band.p)}"
