"""Measures of other families from the means and SDs of two groups: correlations, odds ratios, probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, finish, measure
from metaback.stats.measures.means import pooled_sd

PEOPLE = "at least 3 people and a standard deviation above 0"
SAMPLING = Convention(
    "how the groups were drawn",
    {
        "ST": Choice(formula=" for groups of fixed sizes"),
        "CS": Choice(formula=" for groups as they fell in one sample", note="variance for one sample"),
    },
)
NORMAL_VTYPE = Convention(
    "variance of the common language effect size",
    {
        "LS": Choice(formula=", with its variance by the delta method (n − 1 throughout)"),
        "LS2": Choice(formula=", with its variance by the delta method (n throughout)", note="variance with n"),
        "LS3": Choice(
            formula=", with its variance by the delta method (n for the means, n − 1 for the SDs)",
            note="variance with n and n − 1",
        ),
        "HO": Choice(
            formula=", by the pooled standard deviation, with its variance by the delta method", note="equal variances"
        ),
        "H0": Choice(
            formula=", with the variance that holds where there is no effect", note="variance under no effect"
        ),
    },
)
AUC_VTYPE = Convention(
    "variance of the area under the curve",
    {
        "Newcombe": Choice(
            formula=", with the variance of Newcombe's method 4", note="variance of Newcombe", cite="newcombe2006"
        ),
        "HanleyMcNeil": Choice(
            formula=", with the variance of Hanley and McNeil", note="variance of Hanley and McNeil", cite="hanley1982"
        ),
        "normal": Choice(
            formula=", with the variance for normal data of equal variances", note="variance for normal data"
        ),
        "H0": Choice(
            formula=", with the variance that holds where there is no effect", note="variance under no effect"
        ),
    },
)
NORMAL_TO_LOG_ODDS = 1.65  # Cox and Snell: the log odds ratio per SD where the values of both groups are normal


@dataclass(frozen=True, slots=True)
class _Cohen:
    """Cohen's d of rows with its large-sample variance, N, and the share of the first group."""

    d: Floats
    v: Floats
    total: Floats
    share: Floats


def _cohen(mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats) -> _Cohen:
    """Return d with v = 1/n_1 + 1/n_2 + d^2/(2N); nan without people in both groups, for N < 3 and for SDs of 0."""
    total = n_1 + n_2
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = pooled_sd(sd_1, n_1, sd_2, n_2)
        d = (mean_1 - mean_2) / np.where((sd > 0) & (n_1 > 0) & (n_2 > 0), sd, np.nan)
        return _Cohen(d, 1 / n_1 + 1 / n_2 + d**2 / (2 * total), total, n_1 / total)


def _scale(c: _Cohen) -> Floats:
    """Return h, the number that turns d into r = d/sqrt(d^2 + h): (N - 2)/n_1 + (N - 2)/n_2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (c.total - 2) / (c.total * c.share * (1 - c.share))


def _point_biserial(c: _Cohen, vtype: str) -> tuple[Floats, Floats, Floats]:
    """Return r, its variance and 1 - r^2."""
    SAMPLING.check("vtype", vtype)
    h = _scale(c)
    with np.errstate(divide="ignore", invalid="ignore"):
        r, rest = c.d / np.sqrt(c.d**2 + h), h / (c.d**2 + h)
        if vtype == "ST":
            return r, rest**2 * c.v / (c.d**2 + h), rest
        spread = 1 - 1.5 * r**2 + r**2 / (4 * c.share * (1 - c.share))
        return r, rest**2 * spread / c.total, rest


def _biserial(c: _Cohen) -> tuple[Floats, Floats]:
    """Return the biserial correlation and its variance."""
    p, h = c.share, _scale(c)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = -ndtri(p)
        f = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        r = np.sqrt(p * (1 - p)) / f * c.d / np.sqrt(c.d**2 + h)
        cut = np.clip(r, -1, 1)
        spread = p * (1 - p) / f**2 - (1.5 + (1 - p * z / f) * (1 + (1 - p) * z / f)) * cut**2 + cut**4
        return r, spread / (c.total - 1)


@measure(
    Measure(
        "RPB",
        "Point-biserial correlation",
        "r",
        "linear",
        "means",
        undefined=f"RPB needs {PEOPLE}",
        formula="the point-biserial correlation of group and outcome, with its large-sample variance",
        conventions={"vtype": SAMPLING},
        turn="sign",
    ),
    cite="tate1954",
)
def point_biserial(
    mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats, *, vtype: str = "ST"
) -> Computed:
    """Compute the point-biserial correlation of belonging to group 1 and the outcome.

    r = d/sqrt(d^2 + h) with Cohen's d by the pooled SD and h = (N - 2)/n_1 + (N - 2)/n_2. vtype "ST" (sizes of groups
    fixed): v = h^2/(h + d^2)^3 (1/n_1 + 1/n_2 + d^2/(2 N)); "CS" (one sample of N, with p = n_1/N and q = n_2/N):
    v = (1 - r^2)^2 (1 - 3 r^2/2 + r^2/(4 p q))/N.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for N < 3 and for two SDs of 0. Raises
    `OptionError` for an unknown vtype. Source: Tate 1954 (CS); Jacobs & Viechtbauer 2017. Same as
    `metafor::escalc(measure="RPB")`.

    >>> out = point_biserial(*(np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.2887, 0.0082)
    """
    r, v, rest = _point_biserial(_cohen(mean_1, sd_1, n_1, mean_2, sd_2, n_2), vtype)
    return finish(r, v, rest > 0)


@measure(
    Measure(
        "ZPB",
        "Point-biserial correlation",
        "r",
        "linear",
        "means",
        undefined=f"ZPB needs {PEOPLE}",
        formula="Fisher's z of the point-biserial correlation of group and outcome, variance by the delta method",
        conventions={"vtype": SAMPLING},
        back="tanh",
        turn="sign",
    ),
    cite="tate1954 jacobs2017",
)
def point_biserial_z(
    mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats, *, vtype: str = "ST"
) -> Computed:
    """Compute Fisher's z of the point-biserial correlation.

    y = atanh(r) = asinh(d/sqrt(h)), v = v_r/(1 - r^2)^2, with r, v_r and vtype as for `RPB`. The transformation does
    not make the variance constant here.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for N < 3 and for two SDs of 0. Raises
    `OptionError` for an unknown vtype. Source: Tate 1954; Jacobs & Viechtbauer 2017. Same as
    `metafor::escalc(measure="ZPB")`.

    >>> out = point_biserial_z(*(np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.2971, 0.0098)
    """
    c = _cohen(mean_1, sd_1, n_1, mean_2, sd_2, n_2)
    _, v, rest = _point_biserial(c, vtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        return finish(np.arcsinh(c.d / np.sqrt(_scale(c))), v / rest**2, rest > 0)


@measure(
    Measure(
        "RBIS",
        "Biserial correlation",
        "r",
        "linear",
        "means",
        undefined=f"RBIS needs {PEOPLE}",
        formula="the biserial correlation of group and outcome, with Soper's variance",
        turn="sign",
    ),
    cite="jacobs2017 soper1914",
)
def biserial(mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats) -> Computed:
    """Compute the biserial correlation: of the outcome and what group 1 is the upper part of, both normal.

    r = sqrt(p q)/f r_pb with p = n_1/N, q = n_2/N, z the normal value that p lies above, f the density there;
    v = (p q/f^2 - (3/2 + (1 - p z/f)(1 + q z/f)) r^2 + r^4)/(N - 1). r may lie beyond -1 and 1; v takes it as -1 or 1.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for N < 3 and for two SDs of 0. Source:
    Soper 1914; Jacobs & Viechtbauer 2017. Same as `metafor::escalc(measure="RBIS")`.

    >>> out = biserial(*(np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.3618, 0.0127)
    """
    r, v = _biserial(_cohen(mean_1, sd_1, n_1, mean_2, sd_2, n_2))
    return finish(r, v, np.isfinite(r))


@measure(
    Measure(
        "ZBIS",
        "Biserial correlation",
        "r",
        "linear",
        "means",
        undefined=f"ZBIS needs {PEOPLE}, and a biserial correlation between −1 and 1",
        formula="Fisher's z of the biserial correlation of group and outcome, with its variance by the delta method",
        back="tanh",
        turn="sign",
    ),
    cite="jacobs2017 soper1914",
)
def biserial_z(mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats) -> Computed:
    """Compute Fisher's z of the biserial correlation.

    y = atanh(r), v = v_r/(1 - r^2)^2, with r and v_r of `RBIS`. The transformation does not make the variance constant.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for N < 3, two SDs of 0 and |r| >= 1.
    Source: Soper 1914; Jacobs & Viechtbauer 2017. Same as `metafor::escalc(measure="ZBIS")`.

    >>> out = biserial_z(*(np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.379, 0.0169)
    """
    r, v = _biserial(_cohen(mean_1, sd_1, n_1, mean_2, sd_2, n_2))
    inside = np.where(np.abs(r) < 1, r, np.nan)
    return finish(np.arctanh(inside), v / ((1 - inside) * (1 + inside)) ** 2, np.isfinite(inside))


def _log_odds(c: _Cohen, factor: float) -> Computed:
    """Return factor times d, with its variance."""
    return finish(factor * c.d, factor**2 * c.v, np.isfinite(c.d))


LOGISTIC = Measure(
    "D2ORL",
    "Odds ratio from a standardised mean difference, logistic",
    "OR",
    "log",
    "means",
    undefined=f"D2ORL needs {PEOPLE}",
    formula="the odds ratio that Cohen's d stands for where the values of both groups are logistic, log(OR) = πd/√3",
    back="exp",
    turn="sign",
)


@measure(LOGISTIC, cite="chinn2000 hasselblad1995")
@measure(
    Measure(
        "D2OR",
        "Odds ratio from a standardised mean difference",
        "OR",
        "log",
        "means",
        undefined=f"D2OR needs {PEOPLE}",
        formula=LOGISTIC.formula,
        back="exp",
        turn="sign",
    ),
    cite="chinn2000 hasselblad1995",
)
def logistic_odds_ratio(
    mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats
) -> Computed:
    """Compute the log odds ratio that a standardised mean difference stands for, values being logistic.

    y = pi/sqrt(3) d with Cohen's d by the pooled SD, not corrected; v = pi^2/3 (1/n_1 + 1/n_2 + d^2/(2 N)).
    D2OR is another name of D2ORL.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for N < 3 and for two SDs of 0. Source:
    Hasselblad & Hedges 1995; Chinn 2000. Same as `metafor::escalc(measure="D2ORL")`.

    >>> out = logistic_odds_ratio(*(np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (1.0829, 0.1375)
    """
    return _log_odds(_cohen(mean_1, sd_1, n_1, mean_2, sd_2, n_2), np.pi / np.sqrt(3))


@measure(
    Measure(
        "D2ORN",
        "Odds ratio from a standardised mean difference, normal",
        "OR",
        "log",
        "means",
        undefined=f"D2ORN needs {PEOPLE}",
        formula="the odds ratio that Cohen's d stands for where the values of both groups are normal, log(OR) = 1.65d",
        back="exp",
        turn="sign",
    ),
    cite="cox1989",
)
def normal_odds_ratio(mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats) -> Computed:
    """Compute the log odds ratio that a standardised mean difference stands for, values being normal.

    y = 1.65 d with Cohen's d by the pooled SD, not corrected; v = 1.65^2 (1/n_1 + 1/n_2 + d^2/(2 N)).

    All arguments (k,); means and SDs in the units of the instrument. Undefined for N < 3 and for two SDs of 0. Source:
    Cox & Snell 1989. Same as `metafor::escalc(measure="D2ORN")`.

    >>> out = normal_odds_ratio(*(np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.9851, 0.1138)
    """
    return _log_odds(_cohen(mean_1, sd_1, n_1, mean_2, sd_2, n_2), NORMAL_TO_LOG_ODDS)


NORMAL_CLES = Measure(
    "CLESN",
    "Common language effect size, normal",
    "CLES",
    "linear",
    "means",
    undefined="CLESN needs at least 2 people in each group and a standard deviation above 0",
    formula="the probability, for normal data, that a person of the first group is above one of the second",
    conventions={"vtype": NORMAL_VTYPE},
    turn="complement",
)


@measure(NORMAL_CLES, cite="mcgraw1992")
@measure(
    Measure(
        "AUCN",
        "Area under the curve, normal",
        "AUC",
        "linear",
        "means",
        undefined="AUCN needs at least 2 people in each group and a standard deviation above 0",
        formula=NORMAL_CLES.formula,
        conventions=NORMAL_CLES.conventions,
        turn="complement",
    ),
    cite="mcgraw1992",
)
def normal_common_language(
    mean_1: Floats, sd_1: Floats, n_1: Floats, mean_2: Floats, sd_2: Floats, n_2: Floats, *, vtype: str = "LS"
) -> Computed:
    """Compute the probability that a person of group 1 has a higher value than one of group 2, for normal data.

    y = Phi(z), z = (mean_1 - mean_2)/sqrt(a) with a = sd_1^2 + sd_2^2; v = phi(z)^2 ((sd_1^2/b_1 + sd_2^2/b_2)/a +
    z^2 (sd_1^4/c_1 + sd_2^4/c_2)/(2 a^2)). vtype "LS": b and c are n - 1; "LS2": both n; "LS3": b = n, c = n - 1;
    "H0": v = (sd_1^2/(n_1 - 1) + sd_2^2/(n_2 - 1))/(2 pi a); "HO" (groups of one variance): a = 2 s^2 with the pooled
    s^2, v = phi(z)^2 ((1/n_1 + 1/n_2)/2 + z^2/(2 N)). 1/2 means no effect, and swapping the groups gives 1 - y.

    All arguments (k,); means and SDs in the units of the instrument. Undefined for n < 2 in a group, two SDs of 0, and
    where the variance is below the smallest number. Raises `OptionError` for an unknown vtype. Source: McGraw & Wong
    1992; variance by the delta method. Same as `metafor::escalc(measure="CLESN")`.

    >>> out = normal_common_language(*(np.array([x]) for x in (103.0, 5.5, 50.0, 100.0, 4.5, 50.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.6635, 0.0028)
    """
    NORMAL_VTYPE.check("vtype", vtype)
    if vtype == "HO":
        sd_1 = sd_2 = pooled_sd(sd_1, n_1, sd_2, n_2)
    b_1, b_2 = (n_1, n_2) if vtype in {"LS2", "LS3", "HO"} else (n_1 - 1, n_2 - 1)
    c_1, c_2 = (n_1, n_2) if vtype == "LS2" else (n_1 - 1, n_2 - 1)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        a = sd_1**2 + sd_2**2
        p_1, p_2 = sd_1**2 / a, sd_2**2 / a
        z = (mean_1 - mean_2) / np.sqrt(a)
        spread = 1 / (n_1 + n_2) if vtype == "HO" else p_1**2 / c_1 + p_2**2 / c_2
        at = np.zeros_like(z) if vtype == "H0" else z
        v = np.exp(-(at**2)) / (2 * np.pi) * (p_1 / b_1 + p_2 / b_2 + at**2 * spread / 2)
    return finish(ndtr(z), v, (n_1 > 1) & (n_2 > 1) & np.isfinite(z))


GIVEN_AUC = Measure(
    "AUC",
    "Area under the curve",
    "AUC",
    "linear",
    "auc",
    undefined="AUC needs a value between 0 and 1 and people in both groups",
    formula="the area under the curve as given",
    conventions={"vtype": AUC_VTYPE},
    turn="complement",
)


@measure(GIVEN_AUC, cite="newcombe2006")
@measure(
    Measure(
        "CLES",
        "Common language effect size",
        "CLES",
        "linear",
        "auc",
        undefined="CLES needs a value between 0 and 1 and people in both groups",
        formula="the common language effect size as given",
        conventions=GIVEN_AUC.conventions,
        turn="complement",
    ),
    cite="newcombe2006",
)
def area_under_the_curve(auc: Floats, n_1: Floats, n_2: Floats, *, vtype: str = "Newcombe") -> Computed:
    """Give an area under the curve (the probability that a person of group 1 is above one of group 2) its variance.

    y = auc. vtype "HanleyMcNeil": v = y (1 - y)/(n_1 n_2) (1 + (n_1 - 1)(1 - y)/(2 - y) + (n_2 - 1) y/(1 + y));
    "Newcombe" (method 4): the same with N/2 - 1 for both n - 1; "normal" (values normal, of one variance):
    v = phi(z)^2 ((1/n_1 + 1/n_2)/2 + z^2/(2 N)) with z the y-quantile; "H0": v = (1/n_1 + 1/n_2 + 1/(n_1 n_2))/12.
    1/2 means no effect, and swapping the groups gives 1 - y with the same variance.

    All arguments (k,); auc has no unit. Undefined for y <= 0 and y >= 1 ("H0": beyond them only) and for empty groups.
    Raises `OptionError` for an unknown vtype. Source: Hanley & McNeil 1982; Newcombe 2006. "normal" is the same as
    `metafor::escalc(measure="CLESN")` with a given value.

    >>> out = area_under_the_curve(*(np.array([x]) for x in (0.7, 40.0, 30.0)))
    >>> round(float(out.yi[0]), 4), round(float(out.vi[0]), 4)
    (0.7, 0.004)
    """
    AUC_VTYPE.check("vtype", vtype)
    inside = np.where((auc >= 0) & (auc <= 1), auc, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        if vtype == "H0":
            v = (1 / n_1 + 1 / n_2 + 1 / (n_1 * n_2)) / 12
        elif vtype == "normal":
            z = ndtri(inside)
            v = np.exp(-(z**2)) / (2 * np.pi) * ((1 / n_1 + 1 / n_2) / 2 + z**2 / (2 * (n_1 + n_2)))
        else:
            m_1, m_2 = (n_1 - 1, n_2 - 1) if vtype == "HanleyMcNeil" else ((n_1 + n_2) / 2 - 1,) * 2
            shared = 1 + m_1 * (1 - inside) / (2 - inside) + m_2 * inside / (1 + inside)
            v = inside * (1 - inside) / (n_1 * n_2) * shared
    return finish(inside, v, np.isfinite(inside) & (n_1 > 0) & (n_2 > 0))
