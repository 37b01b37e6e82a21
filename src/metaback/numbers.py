"""The one place where numbers become text and text becomes numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise

_EQUAL = 1e-9  # weights that differ by less than this share are equal to a reader
MINUS = "\u2212"
ABSENT = "\u2013"

_PASTED = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\u2015\ufe63\uff0d", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u3000", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", None),  # spaces without width, which nobody sees
    }
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_GROUPED = re.compile(
    r"[+-]?[1-9][0-9]{0,2}(?:(?P<mark>[ '\u2019.,])[0-9]{3})(?:(?P=mark)[0-9]{3})*(?:(?!(?P=mark))[.,][0-9]*)?"
)


def fixed(value: float | None, digits: int = 2) -> str:
    """Format with a fixed number of decimals and a true minus sign; never `-0.00`; a dash where there is no value."""
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return text.removeprefix("-")
    return text.replace("-", MINUS)


def grouped(text: str) -> str:
    """Return a number that is text already with commas between its thousands.

    >>> grouped("150000"), grouped("\u221210000.5"), grouped("500")
    ('150,000', '\u221210,000.5', '500')
    """
    whole, point, rest = text.partition(".")
    digits = whole.removeprefix(MINUS)
    if not digits.isdigit():
        return text
    return f"{whole[: len(whole) - len(digits)]}{int(digits):,}{point}{rest}"


def significant(value: float | None, digits: int = 3) -> str:
    """Format with a number of significant digits in plain decimals (powers of ten only beyond 1e-6 and 1e9)."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    size = math.floor(math.log10(abs(rounded)))
    if size < -6 or size >= 9:
        mantissa, power = f"{rounded:.{digits - 1}e}".split("e")
        return f"{mantissa.replace('-', MINUS)}e{str(int(power)).replace('-', MINUS)}"
    return fixed(rounded, max(0, digits - 1 - size))


def limit(value: float | None, digits: int = 2) -> str:
    """Format a limit of an interval as `fixed` does; one that does not end is infinity with its sign.

    >>> limit(-0.5), limit(math.inf), limit(-math.inf), limit(math.nan)
    ('\u22120.50', '\u221e', '\u2212\u221e', '\u2013')
    """
    if value is not None and math.isinf(value):
        return "\u221e" if value > 0 else f"{MINUS}\u221e"
    return fixed(value, digits)


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Format limits as `[-0.72, -0.10]`."""
    return f"[{limit(low, digits)}, {limit(high, digits)}]"


def estimate_text(point: float | None, low: float | None, high: float | None, digits: int = 2) -> str:
    """Format an estimate with its limits as `-0.41 [-0.72, -0.10]`."""
    return f"{fixed(point, digits)} {interval(low, high, digits)}"


def p_text(p: float | None) -> str:
    """Format a p value without its letter: `0.05`, `0.004`, `<0.001`, `>0.99`."""
    if p is None or not math.isfinite(p):
        return ABSENT
    if p < 0.001:
        return "<0.001"
    if p > 0.99:
        return ">0.99"
    return f"{p:.2f}" if float(f"{p:.3f}") >= 0.01 else f"{p:.3f}"


def p_phrase(p: float | None, letter: str = "P") -> str:
    """Format a p value with its letter: `P = 0.05`, `P < 0.001`."""
    text = p_text(p)
    return f"{letter} {text[0]} {text[1:]}" if text[0] in "<>" else f"{letter} = {text}"


def df_text(df: float) -> str:
    """Format degrees of freedom: whole numbers plain, others with one decimal, the normal as infinity."""
    if math.isinf(df):
        return "\u221e"
    return f"{df:.0f}" if float(df).is_integer() else f"{df:.1f}"


def percent_weights(weights: Sequence[float], digits: int = 1) -> list[float]:
    """Round weights to percentages that sum to exactly 100 by the largest-remainder rule; absent weights stay nan.

    Where that rule would print equal weights a unit apart, each is rounded by itself, and the sum can miss 100.

    >>> percent_weights([1.0, 2.0, 3.0]), percent_weights([1.0, 1.0, 1.0])
    ([16.7, 33.3, 50.0], [33.3, 33.3, 33.3])
    """
    total = math.fsum(w for w in weights if math.isfinite(w))
    if not total > 0:
        return [math.nan for _ in weights]
    unit = 10**digits
    exact = [w / total * 100 * unit if math.isfinite(w) else math.nan for w in weights]
    floors = [math.floor(e) if math.isfinite(e) else 0 for e in exact]
    short = 100 * unit - sum(floors)
    order = sorted((i for i, e in enumerate(exact) if math.isfinite(e)), key=lambda i: (floors[i] - exact[i], i))
    for i in order[:short]:
        floors[i] += 1
    by_size = sorted((e, f) for e, f in zip(exact, floors, strict=True) if math.isfinite(e))
    if any(f != g and math.isclose(d, e, rel_tol=_EQUAL) for (d, f), (e, g) in pairwise(by_size)):
        floors = [math.floor(round(e, 9) + 0.5) if math.isfinite(e) else 0 for e in exact]
    return [f / unit if math.isfinite(e) else math.nan for f, e in zip(floors, exact, strict=True)]


def parse_number(text: str) -> float | None:
    """Read one plain decimal number, whatever minus sign or space was pasted; None when the text is not one.

    Only ASCII digits, one decimal point and an exponent are numbers: `1_000`, `infinity`, `0x10`, other scripts'
    digits and anything that overflows are not.
    """
    plain = plain_text(text)
    if not _NUMBER.fullmatch(plain):
        return None
    value = float(plain)
    return value if math.isfinite(value) else None


def plain_text(text: str) -> str:
    r"""Write a pasted cell with ordinary minus signs and spaces, and without the spaces at its ends.

    >>> plain_text("\u00a0\u22120.5 ")
    '-0.5'
    """
    return text.translate(_PASTED).strip()


def parse_local(text: str, decimal: str) -> tuple[float, str] | None:
    """Read a number with a given decimal mark; return it with the thousands mark that it is written with ("" if none).

    Thousands marks are a space, an apostrophe and the one of comma and point that is not the decimal mark, in full
    groups of three digits; None when the text is not such a number.

    >>> parse_local("1 020,5", ","), parse_local("1,020", "."), parse_local("1,02", ".")
    ((1020.5, ' '), (1020.0, ','), None)
    """
    plain = plain_text(text)
    value = None if decimal == "," and "." in plain else parse_number(plain.replace(decimal, "."))
    if value is not None:
        return value, ""
    grouped = _GROUPED.fullmatch(plain)
    if not grouped or grouped["mark"] == decimal:
        return None
    value = parse_number(plain.replace(grouped["mark"], "").replace(decimal, "."))
    return None if value is None else (value, grouped["mark"])


def as_given(value: float) -> str:
    """Write a number of a table as shortly as it can be, with a true minus sign: `2.5`, `12`; a dash for no number.

    >>> as_given(-2.50), as_given(12.0), as_given(0.1 + 0.2)
    ('\u22122.5', '12', '0.3')
    """
    return f"{value + 0.0:.12g}".replace("-", MINUS) if math.isfinite(value) else ABSENT


def written(value: float, digits: int = 12) -> float | None:
    """Round a number for a written record (12 significant digits), so that last-bit drift does not change bytes."""
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits - 1}e}")
    return 0.0 if rounded == 0 else rounded


def humanise(name: str) -> str:
    """Turn a table's code into words: `posterior_chain` becomes `posterior chain`."""
    return " ".join(name.replace("_", " ").split())
