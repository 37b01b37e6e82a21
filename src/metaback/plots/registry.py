"""The family of figures: one decorated function each, from a finished analysis to a drawn figure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from metaback.errors import OptionError
from metaback.registry import Entry, Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Source = Literal["pool", "regression"]
Drawer = Callable[..., "Figure"]
FIGURES: Registry[Drawer] = Registry("kind")
OF: Mapping[Source, str] = {"pool": "a pool", "regression": "a meta-regression"}
GIVEN = ("ax", "style")  # what every figure takes besides its own options


def figure(key: str, *, title: str, cite: str = "", of: tuple[Source, ...] = ("pool",)) -> Callable[[Drawer], Drawer]:
    """Return the decorator that adds a figure.

    The function takes an `Analysis` (of a pool) or a `RegressionAnalysis`, and by keyword `ax`, `style` and options of
    its own, and returns the figure. of: what it can be drawn of. A figure that does not suit an analysis raises
    `OptionError` or `EstimationError` in words.
    """
    return FIGURES.register(key, title=title, cite=cite, of=of)


def figures_of(source: Source) -> tuple[Entry[Drawer], ...]:
    """Return the figures that can be drawn of a pool or of a meta-regression, in the order of their definition."""
    return tuple(entry for entry in FIGURES.entries() if source in entry.facts["of"])


def option_names(entry: Entry[Drawer]) -> tuple[str, ...]:
    """Return the options of a figure: the keyword-only parameters of its function but `ax` and `style`."""
    parameters = inspect.signature(entry.function).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in GIVEN)


def find_figure(kind: str, source: Source, options: Mapping[str, Any]) -> Entry[Drawer]:
    """Return a figure by its key, after a check that it has all the options and can be drawn of that source.

    Raises `OptionError` for an unknown kind or option, and for a figure of something else.
    """
    here = figures_of(source)
    if kind in FIGURES and source not in FIGURES[kind].facts["of"]:
        others = " or ".join(OF[name] for name in FIGURES[kind].facts["of"])
        words = ", ".join(entry.key for entry in here)
        raise OptionError(f"kind={kind!r} is a figure of {others}; of {OF[source]} there are: {words}")
    if kind not in FIGURES:
        raise OptionError.unknown("kind", kind, [entry.key for entry in here])
    known = option_names(FIGURES[kind])
    if unknown := [name for name in options if name not in known]:
        words = ", ".join(known) or "none"
        which = ", ".join(repr(name) for name in unknown)
        raise OptionError(f"figure {kind!r} has no option {which}; its options: {words}")
    return FIGURES[kind]
