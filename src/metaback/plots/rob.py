"""The risk-of-bias figure: traffic lights with a sign in every circle, and bars of how often it was made."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from metaback.numbers import fixed
from metaback.plots.dots import tell
from metaback.plots.page import GREY, Page, Scale, bare, draw_scale, figure_of, note_lines, notes_height, page, size_of
from metaback.plots.registry import figure
from metaback.plots.rob_data import RobBar, RobData, rob_data
from metaback.plots.rob_words import Judgement
from metaback.plots.style import Style, drawing
from metaback.plots.text import Ruler, ruler
from metaback.postestimation.summary import Analysis

__all__ = ["draw_rob", "rob_data"]

CIRCLE = 10.5  # points
COLUMN = 0.245  # inches between circles
APART = 0.12  # inches before the overall column
BAR, THICK = 3.0, 0.62  # inches of a whole bar, and its share of a row
EDGE = "#444444"
CIRCLES = 1_000  # above which the circles have no tips of their own
BLANK = "not judged"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Inches: the width of the label column, height of rows, and where both parts and the notes begin."""

    labels: float
    row: float
    width: float
    height: float
    head: float
    lights: float
    bars: float
    foot: float
    notes: tuple[str, ...]
    key: tuple[tuple[float, float, Judgement], ...]
    key_top: float


def draw_rob(data: RobData, *, style: Style | None = None, ax: Axes | None = None) -> Figure:
    """Draw traffic lights, summary bars or both as a new figure; with `ax`, the summary bars alone in those axes.

    Every judgement has its own sign, in circles and in bars, so that nothing rests on colour. The figure is registered
    nowhere and its label is the text alternative.
    """
    look = style or Style()
    texts = [data.title, data.tool, *data.labels, *data.footnotes]
    measure = ruler(look, [*texts, *(f"{d.letter} {d.title}" for d in data.domains)])
    with drawing(look):
        if ax is not None:
            bare(ax)
            _bars(ax, data, measure)
            names = [measure.wrap(_name(bar), look.label_width, lines=1).lines[0] for bar in data.bars]
            font = measure.face.properties(look.size)
            ax.set_yticks(range(len(names)), names, color=look.ink, fontproperties=font, parse_math=False)
            ax.tick_params(axis="y", length=0)
            return figure_of(ax)
        plan = _plan(data, measure)
        sheet = page(plan.width, plan.height, measure, data.alt)
        title = f"{data.title}. {data.tool}" if data.title else data.tool
        line = measure.wrap(title, plan.width - 2 * look.margin, lines=1, size=look.title_size, bold=True).lines[0]
        sheet.write(look.margin, look.margin + look.title_size / 72, line, size=look.title_size, bold=True)
        if data.view != "summary":
            _lights(sheet, data, plan)
        if data.view != "traffic-light":
            left = look.margin + plan.labels + 0.1
            _bars(sheet.axes(left, plan.bars, BAR, plan.row * len(data.bars)), data, measure)
            for i, bar in enumerate(data.bars):
                middle = plan.bars + (i + 0.5) * plan.row + 0.36 * look.size / 72
                sheet.label(look.margin, middle, _name(bar), plan.labels, bold=bar.domain.overall)
        for x, y, judgement in plan.key:
            _circle(sheet, x, plan.key_top + y, judgement)
            sheet.write(x + 0.13, plan.key_top + y + 0.36 * look.size / 72, judgement.word)
        sheet.notes(plan.foot, plan.notes)
        return sheet.figure


def _name(bar: RobBar) -> str:
    """Name a bar by letter and title."""
    return bar.domain.title if bar.domain.overall else f"{bar.domain.letter}  {bar.domain.title}"


def _plan(data: RobData, measure: Ruler) -> _Plan:
    """Place both parts, the key and the notes."""
    style = measure.style
    line, margin = style.line_height, style.margin
    lights, bars = data.view != "summary", data.view != "traffic-light"
    names = list(data.labels) if lights else []
    names += [_name(bar) for bar in data.bars] if bars else []
    names = [measure.face.printable(name) for name in names]
    labels = min(measure.widest(names, bold=True) + 0.02 if names else 0.0, 1.2 * style.label_width)
    row = max(style.row_height(len(data.labels)), CIRCLE / 72 + 0.05)
    wide = _at(data, len(data.domains)) if lights else 0.0
    width = margin + labels + 0.1 + max(wide, BAR + 0.15 if bars else 0.0) + margin
    width = max(width, measure.width(data.tool, size=style.title_size, bold=True) + 2 * margin, 3.2)
    head = margin + 1.3 * style.title_size / 72 + line
    y = head
    top = y + 1.2 * line if lights else y
    y = top + (row * len(data.labels) + 0.8 * line if lights else 0.0)
    bars_top = y
    y += (row * len(data.bars) + 0.42) if bars else 0.0
    key, deep = _key(data, measure, width)
    key_top = y + 0.6 * line
    foot = key_top + deep + 0.6 * line
    notes = note_lines(measure, data.footnotes, width - 2 * margin)
    height = foot + notes_height(style, notes) + margin
    return _Plan(labels, row, width, height, head, top, bars_top, foot, notes, key, key_top)


def _at(data: RobData, place: int) -> float:
    """Return how far right of the first column a column stands; the overall one is set apart."""
    over = [j for j, domain in enumerate(data.domains) if domain.overall]
    return place * COLUMN + (APART if over and place >= over[0] else 0.0)


def _key(data: RobData, measure: Ruler, width: float) -> tuple[tuple[tuple[float, float, Judgement], ...], float]:
    """Place the judgements of the key in lines; return their depth too."""
    margin, line = measure.style.margin, 1.5 * measure.style.line_height
    x, y = margin + CIRCLE / 144, 0.5 * line
    made: list[tuple[float, float, Judgement]] = []
    for judgement in data.used:
        wide = 0.13 + measure.width(judgement.word) + 0.2
        if made and x + wide > width - margin:
            x, y = margin + CIRCLE / 144, y + line
        made.append((x, y, judgement))
        x += wide
    return tuple(made), y + 0.5 * line if made else 0.0


def _lights(sheet: Page, data: RobData, plan: _Plan) -> None:
    """Draw the circles: heads above, one row for each study."""
    style = sheet.style
    left = style.margin + plan.labels + 0.1 + CIRCLE / 144
    for j, domain in enumerate(data.domains):
        sheet.write(
            left + _at(data, j), plan.lights - 0.5 * style.line_height, domain.letter, align="center", bold=True
        )
    for i, (label, cells) in enumerate(zip(data.labels, data.cells, strict=True)):
        middle = plan.lights + (i + 0.5) * plan.row
        sheet.label(style.margin, middle + 0.36 * style.size / 72, label, plan.labels)
        for j, cell in enumerate(cells):
            mark = _circle(sheet, left + _at(data, j), middle, cell)
            if len(data.labels) * len(data.domains) <= CIRCLES:
                tell(mark, f"study-{i}-{j}", [f"{label}, {data.domains[j].title}: {cell.word if cell else BLANK}"])


def _circle(sheet: Page, x: float, y: float, cell: Judgement | None) -> Line2D:
    """Draw one judgement; a blank cell is an empty circle."""
    at = sheet.height - y
    trans = sheet.figure.dpi_scale_trans
    face, edge = (cell.colour, EDGE) if cell else ("white", GREY)
    mark = Line2D(
        [x], [at], marker="o", markersize=CIRCLE, markerfacecolor=face, markeredgecolor=edge, linestyle="none",
        markeredgewidth=0.6 if cell else 0.4, transform=trans,
    )  # fmt: skip
    sheet.figure.add_artist(mark)
    if cell is not None:
        size = 8.0 if len(cell.symbol) == 1 else 6.0
        _sign(sheet, x, at, cell, size)
    return mark


def _sign(sheet: Page, x: float, y: float, cell: Judgement, size: float) -> None:
    """Write the sign of a judgement into its circle."""
    font = sheet.measure.face.properties(size, bold=True)
    text = Text(
        x, y, cell.symbol, color=cell.ink, fontproperties=font, horizontalalignment="center",
        verticalalignment="center_baseline", transform=sheet.figure.dpi_scale_trans, parse_math=False,
    )  # fmt: skip
    sheet.figure.add_artist(text)


def _bars(ax: Axes, data: RobData, measure: Ruler) -> None:
    """Draw stacked bars from 0 to 100%, the sign of each judgement in its part."""
    style = measure.style
    ax.set_ylim(max(len(data.bars), 1) - 0.5, -0.5)
    draw_scale(ax, "bottom", (0.0, 100.0), Scale(), measure)
    ticks = [0, 25, 50, 75, 100]
    font = measure.face.properties(style.size)
    ax.set_xticks(ticks, [f"{tick}%" for tick in ticks], color=style.ink, fontproperties=font, parse_math=False)
    inches = size_of(ax)[0]
    for i, bar in enumerate(data.bars):
        start = 0.0
        parts = [*zip(bar.shares, data.used, strict=True), (bar.blank, None)]
        for share, judgement in parts:
            if not share > 0:
                continue
            face = judgement.colour if judgement else "white"
            line = "-" if judgement else ":"
            part = Rectangle((100 * start, i - THICK / 2), 100 * share, THICK, facecolor=face, edgecolor=EDGE)
            part.set(linewidth=0.5, linestyle=line, zorder=2, clip_on=False)
            word = judgement.word if judgement else BLANK
            tell(part, f"bar-{i}-{round(1000 * start)}", [f"{bar.domain.title}: {word} {fixed(100 * share, 0)}%"])
            ax.add_patch(part)
            if judgement is not None and share * inches > 0.13:
                ax.text(
                    100 * (start + share / 2), i, judgement.symbol, color=judgement.ink, ha="center",
                    va="center_baseline", fontproperties=measure.face.properties(style.size, bold=True), zorder=3,
                    parse_math=False,
                )  # fmt: skip
            start += share


@figure("risk-of-bias", title="Risk of bias", cite="mcguinness2021")
def draw_rob_figure(
    analysis: Analysis,
    *,
    ax: Axes | None = None,
    style: Style | None = None,
    tool: str | None = None,
    view: str = "both",
    weights: str = "none",
    title: str | None = None,
) -> Figure:
    """Draw the judgements of the columns `rob_*`; view: "both", "traffic-light", "summary"; weights: "none", "pool"."""
    data = rob_data(analysis, tool=tool, view=view, weights=weights, title=title)
    return draw_rob(data, style=style, ax=ax)
