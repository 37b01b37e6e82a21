"""The document as one self-contained page: no script, nothing from outside, every text escaped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined

from metaback.report.document import Block, Case, Document, Figure, Fold, Heading, Table
from metaback.report.svg import inline_svg
from metaback.report.words import anchor, clean

TEMPLATES = ("report.html.j2", "card.html.j2", "audit.html.j2")
STYLES = ("report.css", "card.css")


@dataclass(frozen=True, slots=True)
class _Item:
    """A block with what the page adds to it: its number among its kind, its id, its cleaned drawing."""

    kind: str
    block: Block
    number: int = 0
    id: str = ""
    svg: str = ""
    width: int = 0
    inside: tuple[_Item, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the table of contents."""

    id: str
    text: str


def render_html(document: Document) -> str:
    """Return the whole document as one HTML file, the same bytes for the same document."""
    items = tuple(_items(document))
    contents = tuple(
        _Entry(item.id, item.block.text) for item in items if isinstance(item.block, Heading) and item.block.level == 2
    )
    page = environment().get_template("report.html.j2")
    return page.render(document=document, items=items, contents=contents, css=style("report.css")) + "\n"


@cache
def environment() -> Environment:
    """Return the template environment: autoescape always on, a missing name is an error."""
    loader = DictLoader({name: _packaged(name) for name in TEMPLATES})
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    templates.filters["shown"] = clean
    return templates


@cache
def style(name: str) -> str:
    """Return a style sheet of this package; templates put it into a style element as it is."""
    text = _packaged(name)
    if name not in STYLES or "</" in text:
        raise ValueError(f"{name} is not a style sheet of this package")
    return text


def _packaged(name: str) -> str:
    return files("metaback.report").joinpath("templates", name).read_text(encoding="utf-8")


def _items(document: Document) -> Iterator[_Item]:
    """Give figures and tables their numbers, and headings ids that are plain and unique."""
    taken = {"content", "contents"}
    figures = tables = 0
    for block in document.blocks:
        kind = type(block).__name__
        if isinstance(block, Fold):
            inside = tuple(
                _picture(part, figures := figures + 1) if isinstance(part, Figure) else _Item(type(part).__name__, part)
                for part in block.blocks
            )
            yield _Item(kind, block, inside=inside)
        elif isinstance(block, Heading):
            yield _Item(kind, block, id=_unique(anchor(block.anchor), taken))
        elif isinstance(block, Table):
            tables += 1
            yield _Item(kind, block, number=tables)
        elif isinstance(block, Figure):
            figures += 1
            yield _picture(block, figures)
        elif isinstance(block, Case):
            yield _Item(kind, block, id=_unique(anchor(block.name), taken))
        else:
            yield _Item(kind, block)


def _picture(figure: Figure, number: int) -> _Item:
    svg, width = inline_svg(figure.svg, prefix=f"f{number}-", label=clean(figure.alt))
    return _Item("Figure", figure, number=number, svg=svg, width=width)


def _unique(name: str, taken: set[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    taken.add(candidate)
    return candidate
