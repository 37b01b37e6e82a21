"""What a forest plot says of the model that made its total: its name, its prediction, its variances, its methods."""

from __future__ import annotations

import math
from dataclasses import dataclass

from metaback.models.specs import estimates_tau2, tau2_label
from metaback.numbers import df_text, fixed
from metaback.plots import forest_words as words
from metaback.postestimation.summary import Analysis, Working
from metaback.postestimation.words import MODELS, effect_digits, estimate_cell, percent, prediction_words

FEW_DF = 4.0  # degrees of freedom below which a robust interval is only roughly right


@dataclass(frozen=True, slots=True)
class ModelWords:
    """The words of one model in a forest plot.

    name: in running text; total, prediction: labels of rows; parts: of tau2, after its value; methods: footnotes.
    """

    name: str
    total: str
    prediction: str
    parts: str
    methods: tuple[str, ...]


def model_words(analysis: Analysis) -> ModelWords:
    """Return the words of the model that made the pool; of dependent rows with the naive pool beside it."""
    overall, spec = analysis.overall, analysis.spec
    prediction = f"{percent(overall.mean.level)} prediction interval"
    if analysis.working is not None and analysis.dependent:
        return _working(analysis, analysis.working, prediction)
    total, methods = words.total_label(spec, overall.mean, overall.k), words.methods_note(analysis)
    return ModelWords(MODELS[spec.model], total, prediction, "", (methods,))


def _working(analysis: Analysis, working: Working, prediction: str) -> ModelWords:
    """Return the words of a working model of dependent rows."""
    if working.pool.studies < 2:
        over = f"One study: its effects were taken together by {_covariance(analysis, working)}."
        methods = (over, _beside(working))
        return ModelWords("one study", "One study, its effects taken together", prediction, "", methods)
    total = f"Total (three-level, {tau2_label(working.spec)}, robust)"
    told = all(part.told for part in working.components)
    parts = [f"{part.name}\u00a0{words.tau2_text(part.tau2)}" for part in working.components] if told else []
    return ModelWords(
        name="three-level model",
        total=total,
        prediction=f"{prediction}: a new effect of a new study",
        parts=f" ({', '.join(parts)})" if parts else "",
        methods=(_methods(analysis, working), _beside(working)),
    )


def _methods(analysis: Analysis, working: Working) -> str:
    """Name the working model, its sampling covariance, and the rules of its intervals."""
    spec, mean = working.spec, working.pool.mean
    few = "; below 4 it is only roughly right" if mean.df < FEW_DF else ""
    parts = [
        f"Working model: effects within studies (three levels), with {_covariance(analysis, working)}",
        *([f"variances by {tau2_label(spec)}"] if estimates_tau2(spec) else []),
        f"{percent(mean.level)} CI: cluster-robust variance (CR2), df = {df_text(mean.df)}{few}",
    ]
    if working.pool.prediction is not None:
        parts.append(f"prediction interval: {prediction_words(working.pool.prediction, spec)}")
    return "; ".join([*parts, *words.measure_parts(analysis.fitted.effects)]) + "."


def _covariance(analysis: Analysis, working: Working) -> str:
    """Say what is known or assumed of the sampling errors of a study."""
    if analysis.fitted.effects.cov is not None:
        return "the sampling covariance that came with the effects"
    if working.grid:
        return f"sampling errors of the same people correlated by ρ = {working.spec.rho:g}"
    return "the sampling covariance that the table tells"


def _beside(working: Working) -> str:
    """Write the pool that takes rows as independent, beside that of the model."""
    naive = estimate_cell(working.naive.mean, effect_digits(working.pool.mean))
    wide = f"; the interval shown is {fixed(working.widened)} times as wide" if math.isfinite(working.widened) else ""
    return f"As if rows were independent: {naive}{wide}."


def naive_note(analysis: Analysis) -> str:
    """Say what a working model would give where the pool takes rows of a study as independent, "" elsewhere."""
    working = analysis.working
    if working is None or working.primary:
        return ""
    other = estimate_cell(working.pool.mean, effect_digits(analysis.overall.mean))
    return f"Pooled without their dependence: {working.why}. A working model of it gives {other}."
