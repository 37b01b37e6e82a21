"""The header of a table: where it stands, over one row or two, and what of the table is only empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaback.data.roles import recognise
from metaback.errors import Problem
from metaback.numbers import parse_local

SEARCHED = 10  # rows in which a header is looked for
TITLE_CELLS = 2  # a row above the header with more filled cells than this is no title

Cell = object
Record = Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, "" where there is none, the records it takes with all above, and what was guessed."""

    names: tuple[str, ...]
    records: int
    notes: tuple[str, ...] = ()

    @property
    def filled(self) -> int:
        """Count the names."""
        return sum(bool(name) for name in self.names)


def is_empty(cell: Cell) -> bool:
    """Tell whether a cell of a file holds nothing."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def looks_like_a_table(names: Sequence[str], given: Mapping[str, str] | None = None) -> bool:
    """Tell whether names of columns name the studies and at least one number about them."""
    roles = recognise(names, given)[0]
    return "study" in roles and bool(roles.keys() & _TELLING)


_TELLING = frozenset(
    {
        *("effect", "se", "ci_low", "ci_high", "yi", "vi", "sei", "n", "mean", "sd", "events", "r", "t", "p", "d"),
        *(f"{stem}_{arm}" for stem in ("n", "mean", "sd", "events", "nonevents", "time") for arm in (1, 2)),
        *(f"{stem}_{when}_{arm}" for stem in ("mean", "sd") for when in ("pre", "post", "change") for arm in (1, 2)),
    }
)


def find_header(records: Sequence[Record], rows: Sequence[str], given: Mapping[str, str] | None = None) -> Header:
    """Find the header among the first records: the first row, or a later one or two that can be understood.

    A header of two rows has groups above (each over the columns that follow it) and names below; both are joined.
    """
    first = _names(records[0])
    if looks_like_a_table(first, given):
        return Header(first, 1)
    for i in range(min(SEARCHED, len(records))):
        if any(sum(not is_empty(cell) for cell in record) > TITLE_CELLS for record in records[:i]):
            break
        skipped = _skipped(records, rows, i)
        joined = _joined(records, i, given)
        if joined:
            note = f"the header was read from two rows, {rows[i]} and {rows[i + 1]}: {', '.join(filter(None, joined))}"
            return Header(joined, i + 2, (*skipped, note))
        names = _names(records[i])
        if i and looks_like_a_table(names, given):
            return Header(names, i + 1, skipped)
    return Header(first, 1)


def _names(record: Record) -> tuple[str, ...]:
    """Write the cells of a header as names."""
    return tuple("" if is_empty(cell) else str(cell).strip() for cell in record)


def _skipped(records: Sequence[Record], rows: Sequence[str], count: int) -> tuple[str, ...]:
    """Tell the rows above the header."""
    texts = [" ".join(name for name in _names(record) if name)[:60] for record in records[:count]]
    return tuple(f"{row}: {text!r} above the header was passed over" for text, row in zip(texts, rows, strict=False))


def _joined(records: Sequence[Record], i: int, given: Mapping[str, str] | None) -> tuple[str, ...]:
    """Join the names of two rows, or return nothing where they are not clearly a header of two rows."""
    if i + 1 >= len(records):
        return ()
    above, below = list(_names(records[i])), list(_names(records[i + 1]))
    width = max((j for row in (above, below) for j, name in enumerate(row, 1) if name), default=0)
    above, below = ((row + [""] * width)[:width] for row in (above, below))
    grouped = "" in above or max(Counter(above).values(), default=0) > 1
    complete = len({*below}) == len(below) and looks_like_a_table(below, given)  # a title stands above, no groups
    if not grouped or complete or any(_is_number(name) for name in below):
        return ()
    names: list[str] = []
    group = ""
    for top, name in zip(above, below, strict=True):
        group = top or (group if name else "")
        names.append(_join(group, name, below))
    joined = tuple(names)
    raw = max(len(records[i]), len(records[i + 1]))
    clear = "" not in joined and len(set(joined)) == len(joined) and looks_like_a_table(joined, given)
    return (*joined, *[""] * (raw - width)) if clear else ()


def _join(group: str, name: str, below: Sequence[str]) -> str:
    """Join a group and a name, unless the name is understood only without the group and stands there once."""
    both = f"{group} {name}".strip()
    alone = below.count(name) == 1 and bool(recognise([name])[0]) and not recognise([both])[0]
    return name if name and alone else both


def _is_number(text: str) -> bool:
    """Tell whether a name is a number, as cells of data are."""
    return any(parse_local(text, decimal) is not None for decimal in ".,")


def drop_empty_columns(names: Sequence[str], body: Sequence[Record]) -> list[int]:
    """Return the columns that have a name or anything below it."""
    unnamed = [i for i, name in enumerate(names) if not name]
    filled = {i for i in unnamed if any(not is_empty(record[i]) for record in body)}
    return [i for i, name in enumerate(names) if name or i in filled]


def duplicate(name: str) -> Problem:
    """Word the problem of a column name that stands twice."""
    return Problem(f"the header has '{name}' more than once", "Give every column its own name")


def header_problems(names: Sequence[str]) -> list[Problem]:
    """Find column names that are missing or stand twice."""
    problems = [duplicate(name) for name, count in Counter(names).items() if count > 1 and name]
    blank = [str(i + 1) for i, name in enumerate(names) if not name]
    if blank:
        problems.append(Problem(f"column {', '.join(blank)} has no name", "Name every column in the header"))
    return problems
