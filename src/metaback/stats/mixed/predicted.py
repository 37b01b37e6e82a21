"""What a fit says of single levels and rows: predicted random effects, residual weights, leverages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metaback.stats.blocks import BlockMatrix
from metaback.stats.mixed.crossed_predicted import crossed_effects, crossed_inverse
from metaback.stats.mixed.fit import marginal
from metaback.stats.mixed.problem import distances_of, parts_of, patterns_of, shared
from metaback.stats.mixed.records import Floats, MixedFit, Places, Term
from metaback.stats.mixed.structures import CURVES, Chart


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """Predicted effects of one term: one entry for each level (or column of slopes) that has a row.

    row: (k,) a row of the level; outer, inner: (k,) its levels (inner: the column of slopes; 0 for an intercept).
    estimate: (k,) best linear unbiased prediction; se: (k,) root of the variance of prediction minus truth, with the
    coefficients estimated and theta taken as known.
    """

    row: Places
    outer: Places
    inner: Places
    estimate: Floats
    se: Floats


def random_effects(
    fit: MixedFit, y: Floats, X: Floats, V: BlockMatrix, terms: Sequence[Term]
) -> tuple[RandomEffects, ...]:
    """Return the predicted effects of every term: u = C P y with C the covariance of effects and rows.

    Var(u - truth) = G - C M^-1 C' + C M^-1 X (X'M^-1 X)^-1 X'M^-1 C'. fit: a single fit of these rows and terms.
    Edges: a variance of 0 gives effects and standard errors of 0. Source: Robinson 1991. Same as `metafor::ranef`.

    >>> from metaback.stats.blocks import blocks_of, diagonal
    >>> from metaback.stats.mixed.fit import fit_mixed
    >>> y, X, terms = np.array([0.0, 1.0, 0.2, 2.0]), np.ones((4, 1)), [Term("ID0", np.arange(4))]
    >>> V = diagonal(blocks_of(np.arange(4)), np.array([0.1, 0.1, 0.2, 0.2]))
    >>> random_effects(fit_mixed(y, X, V, terms), y, X, V, terms)[0].estimate.round(4).tolist()
    [-0.6747, 0.1893, -0.4418, 0.9272]
    """
    crossed = crossed_inverse(fit, y, X, V, terms)
    if crossed is not None:
        found = crossed_effects(crossed, fit, y.size, terms)
        pairs = zip(terms, found, strict=True)
        return tuple(_one_per_level(term, value, np.sqrt(np.maximum(spread, 0.0))) for term, (value, spread) in pairs)
    M = marginal(fit.theta, V, terms)
    rest = y - X @ fit.beta
    parts = parts_of(terms)
    out: list[RandomEffects] = []
    solved = [np.linalg.inv(part) for part in M.parts]
    for term, chart, start in zip(terms, parts.charts, parts.starts, strict=True):
        theta = np.asarray(fit.theta[start : start + len(chart.kinds)], dtype=float)
        columns = 1 if term.Z is None else term.Z.shape[1]
        size = (y.size, columns)
        estimate, variance = np.zeros(size), np.zeros(size)
        for rows, A in zip(M.blocks.rows, solved, strict=True):
            for column in range(columns):
                C, own = _covariances(term, chart, theta, rows, column if term.Z is not None else None)
                CA = C @ A
                estimate[rows, column] = (CA @ rest[rows][..., None])[..., 0]
                away = CA @ X[rows]
                spread = own - np.einsum("bij,bij->bi", CA, C)
                variance[rows, column] = spread + np.einsum("bip,pq,biq->bi", away, fit.cov, away)
        out.append(_one_per_level(term, estimate, np.sqrt(np.maximum(variance, 0.0))))
    return tuple(out)


def leverages(fit: MixedFit, X: Floats, V: BlockMatrix, terms: Sequence[Term]) -> Floats:
    """Return the diagonal (n,) of X (X'M^-1 X)^-1 X'M^-1, how much each effect pulls its own fitted value.

    >>> from metaback.stats.blocks import blocks_of, diagonal
    >>> from metaback.stats.mixed.fit import fit_mixed
    >>> y, X, terms = np.array([0.0, 1.0, 0.2, 2.0]), np.ones((4, 1)), [Term("ID0", np.arange(4))]
    >>> V = diagonal(blocks_of(np.arange(4)), np.array([0.1, 0.1, 0.2, 0.2]))
    >>> leverages(fit_mixed(y, X, V, terms), X, V, terms).round(4).tolist()
    [0.2659, 0.2659, 0.2341, 0.2341]
    """
    crossed = crossed_inverse(fit, np.asarray(np.zeros(X.shape[0]), dtype=float), X, V, terms)
    if crossed is not None:
        return np.einsum("np,pq,nq->n", X, fit.cov, crossed.X)
    M = marginal(fit.theta, V, terms)
    out = np.zeros(X.shape[0])
    for rows, part in zip(M.blocks.rows, M.parts, strict=True):
        own = X[rows]
        out[rows] = np.einsum("bip,pq,biq->bi", own, fit.cov, np.linalg.solve(part, own))
    return out


def _covariances(term: Term, chart: Chart, theta: Floats, rows: Places, column: int | None) -> tuple[Floats, Floats]:
    """Return the covariances (B, m, m) of the effect of each row with the rows, and the variance (B, m) of the effect.

    column: of random slopes, whose effect is a coefficient and not that of the row.
    """
    u = chart.u(chart.search(theta)[None])[0][0]
    if term.structure in CURVES:
        far = distances_of(term, rows)
        value = CURVES[term.structure](np.nan_to_num(far), u[1:])[0]
        C = np.where(np.isnan(far), 0.0, u[0] * value)
    elif column is not None and term.Z is not None and chart.patterns is not None:
        G = np.einsum("j,jab->ab", u, chart.patterns)
        C = shared(term, rows) * (term.Z[rows] @ G[column])[:, None, :]
        return C, np.where(term.outer[rows] >= 0, G[column, column], 0.0)
    else:
        C = np.einsum("j,jbmn->bmn", u, patterns_of(term, chart, rows))
    return C, np.diagonal(C, axis1=1, axis2=2)


def _one_per_level(term: Term, estimate: Floats, se: Floats) -> RandomEffects:
    """Keep the first row of each level; a term over positions has an effect for each row."""
    inner = np.zeros_like(term.outer) if term.inner is None else term.inner
    there = np.flatnonzero(term.outer >= 0)
    keys = [term.outer[there], inner[there]]
    if term.position is not None:
        keys += list(term.position[there].T)
    first = there[np.sort(np.unique(np.stack(keys), axis=1, return_index=True)[1])]
    columns: int = estimate.shape[1]
    row = np.repeat(first, columns)
    column: Places = np.arange(row.size, dtype=np.intp) % columns
    level = inner[row] if columns == 1 else column
    return RandomEffects(row, term.outer[row], level, estimate[row, column], se[row, column])
