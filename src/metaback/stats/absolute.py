"""What an effect means for people: risks behind relative effects, overlap of two groups, people that a trial needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from metaback.errors import OptionError

Floats = NDArray[np.float64]
RISK_MEASURES = ("RR", "OR", "PETO", "RD", "HR")  # effects that lead from one risk to another


def risk_with(measure: str, effect: Floats, baseline: float) -> Floats:
    """Return the risk in arm 1 that an effect and the risk in arm 2 give, before it is cut off at 0 and 1.

    RR: p R; OR and PETO: p R / (1 - p + p R); RD: p + D; HR: 1 - (1 - p)^R, which takes hazards as proportional.

    measure: one of RISK_MEASURES. effect: (k,) ratios above 0 or differences, on the natural scale; infinite where a
    limit has no end. baseline: p, within [0, 1]. Edges: p = 0 gives 0 for every ratio; p = 1 gives 1 for OR and HR;
    RR and RD can leave [0, 1], which only the caller can tell a reader.
    Raises `OptionError` for other measures and for a baseline that is no risk.

    Source: Schünemann et al. 2024 (Cochrane Handbook, chapter 15) for RR, OR and RD; Skoetz et al. 2020 for HR.

    >>> risk_with("OR", np.array([0.73]), 0.3).round(4), risk_with("RR", np.array([0.75]), 0.8)
    (array([0.2383]), array([0.6]))
    """
    if measure not in RISK_MEASURES:
        raise OptionError.unknown("measure", measure, RISK_MEASURES)
    if not 0 <= baseline <= 1:
        raise OptionError(f"baseline_risk={baseline!r}: a risk lies between 0 and 1, e.g. 0.2 for 200 per 1,000")
    if measure == "RD":
        return baseline + effect
    if baseline == 0:  # an infinite ratio of nothing is nothing that is known
        return np.where(np.isfinite(effect), 0.0, np.nan)
    with np.errstate(over="ignore", divide="ignore"):
        if measure == "RR":
            return baseline * effect
        if measure == "HR":
            return -np.expm1(effect * np.log1p(-baseline)) if baseline < 1 else np.ones_like(effect)
        return baseline / (baseline + (1 - baseline) / effect)


def number_needed(difference: Floats) -> Floats:
    """Return 1 / |difference| of two risks, rounded up to whole people; infinite where the risks are equal.

    difference: (k,) risk differences within [-1, 1]. The number has no sign: whether more or fewer people have the
    event is that of the difference.

    Source: Altman 1998; rounded up as in Schünemann et al. 2024.

    >>> number_needed(np.array([-0.0617, 0.1, 0.05, 0.0]))
    array([17., 10., 20., inf])
    """
    with np.errstate(divide="ignore"):
        exact = 1 / np.abs(difference)
    near = np.round(exact)  # 1 / 0.1 must not become 11 for the last bit of a subtraction
    return np.where(np.isclose(exact, near, rtol=1e-9, atol=0), near, np.ceil(exact))


def superiority(smd: Floats) -> Floats:
    """Return the probability that somebody of group 1 scores above somebody of group 2: Phi(d / sqrt(2)).

    smd: (k,) standardised mean differences; scores normal with one SD. 0.5 for d = 0. Source: McGraw & Wong 1992, the
    common language effect size.

    >>> superiority(np.array([0.0, 0.5])).round(4)
    array([0.5   , 0.6382])
    """
    return ndtr(smd / np.sqrt(2))


def u3(smd: Floats) -> Floats:
    """Return the share of group 2 that scores below the mean of group 1: Phi(d).

    smd: (k,) standardised mean differences; scores normal with one SD. 0.5 for d = 0. Source: Cohen 1988, section
    2.2.1, where it is called U3.

    >>> u3(np.array([0.0, 0.5])).round(4)
    array([0.5   , 0.6915])
    """
    return ndtr(smd)


def people_for_means(difference: float, sd: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """Return how many people, in two equal groups together, a trial needs to find a difference of means.

    n per group = 2 (z_level + z_power)^2 sd^2 / difference^2, rounded up; normal quantiles, two-sided.

    difference: not 0; sd: within groups, above 0, in the same units. level, power: within (0, 1).
    Source: Guyatt et al. 2011 for the use as optimal information size; normal approximation of the two-sample test.

    >>> people_for_means(5.0, 10.0)
    126.0
    """
    if not (difference != 0 and sd > 0):
        raise OptionError(
            f"difference={difference!r}, sd={sd!r}: a difference other than 0 and an SD above 0 are needed"
        )
    z = float(ndtri((1 + level) / 2) + ndtri(power))
    return 2 * float(np.ceil(2 * (z * sd / difference) ** 2))


def people_for_risks(baseline: float, risk: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """Return how many people, in two equal groups together, a trial needs to find that two risks differ.

    n per group = (z_level sqrt(2 m (1 - m)) + z_power sqrt(p (1 - p) + q (1 - q)))^2 / (p - q)^2, m = (p + q) / 2,
    rounded up; two-sided, without a correction for continuity.

    baseline, risk: p and q, within [0, 1] and not equal. Source: Guyatt et al. 2011 for the use as optimal information
    size; Fleiss et al. 2003 for the formula. Counterpart: `power.prop.test` of R.

    >>> people_for_risks(0.2, 0.15)
    1812.0
    """
    if not (0 <= baseline <= 1 and 0 <= risk <= 1 and baseline != risk):
        raise OptionError(f"baseline={baseline!r}, risk={risk!r}: two different risks between 0 and 1 are needed")
    middle = (baseline + risk) / 2
    under_null = float(ndtri((1 + level) / 2)) * np.sqrt(2 * middle * (1 - middle))
    under_other = float(ndtri(power)) * np.sqrt(baseline * (1 - baseline) + risk * (1 - risk))
    return 2 * float(np.ceil(((under_null + under_other) / (baseline - risk)) ** 2))
