"""The methods paragraph names every choice, and what it cites exists."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.presets import MEASURE_PRESETS
from metaback.models import specs
from metaback.models.specs import PRESETS
from metaback.postestimation.summary import Analysis
from metaback.postestimation.working import in_its_words
from metaback.report.bibliography import references
from metaback.report.methods import methods_keys, methods_text
from metaback.report.sections import document_keys, report_document
from metaback.stats.inference import MEAN_RULES, PREDICTION_RULES, mean_words, prediction_text, whole_rule
from metaback.stats.measures import MEASURES, about, raw_roles
from metaback.stats.measures.family import option_names

resolve_spec = partial(specs.resolve_spec, independent=True)  # the effects of the fixtures repeat a study
SNAPSHOTS = Path(__file__).parent / "snapshots"


def options(preset: str, measure: str = "SMD") -> dict[str, str]:
    names = {"SMD": ("vtype",), "RR": ("zeros",)}[measure]
    return {name: MEASURE_PRESETS[preset][name] for name in names}


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_reads_as_it_was_approved(preset: str, make_effects: Callable[..., EffectSizes]) -> None:
    text, keys = methods_text(resolve_spec(preset), make_effects(options=options(preset)), software="metaback 0.1.0")
    assert f"{text}\n{' '.join(keys)}\n" == (SNAPSHOTS / f"methods_{preset}.txt").read_text(encoding="utf-8")


def test_dependent_effects_read_as_they_were_approved(make_effects: Callable[..., EffectSizes]) -> None:
    effects, spec = make_effects(options=options("cochrane")), in_its_words(specs.resolve_spec())
    text, keys = methods_text(spec, effects, software="metaback 0.1.0")
    approved = (SNAPSHOTS / "methods_dependent.txt").read_text(encoding="utf-8")
    assert f"{text}\n{' '.join(keys)}\n" == approved


def test_ratio_names_zero_counts_and_logarithms(ratio: Analysis) -> None:
    text, keys = methods_text(ratio.fitted.spec, ratio.fitted.effects)
    assert "0.5 was added to all four cells" in text
    assert "natural logarithms" in text
    assert "sweeting2004" in keys
    assert "Subgroups" not in text


@pytest.mark.parametrize(("zeros", "words"), [("metafor", "also when neither arm"), ("none", "were not corrected")])
def test_each_zero_policy_has_words(
    zeros: str, words: str, ratio: Analysis, make_effects: Callable[..., EffectSizes]
) -> None:
    effects = make_effects(measure="RR", options={"zeros": zeros}, obtained=("counts",) * 4 + ("",))
    assert words in methods_text(ratio.fitted.spec, effects)[0]


def test_formulas_are_told_only_where_they_were_used(make_effects: Callable[..., EffectSizes]) -> None:
    printed = make_effects(obtained=("printed effect with 95% CI",) * 4 + ("",))
    assert "pooled standard deviation" not in methods_text(resolve_spec(), printed)[0]
    assert "divided by 2 × 1.96" in methods_text(resolve_spec(), printed)[0]
    raw = make_effects(obtained=("means and SDs",) * 4 + ("",))
    assert "pooled standard deviation" in methods_text(resolve_spec(), raw)[0]
    assert "2 × 1.96" not in methods_text(resolve_spec(), raw)[0]


def test_independent_effects_are_not_warned_about(make_effects: Callable[..., EffectSizes]) -> None:
    assert "as if they were independent" in methods_text(resolve_spec(), make_effects())[0]
    assert "independent" not in methods_text(resolve_spec(), make_effects(clusters=np.arange(5)))[0]


def test_what_departs_from_the_preset_is_told(make_effects: Callable[..., EffectSizes]) -> None:
    text, _ = methods_text(resolve_spec("cochrane", tau2="DL", level=0.9), make_effects(options={"vtype": "LS"}))
    assert "except: estimator of τ² DL instead of REML; variance of the standardised mean difference LS instead" in text
    assert "(90%)" in text
    assert "95% CI" not in text.replace("printed effect with 95% CI", "")
    assert "except" not in methods_text(resolve_spec("cochrane"), make_effects())[0]
    assert "except: model equal instead of random" in methods_text(resolve_spec(model="equal"), make_effects())[0]


def test_every_choice_changes_the_words(make_effects: Callable[..., EffectSizes]) -> None:
    for name, alias in (
        ("tau2", specs.Tau2),
        ("ci", specs.MeanInterval),
        ("pi", specs.PredictionInterval),
        ("i2", specs.I2Definition),
    ):
        texts = {methods_text(resolve_spec(**{name: word}), make_effects())[0] for word in get_args(alias)}
        assert len(texts) == len(get_args(alias)), name


def test_every_combination_cites_what_exists(make_effects: Callable[..., EffectSizes]) -> None:
    means, predictions = get_args(specs.MeanInterval), get_args(specs.PredictionInterval)
    random = [{"ci": ci, "pi": pi} for ci, pi in product(means, predictions)]
    random += [
        {"tau2": tau2, "tau2_ci": rule} for tau2, rule in product(get_args(specs.Tau2), get_args(specs.Tau2Interval))
    ]
    simple = [ci for ci in means if whole_rule(ci) is None]
    others = [{"model": model, "ci": ci} for model, ci in product(get_args(specs.Model), simple)]
    for choice, measure in product(random + others, ("SMD", "MD", "RR", "OR", "RD", "GEN")):
        effects = make_effects(measure=measure, options={}, obtained=("counts", "means and SDs", "x", "y", ""))
        text, keys = methods_text(resolve_spec(**choice), effects)
        assert set(keys) <= set(references())
        numbers = [int(n) for group in re.findall(r"\[([\d, ]+)\]", text) for n in group.split(",")]
        assert sorted(set(numbers)) == list(range(1, len(keys) + 1))
        first = list(dict.fromkeys(numbers))
        assert first == sorted(first)
        assert "significan" not in text.replace("significant digits", "")


def test_numbers_go_on_from_those_of_the_document(make_effects: Callable[..., EffectSizes]) -> None:
    text, keys = methods_text(resolve_spec(), make_effects(), cited=("tataryn2021", "cochran1954"))
    assert keys[:2] == ("tataryn2021", "cochran1954")
    assert "Cochran's Q [2]" in text


def test_a_document_cites_each_reference_once(analysis: Analysis, ratio: Analysis) -> None:
    keys = document_keys([analysis, ratio])
    assert len(keys) == len(set(keys))
    assert set(keys) == {*methods_keys(analysis.fitted.spec, analysis.fitted.effects)} | {
        *methods_keys(ratio.fitted.spec, ratio.fitted.effects)
    }
    listed = report_document([analysis, ratio], title="x").blocks[-1]
    assert len(listed.items) == len(keys)  # type: ignore[union-attr]


@pytest.mark.parametrize("key", tuple(MEASURES))
def test_a_measure_has_words_for_its_formula_and_conventions(key: str) -> None:
    facts = about(key)
    assert bool(facts.formula) == bool(raw_roles(key))
    assert set(facts.conventions) == set(option_names(key))
    for convention in facts.conventions.values():
        assert convention.title
        for choice in convention.choices.values():
            assert set(choice.cite.split()) <= set(references())


@pytest.mark.parametrize("name", ["vtype", "zeros"])
def test_every_word_of_a_preset_is_known_to_some_measure(name: str) -> None:
    known = {word for key in MEASURES for word in getattr(about(key).conventions.get(name), "choices", ())}
    assert {preset[name] for preset in MEASURE_PRESETS.values()} <= known


@pytest.mark.parametrize("key", tuple(MEAN_RULES))
def test_a_rule_of_the_mean_has_words(key: str) -> None:
    words = mean_words(key)
    assert words.short
    assert not words.text.endswith(".")
    assert words.guards in {"", *MEAN_RULES}
    assert words.guards != key


def test_a_rule_of_prediction_has_words_of_its_own() -> None:
    assert len({prediction_text(key) for key in PREDICTION_RULES}) == len(PREDICTION_RULES)


@pytest.mark.parametrize(("measure", "told"), [("RR", True), ("OR", True), ("RD", False)])
def test_studies_without_events_are_told_of_ratios_only(
    measure: str, told: bool, make_effects: Callable[..., EffectSizes]
) -> None:
    effects = make_effects(measure=measure, options={"zeros": "RevMan"}, obtained=("counts",) * 4 + ("",))
    text, keys = methods_text(resolve_spec(), effects)
    when = "a study had a zero count" if told else "a zero count left a variance undefined"
    assert f"Where {when}, 0.5 was added" in text
    assert ("say nothing about a ratio" in text) == told
    assert {"deeks2010", "sweeting2004"} <= set(keys)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"tau2": 0.04}, "The residual between-study variance was given: τ² = 0.0400."),
        ({"model": "fixed"}, "No residual between-study variance was allowed for (τ² = 0)."),
        ({"tau2": "GENQM"}, "was estimated by the median-unbiased generalised Q method"),
    ],
    ids=str,
)
def test_a_regression_says_where_its_tau2_is_from(choices: dict[str, str | float], words: str) -> None:
    pain = mb.load_dataset("backpain").query("outcome == 'pain'")
    assert words in mb.regress(pain, "~ weeks", **choices).methods_text()


def test_the_weights_of_a_generalised_q_are_told(make_effects: Callable[..., EffectSizes]) -> None:
    assert "(GENQ, with the weights 1/standard error)" in methods_text(resolve_spec(tau2="GENQ"), make_effects())[0]
    own = resolve_spec(tau2="GENQM", weights="w", ci="Wald")
    assert "(GENQM, with the weights of the column w)" in methods_text(own, make_effects())[0]


def test_the_interval_of_tau2_is_told_whoever_chose_it(make_effects: Callable[..., EffectSizes]) -> None:
    text = methods_text(resolve_spec(tau2_ci="J"), make_effects())[0]
    assert "except: interval of τ² J instead of QP" in text
    given = methods_text(resolve_spec(tau2=0.04), make_effects())[0]
    assert "not estimated but given: τ² = 0.0400. The 95% confidence interval beside it" in given
    assert "Q-profile" in given
    assert "instead of QP" not in methods_text(resolve_spec(model="equal", tau2_ci="J"), make_effects())[0]


SHEET = "study,outcome,effect,se,treatment_1,treatment_2,n_1,n_2,mean_1,sd_1,mean_2,sd_2,weeks"


def dependent_effects(*rows: str) -> EffectSizes:
    return mb.effect_sizes(mb.read_trials("\n".join([SHEET, *rows]).encode()), measure="MD")


SHARED = (
    "Ito,pain,,,aerobic,usual,30,31,41.21,12.13,52.34,14.57,8",
    "Ito,pain,,,strength,usual,28,31,43.35,13.19,52.34,14.57,8",
    "Lund,pain,,,aerobic,usual,40,42,38.14,15.21,49.62,16.78,8",
)
TIMES = (
    "Ito,pain,,,aerobic,usual,30,31,41.21,12.13,52.34,14.57,8",
    "Ito,pain,,,aerobic,usual,30,31,44.35,13.19,51.34,14.18,26",
    "Lund,pain,,,aerobic,usual,40,42,38.14,15.21,49.62,16.78,8",
)


@pytest.mark.parametrize(
    ("rows", "arm", "rho"),
    [(SHARED, True, False), (TIMES, False, True), (SHARED + TIMES[1:2], True, True)],
)
def test_only_what_was_assumed_of_these_effects_is_told(rows: tuple[str, ...], arm: bool, rho: bool) -> None:
    text, keys = methods_text(specs.resolve_spec(), dependent_effects(*rows))
    assert ("computed from that arm" in text) == arm == ("gleser2009" in keys)
    assert ("effects on the same people were taken to be correlated with r = 0.6" in text) == rho
    assert ("and other effects" in text) == (arm and rho)


def test_a_plan_reads_as_the_report_of_its_pool() -> None:
    """The request alone, as `--dry-run` has it, names the rules that will answer: CR2, and not those of its preset."""
    effects = dependent_effects(*TIMES)
    before = methods_text(specs.resolve_spec(), effects)
    assert before == methods_text(in_its_words(specs.resolve_spec()), effects)
    assert "cluster-robust variance CR2" in before[0]
    assert "Hartung" not in before[0]
    assert "HKSJ" not in before[0]
    assert "except" not in before[0]


def test_one_study_is_no_three_level_model() -> None:
    text, _ = methods_text(specs.resolve_spec(), dependent_effects(*TIMES[:2]))
    assert "All effects are of one study." in text
    assert "weighted by the inverse of their sampling covariance" in text
    assert not any(words in text for words in ("three-level", "CR2", "τ²", "Prediction intervals", "HKSJ"))
