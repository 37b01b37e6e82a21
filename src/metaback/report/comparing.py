"""Two records of results held against each other: which numbers and which words differ, and where, in words."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html.parser import HTMLParser
from typing import Any, cast

from metaback.numbers import as_given, limit
from metaback.report.records import restored

RELATIVE = 1e-8  # promised for every number of a bundle, on any platform and with any version of the libraries
ABSOLUTE = 1e-14  # what is left of numbers that are 0 in exact arithmetic
Value = float | str | None
# How the entries of a list are told apart, by the list's name; entries of other lists are numbered. A row's number is
# no part of it: a row that is taken out moves all that follow.
IDENTITY: Mapping[str, tuple[str, ...]] = {
    "comparisons": ("title", "measure"),
    "studies": ("study",),
    "pools": ("subgroup",),
    "findings": ("id",),
    "decisions": ("finding",),
    "consequences": ("pool",),
    "alternatives": ("name",),
    "proposals": ("name",),
    "coverage": ("rule",),
    "grid": ("r",),
    "listed": ("comparison", "study"),
    "further_subgroups": ("comparison",),
}
_LABELS = {
    "pools": "subgroup",
    "grid": "r =",
    "coverage": "coverage of",
    "findings": "finding",
    "decisions": "decision",
    "consequences": "in",
    "alternatives": "alternative",
    "proposals": "proposal",
}
_ROW_KEYS = ("comparison", "term", "study", "id")  # columns that tell the rows of a table apart
_UNREAD = frozenset({"svg", "style", "script"})  # parts of a page that are no text for its readers


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs: its file, where it stands there in words, what it was and what it is now.

    None stands for a value that is not there. numeric: whether either of them is a number.
    """

    file: str
    where: str
    old: Value
    new: Value

    @property
    def numeric(self) -> bool:
        """Tell whether a number differs, or words."""
        return isinstance(self.old, int | float) or isinstance(self.new, int | float)

    @property
    def relative(self) -> float | None:
        """Return |new - old| / max(|old|, |new|), None where one of them is no number."""
        if not isinstance(self.old, int | float) or not isinstance(self.new, int | float):
            return None
        largest = max(abs(self.old), abs(self.new))
        if not math.isfinite(largest):
            return 0.0 if self.old == self.new else math.inf
        return abs(self.new - self.old) / largest if largest else 0.0

    def to_dict(self) -> dict[str, Value]:
        """Return the change as plain JSON values; a number without an end is the word "Inf" or "-Inf"."""
        return {
            "file": self.file,
            "where": self.where,
            "old": _finite(self.old),
            "new": _finite(self.new),
            "relative_difference": None if self.relative is None else _finite(self.relative),
        }

    @property
    def said(self) -> str:
        """Return place, old and new value in words."""
        return f"{self.where}: {_shown(self.old)} became {_shown(self.new)}"

    def __str__(self) -> str:
        """Put the change in one line."""
        by = "" if self.relative is None else f" (relative difference {self.relative:.1e})"
        return f"{self.file}: {self.said}{by}"


def _finite(value: Value) -> Value:
    if isinstance(value, int | float) and not math.isfinite(value):
        return None if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    return value


def _shown(value: Value) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, int | float):
        return as_given(value) if math.isfinite(value) else limit(value)
    return repr(value)


def same_number(first: float, second: float) -> bool:
    """Tell whether two numbers are the same to 1e-8 relative; nan is nan.

    Where one is 0 or the signs differ, both must be within 1e-14 of 0: sums that cancel leave that much.

    >>> same_number(1.0, 1.0 + 1e-9), same_number(1.0, 1.0 + 1e-7), same_number(0.0, 1e-16)
    (True, False, True)
    """
    if first == second or (math.isnan(first) and math.isnan(second)):
        return True
    if not (math.isfinite(first) and math.isfinite(second)):
        return False
    largest = max(abs(first), abs(second))
    return abs(first - second) <= RELATIVE * largest if first * second > 0 else largest <= ABSOLUTE


def changes(file: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return every value that differs between two records of plain JSON values, in the order of the first.

    Entries of lists are matched by what they are (a study by its label and row), not by their place.

    >>> [str(one) for one in changes("a.json", {"k": 3, "mean": {"p": 0.5}}, {"k": 3, "mean": {"p": 0.25}})]
    ['a.json: mean, p: 0.5 became 0.25 (relative difference 5.0e-01)']
    """
    before, after = dict(_leaves(old, ())), dict(_leaves(new, ()))
    paths = [*before, *(path for path in after if path not in before)]
    return tuple(
        Change(file, ", ".join(path), before.get(path), after.get(path))
        for path in paths
        if not _same(before.get(path), after.get(path))
    )


def read_record(content: bytes) -> dict[str, Any] | None:
    """Return the record in the bytes of a JSON file, None for anything else."""
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def part_of(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a part of a record that is a record itself, an empty one where it is not there."""
    found = record.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def parts_of(record: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the records in a list of a record, none where it is not there."""
    found = record.get(name)
    return (
        [cast("dict[str, Any]", one) for one in cast("list[Any]", found) if isinstance(one, dict)]
        if isinstance(found, list)
        else []
    )


def table_record(content: bytes) -> dict[str, Any]:
    """Return the rows of a CSV file as a record, each under the words that tell it apart; cells as numbers or text."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8", "replace"), newline=""))
    named: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for row in rows:
        cells = {str(name): _cell(value) for name, value in row.items()}
        name = " ".join(str(row[key]) for key in _ROW_KEYS if row.get(key)) or "row"
        seen[name] += 1
        named[_numbered(name, seen[name])] = cells
    return named


def page_words(content: bytes) -> tuple[str, ...]:
    """Return the text of a page as its readers see it, piece by piece, without its drawings."""
    reader = _Words()
    reader.feed(content.decode("utf-8", "replace"))
    reader.close()
    return tuple(reader.found)


def word_changes(file: str, old: Sequence[str], new: Sequence[str]) -> tuple[Change, ...]:
    """Return where two texts differ, piece by piece."""
    found: list[Change] = []
    before = ""
    for kind, i, j, m, n in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            before = old[j - 1]
            continue
        found.append(Change(file, f"after {before[:60]!r}", " ".join(old[i:j]) or None, " ".join(new[m:n]) or None))
    return tuple(found)


class _Words(HTMLParser):
    """Collects the text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNREAD:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            del self._inside[self._inside.index(tag) :]

    def handle_data(self, data: str) -> None:
        if not self._inside and (text := " ".join(data.split())):
            self.found.append(text)


def _same(old: Value, new: Value) -> bool:
    if isinstance(old, int | float) and isinstance(new, int | float):
        return same_number(old, new)
    return old == new


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Value]]:
    """Name every plain value of a record by the words on the way to it; what is None is not there."""
    if isinstance(value, dict):
        for name, part in cast("dict[str, Any]", value).items():
            yield from _leaves(part, (*path, str(name).replace("_", " ")))
    elif isinstance(value, list):
        yield from _entries(cast("list[Any]", value), path)
    elif isinstance(value, bool):
        yield path, "yes" if value else "no"
    elif value is not None:
        yield path, cast("Value", value)


def _entries(entries: list[Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Value]]:
    name = path[-1] if path else ""
    seen: Counter[str] = Counter()
    for place, entry in enumerate(entries, 1):
        words = _identity(name, entry) or f"{name} {place}"
        seen[words] += 1
        yield from _leaves(entry, (*path[:-1], _numbered(words, seen[words])))


def _identity(name: str, entry: Any) -> str:
    """Name an entry of a list by what it is, "" where it has no name."""
    if not isinstance(entry, dict) or name not in IDENTITY:
        return ""
    known = cast("dict[str, Any]", entry)
    words = " ".join(str(known[key]) for key in IDENTITY[name] if known.get(key) not in (None, ""))
    return f"{_LABELS[name]} {words}" if words and name in _LABELS else words


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} [{number}]"


def _cell(text: str | list[str] | None) -> Value:
    if not isinstance(text, str) or text == "":
        return None
    try:
        return float(text)
    except ValueError:
        return restored(text)
