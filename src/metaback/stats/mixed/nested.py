"""Sums for effects within clusters without any matrix: M = D + s 11' in each cluster, D diagonal.

This is the three-level model, and the model with effects of clusters alone: sampling errors are independent, every
term is an intercept, and at most one of them is shared by rows. With w = 1 / D, a = sum w, t = sum w Y in each cluster,
h = 1 / (1 + s a) and m = s h t, M^-1 Y = w (Y - m) and log|M| = sum log D + log(1 + s a) (Sherman & Morrison 1950): a
few sums over rows, then over clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metaback.stats.blocks import BlockMatrix, on_diagonal
from metaback.stats.mixed.likelihood import Sums
from metaback.stats.mixed.products import inner
from metaback.stats.mixed.records import Floats, Places, Term

CHUNK = 2_000_000  # numbers of the largest array of a step


@dataclass(frozen=True, slots=True)
class Nest:
    """Rows in the order of their clusters.

    v: (n,); Y: (1 + Q, n) ones, columns and effects; pairs: (Q Q, n) products of columns and effects; starts: (B,)
    first row of each cluster; cluster: (n,); own: (d, n) which rows have an effect of their own by each of d
    terms; shared: whether clusters have one; places: where own effects, then that of clusters, stand among the
    parameters.
    """

    v: Floats
    Y: Floats
    pairs: Floats
    starts: Places
    cluster: Places
    own: Floats
    shared: bool
    places: Places


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
    order = np.argsort(labels, kind="stable")
    cluster = labels[order]
    starts = np.flatnonzero(np.diff(cluster, prepend=-1))
    flat = np.concatenate([np.ones((1, labels.size)), Y[order].T])
    pairs = (flat[1:, None] * flat[None, 1:]).reshape(-1, labels.size)
    mine = np.array(own)[:, order] if own else np.zeros((0, labels.size))
    return Nest(
        on_diagonal(V)[order], flat, pairs, starts, cluster, mine, bool(shared), np.array(places, dtype=np.intp)
    )


def _filled(part: Floats) -> bool:
    """Tell whether blocks (B, m, m) have anything beside their diagonals."""
    m = part.shape[1]
    return m > 1 and bool(part[:, ~np.eye(m, dtype=bool)].any())


def nested_sums(nest: Nest, u: Floats, counts: Floats | None, order: int) -> Sums:
    """Return the sums at u (R, J), clusters weighted by counts (R, B)."""
    d = nest.own.shape[0]
    step = max(1, CHUNK // (nest.Y.size * (2 + d + d * d if order else 2)))
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
    """What all sums at one u share.

    F: (R, f, n) weights of rows w, w^2 p_j and w^3 p_j p_k, p_j the rows that have own effect j; forms: (R, f, Q, Q)
    their sums of Y Y'; a, t: (R, f, B) and (R, f, Q, B) their sums, and those of Y, over clusters. h, g = s h: (R, B);
    m: (R, Q, B). c: (R, n) and cb: (R, B) counts, None for 1.
    """

    F: Floats
    forms: Floats
    a: Floats
    t: Floats
    h: Floats
    g: Floats
    m: Floats
    c: Floats | None
    cb: Floats | None


def _counted(values: Floats, counts: Floats | None) -> Floats:
    """Return values (R, P, N) times counts (R, N)."""
    return values if counts is None else values * counts[:, None]


def _weights(nest: Nest, w: Floats, order: int) -> Floats:
    """Return the weights F of rows, only the first of them for order 0."""
    if not order or not nest.own.size:
        return w[:, None]
    wp = w[:, None] * nest.own
    w2 = wp * w[:, None]
    w3 = (w2[:, :, None] * wp[:, None]).reshape(w.shape[0], -1, w.shape[1])
    return np.concatenate([w[:, None], w2, w3], axis=1)


def _sums(nest: Nest, u: Floats, counts: Floats | None, order: int) -> Sums:
    """Return the sums of one chunk of replicates."""
    d = nest.own.shape[0]
    c = None if counts is None else counts[:, nest.cluster]
    D = nest.v + u[:, nest.places[:d]] @ nest.own
    bad = np.zeros(u.shape[0], dtype=bool)
    if not D.min(initial=1.0) > 0:
        below = ~(D > 0)
        bad = np.asarray((below if c is None else below & (c > 0)).any(axis=1))
        D = np.where(below, 1.0, D)
    F = _weights(nest, 1 / D, order)
    R, f, n = F.shape
    Q = nest.Y.shape[0] - 1
    forms = inner(_counted(F, c).reshape(1, R * f, n), nest.pairs[None]).reshape(R, f, Q, Q)
    summed = F[:, :, None] * nest.Y
    if nest.starts.size < n:
        summed = np.add.reduceat(summed, nest.starts, axis=3)
    a, t = summed[:, :, 0], summed[:, :, 1:]
    s = u[:, nest.places[d:]].sum(axis=1, keepdims=True)
    sa = s * a[:, 0]
    bad |= ~(sa > -1).all(axis=1)
    h = 1 / (1 + sa)
    m = (s * h)[:, None] * t[:, 0]
    logs, more = np.log(D), np.log1p(sa)
    log_det = logs.sum(axis=1) + more.sum(axis=1) if c is None else (logs * c).sum(axis=1) + (more * counts).sum(axis=1)
    K = forms[:, 0] - inner(_counted(t[:, 0], counts), m) if nest.shared else forms[:, 0]
    sums = Sums(log_det, K, bad)
    return _slopes(nest, _At(F, forms, a, t, h, s * h, m, c, counts), sums, u.shape[1]) if order else sums


def _slopes(nest: Nest, at: _At, sums: Sums, J: int) -> Sums:
    """Add the first derivatives of log|M| and K, and what the second ones are made of."""
    (R, Q, _), d = at.m.shape, nest.own.shape[0]
    trace, first = np.zeros((R, J)), np.zeros((R, J, Q, Q))
    cross, second = np.zeros((R, J, J)), np.zeros((R, J, J, Q, Q))
    own = nest.places[:d]
    if d:
        rows = _counted(at.F[:, : 1 + d], at.c) @ nest.own.T
        trace[:, own], cross[:, own[:, None], own] = rows[:, 0], rows[:, 1:]
        first[:, own], second[:, own[:, None], own] = (
            at.forms[:, 1 : 1 + d],
            at.forms[:, 1 + d :].reshape(R, d, d, Q, Q),
        )
    out = Sums(sums.log_det, sums.K, sums.bad, trace, first, cross, second)
    if nest.shared:
        _share(nest, at, out)
    return out


def _share(nest: Nest, at: _At, sums: Sums) -> None:
    """Write into the sums what effects of clusters change.

    With E = M^-1 Y = w (Y - m), r_j = sum w p_j E and tau = sum E in each cluster: Y'A P_j A Y = sum p_j E E',
    Y'A P_j A P_k A Y = sum w p_j p_k E E' - g r_j r_k', Y'A P_j A 11'A Y = h r_j tau', and a sum of f E E' / w^2 is
    that of f Y Y' less (t - a m / 2) m' and its transpose.
    """
    trace, first, cross, second = sums.trace, sums.first, sums.cross, sums.second
    if trace is None or first is None or cross is None or second is None:
        raise ValueError("sums of order 2 are needed")
    (R, Q, B), d = at.m.shape, nest.own.shape[0]
    own, one = nest.places[:d], int(nest.places[d])
    pairs = own[:, None], own
    cb: Floats = np.ones((1, B)) if at.cb is None else at.cb
    h, g, ah = at.h, at.g, at.a[:, 0] * at.h
    a2, a3, m = at.a[:, 1 : 1 + d], at.a[:, 1 + d :], at.m[:, None]
    tau = at.t[:, 0] * h[:, None]
    half = (at.t[:, 1:] - (0.5 * at.a[:, 1:])[:, :, None] * m).reshape(R, -1, B)
    r = (at.t[:, 1 : 1 + d] - a2[:, :, None] * m).reshape(R, d * Q, B)
    left = np.concatenate([half, r * g[:, None], r * h[:, None], tau, tau * ah[:, None]], axis=1)
    right = np.concatenate([at.m, r, tau], axis=1)
    forms = inner(left if at.cb is None else left * cb[:, None], right).reshape(R, -1, Q, d + 2, Q).swapaxes(2, 3)
    f, last = d + d * d, d + 1
    gone = forms[:, :f, 0] + forms[:, :f, 0].swapaxes(2, 3)
    first[:, own] -= gone[:, :d]
    second[:, *pairs] -= gone[:, d:].reshape(R, d, d, Q, Q) + forms[:, f : f + d, 1 : 1 + d]
    second[:, own, one] = second[:, one, own] = forms[:, f + d : f + 2 * d, last]
    first[:, one], second[:, one, one] = forms[:, -2, last], forms[:, -1, last]
    ga = g[:, None] * a2
    trace[:, own] -= (ga * cb[:, None]).sum(axis=2)
    product = (ga[:, :, None] * ga[:, None]).reshape(R, d * d, B) - 2 * g[:, None] * a3
    cross[:, *pairs] += (product * cb[:, None]).sum(axis=2).reshape(R, d, d)
    cross[:, own, one] = cross[:, one, own] = (a2 * (h * h * cb)[:, None]).sum(axis=2)
    trace[:, one], cross[:, one, one] = (ah * cb).sum(axis=1), (ah * ah * cb).sum(axis=1)
