"""The records that a forest plot is drawn from: plain values, and no drawing library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from metaback.plots.forest_layouts import LAYOUTS, ForestLayout
from metaback.plots.rob_words import Judgement, RobTable

RowKind = Literal[
    "header", "study", "not_estimable", "study_mean", "subtotal", "total", "prediction", "text", "blank"
]  # fmt: skip
Align = Literal["left", "right", "center", "interval"]
ColumnKind = Literal["", "raw", "weight", "effect", "number", "text"]
PiStyle = Literal["bar", "line", "density"]
STRAIGHT = frozenset({"identity", "share", "exp", "exp_share"})  # ways back whose ticks are those of lines and logs


@dataclass(frozen=True, slots=True)
class ForestColumn:
    """A column of text: its head, the spanner above it (one per arm), its side of the panel and its alignment.

    align "interval" is for texts such as `-0.41 [-0.72, -0.10]`, whose three numbers are lined up one by one.
    kind: what it holds; "number" and "text" are columns that the reader asked for, texts may take several lines.
    """

    head: str
    side: Literal["left", "right"]
    align: Align
    spanner: str = ""
    kind: ColumnKind = ""


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One row: numbers for the panel on the analysis scale (None where nothing is drawn), texts for the columns.

    label is the first column, at full length; cells are the texts of `ForestData.columns` ("" where empty).
    weight is the percentage that the square's AREA shows; level 1 rows are indented under a subgroup header.
    judgements: risk of bias by domain, in the order of `ForestData.rob.domains`.
    study: the study that an effect stands under, "" for one that has a row to itself. A row of kind "study_mean" is the
    head of such a study: the mean of its effects, and the sum of their weights. p: the P value that stands among the
    cells, for layouts that write it in another way; nan for none.
    """

    kind: RowKind
    label: str
    cells: tuple[str, ...] = ()
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    weight: float | None = None
    level: int = 0
    judgements: tuple[Judgement | None, ...] = ()
    study: str = ""
    p: float = math.nan


@dataclass(frozen=True, slots=True)
class ForestData:
    """A forest plot before it is drawn.

    scale: "linear" or "log" (then all numbers are logs and ticks show exponentials).
    null: the no-effect value on the analysis scale (0, the log of 1 too); None draws no line, for one-group measures.
    reference: the overall estimate for the dashed line, or None.
    favours: words for the left and right of the no-effect line, or None when the direction is not known.
    footnotes: methods line and what was not pooled and why; alt: text alternative made from the result.
    back, size: of the pooled estimate, the way from the analysis scale to the numbers of ticks and texts.
    layout: the parameters of the look. pi_style: how the prediction interval is drawn; density: for "density", points
    of the axis with the height of the predictive distribution there, 1 at its top.
    mcid: one threshold of decisions, or the two ends of a band, on the analysis scale.
    rob: the instrument, domains and judgements of risk of bias where columns of them are shown.
    """

    title: str
    label_head: str
    columns: tuple[ForestColumn, ...]
    rows: tuple[ForestRow, ...]
    axis_title: str
    scale: Literal["linear", "log"]
    null: float | None
    reference: float | None
    favours: tuple[str, str] | None
    footnotes: tuple[str, ...]
    alt: str
    back: str = ""
    size: float | None = None
    layout: ForestLayout = LAYOUTS["standard"]
    pi_style: PiStyle = "bar"
    density: tuple[tuple[float, float], ...] = ()
    mcid: tuple[float, ...] = ()
    rob: RobTable | None = None

    @property
    def way(self) -> str:
        """Return the key of the way back to the natural scale."""
        return self.back or ("exp" if self.scale == "log" else "identity")

    @property
    def bent(self) -> bool:
        """Tell whether the axis is neither linear nor logarithmic on the natural scale."""
        return self.way not in STRAIGHT
