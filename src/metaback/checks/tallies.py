"""Numbers of people and of events: totals for arms, percentages for counts, and trials without events."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from metaback.checks.findings import Cell, Change, Finding, Outcome, Proposal
from metaback.checks.intervals import row_measures, told_together
from metaback.checks.rounding import Ends, rounded, shared_decimals
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Scene, groups
from metaback.numbers import as_given, significant
from metaback.stats.coincidences import beyond_chance

COUNTS = "events_1 n_1 events_2 n_2"
LOG2 = float(np.log(2))
CHANCE = 1e-3  # chance that all counts of an outcome could be whole percentages of their arms, below which it is told
ROW_CHANCE = 0.05  # the same for one row that is far from the others besides
FEWEST = 5  # rows with events without which there is nothing to compare a share with
NEAR_TOTAL = 0.25  # relative: totals that an arm may be as large as by chance
SAME = 0.1  # relative: of the standard error by which a printed ratio must miss its counts


def _arm_labels(scene: Scene, arm: str) -> tuple[str, ...]:
    pairs = zip(scene.texts(f"treatment_{arm}"), scene.texts(f"arm_{arm}"), strict=True)
    return tuple(f"{treatment}|{label}" for treatment, label in pairs)


@rule(
    "total-as-arm",
    severity="warning",
    title="the number of all people in the place of that of an arm",
    why="Papers often give one n for the whole trial. Typed as the n of each arm it doubles the trial: its standard "
    "error becomes 1.4 times too small and its weight up to twice too large.",
    needs=["n_1 n_2"],
    cite="gotzsche2007",
)
def total_as_arm(scene: Scene) -> Outcome:
    """Find rows whose arms are as large as the whole trial.

    Within the row: n_1 + n_2 > n. Among rows of one study, year and pair of treatments: n_1 = n_2, and both are the
    n_1 + n_2 of another row. A warning: crossover trials, in which everybody is in both arms, look the same. Where the
    rows of a study have many sizes, that comes by chance: told are the studies with the fewest such chances, see
    `_totals_by_chance`, up to where chance would give half of what is told.
    """
    one, two, n = (scene.numbers(role) for role in ("n_1", "n_2", "n"))
    total = one + two
    over = total > n
    findings = [_whole_trial(scene, int(i)) for i in np.flatnonzero(over)]
    double = (one == two) & np.isfinite(one) & ~over
    if double.any():
        years = tuple(map(str, scene.numbers("year").tolist()))
        every = groups(scene.texts("study"), years, _arm_labels(scene, "1"), _arm_labels(scene, "2"))
        studies = [places for _, places in every if places.size > 1 and double[places].any()]
        found = [list(_doubled(scene, places, total, double)) for places in studies]
        chances = np.array([_totals_by_chance(one[places], two[places]) for places in studies])
        told = beyond_chance(chances, np.array([float(len(own)) for own in found]))
        findings += [finding for own, ok in zip(found, told, strict=True) if ok for finding in own]
    return Outcome(tuple(findings), int(np.isfinite(total).sum()))


def _totals_by_chance(n_1: Floats, n_2: Floats) -> float:
    """Return how many equal arms of one study would be as large as both arms of another row by chance.

    Each equal n meets the T different sizes of other rows whose total is within a quarter of it, of n/2 that are
    possible there: T / (n/2), summed over the different n.
    """
    sizes = np.unique(np.column_stack([n_1, n_2]), axis=0)
    total, equal = sizes.sum(axis=1), sizes[sizes[:, 0] == sizes[:, 1], 0]
    near = np.abs(total[None, :] / np.maximum(equal, 1.0)[:, None] - 1) <= NEAR_TOTAL
    return float((near.sum(axis=1) / np.maximum(2 * NEAR_TOTAL * equal, 1.0)).sum())


def _whole_trial(scene: Scene, place: int) -> Finding:
    """Word one row whose arms have more people than its trial."""
    one, two, n = (float(scene.numbers(role)[place]) for role in ("n_1", "n_2", "n"))
    both = one == n == two
    half = (Change(place, "n_1", float(np.ceil(n / 2))), Change(place, "n_2", float(np.floor(n / 2))))
    return Finding(
        rule="total-as-arm",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: {as_given(one)} and {as_given(two)} people in the arms are more than the "
        f"{as_given(n)} people that {scene.column('n')} gives for the trial.",
        fix="Look into the trial how many people each arm had; in a crossover trial everybody is in both arms, and the "
        "row needs a paired analysis",
        evidence={"n_1": one, "n_2": two, "n": n},
        cells=tuple(Cell(place, role) for role in ("n_1", "n_2", "n")),
        proposals=(Proposal("half of the people in each arm", half),) if both and n >= 4 else (),
    )


def _doubled(scene: Scene, places: Places, total: Floats, double: Bools) -> Iterator[Finding]:
    """Word rows of one study whose arms are both as large as the whole of another row."""
    for place in (int(i) for i in places[double[places]]):
        n = float(scene.numbers("n_1")[place])
        twins = [int(i) for i in places if total[i] == n]
        if not twins:
            continue
        twin = twins[0]
        changes = tuple(Change(place, f"n_{arm}", float(scene.numbers(f"n_{arm}")[twin])) for arm in "12")
        yield Finding(
            rule="total-as-arm",
            severity="warning",
            rows=(place,),
            says=f"{scene.label(place)}: {as_given(n)} people in each arm are as many as both arms of the same study "
            f"have together in {scene.trials.rows[twin]} ({as_given(changes[0].value)} and "
            f"{as_given(changes[1].value)}).",
            fix="Look into the trial whether this is the number of an arm or of the whole trial",
            evidence={"n": n, "n_1": changes[0].value, "n_2": changes[1].value},
            cells=(Cell(place, "n_1"), Cell(place, "n_2")),
            proposals=(Proposal(f"arms as in {scene.trials.rows[twin]}", changes),),
        )


def percent_chance(n: Floats) -> Floats:
    """Return how many of the counts 1 to n are whole percentages of n people, as a share, (k,): about n/100.

    A count e is one where some whole x of 1 to n people has 100 x/n rounded to e, so that e could be x in percent.
    Edges: 1 from 100 people on, where every count is.

    >>> percent_chance(np.array([20.0, 50.0, 120.0])).round(2).tolist()
    [0.2, 0.5, 1.0]
    """
    return np.minimum(n / 100.0, 1.0)


def _as_percentage(events: Floats, n: Floats) -> tuple[Bools, Floats]:
    """Tell which counts are whole percentages of their arms, and of how many events."""
    with np.errstate(divide="ignore", invalid="ignore"):
        real = np.round(events * n / 100)
        return (np.abs(100 * real / n - events) <= 0.5) & (events <= 100) & (real >= 1), real


@rule(
    "percentage-as-count",
    severity="error",
    title="percentages in the place of numbers of events",
    why="A percentage typed as a number of events gives the trial a risk that is 100/n times too high, and events that "
    "nobody had. Where arms have about 100 people nobody sees it; in small ones the ratio is changed as well.",
    needs=[COUNTS],
    cite="xu2022",
)
def percentage_as_count(scene: Scene) -> Outcome:
    """Find counts that contradict the percentage beside them, or that look like percentages.

    Beside a percentage x: found where |100 e/n - x| is beyond rounding; an error where e is x itself. Without one: all
    rows of an outcome, where every count above 0 is a whole percentage of its arm though the product of the chances,
    n/100 each, is below 0.001, a warning. One row: where both counts are such with a chance of up to 0.05, its risk is
    at least twice the median m of the outcome, and more than two robust SDs above it, and the risk with the counts
    read as percentages is within a factor of 2 of m and nearer to it: a warning. Fewer than 5 rows: no single rows.
    """
    findings, done = _beside(scene)
    whole: list[Finding] = []
    passed: list[str] = []
    examined = np.isfinite(scene.numbers("events_1") + scene.numbers("n_1"))
    for values, places in groups(scene.texts("outcome")):
        free = places[~done[places] & examined[places]]
        name = values[0] or "the table"
        if free.size < FEWEST:
            passed += [f"{name}: {free.size} rows with counts, {FEWEST} needed"] if free.size else []
            continue
        whole += _percentages(scene, free)
    told = "; ".join(passed[:3]) + (f", and {len(passed) - 3} more" if len(passed) > 3 else "")
    return Outcome((*findings, *whole), int(examined.sum()), (told,) if told else ())


def _beside(scene: Scene) -> tuple[list[Finding], Bools]:
    """Find counts that contradict the percentages beside them, and tell which rows they are in."""
    findings: list[Finding] = []
    done = np.zeros(scene.k, dtype=bool)
    for arm in (arm for arm in "12" if scene.has(f"percent_{arm}")):
        events, n, percent = (scene.numbers(f"{role}_{arm}") for role in ("events", "n", "percent"))
        ends = rounded(percent, shared_decimals(scene, "percent_1", "percent_2"))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = 100 * events / n
        apart = (share < ends.low - 1e-9) | (share > ends.high + 1e-9)
        done |= apart
        findings += [_contradicted(scene, arm, int(i), float(share[i])) for i in np.flatnonzero(apart)]
    return findings, done


def _contradicted(scene: Scene, arm: str, place: int, share: float) -> Finding:
    """Word one count that its percentage contradicts."""
    events, n, percent = (float(scene.numbers(f"{role}_{arm}")[place]) for role in ("events", "n", "percent"))
    same = abs(events - percent) <= 0.5
    change = Change(place, f"events_{arm}", float(np.round(percent * n / 100)))
    looks = " and looks like the percentage itself" if same else ""
    return Finding(
        rule="percentage-as-count",
        severity="error" if same else "warning",
        rows=(place,),
        says=f"{scene.label(place)}: {as_given(events)} events among {as_given(n)} people of group {arm} are "
        f"{significant(share)}%, but the table has {as_given(percent)}%{looks}.",
        fix="Look into the trial which of the two is right, and for how many people",
        evidence={"events": events, "n": n, "percent": percent},
        cells=tuple(Cell(place, f"{role}_{arm}") for role in ("events", "n", "percent")),
        proposals=(Proposal("count by its percentage", (change,)),),
    )


def _percentages(scene: Scene, places: Places) -> list[Finding]:
    """Find counts of one outcome that look like percentages: all of them, or those of single rows."""
    events = np.array([scene.numbers(f"events_{arm}")[places] for arm in "12"])
    n = np.array([scene.numbers(f"n_{arm}")[places] for arm in "12"])
    fits, real = _as_percentage(events, n)
    some = events > 0
    chances = np.where(some, np.log(percent_chance(n)), 0.0)
    if bool(np.all(fits | ~some)) and float(np.nansum(chances)) < np.log(CHANCE):
        return [_all_percentages(scene, places, np.asarray(real))]
    with np.errstate(divide="ignore", invalid="ignore"):
        risk, other = np.log(events.sum(axis=0) / n.sum(axis=0)), np.log(real.sum(axis=0) / n.sum(axis=0))
    known = np.isfinite(risk)
    if known.sum() < FEWEST:
        return []
    middle = float(np.median(risk[known]))
    spread = 1.4826 * float(np.median(np.abs(risk[known] - middle)))
    high = risk - middle > max(LOG2, 2 * spread)
    likely = np.all(fits | ~some, axis=0) & (chances.sum(axis=0) <= np.log(ROW_CHANCE))
    hit = known & high & likely & (np.abs(other - middle) < np.minimum(LOG2, risk - middle))
    return [_row_percentages(scene, int(places[i]), real[:, i], float(np.exp(middle))) for i in np.flatnonzero(hit)]


def _all_percentages(scene: Scene, places: Places, real: Floats) -> Finding:
    """Word an outcome all of whose counts could be percentages."""
    rows = tuple(int(i) for i in places)
    pairs = [(i, p, arm) for i, p in enumerate(rows) for arm in (0, 1)]
    changes = tuple(Change(p, f"events_{arm + 1}", float(real[arm, i])) for i, p, arm in pairs)
    outcome = scene.texts("outcome")[rows[0]]
    return Finding(
        rule="percentage-as-count",
        severity="warning",
        rows=rows,
        says=f"All numbers of events{f' of {outcome}' if outcome else ''} are whole percentages of their arms, which "
        "numbers of events would be less than once in 1000 such tables.",
        fix="Look into the trials whether these are numbers of people or percentages",
        evidence={"rows": float(len(rows))},
        cells=tuple(Cell(p, f"events_{arm}") for p in rows for arm in "12"),
        proposals=(Proposal("percentages turned into counts", changes),),
    )


def _row_percentages(scene: Scene, place: int, real: Floats, usual: float) -> Finding:
    """Word one row whose counts look like percentages."""
    events, n = ([float(scene.numbers(f"{role}_{arm}")[place]) for arm in "12"] for role in ("events", "n"))
    shown = " and ".join(f"{as_given(e)} of {as_given(m)}" for e, m in zip(events, n, strict=True))
    changes = tuple(Change(place, f"events_{arm}", float(x)) for arm, x in zip("12", real, strict=True))
    return Finding(
        rule="percentage-as-count",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: {shown} people with events are far above the usual {significant(100 * usual)}% of "
        f"this outcome; read as percentages they would be {as_given(float(real[0]))} and {as_given(float(real[1]))} "
        "events, which fits.",
        fix="Look into the trial whether these are numbers of people or percentages",
        evidence={"usual_percent": 100 * usual},
        cells=tuple(Cell(place, f"events_{arm}") for arm in "12"),
        proposals=(Proposal("percentages turned into counts", changes),),
    )


@rule(
    "no-events",
    severity="information",
    title="trials without an event, or with nothing but events",
    why="A trial in which nobody has the event, or everybody, says nothing about a ratio of risks or odds. Programs "
    "leave such trials out, or add half an event to each cell, which pulls the ratio towards 1; about the difference "
    "of risks they do say something. The reader should know how many there are.",
    needs=[COUNTS],
    cite="higgins2024",
)
def no_events(scene: Scene) -> Outcome:
    """Find trials with no event in either arm, or with nothing but events in both; told together per outcome."""
    e1, n1, e2, n2 = (scene.numbers(role) for role in COUNTS.split())
    known = np.isfinite(e1 + n1 + e2 + n2)
    none, all_ = known & (e1 + e2 == 0), known & (e1 == n1) & (e2 == n2)
    findings: list[Finding] = []
    if (none | all_).any():
        for _, places in groups(scene.texts("outcome")):
            findings += [
                _eventless(scene, places[rows[places]], places, words)
                for rows, words in ((none, "no event in either arm"), (all_, "nothing but events in both arms"))
                if rows[places].any()
            ]
    return Outcome(tuple(findings), int(known.sum()))


def _eventless(scene: Scene, rows: Places, places: Places, words: str) -> Finding:
    """Word the trials of one outcome that say nothing about a ratio."""
    more = f" and {rows.size - 6} more" if rows.size > 6 else ""
    outcome, have = scene.texts("outcome")[int(rows[0])], "has" if rows.size == 1 else "have"
    return Finding(
        rule="no-events",
        severity="information",
        rows=tuple(int(i) for i in rows),
        says=f"{rows.size} of {places.size} rows{f' of {outcome}' if outcome else ''} {have} {words}: "
        f"{', '.join(map(scene.label, rows[:6].tolist()))}{more}.",
        fix="Say in the report what was done with them; for rare events compare with a model that needs no half events",
        evidence={"rows": float(rows.size), "of": float(places.size)},
        cells=tuple(Cell(int(i), f"events_{arm}") for i in rows for arm in "12"),
    )


@rule(
    "ratio-against-counts",
    severity="warning",
    title="published ratios that their own counts do not give",
    why="An odds ratio is further from 1 than the risk ratio of the same counts. A published ratio that its counts do "
    "not give was adjusted, rests on other people, has its arms swapped, or is the other ratio.",
    needs=[f"{COUNTS} effect measure"],
    cite="xu2022 higgins2024",
)
def ratio_against_counts(scene: Scene) -> Outcome:
    """Find printed OR, RR or RD that the counts beside them do not give, rounding allowed for.

    Found where the printed number misses the crude one, that with half an event in each cell and, for odds ratios,
    Peto's by more than a tenth of the crude standard error (of ln OR, ln RR or RD). Named where it is the ratio of
    swapped arms, or the other of OR and RR.
    """
    counts = [scene.numbers(role) for role in COUNTS.split()]
    measures, effect = row_measures(scene), scene.numbers("effect")
    ends = rounded(effect, shared_decimals(scene, "effect", "ci_low", "ci_high"))
    findings: list[Finding] = []
    examined = np.zeros(scene.k, dtype=bool)
    for key in ("OR", "RR", "RD"):
        rows = np.array([m == key for m in measures], dtype=bool)
        crude, se = crude_effect(key, *counts)
        own = ends if key == "RD" else _log(ends)
        known = rows & np.isfinite(own.low) & (np.isfinite(crude) | np.isfinite(crude_effect(key, *counts, add=0.5)[0]))
        examined |= known
        usual = [crude, crude_effect(key, *counts, add=0.5)[0], *([_peto(*counts)] if key == "OR" else [])]
        room = SAME * np.where(np.isfinite(se), se, crude_effect(key, *counts, add=0.5)[1])
        apart = known & ~np.any([(x >= own.low - room) & (x <= own.high + room) for x in usual], axis=0)
        findings += told_together(np.flatnonzero(apart).tolist(), partial(_no_ratio, scene, key, own))
    return Outcome(tuple(findings), int(examined.sum()))


def _log(ends: Ends) -> Ends:
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(ends.low > 0, np.log(ends.low), np.nan)
        return Ends(low, np.where(np.isnan(low), np.nan, np.log(ends.high)))


def crude_effect(
    key: str, events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats, *, add: float = 0.0
) -> tuple[Floats, Floats]:
    """Return ln OR, ln RR or RD of counts with its standard error, (k,), nan where a cell is 0.

    >>> effect, se = crude_effect("OR", *(np.array([x]) for x in (12.0, 40.0, 20.0, 40.0)))
    >>> round(float(np.exp(effect[0])), 4), round(float(se[0]), 4)
    (0.4286, 0.468)
    """
    a, c = events_1 + add, events_2 + add
    b, d = n_1 - events_1 + add, n_2 - events_2 + add
    with np.errstate(divide="ignore", invalid="ignore"):
        if key == "RD":
            p, q = a / (a + b), c / (c + d)
            return p - q, np.sqrt(p * (1 - p) / (a + b) + q * (1 - q) / (c + d))
        effect = np.log(a * d / (b * c)) if key == "OR" else np.log(a / (a + b) * (c + d) / c)
        se = np.sqrt(1 / a + 1 / c + (1 / b + 1 / d if key == "OR" else -1 / (a + b) - 1 / (c + d)))
    ok = np.isfinite(effect) & np.isfinite(se)
    return np.where(ok, effect, np.nan), np.where(ok, se, np.nan)


def _peto(events_1: Floats, n_1: Floats, events_2: Floats, n_2: Floats) -> Floats:
    """Return Peto's log odds ratio, (O - E)/V."""
    n, events = n_1 + n_2, events_1 + events_2
    with np.errstate(divide="ignore", invalid="ignore"):
        return (events_1 - events * n_1 / n) / (events * (n - events) * n_1 * n_2 / (n**2 * (n - 1)))


def _no_ratio(scene: Scene, key: str, own: Ends, place: int) -> Finding:
    """Word one printed ratio that its counts do not give."""
    counts = [scene.numbers(role)[place : place + 1] for role in COUNTS.split()]
    crude = crude_effect(key, *counts)[0][0]
    crude = float(crude_effect(key, *counts, add=0.5)[0][0] if np.isnan(crude) else crude)
    shown = crude if key == "RD" else float(np.exp(crude))
    others = {"of its arms swapped": -crude}
    if key != "RD":
        other = "RR" if key == "OR" else "OR"
        others[f"of the {other} instead"] = float(crude_effect(other, *counts)[0][0])
    fits = [words for words, value in others.items() if own.low[place] <= value <= own.high[place]]
    value = float(scene.numbers("effect")[place])
    guess = f" It is that {fits[0]}." if fits else ""
    return Finding(
        rule="ratio-against-counts",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: the published {key} of {as_given(value)} does not follow from its counts, which "
        f"give {significant(shown)}.{guess}",
        fix="Look into the trial whether the published one was adjusted or rests on other people, and which arm is "
        "first",
        evidence={"effect": value, "by_counts": shown},
        cells=tuple(Cell(place, role) for role in ("effect", *COUNTS.split())),
    )
