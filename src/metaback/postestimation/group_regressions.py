"""Meta-regressions of the groups of a long table: a design for each, one batch of fits for all of the same shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.design.formula import INTERCEPT, DesignTable, FormulaDesign, build_designs
from metaback.errors import DataError, OptionError
from metaback.models.specs import PoolSpec
from metaback.postestimation.arrays import Counts, Pools, pool_batch
from metaback.postestimation.group_tasks import (
    NO_DESIGN,
    REFUSED,
    SHOWN,
    STATUS_WORDS,
    GroupPlan,
    GroupTask,
    notes_of,
    refusals,
    usable_rows,
)
from metaback.stats.inference import MEAN_RULES
from metaback.stats.regression import Basis, in_basis, joint_p, orthonormal, subset_q
from metaback.stats.wls import Bools, Floats, coefficients, prepare
from metaback.status import Status

OF_ALL = ("moderators_q", "moderators_df", "moderators_p")  # the test of all moderators of a group
BY_TERM = ("estimate", "se", "ci_low", "ci_high", "statistic", "p_value")
NO_PI = ("pi_low", "pi_high")  # a prediction needs a setting of the moderators, which a group does not have


@dataclass(frozen=True, slots=True)
class _Ready:
    """One group with a design: its rows in use, their different studies, the design and its orthonormal basis."""

    group: int
    studies: int
    y: Floats
    v: Floats
    design: FormulaDesign
    basis: Basis

    @property
    def shape(self) -> tuple[Any, ...]:
        """Return what groups of one batch share: rows, coefficients and which of them are tested."""
        return (*self.basis.Q.shape, tuple(j for term in self.design.terms for j in term.columns))


def regress_groups(task: GroupTask, plan: GroupPlan) -> dict[str, NDArray[Any]]:
    """Regress every group of a task on the formula of the plan: one row per group and coefficient, as columns.

    As `pool_groups`, with `term` (the coefficient, "" where there is no fit), residual heterogeneity, and the test of
    all moderators: moderators_q (F on moderators_df and df where df is finite, else chi-square) and moderators_p.
    left_out counts rows without an effect or a moderator. A group whose cells allow no design has the status
    "no_design", and the reason as its note. Raises `OptionError` where the formula suits no group at all.
    """
    use, v = usable_rows(task.effect, task.variance)
    ready, rows = _designs(task, plan.formula or "", use, v)
    shapes: dict[tuple[Any, ...], list[_Ready]] = {}
    for one in ready:
        shapes.setdefault(one.shape, []).append(one)
    for same in shapes.values():
        rows.update(_fit_together(same, plan.spec, task.sizes))
    told = [row for _, several in sorted(rows.items()) for row in several]
    labelled = () if task.studies is None else ("studies",)
    names = (
        "group",
        "term",
        "k",
        *labelled,
        "left_out",
        *(n for n in SHOWN if n not in NO_PI),
        *OF_ALL,
        "status",
        "note",
    )
    words = {"term", "status", "note"}
    whole = {"group", "k", "studies", "left_out"}
    kind = {name: object if name in words else np.int64 if name in whole else float for name in names}
    return {name: np.array([row.get(name, np.nan) for row in told], dtype=kind[name]) for name in names}


def _designs(
    task: GroupTask, formula: str, use: Bools, v: Floats
) -> tuple[list[_Ready], dict[int, list[dict[str, Any]]]]:
    """Build the design of every group; return those that have one, and a row that says why for each other."""
    ready, rows = list[_Ready](), dict[int, list[dict[str, Any]]]()
    stops, why = np.cumsum(task.sizes), refusals(task)
    cuts: dict[int, slice] = {}
    for group, (size, stop) in enumerate(zip(task.sizes.tolist(), stops.tolist(), strict=True)):
        cut = slice(stop - size, stop)
        if why[group]:
            rows[group] = [_unfit(group, size, why[group], REFUSED[why[group]])]
        elif bad := _status(use[cut], v[cut]):
            rows[group] = [_unfit(group, size, str(STATUS_WORDS[bad]), Status(bad).sentence.removesuffix("."))]
        else:
            cuts[group] = cut
    refused: list[OptionError] = []
    tables = [_table(task, cut, use) for cut in cuts.values()]
    found = build_designs(formula, tables, "the group", task.categories)
    for (group, cut), design in zip(cuts.items(), found, strict=True):
        if isinstance(design, FormulaDesign):
            ready.append(_ready(task, group, cut, design))
        else:
            refused += [design] if isinstance(design, OptionError) else []
            rows[group] = [_unfit(group, cut.stop - cut.start, NO_DESIGN, _one_line(design).removesuffix("."))]
    if refused and len(refused) == len(rows) and not ready:
        raise refused[0]
    return ready, rows


def _status(use: Bools, v: Floats) -> int:
    """Return the status of a group that the kernel would refuse before it looks at a design, else 0."""
    if not use.any():
        return int(Status.NO_STUDIES)
    return int(Status.IMPOSSIBLE_NUMBERS) if (v[use] < 0).any() else 0


def _table(task: GroupTask, cut: slice, use: Bools) -> DesignTable:
    """Return the rows of one group as a design needs them."""
    columns = {name: column[cut] for name, column in (task.moderators or {}).items()}
    return DesignTable(columns, use[cut], [f"row {i} of the group" for i in range(1, cut.stop - cut.start + 1)])


def _ready(task: GroupTask, group: int, cut: slice, design: FormulaDesign) -> _Ready:
    """Return one group over its usable rows with every moderator."""
    basis = orthonormal(design.X, design.design.columns.index(INTERCEPT) if design.intercept else None)
    studies = int(design.used.sum()) if task.studies is None else len(set(task.studies[cut][design.used].tolist()))
    return _Ready(group, studies, task.effect[cut][design.used], task.variance[cut][design.used], design, basis)


def _one_line(error: Exception) -> str:
    """Return the problems of a table without its heading, in one line."""
    lines = str(error).splitlines()
    return " ".join(line.removeprefix("  - ") for line in (lines[1:] if isinstance(error, DataError) else lines))


def _unfit(group: int, size: int, status: str, note: str) -> dict[str, Any]:
    """Return the row of a group without a fit."""
    return {"group": group, "term": "", "k": 0, "studies": 0, "left_out": size, "status": status, "note": note}


def _fit_together(same: list[_Ready], spec: PoolSpec, sizes: Counts) -> dict[int, list[dict[str, Any]]]:
    """Fit groups of one shape in one batch and return their rows."""
    y, v, Q, X = (np.stack(a) for a in zip(*((o.y, o.v, o.basis.Q, o.design.X) for o in same), strict=True))
    back = np.stack([in_basis(one.basis, np.eye(Q.shape[-1])) for one in same])
    pools = pool_batch(y, v, np.ones(y.shape, dtype=bool), spec, X=Q, back=back)
    left_out = sizes[[one.group for one in same]] - pools.k
    notes = notes_of(pools, left_out, np.array([one.studies for one in same]))
    tests = _joint(y, v, (Q, X), pools, spec, [j for term in same[0].design.terms for j in term.columns])
    rows: dict[int, list[dict[str, Any]]] = {}
    for i, one in enumerate(same):
        shared = {name: getattr(pools, name)[i] for name in SHOWN if name not in BY_TERM}
        shared |= {
            "k": pools.k[i],
            "studies": one.studies,
            "left_out": left_out[i],
            "note": notes[i],
            "group": one.group,
        }
        shared |= {"status": STATUS_WORDS[pools.status[i]], **{name: column[i] for name, column in tests.items()}}
        rows[one.group] = [
            {**shared, "term": term, **{name: getattr(pools, name)[i, j] for name in BY_TERM}}
            for j, term in enumerate(one.design.design.columns)
        ]
    return rows


def _joint(
    y: Floats, v: Floats, designs: tuple[Floats, Floats], pools: Pools, spec: PoolSpec, tested: list[int]
) -> dict[str, Floats]:
    """Test all moderators of each group: F with k - p df under a t rule, else chi-square; nan where there are none."""
    n, nothing = y.shape[0], np.full(y.shape[0], np.nan)
    fine = np.flatnonzero(pools.status == Status.CONVERGED)
    if not tested or not fine.size:
        return dict.fromkeys(OF_ALL, nothing)
    Q, X = designs
    problems = prepare(y[fine], v[fine], np.ones((fine.size, y.shape[1]), dtype=bool), Q[fine])
    q1 = coefficients(problems, pools.theta[fine]).q1
    factor, df = MEAN_RULES[spec.ci].function(q1, problems.m, spec.level)
    r, normal = len(tested), np.isinf(df)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(factor > 0, subset_q(y[fine], v[fine], X[fine], pools.theta[fine], tested) / factor, np.nan)
    found = np.where(normal, found, found / r)
    p = np.where(normal, joint_p(found, r, np.inf), joint_p(found, r, float(problems.m[0])))
    out = [np.full(n, np.nan) for _ in OF_ALL]
    for column, values in zip(out, (found, np.full(fine.size, float(r)), p), strict=True):
        column[fine] = values
    return dict(zip(OF_ALL, out, strict=True))
