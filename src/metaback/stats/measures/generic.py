"""Effects that come ready-made: hazards, and measures that the table does not name."""

from __future__ import annotations

import numpy as np

from metaback.stats.measures.family import Computed, Measure, measure


@measure(Measure("GEN", "Effect", "Effect", "linear", "none"), cite="cochran1954")
def generic() -> Computed:
    """Return nothing: a generic effect is never computed from raw numbers, each row brings its own.

    Source: Cochran 1954, who combines estimates with their variances, whatever they measure.
    """
    empty = np.zeros(0)
    return Computed(empty, empty, empty.astype(bool), empty.astype(bool))


@measure(
    Measure("HR", "Hazard ratio", "HR", "log", "none", back="exp"),
    cite="tierney2007",
)
@measure(
    Measure("HD", "Hazard difference", "HD", "linear", "none"),
    cite="tierney2007",
)
def hazards() -> Computed:
    """Return nothing: the hazards of two groups need the times of all events, so each row brings its own effect.

    A hazard ratio is analysed as its logarithm: printed ratios with their intervals are put on the log scale. Source:
    Tierney et al. 2007, also for what papers report instead (the conversions `log-hr-from-logrank`, `log-hr-from-p`).
    Same as `metafor::escalc(measure="HR", yi=, vi=)`.
    """
    return generic()
