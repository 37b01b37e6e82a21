"""Made data with every kind of dependence, and the likelihood written out with whole matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from metaback.stats.blocks import BlockMatrix, blocks_of, gathered, whole
from metaback.stats.mixed import MixedFit, Term, marginal

LEVELS = 4


@dataclass(frozen=True)
class Case:
    """Rows of several studies with up to four outcomes each."""

    y: np.ndarray
    X: np.ndarray
    V: BlockMatrix
    study: np.ndarray
    level: np.ndarray
    Z: np.ndarray
    position: np.ndarray

    def term(self, structure: str, **more: Any) -> Term:
        """Return a term over the studies of the case."""
        inner = None if structure == "ID0" else self.level
        given: dict[str, Any] = {
            "inner": inner,
            "levels": 1 if inner is None else LEVELS,
            "position": self.position,
        } | more
        if structure in {"GEN", "GDIAG"}:
            given |= {"Z": self.Z, "inner": None, "levels": 1}
        return Term(structure, self.study, **given)

    @property
    def row(self) -> Term:
        """Return an effect of each row of its own."""
        return Term("ID0", np.arange(self.y.size))


def _make_case(studies: int = 25, seed: int = 4, missing: float = 0.15) -> Case:
    """Return a case with correlated sampling errors."""
    rng = np.random.default_rng(seed)
    study, level = np.repeat(np.arange(studies), LEVELS), np.tile(np.arange(LEVELS), studies)
    kept = rng.random(study.size) >= missing
    study, level = study[kept], level[kept]
    n = study.size
    v = rng.uniform(0.02, 0.1, n)
    V = np.where(study[:, None] == study, 0.5 ** np.abs(level[:, None] - level) * np.sqrt(v[:, None] * v), 0.0)
    G = 0.1 * np.eye(LEVELS) + 0.12
    u = rng.multivariate_normal(np.zeros(LEVELS), G, studies)
    y = 0.3 + u[study, level] + rng.multivariate_normal(np.zeros(n), V)
    Z = np.column_stack([np.ones(n), rng.normal(size=n)])
    position = np.column_stack([level * 1.5 + 0.2 * rng.random(n)])
    return Case(y, np.eye(LEVELS)[level], gathered(blocks_of(study), V), study, level, Z, position)


def _dense(y: np.ndarray, X: np.ndarray, M: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Return full and restricted log-likelihood, coefficients and their covariance, with whole matrices."""
    n, p = X.shape
    log_det = np.linalg.slogdet(M)[1]
    A = np.linalg.inv(M)
    cov = np.linalg.inv(X.T @ A @ X)
    beta = cov @ X.T @ A @ y
    rest = y - X @ beta
    q = rest @ A @ rest
    log_x = -np.linalg.slogdet(cov)[1] - np.linalg.slogdet(X.T @ X)[1]
    full = -0.5 * (n * np.log(2 * np.pi) + log_det + q)
    return full, -0.5 * ((n - p) * np.log(2 * np.pi) + log_det + log_x + q), beta, cov


def _agrees(fit: MixedFit, y: np.ndarray, X: np.ndarray, V: BlockMatrix, terms: list[Term]) -> None:
    """Assert that the numbers of a fit are those of whole matrices at its theta."""
    full, restricted, beta, cov = _dense(y, X, whole(marginal(fit.theta, V, terms)))
    np.testing.assert_allclose([fit.loglik_ml, fit.loglik_reml], [full, restricted], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(fit.cov, cov, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="session")
def case() -> Case:
    """Return the usual case."""
    return _make_case()


@pytest.fixture(scope="session")
def make_case() -> Callable[..., Case]:
    """Return the function that makes cases."""
    return _make_case


@pytest.fixture(scope="session")
def agrees() -> Callable[..., None]:
    """Return the assertion against whole matrices."""
    return _agrees


@pytest.fixture(scope="session")
def dense() -> Callable[..., tuple[float, float, np.ndarray, np.ndarray]]:
    """Return the likelihood of whole matrices."""
    return _dense
