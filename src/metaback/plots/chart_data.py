"""What the figures of one panel share as plain values: axes on the analysis scale, and which points are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import EstimationError, OptionError
from metaback.models.fitted import Estimate, Fitted
from metaback.models.regression import FittedRegression
from metaback.numbers import fixed
from metaback.plots.forest_words import axis_title
from metaback.postestimation.influence import influence
from metaback.postestimation.words import comparison, measure_name, plural, point_text, scale_name, sentence_case
from metaback.stats.transforms import back
from metaback.stats.wls import Bools, Floats

CROWD = 500  # points above which outlying ones are not looked for
NAMED = 15  # points that are named of themselves; more only on request
Names = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class ChartAxis:
    """One axis: its limits on the scale of the numbers, its title, and how ticks are written.

    back, size: way from the numbers to the natural scale that ticks show; null: value of no effect, or None.
    inverted: whether the lower limit is at the top or right. levels: words of a factor at 0, 1, 2 ..., () for numbers.
    """

    low: float
    high: float
    title: str
    back: str = "identity"
    size: float | None = None
    null: float | None = None
    inverted: bool = False
    levels: tuple[str, ...] = ()


def shown_way(mean: Estimate) -> str:
    """Return the way back that an axis of effects shows: that of the pool, unless every row needs a size of its own."""
    return "identity" if back(mean.way).size else mean.way


def effect_title(effects: EffectSizes, mean: Estimate) -> str:
    """Return the title of an axis of effects with the scale on which it is drawn."""
    if back(mean.way).size:
        return f"{sentence_case(measure_name(effects))}, on the {scale_name(mean.way) or 'analysis scale'}"
    return axis_title(effects, mean.way)


def pooled_words(mean: Estimate, digits: int) -> str:
    """Write the pooled effect as a key has it; where the axis cannot show natural numbers, its place there too."""
    text = point_text(mean, digits)
    return f"{text} ({fixed(mean.point, 2)} on this axis)" if back(mean.way).size else text


def span(*values: Floats | Sequence[float | None] | float | None, pad: float = 0.04) -> tuple[float, float]:
    """Return limits that hold all finite values with some room.

    >>> span([0.0, None, 10.0], pad=0.1)
    (-1.0, 11.0)
    """
    flat = np.concatenate([np.atleast_1d(np.asarray(value, dtype=float)) for value in values])
    kept = flat[np.isfinite(flat)]
    if not kept.size:
        return -1.0, 1.0
    low, high = float(kept.min()), float(kept.max())
    room = pad * (high - low) if high - low > 1e-9 * max(abs(low), abs(high), 1e-12) else 0.5 * abs(low) or 0.5
    return low - room, high + room


def chosen_names(names: Names, labels: Sequence[str], ranked: Sequence[int]) -> tuple[int, ...]:
    """Return the points that are named, the most important first.

    names: "outlying" for those that are `ranked` (15 at most), "all", "none", or labels of studies. Raises
    `OptionError` for a label that no point has.

    >>> chosen_names(["B"], ["A", "B", "C"], [2]), chosen_names("all", ["A", "B", "C"], [2])
    ((1,), (2, 0, 1))
    """
    if names == "none":
        return ()
    if names == "outlying":
        return tuple(ranked[:NAMED])
    if names == "all":
        return (*ranked, *(i for i in range(len(labels)) if i not in set(ranked)))
    asked = [names] if isinstance(names, str) else list(names)
    words = ("outlying", "all", "none")
    if unknown := [name for name in asked if name not in labels]:
        raise OptionError("; ".join(str(OptionError.unknown("names", name, (*words, *labels))) for name in unknown))
    return tuple(i for i, label in enumerate(labels) if label in asked)


def ranked_by(size: Floats, least: float) -> tuple[int, ...]:
    """Return the places of the numbers above `least`, the largest first; nan is none.

    >>> ranked_by(np.array([1.0, 5.0, np.nan, 3.0]), 2.0)
    (1, 3)
    """
    order: list[int] = np.argsort(-np.nan_to_num(size, nan=-np.inf), kind="stable").tolist()
    return tuple(i for i in order if size[i] > least)


def outlying(fitted: Fitted | FittedRegression, names: Names, used: Bools) -> tuple[int, ...]:
    """Return which of the rows in use have a deleted residual beyond 1.96, the largest first.

    Above 500 rows none: their refits take long, and the names would not be read. `too_many` says so in a note. None
    either where a regression models that rows depend on each other: these residuals take them as independent.
    """
    if isinstance(fitted, FittedRegression) and fitted.levels is not None:
        return ()
    if names not in ("outlying", "all") or int(used.sum()) > CROWD:
        return ()
    return ranked_by(np.abs(influence(fitted).rstudent[used]), 1.96)


def too_many(names: Names, k: int) -> list[str]:
    """Say why no point of very many is named."""
    told = names == "outlying" and k > CROWD
    return [f"With more than {CROWD} points none is named; names= names those that are asked for."] if told else []


def heading(kind: str, effects: EffectSizes, title: str | None) -> str:
    """Return the title of a figure: what was given, else what is compared, else the kind of the figure."""
    return title if title is not None else comparison(effects).known or kind


def labels_of(effects: EffectSizes, used: Bools) -> tuple[str, ...]:
    """Return the labels of some rows."""
    return tuple(label for label, ok in zip(effects.labels, used.tolist(), strict=True) if ok)


def need_two(k: int, figure: str) -> None:
    """Raise `EstimationError` where one effect alone would be drawn."""
    if k < 2:
        raise EstimationError(f"{figure} compares effects with each other; there is {plural(k, 'effect')}")
