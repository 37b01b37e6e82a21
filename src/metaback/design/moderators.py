"""Columns of the table as moderators: numbers or factors, each cell checked, nothing guessed in silence."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.data.cells import MISSING
from metaback.errors import Problem
from metaback.numbers import parse_number

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_FLAGS = {"true": 1.0, "false": 0.0}
NOTHING = ("<NA>", "NaT", "nan")  # how pandas and numpy write a cell that is missing
INFINITE = ("inf", "-inf", "infinity", "-infinity")
SHOWN = 5  # cells of one column that an error lists

_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T][0-9:.]+)?|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{4}")
_LIKE_A_NUMBER = re.compile(r"[<>~≈=≤≥]*\s*[-+\u2212]?[0-9][0-9.,'\s]*%?")


@dataclass(frozen=True, slots=True)
class Moderator:
    """One column as a formula uses it: `numbers` (nan where blank), or texts ("" where blank) of a factor.

    levels: of a factor, sorted (numbers by size), those of the rows in use; empty for numbers.
    """

    name: str
    numbers: Floats | None
    texts: tuple[str, ...]
    levels: tuple[str, ...] = ()

    @property
    def missing(self) -> Bools:
        """Tell which rows have no value."""
        if self.numbers is not None:
            return ~np.isfinite(self.numbers)
        return np.array([not text for text in self.texts], dtype=bool)


def cell_text(value: Any) -> str:
    """Write a cell as a label: whole numbers without a point, "" for what is missing."""
    if value is None:
        return ""
    if type(value) is str:
        text = value.strip()
        return "" if text in NOTHING else text
    plain: Any = value.item() if hasattr(value, "item") else value  # a number of numpy as one of Python
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, int | float):
        return "" if math.isnan(plain) else f"{float(plain):.12g}"
    text = str(plain).strip()
    return "" if text in NOTHING else text


def moderator(
    name: str, values: NDArray[Any], rows: Sequence[str], *, factor: bool
) -> tuple[Moderator, tuple[Problem, ...]]:
    """Read one column, (k,) of any type, as numbers or as a factor, with the problems of its cells.

    A column whose cells are all plain numbers is numeric; one of words is a factor; `factor` (the column stands in
    `C()`) makes a factor of both. A column that mixes numbers, or what looks like them ("1,5", "<3", "20%"), with
    other text is a problem: as a factor it would silently get one coefficient per spelling. Words for nothing ("NA",
    "n/a", "NR") among numbers are blanks, whose rows are listed like all others without a value. True and false are 1
    and 0. Dates are a problem outside `C()`: one coefficient for each is never meant.

    >>> column, problems = moderator("weeks", np.array(["8", "", "12"], dtype=object), ("2", "3", "4"), factor=False)
    >>> column.numbers
    array([ 8., nan, 12.])
    """
    texts = tuple(cell_text(value) for value in values)
    if factor:
        return Moderator(name, None, texts), ()
    if dates := _dates(name, values, texts):
        return Moderator(name, None, texts), dates
    if all(isinstance(value, bool | np.bool_) for value, text in zip(values, texts, strict=True) if text) and any(
        texts
    ):
        return Moderator(name, np.array([_FLAGS.get(text, math.nan) for text in texts]), texts), ()
    parsed = [parse_number(text) if text else math.nan for text in texts]
    if any(number is not None and math.isfinite(number) for number in parsed):  # words for nothing among numbers
        parsed = [math.nan if text.lower() in MISSING else n for text, n in zip(texts, parsed, strict=True)]
    if all(number is not None for number in parsed) and any(texts):
        cells = zip(values, parsed, strict=True)  # a number stays itself; its text has 12 digits
        exact = [float(v) if isinstance(v, Real) else math.nan if n is None else n for v, n in cells]
        return Moderator(name, np.array(exact), texts), ()
    odd = _odd_cells(name, texts, parsed, rows)
    return Moderator(name, None, texts), odd


def _dates(name: str, values: NDArray[Any], texts: tuple[str, ...]) -> tuple[Problem, ...]:
    """Return the problem of a column of dates, periods or durations."""
    timed = values.dtype.kind in "mM" or any(
        hasattr(value, "strftime") or hasattr(value, "resolution") for value in values
    )
    known = [text for text in texts if text]
    if not timed and not (known and all(_DATE.fullmatch(text) for text in known)):
        return ()
    fix = "Add a column of numbers, e.g. the year or the days since a start, and name that"
    return (Problem("holds dates, of which a formula can take none", fix, name, value=known[0] if known else None),)


def _odd_cells(
    name: str, texts: tuple[str, ...], parsed: list[float | None], rows: Sequence[str]
) -> tuple[Problem, ...]:
    """List the cells that keep a column from being numbers, where some of it is or looks like numbers."""
    plain = [bool(text) and number is not None for text, number in zip(texts, parsed, strict=True)]
    like = [bool(text) and bool(_LIKE_A_NUMBER.fullmatch(text)) for text in texts]
    if not any(plain) and not any(like):
        return ()
    odd = [i for i, text in enumerate(texts) if text and not plain[i]]
    fix = f"Write plain numbers with a decimal point, leave the cell blank, or use C({name}) to have a level of each"
    rule = "is text in a column of numbers" if any(plain) else "looks like a number and is none"
    return tuple(
        Problem("is not a finite number" if texts[i].lower() in INFINITE else rule, fix, name, rows[i], texts[i])
        for i in odd[:SHOWN]
    )


def levels_of(texts: Sequence[str], order: Sequence[Any] = ()) -> tuple[str, ...]:
    """Return the distinct values of a factor: in the order given, else by size where all are numbers, else sorted.

    order: the values of a pandas category, empty where the column is none.

    >>> levels_of(["12", "8", "8"])
    ('8', '12')
    """
    known = sorted({text for text in texts if text})
    given = [cell_text(value) for value in order]
    if given:
        return tuple(sorted(known, key=given.index))
    numbers = {text: parse_number(text) for text in known}
    if all(number is not None for number in numbers.values()):
        return tuple(sorted(known, key=lambda text: numbers[text] or 0.0))
    return tuple(known)
