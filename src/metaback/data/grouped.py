"""Long tables of many groups: the columns of numbers and the groups by their keys, in order of first appearance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.data.cells import MISSING
from metaback.data.frames import read_any_frame
from metaback.data.read import read_raw
from metaback.errors import DataError, OptionError, Problem

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
SHOWN = 20  # cells of one column that an error lists
FIX = "Write one plain number with a decimal point per cell, or leave it blank"


@dataclass(frozen=True, slots=True)
class GroupColumns:
    """Which columns of a long table are read, by name.

    by: the key, one or several columns. numbers: name of an argument -> its column, e.g. {"effect": "yi"}.
    subgroups, study: columns of labels, or None; others: whether all other columns are read too, for a formula.
    """

    by: tuple[str, ...]
    numbers: Mapping[str, str]
    subgroups: str | None = None
    others: bool = False
    study: str | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """Name every column that must be there, each once."""
        some = (name for _, name in self.labels)
        return tuple(dict.fromkeys((*self.by, *self.numbers.values(), *some)))

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Return the columns of labels with the names of their arguments."""
        named = (("subgroups", self.subgroups), ("study", self.study))
        return tuple((what, name) for what, name in named if name is not None)


@dataclass(frozen=True, slots=True)
class Groups:
    """Some groups of a table, the rows of each behind each other.

    keys: (n,) one row per group with the columns of the key; keyed: (n,) whether no cell of it is blank or
    spaces; first: (n,)
    the row of the table at which each begins. sizes: (n,) rows. numbers: by argument, (rows,), nan where blank.
    levels, studies: (rows,) labels of subgroups and of studies, "" where blank, or None; others: further columns,
    (rows,) each, or None. categories: values of the columns that are pandas categories, in their order.
    """

    keys: pd.DataFrame
    keyed: NDArray[np.bool_]
    first: Counts
    sizes: Counts
    numbers: Mapping[str, Floats]
    levels: NDArray[np.object_] | None = None
    others: Mapping[str, NDArray[Any]] | None = None
    categories: Mapping[str, tuple[Any, ...]] | None = None
    studies: NDArray[np.object_] | None = None

    def cut(self, start: int, stop: int) -> Groups:
        """Return the groups from start to stop."""
        ends = np.concatenate(([0], np.cumsum(self.sizes)))
        rows = slice(int(ends[start]), int(ends[stop]))
        return Groups(
            self.keys.iloc[start:stop].reset_index(drop=True),
            self.keyed[start:stop],
            self.first[start:stop],
            self.sizes[start:stop],
            {name: column[rows] for name, column in self.numbers.items()},
            None if self.levels is None else self.levels[rows],
            None if self.others is None else {name: column[rows] for name, column in self.others.items()},
            self.categories,
            None if self.studies is None else self.studies[rows],
        )


def long_frame(source: Any) -> pd.DataFrame:
    """Return a long table as a pandas frame that is not to be changed: frames as they are, others and files read.

    Names of columns become texts.
    """
    if isinstance(source, pd.DataFrame):
        return source.set_axis([str(name) for name in source.columns], axis=1)
    if isinstance(source, str | Path):
        return read_raw(source)[0].frame
    return read_any_frame(source).frame


def check_columns(columns: GroupColumns, present: Sequence[object]) -> None:
    """Raise `OptionError` for columns that are not there, that stand twice, or that play two parts."""
    names = [str(name) for name in present]
    problems = [
        str(OptionError.unknown(what, name, dict.fromkeys(names)))
        for what, name in (*(("by", name) for name in columns.by), *columns.numbers.items(), *columns.labels)
        if name not in names
    ]
    problems += [
        f"{len(at)} columns are called {name!r}; rename all but one"
        for name in columns.needed
        if len(at := [i for i, other in enumerate(names) if other == name]) > 1
    ]
    numbers = set(columns.numbers.values())
    problems += [f"by={name!r} is a column of numbers to be pooled too" for name in columns.by if name in numbers]
    if columns.subgroups in columns.by:
        problems.append(f"subgroups={columns.subgroups!r} is the key itself; each group would be its own subgroup")
    if problems:
        raise OptionError("; ".join(problems))


def group_ids(keys: pd.DataFrame) -> NDArray[np.intp]:
    """Return the number of each row's group, (rows,), in order of first appearance; blank cells of a key are equal.

    >>> group_ids(pd.DataFrame({"a": ["y", "x", "y", None], "b": [1, 1, 1, 1]})).tolist()
    [0, 1, 0, 2]
    """
    ids = np.zeros(len(keys), dtype=np.int64)
    for name in keys.columns:
        try:
            codes, values = pd.factorize(keys[name])
        except TypeError:
            rule, fix = "a cell is no plain value (a list or the like)", "Use texts, numbers or dates as keys"
            raise DataError("the table", [Problem(rule, fix, str(name))]) from None
        ids, _ = pd.factorize(ids * (len(values) + 1) + codes + 1)
    return np.asarray(ids, dtype=np.intp)


def grouped_frame(frame: pd.DataFrame, columns: GroupColumns, first_row: Counts | None = None) -> Groups:
    """Return the groups of a whole frame; first_row: (rows,) numbers of its rows in a larger table, or None."""
    keys = frame[list(columns.by)]
    ids = group_ids(keys)
    order = np.argsort(ids, kind="stable")
    sizes = np.bincount(ids).astype(np.int64)
    first = order[np.cumsum(sizes) - sizes]
    named = first if first_row is None else first_row[first]
    return collected(frame, columns, order, keys.iloc[first].reset_index(drop=True), sizes, named)


def collected(
    frame: pd.DataFrame,
    columns: GroupColumns,
    order: NDArray[np.intp],
    keys: pd.DataFrame,
    sizes: Counts,
    named: NDArray[np.integer[Any]],
) -> Groups:
    """Take the columns of a frame in the order of its groups.

    order: (rows,) positions, group by group; keys: (n,) rows of the groups' keys; named: (n,) number of the first row
    of each.
    """
    problems: list[Problem] = []
    numbers = {what: _numbers(frame[name], problems)[order] for what, name in columns.numbers.items()}
    if problems:
        raise DataError("the table", problems)
    rest = [name for name in frame.columns if name not in columns.by] if columns.others else []
    kinds: dict[str, tuple[Any, ...]] = {
        str(name): tuple(frame[name].cat.categories)
        for name in rest
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    return Groups(
        keys,
        _keyed(keys),
        np.asarray(named, dtype=np.int64),
        sizes,
        numbers,
        None if columns.subgroups is None else _labels(frame[columns.subgroups])[order],
        {str(name): np.asarray(frame[name].to_numpy(dtype=object))[order] for name in rest} if columns.others else None,
        kinds,
        None if columns.study is None else _labels(frame[columns.study])[order],
    )


def _keyed(keys: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which keys have no blank cell, (n,); a text of spaces is blank."""
    full = np.asarray(keys.notna().to_numpy(dtype=bool).all(axis=1), dtype=bool)
    for name in keys.columns:
        if not (pd.api.types.is_numeric_dtype(keys[name].dtype) or pd.api.types.is_datetime64_any_dtype(keys[name])):
            full &= np.array([not isinstance(cell, str) or bool(cell.strip()) for cell in keys[name]], dtype=bool)
    return full


def _numbers(column: pd.Series[Any], problems: list[Problem]) -> Floats:
    """Return a column as numbers, nan where it is blank or a word for nothing ("NA"), and collect what is none."""
    kind = column.dtype
    if pd.api.types.is_numeric_dtype(kind) and not (
        pd.api.types.is_bool_dtype(kind) or pd.api.types.is_complex_dtype(kind)
    ):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    cells = column.astype(object).to_numpy()
    blank = column.isna().to_numpy() | np.array(
        [isinstance(cell, str) and cell.strip().lower() in MISSING for cell in cells], dtype=bool
    )
    found = pd.to_numeric(pd.Series([_number(cell) for cell in cells], dtype=object), errors="coerce")
    values = np.asarray(found.to_numpy(dtype=np.float64, na_value=np.nan))
    bad = np.flatnonzero(np.isnan(values) & ~blank)
    problems += [
        Problem("is not a number", FIX, str(column.name), f"index {column.index[i]}", str(cells[i])[:60])
        for i in bad[:SHOWN].tolist()
    ]
    return values


def _number(cell: object) -> object:
    """Return a cell as it is, or nothing for what only a program takes for a number: true, false and dates."""
    return cell if isinstance(cell, str) or (hasattr(cell, "__float__") and not isinstance(cell, bool)) else None


def _labels(column: pd.Series[Any]) -> NDArray[np.object_]:
    """Return a column as labels, "" where it is blank."""
    cells = column.astype(object).to_numpy()
    blank = column.isna().to_numpy()
    return np.array(["" if gap else str(cell).strip() for cell, gap in zip(cells, blank, strict=True)], dtype=object)
