"""The document as elements of WordprocessingML: plain trees, so that a text can never become an element of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

from metaback.report.document import Case, Code, Document, Figure, Heading, Listing, Notes, Paragraph, Plain, Table
from metaback.report.paper import MARGIN, MARK, Placed, cell_text, line, runs, table_size
from metaback.report.words import clean

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
XML = "http://www.w3.org/XML/1998/namespace"
BULLETS = 1  # the number of the list with bullets; numbered lists follow it
_A4 = (11906, 16838)  # twentieths of a point
_AMBER = "FDF6E7"

Picture = Callable[[Figure, float], ET.Element]


def w(name: str, *children: ET.Element | None, **values: object) -> ET.Element:
    """Return an element of WordprocessingML; attributes are of the same namespace, None among the children is left out.

    >>> w("jc", val="right").get("{http://schemas.openxmlformats.org/wordprocessingml/2006/main}val")
    'right'
    """
    element = ET.Element(f"{{{W}}}{name}", {f"{{{W}}}{key.rstrip('_')}": str(value) for key, value in values.items()})
    element.extend(child for child in children if child is not None)
    return element


def body(document: Document, picture: Picture) -> tuple[list[ET.Element], int]:
    """Return the elements of the body, the last one its section, and the number of numbered lists.

    picture: makes the run that holds a figure of a width in points.
    """
    elements = [paragraph("Title", words(line(document.title) or "Report"))]
    lists = BULLETS
    found = runs(document)
    for position, run in enumerate(found):
        for placed in run.placed:
            if isinstance(placed.block, Listing) and placed.block.numbered:
                lists += 1
            elements += _elements(placed, picture, lists)
        section = _section(landscape=run.landscape)
        last = position == len(found) - 1
        elements.append(
            section if last else w("p", w("pPr", w("spacing", after=0, line=20, lineRule="exact"), section))
        )
    return elements, lists - BULLETS


def paragraph(style: str, *content: ET.Element, extra: tuple[ET.Element, ...] = ()) -> ET.Element:
    """Return a paragraph of a style; extra: further properties of the paragraph, in the order of the schema."""
    return w("p", w("pPr", w("pStyle", val=style), *extra), *content)


def words(text: str, *, strong: bool = False, size: float = 0, style: str = "") -> ET.Element:
    """Return a run with a text; line breaks and tabs of the text are kept."""
    half = round(2 * size)
    properties = [
        w("rStyle", val=style) if style else None,
        w("b") if strong else None,
        w("bCs") if strong else None,
        w("sz", val=half) if half else None,
        w("szCs", val=half) if half else None,
    ]
    run = w("r", w("rPr", *properties) if any(part is not None for part in properties) else None)
    for number, part in enumerate(text.split("\n")):
        if number:
            run.append(w("br"))
        element = ET.SubElement(run, f"{{{W}}}t", {f"{{{XML}}}space": "preserve"})
        element.text = part.expandtabs(4)
    return run


def numbering(lists: int) -> list[ET.Element]:
    """Return the definitions of the list with bullets and of numbered lists that each begin at 1."""
    shapes = (("bullet", "\u2022"), ("decimal", "%1."))
    forms = [
        w(
            "abstractNum",
            w("multiLevelType", val="singleLevel"),
            w(
                "lvl",
                w("start", val=1),
                w("numFmt", val=kind),
                w("lvlText", val=text),
                w("lvlJc", val="left"),
                w("pPr", w("ind", left=480, hanging=360)),
                ilvl=0,
            ),
            abstractNumId=number,
        )
        for number, (kind, text) in enumerate(shapes)
    ]
    bullets = w("num", w("abstractNumId", val=0), numId=BULLETS)
    restart = [
        w("num", w("abstractNumId", val=1), w("lvlOverride", w("startOverride", val=1), ilvl=0), numId=BULLETS + 1 + i)
        for i in range(lists)
    ]
    return [*forms, bullets, *restart]


def footer() -> list[ET.Element]:
    """Return the paragraph below every page: its number and that of the last page."""
    return [paragraph("Footer", _field("PAGE", "1"), words(" / "), _field("NUMPAGES", "1"))]


def _elements(placed: Placed, picture: Picture, lists: int) -> Iterator[ET.Element]:
    block: Plain = placed.block
    match block:
        case Heading():
            yield paragraph(f"Heading{placed.level}", words(line(block.text)))
        case Paragraph():
            style = {"answer": "Answer", "small": "SmallPrint", "plain": "Normal"}[block.role]
            yield paragraph(style, words(line(block.text)))
        case Table():
            yield from _captioned(block, placed.number)
        case Figure():
            width = placed.sized.widths[0] if placed.sized else 0.0
            yield paragraph("Picture", picture(block, width))
            yield _caption("Figure", placed.number, block.caption)
        case Notes():
            style = "Warning" if block.tone == "warning" else "Note"
            yield paragraph(f"{style}Title", words(line(block.title)))
            yield from (paragraph(style, words(line(text)), extra=(_item(BULLETS),)) for text in block.points)
            yield paragraph("Normal")
        case Listing():
            style, number = ("ListNumber", lists) if block.numbered else ("ListBullet", BULLETS)
            yield from (paragraph(style, words(line(text)), extra=(_item(number),)) for text in block.items)
        case Code():
            yield paragraph("CodeBlock", words(clean(block.text)))
        case Case():
            yield from _case(block, placed.level)


def _case(case: Case, level: int) -> Iterator[ET.Element]:
    yield paragraph(f"Heading{level}", words(f"[{line(case.mark)}] {line(case.title)}"))
    yield from (paragraph("Normal", words(line(text))) for text in case.texts)
    for table in case.tables:
        yield from _captioned(table, 0)
    for label, text in case.facts:
        yield paragraph("Normal", words(f"{line(label)}: ", strong=True), words(line(text)))
    yield paragraph("Normal", words("Name: ", strong=True), words(line(case.name), style="CodeWord"))


def _captioned(table: Table, number: int) -> Iterator[ET.Element]:
    yield _caption("Table", number, table.caption, above=True)
    yield _table(table)
    yield paragraph("SmallPrint", *([words(f"Full precision: tables/{line(table.file)}")] if table.file else []))


def _caption(kind: str, number: int, text: str, *, above: bool = False) -> ET.Element:
    """Return a caption whose number is a field, so that a list of tables or figures can be made from it."""
    label = (words(f"{kind} ", strong=True), _field(f"SEQ {kind} \\* ARABIC", str(number), strong=True))
    head = (*label, words(". ", strong=True)) if number else ()
    return paragraph("Caption", *head, words(line(text)), extra=(w("keepNext"),) if above else ())


def _table(table: Table) -> ET.Element:
    """Return a table whose head is repeated on every page and whose rows stay whole."""
    size = table_size(table)
    widths = [round(20 * width) for width in size.widths]
    look = w("tblLook", val="04A0", firstRow=1, lastRow=0, firstColumn=1, lastColumn=0, noHBand=1, noVBand=1)
    properties = w(
        "tblPr",
        w("tblStyle", val="ReportTable"),
        w("tblW", w=sum(widths), type="dxa"),
        w("tblLayout", type="autofit"),
        look,
        w("tblCaption", val=line(table.caption)),
    )
    head = w("tr", w("trPr", w("cantSplit"), w("tblHeader")))
    for text, width, numeric in zip(table.head, widths, table.numeric, strict=True):
        head.append(_cell(line(text), width, numeric=numeric, size=size.type_size, strong=True))
    element = w("tbl", properties, w("tblGrid", *(w("gridCol", w=width) for width in widths)), head)
    for i, row in enumerate(table.rows):
        entry = w("tr", w("trPr", w("cantSplit")))
        for j, (text, width, numeric) in enumerate(zip(row, widths, table.numeric, strict=True)):
            marked = (i, j) in table.marked
            shown = f"{MARK} " * marked + cell_text(text, numeric=numeric)
            strong = marked or i in table.strong
            entry.append(_cell(shown, width, numeric=numeric, size=size.type_size, strong=strong, marked=marked))
        element.append(entry)
    return element


def _cell(text: str, width: int, *, numeric: bool, size: float, strong: bool, marked: bool = False) -> ET.Element:
    shade = w("shd", val="clear", color="auto", fill=_AMBER) if marked else None
    side = (w("jc", val="right"),) if numeric else ()
    content = paragraph("TableText", words(text, strong=strong, size=size), extra=side)
    return w("tc", w("tcPr", w("tcW", w=width, type="dxa"), shade), content)


def _item(number: int) -> ET.Element:
    return w("numPr", w("ilvl", val=0), w("numId", val=number))


def _field(code: str, shown: str, *, strong: bool = False) -> ET.Element:
    return w("fldSimple", words(shown, strong=strong), instr=f" {code} ")


def _section(*, landscape: bool) -> ET.Element:
    """Return the page of a section: A4, upright or on its side."""
    short, long = _A4
    margin = round(20 * MARGIN)
    size = w("pgSz", w=long, h=short, orient="landscape") if landscape else w("pgSz", w=short, h=long)
    sides = dict.fromkeys(("top", "right", "bottom", "left"), margin)
    return w("sectPr", size, w("pgMar", **sides, header=500, footer=500, gutter=0))
