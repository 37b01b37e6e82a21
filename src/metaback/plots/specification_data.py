"""The contents of a specification plot as plain values: sorted estimates, and the choices that led to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metaback.postestimation.exclusions import NOTHING
from metaback.postestimation.scales import way_back
from metaback.postestimation.specification_words import Share, decided, main_text, sentences, shares, turned
from metaback.postestimation.specifications import NOT_ESTIMABLE, Specifications
from metaback.postestimation.words import comparison, measure_name, measure_short, percent, plural, sentence_case
from metaback.stats.measures import about
from metaback.stats.measures.family import has_null
from metaback.stats.wls import Bools, Floats

ALL_DRAWN = 600  # specifications above which they are put together in columns of neighbours
COLUMNS = 300
OPTIONS = 12  # options of one choice that have a row; the others share one
HEADS = {
    "measure": "Measure",
    "r": "Assumed correlation",
    "preset": "Preset",
    "model": "Model",
    "tau2": "Estimator of τ²",
    "ci": "Interval of the mean",
    "pi": "Prediction interval",
    "exclude": "Left out",
}


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """One row of the lower panel: the choice, its option, and how often the conclusion is that of the main one."""

    head: str
    label: str
    count: str


@dataclass(frozen=True, slots=True)
class MainMark:
    """The main specification: its column, and its own numbers on the analysis scale."""

    column: int
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SpecificationPanel:
    """The curve of one measure: columns from the smallest estimate to the largest, on the analysis scale.

    A column is one specification, or several neighbours: then estimate, low and high are their medians, and far_low
    and far_high their furthest limits. agrees: (columns,) share of a column whose conclusion is that of the main
    specification; taken: (rows, columns) share that took the option of a row. size: specifications drawn. mcid: the
    smallest difference that matters, on either side of no effect.
    """

    title: str
    measure: str
    scale: Literal["linear", "log"]
    back: str
    null: float | None
    estimate: Floats
    low: Floats
    high: Floats
    far_low: Floats
    far_high: Floats
    agrees: Floats
    taken: Floats
    main: MainMark | None
    size: int
    mcid: float | None = None

    @property
    def joined(self) -> bool:
        """Tell whether a column stands for several specifications."""
        return self.size > self.estimate.size


@dataclass(frozen=True, slots=True)
class SpecificationData:
    """A specification plot before it is drawn; alt: text alternative made from the result."""

    title: str
    panels: tuple[SpecificationPanel, ...]
    rows: tuple[ChoiceRow, ...]
    tested: bool
    conclusion: str
    footnotes: tuple[str, ...]
    alt: str


def specification_data(found: Specifications, *, title: str | None = None) -> SpecificationData:
    """Return the contents of the specification plot of a multiverse: one panel for each measure.

    Specifications without an estimate are left out and told. Above 600 of a measure, neighbours share a column.
    """
    rows = _rows(found)
    members = [_members(found, j, codes) for j, codes, _ in rows]
    panels = tuple(
        _panel(found, measure, members) for measure in dict.fromkeys(found.shown["measure"].tolist())
        if _drawn(found, measure).any()
    )  # fmt: skip
    mark = found.main
    said = sentences(found)
    name = comparison(found.sources[int(found.at[mark])]).title
    words = f"Specification curve of {plural(found.n, 'specification')}. Main: {main_text(found)}. {said[0]}"
    return SpecificationData(
        title=title or name,
        panels=panels,
        rows=tuple(row for _, _, row in rows),
        tested=bool(decided(found)[mark]),
        conclusion=_conclusion(found),
        footnotes=tuple(_footnotes(found, panels)),
        alt=f"{name}. {words}",
    )


def _conclusion(found: Specifications) -> str:
    """Write what the interval of the main specification says, as the key of the figure has it."""
    words = {0: "includes no effect", -1: "lies below no effect", 1: "lies above no effect"}
    words |= {-2: "lies below no effect by more than the MCID", 2: "lies above no effect by more than the MCID"}
    return words.get(int(found.conclusion[found.main]), "")


def _rows(found: Specifications) -> list[tuple[int, tuple[int, ...], ChoiceRow]]:
    """Return the rows of the lower panel: the place of the choice, the codes of the row, and its texts."""
    known = {(share.choice, share.option): share for share in shares(found)}
    out: list[tuple[int, tuple[int, ...], ChoiceRow]] = []
    for j in found.varied:
        choice = found.choices[j]
        if choice.name in ("measure", "pi"):
            continue  # each measure has its own panel, and a prediction interval is not drawn
        options = [(code, known[choice.name, choice.options[code]]) for code in found.taken(j)]
        first = options if len(options) <= OPTIONS else _first(options)
        rest = [pair for pair in options if pair not in first]
        head = HEADS[choice.name]
        out += [(j, (code,), ChoiceRow(head, _label(share), _count([share]))) for code, share in first]
        if rest:
            codes, others = tuple(code for code, _ in rest), [share for _, share in rest]
            out.append((j, codes, ChoiceRow(head, plural(len(rest), "other"), _count(others))))
    return out


def _first(options: list[tuple[int, Share]]) -> list[tuple[int, Share]]:
    """Return the options of a long choice that have rows of their own: the first, and those that turn the most."""
    ranked = sorted(options[1:], key=lambda pair: pair[1].same / max(pair[1].concluding, 1))
    return [options[0], *sorted(ranked[: OPTIONS - 2])] if len(options) > 1 else options


def _label(share: Share) -> str:
    """Write an option as the label of its row."""
    return sentence_case(NOTHING) if share.choice == "exclude" and share.option == NOTHING else share.option


def _count(found: list[Share]) -> str:
    """Write how often the conclusion is that of the main specification."""
    return f"{sum(share.same for share in found):,} of {sum(share.concluding for share in found):,}"


def _members(found: Specifications, j: int, codes: tuple[int, ...]) -> Bools:
    """Tell which specifications took one of some options."""
    return np.isin(found.codes[:, j], codes)


def _drawn(found: Specifications, measure: str) -> Bools:
    """Tell which specifications of a measure can be drawn."""
    here = np.asarray(found.shown["measure"] == measure, dtype=bool)
    return here & (found.conclusion != NOT_ESTIMABLE) & np.isfinite(found.numbers.estimate)


def _panel(found: Specifications, measure: str, members: list[Bools]) -> SpecificationPanel:
    """Sort the specifications of one measure and put them into columns."""
    index = np.flatnonzero(_drawn(found, measure))
    numbers = found.numbers
    index = index[np.lexsort((numbers.ci_low[index], numbers.estimate[index]))]
    n = index.size
    columns = n if n <= ALL_DRAWN else COLUMNS
    edges: NDArray[np.int64] = np.linspace(0, n, columns + 1).astype(np.int64)
    estimate, low, high = (getattr(numbers, name)[index] for name in ("estimate", "ci_low", "ci_high"))
    place = np.flatnonzero(index == found.main)
    mark = None
    if place.size:
        i = int(place[0])
        column = int(np.searchsorted(edges, i, side="right")) - 1
        mark = MainMark(column, float(estimate[i]), float(low[i]), float(high[i]))
    effects = found.sources[int(found.at[index[0]])]
    agrees = (decided(found) & ~turned(found))[index].astype(float)
    taken = [_share(member[index].astype(float), edges) for member in members]
    key = way_back(effects)
    return SpecificationPanel(
        title=f"{sentence_case(measure_name(effects))} with {percent(found.level)} intervals",
        measure=measure_short(effects),
        scale="log" if about(measure).scale == "log" else "linear",
        back=key,
        null=0.0 if has_null(measure) else None,
        estimate=_median(estimate, edges),
        low=_median(low, edges),
        high=_median(high, edges),
        far_low=np.minimum.reduceat(low, edges[:-1]),
        far_high=np.maximum.reduceat(high, edges[:-1]),
        agrees=_share(agrees, edges),
        taken=np.array(taken).reshape(len(members), columns),
        main=mark,
        size=n,
        mcid=found.mcid.get(measure),
    )


def _share(values: Floats, edges: NDArray[np.int64]) -> Floats:
    """Return the mean of each column."""
    return np.add.reduceat(values, edges[:-1]) / np.diff(edges)


def _median(values: Floats, edges: NDArray[np.int64]) -> Floats:
    """Return the median of each column."""
    if edges.size == values.size + 1:
        return values
    return np.array([np.median(part) for part in np.split(values, edges[1:-1])])


def _footnotes(found: Specifications, panels: tuple[SpecificationPanel, ...]) -> list[str]:
    """Tell what the figure does not show by itself."""
    notes = list(sentences(found))
    notes.insert(0, f"Main specification: {main_text(found)}.")
    if any(panel.mcid for panel in panels):
        notes.append("Dashed lines: the smallest difference that matters (MCID).")
    if joined := [panel for panel in panels if panel.joined]:
        each = joined[0]
        notes.append(
            f"{each.size:,} specifications stand in {each.estimate.size} columns of neighbours: the line and the dark "
            "band are medians of estimates and limits, the light band holds all intervals, and a row is the darker, "
            "the more of a column took the option."
        )
    missing = found.n - sum(panel.size for panel in panels)
    if missing:
        notes.append(f"{plural(missing, 'specification')} could not be estimated.")
    return notes
