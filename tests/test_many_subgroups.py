"""Subgroups that share a tau2 and labels of studies in a long table: the numbers of `pool`, for every group at once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import metaback as mb
from metaback.effects.effect_sizes import repeat_notes
from metaback.postestimation.summary import PoolSummary

SAME = 1e-12  # batch and single pool sum in another order: rounding of some ten terms
TESTED = 1e-10  # the test is of differences of means, which lose digits where the means are alike
RULES = ("Wald", "Wald-t", "HKSJ", "HKSJ-wider", "HKSJ-q1")
ESTIMATORS = ("REML", "DL", "PM", "ML", "EB", "SJ", "HE", "HS", 0.0, 0.2)


def long_table(rng: np.random.Generator, groups: int = 12) -> pd.DataFrame:
    """Return groups of 1 to 14 effects in up to four arms, some of them blank, whose rows are mixed."""
    parts: list[pd.DataFrame] = []
    for name in range(groups):
        k = int(rng.choice([1, 2, 3, 4, 6, 9, 14]))
        v = rng.uniform(0.01, 0.5, k)
        y = rng.normal(rng.normal(), np.sqrt(v + rng.choice([0.0, 0.1, 1.0])))
        arm = rng.choice(["a", "b", "c", None], k) if rng.random() < 0.8 else np.full(k, "a", dtype=object)
        study = rng.choice([f"S{i}" for i in range(max(1, k - 1))], k)
        parts.append(pd.DataFrame({"gene": f"g{name}", "study": study, "yi": y, "vi": v, "arm": arm}))
    table = pd.concat(parts, ignore_index=True)
    return table.iloc[rng.permutation(len(table))].reset_index(drop=True)


def close(mine: float, theirs: float | None, size: float, tolerance: float = SAME) -> bool:
    """Tell whether two numbers are the same by the size that a difference of them is measured by."""
    expected = math.nan if theirs is None else theirs
    if not math.isfinite(expected):
        return mine == expected or (math.isnan(mine) and math.isnan(expected))
    return abs(mine - expected) <= tolerance * (abs(expected) + size)


def assert_subgroup(row: Any, pool: PoolSummary, i2: str) -> None:
    """Hold a row of the table to a subgroup of a single pool."""
    mean, spread, pi = pool.mean, pool.heterogeneity, pool.prediction
    assert (row.k, row.studies, row.status) == (pool.k, pool.studies, "converged")
    places = {"estimate": mean.point, "se": mean.se, "ci_low": mean.lower, "ci_high": mean.upper}
    places |= {"pi_low": pi and pi.lower, "pi_high": pi and pi.upper}
    numbers = {"statistic": mean.statistic, "df": mean.df, "p_value": mean.p_value, "q": spread.q, "q_p": spread.q_p}
    numbers |= {"i2": spread.i2_tau2 if i2 == "tau2" else spread.i2_q}
    amounts = {"tau2": spread.tau2, "tau2_low": spread.tau2_low, "tau2_high": spread.tau2_high}
    for values, size in ((places, mean.se), (numbers, 1.0), (amounts, mean.se**2)):
        for name, value in values.items():
            assert close(float(row[name]), value, size), (name, row[name], value)


def compare(table: pd.DataFrame, words: dict[str, Any]) -> int:
    """Hold every group of a long table to its own pool; return how many tests of differences there were."""
    found = mb.pool_many(table, by="gene", subgroups="arm", study="study", subgroup_tau2="common", **words)
    tests = 0
    assert found.gene.drop_duplicates().tolist() == table.gene.drop_duplicates().tolist()
    for name, rows in found.groupby("gene", sort=False):
        group = table[table.gene == name].drop(columns="gene")
        one = mb.pool(group, study="study", by="arm", subgroup_tau2="common", **words)
        assert one.subgroups is not None
        assert rows.subgroup.tolist() == ["", *one.subgroups.levels]
        whole = rows.iloc[0]
        assert close(whole.estimate, one.estimate.point, one.estimate.se)
        assert whole.studies == one.analysis.overall.studies
        for (_, row), pool in zip(rows.iloc[1:].iterrows(), one.subgroups.pools, strict=True):
            assert_subgroup(row, pool, one.spec.i2)
        test = one.subgroups.test
        tests += test is not None
        expected = (None, None, None, None) if test is None else (test.q, test.df, test.df2, test.p_value)
        mine = (whole.between_q, whole.between_df, whole.between_df2, whole.between_p)
        assert all(close(a, b, 1.0, TESTED) for a, b in zip(mine, expected, strict=True)), (mine, expected)
        assert ("tau2" in str(whole.note)) == bool(one.subgroups.notes)
    return tests


@given(
    seed=st.integers(0, 2**32 - 1),
    tau2=st.sampled_from(ESTIMATORS),
    ci=st.sampled_from(RULES),
    pi=st.sampled_from(["none", "z", "t(k-1)", "t(k-2)"]),
    tau2_ci=st.sampled_from(["QP", "PL", "Wald"]),
    i2=st.sampled_from(["tau2", "Q"]),
)
def test_subgroups_with_a_common_tau2_are_those_of_pool(seed: int, **words: Any) -> None:
    compare(long_table(np.random.default_rng(seed), 4), words)


@pytest.mark.parametrize("ci", RULES)
def test_a_long_table_of_them_agrees_with_a_loop(ci: str) -> None:
    assert compare(long_table(np.random.default_rng(11), 40), {"ci": ci}) >= 20


def test_the_worked_example_is_a_regression_on_the_subgroups() -> None:
    """The back-pain trials: F = 0.76 on 1 and 7 df, as `test_shared_tau2` has it."""
    pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    res = mb.pool(pain, by="stratum", subgroup_tau2="common")
    effects = res.fitted.effects
    table = pd.DataFrame({"yi": effects.yi, "vi": effects.vi, "stratum": effects.by, "one": 1})
    found = mb.pool_many(table, by="one", subgroups="stratum", subgroup_tau2="common")
    whole = found.iloc[0]
    assert whole.between_q / whole.between_df == pytest.approx(0.7591908, rel=1e-6)
    assert (whole.between_df, whole.between_df2) == (1, 7)
    assert len(set(found.tau2[1:])) == 1


# ---------------------------------------------------------------- edges


def small(groups: dict[str, tuple[list[float], list[float], list[str | None]]]) -> pd.DataFrame:
    """Return a long table of named groups."""
    parts = [pd.DataFrame({"gene": name, "yi": y, "vi": v, "arm": arm}) for name, (y, v, arm) in groups.items()]
    return pd.concat(parts, ignore_index=True)


def test_bad_groups_have_a_status_and_stop_nobody() -> None:
    table = small(
        {
            "good": ([0.1, 0.5, 0.9, 0.3], [0.1] * 4, ["a", "a", "b", "b"]),
            "zero": ([0.1, 0.5, 0.9, 0.3], [0.1, 0.0, 0.1, 0.1], ["a", "a", "b", "b"]),
            "blank": ([math.nan] * 2, [0.1] * 2, ["a", "b"]),
            "nameless": ([0.1, 0.2], [0.1] * 2, [None, None]),
            "single": ([0.1, 0.2], [0.1] * 2, ["a", "b"]),
            "alone": ([0.1, 0.5, 0.9], [0.1] * 3, ["a", "a", "b"]),
        }
    )
    found = mb.pool_many(table, by="gene", subgroups="arm", subgroup_tau2="common").set_index(["gene", "subgroup"])
    assert found.status["zero"].tolist() == ["impossible_numbers"] * 3
    assert found.loc["zero", "estimate"].isna().all()
    assert found.status["blank"].tolist() == ["no_studies"]
    assert found.loc["nameless"].index.tolist() == ["", "(not stated)"]
    assert math.isnan(found.between_q["nameless", ""])
    assert "every subgroup has one effect" in found.note["single", ""]
    assert found.loc["single", "tau2"][1:].isna().all()
    assert found.note["alone", "b"] == "one study: its interval rests on the tau2 of all subgroups"
    assert found.status["good"].tolist() == ["converged"] * 3


def test_equal_effects_have_no_test_and_no_warning() -> None:
    table = small({"same": ([0.2] * 6, [0.1] * 6, ["a", "a", "b", "b", "c", "c"])})
    found = mb.pool_many(table, by="gene", subgroups="arm", subgroup_tau2="common", ci="HKSJ")
    assert found.estimate.round(12).tolist() == [0.2] * 4
    assert "degenerates to 0" in found.note[0]


def test_many_subgroups_of_many_sizes_keep_their_places() -> None:
    rng = np.random.default_rng(7)
    arms = [[f"arm {i}" for i in rng.integers(0, g, 40)] for g in (2, 9, 25)]
    table = small({f"g{i}": (rng.normal(size=40).tolist(), [0.1] * 40, list(arm)) for i, arm in enumerate(arms)})
    compare(table.assign(study=[f"S{i}" for i in range(len(table))]), {})


def test_workers_and_files_change_nothing(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = long_table(np.random.default_rng(12), 30)
    table.to_parquet(tmp_path / "long.parquet", index=False)
    words: dict[str, Any] = {"by": "gene", "subgroups": "arm", "study": "study", "subgroup_tau2": "common"}
    plain = mb.pool_many(table, **words)
    pd.testing.assert_frame_equal(mb.pool_many(tmp_path / "long.parquet", **words), plain, check_dtype=False)
    empty = mb.pool_many(table[:0], **words)
    assert list(empty.columns) == list(plain.columns)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"subgroup_tau2": "common"}, "needs subgroups; name their column"),
        ({"subgroups": "arm", "subgroup_tau2": "shared"}, "separate, common"),
        ({"subgroups": "arm", "subgroup_tau2": "common", "ci": "KR"}, "rule of a single mean"),
        ({"subgroups": "arm", "subgroup_tau2": "common", "model": "equal"}, "needs model='random'"),
        ({"moderators": "~ arm", "subgroup_tau2": "common"}, "subgroups of a pool"),
        ({"study": "trial"}, "study='trial'"),
    ],
)
def test_wrong_words_are_refused(words: dict[str, Any], sentence: str) -> None:
    with pytest.raises(mb.OptionError, match=sentence):
        mb.pool_many(long_table(np.random.default_rng(1), 2), by="gene", **words)


@pytest.mark.parametrize("words", [{"study": "s"}, {"subgroup_tau2": "common"}])
def test_arrays_have_neither_labels_nor_subgroups(words: dict[str, Any]) -> None:
    with pytest.raises(mb.OptionError, match=next(iter(words))):
        mb.pool_arrays(np.ones(3), np.ones(3), **words)


# ---------------------------------------------------------------- labels of studies


def labelled() -> pd.DataFrame:
    """Return a group with a study of two effects, one with a row left out, and one with a blank label."""
    return pd.DataFrame(
        {
            "gene": ["two"] * 3 + ["gap"] * 3 + ["blank"] * 2,
            "trial": ["A", "A ", "B", "C", "D", "E", "F", None],
            "yi": [0.1, 0.2, 0.3, 0.4, math.nan, 0.5, 0.6, 0.7],
            "vi": [0.1] * 8,
            "x": [1.0, 2.0, 3.5, 1.0, 2.0, 3.0, 1.0, 2.0],
        }
    )


def test_studies_are_counted_named_and_asked_for() -> None:
    found = mb.pool_many(labelled(), by="gene", study="trial").set_index("gene")
    assert found.k.tolist() == [3, 2, 0]
    assert found.studies.tolist() == [2, 2, 0]
    assert "some studies enter more than once" in found.note["two"]
    said = repeat_notes(["A", "A"], ["row 2", "row 3"], np.array([True, True]))[0]
    assert said.partition(" and its rows ")[2].rstrip(".") in found.note["two"]  # the words of pool(independent=True)
    assert found.note["gap"].endswith("are left out: D")
    assert (found.status["blank"], found.left_out["blank"]) == ("no_label", 2)
    assert "a study needs a label" in found.note["blank"]
    with pytest.raises(mb.DataError, match="a study needs a label"):
        mb.pool(labelled().query("gene == 'blank'")[["trial", "yi", "vi"]], study="trial")
    for gene in ("two", "gap"):
        one = mb.pool(labelled().query(f"gene == '{gene}'")[["trial", "yi", "vi"]], study="trial", independent=True)
        assert found.studies[gene] == one.analysis.overall.studies
        assert close(found.se[gene], one.estimate.se, 0.0)


def test_labels_change_no_number() -> None:
    table = long_table(np.random.default_rng(3))
    plain, named = (mb.pool_many(table, by="gene", **words) for words in ({}, {"study": "study"}))
    pd.testing.assert_frame_equal(named.drop(columns=["studies", "note"]), plain.drop(columns="note"))
    assert "studies" not in plain


def test_studies_of_a_regression_are_counted_among_its_rows() -> None:
    table = labelled().query("gene != 'blank'")
    table.loc[5, "x"] = math.nan
    more = table.assign(
        gene="more", trial=table.trial.str.strip() + "2", yi=[0.1, 0.4, 0.2, 0.7, 0.3, 0.5], x=[1.0, 2, 3, 4, 5, 6]
    )
    found = mb.pool_many(pd.concat([table, more]), by="gene", moderators="~ x", study="trial")
    rows = found.drop_duplicates("gene").set_index("gene")
    assert rows.studies.tolist() == [2, 0, 5]
    assert rows.status.tolist() == ["converged", "no_design", "converged"]
    assert "enter more than once" in rows.note["two"]
    assert mb.pool_many(labelled(), by="gene", moderators="~ x", study="trial").status.tolist()[-1] == "no_label"
