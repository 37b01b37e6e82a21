"""The marks of a forest panel: squares, interval lines, diamonds, the prediction bar, reference lines and the axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform, ScaledTranslation, blended_transform_factory

from metaback.plots.axis import TICK, TICK_PAD, AxisPlan
from metaback.plots.forest_records import ForestData, ForestRow
from metaback.plots.grid import split_interval
from metaback.plots.style import Style
from metaback.plots.text import Ruler

Point = tuple[float, float]
Placed = Sequence[tuple[ForestRow, float]]
_ARROW_LEFT = Path([(0.0, 0.0), (1.0, 0.55), (1.0, -0.55), (0.0, 0.0)])
_ARROW_RIGHT = Path([(0.0, 0.0), (-1.0, 0.55), (-1.0, -0.55), (0.0, 0.0)])
_ARROW_LENGTH = 4.5
_DIAMOND = 0.34
_STUDY = 0.26  # half the height of the diamond of a study, in rows
_PALE = 0.5  # share of its colour that the square of an effect under its study has
_BAR = 0.13
_CURVE = 1.7  # rows that a predictive density is high
_BAND = "#EDEDED"


class Squares(PathCollection):
    """The squares of the studies; `tips` has the words that a page shows for each, in the order of the offsets."""

    tips: tuple[str, ...] = ()


class StudyMeans(PolyCollection):
    """The diamonds of studies of several effects, with tips as `Squares` has them."""

    tips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """The axes to draw in: their plan, the height of a row in units of y, and the look.

    largest: weight of the largest square, where it is on another page; None for that of the rows.
    """

    ax: Axes
    axis: AxisPlan
    unit: float
    style: Style
    largest: float | None = None

    def shown(self, value: float | None) -> bool:
        """Tell whether a value lies within the axis."""
        return value is not None and self.axis.low <= value <= self.axis.high

    def clipped(self, row: ForestRow) -> tuple[float, float] | None:
        """Return the part of a row's interval that lies within the axis, with room for arrows where it goes on."""
        if row.lower is None or row.upper is None:
            return None
        left = row.lower if row.lower >= self.axis.low else self.axis.low + self.arrow
        right = row.upper if row.upper <= self.axis.high else self.axis.high - self.arrow
        return (left, right) if left <= right else None

    @property
    def arrow(self) -> float:
        """Return the length of an arrow in units of the axis."""
        inches = self.ax.get_window_extent().width / self.ax.figure.dpi
        return 0.9 * _ARROW_LENGTH / 72 / inches * (self.axis.high - self.axis.low)


def draw_panel(panel: Panel, data: ForestData, placed: Placed) -> None:
    """Draw all marks; `placed` holds the rows with their y."""
    _thresholds(panel, data)
    _reference_lines(panel, data, placed)
    _studies(panel, [(row, y) for row, y in placed if row.kind == "study"])
    _study_means(panel, [(row, y) for row, y in placed if row.kind == "study_mean"])
    _diamonds(panel, [(row, y) for row, y in placed if row.kind in {"subtotal", "total"}])
    _predictions(panel, data, [(row, y) for row, y in placed if row.kind == "prediction"])
    panel.ax.set_xlim(panel.axis.low, panel.axis.high)


def diamond(lower: float, point: float, upper: float, low: float, high: float) -> list[Point]:
    """Return the corners of a diamond of half-height 1 with its tips at the limits, cut off at the ends of the axis."""
    left, right = max(lower, low), min(upper, high)
    if left > right or not all(map(math.isfinite, (lower, point, upper))):
        return []

    def half(x: float) -> float:
        if x <= point:
            return 1.0 if point == lower else (x - lower) / (point - lower)
        return (upper - x) / (upper - point)

    xs = [left, *([point] if left < point < right else []), right]
    top = [(x, half(x)) for x in xs]
    return [*top, *((x, -h) for x, h in reversed(top))]


def _thresholds(panel: Panel, data: ForestData) -> None:
    """Draw one threshold as a dotted line, two as a band with dotted edges."""
    if not data.mcid:
        return
    bottom, top = panel.ax.get_ylim()
    shown = [value for value in data.mcid if panel.shown(value)]
    lines = [[(value, top), (value, bottom)] for value in shown]
    dots = LineCollection(lines, colors=panel.style.ink, linewidths=0.8, linestyles=[(0, (1.0, 2.0))], zorder=0.9)
    dots.set_gid("thresholds")
    panel.ax.add_collection(dots, autolim=False)
    if len(data.mcid) > 1:
        low, high = max(data.mcid[0], panel.axis.low), min(data.mcid[-1], panel.axis.high)
        corners = [(low, top), (high, top), (high, bottom), (low, bottom)]
        band = PolyCollection([corners], facecolors=_BAND, linewidths=0, zorder=0.5)
        band.set_gid("band")
        panel.ax.add_collection(band, autolim=False)


def _reference_lines(panel: Panel, data: ForestData, placed: Placed) -> None:
    """Draw the line of no effect, and the dashed one through the total from the first study to its diamond."""
    bottom, top = panel.ax.get_ylim()
    style = panel.style
    if data.null is not None and panel.shown(data.null):
        line = [(data.null, top), (data.null, bottom)]
        panel.ax.add_collection(LineCollection([line], colors=style.ink, linewidths=0.6, zorder=1), autolim=False)
    studies = [y for row, y in placed if row.kind in {"study", "not_estimable", "study_mean"}]
    totals = [y for row, y in placed if row.kind == "total"]
    if data.reference is not None and (studies or totals) and panel.shown(data.reference):
        start = studies[0] - panel.unit / 2 if studies else top
        line = [(data.reference, start), (data.reference, totals[0] if totals else bottom)]
        dashes = LineCollection(
            [line], colors=style.diamond_colour, linewidths=0.7, linestyles=[(0, (3.0, 2.5))], zorder=1.1
        )
        panel.ax.add_collection(dashes, autolim=False)


def _studies(panel: Panel, studies: Placed) -> None:
    """Draw squares with an area proportional to weight, and over them the interval lines.

    Effects that stand under their study are paler. A weight of 0 or less has no area: a stroke marks the effect.
    """
    style = panel.style
    largest = panel.largest or max((row.weight or 0.0 for row, _ in studies), default=0.0)
    within = [(row, y) for row, y in studies if panel.shown(row.estimate)]
    flat = {y for row, y in within if row.weight is not None and row.weight <= 0 < largest}
    drawn = [(row, y) for row, y in within if y not in flat]
    shares = [(row.weight or 0.0) / largest if largest > 0 else 1.0 for row, _ in drawn]
    nested = [(row, y) for row, y in studies if row.study]
    pale = _paler(style.square_colour, _PALE)
    colours = [pale if row.study else style.square_colour for row, _ in drawn] if nested else style.square_colour
    squares = Squares(
        [Path([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])],
        sizes=[max(style.square**2 * share, style.square_min**2) for share in shares],
        offsets=[(row.estimate or 0.0, y) for row, y in drawn],
        offset_transform=panel.ax.transData,
        facecolors=colours,
        linewidths=0,
        zorder=2,
        clip_on=False,
    )
    squares.set_transform(IdentityTransform())
    squares.set_gid("squares")
    squares.tips = tuple(_tip(row) for row, _ in drawn)
    panel.ax.add_collection(squares, autolim=False)
    _intervals(panel, [(row, y) for row, y in studies if not row.study], style.ink, 0.9)
    if nested:
        _intervals(panel, nested, style.muted, 0.6)
    _strokes(panel, [(row, y) for row, y in within if y in flat])


def _intervals(panel: Panel, rows: Placed, colour: str, width: float) -> None:
    """Draw the interval lines of some rows, with arrows where they go on."""
    spans = [(panel.clipped(row), y) for row, y in rows]
    lines = [[(span[0], y), (span[1], y)] for span, y in spans if span is not None]
    bars = LineCollection(lines, colors=colour, linewidths=width, zorder=3, capstyle="butt")
    panel.ax.add_collection(bars, autolim=False)
    _arrows(panel, rows, colour)


def _strokes(panel: Panel, rows: Placed) -> None:
    """Mark effects without a square by a stroke across their interval."""
    half = 0.5 * _STUDY * panel.unit
    lines = [[(row.estimate or 0.0, y - half), (row.estimate or 0.0, y + half)] for row, y in rows]
    if lines:
        strokes = LineCollection(lines, colors=panel.style.muted, linewidths=0.9, zorder=3, capstyle="butt")
        strokes.set_gid("strokes")
        panel.ax.add_collection(strokes, autolim=False)


def _study_means(panel: Panel, rows: Placed) -> None:
    """Draw the means of studies of several effects: open diamonds, lower and thinner than those of pools."""
    style, corners, tips = panel.style, list[list[Point]](), list[str]()
    for row, y in rows:
        span = panel.clipped(row)
        if row.lower is None or row.estimate is None or row.upper is None or span is None:
            continue
        made = diamond(row.lower, row.estimate, row.upper, *span)
        if made:
            corners.append([(x, y + h * _STUDY * panel.unit) for x, h in made])
            tips.append(_tip(row))
    if corners:
        means = StudyMeans(corners, facecolors="white", edgecolors=style.ink, linewidths=0.7, zorder=3.1, clip_on=False)
        means.set_gid("study-means")
        means.tips = tuple(tips)
        panel.ax.add_collection(means, autolim=False)
    _arrows(panel, rows, style.ink)


def _tip(row: ForestRow) -> str:
    """Name the study of a square, with its effect."""
    effect = next((cell for cell in row.cells if split_interval(cell) is not None), "")
    name = f"{row.study}, {row.label}" if row.study else row.label
    return f"{name}: {effect}" if effect else name


def _arrows(panel: Panel, rows: Placed, colour: str) -> None:
    """Mark the rows whose interval goes on beyond an end of the axis."""
    left = [y for row, y in rows if row.lower is not None and row.lower < panel.axis.low]
    right = [y for row, y in rows if row.upper is not None and row.upper > panel.axis.high]
    for ys, edge, arrow in ((left, panel.axis.low, _ARROW_LEFT), (right, panel.axis.high, _ARROW_RIGHT)):
        if ys:
            area = (2 * _ARROW_LENGTH) ** 2
            panel.ax.scatter(
                [edge] * len(ys), ys, s=area, marker=arrow, color=colour, linewidths=0, zorder=4, clip_on=False
            )


def _diamonds(panel: Panel, rows: Placed) -> None:
    """Draw the pooled effects: solid for the total, open for subgroups."""
    style = panel.style
    for row, y in rows:
        span = panel.clipped(row)
        if row.lower is None or row.estimate is None or row.upper is None or span is None:
            continue
        corners = diamond(row.lower, row.estimate, row.upper, *span)
        if corners:
            polygon = PolyCollection(
                [[(x, y + h * _DIAMOND * panel.unit) for x, h in corners]],
                facecolors=style.diamond_colour if row.kind == "total" else "white",
                edgecolors=style.diamond_colour,
                linewidths=0.8,
                zorder=3,
                clip_on=False,
            )
            panel.ax.add_collection(polygon, autolim=False)
    _arrows(panel, rows, style.diamond_colour)


def _predictions(panel: Panel, data: ForestData, rows: Placed) -> None:
    """Draw prediction intervals as bars, as lines with whiskers or as the density that they are cut from."""
    colour = panel.style.prediction_colour
    spans = [(row, panel.clipped(row), y) for row, y in rows]
    drawn = [(row, span, y) for row, span, y in spans if span is not None]
    if data.pi_style == "density" and data.density:
        for row, _, y in drawn:
            _density(panel, data, row, y)
    elif data.pi_style == "line":
        _whiskers(panel, drawn)
    else:
        half = _BAR * panel.unit
        bars = [
            [(left, y - half), (right, y - half), (right, y + half), (left, y + half)] for _, (left, right), y in drawn
        ]
        panel.ax.add_collection(PolyCollection(bars, facecolors=colour, linewidths=0, zorder=3), autolim=False)
    _arrows(panel, rows, colour)


def _whiskers(panel: Panel, drawn: Sequence[tuple[ForestRow, Point, float]]) -> None:
    """Draw lines with a stroke at each end that the axis shows."""
    half, lines = 1.6 * _BAR * panel.unit, list[list[Point]]()
    for row, (left, right), y in drawn:
        ends = [end for end in (row.lower, row.upper) if panel.shown(end) and end is not None]
        lines += [[(left, y), (right, y)], *([(end, y - half), (end, y + half)] for end in ends)]
    made = LineCollection(lines, colors=panel.style.prediction_colour, linewidths=1.2, zorder=3, capstyle="butt")
    panel.ax.add_collection(made, autolim=False)


def _density(panel: Panel, data: ForestData, row: ForestRow, y: float) -> None:
    """Draw the predictive density over a base line, darker within the interval."""
    colour, height = panel.style.prediction_colour, _CURVE * panel.unit
    base = y + height / 2
    shown = [(x, h) for x, h in data.density if panel.shown(x)]
    inside = [(x, h) for x, h in shown if (row.lower or 0.0) <= x <= (row.upper or 0.0)]
    for part, share in ((shown, 0.25), (inside, 0.75)):
        if len(part) > 1:
            outline = [(part[0][0], base), *((x, base - h * height) for x, h in part), (part[-1][0], base)]
            shape = PolyCollection([outline], facecolors=_paler(colour, share), linewidths=0, zorder=0.8)
            shape.set_gid("density")
            panel.ax.add_collection(shape, autolim=False)


def _paler(colour: str, share: float) -> tuple[float, float, float]:
    """Mix a colour with white: formats without transparency then look the same."""
    red, green, blue = to_rgb(colour)
    return 1 - share * (1 - red), 1 - share * (1 - green), 1 - share * (1 - blue)


def draw_axis(panel: Panel, data: ForestData, ruler: Ruler, favours_drop: float) -> None:
    """Draw the axis line, ticks, title and favours words; `favours_drop` is their depth below the panel in inches."""
    ax, axis, ink = panel.ax, panel.axis, panel.style.ink
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set(linewidth=0.7, color=ink)
    ax.tick_params(axis="x", which="both", length=TICK, pad=TICK_PAD, width=0.7, color=ink, bottom=True, top=False)
    font = ruler.face.properties(panel.style.size)
    ax.set_xticks(list(axis.ticks.positions), list(axis.ticks.labels), color=ink, fontproperties=font, parse_math=False)
    ax.set_xticks([], minor=True)
    under = (TICK + TICK_PAD) / 72 + 1.15 * panel.style.line_height
    _below(panel, axis.title, under, ruler, x=(axis.low + axis.high) / 2)
    if axis.favours is not None and data.null is not None:
        away = panel.style.gap / 2
        _below(panel, axis.favours[0], favours_drop, ruler, x=data.null, align="right", shift=-away)
        _below(panel, axis.favours[1], favours_drop, ruler, x=data.null, align="left", shift=away)


def _below(
    panel: Panel, lines: Sequence[str], drop: float, ruler: Ruler, *, x: float,
    align: Literal["left", "right", "center"] = "center", shift: float = 0.0,
) -> None:  # fmt: skip
    """Write lines under the panel at a value of the axis, `drop` inches below its foot."""
    ax, style = panel.ax, panel.style
    base = blended_transform_factory(ax.transData, ax.transAxes)
    for i, line in enumerate(lines):
        depth = drop + (i + 0.8) * style.line_height
        text = Text(
            x,
            0.0,
            line,
            color=style.ink,
            fontproperties=ruler.face.properties(style.size),
            horizontalalignment=align,
            verticalalignment="baseline",
            transform=base + ScaledTranslation(shift, -depth, ax.figure.dpi_scale_trans),
            parse_math=False,
        )
        text.set_clip_on(False)
        ax.add_artist(text)
