"""The ways back from the analysis scale to the one that readers know, each with its slope for the delta method."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

from metaback.errors import OptionError
from metaback.registry import Registry

Floats = NDArray[np.float64]
Size = Floats | float | None
INF = math.inf
HALFWAY = 0.5  # nearer to a half than this a proportion is counted from there, else from its end


class Way(Protocol):
    """One direction: numbers, and a size where one is needed, to numbers."""

    def __call__(self, x: Floats, size: Size = None) -> Floats:
        """Return the numbers on the other scale."""
        ...


@dataclass(frozen=True, slots=True)
class Transform:
    """One analysis scale and the way back from it.

    key: as measures name it in `back`; title: the transformation in words. forward: from the scale of readers to that
    of the analysis; inverse: the way back, for any number: what lies outside `domain` is moved to its nearest end;
    derivative: slope of the inverse, 0 outside the domain. All three take the numbers and a size.
    domain: analysis values that come from values of readers; it can depend on the size, and is then the widest.
    image: values of readers. decreasing: whether the inverse falls, so that limits change places.
    size: what the size is ("n", "time"), "" where none is needed.
    """

    key: str
    title: str
    forward: Way
    inverse: Way
    derivative: Way
    domain: tuple[float, float] = (-INF, INF)
    image: tuple[float, float] = (-INF, INF)
    decreasing: bool = False
    size: str = ""


TRANSFORMS: Registry[Way] = Registry("back")


def transform(key: str, title: str, *, cite: str, forward: Way, derivative: Way, **facts: Any) -> Callable[[Way], Way]:
    """Return the decorator that adds a way back; the decorated function is the inverse."""

    def add(inverse: Way) -> Way:
        about = Transform(key, title, forward, inverse, derivative, **facts)
        return TRANSFORMS.register(key, title=title, cite=cite, about=about)(inverse)

    return add


def back(key: str) -> Transform:
    """Return the way back of that name; raise `OptionError` that lists the family for another.

    >>> back("tanh").title
    "Fisher's z"
    """
    found: Transform = TRANSFORMS[key].facts["about"]
    return found


def harmonic_mean(n: Floats) -> float:
    """Return the harmonic mean of the sizes above 0, the n that Miller 1978 gives to the inverse of a pooled value.

    Schwarzer et al. 2019 show that a pooled double arcsine can come back as nonsense where sizes differ much: say which
    n was used, or pool logits. nan if no size is above 0. Source: Miller 1978.

    >>> round(harmonic_mean(np.array([10.0, 40.0])), 10)
    16.0
    """
    known = n[np.isfinite(n) & (n > 0)]
    return float(known.size / (1 / known).sum()) if known.size else math.nan


def _sized(size: Size, key: str) -> Floats:
    """Return the size as an array; a way back that needs one does not guess it."""
    if size is None:
        raise OptionError(f"back={key!r} needs a size: the n (or the time at risk) that the value stands for")
    given = np.asarray(size, dtype=np.float64)
    return np.where(given > 0, given, np.nan)


def _inside(x: Floats, low: Floats | float, high: Floats | float) -> NDArray[np.bool_]:
    """Tell which numbers lie in an interval; nan does not."""
    return (x >= low) & (x <= high)


def _one(x: Floats, size: Size = None) -> Floats:
    """Return ones where there is a number."""
    return np.where(np.isnan(x), np.nan, 1.0)


def _same(x: Floats, size: Size = None) -> Floats:
    return x


@transform("identity", "none", cite="borenstein2009", forward=_same, derivative=_one)
def identity(x: Floats, size: Size = None) -> Floats:
    """Return the numbers as they are.

    Source: Borenstein et al. 2009, for effects that are analysed as they are shown.

    >>> float(identity(np.array([0.3]))[0])
    0.3
    """
    return x


@np.errstate(all="ignore")
def _log(x: Floats, size: Size = None) -> Floats:
    return np.log(np.where(x >= 0, x, np.nan))


@np.errstate(all="ignore")
def _exp_slope(x: Floats, size: Size = None) -> Floats:
    return exponential(x)


@transform("exp", "logarithm", cite="borenstein2009", forward=_log, derivative=_exp_slope, image=(0.0, INF))
@np.errstate(all="ignore")
def exponential(x: Floats, size: Size = None) -> Floats:
    """Return exp(x), the way back from a logarithm; infinite above 709.

    Source: Borenstein et al. 2009. Same as `exp` in R.

    >>> float(exponential(np.array([0.0]))[0])
    1.0
    """
    return np.exp(x)


@np.errstate(all="ignore")
def _log_share(x: Floats, size: Size = None) -> Floats:
    return np.log(np.where(_inside(x, 0, 1), x, np.nan))


@np.errstate(all="ignore")
def _share_slope(x: Floats, size: Size = None) -> Floats:
    return np.where(x > 0, 0.0, exponential(x))


@transform(
    "exp_share", "logarithm", cite="fleiss2003",
    forward=_log_share, derivative=_share_slope, domain=(-INF, 0.0), image=(0.0, 1.0),
)  # fmt: skip
@np.errstate(all="ignore")
def exponential_share(x: Floats, size: Size = None) -> Floats:
    """Return exp(x), the way back from the logarithm of a proportion; 1 above 0, where limits of a log can lie.

    Source: Fleiss, Levin & Paik 2003.

    >>> [float(share) for share in exponential_share(np.array([0.0, 0.4]))]
    [1.0, 1.0]
    """
    return np.exp(np.minimum(x, 0.0))


def _share(x: Floats, size: Size = None) -> Floats:
    return np.where(_inside(x, 0, 1), x, np.nan)


def _inside_slope(x: Floats, size: Size = None) -> Floats:
    return np.where(np.isnan(x), np.nan, np.where(_inside(x, 0, 1), 1.0, 0.0))


@transform(
    "share", "none", cite="fleiss2003",
    forward=_share, derivative=_inside_slope, domain=(0.0, 1.0), image=(0.0, 1.0),
)  # fmt: skip
def share(x: Floats, size: Size = None) -> Floats:
    """Return a proportion that was analysed as it is; 0 below 0 and 1 above 1, where its Wald limits can lie.

    Source: Fleiss, Levin & Paik 2003.

    >>> [float(p) for p in share(np.array([-0.02, 0.4]))]
    [0.0, 0.4]
    """
    return np.clip(x, 0.0, 1.0)


@np.errstate(all="ignore")
def _artanh(x: Floats, size: Size = None) -> Floats:
    return np.arctanh(np.where(_inside(x, -1, 1), x, np.nan))


@np.errstate(all="ignore")
def _sech2(x: Floats, size: Size = None) -> Floats:
    return 1 / np.cosh(x) ** 2


@transform("tanh", "Fisher's z", cite="fisher1921", forward=_artanh, derivative=_sech2, image=(-1.0, 1.0))
@np.errstate(all="ignore")
def tanh(x: Floats, size: Size = None) -> Floats:
    """Return the hyperbolic tangent, the way back from Fisher's z to a correlation.

    Source: Fisher 1921. Same as `metafor::transf.ztor`.

    >>> float(tanh(np.array([0.5493061443340549]))[0].round(12))
    0.5
    """
    return np.tanh(x)


@np.errstate(all="ignore")
def _artanh_root(x: Floats, size: Size = None) -> Floats:
    return np.arctanh(np.sqrt(np.where(_inside(x, 0, 1), x, np.nan)))


@np.errstate(all="ignore")
def _tanh2_slope(x: Floats, size: Size = None) -> Floats:
    return np.where(x < 0, 0.0, 2 * np.tanh(x) * _sech2(x, size))


@transform(
    "tanh2", "Fisher's z of a multiple correlation", cite="olkin1995",
    forward=_artanh_root, derivative=_tanh2_slope, domain=(0.0, INF), image=(0.0, 1.0),
)  # fmt: skip
@np.errstate(all="ignore")
def tanh_squared(x: Floats, size: Size = None) -> Floats:
    """Return tanh(x)^2, the way back from Fisher's z of a multiple correlation to R^2; 0 below 0.

    Source: Olkin & Finn 1995.

    >>> float(tanh_squared(np.array([0.5493061443340549]))[0].round(12))
    0.25
    """
    return np.tanh(np.where(x < 0, 0.0, x)) ** 2


@np.errstate(all="ignore")
def _logit(x: Floats, size: Size = None) -> Floats:
    return logit(np.where(_inside(x, 0, 1), x, np.nan))


@np.errstate(all="ignore")
def _expit_slope(x: Floats, size: Size = None) -> Floats:
    return expit(x) * expit(-x)


@transform("expit", "logit", cite="fleiss2003", forward=_logit, derivative=_expit_slope, image=(0.0, 1.0))
@np.errstate(all="ignore")
def inverse_logit(x: Floats, size: Size = None) -> Floats:
    """Return 1 / (1 + exp(-x)), the way back from a logit to a proportion.

    Source: Fleiss, Levin & Paik 2003. Same as `plogis` in R and `metafor::transf.ilogit`.

    >>> float(inverse_logit(np.array([0.0]))[0])
    0.5
    """
    return expit(x)


@np.errstate(all="ignore")
def _probit(x: Floats, size: Size = None) -> Floats:
    return ndtri(np.where(_inside(x, 0, 1), x, np.nan))


@np.errstate(all="ignore")
def _density(x: Floats, size: Size = None) -> Floats:
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


@transform("ndtr", "probit", cite="fleiss2003", forward=_probit, derivative=_density, image=(0.0, 1.0))
@np.errstate(all="ignore")
def inverse_probit(x: Floats, size: Size = None) -> Floats:
    """Return the standard normal distribution function, the way back from a probit to a proportion.

    Source: Fleiss, Levin & Paik 2003. Same as `pnorm` in R.

    >>> float(inverse_probit(np.array([0.0]))[0])
    0.5
    """
    return ndtr(x)


@np.errstate(all="ignore")
def _arcsine(x: Floats, size: Size = None) -> Floats:
    x = np.where(_inside(x, 0, 1), x, np.nan)
    return np.arctan2(np.sqrt(x), np.sqrt(1 - x))


@np.errstate(all="ignore")
def _sine_slope(x: Floats, size: Size = None) -> Floats:
    return np.where(np.isnan(x), np.nan, np.where(_inside(x, 0, math.pi / 2), np.sin(2 * x), 0.0))


@transform(
    "sin2", "arcsine of the square root", cite="fleiss2003",
    forward=_arcsine, derivative=_sine_slope, domain=(0.0, math.pi / 2), image=(0.0, 1.0),
)  # fmt: skip
@np.errstate(all="ignore")
def sine_squared(x: Floats, size: Size = None) -> Floats:
    """Return sin(x)^2, the way back from an arcsine to a proportion; 0 below 0 and 1 above pi/2.

    Source: Fleiss, Levin & Paik 2003. Same as `metafor::transf.iarcsin`.

    >>> float(sine_squared(np.array([0.5235987755982988]))[0].round(12))
    0.25
    """
    return np.sin(np.clip(x, 0, math.pi / 2)) ** 2


@np.errstate(all="ignore")
def _double_arcsine(x: Floats, size: Size = None) -> Floats:
    n = _sized(size, "freeman_tukey_proportion")
    p = np.where(_inside(x, 0, 1), x, np.nan)
    lower = np.arctan2(np.sqrt(n * p), np.sqrt(n * (1 - p) + 1))
    upper = np.arctan2(np.sqrt(n * p + 1), np.sqrt(n * (1 - p)))
    return (lower + upper) / 2


@np.errstate(all="ignore")
def _double_arcsine_slope(x: Floats, size: Size = None) -> Floats:
    n = _sized(size, "freeman_tukey_proportion")
    p = freeman_tukey_proportion(x, size)
    one, two = np.sqrt(p * (n * (1 - p) + 1)), np.sqrt((n * p + 1) * (1 - p))
    low = _no_events(n)
    slope = np.where(_inside(x, low, math.pi / 2 - low), 4 * one * two / (np.sqrt(n) * (one + two)), 0.0)
    return np.where(np.isnan(p), np.nan, slope)


def _no_events(n: Floats) -> Floats:
    """Return the double arcsine of no events among n people."""
    return np.arctan2(1.0, np.sqrt(n)) / 2


@transform(
    "freeman_tukey_proportion",
    "double arcsine", cite="miller1978",
    forward=_double_arcsine, derivative=_double_arcsine_slope,
    domain=(0.0, math.pi / 2), image=(0.0, 1.0), size="n",
)  # fmt: skip
@np.errstate(all="ignore")
def freeman_tukey_proportion(x: Floats, size: Size = None) -> Floats:
    """Return the way back from the double arcsine of Freeman and Tukey to a proportion of n people.

    p = (1 - sign(cos t) sqrt(1 - u^2)) / 2 with t = 2x and u = sin t + (sin t - 1/sin t)/n.

    x: (k,); size: the n that the value stands for, for a pooled one the harmonic mean by convention (see
    `harmonic_mean`). Values below that of no events become 0, those above that of only events 1. Raises `OptionError`
    without a size. Source: Miller 1978. Same as `metafor::transf.ipft`.

    >>> y = (np.arcsin(np.sqrt(3 / 11)) + np.arcsin(np.sqrt(4 / 11))) / 2
    >>> float(freeman_tukey_proportion(np.array([y]), 10.0)[0].round(12))
    0.3
    """
    n = _sized(size, "freeman_tukey_proportion")
    low = _no_events(n)
    t = 2 * np.clip(x, low, math.pi / 2 - low)
    sine, cosine = np.sin(t), np.cos(t)
    root = np.sqrt(n + 1)
    u = np.clip((root * sine - 1) * (root * sine + 1) / (n * sine), 0, 1)
    side = cosine * np.sqrt((1 / (1 + sine) + 1 / (n * sine)) * (1 + u))  # 1 - u has the factor cos^2 t
    smaller = u**2 / (1 + np.abs(side)) / 2
    p = np.where(np.abs(side) < HALFWAY, (1 - side) / 2, np.where(side > 0, smaller, 1 - smaller))
    return np.where(x <= low, 0.0, np.where(x >= math.pi / 2 - low, 1.0, p))


@np.errstate(all="ignore")
def _root(x: Floats, size: Size = None) -> Floats:
    return np.sqrt(np.where(x >= 0, x, np.nan))


@np.errstate(all="ignore")
def _twice(x: Floats, size: Size = None) -> Floats:
    return np.where(x < 0, 0.0, 2 * x)


@transform(
    "square", "square root", cite="rothman2008",
    forward=_root, derivative=_twice, domain=(0.0, INF), image=(0.0, INF),
)  # fmt: skip
@np.errstate(all="ignore")
def square(x: Floats, size: Size = None) -> Floats:
    """Return x^2, the way back from the square root of a rate; 0 below 0.

    Source: Rothman, Greenland & Lash 2008.

    >>> float(square(np.array([0.5]))[0])
    0.25
    """
    return np.where(x < 0, 0.0, x) ** 2


@np.errstate(all="ignore")
def _double_root(x: Floats, size: Size = None) -> Floats:
    time = _sized(size, "freeman_tukey_rate")
    good = np.where(x >= 0, x, np.nan)
    return (np.sqrt(good) + np.sqrt(good + 1 / time)) / 2


@np.errstate(all="ignore")
def _double_root_slope(x: Floats, size: Size = None) -> Floats:
    rate = freeman_tukey_rate(x, size)
    one, two = np.sqrt(rate), np.sqrt(rate + 1 / _sized(size, "freeman_tukey_rate"))
    return np.where(rate > 0, 4 * one * two / (one + two), 0.0 * rate)


@transform(
    "freeman_tukey_rate", "double square root", cite="freeman1950",
    forward=_double_root, derivative=_double_root_slope, domain=(0.0, INF), image=(0.0, INF), size="time",
)  # fmt: skip
@np.errstate(all="ignore")
def freeman_tukey_rate(x: Floats, size: Size = None) -> Floats:
    """Return the way back from the transformation of Freeman and Tukey to a rate in a time t.

    rate = (x - 1/(4 x t))^2, which solves x = (sqrt(rate) + sqrt(rate + 1/t)) / 2.

    x: (k,); size: the time at risk that the value stands for, for a pooled one the harmonic mean by convention.
    Values below that of no events become 0. Raises `OptionError` without a size. Source: Freeman & Tukey 1950, solved
    for the rate. Same as `metafor::transf.iirft`.

    >>> float(freeman_tukey_rate(np.array([0.1]), 25.0)[0])
    0.0
    """
    time = _sized(size, "freeman_tukey_rate")
    root = 2 * np.sqrt(time)
    above = np.maximum(x, 1 / root)
    rate = ((root * above - 1) * (root * above + 1) / (4 * above * time)) ** 2
    return np.where(x <= 1 / root, 0.0, rate)


@np.errstate(all="ignore")
def _cube_root(x: Floats, size: Size = None) -> Floats:
    root = np.cbrt(1 - np.where(x <= 1, x, np.nan))
    return x / (1 + root + root**2)


@np.errstate(all="ignore")
def _cube_slope(x: Floats, size: Size = None) -> Floats:
    return np.where(x > 1, 0.0, 3 * (1 - x) ** 2)


@transform(
    "hakstian_whalen", "1 minus the cube root of 1 - alpha", cite="hakstian1976",
    forward=_cube_root, derivative=_cube_slope, domain=(-INF, 1.0), image=(-INF, 1.0),
)  # fmt: skip
@np.errstate(all="ignore")
def inverse_hakstian_whalen(x: Floats, size: Size = None) -> Floats:
    """Return 1 - (1 - x)^3, the way back to Cronbach's alpha; 1 above 1.

    Source: Hakstian & Whalen 1976, turned so that it rises. Same as `metafor::transf.iahw`.

    >>> float(inverse_hakstian_whalen(np.array([0.5]))[0])
    0.875
    """
    x = np.where(x > 1, 1.0, x)
    return x * (3 - 3 * x + x**2)


@np.errstate(all="ignore")
def _cube_root_1976(x: Floats, size: Size = None) -> Floats:
    return np.cbrt(1 - np.where(x <= 1, x, np.nan))


@np.errstate(all="ignore")
def _cube_slope_1976(x: Floats, size: Size = None) -> Floats:
    return np.where(x < 0, 0.0, -3 * x**2)


@transform(
    "hakstian_whalen_1976", "cube root of 1 - alpha", cite="hakstian1976", decreasing=True,
    forward=_cube_root_1976, derivative=_cube_slope_1976, domain=(0.0, INF), image=(-INF, 1.0),
)  # fmt: skip
@np.errstate(all="ignore")
def inverse_hakstian_whalen_1976(x: Floats, size: Size = None) -> Floats:
    """Return 1 - x^3, the way back to Cronbach's alpha from the transformation as it was published; it falls.

    Source: Hakstian & Whalen 1976.

    >>> float(inverse_hakstian_whalen_1976(np.array([0.5]))[0])
    0.875
    """
    return 1 - np.where(x < 0, 0.0, x) ** 3


@np.errstate(all="ignore")
def _minus_log(x: Floats, size: Size = None) -> Floats:
    return -np.log1p(-np.where(x <= 1, x, np.nan))


@np.errstate(all="ignore")
def _exp_minus(x: Floats, size: Size = None) -> Floats:
    return exponential(-x)


@transform(
    "bonett", "minus the logarithm of 1 - alpha", cite="bonett2002",
    forward=_minus_log, derivative=_exp_minus, image=(-INF, 1.0),
)  # fmt: skip
@np.errstate(all="ignore")
def inverse_bonett(x: Floats, size: Size = None) -> Floats:
    """Return 1 - exp(-x), the way back to Cronbach's alpha.

    Source: Bonett 2002, turned so that it rises. Same as `metafor::transf.iabt`.

    >>> float(inverse_bonett(np.array([1.6094379124341003]))[0].round(12))
    0.8
    """
    return -np.expm1(-x)


@np.errstate(all="ignore")
def _log_1_minus(x: Floats, size: Size = None) -> Floats:
    return -_minus_log(x, size)


@np.errstate(all="ignore")
def _minus_exp(x: Floats, size: Size = None) -> Floats:
    return -exponential(x)


@transform(
    "bonett_2002", "logarithm of 1 - alpha", cite="bonett2002", decreasing=True,
    forward=_log_1_minus, derivative=_minus_exp, image=(-INF, 1.0),
)  # fmt: skip
@np.errstate(all="ignore")
def inverse_bonett_2002(x: Floats, size: Size = None) -> Floats:
    """Return 1 - exp(x), the way back to Cronbach's alpha from the transformation as it was published; it falls.

    Source: Bonett 2002.

    >>> float(inverse_bonett_2002(np.array([-1.6094379124341003]))[0].round(12))
    0.8
    """
    return -np.expm1(x)
