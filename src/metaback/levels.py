"""The verb `multilevel` and the result that it returns: a table of contents over the layers below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.audits import Accept, Checks
from metaback.checks.decisions import read_decisions
from metaback.data.trials import Source, Trials
from metaback.design.moderators import cell_text
from metaback.design.random_terms import KnownCorrelation
from metaback.effects.choices import EffectWords, effect_choices, late_word
from metaback.effects.dependence import SamplingCovariance
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.models.moments import without_likelihood
from metaback.models.multilevel import FittedMultilevel, with_variance
from metaback.models.multilevel_spec import MultilevelSpec, resolve_multilevel, said_in
from metaback.models.specs import resolve_spec
from metaback.postestimation.audit import Audit, audit_model
from metaback.postestimation.multilevel import (
    Heterogeneities,
    KnownSampling,
    MultilevelAnalysis,
    analyse_multilevel,
    analysis_of,
    joint_of,
)
from metaback.postestimation.multilevel_predict import LevelEffects, level_effects, predict_multilevel
from metaback.postestimation.multilevel_profile import Profile, components_ci, components_frame, profile
from metaback.postestimation.multilevel_refits import (
    ClusterLeaveOneOut,
    LikelihoodRatio,
    Sweep,
    compare,
    information,
    leave_clusters_out,
    r2_levels,
    sweep,
)
from metaback.postestimation.multilevel_wild import WildBootstrap, plan_of, wild_test
from metaback.postestimation.planned_levels import audit_rows, covariance_of, effects_of_rows, narrowed
from metaback.postestimation.regression import JointTest
from metaback.postestimation.table import Request
from metaback.report.kept import Made, made_from
from metaback.report.multilevel_methods import multilevel_methods
from metaback.report.multilevel_tables import i2_frame, multilevel_frame, multilevel_record
from metaback.report.multilevel_text import multilevel_card, multilevel_text
from metaback.report.regression_tables import predictions_frame
from metaback.report.reproduce import decision_words
from metaback.result import ReportLook, checked_trials
from metaback.stats.blocks import BlockMatrix
from metaback.stats.wild_bootstrap import DRAWS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaback.plots.forest import FigureWords
    from metaback.plots.style import Style

TESTS = ("HTZ", "naive-F", "chi-square")
OF_RMA_MV = {  # what users of rma.mv bring, and what says the same here
    "yi": "effect=, or a column that is named yi",
    "vi": "se=, or a column that is named vi",
    "mods": "formula='~ ...'",
    "dfs": "df=",
    "slab": "study=",
    "sigma2": "fixed={'sigma2 study': ...}",
    "tau2": "fixed={'tau2 outcome | study': ...}",
    "phi": "fixed=",
    "gamma2": "fixed=",
    "tdist": "test='t'",
}


class TableWords(EffectWords, total=False):
    """The keywords that say which rows of a table become effects, and how; as in `pool` and `pool_table`."""

    outcome: str | None
    compare: tuple[str, str] | None
    accept: Accept
    measure: str | None
    preset: str
    effect: str | None
    se: str | None
    study: str | None


@dataclass(frozen=True, repr=False)
class Multilevel:
    """One model of dependent effects: its numbers, tables, tests and predictions. Frozen; `update` makes another one.

    covariance: what V came from, with the grid of `sampling_covariance`, None where V was not such a record.
    audit: the check of the table with the decisions that were given, None where none were. made: how it was made, for
    its report.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain'")
    >>> fit = mb.multilevel(pain, "~ 1 | study/effect")
    >>> fit.k, [part.name for part in fit.analysis.components]
    (23, ['σ² study', 'σ² study/effect'])
    """

    analysis: MultilevelAnalysis
    source: Source
    covariance: SamplingCovariance | None = None
    audit: Audit | None = None
    made: Made | None = None

    @property
    def spec(self) -> MultilevelSpec:
        """Return the resolved request."""
        return self.analysis.fitted.spec

    @property
    def fitted(self) -> FittedMultilevel:
        """Return request, effects, design and numbers."""
        return self.analysis.fitted

    @property
    def checks(self) -> Checks:
        """Return the check of the table behind this model, with what its formula asks of so many studies."""
        spec = self.spec
        return Checks(self.audit or audit_model(self.effects, resolve_spec(level=spec.level), spec.formula, spec.by))

    @property
    def effects(self) -> EffectSizes:
        """Return the effects that were modelled, left-out rows included."""
        return self.analysis.fitted.effects

    @property
    def coefficients(self) -> dict[str, Estimate]:
        """Return the coefficients by name, on the analysis scale."""
        return dict(self.analysis.coefficients)

    @property
    def estimate(self) -> Estimate:
        """Return the mean effect of a model without moderators. Raises `OptionError` for others."""
        if len(self.analysis.coefficients) != 1:
            names = ", ".join(self.analysis.coefficients)
            raise OptionError(f"the model has several coefficients ({names}): see .coefficients or .predict(frame)")
        return next(iter(self.analysis.coefficients.values()))

    @property
    def naive(self) -> dict[str, Estimate]:
        """Return the coefficients as `pool` and `regress` have them where rows count as independent."""
        return dict(self.analysis.naive)

    @property
    def cov(self) -> NDArray[np.float64]:
        """Return the covariance of the coefficients (p, p) under the request, a copy."""
        return self.analysis.fitted.cov.copy()

    @property
    def components(self) -> pd.DataFrame:
        """Return variances and correlations, one row each; `components_ci()` adds their intervals."""
        return components_frame(self.analysis.components)

    @property
    def heterogeneity(self) -> Heterogeneities:
        """Return I2 in total and per level, the typical sampling variance and Q."""
        return self.analysis.heterogeneity

    @property
    def i2(self) -> pd.DataFrame:
        """Return I2 of each level and in total, in percent: 100 s_t / (sum of s + typical sampling variance)."""
        return i2_frame(self.analysis.heterogeneity)

    @property
    def moderators(self) -> JointTest | None:
        """Return the test of all moderators together, None for the intercept alone."""
        return self.analysis.moderators

    @property
    def loglik(self) -> float:
        """Return the log-likelihood that was maximised. Raises `OptionError` for working models by moments."""
        without_likelihood(self.spec, "loglik")
        return float(self.analysis.fitted.fit.loglik)

    @property
    def aic(self) -> float:
        """Return Akaike's information criterion; under REML it compares random parts of one formula only."""
        return information(self.analysis.fitted)[0]

    @property
    def bic(self) -> float:
        """Return the Bayesian information criterion; see `aic`."""
        return information(self.analysis.fitted)[1]

    @property
    def k(self) -> int:
        """Return the number of effects in use."""
        return self.analysis.k

    @property
    def left_out(self) -> tuple[tuple[str, str, str], ...]:
        """Return (study, row, reason) of every row that is not in use."""
        return self.analysis.left_out

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know about this result."""
        return self.analysis.notes

    def to_frame(self, *, transform: str | None = None) -> pd.DataFrame:
        """Return one tidy row per coefficient; transform="natural" turns those of a log scale into ratios."""
        return multilevel_frame(self.analysis, transform=transform)

    def components_ci(self) -> pd.DataFrame:
        """Return variances and correlations with their profile likelihood intervals; see `profile`."""
        return components_ci(self.analysis.fitted)

    def profile(self, component: str | int, values: Any = None, *, points: int = 21) -> Profile:
        """Return the profile log-likelihood of a component (name or place) at some values, or around the estimate."""
        grid = None if values is None else np.asarray(values, dtype=float)
        return profile(self.analysis.fitted, component, grid, points=points)

    def predict(
        self,
        frame: pd.DataFrame | None = None,
        *,
        known: str | Sequence[str] = (),
        of: str = "effect",
        transform: str | None = None,
    ) -> pd.DataFrame:
        """Return the expected effect with its interval and the prediction interval, for each row of a frame.

        frame: the moderators (and the factor or the slopes of the random effects) by name; None for a model without
        any. known: columns of the frame whose levels are in the fit, e.g. "study": a new effect in that study. of:
        "effect" for a true effect, or a grouping, e.g. "study", for the mean of a new one.

        >>> import metaback as mb
        >>> fit = mb.multilevel(mb.load_dataset("backpain").query("outcome == 'pain'"), "~ 1 | study/effect")
        >>> new, mean = fit.predict(), fit.predict(of="study")
        >>> bool(new["pi_high"][0] >= mean["pi_high"][0] > mean["ci_high"][0])
        True
        """
        rows = pd.DataFrame(index=range(1)) if frame is None else frame
        found = predict_multilevel(self.analysis.fitted, rows, known=known, of=of)
        return predictions_frame(found, {str(name): rows[name] for name in rows.columns}, transform=transform)

    def blup(self, term: str | None = None) -> LevelEffects:
        """Return the predicted random effects of a term (None: the first) with their standard errors."""
        terms = self.analysis.fitted.random.terms
        if not terms:
            raise OptionError("the model has no random effects")
        return level_effects(self.analysis.fitted, terms[0].key if term is None else term)

    def compare(self, other: Multilevel) -> LikelihoodRatio:
        """Test this model and another, nested one by their likelihood ratio."""
        if not isinstance(other, Multilevel):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(f"compare: a model of mb.multilevel is needed, not a {type(other).__name__}")
        return compare(self.analysis.fitted, other.analysis.fitted)

    def r2(self, null: Multilevel | None = None) -> pd.DataFrame:
        """Return the share of each level's variance that the moderators explain, against `null` or no moderators."""
        return r2_levels(self.analysis.fitted, None if null is None else null.analysis.fitted)

    def joint_test(self, *terms: str, test: str = "HTZ") -> JointTest:
        """Test whether the coefficients of some terms of the formula, or single ones, are all 0; none: all moderators.

        test: of a robust variance "HTZ", "naive-F" or "chi-square"; without one the model's F or chi-square is used.
        """
        if test not in TESTS:
            raise OptionError.unknown("test", test, TESTS)
        names, contrasts = self._tested(terms)
        return joint_of(self.analysis.fitted, contrasts, names, test)

    def wild_bootstrap(
        self,
        *terms: str,
        draws: int = DRAWS,
        rng: int | np.random.Generator = 1,
        kind: str = "CR0",
        adjust: str = "CR0",
        auxiliary: str | None = None,
        weights: str | None = None,
    ) -> WildBootstrap:
        """Test terms as `joint_test` does, by the cluster wild bootstrap, which holds its size with few clusters.

        draws: bootstrap data sets; rng: seed or generator. kind: variance in the statistic; adjust: of the residuals,
        "CR0", "CR2" or "CR3". auxiliary: "rademacher" (signs) or "webb" (six points), None for six points below ten
        clusters. weights: "held" at those of the fit, or "anew" for every data set, the usual of "CORR" and "HIER".

        >>> import metaback as mb
        >>> fit = mb.multilevel(mb.load_dataset("backpain").query("outcome == 'pain'"), "CORR")
        >>> test = fit.wild_bootstrap(draws=199)
        >>> test.terms, test.held, test.p_value < 0.05
        (('Intercept',), False, True)
        """
        names, contrasts = self._tested(terms)
        plan = plan_of(kind, adjust, auxiliary, draws)
        return wild_test(self.analysis.fitted, contrasts, names, plan=plan, rng=rng, weights=weights)

    def _tested(self, terms: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Return the names of terms, all moderators where none is named, and the contrasts (q, p) that they mean."""
        design = self.analysis.fitted.design
        places = {term.name: term.columns for term in design.terms} | {
            name: (j,) for j, name in enumerate(design.design.columns)
        }
        names = terms or tuple(term.name for term in design.terms) or design.design.columns
        for name in names:
            if name not in places:
                raise OptionError.unknown("term", name, places)
        tested = list(dict.fromkeys(j for name in names for j in places[name]))
        return tuple(names), np.eye(len(design.design.columns))[tested]

    def robust(self, kind: str = "CR2", *, cluster: str | None = None) -> Multilevel:
        """Return the same fit with cluster-robust variances: "CR0", "CR1", "CR1S", "CR1p", "CR2", "CR3", or "none"."""
        if cluster is not None and cluster != self.spec.cluster:
            return self.update(robust=kind, cluster=cluster)
        said = {name: value for name, value in said_in(self.spec).items() if name != "df"}
        spec = resolve_multilevel(**{**said, "robust": kind})
        spec = spec.model_copy(update={"rho": self.spec.rho, "known": self.spec.known, "cluster": self.spec.cluster})
        fitted = with_variance(replace(self.analysis.fitted, spec=spec))
        made = None if self.made is None else self.made.then("robust", kind=kind)
        return replace(self, analysis=analysis_of(fitted, self.analysis.sampling), made=made)

    def leave_one_out(self) -> ClusterLeaveOneOut:
        """Fit the model without each cluster in turn, in one batch."""
        return leave_clusters_out(self.analysis.fitted)

    def sweep(self, rho: Sequence[float] = ()) -> Sweep:
        """Fit the model under several sampling correlations within a study, or those of the grid of a given V."""
        grid = () if self.covariance is None else self.covariance.grid
        return sweep(self.analysis.fitted, rho, grid)

    def forest(
        self,
        ax: Axes | None = None,
        *,
        title: str | None = None,
        style: Style | None = None,
        **choices: Unpack[FigureWords],
    ) -> Figure:
        """Draw the forest plot of a model with one mean: every effect under its cluster, with that one's own mean.

        choices: as of `Result.forest`; by_study=False gives every effect a row of its own. Raises `OptionError` for a
        model with moderators.
        """
        from metaback.plots.forest import multilevel_forest_figure

        return multilevel_forest_figure(self.analysis, ax, title=title, style=style, **choices)

    def report(self, folder: str | Path, *, force: bool = False, **look: Unpack[ReportLook]) -> Path:
        """Write the report of this model into a folder, whole or not at all, and return the folder.

        look: layout of the forest plot, and formats: "docx", "pdf" and "xlsx" beside the page and Markdown; force: also
        into a folder that metaback did not make. The table, or the effects, go into the folder as they were read, so
        that `metaback verify` makes the report again.
        """
        from metaback.level_bundle import LevelOrigin, write_level_report

        made, covariance = self.made, self.covariance
        whole = made is not None and made.trials is not None and len(made.trials) == self.source.rows
        plain = made is not None and len(made.calls) == 1 and not made.inputs
        call = dict(made.calls[0][1]) if made is not None and whole and plain else None
        layout = look.get("layout", "standard")
        origin = LevelOrigin(self.source, self.checks.audit, covariance=covariance, call=call, layout=layout, made=made)
        write_level_report(folder, self.analysis, origin, force=force, formats=tuple(look.get("formats", ())))
        return Path(folder)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return multilevel_record(self.analysis)

    def methods_text(self) -> str:
        """Return the methods paragraph of this analysis."""
        return multilevel_methods(self.analysis)[0]

    def update(self, **choices: Any) -> Multilevel:
        """Fit the same effects again with other choices; what was chosen before stays."""
        told = {**choices, **({"R": _named(choices["R"])} if choices.get("R") else {})}
        made = None if self.made is None else self.made.then("update", **told)
        V = choices.pop("V", self.covariance or self.analysis.fitted.given)
        known = choices.pop("R", dict(self.analysis.fitted.known))
        kept = said_in(self.spec)
        if "random" in choices:
            kept.pop("struct", None)
            kept.pop("cluster", None)
            if choices["random"] == "HIER":
                kept.pop("rho", None)  # it knows none
        if "robust" in choices:
            kept.pop("df", None)
        if choices.get("rho") is not None:
            V = None
        found = fit_levels(self.effects, self.source, {**kept, **choices}, V, known)
        return replace(found, audit=self.audit, made=made)

    def __repr__(self) -> str:
        """Return about 25 lines of text."""
        return multilevel_text(self.analysis)

    def _repr_html_(self) -> str:
        """Return a compact card for notebooks."""
        return multilevel_card(self.analysis)


def multilevel(
    data: EffectSizes | Trials | pd.DataFrame | str | Path,
    random: str | Sequence[str] = "~ 1 | study/effect",
    *,
    formula: str = "~ 1",
    struct: str | Sequence[str] | None = None,
    V: float | str | SamplingCovariance | BlockMatrix | None = None,
    R: Mapping[str, pd.DataFrame] | None = None,
    method: str = "REML",
    test: str = "t",
    df: str | None = None,
    robust: str | None = None,
    cluster: str | None = None,
    rho: float | None = None,
    fixed: Mapping[str, float] | None = None,
    level: float = 0.95,
    **table: Unpack[TableWords],
) -> Multilevel:
    """Model effects that depend on each other: y = X beta + random effects + e with e ~ N(0, V).

    random: formulas "~ 1 | study/effect" (nested intercepts; "effect" is the row itself), several for crossed effects,
    "~ outcome | study" for effects that correlate within a study, "~ weeks | study" for random slopes; or a working
    model by name: "CHE", "SCE(outcome)", "CMVE(outcome)", "HE", "CE"; or "CORR" and "HIER", whose weights and moments
    are those of `robumeta::robu` (robust="CR1p", df="residual": small = FALSE). struct: for "~ inner | outer", one of
    UN, CS, HCS, DIAG, ID, AR, HAR (factors), CAR, SPEXP, SPGAU, SPLIN, SPRAT, SPSPH (times, coordinates), GEN, GDIAG
    (slopes); None takes UN for words and GEN for numbers. formula: of the fixed effects, as in `regress`.
    V: sampling covariance from `sampling_covariance`; "table" for its usual one, in which rho is the correlation of
    effects on the same people; or a correlation that all effects of a study share (as `rho`); None takes that of the
    effects, or independent errors. R: known correlations of a grouping, as frames with names.
    method: "REML" or "ML". test: "t" or "z". df: "containment", "satterthwaite" or "residual". robust: "CR2" and its
    kin or "none"; None takes CR2 for working models. cluster: column of the clusters, None the coarsest grouping of the
    first formula. fixed: components that are known, by name, e.g. {"rho": 0.5}. level: of every interval. table:
    measure, preset, effect, se, study, accept and how effects are computed, as in `pool`; outcome and compare leave the
    rows of one outcome and one pair of treatments, those that name it the other way round turned.

    Same as `metafor::rma.mv`: what is there rma.mv(yi, V, mods = ~ x, random = list(~ outcome | study, ~ 1 | species),
    struct = "CS", R = list(species = A), test = "t", dfs = "contain", data = d) is here multilevel(d,
    ["~ outcome | study", "~ 1 | species"], formula="~ x", struct="CS", R={"species": A}, V=V). `effect` is the row.

    Raises `OptionError` for words that cannot be read and `DataError` for what the table lacks, all problems at once.

    >>> import metaback as mb
    >>> fit = multilevel(mb.load_dataset("backpain").query("outcome == 'pain'"), "CHE", rho=0.5)
    >>> fit.spec.robust, fit.spec.rho
    ('CR2', 0.5)
    """
    choices = {
        "random": random, "formula": formula, "struct": struct, "method": method, "test": test, "df": df,
        "robust": robust, "cluster": cluster, "rho": rho, "fixed": dict(fixed or {}), "level": level,
    }  # fmt: skip
    _check_table(table, effects=isinstance(data, EffectSizes))
    if isinstance(data, EffectSizes):
        rows, effects, audit = data, data, None
        source = Source(data.source, "", len(data.labels), 0, {})
    else:
        named = (table.get("effect"), table.get("se"), table.get("study"))
        rows = checked_trials(data, *named)
        (effects, audit), source = _effects(rows, table, formula, level), rows.source
    found = fit_levels(effects, source, choices, V, R)
    words = {**choices, "V": V, "R": _named(R) or None, **_told(table)}
    kept = {name: word for name, word in words.items() if word is not None and word != {}}
    return replace(found, audit=audit, made=made_from(rows).then("multilevel", **kept))


def _effects(trials: Trials, table: TableWords, formula: str, level: float) -> tuple[EffectSizes, Audit | None]:
    """Compute the effects of the rows that are asked for, without those that decisions leave out."""
    of_effects = {name: value for name, value in table.items() if name in EffectWords.__annotations__}
    measure, preset = table.get("measure"), table.get("preset", "cochrane")
    choices = effect_choices(**of_effects)
    request = Request(table.get("outcome"), table.get("compare"), None, measure, choices, moderators=formula)
    rows, decisions = narrowed(trials, request), read_decisions(table.get("accept"))
    if not decisions:
        return effects_of_rows(rows, request, preset), None
    audit = audit_rows(rows, request, preset, level, decisions)
    return effects_of_rows(audit.trials, request, preset, audit.answers), audit


def _told(table: TableWords) -> dict[str, Any]:
    """Return the words about a table that a recipe keeps: its columns have their roles by then."""
    said: dict[str, Any] = {name: value for name, value in table.items() if value is not None}
    for name in ("effect", "se", "study"):
        said.pop(name, None)
    if "accept" in said:
        said["accept"] = decision_words(read_decisions(said["accept"]))
    return said


def _check_table(table: Mapping[str, Any], *, effects: bool) -> None:
    """Refuse keywords that nothing would read: unknown ones, and those of a table where effects are given."""
    known = (*MultilevelSpec.model_fields, "V", "R", *TableWords.__annotations__)
    hidden = ("working", "by", "known")
    problems: list[str] = []
    for name in table:
        if name in OF_RMA_MV and name not in TableWords.__annotations__:
            problems.append(f"option={name!r} is not known (in the words of rma.mv; here it is {OF_RMA_MV[name]})")
        elif name not in TableWords.__annotations__:
            problems.append(str(OptionError.unknown("option", name, [word for word in known if word not in hidden])))
        elif effects and table[name] is not None:
            problems.append(late_word(name, table[name]))
    if problems:
        raise OptionError("; ".join(problems))


def fit_levels(
    effects: EffectSizes, source: Source, choices: Mapping[str, Any], V: Any, known: Mapping[str, Any] | None
) -> Multilevel:
    """Fit and wrap: a number as V is an assumed correlation, a word says where to take it from, a record carries it."""
    said = dict(choices)
    if isinstance(V, str):
        V = covariance_of(effects, V, said.pop("rho", None))
    if isinstance(V, int | float) and not isinstance(V, bool):
        if said.get("rho") is not None:
            raise OptionError(f"V={V!r} is an assumed correlation, and so is rho={said['rho']!r}: give one of the two")
        said["rho"], V = float(V), None
    if V is not None and not isinstance(V, SamplingCovariance | BlockMatrix):
        raise OptionError(
            f"V is a {type(V).__name__}; give sampling_covariance(es, ...), for a matrix sampling_covariance(es, "
            "matrix=...), or a number as the correlation within studies"
        )
    frames = _named(known)
    spec = resolve_multilevel(**said).model_copy(update={"known": tuple(frames)})
    matrix = V.matrix if isinstance(V, SamplingCovariance) else V
    made = V if isinstance(V, SamplingCovariance) else None
    sampling = None if made is None else KnownSampling(made.notes, made.assumed, made.from_table)
    analysis = analyse_multilevel(effects, spec, V=matrix, known=frames, sampling=sampling)
    return Multilevel(analysis, source, made)


def _named(known: Mapping[str, Any] | None) -> dict[str, KnownCorrelation]:
    """Return the known correlations; a matrix without names is refused, because its order would be a guess."""
    out: dict[str, KnownCorrelation] = {}
    for name, matrix in (known or {}).items():
        if isinstance(matrix, KnownCorrelation):
            out[name] = matrix
        elif isinstance(matrix, pd.DataFrame):
            rows, columns = (tuple(map(cell_text, axis.tolist())) for axis in (matrix.index, matrix.columns))
            out[name] = KnownCorrelation(rows, columns, matrix.to_numpy(dtype=float))
        else:
            raise OptionError(
                f"R[{name!r}] is a {type(matrix).__name__} without names; use pd.DataFrame(matrix, index=names, "
                "columns=names)"
            )
    return out
