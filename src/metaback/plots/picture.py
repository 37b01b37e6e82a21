"""The figure that notebooks show by themselves, whether or not someone has imported pyplot."""

from __future__ import annotations

from matplotlib.figure import Figure

from metaback.plots.save import figure_bytes

SCREEN = 144  # dots per inch in a notebook: sharp on a dense screen, light on a page


class Picture(Figure):
    """A matplotlib figure with a picture of its own for notebooks; registered nowhere."""

    def _repr_png_(self) -> bytes:
        """Return the picture that a notebook shows."""
        return figure_bytes(self, "png", dpi=SCREEN)
