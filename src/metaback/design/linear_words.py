"""Linear combinations of coefficients in words, such as "stratum[T.12-16 weeks] - 2 * weeks = 0"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.errors import OptionError, suggestion

Floats = NDArray[np.float64]
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear function of coefficients: `weights` (p,) times beta plus `constant`."""

    weights: Floats
    constant: float

    @property
    def is_number(self) -> bool:
        """Tell whether no coefficient takes part."""
        return not self.weights.any()

    def times(self, factor: float) -> Linear:
        """Multiply by a number."""
        return Linear(self.weights * factor, self.constant * factor)

    def plus(self, other: Linear) -> Linear:
        """Add another one."""
        return Linear(self.weights + other.weights, self.constant + other.constant)


def linear(text: str, terms: Sequence[str]) -> tuple[Floats, float]:
    """Return the weights of the coefficients, (p,), and the value that their sum is compared with.

    text: names of coefficients as printed, numbers, + - * / and parentheses; "= ..." states the hypothesis, 0 without.
    Names are matched longest first, so they need no quotes whatever signs they hold.

    Raises `OptionError` for an unknown name, a product of coefficients, or no coefficient at all.

    >>> weights, value = linear("2 * (b - a) = 1", ["a", "b"])
    >>> weights.tolist(), value
    ([-2.0, 2.0], 1.0)
    """
    left, right = _sides(text, terms)
    reader = _Reader(_tokens(left, terms), len(terms), text)
    found = reader.whole()
    if right is not None:
        found = found.plus(_Reader(_tokens(right, terms), len(terms), text).whole().times(-1))
    if found.is_number:
        raise OptionError(f"contrast {text!r} has no coefficient in it; the coefficients are: {', '.join(terms)}")
    return found.weights, 0.0 - found.constant


def _sides(text: str, terms: Sequence[str]) -> tuple[str, str | None]:
    """Split at the equals sign that does not belong to a name."""
    hidden = text
    for name in sorted(terms, key=len, reverse=True):
        hidden = hidden.replace(name, "\0" * len(name))
    places = [i for i, sign in enumerate(hidden) if sign == "="]
    if len(places) > 1:
        raise OptionError(f"contrast {text!r} has more than one '='")
    return (text[: places[0]], text[places[0] + 1 :]) if places else (text, None)


def _tokens(text: str, terms: Sequence[str]) -> list[str | int]:
    """Split into signs and numbers (text) and coefficients (their position)."""
    order = sorted(range(len(terms)), key=lambda i: -len(terms[i]))
    tokens: list[str | int] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        name = next((i for i in order if text.startswith(terms[i], at)), None)
        number = _NUMBER.match(text, at)
        if name is not None:
            tokens.append(name)
            at += len(terms[name])
        elif number:
            tokens.append(number.group())
            at = number.end()
        elif text[at] in "+-\u2212*/()":
            tokens.append("-" if text[at] == "\u2212" else text[at])
            at += 1
        else:
            word = re.split(r"[\s+*/()]", text[at:], maxsplit=1)[0]
            hint = suggestion(word, terms)
            raise OptionError(f"contrast: {word!r} is not a coefficient{hint}; they are: {', '.join(terms)}")
    return tokens


class _Reader:
    """Reads sums of products by recursive descent."""

    def __init__(self, tokens: list[str | int], p: int, text: str) -> None:
        self.tokens, self.p, self.text, self.at, self.depth = tokens, p, text, 0, 0

    def whole(self) -> Linear:
        """Read one side to its end."""
        value = self._sum()
        if self.at < len(self.tokens):
            raise self._wrong()
        return value

    def _wrong(self) -> OptionError:
        return OptionError(f"contrast {self.text!r} cannot be read; write it like 'a - b = 0'")

    def _next(self, signs: str) -> str | None:
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        if isinstance(token, str) and token in signs:
            self.at += 1
            return token
        return None

    def _sum(self) -> Linear:
        value = self._product()
        while sign := self._next("+-"):
            value = value.plus(self._product().times(1.0 if sign == "+" else -1.0))
        return value

    def _product(self) -> Linear:
        value = self._factor()
        while sign := self._next("*/"):
            other = self._factor()
            if sign == "/" and not (other.is_number and other.constant):
                raise self._wrong()
            if sign == "/":
                value = value.times(1 / other.constant)
            elif other.is_number:
                value = value.times(other.constant)
            elif value.is_number:
                value = other.times(value.constant)
            else:
                raise OptionError(f"contrast {self.text!r} multiplies coefficients; only sums of them can be tested")
        return value

    def _factor(self) -> Linear:
        self.depth += 1
        if self.at >= len(self.tokens) or self.depth > _DEEPEST:
            raise self._wrong()
        token = self.tokens[self.at]
        self.at += 1
        value = self._inside(token)
        self.depth -= 1
        return value

    def _inside(self, part: str | int) -> Linear:
        if isinstance(part, int):
            return Linear(np.eye(self.p)[part], 0.0)
        if part in ("+", "-"):
            return self._factor().times(1.0 if part == "+" else -1.0)
        if part == "(":
            value = self._sum()
            if not self._next(")"):
                raise self._wrong()
            return value
        if part in ("*", "/", ")"):
            raise self._wrong()
        return Linear(np.zeros(self.p), float(part))
