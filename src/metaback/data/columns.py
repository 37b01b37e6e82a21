"""Whole columns of cells: plain ones at once, the others cell by cell, with every guess told."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.data import cells as cell_reader
from metaback.data.cells import MISSING, Mark
from metaback.data.roles import ROLES, Role
from metaback.data.several import several
from metaback.errors import Problem
from metaback.numbers import parse_local

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Cells = Sequence[object]
TRUE, FALSE = frozenset({"true", "yes", "1", "1.0", "t", "y"}), frozenset({"false", "no", "0", "0.0", "f", "n"})
PERCENTAGES = re.compile(r"percent(?:_[12])?")  # roles that are percentages by name: 15% is 15
COUNTS = re.compile(r"events(?:_[12])?")  # counts whose cells may hold a percentage or the size of their group
PERCENT_ROLES = frozenset({"r2", "auc", "p", "alpha", "ci_level"})  # shares by nature: 15% is 0.15
LARGE = re.compile(r"(?:n|events|nonevents|time|mean|sd|pairs)(?:_.*)?")  # roles whose numbers may reach thousands
CODES = (-99.0, -999.0, -9999.0, 999.0, 9999.0, 99999.0)  # what people and programs write for "missing"
CODE_FACTOR = 5.0  # a code that is this many times beyond every other number of its column is suspicious
BIGGEST_COUNT = 2.0**53
NOT_A_NUMBER = "is not a number"
UNCHECKED = "the count was read; its percentage could not be checked without the size of the group"
_PLAIN = frozenset("0123456789.+-eE\n")
_SHOWS_POINT = re.compile(r"^[+-]?(?:0*|[0-9]{4,})\.|\.[0-9]{0,2}(?:[eE]|$)|\.[0-9]{4,}", re.MULTILINE)
_UNDECIDED = re.compile(r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{3}$", re.MULTILINE)


class BadCell(str):
    """A workbook's cell that is no text and no number (a date, an error, an empty formula), with what is wrong."""

    __slots__ = ("fix", "rule")
    rule: str
    fix: str

    def __new__(cls, text: str, rule: str, fix: str) -> Self:
        """Keep the text that is shown with the rule that it breaks in a column with a role."""
        made = super().__new__(cls, text)
        made.rule, made.fix = rule, fix
        return made


class PercentCell(float):
    """A number that a workbook shows as a percentage: 0.15 shown as 15%."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        """Return what a spreadsheet program shows, without rounding."""
        return f"{float(self) * 100:.12g}%"


@dataclass(frozen=True, slots=True)
class Habits:
    """How a table writes its numbers, as far as the reader was told: codes for missing, decimal mark, delimiter."""

    missing: tuple[object, ...] | None = None
    decimal: str | None = None
    delimiter: str = ""

    def is_word(self, text: str) -> bool:
        """Tell whether a text stands for a missing value."""
        return text.lower() in MISSING or any(text == str(code).strip() for code in self.missing or ())


@dataclass(slots=True)
class Guesses:
    """What was guessed in which column: the first cell of each kind and how many there were."""

    told: dict[tuple[str, str], list[Any]] = field(default_factory=dict[tuple[str, str], list[Any]])

    def add(self, column: str, sentence: str, text: str, row: str) -> None:
        """Count one guess."""
        entry = self.told.setdefault((column, sentence), [text, row, 0])
        entry[2] += 1

    def notes(self) -> tuple[str, ...]:
        """Word the guesses, one sentence per column and kind; columns of one kind are told together."""
        kinds: dict[str, dict[str, list[Any]]] = {}
        for (column, sentence), entry in self.told.items():
            kinds.setdefault(sentence, {})[column] = entry
        return tuple(_guess(sentence, columns) for sentence, columns in kinds.items())


def _guess(sentence: str, columns: Mapping[str, list[Any]]) -> str:
    """Word one kind of guess with its first cell and how many more there were in all of its columns."""
    text, row, _ = next(iter(columns.values()))
    count = sum(entry[2] for entry in columns.values())
    names = ", ".join(f"'{column}'" for column in columns)
    return (
        f"column{'s' if len(columns) > 1 else ''} {names}: {sentence} "
        f"({text!r} in {row}{f' and {count - 1} more' if count > 1 else ''})"
    )


@dataclass(slots=True)
class ReadColumns:
    """The columns that were read: values by role (`plain`: texts as they stand), what is wrong, what was guessed."""

    rows: Sequence[str]
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    problems: list[Problem] = field(default_factory=list[Problem])
    guesses: Guesses = field(default_factory=Guesses)
    shares: list[tuple[str, int, float, int, str]] = field(default_factory=list[tuple[str, int, float, int, str]])
    sizes: list[tuple[str, int, float, str]] = field(default_factory=list[tuple[str, int, float, str]])
    owned: list[tuple[str, int, str, float, str]] = field(default_factory=list[tuple[str, int, str, float, str]])
    plain: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    cells: dict[str, pd.Series[Any]] = field(default_factory=dict[str, "pd.Series[Any]"])

    def beside(self, role: str) -> Floats:
        """Return the values of a role that comes out of another role's cells."""
        if role not in self.values:
            self.values[role] = np.full(len(self.rows), np.nan)
        return self.values[role]


def read_columns(frame: pd.DataFrame, known: Mapping[str, str], rows: Sequence[str], habits: Habits) -> ReadColumns:
    """Turn the columns that play a role into the values of that role."""
    done = ReadColumns(rows, cells={column: frame[column] for column in known.values()})
    waiting: dict[str, list[object]] = {}
    seen: dict[str, Mark] = {}
    for role, column in known.items():
        if ROLES[role].kind != "number":
            done.values[role] = _words(ROLES[role], column, done.cells[column], done)
            continue
        plain, seen[role] = _at_once(done.cells[column])
        if plain is None:
            waiting[role] = done.cells[column].tolist()
            seen[role] = _mark(waiting[role], habits)
        else:
            done.values[role] = plain
    whole = _whole_file(seen.values())
    for role, cells in waiting.items():
        reader = _Reader(ROLES[role], known[role], habits, habits.decimal or seen[role] or whole, known, done)
        done.values[role] = reader.read(cells)
    _take_owned(done, known)
    if "ci_limits" in known:
        _take_limits(done, known, habits, whole)
    for role, column in known.items():
        if ROLES[role].kind == "number":
            _keep_rules(ROLES[role], column, done.cells[column], done, habits)
    _take_sizes(done, known)
    _check_shares(done, known)
    return done


def _mark(cells: Cells, habits: Habits) -> Mark:
    """Find the decimal mark of a column's texts."""
    texts = (cell for cell in cells if isinstance(cell, str))
    return cell_reader.decide_mark(cell_reader.mark_of(text) for text in texts if not habits.is_word(text.strip()))


def _whole_file(marks: Iterable[Mark]) -> Mark:
    """Return the decimal mark on which all columns that show one agree."""
    found = set(marks) - {""}
    return found.pop() if len(found) == 1 else ""


def _at_once(column: pd.Series[Any]) -> tuple[Floats | None, Mark]:
    """Read a column of nothing but plain numbers and blanks at once; None where it needs a closer look."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        return column.to_numpy(dtype=float, copy=True), ""
    cells = column.tolist()
    if set(map(type, cells)) - {str}:
        return None, ""
    joined = "\n".join(cells)
    if not _PLAIN.issuperset(joined):
        return None, ""
    shows = bool(_SHOWS_POINT.search(joined))
    if not shows and _UNDECIDED.search(joined):
        return None, ""
    try:
        values = np.array([float(cell) if cell else math.nan for cell in cells], dtype=float)
    except ValueError:
        return None, ""
    return (None if np.isinf(values).any() else values), ("." if shows else "")


@dataclass(slots=True)
class _Reader:
    """Reads one number column cell by cell."""

    role: Role
    column: str
    habits: Habits
    decided: str
    known: Mapping[str, str]
    done: ReadColumns

    @property
    def decimal(self) -> str:
        """Return the decimal mark to read with."""
        return self.decided or "."

    def read(self, cells: Cells) -> Floats:
        """Return the numbers, nan where blank."""
        values = np.full(len(cells), np.nan)
        for i, cell in enumerate(cells):
            if isinstance(cell, str):
                values[i] = self._text(i, cell)
            elif isinstance(cell, PercentCell):
                values[i] = self._shown(i, cell)
            elif isinstance(cell, numbers.Real) and not isinstance(cell, (bool, np.bool_)):
                values[i] = as_float(cell)
            elif not is_blank(cell):
                values[i] = self._text(i, str(cell))
        return values

    def _shown(self, i: int, cell: PercentCell) -> float:
        """Read a number that a workbook shows as a percentage: as 15 where the role is one, as 0.15 elsewhere."""
        if PERCENTAGES.fullmatch(self.role.name):
            return round(float(cell) * 100, 10)
        self._tell(
            i, f"shown as a percentage in the workbook and read as the number that is stored, {cell:g}", cell.shown
        )
        return float(cell)

    def _text(self, i: int, cell: str) -> float:
        """Read one text cell; nan where it is blank, or refused with a problem."""
        text = cell.strip()
        if isinstance(cell, BadCell):
            self._refuse(i, cell, cell.rule, cell.fix)
            return math.nan
        bare = text.rstrip(cell_reader.FOOTNOTES).strip() or text
        if self.habits.is_word(bare):
            if text:
                self._tell(i, "read as missing", text)
            return math.nan
        if len(text) > cell_reader.LONGEST:
            self._refuse(i, f"{text[:40]}...", NOT_A_NUMBER, cell_reader.PLAIN_CURE)
            return math.nan
        unclear = self._unclear(text)
        if unclear:
            self._refuse(i, cell, *unclear)
            return math.nan
        found = self._number(text)
        value = self._one(i, text, found) if found else self._several(i, text)
        if value is None:
            self._refuse(i, cell, NOT_A_NUMBER, cell_reader.cure(text, self.decimal))
            return math.nan
        if "," in text and self.decimal == ",":
            self._tell(i, "',' was read as decimal mark", text)
        return value

    def _number(self, text: str) -> cell_reader.Number | None:
        """Read one number; thousands marks only where a role reaches thousands, or the decimal mark was declared."""
        found = cell_reader.read_number(text, self.decimal)
        small = not (self.habits.decimal or LARGE.fullmatch(self.role.name))
        return None if small and cell_reader.thousands_mark(text, self.decimal) else found

    def _unclear(self, text: str) -> tuple[str, str] | None:
        """Say why `1.020` may be two numbers, or None where it is clear which one it is."""
        mark = cell_reader.mark_of(text)
        if self.habits.decimal or not mark.startswith("?"):
            return None
        own, whole = mark[1], self.role.rule in {"count", "sample size"}
        if self.decided == own:
            return None
        if self.decided and (LARGE.fullmatch(self.role.name)):
            return None  # the other mark is the decimal one, so this one parts thousands
        if not self.decided and own == "," and whole:
            return None
        if not self.decided and own == "." and self.habits.delimiter == "," and not whole:
            return None  # who writes decimals with a comma does not part cells with it
        token = re.sub(r"[^0-9.,].*", "", text.lstrip("+-\u2212\u2013 "))
        one, two = token.replace(own, ""), token.replace(own, ".")
        return (
            f"could be {one} or {two}: the '{own}' may part thousands or decimals",
            f"Write {one} or {two} without thousands marks, or say decimal='.' or decimal=','",
        )

    def _one(self, i: int, text: str, found: cell_reader.Number) -> float:
        """Take a cell that holds one number, and tell what was passed over."""
        if found.how == "thousands":
            mark = cell_reader.thousands_mark(text, self.decimal)
            self._tell(i, f"{'a space' if mark == ' ' else repr(mark)} was read as thousands mark", text)
        elif found.how == "footnote":
            self._tell(i, "a footnote mark was passed over", text)
        return found.value

    def _several(self, i: int, text: str) -> float | None:
        """Take a cell that holds more than one number, where its role says what the others are."""
        name = self.role.name
        bare = text.rstrip(cell_reader.FOOTNOTES).rstrip()
        if name == "p" or name.startswith("p_change"):
            return self._percent(i, bare) if bare.endswith("%") else self._bound(i, bare)
        if name in PERCENT_ROLES:
            return self._percent(i, bare)
        if PERCENTAGES.fullmatch(name):
            value = cell_reader.percentage(bare, self.decimal)
            return None if value is None else value * 100
        if COUNTS.fullmatch(name):
            found = self._of(i, bare)
            return self._share(i, bare) if found is None else found
        return self._beside(i, bare)

    def _beside(self, i: int, text: str) -> float | None:
        """Take a cell with numbers of other roles; those with columns of their own are compared with these later."""
        found = several(self.role.name, self.column, text, self.decimal)
        if found is None:
            return None
        if found.rule:
            self._refuse(i, text, found.rule, found.fix)
            return math.nan
        for role, value in found.beside.items():
            if role in self.known:
                self.done.owned.append((self.column, i, role, value, text))
            else:
                self.done.beside(role)[i] = value
        self._tell(i, found.told, text)
        return found.value

    def _of(self, i: int, text: str) -> float | None:
        """Take `12/20`: a count and the size of its group, which is kept or compared with its own column later."""
        found = cell_reader.split_of(text)
        if found is None:
            return None
        count, size, share, digits = found
        self.done.sizes.append((self.role.name, i, size, text))
        if share is not None:
            self.done.shares.append((self.role.name, i, share, digits, text))
        return count

    def _percent(self, i: int, text: str) -> float | None:
        value = cell_reader.percentage(text, self.decimal)
        if value is not None:
            self._tell(i, "a percentage was read as a share", text)
        return value

    def _bound(self, i: int, text: str) -> float | None:
        found = cell_reader.split_bound(text, self.decimal)
        if found is None:
            return None
        sign, value = found
        if sign == "=":
            return value
        kept = f"{self.role.name}_bound"
        bounds = self.done.values.setdefault(kept, [""] * len(self.done.rows))
        bounds[i] = f"{sign}{value:g}"
        self._tell(i, f"a bound is no number; it is kept as text in column '{kept}'", text)
        return math.nan

    def _share(self, i: int, text: str) -> float | None:
        found = cell_reader.split_share(text, self.decimal)
        if found is None:
            return None
        count, share, digits = found
        self.done.shares.append((self.role.name, i, share, digits, text))
        return count.value

    def _tell(self, i: int, sentence: str, text: str) -> None:
        self.done.guesses.add(self.column, sentence, text, self.done.rows[i])

    def _refuse(self, i: int, text: str, rule: str, fix: str) -> None:
        self.done.problems.append(Problem(rule, fix, self.column, self.done.rows[i], str(text)))


def _keep_rules(role: Role, column: str, cells: pd.Series[Any], done: ReadColumns, habits: Habits) -> None:
    """Check the numbers of a column against the rule of its role, and for codes that may mean missing."""
    values: Floats = done.values[role.name]
    if habits.missing:
        for i in np.flatnonzero(np.isin(values, [_code(code) for code in habits.missing])):
            done.guesses.add(column, "read as missing, as declared", str(cells.iloc[int(i)]), done.rows[int(i)])
            values[i] = math.nan
    suspicious = codes_of_missing(values) if habits.missing is None else np.zeros(len(values), dtype=bool)
    bad = np.isinf(values) | suspicious | _breaks(role, values)
    for i in (int(j) for j in np.flatnonzero(bad)):
        code = f"Say missing=[{values[i]:g}] if it is one, or missing=[] if it is a number"
        wrong = None if suspicious[i] else broken(role, float(values[i]))
        rule, fix = wrong or ("looks like a code for a missing value", code)
        done.problems.append(Problem(rule, fix, column, done.rows[i], str(cells.iloc[i])))
        values[i] = math.nan


def _code(code: object) -> float:
    """Return a declared code as a number, nan where it is a word."""
    found = parse_local(str(code), ".")
    return found[0] if found else math.nan


def codes_of_missing(values: Floats) -> Bools:
    """Find numbers that look like codes for missing values: far beyond every other number of the column.

    >>> codes_of_missing(np.array([4.0, 8.0, -999.0]))
    array([False, False,  True])
    """
    large = np.abs(values) >= abs(CODES[0])  # the smallest of them
    coded = np.isin(values, CODES) if large.any() else large
    if not coded.any():
        return coded
    others = np.abs(values[~coded & np.isfinite(values)])
    if not len(others):
        return coded & (values < 0)
    return coded & (np.abs(values) / CODE_FACTOR > others.max())


def _breaks(role: Role, values: Floats) -> Bools:
    """Find the numbers that break the rule of their role; nan breaks none."""
    if role.rule == "not negative":
        return values < 0
    if role.rule == "positive":
        return values <= 0
    if role.rule in {"probability", "percent"}:
        return (values < 0) | (values > (1 if role.rule == "probability" else 100))
    if role.rule in {"count", "sample size"}:
        least = 0 if role.rule == "count" else 1
        with np.errstate(invalid="ignore"):
            return (values < least) | (np.abs(values) > BIGGEST_COUNT) | (values % 1 > 0)
    return np.zeros(len(values), dtype=bool)


def broken(role: Role, number: float) -> tuple[str, str] | None:
    """Return the rule that a number breaks and the fix, or None."""
    if not math.isfinite(number):
        return NOT_A_NUMBER, cell_reader.PLAIN_CURE
    return next(((rule, fix) for fails, rule, fix in _BROKEN.get(role.rule, ()) if fails(number)), None)


_Check = tuple[Callable[[float], bool], str, str]
_TOO_LARGE: _Check = (lambda x: abs(x) > BIGGEST_COUNT, "is too large to be a number of people", "Check the cell")
_BROKEN: Mapping[str, tuple[_Check, ...]] = {
    "not negative": ((lambda x: x < 0, "must not be negative", "Check the sign and the column"),),
    "positive": ((lambda x: x <= 0, "must be above 0", "Leave it blank if it was not reported"),),
    "probability": ((lambda x: not 0 <= x <= 1, "must be between 0 and 1", "Check the cell and its column"),),
    "percent": (
        (
            lambda x: not 0 <= x <= 100,
            "must be between 0 and 100",
            "Give a percentage; counts belong into a column of events",
        ),
    ),
    "count": (
        _TOO_LARGE,
        (
            lambda x: x < 0 or x != int(x),
            "must be a whole number of people, 0 or more",
            "Give a count, not a percentage",
        ),
    ),
    "sample size": (
        _TOO_LARGE,
        (
            lambda x: x < 1 or x != int(x),
            "must be a whole number of people, 1 or more",
            "Give the number analysed, or leave it blank",
        ),
    ),
}


def _take_owned(done: ReadColumns, known: Mapping[str, str]) -> None:
    """Keep the numbers beside another one whose own cell is blank; refuse them where it holds another number."""
    for column, i, role, value, text in done.owned:
        own, row = done.beside(role), done.rows[i]
        if math.isnan(own[i]):
            own[i] = value
        elif own[i] != value:
            rule = f"'{role}' is {own[i]:g} in column '{known[role]}'"
            done.problems.append(Problem(rule, "Correct the one that is wrong", column, row, text))


def _take_limits(done: ReadColumns, known: Mapping[str, str], habits: Habits, whole: str) -> None:
    """Take the limits of a column headed `95% CI`, unless they have columns of their own that say otherwise."""
    column, cells = known["ci_limits"], done.values["ci_limits"]
    mark = habits.decimal or _mark(cells, habits) or whole or "."
    ends = ("ci_low", "ci_high")
    for i, text in enumerate(cells):
        if habits.is_word(text):
            continue
        found = cell_reader.split_limits(text.rstrip(cell_reader.FOOTNOTES), mark)
        if found is None:
            fix = "Write both limits, e.g. 0.2 to 0.8, or give each its own column ('ci_low', 'ci_high')"
            done.problems.append(Problem("is not an interval", fix, column, done.rows[i], text))
            continue
        done.owned += [(column, i, role, value, text) for role, value in zip(ends, found, strict=True)]
        done.guesses.add(column, "read as the limits of the 95% interval of the effect", text, done.rows[i])
    done.owned = [entry for entry in done.owned if entry[0] == column]
    _take_owned(done, {role: known.get(role, role) for role in ends})


def _take_sizes(done: ReadColumns, known: Mapping[str, str]) -> None:
    """Keep the sizes that stood in cells such as `12/20`; refuse them where the size's own column says otherwise."""
    for role, i, size, text in done.sizes:
        stem = role.removeprefix("events")
        column, row = known[role], done.rows[i]
        own = done.beside(f"n{stem}")
        if size < 1:
            done.problems.append(Problem("a group has 1 person or more", "Check the cell", column, row, text))
        elif math.isnan(own[i]):
            own[i] = size
            done.guesses.add(column, f"read as events and the size of the group ('n{stem}') from one cell", text, row)
        elif own[i] == size:
            done.guesses.add(column, "the count was read, and the size beside it is that of its own column", text, row)
        else:
            rule = f"the size of the group is {own[i]:g} in column '{known.get(f'n{stem}', f'n{stem}')}'"
            done.problems.append(Problem(rule, "Correct the one that is wrong", column, row, text))


def _check_shares(done: ReadColumns, known: Mapping[str, str]) -> None:
    """Check the percentages that stood beside counts against the sizes of their groups."""
    for role, i, share, digits, text in done.shares:
        events, size = done.values[role][i], _size(done, role, i)
        column, row = known[role], done.rows[i]
        if math.isnan(events):
            continue  # refused for another reason
        if math.isnan(size) and "%" not in text:
            rule = f"{share:g} could be a percentage or the size of the group"
            done.problems.append(
                Problem(rule, "Give the count alone, and the size in its own column", column, row, text)
            )
        elif math.isnan(size):
            done.guesses.add(column, UNCHECKED, text, row)
        elif abs(100 * events / size - share) < 10.0**-digits:  # rounded or cut off
            done.guesses.add(column, "the count was read, and its percentage fits the size of the group", text, row)
        else:
            rule = f"the percentage does not fit: {events:g} of {size:g} are {100 * events / size:.{digits + 1}f}%"
            done.problems.append(Problem(rule, "Correct the count, the percentage or the size", column, row, text))


def _size(done: ReadColumns, role: str, i: int) -> float:
    """Return the size of the group that a count belongs to, nan where it is not known."""
    stem = role.removeprefix("events")
    n = done.values.get(f"n{stem}")
    if n is not None:
        return float(n[i])
    rest = done.values.get(f"nonevents{stem}")
    return math.nan if rest is None else float(done.values[role][i] + rest[i])


def _words(role: Role, column: str, cells: pd.Series[Any], done: ReadColumns) -> list[Any]:
    """Read a column of labels, texts or yes-or-no answers."""
    listed = cells.tolist()
    if role.kind != "boolean" and set(map(type, listed)) == {str}:
        values: list[Any] = listed if all(cell == cell.strip() for cell in set(listed)) else [c.strip() for c in listed]
        if values is listed:
            done.plain[role.name] = values
        if role.kind != "label" or "" not in values:
            return values
    else:
        convert: Callable[[object], object] = _flag if role.kind == "boolean" else text_of
        values = [convert(cell) for cell in listed]
    for i, (value, cell) in enumerate(zip(values, listed, strict=True)):
        problem = _wrong_word(role, value, cell)
        if problem:
            done.problems.append(Problem(*problem, column, done.rows[i], "" if value == "" else str(cell)))
            values[i] = None if role.kind == "boolean" else value
    return values


_BAD = object()


def _wrong_word(role: Role, value: object, cell: object) -> tuple[str, str] | None:
    """Say what is wrong with a word, or None."""
    if isinstance(cell, BadCell):
        return cell.rule, cell.fix
    if value is _BAD:
        return "must be true or false", "Write true, false, yes, no, 1 or 0, or leave it blank"
    if role.kind == "label" and value == "":
        return "a study needs a label", "Name the study in this row"
    return None


def is_blank(cell: object) -> bool:
    """Tell whether a cell of any type is empty."""
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell))


def text_of(cell: object) -> str:
    """Read a label as it stands; only an empty cell is empty ("NA" is a label)."""
    return "" if is_blank(cell) else str(cell).strip()


def _flag(cell: object) -> object:
    """Read a yes-or-no cell; None where blank."""
    word = text_of(cell).lower()
    if word in MISSING:
        return None
    return True if word in TRUE else False if word in FALSE else _BAD


def as_float(number: numbers.Real) -> float:
    """Return a number as a float, infinity where it is too large to be one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf
