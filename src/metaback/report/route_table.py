"""How effects came about that were not simply computed or copied: the table of routes on the page and its CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from metaback.effects.effect_sizes import EffectSizes
from metaback.postestimation.summary import Analysis
from metaback.report.document import Table
from metaback.report.records import csv_text

ROWS_SHOWN = 200
ROUTE_COLUMNS = (
    "comparison",
    "study",
    "row",
    "measure",
    "obtained",
    "inputs",
    "formulas",
    "assumed",
    "ignored",
    "disagreements",
    "corrections",
    "yi",
    "vi",
    "reason",
)
_HEADS = {
    "study": "Study",
    "inputs": "Given",
    "formulas": "Derived from it",
    "assumed": "Taken for granted",
    "ignored": "Left aside, because something better was given",
    "disagreements": "Contradictions",
}


def route_table(effects: EffectSizes) -> Table | None:
    """Return one row per row whose numbers were derived or were told twice; None where there is none.

    Columns that would be empty are left out. Of very long tables the first rows are returned, and the caption says so.
    """
    told = _told(effects)
    if not told:
        return None
    part = _rows(effects, told[:ROWS_SHOWN]).routes()
    part["formulas"] = [_derivations(text, effects.measure) for text in part["formulas"]]
    shown = [name for name in _HEADS if name in ("study", "inputs") or any(part[name])]
    cells = [tuple(map(str, part[name])) for name in shown]
    caption = "How numbers that the measure needs were derived, row by row"
    caption += f" (the first {ROWS_SHOWN} of {len(told):,})." if len(told) > ROWS_SHOWN else "."
    heads = tuple(_HEADS[name] for name in shown)
    return Table(caption, heads, tuple(zip(*cells, strict=True)), (False,) * len(heads), file="routes.csv")


def routes_csv(analyses: Sequence[Analysis]) -> str:
    """Return the route of every row of every comparison in full."""
    rows: list[tuple[Any, ...]] = []
    for number, analysis in enumerate(analyses, 1):
        routes = analysis.fitted.effects.routes()
        columns = [routes[name].tolist() for name in ROUTE_COLUMNS[1:]]
        rows += [(number, *map(_blank, row)) for row in zip(*columns, strict=True)]
    return csv_text(ROUTE_COLUMNS, rows)


def _blank(value: Any) -> Any:
    """Return nothing for what is not there."""
    return None if value == "" or (isinstance(value, float) and math.isnan(value)) else value


def _told(effects: EffectSizes) -> list[int]:
    """Return the positions of rows with something to tell."""
    columns = (effects.steps, effects.ignored, effects.disagreements)
    return [i for i in range(len(effects.labels)) if any(column and column[i] for column in columns)]


def _rows(effects: EffectSizes, keep: list[int]) -> EffectSizes:
    """Keep some rows of the record, as far as its routes need them."""
    index = np.array(keep, dtype=np.intp)

    words = ("labels", "rows", "obtained", "reasons", "corrections", "steps", "ignored", "disagreements")
    changed: dict[str, Any] = {
        name: tuple(values[i] for i in keep) if (values := getattr(effects, name)) else () for name in words
    }
    changed |= {name: getattr(effects, name)[index] for name in ("yi", "vi", "estimable", "clusters")}
    for name in ("inputs", "moderators"):
        changed[name] = {key: column[index] for key, column in getattr(effects, name).items()}
    return replace(effects, by=None, by_name=None, cov=None, **changed)


def _derivations(text: str, measure: str) -> str:
    """Leave out the last formula, that of the measure: the methods paragraph has it once for all rows."""
    return text.partition(f"; {measure} = ")[0] if not text.startswith(f"{measure} = ") else ""
