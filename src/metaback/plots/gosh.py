"""The GOSH plot: the density of the estimates and I2 of all subsets, with histograms along both axes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from metaback.plots.gosh_data import Cloud, GoshData, gosh_data, side_top
from metaback.plots.page import (
    GREY,
    Mark,
    Scale,
    bare,
    draw_scale,
    figure_of,
    key_width,
    name_scale,
    note_lines,
    notes_height,
    page,
    shortened,
)
from metaback.plots.registry import figure
from metaback.plots.style import Style, drawing
from metaback.plots.text import Ruler, ruler
from metaback.postestimation.study_gosh import gosh_of
from metaback.postestimation.summary import Analysis
from metaback.stats.wls import Floats

__all__ = ["draw_gosh", "gosh_data"]

PANEL, SIDE, GAP = 3.4, 0.7, 0.06  # inches
AXIS, BELOW = 0.62, 0.42
PALEST = 0.16  # shade of a cell with the fewest subsets
LINES = ("-", (0, (3, 1.5)))


def draw_gosh(data: GoshData, *, style: Style | None = None, ax: Axes | None = None) -> Figure:
    """Draw the cloud with its histograms as a new figure; with `ax`, the cloud alone in those axes.

    Subsets with the splitting study are orange inside solid outlines, those without it blue inside dashed ones. The
    figure is registered nowhere and its label is the text alternative.
    """
    look = style or Style()
    measure = ruler(look, [data.title, data.axis_title, data.split, *data.footnotes])
    with drawing(look):
        if ax is not None:
            bare(ax)
            _cloud(ax, data, measure)
            return figure_of(ax)
        margin = look.margin
        marks = _marks(data, measure)
        width = max(margin + AXIS + PANEL + GAP + SIDE + margin, key_width(measure, marks) + 2 * margin)
        notes = note_lines(measure, data.footnotes, width - 2 * margin)
        titles = measure.wrap(data.title, width - 2 * margin, lines=2, size=look.title_size, bold=True).lines
        titles = titles if data.title else ()
        head = margin + 1.25 * len(titles) * look.title_size / 72 + 2.2 * look.line_height
        top = head + SIDE + GAP
        foot = top + PANEL + BELOW + look.line_height
        sheet = page(width, foot + notes_height(look, notes) + margin, measure, data.alt)
        for i, line in enumerate(titles):
            at = margin + (1 + 1.25 * i) * look.title_size / 72
            sheet.write(margin, at, line, size=look.title_size, bold=True)
        sheet.key(margin, head - 0.9 * look.line_height, marks)
        sheet.notes(foot, notes)
        left = margin + AXIS
        main = sheet.axes(left, top, PANEL, PANEL)
        _cloud(main, data, measure)
        _histogram(sheet.axes(left, head, PANEL, SIDE), data, look, upright=True)
        _histogram(sheet.axes(left + PANEL + GAP, top, SIDE, PANEL), data, look, upright=False)
        return sheet.figure


def _colours(data: GoshData, style: Style) -> list[str]:
    """Return the colour of each cloud."""
    return [style.prediction_colour, style.diamond_colour] if data.split else [style.diamond_colour]


def _marks(data: GoshData, measure: Ruler) -> list[Mark]:
    """Return the key: the clouds with their sizes, and the pool of all."""
    style = measure.style
    colours = _colours(data, style)
    marks: list[Mark] = []
    for i, cloud in enumerate(data.clouds):
        words = f"{shortened(measure, cloud.words, 2.0)} ({cloud.size:,})"
        if len(data.points):
            marks.append(Mark(words, "os"[i % 2], edge=colours[i]))
        else:
            marks.append(Mark(words, line="-" if i == 0 else "--", edge=colours[i]))
    return [*marks, Mark(data.every, "P", style.ink, "white", size=6.5)]


def _cloud(ax: Axes, data: GoshData, measure: Ruler) -> None:
    """Draw cells, or points where there are few, the outlines and both axes."""
    style = measure.style
    scale = Scale(data.back, data.size, data.null)
    limits_x, limits_y = (
        (float(data.edges_x[0]), float(data.edges_x[-1])),
        (float(data.edges_y[0]), float(data.edges_y[-1])),
    )
    draw_scale(ax, "bottom", limits_x, scale, measure)
    draw_scale(ax, "left", limits_y, Scale(), measure)
    name_scale(ax, "bottom", data.axis_title, measure)
    name_scale(ax, "left", data.side_title, measure)
    if data.null is not None and limits_x[0] < data.null < limits_x[1]:
        ax.axvline(data.null, color=style.ink, linewidth=0.6, zorder=1)
    colours = _colours(data, style)
    if len(data.points):
        for keep, colour, marker in ((data.members, colours[0], "o"), (~data.members, colours[-1], "s")):
            ax.plot(
                data.points[keep, 0], data.points[keep, 1], marker, markersize=3.0, markerfacecolor="none",
                markeredgecolor=colour, markeredgewidth=0.7, zorder=2, clip_on=False,
            )  # fmt: skip
    else:
        ax.add_collection(_cells(data, colours), autolim=False)
        for i, cloud in enumerate(data.clouds):
            _outline(ax, data, cloud, colours[i], i)
    ax.plot(
        [data.whole[0]], [data.whole[1]], "P", markersize=7, markerfacecolor=style.ink, markeredgecolor="white",
        markeredgewidth=0.9, zorder=5, clip_on=False,
    )  # fmt: skip


def _cells(data: GoshData, colours: list[str]) -> PolyCollection:
    """Return the cells that have subsets: the darker the more, in the mixed colour of the clouds that share them."""
    counts = np.stack([cloud.counts for cloud in data.clouds])
    total = counts.sum(axis=0)
    rows, columns = np.nonzero(total)
    most = np.log1p(total.max())
    shade = PALEST + (0.9 - PALEST) * np.log1p(total[rows, columns]) / most
    base = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours[: len(counts)]])
    mixed = np.einsum("cn,cj->nj", counts[:, rows, columns] / total[rows, columns], base)
    faces = 1 - shade[:, None] * (1 - mixed)
    x, y = data.edges_x, data.edges_y
    boxes = np.stack(
        [np.column_stack([x[columns + i], y[rows + j]]) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))], axis=1
    )
    return PolyCollection(list(boxes), facecolors=faces, linewidths=0, antialiaseds=False, zorder=0.5)


def _outline(ax: Axes, data: GoshData, cloud: Cloud, colour: str, place: int) -> None:
    """Draw the lines around the parts of a cloud that hold 50% and 95% of its subsets."""
    heights = sorted({height for height in cloud.outlines if height > 0})
    if not heights or float(cloud.smooth.max()) <= heights[0]:
        return
    x, y = _middles(data.edges_x), _middles(data.edges_y)
    ax.contour(
        x, y, cloud.smooth, levels=heights, colors=[colour], linewidths=1.1, linestyles=[LINES[place % 2]], zorder=3
    )


def _middles(edges: Floats) -> Floats:
    return (edges[1:] + edges[:-1]) / 2


def _histogram(ax: Axes, data: GoshData, style: Style, *, upright: bool) -> None:
    """Draw the histograms of one axis: filled for all, outlined for each cloud."""
    edges = data.edges_x if upright else data.edges_y
    shares = [cloud.counts.sum(axis=0 if upright else 1) for cloud in data.clouds]
    total = np.sum(shares, axis=0)
    ax.stairs(total, edges, orientation="vertical" if upright else "horizontal", fill=True, color="#DCDCDC", zorder=1)
    for i, (values, colour) in enumerate(zip(shares, _colours(data, style), strict=False)):
        ax.stairs(
            values, edges, orientation="vertical" if upright else "horizontal", color=colour, linewidth=1.0,
            linestyle=LINES[i % 2], zorder=2,
        )  # fmt: skip
    top = 1.03 * (float(total.max()) if upright else side_top(data.clouds)[0])
    if upright:
        ax.set_xlim(float(edges[0]), float(edges[-1]))
        ax.set_ylim(0, top)
    else:
        ax.set_ylim(float(edges[0]), float(edges[-1]))
        ax.set_xlim(0, top)
    ax.spines["bottom" if upright else "left"].set(visible=True, linewidth=0.5, color=GREY)


@figure("gosh", title="GOSH plot", cite="olkin2012")
def draw_gosh_figure(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    n: int | None = None,
    rng: int = 1,
    study: str | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the pools of all subsets, or of `n` random ones from seed `rng`; study: whose subsets are told apart."""
    found = gosh_of(analysis, n=n, rng=rng)
    return draw_gosh(gosh_data(analysis, found, study=study, title=title), style=style, ax=ax)
