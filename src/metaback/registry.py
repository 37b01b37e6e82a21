"""Families of methods: one decorated function adds a method, and everything else is a filter over the family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from metaback.errors import OptionError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Entry(Generic[F]):
    """One method of a family: its key, its function and what the rest of the house needs to know about it."""

    key: str
    function: F
    title: str
    cite: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Registry(Generic[F]):
    """A named family of methods, in the order of their definition."""

    def __init__(self, option: str) -> None:
        """Name the family by the option that chooses among its methods."""
        self.option = option
        self._entries: dict[str, Entry[F]] = {}

    def register(self, key: str, *, title: str, cite: str = "", **facts: Any) -> Callable[[F], F]:
        """Return the decorator that adds a function under `key`; `cite` holds keys of references.bib."""

        def add(function: F) -> F:
            if key in self._entries:
                raise KeyError(f"{self.option} {key!r} is defined twice")
            self._entries[key] = Entry(key, function, title, tuple(cite.split()), facts)
            return function

        return add

    def __getitem__(self, key: str) -> Entry[F]:
        """Return the method of that key, or an error that lists the family."""
        if key not in self._entries:
            raise OptionError.unknown(self.option, key, self._entries)
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Count the methods."""
        return len(self._entries)

    def entries(self) -> tuple[Entry[F], ...]:
        """Return all methods in the order of their definition."""
        return tuple(self._entries.values())
