"""Rows of a study taken together: numbers by hand, what becomes of the other columns, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import DataError, OptionError
from metaback.stats.aggregate import group_means
from metaback.stats.blocks import blocks_of, gathered, on_diagonal, whole

EXACT = 1e-13  # relative, a few operations
RHO = 0.5


def effects(**changed: Any) -> EffectSizes:
    """Return three outcomes of study A, two times of B, and one row of C."""
    columns: dict[str, Any] = {
        "study": list("ABACBA"), "outcome": list("xxyxxz"), "weeks": [4, 4, 4, 8, 12, 4], "site": list("pqprqp"),
        "year": [2001, 2002, 2001, 2003, 2002, 2001], "yi": [0.1, 0.5, 0.3, 0.7, 0.4, 0.2],
        "vi": [1.0, 2.0, 4.0, 3.0, 0.5, 2.25],
    }  # fmt: skip
    return mb.effect_sizes(pd.DataFrame(columns | changed))


def by_hand(y: list[float], v: list[float]) -> tuple[float, float]:
    """Return the generalised least squares mean and its variance."""
    root = np.sqrt(v)
    V = RHO * np.outer(root, root)
    np.fill_diagonal(V, v)
    w = np.linalg.solve(V, np.ones(len(y)))
    return float(w @ y / w.sum()), float(1 / w.sum())


def test_each_study_has_the_mean_of_least_variance() -> None:
    """Three rows, two rows and one: in the order in which the studies stand."""
    found = effects().aggregate(rho=RHO)
    a, b = by_hand([0.1, 0.3, 0.2], [1.0, 4.0, 2.25]), by_hand([0.5, 0.4], [2.0, 0.5])
    assert found.labels == ("A", "B", "C")
    assert found.yi == pytest.approx([a[0], b[0], 0.7], rel=EXACT)
    assert found.vi == pytest.approx([a[1], b[1], 3.0], rel=EXACT)
    assert found.obtained[0] == "3 rows taken together (index 0, index 2, index 5)"
    assert found.obtained[2] == effects().obtained[3]
    assert found.corrections == ("weighted by the inverse of their sampling covariance",) * 2 + ("",)
    assert "a correlation of 0.5 was assumed" in " ".join(found.notes)
    assert not any("independent" in note for note in found.notes)


def test_equal_weights_are_the_mean() -> None:
    """The mean of the rows, with the variance that V gives it."""
    found = effects().aggregate(rho=RHO, weights="equal")
    assert found.yi == pytest.approx([0.2, 0.45, 0.7], rel=EXACT)
    assert found.vi[1] == pytest.approx((2.0 + 0.5 + 2 * RHO * 1.0) / 4, rel=EXACT)


def test_columns_keep_what_all_rows_share() -> None:
    """A site and a year are of the study; outcome and weeks differ, and are blank afterwards."""
    found = effects().aggregate(rho=RHO)
    assert found.moderators["site"].tolist() == ["p", "q", "r"]
    assert found.moderators["year"].tolist() == [2001, 2002, 2003]
    assert found.moderators["outcome"].tolist() == ["", "x", "x"]
    np.testing.assert_array_equal(found.moderators["weeks"], [4, np.nan, 8])


def test_finer_groups_keep_the_covariance_between_them() -> None:
    """By study and outcome: rows of one study stay correlated, and taking these together gives the study's mean."""
    es = effects()
    parts = es.aggregate(by=["study", "outcome"], rho=RHO)
    assert parts.labels == ("A", "B", "A", "C", "A")
    V = whole(parts.cov)
    assert V[0, 2] == pytest.approx(RHO * 2.0, rel=EXACT)
    once, twice = es.aggregate(rho=RHO), parts.aggregate()
    assert twice.yi == pytest.approx(once.yi, rel=1e-12)
    assert twice.vi == pytest.approx(once.vi, rel=1e-12)


def test_a_covariance_of_their_own_is_taken() -> None:
    """What the effects carry counts; another correlation beside it is refused."""
    held = mb.sampling_covariance(effects(), rho=RHO).with_effects()
    assert held.aggregate().yi == pytest.approx(effects().aggregate(rho=RHO).yi, rel=EXACT)
    with pytest.raises(OptionError, match="leave rho= and its other choices out"):
        held.aggregate(rho=0.2)


def test_rows_without_an_effect_take_no_part() -> None:
    """One row of B has none, and C has nothing: it stays, with the reason."""
    es = effects(yi=[0.1, np.nan, 0.3, np.nan, 0.4, 0.2], vi=[1.0, np.nan, 4.0, np.nan, 0.5, 2.25])
    found = es.aggregate(rho=RHO)
    assert found.estimable.tolist() == [True, True, False]
    assert (found.yi[1], found.vi[1]) == (0.4, 0.5)
    assert found.rows[1] == "index 1, index 4"
    assert found.reasons[2] == es.reasons[3]
    assert found.reasons[:2] == ("", "")
    assert np.isnan(found.vi[2])


def test_one_row_per_study_changes_nothing() -> None:
    """The same effects, and no note."""
    es = mb.effect_sizes(pd.DataFrame({"study": list("AB"), "yi": [0.1, 0.2], "vi": [1.0, 2.0]}))
    found = es.aggregate()
    assert found.yi.tolist() == es.yi.tolist()
    assert found.vi.tolist() == es.vi.tolist()
    assert found.notes == es.notes


def test_the_pool_of_aggregates_is_that_of_the_gls_means() -> None:
    """An equal-effects pool of the aggregates is the GLS mean of all rows with the same V."""
    es = effects()
    V = whole(mb.sampling_covariance(es, rho=RHO).matrix)
    w = np.linalg.solve(V, np.ones(6))
    result = mb.pool(es.aggregate(rho=RHO), model="equal")
    assert result.estimate.point == pytest.approx(w @ es.yi / w.sum(), rel=1e-12)
    assert result.estimate.se == pytest.approx(w.sum() ** -0.5, rel=1e-12)


def test_what_is_refused() -> None:
    """Unknown words, and a group that some row does not have."""
    with pytest.raises(OptionError, match="did you mean 'equal'"):
        effects().aggregate(weights="equall")
    with pytest.raises(OptionError, match="did you mean 'site'"):
        effects().aggregate(by="sites")
    with pytest.raises(OptionError, match="names no column"):
        effects().aggregate(by=[])
    with pytest.raises(DataError, match="belongs to no group"):
        effects(site=["p", "q", "", "r", "q", "p"]).aggregate(by="site")


def test_means_of_groups_that_cross_blocks() -> None:
    """A V A' for any groups of rows, whatever blocks the matrix has."""
    rng = np.random.default_rng(3)
    labels, groups = np.array([0, 0, 1, 1, 2, 3]), np.array([0, 1, 1, 2, 2, 3])
    root = rng.normal(size=(6, 6))
    V = np.where(labels[:, None] == labels, root @ root.T + 6 * np.eye(6), 0.0)
    y = rng.normal(size=6)
    found = group_means(y, gathered(blocks_of(labels), V), groups)
    A = np.zeros((4, 6))
    A[groups, np.arange(6)] = found.weights
    assert A.sum(axis=1) == pytest.approx(np.ones(4), rel=EXACT)
    np.testing.assert_allclose(found.y, A @ y, rtol=1e-12)
    np.testing.assert_allclose(whole(found.cov), A @ V @ A.T, atol=1e-12)
    own = V[np.ix_([1, 2], [1, 2])]
    assert on_diagonal(found.cov)[1] == pytest.approx(1 / np.linalg.inv(own).sum(), rel=EXACT)


def test_a_column_that_is_not_there_is_told_with_each_name_once() -> None:
    with pytest.raises(OptionError, match=r"did you mean 'study'\?") as caught:
        effects().aggregate(by="studdy")
    names = str(caught.value).partition("use one of: ")[2].split(", ")
    assert len(names) == len(set(names))


def test_an_option_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(OptionError, match=r"option='rhoo' is not known \(did you mean 'rho'\?\); use one of: by, w"):
        effects().aggregate(rhoo=0.3)
    with pytest.raises(OptionError, match=r"option='foo' is not known.*; option='bar' is not known"):
        mb.aggregate(effects(), foo=1, bar=2)
