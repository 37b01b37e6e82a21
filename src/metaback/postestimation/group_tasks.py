"""Groups of a long table: packed into masked batches by their size, pooled, and told in one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from metaback.models.specs import PoolSpec
from metaback.postestimation.arrays import Counts, Pools, blank_pools, flag_words, pool_batch, put
from metaback.stats.wls import Bools, Floats
from metaback.status import Status

NO_KEY, NO_DESIGN = "no_key", "no_design"  # what a group of a table can suffer from beside the kernel's `Status`
STATUS_WORDS = np.array([status.name.lower() for status in Status], dtype=object)
NO_KEY_NOTE = "a column of the key is blank: these rows belong to no group"
NOT_STATED = "(not stated)"  # the subgroup of rows whose cell is blank, as in a single pool: pooled, never tested
GROWTH = 1.2  # of the widths of batches: a group is padded by at most a fifth of its size
RANGE = (1e-100, 1e100)  # effects and variances beyond it are slips of the pen, as in `effect_sizes`
LEFT_OUT = "rows without a usable effect and variance are left out"
SHOWN = ("estimate", "se", "ci_low", "ci_high", "statistic", "df", "p_value", "tau2", "tau2_low", "tau2_high", "i2",
         "q", "q_p", "pi_low", "pi_high")  # fmt: skip


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """What is asked of every group: the resolved request, and the formula of a meta-regression or None."""

    spec: PoolSpec
    formula: str | None = None


@dataclass(frozen=True, slots=True)
class GroupTask:
    """Some groups of a table, their rows behind each other: all that a worker must know of them.

    sizes: (n,) rows of each group; keyed: (n,) whether its key is complete. effect, variance: (rows,), nan where
    blank; weights: (rows,) or None. levels: (rows,) subgroup labels, "" where blank, or None. moderators: columns by
    name, (rows,) each, for a formula; categories: the values of those that are pandas categories, in their order.
    """

    sizes: Counts
    keyed: Bools
    effect: Floats
    variance: Floats
    weights: Floats | None = None
    levels: NDArray[np.object_] | None = None
    moderators: Mapping[str, NDArray[Any]] | None = None
    categories: Mapping[str, tuple[Any, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Ragged:
    """Problems of different size, behind each other: sizes (n,), y, v and weights (rows,)."""

    sizes: Counts
    y: Floats
    v: Floats
    weights: Floats | None


def usable_rows(y: Floats, v: Floats) -> tuple[Bools, Floats]:
    """Tell which rows enter, and return variances that make impossible rows visible to the kernel.

    Blank rows, and effects or variances beyond the range of numbers, are left out. An infinite effect, and a variance
    that is infinite or not above 0, stays with a variance of -1: its problem is refused, not pooled without it.

    >>> usable_rows(np.array([0.1, np.nan, 0.2]), np.array([0.1, 0.1, 0.0]))
    (array([ True, False,  True]), array([ 0.1,  0.1, -1. ]))
    """
    blank = np.isnan(y) | np.isnan(v)
    impossible = ~blank & (np.isinf(y) | np.isinf(v) | (v <= 0))
    beyond = ~blank & ~impossible & ((np.abs(y) >= RANGE[1]) | (v <= RANGE[0]) | (v >= RANGE[1]))
    return ~blank & ~beyond, np.where(impossible, -1.0, v)


def squared(se: Floats) -> Floats:
    """Return variances of standard errors (rows,), -1 for what is not above 0.

    What overflows or vanishes when it is squared stays finite and above 0, beyond the range of use, so that it is told
    from infinity and zero.

    >>> squared(np.array([0.5, 0.0, 1e-200, np.inf])).tolist()
    [0.25, -1.0, 1e-300, inf]
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        v = np.where(np.isinf(se), np.inf, np.clip(se * se, 1e-300, 1e300))
        return np.where(se > 0, v, np.where(np.isnan(se), np.nan, -1.0))


def widths(sizes: Counts) -> list[NDArray[np.intp]]:
    """Return the problems (n,) in sets of similar size: the largest of a set is at most a fifth above the smallest.

    >>> [part.tolist() for part in widths(np.array([5, 40, 6, 5, 0]))]
    [[4], [0, 3, 2], [1]]
    """
    order = np.argsort(sizes, kind="stable")
    sets: list[NDArray[np.intp]] = []
    start = 0
    while start < order.size:
        top = max(sizes[order[start]], int(sizes[order[start]] * GROWTH))
        stop = int(np.searchsorted(sizes[order], top, side="right"))
        sets.append(order[start:stop])
        start = stop
    return sets


def pool_ragged(problems: Ragged, spec: PoolSpec) -> Pools:
    """Pool problems of different size, each in a masked batch with others of its size."""
    out = blank_pools(problems.sizes.size)
    starts = np.cumsum(problems.sizes) - problems.sizes
    for part in widths(problems.sizes):
        k = problems.sizes[part]
        column = np.arange(max(int(k.max()), 1))
        mask = column < k[:, None]
        place = np.where(mask, starts[part][:, None] + column, 0)
        padded = (np.append(a, 0.0)[np.where(mask, place, a.size)] for a in (problems.y, problems.v))
        y, v = padded
        own = None if problems.weights is None else np.append(problems.weights, 0.0)[np.where(mask, place, -1)]
        put(out, part, pool_batch(y, v, mask, spec, weights=own))
    return out


def pool_groups(task: GroupTask, plan: GroupPlan) -> dict[str, NDArray[Any]]:
    """Pool the groups of a task: one row per group and, with subgroups, one per subgroup below it, as columns.

    group: which group of the task a row is about. subgroup: "" for the group as a whole. left_out: rows of the table
    that do not enter. between_q, between_df, between_p: test of differences between the subgroups. status:
    "converged", another name of `metaback.status.Status` in small letters, or "no_key"; note: what a reader must know.
    """
    use, v = usable_rows(task.effect, task.variance)
    group = np.repeat(np.arange(task.sizes.size), task.sizes)
    use &= task.keyed[group]
    rows = _ragged(task, v, use, group[use], task.sizes.size)
    whole = _columns(pool_ragged(rows, plan.spec), task.sizes - rows.sizes, task.keyed)
    whole = {"group": np.arange(task.sizes.size), **whole}
    if task.levels is None:
        return whole
    place, of, labels = _subgroups(group[use], task.levels[use])
    parts = pool_ragged(_ragged(task, v, use, place, of.size), plan.spec)
    below = {"group": of, "subgroup": labels, **_columns(parts, np.zeros(of.size, dtype=np.int64), np.ones_like(of))}
    test = _between(parts, _weight_sums(task.variance[use], place, parts), of, labels, task.sizes.size)
    return _joined({"subgroup": np.full(task.sizes.size, "", dtype=object), **whole, **test}, below)


def _ragged(task: GroupTask, v: Floats, use: Bools, place: NDArray[np.intp], n: int) -> Ragged:
    """Put usable rows behind each other by the problem that they belong to; `place`: (usable rows,)."""
    at = np.flatnonzero(use)
    order = at[np.argsort(place, kind="stable")]
    weights = None if task.weights is None else task.weights[order]
    return Ragged(np.bincount(place, minlength=n).astype(np.int64), task.effect[order], v[order], weights)


def _subgroups(
    group: NDArray[np.intp], levels: NDArray[np.object_]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.object_]]:
    """Count out the subgroups of all groups in the order of first appearance within each.

    Returns the position of the subgroup of each row, and of each subgroup its group and its label.
    """
    named = np.array([text or NOT_STATED for text in levels.tolist()], dtype=object)
    words, code = np.unique(named.astype(str), return_inverse=True)
    _, first, place = np.unique(group * max(words.size, 1) + code, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.intp)
    rank[np.argsort(first)] = np.arange(first.size)
    first = np.sort(first)
    return rank[place], group[first], named[first]


def _weight_sums(v: Floats, place: NDArray[np.intp], parts: Pools) -> Floats:
    """Return the sums of 1 / (v + tau2) of every subgroup, (n,): the test rests on Wald errors, whatever the rule."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.bincount(place, 1 / (v + parts.theta[place]), minlength=parts.k.size), dtype=np.float64)


def _between(
    parts: Pools, w: Floats, of: NDArray[np.intp], labels: NDArray[np.object_], n: int
) -> dict[str, NDArray[Any]]:
    """Test differences between the subgroups of every group: Q of their means, chi-square on their number less one."""
    stated = np.array([label != NOT_STATED for label in labels.tolist()], dtype=bool)
    tested = stated & (parts.status == Status.CONVERGED)
    of, mean, w = of[tested], parts.estimate[tested], w[tested]
    heaviest = np.zeros(n)
    order = np.argsort(w, kind="stable")
    heaviest[of[order]] = mean[order]  # the last writer is the heaviest: the origin that keeps digits
    moved = mean - heaviest[of]
    total = np.bincount(of, w, minlength=n)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.bincount(of, w * moved, minlength=n) / total
    q = np.bincount(of, w * (moved - centre[of]) ** 2, minlength=n)
    df = np.bincount(of, minlength=n) - 1.0
    several = df > 0
    q, df = np.where(several, q, np.nan), np.where(several, df, np.nan)
    return {"between_q": q, "between_df": df, "between_p": chdtrc(df, q)}


def _columns(pools: Pools, left_out: Counts, keyed: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the columns of pools: numbers, status in words and note."""
    status, keyed = STATUS_WORDS[pools.status], keyed.astype(bool)
    status[~keyed] = NO_KEY
    return {
        "k": pools.k,
        "left_out": left_out,
        **{name: getattr(pools, name) for name in SHOWN},
        "status": status,
        "note": notes_of(pools, left_out, keyed),
    }


def notes_of(pools: Pools, left_out: Counts, keyed: Bools) -> NDArray[np.object_]:
    """Word what a reader must know of each pool: its status' own sentence, or its flags and that rows were left out."""
    notes = np.array(flag_words(pools.flags), dtype=object)
    for i in np.flatnonzero(pools.status != Status.CONVERGED).tolist():
        notes[i] = Status(int(pools.status[i])).sentence
    for i in np.flatnonzero((left_out > 0) & keyed).tolist():
        notes[i] = f"{notes[i]}; {LEFT_OUT}" if notes[i] else LEFT_OUT
    notes[~keyed] = NO_KEY_NOTE
    return notes


def _joined(whole: dict[str, NDArray[Any]], below: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Put the rows of subgroups below those of their groups; a column that they do not have is nan for them."""
    n = below["group"].size
    columns = {name: np.concatenate((values, below.get(name, np.full(n, np.nan)))) for name, values in whole.items()}
    order = np.argsort(columns["group"], kind="stable")
    return {name: values[order] for name, values in columns.items()}
