"""The coefficients of a finished meta-regression with other cluster-robust variances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaback.design.moderators import cell_text
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.models.regression import FittedRegression
from metaback.postestimation.regression import robust_estimate
from metaback.stats.blocks import BlockMatrix
from metaback.stats.measures import about
from metaback.stats.regression import in_basis
from metaback.stats.robust import ADJUSTMENTS, cluster_robust
from metaback.stats.robust_tests import unseen

Places = NDArray[np.intp]
STUDY = "study"


@dataclass(frozen=True, slots=True)
class RobustCoefficients:
    """Coefficients with a cluster-robust variance: by name, with the share of each that leaves no residual.

    kind: key of the adjustment; clusters: how many.
    """

    kind: str
    clusters: int
    estimates: Mapping[str, Estimate]
    unseen: Mapping[str, float]


def robust_coefficients(fitted: FittedRegression, kind: str, cluster: str) -> RobustCoefficients:
    """Return the coefficients of a fit with a robust variance of another kind or of other clusters.

    kind: key of `ADJUSTMENTS`. cluster: "study" or a column of the table. Weights and coefficients are those of the
    fit: 1 / (v + tau2), or M^-1 of a three-level model, whose studies must each lie in one cluster.

    Raises `OptionError` for unknown words, blank cells, studies that lie in two clusters, and one cluster. Source:
    Pustejovsky & Tipton 2018. Same as `clubSandwich::coef_test` on the same weights.
    """
    if kind not in ADJUSTMENTS:
        raise OptionError.unknown("kind", kind, ADJUSTMENTS)
    used, basis = fitted.design.used, fitted.basis
    groups = _clusters(fitted, cluster)
    y, v = fitted.effects.yi[used], fitted.effects.vi[used]
    weights: BlockMatrix | NDArray[np.float64] = 1 / (v + float(fitted.fit.theta[..., 0]))
    if fitted.robust is not None:
        weights = fitted.robust.weights
    found = cluster_robust(basis.Q, y - basis.Q @ fitted.inner.beta, weights, groups, kind=kind)
    if not found.status.ok:
        raise OptionError(f"cluster={cluster!r}: {found.status.sentence}")
    names = fitted.design.design.columns
    turned = in_basis(basis, np.eye(len(names)))
    level, scale = fitted.spec.pool.level, about(fitted.effects.measure).scale
    return RobustCoefficients(
        kind=kind,
        clusters=int(np.unique(groups).size),
        estimates={
            name: robust_estimate(fitted.inner.beta, found, row, level, scale)
            for name, row in zip(names, turned, strict=True)
        },
        unseen=dict(zip(names, unseen(found, turned).tolist(), strict=True)),
    )


def _clusters(fitted: FittedRegression, cluster: str) -> Places:
    """Return the cluster of each row in use as a number."""
    effects, used = fitted.effects, fitted.design.used
    if cluster == STUDY:
        return fitted.study
    if cluster not in effects.moderators:
        raise OptionError.unknown("cluster", cluster, (STUDY, *effects.moderators))
    groups = _numbers(effects, cluster, np.flatnonzero(used))
    if fitted.levels is None:
        return groups
    for study in np.unique(fitted.study).tolist():
        here = fitted.study == study
        if np.unique(groups[here]).size > 1:
            label = effects.labels[int(np.flatnonzero(used)[here][0])]
            raise OptionError(
                f"cluster={cluster!r}: rows of {label} lie in several clusters, but are modelled as dependent; name a "
                "column that keeps the rows of a study together, or take update(independent=True)"
            )
    return groups


def _numbers(effects: EffectSizes, cluster: str, places: Places) -> Places:
    """Return a number for each value of a column. Raises `OptionError` for blank cells."""
    values: list[Any] = effects.moderators[cluster][places].tolist()
    texts = [cell_text(value) for value in values]
    rows: list[int] = places.tolist()
    if blank := [effects.rows[i] for i, text in zip(rows, texts, strict=True) if not text]:
        raise OptionError(f"cluster={cluster!r}: no value in {', '.join(blank)}; every row in use needs one")
    return np.unique(texts, return_inverse=True)[1].reshape(-1).astype(np.intp)
