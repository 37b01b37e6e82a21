"""Q, I2, H2 and the typical variance by hand, and at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from metaback.stats.heterogeneity import cochran_q, h2_from_tau2, i2_from_q, i2_from_tau2, typical_variance
from metaback.stats.wls import prepare, shares


def one(y: list[float], v: list[float]):  # noqa: ANN201
    """Prepare a single problem."""
    return prepare(np.array([y]), np.array([v]), np.ones((1, len(y)), dtype=bool))


def test_q_by_hand() -> None:
    # weights 4, 2, 2; mean (0 + 2 + 4)/8 = 0.75; Q = 4 (0.75)^2 + 2 (0.25)^2 + 2 (1.25)^2 = 5.5; exp(-5.5/2) at 2 df
    q, p = cochran_q(one([0, 1, 2], [0.25, 0.5, 0.5]))
    assert q[0] == pytest.approx(5.5, rel=1e-15)
    assert p[0] == pytest.approx(np.exp(-2.75), rel=1e-14)


def test_i2_from_q_by_hand() -> None:
    assert i2_from_q(np.array([5.5, 2.0, 1.0, 0.0]), np.array([2.0, 2.0, 2.0, 2.0])).tolist() == [
        pytest.approx(100 * 3.5 / 5.5), 0, 0, 0,
    ]  # fmt: skip


def test_the_typical_variance_of_equal_variances_is_that_variance() -> None:
    assert typical_variance(one([1, 5, 2, 0], [0.3] * 4))[0] == pytest.approx(0.3, rel=1e-14)


def test_both_i2_agree_for_dersimonian_laird() -> None:
    # the definition of DL makes them the same number: tau2/(tau2 + s2) = (Q - m)/Q
    problems = one([0, 1, 2, 5], [0.25, 0.5, 0.5, 0.1])
    from_q = i2_from_q(cochran_q(problems)[0], problems.m)
    s2 = typical_variance(problems)
    tau2 = (cochran_q(problems)[0] - problems.m) * s2 / problems.m
    np.testing.assert_allclose(i2_from_tau2(tau2, s2), from_q, rtol=1e-13)
    np.testing.assert_allclose(h2_from_tau2(tau2, s2), 1 / (1 - from_q / 100), rtol=1e-13)


def test_one_study_has_no_heterogeneity() -> None:
    problems = one([0.4], [0.1])
    q, p = cochran_q(problems)
    assert q[0] == 0
    assert np.isnan(p[0])
    assert np.isnan(typical_variance(problems)[0])


def test_shares_sum_to_1_and_are_0_where_masked() -> None:
    v, mask = np.array([[0.1, 0.2, np.nan, 0.4]]), np.array([[True, True, False, True]])
    found = shares(v, mask, np.array([0.1]))
    np.testing.assert_allclose(found, [[5 / (5 + 10 / 3 + 2), 10 / 3 / (5 + 10 / 3 + 2), 0, 2 / (5 + 10 / 3 + 2)]])
    assert found.sum() == pytest.approx(1, rel=1e-15)
