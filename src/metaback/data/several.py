"""Text cells that hold several numbers: what each of them is, by the role of the column and the words beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from metaback.data import cells
from metaback.data.roles import ROLES, normal_name

QUARTILES = frozenset({"iqr", "interquartile", "quartile", "quartiles", "q1", "q3", "p25", "p75"})
EXTREMES = frozenset({"range", "min", "max", "minimum", "maximum"})
ERRORS = frozenset({"se", "sem"})


@dataclass(frozen=True, slots=True)
class Several:
    """What a cell holds: its own number, the numbers of other roles, and how it was read.

    A refusal has no number: its rule and the cure stand in `rule` and `fix`.
    """

    value: float = float("nan")
    beside: Mapping[str, float] = field(default_factory=dict[str, float])
    told: str = ""
    rule: str = ""
    fix: str = ""


def several(role: str, column: str, text: str, decimal: str) -> Several | None:
    """Read a cell of several numbers; None where the role says nothing about more than one.

    >>> several("median_1", "Median (IQR)", "12 (8-15)", ".").beside
    {'q1_1': 8.0, 'q3_1': 15.0}
    >>> several("mean_1", "mean", "5.2 (1.1)", ".").beside
    {'sd_1': 1.1}
    """
    stem, arm = (role[:-2], role[-2:]) if role[-2:] in {"_1", "_2"} else (role, "")
    reader = _READERS.get(stem)
    found = reader(arm, column, text, decimal) if reader else None
    return found if found is not None and found.beside.keys() <= ROLES.keys() else None


def _says(column: str, words: frozenset[str]) -> bool:
    """Tell whether the name of a column has one of some words in it."""
    return bool(words & set(normal_name(column).split("_")))


def _effect(arm: str, column: str, text: str, decimal: str) -> Several | None:
    """Read `0.50 (0.20 to 0.80)`."""
    found = cells.split_interval(text, decimal)
    if found is None:
        return None
    told = "the effect and its 95% interval were read from one cell"
    return Several(found[0], {"ci_low": found[1], "ci_high": found[2]}, told)


def _mean(stem: str) -> Callable[[str, str, str, str], Several | None]:
    """Make the reader of `5.1 (2.0)` and, where the roles have it, `5.1 (4.2 to 6.0)`."""
    change = stem.removeprefix("mean")

    def read(arm: str, column: str, text: str, decimal: str) -> Several | None:
        spread = cells.split_spread(text, decimal)
        if spread is not None:
            point, size, word = spread
            error = word.lower() in ERRORS or (not word and _says(column, ERRORS))
            role = f"{'se' if error else 'sd'}{change}{arm}"
            if error and not arm:
                return None  # 'se' without an arm is the error of an effect
            named = bool(word) or _says(column, ERRORS | {"sd"})
            doubt = "" if named else "; check that it is not a standard error"
            return Several(
                point, {role: size}, f"read as mean and {'SE' if error else 'SD'} ('{role}') from one cell{doubt}"
            )
        interval = cells.split_interval(text, decimal)
        if interval is None:
            return None
        low, high = (
            (f"ci_low{change}{arm}", f"ci_high{change}{arm}") if change else (f"mean_ci_low{arm}", f"mean_ci_high{arm}")
        )
        told = "the mean and its 95% interval were read from one cell"
        return Several(interval[0], {low: interval[1], high: interval[2]}, told)

    return read


def _median(arm: str, column: str, text: str, decimal: str) -> Several | None:
    """Read `12 (8-15)`, `12 [IQR 8 to 15]`, `12 (IQR 7)` and `12 (range 2 to 30)`."""
    found = cells.split_median(text, decimal)
    if found is None:
        return None
    point, limits, words = found
    said = words or column  # the words of the cell are nearer than those of the column
    quartiles, extremes = _says(said, QUARTILES), _says(said, EXTREMES)
    if quartiles == extremes and not (quartiles and _says(said, frozenset({"interquartile", "iqr"}))):
        rule = "the numbers beside the median could be quartiles or the range"
        return Several(rule=rule, fix="Name the column 'Median (IQR)' or 'Median (range)', or give each its own column")
    if len(limits) == 1:
        name = f"iqr{arm}"
        if not quartiles:
            return None
        return Several(point, {name: limits[0]}, f"read as median and interquartile range ('{name}') from one cell")
    names = ("q1", "q3") if quartiles else ("min", "max")
    if not limits[0] <= point <= limits[1]:
        rule = f"the median lies outside of {limits[0]:g} to {limits[1]:g}"
        return Several(rule=rule, fix="Check the order of the numbers")
    one, two = (f"{name}{arm}" for name in names)
    return Several(point, {one: limits[0], two: limits[1]}, f"read as median, '{one}' and '{two}' from one cell")


_READERS: Mapping[str, Callable[[str, str, str, str], Several | None]] = {
    "effect": _effect,
    "median": _median,
    **{stem: _mean(stem) for stem in ("mean", "mean_pre", "mean_post", "mean_change")},
}
