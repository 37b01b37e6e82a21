"""The verb `regress` and the result that it returns: a table of contents over the layers below."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.audits import Checks
from metaback.data.trials import Source, Trials
from metaback.design.formula import outside
from metaback.effects.choices import refuse_late
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.regression import RegressionSpec, resolve_regression
from metaback.models.specs import chosen, estimates_tau2
from metaback.postestimation.audit import audit_model
from metaback.postestimation.baujat import Baujat, baujat
from metaback.postestimation.fit_statistics import FitStatistics, regression_statistics
from metaback.postestimation.influence import Influence, influence
from metaback.postestimation.regression import (
    JointTest,
    RegressionAnalysis,
    adjusted_means,
    analyse_regression,
    fitted_values,
    predict_frame,
)
from metaback.postestimation.regression_contrasts import contrasts
from metaback.postestimation.regression_permutation import PermutationTest, permutation_test
from metaback.postestimation.regression_robust import robust_coefficients
from metaback.postestimation.regression_scale import LocationScale, heteroscedastic
from metaback.postestimation.summary import Component, Heterogeneity
from metaback.postestimation.working import needs_independent
from metaback.progress import Progress, teller
from metaback.report.bundle_io import write_bundle
from metaback.report.kept import Made, kept_files, made_from
from metaback.report.provenance import InputFile, provenance
from metaback.report.regression_methods import regression_methods
from metaback.report.regression_page import regression_files
from metaback.report.regression_tables import (
    coefficients_frame,
    contrasts_frame,
    predictions_frame,
    regression_record,
    robust_frame,
    terms_frame,
)
from metaback.report.regression_text import regression_card, regression_text
from metaback.result import checked_trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metaback.plots.style import Style


class RowWords(TypedDict, total=False):
    """The keywords of `regress` on rows of one study; see `PoolSpec`."""

    independent: bool | None
    rho: float | None


@dataclass(frozen=True, repr=False)
class Regression:
    """One meta-regression: its numbers, tables, tests and predictions. Frozen; `update` makes another one.

    made: how it was made, for its report.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain'")
    >>> fit = mb.regress(pain, "~ weeks")
    >>> fit.k, list(fit.coefficients)
    (19, ['Intercept', 'weeks'])
    """

    analysis: RegressionAnalysis
    source: Source
    made: Made | None = None

    @property
    def spec(self) -> RegressionSpec:
        """Return the resolved request, in the words of the model that made the coefficients."""
        return self.analysis.fitted.spec

    @property
    def checks(self) -> Checks:
        """Return the check of the table behind this regression, with what its formula asks of so many studies."""
        return Checks(audit_model(self.effects, self.spec.pool, self.spec.formula))

    @property
    def effects(self) -> EffectSizes:
        """Return the effects that were regressed, left-out rows included."""
        return self.analysis.fitted.effects

    @property
    def coefficients(self) -> dict[str, Estimate]:
        """Return the coefficients by name, on the analysis scale."""
        return dict(self.analysis.coefficients)

    @property
    def beside(self) -> dict[str, Estimate]:
        """Return the coefficients of the model that is not the answer, by name; empty where no study has two rows.

        That takes rows as independent, or models that they are not where the request says that they are.
        """
        return dict(self.analysis.beside)

    @property
    def components(self) -> tuple[Component, ...]:
        """Return the variances between and within studies that the moderators leave; empty for independent rows."""
        return self.analysis.components

    @property
    def cov(self) -> NDArray[np.float64]:
        """Return the covariance of the coefficients (p, p) under the interval rule, a copy."""
        return self.analysis.fitted.fit.cov.copy()

    @property
    def moderators(self) -> JointTest | None:
        """Return the test of all moderators together, None for the intercept alone."""
        return self.analysis.moderators

    @property
    def heterogeneity(self) -> Heterogeneity:
        """Return the residual heterogeneity: QE, tau2 and I2 with their intervals, H2."""
        return self.analysis.heterogeneity

    @property
    def tau2(self) -> float | None:
        """Return the residual between-study variance, None for equal effects."""
        return self.heterogeneity.tau2

    @property
    def r2(self) -> float | None:
        """Return the percentage of tau2 that the moderators explain, None where there is none to explain."""
        return self.analysis.r2

    @property
    def k(self) -> int:
        """Return the number of effects in use."""
        return self.analysis.k

    @property
    def fit_statistics(self) -> FitStatistics:
        """Return log-likelihood, deviance, AIC, AICc and BIC under the full and the restricted likelihood.

        Restricted likelihoods of different moderators cannot be compared; use tau2="ML" for that.
        """
        return regression_statistics(self.analysis.fitted)

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
        return coefficients_frame(self.analysis, transform=transform)

    def terms(self) -> pd.DataFrame:
        """Return one row per term: the test of its columns together, and its variance inflation factor."""
        return terms_frame(self.analysis)

    def contrast(self, *hypotheses: Any, adjust: str = "none") -> pd.DataFrame:
        """Return one tidy row per linear combination of the coefficients.

        hypotheses: words such as "stratum[T.b] - stratum[T.c] = 0", or one matrix of weights (r, p). adjust: "none",
        "holm", "hochberg", "bonferroni", "fdr_bh" or "fdr_by", over the hypotheses of this call.

        >>> import metaback as mb
        >>> fit = mb.regress(mb.load_dataset("backpain").query("outcome == 'pain'"), "~ weeks")
        >>> list(fit.contrast("8 * weeks + Intercept")["term"])
        ['8 * weeks + Intercept']
        """
        return contrasts_frame(contrasts(self.analysis.fitted, _several(hypotheses), adjust=adjust))

    def joint_test(self, *hypotheses: Any) -> JointTest | None:
        """Test several linear combinations together (F; chi-square for "Wald", HTZ for "CR2"); None if dependent.

        Without hypotheses: all moderators, None where there is none.
        """
        if not hypotheses:
            return self.moderators
        return contrasts(self.analysis.fitted, _several(hypotheses)).joint

    def predict(self, frame: pd.DataFrame, *, transform: str | None = None) -> pd.DataFrame:
        """Return the expected effect, its interval and the prediction interval for each row of new moderators.

        frame: the moderators by name; it is not changed. transform="natural" carries everything back to the natural
        scale. Column `outside` names the moderators beyond the values of the fit: there the line is a guess. Raises
        `DataError` for levels that the fit did not see and for values beyond the ends of a `bs()`.
        """
        found = predict_frame(self.analysis.fitted, frame)
        design = self.analysis.fitted.design
        names = [column.name for column in design.moderators]
        told = predictions_frame(found, {name: frame[name] for name in names}, transform=transform)
        return told.assign(outside=outside(design, frame))

    def fitted_values(self, *, transform: str | None = None) -> pd.DataFrame:
        """Return the prediction at each row in use, with its study and observed effect."""
        fitted = self.analysis.fitted
        used = np.flatnonzero(fitted.design.used)
        labels = {
            "study": [fitted.effects.labels[i] for i in used],
            "row": [fitted.effects.rows[i] for i in used],
            "yi": fitted.effects.yi[used],
        }
        return predictions_frame(fitted_values(fitted), labels, transform=transform)

    def adjusted_means(self, factor: str, *, transform: str | None = None) -> pd.DataFrame:
        """Return, per level of a factor, what the model expects if every row in use had that level."""
        found = adjusted_means(self.analysis.fitted, factor)
        return predictions_frame(found.values(), {factor: found.keys()}, transform=transform)

    def influence(self) -> Influence:
        """Return residuals, leverage and influence of each row, and which are outlying or influential."""
        needs_independent(self.analysis, "influence()")
        return influence(self.analysis.fitted)

    def baujat(self) -> Baujat:
        """Return what each row adds to the residual heterogeneity, against what it does to its fitted value."""
        needs_independent(self.analysis, "baujat()")
        return baujat(self.analysis.fitted)

    def permutation_test(
        self, *, n: int = 5000, rng: int = 1, progress: Progress | bool | None = None
    ) -> PermutationTest:
        """Test the moderators by shuffling studies: exact up to 50,000 orders, else n random ones from seed `rng`.

        progress: as in `pool_many`, in orders. Raises `OptionError` where rows of a study are modelled as dependent:
        they cannot change places one by one.
        """
        needs_independent(self.analysis, "permutation_test()")
        return permutation_test(self.analysis.fitted, n=n, seed=rng, tell=teller(progress, "orders"))

    def location_scale(self, formula: str, *, method: str = "REML") -> LocationScale:
        """Ask whether the heterogeneity itself depends on moderators: log tau2 regressed on `formula`, e.g. "~ weeks".

        The record has the location and scale coefficients, and the Wald and likelihood-ratio tests of one tau2 for all.

        >>> import metaback as mb
        >>> pain = mb.load_dataset("backpain").query("outcome == 'pain'")
        >>> fit = mb.regress(pain, "~ 1", independent=True)
        >>> list(fit.location_scale("~ weeks").scale)
        ['Intercept', 'weeks']
        """
        needs_independent(self.analysis, "location_scale()")
        return heteroscedastic(self.analysis.fitted, formula, method=method)

    def robust(self, kind: str = "CR2", *, cluster: str = "study") -> pd.DataFrame:
        """Return the coefficients with another cluster-robust variance, one tidy row each.

        kind: "CR0", "CR1", "CR1S", "CR1p", "CR2" or "CR3"; all with Satterthwaite's df. cluster: "study", or a column
        whose values keep the rows of a study together. Coefficients and weights stay those of this fit. Column
        `unseen`: the share of the variance that leaves no residual; above 0 there is no test. Raises `OptionError` for
        unknown words and for one cluster.

        >>> import metaback as mb
        >>> fit = mb.regress(mb.load_dataset("backpain").query("outcome == 'pain'"), "~ weeks", preset="revman5")
        >>> fit.robust("CR0")[["term", "clusters"]].values.tolist()
        [['Intercept', 18], ['weeks', 18]]
        """
        return robust_frame(robust_coefficients(self.analysis.fitted, kind, cluster))

    def figure(self, kind: str, ax: Axes | None = None, *, style: Style | None = None, **options: Any) -> Figure:
        """Draw a figure of this regression by its name, e.g. "bubble", "baujat"; an unknown name lists them all.

        ax: axes to draw the panel into. options: of that figure, e.g. `figure("bubble", of="weeks")`; an unknown
        one lists them. Raises `OptionError` where a figure does not suit this regression.
        """
        from metaback.plots.figures import draw_figure

        return draw_figure(kind, self.analysis, ax=ax, style=style, options=options)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return regression_record(self.analysis)

    def methods_text(self) -> str:
        """Return the methods paragraph of this analysis."""
        return regression_methods(self.analysis)[0]

    def report(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the report of this regression into a folder, whole or not at all, and return the folder.

        report.html, results.json, tables/ and references.bib; force: also into a folder that metaback did not make. The
        table, or the effects, go into the folder as they were read, so that `metaback verify` makes the report again.
        """
        source, pool = self.source, self.spec.pool
        described = InputFile(source.name, source.sha256, source.rows, source.roles, source.notes)
        idle = set[str]() if estimates_tau2(pool) else {"tau2", "pi", "tau2_ci"}
        options = {
            "formula": self.spec.formula,
            **pool.model_dump(mode="json", exclude={*idle, "weights", "subgroup_tau2"}),
        }
        kept = {} if self.made is None else kept_files(self.made)
        told = self.made.told if kept and self.made is not None else {}
        record = {**provenance(described, options=options), **told}
        files = regression_files(self.analysis, source.name, record) | kept
        write_bundle(Path(folder), files, provenance=record, force=force)
        return Path(folder)

    def update(self, formula: str | None = None, **choices: Any) -> Regression:
        """Fit the same effects again with another formula or other choices; what was chosen before stays."""
        kept = {**chosen(self.analysis.asked), **choices}
        spec = resolve_regression(formula or self.spec.formula, **kept)
        told = {**choices, **({} if formula is None else {"formula": formula})}
        made = None if self.made is None else self.made.then("update", **told)
        return Regression(analyse_regression(self.effects, spec), self.source, made)

    def __repr__(self) -> str:
        """Return about 20 lines of text."""
        return regression_text(self.analysis)

    def _repr_html_(self) -> str:
        """Return a compact card for notebooks."""
        return regression_card(self.analysis)


def _several(hypotheses: tuple[Any, ...]) -> Any:
    """Return words as a list and one matrix as itself."""
    return hypotheses[0] if len(hypotheses) == 1 else list(hypotheses)


def regress(
    data: EffectSizes | Trials | pd.DataFrame | str | Path,
    formula: str,
    *,
    measure: str | None = None,
    preset: str = "cochrane",
    model: str | None = None,
    tau2: str | float | None = None,
    ci: str | None = None,
    pi: str | None = None,
    tau2_ci: str | None = None,
    level: float | None = None,
    effect: str | None = None,
    se: str | None = None,
    study: str | None = None,
    **words: Unpack[RowWords],
) -> Regression:
    """Regress effects on moderators: y_i = x_i'beta + u_i + e_i with u_i ~ N(0, tau2) and e_i ~ N(0, v_i).

    Where a study has several rows, these depend on each other: the answer is then that of the working model of `pool`
    with moderators, y_ij = x_ij'beta + u_i + w_ij + e_ij, with cluster-robust tests by study (CR2, Satterthwaite's df,
    HTZ for several coefficients), and the first note gives the standard errors as if rows were independent.
    independent=True (words) takes each row for a study of its own, on record, as presets of other programs do; rho
    (words): assumed correlation of effects on the same people, 0.6. Choices that a working model does not have (tau2
    but REML and ML, ci but CR2, ...) are honoured with rows as independent, and the first note says so.

    data, measure, preset, tau2, tau2_ci, level, effect, se, study: as in `pool`. model: "random", "equal" or "fixed".
    ci: "Wald", "Wald-t", "HKSJ", "HKSJ-wider" or "HKSJ-q1", for every coefficient, with k - p degrees of freedom, or
    "CR2", by study where rows depend on each other and by row else.
    pi: "none", "z", "t(k-1)" or "t(k-2)".
    formula: the right side in terms of columns, e.g. "~ weeks + C(stratum)": numbers enter as they are, digits stored
    as text too; words as factors compared with their first level, `C(x)` makes a factor of numbers; `a:b`, `a * b`,
    `bs(x, df=4)`, `cr(x, df=3, constraints='center')`, `poly(x, 2)`, `I(x**2)`, `log(x)`, `- 1` for no intercept; names
    that are not plain words stand in backticks.

    Rows without an effect or a moderator are left out and named. Raises `OptionError` for a formula that cannot be
    read and for unknown columns, `DataError` for a bad table, a factor with one level, columns that repeat each
    other, and no more rows than coefficients.

    >>> import metaback as mb
    >>> fit = regress(mb.load_dataset("backpain").query("outcome == 'pain'"), "~ weeks", preset="metafor")
    >>> fit.moderators.df, len(fit.left_out)
    (1, 4)
    """
    spec = resolve_regression(
        formula, preset, model=model, tau2=tau2, ci=ci, pi=pi, tau2_ci=tau2_ci, level=level, **words
    )
    if isinstance(data, EffectSizes):
        refuse_late({"measure": measure, "effect": effect, "se": se, "study": study})
        rows, effects, source = data, data, Source(data.source, "", len(data.labels), 0, {})
    else:
        rows = checked_trials(data, effect, se, study)
        effects, source = effect_sizes(rows, measure=measure, preset=preset), rows.source
    said = {"measure": measure, "model": model, "tau2": tau2, "ci": ci, "pi": pi, "tau2_ci": tau2_ci, "level": level}
    told = {name: word for name, word in {**said, **words}.items() if word is not None}
    made = made_from(rows).then("regress", formula=formula, preset=preset, **told)
    return Regression(analyse_regression(effects, spec), source, made)
