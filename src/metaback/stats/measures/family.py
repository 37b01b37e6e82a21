"""The family of measures: what a measure returns, and what the rest of the house knows about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metaback.registry import Registry

Floats = NDArray[np.float64]
Scale = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Computed:
    """Effects and variances of k rows on the analysis scale, nan where undefined.

    corrected: (k,) whether the measure's correction was applied; defined: (k,) whether the row has an effect.
    """

    yi: Floats
    vi: Floats
    corrected: NDArray[np.bool_]
    defined: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is known about a measure besides its formula.

    name: as a heading; short: as a column head; scale: "log" when effects are analysed as logarithms; kind: the
    raw numbers it is made from; correction, undefined: words for rows that were corrected or have no effect.
    """

    key: str
    name: str
    short: str
    scale: Scale
    kind: Literal["means", "counts", "none"]
    correction: str = ""
    undefined: str = ""


MeasureFunction = Callable[..., Computed]
MEASURES: Registry[MeasureFunction] = Registry("measure")


def measure(facts: Measure, *, cite: str) -> Callable[[MeasureFunction], MeasureFunction]:
    """Return the decorator that adds a measure; the parameters of the function are the roles it is computed from."""
    return MEASURES.register(facts.key, title=facts.name, cite=cite, about=facts)


def about(key: str) -> Measure:
    """Return what is known about a measure."""
    facts: Measure = MEASURES[key].facts["about"]
    return facts


def raw_roles(key: str) -> tuple[str, ...]:
    """Return the roles that a measure is computed from: the positional parameters of its function."""
    parameters = inspect.signature(MEASURES[key].function).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)


def option_names(key: str) -> tuple[str, ...]:
    """Return the named conventions of a measure: the keyword-only parameters of its function."""
    parameters = inspect.signature(MEASURES[key].function).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def finish(yi: Floats, vi: Floats, defined: NDArray[np.bool_], corrected: NDArray[np.bool_] | None = None) -> Computed:
    """Blank what is not defined: an effect needs a finite value and a positive finite variance."""
    defined = defined & np.isfinite(yi) & np.isfinite(vi) & (vi > 0)
    corrected = np.zeros(yi.shape, dtype=bool) if corrected is None else corrected & defined
    return Computed(np.where(defined, yi, np.nan), np.where(defined, vi, np.nan), corrected, defined)
