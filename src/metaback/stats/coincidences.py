"""How often equal numbers come together by chance, and which of many coincidences are worth a look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FALSE = 0.5  # share of what is told that chance may give
LEAST = 10  # different pairs from which on their own spread is used
USUAL = 0.3, 0.15  # spread of ln SD between trials, and between the arms of one, where there are fewer
TIGHT = 0.02  # spread below which that of a few pairs is not believed


def beyond_chance(expected: Floats, found: Floats) -> Bools:
    """Return which coincidences are more than chance gives, (m,): places in order of what chance gives there.

    expected: (m,) expected number of chance coincidences of each place; found: (m,) their number. With the places in
    order of expected, all those are told up to the last at which the running sum of found is positive and the running
    sum of expected is at most half of it; so at most about half of what is told is chance. A place where
    chance alone gives half a coincidence or more is never told.

    Edges: where chance explains all, nothing is told; a place without a coincidence is never told; places with equal
    expectations are told together or not at all.

    Source: the step-up idea of the false discovery rate (Benjamini and Hochberg 1995), on expected numbers.

    >>> beyond_chance(np.array([0.02, 3.0, 2.0]), np.array([1.0, 2.0, 2.0])).tolist()
    [True, False, False]
    """
    order = np.argsort(expected, kind="stable")
    by_chance, told = np.cumsum(expected[order]), np.cumsum(found[order])
    last = np.diff(expected[order], append=np.inf) > 0  # equals are told together or not at all
    good = np.flatnonzero(last & (told > 0) & (by_chance <= FALSE * told))
    out = np.zeros(expected.shape, dtype=bool)
    if good.size:
        out[order[: good[-1] + 1]] = True
    return out & (found > 0) & (expected < FALSE)


def expected_shared_pairs(sd_1: Floats, sd_2: Floats, unit: Floats, several: Floats) -> Floats:
    """Return how many sets of trials share two SDs by chance, (m,), for each size of set that is asked for.

    sd_1, sd_2: (k,) SDs of both arms of the trials of one outcome; unit: (2,) one in their last digits, 0.1 for 12.4;
    several: (m,) number of trials that share them. With ln sd_1 normal between trials (standard deviation s) and
    ln sd_2 - ln sd_1 normal within them (w), both independent, two SDs near the medians a and b are printed alike with
    a chance of

        p = u_1 u_2 / (2 pi a b s w)

    and the expected number of sets of m trials is C(k, m) p^(m - 1) exp((m - 1)^2 (4 s^2 + w^2) / (2 m)) / m, the
    integral over both normals; the factor exp(...) is there because smaller SDs have fewer neighbours.
    s and w are the standard deviations of these logarithms where there are 10 different pairs, else 0.3 and 0.15: a
    few copied pairs would hide themselves in a spread that they make small.

    Edges: k below m gives 0.

    >>> sd = np.array([12.4, 15.1, 18.9, 13.3, 20.2])
    >>> expected_shared_pairs(sd, sd + 0.3, np.array([0.1, 0.1]), np.array([3.0])) < 0.001
    array([ True])
    """
    ln_1, ln_2 = np.log(sd_1), np.log(sd_2)
    several_pairs = len(np.unique(np.column_stack([sd_1, sd_2]), axis=0)) >= LEAST
    spreads = (np.std(ln_1), np.std(ln_2 - ln_1)) if several_pairs else USUAL
    s, w = (max(float(spread), TIGHT) for spread in spreads)
    middle = np.exp(np.median(ln_1) + np.median(ln_2))
    p = min(1.0, float(np.prod(unit)) / (2 * np.pi * middle * s * w))
    tilt = (several - 1) ** 2 * (4 * s**2 + w**2) / (2 * several)
    k = float(sd_1.size)
    with np.errstate(invalid="ignore"):
        ways = gammaln(k + 1) - gammaln(several + 1) - gammaln(np.maximum(k - several, 0.0) + 1)
    return np.where(several > k, 0.0, np.exp(np.minimum(ways + (several - 1) * np.log(p) + tilt, 50.0)) / several)
