"""What a printed number stands for: the interval of all numbers that would have been printed so."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.checks.scene import Floats, Scene
from metaback.stats.same_arms import decimals

Digits = NDArray[np.intp]
ARM = re.compile(r"_[12]$")


@dataclass(frozen=True, slots=True)
class Ends:
    """The interval of each printed number, (k,), nan where a cell is blank."""

    low: Floats
    high: Floats


def rounded(values: Floats, digits: Digits | int, *, at_least: float = -np.inf) -> Ends:
    """Return the ends of the numbers that are printed so with a number of decimals: value -+ 10^-digits / 2.

    Both ends belong to the interval, because halves are rounded up by some programs and to even digits by others.
    at_least: what no number of the kind can fall below, as 0 for a standard deviation.

    >>> ends = rounded(np.array([0.6, 12.0]), np.array([1, 0]))
    >>> ends.low.round(12).tolist(), ends.high.round(12).tolist()
    ([0.55, 11.5], [0.65, 12.5])
    """
    half = 0.5 * 10.0 ** -np.asarray(digits, dtype=float)
    return Ends(np.maximum(values - half, at_least), values + half)


def shared_decimals(scene: Scene, *roles: str) -> Digits:
    """Return with how many decimals numbers of some roles are printed, (k,): the most of a study and unit.

    A trailing zero does not survive in a table: 12.0 is read as 12. So the largest number of decimals counts among the
    cells of these roles in all rows of the same study, outcome and instrument; where a study has one number only, its
    own decimals count, which makes its interval too wide rather than too narrow.
    """
    return _shared(_codes(scene), [scene.numbers(role) for role in roles])


def printed(scene: Scene, *roles: str) -> Mapping[str, Ends]:
    """Return for each role the interval that its printed numbers stand for.

    Roles that differ by their arm only (`sd_1`, `sd_2`) are printed with the same decimals; numbers of people and
    counts are exact.
    """
    codes = _codes(scene)
    families: dict[str, list[str]] = {}
    for role in roles:
        families.setdefault(ARM.sub("", role), []).append(role)
    found: dict[str, Ends] = {}
    for stem, members in families.items():
        columns = {role: scene.numbers(role) for role in members}
        if stem in {"n", "events", "nonevents"}:
            found |= {role: Ends(values, values) for role, values in columns.items()}
            continue
        digits = _shared(codes, columns.values())
        least = 0.0 if stem.startswith(("sd", "se", "vi", "f_", "p")) else -np.inf
        found |= {role: rounded(values, digits, at_least=least) for role, values in columns.items()}
    return found


def _shared(codes: Digits, columns: Iterable[Floats]) -> Digits:
    """Return the most decimals of several columns among the rows of one code, (k,)."""
    most = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.intp)
    for values in columns:
        np.maximum.at(most, codes, decimals(values))
    return most[codes]


def _codes(scene: Scene) -> Digits:
    """Return a number per row for its study, outcome and instrument, (k,)."""
    seen: dict[Hashable, int] = {}
    keys = zip(scene.texts("study"), scene.texts("outcome"), scene.texts("instrument"), strict=True)
    return np.fromiter((seen.setdefault(key, len(seen)) for key in keys), dtype=np.intp, count=scene.k)
