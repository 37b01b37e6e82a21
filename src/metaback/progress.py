"""How far a long run is: what loops tell, and the one line that a terminal is shown of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

PATIENCE = 1.0  # seconds after which progress is shown: a short run says nothing
EVERY = 0.1  # seconds between two lines: more cannot be read, and a slow terminal would hold the run up
Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Tell nobody."""


def teller(progress: Progress | bool | None, unit: str) -> Progress:
    """Return what is told how much is done of how much there is.

    progress: a function of both numbers, which is called as it is; False for silence; True for a line on standard
    error wherever that leads; None for one on a terminal only. unit: what is counted, e.g. "rows".

    The line comes after a second and is written over itself, ten times a second at most.

    >>> seen = []
    >>> teller(lambda done, total: seen.append((done, total)), "rows")(1, 2)
    >>> seen
    [(1, 2)]
    """
    if callable(progress):
        return progress
    if progress is False or not (progress or sys.stderr.isatty()):
        return silent
    next_at = time.monotonic() + PATIENCE
    open_line = False

    def tell(done: int, total: int) -> None:
        nonlocal next_at, open_line
        now = time.monotonic()
        if now < next_at and not (open_line and done >= total):
            return
        open_line, next_at = done < total, now + EVERY
        sys.stderr.write(f"\r{done:,} of {total:,} {unit}" + ("" if open_line else "\n"))
        sys.stderr.flush()

    return tell


def within(tell: Progress, start: int, stop: int, total: int) -> Progress:
    """Return what tells of one part of a run, from `start` to `stop` of `total`, as it advances in counts of its own.

    >>> seen = []
    >>> within(lambda done, total: seen.append((done, total)), 10, 20, 50)(1, 2)
    >>> seen
    [(15, 50)]
    """

    def told(done: int, of: int) -> None:
        tell(start + (stop - start) * done // max(of, 1), total)

    return told
