"""What describes the arms behind the rows of a pool, and which rows of one study have an arm in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metaback.checks.rounding import decimals
from metaback.checks.scene import Floats, Pooled, Scene, groups
from metaback.numbers import as_given

TELLING = 4  # digits of mean and SD together that two groups of people do not share by chance within one study
MERGEABLE = 50  # different arms of one study among which numbers of fewer decimals are looked for
NO_ARM = frozenset({"n", "r", "time", "treatment", "arm", "homozygotes"})  # stems that tell no arm from another
COUNTS = frozenset({"events", "nonevents", "percent"})
DECLARED = re.compile(
    r"\b(used|counted|shared|serves?|compared) (in|for|by|with|as) (both|all|two|three|each|several|the other)"
    r"|\bshared (control|comparator|group|arm)|\b(same|common|single|one) (control|comparator)",
    re.IGNORECASE,
)
Key = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """The rows of one study in one pool, by their positions in the pool."""

    pool: Pooled
    spots: tuple[int, ...]

    @property
    def places(self) -> tuple[int, ...]:
        """Return where its rows stand in the table."""
        return tuple(int(self.pool.places[i]) for i in self.spots)

    @property
    def yi(self) -> Floats:
        """Return its effects."""
        return self.pool.yi[list(self.spots)]

    @property
    def vi(self) -> Floats:
        """Return the variances of its effects."""
        return self.pool.vi[list(self.spots)]


def repeated(scene: Scene) -> Iterator[Repeated]:
    """Yield the studies that give a pool more than one effect."""
    studies = scene.texts("study")
    for pool in scene.pools:
        spots = np.flatnonzero(pool.estimable)
        labels = tuple(studies[int(i)] for i in pool.places[spots])
        for values, where in groups(labels):
            if values[0] and where.size > 1:
                yield Repeated(pool, tuple(spots[where].tolist()))


@dataclass(frozen=True, slots=True)
class ArmTable:
    """Numbers and labels of both arms of each row, arms turned as the first row of its pool has them.

    stems: names of the numbers that describe an arm, without n. numbers: role -> a number per row; labels: "1" or "2"
    -> a label per row in lower case. settings: outcome, instrument and time of each row. sides: per row, which arm of
    the table is arm 1 and which is arm 2.
    """

    stems: tuple[str, ...]
    numbers: Mapping[str, list[float]]
    labels: Mapping[str, list[str]]
    settings: tuple[tuple[str, ...], ...]
    sides: tuple[tuple[str, str], ...]

    def role(self, stem: str, place: int, side: str) -> str:
        """Return the role that a number or label of one arm of a row has in the table."""
        return f"{stem}_{self.sides[place][int(side) - 1]}"

    def number(self, stem: str, place: int, side: str) -> float:
        """Return one number of one arm, nan where unknown."""
        column = self.numbers.get(self.role(stem, place, side))
        return float("nan") if column is None else column[place]

    def key(self, place: int, side: str) -> Key:
        """Return what describes one arm of a row: n and every other number, None where blank."""
        values = (self.number(stem, place, side) for stem in ("n", *self.stems))
        return tuple(None if np.isnan(value) else value for value in values)

    def label(self, place: int, side: str) -> str:
        """Return the label of one arm in lower case, "" where blank."""
        return self.labels[self.sides[place][int(side) - 1]][place]


def arm_table(scene: Scene) -> ArmTable:
    """Return the arms of a table."""
    roles = scene.trials.roles
    stems = [role[:-2] for role in roles if role.endswith("_1") and f"{role[:-2]}_2" in roles]
    stems = [stem for stem in stems if stem not in NO_ARM]
    one, two = scene.texts("treatment_1"), scene.texts("treatment_2")
    sides = [("1", "2")] * scene.k
    for pool in scene.pools:
        places = pool.places.tolist()
        for place in places:
            if one[places[0]] and one[place] == two[places[0]] and two[place] == one[places[0]]:
                sides[place] = ("2", "1")
    return ArmTable(
        stems=tuple(stems),
        numbers={f"{stem}_{arm}": scene.numbers(f"{stem}_{arm}").tolist() for stem in ("n", *stems) for arm in "12"},
        labels={arm: [text.strip().casefold() for text in scene.texts(f"arm_{arm}")] for arm in "12"},
        settings=tuple(
            zip(scene.texts("outcome"), scene.texts("instrument"), map(str, scene.numbers("weeks")), strict=True)
        ),
        sides=tuple(sides),
    )


def digits(values: Iterable[float | None]) -> int:
    """Count the significant digits of several numbers together, at least one for each.

    >>> digits((12.3, 0.05, None))
    4
    """
    known = (as_given(abs(value)) for value in values if value is not None)
    return sum(len(re.sub(r"\D", "", text).lstrip("0")) or 1 for text in known)


def agree(one: Key, two: Key) -> bool:
    """Tell whether two arms have the same n, and other numbers that agree to the fewer of their decimals.

    A whole number says nothing of the decimals behind it, so that whole numbers must be equal.

    >>> agree((15.0, 12.3, 4.0), (15.0, 12.34, 4.0)), agree((15.0, 12.0), (15.0, 12.3))
    (True, False)
    """
    if one[0] != two[0] or any((a is None) != (b is None) for a, b in zip(one, two, strict=True)):
        return False
    a, b = (np.array([value for value in arm[1:] if value is not None]) for arm in (one, two))
    fewer = np.minimum(decimals(a), decimals(b))
    near = (fewer >= 1) & (np.abs(a - b) <= 0.5 * 10.0**-fewer + 1e-9)
    return bool(np.all(near | (a == b)))


@dataclass(frozen=True, slots=True)
class Shared:
    """Rows of one study that have one arm in common: arm "1" or "2" as the pool has them.

    by: "numbers", "counts" or "label", what shows it. certain: no other explanation is left.
    """

    rows: Repeated
    side: str
    by: str
    certain: bool


def shared_arms(arms: ArmTable, rows: Repeated) -> list[Shared]:
    """Return the sets of rows of a study that have one arm in common and differ in the other."""
    found: list[Shared] = []
    taken: set[int] = set()
    for side, other in (("2", "1"), ("1", "2")):
        for by, spots, certain in (*_by_numbers(arms, rows, side), *_by_label(arms, rows, side)):
            part = Repeated(rows.pool, tuple(sorted(spots)))
            if taken.isdisjoint(spots) and all_differ(arms, part.places, other):
                sure = certain or bool(DECLARED.search(_one_label(arms, part.places, side)))
                found.append(Shared(part, side, by, sure))
                taken.update(spots)
    return found


def _by_numbers(arms: ArmTable, rows: Repeated, side: str) -> Iterator[tuple[str, list[int], bool]]:
    """Yield rows with the same n and the same other numbers of an arm, to the decimals that are given."""
    classes: dict[Key, list[int]] = {}
    for spot, place in zip(rows.spots, rows.places, strict=True):
        key = arms.key(place, side)
        if key[0] is not None and any(value is not None for value in key[1:]):
            classes.setdefault(key, []).append(spot)
    blurred: set[Key] = set()
    for key in list(classes) if len(classes) <= MERGEABLE else ():
        twin = next((other for other in classes if other != key and key in classes and agree(other, key)), None)
        if twin is not None:
            classes[twin] += classes.pop(key)
            blurred.add(twin)
    for key, spots in classes.items():
        if len(spots) > 1:
            known = [value for stem, value in zip(arms.stems, key[1:], strict=True) if stem not in COUNTS]
            counts = all(value is None for value in known)
            sure = not counts and key not in blurred and digits(known) >= TELLING
            yield "counts" if counts else "numbers", spots, sure


def _by_label(arms: ArmTable, rows: Repeated, side: str) -> Iterator[tuple[str, list[int], bool]]:
    """Yield rows with the same label of an arm, the same numbers of it, and the same outcome, instrument and time."""
    classes: dict[tuple[object, ...], list[int]] = {}
    for spot, place in zip(rows.spots, rows.places, strict=True):
        if label := arms.label(place, side):
            classes.setdefault((label, arms.settings[place], arms.key(place, side)), []).append(spot)
    for spots in classes.values():
        if len(spots) > 1:
            yield "label", spots, False


def _one_label(arms: ArmTable, places: Sequence[int], side: str) -> str:
    """Return the label that an arm has in all of some rows, "" where they differ."""
    labels = {arms.label(place, side) for place in places}
    return labels.pop() if len(labels) == 1 else ""


def all_differ(arms: ArmTable, places: Sequence[int], side: str) -> bool:
    """Tell whether an arm is another group of people in each of some rows, by its numbers or by its label."""
    keys = {(arms.key(place, side), arms.label(place, side)) for place in places}
    return len(keys) == len(places)


def same(arms: ArmTable, places: Sequence[int], side: str, stem: str) -> bool:
    """Tell whether a number of an arm is known and the same in some rows."""
    values = {arms.number(stem, place, side) for place in places}
    return len(values) == 1 and not np.isnan(values.pop())
