"""Faces of the range of HCS: where a variance is 0, the correlation of the other levels may be lower.

One correlation rho of m levels makes a covariance matrix from -1 / (m - 1) on. A level without variance does not count
in m, so the range of (s_1, ..., s_L, rho) is a body with thin faces at its lower end: s_j = 0 with rho below
-1 / (L - 1). No climb from inside comes to a face, and the highest likelihood may stand there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from metaback.stats.mixed.problem import Problem
from metaback.stats.mixed.records import Bools, Floats, Places, Term

ALL = 4  # levels up to which every set of levels is held at 0 in turn; of more levels, one after the other
ONWARD = 1e-6  # of rho, relative: a climb that goes on from the end of the range to a face begins so far within it


def lowest(levels: Places) -> Floats:
    """Return the lowest correlation of so many levels: -1 / (levels - 1), and -1 of one.

    >>> lowest(np.array([1, 2, 3])).tolist()
    [-1.0, -1.0, -0.5]
    """
    return -1.0 / np.maximum(levels - 1, 1)


def correlation_ends(term: Term, variances: Floats) -> tuple[float, float]:
    """Return the ends of a correlation of a term: where the matrix of all its inner levels is positive semidefinite.

    One rho of L levels lies from -1 / (L - 1) to 1, however few of them a study has: G is that of all levels. Under
    HCS levels without variance do not count. A correlation over time lies from 0 to 1, any other from -1 to 1.

    variances: (L,) of the inner levels where they differ ("HCS"), those that the user gives as given.

    >>> correlation_ends(Term("CS", np.zeros(6, int), np.arange(6) % 3, 3), np.array([0.1]))
    (-0.5, 1.0)
    """
    if term.structure == "CAR":
        return 0.0, 1.0
    count = {"CS": term.levels, "HCS": int((variances > 0).sum())}.get(term.structure, 2)
    return float(lowest(np.array([count]))[0]), 1.0


@dataclass(frozen=True, slots=True)
class Body:
    """Where an HCS term has its s (own) and its rho (place); zero, free: (L,) which s are given as 0, or not given."""

    own: slice
    place: int
    zero: Bools
    free: Bools
    told: bool

    @property
    def end(self) -> float:
        """Return the lower end of rho where no free variance is 0."""
        return float(lowest(np.array([(~self.zero).sum()]))[0])


def bodies(problem: Problem) -> list[Body]:
    """Return the HCS terms of three levels or more; told: whether the user gave rho."""
    out: list[Body] = []
    for term, start in zip(problem.terms, problem.parts.starts, strict=True):
        L = term.levels
        if term.structure == "HCS" and L > 2:
            given = term.fixed or (None,) * (L + 1)
            zero, free = (np.array([test(value) for value in given[:L]]) for test in (_is_zero, _is_free))
            out.append(Body(slice(start, start + L), start + L, zero, free, not _is_free(given[L])))
    return out


def _is_zero(value: float | None) -> bool:
    return value == 0


def _is_free(value: float | None) -> bool:
    return value is None


def face_grids(problem: Problem, grid: Floats) -> list[Floats]:
    """Return the grid (points, q) moved to each face of one term: zeros in place, rho spread over what it adds."""
    out: list[Floats] = []
    for body in bodies(problem):
        if body.told:
            continue
        count = int((~body.zero).sum())
        _, rank = np.unique(grid[:, body.place], return_inverse=True)
        share = (rank + 0.5) / (rank.max() + 1)
        for size in range(1, min(count - 2, count if count <= ALL else 1) + 1):
            low, high = lowest(np.array([count - size, count]))
            for held in itertools.combinations(np.flatnonzero(body.free).tolist(), size):
                face = grid.copy()
                face[:, [body.own.start + i for i in held]] = 0.0
                face[:, body.place] = low + share * (high - low)
                out.append(face)
    return out


def on_faces(problem: Problem, x: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Return the bounds (R, q) of climbs from x (R, q): one that begins on a face stays there.

    A start is on a face where its rho is below the range of all levels; the levels that have no variance there are
    held at 0, and rho goes down to the end of the range of the others.
    """
    lower, upper = lower.copy(), upper.copy()
    for body in bodies(problem):
        held = body.zero | ((x[:, body.place] < body.end)[:, None] & (x[:, body.own] == 0) & body.free)
        upper[:, body.own] = np.where(held, 0.0, upper[:, body.own])
        if not body.told:
            lower[:, body.place] = lowest((~held).sum(axis=1))
    return lower, upper


def onward(problem: Problem, x: Floats, upper: Floats) -> Floats:
    """Return where climbs that ended at x (R, q) under these upper bounds begin again, nan where they need not.

    A climb on a face that has come back to the range of all levels goes on inside it; one that stands at the lower end
    of rho with a variance of 0 goes on to the face.
    """
    again = np.full(x.shape, np.nan)
    for body in bodies(problem):
        if body.told:
            continue
        rho, s = x[:, body.place], x[:, body.own]
        back = (rho >= body.end) & ((upper[:, body.own] == 0) & body.free).any(axis=1)
        out = (rho == body.end) & ((s == 0) & body.free).any(axis=1) & ((s > 0).sum(axis=1) > 1) & ~back
        again[back | out] = x[back | out]
        again[out, body.place] = body.end * (1 + ONWARD)
    return again
