"""Measures of one group: proportions, means and spreads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from metaback.stats.measures.family import USUAL, Choice, Computed, Convention, Floats, Measure, amount, finish, measure
from metaback.stats.measures.small_samples import small_sample_factor
from metaback.stats.measures.zero_cells import ADD, corrected_rows

PROPORTION_CORRECTION = "0.5 added to events and non-events"
PROPORTION_UNDEFINED = "no events, or only events"
SPREAD = "a standard deviation above 0"
_ADDED_2 = "0.5 was added to its events and its non-events"
NOT_ADDED = "were not corrected; studies whose effect or variance they left undefined were not pooled"
PROPORTION_ZEROS = Convention(
    "zero counts",
    {
        "metafor": Choice(
            sentence=f"Where a study had no events, or only events, {_ADDED_2}", cite="viechtbauer2010 sweeting2004"
        ),
        "only0": Choice(
            sentence=f"Where a study had no events, or only events, {_ADDED_2}", cite="viechtbauer2010 sweeting2004"
        ),
        "all": Choice(sentence="0.5 was added to the events and the non-events of every study", cite="viechtbauer2010"),
        "if0all": Choice(
            sentence="If any study had no events, or only events, 0.5 was added to the events and the non-events of "
            "every study",
            cite="viechtbauer2010",
        ),
        "none": Choice(sentence=f"Zero counts {NOT_ADDED}"),
    },
)
_POOLED = ", with the proportion of all studies together in the variance"
PR_VTYPE = Convention(
    "variance of the proportion",
    {
        "LS": Choice(formula=", with variance p(1 − p)/n", note="large-sample variance"),
        "UB": Choice(formula=", with variance p(1 − p)/(n − 1)", note="unbiased variance"),
        "AV": Choice(formula=f", with variance p(1 − p)/n{_POOLED}", note="variance at the mean proportion"),
    },
)


def _averaged(formula: str) -> Convention:
    """Return the choice between the variance at the proportion of the study and at that of all studies."""
    return Convention(
        "variance of the proportion",
        {
            "LS": Choice(formula=formula, note="large-sample variance"),
            "AV": Choice(formula=f"{formula}{_POOLED}", note="variance at the mean proportion"),
        },
    )


PLN_VTYPE = _averaged(", with variance 1/x − 1/n")
PLO_VTYPE = _averaged(", with variance 1/x + 1/(n − x)")


@dataclass(frozen=True, slots=True)
class _Split:
    """Events x, non-events m and people n after correction, which rows were corrected, and which can be."""

    x: Floats
    m: Floats
    n: Floats
    corrected: NDArray[np.bool_]
    possible: NDArray[np.bool_]

    def averaged(self) -> tuple[Floats, Floats]:
        """Return the proportions of events and of non-events of all rows together, once for every row."""
        x, m = (float(part[self.possible].sum()) for part in (self.x, self.m))
        n = x + m if x + m > 0 else np.nan
        return np.full(self.x.shape, x / n), np.full(self.x.shape, m / n)


def _split(events: Floats, n: Floats, zeros: str, add: str) -> _Split:
    """Split people into events and non-events and add a number to both where the policy says so."""
    PROPORTION_ZEROS.check("zeros", zeros)
    ADD.check("add", add)
    x, m = events, n - events
    possible = (x >= 0) & (m >= 0) & (n > 0) & np.isfinite(n)
    corrected = possible & corrected_rows(zeros, possible & ((x == 0) | (m == 0)), needed=True) & (amount(add) > 0)
    x, m = (np.where(possible, part, np.nan) + amount(add) * corrected for part in (x, m))
    return _Split(x, m, x + m, corrected, possible)


# ---------------------------------------------------------------- proportions


@measure(
    Measure(
        "PR",
        "Proportion",
        "Proportion",
        "linear",
        "counts",
        PROPORTION_CORRECTION,
        PROPORTION_UNDEFINED,
        formula="the proportion p",
        conventions={"vtype": PR_VTYPE, "zeros": PROPORTION_ZEROS, "add": ADD},
    ),
    cite="fleiss2003",
)
@np.errstate(all="ignore")
def proportion(events: Floats, n: Floats, *, vtype: str = "LS", zeros: str = "metafor", add: str = "0.5") -> Computed:
    """Compute the raw proportion.

    y = p = x/n, v = p (1 - p) / n, with x the events. vtype "UB": v = p (1 - p) / (n - 1); "AV": v = q (1 - q) / n with
    q the sum of all x over the sum of all n, so that the rows know each other.

    events, n: (k,) counts. zeros "metafor", "only0": the number `add` is added to events and non-events of rows that
    lack either; "all": of every row; "if0all": of every row if any lacks either; "none": rows without either have a
    variance of 0 and are undefined. Also undefined for events above n. Raises `OptionError` for an unknown vtype or
    policy. Source: Fleiss, Levin & Paik 2003. Same as `metafor::escalc(measure="PR")`.

    >>> out = proportion(np.array([12.0]), np.array([48.0]))
    >>> float(out.yi[0]), round(float(out.vi[0]), 8)
    (0.25, 0.00390625)
    """
    PR_VTYPE.check("vtype", vtype)
    t = _split(events, n, zeros, add)
    p, q = t.averaged() if vtype == "AV" else (t.x / t.n, t.m / t.n)
    people = np.where(t.n > 1, t.n - 1, np.nan) if vtype == "UB" else t.n
    return finish(t.x / t.n, p * q / people, t.possible, t.corrected)


@measure(
    Measure(
        "PLN",
        "Proportion",
        "Proportion",
        "log",
        "counts",
        PROPORTION_CORRECTION,
        PROPORTION_UNDEFINED,
        formula="the logarithm of the proportion of x events among n people",
        conventions={"vtype": PLN_VTYPE, "zeros": PROPORTION_ZEROS, "add": ADD},
        back="exp",
    ),
    cite="fleiss2003",
)
@np.errstate(all="ignore")
def log_proportion(
    events: Floats, n: Floats, *, vtype: str = "LS", zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the logarithm of the proportion.

    y = log(x/n), v = 1/x - 1/n, with x the events. vtype "AV": v = 1/(n q) - 1/n with q the sum of all x over the sum
    of all n, so that the rows know each other.

    events, n: (k,) counts; zeros as for `proportion`: with "none" rows without events or without non-events are
    undefined. Source: Fleiss, Levin & Paik 2003, delta method. Same as `metafor::escalc(measure="PLN")`.

    >>> out = log_proportion(np.array([12.0]), np.array([48.0]))
    >>> round(float(out.yi[0]), 6), float(out.vi[0])
    (-1.386294, 0.0625)
    """
    PLN_VTYPE.check("vtype", vtype)
    t = _split(events, n, zeros, add)
    p, q = t.averaged() if vtype == "AV" else (t.x / t.n, t.m / t.n)
    yi = np.where(t.m < t.x, np.log1p(-t.m / t.n), np.log(t.x / t.n))
    return finish(yi, q / (p * t.n), t.possible, t.corrected)


@measure(
    Measure(
        "PLO",
        "Proportion",
        "Proportion",
        "linear",
        "counts",
        PROPORTION_CORRECTION,
        PROPORTION_UNDEFINED,
        formula="the logit of the proportion of x events among n people",
        conventions={"vtype": PLO_VTYPE, "zeros": PROPORTION_ZEROS, "add": ADD},
        back="expit",
    ),
    cite="fleiss2003",
)
@np.errstate(all="ignore")
def logit_proportion(
    events: Floats, n: Floats, *, vtype: str = "LS", zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the logit (log odds) of the proportion.

    y = log(x / (n - x)), v = 1/x + 1/(n - x), with x the events. vtype "AV": v = 1/(n q) + 1/(n (1 - q)) with q the
    sum of all x over the sum of all n, so that the rows know each other.

    events, n: (k,) counts; zeros as for `log_proportion`. Source: Fleiss, Levin & Paik 2003. Same as
    `metafor::escalc(measure="PLO")`.

    >>> out = logit_proportion(np.array([12.0]), np.array([48.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (-1.098612, 0.111111)
    """
    PLO_VTYPE.check("vtype", vtype)
    t = _split(events, n, zeros, add)
    p, q = t.averaged() if vtype == "AV" else (t.x / t.n, t.m / t.n)
    near = np.log1p((t.x - t.m) / t.m)
    yi = np.where(2 * np.abs(t.x - t.m) < t.m, near, np.log(t.x) - np.log(t.m))
    return finish(yi, 1 / (p * t.n) + 1 / (q * t.n), t.possible, t.corrected)


@measure(
    Measure(
        "PRZ",
        "Proportion",
        "Proportion",
        "linear",
        "counts",
        PROPORTION_CORRECTION,
        PROPORTION_UNDEFINED,
        formula="the probit z of the proportion p, with variance 2π exp(z²) p(1 − p)/n",
        conventions={"zeros": PROPORTION_ZEROS, "add": ADD},
        back="ndtr",
    ),
    cite="fleiss2003",
)
@np.errstate(all="ignore")
def probit_proportion(events: Floats, n: Floats, *, zeros: str = "metafor", add: str = "0.5") -> Computed:
    """Compute the probit of the proportion.

    y = the standard normal quantile of p = x/n, v = 2 pi exp(y^2) p (1 - p) / n, with x the events.

    events, n: (k,) counts; zeros as for `log_proportion`. Large proportions are as exact as small ones. Source: Fleiss,
    Levin & Paik 2003, delta method. Same as `metafor::escalc(measure="PRZ")` of version 5.1.

    >>> out = probit_proportion(np.array([12.0]), np.array([48.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (-0.67449, 0.038683)
    """
    t = _split(events, n, zeros, add)
    p, q = t.x / t.n, t.m / t.n
    z: Floats = ndtri(np.minimum(p, q))
    yi = np.where(p <= q, z, -z)
    return finish(yi, 2 * np.pi * np.exp(yi**2) * p * q / t.n, t.possible, t.corrected)


@measure(
    Measure(
        "PAS",
        "Proportion",
        "Proportion",
        "linear",
        "counts",
        PROPORTION_CORRECTION,
        "there are no people, or more events than people",
        formula="the arcsine of the square root of the proportion, with variance 1/(4n)",
        back="sin2",
    ),
    cite="fleiss2003",
)
@np.errstate(all="ignore")
def arcsine_proportion(events: Floats, n: Floats) -> Computed:
    """Compute the arcsine of the square root of the proportion.

    y = arcsin(sqrt(x/n)), v = 1/(4n), with x the events.

    events, n: (k,) counts. Nothing is corrected: rows without events, or with only events, are defined. Undefined for
    n = 0 and for events above n. Source: Fleiss, Levin & Paik 2003. Same as `metafor::escalc(measure="PAS")`.

    >>> out = arcsine_proportion(np.array([12.0]), np.array([48.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (0.523599, 0.005208)
    """
    t = _split(events, n, "none", USUAL)
    return finish(np.arctan2(np.sqrt(t.x), np.sqrt(t.m)), 1 / (4 * t.n), t.possible)


@measure(
    Measure(
        "PFT",
        "Proportion",
        "Proportion",
        "linear",
        "counts",
        PROPORTION_CORRECTION,
        "there are no people, or more events than people",
        formula="the double arcsine transformation of the proportion, with variance 1/(4n + 2)",
        back="freeman_tukey_proportion",
    ),
    cite="freeman1950",
)
@np.errstate(all="ignore")
def double_arcsine_proportion(events: Floats, n: Floats) -> Computed:
    """Compute the double arcsine transformation of Freeman and Tukey.

    y = (arcsin(sqrt(x/(n + 1))) + arcsin(sqrt((x + 1)/(n + 1)))) / 2, v = 1/(4n + 2), with x the events.

    events, n: (k,) counts. Nothing is corrected: rows without events, or with only events, are defined. Undefined for
    n = 0 and events above n. The way back needs an n. Source: Freeman & Tukey 1950. Same as metafor's PFT.

    >>> out = double_arcsine_proportion(np.array([0.0]), np.array([10.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (0.153139, 0.02381)
    """
    t = _split(events, n, "none", USUAL)
    lower = np.arctan2(np.sqrt(t.x), np.sqrt(t.m + 1))
    upper = np.arctan2(np.sqrt(t.x + 1), np.sqrt(t.m))
    return finish((lower + upper) / 2, 1 / (4 * t.n + 2), t.possible)


# ---------------------------------------------------------------- means and spreads


@measure(
    Measure(
        "MN",
        "Mean",
        "Mean",
        "linear",
        "means",
        undefined=f"MN needs {SPREAD}",
        formula="the mean, with variance SD²/n",
    ),
    cite="borenstein2009",
)
@np.errstate(all="ignore")
def mean_of_one(mean: Floats, sd: Floats, n: Floats) -> Computed:
    """Compute the raw mean.

    y = mean, v = sd^2/n.

    All arguments (k,), in the units of the instrument; sd is that of the people, not the standard error. Undefined for
    an SD of 0. Source: Borenstein et al. 2009. Same as `metafor::escalc(measure="MN")`.

    >>> out = mean_of_one(np.array([10.0]), np.array([2.0]), np.array([20.0]))
    >>> float(out.yi[0]), float(out.vi[0])
    (10.0, 0.2)
    """
    good = (n > 0) & (sd > 0)
    return finish(mean, sd**2 / np.where(good, n, np.nan), good)


@measure(
    Measure(
        "MNLN",
        "Mean",
        "Mean",
        "log",
        "means",
        undefined=f"MNLN needs a mean above 0 and {SPREAD}",
        formula="the logarithm of the mean, with variance SD²/(n mean²)",
        back="exp",
    ),
    cite="hedges1999",
)
@np.errstate(all="ignore")
def log_mean(mean: Floats, sd: Floats, n: Floats) -> Computed:
    """Compute the logarithm of the mean of a measurement on a ratio scale.

    y = log(mean), v = sd^2 / (n mean^2).

    All arguments (k,). Undefined for a mean of 0 or below and for an SD of 0. Source: Hedges, Gurevitch & Curtis 1999,
    one arm of their equation 1. Same as `metafor::escalc(measure="MNLN")`, which refuses negative means altogether.

    >>> out = log_mean(np.array([10.0]), np.array([2.0]), np.array([20.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (2.302585, 0.002)
    """
    good = (n > 0) & (sd > 0) & (mean > 0)
    centre = np.where(good, mean, np.nan)
    return finish(np.log(centre), (sd / centre) ** 2 / np.where(good, n, np.nan), good)


@measure(
    Measure(
        "CVLN",
        "Coefficient of variation",
        "CV",
        "log",
        "means",
        undefined=f"CVLN needs more than 1 person, a mean above 0 and {SPREAD}",
        formula="the logarithm of the coefficient of variation plus 1/(2(n − 1)), with variance "
        "1/(2(n − 1)) + SD²/(n mean²)",
        back="exp",
    ),
    cite="nakagawa2015",
)
@np.errstate(all="ignore")
def log_coefficient_of_variation(mean: Floats, sd: Floats, n: Floats) -> Computed:
    """Compute the logarithm of the coefficient of variation, corrected for bias.

    y = log(sd/mean) + 1/(2(n - 1)), v = 1/(2(n - 1)) + sd^2 / (n mean^2): mean and SD of normal data are independent.

    All arguments (k,). Undefined for a mean of 0 or below, an SD of 0, and one person. Source: Nakagawa et al. 2015,
    equation 27 without its correlation. Same as `metafor::escalc(measure="CVLN")`.

    >>> out = log_coefficient_of_variation(np.array([10.0]), np.array([2.0]), np.array([20.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (-1.583122, 0.028316)
    """
    good = (n > 1) & (sd > 0) & (mean > 0)
    ratio = np.where(good, sd, np.nan) / np.where(good, mean, 1.0)
    people = np.where(good, n, np.nan)
    half = 1 / (2 * (people - 1))
    return finish(np.log(ratio) + half, half + ratio**2 / people, good)


@measure(
    Measure(
        "SDLN",
        "Standard deviation",
        "SD",
        "log",
        "means",
        undefined=f"SDLN needs more than 1 person and {SPREAD}",
        formula="the logarithm of the standard deviation plus 1/(2(n − 1)), with variance 1/(2(n − 1))",
        back="exp",
        turn="same",
    ),
    cite="nakagawa2015 raudenbush1987",
)
@np.errstate(all="ignore")
def log_standard_deviation(sd: Floats, n: Floats) -> Computed:
    """Compute the logarithm of the standard deviation, corrected for bias.

    y = log(sd) + 1/(2(n - 1)), v = 1/(2(n - 1)).

    sd, n: (k,). Undefined for an SD of 0 and for one person. Source: Raudenbush & Bryk 1987; Nakagawa et al. 2015.
    Same as `metafor::escalc(measure="SDLN")`.

    >>> out = log_standard_deviation(np.array([2.0]), np.array([20.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (0.719463, 0.026316)
    """
    good = (n > 1) & (sd > 0)
    half = 1 / (2 * (np.where(good, n, np.nan) - 1))
    return finish(np.log(np.where(good, sd, np.nan)) + half, half, good)


@measure(
    Measure(
        "SMN",
        "Standardised mean",
        "SMN",
        "linear",
        "means",
        undefined=f"SMN needs more than 2 people and {SPREAD}",
        formula="the mean divided by the standard deviation and multiplied by the exact correction for small samples, "
        "g, with variance 1/n + g²/(2n)",
    ),
    cite="hedges1981",
)
@np.errstate(all="ignore")
def standardised_mean(mean: Floats, sd: Floats, n: Floats) -> Computed:
    """Compute the mean in units of its standard deviation, corrected for bias.

    y = g = J mean/sd with the exact J for n - 1 degrees of freedom, v = 1/n + g^2 / (2n).

    All arguments (k,). Undefined for n <= 2, where J does not exist, and for an SD of 0. Source: Hedges 1981, for one
    group. Same as `metafor::escalc(measure="SMN")`.

    >>> out = standardised_mean(np.array([10.0]), np.array([2.0]), np.array([20.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (4.799552, 0.625892)
    """
    good = (n > 2) & (sd > 0)
    people = np.where(good, n, np.nan)
    g = small_sample_factor(people - 1) * mean / np.where(good, sd, np.nan)
    return finish(g, 1 / people + g**2 / (2 * people), good)
