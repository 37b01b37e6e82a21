"""One text cell of a number column: its decimal mark, the number in it, and what else stands beside the number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from metaback.numbers import parse_local, plain_text

Mark = Literal["", ".", ",", "?.", "?,"]
LONGEST = 200  # characters of a cell that can be a number; the patterns are not made for more
FOOTNOTES = "*\u2020\u2021\u00a7\u00b6#"
WORDS_FOR_NOTHING = (
    "", "na", "n/a", "n.a.", "nan", "none", "null", ".", "..", "-", "--", "nr", "n/r", "n.r.", "nd", "not reported",
    "not available", "not applicable", "not estimable", "missing", "#n/a", "<na>",
)  # fmt: skip
MISSING = frozenset({*WORDS_FOR_NOTHING, "\u2013", "\u2014", "\u2015", "\u2212", "\u2026"})

_LEADING = re.compile(r"[0-9.,]*[0-9]")
_DIGITS_AND_MARK = re.compile(r"([1-9][0-9]{0,2})[.,][0-9]{3}")
_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?:([.,])[0-9]{3})(?:\1[0-9]{3})*")

_N = r"[+-]?(?:[0-9]+(?:[.,][0-9]+)*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?"
_LEVEL = r"(?:95\s*%\s*(?:CI|confidence interval)?|95\s*CI|CI\s*(?:\(?95\s*%?\)?(?=[\s:=,]))?)"
_CI = rf"(?:{_LEVEL}\s*[:=,]?\s*)?"
_BETWEEN = r"(?:\s*(?:to|;|\.\.\.?|\u2026)\s*|\s*,\s+|\s*,\s*(?=[+-])|\s*-\s+|-|(?P<bare>,))"
_LIMITS = rf"(?P<low>{_N}){_BETWEEN}(?P<high>{_N})"
_INTERVAL = (
    re.compile(rf"(?P<point>{_N})\s*\(\s*{_CI}{_LIMITS}\s*\)", re.IGNORECASE),
    re.compile(rf"(?P<point>{_N})\s*\[\s*{_CI}{_LIMITS}\s*\]", re.IGNORECASE),
    re.compile(rf"(?P<point>{_N})(?:\s*;\s*|\s*,\s+){_CI}{_LIMITS}", re.IGNORECASE),
    re.compile(rf"(?P<point>{_N})\s*[;,]?\s*{_LEVEL}\s*[:=,]?\s*{_LIMITS}", re.IGNORECASE),
    re.compile(rf"(?P<point>{_N})\s*[;,]?\s*{_LEVEL}\s*[:=,]?\s*\(\s*{_LIMITS}\s*\)", re.IGNORECASE),
    re.compile(rf"(?P<point>{_N})\s*[;,]?\s*{_LEVEL}\s*[:=,]?\s*\[\s*{_LIMITS}\s*\]", re.IGNORECASE),
)
_AROUND = (("", ""), (r"\(", r"\)"), (r"\[", r"\]"))
_BOTH = tuple(re.compile(rf"{one}\s*{_CI}{_LIMITS}\s*{two}", re.IGNORECASE) for one, two in _AROUND)
_WORD = r"(?:(?P<word>SD|SEM?)\s*[:=]?\s*)?"
_SPREAD = (
    re.compile(rf"(?P<point>{_N})\s*\(\s*{_WORD}(?P<spread>{_N})\s*\)", re.IGNORECASE),
    re.compile(rf"(?P<point>{_N})\s*\[\s*{_WORD}(?P<spread>{_N})\s*\]", re.IGNORECASE),
    re.compile(rf"(?P<point>{_N})\s*(?:\u00b1|\+/-|\+-)\s*{_WORD}(?P<spread>{_N})", re.IGNORECASE),
)
_KIND = r"(?:(?P<words>IQR|Q1\s*[-,;/to ]+\s*Q3|interquartile range|range|min\s*[-,;/to ]+\s*max)\s*[:=,]?\s*)?"
_MEDIAN = (
    re.compile(rf"(?P<point>{_N})\s*\(\s*{_KIND}(?:{_LIMITS}|(?P<width>{_N}))\s*\)", re.IGNORECASE),
    re.compile(rf"(?P<point>{_N})\s*\[\s*{_KIND}(?:{_LIMITS}|(?P<width>{_N}))\s*\]", re.IGNORECASE),
)
_OF = re.compile(
    rf"(?P<count>[0-9]+)\s*(?:/|of|out of)\s*(?P<size>[0-9]+)(?:\s*[(\[]?\s*(?P<share>{_N})\s*%\s*[)\]]?)?",
    re.IGNORECASE,
)
_SHARE = re.compile(rf"(?P<count>[^()%]+?)\s*[(\[]\s*(?P<share>{_N})\s*%?\s*[)\]]")
_BOUND = re.compile(rf"[pP]?\s*(?P<sign><=|>=|[<>=\u2264\u2265])\s*(?P<value>{_N})")
_PERCENT = re.compile(rf"(?P<value>{_N})\s*%")


@dataclass(frozen=True, slots=True)
class Number:
    """A number read from a cell with what was done to read it: "" (nothing), "thousands" or "footnote"."""

    value: float
    how: str = ""


def mark_of(text: str) -> Mark:
    """Tell which decimal mark the leading number of a cell shows: "." or ",", "?." or "?," for `1.020`, else "".

    >>> [mark_of(text) for text in ("0,5", "1.020", "1,020.5", "1.234.567", "12", "0.50 (0.2 to 0.8)")]
    [',', '?.', '.', ',', '', '.']
    """
    found = _LEADING.search(text[:LONGEST])
    token = found.group() if found else ""
    points, commas = token.count("."), token.count(",")
    if not points + commas:
        return ""
    if points and commas:
        last: Mark = "." if token.rindex(".") > token.rindex(",") else ","
        head, _, tail = token.rpartition(last)
        return last if _GROUPS.fullmatch(head) and last not in head and tail.isascii() else ""
    own: Mark = "." if points else ","
    if points + commas > 1:
        other: Mark = "," if points else "."
        return other if _GROUPS.fullmatch(token) else ""
    return f"?{own}" if _DIGITS_AND_MARK.fullmatch(token) else own  # type: ignore[return-value]


def decide_mark(marks: Iterable[Mark]) -> Mark:
    """Choose the decimal mark that most cells show; a point where as many show a comma, "" where none shows any."""
    points = commas = 0
    for mark in marks:
        points += mark == "."
        commas += mark == ","
    return "" if not points + commas else "." if points >= commas else ","


def read_number(text: str, decimal: str) -> Number | None:
    """Read a cell that holds one number, with thousands marks or footnote marks where there are any."""
    plain = plain_text(text)
    bare = plain.rstrip(FOOTNOTES).rstrip()
    found = parse_local(bare, decimal)
    if found is None:
        return None
    return Number(found[0], "footnote" if bare != plain else "thousands" if found[1] else "")


def thousands_mark(text: str, decimal: str) -> str:
    """Return the thousands mark of a number, "" where it has none."""
    found = parse_local(plain_text(text).rstrip(FOOTNOTES), decimal)
    return found[1] if found else ""


def split_interval(text: str, decimal: str) -> tuple[float, float, float] | None:
    """Read `0.50 (0.20 to 0.80)`, `0.50 [0.20; 0.80]`, `0.50 (0.20-0.80)` and `0.50; 0.20 to 0.80`.

    The interval must say that it is a 95% one, or not say its level. A bare comma parts limits only where it is not
    the decimal mark.

    >>> split_interval("-0.41 [95% CI: -0.72\u2013-0.10]", ".")
    (-0.41, -0.72, -0.1)
    """
    plain = plain_text(text)
    for pattern in _INTERVAL:
        found = pattern.fullmatch(plain)
        if found and not (found["bare"] and decimal == ","):
            point, low, high = (_plain(found[part], decimal) for part in ("point", "low", "high"))
            if point is not None and low is not None and high is not None:
                return point, low, high
    return None


def split_limits(text: str, decimal: str) -> tuple[float, float] | None:
    """Read `0.20 to 0.80`, `[0.20; 0.80]`, `(0.2, 0.8)` and `1-4` as the limits of a 95% interval.

    A dash with a space before it and none behind it could be the sign of the second limit: such a cell is not read.

    >>> split_limits("[1; 4]", "."), split_limits("-0.72\u2013-0.10", "."), split_limits("0.2 -0.8", ".")
    ((1.0, 4.0), (-0.72, -0.1), None)
    """
    plain = plain_text(text)
    for pattern in _BOTH:
        found = pattern.fullmatch(plain)
        if found and not (found["bare"] and decimal == ","):
            low, high = _plain(found["low"], decimal), _plain(found["high"], decimal)
            if low is not None and high is not None:
                return low, high
    return None


def split_spread(text: str, decimal: str) -> tuple[float, float, str] | None:
    """Read `5.1 (2.0)`, `5.1 [SE 0.4]` and `5.1 \u00b1 2.0` as a number, its spread and the word for it, if any."""
    plain = plain_text(text)
    for pattern in _SPREAD:
        found = pattern.fullmatch(plain)
        if found:
            point, spread = _plain(found["point"], decimal), _plain(found["spread"], decimal)
            if point is not None and spread is not None and spread >= 0:
                return point, spread, found["word"] or ""
    return None


def split_median(text: str, decimal: str) -> tuple[float, tuple[float, ...], str] | None:
    """Read `12 (8-15)`, `12 [IQR 8 to 15]` and `12 (7)` as a number, one or two numbers beside it and their words.

    >>> split_median("12 (IQR: 8 to 15)", ".")
    (12.0, (8.0, 15.0), 'IQR')
    """
    plain = plain_text(text)
    for pattern in _MEDIAN:
        found = pattern.fullmatch(plain)
        if found and not (found["bare"] and decimal == ","):
            parts = ("point", "width") if found["width"] else ("point", "low", "high")
            values = [value for part in parts if (value := _plain(found[part], decimal)) is not None]
            if len(values) == len(parts):
                return values[0], tuple(values[1:]), found["words"] or ""
    return None


def split_of(text: str) -> tuple[float, float, float | None, int] | None:
    """Read `12/20`, `12 of 20` and `12/20 (60%)` as a count, its group's size, a percentage and its decimals.

    >>> split_of("12 of 20"), split_of("12/20 (60.0%)")
    ((12.0, 20.0, None, 0), (12.0, 20.0, 60.0, 1))
    """
    found = _OF.fullmatch(plain_text(text))
    if not found or len(found["count"]) > 15 or len(found["size"]) > 15:
        return None
    written = (found["share"] or "").replace(",", ".")
    share = _plain(written, ".") if written else None
    if written and share is None:
        return None
    return float(found["count"]), float(found["size"]), share, len(written.partition(".")[2])


def split_share(text: str, decimal: str) -> tuple[Number, float, int] | None:
    """Read `12 (60%)` as a count, its percentage and the decimals of the percentage."""
    found = _SHARE.fullmatch(plain_text(text))
    if not found:
        return None
    count = read_number(found["count"], decimal)
    share = _plain(found["share"].replace(",", "."), ".")
    if count is None or share is None:
        return None
    return count, share, len(found["share"].replace(",", ".").partition(".")[2])


def split_bound(text: str, decimal: str) -> tuple[str, float] | None:
    """Read `<0.001`, `p < .001` and `p = 0.04` as a sign and a number."""
    found = _BOUND.fullmatch(plain_text(text))
    value = _plain(found["value"], decimal) if found else None
    return None if found is None or value is None else (found["sign"], value)


def percentage(text: str, decimal: str) -> float | None:
    """Read `15%` as 0.15."""
    found = _PERCENT.fullmatch(plain_text(text))
    value = _plain(found["value"], decimal) if found else None
    return None if value is None else value / 100


def _plain(text: str, decimal: str) -> float | None:
    """Read a number inside a cell, where thousands marks are not told from what separates numbers."""
    found = parse_local(text, decimal)
    return found[0] if found and not found[1] else None


_CURES: Mapping[str, tuple[re.Pattern[str], str]] = {
    "bound": (
        re.compile(r"\s*[pP]?\s*[<>\u2264\u2265].*"),
        "A bound is not a number here: leave the cell blank, or give the number itself",
    ),
    "percent": (re.compile(r".*%"), "Write the number itself: a count as a count, a share as a decimal"),
    "several": (re.compile(r".*[0-9]\s*(?:[(\[;\u00b1]|to|\+/-).*[0-9].*"), "Give each number its own column"),
    "comma": (
        re.compile(r"[^.]*[0-9],[0-9][^.]*"),
        "The numbers are read with a decimal point: write this one with a point too, or say decimal=','",
    ),
    "point": (
        re.compile(r"[^,]*[0-9]\.[0-9][^,]*"),
        "The numbers are read with a decimal comma: write this one with a comma too, or say decimal='.'",
    ),
}
PLAIN_CURE = "Write one plain number with a decimal point per cell, or leave it blank"


def cure(text: str, decimal: str) -> str:
    """Say how to mend a cell that is not a number."""
    asked = ("bound", "percent", "several", "comma" if decimal == "." else "point")
    for key in asked:
        pattern, words = _CURES[key]
        if pattern.fullmatch(text):
            return words
    return PLAIN_CURE
