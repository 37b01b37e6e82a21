"""Cumulative meta-analysis: the pool after each study in a given order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.numbers import parse_number
from metaback.postestimation.flips import interval_text, level_text, one_line, sides
from metaback.postestimation.subsets import Subsets, pool_subsets, row_labels, shown
from metaback.postestimation.summary import Analysis
from metaback.postestimation.working import working_subsets
from metaback.stats.measures.family import has_null
from metaback.stats.wls import Bools, Floats

PRECISION = "precision"
MOST = 3  # rows of one step that a sentence names


@dataclass(frozen=True, slots=True, repr=False)
class Cumulative:
    """Pools that grow by one row at a time (or by all rows of one value, where they were collapsed).

    order: how the rows were ordered, in words; labels: (n,) who was added; added: (n, rows) which rows each step adds;
    values: (n,) what the order goes by, as text; pools: (n,) after each step; last: rows whose value is blank, which
    come last; unpooled: rows without an effect, which are in no step; whole: the mean of all.
    """

    order: str
    labels: tuple[str, ...]
    added: Bools
    values: tuple[str, ...]
    pools: Subsets
    last: tuple[str, ...]
    unpooled: tuple[str, ...]
    whole: Estimate
    effects: EffectSizes

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each step from which the interval leads to another conclusion."""
        if not has_null(self.effects.measure):
            return ()
        found = sides(self.pools.ci_low, self.pools.ci_high)
        level = level_text(self.whole.level)
        words = {0: "includes", 1: "excludes", -1: "excludes"}
        return tuple(
            f"From {self._step(i)} on (k = {self.pools.k[i]}) the {level} interval {words[int(found[i])]} "
            f"no effect: {interval_text(self.pools, i, self.effects)}."
            for i in np.flatnonzero(np.diff(found, prepend=found[0])).tolist()
        )

    def _step(self, i: int) -> str:
        """Name who enters at a step; where many do, the first and their number."""
        rows: list[int] = np.flatnonzero(self.added[i]).tolist()
        if len(rows) <= MOST:
            return one_line(self.labels[i])
        value = f" ({one_line(self.values[i])})" if self.values[i] else ""
        return f"{one_line(row_labels(self.effects)[rows[0]])} and {len(rows) - 1} more{value}"

    def to_frame(self, *, transform: str | None = None) -> pd.DataFrame:
        """Return one tidy row per step; transform="natural" carries estimates and limits back."""
        columns = {"added": self.labels, "value": self.values, **shown(self.pools, self.effects, transform)}
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        """Return the first and last pool and where the conclusion changes."""
        ends = [f"{self._step(i)}: {interval_text(self.pools, i, self.effects)}" for i in (0, -1)]
        steps = "1 step" if len(self.labels) == 1 else f"{len(self.labels)} steps"
        lines = [f"Cumulative pools by {self.order}, {steps}", f"first {ends[0]}", f"last {ends[1]}"]
        lines += list(self.sentences) or ["The conclusion is the same at every step."]
        if self.last:
            lines.append(f"Without a value, so at the end: {', '.join(map(one_line, self.last))}.")
        if self.unpooled:
            lines.append(f"In no step, for want of an effect: {', '.join(map(one_line, self.unpooled))}.")
        return "\n".join(lines)


def cumulative(
    analysis: Analysis,
    *,
    order: str | Sequence[float] | NDArray[Any] | None = None,
    descending: bool = False,
    collapse: bool = False,
) -> Cumulative:
    """Pool the first study, the first two, and so on, in one masked batch call, tau2 estimated anew each time.

    order: None for the order of the table; the name of a column, e.g. "year"; "precision" for the smallest variance
    first; or one number per row. Rows of equal value keep the order of the table. descending: the largest value first.
    collapse: rows of equal value enter together. Blank values come last and are named.

    Where rows of a study are modelled as dependent, they enter together, with the first of them; collapse then adds
    nothing. Edges: the first pool is a single study with its own interval. Raises `OptionError` for an unknown
    column and for a wrong number of values. Source: Lau, Schmid & Chalmers 1995. Same as `metafor::cumul`.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> found = cumulative(mb.pool(pain, preset="revman5").analysis, order="precision")
    >>> found.pools.k[:3].tolist()
    [1, 2, 3]
    """
    fitted = analysis.fitted
    effects = fitted.effects
    values, texts, word = _values(effects, order)
    blank = ~np.isfinite(values)
    ranks = np.where(blank, np.inf, -values if descending else values)
    rows = np.flatnonzero(effects.estimable)
    rows = rows[np.argsort(ranks[rows], kind="stable")]
    starts = np.ones(rows.size, dtype=bool)
    if analysis.dependent:
        rows, starts = _whole_studies(rows, effects.clusters[rows])
    elif collapse:
        starts[1:] = ranks[rows][1:] != ranks[rows][:-1]
    step = np.cumsum(starts) - 1
    added = np.zeros((int(step[-1]) + 1, len(effects.labels)), dtype=bool)
    added[step, rows] = True
    names = row_labels(effects)
    firsts: list[int] = rows[starts].tolist()
    places: list[int] = rows.tolist()
    entered: list[list[int]] = [np.flatnonzero(step_rows).tolist() for step_rows in added]
    studies = [_study(effects.labels[new[0]], len(new)) for new in entered]
    together = studies if analysis.dependent else [" + ".join(names[i] for i in new) for new in entered]
    return Cumulative(
        order=f"{word}, descending" if descending else word,
        labels=tuple(together),
        added=added,
        values=tuple(texts[i] for i in firsts),
        pools=_pooled(analysis, np.logical_or.accumulate(added, axis=0)),
        last=tuple(names[i] for i in places if blank[i]),
        unpooled=tuple(names[i] for i in np.flatnonzero(~effects.estimable).tolist()),
        whole=analysis.overall.mean,
        effects=effects,
    )


def _whole_studies(rows: NDArray[np.intp], clusters: NDArray[np.int64]) -> tuple[NDArray[np.intp], Bools]:
    """Return rows with those of one study behind its first, and where each study begins."""
    _, first, rank = np.unique(clusters, return_index=True, return_inverse=True)
    order = np.argsort(first[rank], kind="stable")
    kept = clusters[order]
    return rows[order], np.append(True, kept[1:] != kept[:-1])


def _study(label: str, effects: int) -> str:
    """Name a study that enters as a whole: `Jackson 2011 (2 effects)`."""
    return label if effects == 1 else f"{label} ({effects} effects)"


def _pooled(analysis: Analysis, masks: Bools) -> Subsets:
    """Pool sets of rows by the model of the pool."""
    if analysis.working is not None and analysis.dependent:
        return working_subsets(analysis.fitted.effects, analysis.fitted.spec, masks, analysis.working.V)
    return pool_subsets(analysis.fitted, masks)


def _values(
    effects: EffectSizes, order: str | Sequence[float] | NDArray[Any] | None
) -> tuple[Floats, tuple[str, ...], str]:
    """Return what to order by as numbers (rows,) and as text, and its name; text columns go by the alphabet."""
    k = len(effects.labels)
    if order is None:
        return np.arange(k, dtype=float), ("",) * k, "order of the table"
    if isinstance(order, str):
        if order in effects.moderators:
            cells = effects.moderators[order]
            return _ranked(cells), tuple("" if _is_blank(cell) else str(cell) for cell in cells), order
        if order == PRECISION:
            return np.asarray(effects.vi, dtype=float), tuple(map(str, effects.vi)), PRECISION
        raise OptionError.unknown("order", order, [*effects.moderators, PRECISION])
    try:
        given = np.asarray(order, dtype=float)
    except (TypeError, ValueError):
        words = "give the name of a column, 'precision', or one number per row of the table"
        raise OptionError(f"order={str(order)[:60]!r} is no order; {words}") from None
    if given.shape != (k,):
        raise OptionError(
            f"order has {given.size} value{'s' if given.size != 1 else ''} for {k} rows; give one number for each"
        )
    return given, tuple(map(str, given)), "the values given"


def _is_blank(cell: object) -> bool:
    """Tell whether a cell is blank or missing."""
    return cell is None or cell != cell or str(cell).strip() in ("", "<NA>", "NaT")  # noqa: PLR0124


def _ranked(cells: NDArray[Any]) -> Floats:
    """Return the numbers of a column, or the ranks of its texts where they are not all numbers; nan for blanks."""
    texts = ["" if _is_blank(cell) else str(cell).strip() for cell in cells]
    numbers = [math.nan if text == "" else parse_number(text) for text in texts]
    if None not in numbers:
        return np.array(numbers, dtype=float)
    places = {text: float(place) for place, text in enumerate(sorted(set(texts) - {""}))}
    return np.array([places.get(text, math.nan) for text in texts])
