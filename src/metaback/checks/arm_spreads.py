"""Standard deviations by themselves: two arms that differ, none at all, more than a scale allows, copied ones."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaback.checks.findings import Cell, Change, Finding, Outcome, Proposal, Severity
from metaback.checks.intervals import LISTED
from metaback.checks.rounding import printed
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Scene, groups, units
from metaback.checks.spreads import CHANGE, FEWEST, Spread, row_spreads
from metaback.numbers import as_given, p_phrase, significant
from metaback.stats.coincidences import expected_shared_pairs
from metaback.stats.same_arms import decimals
from metaback.stats.spreads import largest_sd, variance_ratio_p

RATIO = 2.0  # of two SDs of a trial, below which nobody need look, however many people there are
RARE = 1e-3  # P value of the F test: one row in a thousand of normal data with equal SDs
USUAL = 3 * 1.4826  # times the median of absolute values: three standard deviations of a normal distribution
SAME = float(np.log(1.5))  # factors nearer than this explain each other
TELLING = 5  # significant digits of an SD from which two are not the same multiple of their means by chance
FACTOR = 3.0  # from which on a ratio that is sqrt(n) is not put down to skew
ROWS_OF_STUDY = "rows of study"  # name in the memo of the scene
INSIDE = 0.1  # of the width of a scale that a mean must lie inside for a bound of scores to be one of changes, too
REPEATS = 3  # studies that share two SDs to the last digit
# The product of two SDs in units of their last digits (12.4 and 13.1 give 124 x 131) from which a pair is rare: of half
# as large a range each there are 625 pairs, of which three among 20 trials agree in fewer than one table in 100.
DISTINCT = 2500
BY_CHANCE = 0.01  # expected number of such sets from which chance is a reason
SUMMARIES = (("mean", "sd", ""), ("mean_pre", "sd_pre", " before"), ("mean_post", "sd_post", " after"))


@rule(
    "arm-sds-differ",
    severity="warning",
    title="two arms of a trial with very different standard deviations",
    why="People who were put into two groups by chance have about the same spread. Where one SD is several times the "
    "other, one of them may be a standard error, a slip of the decimal point, or the SD of something else; a "
    "standardised difference divides by a mixture of the two.",
    needs=("n_1 sd_1 n_2 sd_2",),
    cite="gotzsche2007 higgins2024",
)
def arm_sds_differ(scene: Scene) -> Outcome:
    """Find rows whose SDs differ by a factor above 2 with P < 0.001 in the F test of equal variances.

    Small arms need larger factors by the test itself: 3.9 for two arms of 8 people, 2.1 for two of 25. Rounding: the
    larger SD is taken at its lower and the smaller at its upper end. Skew: SDs of skewed scores rise with their means
    and vary more. Where both means are positive the factor is that of the SDs or that of the coefficients of variation,
    whichever is nearer to 1, and the degrees of freedom are divided by 1 + 3 c^2, which is what the kurtosis 3 + 6 c^2
    of a gamma distribution with the coefficient of variation c (at most 1) does to the variance of ln SD. That
    allowance falls away where the smaller SD times sqrt(n) is the larger one within a factor of 1.5 and the SDs differ
    by a factor of 3: skew does not choose the square root of n. Where four rows of the same outcome and instrument are
    there, ln of the factor must also be above 3 x 1.4826 times its median over them: on some outcomes arms differ in
    every trial. Rows of which `sd-beyond-scale` names an SD are left to it. An SD of five digits or more that is the
    same multiple of its mean as in another row of the study was made from the mean (imputed); then no SE is suspected.
    """
    spread = row_spreads(scene)
    usable = spread.given & (spread.sd > 0) & (spread.n > 1)
    given = usable.sum(axis=1) == usable.shape[1]
    if not given.any():
        return Outcome(passed_over=("no row has the SDs and numbers of both arms",))
    ratio, small = _factors(scene, spread, given)
    with np.errstate(divide="ignore", invalid="ignore"):
        as_se = (ratio > FACTOR) & (np.abs(np.log(np.sqrt(small) / ratio)) < SAME)
        tested = np.where(as_se, ratio, np.minimum(ratio, _of_variation(scene, ratio, spread.sd)))
    df = (spread.n - 1) / np.where(as_se, 1.0, _for_skew(scene, spread.sd))[:, None]
    df = np.where((spread.sd[:, 0] > spread.sd[:, 1])[:, None], df, df[:, ::-1])
    p = variance_ratio_p(tested, df[:, 0], np.ones_like(tested), df[:, 1])
    hits = np.flatnonzero((tested > RATIO) & (p < RARE))
    usual = _usual_factors(scene, ratio) if hits.size else ratio
    hits = hits[np.log(tested[hits]) > USUAL * usual[hits]]
    told = {place for finding in sd_beyond_scale(scene).findings for place in finding.rows} if hits.size else set[int]()
    found = [_differ(scene, int(i), float(p[i])) for i in hits if int(i) not in told]
    return Outcome(tuple(found), int(given.sum()))


def _factors(scene: Scene, spread: Spread, given: Bools) -> tuple[Floats, Floats]:
    """Return the factor between the SDs of both arms, and the size of the arm with the smaller one, both (k,).

    The factor is the least that rounding allows: nan where an SD lacks, at most 1 where rounding explains it.
    """
    ends = printed(scene, "sd_1", "sd_2")
    first = spread.sd[:, 0] > spread.sd[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(first, ends["sd_1"].low / ends["sd_2"].high, ends["sd_2"].low / ends["sd_1"].high)
    return np.where(given, ratio, np.nan), np.where(first, spread.n[:, 1], spread.n[:, 0])


def _usual_factors(scene: Scene, ratio: Floats) -> Floats:
    """Return the median of ln of the factor over the rows of the same unit, (k,); 0 where there are fewer than four."""
    found = np.zeros(scene.k)
    for _, places in groups(units(scene)):
        own = ratio[places][np.isfinite(ratio[places])]
        if own.size >= FEWEST:
            found[places] = float(np.median(np.log(np.maximum(own, 1.0))))
    return found


def _of_variation(scene: Scene, ratio: Floats, sd: Floats) -> Floats:
    """Return the factor between the coefficients of variation, (k,); that of the SDs where a mean is not positive."""
    one, two = scene.numbers("mean_1"), scene.numbers("mean_2")
    by_means = np.where(sd[:, 0] > sd[:, 1], two / one, one / two)
    return np.where((one > 0) & (two > 0), np.maximum(ratio * by_means, 1 / (ratio * by_means)), ratio)


def _for_skew(scene: Scene, sd: Floats) -> Floats:
    """Return by how much skew may widen the variance of ln SD, (k,): 1 + 3 c^2, and 1 where a mean is not positive."""
    means = np.column_stack([scene.numbers("mean_1"), scene.numbers("mean_2")])
    positive = (means > 0).all(axis=1)
    squared = (sd * sd).sum(axis=1) / np.where(positive, (means * means).sum(axis=1), 1.0)
    return np.where(positive, 1 + 3 * np.minimum(squared, 1.0), 1.0)


def _differ(scene: Scene, place: int, p: float) -> Finding:
    """Word one row with two very different SDs."""
    n, mean, sd = ([float(scene.numbers(f"{stem}_{arm}")[place]) for arm in "12"] for stem in ("n", "mean", "sd"))
    small = int(sd[1] < sd[0])
    ratio = sd[1 - small] / sd[small]
    as_sd = sd[small] * n[small] ** 0.5
    skewed = min(mean) > 0 and abs(np.log(mean[1 - small] / mean[small]) - np.log(ratio)) < SAME
    is_se = abs(np.log(as_sd / sd[1 - small])) < SAME
    says = (
        f"{scene.label(place)}: the SDs of the arms, {as_given(_short(sd[0]))} and {as_given(_short(sd[1]))}, differ "
        f"by a factor of {significant(ratio, 2)}, which chance hardly does with {n[0]:g} and {n[1]:g} people (F test, "
        f"{p_phrase(p)})."
    )
    proposals: tuple[Proposal, ...] = ()
    fix = "Compare both SDs with the trial's report: SE or SD, decimal point, derived or imputed numbers"
    if made := _from_means(scene, place):
        says += made
        fix = "Take the SDs of the trial's report; an SD that was made from a mean does not know how people differed"
    elif is_se:
        says += f" Read as a standard error the smaller one would be an SD of {significant(as_sd)}, near the larger."
        change = Change(place, f"sd_{small + 1}", as_sd)
        proposals = (Proposal("the smaller SD taken for an SE", (change,)),)
    if skewed and not made:
        says += (
            " The means differ by about the same factor, as they do where scores are skewed or near an end of a scale."
        )
    cells = (Cell(place, "sd_1"), Cell(place, "sd_2"))
    return Finding("arm-sds-differ", "warning", (place,), says, fix, {"ratio": ratio, "p": p}, cells, proposals)


def _from_means(scene: Scene, place: int) -> str:
    """Say which SD of a row is, to its last digit, the same multiple of its mean as in another row of its study."""
    if ROWS_OF_STUDY not in scene.memo:
        scene.memo[ROWS_OF_STUDY] = {values[0]: places.tolist() for values, places in groups(scene.texts("study"))}
    study = scene.texts("study")[place].strip().casefold()
    mates = [i for i in scene.memo[ROWS_OF_STUDY][study] if i != place and study]
    own = np.array([place, *mates], dtype=np.intp)
    for arm in "12":
        mean, sd = scene.numbers(f"mean_{arm}")[own], scene.numbers(f"sd_{arm}")[own]
        with np.errstate(divide="ignore", invalid="ignore"):
            multiple, slack = sd / mean, 0.5 * 10.0 ** -decimals(sd) / sd
            near = np.abs(multiple / multiple[0] - 1) <= slack + slack[0]
        telling = np.array([sum(map(str.isdigit, as_given(value).lstrip("0."))) for value in sd.tolist()]) >= TELLING
        same = np.flatnonzero(near & telling & (mean > 0) & (mean != mean[0]))
        if same.size and telling[0]:
            return (
                f" The SD of arm {arm} is {significant(float(multiple[0]), 6)} times its mean, as in "
                f"{scene.label(int(own[same[0]]))}: it was made from the mean, not from people's scores."
            )
    return ""


def _short(value: float) -> float:
    """Round a number of a table to four significant digits, for a sentence."""
    return float(f"{value:.4g}")


@dataclass(frozen=True, slots=True)
class _Summary:
    """One mean with its SD and size in each row: names of the roles, and words that follow an arm's name."""

    mean: str
    sd: str
    n: str
    words: str


def _summaries(scene: Scene, *, means: bool) -> list[_Summary]:
    """Return the summaries that a table has: of both arms before, after and as such, or of one group."""
    found: list[_Summary] = []
    for mean, sd, words in SUMMARIES:
        for end in ("_1", "_2", "") if mean == "mean" else ("_1", "_2"):
            if scene.has(sd + end, f"n{end}") and (scene.has(mean + end) or not means):
                arm = f"arm {end[1]}{words}" if end else "the group"
                found.append(_Summary(mean + end, sd + end, f"n{end}", arm))
    return found


@rule(
    "sd-zero",
    severity="error",
    title="standard deviations of 0",
    why="An SD of 0 says that all people had the same value. It is nearly always a blank, a missing number or a number "
    "that was rounded away, and it gives a trial a weight without bound or an effect that cannot be computed.",
    needs=("sd_1", "sd_2", "sd", "sd_pre_1", "sd_post_1"),
    cite="higgins2024",
)
def sd_zero(scene: Scene) -> Outcome:
    """Find SDs of exactly 0 with more than one person in the arm."""
    hits: dict[int, list[_Summary]] = {}
    looked: Bools = np.zeros(scene.k, dtype=bool)
    for summary in _summaries(scene, means=False):
        sd, n = scene.numbers(summary.sd), scene.numbers(summary.n)
        looked |= np.isfinite(sd)
        for place in np.flatnonzero((sd == 0) & (n > 1)).tolist():
            hits.setdefault(place, []).append(summary)
    found: list[Finding] = []
    for place, summaries in sorted(hits.items()):
        where = " and ".join(summary.words for summary in summaries)
        people = " and ".join(f"{scene.numbers(summary.n)[place]:g}" for summary in summaries)
        says = f"{scene.label(place)}: the SD of {where} is 0, as if all {people} people had the same value."
        fix = "Leave the cell blank if the SD is not reported, or write it with more digits"
        cells = tuple(Cell(place, summary.sd) for summary in summaries)
        blank = Proposal("SD left blank", tuple(Change(place, summary.sd, float("nan")) for summary in summaries))
        found.append(Finding("sd-zero", "error", (place,), says, fix, {"sd": 0.0}, cells, (blank,)))
    return Outcome(tuple(found), int(looked.sum()), () if looked.any() else ("no row has an SD",))


_RANGE = re.compile(r"(?<![\d.])(-?\d+(?:\.\d+)?)\s*(?:-|\u2013|to)\s*(\d+(?:\.\d+)?)(?![\d.])")
_RATING = re.compile(r"\b(?:vas|nrs|nprs)\b")


@dataclass(frozen=True, slots=True)
class _Ends:
    """The ends of the scale of each row, (k,), nan where unknown, and whether the table or the user stated them."""

    low: Floats
    high: Floats
    stated: Bools


def _scale_ends(scene: Scene) -> _Ends:
    """Return the ends of each row's scale: stated, or read from the name of the instrument.

    A name says them itself ("VAS 0-100", "GPE -5 to 5"); a bare VAS, NRS or NPRS runs from 0 to 10, or to 100 where a
    mean of the unit is above 10.
    """
    low = np.array([scale.low for scale in scene.scales], dtype=float) if scene.scales else np.full(scene.k, np.nan)
    high = np.array([scale.high for scale in scene.scales], dtype=float) if scene.scales else np.full(scene.k, np.nan)
    stated: Bools = np.isfinite(low) & np.isfinite(high)
    means = np.column_stack([scene.numbers(role) for role in ("mean_1", "mean_2", "mean")])
    for (name,), places in groups(scene.texts("instrument")):
        blank = places[~stated[places]]
        written = _RANGE.search(name)
        if not blank.size or not name:
            continue
        largest = np.nanmax(means[places], initial=-np.inf)
        if written and float(written[1]) < float(written[2]):
            low[blank], high[blank] = float(written[1]), float(written[2])
        elif _RATING.search(name) and np.nanmin(means[places], initial=np.inf) >= 0 and largest <= 100:
            low[blank], high[blank] = 0.0, 10.0 if largest <= 10 else 100.0
    return _Ends(low, high, stated)


@rule(
    "sd-beyond-scale",
    severity="error",
    title="standard deviations larger than their scale allows",
    why="Scores between two ends cannot spread without limit: with a mean of 5 on a scale from 0 to 100 most people "
    "are near 0. An SD beyond the limit belongs to something else: another scale, an interval, an SE that was "
    "multiplied by sqrt(n) wrongly.",
    needs=("mean_1 sd_1 n_1 mean_2 sd_2 n_2", "mean sd n", "mean_pre_1 sd_pre_1 n_1", "mean_post_1 sd_post_1 n_1"),
    cite="bhatia2000",
)
def sd_beyond_scale(scene: Scene) -> Outcome:
    """Find SDs above sqrt((mean - low)(high - mean) n / (n - 1)), the largest that scores between the ends can have.

    The bound is taken at the end of the rounded mean where it is largest, the SD at its lower end. An error where the
    ends are stated (`scale_low` and `scale_high`, or the instrument); a warning where they are read from the name of
    the instrument. Changes run from low - high to high - low. Where nothing says that scores are final ones, a mean
    must lie a tenth of the scale inside both ends, because a small mean of changes may have any SD.
    """
    ends = _scale_ends(scene)
    changes = np.array([CHANGE in text.casefold() for text in scene.texts("score_type")], dtype=bool)
    final = np.array([text.strip().casefold() == "final" for text in scene.texts("score_type")], dtype=bool)
    found: list[Finding] = []
    looked: Bools = np.zeros(scene.k, dtype=bool)
    summaries = _summaries(scene, means=True)
    numbers = printed(scene, *(role for summary in summaries for role in (summary.mean, summary.sd)))
    for summary in summaries:
        turned = changes & (summary.words in {"arm 1", "arm 2", "the group"})
        low, high = np.where(turned, ends.low - ends.high, ends.low), np.where(turned, ends.high - ends.low, ends.high)
        mean, sd, n = scene.numbers(summary.mean), numbers[summary.sd].low, scene.numbers(summary.n)
        middle = np.clip((low + high) / 2, numbers[summary.mean].low, numbers[summary.mean].high)
        most = largest_sd(middle, n, low, high)
        margin = INSIDE * (high - low)
        sure = turned | final | (summary.mean.startswith(("mean_pre", "mean_post")))
        sure = sure | ((mean >= low + margin) & (mean <= high - margin))
        looked |= np.isfinite(most) & np.isfinite(sd)
        hits = np.flatnonzero((sd > most) & sure)
        found += [_beyond(scene, int(i), summary, (low[i], high[i], most[i]), ends.stated[i]) for i in hits]
    words = "no row has both ends of its scale: name them as scale_low and scale_high, or with the instruments"
    found.sort(key=lambda finding: finding.rows)
    return Outcome(tuple(found), int(looked.sum()), () if looked.all() else (_not_looked(looked, words),))


def _not_looked(looked: Bools, words: str) -> str:
    """Say what kept rows from being looked at."""
    left = int((~looked).sum())
    return words if left == looked.size else f"{left} {'row' if left == 1 else 'rows'} without the ends of their scale"


def _beyond(
    scene: Scene, place: int, summary: _Summary, limits: tuple[float, float, float], stated: np.bool_
) -> Finding:
    """Word one SD that is larger than its scale allows."""
    low, high, most = limits
    mean, sd, n = (float(scene.numbers(role)[place]) for role in (summary.mean, summary.sd, summary.n))
    scale = f"a scale from {as_given(low)} to {as_given(high)}"
    sure = (
        f"on {scale}" if stated else f"if {scene.texts('instrument')[place]} is {scale}, as its name says or suggests,"
    )
    says = (
        f"{scene.label(place)}: {sure} {n:g} people with a mean of {as_given(_short(mean))} can have an SD of at most "
        f"{significant(float(most))}; {summary.words} has {as_given(_short(sd))}{_beside(scene, place, summary)}."
    )
    fix = "Compare mean, SD and scale with the trial's report"
    cells = (Cell(place, summary.mean), Cell(place, summary.sd))
    evidence: dict[str, float | str] = {"sd": sd, "largest_sd": float(most), "low": float(low), "high": float(high)}
    change = Proposal("the largest SD that is possible", (Change(place, summary.sd, float(most)),))
    return Finding("sd-beyond-scale", "error" if stated else "warning", (place,), says, fix, evidence, cells, (change,))


def _beside(scene: Scene, place: int, summary: _Summary) -> str:
    """Tell the SD of the other arm, for comparison."""
    other = {"1": "2", "2": "1"}.get(summary.sd[-1], "")
    value = float(scene.numbers(f"{summary.sd[:-1]}{other}")[place]) if other else float("nan")
    return f", arm {other} {as_given(_short(value))}" if np.isfinite(value) else ""


@rule(
    "mean-beyond-scale",
    severity="error",
    title="means outside their scale",
    why="A mean of scores lies between the ends of the scale. One that does not comes from another scale, from a slip "
    "of the decimal point, or is a change that stands among final scores, and gives a difference in other units.",
    needs=("mean_1 mean_2", "mean", "mean_pre_1", "mean_post_1"),
    cite="higgins2024",
)
def mean_beyond_scale(scene: Scene) -> Outcome:
    """Find means outside the stated ends of their scale, beyond rounding.

    Stated ends only (`scale_low` and `scale_high`, or the instrument). Rows marked as changes are not looked at beyond
    low - high and high - low. A mean below the low end is a warning where nothing says that the scores are final ones:
    it may be a change.
    """
    ends = _scale_ends(scene)
    low, high = (np.where(ends.stated, end, np.nan) for end in (ends.low, ends.high))
    if not ends.stated.any():
        words = "no row has both ends of its scale: name them as scale_low and scale_high, or with the instruments"
        return Outcome(passed_over=(words,))
    changes = np.array([CHANGE in text.casefold() for text in scene.texts("score_type")], dtype=bool)
    final = np.array([text.strip().casefold() == "final" for text in scene.texts("score_type")], dtype=bool)
    found: list[Finding] = []
    looked: Bools = np.zeros(scene.k, dtype=bool)
    roles = [mean + end for mean, _, _ in SUMMARIES for end in ("_1", "_2", "") if scene.has(mean + end)]
    numbers = printed(scene, *roles)
    for role in roles:
        own = changes & (role in {"mean_1", "mean_2", "mean"})
        bottom, top = np.where(own, low - high, low), np.where(own, high - low, high)
        looked |= np.isfinite(numbers[role].low) & ends.stated
        hits = np.flatnonzero((numbers[role].high < bottom) | (numbers[role].low > top))
        found += [_outside(scene, int(i), role, (bottom[i], top[i]), final=bool(final[i] | own[i])) for i in hits]
    found.sort(key=lambda finding: finding.rows)
    return Outcome(tuple(found), int(looked.sum()), () if looked.all() else (_not_looked(looked, ""),))


def _outside(scene: Scene, place: int, role: str, ends: tuple[float, float], *, final: bool) -> Finding:
    """Word one mean outside its scale."""
    mean = float(scene.numbers(role)[place])
    may_change = mean < ends[0] and not final and role in {"mean_1", "mean_2", "mean"}
    says = (
        f"{scene.label(place)}: the mean {as_given(_short(mean))} lies outside the scale, which runs from "
        f"{as_given(float(ends[0]))} to {as_given(float(ends[1]))}."
    )
    says += " It may be a change." if may_change else ""
    fix = "Correct the mean or the ends of the scale, or mark changes in a column score_type"
    evidence: dict[str, float | str] = {"mean": mean, "low": float(ends[0]), "high": float(ends[1])}
    severity: Severity = "warning" if may_change else "error"
    return Finding("mean-beyond-scale", severity, (place,), says, fix, evidence, (Cell(place, role),))


@rule(
    "sds-repeated",
    severity="warning",
    title="the same standard deviations in several trials",
    why="Two trials do not have the same SDs in both arms to the last digit by chance. Where several do, the numbers "
    "were probably imputed, borrowed from one trial, or copied down the column: their weights then rest on less than "
    "it seems.",
    needs=("sd_1 sd_2",),
    cite="higgins2024",
)
def sds_repeated(scene: Scene) -> Outcome:
    """Find SDs of both arms that agree to the last digit in three or more studies of one outcome and instrument.

    Only pairs whose digits leave room for others, see `DISTINCT`: 15 and 15 come together by chance, 15.2 and 14.8 do
    not. And only where the table has room for fewer than 0.01 sets of as many studies that share two SDs by chance,
    `expected_shared_pairs`: among 10,000 trials hundreds of pairs come three times. Rows of one study count once,
    because they may share an arm. More than 12 pairs become one finding.
    """
    sd_1, sd_2 = scene.numbers("sd_1"), scene.numbers("sd_2")
    known = np.isfinite(sd_1) & np.isfinite(sd_2) & (sd_1 > 0) & (sd_2 > 0)
    telling = known & (_in_last_digits(sd_1) * _in_last_digits(sd_2) >= DISTINCT)
    _, pair, count = np.unique(np.column_stack([sd_1, sd_2]), axis=0, return_inverse=True, return_counts=True)
    telling &= count[pair.reshape(-1)] >= REPEATS
    found = _shared_pairs(scene, np.flatnonzero(telling), pair.reshape(-1)) if telling.any() else []
    chance = _by_chance(scene, known, [len(names) for _, names in found]) if found else {}
    sets = [(places, len(names)) for places, names in found if chance[len(names)] < BY_CHANCE]
    findings = [_repeated(scene, places, several) for places, several in sets[: LISTED if len(sets) <= LISTED else 1]]
    if len(sets) > LISTED:
        rows = tuple(sorted(place for places, _ in sets for place in places))
        cells = tuple(Cell(place, role) for place in rows for role in ("sd_1", "sd_2"))
        says = f"{findings[0].says} {len(sets) - 1} more pairs of SDs stand in several studies each."
        findings = [replace(findings[0], rows=rows, cells=cells, says=says, evidence={"pairs": float(len(sets))})]
    return Outcome(tuple(findings), int(known.sum()), () if known.any() else ("no row has the SDs of both arms",))


def _shared_pairs(scene: Scene, places: Places, pair: NDArray[np.intp]) -> list[tuple[list[int], set[str]]]:
    """Return rows of one outcome and instrument that have the same two SDs in several studies, with these studies."""
    unit, studies = units(scene), scene.texts("study")
    found: dict[tuple[str, int], tuple[list[int], set[str]]] = {}
    for place in map(int, places):
        rows, names = found.setdefault((unit[place].strip().casefold(), int(pair[place])), ([], set()))
        rows.append(place)
        names.add(studies[place].strip().casefold())
    return [(rows, names) for rows, names in found.values() if len(names) >= REPEATS]


def _by_chance(scene: Scene, known: Bools, sizes: list[int]) -> dict[int, float]:
    """Return how many sets of so many studies, of all outcomes together, would share two SDs by chance."""
    sd_1, sd_2 = scene.numbers("sd_1"), scene.numbers("sd_2")
    several = np.unique(np.array(sizes, dtype=float))
    total = np.zeros(several.shape)
    for _, places in groups(units(scene)):
        own = places[known[places]]
        if own.size >= REPEATS:
            last = np.array([10.0 ** -float(decimals(sd[own]).max()) for sd in (sd_1, sd_2)])
            total += expected_shared_pairs(sd_1[own], sd_2[own], last, several)
    return {int(size): float(expected) for size, expected in zip(several, total, strict=True)}


def _in_last_digits(sd: Floats) -> Floats:
    """Return each SD in units of its last digit: 12.4 gives 124; 0 where blank."""
    return np.asarray(np.where(np.isfinite(sd), sd, 0.0) * 10.0 ** decimals(sd), dtype=np.float64)


def _repeated(scene: Scene, places: list[int], several: int) -> Finding:
    """Word one pair of SDs that several studies have."""
    pair = " and ".join(as_given(_short(float(scene.numbers(role)[places[0]]))) for role in ("sd_1", "sd_2"))
    says = f"{several} studies have the same SDs, {pair}: {scene.labels(places)}."
    fix = "Look whether these SDs were reported, imputed or copied, and mark imputed ones"
    cells = tuple(Cell(place, role) for place in places for role in ("sd_1", "sd_2"))
    return Finding("sds-repeated", "warning", tuple(places), says, fix, {"studies": float(several)}, cells)
