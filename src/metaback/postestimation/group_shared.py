"""Subgroups of the groups of a long table that share one tau2 in each group: a batch of regressions on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.models.fitted import Fit
from metaback.models.specs import PoolSpec
from metaback.models.univariate import CHUNK, fit_univariate
from metaback.postestimation.arrays import ALONE, WIDE, Pools, flag_words, flags_of
from metaback.postestimation.pools import PREDICTION_FROM
from metaback.postestimation.ragged import Ragged, padded, spread_ragged
from metaback.stats.heterogeneity import i2_from_q, i2_from_tau2
from metaback.stats.inference import PREDICTION_RULES, quantile, two_sided_p
from metaback.stats.regression import joint_p
from metaback.stats.tau2_interval import TAU2_INTERVALS
from metaback.stats.wls import Bools, Floats, prepare
from metaback.status import Status

OPENING = "subgroups with a common tau2: "
NO_TAU2 = "every subgroup has one effect: the tau2 that they share cannot be estimated and counts as 0"
NO_PREDICTION = "fewer than two residual degrees of freedom: no prediction intervals"
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Members:
    """Subgroups of n groups, those of one group behind each other, in the order of their groups.

    rows: their effects; of: (s,) the group of each; stated: (s,) whether it has a name: only these share a tau2.
    """

    rows: Ragged
    of: NDArray[np.intp]
    stated: Bools
    n: int


@dataclass(frozen=True, slots=True)
class _Shared:
    """What regressions say: by subgroup (s,) mean and squared error, by group (n,) all else; nan where there is none.

    m: effects less subgroups; df: of the means, df_pi: of prediction, nan without one; low, high: limits of tau2.
    """

    mean: Floats
    variance: Floats
    tau2: Floats
    low: Floats
    high: Floats
    m: Floats
    df: Floats
    df_pi: Floats
    q: Floats
    flags: NDArray[np.int64]
    status: NDArray[np.int64]


def share_tau2(members: Members, own: Pools, spec: PoolSpec) -> tuple[Pools, Columns, NDArray[np.object_]]:
    """Return subgroups with one tau2 in each group, y_i = mu_g(i) + u_i + e_i, as `pool` with subgroup_tau2="common".

    own: the same subgroups with a tau2 of their own; those without a name keep it. Returned are the pools (s,), the
    test of differences of every group (between_q, between_df, between_df2 and between_p: chi-square, or F = q / df on
    (df, df2) where df2 is finite), and what must be told of each group (n,), "" for nothing.

    Edges: with one effect in every subgroup tau2 counts as 0 and is not shown. A group whose regression cannot be
    fitted has its status on all named subgroups. Source: Borenstein & Higgins 2013.
    """
    found = _regressed(members, spec)
    s, of = members.stated & (own.k > 0), members.of
    theta, m, low, high, df, df_pi, status = (
        np.where(s, values[of], 0)
        for values in (found.tau2, found.m, found.low, found.high, found.df, found.df_pi, found.status)
    )
    q, q_p, typical = spread_ragged(members.rows)
    own_df = own.k.astype(np.float64) - 1
    se = np.sqrt(found.variance)
    half, wide = quantile(spec.level, df) * se, quantile(spec.level, df_pi) * np.sqrt(theta + se**2)
    statistic = np.where(se > 0, found.mean / np.where(se > 0, se, 1.0), np.nan)
    i2 = i2_from_tau2(theta, typical) if spec.i2 == "tau2" else np.where(own_df > 0, i2_from_q(q, own_df), np.nan)
    several = np.where(m > 0, 1.0, np.nan)
    fitted = np.where(status == Status.CONVERGED, 1.0, np.nan)
    numbers = {
        "estimate": found.mean,
        "se": se,
        "ci_low": found.mean - half,
        "ci_high": found.mean + half,
        "statistic": statistic,
        "df": df,
        "p_value": two_sided_p(statistic, df),
        "q": q * fitted,
        "q_p": q_p * fitted,
        "tau2": theta * several,
        "tau2_low": low * several,
        "tau2_high": high * several,
        "i2": i2 * several,
        "pi_low": found.mean - wide,
        "pi_high": found.mean + wide,
        "theta": theta,
        "status": status,
        "flags": np.where(own.k > 1, 0, np.where((m > 0) & (fitted == 1), ALONE, own.flags)),
    }
    pools = replace(own, **{name: np.where(s, values, getattr(own, name)) for name, values in numbers.items()})
    return pools, _test(found, members), _words(found, spec)


def _regressed(members: Members, spec: PoolSpec) -> _Shared:
    """Fit the regressions of all groups on their named subgroups."""
    s, n = members.of.size, members.n
    by_subgroup, by_group, whole = (partial(np.full, *what) for what in ((s, np.nan), (n, np.nan), (n, 0)))
    out = _Shared(
        mean=by_subgroup(),
        variance=by_subgroup(),
        tau2=by_group(),
        low=by_group(),
        high=by_group(),
        m=by_group(),
        df=by_group(),
        df_pi=by_group(),
        q=by_group(),
        flags=whole(),
        status=whole(),
    )
    for groups, first, data in _batches(members):
        _fit(out, groups, first, data, spec)
    return out


def _batches(
    members: Members,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], tuple[Floats, Floats, Bools, Floats]]]:
    """Yield groups of similar size and as many named subgroups, the places (n, g) of these, and their data."""
    at = np.flatnonzero(members.stated & (members.rows.sizes > 0))
    of, many = members.of[at], np.bincount(members.of[at], minlength=members.n)
    begin = np.cumsum(many) - many
    subgroup = np.repeat(np.arange(members.of.size), members.rows.sizes)
    kept = np.flatnonzero(members.stated[subgroup])
    number = np.full(members.of.size, -1)
    number[at] = np.arange(at.size) - begin[of]
    column = np.append(number[subgroup[kept]], -1)
    y, v = np.append(members.rows.y[kept], 0.0), np.append(members.rows.v[kept], 0.0)
    sizes = np.bincount(members.of[subgroup[kept]], minlength=members.n)
    for part, rows, mask in padded(sizes):
        for g in np.unique(many[part][many[part] > 0]).tolist():
            same = np.flatnonzero(many[part] == g)
            step = max(1, CHUNK // mask.shape[1])
            for start in range(0, same.size, step):
                cut = same[start : start + step]
                X = np.asarray(column[rows[cut]][..., None] == np.arange(g), dtype=np.float64)
                places = at[begin[part[cut]][:, None] + np.arange(g)]
                yield part[cut], places, (y[rows[cut]], v[rows[cut]], mask[cut], X)


def _fit(
    out: _Shared,
    groups: NDArray[np.intp],
    places: NDArray[np.intp],
    data: tuple[Floats, Floats, Bools, Floats],
    spec: PoolSpec,
) -> None:
    """Fit one batch of regressions and write what they say into its places."""
    y, v, mask, X = data
    origin = np.where(
        np.isfinite(y[:, :1]), y[:, :1], 0.0
    )  # means far from zero would lose digits of their differences
    fit = fit_univariate(y - origin, v, mask, spec, X)
    out.status[groups] = fit.status
    good = np.flatnonzero(fit.status == Status.CONVERGED)
    if not good.size:
        return
    fit = Fit(**{part.name: getattr(fit, part.name)[good] for part in fields(Fit)})
    groups, places, tau2 = groups[good], places[good], fit.theta[:, 0]
    problems = prepare((y - origin)[good], v[good], mask[good], X[good])
    limits = TAU2_INTERVALS[spec.tau2_ci].function(problems, tau2, spec.level)
    out.mean[places] = fit.beta + origin[good]
    out.variance[places] = np.diagonal(fit.cov, axis1=1, axis2=2)
    df_pi = np.full(good.size, np.nan)
    if spec.pi != "none":
        df_pi = np.where(problems.m + 1 >= PREDICTION_FROM, PREDICTION_RULES[spec.pi].function(problems.m + 1), np.nan)
    flags = flags_of(problems, fit, spec, limits) & ~WIDE  # told of the group, which has the same rows
    columns = {"tau2": tau2, "low": limits.lower, "high": limits.upper, "m": problems.m, "df": fit.df, "df_pi": df_pi}
    for name, values in {**columns, "q": _equal_means_q(fit.beta, fit.cov), "flags": flags}.items():
        getattr(out, name)[groups] = values


def _equal_means_q(beta: Floats, cov: Floats) -> Floats:
    """Return the Wald statistic of "all means are equal" of every regression, (n,); see `equal_means_q`."""
    n, g = beta.shape
    out = np.full(n, np.nan)
    if g < 2:
        return out
    L = np.eye(g)[1:] - np.eye(g)[0]
    d, C = (beta - beta[:, :1]) @ L.T, L @ cov @ L.T
    variance = np.diagonal(C, axis1=1, axis2=2)
    known = np.flatnonzero((variance > 0).all(axis=1) & np.isfinite(variance).all(axis=1))
    se = np.sqrt(variance[known])
    correlation = C[known] / (se[:, :, None] * se[:, None, :])
    full = np.linalg.matrix_rank(correlation) == g - 1
    z = (d[known] / se)[full]
    out[known[full]] = (z * np.linalg.solve(correlation[full], z[..., None])[..., 0]).sum(axis=1)
    return out


def _test(found: _Shared, members: Members) -> Columns:
    """Return the test that the means of a group's subgroups are equal, nan where there are fewer than two."""
    r = np.bincount(members.of[members.stated & (members.rows.sizes > 0)], minlength=members.n) - 1.0
    tested = (r > 0) & (found.status == Status.CONVERGED)
    p = np.full(members.n, np.nan)
    for one, df in {*zip(r[tested].tolist(), found.df[tested].tolist(), strict=True)}:
        at = tested & (r == one) & (found.df == df)
        p[at] = joint_p(found.q[at] if np.isinf(df) else found.q[at] / one, one, df)
    missing = np.where(tested, 1.0, np.nan)
    return {"between_q": found.q, "between_df": r * missing, "between_df2": found.df * missing, "between_p": p}


def _words(found: _Shared, spec: PoolSpec) -> NDArray[np.object_]:
    """Return what must be told of the regression of each group, (n,)."""
    few = (found.m > 0) & (found.m + 1 < PREDICTION_FROM) & (spec.pi != "none")
    told: list[str] = []
    for flags, m, no_prediction in zip(flag_words(found.flags), found.m.tolist(), few.tolist(), strict=True):
        parts = [NO_TAU2] if m == 0 else [words for words in (flags, NO_PREDICTION if no_prediction else "") if words]
        told.append(OPENING + "; ".join(parts) if parts else "")
    return np.array(told, dtype=object)
