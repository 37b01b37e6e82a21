"""Weighted least squares on masked batches: the quantities that every estimator of tau2 is made of.

Notation: w_i = 1 / (v_i + tau2), W = diag(w), P = W - W X (X'WX)^-1 X'W. Batches are stored study-major, (k, n) for
n independent problems, so that sums over studies run over whole rows of memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Problems:
    """n independent problems, prepared: the study of smallest variance stands first and is the origin of y.

    With the heaviest study at the origin no sum below loses digits, whatever the ratio of the variances.

    y, v: (k, n) effects minus `origin`, variances; 0 and inf where masked, so that the weight of a gap is 0.
    X: (n, k, p) design or None for a mean alone; origin: (n,).
    m: (n,) residual degrees of freedom, number of studies minus p; v_min: (n,) smallest variance.
    """

    y: Floats
    v: Floats
    X: Floats | None
    origin: Floats
    m: Floats
    v_min: Floats

    @property
    def n(self) -> int:
        """Count the problems."""
        return self.y.shape[1]

    @property
    def p(self) -> int:
        """Count the coefficients."""
        return 1 if self.X is None else self.X.shape[-1]

    def take(self, index: NDArray[np.intp] | slice) -> Problems:
        """Select problems (with repeats if the index repeats)."""
        X = None if self.X is None else self.X[index]
        y, v = self.y[:, index], self.v[:, index]
        return Problems(y, v, X, self.origin[index], self.m[index], self.v_min[index])


@dataclass(frozen=True, slots=True)
class Moments:
    """Quadratic forms and traces of P at one tau2 per problem, each (n,).

    q1 = y'Py (generalised Q), q2 = y'PPy, q3 = y'PPPy, t1 = tr P, t2 = tr PP. All are completely monotone in tau2:
    positive, decreasing, convex in the logarithm; dq1/dtau2 = -q2, dq2/dtau2 = -2 q3, dt1/dtau2 = -t2.
    """

    q1: Floats
    q2: Floats
    q3: Floats
    t1: Floats
    t2: Floats


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Weighted least squares at one tau2 per problem: beta (n, p) on the input's origin, cov (n, p, p), q1 (n,).

    logdet: (n,) log |X'WX|; logdet_x: (n,) log |X'X|; sum_log: (n,) sum of log(v + tau2).
    """

    beta: Floats
    cov: Floats
    q1: Floats
    logdet: Floats
    logdet_x: Floats
    sum_log: Floats


def prepare(y: Floats, v: Floats, mask: Bools, X: Floats | None = None) -> Problems:
    """Put a batch `(n, k)` into the order and origin that keep digits; what is masked has no influence."""
    k = y.shape[1]
    v = np.where(mask, v, np.inf).T
    y = np.where(mask, y, 0.0).T
    if X is None:
        first = np.argmin(v, axis=0)
        order = np.repeat(np.arange(k, dtype=np.intp)[:, None], y.shape[1], axis=1)
        order[first, np.arange(y.shape[1])] = 0
        order[0] = first
    else:
        order = np.argsort(v, axis=0, kind="stable")
        X = np.take_along_axis(np.where(mask[..., None], X, 0.0), order.T[..., None], axis=1)
    y, v = np.take_along_axis(y, order, axis=0), np.take_along_axis(v, order, axis=0)
    origin = y[0].copy() if X is None else np.zeros(y.shape[1])
    y = np.where(np.isinf(v), 0.0, y - origin)
    m = mask.sum(axis=1) - (1.0 if X is None else float(X.shape[-1]))
    return Problems(y, v, X, origin, m, np.where(np.isinf(v[0]), 1.0, v[0]))


def moments(problems: Problems, tau2: Floats) -> Moments:
    """Evaluate the quadratic forms and traces at `tau2` (n,); for a mean alone also at (points, n)."""
    return _moments_mean(problems, tau2) if problems.X is None else _moments_design(problems, tau2)


def _dot(a: Floats, b: Floats) -> Floats:
    """Sum products over studies (no BLAS, so that the order of summation is fixed)."""
    return np.einsum("k...,k...->...", a, b)


def _moments_mean(problems: Problems, tau2: Floats) -> Moments:
    """Evaluate for a mean alone, from sums that only add what is positive."""
    y, v = problems.y, problems.v
    if tau2.ndim > 1:
        y, v = y[:, None], v[:, None]
    w = 1 / (v + tau2)
    w0, rest = w[0], w[1:]
    sum1 = rest.sum(axis=0)
    total = w0 + sum1
    square = rest * rest
    sum2, sum3 = square.sum(axis=0), _dot(square, rest)
    r = y - _dot(w, y) / total
    u = w * r
    d = u - _dot(w, u) / total
    t1 = ((w0 + total) * sum1 - sum2) / total
    t2 = (w0 * sum1 / total) ** 2 + sum2 - 2 * sum3 / total + (2 * w0**2 + sum2) * sum2 / total**2
    return Moments(_dot(u, r), _dot(u, u), _dot(w * d, d), t1, t2)


def _factor(problems: Problems, tau2: Floats) -> tuple[Floats, Floats, Floats]:
    """Return w (n, k) and the QR factors of W^1/2 X with columns scaled to unit length (the scale goes into R)."""
    w = 1 / (problems.v + tau2).T
    A = np.sqrt(w)[..., None] * (np.ones((*w.shape, 1)) if problems.X is None else problems.X)
    norm = np.sqrt((A * A).sum(axis=1, keepdims=True))
    norm = np.where(norm > 0, norm, 1.0)
    q, r = np.linalg.qr(A / norm)
    return w, q, r * norm


def _moments_design(problems: Problems, tau2: Floats) -> Moments:
    """Evaluate with a design by QR: P = W^1/2 (I - QQ') W^1/2."""
    w, q, _ = _factor(problems, tau2)
    root = np.sqrt(w)

    def project(b: Floats) -> Floats:
        inner = np.einsum("nkp,nk->np", q, b)
        return b - np.einsum("nkp,np->nk", q, inner)

    e = project(root * problems.y.T)
    u = root * e
    f = project(root * u)
    h = np.einsum("nkp,nkp->nk", q, q)
    inner = np.einsum("nkp,nk,nkq->npq", q, w, q)
    t2 = (w * w * (1 - 2 * h)).sum(-1) + (inner * inner).sum((-1, -2))
    return Moments((e * e).sum(-1), (u * u).sum(-1), (f * f).sum(-1), (w * (1 - h)).sum(-1), t2)


def coefficients(problems: Problems, tau2: Floats) -> Coefficients:
    """Fit by weighted least squares at `tau2` (n,)."""
    total_v = problems.v + tau2
    sum_log = np.log(np.where(np.isinf(total_v), 1.0, total_v)).sum(axis=0)
    if problems.X is None:
        w = 1 / total_v
        total = w.sum(axis=0)
        mean = _dot(w, problems.y) / total
        r = problems.y - mean
        q1 = _dot(w * r, r)
        count = problems.m + 1
        cov = (1 / total)[:, None, None]
        return Coefficients((problems.origin + mean)[:, None], cov, q1, np.log(total), np.log(count), sum_log)
    w, q, r = _factor(problems, tau2)
    z = np.sqrt(w) * problems.y.T
    right: Floats = np.einsum("nkp,nk->np", q, z)
    beta = np.asarray(np.linalg.solve(r, right[..., None]), dtype=float)[..., 0]
    e = z - np.einsum("nkp,np->nk", q, np.einsum("nkp,nk->np", q, z))
    inverse = np.asarray(np.linalg.inv(r), dtype=float)
    cov = np.einsum("npq,nrq->npr", inverse, inverse)
    logdet = 2 * np.log(np.abs(np.diagonal(r, axis1=-2, axis2=-1))).sum(-1)
    plain = np.linalg.qr(problems.X, mode="r")
    logdet_x = 2 * np.log(np.abs(np.diagonal(plain, axis1=-2, axis2=-1))).sum(-1)
    return Coefficients(beta, cov, (e * e).sum(-1), logdet, logdet_x, sum_log)


def shares(v: Floats, mask: Bools, tau2: Floats) -> Floats:
    """Return each study's share of the mean, (n, k), rows summing to 1; 0 where masked."""
    w = np.where(mask, 1 / (np.where(mask, v, 1.0) + tau2[:, None]), 0.0)
    return w / w.sum(axis=-1, keepdims=True)
