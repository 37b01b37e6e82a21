"""The catalogue of ways from what a table reports to what a measure needs, the best way to each number first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.stats.conversions import CONVERSIONS, outputs
from metaback.stats.conversions.five_numbers import skewness_test
from metaback.stats.measures.family import Choice, Convention

Floats = NDArray[np.float64]
Grade = Literal["exact", "estimated", "assumed"]
GRADES: tuple[Grade, ...] = ("exact", "estimated", "assumed")
# In which ways to one number are listed. What is assumed is tried last of all, but then before what would borrow from
# another number that is assumed itself.
ORDER: tuple[Grade, ...] = ("exact", "assumed", "estimated")
LEVEL = 0.95  # of an interval whose level the table does not say
DECIMALS = 6  # of a percentage: more are not printed, and leave no room for the rounding of a binary number
LARGEST_LEVEL = 1.0  # a level above it is one in percent
STUDENT = "the test or interval is Student's with equal SDs, and not adjusted"
NORMAL = "the data are normal"
SKEWED = "the data are normal, which the skewness test rejects"
CHANGE = "change"  # score type of rows whose means are those of changes

CONVENTIONS: Mapping[str, Convention] = {
    "five_numbers": Convention(
        "mean and SD from median, quartiles and range",
        {"LWS": Choice(), "QE": Choice(), "BC": Choice(), "MLN": Choice(), "LN": Choice()},
    ),
    "quantile": Convention("critical value of the intervals of means", {"t": Choice(), "normal": Choice()}),
    "yates": Convention("continuity correction behind a chi-square", {"yes": Choice(), "no": Choice()}),
}
DEFAULTS: Mapping[str, str] = {"five_numbers": "LWS", "quantile": "t", "yates": "yes"}
FIVE_NUMBERS: Mapping[str, str] = {
    "LWS": "mean-sd-luo-wan-shi",
    "QE": "mean-sd-qe",
    "BC": "mean-sd-bc",
    "MLN": "mean-sd-mln",
    "LN": "mean-sd-lognormal",
}
ASSUMED_SHAPES: Mapping[str, str] = {
    "LWS": NORMAL,
    "QE": "the data have the nearest of five common distributions",
    "BC": "a power of the data is normal, cut off on both sides where the power ends the scale",
    "MLN": "the likeliest power of the data is normal, cut off on both sides where the power ends the scale",
    "LN": "the logarithms of the data are normal",
}
# Conversions that no way uses, and why. Those of ready-made effects are used by the routes of printed effects.
FUNCTION_ONLY: Mapping[str, str] = {
    "combine-means": "arms are put together before there is a row",
    "combine-counts": "arms are put together before there is a row",
    "split-n": "a shared group is split before there is a row",
    "split-counts": "a shared group is split before there is a row",
    "d-from-chi2": "needs groups of like size and an outcome that was cut, which no table says",
    "d-from-log-or": "the measures OR2D and OR2DN do it from counts",
    "log-or-from-d": "the measures D2OR and D2ORN do it from means",
    "d-from-r": "another design than that of two groups",
    "r-from-d": "the measures RPB and RBIS do it from means",
    "t-from-d": "the way is from t to d",
    "delta": "for effects that are there already",
    "p-from-effect": "the way is from P to the standard error",
    "se-from-sd": "the way is from SE to SD",
    "se-from-f": "the way from F to the SD within groups is one step",
    "se-from-ci-t": "the way from the interval to the SD within groups is one step",
    "log-hr-from-logrank": "no role for O - E and V yet",
    "mean-luo": "one half of mean-sd-luo-wan-shi",
    "sd-wan-shi": "one half of mean-sd-luo-wan-shi",
    "skewness-test": "asked beside mean-sd-luo-wan-shi; it gives no number of a measure",
    "sd-from-range-hozo": "sd-from-range is better at every n",
    "r-from-se-change": "the chain over the SD of the change gives the same",
    "r-from-paired-t": "the chain over the SD of the change gives the same",
    "r-from-paired-f": "the chain over the SD of the change gives the same",
    "r-from-paired-p": "the chain over the SD of the change gives the same",
    "r-from-change-ci": "the chain over the SD of the change gives the same",
    "log-from-raw": "the measure ROM takes raw means",
    "raw-from-log": "no role for means of logarithms yet",
}
Outcome = Mapping[str, Floats]
Convert = Callable[["Way", tuple[Floats, ...], Mapping[str, str]], tuple[Floats, ...]]


@dataclass(frozen=True, slots=True)
class Way:
    """One way from some roles to others.

    gives, takes: roles, in the order in which the conversion has them; optional: those of `takes` that may be blank.
    conversion: key of `CONVERSIONS`. grade: "exact" for identities, "estimated" where data are believed to have a
    shape or both arms one SD, "assumed" where a number is made up. assumes: what must be believed, in words.
    whole: fill all of `gives` or none, so that two kinds of scores are never mixed. same: one of `takes` for each of
    `gives`. convert: runs a conversion whose arguments are not just the numbers of `takes`.
    """

    gives: tuple[str, ...]
    takes: tuple[str, ...]
    conversion: str
    grade: Grade = "exact"
    assumes: str = ""
    optional: frozenset[str] = frozenset()
    whole: bool = False
    same: bool = False
    convert: Convert | None = None

    @property
    def required(self) -> tuple[str, ...]:
        """Return the roles without which the way cannot be gone."""
        return tuple(role for role in self.takes if role not in self.optional)


def go(way: Way, values: tuple[Floats, ...], options: Mapping[str, str]) -> tuple[Floats, ...]:
    """Run a way on arrays: one for each of `takes` in, one for each of `gives` out, nan where it gives nothing."""
    if way.convert:
        return way.convert(way, values, options)
    function = CONVERSIONS[way.conversion].function
    if way.same:
        return tuple(np.asarray(function(value), dtype=np.float64) for value in values)
    return _in_order(way.conversion, function(*values), len(way.gives))


def _in_order(key: str, result: Any, count: int) -> tuple[Floats, ...]:
    return tuple(outputs(key, result).values())[:count]


def level_of(values: Floats) -> Floats:
    """Return levels as in 0.95, from 95 as from 0.95, and 0.95 where blank.

    >>> level_of(np.array([90.0, 0.99, np.nan]))
    array([0.9 , 0.99, 0.95])
    """
    with np.errstate(invalid="ignore"):
        share = np.where(values > LARGEST_LEVEL, values / 100, values)
    return np.where(np.isnan(share), LEVEL, share)


def _of_mean(way: Way, values: tuple[Floats, ...], options: Mapping[str, str]) -> tuple[Floats, ...]:
    """Run a conversion of an interval, whose last role is its level."""
    *rest, level = values
    function = CONVERSIONS[way.conversion].function
    return (function(*rest, level=level_of(level), quantile=options["quantile"]),)


def _five(way: Way, values: tuple[Floats, ...], options: Mapping[str, str]) -> tuple[Floats, ...]:
    """Run the chosen estimator of mean and SD."""
    return _in_order(way.conversion, CONVERSIONS[way.conversion].function(*values), 2)


def _width(way: Way, values: tuple[Floats, ...], options: Mapping[str, str]) -> tuple[Floats, ...]:
    """Take a width as the quartiles 0 and itself."""
    width, n = values
    return (CONVERSIONS[way.conversion].function(np.zeros_like(width), width, n),)


def _percent(way: Way, values: tuple[Floats, ...], options: Mapping[str, str]) -> tuple[Floats, ...]:
    """Take a percentage with as many decimals as it shows."""
    percent, n = values
    found = CONVERSIONS[way.conversion].function(percent, n, decimals=shown_decimals(percent, DECIMALS))
    return (found.events,)


def _signed_chi2(way: Way, values: tuple[Floats, ...], options: Mapping[str, str]) -> tuple[Floats, ...]:
    """Give a chi-square the sign of the association."""
    chi2, n_1, n_2, events, sign = values
    signed = np.sign(sign) * np.abs(chi2)
    function = CONVERSIONS[way.conversion].function
    return _in_order(way.conversion, function(signed, n_1, n_2, events, yates=options["yates"] == "yes"), 2)


def shown_decimals(values: Floats, most: int) -> Floats:
    """Return how many decimals numbers show, at most `most`; zeros at the end are not seen.

    >>> shown_decimals(np.array([12.0, 0.25, 1 / 3]), 12)
    array([ 0.,  2., 12.])
    """
    decimals = np.full(np.shape(values), float(most))
    open_rows = np.isfinite(values)
    for count in range(most):
        rest = np.where(open_rows, values, 0.0)  # whole numbers above 1e296 do not overflow for the sake of others
        hit = open_rows & (np.round(rest, count) == rest)
        decimals[hit] = count
        open_rows = open_rows & ~hit
        if not open_rows.any():
            break
    return decimals


FIVE = ("min", "q1", "median", "q3", "max")


def _of(arm: str, *stems: str) -> tuple[str, ...]:
    return tuple(f"{stem}{arm}" for stem in stems)


def _group(arm: str) -> list[Way]:
    """List the ways to the mean and SD of one group: of arm "_1" or "_2", or "" for a single group."""
    sd, mean, n = _of(arm, "sd", "mean", "n")
    interval = _of(arm, "mean_ci_low", "mean_ci_high") if arm else ("ci_low", "ci_high")
    few = frozenset(_of(arm, "min", "q1", "q3", "max"))
    five = (*_of(arm, *FIVE), n)
    return [
        Way((sd,), _of(arm, "se", "n"), "sd-from-se"),
        Way((sd,), (*interval, n, "ci_level"), "sd-from-ci", optional=frozenset({"ci_level"}), convert=_of_mean),
        *([Way((sd,), ("sd_within",), "equal-sds", "estimated", STUDENT)] if arm else []),
        *(
            Way((mean, sd), five, key, "estimated", ASSUMED_SHAPES[word], optional=few, convert=_five)
            for word, key in FIVE_NUMBERS.items()
        ),
        Way((sd,), _of(arm, "q1", "q3", "n"), "sd-from-iqr", "estimated", NORMAL),
        Way((sd,), _of(arm, "iqr", "n"), "sd-from-iqr", "estimated", NORMAL, convert=_width),
        Way((sd,), _of(arm, "mad"), "sd-from-mad", "estimated", NORMAL),
        Way((sd,), _of(arm, "min", "max", "n"), "sd-from-range", "estimated", NORMAL),
        Way((mean,), _of(arm, "median"), "mean-is-median", "estimated", "the data are symmetric"),
    ]


def _change(arm: str) -> list[Way]:
    """List the ways within one group measured twice: of an arm, or of the pairs of means 1 and 2 ("")."""
    pre, post = _of(arm, "sd_pre", "sd_post") if arm else ("sd_1", "sd_2")
    before, after = _of(arm, "mean_pre", "mean_post") if arm else ("mean_1", "mean_2")
    change, sd, r, t, n = _of(arm, "mean_change", "sd_change", "r", "t_change", "n")
    interval = (*_of(arm, "ci_low_change", "ci_high_change"), n, "ci_level")
    return [
        Way((change,), (before, after), "mean-change"),
        *([Way((after,), (before, change), "mean-after")] if arm else []),
        Way((sd,), _of(arm, "se_change", "n"), "sd-from-se"),
        Way((sd,), interval, "sd-from-ci", optional=frozenset({"ci_level"}), convert=_of_mean),
        Way((sd,), (change, t, n), "sd-change-from-t"),
        Way((t,), _of(arm, "f_change"), "t-from-f"),
        Way((sd,), (change, f"p_change{arm}", n), "sd-change-from-p"),
        Way((sd,), (pre, post, r), "sd-change-from-r"),
        Way((r,), (pre, post, sd), "r-from-sds"),
    ]


def _correlations() -> list[Way]:
    """List where a correlation comes from that neither the table has nor its other numbers give."""
    same = "the correlation is the same in both arms"
    other = [
        Way((f"r_{a}",), (role,), "same-r", "estimated", same) for a, b in ("12", "21") for role in ("r", f"r_{b}")
    ]
    return [
        *other,
        *(
            Way((role,), (f"assumed_{role}",), "assumed", "assumed", "the correlation is as assumed")
            for role in R_ROLES
        ),
    ]


R_ROLES = ("r", "r_1", "r_2")


def _between() -> list[Way]:
    """List the ways over the difference of two groups and its test."""
    sizes = ("n_1", "n_2")
    level = frozenset({"ci_level"})
    interval = ("md_low", "md_high", *sizes, "ci_level")
    return [
        Way(("md",), ("mean_1", "mean_2"), "difference"),
        Way(("sd_within",), ("sd_1", "n_1", "sd_2", "n_2"), "pooled-sd"),
        Way(("sd_within",), ("md_se", *sizes), "sd-from-se-difference", assumes=STUDENT),
        Way(("sd_within",), interval, "sd-from-ci-difference", assumes=STUDENT, optional=level, convert=_of_mean),
        Way(("sd_within",), ("md", "t", *sizes), "sd-from-t", assumes=STUDENT),
        Way(("sd_within",), ("md", "f_value", *sizes), "sd-from-f", assumes=STUDENT),
        Way(("sd_within",), ("md", "p", *sizes), "sd-from-p", assumes=STUDENT),
        Way(("d",), ("t", *sizes), "d-from-t", assumes=STUDENT),
        Way(("d",), ("f_value", *sizes, "sign"), "d-from-f", assumes=STUDENT),
        Way(("d",), ("p", *sizes, "sign"), "d-from-p", assumes=STUDENT),
    ]


def _scores() -> list[Way]:
    """List the ways from scores before and after to scores that two groups are compared by."""
    gives = ("mean_1", "sd_1", "mean_2", "sd_2")
    final = tuple(f"{role[:-2]}_post{role[-2:]}" for role in gives)
    change = tuple(f"{role[:-2]}_change{role[-2:]}" for role in gives)
    words = "changes from baseline stand for final scores"
    return [
        Way(gives, final, "final-score", whole=True, same=True),
        Way(gives, change, "change-score", "estimated", words, whole=True, same=True),
    ]


def _counts() -> list[Way]:
    """List the ways to the counts of arms and of a single group."""
    margins = ("n_1", "n_2", "events_total")
    one = "margins and association are of one table, and nothing is adjusted"
    found = [
        way
        for arm in ("_1", "_2", "")
        for way in (
            Way(_of(arm, "n"), _of(arm, "events", "nonevents"), "n-from-counts"),
            Way(_of(arm, "events"), _of(arm, "n", "nonevents"), "events-from-rest"),
            Way(_of(arm, "events"), _of(arm, "percent", "n"), "events-from-percent", convert=_percent),
        )
    ]
    rest = [Way((f"events_{a}",), ("events_total", f"events_{b}"), "events-from-rest") for a, b in ("12", "21")]
    pairs = ("events_1", "events_2")
    tables = [
        Way(pairs, (role, *margins), f"counts-from-{key}", "estimated", one)
        for role, key in (("odds_ratio", "or"), ("risk_ratio", "rr"), ("phi", "phi"))
    ]
    table = ("events_1", "n_1", "events_2", "n_2")
    return [
        *found,
        *rest,
        *tables,
        Way(pairs, ("chi2", *margins, "sign"), "counts-from-chi2", "estimated", one, convert=_signed_chi2),
        Way(("odds_ratio",), table, "odds-ratio"),
        Way(("risk_ratio",), table, "risk-ratio"),
    ]


def _all() -> list[Way]:
    groups = [way for arm in ("_1", "_2", "") for way in (*_group(arm), *_change(arm))]
    return [*_scores()[:1], *groups, *_between(), *_scores()[1:], *_counts(), *_correlations()]


WAYS: tuple[Way, ...] = tuple(_all())


def chosen(options: Mapping[str, str] | None) -> dict[str, str]:
    """Return the conventions of derivation, the defaults where not said; `OptionError` for a word that there is not."""
    resolved = {**DEFAULTS, **(options or {})}
    for name, value in resolved.items():
        if name not in CONVENTIONS:
            raise OptionError.unknown("options", name, CONVENTIONS)
        CONVENTIONS[name].check(name, value)
    return resolved


def derivation(options: Mapping[str, str]) -> dict[str, str]:
    """Return those of some options that are conventions of derivation, resolved.

    >>> derivation({"vtype": "LS", "five_numbers": "QE"})["five_numbers"]
    'QE'
    """
    return chosen({name: value for name, value in options.items() if name in CONVENTIONS})


def open_ways(options: Mapping[str, str], grade: Grade = "assumed") -> tuple[Way, ...]:
    """Return the ways up to a grade, best first, with the estimator of means from five numbers that is chosen.

    That for normal data stands in where another cannot fit the numbers of a row, and its step says so.
    """
    last, five, usual = GRADES.index(grade), FIVE_NUMBERS[options["five_numbers"]], FIVE_NUMBERS["LWS"]
    others = set(FIVE_NUMBERS.values()) - {five, usual}
    kept = [_told(way, options) for way in WAYS if way.conversion not in others and GRADES.index(way.grade) <= last]
    first = five if five != usual else ""
    return tuple(sorted(kept, key=lambda way: (ORDER.index(way.grade), _rank(way, first))))


def _told(way: Way, options: Mapping[str, str]) -> Way:
    """Let a way say which convention it goes by where a table cannot tell it."""
    if way.conversion != "counts-from-chi2":
        return way
    what = "has Yates' continuity correction" if options["yates"] == "yes" else "has no continuity correction"
    return replace(way, assumes=f"the chi-square {what}")


def _rank(way: Way, first: str) -> int:
    """Put the estimator that is chosen before the one that stands in for it."""
    return 0 if way.conversion in ("equal-sds", first) else 1


def shape_doubt(way: Way, values: tuple[Floats, ...]) -> NDArray[np.bool_]:
    """Tell the rows whose five numbers the skewness test says are not those of normal data."""
    if way.conversion != FIVE_NUMBERS["LWS"]:
        return np.zeros(values[0].shape, dtype=bool)
    return skewness_test(*values).skewed
