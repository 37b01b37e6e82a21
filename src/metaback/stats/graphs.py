"""What figures show of effects: limits of a funnel, radial points, P value functions, risks under an effect."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from metaback.errors import OptionError
from metaback.stats.intervals.family import quantile, two_sided_p
from metaback.stats.wls import Floats

RISK_MEASURES = ("OR", "PETO", "RR", "RD")


def funnel_limits(centre: float, se: Floats, level: float) -> tuple[Floats, Floats]:
    """Return centre -+ z se, between which a share `level` of estimates of one true effect lies.

    centre: analysis scale; se: (g,) standard errors. Around no effect these are the contours of the two-sided P value
    1 - level; around the pooled effect the pseudo confidence limits. Source: Sterne & Egger 2001; Peters et al. 2008.

    >>> low, high = funnel_limits(0.0, np.array([1.0]), 0.95)
    >>> round(float(high[0]), 3)
    1.96
    """
    half = float(quantile(level, np.array([np.inf]))[0]) * np.asarray(se, dtype=float)
    return centre - half, centre + half


def radial_points(yi: Floats, vi: Floats, tau2: float) -> tuple[Floats, Floats]:
    """Return 1 / s and y / s with s = sqrt(v + tau2), the coordinates of Galbraith's plot.

    yi, vi: (k,) analysis scale. A line from the origin to a point has the effect as its slope. Source: Galbraith 1988.

    >>> x, z = radial_points(np.array([0.5]), np.array([0.04]), 0.0)
    >>> round(float(x[0]), 12), round(float(z[0]), 12)
    (5.0, 2.5)
    """
    s = np.sqrt(np.asarray(vi, dtype=float) + tau2)
    return 1 / s, np.asarray(yi, dtype=float) / s


def p_function(values: Floats, point: Floats, se: Floats, df: Floats) -> Floats:
    """Return the two-sided P value of the test that the effect is x, for each x of `values`: (k, g).

    P(x) = 2 F(-|x - point| / se), with F the distribution of t on df degrees of freedom (inf: normal). values: (g,);
    point, se, df: (k,). It is 1 at the estimate and 1 - level at the ends of the interval. Source: Ruecker & Schwarzer
    2021.

    >>> p = p_function(np.array([0.0, 1.959964]), np.zeros(1), np.ones(1), np.array([np.inf]))
    >>> [round(float(value), 6) for value in p[0]]
    [1.0, 0.05]
    """
    z = (np.asarray(values, dtype=float)[None, :] - np.asarray(point)[:, None]) / np.asarray(se)[:, None]
    return two_sided_p(z, np.broadcast_to(np.asarray(df, dtype=float)[:, None], z.shape))


def risk_under(measure: str, risk: Floats, effect: float) -> Floats:
    """Return the risk of arm 1 at a risk of arm 2, if the effect is the same everywhere.

    OR, PETO: logit p1 = logit p2 + effect; RR: p1 = p2 exp(effect); RD: p1 = p2 + effect; beyond 0 and 1 nan, because
    no such risk exists. risk: (g,) in 0 to 1; effect: analysis scale (log for ratios). Source: L'Abbe et al. 1987.
    Raises `OptionError` for other measures.

    >>> [round(float(risk_under(key, np.array([0.5]), e)[0]), 4) for key, e in (("OR", 1.0), ("RR", -1.0), ("RD", 0.1))]
    [0.7311, 0.1839, 0.6]
    """
    p = np.asarray(risk, dtype=float)
    if measure in ("OR", "PETO"):
        with np.errstate(divide="ignore"):
            return expit(logit(p) + effect)
    if measure == "RR":
        found = p * np.exp(effect)
    elif measure == "RD":
        found = p + effect
    else:
        raise OptionError.unknown("measure", measure, RISK_MEASURES)
    return np.where((found >= 0) & (found <= 1), found, np.nan)
