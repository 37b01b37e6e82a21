"""The family of measures: what a measure returns, and what the rest of the house knows about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.registry import Registry

Floats = NDArray[np.float64]
Scale = Literal["linear", "log"]
USUAL = "0.5"  # what is added to zero counts when nothing is said
Turn = Literal["sign", "counts", "complement", "same", "none"]


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
class Choice:
    """What one value of a convention means, in words; "" where there is nothing to say.

    formula: goes on from the formula of the measure; sentence: one of its own, told where raw numbers were used.
    note: for the footnote of a figure; cite: keys of references.bib, besides those of the measure in a formula.
    """

    formula: str = ""
    sentence: str = ""
    note: str = ""
    cite: str = ""


def amount(value: str) -> float:
    """Return the finite number that a text stands for, nan where it is none.

    >>> amount("0.25"), amount("half")
    (0.25, nan)
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        return float("nan")
    return number if np.isfinite(number) else float("nan")


@dataclass(frozen=True, slots=True)
class Convention:
    """A matter that programs settle differently: what it is about, and what each of its values means.

    number: whether any other number of at least 0, written as text, is a value too.
    """

    title: str
    choices: Mapping[str, Choice]
    number: bool = False

    def check(self, name: str, value: str) -> None:
        """Raise `OptionError` for a value that the convention does not have."""
        if self.number and not amount(value) >= 0:
            raise OptionError(f"{name}={value!r} is not a number of at least 0; write for instance {name}='0.25'")
        if not self.number and value not in self.choices:
            raise OptionError.unknown(name, value, self.choices)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is known about a measure besides how it is computed.

    name: as a heading; short: as a column head; scale: "log" when effects are analysed as logarithms; kind: the
    raw numbers it is made from; correction, undefined: words for rows that were corrected or have no effect.
    formula: in words, as in the methods of a paper; conventions: by name, the keyword-only parameters of the function.
    back: key of stats/transforms.py that leads back from the analysis scale.
    turn: what the effect becomes when the outcome is read the other way round (a mean changes its sign, events become
    non-events): its negative ("sign"), one minus itself ("complement"), the same ("same"), what the measure makes of
    the non-events ("counts"), or nothing that follows from it ("none"); the variance of the first three stays.
    standardiser: what a standardised measure is divided by, as a phrase; "" for all others.
    """

    key: str
    name: str
    short: str
    scale: Scale
    kind: Literal["means", "counts", "none", "paired means", "pre-post", "changes", "auc"]
    correction: str = ""
    undefined: str = ""
    formula: str = ""
    conventions: Mapping[str, Convention] = field(default_factory=dict[str, Convention])
    back: str = "identity"
    turn: Turn = "none"
    standardiser: str = ""


MeasureFunction = Callable[..., Computed]
MEASURES: Registry[MeasureFunction] = Registry("measure")


def measure(facts: Measure, *, cite: str) -> Callable[[MeasureFunction], MeasureFunction]:
    """Return the decorator that adds a measure; the parameters of the function are the roles it is computed from."""
    return MEASURES.register(facts.key, title=facts.name, cite=cite, about=facts)


def about(key: str) -> Measure:
    """Return what is known about a measure."""
    facts: Measure = MEASURES[key].facts["about"]
    return facts


def choices_of(key: str, options: Mapping[str, str]) -> tuple[Choice, ...]:
    """Return what the given values of a measure's conventions mean; values that it does not have are left out."""
    conventions = about(key).conventions
    known = ((conventions[name].choices, value) for name, value in options.items() if name in conventions)
    chosen = tuple(choices[value] for choices, value in known if value in choices)
    added = _added(key, options)
    return chosen if added is None else tuple(replace(c, sentence=_with(c.sentence, added)) for c in chosen)


def correction_of(key: str, options: Mapping[str, str]) -> str:
    """Return the words for a row that was corrected under the given conventions: its note, or that of the measure."""
    zeros = about(key).conventions.get("zeros")
    choice = zeros.choices.get(options.get("zeros", "")) if zeros else None
    words = choice.note if choice and choice.note else about(key).correction
    added = _added(key, options)
    return words if added is None else _with(words, added)


def _added(key: str, options: Mapping[str, str]) -> str | None:
    """Return what is added to zero counts where it is not the usual half."""
    added = options.get("add", USUAL)
    return str(added) if "add" in about(key).conventions and amount(added) != amount(USUAL) else None


def _with(words: str, added: str) -> str:
    """Say what was added to zero counts instead of one half; of unequal corrections, what they sum to."""
    scaled = f" scaled to a sum of twice {added}" if "treatment-arm continuity correction" in words else ""
    return words.replace(f"{USUAL} ", f"{added} ") + scaled


@cache  # every table asks every measure, and reading signatures took a third of the time of a pool
def _parameters(function: Callable[..., Computed]) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of a function of a measure."""
    return tuple(inspect.signature(function).parameters.values())


def raw_roles(key: str) -> tuple[str, ...]:
    """Return the roles that a measure is computed from: the positional parameters of its function."""
    return _positional(MEASURES[key].function)


@cache
def _positional(function: Callable[..., Computed]) -> tuple[str, ...]:
    """Return the names of the positional parameters of a function of a measure."""
    return tuple(p.name for p in _parameters(function) if p.kind is p.POSITIONAL_OR_KEYWORD)


def option_names(key: str) -> tuple[str, ...]:
    """Return the named conventions of a measure: the keyword-only parameters of its function."""
    return tuple(p.name for p in _parameters(MEASURES[key].function) if p.kind is p.KEYWORD_ONLY)


def has_null(key: str) -> bool:
    """Tell whether 0 on the analysis scale means no effect: not for shares, rates, means or alphas of one group.

    Nor for common language effects, where it is one half. Such measures are pooled without a test.
    """
    one_group = {"events", "time", "mean", "sd", "alpha"} & set(raw_roles(key))
    return not one_group and about(key).kind != "auc" and key not in {"AUCN", "CLESN", "AUCCN", "CLESCN"}


def defaults(key: str) -> dict[str, str]:
    """Return the value that each convention of a measure has when nothing else is said."""
    return {p.name: str(p.default) for p in _parameters(MEASURES[key].function) if p.kind is p.KEYWORD_ONLY}


def finish(yi: Floats, vi: Floats, defined: NDArray[np.bool_], corrected: NDArray[np.bool_] | None = None) -> Computed:
    """Blank what is not defined: an effect needs a finite value and a positive finite variance."""
    defined = defined & np.isfinite(yi) & np.isfinite(vi) & (vi > 0)
    corrected = np.zeros(yi.shape, dtype=bool) if corrected is None else corrected & defined
    return Computed(np.where(defined, yi, np.nan), np.where(defined, vi, np.nan), corrected, defined)
