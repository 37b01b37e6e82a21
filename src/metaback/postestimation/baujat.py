"""The plot of Baujat: what each study adds to the heterogeneity, against what it does to the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metaback.models.fitted import Fitted
from metaback.models.regression import FittedRegression
from metaback.numbers import significant
from metaback.postestimation.flips import one_line
from metaback.postestimation.influence import influence
from metaback.postestimation.study_influence import influence_of
from metaback.postestimation.summary import Analysis
from metaback.stats.wls import Floats

NAMED = 3  # studies that the text names on each axis


@dataclass(frozen=True, slots=True, repr=False)
class Baujat:
    """Points of the plot, in the order of the table; nan where a row is not in use.

    labels: (n,) rows; heterogeneity: (n,) squared Pearson residual (y - fitted)^2 / (v + tau2), which sum to the
    generalised Q; influence: (n,) squared change of the fitted value without the study, over its variance there.
    """

    labels: tuple[str, ...]
    heterogeneity: Floats
    influence: Floats

    def to_frame(self) -> pd.DataFrame:
        """Return one row per row of the table."""
        return pd.DataFrame({"study": self.labels, "heterogeneity": self.heterogeneity, "influence": self.influence})

    def __repr__(self) -> str:
        """Return who stands furthest out on each axis."""
        axes = (("heterogeneity", self.heterogeneity), ("influence on the result", self.influence))
        return "\n".join(f"Most {name}: {_largest(self.labels, values)}" for name, values in axes)


def _largest(labels: tuple[str, ...], values: Floats) -> str:
    """Name the studies of the largest numbers."""
    places: list[int] = np.argsort(-values, kind="stable").tolist()
    order = [i for i in places if np.isfinite(values[i])][:NAMED]
    return ", ".join(f"{one_line(labels[i])} ({significant(float(values[i]))})" for i in order) or "none"


def baujat(fitted: Fitted | FittedRegression | Analysis) -> Baujat:
    """Return what each study adds to the heterogeneity, and what it does to the fitted value.

    heterogeneity_i = (y_i - x_i'b)^2 / (v_i + tau2); influence_i = (x_i'b - x_i'b(-i))^2 / (x_i'C(-i)x_i), with C(-i)
    the covariance of the coefficients without study i under the interval rule.

    The original plot is that of the equal-effects model; ask `pool(..., model="equal")` for it. An analysis that models
    rows of a study together has a point for each study: see `study_influence`. Edges: influence is nan for k = 1.
    Source: Baujat et al. 2002. Same as `metafor::baujat`.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> found = baujat(mb.pool(pain, model="equal").fitted)
    >>> found.to_frame().columns.tolist()
    ['study', 'heterogeneity', 'influence']
    """
    found = influence_of(fitted) if isinstance(fitted, Analysis) else influence(fitted)
    return Baujat(found.labels, found.pearson, found.shift)
