"""The record that every model starts from: effects, variances, and how each row came to its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from importlib import import_module
from itertools import compress
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.numbers import as_given, fixed, significant
from metaback.stats.blocks import BlockMatrix, blocks_of, selected, within
from metaback.stats.conversions import CONVERSIONS
from metaback.stats.measures import about, choices_of

Floats = NDArray[np.float64]
# What numbers are called that stand in a table under another name: a printed mean difference is its effect, and so on.
ROLE_WORDS: Mapping[str, str] = {
    "md": "mean difference",
    "sd_within": "SD within groups",
    "odds_ratio": "odds ratio",
    "risk_ratio": "risk ratio",
    "md_se": "SE of the mean difference",
    "md_low": "lower limit of the mean difference",
    "md_high": "upper limit of the mean difference",
    "df": "degrees of freedom",
}
AGGREGATE = "metaback.effects.aggregate"  # it makes effects of effects, so that it stands above this file
READY = ("yi", "vi", "sei", "effect", "ci_low", "ci_high", "ci_level", "se", "d")
DIGITS = 5  # of a number that was derived
SHOWN, WIDTH = 10, 40  # rows, and letters of a study's name, that a listing shows
NOT_STATED = "(not stated)"  # the subgroup of rows whose cell is blank: shown, but no group to be tested


@dataclass(frozen=True, slots=True)
class Context:
    """What the rows are about, as far as the table says so; None where it does not or where rows differ."""

    outcome: str | None = None
    treatment_1: str | None = None
    treatment_2: str | None = None
    higher_is_better: bool | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A number of one row that the table does not have: what it was derived from, how, and what must be believed.

    gives, takes: roles that came out and went in, with the `values` that went in; conversion: key of `CONVERSIONS`;
    assumes: what the formula takes for granted, as a phrase, "" where it is an identity. gave: the numbers that came
    out.
    """

    gives: tuple[str, ...]
    conversion: str
    takes: tuple[str, ...]
    values: tuple[float, ...]
    assumes: str = ""
    gave: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class CorrelationGrid:
    """The effects under several assumed pre-post correlations: what the choice of one is worth.

    assumed: the correlation of the effects themselves; rows: (k,) which rows rest on it; r: (g,) the others; yi, vi:
    (g, k) effects and variances under each, nan where a row has none. g is 0 where only one was asked for.
    """

    assumed: float
    rows: NDArray[np.bool_]
    r: Floats
    yi: Floats
    vi: Floats


@dataclass(frozen=True, slots=True, repr=False)
class EffectSizes:
    """Effects and sampling variances of k rows on the analysis scale (log for ratios), with the route of each row.

    yi, vi: (k,) effects and variances, nan where `estimable` is False.
    estimable: (k,) whether the row can be pooled; `reasons` says why not ("" where it can).
    labels, rows: study label and row in the file ("row 7") of each effect.
    clusters: (k,) whole number of the study that the row belongs to, for dependence.
    by: subgroup label of each row, or None when there are no subgroups; `by_name` is the column it came from.
    obtained: per row, how the effect was made ("means and SDs", "printed effect with CI", ...); `routes()` tells it in
    full: inputs, formulas in order, assumptions and what was ignored.
    steps: per row, the numbers that were not in the table and how they were derived, in order.
    ignored: per row, what else could have given a number but was not used, because something better was reported;
    disagreements: per row, sources that differ by more than rounding. Empty where nobody looked.
    moderators: every column of the table by its name, and by its role where it has one, (k,) each: what a formula can
    name. categories: of those columns that are pandas categories, their values in the order that the user gave them.
    inputs: role name -> (k,) raw numbers (n_1, mean_1, events_1 ...) as given, or as derived where the effect was
    computed from them, nan where blank.
    corrections: per row, what was done to it ("0.5 added to all cells", "arms swapped", ...), "" where nothing.
    measure: key of the measure; options: its named conventions, e.g. {"vtype": "RevMan"}.
    notes: facts about the whole set that a reader must know.
    score_types, standardisers: per row, "final", "change" or "ancova" and what a standardised effect was divided by, ""
    where not stated; mixed_scores: why both kinds are pooled, in the user's words. Empty where nobody asked.
    grid: the assumed pre-post correlation and the effects under others, None where none was assumed.
    cov: sampling covariance of all rows, with `vi` on its diagonal, None where nobody built one: see
    `sampling_covariance`.
    """

    yi: Floats
    vi: Floats
    estimable: NDArray[np.bool_]
    labels: tuple[str, ...]
    rows: tuple[str, ...]
    clusters: NDArray[np.int64]
    measure: str
    options: Mapping[str, str]
    obtained: tuple[str, ...]
    reasons: tuple[str, ...]
    corrections: tuple[str, ...]
    inputs: Mapping[str, Floats]
    by: tuple[str, ...] | None = None
    by_name: str | None = None
    context: Context = Context()
    source: str = "the table"
    notes: tuple[str, ...] = ()
    steps: tuple[tuple[Step, ...], ...] = ()
    moderators: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    score_types: tuple[str, ...] = ()
    standardisers: tuple[str, ...] = ()
    mixed_scores: str = ""
    grid: CorrelationGrid | None = None
    ignored: tuple[tuple[str, ...], ...] = ()
    disagreements: tuple[tuple[str, ...], ...] = ()
    categories: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])
    cov: BlockMatrix | None = None

    @property
    def k(self) -> int:
        """Count the rows that can be pooled."""
        return int(self.estimable.sum())

    def to_frame(self) -> pd.DataFrame:
        """Return one row per row of the table: effect, variance, standard error, route, and why if it has none.

        Effects are on the analysis scale of the measure; the raw numbers of the table are the last columns.
        """
        columns: dict[str, object] = {"study": self.labels, "row": self.rows}
        if self.by is not None:
            columns["subgroup"] = self.by
        columns |= {"measure": self.measure, "yi": self.yi, "vi": self.vi, "sei": np.sqrt(self.vi)}
        columns |= {"estimable": self.estimable, "route": self.obtained}
        columns |= {"correction": self.corrections, "reason": self.reasons}
        return pd.DataFrame(
            {**columns, **{name: values for name, values in self.inputs.items() if name not in columns}}
        )

    def __repr__(self) -> str:
        """Return what the set is and its first rows, as text."""
        cells = [("study", "row", "yi", "vi", "route"), *(self._cells(i) for i in range(min(len(self.labels), SHOWN)))]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            f"  {study:<{widths[0]}}  {row:<{widths[1]}}  {yi:>{widths[2]}}  {vi:>{widths[3]}}  {route}".rstrip()
            for study, row, yi, vi, route in cells
        ]
        more = len(self.labels) - SHOWN
        return "\n".join([self._title(), *lines, *([f"  ... and {more:,} more: see .to_frame()"] if more > 0 else [])])

    def _repr_html_(self) -> str:
        """Return the same as a small table for notebooks; names from files are escaped."""
        cells = [self._cells(i) for i in range(min(len(self.labels), SHOWN))]
        table = pd.DataFrame(cells, columns=["Study", "Row", "yi", "vi", "Route"]).to_html(index=False, border=0)
        more = len(self.labels) - SHOWN
        foot = f"<p>... and {more:,} more: see <code>.to_frame()</code></p>" if more > 0 else ""
        return f"<p>{escape(self._title())}</p>{table}{foot}"

    def _title(self) -> str:
        """Return measure, source and how many rows have an effect."""
        return f"{self.k:,} of {len(self.labels):,} rows of {_line(self.source)} have an effect ({self.measure})"

    def _cells(self, i: int) -> tuple[str, str, str, str, str]:
        """Write one row of the listing."""
        label = _line(self.labels[i])
        label = f"{label[: WIDTH - 1]}…" if len(label) > WIDTH else label
        why = _line(self.obtained[i] if self.estimable[i] else f"none: {self.reasons[i]}")
        return label, self.rows[i].removeprefix("row "), fixed(self.yi[i], 3), significant(self.vi[i]), why

    def routes(self) -> pd.DataFrame:
        """Return one row per row of the table: what was used, by which formulas, what was assumed and what ignored.

        Columns: study, row, measure, obtained, inputs ("role = value", as given), formulas (in order, the measure's
        last), assumed, ignored, disagreements, corrections, yi, vi, reason (why there is no effect).
        """
        return routes_frame(self)

    def aggregate(self, **choices: Any) -> EffectSizes:
        """Return one effect for each study: its rows taken together; see `metaback.aggregate`."""
        return import_module(AGGREGATE).aggregate(self, **choices)


PER_ROW = (
    "yi", "vi", "estimable", "labels", "rows", "clusters", "obtained", "reasons", "corrections", "by", "steps",
    "score_types", "standardisers", "ignored", "disagreements",
)  # fmt: skip


def select_rows(effects: EffectSizes, places: NDArray[np.intp]) -> EffectSizes:
    """Return the rows at some places, in that order; a place may stand there twice.

    The grid over assumed correlations is left behind, because it belongs to the rows as they were pooled. The sampling
    covariance is taken along; it is left behind where a row stands twice, because a row correlates fully with its
    copy, and no model can be fitted to that.

    >>> from metaback.data.datasets import load_dataset
    >>> from metaback.effects.compute import effect_sizes
    >>> select_rows(effect_sizes(load_dataset("backpain").query("weeks == 16")), np.array([0, 0])).labels
    ('Kell 2009', 'Kell 2009')
    """

    def taken(values: Any) -> Any:
        if isinstance(values, np.ndarray):
            return cast("NDArray[Any]", values)[places]
        return tuple(values[i] for i in places.tolist()) if values else values

    found = {name: taken(getattr(effects, name)) for name in PER_ROW}
    columns = {name: values[places] for name, values in effects.moderators.items()}
    inputs = {role: values[places] for role, values in effects.inputs.items()}
    once = np.unique(places).size == places.size
    cov = selected(effects.cov, places) if effects.cov is not None and once else None
    return replace(effects, **found, moderators=columns, inputs=inputs, grid=None, cov=cov)


def set_aside(effects: EffectSizes, reasons: Mapping[int, str], corrections: Mapping[int, str]) -> EffectSizes:
    """Return effects of which some rows stay without an effect, and others carry a remark on what was corrected.

    reasons: place of the row -> why it is not pooled; corrections: place -> what was corrected in the table.
    """
    if not reasons and not corrections:
        return effects
    out = np.isin(np.arange(effects.yi.size), list(reasons))
    repeats = set(repeat_notes(effects.labels, effects.rows, effects.estimable))
    words = ["; ".join(filter(None, (corrections.get(i, ""), told))) for i, told in enumerate(effects.corrections)]
    return replace(
        effects,
        yi=np.where(out, np.nan, effects.yi),
        vi=np.where(out, np.nan, effects.vi),
        estimable=effects.estimable & ~out,
        reasons=tuple(reasons.get(i, told) for i, told in enumerate(effects.reasons)),
        corrections=tuple(words),
        grid=None if effects.grid is None else _without(effects.grid, out),
        cov=None if effects.cov is None else alone(effects.cov, out),
        notes=(
            *(note for note in effects.notes if note not in repeats),
            *repeat_notes(effects.labels, effects.rows, effects.estimable & ~out),
        ),
    )


def repeat_notes(labels: Sequence[str], rows: Sequence[str], estimable: NDArray[np.bool_]) -> list[str]:
    """Tell studies that enter twice.

    labels: study of each row; rows: its name in messages; estimable: (k,) rows with an effect.
    """
    pooled: defaultdict[str, list[str]] = defaultdict(list)
    if len(set(labels)) < len(labels):
        told = zip(labels, rows, strict=True)
        for label, row in told if estimable.all() else compress(told, estimable.tolist()):
            pooled[label].append(row)
    return [
        f"{label} enters {len(where)} times ({', '.join(where)}) and its rows are pooled as if they were independent; "
        "if they share people, for instance one control group, the interval is too narrow."
        for label, where in pooled.items()
        if len(where) > 1
    ]


def alone(cov: BlockMatrix, out: NDArray[np.bool_]) -> BlockMatrix:
    """Return a sampling covariance in which some rows have no effect: nan on the diagonal, 0 to all others.

    out: (k,) those rows. They leave their blocks, so that nothing of them reaches another row.
    """
    labels = np.empty(out.size, dtype=np.intp)
    for rows, number in zip(cov.blocks.rows, cov.blocks.number, strict=True):
        labels[rows] = number[:, None]
    labels[out] = labels.max(initial=-1) + 1 + np.arange(int(out.sum()))
    found = within(cov, blocks_of(labels))
    for rows, part in zip(found.blocks.rows, found.parts, strict=True):
        if rows.shape[1] == 1:
            part[out[rows[:, 0]]] = np.nan
    return found


def _without(grid: CorrelationGrid, out: NDArray[np.bool_]) -> CorrelationGrid:
    """Take rows from every set of effects of a grid."""
    yi, vi = (np.where(out, np.nan, values) for values in (grid.yi, grid.vi))
    return replace(grid, rows=grid.rows & ~out, yi=yi, vi=vi)


def routes_frame(effects: EffectSizes) -> pd.DataFrame:
    """Return how each row came to its effect; see `EffectSizes.routes`."""
    k = len(effects.labels)
    steps = effects.steps or ((),) * k
    formula = measure_formula(effects)
    return pd.DataFrame(
        {
            "study": effects.labels,
            "row": effects.rows,
            "measure": effects.measure,
            "obtained": effects.obtained,
            "inputs": [_inputs(effects, steps[i], i) for i in range(k)],
            "formulas": [_formulas(effects, steps[i], formula, i) for i in range(k)],
            "assumed": ["; ".join(dict.fromkeys(_assumed(step) for step in row if step.assumes)) for row in steps],
            "ignored": ["; ".join(words) for words in effects.ignored or ((),) * k],
            "disagreements": ["; ".join(words) for words in effects.disagreements or ((),) * k],
            "corrections": effects.corrections,
            "yi": effects.yi,
            "vi": effects.vi,
            "reason": effects.reasons,
        }
    )


def measure_formula(effects: EffectSizes) -> str:
    """Return the formula of a measure with the conventions that were chosen, in words; "" for effects as given."""
    chosen = choices_of(effects.measure, effects.options)
    return "".join([about(effects.measure).formula, *(choice.formula for choice in chosen)])


def _inputs(effects: EffectSizes, steps: tuple[Step, ...], i: int) -> str:
    """Write the numbers of the table that an effect rests on."""
    if not effects.estimable[i]:
        return ""
    derived = {role for step in steps for role in step.gives}
    values: dict[str, float] = {}
    if not _ready(effects, i):
        values = {role: float(column[i]) for role, column in effects.inputs.items() if role not in derived}
    elif not steps:
        found = ((role, effects.moderators.get(role)) for role in READY)
        values = {role: float(column[i]) for role, column in found if column is not None}
    for step in steps:
        values |= {r: v for r, v in zip(step.takes, step.values, strict=True) if r not in derived and r not in values}
    return ", ".join(f"{ROLE_WORDS.get(r, r)} = {as_given(v)}" for r, v in values.items() if np.isfinite(v))


def _ready(effects: EffectSizes, i: int) -> bool:
    """Tell whether an effect was in the table, or d was."""
    return effects.obtained[i].startswith(("printed effect", "effect with", "standardised mean difference d"))


def _formulas(effects: EffectSizes, steps: tuple[Step, ...], formula: str, i: int) -> str:
    """Write what was computed, in order."""
    if not effects.estimable[i]:
        return ""
    words = [_sentence(step) for step in steps]
    if effects.obtained[i].startswith("printed effect with") and "% CI" in effects.obtained[i]:
        log = " of logarithms" if about(effects.measure).scale == "log" else ""
        words.append(f"sei = the width of the interval{log} over twice its normal critical value")
    if not effects.obtained[i].startswith(("printed effect", "effect with")):
        words.append(f"{effects.measure} = {formula or about(effects.measure).name}")
    return "; ".join(words)


def _sentence(step: Step) -> str:
    """Write one step: what came out, how, and the values."""
    gives = " and ".join(ROLE_WORDS.get(role, role) for role in step.gives)
    values = " and ".join(significant(value, DIGITS) for value in step.gave)
    return f"{gives} = {CONVERSIONS[step.conversion].facts['text']}{f' = {values}' if values else ''}"


def _assumed(step: Step) -> str:
    """Write what a step takes for granted."""
    if step.conversion == "assumed":
        return " and ".join(f"{r} = {as_given(v)}" for r, v in zip(step.gives, step.gave, strict=False))
    return step.assumes


def _line(text: str) -> str:
    """Make text from a file safe to show within a line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
