"""Effects that come ready-made, of a measure that the table does not name."""

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
