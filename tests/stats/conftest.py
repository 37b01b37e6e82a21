"""Random batches of data sets that are hard for a search over tau2, and an independent restricted likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

Array = np.ndarray


@dataclass(frozen=True)
class Batch:
    """Data sets of different size in one masked array, (n, k)."""

    y: Array
    v: Array
    mask: Array


@pytest.fixture
def hard_batch() -> Callable[[int, int], Batch]:
    """Return a maker of data sets: k from 2 to 12, variances that span a factor of 10 to 1e6, effects with outliers.

    What is masked holds nan, so that a leak would be seen. The numbers are multiples of 2^-20, so that adding 1e8 to
    them loses nothing.
    """

    def make(n: int, seed: int) -> Batch:
        rng = np.random.default_rng(seed)
        k = rng.integers(2, 13, size=n)
        span = rng.uniform(1, 6, size=(n, 1))
        v = 10 ** (span * rng.uniform(-0.5, 0.5, size=(n, 12)))
        tau2 = 10 ** rng.uniform(-3, 3, size=(n, 1)) * rng.integers(0, 2, size=(n, 1))
        heavy = np.where(rng.random((n, 12)) < 0.15, 5.0, 1.0)
        y = np.round(rng.standard_normal((n, 12)) * np.sqrt(v + tau2) * heavy * 2**20) / 2**20
        mask = np.arange(12) < k[:, None]
        return Batch(np.where(mask, y, np.nan), np.where(mask, v, np.nan), mask)

    return make


@dataclass(frozen=True)
class Likelihood:
    """The (restricted) likelihood of a batch on a grid of tau2, straight from its definition: no code is shared."""

    batch: Batch
    restricted: bool = True

    def at(self, tau2: Array) -> tuple[Array, Array, Array]:
        """Return log-likelihood, score and the size of the score's terms at tau2 (n, points)."""
        mask = self.batch.mask[:, None, :]
        w = np.where(mask, 1 / (np.where(mask, self.batch.v[:, None, :], 1.0) + tau2[..., None]), 0.0)
        first = self.batch.y[np.arange(len(tau2)), np.nanargmin(self.batch.v, axis=1)]
        y = np.where(self.batch.mask, self.batch.y - first[:, None], 0.0)[:, None, :]
        total = w.sum(-1)
        mean = (w * y).sum(-1) / total
        r = y - mean[..., None]
        k = mask.sum(-1)
        logs = np.where(w > 0, np.log(np.where(w > 0, w, 1.0)), 0.0).sum(-1)
        height = -0.5 * (k * np.log(2 * np.pi) - logs + (w * r * r).sum(-1))
        up, down = (w * w * r * r).sum(-1), total
        if self.restricted:
            height = height + 0.5 * (np.log(2 * np.pi) + np.log(k) - np.log(total))
            down = total - (w * w).sum(-1) / total
        return height, (up - down) / 2, up + down


@pytest.fixture
def likelihood() -> Callable[[Batch], Likelihood]:
    """Return a maker of independent likelihoods."""
    return Likelihood
