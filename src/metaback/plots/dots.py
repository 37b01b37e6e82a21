"""Circles in one collection, each with words that a page shows as its tip."""

from __future__ import annotations

from matplotlib.collections import CircleCollection


class Dots(CircleCollection):
    """Circles of some areas; `tips` has one text for each, in the order of the offsets."""

    tips: tuple[str, ...] = ()
