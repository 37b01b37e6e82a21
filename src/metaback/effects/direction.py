"""Which way effects point: rows that count the other way round are turned, exactly or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metaback.data.trials import Trials
from metaback.effects.instruments import Instrument, of_rows
from metaback.effects.routes import Bools, Draft, Floats
from metaback.errors import Problem
from metaback.stats.measures import about, raw_roles
from metaback.stats.measures.family import Measure

LISTED = 12  # rows that a note names
FLAG = "higher_is_better"


@dataclass(frozen=True, slots=True)
class Direction:
    """The direction of a pool and the rows that have to be turned to point that way.

    higher_is_better: None where nobody says; turned: (k,); problems and notes: what is wrong, and what to tell.
    """

    higher_is_better: bool | None
    turned: Bools
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Return `higher is better` or `lower is better`."""
        return "higher is better" if self.higher_is_better else "lower is better"


def decide(trials: Trials, instruments: Mapping[str, Instrument], wanted: bool | None) -> Direction:
    """Return the direction of the pool: the one wanted, else that of most rows, on a tie that of the first that says.

    A row says it in its own cell or through its instrument. Where rows point both ways each must say it; where all
    that say it agree, the others are taken to follow, which is told.
    """
    if FLAG not in trials.roles and not instruments:
        return Direction(wanted, np.zeros(len(trials), dtype=bool))
    flags, problems = _flags(trials, instruments)
    known = [flag for flag in flags if flag is not None]
    if not known:
        return Direction(wanted, np.zeros(len(trials), dtype=bool), tuple(problems))
    ups = sum(known)
    usual = known[0] if 2 * ups == len(known) else 2 * ups > len(known)
    target = usual if wanted is None else wanted
    blank = [row for row, flag in zip(trials.rows, flags, strict=True) if flag is None]
    notes: tuple[str, ...] = ()
    if blank and len(set(known)) == 2:
        rule = "does not say whether higher is better, and the other rows point both ways"
        problems += [Problem(rule, "Write true or false", trials.roles.get(FLAG, FLAG), row, "") for row in blank]
    elif blank:
        taken = "higher" if known[0] else "lower"
        notes = (f"Whether higher is better is not said in {listed(blank)}; {taken} is better in all other rows.",)
        flags = [known[0] if flag is None else flag for flag in flags]
    turned = np.array([flag is not None and flag != target for flag in flags], dtype=bool)
    return Direction(target, turned, tuple(problems), notes)


def _flags(trials: Trials, instruments: Mapping[str, Instrument]) -> tuple[list[bool | None], list[Problem]]:
    """Return what each row says, in its cell or through its instrument, and where the two disagree."""
    cells, rows = trials.flags(FLAG), of_rows(trials, instruments)
    flags = [row.higher_is_better if cell is None else cell for cell, row in zip(cells, rows, strict=True)]
    problems: list[Problem] = []
    for i, (cell, row) in enumerate(zip(cells, rows, strict=True)):
        if cell is not None and row.higher_is_better is not None and cell != row.higher_is_better:
            rule = f"the instrument {trials.texts('instrument')[i]!r} was described the other way round"
            column = trials.roles[FLAG]
            problems.append(Problem(rule, "Correct the one that is wrong", column, trials.rows[i], str(cell).lower()))
    return flags, problems


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Write names with commas, the first dozen of a long list."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def reverse_counts(inputs: dict[str, Floats], key: str, turned: Bools) -> dict[str, Floats]:
    """Return the inputs with the non-events of turned rows in place of their events, where the measure asks for it."""
    if about(key).turn != "counts" or not turned.any():
        return inputs
    pairs = {"pairs_11": "pairs_22", "pairs_22": "pairs_11", "pairs_12": "pairs_21", "pairs_21": "pairs_12"}
    out = dict(inputs)
    for arm in ("_1", "_2"):
        if {f"events{arm}", f"n{arm}"} <= inputs.keys():
            events = inputs[f"events{arm}"]
            out[f"events{arm}"] = np.where(turned, inputs[f"n{arm}"] - events, events)
    for one, other in pairs.items():
        if {one, other} <= inputs.keys():
            out[one] = np.where(turned, inputs[other], inputs[one])
    return out


def turn(draft: Draft, direction: Direction, computed: Bools, key: str, trials: Trials) -> list[str]:
    """Turn the effects that point the other way, name them in their corrections, and return the notes to tell.

    A change of sign and 1 - y leave the variance as it is. Effects `computed` from reversed counts are turned already.
    What does not follow from the effect itself is a problem: a ready-made risk ratio of events says nothing of the
    risk ratio of non-events.
    """
    rows = direction.turned & ~draft.open()
    way = about(key).turn
    if not rows.any():
        return list(direction.notes)
    if way == "same":
        note = f"Rows point in both directions, which makes no difference to {key}: no effect was turned."
        return [*direction.notes, note]
    lost = rows if way == "none" else rows & ~computed if way == "counts" else np.zeros_like(rows)
    if lost.any():
        draft.problems.append(_cannot(trials, lost, direction, about(key)))
        return list(direction.notes)
    if way == "sign":
        draft.yi[rows] = 0.0 - draft.yi[rows]
    elif way == "complement":
        draft.yi[rows] = 1.0 - draft.yi[rows]
    done = "computed from non-events" if way == "counts" else "turned"
    for i in np.flatnonzero(rows).tolist():
        draft.correct(i, f"{done}, so that {direction.words}")
    labels = trials.texts("study")
    names = [f"{labels[i]} ({trials.rows[i]})" for i in np.flatnonzero(rows)]
    return [*direction.notes, f"Effects of {listed(names)} were turned so that {direction.words} throughout."]


def _cannot(trials: Trials, rows: Bools, direction: Direction, facts: Measure) -> Problem:
    """Say which rows cannot be turned, why, and what can be done."""
    names = [trials.rows[i] for i in np.flatnonzero(rows)]
    rule = f"{listed(names)} would have to be turned so that {direction.words} throughout, but {_why(facts)}"
    return Problem(rule, _cure(facts), trials.roles.get(FLAG))


def _why(facts: Measure) -> str:
    """Say why a measure cannot be turned."""
    roles = set(raw_roles(facts.key))
    if facts.turn == "counts":
        return f"a ready-made {facts.key} of events does not tell that of non-events"
    if facts.key == "GEN":
        return "what kind of effect they bring is not known"
    if facts.key in {"HR", "HD"}:
        return "the hazard of an event does not tell that of its absence"
    if "time_1" in roles or "time" in roles:
        return f"a rate of non-events does not exist, so {facts.key} has no other side"
    if {"events", "mean", "sd"} & roles:
        return f"{facts.key} is a level of one group, not a comparison that could change its sign"
    return f"{facts.key} depends on where the scale starts: it does not follow from that of the reversed scale"


def _cure(facts: Measure) -> str:
    """Say what can be done instead."""
    if facts.turn == "counts":
        return "Give the counts of these rows, take OR or RD, or pool one direction at a time"
    if facts.key == "GEN":
        return "Turn them in the table, name the measure, or pool one direction at a time"
    if facts.kind in {"means", "paired means", "pre-post"}:
        scores = "give the scores reversed (low + high - score)"
        return f"Pool one direction at a time, take a measure of differences, or {scores}"
    return "Pool one direction at a time"
