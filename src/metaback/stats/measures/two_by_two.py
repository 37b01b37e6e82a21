"""Measures that compare the risks or odds of two independent groups."""

from __future__ import annotations

import numpy as np

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, measure
from metaback.stats.measures.zero_cells import (
    ADD,
    CELLS,
    CORRECTION,
    PLAIN_ZEROS,
    RATIO_ZEROS,
    UNDEFINED,
    ZEROS,
    Cells,
    cells,
    close,
    log_ratio,
    relative_cells,
)

UNDER_NULL = "variance under no difference"


def _variances(large_sample: str, null: str) -> Convention:
    """Describe the variance of a measure whose sampling variance may also be taken under no difference."""
    usual = Choice(formula=f", with {large_sample}{CELLS}")
    return Convention(
        "sampling variance",
        {
            "LS": usual,
            "RevMan": usual,
            "H0": Choice(
                formula=f", with {null} under no difference; p is the risk of both arms together",
                note=UNDER_NULL,
                cite="fleiss2009",
            ),
        },
    )


RR_VTYPE = _variances(
    "variance 1/a − 1/n₁ + 1/c − 1/n₂ of its logarithm", "variance (1/n₁ + 1/n₂)(1 − p)/p of its logarithm"
)
OR_VTYPE = _variances(
    "variance 1/a + 1/b + 1/c + 1/d of its logarithm", "variance (1/n₁ + 1/n₂)/(p(1 − p)) of its logarithm"
)
_RD_VTYPE = _variances("variance ab/n₁³ + cd/n₂³", "variance (1/n₁ + 1/n₂)p(1 − p)")
RD_VTYPE = Convention(
    _RD_VTYPE.title,
    {
        **_RD_VTYPE.choices,
        "UB": Choice(formula=f", with variance ab/(n₁²(n₁ − 1)) + cd/(n₂²(n₂ − 1)), which is unbiased{CELLS}"),
        "AV": Choice(
            formula=", with variance p₁(1 − p₁)/n₁ + p₂(1 − p₂)/n₂; p₁ and p₂ are the risks of all first and all "
            "second arms together",
            note="variance with pooled risks",
            cite="berkey1995",
        ),
    },
)
_D_FROM_OR = "(1/a + 1/b + 1/c + 1/d)"
ORL_VTYPE = _variances(f"variance 3{_D_FROM_OR}/π²", "variance 3(1/n₁ + 1/n₂)/(π² p(1 − p))")
ORN_VTYPE = _variances(f"variance {_D_FROM_OR}/1.65²", "variance (1/n₁ + 1/n₂)/(1.65² p(1 − p))")
TO_LOGISTIC = 3**0.5 / np.pi  # a logistic variable has SD pi / sqrt(3)
TO_NORMAL = 1 / 1.65  # Cox & Snell's constant, which brings a logit close to a probit


@measure(
    Measure(
        "RR",
        "Risk ratio",
        "RR",
        "log",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula="the ratio of risks",
        conventions={"zeros": RATIO_ZEROS, "add": ADD, "vtype": RR_VTYPE},
        back="exp",
        turn="counts",
    ),
    cite="deeks2010",
)
def risk_ratio(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    *,
    zeros: str = "metafor",
    add: str = "0.5",
    vtype: str = "LS",
) -> Computed:
    """Compute the log risk ratio.

    y = log((a/n_1) / (c/n_2)), with a and c the events. vtype "LS" (also "RevMan"): v = 1/a - 1/n_1 + 1/c - 1/n_2;
    "H0": v = (1/n_1 + 1/n_2) (1 - p)/p, with p = (a + c)/N.

    All arguments (k,) counts. zeros "metafor" and "only0": 0.5 is added to all four cells of rows with a zero cell;
    "RevMan", "drop00": likewise, but rows without events in both arms, or with only events, are undefined; "none":
    rows that need a correction are undefined; "all": every row is corrected; "if0all": every row if any has a zero
    cell; "only0-drop00", "all-drop00", "if0all-drop00": likewise, but such rows are undefined and do not count;
    "treatment-arm": n_1/N and n_2/N are added to the cells of the two arms of rows with a zero cell. add: the number
    that is added, as text, of at least 0 (with "treatment-arm" half of the sum of both); "0" corrects nothing. An arm
    of nobody is undefined. Source: Deeks & Higgins 2010; Sweeting et al. 2004. Same as `metafor::escalc(measure="RR")`.

    >>> out = risk_ratio(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.8893, 0.3256)
    """
    RR_VTYPE.check("vtype", vtype)
    t = relative_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    m_1, m_2 = t.a + t.b, t.c + t.d
    with np.errstate(divide="ignore", invalid="ignore"):
        yi = log_ratio(t.a * m_2, t.c * m_1)
        null = (1 / m_1 + 1 / m_2) * ((t.b + t.d) / (t.a + t.c))
        vi = null if vtype == "H0" else t.b / (t.a * m_1) + t.d / (t.c * m_2)
    return close(t, yi, vi)


def _log_odds_ratio(t: Cells, vtype: str) -> tuple[Floats, Floats]:
    """Return log(ad/bc) and its variance; call it with division by zero ignored."""
    yi = log_ratio(t.a * t.d, t.b * t.c)
    if vtype != "H0":
        return yi, t.inverses
    events, others = t.a + t.c, t.b + t.d
    total = events + others
    return yi, (1 / (t.a + t.b) + 1 / (t.c + t.d)) * (total / events) * (total / others)


@measure(
    Measure(
        "OR",
        "Odds ratio",
        "OR",
        "log",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula="the ratio of odds",
        conventions={"zeros": RATIO_ZEROS, "add": ADD, "vtype": OR_VTYPE},
        back="exp",
        turn="sign",
    ),
    cite="deeks2010",
)
def odds_ratio(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    *,
    zeros: str = "metafor",
    add: str = "0.5",
    vtype: str = "LS",
) -> Computed:
    """Compute the log odds ratio.

    y = log(a d / (b c)), with a, c the events and b, d the non-events. vtype "LS" (also "RevMan"):
    v = 1/a + 1/b + 1/c + 1/d; "H0": v = (1/n_1 + 1/n_2) / (p (1 - p)), with p = (a + c)/N.

    All arguments (k,) counts; zero cells as for `risk_ratio`. Source: Deeks & Higgins 2010. Same as
    `metafor::escalc(measure="OR")`.

    >>> out = odds_ratio(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.9387, 0.3571)
    """
    OR_VTYPE.check("vtype", vtype)
    t = relative_cells(events_1, n_1, events_2, n_2, zeros, add=add)
    with np.errstate(divide="ignore", invalid="ignore"):
        return close(t, *_log_odds_ratio(t, vtype))


@measure(
    Measure(
        "RD",
        "Risk difference",
        "RD",
        "linear",
        "counts",
        CORRECTION,
        "its variance is 0 without a correction",
        formula="the difference in risks",
        conventions={"zeros": ZEROS, "add": ADD, "vtype": RD_VTYPE},
        turn="sign",
    ),
    cite="deeks2010",
)
def risk_difference(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    *,
    zeros: str = "metafor",
    add: str = "0.5",
    vtype: str = "LS",
) -> Computed:
    """Compute the risk difference.

    y = a/n_1 - c/n_2, with a, c the events and b, d the non-events. vtype "LS" (also "RevMan"):
    v = a b/n_1^3 + c d/n_2^3; "UB": n_i^2 (n_i - 1) in the place of n_i^3, which is unbiased; "H0":
    v = (1/n_1 + 1/n_2) p (1 - p), with p = (a + c)/N; "AV": v = p_1 (1 - p_1)/n_1 + p_2 (1 - p_2)/n_2, with p_i the
    risk in that arm of all rows together, so that rows depend on each other.

    All arguments (k,) counts. zeros as for `risk_ratio`, but "RevMan" corrects only rows whose variance would be 0,
    and keeps them. Source: Deeks & Higgins 2010; Berkey et al. 1995. Same as `metafor::escalc(measure="RD")`.

    >>> out = risk_difference(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (-0.0466, 0.00078)
    """
    RD_VTYPE.check("vtype", vtype)
    flat_1, flat_2 = (events_1 == 0) | (events_1 == n_1), (events_2 == 0) | (events_2 == n_2)
    t = cells(events_1, n_1, events_2, n_2, zeros, flat_1 & flat_2, add=add)
    m_1, m_2 = t.a + t.b, t.c + t.d
    with np.errstate(divide="ignore", invalid="ignore"):
        return close(t, t.delta / m_1 / m_2, _variance_of_difference(t, m_1, m_2, vtype))


def _variance_of_difference(t: Cells, m_1: Floats, m_2: Floats, vtype: str) -> Floats:
    """Return the variance of a risk difference; call it with division by zero ignored."""
    if vtype == "H0":
        total = m_1 + m_2
        return (1 / m_1 + 1 / m_2) * ((t.a + t.c) / total) * ((t.b + t.d) / total)
    if vtype == "UB":
        return t.a * t.b / m_1**2 / (m_1 - 1) + t.c * t.d / m_2**2 / (m_2 - 1)
    if vtype == "AV":
        a, b, c, d = (np.nansum(np.where(t.lost, np.nan, cell)) for cell in (t.a, t.b, t.c, t.d))
        return a * b / (a + b) ** 2 / m_1 + c * d / (c + d) ** 2 / m_2
    return t.a * t.b / m_1**3 + t.c * t.d / m_2**3


@measure(
    Measure(
        "PETO",
        "Peto odds ratio",
        "Peto OR",
        "log",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula="the odds ratio of Peto's method, exp((O − E)/V), with variance 1/V of its logarithm; O − E are the "
        "observed less the expected events of the first arm and V is their hypergeometric variance",
        conventions={"zeros": RATIO_ZEROS, "add": ADD},
        back="exp",
        turn="sign",
    ),
    cite="yusuf1985",
)
def peto_odds_ratio(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the log odds ratio by Peto's one-step method.

    y = (a - n_1 m/N)/V, v = 1/V with V = n_1 n_2 m (N - m)/(N^2 (N - 1)), where a are the events of the first arm
    and m those of both.

    All arguments (k,) counts; zeros as for `risk_ratio`, but "RevMan" corrects nothing, because a zero cell is no
    obstacle. Rows without events in both arms, or with only events, are undefined unless corrected.
    Source: Yusuf et al. 1985. Same as `metafor::escalc(measure="PETO")`.

    >>> out = peto_odds_ratio(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.8604, 0.2828)
    """
    t = relative_cells(events_1, n_1, events_2, n_2, zeros, needed=False, add=add)
    m_1, m_2, events, others = t.a + t.b, t.c + t.d, t.a + t.c, t.b + t.d
    total = m_1 + m_2
    with np.errstate(divide="ignore", invalid="ignore"):
        vi = (total / m_1) * (total / m_2) * ((total - 1) / events) / others
        return close(t, t.delta / total * vi, vi)


@measure(
    Measure(
        "AS",
        "Arcsine difference",
        "AS",
        "linear",
        "counts",
        CORRECTION,
        "an arm has nobody",
        formula="the difference of the arcsines of the square roots of the risks, with variance 1/(4n₁) + 1/(4n₂)",
        conventions={"zeros": PLAIN_ZEROS, "add": ADD},
        turn="sign",
    ),
    cite="rucker2009",
)
def arcsine_difference(
    events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, zeros: str = "metafor", add: str = "0.5"
) -> Computed:
    """Compute the difference of arcsine-transformed risks; twice of it is Cohen's h.

    y = asin(sqrt(a/n_1)) - asin(sqrt(c/n_2)), v = 1/(4 n_1) + 1/(4 n_2). It is computed as one angle, from the
    theorems of addition, so that close risks do not cancel.

    All arguments (k,) counts. Zero cells are no obstacle: zeros "metafor", "RevMan" and "none" leave them as they
    are, "drop00" leaves out rows without events in both arms, the others add as for `risk_ratio`.
    Source: Rücker et al. 2009. Same as `metafor::escalc(measure="AS")`.

    >>> out = arcsine_difference(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 6)
    (-0.1038, 0.003831)
    """
    t = cells(events_1, n_1, events_2, n_2, zeros, needed=False, plain=True, add=add)
    root = np.sqrt(t.a * t.d) + np.sqrt(t.b * t.c)
    sine = np.divide(t.delta, root, out=np.zeros_like(root), where=root != 0)
    yi = np.arctan2(sine, np.sqrt(t.a * t.c) + np.sqrt(t.b * t.d))
    with np.errstate(divide="ignore", invalid="ignore"):
        return close(t, yi, 1 / (4 * (t.a + t.b)) + 1 / (4 * (t.c + t.d)))


def _d_from_odds(t: Cells, factor: float, vtype: str) -> Computed:
    """Scale a log odds ratio to a standardised mean difference."""
    with np.errstate(divide="ignore", invalid="ignore"):
        yi, vi = _log_odds_ratio(t, vtype)
    return close(t, yi * factor, vi * factor**2)


_LOGISTIC = "the log odds ratio times √3/π, an estimate of the standardised mean difference of logistic variables"


@measure(
    Measure(
        "OR2D",
        "Standardised mean difference from the odds ratio",
        "SMD",
        "linear",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula=_LOGISTIC,
        conventions={"zeros": RATIO_ZEROS, "add": ADD, "vtype": ORL_VTYPE},
        turn="sign",
    ),
    cite="hasselblad1995 chinn2000",
)
def d_from_odds_ratio(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    *,
    zeros: str = "metafor",
    add: str = "0.5",
    vtype: str = "LS",
) -> Computed:
    """Compute the standardised mean difference behind an odds ratio; another name of "OR2DL".

    y = log(OR) sqrt(3)/pi, v = 3 v(log OR)/pi^2.

    All arguments (k,) counts; zeros as for `risk_ratio`, vtype as for `odds_ratio`.
    Source: Hasselblad & Hedges 1995; Chinn 2000. Same as `metafor::escalc(measure="OR2D")`.

    >>> out = d_from_odds_ratio(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.5175, 0.1086)
    """
    ORL_VTYPE.check("vtype", vtype)
    return _d_from_odds(relative_cells(events_1, n_1, events_2, n_2, zeros, add=add), TO_LOGISTIC, vtype)


@measure(
    Measure(
        "OR2DL",
        "Standardised mean difference from the odds ratio (logistic)",
        "SMD",
        "linear",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula=_LOGISTIC,
        conventions={"zeros": RATIO_ZEROS, "add": ADD, "vtype": ORL_VTYPE},
        turn="sign",
    ),
    cite="hasselblad1995 chinn2000",
)
def d_from_odds_ratio_logistic(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    *,
    zeros: str = "metafor",
    add: str = "0.5",
    vtype: str = "LS",
) -> Computed:
    """Compute the standardised mean difference behind an odds ratio if the outcome is a cut logistic variable.

    y = log(OR) sqrt(3)/pi, v = 3 v(log OR)/pi^2.

    All arguments (k,) counts; zeros as for `risk_ratio`, vtype as for `odds_ratio`.
    Source: Hasselblad & Hedges 1995; Chinn 2000. Same as `metafor::escalc(measure="OR2DL")`.

    >>> out = d_from_odds_ratio_logistic(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.5175, 0.1086)
    """
    return d_from_odds_ratio(events_1, n_1, events_2, n_2, zeros=zeros, vtype=vtype, add=add)


@measure(
    Measure(
        "OR2DN",
        "Standardised mean difference from the odds ratio (normal)",
        "SMD",
        "linear",
        "counts",
        CORRECTION,
        UNDEFINED,
        formula="the log odds ratio divided by 1.65, an estimate of the standardised mean difference of normal "
        "variables",
        conventions={"zeros": RATIO_ZEROS, "add": ADD, "vtype": ORN_VTYPE},
        turn="sign",
    ),
    cite="cox1989 sanchezmeca2003",
)
def d_from_odds_ratio_normal(
    events_1: Floats,
    n_1: Floats,
    events_2: Floats,
    n_2: Floats,
    *,
    zeros: str = "metafor",
    add: str = "0.5",
    vtype: str = "LS",
) -> Computed:
    """Compute the standardised mean difference behind an odds ratio if the outcome is a cut normal variable.

    y = log(OR)/1.65, v = v(log OR)/1.65^2.

    All arguments (k,) counts; zeros as for `risk_ratio`, vtype as for `odds_ratio`.
    Source: Cox & Snell 1989; Sánchez-Meca et al. 2003. Same as `metafor::escalc(measure="OR2DN")`.

    >>> out = d_from_odds_ratio_normal(*(np.array([x]) for x in (4.0, 123.0, 11.0, 139.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (-0.5689, 0.1312)
    """
    ORN_VTYPE.check("vtype", vtype)
    return _d_from_odds(relative_cells(events_1, n_1, events_2, n_2, zeros, add=add), TO_NORMAL, vtype)
