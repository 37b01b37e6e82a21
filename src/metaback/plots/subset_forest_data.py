"""Leave-one-out and cumulative forests as plain values: each row is a pool of a part of the studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from metaback import numbers
from metaback.models.fitted import Estimate
from metaback.plots import forest_words as words
from metaback.plots.forest_data import NO_EFFECT, ForestColumn, ForestData, ForestRow
from metaback.plots.forest_layouts import forest_layout
from metaback.plots.forest_models import model_words
from metaback.postestimation.cumulative import Cumulative
from metaback.postestimation.flips import one_line
from metaback.postestimation.leave_one_out import LeaveOneOut
from metaback.postestimation.number_styles import STANDARD, p_cell, restyled
from metaback.postestimation.subsets import Subsets
from metaback.postestimation.summary import Analysis, Heterogeneity
from metaback.postestimation.words import (
    NOT_ESTIMABLE,
    comparison,
    effect_digits,
    estimate_cell,
    i2_shown,
    measure_name,
    measure_short,
    percent,
    percent_cell,
    plural,
    sentence_case,
)
from metaback.stats.measures.family import has_null
from metaback.stats.transforms import back

TURNS = "\u2021"  # marks a row whose interval leads to another conclusion
NAMED = 3  # rows of one step that its label names


def leave_one_out_forest_data(analysis: Analysis, found: LeaveOneOut, *, title: str | None = None) -> ForestData:
    """Write down the forest of a leave-one-out analysis: the pool without each part, with tau2, I2 and P of that pool.

    Rows whose interval leads to another conclusion than that of all are marked and told. The dashed line is the pool of
    all. Rows that cannot be left out keep their place with the reason.
    """
    names = [label + (f" {TURNS}" if flip else "") for label, flip in zip(found.labels, found.flips, strict=True)]
    notes = list(found.sentences[:6])
    if len(found.sentences) > 6:
        notes.append(f"{plural(len(found.sentences) - 6, 'more leads', 'more lead')} to another conclusion.")
    if notes:
        notes.insert(0, f"{TURNS} The interval leads to another conclusion than that of all studies.")
    elif np.isfinite(found.pools.estimate).any():
        notes = ["The conclusion stays the same whichever is left out."]
    else:
        notes = ["Nothing is left without any of them."]
    what = "study" if found.by == "study" else "row"
    head = f"Leave-one-out forest: the pool without each {what} in turn"
    said = " ".join(found.sentences) or notes[-1]
    data = _forest(analysis, found.pools, names, title)
    alt = _alt(analysis, found.pools, head, [f"without {one_line(label)}" for label in found.labels], said)
    return replace(data, label_head=f"Without this {what}", footnotes=(*notes, *data.footnotes), alt=alt)


def cumulative_forest_data(analysis: Analysis, found: Cumulative, *, title: str | None = None) -> ForestData:
    """Write down the forest of a cumulative analysis: the pool after each step, with tau2, I2 and P of that pool."""
    names = [_step(found, i) for i in range(len(found.labels))]
    notes = [f"Each row pools that study with all above it, in the order of {found.order}."]
    if found.order == "order of the table":
        notes = ["Each row pools that study with all above it, in the order of the table."]
    notes += found.sentences or ("The conclusion is the same at every step.",)
    if found.last:
        notes.append(f"Without a value, so at the end: {', '.join(map(one_line, found.last))}.")
    data = _forest(analysis, found.pools, names, title)
    said = " ".join(found.sentences) or "The conclusion is the same at every step."
    head = f"Cumulative forest, by {found.order}"
    alt = _alt(analysis, found.pools, head, [f"up to {one_line(name)}" for name in names], said)
    return replace(data, label_head="Added", footnotes=(*notes, *data.footnotes), alt=alt)


def in_layout(data: ForestData, layout: str) -> ForestData:
    """Return the forest in the colours and with the way of writing numbers of a layout; its columns stay."""
    chosen = forest_layout(layout)
    style, ratio = chosen.numbers, data.way in ("exp", "exp_share")
    of_p = next((i for i, column in enumerate(data.columns) if column.head == STANDARD.p_letter), -1)

    def cells(row: ForestRow) -> tuple[str, ...]:
        told = [restyled(cell, style, ratio=ratio) for cell in row.cells]
        if of_p >= 0 and math.isfinite(row.p):
            told[of_p] = p_cell(row.p, style)
        return tuple(told)

    columns = tuple(
        replace(column, head=style.p_letter) if i == of_p else column for i, column in enumerate(data.columns)
    )
    rows = tuple(replace(row, cells=cells(row)) for row in data.rows)
    return replace(data, columns=columns, rows=rows, layout=chosen)


def _step(found: Cumulative, i: int) -> str:
    """Name who enters at a step, with the value of the order."""
    names = found.labels[i].split(" + ")
    many = len(names) > NAMED and int(found.added[i].sum()) > NAMED
    label = f"{' + '.join(names[:NAMED])} + {len(names) - NAMED} more" if many else found.labels[i]
    value = _whole(found.values[i])
    return f"{label} ({value})" if value and value not in label and found.order.split(",")[0] != "precision" else label


def _whole(value: str) -> str:
    """Write a whole number of an order, such as a year, without decimals."""
    number = numbers.parse_number(value)
    return value if number is None else numbers.as_given(number)


def _forest(analysis: Analysis, pools: Subsets, labels: Sequence[str], title: str | None) -> ForestData:
    """Return the forest of some pools, and the pool of all below it."""
    effects, overall = analysis.fitted.effects, analysis.overall
    mean = overall.mean
    head = f"{measure_short(effects)} [{percent(mean.level)} CI]"
    tested = has_null(effects.measure)
    columns = [ForestColumn("k", "left", "right"), ForestColumn(head, "right", "interval")]
    columns += [ForestColumn("P", "right", "right")] if tested else []
    columns += [ForestColumn("τ²", "right", "right"), ForestColumn("I²", "right", "right")]
    shown = _Shown(effect_digits(mean), _tau2_digits(pools))
    rows = [_row(analysis, pools, i, label, shown) for i, label in enumerate(labels)]
    rows += [ForestRow("blank", ""), _all(analysis, shown)]
    return ForestData(
        title=comparison(effects).known if title is None else title,
        label_head="Study",
        columns=tuple(columns),
        rows=tuple(rows),
        axis_title=words.axis_title(effects, mean.way),
        scale="log" if mean.scale == "log" else "linear",
        null=NO_EFFECT if tested else None,
        reference=_drawn(mean, mean.size)[0],
        favours=words.favours_words(effects),
        footnotes=words.footnotes(analysis, words.distinct_labels(effects.labels), model_words(analysis).methods),
        alt="",
        back=mean.back,
        size=mean.size,
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """Decimals of effects and of tau2."""

    effect: int
    tau2: int


def _tau2_digits(pools: Subsets) -> int:
    """Return the decimals that show two digits or more of the largest tau2."""
    most = float(np.nanmax(pools.tau2, initial=0.0))
    return min(max(2, 2 - math.floor(math.log10(most))), 8) if most > 0 else 2


def _row(analysis: Analysis, pools: Subsets, i: int, label: str, shown: _Shown) -> ForestRow:
    """Return the row of one pool."""
    mean = analysis.overall.mean
    tested = has_null(analysis.fitted.effects.measure)
    if not math.isfinite(float(pools.estimate[i])):
        blank = [""] * (3 if tested else 2)
        return ForestRow("not_estimable", label, (numbers.ABSENT, NOT_ESTIMABLE, *blank))
    size = float(pools.size[i])
    estimate = replace(
        mean,
        point=float(pools.estimate[i]),
        lower=float(pools.ci_low[i]),
        upper=float(pools.ci_high[i]),
        size=size if math.isfinite(size) else None,
    )
    found = _numbers(float(pools.p_value[i]), float(pools.tau2[i]), float(pools.i2[i]), shown)
    cells = (str(int(pools.k[i])), estimate_cell(estimate, shown.effect), *(found if tested else found[1:]))
    p = float(pools.p_value[i]) if tested else math.nan
    return ForestRow("study", label, cells, *_drawn(estimate, mean.size), 1.0, p=p)


def _numbers(p: float, tau2: float, i2: float, shown: _Shown) -> tuple[str, str, str]:
    """Write P, tau2 and I2; a dash for what does not exist."""
    return numbers.p_text(p), numbers.fixed(tau2, shown.tau2), percent_cell(i2)


def _all(analysis: Analysis, shown: _Shown) -> ForestRow:
    """Return the row of the pool of all."""
    overall = analysis.overall
    mean, found = overall.mean, overall.heterogeneity
    texts = _numbers(mean.p_value, _or_nan(found.tau2), _i2(found, analysis), shown)
    cells = (
        str(overall.k),
        estimate_cell(mean, shown.effect),
        *(texts if has_null(analysis.fitted.effects.measure) else texts[1:]),
    )
    label = model_words(analysis).total.replace("Total (", "All (")
    p = mean.p_value if has_null(analysis.fitted.effects.measure) else math.nan
    return ForestRow("total", label, cells, *_drawn(mean, mean.size), 100.0, p=p)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _i2(found: Heterogeneity, analysis: Analysis) -> float:
    return _or_nan(i2_shown(found, analysis.spec))


def _drawn(estimate: Estimate, size: float | None) -> tuple[float, float, float]:
    """Return where point and limits lie on the axis, which is the analysis scale of the pool of all.

    Where the way back needs a size, a pool has its own: its natural numbers are carried to the axis.
    """
    values = (estimate.point, estimate.lower, estimate.upper)
    if not estimate.back:
        return values
    way = back(estimate.way)
    if way.size:
        point, lower, upper = way.forward(np.array(estimate.natural()), size).tolist()
    else:
        point, lower, upper = np.clip(values, *way.domain).tolist()
    return point, lower, upper


def _alt(analysis: Analysis, pools: Subsets, head: str, names: Sequence[str], said: str) -> str:
    """Describe the figure in words: how many pools, the smallest and the largest, and what they change."""
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    digits = effect_digits(mean)
    name = comparison(effects).known
    known = np.flatnonzero(np.isfinite(pools.estimate))
    parts = [f"{head}{f', {name}' if name else ''}, {plural(int(known.size), 'pool')}"]
    parts.append(f"{sentence_case(measure_name(effects))} of all: {estimate_cell(mean, digits)}")
    if known.size:
        low, high = (int(known[at]) for at in (pools.estimate[known].argmin(), pools.estimate[known].argmax()))
        ends = []
        for i in (low, high):
            size = float(pools.size[i])
            one = replace(mean, point=float(pools.estimate[i]), size=size if math.isfinite(size) else None)
            ends.append(f"{numbers.fixed(one.natural()[0], digits)} {names[i]}")
        parts.append(f"Smallest {ends[0]}, largest {ends[1]}")
    return ". ".join(parts) + f". {said}"
