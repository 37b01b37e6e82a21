"""Questions to the columns of a table: which rows a query holds for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.data.cells import MISSING
from metaback.numbers import parse_number

Bools = NDArray[np.bool_]
# What pandas raises for a query that it cannot parse or apply to the columns.
UNUSABLE = (
    NameError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError,
)  # fmt: skip
BLANK = frozenset({"", *MISSING})
NO_CONDITION = "is not true or false for each row"
_NAMED = re.compile(r"`([^`]*)`")
_QUOTED_OR_SIGN = re.compile(r"'[^']*'|\"[^\"]*\"|[&|]")


def rows_where(columns: Mapping[str, Any], n: int, query: str) -> Bools:
    """Return the rows (n,) for which a pandas query over columns (n,) holds.

    A column of texts whose filled cells are all numbers is asked as numbers, blank cells as nan: columns without a role
    are read as text, and "10" is not above "9". It stays text where the query compares it with a text, or asks for
    `.str`. Raises `ValueError` with the reason where the query cannot be used; one that is no condition would be taken
    for labels of rows by `DataFrame.query`.

    >>> rows_where({"dose": np.array(["9", "10", ""], dtype=object)}, 3, "dose > 9").tolist()
    [False, True, False]
    """
    texts = _asked_as_text(query)
    named = {str(name): pd.Series(columns[name]).reset_index(drop=True) for name in columns if str(name) in query}
    asked = {name: cells if name in texts else _numbers(cells) for name, cells in named.items()}
    try:
        found = np.asarray(pd.DataFrame(asked, index=range(n)).eval(query))
    except UNUSABLE as error:
        raise ValueError("it is no query" if isinstance(error, SyntaxError) else str(error)) from None
    if found.shape != (n,) or not all(isinstance(value, bool) or value is pd.NA for value in found.tolist()):
        raise ValueError(NO_CONDITION)
    return np.array([value is True for value in found.tolist()], dtype=bool)


def _numbers(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of texts as numbers where all filled cells are, any other as it is."""
    if cells.dtype != object and not isinstance(cells.dtype, pd.StringDtype):
        return cells
    listed = [None if pd.isna(cell) else cell for cell in cells.tolist()]
    filled = [cell for cell in listed if not _blank(cell)]
    if not filled or not all(isinstance(cell, str) for cell in filled):
        return cells
    found = {cell: parse_number(str(cell)) for cell in filled}
    if None in found.values():
        return cells
    return pd.Series([np.nan if _blank(cell) else found[cell] for cell in listed], dtype=float)


def _blank(cell: Any) -> bool:
    """Tell whether a cell is empty or has a word for nothing."""
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in BLANK)


def _asked_as_text(query: str) -> frozenset[str]:
    """Return the columns that a query holds against texts, or asks as texts; none where it cannot be parsed.

    >>> sorted(_asked_as_text("(dose == '10' | weeks > 8) & `arm x`.str.contains('a')"))
    ['arm x', 'dose']
    """
    names: dict[str, str] = {}

    def plain(match: re.Match[str]) -> str:
        return names.setdefault(match[1], f"_named_{len(names)}")

    words = {"&": " and ", "|": " or "}  # which pandas reads so, below comparisons
    bare = _QUOTED_OR_SIGN.sub(lambda match: words.get(match[0], match[0]), _NAMED.sub(plain, query))
    try:
        tree = ast.parse(bare.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return frozenset()
    back = {name: column for column, name in names.items()}
    return frozenset(back.get(name, name) for node in ast.walk(tree) for name in _as_text(node))


def _as_text(node: ast.AST) -> Iterator[str]:
    """Yield the names that a part of a query holds against texts, or asks as texts."""
    inner = list(ast.walk(node))
    held = [part.value for part in inner if isinstance(part, ast.Constant)] if isinstance(node, ast.Compare) else []
    if any(isinstance(value, str) for value in held) or (isinstance(node, ast.Attribute) and node.attr == "str"):
        yield from (part.id for part in inner if isinstance(part, ast.Name))
