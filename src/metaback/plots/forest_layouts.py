"""The layouts of a forest plot: each is a set of parameters after the figures of a program or a journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from metaback.errors import OptionError
from metaback.postestimation.number_styles import NUMBER_STYLES, STANDARD, NumberStyle

Block = Literal["raw", "weight", "effect"]
Part = Literal["tau2", "i2", "q"]
Line = Literal["heterogeneity", "overall", "subgroups"]


@dataclass(frozen=True, slots=True)
class ForestLayout:
    """Where a forest plot has its columns and words, and how it writes numbers.

    left, right: blocks of columns beside the panel, in order; a block that is in neither is not shown. Columns of the
    reader come first on the left and last on the right, judgements of bias after them.
    joined: whether an arm is one column (`4/29`, `12.3 (4.5)`) instead of one per number; counted: its head for counts.
    favours_above: whether the words on both sides of no effect stand over the panel; favours: the word they begin with.
    lines: the statistics under the table, heterogeneity: its parts in order; tau2, q: how these are called.
    subgroup_lines: whether each subgroup has its own line of heterogeneity.
    look: fields of `Style` that differ.
    """

    key: str
    title: str
    numbers: NumberStyle = STANDARD
    left: tuple[Block, ...] = ("raw",)
    right: tuple[Block, ...] = ("weight", "effect")
    joined: bool = False
    counted: str = "Events/total"
    label_head: str = "Study"
    weight_head: str = "Weight (%)"
    favours_above: bool = False
    favours: str = "Favours"
    lines: tuple[Line, ...] = ("heterogeneity", "overall", "subgroups")
    heterogeneity: tuple[Part, ...] = ("tau2", "i2", "q")
    tau2: str = "τ²"
    q: str = "Q"
    subgroup_lines: bool = True
    look: Mapping[str, str | float] = field(default_factory=dict[str, str | float])


LAYOUTS: Mapping[str, ForestLayout] = {
    layout.key: layout
    for layout in (
        ForestLayout("standard", "metaback"),
        ForestLayout(
            "revman", "RevMan",
            left=("raw", "weight", "effect"), right=(),
            heterogeneity=("tau2", "q", "i2"), tau2="Tau²", q="Chi²", weight_head="Weight (%)",
            look={"square_colour": "#2E8B57", "diamond_colour": "#1a1a1a"},
        ),
        ForestLayout(
            "jama", "JAMA",
            numbers=NUMBER_STYLES["jama"], left=("raw", "effect"), right=("weight",), joined=True,
            counted="No./total", label_head="Source", weight_head="Weight, %", favours_above=True, favours="Favors",
            heterogeneity=("i2", "q"), q="χ²",
            look={"square_colour": "#6BA4C8", "diamond_colour": "#1F4E79"},
        ),
        ForestLayout(
            "bmj", "The BMJ",
            numbers=NUMBER_STYLES["bmj"], joined=True, counted="No/total", weight_head="Weight (%)",
            look={"square_colour": "#7A7A7A", "diamond_colour": "#00539F"},
        ),
        ForestLayout(
            "lancet", "The Lancet",
            numbers=NUMBER_STYLES["lancet"], right=("effect", "weight"), joined=True, counted="n/N",
            look={"square_colour": "#5B7FA6", "diamond_colour": "#00366B"},
        ),
        ForestLayout("plain", "Plain", left=(), right=("effect",), subgroup_lines=False),
    )
}  # fmt: skip


def forest_layout(layout: str | ForestLayout) -> ForestLayout:
    """Return a layout by its name, or one of the caller's own as it is."""
    if isinstance(layout, ForestLayout):
        return layout
    if layout not in LAYOUTS:
        raise OptionError.unknown("layout", layout, LAYOUTS)
    return LAYOUTS[layout]
