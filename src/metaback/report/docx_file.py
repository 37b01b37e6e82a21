"""The document as a Word file: real headings, captions and table heads, the same bytes for the same document."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree as ET

from metaback.errors import OptionError
from metaback.report.document import Document, Figure
from metaback.report.docx_body import body, footer, numbering, w
from metaback.report.paper import line

EXTRA = "format='docx' needs python-docx: pip install metaback[docx]"
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file can hold: that of no report
_EMU = 12_700  # in a point
_REFERENCE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/"


def docx_bytes(document: Document, figures: Mapping[str, bytes]) -> bytes:
    """Return the document as a Word file, the same bytes for the same document and figures.

    A table that is too wide for an upright page stands in a section on its side. figures: name of a figure -> PNG.
    Raises `OptionError` where python-docx is not installed, and ValueError for a figure without a picture.
    """
    try:
        import docx
        from docx.oxml.parser import parse_xml
    except ImportError:
        raise OptionError(EXTRA) from None
    file = docx.Document()
    part: Any = file.part

    def filled(target: Any, elements: list[ET.Element]) -> None:
        for child in list(target):
            target.remove(child)
        target.extend(parse_xml(ET.tostring(element)) for element in elements)

    count = 0

    def picture(figure: Figure, width: float) -> ET.Element:
        nonlocal count
        count += 1
        if figure.name not in figures:
            raise ValueError(f"no picture for the figure {figure.name!r}")
        reference, image = part.get_or_add_image(io.BytesIO(figures[figure.name]))
        return _drawing(figure, reference, count, (width, width * image.px_height / image.px_width))

    elements, lists = body(document, picture)
    language = document.language if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*", document.language) else "en"
    filled(file.styles.element, list(ET.fromstring(_styles(language))))  # noqa: S314 - a file of this package
    filled(part.numbering_part.element, numbering(lists))
    section = elements[-1]
    filled(file.element.body, elements[:-1])
    file.element.body.append(parse_xml(ET.tostring(section)))
    filled(file.sections[0].footer.part.element, footer())
    _describe(file, line(document.title) or "Report", language)
    buffer = io.BytesIO()
    file.save(buffer)
    return _repacked(buffer.getvalue())


def _styles(language: str) -> str:
    """Return the style sheet of the package, in the language of the document."""
    text = files("metaback.report").joinpath("templates", "styles.xml").read_text(encoding="utf-8")
    return text.replace("LANGUAGE", language)


def _describe(file: Any, title: str, language: str) -> None:
    """Write what the file says about itself; the template's own author, dates, preview and leftovers go."""
    about = file.core_properties
    about.title, about.language = title[:255], language
    about.author, about.comments, about.revision = "", "", 1
    about.created = about.modified = datetime(*_DATE, tzinfo=UTC)
    for relations in (file.part.package.rels, file.part.rels):
        for key, relation in list(relations.items()):
            if relation.reltype.endswith(("/thumbnail", "/stylesWithEffects", "/extended-properties", "/customXml")):
                del relations[key]
    for element in list(file.settings.element):
        if element.tag.endswith(("}savePreviewPicture", "}rsids")):
            file.settings.element.remove(element)
    for setting in file.settings.element.iter(w("compatSetting").tag):
        if setting.get(f"{w('x').tag[:-1]}name") == "compatibilityMode":
            setting.set(f"{w('x').tag[:-1]}val", "15")


def _drawing(figure: Figure, reference: str, number: int, size: tuple[float, float]) -> ET.Element:
    """Return the run of a picture that stands in the text, with its text alternative."""
    wp, a, pic = (f"{{{_DRAWING}{name}}}" for name in ("wordprocessingDrawing", "main", "picture"))
    extent: dict[str, str] = {"cx": str(round(size[0] * _EMU)), "cy": str(round(size[1] * _EMU))}
    known = {"id": str(number), "name": f"Figure {number}", "descr": line(figure.alt) or line(figure.caption)}
    inline = ET.Element(f"{wp}inline", dict.fromkeys(("distT", "distB", "distL", "distR"), "0"))
    ET.SubElement(inline, f"{wp}extent", extent)
    ET.SubElement(inline, f"{wp}docPr", known)
    data = ET.SubElement(ET.SubElement(inline, f"{a}graphic"), f"{a}graphicData", {"uri": f"{_DRAWING}picture"})
    held = ET.SubElement(data, f"{pic}pic")
    about = ET.SubElement(held, f"{pic}nvPicPr")
    ET.SubElement(about, f"{pic}cNvPr", known)
    ET.SubElement(about, f"{pic}cNvPicPr")
    fill = ET.SubElement(held, f"{pic}blipFill")
    ET.SubElement(fill, f"{a}blip", {f"{{{_REFERENCE}}}embed": reference})
    ET.SubElement(ET.SubElement(fill, f"{a}stretch"), f"{a}fillRect")
    shape = ET.SubElement(held, f"{pic}spPr")
    frame = ET.SubElement(shape, f"{a}xfrm")
    ET.SubElement(frame, f"{a}off", {"x": "0", "y": "0"})
    ET.SubElement(frame, f"{a}ext", extent)
    ET.SubElement(ET.SubElement(shape, f"{a}prstGeom", {"prst": "rect"}), f"{a}avLst")
    return w("r", w("drawing", inline))


def _repacked(packed: bytes) -> bytes:
    """Write a zip file anew: sorted, dated 1980, not compressed (libraries of compression differ in their bytes)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
        for name in sorted(old.namelist()):
            member = zipfile.ZipInfo(name, _DATE)
            member.create_system, member.external_attr = 3, 0o644 << 16
            new.writestr(member, old.read(name))
    return buffer.getvalue()
