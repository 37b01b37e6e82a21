"""Groups of a long table: packed into masked batches by their size, pooled, and told in one row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from metaback.models.specs import PoolSpec
from metaback.postestimation.arrays import Counts, Pools, flag_words
from metaback.postestimation.group_shared import Members, share_tau2
from metaback.postestimation.ragged import Ragged, pool_ragged
from metaback.stats.wls import Bools, Floats
from metaback.status import Status

# What a group of a table can suffer from beside the kernel's `Status`.
NO_KEY, NO_LABEL, NO_DESIGN = "no_key", "no_label", "no_design"
STATUS_WORDS = np.array([status.name.lower() for status in Status], dtype=object)
REFUSED = {
    NO_KEY: "a column of the key is blank: these rows belong to no group",
    NO_LABEL: "a study needs a label: fill in the blank cells of its column",
}
NOT_STATED = "(not stated)"  # the subgroup of rows whose cell is blank, as in a single pool: pooled, never tested
RANGE = (1e-100, 1e100)  # effects and variances beyond it are slips of the pen, as in `effect_sizes`
LEFT_OUT = "rows without a usable effect and variance are left out"
REPEATED = (  # the words of `repeat_notes`, for studies that have no names here
    "some studies enter more than once and their rows are pooled as if they were independent; if they share people, "
    "for instance one control group, the interval is too narrow"
)
NAMED = 5  # studies left out that a note names
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
    blank; weights: (rows,) or None. levels, studies: (rows,) labels of subgroups and of studies, "" where blank, or
    None. moderators: columns by name, (rows,) each, for a formula; categories: the values of those that are pandas
    categories, in their order.
    """

    sizes: Counts
    keyed: Bools
    effect: Floats
    variance: Floats
    weights: Floats | None = None
    levels: NDArray[np.object_] | None = None
    moderators: Mapping[str, NDArray[Any]] | None = None
    categories: Mapping[str, tuple[Any, ...]] | None = None
    studies: NDArray[np.object_] | None = None


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


def pool_groups(task: GroupTask, plan: GroupPlan) -> dict[str, NDArray[Any]]:
    """Pool the groups of a task: one row per group and, with subgroups, one per subgroup below it, as columns.

    group: which group of the task a row is about. subgroup: "" for the group as a whole. studies: how many different
    labels the effects have, where there are labels. left_out: rows of the table that do not enter. between_q,
    between_df, between_p: test of differences between the subgroups, with between_df2 where they share one tau2.
    status: "converged", another name of `metaback.status.Status` in small letters, "no_key" or "no_label"; note: what
    a reader must know.
    """
    use, v = usable_rows(task.effect, task.variance)
    n, refused = task.sizes.size, refusals(task)
    group = np.repeat(np.arange(n), task.sizes)
    use &= (refused == "")[group]
    rows = _ragged(task, v, use, group[use], n)
    whole = _columns(pool_ragged(rows, plan.spec), task.sizes - rows.sizes, _studies(task, use, group[use], n), refused)
    name_left_out(whole["note"], task, use, refused)
    whole = {"group": np.arange(n), **whole}
    if task.levels is None:
        return whole
    place, of, labels = _subgroups(group[use], task.levels[use])
    members = Members(_ragged(task, v, use, place, of.size), of, _stated(labels), n)
    parts = pool_ragged(members.rows, plan.spec)
    if plan.spec.subgroup_tau2 == "common":
        parts, test, told = share_tau2(members, parts, plan.spec)
        for i in np.flatnonzero(told != "").tolist():
            whole["note"][i] = joined_words(whole["note"][i], told[i])
    else:
        test = _between(parts, _weight_sums(task.variance[use], place, parts), members)
    nothing, fine = np.zeros(of.size, dtype=np.int64), np.full(of.size, "", dtype=object)
    below = _columns(parts, nothing, _studies(task, use, place, of.size), fine)
    told = {name: whole.pop(name) for name in ("status", "note")}
    whole = {"subgroup": np.full(n, "", dtype=object), **whole, **test, **told}
    return _joined(whole, {"group": of, "subgroup": labels, **below})


def refusals(task: GroupTask) -> NDArray[np.object_]:
    """Return why a group is not looked at, (n,): a word of `REFUSED`, or ""."""
    unnamed = np.zeros(task.sizes.size, dtype=bool)
    if task.studies is not None:
        unnamed[np.repeat(np.arange(task.sizes.size), task.sizes)[task.studies == ""]] = True
    return np.where(~task.keyed, NO_KEY, np.where(unnamed, NO_LABEL, "")).astype(object)


def _studies(task: GroupTask, use: Bools, place: NDArray[np.intp], n: int) -> Counts | None:
    """Count the different studies of n problems, (n,); `place`: (usable rows,). None where studies have no labels."""
    if task.studies is None:
        return None
    code, words = pd.factorize(task.studies[use])
    pairs = np.unique(place * max(words.size, 1) + code)
    return np.bincount(pairs // max(words.size, 1), minlength=n).astype(np.int64)


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


def _stated(labels: NDArray[np.object_]) -> Bools:
    """Tell which subgroups have a name."""
    return np.array([label != NOT_STATED for label in labels.tolist()], dtype=bool)


def _between(parts: Pools, w: Floats, members: Members) -> dict[str, NDArray[Any]]:
    """Test differences between the subgroups of every group: Q of their means, chi-square on their number less one."""
    of, n = members.of, members.n
    tested = members.stated & (parts.status == Status.CONVERGED)
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


def _columns(
    pools: Pools, left_out: Counts, studies: Counts | None, refused: NDArray[np.object_]
) -> dict[str, NDArray[Any]]:
    """Return the columns of pools: numbers, status in words and note."""
    status, notes = STATUS_WORDS[pools.status], notes_of(pools, left_out, studies)
    for i in np.flatnonzero(refused != "").tolist():
        status[i], notes[i] = refused[i], REFUSED[refused[i]]
    return {
        "k": pools.k,
        **({} if studies is None else {"studies": studies}),
        "left_out": left_out,
        **{name: getattr(pools, name) for name in SHOWN},
        "status": status,
        "note": notes,
    }


def notes_of(pools: Pools, left_out: Counts, studies: Counts | None) -> NDArray[np.object_]:
    """Word what a reader must know of each pool: its status' own sentence, or its flags, and that rows were left out.

    studies: (n,) different studies of each, or None where they have no labels.
    """
    notes = np.array(flag_words(pools.flags), dtype=object)
    for i in np.flatnonzero(pools.status != Status.CONVERGED).tolist():
        notes[i] = Status(int(pools.status[i])).sentence.removesuffix(".")
    if studies is not None:
        for i in np.flatnonzero((studies < pools.k) & (pools.status == Status.CONVERGED)).tolist():
            notes[i] = joined_words(notes[i], REPEATED)
    for i in np.flatnonzero(left_out > 0).tolist():
        notes[i] = joined_words(notes[i], LEFT_OUT)
    return notes


def joined_words(*parts: str) -> str:
    """Return what is to be told, "; " between the parts that say something.

    >>> joined_words("one", "", "two")
    'one; two'
    """
    return "; ".join(part for part in parts if part)


def name_left_out(notes: NDArray[np.object_], task: GroupTask, use: Bools, refused: NDArray[np.object_]) -> None:
    """Add to the notes (n,) the studies that were left out, the first five by name, where studies have labels."""
    if task.studies is None:
        return
    out = np.flatnonzero(~use)
    groups, first = np.unique(np.searchsorted(np.cumsum(task.sizes), out, side="right"), return_index=True)
    for i, names in zip(groups.tolist(), np.split(task.studies[out], first[1:]), strict=False):
        if refused[i] == "":
            notes[i] += ": " + listed_names(names.tolist())


def listed_names(names: Sequence[str]) -> str:
    """Return names with commas between them, each once and no more than five.

    >>> listed_names(["A", "B", "B"]), listed_names([*"ABCDEFG"])
    ('A, B', 'A, B, C, D, E and 2 more')
    """
    some = list(dict.fromkeys(names))
    return ", ".join(some[:NAMED]) + (f" and {len(some) - NAMED} more" if len(some) > NAMED else "")


def _joined(whole: dict[str, NDArray[Any]], below: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Put the rows of subgroups below those of their groups; a column that they do not have is nan for them."""
    n = below["group"].size
    columns = {name: np.concatenate((values, below.get(name, np.full(n, np.nan)))) for name, values in whole.items()}
    order = np.argsort(columns["group"], kind="stable")
    return {name: values[order] for name, values in columns.items()}
