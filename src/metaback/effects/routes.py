"""The routes to an effect: each fills the rows that have its numbers, the better routes first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from metaback.data.trials import Trials
from metaback.effects.derive import derive
from metaback.effects.effect_sizes import Step
from metaback.effects.ways import DEFAULTS, FIVE_NUMBERS, Grade, level_of
from metaback.errors import Problem
from metaback.stats.conversions import CONVERSIONS, outputs
from metaback.stats.conversions.family import critical
from metaback.stats.measures import MEASURES, about, raw_roles
from metaback.stats.measures.family import correction_of
from metaback.stats.transforms import Transform, back

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
ROUTES = {
    "means": "means and SDs",
    "paired means": "paired means and SDs",
    "pre-post": "means and SDs before and after",
    "changes": "mean changes and their SDs",
    "counts": "counts",
    "auc": "area under the curve",
    "none": "statistics as reported",
    "d": "standardised mean difference d",
}
# Measures that are a function of d and the sizes of the arms, so that means of d and 0 with SDs of 1 give them; and the
# one that is a function of the mean change over its SD.
FROM_D = frozenset({"SMD", "RPB", "ZPB", "RBIS", "ZBIS", "D2OR", "D2ORL", "D2ORN"})
UNIT = {"mean_2": 0.0, "sd_1": 1.0, "sd_2": 1.0}
QUIET = frozenset({"equal-sds", "difference", "mean-change", "n-from-counts", "t-from-f", "pooled-sd"})
OFF_CENTRE = 0.05  # of half the width: rounded limits of an effect are nearer, limits on another scale are not
RANGE = (1e-100, 1e100)  # variances beyond it are slips of the pen, and their powers are no numbers any more
CONVERSION_OF = attrgetter("conversion")
BEYOND = "its effect or variance is beyond the range of numbers"


@dataclass(slots=True)
class Draft:
    """The columns of an `EffectSizes` while its routes are tried one after the other.

    corrections, steps: by row, what was done to it, and how numbers were derived; rows without any are not there.
    used: by role, the numbers that effects were computed from, (k,).
    """

    yi: Floats
    vi: Floats
    routes: list[str]
    reasons: list[str]
    corrections: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    problems: list[Problem] = field(default_factory=list[Problem])
    steps: dict[int, tuple[Step, ...]] = field(default_factory=dict[int, tuple[Step, ...]])
    used: dict[str, Floats] = field(default_factory=dict[str, Floats])

    def steps_of_all(self) -> tuple[tuple[Step, ...], ...]:
        """Return the steps of every row, none where the table had all numbers."""
        found: list[tuple[Step, ...]] = [()] * len(self.routes)
        for i, steps in self.steps.items():
            found[i] = steps
        return tuple(found)

    def correct(self, row: int, words: str) -> None:
        """Say what was done to a row, after what was said of it before."""
        self.corrections.setdefault(row, []).append(words)

    def corrected(self) -> tuple[str, ...]:
        """Return the corrections of every row in words, "" where there are none."""
        found = [""] * len(self.routes)
        for i, words in self.corrections.items():
            found[i] = "; ".join(words)
        return tuple(found)

    def open(self) -> Bools:
        """Tell which rows have no effect yet."""
        return np.isnan(self.yi)

    def fill(self, rows: Bools, yi: Floats, vi: Floats, route: str) -> None:
        """Give rows their effect and remember the route; rows beyond the range of numbers get a reason instead."""
        at = np.flatnonzero(rows)
        good = (np.abs(yi[at]) < RANGE[1]) & (vi[at] > RANGE[0]) & (vi[at] < RANGE[1])
        for i in at[~good].tolist():
            self.reasons[i] = BEYOND
        at = at[good]
        self.yi[at], self.vi[at] = yi[at], vi[at]
        if at.size == len(self.routes):
            self.routes[:] = [route] * at.size
            return
        for i in at.tolist():
            self.routes[i] = route


def empty_draft(k: int) -> Draft:
    """Return k rows of which nothing is known yet."""
    return Draft(np.full(k, np.nan), np.full(k, np.nan), [""] * k, [""] * k)


def from_raw(draft: Draft, inputs: Mapping[str, Floats], key: str, options: Mapping[str, str]) -> None:
    """Compute the measure where all of its raw numbers are there."""
    roles = raw_roles(key)
    if not roles or not set(roles) <= inputs.keys():
        return
    facts = about(key)
    columns = [inputs[role] for role in roles]
    complete = np.isfinite(np.stack(columns)).all(axis=0) & draft.open()
    with np.errstate(all="ignore"):  # what is beyond the range of numbers gets its reason below
        done = MEASURES[key].function(*columns, **options)
    size = np.abs(np.stack(columns))
    vast: Bools = np.any(size > RANGE[1], axis=0)
    tiny: Bools = np.any((size > 0) & (size < RANGE[0]), axis=0)
    kept = done.defined & ~vast  # the square of a vast SD is no number any more, and its d would be 0
    draft.fill(complete & kept, done.yi, done.vi, ROUTES[facts.kind])
    fixed = np.flatnonzero(complete & kept & done.corrected).tolist()
    words = correction_of(key, options) if fixed else ""
    for i in fixed:
        draft.correct(i, words)
    for i in np.flatnonzero(complete & ~kept):
        draft.reasons[i] = BEYOND if vast[i] or tiny[i] else facts.undefined


def from_derived(
    draft: Draft,
    known: Mapping[str, Floats],
    key: str,
    options: Mapping[str, str],
    *,
    grade: Grade,
    own: Mapping[str, str],
    assume: Mapping[str, float] | None = None,
    reverse: Callable[[Mapping[str, Floats]], Mapping[str, Floats]] = dict,
) -> Mapping[str, Floats]:
    """Compute the measure where its raw numbers are there or can be derived; return them, with what was derived.

    known: role -> (k,) numbers of the table; grade: how far to go; own: conventions of derivation; assume: correlations
    to be taken where nothing else is there; reverse: turns the counts of rows that point the other way.
    """
    open_rows = draft.open()
    roles = raw_roles(key)
    if not roles:
        return known
    found = derive(known, roles, rows=open_rows, grade=grade, options=own, assume=assume)
    from_raw(draft, reverse({role: found.values[role] for role in roles if role in found.values}), key, options)
    _remember(draft, open_rows, found.steps, {role: found.values[role] for role in roles if role in found.values})
    return found.values


def reopen_mixed(draft: Draft, own: Mapping[str, str]) -> bool:
    """Take the effect from rows whose arms had their means from two estimators, and tell whether there are any.

    Where the chosen estimator of five numbers fits one arm only, another stands in for the other arm; the difference of
    two estimators would enter the effect as if it were that of the arms. Both arms are then to have the same.
    """
    chosen_one, usual = (FIVE_NUMBERS[word] for word in (own["five_numbers"], DEFAULTS["five_numbers"]))
    mixed = (
        [i for i, steps in draft.steps.items() if {chosen_one, usual} <= {step.conversion for step in steps}]
        if chosen_one != usual
        else []
    )
    for i in mixed:
        draft.yi[i] = draft.vi[i] = np.nan
        draft.routes[i] = ""
        del draft.steps[i]
    return bool(mixed)


def _remember(draft: Draft, before: Bools, steps: Sequence[tuple[Step, ...]], values: Mapping[str, Floats]) -> None:
    """Keep steps and numbers of the rows that were just computed, and name the steps in their routes."""
    done = before & ~draft.open()
    for role, column in values.items() if done.any() else ():
        kept = draft.used.setdefault(role, np.full(done.shape, np.nan))
        kept[done] = column[done]
    words: dict[tuple[str, ...], str] = {}
    for i in np.flatnonzero(done).tolist():
        if steps[i]:
            keys = tuple(map(CONVERSION_OF, steps[i]))
            draft.steps[i] = steps[i]
            if keys not in words:
                words[keys] = _words(keys)
            draft.routes[i] += words[keys]


def _words(keys: Sequence[str]) -> str:
    """Name conversions after a route, each once."""
    return "".join(f", {title}" for title in title_words(keys))


def title_words(keys: Sequence[str]) -> list[str]:
    """Return the titles of conversions in running text, each once, without the steps that speak for themselves.

    >>> title_words(["sd-from-se", "difference", "mean-is-median"])
    ['SD from SE', 'median as mean']
    """
    titles = dict.fromkeys(CONVERSIONS[key].title for key in keys if key not in QUIET)
    return [f"{title[:1].lower() if title[1:2].islower() else title[:1]}{title[1:]}" for title in titles]


def from_d(draft: Draft, known: Mapping[str, Floats], key: str, options: Mapping[str, str]) -> None:
    """Compute a measure of standardised differences from d, t, F or P and the sizes of the arms.

    Means of d and 0 with SDs of 1 are the same to such a measure, so that correction and variance are those of SMDs
    from means. Same as `metafor::escalc` with `di`, `ti` or `pi`.
    """
    if key not in FROM_D:
        return
    open_rows = draft.open()
    found = derive(known, ("d",), rows=open_rows, grade="exact")
    d = found.values.get("d")
    if d is None or not np.isfinite(d).any():
        return
    sizes = {role: known.get(role, np.full(d.shape, np.nan)) for role in ("n_1", "n_2")}
    units = {role: np.full(d.shape, value) for role, value in UNIT.items()}
    draft_routes = draft.routes.copy()
    from_raw(draft, {"mean_1": d, **units, **sizes}, key, options)
    for i in np.flatnonzero(open_rows & ~draft.open()):
        draft.routes[i] = draft_routes[i] + ROUTES["d"]
    _remember(draft, open_rows, found.steps, sizes)


def from_analysis_scale(draft: Draft, trials: Trials, key: str) -> None:
    """Take effects that are on the analysis scale already."""
    if "yi" not in trials.roles:
        return
    yi, vi, sei = (trials.numbers(role) for role in ("yi", "vi", "sei"))
    one_kind = key == "GEN" and len({text.upper() for text in set(trials.texts("measure"))} - {""}) == 1
    usable = np.isfinite(yi) if one_kind else trials.names("", key) & np.isfinite(yi)
    draft.fill(draft.open() & usable & np.isfinite(vi), yi, vi, "effect with variance")
    draft.fill(draft.open() & usable & np.isfinite(sei), yi, _square(sei), "effect with standard error")
    for se, words in _own_limits(trials, key, yi) if {"ci_low", "ci_high"} <= trials.roles.keys() else ():
        for share in np.unique(level_of(trials.numbers("ci_level"))):
            rows = draft.open() & usable & np.isfinite(se) & (level_of(trials.numbers("ci_level")) == share)
            draft.fill(rows, yi, _square(se), f"effect with {share * 100:.10g}% CI{words}")


def _own_limits(trials: Trials, key: str, yi: Floats) -> tuple[tuple[Floats, str], ...]:
    """Return the SE of effects on the analysis scale from limits on that scale, and from limits as a paper prints them.

    An effect lies in the middle of its limits: that tells their scale, row by row. nan where it is neither; where both
    fit (near 0 a correlation is its own Fisher's z) the one in whose middle it lies more closely.
    """
    low, high = trials.numbers("ci_low"), trials.numbers("ci_high")
    way = back("exp" if about(key).scale == "log" else about(key).back)
    first, last = way.image
    inside = ~np.isfinite(trials.numbers("effect")) & (low > first) & (high < last) & (low < high)
    printed = inside & (way.key != "identity") & (way.size == "")
    ends = tuple(way.forward(np.where(printed, end, _inside(way))) if printed.any() else low for end in (low, high))
    plain, off = _half_width(low, high, yi, ~np.isfinite(trials.numbers("effect")))
    other, off_other = _half_width(ends[0], ends[1], yi, printed)
    quantile = critical(level_of(trials.numbers("ci_level")))
    first_choice = off <= off_other
    return (
        (np.where(first_choice, plain, np.nan) / quantile, ""),
        (np.where(first_choice, np.nan, other) / quantile, ", limits as printed"),
    )


def _half_width(low: Floats, high: Floats, yi: Floats, rows: Bools) -> tuple[Floats, Floats]:
    """Return half the width of limits in whose middle the effect lies, nan elsewhere, and how far it lies from it."""
    half = (high - low) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.abs(low + half - yi) / half
        fits = rows & (half > 0) & (off <= OFF_CENTRE)
    return np.where(fits, half, np.nan), np.where(fits, off, np.inf)


def _square(se: Floats) -> Floats:
    """Square standard errors; what overflows is refused when it is filled in."""
    with np.errstate(over="ignore", under="ignore"):
        return se**2


def from_printed(draft: Draft, trials: Trials, key: str) -> None:
    """Take effects as a paper prints them, and carry them to the analysis scale of the measure."""
    if "effect" not in trials.roles:
        return
    named = trials.names("", key)
    effect, low, high, se = (trials.numbers(role) for role in ("effect", "ci_low", "ci_high", "se"))
    facts = about(key)
    way = back("exp" if facts.scale == "log" else facts.back)
    usable = draft.open() & named & np.isfinite(effect)
    with_ci = usable & np.isfinite(low) & np.isfinite(high)
    if way.size:
        for i in np.flatnonzero(with_ci):
            draft.reasons[i] = f"a printed {key} cannot be put on its analysis scale; give the counts"
        return
    with_ci &= ~_beyond_image(draft, trials, key, way, with_ci)
    at, one, two = (way.forward(np.where(with_ci, a, _inside(way))) for a in (effect, low, high))
    level = level_of(trials.numbers("ci_level"))
    width = np.abs(two - one) / (2 * critical(level))
    for share in np.unique(level[with_ci]):
        draft.fill(with_ci & (level == share), at, _square(width), f"printed effect with {share * 100:.10g}% CI")
    if way.key == "identity":
        draft.fill(draft.open() & usable & np.isfinite(se), effect, _square(se), "printed effect with standard error")


def from_tests(draft: Draft, trials: Trials, key: str) -> None:
    """Take effects that stand beside a t (or z) or P value, and ratios with one limit or with limits alone.

    An effect on the analysis scale (`yi`) or on a linear one has se = |effect / t|; a ratio has that of its logarithm.
    The P value of a mean difference is that of a t test on n_1 + n_2 - 2 degrees of freedom where both sizes are there,
    of a normal one elsewhere.
    """
    if not {"t", "p", "ci_low", "ci_high"} & trials.roles.keys():
        return
    named = trials.names("", key)
    log = about(key).scale == "log"
    columns = {role: trials.numbers(role) for role in ("yi", "effect", "t", "ci_low", "ci_high", *LOGRANK)}
    columns["df"] = trials.numbers("n_1") + trials.numbers("n_2") - 2
    columns["level"] = level_of(trials.numbers("ci_level"))
    beside = np.isfinite(columns["yi"]) | ("yi" in trials.roles and "effect" not in trials.roles)
    for limit in ("ci_low", "ci_high"):  # beside an effect on the analysis scale they need not be those of a ratio
        columns[limit] = np.where(beside & ~np.isfinite(columns["effect"]), np.nan, columns[limit])
    linear = back(about(key).back).key == "identity"
    for column in ("yi", "effect"):
        if column == "yi" or (linear and not log):
            for takes, conversion in _linear_tests(column, key):
                _by_test(draft, named, columns, (column, *takes), conversion)
    if log:
        if key == "HR":
            _by_test(draft, named, columns, LOGRANK, "log-hr-from-p")
        for takes, conversion in RATIO_TESTS:
            _by_test(draft, named, columns, takes, conversion)


LOGRANK = ("p", "events_total", "n_1", "n_2", "sign")
RATIO_TESTS = (
    (("effect", "ci_low"), "log-effect-from-limit"),
    (("effect", "ci_high"), "log-effect-from-limit"),
    (("effect", "p"), "log-effect-from-p"),
    (("ci_low", "ci_high"), "log-effect-from-limits"),
)
TESTED = {
    "se-from-t": "with t",
    "se-from-p-t": "with P",
    "se-from-p": "with P",
    "log-effect-from-p": "with P",
    "log-hr-from-p": "as the log-rank P with the number of events",
    "log-effect-from-limit": "with one limit of its CI",
    "log-effect-from-limits": "as the middle of its CI",
}


def _linear_tests(column: str, key: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Return what gives the standard error of an effect that is not a ratio, the better first."""
    student = (((("p", "df"), "se-from-p-t")),) if key == "MD" and column == "effect" else ()
    return ((("t",), "se-from-t"), *student, (("p",), "se-from-p"))


def _by_test(
    draft: Draft, named: Bools, columns: Mapping[str, Floats], takes: tuple[str, ...], conversion: str
) -> None:
    """Fill the rows that have what one conversion takes."""
    rows = draft.open() & named & np.isfinite(np.stack([columns[role] for role in takes])).all(axis=0)
    if not rows.any():
        return
    level = {"level": columns["level"]} if "limit" in conversion else {}
    gone = outputs(conversion, CONVERSIONS[conversion].function(*(columns[role] for role in takes), **level))
    yi, sei = gone.get("yi", columns[takes[0]]), gone["sei" if "sei" in gone else "se"]
    rows &= np.isfinite(yi) & np.isfinite(sei)
    draft.fill(rows, yi, _square(sei), f"printed effect {TESTED[conversion]}")
    gives = ("yi", "sei") if "yi" in gone else ("sei",)
    for i in np.flatnonzero(rows & ~draft.open()).tolist():
        values = tuple(float(columns[role][i]) for role in takes)
        gave = tuple(float(column[i]) for column in ((yi, sei) if len(gives) > 1 else (sei,)))
        draft.steps[i] = (Step(gives, conversion, takes, values, gave=gave),)


def _inside(way: Transform) -> float:
    """Return a value that a scale has, to stand in where a row brings none."""
    low, high = way.image
    return 0.5 if low >= 0 or high <= 1 else 0.0


def _beyond_image(draft: Draft, trials: Trials, key: str, way: Transform, rows: Bools) -> Bools:
    """Report rows whose effect or limits no value of the measure can be."""
    low, high = way.image
    effect, first, last = (trials.numbers(role) for role in ("effect", "ci_low", "ci_high"))
    wrong = rows & ((first <= low) | (last >= high) | (effect <= low) | (effect >= high))
    where = "above 0" if (low, high) == (0.0, np.inf) else f"between {low:g} and {high:g}"
    fix = "Give them as printed (not logs or other transformed values), or put those into columns yi and sei"
    for i in np.flatnonzero(wrong):
        value = f"{effect[i]:g} ({first[i]:g} to {last[i]:g})"
        rule = f"{key} and its limits must be {where}"
        draft.problems.append(Problem(rule, fix, trials.roles["effect"], trials.rows[i], value))
    return wrong
