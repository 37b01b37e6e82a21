"""Fit models of dependent effects: y = X beta + random terms + e, with M = V + what the terms add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from metaback.stats.blocks import BlockMatrix, blocks_of, on_diagonal, regrouped
from metaback.stats.mixed.climb import joined
from metaback.stats.mixed.faces import correlation_ends
from metaback.stats.mixed.finish import blank, finished, names_of, natural_of, single
from metaback.stats.mixed.problem import (
    Problem,
    allowed,
    clusters_of,
    distances_of,
    parts_of,
    patterns_of,
    problem_of,
    problem_of_many,
)
from metaback.stats.mixed.records import Floats, MixedFit, Term
from metaback.stats.mixed.room import check_room
from metaback.stats.mixed.search import Found, best_peaks, climb_from, replicate_peaks, search_of
from metaback.stats.mixed.structures import CURVES
from metaback.status import Status

COLLINEAR = 1e-10  # share of a column that the columns before it do not explain, below which it repeats them
SINGULAR = 1e-6  # root of the share of a sampling variance that must be its own
ROUNDED = 1e-12  # of a correlation: below the end of its range by rounding
MARGINAL = ("The whole covariance of the effects", "Fit a model whose random effects and V link fewer rows.")
HELD = 4_000_000  # numbers of sampling covariances that are climbed together


def fit_mixed(
    y: Floats,
    X: Floats,
    V: BlockMatrix,
    terms: Sequence[Term],
    method: str = "REML",
    counts: Floats | None = None,
    start: Floats | None = None,
) -> MixedFit:
    """Fit y = X beta + sum_t Z_t u_t + e with e ~ N(0, V) by restricted or full maximum likelihood.

    y: (n,); X: (n, p); V: sampling covariances in blocks; terms: random terms over the same rows. method: "REML" or
    "ML". counts: (R, B) how often each cluster, as `clusters_of` numbers them, enters each of R replicates; all arrays
    of the result then have a leading axis R. start: natural parameters (q,) to begin from; without it a coarse grid
    over all parameters is looked at, its peaks are climbed, and lower ones are told as rivals.

    Edges: a replicate that cannot be fitted carries its `Status` and nan, and stops no other. With as many rows as
    coefficients nothing is left to estimate a variance from: TOO_FEW_STUDIES.

    >>> from metaback.stats.blocks import diagonal
    >>> V = diagonal(blocks_of(np.arange(4)), np.array([0.1, 0.1, 0.2, 0.2]))
    >>> fit = fit_mixed(np.array([0.0, 1.0, 0.2, 2.0]), np.ones((4, 1)), V, [Term("ID0", np.arange(4))])
    >>> round(float(fit.theta[0]), 6)
    0.635258
    """
    if method not in {"REML", "ML"}:
        raise ValueError(f"method={method!r}: use 'REML' or 'ML'")
    reml = method == "REML"
    status = _refused(y, X, V)
    if status is not Status.CONVERGED:
        return blank(X.shape[1], names_of(terms), status, None if counts is None else counts.shape[0])
    problem = problem_of(y, X, V, terms, weighted=counts is not None)
    if start is None:
        found = best_peaks(problem, None, reml=reml)[0]
    else:
        begin = search_of(problem, np.asarray(start, dtype=float)[None])
        found = Found(climb_from(problem, begin, None, reml=reml), np.zeros((0, problem.parts.q)), np.zeros(0))
    if counts is None:
        fit = finished(problem, found.peak, None, reml=reml)
        return single(fit, natural_of(problem, found.rivals)[0], found.gaps)
    weights = np.asarray(counts, dtype=float)
    return finished(problem, replicate_peaks(problem, found, weights, reml=reml), weights, reml=reml)


def fit_mixed_many(
    y: Floats, X: Floats, Vs: Sequence[BlockMatrix], terms: Sequence[Term], method: str = "REML"
) -> tuple[MixedFit, ...]:
    """Fit the model of `fit_mixed` under each of several sampling covariances, all in one climb: one fit for each.

    Vs: covariances of the same rows, as under several assumed correlations; those of the same variances climb
    together. The numbers are those of `fit_mixed` with each V alone, to rounding.

    Edges: a V that cannot be used gives a fit with its `Status` and nan, and stops no other. Clusters so large that a
    single likelihood takes long are fitted one V after the other.

    >>> from metaback.stats.blocks import blocks_of, diagonal
    >>> Vs = [diagonal(blocks_of(np.arange(3)), np.full(3, v)) for v in (0.1, 0.2)]
    >>> fits = fit_mixed_many(np.array([0.0, 1.0, 2.0]), np.ones((3, 1)), Vs, [Term("ID0", np.arange(3))])
    >>> [round(float(fit.theta[0]), 6) for fit in fits]
    [0.9, 0.8]
    """
    out: dict[int, MixedFit] = {}
    alike: dict[bytes, list[int]] = {}
    for i, V in enumerate(Vs):
        if _refused(y, X, V) is Status.CONVERGED:
            alike.setdefault(on_diagonal(V).tobytes(), []).append(i)
        else:
            out[i] = fit_mixed(y, X, V, terms, method)
    for places in alike.values():
        numbers = float((np.bincount(clusters_of(Vs[places[0]], terms)).astype(float) ** 2).sum())
        step = max(1, int(HELD / numbers))
        for begin in range(0, len(places), step):
            part = places[begin : begin + step]
            out |= zip(part, _together(y, X, [Vs[i] for i in part], terms, method), strict=True)
    return tuple(out[i] for i in range(len(Vs)))


def _together(y: Floats, X: Floats, Vs: Sequence[BlockMatrix], terms: Sequence[Term], method: str) -> list[MixedFit]:
    """Fit under several V of the same variances in one climb, where it is one of small blocks."""
    problem = problem_of_many(y, X, Vs, terms) if len(Vs) > 1 else None
    if problem is None:
        return [fit_mixed(y, X, V, terms, method) for V in Vs]
    reml = method == "REML"
    found = best_peaks(problem, len(Vs), reml=reml)
    peaks = joined([one.peak for one in found])
    fits = finished(problem.under(np.arange(len(Vs))), peaks, None, reml=reml)
    return [single(fits, natural_of(problem, one.rivals)[0], one.gaps, i) for i, one in enumerate(found)]


def marginal(theta: Floats, V: BlockMatrix, terms: Sequence[Term]) -> BlockMatrix:
    """Return M at natural parameters theta (q,), in the blocks of `clusters_of`.

    Raises `EstimationError` where these are too large to be held.

    >>> from metaback.stats.blocks import diagonal, whole
    >>> V = diagonal(blocks_of(np.arange(2)), np.ones(2))
    >>> whole(marginal(np.array([0.5]), V, [Term("ID0", np.zeros(2, dtype=int))])).tolist()
    [[1.5, 0.5], [0.5, 1.5]]
    """
    labels = clusters_of(V, terms)
    check_room(np.bincount(labels), 4, *MARGINAL)
    blocks = blocks_of(labels)
    parts = parts_of(terms)
    values = list(regrouped(V, blocks).parts)
    for term, chart, start in zip(terms, parts.charts, parts.starts, strict=True):
        own = np.asarray(theta[start : start + len(chart.kinds)], dtype=float)
        u = chart.u(chart.search(own)[None])[0][0]
        for i, rows in enumerate(blocks.rows):
            if term.structure in CURVES:
                far = distances_of(term, rows)
                more = np.where(np.isnan(far), 0.0, u[0] * CURVES[term.structure](np.nan_to_num(far), u[1:])[0])
            else:
                more = np.einsum("j,jbmn->bmn", u, patterns_of(term, chart, rows))
            values[i] = values[i] + more
    return BlockMatrix(blocks, tuple(values))


def profile_loglik(
    y: Floats,
    X: Floats,
    V: BlockMatrix,
    terms: Sequence[Term],
    method: str = "REML",
    *,
    index: int,
    values: Floats,
    start: Floats | None = None,
) -> Floats:
    """Return the log-likelihood at each value of one natural parameter, all others estimated anew: (len(values),).

    index: its place in `MixedFit.theta`; values: (g,) on its natural scale; start: natural parameters to begin from,
    those of the fit. All values climb together. nan where a value cannot be reached or a climb did not end, and for a
    correlation below the lowest that a covariance matrix of all inner levels can have: see `correlation_ends`.

    >>> from metaback.stats.blocks import diagonal
    >>> V = diagonal(blocks_of(np.arange(4)), np.array([0.1, 0.1, 0.2, 0.2]))
    >>> y, X, terms = np.array([0.0, 1.0, 0.2, 2.0]), np.ones((4, 1)), [Term("ID0", np.arange(4))]
    >>> profile_loglik(y, X, V, terms, index=0, values=np.array([0.0, 0.67])).round(4).tolist()
    [-7.6022, -3.9325]
    """
    if start is None:
        start = fit_mixed(y, X, V, terms, method).theta
    values, begin = np.asarray(values, dtype=float), np.asarray(start, dtype=float)
    found = np.full(values.shape, np.nan)
    possible = values >= _lowest_of(terms, index, begin) - ROUNDED
    gone = (values == 0) & any(term.structure == "HCS" for term in terms)  # rho has another range without a variance
    for none, own in ((False, possible & ~gone), (True, possible & gone)):
        if not own.any():
            continue
        problem = problem_of(y, X, V, _holding(terms, index, 0.0 if none else np.nan))
        points = np.repeat(begin[None], int(own.sum()), axis=0)
        points[:, index] = values[own]
        x = _made_possible(problem, search_of(problem, points))
        fit = finished(problem, climb_from(problem, x, None, reml=method == "REML"), None, reml=method == "REML")
        found[own] = np.where(fit.status == Status.CONVERGED, fit.loglik, np.nan)
    return found


def _lowest_of(terms: Sequence[Term], index: int, theta: Floats) -> float:
    """Return the lowest value that a natural parameter can have, -inf where it is no correlation."""
    parts = parts_of(terms)
    for term, chart, start in zip(terms, parts.charts, parts.starts, strict=True):
        if 0 <= index - start < len(chart.kinds) and chart.kinds[index - start][0] == "correlation":
            return correlation_ends(term, theta[start : start + term.levels])[0]
    return -np.inf


def _holding(terms: Sequence[Term], index: int, value: float) -> list[Term]:
    """Return the terms with one natural parameter given; nan: its value is that of the start."""
    out: list[Term] = []
    parts = parts_of(terms)
    for term, chart, start in zip(terms, parts.charts, parts.starts, strict=True):
        given = list(term.fixed) or [None] * len(chart.kinds)
        if 0 <= index - start < len(given):
            given[index - start] = value
        out.append(replace(term, fixed=tuple(given)))
    return out


def _made_possible(problem: Problem, x: Floats) -> Floats:
    """Return starts x (R, q) whose free correlations are brought nearer to 0 until they are those of a matrix."""
    shrinks = np.concatenate([
        [chart.allowed is not None and kind == "correlation" and value is None for (kind, _), value in pairs]
        for term, chart in zip(problem.terms, problem.parts.charts, strict=True)
        for pairs in [list(zip(chart.kinds, term.fixed or (None,) * len(chart.kinds), strict=True))]
    ])  # fmt: skip
    for _ in range(40):
        outside = ~allowed(problem.parts, x)
        if not outside.any():
            break
        x = np.where(outside[:, None] & shrinks, 0.8 * x, x)
    return x


def _refused(y: Floats, X: Floats, V: BlockMatrix) -> Status:
    """Tell why the rows cannot be fitted, or CONVERGED."""
    n, p = X.shape
    if not n:
        return Status.NO_STUDIES
    finite = np.isfinite(y).all() and np.isfinite(X).all() and all(np.isfinite(part).all() for part in V.parts)
    if not finite or not _positive(V):
        return Status.IMPOSSIBLE_NUMBERS
    if n < p:
        return Status.TOO_FEW_STUDIES
    if p:
        spread = np.sqrt((X**2).sum(axis=0))
        if (spread == 0).any():
            return Status.RANK_DEFICIENT
        if p > 1 and (np.abs(np.diagonal(np.linalg.qr(X / spread, mode="r"))) < COLLINEAR).any():
            return Status.RANK_DEFICIENT
    return Status.CONVERGED


def _positive(V: BlockMatrix) -> bool:
    """Tell whether V is positive definite: no variance given those of the block before it is below 1e-12 of its own."""
    for part in V.parts:
        spread = np.diagonal(part, axis1=1, axis2=2)
        if (spread <= 0).any():
            return False
        if part.shape[1] > 1:
            root = np.sqrt(spread)
            try:
                pivots = np.linalg.cholesky(part / (root[:, :, None] * root[:, None, :]))
            except np.linalg.LinAlgError:
                return False
            if (np.diagonal(pivots, axis1=1, axis2=2) < SINGULAR).any():
                return False
    return True
