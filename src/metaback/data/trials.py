"""The validated table of trials, and the checks that make it one."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from metaback.data.columns import Bools, Floats, Habits, ReadColumns, read_columns, text_of
from metaback.data.queries import NO_CONDITION, rows_where
from metaback.data.roles import ROLES, named_effect, normal_name, recognise
from metaback.errors import DataError, OptionError, Problem, suggestion
from metaback.stats.measures import MEASURES, raw_roles

Found = TypeVar("Found")
SHOWN = 10  # rows shown in a notebook
CHECKS = "metaback.audits"  # where the check lives, far above: found by its name when a table is asked to check itself
ROUTE_ROLES = (
    ("effect", "ci_low", "ci_high"),
    ("effect", "se"),
    ("yi", "vi"),
    ("yi", "sei"),
    ("n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2"),
    ("events_1", "n_1", "events_2", "n_2"),
)


# What leads to an effect after a derivation. The table is told apart here only from one that says nothing of effects:
# what each row lacks is told row by row.
DERIVED_ROUTES = (
    ("effect", "p"),
    ("effect", "t"),
    ("yi", "p"),
    ("yi", "t"),
    ("ci_low", "ci_high"),
    ("effect", "ci_low"),
    ("effect", "ci_high"),
    *(
        ("mean_1", "mean_2", "n_1", "n_2", role)
        for role in ("se_1", "mean_ci_low_1", "iqr_1", "q1_1", "mad_1", "min_1")
    ),
    *(("n_1", "n_2", role) for role in ("t", "f_value", "p", "d")),
    *(("n_1", "n_2", role) for role in ("median_1", "median_2", "percent_1", "percent_2")),
    ("n_1", "n_2", "mean_change_1", "mean_change_2"),
    ("n_1", "n_2", "mean_post_1", "mean_post_2"),
    ("n_1", "n_2", "mean_pre_1", "mean_pre_2"),
    ("n_1", "n_2", "events_total"),
    ("events_1", "events_total"),
    ("n", "t"),
    ("n", "mean_1", "mean_2"),
    *(("n", role) for role in ("median", "percent")),
    *(("n", "mean", role) for role in ("se", "ci_low", "iqr", "q1", "min", "mad")),
)
RATIOS = frozenset({"RR", "OR", "PETO", "IRR", "HR", "ROM", "MPRR", "MPOR", "VR", "CVR"})
FIVE = ("min", "q1", "median", "q3", "max")
CORRELATIONS = ("r", "r_1", "r_2", "r_covariate")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table came from: name without folder, SHA-256 of its bytes ("" for a frame), size, roles, guesses."""

    name: str
    sha256: str
    rows: int
    columns: int
    roles: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trials:
    """A checked table: one row per trial x outcome x comparison, with the role of each column that is understood.

    frame: the table, numbers as floats (nan where blank) and labels as text; roles: role -> column name;
    rows: where each row stands in its source ("row 7"), told in every message about it; notes: what the reader
    guessed or passed over, one sentence each, about the whole source. kept: what was read of it already, by question,
    in a table that `held` made; None elsewhere, because a frame can be changed by its owner.
    """

    frame: pd.DataFrame
    roles: Mapping[str, str]
    rows: tuple[str, ...]
    source: Source
    notes: tuple[str, ...] = ()
    kept: dict[tuple[str, ...], Any] | None = field(default=None, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.frame)

    def numbers(self, role: str) -> Floats:
        """Return a number role as an array, all nan where the table does not have it."""
        return _once(self, _numbers, role if role in self.roles else "")

    def texts(self, role: str) -> tuple[str, ...]:
        """Return a text role, "" where blank or where the table does not have it."""
        return _once(self, _texts, role if role in self.roles else "")

    def names(self, *measures: str) -> Bools:
        """Tell the rows that name one of some measures, in whatever letters; "" is that of rows that name none."""
        return _once(self, _names, *measures)

    def columns(self) -> Mapping[str, pd.Series[Any]]:
        """Return every column by its name."""
        return _once(self, _columns)

    def flags(self, role: str) -> tuple[bool | None, ...]:
        """Return a yes-or-no role, None where blank or where the table does not have it."""
        if role not in self.roles:
            return (None,) * len(self)
        return tuple(None if pd.isna(value) else bool(value) for value in self.frame[self.roles[role]])

    def take(self, keep: Iterable[bool]) -> Trials:
        """Keep the rows where `keep` is true."""
        return self.at(np.flatnonzero(np.fromiter(keep, dtype=bool, count=len(self))).tolist())

    def at(self, places: Sequence[int]) -> Trials:
        """Return the rows at some places, 0 for the first, in that order."""
        frame = self.frame.iloc[list(places)].reset_index(drop=True)
        return replace(self, frame=frame, rows=tuple(self.rows[i] for i in places))

    def query(self, expression: str) -> Trials:
        """Keep the rows for which a pandas query holds, e.g. `"outcome == 'pain' and year >= 2010"`.

        Columns of digits stored as text are asked as numbers; see `rows_where`. Raises `OptionError` for an expression
        that cannot be used, or is not true or false for each row.
        """
        try:
            return self.take(rows_where(self.columns(), len(self), expression))
        except ValueError as error:
            why = str(error)
        if why == NO_CONDITION:
            raise OptionError(f"the query {expression!r} {why}; compare with something")
        raise OptionError(
            f"the query {expression!r} cannot be used: {why}; columns: {', '.join(map(str, self.frame.columns))}"
        )

    def check(self, **choices: Any) -> Any:
        """Check the table before it is pooled, and tell what each finding would change; see `metaback.check`."""
        return import_module(CHECKS).check(self, **choices)

    def __repr__(self) -> str:
        """Say what the table holds."""
        studies = len(set(self.texts("study")))
        roles = ", ".join(role if role == column else f"{role} = {column}" for role, column in self.roles.items())
        told = f"; notes: {len(self.notes)}" if self.notes else ""
        return f"Trials: {len(self)} rows, {studies} studies, from {self.source.name}; roles: {roles}{told}"

    def _repr_html_(self) -> str:
        """Show the first rows of the columns that play a role, escaped."""
        shown = self.frame[list(self.roles.values())].head(SHOWN)
        table = shown.dropna(axis=1, how="all").to_html(
            index=False, border=0, na_rep="", float_format=lambda value: f"{value:g}"
        )
        rest = f" (the first {SHOWN} shown)" if len(self) > SHOWN else ""
        return f"<div><p>{len(self)} rows from {html.escape(self.source.name)}{rest}</p>{table}</div>"


def held(trials: Trials) -> Trials:
    """Return the same table, which reads each of its columns once: for work that asks many times for the same ones.

    The arrays that it gives are shared, and cannot be changed.

    >>> from metaback.data.datasets import load_dataset
    >>> table = held(load_dataset("backpain"))
    >>> table.texts("outcome") is table.texts("outcome")
    True
    """
    table = replace(trials)
    object.__setattr__(table, "kept", {})
    return table


def _once(trials: Trials, read: Callable[..., Found], *words: str) -> Found:
    """Return what a reader makes of a table: what it made before, where the table keeps it."""
    if trials.kept is None:
        return read(trials, *words)
    key = (read.__name__, *words)
    if key not in trials.kept:
        found = trials.kept[key] = read(trials, *words)
        if isinstance(found, np.ndarray):
            found.flags.writeable = False
    return trials.kept[key]


def _numbers(trials: Trials, role: str) -> Floats:
    """Read a column of numbers; "" is one that the table does not have."""
    return _cells(trials, role).to_numpy(dtype=float) if role else np.full(len(trials), np.nan)


def _texts(trials: Trials, role: str) -> tuple[str, ...]:
    """Read a column of texts; "" is one that the table does not have."""
    return tuple(map(str, _cells(trials, role).tolist())) if role else ("",) * len(trials)


def _cells(trials: Trials, role: str) -> pd.Series[Any]:
    """Return the column of a role."""
    column = trials.roles[role]
    return trials.frame[column] if trials.kept is None else trials.columns()[column]


def _columns(trials: Trials) -> dict[str, pd.Series[Any]]:
    """Read all columns."""
    return {str(name): cells for name, cells in trials.frame.items()}


def _names(trials: Trials, *measures: str) -> Bools:
    """Read which rows name one of some measures."""
    if "measure" not in trials.roles:
        return np.full(len(trials), "" in measures)
    texts = trials.texts("measure")
    known = {text: text.upper() in measures for text in set(texts)}
    return np.array([known[text] for text in texts], dtype=bool)


def as_named(trials: Trials, named: Mapping[str, str]) -> Trials:
    """Set aside every other source of an effect where its column, or that of its standard error, was named.

    A table of metafor's escalc has means or counts, `yi` and `vi` side by side; whoever names one means that one.
    named: role -> column as the user gave them. Columns that lose their role can still be named in a formula.

    >>> import pandas as pd
    >>> from metaback.data.read import read_trials
    >>> table = pd.DataFrame({"study": ["A", "B"], "m1i": [1.0, 2.0], "yi": [0.1, 0.2], "vi": [0.1, 0.1], "s": [1, 2]})
    >>> list(as_named(read_trials(table, roles={"sei": "s"}), {"sei": "s"}).roles)
    ['study', 'yi', 'sei']
    """
    if not {"yi", "sei"} & named.keys():
        return trials
    kept = {"year", "weeks", "n", "n_1", "n_2", "yi", "sei", *(() if "sei" in named else ("vi", "t", "p"))}
    roles = {role: column for role, column in trials.roles.items() if role in kept or ROLES[role].kind != "number"}
    return replace(trials, roles=roles, source=replace(trials.source, roles=roles))


def make_trials(
    frame: pd.DataFrame,
    rows: tuple[str, ...],
    source: Source,
    roles: Mapping[str, str] | None = None,
    *,
    notes: tuple[str, ...] = (),
    habits: Habits | None = None,
) -> Trials:
    """Check a table and give its columns their roles; raise one `DataError` with every problem.

    frame: cells as text (from a file) or as any type (from a frame); it is not changed. notes: what was guessed so
    far; habits: what is known about how the table writes its numbers.
    """
    known, problems = recognise(frame.columns, roles)
    headed = named_effect(frame.columns, known)
    known |= {"effect": headed[0]} if headed else {}
    done = read_columns(frame, known, rows, habits or Habits())
    if headed:
        filled = np.isfinite(np.asarray(done.values["effect"], dtype=float))
        done.values["measure"] = [headed[1] if ok else "" for ok in filled]
        notes = (*notes, f"column '{headed[0]}': read as printed effects of the measure {headed[1]}")
    for role in done.values:  # a cell such as `0.50 (0.20 to 0.80)` brings roles that have no column of their own
        if role not in known:
            known[role] = role if role not in frame.columns else f"{role} (from its cell)"
    known = {role: known[role] for role in ROLES if role in known}
    problems = [*(problems or _structure(frame, known)), *_misread(done, known, roles or {})]
    told = (*notes, *done.guesses.notes(), *_apart(frame, known, done.values, rows))
    told += _sums(done.values.get("study", []), rows)
    table = _with_values(frame, known, done)
    trials = Trials(table, known, rows, replace(source, roles=known, notes=told), told)
    problems += contradictions(trials)
    if problems:
        raise DataError(source.name, problems)
    return trials


# Short names of columns that people give to other things as well: what each is read as.
READ_AS = {"t": "a t statistic", "time": "person-time", "d": "Cohen's d", "p": "a P value", "r": "a correlation"}


def _misread(done: ReadColumns, known: Mapping[str, str], given: Mapping[str, str]) -> list[Problem]:
    """Return the problems of cells; those of words below a short name that made them numbers become one."""
    found: dict[str, list[Problem]] = {}
    for problem in done.problems:
        found.setdefault(problem.column or "", []).append(problem)
    for role in READ_AS.keys() & known.keys() - given.keys():
        listed = found.get(known[role], [])
        words = all(not re.search("[0-9]", problem.value or "0") for problem in listed)
        if listed and words and np.isnan(done.values[role]).all():
            rule = f"its name makes the column '{role}', {READ_AS[role]}, and none of its cells is a number"
            fix = "Rename it if it holds something else, or write plain numbers"
            found[known[role]] = [Problem(rule, fix, known[role], listed[0].row, listed[0].value)]
    return [problem for listed in found.values() for problem in listed]


def _with_values(frame: pd.DataFrame, known: Mapping[str, str], done: ReadColumns) -> pd.DataFrame:
    """Return a copy of a table with the values of its roles in place of their cells, where these were others."""
    last = {column: role for role, column in known.items()}
    values = {column: done.values[role] for column, role in last.items()}
    new = {column: found for column, found in values.items() if not _stands(column, found, done, last[column])}
    return frame.assign(**new) if new else frame.copy()


def _stands(column: str, values: Any, done: ReadColumns, role: str) -> bool:
    """Tell whether a column holds the values of a role already, in the type that a table would give them."""
    cells = done.cells.get(column)
    if cells is None or not len(cells):
        return False
    if ROLES[role].kind == "number":
        return cells.dtype == np.float64 and np.array_equal(cells.to_numpy(), values, equal_nan=True)
    return values is done.plain.get(role) and cells.dtype == _text_type()


@cache
def _text_type() -> object:
    """Return the type of a column that is made of texts: it depends on pandas and on what is installed beside it."""
    return pd.Series(["text"]).dtype


def _apart(
    frame: pd.DataFrame, known: Mapping[str, str], values: dict[str, Any], rows: tuple[str, ...]
) -> tuple[str, ...]:
    """Keep the analyses of a Cochrane data package apart: outcomes of one name in several analyses get their number.

    Rows that count for the total or for a subgroup only (`Applicability`) stay, and are told, because a study may
    stand in both; so are rows whose printed effect rests on O-E.
    """
    if known.get("outcome") is None or normal_name(known["outcome"]) != "analysis_name":
        return ()
    columns = {normal_name(column): column for column in frame.columns}
    notes: list[str] = []
    names: list[str] = values["outcome"]
    parts = [frame[columns[part]] for part in ("analysis_group", "analysis_number") if part in columns]
    numbers = [".".join(map(text_of, key)) for key in zip(*parts, strict=True)] if parts else []
    several: dict[str, dict[str, str]] = {}
    for name, number, row in zip(names, numbers, rows, strict=False):
        several.setdefault(name, {}).setdefault(number, row)
    shared = {name: found for name, found in several.items() if len(found) > 1}
    if shared:
        pairs = zip(names, numbers, strict=True)
        values["outcome"] = [f"{name} ({number})" if name in shared else name for name, number in pairs]
        notes += [
            f"outcome {name!r} names {len(found)} analyses, which are kept apart by their numbers: "
            + ", ".join(f"{number} from {row} on" for number, row in found.items())
            for name, found in shared.items()
        ]
    return (*notes, *_of_a_package(frame, columns, rows))


def _of_a_package(frame: pd.DataFrame, columns: Mapping[str, str], rows: tuple[str, ...]) -> Iterator[str]:
    """Tell what else of a data package changes its effects: rows of different use, and O-E with its variance."""
    kinds = list(dict.fromkeys(map(text_of, frame[columns["applicability"]]))) if "applicability" in columns else []
    if len(kinds) > 1:
        listed = ", ".join(map(repr, kinds))
        yield (
            f"column '{columns['applicability']}' marks rows of different use ({listed}); "
            "a study may stand in several: keep those of one analysis"
        )
    if {"o_e", "variance"} <= columns.keys():
        cells = zip(rows, map(text_of, frame[columns["o_e"]]), map(text_of, frame[columns["variance"]]), strict=True)
        found = [row for row, observed, variance in cells if observed and variance]
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            yield (
                f"column '{columns['o_e']}' is not used ({found[0]}{more}): the printed effects of these rows rest on "
                "observed minus expected events, and effects computed from their counts differ from them"
            )


_SUM = re.compile(r"(?:sub-?)?totals?\b.*|overall(?: effect)?|pooled\b.*|summary(?: effect)?", re.IGNORECASE)
_SUM_BEGINS = frozenset({"su", "to", "ov", "po"})  # which most labels do not
_DATE = re.compile(
    r"[0-9]{1,2}-(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)-[0-9]{2}",
    re.IGNORECASE,
)


def _sums(labels: Sequence[str], rows: tuple[str, ...]) -> tuple[str, ...]:
    """Tell labels that look like the sum of the rows above, or like a date that a spreadsheet made of a label."""
    told: dict[str, str] = {}
    for label in set(labels):
        if label[:2].casefold() in _SUM_BEGINS and _SUM.fullmatch(label):
            told[label] = "reads like a sum of other rows; take the row out if it is one"
        elif "-" in label and _DATE.fullmatch(label):
            told[label] = "looks like a date that a spreadsheet made of another label"
    if not told:
        return ()
    pairs = zip(labels, rows, strict=False)
    return tuple(f"{row}: the label {label!r} {told[label]}" for label, row in pairs if label in told)


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
    if not any(known.keys() >= set(route) for route in _routes(known)):
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


def _routes(known: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Return the sets of roles that lead to an effect: ready-made, or the raw numbers of any measure."""
    yield from ROUTE_ROLES
    yield from DERIVED_ROUTES
    means = set(ROUTE_ROLES[-2])
    yield from (roles for key in MEASURES if (roles := raw_roles(key)) and not set(roles) < means)
    if {"nonevents_1", "nonevents_2"} <= known.keys():
        yield ("events_1", "nonevents_1", "events_2", "nonevents_2")


def contradictions(trials: Trials) -> list[Problem]:
    """Check cells against each other within each row: limits, counts, correlations, order of quartiles."""
    arms = ("_1", "_2", "")
    return [
        *_check_intervals(trials),
        *(problem for arm in arms for problem in _check_counts(trials, arm)),
        *(problem for role in CORRELATIONS for problem in _check_correlation(trials, role)),
        *(problem for arm in arms for problem in _check_order(trials, [f"{role}{arm}" for role in FIVE])),
        *(problem for arm in arms[:2] for problem in _check_mean(trials, arm)),
    ]


def _check_order(trials: Trials, roles: list[str]) -> list[Problem]:
    """Check that smallest value, quartiles, median and largest value are in order."""
    problems: list[Problem] = []
    known = [role for role in roles if role in trials.roles]
    if len(known) < 2:
        return []
    before = np.full(len(trials), -np.inf)
    for role in known:
        values = trials.numbers(role)
        problems += _report(
            trials,
            values < before,
            role,
            lambda i, low=before: f"it is below {low[i]:g}, which must not be larger",
            "Check whether numbers are swapped, or a width stands where a quartile should",
        )
        before = np.fmax(before, values)
    return problems


def _check_mean(trials: Trials, arm: str) -> list[Problem]:
    """Check means against the limits of their intervals."""
    if not {f"mean_ci_low{arm}", f"mean_ci_high{arm}"} & trials.roles.keys():
        return []
    mean, low, high = (trials.numbers(f"{role}{arm}") for role in ("mean", "mean_ci_low", "mean_ci_high"))
    return _report(
        trials,
        (mean < low) | (mean > high) | (low >= high),
        f"mean_ci_low{arm}",
        lambda i: f"the mean {mean[i]:g} must lie between its limits {low[i]:g} and {high[i]:g}",
        "Check the order and the signs of the limits",
    )


def _report(trials: Trials, bad: Bools, role: str, rule: Callable[[int], str], fix: str) -> list[Problem]:
    """Turn the rows where something is wrong with a role into problems."""
    column, values = trials.roles.get(role, role), trials.numbers(role)
    return [
        Problem(rule(i), fix, column, trials.rows[i], f"{values[i]:g}") for i in (int(j) for j in np.flatnonzero(bad))
    ]


def _check_intervals(trials: Trials) -> list[Problem]:
    """Check printed effects against their intervals."""
    if not {"ci_low", "ci_high"} & trials.roles.keys():
        return []
    low, high, effect = (trials.numbers(role) for role in ("ci_low", "ci_high", "effect"))
    outside = (low < high) & ((effect < low) | (effect > high))
    ratio = trials.names(*RATIOS)
    half = ~np.isnan(effect) & (np.isnan(low) != np.isnan(high)) & ~ratio & np.isnan(trials.numbers("se"))
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
            "Give both limits, or blank both and give a standard error; a ratio needs one only if its measure is named",
        ),
    ]


def _check_correlation(trials: Trials, role: str) -> list[Problem]:
    """Check that a correlation is one."""
    if role not in trials.roles:
        return []
    values = trials.numbers(role)
    fix = "Check the cell; a percentage or a slope is not a correlation"
    return _report(trials, np.abs(values) > 1, role, lambda _: "a correlation lies between -1 and 1", fix)


def _check_counts(trials: Trials, arm: str) -> list[Problem]:
    """Check the counts of an arm ("_1", "_2") or of a single group ("") against its size."""
    if not {f"events{arm}", f"n{arm}"} <= trials.roles.keys():
        return []
    events, n = trials.numbers(f"events{arm}"), trials.numbers(f"n{arm}")
    total = events + trials.numbers(f"nonevents{arm}")
    noun = "arm" if arm else "group"
    return [
        *_report(
            trials,
            events > n,
            f"events{arm}",
            lambda i: f"more events than the {n[i]:g} people of the {noun}",
            "Check whether the columns are swapped",
        ),
        *_report(
            trials,
            ~np.isnan(total + n) & (total != n),
            f"n{arm}",
            lambda i: f"events and non-events of the {noun} add up to {total[i]:g}",
            "Correct the one that is wrong",
        ),
    ]
