"""A forest plot brought to a given width: what gives way, in which order, and what is told about it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace

from metaback.errors import OptionError
from metaback.plots.forest_records import ForestData
from metaback.plots.layout import page_grid
from metaback.plots.style import Style
from metaback.plots.text import Ruler

Width = str | float | None
WIDTHS = {"single": 85 / 25.4, "double": 175 / 25.4}  # inches of one and of two columns of a journal
PANEL, SMALL_PANEL, LEAST_PANEL = 1.6, 1.2, 0.9
SIZES = (8.0, 7.5, 7.0, 6.5)  # points that are tried before a column is left out
SMALLEST = 6.0
_LABELS = ((1.5, 3), (1.3, 4), (1.0, 6), (0.8, 8))  # widest label in inches, and the lines that it may take
_FEWER = ("text", "number", "raw", "weight")  # kinds of columns that can be missed, in the order in which they go
_CALLER = 4  # calls between this file and the one who asked for a figure
_STEPS, _NEAR = 8, 5e-4  # rounds in which a width is approached, and inches that are no difference


class LayoutWarning(UserWarning):
    """A figure is not as it was asked for: a column was left out, or it is wider."""


def inches_of(width: str | float) -> float:
    """Return a width in inches: that of "single" or "double" columns, or the number itself.

    >>> round(inches_of("single"), 3), inches_of(7)
    (3.346, 7.0)
    """
    if isinstance(width, str):
        if width not in WIDTHS:
            raise OptionError.unknown("width", width, WIDTHS)
        return WIDTHS[width]
    if not (math.isfinite(width) and 2 <= width <= 100):
        raise OptionError(f"width={width!r}: 'single', 'double', or 2 to 100 inches")
    return float(width)


def fitted_to(
    data: ForestData, ruler: Ruler, width: Width, limits: tuple[float, float] | None = None
) -> tuple[ForestData, Ruler]:
    """Return data and ruler with which a forest is as wide as asked.

    Room that is left goes to the panel. Where there is too little, the panel shrinks, then gaps and labels (on more
    lines), then letters to 6.5 points, then columns are left out with a `LayoutWarning` (those of the reader, raw
    numbers, weights), then letters become 6 points and the panel smaller yet. Text is never cut: where all that is not
    enough the figure is wider, with a `LayoutWarning`.
    """
    if width is None:
        return data, ruler
    target, told = inches_of(width), list[str]()
    best = (data, ruler)
    for tried, style in _attempts(data, ruler.style):
        found = _with_panel(tried, Ruler(ruler.face, style), target, limits)
        best = (tried, found or Ruler(ruler.face, style))
        if found is not None:
            break
    else:
        told.append(f"the forest plot needs {_natural(*best, limits):.1f} inches, not {target:.1f}")
    told = [*_left_out(data, best[0]), *told]
    if told:
        warnings.warn("; ".join(told), LayoutWarning, stacklevel=_CALLER)
    return best


def _with_panel(data: ForestData, measure: Ruler, target: float, limits: tuple[float, float] | None) -> Ruler | None:
    """Return a ruler with the panel that makes the forest as wide as the target; None where that is too small.

    Words beside the panel move with it, so the width is approached in steps.
    """
    least = min(measure.style.panel_width, PANEL)
    for _ in range(_STEPS):
        spare = target - _natural(data, measure, limits)
        if abs(spare) < _NEAR:
            return measure
        panel = measure.style.panel_width + spare
        if panel < least - _NEAR:
            return None
        measure = Ruler(measure.face, replace(measure.style, panel_width=panel), measure.widths)
    return measure if _natural(data, measure, limits) <= target + _NEAR else None


def _natural(data: ForestData, measure: Ruler, limits: tuple[float, float] | None) -> float:
    return page_grid(data, measure, limits).right + measure.style.margin


def _attempts(data: ForestData, style: Style) -> Iterator[tuple[ForestData, Style]]:
    """List what can be tried, the gentlest first."""
    yield data, style
    tight = replace(style, panel_width=min(style.panel_width, PANEL), gap=0.7 * style.gap, margin=0.06)
    label, lines = _LABELS[0]
    tight = replace(tight, label_width=min(style.label_width, label), label_lines=max(style.label_lines, lines))
    fewer: ForestData | None = data
    last = data
    while fewer is not None:
        for size in SIZES:
            if size <= style.size:
                yield fewer, _sized(tight, size)
        last, fewer = fewer, _without_one(fewer)
    for label, lines in _LABELS[1:]:
        for panel in (PANEL, SMALL_PANEL, LEAST_PANEL):
            small = replace(tight, label_width=label, label_lines=lines, panel_width=panel)
            yield last, _sized(small, min(SMALLEST, style.size))


def _sized(style: Style, size: float) -> Style:
    """Return a style with smaller letters, none of them below what can be read in print."""
    title, note = min(style.title_size, size + 1), max(SMALLEST, min(style.note_size, size))
    return replace(style, size=size, title_size=title, note_size=note)


def _without_one(data: ForestData) -> ForestData | None:
    """Leave out the column that can best be missed, and with a number of an arm all columns of that kind."""
    for kind in _FEWER:
        found = [i for i, column in enumerate(data.columns) if column.kind == kind]
        if found:
            out = set(found) if kind == "raw" else {found[-1]}
            kept = [i for i in range(len(data.columns)) if i not in out]
            rows = tuple(
                replace(row, cells=tuple(row.cells[i] for i in kept)) if row.cells else row for row in data.rows
            )
            return replace(data, columns=tuple(data.columns[i] for i in kept), rows=rows)
    return None


def _left_out(data: ForestData, drawn: ForestData) -> list[str]:
    """Name the columns that were left out."""
    kept = list(drawn.columns)
    out = [f"{column.spanner}: {column.head}".removeprefix(": ") for column in data.columns if column not in kept]
    listed = ", ".join(f"'{head}'" for head in out)
    return [f"left out for lack of width: {listed}"] if out else []
