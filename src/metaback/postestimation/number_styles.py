"""How journals write numbers: the house's texts in another dress, and P values to a journal's places."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from metaback.numbers import ABSENT, fixed, p_phrase, p_text, significant

_NUMBER = "[\u2212]?(?:\u221e|[0-9][0-9,]*(?:\\.[0-9]+)?)%?"
_INTERVAL = re.compile(rf"\[({_NUMBER}), ({_NUMBER})\]")
_DECIMAL = re.compile(r"(?<=[0-9])\.(?=[0-9])")
_GROUPED = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")
_LONG = re.compile(r"(?<![0-9.,])[0-9]{5,}(?![0-9])")
_THIN = "\u2009"


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """One journal's way with numbers.

    brackets, joint: around and between the limits of an interval; dash: whether limits that cannot be negative (those
    of ratios) are joined by an en dash instead. decimal: its mark. thin: whether five digits and more are grouped by
    thin spaces, and four not at all. p: letter, what stands around its sign, and whether a zero leads; p_floor: below
    it only `<` is written; two_figures: P has two significant digits, at most four places.
    """

    key: str
    brackets: tuple[str, str] = ("[", "]")
    joint: str = ", "
    dash: bool = False
    decimal: str = "."
    thin: bool = False
    p_letter: str = "P"
    p_space: str = " "
    p_zero: bool = True
    p_floor: float = 0.001
    two_figures: bool = False

    def interval(self, low: str, high: str, *, ratio: bool = False) -> str:
        """Join two limits that are text already."""
        joint = "\u2013" if self.dash and ratio else self.joint
        return f"{self.brackets[0]}{low}{joint}{high}{self.brackets[1]}"


STANDARD = NumberStyle("standard")
NUMBER_STYLES: Mapping[str, NumberStyle] = {
    style.key: style
    for style in (
        STANDARD,
        NumberStyle("jama", brackets=("(", ")"), joint=" to ", thin=True, p_zero=False),
        NumberStyle("bmj", brackets=("(", ")"), joint=" to ", thin=True, p_space=""),
        NumberStyle(
            "lancet", brackets=("(", ")"), joint=" to ", dash=True, decimal="\u00b7", thin=True, p_letter="p",
            p_space="", p_floor=0.0001, two_figures=True,
        ),
    )
}  # fmt: skip


def restyled(text: str, style: NumberStyle, *, ratio: bool = False) -> str:
    r"""Return a text of numbers, as `metaback.numbers` writes them, in a journal's way. P values stay as they are.

    ratio: whether limits are of a ratio, which no minus sign can precede. Never give this names or labels.

    >>> restyled("0.79 [0.67, 0.93]", NUMBER_STYLES["bmj"]), restyled("14,763 people", NUMBER_STYLES["jama"])
    ('0.79 (0.67 to 0.93)', '14\u2009763 people')
    >>> restyled("0.79 [0.67, 0.93]", NUMBER_STYLES["lancet"], ratio=True)
    '0·79 (0·67–0·93)'
    """
    if style == STANDARD:
        return text
    text = _INTERVAL.sub(lambda found: style.interval(found[1], found[2], ratio=ratio), text)
    if style.thin:
        text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
        text = _LONG.sub(lambda found: _thin(found[0]), text)
    return text if style.decimal == "." else _DECIMAL.sub(style.decimal, text)


def _thin(digits: str) -> str:
    """Group digits by three from the right."""
    first = len(digits) % 3
    parts = [digits[:first], *(digits[i : i + 3] for i in range(first, len(digits), 3))]
    return _THIN.join(part for part in parts if part)


def p_styled(p: float | None, style: NumberStyle, letter: str = "") -> str:
    """Write a P value with its letter as a journal does; decimal points are left for `restyled`.

    letter: another one than the journal's, for P values of a named test. With two places, a value that would be
    rounded up to 0.05 keeps a third where no zero leads (the rule of the AMA manual).

    >>> [p_styled(0.0312, NUMBER_STYLES[key]) for key in ("standard", "jama", "bmj", "lancet")]
    ['P = 0.03', 'P = .03', 'P=0.03', 'p=0.031']
    >>> [p_styled(p, NUMBER_STYLES["jama"]) for p in (0.046, 0.0004, 0.9999)]
    ['P = .046', 'P < .001', 'P > .99']
    """
    named = (letter or "P")[:-1] + style.p_letter
    if style == STANDARD or p is None or not math.isfinite(p):
        return p_phrase(p, named)
    if p < style.p_floor or p > 0.99:
        sign, value = ("<", f"{style.p_floor:g}") if p < style.p_floor else (">", "0.99")
    else:
        sign, value = "=", _places(p, style)
    value = value if style.p_zero else value.removeprefix("0")
    return f"{named}{style.p_space}{sign}{style.p_space}{value}"


def p_cell(p: float | None, style: NumberStyle) -> str:
    """Write a P value without its letter, for a column of them, as `restyled` leaves nothing to do.

    >>> [p_cell(0.0312, NUMBER_STYLES[key]) for key in ("standard", "jama", "bmj", "lancet")]
    ['0.03', '.03', '0.03', '0·031']
    >>> [p_cell(p, NUMBER_STYLES["bmj"]) for p in (0.0004, None)]
    ['<0.001', '–']
    """
    if style == STANDARD or p is None or not math.isfinite(p):
        return p_text(p)
    text = p_styled(p, style).removeprefix(style.p_letter)
    return restyled(text.replace(" ", "").removeprefix("="), style)


def _places(p: float, style: NumberStyle) -> str:
    """Round a P value that is not below the floor."""
    if style.two_figures:
        return fixed(p, 4) if p < 0.001 else significant(p, 2)
    text = p_phrase(p).rpartition(" ")[2]
    return fixed(p, 3) if not style.p_zero and 0.045 <= p < 0.05 else text or ABSENT
