"""From what a row reports to what a measure needs: the ways of the catalogue, each run on the rows that need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import Step
from metaback.effects.ways import (
    GRADES,
    R_ROLES,
    SKEWED,
    Grade,
    Way,
    chosen,
    go,
    open_ways,
    shape_doubt,
    shown_decimals,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]
MOST_DECIMALS = 12  # beyond, a number was computed and not printed
COUNTED = ("n", "events", "nonevents", "ci_level", "sign")  # counts are counts: nothing was rounded


@dataclass(frozen=True, slots=True)
class Applied:
    """One way as it was gone: the rows, what went in, what came out and whether it was needed, (m,) each."""

    way: Way
    rows: Rows
    values: tuple[Floats, ...]
    gave: tuple[Floats, ...]
    filled: tuple[Bools, ...]
    doubt: Bools


@dataclass(frozen=True, slots=True)
class Derived:
    """Numbers by role, given or derived, (k,) each, with the steps that led to those that were asked for.

    steps: per row and in order; empty where the table had everything. applied: the same, way by way.
    """

    values: Mapping[str, Floats]
    steps: tuple[tuple[Step, ...], ...]
    applied: tuple[Applied, ...] = ()


@dataclass(slots=True)
class _Work:
    """A table while it is being completed; `halves` holds half a unit of the last digit where rounding is followed."""

    values: dict[str, Floats]
    ways: Mapping[str, Sequence[Way]]
    options: Mapping[str, str]
    size: int
    halves: dict[str, Floats] | None = None
    applied: list[Applied] = field(default_factory=list[Applied])

    def get(self, role: str) -> Floats:
        """Return the numbers of a role, all nan before there are any."""
        if role not in self.values:
            self.values[role] = np.full(self.size, np.nan)
        return self.values[role]


def derive(
    inputs: Mapping[str, Floats],
    wanted: Sequence[str],
    *,
    rows: Bools | None = None,
    grade: Grade = "assumed",
    options: Mapping[str, str] | None = None,
    assume: Mapping[str, float] | None = None,
) -> Derived:
    """Return the wanted roles, as given or derived row by row from whatever else the row reports.

    A number that is given always stays. The others are tried way by way: identities first, then what must be believed
    of the data, then what is assumed; ways may build on each other (quartiles to a mean, its change to an SD, that to
    a correlation). Each way is one call on the rows that need it; ways whose roles the table lacks are not tried.

    inputs: role -> (k,) numbers, nan where blank; not changed. wanted: roles. rows: (k,) where to look, all if not
    given. grade: the last kind of way to take. options: conventions of `ways.CONVENTIONS` by name. assume: what a
    correlation is taken for where the row neither has nor gives one, {"r": 0.5}, for r_1 and r_2 too.

    Raises `OptionError` for an unknown option. Source: the conversions that the steps name.

    >>> found = derive({"se_1": np.array([0.97]), "n_1": np.array([25.0])}, ["sd_1"])
    >>> float(found.values["sd_1"][0]), found.steps[0][0].conversion
    (4.85, 'sd-from-se')
    """
    size = next((len(column) for column in inputs.values()), 0) if rows is None else len(rows)
    where = np.ones(size, dtype=bool) if rows is None else rows
    taken = {role: assume.get(role.removesuffix("_1").removesuffix("_2")) for role in R_ROLES} if assume else {}
    if "r" not in wanted:
        taken.pop("r", None)  # else both arms would take theirs from a study that has none
    work = _start(inputs, size, grade, chosen(options), taken)
    for last in GRADES[: GRADES.index(grade) + 1]:
        for role in wanted:
            _solve(work, role, where, last, frozenset())
    for role in wanted:
        work.get(role)
    used = _used(work.applied, wanted, size)
    return Derived(work.values, _steps(work.applied, used, size), tuple(work.applied))


def _start(
    inputs: Mapping[str, Floats],
    size: int,
    grade: Grade,
    options: Mapping[str, str],
    assume: Mapping[str, float | None],
) -> _Work:
    """Copy the table and keep the ways that it can go."""
    values = {role: np.array(column, dtype=np.float64) for role, column in inputs.items()}
    values |= {f"assumed_{role}": np.full(size, value) for role, value in assume.items() if value is not None}
    known = {role for role, column in values.items() if np.isfinite(column).any()}
    return _Work(values, _within_reach(frozenset(known), tuple(options.items()), grade), options, size)


@lru_cache(maxsize=256)  # the tables of one review have few sets of columns, and each asks for every pool
def _within_reach(
    known: frozenset[str], options: tuple[tuple[str, str], ...], grade: Grade
) -> Mapping[str, Sequence[Way]]:
    """Return by role the ways that can be gone from the known roles, in one step or several."""
    listed, reach, before = list(open_ways(dict(options), grade)), set(known), -1
    while len(reach) > before:
        before = len(reach)
        for way in listed:
            if _can(way, reach):
                reach.update(way.gives)
    found: dict[str, list[Way]] = {}
    for way in listed:
        if _can(way, reach):
            for role in way.gives:
                found.setdefault(role, []).append(way)
    return found


def _can(way: Way, known: set[str]) -> bool:
    """Tell whether all that a way must have is known, and one of what it may have if it takes several of those."""
    choices = way.optional - {"ci_level"}
    return set(way.required) <= known and (not choices or bool(choices & known))


def _solve(work: _Work, role: str, need: Bools, last: Grade, stack: frozenset[str]) -> None:
    """Fill a role in the rows that need it, way by way, and first what each way takes."""
    if not (need & np.isnan(work.get(role))).any():
        return
    for way in work.ways.get(role, ()):
        if GRADES.index(way.grade) > GRADES.index(last):
            continue
        missing = need & np.isnan(work.get(role))
        for other in way.gives if way.whole else ():
            missing = missing & np.isnan(work.get(other))
        for take in sorted(way.takes, key=lambda take: len(work.ways.get(take, ()))):
            if not missing.any():
                break
            if take not in stack and take not in way.gives:
                _solve(work, take, missing, last, stack | {role})
            if take not in way.optional:
                missing = missing & np.isfinite(work.get(take))
        if missing.any():
            _go(work, way, np.flatnonzero(missing))


def _go(work: _Work, way: Way, rows: Rows) -> None:
    """Run a way on some rows and keep what came out where there was nothing."""
    values = tuple(work.get(role)[rows] for role in way.takes)
    gone = go(way, values, work.options)
    good = np.isfinite(gone[0]) if not way.whole else np.isfinite(np.stack(gone)).all(axis=0)
    filled: list[Bools] = []
    for i, role in enumerate(way.gives):
        column = work.get(role)
        new = good & np.isfinite(gone[i]) & np.isnan(column[rows])
        column[rows[new]] = gone[i][new]
        filled.append(new)
        if work.halves is not None:
            half = work.halves.setdefault(role, np.zeros(work.size))
            half[rows[new]] = _half(work, way, rows, values, i)[new]
    if np.any(filled):
        work.applied.append(Applied(way, rows, values, gone, tuple(filled), shape_doubt(way, values)))


def _half(work: _Work, way: Way, rows: Rows, values: tuple[Floats, ...], i: int) -> Floats:
    """Return how far rounding of what goes in can move what comes out, to first order; infinite where it breaks."""
    centre = go(way, values, work.options)[i]
    total = np.zeros(len(rows))
    for j, role in enumerate(way.takes):
        away = (work.halves or {}).get(role, np.zeros(work.size))[rows]
        if not away.any():
            continue
        moved = [
            np.abs(go(way, (*values[:j], values[j] + side * away, *values[j + 1 :]), work.options)[i] - centre)
            for side in (1.0, -1.0)
        ]
        total = total + np.where(np.isnan(values[j]), 0.0, np.nan_to_num(np.maximum(*moved), nan=np.inf))
    return total


def _used(applied: Sequence[Applied], wanted: Sequence[str], size: int) -> list[Bools]:
    """Tell for each way gone the rows where what was asked for rests on it."""
    needed = {role: np.ones(size, dtype=bool) for role in wanted}
    used: list[Bools] = []
    for one in reversed(applied):
        hit = np.zeros(len(one.rows), dtype=bool)
        for role, new in zip(one.way.gives, one.filled, strict=True):
            if role in needed:
                hit |= new & needed[role][one.rows]
        for role in one.way.takes:
            needed.setdefault(role, np.zeros(size, dtype=bool))[one.rows[hit]] = True
        used.append(hit)
    return used[::-1]


def _steps(applied: Sequence[Applied], used: Sequence[Bools], size: int) -> tuple[tuple[Step, ...], ...]:
    """Write the ways gone row by row."""
    found: list[tuple[Step, ...]] = [()] * size
    for one, hit in zip(applied, used, strict=True):
        at = np.flatnonzero(hit)
        for row, step in zip(one.rows[at].tolist(), _steps_of(one, at), strict=True):
            found[row] = (*found[row], step)
    return tuple(found)


def _steps_of(one: Applied, at: Rows) -> list[Step]:
    """Write one way for some of its rows; those that all have the same numbers share the words."""
    way = one.way
    own = [(role, column[at]) for role, column in zip(way.takes, one.values, strict=True) if not _is_assumed(role)]
    whole = all(np.isfinite(column).all() for _, column in own) and all(new[at].all() for new in one.filled)
    if not whole or len({role for role, _ in own}) < max(1, len(own)):
        return [_step(one, j) for j in at.tolist()]
    names = tuple(role for role, _ in own)
    numbers = zip(*(column.tolist() for _, column in own), strict=True)
    gave = zip(*(column[at].tolist() for column in one.gave), strict=True)
    beliefs = (SKEWED if doubt else way.assumes for doubt in one.doubt[at].tolist())
    return [
        Step(way.gives, way.conversion, names, took, assumes, made)
        for took, assumes, made in zip(numbers, beliefs, gave, strict=True)
    ]


def _is_assumed(role: str) -> bool:
    """Tell whether a number is not the row's own."""
    return role.startswith("assumed_")


def _step(one: Applied, j: int) -> Step:
    """Write one way for one row; roles that were blank are not part of it."""
    way = one.way
    gives = tuple(role for role, new in zip(way.gives, one.filled, strict=True) if new[j])
    gave = tuple(float(column[j]) for column, new in zip(one.gave, one.filled, strict=True) if new[j])
    both = zip(way.takes, one.values, strict=True)
    own = ((role, float(column[j])) for role, column in both if not _is_assumed(role))
    taken = {role: value for role, value in own if np.isfinite(value)}
    assumes = SKEWED if one.doubt[j] else way.assumes
    return Step(gives, way.conversion, tuple(taken), tuple(taken.values()), assumes, gave)


# ---------------------------------------------------------------- one way by itself


def by_way(
    inputs: Mapping[str, Floats],
    role: str,
    way: Way,
    rows: Bools,
    options: Mapping[str, str],
    halves: Mapping[str, Floats] | None = None,
) -> tuple[Floats, Floats]:
    """Return what one way makes of a role, and how far the rounding of what goes in can move it, (k,) each.

    The role itself is taken out of the table first, and what the way takes may be derived by identities. Rounding:
    every printed number is taken plus or minus half a unit of its last shown digit, to first order; zeros at the end
    are not seen, so that the room is rather too wide. nan where the row does not have what the way takes. halves: half
    a unit of the last digit of each input, for whom goes many ways; None finds them here.

    >>> one = {role: np.array([x]) for role, x in {"sd_1": 4.0, "se_1": 0.97, "n_1": 25.0}.items()}
    >>> value, half = by_way(one, "sd_1", Way(("sd_1",), ("se_1", "n_1"), "sd-from-se"), np.array([True]), chosen(None))
    >>> float(value[0]), float(half[0].round(6))
    (4.85, 0.025)
    """
    bare = {name: column for name, column in inputs.items() if name != role}
    work = _start(bare, len(rows), "exact", options, {})
    known = halves or {name: half_unit(name, column) for name, column in bare.items()}
    work.halves = {name: known[name].copy() for name in bare}
    need = rows
    for take in way.takes:
        if take not in way.gives:
            _solve(work, take, need, "exact", frozenset({role}))
        if take not in way.optional:
            need = need & np.isfinite(work.get(take))
    value, half = np.full(len(rows), np.nan), np.zeros(len(rows))
    hit = np.flatnonzero(need)
    if hit.size:
        values = tuple(work.get(take)[hit] for take in way.takes)
        i = way.gives.index(role)
        value[hit], half[hit] = go(way, values, options)[i], _half(work, way, hit, values, i)
    return value, half


def half_unit(role: str, values: Floats) -> Floats:
    """Return half a unit of the last digit that numbers show, 0 for counts.

    >>> half_unit("mean_1", np.array([12.0, 0.25])), half_unit("n_1", np.array([12.0]))
    (array([0.5  , 0.005]), array([0.]))
    """
    if role.removesuffix("_1").removesuffix("_2").removesuffix("_total") in COUNTED:
        return np.zeros(np.shape(values))
    return 0.5 * 10.0 ** -shown_decimals(values, MOST_DECIMALS)
