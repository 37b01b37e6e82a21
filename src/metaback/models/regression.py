"""Meta-regression: effects, a formula and a request in, a finished model out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from metaback.design.formula import INTERCEPT, FormulaDesign, build_design
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import EstimationError, OptionError
from metaback.models.dependent_means import DependentCoefficients, dependent_coefficients
from metaback.models.fitted import Fit
from metaback.models.pool import no_effects
from metaback.models.specs import PREDICTION_FOR_SEVERAL, ROBUST, RULES_FOR_SEVERAL, PoolSpec, resolve_spec
from metaback.models.univariate import fit_univariate
from metaback.stats.blocks import BlockMatrix
from metaback.stats.inference import MEAN_RULES, PREDICTION_RULES
from metaback.stats.regression import Basis, in_basis, orthonormal
from metaback.stats.robust import Robust, cluster_robust
from metaback.status import Status

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
COEFFICIENT_RULES = (*RULES_FOR_SEVERAL, ROBUST)
PREDICTION_WORDS = PREDICTION_FOR_SEVERAL


class RegressionSpec(BaseModel):
    """How effects are to be regressed, every choice resolved.

    formula: right side as the user wrote it; pool: preset, estimator of tau2, intervals and level, as for a pool.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    formula: str
    pool: PoolSpec


@dataclass(frozen=True, slots=True)
class RobustPart:
    """The cluster-robust variance of a regression, in its orthonormal basis; tests of coefficients are made of it.

    found: CR2; study: (n,) the cluster of each row in use; model: (p, p) covariance were the weights right; weights: W
    of the coefficients. levels: the three-level model that the weights come from, None where they are 1 / (v + tau2).
    """

    found: Robust
    study: Places
    model: Floats
    weights: BlockMatrix | Floats
    levels: DependentCoefficients | None = None


@dataclass(frozen=True, slots=True)
class FittedRegression:
    """A finished meta-regression: request, effects, design over the rows in use, and numbers.

    fit: in terms of the columns of the design; inner: the same fit in an orthonormal basis of them, from which every
    linear combination is computed, so that raw years and their squares cost no digits.
    null_tau2: tau2 of the intercept alone on the same rows by the same estimator. robust: the variance that tests use
    under ci="CR2", None where that of `fit` serves; theta of `fit` is the sum of both components of its levels.
    """

    spec: RegressionSpec
    effects: EffectSizes
    design: FormulaDesign
    fit: Fit
    inner: Fit
    basis: Basis
    null_tau2: float
    robust: RobustPart | None = None

    @property
    def levels(self) -> DependentCoefficients | None:
        """Return the three-level model of rows that depend on each other, None where rows are independent."""
        return None if self.robust is None else self.robust.levels

    @property
    def study(self) -> Places:
        """Return the study of each row in use."""
        return self.effects.clusters[self.design.used].astype(np.intp)

    @property
    def units(self) -> int:
        """Return what degrees of freedom are counted in: studies where their rows depend on each other, else rows."""
        return self.design.X.shape[0] if self.levels is None else int(np.unique(self.study).size)


def resolve_regression(formula: str, preset: str = "cochrane", **choices: object) -> RegressionSpec:
    """Resolve a formula, a preset and the choices that override it (None stands for "as the preset has it").

    Raises `OptionError` for unknown words, and for models, weights and interval rules that serve a plain mean only.

    >>> resolve_regression("~ weeks").pool.tau2
    'REML'
    """
    pool = resolve_spec(preset, **choices)
    if problems := _unlike_a_pool(pool):
        raise OptionError("; ".join(problems))
    return RegressionSpec(formula=formula, pool=pool)


def _unlike_a_pool(pool: PoolSpec) -> list[str]:
    """Name the choices of a pool that a regression does not have, with the reason."""
    problems: list[str] = []
    if pool.model == "IVhet" or pool.weights is not None:
        what = "model='IVhet'" if pool.model == "IVhet" else f"weights={pool.weights!r}"
        problems.append(
            f"{what} weighs the mean of a pool; the joint tests of a regression rest on the weights 1 / (v + tau2): "
            "use model='random' without weights"
        )
    if pool.subgroup_tau2 != "separate":
        problems.append("subgroup_tau2 is of the subgroups of a pool; a regression has one tau2: leave it out")
    if pool.ci == "KR":
        problems.append(
            "ci='KR' gives every coefficient its own degrees of freedom and joint tests another F; a regression needs "
            f"one rule for all: use one of {', '.join(COEFFICIENT_RULES)}"
        )
    elif pool.ci not in COEFFICIENT_RULES:
        title = MEAN_RULES[pool.ci].title
        problems.append(f"ci={pool.ci!r} ({title}) is a rule of a mean; use one of {', '.join(COEFFICIENT_RULES)}")
    if pool.pi not in PREDICTION_WORDS:
        title = PREDICTION_RULES[pool.pi].title
        problems.append(f"pi={pool.pi!r} ({title}) is a rule of a mean; use one of {', '.join(PREDICTION_WORDS)}")
    return problems


def fit_regression(effects: EffectSizes, spec: RegressionSpec) -> FittedRegression:
    """Fit y_i = x_i'beta + u_i + e_i over the rows that have an effect and every moderator of the formula.

    Raises `EstimationError` when no row has an effect or the search for tau2 fails, and what `build_design` raises.
    """
    if not effects.estimable.any():
        raise no_effects(effects)
    orders = effects.categories
    design = build_design(spec.formula, effects.moderators, effects.estimable, effects.rows, effects.source, orders)
    y, v = effects.yi[design.used], effects.vi[design.used]
    everything = np.ones(y.size, dtype=bool)
    columns = design.design.columns
    basis = orthonormal(design.X, columns.index(INTERCEPT) if design.intercept else None)
    plain = _plain(spec.pool)
    inner = fit_univariate(y, v, everything, plain, basis.Q)
    status = Status(int(inner.status))
    if not status.ok:
        raise EstimationError(f"{effects.source}: {status.sentence}")
    null = fit_univariate(y, v, everything, plain)
    fit = in_columns(inner, basis)
    fitted = FittedRegression(spec, effects, design, fit, inner, basis, float(null.theta[..., 0]))
    return fitted if spec.pool.ci != ROBUST else _alone(fitted)


def _plain(spec: PoolSpec) -> PoolSpec:
    """Return a request whose interval rule is a factor: the robust variance takes the place of Wald's afterwards."""
    return spec.model_copy(update={"ci": "Wald"}) if spec.ci == ROBUST else spec


def _alone(fitted: FittedRegression) -> FittedRegression:
    """Give the fit of independent rows a robust variance in which each row is a cluster."""
    used, basis = fitted.design.used, fitted.basis
    W = 1 / (fitted.effects.vi[used] + float(fitted.fit.theta[..., 0]))
    rows = np.arange(W.size, dtype=np.intp)
    found = cluster_robust(basis.Q, fitted.effects.yi[used] - basis.Q @ fitted.inner.beta, W, rows)
    if found.status is not Status.CONVERGED:
        raise EstimationError(f"{fitted.effects.source}: {found.status.sentence}")
    part = RobustPart(found, rows, fitted.inner.cov, W)
    return with_robust(fitted, part, fitted.inner)


def with_robust(fitted: FittedRegression, part: RobustPart, inner: Fit) -> FittedRegression:
    """Return a fit whose covariance is robust; inner: coefficients and components that it belongs to."""
    inner = replace(inner, cov=part.found.cov, df=np.array(np.nan))
    return replace(fitted, fit=in_columns(inner, fitted.basis), inner=inner, robust=part)


def fit_dependent(fitted: FittedRegression, V: BlockMatrix, pool: PoolSpec) -> FittedRegression | Status:
    """Fit the same design by the three-level model of `dependent_coefficients`, or say why that cannot be done.

    V: sampling covariance of the rows in use, in their order; pool: the request in the words of that model.
    """
    y, study, Q = fitted.effects.yi[fitted.design.used], fitted.study, fitted.basis.Q
    ones = np.ones((y.size, 1))
    found, null = (dependent_coefficients(y, X, V, study, method=str(pool.tau2)) for X in (Q, ones))
    if isinstance(found, Status) or isinstance(null, Status):
        return found if isinstance(found, Status) else Status.NOT_CONVERGED
    total = np.array([found.between + found.within])
    inner = replace(fitted.inner, beta=found.beta, theta=total, loglik=np.array(found.loglik))
    inner = replace(inner, rival=np.array(np.nan), gap=np.array(np.inf), status=np.array(int(Status.CONVERGED)))
    part = RobustPart(found.robust, study, found.model, found.weights, found)
    spec = fitted.spec.model_copy(update={"pool": pool})
    fitted = replace(fitted, spec=spec, null_tau2=null.between + null.within)
    return with_robust(fitted, part, inner)


def in_columns(inner: Fit, basis: Basis) -> Fit:
    """Return a fit, or a batch of them, in terms of the columns that the basis was made from."""
    back = in_basis(basis, np.eye(len(basis.size)))
    return replace(inner, beta=inner.beta @ back.T, cov=back @ inner.cov @ back.T)


def fit_orders(fitted: FittedRegression, orders: np.ndarray[tuple[int, int], np.dtype[np.intp]]) -> Fit:
    """Fit the same design to reordered effects, one batch call: row i of `orders` (n, k) says which study stands where.

    Effect and variance move together, so each fit keeps the studies and breaks their link to the moderators. The fits
    are in terms of the orthonormal basis; `in_columns` turns them.
    """
    used = fitted.design.used
    y, v = fitted.effects.yi[used][orders], fitted.effects.vi[used][orders]
    return fit_univariate(y, v, np.ones(y.shape, dtype=bool), _plain(fitted.spec.pool), fitted.basis.Q)
