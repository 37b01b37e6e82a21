"""The tables that page and card share, as rows of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import estimates_tau2
from metaback.numbers import ABSENT, MINUS, df_text, fixed, humanise, percent_weights, significant
from metaback.postestimation.number_styles import STANDARD, NumberStyle, p_cell, restyled
from metaback.postestimation.row_names import row_names
from metaback.postestimation.summary import Analysis, PoolSummary
from metaback.postestimation.words import (
    NOT_ESTIMABLE,
    asks_prediction,
    comparison,
    effect_digits,
    estimate_cell,
    i2_from_q,
    i2_shown,
    level_words,
    limits_cell,
    measure_short,
    percent,
    percent_cell,
    plural,
    scale_name,
    sentence_case,
    study_estimates,
)
from metaback.report.document import Table
from metaback.report.words import column_decimals, i2_cell, measure_words, plain, tau2_cell

ARM_ROLES = frozenset(f"{role}_{arm}" for role in ("n", "mean", "sd", "events") for arm in (1, 2))
PAGE_ROWS = 1000
CARD_ROWS = 50
PRINTED_ROLES = frozenset({"effect", "se", "ci_low", "ci_high"})


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of a table before it is put together."""

    head: str
    cells: tuple[str, ...]
    numeric: bool = False
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Flag:
    """A finding of the check about one row: its identifier, its severity and the roles of the cells it points to."""

    id: str
    severity: str
    roles: frozenset[str]


def study_table(
    analysis: Analysis,
    *,
    brief: bool = False,
    flags: Mapping[str, tuple[Flag, ...]] | None = None,
    style: NumberStyle = STANDARD,
) -> Table:
    """Return one row per row of the file: raw data, effect with its interval, variance, weight, origin.

    brief: without raw data, variance and origin (for the card). flags: findings of the check by the name of the row;
    their cells are marked, and a column names them. style: how numbers are written. Of very long tables the first rows
    are returned, and the caption says so; the CSV holds all.
    """
    effects, spec = analysis.fitted.effects, analysis.spec
    level = percent(spec.level)
    columns = _naming_columns(analysis, brief=brief)
    if not brief:
        columns += _raw_columns(effects, comparison(analysis).arms)
    columns.append(
        _Column(f"{measure_short(effects)} [{level} CI]", _effect_cells(analysis), True, frozenset({"yi", "sei", "d"}))
    )
    if not brief:
        variances = tuple(column_decimals(effects.vi.tolist()))
        columns.append(_Column("Variance", variances, True, frozenset({"vi"})))
    weights = tuple(fixed(w, 1) for w in percent_weights(analysis.overall.weights.tolist()))
    columns.append(_Column("Weight (%)", weights, numeric=True))
    if not brief:
        columns.append(_Column("How obtained", effects.obtained))
    if any(remarks := _remarks(effects)):
        columns.append(_Column("Corrected, or why not pooled", remarks))
    own = [(flags or {}).get(row, ()) for row in effects.rows]
    if any(own) and not brief:
        columns.append(_Column("Findings of the check", tuple("; ".join(f.id for f in found) for found in own)))
    caption = (
        f"Studies: {measure_words(effects)} of each row with its {level} confidence "
        f"interval (normal quantile){_scale_remark(analysis)}; weights are those of the pool of all studies"
        f"{_weight_remark(analysis)}."
    )
    shown = _styled(columns, style, ratio=_ratio(analysis))
    table = replace(_table(caption, shown, file="studies.csv"), marked=_marked(columns, own))
    return _shortened(table, CARD_ROWS if brief else PAGE_ROWS)


def _naming_columns(analysis: Analysis, *, brief: bool) -> list[_Column]:
    """Return the columns that name a row: its study, its place in the file, which effect it is, its subgroup."""
    effects = analysis.fitted.effects
    columns = [
        _Column("Study", effects.labels),
        _Column("Row in file", tuple(row.removeprefix("row ") for row in effects.rows)),
    ]
    if not brief and any(names := _row_names(analysis)):
        columns.append(_Column("Which effect", names))
    if effects.by is not None:
        groups = tuple(humanise(group) for group in effects.by)
        columns.append(_Column(sentence_case(humanise(effects.by_name or "subgroup")), groups))
    return columns


def _row_names(analysis: Analysis) -> tuple[str, ...]:
    """Return what tells each row from the others of its study and subgroup; "" where that is the row itself."""
    effects = analysis.fitted.effects
    by = effects.by if effects.by is not None else ("",) * effects.clusters.size
    numbers: dict[tuple[str, int], int] = {}
    group = [numbers.setdefault(key, len(numbers)) for key in zip(by, effects.clusters.tolist(), strict=True)]
    names = row_names(effects, np.array(group, dtype=np.intp))
    return tuple("" if name == row else name for name, row in zip(names, effects.rows, strict=True))


def _weight_remark(analysis: Analysis) -> str:
    """Say what the weight of an effect is in a model of dependent rows, where it can be less than nothing."""
    if not analysis.dependent:
        return ""
    below = bool((analysis.overall.weights < 0).any())
    rest = "; one below 0 belongs to an effect whose study has others that are more precise" if below else ""
    return f", by the working model{rest}"


def _marked(columns: Sequence[_Column], found: Sequence[tuple[Flag, ...]]) -> tuple[tuple[int, int], ...]:
    """Return the cells (row, column) that findings point to."""
    return tuple(
        (i, j)
        for i, flags in enumerate(found)
        for j, column in enumerate(columns)
        if any(column.roles & flag.roles for flag in flags)
    )


def pooled_table(analysis: Analysis, style: NumberStyle = STANDARD) -> Table:
    """Return one row for all studies and one per subgroup; style: how numbers are written."""
    spec = analysis.spec
    level = percent(spec.level)
    digits = effect_digits(analysis.overall.mean)
    rows = pools(analysis)
    columns = [
        _Column("Group", tuple(name for name, _ in rows)),
        *_size_columns([pool for _, pool in rows]),
        _Column(
            f"{measure_short(analysis.fitted.effects)} [{level} CI]",
            tuple(estimate_cell(pool.mean, digits) for _, pool in rows),
            numeric=True,
        ),
        *_p_columns([pool for _, pool in rows], style),
    ]
    limits = any(pool.heterogeneity.tau2_low is not None for _, pool in rows)
    if estimates_tau2(spec):
        columns.append(
            _Column(
                f"τ² [{level} CI]" if limits else "τ²",
                tuple(tau2_cell(pool.heterogeneity) for _, pool in rows),
                numeric=True,
            )
        )
    columns.append(
        _Column(
            _i2_head(analysis) if limits else "I²",
            tuple(i2_cell(pool.heterogeneity, spec) for _, pool in rows),
            numeric=True,
        )
    )
    cells = tuple(_q_cell(pool, style) for _, pool in rows)
    columns.append(_Column(f"Q (df), {style.p_letter}", cells, numeric=True))
    if asks_prediction(spec):
        cells = tuple(limits_cell(pool.prediction, digits) for _, pool in rows)
        columns.append(_Column(f"{level} prediction interval", cells, numeric=True))
    caption = f"Pooled results{_scale_remark(analysis)}; {_i2_definition(analysis)}."
    styled = _styled(columns, style, ratio=_ratio(analysis))
    return _table(caption, styled, file="pooled.csv", strong=(0,) if len(rows) > 1 else ())


def assumed_table(analysis: Analysis, style: NumberStyle = STANDARD) -> Table | None:
    """Return one row per assumed pre-post correlation, that of the main result in bold; None without a grid."""
    assumed = analysis.assumed
    if assumed is None or not assumed.grid:
        return None
    level, digits = percent(analysis.spec.level), effect_digits(analysis.overall.mean)
    means = [estimate_cell(mean, digits) if mean else NOT_ESTIMABLE for mean in assumed.means]
    columns = [
        _Column("Assumed r", tuple(f"{r:g}".replace("-", MINUS) for r in assumed.grid), numeric=True),
        _Column(f"{measure_short(analysis.fitted.effects)} [{level} CI]", tuple(means), numeric=True),
        _Column(
            style.p_letter,
            tuple(p_cell(mean.p_value, style) if mean else ABSENT for mean in assumed.means),
            numeric=True,
        ),
        _Column("τ²", tuple(significant(value) for value in assumed.tau2), numeric=True),
    ]
    rests = plural(assumed.rows, "effect rests", "effects rest")
    shown = ", back-transformed" if analysis.overall.mean.way != "identity" else ""
    caption = f"Pooled effect over the assumed pre-post correlation r, on which {rests}{shown}."
    styled = _styled(columns, style, ratio=_ratio(analysis))
    return _table(caption, styled, strong=(assumed.grid.index(assumed.r),))


def compact_table(analysis: Analysis) -> Table:
    """Return the pooled results in as few columns as a card has room for."""
    full = pooled_table(analysis)
    dropped = {"Participants", "Q (df), P"}
    keep = [i for i, head in enumerate(full.head) if head not in dropped]
    return Table(
        caption=comparison(analysis).title,
        head=tuple(full.head[i] for i in keep),
        rows=tuple(tuple(row[i] for i in keep) for row in full.rows),
        numeric=tuple(full.numeric[i] for i in keep),
        strong=full.strong,
    )


def overview_table(analyses: Sequence[Analysis], style: NumberStyle = STANDARD) -> Table:
    """Return one row per comparison, for the top of a report with several; style: how numbers are written."""
    level = percent(analyses[0].spec.level)
    columns = [
        _Column("Comparison", tuple(f"{i}. {comparison(a).title}" for i, a in enumerate(analyses, 1))),
        *_size_columns([a.overall for a in analyses]),
        _Column("Measure", tuple(measure_short(a.fitted.effects) for a in analyses)),
        _Column(
            f"Estimate [{level} CI]",
            tuple(estimate_cell(a.overall.mean, effect_digits(a.overall.mean)) for a in analyses),
            numeric=True,
        ),
        *_p_columns([a.overall for a in analyses], style),
        _Column(
            f"{level} prediction interval",
            tuple(limits_cell(a.overall.prediction, effect_digits(a.overall.mean)) for a in analyses),
            numeric=True,
        ),
        _Column("I²", tuple(_i2_point(a) for a in analyses), numeric=True),
    ]
    ratio = all(map(_ratio, analyses))
    return _table("Overview of all comparisons.", _styled(columns, style, ratio=ratio))


def _shortened(table: Table, most: int) -> Table:
    """Keep the first rows of a table that is too long to be read."""
    total = len(table.rows)
    if total <= most:
        return table
    return replace(
        table, rows=table.rows[:most], caption=f"{table.caption} The first {most:,} of {total:,} rows are shown."
    )


def pools(analysis: Analysis) -> list[tuple[str, PoolSummary]]:
    """Return the pool of all studies and those of the subgroups with their names."""
    rows = [("All studies", analysis.overall)]
    if analysis.subgroups is not None:
        levels = (level_words(analysis.subgroups.name, level) for level in analysis.subgroups.levels)
        rows += zip(levels, analysis.subgroups.pools, strict=True)
    return rows


def _table(caption: str, columns: Sequence[_Column], file: str = "", strong: tuple[int, ...] = ()) -> Table:
    rows = tuple(zip(*(column.cells for column in columns), strict=True))
    return Table(caption, tuple(c.head for c in columns), rows, tuple(c.numeric for c in columns), file, strong)


def _size_columns(listed: Sequence[PoolSummary]) -> list[_Column]:
    """Return studies, effects where they are more than studies, and participants where any are known."""
    columns = [_Column("Studies", tuple(str(pool.studies) for pool in listed), numeric=True)]
    if any(pool.k != pool.studies for pool in listed):
        columns.append(_Column("Effects", tuple(str(pool.k) for pool in listed), numeric=True))
    if any(pool.n is not None for pool in listed):
        columns.append(_Column("Participants", tuple(_people(pool) for pool in listed), numeric=True))
    return columns


def _styled(columns: Sequence[_Column], style: NumberStyle, *, ratio: bool) -> list[_Column]:
    """Write the numbers of columns as a journal does; columns of words stay as they are."""
    return [
        replace(column, cells=tuple(restyled(cell, style, ratio=ratio) for cell in column.cells))
        if column.numeric
        else column
        for column in columns
    ]


def _ratio(analysis: Analysis) -> bool:
    """Tell whether effects are ratios, whose limits no minus sign can precede."""
    return analysis.overall.mean.way == "exp"


def _p_columns(listed: Sequence[PoolSummary], style: NumberStyle) -> list[_Column]:
    """Return the P values of the tests of no effect, nothing where none was made, as for one-group measures."""
    if not any(math.isfinite(pool.mean.p_value) for pool in listed):
        return []
    return [_Column(style.p_letter, tuple(p_cell(pool.mean.p_value, style) for pool in listed), numeric=True)]


def _people(pool: PoolSummary) -> str:
    return ABSENT if pool.n is None else f"{pool.n:,}"


def _i2_point(analysis: Analysis) -> str:
    return percent_cell(i2_shown(analysis.overall.heterogeneity, analysis.spec))


def _q_cell(pool: PoolSummary, style: NumberStyle) -> str:
    found = pool.heterogeneity
    if found.q_df == 0:
        return ABSENT
    return f"{fixed(found.q)} ({df_text(found.q_df)}), {p_cell(found.q_p, style)}"


def _i2_head(analysis: Analysis) -> str:
    spec = analysis.spec
    return "I²" if i2_from_q(spec) else f"I² [{percent(spec.level)} CI]"


def _i2_definition(analysis: Analysis) -> str:
    return "I² from Q" if i2_from_q(analysis.spec) else "I² from τ²"


def _scale_remark(analysis: Analysis) -> str:
    way = analysis.overall.mean.way
    if way in {"exp", "exp_share"}:
        return ", back-transformed; variances are those of logarithms"
    scale = scale_name(way)
    return f", back-transformed; variances are those of the {scale}" if scale else ""


def _effect_cells(analysis: Analysis) -> tuple[str, ...]:
    digits = effect_digits(analysis.overall.mean)
    return tuple(estimate_cell(study, digits) if study else NOT_ESTIMABLE for study in study_estimates(analysis))


def _remarks(effects: EffectSizes) -> tuple[str, ...]:
    pairs = zip(effects.corrections, effects.reasons, strict=True)
    return tuple("; ".join(text for text in (fix, f"not pooled: {why}" if why else "") if text) for fix, why in pairs)


def _raw_columns(effects: EffectSizes, arms: tuple[str, str]) -> list[_Column]:
    """Return the raw data of the table: one column per arm, one for printed effects, one for every other role."""
    values = {role: [_number(v) for v in column.tolist()] for role, column in effects.inputs.items()}
    columns: list[_Column] = []
    for arm, title in enumerate(arms, 1):
        columns += _arm_columns(values, arm, title, len(effects.labels))
    columns += _printed_columns(values, len(effects.labels))
    others = [role for role in values if role not in ARM_ROLES | PRINTED_ROLES and _any(values, role)]
    columns += [
        _Column(sentence_case(humanise(r)), tuple(plain(v) for v in values[r]), True, frozenset({r})) for r in others
    ]
    return columns


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _any(values: dict[str, list[float | None]], *roles: str) -> bool:
    return any(v is not None for role in roles for v in values.get(role, ()))


def _arm_columns(values: dict[str, list[float | None]], arm: int, title: str, rows: int) -> list[_Column]:
    blank: list[float | None] = [None] * rows
    n, mean, sd, events = (values.get(f"{role}_{arm}", blank) for role in ("n", "mean", "sd", "events"))
    columns: list[_Column] = []
    if _any(values, f"events_{arm}"):
        cells = tuple("" if e is None else f"{plain(e)} / {plain(t)}" for e, t in zip(events, n, strict=True))
        columns.append(_Column(f"{title}: events / n", cells, True, _arm_roles(arm, "events", "n", "percent")))
    elif _any(values, f"mean_{arm}", f"sd_{arm}"):
        cells = tuple(_mean_cell(*row) for row in zip(mean, sd, n, strict=True))
        columns.append(_Column(f"{title}: mean (SD), n", cells, True, _arm_roles(arm, "mean", "sd", "n", "se")))
    elif _any(values, f"n_{arm}"):
        texts = tuple("" if t is None else plain(t) for t in n)
        columns.append(_Column(f"{title}: n", texts, True, _arm_roles(arm, "n")))
    return columns


def _arm_roles(arm: int, *stems: str) -> frozenset[str]:
    return frozenset(f"{stem}_{arm}" for stem in stems)


def _mean_cell(mean: float | None, sd: float | None, n: float | None) -> str:
    if mean is None:
        return "" if n is None else f"n = {plain(n)}"
    return f"{plain(mean)} ({plain(sd)}), {plain(n)}"


def _printed_columns(values: dict[str, list[float | None]], rows: int) -> list[_Column]:
    if not _any(values, "effect"):
        return []
    blank: list[float | None] = [None] * rows
    parts = zip(*(values.get(role, blank) for role in ("effect", "se", "ci_low", "ci_high")), strict=True)
    return [_Column("As printed in the source", tuple(_printed(*part) for part in parts), True, PRINTED_ROLES)]


def _printed(effect: float | None, se: float | None, low: float | None, high: float | None) -> str:
    if effect is None:
        return ""
    if low is not None and high is not None:
        return f"{plain(effect)} [{plain(low)}, {plain(high)}]"
    return f"{plain(effect)} (SE {plain(se)})" if se is not None else plain(effect)
