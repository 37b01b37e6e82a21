"""Satterthwaite degrees of freedom of the coefficients of a model of dependent effects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metaback.stats.blocks import BlockMatrix
from metaback.stats.mixed.likelihood import slope
from metaback.stats.mixed.problem import Problem, problem_of, to_blocks
from metaback.stats.mixed.records import Floats, Term

FLAT = 1e-9  # curvature relative to the steepest (parameters in units of their own information) that counts as none


def satterthwaite(
    y: Floats, X: Floats, V: BlockMatrix, terms: Sequence[Term], theta: Floats, contrasts: Floats, *, method: str
) -> Floats:
    """Return the degrees of freedom (r,) of linear combinations (r, p) of the coefficients.

    df = 2 (l'Cl)^2 / (g'Hg) with C = (X'M^-1 X)^-1, g = d(l'Cl) by the parameters of M, d C = C X'M^-1 dM M^-1 X C, and
    H the inverse of the observed information. The parameters are those of the search, in which nothing is singular;
    df does not depend on them. Parameters that stand at a bound, or along which the likelihood is flat, count as known;
    with none left df is inf.

    theta: (q,) natural parameters at the maximum of `method`. Source: Satterthwaite 1946; Fai & Cornelius 1996.

    >>> from metaback.stats.blocks import blocks_of, diagonal
    >>> V = diagonal(blocks_of(np.arange(4)), np.full(4, 0.1))
    >>> y, X, terms = np.array([0.0, 1.0, 0.2, 2.0]), np.ones((4, 1)), [Term("ID0", np.arange(4))]
    >>> satterthwaite(y, X, V, terms, np.array([2.48 / 3 - 0.1]), np.eye(1), method="REML").round(6)
    array([3.])
    """
    problem = problem_of(y, X, V, terms)
    x = _searched(problem, theta)
    u, first, second = to_blocks(problem.parts, x)
    sums = problem.kernel(u, None, 2)
    p = X.shape[1]
    if sums.first is None or not problem.parts.q:
        return np.array([np.inf] * len(contrasts))
    at = slope(sums, reml=method == "REML")
    C = np.linalg.inv(sums.K[0, :p, :p])
    hessian = first[0].T @ at.hessian[0] @ first[0] + np.einsum("j,jqs->qs", at.gradient[0], second[0])
    slopes = np.einsum("jq,jab->qab", first[0], C @ sums.first[0][:, :p, :p] @ C)
    weights = np.linalg.solve(problem.frame.basis.T, contrasts.T).T
    gradient = np.einsum("ra,qab,rb->rq", weights, slopes, weights)
    size = np.einsum("ra,ab,rb->r", weights, C, weights)
    spread = np.einsum("rq,qs,rs->r", gradient, _inverse(-hessian, _free(problem, x[0])), gradient)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(spread > 0, 2 * size**2 / spread, np.inf), dtype=float)


def _searched(problem: Problem, theta: Floats) -> Floats:
    """Return the parameters of the search x (1, q) at natural parameters (q,)."""
    x = np.empty((1, theta.size))
    for chart, start in zip(problem.parts.charts, problem.parts.starts, strict=True):
        own = slice(start, start + len(chart.kinds))
        scale = np.array([problem.frame.unit**-2 if kind == "variance" else 1.0 for kind, _ in chart.kinds])
        x[0, own] = chart.search(theta[own] * scale)
    return x


def _free(problem: Problem, x: Floats) -> np.ndarray:
    """Tell which parameters (q,) do not stand at a bound and were not given."""
    free = np.ones(x.size, dtype=bool)
    for term, chart, start in zip(problem.terms, problem.parts.charts, problem.parts.starts, strict=True):
        own = slice(start, start + len(chart.kinds))
        free[own] = (x[own] > chart.lower) & (x[own] < chart.upper)
        for i, value in enumerate(term.fixed):
            free[start + i] &= value is None
    return free


def _inverse(information: Floats, free: np.ndarray) -> Floats:
    """Return the inverse over free parameters, 0 elsewhere and along flat directions."""
    size = np.sqrt(np.maximum(np.diagonal(information), 0))
    scale = np.where(free & (size > 0), 1 / np.where(size > 0, size, 1.0), 0.0)
    values, vectors = np.linalg.eigh(information * scale[:, None] * scale)
    steep = values > FLAT
    inverse = (vectors * np.where(steep, 1 / np.where(steep, values, 1.0), 0.0)) @ vectors.T
    return inverse * scale[:, None] * scale
