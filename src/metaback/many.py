"""Pooling by the thousand and the million: every group of a long table, and arrays of problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metaback.data.grouped import GroupColumns, Groups, check_columns, grouped_frame, long_frame
from metaback.data.parquet_groups import ParquetSink, open_parquet, parquet_groups, parquet_sink
from metaback.engines import Engine, resolve_engine, run
from metaback.errors import OptionError
from metaback.models.regression import RegressionSpec, resolve_regression
from metaback.models.specs import ROBUST, RULES_FOR_SEVERAL, resolve_spec
from metaback.postestimation.arrays import Pools, pool_batch
from metaback.postestimation.group_regressions import regress_groups
from metaback.postestimation.group_tasks import GroupPlan, GroupTask, pool_groups, squared
from metaback.progress import Progress, teller
from metaback.stats.wls import Bools, Floats

TASK_ROWS = 200_000  # rows of one task: a fraction of a second of work, whatever runs it
Piece = dict[str, NDArray[Any]]
RESERVED = frozenset(
    {f.name for f in fields(Pools)} | {"group", "subgroup", "term", "studies", "left_out", "note", "status"}
)
NAMED = ("by", "effect", "variance", "se", "moderators", "subgroups", "preset", "engine", "workers", "scheduler",
         "progress", "out")  # fmt: skip


class ManyWords(TypedDict, total=False):
    """The keywords of the request that `pool_many` and `pool_arrays` take besides those that they name; as `pool`."""

    model: str | None
    tau2: str | float | None
    weights: str | None
    ci: str | None
    pi: str | None
    level: float | None
    tau2_ci: str | None
    i2: str | None
    rng: int | None
    draws: int | None


class TableWords(ManyWords, total=False):
    """The keywords that `pool_many` takes too: what a table has and arrays have not."""

    study: str | None
    subgroup_tau2: str | None


@dataclass(frozen=True, slots=True)
class _Source:
    """A table to be pooled: its groups, some at a time, its number of rows, and whether they come in their order."""

    groups: Iterable[Groups]
    rows: int
    ordered: bool


def pool_many(
    data: Any,
    *,
    by: str | Sequence[str],
    effect: str = "yi",
    variance: str | None = None,
    se: str | None = None,
    moderators: str | None = None,
    subgroups: str | None = None,
    preset: str = "cochrane",
    engine: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | bool | None = None,
    out: str | Path | None = None,
    **words: Unpack[TableWords],
) -> pd.DataFrame:
    """Pool every group of a long table with one request, y_i = mu + u_i + e_i in each, as `pool` does with one of them.

    data: a frame of pandas, polars or arrow, or a file; a Parquet file is read in bounded memory. It is not changed.
    by: column or columns of the key; groups come in order of first appearance. effect: column of effects on the
    analysis scale (log for ratios); variance, se: column of variances or of standard errors ("vi" without either).
    moderators: right side of a formula, "~ weeks + C(arm)": each group is regressed on it as `regress` does, one row
    per coefficient; all columns of the table are then read. subgroups: column of labels, each pooled with its own tau2
    below its group, with the test of their differences; subgroup_tau2="common": one tau2 for the subgroups of a group.
    preset and words (model, tau2, weights, ci, pi, level, tau2_ci, i2, rng, draws, subgroup_tau2, and study, the column
    of labels: their number is a column of the results): as in `pool`.
    engine: None, "processes" or "dask"; workers: processes (1 without; a script that starts more needs
    `if __name__ == "__main__":`); scheduler: address of a Dask cluster. Numbers do not depend on any of them.
    progress: a function of rows done and rows in all, or False for silence; None tells a terminal after a second.
    out: Parquet file to write, whole or not at all; what is returned is then one row per status with its count.

    One row per group (and per subgroup, or coefficient): the key, k, studies (with study=), left_out, estimate, se,
    ci_low, ci_high, statistic, df, p_value, tau2, tau2_low, tau2_high, i2, q, q_p, pi_low, pi_high (no moderators),
    moderators_q, moderators_df, moderators_p or between_q, between_df, between_p (tests of all moderators, of the
    subgroups), status and note. A bad group has its status, its reason as its note and no numbers; it never stops the
    others. Rows without effect or variance, or with numbers beyond 1e-100 to 1e100, are left out and counted; a group
    with an infinite effect or a variance not above 0 is refused, and one with a blank label of a study ("no_label").
    Rows with a blank key are told as groups of status "no_key".

    Every row of a group counts as a study of its own: `pool` and `regress` model that rows of one study depend on each
    other, many pools do not. With study= the note of a group says where studies enter more than once.

    Raises `OptionError` for unknown words and columns, `DataError` for cells that are no numbers, `FileError`.

    >>> table = pd.DataFrame({"gene": ["a", "b", "a", "b"], "yi": [0.1, 0.5, 0.3, 0.7], "vi": [0.1, 0.2, 0.1, 0.2]})
    >>> found = pool_many(table, by="gene", tau2="DL", ci="Wald", pi="none")
    >>> found.gene.tolist(), found.estimate.round(6).tolist(), found.status.tolist()
    (['a', 'b'], [0.2, 0.6], ['converged', 'converged'])
    """
    plan, columns = _plan(preset, moderators, words), _columns(by, effect, variance, se, moderators, subgroups, words)
    if moderators is not None and subgroups is not None:
        raise OptionError("give moderators or subgroups; a subgroup is a moderator too: '~ C(column)'")
    if subgroups is None and plan.spec.subgroup_tau2 == "common":
        raise OptionError("subgroup_tau2='common' needs subgroups; name their column")
    place, source = resolve_engine(engine, workers, scheduler), _source(data, columns)
    tell = teller(progress, "rows")
    target = None if out is None else _parquet_name(out)
    with nullcontext() if target is None else parquet_sink(target) as sink:
        return _collected(_pieces(source, plan, place, tell), source.ordered, sink)


def _known(words: TableWords | ManyWords, named: tuple[str, ...], others: Iterable[str]) -> None:
    """Refuse keywords that many pools do not have, among them some of `pool`; all that they have are told."""
    known = (*named, *others)
    if unknown := [name for name in words if name not in known]:
        raise OptionError("; ".join(str(OptionError.unknown("option", name, known)) for name in unknown))


def _plan(preset: str, moderators: str | None, words: TableWords) -> GroupPlan:
    """Resolve the request."""
    _known(words, NAMED, TableWords.__annotations__)
    asked = {name: value for name, value in words.items() if name != "study"}
    if moderators is None:
        return GroupPlan(resolve_spec(preset, **asked))
    regression = _of_many(resolve_regression(moderators, preset, **asked))
    return GroupPlan(regression.pool, regression.formula)


def _of_many(regression: RegressionSpec) -> RegressionSpec:
    """Refuse the interval rule that a single regression has and many at once do not."""
    if regression.pool.ci == ROBUST:
        raise OptionError(
            f"ci={ROBUST!r} needs the clusters of each regression, which many at once do not have; use one of "
            f"{', '.join(RULES_FOR_SEVERAL)}, or regress() for each group"
        )
    return regression


def _columns(
    by: str | Sequence[str],
    effect: str,
    variance: str | None,
    se: str | None,
    moderators: str | None,
    subgroups: str | None,
    words: TableWords,
) -> GroupColumns:
    """Say which columns are read."""
    if variance is not None and se is not None:
        raise OptionError("give variance or se, not both")
    several: Any = [by] if isinstance(by, str) else by
    if not isinstance(several, Iterable) or not all(isinstance(name, str) for name in cast("Iterable[Any]", several)):
        raise OptionError(f"by={by!r} must be the name of a column, or a list of names; a number is given as text")
    key = tuple(dict.fromkeys(by if not isinstance(by, str) else (by,)))
    if not key:
        raise OptionError("by=[] names no column; name those that tell the groups apart")
    taken = [name for name in key if name in RESERVED]
    if taken:
        raise OptionError(f"by={taken[0]!r} is the name of a column of the results; rename the column")
    numbers = {"effect": effect, "variance": variance or "vi"} if se is None else {"effect": effect, "se": se}
    weights = words.get("weights")
    numbers |= {} if weights is None else {"weights": weights}
    return GroupColumns(key, numbers, subgroups, moderators is not None, words.get("study"))


def _parquet_name(out: str | Path) -> Path:
    """Return the name of the results, which must be that of a Parquet file."""
    if Path(out).suffix.lower() != ".parquet":
        raise OptionError(f"out={str(out)!r}: results are written as Parquet; give a name that ends in .parquet")
    return Path(out)


def _source(data: Any, columns: GroupColumns) -> _Source:
    """Open a table: a Parquet file as a stream, all else as a frame."""
    if isinstance(data, str | Path) and Path(data).suffix.lower() == ".parquet":
        table = open_parquet(Path(data), columns)
        groups = parquet_groups(table)
        return _Source(groups if table.rows else list(groups), table.rows, table.together)
    frame = long_frame(data)
    check_columns(columns, list(frame.columns))
    return _Source([grouped_frame(frame, columns)], len(frame), True)


def _tasks(source: _Source) -> Iterator[Groups]:
    """Cut groups into tasks of about `TASK_ROWS` rows; where they are cut does not depend on who runs them."""
    for groups in source.groups:
        ends = np.cumsum(groups.sizes)
        start = 0
        while start < ends.size:
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + TASK_ROWS, side="right")))
            yield groups.cut(start, stop)
            start = stop


def _task(groups: Groups) -> GroupTask:
    """Return what a worker must know of some groups."""
    numbers = groups.numbers
    return GroupTask(
        sizes=groups.sizes,
        keyed=groups.keyed,
        effect=numbers["effect"],
        variance=squared(numbers["se"]) if "se" in numbers else numbers["variance"],
        weights=numbers.get("weights"),
        levels=groups.levels,
        moderators=groups.others,
        categories=groups.categories,
        studies=groups.studies,
    )


def do_task(task: GroupTask, plan: GroupPlan) -> Piece:
    """Pool or regress the groups of one task; the function that workers run."""
    return pool_groups(task, plan) if plan.formula is None else regress_groups(task, plan)


def _pieces(
    source: _Source, plan: GroupPlan, engine: Engine, tell: Progress
) -> Iterator[tuple[NDArray[Any], pd.DataFrame]]:
    """Yield the results of each task, with the row of the table at which each group begins."""
    waiting: list[Groups] = []

    def tasks() -> Iterator[GroupTask]:
        for groups in _tasks(source):
            waiting.append(groups)
            yield _task(groups)

    done = 0
    for piece in run(partial(do_task, plan=plan), tasks(), engine):
        groups = waiting.pop(0)
        done += int(groups.sizes.sum())
        tell(done, source.rows)
        yield groups.first[piece["group"]], _framed(groups.keys, piece)
    if not done:
        yield np.empty(0, dtype=np.int64), _framed(*_nothing(source, plan))


def _nothing(source: _Source, plan: GroupPlan) -> tuple[pd.DataFrame, Piece]:
    """Return the results of a table without rows: all columns, no row."""
    empty, none = next(iter(source.groups), None), np.empty(0)
    if empty is not None:
        return empty.keys, do_task(_task(empty), plan)
    return pd.DataFrame(), do_task(GroupTask(np.empty(0, dtype=np.int64), np.empty(0, dtype=bool), none, none), plan)


def _framed(keys: pd.DataFrame, piece: Piece) -> pd.DataFrame:
    """Put keys and numbers beside each other."""
    rows = keys.iloc[piece["group"]].reset_index(drop=True)
    numbers = pd.DataFrame({name: values for name, values in piece.items() if name != "group"})
    return pd.concat([rows, numbers], axis=1)


def _collected(
    pieces: Iterator[tuple[NDArray[Any], pd.DataFrame]], ordered: bool, sink: ParquetSink | None
) -> pd.DataFrame:
    """Join the pieces in order of first appearance, or write them and count what they hold."""
    if sink is None:
        return _in_order(list(pieces))
    counts: dict[str, int] = {}
    for piece in (frame for _, frame in pieces) if ordered else iter([_in_order(list(pieces))]):
        sink.add(piece)
        for status, count in piece["status"].value_counts().items():
            counts[str(status)] = counts.get(str(status), 0) + int(count)
    return pd.DataFrame({"status": counts.keys(), "rows": counts.values()})


def _in_order(pieces: list[tuple[NDArray[Any], pd.DataFrame]]) -> pd.DataFrame:
    """Join pieces in the order in which their groups begin."""
    first = np.concatenate([rows for rows, _ in pieces])
    whole = pd.concat([frame for _, frame in pieces], ignore_index=True)
    if (first[1:] >= first[:-1]).all():
        return whole
    return whole.iloc[np.argsort(first, kind="stable")].reset_index(drop=True)


def pool_arrays(
    y: ArrayLike,
    v: ArrayLike,
    X: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    preset: str = "cochrane",
    **words: Unpack[ManyWords],
) -> Pools:
    """Pool arrays: problems along the leading axes, their effects along the last, such as the voxels of brain maps.

    y, v: (..., k) effects on the analysis scale and their variances; X: (..., k, p) design, or None for a mean; mask:
    (..., k) which effects belong to the problem. All are broadcast against each other. nan in y or v is no effect.
    preset and words: as in `pool`, without a column of weights; with a design as in `regress`.

    Effects of a problem are taken as independent of each other; `pool` models those of one study that are not.

    Returns a frozen record of arrays (...,), coefficients (..., p) with a design. A problem that cannot be fitted has
    its status and nan. Raises `OptionError` for unknown words and for shapes that do not fit.

    >>> y = np.array([[0.1, 0.3, 0.5], [0.2, 0.2, np.nan]])
    >>> found = pool_arrays(y, np.full((2, 3), 0.04), preset="metafor")
    >>> found.estimate.round(6).tolist(), found.k.tolist()
    ([0.3, 0.2], [3, 2])
    """
    _known(words, ("X", "mask", "preset"), ManyWords.__annotations__)
    if words.get("weights") is not None:
        raise OptionError("weights name a column of a table; arrays have none")
    spec = resolve_spec(preset, **words) if X is None else _of_many(resolve_regression("~ X", preset, **words)).pool
    effects, variances, belongs, design = _aligned(y, v, X, mask)
    batch, k = effects.shape[:-1], effects.shape[-1]
    flat = None if design is None else design.reshape(-1, *design.shape[-2:])
    use = (belongs & ~np.isnan(effects) & ~np.isnan(variances)).reshape(-1, k)
    found = pool_batch(effects.reshape(-1, k), variances.reshape(-1, k), use, spec, flat)
    return Pools(**{f.name: _shaped(getattr(found, f.name), batch) for f in fields(Pools)})


def _shaped(values: NDArray[Any], batch: tuple[int, ...]) -> NDArray[Any]:
    """Give the batch axes back."""
    return values.reshape(batch + values.shape[1:])


def _numbers(name: str, values: ArrayLike) -> Floats:
    """Return an argument as an array of real numbers, or say that it is none."""
    words = f"{name} must be an array of real numbers, with rows of equal length"
    try:
        found = np.asarray(values)
        numbers = found.astype(np.float64, copy=False) if found.dtype.kind in "biufO" else None
    except (TypeError, ValueError):
        raise OptionError(words) from None
    if numbers is None:
        raise OptionError(words)
    return numbers


def _aligned(
    y: ArrayLike, v: ArrayLike, X: ArrayLike | None, mask: ArrayLike | None
) -> tuple[Floats, Floats, Bools, Floats | None]:
    """Broadcast effects, variances, mask and design against each other, or say that they do not fit."""
    effects, variances = _numbers("y", y), _numbers("v", v)
    belongs = np.asarray(True) if mask is None else _numbers("mask", mask)
    if not np.isin(belongs, (0, 1)).all():
        raise OptionError("mask must hold True and False (or 1 and 0) only: which effects belong to each problem")
    belongs = belongs.astype(bool)
    design = None if X is None else _numbers("X", X)
    shapes = {"y": effects.shape, "v": variances.shape, "mask": belongs.shape}
    if design is not None:
        shapes["X"] = design.shape
    told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    if not effects.ndim or (design is not None and design.ndim < 2):
        raise OptionError(f"arrays need an axis of effects, X one of coefficients too: {told}")
    try:
        shape = np.broadcast_shapes(*(s[:-1] if name == "X" else s for name, s in shapes.items()))
    except ValueError:
        raise OptionError(f"the arrays do not fit each other: {told}") from None
    whole = None if design is None else np.broadcast_to(design, (*shape, design.shape[-1]))
    return np.broadcast_to(effects, shape), np.broadcast_to(variances, shape), np.broadcast_to(belongs, shape), whole
