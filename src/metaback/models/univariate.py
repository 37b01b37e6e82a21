"""The univariate engine: one masked batch call from effects and variances to finished fits."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.models.fitted import Fit
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.stats.inference import MEAN_RULES
from metaback.stats.likelihoods import full, restricted, saturated
from metaback.stats.tau2 import TAU2_ESTIMATORS, Tau2, without_likelihood
from metaback.stats.wls import Bools, Floats, Problems, coefficients, full_rank, prepare, with_weights
from metaback.status import Status

CHUNK = 40_000  # effects handled at a time, so that a chunk's temporaries stay in the processor's cache


def fit_univariate(
    y: Floats, v: Floats, mask: Bools, spec: PoolSpec, X: Floats | None = None, weights: Floats | None = None
) -> Fit:
    """Fit y_i = x_i'beta + u_i + e_i, u_i ~ N(0, tau2), e_i ~ N(0, v_i), for a batch of problems at once.

    y, v, mask: (..., k) effects and variances on the analysis scale, and which of them belong to the problem; what is
    masked has no influence, whatever stands there, nor has a study of infinite variance. X: (..., k, p), or None for a
    mean alone. weights: (..., k) at least 0, the user's weights of the coefficients in place of 1 / (v + tau2), with
    the variance that goes with them; "IVhet" sets 1 / v. Leading axes are batch axes. Rows that cannot be fitted carry
    their `Status` and nan; they never stop the others.

    Edges: with as many studies as coefficients tau2 is 0 (unless given) and intervals use the normal quantile.

    >>> y, v = np.array([0.1, 0.3, 0.5]), np.array([0.02, 0.03, 0.05])
    >>> fit = fit_univariate(y, v, np.ones(3, dtype=bool), PoolSpec(model="equal", ci="Wald"))
    >>> round(float(fit.beta[0]), 6)
    0.241935
    """
    shape = np.broadcast_shapes(y.shape, v.shape, mask.shape)
    batch, k = shape[:-1], shape[-1]
    if spec.model == "IVhet":
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = 1 / v
    p = 1 if X is None else X.shape[-1]
    flat_y, flat_v = (np.broadcast_to(a, shape).reshape(-1, k) for a in (y, v))
    flat_mask = np.broadcast_to(mask, shape).reshape(-1, k)
    own = None if weights is None else np.broadcast_to(weights, shape).reshape(-1, k)
    design = None if X is None else np.broadcast_to(X, (*shape, p)).reshape(-1, k, p)
    rows = max(1, CHUNK // max(k, 1))
    parts: list[Fit] = []
    for start in range(0, max(flat_y.shape[0], 1), rows):
        cut = slice(start, start + rows)
        part_X, part_own = (None if a is None else a[cut] for a in (design, own))
        parts.append(_fit_chunk(flat_y[cut], flat_v[cut], flat_mask[cut], part_X, part_own, spec))
    return _stack(parts, batch)


def _fit_chunk(y: Floats, v: Floats, mask: Bools, X: Floats | None, weights: Floats | None, spec: PoolSpec) -> Fit:
    """Fit one chunk (n, k)."""
    impossible = mask & ~(np.isfinite(y) & (v > 0))
    if weights is not None:
        impossible |= mask & np.isfinite(v) & ~(np.isfinite(weights) & (weights >= 0))
    mask = mask & ~impossible & np.isfinite(v)
    problems = prepare(y, v, mask, X, weights)
    status = _status(problems, mask, impossible)
    good = np.flatnonzero(status == Status.CONVERGED)
    if not good.size:
        return _blank(problems, status)
    part = problems if good.size == problems.n else problems.take(good)
    found = _between(part, spec)
    status[good[~found.converged]] = Status.NOT_CONVERGED
    least_squares = coefficients(part, found.value)
    fit = with_weights(part, least_squares, found.value)
    factor, df = MEAN_RULES[spec.ci].function(least_squares.q1, part.m, spec.level)
    ml, reml = full(part, fit), restricted(part, fit)
    use_full = not estimates_tau2(spec) or spec.tau2 == "ML"
    done = Fit(
        beta=fit.beta,
        cov=fit.cov * factor[:, None, None],
        theta=found.value[:, None],
        df=df,
        loglik=ml if use_full else reml,
        status=status[good],
        n_iter=found.n_iter,
        rival=found.rival,
        gap=found.gap,
        loglik_ml=ml,
        loglik_reml=reml,
        deviance=2 * (saturated(part) - ml),
        q1=fit.q1,
        m=part.m,
    )
    return done if good.size == problems.n else _spread(done, good, _blank(problems, status))


def _between(part: Problems, spec: PoolSpec) -> Tau2:
    """Estimate tau2 as the request has it, or take what it gives."""
    if not estimates_tau2(spec):
        return without_likelihood(np.zeros(part.n))
    if not isinstance(spec.tau2, str):
        return without_likelihood(np.full(part.n, float(spec.tau2)))
    return TAU2_ESTIMATORS[spec.tau2].function(part)


def _blank(problems: Problems, status: NDArray[np.int64]) -> Fit:
    """Return fits without numbers."""
    n, p = problems.n, problems.p
    none = np.full(n, np.nan)
    wide = np.full((n, p), np.nan)
    return Fit(
        beta=wide,
        cov=np.full((n, p, p), np.nan),
        theta=none[:, None],
        df=none,
        loglik=none,
        status=status,
        n_iter=np.zeros(n, dtype=np.int64),
        **dict.fromkeys(("rival", "gap", "loglik_ml", "loglik_reml", "deviance", "q1", "m"), none),
    )


def _spread(done: Fit, good: NDArray[np.intp], blank: Fit) -> Fit:
    """Put the fits that were made among those that were not."""
    out: dict[str, NDArray[Any]] = {}
    for part in fields(Fit):
        out[part.name] = getattr(blank, part.name).copy()
        out[part.name][good] = getattr(done, part.name)
    return Fit(**out)


def _status(problems: Problems, mask: Bools, impossible: Bools) -> NDArray[np.int64]:
    """Tell which problems can be fitted, and why the others cannot."""
    status = np.where(full_rank(problems), int(Status.CONVERGED), int(Status.RANK_DEFICIENT))
    if problems.weights is not None:
        status[(problems.weights > 0).sum(axis=0) < problems.p] = Status.NO_WEIGHT
    status[problems.m < 0] = Status.TOO_FEW_STUDIES
    status[~mask.any(axis=1)] = Status.NO_STUDIES
    status[impossible.any(axis=1)] = Status.IMPOSSIBLE_NUMBERS
    return status


def _stack(parts: list[Fit], batch: tuple[int, ...]) -> Fit:
    """Join chunks and give the batch axes back."""
    out: dict[str, NDArray[Any]] = {}
    for part in fields(Fit):
        each = [getattr(one, part.name) for one in parts]
        whole = np.concatenate(each) if len(each) > 1 else each[0]
        out[part.name] = whole.reshape(batch + whole.shape[1:])
    return Fit(**out)
