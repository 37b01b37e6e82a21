"""What the engine of dependent effects takes and returns: random terms, and finished fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Term:
    """One random term over n rows.

    structure: key of STRUCTURES. outer: (n,) level of the outer factor; rows of different levels are uncorrelated
    unless `known` says otherwise; -1 where the term has no effect on the row. inner: (n,) level of the inner factor,
    None for an intercept. levels: number of inner levels. Z: (n, r) columns of random slopes (GEN, GDIAG). position:
    (n, d) times or coordinates (CAR, SP...). known: correlations of the outer levels. fixed: values that the user
    gives for the natural parameters, in their order; None is estimated, as is everything where the tuple is empty.
    """

    structure: str
    outer: Places
    inner: Places | None = None
    levels: int = 1
    Z: Floats | None = None
    position: Floats | None = None
    known: Floats | None = None
    fixed: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class MixedFit:
    """Numbers of one fit; a leading axis R where replicates were asked for.

    beta: (p,) coefficients; cov: (p, p) = (X'M^-1 X)^-1. theta: (q,) natural parameters in the order of `names`.
    theta_cov: (q, q) inverse of the observed information, nan in rows and columns of parameters that stand at a bound,
    are given, or cannot be told. loglik: of the criterion that was maximised. n_iter: steps. at_bound: (q,) whether a
    parameter stands at the end of its range. identifiable: (q,) whether the data say anything about it alone.
    rivals: (m, q) other peaks that the search found; gaps: (m,) how much lower they are in log-likelihood; both are
    empty where a start or replicates are given. What is not identifiable still has a number in theta, so that M can be
    made of it: it is one of many, and must not be reported.
    """

    beta: Floats
    cov: Floats
    theta: Floats
    names: tuple[str, ...]
    theta_cov: Floats
    loglik: Floats
    loglik_ml: Floats
    loglik_reml: Floats
    status: NDArray[np.int64]
    n_iter: NDArray[np.int64]
    at_bound: Bools
    identifiable: Bools
    rivals: Floats
    gaps: Floats
