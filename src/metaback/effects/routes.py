"""The routes to an effect: each fills the rows that have its numbers, the better routes first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metaback.data.trials import Trials
from metaback.errors import Problem
from metaback.stats.inference import quantile
from metaback.stats.measures import MEASURES, about, raw_roles
from metaback.stats.transforms import Transform, back

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
PRINTED_LEVEL = 0.95  # level of the intervals that tables print
ROUTES = {
    "means": "means and SDs",
    "paired means": "paired means and SDs",
    "pre-post": "means and SDs before and after",
    "changes": "mean changes and their SDs",
    "counts": "counts",
    "auc": "area under the curve",
    "none": "statistics as reported",
}
RANGE = (1e-100, 1e100)  # variances beyond it are slips of the pen, and their powers are no numbers any more
BEYOND = "its effect or variance is beyond the range of numbers"


@dataclass(slots=True)
class Draft:
    """The columns of an `EffectSizes` while its routes are tried one after the other."""

    yi: Floats
    vi: Floats
    routes: list[str]
    corrections: list[list[str]]
    reasons: list[str]
    problems: list[Problem] = field(default_factory=list[Problem])

    def open(self) -> Bools:
        """Tell which rows have no effect yet."""
        return np.isnan(self.yi)

    def fill(self, rows: Bools, yi: Floats, vi: Floats, route: str) -> None:
        """Give rows their effect and remember the route; rows beyond the range of numbers get a reason instead."""
        beyond = rows & ~((np.abs(yi) < RANGE[1]) & (vi > RANGE[0]) & (vi < RANGE[1]))
        for i in np.flatnonzero(beyond):
            self.reasons[i] = BEYOND
        rows = rows & ~beyond
        self.yi[rows], self.vi[rows] = yi[rows], vi[rows]
        for i in np.flatnonzero(rows):
            self.routes[i] = route


def from_raw(draft: Draft, inputs: Mapping[str, Floats], key: str, options: Mapping[str, str]) -> None:
    """Compute the measure where all of its raw numbers are there."""
    roles = raw_roles(key)
    if not roles or not set(roles) <= inputs.keys():
        return
    facts = about(key)
    columns = [inputs[role] for role in roles]
    complete = np.isfinite(np.stack(columns)).all(axis=0)
    done = MEASURES[key].function(*columns, **options)
    draft.fill(complete & done.defined, done.yi, done.vi, ROUTES[facts.kind])
    chosen = about(key).conventions.get("zeros")
    said = chosen.choices[options["zeros"]].note if chosen and "zeros" in options else ""
    for i in np.flatnonzero(complete & done.corrected):
        draft.corrections[i].append(said or facts.correction)
    for i in np.flatnonzero(complete & ~done.defined):
        draft.reasons[i] = facts.undefined


def from_analysis_scale(draft: Draft, trials: Trials, key: str) -> None:
    """Take effects that are on the analysis scale already."""
    yi, vi, sei = (trials.numbers(role) for role in ("yi", "vi", "sei"))
    one_kind = key == "GEN" and len({text.upper() for text in trials.texts("measure")} - {""}) == 1
    named = np.array([one_kind or text.upper() in ("", key) for text in trials.texts("measure")], dtype=bool)
    usable = named & np.isfinite(yi)
    draft.fill(draft.open() & usable & np.isfinite(vi), yi, vi, "effect with variance")
    draft.fill(draft.open() & usable & np.isfinite(sei), yi, _square(sei), "effect with standard error")


def _square(se: Floats) -> Floats:
    """Square standard errors; what overflows is refused when it is filled in."""
    with np.errstate(over="ignore", under="ignore"):
        return se**2


def from_printed(draft: Draft, trials: Trials, key: str) -> None:
    """Take effects as a paper prints them, and carry them to the analysis scale of the measure."""
    named = np.array([text.upper() in ("", key) for text in trials.texts("measure")], dtype=bool)
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
    width = np.abs(two - one) / (2 * quantile(PRINTED_LEVEL, np.array([np.inf])))
    draft.fill(with_ci, at, _square(width), f"printed effect with {PRINTED_LEVEL:.0%} CI")
    if way.key == "identity":
        draft.fill(draft.open() & usable & np.isfinite(se), effect, _square(se), "printed effect with standard error")


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


def explain(draft: Draft, trials: Trials, inputs: Mapping[str, Floats], key: str) -> None:
    """Say why a row has no effect."""
    roles = raw_roles(key)
    named = trials.texts("measure")
    effect, se = trials.numbers("effect"), trials.numbers("se")
    brings = np.isfinite(effect) | np.isfinite(trials.numbers("yi"))
    for i in np.flatnonzero(draft.open()):
        if draft.reasons[i]:
            continue
        blank = [role for role in roles if not np.isfinite(inputs.get(role, np.full(len(trials), np.nan))[i])]
        if brings[i] and named[i].upper() not in ("", key):
            draft.reasons[i] = f"it brings {named[i]}, and the pool is of {key}"
        elif np.isfinite(effect[i]) and np.isfinite(se[i]):
            draft.reasons[i] = (
                f"a standard error beside a {key} may be of the ratio or of its log; give its interval, or yi and sei"
            )
        elif brings[i]:
            draft.reasons[i] = "its effect has neither an interval nor a standard error"
        elif roles and len(blank) < len(roles):
            draft.reasons[i] = f"{', '.join(blank)} not given"
        else:
            draft.reasons[i] = "no effect and no raw numbers are given"
