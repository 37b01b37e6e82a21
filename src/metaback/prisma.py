"""The PRISMA 2020 flow diagram of a review, from its counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metaback.plots.style import Style


def prisma_flow(counts: Mapping[str, int | Mapping[str, int]], *, style: Style | None = None) -> Figure:
    """Draw the PRISMA 2020 flow diagram of a systematic review, after a check that its boxes add up.

    counts: whole numbers by name. Needed: databases or registers (numbers, or parts such as {"MEDLINE": 310}),
    screened, excluded, sought, not_retrieved, assessed, reports_excluded (best as {reason: number}) and studies.
    Where there are some: duplicates, automation (ineligible by automation tools), removed (for other reasons), reports
    (of the included studies); for other methods other_sources (parts), other_sought, other_not_retrieved,
    other_assessed, other_excluded; for an update previous_studies, previous_reports, total_studies, total_reports.

    Raises `DataError` with every mismatch, missing count and unknown name at once. Source: Page et al. 2021, figure 1.

    >>> figure = prisma_flow({"databases": 120, "duplicates": 20, "screened": 100, "excluded": 70, "sought": 30,
    ...     "not_retrieved": 2, "assessed": 28, "reports_excluded": {"wrong outcome": 18}, "studies": 9, "reports": 10})
    >>> figure.get_label()[:24]
    'PRISMA 2020 flow diagram'
    """
    from metaback.plots.prisma import draw_prisma, prisma_data

    return draw_prisma(prisma_data(counts), style=style)
