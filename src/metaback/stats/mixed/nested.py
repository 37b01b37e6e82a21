"""Sums for effects within clusters without any matrix: M = D + s 11' in each cluster, D diagonal.

This is the three-level model, and the model with effects of clusters alone: sampling errors are independent, every
term is an intercept, and at most one of them is shared by rows. With w = 1 / D, a = sum w and g = s / (1 + s a),
M^-1 = diag(w) - g ww' and log|M| = sum log D + log(1 + s a) (Sherman & Morrison 1950): a few sums over rows.
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

    v: (n,); Y: (Q, n); pairs: (Q Q, n) products of the rows of Y; starts: (B,) first row of each cluster; cluster: (n,)
    own: (d, n) which rows have an effect of their own by each of d terms; shared: whether clusters have one; places:
    where own effects, then that of clusters, stand among the parameters.
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
    flat = np.ascontiguousarray(Y[order].T)
    pairs = (flat[:, None] * flat[None]).reshape(-1, flat.shape[1])
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
    step = max(1, CHUNK // (nest.Y.size + 1))
    parts = [
        _sums(nest, u[i : i + step], None if counts is None else counts[i : i + step], order)
        for i in range(0, u.shape[0], step)
    ]
    if len(parts) == 1:
        return parts[0]
    keys = ("log_det", "K", "bad", "trace", "first", "cross", "second")[: None if order else 3]
    return Sums(**{key: np.concatenate([getattr(part, key) for part in parts]) for key in keys})


@dataclass(frozen=True, slots=True)
class _At:
    """What all sums at one u share: weights of rows and clusters, the weights w, and sums over clusters.

    c: (R, n) and cb: (R, B) counts, or 1. s: (R, 1). a, g: (R, B). t: (R, Q, B).
    """

    nest: Nest
    c: Floats | float
    cb: Floats | float
    w: Floats
    s: Floats
    a: Floats
    g: Floats
    t: Floats

    def over(self, values: Floats) -> tuple[Floats, Floats]:
        """Return sums over the rows of clusters of values (R, n) and of values times Y."""
        starts = self.nest.starts
        if starts.size == values.shape[1]:
            return values, values[:, None] * self.nest.Y
        sums = np.add.reduceat(values, starts, axis=1)
        return sums, np.add.reduceat(values[:, None] * self.nest.Y, starts, axis=2)

    def rows(self, values: Floats) -> Floats:
        """Return sum_i values_i y_i y_i' over all rows, (R, Q, Q)."""
        Q = self.nest.Y.shape[0]
        return inner((values * self.c)[None], self.nest.pairs[None]).reshape(-1, Q, Q)

    def outer(self, weight: Floats, one: Floats, two: Floats) -> Floats:
        """Return sum_b weight_b one_b two_b' over clusters, (R, Q, Q)."""
        return inner((weight * self.cb)[:, None] * one, two)

    def clusters(self, values: Floats) -> Floats:
        """Return the sum over clusters (R,)."""
        return (values * self.cb).sum(axis=1)


def _sums(nest: Nest, u: Floats, counts: Floats | None, order: int) -> Sums:
    """Return the sums of one chunk of replicates."""
    d = nest.own.shape[0]
    D = nest.v + u[:, nest.places[:d]] @ nest.own
    bad = (D <= 0) if counts is None else (D <= 0) & (counts[:, nest.cluster] > 0)
    D = np.where(bad, 1.0, D)
    c: Floats | float = 1.0 if counts is None else counts[:, nest.cluster]
    cb: Floats | float = 1.0 if counts is None else counts
    w = 1 / D
    s = u[:, nest.places[d:]].sum(axis=1, keepdims=True)
    one = _At(nest, c, cb, w, s, s, s, D)
    a, t = one.over(w)
    g = s / (1 + s * a)
    at = _At(nest, c, cb, w, s, a, g, t)
    log_det = (np.log(D) * c).sum(axis=1) + at.clusters(np.log1p(s * a))
    K = at.rows(w) - at.outer(g, t, t)
    found = np.asarray(bad.any(axis=1) | ((1 + s * a) <= 0).any(axis=1))
    return _slopes(at, Sums(log_det, K, found), u.shape[1]) if order else Sums(log_det, K, found)


def _slopes(at: _At, sums: Sums, J: int) -> Sums:
    """Add the first derivatives of log|M| and K, and what the second ones are made of."""
    R, Q = sums.K.shape[:2]
    own, places = at.nest.own, at.nest.places
    d = own.shape[0]
    trace, first = np.zeros((R, J)), np.zeros((R, J, Q, Q))
    cross, second = np.zeros((R, J, J)), np.zeros((R, J, J, Q, Q))
    w2 = at.w * at.w
    a2, t2 = zip(*(at.over(w2 * p) for p in own), strict=True) if d else ((), ())
    g, t, shrink = at.g, at.t, 1 / (1 + at.s * at.a)
    for j in range(d):
        one = places[j]
        trace[:, one] = (at.w * own[j] * at.c).sum(axis=1) - at.clusters(g * a2[j])
        first[:, one] = at.rows(w2 * own[j]) + at.outer(g * g * a2[j], t, t) - _both(at.outer(g, t2[j], t))
        for k in range(j + 1):
            two, p = places[k], own[j] * own[k]
            a3, t3 = at.over(w2 * at.w * p)
            cross[:, one, two] = (w2 * p * at.c).sum(axis=1) - at.clusters(2 * g * a3 - g * g * a2[j] * a2[k])
            bent = at.outer(g**3 * a2[j] * a2[k] - g * g * a3, t, t) + _both(at.outer(g, t3, t))
            bent += 0.5 * _both(at.outer(g, t2[j], t2[k]))
            bent -= 0.5 * _both(at.outer(g * g * a2[j], t2[k], t) + at.outer(g * g * a2[k], t2[j], t))
            second[:, one, two] = at.rows(w2 * at.w * p) - bent
            cross[:, two, one], second[:, two, one] = cross[:, one, two], second[:, one, two]
    if at.nest.shared:
        one, h = places[d], shrink * shrink
        trace[:, one] = at.clusters(at.a * shrink)
        first[:, one] = at.outer(h, t, t)
        cross[:, one, one] = at.clusters(at.a * at.a * h)
        second[:, one, one] = at.outer(at.a * h * shrink, t, t)
        for j in range(d):
            two = places[j]
            cross[:, one, two] = cross[:, two, one] = at.clusters(a2[j] * h)
            mixed = 0.5 * _both(at.outer(h, t2[j], t)) - at.outer(at.s * a2[j] * h * shrink, t, t)
            second[:, one, two] = second[:, two, one] = mixed
    return Sums(sums.log_det, sums.K, sums.bad, trace, first, cross, second)


def _both(form: Floats) -> Floats:
    """Return a form and its transpose, added."""
    return form + form.swapaxes(1, 2)
