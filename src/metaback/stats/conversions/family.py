"""The family of conversions: what one is, what it gives, and the quantiles that all of them share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import beta, betaincinv, ndtri, stdtrit

from metaback.errors import OptionError
from metaback.registry import Registry

Floats = NDArray[np.float64]
Level = float | Floats
Quantile = Literal["t", "normal"]
ConversionFunction = Callable[..., Any]
F = TypeVar("F", bound=ConversionFunction)

CONVERSIONS: Registry[ConversionFunction] = Registry("conversion")
FEW = 50.0  # degrees of freedom: below, scipy's t quantile is lost at p = 1e-300; above, its beta quantile loses digits
LEADING = 1e-20  # x of the beta quantile below which the first term of its series is exact
R_SLACK = 1e-12  # a correlation beyond 1 by less than this is the rounding of the last digit, not a contradiction


def conversion(key: str, *, title: str, text: str, gives: str, cite: str) -> Callable[[F], F]:
    """Return the decorator that adds a conversion; positional parameters are roles, keyword-only ones conventions.

    title: as a heading; text: for the route of a row, a phrase that goes on from "was"; cite: keys of references.bib.
    gives: the roles that come out, in order. One role: the function returns its array; several: a record of them.
    """
    register = CONVERSIONS.register(key, title=title, cite=cite, text=text, gives=tuple(gives.split()))

    def add(function: F) -> F:
        register(function)
        return function

    return add


def needs(key: str) -> tuple[str, ...]:
    """Return the roles that a conversion is computed from, in the order of its positional parameters.

    >>> needs("r-from-sds")
    ('sd_pre', 'sd_post', 'sd_change')
    """
    parameters = inspect.signature(CONVERSIONS[key].function).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)


def outputs(key: str, result: Any) -> dict[str, Floats]:
    """Return what a conversion gave by role, whether it is one array or a record of several.

    >>> outputs("r-from-sds", np.array([0.5]))
    {'r': array([0.5])}
    """
    gives: tuple[str, ...] = CONVERSIONS[key].facts["gives"]
    if isinstance(result, np.ndarray):
        return {gives[0]: result}
    return {role: getattr(result, role) for role in gives}


def keep(value: Any, *rules: Any) -> Floats:
    """Return the value where it is finite and every rule holds, nan elsewhere.

    >>> keep(np.array([1.0, 2.0, np.inf]), np.array([True, False, True]))
    array([ 1., nan, nan])
    """
    valid = np.isfinite(value)
    for rule in rules:
        valid = valid & rule
    return np.where(valid, value, np.nan)


def choose(option: str, word: str, allowed: tuple[str, ...]) -> str:
    """Return the word, or raise `OptionError` for one that the option does not have."""
    if word not in allowed:
        raise OptionError.unknown(option, word, allowed)
    return word


def sample(n: Any, least: float = 2.0) -> NDArray[np.bool_]:
    """Tell where a sample size is finite and at least `least`."""
    return np.isfinite(n) & (np.asarray(n) >= least)


def z_from_p(p: Any) -> Floats:
    """Return the absolute z whose two-sided p value is p.

    z = -Phi^-1(p / 2), from the lower tail, so that p = 1e-300 keeps all digits.

    p: (k,) in (0, 1]; nan elsewhere, p = 0 included, because the statistic behind a rounded 0 is not known.
    Source: Higgins et al. 2024, section 6.3.2. Same as `qnorm(p / 2, lower.tail = FALSE)`.

    >>> float(z_from_p(np.array([0.008]))[0].round(3))
    2.652
    """
    p = np.where((np.asarray(p) > 0) & (np.asarray(p) <= 1), p, np.nan)
    return -ndtri(p / 2)


def t_from_p(p: Any, df: Any) -> Floats:
    """Return the absolute t on `df` degrees of freedom whose two-sided p value is p; for df = inf the absolute z.

    t^2 = df y / (1 - y), where y has the beta(1/2, df/2) probability 1 - p. For p < 1/2 the other side is inverted,
    t^2 = df (1 - x) / x with x of the beta(df/2, 1/2) probability p, so that small p keep all digits; far out by the
    first term of its series, and above 50 df by scipy's own quantile. nan where t would overflow.

    p: (k,) in (0, 1]; df: (k,) above 0; nan elsewhere. Source: Higgins et al. 2024, section 6.5.2.3. Same as
    `qt(p / 2, df, lower.tail = FALSE)`.

    >>> float(t_from_p(np.array([0.008]), np.array([45.0]))[0].round(3))
    2.776
    """
    p, df = np.broadcast_arrays(np.asarray(p, dtype=np.float64), np.asarray(df, dtype=np.float64))
    valid = (p > 0) & (p <= 1) & (df > 0)
    small = np.where(valid & (p < 0.5), p, 0.25)
    nu = np.where(valid & np.isfinite(df), df, 1.0)
    with np.errstate(all="ignore"):
        many: Floats = -stdtrit(nu, small / 2)
        x: Floats = betaincinv(nu / 2, 0.5, small)
        first = np.sqrt(nu) * (small * nu / 2 * beta(nu / 2, 0.5)) ** (-1 / nu)
        few = np.where(x < LEADING, first, np.sqrt(nu) * np.sqrt((1 - x) / x))
        y: Floats = betaincinv(0.5, nu / 2, 1 - np.where(valid & (p >= 0.5), p, 1.0))
        near = np.sqrt(nu * y / (1 - y))
    t = np.where(p < 0.5, np.where(nu > FEW, many, few), near)
    return keep(np.where(np.isinf(df), z_from_p(p), t), valid)


def critical(level: Any, df: Any = np.inf) -> Floats:
    """Return the two-sided critical value of an interval: of t on `df` degrees of freedom, of the normal for inf.

    level: as in 0.95; nan outside (0, 1), so that a level of 95 is not mistaken for one. Source: as `t_from_p`.

    >>> critical(np.array([0.95])).round(4), critical(np.array([0.9]), np.array([24.0])).round(4)
    (array([1.96]), array([1.7109]))
    """
    level = np.asarray(level, dtype=np.float64)
    return t_from_p(np.where((level > 0) & (level < 1), 1 - level, np.nan), df)
