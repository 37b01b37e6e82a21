"""A long forest plot cut into pages: heads repeated, subgroups and pages continued in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from metaback.plots.forest_records import ForestData, ForestRow

PAGE_ROWS = 45
_CONTINUED = " (continued)"
_KEPT = frozenset({"subtotal", "total", "prediction", "text", "blank"})  # rows that follow a study on its page
_HEADS = frozenset({"header", "study_mean"})
_SLACK = 8  # rows that a page may have beyond its number, so that pooled rows stay with a study


def pages_of(data: ForestData, rows: int | None = None) -> tuple[ForestData, ...]:
    """Return the forest as pages of at most `rows` rows (45); a forest that fits is one page, as it is.

    A header is never the last row of a page, and pooled rows are never the first where that can be helped; the effects
    of a study stay together where a page can hold them. Pages after the first say "continued" in the title and in the
    header of a subgroup or a study; notes stand on the last one.
    """
    most = PAGE_ROWS if rows is None else max(5, rows)
    if len(data.rows) <= most:
        return (data,)
    parts = _parts(data.rows, most)
    if len(parts) == 1:
        return (data,)
    made: list[ForestData] = []
    for number, part in enumerate(parts, start=1):
        last = number == len(parts)
        title = data.title if number == 1 else f"{data.title}{_CONTINUED}".strip()
        page = f"Page {number} of {len(parts)}."
        notes = (*data.footnotes, page) if last else (f"{page} Statistics and notes: last page.",)
        made.append(replace(data, title=title, rows=tuple(part), footnotes=notes, alt=f"{data.alt} {page}"))
    return tuple(made)


def _parts(rows: Sequence[ForestRow], most: int) -> list[list[ForestRow]]:
    """Cut the rows."""
    parts: list[list[ForestRow]] = []
    start, header = 0, None
    while start < len(rows):
        stop = _stop(rows, start, most)
        part = list(rows[start:stop])
        if part[0].study:
            part.insert(0, ForestRow("study_mean", f"{part[0].study}{_CONTINUED}", level=part[0].level - 1))
        if header is not None and part[0].level > 0:
            part.insert(0, replace(header, label=f"{header.label}{_CONTINUED}"))
        parts.append(part)
        headers = [row for row in rows[start:stop] if row.kind == "header"]
        header = headers[-1] if headers else header
        start = stop
        while start < len(rows) and rows[start].kind == "blank":
            start += 1
    return parts


def _stop(rows: Sequence[ForestRow], start: int, most: int) -> int:
    """Return where a page that begins at `start` ends."""
    stop = min(start + most, len(rows))
    if stop == len(rows):
        return stop
    further = stop
    while further < len(rows) and rows[further].kind in _KEPT and further - stop < _SLACK:
        further += 1
    if further == len(rows) or rows[further].kind not in _KEPT:
        stop = further
    head = _head(rows, stop)
    if start < head and _tail(rows, stop) - head <= most:
        stop = head
    while stop - 1 > start and stop < len(rows) and rows[stop - 1].kind in _HEADS:
        stop -= 1
    return stop


def _head(rows: Sequence[ForestRow], stop: int) -> int:
    """Return where the study begins that a cut before `stop` would split, `stop` where it splits none."""
    head = stop
    while 0 < head < len(rows) and rows[head].study:
        head -= 1
    return head


def _tail(rows: Sequence[ForestRow], stop: int) -> int:
    """Return where the effects of that study end."""
    return next((i for i in range(stop, len(rows)) if not rows[i].study), len(rows))
