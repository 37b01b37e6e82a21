"""All that is said about a model of dependent effects: coefficients, components, I2 per level, the naive result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metaback.design.formula import INTERCEPT
from metaback.design.random_terms import KnownCorrelation, RandomTerm
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.moments import weighing
from metaback.models.multilevel import FittedMultilevel, component_name, degrees, fit_multilevel, inner_of, undecided
from metaback.models.multilevel_spec import MultilevelSpec
from metaback.models.regression import in_columns
from metaback.models.specs import PoolSpec, resolve_spec
from metaback.models.univariate import fit_univariate
from metaback.postestimation.multilevel_notes import multilevel_notes
from metaback.postestimation.regression import JointTest
from metaback.postestimation.scales import way_back
from metaback.stats.blocks import BlockMatrix
from metaback.stats.inference import quantile, two_sided_p
from metaback.stats.measures import about
from metaback.stats.mixed.structures import chart_of, reach
from metaback.stats.mixed_inference import Sampling, sampling
from metaback.stats.regression import contrast_q, joint_p, orthonormal
from metaback.stats.robust_tests import contrast_tests
from metaback.stats.robust_tests import joint_test as robust_joint
from metaback.stats.rve import RveFit
from metaback.stats.transforms import back

Floats = NDArray[np.float64]
GIVEN = "given, not estimated"


@dataclass(frozen=True, slots=True)
class Component:
    """One variance, correlation or range of the random part.

    term: key of the random term; kind: "variance", "correlation" or "range"; inner: names of the inner levels that it
    is about. estimate: nan where it cannot be told; se: from the inverse information, nan at a bound. levels: of the
    outer grouping. why: why it is not told, that it stands at a bound, or that the request gave it, "" otherwise.
    """

    name: str
    term: str
    kind: str
    inner: tuple[str, ...]
    estimate: float
    se: float
    levels: int
    at_bound: bool
    identifiable: bool
    why: str


@dataclass(frozen=True, slots=True)
class LevelShare:
    """The share of one level: variance, its mean over rows; i2 in percent, of the total variance of an effect."""

    term: str
    variance: float
    i2: float


@dataclass(frozen=True, slots=True)
class Heterogeneities:
    """Heterogeneity per level.

    levels: share of each random term; total: of all together, None where there is none; inner: I2 of each level of a
    factor, by name, from its own rows. typical: sampling variance that stands for all, nan for
    correlated effects by moments. q, q_df, q_p: test of homogeneity, 0 degrees of freedom and nan where there is none.
    """

    levels: tuple[LevelShare, ...]
    total: float | None
    inner: Mapping[str, float]
    typical: float
    q: float
    q_df: int
    q_p: float


@dataclass(frozen=True, slots=True)
class KnownSampling:
    """Where a given V came from: sentences for the reader, and the correlation that it assumes.

    rho: None where V assumes no correlation, or several.
    from_table: whether the table and assumptions made it, not a matrix.
    """

    notes: tuple[str, ...]
    rho: float | None
    from_table: bool


@dataclass(frozen=True)
class MultilevelAnalysis:
    """Everything said about one model of dependent effects; see `Regression` for what is alike.

    coefficients: by name; moderators: the test of all of them, None for the intercept alone; components: in the order
    of the engine. k: rows in use; p: coefficients; left_out: (study, row, reason) of the rest. sampling: where V came
    from, None where nothing is known of it. naive, notes: made from these when they are first asked for.
    """

    fitted: FittedMultilevel
    coefficients: Mapping[str, Estimate]
    moderators: JointTest | None
    components: tuple[Component, ...]
    heterogeneity: Heterogeneities
    k: int
    p: int
    left_out: tuple[tuple[str, str, str], ...]
    sampling: KnownSampling | None = None

    @cached_property
    def naive(self) -> Mapping[str, Estimate]:
        """Return the coefficients as if rows were independent: a fit of its own, which many questions never need."""
        return naive_estimates(self.fitted)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know, the most serious first."""
        told = () if self.sampling is None else self.sampling.notes
        return multilevel_notes(self.fitted, self.components, self.coefficients, self.naive, self.left_out, told)


NOBODY_TWICE = "the table shows no two effects of the same people"


def nobody_twice(analysis: MultilevelAnalysis) -> bool:
    """Tell whether sampling errors are independent because a table, not the reader, says that no people are shared."""
    return analysis.sampling is not None and analysis.sampling.from_table and not shares_people(analysis.fitted)


def shares_people(fitted: FittedMultilevel) -> bool:
    """Tell whether the sampling errors of two rows depend on each other."""
    return any(rows.shape[1] > 1 for rows in fitted.V.blocks.rows)


def analyse_multilevel(
    effects: EffectSizes,
    spec: MultilevelSpec,
    *,
    V: BlockMatrix | None = None,
    known: Mapping[str, KnownCorrelation] | None = None,
    sampling: KnownSampling | None = None,
) -> MultilevelAnalysis:
    """Fit a model of dependent effects and say all that is said about it."""
    return analysis_of(fit_multilevel(effects, spec, V=V, known=known), sampling)


def analysis_of(fitted: FittedMultilevel, sampling: KnownSampling | None = None) -> MultilevelAnalysis:
    """Say all that is said about a fitted model of dependent effects."""
    design = fitted.design
    k, p = design.X.shape
    names = design.design.columns
    tested = [j for j, name in enumerate(names) if name != INTERCEPT or not design.intercept]
    coefficients = dict(zip(names, linear_estimates(fitted, np.eye(p), fitted.df), strict=True))
    moderators = joint_of(fitted, np.eye(p)[tested], tuple(t.name for t in design.terms)) if design.terms else None
    return MultilevelAnalysis(
        fitted=fitted,
        coefficients=coefficients,
        moderators=moderators,
        components=components_of(fitted),
        heterogeneity=heterogeneities(fitted),
        k=k,
        p=p,
        left_out=left_out_rows(fitted),
        sampling=sampling,
    )


def left_out_rows(fitted: FittedMultilevel) -> tuple[tuple[str, str, str], ...]:
    """Return (study, row, reason) of every row that is not in use."""
    if fitted.design.used.all():
        return ()
    effects = fitted.effects
    told = zip(effects.labels, effects.rows, effects.reasons, fitted.design.reasons, strict=True)
    return tuple((label, row, why or gap) for label, row, why, gap in told if why or gap)


# ---------------------------------------------------------------- coefficients


def linear_estimates(
    fitted: FittedMultilevel, weights: Floats, df: Floats | None = None, value: float = 0.0
) -> tuple[Estimate, ...]:
    """Return weights'beta - value for every row of weights (r, p), with interval and test under the request."""
    level, scale = fitted.spec.level, about(fitted.effects.measure).scale
    way = way_back(fitted.effects)
    way = "identity" if back(way).size else way  # one setting has no number of people
    point = weights @ fitted.fit.beta - value
    if fitted.robust is not None:
        rule = fitted.spec.df if fitted.spec.test == "t" else "z"
        tests = contrast_tests(fitted.fit.beta, fitted.robust, weights, df=rule, null=value, level=level)
        columns = (point, tests.lower - value, tests.upper - value, tests.se, tests.statistic, tests.df, tests.p)
    else:
        df = degrees(fitted, weights) if df is None else df
        se = np.sqrt(np.maximum(np.einsum("ra,ab,rb->r", weights, fitted.cov, weights), 0))
        half = quantile(level, df) * se
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(se > 0, point / se, np.nan)
        columns = (point, point - half, point + half, se, statistic, df, two_sided_p(statistic, df))
    if fitted.loose:
        moved, spread = undecided(fitted, weights)
        void = (moved, *(spread,) * 6)
        columns = tuple(np.where(gone, np.nan, column) for gone, column in zip(void, columns, strict=True))
    return tuple(
        Estimate(b, low, high, s, level, scale, t, nu, q, back=way)
        for b, low, high, s, t, nu, q in zip(*(column.tolist() for column in columns), strict=True)
    )


def joint_of(fitted: FittedMultilevel, weights: Floats, terms: tuple[str, ...], kind: str = "HTZ") -> JointTest:
    """Test whether linear combinations (r, p) are all 0.

    With a robust variance by the test `kind` ("HTZ", "naive-F", "chi-square"); else F = Wald / r, whose denominator has
    the df of Fai & Cornelius under "satterthwaite", the fewest of the coefficients under "containment" and n - p under
    "residual"; chi-square under test="z".
    """
    r = weights.shape[0]
    estimates = weights @ fitted.fit.beta
    if fitted.loose and undecided(fitted, weights)[1].any():
        return JointTest(terms, math.nan, r, math.nan, math.nan)
    if fitted.robust is not None:
        found = robust_joint(fitted.fit.beta, fitted.robust, weights, test=kind)
        return JointTest(terms, float(found.statistic), r, float(found.df_residual), float(found.p))
    try:
        wald = contrast_q(estimates, weights @ fitted.cov @ weights.T)
    except np.linalg.LinAlgError:
        return JointTest(terms, math.nan, r, math.nan, math.nan)
    df = joint_df(fitted, weights)
    statistic = wald if math.isinf(df) else wald / r
    p = float(joint_p(statistic, r, df)) if not math.isnan(df) else math.nan
    return JointTest(terms, statistic, r, df, p)


def joint_df(fitted: FittedMultilevel, weights: Floats) -> float:
    """Return the denominator degrees of freedom of an F test of several combinations (r, p).

    Fai & Cornelius 1996 for "satterthwaite": of the eigenvectors of the combinations' covariance, with df nu_m each,
    2 E / (E - r), E = sum of nu_m / (nu_m - 2) over nu_m > 2.
    """
    spec, r = fitted.spec, weights.shape[0]
    if spec.test == "z":
        return math.inf
    if spec.df != "satterthwaite" or r == 1:
        return float(degrees(fitted, weights).min())
    _, vectors = np.linalg.eigh(weights @ fitted.cov @ weights.T)
    nu = degrees(fitted, vectors.T @ weights)
    total = float(sum(value / (value - 2) if math.isfinite(value) else 1.0 for value in nu.tolist() if value > 2))
    return 2 * total / (total - r) if total > r else (math.inf if np.isinf(nu).all() else 1.0)


def criterion(spec: MultilevelSpec) -> str:
    """Return the likelihood of a univariate model beside this one: its own, REML beside one by moments."""
    return "REML" if spec.method == "moments" else spec.method


def naive_estimates(fitted: FittedMultilevel) -> dict[str, Estimate]:
    """Return the coefficients as `pool` and `regress` have them where rows count as independent, by name.

    Same rows, variances from the diagonal of V; random effects by the same likelihood, Hartung-Knapp intervals.
    """
    spec: PoolSpec = resolve_spec("cochrane", tau2=criterion(fitted.spec), level=fitted.spec.level)
    design = fitted.design
    y, v = fitted.y, fitted.effects.vi[design.used]
    names = design.design.columns
    whole = np.ones(y.size, dtype=bool)
    if len(names) == 1 and design.intercept:
        found = fit_univariate(y, v, whole, spec)
    else:
        basis = orthonormal(design.X, names.index(INTERCEPT) if design.intercept else None)
        found = in_columns(fit_univariate(y, v, whole, spec, basis.Q), basis)
    beta, cov = found.beta, found.cov
    se, df = np.sqrt(np.diag(cov)), np.broadcast_to(found.df, beta.shape)
    half, scale = quantile(spec.level, df) * se, about(fitted.effects.measure).scale
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(se > 0, beta / se, np.nan)
    p = two_sided_p(statistic, df)
    columns = (beta, beta - half, beta + half, se, statistic, df, p)
    return {
        name: Estimate(b, low, high, s, spec.level, scale, t, nu, q)
        for name, b, low, high, s, t, nu, q in zip(names, *(column.tolist() for column in columns), strict=True)
    }


# ---------------------------------------------------------------- components


def slices_of(fitted: FittedMultilevel) -> tuple[tuple[RandomTerm, slice], ...]:
    """Return each random term with the places of its parameters in theta."""
    out: list[tuple[RandomTerm, slice]] = []
    start = 0
    for term in fitted.random.terms:
        stop = start + len(chart_of(term.term).kinds)
        out.append((term, slice(start, stop)))
        start = stop
    return tuple(out)


def components_of(fitted: FittedMultilevel) -> tuple[Component, ...]:
    """Return the parameters of the random part with their names, in the order of the engine."""
    fit = fitted.fit
    spread = np.sqrt(np.maximum(np.diag(fit.theta_cov), 0)) if fit.theta.size else np.empty(0)
    out: list[Component] = []
    by_moments = iter(("τ²", "ω²") if fitted.moments is not None else ())
    for term, part in slices_of(fitted):
        for place, (kind, levels) in zip(range(part.start, part.stop), chart_of(term.term).kinds, strict=True):
            inner = inner_of(term, levels)
            known, at_bound = bool(fit.identifiable[place]), bool(fit.at_bound[place])
            value = 0.0 if at_bound and kind == "variance" else float(fit.theta[place])  # a root search ends near 0
            given = bool(term.term.fixed) and term.term.fixed[place - part.start] is not None
            out.append(
                Component(
                    name=f"{letter} {term.key}"
                    if (letter := next(by_moments, ""))
                    else component_name(term, kind, inner),
                    term=term.key,
                    kind=kind,
                    inner=inner,
                    estimate=value if known or given else math.nan,
                    se=float(spread[place]) if known and not given else math.nan,
                    levels=term.grouping.count,
                    at_bound=at_bound and not given,
                    identifiable=known or given,
                    why=GIVEN if given else _why(term, kind, inner, known=known, at_bound=at_bound, value=value),
                )
            )
    return tuple(out)


def _why(term: RandomTerm, kind: str, inner: tuple[str, ...], *, known: bool, at_bound: bool, value: float) -> str:
    """Say why a component is not told, or that it stands at a bound."""
    if not known and kind == "correlation" and len(inner) == 2:
        return f"not identifiable: the data hardly show {inner[0]} and {inner[1]} in one {term.grouping.name}"
    if not known:
        return "not identifiable: the data say nothing about it alone"
    if at_bound and kind == "range":
        end = f"all effects of one {term.grouping.name} are alike" if value > reach(term.term)[1] else "no correlation"
        return f"at the bound of its range ({value:.3g}): {end}"
    if at_bound:
        return f"at the bound of its range ({'0' if kind == 'variance' else f'{value:.3g}'})"
    return ""


# ---------------------------------------------------------------- heterogeneity


def covariance_of(term: RandomTerm, theta: Floats) -> Floats:
    """Return G of the inner levels (or columns of slopes) of a term at its own parameters, (levels, levels)."""
    kinds = chart_of(term.term).kinds
    size = max(1, len(term.inner_levels)) if term.inner_levels else 1
    sd, correlations = np.zeros(size), np.eye(size)
    for value, (kind, levels) in zip(theta.tolist(), kinds, strict=True):
        if kind == "variance":
            sd[list(levels) if levels else slice(None)] = math.sqrt(max(value, 0.0))
        elif kind == "correlation" and levels:
            correlations[levels[0], levels[1]] = correlations[levels[1], levels[0]] = value
        elif kind == "correlation" and term.struct in ("CS", "HCS"):
            correlations = np.where(np.eye(size) > 0, 1.0, value)
        elif kind == "correlation" and term.struct in ("AR", "HAR"):
            steps = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
            correlations = np.where(steps == 0, 1.0, float(value) ** np.maximum(steps, 1))
    return correlations * sd[:, None] * sd


def row_variances(term: RandomTerm, theta: Floats) -> Floats:
    """Return the variance (n,) that a term adds to each row."""
    G = covariance_of(term, theta)
    if term.term.Z is not None:
        return np.einsum("na,ab,nb->n", term.term.Z, G, term.term.Z)
    if term.inner_levels and term.term.inner is not None:
        return np.diag(G)[term.term.inner]
    return np.full(term.grouping.codes.size, G[0, 0])


def heterogeneities(fitted: FittedMultilevel) -> Heterogeneities:
    """Return I2 in total and per level, and the test of homogeneity.

    I2_t = 100 s_t / (sum of s + s_e), s_t the mean over rows of the variance of term t, s_e = (n - p) / tr(P) with
    P = W - WX(X'WX)^-1 X'W and W = V^-1. For a level j of a factor: s_j / (s_j + s_e,j) with the sums over its rows.
    Source: Nakagawa & Santos 2012; Higgins & Thompson 2002; Jackson et al. 2012.
    """
    if fitted.moments is not None and weighing(fitted.spec) == "CORR":
        return _by_moments(fitted.random.terms[0], fitted.moments)
    found: Sampling = sampling(fitted.y, fitted.design.X, fitted.V)
    known = [_told(fitted, term, part) for term, part in slices_of(fitted)]
    shares = [(term, row_variances(term, fitted.fit.theta[part])) for term, part in slices_of(fitted)]
    means = [float(values.mean()) if told else math.nan for (_, values), told in zip(shares, known, strict=True)]
    whole = sum(means) + found.typical
    everything = np.sum([values for _, values in shares], axis=0) if shares else np.zeros(fitted.y.size)
    inner: dict[str, float] = {}
    for term, _ in shares:
        if term.term.Z is None and term.term.inner is not None:
            for i, name in enumerate(term.inner_levels):
                rows = term.term.inner == i
                own, typical = float(everything[rows].mean()), found.of(rows)
                inner[name] = 100 * own / (own + typical) if all(known) and own + typical > 0 else math.nan
    return Heterogeneities(
        levels=tuple(
            LevelShare(" + ".join((term.key, *term.also)), mean, 100 * mean / whole)
            for (term, _), mean in zip(shares, means, strict=True)
        ),
        total=100 * sum(means) / whole if shares else None,
        inner=inner,
        typical=found.typical,
        q=found.q,
        q_df=found.df,
        q_p=float(joint_p(found.q, found.df, math.inf)) if found.df > 0 else math.nan,
    )


def _by_moments(term: RandomTerm, found: RveFit) -> Heterogeneities:
    """Return I2 of the correlated effects model, 100 (Q - E(Q)) / Q with E(Q) at tau2 = 0; Q has no known distribution.

    Source: Hedges, Tipton & Johnson 2010. Same as `robumeta::robu(modelweights = "CORR")`.
    """
    tau2, i2, q = float(found.tau2), float(found.i2), float(found.q)
    return Heterogeneities((LevelShare(term.key, tau2, i2),), i2, {}, math.nan, q, 0, math.nan)


def _told(fitted: FittedMultilevel, term: RandomTerm, part: slice) -> bool:
    """Tell whether the data show all variances of a term."""
    kinds = [kind for kind, _ in chart_of(term.term).kinds]
    known: list[bool] = fitted.fit.identifiable[part].tolist()
    return all(told for told, kind in zip(known, kinds, strict=True) if kind == "variance")
