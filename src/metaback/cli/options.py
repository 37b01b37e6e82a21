"""The kinds of values that options of several commands take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click

from metaback.checks.decisions import Decision, read_decisions
from metaback.data.plan_file import decisions_of, read_plan
from metaback.effects.instruments import read_instrument_file


class Pair(click.ParamType[tuple[str, str]]):
    """Two treatments with a colon between them."""

    name = "A:B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the colon."""
        first, colon, second = str(value).partition(":")
        if not colon or not first.strip() or not second.strip():
            self.fail(f"{value!r} is not a pair of treatments; write them as A:B", param, ctx)
        return first.strip(), second.strip()


class Convention(click.ParamType[tuple[str, str]]):
    """A name and a word with an equals sign between them."""

    name = "NAME=WORD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the equals sign."""
        name, sign, word = str(value).partition("=")
        if not sign or not name.strip() or not word.strip():
            self.fail(f"{value!r} is not a convention; write it as vtype=LS", param, ctx)
        return name.strip(), word.strip()


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them."""

    name = "R,R,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Split at the commas."""
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers; write it as 0.3,0.5,0.7", param, ctx)


class WordOrNumber(click.Choice[str]):
    """A word of a vocabulary, or a number in its place."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Let numbers pass; the request checks their range."""
        try:
            return float(value)
        except ValueError:
            return super().convert(value, param, ctx)


def choice_of(words: Any) -> click.Choice[str]:
    """Offer the words of a Literal type."""
    return click.Choice(words_of(words))


def words_of(words: Any) -> tuple[str, ...]:
    """Return the words of a Literal type."""
    return tuple(str(word) for word in get_args(words))


def instruments_of(path: Path | None) -> Mapping[str, Any] | None:
    """Return the facts about instruments of a JSON file, None where no file is named."""
    return None if path is None else read_instrument_file(path)


def planned(path: Path | None) -> tuple[Decision, ...]:
    """Return the decisions of a plan file, none where there is no plan."""
    return () if path is None else read_decisions(decisions_of(read_plan(path), path))
