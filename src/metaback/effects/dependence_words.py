"""Sentences about effects that share people: what was found, what was assumed, and what cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metaback.effects.covariances import (
    ARM_RHO,
    ENDPOINTS,
    EQUAL_ARM,
    EXACT_ARM,
    NAMED_ARM,
    NEAR_ARM,
    NONE,
    NOT_ASKED,
    OTHER,
    OVERLAP,
    RHO,
    SAME,
    TIMES,
    UNCLEAR,
    WITHIN,
    Assumed,
    Paired,
    Rho,
)
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.same_people import Bools, Codes, years_of
from metaback.errors import Problem
from metaback.numbers import as_given, significant
from metaback.stats.working_covariance import Unsound

SHOWN = 5  # studies and rows that a sentence names
FOUND: Mapping[int, str] = {
    EXACT_ARM: "share an arm; their covariance is computed from the numbers of that arm",
    NEAR_ARM: "share an arm; their covariance is near enough, from the sizes of the arms or scaled to their variances",
    EQUAL_ARM: "share an arm of unknown size; half of each variance is taken to come from it, as for equal arms",
    ARM_RHO: "share an arm at other outcomes or times; {rho} for its people",
    NAMED_ARM: "name an arm of as many people alike, whose other numbers differ as at outcomes or times that the table "
    "does not tell; it is taken for the same people, for whom {rho}; labels of their own would keep such arms apart",
    ENDPOINTS: "are several outcomes of the same people; their covariance is the sum of those of both arms; {rho}",
    RHO: "are several outcomes of the same people; {rho}",
    TIMES: "are several times of the same people; {phi}",
    UNCLEAR: "differ in nothing that the table tells from another of their study, and are taken for the same people; "
    "{rho}",
    WITHIN: "are of all people or of some of these; their covariance follows from their variances",
    OVERLAP: "are of groups with people in common; {overlap}",
    NOT_ASKED: "share an arm, which is left out of account as asked",
}
WHY: Mapping[int, str] = {
    EXACT_ARM: "share an arm",
    NEAR_ARM: "share an arm",
    EQUAL_ARM: "share an arm of unknown size",
    ARM_RHO: "share an arm at other outcomes or times",
    NAMED_ARM: "name an arm of as many people alike with other results, so that it may be the same",
    RHO: "are other outcomes of the same people",
    TIMES: "are other times of the same people",
    UNCLEAR: "differ in nothing that the table tells from another of their study, so that they may be the same people",
    WITHIN: "are of all people or of some of these",
}


def notes_of(es: EffectSizes, i: Codes, j: Codes, pairs: Paired, asked: Assumed) -> tuple[str, ...]:
    """Return what was found and assumed, one sentence per kind of dependence.

    i, j: places of both rows of each pair among all rows of the effects.
    """
    words = {"rho": _rho(asked.rho), "phi": _phi(asked), "overlap": _overlap(asked.overlap)}
    notes = [
        f"{_where(es, i, j, pairs.kinds == kind)} {text.format(**words)}."
        for kind, text in FOUND.items()
        if (pairs.kinds == kind).any()
    ]
    gone = pairs.links.sizes_apart
    if gone.any():
        first: list[int] = i[gone].tolist()
        rows = list(dict.fromkeys(f"{es.labels[a]} ({es.rows[a]})" for a in first))
        notes.append(
            f"{_listed(rows)}: the numbers of people differ by more than a tenth from another row that is taken for "
            "the same people; different labels of the arms or strata keep such rows apart."
        )
    return tuple(notes)


def dependence_notes(es: EffectSizes, i: Codes, j: Codes, kinds: Codes) -> tuple[str, ...]:
    """Return why rows depend on each other, one sentence per reason."""
    if not kinds.size:
        return ()
    rows = np.unique(np.concatenate([i, j]))
    studies = len(set(es.clusters[rows].tolist()))
    head = (
        f"{rows.size:,} of {es.k:,} effects are of {studies:,} stud{'y' if studies == 1 else 'ies'} with several rows."
    )
    return (
        head,
        *(f"{_where(es, i, j, kinds == kind)} {text}." for kind, text in WHY.items() if (kinds == kind).any()),
        *_apart(es, i, j, kinds == NONE),
    )


def _apart(es: EffectSizes, i: Codes, j: Codes, at: Bools) -> list[str]:
    """Tell how many pairs of rows of one study are of different people."""
    count = int(at.sum())
    if not count:
        return []
    studies = _where(es, i, j, at).partition(" rows of ")[2]
    verb, have = ("pair", "is") if count == 1 else ("pairs", "are")
    one, two = years_of(es, i[at]), years_of(es, j[at])
    years = int(((one != two) & np.isfinite(one + two)).sum())
    which = "" if not years else ", by their years" if years == count else f", {years:,} of them by their years"
    people = f"{have} of different people{which}, with only their study in common"
    return [f"{count:,} {verb} of rows of {studies} {people}."]


def unsound_problems(es: EffectSizes, bad: Sequence[Unsound], rho: Any) -> list[Problem]:
    """Return one problem for each study whose sampling covariance cannot be."""
    at = f" at rho = {as_given(float(rho))}" if isinstance(rho, (int, float)) else ""
    found: list[Problem] = []
    for block in bad:
        places: list[int] = block.rows.tolist()
        rows = [es.rows[row] for row in places]
        study = es.labels[int(block.rows[0])]
        rule = (
            f"the sampling covariance of {study} ({_listed(rows)}) is not positive definite{at}: the smallest "
            f"eigenvalue of its correlations is {significant(block.lowest, 3)}"
        )
        fix = (
            "Take correlations nearer 0, correct variances or numbers of shared arms, drop rows that repeat another, "
            "or take the nearest matrix that can be: sampling_covariance(es, nearest=True)"
        )
        found.append(Problem(rule, fix, row=rows[0]))
    return found


def _where(es: EffectSizes, i: Codes, j: Codes, at: Bools) -> str:
    """Name the studies of some pairs and how many rows they have."""
    rows = np.flatnonzero(np.bincount(i[at], minlength=es.yi.size) + np.bincount(j[at], minlength=es.yi.size))
    first: list[int] = np.sort(rows[np.unique(es.clusters[rows], return_index=True)[1]]).tolist()
    names = [es.labels[row] for row in first]
    return f"{rows.size:,} rows of {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    """List names, the first five of many."""
    shown = list(names[:SHOWN])
    if len(names) > SHOWN:
        return f"{', '.join(shown)} and {len(names) - SHOWN:,} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]


def _rho(rho: Rho) -> str:
    """Say which correlation was assumed."""
    if not isinstance(rho, Mapping):
        return f"a correlation of {as_given(float(rho))} was assumed"
    named = [f"{_word(pair)} {as_given(float(value))}" for pair, value in rho.items()]
    return f"correlations were assumed ({', '.join(named)})"


def _word(pair: Any) -> str:
    """Word a pair of outcomes, or one of the two general keys of correlations."""
    words = {SAME: "of one outcome", OTHER: "of two outcomes"}
    return words[pair] if pair in words else " and ".join(map(str, pair))


def _phi(asked: Assumed) -> str:
    """Say which correlation of times was assumed."""
    if asked.phi is None:
        return _rho(asked.rho)
    step = "from one measurement to the next" if asked.times == "AR" else "per unit of time"
    return f"a correlation of {as_given(asked.phi)} {step} was assumed"


def _overlap(overlap: float | Mapping[tuple[str, str], float] | None) -> str:
    """Say which share of people was taken to be in both groups."""
    if isinstance(overlap, (int, float)):
        return f"{as_given(round(100 * float(overlap), 6))}% of them were assumed to be in both"
    return "the numbers of people in both were given"
