"""The shape of the predictive distribution of a new setting's true effect, for figures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.models.specs import PoolSpec
from metaback.stats.inference import PREDICTION_RULES, quantile, whole_prediction

Floats = NDArray[np.float64]
POINTS, REACH = 161, 1.6  # points of the curve, and how far it goes in half-widths of the interval


def predictive_density(prediction: Estimate, spec: PoolSpec) -> tuple[Floats, Floats]:
    """Return points of the analysis scale and the predictive density there, as a share of its top.

    f(x) / f(m) = (1 + z^2 / df)^(-(df + 1) / 2) with z = (x - m) / s, exp(-z^2 / 2) for infinite df, where m is the
    middle of the interval and s its half-width over the quantile of t: the distribution whose central `level` part
    the interval is. Points (161,) reach 1.6 half-widths to both sides. Edge: an interval of no width is a single point.
    Raises `OptionError` for a rule of prediction that is no quantile of t or of the normal, so has no such density.

    Source: Higgins, Thompson & Spiegelhalter 2009 for the t distribution of a new effect.

    >>> x, height = predictive_density(Estimate(0.0, -2.0, 2.0, 1.0, 0.95), PoolSpec())
    >>> round(float(x[-1]), 3), round(float(height.max()), 3), round(float(height[0]), 6)
    (3.2, 1.0, 0.007321)
    """
    if whole_prediction(spec.pi) is not None:
        title = PREDICTION_RULES[spec.pi].title
        raise OptionError(f"pi_style='density': {title} gives limits but no density; use 'bar' or 'line'")
    middle, half = (prediction.lower + prediction.upper) / 2, (prediction.upper - prediction.lower) / 2
    if not half > 0:
        return np.array([middle]), np.array([1.0])
    unit = np.linspace(-REACH, REACH, POINTS)
    z = unit * float(quantile(prediction.level, np.array(prediction.df)))
    df = prediction.df
    height = np.exp(-(z**2) / 2) if math.isinf(df) else np.exp(-(df + 1) / 2 * np.log1p(z**2 / df))
    return middle + unit * half, height
