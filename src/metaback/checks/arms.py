"""What describes the arms behind the rows of a pool, and which rows of one study have an arm in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metaback.checks.scene import Bools, Floats, Pooled, Scene, groups
from metaback.stats.same_arms import DECLARED, MANY_EVENTS, TELLING, agreeing, digits

ROW = 6  # digits of all numbers of both arms together that two rows of a study do not share by chance
MERGEABLE = 50  # different arms of one study among which numbers of fewer decimals are looked for
NO_ARM = frozenset({"n", "r", "time", "treatment", "arm", "homozygotes"})  # stems that tell no arm from another
COUNTS = frozenset({"events", "nonevents", "percent"})
Key = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """Rows of one study in one pool: their positions in the pool, and where they stand in the table."""

    pool: Pooled
    spots: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def yi(self) -> Floats:
        """Return its effects."""
        return self.pool.yi[list(self.spots)]

    @property
    def vi(self) -> Floats:
        """Return the variances of its effects."""
        return self.pool.vi[list(self.spots)]


def rows_at(pool: Pooled, spots: Iterable[int]) -> Repeated:
    """Return rows of a pool by their positions, in the order of the pool."""
    where = tuple(sorted(spots))
    return Repeated(pool, where, tuple(int(pool.places[i]) for i in where))


def repeated(scene: Scene) -> Iterator[Repeated]:
    """Yield the studies that give a pool more than one effect."""
    studies = scene.texts("study")
    for pool in scene.pools:
        spots = np.flatnonzero(pool.estimable)
        labels = tuple(studies[int(i)] for i in pool.places[spots])
        for values, where in groups(labels):
            if values[0] and where.size > 1:
                yield rows_at(pool, spots[where].tolist())


@dataclass(frozen=True, slots=True)
class ArmTable:
    """Numbers and labels of both arms of each row, arms turned as the first row of its pool has them.

    stems: names of the numbers that describe an arm, "n" first. values: arm "1" or "2" -> (k, stems) numbers, nan
    where blank; keys: the same per row as tuples, None where blank; labels: in lower case. settings: outcome,
    instrument and time of each row; years: nan where unknown; strata: "" where unknown. swapped: (k,) rows whose arms
    were turned. single: (k,) people of a row that has one group.
    """

    stems: tuple[str, ...]
    values: Mapping[str, Floats]
    keys: Mapping[str, list[Key]]
    labels: Mapping[str, list[str]]
    settings: tuple[tuple[str, ...], ...]
    years: tuple[float, ...]
    strata: tuple[str, ...]
    swapped: Bools
    single: Floats

    def arm(self, place: int, side: str) -> str:
        """Return the arm, "1" or "2", that a row of the table has for an arm of the pool."""
        return ("1" if side == "2" else "2") if self.swapped[place] else side

    def role(self, stem: str, place: int, side: str) -> str:
        """Return the role that a number or label of one arm of a row has in the table."""
        return f"{stem}_{self.arm(place, side)}"

    def number(self, stem: str, place: int, side: str) -> float:
        """Return one number of one arm, nan where unknown."""
        return float(self.values[side][place, self.stems.index(stem)]) if stem in self.stems else float("nan")

    def told(self, place: int, side: str) -> dict[str, float]:
        """Return the numbers of one arm that are known, by name."""
        pairs = zip(self.stems, self.keys[side][place], strict=True)
        return {stem: value for stem, value in pairs if value is not None}

    def uncounted(self, place: int, side: str) -> list[float]:
        """Return the numbers of one arm that are neither n nor counts."""
        return [value for stem, value in self.told(place, side).items() if stem != "n" and stem not in COUNTS]


def arm_table(scene: Scene) -> ArmTable:
    """Return the arms of a table."""
    if "arm table" not in scene.memo:
        scene.memo["arm table"] = _arm_table(scene)
    return scene.memo["arm table"]


def _arm_table(scene: Scene) -> ArmTable:
    roles = scene.trials.roles
    found = [role[:-2] for role in roles if role.endswith("_1") and f"{role[:-2]}_2" in roles]
    stems = ("n", *(stem for stem in found if stem not in NO_ARM))
    swapped = _swapped(scene)
    raw = {arm: np.column_stack([scene.numbers(f"{stem}_{arm}") for stem in stems]) for arm in "12"}
    texts = {arm: [text.strip().casefold() for text in scene.texts(f"arm_{arm}")] for arm in "12"}
    values = {arm: np.where(swapped[:, None], raw[other], raw[arm]) for arm, other in ("12", "21")}
    labels = {
        arm: [b if turn else a for a, b, turn in zip(texts[arm], texts[other], swapped.tolist(), strict=True)]
        for arm, other in ("12", "21")
    }
    return ArmTable(
        stems=stems,
        values=values,
        keys={arm: [tuple(row) for row in _blanked(values[arm])] for arm in "12"},
        labels=labels,
        settings=tuple(
            zip(
                scene.texts("outcome"),
                scene.texts("instrument"),
                map(str, scene.numbers("weeks").tolist()),
                strict=True,
            )
        ),
        years=tuple(scene.numbers("year").tolist()),
        strata=scene.texts("stratum"),
        swapped=swapped,
        single=scene.numbers("n"),
    )


def _swapped(scene: Scene) -> Bools:
    """Tell which rows name the two treatments the other way round than the first row of their pool."""
    one, two = scene.texts("treatment_1"), scene.texts("treatment_2")
    swapped = np.zeros(scene.k, dtype=bool)
    for pool in scene.pools:
        places: list[int] = pool.places.tolist()
        pair = (one[places[0]], two[places[0]]) if places else ("", "")
        if pair[0] and pair[1]:
            swapped[places] = [(two[place], one[place]) == pair for place in places]
    return swapped


def _blanked(values: Floats) -> list[list[float | None]]:
    """Return rows of numbers with None where they are nan."""
    cells = values.astype(object)
    cells[np.isnan(values)] = None
    return cells.tolist()


def agree(one: Key, two: Key) -> bool:
    """Tell whether two arms have the same n, and other numbers that agree to the fewer of their decimals.

    A whole number says nothing of the decimals behind it, so that whole numbers must be equal.

    >>> agree((15.0, 12.3, 4.0), (15.0, 12.34, 4.0)), agree((15.0, 12.0), (15.0, 12.3))
    (True, False)
    """
    return bool(agreeing(np.array([one], dtype=float), np.array([two], dtype=float))[0])


def row_digits(arms: ArmTable, place: int) -> int:
    """Count the digits of all numbers that describe the arms of a row."""
    return digits(arms.keys["1"][place] + arms.keys["2"][place])


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
            part = rows_at(rows.pool, spots)
            if by == "counts" and not _telling_counts(arms, part.places, side, other):
                continue
            if taken.isdisjoint(spots) and all_differ(arms, part.places, other):
                sure = certain or bool(DECLARED.search(_one_label(arms, part.places, side)))
                found.append(Shared(part, side, by, sure))
                taken.update(spots)
    return found


def _by_numbers(arms: ArmTable, rows: Repeated, side: str) -> Iterator[tuple[str, list[int], bool]]:
    """Yield rows with the same n and the same other numbers of an arm, to the decimals that are given.

    Equal counts say something at one outcome, instrument and time only: the people of a trial may have as many events
    at two times.
    """
    classes: dict[Key, list[int]] = {}
    counts: dict[tuple[object, ...], list[int]] = {}
    for spot, place in zip(rows.spots, rows.places, strict=True):
        key = arms.keys[side][place]
        if key[0] is not None and any(value is not None for value in key[1:]):
            if arms.uncounted(place, side):
                classes.setdefault(key, []).append(spot)
            else:
                counts.setdefault((key, arms.settings[place]), []).append(spot)
    yield from (("counts", spots, False) for spots in counts.values() if len(spots) > 1)
    blurred: set[Key] = set()
    same_size = len({key[0] for key in classes}) < len(classes) <= MERGEABLE
    for key in list(classes) if same_size else ():
        twin = next((other for other in classes if other != key and other[0] == key[0] and agree(other, key)), None)
        if twin is not None:
            classes[twin] += classes.pop(key)
            blurred.add(twin)
    where = dict(zip(rows.spots, rows.places, strict=True))
    for key, spots in classes.items():
        if len(spots) > 1:
            yield "numbers", spots, key not in blurred and digits(arms.uncounted(where[spots[0]], side)) >= TELLING


def _by_label(arms: ArmTable, rows: Repeated, side: str) -> Iterator[tuple[str, list[int], bool]]:
    """Yield rows with the same label of an arm, the same numbers of it, and the same outcome, instrument and time."""
    classes: dict[tuple[object, ...], list[int]] = {}
    for spot, place in zip(rows.spots, rows.places, strict=True):
        if label := arms.labels[side][place]:
            classes.setdefault((label, arms.settings[place], arms.keys[side][place]), []).append(spot)
    for spots in classes.values():
        if len(spots) > 1:
            yield "label", spots, False


def _telling_counts(arms: ArmTable, places: Sequence[int], side: str, other: str) -> bool:
    """Tell whether equal counts mean one arm: ten events or more, or other arms of other sizes.

    A few events in arms that have the same sizes in all rows are also what two outcomes of the same people look like.
    """
    events = arms.number("events", places[0], side)
    sizes = {arms.number("n", place, other) for place in places}
    return len(sizes) == len(places) or (events >= MANY_EVENTS and arms.number("n", places[0], side) > events)


def _one_label(arms: ArmTable, places: Sequence[int], side: str) -> str:
    """Return the label that an arm has in all of some rows, "" where they differ."""
    labels = {arms.labels[side][place] for place in places}
    return labels.pop() if len(labels) == 1 else ""


def all_differ(arms: ArmTable, places: Sequence[int], side: str) -> bool:
    """Tell whether an arm is another group of people in each of some rows, by its numbers or by its label."""
    keys = {(arms.keys[side][place], arms.labels[side][place]) for place in places}
    return len(keys) == len(places)


def same(arms: ArmTable, places: Sequence[int], side: str, stem: str) -> bool:
    """Tell whether a number of an arm is known and the same in some rows."""
    values = {arms.number(stem, place, side) for place in places}
    return len(values) == 1 and not np.isnan(values.pop())
