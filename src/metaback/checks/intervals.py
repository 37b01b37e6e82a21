"""Printed effects against their own intervals and standard errors: the scale, the level, and which number is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metaback.checks.findings import Cell, Change, Finding, Outcome, Proposal
from metaback.checks.rounding import Ends, rounded, shared_decimals
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Scene
from metaback.numbers import as_given, significant
from metaback.stats.conversions.family import critical
from metaback.stats.measures import MEASURES, about

LEAN = 0.2  # of the half width: exact, likelihood and bootstrap intervals lean that much on the analysis scale
CENTRAL = 0.1  # of the half width: coarser rounding cannot tell on which scale an interval is symmetric
SAME = 0.1  # relative: standard errors of two sources that differ less are the same to two digits
NEAR = 0.03  # relative: how well another reading must fit, so that 90, 95 and 99% stay apart
FEW = 10.0  # degrees of freedom of the t interval that is allowed for where n is unknown
LEVELS = (90.0, 99.0)
# Measures on scales without ends, whose usual intervals are symmetric; those of proportions and correlations are not.
SYMMETRIC = frozenset(["MD", "SMD", "SMDH", "SMD1", "SMD1H", "MC", "MDCH", "SMDCH", "SMCC", "SMCR", "SMCRH", "GEN"])
TRIO = ("effect", "ci_low", "ci_high")
LISTED = 12  # rows with a finding of their own; more of one kind are told as one


def row_measures(scene: Scene) -> tuple[str, ...]:
    """Return the measure of each row's printed effect: as its row names it, else that of its pool, "" for none."""
    found = [text.strip().upper() for text in scene.texts("measure")]
    for pool in scene.pools:
        for place in pool.places.tolist():
            found[place] = found[place] or pool.measure
    return tuple(found)


def told_together(places: Sequence[int], word: Callable[[int], Finding]) -> list[Finding]:
    """Return a finding for each row, or one for all where there are more than 12, worded by the first of them."""
    if len(places) <= LISTED:
        return [word(place) for place in places]
    first = word(places[0])
    cells = tuple(replace(cell, place=place) for place in places for cell in first.cells)
    says = f"{first.says} {len(places) - 1} more rows are alike."
    return [replace(first, rows=tuple(places), says=says, cells=cells, proposals=())]


@dataclass(frozen=True, slots=True)
class Lean:
    """How far effects are from the middle of their intervals on one scale, (k,), nan where it cannot be told.

    away: distance in half widths; room: what rounding explains of it, in half widths.
    """

    away: Floats
    room: Floats

    @property
    def central(self) -> Bools:
        """Tell which intervals are symmetric within rounding, where rounding is fine enough to tell."""
        return (self.away <= self.room) & (self.room < CENTRAL)

    @property
    def off(self) -> Bools:
        """Tell which intervals lean more than rounding and usual methods explain."""
        return self.away > self.room + LEAN


def lean_of(trio: tuple[Ends, Ends, Ends]) -> Lean:
    """Return how far effects are from the middle of their intervals: |e - (l + u)/2| / ((u - l)/2)."""
    effect, low, high = ((ends.low + ends.high) / 2 for ends in trio)
    room = sum((ends.high - ends.low) / (2 if i == 0 else 4) for i, ends in enumerate(trio))
    half = (high - low) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        usable = np.where(half > 0, half, np.nan)
        return Lean(np.abs(effect - (low + high) / 2) / usable, room / usable)


def logs(ends: Ends) -> Ends:
    """Return the logarithms of positive intervals, nan where one reaches 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(ends.low > 0, np.log(ends.low), np.nan)
        return Ends(low, np.where(np.isnan(low), np.nan, np.log(ends.high)))


@dataclass(frozen=True, slots=True)
class Printed:
    """Printed effects with their limits: the numbers, what rounding leaves of them, and the scale of each row."""

    measures: tuple[str, ...]
    ratio: Bools
    linear: Bools
    trio: tuple[Ends, Ends, Ends]

    @property
    def widths(self) -> Ends:
        """Return the widths of the intervals on the scale of each row's analysis, nan where it is not known."""
        low, high = self.trio[1:]
        one, two = logs(low), logs(high)
        narrow = np.where(self.ratio, two.low - one.high, np.where(self.linear, high.low - low.high, np.nan))
        wide = np.where(self.ratio, two.high - one.low, np.where(self.linear, high.high - low.low, np.nan))
        return Ends(np.maximum(narrow, 0.0), wide)


def printed_effects(scene: Scene) -> Printed:
    """Return the printed effects of a table."""
    measures = row_measures(scene)
    log = {key: key in MEASURES and about(key).scale == "log" for key in set(measures)}
    digits = shared_decimals(scene, *TRIO)
    effect, low, high = (rounded(scene.numbers(role), digits) for role in TRIO)
    return Printed(
        measures,
        np.array([log[key] for key in measures], dtype=bool),
        np.array([key in SYMMETRIC for key in measures], dtype=bool),
        (effect, low, high),
    )


@rule(
    "interval-off-centre",
    severity="error",
    title="intervals that are not symmetric where they should be",
    why="The interval of a ratio is symmetric about its logarithm, that of a difference about the difference itself. "
    "Where it is the other way round, ratios were taken for differences or logarithms for ratios, and the pool weighs "
    "and averages the wrong numbers. Where it is symmetric on neither scale, a limit or a sign may be mistyped.",
    needs=["effect ci_low ci_high"],
    cite="higgins2024",
)
def interval_off_centre(scene: Scene) -> Outcome:
    """Find printed effects that are not in the middle of their interval on the scale of their measure.

    With away = |e - (l + u)/2| / ((u - l)/2) and room what the rounding of all three explains: off where
    away > room + 0.2. On a log scale e, l and u are logarithms. Off, but symmetric within rounding on the other scale
    (room < 0.1): an error where two rows of the measure or more are so, told with the rows that fit both scales; else
    a warning. Off on both: a warning.
    """
    told = printed_effects(scene)
    plain, log = lean_of(told.trio), lean_of(tuple(map(logs, told.trio)))  # type: ignore[arg-type]  # three stay three
    judged = (told.ratio & np.isfinite(log.away)) | (told.linear & np.isfinite(plain.away))
    as_logs = _with_alike(told, told.ratio & log.off & plain.central, plain, log)
    as_ratios = _with_alike(told, told.linear & plain.off & log.central, log, plain)
    other = ((told.ratio & log.off) | (told.linear & plain.off)) & ~as_logs & ~as_ratios
    findings = [
        *_other_scale(scene, told, as_logs, "arithmetic"),
        *_other_scale(scene, told, as_ratios, "geometric"),
        *told_together(
            np.flatnonzero(other).tolist(), lambda i: _leaning(scene, told, i, log if told.ratio[i] else plain)
        ),
    ]
    return Outcome(tuple(findings), int(judged.sum()), _unjudged(scene, judged))


def _with_alike(told: Printed, rows: Bools, other: Lean, own: Lean) -> Bools:
    """Add the rows of a measure that fit the other scale too, where two rows fit that only and none its own only.

    Narrow intervals are symmetric on both scales, but a column holds one kind of number.
    """
    found = rows.copy()
    for measure in dict.fromkeys(told.measures[i] for i in np.flatnonzero(rows)):
        same = np.array([key == measure for key in told.measures], dtype=bool)
        if (rows & same).sum() > 1 and not (same & other.off & own.central).any():
            found |= same & (other.away <= other.room)
    return found


def _unjudged(scene: Scene, judged: Bools) -> tuple[str, ...]:
    left = np.isfinite(scene.numbers("effect")) & np.isfinite(scene.numbers("ci_low")) & ~judged
    if not left.any():
        return ()
    return (f"{int(left.sum())} printed intervals are of measures on bounded scales, or of none that is known",)


def _other_scale(scene: Scene, told: Printed, rows: Bools, mean: str) -> Iterator[Finding]:
    """Word the rows of each measure whose intervals are symmetric on the other scale only."""
    for measure in dict.fromkeys(told.measures[i] for i in np.flatnonzero(rows)):
        places = [int(i) for i in np.flatnonzero(rows) if told.measures[i] == measure]
        first = places[0]
        effect, low, high = (float(scene.numbers(role)[first]) for role in TRIO)
        middle = (low + high) / 2 if mean == "arithmetic" else float(np.sqrt(low * high))
        wrong = float(np.sqrt(low * high)) if mean == "arithmetic" and low > 0 else (low + high) / 2
        turn = np.exp if mean == "arithmetic" else np.log
        read, name = (
            ("logarithms", "logarithms turned into ratios") if turn is np.exp else ("ratios", "their logarithms")
        )
        more = f", as {len(places) - 1} more rows do" if len(places) > 1 else ""
        yield Finding(
            rule="interval-off-centre",
            severity="error" if len(places) > 1 else "warning",
            rows=tuple(places),
            says=f"{scene.label(first)}: {as_given(effect)} lies at the {mean} middle ({significant(middle)}) of its "
            f"interval {as_given(low)} to {as_given(high)}{more}, where the measure {measure} would have it at "
            f"{significant(wrong)}: the numbers look like {read}.",
            fix=f"Look into the source on which scale these effects stand; if they are {read}, say so by their measure",
            evidence={"effect": effect, "middle": middle, "middle_of_measure": wrong, "rows": float(len(places))},
            cells=tuple(Cell(i, role) for i in places for role in TRIO),
            proposals=(
                Proposal(name, tuple(Change(i, r, float(turn(scene.numbers(r)[i]))) for i in places for r in TRIO)),
            ),
        )


def _leaning(scene: Scene, told: Printed, place: int, lean: Lean) -> Finding:
    """Word one row whose interval is symmetric on no scale, with the sign that would mend it."""
    effect, low, high = (float(scene.numbers(role)[place]) for role in TRIO)
    ratio = bool(told.ratio[place])
    middle = float(np.sqrt(low * high)) if ratio else (low + high) / 2
    flips = [] if ratio else [Change(place, r, -v) for r, v in zip(TRIO, (effect, low, high), strict=True) if v]
    fits = [change for change in flips if _fits(scene, told, place, change)]
    sign = f" With the sign of {scene.column(fits[0].role)} turned it would be." if fits else ""
    return Finding(
        rule="interval-off-centre",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: the effect {as_given(effect)} is not near the middle of its interval "
        f"{as_given(low)} to {as_given(high)}{' on the log scale' if ratio else ''}, which is "
        f"{significant(middle)}.{sign}",
        fix="Compare effect and limits with the source: a digit, a sign or a limit may be mistyped; exact and "
        "bootstrap intervals lean, but rarely so far",
        evidence={"effect": effect, "middle": middle, "half_widths_away": float(lean.away[place])},
        cells=tuple(Cell(place, role) for role in TRIO),
        proposals=tuple(Proposal(f"sign of {scene.column(change.role)} turned", (change,)) for change in fits),
    )


def _fits(scene: Scene, told: Printed, place: int, change: Change) -> bool:
    """Tell whether an interval is symmetric within rounding once one number has another sign."""
    values = [change.value if role == change.role else float(scene.numbers(role)[place]) for role in TRIO]
    half = float(told.trio[0].high[place] - told.trio[0].low[place]) / 2
    effect, low, high = (Ends(np.array([v - half]), np.array([v + half])) for v in values)
    return values[1] < values[0] < values[2] and bool(lean_of((effect, low, high)).central[0])


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a standard error and an interval that contradict each other may mean: rows, words and what to change."""

    key: str
    rows: Bools
    words: str
    cure: str
    role: str = ""
    values: Floats | None = None


@rule(
    "se-against-interval",
    severity="error",
    title="standard errors that contradict the intervals beside them",
    why="An interval is the effect give or take about two standard errors. Where both stand in a row and do not fit, "
    "one of them is something else: a variance, an SD, a half width, or limits of another level. The weight of the "
    "trial hangs on which of the two is believed.",
    needs=["effect ci_low ci_high se", "effect ci_low ci_high sei", "effect ci_low ci_high vi"],
    cite="higgins2024",
)
def se_against_interval(scene: Scene) -> Outcome:
    """Find rows whose standard error differs from that of their interval by more than 10%, rounding apart.

    With SE' = (u - l) / (2 z) on the analysis scale and q = SE'/SE: found where q > 1.1 t/z or q < 0.9 for every
    number that rounds to what is printed, t on n_1 + n_2 - 2 degrees of freedom (10 where n is unknown). Readings that
    fit within 3% are named: limits of 90 or 99%, a variance as SE (SE = SE'^2), an SE as variance, a half width as SE.
    An error where two rows or more hold variances or half widths, else a warning.
    """
    told = printed_effects(scene)
    level = level_shares(scene)
    z = critical(level)
    n = scene.numbers("n_1") + scene.numbers("n_2")
    slack = quantiles(level, np.where(n > 3, n - 2, FEW)) / z
    own = Ends(told.widths.low / (2 * z), told.widths.high / (2 * z))
    findings: list[Finding] = []
    examined = np.zeros(scene.k, dtype=bool)
    for role in (role for role in ("se", "sei", "vi") if scene.has(role)):
        value = scene.numbers(role)
        ends = rounded(value, shared_decimals(scene, role), at_least=0.0)
        low, high = (np.sqrt(ends.low), np.sqrt(ends.high)) if role == "vi" else (ends.low, ends.high)
        apart = (own.low > (1 + SAME) * slack * high) | (own.high < (1 - SAME) * low)
        if role == "se":  # beside a ratio it may be the one of the ratio itself, by the delta method
            e = np.abs(scene.numbers("effect"))
            apart &= ~told.ratio | (own.low * e > (1 + SAME) * slack * high) | (own.high * e < (1 - SAME) * low)
        examined |= np.isfinite(own.low) & np.isfinite(value)
        fresh = apart & ~np.isin(np.arange(scene.k), [row for found in findings for row in found.rows])
        findings += _contradictions(scene, role, own, fresh)
    return Outcome(tuple(findings), int(examined.sum()))


def level_shares(scene: Scene) -> Floats:
    """Return the level of each row's interval as in 0.95, which it is where nothing is said."""
    level = scene.numbers("ci_level")
    return np.where(np.isnan(level), 0.95, np.where(level > 1, level / 100, level))


def quantiles(level: Floats, df: Floats) -> Floats:
    """Return the two-sided critical values of t, (k,), each pair of level and df once, because quantiles are slow."""
    pairs, back = np.unique(np.stack([level, np.where(df > 0, df, -1.0)]), axis=1, return_inverse=True)
    return critical(*pairs)[np.ravel(back)]


def _readings(scene: Scene, role: str, own: Ends) -> Iterator[_Reading]:
    """Yield what a standard error may be that does not fit its interval, likeliest first."""
    value, middle = scene.numbers(role), (own.low + own.high) / 2
    se = np.sqrt(value) if role == "vi" else value
    if role == "vi":
        fits = _near(own, value)
        yield _Reading("se", fits, "they are standard errors", "square them", role, value**2)
    else:
        fits = _near(Ends(own.low**2, own.high**2), value) & ~_near(own, value)
        yield _Reading("variance", fits, "they are variances", "take their square roots", role, np.sqrt(value))
        fits = _near(Ends(own.low * critical(0.95), own.high * critical(0.95)), value)
        half = value / float(critical(0.95))
        yield _Reading("half width", fits, "they are half widths of the interval", "divide them by 1.96", role, half)
    if not scene.has("ci_level"):
        for level in LEVELS:
            factor = float(critical(level / 100) / critical(0.95))
            words = f"the interval is one of {level:.0f}%"
            column = np.full(scene.k, level)
            yield _Reading(words, _near(own, se * factor), words, "give the level of the interval", "ci_level", column)
    yield _Reading("other", np.isfinite(middle), "", "")


def _near(ends: Ends, value: Floats) -> Bools:
    return (value >= ends.low * (1 - NEAR)) & (value <= ends.high * (1 + NEAR))


def _contradictions(scene: Scene, role: str, own: Ends, rows: Bools) -> Iterator[Finding]:
    """Word the rows of each reading."""
    left = rows.copy()
    for reading in _readings(scene, role, own):
        places = [int(i) for i in np.flatnonzero(left & reading.rows)]
        left &= ~reading.rows
        if not places:
            continue
        first, column = places[0], scene.column(role)
        value, se = float(scene.numbers(role)[first]), float((own.low[first] + own.high[first]) / 2)
        more = f"; {len(places) - 1} more rows are alike" if len(places) > 1 else ""
        words = f" It would fit if {reading.words}{more}." if reading.words else f"{more}."
        start = (
            f"{scene.label(first)}: {column} is {as_given(value)}, but the interval {_limits(scene, first)} is that of"
        )
        size = f" a variance of {significant(se**2)}" if role == "vi" else f" a standard error of {significant(se)}"
        changes = (
            () if reading.values is None else tuple(Change(i, reading.role, float(reading.values[i])) for i in places)
        )
        yield Finding(
            rule="se-against-interval",
            severity="error" if len(places) > 1 and reading.key in {"variance", "se", "half width"} else "warning",
            rows=tuple(places),
            says=f"{start}{size}{'.' if reading.words else ''}{words}",
            fix="Look into the source which of the two is right"
            + (f"; if {reading.words}, {reading.cure}" if reading.cure else ""),
            evidence={role: value, "se_of_interval": se, "rows": float(len(places)), "reading": reading.key},
            cells=tuple(Cell(i, r) for i in places for r in (role, "ci_low", "ci_high")),
            proposals=(Proposal(f"as if {reading.words}", changes),) if changes else (),
        )


def _limits(scene: Scene, place: int) -> str:
    return " to ".join(as_given(float(scene.numbers(role)[place])) for role in TRIO[1:])
