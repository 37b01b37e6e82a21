"""Printed tests and effects against the means, SDs and numbers of people beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from metaback.checks.findings import Cell, Change, Finding, Outcome, Proposal
from metaback.checks.intervals import quantiles, row_measures, told_together
from metaback.checks.rounding import Ends, printed, rounded, shared_decimals
from metaback.checks.rules import rule
from metaback.checks.scene import Bools, Floats, Places, Scene
from metaback.numbers import as_given, p_phrase, parse_number, significant
from metaback.stats.conversions.family import t_from_p
from metaback.stats.intervals.family import two_sided_p
from metaback.stats.measures.small_samples import small_sample_factor

ARMS = "n_1 mean_1 sd_1 n_2 mean_2 sd_2"
CHANGES = "n_1 mean_change_1 sd_change_1 n_2 mean_change_2 sd_change_2"
SAME = 0.1  # relative: standard errors that differ less are the same to two digits
NEAR = 0.15  # relative: how well SDs read as standard errors must fit the printed test
ADJUSTED = 0.4  # an analysis with baseline values has an SE of sqrt(1 - r^2): 0.44 with r = 0.9
ROUND_P = (0.05, 0.01, 0.001, 0.0001)  # P values that people write for "less than"
ZERO_P = 0.01  # what a printed P of 0 may stand for: 0.00 with two decimals, cut off
APART = 0.05  # SMDs that differ less are the same to a reader
LEAST = 1e-300
ZEROS = (*(f"{stem}{arm}" for stem in ("p_change", "se_change") for arm in ("", "_1", "_2")), "p", "se_1", "se_2")


@dataclass(frozen=True, slots=True)
class _Groups:
    """Two groups by mean, SD and n: the size of their difference and its standard errors, as printed, (k,).

    pooled, welch: standard errors of Student's and Welch's test; df, df_welch: their degrees of freedom.
    """

    size: Ends
    pooled: Ends
    welch: Ends
    df: Floats
    df_welch: Floats


def _groups(scene: Scene, roles: str) -> _Groups:
    """Return two groups as their numbers are printed."""
    n1, mean1, sd1, n2, mean2, sd2 = roles.split()
    ends = printed(scene, mean1, sd1, mean2, sd2)
    one, two = scene.numbers(n1), scene.numbers(n2)
    size = np.abs(scene.numbers(mean1) - scene.numbers(mean2))
    room = (ends[mean1].high - ends[mean1].low + ends[mean2].high - ends[mean2].low) / 2
    df = one + two - 2
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled, welch = (_errors(ends[sd1], ends[sd2], by, one, two) for by in ("pooled", "welch"))
        parts = scene.numbers(sd1) ** 2 / one, scene.numbers(sd2) ** 2 / two
        df_welch = (parts[0] + parts[1]) ** 2 / (parts[0] ** 2 / (one - 1) + parts[1] ** 2 / (two - 1))
    return _Groups(Ends(np.maximum(size - room, 0.0), size + room), pooled, welch, df, df_welch)


def _errors(sd1: Ends, sd2: Ends, by: str, n1: Floats, n2: Floats) -> Ends:
    """Return the standard error of a difference between means, by Student's formula or by Welch's."""
    weights = ((n1 - 1) / (n1 + n2 - 2), (n2 - 1) / (n1 + n2 - 2)) if by == "pooled" else (1 / n1, 1 / n2)
    share = 1 / n1 + 1 / n2 if by == "pooled" else 1.0
    return Ends(
        np.sqrt((weights[0] * sd1.low**2 + weights[1] * sd2.low**2) * share),
        np.sqrt((weights[0] * sd1.high**2 + weights[1] * sd2.high**2) * share),
    )


@dataclass(frozen=True, slots=True)
class _Test:
    """What rows print of a test of two groups, (k,): by which role, and what it stands for after rounding.

    stat: least and largest |t| where t or F is printed; p: least and largest P where that is.
    """

    role: str
    stat: Ends | None = None
    p: Ends | None = None

    @property
    def known(self) -> Bools:
        """Tell which rows print it, (k,)."""
        ends = self.stat or self.p
        return np.isfinite(ends.low) if ends else np.zeros(0, dtype=bool)

    def statistic(self, df: Floats, spots: Places, sides: int = 2) -> Ends:
        """Return the least and largest |t| of some rows on df degrees of freedom, (m,); infinite where P may be 0."""
        if self.p is None:
            ends = self.stat or Ends(df, df)
            return Ends(ends.low[spots], ends.high[spots])
        low, high = self.p.low[spots], self.p.high[spots]
        if sides == 1:  # from either end, so that the wrong side is allowed for
            most = np.where(high < 0.5, 2 * high, np.where(low > 0.5, 2 * (1 - low), 1.0))
            low, high = 2 * np.minimum(low, 1 - high), most
        least = t_from_p(np.clip(high, LEAST, 1.0), df[spots])
        return Ends(least, np.where(low <= 0, np.inf, t_from_p(np.clip(low, LEAST, 1.0), df[spots])))


def _tests(scene: Scene) -> Iterator[_Test]:
    """Yield what the table prints of tests, the most telling first."""
    t, f = scene.numbers("t"), scene.numbers("f_value")
    if scene.has("t"):
        yield _Test("t", stat=rounded(np.abs(t), shared_decimals(scene, "t"), at_least=0.0))
    if scene.has("f_value"):
        ends = rounded(f, shared_decimals(scene, "f_value"), at_least=0.0)
        yield _Test("f_value", stat=Ends(np.sqrt(ends.low), np.sqrt(ends.high)))
    if scene.has("p") or scene.has("p_bound"):
        yield _Test("p", p=_probabilities(scene))


def _probabilities(scene: Scene) -> Ends:
    """Return what printed P values stand for; those that are often written for "less than" reach down to 0."""
    p = scene.numbers("p")
    ends = rounded(p, shared_decimals(scene, "p"), at_least=0.0)
    low, high = np.where(np.isin(p, ROUND_P), 0.0, ends.low), np.minimum(ends.high, 1.0)
    low, high = np.where(p == 0, 0.0, low), np.where(p == 0, ZERO_P, high)
    low = np.where(p == 1, 1 - APART, low)
    for i, text in enumerate(scene.texts("p_bound")):
        bound = parse_number(text.lstrip("<>=\u2264\u2265 ")) if text else None
        if bound is not None:
            low[i], high[i] = (0.0, bound) if text[0] in "<\u2264" else (bound, 1.0)
    return Ends(low, high)


def _overlap(one: Ends, two: Ends, room: float = 0.0) -> Bools:
    """Tell where two intervals meet once each end is moved by a share of itself."""
    return (one.low <= two.high * (1 + room)) & (one.high * (1 + room) >= two.low)


def _ratio(size: Ends, se: Ends) -> Ends:
    """Return the least and largest |difference| / SE."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return Ends(size.low / se.high, size.high / se.low)


def _scaled(groups: _Groups, scene: Scene, power: float) -> Ends:
    """Return the standard error of the difference where the SDs are to be multiplied by n^power."""
    n1, sd1, n2, sd2 = (scene.numbers(role) for role in ("n_1", "sd_1", "n_2", "sd_2"))
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt((sd1 * n1**power) ** 2 / n1 + (sd2 * n2**power) ** 2 / n2)
        share = se / np.sqrt(sd1**2 / n1 + sd2**2 / n2)
        return Ends(groups.welch.low * share, groups.welch.high * share)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How a printed test fits its groups, (k,): rows that could be judged, those apart, and what would explain it."""

    known: Bools
    apart: Bools
    se_as_sd: Bools
    sd_as_se: Bools
    adjusted: Bools


def _judged(scene: Scene, test: _Test, sets: Sequence[_Groups]) -> _Verdict:
    """Hold a printed test against every usual test of the groups."""
    known, fits, near = (np.zeros(scene.k, dtype=bool) for _ in range(3))
    flips = np.ones(scene.k, dtype=bool)
    nothing = np.full(scene.k, np.inf)
    for groups in sets:
        pairs = ((groups.pooled, groups.df), (groups.welch, groups.df_welch), (groups.welch, nothing))
        for (se, df), sides in product(pairs, (2, 1) if test.p is not None else (2,)):
            whole = _ratio(groups.size, se)
            usable = test.known & np.isfinite(whole.low) & np.isfinite(whole.high)
            known |= usable
            left = np.flatnonzero(usable & ~fits)
            said, own = test.statistic(df, left, sides), Ends(whole.low[left], whole.high[left])
            fits[left] = _overlap(own, said)
            near[left] |= _overlap(own, said, SAME)
            edge = quantiles(np.full(left.size, 0.95), df[left])
            flips[left] &= ((own.high < edge) & (said.low > edge)) | ((own.low > edge) & (said.high < edge))
    apart = known & ~fits & (~near | flips)
    groups = sets[0]
    own = _ratio(groups.size, groups.welch)
    said = Ends(np.full(scene.k, np.nan), np.full(scene.k, np.nan))
    spots = np.flatnonzero(apart)
    some = test.statistic(groups.df, spots)
    said.low[spots], said.high[spots] = some.low, some.high
    told = apart & np.isfinite(said.high) & (said.low > 0)
    as_se, as_sd = (_ratio(groups.size, _scaled(groups, scene, power)) for power in (0.5, -0.5))
    adjusted = apart & (said.low > own.high) & (own.low >= ADJUSTED * said.low)
    return _Verdict(known, apart, told & _overlap(as_se, said, NEAR), told & _overlap(as_sd, said, NEAR), adjusted)


@rule(
    "test-against-means",
    yields_to=("se-as-sd",),
    severity="error",
    title="printed tests that contradict the means, SDs and numbers of people",
    why="A t, an F or a P of two groups follows from their means, SDs and numbers of people. Where it does not, a "
    "number was mistyped, standard errors stand for SDs, other people were analysed, or the test was another one, for "
    "example one with baseline values. In the first three cases the effect in the pool is not that of the trial.",
    needs=[f"{groups} {test}" for groups in (ARMS, CHANGES) for test in ("p", "p_bound", "t", "f_value")],
    cite="gotzsche2007 xu2022",
)
def printed_tests(scene: Scene) -> Outcome:
    """Find tests that none of the usual ones gives from the groups beside them, rounding of all numbers allowed for.

    |t| = |m1 - m2| / SE with the pooled SE (n1 + n2 - 2 df), Welch's (his df), or the normal; P of two sides or one;
    of final values or of changes. Found where the |t| that is printed, or that P stands for, is more than 10% away
    from that of each of them, or where they differ at all and lie on both sides of P = 0.05. An error where the SDs,
    read as standard errors, would fit within 15%; else a warning. Rows with baseline means and no changes are passed
    over, because their test may be one of changes.
    """
    sets = [_groups(scene, roles) for roles in (ARMS, CHANGES) if scene.has(*roles.split())]
    hidden = np.isfinite(scene.numbers("mean_pre_1")) & ~np.isfinite(scene.numbers("mean_change_1"))
    findings: list[Finding] = []
    examined, done = np.zeros(scene.k, dtype=bool), hidden.copy()
    for test in _tests(scene):
        verdict = _judged(scene, test, sets)
        rows = verdict.apart & ~done
        examined |= verdict.known & ~hidden
        done |= verdict.known
        for kind in (verdict.se_as_sd, verdict.sd_as_se, verdict.adjusted, np.ones(scene.k, dtype=bool)):
            places = np.flatnonzero(rows & kind).tolist()
            rows &= ~kind
            findings += told_together(places, partial(_against, scene, test, sets, verdict))
    passed = (
        (f"{int(hidden.sum())} rows have baseline means: their test may be one of changes",) if hidden.any() else ()
    )
    return Outcome(tuple(findings), int(examined.sum()), passed)


def _against(scene: Scene, test: _Test, sets: Sequence[_Groups], verdict: _Verdict, place: int) -> Finding:
    """Word one row whose test does not follow from its groups."""
    number = next(i for i, g in enumerate(sets) if np.isfinite(g.pooled.low[place]))
    groups, sd = sets[number], "sd" if scene.has(*ARMS.split()) and number == 0 else "sd_change"
    size, se = (float(e.low[place] + e.high[place]) / 2 for e in (groups.size, groups.pooled))
    t, df = size / se, float(groups.df[place])
    p = float(two_sided_p(np.array([t]), np.array([df]))[0])
    power, name = (0.5, "SEs turned into SDs") if verdict.se_as_sd[place] else (-0.5, "SDs divided by the root of n")
    swapped = sd == "sd" and bool(verdict.se_as_sd[place] or verdict.sd_as_se[place])
    changes = tuple(
        Change(place, f"sd_{arm}", float(scene.numbers(f"sd_{arm}")[place] * scene.numbers(f"n_{arm}")[place] ** power))
        for arm in "12"
    )
    return Finding(
        rule="test-against-means",
        severity="error" if swapped and power > 0 else "warning",
        rows=(place,),
        says=f"{scene.label(place)}: the printed {_words(scene, test, place)} does not fit the means, SDs and "
        f"numbers of people, which give t = {significant(t)} on {df:.0f} degrees of freedom, {p_phrase(p)}."
        + _cause(swapped, power, bool(verdict.adjusted[place]), changes),
        fix="Compare means, SDs, n and the test with the trial's report; look whether the SDs are standard errors and "
        "whether the test was adjusted",
        evidence={"t": t, "df": df, "p": p, "role": test.role},
        cells=tuple(Cell(place, role) for role in (test.role, f"{sd}_1", f"{sd}_2")),
        proposals=(Proposal(name, changes),) if swapped else (),
    )


def _cause(swapped: bool, power: float, adjusted: bool, changes: Sequence[Change]) -> str:
    """Say what would explain a test that does not fit."""
    sds = " and ".join(significant(change.value) for change in changes)
    if swapped and power > 0:
        return f" It would fit if the SDs were standard errors, that is, of SDs of {sds}."
    if swapped:
        return f" It would fit SDs of {sds}, as if the printed ones had been multiplied by the root of n."
    return " An analysis adjusted for baseline values would explain the difference." if adjusted else ""


def _words(scene: Scene, test: _Test, place: int) -> str:
    """Return a printed test as text."""
    if test.role == "p":
        bound = scene.texts("p_bound")[place]
        return f"P {bound[0]} {bound[1:]}" if bound else f"P = {as_given(float(scene.numbers('p')[place]))}"
    letter = {"t": "t", "f_value": "F"}[test.role]
    return f"{letter} = {as_given(float(scene.numbers(test.role)[place]))}"


@dataclass(frozen=True, slots=True)
class _Standardised:
    """The standardised differences of two groups under one convention, (k,): its name and the ends of |d|."""

    name: str
    ends: Ends


def _conventions(scene: Scene, groups: _Groups) -> tuple[list[_Standardised], Floats]:
    """Return the standardised differences that papers print, Cohen's d and Hedges' g first, and the factor J."""
    n1, n2 = scene.numbers("n_1"), scene.numbers("n_2")
    ends = printed(scene, "sd_1", "sd_2")
    one, two = ends["sd_1"], ends["sd_2"]
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(1 / n1 + 1 / n2)
        pooled = Ends(groups.pooled.low / root, groups.pooled.high / root)
        middle = Ends(np.sqrt((one.low**2 + two.low**2) / 2), np.sqrt((one.high**2 + two.high**2) / 2))
        whole = np.sqrt(groups.df / (n1 + n2))
    factor = small_sample_factor(groups.df)
    d, average = _ratio(groups.size, pooled), _ratio(groups.size, middle)
    large = Ends(pooled.low * whole, pooled.high * whole)
    found = [
        _Standardised("Cohen's d", d),
        _Standardised("Hedges' g", Ends(d.low * factor, d.high * factor)),
        _Standardised("d by the average SD", average),
        _Standardised("g by the average SD", Ends(average.low * factor, average.high * factor)),
        _Standardised("d by the SD with divisor N", _ratio(groups.size, large)),
        _Standardised("Glass' delta by the SD of group 1", _ratio(groups.size, one)),
        _Standardised("Glass' delta by the SD of group 2", _ratio(groups.size, two)),
    ]
    return found, factor


@rule(
    "published-d",
    yields_to=("test-against-means", "se-as-sd"),
    severity="error",
    title="published standardised differences that the means and SDs do not give",
    why="A published d that its own means and SDs do not give was computed with other numbers: often with standard "
    "errors instead of SDs, which multiplies it by the root of n, or with the SD of a change. Whether it is d or "
    "Hedges' g matters in small trials: g is smaller by the factor J.",
    needs=[f"{ARMS} d", f"{ARMS} effect measure"],
    cite="hedges1981 kadlec2023",
)
def published_d(scene: Scene) -> Outcome:
    """Find printed d or SMD that differ from the recomputed one by more than 0.05, rounding apart, in every convention.

    |d| = |m1 - m2| / SD with the pooled SD, the average of both, that with divisor N, or that of one group; g = J d. An
    error where the printed one fits, within 15%, once the SDs are read as standard errors. A warning else, which says
    where it fits a division by standard errors (the SDs of the table are then right). Where it fits d and not g, or g
    and not d, against the name of its column, all such rows are told as one information.
    """
    groups = _groups(scene, ARMS)
    conventions, factor = _conventions(scene, groups)
    measures = np.array([key in {"SMD", "SMDH", "SMD1"} for key in row_measures(scene)], dtype=bool)
    findings: list[Finding] = []
    examined = np.zeros(scene.k, dtype=bool)
    for role, rows in (("d", np.ones(scene.k, dtype=bool)), ("effect", measures)):
        value = np.where(rows, scene.numbers(role), np.nan)
        own = rounded(np.abs(value), shared_decimals(scene, role), at_least=0.0)
        known = np.isfinite(value) & np.isfinite(conventions[0].ends.low)
        examined |= known
        gaps = [np.maximum(c.ends.low - own.high, own.low - c.ends.high) for c in conventions]
        apart = known & (np.min(gaps, axis=0) > APART) if known.any() else known
        findings += told_together(np.flatnonzero(apart).tolist(), partial(_no_d, scene, role, groups, own))
        named, other = (0, 1) if role == "d" else (1, 0)
        mixed = known & (gaps[named] > 0) & (gaps[other] <= 0)
        if mixed.any():
            findings.append(_other_d(scene, role, mixed, factor))
    return Outcome(tuple(findings), int(examined.sum()))


def _no_d(scene: Scene, role: str, groups: _Groups, own: Ends, place: int) -> Finding:
    """Word one row whose printed d no convention gives."""
    df = float(groups.df[place])
    n = [float(scene.numbers(f"n_{arm}")[place]) for arm in "12"]
    root = float(np.sqrt(1 / n[0] + 1 / n[1]))
    size, se = (float(e.low[place] + e.high[place]) / 2 for e in (groups.size, groups.pooled))
    d, factor = size / se * root, float(small_sample_factor(np.array([df]))[0])
    value = float(scene.numbers(role)[place])
    stretched, shrunk = (_d_with(scene, place, power) for power in (-0.5, 0.5))
    by_se, by_sd = (_around(own, place, x) for x in (stretched, shrunk))
    sds = tuple(
        Change(place, f"sd_{arm}", float(scene.numbers(f"sd_{arm}")[place]) * np.sqrt(n[i]))
        for i, arm in enumerate("12")
    )
    sign = -1.0 if value < 0 else 1.0
    held = " and ".join(significant(change.value) for change in sds)
    cause = f" Divided by standard errors instead of SDs it is {significant(stretched)}." if by_se else ""
    cause = cause or (f" It fits if the SDs of the table are standard errors, of SDs of {held}." if by_sd else "")
    return Finding(
        rule="published-d",
        severity="error" if by_sd else "warning",
        rows=(place,),
        says=f"{scene.label(place)}: the published {scene.column(role)} of {as_given(value)} does not follow from its "
        f"means and SDs, which give d = {significant(sign * d)} and g = {significant(sign * d * factor)}.{cause}",
        fix="Compare means, SDs and d with the trial's report; d may stand for another outcome, time or analysis",
        evidence={role: value, "d": sign * d, "g": sign * d * factor, "j": factor},
        cells=tuple(Cell(place, r) for r in (role, "mean_1", "sd_1", "mean_2", "sd_2")),
        proposals=(Proposal("SEs turned into SDs", sds),) if by_sd else (),
    )


def _d_with(scene: Scene, place: int, power: float) -> float:
    """Return |d| of one row with each SD multiplied by n^power, 0 where that leaves no SD."""
    n1, mean1, sd1, n2, mean2, sd2 = (float(scene.numbers(role)[place]) for role in ARMS.split())
    pooled = ((n1 - 1) * (sd1 * n1**power) ** 2 + (n2 - 1) * (sd2 * n2**power) ** 2) / (n1 + n2 - 2)
    return abs(mean1 - mean2) / pooled**0.5 if pooled > 0 else 0.0


def _around(own: Ends, place: int, value: float) -> bool:
    """Tell whether a number lies within 15% of a printed one."""
    return bool(own.low[place] <= value * (1 + NEAR) and own.high[place] >= value * (1 - NEAR) and value > 0)


def _other_d(scene: Scene, role: str, rows: Bools, factor: Floats) -> Finding:
    """Word all rows that print g where d is named, or d where g is pooled."""
    places = [int(i) for i in np.flatnonzero(rows)]
    first, values = places[0], scene.numbers(role)
    j = significant(float(factor[first]))
    held, wanted = ("Hedges' g", "Cohen's d") if role == "d" else ("d without the correction for small samples", "g")
    power = -1.0 if role == "d" else 1.0
    more = f"; so it is in {len(places) - 1} more rows" if len(places) > 1 else ""
    changes = tuple(Change(i, role, float(values[i] * factor[i] ** power)) for i in places)
    return Finding(
        rule="published-d",
        severity="information",
        rows=tuple(places),
        says=f"{scene.label(first)}: {scene.column(role)} = {as_given(float(values[first]))} is {held} of its means "
        f"and SDs, not {wanted}: the ratio of the two is J = {j}{more}.",
        fix=f"Give {wanted}, or let it be computed from the means and SDs",
        evidence={"value": float(values[first]), "j": float(factor[first]), "rows": float(len(places))},
        cells=tuple(Cell(i, role) for i in places),
        proposals=(Proposal(f"turned into {wanted}", changes),),
    )


@rule(
    "difference-against-means",
    severity="warning",
    title="published mean differences that are not those of the means",
    why="A mean difference is one mean minus the other. A published one that differs was adjusted for baseline values, "
    "is a difference of changes, or has a number or a sign mistyped. Which of the two enters the pool should be a "
    "decision.",
    needs=["n_1 mean_1 sd_1 n_2 mean_2 sd_2 effect measure"],
    cite="higgins2024",
)
def difference_against_means(scene: Scene) -> Outcome:
    """Find printed mean differences that miss both mean_1 - mean_2 and that of changes by more than half an SE.

    Rounding allowed for; SE is the pooled one. Smaller differences are usual with adjusted analyses. Where the printed
    one is mean_2 - mean_1 within rounding, its sign is told.
    """
    groups = _groups(scene, ARMS)
    rows = np.array([key == "MD" for key in row_measures(scene)], dtype=bool)
    own = rounded(scene.numbers("effect"), shared_decimals(scene, "effect", "ci_low", "ci_high"))
    room = (groups.size.high - groups.size.low) / 2
    by_means = scene.numbers("mean_1") - scene.numbers("mean_2")
    by_changes = scene.numbers("mean_change_1") - scene.numbers("mean_change_2")
    known = rows & np.isfinite(own.low) & np.isfinite(groups.pooled.low)
    gap = np.fmin.reduce([np.maximum(own.low - x, x - own.high) for x in (by_means, by_changes)]) - room
    turned = known & (own.low - room <= -by_means) & (own.high + room >= -by_means) & (gap > 0)
    far = known & (gap > 0.5 * groups.pooled.high)
    findings = [
        _other_difference(scene, float(by_means[i]), bool(turned[i]), int(i)) for i in np.flatnonzero(far | turned)
    ]
    return Outcome(tuple(findings), int(known.sum()))


def _other_difference(scene: Scene, by_means: float, turned: bool, place: int) -> Finding:
    """Word one row whose printed difference is not that of its means."""
    value = float(scene.numbers("effect")[place])
    sign = " It is that of the other direction: an arm or a sign may be turned." if turned else ""
    return Finding(
        rule="difference-against-means",
        severity="warning",
        rows=(place,),
        says=f"{scene.label(place)}: the published mean difference is {as_given(value)}, that of the means "
        f"{as_given(by_means)}.{sign}",
        fix="Look into the trial whether the published one was adjusted, or which number was mistyped",
        evidence={"effect": value, "by_means": by_means},
        cells=tuple(Cell(place, role) for role in ("effect", "mean_1", "mean_2")),
    )


@rule(
    "printed-zero",
    severity="warning",
    title="P values of 0 and standard errors of 0",
    why="No P value and no standard error of measured numbers is 0: it was rounded away. A standard error cannot be "
    "computed from a P of 0, and a standard error of 0 would give a trial all the weight there is.",
    needs=ZEROS,
    cite="higgins2024",
)
def printed_zero(scene: Scene) -> Outcome:
    """Find P values of 0, an information for all rows of a column, and standard errors of arms of 0, a warning each.

    Standard errors of effects of 0 are refused when the table is read.
    """
    found: list[tuple[str, tuple[int, ...]]] = []
    seen = np.zeros(scene.k, dtype=bool)
    for role in (role for role in ZEROS if scene.has(role)):
        values = scene.numbers(role)
        seen |= np.isfinite(values)
        places = tuple(int(i) for i in np.flatnonzero(values == 0))
        found += [(role, places)] if role.startswith("p") and places else [(role, (i,)) for i in places]
    return Outcome(tuple(_zero(scene, role, places) for role, places in found), int(seen.sum()))


def _zero(scene: Scene, role: str, rows: tuple[int, ...]) -> Finding:
    """Word P values, or a standard error, of 0."""
    p = role.startswith("p")
    what = "a P value" if p else "a standard error"
    fix = "Write the bound that was printed, such as <0.001" if p else "Look for more digits, or leave the cell blank"
    return Finding(
        rule="printed-zero",
        severity="information" if p else "warning",
        rows=rows,
        says=f"{scene.labels(rows)}: {scene.column(role)} is 0, which {what} cannot be.",
        fix=fix,
        evidence={"rows": float(len(rows))},
        cells=tuple(Cell(i, role) for i in rows),
        proposals=() if p else (Proposal("without it", tuple(Change(i, role, float("nan")) for i in rows)),),
    )
