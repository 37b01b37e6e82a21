"""The words of a forest plot: labels, statistics lines, axis, directions, footnotes and the text alternative."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable

from metaback import numbers
from metaback.effects.effect_sizes import Context, EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.specs import PoolSpec
from metaback.postestimation.summary import Analysis, Heterogeneity, PoolSummary, SubgroupTest
from metaback.stats.measures import MEASURES, about

_MODELS = {"random": "random effects", "equal": "equal effects"}
_MODEL_NAMES = {"random": "Random-effects model", "equal": "Equal-effects model"}
_INTERVALS = {"Wald": "Wald", "Wald-t": "Wald with t", "HKSJ": "HKSJ", "HKSJ-wider": "HKSJ"}
_INTERVAL_NAMES = {
    "Wald": "Wald (normal)",
    "Wald-t": "Wald with t",
    "HKSJ": "Hartung-Knapp-Sidik-Jonkman",
    "HKSJ-wider": "Hartung-Knapp-Sidik-Jonkman or Wald, the wider",
}
_PREDICTIONS = {"z": "normal", "t(k-1)": "t with k \u2212 1 df", "t(k-2)": "t with k \u2212 2 df"}
_VARIANCES = {
    "RevMan": "variance as in RevMan",
    "LS": "large-sample variance",
    "LS2": "large-sample variance (Borenstein)",
    "UB": "unbiased variance",
}
_SHOWN = 4


def natural(value: float, scale: str) -> float:
    """Return a value of the analysis scale as a reader expects it; beyond what a number can hold it is infinite."""
    if scale != "log":
        return value
    return math.exp(value) if value < 709 else math.inf


def effect_text(estimate: Estimate, digits: int) -> str:
    """Write an estimate on the natural scale as `-0.41 [-0.72, -0.10]`."""
    point, lower, upper = (natural(v, estimate.scale) for v in (estimate.point, estimate.lower, estimate.upper))
    return numbers.estimate_text(point, lower, upper, digits)


def limits_text(estimate: Estimate, digits: int) -> str:
    """Write the limits of an estimate on the natural scale as `[-0.72, -0.10]`."""
    return numbers.interval(natural(estimate.lower, estimate.scale), natural(estimate.upper, estimate.scale), digits)


def effect_digits(mean: Estimate) -> int:
    """Choose decimals so that the interval of the pooled effect shows its width: 2, more when it is narrow."""
    width = natural(mean.upper, mean.scale) - natural(mean.lower, mean.scale)
    if not (math.isfinite(width) and width > 0):
        return 2
    return min(6, max(2, 1 + math.ceil(-math.log10(width))))


def percent(level: float) -> str:
    """Write a confidence level as `95%`."""
    return f"{numbers.df_text(round(100 * level, 6))}%"


def sentence_case(text: str) -> str:
    """Start with a capital, unless the first word carries its own (mHealth, iCBT)."""
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.islower() else text


def distinct_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Tell repeated study labels apart: `Jackson 2011a`, `Jackson 2011b`; ` (1)`, ` (2)` where letters will not do."""
    given = tuple(labels)
    counts, taken = Counter(given), set(given)
    suffix = {label: _suffix(label, count, taken) for label, count in counts.items() if count > 1}
    seen: Counter[str] = Counter()
    made: list[str] = []
    for label in given:
        made.append(label + suffix[label](seen[label]) if label in suffix else label)
        seen[label] += 1
    return tuple(made)


def _suffix(label: str, count: int, taken: set[str]) -> Callable[[int], str]:
    """Return what marks the i-th of several rows with one label: a letter after a year, unless that label exists."""

    def letter(i: int) -> str:
        return chr(ord("a") + i)

    def number(i: int) -> str:
        return f" ({i + 1})"

    year = label[-4:].isdecimal() and count <= 26
    return letter if year and not any(label + letter(i) in taken for i in range(count)) else number


def measure_words(measure: str, scale: str) -> tuple[str, str]:
    """Return the short name for the column and the title of the axis; the key itself for a measure without facts."""
    facts = about(measure) if measure in set(MEASURES) else None
    name = facts.name if facts is not None else measure
    return facts.short if facts is not None else measure, name + (" (log scale)" if scale == "log" else "")


def arm_names(context: Context) -> tuple[str, str]:
    """Return the heads of the two arms."""
    first, second = context.treatment_1, context.treatment_2
    return (
        sentence_case(numbers.humanise(first)) if first else "Arm 1",
        sentence_case(numbers.humanise(second)) if second else "Arm 2",
    )


def title_text(context: Context) -> str:
    """Return "Pain: posterior chain vs general exercise", or what is known of it."""
    outcome = sentence_case(numbers.humanise(context.outcome)) if context.outcome else ""
    both = context.treatment_1 and context.treatment_2
    versus = f"{numbers.humanise(context.treatment_1 or '')} vs {numbers.humanise(context.treatment_2 or '')}"
    return ": ".join(part for part in (outcome, versus if both else "") if part)


def favours_words(context: Context) -> tuple[str, str] | None:
    """Return the words left and right of no effect, or None when direction or names are not known.

    An effect is arm 1 against arm 2, so where higher is better its right side favours treatment_1.
    """
    first, second = context.treatment_1, context.treatment_2
    if context.higher_is_better is None or not first or not second:
        return None
    left, right = (second, first) if context.higher_is_better else (first, second)
    return f"Favours {numbers.humanise(left)}", f"Favours {numbers.humanise(right)}"


def total_label(spec: PoolSpec) -> str:
    """Name the pooled row by its model: `Total (random effects, REML, HKSJ)`."""
    parts = [_MODELS[spec.model], *([spec.tau2] if spec.model == "random" else []), _INTERVALS[spec.ci]]
    return f"Total ({', '.join(parts)})"


def count_text(pool: PoolSummary) -> str:
    """Write `8 studies`, or `9 effects, 8 studies` where a study gives more than one."""
    studies = f"{pool.studies} {'study' if pool.studies == 1 else 'studies'}"
    return studies if pool.k == pool.studies else f"{pool.k} effects, {studies}"


def heterogeneity_text(heterogeneity: Heterogeneity, spec: PoolSpec, *, define: bool = False) -> str:
    """Write the heterogeneity line; `define` names the definition of I2."""
    if heterogeneity.q_df < 1:
        return "Heterogeneity: not applicable"
    parts: list[str] = []
    if heterogeneity.tau2 is not None:
        parts.append(f"tau² = {_tau2(heterogeneity.tau2)}")
    from_q = spec.i2 == "Q" or spec.model == "equal" or heterogeneity.i2_tau2 is None
    i2 = heterogeneity.i2_q if from_q else heterogeneity.i2_tau2
    if i2 is not None:
        name = f"I² (from {'Q' if from_q else 'tau²'})" if define else "I²"
        parts.append(f"{name} = {numbers.fixed(i2, 0)}%")
    parts += [f"Q = {numbers.fixed(heterogeneity.q)}", f"df = {heterogeneity.q_df}"]
    if heterogeneity.q_p is not None:
        parts.append(numbers.p_phrase(heterogeneity.q_p))
    return f"Heterogeneity: {', '.join(parts)}"


def _tau2(value: float) -> str:
    """Write tau2 with two decimals, more where it is small but not 0, none where it is large."""
    if value == 0 or value >= 0.1:
        return numbers.fixed(value, 0 if value >= 100 else 2)
    return numbers.significant(value, 2) if value >= 0.0001 else "0.00"


def overall_test_text(mean: Estimate) -> str:
    """Write the test of no effect, or nothing when none was made."""
    if not math.isfinite(mean.statistic):
        return ""
    normal = math.isinf(mean.df)
    parts = [f"{'z' if normal else 't'} = {numbers.fixed(mean.statistic)}"]
    if not normal:
        parts.append(f"df = {numbers.df_text(mean.df)}")
    parts.append(numbers.p_phrase(mean.p_value))
    return f"Test for overall effect: {', '.join(parts)}"


def subgroup_test_text(test: SubgroupTest) -> str:
    """Write the test for subgroup differences."""
    return (
        f"Test for subgroup differences: Q = {numbers.fixed(test.q)}, df = {test.df}, {numbers.p_phrase(test.p_value)}"
    )


def footnotes(analysis: Analysis, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the methods line, what was done to rows, and the rows left out with their reasons."""
    effects, spec = analysis.fitted.effects, analysis.fitted.spec
    notes = [_methods_note(analysis), *_correction_notes(effects), _left_out_note(effects, labels)]
    asked = spec.model == "random" and spec.pi != "none"
    if asked and analysis.overall.prediction is None:
        notes.append(f"Prediction interval: not estimable (k = {analysis.overall.k}).")
    return tuple(note for note in notes if note)


def _methods_note(analysis: Analysis) -> str:
    spec, effects = analysis.fitted.spec, analysis.fitted.effects
    parts = [_MODEL_NAMES[spec.model]]
    if spec.model == "random":
        parts.append(f"tau² by {spec.tau2}")
    parts.append(f"{percent(spec.level)} CI: {_INTERVAL_NAMES[spec.ci]}")
    if analysis.overall.prediction is not None and spec.pi in _PREDICTIONS:
        parts.append(f"prediction interval: {_PREDICTIONS[spec.pi]}")
    from_means = any(route.startswith("means") for route in effects.routes)
    if from_means and effects.measure.startswith("SMD") and "vtype" in effects.options:
        vtype = effects.options["vtype"]
        parts.append(f"SMD: {_VARIANCES.get(vtype, f'variance {vtype}')}")
    return "; ".join(parts) + "."


def _correction_notes(effects: EffectSizes) -> list[str]:
    rows = zip(effects.corrections, effects.estimable, strict=True)
    done = Counter(what for words, pooled in rows if pooled for what in words.split("; ") if what)
    return [f"{sentence_case(what)}: {n} {'row' if n == 1 else 'rows'}." for what, n in sorted(done.items())]


def _left_out_note(effects: EffectSizes, labels: tuple[str, ...]) -> str:
    out = [i for i, pooled in enumerate(effects.estimable) if not pooled]
    if not out:
        return ""
    by_reason: dict[str, list[str]] = {}
    for i in out[:_SHOWN]:
        by_reason.setdefault(effects.reasons[i].rstrip(".") or "no reason recorded", []).append(labels[i])
    parts = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    more = f"; and {len(out) - _SHOWN} more" if len(out) > _SHOWN else ""
    return f"Not pooled: {'; '.join(parts)}{more}."


def alt_text(analysis: Analysis, digits: int) -> str:
    """Describe the figure in words and numbers for those who do not see it."""
    overall, effects, spec = analysis.overall, analysis.fitted.effects, analysis.fitted.spec
    mean, scale = overall.mean, overall.mean.scale
    title = title_text(effects.context)
    name = measure_words(effects.measure, "linear")[1]
    sentences = [f"Forest plot{f' of {title}' if title else ''}, {count_text(overall)}"]
    sentences.append(f"{name}, pooled ({_MODELS[spec.model]}): {_spoken(mean, digits)}")
    if overall.prediction is not None and spec.pi != "none":
        limits = (overall.prediction.lower, overall.prediction.upper)
        low, high = (numbers.fixed(natural(limit, scale), digits) for limit in limits)
        sentences.append(f"{percent(overall.prediction.level)} prediction interval {low} to {high}")
    favours = favours_words(effects.context)
    if favours is not None:
        below = numbers.fixed(natural(0.0, scale), 0)
        sentences.append(f"Values below {below} favour {favours[0].removeprefix('Favours ')}")
    if analysis.subgroups is not None:
        named = zip(analysis.subgroups.levels, analysis.subgroups.pools, strict=True)
        sentences += [f"{level}: {_spoken(pool.mean, digits)}" for level, pool in named]
    if overall.heterogeneity.q_df >= 1:
        sentences.append(heterogeneity_text(overall.heterogeneity, spec))
    out = int((~effects.estimable).sum())
    if out:
        sentences.append(f"{out} {'row is' if out == 1 else 'rows are'} not estimable")
    return ". ".join(sentences) + "."


def _spoken(estimate: Estimate, digits: int) -> str:
    point, low, high = (
        numbers.fixed(natural(v, estimate.scale), digits) for v in (estimate.point, estimate.lower, estimate.upper)
    )
    return f"{point} ({percent(estimate.level)} CI {low} to {high})"
