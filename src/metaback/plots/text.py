"""Measuring and breaking text for figures, in inches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from metaback.plots.fonts import Typeface, text_width, typeface
from metaback.plots.style import Style

ELLIPSIS = "\u2026"
TAIL = 12  # letters at the end of a name that stay when it is shortened


@dataclass(frozen=True, slots=True)
class Wrapped:
    """Text broken into lines; `whole` is False when its end had to be left out."""

    lines: tuple[str, ...]
    whole: bool = True


@dataclass(frozen=True)
class Ruler:
    """Measures texts in one typeface and remembers what it measured."""

    face: Typeface
    style: Style
    widths: dict[tuple[str, float, bool], float] = field(default_factory=dict[tuple[str, float, bool], float])

    def width(self, text: str, *, size: float | None = None, bold: bool = False) -> float:
        """Return the width of a line of text in inches; size in points, that of the table by default."""
        key = (text, size or self.style.size, bold)
        if key not in self.widths:
            self.widths[key] = text_width(text, self.face.properties(key[1], bold=bold)) if text else 0.0
        return self.widths[key]

    def widest(self, texts: Iterable[str], *, size: float | None = None, bold: bool = False) -> float:
        """Return the width of the widest of many lines, measuring only those that can be it."""
        by_guess = sorted(set(texts), key=self._guess, reverse=True)
        floor = 0.8 * self._guess(by_guess[0]) if by_guess else 0.0
        likely = [text for text in by_guess if self._guess(text) >= floor][:12]
        return max((self.width(text, size=size, bold=bold) for text in likely), default=0.0)

    def _guess(self, text: str) -> float:
        return sum(self.width(character) for character in text)

    def wrap(
        self,
        text: str,
        width: float,
        *,
        lines: int = 9,
        size: float | None = None,
        bold: bool = False,
        named: bool = False,
    ) -> Wrapped:
        """Break text at spaces, and words wider than a line anywhere; end in an ellipsis beyond that many lines.

        named: whether the text is a name, which loses its middle instead of its end.
        """
        text = self.face.printable(text)
        if self.width(text, size=size, bold=bold) <= width:
            return Wrapped((text,))
        made: list[str] = []
        current = ""
        for word in text.split(" "):
            tried = f"{current} {word}" if current else word
            if self.width(tried, size=size, bold=bold) <= width:
                current = tried
                continue
            if current:
                made.append(current)
            while self.width(word, size=size, bold=bold) > width and len(made) <= lines:
                fits = self._fitting(word, width, size=size, bold=bold)
                made.append(word[:fits])
                word = word[fits:]  # noqa: PLW2901 the rest of the word is the next word
            current = word
        made += [current] if current else []
        if len(made) <= lines:
            return Wrapped(tuple(made))
        cut = made[lines - 1]
        end = ELLIPSIS + ending(text) if named else ELLIPSIS
        if self.width(end, size=size, bold=bold) > 2 * width / 3:
            end = ELLIPSIS
        room = width - self.width(end, size=size, bold=bold)
        if self.width(cut, size=size, bold=bold) > room:
            cut = cut[: self._fitting(cut, room, size=size, bold=bold)]
        return Wrapped((*made[: lines - 1], cut.rstrip() + end), whole=False)

    def narrowest(self, text: str, lines: int, *, bold: bool = False) -> float:
        """Return the smallest width at which the words of a text, none of them broken, take at most that many lines."""
        words = self.face.printable(text).split(" ")
        low, high = max(self.width(word, bold=bold) for word in words), self.width(" ".join(words), bold=bold)
        if lines <= 1 or len(self.wrap(text, low, bold=bold).lines) <= lines:
            return high if lines <= 1 else low
        for _ in range(9):
            middle = (low + high) / 2
            low, high = (low, middle) if len(self.wrap(text, middle, bold=bold).lines) <= lines else (middle, high)
        return high

    def balanced(self, text: str, width: float, *, lines: int = 9, bold: bool = False) -> Wrapped:
        """Break text as `wrap` does, with lines of like length."""
        first = self.wrap(text, width, lines=lines, bold=bold)
        if len(first.lines) == 1 or not first.whole:
            return first
        even = self.wrap(text, self.narrowest(text, len(first.lines), bold=bold), lines=lines, bold=bold)
        return even if len(even.lines) <= len(first.lines) and even.whole else first

    def _fitting(self, text: str, width: float, *, size: float | None, bold: bool) -> int:
        """Return how many characters from the start fit into the width, at least one."""
        count = bisect_right(range(1, len(text) + 1), width, key=lambda n: self.width(text[:n], size=size, bold=bold))
        return max(1, count)


def ruler(style: Style, texts: Iterable[str]) -> Ruler:
    """Return a ruler whose typeface can draw the texts as far as this machine has fonts for them."""
    return Ruler(typeface(style.font, texts), style)


def ending(name: str) -> str:
    """Return the last words of a name, which tell it from others that begin alike: years stand there.

    >>> ending("A consortium with a long name 2015")
    'name 2015'
    """
    return name[-TAIL:].partition(" ")[2] or name[-TAIL:]


def glue(text: str) -> str:
    """Keep `df = 8`, `P < 0.001`, `k - 1` and `I² (from Q)` on one line when text is broken."""
    for sign in ("=", "<", ">", "\u2212"):
        text = text.replace(f" {sign} ", f"\u00a0{sign}\u00a0")
    return text.replace("I² (from ", "I²\u00a0(from\u00a0")
