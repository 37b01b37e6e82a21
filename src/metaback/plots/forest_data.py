"""The contents of a forest plot as plain values: what stands in every row and column, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypedDict, get_args

import numpy as np

from metaback import numbers
from metaback.effects.effect_sizes import EffectSizes, Floats
from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.plots import forest_words as words
from metaback.plots.forest_columns import Columns, TableColumn, own_columns, raw_columns, row_order, table_values
from metaback.plots.forest_layouts import ForestLayout, forest_layout
from metaback.plots.forest_models import ModelWords, model_words, naive_note
from metaback.plots.forest_records import (
    STRAIGHT,
    Align,
    ForestColumn,
    ForestData,
    ForestRow,
    PiStyle,
    RowKind,
)
from metaback.plots.forest_studies import Together, study_labels, study_order, together
from metaback.plots.rob_words import RobTable, read_rob, rob_columns
from metaback.postestimation.number_styles import restyled
from metaback.postestimation.predictive import predictive_density
from metaback.postestimation.summary import Analysis, PoolSummary
from metaback.postestimation.words import (
    NOT_ESTIMABLE,
    comparison,
    counts,
    effect_digits,
    estimate_cell,
    level_words,
    measure_short,
    percent,
    sentence_case,
    study_estimates,
)
from metaback.stats.measures.family import has_null
from metaback.stats.transforms import back

__all__ = [
    "DRAWN", "NO_EFFECT", "STRAIGHT", "Align", "ForestChoices", "ForestColumn", "ForestData", "ForestRow",
    "ForestWords", "RowKind", "forest_data",
]  # fmt: skip

NO_EFFECT = 0.0
DRAWN = 500  # rows above which a forest shows its pools only


class ForestWords(TypedDict, total=False):
    """The choices of a forest plot as keywords; see `ForestChoices`."""

    layout: str | ForestLayout
    columns: Columns | None
    sort: str | None
    descending: bool
    pi_style: PiStyle
    mcid: float | tuple[float, float] | None
    risk_of_bias: bool | str
    by_study: bool | None


@dataclass(frozen=True, slots=True)
class ForestChoices:
    """What a reader can ask of a forest plot.

    layout: "standard", "revman", "jama", "bmj", "lancet", "plain" or a `ForestLayout` of one's own.
    columns: names of columns of the table, or a mapping from them to heads or to (head, "left" or "right").
    sort: "weight" and "precision" (largest first), "effect", "year", "label" or a column of the table (smallest
    first), within subgroups; descending turns it round; None is the order of the table.
    pi_style: "bar", "line" or "density" for the prediction interval.
    mcid: the smallest effect that matters on the natural scale, or the two ends of a band.
    risk_of_bias: whether the columns `rob_*` are shown as symbols, or the instrument that they are of.
    by_study: whether the effects of a study stand together under its name and the mean of them; None is so where they
    are modelled as dependent. Studies are then sorted as a whole.
    """

    layout: str | ForestLayout = "standard"
    columns: Columns | None = None
    sort: str | None = None
    descending: bool = False
    pi_style: PiStyle = "bar"
    mcid: float | tuple[float, float] | None = None
    risk_of_bias: bool | str = False
    by_study: bool | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    """What every row of one forest is written from."""

    effects: EffectSizes
    layout: ForestLayout
    labels: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    order: tuple[int, ...]
    shown: tuple[float, ...]
    exact: Floats
    studies: tuple[Estimate | None, ...]
    scale: Literal["linear", "log"]
    digits: int
    size: float | None
    rob: RobTable | None
    together: Together | None = None

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

    def share(self, rows: Sequence[int]) -> float:
        """Return the sum of the weights of some pooled rows as it is shown."""
        adds_up = math.isclose(math.fsum(w for w in self.shown if math.isfinite(w)), 100.0)  # not so where weights tie
        return math.fsum((self.shown if adds_up else self.exact.tolist())[row] for row in rows)

    def styled(self, text: str) -> str:
        """Return a text of numbers in the layout's way."""
        return restyled(text, self.layout.numbers, ratio=self.scale == "log")

    def cells(self, text: Callable[[TableColumn], str], *, weight: str, effect: str) -> tuple[str, ...]:
        """Return the texts of one row: weight and effect as they are given, every other column by `text`."""
        made: list[str] = []
        for column in self.columns:
            given = {"weight": weight, "effect": effect}.get(column.block)
            cell = text(column) if given is None else given
            made.append(cell if column.column.kind == "text" else self.styled(cell))
        return tuple(made)


def forest_data(
    analysis: Analysis,
    choices: ForestChoices | None = None,
    *,
    title: str | None = None,
    label_head: str | None = None,
    digits: int | None = None,
    model: ModelWords | None = None,
    studies: Sequence[str] | None = None,
) -> ForestData:
    """Write down the forest plot of an analysis: rows in the order of the table, grouped where there are subgroups.

    choices: layout, columns, order and marks; None for the standard ones. title: None makes one from outcome and
    treatments. digits: decimals of the effects; None for 2, or more where the interval of the pooled effect is narrower
    than that can show. model: words of a model that is not of `pool`. studies: name of each row's study, where labels
    name the rows. Raises `OptionError` for choices that do not exist or do not fit the scale.
    """
    asked = choices or ForestChoices()
    if asked.pi_style not in get_args(PiStyle):
        raise OptionError.unknown("pi_style", asked.pi_style, get_args(PiStyle))
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    said = model or model_words(analysis)
    table = _table(analysis, asked, effect_digits(mean) if digits is None else digits, studies)
    layout, mcid = table.layout, _mcid(asked.mcid, mean)
    data = ForestData(
        title=comparison(effects).known if title is None else title,
        label_head=layout.label_head if label_head is None else label_head,
        columns=tuple(column.column for column in table.columns),
        rows=(*_body(analysis, table), *_bottom(analysis, table, said)),
        axis_title=words.axis_title(effects, mean.way),
        scale=table.scale,
        null=NO_EFFECT if has_null(effects.measure) else None,
        reference=table.drawn(mean)[0],
        favours=words.favours_words(effects, layout.favours),
        footnotes=(),
        alt=words.alt_text(analysis, table.digits, said.name),
        back=mean.back,
        size=mean.size,
        layout=layout,
        pi_style=asked.pi_style,
        density=_density(analysis, asked.pi_style),
        mcid=mcid,
        rob=table.rob,
    )
    methods = tuple(table.styled(line) for line in said.methods) if model or analysis.dependent else said.methods
    return _with_notes(data, analysis, table, asked, methods)


def _with_notes(
    data: ForestData, analysis: Analysis, table: _Table, asked: ForestChoices, methods: Sequence[str]
) -> ForestData:
    """Add the footnotes, and what the marks say to those who do not see them."""
    within = _study_notes(data, analysis, table)
    more = [*within, words.order_note(asked.sort, descending=asked.descending), words.mcid_note(asked.mcid)]
    notes = [*words.footnotes(analysis, table.labels, methods), *(table.styled(note) for note in more if note)]
    told = [data.alt, *within[:1], words.mcid_note(asked.mcid), words.rob_alt(table.rob)]
    return replace(data, footnotes=tuple(notes), alt=" ".join(text for text in told if text))


def _study_notes(data: ForestData, analysis: Analysis, table: _Table) -> list[str]:
    """Say what stands under the name of a study, and what its marks are."""
    if table.together is None:
        return []
    means = any(row.kind == "study_mean" and row.estimate is not None for row in data.rows)
    flat = any(row.kind == "study" and row.weight is not None and row.weight <= 0 for row in data.rows)
    return [words.STUDY_MEANS if means else "", words.NO_SQUARE if flat else "", naive_note(analysis)]


def _table(analysis: Analysis, asked: ForestChoices, digits: int, studies: Sequence[str] | None) -> _Table:
    effects, overall = analysis.fitted.effects, analysis.overall
    layout, found = forest_layout(asked.layout), _together(analysis, asked, studies)
    sort, descending = asked.sort, asked.descending
    if found is None:
        alone = analysis.dependent and asked.by_study is None  # a study stands once in each subgroup, under its name
        labels = study_labels(effects) if alone else words.distinct_labels(effects.labels)
        order = row_order(effects, overall.weights, sort, descending=descending)
    else:
        labels = tuple(map(found.label, range(len(effects.labels))))
        order = study_order(analysis, found, sort, descending=descending)
    return _Table(
        effects=effects,
        layout=layout,
        labels=labels,
        columns=_columns(analysis, layout, asked.columns),
        order=tuple(order),
        shown=tuple(numbers.percent_weights([float(w) for w in overall.weights])),
        exact=overall.weights,
        studies=study_estimates(analysis),
        scale="log" if overall.mean.scale == "log" else "linear",
        digits=digits,
        size=overall.mean.size,
        rob=_rob(effects, asked.risk_of_bias),
        together=found,
    )


def _together(analysis: Analysis, asked: ForestChoices, studies: Sequence[str] | None) -> Together | None:
    """Return the rows by study where they are to stand so."""
    if asked.by_study not in (None, True, False):
        raise OptionError(f"by_study={asked.by_study!r}: True, False, or None for as the pool takes its rows")
    wanted = analysis.dependent if asked.by_study is None else asked.by_study
    return together(analysis, studies) if wanted else None


def _columns(analysis: Analysis, layout: ForestLayout, asked: Columns | None) -> tuple[TableColumn, ...]:
    """Return the columns from left to right: the reader's own first on the left and last on the right."""
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    own = own_columns(effects, asked)
    effect = layout.numbers.brackets
    head = f"{measure_short(effects)} {effect[0]}{percent(mean.level)} CI{effect[1]}"
    blocks = {
        "raw": raw_columns(effects, layout),
        "weight": (TableColumn(ForestColumn(layout.weight_head, "right", "right", kind="weight"), (), "weight"),),
        "effect": (TableColumn(ForestColumn(head, "right", "interval", kind="effect"), (), "effect"),),
    }
    left = [c for c in own if c.column.side == "left"] + [c for block in layout.left for c in blocks[block]]
    right = [c for block in layout.right for c in blocks[block]] + [c for c in own if c.column.side == "right"]
    sided = [replace(c, column=replace(c.column, side="left")) for c in left]
    return (*sided, *(replace(c, column=replace(c.column, side="right")) for c in right))


def _rob(effects: EffectSizes, asked: bool | str) -> RobTable | None:
    """Read the judgements of risk of bias, where they are asked for."""
    if asked is False:
        return None
    columns = table_values(effects)
    chosen = {name: columns[name] for name in rob_columns(list(columns))}
    return read_rob(chosen, tool=asked if isinstance(asked, str) else None, rows=effects.rows)


def _mcid(mcid: float | tuple[float, float] | None, mean: Estimate) -> tuple[float, ...]:
    """Carry thresholds from the natural to the analysis scale.

    Raises `OptionError` where that scale does not have them.
    """
    if mcid is None:
        return ()
    values = np.atleast_1d(np.asarray(mcid, dtype=float))
    if values.shape not in {(1,), (2,)}:
        raise OptionError(f"mcid={mcid!r}: one number, or the two ends of a band")
    with np.errstate(all="ignore"):
        found = back(mean.way).forward(values, mean.size)
    if not np.isfinite(found).all() or (mean.scale == "log" and not (values > 0).all()):
        raise OptionError(f"mcid={mcid!r} has no place on this axis; give it on the natural scale of the measure")
    return tuple(sorted(float(value) for value in found))


def _density(analysis: Analysis, pi_style: PiStyle) -> tuple[tuple[float, float], ...]:
    prediction = analysis.overall.prediction
    if pi_style != "density" or prediction is None:
        return ()
    points, heights = predictive_density(prediction, analysis.spec)
    low, high = back(prediction.way).domain if prediction.back else (-math.inf, math.inf)
    return tuple((x, h) for x, h in zip(points.tolist(), heights.tolist(), strict=True) if low <= x <= high)


def _body(analysis: Analysis, table: _Table) -> list[ForestRow]:
    """Return the study rows, grouped under headers where the analysis has subgroups, with subtotals for two or more."""
    effects, groups = table.effects, analysis.subgroups
    if groups is None or effects.by is None:
        return _study_rows(table, table.order, 0)
    pools = dict(zip(groups.levels, groups.pools, strict=True))
    rows: list[ForestRow] = []
    levels = tuple(dict.fromkeys(effects.by))
    for level in levels:
        members = [row for row in table.order if effects.by[row] == level]
        rows += [ForestRow("blank", "")] if rows else []
        rows.append(ForestRow("header", sentence_case(level_words(groups.name, level)) or "No subgroup given"))
        rows += _study_rows(table, members, 1)
        if level in pools and len(levels) > 1:
            rows += _subtotal_rows(analysis, table, members, pools[level])
    return [*rows, ForestRow("blank", "")]


def _study_rows(table: _Table, members: Sequence[int], level: int) -> list[ForestRow]:
    """Return one row per study; a table of more than can be read on a page is summarised."""
    if len(table.labels) > DRAWN:
        return [ForestRow("text", f"{len(members):,} rows, not drawn one by one", level=level)]
    if table.together is None:
        return [_study_row(table, row, level) for row in members]
    runs = table.together.runs(members)
    return [made for rows in runs for made in _rows_of_study(table, table.together, rows, level)]


def _rows_of_study(table: _Table, found: Together, rows: Sequence[int], level: int) -> list[ForestRow]:
    """Return the rows of one study: several effects stand under its name with their mean and the sum of weights.

    Judgements of bias that are those of every effect are written once, at the study.
    """
    if len(rows) == 1:
        return [_study_row(table, rows[0], level)]
    number = found.group[rows[0]]
    study, mean, members = found.studies[number], found.means[number], table.members(rows)
    judged = tuple(table.rob.cells[row] for row in rows) if table.rob is not None else ()
    once = judged[0] if judged and all(cells == judged[0] for cells in judged) else ()
    head = ForestRow("study_mean", study, level=level, judgements=once)
    if mean is not None and len(members) > 1:
        weight, effect = numbers.fixed(table.share(members), 1), estimate_cell(mean, table.digits)
        cells = table.cells(lambda _: "", weight=weight, effect=effect)
        exact = math.fsum(float(table.exact[row]) for row in members)
        head = ForestRow("study_mean", study, cells, *table.drawn(mean), exact, level, once)
    effects = [replace(_study_row(table, row, level + 1), label=found.names[row], study=study) for row in rows]
    return [head, *(replace(effect, judgements=()) if once else effect for effect in effects)]


def _study_row(table: _Table, row: int, level: int) -> ForestRow:
    study, label = table.studies[row], table.labels[row]
    judged = table.rob.cells[row] if table.rob is not None else ()
    if study is None:
        cells = table.cells(lambda column: column.texts[row], weight=numbers.ABSENT, effect=NOT_ESTIMABLE)
        return ForestRow("not_estimable", label, cells, level=level, judgements=judged)
    weight, effect = numbers.fixed(table.shown[row], 1), estimate_cell(study, table.digits)
    cells = table.cells(lambda column: column.texts[row], weight=weight, effect=effect)
    return ForestRow("study", label, cells, *table.drawn(study), float(table.exact[row]), level, judged)


def _total(analysis: Analysis, column: TableColumn, rows: Sequence[int]) -> str:
    """Return the sum of a column, "" where rows of a study may be the same people: a sum would count them again.

    A model with levels comes without a number of people, as a pool of dependent rows does.
    """
    studies = {int(analysis.fitted.effects.clusters[row]) for row in rows}
    modelled = analysis.dependent or analysis.overall.n is None
    return "" if modelled and len(studies) < len(rows) else column.total(rows)


def _subtotal_rows(analysis: Analysis, table: _Table, rows: Sequence[int], pool: PoolSummary) -> list[ForestRow]:
    members, spec = table.members(rows), analysis.spec
    weight = math.fsum(float(table.exact[row]) for row in members)
    cells = table.cells(
        lambda column: _total(analysis, column, members),
        weight=numbers.fixed(table.share(members), 1),
        effect=estimate_cell(pool.mean, table.digits),
    )
    label = f"Subtotal ({counts(pool, words.JOINT)})"
    found = [ForestRow("subtotal", label, cells, *table.drawn(pool.mean), weight, 1)]
    if table.layout.subgroup_lines:
        line = words.heterogeneity_text(pool.heterogeneity, spec, layout=table.layout)
        found.append(ForestRow("text", table.styled(line), level=1))
    return found


def _bottom(analysis: Analysis, table: _Table, said: ModelWords) -> list[ForestRow]:
    """Return the total, the prediction interval and the lines of statistics."""
    overall, spec, groups, layout = analysis.overall, analysis.spec, analysis.subgroups, table.layout
    mean, prediction = overall.mean, overall.prediction
    pooled = table.members(range(len(table.labels)))
    effect = estimate_cell(mean, table.digits)
    cells = table.cells(lambda column: _total(analysis, column, pooled), weight=table.styled("100.0"), effect=effect)
    rows = [ForestRow("total", said.total, cells, *table.drawn(mean), 100.0)]
    if prediction is not None:
        cells = table.cells(lambda _: "", weight="", effect=words.bracketed(prediction, table.digits))
        rows.append(ForestRow("prediction", said.prediction, cells, None, *table.drawn(prediction)[1:]))
    test = groups.test if groups is not None else None
    spread = words.heterogeneity_text(overall.heterogeneity, spec, define=True, layout=layout, parts=said.parts)
    lines = {
        "heterogeneity": spread,
        "overall": words.overall_test_text(mean, layout),
        "subgroups": words.subgroup_test_text(test, layout) if test is not None else "",
    }
    return [*rows, *(ForestRow("text", table.styled(lines[line])) for line in layout.lines if lines[line])]
