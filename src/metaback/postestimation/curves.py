"""Likelihood and profile curves: how well each value of tau2, or of the mean, agrees with the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri

from metaback.errors import OptionError
from metaback.models.specs import estimates_tau2
from metaback.numbers import estimate_text, fixed, significant
from metaback.postestimation.flips import digits_for, level_text
from metaback.postestimation.means import request_of
from metaback.postestimation.summary import Analysis
from metaback.stats.inference import MEAN_RULES, apply_whole, quantile, whole_rule
from metaback.stats.intervals.profile import mean_curve
from metaback.stats.likelihoods import full, restricted
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.tau2_interval import likelihood_set
from metaback.stats.wls import Floats, Problems, coefficients, prepare

POINTS = 101
ROOM = 1.25  # times the interval that a curve shows by default


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """A profile log-likelihood.

    of: "tau2" or "mean"; likelihood: "REML" or "ML". values: (n,) of the parameter, on the analysis scale; loglik: (n,)
    the log-likelihood there, maximised over everything else. peak: where it is highest over all values, with loglik
    `top`. cut: the level that the values of the interval [low, high] exceed, top - chi-square_1(level) / 2.
    estimate, ci_low, ci_high: (n,) mean and its interval at each tau2; tau2: (n,) the value that is best for each mean
    or the values themselves.
    """

    of: str
    likelihood: str
    values: Floats
    loglik: Floats
    peak: float
    top: float
    cut: float
    low: float
    high: float
    level: float
    estimate: Floats
    ci_low: Floats
    ci_high: Floats
    tau2: Floats

    def to_frame(self) -> pd.DataFrame:
        """Return one row per value, with its distance from the top."""
        columns = {self.of: self.values, "loglik": self.loglik, "drop": self.loglik - self.top}
        others = {"estimate": self.estimate, "ci_low": self.ci_low, "ci_high": self.ci_high}
        return pd.DataFrame(columns | (others if self.of == "tau2" else {"tau2": self.tau2}))

    def __repr__(self) -> str:
        """Return the peak and the interval."""
        name = "τ²" if self.of == "tau2" else "the mean"
        numbers = (self.peak, self.low, self.high)
        point, low, high = (significant(number) for number in numbers)
        found = (
            f"{point} [{low}, {high}]"
            if self.of == "tau2"
            else estimate_text(*numbers, digits_for(self.low, self.high)) + " (analysis scale)"
        )
        return (
            f"Profile of {name} ({self.likelihood}): highest at {found}, "
            f"the {level_text(self.level)} profile likelihood interval; log-likelihood {fixed(self.top)}"
        )


def profile(
    analysis: Analysis, *, of: str = "tau2", values: float | Sequence[float] | NDArray[np.float64] | None = None
) -> Profile:
    """Return the profile log-likelihood of tau2 or of the mean, from one batch call.

    of: "tau2" takes the restricted likelihood, or the full one for tau2="ML", maximised over the mean; "mean" the full
    likelihood, maximised over tau2. values: where to evaluate; None for 101 points over the profile likelihood interval
    and a quarter more. The estimator of the pool does not matter, apart from the choice of the likelihood.

    Raises `OptionError` for equal effects, for one effect, for another word and for values that are no tau2. Source:
    Hardy & Thompson 1996. Same as `metafor::profile` where tau2 is by ML or REML.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> found = profile(mb.pool(pain).analysis)
    >>> bool(found.loglik.max() <= found.top)
    True
    """
    spec, effects = analysis.fitted.spec, analysis.fitted.effects
    if of not in ("tau2", "mean"):
        raise OptionError.unknown("of", of, ("tau2", "mean"))
    if not estimates_tau2(spec) or analysis.overall.k < 2:
        raise OptionError("a profile needs tau2: a random-effects model of two or more effects")
    given = None if values is None else _numbers(values)
    if given is not None and of == "tau2" and (given < 0).any():
        raise OptionError(f"values has {given.min():g}: a tau2 is at least 0")
    rows = effects.estimable
    problems = prepare(effects.yi[rows][None], effects.vi[rows][None], np.ones((1, int(rows.sum())), dtype=bool))
    return _of_tau2(problems, analysis, given) if of == "tau2" else _of_mean(problems, analysis, given)


def _numbers(values: float | Sequence[float] | NDArray[np.float64]) -> Floats:
    """Return the values that were given as an array (n,)."""
    try:
        given = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.ndim != 1 or not given.size or not np.isfinite(given).all():
        raise OptionError(f"values={values!r} must be one or more finite numbers")
    return given


def _of_tau2(problems: Problems, analysis: Analysis, values: Floats | None) -> Profile:
    """Return the curve of tau2."""
    spec = analysis.fitted.spec
    reml = spec.tau2 != "ML"
    (peak,) = TAU2_ESTIMATORS["REML" if reml else "ML"].function(problems).value
    limits = likelihood_set(problems, spec.level, reml=reml)
    low, high = float(limits.lower[0]), float(limits.upper[0])
    at = np.linspace(0, ROOM * high, POINTS) if values is None else values
    every = problems.take(np.zeros(at.size + 1, dtype=np.intp))
    tau2 = np.append(at, peak)
    fit = coefficients(every, tau2)
    loglik = (restricted if reml else full)(every, fit)
    factor, df = MEAN_RULES[spec.ci].function(fit.q1, every.m, spec.level)
    half = quantile(spec.level, df) * np.sqrt(fit.cov[:, 0, 0] * factor)
    mean, top = fit.beta[:, 0], float(loglik[-1])
    cut = top - float(chdtri(1.0, 1 - spec.level)) / 2
    word, of = "REML" if reml else "ML", "tau2"
    interval = (mean[:-1], (mean - half)[:-1], (mean + half)[:-1])
    return Profile(of, word, at, loglik[:-1], float(peak), top, cut, low, high, spec.level, *interval, at)


def _of_mean(problems: Problems, analysis: Analysis, values: Floats | None) -> Profile:
    """Return the curve of the mean."""
    level = analysis.fitted.spec.level
    rule = whole_rule("PL")
    if rule is None:
        raise RuntimeError("the profile likelihood interval is not registered")
    ml = TAU2_ESTIMATORS["ML"].function(problems).value
    found = apply_whole(rule, problems, ml, request_of(analysis.fitted.spec))
    point, low, high = (float(column[0]) for column in (found.point, found.lower, found.upper))
    ends = point - ROOM * (point - low), point + ROOM * (high - point)
    at = np.linspace(*ends, POINTS) if values is None else values
    tau2, loglik = mean_curve(problems, at)
    top = float(full(problems, coefficients(problems, ml))[0])
    cut = top - float(chdtri(1.0, 1 - level)) / 2
    blank = np.full(at.size, math.nan)
    return Profile("mean", "ML", at, loglik, point, top, cut, low, high, level, at, blank, blank, tau2)
