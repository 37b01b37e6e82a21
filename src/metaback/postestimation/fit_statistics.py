"""How well a model fits: log-likelihood, deviance and information criteria under both likelihoods."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from metaback.models.fitted import Fit
from metaback.models.regression import FittedRegression
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.postestimation.summary import Analysis
from metaback.stats.likelihoods import criteria

LIKELIHOODS = ("ML", "REML")


@dataclass(frozen=True, slots=True)
class LikelihoodStatistics:
    """What one likelihood says of a model, at its tau2; None where a number does not exist.

    loglik: log-likelihood. deviance: of the full likelihood twice the distance from a model with a coefficient for
    every study, of the restricted one -2 loglik. aic, aicc, bic: see `metaback.stats.likelihoods.criteria`.
    size: k for the full likelihood, k - p for the restricted one.
    """

    loglik: float | None
    deviance: float | None
    aic: float | None
    aicc: float | None
    bic: float | None
    size: int


@dataclass(frozen=True, slots=True)
class FitStatistics:
    """Fit statistics under the full (`ml`) and the restricted likelihood (`reml`).

    parameters: coefficients, and tau2 where it is estimated. maximised: "ML" or "REML" where the model is at the
    maximum of that likelihood ("ML" for equal effects), None where tau2 comes from moments or was given: the criteria
    then describe the fit, but models should not be chosen by them.
    """

    ml: LikelihoodStatistics
    reml: LikelihoodStatistics
    parameters: int
    maximised: str | None


def fit_statistics(fit: Fit, spec: PoolSpec, k: int) -> FitStatistics:
    """Return the fit statistics of one fit, a pool or a regression.

    fit: without batch axes; k: number of effects in use.

    Edges: k = p has no restricted likelihood, and tau2 is no parameter then. Source: see `criteria`. Same as
    `fit.stats` of `metafor::rma`.

    >>> import numpy as np
    >>> from metaback.models.univariate import fit_univariate
    >>> y, v = np.array([0.1, 0.3, 0.5]), np.array([0.02, 0.03, 0.05])
    >>> spec = PoolSpec(model="equal", ci="Wald")
    >>> found = fit_statistics(fit_univariate(y, v, np.ones(3, dtype=bool), spec), spec, 3)
    >>> found.maximised, found.parameters, round(found.ml.deviance, 4), round(found.ml.aic, 4)
    ('ML', 1, 2.4516, -0.4491)
    """
    p = int(fit.beta.shape[-1])
    searched = estimates_tau2(spec) and isinstance(spec.tau2, str) and k > p
    parameters = p + searched
    ml = _statistics(float(fit.loglik_ml), float(fit.deviance), parameters, k)
    reml = _statistics(float(fit.loglik_reml), -2 * float(fit.loglik_reml), parameters, k - p)
    word = spec.tau2 if searched else "ML" if not estimates_tau2(spec) else None
    return FitStatistics(ml, reml, parameters, str(word) if word in LIKELIHOODS else None)


def pool_statistics(analysis: Analysis) -> FitStatistics:
    """Return the fit statistics of a pool; of a working model those of the likelihood that it maximises.

    Its parameters are the mean and two variance components; it has no deviance from a saturated model.
    """
    k, working = analysis.overall.k, analysis.working
    if working is None or not working.primary:
        return fit_statistics(analysis.fitted.fit, analysis.fitted.spec, k)
    return _of_levels(working.loglik, str(working.spec.tau2), k, 1, len(working.components))


def regression_statistics(fitted: FittedRegression) -> FitStatistics:
    """Return the fit statistics of a meta-regression; of a working model those of the likelihood that it maximises."""
    k, p = fitted.design.X.shape
    if fitted.levels is None:
        return fit_statistics(fitted.fit, fitted.spec.pool, k)
    return _of_levels(fitted.levels.loglik, str(fitted.spec.pool.tau2), k, p, 2)


def _of_levels(loglik: float, method: str, k: int, p: int, components: int) -> FitStatistics:
    """Return the statistics of a model with p coefficients and variance components at the top of one likelihood."""
    sizes = {"ML": k, "REML": k - p}
    found = replace(_statistics(loglik, math.nan, p + components, sizes[method]), deviance=None)
    nothing = LikelihoodStatistics(None, None, None, None, None, sizes["REML" if method == "ML" else "ML"])
    both = (found, nothing) if method == "ML" else (nothing, found)
    return FitStatistics(*both, p + components, method)


def _statistics(loglik: float, deviance: float, parameters: int, size: int) -> LikelihoodStatistics:
    """Return the statistics of one likelihood, none without a degree of freedom."""
    if size < 1 or not math.isfinite(loglik):
        return LikelihoodStatistics(None, None, None, None, None, size)
    found = criteria(np.array([loglik]), parameters, np.array([float(size)]))
    aic, aicc, bic = (float(value[0]) for value in (found.aic, found.aicc, found.bic))
    return LikelihoodStatistics(loglik, deviance, aic, aicc, bic, size)
