"""The cluster wild bootstrap of a model of dependent effects: tests that hold their size with few clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.models.moments import moment_weights
from metaback.models.multilevel import FittedMultilevel, robust_variance, undecided, weights_of
from metaback.numbers import fixed, p_phrase
from metaback.stats.robust import ADJUSTMENTS
from metaback.stats.wild_bootstrap import DRAWS, WildPlan, wild_bootstrap

Floats = NDArray[np.float64]
LEAST_DRAWS = 99  # below, P cannot be under 0.01
ADJUSTED = ("CR0", "CR2", "CR3")
AUXILIARY = ("rademacher", "webb")
WEIGHTS = ("held", "anew")
NAMES = {"rademacher": "signs", "webb": "six points"}


@dataclass(frozen=True, slots=True, repr=False)
class WildBootstrap:
    """A cluster wild bootstrap test of terms.

    statistic: Wald / df with the variance `kind`; df: coefficients that are tested; p_value; p_se: its Monte Carlo
    standard error, 0 where all patterns of signs were tried (`exact`). draws: data sets that count; lost: those whose
    statistic cannot be computed. auxiliary: "rademacher" or "webb"; adjust: of the residuals. held: whether the weights
    of the fit were held, or found anew for every data set. cluster: column; clusters: how many.
    """

    terms: tuple[str, ...]
    statistic: float
    df: int
    p_value: float
    p_se: float
    draws: int
    lost: int
    exact: bool
    auxiliary: str
    kind: str
    adjust: str
    held: bool
    cluster: str
    clusters: int

    def to_frame(self) -> pd.DataFrame:
        """Return one row."""
        told = {name: getattr(self, name) for name in self.__slots__ if name != "terms"}
        return pd.DataFrame([{"terms": ", ".join(self.terms), **told}])

    def __repr__(self) -> str:
        """Return the test in two sentences: P with its Monte Carlo error, and how it was found."""
        weights = "weights held" if self.held else "weights found anew for every data set"
        how = f"{NAMES[self.auxiliary]} over {self.clusters} clusters ({self.cluster}), {self.kind}, {weights}"
        if math.isnan(self.p_value):
            return (
                f"Cluster wild bootstrap of {', '.join(self.terms)}: no test, because a single {self.cluster} decides "
                f"it or its variance has no inverse ({how})."
            )
        error = "all patterns of signs" if self.exact else f"Monte Carlo standard error {fixed(self.p_se, 4)}"
        lost = f"; {self.lost} without a statistic" if self.lost else ""
        return (
            f"Cluster wild bootstrap of {', '.join(self.terms)}: F = {fixed(self.statistic)}, "
            f"{p_phrase(self.p_value)} ({error}). {self.draws} draws{lost}: {how}."
        )


def wild_test(
    fitted: FittedMultilevel,
    contrasts: Floats,
    terms: tuple[str, ...],
    *,
    plan: WildPlan,
    rng: int | np.random.Generator = 1,
    weights: str | None = None,
) -> WildBootstrap:
    """Return the cluster wild bootstrap test that contrasts (q, p) of the coefficients are all 0.

    The null hypothesis is imposed, y* = X b_0 + f_i e_0i, and all y* are one batch; see
    `metaback.stats.wild_bootstrap`. weights: "held" at those of the fit, "anew" for every y*, which only weights by
    moments can be (their default). Raises `OptionError` for what is not known and for coefficients that rest on what
    the data do not show.

    Source: Joshi, Pustejovsky & Beretvas 2022.
    """
    _check(fitted, contrasts, terms, plan, weights)
    robust_variance(fitted, "CR0", fitted.clusters, str(fitted.spec.cluster))  # tells clusters that cannot be
    anew = fitted.moments is not None and weights != "held"
    own = weights_of(fitted) if fitted.moments is None else fitted.moments.weights
    found = wild_bootstrap(
        fitted.y, fitted.design.X, own, fitted.clusters, contrasts, plan, rng, _Anew(fitted) if anew else None
    )
    lost = int(np.isnan(found.replicates).sum())
    return WildBootstrap(
        terms=terms,
        statistic=float(found.statistic),
        df=found.df,
        p_value=float(found.p),
        p_se=float(found.p_se),
        draws=found.replicates.size - lost,
        lost=lost,
        exact=found.exact,
        auxiliary=found.auxiliary,
        kind=plan.kind,
        adjust=plan.adjust,
        held=not anew,
        cluster=str(fitted.spec.cluster),
        clusters=len(fitted.cluster_names),
    )


class _Anew:
    """The weights by moments of other effects (R, n) of the same rows, under columns (n, p) of a null model."""

    def __init__(self, fitted: FittedMultilevel) -> None:
        self.spec = fitted.spec
        self.v = fitted.effects.vi[fitted.design.used]
        self.study = fitted.random.terms[0].grouping.codes

    def __call__(self, y: Floats, X: Floats) -> Floats:
        """Return the weights (R, n)."""
        return moment_weights(self.spec, y, self.v, X, self.study, float(self.spec.rho or 0.0)).weights


def plan_of(kind: str, adjust: str, auxiliary: str | None, draws: int) -> WildPlan:
    """Return the plan of a bootstrap. Raises `OptionError`.

    >>> plan_of("CR0", "CR0", None, 999).draws
    999
    """
    for name, value, known in (
        ("kind", kind, tuple(ADJUSTMENTS)),
        ("adjust", adjust, ADJUSTED),
        ("auxiliary", auxiliary or "webb", AUXILIARY),
    ):
        if value not in known:
            raise OptionError.unknown(name, value, known)
    if isinstance(draws, bool) or int(draws) != draws or draws < LEAST_DRAWS:
        raise OptionError(f"draws={draws!r}: give a whole number from {LEAST_DRAWS} on; {DRAWS} is usual")
    return WildPlan(kind, adjust, auxiliary or "", int(draws))


def _check(
    fitted: FittedMultilevel, contrasts: Floats, terms: tuple[str, ...], plan: WildPlan, weights: str | None
) -> None:
    """Refuse what cannot be tested."""
    if weights is not None and weights not in WEIGHTS:
        raise OptionError.unknown("weights", weights, WEIGHTS)
    if weights == "anew" and fitted.moments is None:
        raise OptionError(
            "weights='anew': a likelihood would have to be climbed for every draw; the sandwich is right with weights "
            "held, or use random='CORR' or 'HIER', whose weights are found without a search"
        )
    if fitted.loose and undecided(fitted, contrasts)[1].any():
        raise OptionError(f"{', '.join(terms)} rest on variances that the data do not show; see .notes")
