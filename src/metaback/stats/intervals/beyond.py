"""How probable it is that the true effect of a new setting lies beyond a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri


@dataclass(frozen=True, slots=True)
class Probability:
    """A probability with its limits at `level`; nan limits where there are none."""

    point: float
    se: float
    lower: float
    upper: float


def normal_tail_probability(
    threshold: float, mean: float, variance: float, tau2: float, tau2_variance: float, level: float
) -> Probability:
    """Return P(N(mean, tau2) > threshold) with its delta-method interval, cut off at 0 and 1.

    p = Phi((mean - threshold) / tau); se = phi((mean - threshold) / tau) sqrt(variance / tau2 + tau2_variance (mean -
    threshold)^2 / (4 tau2^3)), the estimates of mean and tau2 taken as independent.

    variance, tau2_variance: squared standard errors of mean and tau2. Edges: for tau2 = 0 all settings have the effect
    `mean`, so p is 0 or 1 (1/2 at the threshold) and has no interval. Source: Mathur & VanderWeele 2019, who advise
    against the interval below ten studies and for p near 0 or 1.

    >>> found = normal_tail_probability(0.0, 0.5, 0.04, 0.25, 0.01, 0.95)
    >>> round(found.point, 6), round(found.se, 6)
    (0.841345, 0.108213)
    """
    distance = mean - threshold
    if not tau2 > 0:
        return Probability(0.5 * (1 + float(np.sign(distance))), math.nan, math.nan, math.nan)
    z = distance / math.sqrt(tau2)
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    se = density * math.sqrt(variance / tau2 + tau2_variance * distance**2 / (4 * tau2**3))
    point, half = float(ndtr(z)), float(ndtri((1 + level) / 2)) * se
    return Probability(point, se, max(0.0, point - half), min(1.0, point + half))
