"""Which rows of a study rest on the same people: read from outcomes, times, labels and numbers of the arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.data.roles import normal_name
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.stats.same_arms import DECLARED, EVERYONE, LEFT, MANY_EVENTS, TELLING, agreeing, digits

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.intp]
ROLES = ("study", "outcome", "instrument", "time", "stratum", "arm_1", "arm_2")  # what `columns=` can name
STEMS = ("n", "events", "nonevents", "mean", "sd", "mean_post", "sd_post", "mean_change", "sd_change")
COUNTS = ("events", "nonevents")
SIDES = ((0, 0), (1, 1), (0, 1), (1, 0))  # which arm of the first row may be which arm of the second
SWAPPED = "arms swapped"
TIMES = ("weeks", "months", "month", "days", "day", "time_point", "timepoint", "follow_up", "followup", "visit", "wave")


@dataclass(frozen=True, slots=True)
class Described:
    """What tells of each of k rows whom it is about; codes are -1 where blank.

    study, outcome, instrument, setting (outcome, instrument and time together), stratum: (k,). time, year: (k,) nan
    where unknown. told: (k,) whether both outcome and time are; when: (k,) the time, of words too. everyone: (k,)
    whether the stratum is that of all people. labels: (2, k) of both arms. numbers: (2, k, s) of both arms, n first.
    declared: of each label, whether it says that the arm stands in several comparisons. outcomes, strata: their names
    as in the table.
    """

    study: Codes
    outcome: Codes
    instrument: Codes
    setting: Codes
    stratum: Codes
    time: Floats
    year: Floats
    told: Bools
    when: Codes
    everyone: Bools
    labels: Codes
    stems: tuple[str, ...]
    numbers: Floats
    declared: Bools
    outcomes: tuple[str, ...]
    strata: tuple[str, ...]


def described(es: EffectSizes, places: Codes, columns: Mapping[str, str] | None = None) -> Described:
    """Return what the table says of some rows.

    columns: role -> column, for tables whose columns have names of their own: see `ROLES`. Raises `OptionError` for a
    role or a column that does not exist.
    """
    named = dict(columns or {})
    for role, column in named.items():
        if role not in ROLES:
            raise OptionError.unknown("columns", role, ROLES)
        if column not in es.moderators:
            raise OptionError.unknown(f"columns[{role!r}]", column, es.moderators)
    k = places.size
    found = {role: _cells(es, named.get(role, role), places) for role in ROLES if role != "time"}
    found["time"] = _cells(es, named.get("time", time_column(es)), places)
    coded = {role: _codes(found[role], k) for role in ("outcome", "instrument", "time", "stratum")}
    stems = tuple(stem for stem in STEMS if stem == "n" or {f"{stem}_1", f"{stem}_2"} & es.inputs.keys())
    labels, declared = _labels(es, found, places, named)
    strata = coded["stratum"][1]
    everyone = np.array([bool(EVERYONE.fullmatch(name)) for name in strata] + [False], dtype=bool)
    return Described(
        study=_codes(found["study"], k)[0] if "study" in named else es.clusters[places].astype(np.intp),
        outcome=coded["outcome"][0],
        instrument=coded["instrument"][0],
        setting=_combined(*(coded[role][0] for role in ("outcome", "instrument", "time"))),
        stratum=coded["stratum"][0],
        time=_numbers(found["time"], k, named.get("time")),
        year=years_of(es, places),
        told=(coded["outcome"][0] >= 0) & (coded["time"][0] >= 0),
        when=coded["time"][0],
        everyone=everyone[coded["stratum"][0]],
        labels=labels,
        stems=stems,
        numbers=np.array([np.column_stack([_arm(es, stem, side, places) for stem in stems]) for side in "12"]),
        declared=declared,
        outcomes=coded["outcome"][1],
        strata=strata,
    )


def time_column(es: EffectSizes) -> str:
    """Return the column that tells when an outcome was measured: `weeks`, else the first that is named as times are.

    >>> from metaback.data.datasets import load_dataset
    >>> from metaback.effects.compute import effect_sizes
    >>> time_column(effect_sizes(load_dataset("backpain")))
    'weeks'
    """
    names = {normal_name(column): str(column) for column in reversed(list(es.moderators))}
    return next((names[name] for name in TIMES if name in names), TIMES[0])


def years_of(es: EffectSizes, places: Codes) -> Floats:
    """Return the year of some rows, nan where the table has none: rows of other years are of other people."""
    return _numbers(_cells(es, "year", places), places.size)


def _cells(es: EffectSizes, column: str, places: Codes) -> NDArray[Any] | None:
    """Return a column, None where the table does not have it."""
    return es.moderators[column][places] if column in es.moderators else None


def _codes(cells: NDArray[Any] | None, k: int) -> tuple[Codes, tuple[str, ...]]:
    """Return numbers for the texts of a column, case and spaces aside, -1 where blank, and the texts of the numbers."""
    if cells is None:
        return np.full(k, -1, dtype=np.intp), ()
    raw, values = pd.factorize(cells)
    known: dict[str, int] = {}
    names: list[str] = []
    new = np.full(len(values) + 1, -1, dtype=np.intp)  # the last is that of blank cells, which have the code -1
    for place, text in enumerate(map(_text, values)):
        if text:
            new[place] = known.setdefault(text.casefold(), len(known))
            names += [text] if len(known) > len(names) else []
    return new[raw], tuple(names)


def _text(value: Any) -> str:
    """Write a cell as text: whole numbers without decimals, single spaces."""
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def _numbers(cells: NDArray[Any] | None, k: int, named: str | None = None) -> Floats:
    """Return a column as numbers, nan where it has none."""
    if cells is None:
        return np.full(k, np.nan)
    found = np.asarray(pd.to_numeric(pd.Series(cells), errors="coerce"), dtype=float)
    if named is not None and (np.isnan(found) & ~pd.isna(cells)).any():
        raise OptionError(f"columns['time']={named!r} has cells that are no numbers; give times as numbers of one unit")
    return found


def _combined(*parts: Codes) -> Codes:
    """Return a code for each combination of codes."""
    total = parts[0]
    for part in parts[1:]:
        total = total * (int(part.max(initial=0)) + 2) + part
    return pd.factorize(total)[0].astype(np.intp)


def _labels(
    es: EffectSizes, found: Mapping[str, NDArray[Any] | None], places: Codes, named: Mapping[str, str]
) -> tuple[Codes, Bools]:
    """Return the codes of the labels of both arms, turned as the effects are, and which labels tell of shared arms.

    The arm's own label counts, else the name of its treatment. Two arms of one row with one label are told apart by
    nothing.
    """
    k = places.size
    sides: list[NDArray[Any]] = []
    for side in "12":
        own, treatment = found[f"arm_{side}"], _cells(es, f"treatment_{side}", places)
        best = np.full(k, "", dtype=object) if own is None else own.astype(object)
        if treatment is not None and f"arm_{side}" not in named:
            best = np.where(pd.isna(best) | (best == ""), treatment, best)
        sides.append(best)
    codes, names = _codes(np.concatenate(sides), 2 * k)
    labels = codes.reshape(2, k)
    turned = np.array([SWAPPED in es.corrections[i] for i in places.tolist()] if any(es.corrections) else [False] * k)
    labels = np.where(turned, labels[::-1], labels)
    labels[:, labels[0] == labels[1]] = -1
    return labels, np.array([bool(DECLARED.search(name)) for name in names] + [False], dtype=bool)


def _arm(es: EffectSizes, stem: str, side: str, places: Codes) -> Floats:
    """Return a number of one arm; where there is one group, its n stands for both."""
    role = f"{stem}_{side}"
    if stem == "n" and role not in es.inputs:
        role = "n"
    return es.inputs[role][places] if role in es.inputs else np.full(places.size, np.nan)


@dataclass(frozen=True, slots=True)
class Links:
    """What each of p pairs of rows of one study has in common.

    both: the same two arms; turned: the same two arms, the other way round. one: (4, p) one common arm, in the order of
    `SIDES`. unclear: nothing in the table tells what differs between the rows, or between the numbers of the arm that
    they have in common. groups: the table says that they are about different groups of people. within: one row is of
    all people, the other of some of these. sizes_apart: both arms are taken for the same people though their numbers of
    people differ by more than a tenth.
    """

    both: Bools
    turned: Bools
    one: Bools
    unclear: Bools
    groups: Bools
    within: Bools
    sizes_apart: Bools


def links(rows: Described, i: Codes, j: Codes, *, strata: str = "disjoint") -> Links:
    """Return what the rows i and j of each pair have in common; both are of one study.

    At one outcome, instrument and time an arm is the same where its n and all its other numbers agree (in at least four
    digits where its labels differ, or ten events where it has counts and no label), or where nothing is known of it but
    an equal label. An arm of equal label and n whose other numbers differ is the same as well where the table tells no
    outcome or no time: who names two arms alike and counts as many people in them means one arm, and what differs is
    the measurement that has no column. Two groups of one name and size would be taken for one, which makes the pool
    less certain than it is; other people would make it too certain. At two outcomes or times it is the same where its
    label is; a label that stands for several groups of people counts only together with that of the other arm; without
    labels the rows are of the same people where the study has one row of each kind, or equal numbers of people. Rows of
    different years are of different people.

    strata: "disjoint" takes rows of different strata for different people, if the study has several of them at one
    outcome and time, unless numbers or words of an arm say that it stands in both, or one of them is "all", "overall",
    "total" ... and has no fewer people in either arm: these are the people of the other and more; "overlapping" takes
    them for partly the same people; "ignored" does not look at them.
    """
    here = rows.setting[i] == rows.setting[j]
    one = np.zeros((4, i.size), dtype=bool)
    both, unclear = np.zeros(i.size, dtype=bool), np.zeros(i.size, dtype=bool)
    if here.any():
        found = _at_one_setting(rows, i[here], j[here])
        one[:, here], both[here] = found.one, found.both
        unclear[here] = found.both | found.unlike
    if not here.all():
        vague = _vague_labels(rows, i[here], j[here], one[:, here])
        one[:, ~here] = _across(rows, i[~here], j[~here], vague)
    groups = _other_groups(rows, i, j)
    years = (rows.year[i] != rows.year[j]) & np.isfinite(rows.year[i] + rows.year[j])
    within = groups & (strata == "disjoint") & _some_of_all(rows, i, j) & ~years
    apart = groups & (strata == "disjoint") & ~within
    apart[apart] = ~_said_to_be_shared(rows, i[apart], j[apart], one[:, apart])
    one &= ~(apart | years)
    both &= ~(apart | years)
    both |= one[0] & one[1]
    some = within | (groups & (strata == "overlapping"))
    both[some], one[:, some] = _arms_by_label(rows, i[some], j[some])
    turned = one[2] & one[3] & ~both
    one &= ~(both | turned)
    gone = _sizes_apart(rows, i, j, (0, 0)) & _sizes_apart(rows, i, j, (1, 1)) & ~some
    unclear &= (both | one.any(axis=0)) & ~within
    return Links(both, turned, one, unclear, groups, within, both & gone)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is seen of pairs at one outcome and time: one arm in common by side, both, one of other numbers."""

    one: Bools
    both: Bools
    unlike: Bools


@dataclass(frozen=True, slots=True)
class _Arm:
    """How an arm of one row compares with an arm of another.

    Labels equal, different; numbers known, equal; n equal or unknown (same_n), known and equal (counted_alike).
    """

    equal_label: Bools
    other_label: Bools
    known: Bools
    equal: Bools
    telling: Bools
    near: Bools
    same_n: Bools
    counted_alike: Bools


def _compared(rows: Described, i: Codes, j: Codes, side: tuple[int, int]) -> _Arm:
    """Compare an arm of the rows i with an arm of the rows j."""
    a, b = side
    one, two = rows.labels[a, i], rows.labels[b, j]
    named = (one >= 0) & (two >= 0)
    x, y = rows.numbers[a, i], rows.numbers[b, j]
    known: Bools = np.asarray(np.isfinite(x[:, 1:]).any(axis=1) & np.isfinite(y[:, 1:]).any(axis=1))
    equal = np.zeros(i.size, dtype=bool)
    equal[known] = agreeing(x[known], y[known])
    n: Bools = np.isnan(x[:, 0] + y[:, 0])
    return _Arm(
        equal_label=named & (one == two),
        other_label=named & (one != two),
        known=known,
        equal=equal,
        telling=_telling(rows, x, y, equal),
        near=~_sizes_apart(rows, i, j, side),
        same_n=n | (x[:, 0] == y[:, 0]),
        counted_alike=x[:, 0] == y[:, 0],
    )


def _sizes_apart(rows: Described, i: Codes, j: Codes, side: tuple[int, int]) -> Bools:
    """Tell where two arms differ in their numbers of people by more than people who leave explain."""
    if np.isnan(rows.numbers[:, :, 0]).all():
        return np.zeros(i.size, dtype=bool)
    one, two = rows.numbers[side[0], i, 0], rows.numbers[side[1], j, 0]
    return np.maximum(one, two) > LEFT * np.minimum(one, two)


def _telling(rows: Described, x: Floats, y: Floats, equal: Bools) -> Bools:
    """Tell which equal numbers two groups of people do not share by chance: four digits that are not counts."""
    other = [place for place, stem in enumerate(rows.stems) if stem != "n" and stem not in COUNTS]
    found = np.zeros(equal.shape, dtype=bool)
    for place in np.flatnonzero(equal).tolist() if other else ():
        values = x[place, other]
        found[place] = digits(values[np.isfinite(values)].tolist()) >= TELLING
    return found


def _at_one_setting(rows: Described, i: Codes, j: Codes) -> _Seen:
    """Compare rows of one outcome, instrument and time."""
    arms = [_compared(rows, i, j, side) for side in SIDES]
    counted = [_counted(rows, i, j, side) for side in SIDES]
    same: list[Bools] = []
    for place, arm in enumerate(arms):
        bare = ~arm.equal_label & ~arm.other_label
        sure = arm.equal & ~np.where(
            arm.other_label | (place > 1), ~arm.telling & ~arm.equal_label, bare & counted[place]
        )
        same.append(sure | (~arm.known & arm.equal_label & arm.same_n))
    unseen = [~arm.known & ~arm.equal_label & ~arm.other_label & arm.near for arm in arms[:2]]
    maybe = [arm.known & ~s & ~arm.other_label & arm.near for arm, s in zip(arms[:2], same, strict=False)]
    likely = [s | u for s, u in zip(same, unseen, strict=False)]
    both = (likely[0] & likely[1]) | (maybe[0] & (maybe[1] | unseen[1])) | (maybe[1] & unseen[0])
    alone = [same[a] | (unseen[a] & ~(likely[b] | maybe[b]) & arms[b].other_label) for a, b in ((0, 1), (1, 0))]
    one = np.array([*alone, *same[2:]])
    untold = ~(one.any(axis=0) | both | (rows.told[i] & rows.told[j]))
    unlike: Bools = np.array([untold & arm.known & arm.equal_label & arm.counted_alike for arm in arms])
    return _Seen((one | unlike) & ~both, both, np.asarray(unlike.any(axis=0)))


def _counted(rows: Described, i: Codes, j: Codes, side: tuple[int, int]) -> Bools:
    """Tell where equal counts may be chance: fewer than ten events, and other arms of the same size."""
    a, b = side
    others = [place for place, stem in enumerate(rows.stems) if stem != "n" and stem not in COUNTS]
    only = ~np.isfinite(rows.numbers[a][np.ix_(i, np.array(others, dtype=np.intp))]).any(axis=1)
    events = rows.numbers[a, i, rows.stems.index("events")] if "events" in rows.stems else np.full(i.size, np.nan)
    sizes = rows.numbers[1 - a, i, 0] != rows.numbers[1 - b, j, 0]
    return only & ~(sizes | ((events >= MANY_EVENTS) & (rows.numbers[a, i, 0] > events)))


def _vague_labels(rows: Described, i: Codes, j: Codes, one: Bools) -> Codes:
    """Return the studies with labels, as one number each, that stand for several groups of people at one setting."""
    found: list[Codes] = []
    for place, (a, b) in enumerate(SIDES[:2]):
        equal = (rows.labels[a, i] == rows.labels[b, j]) & (rows.labels[a, i] >= 0)
        at = i[equal & ~one[place] & _other(rows, i, j, a)]
        found.append(_label_keys(rows, a, at))
    return np.unique(np.concatenate(found))


def _other(rows: Described, i: Codes, j: Codes, a: int) -> Bools:
    """Tell where the numbers of an arm differ, or its strata do."""
    x, y = rows.numbers[a, i], rows.numbers[a, j]
    return ((x != y) & np.isfinite(x) & np.isfinite(y)).any(axis=1) | (rows.stratum[i] != rows.stratum[j])


def _label_keys(rows: Described, arm: int, at: Codes) -> Codes:
    """Return one number for the study and the label of an arm."""
    return rows.study[at] * (rows.declared.size + 1) + rows.labels[arm, at]


def _across(rows: Described, i: Codes, j: Codes, vague: Codes) -> Bools:
    """Compare rows of different outcomes, instruments or times; (4, p) which arms are the same people."""
    kind = _combined(rows.study, rows.setting)
    count = np.bincount(kind)[kind]
    single = (count[i] == 1) & (count[j] == 1)
    same = np.zeros((4, i.size), dtype=bool)
    open_ = np.zeros((4, i.size), dtype=bool)
    for place, (a, b) in enumerate(SIDES):
        one, two = rows.labels[a, i], rows.labels[b, j]
        equal = (one == two) & (one >= 0)
        unsure = equal & np.isin(_label_keys(rows, a, i), vague)
        same[place] = equal & ~unsure
        open_[place] = unsure
        if a == b:
            n = rows.numbers[a, i, 0], rows.numbers[a, j, 0]
            bare = (one < 0) | (two < 0)
            same[place] |= bare & (single | (n[0] == n[1]) | np.isnan(n[0]) | np.isnan(n[1]))
    near = ~_sizes_apart(rows, i, j, (0, 0)) & ~_sizes_apart(rows, i, j, (1, 1))
    for a, b in ((0, 1), (1, 0), (2, 3), (3, 2)):
        same[a] |= open_[a] & (same[b] | (open_[b] & near))
    return same


def _other_groups(rows: Described, i: Codes, j: Codes) -> Bools:
    """Tell which pairs are of different strata of people.

    In a study each of whose strata has outcomes or times of its own, strata are but names of these.
    """
    differ = (rows.stratum[i] != rows.stratum[j]) & (rows.stratum[i] >= 0) & (rows.stratum[j] >= 0)
    differ &= ~(rows.everyone[i] & rows.everyone[j])
    split = np.unique(rows.study[i[differ & (rows.setting[i] == rows.setting[j])]])
    return differ & np.isin(rows.study[i], split)


def _arms_by_label(rows: Described, i: Codes, j: Codes) -> tuple[Bools, Bools]:
    """Return which pairs are of the same two arms, and (4, p) of one, by labels; an arm without a label agrees."""
    label = [(rows.labels[a, i], rows.labels[b, j]) for a, b in SIDES]
    equal = [(x == y) & (x >= 0) for x, y in label]
    other = [(x != y) & (x >= 0) & (y >= 0) for x, y in label[:2]]
    across = other[0] & other[1]
    one = np.array([~other[0] & other[1], other[0] & ~other[1], across & equal[2], across & equal[3]])
    return np.asarray(~other[0] & ~other[1]), one


def _some_of_all(rows: Described, i: Codes, j: Codes) -> Bools:
    """Tell pairs of which one row is of all people and the other of no more in either arm."""
    whole, part = np.where(rows.everyone[i], i, j), np.where(rows.everyone[i], j, i)
    more = (rows.numbers[:, part, 0] > rows.numbers[:, whole, 0]).any(axis=0)
    return (rows.everyone[i] != rows.everyone[j]) & ~more


def _said_to_be_shared(rows: Described, i: Codes, j: Codes, one: Bools) -> Bools:
    """Tell pairs of different strata of which an arm is the same all the same: by its numbers, or by its own words."""
    said = np.zeros(i.size, dtype=bool)
    for place, (a, b) in enumerate(SIDES):
        at = np.flatnonzero(one[place])
        if at.size:
            words = rows.declared[rows.labels[a, i[at]]] & (rows.labels[a, i[at]] == rows.labels[b, j[at]])
            same = (rows.setting[i[at]] == rows.setting[j[at]]) & _compared(rows, i[at], j[at], (a, b)).telling
            said[at] |= words | same
    return said
