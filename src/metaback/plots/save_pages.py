"""Several figures as the pages of one PDF, with bytes that are the same on every run."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from metaback.plots.style import Style, drawing


def pages_bytes(figures: Sequence[Figure]) -> bytes:
    """Return the figures as the pages of one PDF, each as large as its figure; no date stands in it."""
    buffer = io.BytesIO()
    nameless = {"CreationDate": None, "Creator": None, "Producer": None}
    with drawing(Style()), PdfPages(buffer, metadata=nameless) as pdf:
        for figure in figures:
            pdf.savefig(figure)
    return buffer.getvalue()
