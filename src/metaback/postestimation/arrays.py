"""Pools of arrays: many independent problems of one request in masked batches, numbers out and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.models.fitted import Fit
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.models.univariate import CHUNK, fit_univariate
from metaback.postestimation.means import mean_limits
from metaback.postestimation.notes import DEGENERATE, NEAR_PEAK, WIDE_VARIANCES
from metaback.postestimation.pools import PREDICTION_FROM, prediction_limits_of
from metaback.stats.heterogeneity import i2_from_q, i2_from_tau2, spread_at_zero
from metaback.stats.inference import Limits, quantile, two_sided_p
from metaback.stats.tau2_interval import TAU2_INTERVALS, Tau2Limits
from metaback.stats.wls import Bools, Floats, Problems, prepare
from metaback.status import Status

Counts = NDArray[np.int64]
# What a reader must know of a pool, as bits of `Pools.flags`; the words are those of the notes of a single pool, short.
ONE_STUDY, FEW, SECOND_PEAK, EMPTY, OUTSIDE, PIECES, WALD_WIDER, NARROW, EQUAL, WIDE, ALONE, RAISED = (
    1 << bit for bit in range(12)
)
FLAG_WORDS: dict[int, str] = {
    ONE_STUDY: "one study: nothing was pooled",
    ALONE: "one study: its interval rests on the tau2 of all subgroups",
    SECOND_PEAK: "the likelihood has a second peak almost as high",
    EMPTY: "the interval of tau2 is empty",
    OUTSIDE: "tau2 lies outside its own interval",
    PIECES: "the set of tau2 consists of several intervals",
    EQUAL: "the effects are equal to rounding: the Hartung-Knapp-Sidik-Jonkman standard error degenerates to 0",
    WALD_WIDER: "the Wald interval is shown, which is wider than the Hartung-Knapp-Sidik-Jonkman one",
    NARROW: "the Hartung-Knapp-Sidik-Jonkman interval is narrower than the Wald one",
    RAISED: "the factor of the Hartung-Knapp-Sidik-Jonkman variance would be below 1; 1 is used",
    FEW: "fewer than 3 studies: no prediction interval",
    WIDE: "the largest variance is more than ten million times the smallest",
}


@dataclass(frozen=True, slots=True, repr=False)
class Pools:
    """The numbers of many pools; leading axes ... are those of the effects without the last, nan where a number is not.

    estimate, se, ci_low, ci_high, statistic, p_value: (...,), or (..., p) coefficients with a design; df: (...,), inf
    for the normal. k: (...,) effects that were pooled. tau2, tau2_low, tau2_high: nan for k = p and for equal effects;
    i2: percent, by the definition of the request; q, q_p: Cochran's Q (residual, with a design) and its P value.
    pi_low, pi_high: prediction interval, nan with a design. status: (...,) codes of `metaback.status.Status`.
    flags: (...,) bits whose words are in `FLAG_WORDS`. theta: (...,) tau2 as the fit has it, 0 for equal effects.
    """

    k: Counts
    estimate: Floats
    se: Floats
    ci_low: Floats
    ci_high: Floats
    statistic: Floats
    df: Floats
    p_value: Floats
    tau2: Floats
    tau2_low: Floats
    tau2_high: Floats
    i2: Floats
    q: Floats
    q_p: Floats
    pi_low: Floats
    pi_high: Floats
    status: Counts
    flags: Counts
    theta: Floats

    def __repr__(self) -> str:
        """Return how many problems there are and how they ended, and not the arrays themselves."""
        codes, counts = np.unique(self.status, return_counts=True)
        ends = [f"{count:,} {Status(code).name.lower()}" for code, count in zip(codes.tolist(), counts, strict=True)]
        names = ", ".join(f.name for f in fields(self))
        return f"Pools of {self.status.size:,} problems, shape {self.status.shape}: {', '.join(ends)}\narrays: {names}"


def blank_pools(n: int, p: int | None = None) -> Pools:
    """Return n pools without numbers, of p coefficients (None: of a mean alone)."""
    wide = ("estimate", "se", "ci_low", "ci_high", "statistic", "p_value")
    whole = ("k", "status", "flags")
    made: dict[str, NDArray[Any]] = {}
    for part in fields(Pools):
        shape = (n, p) if p is not None and part.name in wide else (n,)
        made[part.name] = np.zeros(shape, dtype=np.int64) if part.name in whole else np.full(shape, np.nan)
    return Pools(**made)


def put(into: Pools, index: NDArray[np.intp] | slice, found: Pools) -> None:
    """Write pools into their places of a larger set."""
    for part in fields(Pools):
        getattr(into, part.name)[index] = getattr(found, part.name)


def pool_batch(
    y: Floats,
    v: Floats,
    mask: Bools,
    spec: PoolSpec,
    X: Floats | None = None,
    weights: Floats | None = None,
    back: Floats | None = None,
) -> Pools:
    """Pool n problems, each row one: fit, interval of the mean, heterogeneity and prediction.

    y, v, mask: (n, k); X: (n, k, p) or None for a mean; weights: (n, k) of the user, or None. back: (n, p, p) which
    turns the coefficients of X into those that are asked for, None where they are the same.

    Edges: a problem that cannot be fitted has its status and nan. One study has its own estimate and interval.

    >>> one = pool_batch(np.array([[0.1, 0.3]]), np.array([[0.1, 0.1]]), np.ones((1, 2), bool), PoolSpec())
    >>> one.estimate.round(6).tolist(), one.k.tolist()
    ([0.2], [2])
    """
    n, k = y.shape
    out = blank_pools(n, None if X is None else X.shape[-1])
    rows = max(1, CHUNK // max(k, 1))
    for start in range(0, n, rows):
        cut = slice(start, start + rows)
        own, design, turn = (None if a is None else a[cut] for a in (weights, X, back))
        put(out, cut, _pool_chunk((y[cut], v[cut], mask[cut]), spec, design, own, turn))
    return out


def _pool_chunk(
    data: tuple[Floats, Floats, Bools], spec: PoolSpec, X: Floats | None, weights: Floats | None, back: Floats | None
) -> Pools:
    """Pool one chunk (n, k)."""
    y, v, mask = data
    fit = fit_univariate(y, v, mask, spec, X, weights)
    out = blank_pools(y.shape[0], None if X is None else X.shape[-1])
    out.status[:] = fit.status
    use = mask & np.isfinite(v)
    out.k[:] = use.sum(axis=1)
    good = np.flatnonzero(fit.status == Status.CONVERGED)
    if not good.size:
        return out
    if good.size < y.shape[0]:
        fit = Fit(**{part.name: getattr(fit, part.name)[good] for part in fields(Fit)})
        y, v, use = y[good], v[good], use[good]
        X, back = (None if a is None else a[good] for a in (X, back))
    problems = prepare(y, v, use, X)
    means = mean_limits(fit, spec, problems) if X is None else _coefficient_limits(fit, spec, back)
    part = _numbers(problems, fit, spec, means)
    part.status[:], part.k[:] = fit.status, out.k[good]
    put(out, good, part)
    return out


def _coefficient_limits(fit: Fit, spec: PoolSpec, back: Floats | None) -> Limits:
    """Return coefficients with their intervals and tests, (n, p)."""
    beta, cov = fit.beta, fit.cov
    if back is not None:
        beta, cov = np.einsum("npq,nq->np", back, beta), back @ cov @ back.swapaxes(-1, -2)
    se = np.sqrt(np.maximum(np.diagonal(cov, axis1=-2, axis2=-1), 0.0))
    df = np.broadcast_to(fit.df[:, None], beta.shape)
    half = quantile(spec.level, df) * se
    statistic = np.where(se > 0, beta / np.where(se > 0, se, 1.0), np.nan)
    p = two_sided_p(statistic, df)
    return Limits(beta, se, fit.df, beta - half, beta + half, statistic, p, fit.theta[:, 0])


def _numbers(problems: Problems, fit: Fit, spec: PoolSpec, means: Limits) -> Pools:
    """Collect the numbers of problems that were fitted."""
    tau2, m, nothing = fit.theta[:, 0], problems.m, np.full(problems.n, np.nan)
    q, q_p, typical = spread_at_zero(problems)
    limits = TAU2_INTERVALS[spec.tau2_ci].function(problems, tau2, spec.level)
    random = (m > 0) & estimates_tau2(spec)
    i2 = np.where(m > 0, i2_from_q(q, m), np.nan)
    if spec.i2 == "tau2" and estimates_tau2(spec):
        i2 = np.where(random, i2_from_tau2(tau2, typical), np.nan)
    prediction = prediction_limits_of(fit, spec, problems) if problems.X is None else None
    low, high = (nothing, nothing) if prediction is None else (prediction.lower, prediction.upper)
    known = np.isfinite(low)
    return Pools(
        k=np.zeros(problems.n, dtype=np.int64),
        estimate=means.point,
        se=means.se,
        ci_low=means.lower,
        ci_high=means.upper,
        statistic=means.statistic,
        df=means.df,
        p_value=means.p,
        tau2=np.where(random, tau2, np.nan),
        tau2_low=np.where(random, limits.lower, np.nan),
        tau2_high=np.where(random, limits.upper, np.nan),
        i2=i2,
        q=q,
        q_p=q_p,
        pi_low=np.where(known, low, np.nan),
        pi_high=np.where(known, high, np.nan),
        status=np.zeros(problems.n, dtype=np.int64),
        flags=flags_of(problems, fit, spec, limits),
        theta=tau2,
    )


def flags_of(problems: Problems, fit: Fit, spec: PoolSpec, limits: Tau2Limits) -> Counts:
    """Set the bits of what a reader must know of each problem, (n,), by the rules of the notes of a single pool."""
    m, tau2, random, low, high = problems.m, fit.theta[:, 0], estimates_tau2(spec), limits.lower, limits.upper
    q1 = np.where(m > 0, fit.q1 / np.where(m > 0, m, 1.0), 1.0)
    normal = quantile(spec.level, np.array(np.inf))
    sizes, place = np.unique(m, return_inverse=True)  # quantiles of t are slow, and sizes are few
    share = np.where(m > 0, quantile(spec.level, sizes)[place] * np.sqrt(q1) / normal, np.nan)
    spans = np.where(np.isinf(problems.v), 0.0, problems.v).max(axis=0) / problems.v_min
    hksj, equal = spec.ci.startswith("HKSJ"), q1 < DEGENERATE
    bits = np.zeros(problems.n, dtype=np.int64)
    several = m > 0
    for bit, condition in (
        (SECOND_PEAK, random & (fit.gap < NEAR_PEAK)),
        (EMPTY, random & np.isnan(low)),
        (OUTSIDE, random & ((tau2 < low) | (tau2 > high))),
        (PIECES, random & (limits.pieces > 1)),
        (EQUAL, hksj & equal),
        (WALD_WIDER, (spec.ci == "HKSJ-wider") & ~equal & (share < 1)),
        (NARROW, (spec.ci == "HKSJ") & ~equal & (share < 1)),
        (RAISED, (spec.ci == "HKSJ-q1") & ~equal & (q1 < 1)),
        (FEW, random & (spec.pi != "none") & (m + problems.p < PREDICTION_FROM) & (problems.X is None)),
        (WIDE, spans > WIDE_VARIANCES),
    ):
        bits |= np.where(several & condition, bit, 0)
    return bits | np.where((m == 0) & (problems.X is None), ONE_STUDY, 0)


def flag_words(flags: Counts) -> list[str]:
    """Return the words of each set of flags, "; " between them, each set worded once.

    >>> flag_words(np.array([0, ONE_STUDY, FEW | WIDE]))[1]
    'one study: nothing was pooled'
    """
    sets, place = np.unique(flags, return_inverse=True)
    texts = ["; ".join(words for bit, words in FLAG_WORDS.items() if bit & one) for one in sets.tolist()]
    return [texts[i] for i in place.tolist()]
