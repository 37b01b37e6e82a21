"""Variances against the number of people: variances taken for standard errors, and intervals of another n."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metaback.checks.findings import Cell, Change, Finding, Outcome, Proposal
from metaback.checks.intervals import level_shares, printed_effects, quantiles
from metaback.checks.rounding import Ends
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Pooled, Scene
from metaback.numbers import as_given, significant
from metaback.stats.conversions.family import critical
from metaback.stats.measures.small_samples import small_sample_factor

FITS = 0.15  # relative: how near a standard error must come to what n gives; arms of unequal size and g move it less
CLASH = 1.5  # factor between two variances that no usual formula explains
ODD = 2.0  # the same for a single row among others that are right
MOST = 0.6  # share of the rows that makes it a matter of the column rather than of a row
MOST_BARE = 0.8  # the same where nobody says that the effects are standardised
FEWEST, FEWEST_BARE = 3, 5  # rows for that
ROOM = 0.05  # relative: what is left of the variance of an SMD once the formulas in use are allowed for
UNEQUAL = 4 / 3  # factor of the variance of arms 1:3 over that of equal arms, where only their sum is known
LISTED = 5  # rows with a finding of their own; more of one kind are told together
SMALLEST = 6.0  # people below whom the formulas of the variance part too far to tell anything
STANDARDISED = frozenset({"SMD", "SMDH", "SMD1", "SMD1H"})


@dataclass(frozen=True, slots=True)
class _Size:
    """The number of people of each row, (k,): in all, and 1/n_1 + 1/n_2, which is 4/N where only N is known."""

    total: Floats
    base: Floats
    arms: Bools


def _size(scene: Scene) -> _Size:
    one, two, n = (scene.numbers(role) for role in ("n_1", "n_2", "n"))
    arms = np.isfinite(one) & np.isfinite(two)
    return _Size(np.where(arms, one + two, n), np.where(arms, 1 / one + 1 / two, 4 / n), arms)


@rule(
    "variance-as-se",
    severity="error",
    title="variances in the place of standard errors, and the other way round",
    why="The variance of an effect is the square of its standard error. A standard error of 0.3 read as a variance "
    "leaves a trial less than a third of its weight; a variance of 0.09 read as a standard error gives it eleven times "
    "its weight. Large trials are hit hardest.",
    needs=[
        f"{effect} {spread} {n}"
        for effect in ("yi", "effect")
        for spread in ("vi", "sei", "se")
        for n in ("n_1 n_2", "n")
    ],
    cite="hedges1981 kadlec2023",
)
def variance_as_se(scene: Scene) -> Outcome:
    """Find standardised effects whose variance is the root, or the square, of the one that their n gives.

    v' = 1/n_1 + 1/n_2 + g^2/(2N), 4/N + g^2/(2N) where only N is known. A row is hit where v lies within 15% of
    sqrt(v') (a standard error given as variance) or sqrt(v) within 15% of v' (a variance given as standard error), and
    v and v' differ by more than a factor of 1.5. An error where 60% of three rows or more are hit; of bare effects, of
    which nobody says that they are standardised, 80% of five rows or more. A single row among others is a warning
    where v and v' differ by more than 2.
    """
    size = _size(scene)
    findings: list[Finding] = []
    examined = 0
    for pool in scene.pools:
        if pool.measure not in STANDARDISED | {"GEN"}:
            continue
        spots = pool.places
        with np.errstate(divide="ignore", invalid="ignore"):
            theory = size.base[spots] + pool.yi**2 / (2 * size.total[spots])
            ratio = pool.vi / theory
            as_variance = np.abs(pool.vi / np.sqrt(theory) - 1) <= FITS
            squared = np.abs(np.sqrt(pool.vi) / theory - 1) <= FITS
        known = np.isfinite(ratio) & ~pool.computed
        examined += int(known.sum())
        for hit, square in ((as_variance, True), (squared, False)):
            clash = known & hit & (np.maximum(ratio, 1 / ratio) > CLASH)
            findings += _swapped(scene, pool, clash, known, square, np.asarray(theory))
    measures = {pool.measure for pool in scene.pools} - STANDARDISED - {"GEN"}
    passed = (f"{', '.join(sorted(measures))}: n alone does not give the variance",) if measures else ()
    return Outcome(tuple(findings), examined, passed)


def _swapped(scene: Scene, pool: Pooled, hit: Bools, known: Bools, square: bool, theory: Floats) -> Iterator[Finding]:
    """Word the rows of a pool that are hit: together where they are most of it, else one by one."""
    bare = pool.measure == "GEN"
    most, fewest = (MOST_BARE, FEWEST_BARE) if bare else (MOST, FEWEST)
    if int(known.sum()) >= fewest and hit.sum() >= most * known.sum():
        yield _swap(scene, pool, np.flatnonzero(hit), square, theory, "error")
    elif not bare:
        ratio = pool.vi / theory
        for i in np.flatnonzero(hit & (np.maximum(ratio, 1 / ratio) > ODD)):
            yield _swap(scene, pool, np.array([i]), square, theory, "warning")


def _swap(scene: Scene, pool: Pooled, spots: Places, square: bool, theory: Floats, severity: str) -> Finding:
    """Word rows whose spread is the square, or the root, of the one that it should be."""
    places = [int(pool.places[i]) for i in spots]
    roles = [
        next(r for r in ("vi", "sei", "se") if np.isfinite(scene.numbers(r)[p])) if _direct(scene, p) else ""
        for p in places
    ]
    pairs = [(p, r) for p, r in zip(places, roles, strict=True) if r]
    first, i = places[0], int(spots[0])
    se, right = float(np.sqrt(pool.vi[i])), float(np.sqrt(theory[i]))
    n = float(_size(scene).total[first])
    more = f"; {len(places) - 1} more of {int(pool.estimable.sum())} rows are alike" if len(places) > 1 else ""
    what = "a standard error in the place of a variance" if square else "a variance in the place of a standard error"
    changes = tuple(
        Change(p, r, float(scene.numbers(r)[p] ** 2 if square else np.sqrt(scene.numbers(r)[p]))) for p, r in pairs
    )
    return Finding(
        rule="variance-as-se",
        severity="error" if severity == "error" else "warning",
        rows=tuple(places),
        says=f"{scene.label(first)}: the standard error is {significant(se)} as the table has it, where a standardised "
        f"effect of {significant(float(pool.yi[i]))} with {as_given(n)} people has about {significant(right)}; this "
        f"looks like {what}{more}.",
        fix=f"Check what the column {scene.column(roles[0])} holds, and name it vi for variances or sei for standard "
        "errors"
        if roles[0]
        else "Check what the intervals were made from",
        evidence={"se": se, "se_by_n": right, "n": n, "rows": float(len(places))},
        cells=tuple(Cell(p, r) for p, r in pairs),
        proposals=(Proposal("squares taken" if square else "square roots taken", changes),) if changes else (),
    )


def _direct(scene: Scene, place: int) -> bool:
    """Tell whether a row has a spread of its own, and not only limits."""
    return any(np.isfinite(scene.numbers(role)[place]) for role in ("vi", "sei", "se"))


@rule(
    "interval-against-n",
    severity="warning",
    title="intervals of standardised differences that need another number of people",
    why="The width of the interval of a standardised mean difference follows from the number of people and hardly from "
    "anything else. Where it does not, the table may give randomised people for analysed ones, the total for an arm, "
    "another level than 95%, or a trial was analysed with its baseline or its clusters.",
    needs=["effect ci_low ci_high n_1 n_2", "effect ci_low ci_high n"],
    cite="hedges1981 gotzsche2007",
)
def interval_against_n(scene: Scene) -> Outcome:
    """Find printed SMDs whose interval has a variance that no usual formula gives for their n.

    v = ((u - l)/(2c))^2 with c of the normal or of t on N - 2, for all numbers that round to what is printed. The
    formulas in use lie between J^2 (1/n_1 + 1/n_2 + g^2/(2N)) and 1/n_1 + 1/n_2 + (g/J)^2/(2(N - 3.94)). Found where v
    is more than 5% outside; where only N is known, arms of 1:3 are allowed for. The N that the interval needs is
    N v'/v. Rows whose interval fits as one of 90 or 99% are told as such.
    """
    told = printed_effects(scene)
    size = _size(scene)
    rows = np.array([key == "SMD" for key in told.measures], dtype=bool) & (size.total >= SMALLEST)
    z = critical(level_shares(scene))
    df = np.where(rows, size.total - 2, np.nan)
    effect, factor = np.abs(scene.numbers("effect")), small_sample_factor(df)
    low = factor**2 * (size.base + effect**2 / (2 * size.total)) * (1 - ROOM)
    high = (size.base + (effect / factor) ** 2 / (2 * np.where(rows, size.total - 3.94, np.nan))) * (1 + ROOM)
    high = np.where(size.arms, high, high * UNEQUAL)
    widths = told.widths
    t = quantiles(level_shares(scene), df)
    own = Ends((widths.low / (2 * t)) ** 2, (widths.high / (2 * z)) ** 2)
    known = rows & np.isfinite(own.low) & np.isfinite(low)
    off = known & ((own.high < low) | (own.low > high))
    middle = ((widths.low + widths.high) / (4 * z)) ** 2
    needed = size.total * (size.base + effect**2 / (2 * size.total)) / middle
    findings = tuple(_other_sizes(scene, off, _levels(scene, own, low, high, off), needed, size.total))
    return Outcome(findings, int(known.sum()), () if known.any() else ("no row has a printed SMD, its interval and n",))


def _levels(scene: Scene, own: Ends, low: Floats, high: Floats, off: Bools) -> Floats:
    """Return the level at which an interval fits its n, nan where none does or where the table gives levels."""
    found = np.full(scene.k, np.nan)
    if scene.has("ci_level"):
        return found
    for level in (90.0, 99.0):
        factor = float(critical(0.95) / critical(level / 100)) ** 2
        found = np.where(off & (own.high * factor >= low) & (own.low * factor <= high), level, found)
    return found


def _other_sizes(scene: Scene, off: Bools, levels: Floats, needed: Floats, total: Floats) -> Iterator[Finding]:
    """Word the rows: each by itself where they are few, else together; and those of another level together."""
    for level in (90.0, 99.0):
        places = np.flatnonzero(off & (levels == level))
        if places.size >= FEWEST:
            off = off & (levels != level)
            yield _sized(scene, places, needed, total, level)
    for kind in (needed > total, needed <= total):
        places = np.flatnonzero(off & kind)
        for part in places.reshape(-1, 1) if places.size <= LISTED else places.reshape(1, -1):
            level = float(levels[part[0]]) if part.size == 1 else np.nan
            yield _sized(scene, part, needed, total, level)


def _sized(scene: Scene, places: Places, needed: Floats, total: Floats, level: float) -> Finding:
    """Word rows whose interval needs another n, or is one of another level."""
    first = int(places[0])
    low, high = (as_given(float(scene.numbers(role)[first])) for role in ("ci_low", "ci_high"))
    narrow = needed[first] > total[first]
    others = f"; so it is in {places.size - 1} more rows" if places.size > 1 else ""
    guess = f" It fits as an interval of {level:.0f}%." if np.isfinite(level) else ""
    cause = "an analysis with baseline values" if narrow else "fewer people analysed, or an analysis with clusters"
    proposals = tuple(
        Proposal(f"intervals of {level:.0f}%", tuple(Change(int(i), "ci_level", level) for i in places))
        for _ in range(int(np.isfinite(level)))
    )
    has_arms = np.isfinite(scene.numbers("n_1")[first])
    return Finding(
        rule="interval-against-n",
        severity="warning",
        rows=tuple(int(i) for i in places),
        says=f"{scene.label(first)}: the interval {low} to {high} of this SMD needs about {needed[first]:.0f} people, "
        f"where the table has {total[first]:.0f}{others}.{guess}",
        fix="Look into the trial how many people were analysed and how the interval was made: "
        f"{cause} would explain it",
        evidence={"n": float(total[first]), "n_of_interval": float(needed[first]), "rows": float(places.size)},
        cells=tuple(
            Cell(int(i), role)
            for i in places
            for role in ("ci_low", "ci_high", *(("n_1", "n_2") if has_arms else ("n",)))
        ),
        proposals=proposals,
    )
