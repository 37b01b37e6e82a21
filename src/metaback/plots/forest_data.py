"""The contents of a forest plot as plain values: what stands in every row and column, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from metaback import numbers
from metaback.effects.effect_sizes import EffectSizes, Floats
from metaback.models.fitted import Estimate
from metaback.plots import forest_words as words
from metaback.postestimation.summary import Analysis, PoolSummary
from metaback.postestimation.words import (
    NOT_ESTIMABLE,
    comparison,
    counts,
    effect_digits,
    estimate_cell,
    measure_short,
    percent,
    sentence_case,
    study_estimates,
)
from metaback.stats.measures.family import has_null
from metaback.stats.transforms import back

RowKind = Literal["header", "study", "not_estimable", "subtotal", "total", "prediction", "text", "blank"]
Align = Literal["left", "right", "center", "interval"]

NO_EFFECT = 0.0
STRAIGHT = frozenset({"identity", "share", "exp", "exp_share"})  # ways back whose ticks are those of lines and logs
_RAW = (("mean", "Mean"), ("sd", "SD"), ("events", "Events"), ("n", "N"), ("time", "Time"))
_SUMMED = ("events", "n", "time")
DRAWN = 500  # rows above which a forest shows its pools only


@dataclass(frozen=True, slots=True)
class ForestColumn:
    """A column of text: its head, the spanner above it (one per arm), its side of the panel and its alignment.

    align "interval" is for texts such as `-0.41 [-0.72, -0.10]`, whose three numbers are lined up one by one.
    """

    head: str
    side: Literal["left", "right"]
    align: Align
    spanner: str = ""


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One row: numbers for the panel on the analysis scale (None where nothing is drawn), texts for the columns.

    label is the first column, at full length; cells are the texts of `ForestData.columns` ("" where empty).
    weight is the percentage that the square's AREA shows; level 1 rows are indented under a subgroup header.
    """

    kind: RowKind
    label: str
    cells: tuple[str, ...] = ()
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    weight: float | None = None
    level: int = 0


@dataclass(frozen=True, slots=True)
class ForestData:
    """A forest plot before it is drawn.

    scale: "linear" or "log" (then all numbers are logs and ticks show exponentials).
    null: the no-effect value on the analysis scale (0, the log of 1 too); None draws no line, for one-group measures.
    reference: the overall estimate for the dashed line, or None.
    favours: words for the left and right of the no-effect line, or None when the direction is not known.
    footnotes: methods line and what was not pooled and why; alt: text alternative made from the result.
    back, size: of the pooled estimate, the way from the analysis scale to the numbers of ticks and texts.
    """

    title: str
    label_head: str
    columns: tuple[ForestColumn, ...]
    rows: tuple[ForestRow, ...]
    axis_title: str
    scale: Literal["linear", "log"]
    null: float | None
    reference: float | None
    favours: tuple[str, str] | None
    footnotes: tuple[str, ...]
    alt: str
    back: str = ""
    size: float | None = None

    @property
    def way(self) -> str:
        """Return the key of the way back to the natural scale."""
        return self.back or ("exp" if self.scale == "log" else "identity")

    @property
    def bent(self) -> bool:
        """Tell whether the axis is neither linear nor logarithmic on the natural scale."""
        return self.way not in STRAIGHT


@dataclass(frozen=True, slots=True)
class _RawColumn:
    """A column of the table's own numbers, with the decimals that show them as they were given."""

    column: ForestColumn
    values: Floats
    digits: int
    summed: bool

    def cell(self, row: int) -> str:
        value = float(self.values[row])
        return numbers.fixed(value, self.digits) if math.isfinite(value) else ""

    def total(self, rows: Sequence[int]) -> str:
        values = [float(self.values[row]) for row in rows]
        if not self.summed or not values or not all(map(math.isfinite, values)):
            return ""
        return numbers.fixed(math.fsum(values), self.digits)


@dataclass(frozen=True, slots=True)
class _Table:
    """What every row of one forest is written from."""

    effects: EffectSizes
    labels: tuple[str, ...]
    raw: tuple[_RawColumn, ...]
    shown: tuple[float, ...]
    exact: Floats
    studies: tuple[Estimate | None, ...]
    scale: Literal["linear", "log"]
    digits: int
    size: float | None

    def drawn(self, estimate: Estimate) -> tuple[float, float, float]:
        """Return where point, lower and upper lie on the axis, which is the analysis scale of the pooled estimate.

        Values that no natural number has are moved to the end of the scale. Where the way back needs a size, a row has
        its own, so its natural numbers are carried to the axis: marks, ticks and texts agree.
        """
        values = (estimate.point, estimate.lower, estimate.upper)
        if not estimate.back:
            return values
        way = back(estimate.way)
        if way.size:
            point, lower, upper = way.forward(np.array(estimate.natural()), self.size).tolist()
        else:
            point, lower, upper = np.clip(values, *way.domain).tolist()
        return point, lower, upper

    def members(self, rows: Sequence[int]) -> list[int]:
        """Return those of the rows that are pooled."""
        return [row for row in rows if bool(self.effects.estimable[row])]


def forest_data(
    analysis: Analysis, *, title: str | None = None, label_head: str = "Study", digits: int | None = None
) -> ForestData:
    """Write down the forest plot of an analysis: rows in the order of the table, grouped where there are subgroups.

    title: None makes one from outcome and treatments. digits: decimals of the effects; None for 2, or more where the
    interval of the pooled effect is narrower than that can show.
    """
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    table = _table(analysis, effect_digits(mean) if digits is None else digits)
    head = f"{measure_short(effects)} [{percent(mean.level)} CI]"
    interval = ForestColumn(head, "right", "interval")
    columns = (*(raw.column for raw in table.raw), ForestColumn("Weight (%)", "right", "right"), interval)
    return ForestData(
        title=comparison(effects).known if title is None else title,
        label_head=label_head,
        columns=columns,
        rows=(*_body(analysis, table), *_bottom(analysis, table)),
        axis_title=words.axis_title(effects, mean.way),
        scale=table.scale,
        null=NO_EFFECT if has_null(effects.measure) else None,
        reference=table.drawn(mean)[0],
        favours=words.favours_words(effects),
        footnotes=words.footnotes(analysis, table.labels),
        alt=words.alt_text(analysis, table.digits),
        back=mean.back,
        size=mean.size,
    )


def _table(analysis: Analysis, digits: int) -> _Table:
    effects, overall = analysis.fitted.effects, analysis.overall
    return _Table(
        effects=effects,
        labels=words.distinct_labels(effects.labels),
        raw=_raw_columns(effects),
        shown=tuple(numbers.percent_weights([float(w) for w in overall.weights])),
        exact=overall.weights,
        studies=study_estimates(analysis),
        scale="log" if overall.mean.scale == "log" else "linear",
        digits=digits,
        size=overall.mean.size,
    )


def _raw_columns(effects: EffectSizes) -> tuple[_RawColumn, ...]:
    """Return the columns of raw data that any pooled row has, arm by arm.

    Participants alone, without means or events, are a column only where at least half of the rows state them.
    """
    pooled = effects.estimable if effects.estimable.any() else ~effects.estimable
    share = {role: float(np.isfinite(values[pooled]).mean()) for role, values in effects.inputs.items()}
    some = any(share.get(f"{stem}{arm}", 0) > 0 for stem in ("mean", "sd", "events") for arm in ("", "_1", "_2"))
    present = {role: values for role, values in effects.inputs.items() if share[role] > (0 if some else 0.499)}
    columns: list[_RawColumn] = []
    for suffix, spanner in (("", ""), *zip(("_1", "_2"), comparison(effects).arms, strict=True)):
        for stem, head in _RAW:
            if stem + suffix in present:
                column = ForestColumn(head, "left", "right", spanner)
                digits = _column_digits(stem, present)
                columns.append(_RawColumn(column, present[stem + suffix], digits, stem in _SUMMED))
    return tuple(columns)


def _column_digits(stem: str, present: Mapping[str, Floats]) -> int:
    """Return the decimals of a kind of number: as many as it was given with, at most 2 (counts 1; more below 0.1)."""
    stems = ("mean", "sd") if stem in {"mean", "sd"} else (stem,)
    roles = [s + suffix for s in stems for suffix in ("", "_1", "_2")]
    values = [float(v) for role in roles if role in present for v in present[role] if math.isfinite(float(v))]
    largest = max((abs(v) for v in values), default=0.0)
    most = 1 if stem in _SUMMED else 2
    if stem not in _SUMMED and 0 < largest < 0.1:
        most = min(6, 1 - math.floor(math.log10(largest)))
    return next((d for d in range(most) if all(math.isclose(round(v, d), v, rel_tol=1e-9) for v in values)), most)


def _body(analysis: Analysis, table: _Table) -> list[ForestRow]:
    """Return the study rows, grouped under headers where the analysis has subgroups, with subtotals for two or more."""
    effects, groups = table.effects, analysis.subgroups
    if groups is None or effects.by is None:
        return _study_rows(table, list(range(len(effects.labels))), 0)
    pools = dict(zip(groups.levels, groups.pools, strict=True))
    rows: list[ForestRow] = []
    levels = tuple(dict.fromkeys(effects.by))
    for level in levels:
        members = [row for row, label in enumerate(effects.by) if label == level]
        rows += [ForestRow("blank", "")] if rows else []
        rows.append(ForestRow("header", sentence_case(numbers.humanise(level)) or "No subgroup given"))
        rows += _study_rows(table, members, 1)
        if level in pools and len(levels) > 1:
            rows += _subtotal_rows(analysis, table, members, pools[level])
    return [*rows, ForestRow("blank", "")]


def _study_rows(table: _Table, members: list[int], level: int) -> list[ForestRow]:
    """Return one row per study; a table of more than can be read on a page is summarised."""
    if len(table.labels) > DRAWN:
        return [ForestRow("text", f"{len(members):,} rows, not drawn one by one", level=level)]
    return [_study_row(table, row, level) for row in members]


def _study_row(table: _Table, row: int, level: int) -> ForestRow:
    study = table.studies[row]
    raw = tuple(column.cell(row) for column in table.raw)
    if study is None:
        cells = (*raw, numbers.ABSENT, NOT_ESTIMABLE)
        return ForestRow("not_estimable", table.labels[row], cells, level=level)
    cells = (*raw, numbers.fixed(table.shown[row], 1), estimate_cell(study, table.digits))
    weight = float(table.exact[row])
    return ForestRow("study", table.labels[row], cells, *table.drawn(study), weight, level)


def _subtotal_rows(analysis: Analysis, table: _Table, rows: Sequence[int], pool: PoolSummary) -> list[ForestRow]:
    members, spec = table.members(rows), analysis.fitted.spec
    weight = math.fsum(float(table.exact[row]) for row in members)
    adds_up = math.isclose(math.fsum(w for w in table.shown if math.isfinite(w)), 100.0)  # not so where weights tie
    share = math.fsum(table.shown[row] for row in members) if adds_up else weight
    cells = (*_sums(table, rows), numbers.fixed(share, 1), estimate_cell(pool.mean, table.digits))
    label = f"Subtotal ({counts(pool, words.JOINT)})"
    return [
        ForestRow("subtotal", label, cells, *table.drawn(pool.mean), weight, 1),
        ForestRow("text", words.heterogeneity_text(pool.heterogeneity, spec), level=1),
    ]


def _sums(table: _Table, rows: Sequence[int]) -> tuple[str, ...]:
    members = table.members(rows)
    return tuple(column.total(members) for column in table.raw)


def _bottom(analysis: Analysis, table: _Table) -> list[ForestRow]:
    """Return the total, the prediction interval and the lines of statistics."""
    overall, spec, groups = analysis.overall, analysis.fitted.spec, analysis.subgroups
    mean, prediction = overall.mean, overall.prediction
    cells = (*_sums(table, range(len(table.labels))), "100.0", estimate_cell(mean, table.digits))
    rows = [ForestRow("total", words.total_label(spec, mean, analysis.overall.k), cells, *table.drawn(mean), 100.0)]
    if prediction is not None:
        label = f"{percent(prediction.level)} prediction interval"
        cells = (*("" for _ in table.raw), "", words.bracketed(prediction, table.digits))
        rows.append(ForestRow("prediction", label, cells, None, *table.drawn(prediction)[1:]))
    lines = [words.heterogeneity_text(overall.heterogeneity, spec, define=True), words.overall_test_text(mean)]
    if groups is not None and groups.test is not None:
        lines.append(words.subgroup_test_text(groups.test))
    return [*rows, *(ForestRow("text", line) for line in lines if line)]
