"""The methods paragraph: every choice of an analysis in words, as in a paper, with numbered references."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from metaback.effects.covariances import ARM_RHO, EQUAL_ARM, EXACT_ARM, NAMED_ARM, NEAR_ARM, NONE, NOT_ASKED, WITHIN
from metaback.effects.dependence import dependent
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.presets import MEASURE_PRESETS
from metaback.effects.standardisers import standardiser_words
from metaback.models.specs import PRESETS, PoolSpec, estimates_tau2, tau2_label
from metaback.numbers import humanise, significant
from metaback.postestimation.scales import way_back
from metaback.postestimation.words import from_raw_numbers, i2_from_q, percent, plural, scale_name
from metaback.postestimation.working import by_working_model, in_its_words
from metaback.report.words import measure_words
from metaback.stats.conversions import CONVERSIONS
from metaback.stats.inference import MEAN_RULES, PREDICTION_RULES, is_seeded, mean_words, prediction_text
from metaback.stats.measures import MEASURES, about, choices_of
from metaback.stats.measures.family import has_null
from metaback.stats.resampling import EXACT_FLIPS
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.tau2_interval import TAU2_INTERVALS, tau2_interval_text
from metaback.stats.transforms import back

PREDICTION_KEYS = ("higgins2009", "riley2011")
PRESET_WORDS = {
    "cochrane": (
        "current methods of Cochrane reviews, with a guard against too narrow HKSJ intervals",
        ("deeks2024",),
    ),
    "revman5": ("the inverse-variance methods of Review Manager 5", ("deeks2010",)),
    "metafor": ("the defaults of the R package metafor", ("viechtbauer2010",)),
}
MODEL_WORDS = {
    "random": ("in a random-effects model", ("dersimonian1986",)),
    "equal": ("in an equal-effects model (τ² = 0)", ()),
    "fixed": ("to the average effect in these studies, which may differ (fixed-effects model)", ("rice2018",)),
    "IVhet": ("in the inverse variance heterogeneity model, whose variance includes τ²", ("doi2015",)),
}
ARMS = frozenset({EXACT_ARM, NEAR_ARM, EQUAL_ARM})  # kinds of dependence whose covariance comes from an arm alone
NO_PEOPLE = frozenset({NONE, NOT_ASKED})  # kinds whose sampling errors are taken as independent
WITH_WEIGHTS = ("GENQ", "GENQM")  # estimators of tau2 that take any weights
OPTION_WORDS = {
    "model": "model",
    "tau2": "estimator of τ²",
    "tau2_ci": "interval of τ²",
    "ci": "interval of the mean",
    "pi": "prediction interval",
    "i2": "definition of I²",
    "subgroup_tau2": "τ² of subgroups",
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
    working = by_working_model(spec, effects)
    if working:
        spec = in_its_words(spec)  # what answers, also before anything is pooled
    sentences = [
        *_effect_sentences(effects, cite),
        *(_working_sentences(spec, effects, cite) if working else _model_sentences(spec, cite)),
        *(_working_heterogeneity(spec, effects, cite) if working else _heterogeneity_sentences(spec, cite)),
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
    used = dict.fromkeys(r for r, ok in zip(effects.obtained, effects.estimable, strict=True) if ok and r)
    raw = from_raw_numbers(effects)
    name = f"the {measure_words(effects)}" if effects.measure != "GEN" else "taken as given, with its variance"
    sentences = [f"The effect of each study is {name}{_formula(effects, cite) if raw else ''}"]
    if used:
        sentences.append(f"Effects were obtained from: {'; '.join(used)}")
    if any(route.startswith("printed effect with 95% CI") for route in used):
        sentences.append("The standard error of a printed effect is the width of its 95% interval divided by 2 × 1.96")
    if any(route.startswith("effect with 95% CI") for route in used):
        sentences.append("The standard error of an effect with its 95% interval is the width divided by 2 × 1.96")
    sentences += _derivation_sentences(effects, cite)
    sentences += _scale_sentences(effects, cite)
    if raw:
        sentences += _convention_sentences(effects, cite)
    sentences += _standardiser_sentences(effects) + _assumed_sentences(effects)
    if any(effects.corrections):
        sentences.append("Rows that were corrected or converted before pooling are marked in the table of studies")
    return sentences


def _derivation_sentences(effects: EffectSizes, cite: _Citations) -> list[str]:
    """Say how numbers were derived that a measure needs and a study did not report, each conversion once."""
    pooled = (steps for steps, ok in zip(effects.steps, effects.estimable, strict=False) if ok)
    entries = {step.conversion: CONVERSIONS[step.conversion] for steps in pooled for step in steps}
    entries.pop("assumed", None)  # has a sentence of its own
    if not entries:
        return []
    words = "; ".join(f"{e.title} ({e.facts['text']}){cite(*e.cite)}" for e in entries.values())
    return [f"Numbers that a study did not report were derived from what it did report: {words}"]


def _standardiser_sentences(effects: EffectSizes) -> list[str]:
    """Say what effects were divided by, and in the user's words why two kinds of standardiser were pooled."""
    sentences: list[str] = []
    if effects.standardisers and about(effects.measure).standardiser:
        words = standardiser_words(effects.standardisers, effects.estimable)
        sentences.append(f"The standardiser of effects was {words}" if words else "No row states its standardiser")
    if effects.mixed_scores:
        reason = effects.mixed_scores.rstrip(".")
        sentences.append(f"Effects of change scores and of final scores were pooled together: {reason}")
    return sentences


def _assumed_sentences(effects: EffectSizes) -> list[str]:
    """Say which pre-post correlation was assumed, for how many effects, and under which others the pool was done."""
    found = effects.grid
    rests = int((found.rows & effects.estimable).sum()) if found else 0
    if found is None or not rests:
        return []
    others = [f"{r:g}" for r in found.r.tolist() if r != found.assumed]
    again = f"; the pool was repeated with r = {', '.join(others)}" if others else ""
    sentence = (
        f"A correlation of r = {found.assumed:g} between the measurements before and after was assumed for "
        f"{plural(rests, 'effect')} where it was neither reported nor could be computed{again}"
    )
    return [sentence]


def _scale_sentences(effects: EffectSizes, cite: _Citations) -> list[str]:
    """Say on which scale effects were analysed where they are shown on another, and with which size they came back."""
    way = way_back(effects)
    if way in {"exp", "exp_share"}:
        what = "Ratios" if has_null(effects.measure) else "Effects"
        return [f"{what} were analysed as natural logarithms and are shown back-transformed"]
    if not scale_name(way):
        return []
    facts = back(way)
    by = "number of participants" if facts.size == "n" else "time at risk"
    sized = f", pooled ones with the harmonic mean of the studies' {by}{cite('miller1978')}" if facts.size else ""
    return [f"Effects were analysed on the {scale_name(way)} and are shown back-transformed{sized}"]


def _formula(effects: EffectSizes, cite: _Citations) -> str:
    """Return the formula of effects that were computed from raw numbers."""
    chosen = [choice for choice in choices_of(effects.measure, effects.options) if choice.formula]
    formula = "".join([about(effects.measure).formula, *(choice.formula for choice in chosen)])
    keys = dict.fromkeys((*MEASURES[effects.measure].cite, *(key for c in chosen for key in c.cite.split())))
    return f"{': ' if formula else ''}{formula}{cite(*keys)}"


def _convention_sentences(effects: EffectSizes, cite: _Citations) -> list[str]:
    """Say what else the conventions of the measure did with raw numbers, such as zero counts."""
    chosen = choices_of(effects.measure, effects.options)
    return [f"{choice.sentence}{cite(*choice.cite.split())}" for choice in chosen if choice.sentence]


def _model_sentences(spec: PoolSpec, cite: _Citations) -> list[str]:
    """Name model, weights, estimator of tau2 and the interval of the mean."""
    level = percent(spec.level)
    words, keys = MODEL_WORDS[spec.model]
    weights = f"with the weights of the column {spec.weights}" if spec.weights else "with inverse-variance weights"
    sentences = [f"Effects were pooled {weights} {words}{cite(*keys)}", *_tau2_sentences(spec, cite)]
    return [*sentences, f"Confidence intervals of pooled effects ({level}) {_mean_rule(spec.ci, cite)}{_drawn(spec)}"]


def _working_sentences(spec: PoolSpec, effects: EffectSizes, cite: _Citations) -> list[str]:
    """Name the working model of rows that depend on each other, what it assumes, and the interval of the mean."""
    if _one_study(effects):
        together = (
            "All effects are of one study. They depend on each other, so they were taken together as one, weighted by "
            f"the inverse of their sampling covariance; {_covariance_words(spec, effects, cite)}"
        )
        limits = f"The confidence interval ({percent(spec.level)}) is that of the normal distribution"
        return [together, f"{limits}; how much studies differ is not in it"]
    model = (
        "Some studies gave more than one effect. These depend on each other, so effects were pooled by a three-level "
        f"model, with variance between studies and between the effects of a study (by {spec.tau2}), as a working model"
        f"{cite('konstantopoulos2011', 'pustejovsky2022')}"
    )
    model += f"; {_covariance_words(spec, effects, cite)}"
    rule = _mean_rule(spec.ci, cite)
    hold = "so that they hold whatever the dependence within studies is"
    return [model, f"Confidence intervals of pooled effects ({percent(spec.level)}) {rule}, {hold}"]


def _covariance_words(spec: PoolSpec, effects: EffectSizes, cite: _Citations) -> str:
    """Say where the sampling covariance of effects of one study came from, and what was assumed for those here."""
    if effects.cov is not None:
        return "their sampling covariances came with the effects"
    kinds = set(dependent(effects).kinds.tolist())
    parts: list[str] = []
    if kinds & {*ARMS, ARM_RHO, NAMED_ARM}:
        parts.append(
            f"the sampling covariance of effects that share an arm was computed from that arm{cite('gleser2009')}"
        )
    if WITHIN in kinds:
        told = (
            "effects of all people of a study and of some of them were taken to vary together as their variances tell"
        )
        parts.append(told)
    if kinds - ARMS - NO_PEOPLE - {WITHIN}:
        other = "other " if parts else ""
        parts.append(f"{other}effects on the same people were taken to be correlated with r = {spec.rho:g}")
    apart = "the table says that effects of one study are of different people, whose sampling errors are independent"
    return ", and ".join(parts) or apart


def _one_study(effects: EffectSizes) -> bool:
    """Tell whether all rows with an effect are of one study."""
    return len(set(effects.clusters[effects.estimable].tolist())) < 2


def _working_heterogeneity(spec: PoolSpec, effects: EffectSizes, cite: _Citations) -> list[str]:
    """Name Q, I2 and the prediction interval of a working model."""
    tested = f"Heterogeneity was tested with Cochran's Q under these covariances{cite('cochran1954')}"
    if _one_study(effects):
        return [tested]
    share = (
        "τ² is the sum of the variances between and within studies, and I² was computed from it as τ²/(τ² + s²), where "
        f"s² is the typical sampling variance{cite('higgins2002')}"
    )
    if spec.pi == "none":
        return [tested, share, "Prediction intervals were not computed"]
    less = {"z": "the normal quantile", "t(k-1)": "t on studies − 1 df", "t(k-2)": "t on studies − 2 df"}[spec.pi]
    predicted = (
        f"Prediction intervals ({percent(spec.level)}) are those of a new effect of a new study: both variances and "
        f"the standard error of the mean, {less}{cite(*PREDICTION_KEYS)}; they need at least three studies"
    )
    return [tested, share, predicted]


def _tau2_sentences(spec: PoolSpec, cite: _Citations) -> list[str]:
    """Say how tau2 was estimated, or that it was given."""
    if not estimates_tau2(spec):
        return []
    if not isinstance(spec.tau2, str):
        given = f"The between-study variance was not estimated but given: τ² = {significant(spec.tau2)}"
        return [
            given,
            f"The {percent(spec.level)} confidence interval beside it, from the data, {_tau2_rule(spec, cite)}",
        ]
    entry, weights = TAU2_ESTIMATORS[spec.tau2], ""
    if spec.tau2 in WITH_WEIGHTS:
        weights = f", with the weights {f'of the column {spec.weights}' if spec.weights else '1/standard error'}"
    named = f"{entry.title} method ({spec.tau2}{weights})"
    return [
        f"The between-study variance τ² was estimated by the {named}{cite(*entry.cite)}",
        f"Its {percent(spec.level)} confidence interval {_tau2_rule(spec, cite)}",
    ]


def _tau2_rule(spec: PoolSpec, cite: _Citations) -> str:
    """Say after "interval" how that of tau2 was made."""
    return f"{tau2_interval_text(spec.tau2_ci)}{cite(*TAU2_INTERVALS[spec.tau2_ci].cite)}"


def _drawn(spec: PoolSpec) -> str:
    """Say how many random samples a rule of the mean drew and from which seed, nothing for one that draws none."""
    if not is_seeded(spec.ci):
        return ""
    samples = f"{spec.draws:,} random samples"
    if spec.ci == "perm":
        samples = f"all patterns for {EXACT_FLIPS} studies or fewer, or where {spec.draws:,} do; else so many at random"
    return f" ({samples}, seed {spec.rng})"


def _mean_rule(key: str, cite: _Citations) -> str:
    """Name the rule of the interval of the mean, after the rule that it guards."""
    words = mean_words(key)
    guarded = f"{_mean_rule(words.guards, cite)}; " if words.guards else ""
    return f"{guarded}{words.text}{cite(*MEAN_RULES[key].cite)}"


def _heterogeneity_sentences(spec: PoolSpec, cite: _Citations) -> list[str]:
    """Name Q, the definition of I2 and the prediction interval."""
    sentences = [f"Heterogeneity was tested with Cochran's Q{cite('cochran1954')}"]
    mark = cite("higgins2002")
    if i2_from_q(spec):
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
    keys = dict.fromkeys((*PREDICTION_KEYS, *PREDICTION_RULES[spec.pi].cite))
    sentences.append(
        f"Prediction intervals ({percent(spec.level)}) for the true effect in a new setting combine τ² with the "
        f"standard error of the mean and use {prediction_text(spec.pi)}{cite(*keys)}; they need at least three studies"
    )
    return sentences


def _subgroup_sentences(spec: PoolSpec, effects: EffectSizes, cite: _Citations) -> list[str]:
    """Name the subgroup analysis, and say how several effects of one study were treated."""
    sentences: list[str] = []
    if effects.by is not None:
        name = humanise(effects.by_name or "subgroup")
        own = ", each with its own τ²," if estimates_tau2(spec) and isinstance(spec.tau2, str) else ""
        how, test = f"separately{own}", "with Q and the Wald standard errors of the means"
        keys: tuple[str, ...] = ()
        if by_working_model(spec, effects):
            how = "separately by that model"
            test = (
                "where enough studies allow it, in one model of all by the approximate Hotelling T² of robust variance"
            )
            keys = ("tipton2015joint",)
        if spec.subgroup_tau2 == "common":
            how, test = "in one model, with a mean for each and one τ² for all,", "in that model"
        sentences.append(
            f"Subgroups by {name} were pooled {how} and the difference between their means was tested "
            f"{test}{cite(*keys, 'borenstein2013')}"
        )
    return sentences if by_working_model(spec, effects) else [*sentences, *_repeated_sentence(effects)]


def _repeated_sentence(effects: EffectSizes) -> list[str]:
    """Say how several effects of one study were treated."""
    clusters = effects.clusters[effects.estimable]
    if clusters.size == len(set(clusters.tolist())):
        return []
    sentence = (
        "Some studies gave more than one effect; these were pooled as if they were independent, which makes intervals "
        "too narrow where they share participants"
    )
    return [sentence]


def _software_sentence(spec: PoolSpec, effects: EffectSizes, cite: _Citations, software: str) -> str:
    """Name program, preset and what departs from it."""
    words, keys = PRESET_WORDS[spec.preset]
    working = by_working_model(spec, effects)
    chosen: dict[str, object] = {**spec.model_dump(), "tau2": tau2_label(spec), **effects.options}
    conventions = about(effects.measure).conventions
    words_known = MEASURE_PRESETS[spec.preset].items()
    usual: dict[str, str] = {"model": "random", **PRESETS[spec.preset], "tau2_ci": "QP"}
    usual |= {"subgroup_tau2": "separate"} if effects.by is not None else {}
    usual |= {name: word for name, word in words_known if name in conventions and word in conventions[name].choices}
    if not estimates_tau2(spec):
        usual = {name: value for name, value in usual.items() if name not in {"tau2", "pi", "i2", "tau2_ci"}} | {
            "ci": "Wald"
        }
    if working:
        usual = {name: value for name, value in usual.items() if name not in {"ci", "i2", "tau2_ci", "subgroup_tau2"}}
    titles = OPTION_WORDS | {name: convention.title for name, convention in conventions.items()}
    changed = [
        f"{titles.get(name, name)} {chosen[name]} instead of {value}"
        for name, value in usual.items()
        if name in chosen and chosen[name] != value
    ]
    departs = f", except: {'; '.join(changed)}" if changed else ""
    if working:
        named = f"what is not said here is as its preset '{spec.preset}' has it{cite(*keys)}"
        return f"Calculations were done with {software}; {named}{departs}"
    return f"Calculations were done with {software}, preset '{spec.preset}' ({words}{cite(*keys)}){departs}"
