"""Studies of several effects in a forest plot: which rows stand together, in which order, and what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.plots.forest_columns import row_order
from metaback.plots.forest_words import distinct_labels
from metaback.postestimation.row_names import row_names
from metaback.postestimation.study_means import study_means
from metaback.postestimation.summary import Analysis


@dataclass(frozen=True, slots=True)
class Together:
    """The rows of a forest by study; rows of a study in two subgroups are of two groups here.

    group: (rows,) number of the group of each row; studies: name of each group; names: what tells each row from the
    others of its group, "" where it is alone; means: of each group, None without an effect.
    """

    group: tuple[int, ...]
    studies: tuple[str, ...]
    names: tuple[str, ...]
    means: tuple[Estimate | None, ...]

    def label(self, row: int) -> str:
        """Return the name of a row where it stands without the others of its study."""
        study, name = self.studies[self.group[row]], self.names[row]
        return f"{study}: {name}" if name else study

    def runs(self, rows: Sequence[int]) -> list[list[int]]:
        """Return rows in their order, those of one study in one list."""
        return [list(run) for _, run in groupby(rows, key=lambda row: self.group[row])]


def together(analysis: Analysis, studies: Sequence[str] | None = None) -> Together | None:
    """Return the rows of an analysis by study, None where no study has two.

    studies: the name of each row's study; None takes the labels of the rows.
    """
    effects = analysis.fitted.effects
    labels = effects.labels if studies is None else tuple(studies)
    clusters: list[int] = effects.clusters.tolist()
    by = effects.by if analysis.subgroups is not None and effects.by is not None else ("",) * len(clusters)
    keys = list(zip(by, clusters, strict=True))
    places = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    if len(places) == len(keys):
        return None
    called = _called(clusters, labels)
    group = np.array([places[key] for key in keys], dtype=np.intp)
    return Together(
        group=tuple(group.tolist()),
        studies=tuple(called[cluster] for _, cluster in places),
        names=row_names(effects, group, own=studies is not None),
        means=study_means(analysis, group),
    )


def study_labels(effects: EffectSizes) -> tuple[str, ...]:
    """Return the name of the study of each row: one name for all its rows, names of two studies told apart."""
    clusters: list[int] = effects.clusters.tolist()
    called = _called(clusters, effects.labels)
    return tuple(called[cluster] for cluster in clusters)


def _called(clusters: Sequence[int], labels: Sequence[str]) -> dict[int, str]:
    """Return the name of each study, which is that of its first row."""
    first: dict[int, str] = {}
    for cluster, label in zip(clusters, labels, strict=True):
        first.setdefault(cluster, label)
    return dict(zip(first, distinct_labels(first.values()), strict=True))


def study_order(analysis: Analysis, found: Together, sort: str | None, *, descending: bool = False) -> list[int]:
    """Return the rows in the order in which they are shown: studies sorted as a whole, and rows within each.

    A study is sorted by its mean ("effect"), the variance of that ("precision") or the sum of its weights ("weight"),
    and by the first of its rows in every other order. sort, descending: as in `row_order`.
    """
    effects, weights = analysis.fitted.effects, analysis.overall.weights
    inner = row_order(effects, weights, sort, descending=descending)
    group = np.array(found.group, dtype=np.intp)
    outer = inner
    if sort in {"weight", "effect", "precision"}:
        point = np.array([np.nan if mean is None else mean.point for mean in found.means])
        spread = np.array([np.nan if mean is None else mean.se**2 for mean in found.means])
        has = np.bincount(group, np.isfinite(weights)) > 0
        total = np.where(has, np.bincount(group, np.nan_to_num(weights)), np.nan)
        wholes = replace(effects, yi=point[group], vi=spread[group])
        outer = row_order(wholes, total[group], sort, descending=descending)
    rank = {number: place for place, number in enumerate(dict.fromkeys(found.group[row] for row in outer))}
    return sorted(inner, key=lambda row: rank[found.group[row]])
