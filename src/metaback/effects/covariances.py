"""Covariances of pairs of effects of one study: exact where an arm is shared, by an assumed correlation elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.same_people import SIDES, Codes, Described, Links
from metaback.errors import OptionError
from metaback.numbers import as_given
from metaback.stats.shared_arm import ASSUMED, EXACT, ArmParts, arm_parts, pair_covariance
from metaback.stats.working_covariance import ranks_of_time

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rho = float | Mapping[Any, float]
SAME, OTHER = "same", "other"  # words of `rho`: correlation within one outcome, and between two outcomes
KINDS = (
    "none: other people",
    "shared arm, exact",
    "shared arm, near",
    "shared arm, assumed equal",
    "shared arm and assumed rho",
    "several outcomes, exact formula",
    "assumed rho",
    "assumed times",
    "assumed rho: nothing tells the rows apart",
    "overlapping people",
    "shared arm, not asked for",
    "given",
    "shared arm by its name, assumed rho",
    "all people and some of them",
)
NONE, EXACT_ARM, NEAR_ARM, EQUAL_ARM, ARM_RHO, ENDPOINTS, RHO, TIMES, UNCLEAR, OVERLAP, NOT_ASKED, GIVEN = range(12)
NAMED_ARM, WITHIN = 12, 13
PART_OF_ALL = 0.95  # of the whole that its parts tell: 1 leaves nothing to divide by; the pool then knows 2.6% more


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is assumed where the table does not tell: correlations of outcomes and of times, and of groups of people.

    rho: one number, or a mapping by pairs of outcomes. phi: correlation of two measurements one unit of time
    apart (`times` "CAR") or one after the other ("AR"), None for rho. overlap: share of the people that two groups
    have in common, or the number of these people by pairs of groups; None where groups are disjoint.
    """

    rho: Rho
    phi: float | None
    times: str
    shared: bool
    exact: bool
    whole_sd: bool
    overlap: float | Mapping[tuple[str, str], float] | None


@dataclass(frozen=True, slots=True)
class Paired:
    """Pairs of rows of one study: places (p,) among the k rows with an effect, what they share, and what they are."""

    rows: Described
    i: Codes
    j: Codes
    links: Links
    kinds: Codes


def kinds_of(rows: Described, i: Codes, j: Codes, found: Links, parts: ArmParts, asked: Assumed) -> Codes:
    """Return what kind of dependence each pair has, as places in `KINDS`."""
    here = rows.setting[i] == rows.setting[j]
    other = (rows.outcome[i] != rows.outcome[j]) | (rows.instrument[i] != rows.instrument[j])
    level = np.minimum(parts.level[i], parts.level[j])
    both, one = found.both | found.turned, found.one.any(axis=0)
    arm = np.where(level == EXACT, EXACT_ARM, np.where(level == ASSUMED, EQUAL_ARM, NEAR_ARM))
    several = np.where(asked.exact & (level != ASSUMED), ENDPOINTS, RHO)
    kinds = np.where(one, np.where(here, arm, ARM_RHO), NONE)
    kinds = np.where(one & here & found.unclear, NAMED_ARM, kinds)
    kinds = np.where(both, np.where(other, several, np.where(here, UNCLEAR, TIMES)), kinds)
    kinds = np.where(found.within & (kinds != NONE), WITHIN, kinds)
    kinds = np.where(found.groups & (kinds != NONE) & (asked.overlap is not None), OVERLAP, kinds)
    return np.where(one & (not asked.shared), NOT_ASKED, kinds).astype(np.intp)


def covariances(es: EffectSizes, places: Codes, pairs: Paired, parts: ArmParts, asked: Assumed) -> Floats:
    """Return the covariance of each pair of effects, (p,), under one set of assumed correlations.

    Both arms in common: r sqrt(v_i v_j), or the sum of `pair_covariance` over the arms where that is asked for, and in
    studies of which effects of other outcomes or times have one arm in common: with r sqrt(v_i v_j) beside the parts of
    an arm their matrix need not be positive definite, with the parts alone it is. One arm: `pair_covariance`. r is the
    product of the correlation of both outcomes and that of both times, 1 at one outcome and time. All people and some
    of them: see `_within`.
    """
    i, j, found = pairs.i, pairs.j, pairs.links
    y, v = es.yi[places], es.vi[places]
    r = _correlation(pairs, asked)
    both, formula = found.both | found.turned, (pairs.kinds == ENDPOINTS) | _in_parts(pairs)
    power = 2 if asked.exact else 1
    total = np.where(both & ~formula, np.where(found.turned, -1.0, 1.0) * r * np.sqrt(v[i] * v[j]), 0.0)
    for place, side in enumerate(SIDES):
        at = found.one[place] & (pairs.kinds != NOT_ASKED)
        at |= formula & (found.both if place < 2 else found.turned)
        total[at] += pair_covariance(parts, y, (i[at], j[at]), side, r[at], power=power)
    if asked.whole_sd and es.measure == "SMD":
        here = pairs.rows.setting[i] == pairs.rows.setting[j]
        total += np.where(here & ~both & (pairs.kinds != NOT_ASKED), _common_sd(es, places, i, j), 0.0)
    return total * _overlap(es, places, pairs, asked) * _within(v, pairs)


def _in_parts(pairs: Paired) -> Bools:
    """Tell pairs of the same two arms in studies where one arm is common to effects of other outcomes or times."""
    study, kinds = pairs.rows.study[pairs.i], pairs.kinds
    single = np.isin(kinds, (ARM_RHO, NAMED_ARM))
    return np.isin(kinds, (RHO, TIMES, UNCLEAR)) & np.isin(study, study[single])


def parts_of(es: EffectSizes, places: Codes, *, whole_sd: bool = False) -> ArmParts:
    """Return how the variances of some rows fall apart by arm.

    whole_sd: SMDs were divided by one SD of all arms of their study, so that what is not mean is common to all.
    """
    numbers = {role: values[places] for role, values in es.inputs.items()}
    parts = arm_parts(es.measure, es.yi[places], es.vi[places], numbers, es.options)
    if not whole_sd or es.measure != "SMD":
        return parts
    n = np.array([numbers.get(f"n_{side}", np.full(places.size, np.nan)) for side in "12"])
    known = np.isfinite(n).all(axis=0)
    mean, scale = np.where(known, 1 / n, parts.mean), np.where(known, 0.0, parts.scale)
    return ArmParts(mean, scale, np.where(known, EXACT, parts.level).astype(np.intp))


def _common_sd(es: EffectSizes, places: Codes, i: Codes, j: Codes) -> Floats:
    """Return what one SD of all arms of a study adds to the covariance of two SMDs of it: y_i y_j / (2 N).

    It is read off the variances: what they have beyond 1/n_1 + 1/n_2.
    """
    y, v = es.yi[places], es.vi[places]
    base = sum(1 / es.inputs[role][places] for role in ("n_1", "n_2")) if {"n_1", "n_2"} <= es.inputs.keys() else v
    rest = np.nan_to_num(np.maximum(v - base, 0.0))
    return np.sign(y[i] * y[j]) * np.sqrt(rest[i] * rest[j])


def _correlation(pairs: Paired, asked: Assumed) -> Floats:
    """Return the correlation of two measurements of one person for each pair."""
    rows, i, j = pairs.rows, pairs.i, pairs.j
    here = rows.setting[i] == rows.setting[j]
    other = (rows.outcome[i] != rows.outcome[j]) | (rows.instrument[i] != rows.instrument[j])
    wanted = other | pairs.links.unclear | (~here & (asked.phi is None))  # one arm of other numbers is another setting
    wanted &= ~((pairs.kinds == OVERLAP) & here)
    r = np.ones(i.size)
    at = wanted & (pairs.kinds != NONE)
    r[at] = _between(rows, i[at], j[at], asked.rho)
    if asked.phi is not None:
        time = ranks_of_time(rows.study, rows.time) if asked.times == "AR" else rows.time
        r *= asked.phi ** np.nan_to_num(np.abs(time[i] - time[j]))
    return r


def _between(rows: Described, i: Codes, j: Codes, rho: Rho) -> Floats:
    """Return the assumed correlation of the outcomes of each pair."""
    if isinstance(rho, (int, float)):
        return np.full(i.size, float(rho))
    table = _by_outcome(rows, rho)
    found = table[rows.outcome[i], rows.outcome[j]]
    lost = np.flatnonzero(np.isnan(found))
    if lost.size:
        names = (*rows.outcomes, "")
        words = {tuple(sorted((names[rows.outcome[i[at]]], names[rows.outcome[j[at]]]))) for at in lost.tolist()}
        listed = ", ".join(map(repr, sorted(words)))
        raise OptionError(
            f"rho has no correlation for {listed}; name every pair, or give {SAME!r} (two measurements of one "
            f"outcome) and {OTHER!r} (any two outcomes)"
        )
    return found


def _by_outcome(rows: Described, rho: Mapping[Any, float]) -> Floats:
    """Return the correlations of outcomes as a table, the last row and column for rows without an outcome."""
    m = len(rows.outcomes)
    table = np.full((m + 1, m + 1), np.nan)
    pairs = dict(rho)
    eye = np.eye(m + 1, dtype=bool)
    table[eye], table[~eye] = pairs.pop(SAME, np.nan), pairs.pop(OTHER, np.nan)
    codes = {name.casefold(): code for code, name in enumerate(rows.outcomes)}
    for pair, value in pairs.items():
        names = cast("tuple[Any, ...]", pair) if isinstance(pair, tuple) else (pair,)
        for name in names:
            if " ".join(str(name).split()).casefold() not in codes:
                raise OptionError.unknown("rho", name, (*rows.outcomes, SAME, OTHER))
        if len(names) != 2:
            raise OptionError(f"rho names {pair!r}, which is no pair of outcomes; write ('{names[0]}', '...')")
        a, b = (codes[" ".join(str(name).split()).casefold()] for name in names)
        table[a, b] = table[b, a] = value
    return table


def _within(v: Floats, pairs: Paired) -> Floats:
    """Return the correlation of an effect of all people with that of some of them, 1 for pairs of any other kind.

    The effect of all is the efficient one, so that its covariance with any other of the same people is its own
    variance (Hausman 1978): r = sqrt(v_all / v_some), which is exact for log odds ratios; at two outcomes or times,
    and for what one arm in common adds, sqrt(n_some / n_all). Parts that make up the whole would leave none of its
    variance: what they tell of it together is held at `PART_OF_ALL`.
    """
    factor = np.ones(pairs.i.size)
    at = np.flatnonzero(pairs.kinds == WITHIN)
    if not at.size:
        return factor
    rows, i, j = pairs.rows, pairs.i[at], pairs.j[at]
    whole, part = np.where(rows.everyone[i], i, j), np.where(rows.everyone[i], j, i)
    single = pairs.links.one[:, at].any(axis=0)
    people = np.where(
        single,
        _common_arm(rows, pairs, at, part) / _common_arm(rows, pairs, at, whole),
        rows.numbers[:, part, 0].sum(axis=0) / rows.numbers[:, whole, 0].sum(axis=0),
    )
    counted = (single | (rows.setting[i] != rows.setting[j])) & np.isfinite(people)
    share = np.minimum(np.where(counted, people, v[whole] / v[part]), 1.0)
    group = np.unique(np.stack([whole, rows.setting[part]]), axis=1, return_inverse=True)[1].ravel()
    total = np.bincount(group, np.where(single, 0.0, share))[group]
    factor[at] = np.sqrt(share) * PART_OF_ALL / np.maximum(total, PART_OF_ALL)
    return factor


def _common_arm(rows: Described, pairs: Paired, at: Codes, row: Codes) -> Floats:
    """Return how many people a row has in the arm that each of some pairs has in common, nan where it has none."""
    n = np.full(at.size, np.nan)
    for one, (a, b) in zip(pairs.links.one[:, at], SIDES, strict=True):
        side = np.where(row == pairs.i[at], a, b)
        n = np.where(one, rows.numbers[side, row, 0], n)
    return n


def _overlap(es: EffectSizes, places: Codes, pairs: Paired, asked: Assumed) -> Floats:
    """Return by what the covariance of two groups of people shrinks because only some are in both."""
    factor = np.ones(pairs.i.size)
    at = pairs.kinds == OVERLAP
    if asked.overlap is None or not at.any():
        return factor
    if isinstance(asked.overlap, (int, float)):
        factor[at] = float(asked.overlap)
        return factor
    rows = pairs.rows
    shared = _shared_people(rows, asked.overlap)
    sizes = rows.numbers[:, :, 0].sum(axis=0) if "n_1" in es.inputs else rows.numbers[0, :, 0]
    i, j = pairs.i[at], pairs.j[at]
    if np.isnan(sizes[i] + sizes[j]).any():
        raise OptionError("subgroups= gives numbers of shared people, which needs the numbers of people of all arms")
    count, most = shared[rows.stratum[i], rows.stratum[j]], np.minimum(sizes[i], sizes[j])
    here = (rows.setting[i] == rows.setting[j]) & pairs.links.both[at]  # fewer people may be left at another time
    if (many := np.flatnonzero(here & (count > most))).size:
        told = (
            f"{es.labels[places[i[p]]]}: {as_given(count[p])} people in both {rows.strata[rows.stratum[i[p]]]!r} and "
            f"{rows.strata[rows.stratum[j[p]]]!r}, of which one has {as_given(most[p])}"
            for p in many.tolist()
        )
        raise OptionError(
            f"subgroups= has more people than there are ({'; '.join(dict.fromkeys(told))}); give the number of people "
            "that both groups of a study have in common, or their share, from 0 to 1"
        )
    factor[at] = np.minimum(count / np.sqrt(sizes[i] * sizes[j]), 1.0)
    return factor


def _shared_people(rows: Described, overlap: Mapping[tuple[str, str], float]) -> Floats:
    """Return the numbers of people that strata have in common as a table."""
    names = {name.casefold(): code for code, name in enumerate(rows.strata)}
    shared = np.zeros((len(names), len(names)))
    for pair, count in overlap.items():
        for name in pair:
            if name.casefold() not in names:
                raise OptionError.unknown("subgroups", name, rows.strata)
        if not 0 <= count < np.inf:
            raise OptionError(f"subgroups[{pair!r}]={count!r} is no number of people; give 0 or more")
        a, b = (names[name.casefold()] for name in pair)
        shared[a, b] = shared[b, a] = count
    return shared
