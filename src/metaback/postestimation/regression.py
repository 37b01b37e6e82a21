"""All that is said about a meta-regression: coefficients, tests, heterogeneity, collinearity, predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.data.columns import codes_of_missing
from metaback.design.formula import average_rows, new_rows, observed
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.regression import FittedRegression, RegressionSpec, fit_regression
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.numbers import ABSENT, df_text, fixed, p_phrase
from metaback.postestimation.notes import PoolFacts, moderator_notes, pool_notes
from metaback.postestimation.pools import PREDICTION_FROM
from metaback.postestimation.regression_working import (
    Dependents,
    dependents,
    dependents_note,
    level_components,
    level_heterogeneity,
    robust_notes,
)
from metaback.postestimation.scales import way_back
from metaback.postestimation.summary import Component, Heterogeneity
from metaback.stats.heterogeneity import cochran_q, h2_from_tau2, i2_from_q, i2_from_tau2, typical_variance
from metaback.stats.inference import PREDICTION_RULES, quantile, two_sided_p
from metaback.stats.measures import about
from metaback.stats.regression import gvif, in_basis, joint_p, r_squared, subset_q
from metaback.stats.robust import Robust
from metaback.stats.robust_tests import contrast_tests
from metaback.stats.robust_tests import joint_test as robust_joint_test
from metaback.stats.tau2_interval import TAU2_INTERVALS
from metaback.stats.transforms import back
from metaback.stats.wls import Problems, coefficients, prepare

Floats = NDArray[np.float64]
STABLE_R2 = 40  # below this number of studies R2 is often far off (Lopez-Lopez et al. 2014)


@dataclass(frozen=True, slots=True, repr=False)
class JointTest:
    """A test of several coefficients at once: F on (df, df_residual), chi-square where df_residual is inf.

    terms: names of what is tested. statistic: nan where it does not exist.
    """

    terms: tuple[str, ...]
    statistic: float
    df: int
    df_residual: float
    p_value: float

    def __str__(self) -> str:
        """Return the test: `F(4, 14) = 0.68, P = 0.62` or `χ²(4) = 2.73, P = 0.60`, or that there is none."""
        if math.isnan(self.statistic):
            return "no test"
        residual = ABSENT if math.isnan(self.df_residual) else df_text(self.df_residual)
        of = f"χ²({self.df})" if math.isinf(self.df_residual) else f"F({self.df}, {residual})"
        return f"{of} = {fixed(self.statistic)}, {p_phrase(self.p_value)}"

    def __repr__(self) -> str:
        """Return the test and what is tested."""
        return f"{self}  ({', '.join(self.terms)})"


@dataclass(frozen=True, slots=True)
class TermSummary:
    """One term of the formula: the test of its columns together, and how collinear it is.

    gvif: generalised variance inflation factor, None where the model has no other term; gsif: its 1 / (2 df) power,
    which compares terms of different size.
    """

    name: str
    test: JointTest
    gvif: float | None
    gsif: float | None


@dataclass(frozen=True, slots=True)
class RegressionAnalysis:
    """Everything said about one meta-regression.

    coefficients: by name, on the analysis scale; moderators: the test of all of them, None for the intercept alone;
    terms: one by one. heterogeneity: the residual one; r2: percent of tau2 explained, None where it does not exist.
    k, p: rows in use and coefficients; left_out: (study, row, reason) of the rest; notes: what a reader must know.
    asked: the request as it was made, where the words of `fitted.spec` are those of a working model. beside: where a
    study has several rows, the coefficients of the model that is not the answer: rows as independent, or the working
    model; sentences: what depends on what there. components: of variance under the working model, else none.
    """

    fitted: FittedRegression
    coefficients: Mapping[str, Estimate]
    moderators: JointTest | None
    terms: tuple[TermSummary, ...]
    heterogeneity: Heterogeneity
    r2: float | None
    k: int
    p: int
    left_out: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    asked: PoolSpec
    beside: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    sentences: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()

    @property
    def dependent(self) -> bool:
        """Tell whether rows of one study are modelled as dependent."""
        return self.fitted.levels is not None

    @property
    def repeats(self) -> bool:
        """Tell whether a study has more than one row in use."""
        return np.unique(self.fitted.study).size < self.k


def analyse_regression(effects: EffectSizes, spec: RegressionSpec) -> RegressionAnalysis:
    """Fit a meta-regression and say all that is said about it.

    Where a study has several rows, the answer is that of a working model with robust variance unless the request says
    otherwise: see `dependents`.
    """
    naive = fit_regression(effects, spec)
    both = dependents(naive)
    fitted = naive if both is None else both.answer
    shown = named_coefficients(fitted)
    beside = {} if both is None or both.other is None else named_coefficients(both.other)
    design = fitted.design
    k, p = design.X.shape
    spread = residual_heterogeneity(fitted)
    explains = estimates_tau2(spec.pool) and isinstance(spec.pool.tau2, str) and design.intercept and p > 1
    r2 = r_squared(float(fitted.fit.theta[0]), fitted.null_tau2) if explains else None
    tested = [j for term in design.terms for j in term.columns]
    moderators = joint_test(fitted, tested, tuple(term.name for term in design.terms)) if tested else None
    left_out = tuple(
        (label, row, why or gap)
        for label, row, why, gap in zip(effects.labels, effects.rows, effects.reasons, design.reasons, strict=True)
        if why or gap
    )
    return RegressionAnalysis(
        fitted=fitted,
        coefficients=shown,
        moderators=moderators,
        terms=_terms(fitted),
        heterogeneity=spread,
        r2=r2,
        k=k,
        p=p,
        left_out=left_out,
        notes=(*_first(fitted, both, shown, beside), *_notes(fitted, spread, r2, left_out)),
        asked=spec.pool,
        beside=beside,
        sentences=() if both is None else both.sentences,
        components=level_components(fitted),
    )


def named_coefficients(fitted: FittedRegression) -> dict[str, Estimate]:
    """Return every coefficient by name."""
    names = fitted.design.design.columns
    return {name: linear_estimate(fitted, row) for name, row in zip(names, np.eye(len(names)), strict=True)}


def _first(
    fitted: FittedRegression, both: Dependents | None, shown: Mapping[str, Estimate], beside: Mapping[str, Estimate]
) -> tuple[str, ...]:
    """Say first how rows of one study were taken, and what the robust variance does not know."""
    first = () if both is None else (dependents_note(both, shown, beside),)
    told = both.sentences if both is not None and fitted.levels is not None else ()
    return (*first, *robust_notes(fitted, shown), *told)


def data_of(fitted: FittedRegression) -> tuple[Floats, Floats, Floats]:
    """Return effects, variances and the orthonormal basis of X of the rows in use."""
    used = fitted.design.used
    return fitted.effects.yi[used], fitted.effects.vi[used], fitted.basis.Q


def _problems(fitted: FittedRegression) -> Problems:
    """Return the rows in use as a batch of one problem."""
    y, v, X = data_of(fitted)
    return prepare(y[None], v[None], np.ones((1, y.size), dtype=bool), X[None])


def variance_factor(fitted: FittedRegression) -> float:
    """Return the factor by which the interval rule has multiplied the model's covariance (1 for Wald)."""
    plain = coefficients(_problems(fitted), fitted.fit.theta[..., 0].reshape(1)).cov[0]
    return float(fitted.inner.cov[0, 0] / plain[0, 0])


def joint_test(fitted: FittedRegression, columns: list[int], terms: tuple[str, ...]) -> JointTest:
    """Test whether some coefficients are all 0: F with k - p df under a t rule, HTZ under CR2, else chi-square."""
    if fitted.robust is not None:
        return robust_joint(fitted, np.eye(fitted.design.X.shape[1])[columns], 0.0, terms)
    used = fitted.design.used
    y, v = fitted.effects.yi[used], fitted.effects.vi[used]
    found = float(subset_q(y[None], v[None], fitted.design.X, fitted.fit.theta[..., 0].reshape(1), columns)[0])
    factor, df_residual, r = variance_factor(fitted), float(fitted.fit.df), len(columns)
    if not factor > 0:
        return JointTest(terms, math.nan, r, df_residual, math.nan)
    statistic = found / factor if math.isinf(df_residual) else found / factor / r
    return JointTest(terms, statistic, r, df_residual, float(joint_p(statistic, r, df_residual)))


def robust_joint(fitted: FittedRegression, weights: Floats, value: Floats | float, terms: tuple[str, ...]) -> JointTest:
    """Test several combinations of coefficients (q, p) at once by the approximate Hotelling's T2 (HTZ).

    nan where a combination has no robust variance, or the df of its denominator are not above 0.
    """
    if fitted.robust is None:
        raise ValueError("no robust variance")
    turned = in_basis(fitted.basis, weights)
    test = robust_joint_test(fitted.inner.beta, fitted.robust.found, turned, null=value)
    return JointTest(terms, float(test.statistic), test.df, float(test.df_residual), float(test.p))


def linear_estimate(fitted: FittedRegression, weights: Floats, value: float = 0.0) -> Estimate:
    """Return weights'beta - value with its interval and test, on the analysis scale."""
    fit, level = fitted.inner, fitted.spec.pool.level
    weights = in_basis(fitted.basis, weights)
    scale = about(fitted.effects.measure).scale
    if fitted.robust is not None:
        return robust_estimate(fitted.inner.beta, fitted.robust.found, weights, level, scale, value)
    point = float(weights @ fit.beta) - value
    se = math.sqrt(max(0.0, float(weights @ fit.cov @ weights)))
    df = np.array([float(fit.df)])
    half = float(quantile(level, df)[0]) * se
    statistic = point / se if se > 0 else math.nan
    p = float(two_sided_p(np.array([statistic]), df)[0])
    return Estimate(point, point - half, point + half, se, level, scale, statistic, float(df[0]), p)


def robust_estimate(
    beta: Floats, found: Robust, weights: Floats, level: float, scale: str, value: float = 0.0
) -> Estimate:
    """Return weights'beta - value with its robust interval and t test on Satterthwaite's df.

    weights: (p,) in the coordinates of `found`. Standard error, interval and test are nan where one cluster decides it.
    """
    test = contrast_tests(beta, found, weights[None], null=value, level=level)
    names = ("se", "statistic", "df", "p")
    se, statistic, df, p = (float(getattr(test, name)[0]) for name in names)
    point, low, high = (float(getattr(test, name)[0]) - value for name in ("estimate", "lower", "upper"))
    return Estimate(point, low, high, se, level, scale, statistic, df, p)


def _terms(fitted: FittedRegression) -> tuple[TermSummary, ...]:
    """Test each term and tell how collinear it is."""
    design = fitted.design
    others = [j for j, name in enumerate(design.design.columns) if name != "Intercept"]
    cov = fitted.fit.cov
    if fitted.robust is not None:  # collinearity is of the design, not of what the residuals happen to be
        turn = in_basis(fitted.basis, np.eye(len(design.design.columns)))
        cov = turn @ fitted.robust.model @ turn.T
    inflation = gvif(cov, [term.columns for term in design.terms], others) if design.intercept else None
    single = len(design.terms) < 2
    found: list[TermSummary] = []
    for i, term in enumerate(design.terms):
        test = joint_test(fitted, list(term.columns), (term.name,))
        value = None if inflation is None or single or not math.isfinite(inflation[i]) else float(inflation[i])
        found.append(TermSummary(term.name, test, value, None if value is None else value ** (0.5 / test.df)))
    return tuple(found)


def residual_heterogeneity(fitted: FittedRegression) -> Heterogeneity:
    """Return what the moderators leave unexplained: QE with its test, tau2 with its interval, tau, I2 and H2."""
    if fitted.levels is not None:
        return level_heterogeneity(fitted, fitted.levels)
    problems = _problems(fitted)
    random = estimates_tau2(fitted.spec.pool)
    tau2 = fitted.fit.theta[..., 0].reshape(1)
    (q,), (p,) = cochran_q(problems)
    limits = TAU2_INTERVALS[fitted.spec.pool.tau2_ci].function(problems, tau2, fitted.spec.pool.level)
    low, high, typical = limits.lower, limits.upper, typical_variance(problems)

    def when(values: Floats) -> float | None:
        value = float(values[0])
        return value if random and math.isfinite(value) else None

    return Heterogeneity(
        q=float(q),
        q_df=int(problems.m[0]),
        q_p=float(p) if math.isfinite(p) else None,
        tau2=when(tau2),
        tau2_low=when(low),
        tau2_high=when(high),
        i2_q=float(i2_from_q(np.array([q]), problems.m)[0]),
        i2_tau2=when(i2_from_tau2(tau2, typical)),
        i2_low=when(i2_from_tau2(low, typical)),
        i2_high=when(i2_from_tau2(high, typical)),
        h2=when(h2_from_tau2(tau2, typical)),
        h2_low=when(h2_from_tau2(low, typical)),
        h2_high=when(h2_from_tau2(high, typical)),
        tau=when(np.sqrt(tau2)),
        tau_low=when(np.sqrt(low)),
        tau_high=when(np.sqrt(high)),
    )


def _facts(fitted: FittedRegression, spread: Heterogeneity) -> PoolFacts:
    """Collect what the notes on intervals and peaks are made from, as for a pool."""
    pool, problems = fitted.spec.pool, _problems(fitted)
    tau2 = fitted.fit.theta[..., 0].reshape(1)
    m = problems.m
    q = float(coefficients(problems, tau2).q1[0] / m[0])
    normal, student = quantile(pool.level, np.array([np.inf])), quantile(pool.level, m)
    pieces = TAU2_INTERVALS[pool.tau2_ci].function(problems, tau2, pool.level).pieces
    return PoolFacts(
        k=problems.y.shape[0],
        tau2=float(tau2[0]),
        tau2_low=math.nan if spread.tau2_low is None else spread.tau2_low,
        tau2_high=math.nan if spread.tau2_high is None else spread.tau2_high,
        hksj_share=float(student[0] / normal[0]) * math.sqrt(q),
        hksj_q=q,
        variance_ratio=float(problems.v.max() / problems.v_min[0]),
        rival=float(fitted.fit.rival),
        gap=float(fitted.fit.gap),
        pieces=int(pieces[0]),
    )


def _notes(
    fitted: FittedRegression, spread: Heterogeneity, r2: float | None, left_out: tuple[tuple[str, str, str], ...]
) -> tuple[str, ...]:
    """Say what a reader must know, the most serious first."""
    k, p = fitted.units, fitted.design.X.shape[1]
    pool, m = fitted.spec.pool, k - p
    notes = [*moderator_notes(k, p - int(fitted.design.intercept))]
    notes += pool_notes(pool, _facts(fitted, spread)) if fitted.levels is None else ()
    if pool.pi != "none" and estimates_tau2(pool) and k >= PREDICTION_FROM > m + 1:
        notes.append(f"No prediction intervals: they need two residual degrees of freedom, there is {m}.")
    for column in fitted.design.moderators:
        used = np.empty(0) if column.numbers is None else column.numbers[fitted.design.used]
        codes = [f"{value:g}" for value in np.unique(used[codes_of_missing(used)]).tolist()]
        if codes:
            notes.append(
                f"{column.name} holds {' and '.join(codes)}, far from its other values: leave such cells blank if that "
                "stands for a missing value."
            )
    if r2 is not None and k < STABLE_R2:
        of = f"{k} effects" if fitted.levels is None else f"{k} studies"
        notes.append(f"R² is a ratio of two estimates of τ² from {of} and may be far off.")
    if left_out:
        were = "1 row is" if len(left_out) == 1 else f"{len(left_out)} rows are"
        notes.append(f"{were} left out for want of an effect or a moderator:")
        notes += [f"{label} ({row}): {reason}." for label, row, reason in left_out]
    return tuple(notes)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model expects at one setting of the moderators: the mean, and where a new setting's true effect lies.

    interval: None for equal effects, and where the spec has no prediction interval.
    """

    mean: Estimate
    interval: Estimate | None


def predict_rows(fitted: FittedRegression, X: Floats) -> tuple[Prediction, ...]:
    """Return the prediction at each row of X (rows, p).

    The mean is x'beta with its confidence interval; the prediction interval is
    x'beta -+ quantile x sqrt(tau2 + x'Vx), with k - p df for "t(k-1)" and k - p - 1 for "t(k-2)". As for a pool there
    is none with fewer than two residual degrees of freedom. Where rows depend on each other, V is robust, tau2 the sum
    of both components (a new effect of a new study), and k counts studies.
    """
    pool = fitted.spec.pool
    m = float(fitted.units - fitted.design.X.shape[1])
    df = np.array([math.nan])
    if pool.pi != "none" and estimates_tau2(pool) and m + 1 >= PREDICTION_FROM:
        df = PREDICTION_RULES[pool.pi].function(np.array([m + 1]))
    wide = float(quantile(pool.level, df)[0])
    tau2 = float(fitted.fit.theta[..., 0])
    way = way_back(fitted.effects)
    way = "identity" if back(way).size else way  # a setting of the moderators has no number of people
    found: list[Prediction] = []
    for weights in X:
        mean = replace(linear_estimate(fitted, weights), back=way)
        se = math.sqrt(tau2 + mean.se**2)
        low, high = mean.point - wide * se, mean.point + wide * se
        interval = Estimate(mean.point, low, high, se, pool.level, mean.scale, df=float(df[0]), back=mean.back)
        found.append(Prediction(mean, interval if math.isfinite(wide * se) else None))
    return tuple(found)


def predict_frame(fitted: FittedRegression, frame: pd.DataFrame) -> tuple[Prediction, ...]:
    """Return the prediction for each row of a frame with the moderators as columns."""
    return predict_rows(fitted, new_rows(fitted.design, frame))


def fitted_values(fitted: FittedRegression) -> tuple[Prediction, ...]:
    """Return the prediction at each row in use."""
    return predict_rows(fitted, fitted.design.X)


def adjusted_means(fitted: FittedRegression, factor: str) -> dict[str, Prediction]:
    """Return, per level of a factor, what the model expects if every row in use had that level.

    The other moderators stay as they are in the rows, each row counting once.
    """
    rows = average_rows(fitted.design, factor, observed(fitted.design))
    found = predict_rows(fitted, np.array(list(rows.values())))
    return dict(zip(rows, found, strict=True))
