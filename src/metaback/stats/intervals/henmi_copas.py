"""The interval of Henmi and Copas: centred at the fixed-effect mean, which publication bias moves least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc

from metaback.stats.intervals.family import IntervalRequest, Limits, whole_mean_rule
from metaback.stats.roots import Index, bracketed_root, rising_bracket
from metaback.stats.wls import Floats, Problems, coefficients, moments

PANELS = 12  # unit panels of the integral over a standard normal variable: beyond 12 it is below 1e-32
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
TINY = 1e-100  # a conditional variance below this is a point mass
SMALL = 1e-9  # places of the pivot below this have a tail of one half


@dataclass(frozen=True, slots=True)
class _Pivot:
    """Conditional moments of Q given R = sqrt(W1) (mean - mu): E = e0 + e2 R^2, Var = v0 + v2 R^2; all (n,).

    sdr: standard deviation of R; reach: W1^2 / W2 - 1; m: k - 1.
    """

    sdr: Floats
    e0: Floats
    e2: Floats
    v0: Floats
    v2: Floats
    reach: Floats
    m: Floats

    def take(self, rows: Index) -> _Pivot:
        return _Pivot(*(getattr(self, name)[rows] for name in self.__slots__))


def _pivot(problems: Problems, tau2: Floats) -> _Pivot:
    """Compute the moments at tau2: exact, since y is normal and Q + R^2 is a quadratic form of it.

    With d_i = 1 + tau2 w_i: var R = r = W1^-1 sum w d; a = W1^-1 sum w d^2; b = W1^-1 sum w d^3;
    E = sum d - a/r + R^2 (a/r^2 - 1); Var = 2 [sum d^2 - 2 b/r + (a/r)^2] + 4 R^2 (b - a^2/r) / r^2.
    """
    w = 1 / problems.v
    d = np.where(w > 0, 1 + tau2 * w, 0.0)
    share = w / w.sum(axis=0)
    r, a, b = ((share * d**power).sum(axis=0) for power in (1, 2, 3))
    return _Pivot(
        sdr=np.sqrt(r),
        e0=d.sum(axis=0) - a / r,
        e2=a / r**2 - 1,
        v0=2 * ((d * d).sum(axis=0) - 2 * b / r + (a / r) ** 2),
        v2=4 * (b - a * a / r) / r**2,
        reach=1 / (share * share).sum(axis=0) - 1,
        m=problems.m,
    )


def _tail(x: Floats, pivot: _Pivot) -> Floats:
    """Return P(R / sdr > x f(Q)), x > 0, with f^2 = 1 + (Q - m)+ / reach and Q given R a gamma variable, (n,)."""
    z = x[:, None, None] + (np.arange(PANELS)[:, None] + (NODES + 1) / 2)
    p = _Pivot(*(getattr(pivot, name)[:, None, None] for name in pivot.__slots__))
    r2 = (p.sdr * z) ** 2
    mean, variance = p.e0 + p.e2 * r2, p.v0 + p.v2 * r2
    bound = p.m + p.reach * ((z / x[:, None, None]) ** 2 - 1)
    safe = np.maximum(variance, TINY)
    inner = gammainc(mean * mean / safe, bound * mean / safe)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return (WEIGHTS / 2 * inner * density).sum(axis=(1, 2))


@whole_mean_rule(
    "HC",
    title="Henmi-Copas",
    short="Henmi-Copas",
    text="followed Henmi and Copas: centred at the mean with fixed-effect weights, which give small studies less "
    "influence, with limits that allow for heterogeneity",
    cite="henmi2010",
    test="Henmi-Copas",
)
def henmi_copas(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return the interval of Henmi and Copas; the given tau2 is not used, theirs is DerSimonian and Laird's.

    Point: sum y/v / sum 1/v. With R = sqrt(W1) (point - mu) and Q Cochran's statistic, the pivot R / f(Q) has the
    tail int P(Q <= f^-1(r / x) | r) dN(r); given R, Q is taken as gamma with its exact mean and variance. The p value
    inverts the interval.

    Edges: with tau2 = 0 the limits are still wider than the Wald limits. Source: Henmi & Copas 2010. Same as
    `metafor::hc`.
    """
    zero = np.zeros(problems.n)
    now = moments(problems, zero)
    dl = np.maximum(0.0, (now.q1 - problems.m) / now.t1)
    fixed = coefficients(problems, zero)
    point, unit = fixed.beta[:, 0], np.sqrt(fixed.cov[:, 0, 0])
    pivot = _pivot(problems, dl)
    goal = (1 - request.level) / 2

    def curve(x: Floats, rows: Index) -> Floats:
        return np.where(x > SMALL, _tail(np.maximum(x, SMALL), pivot.take(rows)), 0.5) - goal

    x = bracketed_root(curve, *rising_bracket(curve, np.ones(problems.n)))
    se = pivot.sdr * unit
    half = x * pivot.sdr * se
    statistic = point / se
    tested = np.abs(statistic) / pivot.sdr
    p = np.where(tested > SMALL, 2 * _tail(np.maximum(tested, SMALL), pivot), 1.0)
    df = np.full(problems.n, np.inf)
    return Limits(point, se, df, point - half, point + half, statistic, p, zero)
