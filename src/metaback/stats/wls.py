"""Weighted least squares on masked batches: the quantities that every estimator of tau2 is made of.

Notation: w_i = 1 / (v_i + tau2), W = diag(w), P = W - W X (X'WX)^-1 X'W. Batches are stored study-major, (k, n) for
n independent problems, so that sums over studies run over whole rows of memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaback.stats.refine import refined
from metaback.stats.thin_qr import PLAIN, ROUND, TALL, gram_spread, thin_qr

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
MANY = 100  # problems from which arrays of all of them beat a factorisation of each
FEW_COLUMNS = 3  # of a design that is orthogonalised column by column
SMALL = 4096  # numbers below which a temporary array costs less than the set-up of einsum


@dataclass(frozen=True, slots=True)
class Problems:
    """n independent problems, prepared: the study of smallest variance stands first and is the origin of y.

    With the heaviest study at the origin no sum below loses digits, whatever the ratio of the variances.

    y, v: (k, n) effects minus `origin`, variances; 0 and inf where masked, so that the weight of a gap is 0.
    X: (n, k, p) design or None for a mean alone; origin: (n,).
    m: (n,) residual degrees of freedom, number of studies minus p; v_min: (n,) smallest variance.
    weights: (k, n) the user's weights of the mean, or None for those of least squares.
    constant: (n,) which column of X is constant, -1 where none is. Where one is, the other columns stand as their
    differences from the heaviest study's values `shift` (n, p): years lose no digits to the year 0.
    """

    y: Floats
    v: Floats
    X: Floats | None
    origin: Floats
    m: Floats
    v_min: Floats
    weights: Floats | None = None
    constant: NDArray[np.intp] | None = None
    shift: Floats | None = None

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
        constant = None if self.constant is None else self.constant[index]
        shift = None if self.shift is None else self.shift[index]
        weights = None if self.weights is None else self.weights[:, index]
        y, v = self.y[:, index], self.v[:, index]
        return Problems(y, v, X, self.origin[index], self.m[index], self.v_min[index], weights, constant, shift)


@dataclass(frozen=True, slots=True)
class Moments:
    """Quadratic forms and traces of P at one tau2 per problem, each (n,).

    q1 = y'Py (generalised Q), q2 = y'PPy, q3 = y'PPPy, t1 = tr P, t2 = tr PP, w1 = tr W, w2 = tr WW. All are
    completely monotone in tau2: positive, decreasing, convex in the logarithm; dq1/dtau2 = -q2, dq2/dtau2 = -2 q3,
    dt1/dtau2 = -t2, dw1/dtau2 = -w2.
    """

    q1: Floats
    q2: Floats
    q3: Floats
    t1: Floats
    t2: Floats
    w1: Floats
    w2: Floats


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


def prepare(y: Floats, v: Floats, mask: Bools, X: Floats | None = None, weights: Floats | None = None) -> Problems:
    """Put a batch `(n, k)` into the order and origin that keep digits; what is masked has no influence."""
    v, y = (np.ascontiguousarray(np.where(mask, a, gap).T) for a, gap in ((v, np.inf), (y, 0.0)))
    own = None if weights is None else np.ascontiguousarray(np.where(mask, weights, 0.0).T)
    m = mask.sum(axis=1) - (1.0 if X is None else float(X.shape[-1]))
    if X is None:
        first = np.argmin(v, axis=0)
        for values in (y, v) if own is None else (y, v, own):
            _swap(values, first)
        origin = y[0].copy()
        v_min = np.where(np.isinf(v[0]), 1.0, v[0])
        return Problems(np.where(np.isinf(v), 0.0, y - origin), v, None, origin, m, v_min, own)
    order = np.argsort(v, axis=0, kind="stable")
    y, v = np.take_along_axis(y, order, axis=0), np.take_along_axis(v, order, axis=0)
    own = None if own is None else np.take_along_axis(own, order, axis=0)
    v_min = np.where(np.isinf(v[0]), 1.0, v[0])
    known = ~np.isinf(v).T
    X = np.take_along_axis(np.where(mask[..., None], X, 0.0), order.T[..., None], axis=1)
    X, constant, shift = _centred(X, known)
    origin = np.where(constant >= 0, y[0], 0.0)
    return Problems(np.where(known.T, y - origin, 0.0), v, X, origin, m, v_min, own, constant, shift)


def _swap(values: Floats, row: NDArray[np.intp]) -> None:
    """Let the first row of an array (k, n) and row `row` (n,) change places, in place."""
    columns: NDArray[np.intp] = np.arange(values.shape[1], dtype=np.intp)
    top = values[0].copy()
    values[0] = values[row, columns]
    values[row, columns] = top


def _centred(X: Floats, known: Bools) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Subtract the first study's values from all columns but a constant one, where there is one (-1 where not)."""
    first = X[:, 0, :]
    flat = ((first[:, None] == X) | ~known[..., None]).all(axis=1) & (first != 0)
    constant = np.where(flat.any(axis=1), flat.argmax(axis=1), -1)
    column: NDArray[np.intp] = np.arange(int(X.shape[-1]), dtype=np.intp)
    moved = np.not_equal(column, constant[:, None]) & (constant >= 0)[:, None]
    shift = np.where(moved, first, 0.0)
    return np.where(known[..., None], X - shift[:, None], 0.0), constant, shift


def full_rank(problems: Problems) -> Bools:
    """Tell which problems have a design of full column rank, (n,).

    Columns are scaled to unit length, after the shift; singular values below what rounding of the raw columns can
    make count as 0. A design whose columns were shifted is judged by the spread of its columns, not by their size.
    """
    if problems.X is None or not problems.n:
        return np.ones(problems.n, dtype=bool)
    X, shift = problems.X, problems.shift
    norm = np.sqrt((X**2).sum(axis=1))
    raw = np.abs(X).max(axis=1) + (0.0 if shift is None else np.abs(shift))
    scale = np.where(norm > 0, norm, 1.0)
    noise = (np.finfo(float).eps * X.shape[1] * np.maximum(raw / scale, 1.0)).max(axis=-1)
    X = X / scale[:, None]
    if X.shape[1] * X.shape[2] >= TALL and ((gram_spread(X) > ROUND) & (noise < ROUND)).all():
        return np.ones(problems.n, dtype=bool)
    values = np.linalg.svd(X, compute_uv=False)
    return (norm > 0).all(axis=-1) & (values.shape[-1] >= problems.p) & (values[:, -1] > noise * values[:, 0])


def moments(problems: Problems, tau2: Floats) -> Moments:
    """Evaluate the quadratic forms and traces at `tau2` (n,); for a mean alone also at (points, n)."""
    if problems.X is None:
        return _moments_mean(problems, tau2)
    few = problems.p <= FEW_COLUMNS and problems.n >= MANY
    return _moments_columns(problems, tau2) if few else _moments_design(problems, tau2)


def _dot(a: Floats, b: Floats) -> Floats:
    """Sum products over studies (no BLAS, so that the order of summation is fixed)."""
    if a.size < SMALL:
        return np.add.reduce(a * b, axis=0)
    return np.einsum("k...,k...->...", a, b)


def _moments_mean(problems: Problems, tau2: Floats) -> Moments:
    """Evaluate for a mean alone, from sums that only add what is positive."""
    y, v = problems.y, problems.v
    if tau2.ndim > 1:
        y, v = y[:, None], v[:, None]
    w = v + tau2
    np.reciprocal(w, out=w)  # large arrays are used again: fresh ones cost as much as the arithmetic
    w0, rest = w[0], w[1:]
    sum1 = rest.sum(axis=0)
    total = w0 + sum1
    square = rest * rest
    sum2, sum3 = square.sum(axis=0), _dot(square, rest)
    r = y - _dot(w, y) / total
    u = w * r
    q1, q2 = _dot(u, r), _dot(u, u)
    d = np.subtract(u, _dot(w, u) / total, out=r)
    q3 = _dot(np.multiply(w, d, out=u), d)
    t1 = ((w0 + total) * sum1 - sum2) / total
    t2 = (w0 * sum1 / total) ** 2 + sum2 - 2 * sum3 / total + (2 * w0**2 + sum2) * sum2 / total**2
    return Moments(q1, q2, q3, t1, t2, total, w0 * w0 + sum2)


def sum_of_squares(problems: Problems) -> Floats:
    """Return the unweighted residual sum of squares, (n,)."""
    if problems.X is not None:
        return moments(replace(problems, v=np.where(np.isinf(problems.v), np.inf, 1.0)), np.zeros(problems.n)).q1
    r = problems.y - problems.y.sum(axis=0) / (problems.m + 1)
    r[np.isinf(problems.v)] = 0.0
    return _dot(r, r)


def diagonal(problems: Problems, tau2: Floats) -> Floats:
    """Return the diagonal of P at `tau2` (n,), shape (k, n): w_i (1 - leverage of study i); 0 where masked."""
    if problems.X is None:
        w = 1 / (problems.v + tau2)
        rest = w[1:].sum(axis=0)
        total = w[0] + rest
        out = w * (total - w) / total
        out[0] = w[0] * rest / total
        return out
    w, q, _ = _factor(problems, tau2)
    return (w * (1 - np.einsum("nkp,nkp->nk", q, q))).T


def reweighted(problems: Problems, a: Floats) -> Problems:
    """Return the problems with weights a (k, n) at tau2 = 0 in place of 1 / v; a weight of 0 takes a study out."""
    with np.errstate(divide="ignore"):
        v = np.where(np.isinf(problems.v), np.inf, 1 / a)
    return replace(problems, v=v)


def _factor(problems: Problems, tau2: Floats) -> tuple[Floats, Floats, Floats]:
    """Return w (n, k) and the QR factors of W^1/2 X with columns scaled to unit length (the scale goes into R)."""
    w = 1 / (problems.v + tau2).T
    A = np.sqrt(w)[..., None] * (np.ones((*w.shape, 1)) if problems.X is None else problems.X)
    norm = np.sqrt((A * A).sum(axis=1, keepdims=True))
    norm = np.where(norm > 0, norm, 1.0)
    q, r = thin_qr(A / norm)
    return w, q, r * norm


def _moments_design(problems: Problems, tau2: Floats) -> Moments:
    """Evaluate with a design by QR: P = W^1/2 (I - QQ') W^1/2."""
    w, q, _ = _factor(problems, tau2)
    root = np.sqrt(w)

    e, _ = _project(q, root * problems.y.T)
    u = root * e
    f, _ = _project(q, root * u)
    h = np.einsum("nkp,nkp->nk", q, q)
    inner = q.swapaxes(-1, -2) @ (w[..., None] * q)
    t2 = (w * w * (1 - 2 * h)).sum(-1) + (inner * inner).sum((-1, -2))
    t1 = (w * (1 - h)).sum(-1)
    return Moments((e * e).sum(-1), (u * u).sum(-1), (f * f).sum(-1), t1, t2, w.sum(-1), (w * w).sum(-1))


def _moments_columns(problems: Problems, tau2: Floats) -> Moments:
    """Evaluate many problems of few columns: Gram and Schmidt, each column twice, on arrays of all problems.

    Orthogonalising twice leaves columns that are orthogonal to rounding, as Householder's factors are.
    """
    w = 1 / (problems.v + tau2)
    root = np.sqrt(w)
    basis: list[Floats] = []
    for column in np.moveaxis(problems.X, -1, 0) if problems.X is not None else ():
        left = _beside(basis, root * column.T)
        if basis:
            left = _beside(basis, left / np.sqrt(_dot(left, left)))
        basis.append(left / np.sqrt(_dot(left, left)))
    e = _beside(basis, root * problems.y)
    u = root * e
    f = _beside(basis, root * u)
    remain = 1 - sum((q * q for q in basis), np.zeros_like(w))
    weighted = [w * q for q in basis]
    inner = sum((_dot(a, b) ** 2 for a in weighted for b in basis), np.zeros(problems.n))
    t2 = _dot(w * w, 2 * remain - 1) + inner
    return Moments(_dot(e, e), _dot(u, u), _dot(f, f), _dot(w, remain), t2, w.sum(axis=0), _dot(w, w))


def _beside(basis: list[Floats], b: Floats) -> Floats:
    """Return what is left of b (k, n) beside orthonormal columns, each (k, n)."""
    for q in basis:
        b = b - q * _dot(q, b)
    return b


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
    beta, q1 = _solved(problems, total_v, q, r)
    inverse = np.asarray(np.linalg.inv(r), dtype=float)
    cov = np.einsum("npq,nrq->npr", inverse, inverse)
    logdet = 2 * np.log(np.abs(np.diagonal(r, axis1=-2, axis2=-1))).sum(-1)
    size = np.sqrt((problems.X * problems.X).sum(axis=1, keepdims=True))
    plain = thin_qr(problems.X / size)[1] * size
    logdet_x = 2 * np.log(np.abs(np.diagonal(plain, axis1=-2, axis2=-1))).sum(-1)
    beta, cov = _unshifted(problems, beta, cov)
    return Coefficients(beta, cov, q1, logdet, logdet_x, sum_log)


def _solved(problems: Problems, total_v: Floats, q: Floats, r: Floats) -> tuple[Floats, Floats]:
    """Return the coefficients (n, p) and q1 (n,); corrected by residuals of twice the digits where those can help.

    A tall design of condition below 10 leaves nothing to correct, nor does one of many, where a last digit is not worth
    the time. total_v: (k, n); q, r: QR factors of W^1/2 X.
    """
    X = np.empty((0, 0, 0)) if problems.X is None else problems.X
    norm = np.sqrt((r * r).sum(axis=1, keepdims=True))
    unit = r / np.where(norm > 0, norm, 1.0)
    easy = np.full(problems.n, X.shape[1] * X.shape[2] >= TALL or problems.n >= MANY)
    if easy.any():
        easy = gram_spread(unit) > PLAIN
    beta, q1 = np.empty((problems.n, problems.p)), np.empty(problems.n)
    rows = np.flatnonzero(easy)
    if rows.size:
        part = problems if rows.size == problems.n else problems.take(rows)
        e, inner = _project(q[easy], (part.y / np.sqrt(total_v[:, rows])).T)
        e, more = _project(q[easy], e)
        beta[rows] = np.asarray(np.linalg.solve(r[easy], (inner + more)[..., None]), dtype=float)[..., 0]
        q1[rows] = (e * e).sum(-1)
    rows = np.flatnonzero(~easy)
    if rows.size:
        v = total_v.T[rows]
        beta[rows], dual = refined(problems.y.T[rows], v, X[rows], q[rows], r[rows])
        known = ~np.isinf(v)
        q1[rows] = np.where(known, dual * dual * np.where(known, v, 1.0), 0.0).sum(-1)
    return beta, q1


def _project(q: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return what is left of b (n, k) beside the columns of q (n, k, p), and its share of each column."""
    inner: Floats = (q.swapaxes(-1, -2) @ b[..., None])[..., 0]
    return b - (q @ inner[..., None])[..., 0], inner


def _unshifted(problems: Problems, beta: Floats, cov: Floats) -> tuple[Floats, Floats]:
    """Return coefficients and covariance for the columns and effects as they came (see `Problems.shift`)."""
    X, constant, shift = problems.X, problems.constant, problems.shift
    if X is None or constant is None or shift is None:
        return beta, cov
    has, rows = constant >= 0, np.arange(problems.n)
    level = np.where(has, X[rows, 0, constant], 1.0)
    back = np.broadcast_to(np.eye(problems.p), cov.shape).copy()
    back[rows, constant] -= np.where(has[:, None], shift / level[:, None], 0.0)
    beta = np.einsum("npq,nq->np", back, beta)
    beta[rows, constant] += np.where(has, problems.origin / level, 0.0)
    return beta, back @ cov @ back.swapaxes(-1, -2)


def with_weights(problems: Problems, fit: Coefficients, tau2: Floats) -> Coefficients:
    """Return the fit with the point and the covariance of the user's weights; all else stays that of least squares.

    For a mean sum a y / sum a with variance sum a^2 (v + tau2) / (sum a)^2; with a design (X'AX)^-1 X'A y and its
    sandwich. A weight may be 0. Source: Rice, Higgins & Lumley 2018; same as `metafor::rma(weights=)`.
    """
    if problems.weights is None:
        return fit
    with np.errstate(invalid="ignore"):
        total_v = np.where(np.isinf(problems.v), 0.0, problems.v + tau2)
    if problems.X is None:
        share = problems.weights / problems.weights.sum(axis=0)
        beta = (problems.origin + _dot(share, problems.y))[:, None]
        return replace(fit, beta=beta, cov=_dot(share * share, total_v)[:, None, None])
    a, q, r = _factor(reweighted(problems, problems.weights), np.zeros(problems.n))
    hat: Floats = np.einsum("npq,nkq->npk", np.asarray(np.linalg.inv(r), dtype=float), q * np.sqrt(a)[..., None])
    beta = np.einsum("npk,kn->np", hat, problems.y)
    beta, cov = _unshifted(problems, beta, np.einsum("npk,kn,nqk->npq", hat, total_v, hat))
    return replace(fit, beta=beta, cov=cov)


def shares(v: Floats, mask: Bools, tau2: Floats, weights: Floats | None = None) -> Floats:
    """Return each study's share of the mean, (n, k), rows summing to 1; 0 where masked.

    weights: (n, k) the user's weights, or None for 1 / (v + tau2).
    """
    own = 1 / (np.where(mask, v, 1.0) + tau2[:, None]) if weights is None else weights
    w = np.where(mask, own, 0.0)
    return w / w.sum(axis=-1, keepdims=True)
