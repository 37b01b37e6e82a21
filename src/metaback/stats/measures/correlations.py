"""Measures of linear association: correlations, partial and semi-partial ones, and coefficients of determination."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainccinv, betaincinv, hyp2f1

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, finish, measure

SERIES_C = 50.0  # from here on the terms of the hypergeometric series fall fast at any argument
SERIES_W = 0.5  # up to here they at least halve
SERIES_TERMS = 90  # enough for 1e-17 in both cases
ROUNDED = 1e-9  # how far r^2 may lie above R^2 by the rounding of a square root

_LARGE = ", with variance (1 − r²)²/(n − 1)"
_MEAN = "the mean of r over the studies, weighted by n, in place of r"
COR_VTYPE = Convention(
    "variance of the correlation",
    {
        "LS": Choice(formula=_LARGE, note="large-sample variance"),
        "AV": Choice(formula=f"{_LARGE} and {_MEAN}", note="variance at the mean correlation"),
        "H0": Choice(formula=", with variance (1 − r²)/(n − 2)", note="variance of the t test"),
        "H0a": Choice(formula=", with variance (1 − r²)/(n − 2)", note="variance of the t test"),
        "H0b": Choice(formula=", with variance 1/n", note="variance under no correlation"),
    },
)
UCOR_VTYPE = Convention(
    "variance of the correlation",
    {
        "LS": Choice(formula=f"{_LARGE} at the corrected r", note="large-sample variance"),
        "UB": Choice(formula=", with its unbiased variance", note="unbiased variance", cite="hedges1989"),
        "AV": Choice(formula=f"{_LARGE} and {_MEAN}", note="variance at the mean correlation"),
    },
)
PCOR_VTYPE = Convention(
    "variance of the partial correlation",
    {
        "LS": Choice(formula=", with variance (1 − r²)²/(n − m)", note="large-sample variance"),
        "AV": Choice(formula=f", with variance (1 − r²)²/(n − m) and {_MEAN}", note="variance at the mean correlation"),
    },
)
_SEMI = ", with variance ((1 − R²)² + (R² − r²)(1 − R² + r²))/n"
SPCOR_VTYPE = Convention(
    "variance of the semi-partial correlation",
    {
        "LS": Choice(formula=_SEMI, note="large-sample variance"),
        "AV": Choice(formula=f"{_SEMI} and {_MEAN}", note="variance at the mean correlation"),
    },
)
_R2_LS = ", with variance 4R²(1 − R²)²/n"
_R2_LS2 = ", with variance 4R²(1 − R²)²(n − m − 1)²/((n² − 1)(n + 3))"
_MEAN_R2 = "the mean of R² over the studies, weighted by n, in place of R²"
R2_VTYPE = Convention(
    "variance of the coefficient of determination",
    {
        "LS": Choice(formula=_R2_LS, note="large-sample variance"),
        "LS2": Choice(formula=_R2_LS2, note="second large-sample variance"),
        "AV": Choice(formula=f"{_R2_LS} and {_MEAN_R2}", note="variance at the mean R²"),
        "AV2": Choice(formula=f"{_R2_LS2} and {_MEAN_R2}", note="second variance at the mean R²"),
    },
)
NEEDS_MORE = "needs more than {} people and a correlation within -1 and 1"


# ---------------------------------------------------------------- from test statistics


@np.errstate(all="ignore")
def t_from_p(p: Floats, df: Floats) -> Floats:
    """Return the t statistic of a two-sided P value; the sign given to p is the sign of t.

    t^2 = df x / (1 - x), with x the quantile at 1 - |p| of the beta distribution with parameters 1/2 and df/2.

    p: (k,) in -1 ... 1, negative for negative effects, because a two-sided P value does not know the direction.
    df: (k,) residual degrees of freedom. Accurate down to the smallest p; p = 0 gives an infinite t, |p| > 1 and
    df <= 0 give nan. Source: definition of Student's t. Same as `qt(|p|/2, df, lower.tail=FALSE)` with the sign of p.

    >>> float(t_from_p(np.array([-0.07]), np.array([28.0]))[0].round(6))
    -1.883912
    """
    size = np.where((np.abs(p) <= 1) & (df > 0), np.abs(p), np.nan)
    half = np.where(df > 0, df, 1.0) / 2
    squared = df * betainccinv(0.5, half, size) / betaincinv(half, 0.5, size)
    return np.copysign(np.sqrt(squared), p)


@np.errstate(all="ignore")
def correlation_from_t(t: Floats, n: Floats, predictors: Floats | float = 1.0) -> Floats:
    """Return the correlation, or partial correlation, of which t is the test statistic; it has the sign of t.

    r = t / sqrt(t^2 + n - m - 1), with m the predictors: 1 for the correlation of two variables.

    t, n: (k,); predictors: all of them, the focal one included. nan without a residual degree of freedom.
    Source: Aloe & Thompson 2013. Same as `metafor::escalc(measure="COR", ti=, ni=)` of version 5.1.

    >>> float(correlation_from_t(np.array([2.5]), np.array([20.0]))[0].round(6))
    0.507673
    """
    df = n - predictors - 1
    return t / np.hypot(t, np.sqrt(np.where(df > 0, df, np.nan)))


@np.errstate(all="ignore")
def semipartial_from_t(t: Floats, n: Floats, predictors: Floats, r2: Floats) -> Floats:
    """Return the semi-partial correlation of which t is the test statistic; it has the sign of t.

    r = t sqrt((1 - R^2) / (n - m - 1)).

    All arguments (k,); predictors: all of them, the focal one included; r2 of the whole model. nan without a residual
    degree of freedom or with R^2 outside 0 ... 1. Source: Aloe & Becker 2012.

    >>> one = [np.array([x]) for x in (4.61, 218.0, 4.0, 0.24)]
    >>> float(semipartial_from_t(*one)[0].round(6))
    0.275371
    """
    df = n - predictors - 1
    good = (df > 0) & (r2 >= 0) & (r2 <= 1)
    return t * np.sqrt(np.where(good, 1 - r2, np.nan) / np.where(good, df, 1.0))


@np.errstate(all="ignore")
def r2_from_f(f: Floats, n: Floats, predictors: Floats) -> Floats:
    """Return R^2 from the F statistic of the whole regression.

    R^2 = m F / (m F + n - m - 1).

    All arguments (k,). nan without a residual degree of freedom, or for a negative F. Source: Kendall & Stuart 1979.

    >>> float(r2_from_f(np.array([3.0]), np.array([30.0]), np.array([4.0]))[0].round(6))
    0.324324
    """
    df = n - predictors - 1
    explained = predictors * np.where((df > 0) & (f >= 0), f, np.nan)
    return explained / (explained + df)


@np.errstate(all="ignore")
def r2_from_p(p: Floats, n: Floats, predictors: Floats) -> Floats:
    """Return R^2 from the P value of the F test of the whole regression.

    R^2 is the quantile at 1 - p of the beta distribution with parameters m/2 and (n - m - 1)/2.

    All arguments (k,). nan for p outside 0 ... 1 and without a residual degree of freedom. Source: Kendall & Stuart
    1979.

    >>> float(r2_from_p(np.array([0.036]), np.array([30.0]), np.array([4.0]))[0].round(4))
    0.3271
    """
    df = n - predictors - 1
    good = (p >= 0) & (p <= 1) & (df > 0) & (predictors > 0)
    a, b = (np.where(good, x, 1.0) / 2 for x in (predictors, df))
    return betainccinv(a, b, np.where(good, p, np.nan))


# ---------------------------------------------------------------- helpers


def weighted_mean(values: Floats, n: Floats) -> Floats:
    """Return the mean of correlations or R^2 over the rows that have one, weighted by n, once for every row."""
    known = np.isfinite(values) & (np.abs(values) <= 1) & np.isfinite(n) & (n > 0)
    weight = np.where(known, n, 0.0)
    total = weight.sum()
    mean = (weight * np.where(known, values, 0.0)).sum() / total if total > 0 else np.nan
    return np.full(values.shape, mean)


def _one_minus_square(r: Floats) -> Floats:
    """Return 1 - r^2 without loss near 1; nan outside -1 ... 1."""
    r = np.where(np.abs(r) <= 1, r, np.nan)
    return (1 - r) * (1 + r)


def _fisher_z(r: Floats) -> Floats:
    """Return artanh(r), infinite at -1 and 1, nan beyond."""
    return np.arctanh(np.where(np.abs(r) <= 1, r, np.nan))


def hypergeometric_rest(a: float, b: float, c: Floats, w: Floats, first: int) -> Floats:
    """Return F(a, b; c; w) less its first terms: the sum of (a)_k (b)_k w^k / ((c)_k k!) from k = first on.

    c, w: (k,) with 0 <= w <= 1 and c > a + b. Summed directly where the terms fall fast, so that nothing is lost when
    the rest is tiny (large n); elsewhere the leading terms are taken from the function, which costs three digits at
    most. Source: Olkin & Pratt 1958, whose estimators are this series.

    >>> float(hypergeometric_rest(1.0, 1.0, np.array([1e9]), np.array([0.5]), 1)[0])
    5.000000005e-10
    """
    term, rest = np.ones(w.shape), np.zeros(w.shape)
    head = np.zeros(w.shape)
    for k in range(SERIES_TERMS):
        head = head + term if k < first else head
        rest = rest + term if k >= first else rest
        term = term * (a + k) * (b + k) / ((c + k) * (k + 1)) * w
    return np.where((c >= SERIES_C) | (w <= SERIES_W), rest, hyp2f1(a, b, c, w) - head)


# ---------------------------------------------------------------- correlations


@measure(
    Measure(
        "COR",
        "Correlation",
        "r",
        "linear",
        "none",
        undefined=f"COR {NEEDS_MORE.format(3)}, and a variance above 0",
        formula="the correlation coefficient",
        conventions={"vtype": COR_VTYPE},
        turn="sign",
    ),
    cite="borenstein2009",
)
@np.errstate(all="ignore")
def correlation(r: Floats, n: Floats, *, vtype: str = "LS") -> Computed:
    """Compute the raw correlation coefficient.

    y = r. vtype "LS": v = (1 - r^2)^2 / (n - 1); "AV": the same with the n-weighted mean of r over the rows in place
    of r, so that the rows know each other; "H0" and "H0a": v = (1 - r^2) / (n - 2), the variance of the t test;
    "H0b": v = 1/n.

    r, n: (k,). Undefined for n <= 3, |r| > 1, and where the variance is 0: r = -1 or 1 unless vtype is "AV" or "H0b".
    Studies that print t or P: see `correlation_from_t` and `t_from_p`. Raises `OptionError` for an unknown vtype.
    Source: Borenstein et al. 2009. Same as `metafor::escalc(measure="COR")` of version 5.1.

    >>> out = correlation(np.array([0.5]), np.array([28.0]))
    >>> float(out.yi[0]), round(float(out.vi[0]), 6)
    (0.5, 0.020833)
    """
    COR_VTYPE.check("vtype", vtype)
    rest = _one_minus_square(weighted_mean(r, n) if vtype == "AV" else r)
    enough = n > 3
    people = np.where(enough, n, np.nan)
    vi = 1 / people if vtype == "H0b" else rest / (people - 2)
    if vtype in {"LS", "AV"}:
        vi = rest**2 / (people - 1)
    return finish(r, vi, enough & (np.abs(r) <= 1))


@measure(
    Measure(
        "UCOR",
        "Correlation, unbiased",
        "r",
        "linear",
        "none",
        undefined=f"UCOR {NEEDS_MORE.format(4)}, and a variance above 0",
        formula="the correlation coefficient, corrected for its bias by the exact estimator of Olkin and Pratt",
        conventions={"vtype": UCOR_VTYPE},
        turn="sign",
    ),
    cite="olkin1958",
)
@np.errstate(all="ignore")
def unbiased_correlation(r: Floats, n: Floats, *, vtype: str = "LS") -> Computed:
    """Compute the unbiased estimator of the correlation under bivariate normality.

    y = r F(1/2, 1/2; (n - 2)/2; 1 - r^2), with F the hypergeometric function.
    vtype "LS": v = (1 - y^2)^2 / (n - 1); "AV": the same with the n-weighted mean of y over the rows in place of y;
    "UB": the unbiased v = y^2 - 1 + (n - 3)/(n - 2) (1 - r^2) F(1, 1; n/2; 1 - r^2).

    r, n: (k,). Undefined for n <= 4, where the series diverges, for |r| > 1, and for a variance of 0. The variances are
    summed without cancellation, so that they hold for any n and r (7 digits for n = 5 and r next to 0). Raises
    `OptionError` for an unknown vtype. Source: Olkin & Pratt 1958; Hedges 1989. Same as
    `metafor::escalc(measure="UCOR")`.

    >>> out = unbiased_correlation(np.array([0.5]), np.array([6.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (0.570349, 0.091044)
    """
    UCOR_VTYPE.check("vtype", vtype)
    good = (n > 4) & (np.abs(r) <= 1)
    r, n = np.where(good, r, np.nan), np.where(good, n, np.nan)
    w = _one_minus_square(r)
    c = (n - 2) / 2
    g = hypergeometric_rest(0.5, 0.5, c, w, 1)
    yi = r * (1 + g)
    if vtype == "UB":
        return finish(yi, _unbiased_variance(r, n, w, g), good)
    rest = w - r**2 * g * (2 + g) if vtype == "LS" else _one_minus_square(weighted_mean(yi, n))
    return finish(yi, rest**2 / (n - 1), good)


def _unbiased_variance(r: Floats, n: Floats, w: Floats, g: Floats) -> Floats:
    """Return Hedges' unbiased variance, arranged so that the leading terms 1 and 1/n have been cancelled by hand."""
    curved = np.where(w > 0, hypergeometric_rest(0.5, 0.5, (n - 2) / 2, w, 2) / w, 0.0)
    f = hypergeometric_rest(1.0, 1.0, n / 2, w, 1)
    inside = r**2 * (g / (2 * (n - 2)) + curved * (2 + g)) + f * (n - 3) / (n - 2) - w / (n - 2)
    return w * inside


@measure(
    Measure(
        "ZCOR",
        "Correlation",
        "r",
        "linear",
        "none",
        undefined="ZCOR needs more than 3 people and a correlation between -1 and 1",
        formula="Fisher's z of the correlation, artanh(r), with variance 1/(n − 3)",
        back="tanh",
        turn="sign",
    ),
    cite="fisher1921",
)
@np.errstate(all="ignore")
def fisher_correlation(r: Floats, n: Floats) -> Computed:
    """Compute Fisher's z transformation of the correlation.

    y = artanh(r), v = 1 / (n - 3).

    r, n: (k,). Undefined for n <= 3 and for r = -1 or 1. Studies that print t or P: see `correlation_from_t` and
    `t_from_p`. Source: Fisher 1921. Same as `metafor::escalc(measure="ZCOR")`.

    >>> out = fisher_correlation(np.array([0.5]), np.array([28.0]))
    >>> round(float(out.yi[0]), 6), float(out.vi[0])
    (0.549306, 0.04)
    """
    enough = n > 3
    return finish(_fisher_z(r), 1 / (np.where(enough, n, np.nan) - 3), enough)


# ---------------------------------------------------------------- one predictor of a regression


@measure(
    Measure(
        "PCOR",
        "Partial correlation",
        "r",
        "linear",
        "none",
        undefined="PCOR needs n above the number of predictors + 1 and a correlation between -1 and 1",
        formula="the partial correlation with m predictors in the regression",
        conventions={"vtype": PCOR_VTYPE},
        turn="sign",
    ),
    cite="aloe2013",
)
@np.errstate(all="ignore")
def partial_correlation(r: Floats, n: Floats, predictors: Floats, *, vtype: str = "LS") -> Computed:
    """Compute the partial correlation of the outcome with one predictor.

    y = r. vtype "LS": v = (1 - r^2)^2 / (n - m); "AV": the same with the n-weighted mean of r over the rows in place
    of r, so that the rows know each other. With m = 1 this is `correlation`.

    r, n, predictors: (k,); predictors m: all of the regression, the focal one included. Undefined for n - m <= 1,
    |r| > 1, and for a variance of 0. Studies that print t or P: see `correlation_from_t` and `t_from_p`. Raises
    `OptionError` for an unknown vtype. Source: Aloe & Thompson 2013. Same as `metafor::escalc(measure="PCOR")` of
    version 5.1; version 3.8-1 divides by n - m - 1.

    >>> out = partial_correlation(np.array([0.3]), np.array([40.0]), np.array([3.0]))
    >>> float(out.yi[0]), round(float(out.vi[0]), 6)
    (0.3, 0.022381)
    """
    PCOR_VTYPE.check("vtype", vtype)
    df = n - predictors
    enough = (df > 1) & (predictors >= 1)
    rest = _one_minus_square(weighted_mean(r, n) if vtype == "AV" else r)
    return finish(r, rest**2 / np.where(enough, df, np.nan), enough & (np.abs(r) <= 1))


@measure(
    Measure(
        "ZPCOR",
        "Partial correlation",
        "r",
        "linear",
        "none",
        undefined="ZPCOR needs n above the number of predictors + 2 and a correlation between -1 and 1",
        formula="Fisher's z of the partial correlation, artanh(r), with variance 1/(n − m − 2) for m predictors in the "
        "regression",
        back="tanh",
        turn="sign",
    ),
    cite="aloe2013",
)
@np.errstate(all="ignore")
def fisher_partial_correlation(r: Floats, n: Floats, predictors: Floats) -> Computed:
    """Compute Fisher's z transformation of the partial correlation.

    y = artanh(r), v = 1 / (n - m - 2). With m = 1 this is `fisher_correlation`.

    r, n, predictors: (k,); predictors m: all of the regression, the focal one included. Undefined for n - m <= 2 and
    for r = -1 or 1. Source: Aloe & Thompson 2013; Fisher 1921. Same as `metafor::escalc(measure="ZPCOR")` of version
    5.1; version 3.8-1 has 1 / (n - m - 1).

    >>> out = fisher_partial_correlation(np.array([0.3]), np.array([40.0]), np.array([3.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (0.30952, 0.028571)
    """
    df = n - predictors - 2
    enough = (df > 0) & (predictors >= 1)
    return finish(_fisher_z(r), 1 / np.where(enough, df, np.nan), enough)


def _semipartial(r: Floats, n: Floats, predictors: Floats, r2: Floats, at: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the variance of semi-partial correlations with `at` in place of r, and which rows can be."""
    possible = (np.abs(r) <= 1) & (r2 >= 0) & (r2 <= 1) & (r**2 <= r2 * (1 + ROUNDED))
    possible = possible & (n - predictors - 1 > 0) & (predictors >= 1)
    without = r2 - at**2
    left = np.where(possible, (1 - r2) ** 2 + without * (1 - without), np.nan)
    return left / np.where(possible, n, 1.0), possible


@measure(
    Measure(
        "SPCOR",
        "Semi-partial correlation",
        "r",
        "linear",
        "none",
        undefined="SPCOR needs n above the number of predictors + 1, and r² not above R²",
        formula="the semi-partial correlation, with R² of the regression",
        conventions={"vtype": SPCOR_VTYPE},
        turn="sign",
    ),
    cite="aloe2012",
)
@np.errstate(all="ignore")
def semipartial_correlation(r: Floats, n: Floats, predictors: Floats, r2: Floats, *, vtype: str = "LS") -> Computed:
    """Compute the semi-partial correlation of the outcome with one predictor.

    y = r, v = ((1 - R^2)^2 + Q (1 - Q)) / n with Q = R^2 - r^2, the R^2 of the model without that predictor.
    vtype "AV": with the n-weighted mean of r over the rows in place of r in Q; R^2 stays that of the row.

    All arguments (k,); predictors m: all of the regression, the focal one included (needed for its degrees of freedom
    only); r2 of the whole model. Undefined for n - m <= 1, R^2 outside 0 ... 1, and r^2 > R^2, which no regression
    gives. Studies that print t or P: see `semipartial_from_t` and `t_from_p`. Raises `OptionError` for an unknown
    vtype. Source: Aloe & Becker 2012. Same as `metafor::escalc(measure="SPCOR")`.

    >>> out = semipartial_correlation(*(np.array([x]) for x in (0.3, 40.0, 3.0, 0.4)))
    >>> float(out.yi[0]), round(float(out.vi[0]), 7)
    (0.3, 0.0143475)
    """
    SPCOR_VTYPE.check("vtype", vtype)
    vi, possible = _semipartial(r, n, predictors, r2, weighted_mean(r, n) if vtype == "AV" else r)
    return finish(r, vi, possible)


@measure(
    Measure(
        "ZSPCOR",
        "Semi-partial correlation",
        "r",
        "linear",
        "none",
        undefined="ZSPCOR needs n above the number of predictors + 1, and r² not above R² and below 1",
        formula="Fisher's z of the semi-partial correlation, artanh(r), with the variance of r divided by (1 − r²)²; "
        "the variance of r is ((1 − R²)² + (R² − r²)(1 − R² + r²))/n",
        back="tanh",
        turn="sign",
    ),
    cite="aloe2012",
)
@np.errstate(all="ignore")
def fisher_semipartial_correlation(r: Floats, n: Floats, predictors: Floats, r2: Floats) -> Computed:
    """Compute Fisher's z transformation of the semi-partial correlation, which does not stabilise its variance.

    y = artanh(r), v = v_r / (1 - r^2)^2 with v_r the variance of `semipartial_correlation`.

    All arguments and edges as there; undefined also for r = -1 or 1. Source: Aloe & Becker 2012, delta method. Same
    as `metafor::escalc(measure="ZSPCOR")` of version 5.1.

    >>> out = fisher_semipartial_correlation(*(np.array([x]) for x in (0.3, 40.0, 3.0, 0.4)))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (0.30952, 0.017326)
    """
    vi, possible = _semipartial(r, n, predictors, r2, r)
    vi = vi / _one_minus_square(r) ** 2
    return finish(_fisher_z(r), vi, possible)


# ---------------------------------------------------------------- whole regressions


@measure(
    Measure(
        "R2",
        "Coefficient of determination",
        "R²",
        "linear",
        "none",
        undefined="R2 needs n above the number of predictors + 1 and R² between 0 and 1",
        formula="the coefficient of determination R² with m predictors",
        conventions={"vtype": R2_VTYPE},
        turn="same",
    ),
    cite="kendall1979",
)
@np.errstate(all="ignore")
def determination(r2: Floats, n: Floats, predictors: Floats, *, vtype: str = "LS") -> Computed:
    """Compute the coefficient of determination of a regression on random predictors.

    y = R^2. vtype "LS": v = 4 R^2 (1 - R^2)^2 / n; "LS2": that times n (n - m - 1)^2 / ((n^2 - 1)(n + 3)); "AV",
    "AV2": the same with the n-weighted mean of R^2 over the rows in place of R^2, so that the rows know each other.

    All arguments (k,). Undefined for n - m <= 1, R^2 outside 0 ... 1, and for a variance of 0 (R^2 of 0 or 1 with LS).
    Pooled R^2 are above 0 whatever the truth: do not test them against 0. Studies that print F or P: see `r2_from_f`
    and `r2_from_p`. Raises `OptionError` for an unknown vtype. Source: Kendall & Stuart 1979, equations 27.87 and
    27.88. Same as `metafor::escalc(measure="R2")` of version 5.1.

    >>> out = determination(np.array([0.24]), np.array([218.0]), np.array([4.0]))
    >>> float(out.yi[0]), round(float(out.vi[0]), 6)
    (0.24, 0.002544)
    """
    R2_VTYPE.check("vtype", vtype)
    df = n - predictors - 1
    good = (df > 0) & (predictors >= 1) & (r2 >= 0) & (r2 <= 1)
    at = weighted_mean(r2, n) if vtype.startswith("AV") else r2
    people = np.where(good, n, np.nan)
    vi = 4 * at * (1 - at) ** 2 / people
    if vtype.endswith("2"):
        vi = vi * people * df**2 / ((people**2 - 1) * (people + 3))
    return finish(r2, vi, good)


@measure(
    Measure(
        "ZR2",
        "Coefficient of determination",
        "R²",
        "linear",
        "none",
        undefined="ZR2 needs n above the number of predictors + 1 and R² of at least 0 and below 1",
        formula="the transformed coefficient of determination, artanh(R), with variance 1/n",
        back="tanh2",
        turn="same",
    ),
    cite="olkin1995",
)
@np.errstate(all="ignore")
def fisher_determination(r2: Floats, n: Floats, predictors: Floats) -> Computed:
    """Compute Fisher's z of the multiple correlation of a regression on random predictors.

    y = artanh(sqrt(R^2)), v = 1/n.

    All arguments (k,). Undefined for n - m <= 1 and R^2 outside 0 ... 1, 1 included. The variance is a large-sample one
    for R^2 above 0; an R^2 of 0 keeps its row. Source: Olkin & Finn 1995, with the factor 1/2. Same as
    `metafor::escalc(measure="ZR2")` of version 5.1.

    >>> out = fisher_determination(np.array([0.24]), np.array([218.0]), np.array([4.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (0.535926, 0.004587)
    """
    good = (n - predictors - 1 > 0) & (predictors >= 1) & (r2 >= 0) & (r2 <= 1)
    yi = _fisher_z(np.sqrt(np.where(good, r2, np.nan)))
    return finish(yi, 1 / np.where(good, n, np.nan), good)
