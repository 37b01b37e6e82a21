"""What is really in a workbook's archive: limits on its size, no DTDs, and what its cells do not show."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from metaback.data.limits import MAX_BYTES, MAX_CELLS, MAX_COLUMNS, MAX_RATIO, MAX_ROWS
from metaback.errors import FileError

MEMBERS = 10_000
KEPT = frozenset({"mimetype", "xl/workbook.bin"})  # parts that are looked at beside the XML
_SMALL = 1 << 20  # below it a high ratio is harmless
_DTD = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)|<\x00!\x00[DE]\x00|\x00<\x00!\x00[DE]", re.IGNORECASE)
_PERCENT_FORMATS = frozenset({"9", "10"})  # the numbers of Excel's own percentage formats
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')  # parts of a number format that are text, escaped or colours
_ROW = re.compile(r"0*[1-9][0-9]{0,6}")
_REFERENCE = re.compile(r"\$?([A-Za-z]{1,3})\$?([1-9][0-9]{0,6})")
Attributes = Mapping[str, str]


@dataclass(slots=True)
class SheetFacts:
    """What the XML of a sheet says beside its values; rows and columns count from 0."""

    rows: int = 0
    columns: int = 0
    hidden_rows: set[int] = field(default_factory=set[int])
    hidden_columns: set[int] = field(default_factory=set[int])
    bad: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    percent: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    def seen(self, row: int, column: int) -> None:
        """Note a cell that holds something."""
        self.rows, self.columns = max(self.rows, row + 1), max(self.columns, column + 1)


def cell_name(row: int, column: int) -> str:
    """Name a cell as spreadsheets do.

    >>> cell_name(0, 0), cell_name(1048575, 16383)
    ('A1', 'XFD1048576')
    """
    letters = ""
    number = column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


def unpack(name: str, content: bytes) -> dict[str, bytes]:
    """Return the XML parts of a workbook's archive, within the limits and without DTDs."""
    try:
        parts = _parts(name, content)
    except FileError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged archive fails in more ways than zipfile lists
        words = "a workbook or zip archive that is cut off or damaged"
        raise FileError(f"{name}: not a text table but {words} ({str(error)[:80]}); save the sheet as CSV") from None
    for part, data in parts.items():
        if _DTD.search(data):
            raise FileError(f"{name}: its part {part} declares a document type, which is refused; save the sheet again")
    return parts


def _parts(name: str, content: bytes) -> dict[str, bytes]:
    """Unpack the XML parts, counting what really comes out."""
    parts: dict[str, bytes] = {}
    total = 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if len(members) > MEMBERS:
            raise FileError(f"{name}: the archive holds more than {MEMBERS:,} parts")
        for member in members:
            if not (member.filename.endswith((".xml", ".rels")) or member.filename in KEPT):
                continue
            if member.flag_bits & 1:
                raise FileError(f"{name}: is protected by a password; save it without one")
            if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise FileError(f"{name}: its part {member.filename[:60]!r} is packed in an unusual way; save it again")
            with archive.open(member) as part:
                data = part.read(MAX_BYTES - total + 1)
            total += len(data)
            if total > MAX_BYTES or (total > _SMALL and total > MAX_RATIO * len(content)):
                limit = f"{MAX_BYTES >> 20} MiB and {MAX_RATIO} times its size"
                raise FileError(f"{name}: expands beyond the limits ({limit}); save the sheet as CSV")
            parts[member.filename] = data
    return parts


def repacked(parts: Mapping[str, bytes]) -> io.BytesIO:
    """Pack checked parts again, so that the next reader sees exactly what was checked."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for part, data in parts.items():
            archive.writestr(zipfile.ZipInfo(part), data)
    file.seek(0)
    return file


def sheet_parts(name: str, parts: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the XML of an XLSX workbook's sheets by their names."""
    targets: dict[str, str] = {}
    found: dict[str, str] = {}

    def relation(tag: str, attributes: Attributes) -> None:
        if tag == "Relationship":
            targets[attributes.get("Id", "")] = attributes.get("Target", "")

    def sheet(tag: str, attributes: Attributes) -> None:
        if tag == "sheet":
            key = next((value for key, value in attributes.items() if key.rpartition(":")[2] == "id"), "")
            found[attributes.get("name", "")] = key

    _walk(name, parts.get("xl/_rels/workbook.xml.rels", b"<none/>"), relation)
    _walk(name, parts["xl/workbook.xml"], sheet)
    paths = {title: targets.get(key, "") for title, key in found.items()}
    full = {title: path.lstrip("/") if path.startswith("/") else f"xl/{path}" for title, path in paths.items()}
    return {title: parts[path] for title, path in full.items() if path in parts}


def _walk(
    name: str,
    data: bytes,
    start: Callable[[str, Attributes], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> None:
    """Walk through XML; tags come without their prefix, and document types are refused."""
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise FileError(f"{name}: declares a document type, which is refused; save the sheet again")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda tag, attributes: start(tag.rpartition(":")[2], attributes)
    if end:
        parser.EndElementHandler = lambda tag: end(tag.rpartition(":")[2])
    if text:
        parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # an unknown encoding is a LookupError
        raise FileError(f"{name}: the workbook is damaged ({error})") from None


def percent_styles(name: str, data: bytes) -> frozenset[str]:
    """Return the numbers of the cell styles of an XLSX workbook that show a number as a percentage."""
    formats: set[str] = set(_PERCENT_FORMATS)
    found: set[str] = set()
    inside, count = False, 0

    def start(tag: str, attributes: Attributes) -> None:
        nonlocal inside, count
        if tag == "numFmt" and "%" in _QUOTED.sub("", attributes.get("formatCode", "")):
            formats.add(attributes.get("numFmtId", ""))
        elif tag == "cellXfs":
            inside = True
        elif tag == "xf" and inside:
            if attributes.get("numFmtId") in formats:
                found.add(str(count))
            count += 1

    def end(tag: str) -> None:
        nonlocal inside
        inside = inside and tag != "cellXfs"

    _walk(name, data, start, end)
    return frozenset(found)


class _Excel:
    """Collects the facts of one XLSX sheet."""

    def __init__(self, percent: frozenset[str]) -> None:
        self.facts = SheetFacts()
        self.styles = percent
        self.percent = False
        self.row = self.column = -1
        self.error = self.formula = self.filled = self.listening = False
        self.value = ""

    def start(self, tag: str, attributes: Attributes) -> None:
        """Take a start tag."""
        if tag == "c":
            self._cell(attributes)
        elif tag == "row":
            given = attributes.get("r", "")
            if given and not _ROW.fullmatch(given):
                raise ValueError(f"a row is numbered {given[:20]!r}")
            self.row = int(given) - 1 if given else self.row + 1
            self.column = -1
            if attributes.get("hidden") in {"1", "true"}:
                self.facts.hidden_rows.add(self.row)
        elif tag == "f":
            self.formula = True
        elif tag in {"v", "t"}:
            self.listening = True
            self.facts.seen(self.row, self.column)
        elif tag == "col" and attributes.get("hidden") in {"1", "true"}:
            low, high = int(attributes.get("min", "1")), int(attributes.get("max", "0"))
            self.facts.hidden_columns.update(range(low - 1, min(high, MAX_COLUMNS)))

    def _cell(self, attributes: Attributes) -> None:
        given = attributes.get("r", "")
        found = _REFERENCE.fullmatch(given)
        if given and not found:  # calamine reads such names in its own way, and might reach far
            raise ValueError(f"a cell is named {given[:20]!r}")
        if found:
            self.row, self.column = int(found[2]) - 1, _column(found[1])
        else:
            self.column += 1
        self.error = attributes.get("t") == "e"
        self.percent = attributes.get("s") in self.styles and attributes.get("t", "n") == "n"
        self.formula = False
        self.value = ""

    def text(self, text: str) -> None:
        """Take text."""
        if self.listening and len(self.value) < 40:
            self.value += text

    def end(self, tag: str) -> None:
        """Take an end tag."""
        if tag in {"v", "t"}:
            self.listening = False
        elif tag == "c":
            if self.value and self.percent:
                self.facts.percent.add((self.row, self.column))
            if self.error or (self.formula and not self.value):
                self.facts.seen(self.row, self.column)
                self.facts.bad[self.row, self.column] = self.value if self.error else ""


class _OpenDocument:
    """Collects the facts of the sheets of an ODS workbook."""

    def __init__(self) -> None:
        self.sheets: dict[str, SheetFacts] = {}
        self.facts = SheetFacts()
        self.row = self.column = 0
        self.depth = self.rows = 0
        self.pending: tuple[int, int] | None = None
        self.value = ""

    def start(self, tag: str, attributes: Attributes) -> None:
        """Take a start tag."""
        local = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        if tag == "table":
            self.facts = self.sheets.setdefault(local.get("name", ""), SheetFacts())
            self.row = 0
        elif tag == "table-row":
            self.rows = _repeats(local.get("number-rows-repeated"))
            self.column = 0
            if local.get("visibility") in {"collapse", "filter"}:
                self.facts.hidden_rows.update(range(self.row, self.row + min(self.rows, 1000)))
        elif tag in {"table-cell", "covered-table-cell"}:
            self._cell(attributes, local, _repeats(local.get("number-columns-repeated")))

    def _cell(self, attributes: Attributes, local: Attributes, count: int) -> None:
        typed = attributes.get("office:value-type")
        error = attributes.get("calcext:value-type") == "error"
        if typed or error or "formula" in local:
            self.facts.seen(self.row + self.rows - 1, self.column + count - 1)
        if typed == "percentage" and not error:
            rows = range(self.row, self.row + min(self.rows, 1000))
            self.facts.percent.update((row, self.column + j) for row in rows for j in range(min(count, 100)))
        if error or ("formula" in local and not typed):
            self.pending = (self.row, self.column)
            self.value = ""
        self.column += count

    def text(self, text: str) -> None:
        """Take text."""
        if self.pending and len(self.value) < 40:
            self.value += text

    def end(self, tag: str) -> None:
        """Take an end tag."""
        if tag in {"table-cell", "covered-table-cell"} and self.pending:
            self.facts.bad[self.pending] = self.value.strip()
            self.pending = None
        elif tag == "table-row":
            self.row += self.rows


def excel_facts(name: str, data: bytes, percent: frozenset[str] = frozenset()) -> SheetFacts:
    """Look through the XML of an XLSX sheet; `percent`: the cell styles that show percentages."""
    reader = _Excel(percent)
    _walk(name, data, reader.start, reader.end, reader.text)
    return reader.facts


def open_document_facts(name: str, data: bytes) -> dict[str, SheetFacts]:
    """Look through the XML of an ODS workbook."""
    reader = _OpenDocument()
    _walk(name, data, reader.start, reader.end, reader.text)
    return reader.sheets


def check_extent(name: str, sheet: str, facts: SheetFacts) -> None:
    """Refuse a sheet whose last cell is so far away that the rectangle up to it cannot be held."""
    far = facts.rows > MAX_ROWS + 10 or facts.columns > MAX_COLUMNS or facts.rows * facts.columns > MAX_CELLS
    if far:
        last = cell_name(facts.rows - 1, facts.columns - 1)
        limits = f"{MAX_ROWS:,} rows, {MAX_COLUMNS:,} columns and {MAX_CELLS:,} cells are read"
        raise FileError(f"{name}: sheet '{sheet}' reaches to cell {last}; {limits}; clear the cells far from the table")


def _column(letters: str) -> int:
    """Return the number of a column from its letters, from 0."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def _repeats(text: str | None) -> int:
    """Read how often a row or cell of ODS is repeated."""
    return max(1, int(text)) if text and text.isdigit() and len(text) < 10 else 1
