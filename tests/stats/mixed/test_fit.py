"""Fits of dependent effects: the numbers of whole matrices, at a peak, whatever the order, the unit and the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.stats.blocks import blocks_of, diagonal
from metaback.stats.mixed import STRUCTURES, Term, fit_mixed

METHODS = ("REML", "ML")
Agrees = Callable[..., None]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("key", list(STRUCTURES))
def test_a_fit_has_the_numbers_of_whole_matrices(case: Any, agrees: Agrees, key: str, method: str) -> None:
    terms = [case.term(key)]
    fit = fit_mixed(case.y, case.X, case.V, terms, method)
    assert fit.status == 0
    assert len(fit.names) == fit.theta.size
    agrees(fit, case.y, case.X, case.V, terms)


@pytest.mark.parametrize("method", METHODS)
def test_one_effect_per_row_is_the_univariate_model(method: str) -> None:
    rng = np.random.default_rng(2)
    v = rng.uniform(0.02, 0.3, 17)
    y = rng.normal(0.2, np.sqrt(v + 0.1))
    X = np.column_stack([np.ones(17), rng.normal(size=17)])
    fit = fit_mixed(y, X, diagonal(blocks_of(np.arange(17)), v), [Term("ID0", np.arange(17))], method)
    one = fit_univariate(y, v, np.ones(17, dtype=bool), PoolSpec(tau2=method, ci="Wald"), X)
    np.testing.assert_allclose(fit.theta, one.theta, rtol=1e-10)
    np.testing.assert_allclose(fit.beta, one.beta, rtol=1e-10)
    np.testing.assert_allclose(fit.cov, one.cov, rtol=1e-10)
    np.testing.assert_allclose(fit.loglik, one.loglik, rtol=1e-12)
