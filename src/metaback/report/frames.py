"""Results as data frames, and what was not pooled as plain records."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.postestimation.summary import Analysis, PoolSummary
from metaback.report.listing import listed
from metaback.report.records import POOLED_COLUMNS, TIDY, assumed_rows, pooled_rows, study_rows
from metaback.report.tables import pools
from metaback.stats.transforms import back

NATURAL = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")
GRID = ("r", "estimate", "se", "statistic", "df", "p_value", "ci_low", "ci_high", "tau2", "k", "scale")
ABOUT = (
    "measure",
    *("tau2", "tau2_low", "tau2_high", "tau", "tau_low", "tau_high"),
    *("i2_tau2", "i2_low", "i2_high", "i2_q", "h2", "h2_low", "h2_high", "q", "q_df", "q_p"),
)
CHANGES = frozenset({"ROM", "ROMC", "RR", "MPRR", "IRR", "VR", "CVR", "VRC", "CVRC"})  # 1.2 is 20% more; not so odds
SHARE = (0.0, 1.0)


def pooled_frame(analysis: Analysis, *, transform: str | None = None) -> pd.DataFrame:
    """Return one tidy row per pool: the fixed columns, then its measure and heterogeneity.

    transform: "natural" carries estimates and limits of a transformed scale back (logs to ratios, logits to
    proportions) and calls their scale "natural"; "percent" goes on to 100 times a proportion ("percent"), or to the
    percent change that a ratio stands for, 100 (ratio - 1) ("percent change"). se, statistic and tau2 stay on the
    analysis scale. Raises `OptionError` for a measure that has no percentage.
    """
    if transform not in (None, "natural", "percent"):
        raise OptionError.unknown("transform", transform, ["natural", "percent"])
    frame = pd.DataFrame(pooled_rows(1, analysis), columns=list(POOLED_COLUMNS))[[*TIDY, *ABOUT]]
    measure, way = analysis.fitted.effects.measure, analysis.overall.mean.way
    scale, factor, shift = "natural", 1.0, 0.0
    if transform == "percent" and measure in CHANGES:
        scale, factor, shift = "percent change", 100.0, -1.0
    elif transform == "percent" and back(way).image == SHARE:
        scale, factor = "percent", 100.0
    elif transform == "percent":
        raise OptionError(
            "transform='percent' is for proportions and for ratios of means, risks, rates or variability; "
            f"{measure} has no percentage. Use transform='natural'"
        )
    if transform is None or way == "identity":
        return frame
    rows = [_natural_row(pool) for _, pool in pools(analysis)]
    for name, column in zip(NATURAL, zip(*rows, strict=True), strict=True):
        frame[name] = [None if value is None else factor * (value + shift) for value in column]
    frame["scale"] = scale
    return frame


def _natural_row(pool: PoolSummary) -> tuple[float | None, ...]:
    """Return the numbers of `NATURAL` of one pool."""
    limits = (None, None) if pool.prediction is None else pool.prediction.natural()[1:]
    return (*pool.mean.natural(), *limits)


def grid_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row per assumed pre-post correlation with the pool under it, on the analysis scale."""
    return pd.DataFrame(assumed_rows(analysis.assumed), columns=list(GRID))


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
