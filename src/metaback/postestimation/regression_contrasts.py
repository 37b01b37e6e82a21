"""Contrasts of coefficients: any linear combination, alone, together, and adjusted for their number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaback.design.linear_words import linear
from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.models.regression import FittedRegression
from metaback.postestimation.regression import JointTest, linear_estimate, robust_joint
from metaback.stats.multiplicity import adjusted
from metaback.stats.regression import contrast_q, in_basis, joint_p

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contrast:
    """One contrast: its words, its estimate (what is left after the value it is compared with), p_adjusted."""

    name: str
    estimate: Estimate
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Contrasts with the test of all of them together (None where they depend on each other)."""

    items: tuple[Contrast, ...]
    joint: JointTest | None
    adjust: str


def contrasts(fitted: FittedRegression, hypotheses: Sequence[str] | ArrayLike, *, adjust: str = "none") -> Contrasts:
    """Estimate and test linear combinations of the coefficients.

    hypotheses: words such as "stratum[T.12-16 weeks] - weeks = 0", or a matrix (r, p) of weights. adjust: key of
    `ADJUSTMENTS`, applied to the p values of this call. Intervals are not adjusted.

    Raises `OptionError` for names that are no coefficients and a matrix of another width.
    """
    columns = fitted.design.design.columns
    weights, values, names = _read(hypotheses, columns)
    estimates = [linear_estimate(fitted, row, value) for row, value in zip(weights, values, strict=True)]
    p = adjusted(np.array([e.p_value for e in estimates]), adjust)
    items = tuple(Contrast(n, e, float(a)) for n, e, a in zip(names, estimates, p, strict=True))
    return Contrasts(items, _joint(fitted, weights, values, names), adjust)


def _read(hypotheses: Sequence[str] | ArrayLike, columns: tuple[str, ...]) -> tuple[Floats, list[float], list[str]]:
    """Turn words or a matrix into weights (r, p), the values to compare with, and names."""
    if isinstance(hypotheses, str):
        hypotheses = [hypotheses]
    if isinstance(hypotheses, Sequence) and hypotheses and all(isinstance(text, str) for text in hypotheses):
        words = [str(text) for text in hypotheses]
        pairs = [linear(text, columns) for text in words]
        return np.array([w for w, _ in pairs]), [value for _, value in pairs], words
    try:
        matrix = np.atleast_2d(np.asarray(hypotheses, dtype=float))
    except (TypeError, ValueError):
        raise OptionError("contrasts are words, each about coefficients, or a matrix of numbers") from None
    if matrix.ndim != 2 or matrix.shape[1] != len(columns) or not np.isfinite(matrix).all():
        shape = " x ".join(map(str, matrix.shape))
        raise OptionError(f"a matrix of contrasts has one column per coefficient ({len(columns)}), this one is {shape}")
    if not matrix.any(axis=1).all():
        raise OptionError("a contrast has no coefficient in it: every weight of its row is 0")
    return matrix, [0.0] * len(matrix), [_name(row, columns) for row in matrix]


def _name(row: Floats, columns: tuple[str, ...]) -> str:
    """Write a row of weights as words."""
    parts: list[str] = []
    for weight, column in zip(row.tolist(), columns, strict=True):
        if weight:
            size = "" if abs(weight) == 1 else f"{abs(weight):.6g} * "
            sign = "-" if weight < 0 else "+"
            parts.append(f"{sign} {size}{column}" if parts else f"{'-' if weight < 0 else ''}{size}{column}")
    return " ".join(parts)


def _joint(fitted: FittedRegression, weights: Floats, values: list[float], names: list[str]) -> JointTest | None:
    """Test all contrasts together."""
    if fitted.robust is not None:
        dependent = np.linalg.matrix_rank(weights) < len(weights)
        return None if dependent else robust_joint(fitted, weights, np.array(values), tuple(names))
    weights = in_basis(fitted.basis, weights)
    d = weights @ fitted.inner.beta - np.array(values)
    try:
        q = contrast_q(d, weights @ fitted.inner.cov @ weights.T)
    except np.linalg.LinAlgError:
        return None
    df, residual = d.size, float(fitted.fit.df)
    statistic = q if math.isinf(residual) else q / df
    return JointTest(tuple(names), statistic, df, residual, float(joint_p(statistic, df, residual)))
