"""Climb a likelihood within bounds: Newton steps where the curvature is that of a peak, scoring steps elsewhere.

Replicates climb together; each has its own parameters, bounds and step length, and leaves when it is done. A
parameter at a bound whose slope points outward rests there.
"""

from __future__ import annotations

from collections.abc import Callable
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
        return Peak(self.x[which], _take(self.at, which), self.converged[which], self.steps[which], self.resting[which])


@dataclass(slots=True)
class _State:
    """What changes while climbing; every array has the R replicates first."""

    x: Floats
    at: Slope
    step: Floats
    left: Places
    steps: Places
    converged: Bools


def climb(objective: Objective, x: Floats, lower: Floats, upper: Floats, size: float) -> Peak:
    """Return the peaks above the starts x (R, q) within lower and upper (R, q).

    objective: from x and the numbers of the replicates to their `Slope`. size: number of rows, which sets the rounding
    of a log-likelihood. A step d solves -H d = g on the parameters that do not rest at a bound; where -H is not
    positive definite the expected information takes its place. Steps are shortened until the likelihood rises.
    """
    R: int = x.shape[0]
    x = np.asarray(np.clip(x, lower, upper))
    state = _State(
        x=x, at=objective(x, np.arange(R)), step=np.ones(R), left=np.full(R, POLISH, dtype=np.intp),
        steps=np.zeros(R, dtype=np.intp), converged=np.zeros(R, dtype=np.bool_),
    )  # fmt: skip
    running = np.flatnonzero(np.isfinite(state.at.value))
    for _ in range(STEPS):
        if not running.size:
            break
        running = _advance(objective, state, running, lower, upper, size)
    resting = _resting(state.x, state.at.gradient, lower, upper)
    return Peak(state.x, state.at, state.converged, state.steps, resting)


def _advance(objective: Objective, state: _State, running: Places, lower: Floats, upper: Floats, size: float) -> Places:
    """Take one step of each running replicate and return those that go on."""
    here = _take(state.at, running)
    x, low, high = state.x[running], lower[running], upper[running]
    resting = _resting(x, here.gradient, low, high)
    d = direction(here, resting)
    full = np.clip(x + d, low, high)
    noise = ROUNDING * (size + np.abs(here.value))
    scale = np.abs(x) + 1e-6 / np.sqrt(np.maximum(np.diagonal(here.fisher, axis1=1, axis2=2), 1e-300)).clip(
        1e-300, 1e300
    )
    arrived = (np.abs(full - x) <= SHORTEST * scale).all(axis=1)
    gain = (here.gradient * np.where(resting, 0, d)).sum(axis=1)
    polishing = (gain < noise) & ~arrived
    state.left[running[polishing]] -= 1
    arrived |= state.left[running] < 0
    state.converged[running[arrived]] = True
    on = ~arrived
    running, x, polishing = running[on], x[on], polishing[on]
    if not running.size:
        return running
    trial = np.clip(x + state.step[running, None] * d[on], low[on], high[on])
    at = objective(trial, running)
    rise = 1e-4 * np.maximum((here.gradient[on] * (trial - x)).sum(axis=1), 0)
    better = np.isfinite(at.value) & ((at.value >= here.value[on] + rise - noise[on]) | polishing)
    state.steps[running] += 1
    taken = running[better]
    state.x[taken] = trial[better]
    _put(state.at, taken, at, better)
    state.step[taken] = 1.0
    state.step[running[~better]] *= 0.25
    return running[state.step[running] > 1e-12]


def direction(at: Slope, resting: Bools) -> Floats:
    """Return the step (R, q) of Newton, or of scoring where the likelihood is not curved like a peak.

    Parameters are scaled by their expected information, so that what is flat does not depend on their units. Along
    directions without curvature nothing moves. At a saddle the step follows the direction that curves upward.
    """
    spread = np.diagonal(at.fisher, axis1=1, axis2=2)
    curve = np.abs(np.diagonal(at.hessian, axis1=1, axis2=2))
    size = np.where(spread > 1e-8 * curve, spread, curve)
    scale = np.where(size > 0, 1 / np.sqrt(np.where(size > 0, size, 1.0)), 0.0)
    free = np.where(resting, 0.0, scale)
    both = free[:, :, None] * free[:, None, :]
    g = at.gradient * free
    values, vectors = np.linalg.eigh(-at.hessian * both)
    lowest = values[:, 0] if values.shape[1] else np.zeros(values.shape[0])
    step = _solve(values, vectors, g)
    saddle = lowest < -FLAT
    if saddle.any():
        scored = _solve(*np.linalg.eigh(at.fisher[saddle] * both[saddle]), g[saddle])
        still = (np.abs(scored) < 1e-7).all(axis=1) & (lowest[saddle] < -1e-4)
        scored[still] += 0.1 * vectors[saddle][still][:, :, 0]
        step[saddle] = scored
    return step * free


def _solve(values: Floats, vectors: Floats, g: Floats) -> Floats:
    """Return the solution of a symmetric system by its eigenvalues, 0 along those that are flat."""
    along = np.einsum("rij,ri->rj", vectors, g)
    steep = values > FLAT
    return np.einsum("rij,rj->ri", vectors, np.where(steep, along / np.where(steep, values, 1.0), 0.0))


def _resting(x: Floats, gradient: Floats, lower: Floats, upper: Floats) -> Bools:
    """Tell which parameters stand at a bound that the slope points through, or cannot move at all."""
    return ((x <= lower) & (gradient <= 0)) | ((x >= upper) & (gradient >= 0)) | (lower == upper)


def _take(at: Slope, which: Places) -> Slope:
    """Return the slopes of some replicates."""
    return Slope(at.value[which], at.gradient[which], at.hessian[which], at.fisher[which])


def _put(into: Slope, which: Places, at: Slope, kept: Bools) -> None:
    """Write the slopes of replicates that moved."""
    into.value[which] = at.value[kept]
    into.gradient[which] = at.gradient[kept]
    into.hessian[which] = at.hessian[kept]
    into.fisher[which] = at.fisher[kept]
