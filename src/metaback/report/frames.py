"""Results as data frames, and what was not pooled as plain records."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import natural
from metaback.report.listing import listed
from metaback.report.records import POOLED_COLUMNS, TIDY, pooled_rows, study_rows

NATURAL = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")
ABOUT = ("measure", "tau2", "tau2_low", "tau2_high", "i2_tau2", "i2_q", "q", "q_df", "q_p")


def pooled_frame(analysis: Analysis, *, transform: str | None = None) -> pd.DataFrame:
    """Return one tidy row per pool: the fixed columns, then its measure and heterogeneity.

    transform: "natural" turns estimates and limits of a log scale into ratios and calls their scale "natural".
    """
    if transform not in (None, "natural"):
        raise OptionError.unknown("transform", transform, ["natural"])
    frame = pd.DataFrame(pooled_rows(1, analysis), columns=list(POOLED_COLUMNS))[[*TIDY, *ABOUT]]
    if transform == "natural" and analysis.overall.mean.scale == "log":
        for name in NATURAL:
            frame[name] = [None if pd.isna(value) else natural(value, "log") for value in frame[name]]
        frame["scale"] = "natural"
    return frame


def studies_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row per row of the table with its effect, variance, weight, route and raw numbers."""
    return pd.DataFrame(study_rows(analysis))


def listed_record(single: Sequence[Analysis], unpooled: Sequence[EffectSizes]) -> list[dict[str, str]]:
    """Return every row that is listed and not pooled, with the reason."""
    return [
        {
            "comparison": row.comparison,
            "study": row.study,
            "row": row.row,
            "measure": row.measure,
            "reason": row.reason,
        }
        for row in listed(single, unpooled)
    ]
