"""Policies for zero counts, shared by the measures from counts: who is corrected, by how much, and who is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaback.stats.measures.family import USUAL, Choice, Computed, Convention, Floats, amount, finish

Bools = NDArray[np.bool_]
ADD = Convention("what is added to zero counts", {USUAL: Choice()}, number=True)
CORRECTION = "0.5 added to all four cells"
UNDEFINED = "no events, or only events, in both arms"
CELLS = "; a and c are events, b and d non-events"
_ADDED = "0.5 was added to all four cells of that study"
_UNCORRECTED = "Zero counts were not corrected; studies whose effect or variance they left undefined were not pooled"
_NO_EVENTS = (
    "; studies without events, or without non-events, in both arms say nothing about a ratio and were not pooled"
)
_DROPPED = "; studies without events, or without non-events, in both arms were not pooled"
ZEROS = Convention(
    "zero counts",
    {
        "RevMan": Choice(
            sentence=f"Where a zero count left a variance undefined, {_ADDED}", cite="deeks2010 sweeting2004"
        ),
        "metafor": Choice(
            sentence=f"Where a study had a zero count, {_ADDED}, also when neither arm had events",
            cite="viechtbauer2010 sweeting2004",
        ),
        "none": Choice(sentence=_UNCORRECTED),
        "only0": Choice(
            sentence=f"Where a study had a zero count, {_ADDED}, also when neither arm had events",
            cite="viechtbauer2010 sweeting2004",
        ),
        "all": Choice(sentence="0.5 was added to all four cells of every study", cite="viechtbauer2010 sweeting2004"),
        "if0all": Choice(
            sentence="If any study had a zero count, 0.5 was added to all four cells of every study",
            cite="viechtbauer2010 sweeting2004",
        ),
        "drop00": Choice(
            sentence=f"Where a study had a zero count, {_ADDED}{_DROPPED}", cite="viechtbauer2010 sweeting2004"
        ),
        "only0-drop00": Choice(
            sentence=f"Where a study had a zero count, {_ADDED}{_DROPPED}", cite="viechtbauer2010 sweeting2004"
        ),
        "all-drop00": Choice(
            sentence=f"0.5 was added to all four cells of every study{_DROPPED}", cite="viechtbauer2010 sweeting2004"
        ),
        "if0all-drop00": Choice(
            sentence=f"If any study that was pooled had a zero count, 0.5 was added to all four cells of every "
            f"study{_DROPPED}",
            cite="viechtbauer2010 sweeting2004",
        ),
        "treatment-arm": Choice(
            sentence="Where a study had a zero count, n₁/(n₁ + n₂) was added to both cells of the first arm and "
            "n₂/(n₁ + n₂) to both cells of the second (treatment-arm continuity correction)",
            note="treatment-arm continuity correction",
            cite="sweeting2004",
        ),
    },
)


def reworded(base: Convention, sentences: Mapping[str, str]) -> Convention:
    """Return a convention with other sentences for some of its choices."""
    choices = {name: replace(base.choices[name], sentence=text) for name, text in sentences.items()}
    return replace(base, choices={**base.choices, **choices})


_RATIO = f"Where a study had a zero count, {_ADDED}"
RATIO_ZEROS = reworded(ZEROS, {"RevMan": _RATIO + _NO_EVENTS})
PLAIN_ZEROS = reworded(  # measures that metafor leaves uncorrected unless it is told otherwise
    ZEROS,
    {
        "RevMan": _RATIO + _NO_EVENTS.replace("a ratio", "an association"),
        "metafor": _UNCORRECTED,
        "drop00": "Zero counts were not corrected" + _DROPPED,
    },
)


@dataclass(frozen=True, slots=True)
class Cells:
    """Events and non-events of both arms after correction; counts that are none are nan.

    corrected: which rows were corrected; lost: which rows have no effect because the policy says so.
    """

    a: Floats
    b: Floats
    c: Floats
    d: Floats
    corrected: Bools
    lost: Bools

    @property
    def delta(self) -> Floats:
        """Return ad - bc, exact for whole and half counts up to 9e7."""
        return self.a * self.d - self.b * self.c

    @property
    def inverses(self) -> Floats:
        """Return 1/a + 1/b + 1/c + 1/d."""
        return 1 / self.a + 1 / self.b + 1 / self.c + 1 / self.d


def corrected_rows(zeros: str, zero: Bools, needed: Bools | bool, *, plain: bool = False) -> Bools:
    """Tell which rows a policy corrects.

    zeros: the policy; zero: (k,) rows with a zero count; needed: rows that have no variance without a correction;
    plain: whether metafor leaves the measure uncorrected unless told otherwise.
    """
    nowhere = np.zeros(zero.shape, dtype=bool)
    everywhere = ~nowhere
    by_default = nowhere if plain else zero
    return {
        "RevMan": zero & needed,
        "metafor": by_default,
        "none": nowhere,
        "only0": zero,
        "all": everywhere,
        "if0all": everywhere if zero.any() else nowhere,
        "drop00": by_default,
        "treatment-arm": zero,
    }[zeros.removesuffix("-drop00")]


def shares(zeros: str, add: str, size_1: Floats, size_2: Floats) -> tuple[Floats | float, Floats | float]:
    """Return what is added to a cell of each arm: `add`, or under "treatment-arm" the arm's share of twice that.

    With the usual half, two corrections that sum to 1, each proportional to the reciprocal of the size of the opposite
    arm, are n_1/(n_1 + n_2) and n_2/(n_1 + n_2): a study without events then has a ratio of 1. Source: Sweeting et al.
    2004.
    """
    number = amount(add)
    if zeros != "treatment-arm":
        return number, number
    total = (size_1 + size_2) / (2 * number)
    return size_1 / total, size_2 / total


def cells(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    zeros: str,
    needed: Bools | bool = True,
    *,
    add: str,
    plain: bool = False,
) -> Cells:
    """Return the four cells of each row under a policy for zero counts.

    needed, plain: as for `corrected_rows`; add: the number that is added, as text. Rows that are no table (an
    arm of nobody, more events than people) are nan. Raises `OptionError` for an unknown policy, or an add below 0.
    """
    ZEROS.check("zeros", zeros)
    ADD.check("add", add)
    with np.errstate(invalid="ignore"):  # an infinite arm is no table either
        raw = np.stack([events_1, n_1 - events_1, events_2, n_2 - events_2]).astype(np.float64)
    table = np.isfinite(raw).all(axis=0) & (raw >= 0).all(axis=0) & (n_1 > 0) & (n_2 > 0)
    raw = np.where(table, raw, np.nan)
    one_sided = ((raw[0] == 0) & (raw[2] == 0)) | ((raw[1] == 0) & (raw[3] == 0))
    lost = one_sided if zeros.endswith("drop00") else np.zeros(one_sided.shape, dtype=bool)
    zero = (raw == 0).any(axis=0) & ~lost
    corrected = corrected_rows(zeros, zero, needed, plain=plain) & table & (amount(add) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = shares(zeros, add, np.where(table, n_1, np.nan), np.where(table, n_2, np.nan))
    shift_1, shift_2 = np.where(corrected, one, 0.0), np.where(corrected, two, 0.0)
    return Cells(raw[0] + shift_1, raw[1] + shift_1, raw[2] + shift_2, raw[3] + shift_2, corrected, lost)


def relative_cells(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    zeros: str,
    needed: Bools | bool = True,
    *,
    add: str,
    plain: bool = False,
) -> Cells:
    """Return the cells for a ratio or an association: RevMan's policy leaves out what has no events in both arms.

    Likewise what has only events in both arms. Arguments as for `cells`.
    """
    found = cells(events_1, n_1, events_2, n_2, zeros, needed, add=add, plain=plain)
    if zeros != "RevMan":
        return found
    one_sided = ((events_1 == 0) & (events_2 == 0)) | ((events_1 == n_1) & (events_2 == n_2))
    return replace(found, lost=one_sided)


def close(t: Cells, yi: Floats, vi: Floats) -> Computed:
    """Finish a measure of four cells."""
    return finish(yi, vi, ~t.lost, t.corrected)


def log_ratio(u: Floats, w: Floats) -> Floats:
    """Return log(u/w) to full relative precision, also where u is close to w; swapping u and w turns its sign.

    >>> print(f"{log_ratio(np.array([1e14 + 1]), np.array([1e14]))[0]:.12g}")
    1e-14
    """
    low, high = np.minimum(u, w), np.maximum(u, w)
    return np.where(u >= w, 1.0, -1.0) * np.log1p((high - low) / low)
