"""Standard deviations against those of the other trials: standard errors in their place, and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from metaback.checks.findings import SEVERITIES, Cell, Change, Finding, Outcome, Proposal, Severity
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Scene, groups, units
from metaback.numbers import as_given, fixed, significant
from metaback.stats.conversions.spread import pooled_sd_from_ci, pooled_sd_from_f, pooled_sd_from_p, pooled_sd_from_t
from metaback.stats.spreads import Readings, read_spreads

ARMS = ("n_1 sd_1 n_2 sd_2", "n_1 se_1 n_2 se_2", "n sd", "n_1 sd_pre_1", "n_1 sd_post_1")
STEMS = {"sd": "", "sd_pre": " at the start", "sd_post": " at the end"}  # the SDs of a row, each judged among its kind
LOG2 = float(np.log(2))
FEWEST = 4  # studies of one outcome and instrument without which there is nothing to compare a spread with
SUSPECT = 1 / 3  # probability of an SE from which a row is told: a look costs less than the error, by two to one
LIKELY = 0.5  # the same for what makes a trial too light rather than too heavy, and for a spread that fits nothing
HUGE = 3.0  # standardised difference that makes a suspected SE an error; 60% of those beyond it were SEs (Kadlec 2023)
IMPLIED = 0.15  # of the SD that a printed t, P value or interval implies, for rounding and pooling
WIDEST = (
    0.8  # standard deviation of ln SD beyond which rows are no trials of one outcome: a factor of 25 in 95% of them
)
LEAST_P, MOST_P = 0.001, 0.9  # P values that have digits enough to lead back to an SD
SAME_CV = float(np.log(1.5))  # means and SDs that are off by factors nearer than this are off for one reason: a unit
CHANGE = "change"
MEMO = "spreads"


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of each row, (k,) or (k, arms).

    stem: "sd", "sd_pre" or "sd_post"; ends: what ends the names of the roles of each arm; given: whether the SD stands
    in the table, else it comes from an SE; sd, n: SDs (an SE times sqrt(n)), sizes; x: ln of the pooled SD; h: half ln
    of the mean size; df; d: difference of the means in SDs, nan where there is none.
    """

    stem: str
    ends: tuple[str, ...]
    given: Bools
    sd: Floats
    n: Floats
    x: Floats
    h: Floats
    df: Floats
    d: Floats


def means_of(stem: str) -> str:
    """Return the stem of the means that some SDs belong to: `mean_pre` for `sd_pre`."""
    return stem.replace("sd", "mean", 1)


def row_spreads(scene: Scene, stem: str = "sd") -> Spread:
    """Return the spread of every row, from SDs or, where those of "sd" are blank, from SEs of means.

    SD = sqrt(sum of (n_j - 1) sd_j^2 / sum of (n_j - 1)) over the arms.
    """
    if stem == "sd":
        ends = ("_1", "_2") if scene.has("sd_1") or scene.has("se_1") else ("",)
    else:
        ends = tuple(end for end in ("_1", "_2") if scene.has(f"{stem}{end}"))
    n = np.column_stack([scene.numbers(f"n{end}") for end in ends])
    sd = np.column_stack([scene.numbers(f"{stem}{end}") for end in ends])
    given = np.isfinite(sd)
    if stem == "sd" and ends != ("",):
        sd = np.where(given, sd, np.column_stack([scene.numbers(f"se{end}") for end in ends]) * np.sqrt(n))
    df = (n - 1).sum(axis=1)
    ok = (sd > 0).all(axis=1) & (n > 1).all(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = np.where(ok, np.sqrt(((n - 1) * sd**2).sum(axis=1) / df), np.nan)
        mean = means_of(stem)
        d = (scene.numbers(f"{mean}_1") - scene.numbers(f"{mean}_2")) / pooled
        return Spread(stem, ends, given, sd, n, np.log(pooled), 0.5 * np.log(n.mean(axis=1)), df, d)


@dataclass(frozen=True, slots=True)
class Judged:
    """The rows whose spread could be judged: their places, the group of each, what their spreads probably are.

    along: rows whose means are off by the same factor as their SDs; apart: rows of groups whose SDs have too little in
    common to be compared; passed: why others could not be judged.
    """

    units: tuple[str, ...]
    spread: Spread
    places: Places
    group: Places
    readings: Readings
    along: Bools
    apart: Bools
    passed: tuple[str, ...]

    def suspects(self, probability: Floats, least: float | Floats) -> list[int]:
        """Return the positions among the judged rows that are suspected, in the order of the table."""
        found = np.flatnonzero((probability >= least) & ~self.along & ~self.apart)
        return found[np.argsort(self.places[found], kind="stable")].tolist()


def judge(scene: Scene) -> tuple[Judged, ...]:
    """Compare the spread of each row with those of the rows of the same outcome, instrument and kind of scores.

    SDs at the start and at the end of trials are compared each among themselves, so there may be several records. They
    are worked out once for a scene, because five rules ask.
    """
    if MEMO not in scene.memo:
        own = any(scene.has(role) for role in ("sd_1", "se_1", "sd"))
        stems = [stem for stem in STEMS if (own if stem == "sd" else scene.has(f"{stem}_1"))]
        scene.memo[MEMO] = tuple(_judge(scene, row_spreads(scene, stem)) for stem in stems)
    found: tuple[Judged, ...] = scene.memo[MEMO]
    return found


def _judge(scene: Scene, spread: Spread) -> Judged:
    """Work out what `judge` returns of one kind of SDs."""
    types = scene.texts("score_type") if spread.stem == "sd" else ("",) * scene.k
    kinds = tuple(CHANGE if CHANGE in text.casefold() else "" for text in types)
    known = np.isfinite(spread.x) & np.isfinite(spread.h)
    kept: list[Places] = []
    few: list[str] = []
    names, studies = units(scene), scene.texts("study")
    for _, places in groups(names, kinds):
        own = places[known[places]]
        if len({studies[int(i)].strip().casefold() for i in own}) >= FEWEST:
            kept.append(own)
        elif own.size:
            few.append(f"{_unit_words(names[int(own[0])])} ({own.size})")
    group = np.repeat(np.arange(len(kept)), [own.size for own in kept]).astype(np.intp)
    places = np.concatenate(kept).astype(np.intp) if kept else np.zeros(0, dtype=np.intp)
    readings = read_spreads(spread.x[places], spread.h[places], spread.df[places], spread.d[places], group)
    along = _along(scene, means_of(spread.stem), places, group, spread.x[places] - readings.middle)
    apart = readings.between > WIDEST
    wide = [_unit_words(names[int(place)]) for place in places[apart]]
    passed = _passed(few, list(dict.fromkeys(wide)), known, STEMS[spread.stem])
    return Judged(names, spread, places, group, readings, along, apart, passed)


def _unit_words(unit: str) -> str:
    """Name outcome and instrument of a unit, as `pain, vas`."""
    return ", ".join(part.strip() for part in unit.split("|") if part.strip()) or "the table"


def _passed(few: list[str], wide: list[str], known: Bools, when: str) -> tuple[str, ...]:
    """Say which rows could not be compared, in a sentence for each reason; when: which of their SDs."""
    told: list[str] = []
    if few:
        told.append(f"fewer than {FEWEST} studies to compare{when} in {_first(few)}")
    if wide:
        told.append(f"SDs{when} too far apart to be of one outcome and instrument in {_first(wide)}")
    blank = int((~known).sum())
    if blank:
        told.append(f"{blank} {'row' if blank == 1 else 'rows'} without usable numbers of people and SDs{when}")
    return tuple(told)


def _first(names: list[str]) -> str:
    """List the first five names."""
    return "; ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _along(scene: Scene, mean: str, places: Places, group: Places, off: Floats) -> Bools:
    """Tell rows whose means are off by the same factor as their SDs, within 1.5: another unit, not another statistic.

    Only where all means of the group are positive, so that factors have a meaning. mean: stem of the means; off: ln of
    the SDs over the usual.
    """
    means = np.column_stack([scene.numbers(role)[places] for role in (f"{mean}_1", f"{mean}_2", mean)])
    level = np.where(np.isfinite(means), means, 0.0).sum(axis=1) / np.maximum(np.isfinite(means).sum(axis=1), 1)
    found = np.zeros(places.size, dtype=np.bool_)
    far = np.asarray(np.abs(off) > LOG2, dtype=np.bool_).reshape(-1)
    for number in np.unique(group[far]):
        own = np.flatnonzero(group == number)
        if (level[own] > 0).all():
            shift = np.log(level[own]) - np.median(np.log(level[own]))
            found[own] = np.logical_and(far[own], np.abs(shift - off[own]) < SAME_CV)
    return found


def _least(judged: Judged) -> Floats:
    """Return the probability from which each row is told: 1/3, and 1/2 where no difference of means speaks as well."""
    return np.where(np.isfinite(judged.spread.d[judged.places]), SUSPECT, LIKELY)


@rule(
    "se-as-sd",
    severity="error",
    title="standard errors in the place of standard deviations",
    why="A standard error is the SD divided by the square root of n. Taken for an SD it makes a trial look far more "
    "precise, and its standardised difference far larger, than it is: by sqrt(n), about four times in a trial with 15 "
    "people per arm.",
    needs=ARMS,
    cite="kadlec2023 box1968 nakagawa2015",
)
def se_as_sd(scene: Scene) -> Outcome:
    """Find rows whose SDs are too small by about the square root of n, against the other rows of their outcome.

    The probability that they are SEs, `read_spreads`, is at least 1/3, and 1/2 in tables of one group: it weighs ln SD
    and the standardised difference of the row against those of the other rows of one outcome, instrument and kind of
    scores (of 4 studies at least), whatever share of them is wrong. An error where also |d| > 3, or where a printed t,
    P value or interval of the difference implies an SD within 15% of SD sqrt(n); else a warning. Rows whose means are
    off by the same factor are left to the rules of units. SDs at the start and at the end (`sd_pre_1`, `sd_post_1`) are
    judged each among themselves; a row of which both are suspected is one finding.
    """

    def look(judged: Judged) -> list[Finding]:
        wanted = implied_sd(scene, judged.spread)
        hits = judged.suspects(judged.readings.se, _least(judged))
        return [_se_finding(scene, judged, i, float(wanted[judged.places[i]])) for i in hits]

    return _outcome(scene, look)


def _outcome(scene: Scene, look: Callable[[Judged], list[Finding]]) -> Outcome:
    """Return what is found in all kinds of SDs that a table has, one finding for a row."""
    judged = judge(scene)
    examined = {int(place) for part in judged for place in part.places[~part.apart]}
    found = sorted((finding for part in judged for finding in look(part)), key=lambda finding: finding.rows)
    rows = (list(same) for _, same in groupby(found, key=lambda finding: finding.rows))
    return Outcome(tuple(map(_together, rows)), len(examined), tuple(words for part in judged for words in part.passed))


def _together(found: list[Finding]) -> Finding:
    """Return the findings about several SDs of one row as one, the worst severity first."""
    first = min(found, key=lambda finding: SEVERITIES.index(finding.severity))
    if len(found) == 1:
        return first
    rest = [finding.says.partition(": ")[2] for finding in found[1:]]
    made = [proposal for finding in found for proposal in finding.proposals]
    changes = tuple(change for proposal in made for change in proposal.changes)
    return replace(
        first,
        says=" ".join([found[0].says, *(words[0].upper() + words[1:] for words in rest)]),
        evidence={name: value for finding in found for name, value in finding.evidence.items()},
        cells=tuple(cell for finding in found for cell in finding.cells),
        proposals=(replace(made[0], changes=changes),) if made else (),
    )


@rule(
    "sd-as-se",
    severity="warning",
    title="standard deviations that were taken for standard errors",
    why="Where a standard error is reported, the SD is the SE times the square root of n. If that is done to a number "
    "that was an SD already, the trial looks far less precise than it is, its standardised difference shrinks by "
    "sqrt(n), and it hardly counts in the pool.",
    needs=ARMS,
    cite="gotzsche2007 box1968 nakagawa2015",
)
def sd_as_se(scene: Scene) -> Outcome:
    """Find rows whose SDs are too large by about the square root of n: the mirror of `se_as_sd`.

    The probability of that reading, `read_spreads`, is at least 1/2. SDs that come from a column of SEs are judged
    likewise.
    """

    def look(judged: Judged) -> list[Finding]:
        return [_root_finding(scene, judged, i) for i in judged.suspects(judged.readings.root, LIKELY)]

    return _outcome(scene, look)


@rule(
    "sd-outlying",
    severity="warning",
    title="standard deviations unlike those of the other trials",
    why="Trials that use one instrument in similar people have similar SDs. One that stands far off may be a slip of "
    "the decimal point, another unit, the SD of something else (a change, an interval), or a trial in quite other "
    "people, and it decides the weight of the trial and the size of its standardised difference.",
    needs=ARMS,
    cite="box1968 nakagawa2015",
)
def sd_outlying(scene: Scene) -> Outcome:
    """Find rows whose SDs fit the other rows neither as they are nor divided or multiplied by the square root of n.

    The probability that none of the three readings holds, `read_spreads`, is at least 1/2.
    """

    def look(judged: Judged) -> list[Finding]:
        readings = judged.readings
        clear = (readings.se < _least(judged)) & (readings.root < LIKELY)
        hits = judged.suspects(np.where(clear, readings.other, 0.0), LIKELY)
        return [_other_finding(scene, judged, i) for i in hits]

    return _outcome(scene, look)


def suspected_rows(scene: Scene) -> frozenset[int]:
    """Return the places of the rows that `se_as_sd` names, so that other rules do not tell the same fact again."""
    if not any(scene.has(*words.split()) for words in ARMS):
        return frozenset()
    return frozenset(
        int(judged.places[i]) for judged in judge(scene) for i in judged.suspects(judged.readings.se, _least(judged))
    )


def implied_sd(scene: Scene, spread: Spread) -> Floats:
    """Return the pooled SD that a printed t, F, P value or interval of the mean difference implies, (k,), else nan.

    The first that a row has of: a 95% interval of the measure MD; t; F; an exact two-sided P value from 0.001 to 0.9,
    beyond which rounding leaves too few digits. Of SDs at the start or the end nothing is told: what is printed beside
    them may be of the change. Equations: `metaback.stats.conversions.spread`.
    """
    if len(spread.ends) == 1 or spread.stem != "sd":
        return np.full(scene.k, np.nan)
    n_1, n_2 = spread.n[:, 0], spread.n[:, 1]
    diff = scene.numbers("mean_1") - scene.numbers("mean_2")
    p, level = scene.numbers("p"), scene.numbers("ci_level")
    exact = (p >= LEAST_P) & (p <= MOST_P) & _equals(scene.texts("p_bound"), "")
    usual_level = ~np.isfinite(level) | (level == 95)
    low, high = (
        np.where(_equals(scene.texts("measure"), "MD") & usual_level, scene.numbers(f"ci_{end}"), np.nan)
        for end in ("low", "high")
    )
    found = pooled_sd_from_ci(low, high, n_1, n_2)
    for other in (
        pooled_sd_from_t(diff, scene.numbers("t"), n_1, n_2),
        pooled_sd_from_f(diff, scene.numbers("f_value"), n_1, n_2),
        pooled_sd_from_p(diff, np.where(exact, p, np.nan), n_1, n_2),
    ):
        found = np.where(np.isfinite(found), found, other)
    return found


def _equals(texts: tuple[str, ...], wanted: str) -> Bools:
    return np.fromiter((text.strip().upper() == wanted for text in texts), dtype=bool, count=len(texts))


def arm_numbers(spread: Spread, place: int) -> str:
    """Write the SDs of a row: `the SDs 4.1 and 3.8 are`, `the SDs at the end, 4.1 and 3.8, are`."""
    values = [as_given(float(f"{value:.4g}")) for value in spread.sd[place]]
    told, when = " and ".join(values), STEMS[spread.stem]
    noun, verb = ("SD", "is") if len(values) == 1 else ("SDs", "are")
    return f"the {noun}{when}, {told}, {verb}" if when else f"the {noun} {told} {verb}"


def sd_cells(spread: Spread, place: int) -> tuple[Cell, ...]:
    """Return the cells that the SDs of a row were read from."""
    return tuple(Cell(place, _role(spread, place, arm)) for arm in range(len(spread.ends)))


def _role(spread: Spread, place: int, arm: int) -> str:
    return f"{spread.stem if spread.given[place, arm] else 'se'}{spread.ends[arm]}"


def _rescaled(spread: Spread, place: int, power: float) -> tuple[Change, ...]:
    """Return the cells of a row times n^power, as numbers of the columns that they stand in."""
    changes: list[Change] = []
    for arm in range(len(spread.ends)):
        n, role = float(spread.n[place, arm]), _role(spread, place, arm)
        value = float(spread.sd[place, arm]) / (1.0 if spread.given[place, arm] else n**0.5)
        changes.append(Change(place, role, value * n**power))
    return tuple(changes)


def _compared(judged: Judged, i: int) -> str:
    """Say what the other rows have: `the usual 20.1 of the other 9 rows of pain, VAS`."""
    place = int(judged.places[i])
    others = int((judged.group == judged.group[i]).sum()) - 1
    usual = significant(float(np.exp(judged.readings.middle[i])))
    return f"the {usual} that is usual in the other {others} rows of {_unit_words(judged.units[place])}"


def _evidence(judged: Judged, i: int, probability: Floats) -> dict[str, float | str]:
    """Return the numbers that a finding rests on."""
    spread, place = judged.spread, int(judged.places[i])
    found = {"sd": spread.x[place], "usual_sd": judged.readings.middle[i]}
    numbers: dict[str, float | str] = {name: float(np.exp(value)) for name, value in found.items()}
    if np.isfinite(spread.d[place]):
        numbers["d"] = float(spread.d[place])
    numbers["probability"] = float(probability[i])
    return {f"{name}{spread.stem[2:]}": value for name, value in numbers.items()}


def _as_words(values: list[float]) -> str:
    return " and ".join(significant(value) for value in values)


def _se_finding(scene: Scene, judged: Judged, i: int, wanted: float) -> Finding:
    """Word one row whose SDs look like standard errors."""
    spread, place = judged.spread, int(judged.places[i])
    right = np.sqrt(spread.n[place]) * spread.sd[place]
    d, pooled = abs(float(spread.d[place])), float(np.exp(spread.x[place] + spread.h[place]))
    printed = bool(abs(wanted / pooled - 1) < IMPLIED)
    severity: Severity = "error" if printed or d > HUGE else "warning"
    says = (
        f"{scene.label(place)}: {arm_numbers(spread, place)} far below {_compared(judged, i)}; read as "
        f"{'a standard error it belongs to an SD' if right.size == 1 else 'standard errors they belong to SDs'} of "
        f"{_as_words(right.tolist())}, which fits."
    )
    if np.isfinite(d):
        says += f" The difference of {fixed(d)} SDs would then be {fixed(d / float(np.exp(spread.h[place])))}."
    if printed:
        says += f" What is printed of the test or interval implies an SD of about {significant(wanted)}, too."
    evidence = _evidence(judged, i, judged.readings.se) | ({"implied_sd": wanted} if printed else {})
    fix = "Look into the trial's report whether these are SDs or SEs (SEM), and put SDs into the table"
    proposal = Proposal("SEs turned into SDs", _rescaled(spread, place, 0.5))
    return Finding("se-as-sd", severity, (place,), says, fix, evidence, sd_cells(spread, place), (proposal,))


def _root_finding(scene: Scene, judged: Judged, i: int) -> Finding:
    """Word one row whose SDs look like SDs times the square root of n."""
    spread, place = judged.spread, int(judged.places[i])
    right = spread.sd[place] / np.sqrt(spread.n[place])
    source = "" if spread.given[place].all() else " (made of the SEs)"
    says = (
        f"{scene.label(place)}: {arm_numbers(spread, place)}{source} far above {_compared(judged, i)}; divided "
        f"by sqrt(n) the result is {_as_words(right.tolist())}, which fits SDs that were multiplied by sqrt(n) once "
        f"too often."
    )
    fix = "Look into the trial's report whether it prints SDs or SEs, and multiply by sqrt(n) only an SE"
    proposal = Proposal("divided by sqrt(n)", _rescaled(spread, place, -0.5))
    evidence = _evidence(judged, i, judged.readings.root)
    return Finding("sd-as-se", "warning", (place,), says, fix, evidence, sd_cells(spread, place), (proposal,))


def _other_finding(scene: Scene, judged: Judged, i: int) -> Finding:
    """Word one row whose SDs fit no reading."""
    spread, place = judged.spread, int(judged.places[i])
    off = float(spread.x[place] - judged.readings.middle[i])
    factor = as_given(float(f"{np.exp(abs(off)):.2g}"))
    says = (
        f"{scene.label(place)}: {arm_numbers(spread, place)} about {factor} times "
        f"{'larger' if off > 0 else 'smaller'} than {_compared(judged, i)}, and "
        f"{'as a standard error it does' if len(spread.ends) == 1 else 'as standard errors they do'} not fit either."
    )
    fix = "Compare the SDs with the trial's report: decimal point, unit, SDs of changes, ranges or intervals"
    evidence = _evidence(judged, i, judged.readings.other)
    return Finding("sd-outlying", "warning", (place,), says, fix, evidence, sd_cells(spread, place))
