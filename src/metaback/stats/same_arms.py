"""Whether two groups of people are the same group, by the numbers that describe them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from metaback.numbers import as_given

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Digits = NDArray[np.intp]
MOST = 12  # decimals that are told apart; a double of ordinary size holds no more
TELLING = 4  # digits of mean and SD together that two groups of people do not share by chance within one study
MANY_EVENTS = 10  # events that another outcome of the same people seldom has by chance
LEFT = 1.1  # ratio of two numbers of people that people who leave between two measurements seldom make
EVERYONE = re.compile(  # how strata of all people are called
    r"(all|overall|total|whole|entire|full|everyone|everybody|combined|pooled|both (sexes|genders|groups))"
    r"([ -]+(the |randomi[sz]ed )?(people|persons|patients|participants|subjects|individuals|comers|sample|population|"
    r"cohort|study|trial|group|groups|subgroups|strata|sexes|ages))?",
    re.IGNORECASE,
)
DECLARED = re.compile(
    r"\b(used|counted|shared|serves?|compared) (in|for|by|with|as) (both|all|two|three|each|several|the other)"
    r"|\bshared (control|comparator|group|arm)|\b(same|common|single|one) (control|comparator)",
    re.IGNORECASE,
)


def decimals(values: Floats) -> Digits:
    """Return how many decimals each number needs to be written down, 0 for whole numbers and blanks, at most 12.

    values: any shape.

    >>> decimals(np.array([0.6, 12.0, -3.25, np.nan, 1 / 3])).tolist()
    [1, 0, 2, 0, 12]
    """
    flat = values.ravel()
    found = np.zeros(flat.shape, dtype=np.intp)
    open_ = np.flatnonzero(np.isfinite(flat))
    for digits_ in range(MOST):
        left = flat[open_]
        open_ = open_[np.round(left, digits_) != left]
        found[open_] = digits_ + 1
        if not open_.size:
            break
    return found.reshape(values.shape)


def digits(values: Iterable[float | None]) -> int:
    """Count the significant digits of several numbers together, at least one for each.

    >>> digits((12.3, 0.05, None))
    4
    """
    known = (as_given(abs(value)) for value in values if value is not None)
    return sum(len(re.sub(r"\D", "", text).lstrip("0")) or 1 for text in known)


def agreeing(one: Floats, two: Floats) -> Bools:
    """Tell which pairs of arms have the same n, and other numbers that agree to the fewer of their decimals, (p,).

    A whole number says nothing of the decimals behind it, so that whole numbers must be equal. one, two: (p, s), n in
    the first column, nan where blank; a number that only one arm has sets them apart.

    >>> agreeing(np.array([[15.0, 12.3, 4.0], [15.0, 12.0, 4.0]]), np.array([[15.0, 12.34, 4.0], [15.0, 12.3, 4.0]]))
    array([ True, False])
    """
    blank = np.isnan(one) & np.isnan(two)
    same = blank | (one == two)
    open_ = np.flatnonzero(same[:, 0] & ~same.all(axis=1))
    if open_.size:
        a, b = one[open_], two[open_]
        fewer = np.minimum(decimals(a), decimals(b))
        with np.errstate(invalid="ignore"):
            near = (fewer >= 1) & (np.abs(a - b) <= 0.5 * 10.0**-fewer + 1e-9)
        near[:, 0] = False
        same[open_] |= near
    return same.all(axis=1)
