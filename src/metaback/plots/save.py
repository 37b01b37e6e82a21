"""Figures to bytes that are the same on every run: SVG for pages, and files of any kind that matplotlib writes."""

from __future__ import annotations

import html
import io
import math
import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from matplotlib.collections import Collection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

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

    A TIFF is RGB without alpha, with LZW; in EPS see-through marks are opaque, in the colours that they have on white.
    dpi: resolution of painted kinds, 300 by default, lowered where the figure is too tall to be painted at it.
    """
    if kind == "svg":
        return (XML_DECLARATION + svg_text(fig, title=title)).encode()
    kinds = fig.canvas.get_supported_filetypes()
    if kind not in kinds:
        raise OptionError.unknown("kind", kind, sorted(kinds))
    resolution = _resolution(fig, dpi or Style().dpi)
    if kind in {"tif", "tiff"}:
        return _tiff(_painted(fig, "png", resolution), resolution)
    if kind in {"eps", "ps"}:
        with _opaque(fig):
            return _PS_DATE.sub(b"", _painted(fig, kind, resolution))
    return _painted(fig, kind, resolution)


def _painted(fig: Figure, kind: str, dpi: int) -> bytes:
    """Let matplotlib write a figure."""
    buffer = io.BytesIO()
    extra: dict[str, Any] = {"metadata": _METADATA[kind]} if kind in _METADATA else {}
    with drawing(Style()):
        fig.savefig(buffer, format=kind, dpi=dpi, **extra)
    return buffer.getvalue()


def _tiff(png: bytes, dpi: int) -> bytes:
    """Return a picture as journals want a TIFF: red, green and blue without alpha, LZW, its resolution stated."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as painted:
        painted.convert("RGB").save(buffer, "tiff", compression="tiff_lzw", dpi=(dpi, dpi))
    return buffer.getvalue()


@contextmanager
def _opaque(fig: Figure) -> Generator[None]:
    """Give see-through marks the colours that they have on white, for PostScript knows no transparency.

    Afterwards they are as before.
    """
    seen: list[Any] = fig.findobj(lambda artist: isinstance(artist, Collection | Line2D) and _alpha(artist) < 1)
    before = [(one, one.get_alpha(), _face(one)) for one in seen]
    for one, alpha, face in before:
        one.set_alpha(None)
        _paint(one, [tuple(1 - alpha * (1 - part) for part in to_rgb(colour)) for colour in face])
    try:
        yield
    finally:
        for one, alpha, face in before:
            _paint(one, face)
            one.set_alpha(alpha)


def _alpha(artist: Any) -> float:
    found = artist.get_alpha()
    return 1.0 if found is None else float(found)


def _face(artist: Any) -> list[Any]:
    """Return the colours that fill an artist's marks."""
    return list(artist.get_facecolor()) if isinstance(artist, Collection) else [artist.get_markerfacecolor()]


def _paint(artist: Any, colours: list[Any]) -> None:
    if isinstance(artist, Collection):
        artist.set_facecolor(colours)
    else:
        artist.set_markerfacecolor(colours[0])


def save_figure(fig: Figure, path: str | Path, *, title: str = "", dpi: int | None = None) -> Path:
    """Write the figure in the format of the path's suffix and return the path."""
    target = Path(path)
    return put(target, figure_bytes(fig, target.suffix.removeprefix(".").lower(), title=title, dpi=dpi))


def put(target: Path, content: bytes) -> Path:
    """Write a file aside and put it into its place, so that it is the old one or the new one, whole."""
    aside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.new")
    try:
        aside.write_bytes(content)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
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
