"""Measures of the reliability of an instrument: Cronbach's alpha as it is and transformed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaback.stats.measures.family import Computed, Floats, Measure, finish, measure

UNDEFINED = "{} needs an alpha below 1, more than {} people and at least 2 items"
SPREAD = "2m(1 − α)²/((m − 1)(n − 2)) for m items and n people"


def _usable(alpha: Floats, items: Floats, n: Floats, people: int) -> tuple[NDArray[np.bool_], Floats, Floats, Floats]:
    """Return which rows can be, 1 - alpha, m/(m - 1) and n; nan where they cannot."""
    good = (alpha < 1) & (items >= 2) & (n > people)
    many = np.where(good, items, np.nan)
    return good, np.where(good, 1 - alpha, np.nan), many / (many - 1), np.where(good, n, np.nan)


@measure(
    Measure(
        "ARAW",
        "Cronbach's alpha",
        "α",
        "linear",
        "none",
        undefined=UNDEFINED.format("ARAW", 2),
        formula=f"Cronbach's alpha, with variance {SPREAD}",
        turn="same",
    ),
    cite="bonett2002",
)
@np.errstate(all="ignore")
def raw_alpha(alpha: Floats, items: Floats, n: Floats) -> Computed:
    """Compute Cronbach's alpha as it is.

    y = alpha, v = 2 m (1 - alpha)^2 / ((m - 1)(n - 2)), with m the items.

    All arguments (k,). Defined for alpha of 0 and below too, which bad instruments have. Undefined for alpha >= 1,
    n <= 2 and fewer than 2 items. Source: Bonett 2002. Same as `metafor::escalc(measure="ARAW")`.

    >>> out = raw_alpha(np.array([0.8]), np.array([10.0]), np.array([50.0]))
    >>> float(out.yi[0]), round(float(out.vi[0]), 6)
    (0.8, 0.001852)
    """
    good, rest, factor, people = _usable(alpha, items, n, 2)
    return finish(alpha, 2 * factor * rest**2 / (people - 2), good)


@measure(
    Measure(
        "AHW",
        "Cronbach's alpha",
        "α",
        "linear",
        "none",
        undefined=UNDEFINED.format("AHW", 1),
        formula="1 minus the cube root of 1 − α (Hakstian and Whalen), with variance "
        "18m(n − 1)(1 − α)^(2/3)/((m − 1)(9n − 11)²) for m items and n people",
        back="hakstian_whalen",
        turn="same",
    ),
    cite="hakstian1976",
)
@np.errstate(all="ignore")
def cube_root_alpha(alpha: Floats, items: Floats, n: Floats) -> Computed:
    """Compute the transformation of Hakstian and Whalen, turned so that it rises with alpha.

    y = 1 - (1 - alpha)^(1/3), v = 18 m (n - 1) (1 - alpha)^(2/3) / ((m - 1) (9n - 11)^2), with m the items.

    All arguments (k,). Defined for alpha of 0 and below too. Undefined for alpha >= 1, one person and fewer than 2
    items. Source: Hakstian & Whalen 1976, whose own transform is 1 - y. Same as `metafor::escalc(measure="AHW")`.

    >>> out = cube_root_alpha(np.array([0.8]), np.array([10.0]), np.array([50.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (0.415196, 0.001739)
    """
    good, rest, factor, people = _usable(alpha, items, n, 1)
    root = np.cbrt(rest)
    yi = alpha / (1 + root + root**2)  # 1 - root, without loss near alpha = 0
    return finish(yi, 18 * factor * (people - 1) * root**2 / (9 * people - 11) ** 2, good)


@measure(
    Measure(
        "ABT",
        "Cronbach's alpha",
        "α",
        "linear",
        "none",
        undefined=UNDEFINED.format("ABT", 2),
        formula="−log(1 − α) (Bonett), with variance 2m/((m − 1)(n − 2)) for m items and n people",
        back="bonett",
        turn="same",
    ),
    cite="bonett2002",
)
@np.errstate(all="ignore")
def log_alpha(alpha: Floats, items: Floats, n: Floats) -> Computed:
    """Compute the transformation of Bonett, turned so that it rises with alpha.

    y = -log(1 - alpha), v = 2 m / ((m - 1)(n - 2)), with m the items.

    All arguments (k,). Defined for alpha of 0 and below too. Undefined for alpha >= 1, n <= 2 and fewer than 2 items.
    Source: Bonett 2002, whose own transform is -y. Same as `metafor::escalc(measure="ABT")`.

    >>> out = log_alpha(np.array([0.8]), np.array([10.0]), np.array([50.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (1.609438, 0.046296)
    """
    good, _, factor, people = _usable(alpha, items, n, 2)
    return finish(-np.log1p(-np.where(good, alpha, np.nan)), 2 * factor / (people - 2), good)
