"""Working models of robust variance estimation: diagonal weights, components by moments, no likelihood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from metaback.errors import EstimationError, OptionError
from metaback.models.multilevel_spec import MultilevelSpec, working_of
from metaback.stats.mixed import MixedFit
from metaback.stats.rve import RveFit, correlated_effects, hierarchical_effects
from metaback.status import Status

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
INSTEAD = {"CORR": "CE", "HIER": "HE"}  # working models of the same structure that have a likelihood


def weighing(spec: MultilevelSpec) -> str:
    """Return the key of the diagonal weights of a request, "" for a model with a likelihood."""
    model = working_of(spec)
    return "" if model is None else model.weights


def without_likelihood(spec: MultilevelSpec, what: str) -> None:
    """Raise `OptionError` where a question needs the likelihood of a model and the request has none.

    >>> from metaback.models.multilevel_spec import resolve_multilevel
    >>> without_likelihood(resolve_multilevel("CHE"), "profile")
    """
    key = weighing(spec)
    if key:
        cure = f"random={INSTEAD[key]!r} is its like with a likelihood, random='CHE' has both kinds of dependence"
        raise OptionError(f"{what}: {key} has weights and components by moments, and no likelihood; {cure}")


def moment_weights(spec: MultilevelSpec, y: Floats, v: Floats, X: Floats, study: Places, rho: Floats | float) -> RveFit:
    """Return the fit with the weights of a request; a leading axis of rho or y is kept."""
    if weighing(spec) == "CORR":
        return correlated_effects(y, v, X, study, rho)
    return hierarchical_effects(y, v, X, study)


def moment_fit(
    spec: MultilevelSpec, y: Floats, v: Floats, X: Floats, study: Places, source: str
) -> tuple[MixedFit, RveFit]:
    """Fit a working model by moments: y, v (n,), X (n, p), study (n,) codes.

    Components are tau2 for "CORR", tau2 and omega2 for "HIER". The covariance is (X'WX)^-1, which is right only if the
    weights are; a robust one takes its place. Raises `EstimationError` where the moments do not tell the components.
    """
    found = moment_weights(spec, y, v, X, study, float(spec.rho or 0.0))
    return as_mixed(spec, found, X, source), found


def at_place(found: RveFit, i: int) -> RveFit:
    """Return one fit of a grid of assumed correlations."""
    return replace(
        found,
        beta=found.beta[i],
        residuals=found.residuals[i],
        weights=found.weights[i],
        tau2=found.tau2[i],
        omega2=found.omega2[i],
        i2=found.i2[i],
        q=found.q[i],
    )


def as_mixed(spec: MultilevelSpec, found: RveFit, X: Floats, source: str) -> MixedFit:
    """Return a fit by moments in the form of one by likelihood: no log-likelihood, no spread of the components."""
    key = weighing(spec)
    theta = np.array([found.tau2] if key == "CORR" else [found.tau2, found.omega2], dtype=float)
    if np.isnan(theta).any():
        why = (
            "there are as many coefficients as studies; leave moderators out"
            if key == "CORR"
            else "studies have one effect each, or too few have several; use random='CORR', or mb.pool"
        )
        raise EstimationError(f"{source}: the moments of {key} do not tell its variances: {why}")
    none, nothing = np.asarray(np.nan), np.empty(0)
    return MixedFit(
        beta=found.beta,
        cov=np.asarray(np.linalg.inv(X.T @ (found.weights[:, None] * X)), dtype=np.float64),
        theta=theta,
        names=("tau2", "omega2")[: theta.size],
        theta_cov=np.full((theta.size, theta.size), np.nan),
        loglik=none,
        loglik_ml=none,
        loglik_reml=none,
        status=np.asarray(int(Status.CONVERGED)),
        n_iter=np.asarray(0),
        at_bound=theta <= 0,
        identifiable=np.ones(theta.size, dtype=bool),
        rivals=np.empty((0, theta.size)),
        gaps=nothing,
    )
