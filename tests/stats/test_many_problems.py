"""Designs of few columns: what is computed for many problems at once is what is computed for one."""

from __future__ import annotations

from dataclasses import fields

import mpmath as mp
import numpy as np
import pytest

from metaback.stats.wls import MANY, Moments, Problems, coefficients, moments, prepare

ORTHOGONAL = 1e-13  # both ways orthogonalise to rounding; the traces subtract leverages of up to 0.9
SAME = 1e-12  # the promise for batch = loop
FIELDS = [field.name for field in fields(Moments)]


def drawn(p: int, n: int = 3 * MANY, k: int = 9) -> tuple[Problems, np.ndarray]:
    rng = np.random.default_rng(p)
    y, v = rng.normal(size=(n, k)), rng.uniform(0.05, 1, (n, k))
    X = np.concatenate((np.ones((n, k, 1)), 2000 + rng.normal(size=(n, k, p - 1))), axis=-1)
    mask = rng.random((n, k)) > 0.2
    mask[:, : p + 2] = True
    return prepare(y, v, mask, X), np.where(rng.random(n) > 0.3, rng.uniform(0, 1, n), 0.0)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_moments_of_many_are_those_of_each(p: int) -> None:
    problems, tau2 = drawn(p)
    many = moments(problems, tau2)
    for i in range(0, problems.n, 25):
        one = moments(problems.take(np.array([i])), tau2[i : i + 1])
        for name in FIELDS:
            assert getattr(many, name)[i] == pytest.approx(getattr(one, name)[0], rel=ORTHOGONAL), name


def test_moments_of_many_in_50_digits() -> None:
    problems, tau2 = drawn(2)
    many = moments(problems, tau2)
    assert problems.X is not None
    with mp.workdps(50):
        for i in (0, 100, 299):
            v = problems.v[:, i]
            w = [mp.mpf(0) if np.isinf(a) else 1 / (mp.mpf(float(a)) + mp.mpf(float(tau2[i]))) for a in v]
            X, W = mp.matrix(problems.X[i].tolist()), mp.diag(w)
            P = W - W * X * (X.T * W * X) ** -1 * X.T * W
            y = mp.matrix(problems.y[:, i].tolist())
            trace = [sum(Q[j, j] for j in range(len(w))) for Q in (P, P * P)]
            exact = [(y.T * P * y)[0], (y.T * P * P * y)[0], (y.T * P * P * P * y)[0], *trace]
            for name, value in zip(("q1", "q2", "q3", "t1", "t2"), exact, strict=True):
                assert getattr(many, name)[i] == pytest.approx(float(value), rel=ORTHOGONAL), name


@pytest.mark.parametrize("p", [2, 3])
def test_coefficients_of_many_are_those_of_each(p: int) -> None:
    problems, tau2 = drawn(p)
    many = coefficients(problems, tau2)
    for i in range(0, problems.n, 25):
        one = coefficients(problems.take(np.array([i])), tau2[i : i + 1])
        scale = np.sqrt(np.diagonal(one.cov[0]))  # coefficients in units of their standard errors
        np.testing.assert_allclose(many.beta[i] / scale, one.beta[0] / scale, rtol=SAME, atol=SAME)
        np.testing.assert_allclose(many.q1[i], one.q1[0], rtol=SAME)
