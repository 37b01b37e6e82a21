"""Climb a likelihood within bounds: Newton steps where the curvature is that of a peak, scoring steps elsewhere.

Replicates climb together; each has its own parameters, bounds and step length, and leaves when it is done. A
parameter at a bound whose slope points outward rests there.
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


def joined(peaks: Sequence[Peak]) -> Peak:
    """Return the climbs of several records in one."""

    def arrays(name: str) -> np.ndarray:
        return np.concatenate([getattr(peak, name) for peak in peaks])

    at = Slope(*(np.concatenate(same) for same in zip(*(peak.at.arrays for peak in peaks), strict=True)))
    return Peak(arrays("x"), at, arrays("converged"), arrays("steps"), arrays("resting"))


@dataclass(slots=True)
class _State:
    """What changes while climbing; every array has the R replicates first."""

    x: Floats
    at: Slope
    radius: Floats
    left: Places
    steps: Places
    converged: Bools


def climb(objective: Objective, x: Floats, lower: Floats, upper: Floats, size: float, *, kinked: bool = False) -> Peak:
    """Return the peaks above the starts x (R, q) within lower and upper (R, q).

    kinked: whether the likelihood has kinks, at whose tops no step is short enough to rise: a climb may end there.

    objective: from x and the numbers of the replicates to their `Slope`. size: number of rows, which sets the rounding
    of a log-likelihood. A step d solves -H d = g on the parameters that do not rest at a bound; where -H is not
    positive definite the expected information takes its place. A step that does not raise the likelihood is tried again
    within a smaller radius.
    """
    R: int = x.shape[0]
    x = np.asarray(np.clip(x, lower, upper))
    state = _State(
        x=x, at=objective(x, np.arange(R)), radius=np.full(R, np.inf), left=np.full(R, POLISH, dtype=np.intp),
        steps=np.zeros(R, dtype=np.intp), converged=np.zeros(R, dtype=np.bool_),
    )  # fmt: skip
    running = np.flatnonzero(np.isfinite(state.at.value))
    if not x.shape[1]:
        state.converged[running] = True
        running = running[:0]
    for _ in range(STEPS):
        if not running.size:
            break
        running = _advance(objective, state, running, lower, upper, size)
    if kinked:
        state.converged |= state.radius <= SHORTEST
    resting = _resting(state.x, state.at, lower, upper)
    return Peak(state.x, state.at, state.converged, state.steps, resting)


def _advance(objective: Objective, state: _State, running: Places, lower: Floats, upper: Floats, size: float) -> Places:
    """Take one step of each running replicate and return those that go on."""
    here = state.at.take(running)
    x, low, high = state.x[running], lower[running], upper[running]
    resting = _resting(x, here, low, high)
    scale = scale_of(here)
    d = direction(here, resting, state.radius[running])
    trial = np.clip(x + d, low, high)
    noise = ROUNDING * (size + np.abs(here.value))
    arrived = (np.abs(trial - x) <= SHORTEST * (np.abs(x) + 1e-6 * scale)).all(axis=1)
    polishing = ((here.gradient * np.where(resting, 0, d)).sum(axis=1) < noise) & ~arrived
    state.left[running[polishing]] -= 1
    arrived |= state.left[running] < 0
    state.converged[running[arrived]] = True
    on = ~arrived
    running, polishing = running[on], polishing[on]
    x, trial, noise, scale = x[on], trial[on], noise[on], scale[on]
    if not running.size:
        return running
    here, at = here.take(np.flatnonzero(on)), objective(trial, running)
    s = trial - x
    hoped = (here.gradient * s).sum(axis=1) + 0.5 * np.einsum("ri,rij,rj->r", s, here.hessian, s)
    slope = (here.gradient * s).sum(axis=1)
    gain = np.where(np.isfinite(at.value), at.value - here.value, -np.inf)
    better = (gain >= 1e-4 * np.maximum(slope, 0) - noise) & np.isfinite(at.value) | polishing & np.isfinite(gain)
    length = np.sqrt((np.where(scale > 0, s / np.where(scale > 0, scale, 1.0), 0.0) ** 2).sum(axis=1))
    good = gain >= 0.75 * np.abs(hoped)
    radius = np.where(better & good, np.maximum(state.radius[running], 3 * length), state.radius[running])
    state.radius[running] = np.where(better, radius, 0.25 * np.minimum(length, radius))
    state.steps[running] += 1
    state.x[running[better]] = trial[better]
    state.at.put(running[better], at, better)
    return running[state.radius[running] > SHORTEST]


def direction(at: Slope, resting: Bools, radius: Floats) -> Floats:
    """Return the step (R, q) of Newton, or of scoring where the likelihood is not curved like a peak.

    Parameters are scaled by their information, so that what is flat does not depend on their units. Along directions
    without curvature nothing moves. A step that is longer than the radius (R,) is that of the peak of the parabola
    within the radius (Levenberg 1944); a saddle without slope is left along the direction that curves upward.
    """
    free = np.where(resting, 0.0, scale_of(at))
    both = free[:, :, None] * free[:, None, :]
    g = at.gradient * free
    values, vectors = np.linalg.eigh(-at.hessian * both)
    along = np.einsum("rij,ri->rj", vectors, g)
    step = _along(values, along)
    saddle = values[:, :1].min(axis=1, initial=0.0) < -FLAT
    scored = saddle & np.isinf(radius)
    if scored.any():
        levels, axes = np.linalg.eigh(at.fisher[scored] * both[scored])
        turned = np.einsum("rij,ri->rj", axes, g[scored])
        whole = np.einsum("rij,rj->ri", axes, _along(levels, turned))
        step[scored] = np.einsum("rij,ri->rj", vectors[scored], whole)
    far = ((np.sqrt((step**2).sum(axis=1)) > radius) | saddle) & ~scored
    if far.any():
        step[far] = _within(values[far], along[far], radius[far])
    still = saddle & (np.abs(step) < 1e-7).all(axis=1) & (values[:, :1].min(axis=1, initial=0.0) < -1e-4)
    inward = np.where(vectors[:, :, 0].sum(axis=1) < 0, -1.0, 1.0)
    step[still, 0] = (inward * np.minimum(0.1, radius))[still]
    return np.einsum("rij,rj->ri", vectors, step) * free


def _along(values: Floats, along: Floats) -> Floats:
    """Return slopes divided by curvatures, 0 where it is flat."""
    steep = values > FLAT
    return np.where(steep, along / np.where(steep, values, 1.0), 0.0)


def _within(values: Floats, along: Floats, radius: Floats) -> Floats:
    """Return along / (values + mu) with the mu at which its length is the radius, found by bisection of log mu."""
    floor = np.maximum(-values[:, 0], 0.0)
    low, high = np.full(radius.size, -40.0), np.full(radius.size, 60.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        mu = floor + np.exp(middle)
        long = np.sqrt(((along / np.maximum(values + mu[:, None], 1e-100)) ** 2).sum(axis=1)) > radius
        low, high = np.where(long, middle, low), np.where(long, high, middle)
    return along / np.maximum(values + (floor + np.exp(high))[:, None], 1e-100)


def scale_of(at: Slope) -> Floats:
    """Return the distance (R, q) over which the likelihood changes by about 1; 0 for what changes nothing."""
    size = np.maximum(at.size, np.abs(np.diagonal(at.hessian, axis1=1, axis2=2)))
    return np.where(size > 0, 1 / np.sqrt(np.where(size > 0, size, 1.0)), 0.0)


def _resting(x: Floats, at: Slope, lower: Floats, upper: Floats) -> Bools:
    """Tell which parameters stand at a bound that the slope points through, or cannot move at all.

    Without any slope a parameter rests only where the likelihood does not curve upward: all standard deviations 0 is
    a saddle of the model of standard deviations and correlations.
    """
    upward = np.diagonal(at.hessian, axis1=1, axis2=2) > 0
    level = at.gradient == 0
    low = (x <= lower) & ((at.gradient < 0) | (level & ~upward))
    high = (x >= upper) & ((at.gradient > 0) | (level & ~upward))
    return low | high | (lower == upper)
