"""How residuals of a cluster are adjusted before a cluster-robust covariance is made of them: CR0 to CR3.

Each adjustment is a function of clusters of one size, whitened by the working covariance, in coordinates in which X'WX
= I.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.registry import Registry

Floats = NDArray[np.float64]
SPENT = 1e-10  # share of a direction's variance that fitting leaves: below it the rest is rounding (leverage of 1)
CLEAR = 0.5  # sum of the leverages of a cluster below which P has no eigenvalue under 1/2, so that Cholesky is safe


@dataclass(frozen=True, slots=True)
class Root:
    """Roots of the B blocks of one size m: whole, (..., B, m, m), or of diagonal blocks, (..., B, m)."""

    values: Floats
    diagonal: bool

    def times(self, x: Floats) -> Floats:
        """Return the product with x (..., B, m, p)."""
        return self.values[..., None] * x if self.diagonal else self.values @ x

    def turned(self, x: Floats) -> Floats:
        """Return the product of the transpose with x (..., B, m, p)."""
        return self.values[..., None] * x if self.diagonal else self.values.swapaxes(-1, -2) @ x

    def solved(self, x: Floats) -> Floats:
        """Return the inverse times x (..., B, m, p)."""
        if self.diagonal:
            return x / self.values[..., None]
        return np.asarray(np.linalg.solve(self.values, x), dtype=np.float64)

    def lowered(self, x: Floats) -> Floats:
        """Return the inverse of the transpose times x (..., B, m, p)."""
        if self.diagonal:
            return x / self.values[..., None]
        return np.asarray(np.linalg.solve(self.values.swapaxes(-1, -2), x), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Piece:
    """The B clusters of one size m, whitened by the working covariance Phi_i = D'D.

    X: D^-T X_i and weighted: D W_i X_i, both (..., B, m, p), in coordinates with X'WX = I; the same where Phi = W^-1.
    gram: DD'. spread: X'W Phi W X (..., p, p) in these coordinates, None where Phi = W^-1. counts: how many clusters
    and rows there are, (...), and columns.
    """

    X: Floats
    weighted: Floats
    gram: Root
    spread: Floats | None
    counts: tuple[Floats, Floats, int]


Adjustment = Callable[[Piece], Floats]
ADJUSTMENTS: Registry[Adjustment] = Registry("robust")


def robust(key: str, *, title: str, text: str, cite: str) -> Callable[[Adjustment], Adjustment]:
    """Return the decorator that adds an adjustment; `text` names it in the methods of a paper."""
    return ADJUSTMENTS.register(key, title=title, text=text, cite=cite)


@robust("CR0", title="CR0: no adjustment", text="without small-sample adjustment (CR0)", cite="liang1986")
def cr0(piece: Piece) -> Floats:
    """Return D A_i W_i X_i with A_i = I, (..., B, m, p).

    Too small on average where clusters are few. Source: Liang & Zeger 1986.
    """
    return piece.weighted


@robust("CR1", title="CR1: C / (C - 1)", text="multiplied by C/(C - 1) (CR1)", cite="pustejovsky2018")
def cr1(piece: Piece) -> Floats:
    """Return D A_i W_i X_i with A_i^2 = C / (C - 1) I. Source: Pustejovsky & Tipton 2018."""
    clusters = piece.counts[0]
    return _times(piece.weighted, clusters / (clusters - 1))


@robust(
    "CR1S",
    title="CR1S: C (n - 1) / ((C - 1) (n - p))",
    text="multiplied by C(n - 1)/((C - 1)(n - p)) (CR1S)",
    cite="pustejovsky2018",
)
def cr1s(piece: Piece) -> Floats:
    """Return D A_i W_i X_i with A_i^2 = C (n - 1) / ((C - 1) (n - p)) I, as Stata has it; nan for n = p.

    Source: Pustejovsky & Tipton 2018.
    """
    clusters, n, p = piece.counts
    return _times(piece.weighted, clusters * (n - 1) / ((clusters - 1) * np.where(n > p, n - p, np.nan)))


@robust(
    "CR1p",
    title="CR1p: C / (C - p)",
    text="multiplied by C/(C - p) (CR1p)",
    cite="hedges2010 pustejovsky2018",
)
def cr1p(piece: Piece) -> Floats:
    """Return D A_i W_i X_i with A_i^2 = C / (C - p) I; nan for C <= p.

    Source: Hedges, Tipton & Johnson 2010. Same as `robumeta::robu(small = FALSE)`.
    """
    clusters, _, p = piece.counts
    return _times(piece.weighted, clusters / np.where(clusters > p, clusters - p, np.nan))


@robust(
    "CR2",
    title="CR2: unbiased under the working model",
    text="with the bias-reduced linearisation (CR2), which is unbiased under the working model",
    cite="bell2002 pustejovsky2018",
)
def cr2(piece: Piece) -> Floats:
    """Return D A_i W_i X_i with A_i = D'B^(+1/2)D, B = D S D', S the covariance of the residuals of cluster i.

    Then A_i S A_i = Phi_i. Whitened, P = D^-T S D^-1 = FF' and E = DD', so B = (EF)(EF)': the singular values of EF
    give the root with twice the digits that eigenvalues of B would. Directions that fitting has used up (leverage 1)
    have root 0, as in the Moore-Penrose inverse.

    Source: Bell & McCaffrey 2002; Pustejovsky & Tipton 2018, theorem 1.
    """
    P = residual_share(piece)
    if P.shape[-1] == 1:
        return piece.weighted / np.sqrt(np.where(P > SPENT, P, np.inf))
    F, kept = _factor(piece, P)
    U, singular, _ = np.linalg.svd(piece.gram.times(F))
    known = np.flip(kept, axis=-1)  # as many as are kept, the largest first
    inverse = np.where(known, 1 / np.where(known, singular, 1.0), 0.0)
    return piece.gram.times(U @ (inverse[..., None] * (U.swapaxes(-1, -2) @ piece.weighted)))


@robust(
    "CR3",
    title="CR3: near the jackknife over clusters",
    text="with the adjustment that comes near the jackknife over clusters (CR3)",
    cite="bell2002 pustejovsky2018",
)
def cr3(piece: Piece) -> Floats:
    """Return D A_i W_i X_i with A_i' = (I - H_ii)^-1, by (I - S_i)^-1 of p x p, S_i = X_i'W_i X_i.

    Too large on average. Directions of leverage 1 have inverse 0. Source: Bell & McCaffrey 2002.
    """
    values, vectors = leverages(piece)
    left = np.where(1 - values > SPENT, 1 - values, np.inf)
    return piece.weighted @ ((vectors / left[..., None, :]) @ vectors.swapaxes(-1, -2))


def _factor(piece: Piece, P: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return F with P = FF', and which eigenvalues of P, in rising order, are not 0."""
    if piece.spread is None and np.einsum("...mp,...mp->...", piece.X, piece.X).max() < CLEAR:
        return np.asarray(np.linalg.cholesky(P), dtype=np.float64), np.ones_like(P[..., 0], dtype=np.bool_)
    values, vectors = np.linalg.eigh(P)
    kept = values > SPENT
    return vectors * np.sqrt(np.where(kept, values, 0.0))[..., None, :], kept


def _times(weighted: Floats, square: Floats) -> Floats:
    return weighted * np.sqrt(square)[..., None, None, None]


def residual_share(piece: Piece) -> Floats:
    """Return P = D^-T S D^-1 (..., B, m, m) for the covariance S of the residuals of each cluster.

    I - XX' where Phi = W^-1, else I - X weighted' - weighted X' + X spread X'.
    """
    eye = np.eye(piece.X.shape[-2])
    if piece.spread is None:
        return eye - piece.X @ piece.X.swapaxes(-1, -2)
    cross = piece.X @ piece.weighted.swapaxes(-1, -2)
    turned = piece.X @ piece.spread[..., None, :, :] @ piece.X.swapaxes(-1, -2)
    return eye - cross - cross.swapaxes(-1, -2) + turned


def leverages(piece: Piece) -> tuple[Floats, Floats]:
    """Return eigenvalues (..., B, p) and vectors of S_i = X_i'W_i X_i; 1 is for what cluster i alone decides."""
    S = piece.X.swapaxes(-1, -2) @ piece.weighted
    return np.linalg.eigh((S + S.swapaxes(-1, -2)) / 2)
