"""Predicted effects and leverages of crossed models without a matrix of all rows by all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from metaback.errors import EstimationError
from metaback.stats.blocks import BlockMatrix
from metaback.stats.mixed.crossed import Crossing, Sparse, inverse_of, loading, taken_out
from metaback.stats.mixed.problem import Frame, Parts, clusters_of, crossing_of, parts_of
from metaback.stats.mixed.records import Floats, MixedFit, Term

CHUNK = 20_000_000  # numbers of the largest array of a step
MOST = 16_000  # levels of which a whole matrix is made


@dataclass(frozen=True, slots=True)
class CrossedInverse:
    """M^-1 = A - AZ T (AZ)' at the estimates; X: M^-1 X; rest: M^-1 (y - X b); u: parameters of blocks."""

    A: Sparse
    AZ: Sparse
    T: Floats
    X: Floats
    rest: Floats
    parts: Parts
    u: Floats

    def solve(self, columns: Floats) -> Floats:
        """Return M^-1 times columns (n, c)."""
        return np.asarray(self.A @ columns - self.AZ @ (self.T @ (self.AZ.T @ columns)), dtype=float)

    def forms(self, G: Sparse) -> Floats:
        """Return the diagonal (c,) of G'M^-1 G for sparse columns G (n, c)."""
        AG = self.A @ G
        out = np.asarray(G.multiply(AG).sum(axis=0), dtype=float).ravel()
        F = (self.AZ.T @ G).T.tocsr()
        step = max(1, CHUNK // max(self.T.shape[0], 1))
        for start in range(0, F.shape[0], step):
            part = F[start : start + step]
            out[start : start + step] -= np.asarray(part.multiply(part @ self.T).sum(axis=1), dtype=float).ravel()
        return out


def crossed_inverse(
    fit: MixedFit, y: Floats, X: Floats, V: BlockMatrix, terms: Sequence[Term]
) -> CrossedInverse | None:
    """Return M^-1 at a single fit as blocks and crossed effects, or None where whole blocks are as cheap.

    Raises `EstimationError` where the levels are more than a whole matrix can be made of.
    """
    parts = parts_of(terms)
    out = taken_out(terms, parts.charts, partial(clusters_of, V))
    if not out:
        return None
    u = np.zeros(parts.J)
    for chart, start, places in zip(parts.charts, parts.starts, parts.places, strict=True):
        own = np.asarray(fit.theta[start : start + len(chart.kinds)], dtype=float)
        u[places] = chart.u(chart.search(own)[None])[0][0]
    Y = np.concatenate([X, (y - X @ fit.beta)[:, None]], axis=1)
    p = X.shape[1]
    crossing: Crossing = crossing_of(
        Frame(Y, np.eye(p), np.asarray(np.zeros(p), dtype=float), 1.0), V, terms, parts, out
    )
    if crossing.q > MOST:
        raise EstimationError(
            f"Standard errors of predicted effects need a matrix of {crossing.q:,} by {crossing.q:,} levels; it is "
            f"made for at most {MOST:,}. Take a random effect with fewer levels, or leave rows out."
        )
    A, AZ, T = inverse_of(crossing, u)
    solved = np.asarray(A @ Y - AZ @ (T @ (AZ.T @ Y)), dtype=float)
    return CrossedInverse(A, AZ, T, solved[:, :p], solved[:, p], parts, u)


def crossed_effects(at: CrossedInverse, fit: MixedFit, n: int, terms: Sequence[Term]) -> list[tuple[Floats, Floats]]:
    """Return for every term the predictions (n, columns) of the effects of each row and their variances.

    With G = Z Gamma: u = G'M^-1 (y - X b), Var = Gamma - G'M^-1 G + G'M^-1 X (X'M^-1 X)^-1 X'M^-1 G on the diagonal.
    """
    out: list[tuple[Floats, Floats]] = []
    for term, chart, places in zip(terms, at.parts.charts, at.parts.places, strict=True):
        Z, derivatives = loading(term, chart)
        gamma: Sparse = sum((at.u[j] * S for j, S in zip(places.tolist(), derivatives, strict=True)), start=0 * Z.T @ Z)
        G = (Z @ gamma).tocsc()
        level = np.asarray(G.T @ at.rest, dtype=float)
        away = np.asarray(G.T @ at.X, dtype=float)
        variance = gamma.diagonal() - at.forms(G) + np.einsum("cp,pq,cq->c", away, fit.cov, away)
        there = np.flatnonzero(term.outer >= 0)
        codes = np.unique(term.outer[there], return_inverse=True)[1]
        width = Z.shape[1] // (int(codes.max()) + 1)
        columns = 1 if term.Z is None else width
        inner = np.zeros(n, dtype=np.intp) if term.inner is None else term.inner
        place = (codes * width + (inner[there] if columns == 1 else 0))[:, None] + np.arange(columns)
        whole = np.zeros((2, n, columns))
        whole[:, there] = level[place], variance[place]
        out.append((whole[0], whole[1]))
    return out
