"""What an estimator of tau2 is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.registry import Registry
from metaback.stats.wls import Floats, Problems


@dataclass(frozen=True, slots=True)
class Tau2:
    """Estimates of tau2 for n problems.

    value: (n,) at least 0; n_iter: (n,) iterations; converged: (n,).
    rival: (n,) tau2 of the second highest peak of the likelihood, nan where there is one peak or no likelihood.
    gap: (n,) how much lower in log-likelihood the second peak is, inf where there is none.
    """

    value: Floats
    n_iter: NDArray[np.int64]
    converged: NDArray[np.bool_]
    rival: Floats
    gap: Floats


Estimator = Callable[[Problems], Tau2]
TAU2_ESTIMATORS: Registry[Estimator] = Registry("tau2")
tau2_estimator = TAU2_ESTIMATORS.register


def without_likelihood(
    value: Floats, n_iter: NDArray[np.int64] | None = None, converged: NDArray[np.bool_] | None = None
) -> Tau2:
    """Return the estimates of a method that has no likelihood, and so no second peak; closed forms take no steps."""
    n = value.size
    steps = np.zeros(n, dtype=np.int64) if n_iter is None else n_iter
    ended = np.ones(n, dtype=bool) if converged is None else converged
    return Tau2(value, steps, ended, np.full(n, np.nan), np.full(n, np.inf))
