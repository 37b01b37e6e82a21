"""The methods paragraph of a meta-regression, with numbered references."""

from __future__ import annotations

from collections.abc import Callable

from metaback.models.specs import PoolSpec, estimates_tau2
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
    "HKSJ-q1": "the method of Knapp and Hartung with the t distribution on k − p degrees of freedom, with a "
    "factor of the variance not below 1",
}
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
        f"They were regressed on the formula '{fitted.spec.formula}' ({size}) by weighted least squares with "
        "inverse-variance weights"
    )
    if estimates_tau2(spec):
        sentences.append(_tau2_sentence(spec, cite))
    else:
        sentences.append("No residual between-study variance was allowed for (τ² = 0)")
    sentences.append(
        f"Coefficients ({percent(spec.level)} intervals) were judged by {RULE_WORDS[spec.ci]}"
        f"{cite('knapp2003', *MEAN_RULES[spec.ci].cite)}, several at once by the matching F or chi-square test"
    )
    if analysis.r2 is not None:
        sentences.append(f"R² is the share by which the moderators lower τ²{cite('raudenbush2009', 'lopezlopez2014')}")
    if any(term.gvif is not None for term in analysis.terms):
        sentences.append(f"Collinearity was measured by generalised variance inflation factors{cite('fox1992')}")
    if estimates_tau2(spec) and spec.pi != "none":
        words = PREDICTION_WORDS[spec.pi]
        sentences.append(f"Prediction intervals use {words}{cite(*PREDICTION_RULES[spec.pi].cite)}")
    if analysis.left_out:
        were = "row was" if len(analysis.left_out) == 1 else "rows were"
        sentences.append(f"{len(analysis.left_out)} {were} left out for want of an effect or a moderator")
    words, preset_keys = PRESET_WORDS[spec.preset]
    preset = f"preset '{spec.preset}' ({words}{cite(*preset_keys)})"
    sentences.append(f"Calculations were done with {software_name()}, {preset}")
    return " ".join(f"{sentence}." for sentence in sentences), tuple(keys)


def _tau2_sentence(spec: PoolSpec, cite: Callable[..., str]) -> str:
    """Say where the residual between-study variance comes from."""
    if not isinstance(spec.tau2, str):
        return f"The residual between-study variance was given: τ² = {significant(spec.tau2)}"
    entry, rule = TAU2_ESTIMATORS[spec.tau2], TAU2_INTERVALS[spec.tau2_ci]
    return (
        f"The residual between-study variance τ² was estimated by the {entry.title} method"
        f"{cite('raudenbush2009', *entry.cite)}; its {percent(spec.level)} confidence interval "
        f"{tau2_interval_text(spec.tau2_ci)}{cite(*rule.cite)}"
    )
