"""What a row says twice of a ready-made effect, and SDs of a change that no correlation can give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.data.trials import Trials
from metaback.effects.derive import half_unit
from metaback.effects.overlooked import LAST_BIT, Lines, lines_of
from metaback.effects.routes import Draft
from metaback.effects.ways import level_of
from metaback.numbers import as_given, significant
from metaback.stats.conversions.family import critical
from metaback.stats.measures import about
from metaback.stats.transforms import Transform, back

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
DIGITS = 4  # of a number that was derived, in a sentence
# How far an SE may be from that of another source: intervals and P values by t of 10 degrees of freedom, by likelihood
# or by adjusted variances are up to a fifth wider or narrower than those by the normal distribution.
SLACK = 0.2
# How far an effect may be from the middle of its interval, in half widths: exact intervals lean a little.
LEAN = 0.2
# Words of a route, and the source of the standard error that it stands for.
USED = (("CI", "ci"), ("with variance", "vi"), ("with P", "p"), ("log-rank P", "p"), ("with t", "t"))
TIMES = "times"
SOURCES = ("se", "vi", "ci", "t", "p")
PLACE = {word: i for i, word in enumerate((*SOURCES, TIMES))}


@dataclass(frozen=True, slots=True)
class _Source:
    """One source of a standard error: its value, and the lowest and highest with rounding, (k,), nan where none.

    words: from a row to its words; made when they are asked for, because most rows say nothing twice.
    """

    key: str
    words: Callable[[int], str]
    value: Floats
    low: Floats
    high: Floats


def said_twice(trials: Trials, draft: Draft, ready: Bools, key: str) -> tuple[Lines, Lines]:
    """Return per row the sources of its standard error that were not used, and what contradicts the effect.

    ready: (k,) rows whose effect was in the table. A source contradicts when its standard error is more than a fifth
    away, rounding apart; an effect contradicts its interval when it is a fifth of the half width or more from the
    middle, on the scale on which the interval is symmetric.
    """
    way = back("exp" if about(key).scale == "log" else about(key).back)
    used = _used_by(draft.routes)
    plain = ready & (used != PLACE[TIMES])
    se = np.sqrt(draft.vi)
    found = set(np.flatnonzero(np.bincount(used[plain], minlength=len(PLACE))).tolist())
    sources = _sources(trials, draft, way, {word for word in SOURCES if found - {PLACE[word]}})
    if not sources and "ci_low" not in trials.roles:
        return ((),) * plain.size, ((),) * plain.size
    ignored: defaultdict[int, list[str]] = defaultdict(list)
    apart: defaultdict[int, list[str]] = defaultdict(list)
    for source in sources:
        for i in np.flatnonzero(plain & (used != PLACE[source.key]) & ~np.isnan(source.low)).tolist():
            ignored[i].append(source.words(i))
            if not source.low[i] * (1 - SLACK) <= se[i] <= source.high[i] * (1 + SLACK):
                own, other = (significant(float(x[i]), DIGITS) for x in (se, source.value))
                apart[i].append(f"the standard error is {own} as used, but {other} by {source.words(i)}")
    for i, words in _leaning(trials, way, plain).items() if "ci_low" in trials.roles else ():
        apart[i].append(words)
    return lines_of(ignored, plain.size), lines_of(apart, plain.size)


def _used_by(routes: Sequence[str]) -> NDArray[np.intp]:
    """Return the place in PLACE of the source that each route names, (k,)."""
    known = {route: PLACE[_used(route)] for route in set(routes)}
    if len(known) == 1:
        return np.full(len(routes), next(iter(known.values())), dtype=np.intp)
    return np.fromiter(map(known.__getitem__, routes), dtype=np.intp, count=len(routes))


def _used(route: str) -> str:
    """Return the source of the standard error that a route names; TIMES where a number was multiplied on the way."""
    if ", times" in route:
        return TIMES
    return next((source for words, source in USED if words in route), "se")


def _sources(trials: Trials, draft: Draft, way: Transform, others: set[str]) -> list[_Source]:
    """Return the sources that the table has, of those that some row has beside the one it used."""
    found = [
        _direct(trials, role, key)
        for role, key in (("sei", "se"), ("vi", "vi"), ("se", "se"))
        if key in others and role in trials.roles and (role != "se" or way.key == "identity")
    ]
    if "ci" in others and "ci_low" in trials.roles:
        found.append(_interval(trials, way))
    effect = np.abs(draft.yi)
    if "t" in others and "t" in trials.roles:
        found.append(_test(trials, effect))
    if "p" in others and "p" in trials.roles:
        found.append(_probability(trials, effect))
    return found


def _test(trials: Trials, effect: Floats) -> _Source:
    """Return the source of a t statistic."""
    t, half = trials.numbers("t"), half_unit("t", trials.numbers("t"))
    size = np.abs(t)
    with np.errstate(divide="ignore", invalid="ignore"):
        own, low, high = effect / size, effect / (size + half), effect / np.maximum(size - half, 0.0)
    return _Source("t", lambda i: f"its test (t = {_printed(t[i])})", own, low, high)


def _direct(trials: Trials, role: str, key: str) -> _Source:
    """Return the source of a standard error or variance as it stands in the table."""
    value, half = trials.numbers(role), half_unit(role, trials.numbers(role))
    low, high = np.maximum(value - half, 0.0), value + half
    own, low, high = (np.sqrt(x) if role == "vi" else x for x in (value, low, high))
    return _Source(key, lambda i: f"{role} = {_printed(value[i])}", own, low, high)


def _interval(trials: Trials, way: Transform) -> _Source:
    """Return the source of a printed interval; one beside an effect on a transformed scale is of unknown scale."""
    low, high = trials.numbers("ci_low"), trials.numbers("ci_high")
    printed = np.isfinite(trials.numbers("effect")) | (way.key == "identity")
    half = np.fmin(half_unit("ci_low", low), half_unit("ci_high", high))
    at, room = _ends(low, high, half, way, printed)
    divisor = 2 * critical(level_of(trials.numbers("ci_level")))
    width = at[1] - at[0]
    own, least, most = width / divisor, np.maximum(width - room, 0.0) / divisor, (width + room) / divisor
    return _Source("ci", lambda i: f"its interval ({_printed(low[i])} to {_printed(high[i])})", own, least, most)


def _printed(value: np.float64) -> str:
    """Return a number as the table has it."""
    return as_given(float(value))


def _ends(low: Floats, high: Floats, half: Floats, way: Transform, rows: Bools) -> tuple[tuple[Floats, Floats], Floats]:
    """Return both limits on the scale of the analysis and how far rounding moves them apart, nan where it has none."""
    one, away_one = _forward(low, half, way, rows)
    two, away_two = _forward(high, half, way, rows)
    return (one, two), away_one + away_two


def _forward(value: Floats, half: Floats, way: Transform, rows: Bools) -> tuple[Floats, Floats]:
    """Carry numbers to the scale of the analysis, with half the width of what rounding makes of them there."""
    first, last = way.image
    inside = rows & (value - half > first) & (value + half < last) if way.key != "identity" else rows
    if way.size:
        inside = np.zeros_like(rows)
    safe = np.where(inside & np.isfinite(value), value, 0.5)
    small = np.where(inside & np.isfinite(value), half, 0.0)
    found = way.forward(safe) if inside.any() else safe
    away = np.abs(way.forward(safe + small) - way.forward(safe - small)) / 2 if inside.any() else small
    good = inside & np.isfinite(value)
    return np.where(good, found, np.nan), np.where(good, away, np.nan)


def _probability(trials: Trials, effect: Floats) -> _Source:
    """Return the source of a two-sided P value; P values of 0 and 1 give none."""
    p, half = trials.numbers("p"), half_unit("p", trials.numbers("p"))
    known = (p > 0) & (p < 1)
    tiny = np.finfo(float).tiny
    lowest, highest = np.clip(np.where(known, p - half, 0.5), tiny, None), np.clip(p + half, None, 1 - 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, own, high = (effect / critical(1 - np.where(known, x, 0.5)) for x in (lowest, p, highest))
    own, low, high = (np.where(known, x, np.nan) for x in (own, low, high))
    return _Source("p", lambda i: f"its P value (p = {_printed(p[i])})", own, low, high)


def _leaning(trials: Trials, way: Transform, rows: Bools) -> Mapping[int, str]:
    """Return the rows whose printed effect is not in the middle of its interval, with the words to tell."""
    effect, low, high = (trials.numbers(role) for role in ("effect", "ci_low", "ci_high"))
    known = np.isfinite(effect) & np.isfinite(low) & np.isfinite(high)
    # a paper prints an effect and its limits to the same decimals, of which zeros at the end are not seen
    half = np.fmin.reduce([half_unit("effect", x) for x in (effect, low, high)])
    at, away = _forward(effect, half, way, known)
    (one, two), room = _ends(low, high, half, way, known)
    middle = (one + two) / 2
    far = np.abs(at - middle) > away + room / 2 + LEAN * (two - one) / 2 + LAST_BIT * np.abs(at)
    scale = "" if way.key == "identity" else f" on the {'log' if way.key == 'exp' else way.title} scale"
    found: dict[int, str] = {}
    for i in np.flatnonzero(rows & far).tolist():
        shown = significant(float(way.inverse(middle[i : i + 1])[0]), DIGITS)
        found[i] = (
            f"the effect {as_given(float(effect[i]))} is not in the middle of its interval "
            f"{as_given(float(low[i]))} to {as_given(float(high[i]))}{scale}, which is {shown}"
        )
    return found


def impossible_changes(known: Mapping[str, Floats], rows: Bools, wanted: tuple[str, ...]) -> Lines:
    """Return per row the SDs of a change that lie outside what the SDs before and after allow.

    The SD of the change lies between |sd_pre - sd_post| (r = 1) and sd_pre + sd_post (r = -1). Outside, no correlation
    can be solved, and another takes its place. known: numbers by role, (k,); wanted: roles of the measure.

    >>> known = {role: np.array([x]) for role, x in {"sd_pre_1": 12.0, "sd_post_1": 13.0, "sd_change_1": 30.0}.items()}
    >>> impossible_changes(known, np.array([True]), ("r_1",))[0][0][:30]
    'sd_change_1 = 30 cannot be: wi'
    """
    if not {"sd_change_1", "sd_change_2", "sd_change"} & known.keys():
        return ((),) * rows.size
    found: defaultdict[int, list[str]] = defaultdict(list)
    for arm in ("_1", "_2", ""):
        names = (f"sd_pre{arm}", f"sd_post{arm}") if arm else ("sd_1", "sd_2")
        change = f"sd_change{arm}"
        if f"r{arm}" not in wanted or not {*names, change} <= known.keys():
            continue
        pre, post, own = known[names[0]], known[names[1]], known[change]
        room = sum(half_unit(role, known[role]) for role in (*names, change))
        wrong = rows & ((own > pre + post + room) | (own < np.abs(pre - post) - room))
        for i in np.flatnonzero(wrong).tolist():
            low, high = (as_given(float(x)) for x in (abs(pre[i] - post[i]), pre[i] + post[i]))
            found[i].append(
                f"{change} = {as_given(float(own[i]))} cannot be: with SDs of {as_given(float(pre[i]))} before and "
                f"{as_given(float(post[i]))} after it lies between {low} and {high}, so that no correlation was solved"
            )
    return lines_of(found, rows.size)
