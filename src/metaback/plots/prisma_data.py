"""The counts of a PRISMA 2020 flow diagram: read, checked box against box, and written into boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from metaback.errors import DataError, Problem, suggestion
from metaback.numbers import MINUS

Count = int | Mapping[str, int]
COUNTS = "counts of the flow diagram"
REASONS = 12  # parts of one box that are listed; the others are put together
Column = Literal["previous", "main", "other"]


@dataclass(frozen=True, slots=True)
class Key:
    """A count of the diagram: its name, what it is in words, and whether it may be a mapping of parts."""

    name: str
    words: str
    parts: bool = False
    needed: bool = False


KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key("previous_studies", "Studies included in previous version of review"),
        Key("previous_reports", "Reports of studies included in previous version of review"),
        Key("databases", "Databases", parts=True),
        Key("registers", "Registers", parts=True),
        Key("duplicates", "Duplicate records removed"),
        Key("automation", "Records marked as ineligible by automation tools"),
        Key("removed", "Records removed for other reasons"),
        Key("screened", "Records screened", needed=True),
        Key("excluded", "Records excluded", parts=True, needed=True),
        Key("sought", "Reports sought for retrieval", needed=True),
        Key("not_retrieved", "Reports not retrieved", needed=True),
        Key("assessed", "Reports assessed for eligibility", needed=True),
        Key("reports_excluded", "Reports excluded", parts=True, needed=True),
        Key("other_sources", "Records identified from other sources", parts=True),
        Key("other_sought", "Reports sought for retrieval (other methods)"),
        Key("other_not_retrieved", "Reports not retrieved (other methods)"),
        Key("other_assessed", "Reports assessed for eligibility (other methods)"),
        Key("other_excluded", "Reports excluded (other methods)", parts=True),
        Key("studies", "Studies included in review", needed=True),
        Key("reports", "Reports of included studies"),
        Key("total_studies", "Total studies included in review"),
        Key("total_reports", "Reports of total included studies"),
    )
}


@dataclass(frozen=True, slots=True)
class FlowBox:
    """A box: its column and stage (row), whether it stands at the side, and its lines (heads and their parts)."""

    name: str
    column: Column
    stage: int
    side: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlowData:
    """A flow diagram before it is drawn; arrows name the boxes that they lead from and to.

    bands: the stages beside the boxes, with their first and last row. heads: (column, words) above the columns.
    """

    boxes: tuple[FlowBox, ...]
    arrows: tuple[tuple[str, str], ...]
    heads: tuple[tuple[Column, str], ...]
    bands: tuple[tuple[str, int, int], ...]
    alt: str


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts that were read: totals, and the parts of those that have some."""

    total: Mapping[str, int]
    parts: Mapping[str, Mapping[str, int]]

    def has(self, *names: str) -> bool:
        """Tell whether all of some counts were given."""
        return all(name in self.total for name in names)

    def any(self, *names: str) -> bool:
        """Tell whether any of some counts was given."""
        return any(name in self.total for name in names)

    def sum(self, *names: str) -> int:
        """Add up counts; those that were not given are 0."""
        return sum(self.total.get(name, 0) for name in names)


def prisma_data(counts: Mapping[str, Any]) -> FlowData:
    r"""Return the boxes of a PRISMA 2020 flow diagram after a check that they add up.

    counts: whole numbers by the names of `KEYS`; those marked as parts may be mappings, e.g. `databases={"MEDLINE":
    310, "Embase": 190}` or `reports_excluded={"wrong outcome": 12}`. Columns for previous versions and other methods
    appear with their counts.

    Raises `DataError` with every unknown name, missing count, number below 0 and every box that does not follow from
    the boxes before it. Source: Page et al. 2021, figure 1.

    >>> flow = prisma_data({"databases": 120, "duplicates": 20, "screened": 100, "excluded": 70, "sought": 30,
    ...     "not_retrieved": 2, "assessed": 28, "reports_excluded": {"wrong outcome": 18}, "studies": 9, "reports": 10})
    >>> [box.lines[0].replace("\u00a0", " ") for box in flow.boxes][:2]
    ['Records identified from databases (n = 120)', 'Records removed before screening:']
    """
    problems: list[Problem] = []
    read = _read(counts, problems)
    _missing(read, counts, problems)
    _sums(read, counts, problems)
    if problems:
        raise DataError(COUNTS, problems)
    boxes = tuple(_boxes(read))
    names = {box.name for box in boxes}
    arrows = tuple((a, b) for a, b in _ARROWS if a in names and b in names)
    columns = {box.column for box in boxes}
    heads: tuple[tuple[Column, str], ...] = tuple(
        (column, words) for column, words in _HEADS if column in columns and len(columns) > 1
    )
    return FlowData(boxes, arrows, heads, _BANDS, _alt(boxes))


# ---------------------------------------------------------------- reading and checking


def _read(counts: Mapping[str, Any], problems: list[Problem]) -> _Counts:
    """Read the counts, and add what is not one to the problems."""
    total: dict[str, int] = {}
    parts: dict[str, Mapping[str, int]] = {}
    for name, value in counts.items():
        key = KEYS.get(str(name))
        if key is None:
            fix = f"Use one of: {', '.join(KEYS)}"
            problems.append(Problem(f"'{name}' is no box of the diagram{suggestion(str(name), KEYS)}", fix))
        elif isinstance(value, Mapping):
            found = {str(part): _whole(n, f"{name}: {part}", problems) for part, n in value.items()}  # type: ignore[reportUnknownVariableType]
            if not key.parts:
                problems.append(_problem(name, None, f"'{name}' has no parts", "Give one whole number"))
            known = {part: n for part, n in found.items() if n is not None}
            if len(known) == len(found):
                parts[key.name], total[key.name] = known, sum(known.values())
        elif (number := _whole(value, key.name, problems)) is not None:
            total[key.name] = number
    return _Counts(total, parts)


def _whole(value: Any, box: str, problems: list[Problem]) -> int | None:
    """Return a whole number of at least 0; None, and a problem more, for anything else."""
    try:
        number = int(value)
        good = number == value and number >= 0 and not isinstance(value, bool)
    except (TypeError, ValueError, OverflowError):
        number, good = 0, False
    if not good:
        problems.append(_problem(box, value, "a count is a whole number of at least 0", "Give how many there were"))
        return None
    return number


def _problem(box: str, value: object, rule: str, fix: str) -> Problem:
    return Problem(rule, fix, row=f"box '{box}'", value=None if value is None else str(value))


def _missing(read: _Counts, counts: Mapping[str, Any], problems: list[Problem]) -> None:
    """Add counts that the diagram cannot do without."""
    problems.extend(
        _problem(key.name, None, f"the diagram needs '{key.words}'", "Give it, 0 where there were none")
        for key in KEYS.values()
        if key.needed and key.name not in counts
    )
    if not any(name in counts for name in ("databases", "registers")):
        problems.append(
            _problem(
                "databases", None, "the diagram needs the records that were identified", "Give databases or registers"
            )
        )
    others = ("other_sources", "other_sought", "other_not_retrieved", "other_assessed", "other_excluded")
    if read.any(*others):
        problems.extend(
            _problem(name, None, f"other methods need '{KEYS[name].words}' too", "Give it, 0 where there were none")
            for name in others
            if name not in counts
        )


# (box, what it must be: boxes that are added and taken away, whether equal or at most)
_RULES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("screened", ("databases", "registers"), ("duplicates", "automation", "removed")),
    ("sought", ("screened",), ("excluded",)),
    ("assessed", ("sought",), ("not_retrieved",)),
    ("other_sought", ("other_sources",), ()),
    ("other_assessed", ("other_sought",), ("other_not_retrieved",)),
    ("reports", ("assessed", "other_assessed"), ("reports_excluded", "other_excluded")),
    ("total_studies", ("previous_studies", "studies"), ()),
    ("total_reports", ("previous_reports", "reports"), ()),
)
_OPTIONAL = frozenset(
    {"databases", "registers", "duplicates", "automation", "removed", "other_assessed", "other_excluded"}
)


def _sums(read: _Counts, counts: Mapping[str, Any], problems: list[Problem]) -> None:
    """Add every box that does not follow from the boxes before it."""
    for box, plus, minus in _RULES:
        needed = [name for name in (box, *plus, *minus) if name not in _OPTIONAL]
        if not read.has(*needed) or any(name in counts and not read.has(name) for name in (*plus, *minus)):
            continue
        expected, found = read.sum(*plus) - read.sum(*minus), read.total[box]
        if box == "other_sought" and found <= expected:
            continue  # several records can be of one report
        if found != expected:
            words = _equation(read, plus, minus, expected)
            fix = (
                "Correct one of these counts, or say what is missing"
                if box != "other_sought"
                else "Correct one of them"
            )
            problems.append(_problem(box, found, f"the boxes before it give {words}", fix))
    left = read.sum("assessed", "other_assessed") - read.sum("reports_excluded", "other_excluded")
    most = read.total.get("reports", left)
    if read.has("studies", "assessed", "reports_excluded") and read.total["studies"] > most:
        rule = f"there are only {most:,} reports of included studies, and a study has at least one"
        problems.append(_problem("studies", read.total["studies"], rule, "Correct one of these counts"))


def _equation(read: _Counts, plus: Sequence[str], minus: Sequence[str], expected: int) -> str:
    """Write `databases 120 - duplicates 20 = 100`."""
    first = " + ".join(f"{name} {read.total[name]:,}" for name in plus if name in read.total)
    rest = "".join(f" {MINUS} {name} {read.total[name]:,}" for name in minus if name in read.total)
    return f"{first}{rest} = {f'{expected:,}'.replace('-', MINUS)}"


# ---------------------------------------------------------------- boxes


_HEADS: tuple[tuple[Column, str], ...] = (
    ("previous", "Previous studies"),
    ("main", "Identification of new studies via databases and registers"),
    ("other", "Identification of new studies via other methods"),
)
_BANDS = (("Identification", 0, 0), ("Screening", 1, 3), ("Included", 4, 5))
_ARROWS = (
    ("identified", "removed"), ("identified", "screened"), ("screened", "excluded"), ("screened", "sought"),
    ("sought", "not_retrieved"), ("sought", "assessed"), ("assessed", "reports_excluded"), ("assessed", "included"),
    ("other_identified", "other_sought"), ("other_sought", "other_not_retrieved"), ("other_sought", "other_assessed"),
    ("other_assessed", "other_excluded"), ("other_assessed", "included"), ("previous", "total"), ("included", "total"),
)  # fmt: skip


def _n(words: str, count: int) -> str:
    return f"{words} (n\u00a0=\u00a0{count:,})"


def _boxes(read: _Counts) -> list[FlowBox]:
    """Return the boxes in the order of reading."""
    made = [
        FlowBox("identified", "main", 0, False, _identified(read)),
        FlowBox("removed", "main", 0, True, _removed(read)),
        FlowBox("screened", "main", 1, False, _lines(read, "screened")),
        FlowBox("excluded", "main", 1, True, _lines(read, "excluded")),
        FlowBox("sought", "main", 2, False, _lines(read, "sought")),
        FlowBox("not_retrieved", "main", 2, True, _lines(read, "not_retrieved")),
        FlowBox("assessed", "main", 3, False, _lines(read, "assessed")),
        FlowBox("reports_excluded", "main", 3, True, _lines(read, "reports_excluded")),
    ]
    if read.any("other_sources"):
        made += [
            FlowBox("other_identified", "other", 0, False, _lines(read, "other_sources")),
            FlowBox("other_sought", "other", 2, False, _lines(read, "other_sought")),
            FlowBox("other_not_retrieved", "other", 2, True, _lines(read, "other_not_retrieved")),
            FlowBox("other_assessed", "other", 3, False, _lines(read, "other_assessed")),
            FlowBox("other_excluded", "other", 3, True, _lines(read, "other_excluded")),
        ]
    if read.any("previous_studies", "previous_reports"):
        made.append(FlowBox("previous", "previous", 0, False, _given(read, "previous_studies", "previous_reports")))
    new = "New studies included in review" if read.any("previous_studies") else KEYS["studies"].words
    reports = "Reports of new included studies" if read.any("previous_studies") else KEYS["reports"].words
    lines = [_n(new, read.total["studies"])] + ([_n(reports, read.total["reports"])] if read.has("reports") else [])
    made.append(FlowBox("included", "main", 4, False, tuple(lines)))
    if read.any("total_studies", "total_reports"):
        made.append(FlowBox("total", "main", 5, False, _given(read, "total_studies", "total_reports")))
    return made


def _given(read: _Counts, *names: str) -> tuple[str, ...]:
    return tuple(_n(KEYS[name].words, read.total[name]) for name in names if name in read.total)


def _identified(read: _Counts) -> tuple[str, ...]:
    """Write the records that were identified, source by source where they were named."""
    given = [name for name in ("databases", "registers") if name in read.total]
    lines: list[str] = []
    for name in given:
        lines += [_n(f"Records identified from {name}", read.total[name]), *_parts(read, name)]
    return tuple(lines)


def _removed(read: _Counts) -> tuple[str, ...]:
    """Write the records that were removed before screening."""
    given = [name for name in ("duplicates", "automation", "removed") if name in read.total]
    if not given:
        return (_n("Records removed before screening", 0),)
    return ("Records removed before screening:", *(f"\u2003{_n(KEYS[name].words, read.total[name])}" for name in given))


def _lines(read: _Counts, name: str) -> tuple[str, ...]:
    """Write a count with its parts."""
    words = KEYS[name].words.removesuffix(" (other methods)")
    return (_n(words, read.total[name]), *_parts(read, name))


def _parts(read: _Counts, name: str) -> list[str]:
    """Write the parts of a count, the largest first; what is beyond twelve is put together."""
    found = sorted(read.parts.get(name, {}).items(), key=lambda pair: -pair[1])
    shown, rest = (found, []) if len(found) <= REASONS else (found[: REASONS - 1], found[REASONS - 1 :])
    lines = [f"\u2003{_n(part, n)}" for part, n in shown]
    return lines + ([f"\u2003{_n(f'{len(rest)} other reasons', sum(n for _, n in rest))}"] if rest else [])


def _alt(boxes: Sequence[FlowBox]) -> str:
    """Describe the diagram in the order of reading."""
    said = [", ".join(" ".join(line.replace("\u00a0", " ").split()) for line in box.lines) for box in boxes]
    return f"PRISMA 2020 flow diagram. {'. '.join(said)}.".replace(":,", ":")
