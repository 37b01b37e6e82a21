"""Weighted least squares to the last digits: corrections from residuals that carry twice the digits of a double.

The coefficients b and the weighted residuals l solve l / w + X b = y and X'l = 0 (the augmented system). Its residuals
are formed without rounding; a QR factor in plain doubles turns them into corrections. Source: Björck 1967.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]  # a number as an unevaluated sum: what a double holds, and the rest
SPLIT = 134217729.0  # 2^27 + 1: cuts a double into two halves whose products are exact
ROUNDS = 3  # the plain solution and two corrections, each of which gains the digits that the condition number leaves


def _two_sum(a: Floats, b: Floats) -> Pair:
    """Return a + b and its rounding error."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _two_product(a: Floats, b: Floats) -> Pair:
    """Return a b and its rounding error."""
    p = a * b
    c, d = SPLIT * a, SPLIT * b
    a1, b1 = c - (c - a), d - (d - b)
    a2, b2 = a - a1, b - b1
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def _sum(high: Floats, low: Floats) -> Pair:
    """Add up along axis 1 by halves, with the rounding errors."""
    while high.shape[1] > 1:
        half = high.shape[1] // 2
        odd_high, odd_low = high[:, 2 * half :], low[:, 2 * half :]
        high, error = _two_sum(high[:, :half], high[:, half : 2 * half])
        low = low[:, :half] + low[:, half : 2 * half] + error
        high, low = np.concatenate((high, odd_high), axis=1), np.concatenate((low, odd_low), axis=1)
    return high[:, 0], low[:, 0]


def _add(a: Pair, step: Floats) -> Pair:
    """Add a correction to a pair."""
    high, error = _two_sum(a[0], step)
    return _two_sum(high, a[1] + error)


def refined(y: Floats, v: Floats, X: Floats, q: Floats, r: Floats) -> tuple[Floats, Floats]:
    """Return coefficients (n, p) and weighted residuals (n, k), right to the last digits of the doubles y, v and X.

    y, v: (n, k) effects and total variances, inf where masked; X: (n, k, p), 0 where masked; q, r: QR factors of
    W^1/2 X. Edges: with a condition number near 1e16 the corrections gain nothing and do no harm.

    >>> y, v = np.array([[1.0, 2.0, 4.0]]), np.ones((1, 3))
    >>> X = np.array([[[1.0, 2000.0], [1.0, 2001.0], [1.0, 2002.0]]])
    >>> beta, _ = refined(y, v, X, *np.linalg.qr(X))
    >>> [round(float(b), 9) for b in beta[0]]
    [-2999.166666667, 1.5]
    """
    known = ~np.isinf(v)
    total = np.where(known, v, 1.0)
    root = np.where(known, 1 / np.sqrt(total), 0.0)
    beta: Pair = (np.zeros(X[:, 0].shape), np.zeros(X[:, 0].shape))
    dual: Pair = (np.zeros(y.shape), np.zeros(y.shape))
    for _ in range(ROUNDS):
        product, rest = _two_product(X, beta[0][:, None])
        fitted, error = _two_product(total, dual[0])
        parts = np.concatenate((y[..., None], -fitted[..., None], -product), axis=-1).swapaxes(1, 2)
        small = -(error + total * dual[1]) - (rest + X * beta[1][:, None]).sum(axis=-1)
        high, low = _sum(parts, np.zeros(parts.shape))
        f = np.where(known, high + (low + small), 0.0)
        product, rest = _two_product(X, dual[0][..., None])
        high, low = _sum(product, rest + X * dual[1][..., None])
        g = -(high + low)
        h = np.asarray(np.linalg.solve(r.swapaxes(-1, -2), g[..., None]), dtype=float)[..., 0]
        u = root * f
        inner: Floats = (q.swapaxes(-1, -2) @ u[..., None])[..., 0] - h
        beta = _add(beta, np.asarray(np.linalg.solve(r, inner[..., None]), dtype=float)[..., 0])
        dual = _add(dual, root * (u - (q @ inner[..., None])[..., 0]))
    return beta[0], dual[0]
