"""Does the heterogeneity itself depend on moderators? A location-scale model around a finished meta-regression."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.design.formula import INTERCEPT, FormulaDesign, build_design, collinear
from metaback.errors import EstimationError, OptionError
from metaback.models.fitted import Estimate
from metaback.models.regression import FittedRegression
from metaback.models.specs import estimates_tau2
from metaback.postestimation.regression import JointTest
from metaback.postestimation.words import coefficient_text
from metaback.stats.inference import quantile, two_sided_p
from metaback.stats.location_scale import LocationScaleFit, location_scale
from metaback.stats.measures import about
from metaback.stats.regression import Basis, contrast_q, in_basis, joint_p, orthonormal

Floats = NDArray[np.float64]
METHODS = ("REML", "ML")
CONSTANT = 1e-9  # share of a column of ones that may stay outside the columns of the scale
PER_COEFFICIENT = 10  # studies; fewer say little about a variance


@dataclass(frozen=True, slots=True, repr=False)
class LocationScale:
    """A location-scale model: location and scale coefficients by name, Wald z intervals.

    scale: on log tau2, so that exp(coefficient) is the ratio of tau2 per unit. wald: test that the scale has no
    moderator; likelihood_ratio: the same by twice the difference in log-likelihood (None where the scale's columns
    do not hold a constant). tau2: (k,) fitted, of the rows in `rows`. loglik: restricted (REML) or full (ML).
    """

    formula: str
    method: str
    location: Mapping[str, Estimate]
    scale: Mapping[str, Estimate]
    wald: JointTest | None
    likelihood_ratio: JointTest | None
    tau2: Floats
    rows: tuple[str, ...]
    loglik: float
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Return the coefficients, the tests and the notes."""
        width = max(map(len, (*self.location, *self.scale)))
        lines = [f"Location-scale model ({self.method}, {len(self.rows)} effects), log τ² {self.formula}"]
        for name, part in (("Location", self.location), ("Scale", self.scale)):
            lines += [f"  {name:8}  {term:{width}}  {coefficient_text(value)}" for term, value in part.items()]
        tests = {"Wald": self.wald, "Likelihood ratio": self.likelihood_ratio}
        lines += [f"  One τ² for all, {name} test: {test}" for name, test in tests.items() if test is not None]
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])


def heteroscedastic(fitted: FittedRegression, formula: str, *, method: str = "REML") -> LocationScale:
    """Fit log tau2_i = z_i'alpha beside the location of a finished meta-regression.

    formula: right side for the scale, as in `build_design`. Rows without a scale moderator are left out and noted.
    Tests use the normal distribution, whatever rule the regression had.

    Raises `OptionError` for an equal-effects model and an unknown method, `EstimationError` where the likelihood has
    no maximum (a variance that goes to 0 or without bound), and what `build_design` raises. Source: Viechtbauer &
    Lopez-Lopez 2022.
    """
    if method not in METHODS:
        raise OptionError.unknown("method", method, METHODS)
    if not estimates_tau2(fitted.spec.pool):
        raise OptionError(f"a location-scale model needs model='random'; {fitted.spec.pool.model} effects have no tau2")
    effects, location = fitted.effects, fitted.design
    orders = effects.categories
    design = build_design(formula, effects.moderators, location.used, effects.rows, effects.source, orders)
    X = location.X[design.used[location.used]]
    if len(X) <= X.shape[1] + design.X.shape[1] or collinear(X):
        raise EstimationError(f"{effects.source}: {len(X)} rows have every moderator, too few for both formulas")
    y, v = effects.yi[design.used], effects.vi[design.used]
    inner, outer = _basis(X, location), _basis(design.X, design)
    size = math.sqrt(len(y))
    fit = location_scale(y, v, inner.Q, size * outer.Q, restricted=method == "REML")
    if not fit.converged:
        raise EstimationError(
            f"{effects.source}: the likelihood of tau2 by {formula!r} has no maximum: somewhere the variance goes to 0 "
            "or without bound. Use fewer moderators of the scale"
        )
    alpha_map = in_basis(outer, np.eye(design.X.shape[1])) * size
    kind, level = about(effects.measure).scale, fitted.spec.pool.level
    alpha, alpha_cov = alpha_map @ fit.alpha, alpha_map @ fit.alpha_cov @ alpha_map.T
    beta_map = in_basis(inner, np.eye(X.shape[1]))
    beta, beta_cov = beta_map @ fit.beta, beta_map @ fit.cov @ beta_map.T
    return LocationScale(
        formula=formula,
        method=method,
        location=_estimates(location.design.columns, beta, beta_cov, level, kind),
        scale=_estimates(design.design.columns, alpha, alpha_cov, level, "log"),
        wald=_wald(design, alpha_map, fit),
        likelihood_ratio=_likelihood_ratio(fit, (y, v, inner.Q), design, restricted=method == "REML"),
        tau2=fit.tau2,
        rows=tuple(row for row, use in zip(effects.rows, design.used, strict=True) if use),
        loglik=fit.loglik,
        notes=_notes(design, len(y)),
    )


def _basis(X: Floats, design: FormulaDesign) -> Basis:
    """Return the orthonormal basis of a design over some of its rows."""
    return orthonormal(X, design.design.columns.index(INTERCEPT) if design.intercept else None)


def _estimates(names: tuple[str, ...], point: Floats, cov: Floats, level: float, scale: str) -> dict[str, Estimate]:
    """Return coefficients with Wald z intervals by name."""
    se = np.sqrt(np.diag(cov))
    half = float(quantile(level, np.array([np.inf]))[0]) * se
    p = two_sided_p(point / se, np.full(se.shape, np.inf))
    values = zip(names, point, se, half, p, strict=True)
    return {
        name: Estimate(float(b), float(b - h), float(b + h), float(s), level, scale, float(b / s), p_value=float(one))
        for name, b, s, h, one in values
    }


def _wald(design: FormulaDesign, alpha_map: Floats, fit: LocationScaleFit) -> JointTest | None:
    """Test by Wald that no moderator of the scale has a coefficient."""
    tested = [j for term in design.terms for j in term.columns]
    if not tested:
        return None
    rows = alpha_map[tested]
    q = contrast_q(rows @ fit.alpha, rows @ fit.alpha_cov @ rows.T)
    terms = tuple(term.name for term in design.terms)
    return JointTest(terms, q, len(tested), math.inf, float(joint_p(q, len(tested), math.inf)))


def _likelihood_ratio(
    fit: LocationScaleFit, data: tuple[Floats, Floats, Floats], design: FormulaDesign, *, restricted: bool
) -> JointTest | None:
    """Test by the likelihood ratio that tau2 is the same for all; None where that is no special case of the model."""
    y, v, Q = data
    one = np.ones((y.size, 1))
    df = design.X.shape[1] - 1
    rest = one[:, 0] - design.X @ np.linalg.lstsq(design.X, one[:, 0], rcond=None)[0]
    if df == 0 or np.abs(rest).max() > CONSTANT:
        return None
    null = location_scale(y, v, Q, one, restricted=restricted)
    statistic = max(0.0, 2 * (fit.loglik - null.loglik))
    terms = tuple(term.name for term in design.terms)
    return JointTest(terms, statistic, df, math.inf, float(joint_p(statistic, df, math.inf)))


def _notes(design: FormulaDesign, k: int) -> tuple[str, ...]:
    """Say what a reader must know."""
    q = design.X.shape[1]
    notes: list[str] = []
    missing = sum(bool(reason) for reason in design.reasons)
    if missing:
        were = "1 row of the regression is" if missing == 1 else f"{missing} rows of the regression are"
        notes.append(f"{were} left out for want of a moderator of the scale.")
    if k < PER_COEFFICIENT * q:
        notes.append(f"{k} effects for {q} coefficients of the scale: variances need more than means do.")
    return tuple(notes)
