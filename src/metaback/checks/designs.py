"""How trials were done against how they are analysed: no control arm, cross-over trials, groups that began apart."""

from __future__ import annotations

import re

import numpy as np

from metaback.checks.findings import Cell, Change, Finding, Outcome, Proposal
from metaback.checks.quick_pools import name_of
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Pooled, Scene
from metaback.checks.words import column_words
from metaback.numbers import as_given, fixed, p_phrase, significant
from metaback.stats.inference import two_sided_p
from metaback.stats.measures import about

DESIGNS = ("design", "study_design", "trial_design", "design_type")
SINGLE = re.compile(r"single.?(?:arm|group)|one.?(?:arm|group)|uncontrolled|within.?group|pre.?post|before.?after")
CONTROLLED = re.compile(r"\brct|(?<!un)(?<!non)(?<!non-)controlled|control group|parallel|cross.?over", re.IGNORECASE)
CROSSED = re.compile(r"cross.?over", re.IGNORECASE)
BEFORE = re.compile(r"(?:baseline|before|pre|pre.?(?:test|treatment|intervention|training))", re.IGNORECASE)
CORRELATIONS = (0.3, 0.5, 0.7)  # between the periods of a cross-over trial, to show what is at stake
PARALLEL = 0.15  # relative: how near a ready-made variance must be to that of two separate groups
IMBALANCE = 0.5  # standardised difference at baseline that is worth a look
SURPRISING = 0.05  # chance, over all rows with a baseline, of the least likely imbalance
COVARIATE = 0.5  # correlation of baseline and outcome that is taken where the table has none


def designs(scene: Scene) -> tuple[str, ...]:
    """Return what the table says about the design of each row, in small letters, (k,), "" where nothing."""
    found = column_words(scene, *DESIGNS)
    return tuple(text.casefold() for text in found) if found else ("",) * scene.k


# ---------------------------------------------------------------- effects within groups


@rule(
    "within-group",
    severity="error",
    title="changes within a group in the place of differences between groups",
    why="The change of one group from before to after holds everything that happens with time: natural recovery, "
    "regression to the mean, practice, placebo. Only the difference from a control group is the effect of the "
    "treatment; pooled changes make almost any treatment look effective.",
    cite="kadlec2023 cuijpers2017",
)
def within_group(scene: Scene) -> Outcome:
    """Find pools of changes within one group, and rows of one group among rows of two.

    An error where the measure compares two measurements of one group (MC, SMCC, SMCR, ROMC ...) and the table has
    numbers of a control arm; a warning where it has none, unless the rows name two treatments or a cross-over design,
    for then the two measurements are of two treatments. An error where a column of designs says that some rows of a
    pool have a single group and others a control group; a warning where some rows have numbers of people of arm 1 only
    and others of both, beside ready-made effects.
    """
    words = designs(scene)
    sizes = (scene.numbers("n_1"), scene.numbers("n_2"))
    findings: list[Finding] = []
    examined = 0
    for pool in scene.pools:
        examined += int(pool.estimable.sum())
        if about(pool.measure).kind == "paired means":
            found = _paired(scene, pool, words)
        else:
            found = _single_arms(scene, pool, words, sizes)
        findings += [found] if found else []
    return Outcome(tuple(findings), examined)


def _paired(scene: Scene, pool: Pooled, words: tuple[str, ...]) -> Finding | None:
    """Judge a pool whose measure compares two measurements of one group."""
    places = tuple(int(place) for place in pool.places[pool.estimable])
    control = [role for role in ("n_2", "mean_post_2", "mean_change_2", "mean_pre_2") if _any(scene, role, places)]
    named = [i for i in places if _two_treatments(scene, i) or CROSSED.search(words[i])]
    if not places or (not control and len(named) == len(places)):
        return None
    if control:
        columns = ", ".join(scene.column(role) for role in control)
        says = (
            f"{name_of(pool)}: {pool.measure} compares two measurements of one group, and the table has numbers of a "
            f"control arm ({columns}) that it leaves out."
        )
        fix = "Take a measure of two groups: SMD or MD of final scores or changes, or DPPC2 with means before and after"
    else:
        says = (
            f"{name_of(pool)}: all {len(places)} effects are {pool.measure}, of two measurements of one group, and no "
            "column names a control arm; if the two are before and after, the pooled change is not an effect of the "
            "treatment."
        )
        fix = (
            "Extract the control arms and pool differences between groups, or say in the report that these are changes"
        )
    return Finding(
        rule="within-group",
        severity="error" if control else "warning",
        rows=places,
        says=says,
        fix=fix,
        evidence={"rows": float(len(places)), "measure": pool.measure},
        whole=True,
    )


def _any(scene: Scene, role: str, places: tuple[int, ...]) -> bool:
    """Tell whether any of some rows has a number."""
    return bool(np.isfinite(scene.numbers(role)[list(places)]).any())


def _two_treatments(scene: Scene, place: int) -> bool:
    """Tell whether a row names two treatments, the second of which is not just the time before the first."""
    one, two = (scene.texts(f"treatment_{arm}")[place].strip() for arm in "12")
    return bool(one and two) and not BEFORE.fullmatch(two) and not BEFORE.fullmatch(one)


def _single_arms(scene: Scene, pool: Pooled, words: tuple[str, ...], sizes: tuple[Floats, Floats]) -> Finding | None:
    """Find rows of one group in a pool of comparisons."""
    places = [int(place) for place in pool.places[pool.estimable]]
    single = [i for i in places if SINGLE.search(words[i]) and not CONTROLLED.search(words[i])]
    both = [i for i in places if words[i] and i not in single]
    if single and both:
        return _mixed(scene, pool, single, "error", "are said to have a single group")
    brought = {int(place) for place in pool.places[pool.estimable & ~pool.computed]}
    alone = [i for i in brought if np.isfinite(sizes[0][i]) and np.isnan(sizes[1][i])]
    full = [i for i in places if np.isfinite(sizes[0][i] + sizes[1][i])]
    if alone and len(full) > len(alone):
        return _mixed(scene, pool, sorted(alone), "warning", "have people in arm 1 only")
    return None


def _mixed(scene: Scene, pool: Pooled, rows: list[int], severity: str, words: str) -> Finding:
    """Word rows of one group among rows of two."""
    return Finding(
        rule="within-group",
        severity="error" if severity == "error" else "warning",
        rows=tuple(rows),
        says=f"{name_of(pool)}: {len(rows)} of {int(pool.estimable.sum())} rows ({scene.labels(rows)}) {words} and are "
        "pooled with comparisons of two groups.",
        fix="Pool trials with a control group alone, and tell the change within single groups apart",
        evidence={"rows": float(len(rows))},
    )


# ---------------------------------------------------------------- cross-over trials


@rule(
    "crossover-as-parallel",
    severity="warning",
    title="cross-over trials analysed as if two groups had been compared",
    why="In a cross-over trial the same people have both treatments, so that much of the difference between people "
    "drops out. Analysed as two separate groups its variance is too large, by 1 / (1 - r) with the correlation r of "
    "both "
    "periods, and the trial has too little weight; and its people may be counted twice.",
    cite="elbourne2002 lathyris2007",
)
def crossover_as_parallel(scene: Scene) -> Outcome:
    """Find rows that a column of designs calls cross-over and whose variance is that of two separate groups.

    Rows computed from means and SDs by a measure of two groups have it by construction; a ready-made SMD has it where
    its variance is within 15% of 1/n1 + 1/n2 + d^2 / (2 (n1 + n2)). The proposals divide by what pairing would save:
    v - 2 r sd1 sd2 / n for MD with n people, v (1 - r) else, for r = 0.3, 0.5 and 0.7.
    """
    words = designs(scene)
    crossed = np.array([bool(CROSSED.search(text)) for text in words], dtype=bool)
    if not crossed.any():
        return Outcome(passed_over=("no column design (or study_design) that says which trials are cross-over",))
    findings: list[Finding] = []
    passed: list[str] = []
    examined = 0
    for pool in scene.pools:
        rows = crossed[pool.places] & pool.estimable
        if not rows.any() or about(pool.measure).kind != "means" or about(pool.measure).turn != "sign":
            continue
        plain = pool.computed | _like_parallel(scene, pool)
        examined += int(rows.sum())
        silent = rows & ~pool.computed & np.isnan(_sizes(scene, pool))
        if silent.any():
            passed.append(f"{name_of(pool)}: {int(silent.sum())} cross-over rows without numbers of people")
        if (rows & plain).any():
            findings.append(_crossed(scene, pool, rows & plain))
    return Outcome(tuple(findings), examined, tuple(passed))


def _sizes(scene: Scene, pool: Pooled) -> Floats:
    """Return 1/n1 + 1/n2 of the rows of a pool, (m,)."""
    with np.errstate(divide="ignore"):
        return (1 / scene.numbers("n_1") + 1 / scene.numbers("n_2"))[pool.places]


def _like_parallel(scene: Scene, pool: Pooled) -> Bools:
    """Tell which ready-made standardised differences have the variance of two separate groups, (m,)."""
    if not about(pool.measure).standardiser:
        return np.zeros(pool.places.size, dtype=bool)
    total = (scene.numbers("n_1") + scene.numbers("n_2"))[pool.places]
    with np.errstate(invalid="ignore"):
        usual = _sizes(scene, pool) + pool.yi**2 / (2 * total)
        return np.abs(pool.vi / usual - 1) < PARALLEL


def _crossed(scene: Scene, pool: Pooled, rows: Bools) -> Finding:
    """Word the cross-over rows of one pool."""
    spots = np.flatnonzero(rows)
    places = tuple(int(pool.places[spot]) for spot in spots)
    saved = ", ".join(f"{fixed(float(np.sqrt(1 - r)))} (r = {r:g})" for r in CORRELATIONS)
    proposals = tuple(
        Proposal(
            f"as paired data with r = {r:g}", tuple(c for spot in spots for c in _paired_row(scene, pool, int(spot), r))
        )
        for r in CORRELATIONS
    )
    one = len(places) == 1
    return Finding(
        rule="crossover-as-parallel",
        severity="warning",
        rows=places,
        says=f"{scene.labels(places)}: {'a cross-over trial enters' if one else 'cross-over trials enter'} with the "
        f"variance of two separate groups; as paired data the standard error would be about {saved} times as large.",
        fix="Take the standard error of the difference within people (or t or P of the paired test) from the report, "
        "into yi and sei; if the numbers are of the first period only, the variance is right: accept the finding",
        evidence={"rows": float(len(places))},
        cells=tuple(Cell(place, role) for place in places for role in ("n_1", "n_2") if scene.has(role)),
        proposals=proposals,
    )


def _paired_row(scene: Scene, pool: Pooled, spot: int, r: float) -> tuple[Change, ...]:
    """Return the changes that make a row enter as an effect with the variance of paired data."""
    place = int(pool.places[spot])
    y = -float(pool.yi[spot]) if pool.turned[spot] else float(pool.yi[spot])
    v = float(pool.vi[spot])
    sd_1, sd_2, n_1, n_2 = (float(scene.numbers(role)[place]) for role in ("sd_1", "sd_2", "n_1", "n_2"))
    exact = pool.measure == "MD" and np.isfinite(sd_1 + sd_2 + n_1 + n_2)
    paired = v - 2 * r * sd_1 * sd_2 * 2 / (n_1 + n_2) if exact else v * (1 - r)
    numbers = ("mean_1", "mean_2", "mean_post_1", "mean_post_2", "mean_change_1", "mean_change_2", "sei")
    blank = tuple(Change(place, role, np.nan) for role in numbers if scene.has(role))
    return (*blank, Change(place, "yi", y), Change(place, "vi", paired)) if paired > 0 else ()


# ---------------------------------------------------------------- baseline


@rule(
    "baseline-imbalance",
    severity="warning",
    title="groups that began apart",
    why="In small trials the groups can differ before anything is done, by chance or because the allocation was not "
    "random. Final scores carry that difference on: an effect of final scores then holds what was there at the start.",
    needs=["mean_pre_1 sd_pre_1 mean_pre_2 sd_pre_2 n_1 n_2"],
    cite="vickers2001 higgins2024",
)
def baseline_imbalance(scene: Scene) -> Outcome:
    """Find rows of final scores whose groups differ at baseline by more than half an SD.

    d = (m1 - m2) / s with the pooled SD of both arms at baseline, P of Student's t. A warning for |d| > 0.5 where P
    times the number of rows with a baseline is below 0.05, which random allocation seldom gives; the other rows with
    |d| > 0.5 are told together, as information, with how often chance gives so much in trials of their size.
    """
    m1, s1, m2, s2, n1, n2 = (
        scene.numbers(role) for role in ("mean_pre_1", "sd_pre_1", "mean_pre_2", "sd_pre_2", "n_1", "n_2")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        df = n1 + n2 - 2
        spread = np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df)
        d = np.where((spread > 0) & (df > 0), (m1 - m2) / spread, np.nan)
        p = two_sided_p(d / np.sqrt(1 / n1 + 1 / n2), df)
        chance = two_sided_p(IMBALANCE / np.sqrt(1 / n1 + 1 / n2), df)
    kept = np.zeros(scene.k, dtype=bool)
    for pool in scene.pools:
        if about(pool.measure).kind == "means" and not pool.measure.startswith(("MDA", "SMDA")):
            kept[pool.places[pool.computed]] = True
    known = kept & np.isfinite(d) & ~np.isfinite(scene.numbers("mean_change_1"))
    with np.errstate(invalid="ignore"):
        apart = known & (np.abs(d) > IMBALANCE)
        odd = apart & (p * max(int(known.sum()), 1) < SURPRISING)
    findings = [_began_apart(scene, int(i), float(d[i]), float(p[i])) for i in np.flatnonzero(odd)]
    usual = np.flatnonzero(apart & ~odd)
    if usual.size:
        findings.append(_by_chance(scene, usual.tolist(), d, chance))
    examined = int(known.sum())
    return Outcome(
        tuple(findings), examined, () if examined else ("no row of final scores has a baseline of both arms",)
    )


def _began_apart(scene: Scene, place: int, d: float, p: float) -> Finding:
    """Word one row with a baseline that chance hardly gives."""
    sizes = " and ".join(as_given(float(scene.numbers(f"n_{arm}")[place])) for arm in "12")
    changes, r = _adjusted(scene, place)
    roles = ("mean_pre_1", "mean_pre_2")
    return Finding(
        rule="baseline-imbalance",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: before treatment the groups of {sizes} people differ by {fixed(d)} SD "
        f"({p_phrase(p)}), which random allocation seldom gives.",
        fix="Check the baseline in the report and whether the allocation was random; take the difference adjusted for "
        "the baseline (MDA, SMDA), changes, or DPPC2",
        evidence={"d": d, "p": p},
        cells=tuple(Cell(place, role) for role in roles),
        proposals=(Proposal(f"final means adjusted for the baseline with r = {significant(r, 2)}", changes),)
        if changes
        else (),
    )


def _adjusted(scene: Scene, place: int) -> tuple[tuple[Change, ...], float]:
    """Return the final mean of arm 1 less what its start explains: r sd_post / sd_pre times the start's difference."""
    stem = "mean_post" if np.isfinite(scene.numbers("mean_post_1")[place]) else "mean"
    after = "sd_post" if stem == "mean_post" else "sd"
    stated = [float(scene.numbers(role)[place]) for role in ("r_covariate", "r_1", "r_2", "r")]
    r = next((value for value in stated if np.isfinite(value)), COVARIATE)
    ratio = np.mean([scene.numbers(f"{after}_{a}")[place] / scene.numbers(f"sd_pre_{a}")[place] for a in "12"])
    start = scene.numbers("mean_pre_1")[place] - scene.numbers("mean_pre_2")[place]
    value = float(scene.numbers(f"{stem}_1")[place] - r * ratio * start)
    return ((Change(place, f"{stem}_1", value),) if np.isfinite(value) else ()), r


def _by_chance(scene: Scene, places: list[int], d: Floats, chance: Floats) -> Finding:
    """Word the rows whose groups differ by no more than small numbers explain."""
    worst = max(places, key=lambda place: abs(d[place]))
    share = fixed(100 * float(chance[worst]), 0)
    listed = "one row has" if len(places) == 1 else f"{len(places)} rows have"
    return Finding(
        rule="baseline-imbalance",
        severity="information",
        rows=tuple(places),
        says=f"{listed} groups that differ by more than half an SD before treatment ({scene.labels(places)}; most in "
        f"{scene.label(worst)}, {fixed(float(d[worst]))} SD); chance alone does this in {share}% of trials of that "
        "size.",
        fix="Pool effects adjusted for the baseline (MDA, SMDA), changes or DPPC2 beside the final scores",
        evidence={"rows": float(len(places)), "largest_d": float(d[worst]), "chance": float(chance[worst])},
    )
