"""Rows that depend on each other with their covariance, made once for a pool, and many sets of them as one batch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaback.effects.dependence import SamplingCovariance, dependent, sampling_covariance
from metaback.effects.effect_sizes import EffectSizes, select_rows
from metaback.models.specs import PoolSpec
from metaback.stats.blocks import BlockMatrix, copied, selected
from metaback.stats.wls import Bools

GRID = (0.2, 0.4, 0.6, 0.8)  # assumed correlations under which the pool is shown beside the one that is asked for
BITS = 62  # rows of a study that a whole number can name
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a set of effects that are pooled, and how they depend.

    places: (n,) where they stand among all; study: (n,) their study; V: their sampling covariance.
    """

    places: Places
    study: Places
    V: BlockMatrix


@dataclass(frozen=True, slots=True)
class Joint:
    """How all rows of a set of effects depend on each other: made once, and handed to every question.

    V: sampling covariance of all rows under the rho of the request; grid: under rising values of it, that of the
    request among them, nothing where it makes no difference; sentences: what depends on what, and what was assumed.
    """

    V: BlockMatrix
    grid: tuple[tuple[float, BlockMatrix], ...]
    sentences: tuple[str, ...]


def joint_of(effects: EffectSizes, spec: PoolSpec, grid: tuple[float, ...] = ()) -> Joint:
    """Return the covariance that the effects bring, else that of the table under the rho of a request.

    grid: other values of rho; a covariance that the effects bring has none. Raises `DataError` where a negative rho
    cannot be: m rows of the same people correlate by -1 / (m - 1) or more. A covariance that cannot be for other
    reasons (variances of a study that do not fit together) is replaced by the nearest one, and a sentence says so.
    """
    if effects.cov is not None:
        links = dependent(effects)
        return Joint(effects.cov, (), (*links.notes, "Their sampling covariance came with the effects."))
    made = sampling_covariance(effects, rho=spec.rho, grid=grid, nearest=spec.rho >= 0)
    return Joint(made.matrix, _swept(made), _sentences(made))


def _swept(made: SamplingCovariance) -> tuple[tuple[float, BlockMatrix], ...]:
    """Return the matrices of a grid by rising rho; nothing where all are the same."""
    swept = sorted(made.grid, key=lambda part: part[0])
    first = swept[0][1].parts if swept else ()
    for _, matrix in swept[1:]:
        if not all(map(np.array_equal, first, matrix.parts)):
            return tuple(swept)
    return ()


def _sentences(made: SamplingCovariance) -> tuple[str, ...]:
    """Say what depends on what, and what was assumed."""
    return tuple(dict.fromkeys((*made.notes, *made.dependence().apart)))


def rows_of(effects: EffectSizes, V: BlockMatrix, used: Bools | None = None) -> Rows:
    """Return some rows (k,), or those with an effect, with their part of the covariance of all."""
    places = np.flatnonzero(effects.estimable if used is None else used)
    return Rows(places, effects.clusters[places].astype(np.intp), selected(V, places))


def sets_of_rows(effects: EffectSizes, V: BlockMatrix | None, masks: Bools, spec: PoolSpec) -> tuple[Rows, Bools]:
    """Return rows for many sets of rows, and which of their studies (sets, studies) belong to each set.

    masks: (sets, k). A study of which a set holds some rows, and another set others, stands there once for each of
    these parts, so that every set is one of whole studies and all sets are fitted in one batch. V: covariance of all
    rows; None makes that of the parts from the table, each as if the study had no other rows: for sets in which a row
    is replaced by a corrected one.

    Studies are numbered from 0; rows without an effect belong to no set.
    """
    masks = masks & effects.estimable
    places, study, present = _parts(effects.clusters, masks)
    if V is None:
        alone = replace(select_rows(effects, places), clusters=study.astype(np.int64), cov=None)
        return Rows(places, study, sampling_covariance(alone, rho=spec.rho, nearest=True).matrix), present
    return Rows(places, study, copied(V, places, study)), present


def _parts(clusters: NDArray[np.int64], masks: Bools) -> tuple[Places, Places, Bools]:
    """Return the rows of every part of a study that a set holds, the number of the part, and which sets hold it."""
    rank = np.unique(clusters, return_inverse=True)[1]
    order = np.argsort(rank, kind="stable")
    sizes = np.bincount(rank)
    starts = np.cumsum(sizes) - sizes
    code = _codes(masks[:, order], starts, sizes)
    sets, study = np.nonzero(code)
    value = code[sets, study]
    by = np.lexsort((value, study))
    sets, study, value = sets[by], study[by], value[by]
    new = np.append(True, (np.diff(study) != 0) | (np.diff(value) != 0))[: by.size]
    part, first = np.cumsum(new) - 1, np.flatnonzero(new)
    present = np.zeros((len(masks), first.size), dtype=bool)
    present[sets, part] = True
    length = sizes[study[first]]
    number = np.repeat(np.arange(first.size), length)
    within = np.arange(number.size) - np.repeat(np.cumsum(length) - length, length)
    places = order[np.repeat(starts[study[first]], length) + within]
    held = masks[sets[first][number], places]
    return places[held], number[held].astype(np.intp), present


def _codes(masks: Bools, starts: Places, sizes: Places) -> NDArray[np.int64]:
    """Return a number (sets, studies) for the rows that a set holds of a study: equal for the same rows, 0 for none.

    masks: (sets, k), the rows of a study behind each other from `starts` on. Up to 62 rows are the bits of the number.
    """
    within: Places = np.arange(masks.shape[1], dtype=np.intp) - np.repeat(starts, sizes)
    bits = np.where(np.repeat(sizes, sizes) <= BITS, 1 << np.minimum(within, BITS), 0)
    code = np.add.reduceat(np.where(masks, bits, 0), starts, axis=1)
    for study in np.flatnonzero(sizes > BITS).tolist():
        own = masks[:, starts[study] : starts[study] + sizes[study]]
        which = np.unique(own, axis=0, return_inverse=True)[1].reshape(-1)
        code[:, study] = np.where(own.any(axis=1), which + 1, 0)
    return code
