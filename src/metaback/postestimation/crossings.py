"""Where a profile log-likelihood crosses the level of its interval: every crossing, so that a gap is seen."""

from __future__ import annotations

import numpy as np

from metaback.postestimation.curves import Profile, profile
from metaback.postestimation.summary import Analysis
from metaback.stats.wls import Floats

PARTS = 16  # of a bracket that one batch call looks at
ROUNDS = 12  # 16^12 is beyond the digits of a double
FINE = 400  # values at which a curve is looked at besides its own
NEAR_ZERO = 1e-3  # of the smallest variance: nearer to 0 a likelihood of tau2 does not turn


def fine_values(analysis: Analysis, found: Profile) -> Floats:
    """Return values of a profile that are close enough to show its peaks, in order: those of the curve and 400 more.

    They are as far apart in proportion for tau2, whose likelihood can turn on the scale of the smallest variance, and
    evenly spaced for the mean.
    """
    first, last = float(found.values.min()), float(found.values.max())
    effects = analysis.fitted.effects
    if found.of == "tau2":
        start = max(first, NEAR_ZERO * float(effects.vi[effects.estimable].min()))
        more = np.geomspace(start, last, FINE) if start < last else found.values
    else:
        more = np.linspace(first, last, FINE)
    inside = [found.peak] if first <= found.peak <= last else []
    return np.unique(np.concatenate([found.values, more, inside]))


def crossings(analysis: Analysis, found: Profile) -> Floats:
    """Return the values at which the profile crosses its cut, in order, (m,).

    Every change of sign of loglik - cut between two neighbours of `fine_values` is narrowed down by batch calls of 16
    points, to the last digits.

    Edges: an interval of tau2 that begins at 0 has no crossing there. The outermost crossings are the limits of the
    interval. Source: Hardy & Thompson 1996.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> analysis = mb.pool(pain).analysis
    >>> curve = profile(analysis)
    >>> bool(np.isclose(crossings(analysis, curve)[-1], curve.high))
    True
    """
    values = fine_values(analysis, found)
    above = profile(analysis, of=found.of, values=values).loglik >= found.cut
    at = np.flatnonzero(above[1:] != above[:-1])
    low, high, rising = values[at], values[at + 1], above[at + 1]
    if not at.size:
        return low
    share = np.arange(1, PARTS) / PARTS
    for _ in range(ROUNDS):
        inner = low[:, None] + (high - low)[:, None] * share
        loglik = profile(analysis, of=found.of, values=inner.ravel()).loglik.reshape(inner.shape)
        past = (loglik >= found.cut) == rising[:, None]
        first = np.where(past.any(axis=1), past.argmax(axis=1), PARTS - 1)
        grid = np.concatenate([low[:, None], inner, high[:, None]], axis=1)
        rows = np.arange(at.size)
        low, high = grid[rows, first], grid[rows, first + 1]
    return (low + high) / 2
