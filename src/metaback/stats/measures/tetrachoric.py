"""The correlation of two normal variables that were both cut, from the table of the halves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from metaback.stats.measures.family import Floats

STEP = 1 / 32  # of the double exponential rule: 1e-14 for every table whose counts are below 1e8
REACH = 3.2  # the rule's outermost node: the weight there is below 1e-15
ROUNDS = 100  # of the safeguarded Newton steps; 12 are usual
ENOUGH = 4e-16  # relative step at which an angle is found


@dataclass(frozen=True, slots=True)
class Tetrachoric:
    """Correlations and their Fisher's z with variances, (k,); nan where a cell is 0 or nan."""

    rho: Floats
    variance: Floats
    z: Floats
    variance_z: Floats


@dataclass(frozen=True, slots=True)
class _Cuts:
    """What the density along the angle t = acos(rho) depends on: half the squared difference and the product."""

    half_square: Floats
    product: Floats

    def density(self, t: Floats) -> Floats:
        """Return the density at the cuts times sin t: exp(-(h - k)^2/(2 sin^2 t) - hk/(1 + cos t))/(2 pi)."""
        shape = (-1,) + (1,) * (t.ndim - 1)
        half_square, product = self.half_square.reshape(shape), self.product.reshape(shape)
        return np.exp(-half_square / np.sin(t) ** 2 - product / (1 + np.cos(t))) / (2 * np.pi)


def _rule() -> tuple[Floats, Floats]:
    """Return nodes in (0, 1) as distances from the nearer end (right half negative) and weights, tanh-sinh rule."""
    x = np.arange(-round(REACH / STEP), round(REACH / STEP) + 1) * STEP
    u = np.pi * np.sinh(np.abs(x))
    near = np.exp(-u) / (1 + np.exp(-u))
    weights = STEP * np.pi * np.cosh(x) * near * (1 - near)
    return np.where(x <= 0, near, -near), weights


NODES, WEIGHTS = _rule()


def _integral(cuts: _Cuts, low: Floats, high: Floats) -> Floats:
    """Integrate the density over the angle from low to high, (k,); nodes crowd at both ends, where it may be steep."""
    width = (high - low)[:, None]
    t = np.where(NODES >= 0, low[:, None], high[:, None]) + NODES * width
    return (cuts.density(t) * WEIGHTS).sum(axis=1) * width[:, 0]


def _solve(cuts: _Cuts, target: Floats, from_one: NDArray[np.bool_]) -> Floats:
    """Find the angle at which the integral meets the target: from 0 upward, or from pi/2 downward.

    Newton's method for the logarithms of angle and integral inside a bracket, with bisection as the net.
    """
    quarter = np.full(target.shape, np.pi / 2)
    low, high = np.full(target.shape, 1e-12), quarter.copy()
    angle = np.clip(target / cuts.density(quarter), 1e-9, 1.0)
    active = np.ones(target.shape, dtype=bool)
    for _ in range(ROUNDS):
        ends = np.where(from_one, 0.0, quarter - angle), np.where(from_one, angle, quarter)
        value, slope = _integral(cuts, *ends), cuts.density(np.where(from_one, angle, quarter - angle))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            low, high = np.where(value < target, angle, low), np.where(value < target, high, angle)
            step = np.log(target / value) * value / (angle * slope)
            guess = angle * np.exp(step)
        inside = (guess > low) & (guess < high)
        guess = np.where(inside, guess, np.sqrt(low * high))
        done = np.abs(guess - angle) <= ENOUGH * angle
        angle = np.where(active, guess, angle)
        active &= ~done
        if not active.any():
            break
    return angle


def tetrachoric(a: Floats, b: Floats, c: Floats, d: Floats) -> Tetrachoric:
    """Compute the tetrachoric correlation, its Fisher's z and their variances.

    a, b, c, d: (k,) cells, rows (a, b) and (c, d). The cuts h, k are the normal quantiles of the margins; along the
    angle t = acos(rho) the probability of the first cell grows by the density, so that rho solves
    (ad - bc)/N^2 = integral from t to pi/2, or min(b, c)/N = integral from 0 to t (for ad > bc; else two columns
    change places and rho its sign). The smaller of the two targets is taken; both are sums of positive numbers, and
    so no digits are lost to rare events, huge samples or correlations near 1. The variance is by the delta method for
    a multinomial table: v = var(g)/(N phi_2^2) with g = 1 - u_1 - u_2, -u_1, -u_2, 0 in the four cells, phi_2 the
    density, u_1 = P(Y < k | X = h) and u_2 = P(X < h | Y = k). Source: Kirk 1973 (the integral); Brown & Benedetti
    1977 (the variance).

    >>> found = tetrachoric(*(np.array([x]) for x in (40.0, 10.0, 10.0, 40.0)))
    >>> float(found.rho.round(6)[0])
    0.809017
    """
    full = (a > 0) & (b > 0) & (c > 0) & (d > 0)
    a, b, c, d = (np.where(full, cell, 1.0) for cell in (a, b, c, d))
    sign = np.where(a * d >= b * c, 1.0, -1.0)
    a, b, c, d = np.where(sign > 0, (a, b, c, d), (b, a, d, c))
    total = a + b + c + d
    h, k = normal_quantile(a + b, c + d), normal_quantile(a + c, b + d)
    cuts = _Cuts((h - k) ** 2 / 2, h * k)
    excess, missing = (a * d - b * c) / total**2, np.minimum(b, c) / total
    from_one = missing < excess
    angle = np.where(excess == 0, 0.0, _solve(cuts, np.where(from_one, missing, np.maximum(excess, 1e-300)), from_one))
    t = np.where(from_one, angle, np.pi / 2 - angle)
    sine = np.where(from_one, np.sin(angle), np.cos(angle))
    rho = np.where(from_one, np.cos(angle), np.sin(angle))
    spread = _spread((a, b, c, d), h, k, t, sine) / (total * cuts.density(t) ** 2)
    z = np.where(
        from_one, -np.log(np.tan(np.where(from_one, angle, 1.0) / 2)), np.arctanh(np.where(from_one, 0.0, rho))
    )
    blank = np.where(full, 1.0, np.nan)
    return Tetrachoric(blank * sign * rho, blank * spread * sine**2, blank * sign * z, blank * spread / sine**2)


def normal_quantile(below: Floats, above: Floats) -> Floats:
    """Return the normal quantile of a proportion, from its smaller side."""
    q: Floats = np.asarray(ndtri(np.minimum(below, above) / (below + above)), dtype=np.float64)
    return np.where(below > above, -q, q)


def _spread(cells: tuple[Floats, ...], h: Floats, k: Floats, t: Floats, sine: Floats) -> Floats:
    """Return the variance of the gradient g over the cells, with u_1 added to all four values of g."""
    a, b, c, d = cells
    total = a + b + c + d
    tangent = np.tan(t / 2)
    at_h, at_k = (k - h) / sine + h * tangent, (h - k) / sine + k * tangent
    u_1, u_2 = ndtr(at_h), ndtr(at_k)
    values = (ndtr(-at_k), np.zeros_like(u_1), u_1 - u_2, u_1)
    mean = sum(cell * value for cell, value in zip(cells, values, strict=True)) / total
    parts = [cell * (value - mean) ** 2 for cell, value in zip(cells, values, strict=True)]
    return np.sum(parts, axis=0) / total
