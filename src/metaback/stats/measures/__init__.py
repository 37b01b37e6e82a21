"""Effect measures: each one decorated function from raw numbers to effects and sampling variances."""

from __future__ import annotations

from metaback.stats.measures import generic, means, two_by_two
from metaback.stats.measures.family import MEASURES, Computed, Measure, about, choices_of, raw_roles

__all__ = ["MEASURES", "Computed", "Measure", "about", "choices_of", "generic", "means", "raw_roles", "two_by_two"]
