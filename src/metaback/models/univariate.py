"""The univariate engine: one masked batch call from effects and variances to finished fits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaback.models.fitted import Fit
from metaback.models.specs import PoolSpec
from metaback.stats.inference import MEAN_RULES
from metaback.stats.likelihoods import full, restricted
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.wls import Bools, Floats, Problems, coefficients, prepare
from metaback.status import Status

CHUNK = 40_000  # effects handled at a time, so that a chunk's temporaries stay in the processor's cache


def fit_univariate(y: Floats, v: Floats, mask: Bools, spec: PoolSpec, X: Floats | None = None) -> Fit:
    """Fit y_i = x_i'beta + u_i + e_i, u_i ~ N(0, tau2), e_i ~ N(0, v_i), for a batch of problems at once.

    y, v, mask: (..., k) effects and variances on the analysis scale, and which of them belong to the problem; what is
    masked has no influence, whatever stands there, nor has a study of infinite variance. X: (..., k, p), or None for a
    mean alone. Leading axes are batch axes. Rows that cannot be fitted carry their `Status` and nan; they never stop
    the others.

    Edges: with as many studies as coefficients tau2 is 0 and intervals use the normal quantile.

    >>> y, v = np.array([0.1, 0.3, 0.5]), np.array([0.02, 0.03, 0.05])
    >>> fit = fit_univariate(y, v, np.ones(3, dtype=bool), PoolSpec(model="equal", ci="Wald"))
    >>> round(float(fit.beta[0]), 6)
    0.241935
    """
    shape = np.broadcast_shapes(y.shape, v.shape, mask.shape)
    batch, k = shape[:-1], shape[-1]
    flat_y, flat_v = (np.broadcast_to(a, shape).reshape(-1, k) for a in (y, v))
    flat_mask = np.broadcast_to(mask, shape).reshape(-1, k)
    p = 1 if X is None else X.shape[-1]
    design = None if X is None else np.broadcast_to(X, (*shape, p)).reshape(-1, k, p)
    rows = max(1, CHUNK // max(k, 1))
    parts: list[Fit] = []
    for start in range(0, max(flat_y.shape[0], 1), rows):
        cut = slice(start, start + rows)
        parts.append(
            _fit_chunk(flat_y[cut], flat_v[cut], flat_mask[cut], spec, None if design is None else design[cut])
        )
    return _stack(parts, batch)


def _fit_chunk(y: Floats, v: Floats, mask: Bools, spec: PoolSpec, X: Floats | None) -> Fit:
    """Fit one chunk (n, k)."""
    impossible = mask & ~(np.isfinite(y) & (v > 0))
    mask = mask & ~impossible & np.isfinite(v)
    problems = prepare(y, v, mask, X)
    status = _status(problems, mask, impossible)
    good = np.flatnonzero(status == Status.CONVERGED)
    part = problems.take(good)
    n, p = problems.n, problems.p
    out = Fit(
        beta=np.full((n, p), np.nan),
        cov=np.full((n, p, p), np.nan),
        theta=np.full((n, 1), np.nan),
        df=np.full(n, np.nan),
        loglik=np.full(n, np.nan),
        status=status,
        n_iter=np.zeros(n, dtype=np.int64),
    )
    if not good.size:
        return out
    tau2 = np.zeros(good.size)
    if spec.model == "random":
        found = TAU2_ESTIMATORS[spec.tau2].function(part)
        tau2 = found.value
        out.n_iter[good] = found.n_iter
        status[good[~found.converged]] = Status.NOT_CONVERGED
    fit = coefficients(part, tau2)
    factor, df = MEAN_RULES[spec.ci].function(fit.q1, part.m, spec.level)
    out.beta[good], out.cov[good], out.theta[good, 0] = fit.beta, fit.cov * factor[:, None, None], tau2
    out.df[good] = df
    out.loglik[good] = restricted(part, fit) if spec.model == "random" else full(part, fit)
    return out


def _status(problems: Problems, mask: Bools, impossible: Bools) -> NDArray[np.int64]:
    """Tell which problems can be fitted, and why the others cannot."""
    status = np.where(_collinear(problems), int(Status.RANK_DEFICIENT), int(Status.CONVERGED))
    status[problems.m < 0] = Status.TOO_FEW_STUDIES
    status[~mask.any(axis=1)] = Status.NO_STUDIES
    status[impossible.any(axis=1)] = Status.IMPOSSIBLE_NUMBERS
    return status


def _collinear(problems: Problems) -> Bools:
    """Tell which problems have a design without full column rank."""
    if problems.X is None:
        return np.zeros(problems.n, dtype=bool)
    norm = np.sqrt((problems.X**2).sum(axis=1, keepdims=True))
    return np.linalg.matrix_rank(problems.X / np.where(norm > 0, norm, 1.0)) < problems.p


def _stack(parts: list[Fit], batch: tuple[int, ...]) -> Fit:
    """Join chunks and give the batch axes back."""

    def join(name: str) -> NDArray[np.float64]:
        whole = np.concatenate([getattr(part, name) for part in parts])
        return whole.reshape(batch + whole.shape[1:])

    beta, cov, theta, df, loglik = (join(name) for name in ("beta", "cov", "theta", "df", "loglik"))
    return Fit(beta, cov, theta, df, loglik, join("status").astype(np.int64), join("n_iter").astype(np.int64))
