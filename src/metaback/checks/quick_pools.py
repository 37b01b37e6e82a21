"""Pools as rules need them: mean, tau2 and heterogeneity of many row sets at once, without a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metaback.checks.scene import Bools, Floats, Places, Plan, Pooled
from metaback.stats.heterogeneity import cochran_q, i2_from_q
from metaback.stats.inference import MEAN_RULES, quantile
from metaback.stats.measures import about, raw_roles
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.wls import coefficients, prepare

LEVEL = 0.95  # of the intervals that findings show


@dataclass(frozen=True, slots=True)
class Quick:
    """Pools of n row sets, each (n,): mean, its model variance, tau2, Cochran's Q and P, generalised Q, df k - 1."""

    mean: Floats
    variance: Floats
    tau2: Floats
    q: Floats
    p: Floats
    q1: Floats
    df: Floats

    @property
    def i2(self) -> Floats:
        """Return I2 in percent from Q."""
        return i2_from_q(self.q, self.df)

    def each(self) -> tuple[Quick, ...]:
        """Return the pools one by one, each with n = 1."""
        columns = (self.mean, self.variance, self.tau2, self.q, self.p, self.q1, self.df)
        return tuple(Quick(*(column[i : i + 1] for column in columns)) for i in range(self.mean.size))


def quick_pools(y: Floats, v: Floats, mask: Bools, tau2: str = "DL") -> Quick:
    """Return random-effects pools of n row sets.

    y, v, mask: (n, k); tau2: key of an estimator, or the number that is given. Edges: k = 1 has tau2 = 0.

    >>> one = quick_pools(np.array([[0.1, 0.5]]), np.full((1, 2), 0.04), np.ones((1, 2), dtype=bool))
    >>> one.mean.round(6).tolist(), one.tau2.round(6).tolist()
    ([0.3], [0.04])
    """
    problems = prepare(y, v, mask)
    known = TAU2_ESTIMATORS[tau2].function(problems).value if tau2 in TAU2_ESTIMATORS else None
    between = np.full(problems.n, float(tau2)) if known is None else known
    fit = coefficients(problems, between)
    q, p = cochran_q(problems)
    return Quick(fit.beta[:, 0], fit.cov[:, 0, 0], between, q, p, fit.q1, problems.m)


def whole_pools(pools: Sequence[Pooled], plan: Plan | None = None) -> tuple[Quick, ...]:
    """Return each pool of all rows that have an effect, by the tau2 of a plan, else by that of DerSimonian and Laird.

    pools: with at least one such row each. Pools of about one size, within a factor of 2, are one masked batch call.
    """
    sizes = np.array([int(usable(pool).sum()) for pool in pools], dtype=np.intp)
    classes = np.ceil(np.log2(np.maximum(sizes, 1)))
    found: dict[int, Quick] = {}
    for number in np.unique(classes):
        chosen = np.flatnonzero(classes == number).tolist()
        quick = quick_pools(*stacked([pools[i] for i in chosen]), plan.tau2 if plan else "DL")
        found |= dict(zip(chosen, quick.each(), strict=True))
    return tuple(found[i] for i in range(len(pools)))


def stacked(pools: Sequence[Pooled]) -> tuple[Floats, Floats, Bools]:
    """Return effects and variances of some pools side by side, (pools, largest k), and which cells are filled."""
    kept = [usable(pool) for pool in pools]
    shape = (len(pools), max(1, *(int(own.sum()) for own in kept)) if kept else 1)
    y, v, mask = np.zeros(shape), np.ones(shape), np.zeros(shape, dtype=bool)
    for i, (pool, own) in enumerate(zip(pools, kept, strict=True)):
        k = int(own.sum())
        y[i, :k], v[i, :k], mask[i, :k] = pool.yi[own], pool.vi[own], True
    return y, v, mask


def usable(pool: Pooled) -> Bools:
    """Tell which rows can be weighed: those with an effect and a positive variance."""
    return pool.estimable & (np.where(pool.estimable, pool.vi, 0.0) > 0)


def without_each(pool: Pooled, rows: Places) -> Quick:
    """Return the pools of all other rows, one for each of `rows` (positions in the pool)."""
    ok = usable(pool)
    mask = ok & (np.arange(ok.size) != rows[:, None])
    y, v = (np.broadcast_to(np.where(ok, values, fill), mask.shape) for values, fill in ((pool.yi, 0), (pool.vi, 1)))
    return quick_pools(y, v, mask)


def mean_interval(found: Quick, rule: str) -> tuple[float, float]:
    """Return the limits of the first mean under an interval rule of the family."""
    factor, df = MEAN_RULES[rule].function(found.q1[:1], found.df[:1], LEVEL)
    half = float(quantile(LEVEL, np.atleast_1d(df))[0] * np.sqrt(np.atleast_1d(factor)[0] * found.variance[0]))
    return float(found.mean[0]) - half, float(found.mean[0]) + half


def prediction_limits(found: Quick) -> tuple[float, float]:
    """Return the limits of the effect in a new setting: mean -+ t(k - 1) sqrt(tau2 + variance of the mean)."""
    half = float(quantile(LEVEL, found.df[:1])[0] * np.sqrt(found.tau2[0] + found.variance[0]))
    return float(found.mean[0]) - half, float(found.mean[0]) + half


def shown(pool: Pooled, values: float | Floats) -> Floats:
    """Return effects as a reader knows them: ratios themselves where the analysis takes their logarithms."""
    values = np.asarray(values, dtype=float)
    return np.exp(values) if pool.scale == "log" else values


def in_score_units(pool: Pooled) -> bool:
    """Tell whether the effects keep the units of the scores, so that rows in two units have no mean in common."""
    facts = about(pool.measure)
    plain = facts.kind in {"means", "paired means", "changes", "pre-post"} and not facts.standardiser
    return plain and pool.measure in UNIT_MEASURES


def own_sd(pool: Pooled) -> bool:
    """Tell whether each effect is divided by an SD of the study's own scores, whatever kind of scores these are."""
    facts = about(pool.measure)
    outside = {"scale_low", "sd_reference", "mid"} & set(raw_roles(pool.measure))
    return bool(facts.standardiser) and facts.kind == "means" and not outside


UNIT_MEASURES = frozenset({"MD", "MDA", "MDCH", "MC", "MN", "MNLN", "SDLN", "PCMD"})


def pools_text(count: int) -> str:
    """Count pools in words.

    >>> pools_text(1), pools_text(3)
    ('1 pool', '3 pools')
    """
    return f"{count} pool{'' if count == 1 else 's'}"


def name_of(pool: Pooled) -> str:
    """Name a pool for a sentence."""
    return pool.name or "the pool"
