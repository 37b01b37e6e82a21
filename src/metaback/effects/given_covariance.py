"""Sampling covariances that a reader has: a matrix of all rows, one per study, or columns of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import DataError, OptionError, Problem
from metaback.numbers import significant
from metaback.stats.blocks import BlockMatrix, blocks_of

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Bools = NDArray[np.bool_]
Part = tuple[Codes, Floats]  # some rows and the matrix of these
SAME = 1e-6  # of a variance: rounding between a matrix and the variances that it belongs to
DIGITS = 6


def given_covariance(es: EffectSizes, matrix: Any, study: Codes) -> tuple[Codes, Codes, Floats]:
    """Return the pairs of rows i < j that a matrix makes dependent, and their covariances, (p,) each.

    matrix: a `BlockMatrix`, array or frame of all rows; a list of arrays, one per study in the order in which studies
    first stand; or names of columns: the c-th of them is the covariance of a row with the c-th row of its study.
    study: (n,) number of the study of each row. The diagonal must be `vi`. Raises `DataError` where it is not, or where
    the matrix is not symmetric or has blanks; `OptionError` for a matrix of another size. Rows without an effect are
    left alone, whatever the matrix has for them.
    """
    problems: list[Problem] = []
    ends: list[tuple[Codes, Codes]] = []
    cov: list[Floats] = []
    for places, square in _parts(es, matrix, study):
        ok = np.flatnonzero(es.estimable[places])
        rows, values = places[ok], square[np.ix_(ok, ok)]
        problems += _wrong(es, rows, values)
        i, j = np.nonzero(np.triu(values, 1))
        ends.append((np.minimum(rows[i], rows[j]), np.maximum(rows[i], rows[j])))
        cov.append(values[i, j])
    if problems:
        raise DataError(es.source, problems)
    i, j = (np.concatenate([pair[side] for pair in ends] or [study[:0]]) for side in (0, 1))
    return i, j, np.concatenate(cov or [np.empty(0)])


def _parts(es: EffectSizes, matrix: Any, study: Codes) -> list[Part]:
    """Return sets of rows with their matrix."""
    n = es.yi.size
    if isinstance(matrix, BlockMatrix):
        if matrix.blocks.n != n:
            raise OptionError(f"matrix has {matrix.blocks.n} rows, but there are {n} effects")
        pairs = zip(matrix.blocks.rows, matrix.parts, strict=True)
        return [(rows[b], part[b]) for rows, part in pairs for b in range(rows.shape[0])]
    if isinstance(matrix, pd.DataFrame | np.ndarray):
        square = np.asarray(cast("Any", matrix), dtype=float)
        if square.shape != (n, n):
            raise OptionError(f"matrix has the shape {square.shape}, but {n} effects need ({n}, {n})")
        return [(np.arange(n), square)]
    parts = [matrix] if isinstance(matrix, str) else list(cast("Sequence[Any]", matrix))
    groups = sorted((row for part in blocks_of(study).rows for row in part), key=lambda rows: int(rows[0]))
    if parts and all(isinstance(part, str) for part in parts):
        return [(rows, _from_columns(es, parts, rows)) for rows in groups]
    return _per_study(es, parts, groups)


def _per_study(es: EffectSizes, parts: list[Any], groups: list[Codes]) -> list[Part]:
    """Return the matrices of a list, one per study."""
    if len(parts) != len(groups):
        raise OptionError(f"matrix has {len(parts)} matrices, but there are {len(groups)} studies")
    found: list[Part] = []
    for rows, part in zip(groups, parts, strict=True):
        square = np.atleast_2d(np.asarray(part, dtype=float))
        if square.shape != (rows.size, rows.size):
            name, shape = es.labels[int(rows[0])], square.shape
            raise OptionError(f"the matrix of {name} has the shape {shape}, but the study has {rows.size} rows")
        found.append((rows, square))
    return found


def _from_columns(es: EffectSizes, names: list[str], rows: Codes) -> Floats:
    """Return the matrix of a study from columns that hold it row by row."""
    for name in names:
        if name not in es.moderators:
            raise OptionError.unknown("matrix", name, es.moderators)
    if rows.size > len(names):
        label = es.labels[int(rows[0])]
        raise OptionError(f"matrix names {len(names)} columns, but {label} has {rows.size} rows; name one for each")
    return np.column_stack([np.asarray(es.moderators[name][rows], dtype=float) for name in names[: rows.size]])


def _wrong(es: EffectSizes, rows: Codes, values: Floats) -> list[Problem]:
    """Return what is wrong with the matrix of some rows, one problem for each row."""
    found: list[Problem] = []
    diagonal, scale = np.diagonal(values), np.sqrt(np.outer(es.vi[rows], es.vi[rows]))
    blank: Bools = np.asarray(~np.isfinite(values).all(axis=1))
    other = np.abs(diagonal - es.vi[rows]) > SAME * es.vi[rows]
    uneven: Bools = np.asarray((np.abs(values - values.T) > SAME * scale).any(axis=1))
    for place in np.flatnonzero(blank | other | uneven).tolist():
        row = int(rows[place])
        words = significant(float(diagonal[place]), DIGITS), significant(float(es.vi[row]), DIGITS)
        if blank[place]:
            rule, fix = "the sampling covariance has blank cells", "Fill them, with 0 where other people stand behind"
        elif other[place]:
            rule = f"the sampling covariance has the variance {words[0]}, but vi is {words[1]}"
            fix = "Give the matrix of the effects as they are pooled, with their variances on its diagonal"
        else:
            rule, fix = "the sampling covariance is not symmetric", "Give both halves alike"
        found.append(Problem(f"{rule} ({es.labels[row]})", fix, row=es.rows[row]))
    return found
