"""Judgements of risk of bias: how a table spells them, and the symbol and colour that figures draw for each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from metaback.errors import DataError, OptionError, Problem, suggestion
from metaback.numbers import as_given, humanise, parse_number

PREFIX = "rob_"
OVERALL = frozenset({"overall", "total", "score", "sum"})
_GREEN, _YELLOW, _ORANGE, _RED, _DARK, _GREY, _PALE = (
    "#009E73", "#F0E442", "#E69F00", "#D55E00", "#7A1F4F", "#BBBBBB", "#E8E8E8"
)  # fmt: skip
_INK, _WHITE = "#1a1a1a", "#ffffff"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judgement as figures draw it: a symbol in a circle, told apart by shape as well as by colour.

    severity: 0 is best; -1 where nothing is judged (no information, a score). symbol: one sign, or a score's digits.
    """

    key: str
    word: str
    symbol: str
    colour: str
    ink: str = _INK
    severity: int = -1


@dataclass(frozen=True, slots=True)
class Tool:
    """An instrument: its domains in order, the judgements that it knows, and the highest total of a scale."""

    key: str
    title: str
    domains: tuple[str, ...]
    judgements: tuple[str, ...]
    most: int | None = None
    cite: str = ""


@dataclass(frozen=True, slots=True)
class Domain:
    """A column of judgements: its name in the table, a letter for heads, a title for legends, whether it sums up."""

    column: str
    letter: str
    title: str
    overall: bool = False


@dataclass(frozen=True, slots=True)
class RobTable:
    """The judgements of all rows; `cells[row][domain]` is None where the table is blank. `used` has each one once."""

    tool: Tool
    domains: tuple[Domain, ...]
    cells: tuple[tuple[Judgement | None, ...], ...]

    @property
    def used(self) -> tuple[Judgement, ...]:
        """Return the judgements that occur, best first, then those that judge nothing; scores are not among them."""
        found = {cell.key: cell for row in self.cells for cell in row if cell is not None and cell.key in JUDGEMENTS}
        return tuple(judgement for key, judgement in JUDGEMENTS.items() if key in found)


# Symbols as robvis draws them [@mcguinness2021]; the colours are those of Okabe and Ito.
JUDGEMENTS: Mapping[str, Judgement] = {
    judgement.key: judgement
    for judgement in (
        Judgement("low", "Low risk", "+", _GREEN, severity=0),
        Judgement("met", "Criterion met", "+", _GREEN, severity=0),
        Judgement("some", "Some concerns", "\u2212", _YELLOW, severity=1),
        Judgement("moderate", "Moderate risk", "\u2212", _YELLOW, severity=1),
        Judgement("unclear", "Unclear risk", "?", _YELLOW, severity=1),
        Judgement("high", "High risk", "\u00d7", _RED, severity=2),
        Judgement("serious", "Serious risk", "\u00d7", _RED, severity=2),
        Judgement("not met", "Criterion not met", "\u00d7", _RED, severity=2),
        Judgement("critical", "Critical risk", "!", _DARK, _WHITE, severity=3),
        Judgement("very high", "Very high risk", "!", _DARK, _WHITE, severity=3),
        Judgement("none", "No information", "?", _GREY),
        Judgement("na", "Not applicable", "/", _PALE),
    )
}

TOOLS: Mapping[str, Tool] = {
    tool.key: tool
    for tool in (
        Tool(
            "RoB 2", "Risk of bias (RoB 2)",
            ("Randomisation process", "Deviations from intended interventions", "Missing outcome data",
             "Measurement of the outcome", "Selection of the reported result"),
            ("low", "some", "high", "none", "na"), cite="sterne2019",
        ),
        Tool(
            "RoB 1", "Risk of bias (RoB 1)",
            ("Random sequence generation", "Allocation concealment", "Blinding of participants and personnel",
             "Blinding of outcome assessment", "Incomplete outcome data", "Selective reporting", "Other bias"),
            ("low", "unclear", "high", "na"), cite="higgins2011",
        ),
        Tool(
            "ROBINS-I", "Risk of bias (ROBINS-I)",
            ("Confounding", "Selection of participants", "Classification of interventions",
             "Deviations from intended interventions", "Missing data", "Measurement of outcomes",
             "Selection of the reported result"),
            ("low", "moderate", "serious", "critical", "none", "na"), cite="sterne2016",
        ),
        Tool(
            "PEDro", "PEDro scale",
            ("Eligibility criteria", "Random allocation", "Concealed allocation", "Baseline comparability",
             "Blind subjects", "Blind therapists", "Blind assessors", "Adequate follow-up",
             "Intention-to-treat analysis", "Between-group comparisons", "Point estimates and variability"),
            ("met", "not met", "none", "na"), most=10, cite="maher2003",
        ),
        Tool(
            "TESTEX", "TESTEX scale",
            ("Eligibility criteria", "Randomisation", "Allocation concealment", "Groups similar at baseline",
             "Blinding of assessors", "Outcomes assessed in 85% of participants", "Intention-to-treat analysis",
             "Between-group comparisons", "Point measures and variability", "Activity monitoring of controls",
             "Relative exercise intensity kept constant", "Exercise volume and energy expenditure"),
            ("met", "not met", "none", "na"), most=15, cite="smart2015",
        ),
        Tool("own", "Risk of bias", (), tuple(JUDGEMENTS)),
    )
}  # fmt: skip

_SPELLINGS: Mapping[str, str] = {
    **{key: key for key in JUDGEMENTS if key not in {"some", "none", "na"}},
    **dict.fromkeys(("l", "low risk", "low risk of bias", "lowrisk", "+", "green"), "low"),
    **dict.fromkeys(("some concerns", "some concern", "someconcerns", "sc", "yellow", "amber"), "some"),
    **dict.fromkeys(("moderate risk", "m"), "moderate"),
    **dict.fromkeys(("unclear risk", "unclear risk of bias", "u"), "unclear"),
    **dict.fromkeys(
        ("high risk", "high risk of bias", "h", "x", "\u00d7", "\u2715", "\u2717", "\u2718", "red"), "high"
    ),
    **dict.fromkeys(("serious risk", "s"), "serious"),
    **dict.fromkeys(("critical risk", "c"), "critical"),
    **dict.fromkeys(("very high risk",), "very high"),
    **dict.fromkeys(("no information", "no info", "ni", "not reported", "nr", "not stated"), "none"),
    **dict.fromkeys(("not applicable", "n/a", "na"), "na"),
    **dict.fromkeys(("yes", "y", "true", "criterion met", "\u2713", "\u2714"), "met"),
    **dict.fromkeys(("no", "n", "false", "criterion not met"), "not met"),
}
_OPEN_SIGNS = ("-", "?", "!")  # their meaning depends on the tool and on the other signs of the table


def rob_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that hold judgements, those that sum up last.

    >>> rob_columns(["study", "rob_overall", "rob_1", "rob_2"])
    ('rob_1', 'rob_2', 'rob_overall')
    """
    found = [name for name in names if name.lower().startswith(PREFIX)]
    return tuple(sorted(found, key=_sums_up))


def read_rob(
    columns: Mapping[str, Sequence[Any]], *, tool: str | None = None, rows: Sequence[str] | None = None
) -> RobTable:
    """Read the judgements of a table: words, the signs + - ? x !, yes and no, points and totals of scales.

    columns: those named `rob_*`, one value per row. tool: a key of `TOOLS`; None follows the words of the table.
    rows: what errors call the rows, e.g. "row 7"; None numbers them.
    A "-" alone says high in one program and some concerns in another; it is read only where the table settles it.
    Raises `OptionError` for an unknown tool or no column, `DataError` with every value that is not understood.

    >>> table = read_rob({"rob_1": ["low", "High risk", ""], "rob_overall": ["+", "x", "some concerns"]})
    >>> table.tool.key, [domain.title for domain in table.domains]
    ('RoB 2', ['Randomisation process', 'Overall'])
    >>> [[cell.symbol if cell else "" for cell in row] for row in table.cells]
    [['+', '+'], ['\u00d7', '\u00d7'], ['', '\u2212']]
    """
    if tool is not None and tool not in TOOLS:
        raise OptionError.unknown("risk_of_bias", tool, TOOLS)
    names = rob_columns(list(columns))
    if not names:
        raise OptionError(
            f"the table has no columns of judgements; their names begin with '{PREFIX}', e.g. rob_overall"
        )
    texts = {name: [_text(value) for value in columns[name]] for name in names}
    said = {text for column in texts.values() for text in column if text}
    known = TOOLS[tool or _guess(names, said)]
    open_signs = _settled(known, said)
    problems: list[Problem] = []
    read = {name: _column(name, texts[name], known, open_signs, problems) for name in names}
    if problems:
        raise DataError("risk of bias", [_placed(problem, rows) for problem in problems])
    return RobTable(known, _domains(names, known), tuple(zip(*(read[name] for name in names), strict=True)))


def score(value: float) -> Judgement:
    """Return the points of a scale as they are drawn: the number itself, in a circle that judges nothing.

    Classes of PEDro totals ("good", "fair") were never validated [@cashin2020], so no colour is given to them.
    """
    text = as_given(value)
    return Judgement(f"score {text}", f"{text} points", text, _PALE)


def _text(value: Any) -> str:
    """Return a cell as one lower-case text, "" where it is blank."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = " ".join(str(value).replace("_", " ").replace("\u2212", "-").replace("\u2013", "-").lower().split())
    return "" if text in {"<na>", "nan", "none"} else text


def _guess(names: Sequence[str], said: set[str]) -> str:
    """Name the instrument whose words the table uses."""
    keys = {_SPELLINGS.get(text) for text in said}
    if keys & {"serious", "critical", "moderate"}:
        return "ROBINS-I"
    if "some" in keys:
        return "RoB 2"
    numbered = all(_number(name) is not None or _sums_up(name) for name in names)
    if "unclear" in keys and numbered:
        return "RoB 1"
    return "own"


def _settled(tool: Tool, said: set[str]) -> dict[str, str]:
    """Say what the signs - ? ! mean here; a sign that is left out cannot be told.

    RevMan draws + ? - (low, unclear or some concerns, high); robvis draws + - x (low, some concerns, high) and ! for
    critical; the RoB 2 tool draws + ! - (low, some concerns, high).
    """
    middle = next((key for key in ("some", "moderate", "unclear") if key in tool.judgements), "unclear")
    worst = next((key for key in ("high", "serious") if key in tool.judgements), "high")
    middle, worst = ("unclear", "high") if tool.key == "own" else (middle, worst)
    meaning: dict[str, str] = {}
    crossed = {"x", "\u00d7"} & said
    if tool.key == "RoB 1" or {"?", "!"} & said:
        meaning["-"] = worst
    if crossed:
        meaning["-"] = middle if tool.key != "RoB 1" else worst
    if tool.most is not None:
        meaning["-"] = "not met"
    meaning["?"] = "none" if crossed and "none" in tool.judgements and "-" in said else middle
    if tool.key == "ROBINS-I":
        meaning["!"] = "critical"
    elif tool.key == "RoB 2":
        meaning["!"] = "some"
    return meaning


def _column(
    name: str, texts: Sequence[str], tool: Tool, signs: Mapping[str, str], problems: list[Problem]
) -> list[Judgement | None]:
    """Read one column, and add what is not understood to the problems."""
    read: list[Judgement | None] = []
    for number, text in enumerate(texts, start=1):
        found = _judgement(name, text, tool, signs)
        if isinstance(found, Problem):
            problems.append(Problem(found.rule, found.fix, name, str(number), text))
        read.append(None if isinstance(found, Problem) else found)
    return read


def _placed(problem: Problem, rows: Sequence[str] | None) -> Problem:
    """Say where a problem stands in the words of the table."""
    number = int(problem.row or 0)
    return replace(problem, row=f"row {number}" if rows is None else rows[number - 1])


def _judgement(name: str, text: str, tool: Tool, signs: Mapping[str, str]) -> Judgement | Problem | None:
    """Read one cell."""
    if not text:
        return None
    words = ", ".join(_first_spelling(key) for key in tool.judgements)
    if text in _OPEN_SIGNS and text not in signs:
        return Problem(f"'{text}' means different judgements in different programs", f"Write one of: {words}")
    points = parse_number(text)
    if points is not None:
        return _points(name, points, tool)
    key = signs.get(text) or _SPELLINGS.get(text)
    if tool.most is not None and key in {"low", "high"} and text in {"+", "x", "\u00d7"}:
        key = "met" if key == "low" else "not met"
    if tool.key == "ROBINS-I" and key == "high" and text in {"x", "\u00d7"}:
        key = "serious"
    if key in tool.judgements:
        return JUDGEMENTS[key]
    hint = suggestion(text, [_first_spelling(word) for word in tool.judgements])
    return Problem(f"this is no judgement of {tool.title}{hint}", f"Use one of: {words}")


def _points(name: str, points: float, tool: Tool) -> Judgement | Problem:
    """Read a number: 0 and 1 of an item are not met and met, other points and totals stand as they are."""
    if tool.judgements and tool.most is None and tool.key != "own":
        return Problem(f"{tool.title} has words, not numbers", "Write the judgement, or name the scale")
    most = tool.most if tool.most is not None and _sums_up(name) else None
    if points < 0 or (most is not None and points > most):
        return Problem(f"a total of {tool.title} lies between 0 and {most or 'its maximum'}", "Correct the number")
    if not _sums_up(name) and points in {0.0, 1.0}:
        return JUDGEMENTS["met" if points else "not met"]
    return score(points)


def _first_spelling(key: str) -> str:
    return {"some": "some concerns", "none": "no information", "na": "not applicable"}.get(key, key)


def _sums_up(name: str) -> bool:
    return name.lower().removeprefix(PREFIX) in OVERALL


def _number(name: str) -> int | None:
    """Return the number of a domain: 2 for `rob_2`, `rob_d2` and `rob_item_2`."""
    rest = name.lower().removeprefix(PREFIX).removeprefix("domain").removeprefix("item").strip("_").removeprefix("d")
    return int(rest) if rest.isascii() and rest.isdigit() else None


def _domains(names: Sequence[str], tool: Tool) -> tuple[Domain, ...]:
    """Name the columns: by the instrument where they are numbered, else by their own words."""
    made: list[Domain] = []
    for name in names:
        number, rest = _number(name), name[len(PREFIX) :]
        if _sums_up(name):
            made.append(Domain(name, "Total" if tool.most is not None else "Overall", "Overall", overall=True))
            continue
        listed = number is not None and 1 <= number <= len(tool.domains)
        title = tool.domains[number - 1] if listed and number is not None else humanise(rest)
        made.append(Domain(name, _letter(len(made)), title[:1].upper() + title[1:]))
    return tuple(made)


def _letter(index: int) -> str:
    """Return A to Z, then AA, AB ..."""
    first, last = divmod(index, 26)
    return (chr(ord("A") + first - 1) if first else "") + chr(ord("A") + last)
