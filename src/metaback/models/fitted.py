"""What a model returns: arrays, then arrays with the request and the data that made them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.design.design import Design
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import PoolSpec

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its uncertainty on the analysis scale; `natural()` gives it as a reader expects it.

    point, lower, upper, se: analysis scale (log for ratio measures); lower and upper at `level`.
    statistic, df, p_value: test of no effect; df is inf for the normal; nan where no test is made.
    scale: "linear" or "log".
    """

    point: float
    lower: float
    upper: float
    se: float
    level: float
    scale: str = "linear"
    statistic: float = math.nan
    df: float = math.inf
    p_value: float = math.nan

    def natural(self) -> tuple[float, float, float]:
        """Return point, lower and upper on the natural scale (exponentials of a log scale)."""
        if self.scale == "log":
            return math.exp(self.point), math.exp(self.lower), math.exp(self.upper)
        return self.point, self.lower, self.upper


@dataclass(frozen=True, slots=True)
class Fit:
    """Numbers of one fit or of a batch: leading axes ... are batch axes, none for a single fit.

    beta: (..., p) coefficients; cov: (..., p, p) their covariance under the interval rule of the spec.
    theta: (..., J) variance components (tau2 for a pool); df: (...,) of the t quantile, inf for the normal.
    loglik: (...,) restricted log-likelihood at theta (full log-likelihood for equal effects).
    status: (...,) codes of `metaback.status.Status`; n_iter: (...,) iterations used.
    """

    beta: Floats
    cov: Floats
    theta: Floats
    df: Floats
    loglik: Floats
    status: NDArray[np.int64]
    n_iter: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A finished model: request, effects, design and numbers; all that postestimation, plots and report read."""

    spec: PoolSpec
    effects: EffectSizes
    design: Design
    fit: Fit
