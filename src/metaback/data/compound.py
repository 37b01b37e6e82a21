"""What is really in an old workbook's container: chains that end, cells within the limits, counts that can be true."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from metaback.data.archive import SheetFacts, check_extent
from metaback.errors import FileError

LAST_SECTOR = 0xFFFFFFFA  # numbers from here on mean "end", "free" or "in use by the table itself"
_CELLS = frozenset({0x0006, 0x0203, 0x0204, 0x0205, 0x00FD, 0x027E, 0x00BD, 0x00D6, 0x0004, 0x0002, 0x0003, 0x0005})
_SEVERAL = 0x00BD  # numbers side by side; its end says in which column they end
_STRINGS = 0x00FC
_SHEET = 0x0809
_COLUMNS = 256  # that an old workbook can have
_NAMES = ("Workbook", "Book")


def check_compound(name: str, content: bytes) -> None:
    """Refuse an old workbook that would lead its reader round in circles or make it take memory without end.

    The container is a file system: a table says for each sector which one follows. A damaged table can have circles,
    and damaged records can place a cell in column 60,000 or announce billions of texts.
    """
    try:
        container = _Container(content)
        for stream in container.streams(_NAMES):
            _check_records(name, stream)
    except (struct.error, IndexError, ValueError) as error:
        words = "an old Excel workbook that is damaged or has a password"
        raise FileError(f"{name}: not a text table but {words} ({error})") from None


class _Container:
    """The sectors of a compound file and the tables that chain them."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        shift, small = struct.unpack_from("<HH", content, 30)
        if shift not in {9, 12} or small != 6:
            raise ValueError("its sectors have an unknown size")
        self.size = 1 << shift
        self.directory, self.cutoff, self.small_table = (
            struct.unpack_from("<I", content, place)[0] for place in (48, 56, 60)
        )
        self.table = self._numbers(self._table_sectors())
        ends(self.table)
        self.small = self._numbers(self.chain(self.small_table, self.table))
        ends(self.small)

    def _sector(self, number: int) -> bytes:
        start = (number + 1) * self.size
        if start >= len(self.content):
            raise ValueError("it is cut off")
        return self.content[start : start + self.size]

    def _numbers(self, sectors: Sequence[int]) -> Sequence[int]:
        data = b"".join(map(self._sector, sectors))
        return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])

    def _table_sectors(self) -> list[int]:
        """List the sectors of the table: 109 in the header, more in a chain of sectors of their own."""
        listed = list(struct.unpack_from("<109I", self.content, 76))
        (following,) = struct.unpack_from("<I", self.content, 68)
        seen: set[int] = set()
        while following < LAST_SECTOR:
            if following in seen:
                raise ValueError("its sectors follow each other in a circle")
            seen.add(following)
            *more, following = self._numbers([following])
            listed += more
        return [number for number in listed if number < LAST_SECTOR]

    def chain(self, first: int, table: Sequence[int]) -> list[int]:
        """Follow a chain to its end; circles were refused before."""
        found: list[int] = []
        while first < LAST_SECTOR:
            found.append(first)
            first = table[first]
        return found

    def streams(self, names: Sequence[str]) -> Iterator[bytes]:
        """Yield the content of the streams with some names."""
        data = b"".join(map(self._sector, self.chain(self.directory, self.table)))
        entries = [data[i : i + 128] for i in range(0, len(data) - 127, 128)]
        if not entries:
            raise ValueError("it has no directory")
        (root,) = struct.unpack_from("<I", entries[0], 116)
        for entry in entries:
            title = entry[:64].decode("utf-16-le", "replace").partition("\0")[0]
            first, size = struct.unpack_from("<II", entry, 116)
            if title not in names:
                continue
            if size >= self.cutoff:
                yield b"".join(map(self._sector, self.chain(first, self.table)))[:size]
            else:
                inner = b"".join(map(self._sector, self.chain(root, self.table)))
                yield b"".join(inner[64 * i : 64 * i + 64] for i in self.chain(first, self.small))[:size]


def ends(table: Sequence[int]) -> None:
    """Raise `ValueError` where the chains of a table go round in a circle.

    >>> ends([1, 2, 0xFFFFFFFE])
    >>> ends([1, 2, 0])
    Traceback (most recent call last):
    ValueError: its sectors follow each other in a circle
    """
    done = bytearray(len(table))  # 1: on the way that is followed now, 2: known to end
    for start in range(len(table)):
        way: list[int] = []
        number = start
        while number < len(table) and not done[number]:
            done[number] = 1
            way.append(number)
            number = table[number]
        if number < len(table) and done[number] == 1:
            raise ValueError("its sectors follow each other in a circle")
        for passed in way:
            done[passed] = 2


def _check_records(name: str, stream: bytes) -> None:
    """Look through the records of a workbook: how far its cells reach, and how many texts it announces."""
    facts, at, sheets = SheetFacts(), 0, 0
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        data = stream[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == _SHEET:
            check_extent(name, str(sheets), facts)
            facts, sheets = SheetFacts(), sheets + 1
        elif kind == _STRINGS and len(data) >= 8 and struct.unpack_from("<I", data, 4)[0] > len(stream):
            raise ValueError("it announces more texts than it can hold")
        elif kind in _CELLS and len(data) >= 4:
            row, column = struct.unpack_from("<HH", data)
            if kind == _SEVERAL:
                column = max(column, struct.unpack("<H", data[-2:])[0])
            if column >= _COLUMNS:
                raise ValueError(f"it has a cell in column {column + 1:,}")
            facts.seen(row, column)
    check_extent(name, str(sheets), facts)
