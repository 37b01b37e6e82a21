"""The pool of rows that depend on each other: a working model with robust variance, and the naive pool beside it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from metaback.effects.effect_sizes import EffectSizes, repeat_notes
from metaback.errors import OptionError
from metaback.models.dependent_means import (
    DependentCoefficients,
    DependentMeans,
    dependent_coefficients,
    dependent_means,
    dependent_means_many,
)
from metaback.models.fitted import Estimate
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.numbers import df_text, fixed
from metaback.postestimation.dependent_sets import GRID, Joint, Rows, joint_of, rows_of, sets_of_rows
from metaback.postestimation.pools import PREDICTION_FROM, participants
from metaback.postestimation.scales import shown_pool
from metaback.postestimation.subsets import Subsets, sizes_of
from metaback.postestimation.summary import Analysis, Component, Heterogeneity, PoolSummary, Rho, SubgroupTest, Working
from metaback.postestimation.words import effect_digits, limits_cell, percent, point_text
from metaback.stats.blocks import BlockMatrix
from metaback.stats.heterogeneity import h2_from_tau2, i2_from_q
from metaback.stats.inference import PREDICTION_RULES, quantile
from metaback.stats.measures import about
from metaback.stats.measures.family import has_null
from metaback.stats.robust_tests import joint_test
from metaback.stats.wls import Bools, Floats
from metaback.status import Status

METHODS = ("REML", "ML")
MEAN_RULE = "CR2"
PREDICTIONS = ("none", "z", "t(k-1)", "t(k-2)")
FEW_DF = 4.0
BETWEEN, WITHIN = "between studies", "within studies"


def repeats(effects: EffectSizes) -> bool:
    """Tell whether a study has more than one row with an effect."""
    clusters = effects.clusters[effects.estimable]
    return np.unique(clusters).size < clusters.size


def own_words(spec: PoolSpec) -> str:
    """Say why the request itself stands in place of a working model, "" where the working model answers it."""
    if spec.independent:
        named = f"as the preset '{spec.preset}' does" if spec.preset != "cochrane" else "as the request says"
        return f"rows are taken as independent, {named}"
    asked: list[str] = []
    if spec.model != "random":
        asked.append(f"model='{spec.model}'")
    if spec.weights is not None:
        asked.append("weights of the user's own")
    if spec.tau2 not in METHODS:
        asked.append(f"tau2={spec.tau2!r}")
    if spec.ci not in ("HKSJ-wider", MEAN_RULE):
        asked.append(f"ci='{spec.ci}'")
    if spec.pi not in PREDICTIONS:
        asked.append(f"pi='{spec.pi}'")
    if spec.subgroup_tau2 != "separate":
        asked.append("subgroup_tau2='common'")
    return f"the request names {', '.join(asked)}, which takes rows as independent" if asked else ""


def by_working_model(spec: PoolSpec, effects: EffectSizes) -> bool:
    """Tell whether a pool of these effects under this request is that of a working model."""
    return repeats(effects) and not own_words(spec)


class Answer(Protocol):
    """An analysis that knows whether it models that rows depend on each other."""

    @property
    def dependent(self) -> bool:
        """Tell whether it does."""
        ...


def needs_independent(analysis: Answer, what: str) -> None:
    """Raise where an answer takes rows as independent and the pool, or the regression, does not."""
    if analysis.dependent:
        kind = "pool" if isinstance(analysis, Analysis) else "regression"
        raise OptionError(
            f"{what} takes every row for a study of its own, but this {kind} models that rows of a study depend on "
            f"each other; ask update(independent=True) for it, or multilevel() for answers under the model"
        )


def in_its_words(spec: PoolSpec) -> PoolSpec:
    """Return a request in the words of the working model: robust interval, REML unless ML is asked for."""
    tau2 = spec.tau2 if spec.tau2 in METHODS else "REML"
    pi = spec.pi if spec.pi in PREDICTIONS else "t(k-1)"
    words = {"ci": MEAN_RULE, "tau2": tau2, "pi": pi, "model": "random", "weights": None, "i2": "tau2"}
    return spec.model_copy(update={**words, "subgroup_tau2": "separate", "independent": False})


def working_pool(effects: EffectSizes, spec: PoolSpec, naive: PoolSummary) -> Working | None:
    """Pool effects that depend on each other by y_ij = mu + u_i + w_ij + e_ij with robust variance.

    e has the covariance that the table tells (shared arms) or that rho makes (the same people otherwise); the one that
    the effects bring, where they bring one. u and w by REML, the mean with CR2 and Satterthwaite's df; the prediction
    interval is for a new effect of a new study, on studies - 1 df (`pi=`): see `_prediction_limits`.

    naive: the pool of the same rows as if each were a study. Returns None where no study has two rows. Edges: rows of
    one study alone are taken together by their covariance, without components and without robust variance.

    >>> import metaback as mb
    >>> es = mb.effect_sizes(mb.load_dataset("backpain").query("outcome == 'pain' and weeks < 9"), measure="SMD")
    >>> res = mb.pool(es, independent=True)
    >>> res.analysis.working.components[0].name
    'between studies'
    """
    if not repeats(effects):
        return None
    words, why = in_its_words(spec), own_words(spec)
    joint = joint_of(effects, spec, GRID)
    rows = rows_of(effects, joint.V)
    swept = _swept(effects, words, joint)
    found = _means(effects, rows, words) if swept is None else swept.take(_places(words, joint))
    whole = np.ones((1, effects.yi.size), dtype=bool) & effects.estimable
    (pool,) = _pools(effects, words, found, rows, whole)
    width = naive.mean.upper - naive.mean.lower  # 0 where a rule degenerates, as that of equal effects
    widened = (pool.mean.upper - pool.mean.lower) / width if width > 0 else math.inf
    return Working(
        spec=words,
        pool=pool,
        naive=naive,
        primary=not why and bool(found.status[0] == Status.CONVERGED),
        why=why or ("" if found.status[0] == Status.CONVERGED else Status(int(found.status[0])).sentence),
        components=_components(found),
        grid=_grid(effects, words, joint, swept),
        sentences=joint.sentences,
        loglik=float(found.loglik[0]),
        widened=widened,
        V=joint.V,
    )


def working_sets(effects: EffectSizes, spec: PoolSpec, masks: Bools, V: BlockMatrix) -> tuple[PoolSummary, ...]:
    """Pool each of several sets of rows by the working model, one batch call; see `working_pool`.

    masks: (sets, k) rows of each; sets are pooled alone, whatever others hold of a study. V: covariance of all rows.
    """
    words = in_its_words(spec)
    use = masks & effects.estimable
    rows, present = sets_of_rows(effects, V, use, words)
    return _pools(effects, words, _means(effects, rows, words, present), rows, use, present)


def working_difference(effects: EffectSizes, spec: PoolSpec, masks: Bools, V: BlockMatrix) -> SubgroupTest | None:
    """Test whether the means of disjoint sets of rows differ, in one model of all of them.

    y = X beta + u + w + e, a mean for each set and components for all; robust variance CR2, approximate Hotelling's T2
    (HTZ): rows of one study may stand in several sets. None where the means cannot be tested so.
    """
    found = working_groups(effects, spec, masks, V)
    if isinstance(found, Status):
        return None
    contrasts = np.eye(len(masks))[1:] - np.eye(len(masks))[0]
    test = joint_test(found.beta, found.robust, contrasts)
    if not math.isfinite(float(test.p)):
        return None
    return SubgroupTest(float(test.statistic) * test.df, test.df, float(test.p), float(test.df_residual))


def working_groups(
    effects: EffectSizes, spec: PoolSpec, masks: Bools, V: BlockMatrix
) -> DependentCoefficients | Status:
    """Return the means of disjoint sets of rows in one model of all of them, or why there are none.

    y = X beta + u + w + e with a mean for each set: u, w and e are those of the pool, so that rows of one study are
    correlated whichever sets they stand in. V: covariance of all rows.
    """
    used = masks.any(axis=0) & effects.estimable
    rows = rows_of(effects, V, used)
    X = masks[:, rows.places].T.astype(float)
    method = str(in_its_words(spec).tau2)
    return dependent_coefficients(effects.yi[rows.places], X, rows.V, rows.study, method=method)


def working_subsets(effects: EffectSizes, spec: PoolSpec, masks: Bools, V: BlockMatrix | None) -> Subsets:
    """Pool many sets of rows by the working model, one batch call.

    masks: (sets, k). V: covariance of all rows; None where rows and their corrected copies stand side by side: see
    `sets_of_rows`.
    """
    words = in_its_words(spec)
    use = masks & effects.estimable
    rows, present = sets_of_rows(effects, V, use, words)
    return _as_subsets(effects, words, _means(effects, rows, words, present), use)


def dependent_rows(effects: EffectSizes, spec: PoolSpec, used: Bools) -> tuple[Rows, tuple[str, ...]]:
    """Return some of the rows with their covariance, and what depends on what and was assumed.

    used: (k,) rows, each with an effect. The covariance is that which the effects bring, else that of `spec.rho`.
    """
    here = replace(effects, estimable=used)
    joint = joint_of(here, spec)
    return rows_of(here, joint.V), joint.sentences


def _means(effects: EffectSizes, rows: Rows, spec: PoolSpec, present: Bools | None = None) -> DependentMeans:
    """Fit the sets."""
    y = effects.yi[rows.places]
    return dependent_means(y, rows.V, rows.study, present=present, method=str(spec.tau2), level=spec.level)


def _pools(
    effects: EffectSizes, spec: PoolSpec, found: DependentMeans, rows: Rows, masks: Bools, present: Bools | None = None
) -> tuple[PoolSummary, ...]:
    """Turn the means of several sets into summaries; present: (sets, studies) of each, None for all studies."""
    low, high, se, df = _prediction_limits(found, spec)
    scale, tested = about(effects.measure).scale, has_null(effects.measure)
    total: list[float] = (found.between + found.within).tolist()
    pools: list[PoolSummary] = []
    for i, mask in enumerate(masks):
        weights = np.full(effects.yi.size, np.nan)
        own = np.ones(rows.study.size, dtype=bool) if present is None else present[i, rows.study]
        weights[rows.places[own]] = 100 * found.weights[i, own]
        mean = _estimate(found, i, spec, scale, tested=tested)
        ends = float(low[i]), float(high[i]), float(se[i])
        predicted = Estimate(mean.point, *ends, spec.level, scale, df=float(df[i]))
        pool = PoolSummary(
            mean=mean,
            prediction=predicted if math.isfinite(predicted.lower) else None,
            heterogeneity=heterogeneity_of_levels(
                float(found.q[i]), int(found.m[i]), total[i], float(found.i2[i].sum())
            ),
            weights=weights,
            k=int(mask.sum()),
            studies=int(np.unique(effects.clusters[mask]).size),
            n=participants(effects, mask),
            notes=_notes(found, i),
        )
        pools.append(shown_pool(pool, effects, mask))
    return tuple(pools)


def _estimate(found: DependentMeans, i: int, spec: PoolSpec, scale: str, *, tested: bool) -> Estimate:
    """Return the mean of set i."""
    names = ("mean", "lower", "upper", "se", "statistic", "df", "p")
    point, low, high, se, statistic, df, p = (float(getattr(found, name)[i]) for name in names)
    if not tested:
        statistic = p = math.nan
    return Estimate(point, low, high, se, spec.level, scale, statistic, df, p)


def _prediction_limits(found: DependentMeans, spec: PoolSpec) -> tuple[Floats, Floats, Floats, Floats]:
    """Return limits, standard error and df of a new effect of a new study; nan below three studies.

    A new effect is no better known than the mean: where tau2 is near 0 and the mean has the fewer degrees of freedom,
    the limits are those of its interval.

    The df stand for how well the variance of a new effect is known, most of which lies between studies: studies - 1,
    as of pools of independent rows, by rule (Higgins, Thompson & Spiegelhalter 2009: k - 2; IntHout et al. 2016:
    k - 1). `multilevel.predict` takes the df of the mean, because a model with moderators or other levels has no one
    number of studies. They are the same where studies are alike; of uneven studies the mean has fewer, so that those
    limits are a little wider. Neither is exact: in 400 simulated tables of each of 24 designs (4 to 25 studies of
    about three rows, independent sampling errors) both covered alike to 0.01: 0.91 to 0.97 for 4 to 10 studies, where
    the plugged-in variances are poorly known (Nagashima, Noma & Furukawa 2019), and 0.95 for 25.
    """
    nothing = np.full(found.mean.size, np.nan)
    if spec.pi == "none" or not estimates_tau2(spec):
        return nothing, nothing, nothing, nothing
    df = np.where(found.studies >= PREDICTION_FROM, PREDICTION_RULES[spec.pi].function(found.studies), np.nan)
    se = np.sqrt(found.between + found.within + found.se**2)
    half = quantile(spec.level, df) * se
    low, high = np.minimum(found.mean - half, found.lower), np.maximum(found.mean + half, found.upper)
    return low, high, se, df


def heterogeneity_of_levels(q: float, m: int, tau2: float, i2: float) -> Heterogeneity:
    """Return the heterogeneity of a model with components: tau2 is their sum, without limits; nan where there is none.

    q, m: Cochran's Q with the covariances, and its df; i2: share of the sum in the total variance, in percent.
    """
    known = math.isfinite(tau2) and math.isfinite(i2)
    return Heterogeneity(
        q=q,
        q_df=m,
        q_p=float(chdtrc(m, q)) if m > 0 else None,
        tau2=tau2 if known else None,
        tau2_low=None,
        tau2_high=None,
        i2_q=float(i2_from_q(np.array([q]), np.array([float(m)]))[0]) if m > 0 else None,
        i2_tau2=i2 if known else None,
        i2_low=None,
        i2_high=None,
        h2=100 / (100 - i2) if known and i2 < 100 else None,
        tau=math.sqrt(tau2) if known else None,
    )


def _components(found: DependentMeans) -> tuple[Component, ...]:
    """Return the variance components of the first set; none of a single study."""
    if not math.isfinite(float(found.between[0])):
        return ()
    values = ((BETWEEN, found.between), (WITHIN, found.within))
    return tuple(
        Component(name, float(value[0]), float(found.i2[0, place]), bool(found.told[0, place]))
        for place, (name, value) in enumerate(values)
    )


def _swept(effects: EffectSizes, spec: PoolSpec, joint: Joint) -> DependentMeans | None:
    """Pool under all assumed correlations in one batch, that of the request among them; None where there is but one."""
    if not joint.grid:
        return None
    rows = [rows_of(effects, V) for _, V in joint.grid]
    y, Vs = effects.yi[rows[0].places], [part.V for part in rows]
    return dependent_means_many(y, Vs, rows[0].study, method=str(spec.tau2), level=spec.level)


def _places(spec: PoolSpec, joint: Joint) -> NDArray[np.intp]:
    """Return the place of the correlation of the request among those of a grid, (1,)."""
    return np.flatnonzero(np.array([rho == spec.rho for rho, _ in joint.grid]))


def _grid(effects: EffectSizes, spec: PoolSpec, joint: Joint, found: DependentMeans | None) -> tuple[Rho, ...]:
    """Return the pools under assumed correlations; nothing where no covariance was assumed."""
    if found is None:
        return ()
    scale, tested = about(effects.measure).scale, has_null(effects.measure)
    total: list[float] = (found.between + found.within).tolist()
    means = [_estimate(found, i, spec, scale, tested=tested) for i in range(len(joint.grid))]
    return tuple(Rho(rho, mean, tau2) for (rho, _), mean, tau2 in zip(joint.grid, means, total, strict=True))


def _notes(found: DependentMeans, i: int) -> tuple[str, ...]:
    """Return what a reader must know of set i."""
    if found.studies[i] < 2:
        return ("One study: its effects were taken together by their covariance; nothing else was pooled.",)
    notes: list[str] = []
    if found.few[i]:
        notes.append(
            f"The robust interval has {df_text(float(found.df[i]))} degrees of freedom: below 4 it is only roughly "
            "right, and so is its P value."
        )
    if not found.told[i].all() and math.isfinite(float(found.between[i])):
        notes.append("Variance between and within studies cannot be told apart here; their sum is what counts.")
    return tuple(notes)


def dependence_note(working: Working, effects: EffectSizes) -> tuple[str, ...]:
    """Return what must be said first of a pool whose rows depend on each other."""
    here = working.pool if working.primary else working.naive
    other = working.naive if working.primary else working.pool
    digits = effect_digits(here.mean)
    beside = f"{point_text(other.mean, digits)} ({percent(other.mean.level)} CI {limits_cell(other.mean, digits)})"
    several = effects.clusters[effects.estimable]
    counts = np.unique(several, return_counts=True)[1]
    some = int((counts > 1).sum())
    who = f"{some:,} of {counts.size:,} studies {'has' if some == 1 else 'have'} several rows"
    if counts.size == 1:
        who = "All rows are of one study"
    if working.primary and here.studies < 2:
        return (f"All {here.k:,} rows are of one study. As if they were independent: {beside}.",)
    if working.primary:
        told = (
            f"{who}: three-level model with robust variance (CR2). As if rows were independent: {beside}; the "
            f"interval shown is {fixed(working.widened)} times as wide."
        )
        return (told,)
    return (f"{who}, but {working.why}. A working model of their dependence gives {beside}.",)


def without_repeats(notes: tuple[str, ...], effects: EffectSizes) -> tuple[str, ...]:
    """Return notes without those that rows are pooled as if they were independent."""
    said = set(repeat_notes(effects.labels, effects.rows, effects.estimable))
    return tuple(note for note in notes if note not in said)


def _as_subsets(effects: EffectSizes, spec: PoolSpec, found: DependentMeans, masks: Bools) -> Subsets:
    """Return the means of many sets of rows (sets, k) as subsets."""
    low, high, _, _ = _prediction_limits(found, spec)
    nothing = np.full(found.mean.size, np.nan)
    tested = has_null(effects.measure)
    total, m = found.between + found.within, found.m
    i2 = found.i2.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        typical = total * (100 - i2) / i2
    return Subsets(
        k=masks.sum(axis=1, dtype=np.int64),
        estimate=found.mean,
        se=found.se,
        statistic=found.statistic if tested else nothing,
        df=found.df,
        p_value=found.p if tested else nothing,
        ci_low=found.lower,
        ci_high=found.upper,
        pi_low=low,
        pi_high=high,
        tau2=total,
        i2=i2,
        h2=h2_from_tau2(total, typical),
        q=found.q,
        q_p=np.where(m > 0, chdtrc(np.where(m > 0, m, 1.0), found.q), np.nan),
        status=found.status,
        size=sizes_of(effects, masks),
    )
