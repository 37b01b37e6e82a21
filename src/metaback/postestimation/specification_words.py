"""What the specifications of one analysis say together, in words: how often the conclusion stays, and what turns it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metaback.numbers import estimate_text, fixed
from metaback.postestimation.exclusions import NOTHING, OUTLIERS
from metaback.postestimation.specifications import (
    DIMENSIONS,
    NO_MEANING,
    NO_NULL,
    NOT_ESTIMABLE,
    Specifications,
)
from metaback.postestimation.words import percent
from metaback.stats.wls import Bools

VERBS = {
    -2: "lies below no effect by more than the smallest difference that matters",
    -1: "lies below no effect",
    0: "includes no effect",
    1: "lies above no effect",
    2: "lies above no effect by more than the smallest difference that matters",
}
SELDOM = 0.5  # of the share of all specifications
USUAL = 0.9  # share of all specifications above which options that always conclude alike are not worth a word
LISTED = 6  # options or changes that one sentence names
PLAIN = {"r": "assumed r", "measure": "measure", "preset": "preset", "model": "model", "tau2": "tau2", "ci": "ci"}


@dataclass(frozen=True, slots=True)
class Share:
    """How often one option goes along with the conclusion of the main specification, among those with an interval."""

    choice: str
    option: str
    specifications: int
    concluding: int
    same: int


def decided(found: Specifications) -> Bools:
    """Tell which specifications have an interval that says something about no effect."""
    return ~np.isin(found.conclusion, (NOT_ESTIMABLE, NO_NULL))


def turned(found: Specifications) -> Bools:
    """Tell which specifications lead to another conclusion than the main one; none where that has no conclusion."""
    if not decided(found)[found.main]:
        return np.zeros(found.n, dtype=bool)
    return decided(found) & (found.conclusion != found.conclusion[found.main])


def shares(found: Specifications) -> tuple[Share, ...]:
    """Return for every option of the choices that vary how often the conclusion is that of the main specification."""
    known, other = decided(found), turned(found)
    out: list[Share] = []
    for j in found.varied:
        for code, option in enumerate(found.choices[j].options):
            here = found.codes[:, j] == code
            counts = (int(here.sum()), int((here & known).sum()), int((here & known & ~other).sum()))
            out.append(Share(found.choices[j].name, option, *counts))
    return tuple(share for share in out if share.specifications)


def shares_frame(found: Specifications) -> pd.DataFrame:
    """Return `shares` as a tidy frame, with the share that turns in percent."""
    rows = [(s.choice, s.option, s.specifications, s.concluding, s.same, s.concluding - s.same) for s in shares(found)]
    names = ["choice", "option", "specifications", "concluding", "same", "turned"]
    frame = pd.DataFrame(rows, columns=names)
    with np.errstate(invalid="ignore", divide="ignore"):
        frame["percent_turned"] = 100 * frame["turned"].to_numpy(float) / frame["concluding"].to_numpy(float)
    return frame


def smallest_changes(found: Specifications) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return the smallest sets of changes to the main specification that turn its conclusion, () where none does.

    Each change is a choice with its new option. A choice that a model does not have is no change.
    """
    other = np.flatnonzero(turned(found))
    if not other.size:
        return ()
    codes, own = found.codes[other], found.codes[found.main]
    differs = (codes != own) & (codes != NO_MEANING) & (own != NO_MEANING)
    distance = differs.sum(axis=1)
    nearest = np.flatnonzero(distance == distance.min())
    sets: dict[tuple[tuple[str, str], ...], None] = {}
    for i in nearest:
        places: list[int] = np.flatnonzero(differs[i]).tolist()
        sets[tuple((found.choices[j].name, found.choices[j].options[int(codes[i, j])]) for j in places)] = None
    return tuple(sets)


def sentences(found: Specifications) -> tuple[str, ...]:
    """Say how robust the conclusion of the main specification is, most important first."""
    if found.conclusion[found.main] == NO_NULL:
        return ("The measure has no value of no effect, so no conclusion can turn.",)
    if found.conclusion[found.main] == NOT_ESTIMABLE:
        return ("The main specification cannot be estimated, so there is no conclusion to turn.",)
    known, other = decided(found), turned(found)
    head = _counts(found)
    if not other.any():
        return (f"{head} No specification leads to another conclusion.",)
    return (head, *_never(found), *_always(found, int(known.sum())), _smallest(found))


def _counts(found: Specifications) -> str:
    """Count the conclusions, that of the main specification first."""
    known = decided(found)
    main = int(found.conclusion[found.main])
    total = f"{int(known.sum()):,}"
    first = int((found.conclusion == main).sum())
    text = f"The {percent(found.level)} interval {VERBS[main]} in {first:,} of {total} specifications"
    counted = ((code, int((found.conclusion == code).sum())) for code in (0, -1, 1, -2, 2) if code != main)
    rest = [f"it {VERBS[code]} in {count:,}" for code, count in counted if count]
    text += ", as in the main one"
    text += f"; {', '.join(rest)}" if rest else ""
    missing = found.n - int(known.sum())
    return f"{text}; {missing:,} more have no conclusion." if missing else f"{text}."


def _concerned(found: Specifications) -> list[Share]:
    """Return the shares of choices that can change an interval of the mean."""
    return [share for share in shares(found) if share.concluding and share.choice != "pi"]


def _never(found: Specifications) -> Iterator[str]:
    """Name the options under which the conclusion never is that of the main specification, or half as often as else."""
    usual = 1 - turned(found).sum() / decided(found).sum()
    never = [share for share in _concerned(found) if share.same == 0]
    seldom = [share for share in _concerned(found) if 0 < share.same <= SELDOM * usual * share.concluding]
    if never:
        yield f"It never does {_options(found, never, counted=False)}."
    if seldom:
        yield f"It seldom does {_options(found, sorted(seldom, key=lambda s: s.same / s.concluding), counted=True)}."


def _always(found: Specifications, known: int) -> Iterator[str]:
    """Name the options under which the conclusion stays whatever else is chosen, where there are more ways than one."""
    if 1 - turned(found).sum() / known > USUAL:
        return  # then nearly every option does
    always = [s for s in _concerned(found) if s.same == s.concluding and s.choice != "exclude" and s.same < known]
    if always:
        yield f"It always does {_options(found, always, counted=False)}."


def _options(found: Specifications, of: list[Share], *, counted: bool) -> str:
    """List options: `without Jackson 2011 (2 of 9) or with ci HKSJ (3 of 40)`."""
    words = [
        _phrase(found, s.choice, s.option) + (f" ({s.same:,} of {s.concluding:,})" if counted else "")
        for s in of[:LISTED]
    ]
    return _or(words, len(of) - LISTED)


def _or(words: list[str], more: int) -> str:
    """Join alternatives, and tell how many more there are."""
    if more > 0:
        return f"{', '.join(words)} or {more:,} more (see .shares())"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _phrase(found: Specifications, choice: str, option: str) -> str:
    """Word one option of one choice: `without Jackson 2011`, `with ci HKSJ`, `with all rows`."""
    if choice == "exclude":
        return "with all rows" if option == NOTHING else _without(found, option)
    return f"with {PLAIN.get(choice, choice)} {option}"


def _without(found: Specifications, option: str) -> str:
    """Word an exclusion; a name that the user gave stands in quotation marks."""
    plain = option == OUTLIERS or option.startswith("rows where ") or option in found.sources[0].labels
    return f"without {option}" if plain else f"without '{option}'"


def _smallest(found: Specifications) -> str:
    """Name the smallest sets of changes that turn the conclusion."""
    sets = smallest_changes(found)
    size = len(sets[0])
    words = [" together with ".join(_change(found, *change) for change in changes) for changes in sets[:LISTED]]
    text = _or(words, 0) if len(sets) <= LISTED else f"{', '.join(words)} or {len(sets) - LISTED:,} more"
    if size == 1:
        return f"One change turns it: {text}."
    count = "two" if size == 2 else "three" if size == 3 else str(size)
    return f"No change alone turns it, but {count} together do: {text}."


def _change(found: Specifications, choice: str, option: str) -> str:
    """Word one change of the main specification."""
    if choice == "exclude":
        return "all rows" if option == NOTHING else _without(found, option)
    j = DIMENSIONS.index(choice)
    own = found.choices[j].options[int(found.codes[found.main, j])]
    return f"{PLAIN.get(choice, choice)} {option} instead of {own}"


def main_text(found: Specifications) -> str:
    """Write the main specification with its estimate on the scale of readers."""
    i = found.main
    point, low, high = (float(found.natural(name)[i]) for name in ("estimate", "ci_low", "ci_high"))
    words = [str(found.shown[name][i]) for name in ("measure", "model", "tau2", "ci") if found.shown[name][i]]
    left = str(found.shown["exclude"][i])
    words += [] if left == NOTHING else [_without(found, left)]
    return f"{', '.join(words)}: {estimate_text(point, low, high, _digits(high - low))}"


def _digits(width: float) -> int:
    """Return the decimals that show numbers which span a width: 2, more where it is narrow."""
    return min(6, max(2, 1 + math.ceil(-math.log10(width)))) if math.isfinite(width) and width > 0 else 2


def range_texts(found: Specifications) -> Iterator[str]:
    """Write the range of the estimates, a line for each measure."""
    values = found.natural("estimate")
    for measure in dict.fromkeys(found.shown["measure"].tolist()):
        here = values[(found.shown["measure"] == measure) & np.isfinite(values)]
        if here.size:
            digits = _digits(float(here.max() - here.min()))
            low, middle, high = (fixed(float(number), digits) for number in (here.min(), np.median(here), here.max()))
            yield f"estimates ({measure}): {low} to {high}, median {middle}"


def summary_lines(found: Specifications) -> list[str]:
    """Return the summary of a multiverse as lines of text."""
    varied = [f"{found.choices[j].name} ({len(found.taken(j)):,})" for j in found.varied]
    k = found.numbers.k
    fewest, most = int(k.min()), int(k.max())
    pooled = f"{most}" if fewest == most else f"{fewest} to {most}"
    head = f"Multiverse of {found.n:,} specification{'s' if found.n != 1 else ''}, {pooled} effects each"
    lines = [head, f"varied: {', '.join(varied) or 'nothing'}", f"main: {main_text(found)}", *range_texts(found)]
    lines += sentences(found)
    return lines
