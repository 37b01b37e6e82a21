"""From sums over blocks to the log-likelihood of a model of dependent effects, its slope and its curvature.

y = X beta + e with e ~ N(0, M), M = V + sum of random terms. Everything the likelihood needs of M are sums over its
blocks: log|M|, K = Y'M^-1 Y with Y = [X, y], and their derivatives. Blocks of any shape, and crossed effects, come
down to this one record; replicates weight the blocks by how often they enter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaback.stats.mixed.records import Bools, Floats, Places

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over blocks at R values of J parameters, with A = M^-1, S_j = dM/du_j and S_jk the second derivative.

    log_det: (R,) log|M|; K: (R, Q, Q) Y'AY. Of order 2 only: trace (R, J) tr(A S_j); first (R, J, Q, Q) Y'A S_j A Y;
    cross (R, J, J) tr(A S_j A S_k); second (R, J, J, Q, Q) Y'A S_j A S_k A Y; bend_trace (R, J, J) tr(A S_jk) and
    bend (R, J, J, Q, Q) Y'A S_jk A Y, None where M is linear in the parameters. bad: (R,) whether an M is not positive
    definite.
    """

    log_det: Floats
    K: Floats
    bad: Bools
    trace: Floats | None = None
    first: Floats | None = None
    cross: Floats | None = None
    second: Floats | None = None
    bend_trace: Floats | None = None
    bend: Floats | None = None

    def plus(self, other: Sums) -> Sums:
        """Add the sums over other blocks."""
        return Sums(
            self.log_det + other.log_det,
            self.K + other.K,
            self.bad | other.bad,
            _add(self.trace, other.trace),
            _add(self.first, other.first),
            _add(self.cross, other.cross),
            _add(self.second, other.second),
            _add(self.bend_trace, other.bend_trace),
            _add(self.bend, other.bend),
        )


@dataclass(frozen=True, slots=True)
class Level:
    """The log-likelihoods at R parameters, without constants; beta (R, p), its covariance, and log|X'AX|."""

    reml: Floats
    ml: Floats
    beta: Floats
    cov: Floats
    good: Bools


@dataclass(frozen=True, slots=True)
class Slope:
    """The criterion (R,), its gradient (R, J), Hessian (R, J, J) and expected information (R, J, J).

    size: (R, J) what the expected information of each parameter alone would be if the coefficients were known: next to
    it an information that rounding cannot tell from 0 is seen.
    """

    value: Floats
    gradient: Floats
    hessian: Floats
    fisher: Floats
    size: Floats

    def take(self, which: Places) -> Slope:
        """Return some of the replicates."""
        return Slope(self.value[which], self.gradient[which], self.hessian[which], self.fisher[which], self.size[which])

    def put(self, which: Places, other: Slope) -> None:
        """Write another into the places `which`."""
        for mine, new in zip(self.arrays, other.arrays, strict=True):
            mine[which] = new

    def either(self, other: Slope, chosen: Bools) -> Slope:
        """Return another where chosen (R,) says so, and this one elsewhere."""
        both = zip(self.arrays, other.arrays, strict=True)
        return Slope(*(np.where(chosen.reshape(-1, *[1] * (mine.ndim - 1)), new, mine) for mine, new in both))

    @property
    def arrays(self) -> tuple[Floats, ...]:
        """List all arrays."""
        return self.value, self.gradient, self.hessian, self.fisher, self.size

    def along(self, value: Floats, first: Floats, second: Floats) -> Slope:
        """Return the slope in x of a criterion of u(x), by the derivatives of u (R, J, q) and (R, J, q, q)."""
        turned = first.swapaxes(1, 2)
        hessian = turned @ self.hessian @ first + np.einsum("rj,rjqs->rqs", self.gradient, second)
        # of a sum of parameters, at most J times the sum of their squares: enough for a scale
        size = np.einsum("rj,rjq->rq", self.size, first**2)
        gradient = np.einsum("rj,rjq->rq", self.gradient, first)
        return Slope(value, gradient, hessian, turned @ self.fisher @ first, size)


def level(sums: Sums) -> Level:
    """Return -1/2 [log|M| + log|X'AX| + y'Py] and -1/2 [log|M| + y'Py]; -inf where M or X'AX is not positive definite.

    y'Py = K_yy - K_yx K_xx^-1 K_xy; y should be free of X beta as far as is known, so that no digit is lost.

    >>> one = Sums(np.zeros(1), np.array([[[2.0, 1.0], [1.0, 3.0]]]), np.zeros(1, dtype=bool))
    >>> round(float(level(one).ml[0]), 6), float(level(one).beta[0, 0])
    (-1.25, 0.5)
    """
    p = sums.K.shape[-1] - 1
    good = ~sums.bad & np.isfinite(sums.K).all(axis=(1, 2)) & np.isfinite(sums.log_det)
    if p == 1:
        return _one_column(sums, good)
    x = sums.K[:, :p, :p]
    eye = np.eye(p)
    x = np.where(good[:, None, None], x, eye)
    scale = 1 / np.sqrt(np.maximum(np.diagonal(x, axis1=1, axis2=2), np.finfo(float).tiny))
    if p:
        good &= np.linalg.eigvalsh(x * scale[:, :, None] * scale[:, None, :])[:, 0] > 1e-13
    x = np.where(good[:, None, None], x, eye)
    cov = np.linalg.inv(x) if p else x
    xy = np.where(good[:, None], sums.K[:, :p, p], 0.0)
    beta = np.linalg.solve(x, xy[..., None])[..., 0] if p else xy
    log_x = np.linalg.slogdet(x)[1] if p else np.zeros(good.size)
    ml = -0.5 * (sums.log_det + sums.K[:, p, p] - (xy * beta).sum(axis=1))
    return Level(np.where(good, ml - 0.5 * log_x, -np.inf), np.where(good, ml, -np.inf), beta, cov, good)


def _one_column(sums: Sums, good: Bools) -> Level:
    """Return the log-likelihoods where there is one coefficient, which needs no linear algebra."""
    good &= sums.K[:, 0, 0] > 0
    if good.all():
        x, xy = sums.K[:, 0, 0], sums.K[:, 0, 1]
        beta = xy / x
        ml = -0.5 * (sums.log_det + sums.K[:, 1, 1] - xy * beta)
        return Level(ml - 0.5 * np.log(x), ml, beta[:, None], (1 / x)[:, None, None], good)
    x, xy = np.where(good, sums.K[:, 0, 0], 1.0), np.where(good, sums.K[:, 0, 1], 0.0)
    beta = xy / x
    ml = np.where(good, -0.5 * (sums.log_det + sums.K[:, 1, 1] - xy * beta), -np.inf)
    return Level(ml - 0.5 * np.log(x), ml, beta[:, None], (1 / x)[:, None, None], good)


def slope(sums: Sums, *, reml: bool) -> Slope:
    """Return value, gradient, Hessian and expected information of the criterion in the parameters of the sums.

    gradient_j = -1/2 [tr(P S_j) - y'P S_j P y]; Hessian_jk = 1/2 tr(P S_j P S_k) - y'P S_j P S_k P y
    - 1/2 [tr(P S_jk) - y'P S_jk P y]; information_jk = 1/2 tr(P S_j P S_k). For the full likelihood M^-1 stands for P
    in the traces. Source: Harville 1977.
    """
    if sums.trace is None or sums.first is None or sums.cross is None or sums.second is None:
        raise ValueError("sums of order 2 are needed")
    at = level(sums)
    if at.beta.shape[1] == 1 and sums.bend is None:
        return _slope_of_one(sums, at, sums.trace, sums.first, sums.cross, sums.second, reml=reml)
    R, J, p = *sums.trace.shape, at.beta.shape[1]
    z = np.concatenate([-at.beta, np.ones((R, 1))], axis=1)
    zz = z[:, :, None] * z[:, None]
    first_z = (sums.first[..., :p, :] @ z[:, None, :, None])[..., 0]
    gradient = -0.5 * (sums.trace - _traces(zz, sums.first))
    second = _traces(zz, sums.second)
    rest = first_z @ at.cov @ first_z.swapaxes(1, 2) - 0.5 * (second + second.swapaxes(1, 2))
    trace2 = sums.cross
    if reml:
        cx = at.cov[:, None] @ sums.first[..., :p, :p]
        flat, turned = cx.reshape(R, J, p * p), cx.swapaxes(2, 3).reshape(R, J, p * p)
        outer = _traces(at.cov, sums.second[..., :p, :p])
        gradient += 0.5 * np.trace(cx, axis1=2, axis2=3)
        trace2 = trace2 - outer - outer.swapaxes(1, 2) + flat @ turned.swapaxes(1, 2)
    hessian = 0.5 * trace2 + rest
    if sums.bend is not None and sums.bend_trace is not None:
        hessian = hessian - 0.5 * (sums.bend_trace - _traces(zz, sums.bend))
        if reml:
            hessian = hessian + 0.5 * _traces(at.cov, sums.bend[..., :p, :p])
    size = 0.5 * np.diagonal(sums.cross, axis1=1, axis2=2)
    return Slope(at.reml if reml else at.ml, gradient, hessian, 0.5 * trace2, size)


def _slope_of_one(
    sums: Sums, at: Level, trace: Floats, first: Floats, cross: Floats, second: Floats, *, reml: bool
) -> Slope:
    """Return the slope where there is one coefficient and M is linear: the same numbers, without linear algebra."""
    b, c = at.beta, at.cov[:, 0]
    left = first[..., 1] - b[:, :, None] * first[..., 0]  # by (x, y), times what is left of y
    xz, zz = left[..., 0], left[..., 1] - b * left[..., 0]
    xx, xx2 = first[..., 0, 0], second[..., 0, 0]
    b2, c2 = b[:, :, None], c[:, :, None]
    zz2 = second[..., 1, 1] - b2 * (second[..., 0, 1] + second[..., 1, 0] - b2 * xx2)
    slopes, trace2 = zz - trace, cross
    if reml:
        cx = c * xx
        slopes = slopes + cx
        trace2 = cross - c2 * (xx2 + xx2.swapaxes(1, 2)) + cx[:, :, None] * cx[:, None]
    half = 0.5 * trace2
    hessian = half + (c * xz)[:, :, None] * xz[:, None] - 0.5 * (zz2 + zz2.swapaxes(1, 2))
    size = 0.5 * np.diagonal(cross, axis1=1, axis2=2)
    return Slope(at.reml if reml else at.ml, 0.5 * slopes, hessian, half, size)


def _traces(A: Floats, forms: Floats) -> Floats:
    """Return tr(A F) (R, ...) of symmetric A (R, a, a) and forms F (R, ..., a, a)."""
    R, size = A.shape[0], A.shape[1] ** 2
    return (forms.reshape(R, -1, size) @ A.reshape(R, size, 1)).reshape(forms.shape[:-2])


def _add(a: Floats | None, b: Floats | None) -> Floats | None:
    """Add what both have; None stands for zeros."""
    if a is None or b is None:
        return b if a is None else a
    return a + b
