"""Figures to bytes that are the same on every run: SVG for pages, and files of any kind that matplotlib writes."""

from __future__ import annotations

import html
import io
import math
import re
from pathlib import Path
from typing import Any, cast

from matplotlib.figure import Figure
from matplotlib.text import Text

from metaback.errors import OptionError
from metaback.plots.style import Style, drawing

XML_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_PROLOGUE = re.compile(r"\A.*?(?=<svg\b)", re.DOTALL)
_GLOBAL_STYLE = re.compile(r"\s*<defs>\s*<style\b.*?</style>\s*</defs>", re.DOTALL)
_ID = re.compile(r'(\bid="|\bxlink:href="#|\bhref="#|url\(#)')
_PATH = re.compile(r"<path\b[^>]*/>")
_USE = re.compile(r"<use\b[^>]*/>")
_GROUP = re.compile(r"<g(?=[\s>])|</g>")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_PS_DATE = re.compile(rb"^%%(?:CreationDate|Creator):.*\n", re.MULTILINE)
_PIXELS = 60_000
_AREA = 120_000_000
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "png": {"Software": None},
    "eps": {"Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def svg_text(fig: Figure, name: str = "figure", *, title: str = "", alt: str | None = None) -> str:
    """Return the figure as one <svg> element that can stand in a page beside others.

    name: prefix of every id, to be unique in the page. title and alt (the figure's own text alternative by default)
    become <title> and <desc>; shortened labels carry their full text in a <title> of their own, as dots do
    their tips.
    """
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", name) or "figure"
    head, body = _GLOBAL_STYLE.sub("", _COMMENT.sub("", _PROLOGUE.sub("", _svg(fig)))).split(">", 1)
    body = _ID.sub(lambda found: f"{found[1]}{prefix}-", body)
    body = body.replace('<g id="', '<g style="stroke-linejoin: round" id="', 1)
    for text in fig.findobj(Text):
        gid, label = text.get_gid(), str(text.get_label())
        if gid and label:
            group = f'<g id="{prefix}-{gid}">'
            body = body.replace(group, f"{group}<title>{_escaped(label)}</title>", 1)
    for marks in fig.findobj(lambda artist: bool(artist.get_gid()) and hasattr(artist, "tips")):
        body = _with_tips(body, f'<g id="{prefix}-{marks.get_gid()}">', cast("Any", marks).tips)
    described = str(fig.get_label()) if alt is None else alt
    named = [(kind, words) for kind, words in (("title", title), ("desc", described)) if words]
    inner = "".join(f'<{kind} id="{prefix}-{kind}">{_escaped(words)}</{kind}>' for kind, words in named)
    labelled = f' aria-labelledby="{" ".join(f"{prefix}-{kind}" for kind, _ in named)}"' if named else ""
    return f'{head} id="{prefix}" role="img"{labelled}>{inner}{body.rstrip()}\n'


def _with_tips(body: str, start: str, tips: tuple[str, ...]) -> str:
    """Give each mark of one group its tip, if the group has as many marks as there are tips."""
    first = body.find(start)
    last = _group_end(body, first) if first >= 0 else -1
    marks = list(_USE.finditer(body, first, last)) if last > first else []
    marks = marks or (list(_PATH.finditer(body, first, last)) if last > first else [])
    if len(marks) != len(tips):
        return body
    parts: list[str] = []
    at = 0
    for mark, tip in zip(marks, tips, strict=True):
        name = "use" if mark[0].startswith("<use") else "path"
        parts += [body[at : mark.end() - 2], f"><title>{_escaped(tip)}</title></{name}>"]
        at = mark.end()
    return "".join([*parts, body[at:]])


def _group_end(body: str, first: int) -> int:
    """Return where the group that starts at a place ends."""
    depth = 0
    for tag in _GROUP.finditer(body, first):
        depth += 1 if tag[0] == "<g" else -1
        if depth == 0:
            return tag.end()
    return -1


def figure_bytes(fig: Figure, kind: str, *, title: str = "", dpi: int | None = None) -> bytes:
    """Return the figure as a file of a kind ("svg", "png", "pdf", ...); the same figure gives the same bytes.

    dpi: resolution of painted kinds, 300 by default, lowered where the figure is too tall to be painted at it.
    """
    if kind == "svg":
        return (XML_DECLARATION + svg_text(fig, title=title)).encode()
    kinds = fig.canvas.get_supported_filetypes()
    if kind not in kinds:
        raise OptionError.unknown("kind", kind, sorted(kinds))
    look, buffer = Style(), io.BytesIO()
    extra: dict[str, Any] = {"metadata": _METADATA[kind]} if kind in _METADATA else {}
    if kind in {"tif", "tiff"}:
        extra["pil_kwargs"] = {"compression": "tiff_deflate"}
    with drawing(look):
        fig.savefig(buffer, format=kind, dpi=_resolution(fig, dpi or look.dpi), **extra)
    return _PS_DATE.sub(b"", buffer.getvalue()) if kind in {"eps", "ps"} else buffer.getvalue()


def save_figure(fig: Figure, path: str | Path, *, title: str = "", dpi: int | None = None) -> Path:
    """Write the figure in the format of the path's suffix and return the path."""
    target = Path(path)
    target.write_bytes(figure_bytes(fig, target.suffix.removeprefix(".").lower(), title=title, dpi=dpi))
    return target


def _svg(fig: Figure) -> str:
    buffer = io.StringIO()
    with drawing(Style()):
        fig.savefig(buffer, format="svg", metadata=_METADATA["svg"])
    return buffer.getvalue()


def _resolution(fig: Figure, dpi: int) -> int:
    """Return the resolution asked for, or the highest one at which a very tall figure can still be painted."""
    width, height = (float(side) for side in fig.get_size_inches())
    return max(20, math.floor(min(dpi, _PIXELS / max(width, height), math.sqrt(_AREA / (width * height)))))


def _escaped(text: str) -> str:
    """Make text fit for XML: markup escaped, characters that XML forbids left out."""
    return html.escape(_FORBIDDEN.sub("", text), quote=True)
