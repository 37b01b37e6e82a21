"""Intervals of the mean and of a new setting's effect: every rule by its key, and what the rules are made of."""

from __future__ import annotations

from metaback.stats import resampling
from metaback.stats.intervals import (
    cluster_robust,
    confidence_distribution,
    henmi_copas,
    kenward_roger,
    profile,
    simple,
)
from metaback.stats.intervals.family import (
    DRAWS,
    MEAN_RULES,
    PREDICTION_RULES,
    IntervalRequest,
    Limits,
    MeanWords,
    apply_whole,
    is_seeded,
    mean_words,
    prediction_text,
    quantile,
    two_sided_p,
    whole_prediction,
    whole_rule,
)
from metaback.stats.intervals.simple import prediction_limits

# the modules are imported for the rules that they define
RULES = (simple, kenward_roger, cluster_robust, henmi_copas, profile, resampling, confidence_distribution)


__all__ = [
    "DRAWS",
    "MEAN_RULES",
    "PREDICTION_RULES",
    "RULES",
    "IntervalRequest",
    "Limits",
    "MeanWords",
    "apply_whole",
    "is_seeded",
    "mean_words",
    "prediction_limits",
    "prediction_text",
    "quantile",
    "two_sided_p",
    "whole_prediction",
    "whole_rule",
]
