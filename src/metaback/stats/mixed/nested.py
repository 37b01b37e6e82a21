"""Sums for effects within clusters without any matrix: M = D + s 11' in each cluster, D diagonal.

This is the three-level model, and the model with effects of clusters alone: sampling errors are independent, every
term is an intercept, and at most one of them is shared by rows. With w = 1 / D, a = sum w, t = sum w Y in each cluster,
h = 1 / (1 + s a) and m = s h t, M^-1 Y = w (Y - m) and log|M| = sum log D + log(1 + s a) (Sherman & Morrison 1950): a
few sums over rows, then over clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from metaback.stats.blocks import BlockMatrix, on_diagonal
from metaback.stats.mixed.likelihood import Sums
from metaback.stats.mixed.products import inner, summed
from metaback.stats.mixed.records import Bools, Floats, Places, Term

CHUNK = 2_000_000  # numbers of the largest array of a step
RUN = 128  # rows that are added one after the other; longer clusters are added in pieces, for the sake of rounding


@dataclass(frozen=True, slots=True)
class Nest:
    """Rows in the order of their clusters.

    v: (n,); own: (d, n) which rows have an effect of their own by each of d terms; every: whether all have all of them.
    weighed: (d + Q Q, n) these, then products of columns and effects. gather: matrices, one after the other, from rows
    to (1 + Q) B sums over clusters: of the rows, and of them times each of Q columns and effects; none where clusters
    share nothing. cluster: (n,); columns: Q. places: where own effects, then that of clusters, stand among the
    parameters; order: the way back.
    """

    v: Floats
    own: Floats
    every: bool
    weighed: Floats
    gather: tuple[Any, ...]
    cluster: Places
    columns: int
    places: Places
    order: slice | Places


def nest_of(Y: Floats, V: BlockMatrix, terms: Sequence[Term], labels: Places) -> Nest | None:
    """Return the rows as clusters with one shared effect at most, or None where the model is not of that kind.

    Y: (n, Q) columns and effects; labels: (n,) numbers of the clusters.
    """
    own: list[Floats] = []
    shared: list[Term] = []
    places: list[int] = []
    for place, term in enumerate(terms):
        if term.structure != "ID0" or term.known is not None:
            return None
        there = term.outer >= 0
        if np.bincount(term.outer[there], minlength=1).max() <= 1:
            own.append(there.astype(float))
            places.insert(len(own) - 1, place)
        elif there.all():
            shared.append(term)
            places.append(place)
        else:
            return None
    if len(shared) > 1 or any(_filled(part) for part in V.parts):
        return None
    n, Q = Y.shape
    order = slice(None) if (labels[1:] >= labels[:-1]).all() else np.argsort(labels, kind="stable")
    cluster, columns = labels[order], np.ascontiguousarray(Y.T)[:, order]
    mine = np.array(own)[:, order] if own else np.zeros((0, n))
    weighed = np.concatenate([mine, (columns[:, None] * columns).reshape(-1, n)])
    gather = _gathering(np.concatenate([np.ones((1, n)), columns]), np.bincount(cluster)) if shared else ()
    where = np.array(places, dtype=np.intp)
    every = bool(mine.all())
    return Nest(on_diagonal(V)[order], mine, every, weighed, gather, cluster, Q, where, _way_back(places))


def _way_back(places: list[int]) -> slice | Places:
    """Return the index that brings what is listed by these places into their order.

    >>> _way_back([1, 0]), _way_back([0, 2, 1]).tolist()
    (slice(None, None, -1), [0, 2, 1])
    """
    straight = list(range(len(places)))
    if places in (straight, straight[::-1]):
        return slice(None, None, 1 if places == straight else -1)
    return np.argsort(places)


def _gathering(columns: Floats, sizes: Places) -> tuple[Any, ...]:
    """Return the matrices that add rows times columns (K, n) over clusters of so many rows each.

    >>> [step.toarray().tolist() for step in _gathering(np.array([[1.0, 1.0, 1.0]]), np.array([2, 1]))]
    [[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]
    """
    if sizes.max() <= RUN:
        return (_adding(columns, sizes),)
    pieces = -(-sizes // RUN)
    lengths = np.full(int(pieces.sum()), RUN)
    lengths[np.cumsum(pieces) - 1] = sizes - RUN * (pieces - 1)
    K = columns.shape[0]
    return _adding(columns, lengths), _adding(np.ones((1, K * lengths.size)), np.tile(pieces, K))


def _adding(columns: Floats, lengths: Places) -> Any:
    """Return the sparse matrix (K m, n) of sums over m runs of rows, so long each, times each of columns (K, n)."""
    K, n = columns.shape
    ends = np.concatenate([[0], np.cumsum(np.tile(lengths, K))]).astype(np.int32)
    rows = np.tile(np.arange(n, dtype=np.int32), K)
    return sparse.csr_array((columns.ravel(), rows, ends), shape=(ends.size - 1, n))


def _filled(part: Floats) -> bool:
    """Tell whether blocks (B, m, m) have anything beside their diagonals."""
    m = part.shape[1]
    return m > 1 and bool(part[:, ~np.eye(m, dtype=bool)].any())


def nested_sums(nest: Nest, u: Floats, counts: Floats | None, order: int) -> Sums:
    """Return the sums at u (R, J), clusters weighted by counts (R, B)."""
    d = nest.own.shape[0]
    step = max(1, CHUNK // ((1 + nest.columns) * nest.v.size * (2 + d + d * d if order else 2)))
    if u.shape[0] <= step:
        return _sums(nest, u, counts, order)
    parts = [
        _sums(nest, u[i : i + step], None if counts is None else counts[i : i + step], order)
        for i in range(0, u.shape[0], step)
    ]
    keys = ("log_det", "K", "bad", "trace", "first", "cross", "second")[: None if order else 3]
    return Sums(**{key: np.concatenate([getattr(part, key) for part in parts]) for key in keys})


@dataclass(frozen=True, slots=True)
class _At:
    """Sums over rows at R parameters: traces (d, R, f) over own effects, forms (R, f, Q, Q) of Y, log|D| (R,), bad."""

    traces: Floats
    forms: Floats
    log_det: Floats
    bad: Bools


@dataclass(frozen=True, slots=True)
class _Shared:
    """What clusters have at R parameters: x (f, 1 + Q, R, B) of `_by_cluster`; h, g = s h: (R, B); m: (Q, R, B)."""

    x: Floats
    h: Floats
    g: Floats
    m: Floats


def _sums(nest: Nest, u: Floats, counts: Floats | None, order: int) -> Sums:
    """Return the sums of one chunk of replicates."""
    d, Q, R = nest.own.shape[0], nest.columns, u.shape[0]
    c = None if counts is None else counts[:, nest.cluster]
    s = u[:, nest.places[:d]]
    D = nest.v + (s.sum(axis=1, keepdims=True) if nest.every else s @ nest.own)
    bad = np.zeros(R, dtype=bool)
    if not D.min(initial=1.0) > 0:
        below = ~(D > 0)
        bad = np.asarray((below if c is None else below & (c > 0)).any(axis=1))
        D = np.where(below, 1.0, D)
    F = _weights(nest, 1 / D, order)
    logs = np.log(D)
    log_det = (logs if c is None else logs * c).sum(axis=1)
    counted = F if c is None else F * c.T[:, :, None]
    forms = summed(nest.weighed, counted.reshape(D.shape[1], -1)).reshape(d + Q * Q, R, -1)
    at = _At(forms[:d], forms[d:].transpose(1, 2, 0).reshape(R, -1, Q, Q), log_det, bad)
    if nest.gather:
        return _of_clusters(nest, at, _by_cluster(nest, F), u[:, nest.places[d]], counts, order)
    return _of_rows(nest, at) if order else Sums(log_det, at.forms[:, 0], bad)


def _weights(nest: Nest, w: Floats, order: int) -> Floats:
    """Return the weights F (n, R, f) of rows: w (R, n), w^2 p_j, w^3 p_j p_k, p_j the rows with own effect j.

    Of order 0 there is w alone.
    """
    d, w = nest.own.shape[0] if order else 0, np.ascontiguousarray(w.T)
    F = np.empty((*w.shape, 1 + d + d * d))
    F[:, :, 0] = w
    mine = [w if nest.every else w * own[:, None] for own in nest.own[:d]]
    for j in range(d):
        F[:, :, 1 + j] = square = w * mine[j]
        for k in range(d):
            np.multiply(square, mine[k], out=F[:, :, 1 + d + d * j + k])
    return F


def _by_cluster(nest: Nest, F: Floats) -> Floats:
    """Return the sums over clusters (f, 1 + Q, R, B) of weights F (n, R, f), and of these times columns and effects."""
    n, R, f = F.shape
    out = F.reshape(n, R * f)
    for step in nest.gather:
        out = step @ out
    return np.ascontiguousarray(out.reshape(1 + nest.columns, -1, R, f).transpose(3, 0, 2, 1))


def _of_rows(nest: Nest, at: _At) -> Sums:
    """Return the sums where clusters share nothing: those over rows are all."""
    d, R = nest.own.shape[0], at.forms.shape[0]
    Q = nest.columns
    trace, cross = at.traces[:, :, 0].T, at.traces[:, :, 1 : 1 + d].transpose(1, 2, 0)
    first, second = at.forms[:, 1 : 1 + d], at.forms[:, 1 + d :].reshape(R, d, d, Q, Q)
    return _in_order(nest, Sums(at.log_det, at.forms[:, 0], at.bad, trace, first, cross, second))


def _of_clusters(nest: Nest, at: _At, x: Floats, s: Floats, counts: Floats | None, order: int) -> Sums:
    """Return the sums with effects of clusters of variance s (R,); x: (f, 1 + Q, R, B), see `_by_cluster`."""
    a, t = x[0, 0], x[0, 1:]
    sa = s[:, None] * a
    bad = at.bad | ~(sa > -1).all(axis=1)
    h = 1 / (1 + sa)
    g = s[:, None] * h
    m = g * t
    more = np.log1p(sa)
    log_det = at.log_det + (more if counts is None else more * counts).sum(axis=1)
    if order:
        return _in_order(nest, _slopes(nest, _At(at.traces, at.forms, log_det, bad), _Shared(x, h, g, m), counts))
    left, right = t.swapaxes(0, 1), m.swapaxes(0, 1)
    return Sums(log_det, at.forms[:, 0] - inner(left if counts is None else left * counts[:, None], right), bad)


def _slopes(nest: Nest, at: _At, of: _Shared, counts: Floats | None) -> Sums:
    """Return the sums of order 2, the effect of clusters last among the parameters.

    With E = M^-1 Y = w (Y - m), r_j = sum w p_j E and tau = sum E in each cluster: Y'A P_j A Y = sum p_j E E',
    Y'A P_j A P_k A Y = sum w p_j p_k E E' - g r_j r_k', Y'A P_j A 11'A Y = h r_j tau', and a sum of f E E' / w^2 is
    that of f Y Y' less (t - a m / 2) m' and its transpose. All are products of two vectors over clusters, and one
    product of matrices has them all.
    """
    d, (Q, R, B), x, h, g = nest.own.shape[0], of.m.shape, of.x, of.h, of.g
    f, e, n, one = _begins(d, Q)
    left, right = np.empty((n + (d + 1) ** 2, R, B)), np.empty((one + d + 3, R, B))
    a2, right[:Q], right[one], right[-2] = x[1 : 1 + d, 0], of.m, 1.0, h
    ah, ga2 = np.multiply(x[0, 0], h, out=right[-1]), np.multiply(g, a2, out=right[one + 1 : one + 1 + d])
    r, tau = right[Q : one - Q], np.multiply(x[0, 1:], h, out=right[one - Q : one])
    np.subtract(x[1 : 1 + d, 1:], a2[:, None] * of.m, out=r.reshape(d, Q, R, B))
    half = np.multiply(-0.5 * x[:, :1], of.m, out=left[: f * Q].reshape(f, Q, R, B))
    half += x[:, 1:]
    half[0] = 0.5 * x[0, 1:]  # K itself is a sum of Y (Y - m)'
    np.multiply(g, r, out=left[f * Q : e])
    np.multiply(h, r, out=left[e : e + d * Q])
    left[e + d * Q : n - Q], left[n : n + d], left[-1] = tau, ga2, ah
    np.multiply(tau, ah, out=left[n - Q : n])
    np.multiply(g, x[1 + d :, 0], out=left[n + d : n + d + d * d])
    np.multiply(a2, h, out=left[-1 - d : -1])
    if counts is not None:
        left *= counts
    return _assembled(at, inner(left.swapaxes(0, 1), right.swapaxes(0, 1)), d, Q)


def _begins(d: int, Q: int) -> tuple[int, int, int, int]:
    """Return the number of weights, and where h r and numbers begin on the left, and the ones stand on the right.

    Left stand half (f Q), g r (d Q), h r (d Q), tau (Q), tau a h (Q) and the numbers g a2 (d), g a3 (d d), a2 h (d),
    a h; right m (Q), r (d Q), tau (Q), 1, g a2 (d), h, a h.
    """
    f = 1 + d + d * d
    return f, (f + d) * Q, (f + 2 * d + 2) * Q, (d + 2) * Q


def _assembled(at: _At, G: Floats, d: int, Q: int) -> Sums:
    """Return the sums of order 2 from those over rows and the products G of vectors over clusters."""
    R, (f, e, n, one) = G.shape[0], _begins(d, Q)
    gone = G[:, : f * Q, :Q].reshape(R, f, Q, Q)
    forms = at.forms - (gone + gone.swapaxes(2, 3))
    trace, first = np.empty((R, d + 1)), np.empty((R, d + 1, Q, Q))
    cross, second = np.empty((R, d + 1, d + 1)), np.empty((R, d + 1, d + 1, Q, Q))
    trace[:, :d] = at.traces[:, :, 0].T - G[:, n : n + d, one]
    trace[:, d] = G[:, -1, one]
    cross[:, :d, :d] = at.traces[:, :, 1 : 1 + d].transpose(1, 2, 0) + G[:, n : n + d, one + 1 : one + 1 + d]
    cross[:, :d, :d] -= 2 * G[:, n + d : n + d + d * d, one].reshape(R, d, d)
    cross[:, :d, d] = cross[:, d, :d] = G[:, -1 - d : -1, -2]
    cross[:, d, d] = G[:, -1, -1]
    first[:, :d] = forms[:, 1 : 1 + d]
    first[:, d] = G[:, e + d * Q : e + (d + 1) * Q, one - Q : one]
    second[:, :d, :d] = forms[:, 1 + d :].reshape(R, d, d, Q, Q)
    second[:, :d, :d] -= G[:, f * Q : e, Q : one - Q].reshape(R, d, Q, d, Q).swapaxes(2, 3)
    second[:, :d, d] = second[:, d, :d] = G[:, e : e + d * Q, one - Q : one].reshape(R, d, Q, Q)
    second[:, d, d] = G[:, e + (d + 1) * Q : n, one - Q : one]
    return Sums(at.log_det, forms[:, 0], at.bad, trace, first, cross, second)


def _in_order(nest: Nest, sums: Sums) -> Sums:
    """Return sums of own effects, then that of clusters, in the order of the parameters."""
    if sums.trace is None or sums.first is None or sums.cross is None or sums.second is None:
        raise ValueError("sums of order 2 are needed")
    o = nest.order
    cross, second = sums.cross[:, o][:, :, o], sums.second[:, o][:, :, o]
    return Sums(sums.log_det, sums.K, sums.bad, sums.trace[:, o], sums.first[:, o], cross, second)
