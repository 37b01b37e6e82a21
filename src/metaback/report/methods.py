"""The methods paragraph: every choice of an analysis in words, as in a paper, with numbered references."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from metaback.effects.compute import ROUTES
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.presets import MEASURE_PRESETS
from metaback.models.specs import PRESETS, PoolSpec
from metaback.numbers import humanise
from metaback.report.words import measure_words, percent
from metaback.stats.inference import MEAN_RULES, PREDICTION_RULES
from metaback.stats.measures import MEASURES, about
from metaback.stats.tau2 import TAU2_ESTIMATORS

FORMULAS = {
    ("SMD", "RevMan"): (
        "the difference in means divided by the pooled standard deviation and multiplied by 1 − 3/(4N − 9) (Hedges' "
        "adjusted g), with variance N/(n₁n₂) + g²/(2(N − 3.94)), the formulas of Review Manager 5"
    ),
    ("SMD", "LS"): (
        "the difference in means divided by the pooled standard deviation and multiplied by the exact correction for "
        "small samples (Hedges' g), with the large-sample variance 1/n₁ + 1/n₂ + g²/(2N), as in metafor"
    ),
    ("MD", ""): "the difference in means, with variance SD₁²/n₁ + SD₂²/n₂",
    ("RR", ""): "the ratio of risks, with variance 1/a − 1/n₁ + 1/c − 1/n₂ of its logarithm",
    ("OR", ""): "the ratio of odds, with variance 1/a + 1/b + 1/c + 1/d of its logarithm",
    ("RD", ""): "the difference in risks, with variance ab/n₁³ + cd/n₂³",
}
FORMULA_KEYS = {"RevMan": ("hedges1981", "deeks2010"), "LS": ("hedges1981", "viechtbauer2010")}
CELLS = "; a and c are events, b and d non-events"
ADDED = "0.5 was added to all four cells of that study"
ZEROS = {
    "RevMan": f"Where a zero count left a variance undefined, {ADDED}",
    "metafor": f"Where a study had a zero count, {ADDED}, also when neither arm had events",
    "none": "Zero counts were not corrected; studies whose effect or variance they left undefined were not pooled",
}
NO_EVENTS = (
    "; studies without events, or without non-events, in both arms say nothing about a ratio and were not pooled"
)
ZERO_KEYS = {"RevMan": ("deeks2010", "sweeting2004"), "metafor": ("viechtbauer2010", "sweeting2004")}
MEANS = {
    "Wald": "were Wald intervals with the normal quantile",
    "Wald-t": "were Wald intervals with the quantile of the t distribution on k − 1 degrees of freedom",
    "HKSJ": "followed Hartung, Knapp, Sidik and Jonkman (HKSJ), with the t distribution on k − 1 degrees of freedom",
}
HKSJ_KEYS = ("hartung2001", "sidik2002", "inthout2014")
GUARD = (
    "because that interval can be too narrow when effects agree by chance, the Wald interval with the normal quantile "
    "was used wherever it was the wider of the two"
)
PREDICTIONS = {
    "z": "the normal quantile",
    "t(k-1)": "the t distribution on k − 1 degrees of freedom",
    "t(k-2)": "the t distribution on k − 2 degrees of freedom",
}
PRESET_WORDS = {
    "cochrane": (
        "current methods of Cochrane reviews, with a guard against too narrow HKSJ intervals",
        ("deeks2024",),
    ),
    "revman5": ("the estimates of Review Manager 5", ("deeks2010",)),
    "metafor": ("the defaults of the R package metafor", ("viechtbauer2010",)),
}
OPTION_WORDS = {
    "model": "model",
    "tau2": "estimator of τ²",
    "ci": "interval of the mean",
    "pi": "prediction interval",
    "i2": "definition of I²",
    "vtype": "variance of the standardised mean difference",
    "zeros": "zero counts",
}


class _Citations:
    """Numbers references in the order in which they are first cited."""

    def __init__(self, cited: tuple[str, ...]) -> None:
        self.keys = list(cited)

    def __call__(self, *keys: str) -> str:
        """Return the mark ` [1, 4]` of some keys, or nothing for none."""
        for key in keys:
            if key not in self.keys:
                self.keys.append(key)
        numbers = sorted({self.keys.index(key) + 1 for key in keys})
        return f" [{', '.join(map(str, numbers))}]" if numbers else ""


def methods_text(
    spec: PoolSpec, effects: EffectSizes, *, cited: tuple[str, ...] = (), software: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """Write the methods of one analysis and return them with the keys of all references, in the order of their numbers.

    cited: keys that already have numbers, from 1 on, in the document that the paragraph goes into.
    software: name and version to be printed; that of this installation when not given.
    """
    sentences, keys = methods_sentences(spec, effects, cited=cited, software=software)
    return " ".join(sentences), keys


def methods_sentences(
    spec: PoolSpec, effects: EffectSizes, *, cited: tuple[str, ...] = (), software: str | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sentences of `methods_text` one by one, so that several analyses can share those that are equal."""
    cite = _Citations(cited)
    sentences = [
        *_effect_sentences(effects, cite),
        *_model_sentences(spec, cite),
        *_heterogeneity_sentences(spec, cite),
        *_subgroup_sentences(spec, effects, cite),
        _software_sentence(spec, effects, cite, software or software_name()),
    ]
    return tuple(f"{sentence}." for sentence in sentences), tuple(cite.keys)


def methods_keys(spec: PoolSpec, effects: EffectSizes) -> tuple[str, ...]:
    """Return the keys that the methods of one analysis cite, in order."""
    return methods_text(spec, effects)[1]


def software_name() -> str:
    """Return name and version of this program."""
    try:
        return f"metaback {version('metaback')}"
    except PackageNotFoundError:
        return "metaback"


def _effect_sentences(effects: EffectSizes, cite: _Citations) -> list[str]:
    """Say how effects and variances were made, from what, and what was done to them."""
    used = dict.fromkeys(r for r, ok in zip(effects.routes, effects.estimable, strict=True) if ok and r)
    raw = bool(used.keys() & set(ROUTES.values()))
    sentences = [
        f"The effect of each study is the {measure_words(effects.measure)}{_formula(effects, cite) if raw else ''}"
    ]
    if used:
        sentences.append(f"Effects were obtained from: {'; '.join(used)}")
    if any("CI" in route for route in used):
        sentences.append("The standard error of a printed effect is the width of its 95% interval divided by 2 × 1.96")
    if about(effects.measure).scale == "log":
        sentences.append("Ratios were analysed as natural logarithms and are shown back-transformed")
    if ROUTES["counts"] in used:
        sentences += _zero_sentences(effects, cite)
    if any(effects.corrections):
        sentences.append("Rows that were corrected or converted before pooling are marked in the table of studies")
    return sentences


def _formula(effects: EffectSizes, cite: _Citations) -> str:
    """Return the formula of effects that were computed from raw numbers."""
    measure, vtype = effects.measure, effects.options.get("vtype", "")
    formula = FORMULAS.get((measure, vtype)) or FORMULAS.get((measure, ""))
    if formula is None:
        return cite(*MEASURES[measure].cite)
    cells = CELLS if about(measure).kind == "counts" else ""
    return f": {formula}{cells}{cite(*(FORMULA_KEYS.get(vtype) or MEASURES[measure].cite))}"


def _zero_sentences(effects: EffectSizes, cite: _Citations) -> list[str]:
    """Name the policy for zero counts."""
    policy = effects.options.get("zeros", "")
    if policy not in ZEROS:
        return []
    without = NO_EVENTS if policy == "RevMan" and about(effects.measure).scale == "log" else ""
    return [f"{ZEROS[policy]}{without}{cite(*ZERO_KEYS.get(policy, ()))}"]


def _model_sentences(spec: PoolSpec, cite: _Citations) -> list[str]:
    """Name model, weights, estimator of tau2 and the interval of the mean."""
    level = percent(spec.level)
    if spec.model == "equal":
        sentences = ["Effects were pooled with inverse-variance weights in an equal-effects model (τ² = 0)"]
    else:
        entry = TAU2_ESTIMATORS[spec.tau2]
        sentences = [
            f"Effects were pooled with inverse-variance weights in a random-effects model{cite('dersimonian1986')}",
            f"The between-study variance τ² was estimated by the {entry.title} method ({spec.tau2}){cite(*entry.cite)}",
            f"Its {level} confidence interval is the Q-profile interval{cite('viechtbauer2007')}",
        ]
    return [*sentences, f"Confidence intervals of pooled effects ({level}) {_mean_rule(spec, cite)}"]


def _mean_rule(spec: PoolSpec, cite: _Citations) -> str:
    """Name the rule of the interval of the mean."""
    keys = MEAN_RULES[spec.ci].cite
    if not spec.ci.startswith("HKSJ"):
        return f"{MEANS[spec.ci]}{cite(*keys)}"
    rule = f"{MEANS['HKSJ']}{cite(*HKSJ_KEYS)}"
    return rule if spec.ci == "HKSJ" else f"{rule}; {GUARD}{cite(*keys)}"


def _heterogeneity_sentences(spec: PoolSpec, cite: _Citations) -> list[str]:
    """Name Q, the definition of I2 and the prediction interval."""
    sentences = [f"Heterogeneity was tested with Cochran's Q{cite('cochran1954')}"]
    mark = cite("higgins2002")
    if spec.model == "equal" or spec.i2 == "Q":
        sentences.append(f"I² was computed from Q as (Q − df)/Q{mark}")
    else:
        sentences.append(
            f"I² was computed from τ² as τ²/(τ² + s²), where s² is the typical sampling variance{mark}, and its limits "
            "from those of τ²"
        )
    if spec.model == "equal":
        return sentences
    if spec.pi == "none":
        return [*sentences, "Prediction intervals were not computed"]
    keys = dict.fromkeys(("higgins2009", "riley2011", *PREDICTION_RULES[spec.pi].cite))
    sentences.append(
        f"Prediction intervals ({percent(spec.level)}) for the true effect in a new setting combine τ² with the "
        f"standard error of the mean and use {PREDICTIONS[spec.pi]}{cite(*keys)}; they need at least three studies"
    )
    return sentences


def _subgroup_sentences(spec: PoolSpec, effects: EffectSizes, cite: _Citations) -> list[str]:
    """Name the subgroup analysis, and say how several effects of one study were treated."""
    sentences: list[str] = []
    if effects.by is not None:
        own = ", each with its own τ²," if spec.model == "random" else ""
        sentences.append(
            f"Subgroups by {humanise(effects.by_name or 'subgroup')} were pooled separately{own} and the difference "
            f"between their means was tested with Q and the Wald standard errors of the means{cite('borenstein2013')}"
        )
    clusters = effects.clusters[effects.estimable]
    repeated = clusters.size - len(set(clusters.tolist()))
    if repeated:
        sentences.append(
            "Some studies gave more than one effect; these were pooled as if they were independent, which makes "
            "intervals too narrow where they share participants"
        )
    return sentences


def _software_sentence(spec: PoolSpec, effects: EffectSizes, cite: _Citations, software: str) -> str:
    """Name program, preset and what departs from it."""
    words, keys = PRESET_WORDS[spec.preset]
    chosen: dict[str, object] = {**spec.model_dump(), **effects.options}
    usual: dict[str, str] = {"model": "random", **PRESETS[spec.preset], **MEASURE_PRESETS[spec.preset]}
    if spec.model == "equal":
        usual = {name: value for name, value in usual.items() if name not in {"tau2", "pi", "i2"}} | {"ci": "Wald"}
    changed = [
        f"{OPTION_WORDS.get(name, name)} {chosen[name]} instead of {value}"
        for name, value in usual.items()
        if name in chosen and chosen[name] != value
    ]
    departs = f", except: {'; '.join(changed)}" if changed else ""
    return f"Calculations were done with {software}, preset '{spec.preset}' ({words}{cite(*keys)}){departs}"
