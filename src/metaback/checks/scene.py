"""What the rules of the audit see: the table, and what would be pooled from it by the request at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.data.trials import Trials

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Regressed:
    """A meta-regression: its coefficients besides the intercept, and the rows (m,) that have every moderator.

    refused: why it cannot be made of these rows, "" where it can.
    """

    coefficients: int
    used: Bools
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Pooled:
    """The rows that one pool would take, with their effects.

    name: outcome and treatments in words. places: (m,) rows of the table, 0 for the first. measure: key; scale: "log"
    or "linear". yi, vi: (m,) effects and variances on the analysis scale, arms and directions turned as the pool has
    them, nan where a row has none. computed: (m,) whether the effect comes from raw numbers of the arms. turned: (m,)
    whether it was turned, because arms or direction of its row point the other way. regressed: the meta-regression of
    these effects that is asked for, None for none.
    """

    name: str
    places: Places
    measure: str
    scale: str
    yi: Floats
    vi: Floats
    computed: Bools
    turned: Bools
    regressed: Regressed | None = None

    @property
    def estimable(self) -> Bools:
        """Tell which rows have an effect, (m,)."""
        return np.isfinite(self.yi) & np.isfinite(self.vi)


@dataclass(frozen=True, slots=True)
class Plan:
    """How the effects would be pooled, as far as a rule asks: words of the request.

    model, tau2, ci, pi: as in `PoolSpec` (a given tau2 is written as its number); by: column of subgroups, None for
    none; strata: strata are subgroups without being named. independent: the user said that rows of one study are
    independent of each other. modelled: the pool models that they are not.
    """

    model: str = "random"
    tau2: str = "REML"
    ci: str = "HKSJ-wider"
    pi: str = "t(k-1)"
    weights: str | None = None
    by: str | None = None
    strata: bool = True
    mixed_scores: bool = False
    independent: bool = False
    modelled: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """What is known of the instrument of one row: its range, direction and reference SD; nan or None where unknown."""

    low: float = np.nan
    high: float = np.nan
    higher_is_better: bool | None = None


@dataclass(frozen=True)
class Scene:
    """A table with the pools that would be made of it.

    pools: one per outcome and pair of treatments, empty where effects cannot be computed. scales: per row, what is
    known of its instrument. plan: how the pools would be made. memo: what several rules need and the first of them
    worked out, by name; it follows from the rest and is no part of the record.
    """

    trials: Trials
    pools: tuple[Pooled, ...] = ()
    plan: Plan = field(default_factory=Plan)
    scales: tuple[Scale, ...] = ()
    memo: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    @property
    def k(self) -> int:
        """Count the rows of the table."""
        return len(self.trials)

    def numbers(self, role: str) -> Floats:
        """Return a number role, (k,), nan where blank or where the table does not have it; it is not to be changed."""
        name = f"numbers of {role}"
        if name not in self.memo:
            self.memo[name] = np.array(self.trials.numbers(role))
            self.memo[name].setflags(write=False)
        return self.memo[name]

    def texts(self, role: str) -> tuple[str, ...]:
        """Return a text role, (k,), "" where blank or where the table does not have it."""
        if role not in self.memo:
            self.memo[role] = self.trials.texts(role)
        return self.memo[role]

    def has(self, *roles: str) -> bool:
        """Tell whether the table has all of some roles."""
        return all(role in self.trials.roles for role in roles)

    def label(self, place: int) -> str:
        """Name a row for a reader: its study and where it stands, `Nejati 2019 (row 27)`."""
        return f"{self.texts('study')[place]} ({self.trials.rows[place]})"

    def labels(self, places: Places | list[int] | tuple[int, ...]) -> str:
        """Name several rows, the first six of a long list."""
        names = [self.label(int(place)) for place in places[:6]]
        more = f" and {len(places) - 6} more" if len(places) > 6 else ""
        return ", ".join(names) + more

    def column(self, role: str) -> str:
        """Return the name that the column of a role has in the table."""
        return self.trials.roles.get(role, role)


def groups(*keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Places]]:
    """Yield rows that agree in all keys, in order of first appearance: the values, and the places of the rows.

    keys: (k,) texts each. Case and outer spaces do not matter.

    >>> [(values, places.tolist()) for values, places in groups(("pain", "Pain ", "disability"))]
    [(('pain',), [0, 1]), (('disability',), [2])]
    """
    found: dict[tuple[str, ...], list[int]] = {}
    for i, values in enumerate(zip(*keys, strict=True)):
        found.setdefault(tuple(value.strip().casefold() for value in values), []).append(i)
    for values, places in found.items():
        yield values, np.array(places, dtype=np.intp)


def units(scene: Scene) -> tuple[str, ...]:
    """Return what makes the numbers of a row comparable with those of another: outcome and instrument, as one text."""
    pairs = zip(scene.texts("outcome"), scene.texts("instrument"), strict=True)
    return tuple(f"{outcome}|{instrument}" for outcome, instrument in pairs)


def by_role(scene: Scene, roles: tuple[str, ...]) -> Mapping[str, Floats]:
    """Return several number roles by name."""
    return {role: scene.numbers(role) for role in roles}
