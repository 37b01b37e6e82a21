"""The validated table of trials, and the checks that make it one."""

from __future__ import annotations

import html
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.data.roles import ROLES, Role, recognise
from metaback.errors import DataError, Problem, suggestion
from metaback.numbers import parse_number

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
MISSING = frozenset(
    {"", "na", "n/a", "nan", "none", "null", ".", "-", "nr", "not reported", "\u2013", "\u2014", "\u2212"}
)
TRUE, FALSE = frozenset({"true", "yes", "1", "1.0", "t", "y"}), frozenset({"false", "no", "0", "0.0", "f", "n"})
SHOWN = 10  # rows shown in a notebook
ROUTE_ROLES = (
    ("effect", "ci_low", "ci_high"),
    ("effect", "se"),
    ("yi", "vi"),
    ("yi", "sei"),
    ("n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2"),
    ("events_1", "n_1", "events_2", "n_2"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table came from: a name without its folder, SHA-256 of its bytes ("" for a frame), size, roles read."""

    name: str
    sha256: str
    rows: int
    columns: int
    roles: Mapping[str, str]


@dataclass(frozen=True)
class Trials:
    """A checked table: one row per trial x outcome x comparison, with the role of each column that is understood.

    frame: the table, numbers as floats (nan where blank) and labels as text; roles: role -> column name;
    rows: where each row stands in its source ("row 7"), told in every message about it.
    """

    frame: pd.DataFrame
    roles: Mapping[str, str]
    rows: tuple[str, ...]
    source: Source

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.frame)

    def numbers(self, role: str) -> Floats:
        """Return a number role as an array, all nan where the table does not have it."""
        if role not in self.roles:
            return np.full(len(self), np.nan)
        return self.frame[self.roles[role]].to_numpy(dtype=float)

    def texts(self, role: str) -> tuple[str, ...]:
        """Return a text role, "" where blank or where the table does not have it."""
        if role not in self.roles:
            return ("",) * len(self)
        return tuple(str(value) for value in self.frame[self.roles[role]])

    def flags(self, role: str) -> tuple[bool | None, ...]:
        """Return a yes-or-no role, None where blank or where the table does not have it."""
        if role not in self.roles:
            return (None,) * len(self)
        return tuple(None if pd.isna(value) else bool(value) for value in self.frame[self.roles[role]])

    def take(self, keep: Iterable[bool]) -> Trials:
        """Keep the rows where `keep` is true."""
        mask = np.fromiter(keep, dtype=bool, count=len(self))
        rows = tuple(row for row, kept in zip(self.rows, mask, strict=True) if kept)
        return replace(self, frame=self.frame[mask].reset_index(drop=True), rows=rows)

    def query(self, expression: str) -> Trials:
        """Keep the rows for which a pandas query holds, e.g. `"outcome == 'pain' and year >= 2010"`."""
        kept = self.frame.query(expression).index
        return self.take(self.frame.index.isin(kept))

    def __repr__(self) -> str:
        """Say what the table holds."""
        studies = len(set(self.texts("study")))
        roles = ", ".join(role if role == column else f"{role} = {column}" for role, column in self.roles.items())
        return f"Trials: {len(self)} rows, {studies} studies, from {self.source.name}; roles: {roles}"

    def _repr_html_(self) -> str:
        """Show the first rows of the columns that play a role, escaped."""
        shown = self.frame[list(self.roles.values())].head(SHOWN)
        table = shown.dropna(axis=1, how="all").to_html(
            index=False, border=0, na_rep="", float_format=lambda value: f"{value:g}"
        )
        rest = f" (the first {SHOWN} shown)" if len(self) > SHOWN else ""
        return f"<div><p>{len(self)} rows from {html.escape(self.source.name)}{rest}</p>{table}</div>"


def make_trials(
    frame: pd.DataFrame, rows: tuple[str, ...], source: Source, roles: Mapping[str, str] | None = None
) -> Trials:
    """Check a table and give its columns their roles; raise one `DataError` with every problem.

    frame: cells as text (from a file) or as any type (from a frame); it is not changed.
    """
    known, problems = recognise(frame.columns, roles)
    problems = problems or _structure(frame, known)
    table = frame.copy()
    for role, column in known.items():
        values, bad = _convert(ROLES[role], column, list(frame[column]), rows)
        table[column] = values
        problems += bad
    trials = Trials(table, known, rows, replace(source, roles=known))
    problems += _consistency(trials)
    if problems:
        raise DataError(source.name, problems)
    return trials


def _structure(frame: pd.DataFrame, known: Mapping[str, str]) -> list[Problem]:
    """Check that there are rows, a study column and a way to an effect."""
    columns = [str(column) for column in frame.columns]
    listed = ", ".join(columns)
    problems: list[Problem] = []
    if "study" not in known:
        hint = suggestion("study", columns)
        problems.append(
            Problem(
                f"no column names the studies{hint}",
                f"Add a column 'study', or say roles={{'study': ...}}; the columns are: {listed}",
            )
        )
    if not any(set(route) <= known.keys() for route in _routes(known)):
        nearest = max(ROUTE_ROLES, key=lambda route: (len(set(route) & known.keys()) / len(route), len(route)))
        missing = [role for role in nearest if role not in known]
        has = [role for role in nearest if role in known]
        rule = "no effect size can be computed: "
        rule += (
            f"found {', '.join(has)} but not {', '.join(missing)}"
            if has
            else "no column of effects, means or counts was recognised"
        )
        fix = f"Add or rename the missing columns, or name them with roles={{...}}; the columns are: {listed}"
        problems.append(Problem(rule, fix))
    if not len(frame):
        problems.append(Problem("the table has no rows", "Add one row per trial, outcome and comparison"))
    return problems


def _routes(known: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """Return the sets of roles that lead to an effect, non-events in place of totals where they are given."""
    if {"nonevents_1", "nonevents_2"} <= known.keys():
        return (*ROUTE_ROLES, ("events_1", "nonevents_1", "events_2", "nonevents_2"))
    return ROUTE_ROLES


def _convert(
    role: Role, column: str, cells: list[object], rows: tuple[str, ...]
) -> tuple[list[Any] | Floats, list[Problem]]:
    """Turn a column's cells into the values of its role."""
    if role.kind == "number":
        return _numbers(role, column, cells, rows)
    convert: Callable[[object], object] = _flag if role.kind == "boolean" else _text
    values: list[object] = []
    problems: list[Problem] = []
    for cell, row in zip(cells, rows, strict=True):
        value = convert(cell)
        if value is _BAD:
            problems.append(
                Problem(
                    "must be true or false",
                    "Write true, false, yes, no, 1 or 0, or leave it blank",
                    column,
                    row,
                    str(cell),
                )
            )
            value = None
        elif role.kind == "label" and value == "":
            problems.append(Problem("a study needs a label", "Name the study in this row", column, row, ""))
        values.append(value)
    return values, problems


_BAD = object()


def _text(cell: object) -> str:
    """Read a label as it stands; only an empty cell is empty ("NA" is a label)."""
    missing = cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell))
    return "" if missing else str(cell).strip()


def _flag(cell: object) -> object:
    """Read a yes-or-no cell; None where blank."""
    word = _text(cell).lower()
    if word in MISSING:
        return None
    return True if word in TRUE else False if word in FALSE else _BAD


def _numbers(role: Role, column: str, cells: list[object], rows: tuple[str, ...]) -> tuple[Floats, list[Problem]]:
    """Read a column of numbers and check the rule of its role."""
    values = np.full(len(cells), np.nan)
    problems: list[Problem] = []
    for i, cell in enumerate(cells):
        if not isinstance(cell, bool) and isinstance(cell, numbers.Real):
            number = _float(cell)
            if math.isnan(number):
                continue
        else:
            text = _text(cell)
            if text.lower() in MISSING:
                continue
            number = parse_number(text)
        broken = _broken(role, number)
        if broken:
            problems.append(Problem(*broken, column, rows[i], str(cell)))
        elif number is not None:
            values[i] = number
    return values, problems


def _float(number: numbers.Real) -> float:
    """Return a number as a float, infinity where it is too large to be one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _broken(role: Role, number: float | None) -> tuple[str, str] | None:
    """Return the rule that a number breaks and the fix, or None."""
    if number is None or not math.isfinite(number):
        return "is not a number", "Write one plain number with a decimal point per cell, or leave it blank"
    if role.rule == "not negative" and number < 0:
        return "must not be negative", "Check the sign and the column"
    if role.rule == "positive" and number <= 0:
        return "must be above 0", "Leave it blank if it was not reported"
    if role.rule == "count" and (number < 0 or number != int(number)):
        return "must be a whole number of people, 0 or more", "Give a count, not a percentage"
    if role.rule == "sample size" and (number < 1 or number != int(number)):
        return "must be a whole number of people, 1 or more", "Give the number analysed, or leave it blank"
    return None


def _consistency(trials: Trials) -> list[Problem]:
    """Check cells against each other within each row."""
    return [*_check_intervals(trials), *(problem for arm in ("1", "2") for problem in _check_counts(trials, arm))]


def _report(trials: Trials, bad: Bools, role: str, rule: Callable[[int], str], fix: str) -> list[Problem]:
    """Turn the rows where something is wrong with a role into problems."""
    column, values = trials.roles.get(role, role), trials.numbers(role)
    return [
        Problem(rule(i), fix, column, trials.rows[i], f"{values[i]:g}") for i in (int(j) for j in np.flatnonzero(bad))
    ]


def _check_intervals(trials: Trials) -> list[Problem]:
    """Check printed effects against their intervals."""
    low, high, effect = (trials.numbers(role) for role in ("ci_low", "ci_high", "effect"))
    outside = (low < high) & ((effect < low) | (effect > high))
    half = ~np.isnan(effect) & (np.isnan(low) != np.isnan(high))
    return [
        *_report(
            trials,
            low >= high,
            "ci_low",
            lambda i: f"the lower limit is not below the upper limit {high[i]:g}",
            "Check whether the limits are swapped",
        ),
        *_report(
            trials,
            outside,
            "effect",
            lambda i: f"the effect lies outside its own interval {low[i]:g} to {high[i]:g}",
            "Check the sign of the effect and of its limits",
        ),
        *_report(
            trials,
            half,
            "effect",
            lambda _: "only one limit of its interval is given",
            "Give both limits, or blank both and give a standard error",
        ),
    ]


def _check_counts(trials: Trials, arm: str) -> list[Problem]:
    """Check the counts of one arm against its size."""
    events, n = trials.numbers(f"events_{arm}"), trials.numbers(f"n_{arm}")
    total = events + trials.numbers(f"nonevents_{arm}")
    return [
        *_report(
            trials,
            events > n,
            f"events_{arm}",
            lambda i: f"more events than the {n[i]:g} people of the arm",
            "Check whether the columns are swapped",
        ),
        *_report(
            trials,
            ~np.isnan(total + n) & (total != n),
            f"n_{arm}",
            lambda i: f"events and non-events of the arm add up to {total[i]:g}",
            "Correct the one that is wrong",
        ),
    ]
