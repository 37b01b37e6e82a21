"""What a mean of dependent effects becomes without each study, and how each study stands to the mean of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.models.dependent_means import CHUNK, DependentMeans, dependent_means, inverse_blocks
from metaback.stats.blocks import BlockMatrix, Floats, Places, blocks_of, numbers_of, regrouped


@dataclass(frozen=True, slots=True)
class StudyMeans:
    """The rows of each of J studies taken together by M_j, the covariance of its rows: all (J,).

    away: 1'M_j^-1 e_j / 1'M_j^-1 1 with e_j = y_j - a given value, how far the mean of the study lies from it;
    precision: 1'M_j^-1 1; squares: e_j'M_j^-1 e_j; total: sum of the precisions of all studies at the components of
    this one.
    """

    away: Floats
    precision: Floats
    squares: Floats
    total: Floats


@dataclass(frozen=True, slots=True)
class StudiesOut:
    """The whole fit, the fits without each study, and the studies under the components of either, in rising order.

    numbers: (J,) the studies; rows: (J,) how many rows each has. whole: `DependentMeans` of one set; without: of J.
    here: the studies at the components of the whole, around its mean; apart: at those of the fit without each, around
    the mean without it; nan where that fit does not exist.
    """

    numbers: Places
    rows: Places
    whole: DependentMeans
    without: DependentMeans
    here: StudyMeans
    apart: StudyMeans


def studies_out(y: Floats, V: BlockMatrix, study: Places, *, method: str = "REML", level: float = 0.95) -> StudiesOut:
    """Fit y_ij = mu + u_i + w_ij + e_ij without each study in turn, one batch call, components anew each time.

    y: (n,); V: sampling covariance in blocks within studies; study: (n,). As `dependent_means`, whose edges it has.

    >>> from metaback.stats.blocks import diagonal
    >>> y, study = np.array([0.1, 0.3, 0.5, 0.9]), np.array([0, 0, 1, 2])
    >>> found = studies_out(y, diagonal(blocks_of(study), np.full(4, 0.04)), study)
    >>> found.without.mean.round(4).tolist()
    [0.7, 0.5357, 0.3167]
    """
    numbers, rank = np.unique(study, return_inverse=True)
    present = ~np.eye(numbers.size, dtype=bool)
    whole = dependent_means(y, V, study, method=method, level=level)
    without = dependent_means(y, V, study, present=present, method=method, level=level)
    own = regrouped(V, blocks_of(rank))
    theta = np.nan_to_num(np.stack([whole.between, whole.within], axis=1))
    here = _study_means(y, own, theta, np.broadcast_to(whole.mean, numbers.shape))
    apart = np.nan_to_num(np.stack([without.between, without.within], axis=1))
    return StudiesOut(
        numbers.astype(np.intp),
        np.bincount(rank).astype(np.intp),
        whole,
        without,
        here,
        _study_means(y, own, apart, without.mean),
    )


def _study_means(y: Floats, V: BlockMatrix, theta: Floats, around: Floats) -> StudyMeans:
    """Take the rows of each study together.

    V: blocks (J) numbered from 0; theta: (1, 2) components for all, or (J, 2) for each study its own; around: (J,).
    """
    precision, squares, cross, total = (np.zeros(around.size) for _ in range(4))
    one = len(theta) == 1
    step = max(1, CHUNK // max(1, sum(part.size for part in V.parts)))
    label = numbers_of(V.blocks)
    for start in range(0, len(theta), step):
        W = inverse_blocks(V, theta[start : start + step])
        for rows, part in zip(W.blocks.rows, W.parts, strict=True):
            total[start : start + step] += part.sum(axis=(1, 2, 3))
            place = label[rows[:, 0]]
            mine = np.flatnonzero((place >= start) & (place < start + step) | one)
            at = place[mine]
            block = part[0 if one else at - start, mine]
            e = y[rows[mine]] - around[at][:, None]
            precision[at] = block.sum(axis=(1, 2))
            cross[at] = np.einsum("bij,bj->b", block, e)
            squares[at] = np.einsum("bi,bij,bj->b", e, block, e)
    total = np.repeat(total[:1], around.size) if one else total
    return StudyMeans(cross / precision, precision, squares, total)
