"""Long tables (one row per study and arm) made into contrasts (one row per pair of arms), and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from metaback.data.columns import Habits, read_columns, text_of
from metaback.data.read import TableSource, make_habits, read_raw, read_trials
from metaback.data.roles import ROLES, normal_name, recognise
from metaback.data.trials import Trials
from metaback.errors import DataError, OptionError, Problem, suggestion

ARM_ROLES = tuple(  # what is known of one arm, by the name without the arm's mark
    role[:-2] for role in ROLES if role.endswith("_1") and f"{role[:-2]}_2" in ROLES and ROLES[role].kind == "number"
)
ROUTES = (
    *(("n", role) for role in ("mean", "median", "events", "percent", "mean_change", "mean_pre", "mean_post")),
    *(("events", role) for role in ("nonevents", "time")),
)
TREATMENTS = frozenset({"treatment", "arm", "group", "trt", "treat", "intervention", "arm_name", "treatment_name"})
_BY_ARM = frozenset({*ARM_ROLES, "treatment", "arm"})
KEYS = ("study", "outcome", "instrument", "weeks", "stratum")  # rows that agree in these are arms of one comparison
SHARED = "shared_arm"
BETWEEN = "; "


@dataclass(frozen=True)
class _Long:
    """A checked long table: text and number columns by role, other columns as they are."""

    name: str
    frame: pd.DataFrame
    rows: tuple[str, ...]
    keys: tuple[str, ...]
    numbers: tuple[str, ...]
    others: tuple[str, ...]
    notes: tuple[str, ...]


def contrasts(
    table: TableSource,
    *,
    reference: str | None = None,
    roles: Mapping[str, str] | None = None,
    sheet: str | int | None = None,
    missing: Iterable[object] | None = None,
    decimal: str | None = None,
) -> pd.DataFrame:
    """Turn a long table (one row per study and arm) into one row per pair of arms of the same trial.

    table: whatever `read_trials` reads, with columns study, treatment and n, mean, sd or events, n. Rows that agree in
    study, outcome, instrument, weeks and stratum are arms of one comparison. reference: the treatment against which
    the others are compared (it becomes `treatment_2`); None makes all pairs, in the order in which treatments appear.
    roles, sheet, missing, decimal: as in `read_trials`, with the role "treatment" beside the others.

    The result has the columns that `read_trials` and `effect_sizes` take, and `shared_arm`: the arms of a row that
    stand in other rows of the same trial too ("" in trials of two arms), without which a pool would count people
    twice. Other columns are kept: once where both arms agree, else with _1 and _2. Its index names the source rows.

    Raises `DataError` with every problem at once: arms that stand twice or alone, trials without the reference.

    >>> long = pd.DataFrame({"study": ["A"] * 3, "treatment": ["x", "y", "z"], "events": [1, 2, 3], "n": [9, 9, 9]})
    >>> contrasts(long, reference="z")[["treatment_1", "treatment_2", "events_1", "shared_arm"]].values.tolist()
    [['x', 'z', 1.0, 'z'], ['y', 'z', 2.0, 'z']]
    """
    long = _read_long(table, roles, sheet, make_habits(missing, decimal))
    order = list(dict.fromkeys(long.frame["treatment"]))
    if reference is not None and reference not in order:
        raise OptionError.unknown("reference", reference, order)
    groups = _groups(long, reference)
    pairs = [pair for group in groups for pair in _pairs(long, group, order, reference)]
    return _wide(long, pairs)


def arms(table: Trials | TableSource) -> pd.DataFrame:
    """Turn contrast rows back into a long table: one row per study and arm.

    table: checked trials, or whatever `read_trials` reads. An arm that stands in several rows of one trial is written
    once; its numbers must agree, else a `DataError` names the rows.

    >>> long = pd.DataFrame({"study": ["A"] * 3, "treatment": ["x", "y", "z"], "events": [1, 2, 3], "n": [9, 9, 9]})
    >>> arms(contrasts(long))[["study", "treatment", "n", "events"]].values.tolist()
    [['A', 'x', 9.0, 1.0], ['A', 'y', 9.0, 2.0], ['A', 'z', 9.0, 3.0]]
    """
    trials = table if isinstance(table, Trials) else read_trials(table)
    _named_arms(trials)
    known = [role for role in ARM_ROLES if {f"{role}_1", f"{role}_2"} & trials.roles.keys()]
    found: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
    problems: list[Problem] = []
    for i, row in enumerate(trials.rows):
        for arm in _arms_of(trials, i, known):
            key = tuple(_key(arm.get(name)) for name in (*KEYS, "treatment"))
            first = found.setdefault(key, (row, arm))
            problems += _disagreements(trials, first, (row, arm), known)
    if problems:
        raise DataError(trials.source.name, problems)
    made = pd.DataFrame([arm for _, arm in found.values()], index=pd.RangeIndex(len(found)))
    made.attrs["notes"] = trials.notes
    return made


# ---------------------------------------------------------------- from long to wide


def _read_long(source: TableSource, roles: Mapping[str, str] | None, sheet: str | int | None, habits: Habits) -> _Long:
    """Read and check a long table."""
    given = dict(roles or {})
    named = given.pop("treatment", None)
    raw, kept = read_raw(source, given, sheet)
    columns = [str(column) for column in raw.frame.columns]
    treatment, problems = _treatment(columns, named)
    wanted = {role: column for role, column in given.items() if role in ROLES or not column}
    found, wrong = recognise([column for column in columns if column != treatment], wanted)
    unknown = [role for role in given if role not in ROLES]
    wrong += [
        Problem(f"'{role}' is not a role{suggestion(role, ROLES)}", f"Use one of: {', '.join(ROLES)}")
        for role in unknown
    ]
    known = {role: column for role, column in found.items() if role in KEYS or role in ARM_ROLES}
    told = Habits(habits.missing, habits.decimal, raw.delimiter)
    done = read_columns(raw.frame, known, raw.rows, told)
    named = {stem for column in columns if (stem := normal_name(column)) in ARM_ROLES}
    problems += wrong or _structure(done.values.keys() | named, columns)
    problems += done.problems
    data: dict[str, Any] = dict(done.values)
    if treatment is not None:
        data["treatment"] = [text_of(cell) for cell in raw.frame[treatment]]
        problems += [
            Problem("an arm needs the name of its treatment", "Name it", treatment, row, "")
            for name, row in zip(data["treatment"], raw.rows, strict=True)
            if not name
        ]
    if not len(raw.frame):
        problems.append(Problem("the table has no rows", "Add one row per study and arm"))
    if problems:
        raise DataError(kept.name, problems)
    others = [column for column in columns if column not in {*known.values(), treatment}]
    frame = pd.DataFrame({**data, **{column: raw.frame[column].tolist() for column in others if column not in data}})
    keys = tuple(key for key in KEYS if key in data)
    numbers = tuple(role for role in ARM_ROLES if role in data)
    notes = (*raw.notes, *done.guesses.notes())
    return _Long(kept.name, frame, raw.rows, keys, numbers, tuple(c for c in others if c not in data), notes)


def _treatment(columns: Sequence[str], named: str | None) -> tuple[str | None, list[Problem]]:
    """Find the column of the treatments."""
    if named is not None:
        if named in columns:
            return named, []
        fix = f"Use one of the columns: {', '.join(columns)}"
        return None, [Problem(f"there is no column '{named}' for role 'treatment'{suggestion(named, columns)}", fix)]
    found = [column for column in columns if normal_name(column) in TREATMENTS]
    exact = [column for column in found if normal_name(column) == "treatment"]
    best = exact or found
    if len(best) == 1:
        return best[0], []
    if best:
        listed = ", ".join(f"'{column}'" for column in best)
        fix = f"Say which one it is: roles={{'treatment': {best[0]!r}}}"
        return None, [Problem(f"columns {listed} could all be 'treatment'", fix)]
    fix = f"Add a column 'treatment', or say roles={{'treatment': ...}}; the columns are: {', '.join(columns)}"
    return None, [Problem("no column names the treatment of each arm", fix)]


def _structure(known: AbstractSet[str], columns: Sequence[str]) -> list[Problem]:
    """Check that a long table has studies and numbers."""
    listed = ", ".join(columns)
    problems: list[Problem] = []
    if "study" not in known:
        fix = f"Add a column 'study', or say roles={{'study': ...}}; the columns are: {listed}"
        problems.append(Problem("no column names the studies", fix))
    if not any(set(route) <= known for route in ROUTES):
        fix = f"Add n, mean and sd, or events and n, per arm; the columns are: {listed}"
        problems.append(Problem("no column of means or counts per arm was recognised", fix))
    return problems


def _key(value: Any) -> Any:
    """Make blank values equal to each other."""
    return None if value is None or (isinstance(value, float) and np.isnan(value)) else value


def _groups(long: _Long, reference: str | None) -> list[list[int]]:
    """Gather the rows of each comparison; every one must have two arms or more, and the reference."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for i, values in enumerate(zip(*(long.frame[key] for key in long.keys), strict=True)):
        found.setdefault(tuple(map(_key, values)), []).append(i)
    names = long.frame["treatment"].tolist()
    problems: list[Problem] = []
    for key, group in found.items():
        row, treated = long.rows[group[0]], [names[i] for i in group]
        if len(group) < 2:
            rule = "the study has only this arm" if len(long.keys) == 1 else "the comparison has only this arm"
            fix = "Add the other arm; rows of one comparison agree in " + ", ".join(long.keys)
            problems.append(Problem(rule, fix, "study", row, str(key[0])))
        elif reference is not None and reference not in treated:
            fix = "Leave the study out, or make all pairs with reference=None"
            problems.append(
                Problem(f"no arm of the study has the reference '{reference}'", fix, "study", row, str(key[0]))
            )
        first: dict[str, int] = {}
        for i in group:
            if names[i] in first:
                rule = f"the arm stands twice in this study, first in {long.rows[first[names[i]]]}"
                fix = "Join both rows, or tell the outcomes, time points or arms apart"
                problems.append(Problem(rule, fix, "treatment", long.rows[i], names[i]))
            first.setdefault(names[i], i)
    if problems:
        raise DataError(long.name, problems)
    return list(found.values())


def _pairs(
    long: _Long, group: Sequence[int], order: Sequence[str], reference: str | None
) -> Iterator[tuple[int, int, str]]:
    """Yield the pairs of one comparison with the arms that they share with other pairs of it."""
    names = {i: long.frame["treatment"].iloc[i] for i in group}
    ranked = sorted(group, key=lambda i: order.index(names[i]))
    if reference is None:
        pairs = list(combinations(ranked, 2))
    else:
        base = next(i for i in group if names[i] == reference)
        pairs = [(i, base) for i in ranked if i != base]
    for one, two in pairs:
        shared = [names[i] for i in (one, two) if sum(i in pair for pair in pairs) > 1]
        yield one, two, BETWEEN.join(shared)


def _wide(long: _Long, pairs: Sequence[tuple[int, int, str]]) -> pd.DataFrame:
    """Write the pairs as rows."""
    one, two = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    first, second = (long.frame.iloc[list(side)].reset_index(drop=True) for side in (one, two))
    columns: dict[str, Any] = {key: first[key] for key in long.keys}
    columns["treatment_1"], columns["treatment_2"] = first["treatment"], second["treatment"]
    for role in long.numbers:
        columns[f"{role}_1"], columns[f"{role}_2"] = first[role], second[role]
    for column in long.others:
        by_arm = normal_name(column) in ARM_ROLES  # a number of the arm, also where both arms happen to agree
        same = not by_arm and all(text_of(a) == text_of(b) for a, b in zip(first[column], second[column], strict=True))
        names = [column] if same else [f"{column}_1", f"{column}_2"]
        taken = [name for name in names if name in columns or (not same and name in long.others)]
        if taken:
            fix = f"Rename the column '{column}'"
            raise DataError(
                long.name, [Problem(f"column '{taken[0]}' would stand twice among the contrasts", fix, column)]
            )
        columns.update(zip(names, (first[column], second[column]), strict=False))
    columns[SHARED] = [pair[2] for pair in pairs]
    made = pd.DataFrame(columns)
    made.index = pd.Index([f"{long.rows[i]} and {long.rows[j]}" for i, j, _ in pairs], dtype=object)
    made.attrs["notes"] = long.notes
    return made


# ---------------------------------------------------------------- from wide to long


def _named_arms(trials: Trials) -> None:
    """Refuse contrasts whose arms have no names."""
    missing = [role for role in ("treatment_1", "treatment_2") if role not in trials.roles]
    if missing:
        fix = "Add the columns treatment_1 and treatment_2"
        raise DataError(trials.source.name, [Problem(f"no column names the arms: {', '.join(missing)}", fix)])
    blank = [
        Problem("an arm needs the name of its treatment", "Name it", trials.roles[role], row, "")
        for role in ("treatment_1", "treatment_2")
        for name, row in zip(trials.texts(role), trials.rows, strict=True)
        if not name
    ]
    if blank:
        raise DataError(trials.source.name, blank)


def _arms_of(trials: Trials, i: int, known: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield both arms of a row: keys, treatment, numbers, and the other columns of the row."""
    row = trials.frame.iloc[i]
    by_arm = {column for role, column in trials.roles.items() if role[:-2] in _BY_ARM and role[-2:] in {"_1", "_2"}}
    keys = {key: row[trials.roles[key]] for key in KEYS if key in trials.roles}
    spent = {*by_arm, *(trials.roles[key] for key in keys), SHARED}
    rest = {str(name): row[name] for name in trials.frame.columns if name not in spent}
    twins = {name[:-2] for name in rest if name.endswith("_1") and f"{name[:-2]}_2" in rest}
    single = {name: value for name, value in rest.items() if name[:-2] not in twins or name[-2:] not in {"_1", "_2"}}
    for arm in ("1", "2"):
        numbers = {role: row.get(trials.roles.get(f"{role}_{arm}", ""), np.nan) for role in known}
        own = {twin: rest[f"{twin}_{arm}"] for twin in sorted(twins)}
        if f"arm_{arm}" in trials.roles:
            own["arm"] = row[trials.roles[f"arm_{arm}"]]
        yield {**keys, "treatment": str(row[trials.roles[f"treatment_{arm}"]]), **numbers, **single, **own}


def _disagreements(
    trials: Trials, first: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]], known: Sequence[str]
) -> Iterator[Problem]:
    """Find numbers of one arm that differ between the rows in which it stands."""
    for role in known:
        one, two = _key(first[1][role]), _key(other[1][role])
        if one is None and two is not None:
            first[1][role] = two
        elif two is not None and one != two:
            rule = f"the arm '{other[1]['treatment']}' has {role} = {one:g} in {first[0]}"
            yield Problem(rule, "Give an arm the same numbers in every row of its trial", role, other[0], f"{two:g}")
