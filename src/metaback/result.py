"""The verbs of metaback and the result that they return: a table of contents over the layers below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

import numpy as np
import pandas as pd

from metaback.audits import Accept, Checks
from metaback.checks.decisions import Decision, read_decisions
from metaback.data.read import read_trials
from metaback.data.roles import recognise
from metaback.data.trials import Source, Trials, as_named
from metaback.effects.choices import EffectChoices, EffectWords, effect_choices, refuse_late
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes, set_aside
from metaback.errors import OptionError
from metaback.models.fitted import Estimate, Fitted
from metaback.models.pool import fit_pool
from metaback.models.specs import PoolSpec, SpecWords, chosen, resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.audit import Audit, audit_again, audit_fit, audit_table
from metaback.postestimation.baujat import Baujat, baujat
from metaback.postestimation.beyond import BeyondThreshold, probability_beyond
from metaback.postestimation.blup import Blups
from metaback.postestimation.cumulative import Cumulative, cumulative
from metaback.postestimation.curves import Profile, profile
from metaback.postestimation.exclusions import Exclude
from metaback.postestimation.fit_statistics import FitStatistics, pool_statistics
from metaback.postestimation.gosh import Gosh
from metaback.postestimation.group_comparison import GroupComparison, compare_pooled
from metaback.postestimation.influence import Influence
from metaback.postestimation.leave_one_out import LeaveOneOut, leave_one_out
from metaback.postestimation.multilevel_profile import Profile as ComponentProfile
from metaback.postestimation.study_blups import blup_of
from metaback.postestimation.study_gosh import gosh_of
from metaback.postestimation.study_influence import influence_of
from metaback.postestimation.summary import Analysis, Heterogeneity, Subgroups
from metaback.postestimation.table import Request, TableAnalysis, analyse_table
from metaback.postestimation.words import i2_shown
from metaback.postestimation.working_levels import component_profile, components_frame
from metaback.progress import Progress, teller
from metaback.report.audit_words import headline
from metaback.report.card import card_html
from metaback.report.frames import grid_frame, pooled_frame, studies_frame
from metaback.report.kept import Made, call_words, made_from
from metaback.report.methods import methods_text
from metaback.report.records import analysis_record
from metaback.report.regression_tables import pairs_frame
from metaback.report.text import summary_text
from metaback.universes import AroundWords, Multiverse, multiverse_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaback.plots.forest import FigureWords
    from metaback.plots.style import Style


CHECKED = 20_000  # rows up to which a result checks its table for the line that it shows


class PoolWords(SpecWords, EffectWords, total=False):
    """The keywords that `pool` and `pool_table` take besides those that they name."""

    accept: Accept


class OnePoolWords(PoolWords, total=False):
    """The keywords that `pool` takes besides those that it names."""

    progress: Progress | bool | None


class ReportLook(TypedDict, total=False):
    """How a report is written: layout of its forest plots, formats beside the page and Markdown."""

    layout: str
    formats: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Result:
    """One pooled comparison: its numbers, tables, figure and report. Frozen; `update` makes another one.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> res = mb.pool(pain, preset="revman5")
    >>> round(res.estimate.point, 2), [round(limit, 2) for limit in res.ci]
    (-0.41, [-0.72, -0.1])
    """

    analysis: Analysis
    source: Source
    audit: Audit | None = None
    made: Made | None = None

    @property
    def checks(self) -> Checks:
        """Return what the check finds in the table behind this pool, with what each finding would change.

        The check is made when it is first asked for (by this, the text, the card or the report), unless the pool was
        made with `accept`. Columns are called by their roles.
        """
        return Checks(self.audit or audit_fit(self.fitted))

    @property
    def fitted(self) -> Fitted:
        """Return request, effects, design and fit."""
        return self.analysis.fitted

    @property
    def spec(self) -> PoolSpec:
        """Return the resolved request."""
        return self.analysis.spec

    @property
    def effects(self) -> EffectSizes:
        """Return the effects that were pooled."""
        return self.analysis.fitted.effects

    @property
    def estimate(self) -> Estimate:
        """Return the pooled mean with its interval and test, on the analysis scale."""
        return self.analysis.overall.mean

    @property
    def ci(self) -> tuple[float, float]:
        """Return the confidence limits of the mean on the analysis scale."""
        return self.estimate.lower, self.estimate.upper

    @property
    def p_value(self) -> float:
        """Return the p value of the test of no effect."""
        return self.estimate.p_value

    @property
    def pi(self) -> tuple[float, float] | None:
        """Return the prediction interval on the analysis scale, None where there is none."""
        prediction = self.analysis.overall.prediction
        return None if prediction is None else (prediction.lower, prediction.upper)

    @property
    def heterogeneity(self) -> Heterogeneity:
        """Return Q, tau2 and I2 with their intervals."""
        return self.analysis.overall.heterogeneity

    @property
    def tau2(self) -> float | None:
        """Return the between-study variance, None for equal effects and for one study."""
        return self.heterogeneity.tau2

    @property
    def i2(self) -> float | None:
        """Return I2 in percent by the definition of the spec (`heterogeneity` has both), from Q for equal effects."""
        return i2_shown(self.heterogeneity, self.spec)

    @property
    def k(self) -> int:
        """Return the number of pooled effects."""
        return self.analysis.overall.k

    @property
    def fit_statistics(self) -> FitStatistics:
        """Return log-likelihood, deviance, AIC, AICc and BIC under the full and the restricted likelihood."""
        return pool_statistics(self.analysis)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know about this result."""
        return self.analysis.overall.notes

    @property
    def subgroups(self) -> Subgroups | None:
        """Return the pools of the subgroups and the test of their differences."""
        return self.analysis.subgroups

    def compare_subgroups(self, *, tau2: str | None = None, adjust: str = "holm") -> GroupComparison:
        """Compare the subgroups under one stated model: the test of all, and every pair, adjusted for their number.

        tau2: "separate" (each group its own) or "common"; None as the pool has it. adjust: "none", "holm", "hochberg",
        "bonferroni", "fdr_bh" or "fdr_by". `subgroup_pairs` has the pairs as a frame. Where rows of a study are
        modelled as dependent: one working model of all subgroups, with robust tests (CR2, HTZ).
        """
        return compare_pooled(self.analysis, tau2=tau2, adjust=adjust)

    def subgroup_pairs(self, *, tau2: str | None = None, adjust: str = "holm") -> pd.DataFrame:
        """Return one tidy row per pair of subgroups: the second mean minus the first; see `compare_subgroups`."""
        return pairs_frame(self.compare_subgroups(tau2=tau2, adjust=adjust))

    def probability_beyond(self, threshold: float, *, direction: str = "above") -> BeyondThreshold:
        """Return how probable it is that a new setting's true effect lies above (or below) a threshold, with its CI.

        threshold: on the natural scale, e.g. a ratio, or the smallest difference that matters.
        """
        return probability_beyond(self.analysis, threshold, direction=direction)

    def leave_one_out(self, *, by: str | None = None) -> LeaveOneOut:
        """Pool without each row in turn, each study (by="study") or each value of a column, and say what flips."""
        return leave_one_out(self.analysis, by=by)

    def cumulative(self, *, order: Any = None, descending: bool = False, collapse: bool = False) -> Cumulative:
        """Pool the first study, the first two ... in the order of a column (e.g. "year"), "precision" or given values.

        None keeps the order of the table; collapse lets rows of equal value enter together.
        """
        return cumulative(self.analysis, order=order, descending=descending, collapse=collapse)

    def influence(self) -> Influence:
        """Return residuals, leverage and influence of each row, and which are outlying or influential.

        Of each study with all its rows where these are modelled as dependent: a `StudyInfluence`.
        """
        return influence_of(self.analysis)

    def baujat(self) -> Baujat:
        """Return what each row (study, where rows are dependent) adds to the heterogeneity and does to the result."""
        return baujat(self.analysis)

    def blup(self) -> Blups:
        """Return the best linear unbiased prediction of each row's true effect, with its interval.

        Where rows of a study are modelled as dependent, of each study's too: a `StudyBlups`.
        """
        return blup_of(self.analysis)

    def profile(self, *, of: str = "tau2", values: Any = None) -> Profile | ComponentProfile:
        """Return the profile log-likelihood of "tau2" or of the "mean", at `values` or over its interval.

        Where rows of a study are modelled as dependent: of "between studies" or "within studies", which tau2 adds up.
        """
        if self.analysis.dependent:
            return component_profile(self.analysis, of, None if values is None else np.atleast_1d(values))
        return profile(self.analysis, of=of, values=values)

    def components_ci(self) -> pd.DataFrame:
        """Return the variances between and within studies of a pool of dependent rows, with profile limits."""
        return components_frame(self.analysis)

    def gosh(self, *, n: int | None = None, rng: int = 1, progress: Progress | bool | None = None) -> Gosh:
        """Pool every subset of up to 20 effects, else `n` random ones, and say which study splits their cloud.

        Where rows of a study are modelled as dependent: every subset of up to 10 studies, else 1,000 random ones.
        progress: as in `pool_many`, in subsets.
        """
        return gosh_of(self.analysis, n=n, rng=rng, tell=teller(progress, "subsets"))

    @property
    def r_grid(self) -> pd.DataFrame:
        """Return one row per assumed pre-post correlation with the pool under it; no rows where none was asked for."""
        return grid_frame(self.analysis)

    def to_frame(self, *, transform: str | None = None) -> pd.DataFrame:
        """Return one tidy row per pool (overall, then subgroups).

        transform: None leaves numbers on the analysis scale (column `scale` says which); "natural" carries them back:
        logs to ratios, logits to proportions, Fisher's z to correlations; "percent" makes a proportion a percentage
        and a ratio the percent change that it stands for.
        """
        return pooled_frame(self.analysis, transform=transform)

    def studies(self) -> pd.DataFrame:
        """Return one row per row of the table: effect, variance, weight, route, and why if it is not pooled."""
        return studies_frame(self.analysis)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return analysis_record(self.analysis)

    def methods_text(self) -> str:
        """Return the methods paragraph of this analysis."""
        return methods_text(self.spec, self.effects)[0]

    def forest(
        self,
        ax: Axes | None = None,
        *,
        title: str | None = None,
        style: Style | None = None,
        **choices: Unpack[FigureWords],
    ) -> Figure:
        """Draw the forest plot: the full table as a new figure, or the panel alone in `ax`.

        choices: layout ("standard", "revman", "jama", "bmj", "lancet", "plain"); columns of the table, a list or a
        mapping to heads or (head, "left" or "right"); sort ("weight", "precision", "effect", "year", "label" or a
        column) and descending; pi_style ("bar", "line", "density"); mcid, one value or the ends of a band, and limits
        of the axis, both on the natural scale; width ("single", "double" or inches); risk_of_bias (True, or the
        instrument) for the columns `rob_*`; by_study (None: where rows of a study are modelled as dependent) puts the
        effects of a study together under their own mean.
        """
        from metaback.plots.forest import forest_figure

        return forest_figure(self.analysis, ax, title=title, style=style, **choices)

    def save_forest(
        self,
        path: str | Path,
        *,
        title: str | None = None,
        style: Style | None = None,
        rows: int | None = None,
        **choices: Unpack[FigureWords],
    ) -> Path:
        """Write the forest plot by the suffix of the path: svg, png, tiff, eps, or pdf in pages of 45 (`rows`) rows.

        choices: as in `forest`.
        """
        from metaback.plots.forest import write_forest

        return write_forest(self.analysis, path, title=title, style=style, rows=rows, **choices)

    def figure(self, kind: str, ax: Axes | None = None, *, style: Style | None = None, **options: Any) -> Figure:
        """Draw a figure of this pool by its name, e.g. "funnel", "baujat", "labbe"; an unknown name lists them all.

        ax: axes to draw the panel into. options: of that figure, e.g. `figure("funnel", y="precision")`; an unknown
        one lists them. Raises `OptionError` where a figure does not suit this pool.
        """
        from metaback.plots.figures import draw_figure

        return draw_figure(kind, self.analysis, ax=ax, style=style, options=options)

    def report(self, folder: str | Path, *, force: bool = False, **look: Unpack[ReportLook]) -> Path:
        """Write the report of this comparison into a folder, whole or not at all, and return the folder.

        look: layout of the forest plot, and formats: "docx", "pdf" and "xlsx" beside the page and Markdown. The table
        goes into the folder as it was read, so that `metaback verify` makes the report again.
        """
        whole = Results((self,), (), self.source, self.spec, self.checks.audit, made=self.made)
        return whole.report(folder, force=force, **look)

    def update(self, **choices: Any) -> Result:
        """Pool the same effects again with other choices, e.g. `update(tau2="DL", ci="Wald")` or `update(preset=...)`.

        What was chosen before stays, what the preset chose follows the new preset or model. The effects themselves
        stay as they were computed.
        """
        made = None if self.made is None else self.made.then("update", **choices)
        spec = resolve_spec(**{**chosen(self.fitted.spec), **choices})
        found = Result(analyse(self.effects, spec), self.source, made=made)
        if self.audit is None:
            return found
        return replace(found, audit=audit_again(self.audit, found.fitted))

    def multiverse(self, *, exclude: Exclude = "each study", **choices: Unpack[AroundWords]) -> Multiverse:
        """Pool the same effects under every combination of choices, and say which of them turn the conclusion.

        exclude: "each study", "outliers", a query of rows to leave out, ...; choices: preset, model, tau2, ci, pi (one
        word or several), mcid, limit and progress, all as in `metaback.multiverse`. This result is the main
        specification. Where it was pooled with an `r_grid`, the assumed correlation varies too. Where rows of a study
        are modelled as dependent, so do specifications by REML or ML with ci="CR2"; the others take rows as
        independent.
        """
        return multiverse_of(self.effects, self.spec, exclude, **choices)

    def __repr__(self) -> str:
        """Return about 15 lines of text."""
        return summary_text(self.analysis, checks=self._checked())

    def _repr_html_(self) -> str:
        """Return a compact card for notebooks."""
        return card_html(self.analysis, checks=self._checked())

    def _checked(self) -> str:
        """Say in a line what the check found; of very large tables it is made on demand only."""
        if self.audit is None and len(self.effects.labels) > CHECKED:
            return "the table was not checked yet: see .checks"
        return f"{headline(self.checks.audit)}: see .checks"


@dataclass(frozen=True, repr=False)
class Results:
    """The pooled comparisons of one table, in its order; `unpooled` are those of which no row has an effect."""

    items: tuple[Result, ...]
    unpooled: tuple[EffectSizes, ...]
    source: Source
    spec: PoolSpec
    audit: Audit | None = None
    request: Request | None = None
    made: Made | None = None

    @property
    def checks(self) -> Checks:
        """Return what the check finds in the table, with what each finding would change in every pool."""
        if self.audit is None:
            raise OptionError("this table was not checked; pool it with pool_table, or ask each result for its checks")
        return Checks(self.audit)

    def __iter__(self) -> Iterator[Result]:
        """Iterate over the comparisons."""
        return iter(self.items)

    def __len__(self) -> int:
        """Count the comparisons."""
        return len(self.items)

    def __getitem__(self, position: int) -> Result:
        """Return one comparison."""
        return self.items[position]

    def to_frame(self, *, transform: str | None = None) -> pd.DataFrame:
        """Return the tidy rows of all comparisons under each other."""
        return pd.concat([item.to_frame(transform=transform) for item in self.items], ignore_index=True)

    def report(self, folder: str | Path, *, force: bool = False, **look: Unpack[ReportLook]) -> Path:
        """Write one report of all comparisons into a folder, whole or not at all, and return the folder.

        look: layout of the forest plots, and formats: "docx", "pdf" and "xlsx" beside the page and Markdown. The table
        goes into the folder as it was read, so that `metaback verify` makes the report again.
        """
        from metaback.bundle import Checked, Origin, write_report

        table = TableAnalysis(tuple(item.analysis for item in self.items), self.unpooled)
        checked = None if self.audit is None else Checked(self.audit)
        layout = look.get("layout", "standard")
        origin = Origin(self.source, self.spec, checked, request=self.request, layout=layout, made=self.made)
        write_report(folder, table, origin, force=force, formats=tuple(look.get("formats", ())))
        return Path(folder)

    def __repr__(self) -> str:
        """Return the summaries of all comparisons."""
        return "\n\n".join(map(repr, self.items))

    def _repr_html_(self) -> str:
        """Return the cards of all comparisons."""
        return "\n".join(card_html(item.analysis) for item in self.items)


def pool(
    data: EffectSizes | Trials | pd.DataFrame | str | Path,
    *,
    measure: str | None = None,
    preset: str = "cochrane",
    model: str | None = None,
    tau2: str | float | None = None,
    weights: str | None = None,
    ci: str | None = None,
    pi: str | None = None,
    level: float | None = None,
    by: str | None = None,
    effect: str | None = None,
    se: str | None = None,
    study: str | None = None,
    **choices: Unpack[OnePoolWords],
) -> Result:
    """Pool effects: y_i = mu + u_i + e_i with u_i ~ N(0, tau2) and e_i ~ N(0, v_i).

    data: effect sizes, checked trials, or a data frame or file (which is checked first and not changed).
    measure: key of the measure, e.g. "SMD", "MD", "RR", "OR", "RD"; None takes the one that the rows name.
    preset: "cochrane" (REML; wider of Hartung-Knapp-Sidik-Jonkman and Wald; prediction interval with k - 1 df),
    "revman5" (DerSimonian-Laird, Wald) or "metafor" (REML, Wald). The next six override it.
    model: "random", "equal", "fixed" (as equal, in words that allow effects to differ) or "IVhet". tau2: "REML", "DL",
    "PM", "ML" ... (an unknown word lists them all), or its value, e.g. 0.04. weights: column of your own weights.
    ci: "Wald", "Wald-t", "HKSJ", "HKSJ-wider", "HKSJ-q1", "KR", "CR2", "HC", "PL", "perm", or a bootstrap ("boot-BCa").
    pi: "none", "z", "t(k-1)", "t(k-2)", "HK", "HK-PR", "KR", "KR-PR" or "NNF". level: in (0, 1).
    by: column of subgroups, each with its own tau2 unless subgroup_tau2="common". effect, se, study: columns of a
    frame that hold effects on the analysis scale (log for ratios), their standard errors and the labels of the studies
    (numbered without).
    Rows of one study depend on each other. Where a study has several, the answer is that of a three-level model with
    cluster-robust variance (CR2) over their sampling covariance: shared arms as the table tells them, other effects on
    the same people correlated by rho (default 0.6). independent=True takes rows as studies of their own, on record; so
    do the presets named after other programs, and any choice of the model, tau2, ci, pi or weights that the working
    model does not have. Either way `analysis.working` and the notes have both numbers.
    choices: independent and rho; tau2_ci ("QP", "BJ", "J", "PL", "PL-ML", "Wald", "Wald-ML": the interval of tau2, and
    with it of tau, I2 and H2), i2 ("tau2" or "Q"), subgroup_tau2 ("separate" or "common"), rng and draws (seed and
    samples of rules that resample); progress of these rules, as in `pool_many`; and how effects are computed, as in
    `effect_sizes`: options, r, r_grid, mixed_scores, instruments, higher_is_better; and accept, decisions about
    findings, as in `check`.

    With one study the result is that study's own and a note says so. Raises `DataError` for a bad table,
    `OptionError` for an unknown word, `EstimationError` when no row has an effect.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"trial": ["A", "B", "C"], "g": [0.1, 0.3, 0.5], "s": [0.14, 0.17, 0.22]})
    >>> res = pool(table, effect="g", se="s", study="trial", tau2="DL", ci="Wald")
    >>> round(res.estimate.point, 4), round(res.heterogeneity.q, 4)
    (0.2542, 2.5204)
    """
    tell = teller(choices.pop("progress", None), "resampling steps")
    decisions = read_decisions(choices.pop("accept", None))
    words, others = _sorted_words(choices)
    spec = resolve_spec(preset, model=model, tau2=tau2, weights=weights, ci=ci, pi=pi, level=level, **words)
    said = effect_choices(**others)
    if isinstance(data, EffectSizes):
        refuse_late({"measure": measure, "by": by, "effect": effect, "se": se, "study": study, **others})
        return _pooled(data, spec, decisions, tell)
    whole = trials = checked_trials(data, effect, se, study)
    audit = None
    if decisions:
        audit = audit_table(trials, spec, Request(None, None, by, measure, said), decisions, split=False)
        trials = audit.trials
    effects = effect_sizes(trials, measure=measure, preset=preset, by=by, **said.words())
    if audit is not None:
        effects = set_aside(effects, audit.answers.excluded, audit.answers.corrected)
    made = Made(whole, (("pool", call_words(spec, said, decisions, measure=measure, by=by)),))
    return Result(analyse(effects, spec, tell), trials.source, audit, made)


def _pooled(effects: EffectSizes, spec: PoolSpec, decisions: tuple[Decision, ...], tell: Progress) -> Result:
    """Pool effects that are computed already, without the rows that decisions leave out."""
    source = Source(effects.source, "", len(effects.labels), 0, {})
    made = made_from(effects).then("pool", **call_words(spec, EffectChoices(), decisions))
    if not decisions:
        return Result(analyse(effects, spec, tell), source, made=made)
    audit = audit_fit(fit_pool(effects, spec), decisions)
    return Result(analyse(set_aside(effects, audit.answers.excluded, {}), spec, tell), source, audit, made)


def _sorted_words(choices: PoolWords) -> tuple[SpecWords, EffectWords]:
    """Sort keywords into those of the pool and those of its effects; an unknown one is told with all that are known."""
    known = PoolWords.__annotations__
    if unknown := [name for name in choices if name not in known]:
        raise OptionError("; ".join(str(OptionError.unknown("option", name, known)) for name in unknown))
    of_pool = {name: value for name, value in choices.items() if name in SpecWords.__annotations__}
    others = {name: value for name, value in choices.items() if name not in of_pool}
    return cast("SpecWords", of_pool), cast("EffectWords", others)


def checked_trials(frame: Any, effect: str | None, se: str | None, study: str | None) -> Trials:
    """Check a table with the columns that were named; without labels the rows of a frame are numbered.

    Trials come back as they are; columns cannot be named for them any more.
    """
    named = {"yi": effect, "sei": se, "study": study}
    roles = {role: column for role, column in named.items() if column is not None}
    if isinstance(frame, Trials):
        if roles:
            raise OptionError(
                f"effect=, se= and study= name columns of a frame or a file; these are trials that were read already: "
                f"leave them out, or say roles={roles!r} to read_trials"
            )
        return frame
    if not isinstance(frame, str | Path) and not hasattr(frame, "columns"):
        raise OptionError(f"data is a {type(frame).__name__}; give effect sizes, trials, a data frame or a path")
    if isinstance(frame, pd.DataFrame) and study is None and "study" not in recognise(frame.columns, roles)[0]:
        frame = frame.assign(study=[f"Study {number}" for number in range(1, len(frame) + 1)])
    return as_named(read_trials(frame, roles=roles), roles)


def pool_table(
    data: Trials | pd.DataFrame | str | Path,
    *,
    outcome: str | None = None,
    compare: tuple[str, str] | None = None,
    by: str | None = None,
    measure: str | None = None,
    preset: str = "cochrane",
    model: str | None = None,
    tau2: str | float | None = None,
    weights: str | None = None,
    ci: str | None = None,
    pi: str | None = None,
    level: float | None = None,
    **choices: Unpack[PoolWords],
) -> Results:
    """Pool every outcome x comparison of a table, with its strata as subgroups, as `metaback pool` does.

    data: checked trials, a frame or a file. outcome, compare: narrow to one outcome and one pair of treatments; rows
    that name the pair the other way round are turned. by: another column of subgroups. The rest, `choices` among it,
    as in `pool`.

    >>> import metaback as mb
    >>> [res.k for res in pool_table(mb.load_dataset("backpain"), outcome="pain")]
    [9, 2, 8, 4]
    """
    trials = data if isinstance(data, Trials) else read_trials(data)
    decisions = read_decisions(choices.pop("accept", None))
    words, others = _sorted_words(choices)
    spec = resolve_spec(preset, model=model, tau2=tau2, weights=weights, ci=ci, pi=pi, level=level, **words)
    request = Request(outcome, compare, by, measure, effect_choices(**others))
    audit = audit_table(trials, spec, request, decisions)
    table = analyse_table(audit.trials, spec, replace(request, answers=audit.answers))
    asked = {"outcome": outcome, "compare": compare, "by": by, "measure": measure}
    made = Made(trials, (("pool_table", call_words(spec, request.choices, decisions, **asked)),))
    found = enumerate(table.analyses)
    items = tuple(Result(analysis, trials.source, made=made.then("item", place=place)) for place, analysis in found)
    whole = request if len(trials) == trials.source.rows else None  # a part of a file cannot be read again
    return Results(items, table.unpooled, trials.source, spec, audit, whole, made)
