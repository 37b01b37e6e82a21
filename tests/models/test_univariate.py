"""The univariate engine at its edges: designs, statuses, and rows that must not stop a batch."""

from __future__ import annotations

import numpy as np
import pytest

from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.stats import solve
from metaback.status import Status

METHODS = ("DL", "PM", "REML")
SAME = 1e-10  # the same model written in another way
Y, V = np.array([0.1, 0.3, -0.5, 0.9]), np.array([0.02, 0.03, 0.05, 0.1])
ALL = np.ones(4, dtype=bool)
X = np.column_stack((np.ones(4), [1.0, 2.0, 5.0, 3.0]))


def fit(y=Y, v=V, mask=ALL, X=None, **spec):  # noqa: ANN001, ANN003, ANN201 (short calls in many tests)
    """Fit with the Wald interval unless told otherwise."""
    arrays = (np.asarray(y, float), np.asarray(v, float), np.asarray(mask, bool))
    return fit_univariate(*arrays, PoolSpec(**{"ci": "Wald", **spec}), X)


# ---------------------------------------------------------------- designs


@pytest.mark.parametrize("method", METHODS)
def test_a_column_of_ones_is_a_mean(method: str) -> None:
    rng = np.random.default_rng(1)
    y, v = rng.normal(0, 1, (50, 7)), 10 ** rng.uniform(-2, 1, (50, 7))
    mask = rng.random((50, 7)) < 0.8
    mask[:, :2] = True
    plain = fit(y, v, mask, tau2=method, ci="HKSJ")
    ones = fit(y, v, mask, np.ones((7, 1)), tau2=method, ci="HKSJ")
    for name in ("beta", "theta", "cov", "df", "loglik"):
        np.testing.assert_allclose(getattr(ones, name), getattr(plain, name), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_the_coding_of_a_design_changes_the_coefficients_only(method: str) -> None:
    rng = np.random.default_rng(2)
    y, v, x = rng.normal(0, 1, (40, 9)), 10 ** rng.uniform(-2, 1, (40, 9)), rng.normal(0, 1, (40, 9))
    design = np.stack((np.ones_like(x), x), axis=-1)
    turn = np.array([[1.0, 50.0], [0.0, -3.0]])
    one, other = (
        fit(y, v, mask=np.ones((40, 9)), X=design, tau2=method),
        fit(y, v, np.ones((40, 9)), design @ turn, tau2=method),
    )
    np.testing.assert_allclose(other.theta, one.theta, rtol=SAME, atol=1e-12)
    np.testing.assert_allclose(other.loglik, one.loglik, rtol=SAME, atol=SAME)
    np.testing.assert_allclose(other.beta @ turn.T, one.beta, rtol=1e-8, atol=SAME)


def test_reml_with_a_moderator_is_the_global_maximum() -> None:
    rng = np.random.default_rng(3)
    n, k = 500, 7
    y, v = rng.normal(0, 1, (n, k)), 10 ** rng.uniform(-3, 2, (n, k))
    x = rng.normal(0, 1, (n, k))
    design = np.stack((np.ones_like(x), x), axis=-1)
    found = fit(y, v, np.ones((n, k)), design)
    grid = np.concatenate(([0.0], np.geomspace(1e-6, 1e3, 300)))
    best = np.full(n, -np.inf)
    for tau2 in grid:
        w = 1 / (v + tau2)
        xwx = np.einsum("nkp,nk,nkq->npq", design, w, design)
        beta = np.linalg.solve(xwx, np.einsum("nkp,nk,nk->np", design, w, y)[..., None])[..., 0]
        r = y - np.einsum("nkp,np->nk", design, beta)
        plain = np.linalg.slogdet(np.einsum("nkp,nkq->npq", design, design))[1]
        terms = (k - 2) * np.log(2 * np.pi) - plain - np.log(w).sum(1) + np.linalg.slogdet(xwx)[1] + (w * r * r).sum(1)
        best = np.maximum(best, -terms / 2)
    assert (found.loglik >= best - 1e-8).all()
    assert (found.loglik - best < 0.05).mean() > 0.99  # the grid is fine enough to be near the maximum


def test_years_and_their_squares_are_not_collinear() -> None:
    # RELIABILITY, finding 5: condition number 2.4e11, metafor refuses it. The fit is that of centred years.
    years = np.arange(1990.0, 2002.0)
    rng = np.random.default_rng(4)
    y, v = rng.normal(0, 1, 12), rng.uniform(0.1, 1, 12)
    raw = np.column_stack((np.ones(12), years, years**2))
    centred = np.column_stack((np.ones(12), years - 1996, (years - 1996) ** 2))
    one, other = fit(y, v, np.ones(12), raw), fit(y, v, np.ones(12), centred)
    assert one.status == Status.CONVERGED
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(one.beta[2], other.beta[2], rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_perfect_line_is_a_homogeneous_fit(method: str) -> None:
    line = fit(0.3 * X[:, 1] - 0.1, V, X=X, tau2=method)
    assert line.status == Status.CONVERGED
    np.testing.assert_allclose(line.theta, 0.0, atol=1e-15)
    np.testing.assert_allclose(line.beta, [-0.1, 0.3], rtol=1e-12)


# ---------------------------------------------------------------- statuses


def blank(found, i=()) -> bool:  # noqa: ANN001
    """Tell whether a fit has no numbers."""
    return all(np.isnan(getattr(found, name)[i]).all() for name in ("beta", "cov", "theta", "df", "loglik"))


@pytest.mark.parametrize("method", METHODS)
def test_no_study(method: str) -> None:
    found = fit(mask=np.zeros(4), tau2=method)
    assert found.status == Status.NO_STUDIES
    assert blank(found)


@pytest.mark.parametrize("method", METHODS)
def test_fewer_studies_than_coefficients(method: str) -> None:
    found = fit(mask=[1, 0, 0, 0], X=X, tau2=method)
    assert found.status == Status.TOO_FEW_STUDIES
    assert blank(found)


@pytest.mark.parametrize("method", METHODS)
def test_collinear_moderators(method: str) -> None:
    found = fit(X=np.column_stack((np.ones(4), np.full(4, 2.0))), tau2=method)
    assert found.status == Status.RANK_DEFICIENT
    assert blank(found)


@pytest.mark.parametrize("method", METHODS)
def test_moderators_that_are_collinear_among_the_rows_that_are_left(method: str) -> None:
    x = np.column_stack((np.ones(4), [2.0, 2.0, 2.0, 3.0]))
    assert fit(mask=[1, 1, 1, 0], X=x, tau2=method).status == Status.RANK_DEFICIENT
    assert fit(X=x, tau2=method).status == Status.CONVERGED


@pytest.mark.parametrize("method", METHODS)
def test_as_many_studies_as_coefficients(method: str) -> None:
    found = fit(mask=[1, 1, 0, 0], X=X, tau2=method, ci="HKSJ")
    assert found.status == Status.CONVERGED
    assert found.theta[0] == 0
    assert found.df == np.inf
    np.testing.assert_allclose(X[:2] @ found.beta, Y[:2], rtol=1e-12)


@pytest.mark.parametrize("model", ["random", "equal"])
@pytest.mark.parametrize("method", METHODS)
def test_one_study_is_that_study(method: str, model: str) -> None:
    for ci in ("Wald", "Wald-t", "HKSJ", "HKSJ-wider"):
        found = fit(mask=[0, 0, 1, 0], tau2=method, ci=ci, model=model)
        assert found.status == Status.CONVERGED
        assert (found.beta[0], found.cov[0, 0], found.theta[0], found.df) == (Y[2], V[2], 0.0, np.inf)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_of_nothing_is_nothing(method: str) -> None:
    found = fit(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros((0, 4)), tau2=method)
    assert found.beta.shape == (0, 1)
    assert found.status.shape == (0,)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("X", [None, X], ids=["mean", "line"])
def test_rows_that_cannot_be_fitted_do_not_stop_the_others(method: str, X: np.ndarray | None) -> None:
    masks = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]], dtype=bool)
    found = fit(mask=masks, X=X, tau2=method)
    few = Status.CONVERGED if X is None else Status.TOO_FEW_STUDIES
    assert found.status.tolist() == [0, Status.NO_STUDIES, few, 0, Status.NO_STUDIES]
    for i in (0, 3):
        alone = fit(mask=masks[i], X=X, tau2=method)
        np.testing.assert_allclose(found.beta[i], alone.beta, rtol=1e-12)
        np.testing.assert_allclose(found.theta[i], alone.theta, rtol=1e-12, atol=1e-15)
    assert blank(found, 1)


BAD = {
    "effect nan": (np.nan, 0.1),
    "effect inf": (np.inf, 0.1),
    "variance nan": (0.1, np.nan),
    "variance 0": (0.1, 0.0),
    "variance negative": (0.1, -0.2),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", BAD)
def test_a_row_with_impossible_numbers_does_not_pass_for_fitted(
    method: str, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Such a row must end with a status that is not CONVERGED, without a warning, and leave its neighbours alone.
    monkeypatch.setattr(solve, "MAX_SPLITS", 12)  # the search doubles its intervals for ever on nan: keep memory small
    y, v = np.tile(Y, (3, 1)), np.tile(V, (3, 1))
    y[1, 2], v[1, 2] = BAD[bad]
    found = fit(y, v, np.ones((3, 4)), tau2=method)
    alone = fit(tau2=method)
    for i in (0, 2):
        np.testing.assert_allclose(found.beta[i], alone.beta, rtol=1e-12)
        assert found.status[i] == Status.CONVERGED
    assert not Status(int(found.status[1])).ok
    assert blank(found, 1)


@pytest.mark.parametrize("method", METHODS)
def test_a_study_of_infinite_variance_does_not_count(method: str) -> None:
    # RELIABILITY, finding 4: weight 0 but counted, so that Q has a degree of freedom too many. metafor's mistake.
    v = np.append(V, np.inf)
    found = fit(np.append(Y, 9.0), v, np.ones(5), tau2=method, ci="HKSJ")
    alone = fit(tau2=method, ci="HKSJ")
    np.testing.assert_allclose(found.theta, alone.theta, rtol=1e-12)
    np.testing.assert_allclose(found.cov, alone.cov, rtol=1e-12)
    assert found.df == alone.df


# ---------------------------------------------------------------- homogeneous effects


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 0.5, 0.1 + 0.2, -1e-9, 1e8])
def test_equal_effects_have_no_tau2(method: str, value: float) -> None:
    found = fit(np.full(4, value), V, tau2=method, ci="HKSJ-wider")
    assert found.status == Status.CONVERGED
    assert found.theta[0] == 0
    assert found.beta[0] == pytest.approx(value, rel=1e-15)
    assert found.cov[0, 0] == pytest.approx(1 / (1 / V).sum(), rel=1e-14)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("same", [True, False], ids=["equal variances", "other variances"])
def test_effects_equal_but_for_rounding(method: str, same: bool) -> None:
    y = np.array([0.3, 0.1 + 0.2, 0.3, 0.3])  # the second is 0.30000000000000004
    found = fit(y, np.full(4, 0.1) if same else V, tau2=method, ci="HKSJ-wider")
    assert found.status == Status.CONVERGED
    assert found.theta[0] == pytest.approx(0, abs=1e-30)
    assert found.beta[0] == pytest.approx(0.3, rel=1e-15)
