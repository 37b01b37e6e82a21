"""Adjustment of p values for several tests at once: each method one decorated function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metaback.registry import Registry

Floats = NDArray[np.float64]
Adjustment = Callable[[Floats], Floats]
ADJUSTMENTS: Registry[Adjustment] = Registry("adjust")
adjustment = ADJUSTMENTS.register


def adjusted(p: Floats, method: str) -> Floats:
    """Return p values (m,) adjusted by a method of `ADJUSTMENTS`; nan is no test and stays nan.

    Raises `OptionError` for an unknown method. Same as R's `p.adjust`.

    >>> adjusted(np.array([0.01, 0.04, np.nan, 0.03]), "holm").round(3)
    array([0.03, 0.06,  nan, 0.06])
    """
    function = ADJUSTMENTS[method].function
    out = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        out[known] = np.minimum(function(p[known]), 1.0)
    return out


@adjustment("none", title="unadjusted")
def unadjusted(p: Floats) -> Floats:
    """Leave p values as they are."""
    return p


@adjustment("bonferroni", title="Bonferroni", cite="dunn1961")
def bonferroni(p: Floats) -> Floats:
    """Multiply by the number of tests m: controls the chance of any false finding. Source: Dunn 1961."""
    return p * p.size


@adjustment("holm", title="Holm", cite="holm1979")
def holm(p: Floats) -> Floats:
    """Multiply the i-th smallest by m - i + 1, never below the one before: as Bonferroni, and never less powerful.

    Source: Holm 1979.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _back(stepped, order)


@adjustment("hochberg", title="Hochberg", cite="hochberg1988")
def hochberg(p: Floats) -> Floats:
    """Multiply as Holm, from the largest down, never above the one before; for independent tests.

    Source: Hochberg 1988.
    """
    return _step_up(p, np.arange(p.size, 0, -1.0))


@adjustment("fdr_bh", title="Benjamini-Hochberg", cite="benjamini1995")
def benjamini_hochberg(p: Floats) -> Floats:
    """Multiply the i-th smallest by m / i: controls the expected share of false findings. Source: Benjamini 1995."""
    return _step_up(p, p.size / np.arange(1.0, p.size + 1))


@adjustment("fdr_by", title="Benjamini-Yekutieli", cite="benjamini2001")
def benjamini_yekutieli(p: Floats) -> Floats:
    """Multiply as Benjamini-Hochberg and by 1 + 1/2 + ... + 1/m: holds whatever the dependence of the tests.

    Source: Benjamini & Yekutieli 2001.
    """
    ranks = np.arange(1.0, p.size + 1)
    return _step_up(p, (1 / ranks).sum() * p.size / ranks)


def _step_up(p: Floats, factor: Floats) -> Floats:
    """Multiply sorted p values by their factors, no one above the next larger."""
    order = np.argsort(p, kind="stable")
    stepped = np.minimum.accumulate((p[order] * factor)[::-1])[::-1]
    return _back(stepped, order)


def _back(values: Floats, order: NDArray[np.intp]) -> Floats:
    """Put sorted values into their old places."""
    out = np.empty_like(values)
    out[order] = values
    return out
