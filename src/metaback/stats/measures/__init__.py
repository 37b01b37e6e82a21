"""Effect measures: each one decorated function from raw numbers to effects and sampling variances."""

from __future__ import annotations

from metaback.stats.measures import (
    adjusted,
    associations,
    correlations,
    fixed_predictors,
    from_means,
    generic,
    genotypes,
    means,
    paired_counts,
    pre_post,
    pre_post_groups,
    rates,
    relative_change,
    reliability,
    rescaled,
    single,
    single_rates,
    two_by_two,
    variability,
)
from metaback.stats.measures.family import MEASURES, Computed, Measure, about, choices_of, raw_roles

__all__ = [
    "MEASURES",
    "Computed",
    "Measure",
    "about",
    "adjusted",
    "associations",
    "choices_of",
    "correlations",
    "fixed_predictors",
    "from_means",
    "generic",
    "genotypes",
    "means",
    "paired_counts",
    "pre_post",
    "pre_post_groups",
    "rates",
    "raw_roles",
    "relative_change",
    "reliability",
    "rescaled",
    "single",
    "single_rates",
    "two_by_two",
    "variability",
]
