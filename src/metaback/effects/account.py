"""What is told of a set of rows beside its effects: what was ignored, what contradicts itself, what is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.data.trials import Trials
from metaback.effects.direction import listed
from metaback.effects.overlooked import Lines, overlooked
from metaback.effects.routes import Draft, title_words
from metaback.effects.said_twice import impossible_changes, said_twice
from metaback.numbers import as_given
from metaback.stats.measures import about, raw_roles

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FAR = 0.1  # standard errors that rounding and conventions of a measure may put between two effects
MOST_TOLD = 5  # contradictions told one by one; `routes()` has all


@dataclass(frozen=True, slots=True)
class Account:
    """Per row what was ignored and what contradicts it, and what to tell of all rows, one sentence each."""

    ignored: Lines
    disagreements: Lines
    notes: tuple[str, ...]


def account(
    trials: Trials, known: Mapping[str, Floats], draft: Draft, computed: Bools, key: str, own: Mapping[str, str]
) -> Account:
    """Return what is to be told of the rows.

    known: numbers by role as the table has them, arms in order; computed: (k,) rows whose effect was made from raw
    numbers; own: conventions of derivation.
    """
    ignored, apart = overlooked(known, raw_roles(key), rows=computed, options=own)
    ready = _ready(trials, computed, key)
    more, contrary = said_twice(trials, draft, ~draft.open() & ~computed, key)
    ignored = _merged(ignored, ready, more)
    apart = _merged(apart, contrary, impossible_changes(known, np.ones(len(trials), dtype=bool), raw_roles(key)))
    passed = _passed_over(trials, draft, computed, key)
    told = (*passed, *_beliefs(trials, draft), *_perfect(trials, draft, computed, key), *_contradictions(trials, apart))
    return Account(ignored, apart, told)


def _perfect(trials: Trials, draft: Draft, computed: Bools, key: str) -> list[str]:
    """Tell rows whose two measurements are said to correlate fully: what is left of their variance is too small."""
    if about(key).kind not in ("paired means", "pre-post"):
        return []
    found = np.zeros(len(trials), dtype=bool)
    for role in {"r", "r_1", "r_2"} & draft.used.keys():
        found |= computed & (np.abs(draft.used[role]) == 1)
    names = [f"{trials.texts('study')[i]} ({trials.rows[i]})" for i in np.flatnonzero(found)]
    words = "a pre-post correlation of 1 or −1, which no two measurements have: its variance is too small"
    return [f"{listed(names)} brings {words}."] if names else []


def _merged(*lines: Lines) -> Lines:
    """Put the words of several accounts together, row by row."""
    filled = [line for line in lines if any(line)]
    if len(filled) < 2:
        return filled[0] if filled else lines[0]
    return tuple(tuple(word for words in row for word in words) for row in zip(*filled, strict=True))


def _ready(trials: Trials, computed: Bools, key: str) -> Lines:
    """Name the ready-made effects of rows that were computed from raw numbers; those of another measure are no news."""
    found: list[tuple[str, ...]] = [()] * len(trials)
    if not computed.any():
        return tuple(found)
    named = trials.names("", key)
    for role in ("yi", "effect"):
        values = trials.numbers(role)
        words = "effect on the analysis scale" if role == "yi" else "printed effect"
        for i in np.flatnonzero(computed & named & np.isfinite(values)).tolist():
            found[i] = (*found[i], f"{words} ({role} = {as_given(float(values[i]))})")
    return tuple(found)


def _passed_over(trials: Trials, draft: Draft, computed: Bools, key: str) -> list[str]:
    """Tell how many rows were computed although they bring another effect on the analysis scale with its variance."""
    if "yi" not in trials.roles or not computed.any():
        return []
    yi, named = trials.numbers("yi"), trials.names("", key)
    weighed = np.isfinite(trials.numbers("vi")) | np.isfinite(trials.numbers("sei"))
    rows = computed & named & weighed & np.isfinite(yi) & ~draft.open()
    apart = np.zeros(rows.size)
    apart[rows] = np.abs(np.abs(draft.yi[rows]) - np.abs(yi[rows])) / np.sqrt(draft.vi[rows])  # rows may be turned
    count = int((apart > FAR).sum())
    if not count:
        return []
    column = trials.roles["yi"]
    words = (
        f"{count} row{'s bring' if count > 1 else ' brings'} an effect in column {column} that is not the {key} "
        f"computed from the other numbers, and was passed over; effect={column!r} pools that column as it stands."
    )
    return [words]


def _beliefs(trials: Trials, draft: Draft) -> list[str]:
    """Tell how many rows rest on what had to be believed of the data; assumed correlations are told elsewhere."""
    if not draft.steps:
        return []
    labels = trials.texts("study")
    rows: dict[str, dict[str, None]] = {}
    keys: dict[str, dict[str, None]] = {}
    for i, steps in sorted(draft.steps.items()):
        for step in steps:
            if step.assumes and step.conversion != "assumed":
                rows.setdefault(step.assumes, {})[f"{labels[i]} ({trials.rows[i]})"] = None
                keys.setdefault(step.assumes, {})[step.conversion] = None
    return [
        f"{len(names)} row{'s rest' if len(names) > 1 else ' rests'} on the belief that {words}"
        f"{_how(list(keys[words]))}: {listed(list(names))}."
        for words, names in rows.items()
    ]


def _how(keys: list[str]) -> str:
    """Name the conversions in brackets."""
    words = title_words(keys)
    return f" ({', '.join(words)})" if words else ""


def _contradictions(trials: Trials, apart: Lines) -> list[str]:
    """Tell the rows that say a number twice and differently, the first of them one by one."""
    if not any(apart):
        return []
    labels = trials.texts("study")
    rows = [i for i, words in enumerate(apart) if words]
    told = [f"{trials.rows[i]} ({labels[i]}): {'; '.join(apart[i])}." for i in rows[:MOST_TOLD]]
    rest = len(rows) - MOST_TOLD
    if rest > 0:
        more = f"{rest} more row{'s say' if rest > 1 else ' says'}"
        told.append(f"{more} a number twice and differently; the table of routes has them.")
    return told
