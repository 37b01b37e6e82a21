"""Means of dependent effects against rma.mv with clubSandwich, and a batch against single fits."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metaback as mb
from metaback.models.dependent_means import (
    DependentCoefficients,
    DependentMeans,
    dependent_coefficients,
    dependent_means,
    dependent_means_many,
)
from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal, gathered
from metaback.status import Status

FOLDER = Path(__file__).parents[1] / "reference" / "dependent"
R_TOLERANCE = 1e-6  # relative: rma.mv stops its search when the components are that near
EXACT = 1e-8  # relative: one batch against single fits, both iterated to 1e-12
CASES = {
    "konstantopoulos2011 | three levels": "REML",
    "konstantopoulos2011 | three levels ML": "ML",
    "assink2016 | three levels": "REML",
    "assink2016_V | CHE": "REML",
    "oswald2013_ex1 | three levels": "REML",
}


@cache
def reference(name: str) -> dict[str, Any]:
    """Return a file of the reference of dependent effects."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def rows_of(name: str) -> tuple[np.ndarray, BlockMatrix, np.ndarray]:
    """Return effects, their covariance and their studies as R had them."""
    case = reference("clubsandwich")["cases"][name]
    data = reference("data")["sets"][case["set"]]
    y = np.array(data["columns"]["yi"], dtype=float)
    study = np.unique(np.array(case["cluster"]).astype(str), return_inverse=True)[1]
    if data["V"] is None:
        return y, diagonal(blocks_of(study), np.array(data["columns"]["vi"], dtype=float)), study
    dense = np.zeros((y.size, y.size))
    for block in data["V"]:
        dense[np.ix_(block["rows"], block["rows"])] = block["V"]
    return y, gathered(blocks_of(study), dense), study


@pytest.mark.parametrize("name", CASES)
def test_three_levels_with_robust_variance(name: str) -> None:
    """Mean, CR2 standard error and Satterthwaite df, metafor 3.8-1 with clubSandwich 0.5.8."""
    y, V, study = rows_of(name)
    case = reference("clubsandwich")["cases"][name]
    found = dependent_means(y, V, study, method=CASES[name])
    wanted = case["types"]["CR2"]["Satterthwaite"]
    got = [found.mean[0], found.se[0], found.df[0], found.p[0]]
    np.testing.assert_allclose(
        got, [case["beta"][0], wanted["se"][0], wanted["df"][0], wanted["p"][0]], rtol=R_TOLERANCE
    )
    fit = reference("fits")["models"][case["model"]]["fits"][CASES[name]]
    np.testing.assert_allclose(sorted([found.between[0], found.within[0]]), sorted(fit["sigma2"]), rtol=1e-5, atol=1e-9)
    assert found.loglik[0] >= fit["loglik"] - EXACT
    assert found.q[0] == pytest.approx(fit["QE"], rel=EXACT)
    assert found.m[0] == fit["QE_df"]


def same(one: DependentMeans, i: int, other: DependentMeans) -> None:
    """Check that set i of a batch is a fit of its own."""
    for name in ("mean", "se", "df", "lower", "upper", "between", "within", "q", "m", "studies", "i2"):
        np.testing.assert_allclose(
            getattr(one, name)[i], getattr(other, name)[0], rtol=1e-6, atol=1e-9, err_msg=name
        )  # components near 0 have few digits


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 8))
def test_a_batch_of_sets_is_as_many_fits(seed: int, studies: int) -> None:
    """Leaving each study out in one call gives what pooling the others alone gives; weights sum to 1."""
    rng = np.random.default_rng(seed)
    study = np.sort(rng.integers(0, studies, 3 * studies))
    study = np.unique(study, return_inverse=True)[1]
    v = rng.uniform(0.02, 0.1, study.size)
    y = rng.normal(0, 0.4, study.max() + 1)[study] + rng.normal(0, 0.3, study.size) + rng.normal(0, np.sqrt(v))
    dense = np.where(study[:, None] == study, 0.5 * np.sqrt(np.outer(v, v)), 0.0)
    np.fill_diagonal(dense, v)
    n = study.max() + 1
    found = dependent_means(y, gathered(blocks_of(study), dense), study, present=~np.eye(n, dtype=bool))
    np.testing.assert_allclose(np.nansum(found.weights, axis=1), 1, rtol=EXACT)
    for i in range(n):
        keep = study != i
        alone = dependent_means(y[keep], gathered(blocks_of(study[keep]), dense[np.ix_(keep, keep)]), study[keep])
        same(found, i, alone)


def test_one_study_is_its_generalised_mean() -> None:
    """No component and no robust variance can come from one study: the mean and variance of V alone."""
    V = np.array([[0.04, 0.02], [0.02, 0.09]])
    y, study = np.array([0.1, 0.5]), np.array([0, 0])
    found = dependent_means(y, gathered(blocks_of(study), V), study)
    W = np.linalg.inv(V)
    assert found.mean[0] == pytest.approx((W @ y).sum() / W.sum(), rel=EXACT)
    assert found.se[0] == pytest.approx(W.sum() ** -0.5, rel=EXACT)
    assert np.isinf(found.df[0])
    assert np.isnan(found.between[0])
    assert not found.told.any()


def test_one_row_in_every_study_is_the_usual_random_effects_pool() -> None:
    """Both components then stand for one thing: their sum is tau2 by REML, and they are told as one."""
    y, v = np.array([0.1, 0.9, 0.3, 1.4, -0.2]), np.array([0.04, 0.03, 0.06, 0.05, 0.02])
    study = np.arange(5)
    found = dependent_means(y, diagonal(blocks_of(study), v), study)
    usual = mb.pool(mb.effect_sizes(mb.read_trials(_frame(y, v))), ci="CR2")
    assert not found.told.any()
    assert found.between[0] + found.within[0] == pytest.approx(usual.tau2, rel=EXACT)
    for got, wanted in (
        (found.mean, usual.estimate.point),
        (found.se, usual.estimate.se),
        (found.df, usual.estimate.df),
    ):
        assert got[0] == pytest.approx(wanted, rel=EXACT)


def test_a_set_without_studies_has_its_status() -> None:
    """It stops no other set."""
    y, study = np.array([0.1, 0.3, 0.2]), np.array([0, 0, 1])
    V = diagonal(blocks_of(study), np.full(3, 0.1))
    found = dependent_means(y, V, study, present=np.array([[True, True], [False, False]]))
    assert found.status.tolist() == [Status.CONVERGED, Status.NO_STUDIES]
    assert np.isfinite(found.mean[0])
    assert np.isnan(found.mean[1])


def test_coefficients_of_groups_give_the_groups() -> None:
    """Two groups of studies far apart: their means under common components, and no covariance of independent groups."""
    rng = np.random.default_rng(3)
    study = np.repeat(np.arange(12), 2)
    X = np.stack([study < 6, study >= 6], axis=1).astype(float)
    y = X @ np.array([0.0, 3.0]) + rng.normal(0, 0.2, 12)[study] + rng.normal(0, 0.2, 24)
    found = dependent_coefficients(y, X, diagonal(blocks_of(study), np.full(24, 0.04)), study)
    assert isinstance(found, DependentCoefficients)
    np.testing.assert_allclose(found.beta, [y[:12].mean(), y[12:].mean()], rtol=EXACT)
    assert found.robust.cov[0, 1] == pytest.approx(0, abs=1e-12)


def _frame(y: np.ndarray, v: np.ndarray) -> Any:
    """Return a table of effects."""
    return pd.DataFrame({"study": [f"S{i}" for i in range(y.size)], "yi": y, "vi": v})


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("studies", [1, 2, 9])
def test_many_covariances_are_each_alone(method: str, studies: int) -> None:
    """The batch over covariances gives the numbers of a loop over them."""
    rng = np.random.default_rng(11)
    sizes = [3] if studies == 1 else [1 + i % 3 for i in range(studies)]
    study = np.array([i for i, size in enumerate(sizes) for _ in range(size)], dtype=np.intp)
    v = rng.uniform(0.02, 0.1, study.size)
    y = rng.normal(0.3, 0.3, studies)[study] + rng.normal(0, np.sqrt(v))
    same, root = study[:, None] == study, np.sqrt(np.outer(v, v))
    whole = [np.where(np.eye(v.size, dtype=bool), root, np.where(same, rho * root, 0.0)) for rho in (0.0, 0.3, 0.7)]
    Vs = [gathered(blocks_of(study), part) for part in whole]
    many = dependent_means_many(y, Vs, study, method=method)
    for i, V in enumerate(Vs):
        alone = dependent_means(y, V, study, method=method)
        for name in DependentMeans.__slots__:
            np.testing.assert_allclose(
                getattr(many, name)[i], getattr(alone, name)[0], rtol=EXACT, atol=EXACT, err_msg=f"{name} {i}"
            )
