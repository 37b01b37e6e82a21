"""Changes from baseline and final scores: SMDs that mix them, and SDs of changes that cannot be."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.checks.findings import Cell, Change, Finding, Outcome, Proposal
from metaback.checks.mends import scaled_effect
from metaback.checks.quick_pools import name_of, own_sd
from metaback.checks.rounding import Digits, Ends, rounded, shared_decimals
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Pooled, Scene, groups, units
from metaback.checks.words import column_words
from metaback.numbers import as_given, fixed, significant

SAID_BY = ("standardiser", "score_type")  # who says of which scores an effect is, the better one first
NOTES = ("note", "notes", "comment", "comments", "remark", "remarks")
SPEAKS_OF_CHANGES = re.compile(r"(?<!no )(?<!not )\bchange[- ]?scores?\b|\bchanges? from baseline\b", re.IGNORECASE)
EXAMPLE_R = 0.75  # pre-post correlation at which the size of the matter is shown
FEWEST = 5  # rows of one outcome and instrument against which a row can be told to be changes
SMALL_MEAN, SMALL_SD = 1 / 3, 0.7  # of the median mean and SD: below both, scores look like changes
LEAST_SD = 0.2  # of the usual SD: below it a correlation above 0.98 would be needed, so units are likelier
ALIKE = float(np.log(2)) / 2  # median distance of ln SD from its median: beyond it the rows are of different scales
CLEAR_OF_ZERO = 1.5  # SDs that final scores must usually lie above 0 for that to mean something
SURE = 2.0  # standard errors below 0 from which a mean is negative
FLATTER = 0.5  # of the usual mean/SD: a row in other units keeps its ratio, one of changes does not
LOW_R, HIGH_R = 0.3, 0.99  # correlations of two measurements of the same people that are seldom met
PLAUSIBLE_R = 0.5  # what people's scores correlate at least; a low r must exclude it
ONE_SIDED = 1.6448536269514722  # standard normal quantile of 0.95
NARROW = 0.1  # width of the interval that rounding leaves a correlation, for it to be compared with others
SAME = 4  # rows with the very same correlation that are told
TRIPLES = (
    ("sd_pre_1", "sd_post_1", "sd_change_1", "n_1"),
    ("sd_pre_2", "sd_post_2", "sd_change_2", "n_2"),
    ("sd_1", "sd_2", "sd_change", "n"),
)


# Numbers of one study that are printed with the same decimals: SDs before and after, and SDs of changes.
PRINTED_ALIKE = (
    ("sd_pre_1", "sd_post_1", "sd_pre_2", "sd_post_2", "sd_1", "sd_2"),
    ("sd_change_1", "sd_change_2", "sd_change"),
)


# ---------------------------------------------------------------- two kinds of scores


@rule(
    "mixed-scores",
    severity="error",
    title="changes and final scores in one pool of standardised differences",
    why="The SD of changes is smaller than that of scores wherever people differ more from each other than from "
    "themselves. The same difference divided by it is larger, by 1/sqrt(2 (1 - r)): 1.4 times at a correlation of "
    "0.75, 2.2 at 0.9. A pool of both kinds mixes two scales.",
    cite="higgins2024 hopkins2024",
)
def mixed_scores(scene: Scene) -> Outcome:
    """Find SMDs of changes among SMDs of final scores.

    Stated (by score_type, by the standardiser, or because only means and SDs of changes are there): an error, unless
    mixed_scores says why. Inferred, a warning, among at least 5 rows of one outcome and instrument that lie 1.5 SDs or
    more from 0 in both arms of the median row: a row without a word on it with a mean 2 SE below 0; or with a mean
    below a third of the usual one, an SD of 0.2 to 0.7 of the usual, and mean/SD below half of the usual (a row in
    smaller units keeps its mean/SD). And rows without a word in those columns whose note speaks of change scores, a
    warning, where fewer than half of the rows do.
    """
    findings: list[Finding] = []
    passed: list[str] = []
    said = tuple((word or kind).casefold() for word, kind in zip(*map(scene.texts, SAID_BY), strict=True))
    brought = _brought(scene)
    unsaid, computed = np.zeros(scene.k, dtype=bool), np.zeros(scene.k, dtype=bool)
    examined = 0
    for pool in scene.pools:
        if not own_sd(pool):
            passed.append(f"{pool.measure} is not divided by an SD of each trial's own scores")
            continue
        kinds = _kinds(pool, said, brought)
        change = [i for i, kind in kinds.items() if kind == "change"]
        final = [i for i, kind in kinds.items() if kind == "final"]
        examined += len(kinds)
        if change and final and not scene.plan.mixed_scores:
            findings.append(_stated_finding(scene, pool, change, final))
        elif final and not scene.plan.mixed_scores:
            findings += _noted(scene, pool, final, said)
        computed[pool.places[pool.computed]] = True
        unsaid[[i for i in kinds if not change and not said[i]]] = True
    if unsaid.any():
        findings += _inferred(scene, unsaid, computed)
    return Outcome(tuple(findings), examined, tuple(dict.fromkeys(passed)))


def _brought(scene: Scene) -> tuple[str, ...]:
    """Return which kind of scores the numbers of each row are, if its effect is computed from them."""
    changes = np.isfinite(scene.numbers("mean_change_1"))
    other = np.isfinite(scene.numbers("mean_1")) | np.isfinite(scene.numbers("mean_post_1"))
    return tuple(np.select([other, changes], ["final", "change"], "").tolist())


def _kinds(pool: Pooled, said: tuple[str, ...], brought: tuple[str, ...]) -> dict[int, str]:
    """Return for each row with an effect whether it is of changes or final scores, "" where nobody says."""
    own = set(_list(pool.places[pool.computed]))
    found: dict[int, str] = {}
    for place in _list(pool.places[pool.estimable]):
        if said[place]:
            found[place] = "change" if "change" in said[place] or "gain" in said[place] else "final"
        else:
            found[place] = brought[place] if place in own else ""
    return found


def _list(places: Places) -> list[int]:
    """Return places as whole numbers."""
    return [int(place) for place in places]


def _as_final(scene: Scene, places: list[int], r: float) -> tuple[Change, ...]:
    """Return what divides the effects of some rows by SDs of scores: sd / sqrt(2 (1 - r)) for the SD of changes."""
    factor = float(np.sqrt(2 * (1 - r)))
    changes: list[Change] = []
    for place in places:
        stem = "sd" if np.isfinite(scene.numbers("mean_1")[place]) else "sd_change"
        sds = [float(scene.numbers(f"{stem}_{arm}")[place]) for arm in "12"]
        if np.isfinite(sds).all():
            changes += [Change(place, f"{stem}_{arm}", sd / factor) for arm, sd in zip("12", sds, strict=True)]
        else:
            changes += scaled_effect(scene, place, factor)
    return tuple(changes)


def _stated_finding(scene: Scene, pool: Pooled, change: list[int], final: list[int]) -> Finding:
    """Word a pool that is said to have both kinds."""
    changes = _as_final(scene, change, EXAMPLE_R)
    return Finding(
        rule="mixed-scores",
        severity="error",
        rows=tuple(change),
        says=f"{name_of(pool)}: {len(change)} rows ({scene.labels(change)}) are standardised differences of changes, "
        f"and {len(final)} of final scores; at a pre-post correlation of {EXAMPLE_R:g} the former are "
        f"{fixed(1 / float(np.sqrt(2 * (1 - EXAMPLE_R))))} times as large as they would be on the scale of the others.",
        fix="Pool the two kinds apart, give the SDs of scores for all rows, take MD where all use one instrument, or "
        "say why they may be mixed: mixed_scores='the reason'",
        evidence={"changes": float(len(change)), "final": float(len(final))},
        cells=tuple(Cell(place, "score_type") for place in change if scene.has("score_type")),
        proposals=(Proposal(f"changes standardised by SDs of scores, r = {EXAMPLE_R:g}", changes),) if changes else (),
    )


def _noted(scene: Scene, pool: Pooled, final: list[int], said: tuple[str, ...]) -> list[Finding]:
    """Find rows whose note speaks of change scores, in a pool of final scores."""
    notes = column_words(scene, *NOTES)
    rows = [i for i in final if notes and not said[i] and SPEAKS_OF_CHANGES.search(notes[i])]
    if not rows or 2 * len(rows) >= len(final):
        return []
    factor = fixed(1 / float(np.sqrt(2 * (1 - EXAMPLE_R))))
    finding = Finding(
        rule="mixed-scores",
        severity="warning",
        rows=tuple(rows),
        says=f"{scene.labels(rows)}: the note speaks of change scores, and the other {len(final) - len(rows)} rows of "
        f"{name_of(pool)} are read as final scores. Divided by SDs of changes, effects are {factor} times as large at "
        f"a pre-post correlation of {EXAMPLE_R:g}.",
        fix="Look into the report whether these are changes, and in which direction a change is counted; if so write "
        "'change' into a column score_type, and 'final' for the others",
        evidence={"changes": float(len(rows)), "final": float(len(final) - len(rows))},
        cells=tuple(Cell(i, f"{stem}_{arm}") for i in rows for stem in ("mean", "sd") for arm in "12"),
        proposals=(
            Proposal(
                f"read as changes, standardised by SDs of scores at r = {EXAMPLE_R:g}",
                _as_final(scene, rows, EXAMPLE_R),
            ),
        ),
    )
    return [finding]


def _inferred(scene: Scene, unsaid: Bools, computed: Bools) -> list[Finding]:
    """Find rows that look like changes among final scores."""
    means = np.stack([scene.numbers(f"mean_{arm}") for arm in "12"])
    mean, least = np.abs(means).max(axis=0), np.abs(means).min(axis=0)
    spreads, sizes = (np.stack([scene.numbers(f"{stem}_{arm}") for arm in "12"]) for stem in ("sd", "n"))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(sizes > 0, spreads / np.sqrt(sizes), 0.0)
    negative = (means + SURE * error).min(axis=0) < 0
    sd = (scene.numbers("sd_1") + scene.numbers("sd_2")) / 2
    found: list[Finding] = []
    usable = computed & np.isfinite(mean + sd) & (sd > 0)
    for _, places in groups(units(scene)):
        known = places[usable[places]]
        if known.size < FEWEST:
            continue
        usual_mean, usual_sd = float(np.median(mean[known])), float(np.median(sd[known]))
        ratio = mean[known] / sd[known]
        usual = float(np.median(ratio))
        spread = float(np.median(np.abs(np.log(sd[known]) - np.log(usual_sd))))
        small = (mean[known] < SMALL_MEAN * usual_mean) & (sd[known] < SMALL_SD * usual_sd)
        low = ((small & (ratio < FLATTER * usual)) | negative[known]) & (sd[known] > LEAST_SD * usual_sd)
        rows = _list(known[low & unsaid[known]])
        clear = float(np.median(least[known] / sd[known])) > CLEAR_OF_ZERO
        if rows and clear and spread < ALIKE and 2 * len(rows) < known.size:
            found.append(_inferred_finding(scene, rows, usual_mean, usual_sd))
    return found


def _inferred_finding(scene: Scene, rows: list[int], usual_mean: float, usual_sd: float) -> Finding:
    """Word rows that look like changes."""
    numbers = "; ".join(
        f"means {as_given(float(scene.numbers('mean_1')[i]))} and {as_given(float(scene.numbers('mean_2')[i]))}, SDs "
        f"{as_given(float(scene.numbers('sd_1')[i]))} and {as_given(float(scene.numbers('sd_2')[i]))}"
        for i in rows[:3]
    )
    verb = "looks" if len(rows) == 1 else "look"
    return Finding(
        rule="mixed-scores",
        severity="warning",
        rows=tuple(rows),
        says=f"{scene.labels(rows)} {verb} like changes from baseline among final scores: {numbers}, where a mean of "
        f"{significant(usual_mean)} and an SD of {significant(usual_sd)} are usual.",
        fix="Look into the report whether these are changes; if so write 'change' into a column score_type, and "
        "'final' for the others",
        evidence={"usual_mean": usual_mean, "usual_sd": usual_sd},
        cells=tuple(Cell(i, f"{stem}_{arm}") for i in rows for stem in ("mean", "sd") for arm in "12"),
        proposals=(
            Proposal(
                f"read as changes, standardised by SDs of scores at r = {EXAMPLE_R:g}",
                _as_final(scene, rows, EXAMPLE_R),
            ),
        ),
    )


# ---------------------------------------------------------------- SDs of changes


@dataclass(frozen=True, slots=True)
class _Implied:
    """Correlations that the SDs of one triple of columns imply, (k,): as printed, and what rounding leaves open.

    below, above: no numbers that are printed so give a correlation of at least -1, or of at most 1.
    """

    roles: tuple[str, str, str, str]
    r: Floats
    low: Floats
    high: Floats
    below: Bools
    above: Bools


@rule(
    "impossible-change-sd",
    severity="error",
    title="SDs of changes that do not fit the SDs before and after",
    why="The SDs of the same people before and after and that of their changes fix the correlation of both "
    "measurements. Where it would lie beyond 1 or -1 one of the three is wrong, often an SE in the place of the SD of "
    "changes. A "
    "wrong SD of changes goes straight into the weight and the size of a standardised effect.",
    needs=[" ".join(triple[:3]) for triple in TRIPLES],
    cite="higgins2024",
)
def impossible_change_sd(scene: Scene) -> Outcome:
    """Solve r = (s0^2 + s1^2 - sc^2) / (2 s0 s1) and judge it.

    An error where no numbers that round to the printed ones have s0 + s1 >= sc (r >= -1) or |s0 - s1| <= sc (r <= 1). A
    warning where all of them have r > 0.99; or r < 0.3 while the upper limit of r (Fisher's z, one-sided 95%) stays
    below 0.5. Information where at least 4 rows have the very same r: it was assumed, and one number does not know how
    certain it is.
    """
    around, changes = (shared_decimals(scene, *names) for names in PRINTED_ALIKE)
    found = [_implied(scene, triple, around, changes) for triple in TRIPLES if scene.has(*triple[:3])]
    findings: list[Finding] = []
    for one in found:
        findings += [_impossible(scene, one, place) for place in np.flatnonzero(one.below | one.above).tolist()]
        sure = ~(one.below | one.above) & np.isfinite(one.r)
        strange = sure & ((one.low > HIGH_R) | _too_low(scene, one))
        findings += [_unusual(scene, one, place) for place in np.flatnonzero(strange).tolist()]
    same = _one_for_all(scene, found)
    return Outcome((*findings, *same), int(np.any([np.isfinite(one.r) for one in found], axis=0).sum()))


def _implied(scene: Scene, roles: tuple[str, str, str, str], around: Digits, changes: Digits) -> _Implied:
    """Return the correlations that one triple of SDs implies, with the room that rounding leaves."""
    before, after, change = (scene.numbers(role) for role in roles[:3])
    a, b = (rounded(values, around, at_least=0) for values in (before, after))
    c = rounded(change, changes, at_least=0)
    known = np.isfinite(before + after + change) & (before > 0) & (after > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(known, (before**2 + after**2 - change**2) / (2 * before * after), np.nan)
        corners = [_r(x, y, z) for x in _both(a) for y in _both(b) for z in _both(c)]
        least = np.maximum(np.maximum(a.low - b.high, b.low - a.high), 0)
        below, above = known & (c.low > a.high + b.high), known & (c.high < least)
    return _Implied(roles, r, np.fmin.reduce([r, *corners]), np.fmax.reduce([r, *corners]), below, above)


def _both(ends: Ends) -> tuple[Floats, Floats]:
    return ends.low, ends.high


def _r(a: Floats, b: Floats, c: Floats) -> Floats:
    """Return the correlation of three SDs, -1 or 1 where they allow none."""
    safe = np.where((a > 0) & (b > 0), 2 * a * b, np.nan)
    return np.clip((a**2 + b**2 - c**2) / safe, -1, 1)


def _too_low(scene: Scene, one: _Implied) -> Bools:
    """Tell correlations that are below 0.3, and not for want of people."""
    n = scene.numbers(one.roles[3])
    with np.errstate(divide="ignore", invalid="ignore"):
        upper = np.tanh(np.arctanh(np.clip(one.high, -1, 1)) + np.where(n > 3, ONE_SIDED / np.sqrt(n - 3), np.inf))
    upper = np.where(np.isnan(n), one.high, upper)
    return (one.high < LOW_R) & (upper < PLAUSIBLE_R)


def _sds(scene: Scene, one: _Implied, place: int) -> str:
    """Write the three SDs of a row."""
    before, after, change = (as_given(float(scene.numbers(role)[place])) for role in one.roles[:3])
    arm = {"sd_change_1": " of arm 1", "sd_change_2": " of arm 2"}.get(one.roles[2], "")
    return f"SDs{arm} of {before} before and {after} after and of {change} for the changes"


def _mended(scene: Scene, one: _Implied, place: int) -> tuple[Proposal, ...]:
    """Return what the SD of changes may be: an SE that was taken for it, else that of the usual correlation."""
    before, after, change, n = (float(scene.numbers(role)[place]) for role in one.roles)
    found: list[Proposal] = []
    spread = change * np.sqrt(n)
    if not one.below[place] and abs(before - after) < spread and before**2 + after**2 - spread**2 > 0:
        found.append(Proposal("SE of the changes turned into an SD", (Change(place, one.roles[2], float(spread)),)))
    sure = one.r[np.isfinite(one.r) & (one.r > LOW_R) & (one.r < HIGH_R)]
    r = float(np.median(sure)) if sure.size else EXAMPLE_R
    value = float(np.sqrt(before**2 + after**2 - 2 * r * before * after))
    return (*found, Proposal(f"SD of the changes at r = {significant(r, 2)}", (Change(place, one.roles[2], value),)))


def _impossible(scene: Scene, one: _Implied, place: int) -> Finding:
    """Word one row whose SDs cannot belong together."""
    before, after = (float(scene.numbers(role)[place]) for role in one.roles[:2])
    low, high = (significant(value) for value in (abs(before - after), before + after))
    return Finding(
        rule="impossible-change-sd",
        severity="error",
        rows=(place,),
        says=f"{scene.label(place)}: {_sds(scene, one, place)} cannot be of the same people: the SD of changes must "
        f"lie between {low} and {high} (it implies a correlation of {fixed(float(one.r[place]))}).",
        fix="Look into the report whether the SD of changes is an SE, or one of the SDs is of other people (people "
        "who left, another time)",
        evidence={"r": float(one.r[place])},
        cells=tuple(Cell(place, role) for role in one.roles[:3]),
        proposals=_mended(scene, one, place),
    )


def _unusual(scene: Scene, one: _Implied, place: int) -> Finding:
    """Word one row whose SDs imply a correlation that is seldom met."""
    r = float(one.r[place])
    return Finding(
        rule="impossible-change-sd",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: {_sds(scene, one, place)} imply a pre-post correlation of {significant(r)}, "
        f"{'higher' if r > HIGH_R else 'lower'} than two measurements of the same people usually have.",
        fix="Look into the report whether the SD of changes is an SD, and of the same people and times as the other "
        "two",
        evidence={"r": r},
        cells=tuple(Cell(place, role) for role in one.roles[:3]),
        proposals=_mended(scene, one, place),
    )


def _one_for_all(scene: Scene, found: list[_Implied]) -> list[Finding]:
    """Find one correlation that serves all rows: stated, or behind their SDs of changes."""
    for stem in ("r", "r_1", "r_2"):
        values = scene.numbers(stem)
        known = np.flatnonzero(np.isfinite(values))
        if (
            stem in scene.trials.roles
            and known.size >= SAME
            and len(set(values[known].tolist())) == 1
            and _pre_post(scene)
        ):
            return [_same_finding(known, float(values[known[0]]), f"column {scene.column(stem)} has")]
    for one in found:
        narrow = np.isfinite(one.r) & (one.high - one.low < NARROW) & ~(one.below | one.above)
        rows = np.flatnonzero(narrow)
        if rows.size >= SAME and one.low[rows].max() <= one.high[rows].min():
            return [_same_finding(rows, float(np.median(one.r[rows])), "the SDs of changes imply")]
    return []


def _pre_post(scene: Scene) -> bool:
    """Tell whether correlations of the table are those of two measurements."""
    return any(scene.has(role) for role in ("mean_pre_1", "sd_pre_1", "sd_change_1", "mean_change_1"))


def _same_finding(rows: NDArray[np.intp], r: float, words: str) -> Finding:
    """Word a correlation that all rows share."""
    return Finding(
        rule="impossible-change-sd",
        severity="information",
        rows=tuple(int(i) for i in rows),
        says=f"{words} one and the same pre-post correlation of {significant(r, 2)} in {rows.size} rows; it looks "
        "assumed.",
        fix="Say in the report where it is from, and pool under others too: r=0.7 with r_grid=(0.3, 0.5, 0.7, 0.9)",
        evidence={"r": r, "rows": float(rows.size)},
        whole=True,
    )
