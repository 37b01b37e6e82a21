"""What people decided about findings: accepted, corrected or left out, each with a reason and a name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Literal, cast, get_args

from metaback.checks.findings import Change, Finding
from metaback.data.columns import broken
from metaback.data.roles import ROLES
from metaback.data.trials import Trials
from metaback.errors import OptionError, suggestion

Values = Mapping[str, float | Mapping[str, float]]
Action = Literal["accept", "correct", "exclude"]
TYPED = 9  # characters up to which a number is taken for one that a person typed
ACTIONS: tuple[Action, ...] = get_args(Action)
DONE: Mapping[Action, str] = {"accept": "accepted", "correct": "corrected", "exclude": "left out"}


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about one finding.

    finding: its identifier, `se-as-sd-1f03ab`, or the key of a rule for all its findings. action: "accept" leaves the
    table as it is, "correct" changes cells, "exclude" keeps the rows in the table and takes them out of the pool.
    reason, by: why, and who decided. values: for "correct": the right numbers by role (`{"sd_1": 5.4}`) where a finding
    is about one row, or by row and role (`{"row 8": {"n_2": 8}, "row 9": {"n_2": 7}}`); empty takes the first values
    that the finding proposes. rows: for "exclude": which rows of the finding (`("row 9",)`); empty for all of them. A
    row is named as in messages, by its number, or by its study where the finding has one row of it.
    """

    finding: str
    action: Action
    reason: str
    by: str
    values: Values = field(default_factory=dict[str, float])
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """What decisions do to a table: cells that change, and rows (by place) that stay out, each with its words."""

    changes: tuple[Change, ...] = ()
    corrected: Mapping[int, str] = field(default_factory=dict[int, str])
    excluded: Mapping[int, str] = field(default_factory=dict[int, str])


def read_decisions(given: Iterable[Decision | Mapping[str, Any]] | None) -> tuple[Decision, ...]:
    """Return decisions from records or from mappings with the same words (a plan file, a notebook).

    Raises `OptionError` with everything that is wrong in all of them at once.

    >>> said = {"finding": "several-rows", "action": "accept", "reason": "each has its own outcome", "by": "AB"}
    >>> read_decisions([said])[0].by
    'AB'
    """
    if isinstance(given, Mapping | str):
        raise OptionError("accept needs a list of decisions, each with finding, action, reason and by")
    faults: list[str] = []
    found = [_read(number, said, faults) for number, said in enumerate(given or (), 1)]
    names = [decision.finding for decision in found]
    faults += [f"finding {name!r} is decided twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if faults:
        raise OptionError("; ".join(faults))
    return tuple(found)


def _read(number: int, said: Any, faults: list[str]) -> Decision:
    """Read one decision and add what is wrong with it."""
    if isinstance(said, Decision):
        words: dict[str, Any] = {part.name: getattr(said, part.name) for part in fields(Decision)}
    elif isinstance(said, Mapping):
        words = {str(word): value for word, value in cast("Mapping[Any, Any]", said).items()}
    else:
        faults.append(
            f"decision {number}: {_shown(said)} is not a mapping such as "
            "{'finding': ..., 'action': ..., 'reason': ..., 'by': ...}"
        )
        return Decision("", "accept", "", "")
    known = [part.name for part in fields(Decision)]
    faults += [
        f"decision {number}: {word!r} is not known{suggestion(word, known)}" for word in words if word not in known
    ]
    action = words.get("action", "accept")
    if action not in ACTIONS:
        faults.append(f"decision {number}: {OptionError.unknown('action', action, ACTIONS)}")
    for word in ("finding", "reason", "by"):
        if not isinstance(words.get(word), str) or not words[word].strip():
            faults.append(f"decision {number}: {word} is missing; a decision names its finding, a reason and a person")
    values = _values(number, words.get("values") or {}, faults)
    if values and action != "correct":
        faults.append(f"decision {number}: values are given, but the action is {action!r}; write action = 'correct'")
    rows = _rows(number, words.get("rows") or (), faults)
    if rows and action != "exclude":
        faults.append(f"decision {number}: rows are named, but the action is {action!r}; they say what to exclude")
    texts = (str(words.get(word) or "").strip() for word in ("finding", "reason", "by"))
    finding, reason, by = texts
    return Decision(finding, cast("Action", action), reason, by, values, rows)


def _shown(said: Any) -> str:
    """Write a short value as it is, and name the type of anything else."""
    return repr(said) if isinstance(said, str | int | float) else f"a {type(said).__name__}"


def _values(number: int, given: Any, faults: list[str]) -> dict[str, float | Mapping[str, float]]:
    """Read the right numbers of a correction, by role or by row and role."""
    if not isinstance(given, Mapping):
        faults.append(f"decision {number}: values must be a mapping such as {{'sd_1': 5.4}}, not {given!r}")
        return {}
    found: dict[str, float | Mapping[str, float]] = {}
    for role, value in cast("Mapping[Any, Any]", given).items():
        if isinstance(value, Mapping):
            found[str(role)] = cast("dict[str, float]", _values(number, value, faults))
        elif isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            faults.append(f"decision {number}: {role} = {value!r} is not a number")
        else:
            found[str(role)] = float(value)
    return found


def _rows(number: int, given: Any, faults: list[str]) -> tuple[str, ...]:
    """Read the names of the rows that a decision leaves out."""
    if isinstance(given, str | int) or not isinstance(given, Sequence):
        faults.append(f"decision {number}: rows must be a list such as ['row 9'], not {given!r}")
        return ()
    return tuple(str(name).strip() for name in cast("Sequence[Any]", given))


def decision_for(identifier: str, finding: Finding, decisions: Sequence[Decision]) -> Decision | None:
    """Return the decision about a finding: the one that names it, else one that names its rule."""
    for wanted in (identifier, finding.rule):
        for decision in decisions:
            if decision.finding == wanted:
                return decision
    return None


def answered(trials: Trials, decided: Sequence[tuple[Finding, Decision]]) -> Answered:
    """Return what decisions do to a table.

    Raises `OptionError` where a correction has no values to take, or names a role that its rows do not have.
    """
    changes: list[Change] = []
    corrected: dict[int, list[str]] = {}
    excluded: dict[int, str] = {}
    faults = _too_wide([decision for _, decision in decided])
    for finding, decision in decided:
        if decision.action == "exclude":
            left = _left_out(trials, finding, decision, faults)
            excluded |= dict.fromkeys(left, f"left out by decision of {decision.by}: {decision.reason}")
        elif decision.action == "correct":
            made = _corrections(trials, finding, decision, faults)
            changes += made
            for place in dict.fromkeys(change.place for change in made):
                own = [_told(trials, change) for change in made if change.place == place]
                corrected.setdefault(place, []).append(
                    f"corrected by {decision.by}: {', '.join(own)} ({decision.reason})"
                )
    if faults:
        raise OptionError("; ".join(faults))
    return Answered(tuple(changes), {place: "; ".join(words) for place, words in corrected.items()}, excluded)


def _too_wide(decisions: Sequence[Decision]) -> list[str]:
    """Refuse values and rows that would be taken for several findings of a rule."""
    return [
        f"{decision.finding}: values and rows belong to one finding, and {decisions.count(decision)} are meant; name it"
        for decision in {decision.finding: decision for decision in decisions}.values()
        if (decision.values or decision.rows) and decisions.count(decision) > 1
    ]


def _told(trials: Trials, change: Change) -> str:
    """Say what a cell held and what it holds now: `sd_1 3.6 to 16.8855`."""
    before = float(trials.numbers(change.role)[change.place])
    column = trials.roles.get(change.role, change.role)
    return f"{column} {_plain(before)} to {_plain(change.value)}"


def _plain(value: float) -> str:
    """Write a number as a person would have typed it; what was computed with six digits."""
    if math.isnan(value):
        return "blank"
    typed = f"{value:.10g}"
    return typed if len(typed) <= TYPED else f"{value:.6g}"


def _left_out(trials: Trials, finding: Finding, decision: Decision, faults: list[str]) -> tuple[int, ...]:
    """Return the rows that one decision leaves out: those that it names, else all of the finding."""
    if not decision.rows:
        return finding.rows
    left: list[int] = []
    for name in decision.rows:
        found = _named(trials, finding, name)
        left += found
        if not found:
            faults.append(_no_row(trials, finding, decision, name))
    return tuple(left)


def _named(trials: Trials, finding: Finding, name: str) -> list[int]:
    """Return the rows of a finding that go by a name: `row 9`, `9`, or their study."""
    studies = trials.texts("study")
    return [i for i in finding.rows if name in {trials.rows[i], trials.rows[i].split(" ")[-1], studies[i]}]


def _no_row(trials: Trials, finding: Finding, decision: Decision, name: str) -> str:
    """Say that a finding has no row of a name, and which it has."""
    known = ", ".join(trials.rows[i] for i in finding.rows)
    return f"{decision.finding}: the finding has no row {name!r}; its rows are: {known}"


def _corrections(trials: Trials, finding: Finding, decision: Decision, faults: list[str]) -> tuple[Change, ...]:
    """Return the cells that one correction changes."""
    if not decision.values:
        proposed = next((proposal.changes for proposal in finding.proposals if proposal.changes), ())
        if not proposed:
            faults.append(f"{decision.finding}: the finding proposes no numbers; give values = {{...}}")
        return proposed
    changes: list[Change] = []
    for place, values in _by_row(trials, finding, decision, faults).items():
        for role, value in values.items():
            fault = _wrong(trials, role, value)
            if fault:
                faults.append(f"{decision.finding}: {fault}")
            else:
                changes.append(Change(place, role, value))
    return tuple(changes)


def _by_row(trials: Trials, finding: Finding, decision: Decision, faults: list[str]) -> dict[int, Mapping[str, float]]:
    """Sort the values of a correction by the place of their row."""
    flat = {role: value for role, value in decision.values.items() if not isinstance(value, Mapping)}
    found: dict[int, Mapping[str, float]] = {}
    for name, values in decision.values.items():
        if not isinstance(values, Mapping):
            continue
        rows = _named(trials, finding, name)
        if len(rows) == 1:
            found[rows[0]] = {**found.get(rows[0], {}), **values}
        elif rows:
            faults.append(f"{decision.finding}: {name!r} is the name of {len(rows)} rows; name each as in 'row 9'")
        else:
            faults.append(_no_row(trials, finding, decision, name))
    if flat:
        places = {cell.place for cell in finding.cells} or set(finding.rows)
        if len(places) == 1:
            found[min(places)] = {**found.get(min(places), {}), **flat}
        else:
            names = [trials.rows[i] for i in sorted(places)] or ["row 9"]
            faults.append(
                f"{decision.finding}: values fit one row, and the finding is about {len(finding.rows)}; give them by "
                f"row, as in values = {{'{names[0]}': {{'{next(iter(flat))}': ...}}}}"
            )
    return found


def _wrong(trials: Trials, role: str, value: float) -> str:
    """Say what is wrong with a number that a correction gives to a role; "" for nothing."""
    if role not in trials.roles:
        return f"the table has no {role!r}{suggestion(role, trials.roles)}"
    if ROLES[role].kind != "number":
        return f"{role!r} holds words, and a correction gives numbers; change the table"
    rule = broken(ROLES[role], value)
    return f"{role} = {value:g}: {rule[0]}" if rule else ""
