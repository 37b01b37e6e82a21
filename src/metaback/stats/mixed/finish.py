"""Turn the end of a climb into the numbers of a fit: natural parameters, what is known of them, coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.stats.mixed.climb import Peak, scale_of
from metaback.stats.mixed.faces import lowest
from metaback.stats.mixed.likelihood import LOG_2PI, level
from metaback.stats.mixed.problem import Problem, parts_of, sums_at
from metaback.stats.mixed.records import Bools, Floats, MixedFit, Term
from metaback.stats.mixed.structures import Chart
from metaback.status import Status

UNTOLD = 1e-9  # information, relative to the scale of its parameters, that counts as none
END = 1e-9  # distance of a correlation from the end of its range that counts as being there


def names_of(terms: Sequence[Term]) -> tuple[str, ...]:
    """Return the names of the natural parameters: term first, then inner levels, all counted from 0.

    >>> names_of([Term("ID0", np.arange(2)), Term("UN", np.arange(2), np.arange(2), 2)])
    ('sigma2[0]', 'tau2[1][0]', 'tau2[1][1]', 'rho[1][0,1]')
    """
    return _named(terms, parts_of(terms).charts)


def _named(terms: Sequence[Term], charts: Sequence[Chart]) -> tuple[str, ...]:
    """Return the names of the natural parameters of terms whose charts are known."""
    names: list[str] = []
    for number, (term, chart) in enumerate(zip(terms, charts, strict=True)):
        for kind, levels in chart.kinds:
            letter = "sigma2" if term.structure == "ID0" else "tau2" if kind == "variance" else "rho"
            inner = f"[{','.join(map(str, levels))}]" if levels else ""
            names.append(f"{letter}[{number}]{inner}")
    return tuple(names)


def natural_of(problem: Problem, x: Floats) -> tuple[Floats, Floats]:
    """Return natural parameters (R, q) at x (R, q) on the user's scale, and their derivatives (R, q, q) in x."""
    theta, slopes = np.empty_like(x), np.zeros((*x.shape, x.shape[1]))
    for chart, start in zip(problem.parts.charts, problem.parts.starts, strict=True):
        own = slice(start, start + len(chart.kinds))
        scale = np.array([problem.frame.unit**2 if kind == "variance" else 1.0 for kind, _ in chart.kinds])
        value, first, _ = chart.natural(x[:, own])
        theta[:, own], slopes[:, own, own] = value * scale, first * scale[:, None]
    return theta, slopes


def finished(problem: Problem, peak: Peak, counts: Floats | None, *, reml: bool) -> MixedFit:
    """Return the fits of R climbs, every array with the axis R."""
    x, p = peak.x, problem.frame.basis.shape[0]
    at = level(sums_at(problem, x, counts, 0))
    rows = np.full(len(x), float(problem.labels.size)) if counts is None else counts @ problem.sizes
    log_x = _log_columns(problem, counts, len(x))
    status = _status(peak.converged, at.good, log_x, rows, p + reml)
    theta, slopes = natural_of(problem, x)
    ends = at_ends(problem, theta)
    idle, fixed = _idle(problem, theta), given(problem)
    told, cov = _known(peak, slopes, idle, fixed)
    told |= ends & _unbounded(problem) & ~idle  # the derivatives of a root vanish there
    away = ends | ~told | fixed
    cov = np.where(away[:, :, None] | away[:, None, :], np.nan, cov)
    constant = 0.5 * LOG_2PI + math.log(problem.frame.unit)
    ml = at.ml - rows * constant
    restricted = at.reml - (rows - p) * constant + 0.5 * log_x
    back = np.linalg.inv(problem.frame.basis) * problem.frame.unit
    beta = (problem.frame.shift + at.beta) @ back.T
    good = status == Status.CONVERGED
    numbers: dict[str, Any] = {
        "beta": beta, "cov": back @ at.cov @ back.T, "theta": theta, "theta_cov": cov,
        "loglik": restricted if reml else ml, "loglik_ml": ml, "loglik_reml": restricted,
    }  # fmt: skip
    kept: dict[str, Any] = {
        key: np.where(good.reshape(-1, *[1] * (v.ndim - 1)), v, np.nan) for key, v in numbers.items()
    }
    return MixedFit(
        **kept,
        status=status.astype(np.int64),
        n_iter=peak.steps.astype(np.int64),
        names=_named(problem.terms, problem.parts.charts),
        at_bound=ends & good[:, None],
        identifiable=told & good[:, None],
        rivals=np.zeros((0, x.shape[1])),
        gaps=np.zeros(0),
    )


def _status(converged: Bools, good: Bools, log_x: Floats, rows: Floats, fewest: int) -> NDArray[np.int64]:
    """Return how each of R climbs ended; fewest: rows that a model needs."""
    status = np.where(converged, int(Status.CONVERGED), int(Status.NOT_CONVERGED))
    status[~good] = Status.IMPOSSIBLE_NUMBERS
    status[~np.isfinite(log_x)] = Status.RANK_DEFICIENT
    status[rows < fewest] = Status.TOO_FEW_STUDIES
    status[rows == 0] = Status.NO_STUDIES
    return status


def single(fit: MixedFit, rivals: Floats, gaps: Floats, place: int = 0) -> MixedFit:
    """Return one fit of a batch, the first or another, without the axis of replicates."""
    values: dict[str, Any] = {part.name: getattr(fit, part.name) for part in fields(MixedFit)}
    kept = {"names", "rivals", "gaps"}
    own: dict[str, Any] = {"rivals": rivals, "gaps": gaps}
    return MixedFit(**({k: v if k in kept else v[place] for k, v in values.items()} | own))


def blank(p: int, names: tuple[str, ...], status: Status, replicates: int | None) -> MixedFit:
    """Return fits without numbers."""
    R, q = replicates or 1, len(names)
    none = np.full(R, np.nan)
    fit = MixedFit(
        beta=np.full((R, p), np.nan),
        cov=np.full((R, p, p), np.nan),
        theta=np.full((R, q), np.nan),
        names=names,
        theta_cov=np.full((R, q, q), np.nan),
        loglik=none,
        loglik_ml=none,
        loglik_reml=none,
        status=np.full(R, int(status), dtype=np.int64),
        n_iter=np.zeros(R, dtype=np.int64),
        at_bound=np.zeros((R, q), dtype=bool),
        identifiable=np.zeros((R, q), dtype=bool),
        rivals=np.zeros((0, q)),
        gaps=np.zeros(0),
    )
    return fit if replicates is not None else single(fit, fit.rivals, fit.gaps)


def given(problem: Problem) -> Bools:
    """Tell which natural parameters the user gave, (q,)."""
    out = [
        value is not None
        for term, chart in zip(problem.terms, problem.parts.charts, strict=True)
        for value in (term.fixed or (None,) * len(chart.kinds))
    ]
    return np.array(out, dtype=bool)


def at_ends(problem: Problem, theta: Floats) -> Bools:
    """Tell which natural parameters (R, q) stand at the end of their range: a variance at 0, a correlation at 1.

    A correlation stands at its end too where it makes a matrix singular with others.
    """
    out = np.zeros(theta.shape, dtype=bool)
    tiny = 1e-14 * problem.frame.unit**2
    for term, chart, start in zip(problem.terms, problem.parts.charts, problem.parts.starts, strict=True):
        L = max(term.levels, 1 if term.Z is None else term.Z.shape[1])
        low = lowest(np.full(len(theta), L)) if term.structure == "CS" else np.full(len(theta), -1.0)
        if term.structure == "HCS":
            low = lowest((theta[:, start : start + L] > tiny).sum(axis=1))
        for i, (kind, _) in enumerate(chart.kinds, start=start):
            if kind == "variance":
                out[:, i] = theta[:, i] <= tiny
            elif kind == "correlation":
                low = np.full(len(theta), 1e-10) if term.structure == "CAR" else low
                out[:, i] = (theta[:, i] >= 1 - END) | (theta[:, i] <= low + END)
            else:
                x = np.log(theta[:, i])
                out[:, i] = (x <= chart.lower[1] + END) | (x >= chart.upper[1] - END)
    return out & ~given(problem)


def _known(peak: Peak, slopes: Floats, idle: Bools, fixed: Bools) -> tuple[Bools, Floats]:
    """Tell which natural parameters the data say something about, and the inverse of their observed information.

    A direction of the search without expected information cannot be told; every natural parameter that changes along
    it cannot either. Nor can a correlation with something that has no variance: idle (R, q). fixed: (q,) the given.
    """
    q = fixed.size
    free = ~peak.resting
    scale = scale_of(peak.at)
    scale = np.where(scale > 0, scale, 1.0)
    both = scale[:, :, None] * scale[:, None, :]
    values, vectors = np.linalg.eigh(np.where(fixed | fixed[:, None], np.eye(q), peak.at.fisher * both))
    flat = values < UNTOLD
    moved = slopes @ (vectors * scale[:, :, None])
    most = np.abs(moved).max(axis=2, initial=0, keepdims=True)
    told = ~((np.abs(moved) > 1e-6 * most) & flat[:, None, :]).any(axis=2)
    both = both * (free[:, :, None] & free[:, None, :])
    values, vectors = np.linalg.eigh(-peak.at.hessian * both + np.eye(q) * (~free)[:, :, None])
    steep = values > UNTOLD
    half = vectors * np.where(steep, 1 / np.sqrt(np.where(steep, values, 1.0)), 0.0)[:, None, :]
    half = slopes @ (half * (scale * free)[:, :, None])
    return (told & ~idle) | fixed, half @ half.swapaxes(1, 2)


def _unbounded(problem: Problem) -> Bools:
    """Tell which parameters (q,) belong to charts without bounds, whose ends are reached by a singular root."""
    return np.concatenate([np.zeros(0, dtype=bool), *(np.isinf(chart.lower) for chart in problem.parts.charts)])


def _idle(problem: Problem, theta: Floats) -> Bools:
    """Tell which correlations (R, q) belong to a variance of 0."""
    out = np.zeros(theta.shape, dtype=bool)
    tiny = 1e-14 * problem.frame.unit**2
    for chart, start in zip(problem.parts.charts, problem.parts.starts, strict=True):
        variances = [start + i for i, (kind, _) in enumerate(chart.kinds) if kind == "variance"]
        for i, (kind, levels) in enumerate(chart.kinds, start=start):
            if kind != "variance":
                own = [start + a for a in levels] if levels else variances
                out[:, i] = (theta[:, own] <= tiny).any(axis=1) if levels else (theta[:, own] <= tiny).all(axis=1)
    return out


def _log_columns(problem: Problem, counts: Floats | None, R: int) -> Floats:
    """Return log|X'CX| - 2 log|R| (R,), C the counts of the rows: 0 without counts, -inf without full rank."""
    p = problem.frame.basis.shape[0]
    if counts is None or not p:
        return np.zeros(R)
    Q = problem.frame.Y[:, :p]
    order = np.argsort(problem.labels, kind="stable")
    begin = np.concatenate([[0], np.cumsum(problem.sizes)[:-1]])
    each = np.add.reduceat((Q[:, :, None] * Q[:, None, :])[order], begin, axis=0)
    whole = np.einsum("rb,bij->rij", counts, each)
    spread = np.sqrt(np.maximum(np.diagonal(whole, axis1=1, axis2=2), np.finfo(float).tiny))
    lowest = np.linalg.eigvalsh(whole / spread[:, :, None] / spread[:, None, :])[:, 0]
    return np.where(
        lowest > 1e-10, np.linalg.slogdet(np.where(lowest[:, None, None] > 1e-10, whole, np.eye(p)))[1], -np.inf
    )
