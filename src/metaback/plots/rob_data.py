"""The contents of the risk-of-bias figure as plain values: a circle for each judgement, and how often each was made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaback.errors import OptionError
from metaback.numbers import fixed
from metaback.plots.forest_words import distinct_labels
from metaback.plots.rob_words import JUDGEMENTS, PREFIX, Domain, Judgement, RobTable, read_rob
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import comparison, plural
from metaback.stats.wls import Floats

VIEWS = ("both", "traffic-light", "summary")
WEIGHTS = ("pool", "none")


@dataclass(frozen=True, slots=True)
class RobBar:
    """One bar of the summary: a domain, and the share of each judgement, in the order of `RobData.used`.

    blank: share of studies whose cell is blank. Shares and blank sum to 1.
    """

    domain: Domain
    shares: tuple[float, ...]
    blank: float


@dataclass(frozen=True, slots=True)
class RobData:
    """A risk-of-bias figure before it is drawn; `cells[study][domain]` is None where the table is blank.

    view: "both", "traffic-light" or "summary". weighted: whether studies count by their weight in the pool. bars have
    the domains with judgements; totals of scales are numbers and have none.
    """

    title: str
    tool: str
    view: str
    labels: tuple[str, ...]
    domains: tuple[Domain, ...]
    cells: tuple[tuple[Judgement | None, ...], ...]
    used: tuple[Judgement, ...]
    bars: tuple[RobBar, ...]
    weighted: bool
    footnotes: tuple[str, ...]
    alt: str


def rob_data(
    analysis: Analysis, *, tool: str | None = None, view: str = "both", weights: str = "none", title: str | None = None
) -> RobData:
    """Return the contents of the risk-of-bias figure of a pool, from the columns of its table named `rob_*`.

    tool: "RoB 2", "RoB 1", "ROBINS-I", "PEDro", "TESTEX" or "own"; None follows the words of the table. view: "both",
    "traffic-light" or "summary". weights: "none" counts studies, "pool" counts them by their weight in the pool, of
    which rows that are not pooled have none.

    Rows of one study with the same judgements are one study here. Raises `OptionError` for an unknown word and where
    there is no column `rob_*`, `DataError` with every judgement that is not understood.
    """
    effects = analysis.fitted.effects
    columns = {name: values.tolist() for name, values in effects.moderators.items() if name.lower().startswith(PREFIX)}
    weighted = _word("weights", weights, WEIGHTS) == "pool"
    shares = analysis.overall.weights if weighted else None
    labels = list(effects.labels)
    name = comparison(analysis).known if title is None else title
    return rob_table_data(columns, labels, tool=tool, view=view, weights=shares, title=name, rows=effects.rows)


def rob_table_data(
    columns: Mapping[str, Sequence[Any]],
    labels: Sequence[str],
    *,
    tool: str | None = None,
    view: str = "both",
    weights: Floats | None = None,
    title: str = "",
    rows: Sequence[str] | None = None,
) -> RobData:
    """Return the contents of the figure of any table: columns `rob_*` with one value per row, and the rows' labels.

    weights: (rows,) how much each counts in the summary, nan for not at all; None counts each once.
    rows: what errors call the rows; None numbers them.

    >>> data = rob_table_data({"rob_1": ["low", "high"], "rob_overall": ["low", "some concerns"]}, ["A", "B"])
    >>> [bar.domain.title for bar in data.bars], data.bars[0].shares
    (['Randomisation process', 'Overall'], (0.5, 0.0, 0.5))
    """
    _word("view", view, VIEWS)
    table = read_rob(columns, tool=tool, rows=rows)
    given = np.ones(len(labels)) if weights is None else np.nan_to_num(np.asarray(weights, dtype=float))
    names, cells, counted = _studies(labels, table, given)
    used = table.used
    bars = tuple(_bar(j, domain, cells, counted, used) for j, domain in enumerate(table.domains))
    bars = tuple(bar for bar in bars if sum(bar.shares) > 0)
    data = RobData(
        title=title,
        tool=table.tool.title,
        view=view,
        labels=distinct_labels(names),
        domains=table.domains,
        cells=tuple(cells),
        used=used,
        bars=bars,
        weighted=weights is not None,
        footnotes=(),
        alt="",
    )
    return _with_words(data, labels)


def _word(option: str, word: str, known: Sequence[str]) -> str:
    """Return a word of a vocabulary, or tell the vocabulary."""
    if word not in known:
        raise OptionError.unknown(option, word, known)
    return word


def _studies(
    labels: Sequence[str], table: RobTable, weights: Floats
) -> tuple[list[str], list[tuple[Judgement | None, ...]], Floats]:
    """Put rows of one label and the same judgements together; their weights add up, or count once where all are 1."""
    once = bool((weights == 1).all())
    places: dict[tuple[str, tuple[Judgement | None, ...]], int] = {}
    sums: list[float] = []
    for label, cells, weight in zip(labels, table.cells, weights.tolist(), strict=True):
        place = places.setdefault((label, cells), len(sums))
        if place == len(sums):
            sums.append(weight)
        elif not once:
            sums[place] += weight
    keys = list(places)
    return [label for label, _ in keys], [cells for _, cells in keys], np.array(sums)


def _bar(
    place: int,
    domain: Domain,
    cells: Sequence[tuple[Judgement | None, ...]],
    weights: Floats,
    used: Sequence[Judgement],
) -> RobBar:
    """Return how often each judgement was made in one domain."""
    total = math.fsum(weights.tolist())
    column = [row[place] for row in cells]

    def share(key: str | None) -> float:
        same = [w for w, cell in zip(weights.tolist(), column, strict=True) if (cell.key if cell else None) == key]
        return math.fsum(same) / total if total > 0 else 0.0

    return RobBar(domain, tuple(share(judgement.key) for judgement in used), share(None))


def _with_words(data: RobData, labels: Sequence[str]) -> RobData:
    """Add footnotes and the text alternative."""
    notes: list[str] = []
    if data.view == "traffic-light":
        notes.append("; ".join(f"{d.letter}: {d.title}" for d in data.domains if not d.overall) + ".")
    if data.view != "traffic-light":
        count = "by their weight in the pool" if data.weighted else "each once"
        notes.append(f"Bars count {plural(len(data.labels), 'study', 'studies')} {count}.")
    blank = sum(cell is None for row in data.cells for cell in row)
    if blank:
        notes.append(f"{plural(blank, 'cell is', 'cells are')} blank in the table and drawn empty.")
    if len(labels) > len(data.labels):
        notes.append(f"{len(labels)} rows of the table: rows of one study with the same judgements are one here.")
    scores = [d.title for j, d in enumerate(data.domains) if any(_is_score(row[j]) for row in data.cells)]
    if scores:
        notes.append(f"Points ({', '.join(scores)}) are numbers and have no bar.")
    return RobData(
        data.title, data.tool, data.view, data.labels, data.domains, data.cells, data.used, data.bars, data.weighted,
        tuple(notes), _alt(data),
    )  # fmt: skip


def _is_score(cell: Judgement | None) -> bool:
    """Tell points of a scale from judgements."""
    return cell is not None and cell.key not in JUDGEMENTS


def _alt(data: RobData) -> str:
    """Describe the figure in words: the share of each judgement in each domain."""
    parts = [f"{data.tool} of {plural(len(data.labels), 'study', 'studies')}{f', {data.title}' if data.title else ''}"]
    for bar in data.bars:
        said = [
            f"{judgement.word.lower()} {fixed(100 * share, 0)}%"
            for judgement, share in zip(data.used, bar.shares, strict=True)
            if share > 0
        ]
        parts.append(f"{bar.domain.title}: {', '.join(said)}")
    return ". ".join(parts) + (". Shares by weight in the pool." if data.weighted else ".")
