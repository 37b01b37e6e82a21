"""The rows of a study taken together as one effect, with the covariance of their sampling errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any, Literal, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.effects.dependence import RHO, sampling_covariance
from metaback.effects.effect_sizes import NOT_STATED, EffectSizes, repeat_notes
from metaback.errors import DataError, OptionError, Problem
from metaback.stats.aggregate import Means, group_means
from metaback.stats.blocks import BlockMatrix, blocks_of, from_pairs, on_diagonal, selected
from metaback.stats.working_covariance import joined_by

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Held = TypeVar("Held")
WEIGHTS: Mapping[str, str] = {
    "inverse-covariance": "weighted by the inverse of their sampling covariance",
    "equal": "with equal weights",
}
OF_COVARIANCE = tuple(signature(sampling_covariance).parameters)[1:]  # all but the effects
LOST = "no row of the group has an effect"


def aggregate(
    es: EffectSizes,
    *,
    by: str | Sequence[str] = "study",
    weights: Literal["inverse-covariance", "equal"] = "inverse-covariance",
    rho: Any = RHO,
    **choices: Any,
) -> EffectSizes:
    """Return one effect for each study (or each combination of some columns): its rows taken together.

    With V the sampling covariance of the rows of a group, "inverse-covariance": y* = (1' V^-1 y)/(1' V^-1 1) with
    variance 1/(1' V^-1 1); "equal": the mean of the rows with variance 1' V 1/m^2. The result carries the covariance
    of its own rows, where these share people.

    es: effects; their own covariance is taken where they have one (`sampling_covariance(es).with_effects()`), else it
    is built with rho and the other choices of `sampling_covariance`. by: columns, "study" for the studies. A cell, a
    label or a number that differs among the rows of a group is blank afterwards. Rows without an effect take no part;
    a group without any stays, with the reason.

    Edges: one row per study gives the same effects back. Raises `OptionError` for a column and for an option that
    do not exist, and for choices of a covariance that the effects have already. Source: Gleser & Olkin 2009. Same as
    `metafor::aggregate.escalc`.

    >>> from metaback.data.datasets import load_dataset
    >>> from metaback.effects.compute import effect_sizes
    >>> es = effect_sizes(load_dataset("backpain").query("study == 'Jackson 2011'"))
    >>> found = aggregate(es)
    >>> found.obtained[0], round(float(found.yi[0]), 4), round(float(found.vi[0]), 4)
    ('2 rows taken together (row 8, row 9)', -0.915, 0.1128)
    """
    if weights not in WEIGHTS:
        raise OptionError.unknown("weights", weights, WEIGHTS)
    if unknown := [name for name in choices if name not in OF_COVARIANCE]:
        known = ("by", "weights", *OF_COVARIANCE)
        raise OptionError("; ".join(str(OptionError.unknown("option", name, known)) for name in unknown))
    if es.cov is not None and (choices or rho is not RHO):
        raise OptionError("the effects have a sampling covariance; leave rho= and its other choices out")
    made = None if es.cov is not None else sampling_covariance(es, rho=rho, **choices)
    cov, told = (es.cov, ()) if made is None else (made.matrix, made.notes)
    groups, first = _groups(es, by)
    ok = np.flatnonzero(es.estimable)
    present, own = np.unique(groups[ok], return_inverse=True)
    means = group_means(
        es.yi[ok], selected(cast("BlockMatrix", cov), ok), own.astype(np.intp), equal=weights == "equal"
    )
    found = _assembled(es, groups, first, present, means, WEIGHTS[weights])
    count = int((np.bincount(own) > 1).sum())
    names = "study" if by == "study" else ", ".join([by] if isinstance(by, str) else by)
    note = f"Rows of one {names} were taken together as one effect, {WEIGHTS[weights]} ({count:,} of {first.size:,})."
    repeats = set(repeat_notes(es.labels, es.rows, es.estimable))
    kept = (old for old in es.notes if old not in repeats)
    return replace(found, notes=(*kept, *told, *([note] if count else [])))


def _groups(es: EffectSizes, by: str | Sequence[str]) -> tuple[Codes, Codes]:
    """Return the group of each row, numbered in order of first appearance, and the first row of each group."""
    names = [by] if isinstance(by, str) else list(by)
    if not names:
        raise OptionError("by= names no column; the default is by='study'")
    codes: list[Codes] = []
    problems: list[Problem] = []
    for name in names:
        if name == "study":
            codes.append(es.clusters.astype(np.intp))
            continue
        if name not in es.moderators:
            raise OptionError.unknown("by", name, dict.fromkeys(("study", *es.moderators)))
        cells = es.moderators[name]
        blank = pd.isna(cells) | (cells.astype(object) == "")
        fix = "Fill it, or leave the column out of by="
        problems += [
            Problem("a row without it belongs to no group", fix, name, es.rows[row], "")
            for row in np.flatnonzero(blank).tolist()
        ]
        codes.append(pd.factorize(cells)[0].astype(np.intp))
    if problems:
        raise DataError(es.source, problems)
    key = codes[0]
    for code in codes[1:]:
        key = key * (int(code.max(initial=0)) + 1) + code
    groups = pd.factorize(key)[0].astype(np.intp)
    return groups, np.unique(groups, return_index=True)[1].astype(np.intp)


def _assembled(es: EffectSizes, groups: Codes, first: Codes, present: Codes, means: Means, how: str) -> EffectSizes:
    """Return the record of the groups."""
    g = first.size
    ok = np.isin(np.arange(g), present)
    yi, cov = np.full(g, np.nan), _cov(means, present, g)
    yi[present] = means.y
    members: list[list[int]] = [rows.tolist() for rows in np.split(np.argsort(groups, kind="stable"), _starts(groups))]
    usable: list[bool] = es.estimable.tolist()
    taken = [[row for row in rows if usable[row]] for rows in members]
    reasons, done = _joined(es.reasons, members), _joined(es.corrections, members)
    known: list[bool] = ok.tolist()
    return replace(
        es,
        yi=yi,
        vi=on_diagonal(cov),
        estimable=ok,
        labels=tuple(es.labels[rows[0]] for rows in members),
        rows=tuple(_row_names(es, rows) for rows in members),
        clusters=es.clusters[first],
        obtained=tuple(_together(es, rows) for rows in taken),
        reasons=tuple("" if fine else text or LOST for fine, text in zip(known, reasons, strict=True)),
        corrections=tuple(
            f"{text}; {how}".removeprefix("; ") if len(rows) > 1 else text
            for text, rows in zip(done, taken, strict=True)
        ),
        inputs={role: _common(values, groups, first) for role, values in es.inputs.items()},
        by=None if es.by is None else _labels(es.by, members, NOT_STATED),
        steps=_all_of(es.steps, members),
        moderators={name: _common(values, groups, first) for name, values in es.moderators.items()},
        score_types=_labels(es.score_types, members, ""),
        standardisers=_labels(es.standardisers, members, ""),
        grid=None,
        ignored=_all_of(es.ignored, members),
        disagreements=_all_of(es.disagreements, members),
        cov=cov,
    )


def _joined(values: Sequence[str], members: list[list[int]]) -> list[str]:
    """Return the different texts of the rows of each group, one after the other."""
    return ["; ".join(dict.fromkeys(filter(None, (values[row] for row in rows)))) for rows in members]


def _all_of(values: tuple[tuple[Held, ...], ...], members: list[list[int]]) -> tuple[tuple[Held, ...], ...]:
    """Return what the rows of each group hold, one after the other; nothing where nothing is held."""
    return tuple(tuple(item for row in rows for item in values[row]) for rows in members) if values else ()


def _starts(groups: Codes) -> Codes:
    """Return where the rows of each group but the first begin, when rows are sorted by group."""
    return np.cumsum(np.bincount(groups))[:-1].astype(np.intp)


def _cov(means: Means, present: Codes, g: int) -> BlockMatrix:
    """Return the covariance of all groups, nan on the diagonal where a group has no effect."""
    spread = np.full(g, np.nan)
    spread[present] = on_diagonal(means.cov)
    i: list[Codes] = []
    j: list[Codes] = []
    values: list[Floats] = []
    for rows, part in zip(means.cov.blocks.rows, means.cov.parts, strict=True):
        a, b = np.triu_indices(rows.shape[1], 1)
        i.append(present[rows[:, a].ravel()])
        j.append(present[rows[:, b].ravel()])
        values.append(part[:, a, b].ravel())
    one, two = np.concatenate(i), np.concatenate(j)
    return from_pairs(blocks_of(joined_by(g, one, two)), spread, one, two, np.concatenate(values))


def _together(es: EffectSizes, rows: list[int]) -> str:
    """Say how the effect of a group was made."""
    if len(rows) < 2:
        return es.obtained[rows[0]] if rows else ""
    return f"{len(rows)} rows taken together ({_row_names(es, rows)})"


def _row_names(es: EffectSizes, rows: list[int]) -> str:
    """Name the rows of a group as in the file."""
    return ", ".join(es.rows[row] for row in rows)


def _common(values: NDArray[Any], groups: Codes, first: Codes) -> NDArray[Any]:
    """Return the value that all rows of each group share, blank where they differ."""
    codes = pd.factorize(values)[0]
    differ = np.zeros(first.size, dtype=bool)
    differ[groups[codes != codes[first][groups]]] = True
    found = values[first]
    if not differ.any():
        return found
    blank: Any = "" if found.dtype.kind in "OUS" else np.nan
    kept = found.astype(object) if found.dtype.kind in "bOUS" else found.astype(float)
    kept[differ] = blank if kept.dtype != object or found.dtype.kind != "b" else None
    return kept


def _labels(values: Sequence[str], members: list[list[int]], blank: str) -> tuple[str, ...]:
    """Return the label that all rows of each group share, `blank` where they differ."""
    found = [dict.fromkeys(values[row] for row in rows) for rows in members] if values else []
    return tuple(next(iter(own)) if len(own) == 1 else blank for own in found)
