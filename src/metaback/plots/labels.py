"""Names beside points: measured boxes that touch neither points nor each other, with thin lines where they move away.

One greedy pass: names are placed in the order of their importance, each at the first free place of a list that leads
from the mark outwards. A name without a free place is left out, and the caller tells how many were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from metaback.plots.page import shortened, size_of
from metaback.plots.text import Ruler
from metaback.stats.wls import Bools, Floats

NEAR = 0.03  # inches between a mark and its name
APART = 0.025  # inches that two names keep from each other
RINGS = (0.0, 0.1, 0.2, 0.32, 0.46, 0.62)  # inches further out, tried in this order
LEADER = 0.07  # inches from a mark to its name above which a line connects them
CROSSED = 40  # places further out that are better than one over a line
RIM = 1.6  # points of white around a name, which keep it readable on a line
ENOUGH = 40  # names in a row without room, after which the rest is not tried
_NEAREST = (0, 180, 90, 270, 45, 315, 135, 225)
_BETWEEN = (22, 338, 158, 202, 67, 113, 247, 293)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in inches from the lower left corner of the panel."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True)
class Name:
    """A text for one mark: its size in inches, the place of the mark (index into the marks), and the text in full."""

    text: str
    mark: int
    width: float
    height: float
    full: str = ""


@dataclass(frozen=True, slots=True)
class PlacedName:
    """A name with its box, and the line to its mark where it stands further away, in inches."""

    name: Name
    box: Box
    leader: tuple[tuple[float, float], tuple[float, float]] | None


@dataclass(frozen=True, slots=True)
class Placement:
    """What was placed, and the names that had no room."""

    placed: tuple[PlacedName, ...]
    dropped: tuple[Name, ...]

    @property
    def told(self) -> str:
        """Say how many names are missing, "" where none is."""
        count = len(self.dropped)
        return "" if not count else f"{count} name{' has' if count == 1 else 's have'} no room in the figure."


def named(texts: Sequence[str], marks: Sequence[int], measure: Ruler, *, size: float, widest: float) -> list[Name]:
    """Measure texts as names of marks; those wider than `widest` inches lose their middle, since years stand last."""
    found: list[Name] = []
    for text, mark in zip(texts, marks, strict=True):
        short = shortened(measure, text, widest * measure.style.size / size)
        found.append(Name(short, mark, measure.width(short, size=size), 1.05 * size / 72, text))
    return found


def place_names(
    names: Sequence[Name],
    marks: Floats,
    radii: Floats,
    room: Box,
    *,
    blocked: Sequence[Box] = (),
    soft: Floats | None = None,
) -> Placement:
    """Place names, the most important first, so that none touches a mark, another name or the edge of the room.

    marks: (n, 2) centres and radii: (n,) sizes of all marks in inches, with or without a name; marks beyond the room
    (nan) have none. blocked: boxes that must stay free. soft: (m, 2) points of lines, crossed only where nothing
    better is near.
    """
    known: Bools = np.asarray(np.isfinite(marks).all(axis=1), dtype=bool)
    taken: list[Box] = list(blocked)
    leaders: list[tuple[tuple[float, float], tuple[float, float]]] = []
    placed: list[PlacedName] = []
    dropped: list[Name] = []
    lines = np.empty((0, 2)) if soft is None else soft[np.isfinite(soft).all(axis=1)]
    missed = 0
    for name in names:
        if missed == ENOUGH or not known[name.mark]:
            dropped.append(name)
            continue
        at = (float(marks[name.mark, 0]), float(marks[name.mark, 1]))
        boxes = _candidates(name, at, float(radii[name.mark]))
        good = _free(boxes, room, marks[known], radii[known], taken, leaders)
        chosen = _first(boxes, good, at, float(radii[name.mark]), (marks, known, name.mark), taken, leaders, lines)
        missed = missed + 1 if chosen is None else 0
        if chosen is None:
            dropped.append(name)
            continue
        taken.append(chosen.box)
        if chosen.leader is not None:
            leaders.append(chosen.leader)
        placed.append(PlacedName(name, chosen.box, chosen.leader))
    return Placement(tuple(placed), tuple(dropped))


@dataclass(frozen=True, slots=True)
class _Chosen:
    box: Box
    leader: tuple[tuple[float, float], tuple[float, float]] | None


def _candidates(name: Name, at: tuple[float, float], radius: float) -> Floats:
    """Return boxes (n, 4: left, bottom, right, top) around a mark, the nearest first."""
    found: list[tuple[float, float, float, float]] = []
    w, h = name.width, name.height
    for ring in RINGS:
        away = radius + NEAR + ring
        for angle in _NEAREST if ring == 0.0 else (*_NEAREST, *_BETWEEN):
            c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            x, y = at[0] + away * c, at[1] + away * s
            left = x if c > 0.3 else x - w if c < -0.3 else x - w / 2
            bottom = y if s > 0.3 else y - h if s < -0.3 else y - h / 2
            found.append((left, bottom, left + w, bottom + h))
    return np.array(found)


def _free(
    boxes: Floats, room: Box, marks: Floats, radii: Floats, taken: Sequence[Box], leaders: Sequence[object]
) -> Bools:
    """Tell which boxes lie in the room and touch neither marks nor what is taken."""
    left, bottom, right, top = boxes.T
    good = (left >= room.left) & (bottom >= room.bottom) & (right <= room.right) & (top <= room.top)
    dx = np.maximum(np.maximum(left[:, None] - marks[:, 0], marks[:, 0] - right[:, None]), 0.0)
    dy = np.maximum(np.maximum(bottom[:, None] - marks[:, 1], marks[:, 1] - top[:, None]), 0.0)
    good &= (np.hypot(dx, dy) >= radii + NEAR / 2).all(axis=1)
    for box in taken:
        clear_x = (left >= box.right + APART) | (right <= box.left - APART)
        clear_y = (bottom >= box.top + APART / 2) | (top <= box.bottom - APART / 2)
        good &= clear_x | clear_y
    return good


def _first(
    boxes: Floats,
    good: Bools,
    at: tuple[float, float],
    radius: float,
    others: tuple[Floats, Bools, int],
    taken: Sequence[Box],
    leaders: Sequence[tuple[tuple[float, float], tuple[float, float]]],
    soft: Floats,
) -> _Chosen | None:
    """Return the best of the free boxes: one that crosses no line, else the one that crosses the fewest points."""
    best: tuple[float, _Chosen] | None = None
    for i in np.flatnonzero(good).tolist():
        box = Box(*boxes[i].tolist())
        if any(_cuts(line, box) for line in leaders):
            continue
        line = _leader(at, radius, box)
        if line is not None and _crosses(line, others, taken, leaders):
            continue
        inside = (soft[:, 0] > box.left) & (soft[:, 0] < box.right) & (soft[:, 1] > box.bottom) & (soft[:, 1] < box.top)
        cost = float(inside.sum() > 0) * CROSSED + i
        if best is None or cost < best[0]:
            best = (cost, _Chosen(box, line))
        if cost == i:
            break
    return None if best is None else best[1]


def _leader(at: tuple[float, float], radius: float, box: Box) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the line from the rim of a mark to the nearest point of its name, None where they are close."""
    x = min(max(at[0], box.left), box.right)
    y = min(max(at[1], box.bottom), box.top)
    away = math.hypot(x - at[0], y - at[1])
    if away - radius <= LEADER:
        return None
    share = radius / away
    return (at[0] + share * (x - at[0]), at[1] + share * (y - at[1])), (x, y)


def _crosses(
    line: tuple[tuple[float, float], tuple[float, float]],
    others: tuple[Floats, Bools, int],
    taken: Sequence[Box],
    leaders: Sequence[tuple[tuple[float, float], tuple[float, float]]],
) -> bool:
    """Tell whether a line runs through the middle of another mark, a name or another line."""
    marks, known, own = others
    (x0, y0), (x1, y1) = line
    rest = marks[known & (np.arange(len(marks)) != own)]
    length = max(math.hypot(x1 - x0, y1 - y0), 1e-9)
    along = ((rest[:, 0] - x0) * (x1 - x0) + (rest[:, 1] - y0) * (y1 - y0)) / length
    across = np.abs((rest[:, 0] - x0) * (y1 - y0) - (rest[:, 1] - y0) * (x1 - x0)) / length
    if bool(((along > 0) & (along < length) & (across < NEAR)).any()):
        return True
    return any(_cuts(line, box) for box in taken) or any(_meet(line, other) for other in leaders)


def _cuts(line: tuple[tuple[float, float], tuple[float, float]], box: Box) -> bool:
    """Tell whether a line runs through a box (Liang and Barsky's clipping)."""
    (x0, y0), (x1, y1) = line
    first, last = 0.0, 1.0
    for step, room in (
        (x0 - x1, x0 - box.left), (x1 - x0, box.right - x0), (y0 - y1, y0 - box.bottom), (y1 - y0, box.top - y0),
    ):  # fmt: skip
        if step == 0:
            if room < 0:
                return False
        elif step < 0:
            first = max(first, room / step)
        else:
            last = min(last, room / step)
    return first < last


def _meet(
    one: tuple[tuple[float, float], tuple[float, float]], two: tuple[tuple[float, float], tuple[float, float]]
) -> bool:
    """Tell whether two lines cross."""

    def side(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    (a, b), (c, d) = one, two
    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def draw_names(ax: Axes, placement: Placement, measure: Ruler, *, size: float) -> None:
    """Write placed names and their lines into axes whose limits and place are final."""
    style, (width, height) = measure.style, size_of(ax)
    lines = [[(x / width, y / height) for x, y in one.leader] for one in placement.placed if one.leader is not None]
    ax.add_collection(
        LineCollection(lines, colors=style.muted, linewidths=0.4, transform=ax.transAxes, zorder=5, clip_on=False),
        autolim=False,
    )
    for one in placement.placed:
        text = Text(
            one.box.left / width, (one.box.bottom + 0.22 * one.name.height) / height, one.name.text,
            color=style.ink, fontproperties=measure.face.properties(size), horizontalalignment="left",
            verticalalignment="baseline", transform=ax.transAxes, parse_math=False, zorder=6,
        )  # fmt: skip
        text.set_path_effects([withStroke(linewidth=RIM, foreground="white")])
        if one.name.full not in ("", one.name.text):
            text.set_gid(f"full-name-{one.name.mark}")
            text.set_label(one.name.full)
        ax.add_artist(text)
