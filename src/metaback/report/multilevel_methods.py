"""The methods paragraph of a model of dependent effects, with numbered references."""

from __future__ import annotations

import math
from collections.abc import Callable

from metaback.design.random_terms import RandomTerm, is_slopes
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.moments import weighing
from metaback.models.multilevel import FittedMultilevel
from metaback.models.multilevel_spec import MultilevelSpec, working_of
from metaback.numbers import fixed
from metaback.postestimation.multilevel import NOBODY_TWICE, MultilevelAnalysis, nobody_twice, shares_people
from metaback.postestimation.words import percent, plural, rho_text, sentence_case
from metaback.report.methods import software_name
from metaback.report.words import measure_words
from metaback.stats.mixed import STRUCTURES
from metaback.stats.robust import ADJUSTMENTS
from metaback.stats.working_covariance import RHO

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
    cite = _citing(keys)
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
    sentences.append(_inference(fitted.spec, cite))
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


def planned_methods(
    spec: MultilevelSpec, effects: EffectSizes, covariance: str | None, rho: float | None
) -> tuple[str, tuple[str, ...]]:
    """Write the methods of a model that is planned, before any number is seen; return them with their references.

    covariance: "table" where sampling covariances are those that the table tells, with rho where it does not.
    """
    keys: list[str] = []
    cite = _citing(keys)
    model = working_of(spec)
    structures = f" with the structures {', '.join(filter(None, spec.struct))}" if any(spec.struct) else ""
    random = (
        f"the random effects {' and '.join(spec.random)}{structures}" if model is None
        else f"{model.text}{cite(*model.cite)}"
    )  # fmt: skip
    at = fixed(RHO if rho is None else rho)
    if covariance is not None:
        sampling = (
            "Sampling covariances are those that the table tells: of shared arms from their numbers, of other effects "
            f"on the same people by an assumed correlation of {at}{cite('gleser2009')}"
        )
    elif spec.rho is not None:
        sampling = f"Sampling errors within a study are assumed to correlate by {fixed(spec.rho)}"
    else:
        sampling = "Sampling errors are taken as independent"
    named = "taken as given" if effects.measure == "GEN" else f"the {measure_words(effects.measure)}"
    words, sources = CRITERIA[spec.method]
    sentences = [
        f"Effects are {named}",
        f"All effects are modelled together, with {random}",
        sampling,
        *([] if spec.formula.replace(" ", "") in ("~1", "1") else [f"The fixed effects are '{spec.formula}'"]),
        f"Variance components are estimated by {words}{cite(*sources)}",
        _inference(spec if spec.cluster else spec.model_copy(update={"cluster": "the first grouping"}), cite)
        .replace("were judged", "are judged"),
        f"Calculations are done with {software_name()}",
    ]  # fmt: skip
    return " ".join(f"{sentence}." for sentence in sentences), tuple(keys)


def _citing(keys: list[str]) -> Callable[..., str]:
    """Return a function that numbers references and adds their keys to a list."""

    def cite(*wanted: str) -> str:
        keys.extend(key for key in dict.fromkeys(wanted) if key not in keys)
        numbers = sorted({keys.index(key) + 1 for key in wanted})
        return f" [{', '.join(map(str, numbers))}]" if numbers else ""

    return cite


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
    if fitted.given is not None and shares_people(fitted):
        if made is None or not made.from_table:
            return ["The covariances of sampling errors were given"]
        return ["The covariances of sampling errors come from the table", *(note.rstrip(".") for note in made.notes)]
    if nobody_twice(analysis):
        return [f"{sentence_case(NOBODY_TWICE)}, so that their sampling errors are independent"]
    return ["Sampling errors were taken as independent"]


def _inference(spec: MultilevelSpec, cite: Callable[..., str]) -> str:
    """Say how coefficients were judged."""
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
