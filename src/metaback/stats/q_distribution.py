"""The exact distribution of a generalised Q statistic, a weighted sum of chi-square variables."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from metaback.stats.roots import Index, bracketed_root, rising_bracket
from metaback.stats.wls import Floats, Problems

Complexes = NDArray[np.complex128]

STEP = 0.18  # of the trapezoidal rule, in widths of the saddle: the pole is at least 1 away, exp(-2 pi / 0.18) = 7e-16
BEND = 0.1  # how far the contour opens with the number of studies, so that it keeps away from the singularities
FALL = 40.0  # the contour ends where the integrand has fallen by exp(-40)
HALVINGS = 16  # of the bracket of the saddle, which need not be exact
BLOCK = 2_000_000  # complex numbers held at a time


def generalised_q(problems: Problems, a: Floats) -> Floats:
    """Return Q_a = sum a_i (y_i - x_i'b_a)^2 with b_a the fit with weights a, (n,).

    a: (k, n) weights, 0 where masked. Source: Jackson 2013.
    """
    if problems.X is None:
        mean = np.einsum("kn,kn->n", a, problems.y) / a.sum(axis=0)
        r = problems.y - mean
        return np.einsum("kn,kn->n", a * r, r)
    q, _ = _orthogonal(problems, a)
    z = np.sqrt(a).T * problems.y.T
    e = z - np.einsum("nkp,np->nk", q, np.einsum("nkp,nk->np", q, z))
    return (e * e).sum(axis=1)


def _orthogonal(problems: Problems, a: Floats) -> tuple[Floats, Floats]:
    """Return the QR factors of A^1/2 X with columns of unit length."""
    X = np.sqrt(a).T[..., None] * (np.ones((*a.T.shape, 1)) if problems.X is None else problems.X)
    norm = np.sqrt((X * X).sum(axis=1, keepdims=True))
    q, r = np.linalg.qr(X / np.where(norm > 0, norm, 1.0))
    return q, r


def probability_below(problems: Problems, a: Floats, tau2: Floats, q: Floats) -> Floats:
    """Return P(Q_a <= q) under tau2, (n,), to about 1e-13 absolute.

    Q_a is distributed as sum lambda_j chi2_1, lambda_j the eigenvalues of P_a^1/2 (V + tau2 I) P_a^1/2. Its Laplace
    transform M(z) = prod (1 + 2 z lambda_j)^-1/2 needs no eigenvalue: the determinant is a product over studies times
    one of size p. F(q) = (1 / 2 pi i) int M(z) e^{zq} dz / z is taken along a parabola around the negative axis, where
    all singularities lie, so that the trapezoidal rule converges geometrically; its
    vertex is the saddle of the integrand, so that many studies do as well as few.

    a: (k, n) weights, 0 where masked; tau2, q: (n,). Edges: 0 for q <= 0. Source: Imhof 1961 for the distribution;
    Jackson 2013 for its use; Weideman & Trefethen 2007 for the contour.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> three = prepare(np.zeros((1, 3)), np.ones((1, 3)), np.ones((1, 3), bool))
    >>> bool(abs(probability_below(three, np.ones((3, 1)), np.zeros(1), np.array([2.0]))[0] - (1 - np.exp(-1))) < 1e-13)
    True
    """
    out = np.zeros(problems.n)
    size = max(1, BLOCK // (_nodes(float(problems.m.max(initial=1.0))) * max(1, problems.y.shape[0])))
    positive = np.flatnonzero(q > 0)
    for start in range(0, positive.size, size):
        rows = positive[start : start + size]
        out[rows] = _inverted(problems.take(rows), a[:, rows], tau2[rows], q[rows])
    return np.clip(out, 0.0, 1.0)


def tau2_at_probability(problems: Problems, a: Floats, q: Floats, p: float) -> Floats:
    """Return tau2 such that P(Q_a <= q; tau2) = p, (n,); 0 where that probability is not above p at tau2 = 0.

    The probability falls with tau2, so there is at most one solution.

    a: (k, n) weights, 0 where masked; q: (n,) finite; p: in (0, 1). Source: Jackson 2013.
    """
    unit = problems.v_min

    def curve(t: Floats, index: Index) -> Floats:
        at = unit[index] * np.expm1(t)
        return probability_below(problems.take(index), a[:, index], at, q[index]) - p

    return unit * np.expm1(bracketed_root(curve, *rising_bracket(curve, np.ones(problems.n))))


def _inverted(problems: Problems, a: Floats, tau2: Floats, q: Floats) -> Floats:
    """Invert the transform for one block along z = -f + (z0 + f) (1 + iw)^2, w = (j + 1/2) step.

    The vertex z0 is the saddle of the integrand on z > 0; the focus -f lies right of -b, from where on to the left the
    transform is singular.
    """
    g = np.where(a > 0, a * (np.where(a > 0, problems.v, 0.0) + tau2), 0.0)
    z0, width = _saddle(problems, a, g, q)
    focus = np.minimum(1 / (2 * g.max(axis=0)), z0 * (1 + BEND * np.sqrt(problems.m)))
    span = z0 + focus
    h = STEP * width / (2 * span)
    w = (np.arange(_nodes(float(problems.m.max()))) + 0.5)[:, None] * h
    z = span * (1 + 1j * w) ** 2 - focus
    terms = z * q + _transform(problems, a, g, z)
    return h / math.pi * (np.exp(terms) / z * (2j * span * (1 + 1j * w))).imag.sum(axis=0)


def _nodes(m: float) -> int:
    """Return how many nodes reach the end of the contour: the integrand falls at least as exp(-w^2 / 4) does there."""
    return math.ceil(math.sqrt(4 * FALL * (2 + BEND * math.sqrt(m))) / STEP)


def _saddle(problems: Problems, a: Floats, g: Floats, q: Floats) -> tuple[Floats, Floats]:
    """Return about where e^{zq} M(z) / z is smallest on z > 0 and the width of that saddle, (n,).

    With c = 2 z lambda / (1 + 2 z lambda), in [0, 1): z q = 1 + sum c / 2 and z^2 / width^2 = 1 + sum c^2 / 2. The
    sums over eigenvalues are those over studies less p times a weighted mean.
    """

    def sums(z: Floats) -> tuple[Floats, Floats]:
        far = 1 + 2 * z * g
        c, w = 2 * z * g / far, a / far  # not a (1 - c), which is 0 for a vast tau2
        return c.sum(axis=0) - problems.p * (w * c).sum(axis=0) / w.sum(axis=0), (c * c).sum(axis=0)

    low, high = 1 / q, (1 + problems.m / 2) / q
    for _ in range(HALVINGS):
        middle = np.sqrt(low * high)
        right = middle * q < 1 + sums(middle)[0] / 2
        low, high = np.where(right, middle, low), np.where(right, high, middle)
    z0 = np.sqrt(low * high)
    return z0, z0 / np.sqrt(1 + sums(z0)[1] / 2)


def _transform(problems: Problems, a: Floats, g: Floats, z: Complexes) -> Complexes:
    """Return log M(z) at z (nodes, n): -1/2 [sum log(1 + 2 z g) + log det(X'A(1 + 2 z g)^-1 X) - log det(X'AX)]."""
    factor = 1 + 2 * z[:, None] * g
    total = np.log(factor).sum(axis=1)
    if problems.X is None:
        inner = np.log((a / factor).sum(axis=1) / a.sum(axis=0))
    else:
        basis, _ = _orthogonal(problems, a)
        matrix = np.einsum("nkp,jkn,nkq->jnpq", basis, 1 / factor, basis)
        # each eigenvalue lies in the lower half plane, so that the principal logarithms add up to the right branch
        eigenvalues: Complexes = np.asarray(np.linalg.eigvals(matrix), dtype=complex)
        inner = np.log(eigenvalues).sum(axis=-1)
    return -0.5 * (total + inner)
