"""Meta-regression: effects, a formula and a request in, a finished model out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict

from metaback.design.formula import INTERCEPT, FormulaDesign, build_design
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import EstimationError, OptionError
from metaback.models.fitted import Fit
from metaback.models.pool import no_effects
from metaback.models.specs import PREDICTION_FOR_SEVERAL, RULES_FOR_SEVERAL, PoolSpec, resolve_spec
from metaback.models.univariate import fit_univariate
from metaback.stats.inference import MEAN_RULES, PREDICTION_RULES
from metaback.stats.regression import Basis, in_basis, orthonormal
from metaback.status import Status

COEFFICIENT_RULES = RULES_FOR_SEVERAL
PREDICTION_WORDS = PREDICTION_FOR_SEVERAL


class RegressionSpec(BaseModel):
    """How effects are to be regressed, every choice resolved.

    formula: right side as the user wrote it; pool: preset, estimator of tau2, intervals and level, as for a pool.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    formula: str
    pool: PoolSpec


@dataclass(frozen=True, slots=True)
class FittedRegression:
    """A finished meta-regression: request, effects, design over the rows in use, and numbers.

    fit: in terms of the columns of the design; inner: the same fit in an orthonormal basis of them, from which every
    linear combination is computed, so that raw years and their squares cost no digits.
    null_tau2: tau2 of the intercept alone on the same rows by the same estimator.
    """

    spec: RegressionSpec
    effects: EffectSizes
    design: FormulaDesign
    fit: Fit
    inner: Fit
    basis: Basis
    null_tau2: float


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
    inner = fit_univariate(y, v, everything, spec.pool, basis.Q)
    status = Status(int(inner.status))
    if not status.ok:
        raise EstimationError(f"{effects.source}: {status.sentence}")
    null = fit_univariate(y, v, everything, spec.pool)
    fit = in_columns(inner, basis)
    return FittedRegression(spec, effects, design, fit, inner, basis, float(null.theta[..., 0]))


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
    return fit_univariate(y, v, np.ones(y.shape, dtype=bool), fitted.spec.pool, fitted.basis.Q)
