"""What people decided about findings: accepted, corrected or left out, each with a reason and a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast, get_args

from metaback.checks.findings import Change, Finding
from metaback.data.trials import Trials
from metaback.errors import OptionError, suggestion

Action = Literal["accept", "correct", "exclude"]
ACTIONS: tuple[Action, ...] = get_args(Action)
DONE: Mapping[Action, str] = {"accept": "accepted", "correct": "corrected", "exclude": "left out"}


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about one finding.

    finding: its identifier, `se-as-sd-1f03ab`, or the key of a rule for all its findings. action: "accept" leaves the
    table as it is, "correct" changes cells, "exclude" keeps the rows in the table and takes them out of the pool.
    reason, by: why, and who decided. values: for "correct": the right numbers by role (`{"sd_1": 5.4}`) where a finding
    is about one row, or by study and role; empty takes the first values that the finding proposes.
    """

    finding: str
    action: Action
    reason: str
    by: str
    values: Mapping[str, float] = field(default_factory=dict[str, float])


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
            f"decision {number}: {said!r} is not a mapping such as {{'finding': ..., 'reason': ..., 'by': ...}}"
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
    texts = (str(words.get(word) or "").strip() for word in ("finding", "reason", "by"))
    finding, reason, by = texts
    return Decision(finding, cast("Action", action), reason, by, values)


def _values(number: int, given: Any, faults: list[str]) -> dict[str, float]:
    """Read the right numbers of a correction."""
    if not isinstance(given, Mapping):
        faults.append(f"decision {number}: values must be a mapping such as {{'sd_1': 5.4}}, not {given!r}")
        return {}
    found: dict[str, float] = {}
    for role, value in cast("Mapping[Any, Any]", given).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            faults.append(f"decision {number}: {role} = {value!r} is not a number")
        else:
            found[str(role)] = float(value)
    return found


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
    faults: list[str] = []
    for finding, decision in decided:
        if decision.action == "exclude":
            excluded |= dict.fromkeys(finding.rows, f"left out by decision of {decision.by}: {decision.reason}")
        elif decision.action == "correct":
            for change in _corrections(trials, finding, decision, faults):
                changes.append(change)
                before = float(trials.numbers(change.role)[change.place])
                column = trials.roles.get(change.role, change.role)
                words = f"{column} {before:g} corrected to {change.value:g} by {decision.by}: {decision.reason}"
                corrected.setdefault(change.place, []).append(words)
    if faults:
        raise OptionError("; ".join(faults))
    return Answered(tuple(changes), {place: "; ".join(words) for place, words in corrected.items()}, excluded)


def _corrections(trials: Trials, finding: Finding, decision: Decision, faults: list[str]) -> tuple[Change, ...]:
    """Return the cells that one correction changes."""
    if not decision.values:
        proposed = next((proposal.changes for proposal in finding.proposals if proposal.changes), ())
        if not proposed:
            faults.append(f"{decision.finding}: the finding proposes no numbers; give values = {{...}}")
        return proposed
    places = {cell.place for cell in finding.cells} or set(finding.rows)
    if len(places) != 1:
        faults.append(f"{decision.finding}: values fit one row, and the finding is about {len(finding.rows)}")
        return ()
    place = min(places)
    unknown = [role for role in decision.values if role not in trials.roles]
    hints = ", ".join(f"{role!r}{suggestion(role, trials.roles)}" for role in unknown)
    if unknown:
        faults.append(f"{decision.finding}: the table has no {hints}")
    return tuple(Change(place, role, value) for role, value in decision.values.items() if role not in unknown)
