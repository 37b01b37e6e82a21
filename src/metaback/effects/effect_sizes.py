"""The record that every model starts from: effects, variances, and how each row came to its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
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
    assumes: what the formula takes for granted, as a phrase, "" where it is an identity.
    """

    gives: tuple[str, ...]
    conversion: str
    takes: tuple[str, ...]
    values: tuple[float, ...]
    assumes: str = ""


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


@dataclass(frozen=True, slots=True)
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
    moderators: every column of the table by its name, and by its role where it has one, (k,) each: what a formula can
    name.
    inputs: role name -> (k,) raw numbers of the table for display (n_1, mean_1, events_1 ...), nan where blank.
    corrections: per row, what was done to it ("0.5 added to all cells", "arms swapped", ...), "" where nothing.
    measure: key of the measure; options: its named conventions, e.g. {"vtype": "RevMan"}.
    notes: facts about the whole set that a reader must know.
    score_types, standardisers: per row, "final", "change" or "ancova" and what a standardised effect was divided by, ""
    where not stated; mixed_scores: why both kinds are pooled, in the user's words. Empty where nobody asked.
    grid: the assumed pre-post correlation and the effects under others, None where none was assumed.
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

    @property
    def k(self) -> int:
        """Count the rows that can be pooled."""
        return int(self.estimable.sum())
