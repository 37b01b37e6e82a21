"""The look of every figure as one frozen record: sizes in points or inches, colours that survive grey and any eye."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes and colours of a figure.

    size, title_size, note_size: font sizes in points of the table, the title and the footnotes.
    row, dense_row: row height as a multiple of the font size, up to and above `dense_above` rows.
    label_width: widest study label in inches before it is wrapped; label_lines: most lines that it may take.
    panel_width, gap, margin: inches. square, square_min: side in points of the largest and the smallest square.
    Colours are of the Okabe-Ito set, told apart in grey by lightness; no meaning is carried by colour alone.
    """

    font: str = "DejaVu Sans"
    size: float = 8.0
    title_size: float = 9.0
    note_size: float = 7.0
    row: float = 1.75
    dense_row: float = 1.45
    dense_above: int = 60
    label_width: float = 2.4
    label_lines: int = 2
    panel_width: float = 2.6
    gap: float = 0.13
    margin: float = 0.12
    square: float = 9.0
    square_min: float = 2.5
    dpi: int = 300
    ink: str = "#1a1a1a"
    muted: str = "#555555"
    square_colour: str = "#56B4E9"
    diamond_colour: str = "#0072B2"
    prediction_colour: str = "#D55E00"

    @property
    def line_height(self) -> float:
        """Return the distance of two baselines of the table in inches."""
        return 1.25 * self.size / 72

    def row_height(self, rows: int) -> float:
        """Return the height of a one-line row in inches, for a table of that many rows."""
        return (self.dense_row if rows > self.dense_above else self.row) * self.size / 72


@contextmanager
def drawing(style: Style) -> Generator[None]:
    """Fix the settings that a figure depends on while it is made or saved; the reader's own are back afterwards."""
    settings: dict[str, Any] = {
        "text.usetex": False,
        "text.hinting": "none",
        "font.family": [style.font],
        "font.size": style.size,
        "figure.facecolor": "white",
        "figure.autolayout": False,
        "figure.constrained_layout.use": False,
        "axes.facecolor": "white",
        "axes.grid": False,
        "axes.axisbelow": True,
        "path.simplify": True,
        "path.sketch": None,
        "path.effects": [],
        "savefig.bbox": None,
        "savefig.facecolor": "auto",
        "savefig.transparent": False,
        "svg.fonttype": "path",
        "svg.image_inline": True,
        "svg.hashsalt": "metaback",
        "svg.id": None,
        "pdf.fonttype": 42,
        "pdf.compression": 6,
        "ps.fonttype": 42,
        "ps.useafm": False,
        "ps.usedistiller": None,
    }
    known: Any = {key: value for key, value in settings.items() if key in mpl.rcParams}
    with mpl.rc_context(known):
        yield
