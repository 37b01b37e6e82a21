"""Effects from test statistics, from intervals and P values, and from one kind of effect to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

from metaback.stats.conversions.family import (
    Floats,
    Level,
    choose,
    conversion,
    critical,
    keep,
    sample,
    t_from_p,
    z_from_p,
)

LOG_ODDS_PER_SD: Mapping[str, float] = {
    "hasselblad": float(np.pi / np.sqrt(3)),  # the SD of a standard logistic variable
    "cox": 1.65,  # Cox and Snell's constant, as it is printed
}


@dataclass(frozen=True, slots=True)
class Effect:
    """Effects and their standard errors on the scale of analysis, (k,)."""

    yi: Floats
    sei: Floats


def _effect(yi: Floats, sei: Floats, *rules: NDArray[np.bool_]) -> Effect:
    """Blank both numbers where either is missing: an effect without its standard error is of no use."""
    both = np.isfinite(yi) & np.isfinite(sei) & (sei > 0)
    return Effect(keep(yi, both, *rules), keep(sei, both, *rules))


# ---------------------------------------------------------------- d from test statistics


@conversion("d-from-t", title="d from t", text="t √(1/n₁ + 1/n₂)", gives="d", cite="borenstein2009")
def d_from_t(t: Floats, n_1: Floats, n_2: Floats) -> Floats:
    """Return Cohen's d from the t statistic of two independent groups: d = t sqrt(1/n_1 + 1/n_2).

    t: (k,) of either sign; n_1, n_2: (k,) at least 1, together at least 3; nan elsewhere. Uncorrected for bias: the
    measure SMD applies J. Source: Borenstein et al. 2009, chapter 4.

    >>> d_from_t(*(np.array([x]) for x in (2.12, 95.0, 99.0))).round(4)
    array([0.3045])
    """
    with np.errstate(all="ignore"):
        return keep(t * np.sqrt(1 / n_1 + 1 / n_2), sample(n_1, 1), sample(n_2, 1), n_1 + n_2 >= 3)


@conversion(
    "d-from-f", title="d from F", text="√(F (1/n₁ + 1/n₂)) with the sign given", gives="d", cite="borenstein2009"
)
def d_from_f(f: Floats, n_1: Floats, n_2: Floats, sign: Floats) -> Floats:
    """Return Cohen's d from the F statistic of two independent groups on 1 degree of freedom: t = sign sqrt(f).

    f: (k,) not negative, not adjusted for covariates; sign: (k,) any number of the direction of the effect, not 0; the
    rest as in `d_from_t`. Source: Borenstein et al. 2009, chapter 4.

    >>> d_from_f(*(np.array([x]) for x in (4.0, 50.0, 50.0, -1.0)))
    array([-0.4])
    """
    with np.errstate(all="ignore"):
        return keep(d_from_t(np.sign(sign) * np.sqrt(f), n_1, n_2), sign != 0, f >= 0)


@conversion(
    "d-from-p",
    title="d from P",
    text="the d behind the two-sided P value of the t test of both groups, with the sign given",
    gives="d",
    cite="borenstein2009",
)
def d_from_p(p: Floats, n_1: Floats, n_2: Floats, sign: Floats) -> Floats:
    """Return Cohen's d from the two-sided p value of the t test of two independent groups.

    d = sign t sqrt(1/n_1 + 1/n_2) with t the quantile on n_1 + n_2 - 2 degrees of freedom at 1 - p/2.

    p: (k,) in (0, 1]; sign: (k,) not 0; the rest as in `d_from_t`. Source: Borenstein et al. 2009, chapter 4.

    >>> d_from_p(*(np.array([x]) for x in (0.05, 50.0, 50.0, 1.0))).round(4)
    array([0.3969])
    """
    with np.errstate(all="ignore"):
        return keep(d_from_t(np.sign(sign) * t_from_p(p, n_1 + n_2 - 2), n_1, n_2), sign != 0)


@conversion(
    "d-from-chi2",
    title="d from chi-square",
    text="the d of the phi coefficient √(χ²/n), with the sign given",
    gives="d",
    cite="borenstein2009 rosenthal1991",
)
def d_from_chi2(chi2: Floats, n: Floats, sign: Floats) -> Floats:
    """Return d from the chi-square on 1 degree of freedom (without continuity correction) of two groups of like size.

    d = sign 2 sqrt(chi2 / (n - chi2)): phi = sqrt(chi2 / n) taken as r with groups of like size.

    chi2: (k,) in [0, n); n: (k,) people in all; sign: (k,) not 0; nan elsewhere. It counts the outcome as a continuous
    one; from a table the odds ratio is the better way. Source: Rosenthal 1991, chapter 2.

    >>> d_from_chi2(*(np.array([x]) for x in (20.0, 100.0, 1.0)))
    array([1.])
    """
    with np.errstate(all="ignore"):
        d = np.sign(sign) * 2 * np.sqrt(chi2 / (n - chi2))
        return keep(d, sign != 0, chi2 >= 0, chi2 < n, sample(n, 3))


@conversion("t-from-d", title="t from d", text="d / √(1/n₁ + 1/n₂)", gives="t", cite="borenstein2009")
def t_from_d(d: Floats, n_1: Floats, n_2: Floats) -> Floats:
    """Return the t statistic of two independent groups from Cohen's d; the inverse of `d_from_t`.

    Source: Borenstein et al. 2009, chapter 4.

    >>> t_from_d(*(np.array([x]) for x in (0.4, 50.0, 50.0))).round(12)
    array([2.])
    """
    with np.errstate(all="ignore"):
        return keep(d / np.sqrt(1 / n_1 + 1 / n_2), sample(n_1, 1), sample(n_2, 1), n_1 + n_2 >= 3)


# ---------------------------------------------------------------- d, r and the log odds ratio


@conversion(
    "d-from-log-or",
    title="d from a log odds ratio",
    text="the log odds ratio over the SD of the logistic distribution",
    gives="yi sei",
    cite="hasselblad1995 cox1989",
)
def d_from_log_odds(yi: Floats, sei: Floats, *, method: str = "hasselblad") -> Effect:
    """Return d and its standard error from a log odds ratio.

    Both are divided by pi / sqrt(3) ("hasselblad", a logistic outcome that was cut) or by 1.65 ("cox").

    yi, sei: (k,) log odds ratio and standard error above 0; nan elsewhere. Raises `OptionError` for an unknown method.
    Source: Hasselblad & Hedges 1995; Cox & Snell 1989. Same as `metafor::escalc(measure="OR2DL")` and "OR2DN".

    >>> out = d_from_log_odds(np.array([0.9069]), np.array([0.26]))
    >>> out.yi.round(4), (out.sei**2).round(4)
    (array([0.5]), array([0.0205]))
    """
    unit = LOG_ODDS_PER_SD[choose("method", method, tuple(LOG_ODDS_PER_SD))]
    with np.errstate(all="ignore"):
        return _effect(yi / unit, sei / unit)


@conversion(
    "log-or-from-d",
    title="Log odds ratio from d",
    text="d times the SD of the logistic distribution",
    gives="yi sei",
    cite="hasselblad1995 cox1989",
)
def log_odds_from_d(yi: Floats, sei: Floats, *, method: str = "hasselblad") -> Effect:
    """Return a log odds ratio and its standard error from d; the inverse of `d_from_log_odds`.

    yi, sei: (k,) d and its standard error above 0; nan elsewhere. Raises `OptionError` for an unknown method. Source:
    Hasselblad & Hedges 1995; Cox & Snell 1989. Same as `metafor::escalc(measure="D2ORL")` and "D2ORN".

    >>> log_odds_from_d(np.array([0.5]), np.array([0.1])).yi.round(4)
    array([0.9069])
    """
    unit = LOG_ODDS_PER_SD[choose("method", method, tuple(LOG_ODDS_PER_SD))]
    with np.errstate(all="ignore"):
        return _effect(yi * unit, sei * unit)


@conversion(
    "d-from-r",
    title="d from r",
    text="2r/√(1 − r²), as if one of both variables had been cut into two groups of like size",
    gives="yi sei",
    cite="borenstein2009",
)
def d_from_r(r: Floats, se: Floats) -> Effect:
    """Return d and its standard error from a correlation between a continuous and a binary (or cut) variable.

    d = 2 r / sqrt(1 - r^2), se_d = 2 se / (1 - r^2)^(3/2), by the delta method.

    r: (k,) inside (-1, 1); se: (k,) above 0; nan elsewhere. Source: Borenstein et al. 2009, equations 7.5 and 7.6.

    >>> out = d_from_r(np.array([0.5]), np.sqrt(np.array([0.0058])))
    >>> out.yi.round(4), (out.sei**2).round(4)
    (array([1.1547]), array([0.055]))
    """
    with np.errstate(all="ignore"):
        rest = (1 - r) * (1 + r)
        return _effect(2 * r / np.sqrt(rest), 2 * se / rest**1.5, np.abs(r) < 1)


@conversion(
    "r-from-d",
    title="r from d",
    text="d/√(d² + (n₁ + n₂)²/(n₁n₂))",
    gives="yi sei",
    cite="borenstein2009",
)
def r_from_d(d: Floats, se: Floats, n_1: Floats, n_2: Floats) -> Effect:
    """Return a correlation and its standard error from d.

    r = d / sqrt(d^2 + a), se_r = a se / (d^2 + a)^(3/2) with a = (n_1 + n_2)^2 / (n_1 n_2), 4 for groups of like size.

    d: (k,); se: (k,) above 0; n_1, n_2: (k,) at least 1 (any two numbers of the same ratio will do); nan elsewhere.
    Source: Borenstein et al. 2009, equations 7.7 to 7.9.

    >>> out = r_from_d(*(np.array([x]) for x in (1.1547, np.sqrt(0.055), 50.0, 50.0)))
    >>> out.yi.round(4), (out.sei**2).round(4)
    (array([0.5]), array([0.0058]))
    """
    with np.errstate(all="ignore"):
        a = (n_1 + n_2) / n_1 * ((n_1 + n_2) / n_2)
        length = np.hypot(d, np.sqrt(a))
        return _effect(d / length, se / length * (np.sqrt(a) / length) ** 2, sample(n_1, 1) & sample(n_2, 1))


# ---------------------------------------------------------------- from intervals and P values


@conversion(
    "se-from-ci",
    title="SE from a CI",
    text="the width of the confidence interval over twice the normal critical value",
    gives="se",
    cite="higgins2024",
)
def se_from_ci(ci_low: Floats, ci_high: Floats, *, level: Level = 0.95) -> Floats:
    """Return the standard error of an effect on its natural scale from its confidence interval.

    se = (ci_high - ci_low) / (2 z), z the normal critical value.

    ci_low, ci_high: (k,); level: as in 0.95, one or (k,). nan where the limits are equal or in the wrong order. Source:
    Higgins et al. 2024, section 6.3.1. Counterpart: `metafor::conv.wald(ci.lb=, ci.ub=)`.

    >>> se_from_ci(np.array([1.4]), np.array([32.6])).round(2)
    array([7.96])
    """
    with np.errstate(all="ignore"):
        return keep((ci_high - ci_low) / (2 * critical(level)), ci_high > ci_low)


@conversion(
    "se-from-p",
    title="SE from P",
    text="the absolute value of the effect over the z statistic behind its two-sided P value",
    gives="se",
    cite="altman2011",
)
def se_from_p(effect: Floats, p: Floats) -> Floats:
    """Return the standard error of an effect on its natural scale from its two-sided p value.

    se = |effect| / z with z = -Phi^-1(p / 2).

    effect: (k,) not 0; p: (k,) in (0, 1), exact, down to 1e-300; nan elsewhere. Source: Altman & Bland 2011, with the
    exact quantile in place of their approximation. Counterpart: `metafor::conv.wald(out=, pval=)`.

    >>> se_from_p(np.array([17.0]), np.array([0.032])).round(3)
    array([7.928])
    """
    with np.errstate(all="ignore"):
        z = z_from_p(p)
        return keep(np.abs(effect) / z, effect != 0, z > 0)


@conversion(
    "log-effect-from-ci",
    title="Log effect from a ratio with its CI",
    text="the logarithms of the ratio and of the limits of its confidence interval",
    gives="yi sei",
    cite="higgins2024",
)
def log_effect_from_ci(effect: Floats, ci_low: Floats, ci_high: Floats, *, level: Level = 0.95) -> Effect:
    """Return the logarithm of a ratio (odds, risk, hazard, rate) and its standard error from its confidence interval.

    yi = log(effect), sei = log(ci_high / ci_low) / (2 z), z the normal critical value.

    effect, ci_low, ci_high: (k,) above 0, on the natural scale; level: as in 0.95, one or (k,). nan where the limits
    are equal or in the wrong order, or the effect lies outside them. Narrow intervals keep their digits (log1p of the
    relative width). Source: Higgins et al. 2024, section 6.3.2. Counterpart: `metafor::conv.wald(transf=log)`.

    >>> out = log_effect_from_ci(*(np.array([x]) for x in (0.64, 0.33, 1.22)))
    >>> out.yi.round(4), (out.sei**2).round(4)
    (array([-0.4463]), array([0.1113]))
    """
    with np.errstate(all="ignore"):
        sei = log_ratio(ci_high, ci_low) / (2 * critical(level))
        return _effect(np.log(effect), sei, (ci_low > 0) & (ci_low <= effect) & (effect <= ci_high))


@conversion(
    "log-effect-from-limits",
    title="Log effect from the limits of a CI",
    text="the middle of the logarithms of the limits of the confidence interval",
    gives="yi sei",
    cite="higgins2024",
)
def log_effect_from_limits(ci_low: Floats, ci_high: Floats, *, level: Level = 0.95) -> Effect:
    """Return the logarithm of a ratio and its standard error from the limits of its interval alone.

    yi = (log ci_low + log ci_high) / 2, sei = log(ci_high / ci_low) / (2 z).

    Arguments and edges as in `log_effect_from_ci`. Source: Higgins et al. 2024, section 6.3.2.

    >>> log_effect_from_limits(np.array([0.5]), np.array([2.0])).yi
    array([0.])
    """
    with np.errstate(all="ignore"):
        yi = (np.log(ci_low) + np.log(ci_high)) / 2
        return _effect(yi, log_ratio(ci_high, ci_low) / (2 * critical(level)), ci_low > 0)


@conversion(
    "log-effect-from-limit",
    title="Log effect from a ratio and one limit",
    text="the logarithms of the ratio and of one limit of its confidence interval",
    gives="yi sei",
    cite="higgins2024",
)
def log_effect_from_limit(effect: Floats, limit: Floats, *, level: Level = 0.95) -> Effect:
    """Return the logarithm of a ratio and its standard error from one limit, where the other is 0 or not printed.

    yi = log(effect), sei = |log(limit / effect)| / z.

    effect, limit: (k,) above 0 and not equal; level: as in 0.95, one or (k,); nan elsewhere. Source: Higgins et al.
    2024, section 6.3.2, for one half of the interval.

    >>> log_effect_from_limit(np.array([0.5]), np.array([1.0])).sei.round(4)
    array([0.3537])
    """
    with np.errstate(all="ignore"):
        return _effect(np.log(effect), np.abs(log_ratio(limit, effect)) / critical(level), (effect > 0) & (limit > 0))


@conversion(
    "log-effect-from-p",
    title="Log effect from a ratio with its P value",
    text="the logarithm of the ratio and the z statistic behind its two-sided P value",
    gives="yi sei",
    cite="altman2011",
)
def log_effect_from_p(effect: Floats, p: Floats) -> Effect:
    """Return the logarithm of a ratio and its standard error from its two-sided p value.

    yi = log(effect), sei = |log(effect)| / z with z = -Phi^-1(p / 2).

    effect: (k,) above 0, not 1; p: (k,) in (0, 1); nan elsewhere. Source: Altman & Bland 2011. Counterpart:
    `metafor::conv.wald(out=, pval=, transf=log)`.

    >>> out = log_effect_from_p(np.array([0.64]), np.array([0.17]))
    >>> out.yi.round(4), (out.sei**2).round(4)
    (array([-0.4463]), array([0.1058]))
    """
    with np.errstate(all="ignore"):
        yi = np.log(effect)
        return _effect(yi, se_from_p(yi, p), effect > 0)


@conversion(
    "p-from-effect",
    title="P from effect and SE",
    text="the two-sided P value of the effect over its standard error",
    gives="p",
    cite="altman2011b",
)
def p_from_effect(effect: Floats, se: Floats) -> Floats:
    """Return the two-sided normal p value of an effect: p = 2 Phi(-|effect| / se); the inverse of `se_from_p`.

    effect: (k,) on the scale of analysis; se: (k,) above 0; nan elsewhere. Source: Altman & Bland 2011b.

    >>> p_from_effect(np.array([1.96]), np.array([1.0])).round(4)
    array([0.05])
    """
    with np.errstate(all="ignore"):
        return keep(2 * ndtr(-np.abs(effect) / se), se > 0, np.isfinite(effect))


def log_ratio(upper: Floats, lower: Floats) -> Floats:
    """Return log(upper / lower) without losing the digits of a ratio near 1; nan unless both are above 0.

    >>> float(log_ratio(np.array([1.0 + 2.0**-40]), np.array([1.0]))[0]) == float(np.log1p(2.0**-40))
    True
    """
    with np.errstate(all="ignore"):
        relative = (upper - lower) / lower
        near = np.abs(relative) < 0.5
        far = np.log(upper) - np.log(lower)
        return np.where((upper > 0) & (lower > 0), np.where(near, np.log1p(np.where(near, relative, 0.0)), far), np.nan)


# ---------------------------------------------------------------- hazard ratios


@conversion(
    "log-hr-from-logrank",
    title="Log hazard ratio from O − E and V",
    text="(O − E)/V with standard error 1/√V, of the log-rank test",
    gives="yi sei",
    cite="parmar1998 tierney2007",
)
def log_hazard_from_logrank(o_minus_e: Floats, v: Floats) -> Effect:
    """Return the log hazard ratio from the log-rank test: yi = (O - E) / V, sei = 1 / sqrt(V).

    o_minus_e: (k,) observed minus expected events in arm 1; v: (k,) its variance, above 0; nan elsewhere. Source:
    Parmar et al. 1998; Tierney et al. 2007.

    >>> log_hazard_from_logrank(np.array([-5.0]), np.array([20.0])).yi
    array([-0.25])
    """
    with np.errstate(all="ignore"):
        return _effect(o_minus_e / v, 1 / np.sqrt(v), v > 0)


@conversion(
    "log-hr-from-p",
    title="Log hazard ratio from P and events",
    text="the log-rank P value and V = events n₁n₂/(n₁ + n₂)², with the sign given",
    gives="yi sei",
    cite="parmar1998 tierney2007",
)
def log_hazard_from_p(p: Floats, events: Floats, n_1: Floats, n_2: Floats, sign: Floats) -> Effect:
    """Return the log hazard ratio from the two-sided p value of the log-rank test and the total number of events.

    V = events n_1 n_2 / (n_1 + n_2)^2, yi = sign z / sqrt(V), sei = 1 / sqrt(V), z = -Phi^-1(p / 2).

    p: (k,) in (0, 1]; events: (k,) of both arms, above 0; n_1, n_2: (k,) people randomised; sign: (k,) not 0, negative
    where arm 1 has the lower hazard; nan elsewhere. Source: Parmar et al. 1998; Tierney et al. 2007, methods 7 to 9.

    >>> log_hazard_from_p(*(np.array([x]) for x in (0.05, 100.0, 80.0, 80.0, -1.0))).yi.round(4)
    array([-0.392])
    """
    with np.errstate(all="ignore"):
        v = events * (n_1 / (n_1 + n_2)) * (n_2 / (n_1 + n_2))
        good = (sign != 0) & (events > 0) & sample(n_1, 1) & sample(n_2, 1)
        return _effect(np.sign(sign) * z_from_p(p) / np.sqrt(v), 1 / np.sqrt(v), good)


# ---------------------------------------------------------------- delta method


@dataclass(frozen=True, slots=True)
class Transform:
    """A function of an effect, its derivative, and whether it falls as the effect rises."""

    value: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    decreasing: bool = False


def _cloglog(p: Floats) -> Floats:
    return np.log(-np.log1p(-p))


def _probit_slope(p: Floats) -> Floats:
    return np.sqrt(2 * np.pi) * np.exp(_probit(p) ** 2 / 2)


def _probit(p: Floats) -> Floats:
    return ndtri(p)


TRANSFORMS: Mapping[str, Transform] = {
    "log": Transform(np.log, lambda y: 1 / y),
    "exp": Transform(np.exp, np.exp),
    "logit": Transform(logit, lambda p: 1 / (p * (1 - p))),
    "expit": Transform(expit, lambda y: expit(y) * expit(-y)),
    "fisher": Transform(np.arctanh, lambda r: 1 / ((1 - r) * (1 + r))),
    "tanh": Transform(np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "sqrt": Transform(np.sqrt, lambda y: 0.5 / np.sqrt(y)),
    "square": Transform(np.square, lambda y: 2 * y),
    "arcsine": Transform(lambda p: np.arcsin(np.sqrt(p)), lambda p: 0.5 / np.sqrt(p * (1 - p))),
    "probit": Transform(_probit, _probit_slope),
    "cloglog": Transform(_cloglog, lambda p: -1 / ((1 - p) * np.log1p(-p))),
    "reciprocal": Transform(lambda y: 1 / y, lambda y: -1 / y**2, decreasing=True),
    "complement": Transform(lambda p: 1 - p, lambda p: -np.ones_like(p), decreasing=True),
}


@conversion(
    "delta",
    title="Delta method",
    text="transformed, with the standard error times the slope of the transformation",
    gives="yi sei",
    cite="viechtbauer2010",
)
def delta_method(yi: Floats, sei: Floats, *, transform: str) -> Effect:
    """Return f(yi) and its standard error |f'(yi)| sei by the delta method, with the derivative in closed form.

    yi, sei: (k,) effect and standard error above 0; nan elsewhere, outside the domain of f, and where f' is 0 or
    infinite. transform: a key of TRANSFORMS; `OptionError` for others. Counterpart:
    `metafor::conv.delta(transf=)`, which takes the derivative by differences. Source: Viechtbauer 2010.

    >>> out = delta_method(np.array([0.125]), np.array([0.0522912]), transform="logit")
    >>> out.yi.round(4), out.sei.round(4)
    (array([-1.9459]), array([0.4781]))
    """
    f = TRANSFORMS[choose("transform", transform, tuple(TRANSFORMS))]
    with np.errstate(all="ignore"):
        return _effect(f.value(yi), np.abs(f.slope(yi)) * sei, sei > 0)
