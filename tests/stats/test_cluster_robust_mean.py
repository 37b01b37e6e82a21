"""The robust mean of independent effects: the closed forms against the matrices that define them, in 50 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metaback as mb
from metaback.stats.intervals.cluster_robust import robust_mean
from metaback.stats.wls import prepare

CLOSED = 1e-12  # sums of positive numbers, relative
SIZES = st.lists(st.floats(1e-4, 1e4), min_size=2, max_size=8)


def exact(y: list[float], v: list[float], tau2: float) -> tuple[float, float]:
    """Return variance and df by the definition: A_i Phi_i A_i' = W_i^-1, nu = 2 E^2 / Var of the quadratic form."""
    with mpmath.workdps(50):
        phi = [mpmath.mpf(a) + mpmath.mpf(tau2) for a in v]
        m = 1 / sum(1 / a for a in phi)
        mean = m * sum(mpmath.mpf(b) / a for a, b in zip(phi, y, strict=True))
        c = [m / a / mpmath.sqrt((a - m) / a) for a in phi]
        variance = sum((f * (mpmath.mpf(b) - mean)) ** 2 for f, b in zip(c, y, strict=True))
        k = len(y)
        omega = mpmath.matrix(k, k)
        for i in range(k):
            for j in range(k):
                omega[i, j] = c[i] * c[j] * ((phi[i] if i == j else 0) - m)
        trace = sum(omega[i, i] for i in range(k))
        return float(variance), float(trace**2 / sum(omega[i, j] ** 2 for i in range(k) for j in range(k)))


def ours(y: list[float], v: list[float], tau2: float) -> tuple[float, float]:
    """Return variance and df of the closed forms."""
    part = prepare(np.array([y]), np.array([v]), np.ones((1, len(y)), dtype=bool))
    variance, df = robust_mean(part, np.array([tau2]))
    return float(variance[0]), float(df[0])


def test_clubsandwich_gives_the_same() -> None:
    """R clubSandwich, `coef_test(rma(yi, vi, tau2 = 0.05), vcov = "CR2", cluster = 1:3)`."""
    variance, df = ours([0.1, 0.3, 0.9], [0.01, 0.2, 0.4], 0.05)
    assert np.sqrt(variance) == pytest.approx(0.173070353473932625, rel=CLOSED)
    assert df == pytest.approx(1.322696306920043474, rel=CLOSED)


@settings(max_examples=60)
@given(SIZES, st.integers(0, 1000), st.sampled_from([0.0, 0.3, 1e3]))
def test_the_definition_in_fifty_digits(v: list[float], seed: int, tau2: float) -> None:
    """Whatever the spread of the variances: one study with nearly all the weight loses no digits."""
    y = np.random.default_rng(seed).normal(5.0, 1.0, len(v)).tolist()
    np.testing.assert_allclose(ours(y, v, tau2), exact(y, v, tau2), rtol=1e-9)  # y - mean of effects far from 0


def test_a_pool_with_the_robust_interval() -> None:
    """Equal variances: the plain standard error of a mean on k - 1 df; one study keeps its own interval."""
    y = [0.1, 0.4, 0.2, 0.9]
    res = mb.pool(mb.effect_sizes(_frame(y, [0.2] * 4)), ci="CR2")
    assert res.estimate.se == pytest.approx(np.std(y, ddof=1) / 2, rel=CLOSED)
    assert res.estimate.df == pytest.approx(3, rel=CLOSED)
    assert "cluster-robust" in res.methods_text()
    assert mb.pool(mb.effect_sizes(_frame([0.3], [0.1])), ci="CR2").estimate.se == pytest.approx(0.1, rel=CLOSED)


def _frame(y: list[float], se: list[float]) -> mb.Trials:
    """Return a table of effects."""
    return mb.read_trials(pd.DataFrame({"study": [f"S{i}" for i in range(len(y))], "yi": y, "sei": se}))
