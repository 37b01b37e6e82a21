"""Conversions: each one decorated function from what a paper reports to the numbers that a measure needs."""

from __future__ import annotations

from metaback.stats.conversions import (
    arms,
    effects,
    five_numbers,
    five_numbers_transformed,
    identities,
    pre_post_r,
    spread,
)
from metaback.stats.conversions.family import CONVERSIONS, conversion, needs, outputs

__all__ = [
    "CONVERSIONS",
    "arms",
    "conversion",
    "effects",
    "five_numbers",
    "five_numbers_transformed",
    "identities",
    "needs",
    "outputs",
    "pre_post_r",
    "spread",
]
