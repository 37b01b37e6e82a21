"""Confidence intervals of tau2: every rule is one decorated function on a batch of problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtri

from metaback.registry import Registry
from metaback.stats.likelihoods import full, restricted
from metaback.stats.q_distribution import generalised_q, probability_below, tau2_at_probability
from metaback.stats.roots import Index, bracketed_root, peak_between, rising_bracket
from metaback.stats.solve import find_peaks, solve_q
from metaback.stats.wls import Floats, Problems, coefficients, moments


@dataclass(frozen=True, slots=True)
class Tau2Limits:
    """Limits of tau2 for n problems.

    lower, upper: (n,) at least 0; nan where the set is empty or there are as many coefficients as studies.
    pieces: (n,) of how many separate intervals the set consists; the limits are those of all together.
    """

    lower: Floats
    upper: Floats
    pieces: NDArray[np.int64]


Tau2Rule = Callable[[Problems, Floats, float], Tau2Limits]
TAU2_INTERVALS: Registry[Tau2Rule] = Registry("tau2_ci")


def tau2_interval(key: str, *, title: str, text: str, cite: str) -> Callable[[Tau2Rule], Tau2Rule]:
    """Return the decorator that adds a rule; `text` goes on after "Its 95% confidence interval" in the methods."""
    return TAU2_INTERVALS.register(key, title=title, cite=cite, text=text)


def tau2_interval_text(key: str) -> str:
    """Return what the methods of a paper say of a rule, after "Its 95% confidence interval"."""
    text: str = TAU2_INTERVALS[key].facts["text"]
    return text


def _one_piece(lower: Floats, upper: Floats, known: NDArray[np.bool_]) -> Tau2Limits:
    """Wrap limits of a connected set, nan where there is none."""
    lower, upper = (np.where(known, limit, np.nan) for limit in (lower, upper))
    return Tau2Limits(lower, upper, np.ones(lower.size, dtype=np.int64))


def q_profile(problems: Problems, level: float) -> tuple[Floats, Floats]:
    """Return the Q-profile limits of tau2, each (n,).

    The limits solve Q(tau2) = the upper and the lower (1 - level) / 2 quantiles of chi-square with k - p degrees of
    freedom; a limit below zero is 0. Where even the upper limit would be below zero the set is empty and both limits
    are nan; so they are for k = p.

    level: in (0, 1). Source: Viechtbauer 2007. Same as `metafor::confint.rma.uni`, which searches with an absolute
    tolerance.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> [round(float(limit[0]), 6) for limit in q_profile(two, 0.95)]
    [0.171085, 39.39789]
    """
    tail = (1 - level) / 2
    known = problems.m > 0
    m = np.where(known, problems.m, 1.0)
    high_quantile, low_quantile = chdtri(m, tail), chdtri(m, 1 - tail)
    both = problems.take(np.tile(np.arange(problems.n), 2))
    target = np.where(np.tile(known, 2), np.concatenate((high_quantile, low_quantile)), np.inf)
    roots = solve_q(both, target)
    lower, upper = np.split(roots.x, 2)
    empty = ~known | (moments(problems, np.zeros(problems.n)).q1 < low_quantile)
    return np.where(empty, np.nan, lower), np.where(empty, np.nan, upper)


@tau2_interval("QP", title="Q-profile", text="is the Q-profile interval", cite="viechtbauer2007")
def profile_of_q(problems: Problems, tau2: Floats, level: float) -> Tau2Limits:
    """Return the Q-profile interval, see `q_profile`; tau2 is not used.

    Source: Viechtbauer 2007.
    """
    lower, upper = q_profile(problems, level)
    return _one_piece(lower, upper, np.isfinite(upper))


def generalised_interval(problems: Problems, a: Floats, level: float) -> Tau2Limits:
    """Return the interval of tau2 from the exact distribution of Q with weights a.

    The limits solve P(Q_a >= q; tau2) = (1 - level) / 2 and P(Q_a <= q; tau2) = (1 - level) / 2 with q the observed
    value; both probabilities are monotone in tau2. A limit below zero is 0; where the upper limit would be below zero
    the set is empty and both are nan; so they are for k = p.

    a: (k, n) fixed weights, which must not depend on the effects; 0 where masked. Source: Jackson 2013. Same as
    `metafor::confint(rma(method="GENQ", weights=a))`.
    """
    known = (problems.m > 0) & (a.sum(axis=0) > 0)
    rows = np.flatnonzero(known)
    part, weights = problems.take(rows), a[:, rows]
    q = generalised_q(part, weights)
    tail = (1 - level) / 2
    lower, upper, empty = np.full(problems.n, np.nan), np.full(problems.n, np.nan), np.ones(problems.n, dtype=bool)
    lower[rows], upper[rows] = (tau2_at_probability(part, weights, q, p) for p in (1 - tail, tail))
    empty[rows] = probability_below(part, weights, np.zeros(rows.size), q) < tail
    return _one_piece(lower, upper, ~empty)


@tau2_interval(
    "BJ",
    title="Biggerstaff-Jackson",
    text="inverts the exact distribution of Cochran's Q (Biggerstaff and Jackson)",
    cite="biggerstaff2008",
)
def biggerstaff_jackson(problems: Problems, tau2: Floats, level: float) -> Tau2Limits:
    """Return the interval from the exact distribution of Cochran's Q, weights 1 / v; tau2 is not used.

    Edges: see `generalised_interval`. Source: Biggerstaff & Jackson 2008. Same as
    `metafor::confint(rma(method="GENQ", weights=1/vi))`.
    """
    return generalised_interval(problems, 1 / problems.v, level)


@tau2_interval(
    "J",
    title="Jackson",
    text="inverts the exact distribution of a generalised Q with weights 1/standard error (Jackson)",
    cite="jackson2013",
)
def jackson(problems: Problems, tau2: Floats, level: float) -> Tau2Limits:
    """Return the interval from the exact distribution of Q with weights 1 / sqrt(v); tau2 is not used.

    Narrower than the Q-profile interval where heterogeneity is moderate. Edges: see `generalised_interval`. Source:
    Jackson 2013. Same as `metafor::confint(rma(method="GENQ", weights=1/sqrt(vi)))`.
    """
    return generalised_interval(problems, 1 / np.sqrt(problems.v), level)


def _loglik(problems: Problems, tau2: Floats, reml: bool) -> Floats:
    """Return the (restricted) log-likelihood at tau2."""
    fit = coefficients(problems, tau2)
    return restricted(problems, fit) if reml else full(problems, fit)


def likelihood_set(problems: Problems, level: float, *, reml: bool) -> Tau2Limits:
    """Return {tau2 >= 0: log-likelihood within chi2_1(level) / 2 of its maximum}: its ends and its number of pieces.

    Every peak is known with a certificate (`find_peaks`). The likelihood falls from a peak to the one valley between
    it and the next, so the ends lie between the outermost peaks above the cut and their outer neighbours, and the set
    has a gap wherever the valley between two peaks above the cut lies below it.

    Edges: nan for k = p. Source: Hardy & Thompson 1996.
    """
    known = np.flatnonzero(problems.m > 0)
    lower, upper = np.full(problems.n, np.nan), np.full(problems.n, np.nan)
    pieces = np.ones(problems.n, dtype=np.int64)
    if known.size:
        lower[known], upper[known], pieces[known] = _likelihood_ends(problems.take(known), level, reml)
    return Tau2Limits(lower, upper, pieces)


def _likelihood_ends(problems: Problems, level: float, reml: bool) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return the ends and the number of pieces for problems with more studies than coefficients.

    The search runs in t = log(1 + tau2 / v_min).
    """
    rows, unit = np.arange(problems.n), problems.v_min
    peaks = find_peaks(problems, restricted=reml)
    height = _loglik(problems.take(peaks.row), peaks.tau2, reml)
    top = np.full(problems.n, -np.inf)
    np.maximum.at(top, peaks.row, height)
    cut = top - chdtri(1.0, 1 - level) / 2

    def above(t: Floats, index: Index) -> Floats:
        return _loglik(problems.take(index), unit[index] * np.expm1(t), reml) - cut[index]

    t = np.log1p(peaks.tau2 / unit[peaks.row])
    inside = np.flatnonzero(height >= cut[peaks.row])
    first = inside[np.searchsorted(peaks.row[inside], rows)]
    last = inside[np.searchsorted(peaks.row[inside], rows, side="right") - 1]
    neighbours = np.concatenate(([False], peaks.row[1:] == peaks.row[:-1], [False]))
    start = np.where(neighbours[first], t[np.maximum(first - 1, 0)], 0.0)
    lower = bracketed_root(above, np.where(above(start, rows) < 0, start, np.nan), t[first])
    _, reach = rising_bracket(lambda x, index: above(t[last][index] + x, index), np.full(problems.n, 0.5))
    stop = np.where(neighbours[last + 1], t[np.minimum(last + 1, t.size - 1)], t[last] + reach)
    upper = bracketed_root(above, t[last], stop)
    pieces = np.ones(problems.n, dtype=np.int64)
    pairs = np.flatnonzero(peaks.row[inside[1:]] == peaks.row[inside[:-1]])
    if pairs.size:
        row = peaks.row[inside[pairs]]
        valley = peak_between(lambda x, index: -above(x, row[index]), t[inside[pairs]], t[inside[pairs + 1]])
        np.add.at(pieces, row, above(valley, row) < 0)
    return unit * np.expm1(np.where(np.isnan(lower), 0.0, lower)), unit * np.expm1(upper), pieces


@tau2_interval(
    "PL",
    title="profile likelihood (REML)",
    text="is the profile likelihood interval of the restricted likelihood",
    cite="hardy1996 viechtbauer2007",
)
def profile_restricted(problems: Problems, tau2: Floats, level: float) -> Tau2Limits:
    """Return the profile likelihood interval under the restricted likelihood; tau2 is not used.

    See `likelihood_set`. Edges: nan for k = p; the set is never empty. Source: Hardy & Thompson 1996; Viechtbauer
    2007. Same as `metafor::confint(rma(method="REML"), type="PL")` where there is one peak.
    """
    return likelihood_set(problems, level, reml=True)


@tau2_interval(
    "PL-ML",
    title="profile likelihood (ML)",
    text="is the profile likelihood interval",
    cite="hardy1996",
)
def profile_full(problems: Problems, tau2: Floats, level: float) -> Tau2Limits:
    """Return the profile likelihood interval under the full likelihood; tau2 is not used.

    See `likelihood_set`. Edges: nan for k = p; the set is never empty. Source: Hardy & Thompson 1996. Same as
    `metafor::confint(rma(method="ML"), type="PL")` where there is one peak.
    """
    return likelihood_set(problems, level, reml=False)


def tau2_variance(problems: Problems, tau2: Floats, *, reml: bool = True) -> Floats:
    """Return the large-sample variance of tau2 from its expected information: 2 / tr PP, or 2 / tr WW for ML.

    Edges: inf for k = p. Source: Viechtbauer 2005. Same as the square of `se.tau2` of `metafor::rma`.
    """
    now = moments(problems, tau2)
    with np.errstate(divide="ignore"):
        return np.where(problems.m > 0, 2 / (now.t2 if reml else now.w2), np.inf)


@tau2_interval(
    "Wald",
    title="Wald",
    text="is a Wald interval from the expected information of the restricted likelihood, truncated at 0",
    cite="viechtbauer2005",
)
def wald_restricted(problems: Problems, tau2: Floats, level: float) -> Tau2Limits:
    """Return tau2 -+ z sqrt(2 / tr PP), truncated at 0: of little use with few studies, given for comparison.

    Edges: nan for k = p. Source: Viechtbauer 2005; 2007.
    """
    half = ndtri((1 + level) / 2) * np.sqrt(tau2_variance(problems, tau2))
    return _one_piece(np.maximum(0.0, tau2 - half), tau2 + half, problems.m > 0)


@tau2_interval(
    "Wald-ML",
    title="Wald (ML)",
    text="is a Wald interval from the expected information of the likelihood, truncated at 0",
    cite="viechtbauer2005",
)
def wald_full(problems: Problems, tau2: Floats, level: float) -> Tau2Limits:
    """Return tau2 -+ z sqrt(2 / tr WW), truncated at 0, for maximum likelihood estimates.

    Edges: nan for k = p. Source: Viechtbauer 2005; 2007.
    """
    half = ndtri((1 + level) / 2) * np.sqrt(tau2_variance(problems, tau2, reml=False))
    return _one_piece(np.maximum(0.0, tau2 - half), tau2 + half, problems.m > 0)
