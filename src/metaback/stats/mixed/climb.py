"""Climb a likelihood within bounds: Newton steps where the curvature is that of a peak, scoring steps elsewhere.

Replicates climb together; each has its own parameters, bounds and step length, and leaves when it is done. A
parameter at a bound whose slope points outward rests there. Climbs of one fit that come to one peak end as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from metaback.stats.mixed.likelihood import Slope
from metaback.stats.mixed.records import Bools, Floats, Places

STEPS = 200
SHORTEST = 1e-12  # relative step at which a replicate has arrived
FLAT = 1e-11  # curvature, relative to the scale of its parameters, that rounding cannot tell from none
POLISH = 3  # steps that are taken whatever the likelihood says, once its change is below its rounding
NEAR = 1e-6  # of a log-likelihood: a climb that can rise by no more stands at its peak
NEWTON = 30  # steps to the length of a radius at most; six are usual
ENOUGH = 1e-13  # share of a radius by which the length of a step may miss it
ROUNDING = 4e-15  # of a log-likelihood, relative to its size and to the number of rows

Objective = Callable[[Floats, Places], Slope]


@dataclass(frozen=True, slots=True)
class Peak:
    """Where R climbs ended: x (R, q), slope there, converged (R,), steps (R,), resting (R, q) at a bound."""

    x: Floats
    at: Slope
    converged: Bools
    steps: Places
    resting: Bools

    def take(self, which: Places) -> Peak:
        """Return some of the climbs."""
        return Peak(self.x[which], self.at.take(which), self.converged[which], self.steps[which], self.resting[which])

    def put(self, which: Places, other: Peak) -> None:
        """Write where climbs went on to; their steps are added."""
        self.x[which], self.converged[which], self.resting[which] = other.x, other.converged, other.resting
        self.steps[which] += other.steps
        self.at.put(which, other.at)


def joined(peaks: Sequence[Peak]) -> Peak:
    """Return the climbs of several records in one."""

    def arrays(name: str) -> np.ndarray:
        return np.concatenate([getattr(peak, name) for peak in peaks])

    at = Slope(*(np.concatenate(same) for same in zip(*(peak.at.arrays for peak in peaks), strict=True)))
    return Peak(arrays("x"), at, arrays("converged"), arrays("steps"), arrays("resting"))


@dataclass(frozen=True, slots=True)
class _Step:
    """What the running climbs try: trial (A, q); scale (A, q); hoped (A,) rise of the parabola; sure (A,) Newton steps.

    polishing: (A,) where what can be gained is below rounding; arrived: (A,) where the step is too.
    """

    trial: Floats
    scale: Floats
    slope: Floats
    hoped: Floats
    sure: Bools
    noise: Floats
    polishing: Bools
    arrived: Bools

    def take(self, keep: Places) -> _Step:
        """Return some of the steps."""
        return _Step(*(getattr(self, name)[keep] for name in self.__slots__))


@dataclass(slots=True)
class _State:
    """The A climbs that run, by their numbers `which` among all."""

    which: Places
    x: Floats
    at: Slope
    lower: Floats
    upper: Floats
    radius: Floats
    left: Places
    steps: Places

    def take(self, keep: Places) -> _State:
        """Return some of them."""
        return _State(
            self.which[keep], self.x[keep], self.at.take(keep), self.lower[keep], self.upper[keep], self.radius[keep],
            self.left[keep], self.steps[keep],
        )  # fmt: skip


def climb(
    objective: Objective,
    x: Floats,
    lower: Floats,
    upper: Floats,
    size: float,
    *,
    kinked: bool = False,
    fits: Places | None = None,
) -> Peak:
    """Return the peaks above the starts x (R, q) within lower and upper (R, q).

    objective: from x and the numbers of the replicates to their `Slope`. size: number of rows, which sets the rounding
    of a log-likelihood. kinked: whether the likelihood has kinks, at whose tops no step is short enough to rise: a
    climb may end there. fits: (R,) which climbs are of one fit: one that is about to reach the peak of another ends
    there, not converged.

    A step d solves -H d = g on the parameters that do not rest at a bound; where -H is not positive definite the
    expected information takes its place. A step that does not raise the likelihood is tried again within a smaller
    radius.
    """
    R: int = x.shape[0]
    x = np.minimum(np.maximum(x, lower), upper)
    none, steps = np.zeros(R, dtype=bool), np.zeros(R, dtype=np.intp)
    found = Peak(x, objective(x, np.arange(R)), none, steps, np.zeros(x.shape, dtype=bool))
    state = _begun(found, lower, upper)
    if not x.shape[1]:
        found.converged[state.which] = True
        return found
    near = None if fits is None or R == 1 else np.zeros(R, dtype=bool)
    for _ in range(STEPS if state.which.size else 0):
        step = _proposed(state, size)
        leaving = step.arrived
        if near is not None and fits is not None:
            leaving = leaving | _joining(found, state, step, near, fits)
        if leaving.any():
            _leave(found, state, step.arrived)
            state = state.take(stay := np.flatnonzero(~leaving))
            if not stay.size:
                break
            step = step.take(stay)
        _advance(state, step, objective(step.trial, state.which))
        stuck = state.radius <= SHORTEST
        if stuck.any():
            _leave(found, state, stuck & kinked)
            state = state.take(np.flatnonzero(~stuck))
            if stuck.all():
                break
    _leave(found, state, np.zeros(state.which.size, dtype=bool))
    return Peak(found.x, found.at, found.converged, found.steps, _resting(found.x, found.at, lower, upper))


def _begun(found: Peak, lower: Floats, upper: Floats) -> _State:
    """Return the climbs whose starts have a likelihood."""
    R: int = found.x.shape[0]
    radius, left, steps = np.full(R, np.inf), np.full(R, POLISH), np.zeros(R, dtype=np.intp)
    all_of_them = _State(np.arange(R), found.x, found.at, lower, upper, radius, left, steps)
    return all_of_them.take(np.flatnonzero(np.isfinite(found.at.value)))  # copies: what is found is written over


def _leave(found: Peak, state: _State, converged: Bools) -> None:
    """Write where the running climbs stand, and which of them have converged."""
    found.x[state.which], found.steps[state.which] = state.x, state.steps
    found.at.put(state.which, state.at)
    found.converged[state.which] = converged


def _proposed(state: _State, size: float) -> _Step:
    """Return the next step of each running climb."""
    at, x = state.at, state.x
    resting, scale = _resting(x, at, state.lower, state.upper), scale_of(at)
    d, sure = direction(at, resting, state.radius, scale)
    trial = np.minimum(np.maximum(x + d, state.lower), state.upper)
    s = trial - x
    noise = ROUNDING * (size + np.abs(at.value))
    arrived = (np.abs(s) <= SHORTEST * (np.abs(x) + 1e-6 * scale)).all(axis=1)
    rise = at.gradient * d  # 0 where a parameter rests: so is its step
    polishing = (rise.sum(axis=1) < noise) & ~arrived
    if polishing.any():
        state.left = state.left - polishing
        arrived |= state.left < 0
    slope = (at.gradient * s).sum(axis=1)
    hoped = slope + 0.5 * (s * (at.hessian @ s[:, :, None])[..., 0]).sum(axis=1)
    return _Step(trial, scale, slope, hoped, sure, noise, polishing, np.asarray(arrived))


def _joining(found: Peak, state: _State, step: _Step, near: Bools, fits: Places) -> Bools:
    """Tell which climbs are about to reach a peak where a higher climb of the same fit already stands.

    The other stands at its peak but for `NEAR`; the parabola of this one has its peak within half a `scale_of` of
    it, and its height to a half of what is left to climb. near: (R,) which climbs stand so, written here.
    """
    near[state.which] = step.sure & (step.hoped < NEAR)
    able = step.sure & ~step.arrived
    if not near.any() or not able.any() or (near.sum() == 1 and near[state.which[able]].all()):
        return np.zeros(state.which.size, dtype=bool)
    _leave(found, state, np.zeros(state.which.size, dtype=bool))
    ahead = found.at.value - state.at.value[:, None]
    first = np.arange(near.size) < state.which[:, None]
    mate = near & (fits == fits[state.which][:, None]) & ((ahead > 0) | (ahead == 0) & first) & step.sure[:, None]
    mate &= ~step.arrived[:, None]
    if not mate.any():
        return np.zeros(state.which.size, dtype=bool)
    close = (np.abs(step.trial[:, None] - found.x) <= 0.5 * step.scale[:, None]).all(axis=2)
    alike = np.abs(ahead - step.hoped[:, None]) <= 0.5 * ahead + 2 * NEAR
    return np.asarray((mate & close & alike & (np.arange(near.size) != state.which[:, None])).any(axis=1))


def _advance(state: _State, step: _Step, at: Slope) -> None:
    """Take the step where it rises enough; make it shorter where it does not."""
    valid = np.isfinite(at.value)
    gain = np.where(valid, at.value - state.at.value, -np.inf)
    better = (gain >= 1e-4 * np.maximum(step.slope, 0) - step.noise) | step.polishing
    better &= valid
    moved = (step.trial - state.x) / np.where(step.scale > 0, step.scale, np.inf)
    length = np.sqrt((moved * moved).sum(axis=1))
    radius = np.where(gain >= 0.75 * np.abs(step.hoped), np.maximum(state.radius, 3 * length), state.radius)
    state.radius = np.where(better, radius, 0.25 * np.minimum(length, state.radius))
    state.steps = state.steps + 1
    if better.all():
        state.x, state.at = step.trial, at
    else:
        state.x = np.where(better[:, None], step.trial, state.x)
        state.at = state.at.either(at, better)


def direction(at: Slope, resting: Bools, radius: Floats, scale: Floats) -> tuple[Floats, Bools]:
    """Return the step (R, q) of Newton, or of scoring where there is no curve of a peak, and which (R,) are Newton's.

    Parameters are scaled by their information, so that what is flat does not depend on their units. Along directions
    without curvature nothing moves. A step that is longer than the radius (R,) is that of the peak of the parabola
    within the radius (Levenberg 1944); a saddle without slope is left along the direction that curves upward.
    """
    free = np.where(resting, 0.0, scale)
    both = free[:, :, None] * free[:, None, :]
    g = at.gradient * free
    values, vectors = np.linalg.eigh(-at.hessian * both)
    along = (g[:, None] @ vectors)[:, 0]
    step = _along(values, along)
    saddle = values[:, 0] < -FLAT
    odd = saddle | ((step * step).sum(axis=1) > radius**2)
    if odd.any():
        step[odd] = _around(values[odd], vectors[odd], along[odd], step[odd], radius[odd], at.fisher[odd] * both[odd])
    return (vectors @ step[:, :, None])[..., 0] * free, ~odd


def _around(values: Floats, vectors: Floats, along: Floats, step: Floats, radius: Floats, fisher: Floats) -> Floats:
    """Return the steps along eigenvectors where the parabola has no peak, or one too far away."""
    saddle = values[:, 0] < -FLAT
    scored = saddle & np.isinf(radius)
    if scored.any():
        levels, axes = np.linalg.eigh(fisher[scored])
        g = vectors[scored] @ along[scored][:, :, None]
        turned = (axes.swapaxes(1, 2) @ g)[..., 0]
        whole = axes @ _along(levels, turned)[:, :, None]
        step[scored] = (vectors[scored].swapaxes(1, 2) @ whole)[..., 0]
    far = ~scored
    if far.any():
        step[far] = _within(values[far], along[far], radius[far])
    still = saddle & (np.abs(step) < 1e-7).all(axis=1) & (values[:, 0] < -1e-4)
    inward = np.where(vectors[:, :, 0].sum(axis=1) < 0, -1.0, 1.0)
    step[still, 0] = (inward * np.minimum(0.1, radius))[still]
    return step


def _along(values: Floats, along: Floats) -> Floats:
    """Return slopes divided by curvatures, 0 where it is flat."""
    steep = values > FLAT
    return np.where(steep, along / np.where(steep, values, 1.0), 0.0)


def _within(values: Floats, along: Floats, radius: Floats) -> Floats:
    """Return along / (values + mu) with the mu at which its length is the radius.

    Newton steps for 1 / length, which is nearly a line in mu and bends downward (Moré & Sorensen 1983): from a mu that
    is too small they never come too far. Too small is the mu of the part along the first eigenvector alone, and that of
    a vector as long as all parts along the last one.
    """
    floor = np.maximum(-values[:, 0], 0.0)
    first, whole = np.abs(along[:, 0]) / radius, np.sqrt((along * along).sum(axis=1)) / radius
    least = np.maximum(np.maximum(first - values[:, 0], whole - values[:, -1]), floor * (1 + 1e-15))
    mu = least
    for _ in range(NEWTON):
        length, slope = _length(along, values, mu)
        off = length / radius - 1
        more = np.abs(off) > ENOUGH
        if not more.any():
            break
        mu = np.where(more, np.maximum(mu + length**2 / np.maximum(slope, 1e-300) * off, least), mu)
    return along / np.maximum(values + mu[:, None], 1e-100)


def _length(along: Floats, values: Floats, mu: Floats) -> tuple[Floats, Floats]:
    """Return the length of along / (values + mu), and half the slope of its square, downward."""
    base = np.maximum(values + mu[:, None], 1e-100)
    squares = (along / base) ** 2
    return np.sqrt(squares.sum(axis=1)), (squares / base).sum(axis=1)


def scale_of(at: Slope) -> Floats:
    """Return the distance (R, q) over which the likelihood changes by about 1; 0 for what changes nothing."""
    size = np.maximum(at.size, np.abs(np.diagonal(at.hessian, axis1=1, axis2=2)))
    if size.min(initial=1.0) > 0:
        return 1 / np.sqrt(size)
    return np.where(size > 0, 1 / np.sqrt(np.where(size > 0, size, 1.0)), 0.0)


def _resting(x: Floats, at: Slope, lower: Floats, upper: Floats) -> Bools:
    """Tell which parameters stand at a bound that the slope points through, or cannot move at all.

    Without any slope a parameter rests only where the likelihood does not curve upward: all standard deviations 0 is
    a saddle of the model of standard deviations and correlations.
    """
    low, high = x <= lower, x >= upper
    if not (low.any() or high.any()):
        return low
    resting = (low & (at.gradient <= 0)) | (high & (at.gradient >= 0))
    if resting.any():
        resting &= (at.gradient != 0) | (np.diagonal(at.hessian, axis1=1, axis2=2) <= 0)
    return resting | (lower == upper)
