"""Coefficients of determination of regressions whose predictors are fixed by the design."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, xlogy

from metaback.stats.measures.family import Choice, Computed, Convention, Floats, Measure, finish, measure

REACH = 14.0  # standard errors to both sides that are integrated: beyond is less than 1e-30 of the whole
NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)  # some ten in a standard error
TERMS = np.arange(-80, 81)  # of a series about its largest term, in steps of a sixth of its width
STEPS_IN_WIDTH = 6
LARGEST = 1e8  # n / (1 - R^2): beyond, differences of gamma functions have fewer than 7 digits left
BLOCK = 16  # rows that are integrated at once

ZR2F_VTYPE = Convention(
    "variance of the transformed coefficient of determination",
    {
        "LS": Choice(formula=", with variance v/(4R²(1 − R²)²)", note="delta method"),
        "metafor5": Choice(formula=", with variance v/(1 − R⁴)²", note="slope of artanh at R² and not at R"),
    },
)


def _log_series(r2: Floats, n: Floats, predictors: Floats, noncentrality: Floats) -> Floats:
    """Return log of exp(-L/2) 1F1((n - 1)/2; m/2; L R^2/2), the likelihood of the noncentrality L, up to a constant.

    r2, n, predictors: (k, 1); L: (k, nodes). A sum of positive terms, taken about the largest one; where it is wide, in
    steps, for which a bell-shaped sum is exact to far beyond the last digit.
    """
    top, bottom, x = (n - 1) / 2, predictors / 2, noncentrality * r2 / 2
    half = (x - bottom - 1) / 2
    peak = np.maximum(half + np.sqrt(np.maximum(half**2 + x * top - bottom, 0.0)), 0.0)
    width = 1 / np.sqrt(1 / (peak + 1) + 1 / (bottom + peak) - 1 / (top + peak))
    step = np.maximum(np.floor(width / STEPS_IN_WIDTH), 1.0)
    j = np.floor(peak)[..., None] + step[..., None] * TERMS
    there = j >= 0
    j = np.where(there, j, 0.0)
    a, b = bottom[..., None], top[..., None]
    terms = gammaln(b + j) - gammaln(a + j) - gammaln(j + 1) + xlogy(j, x[..., None])
    terms = np.where(there, terms, -np.inf)
    highest = terms.max(axis=-1)
    total: Floats = np.exp(terms - highest[..., None]).sum(axis=-1)
    return highest + np.log(total * step) - noncentrality / 2


def _spread_of_rho2(r2: Floats, n: Floats, predictors: Floats) -> Floats:
    """Return the variance of rho^2 on 0 ... 1 with a density proportional to its likelihood, all (k,).

    Integrated over w with rho/sqrt(1 - rho^2) = sqrt(2) sinh(w/sqrt(2)), on which the standard error is about the same
    everywhere.
    """
    root = np.sqrt(2.0)
    centre = root * np.arcsinh(np.sqrt(r2 / (1 - r2)) / root)
    far = REACH / np.sqrt(n - predictors - 1)
    low = np.maximum(centre - far - 2 * np.sqrt(predictors / n), 0.0)
    reach = (centre + far - low)[:, None]
    w = low[:, None] + reach * (NODES + 1) / 2
    odds = 2 * np.sinh(w / root) ** 2
    logs = _log_series(r2[:, None], n[:, None], predictors[:, None], n[:, None] * odds)
    slope = np.sinh(root * w) / (1 + odds) ** 2
    mass = WEIGHTS * slope * np.exp(logs - logs.max(axis=-1, keepdims=True))
    mass = mass / mass.sum(axis=-1, keepdims=True)
    rho2 = odds / (1 + odds)
    mean = (mass * rho2).sum(axis=-1, keepdims=True)
    return (mass * (rho2 - mean) ** 2).sum(axis=-1)


def _variance(r2: Floats, n: Floats, predictors: Floats) -> Floats:
    """Return the variance of R^2 with fixed predictors, nan where it has none; any shapes that go together."""
    r2, n, predictors = (np.asarray(v, dtype=np.float64) for v in np.broadcast_arrays(r2, n, predictors))
    possible = (n - predictors - 1 > 0) & (predictors >= 1) & (r2 >= 0) & (r2 < 1)
    good = np.flatnonzero(possible & (n <= LARGEST * (1 - r2)))
    vi = np.full(r2.shape, np.nan)
    for first in range(0, good.size, BLOCK):
        rows = good[first : first + BLOCK]
        vi[rows] = _spread_of_rho2(r2[rows], n[rows], predictors[rows])
    return vi


@measure(
    Measure(
        "R2F",
        "Coefficient of determination, fixed predictors",
        "R²",
        "linear",
        "none",
        undefined="R2F needs n above the number of predictors + 1, R² of at least 0 and below 1, n/(1 − R²) up to 1e8",
        formula="the coefficient of determination R² with m fixed predictors, with the variance of ρ² under its "
        "normalised likelihood",
        turn="same",
    ),
    cite="cohen1988",
)
@np.errstate(all="ignore")
def determination_fixed(r2: Floats, n: Floats, predictors: Floats) -> Computed:
    """Compute the coefficient of determination of a regression on fixed predictors.

    y = R^2. Given the predictors, (n - m - 1) R^2 / (m (1 - R^2)) has the noncentral F distribution with m and
    n - m - 1 degrees of freedom and the noncentrality L = n rho^2 / (1 - rho^2). So the likelihood of rho^2 is
    proportional to exp(-L/2) 1F1((n - 1)/2; m/2; L R^2/2), and v is the variance of rho^2 on 0 ... 1 with a density
    proportional to it (the posterior variance under a flat prior), by quadrature.

    All arguments (k,). Undefined for n - m <= 1 and R^2 outside 0 ... 1, 1 included; R^2 = 0 has a variance. 13 digits
    hold at n of some thousand and 8 at 1e7, where differences of gamma functions lose them; n / (1 - R^2) above 1e8 is
    undefined. Pooled R^2 are above 0 whatever the truth: do not test them against 0. Source: Cohen 1988, chapter 9, for
    the distribution. Same as `metafor::escalc(measure="R2F")` of version 5.1, which leaves out rho^2 below 0.0001.

    >>> out = determination_fixed(np.array([0.24]), np.array([218.0]), np.array([4.0]))
    >>> float(out.yi[0]), round(float(out.vi[0]), 6)
    (0.24, 0.00217)
    """
    vi = _variance(r2, n, predictors)
    return finish(r2, vi, np.isfinite(vi))


@measure(
    Measure(
        "ZR2F",
        "Coefficient of determination, fixed predictors",
        "R²",
        "linear",
        "none",
        undefined="ZR2F needs n above the number of predictors + 1, R² between 0 and 1, n/(1 − R²) up to 1e8",
        formula="the transformed coefficient of determination with fixed predictors, artanh(R)",
        conventions={"vtype": ZR2F_VTYPE},
        back="tanh2",
        turn="same",
    ),
    cite="cohen1988",
)
@np.errstate(all="ignore")
def fisher_determination_fixed(r2: Floats, n: Floats, predictors: Floats, *, vtype: str = "LS") -> Computed:
    """Compute Fisher's z of the multiple correlation of a regression on fixed predictors.

    y = artanh(sqrt(R^2)). With v that of R2F: vtype "LS" (delta method) v / (4 R^2 (1 - R^2)^2); "metafor5"
    v / (1 - R^4)^2, as metafor 5.1 has it, whose slope is that of artanh at R^2 and not at R: its standard errors are
    too small by the factor 2R / (1 + R^2).

    All arguments (k,). Undefined as R2F, and for R^2 = 0, where the slope is infinite. The transformation does not make
    this variance free of rho. Raises `OptionError` for an unknown vtype. Source: as for R2F. Same as
    `metafor::escalc(measure="ZR2F")` of version 5.1 with "metafor5".

    >>> out = fisher_determination_fixed(np.array([0.24]), np.array([218.0]), np.array([4.0]))
    >>> round(float(out.yi[0]), 6), round(float(out.vi[0]), 6)
    (0.535926, 0.003914)
    """
    ZR2F_VTYPE.check("vtype", vtype)
    vi = _variance(r2, n, predictors)
    slope = 4 * r2 * (1 - r2) ** 2 if vtype == "LS" else (1 - r2**2) ** 2
    good = np.isfinite(vi) & (r2 > 0)
    return finish(np.arctanh(np.sqrt(np.where(good, r2, np.nan))), vi / slope, good)
