"""Roots in tau2, found in lockstep over a batch: rows that have converged leave, none can stop the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.stats.wls import Floats, Problems, moments, sum_of_squares

Index = NDArray[np.intp]
Counts = NDArray[np.int64]

STEP = 1e-9  # relative step after which one more quadratic step is below 1e-15
FLOOR = 1e-14  # steps below this share of v + tau2 are rounding
MAX_STEPS = 200  # far above what a monotone Newton search needs; a row that reaches it is NOT_CONVERGED
MAX_SPLITS = 80  # halvings of an interval of tau2 before its ends decide
MESH = 2  # intervals of the first mesh of the search for peaks; what it leaves open is halved
MESH_FEW = 12  # the same for few effects, where more points cost nothing
FEW = 1000  # effects below which a call costs more than its arithmetic


@dataclass(frozen=True, slots=True)
class Roots:
    """Solutions (n,), iterations (n,) and whether each search ended by itself."""

    x: Floats
    n_iter: Counts
    converged: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Peaks:
    """Local maxima of a likelihood: one entry per peak, sorted by problem and tau2.

    row: problem of each peak; tau2: its place (0 when the maximum lies on the boundary); n_iter, converged as `Roots`.
    """

    row: Index
    tau2: Floats
    n_iter: Counts
    converged: NDArray[np.bool_]


def solve_q(problems: Problems, target: Floats) -> Roots:
    """Solve y'P(tau2)y = target for tau2 >= 0; 0 where the generalised Q at tau2 = 0 is not above the target.

    1/Q is concave and increasing in tau2, so Newton's steps for 1/Q = 1/target from tau2 = 0 rise to the root and
    never pass it: no bracket is needed.

    target: (n,) positive.
    """
    n = problems.n
    x, n_iter = np.zeros(n), np.zeros(n, dtype=np.int64)
    active = np.arange(n)
    for _ in range(MAX_STEPS):
        part = _taken(problems, active)
        at, goal = x[active], target[active]
        now = moments(part, at)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(now.q1 > goal, now.q1 * (now.q1 / goal - 1) / now.q2, 0.0)
        x[active] = at + step
        n_iter[active] += 1
        moving = step > np.maximum(STEP * x[active], FLOOR * (x[active] + part.v_min))
        active = active[moving]
        if not active.size:
            break
    converged = np.ones(n, dtype=bool)
    converged[active] = False
    return Roots(x, n_iter, converged)


_FIELDS = ("t", "a", "b", "da", "db")


@dataclass(frozen=True, slots=True)
class _Ends:
    """Score terms at points of tau2: a = log q2, b = log of the trace (tr P, for the full likelihood tr W), slopes.

    h = a - b has the sign of the score.
    """

    t: Floats
    a: Floats
    b: Floats
    da: Floats
    db: Floats

    @property
    def h(self) -> Floats:
        return self.a - self.b

    def take(self, index: Index | NDArray[np.bool_] | slice) -> _Ends:
        return _Ends(self.t[index], self.a[index], self.b[index], self.da[index], self.db[index])


def _evaluate(problems: Problems, t: Floats, restricted: bool) -> _Ends:
    """Evaluate the score terms at one tau2 per problem."""
    now = moments(problems, t)
    trace, slope = (now.t1, now.t2) if restricted else (now.w1, now.w2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _Ends(t, np.log(now.q2), np.log(trace), -2 * now.q3 / now.q2, -slope / trace)


def _crossing(fa: Floats, dfa: Floats, fb: Floats, dfb: Floats, width: Floats) -> tuple[Floats, Floats]:
    """Return where (0 to width) and how high the tangents at both ends of a convex function meet."""
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (fb - fa - dfb * width) / (dfa - dfb)
    at = np.clip(np.where(np.isfinite(at), at, 0.0), 0.0, width)
    return at, np.maximum(fa + dfa * at, fb + dfb * (at - width))


def _one_signed(left: _Ends, right: _Ends) -> NDArray[np.bool_]:
    """Certify that the score has no zero between: log q2 and log t1 are convex, so chords and tangents bound them."""
    width = right.t - left.t
    at, low_b = _crossing(left.b, left.db, right.b, right.db, width)
    below = left.a + (right.a - left.a) * (at / width) - low_b
    at, low_a = _crossing(left.a, left.da, right.a, right.da, width)
    above = low_a - (left.b + (right.b - left.b) * (at / width))
    negative = (left.h < 0) & (right.h < 0) & (below < 0)
    positive = (left.h > 0) & (right.h > 0) & (above > 0)
    return negative | positive


def find_peaks(problems: Problems, *, restricted: bool = True) -> Peaks:
    """Find every local maximum of the (restricted) likelihood in tau2 >= 0, the boundary included.

    The score is (q2 - t1) / 2, of the full likelihood (q2 - w1) / 2. All terms are completely monotone, so their
    logarithms are convex: from values and slopes at the ends of an interval one can certify that the score keeps its
    sign inside, or that the ratio of its terms falls (at most one peak) or rises (none). Intervals without a
    certificate are halved. Above v_max - 2 v_min the ratio always falls, and above the unweighted sum of squares the
    score is negative (tr W > tr P), so the search region is bounded.
    """
    total = sum_of_squares(problems)
    spread = (problems.m > 0) & (total > FLOOR * problems.v_min)
    live = np.flatnonzero(spread)
    part = _taken(problems, live)
    v_max = np.where(np.isinf(part.v), 0.0, part.v).max(axis=0, initial=0.0)
    falls_from = np.maximum(v_max - 2 * part.v_min, 0.0)
    row, left, right = _mesh(part, total[live], restricted)
    at_zero = left.t == 0
    edge_row = row[at_zero & (left.h <= 0)]
    brackets: list[tuple[Index, _Ends, _Ends]] = []
    for split in range(MAX_SPLITS):
        falling = (right.da < left.db) | (left.t >= falls_from[row])
        rising = left.da > right.db
        tiny = right.t - left.t <= STEP * (left.t + part.v_min[row])
        done = falling | rising | tiny | _one_signed(left, right) | (split == MAX_SPLITS - 1)
        peak = done & (left.h > 0) & (right.h <= 0)
        brackets.append((row[peak], left.take(peak), right.take(peak)))
        row, left, right = row[~done], left.take(~done), right.take(~done)
        if not row.size:
            break
        c = part.v_min[row]
        middle = _evaluate(_taken(part, row), np.sqrt((left.t + c) * (right.t + c)) - c, restricted)
        row = np.concatenate((row, row))
        left, right = _join(left, middle), _join(middle, right)
    inner = _polish(part, *_gather(brackets), restricted)
    edge = np.concatenate((live[edge_row], np.flatnonzero(~spread)))
    rows = np.concatenate((live[inner.row], edge))
    zeros = np.zeros(edge.size)
    tau2 = np.concatenate((inner.tau2, zeros))
    order = np.lexsort((tau2, rows))
    n_iter = np.concatenate((inner.n_iter, zeros.astype(np.int64)))
    converged = np.concatenate((inner.converged, np.ones(edge.size, dtype=bool)))
    return Peaks(rows[order], tau2[order], n_iter[order], converged[order])


def _taken(problems: Problems, index: Index) -> Problems:
    """Select problems; a single one is not copied."""
    return problems if problems.n == index.size == 1 else problems.take(index)


def _mesh(part: Problems, upper: Floats, restricted: bool) -> tuple[Index, _Ends, _Ends]:
    """Cut [0, upper] of every problem into intervals that grow with tau2 + v_min and evaluate their ends."""
    c = part.v_min
    mesh = MESH_FEW if part.y.size < FEW else MESH
    share = np.arange(mesh + 1)[:, None] / mesh
    t = c * np.expm1(share * np.log1p(upper / c))
    t[0], t[-1] = 0.0, upper
    points = np.tile(np.arange(part.n), mesh + 1)
    if part.y.size >= FEW:
        each = [_evaluate(part, at, restricted) for at in t]
        ends = _Ends(*(np.concatenate([getattr(end, f) for end in each]) for f in _FIELDS))
    elif part.X is None:
        ends = _evaluate(part, t, restricted)
        ends = _Ends(*(getattr(ends, f).ravel() for f in _FIELDS))
    else:
        ends = _evaluate(part.take(points), t.ravel(), restricted)
    cut = part.n
    return points[:-cut], ends.take(slice(0, -cut)), ends.take(slice(cut, None))


def _join(first: _Ends, second: _Ends) -> _Ends:
    """Put two sets of points behind each other."""
    return _Ends(*(np.concatenate((getattr(first, f), getattr(second, f))) for f in _FIELDS))


def _gather(brackets: list[tuple[Index, _Ends, _Ends]]) -> tuple[Index, _Ends, _Ends]:
    """Join the brackets of all rounds."""
    row, left, right = brackets[0]
    for more, a, b in brackets[1:]:
        row, left, right = np.concatenate((row, more)), _join(left, a), _join(right, b)
    return row, left, right


def _polish(part: Problems, row: Index, left: _Ends, right: _Ends, restricted: bool) -> Peaks:
    """Solve t1 / q2 = 1 inside each bracket: Newton's steps, bisection where one leaves the bracket.

    t1 / q2 is close to linear in tau2 (exactly so for equal variances).
    """
    low, high = left.t.copy(), right.t.copy()
    ga, gb = np.exp(-left.h) - 1, np.exp(-right.h) - 1
    x = np.clip(low - ga * (high - low) / (gb - ga), low, high)
    n_iter = np.zeros(row.size, dtype=np.int64)
    active = np.arange(row.size)
    for _ in range(MAX_STEPS):
        if not active.size:
            break
        here = row[active]
        now = _evaluate(_taken(part, here), x[active], restricted)
        up = now.h > 0
        low[active] = np.where(up, now.t, low[active])
        high[active] = np.where(up, high[active], now.t)
        ratio = np.exp(-now.h)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = now.t - (ratio - 1) / (ratio * (now.db - now.da))
        inside = (new >= low[active]) & (new <= high[active])
        c = part.v_min[here]
        middle = np.sqrt((low[active] + c) * (high[active] + c)) - c
        x[active] = np.where(inside, new, middle)
        n_iter[active] += 1
        size = np.maximum(STEP * x[active], FLOOR * (x[active] + c))
        ended = (inside & (np.abs(new - now.t) <= size)) | (high[active] - low[active] <= FLOOR * (x[active] + c))
        active = active[~ended]
    converged = np.ones(row.size, dtype=bool)
    converged[active] = False
    return Peaks(row, x, n_iter, converged)
