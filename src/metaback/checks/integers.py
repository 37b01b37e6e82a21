"""Numbers that whole-number scores cannot give, and last digits that look chosen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import exp, log

import numpy as np

from metaback.checks.findings import Cell, Finding, Outcome
from metaback.checks.rounding import shared_decimals
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Scene, groups, units
from metaback.numbers import as_given, fixed
from metaback.stats.same_arms import decimals

LARGEST = 100  # people from whom on a mean with two decimals fits whole numbers whatever it is
EPS = 1e-9  # relative: what half a unit loses as a double
INFERRED = (
    1e-3  # chance with which numbers of any kind would all fit whole numbers, below which they are taken for such
)
LONE = 0.2  # share of misfits above which an instrument is not taken for one of whole numbers
LEAST_LEFT = 0.5  # share of all means that a cell must rule out to count as a test of it
# Instruments whose score is a sum of whole numbers, or one of them. Percentages of a sum (ODI, KOOS), lines of
# millimetres (VAS) and norm-based scores (SF-36) are not here.
WHOLE = re.compile(
    r"\b(?:rmdq|rdq|roland|nprs|nrs|hads|bdi|phq|gad-?7|tsk|fabq|mmse|moca|psqi|chair[- ]stands?|push-?ups)\b",
    re.IGNORECASE,
)
NOT_WHOLE = re.compile(r"\b(?:vas|mm|percent|average|mean of)\b|%", re.IGNORECASE)
FEWEST_DIGITS = 12  # numbers of one column and unit below which last digits say nothing
TWICE = 2.0  # times the even share that a digit must come at least: of many numbers, small tilts are no news
CHANCE = 1e-4  # chance of a pattern of last digits below which it is told


def possible_mean(mean: Floats, digits: Floats, n: Floats, items: Floats) -> Bools:
    """Tell which printed means whole numbers can give: a whole number T with T/(n L) rounded to the printed mean.

    mean: (k,) as printed; digits: (k,) its decimals; n: (k,) people; items: (k,) L, items that the mean is averaged
    over, 1 for a total or a single item. Halves count as rounded up or down. Edges: nan fits. Source: Brown & Heathers
    2017 (GRIM).

    >>> possible_mean(np.array([5.18, 5.19]), np.array([2, 2]), np.array([28, 28]), np.array([1, 1])).tolist()
    [True, False]
    """
    low, high = _sums(mean, digits, n * items)
    return np.isnan(low) | (low <= high)


def _sums(mean: Floats, digits: Floats, cells: Floats) -> tuple[Floats, Floats]:
    """Return the least and the largest whole sum of `cells` whole numbers with that printed mean."""
    half = 0.5 * 10.0 ** -np.asarray(digits, dtype=float)
    slack = EPS * np.maximum(1.0, np.abs(mean) * cells)
    return np.ceil((mean - half) * cells - slack), np.floor((mean + half) * cells + slack)


def possible_sd(sd: Floats, mean: Floats, digits: tuple[Floats, Floats], n: Floats, items: Floats) -> Bools:
    """Tell which printed SDs whole numbers with that printed mean can give.

    For each whole sum T = n L m that the mean allows, the sum of squares is Q = (n - 1) s^2 L^2 + T^2/n for an SD s
    with divisor n - 1, n s^2 L^2 + T^2/n with divisor n. One Q that rounds to the printed SD must be a whole number
    that is even where T is, because x^2 and x are even together.

    sd, mean: (k,) as printed; digits: decimals of the SD and of the mean; n, items: as in `possible_mean`. Edges: nan
    fits; an impossible mean fits nothing. Sources: Anaya 2016 (GRIMMER); Allard 2018 (the parity of sums).

    >>> k = np.ones(2)
    >>> possible_sd(np.array([2.47, 2.48]), 3.44 * k, (2 * k, 2 * k), 18 * k, k).tolist()
    [False, True]
    """
    low, high = _sums(mean, digits[1], n * items)
    half = 0.5 * 10.0 ** -np.asarray(digits[0], dtype=float)
    found = np.isnan(sd) | np.isnan(low)
    steps = int(np.max(high - low, initial=0.0, where=np.isfinite(low) & (high >= low)))
    for step in range(steps + 1):
        total = low + step
        for divisor in (n - 1, n):
            scale = divisor * items**2
            least = np.maximum(sd - half, 0.0) ** 2 * scale + total**2 / n
            most = (sd + half) ** 2 * scale + total**2 / n
            slack = EPS * np.maximum(1.0, most)
            first = np.ceil(least - slack)
            first += np.abs(first - total) % 2
            found |= (total <= high) & (first <= np.floor(most + slack))
    return found


@dataclass(frozen=True, slots=True)
class _Cells:
    """Means and SDs of both arms, one after the other, (2k,): which arm and row, what fits, and how telling it is."""

    arm: Places
    place: Places
    mean_fits: Bools
    sd_fits: Bools
    tested: Bools
    chance: Floats


def _cells(scene: Scene) -> _Cells:
    """Hold all means and SDs of a table against whole numbers."""
    k = scene.k
    mean, sd, n = (np.concatenate([scene.numbers(f"{role}_{arm}") for arm in "12"]) for role in ("mean", "sd", "n"))
    own = scene.numbers("items")
    items = np.tile(np.where(np.isfinite(own), own, 1.0), 2)
    places = np.tile(np.arange(k, dtype=np.intp), 2)
    by_mean, by_sd = (decimals(x).astype(float) for x in (mean, sd))  # a zero at the end only weakens the test
    chance = np.minimum(1.0, n * items / 10.0**by_mean)
    tested = np.isfinite(mean) & (n < LARGEST) & (n >= 2) & (chance <= LEAST_LEFT)
    safe_n = np.where(tested, n, np.nan)
    mean_fits = possible_mean(mean, by_mean, safe_n, items)
    sd_fits = ~mean_fits | possible_sd(sd, mean, (by_sd, by_mean), safe_n, items)
    return _Cells(np.repeat(np.array([1, 2], dtype=np.intp), k), places, mean_fits, sd_fits, tested, chance)


@rule(
    "whole-number-scores",
    severity="warning",
    title="means and SDs that whole-number scores of so few people cannot have",
    why="Where every person has a whole number, the mean of n people is a whole number divided by n, and only some SDs "
    "go with it. A mean or SD that is not among them was mistyped, belongs to another number of people, or was "
    "adjusted or imputed. It need not change the pool much, but something about the row is not what it seems.",
    needs=["n_1 mean_1 sd_1 n_2 mean_2 sd_2"],
    cite="brown2017grim anaya2016 allard2018",
)
def whole_number_scores(scene: Scene) -> Outcome:
    """Find means (GRIM) and SDs (GRIMMER) that whole numbers cannot give, for instruments known to be of whole numbers.

    Known: by name (Roland-Morris, NPRS, HADS and others), by a column of items, or because all other means of the
    instrument fit though numbers of any kind would do so with a chance below 0.001 and no more than a fifth misfits.
    Only arms below 100 people whose decimals rule out half of all means are judged. Where half of the means of an
    instrument misfit it is not taken for one of whole numbers, and nothing is said.
    """
    cells = _cells(scene)
    keys = units(scene)
    findings: list[Finding] = []
    examined: set[int] = set()
    doubted: list[str] = []
    has_items = np.isfinite(scene.numbers("items"))
    for _, places in groups(keys):
        rows = np.isin(cells.place, places) & cells.tested if places.size < scene.k else cells.tested
        if not rows.any():
            continue
        name = keys[int(places[0])].replace("|", " ")
        known = bool((WHOLE.search(name) and not NOT_WHOLE.search(name)) or has_items[places].all())
        misfits = rows & ~cells.mean_fits
        share = float(misfits.sum() / rows.sum())
        if share >= LEAST_LEFT or (not known and not _inferred(cells, rows, share)):
            doubted += [" ".join(name.split())] if known else []
            continue
        examined |= set(cells.place[rows].tolist())
        findings += [_impossible(scene, cells, int(i)) for i in np.flatnonzero(misfits | (rows & ~cells.sd_fits))]
    passed = f"half of the means of {', '.join(doubted)} are of no whole numbers: the scores seem to be averages"
    none = "no instrument is known to give whole numbers with decimals that could tell" if not examined else ""
    return Outcome(tuple(findings), len(examined), tuple(x for x in (passed if doubted else "", none) if x))


def _inferred(cells: _Cells, rows: Bools, share: float) -> bool:
    """Tell whether the means of a unit fit whole numbers too well for numbers of any kind."""
    fits = rows & cells.mean_fits
    return share <= LONE and float(np.sum(np.log(cells.chance[fits]))) < np.log(INFERRED)


def _impossible(scene: Scene, cells: _Cells, spot: int) -> Finding:
    """Word one mean or SD that whole numbers cannot give, with the nearest number of people that could."""
    place, arm = int(cells.place[spot]), int(cells.arm[spot])
    role = f"sd_{arm}" if cells.mean_fits[spot] else f"mean_{arm}"
    n, mean, value = (float(scene.numbers(r)[place]) for r in (f"n_{arm}", f"mean_{arm}", role))
    digits = int(decimals(np.array([value]))[0])
    given = fixed(value, digits)
    if role.startswith("mean"):
        items = float(scene.numbers("items")[place])
        cell_count = n * (items if np.isfinite(items) else 1.0)
        near = [fixed(float(f(value * cell_count)) / cell_count, digits) for f in (np.floor, np.ceil)]
        says = f"the mean {given} of group {arm} cannot come from whole-number scores of {as_given(n)} people; "
        says += f"{near[0]} and {near[1]} could"
    else:
        says = f"the SD {given} of group {arm} cannot come from whole-number scores of {as_given(n)} people with the "
        says += f"mean {as_given(mean)}"
    others = _other_n(scene, place, arm)
    hint = f" ({', '.join(map(str, others))} people would fit)" if others else ""
    return Finding(
        rule="whole-number-scores",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: {says}.",
        fix=f"Look into the trial how many people these numbers are of{hint}, and whether they were adjusted, imputed, "
        "or averaged over several ratings",
        evidence={"value": value, "n": n, "test": "GRIM" if role.startswith("mean") else "GRIMMER"},
        cells=(Cell(place, role), Cell(place, f"n_{arm}")),
    )


def _other_n(scene: Scene, place: int, arm: int) -> list[int]:
    """Return the numbers of people, up to three away, that the mean and SD of an arm would fit."""
    n = float(scene.numbers(f"n_{arm}")[place])
    tries = np.array([x for x in (n - 1, n + 1, n - 2, n + 2, n - 3, n + 3) if x >= 2])
    mean, sd = (np.full(tries.size, scene.numbers(f"{role}_{arm}")[place]) for role in ("mean", "sd"))
    by = [decimals(x).astype(float) for x in (mean, sd)]
    own = float(scene.numbers("items")[place])
    items = np.full(tries.size, own if np.isfinite(own) else 1.0)
    fits = possible_mean(mean, by[0], tries, items) & possible_sd(sd, mean, (by[1], by[0]), tries, items)
    return sorted(int(x) for x in tries[fits])


@rule(
    "last-digits",
    severity="information",
    title="last digits that come too often",
    why="The last digits of measured means and SDs are spread evenly. Where one of them, or 0 and 5, comes far too "
    "often, numbers may have been read off a figure, rounded, or computed from others. That makes them less exact than "
    "they look, which no standard error shows.",
    needs=["mean_1 mean_2", "sd_1 sd_2"],
    cite="mosimann1995 chernoff1952",
)
def last_digits(scene: Scene) -> Outcome:
    """Find outcomes whose means, or SDs, end on one digit, or on 0 and 5, more often than chance has it.

    The last digit is that of the decimals which the study prints; numbers without decimals, and those below ten units
    of their last digit, are not counted, nor are means with two decimals, which whole-number scores of 20 people end on
    0 and 5. Told where a digit comes at least twice as often as it should and the probability of so many among N
    numbers, by Chernoff's bound for the binomial (ten times it for any one digit), is below 0.0001. Edges: fewer than
    12 numbers say nothing.
    """
    findings: list[Finding] = []
    passed: list[str] = []
    examined: set[int] = set()
    keys = units(scene)
    for stem in ("mean", "sd"):
        ends, counted = _last(scene, stem)
        for values, places in groups(keys):
            found = np.concatenate([ends[places][counted[places]] for ends, counted in zip(ends, counted, strict=True)])
            if found.size < FEWEST_DIGITS:
                name = values[0].partition("|")[0] or "the table"
                passed.append(f"{name}: {found.size} {stem}s with decimals, {FEWEST_DIGITS} needed")
                continue
            examined |= {int(i) for i in places[counted[0][places] | counted[1][places]]}
            findings += _pattern(scene, stem, keys[int(places[0])], places, found)
    more = f", and {len(passed) - 3} more" if len(passed) > 3 else ""
    return Outcome(tuple(findings), len(examined), ("; ".join(passed[:3]) + more,) if passed else ())


def _last(scene: Scene, stem: str) -> tuple[tuple[Floats, Floats], tuple[Bools, Bools]]:
    """Return the last printed digits of both arms, and which of them count."""
    roles = f"{stem}_1", f"{stem}_2"
    digits = shared_decimals(scene, *roles)
    few = (digits >= 1) & (digits <= (1 if stem == "mean" else 3))
    whole = [np.round(np.abs(scene.numbers(role)) * 10.0**digits) for role in roles]
    one, two = (np.where(np.isfinite(x), x % 10, np.nan) for x in whole)
    first, second = (few & (x >= 10) for x in whole)
    return (one, two), (first, second)


def _pattern(scene: Scene, stem: str, unit: str, places: Places, found: Floats) -> list[Finding]:
    """Word the last digits of one outcome, where they are far from even."""
    counts = np.bincount(found.astype(np.intp), minlength=10)
    top = int(np.argmax(counts))
    tries = (
        (f"end on {top}", int(counts[top]), 0.1, 10.0),
        ("end on 0 or 5", int(counts[0] + counts[5]), 0.2, 1.0),
    )
    chances = [
        factor * tail_bound(found.size, hits, share) if hits >= TWICE * share * found.size else 1.0
        for _, hits, share, factor in tries
    ]
    best = int(np.argmin(chances))
    if chances[best] >= CHANCE:
        return []
    words, hits = tries[best][:2]
    name = unit.partition("|")[0]
    return [
        Finding(
            rule="last-digits",
            severity="information",
            rows=tuple(int(i) for i in places),
            says=f"{hits} of {found.size} {stem}s{f' of {name}' if name else ''} {words}, which chance would do less "
            "than once in 10,000 tables.",
            fix="Look whether these numbers were read off figures, rounded, or computed from others",
            evidence={"numbers": float(found.size), "hits": float(hits), "chance": chances[best]},
            cells=tuple(Cell(int(i), f"{stem}_{arm}") for i in places for arm in "12"),
            whole=True,
        )
    ]


def tail_bound(size: int, hits: int, share: float) -> float:
    """Return what the probability of so many hits or more can be at most, by Chernoff's bound for the binomial.

    exp(-N KL) with KL = h ln(h/p) + (1 - h) ln((1 - h)/(1 - p)) and h = hits/N; 1 where h <= p. Exact where all hit.
    size: N; hits: of these; share: p. Source: Chernoff 1952.

    >>> round(tail_bound(10, 10, 0.5) * 1024, 9), tail_bound(10, 9, 0.5) < 0.026, tail_bound(10, 5, 0.5)
    (1.0, True, 1.0)
    """
    h = hits / size
    if h <= share:
        return 1.0
    rest = (1 - h) * log((1 - h) / (1 - share)) if h < 1 else 0.0
    return exp(-size * (h * log(h / share) + rest))
