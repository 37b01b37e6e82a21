"""Estimators of the between-study variance tau2: each one decorated function on a batch of problems."""

from __future__ import annotations

from metaback.stats.tau2 import moment, root, likelihood  # isort: skip (the order of the family: tables and choices)
from metaback.stats.tau2.family import TAU2_ESTIMATORS, Estimator, Tau2, tau2_estimator, without_likelihood

__all__ = [
    "TAU2_ESTIMATORS",
    "Estimator",
    "Tau2",
    "likelihood",
    "moment",
    "root",
    "tau2_estimator",
    "without_likelihood",
]
