"""The prediction interval of Nagashima, Noma and Furukawa from the confidence distribution of tau2."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln, ndtr, stdtr

from metaback.stats.intervals.family import IntervalRequest, Limits, whole_prediction_rule
from metaback.stats.q_distribution import generalised_q, probability_below
from metaback.stats.roots import Index, bracketed_root, rising_bracket
from metaback.stats.wls import Floats, Problems, coefficients

# Mesh of a normal variable for the confidence distribution: 8e-11 lies beyond, and a mesh four times as fine moves the
# limits by less of their width.
STEP, REACH = 0.25, 6.5
INNER_STEP, INNER_REACH = 0.1, 8.5  # mesh of the normal variable of a new setting
STUDENT_POINTS = 240  # mesh of the t variable, where the normal one would be too sharp


def tau2_quantiles(problems: Problems) -> tuple[Floats, Floats]:
    """Return places of the confidence distribution of tau2 and their weights, both (nodes + 1, n); the first is 0.

    The distribution function is H(tau2) = P(Q >= q; tau2) with the exact distribution of Cochran's Q, so that H(0) is
    the weight of 0; the other nodes are its quantiles at 1 - (1 - H(0)) Phi(-x) over an even mesh of x.

    Source: Nagashima, Noma & Furukawa 2019.
    """
    n, a, unit = problems.n, 1 / problems.v, problems.v_min
    q = generalised_q(problems, a)
    below = probability_below(problems, a, np.zeros(n), q)
    x = np.arange(-REACH, REACH + STEP / 2, STEP)
    share = STEP * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    share /= share.sum()
    upper_tail: Floats = np.asarray(ndtr(-x), dtype=float)
    goal = (upper_tail[:, None] * below).ravel()
    column = np.tile(np.arange(n), x.size)

    def curve(t: Floats, rows: Index) -> Floats:
        at = column[rows]
        return probability_below(problems.take(at), a[:, at], unit[at] * np.expm1(t), q[at]) - goal[rows]

    roots = bracketed_root(curve, *rising_bracket(curve, np.ones(goal.size)))
    tau2 = (unit * np.expm1(roots.reshape(x.size, n))).clip(0.0)
    return np.vstack((np.zeros((1, n)), tau2)), np.vstack((1 - below, share[:, None] * below))


def _student_mesh(m: float) -> tuple[Floats, Floats]:
    """Return places of a t variable with m df and their weights: t = sqrt(m) sinh(s), density ~ cosh(s)^-m."""
    far = math.acosh(10 ** (17 / m)) if m > 0.06 else 39.0
    s = np.linspace(-far, far, STUDENT_POINTS + 1)
    constant = gammaln((m + 1) / 2) - gammaln(m / 2) - 0.5 * math.log(math.pi)
    return math.sqrt(m) * np.sinh(s), (s[1] - s[0]) * np.exp(constant - m * np.log(np.cosh(s)))


def _predictive(c: float, mean: Floats, se: Floats, tau: Floats, weight: Floats, m: float) -> float:
    """Return P(mean + tau Z + se T <= c), Z normal and T student with m df, over the weighted nodes (nodes,).

    The smoother of the two is integrated last: over Z where tau is below se, over T elsewhere.
    """
    z = np.arange(-INNER_REACH, INNER_REACH + INNER_STEP / 2, INNER_STEP)
    normal = INNER_STEP * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    t, student = _student_mesh(m)
    flat = tau <= se
    by_z = stdtr(m, (c - mean[flat, None] - tau[flat, None] * z) / se[flat, None]) @ normal
    by_t = ndtr((c - mean[~flat, None] - se[~flat, None] * t) / tau[~flat, None]) @ student
    return float(by_z @ weight[flat] + by_t @ weight[~flat])


@whole_prediction_rule(
    "NNF",
    title="Nagashima-Noma-Furukawa",
    text="quantiles of the predictive distribution over the confidence distribution of τ² (Nagashima, Noma and "
    "Furukawa), by numerical integration instead of their bootstrap",
    cite="nagashima2019",
)
def prediction_nnf(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return quantiles of m(t2) + sqrt(t2) Z + se(t2) T, t2 from the confidence distribution of tau2, T with k - 1 df.

    m and se are the weighted mean and the standard error of Hartung and Knapp at t2. The source draws t2, Z and T; here
    the same distribution is integrated, which is the limit of infinitely many draws, so no seed is needed. The
    cost grows with k: a tenth of a second for 13 studies, a second for 150, minutes for thousands.

    tau2: (n,), for the point only. Edges: nan where the effects are equal to each other. Source: Nagashima, Noma &
    Furukawa 2019. Same as `pimeta::pima(method="boot")` up to its Monte Carlo error.
    """
    nodes, weight = tau2_quantiles(problems)
    point = coefficients(problems, tau2).beta[:, 0]
    se = np.sqrt(tau2 + coefficients(problems, tau2).cov[:, 0, 0])
    index = np.tile(np.arange(problems.n), nodes.shape[0])
    fit = coefficients(problems.take(index), nodes.ravel())
    mean = (fit.beta[:, 0] - problems.origin[index]).reshape(nodes.shape)
    spread = np.sqrt(fit.cov[:, 0, 0] * fit.q1 / problems.m[index]).reshape(nodes.shape)
    real = np.flatnonzero(spread[0] > 0)
    scale = np.sqrt(problems.v_min[real])
    nothing = np.full(problems.n, np.nan)

    def limit(p: float) -> Floats:
        def curve(x: Floats, rows: Index) -> Floats:
            pairs = zip(x, real[rows], strict=True)
            return np.array(
                [
                    _predictive(
                        float(c), mean[:, i], spread[:, i], np.sqrt(nodes[:, i]), weight[:, i], float(problems.m[i])
                    )
                    - p
                    for c, i in pairs
                ]
            )

        centre = mean[0, real]
        _, up = rising_bracket(lambda x, rows: -curve(centre[rows] + x, rows), scale)
        _, down = rising_bracket(lambda x, rows: curve(centre[rows] - x, rows), scale)
        found = nothing.copy()
        found[real] = problems.origin[real] + bracketed_root(curve, centre - down, centre + up)
        return found

    tail = (1 - request.level) / 2
    return Limits(point, se, nothing, limit(tail), limit(1 - tail), nothing, nothing, tau2)
