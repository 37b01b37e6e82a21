"""The methods paragraph of a model of dependent effects, with numbered references."""

from __future__ import annotations

import math
from collections.abc import Callable

from metaback.design.random_terms import RandomTerm, is_slopes
from metaback.models.moments import weighing
from metaback.models.multilevel import FittedMultilevel
from metaback.models.multilevel_spec import working_of
from metaback.postestimation.multilevel import MultilevelAnalysis
from metaback.postestimation.words import percent, plural, rho_text
from metaback.report.methods import software_name
from metaback.report.words import measure_words
from metaback.stats.mixed import STRUCTURES
from metaback.stats.robust import ADJUSTMENTS

CRITERIA = {
    "REML": ("restricted maximum likelihood", ("harville1977",)),
    "ML": ("maximum likelihood", ("harville1977",)),
    "moments": ("the method of moments", ("hedges2010",)),
}
DF_SENTENCES = {
    "containment": ("the t distribution with degrees of freedom by the containment rule", ("pinheiro2000",)),
    "satterthwaite": ("the t distribution with Satterthwaite's degrees of freedom", ("satterthwaite1946", "fai1996")),
    "residual": ("the t distribution on n − p degrees of freedom", ()),
}

CLUSTERS_LESS = "the t distribution on as many degrees of freedom as there are clusters, less coefficients"


def multilevel_methods(analysis: MultilevelAnalysis) -> tuple[str, tuple[str, ...]]:
    """Write the methods of one model; return them with the keys of their references, in order."""
    keys: list[str] = []

    def cite(*wanted: str) -> str:
        keys.extend(key for key in dict.fromkeys(wanted) if key not in keys)
        numbers = sorted({keys.index(key) + 1 for key in wanted})
        return f" [{', '.join(map(str, numbers))}]" if numbers else ""

    fitted = analysis.fitted
    spec = fitted.spec
    bare = fitted.effects.measure == "GEN"
    named = "taken as given, with their variances" if bare else f"the {measure_words(fitted.effects.measure)}"
    clusters = plural(len(fitted.cluster_names), "cluster")
    random = _random(fitted, cite)
    sentences = [
        f"Effects are {named}",
        f"{plural(analysis.k, 'effect')} in {clusters} ({spec.cluster}) were modelled together, with {random}",
        *_sampling(analysis, cite),
    ]
    if analysis.p > 1:
        count = plural(analysis.p, "coefficient")
        sentences.append(f"The fixed effects were those of the formula '{spec.formula}' ({count})")
    if fitted.random.terms:
        words, sources = CRITERIA[spec.method]
        sentences.append(f"Variance components were estimated by {words}{cite(*sources)}")
    sentences.append(_inference(fitted, cite))
    if weighing(spec) == "CORR":
        sentences.append(
            "I² is the share of the weighted residual sum of squares beyond what sampling error explains"
            f"{cite('hedges2010')}"
        )
    elif (analysis.heterogeneity.total or math.nan) >= 0:
        sentences.append(
            "I² per level is the share of its variance in the total of all levels and the typical sampling variance"
            f"{cite('higgins2002', 'nakagawa2012')}"
        )
    if analysis.left_out:
        were = "row was" if len(analysis.left_out) == 1 else "rows were"
        sentences.append(f"{len(analysis.left_out)} {were} left out for want of an effect or a moderator")
    sentences.append(f"Calculations were done with {software_name()}")
    return " ".join(f"{sentence}." for sentence in sentences), tuple(keys)


def _random(fitted: FittedMultilevel, cite: Callable[..., str]) -> str:
    """Say which random effects the model has."""
    model = working_of(fitted.spec)
    if model is not None:
        return f"{model.text}{cite(*model.cite)}"
    if not fitted.random.terms:
        return "no random effects"
    return "random effects of " + " and of ".join(_term(term, cite) for term in fitted.random.terms)


def _term(term: RandomTerm, cite: Callable[..., str]) -> str:
    """Name one random term: its levels, its structure."""
    levels = " within ".join(reversed(term.grouping.columns))
    of = f"{levels} ({plural(term.grouping.count, 'level')})"
    if term.known:
        return f"{of} with a known correlation between levels{cite('nakagawa2012')}"
    if not term.inner_levels and not term.inner_name:
        return of
    entry = STRUCTURES[term.struct]
    title = entry.title if entry.title.split(" ")[0] == "Gaussian" else entry.title[:1].lower() + entry.title[1:]
    what = "slopes" if is_slopes(term) else "effects"
    return f"{term.inner_name} within {of}, whose {what} have the structure {term.struct} ({title}){cite(*entry.cite)}"


def _sampling(analysis: MultilevelAnalysis, cite: Callable[..., str]) -> list[str]:
    """Say what was assumed of the sampling errors."""
    fitted, made = analysis.fitted, analysis.sampling
    spec, model = fitted.spec, working_of(fitted.spec)
    if spec.rho is not None:
        source = "hedges2010" if weighing(spec) else "pustejovsky2022"
        where = "within the subgroups of a study" if model is not None and model.within else "within a study"
        return [f"Sampling errors {where} were assumed to correlate by {rho_text(spec.rho)}{cite(source)}"]
    if fitted.given is not None and any(rows.shape[1] > 1 for rows in fitted.V.blocks.rows):
        if made is None or not made.from_table:
            return ["The covariances of sampling errors were given"]
        return ["The covariances of sampling errors come from the table", *(note.rstrip(".") for note in made.notes)]
    return ["Sampling errors were taken as independent"]


def _inference(fitted: FittedMultilevel, cite: Callable[..., str]) -> str:
    """Say how coefficients were judged."""
    spec = fitted.spec
    level = percent(spec.level)
    if spec.robust != "none":
        entry = ADJUSTMENTS[spec.robust]
        rule = DF_SENTENCES["satterthwaite"][0] if spec.df == "satterthwaite" else CLUSTERS_LESS
        rule = rule if spec.test == "t" else "the normal distribution"
        sources = cite(*entry.cite)
        joint = f", several at once by the HTZ test{cite('tipton2015joint')}" if spec.test == "t" else ""
        return (
            f"Coefficients ({level} intervals) were judged by cluster-robust variances "
            f"{entry.facts['text']}{sources}, clusters being those of {spec.cluster}, with {rule}{joint}"
        )
    if spec.test == "z":
        return f"Coefficients ({level} intervals) were judged by Wald tests with the normal distribution"
    words, sources = DF_SENTENCES[spec.df]
    return f"Coefficients ({level} intervals) were judged by Wald tests with {words}{cite(*sources)}"
