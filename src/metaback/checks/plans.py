"""What is asked of the pools: weights, models and intervals that the number and spread of the trials do not bear."""

from __future__ import annotations

from collections import Counter

import numpy as np

from metaback.checks.findings import Finding, Outcome
from metaback.checks.quick_pools import (
    LEVEL,
    Quick,
    mean_interval,
    name_of,
    pools_text,
    prediction_limits,
    shown,
    usable,
    whole_pools,
)
from metaback.checks.rules import rule
from metaback.checks.scene import Floats, Pooled, Regressed, Scene
from metaback.numbers import ABSENT, fixed, interval, p_phrase
from metaback.stats.inference import quantile

FEW = 10  # effects below which the normal quantile, and a regression on one moderator, are not to be trusted
FEW_IN_GROUP = 3  # effects of a subgroup below which its spread cannot be estimated
LEAST_PREDICTION = 3  # effects that a prediction interval needs
EXACT = 1e-9  # relative: weights that are numbers of people up to rounding of binary numbers
HETEROGENEOUS = 0.10  # P of Cochran's Q, which has little power, below which effects are taken to differ
SHOWN = 3  # pools whose numbers a finding shows
STRATA = "stratum"
NO_POOL = ("no effects could be computed",)


def _pools(scene: Scene, least: int = 2) -> list[tuple[Pooled, int]]:
    """Return the pools with at least some effects, and how many they have."""
    counted = [(pool, int(usable(pool).sum())) for pool in scene.pools]
    return [(pool, k) for pool, k in counted if k >= least]


def _rows(pool: Pooled) -> tuple[int, ...]:
    """Return the rows of a pool that have an effect."""
    return tuple(int(place) for place in pool.places[usable(pool)])


def _limits(pool: Pooled, limits: tuple[float, float]) -> str:
    """Write limits as a reader knows them."""
    low, high = shown(pool, np.array(limits))
    return interval(float(low), float(high))


def _more(count: int) -> str:
    """Say how many pools are not shown."""
    return f"; and {pools_text(count - SHOWN)} more" if count > SHOWN else ""


def _mean(pool: Pooled, found: Quick) -> str:
    return fixed(float(shown(pool, found.mean[:1])[0]))


# ---------------------------------------------------------------- weights


@rule(
    "own-weights",
    severity="warning",
    title="an average that is not weighted by precision",
    why="A plain average, or one weighted by numbers of people, lets an imprecise trial count as much as a precise "
    "one. It stays valid if its variance is computed for it, but it is less precise than the usual average, and "
    "weights by "
    "numbers of people ignore how widely the scores of a trial spread.",
    cite="kadlec2023 rice2018",
)
def own_weights(scene: Scene) -> Outcome:
    """Find requests whose weights are all the same, or numbers of people; tell other weights as information."""
    name = scene.plan.weights
    pools = _pools(scene)
    examined = sum(k for _, k in pools)
    if not pools:
        return Outcome(passed_over=NO_POOL)
    if name is None or name not in scene.trials.frame.columns:
        return Outcome(examined=examined)
    rows = np.array(sorted({place for pool, _ in pools for place in _rows(pool)}), dtype=np.intp)
    weights = np.asarray(scene.trials.frame[name].tolist())[rows]
    kind = _kind_of_weights(scene, weights.astype(float), rows) if weights.dtype.kind in "biuf" else ""
    words = {
        "equal": "are all the same, so that the pool is a plain average",
        "people": "are numbers of people",
        "": "take the place of those by precision",
    }[kind]
    found = Finding(
        rule="own-weights",
        severity="warning" if kind else "information",
        rows=tuple(int(i) for i in rows),
        says=f"The weights of column {name} {words}.",
        fix="Leave weights out, so that each trial counts by its precision, or say in the report why not",
        evidence={"weights": name, "kind": kind or "own"},
        whole=True,
    )
    return Outcome((found,), examined)


def _kind_of_weights(scene: Scene, weights: Floats, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> str:
    """Return "equal", "people" (numbers of people up to a factor) or ""."""
    if weights.size and np.ptp(weights) <= EXACT * np.abs(weights).max():
        return "equal"
    total = scene.numbers("n_1") + scene.numbers("n_2")
    total = np.where(np.isfinite(total), total, scene.numbers("n"))[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = weights / total
    alike = np.isfinite(ratio).all() and np.ptp(ratio) <= EXACT * np.abs(ratio).max()
    return "people" if alike else ""


# ---------------------------------------------------------------- intervals


@rule(
    "few-studies-wald",
    severity="warning",
    title="few trials pooled with an interval that ignores how uncertain their spread is",
    why="With few trials the spread between them is badly known. The interval with the normal quantile takes it for "
    "known and is too narrow: where the effects differ, it misses the true mean far more often than one time in 20. "
    "The "
    "interval of Hartung, Knapp, Sidik and Jonkman accounts for it.",
    cite="inthout2014 higgins2024",
)
def few_studies_wald(scene: Scene) -> Outcome:
    """Find random-effects pools of 2 to 9 effects with a Wald interval and tau2 > 0, and show the HKSJ interval."""
    pools = _pools(scene)
    if not pools:
        return Outcome(passed_over=NO_POOL)
    examined = sum(k for _, k in pools)
    if scene.plan.model != "random" or scene.plan.ci != "Wald" or scene.plan.weights is not None:
        return Outcome(examined=examined)
    small = [(pool, k) for pool, k in pools if k < FEW]
    quicks = whole_pools([pool for pool, _ in small], scene.plan)
    hits = [(pool, k, quick) for (pool, k), quick in zip(small, quicks, strict=True) if quick.tau2[0] > 0]
    if not hits:
        return Outcome(examined=examined)
    parts = [
        f"{name_of(pool)} ({k} effects, tau2 = {fixed(float(quick.tau2[0]), 3)}): {_mean(pool, quick)} "
        f"{_limits(pool, mean_interval(quick, 'Wald'))}, by HKSJ {_limits(pool, mean_interval(quick, 'HKSJ'))}"
        for pool, k, quick in hits[:SHOWN]
    ]
    found = Finding(
        rule="few-studies-wald",
        severity="warning",
        rows=tuple(place for pool, _, _ in hits for place in _rows(pool)),
        says=f"{pools_text(len(hits))} of fewer than {FEW} effects with tau2 above 0 would have an interval by the "
        f"normal quantile: {'; '.join(parts)}{_more(len(hits))}.",
        fix="Use ci='HKSJ-wider' (the default), or report both",
        evidence={"pools": "; ".join(sorted(name_of(pool) for pool, _, _ in hits))},
        whole=True,
    )
    return Outcome((found,), examined)


@rule(
    "no-prediction-interval",
    severity="information",
    title="random-effects pools without a prediction interval",
    why="The interval of the mean says how well the average effect is known, not what to expect in the next setting. "
    "Where effects differ, the effect in a new setting may well be nil or harmful though the mean is clearly "
    "beneficial.",
    cite="inthout2016 riley2011",
)
def no_prediction_interval(scene: Scene) -> Outcome:
    """Tell random-effects pools of at least 3 effects when no prediction interval is asked for, all of them at once."""
    pools = _pools(scene, LEAST_PREDICTION)
    few = () if pools else ("no pool of 3 effects, which a prediction interval needs",)
    examined = sum(k for _, k in pools)
    if not pools or scene.plan.pi != "none" or scene.plan.model != "random" or scene.plan.weights is not None:
        return Outcome(examined=examined, passed_over=few)
    first = [pool for pool, _ in pools[:SHOWN]]
    quicks = zip(first, whole_pools(first, scene.plan), strict=True)
    parts = [f"{name_of(pool)} {_limits(pool, prediction_limits(quick))}" for pool, quick in quicks]
    found = Finding(
        rule="no-prediction-interval",
        severity="information",
        rows=tuple(place for pool, _ in pools for place in _rows(pool)),
        says="No prediction interval is asked for; by the t distribution on k \u2212 1 degrees of freedom it would "
        f"be: {'; '.join(parts)}{_more(len(pools))}.",
        fix="Report it with pi='t(k-1)'; with fewer than about 5 trials call it uncertain",
        evidence={"pools": float(len(pools))},
        whole=True,
    )
    return Outcome((found,), examined)


# ---------------------------------------------------------------- numbers of studies


@rule(
    "too-few-studies",
    severity="warning",
    title="moderators and subgroups with too few trials",
    why="A regression on moderators needs about ten trials for each of them; with fewer it finds patterns in noise. A "
    "subgroup of one or two trials has no spread of its own to be estimated, and a difference between subgroups of few "
    "trials is most likely chance.",
    cite="higgins2024 borenstein2009",
)
def too_few_studies(scene: Scene) -> Outcome:
    """Find regressions with fewer than 10 trials per coefficient (a warning) and subgroups of 1 or 2 (information).

    Trials are effects where rows count as independent, and studies where the model has it that their rows are not.
    """
    pools = _pools(scene)
    if not pools:
        return Outcome(passed_over=NO_POOL)
    findings: list[Finding] = []
    by = scene.plan.by or (scene.column(STRATA) if scene.plan.strata and scene.has(STRATA) else None)
    labels = _labels(scene, by)
    small: list[tuple[Pooled, dict[str, int]]] = []
    for pool, _ in pools:
        if pool.regressed is not None:
            findings += _many_moderators(scene, pool, pool.regressed)
        counts = Counter(labels[place] for place in _rows(pool)) if labels else Counter[str]()
        few = {label: count for label, count in counts.items() if count < FEW_IN_GROUP}
        if len(counts) > 1 and few:
            small.append((pool, few))
    if small:
        findings.append(_small_groups(small, labels, str(by)))
    return Outcome(tuple(findings), sum(k for _, k in pools))


def _labels(scene: Scene, by: str | None) -> tuple[str, ...]:
    """Return the subgroup of each row, () where there are none."""
    if by is None or by not in scene.trials.frame.columns:
        return ()
    return tuple(str(value) for value in scene.trials.frame[by].tolist())


def _many_moderators(scene: Scene, pool: Pooled, asked: Regressed) -> list[Finding]:
    """Word a regression on more moderators than its trials bear: studies, or effects where rows count as such."""
    rows = tuple(int(place) for place in pool.places[usable(pool) & asked.used])
    modelled = scene.plan.modelled and not scene.plan.independent
    count = len({scene.texts("study")[place].strip().casefold() for place in rows}) if modelled else len(rows)
    p, unit = asked.coefficients, "studies" if modelled else "effects"
    if count >= FEW * p and not asked.refused:
        return []
    says = f"{count} {unit} for {p} coefficient{'s' if p > 1 else ''} of moderators; about {FEW * p} are needed"
    found = Finding(
        rule="too-few-studies",
        severity="warning",
        rows=rows,
        says=f"{name_of(pool)}: {f'no regression: {asked.refused}' if asked.refused else says}.",
        fix="Take fewer moderators, named before the data were seen, and call the result exploratory",
        evidence={"k": float(count), "moderators": float(p), "pool": name_of(pool)},
        whole=True,
    )
    return [found]


def _small_groups(small: list[tuple[Pooled, dict[str, int]]], labels: tuple[str, ...], by: str) -> Finding:
    """Word subgroups of one or two effects."""
    parts = [
        f"{name_of(pool)}: {', '.join(f'{label or ABSENT} ({count})' for label, count in list(few.items())[:6])}"
        for pool, few in small[:SHOWN]
    ]
    return Finding(
        rule="too-few-studies",
        severity="information",
        rows=tuple(place for pool, few in small for place in _rows(pool) if labels[place] in few),
        says=f"Some subgroups by {by} have fewer than {FEW_IN_GROUP} effects ({'; '.join(parts)}{_more(len(small))}).",
        fix="Give one tau2 to all subgroups (subgroup_tau2='common'), put subgroups together, or do not compare them",
        evidence={"groups": float(sum(len(few) for _, few in small)), "by": by},
        whole=True,
    )


# ---------------------------------------------------------------- models


@rule(
    "heterogeneity-ignored",
    severity="warning",
    title="trials that differ, pooled as if they had one effect",
    why="The equal-effects model believes that all trials estimate the same number and differ by chance only. Where "
    "they differ by more, its interval is too narrow, and the largest trial decides.",
    cite="higgins2024 rice2018",
)
def heterogeneity_ignored(scene: Scene) -> Outcome:
    """Find pools by an equal- or fixed-effects model whose effects differ by more than chance (Cochran's Q, P < 0.10).

    A warning for model="equal"; information for model="fixed", whose mean is that of these trials only.
    """
    pools = _pools(scene)
    if not pools:
        return Outcome(passed_over=NO_POOL)
    examined = sum(k for _, k in pools)
    if scene.plan.model not in ("equal", "fixed"):
        return Outcome(examined=examined)
    quicks = whole_pools([pool for pool, _ in pools])
    hits = [(pool, k, quick) for (pool, k), quick in zip(pools, quicks, strict=True) if quick.p[0] < HETEROGENEOUS]
    if not hits:
        return Outcome(examined=examined)
    parts = [
        f"{name_of(pool)} ({k} effects, I2 = {fixed(float(quick.i2[0]), 0)}%, {p_phrase(float(quick.p[0]))} of Q): "
        f"{_one_effect(pool)}, random effects {_mean(pool, quick)} {_limits(pool, mean_interval(quick, 'HKSJ-wider'))}"
        for pool, k, quick in hits[:SHOWN]
    ]
    found = Finding(
        rule="heterogeneity-ignored",
        severity="warning" if scene.plan.model == "equal" else "information",
        rows=tuple(place for pool, _, _ in hits for place in _rows(pool)),
        says=f"The effects of {pools_text(len(hits))} differ by more than chance, and are to be pooled as one: "
        f"{'; '.join(parts)}{_more(len(hits))}.",
        fix="Use model='random'; if only the mean of these trials is meant, say model='fixed' and say so in the report",
        evidence={"pools": "; ".join(sorted(name_of(pool) for pool, _, _ in hits))},
        whole=True,
    )
    return Outcome((found,), examined)


def _one_effect(pool: Pooled) -> str:
    """Write the equal-effects mean of a pool with its interval."""
    ok = usable(pool)
    w = 1 / pool.vi[ok]
    mean, half = float(w @ pool.yi[ok] / w.sum()), float(quantile(LEVEL, np.array([np.inf]))[0] / np.sqrt(w.sum()))
    return f"{fixed(float(shown(pool, mean)))} {_limits(pool, (mean - half, mean + half))}"
