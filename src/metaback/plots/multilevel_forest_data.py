"""The forest plot of a model of dependent effects as plain values: every effect under its cluster, and the mean."""

from __future__ import annotations

from dataclasses import replace

from metaback.models.multilevel import FittedMultilevel
from metaback.models.multilevel_spec import working_of
from metaback.numbers import df_text, humanise
from metaback.plots import forest_words as words
from metaback.plots.forest_data import ForestChoices, ForestData, forest_data
from metaback.plots.forest_models import ModelWords
from metaback.postestimation.multilevel import NOBODY_TWICE, MultilevelAnalysis, nobody_twice, shares_people
from metaback.postestimation.multilevel_pool import as_pool
from metaback.postestimation.row_names import named
from metaback.postestimation.words import effect_digits, estimate_cell, percent, sentence_case

DF_WORDS = {
    "containment": "degrees of freedom by containment",
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "residual": "n − p degrees of freedom",
}


def multilevel_forest_data(
    analysis: MultilevelAnalysis, choices: ForestChoices | None = None, *, title: str | None = None
) -> ForestData:
    """Write down the forest plot of a model with one mean: effects stand under the cluster of the model.

    choices: as of `forest_data`; by_study=False puts every effect in a row of its own. Raises `OptionError` for a model
    with moderators.
    """
    asked = choices or ForestChoices()
    found = as_pool(analysis)
    if asked.by_study is None:
        asked = replace(asked, by_study=True)
    column = analysis.fitted.spec.cluster or "study"
    studies = found.clusters if column == "study" else [named(column, name) for name in found.clusters]
    head = None if column == "study" else sentence_case(humanise(column))
    return forest_data(found.analysis, asked, title=title, label_head=head, model=_words(analysis), studies=studies)


def _words(analysis: MultilevelAnalysis) -> ModelWords:
    """Return the words of the model."""
    fitted = analysis.fitted
    spec = fitted.spec
    robust = "" if spec.robust == "none" else f", {spec.robust}"
    name = spec.working or "multilevel"
    (mean,), (naive,) = analysis.coefficients.values(), analysis.naive.values()
    told = all(part.identifiable for part in analysis.components)
    levels = analysis.heterogeneity.levels if told else ()
    parts = [f"{level.term}\u00a0{words.tau2_text(level.variance)}" for level in levels]
    first = f"Random effects {', '.join(spec.random)}; {_sampling(analysis)}; variances by {spec.method}"
    rule = f"cluster-robust variance ({spec.robust}), " if spec.robust != "none" else ""
    words_of_df = (
        "clusters − p degrees of freedom" if spec.robust != "none" and spec.df == "residual" else DF_WORDS[spec.df]
    )
    ends = "normal quantile" if spec.test == "z" else f"t with {words_of_df}, df = {df_text(mean.df)}"
    digits = effect_digits(mean)
    like = replace(naive, back=mean.back, size=mean.size)
    return ModelWords(
        name=f"{name} model",
        total=f"Mean ({name}, {spec.method}{robust})",
        prediction=f"{percent(spec.level)} prediction interval: a new effect of a new {_widest(fitted)}",
        parts=f" ({', '.join(parts)})" if len(parts) > 1 else "",
        methods=(
            f"{first}; {percent(spec.level)} CI: {rule}{ends}.",
            f"As if rows were independent: {estimate_cell(like, digits)}.",
        ),
    )


def _widest(fitted: FittedMultilevel) -> str:
    """Name the coarsest levels of the model."""
    terms = fitted.random.terms
    return humanise(terms[0].grouping.columns[0]) if terms else "study"


def _sampling(analysis: MultilevelAnalysis) -> str:
    """Say what was assumed of the sampling errors."""
    fitted, made = analysis.fitted, analysis.sampling
    spec, model = fitted.spec, working_of(fitted.spec)
    if spec.rho is not None:
        where = "the subgroups of a study" if model is not None and model.within else "a study"
        return f"sampling errors within {where} correlated by ρ = {spec.rho:g}"
    if shares_people(fitted):
        if made is None or not made.from_table:
            return "sampling covariance as given"
        assumed = "" if made.rho is None else f", ρ = {made.rho:g} where it does not tell"
        return f"sampling covariance from the table{assumed}"
    return f"sampling errors independent: {NOBODY_TWICE}" if nobody_twice(analysis) else "independent sampling errors"
