"""The columns of a forest plot: raw numbers of the arms, weight, effect, and what the reader asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from metaback import numbers
from metaback.effects.effect_sizes import EffectSizes, Floats
from metaback.errors import OptionError, suggestion
from metaback.plots.forest_layouts import Block, ForestLayout
from metaback.plots.forest_records import ForestColumn
from metaback.postestimation.words import comparison, sentence_case

_RAW = (("mean", "Mean"), ("sd", "SD"), ("events", "Events"), ("n", "N"), ("time", "Time"))
_SUMMED = ("events", "n", "time")
_EMPTY = frozenset({"", "nan", "none", "<na>", "nat"})
ORDERS = ("weight", "effect", "precision", "label", "year")
Columns = Sequence[str] | Mapping[str, str | tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column with the text of every row of the table; sums are the numbers that its pooled rows add up.

    digits: decimals of the sums. `block` says which of the layout's blocks it is in, "" for a column of the reader.
    """

    column: ForestColumn
    texts: tuple[str, ...]
    block: Block | Literal[""] = ""
    sums: tuple[Floats, ...] = ()
    digits: int = 0

    def total(self, rows: Sequence[int]) -> str:
        """Return the sums of some rows as one text, "" where a number is missing or nothing is added up."""
        added = [[float(values[row]) for row in rows] for values in self.sums]
        if not added or not rows or not all(math.isfinite(value) for values in added for value in values):
            return ""
        return "/".join(numbers.fixed(math.fsum(values), self.digits) for values in added)


def raw_columns(effects: EffectSizes, layout: ForestLayout) -> tuple[TableColumn, ...]:
    """Return the columns of raw data that any pooled row has, arm by arm.

    Participants alone, without means or events, are a column only where at least half of the rows state them.
    """
    pooled = effects.estimable if effects.estimable.any() else ~effects.estimable
    share = {role: float(np.isfinite(values[pooled]).mean()) for role, values in effects.inputs.items()}
    some = any(share.get(f"{stem}{arm}", 0) > 0 for stem in ("mean", "sd", "events") for arm in ("", "_1", "_2"))
    present = {role: values for role, values in effects.inputs.items() if share[role] > (0 if some else 0.499)}
    columns: list[TableColumn] = []
    for suffix, spanner in (("", ""), *zip(("_1", "_2"), comparison(effects).arms, strict=True)):
        arm = {stem: _raw(stem, head, suffix, spanner, present) for stem, head in _RAW if stem + suffix in present}
        columns += (_joined(arm, layout) if layout.joined else arm).values()
    return tuple(columns)


def _raw(stem: str, head: str, suffix: str, spanner: str, present: Mapping[str, Floats]) -> TableColumn:
    values, digits = present[stem + suffix], _raw_digits(stem, present)
    return TableColumn(
        column=ForestColumn(head, "left", "right", spanner, "raw"),
        texts=tuple(_number(float(value), digits) for value in values),
        block="raw",
        sums=(values,) if stem in _SUMMED else (),
        digits=digits,
    )


def _joined(arm: dict[str, TableColumn], layout: ForestLayout) -> dict[str, TableColumn]:
    """Write the numbers of an arm as `4/29` and `12.3 (4.5)`."""
    made = dict(arm)
    if "events" in arm and "n" in arm:
        events, n = made.pop("events"), made.pop("n")
        made["counts"] = replace(
            events,
            column=replace(events.column, head=layout.counted),
            texts=tuple(f"{a}/{b}" if a and b else "" for a, b in zip(events.texts, n.texts, strict=True)),
            sums=(*events.sums, *n.sums),
        )
    if "mean" in arm and "sd" in arm:
        mean, sd = made.pop("mean"), made.pop("sd")
        spread = replace(
            mean,
            column=replace(mean.column, head="Mean (SD)"),
            texts=tuple(f"{a} ({b})" if a and b else a for a, b in zip(mean.texts, sd.texts, strict=True)),
        )
        made = {"mean": spread, **made}
    return made


def _number(value: float, digits: int) -> str:
    return numbers.fixed(value, digits) if math.isfinite(value) else ""


def _raw_digits(stem: str, present: Mapping[str, Floats]) -> int:
    """Return the decimals of a kind of number: as many as it was given with, at most 2 (counts 1; more below 0.1)."""
    stems = ("mean", "sd") if stem in {"mean", "sd"} else (stem,)
    roles = [s + suffix for s in stems for suffix in ("", "_1", "_2")]
    values = [float(v) for role in roles if role in present for v in present[role] if math.isfinite(float(v))]
    return _digits(values, 1 if stem in _SUMMED else 2, counts=stem in _SUMMED)


def _digits(values: Sequence[float], most: int, *, counts: bool = False) -> int:
    largest = max((abs(v) for v in values), default=0.0)
    if not counts and 0 < largest < 0.1:
        most = min(6, 1 - math.floor(math.log10(largest)))
    return next((d for d in range(most) if all(math.isclose(round(v, d), v, rel_tol=1e-9) for v in values)), most)


def own_columns(effects: EffectSizes, asked: Columns | None) -> tuple[TableColumn, ...]:
    """Return the columns of the table that the reader asked for, with their heads and sides.

    asked: names, or a mapping from names to heads, or to (head, "left" or "right"); without a side they stand left.
    Raises `OptionError` for names that the table does not have, all of them at once.
    """
    if asked is None:
        return ()
    if isinstance(asked, str):
        asked = [asked]
    wanted = {name: _head(name, asked[name] if isinstance(asked, Mapping) else None) for name in asked}
    known = table_values(effects)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        listed = "; ".join(f"{name!r}{suggestion(name, known)}" for name in unknown)
        raise OptionError(f"columns: the table has no column {listed}; it has: {', '.join(known)}")
    return tuple(_own(known[name], *wanted[name]) for name in wanted)


def table_values(effects: EffectSizes) -> dict[str, Sequence[Any]]:
    """Return every column of the table by name: first as the user named it or its role, then raw numbers by role."""
    return {**{name: list(values) for name, values in effects.inputs.items()},
            **{name: list(values) for name, values in effects.moderators.items()}}  # fmt: skip


def _head(name: str, said: str | tuple[str, str] | None) -> tuple[str, Literal["left", "right"]]:
    """Return head and side of a column."""
    if said is None:
        return sentence_case(numbers.humanise(name)), "left"
    head, side = (said, "left") if isinstance(said, str) else said
    if side not in {"left", "right"}:
        raise OptionError.unknown(f"columns[{name!r}] side", side, ("left", "right"))
    return head, "right" if side == "right" else "left"


def _own(values: Sequence[Any], head: str, side: Literal["left", "right"]) -> TableColumn:
    """Write a column of the table: numbers with the decimals that they were given with, at most 2, anything else."""
    texts = ["" if _blank(value) else " ".join(str(value).split()) for value in values]
    read = [numbers.parse_number(text) if text else None for text in texts]
    if all(number is not None or not text for number, text in zip(read, texts, strict=True)) and any(texts):
        digits = _digits([number for number in read if number is not None], 2)
        shown = tuple("" if number is None else _number(number, digits) for number in read)
        return TableColumn(ForestColumn(head, side, "right", kind="number"), shown)
    return TableColumn(ForestColumn(head, side, "left", kind="text"), tuple(texts))


def _blank(value: Any) -> bool:
    return value is None or str(value).strip().lower() in _EMPTY


def row_order(effects: EffectSizes, weights: Floats, sort: str | None, *, descending: bool = False) -> list[int]:
    """Return the rows in the order in which they are shown; rows without a value stand last, ties in table order.

    sort: None for the order of the table; "weight" and "precision" begin with the largest; "effect", "year", "label"
    and columns of the table begin with the smallest. descending turns that round.
    Raises `OptionError` for a column that the table does not have.
    """
    rows = list(range(len(effects.labels)))
    if sort is None:
        if descending:
            raise OptionError("descending=True needs sort=, e.g. sort='effect'")
        return rows
    keys = _keys(effects, weights, sort)
    present = [row for row in rows if keys[row] is not None]
    if any(isinstance(keys[row], str) for row in present):
        present.sort(key=lambda row: str(keys[row]).casefold(), reverse=descending)
    else:
        present.sort(key=lambda row: float(keys[row] or 0.0), reverse=descending)
    return present + [row for row in rows if keys[row] is None]


def _keys(effects: EffectSizes, weights: Floats, sort: str) -> list[float | str | None]:
    """Return what each row is sorted by, None where it has no value."""
    by_name: dict[str, Floats] = {"effect": effects.yi, "precision": effects.vi, "weight": -weights}
    if sort == "label":
        return list(effects.labels)
    if sort in by_name:
        return [float(value) if math.isfinite(value) else None for value in by_name[sort].tolist()]
    known = table_values(effects)
    if sort not in known:
        words = list(dict.fromkeys((*ORDERS, *known)))
        raise OptionError.unknown("sort", sort, words)
    texts = ["" if _blank(value) else str(value) for value in known[sort]]
    read = [numbers.parse_number(text) if text else None for text in texts]
    if all(number is not None or not text for number, text in zip(read, texts, strict=True)):
        return list(read)
    return [text or None for text in texts]
