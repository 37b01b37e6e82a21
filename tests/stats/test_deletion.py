"""Deletion diagnostics against 50-digit arithmetic, and their own identities."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from metaback.stats.deletion import beside, residual_spread

EXACT = 1e-13  # sums of positive numbers, a few roundings


def test_sums_beside_keep_the_digits_of_what_is_left() -> None:
    values = np.array([1e18, 3.0, 0.1, 2.0])
    with mp.workdps(50):
        exact = [float(sum((mp.mpf(float(v)) for j, v in enumerate(values) if j != i), mp.mpf(0))) for i in range(4)]
    np.testing.assert_allclose(beside(values), exact, rtol=EXACT)
    assert beside(np.array([5.0])).tolist() == [0.0]


@pytest.mark.parametrize("own", [False, True])
def test_variance_of_residuals_is_the_diagonal_of_the_residual_makers_form(own: bool) -> None:
    rng = np.random.default_rng(3)
    m = rng.uniform(0.1, 2, 6)
    a = rng.uniform(0, 2, 6) if own else 1 / m
    hat = a / a.sum()
    maker = np.eye(6) - np.ones((6, 1)) * hat
    expected = np.diag(maker @ np.diag(m) @ maker.T)
    found = residual_spread(hat, beside(a) / a.sum(), m, a if own else None)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
