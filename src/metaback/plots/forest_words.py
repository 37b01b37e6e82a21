"""The words of a forest plot: labels, statistics lines, axis, directions, footnotes and the text alternative."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable

from metaback import numbers
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.specs import PoolSpec, estimates_tau2, tau2_label
from metaback.plots.forest_layouts import LAYOUTS, ForestLayout
from metaback.plots.rob_words import RobTable
from metaback.postestimation.number_styles import p_styled
from metaback.postestimation.summary import Analysis, Heterogeneity, SubgroupTest
from metaback.postestimation.words import (
    MODELS,
    NOT_ESTIMABLE,
    asks_prediction,
    comparison,
    counts,
    difference_statistic,
    from_raw_numbers,
    i2_shown,
    i2_source,
    level_words,
    limits_cell,
    mean_test,
    measure_name,
    measure_short,
    null_value,
    percent,
    percent_cell,
    plural,
    point_text,
    scale_name,
    sentence_case,
)
from metaback.stats.inference import MEAN_RULES, PREDICTION_RULES, mean_words
from metaback.stats.measures import choices_of

JOINT = ", "  # between the counts of effects and of studies
_SHOWN = 4
STANDARD = LAYOUTS["standard"]
STUDY_MEANS = "Open diamonds: the mean of the effects that stand below, by the inverse of their sampling covariance."
NO_SQUARE = "Without a square: an effect whose weight is 0 or less, as more precise ones of its study say the same."


def bracketed(estimate: Estimate, digits: int) -> str:
    """Write the limits of an estimate on the natural scale as `[-0.72, -0.10]`."""
    return f"[{limits_cell(estimate, digits, ', ')}]"


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


def axis_title(effects: EffectSizes, way: str) -> str:
    """Return the title of the axis, with the scale on which it is drawn where its ticks are not evenly spaced."""
    scale = scale_name(way)
    return sentence_case(measure_name(effects)) + (f" ({scale})" if scale else "")


def favours_words(effects: EffectSizes, favours: str = "Favours") -> tuple[str, str] | None:
    """Return the words left and right of no effect, or None when direction or names are not known."""
    sides = comparison(effects).sides
    return None if sides is None else (f"{favours} {sides[0]}", f"{favours} {sides[1]}")


def total_label(spec: PoolSpec, mean: Estimate, k: int) -> str:
    """Name the pooled row by its model and the rule that made its interval: `Total (random effects, REML, HKSJ)`.

    Under a guarded rule the label names the rule that the guard chose.
    """
    if k == 1:
        return "One study, not pooled"
    guarded = mean_words(spec.ci).guards
    name = (guarded if math.isfinite(mean.df) else "Wald") if guarded else spec.ci
    parts = [MODELS[spec.model], *([tau2_label(spec)] if estimates_tau2(spec) else []), mean_words(name).short]
    return f"Total ({', '.join(parts)})"


def heterogeneity_text(
    heterogeneity: Heterogeneity,
    spec: PoolSpec,
    *,
    define: bool = False,
    layout: ForestLayout = STANDARD,
    parts: str = "",
) -> str:
    """Write the heterogeneity line with the parts of a layout; `define` names the definition of I2.

    parts: what is said of tau2 after its value.
    """
    if heterogeneity.q_df < 1 and not untested(heterogeneity):
        return "Heterogeneity: not applicable"
    source = "Q" if untested(heterogeneity) else i2_source(spec)
    name = f"I² (from {source})" if define else "I²"
    said = {
        "tau2": "" if heterogeneity.tau2 is None else f"{layout.tau2} = {tau2_text(heterogeneity.tau2)}{parts}",
        "i2": f"{name} = {percent_cell(i2_shown(heterogeneity, spec))}",
        "q": _q_test(heterogeneity, layout),
    }
    return f"Heterogeneity: {', '.join(said[part] for part in layout.heterogeneity if said[part])}"


def untested(heterogeneity: Heterogeneity) -> bool:
    """Tell whether there is heterogeneity whose Q has no known distribution, as under weights by moments."""
    return heterogeneity.q_df < 1 and heterogeneity.i2_q is None and heterogeneity.i2_tau2 is not None


def _q_test(heterogeneity: Heterogeneity, layout: ForestLayout) -> str:
    """Write `Q = 16.14, df = 8, P = 0.04`, nothing where Q has no distribution."""
    if untested(heterogeneity):
        return ""
    p = p_styled(heterogeneity.q_p, layout.numbers)
    return f"{layout.q} = {numbers.fixed(heterogeneity.q)}, df = {heterogeneity.q_df}, {p}"


def tau2_text(value: float) -> str:
    """Write tau2 with two decimals, more where it is small but not 0, none where it is large."""
    if value == 0 or value >= 0.1:
        return numbers.fixed(value, 0 if value >= 100 else 2)
    return numbers.significant(value, 2)


def overall_test_text(mean: Estimate, layout: ForestLayout = STANDARD) -> str:
    """Write the test of no effect, or nothing when none was made."""
    test = mean_test(mean)
    said = numbers.p_phrase(mean.p_value)
    test = test.removesuffix(said) + p_styled(mean.p_value, layout.numbers) if test.endswith(said) else test
    return f"Test for overall effect: {test}" if test else ""


def subgroup_test_text(test: SubgroupTest, layout: ForestLayout = STANDARD) -> str:
    """Write the test for subgroup differences."""
    letter, value, df = difference_statistic(test)
    name = layout.q if letter == "Q" else letter
    p = p_styled(test.p_value, layout.numbers)
    return f"Test for subgroup differences: {name} = {value}, df = {', '.join(df)}, {p}"


def order_note(sort: str | None, *, descending: bool) -> str:
    """Say in which order the rows stand where it is not that of the table."""
    if sort is None:
        return ""
    ends = {
        "weight": ("largest", "smallest"),
        "precision": ("most precise", "least precise"),
        "year": ("earliest", "latest"),
        "label": ("A", "Z"),
    }
    first = ends.get(sort, ("lowest", "highest"))[int(descending)]
    return f"Rows sorted by {numbers.humanise(sort)}, {first} first."


def mcid_note(mcid: float | tuple[float, float] | None) -> str:
    """Say what the dotted lines of a threshold are."""
    if mcid is None:
        return ""
    if isinstance(mcid, tuple | list):
        low, high = (numbers.as_given(float(value)) for value in sorted(mcid))
        return f"Shaded band: effects from {low} to {high}, too small to matter."
    return f"Dotted line: smallest effect that matters, {numbers.as_given(float(mcid))}."


def rob_alt(rob: RobTable | None) -> str:
    """Count the judgements of risk of bias for those who do not see their symbols."""
    if rob is None:
        return ""
    column = next((i for i, domain in enumerate(rob.domains) if domain.overall), None)
    if column is None:
        return f"{rob.tool.title}: {plural(len(rob.domains), 'domain')}."
    judged = Counter(cell.word for row in rob.cells if (cell := row[column]) is not None)
    listed = ", ".join(f"{n} {word[:1].lower() + word[1:]}" for word, n in sorted(judged.items()))
    return f"{rob.tool.title}, overall: {listed}." if listed else ""


def footnotes(analysis: Analysis, labels: tuple[str, ...], methods: Iterable[str]) -> tuple[str, ...]:
    """Return the lines of the methods, what was done to rows, and the rows left out with their reasons."""
    effects, spec = analysis.fitted.effects, analysis.spec
    notes = [*methods, *_correction_notes(effects), _left_out_note(effects, labels)]
    if asks_prediction(spec) and analysis.overall.prediction is None:
        few = (
            plural(analysis.overall.studies, "study", "studies") if analysis.dependent else f"k = {analysis.overall.k}"
        )
        notes.append(f"Prediction interval: not estimable ({few}).")
    return tuple(note for note in notes if note)


def methods_note(analysis: Analysis) -> str:
    """Write the model of a pool, its estimators and its interval rules in one line."""
    spec, effects = analysis.spec, analysis.fitted.effects
    parts = [f"{sentence_case(MODELS[spec.model]).replace(' ', '-')} model"]
    if estimates_tau2(spec):
        parts.append(f"τ² {'by ' if isinstance(spec.tau2, str) else '= '}{tau2_label(spec)}")
    if spec.weights:
        parts.append(f"weights: column {spec.weights}")
    parts.append(f"{percent(spec.level)} CI: {MEAN_RULES[spec.ci].title}")
    if analysis.subgroups is not None and analysis.subgroups.tau2 == "common":
        parts.append("subgroups with one τ² for all")
    if analysis.overall.prediction is not None:
        parts.append(f"prediction interval: {PREDICTION_RULES[spec.pi].title}")
    return "; ".join([*parts, *measure_parts(effects)]) + "."


def measure_parts(effects: EffectSizes) -> list[str]:
    """Say by which conventions effects were computed from raw numbers."""
    if not from_raw_numbers(effects):
        return []
    chosen = choices_of(effects.measure, effects.options)
    return [f"{measure_short(effects)}: {choice.note}" for choice in chosen if choice.note]


def _correction_notes(effects: EffectSizes) -> list[str]:
    rows = zip(effects.corrections, effects.estimable, strict=True)
    done = Counter(what for words, pooled in rows if pooled for what in words.split("; ") if what)
    return [f"{sentence_case(what)}: {plural(n, 'row')}." for what, n in sorted(done.items())]


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


def alt_text(analysis: Analysis, digits: int, model: str) -> str:
    """Describe the figure in words and numbers for those who do not see it; model: its name."""
    overall, effects, spec = analysis.overall, analysis.fitted.effects, analysis.spec
    mean, names = overall.mean, comparison(effects)
    sentences = [f"Forest plot{f' of {names.known}' if names.known else ''}, {counts(overall, JOINT)}"]
    sentences.append(f"{sentence_case(measure_name(effects))}, pooled ({model}): {_spoken(mean, digits)}")
    if overall.prediction is not None:
        limits = limits_cell(overall.prediction, digits)
        sentences.append(f"{percent(overall.prediction.level)} prediction interval {limits}")
    if names.sides is not None:
        sentences.append(f"Values below {numbers.fixed(null_value(mean.scale), 0)} favour {names.sides[0]}")
    if analysis.subgroups is not None:
        named = zip(analysis.subgroups.levels, analysis.subgroups.pools, strict=True)
        sentences += [
            f"{level_words(analysis.subgroups.name, level)}: {_spoken(pool.mean, digits)}" for level, pool in named
        ]
    if overall.heterogeneity.q_df >= 1 or untested(overall.heterogeneity):
        sentences.append(heterogeneity_text(overall.heterogeneity, spec))
    out = int((~effects.estimable).sum())
    if out:
        sentences.append(f"{plural(out, 'row is', 'rows are')} {NOT_ESTIMABLE}")
    return ". ".join(sentences) + "."


def _spoken(estimate: Estimate, digits: int) -> str:
    return f"{point_text(estimate, digits)} ({percent(estimate.level)} CI {limits_cell(estimate, digits)})"
