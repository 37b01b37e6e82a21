"""Marks with words that a page shows as their tips; circles in one collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from matplotlib.artist import Artist
from matplotlib.collections import CircleCollection

MOST = 2_000  # tips of one figure; beyond, a page is slow and the text alternative tells what there is


class Dots(CircleCollection):
    """Circles of some areas; `tips` has one text for each, in the order of the offsets."""

    tips: tuple[str, ...] = ()


def tell(marks: Artist, key: str, tips: Sequence[str]) -> None:
    """Give the marks of an artist one tip each, in the order in which they are drawn; more than `MOST` get none.

    key: names the group in the figure, where no other has it.
    """
    if len(tips) <= MOST:
        marks.set_gid(key)
        cast("Any", marks).tips = tuple(tips)
