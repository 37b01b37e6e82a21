"""Numbers on scales of their own: units that are mixed, instruments that are mixed, medians in the place of means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metaback.checks.findings import Cell, Change, Finding, Outcome, Proposal
from metaback.checks.mends import in_other_units
from metaback.checks.quick_pools import in_score_units, name_of
from metaback.checks.rounding import shared_decimals
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Pooled, Scene, groups, units
from metaback.checks.words import column_words
from metaback.numbers import as_given, significant
from metaback.stats.conversions.five_numbers import skewness_test
from metaback.stats.conversions.spread import normal_width

FEWEST = 5  # rows of one outcome and instrument without which there is nothing to compare a row with
# What numbers of other units differ by, with the units that people mix.
FACTORS: Mapping[float, str] = {
    2.205: "kilograms and pounds",
    2.54: "inches and centimetres",
    3.6: "km/h and m/s",
    4.184: "kilojoules and kilocalories",
    10.0: "a scale to 10 and one to 100, centimetres and millimetres, or newtons and kiloponds",
    18.02: "mmol/l and mg/dl of glucose",
    38.67: "mmol/l and mg/dl of cholesterol",
    60.0: "minutes and seconds, or hours and minutes",
    100.0: "a fraction and a percentage, or metres and centimetres",
    1000.0: "grams and kilograms, or metres and kilometres",
}
LEAST_SPREAD = 0.15  # of ln mean and ln SD between trials: below it a small sample shows too little by chance
FAR = 4.0  # robust SDs from the median that mean and SD must both lie away
NEAR_SMALL, NEAR_LARGE = float(np.log(1.15)), float(np.log(2))  # room around a factor below 5, and above it
LARGE = 5.0
SHAPE = float(np.log(2))  # how far the ratio of means and that of SDs may differ, for units change both alike
WIDTH = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:-|\u2013|\u2212|to)\s*(\d+(?:\.\d+)?)")


CLEARLY_SKEWED = 2 / 3  # SDs above 0 of the least mean, from which an outcome is told to be skewed
OFTEN = 1 / 3  # of the rows with a mean below the SD, likewise


# ---------------------------------------------------------------- units


@dataclass(frozen=True, slots=True)
class _Level:
    """ln of the mean of both arms' means, and of their pooled SD, (k,), nan where a number lacks or is not positive."""

    mean: Floats
    sd: Floats


@rule(
    "mixed-units",
    severity="warning",
    title="rows in other units than the rest",
    why="A weight in pounds among weights in kilograms, or a pain score out of 10 among scores out of 100, makes a "
    "mean difference that is not comparable with the others: too large or too small by the factor between the units, "
    "and "
    "with it its weight.",
    needs=["mean_1 sd_1 mean_2 sd_2"],
    cite="gotzsche2007",
)
def mixed_units(scene: Scene) -> Outcome:
    """Find rows whose means and SDs are both a known factor away from those of the other rows of their outcome.

    Within one outcome and instrument, x = ln mean and ln SD less their medians, with robust spreads s (at least 0.15):
    both |x| > 4 s, of the same sign, within ln 2 of each other, and within ln 2 of ln f (ln 1.15 for factors below 5,
    which trials of one outcome can differ by). Asked only of effects in the units of the scores: standardised effects
    and ratios do not depend on units.
    """
    level = _levels(scene)
    kept = np.zeros(scene.k, dtype=bool)
    for pool in scene.pools:
        if in_score_units(pool):
            kept[pool.places[pool.computed]] = True
    if not kept.any():
        return Outcome(passed_over=("no effects in the units of the scores: others do not depend on units",))
    findings: list[Finding] = []
    passed: list[str] = []
    examined = 0
    for values, places in groups(units(scene)):
        inside = places[kept[places]]
        known = inside[np.isfinite(level.mean[inside] + level.sd[inside])]
        if known.size < FEWEST:
            if inside.size:
                name = values[0].split("|")[0] or "the table"
                passed.append(
                    f"{name}: {known.size} rows with positive means and SDs of one instrument, {FEWEST} needed"
                )
            continue
        examined += known.size
        findings += _by_factor(scene, known, level)
    return Outcome(tuple(findings), examined, tuple(passed))


def _levels(scene: Scene) -> _Level:
    """Return where the scores of each row lie, and how far they spread, in logarithms."""
    mean_1, sd_1, mean_2, sd_2 = (scene.numbers(role) for role in ("mean_1", "sd_1", "mean_2", "sd_2"))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where((mean_1 > 0) & (mean_2 > 0), np.log((mean_1 + mean_2) / 2), np.nan)
        sd = np.where((sd_1 > 0) & (sd_2 > 0), np.log((sd_1 + sd_2) / 2), np.nan)
    return _Level(mean, sd)


def _away(values: Floats) -> tuple[Floats, float]:
    """Return values less their (lower) median, and their robust spread, which half of them cannot blow up."""
    away = values - np.quantile(values, 0.5, method="lower")
    spread = 1.4826 * float(np.quantile(np.abs(away), 0.5, method="lower"))
    return away, max(spread, LEAST_SPREAD)


def _by_factor(scene: Scene, known: Places, level: _Level) -> list[Finding]:
    """Gather the rows that are the same factor away, one finding for each factor and side."""
    mean, mean_spread = _away(level.mean[known])
    sd, sd_spread = _away(level.sd[known])
    far = (np.abs(mean) > FAR * mean_spread) & (np.abs(sd) > FAR * sd_spread)
    far &= (mean * sd > 0) & (np.abs(mean - sd) < SHAPE)
    factors = np.array(list(FACTORS))
    gap = np.abs(np.abs((mean + sd) / 2)[:, None] - np.log(factors))
    nearest = gap.argmin(axis=1)
    room = np.where(factors[nearest] < LARGE, NEAR_SMALL, NEAR_LARGE)
    for part in (mean, sd):
        far &= np.abs(np.abs(part) - np.log(factors[nearest])) < room
    found: dict[tuple[float, bool], list[int]] = {}
    for i in np.flatnonzero(far).tolist():
        found.setdefault((float(factors[nearest[i]]), bool(mean[i] > 0)), []).append(i)
    return [
        _units_finding(scene, known[rows], factor, above, (np.exp(np.median(mean[rows])), np.exp(np.median(sd[rows]))))
        for (factor, above), rows in found.items()
    ]


def _units_finding(scene: Scene, rows: Places, factor: float, above: bool, ratios: tuple[float, float]) -> Finding:
    """Word the rows that look like scores in other units."""
    places = tuple(int(place) for place in rows)
    changes = tuple(
        change for place in places for change in in_other_units(scene, place, 1 / factor if above else factor)
    )
    way = "divided" if above else "multiplied"
    whose = "its" if len(places) == 1 else "their"
    near = as_given(factor) if above else f"1/{as_given(factor)}"
    by_mean, by_sd = (significant(ratio, 2) for ratio in ratios)
    return Finding(
        rule="mixed-units",
        severity="warning",
        rows=places,
        says=f"{scene.labels(places)}: {whose} means and SDs are {by_mean} and {by_sd} times the usual ones of this "
        f"outcome, near {near}, as between {FACTORS[factor]}.",
        fix="Compare the units (or the range of the scale) in the trial's report with those of the other trials, and "
        "write all rows in one",
        evidence={"factor": factor, "ratio_of_means": float(ratios[0]), "ratio_of_sds": float(ratios[1])},
        cells=tuple(Cell(change.place, change.role) for change in changes),
        proposals=(Proposal(f"{way} by {as_given(factor)}", changes),),
    )


# ---------------------------------------------------------------- instruments


@rule(
    "mixed-scales",
    severity="error",
    title="several instruments pooled in units of their own",
    why="A mean difference keeps the units of its instrument: 5 points of 24 are not 5 points of 100. A mean of such "
    "differences has no unit and no meaning, unless all scores are on one range.",
    needs=["instrument"],
    cite="higgins2024",
)
def mixed_scales(scene: Scene) -> Outcome:
    """Find pools of mean differences over several instruments, unless all have ranges of the same width.

    The range is that of scale_low and scale_high (or of the instruments as described), else one that the name of the
    instrument holds, as in "VAS 0-100".
    """
    findings: list[Finding] = []
    examined = 0
    passed: list[str] = []
    texts = scene.texts("instrument")
    for pool in scene.pools:
        if not in_score_units(pool):
            passed.append(f"{pool.measure} does not keep the units of the scores")
            continue
        places = pool.places[pool.estimable]
        examined += int(places.size)
        names = {texts[int(i)].strip().casefold() for i in places} - {""}
        if len(names) < 2:
            continue
        widths = {int(i): _width(scene, int(i), texts[int(i)]) for i in places}
        if len(set(widths.values())) > 1 or None in widths.values():
            findings.append(_scales_finding(scene, pool, widths))
    return Outcome(tuple(findings), examined, tuple(dict.fromkeys(passed)))


def _width(scene: Scene, place: int, text: str) -> float | None:
    """Return how wide the range of a row's instrument is, None where it is not known."""
    if scene.scales and np.isfinite(scene.scales[place].high - scene.scales[place].low):
        return scene.scales[place].high - scene.scales[place].low
    found = WIDTH.search(text)
    width = float(found[2]) - float(found[1]) if found else 0.0
    return width if width > 0 else None


def _scales_finding(scene: Scene, pool: Pooled, widths: Mapping[int, float | None]) -> Finding:
    """Word a pool of mean differences over several instruments."""
    texts = scene.texts("instrument")
    names = {texts[place].strip().casefold(): texts[place].strip() for place in widths if texts[place].strip()}
    known = [width for width in widths.values() if width is not None]
    usual = max(set(known), key=known.count) if known else None
    proposals: tuple[Proposal, ...] = ()
    if usual is not None and len(known) == len(widths):
        changes = tuple(
            change
            for place, width in widths.items()
            if width is not None and width != usual
            for change in in_other_units(scene, place, usual / width)
        )
        proposals = (Proposal(f"all scores on a range of {as_given(usual)}", changes),)
        told = f", with ranges of {' and '.join(as_given(width) for width in dict.fromkeys(known))} points"
    else:
        told = ", and the ranges of their scales are not stated"
    return Finding(
        rule="mixed-scales",
        severity="error",
        rows=tuple(widths),
        says=f"{name_of(pool)}: {pool.measure} keeps the units of the scores, and its {len(widths)} rows are of "
        f"{len(names)} instruments ({', '.join(names.values())}){told}.",
        fix="Take a standardised measure (SMD), percent of the range (POMP, with scale_low and scale_high), or one "
        "instrument at a time; if all scores are on one range already, say so in scale_low and scale_high",
        evidence={"instruments": float(len(names)), "pool": name_of(pool)},
        proposals=proposals,
        whole=True,
    )


# ---------------------------------------------------------------- medians


@rule(
    "median-as-mean",
    severity="error",
    title="medians and quartiles in the place of means and SDs",
    why="Trials report medians with quartiles where their data are skewed. Read as a mean with its SD, a median is too "
    "small for data with a long upper tail, and an interquartile range is about 1.35 SDs of normal data, a range three "
    "to five.",
    needs=["mean_1 sd_1 mean_2 sd_2", "median_1 q1_1 q3_1", "median_1 min_1 max_1"],
    cite="wan2014 shi2023 altman1996",
)
def median_as_mean(scene: Scene) -> Outcome:
    """Find medians read as means, in four ways.

    1. A column `stat_type` (`summary_type`, `statistic`) says median, and the row is computed from means: an error.
    2. An SD equals the IQR or the range of its arm as printed (difference within half a last digit), other than 0: a
    warning. 3. The skewness test of Shi et al. rejects for a row whose mean rests on quartiles: a warning. 4. Scores
    that cannot be negative (a scale from 0 up, or at least 5 rows of positive final scores that mostly exceed their
    SDs) with a mean below its SD: information,
    one for each outcome and instrument, told where a mean is below 2/3 of its SD or a third of the rows are so.
    """
    told = _said_to_be_medians(scene)
    equal = [finding for finding in _width_as_sd(scene) if finding.rows[0] not in {f.rows[0] for f in told}]
    skewed = _skewed(scene)
    low, examined = _below_their_sd(scene, {f.rows[0] for f in (*told, *equal)})
    five = int(np.isfinite(scene.numbers("median_1")).sum())
    return Outcome((*told, *equal, *skewed, *low), max(examined, five))


def _computed(scene: Scene) -> Bools:
    """Tell which rows are pooled by numbers of their arms, (k,)."""
    found = np.zeros(scene.k, dtype=bool)
    for pool in scene.pools:
        found[pool.places[pool.computed]] = True
    return found


def _said_to_be_medians(scene: Scene) -> list[Finding]:
    """Find rows that say their numbers are medians, and are computed as if they were means."""
    words = column_words(scene, "stat_type", "summary_type", "statistic_type", "statistic", "reported_as")
    rows = _computed(scene) & np.isfinite(scene.numbers("mean_1")) & np.isfinite(scene.numbers("sd_1"))
    found: list[Finding] = []
    for place in (i for i in np.flatnonzero(rows).tolist() if words and "median" in words[i].casefold()):
        kind = "iqr" if any(w in words[place].casefold() for w in ("iqr", "quartile")) else ""
        kind = kind or ("range" if any(w in words[place].casefold() for w in ("range", "min")) else "")
        changes = _as_widths(scene, place, kind, ("1", "2"))
        numbers = ", ".join(as_given(float(scene.numbers(role)[place])) for role in ("mean_1", "mean_2"))
        found.append(
            Finding(
                rule="median-as-mean",
                severity="error",
                rows=(place,),
                says=f"{scene.label(place)}: the table says that this row reports '{words[place]}', and its numbers "
                f"({numbers}) stand in the columns of means and SDs.",
                fix="Move them to median_1, q1_1, q3_1 (or min_1, max_1) and the same of arm 2; mean and SD are then "
                "estimated from them",
                evidence={"says": words[place]},
                cells=tuple(Cell(place, role) for role in ("mean_1", "sd_1", "mean_2", "sd_2")),
                proposals=(Proposal(f"the SDs read as {kind.upper() if kind == 'iqr' else kind}", changes),)
                if changes
                else (),
            )
        )
    return found


def _as_widths(scene: Scene, place: int, kind: str, arms: tuple[str, ...]) -> tuple[Change, ...]:
    """Return the SDs of normal data whose interquartile range, or range, stands in the columns of SDs."""
    if not kind:
        return ()
    changes: list[Change] = []
    for arm in arms:
        n = scene.numbers(f"n_{arm}")[place : place + 1]
        value = float(scene.numbers(f"sd_{arm}")[place] / normal_width(n, quartiles=kind == "iqr")[0])
        if np.isfinite(value):
            changes.append(Change(place, f"sd_{arm}", value))
    return tuple(changes)


def _width_as_sd(scene: Scene) -> list[Finding]:
    """Find SDs that are the interquartile range or the range of their arm."""
    found: list[Finding] = []
    for kind, low, high, single in (("iqr", "q1", "q3", "iqr"), ("range", "min", "max", "")):
        hits: dict[int, list[str]] = {}
        for arm in "12":
            width = scene.numbers(f"{high}_{arm}") - scene.numbers(f"{low}_{arm}")
            if single:
                width = np.where(np.isfinite(width), width, scene.numbers(f"{single}_{arm}"))
            if not np.isfinite(width).any():
                continue
            sd = scene.numbers(f"sd_{arm}")
            digits = shared_decimals(scene, f"sd_{arm}", f"{low}_{arm}", f"{high}_{arm}")
            same = (np.abs(sd - width) <= 0.5 * 10.0**-digits * (1 + 1e-6)) & (sd > 0)
            for place in np.flatnonzero(same & np.isfinite(scene.numbers(f"mean_{arm}"))).tolist():
                hits.setdefault(place, []).append(arm)
        found += [_width_finding(scene, place, kind, tuple(arms)) for place, arms in hits.items()]
    return found


def _width_finding(scene: Scene, place: int, kind: str, arms: tuple[str, ...]) -> Finding:
    """Word one row whose SDs equal a width."""
    sds = " and ".join(as_given(float(scene.numbers(f"sd_{arm}")[place])) for arm in arms)
    name = "interquartile range" if kind == "iqr" else "range"
    changes = _as_widths(scene, place, kind, arms)
    right = " and ".join(significant(change.value) for change in changes)
    guess = f"; from that width an SD of about {right} would follow" if changes else ""
    return Finding(
        rule="median-as-mean",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: the SD {sds} is just the {name} of its arm{'s' if len(arms) > 1 else ''}{guess}.",
        fix="Look into the trial's report; leave mean and SD blank where it gives median and quartiles only, and they "
        "are estimated from these",
        evidence={"sds": sds, "width": name},
        cells=tuple(Cell(place, f"sd_{arm}") for arm in arms),
        proposals=(Proposal(f"SDs estimated from the {name}", changes),) if changes else (),
    )


def _skewed(scene: Scene) -> list[Finding]:
    """Find rows without means whose five numbers do not look symmetric."""
    hits: dict[int, float] = {}
    rows = _computed(scene)
    for arm in "12":
        test = skewness_test(*(scene.numbers(f"{stem}_{arm}") for stem in ("min", "q1", "median", "q3", "max", "n")))
        for place in np.flatnonzero(test.skewed & rows & np.isnan(scene.numbers(f"mean_{arm}"))).tolist():
            hits[place] = max(hits.get(place, 0.0), float(test.statistic[place] / test.critical[place]))
    if not hits:
        return []
    places = tuple(sorted(hits))
    worst = max(hits, key=lambda place: hits[place])
    one = len(places) == 1
    return [
        Finding(
            rule="median-as-mean",
            severity="warning",
            rows=places,
            says=f"{scene.labels(places)}: median and quartiles (or range) do not look symmetric, at the level 0.05 "
            f"of the skewness test (most in {scene.label(worst)}, {significant(hits[worst], 2)} times the critical "
            "value), so "
            f"the mean and SD that were estimated for {'this row' if one else 'these rows'} may be biased.",
            fix="Pool with and without these rows, or estimate under another shape: options={'five_numbers': 'QE'} or "
            "'LN'; if the authors can be asked, ask for means",
            evidence={"rows": float(len(places)), "worst": hits[worst]},
        )
    ]


def _below_their_sd(scene: Scene, known: set[int]) -> tuple[list[Finding], int]:
    """Find outcomes that cannot be negative with means below their SDs."""
    mean = np.stack([scene.numbers(f"mean_{arm}") for arm in "12"])
    sd = np.stack([scene.numbers(f"sd_{arm}") for arm in "12"])
    final = np.array(
        ["change" not in word.casefold() and "gain" not in word.casefold() for word in scene.texts("score_type")]
    )
    ok = np.isfinite(mean + sd).all(axis=0) & (sd > 0).all(axis=0) & _computed(scene)
    found: list[Finding] = []
    for values, places in groups(units(scene)):
        rows = places[ok[places]]
        if not rows.size or not final[rows].all() or not (mean[:, rows] >= 0).all():
            continue
        ratio = np.min(mean[:, rows] / sd[:, rows], axis=0)
        if not _from_zero(scene, rows) and (rows.size < FEWEST or np.median(ratio) < 1):
            continue
        low = [(int(i), float(r)) for i, r in zip(rows, ratio, strict=True) if r < 1 and int(i) not in known]
        if low and (min(r for _, r in low) < CLEARLY_SKEWED or len(low) >= OFTEN * rows.size):
            found.append(_skew_finding(scene, values[0].split("|")[0], low, int(rows.size)))
    return found, int(ok.sum())


def _from_zero(scene: Scene, rows: Places) -> bool:
    """Tell whether all rows are said to be on scales that start at 0 or above."""
    return bool(scene.scales) and all(scene.scales[int(i)].low >= 0 for i in rows)


def _skew_finding(scene: Scene, outcome: str, low: list[tuple[int, float]], count: int) -> Finding:
    """Word an outcome with means below their SDs."""
    places = tuple(place for place, _ in low)
    worst, ratio = min(low, key=lambda pair: pair[1])
    return Finding(
        rule="median-as-mean",
        severity="information",
        rows=places,
        says=f"{outcome or 'the outcome'}: in {len(low)} of {count} rows a mean is below its SD (least in "
        f"{scene.label(worst)}, {significant(ratio, 2)} SDs above 0), which scores that cannot be negative have only "
        "if they are skewed.",
        fix="Look whether the trials report medians for this outcome; in small trials pool with and without these rows",
        evidence={"rows": float(len(low)), "least_ratio": ratio},
    )
