"""What about a set of rows as a whole a reader must know: mixed outcomes, treatments, units and directions, repeats."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from metaback.data.trials import Trials
from metaback.effects.direction import FLAG, Direction, listed
from metaback.effects.effect_sizes import repeat_notes
from metaback.effects.instruments import Instrument, of_rows
from metaback.effects.routes import Bools
from metaback.errors import Problem
from metaback.stats.measures import about

# Measures that keep the units of the scores, so that rows of two instruments have no mean in common.
IN_UNITS = frozenset({"MD", "MDA", "MDCH", "MC", "MN", "MNLN", "SDLN"})


def set_notes(trials: Trials, labels: tuple[str, ...], estimable: Bools, *, turned: bool) -> tuple[str, ...]:
    """Tell outcomes and treatments that are pooled together and studies that enter twice.

    labels: study of each row; estimable: (k,) rows with an effect; `turned` rows are all about one pair.
    """
    notes: list[str] = []
    arms = (("treatment_1", "treatments in arm 1"), ("treatment_2", "treatments in arm 2"))
    for role, noun in (("outcome", "outcomes"), *(() if turned else arms)):
        different = sorted(set(trials.texts(role)) - {""}) if role in trials.roles else ()
        if len(different) > 1:
            notes.append(f"{len(different)} {noun} are pooled together: {', '.join(different)}.")
    notes += repeat_notes(labels, trials.rows, estimable)
    return tuple(notes)


def scale_notes(trials: Trials, estimable: Bools, direction: Direction, key: str) -> tuple[str, ...]:
    """Tell that rows of several instruments are pooled in units of their own, or with no word on their direction.

    The names are those of the table: two spellings of one instrument are two.
    """
    if "instrument" not in trials.roles:
        return ()
    named = zip(trials.texts("instrument"), estimable.tolist(), strict=True)
    several = list(dict.fromkeys(text for text, ok in named if ok and text))
    if len({text.strip().casefold() for text in several}) < 2:
        return ()
    found: list[str] = []
    if key in IN_UNITS:
        found.append(
            f"{key} keeps the units of the scores, and the rows name {len(several)} instruments ({listed(several)}); "
            "if their units differ, the pooled value has none: take SMD or POMP, or pool one instrument at a time."
        )
    silent = direction.higher_is_better is None and about(key).turn != "same" and about(key).kind != "none"
    if silent and about(key).kind != "counts":
        found.append(
            f"The rows name {len(several)} instruments ({listed(several)}) and none says whether higher is better; "
            f"they are taken to point the same way. Say it in a column {FLAG} or with instruments=..."
        )
    return tuple(found)


def unit_problems(trials: Trials, estimable: Bools, instruments: Mapping[str, Instrument], key: str) -> list[Problem]:
    """Refuse to pool scores of scales that were described with ranges of different width, in their own units."""
    if key not in IN_UNITS:
        return []
    if not instruments and not {"scale_low", "scale_high"} <= trials.roles.keys():
        return []
    widths: dict[float, list[str]] = {}
    low, high = trials.numbers("scale_low"), trials.numbers("scale_high")
    for i, facts in enumerate(of_rows(trials, instruments)):
        ends = (low[i] if facts.low is None else facts.low, high[i] if facts.high is None else facts.high)
        if estimable[i] and np.isfinite(ends).all():
            widths.setdefault(float(ends[1] - ends[0]), []).append(f"{trials.texts('study')[i]} ({trials.rows[i]})")
    if len(widths) < 2:
        return []
    parts = "; ".join(f"{width:g} in {listed(names)}" for width, names in widths.items())
    rule = f"{key} is in the units of the scores, and the ranges of the scales differ in width: {parts}"
    fix = "Take SMD, or POMP (percent of the range), or pool one scale at a time"
    return [Problem(rule, fix, trials.roles.get("instrument"))]
