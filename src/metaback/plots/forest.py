"""The forest plot: a table with a panel of intervals, drawn from `ForestData` alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Unpack

from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from metaback.errors import OptionError
from metaback.plots.axis import plan_axis
from metaback.plots.fit import Width, fitted_to
from metaback.plots.forest_data import ForestChoices, ForestData, ForestWords, forest_data
from metaback.plots.forest_pages import pages_of
from metaback.plots.layout import BOLD, Piece, Sheet, axis_depth, lay_out
from metaback.plots.line import Line
from metaback.plots.multilevel_forest_data import multilevel_forest_data
from metaback.plots.panel import Panel, draw_axis, draw_panel
from metaback.plots.picture import Picture
from metaback.plots.save import put, save_figure
from metaback.plots.save_pages import pages_bytes
from metaback.plots.style import Style, drawing
from metaback.plots.text import Ruler, ruler
from metaback.postestimation.multilevel import MultilevelAnalysis
from metaback.postestimation.summary import Analysis

__all__ = [
    "FigureWords", "ForestChoices", "draw_forest", "draw_forest_pages", "forest_data", "forest_figure",
    "multilevel_forest_figure", "write_forest",
]  # fmt: skip


def draw_forest(
    data: ForestData,
    *,
    style: Style | None = None,
    ax: Axes | None = None,
    limits: tuple[float, float] | None = None,
    width: Width = None,
) -> Figure:
    """Draw the full table with its panel, as large as its text needs; with `ax`, the panel alone in those axes.

    limits: ends of the axis on the natural scale, instead of those chosen from the intervals. width: that of the
    figure: "single" (85 mm), "double" (175 mm) or inches; the panel, then gaps, then columns that can be missed (with a
    `LayoutWarning`), then letters give way; text is never cut, so a width that is too small is not kept.
    The figure is registered nowhere and its label is the text alternative.
    """
    look = _look(data, style)
    with drawing(look):
        if ax is not None:
            return _panel_alone(data, ax, ruler(look, _all_texts(data)), limits)
        data, measure = fitted_to(data, ruler(look, _all_texts(data)), width, limits)
        return _full(data, data, lay_out(data, measure, limits=limits), measure)


def draw_forest_pages(
    data: ForestData,
    *,
    style: Style | None = None,
    limits: tuple[float, float] | None = None,
    width: Width = None,
    rows: int | None = None,
) -> tuple[Figure, ...]:
    """Draw a long forest as pages of at most `rows` rows (45): heads repeated, one axis, and "continued" on each.

    A forest of no more rows is one page. Statistics and notes stand on the last page.
    """
    look = _look(data, style)
    with drawing(look):
        data, measure = fitted_to(data, ruler(look, _all_texts(data)), width, limits)
        return tuple(
            _full(page, data, lay_out(page, measure, limits=limits, whole=data), measure)
            for page in pages_of(data, rows)
        )


class FigureWords(ForestWords, total=False):
    """The keywords of a drawn forest: its choices, and width and limits of `draw_forest`."""

    width: Width
    limits: tuple[float, float] | None


def forest_figure(
    analysis: Analysis,
    ax: Axes | None = None,
    *,
    title: str | None = None,
    style: Style | None = None,
    **words: Unpack[FigureWords],
) -> Figure:
    """Draw the forest plot of an analysis with the choices of `ForestChoices`."""
    width, limits, choices = _sorted_words(words)
    data = forest_data(analysis, choices, title=title)
    return draw_forest(data, style=style, ax=ax, limits=limits, width=width)


def multilevel_forest_figure(
    analysis: MultilevelAnalysis,
    ax: Axes | None = None,
    *,
    title: str | None = None,
    style: Style | None = None,
    **words: Unpack[FigureWords],
) -> Figure:
    """Draw the forest plot of a model of dependent effects with one mean, as `forest_figure` does of a pool."""
    width, limits, choices = _sorted_words(words)
    data = multilevel_forest_data(analysis, choices, title=title)
    return draw_forest(data, style=style, ax=ax, limits=limits, width=width)


def write_forest(
    analysis: Analysis,
    path: str | Path,
    *,
    title: str | None = None,
    style: Style | None = None,
    rows: int | None = None,
    **words: Unpack[FigureWords],
) -> Path:
    """Write the forest plot in the format of the path's suffix: a PDF in pages of `rows` rows (45), others in one."""
    width, limits, choices = _sorted_words(words)
    data, target = forest_data(analysis, choices, title=title), Path(path)
    if target.suffix.lower() == ".pdf":
        pages = draw_forest_pages(data, style=style, limits=limits, width=width, rows=rows)
        put(target, pages_bytes(pages))
        return target
    return save_figure(draw_forest(data, style=style, limits=limits, width=width), target, title=data.title)


def _sorted_words(words: FigureWords) -> tuple[Width, tuple[float, float] | None, ForestChoices]:
    """Tell the keywords of the drawing from those of the contents."""
    rest: dict[str, Any] = dict(words)
    width, limits = rest.pop("width", None), rest.pop("limits", None)
    known = [field.name for field in fields(ForestChoices)]
    unknown = [name for name in rest if name not in known]
    if unknown:
        raise OptionError.unknown("forest option", unknown[0], [*known, "width", "limits", "title", "style"])
    return width, limits, ForestChoices(**rest)


def _look(data: ForestData, style: Style | None) -> Style:
    """Return the reader's own style, or the house's in the colours of the layout."""
    given: Any = dict(data.layout.look)
    return replace(Style(), **given) if style is None else style


def _all_texts(data: ForestData) -> list[str]:
    texts = [data.title, data.label_head, data.axis_title, *(data.favours or ()), *data.footnotes]
    texts += [text for column in data.columns for text in (column.head, column.spanner)]
    texts += [row.cells[i] for i, column in enumerate(data.columns) if column.kind == "text" for row in data.rows
              if len(row.cells) > i]  # fmt: skip
    texts += [domain.title for domain in data.rob.domains] if data.rob is not None else []
    return texts + [row.label for row in data.rows]


def _full(data: ForestData, whole: ForestData, sheet: Sheet, measure: Ruler) -> Figure:
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
    _judgements(sheet, measure, figure)
    box = sheet.panel
    foot = sheet.height - box.top - box.height
    place = (box.left / sheet.width, foot / sheet.height, box.width / sheet.width, box.height / sheet.height)
    ax = figure.add_axes(place, facecolor="none")
    ax.set_ylim(box.height, 0.0)
    ax.set_yticks([])
    placed = [(row, y) for row, y in zip(data.rows, sheet.centres, strict=True) if y is not None]
    largest = max((row.weight or 0.0 for row in whole.rows if row.kind == "study"), default=0.0)
    panel = Panel(ax, sheet.axis, sheet.row, style, largest)
    draw_panel(panel, data, placed)
    draw_axis(panel, data, measure, sheet.favours_drop)
    return figure


def _text(piece: Piece, sheet: Sheet, measure: Ruler, name: str, figure: Figure) -> Line:
    text = Line(
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


def _judgements(sheet: Sheet, measure: Ruler, figure: Figure) -> None:
    """Draw the circles of risk of bias as one collection, and their symbols as one per sign."""
    if not sheet.discs:
        return
    places = [(disc.x, sheet.height - disc.y) for disc in sheet.discs]
    sides = [sheet.disc] * len(places)
    inches = figure.dpi_scale_trans
    circles = EllipseCollection(
        sides, sides, [0.0], units="inches", offsets=places, offset_transform=inches,
        facecolors=[disc.judgement.colour for disc in sheet.discs], edgecolors=measure.style.ink, linewidths=0.4,
    )  # fmt: skip
    circles.set_gid("judgements")
    figure.add_artist(circles)
    by_sign: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for disc, place in zip(sheet.discs, places, strict=True):
        by_sign[disc.judgement.symbol, disc.judgement.ink].append(place)
    for (sign, ink), at in by_sign.items():
        points = 0.95 * measure.style.size * (1.0 if len(sign) == 1 else 0.75)
        glyph = TextPath((0, 0), sign, prop=measure.face.properties(points, bold=True))
        box = glyph.get_extents()
        middle = Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2)
        signs = PathCollection(
            [middle.transform_path(glyph)], offsets=at, offset_transform=inches, facecolors=ink, linewidths=0
        )
        signs.set_transform(Affine2D().scale(1 / 72) + figure.dpi_scale_trans)
        figure.add_artist(signs)


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
