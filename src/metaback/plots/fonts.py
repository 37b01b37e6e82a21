"""Which characters can be drawn: fonts that stand in for the main one, and a box for what no font has."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import text_to_path

from metaback.errors import OptionError, suggestion

MISSING = "\u25a1"
_SPARE = 1.01
_SPACES = re.compile(" {2,}")
STAND_INS = (
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
    "Noto Sans Thai",
    "Noto Emoji",
    "Droid Sans Fallback",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Nirmala UI",
    "Segoe UI Emoji",
)
NO_LETTERS = ("cm", "STIX", "Last", ".", "Symbol", "Webdings", "Wingdings", "Adobe Blank")
_DROPPED = frozenset("\u00ad\u200b\u200e\u200f\u2060\ufeff") | frozenset(
    chr(code) for start, stop in ((0x202A, 0x202F), (0x2066, 0x206A), (0xFE00, 0xFE10)) for code in range(start, stop)
)


@dataclass(frozen=True)
class Typeface:
    """The font families that a figure is set in, and the characters that they can draw."""

    families: tuple[str, ...]
    missing: frozenset[str]

    def printable(self, text: str) -> str:
        """Return the text as it can be drawn on one line: controls as spaces, what no font has as a box."""
        kept = (character for character in text if character not in _DROPPED)
        drawn = (" " if _is_control(c) else MISSING if c in self.missing else c for c in kept)
        return _SPACES.sub(" ", "".join(drawn)).strip()

    def properties(self, size: float, *, bold: bool = False) -> FontProperties:
        """Return the font of that size in points."""
        weight: Literal["bold", "normal"] = "bold" if bold else "normal"
        return FontProperties(family=list(self.families), size=size, weight=weight)


def typeface(main: str, texts: Iterable[str]) -> Typeface:
    """Return the main font with as many stand-ins as the texts need and the machine has.

    Raises `OptionError` when the main font is not installed.
    """
    installed = _installed()
    if main not in installed:
        raise OptionError(f"font={main!r} is not installed{suggestion(main, sorted(installed))}")
    lost = {c for text in texts for c in text if c not in _DROPPED and not _is_control(c)} - _characters(main)
    families = [main]
    for family in (*STAND_INS, *_others(installed)):
        if not lost:
            break
        if family in installed and lost & _characters(family):
            families.append(family)
            lost -= _characters(family)
    return Typeface(tuple(families), frozenset(lost))


def _installed() -> set[str]:
    """Name the font families of the machine."""
    return {font.name for font in fontManager.ttflist}


def _others(installed: Iterable[str]) -> list[str]:
    """List the other fonts of the machine, tried last; not those whose glyphs are signs or boxes for any character."""
    return sorted(family for family in installed if family not in STAND_INS and not family.startswith(NO_LETTERS))


def text_width(text: str, properties: FontProperties) -> float:
    """Return the width of one line of text in inches, with a little to spare for the rounding of painted glyphs."""
    return _SPARE * measured(text, properties)


@lru_cache(maxsize=50_000)
def measured(text: str, properties: FontProperties) -> float:
    """Return the width of one line of text in inches, as its glyphs have it."""
    return float(text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0]) / 72


@cache
def _characters(family: str) -> frozenset[str]:
    """Return the characters that a family has both in its normal and in its bold face."""
    faces: list[frozenset[str]] = []
    for weight in ("normal", "bold"):
        path = fontManager.findfont(FontProperties(family=[family], weight=weight))
        faces.append(frozenset(map(chr, FT2Font(path).get_charmap())))
    return faces[0] & faces[1]


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Zl", "Zp"}
