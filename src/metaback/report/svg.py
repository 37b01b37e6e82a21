"""Figures inside a page: an SVG file of a drawing program becomes an inline element that can do nothing but be seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from metaback.report.words import clean

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
DRAWING = frozenset(
    re.findall(
        r"\w+",
        """
        svg g path rect circle ellipse line polyline polygon text tspan defs clipPath use title desc image marker
        linearGradient radialGradient stop pattern symbol
        """,
    )
)
ATTRIBUTES = frozenset(
    re.findall(
        r"[\w-]+",
        """
        id d x y x1 x2 y1 y2 cx cy r rx ry fx fy dx dy width height points transform viewBox preserveAspectRatio
        version style fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap
        stroke-linejoin stroke-dasharray stroke-dashoffset stroke-miterlimit opacity clip-path clip-rule clipPathUnits
        text-anchor font-family font-size font-style font-weight dominant-baseline letter-spacing rotate textLength
        lengthAdjust  offset stop-color stop-opacity gradientUnits gradientTransform patternUnits patternTransform
        refX refY  markerWidth markerHeight markerUnits orient marker-start marker-mid marker-end visibility display
        """,
    )
)
RUNNING_TEXT = frozenset({"text", "tspan"})
_LENGTH = re.compile(r"\s*([0-9.]+)\s*(pt|px|in|mm|cm)?\s*")
_OUTSIDE = re.compile(r"url\((?!\s*['\"]?#)")
_BANNED = ("@import", "expression", "javascript:")
_PIXELS = {"": 1.0, "px": 1.0, "pt": 96 / 72, "in": 96.0, "mm": 96 / 25.4, "cm": 96 / 2.54}


def inline_svg(svg: str, *, prefix: str, label: str) -> tuple[str, int]:
    """Return an SVG element for a page, and its natural width in pixels.

    Only drawing elements and attributes survive; references stay inside the drawing or are embedded PNG or JPEG data.
    prefix: put before every id, so that several figures can stand in one page. label: the text alternative.
    Raises ValueError when the text is not SVG.
    """
    if "<!ENTITY" in svg:
        raise ValueError("an SVG figure must not define entities")
    try:
        root = ET.fromstring(svg)  # noqa: S314 - no entities, and expat loads nothing from outside
    except ET.ParseError as error:
        raise ValueError(f"a figure is not well-formed SVG: {error}") from error
    if root.tag != f"{{{SVG}}}svg":
        raise ValueError("a figure is not SVG")
    width = _width(root)
    drawing = ET.Element("svg", dict(_attributes(root, prefix)))
    drawing.attrib.pop("id", None)
    drawing.attrib.pop("style", None)
    drawing.attrib.update({"role": "img", "aria-label": label, "focusable": "false"})
    _copy(root, drawing, prefix)
    return ET.tostring(drawing, encoding="unicode", short_empty_elements=False), width


def _copy(source: ET.Element, target: ET.Element, prefix: str) -> None:
    target.text = clean(source.text or "")
    for child in source:
        name = _local(child.tag, SVG) or ""
        if name in DRAWING and name != "svg":
            _copy(child, ET.SubElement(target, name, dict(_attributes(child, prefix))), prefix)
            target[-1].tail = clean(child.tail or "") if target.tag in RUNNING_TEXT else "\n"


def _attributes(element: ET.Element, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        plain = _local(name, XLINK) if name.startswith("{") else name
        if plain == "href":
            inside = value.startswith("#")
            if inside or value.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")):
                yield "href", f"#{prefix}{value[1:]}" if inside else value
        elif name in ATTRIBUTES and not _leads_outside(value):
            linked = re.sub(r"url\(\s*(['\"]?)#", rf"url(\1#{prefix}", value) if "url(" in value else value
            yield name, f"{prefix}{value}" if name == "id" else linked


def _leads_outside(value: str) -> bool:
    """Tell whether a value could load something, or run; most are long paths, which a pattern would be slow on."""
    lowered = value.lower()
    return any(word in lowered for word in _BANNED) or ("url(" in lowered and _OUTSIDE.search(lowered) is not None)


def _local(name: str, space: str) -> str | None:
    return name.removeprefix(f"{{{space}}}") if name.startswith(f"{{{space}}}") else None


def _width(root: ET.Element) -> int:
    found = _LENGTH.fullmatch(root.get("width", ""))
    if found:
        return round(float(found.group(1)) * _PIXELS[found.group(2) or ""])
    box = root.get("viewBox", "").replace(",", " ").split()
    return round(float(box[2])) if len(box) == 4 else 800
