"""Every group of a long table has the numbers of a pool of its own, bad groups stop nobody, and arrays agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import metaback as mb
from metaback.data.trials import Source
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import MeanInterval, PoolSpec, PredictionInterval, Tau2, Tau2Interval, resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.arrays import FLAG_WORDS, pool_batch
from metaback.postestimation.group_tasks import Ragged, pool_ragged

SAME = 1e-12  # batch and single pool sum in another order: rounding of twenty terms, relative
LIMIT = 1e-9  # ends found by a search that stops at steps of 1e-9, the last of which is quadratic in most cases
NUMBERS = ("estimate", "se", "ci_low", "ci_high", "statistic", "df", "p_value", "tau2", "tau2_low", "tau2_high", "i2",
           "q", "q_p", "pi_low", "pi_high")  # fmt: skip
QUICK = ("Wald", "Wald-t", "HKSJ", "HKSJ-wider", "HKSJ-q1", "KR", "HC", "PL")  # rules that do not resample


def effects(y: Sequence[float], v: Sequence[float], by: tuple[str, ...] | None = None) -> EffectSizes:
    """Wrap effects and variances."""
    k = len(y)
    names, blank = tuple(f"S{i}" for i in range(k)), ("",) * k
    es = EffectSizes(
        np.array(y), np.array(v), np.ones(k, bool), names, names, np.arange(k), "GEN", {}, blank, blank, blank, {}
    )
    return es if by is None else replace(es, by=by, by_name="arm")


def told(result: mb.Result) -> dict[str, float]:
    """Return the numbers of a single pool under the names of the table of many."""
    mean, spread, pi = result.estimate, result.heterogeneity, result.pi or (None, None)
    values = (mean.point, mean.se, mean.lower, mean.upper, mean.statistic, mean.df, mean.p_value)
    values += (spread.tau2, spread.tau2_low, spread.tau2_high, result.i2, spread.q, spread.q_p, *pi)
    return {name: math.nan if value is None else value for name, value in zip(NUMBERS, values, strict=True)}


def scale_of(name: str, one: dict[str, float]) -> float:
    """Return what a difference of a number is measured by: its own size, and for places on the axis the spread too."""
    if name in ("estimate", "ci_low", "ci_high", "pi_low", "pi_high"):
        return abs(one[name]) + one["se"]
    return abs(one[name]) + (1.0 if name in ("statistic", "i2", "q", "df") else 0.0)


def assert_same(row: Any, one: dict[str, float], tolerance: float) -> None:
    for name in NUMBERS:
        mine, theirs = float(row[name]), one[name]
        if math.isnan(theirs) or math.isinf(theirs):
            assert mine == theirs or (math.isnan(mine) and math.isnan(theirs)), (name, mine, theirs)
        else:
            assert abs(mine - theirs) <= tolerance * scale_of(name, one), (name, mine, theirs)


def random_spec(rng: np.random.Generator) -> PoolSpec:
    """Return one of all requests whose rules do not resample."""
    model = str(rng.choice(["random"] * 7 + ["equal", "fixed", "IVhet"]))
    words: dict[str, Any] = {"model": model, "level": float(rng.choice([0.8, 0.9, 0.95, 0.99]))}
    words["tau2_ci"] = str(rng.choice([w for w in get_args(Tau2Interval) if w not in ("BJ", "J")]))
    words["i2"] = str(rng.choice(["tau2", "Q"]))
    if model == "random":
        words["tau2"] = str(rng.choice([w for w in get_args(Tau2) if w != "GENQM"]))
        words["ci"], words["pi"] = str(rng.choice(QUICK)), str(rng.choice(get_args(PredictionInterval)[:-1]))
    elif rng.random() < 0.5:
        words["ci"] = str(rng.choice(QUICK[:5]))
    assert words.get("ci", "Wald") in get_args(MeanInterval)
    return resolve_spec(**words)


def random_group(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return effects and variances of 1 to 24 studies, heterogeneous or not."""
    k = int(rng.choice([1, 2, 3, 4, 5, 7, 11, 24]))
    v = rng.uniform(0.01, 0.5, k)
    return rng.normal(rng.normal(), np.sqrt(v + rng.choice([0.0, 0.1, 1.0]))), v


@given(seed=st.integers(0, 2**32 - 1))
def test_groups_of_a_batch_are_pools_of_their_own(seed: int) -> None:
    """Five groups under each request: 100 pairs of request and group, 500 in the long run."""
    rng = np.random.default_rng(seed)
    spec, groups = random_spec(rng), [random_group(rng) for _ in range(5)]
    sizes = np.array([y.size for y, _ in groups], dtype=np.int64)
    found = pool_ragged(Ragged(sizes, *(np.concatenate(a) for a in zip(*groups, strict=True)), None), spec)
    for i, (y, v) in enumerate(groups):
        one = told(mb.Result(analyse(effects(y, v), spec), Source("", "", y.size, 0, {})))
        assert found.k[i] == y.size
        assert_same({name: getattr(found, name)[i] for name in NUMBERS}, one, SAME)


def long_table(rng: np.random.Generator, groups: int = 40) -> pd.DataFrame:
    """Return groups of 1 to 24 studies whose rows are mixed."""
    parts = []
    for name in range(groups):
        y, v = random_group(rng)
        week = rng.integers(4, 30, y.size).astype(float)
        arm = rng.choice(["a", "b", "c"], y.size)
        parts.append(pd.DataFrame({"gene": f"g{name}", "yi": y, "vi": v, "weeks": week, "arm": arm}))
    table = pd.concat(parts, ignore_index=True)
    return table.iloc[rng.permutation(len(table))].reset_index(drop=True)


@pytest.mark.parametrize("words", [{}, {"preset": "revman5"}, {"preset": "metafor", "tau2": "PM"}, {"model": "IVhet"}])
def test_a_long_table_agrees_with_a_loop_over_frames(words: dict[str, Any]) -> None:
    table = long_table(np.random.default_rng(3))
    found = mb.pool_many(table, by="gene", **words)
    assert found.gene.tolist() == list(dict.fromkeys(table.gene))
    for _, row in found.iterrows():
        group = table[table.gene == row.gene].assign(study=lambda d: [f"S{i}" for i in range(len(d))])
        one = mb.pool(group[["study", "yi", "vi"]], **words)
        assert row.k == one.k
        assert row.status == "converged"
        assert_same(row, told(one), SAME)


def test_standard_errors_are_squared_and_weights_are_the_users() -> None:
    table = long_table(np.random.default_rng(4), 6)
    table["sei"], table["w"] = np.sqrt(table.vi), np.arange(1.0, len(table) + 1)
    found = mb.pool_many(table, by="gene", se="sei", weights="w", ci="Wald", pi="none")
    for _, row in found.iterrows():
        group = table[table.gene == row.gene]
        frame = group.assign(study=[f"S{i}" for i in range(len(group))])[["study", "yi", "sei", "w"]]
        assert_same(row, told(mb.pool(frame, weights="w", ci="Wald", pi="none")), SAME)


def test_subgroups_stand_below_their_group_with_the_test_between_them() -> None:
    table = long_table(np.random.default_rng(5), 12)
    table.loc[::7, "arm"] = None
    found = mb.pool_many(table, by="gene", subgroups="arm")
    for name, rows in found.groupby("gene", sort=False):
        group = table[table.gene == name]
        labels = tuple("(not stated)" if not isinstance(a, str) else a for a in group.arm)
        one = mb.pool(effects(group.yi.tolist(), group.vi.tolist(), labels))
        assert one.subgroups is not None
        assert rows.subgroup.tolist() == ["", *one.subgroups.levels]
        assert_same(rows.iloc[0], told(one), SAME)
        for (_, row), pooled in zip(rows.iloc[1:].iterrows(), one.subgroups.pools, strict=True):
            assert row.estimate == pytest.approx(pooled.mean.point, rel=SAME, abs=SAME)
            assert row.k == pooled.k
        test, q = one.subgroups.test, rows.iloc[0]
        assert math.isnan(q.between_q) if test is None else q.between_q == pytest.approx(test.q, rel=1e-10, abs=1e-12)
        assert math.isnan(q.between_p) if test is None else q.between_p == pytest.approx(test.p_value, rel=1e-10)


@pytest.mark.parametrize("formula", ["~ weeks", "~ weeks + C(arm)", "~ 1", "~ weeks - 1"])
@pytest.mark.parametrize("ci", ["Wald", "HKSJ-wider"])
def test_groups_are_regressed_as_regress_does(formula: str, ci: str) -> None:
    table = long_table(np.random.default_rng(6), 25)
    table.loc[::11, "weeks"] = np.nan
    found = mb.pool_many(table, by="gene", moderators=formula, ci=ci)
    assert found.gene.drop_duplicates().tolist() == list(dict.fromkeys(table.gene))
    fitted = 0
    for name, rows in found.groupby("gene", sort=False):
        group = table[table.gene == name].assign(study=lambda d: [f"S{i}" for i in range(len(d))])
        try:
            one = mb.regress(group.drop(columns="gene"), formula, ci=ci)
        except mb.MetabackError:
            assert rows.status.tolist() == ["no_design"]
            assert rows.note.iloc[0]
            continue
        fitted += 1
        assert rows.term.tolist() == list(one.analysis.coefficients)
        for _, row in rows.iterrows():
            of = one.analysis.coefficients[row.term]
            for mine, theirs in ((row.estimate, of.point), (row.se, of.se), (row.ci_low, of.lower), (row.df, of.df)):
                assert mine == pytest.approx(theirs, rel=1e-11, abs=1e-11 * of.se)
            assert row.p_value == pytest.approx(of.p_value, rel=1e-10)
            assert row.tau2 == pytest.approx(one.analysis.heterogeneity.tau2, rel=SAME, abs=1e-15)
            high = one.analysis.heterogeneity.tau2_high
            assert row.tau2_high == pytest.approx(math.nan if high is None else high, rel=LIMIT, nan_ok=True)
            assert row.q == pytest.approx(one.analysis.heterogeneity.q, rel=1e-11)
            assert row.k + row.left_out == len(group)
            if one.analysis.moderators is not None:
                assert row.moderators_q == pytest.approx(one.analysis.moderators.statistic, rel=1e-10, nan_ok=True)
                assert row.moderators_p == pytest.approx(one.analysis.moderators.p_value, rel=1e-9, nan_ok=True)
    assert fitted >= 8


def test_a_formula_that_suits_no_group_is_refused() -> None:
    with pytest.raises(mb.OptionError, match="wekks"):
        mb.pool_many(long_table(np.random.default_rng(1), 3), by="gene", moderators="~ wekks")


# ---------------------------------------------------------------- bad groups and odd keys


def test_bad_groups_have_a_status_and_stop_nobody() -> None:
    rows = {
        "good": ([0.1, 0.3], [0.1, 0.1]),
        "blank": ([np.nan, np.nan], [0.1, 0.1]),
        "partly": ([0.1, np.nan, 0.3], [0.1, 0.1, 0.1]),
        "zero": ([0.1, 0.3], [0.1, 0.0]),
        "negative": ([0.1, 0.3], [0.1, -0.1]),
        "infinite": ([0.1, np.inf], [0.1, 0.1]),
        "vast": ([0.1, 0.3], [0.1, np.inf]),
        "one": ([0.1], [0.1]),
        "beyond": ([0.1, 0.3], [0.1, 1e120]),
    }
    table = pd.concat([pd.DataFrame({"key": key, "yi": y, "vi": v}) for key, (y, v) in rows.items()])
    found = mb.pool_many(table, by="key").set_index("key")
    refused = ["zero", "negative", "infinite", "vast"]
    assert found.status[refused].tolist() == ["impossible_numbers"] * 4
    assert found.loc[refused, "estimate"].isna().all()
    assert found.status["blank"] == "no_studies"
    assert found.left_out[["good", "blank", "partly", "beyond"]].tolist() == [0, 2, 1, 1]
    assert found.estimate[["good", "partly"]].round(12).tolist() == [0.2, 0.2]
    assert "left out" in found.note["partly"]
    assert found.note["one"] == "one study: nothing was pooled"
    assert found.note[refused].str.contains("variance").all()


def test_rows_without_a_key_are_told_and_not_pooled() -> None:
    table = pd.DataFrame({"a": ["x", None, "x", None], "b": [1, 1, 1, 1], "yi": [0.1, 0.2, 0.3, 0.4], "vi": [0.1] * 4})
    found = mb.pool_many(table, by=["a", "b"])
    assert found.status.tolist() == ["converged", "no_key"]
    assert found.left_out.tolist() == [0, 2]
    assert math.isnan(found.estimate[1])


@pytest.mark.parametrize(
    "keys",
    [
        [3, 1, 3, 2],
        [1.5, -0.0, 1.5, 7.0],
        [True, False, True, False],
        pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-02", "2021-01-01"]),
        pd.Categorical(["b", "a", "b", "c"], categories=["a", "b", "c", "unused"]),
        [("x", 1), ("x", 2), ("x", 1), ("y", 1)],
    ],
)
def test_keys_of_every_kind_keep_their_order_and_type(keys: Any) -> None:
    table = pd.DataFrame({"key": pd.Series(keys), "yi": [0.1, 0.2, 0.3, 0.4], "vi": [0.1] * 4})
    before = table.copy(deep=True)
    found = mb.pool_many(table, by="key")
    assert found.key.tolist() == list(dict.fromkeys(table.key.tolist()))
    assert found.key.dtype == table.key.dtype
    pd.testing.assert_frame_equal(table, before)


def test_several_keys_make_groups_of_their_combinations() -> None:
    table = pd.DataFrame({"a": [1, 1, 2, 1], "b": ["x", "y", "x", "x"], "yi": [0.1, 0.2, 0.3, 0.3], "vi": [0.1] * 4})
    found = mb.pool_many(table, by=["a", "b"])
    assert list(zip(found.a, found.b, found.k, strict=True)) == [(1, "x", 2), (1, "y", 1), (2, "x", 1)]


def test_an_empty_table_has_all_columns() -> None:
    full = mb.pool_many(pd.DataFrame({"key": ["a"], "yi": [0.1], "vi": [0.1]}), by="key")
    empty = mb.pool_many(pd.DataFrame({"key": pd.Series([], dtype=object), "yi": [], "vi": []}), by="key")
    assert list(empty.columns) == list(full.columns)
    assert len(empty) == 0


def test_polars_frames_are_read() -> None:
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"key": ["a", "a", "b"], "yi": [0.1, 0.3, 0.2], "vi": [0.1, 0.1, 0.1]})
    assert mb.pool_many(table, by="key").k.tolist() == [2, 1]


def test_numbers_as_text_are_read_and_words_are_refused() -> None:
    table = pd.DataFrame({"key": ["a", "a"], "yi": ["0.1", " 0.3"], "vi": [0.1, 0.1]})
    assert mb.pool_many(table, by="key").estimate.round(12).tolist() == [0.2]
    table["yi"] = ["0.1", "high"]
    with pytest.raises(mb.DataError, match=r"column 'yi', index 1: found 'high'"):
        mb.pool_many(table, by="key")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"by": "gne"}, "by='gne' is not known, did you mean|by='gne'"),
        ({"by": []}, "names no column"),
        ({"by": 3}, "by=3 must be the name"),
        ({"by": None}, "by=None must be the name"),
        ({"by": "gene", "subgroup": "arm"}, r"'subgroup' is not known \(did you mean 'subgroups'"),
        ({"by": "yi"}, "column of numbers"),
        ({"by": "gene", "effect": "y"}, "effect='y'"),
        ({"by": "gene", "variance": "vi", "se": "vi"}, "not both"),
        ({"by": "gene", "subgroups": "gene"}, "the key itself"),
        ({"by": "gene", "subgroups": "arm", "moderators": "~ arm"}, "moderators or subgroups"),
        ({"by": "gene", "ci": "HKJS"}, "HKJS"),
        ({"by": "gene", "engine": "spark"}, "engine='spark'"),
        ({"by": "gene", "subgroup_tau2": "common"}, "subgroup_tau2"),
        ({"by": "gene", "workers": 0}, "workers=0"),
        ({"by": "gene", "scheduler": "tcp://h:1"}, "engine='dask'"),
        ({"by": "gene", "out": "x.csv"}, "ends in .parquet"),
        ({"by": "gene", "moderators": "~ weeks", "ci": "KR"}, "ci='KR'"),
    ],
)
def test_wrong_words_are_refused_before_anything_runs(words: dict[str, Any], sentence: str) -> None:
    with pytest.raises(mb.OptionError, match=sentence):
        mb.pool_many(long_table(np.random.default_rng(1), 2), **words)


def test_columns_that_stand_twice_or_bear_a_name_of_the_results_are_refused() -> None:
    table = pd.DataFrame([["a", 0.1, 0.1, 0.2]], columns=["key", "yi", "vi", "yi"])
    with pytest.raises(mb.OptionError, match="2 columns are called 'yi'"):
        mb.pool_many(table, by="key")
    with pytest.raises(mb.OptionError, match="name of a column of the results"):
        mb.pool_many(pd.DataFrame({"k": [1], "yi": [0.1], "vi": [0.1]}), by="k")


def test_every_flag_has_its_own_words() -> None:
    assert len(set(FLAG_WORDS.values())) == len(FLAG_WORDS)
    y, v = np.array([[0.1, 0.1, 0.1], [0.1, 0.2, 0.9]]), np.array([[0.1, 0.1, 0.1], [1e-9, 0.1, 0.1]])
    found = pool_batch(y, v, np.ones((2, 3), bool), PoolSpec())
    notes = [[words for bit, words in FLAG_WORDS.items() if flags & bit] for flags in found.flags.tolist()]
    assert any("degenerates to 0" in words for words in notes[0])
    assert any("ten million" in words for words in notes[1])


# ---------------------------------------------------------------- arrays


def test_arrays_of_any_shape_are_pooled_along_the_last_axis() -> None:
    rng = np.random.default_rng(8)
    y, v = rng.normal(size=(2, 3, 6)), rng.uniform(0.1, 0.5, 6)
    y[0, 1, 2] = np.nan
    found = mb.pool_arrays(y, v)
    assert found.estimate.shape == (2, 3)
    for i in np.ndindex(2, 3):
        real = np.isfinite(y[i])
        one = told(mb.pool(effects(y[i][real], v[real])))
        assert_same({name: getattr(found, name)[i] for name in NUMBERS}, one, SAME)
        assert found.k[i] == real.sum()


def test_a_mask_takes_effects_out_and_a_single_problem_has_no_axis() -> None:
    y, v, mask = np.array([0.1, 9.0, 0.3]), np.array([0.1, 0.1, 0.1]), np.array([True, False, True])
    assert float(mb.pool_arrays(y, v, mask=mask).estimate) == pytest.approx(0.2, rel=SAME)


def test_a_design_gives_the_coefficients_of_regress() -> None:
    rng = np.random.default_rng(9)
    y, v, x = rng.normal(size=(4, 12)), rng.uniform(0.1, 0.5, (4, 12)), rng.normal(2010, 4, 12)
    found = mb.pool_arrays(y, v, np.column_stack((np.ones(12), x)), preset="metafor")
    assert found.estimate.shape == (4, 2)
    for i in range(4):
        table = pd.DataFrame({"study": [f"S{j}" for j in range(12)], "yi": y[i], "vi": v[i], "x": x})
        one = mb.regress(table, "~ x", preset="metafor").analysis
        for j, of in enumerate(one.coefficients.values()):
            assert found.estimate[i, j] == pytest.approx(of.point, rel=1e-9)
            assert found.se[i, j] == pytest.approx(of.se, rel=1e-9)
        assert found.tau2[i] == pytest.approx(one.heterogeneity.tau2, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ((np.ones(3), np.ones(4)), "do not fit"),
        ((0.1, 0.1), "axis of effects"),
        ((np.ones((2, 3)), np.ones((2, 3)), np.ones(3)), "one of coefficients"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(mb.OptionError, match=sentence):
        mb.pool_arrays(*arrays)


def test_weights_of_a_column_are_not_for_arrays() -> None:
    with pytest.raises(mb.OptionError, match="weights"):
        mb.pool_arrays(np.ones(3), np.ones(3), weights="w")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (([1.0, 2.0], [0.1, "b"]), "v must be an array of real numbers"),
        (([[1.0, 2.0], [3.0]], [0.1, 0.2]), "y must be an array"),
        (([1j, 2.0], [0.1, 0.2]), "y must be an array"),
        (([1.0, 2.0], [0.1, 0.2], None, [0, 3]), "mask must hold True and False"),
        (([1.0, 2.0], [0.1, 0.2], None, "a"), "mask must be an array"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(arrays: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(mb.OptionError, match=sentence):
        mb.pool_arrays(*arrays)


def test_many_pools_are_told_in_two_lines() -> None:
    text = repr(mb.pool_arrays(np.zeros((30, 40, 3)), np.array([[1.0, 1.0, 1.0]]), mask=np.arange(40)[:, None] > 0))
    assert text.splitlines()[0] == "Pools of 1,200 problems, shape (30, 40): 1,170 converged, 30 no_studies"
    assert len(text.splitlines()) == 2


def test_a_key_of_spaces_is_blank_and_words_for_nothing_are_no_numbers() -> None:
    table = pd.DataFrame({"key": ["a", " ", "", "a"], "yi": ["0.1", "0.2", "0.3", "NA"], "vi": [0.1] * 4})
    found = mb.pool_many(table, by="key")
    assert found.status.tolist() == ["converged", "no_key", "no_key"]
    assert (found.k[0], found.left_out[0]) == (1, 1)


def test_status_and_note_stand_last_and_notes_are_one_sentence() -> None:
    table = long_table(np.random.default_rng(3), 3).assign(arm=lambda t: np.where(t.index % 2, "a", "b"))
    table.loc[0, "yi"] = np.inf
    table.loc[1, "yi"] = np.nan
    common: dict[str, Any] = {"subgroups": "arm", "subgroup_tau2": "common"}
    requests: list[dict[str, Any]] = [{}, {"subgroups": "arm"}, common, {"moderators": "~ arm"}]
    for words in requests:
        found = mb.pool_many(table, by="gene", **words)
        assert found.columns[-2:].tolist() == ["status", "note"]
        assert not found.note.str.contains(r"\.;|\.$").any()
