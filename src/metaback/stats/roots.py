"""Roots of monotone functions over a batch, in lockstep, and the best point of a curve with one peak per bracket."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metaback.stats.wls import Floats

Index = NDArray[np.intp]
Curve = Callable[[Floats, Index], Floats]

CLOSE = 4e-16  # relative distance of the ends of a bracket at which neighbouring doubles are reached
MAX_STEPS = 200  # bisection alone needs about 60
MAX_DOUBLINGS = 1000  # of a bracket; beyond lie infinities
GOLDEN = 0.6180339887498949
GOLDEN_STEPS = 60  # 0.618^60 = 3e-13: the value at the peak, flat there, is then right to the last bit


def bracketed_root(curve: Curve, low: Floats, high: Floats) -> Floats:
    """Return where `curve(x, rows)` changes its sign between low and high, (n,), by Chandrupatla's method.

    curve: values (r,) at x (r,) for the problems `rows`; its signs at both ends differ, or the end nearer to zero is
    returned. nan ends give nan. Source: Chandrupatla 1997.

    >>> import numpy as np
    >>> bracketed_root(lambda x, rows: x * x - 2, np.array([0.0]), np.array([2.0])).round(12).tolist()
    [1.414213562373]
    """
    rows = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    out = np.where(np.isfinite(low) & np.isfinite(high), low, np.nan)
    b, a = low[rows], high[rows]
    fb, fa = curve(b, rows), curve(a, rows)
    c, fc, t = a, fa, np.full(rows.size, 0.5)
    for _ in range(MAX_STEPS):
        if not rows.size:
            break
        x = a + t * (b - a)
        fx = curve(x, rows)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        best, width = np.where(np.abs(fb) < np.abs(fa), b, a), np.abs(b - a)
        share = np.maximum(CLOSE * np.abs(best), np.finfo(float).tiny) / np.where(width > 0, width, 1.0)
        out[rows] = best
        live = (width > 0) & (share < 0.5) & (fa != 0) & (fb != 0)
        t = np.clip(_next_step(a, b, c, fa, fb, fc), np.minimum(share, 0.5), np.maximum(1 - share, 0.5))
        rows = rows[live]
        a, b, c, fa, fb, fc, t = a[live], b[live], c[live], fa[live], fb[live], fc[live], t[live]
    return out


def _next_step(a: Floats, b: Floats, c: Floats, fa: Floats, fb: Floats, fc: Floats) -> Floats:
    """Return the share of the bracket to step: inverse quadratic interpolation where it is safe, else one half."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        safe = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
        t = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
    return np.where(safe & np.isfinite(t), t, 0.5)


def rising_bracket(curve: Curve, start: Floats) -> tuple[Floats, Floats]:
    """Return ends low, high (n,) in x >= 0 between which a falling `curve` goes from above to below zero.

    start: (n,) positive, the first guess of high, which is doubled as long as the curve is positive there; high is inf
    where it stays positive. Where the curve is not positive at 0 both ends are 0.
    """
    n = start.size
    low, high = np.zeros(n), np.zeros(n)
    rows = np.flatnonzero(curve(np.zeros(n), np.arange(n)) > 0)
    high[rows] = start[rows]
    for _ in range(MAX_DOUBLINGS):
        if not rows.size:
            break
        rows = rows[curve(high[rows], rows) > 0]
        low[rows] = high[rows]
        high[rows] *= 2
        rows = rows[np.isfinite(high[rows])]
    return low, high


def peak_between(curve: Curve, low: Floats, high: Floats) -> Floats:
    """Return where `curve(x, rows)`, which has one peak between low and high, (n,), is highest: golden sections."""
    rows = np.arange(low.size)
    a, b = low.copy(), high.copy()
    x, y = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
    fx, fy = curve(x, rows), curve(y, rows)
    for _ in range(GOLDEN_STEPS):
        left = fx >= fy
        a, b = np.where(left, a, x), np.where(left, y, b)
        new = np.where(left, b - GOLDEN * (b - a), a + GOLDEN * (b - a))
        f_new = curve(new, rows)
        x, y, fx, fy = (
            np.where(left, new, y),
            np.where(left, x, new),
            np.where(left, f_new, fy),
            np.where(left, fx, f_new),
        )
    return np.where(fx >= fy, x, y)
