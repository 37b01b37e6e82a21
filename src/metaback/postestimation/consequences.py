"""What a finding is worth: the pool as it is, without its rows, and with the table mended, in one batch call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metaback.checks.findings import Change, Finding, Joint, Proposal
from metaback.data.trials import Trials
from metaback.effects.choices import EffectChoices
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes, select_rows
from metaback.errors import MetabackError
from metaback.models.fitted import Estimate, Fitted
from metaback.postestimation.flips import turned
from metaback.postestimation.scales import way_back
from metaback.postestimation.subgroups import group_masks
from metaback.postestimation.subsets import Subsets, pool_subsets
from metaback.postestimation.working import by_working_model, working_subsets
from metaback.stats.measures import about
from metaback.stats.wls import Bools, Floats
from metaback.status import Status

LEFT_OUT = "without these rows"
AS_IS = "as the table stands"
INDEPENDENT = "as the table stands, rows as independent"  # where the answer is that of a model of their dependence


@dataclass(frozen=True, slots=True)
class Asked:
    """One pool with what made it: the rows of its table, the places of these in the whole table, and the fit."""

    name: str
    trials: Trials
    places: tuple[int, ...]
    fitted: Fitted
    choices: EffectChoices


@dataclass(frozen=True, slots=True)
class Variant:
    """One pool of a mended table: what was done, and mean, tau2 and number of effects; mean None where none exists."""

    name: str
    k: int
    mean: Estimate | None
    tau2: float


@dataclass(frozen=True, slots=True)
class Consequence:
    """What one finding changes in one pool: the pool as the table stands, and every alternative to it.

    shift: the largest move of the mean among the alternatives, in standard errors of the pool as it is; turns: whether
    any of them changes what its interval says about no effect, never where the measure has no such value. subgroup:
    the subgroup whose pool it is, which `pool` names too; "" for a pool of all rows.
    """

    pool: str
    measure: str
    as_is: Variant
    alternatives: tuple[Variant, ...]
    shift: float
    turns: bool
    subgroup: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that would enter in the place of others: numbers to put into a copy of one row, or an effect made of many.

    place: in the pool, of the row it is a copy of.
    """

    place: int
    changes: tuple[Change, ...] = ()
    joint: Joint | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """One alternative: which finding it belongs to, its name, the rows it does without and those that enter.

    group: number of the set of rows that is pooled, 0 for the whole pool.
    """

    finding: int
    name: str
    out: frozenset[int]
    enter: tuple[_Row, ...]
    group: int = 0


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that are pooled together: the whole pool (no name) or one of its subgroups."""

    name: str
    rows: Bools


def consequences(asked: Asked, findings: Sequence[Finding]) -> dict[int, tuple[Consequence, ...]]:
    """Return what each finding changes in one pool, by its position; findings that do not touch the pool are absent.

    The whole pool comes first. Where the pool has subgroups with a tau2 of their own, a finding whose rows all belong
    to one of them is followed by what it changes there. Every alternative of every finding is one row set of one
    masked batch call: the effects of changed rows are computed once, put behind those of the pool, and each row set
    takes the ones it needs. Where the answer is that of a working model of dependent rows, so are all of these, with
    the covariance that the mended table has.
    """
    places = {place: i for i, place in enumerate(asked.places)}
    groups = _groups(asked)
    cases = [
        replace(case, group=number)
        for number, group in enumerate(groups)
        for position, finding in enumerate(findings)
        for case in _cases(position, finding, asked, places, group)
    ]
    if not cases:
        return {}
    effects, spots = _extended(asked, cases)
    masks = np.zeros((len(groups) + len(cases), effects.yi.size), dtype=bool)
    masks[: len(groups), : len(asked.places)] = [group.rows for group in groups]
    usable = np.ones(len(cases), dtype=bool)
    for i, case in enumerate(cases):
        mask = masks[len(groups) + i]
        mask[:] = masks[case.group]
        mask[list(case.out)] = False
        entering = [spots.get(row) for row in case.enter]
        usable[i] = None not in entering
        mask[[spot for spot in entering if spot is not None]] = True
    pools = _modelled(asked, effects, masks)
    stands = AS_IS
    if pools is None:
        stands = INDEPENDENT if by_working_model(asked.fitted.spec, asked.fitted.effects) else AS_IS
        pools = pool_subsets(replace(asked.fitted, effects=effects), masks)
    return _sorted(asked, groups, cases, _Pools(stands, pools, usable))


def _modelled(asked: Asked, effects: EffectSizes, masks: Bools) -> Subsets | None:
    """Pool the sets by the working model of dependent rows, None where that is not the answer to the request.

    None too where the effects bring a covariance, which does not say how rows that enter vary with the others.
    """
    base, spec = asked.fitted.effects, asked.fitted.spec
    known = base.cov is None or effects.yi.size == base.yi.size
    if not by_working_model(spec, base) or not known:
        return None
    pools = working_subsets(effects, spec, masks, effects.cov)
    return pools if pools.status[0] == Status.CONVERGED else None


def _groups(asked: Asked) -> list[_Group]:
    """Return the rows of the pool and of its subgroups; none of these where they share one tau2.

    With a shared tau2 the pool of one subgroup hangs on the rows of the others, and is not what a subset gives.
    """
    effects = asked.fitted.effects
    whole = _Group("", np.ones(effects.yi.size, dtype=bool))
    if effects.by is None or asked.fitted.spec.subgroup_tau2 == "common":
        return [whole]
    levels, masks = group_masks(effects)
    return [whole, *map(_Group, levels, masks)] if len(levels) > 1 else [whole]


def _cases(number: int, finding: Finding, asked: Asked, places: dict[int, int], group: _Group) -> list[_Case]:
    """Return the alternatives of one finding in one pool, or in one of its subgroups if it holds all of its rows."""
    ok = asked.fitted.effects.estimable
    own = frozenset(places[place] for place in finding.rows if place in places and ok[places[place]])
    if not own or (group.name and (finding.whole or not group.rows[list(own)].all())):
        return []
    proposed = [_proposed(number, proposal, places) for proposal in finding.proposals]
    cases = [case for case in proposed if case is not None and group.rows[list(case.out)].all()]
    rest = ok & group.rows
    rest[list(own)] = False
    if not finding.whole and rest.any():
        cases.append(_Case(number, LEFT_OUT, own, ()))
    return [case for case in cases if case.out]


def _proposed(number: int, proposal: Proposal, places: dict[int, int]) -> _Case | None:
    """Turn a proposal into rows that leave and rows that enter; None where it does not touch the pool."""
    changed = dict.fromkeys(change.place for change in proposal.changes if change.place in places)
    enter = [
        _Row(places[place], tuple(change for change in proposal.changes if change.place == place)) for place in changed
    ]
    joints = [joint for joint in proposal.joint if all(place in places for place in joint.places)]
    enter += [_Row(places[joint.places[0]], joint=joint) for joint in joints]
    out = {places[place] for place in changed} | {places[place] for joint in joints for place in joint.places}
    out |= {places[place] for place in proposal.without if place in places}
    return _Case(number, proposal.name, frozenset(out), tuple(enter)) if out else None


def _extended(asked: Asked, cases: Sequence[_Case]) -> tuple[EffectSizes, dict[_Row, int | None]]:
    """Put the effects of all rows that would enter behind those of the pool; return them and where each stands.

    A row that cannot be computed has no place.
    """
    base = asked.fitted.effects
    rows = list(dict.fromkeys(row for case in cases for row in case.enter))
    yi, vi = (np.full(len(rows), np.nan) for _ in range(2))
    changed = [i for i, row in enumerate(rows) if row.joint is None]
    found = _changed_effects(asked, [rows[i] for i in changed])
    yi[changed], vi[changed] = found.y, found.v
    for i, row in enumerate(rows):
        if row.joint is not None:
            own = [asked.places.index(place) for place in row.joint.places]
            yi[i], vi[i] = joint_effect(base.yi[own], np.array(row.joint.covariance))
    source = np.array([*range(base.yi.size), *(row.place for row in rows)], dtype=np.intp)
    ok = np.isfinite(yi) & np.isfinite(vi) & (vi > 0)
    copies = select_rows(base, source)
    for role, values in copies.inputs.items():
        if role in found.inputs:
            values[base.yi.size + np.array(changed, dtype=np.intp)] = found.inputs[role]
    effects = replace(
        copies,
        yi=np.concatenate([base.yi, yi]),
        vi=np.concatenate([base.vi, vi]),
        estimable=np.concatenate([base.estimable, ok]),
    )
    return effects, {row: base.yi.size + i if ok[i] else None for i, row in enumerate(rows)}


def joint_effect(y: Floats, cov: Floats) -> tuple[float, float]:
    """Return the effect that dependent effects of one study have together, and its variance.

    y* = 1'C^-1 y / (1'C^-1 1) and v* = 1 / (1'C^-1 1), with C their sampling covariance.

    y: (m,); cov: (m, m), positive definite. Edges: nan where C is not. Source: Gleser & Olkin 2009.

    >>> [round(value, 6) for value in joint_effect(np.array([1.0, 3.0]), np.array([[1.0, 0.5], [0.5, 1.0]]))]
    [2.0, 0.75]
    """
    try:
        np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        return float("nan"), float("nan")
    weights = np.linalg.solve(cov, np.ones(y.size))
    total = float(weights.sum())
    return float(weights @ y) / total, 1 / total


@dataclass(frozen=True, slots=True)
class _Changed:
    """Effects and variances of changed rows, nan where there is none, and the numbers of their arms by role."""

    y: Floats
    v: Floats
    inputs: Mapping[str, Floats]


def _changed_effects(asked: Asked, rows: Sequence[_Row]) -> _Changed:
    """Compute the effects of changed rows as those of the pool were; nan where a change leaves no effect.

    One call serves all rows; where it is refused because of one of them, they are computed one by one.
    """
    if not rows:
        return _Changed(np.zeros(0), np.zeros(0), {})
    try:
        return _computed(asked, rows)
    except MetabackError:
        if len(rows) == 1:
            return _Changed(np.full(1, np.nan), np.full(1, np.nan), {})
    parts = [_changed_effects(asked, [row]) for row in rows]
    roles = {role for part in parts for role in part.inputs}
    nothing = np.full(1, np.nan)
    return _Changed(
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.v for part in parts]),
        {role: np.concatenate([part.inputs.get(role, nothing) for part in parts]) for role in roles},
    )


def _computed(asked: Asked, rows: Sequence[_Row]) -> _Changed:
    """Compute the effects of changed rows in one call."""
    base = asked.fitted.effects
    table = changed_trials(asked.trials, [row.place for row in rows], _local(asked, rows))
    context = base.context
    pair = (context.treatment_1, context.treatment_2)
    words = asked.choices.words()
    if context.higher_is_better is not None:
        words["higher_is_better"] = context.higher_is_better
    if not words.get("mixed_scores"):
        words["mixed_scores"] = "what a finding would change"
    words["r_grid"] = None
    found = effect_sizes(
        table,
        measure=base.measure,
        preset=asked.fitted.spec.preset,
        compare=pair if pair[0] and pair[1] else None,  # type: ignore[arg-type]  # both are texts here
        **words,
    )
    ok = found.estimable
    return _Changed(np.where(ok, found.yi, np.nan), np.where(ok, found.vi, np.nan), found.inputs)


def _local(asked: Asked, rows: Sequence[_Row]) -> list[Change]:
    """Give the changes the number of the row that they belong to."""
    return [Change(i, change.role, change.value) for i, row in enumerate(rows) for change in row.changes]


def changed_trials(trials: Trials, places: Sequence[int], changes: Sequence[Change]) -> Trials:
    """Return copies of some rows with some of their cells changed; a place may stand there twice.

    places: rows of the table, 0 for the first; changes: by the number of the copy. A role that the table does not have
    becomes a column.
    """
    frame = trials.frame.iloc[list(places)].reset_index(drop=True)
    roles = dict(trials.roles)
    for change in changes:
        column = roles.setdefault(change.role, change.role)
        if column not in frame.columns:
            frame[column] = np.full(len(frame), np.nan)
        if frame[column].dtype.kind in "iu":
            frame[column] = frame[column].astype(float)
        frame.loc[change.place, column] = change.value
    return replace(trials, frame=frame, roles=roles, rows=tuple(trials.rows[i] for i in places))


@dataclass(frozen=True, slots=True)
class _Pools:
    """Pools of the groups and behind them of all alternatives, which of these could be made, how the first stand."""

    stands: str
    numbers: Subsets
    usable: Bools


def _sorted(
    asked: Asked, groups: Sequence[_Group], cases: Sequence[_Case], pools: _Pools
) -> dict[int, tuple[Consequence, ...]]:
    """Put the pools of all alternatives back to their findings."""
    found: dict[tuple[int, int], list[Variant]] = {}
    for i, case in enumerate(cases):
        if pools.usable[i]:
            variant = _variant(case.name, asked, pools.numbers, len(groups) + i)
            found.setdefault((case.group, case.finding), []).append(variant)
    measure = asked.fitted.effects.measure
    as_is = [_variant(pools.stands, asked, pools.numbers, i) for i in range(len(groups))]
    sorted_: dict[int, tuple[Consequence, ...]] = {}
    for (i, number), listed in found.items():
        pool = ", ".join(filter(None, (asked.name, groups[i].name)))
        turns = any(turned(as_is[i].mean, variant.mean, measure) for variant in listed)
        shift = _shift(as_is[i], listed)
        one = Consequence(pool, measure, as_is[i], tuple(listed), shift, turns, groups[i].name)
        sorted_[number] = (*sorted_.get(number, ()), one)
    return sorted_


def _variant(name: str, asked: Asked, pools: Subsets, i: int) -> Variant:
    """Read one pool of the batch."""
    k, tau2 = int(pools.k[i]), float(pools.tau2[i])
    if pools.status[i] != Status.CONVERGED:
        return Variant(name, k, None, tau2)
    values = (getattr(pools, part)[i] for part in ("estimate", "ci_low", "ci_high", "se"))
    effects = asked.fitted.effects
    size = float(pools.size[i])
    mean = Estimate(
        *map(float, values),
        level=asked.fitted.spec.level,
        scale=about(effects.measure).scale,
        statistic=float(pools.statistic[i]),
        df=float(pools.df[i]),
        p_value=float(pools.p_value[i]),
        back=way_back(effects),
        size=None if np.isnan(size) else size,
    )
    return Variant(name, k, mean, tau2)


def _shift(as_is: Variant, others: Sequence[Variant]) -> float:
    """Return the largest move of the mean in standard errors, 0 where nothing can be compared."""
    if as_is.mean is None or not as_is.mean.se > 0:
        return 0.0
    point, se = as_is.mean.point, as_is.mean.se
    return max((abs(other.mean.point - point) / se for other in others if other.mean is not None), default=0.0)
