"""What a model returns: arrays, then arrays with the request and the data that made them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metaback.design.design import Design
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import PoolSpec
from metaback.stats.transforms import back

Floats = NDArray[np.float64]
LOG_LIMIT = 709.0  # the exponential of more than this is beyond what a number can hold


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its uncertainty on the analysis scale; `natural()` gives it as a reader expects it.

    point, lower, upper, se: analysis scale (log for ratio measures); lower and upper at `level`.
    statistic, df, p_value: test of no effect; df is inf for the normal; nan where no test is made.
    scale: "linear" or "log". back: key of stats/transforms.py that leads back to the natural scale; "" is the
    exponential for logs and nothing else. size: the number of people (or the time) that a way back needs, e.g. the
    harmonic mean for a pooled double arcsine; nan where it is not known.
    test: name of the test that p_value comes from where that is not the z or t test of `statistic`, e.g. "permutation".
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
    back: str = ""
    size: float | None = None
    test: str = ""

    @property
    def way(self) -> str:
        """Return the key of the way back from the analysis scale."""
        return self.back or ("exp" if self.scale == "log" else "identity")

    def natural(self) -> tuple[float, float, float]:
        """Return point, lower and upper on the natural scale; limits of a falling way back change places.

        Nothing leaves the values that the scale has: a proportion stays within 0 and 1. An exponential beyond what a
        number can hold is infinite; nan stays nan.

        >>> [round(value, 4) for value in Estimate(-2.0, -2.5, -1.5, 0.25, 0.95, back="expit").natural()]
        [0.1192, 0.0759, 0.1824]
        """
        values = tuple(to_natural(value, self.way, self.size) for value in (self.point, self.lower, self.upper))
        point, one, two = values
        return (point, two, one) if back(self.way).decreasing else (point, one, two)


def to_natural(value: float, way: str, size: float | None = None) -> float:
    """Carry one number of the analysis scale back by a way of stats/transforms.py.

    >>> to_natural(0.0, "exp"), to_natural(800.0, "exp"), to_natural(0.0, "expit")
    (1.0, inf, 0.5)
    """
    if way == "identity":
        return value
    if way == "exp":  # as the standard library rounds it, which is not always as numpy does
        return math.exp(value) if not value > LOG_LIMIT else math.inf
    return float(back(way).inverse(np.array([value]), size)[0])


def _unknown() -> Floats:
    """Return a number that is not known."""
    return np.array(math.nan)


@dataclass(frozen=True, slots=True)
class Fit:
    """Numbers of one fit or of a batch: leading axes ... are batch axes, none for a single fit.

    beta: (..., p) coefficients; cov: (..., p, p) their covariance under the interval rule of the spec.
    theta: (..., J) variance components (tau2 for a pool); df: (...,) of the t quantile, inf for the normal.
    loglik: (...,) restricted log-likelihood at theta (full log-likelihood for tau2 by ML and for equal effects).
    status: (...,) codes of `metaback.status.Status`; n_iter: (...,) iterations used.
    rival: (...,) tau2 of the second highest peak of the likelihood that tau2 maximises, nan where there is none;
    gap: (...,) how much lower in log-likelihood that peak is, inf where there is none.
    loglik_ml, loglik_reml: (...,) full and restricted log-likelihood at theta. deviance: (...,) twice the distance
    of loglik_ml from that of a model with a coefficient for every study.
    q1: (...,) generalised Q at theta, y'Py; m: (...,) k - p, its degrees of freedom.
    """

    beta: Floats
    cov: Floats
    theta: Floats
    df: Floats
    loglik: Floats
    status: NDArray[np.int64]
    n_iter: NDArray[np.int64]
    rival: Floats = field(default_factory=_unknown)
    gap: Floats = field(default_factory=_unknown)
    loglik_ml: Floats = field(default_factory=_unknown)
    loglik_reml: Floats = field(default_factory=_unknown)
    deviance: Floats = field(default_factory=_unknown)
    q1: Floats = field(default_factory=_unknown)
    m: Floats = field(default_factory=_unknown)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A finished model: request, effects, design and numbers; all that postestimation, plots and report read."""

    spec: PoolSpec
    effects: EffectSizes
    design: Design
    fit: Fit
