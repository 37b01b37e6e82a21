"""The profile likelihood interval of the mean."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri

from metaback.stats.intervals.family import IntervalRequest, Limits, two_sided_p, whole_mean_rule
from metaback.stats.likelihoods import LOG_2PI, full
from metaback.stats.roots import Curve, peak_between
from metaback.stats.solve import find_peaks
from metaback.stats.tau2_interval import likelihood_set
from metaback.stats.wls import Floats, Problems, coefficients

POINTS = 200  # of the mesh from which the highest place of a curve in tau2 is refined


def best_on(curve: Curve, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return where a curve is highest between low and high, and how high, (n,): a mesh, then golden sections."""
    rows = np.arange(low.size)
    share = np.arange(POINTS + 1)[:, None] / POINTS
    mesh = low + share * (high - low)
    values = np.stack([curve(x, rows) for x in mesh])
    at = np.argmax(values, axis=0)
    left, right = mesh[np.maximum(at - 1, 0), rows], mesh[np.minimum(at + 1, POINTS), rows]
    x = peak_between(curve, left, right)
    fine, coarse = curve(x, rows), values[at, rows]
    return np.where(fine >= coarse, x, mesh[at, rows]), np.maximum(fine, coarse)


def _highest(problems: Problems) -> tuple[Floats, Floats]:
    """Return the maximum likelihood estimate of tau2 and the log-likelihood there."""
    peaks = find_peaks(problems, restricted=False)
    part = problems.take(peaks.row)
    height = full(part, coefficients(part, peaks.tau2))
    order = np.lexsort((peaks.tau2, -height, peaks.row))
    best = order[np.flatnonzero(np.diff(peaks.row[order], prepend=-1))]
    return peaks.tau2[best], height[best]


def mean_curve(problems: Problems, means: Floats) -> tuple[Floats, Floats]:
    """Return the tau2 (n,) that is best where the mean is held at `means` (n,), and the log-likelihood there.

    max over tau2 of -1/2 [k log 2pi + sum log(v + tau2) + sum (y - mean)^2 / (v + tau2)]; tau2 above the largest
    (y - mean)^2 cannot be the maximum. problems: n of them, or one that serves every mean.

    Source: Hardy & Thompson 1996.
    """
    if problems.n != means.size:
        problems = problems.take(np.zeros(means.size, dtype=np.intp))
    unit = problems.v_min
    y = np.where(np.isinf(problems.v), 0.0, problems.y - (means - problems.origin))

    def curve(t: Floats, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
        total = problems.v[:, rows] + unit[rows] * np.expm1(t)
        logs = np.log(np.where(np.isinf(total), 1.0, total))
        return -0.5 * ((problems.m[rows] + 1) * LOG_2PI + (logs + y[:, rows] ** 2 / total).sum(axis=0))

    at, height = best_on(curve, np.zeros(problems.n), np.log1p((y * y).max(axis=0) / unit))
    return unit * np.expm1(at), height


@whole_mean_rule(
    "PL",
    title="profile likelihood",
    short="profile likelihood",
    text="were profile likelihood intervals, with the mean and τ² by maximum likelihood",
    cite="hardy1996",
    test="likelihood-ratio",
)
def profile_likelihood(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return {mu: the log-likelihood, maximised over tau2, is within chi2_1(level) / 2 of its maximum}, its hull.

    For each tau2 the likelihood is a parabola in mu, so the upper limit is the highest value of
    m(tau2) + sqrt(2 (l(tau2) - cut) / W1(tau2)) over the profile set of tau2, and the lower one likewise. The test is
    the likelihood ratio, as a signed root. The given tau2 is not used, that of maximum likelihood is.

    Edges: the likelihood is unbounded nowhere, so k = 2 has an interval. Source: Hardy & Thompson 1996.
    """
    unit = problems.v_min
    ml, top = _highest(problems)
    cut = top - chdtri(1.0, 1 - request.level) / 2
    reach = likelihood_set(problems, request.level, reml=False)
    ends = np.log1p(reach.lower / unit), np.log1p(reach.upper / unit)

    def side(sign: float) -> Floats:
        def curve(t: Floats, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
            part = problems.take(rows)
            fit = coefficients(part, unit[rows] * np.expm1(t))
            above = np.maximum(2 * (full(part, fit) - cut[rows]), 0.0)
            return sign * (fit.beta[:, 0] - part.origin) + np.sqrt(above * fit.cov[:, 0, 0])

        return problems.origin + sign * best_on(curve, *ends)[1]

    fit = coefficients(problems, ml)
    point, se = fit.beta[:, 0], np.sqrt(fit.cov[:, 0, 0])
    statistic = np.sign(point) * np.sqrt(np.maximum(0.0, 2 * (top - mean_curve(problems, np.zeros(problems.n))[1])))
    df = np.full(problems.n, np.inf)
    return Limits(point, se, df, side(-1.0), side(1.0), statistic, two_sided_p(statistic, df), ml)
