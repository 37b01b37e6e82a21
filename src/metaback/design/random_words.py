"""The words of random effects: `~ 1 | study/effect`, `~ outcome | study`, read as text and checked before any table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from metaback.errors import OptionError, suggestion

ROW = "effect"  # the word for the row itself: every effect is a level of its own
WHOLE = "1"  # right of the bar: all rows share one level
FACTOR = ("UN", "CS", "HCS", "DIAG", "ID", "AR", "HAR")  # the left side is a factor
PLACED = ("CAR", "SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH")  # the left side is a time, or coordinates
SLOPES = ("GEN", "GDIAG")  # the left side is a formula of numbers
STRUCTS = (*FACTOR, *PLACED, *SLOPES)
LONGEST = 500  # characters of one random formula

_NAME = re.compile(r"`([^`]+)`|([^\W\d][\w.]*)")
_QUOTED = re.compile(r"`[^`]*`")


@dataclass(frozen=True, slots=True)
class RandomWords:
    """One random formula as it was read.

    text: as the user wrote it; inner: the left side, "1" for an intercept; columns: of the left side where it is a
    plain list of names, empty for intercepts and slopes; outer: the groupings right of the bar, from coarse to fine,
    each the columns whose values together make a level. struct: key of the structure, None where it was not said.
    """

    text: str
    inner: str
    columns: tuple[str, ...]
    outer: tuple[tuple[str, ...], ...]
    struct: str | None = None

    @property
    def intercept(self) -> bool:
        """Tell whether this is a plain random intercept."""
        return self.inner == "1"


def read_random(random: Sequence[str], struct: str | Sequence[str | None] | None = None) -> tuple[RandomWords, ...]:
    """Read random formulas; raise `OptionError` with every problem at once.

    random: each "~ 1 | a/b/c" (intercepts of a, of b within a, of c within both; `a:b` groups by both columns;
    "effect" is the row itself) or "~ inner | outer". struct: for those with an inner side, in their order, or one word
    for all of them; None leaves it to the column: UN for a factor, GEN for numbers.

    >>> [words.outer for words in read_random(["~ 1 | study/effect"])]
    [(('study',), ('study', 'effect'))]
    >>> read_random(["~ 1 + weeks | study"], "GEN")[0].inner
    '1 + weeks'
    """
    problems: list[str] = []
    found: list[RandomWords] = []
    for text in random:
        words = _one(text, problems)
        if words is not None:
            found.append(words)
    if not random:
        problems.append("random is empty; give at least one formula, as in random='~ 1 | study/effect'")
    structured = [i for i, words in enumerate(found) if not words.intercept]
    for i, key in zip(structured, _structs(struct, len(structured), problems), strict=False):
        words = found[i]
        columns = words.columns
        if key is not None and key not in SLOPES and not columns:
            problems.append(f"random={words.text!r}: struct={key!r} needs names of columns left of the bar")
        found[i] = RandomWords(words.text, words.inner, columns, words.outer, key)
    problems += _shapes(found)
    if problems:
        raise OptionError("; ".join(problems))
    return tuple(found)


def _structs(struct: str | Sequence[str | None] | None, count: int, problems: list[str]) -> tuple[str | None, ...]:
    """Return the structure of every formula with an inner side."""
    given = (struct,) * count if isinstance(struct, str) or struct is None else tuple(struct)
    asked = dict.fromkeys([struct] if isinstance(struct, str) else given)
    unknown = [key for key in asked if key is not None and key not in STRUCTS]
    problems += [str(OptionError.unknown("struct", key, STRUCTS)) for key in unknown]
    if isinstance(struct, str) and not count and struct in STRUCTS:
        problems.append(
            f"struct={struct!r} describes the left side of '~ inner | outer', and no random formula has one; leave it "
            "out, or write e.g. random='~ outcome | study'"
        )
    if len(given) != count:
        problems.append(f"struct has {len(given)} words for {count} formulas of the form '~ inner | outer'")
    return given


def _one(text: str, problems: list[str]) -> RandomWords | None:
    """Read one formula, or say what is wrong with it."""
    said = f"random={text!r}"
    if not isinstance(text, str) or len(text) > LONGEST:  # pyright: ignore[reportUnnecessaryIsInstance]
        problems.append(f"random: a formula is a text of at most {LONGEST} characters, as '~ 1 | study/effect'")
        return None
    masked = _QUOTED.sub(lambda match: "_" * len(match.group()), text)
    left, bar, right = text[: masked.find("|")], masked.count("|"), text[masked.find("|") + 1 :]
    if bar != 1:
        problems.append(f"{said}: one bar is needed, as in '~ 1 | study/effect'")
        return None
    tilde, _, inner = left.partition("~")
    if tilde.strip() or "~" not in left or "~" in inner:
        problems.append(f"{said}: begin with '~', as in '~ 1 | study/effect'")
        return None
    inner = " ".join(inner.split())
    if not inner:
        problems.append(f"{said}: nothing stands left of the bar; write 1 for an intercept")
        return None
    levels = [_names(part, ":") for part in _split(right, "/")]
    if any(level is None for level in levels):
        problems.append(
            f"{said}: right of the bar stand names of columns, as in 'study/effect'; quote other names with backticks"
        )
        return None
    groups = [level for level in levels if level is not None]
    nested = tuple(tuple(name for level in groups[: i + 1] for name in level) for i in range(len(groups)))
    names = None if inner == "1" else _names(inner, "+")
    return RandomWords(text, inner, names or (), nested)


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark that does not stand in a quoted name."""
    masked = _QUOTED.sub(lambda match: "_" * len(match.group()), text)
    cuts = [-1, *(i for i, c in enumerate(masked) if c == mark), len(text)]
    return [text[a + 1 : b] for a, b in pairwise(cuts)]


def _names(text: str, mark: str) -> tuple[str, ...] | None:
    """Return the names of columns between marks; None where something else stands there."""
    found: list[str] = []
    for part in _split(text, mark):
        word = part.strip()
        match = _NAME.fullmatch(word)
        if word == WHOLE and mark == ":":
            found.append(WHOLE)
        elif match is None:
            return None
        else:
            found.append(match.group(1) or match.group(2))
    return tuple(found)


def _shapes(found: Sequence[RandomWords]) -> list[str]:
    """Name formulas that are read but cannot be meant."""
    problems: list[str] = []
    for words in found:
        said, last = f"random={words.text!r}", words.outer[-1]
        if not words.intercept and len(words.outer) > 1:
            problems.append(f"{said}: one grouping stands right of the bar there; write one formula per grouping")
        if not words.intercept and ROW in last:
            problems.append(f"{said}: a row has one effect, which cannot vary within {ROW!r}; group by the study")
        if words.intercept and any(WHOLE in level for level in words.outer):
            problems.append(f"{said}: one intercept for all rows is the mean already; name a column")
        if any(ROW in level[:-1] for level in words.outer):
            problems.append(f"{said}: {ROW!r} is the row itself and comes last, as in 'study/{ROW}'")
        if any(len(set(level)) < len(level) for level in words.outer):
            problems.append(f"{said}: a name stands twice right of the bar")
    seen: dict[tuple[str, str, tuple[str, ...]], str] = {}
    for words in found:
        for level in words.outer:
            key = (words.inner, words.struct or "", tuple(sorted(level)))
            if key in seen:
                problems.append(f"the random effect of {'/'.join(level)} stands in {seen[key]!r} and {words.text!r}")
            seen[key] = words.text
    return list(dict.fromkeys(problems))


def unknown_columns(found: Sequence[RandomWords], known: Sequence[str]) -> list[str]:
    """Name the columns of random formulas that a table does not have, with the likely intent.

    >>> unknown_columns(read_random(["~ 1 | studdy/effect"]), ["study", "year"])
    ["'studdy' is not a column (did you mean 'study'?)"]
    """
    wanted = dict.fromkeys(
        name for words in found for name in (*words.columns, *words.outer[-1]) if name not in (ROW, WHOLE)
    )
    return [f"{name!r} is not a column{suggestion(name, known)}" for name in wanted if name not in known]
