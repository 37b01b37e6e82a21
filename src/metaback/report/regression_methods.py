"""The methods paragraph of a meta-regression, with numbered references."""

from __future__ import annotations

from collections.abc import Callable

from metaback.models.specs import ROBUST, PoolSpec, estimates_tau2
from metaback.numbers import significant
from metaback.postestimation.regression import RegressionAnalysis
from metaback.postestimation.words import percent, plural
from metaback.report.methods import PRESET_WORDS, software_name
from metaback.report.words import measure_words
from metaback.stats.inference import MEAN_RULES, PREDICTION_RULES
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.tau2_interval import TAU2_INTERVALS, tau2_interval_text

RULE_WORDS = {
    "Wald": "Wald tests and intervals with the normal distribution",
    "Wald-t": "Wald tests and intervals with the t distribution on k − p degrees of freedom",
    "HKSJ": "the method of Knapp and Hartung with the t distribution on k − p degrees of freedom",
    "HKSJ-wider": "the method of Knapp and Hartung with the t distribution on k − p degrees of freedom, or the Wald "
    "interval with the normal distribution where that one was the wider",
    "CR2": "cluster-robust variance (CR2) and the t distribution with Satterthwaite's degrees of freedom",
    "HKSJ-q1": "the method of Knapp and Hartung with the t distribution on k − p degrees of freedom, with a "
    "factor of the variance not below 1",
}
NAIVE = "Some studies gave more than one effect; these were taken as independent, which can make intervals too narrow"
PREDICTION_WORDS = {
    "z": "the normal distribution",
    "t(k-1)": "the t distribution on k − p degrees of freedom",
    "t(k-2)": "the t distribution on k − p − 1 degrees of freedom",
}


def regression_methods(analysis: RegressionAnalysis) -> tuple[str, tuple[str, ...]]:
    """Write the methods of one meta-regression; return them with the keys of their references, in order."""
    keys: list[str] = []

    def cite(*wanted: str) -> str:
        keys.extend(key for key in dict.fromkeys(wanted) if key not in keys)
        numbers = sorted({keys.index(key) + 1 for key in wanted})
        return f" [{', '.join(map(str, numbers))}]" if numbers else ""

    fitted, spec = analysis.fitted, analysis.fitted.spec.pool
    size = f"{plural(analysis.k, 'effect')}, {plural(analysis.p, 'coefficient')}"
    bare = fitted.effects.measure == "GEN"
    named = "taken as given, with their variances" if bare else f"the {measure_words(fitted.effects.measure)}"
    sentences = [f"Effects are {named}"]
    sentences.append(
        f"They were regressed on the formula '{fitted.spec.formula}' ({size}) by "
        f"{'generalised' if analysis.dependent else 'weighted'} least squares with inverse-variance weights"
    )
    sentences += _level_sentences(analysis, cite) if analysis.dependent else [_tau2_sentence(spec, cite)]
    sentences.append(_rule_sentence(analysis, cite))
    if analysis.repeats and not analysis.dependent:
        sentences.append(NAIVE)
    if analysis.r2 is not None:
        sentences.append(f"R² is the share by which the moderators lower τ²{cite('raudenbush2009', 'lopezlopez2014')}")
    if any(term.gvif is not None for term in analysis.terms):
        sentences.append(f"Collinearity was measured by generalised variance inflation factors{cite('fox1992')}")
    if estimates_tau2(spec) and spec.pi != "none":
        words = PREDICTION_WORDS[spec.pi]
        if analysis.dependent:
            words = f"both variances and {words.replace('k − p', 'studies − p')}"
        sentences.append(f"Prediction intervals use {words}{cite(*PREDICTION_RULES[spec.pi].cite)}")
    if analysis.left_out:
        were = "row was" if len(analysis.left_out) == 1 else "rows were"
        sentences.append(f"{len(analysis.left_out)} {were} left out for want of an effect or a moderator")
    words, preset_keys = PRESET_WORDS[spec.preset]
    preset = f"preset '{spec.preset}' ({words}{cite(*preset_keys)})"
    sentences.append(f"Calculations were done with {software_name()}, {preset}")
    return " ".join(f"{sentence}." for sentence in sentences), tuple(keys)


def _rule_sentence(analysis: RegressionAnalysis, cite: Callable[..., str]) -> str:
    """Name the rule of intervals and tests."""
    spec = analysis.fitted.spec.pool
    keys = MEAN_RULES[spec.ci].cite
    judged = f"Coefficients ({percent(spec.level)} intervals) were judged by {RULE_WORDS[spec.ci]}"
    if spec.ci != ROBUST:
        return f"{judged}{cite('knapp2003', *keys)}, several at once by the matching F or chi-square test"
    by = "studies as clusters" if analysis.dependent else "each row a cluster"
    return f"{judged}, {by}{cite(*keys)}, several at once by the approximate Hotelling T²{cite('tipton2015joint')}"


def _level_sentences(analysis: RegressionAnalysis, cite: Callable[..., str]) -> list[str]:
    """Name the working model of rows that depend on each other, and what it assumes."""
    effects, spec = analysis.fitted.effects, analysis.fitted.spec.pool
    model = (
        "Some studies gave more than one effect. These depend on each other, so that a three-level model, with "
        f"variance between studies and between the effects of a study (by {spec.tau2}), served as a working model"
        f"{cite('konstantopoulos2011', 'pustejovsky2022')}"
    )
    if effects.cov is not None:
        return [f"{model}; their sampling covariances came with the effects"]
    shared = (
        f"{model}; the sampling covariance of effects that share an arm was computed from that arm"
        f"{cite('gleser2009')}, and other effects on the same people were taken to be correlated with "
        f"r = {spec.rho:g}"
    )
    return [shared, "τ² is the sum of both variances"]


def _tau2_sentence(spec: PoolSpec, cite: Callable[..., str]) -> str:
    """Say where the residual between-study variance comes from."""
    if not estimates_tau2(spec):
        return "No residual between-study variance was allowed for (τ² = 0)"
    if not isinstance(spec.tau2, str):
        return f"The residual between-study variance was given: τ² = {significant(spec.tau2)}"
    entry, rule = TAU2_ESTIMATORS[spec.tau2], TAU2_INTERVALS[spec.tau2_ci]
    return (
        f"The residual between-study variance τ² was estimated by the {entry.title} method"
        f"{cite('raudenbush2009', *entry.cite)}; its {percent(spec.level)} confidence interval "
        f"{tau2_interval_text(spec.tau2_ci)}{cite(*rule.cite)}"
    )
