"""The pooled mean with its interval and test, under every rule that a request can name."""

from __future__ import annotations

import math

import numpy as np

from metaback.models.fitted import Estimate, Fit
from metaback.models.specs import PoolSpec
from metaback.progress import Progress, silent
from metaback.stats.inference import (
    IntervalRequest,
    Limits,
    apply_whole,
    mean_words,
    quantile,
    two_sided_p,
    whole_rule,
)
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.wls import Floats, Problems


def request_of(spec: PoolSpec, tell: Progress = silent) -> IntervalRequest:
    """Return what the interval rules must know of a spec; a given tau2 is given in every sample too."""
    chosen = spec.tau2

    def estimate(problems: Problems) -> Floats:
        if isinstance(chosen, str):
            return TAU2_ESTIMATORS[chosen].function(problems).value
        return np.full(problems.n, float(chosen))

    return IntervalRequest(spec.level, estimate, spec.rng, spec.draws, tell)


def mean_limits(fit: Fit, spec: PoolSpec, problems: Problems, tell: Progress = silent) -> Limits:
    """Return the means of a batch with their intervals and tests: from the fit, or from a rule that needs the data."""
    rule, tau2 = whole_rule(spec.ci), fit.theta[:, 0]
    if rule is not None:
        return apply_whole(rule, problems, tau2, request_of(spec, tell))
    point, se = fit.beta[:, 0], np.sqrt(fit.cov[:, 0, 0])
    half = quantile(spec.level, fit.df) * se
    statistic = np.where(se > 0, point / np.where(se > 0, se, 1.0), np.nan)
    return Limits(point, se, fit.df, point - half, point + half, statistic, two_sided_p(statistic, fit.df), tau2)


def mean_estimate(means: Limits, spec: PoolSpec, i: int, scale: str, k: int, *, tested: bool) -> Estimate:
    """Return the pooled mean of pool i of k effects with its interval, and its test where 0 means no effect."""
    point, lower, upper, se, df, statistic, p = (
        float(column[i])
        for column in (means.point, means.lower, means.upper, means.se, means.df, means.statistic, means.p)
    )
    if not tested:
        statistic = p = math.nan
    # one study has the Wald test, whatever the rule
    test = mean_words(spec.ci).test if tested and k > 1 else ""
    return Estimate(point, lower, upper, se, spec.level, scale, statistic, df, p, test=test)
