"""A batch is a loop: every question that fits many pools at once has the numbers of as many single ones.

One data set and one request make as many pools as it has rows and one more: of all rows, and without each. A loop of
`pool` (or of `regress`) gives their numbers one by one, and `pool_many`, `pool_arrays`, `leave_one_out` and the
multiverse must give the same from their batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import PredictionInterval, Tau2, Tau2Interval

SAME = 1e-12  # the promise; the two differ in the order of a few sums
PERFECT = 1e-12  # of the size of the data: a standard error below it is what rounding leaves of a perfect fit
COLUMNS = 1e-10  # arrays are fitted in their own columns, a regression in orthonormal ones
QUICK = 40  # of make test; 1,000 in make test-all
PLACES = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")
REST = ("se", "statistic", "df", "p_value", "tau2", "tau2_low", "tau2_high", "i2", "q", "q_p")
NAMES = (*PLACES, *REST)
UNITLESS = ("statistic", "df", "p_value", "i2", "q", "q_p")
RULES = ("Wald", "Wald-t", "HKSJ", "HKSJ-wider", "HKSJ-q1")  # serve means and coefficients
OF_A_MEAN = ("KR", "HC", "PL")
Case = tuple[float, float, float]  # effect, variance, moderator


def requests() -> st.SearchStrategy[dict[str, Any]]:
    """Return requests of every model, estimator and rule that does not resample, as keywords of `pool`."""
    common = {
        "level": st.sampled_from([0.8, 0.95, 0.99]),
        "i2": st.sampled_from(["tau2", "Q"]),
        "tau2_ci": st.sampled_from(get_args(Tau2Interval)),
    }
    random = st.fixed_dictionaries(
        common
        | {
            "tau2": st.sampled_from([*get_args(Tau2), 0.0, 0.3]),
            "ci": st.sampled_from((*RULES, *OF_A_MEAN)),
            "pi": st.sampled_from(get_args(PredictionInterval)),
        }
    )
    own = st.fixed_dictionaries(
        common
        | {
            "tau2": st.sampled_from([*get_args(Tau2), 0.0, 0.3]),
            "ci": st.sampled_from(RULES),
            "pi": st.sampled_from(["none", "z", "t(k-1)", "t(k-2)"]),
            "weights": st.just("w"),
        }
    )
    equal = common | {"model": st.sampled_from(["equal", "fixed"]), "ci": st.sampled_from(RULES)}
    ivhet = common | {"model": st.just("IVhet"), "ci": st.sampled_from(RULES)}
    return st.one_of(random, random, random, own, st.fixed_dictionaries(equal), st.fixed_dictionaries(ivhet))


EFFECT = st.floats(-2, 2).map(lambda x: round(x * 2**16) / 2**16)
VARIANCE = st.floats(-3, 1).map(lambda x: 10.0**x)
SETS = st.lists(st.tuples(EFFECT, VARIANCE, st.integers(0, 9).map(float)), min_size=1, max_size=8)


def effects_of(rows: list[Case]) -> EffectSizes:
    """Wrap rows as effects of as many studies, with weights of a user."""
    k = len(rows)
    y, v, _ = np.transpose(rows)
    names, blank = tuple(f"S{i}" for i in range(k)), ("",) * k
    rest: dict[str, Any] = {"moderators": {"w": np.arange(1.0, k + 1).astype(object)}}
    whole = (y, v, np.ones(k, dtype=bool), names, names, np.arange(k), "GEN", {}, blank, blank, blank, {})
    return replace(EffectSizes(*whole), **rest)


def kept(k: int) -> np.ndarray:
    """Return which rows each pool has, (pools, k): all of them, and all but each."""
    return np.vstack((np.ones((1, k), dtype=bool), ~np.eye(k, dtype=bool)[: k if k > 1 else 0]))


def number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def told(res: mb.Result) -> dict[str, float]:
    """Return the numbers of a single pool under the names of the batches."""
    mean, spread, pi = res.estimate, res.heterogeneity, res.pi or (None, None)
    values = (mean.point, mean.lower, mean.upper, *pi, mean.se, mean.statistic, mean.df, mean.p_value)
    values += (spread.tau2, spread.tau2_low, spread.tau2_high, res.i2, spread.q, spread.q_p)
    return dict(zip(NAMES, map(number, values), strict=True))


def inverted(words: dict[str, Any]) -> bool:
    """Tell whether tau2 or its limits are where the exact distribution of Q has a given probability."""
    return words["tau2_ci"] in ("BJ", "J") or words.get("tau2") == "GENQM"


def gap(mine: dict[str, float], one: dict[str, float], least: float = 0.0) -> float:
    """Return the largest difference: of places by their size and standard error, of amounts by their size.

    least: added to the size of tau2: the smallest variance, where tau2 is known in parts of v + tau2. The result is inf
    where one has a number and the other has none.
    """
    worst = 0.0
    for name, value in mine.items():
        other = one[name]
        if not math.isfinite(other):
            worst = worst if value == other or (math.isnan(value) and math.isnan(other)) else math.inf
            continue
        more = one["se"] if name in PLACES else 1.0 if name in UNITLESS else least if name.startswith("tau2") else 0.0
        size = abs(other) + more
        worst = max(worst, abs(value - other) / size if size else abs(value))
    return worst if math.isfinite(worst) else math.inf


def of_record(found: Any, i: int) -> dict[str, float]:
    return {name: float(getattr(found, name)[i]) for name in NAMES if hasattr(found, name)}


def gaps_of_means(rows: list[Case], words: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the differences of each batch from the loop of pools."""
    effects, has = effects_of(rows), kept(len(rows))
    least = float(effects.vi.min()) if inverted(words) else 0.0
    res = mb.pool(effects, **words)
    loop = [told(mb.pool(replace(effects, estimable=mask), **words)) for mask in has]
    table = pd.concat([frame(rows)[mask].assign(part=part) for part, mask in enumerate(has)])
    many = mb.pool_many(table, by="part", **words)
    yield from (("pool_many", gap(dict(many.loc[i, list(NAMES)]), one, least)) for i, one in enumerate(loop))
    if "weights" not in words:
        arrays = mb.pool_arrays(effects.yi, effects.vi, mask=has, **words)
        yield from (("pool_arrays", gap(of_record(arrays, i), one, least)) for i, one in enumerate(loop))
    without = res.leave_one_out().pools
    yield from (("leave_one_out", gap(of_record(without, i), one, least)) for i, one in enumerate(loop[1:]))
    universes = res.multiverse(ci=words["ci"], exclude="each study").to_frame()
    columns = [name for name in NAMES if name in universes]
    yield from (("multiverse", gap(dict(universes.loc[i, columns]), one, least)) for i, one in enumerate(loop))


def frame(rows: list[Case]) -> pd.DataFrame:
    y, v, x = np.transpose(rows)
    arm = ["ab"[int(value) % 2] for value in x]
    studies = [f"S{i}" for i in range(len(rows))]
    return pd.DataFrame({"study": studies, "yi": y, "vi": v, "x": x, "arm": arm, "w": np.arange(1.0, len(rows) + 1)})


def gaps_of_regressions(rows: list[Case], words: dict[str, Any], formula: str) -> Iterator[tuple[str, float]]:
    """Yield the differences of each batch of meta-regressions from the loop of them."""
    words = {name: value for name, value in words.items() if name != "i2"}
    has = kept(len(rows))
    table = pd.concat([frame(rows)[mask].assign(part=part) for part, mask in enumerate(has)])
    loop: dict[int, mb.Regression] = {}
    for part, mask in enumerate(has):
        try:
            loop[part] = mb.regress(frame(rows)[mask].drop(columns="w"), formula, measure="GEN", **words)
        except mb.MetabackError:
            continue
    if not loop:
        return
    many = mb.pool_many(table.drop(columns="w"), by="part", moderators=formula, **words)
    assert set(many.part[many.status == "converged"]) == set(loop)
    for part, one in loop.items():
        spread, fitted = one.heterogeneity, one.analysis.fitted
        mine, columns = many[many.part == part], one.analysis.coefficients
        y, v = fitted.effects.yi[fitted.design.used], fitted.effects.vi[fitted.design.used]
        array = mb.pool_arrays(y, v, fitted.design.X, **words)
        by_data = float(np.abs(y).max() + np.sqrt(v.max()))
        for j, of in enumerate(columns.values()):
            values = (of.point, of.lower, of.upper, math.nan, math.nan, of.se, of.statistic, of.df, of.p_value)
            values += (spread.tau2, spread.tau2_low, spread.tau2_high, math.nan, spread.q, spread.q_p)
            want = dict(zip(NAMES, map(number, values), strict=True))
            some = [name for name in NAMES if name not in ("i2", "pi_low", "pi_high")]
            if want["se"] > PERFECT * by_data:
                yield (
                    "pool_many, moderators",
                    gap(dict(mine.iloc[j][some]), want, float(v.min()) if inverted(words) else 0.0),
                )
            for name in ("estimate", "se"):
                yield "columns", abs(float(getattr(array, name)[j]) - want[name]) / (by_data + want["se"])
            yield "columns", abs(float(array.theta) - (spread.tau2 or 0.0)) / (by_data**2 + (spread.tau2 or 0.0))


def gaps_of_arrays(rows: list[Case], words: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the differences of masked arrays with a design from a loop over the same arrays, cut to size."""
    y, v, x = np.transpose(rows)
    X, has = np.column_stack((np.ones(len(rows)), x)), kept(len(rows))
    found = mb.pool_arrays(y, v, X, has, **words)
    for i, mask in enumerate(has):
        one = mb.pool_arrays(y[mask], v[mask], X[mask], **words)
        assert found.status[i] == one.status
        if one.status:
            continue
        by_data = float(np.abs(y).max() + np.sqrt(v.max()))
        for name, size in (("estimate", by_data), ("se", by_data), ("theta", by_data**2), ("q", 1.0)):
            mine, theirs = np.ravel(getattr(found, name)[i]), np.ravel(getattr(one, name))
            yield "pool_arrays, X", float(np.max(np.abs(mine - theirs) / (size + np.abs(theirs))))


def hold(rows: list[Case], words: dict[str, Any], formula: str) -> None:
    for what, worst in gaps_of_means(rows, words):
        assert worst <= SAME, what
    if words.get("model") != "IVhet" and "weights" not in words:
        of_one = {"pi": "t(k-1)"} if words.get("pi", "none") not in ("none", "z", "t(k-1)", "t(k-2)") else {}
        rule = {"ci": "HKSJ"} if words["ci"] in OF_A_MEAN else {}
        for what, worst in gaps_of_regressions(rows, words | of_one | rule, formula):
            assert worst <= (COLUMNS if what == "columns" else SAME), what
        for what, worst in gaps_of_arrays(rows, words | of_one | rule):
            assert worst <= SAME, what


FORMULAS = st.sampled_from(["~ x", "~ arm", "~ x + arm", "~ arm - 1", "~ 1"])


@settings(max_examples=QUICK)
@given(SETS, requests(), FORMULAS)
def test_a_batch_is_a_loop(rows: list[Case], words: dict[str, Any], formula: str) -> None:
    hold(rows, words, formula)


@pytest.mark.slow
@settings(max_examples=1_000)
@given(SETS, requests(), FORMULAS)
def test_a_batch_is_a_loop_on_a_thousand_requests(rows: list[Case], words: dict[str, Any], formula: str) -> None:
    hold(rows, words, formula)
