"""What tells the rows of one study apart in words: outcomes, times, strata, arms, or a column of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback import numbers
from metaback.data.roles import ROLES
from metaback.effects.effect_sizes import EffectSizes
from metaback.postestimation.words import sentence_case

Codes = NDArray[np.intp]
TELLING = ("outcome", "instrument", "weeks", "stratum")  # columns that tell effects of a study apart, in this order
ARMS = (("arm_1", "treatment_1"), ("arm_2", "treatment_2"))
IDENTITY = frozenset({"text", "label"})
_BLANK = frozenset({"", "nan", "none", "<na>", "nat"})


def row_names(effects: EffectSizes, group: Codes, *, own: bool = False) -> tuple[str, ...]:
    """Return what tells each row from the others of its group: "" for a row that is alone.

    Of each group those of outcome, instrument, weeks, stratum and arms that differ within it; where these do not tell
    all its rows apart, a column of the table that does so in every such group, and failing that the row of the table.
    own: whether labels of rows are names of their own, which then come first.
    """
    members = [np.flatnonzero(group == number).tolist() for number in np.flatnonzero(np.bincount(group) > 1)]
    names = [""] * len(effects.labels)
    alike: list[list[int]] = []
    for rows in members:
        parts = zip(*_parts(effects, rows, own=own), strict=True)
        told = [sentence_case(", ".join(filter(None, part))) for part in parts]
        for row, name in zip(rows, told or [""] * len(rows), strict=True):
            names[row] = name
        alike += [rows] if _same(names, rows) else []
    column = _identity(effects, alike) if alike else None
    for rows in alike:
        same = Counter(names[row] for row in rows)
        for row in rows:
            if same[names[row]] > 1 or not names[row]:
                more = effects.rows[row] if column is None else _identified(effects, column, row)
                names[row] = f"{names[row]}, {more}" if names[row] else more
    return tuple(names)


def _same(names: Sequence[str], rows: Sequence[int]) -> bool:
    """Tell whether names do not tell rows apart."""
    return len({names[row] for row in rows}) < len(rows) or not all(names[row] for row in rows)


def _parts(effects: EffectSizes, rows: Sequence[int], *, own: bool) -> list[list[str]]:
    """Return the texts of every column that tells rows of a study apart, a list for each column."""
    parts = [[named("study", effects.labels[row]) for row in rows]] if own else []
    for column in TELLING:
        cells = _cells(effects, column, rows)
        if column == "weeks":
            cells = [f"{cell} week{'' if cell == '1' else 's'}" if cell else "" for cell in cells]
        parts.append([numbers.humanise(cell) for cell in cells])
    sides = [_arm(effects, pair, rows) for pair in ARMS]
    words = [[numbers.humanise(cell) for cell in cells] for cells in sides]
    if all(words):
        parts.append([" vs ".join(filter(None, pair)) for pair in zip(*words, strict=True)])
    else:
        parts += [side for side in words if side]
    return [part for part in parts if _differ(part)]


def _arm(effects: EffectSizes, columns: tuple[str, ...], rows: Sequence[int]) -> list[str]:
    """Return what tells the arms of one side apart: their labels, else their treatments, else nothing."""
    for column in columns:
        cells = _cells(effects, column, rows)
        if _differ(cells):
            return cells
    return []


def _differ(cells: Sequence[str]) -> bool:
    """Tell whether texts are not all the same."""
    return len(set(cells)) > 1


def _cells(effects: EffectSizes, column: str, rows: Iterable[int]) -> list[str]:
    """Return cells as texts, "" where blank or where the table lacks the column."""
    values: Any = effects.moderators.get(column)
    if values is None:
        return ["" for _ in rows]
    return [_text(values[row]) for row in rows]


def _text(value: Any) -> str:
    """Write a cell: whole numbers without decimals, single spaces."""
    if isinstance(value, float):
        return "" if np.isnan(value) else numbers.as_given(value)
    text = " ".join(str(value).split())
    return "" if text.lower() in _BLANK else text


def _identity(effects: EffectSizes, alike: Sequence[Sequence[int]]) -> str | None:
    """Return the first column of the table that names every row of some groups, by texts or whole numbers.

    Columns of numbers that the table was read by (events, people, means) name no row, whatever they are called.
    """
    numbered = [name for name in effects.moderators if name in ROLES and ROLES[name].kind not in IDENTITY]
    read_as = [[_cells(effects, name, rows) for rows in alike] for name in numbered if name not in TELLING]
    for column in effects.moderators:
        role = ROLES.get(column)
        if column.lower().startswith("rob_") or column in TELLING or (role and role.kind not in IDENTITY):
            continue
        cells = [_cells(effects, column, rows) for rows in alike]
        read = [numbers.parse_number(cell) for part in cells for cell in part]
        whole = all(value is None or value.is_integer() for value in read)
        if whole and cells not in read_as and all(all(part) and len(set(part)) == len(part) for part in cells):
            return column
    return None


def _identified(effects: EffectSizes, column: str, row: int) -> str:
    """Write the cell that names a row; a number with the name of its column."""
    (cell,) = _cells(effects, column, [row])
    return named(column, cell)


def named(column: str, cell: str) -> str:
    """Return a name; where it is only a number with that of its column before it.

    >>> named("school_district", "11"), named("study", "Aasa 2015")
    ('School district 11', 'Aasa 2015')
    """
    return cell if numbers.parse_number(cell) is None else f"{sentence_case(numbers.humanise(column))} {cell}"
