"""What is known about instruments: direction, range, a reference SD and the smallest difference that matters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from metaback.data.trials import Trials
from metaback.effects.routes import Bools, Draft, Floats, empty_draft, from_analysis_scale, from_printed
from metaback.errors import FileError, OptionError, Problem, suggestion
from metaback.stats.measures import MEASURES, raw_roles

RESCALED = "MD"  # the measure whose effects can be carried to the units of an instrument
FACTS = {"scale_low": "low", "scale_high": "high", "sd_reference": "sd", "mid": "mid"}  # role: field of the record
REFERENCE = {"n": 10.0, "sd": 1.0}  # of the imaginary groups that show what a difference of 1 becomes


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument: what its rows need not repeat; None where it is not known.

    higher_is_better: its direction; low, high: ends of its range; sd: reference SD from outside the trials; mid:
    minimal important difference. All in the units of its scores.
    """

    higher_is_better: bool | None = None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    mid: float | None = None


def read_instrument_file(path: Path) -> Mapping[str, Any]:
    """Return the facts of a JSON file, one object per instrument, unchecked; raise `FileError` where it is none."""
    try:
        found: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error
    except ValueError as error:
        raise FileError(f"'{path}' is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise FileError(f"'{path}' must hold one object with the names of the instruments")
    return cast("dict[str, Any]", found)


def read_instruments(given: Mapping[str, Any] | None) -> dict[str, Instrument]:
    """Return the instruments by name in small letters, from records or from mappings with the same words.

    Raises `OptionError` with every unknown word and every number that cannot be at once.

    >>> read_instruments({"VAS": {"higher_is_better": False, "low": 0, "high": 100}})["vas"].high
    100.0
    """
    faults: list[str] = []
    known = {name.strip().casefold(): _instrument(name, facts, faults) for name, facts in (given or {}).items()}
    if faults:
        raise OptionError("; ".join(faults))
    return known


def _instrument(name: str, facts: Any, faults: list[str]) -> Instrument:
    """Read one instrument and add what is wrong with it."""
    if isinstance(facts, Instrument):
        words: dict[str, Any] = {f.name: getattr(facts, f.name) for f in fields(Instrument)}
    elif isinstance(facts, Mapping):
        words = {str(word): value for word, value in cast("Mapping[Any, Any]", facts).items()}
    else:
        faults.append(f"instruments: {name!r} needs a mapping such as {{'low': 0, 'high': 100}}, not {facts!r}")
        return Instrument()
    known = [f.name for f in fields(Instrument)]
    strange = [word for word in words if word not in known]
    faults += [f"instruments: {OptionError.unknown(name, word, known)}" for word in strange]
    numbers = {word: _number(name, word, words.get(word), faults) for word in known[1:]}
    better = words.get("higher_is_better")
    if better not in (True, False, None):
        faults.append(f"instruments: higher_is_better of {name!r} must be true or false, not {better!r}")
    low, high = numbers["low"], numbers["high"]
    if low is not None and high is not None and not low < high:
        faults.append(f"instruments: low of {name!r} must be below high, found {low:g} and {high:g}")
    return Instrument(None if better is None else bool(better), **numbers)


def _number(name: str, word: str, value: Any, faults: list[str]) -> float | None:
    """Return a finite number, a positive one for an SD or a difference."""
    if value is None:
        return None
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan
    if not np.isfinite(number) or (word in {"sd", "mid"} and number <= 0):
        rule = "a number above 0" if word in {"sd", "mid"} else "a number"
        faults.append(f"instruments: {word} of {name!r} must be {rule}, not {value!r}")
    return number


def of_rows(trials: Trials, instruments: Mapping[str, Instrument]) -> list[Instrument]:
    """Return the instrument of each row, an empty one where it is not described."""
    nothing = Instrument()
    if not instruments:
        return [nothing] * len(trials)
    return [instruments.get(text.strip().casefold(), nothing) for text in trials.texts("instrument")]


def unused(trials: Trials, instruments: Mapping[str, Instrument]) -> tuple[str, ...]:
    """Tell instruments that no row names."""
    if not instruments:
        return ()
    named = {text.strip().casefold() for text in trials.texts("instrument")}
    return tuple(
        f"No row names the instrument '{name}' that was described{suggestion(name, sorted(named))}."
        for name in instruments
        if name not in named
    )


def scale_facts(
    trials: Trials, instruments: Mapping[str, Instrument], problems: list[Problem]
) -> dict[str, NDArray[np.float64]]:
    """Return the roles of `FACTS` that the table or the instruments know, (k,) each, nan where they do not.

    The table and the record of the instrument must not disagree; each row where they do is a problem.
    """
    rows = of_rows(trials, instruments) if instruments else []
    found: dict[str, NDArray[np.float64]] = {}
    for role, word in FACTS.items():
        stated = trials.numbers(role)
        if not instruments:
            if role in trials.roles and np.isfinite(stated).any():
                found[role] = stated
            continue
        known = np.array([np.nan if (value := getattr(row, word)) is None else value for row in rows], dtype=float)
        for i in np.flatnonzero(np.isfinite(stated) & np.isfinite(known) & (stated != known)):
            rule = f"the instrument {trials.texts('instrument')[i]!r} was described with {word} = {known[i]:g}"
            column = trials.roles[role]
            problems.append(Problem(rule, "Correct the one that is wrong", column, trials.rows[i], f"{stated[i]:g}"))
        merged = np.where(np.isfinite(stated), stated, known)
        if np.isfinite(merged).any():
            found[role] = merged
    return found


def check_range(
    trials: Trials, inputs: Mapping[str, Floats], facts: Mapping[str, Floats], changes: Bools
) -> list[Problem]:
    """Report means outside the range of their instrument, and SDs that no scores within it can have.

    The SD of n scores between low and high is at most (high - low)/2 sqrt(n/(n - 1)). `changes`: rows whose means and
    SDs are those of changes, for which the range runs from low - high to high - low.
    """
    if not {"scale_low", "scale_high"} <= facts.keys():
        return []
    low, high = facts["scale_low"], facts["scale_high"]
    width = high - low
    low, high = np.where(changes, -width, low), np.where(changes, width, high)
    problems: list[Problem] = []
    for arm in ("_1", "_2", ""):
        blank = np.full(len(trials), np.nan)
        mean, sd, n = (inputs.get(f"{role}{arm}", blank) for role in ("mean", "sd", "n"))
        most = (high - low) / 2 * np.sqrt(np.where(n > 1, n / np.where(n > 1, n - 1, 1.0), 2.0))
        outside = (mean < low) | (mean > high)
        problems += [
            _beyond(trials, f"mean{arm}", mean[i], int(i), f"lies outside the range {low[i]:g} to {high[i]:g}")
            for i in np.flatnonzero(outside)
        ]
        problems += [
            _beyond(
                trials,
                f"sd{arm}",
                sd[i],
                int(i),
                f"is above {most[i]:.4g}, the most that {low[i]:g} to {high[i]:g} allows",
            )
            for i in np.flatnonzero(sd > most * (1 + 1e-9))
        ]
    return problems


def _beyond(trials: Trials, role: str, value: float, i: int, rule: str) -> Problem:
    """Word a number that its instrument cannot give."""
    name = trials.texts("instrument")[i]
    of = f" of {name}" if name else " of its instrument"
    fix = "Check the number, the unit (an SE or a 0 to 10 scale?) and the ends of the scale"
    stem = role.removesuffix("_1").removesuffix("_2")
    return Problem(f"the {stem}{of} {rule}", fix, trials.roles.get(role, role), trials.rows[i], f"{value:g}")


def needed(key: str) -> tuple[str, ...]:
    """Return the facts of instruments that a measure is computed from."""
    return tuple(role for role in raw_roles(key) if role in FACTS)


def rescale(draft: Draft, trials: Trials, facts: Mapping[str, Floats], key: str) -> None:
    """Carry ready-made mean differences to the units of the measure: yi = f MD, vi = f^2 v, f a fact of the instrument.

    Rows that name another measure than MD, or none, are left as they are; so are rows without the fact.
    """
    roles = needed(key)
    if not roles or "measure" not in trials.roles or not set(roles) <= facts.keys():
        return
    named = trials.names(RESCALED)
    ready = empty_draft(len(trials))
    from_analysis_scale(ready, trials, RESCALED)
    from_printed(ready, trials, RESCALED)
    draft.problems += ready.problems
    factor = unit(key, facts)
    rows = draft.open() & named & ~ready.open() & np.isfinite(factor)
    draft.fill(rows, factor * ready.yi, factor**2 * ready.vi, "mean difference, rescaled")
    for i in np.flatnonzero(rows):
        draft.routes[i] = f"{ready.routes[i]} of the mean difference, times {factor[i]:.6g}"


def unit(key: str, facts: Mapping[str, Floats]) -> Floats:
    """Return what a mean difference of 1 becomes in the units of the measure, (k,), nan where the fact is blank.

    It is the ratio of both standard errors of one imaginary row: the measure divides by a number that is known.
    """
    size = next(iter(facts.values())).shape
    usual = {role: np.full(size, REFERENCE.get(role[:-2], 0.0)) for role in raw_roles(RESCALED)}
    done = MEASURES[key].function(*(facts[role] if role in facts else usual[role] for role in raw_roles(key)))
    plain = MEASURES[RESCALED].function(*usual.values())
    return np.sqrt(done.vi / plain.vi)


def explain_unknown(draft: Draft, trials: Trials, inputs: Mapping[str, Floats], key: str) -> None:
    """Say of rows that lack nothing else which fact of which instrument is not known."""
    facts, blank = needed(key), np.full(len(trials), np.nan)
    if not facts:
        return
    others = np.stack([inputs.get(role, blank) for role in raw_roles(key) if role not in facts])
    named = trials.names(RESCALED)
    brings = named & (np.isfinite(trials.numbers("effect")) | np.isfinite(trials.numbers("yi")))
    names = trials.texts("instrument")
    for i in np.flatnonzero(draft.open() & (brings | np.isfinite(others).all(axis=0))):
        roles = [role for role in facts if not np.isfinite(inputs.get(role, blank)[i])]
        words = " and ".join(roles)
        if roles and not names[i]:
            draft.reasons[i] = f"{words} not given, and the row names no instrument; fill the column or name it"
        elif roles:
            wanted = ", ".join(f"{FACTS[role]!r}: ..." for role in roles)
            draft.reasons[i] = (
                f"{words} of the instrument {names[i]} not given; fill the column or say "
                f"instruments={{{names[i]!r}: {{{wanted}}}}}"
            )
