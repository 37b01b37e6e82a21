"""Fit models of dependent effects: y = X beta + random terms + e, with M = V + what the terms add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from metaback.stats.blocks import BlockMatrix, blocks_of, regrouped
from metaback.stats.mixed.climb import Peak, climb
from metaback.stats.mixed.finish import blank, finished, names_of, natural_of, single
from metaback.stats.mixed.likelihood import Slope, level
from metaback.stats.mixed.problem import (
    Problem,
    allowed,
    clusters_of,
    distances_of,
    parts_of,
    patterns_of,
    problem_of,
    slope_at,
    sums_at,
)
from metaback.stats.mixed.records import Floats, MixedFit, Places, Term
from metaback.stats.mixed.starts import grid_of, tops
from metaback.stats.mixed.structures import CURVES
from metaback.status import Status

COLLINEAR = 1e-10  # share of a column that the columns before it do not explain, below which it repeats them
SINGULAR = 1e-6  # root of the share of a sampling variance that must be its own
FEW = 300  # rows up to which more starts are climbed
SAME = 1e-6  # log-likelihoods closer than this are one peak


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
        peak, rivals, gaps = _best(problem, reml=reml)
    else:
        peak = _climb_from(problem, _search(problem, np.asarray(start, dtype=float)[None]), None, reml=reml)
        rivals, gaps = np.zeros((0, problem.parts.q)), np.zeros(0)
    if counts is None:
        fit = finished(problem, peak, None, reml=reml)
        return single(fit, natural_of(problem, rivals)[0], gaps)
    weights = np.asarray(counts, dtype=float)
    again = _climb_from(problem, np.repeat(peak.x, weights.shape[0], axis=0), weights, reml=reml)
    return finished(problem, again, weights, reml=reml)


def marginal(theta: Floats, V: BlockMatrix, terms: Sequence[Term]) -> BlockMatrix:
    """Return M at natural parameters theta (q,), in the blocks of `clusters_of`.

    >>> from metaback.stats.blocks import diagonal, whole
    >>> V = diagonal(blocks_of(np.arange(2)), np.ones(2))
    >>> whole(marginal(np.array([0.5]), V, [Term("ID0", np.zeros(2, dtype=int))])).tolist()
    [[1.5, 0.5], [0.5, 1.5]]
    """
    blocks = blocks_of(clusters_of(V, terms))
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
    those of the fit. All values climb together. nan where a value cannot be reached or a climb did not end.

    >>> from metaback.stats.blocks import diagonal
    >>> V = diagonal(blocks_of(np.arange(4)), np.array([0.1, 0.1, 0.2, 0.2]))
    >>> y, X, terms = np.array([0.0, 1.0, 0.2, 2.0]), np.ones((4, 1)), [Term("ID0", np.arange(4))]
    >>> profile_loglik(y, X, V, terms, index=0, values=np.array([0.0, 0.67])).round(4).tolist()
    [-7.6022, -3.9325]
    """
    if start is None:
        start = fit_mixed(y, X, V, terms, method).theta
    problem = problem_of(y, X, V, _holding(terms, index))
    points = np.repeat(np.asarray(start, dtype=float)[None], len(values), axis=0)
    points[:, index] = values
    x = _made_possible(problem, _search(problem, points))
    peak = _climb_from(problem, x, None, reml=method == "REML")
    fit = finished(problem, peak, None, reml=method == "REML")
    return np.where(fit.status == Status.CONVERGED, fit.loglik, np.nan)


def _holding(terms: Sequence[Term], index: int) -> list[Term]:
    """Return the terms with one natural parameter given; its value is that of the start."""
    out: list[Term] = []
    parts = parts_of(terms)
    for term, chart, start in zip(terms, parts.charts, parts.starts, strict=True):
        given = list(term.fixed) or [None] * len(chart.kinds)
        if 0 <= index - start < len(given):
            given[index - start] = 0.0
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


def _search(problem: Problem, theta: Floats) -> Floats:
    """Return x (R, q) of natural parameters (R, q)."""
    x = np.empty_like(theta)
    for chart, start in zip(problem.parts.charts, problem.parts.starts, strict=True):
        own = slice(start, start + len(chart.kinds))
        scale = np.array([problem.frame.unit**-2 if kind == "variance" else 1.0 for kind, _ in chart.kinds])
        x[:, own] = [chart.search(row) for row in theta[:, own] * scale]
    return x


def _bounds(problem: Problem, x: Floats) -> tuple[Floats, Floats]:
    """Return the range (R, q) of each search; what is given stays where the start has it."""
    lower = np.repeat(np.concatenate([np.zeros(0), *(c.lower for c in problem.parts.charts)])[None], len(x), axis=0)
    upper = np.repeat(np.concatenate([np.zeros(0), *(c.upper for c in problem.parts.charts)])[None], len(x), axis=0)
    for term, start in zip(problem.terms, problem.parts.starts, strict=True):
        for i, value in enumerate(term.fixed):
            if value is not None:
                lower[:, start + i] = upper[:, start + i] = x[:, start + i]
    return lower, upper


def _climb_from(problem: Problem, x: Floats, counts: Floats | None, *, reml: bool) -> Peak:
    """Climb from x (R, q), all replicates together."""
    lower, upper = _bounds(problem, x)

    def objective(at: Floats, which: Places) -> Slope:
        return slope_at(problem, at, None if counts is None else counts[which], reml=reml)

    kinked = any(term.structure == "SPLIN" for term in problem.terms)
    kinked |= any(chart.allowed is not None for chart in problem.parts.charts)  # the edge of what is allowed is one too
    return climb(objective, x, lower, upper, float(problem.labels.size), kinked=kinked)


def _best(problem: Problem, *, reml: bool) -> tuple[Peak, Floats, Floats]:
    """Return the highest peak above the coarse grid, and x and gaps of the others that were found."""
    if not problem.parts.q:
        return _climb_from(problem, np.zeros((1, 0)), None, reml=reml), np.zeros((0, 0)), np.zeros(0)
    x, shape = grid_of(problem)
    at = level(sums_at(problem, x, None, 0))
    values = np.where(allowed(problem.parts, x), at.reml if reml else at.ml, -np.inf)
    begin = tops(values, shape, wide=problem.labels.size <= FEW and not problem.heavy)
    if not begin.size:
        begin = np.array([int(np.argmax(values))])
    peaks = _climb_from(problem, x[begin], None, reml=reml)
    values = np.where(peaks.converged, peaks.at.value, -np.inf)
    order = np.argsort(-values, kind="stable")
    fresh = np.diff(values[order], prepend=values[order[0]]) < -SAME
    other = order[fresh & np.isfinite(values[order])]
    return peaks.take(order[:1]), peaks.x[other], values[order[0]] - values[other]


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
        if (spread == 0).any() or (np.abs(np.diagonal(np.linalg.qr(X / spread, mode="r"))) < COLLINEAR).any():
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
