"""Rules of the mean that are a factor of the covariance and degrees of freedom, and rules of prediction that are df."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from metaback.stats.intervals.family import mean_rule, prediction_rule, quantile
from metaback.stats.wls import Floats


@mean_rule(
    "Wald",
    title="Wald (normal)",
    short="Wald",
    text="were Wald intervals with the normal quantile",
    cite="dersimonian1986",
)
def wald(q1: Floats, m: Floats, level: float) -> tuple[Floats, Floats]:
    """Leave the model's covariance as it is and use the normal quantile.

    q1: (n,) generalised Q at the estimated tau2; m: (n,) k - p. Returns the factor of the covariance and the df.
    Source: DerSimonian & Laird 1986. Same as `metafor::rma(test="z")`.
    """
    return np.ones_like(m), np.full_like(m, np.inf)


@mean_rule(
    "Wald-t",
    title="Wald with t",
    short="Wald with t",
    text="were Wald intervals with the quantile of the t distribution on k − 1 degrees of freedom",
    cite="follmann1999",
)
def wald_t(q1: Floats, m: Floats, level: float) -> tuple[Floats, Floats]:
    """Leave the model's covariance as it is and use t with k - p df; the normal where k = p.

    Source: Follmann & Proschan 1999.
    """
    return np.ones_like(m), np.where(m > 0, m, np.inf)


@mean_rule(
    "HKSJ",
    title="Hartung-Knapp-Sidik-Jonkman",
    short="HKSJ",
    text="followed Hartung, Knapp, Sidik and Jonkman (HKSJ), with the t distribution on k − 1 degrees of freedom",
    cite="hartung2001 sidik2002 inthout2014",
)
def hartung_knapp(q1: Floats, m: Floats, level: float) -> tuple[Floats, Floats]:
    """Multiply the covariance by Q(tau2) / (k - p) and use t with k - p df; the Wald interval where k = p.

    Degenerates to a standard error of 0 when the effects are equal. Source: Hartung & Knapp 2001; Sidik & Jonkman
    2002. Same as `metafor::rma(test="knha")`.
    """
    known = m > 0
    return np.where(known, q1 / np.where(known, m, 1.0), 1.0), np.where(known, m, np.inf)


@mean_rule(
    "HKSJ-wider",
    title="Hartung-Knapp-Sidik-Jonkman or Wald, the wider",
    short="HKSJ or wider",
    text="because that interval can be too narrow when effects agree by chance, the Wald interval with the normal "
    "quantile was used wherever it was the wider of the two",
    cite="hartung2001 wiksten2016",
    guards="HKSJ",
)
def hartung_knapp_wider(q1: Floats, m: Floats, level: float) -> tuple[Floats, Floats]:
    """Use the Hartung-Knapp-Sidik-Jonkman interval, or the Wald interval (normal quantile) where that one is wider.

    The guard matters when the effects agree by chance (tau2 = 0), where the unguarded interval can be narrower than
    the equal-effects one. Source: Wiksten, Ruecker & Schwarzer 2016.
    """
    factor, df = hartung_knapp(q1, m, level)
    narrower = np.sqrt(factor) * quantile(level, df) < ndtri((1 + level) / 2)
    return np.where(narrower, 1.0, factor), np.where(narrower, np.inf, df)


@mean_rule(
    "HKSJ-q1",
    title="Hartung-Knapp-Sidik-Jonkman, factor at least 1",
    short="HKSJ, q ≥ 1",
    text="the factor of its variance was not allowed to fall below 1, so that its standard error is never smaller than "
    "that of the Wald interval",
    cite="knapp2003 rover2015",
    guards="HKSJ",
)
def hartung_knapp_truncated(q1: Floats, m: Floats, level: float) -> tuple[Floats, Floats]:
    """Multiply the covariance by max(1, Q(tau2) / (k - p)) and use t with k - p df; the Wald interval where k = p.

    The ad hoc modification of the Hartung-Knapp-Sidik-Jonkman rule: always at least as wide as the Wald interval with
    t. Source: Knapp & Hartung 2003; Roever, Knapp & Friede 2015. Same as `metafor::rma(test="adhoc")`.
    """
    factor, df = hartung_knapp(q1, m, level)
    return np.maximum(factor, 1.0), df


@prediction_rule("z", title="normal", text="the normal quantile", cite="higgins2009")
def prediction_z(k: Floats) -> Floats:
    """Return infinite df: the normal quantile, which ignores that tau2 is estimated.

    Source: Higgins, Thompson & Spiegelhalter 2009.
    """
    return np.full_like(k, np.inf)


@prediction_rule(
    "t(k-1)",
    title="t with k − 1 df",
    text="the t distribution on k − 1 degrees of freedom",
    cite="veroniki2019 deeks2024",
)
def prediction_t1(k: Floats) -> Floats:
    """Return k - 1 df, the choice of the Cochrane Handbook since version 6.5.

    Source: Veroniki et al. 2019; Deeks et al. 2024.
    """
    return k - 1


@prediction_rule(
    "t(k-2)",
    title="t with k − 2 df",
    text="the t distribution on k − 2 degrees of freedom",
    cite="higgins2009 riley2011",
)
def prediction_t2(k: Floats) -> Floats:
    """Return k - 2 df.

    Source: Higgins, Thompson & Spiegelhalter 2009; Riley, Higgins & Deeks 2011.
    """
    return k - 2


def prediction_limits(mean: Floats, variance: Floats, tau2: Floats, df: Floats, level: float) -> tuple[Floats, Floats]:
    """Return mean -+ quantile(df) sqrt(tau2 + variance), each (n,): where a new setting's true effect is expected."""
    half = quantile(level, df) * np.sqrt(tau2 + variance)
    return mean - half, mean + half
