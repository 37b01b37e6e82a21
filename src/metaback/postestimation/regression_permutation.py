"""Permutation test of moderators: how often shuffled studies show a link as strong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.models.regression import FittedRegression, fit_orders, in_columns
from metaback.numbers import p_phrase
from metaback.progress import Progress, silent
from metaback.stats.orders import all_orders, count_orders, random_orders
from metaback.stats.regression import in_basis

Floats = NDArray[np.float64]
EXACT = 50_000  # orders up to which all of them are tried: up to eight studies with distinct moderators
SAME = 1e-8  # statistics closer than this share are the same arrangement, computed in another order
CHUNK = 500_000  # effects that are fitted at a time
SMALLEST, MOST = 100, 1_000_000


@dataclass(frozen=True, slots=True, repr=False)
class PermutationTest:
    """Permutation p values.

    p_values: by coefficient, two-sided; p_moderators: of all moderators together, nan for the intercept alone.
    n: orders tried; exact: whether these are all; seed: None for an exact test. failed: orders whose fit failed,
    which count as evidence against an effect.
    """

    p_values: Mapping[str, float]
    p_moderators: float
    n: int
    exact: bool
    seed: int | None
    failed: int

    def __repr__(self) -> str:
        """Return a line per p value and how many orders were tried."""
        orders = f"all {self.n:,} orders" if self.exact else f"{self.n:,} random orders, seed {self.seed}"
        broken = f"; {self.failed:,} could not be fitted" if self.failed else ""
        p_values = {**self.p_values, "Moderators together": self.p_moderators}
        width = max(map(len, p_values))
        lines = [f"  {name:{width}}  {p_phrase(p)}" for name, p in p_values.items() if not math.isnan(p)]
        return "\n".join([f"Permutation test ({orders}{broken})", *lines])


def permutation_test(
    fitted: FittedRegression, *, n: int = 5000, seed: int = 1, tell: Progress = silent
) -> PermutationTest:
    """Test the moderators by refitting the model to shuffled studies, in batch calls; `tell` hears of orders done.

    Effects move together with their variances while the moderators stay. Two-sided p values are the share of orders
    whose statistic is at least as large in size as the observed one. All distinct orders are tried where there are at
    most 50,000, else n random ones with the observed one among them: p = (1 + count) / (1 + n).

    Raises `OptionError` where there is nothing to permute: a model of the intercept alone. Source: Follmann &
    Proschan 1999; Higgins & Thompson 2004. Same as `metafor::permutest(exact=TRUE)` where it is exact.
    """
    design = fitted.design
    if not design.terms:
        raise OptionError("a permutation test needs moderators; the model has the intercept alone")
    if not SMALLEST <= n <= MOST:
        raise OptionError(f"n={n} is outside {SMALLEST} to {MOST}")
    X = design.X
    labels = np.unique(X, axis=0, return_inverse=True)[1].reshape(-1).astype(np.intp)
    exact = count_orders(labels) <= EXACT
    orders = all_orders(labels) if exact else random_orders(len(X), n, np.random.default_rng(seed))
    itself = np.arange(len(X), dtype=np.intp)[None]
    z, q = _in_batches(fitted, np.concatenate((itself, orders)), tell)
    failed = ~np.isfinite(q[1:])
    above = np.where(np.isfinite(z[1:]), np.abs(z[1:]), np.inf) >= np.abs(z[0]) * (1 - SAME)
    joint = np.where(failed, np.inf, q[1:]) >= q[0] * (1 - SAME)
    more = 0 if exact else 1
    p = (above.sum(axis=0) + more) / (len(orders) + more)
    return PermutationTest(
        p_values=dict(zip(design.design.columns, p.tolist(), strict=True)),
        p_moderators=float((joint.sum() + more) / (len(orders) + more)),
        n=len(orders),
        exact=exact,
        seed=None if exact else seed,
        failed=int(failed.sum()),
    )


def _in_batches(fitted: FittedRegression, orders: NDArray[np.intp], tell: Progress) -> tuple[Floats, Floats]:
    """Return the statistics of all orders, computed for some of them at a time: memory stays bounded."""
    step = max(1, CHUNK // orders.shape[1])
    parts: list[tuple[Floats, Floats]] = []
    for start in range(0, len(orders), step):
        parts.append(_statistics(fitted, orders[start : start + step]))
        tell(min(start + step, len(orders)), len(orders))
    return np.concatenate([z for z, _ in parts]), np.concatenate([q for _, q in parts])


def _statistics(fitted: FittedRegression, orders: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return the statistic of each coefficient (n, p) and that of all moderators (n,) for each order."""
    inner = fit_orders(fitted, orders)
    p = fitted.design.X.shape[1]
    fit = in_columns(inner, fitted.basis)
    tested = [j for term in fitted.design.terms for j in term.columns]
    span = np.linalg.qr(in_basis(fitted.basis, np.eye(p)[tested]).T)[0]  # orthonormal, so that nothing is lost below
    d, cov = inner.beta @ span, span.T @ inner.cov @ span
    with np.errstate(invalid="ignore", divide="ignore"):
        z = fit.beta / np.sqrt(np.diagonal(fit.cov, axis1=-2, axis2=-1))
    q = np.full(len(orders), np.nan)
    known = np.isfinite(d).all(axis=-1) & (cov[:, 0, 0] > 0)
    solved = np.asarray(np.linalg.solve(cov[known], d[known][..., None]), dtype=float)[..., 0]
    q[known] = (d[known] * solved).sum(axis=-1)
    return z, q
