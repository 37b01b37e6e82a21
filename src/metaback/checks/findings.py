"""What a rule of the audit finds in a table: where, with which numbers, and what the table would be if it is right."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from metaback.data.trials import Trials

Severity = Literal["error", "warning", "information"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "information")  # worst first
ABOUT = frozenset({"year", "weeks"})  # numbers about a row, which no effect is made of
DIGITS = 6  # hexadecimal digits of the mark that ends an identifier


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table: the place of its row (0 for the first) and the role of its column."""

    place: int
    role: str


@dataclass(frozen=True, slots=True)
class Change:
    """The number that a cell would hold if a suspicion is right; nan empties the cell."""

    place: int
    role: str
    value: float


@dataclass(frozen=True, slots=True)
class Joint:
    """Rows of one study that would enter as one effect, because they share people.

    places: their rows; covariance: (m, m) sampling covariance of their effects on the analysis scale, as nested tuples,
    with the variances of the pool on its diagonal.
    """

    places: tuple[int, ...]
    covariance: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One way to mend the table, named in words: cells to change, rows to leave out, rows to take together."""

    name: str
    changes: tuple[Change, ...] = ()
    without: tuple[int, ...] = ()
    joint: tuple[Joint, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One audit finding.

    rule: key of the rule; severity: of this finding, which may be milder than the rule's worst.
    rows: places of the rows it is about (0 for the first), in the order of the table; cells: the offending cells.
    says: what was found, with its numbers, in one or two sentences that name no rule; evidence: the same numbers by
    name, for programs. fix: what to do about it. proposals: the table as it would be if the suspicion is right.
    whole: it is about the plan or the whole set, so that leaving its rows out makes no sense.
    """

    rule: str
    severity: Severity
    rows: tuple[int, ...]
    says: str
    fix: str
    evidence: Mapping[str, float | str] = field(default_factory=dict[str, float | str])
    cells: tuple[Cell, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule found: its findings, how many rows it could examine, and why it could not examine others."""

    findings: tuple[Finding, ...] = ()
    examined: int = 0
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one rule could see of a table; `passed_over` says what it could not judge, and why."""

    rule: str
    title: str
    examined: int
    findings: int
    passed_over: tuple[str, ...] = ()

    @property
    def ran(self) -> bool:
        """Tell whether the rule could examine anything."""
        return self.examined > 0


def identifiers(findings: Sequence[Finding], trials: Trials) -> tuple[str, ...]:
    """Return the identifiers that decisions name: the rule and a mark of the numbers that the finding rests on.

    The mark is made of the studies, the outcomes and the offending cells (where none is named, all numbers of the rows
    that effects are made of, so that a blank column more changes nothing). So a decision holds for the numbers it was
    made on: a changed cell makes a new finding, and the place of a row in the file does not matter. Findings that this
    does not tell apart (the same cells of one study, in two comparisons) are told apart by everything in their rows.
    """
    columns: dict[str, Sequence[float | str]] = {}
    numbers = _numbers(trials)
    studies, outcomes = trials.texts("study"), trials.texts("outcome")

    def value(cell: Cell) -> float | str:
        if cell.role not in columns:
            known = cell.role in numbers
            columns[cell.role] = trials.numbers(cell.role).tolist() if known else trials.texts(cell.role)
        return columns[cell.role][cell.place]

    def named(finding: Finding, *, all_cells: bool = False) -> str:
        own = tuple(Cell(place, role) for place in finding.rows for role in numbers if role not in ABOUT)
        cells = finding.cells or tuple(cell for cell in own if value(cell) == value(cell))  # a blank says nothing
        parts = [finding.rule, *(f"{studies[i]}|{outcomes[i]}" for i in finding.rows)]
        parts += [f"{cell.role}={value(cell)}" for cell in cells]
        if all_cells:
            parts += [f"{role}={value(Cell(place, role))}" for place in finding.rows for role in trials.roles]
        if finding.whole:
            parts += [str(found) for found in finding.evidence.values() if isinstance(found, str)]
        mark = hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:DIGITS]
        return f"{finding.rule}-{mark}"

    names = [named(finding) for finding in findings]
    often = Counter(names)
    return tuple(
        named(finding, all_cells=True) if often[name] > 1 else name
        for finding, name in zip(findings, names, strict=True)
    )


def _numbers(trials: Trials) -> list[str]:
    """Return the roles of the table that hold numbers."""
    kinds = trials.frame.dtypes
    return [role for role, column in trials.roles.items() if kinds[column].kind in "fiu"]
