"""Effects that are too large to believe, far from the other trials, or in command of the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from metaback.checks.findings import Finding, Outcome, Severity
from metaback.checks.intervals import told_together
from metaback.checks.quick_pools import name_of, quick_pools, shown, stacked, usable
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Plan, Pooled, Scene
from metaback.checks.spreads import suspected_rows
from metaback.numbers import fixed, p_phrase, significant
from metaback.stats.inference import two_sided_p

STANDARDISED = frozenset({"SMD", "SMDH", "SMD1", "SMD1H"})  # differences between groups in SDs of people
LARGE, HUGE = 2.0, 3.0  # SDs; beyond 3, 60% of the differences in 20 reviews were SEs taken for SDs (Kadlec 2023)
DOUBLED = float(np.log(2))  # log ratio of means from which one mean is at least twice the other
FEW_OF = 0.1  # share of a pool's rows up to which such an effect is not the way of the outcome (one row always is)
LEVEL = 0.01  # chance that a pool of normal effects has any row told (Bonferroni); real effects have longer tails
FEWEST = 5  # effects of a pool without which a residual on k - 2 degrees of freedom says little
MANY = 100  # effects of a pool from which tau2 without one row is taken to be that with it
FENCE = 6.0  # interquartile ranges above the median of the distances of Cook
COOK = 0.4549364231195727  # median of chi-square on 1 df, above which a distance of Cook is called influential
SHARE = 0.4  # of the weight
TIMES = 2.0  # equal shares that a heavy row must have, so that pools of two or three have none
MEMO = "left out"
FITS = 2.0  # residual below which a row with the other sign fits the others, which another rule tells


@dataclass(frozen=True, slots=True)
class Left:
    """What leaving out each row of one pool says, (m,) over its rows with effects.

    places: their rows in the table; y: effects; residual: studentised deleted residual; p: its two-sided P value, not
    adjusted; mirrored: the residual with the other sign of the effect; mean: of the others; cook: distance; weight:
    share of the weight.
    """

    places: Places
    y: Floats
    residual: Floats
    p: Floats
    mirrored: Floats
    mean: Floats
    cook: Floats
    weight: Floats


def leave_each(pools: Sequence[Pooled], plan: Plan) -> list[Left]:
    """Return what leaving out each row of every pool says; pools of like size are one batch call.

    residual_i = (y_i - m(-i)) / sqrt(v_i + tau2(-i) + var m(-i)) against t on k - 2 degrees of freedom, with m(-i) and
    tau2(-i) of the other rows (tau2 by DerSimonian and Laird; from 100 rows on that of all);
    cook_i = (m - m(-i))^2 / var m; weight_i that of 1 / (v + tau2) with tau2 as planned.
    Edges: nan where no other row is left. Source: Viechtbauer & Cheung 2010.
    """
    sizes = np.array([int(usable(pool).sum()) for pool in pools], dtype=np.intp)
    classes = np.where(
        sizes >= MANY, MANY + np.arange(sizes.size), np.ceil(np.log2(np.maximum(sizes, 1)))
    )  # 0 is for pools of one row
    found: dict[int, Left] = {}
    for number in np.unique(classes):
        chosen = np.flatnonzero(classes == number).tolist()
        found |= dict(zip(chosen, _leave([pools[i] for i in chosen], plan), strict=True))
    return [found[i] for i in range(len(pools))]


def _left(scene: Scene) -> list[Left]:
    """Return what leaving out each row of the pools of a scene says, worked out once for three rules."""
    if MEMO not in scene.memo:
        scene.memo[MEMO] = leave_each(scene.pools, scene.plan)
    found: list[Left] = scene.memo[MEMO]
    return found


def _leave(pools: Sequence[Pooled], plan: Plan) -> list[Left]:
    """Return the same for pools of about one size, stacked side by side."""
    y, v, mask = stacked(pools)
    if mask.shape[1] < 2:  # nothing is left without a single row
        return [_alone(pool) for pool in pools]
    whole = quick_pools(y, v, mask)
    pool, row = np.nonzero(mask)
    k = mask.sum(axis=1)[pool].astype(float)
    own_y, own_v = y[pool, row], v[pool, row]
    if k.max() >= MANY:
        mean, variance, tau2 = _fixed_tau2(y[0], v[0], mask[0], float(whole.tau2[0]))
    else:
        others = mask[pool]
        others[np.arange(row.size), row] = False
        rest = quick_pools(y[pool], v[pool], others)
        mean, variance, tau2 = rest.mean, rest.variance, rest.tau2
    se = np.sqrt(own_v + tau2 + variance)
    residual = (own_y - mean) / se
    cook = (whole.mean[pool] - mean) ** 2 / whole.variance[pool]
    weight = _shares(y, v, mask, plan)[pool, row]
    parts = (own_y, residual, two_sided_p(residual, k - 2), (-own_y - mean) / se, mean, cook, weight)
    own = [np.flatnonzero(pool == i) for i in range(len(pools))]
    return [Left(p.places[usable(p)], *(part[rows] for part in parts)) for p, rows in zip(pools, own, strict=True)]


def _alone(pool: Pooled) -> Left:
    """Return what can be said of the only row of a pool, or of none."""
    ok = usable(pool)
    none = np.full(int(ok.sum()), np.nan)
    return Left(pool.places[ok], pool.yi[ok], none, none, none, none, none, np.ones_like(none))


def _fixed_tau2(y: Floats, v: Floats, mask: Bools, tau2: float) -> tuple[Floats, Floats, Floats]:
    """Return mean, its variance and tau2 without each row of one large pool, at the tau2 of all rows."""
    w = 1 / (v[mask] + tau2)
    rest = w.sum() - w
    origin = float(np.median(y[mask]))
    total = float((w * (y[mask] - origin)).sum())
    return origin + (total - w * (y[mask] - origin)) / rest, 1 / rest, np.full(w.size, tau2)


def _shares(y: Floats, v: Floats, mask: Bools, plan: Plan) -> Floats:
    """Return the share of each row in the weight of its pool as it is planned, shaped as `v`."""
    tau2 = quick_pools(y, v, mask, plan.tau2 if plan.model == "random" else "0").tau2
    w = np.where(mask, 1 / (v + tau2[:, None]), 0.0)
    return w / np.where(mask.any(axis=1, keepdims=True), w.sum(axis=1, keepdims=True), 1.0)


@rule(
    "implausible-effect",
    yields_to=("se-as-sd", "test-against-means", "published-d"),
    severity="error",
    title="effects too large to be believed without a look",
    why="Differences of two SDs between groups of people are rare, and of three hardly ever real: the worst of one "
    "group would do better than the best of the other. Most that were looked up were standard errors taken for SDs, "
    "effects within groups, or numbers in two units.",
    cite="kadlec2023",
)
def implausible_effect(scene: Scene) -> Outcome:
    """Find standardised differences between groups beyond 2 (warning) or 3 (error), and means that double.

    Measures SMD, SMDH, SMD1 and SMD1H; only warnings where more than a tenth of a pool is beyond 3, which then is the
    way of its outcome (plants, cells). Of ratios of means (ROM) a row beyond ln 2 in absolute value is a warning, where
    at most a tenth of its pool, or one row, is so. Rows that `se-as-sd` names are left to it; more than 12 rows of a
    pool become one finding.
    """
    told = suspected_rows(scene)
    findings: list[Finding] = []
    examined = 0
    for pool in scene.pools:
        if pool.measure not in STANDARDISED | {"ROM"}:
            continue
        size = np.where(pool.estimable, np.abs(pool.yi), 0.0)
        examined += int(pool.estimable.sum())
        beyond = np.flatnonzero(size > (DOUBLED if pool.measure == "ROM" else LARGE))
        many = int((size > (DOUBLED if pool.measure == "ROM" else HUGE)).sum())
        usual = many > max(1.0, FEW_OF * int(pool.estimable.sum()))
        if pool.measure == "ROM" and usual:
            continue
        own = {int(pool.places[i]): int(i) for i in beyond if int(pool.places[i]) not in told}
        word = partial(_implausible, scene, pool, own, usual=usual)
        huge = [place for place, i in own.items() if size[i] > HUGE]
        findings += told_together(huge, word) + told_together([place for place in own if place not in huge], word)
    measures = "no pool is of standardised mean differences or ratios of means"
    return Outcome(tuple(findings), examined, () if examined else (measures,))


def _implausible(scene: Scene, pool: Pooled, spots: Mapping[int, int], place: int, *, usual: bool) -> Finding:
    """Word one effect that is too large; spots: where the rows of the table stand in the pool."""
    y = float(pool.yi[spots[place]])
    huge = abs(y) > HUGE
    severity: Severity = "error" if huge and not usual else "warning"
    evidence: dict[str, float | str] = {"effect": y, "pool": name_of(pool)}
    if pool.measure == "ROM":
        says = f"{scene.label(place)}: one mean is {fixed(float(np.exp(abs(y))))} times the other in {name_of(pool)}."
        fix = "Compare means and units with the trial's report"
        return Finding("implausible-effect", "warning", (place,), says, fix, evidence)
    says = (
        f"{scene.label(place)}: a standardised difference of {fixed(y)} in {name_of(pool)}. Differences beyond "
        f"{HUGE if huge else LARGE:g} SDs between groups of people are {'hardly ever real' if huge else 'rare'}."
    )
    fix = (
        "Compare means, SDs and n with the trial's report: SEs in the place of SDs, SDs of changes, effects within a "
        "group, units. If the numbers stand there, accept the finding with that reason"
    )
    return Finding("implausible-effect", severity, (place,), says, fix, evidence)


@rule(
    "outlying-effect",
    yields_to=(
        "sign-swapped",
        "se-as-sd",
        "sd-as-se",
        "mixed-units",
        "mixed-scales",
        "implausible-effect",
        "arm-sds-differ",
    ),
    severity="warning",
    title="effects far from those of the other trials",
    why="One trial that lies outside what the spread of the others allows often has a reason: a slip in its numbers, "
    "other people, another treatment. It widens the interval of the pooled effect and pulls it to its side.",
    cite="viechtbauer2010b",
)
def outlying_effect(scene: Scene) -> Outcome:
    """Find rows whose studentised deleted residual has P k < 0.01, against t on k - 2 degrees of freedom.

    Pools of 5 rows at least. Left to other rules: effects that are implausible by themselves, SEs taken for SDs, and
    rows that fit with the other sign.
    """
    told = suspected_rows(scene)
    findings: list[Finding] = []
    passed: list[str] = []
    examined = 0
    for pool, left in zip(scene.pools, _left(scene), strict=True):
        k = left.y.size
        if k < FEWEST:
            passed.append(f"{name_of(pool)} ({k})")
            continue
        examined += k
        outlying = (left.p * k < LEVEL) & (np.abs(left.mirrored) > FITS)
        if pool.measure in STANDARDISED:
            outlying &= np.abs(left.y) <= LARGE
        findings += [
            _outlying(scene, pool, left, int(i)) for i in np.flatnonzero(outlying) if int(left.places[i]) not in told
        ]
    return Outcome(tuple(findings), examined, _few(passed))


def _few(names: list[str]) -> tuple[str, ...]:
    """Say in one sentence which pools are too small."""
    more = ", ..." if len(names) > 5 else ""
    return (f"fewer than {FEWEST} effects in {'; '.join(names[:5])}{more}",) if names else ()


def _outlying(scene: Scene, pool: Pooled, left: Left, i: int) -> Finding:
    """Word one effect that lies far from the others."""
    place, k = int(left.places[i]), left.y.size
    own, mean = (fixed(float(shown(pool, float(value)))) for value in (left.y[i], left.mean[i]))
    p = min(1.0, float(left.p[i]) * k)
    says = (
        f"{scene.label(place)}: the effect {own} ({pool.measure}) does not fit the other {k - 1} of {name_of(pool)}, "
        f"whose mean is {mean} (deleted residual {fixed(float(left.residual[i]))}, {p_phrase(p)} among {k} rows)."
    )
    fix = (
        "Compare its numbers with the trial's report, look for what sets the trial apart, and show the pool without it"
    )
    evidence: dict[str, float | str] = {"effect": float(left.y[i]), "residual": float(left.residual[i]), "p": p}
    return Finding("outlying-effect", "warning", (place,), says, fix, evidence)


@rule(
    "influential-effect",
    yields_to=("outlying-effect", "implausible-effect", "sign-swapped", "se-as-sd", "sd-as-se", "heavy-row"),
    severity="information",
    title="single rows that move the pooled effect",
    why="A pooled effect that hangs on one trial is only as good as that trial. Readers should know which one it is.",
    cite="viechtbauer2010b",
)
def influential_effect(scene: Scene) -> Outcome:
    """Find rows whose distance of Cook is above its median in the pool by 6 interquartile ranges, and above 0.455.

    The distance is the squared move of the mean without the row over the variance of the mean; 0.455 is the median of
    chi-square on 1 df. Pools of 5 rows at least.
    """
    findings: list[Finding] = []
    passed: list[str] = []
    examined = 0
    for pool, left in zip(scene.pools, _left(scene), strict=True):
        if left.y.size < FEWEST:
            passed.append(f"{name_of(pool)} ({left.y.size})")
            continue
        examined += left.y.size
        low, middle, high = np.quantile(left.cook, (0.25, 0.5, 0.75))
        hits = np.flatnonzero((left.cook > middle + FENCE * (high - low)) & (left.cook > COOK))
        findings += [_influential(scene, pool, left, int(i)) for i in hits]
    return Outcome(tuple(findings), examined, _few(passed))


def _influential(scene: Scene, pool: Pooled, left: Left, i: int) -> Finding:
    """Word one row that moves the mean."""
    place = int(left.places[i])
    own, mean = (fixed(float(shown(pool, float(value)))) for value in (left.y[i], left.mean[i]))
    says = (
        f"{scene.label(place)}: no other row moves the mean of {name_of(pool)} nearly as much (distance of Cook "
        f"{significant(float(left.cook[i]), 2)}); its effect is {own}, the mean of the others {mean}."
    )
    fix = "Report the pool with and without it"
    evidence: dict[str, float | str] = {"cook": float(left.cook[i]), "mean_of_others": float(left.mean[i])}
    return Finding("influential-effect", "information", (place,), says, fix, evidence)


@rule(
    "heavy-row",
    severity="information",
    title="single rows with most of the weight",
    why="Where one row has nearly half of the weight, the pooled effect is not much more than that row's, and its "
    "numbers of people and SDs deserve a second look.",
    cite="higgins2024",
)
def heavy_row(scene: Scene) -> Outcome:
    """Find rows with more than 40% of the weight of their pool, as planned, and more than twice an equal share."""
    findings: list[Finding] = []
    examined = 0
    for pool, left in zip(scene.pools, _left(scene), strict=True):
        examined += left.y.size
        for i in np.flatnonzero((left.weight > SHARE) & (left.weight * left.y.size > TIMES)).tolist():
            place, percent = int(left.places[i]), fixed(100 * float(left.weight[i]), 0)
            says = f"{scene.label(place)}: has {percent}% of the weight of {left.y.size} rows in {name_of(pool)}."
            fix = "Check its n and SD or SE, and report the pool without it"
            evidence: dict[str, float | str] = {"weight": float(left.weight[i])}
            findings.append(Finding("heavy-row", "information", (place,), says, fix, evidence))
    return Outcome(tuple(findings), examined, () if examined else ("no effect can be pooled",))
