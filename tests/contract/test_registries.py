"""What every method of a family must keep, whoever adds it: these tests run over the registries."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from scipy.stats import chi2

from metaback import vocabulary
from metaback.data.roles import ROLES
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.presets import MEASURE_PRESETS
from metaback.errors import OptionError
from metaback.models.specs import PRESETS, PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.plots.forest_layouts import LAYOUTS
from metaback.postestimation.analysis import analyse
from metaback.registry import Registry
from metaback.report.formats import FORMATS
from metaback.stats.inference import MEAN_RULES, PREDICTION_RULES
from metaback.stats.measures import MEASURES, about, raw_roles
from metaback.stats.measures.family import option_names
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.tau2_interval import TAU2_INTERVALS
from metaback.stats.transforms import back
from metaback.stats.wls import prepare

SAME = 1e-9  # RELIABILITY (3)
BATCH = 1e-12  # the same sums, another order
FAMILIES: dict[str, Registry] = {
    "tau2": TAU2_ESTIMATORS,
    "ci": MEAN_RULES,
    "pi": PREDICTION_RULES,
    "measure": MEASURES,
}
ENTRIES = [(family, key) for family, registry in FAMILIES.items() for key in registry]
BIBLIOGRAPHY = (Path(__file__).parents[2] / "references.bib").read_text(encoding="utf-8")


# ---------------------------------------------------------------- what an entry must bring


@pytest.mark.parametrize(("family", "key"), ENTRIES)
def test_an_entry_has_a_title_and_references_that_exist(family: str, key: str) -> None:
    entry = FAMILIES[family][key]
    assert entry.key == key
    assert len(entry.title) > 3
    assert entry.cite
    for word in entry.cite:
        assert re.search(rf"^@\w+{{{word},", BIBLIOGRAPHY, re.MULTILINE), word


@pytest.mark.parametrize(("family", "key"), ENTRIES)
def test_an_entry_has_a_docstring_that_names_its_source(family: str, key: str) -> None:
    text = inspect.getdoc(FAMILIES[family][key].function) or ""
    assert text.splitlines()[0].rstrip().endswith((".", "correction")) or text.count("\n")
    assert "Source:" in text


@pytest.mark.parametrize("family", tuple(FAMILIES))
def test_an_unknown_word_is_refused_with_the_family(family: str) -> None:
    with pytest.raises(OptionError) as caught:
        FAMILIES[family]["nonsense"]
    assert str(caught.value).startswith(f"{family}='nonsense' is not known")
    assert all(key in str(caught.value) for key in FAMILIES[family])


@pytest.mark.parametrize("family", tuple(FAMILIES))
def test_a_family_is_a_table(family: str) -> None:
    registry = FAMILIES[family]
    assert [entry.key for entry in registry.entries()] == list(registry)
    assert len(registry) == len(set(registry)) >= 3
    key = next(iter(registry))
    with pytest.raises(KeyError, match="defined twice"):
        registry.register(key, title="again")(lambda: None)


def test_the_words_of_a_spec_are_the_keys_of_the_families() -> None:
    assert set(get_args(vocabulary.Tau2)) == set(TAU2_ESTIMATORS)
    assert set(get_args(vocabulary.Tau2Interval)) == set(TAU2_INTERVALS)
    assert set(get_args(vocabulary.MeanInterval)) == set(MEAN_RULES)
    assert set(get_args(vocabulary.PredictionInterval)) == {"none", *PREDICTION_RULES}
    assert set(get_args(vocabulary.Preset)) == set(PRESETS) == set(MEASURE_PRESETS)


def test_the_words_of_a_report_are_the_layouts_and_formats_that_can_be_written() -> None:
    assert set(get_args(vocabulary.Layout)) == set(LAYOUTS)
    assert {"md", *get_args(vocabulary.Format)} == set(FORMATS)


@pytest.mark.parametrize("preset", tuple(PRESETS))
def test_a_preset_is_made_of_known_words(preset: str) -> None:
    spec = PoolSpec(preset=preset, **PRESETS[preset])
    assert PoolSpec.model_validate_json(spec.model_dump_json()) == spec
    names = {name for key in MEASURES for name in option_names(key)}
    assert set(MEASURE_PRESETS[preset]) <= names


# ---------------------------------------------------------------- estimators of tau2 and rules of the mean

RNG = np.random.default_rng(20)
K = np.array([2, 3, 5, 8, 12, 12, 12, 12])
MASK = np.arange(12) < K[:, None]
Y = np.round(RNG.normal(0, 1, (8, 12)) * 2**20) / 2**20
V = 10 ** RNG.uniform(-2, 1, (8, 12))
POOLS = [{"tau2": key, "ci": ci} for key in TAU2_ESTIMATORS for ci in MEAN_RULES]


def numbers(y: np.ndarray, v: np.ndarray, mask: np.ndarray, spec: dict[str, str]) -> tuple[np.ndarray, ...]:
    """Return mean, se, tau2 and df of a batch."""
    fit = fit_univariate(y, v, mask, PoolSpec(**spec))
    assert (fit.status == 0).all()
    assert (fit.theta >= 0).all()
    return fit.beta[..., 0], np.sqrt(fit.cov[..., 0, 0]), fit.theta[..., 0], fit.df


@pytest.mark.parametrize("spec", POOLS, ids=lambda spec: "-".join(spec.values()))
def test_pools_are_equivariant(spec: dict[str, str]) -> None:
    mean, se, tau2, df = numbers(Y, V, MASK, spec)
    order = RNG.permutation(12)
    for found, true in [
        (numbers(Y + 64, V, MASK, spec), (mean + 64, se, tau2, df)),
        (numbers(-Y, V, MASK, spec), (-mean, se, tau2, df)),
        (numbers(Y * 1e-4, V * 1e-8, MASK, spec), (mean * 1e-4, se * 1e-4, tau2 * 1e-8, df)),
        (numbers(Y * 1e5, V * 1e10, MASK, spec), (mean * 1e5, se * 1e5, tau2 * 1e10, df)),
        (numbers(Y[:, order], V[:, order], MASK[:, order], spec), (mean, se, tau2, df)),
    ]:
        for a, b in zip(found, true, strict=True):
            np.testing.assert_allclose(a, b, rtol=SAME)


@pytest.mark.parametrize("spec", POOLS, ids=lambda spec: "-".join(spec.values()))
def test_a_batch_is_a_loop_over_subsets(spec: dict[str, str]) -> None:
    batch = numbers(np.where(MASK, Y, np.nan), np.where(MASK, V, np.nan), MASK, spec)
    for i, k in enumerate(K):
        for a, b in zip(batch, numbers(Y[i, :k], V[i, :k], np.ones(k, dtype=bool), spec), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=BATCH, atol=1e-15)


@pytest.mark.parametrize("spec", POOLS, ids=lambda spec: "-".join(spec.values()))
def test_one_study_and_equal_effects(spec: dict[str, str]) -> None:
    one = np.ones(1, dtype=bool)
    assert [float(x) for x in numbers(np.array([0.4]), np.array([0.04]), one, spec)] == [0.4, 0.2, 0.0, np.inf]
    mean, se, tau2, _ = numbers(np.full(4, 0.7), V[0, :4], np.ones(4, dtype=bool), spec)
    assert (mean, tau2) == (0.7, 0.0)
    assert se == (0 if spec["ci"] == "HKSJ" else pytest.approx((1 / (1 / V[0, :4]).sum()) ** 0.5, rel=1e-14))


def equal_variances(key: str, s2: np.ndarray, v: float, k: int) -> np.ndarray:
    """Return what an estimator is for equal variances, by hand from its definition; s2 is the sample variance."""
    t = s2 * (k - 1) / k
    closed = {
        "HS": t - v,  # Q = (k - 1) s2 / v less k, over k / v
        "ML": t - v,
        "SJ": t * s2 / (v + t),
        "PMM": s2 * (k - 1) / chi2(k - 1).median() - v,
        "GENQM": s2 * (k - 1) / chi2(k - 1).median() - v,
    }
    return np.maximum(0, closed.get(key, s2 - v))


@pytest.mark.parametrize("key", tuple(TAU2_ESTIMATORS))
def test_an_estimator_of_equal_variances_is_the_excess_of_a_variance(key: str) -> None:
    y = Y[5:]
    for v in (0.01, 0.5, 50.0):
        found = TAU2_ESTIMATORS[key].function(prepare(y, np.full(y.shape, v), np.ones(y.shape, dtype=bool)))
        np.testing.assert_allclose(found.value, equal_variances(key, y.var(axis=1, ddof=1), v, 12), rtol=1e-12)
        assert found.converged.all()


@pytest.mark.parametrize("key", tuple(MEAN_RULES))
def test_a_rule_of_the_mean_knows_its_level(key: str) -> None:
    q1, m = np.array([0.5, 4.0, 9.0]), np.array([4.0, 4.0, 4.0])
    before = q1.copy(), m.copy()
    factor, df = MEAN_RULES[key].function(q1, m, 0.95)
    assert factor.shape == df.shape == (3,)
    assert (factor >= 0).all()
    assert (df > 0).all()
    np.testing.assert_array_equal((q1, m), before)


@pytest.mark.parametrize("key", tuple(PREDICTION_RULES))
def test_prediction_holds_the_mean_and_is_wider_than_its_interval(key: str) -> None:
    words = ("",) * 12
    effects = EffectSizes(
        Y[7], V[7], np.ones(12, dtype=bool), words, words, np.arange(12), "GEN", {}, words, words, words, {}
    )
    for tau2 in TAU2_ESTIMATORS:
        pool = analyse(effects, PoolSpec(tau2=tau2, pi=key, ci="Wald")).overall
        assert pool.prediction is not None
        assert pool.prediction.lower <= pool.mean.lower <= pool.mean.point <= pool.mean.upper <= pool.prediction.upper


# ---------------------------------------------------------------- measures

VALUES = {
    "mean_1": [10.2, 3.5, 5.0],
    "sd_1": [2.1, 0.4, 1.0],
    "n_1": [130.0, 50.0, 2000.0],
    "mean_2": [8.9, 3.0, 5.0],
    "sd_2": [2.4, 0.9, 1.5],
    "n_2": [128.0, 46.0, 100.0],
    "events_1": [4.0, 30.0, 0.0],
    "events_2": [11.0, 12.0, 4.0],
    "time_1": [123.0, 50.0, 25.5],
    "time_2": [139.0, 51.0, 26.0],
    "pairs_11": [20.0, 9.0, 30.0],
    "pairs_12": [7.0, 3.0, 0.0],
    "pairs_21": [4.0, 5.0, 6.0],
    "pairs_22": [31.0, 8.0, 12.0],
    "n": [60.0, 25.0, 200.0],
    "r": [0.5, -0.2, 0.8],
    "events": [12.0, 0.0, 150.0],
    "time": [40.0, 12.5, 300.0],
    "mean": [3.2, 10.0, 0.5],
    "sd": [1.1, 4.0, 0.2],
    "alpha": [0.8, 0.65, 0.91],
    "items": [10.0, 5.0, 24.0],
    "r2": [0.4, 0.3, 0.75],
    "predictors": [2.0, 3.0, 4.0],
    "auc": [0.7, 0.55, 0.81],
    "t": [2.1, -1.0, 4.0],
    "mean_pre_1": [30.0, 5.0, 9.0],
    "sd_pre_1": [6.0, 1.0, 2.0],
    "mean_post_1": [36.0, 5.5, 8.0],
    "sd_post_1": [7.0, 1.2, 2.5],
    "mean_pre_2": [31.0, 5.1, 9.5],
    "sd_pre_2": [6.5, 1.1, 2.2],
    "mean_post_2": [32.0, 5.0, 9.0],
    "sd_post_2": [6.0, 1.0, 2.0],
    "r_1": [0.5, 0.7, 0.3],
    "r_2": [0.6, 0.65, 0.4],
    "mean_change_1": [6.0, 0.5, -1.0],
    "sd_change_1": [3.0, 0.6, 1.5],
    "mean_change_2": [1.0, -0.1, -0.5],
    "sd_change_2": [2.5, 0.5, 1.2],
    "mean_adj_1": [10.2, 3.5, 5.0],
    "mean_adj_2": [8.9, 3.0, 5.0],
    "sd_residual": [1.9, 0.5, 1.1],
    "r_covariate": [0.6, -0.2, 0.75],
    "scale_low": [0.0, 1.0, 0.0],
    "scale_high": [20.0, 7.0, 10.0],
    "sd_reference": [2.5, 0.7, 1.3],
    "mid": [1.0, 0.5, 2.0],
    "homozygotes_1": [10.0, 3.0, 400.0],
    "heterozygotes": [22.0, 0.0, 390.0],
    "homozygotes_2": [8.0, 7.0, 101.0],
}
COMPUTED = [key for key in MEASURES if raw_roles(key)]
# words by which rows share a mean or a correction
TIED = {"AV", "AVHO", "AV2", "if0all", "if0all-drop00", "UB", "H0a", "H0b"}
CHOICES = [
    (key, {name: word})
    for key in COMPUTED
    for name, convention in about(key).conventions.items()
    for word in convention.choices
] + [(key, {}) for key in COMPUTED if not option_names(key)]
FREE = [(key, options) for key, options in CHOICES if not TIED & set(options.values())]
ONE_SIDED = {"SMD1", "SMD1H"}  # the second group alone sets the unit
COMPLEMENT = {"CLES", "CLESN", "AUC", "AUCN"}  # the other arm has the rest to 1
TWO_ARMS = [
    (key, options)
    for key, options in FREE
    if all(role[-2:] in {"_1", "_2"} for role in raw_roles(key)) and about(key).kind in {"means", "counts"}
    if key not in ONE_SIDED | COMPLEMENT
]


def arguments(key: str, **changes: list[float]) -> list[np.ndarray]:
    raw = VALUES | changes
    return [np.array(raw[role]) for role in raw_roles(key)]


@pytest.mark.parametrize("key", tuple(MEASURES))
def test_a_signature_is_made_of_roles(key: str) -> None:
    facts = about(key)
    assert facts.key == key
    assert facts.scale in {"linear", "log"}
    assert back(facts.back).key == facts.back
    assert set(raw_roles(key)) <= set(ROLES)
    assert bool(raw_roles(key)) or key in {"GEN", "HR", "HD"}


@pytest.mark.parametrize(("key", "options"), TWO_ARMS)
def test_swapping_the_arms_turns_the_effect(key: str, options: dict[str, str]) -> None:
    roles = raw_roles(key)
    swapped = [np.array(VALUES[role[:-1] + {"1": "2", "2": "1"}[role[-1]]]) for role in roles]
    one, other = MEASURES[key].function(*arguments(key), **options), MEASURES[key].function(*swapped, **options)
    np.testing.assert_allclose(other.yi, -one.yi, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.vi, one.vi, rtol=1e-9)
    np.testing.assert_array_equal(other.defined, one.defined)
    np.testing.assert_array_equal(other.corrected, one.corrected)


@pytest.mark.parametrize(("key", "options"), FREE)
def test_rows_do_not_know_each_other_and_inputs_stay(key: str, options: dict[str, str]) -> None:
    given = arguments(key)
    before = [a.copy() for a in given]
    whole = MEASURES[key].function(*given, **options)
    for i in range(len(given[0])):
        alone = MEASURES[key].function(*(a[i : i + 1] for a in given), **options)
        for name in ("defined", "corrected"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(whole, name)[i : i + 1])
        for name in ("yi", "vi"):
            np.testing.assert_allclose(getattr(alone, name), getattr(whole, name)[i : i + 1], rtol=1e-12)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(("key", "options"), CHOICES)
def test_an_effect_is_defined_with_its_variance_or_not_at_all(key: str, options: dict[str, str]) -> None:
    done = MEASURES[key].function(*arguments(key), **options)
    assert done.defined.any()
    np.testing.assert_array_equal(np.isfinite(done.yi), done.defined)
    np.testing.assert_array_equal(np.isfinite(done.vi), done.defined)
    assert (done.vi[done.defined] > 0).all()
    assert not (done.corrected & ~done.defined).any()


@pytest.mark.parametrize(("key", "power"), [("SMD", 0), ("MD", 1), ("SMDH", 0), ("VR", 0)])
@pytest.mark.parametrize("factor", [1e-3, 60.0])
def test_a_change_of_unit(key: str, power: int, factor: float) -> None:
    scaled = {role: [factor * x for x in VALUES[role]] for role in ("mean_1", "sd_1", "mean_2", "sd_2")}
    one, other = (MEASURES[key].function(*arguments(key, **c)) for c in ({}, scaled))
    np.testing.assert_allclose(other.yi, one.yi * factor**power, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(other.vi, one.vi * factor ** (2 * power), rtol=1e-12)
    shifted = {role: [x + 8 for x in VALUES[role]] for role in ("mean_1", "mean_2")}
    moved = MEASURES[key].function(*arguments(key, **shifted))
    np.testing.assert_allclose(moved.yi, one.yi, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("key", ["RR", "OR", "RD", "AS", "PHI", "YUQ", "YUY", "IRR", "MPOR", "MPRD"])
def test_ten_times_the_people_is_a_tenth_of_the_variance(key: str) -> None:
    more = {role: [10 * x for x in VALUES[role]] for role in raw_roles(key)}
    one, other = (MEASURES[key].function(*arguments(key, **c), zeros="none") for c in ({}, more))
    np.testing.assert_allclose(other.yi, one.yi, rtol=1e-11)
    np.testing.assert_allclose(other.vi, one.vi / 10, rtol=1e-11)


@pytest.mark.parametrize(("key", "options"), CHOICES)
def test_a_convention_that_is_not_known_is_refused(key: str, options: dict[str, str]) -> None:
    for name in options:
        with pytest.raises(OptionError, match=f"{name}='nonsense'"):
            MEASURES[key].function(*arguments(key), **{name: "nonsense"})
