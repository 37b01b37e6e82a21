"""What a row says twice: sources that were passed over for a better one, and sources that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metaback.effects.derive import by_way, half_unit
from metaback.effects.effect_sizes import ROLE_WORDS
from metaback.effects.ways import Way, chosen, level_of, open_ways
from metaback.numbers import as_given, significant
from metaback.stats.conversions import CONVERSIONS
from metaback.stats.conversions.family import critical

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Lines = tuple[tuple[str, ...], ...]
LAST_BIT = 1e-9  # relative: what sums of decimal numbers lose, far below a printed digit
DIGITS = 4  # of a number that was derived, in a sentence
# Numbers that two sources of a row may tell differently: the way from what measures take, which is the one believed.
CHECKED: Mapping[str, str] = {
    "md": "difference",
    "sd_within": "pooled-sd",
    "odds_ratio": "odds-ratio",
    "risk_ratio": "risk-ratio",
}
# Ways over the test of two groups, and those of them that take a quantile of Student's t.
TESTS = frozenset({"sd-from-se-difference", "sd-from-ci-difference", "sd-from-t", "sd-from-f", "sd-from-p"})
QUANTILES = frozenset({"sd-from-ci-difference", "sd-from-p"})
SIZED = frozenset({"sd_1", "n_1", "sd_2", "n_2"})


@dataclass(frozen=True, slots=True)
class _Source:
    """One source of a number: as given (no way) or by a way, with the room that rounding leaves it, (k,)."""

    way: Way | None
    values: Floats
    half: Floats


@dataclass(slots=True)
class Overlooked:
    """By row: what was ignored because something better was reported, and what contradicts it."""

    size: int
    ignored: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    disagreements: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    def lines(self) -> tuple[Lines, Lines]:
        """Return both for all rows, frozen."""
        return lines_of(self.ignored, self.size), lines_of(self.disagreements, self.size)


def lines_of(words: Mapping[int, Sequence[str]], size: int) -> Lines:
    """Return the words of every row, frozen; none for rows that are not there.

    >>> lines_of({1: ["a", "b"]}, 3)
    ((), ('a', 'b'), ())
    """
    found: list[tuple[str, ...]] = [()] * size
    for row, said in words.items():
        found[row] = tuple(said)
    return tuple(found)


def overlooked(
    inputs: Mapping[str, Floats], wanted: Sequence[str], *, rows: Bools, options: Mapping[str, str] | None = None
) -> tuple[Lines, Lines]:
    """Return per row the sources that were not used because a better one was there, and those that contradict it.

    A number that is given wins, then the ways of the catalogue in their order. A source contradicts when both are
    given or identities and they differ by more than rounding can explain (see `by_way`). Estimates from quartiles and
    the like are never held against a reported number.

    inputs: role -> (k,) numbers as given; wanted: roles of the measure; rows: (k,) whose effect was computed from them.
    options: as in `derive`.

    >>> one = {role: np.array([x]) for role, x in {"sd_1": 4.0, "se_1": 0.97, "n_1": 25.0}.items()}
    >>> overlooked(one, ["sd_1"], rows=np.array([True]))
    ((('SD from SE (se_1 = 0.97)',),), (('sd_1 is 4 as given, but 4.850 by SD from SE (se_1 = 0.97)',),))
    """
    if not rows.any():
        return ((),) * rows.size, ((),) * rows.size
    found = Overlooked(rows.size)
    known = {role for role, column in inputs.items() if np.isfinite(column[rows]).any()}
    resolved = chosen(options)
    ways = open_ways(resolved, "estimated") if rows.any() and not known <= set(wanted) else ()
    halves = {name: half_unit(name, column) for name, column in inputs.items()} if ways else {}
    for role in dict.fromkeys((*wanted, *CHECKED)) if ways else ():
        _compare(found, inputs, role, _sources(inputs, role, rows, ways, resolved, halves))
    return found.lines()


def _sources(
    inputs: Mapping[str, Floats],
    role: str,
    rows: Bools,
    ways: Sequence[Way],
    options: Mapping[str, str],
    halves: Mapping[str, Floats],
) -> list[_Source]:
    """Return the sources of a number, the one believed first."""
    found: list[_Source] = []
    for way in ways:
        listed = role in way.gives and (not way.whole or role == way.gives[0]) and way.conversion != "equal-sds"
        if not listed or not _has(inputs, way, rows):
            continue
        values, half = by_way(inputs, role, way, rows, options, halves)
        if np.isfinite(values).any():
            found.append(_Source(way, values, half))
    given = inputs.get(role)
    if given is not None and (found or role not in CHECKED):
        found.insert(0, _Source(None, np.where(rows, given, np.nan), halves[role]))
    believed = CHECKED.get(role)
    return (
        sorted(found, key=lambda source: source.way is None or source.way.conversion != believed) if believed else found
    )


def _has(inputs: Mapping[str, Floats], way: Way, rows: Bools) -> bool:
    """Tell whether the table has a number of its own for the way, so that most ways are not even tried."""
    return any(take in inputs and np.isfinite(inputs[take][rows]).any() for take in way.takes)


def _compare(found: Overlooked, inputs: Mapping[str, Floats], role: str, sources: Sequence[_Source]) -> None:
    """Hold every further source of a number against the one that is believed, row by row."""
    for i, other in enumerate(sources):
        before = np.zeros(found.size, dtype=bool)
        for first in sources[:i]:
            fresh = np.isfinite(first.values) & ~before
            before |= fresh
            both = np.flatnonzero(fresh & np.isfinite(other.values))
            room = first.half + other.half + LAST_BIT * np.abs(first.values)
            low, high = _other_tests(inputs, first, other)
            apart = (other.values < low * first.values - room) | (other.values > high * first.values + room)
            for row in both.tolist():
                found.ignored[row].append(_name(inputs, role, other, row))
                if apart[row] and _firm(first) and _firm(other):
                    one, two = (_value(inputs, role, source, row) for source in (first, other))
                    found.disagreements[row].append(f"{ROLE_WORDS.get(role, role)} is {one}, but {two}")


def _other_tests(inputs: Mapping[str, Floats], first: _Source, other: _Source) -> tuple[Floats, Floats]:
    """Return between which multiples an SD within groups may lie because the test behind it was another one.

    The ways from an interval or a test of two groups are those of Student. Programs that pool print normal intervals
    with the SDs of the groups apart, and papers may have used Welch's test: the SD derived is then the one of the
    groups times SE/SE_pooled, times z/t. Exactly 1 to 1 for all other sources.
    """
    low, high = np.ones(first.values.shape), np.ones(first.values.shape)
    if other.way is None or other.way.conversion not in TESTS or not inputs.keys() >= SIZED:
        return low, high
    sd_1, n_1, sd_2, n_2 = (inputs[role] for role in ("sd_1", "n_1", "sd_2", "n_2"))
    with np.errstate(divide="ignore", invalid="ignore"):
        df = n_1 + n_2 - 2
        pooled = np.sqrt(((n_1 - 1) * sd_1**2 + (n_2 - 1) * sd_2**2) / df * (1 / n_1 + 1 / n_2))
        unlike = np.sqrt(sd_1**2 / n_1 + sd_2**2 / n_2) / pooled
        level = level_of(inputs.get("ci_level", np.full(df.shape, np.nan)))
        level = 1 - inputs["p"] if other.way.conversion == "sd-from-p" else level
        normal = critical(level) / critical(level, df) if other.way.conversion in QUANTILES else np.ones(df.shape)
    factors = np.stack([low, unlike, normal, unlike * normal])
    factors = np.where(np.isfinite(factors) & (df > 0), factors, 1.0)
    return factors.min(axis=0), factors.max(axis=0)


def _firm(source: _Source) -> bool:
    """Tell whether a source is a reported number or an identity."""
    return source.way is None or source.way.grade == "exact"


def _name(inputs: Mapping[str, Floats], role: str, source: _Source, row: int) -> str:
    """Name a source with the numbers of the table that are its own."""
    if source.way is None:
        return f"{ROLE_WORDS.get(role, role)} = {as_given(float(source.values[row]))}"
    taken = [take for take in source.way.takes if take in inputs and np.isfinite(inputs[take][row])]
    own = [take for take in taken if not take.startswith("n_") and take != "n"] or taken
    numbers = ", ".join(f"{ROLE_WORDS.get(take, take)} = {as_given(float(inputs[take][row]))}" for take in own)
    return (
        f"{CONVERSIONS[source.way.conversion].title} ({numbers})"
        if numbers
        else CONVERSIONS[source.way.conversion].title
    )


def _value(inputs: Mapping[str, Floats], role: str, source: _Source, row: int) -> str:
    """Write the value of a source and where it is from."""
    if source.way is None:
        return f"{as_given(float(source.values[row]))} as given"
    return f"{significant(float(source.values[row]), DIGITS)} by {_name(inputs, role, source, row)}"
