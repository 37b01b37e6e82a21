"""Fits against arithmetic with 50 digits: likelihood, slope and the place of the maximum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from metaback.stats.blocks import blocks_of, diagonal, gathered
from metaback.stats.mixed import Term, fit_mixed

PLACE = 1e-9  # relative, theta at the maximum
VALUE = 1e-13  # relative, a log-likelihood from sums of plain doubles


def _matrix(array: np.ndarray) -> mpmath.matrix:
    return mpmath.matrix(array.tolist())


def _exact_loglik(y: np.ndarray, X: np.ndarray, M: mpmath.matrix, *, reml: bool) -> mpmath.mpf:
    """Return the log-likelihood from its definition."""
    n, p = X.shape
    ym, Xm = _matrix(y[:, None]), _matrix(X)
    A = M**-1
    XA = Xm.T * A
    information = XA * Xm
    rest = ym - Xm * (information**-1 * (XA * ym))
    value = mpmath.log(mpmath.det(M)) + (rest.T * A * rest)[0]
    if reml:
        value += mpmath.log(mpmath.det(information)) - mpmath.log(mpmath.det(Xm.T * Xm))
    return -(value + (n - p * reml) * mpmath.log(2 * mpmath.pi)) / 2


Covariance = Callable[[list[mpmath.mpf]], mpmath.matrix]


def _three_level(study: np.ndarray, v: np.ndarray) -> Covariance:
    n = v.size

    def covariance(theta: list[mpmath.mpf]) -> mpmath.matrix:
        out = mpmath.matrix(n, n)
        for i in range(n):
            for j in range(n):
                out[i, j] = theta[0] * (study[i] == study[j]) + (theta[1] + mpmath.mpf(float(v[i]))) * (i == j)
        return out

    return covariance


def _two_outcomes(study: np.ndarray, level: np.ndarray, V: np.ndarray) -> Covariance:
    n = level.size

    def covariance(theta: list[mpmath.mpf]) -> mpmath.matrix:
        out = _matrix(V)
        for i in range(n):
            for j in range(n):
                if study[i] == study[j]:
                    rho = mpmath.mpf(1) if level[i] == level[j] else theta[2]
                    out[i, j] += rho * mpmath.sqrt(theta[level[i]] * theta[level[j]])
        return out

    return covariance


def _made() -> tuple[np.ndarray, ...]:
    study = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5])
    level = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0])
    v = np.array([0.04, 0.05, 0.02, 0.09, 0.06, 0.03, 0.05, 0.02, 0.08, 0.04, 0.03])
    y = np.array([0.9, 0.7, -0.2, 0.35, 1.4, 0.65, -0.4, -0.35, 0.6, 1.1, 0.2])
    return study, level, v, y


@pytest.fixture(autouse=True)
def fifty_digits() -> Any:
    """Set the precision of a test, and put the old one back."""
    with mpmath.workdps(50):
        yield


def _refined(f: Callable[..., mpmath.mpf], theta: np.ndarray) -> list[mpmath.mpf]:
    """Return the root of the exact slope of f near theta."""
    q = theta.size
    step = mpmath.mpf(10) ** -18

    def slope(*at: mpmath.mpf) -> list[mpmath.mpf]:
        out = []
        for j in range(q):
            up, down = list(at), list(at)
            up[j], down[j] = at[j] + step, at[j] - step
            out.append((f(*up) - f(*down)) / (2 * step))
        return out

    start = [mpmath.mpf(float(value)) for value in theta]
    if q == 1:
        return [mpmath.findroot(lambda a: slope(a)[0], start[0], tol=1e-25)]
    return list(mpmath.findroot(slope, start, tol=1e-25))


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_three_levels_stand_at_the_exact_maximum(method: str) -> None:
    study, _, v, y = _made()
    X = np.column_stack([np.ones(11), np.arange(11) % 3])
    terms = [Term("ID0", study), Term("ID0", np.arange(11))]
    fit = fit_mixed(y, X, diagonal(blocks_of(np.arange(11)), v), terms, method)
    covariance = _three_level(study, v)
    exact = _exact_loglik(y, X, covariance([mpmath.mpf(float(t)) for t in fit.theta]), reml=method == "REML")
    assert abs(fit.loglik - exact) < VALUE * abs(exact)
    free = [i for i in range(2) if not fit.at_bound[i]]
    assert free

    def along(*at: mpmath.mpf) -> mpmath.mpf:
        theta = [mpmath.mpf(0)] * 2
        for i, value in zip(free, at, strict=True):
            theta[i] = value
        return _exact_loglik(y, X, covariance(theta), reml=method == "REML")

    found = _refined(along, fit.theta[free])
    np.testing.assert_allclose(fit.theta[free], [float(value) for value in found], rtol=PLACE)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_two_outcomes_stand_at_the_exact_maximum(method: str) -> None:
    study, level, v, y = _made()
    V = np.diag(v) + 0.01 * ((study[:, None] == study) & (level[:, None] != level))
    X = np.eye(2)[level]
    terms = [Term("UN", study, level, 2)]
    from_rows = np.where(study[:, None] == study, V, 0.0)
    fit = fit_mixed(y, X, gathered(blocks_of(study), from_rows), terms, method)
    covariance = _two_outcomes(study, level, from_rows)
    reml = method == "REML"
    exact = _exact_loglik(y, X, covariance([mpmath.mpf(float(t)) for t in fit.theta]), reml=reml)
    assert abs(fit.loglik - exact) < VALUE * max(abs(exact), 1)
    assert not fit.at_bound.any()
    found = _refined(lambda *at: _exact_loglik(y, X, covariance(list(at)), reml=reml), fit.theta)
    np.testing.assert_allclose(fit.theta, [float(value) for value in found], rtol=PLACE)
