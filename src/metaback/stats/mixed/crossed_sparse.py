"""Eliminate crossed effects one after the other, with the first and second derivatives of every number.

The matrix [[I + Gamma W, Gamma Z'AY], [Y'AZ, Y'AY]] with A = D^-1 and W = Z'AZ has the determinant of the first part
log|M| - log|D|, and Y'M^-1 Y is what is left of the last part when the others are eliminated. Its entries are known
functions of the parameters, so that derivatives go along with the elimination: no inverse is formed where effects are
few to meet, and the traces of the likelihood's slope and curvature are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lapack as _lapack

from metaback.stats.mixed.crossed_order import Order
from metaback.stats.mixed.records import Floats

STRIP = 512  # rows of whole matrices that are turned together
lapack: Any = _lapack  # has no types


@dataclass(frozen=True, slots=True)
class Eliminated:
    """log|C|, its slope (J,) and curvature (J, J); the border left with its derivatives (layers, Q, Q); good."""

    log_det: float
    slope: Floats
    curvature: Floats
    border: Floats
    good: bool


def pairs_of(J: int) -> list[tuple[int, int]]:
    """List the pairs of parameters in the order of the layers of second derivatives.

    >>> pairs_of(2)
    [(0, 0), (0, 1), (1, 1)]
    """
    return [(j, k) for j in range(J) for k in range(j, J)]


def eliminated(order: Order, layers: Floats, J: int, roots: Floats | None = None) -> Eliminated:
    """Eliminate everything but the border; layers (1 or 1 + J + J(J + 1)/2, size) are changed.

    Layers: the matrix, its derivatives, then its second derivatives in the order of `pairs_of`. roots: (q,) scale on
    which the matrix is symmetric and positive definite, C_ab s_b / s_a, if there is one.
    """
    log_det, slope, curvature, good = 0.0, np.zeros(J), np.zeros((J, J)), True
    for front in order.fronts:
        one = _front(layers[:, front.places], front.pivots.shape[1], J)
        log_det, slope, curvature = log_det + one.log_det, slope + one.slope, curvature + one.curvature
        good &= one.good
        flat = one.border.reshape(len(layers), -1)
        changed = layers[:, front.into]
        changed += np.asarray(front.spread @ flat.T).T
        layers[:, front.into] = changed
    c = order.core.size
    core = layers[:, order.keys.size :].reshape(len(layers), 1, c, c)
    own = c - order.border
    one = _front(core, own, J, None if roots is None else roots[order.core[:own]])
    edge = core[:, 0, c - order.border :, c - order.border :] + one.border[:, 0]
    return Eliminated(log_det + one.log_det, slope + one.slope, curvature + one.curvature, edge, good and one.good)


def _front(F: Floats, w: int, J: int, roots: Floats | None = None) -> Eliminated:
    """Eliminate the first w rows of matrices F (layers, g, s, s), which are changed; border: what the others get.

    With B = F11^-1, X = F21 B and Y = B F12: U = -F21 Y; dU + dF22 = [-X, I] dF [-Y; I]; the second derivative adds
    - [-X, I] dF_j [I; 0] B [I, 0] dF_k [-Y; I] and the same with j and k exchanged.
    """
    layers = F.shape[0]
    m = F.shape[2] - w
    out = np.zeros((layers, F.shape[1], m, m))
    if layers == 1 and w > 1:
        return _without_inverse(F[0], w, out)
    B, log_det, good = _inverse(F[0, :, :w, :w]) if roots is None else _whole_inverse(F[0, 0, :w, :w], roots)
    if not good:
        return Eliminated(0.0, np.zeros(J), np.zeros((J, J)), out, False)
    if roots is not None:  # a whole matrix is large: its inverse takes its place
        F[0, :, :w, :w] = B
        B = F[0, :, :w, :w]
    X, Y = _times(F[0, :, w:, :w], B), _times(B, F[0, :, :w, w:])
    out[0] = -_times(F[0, :, w:, :w], Y)
    slope, curvature = np.zeros(J), np.zeros((J, J))
    if layers == 1:
        return Eliminated(log_det, slope, curvature, out, True)
    tops: list[Floats] = []
    lefts: list[Floats] = []
    for j in range(J):
        D = F[1 + j]
        BD = _times(B, D[:, :w, :w])
        top = D[:, :w, w:] - _times(D[:, :w, :w], Y)
        tops.append(_times(B, top))
        lefts.append(D[:, w:, :w] - _times(X, D[:, :w, :w]))
        out[1 + j] = -_times(D[:, w:, :w], Y) - _times(X, top)
        slope[j] = np.einsum("gaa->", BD)
        D[:, :w, :w] = BD
    for place, (j, k) in enumerate(pairs_of(J), start=1 + J):
        D = F[place]
        top = D[:, :w, w:] - _times(D[:, :w, :w], Y)
        out[place] = -_times(D[:, w:, :w], Y) - _times(X, top)
        out[place] -= _times(lefts[j], tops[k]) + _times(lefts[k], tops[j])
        curved = _trace(B, D[:, :w, :w]) - _trace(F[1 + j, :, :w, :w], F[1 + k, :, :w, :w])
        curvature[j, k] = curvature[k, j] = curved
    return Eliminated(log_det, slope, curvature, out, True)


def _without_inverse(F: Floats, w: int, out: Floats) -> Eliminated:
    """Eliminate the first w rows of matrices F (g, s, s) without derivatives, into out (1, g, m, m)."""
    none = np.zeros(0), np.zeros((0, 0))
    pivots = F[:, :w, :w]
    sign, log_det = np.linalg.slogdet(pivots) if np.isfinite(pivots).all() else (np.zeros(1), np.zeros(1))
    if (sign <= 0).any():
        return Eliminated(0.0, *none, out, False)
    out[0] = -F[:, w:, :w] @ np.linalg.solve(pivots, F[:, :w, w:])
    return Eliminated(float(log_det.sum()), *none, out, True)


def _whole_inverse(C: Floats, roots: Floats) -> tuple[Floats, float, bool]:
    """Return the inverse (1, w, w) of C that is symmetric on the scale of the roots (w,), log|C|, and whether it is."""
    log_det, inverse = symmetric_inverse(np.asarray(C * (roots / roots[:, None])).T)  # by columns, as LAPACK has it
    if inverse is None:
        return C[None], 0.0, False
    inverse *= roots[:, None]
    inverse /= roots
    return inverse[None], log_det, True


def symmetric_inverse(H: Floats) -> tuple[float, Floats | None]:
    """Return log|H| and the inverse of a symmetric H (w, w), which is overwritten; None if it is not positive definite.

    >>> log_det, inverse = symmetric_inverse(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> round(log_det, 6), inverse.round(6).tolist()
    (1.098612, [[0.666667, -0.333333], [-0.333333, 0.666667]])
    """
    root, info = lapack.dpotrf(np.asfortranarray(H), lower=1, overwrite_a=1, clean=1)
    if info:
        return np.nan, None
    log_det = 2 * float(np.log(np.diagonal(root)).sum())
    K: Floats = lapack.dpotri(root, lower=1, overwrite_c=1)[0]
    for start in range(0, K.shape[0], STRIP):
        end = start + STRIP
        K[start:end, end:] = K[end:, start:end].T
        square = np.tril(K[start:end, start:end])
        K[start:end, start:end] = square + np.tril(square, -1).T
    return log_det, K


def _inverse(F: Floats) -> tuple[Floats, float, bool]:
    """Return inverses of F (g, w, w), the sum of log|F|, and whether all determinants are positive."""
    if F.shape[1] == 1:
        if not (F > 0).all():
            return F, 0.0, False
        return 1 / F, float(np.log(F).sum()), True
    if not np.isfinite(F).all():
        return F, 0.0, False
    sign, log_det = np.linalg.slogdet(F)
    if (sign <= 0).any():
        return F, 0.0, False
    return np.asarray(np.linalg.inv(F), dtype=float), float(log_det.sum()), True


def _trace(a: Floats, b: Floats) -> float:
    """Return the sum of the traces of a b for stacks of matrices."""
    return float(np.einsum("gab,gba->", a, b))


def _times(a: Floats, b: Floats) -> Floats:
    """Return a b for stacks of matrices; with one column on the left a product of numbers is faster."""
    return a * b if a.shape[-1] == 1 else a @ b
