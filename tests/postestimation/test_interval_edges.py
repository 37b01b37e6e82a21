"""Every word of every choice on the data that break formulas: a result or a clear note, never a crash or a nan."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from itertools import product
from typing import get_args

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models import specs
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.beyond import probability_beyond
from metaback.postestimation.summary import PoolSummary
from metaback.report.frames import pooled_frame
from metaback.report.methods import methods_text
from metaback.report.records import json_text, results_record
from metaback.report.text import summary_text

Make = Callable[..., EffectSizes]
CIS, PIS = get_args(specs.MeanInterval), get_args(specs.PredictionInterval)
TAU2_CIS, TAU2S = get_args(specs.Tau2Interval), get_args(specs.Tau2)
EDGES = {
    "one": ([0.4], [0.04]),
    "two": ([0.4, -0.1], [0.04, 0.09]),
    "two, far apart": ([40.0, -10.0], [0.04, 0.09]),
    "three": ([0.4, -0.1, 0.9], [0.04, 0.09, 0.01]),
    "equal effects": ([0.5, 0.5, 0.5, 0.5], [0.04, 0.09, 0.01, 0.2]),
    "two equal effects": ([0.5, 0.5], [0.04, 0.09]),
    "all zero": ([0.0, 0.0, 0.0], [0.04, 0.09, 0.01]),
    "equal variances": ([0.4, -0.1, 0.9, 0.2], [0.05, 0.05, 0.05, 0.05]),
    "all equal": ([0.5, 0.5, 0.5], [0.05, 0.05, 0.05]),
    "no heterogeneity": ([0.40, 0.42, 0.39, 0.41], [0.04, 0.09, 0.05, 0.2]),
    "one giant": ([0.4, -0.1, 0.9], [1e-12, 0.09, 0.01]),
}
BROKEN = re.compile(r"\b(nan|inf|None|NaN)\b")


def checked(effects: EffectSizes, spec: PoolSpec) -> PoolSummary:
    """Pool and look for what must not be in anything that a reader sees."""
    analysis = analyse(effects, spec)
    pool = analysis.overall
    texts = [summary_text(analysis), methods_text(spec, effects)[0], *pool.notes]
    broken = [text for text in texts if BROKEN.search(text)]
    assert not broken, (spec, broken)
    assert json_text(results_record([analysis]))
    pooled_frame(analysis, transform="natural")
    assert math.isfinite(pool.mean.point)
    assert pool.mean.lower <= pool.mean.point + 1e-9, spec
    assert pool.mean.point <= pool.mean.upper + 1e-9, spec
    assert math.isnan(pool.mean.p_value) or 0 <= pool.mean.p_value <= 1
    if pool.prediction is not None:
        assert pool.prediction.lower <= pool.prediction.upper
    for field in dataclasses.fields(pool.heterogeneity):
        value = getattr(pool.heterogeneity, field.name)
        assert value is None or not math.isnan(value), (spec, field.name)
    return pool


@pytest.mark.parametrize("edge", EDGES)
def test_every_mean_with_every_prediction(make: Make, edge: str) -> None:
    effects = make(*EDGES[edge])
    for ci, pi in product(CIS, PIS):
        pool = checked(effects, PoolSpec(ci=ci, pi=pi, tau2="DL", draws=99))
        if pool.prediction is None and pi != "none" and pool.k > 1:
            assert any("rediction interval" in note for note in pool.notes), (ci, pi)
        assert pool.prediction is None or pool.k >= 3


@pytest.mark.parametrize("edge", EDGES)
def test_every_estimator_with_every_interval_of_tau2(make: Make, edge: str) -> None:
    effects = make(*EDGES[edge])
    for tau2, tau2_ci in product(TAU2S, TAU2_CIS):
        pool = checked(effects, PoolSpec(tau2=tau2, tau2_ci=tau2_ci, ci="Wald"))
        found = pool.heterogeneity
        if pool.k == 1:
            assert found.tau2 is None
        elif found.tau2_low is None:
            assert any("is empty" in note for note in pool.notes)


@pytest.mark.parametrize("edge", EDGES)
def test_rules_of_the_mean_with_other_estimators(make: Make, edge: str) -> None:
    effects = make(*EDGES[edge])
    for tau2, ci in product(("HE", "PM", "ML", "REML"), CIS):
        checked(effects, PoolSpec(tau2=tau2, ci=ci, pi="z", draws=99))


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("model", ["equal", "fixed", "IVhet"])
def test_every_model_with_the_rules_that_it_has(make: Make, edge: str, model: str) -> None:
    effects = make(*EDGES[edge])
    for ci in CIS:
        try:
            spec = specs.resolve_spec(model=model, ci=ci)
        except OptionError:
            continue
        checked(effects, spec)


@pytest.mark.parametrize("edge", list(EDGES)[1:])
def test_the_probability_of_an_effect_that_matters(make: Make, edge: str) -> None:
    found = probability_beyond(analyse(make(*EDGES[edge]), PoolSpec()), 0.5)
    assert 0 <= found.point <= 1
    assert not BROKEN.search(str(found))


# ---------------------------------------------------------------- p values


FAR = ([33.0, 34.5, 33.9, 34.1, 33.2], [1.0, 1.1, 0.9, 1.2, 0.8])
RIGHT = 1e-8  # relative, the promise down to 1e-300


def test_a_p_value_of_1e_250_has_its_digits() -> None:
    y, v = FAR
    table = pd.DataFrame({"y": [value / 2.237 for value in y], "s": [value**0.5 for value in v], "t": list("ABCDE")})
    res = mb.pool(table, effect="y", se="s", study="t", model="equal", ci="Wald")
    with mpmath.workdps(60):
        w = [1 / mpmath.mpf(float(s)) ** 2 for s in table["s"]]
        z = mpmath.fdot(w, [mpmath.mpf(float(one)) for one in table["y"]]) / mpmath.sqrt(mpmath.fsum(w))
        exact = mpmath.erfc(abs(z) / mpmath.sqrt(2))
        assert mpmath.mpf("1e-260") < exact < mpmath.mpf("1e-240")
        assert abs(mpmath.mpf(res.p_value) / exact - 1) < RIGHT
    assert res.to_dict()["overall"]["mean"]["p_value"] == pytest.approx(float(exact), rel=RIGHT)
    assert "P < 0.001" in repr(res)
    q = 300.0
    assert mb.pool(table.assign(y=[0.0, 0.0, q, 0.0, 0.0]), effect="y", se="s", study="t").heterogeneity.q_p == 0


def test_a_small_p_value_of_t_has_its_digits() -> None:
    rng = np.random.default_rng(3)
    y, s = 3e3 + rng.normal(size=80), np.full(80, 0.01)
    res = mb.pool(pd.DataFrame({"y": y, "s": s}), effect="y", se="s", tau2="DL", ci="Wald-t")
    with mpmath.workdps(60):
        t, df = mpmath.mpf(res.estimate.statistic), mpmath.mpf(79)
        exact = mpmath.betainc(df / 2, 0.5, 0, df / (df + t * t), regularized=True)
        assert exact < mpmath.mpf("1e-200")
        assert abs(mpmath.mpf(res.p_value) / exact - 1) < RIGHT


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("ci", "words"), [("perm", "permutation P = "), ("HC", "Henmi-Copas P = "), ("PL", "likelihood-ratio P = "),
                      ("boot-percentile", "bootstrap P = "), ("KR", "t(5.9) = "), ("Wald", "z = ")]
)  # fmt: skip
def test_a_p_value_is_said_to_be_of_its_test(make: Make, ci: str, words: str) -> None:
    effects = make([0.1, 0.9, -0.4, 0.5, 1.6, 0.2, 0.7], [0.05, 0.08, 0.06, 0.1, 0.07, 0.09, 0.2])
    analysis = analyse(effects, PoolSpec(ci=ci, draws=99))
    assert words in summary_text(analysis)
    test = results_record([analysis])["comparisons"][0]["overall"]["mean"]["test"]
    assert (test is None) == (ci in {"KR", "Wald"})
    assert "z = " in summary_text(analyse(make([0.4], [0.04]), PoolSpec(ci=ci)))  # one study has its Wald test


def test_limits_without_an_end_are_infinite(make: Make) -> None:
    analysis = analyse(make(*EDGES["three"]), PoolSpec(ci="perm"))
    assert "−∞ to ∞" in summary_text(analysis)
    ratio = analyse(make(*EDGES["three"], measure="OR"), PoolSpec(ci="perm"))
    assert "0.00 to ∞" in summary_text(ratio)


@pytest.mark.parametrize(("pi", "words"), [("HK", "Hartung-Knapp"), ("NNF", "Nagashima"), ("z", "normal quantile")])
def test_a_prediction_interval_names_its_rule(make: Make, pi: str, words: str) -> None:
    effects = make([0.1, 0.9, -0.4, 0.5], [0.05, 0.08, 0.06, 0.1])
    assert words in summary_text(analyse(effects, PoolSpec(pi=pi)))


def test_samples_and_seed_are_in_the_methods(make: Make) -> None:
    effects = make(*EDGES["three"])
    assert "(4,999 random samples, seed 7)" in methods_text(PoolSpec(ci="boot-BCa", rng=7), effects)[0]
    assert "seed 1)" in methods_text(PoolSpec(ci="perm"), effects)[0]
    assert "seed" not in methods_text(PoolSpec(), effects)[0]


def test_the_rarer_words_of_a_pool() -> None:
    table = pd.DataFrame({"y": [0.1, 0.9, -0.4, 0.5], "s": [0.2, 0.3, 0.25, 0.3]})
    res = mb.pool(table, effect="y", se="s", ci="boot-basic", tau2_ci="PL", rng=5, draws=199, i2="Q")
    assert (res.spec.tau2_ci, res.spec.rng, res.spec.draws, res.spec.i2) == ("PL", 5, 199, "Q")
    frame = res.to_frame()
    assert frame["tau_high"][0] == pytest.approx(frame["tau2_high"][0] ** 0.5)
    assert frame["h2_low"][0] >= 1
    with pytest.raises(OptionError, match="option='drawz' is not known"):
        mb.pool(table, effect="y", se="s", drawz=5)
    with pytest.raises(OptionError, match="tau2_ci"):
        mb.pool_table(mb.load_dataset("backpain"), tau2_ci="QQ")
    assert mb.pool_table(mb.load_dataset("backpain"), outcome="pain", tau2_ci="J")[0].spec.tau2_ci == "J"


@pytest.mark.parametrize("ci", ["HC", "PL", "KR", "perm", "boot-percentile"])
@pytest.mark.parametrize(("measure", "back"), [("PLO", lambda x: 1 / (1 + np.exp(-x))), ("RR", np.exp)])
def test_whole_rules_come_back_to_the_natural_scale(make: Make, ci: str, measure: str, back: Callable) -> None:
    effects = make([-1.2, -0.4, -2.1, -0.8, -1.6, -0.9], [0.1, 0.2, 0.15, 0.08, 0.3, 0.12], measure=measure)
    pool = analyse(effects, PoolSpec(ci=ci, pi="NNF", draws=199)).overall
    assert pool.mean.natural() == pytest.approx(
        tuple(back(np.array([getattr(pool.mean, n) for n in ("point", "lower", "upper")])))
    )
    assert pool.prediction is not None
    assert pool.prediction.natural()[1] == pytest.approx(back(pool.prediction.lower))


def test_whole_rules_come_back_from_a_double_arcsine() -> None:
    table = pd.DataFrame({"study": list("ABCDEF"), "events": [3, 5, 8, 2, 9, 4], "n": [20, 31, 40, 25, 38, 22]})
    for ci in ("HC", "PL", "perm"):
        res = mb.pool(table, measure="PFT", ci=ci, pi="HK")
        point, low, high = res.estimate.natural()
        assert 0 <= low < point < high <= 1
        assert res.estimate.test == ""  # no test where 0 is not "no effect"
        assert 3 / 20 - 0.15 < point < 0.3


# ---------------------------------------------------------------- bootstrap P


@pytest.mark.parametrize("ci", ["boot-percentile", "boot-basic", "boot-BCa", "pboot-percentile", "pboot-basic"])
@pytest.mark.parametrize("shift", [0.0, 0.2, 0.4, 0.6, -0.8, 5.0])
def test_a_bootstrap_p_value_is_that_of_its_interval(make: Make, ci: str, shift: float) -> None:
    y = np.array([0.1, 0.9, -0.4, 0.5, 1.6, 0.2, 0.7]) - 0.5 + shift
    mean = analyse(
        make(y, [0.05, 0.08, 0.06, 0.1, 0.07, 0.09, 0.2]), PoolSpec(ci=ci, tau2="DL", draws=999)
    ).overall.mean
    assert (mean.p_value > 0.05) == (mean.lower <= 0 <= mean.upper)
    assert mean.p_value >= 2 / 1000


# ---------------------------------------------------------------- invariances


SEEDED = [ci for ci in CIS if ci.startswith(("boot", "pboot"))]
EFFECT = st.floats(-4, 4).map(lambda x: round(x * 2**12) / 2**12)
ROWS = st.lists(
    st.tuples(EFFECT, st.floats(-2, 1).map(lambda x: 10.0**x)), min_size=3, max_size=6, unique_by=lambda r: r[0]
)
SAME = 1e-6  # of the width: limits that are found by iteration at another scale; ties of sign patterns


def ends(make: Make, y: np.ndarray, v: np.ndarray, spec: PoolSpec) -> np.ndarray:
    pool = analyse(make(y, v), spec).overall
    found = [pool.mean.point, pool.mean.lower, pool.mean.upper]
    found += [math.nan] * 2 if pool.prediction is None else [pool.prediction.lower, pool.prediction.upper]
    return np.array(found)


@pytest.mark.parametrize(("ci", "pi"), [*((ci, "none") for ci in CIS), *(("Wald", pi) for pi in PIS if pi != "none")])
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, shift=st.sampled_from([1.0, -8.0, 2.0**10]), unit=st.sampled_from([2.0**-10, -1.0, 2.0**10]))
def test_shift_unit_sign_and_order(
    make: Make, ci: str, pi: str, rows: list[tuple[float, float]], shift: float, unit: float
) -> None:
    y, v = (np.array(column) for column in zip(*rows, strict=True))
    spec = PoolSpec(ci=ci, pi=pi, tau2="DL", draws=99)
    base = ends(make, y, v, spec)
    finite = base[np.isfinite(base)]
    width = finite.max() - finite.min() + np.sqrt(v.min())
    same = {"rtol": 0, "atol": SAME * width}
    np.testing.assert_allclose(ends(make, y + shift, v, spec), base + shift, **same)
    np.testing.assert_allclose(ends(make, y[::-1], v[::-1], spec), base, **same)
    moved = ends(make, y * abs(unit), v * unit**2, spec)
    np.testing.assert_allclose(moved, base * abs(unit), rtol=0, atol=SAME * width * abs(unit))
    if unit < 0 and ci not in SEEDED:
        turned = ends(make, -y, v, spec)
        np.testing.assert_allclose(turned, -base[[0, 2, 1, 4, 3]], **same)
