"""The forest plot: a table with a panel of intervals, drawn from `ForestData` alone."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from metaback.plots.axis import plan_axis
from metaback.plots.forest_data import ForestData, forest_data
from metaback.plots.layout import BOLD, Piece, Sheet, axis_depth, lay_out
from metaback.plots.panel import Panel, draw_axis, draw_panel
from metaback.plots.picture import Picture
from metaback.plots.style import Style, drawing
from metaback.plots.text import Ruler, ruler

__all__ = ["draw_forest", "forest_data"]


def draw_forest(
    data: ForestData, *, style: Style | None = None, ax: Axes | None = None, limits: tuple[float, float] | None = None
) -> Figure:
    """Draw the full table with its panel, as large as its text needs; with `ax`, the panel alone in those axes.

    limits: ends of the axis on the natural scale, instead of those chosen from the intervals.
    The figure is registered nowhere and its label is the text alternative.
    """
    look = style or Style()
    measure = ruler(look, _all_texts(data))
    with drawing(look):
        if ax is not None:
            return _panel_alone(data, ax, measure, limits)
        return _full(data, lay_out(data, measure, limits=limits), measure)


def _all_texts(data: ForestData) -> list[str]:
    texts = [data.title, data.label_head, data.axis_title, *(data.favours or ()), *data.footnotes]
    texts += [text for column in data.columns for text in (column.head, column.spanner)]
    return texts + [row.label for row in data.rows]


def _full(data: ForestData, sheet: Sheet, measure: Ruler) -> Figure:
    """Make the figure of a layout."""
    style = measure.style
    figure = Picture(figsize=(sheet.width, sheet.height), dpi=100)
    figure.set_label(data.alt)
    for number, piece in enumerate(sheet.pieces):
        figure.add_artist(_text(piece, sheet, measure, f"full-{number}", figure))
    lines = [[(rule.left, sheet.height - rule.y), (rule.right, sheet.height - rule.y)] for rule in sheet.rules]
    figure.add_artist(
        LineCollection(lines, colors=style.ink, linewidths=0.6, transform=figure.dpi_scale_trans, capstyle="butt")
    )
    box = sheet.panel
    foot = sheet.height - box.top - box.height
    place = (box.left / sheet.width, foot / sheet.height, box.width / sheet.width, box.height / sheet.height)
    ax = figure.add_axes(place, facecolor="none")
    ax.set_ylim(box.height, 0.0)
    ax.set_yticks([])
    placed = [(row, y) for row, y in zip(data.rows, sheet.centres, strict=True) if y is not None]
    panel = Panel(ax, sheet.axis, sheet.row, style)
    draw_panel(panel, data, placed)
    draw_axis(panel, data, measure, sheet.favours_drop)
    return figure


def _text(piece: Piece, sheet: Sheet, measure: Ruler, name: str, figure: Figure) -> Text:
    text = Text(
        piece.x,
        sheet.height - piece.y,
        piece.text,
        color=piece.colour,
        fontproperties=measure.face.properties(piece.size, bold=piece.bold),
        horizontalalignment=piece.align,
        verticalalignment="baseline",
        transform=figure.dpi_scale_trans,
        parse_math=False,
    )
    if piece.full:
        text.set_gid(name)
        text.set_label(piece.full)
    return text


def _panel_alone(data: ForestData, ax: Axes, measure: Ruler, limits: tuple[float, float] | None) -> Figure:
    """Draw marks, axis and row labels into axes that someone else has placed."""
    style = measure.style
    figure = ax.figure
    while not isinstance(figure, Figure):
        figure = figure.figure
    inches = ax.get_window_extent().width / figure.dpi
    axis = plan_axis(data, measure, inches, (0.0, 0.0), limits)
    marked = [row for row in data.rows if row.kind not in {"text", "blank"}]
    placed = [(row, float(i)) for i, row in enumerate(marked)]
    ax.set_ylim(len(marked) - 0.5, -0.5)
    panel = Panel(ax, axis, 1.0, style)
    draw_panel(panel, data, placed)
    draw_axis(panel, data, measure, axis_depth(axis, style))
    names = [row.label.split(" (")[0] if row.kind in {"subtotal", "total"} else row.label for row in marked]
    labels = [measure.wrap(name, style.label_width, lines=1).lines[0] for name in names]
    ax.set_yticks(range(len(marked)), labels, color=style.ink, parse_math=False)
    for row, label in zip(marked, ax.get_yticklabels(), strict=True):
        label.set_fontproperties(measure.face.properties(style.size, bold=row.kind in BOLD))
    ax.tick_params(axis="y", length=0)
    return figure
