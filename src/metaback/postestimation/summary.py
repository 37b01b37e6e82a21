"""One record with all that is said about a pool: the mean, its heterogeneity, its prediction and its subgroups."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.models.fitted import Estimate, Fitted
from metaback.models.specs import PoolSpec
from metaback.postestimation.assumed import AssumedR
from metaback.stats.blocks import BlockMatrix

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """How much the true effects differ.

    q, q_df, q_p: Cochran's Q with its test; tau2 with limits at the level of the pool (None for equal effects).
    i2_q: (Q - df) / Q; i2_tau2 with limits: tau2 / (tau2 + typical variance); both in percent; h2 = 1 / (1 - I2); tau
    the square root of tau2. Limits of all of them are those of tau2, carried over.
    Numbers that do not exist (k = 1) are None, never nan.
    """

    q: float
    q_df: int
    q_p: float | None
    tau2: float | None
    tau2_low: float | None
    tau2_high: float | None
    i2_q: float | None
    i2_tau2: float | None
    i2_low: float | None
    i2_high: float | None
    h2: float | None
    h2_low: float | None = None
    h2_high: float | None = None
    tau: float | None = None
    tau_low: float | None = None
    tau_high: float | None = None


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """Everything said about one pool.

    mean: the pooled effect; prediction: interval for the true effect of a new setting, or None.
    weights: (rows,) percentages unrounded that sum to 100, nan where a row is not estimable.
    k: pooled effects; studies: distinct studies among them; n: participants where every pooled row states them.
    """

    mean: Estimate
    prediction: Estimate | None
    heterogeneity: Heterogeneity
    weights: Floats
    k: int
    studies: int
    n: int | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubgroupTest:
    """Test of differences between subgroup means.

    q: chi-square statistic with df degrees of freedom; where df2 is finite the test is that of F = q / df on df and
    df2 degrees of freedom.
    """

    q: float
    df: int
    p_value: float
    df2: float = math.inf

    @property
    def f(self) -> float | None:
        """Return the F statistic, None for a chi-square test."""
        return None if math.isinf(self.df2) else self.q / self.df


@dataclass(frozen=True, slots=True)
class Subgroups:
    """The pools of each subgroup, in the order of first appearance in the table, and the test of their differences.

    tau2: "separate" where each has its own, "common" where one serves all. notes: what holds for all of them.
    """

    name: str
    levels: tuple[str, ...]
    pools: tuple[PoolSummary, ...]
    test: SubgroupTest | None
    tau2: str = "separate"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Component:
    """One variance component of a working model: where it lies ("between studies"), its value and its share of I2.

    told: whether the data tell it from the others; where they do not, its value must not be shown alone. low, high:
    profile likelihood limits, None where nobody asked for them, and where there are none.
    """

    name: str
    tau2: float
    i2: float | None
    told: bool = True
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Rho:
    """The pool of a working model under one assumed correlation of effects on the same people."""

    rho: float
    mean: Estimate
    tau2: float


@dataclass(frozen=True, slots=True)
class Working:
    """A pool of rows that depend on each other by a working model with robust variance, and what it stands beside.

    spec: the request in the words of the working model (REML, CR2); pool: its result; naive: that of the request as it
    was made, every row a study of its own. primary: whether the working model is the answer; why: the reason where it
    is not. components: of variance; grid: the pool under other correlations than `spec.rho`. sentences: what depends on
    what, how it was modelled and what was assumed. loglik: restricted log-likelihood at its maximum. widened: how
    many times as wide the interval is as that which takes rows as independent. V: sampling covariance of all rows.
    """

    spec: PoolSpec
    pool: PoolSummary
    naive: PoolSummary
    primary: bool
    why: str
    components: tuple[Component, ...]
    grid: tuple[Rho, ...]
    sentences: tuple[str, ...]
    loglik: float
    widened: float
    V: BlockMatrix


@dataclass(frozen=True, slots=True)
class Analysis:
    """One finished comparison: what figures and reports are made from.

    fitted: request, effects and the fit that takes every row as independent. assumed: the pool under other pre-post
    correlations, None where none was assumed. working: the model of rows that depend on each other, None where every
    study has one row. levels: whether it stands for a model of levels, whose variances `overall` adds up.
    """

    fitted: Fitted
    overall: PoolSummary
    subgroups: Subgroups | None
    assumed: AssumedR | None = None
    working: Working | None = None
    levels: bool = False

    @property
    def dependent(self) -> bool:
        """Tell whether the pool is that of a working model of dependent rows."""
        return self.working is not None and self.working.primary

    @property
    def spec(self) -> PoolSpec:
        """Return the request in the words of the model that made `overall`."""
        return self.working.spec if self.working is not None and self.working.primary else self.fitted.spec
