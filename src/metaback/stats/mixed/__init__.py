"""The engine of dependent effects: fits whose cost grows with the clusters, not with the square of the rows."""

from metaback.stats.mixed.faces import correlation_ends
from metaback.stats.mixed.finish import names_of
from metaback.stats.mixed.fit import fit_mixed, fit_mixed_many, marginal, profile_loglik
from metaback.stats.mixed.predicted import RandomEffects, leverages, random_effects
from metaback.stats.mixed.problem import clusters_of
from metaback.stats.mixed.records import MixedFit, Term
from metaback.stats.mixed.structures import STRUCTURES

__all__ = [
    "STRUCTURES",
    "MixedFit",
    "RandomEffects",
    "Term",
    "clusters_of",
    "correlation_ends",
    "fit_mixed",
    "fit_mixed_many",
    "leverages",
    "marginal",
    "names_of",
    "profile_loglik",
    "random_effects",
]
