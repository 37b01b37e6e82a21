"""Closed forms: a quadratic form of the effects is set equal to its expectation, negative results are 0.

For weights a and P = A - A X (X'AX)^-1 X'A with A = diag(a): E y'Py = tr(PV) + tau2 tr P. With a = 1 / (v + t) the
first term is (k - p) - t tr P, so that tau2 = t + (y'Py - (k - p)) / tr P.
"""

from __future__ import annotations

import numpy as np

from metaback.stats.tau2.family import Tau2, tau2_estimator, without_likelihood
from metaback.stats.wls import Floats, Problems, diagonal, moments, reweighted


def _positive(problems: Problems, value: Floats) -> Floats:
    """Return 0 for what is negative and where there are no degrees of freedom."""
    return np.where((problems.m > 0) & (value > 0), value, 0.0)


def _step(problems: Problems, at: Floats) -> Floats:
    """Return the moment estimate with the weights 1 / (v + at)."""
    now = moments(problems, at)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _positive(problems, at + (now.q1 - problems.m) / now.t1)


def moment_estimate(problems: Problems, a: Floats) -> Floats:
    """Return max(0, (y'Py - tr(PV)) / tr P) for weights a (k, n) that do not depend on tau2; 0 for k = p."""
    own, zero = reweighted(problems, a), np.zeros(problems.n)
    now, p_ii = moments(own, zero), diagonal(own, zero)
    expected = (p_ii * np.where(np.isinf(problems.v), 0.0, problems.v)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _positive(problems, (now.q1 - expected) / now.t1)


def generalised_weights(problems: Problems) -> Floats:
    """Return the weights (k, n) of the generalised Q: the user's, or else 1 / sqrt(v) as Jackson (2013) advises."""
    return 1 / np.sqrt(problems.v) if problems.weights is None else problems.weights


@tau2_estimator("DL", title="DerSimonian-Laird", cite="dersimonian1986")
def dersimonian_laird(problems: Problems) -> Tau2:
    """Estimate tau2 by the method of moments of DerSimonian and Laird.

    tau2 = max(0, (Q - (k - p)) / tr P), with Q and P at tau2 = 0.

    Edges: 0 for k = p and for homogeneous effects. Source: DerSimonian & Laird 1986; with moderators Raudenbush 2009.
    Same as `metafor::rma(method="DL")`.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(dersimonian_laird(two).value[0].round(12))
    0.9
    """
    return without_likelihood(_step(problems, np.zeros(problems.n)))


@tau2_estimator("DL2", title="two-step DerSimonian-Laird", cite="dersimonian2007")
def dersimonian_laird_two_step(problems: Problems) -> Tau2:
    """Estimate tau2 by moments a second time, with the weights 1 / (v + tau2) of the DerSimonian-Laird estimate.

    tau2 = max(0, t + (Q(t) - (k - p)) / tr P(t)) with t the DerSimonian-Laird estimate.

    Edges: as "DL". Source: DerSimonian & Kacker 2007, who call it DL2. Not in metafor.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(dersimonian_laird_two_step(two).value[0].round(12))
    0.9
    """
    return without_likelihood(_step(problems, _step(problems, np.zeros(problems.n))))


@tau2_estimator("HE", title="Hedges", cite="hedges1985 cochran1954")
def hedges(problems: Problems) -> Tau2:
    """Estimate tau2 as the unweighted variance of the effects less the mean sampling variance.

    tau2 = max(0, (RSS - tr(PV)) / (k - p)), with the residual sum of squares and P of unweighted least squares; for a
    mean alone max(0, s2 - mean of v).

    Edges: 0 for k = p. Source: Hedges & Olkin 1985; Cochran 1954. Also called Cochran's ANOVA or variance component
    estimator. Same as `metafor::rma(method="HE")`.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.2, 0.3]]), np.ones((1, 3), bool))
    >>> float(hedges(two).value[0].round(12))
    0.8
    """
    return without_likelihood(moment_estimate(problems, np.ones_like(problems.v)))


@tau2_estimator("HE2", title="two-step Hedges", cite="dersimonian2007")
def hedges_two_step(problems: Problems) -> Tau2:
    """Estimate tau2 by moments a second time, with the weights 1 / (v + tau2) of the Hedges estimate.

    tau2 = max(0, t + (Q(t) - (k - p)) / tr P(t)) with t the Hedges estimate.

    Edges: as "HE". Source: DerSimonian & Kacker 2007, who call it CA2. Not in metafor.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(hedges_two_step(two).value[0].round(12))
    0.9
    """
    return without_likelihood(_step(problems, moment_estimate(problems, np.ones_like(problems.v))))


@tau2_estimator("HS", title="Hunter-Schmidt", cite="hunter2004 viechtbauer2005")
def hunter_schmidt(problems: Problems) -> Tau2:
    """Estimate tau2 as the weighted variance of the effects less its expectation by sampling error alone.

    tau2 = max(0, (Q - k) / sum w) at tau2 = 0. It is too low on average, the more so the fewer the studies.

    Edges: 0 for k = p. Source: Hunter & Schmidt 2004 for correlations; Viechtbauer 2005 in this form. Same as
    `metafor::rma(method="HS")`.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(hunter_schmidt(two).value[0].round(12))
    0.566666666667
    """
    now = moments(problems, np.zeros(problems.n))
    return without_likelihood(_positive(problems, (now.q1 - problems.m - problems.p) / now.w1))


@tau2_estimator("HSk", title="Hunter-Schmidt with a correction for few studies", cite="brannick2019")
def hunter_schmidt_k(problems: Problems) -> Tau2:
    """Estimate tau2 as Hunter and Schmidt with the observed variance made unbiased.

    tau2 = max(0, (Q k / (k - p) - k) / sum w) at tau2 = 0.

    Edges: 0 for k = p. Source: Brannick, Potter, Benitez & Morris 2019. Same as `metafor::rma(method="HSk")`.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(hunter_schmidt_k(two).value[0].round(12))
    0.9
    """
    now, k = moments(problems, np.zeros(problems.n)), problems.m + problems.p
    with np.errstate(divide="ignore", invalid="ignore"):
        return without_likelihood(_positive(problems, (now.q1 / problems.m - 1) * k / now.w1))


@tau2_estimator("SJ", title="Sidik-Jonkman", cite="sidik2005")
def sidik_jonkman(problems: Problems) -> Tau2:
    """Estimate tau2 by the two-step method of Sidik and Jonkman, which is 0 for equal effects only.

    tau2 = t Q(t) / (k - p) with t = sum (y - mean)^2 / k, the unweighted variance of the effects.

    Edges: 0 for k = p. With moderators t is still the variance around the mean, so that this estimator, unlike the
    others, changes when a multiple of a moderator is added to the effects. Source: Sidik & Jonkman 2005. Same as
    `metafor::rma(method="SJ")`.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(sidik_jonkman(two).value[0].round(12))
    0.869565217391
    """
    k = problems.m + problems.p
    known = ~np.isinf(problems.v)
    r = np.where(known, problems.y - problems.y.sum(axis=0) / k, 0.0)
    start = (r * r).sum(axis=0) / k
    with np.errstate(divide="ignore", invalid="ignore"):
        return without_likelihood(_positive(problems, start * moments(problems, start).q1 / problems.m))


@tau2_estimator("GENQ", title="generalised Q", cite="dersimonian2007 jackson2013")
def generalised_q(problems: Problems) -> Tau2:
    """Estimate tau2 by the method of moments with any weights.

    tau2 = max(0, (y'Py - tr(PV)) / tr P) with P of the weights a: the user's weights of the mean, or else 1 / sqrt(v).

    Edges: 0 for k = p. Weights 1 / v give "DL", equal ones "HE". Source: DerSimonian & Kacker 2007; the weights
    1 / sqrt(v) from Jackson 2013. Same as `metafor::rma(method="GENQ", weights=)`, which has no weights of its own.

    >>> import numpy as np
    >>> from metaback.stats.wls import prepare
    >>> two = prepare(np.array([[0.0, 1.0, 2.0]]), np.array([[0.1, 0.1, 0.1]]), np.ones((1, 3), bool))
    >>> float(generalised_q(two).value[0].round(12))
    0.9
    """
    return without_likelihood(moment_estimate(problems, generalised_weights(problems)))
