"""Working models of robust variance estimation: robumeta's numbers, moments that hold, and edges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metaback.stats.robust_tests import contrast_tests
from metaback.stats.rve import RveFit, correlated_effects, given_weights, hierarchical_effects, robust_of

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "robust.json").read_text(encoding="utf-8"))["rve"]
FITS = [(name, i) for name, data in REFERENCE.items() for i in range(len(data["fits"]))]
SAME = 1e-10  # relative: robumeta inverts X'WX of raw columns
TAIL = 1e-13  # absolute, of p: robumeta has 1 - F, which leaves small p without digits


def case_of(name: str, i: int) -> tuple[dict[str, Any], np.ndarray, np.ndarray, RveFit]:
    """Return a fit of robumeta, X, the studies, and ours."""
    data = REFERENCE[name]
    fit = data["fits"][i]
    y, v, study = (np.array(data[key]) for key in ("y", "v", "study"))
    columns = [np.array(x, dtype=float) for x in data["X"]] if fit["design"] == "moderators" else []
    X = np.column_stack((np.ones(y.size), *columns))
    if fit["model"] == "CORR":
        return fit, X, study, correlated_effects(y, v, X, study, fit["rho"])
    if fit["model"] == "HIER":
        return fit, X, study, hierarchical_effects(y, v, X, study)
    return fit, X, study, given_weights(y, v, X, study, 1 / (v + 0.1))


def test_the_grid_cannot_shrink() -> None:
    """Four data sets, two designs, five correlations and two other models, with and without correction."""
    assert set(REFERENCE) == {"corrdat", "hierdat", "oswald2013", "dropoutPrevention"}
    assert len(FITS) == 4 * 2 * 2 * 7


@pytest.mark.parametrize(("name", "i"), FITS)
def test_fits_are_those_of_robumeta(name: str, i: int) -> None:
    """Coefficients, components, I2, standard errors, df, limits and p."""
    fit, X, study, ours = case_of(name, i)
    tests = contrast_tests(
        ours.beta, robust_of(ours, X, study, small=fit["small"]), df="satterthwaite" if fit["small"] else "residual"
    )
    np.testing.assert_allclose(ours.beta, np.atleast_1d(fit["b"]), rtol=SAME)
    np.testing.assert_allclose(tests.se, np.atleast_1d(fit["se"]), rtol=SAME)
    for key in ("tau2", "omega2", "i2"):
        if fit[key] != []:
            assert float(getattr(ours, key)) == pytest.approx(fit[key], rel=SAME)
    if fit["model"] == "USER" and fit["small"]:
        return  # df: next test
    np.testing.assert_allclose(tests.df, np.atleast_1d(fit["df"]), rtol=SAME)
    np.testing.assert_allclose(tests.p, np.atleast_1d(fit["p"]), atol=TAIL, rtol=SAME)
    np.testing.assert_allclose(tests.lower, np.atleast_1d(fit["lower"]), rtol=SAME)
    np.testing.assert_allclose(tests.upper, np.atleast_1d(fit["upper"]), rtol=SAME)


def test_df_with_weights_of_the_user_are_those_of_clubsandwich() -> None:
    """Values of coef_test(vcov = "CR2") for the same robu fit; robumeta takes equal variances for df alone."""
    (i,) = [
        i
        for i, fit in enumerate(REFERENCE["corrdat"]["fits"])
        if fit["model"] == "USER" and fit["small"] and fit["design"] == "moderators"
    ]
    _, X, study, ours = case_of("corrdat", i)
    df = contrast_tests(ours.beta, robust_of(ours, X, study)).df
    np.testing.assert_allclose(df, [9.94436405237, 6.15339937511, 9.68508215702, 11.43660055218], rtol=1e-11)


def test_a_grid_of_correlations_is_one_call() -> None:
    """Leading axis of rho, through to the robust covariance, and over replicates of y."""
    data = REFERENCE["corrdat"]
    y, v, study = (np.array(data[key]) for key in ("y", "v", "study"))
    X, rho = np.column_stack((np.ones(y.size), data["X"][0])), np.array([0.0, 0.3, 0.9])
    grid = correlated_effects(y, v, X, study, rho)
    cov = robust_of(grid, X, study).cov
    both = correlated_effects(np.stack((y, 2 * y)), v, X, study, rho)
    for r, value in enumerate(rho):
        one = correlated_effects(y, v, X, study, float(value))
        np.testing.assert_allclose(grid.tau2[r], one.tau2, rtol=SAME)
        np.testing.assert_allclose(grid.beta[r], one.beta, rtol=SAME)
        np.testing.assert_allclose(both.tau2[r, 0], one.tau2, rtol=SAME)
        np.testing.assert_allclose(cov[r], robust_of(one, X, study).cov, rtol=SAME)


# robumeta 2.0: id 1..8 with 3, 2, 4, 3, 5, 2, 1, 3 effects; tau2 and omega2 below 0 are brought to 0
def made(wiggle: float, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return effects with a spread within studies and one between them."""
    study = np.repeat(np.arange(8), [3, 2, 4, 3, 5, 2, 1, 3])
    place = np.arange(study.size)
    return wiggle * np.cos(2.4 * place) + shift * np.sin(1.7 * study), np.full(study.size, 0.1), study


@pytest.mark.parametrize(
    ("wiggle", "shift", "between", "within"),
    [(0.01, 0.01, False, False), (0.05, 1.0, True, False), (1.5, 0.01, False, True), (1.5, 2.0, True, True)],
)
def test_components_below_zero_are_zero(wiggle: float, shift: float, between: bool, within: bool) -> None:
    """Spread only between or only within studies leaves the other component at 0."""
    y, v, study = made(wiggle, shift)
    fit = hierarchical_effects(y, v, np.ones((y.size, 1)), study)
    assert (fit.tau2 > 0, fit.omega2 > 0) == (between, within)


def test_moments_are_unbiased() -> None:
    """Components as they are expected come back from 20,000 data sets with the model's covariance, without floors."""
    rng = np.random.default_rng(5)
    study = np.repeat(np.arange(20), 4)
    v = np.tile([0.05, 0.1, 0.02, 0.2], 20)
    X = np.column_stack((np.ones(80), np.linspace(-1, 1, 80)))
    u = rng.normal(size=(20_000, 20)) * 2.0
    y = u[:, study] + rng.normal(size=(20_000, 80)) * np.sqrt(v + 1.0)
    fit = hierarchical_effects(y, v, X, study)
    for values, truth in ((fit.tau2, 4.0), (fit.omega2, 1.0)):
        assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(20_000)


def test_what_cannot_be_told_apart_is_nan() -> None:
    """One effect per study leaves tau2 + omega2 alone; as many columns as studies leave no tau2."""
    y = np.array([0.1, 0.5, 0.3])
    hier = hierarchical_effects(y, np.full(3, 0.1), np.ones((3, 1)), np.arange(3))
    assert np.isnan([hier.tau2, hier.omega2]).all()
    corr = correlated_effects(y, np.full(3, 0.1), np.eye(2)[[0, 0, 1]], np.array([0, 0, 1]))
    assert np.isnan(corr.tau2)


def test_a_known_mean_of_zero_leaves_the_moments_of_the_effects_themselves() -> None:
    """Without columns E(Q) = m + tau2 sum of 1 / vbar_j; it is the null model of a test of the mean."""
    y, v, study = made(1.5, 2.0)
    fit = correlated_effects(y, v, np.empty((y.size, 0)), study)
    _, place, k = np.unique(study, return_inverse=True, return_counts=True)
    mean_v = np.bincount(place, v) / k
    q = (y * y / (k * mean_v)[place]).sum()
    assert float(fit.tau2) == pytest.approx((q - k.size) / (1 / mean_v).sum(), rel=SAME)
    assert hierarchical_effects(y, v, np.empty((y.size, 0)), study).tau2 >= 0
