"""The robust interval of a mean whose effects are independent: each study is a cluster of its own."""

from __future__ import annotations

import numpy as np

from metaback.stats.intervals.family import IntervalRequest, Limits, symmetric, whole_mean_rule
from metaback.stats.wls import Floats, Problems


def robust_mean(problems: Problems, tau2: Floats) -> tuple[Floats, Floats]:
    """Return the CR2 variance of a mean of independent effects (n,) and its Satterthwaite df (n,).

    With h_i = w_i / sum w, w_i = 1 / (v_i + tau2), residuals e_i and b_i = h_i^2 / (1 - h_i): variance
    = sum b_i e_i^2, which is unbiased where the weights are right; df = 1 / [sum h_i^2 + (sum b_i)^2 - sum b_i^2].

    tau2: (n,). Edges: the variance of a plain mean and k - 1 df for equal variances; df towards 1 where one study has
    nearly all the weight; k of at least 2 is needed. Source: Bell & McCaffrey 2002; Pustejovsky & Tipton 2018. Same as
    `clubSandwich::coef_test(vcov="CR2")` with each study a cluster of its own.

    >>> from metaback.stats.wls import prepare
    >>> three = prepare(np.array([[0.0, 1.0, 2.0]]), np.full((1, 3), 0.1), np.ones((1, 3), bool))
    >>> variance, df = robust_mean(three, np.array([0.9]))
    >>> round(float(variance[0]), 12), round(float(df[0]), 12)
    (0.333333333333, 2.0)
    """
    w = 1 / (problems.v + tau2)
    total = w.sum(axis=0)
    h, others = w / total, (total - w) / total
    others[0] = w[1:].sum(axis=0) / total  # the heaviest study stands first: 1 less its share would lose digits
    b = h**2 / others
    variance = (b * (problems.y - (h * problems.y).sum(axis=0)) ** 2).sum(axis=0)
    light = b[1:].sum(axis=0)
    pairs = 2 * b[0] * light + light**2 - (b[1:] ** 2).sum(axis=0)
    return variance, 1 / ((h**2).sum(axis=0) + pairs)


@whole_mean_rule(
    "CR2",
    title="cluster-robust (CR2)",
    short="robust",
    text="rest on the cluster-robust variance CR2 of studies and the t distribution with Satterthwaite's degrees of "
    "freedom",
    cite="bell2002 pustejovsky2018",
)
def cluster_robust_mean(problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Return mean -+ t(df) se with the variance and df of `robust_mean`, for a mean alone of independent effects.

    Edges: below 4 df the t distribution is only roughly right. Source: Tipton 2015; Pustejovsky & Tipton 2018.
    """
    variance, df = robust_mean(problems, tau2)
    w = 1 / (problems.v + tau2)
    point = problems.origin + (w * problems.y).sum(axis=0) / w.sum(axis=0)
    return symmetric(point, np.sqrt(variance), df, request.level, tau2)
