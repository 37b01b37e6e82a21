"""Arrays and records of effects as JSON and back, bit by bit, for what a report keeps of its making."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.design.random_terms import KnownCorrelation
from metaback.effects.dependence import SamplingCovariance
from metaback.effects.effect_sizes import Context, CorrelationGrid, EffectSizes, Step
from metaback.stats.blocks import BlockMatrix, Blocks

# Records that may stand in a file; a name that is not here is refused, so that a file can make nothing else.
RECORDS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        BlockMatrix,
        Blocks,
        Context,
        CorrelationGrid,
        EffectSizes,
        KnownCorrelation,
        SamplingCovariance,
        Step,
    )
}
TIMES = "mM"  # kinds of arrays that are whole numbers of a unit of time
WORDS: Mapping[str, float] = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class NotKeptError(ValueError):
    """A value that a report cannot keep."""


def kept_value(value: Any) -> Any:
    """Return a value as plain JSON: numbers with every digit, arrays with their type, records by name.

    Takes None, truth values, numbers, texts, sequences, mappings, arrays, moments of time and the records of `RECORDS`.
    Raises `NotKeptError` for anything else.

    >>> restored_value(kept_value((1.5, float("nan"), None)))
    (1.5, nan, None)
    """
    simple = None if value is None or isinstance(value, bool | str) else _simple(value)
    if value is None or isinstance(value, bool | str):
        return value
    if simple is not None:
        return simple
    if isinstance(value, np.ndarray):
        return _array(cast("NDArray[Any]", value))
    if is_dataclass(value) and RECORDS.get(type(value).__name__) is type(value):
        own = cast("Any", value)
        return {
            "record": type(value).__name__,
            "parts": {f.name: kept_value(getattr(own, f.name)) for f in fields(own)},
        }
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {"mapping": [[kept_value(key), kept_value(part)] for key, part in pairs]}
    if isinstance(value, Sequence):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [kept_value(part) for part in cast("Sequence[Any]", value)]}
    raise NotKeptError(f"a {type(value).__name__} cannot be kept")


def _simple(value: Any) -> Any:
    """Return a number, a moment or a missing value as JSON, None for what is none of these."""
    if isinstance(value, np.generic):
        return {"scalar": _array(np.asarray(cast("Any", value)))}
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"number": str(value)}
    if value is pd.NaT or value is pd.NA:
        return {"missing": "NaT" if value is pd.NaT else "NA"}
    return {"moment": value.isoformat()} if isinstance(value, pd.Timestamp) else None


def _array(values: NDArray[Any]) -> dict[str, Any]:
    """Write an array: its type, its shape, its cells."""
    kind = values.dtype
    cells: Any = values.astype("i8") if kind.kind in TIMES else values
    if kind.kind == "O":
        listed = [kept_value(cell) for cell in cells.ravel().tolist()]
    elif kind.kind == "f":
        listed = [cell if math.isfinite(cell) else str(cell) for cell in cells.ravel().tolist()]
    elif kind.kind in "biuUmM":
        listed = cells.ravel().tolist()
    else:
        raise NotKeptError(f"an array of {kind} cannot be kept")
    return {"array": kind.str if kind.kind != "O" else "O", "shape": list(values.shape), "cells": listed}


def restored_value(found: Any) -> Any:
    """Return what `kept_value` wrote. Raises `ValueError`, `LookupError` or `TypeError` for what it never writes."""
    if not isinstance(found, dict):
        if isinstance(found, list):
            raise TypeError("a bare list stands where a value is expected")
        return found
    entry = cast("dict[str, Any]", found)
    (kind, *_) = entry
    return _READ[kind](entry)


def _cells(entry: Mapping[str, Any]) -> NDArray[Any]:
    """Read an array."""
    name, shape, cells = str(entry["array"]), tuple(map(int, entry["shape"])), list(entry["cells"])
    if name == "O":
        array = np.empty(len(cells), dtype=object)
        for place, cell in enumerate(cells):
            array[place] = restored_value(cell)
        return array.reshape(shape)
    kind = np.dtype(name)
    if kind.kind == "f":
        cells = [WORDS[cell] if isinstance(cell, str) else float(cell) for cell in cells]
    if kind.kind in TIMES:
        return np.array(cells, dtype="i8").astype(kind).reshape(shape)
    if kind.kind not in "biufU":
        raise ValueError(f"{name!r} is no kind of array that is kept")
    return np.array(cells, dtype=kind).reshape(shape)


def _record(entry: Mapping[str, Any]) -> Any:
    """Read a record."""
    parts = cast("dict[str, Any]", entry["parts"])
    return RECORDS[entry["record"]](**{name: restored_value(part) for name, part in parts.items()})


_READ: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "array": _cells,
    "scalar": lambda entry: _cells(entry["scalar"])[()],
    "record": _record,
    "mapping": lambda entry: {restored_value(key): restored_value(part) for key, part in entry["mapping"]},
    "tuple": lambda entry: tuple(restored_value(part) for part in entry["tuple"]),
    "list": lambda entry: [restored_value(part) for part in entry["list"]],
    "number": lambda entry: WORDS[entry["number"]],
    "missing": lambda entry: {"NaT": pd.NaT, "NA": pd.NA}[entry["missing"]],
    "moment": lambda entry: pd.Timestamp(entry["moment"]),
}


def kept_text(values: Mapping[str, Any]) -> str:
    """Return named values as JSON text, a value in a line; raises `NotKeptError`."""
    lines = [f"{json.dumps(name)}: {json.dumps(kept_value(value), allow_nan=False)}" for name, value in values.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def restored_text(text: str) -> dict[str, Any]:
    """Return the named values that `kept_text` wrote."""
    found: Any = json.loads(text)
    return {str(name): restored_value(value) for name, value in found.items()}
