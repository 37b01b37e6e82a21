"""A line of text that is drawn where it was measured to stand, without a second layout by the drawing library."""

from __future__ import annotations

from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text

from metaback.plots.fonts import measured

_SHARE = {"left": 0.0, "center": 0.5, "right": 1.0}


class Line(Text):
    """One line of horizontal text on its baseline: it looks as `Text` does and is painted in half the time."""

    def draw(self, renderer: RendererBase) -> None:
        """Paint the line, aligned by the width that its typeface gives it."""
        if not self.get_visible() or not self.get_text():
            return
        font, text = self.get_fontproperties(), self.get_text()
        x, y = (float(value) for value in self.get_transform().transform(self.get_position()))
        x -= _SHARE[str(self.get_horizontalalignment())] * measured(text, font) * self.figure.dpi
        y = renderer.get_canvas_width_height()[1] - y if renderer.flipy() else y
        renderer.open_group("text", self.get_gid())
        gc = renderer.new_gc()
        gc.set_foreground(self.get_color())
        gc.set_alpha(self.get_alpha() or 1.0)
        renderer.draw_text(gc, x, y, text, font, 0.0, ismath=False, mtext=self)
        gc.restore()
        renderer.close_group("text")
        self.stale = False
