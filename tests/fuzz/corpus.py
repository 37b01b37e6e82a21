"""The inputs of the fuzzer: whole files of every format, what is done to them, and random tables."""

from __future__ import annotations

import datetime as dt
import functools
import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from metaback.data.arms import arms, contrasts
from metaback.data.read import read_trials
from metaback.data.roles import ROLES, recognise
from metaback.effects.compute import effect_sizes

Chance = random.Random


# ---------------------------------------------------------------- what is done with an input


def _recognise(source: Any) -> None:
    """Give roles to the names that an input has."""
    if isinstance(source, bytes):
        names = source.split(b"\n", 1)[0].decode("utf-8", "replace").split(",")
    elif isinstance(source, pd.DataFrame):
        names = list(source.columns)
    else:
        names = list(source[0]) if source and isinstance(source[0], dict) else []
    recognise(names)


def _effects(source: Any) -> None:
    """Read an input and compute its effects."""
    made = effect_sizes(read_trials(source))
    assert len(made.yi) == len(made.vi)
    known = np.isfinite(made.yi)
    assert (made.vi[known] >= 0).all() or not known.any()


STEPS: dict[str, Callable[[Any], Any]] = {
    "read_trials": read_trials,
    "recognise": _recognise,
    "contrasts": contrasts,
    "arms": arms,
    "effect_sizes": _effects,
}


# ---------------------------------------------------------------- whole files

TABLES: dict[str, list[list[Any]]] = {
    "effects": [["study", "yi", "sei", "outcome"], ["A", 0.1, 0.2, "pain"], ["B", -0.3, 0.4, "pain"], ["C", "", 1, ""]],
    "means": [
        ["Study", "n1i", "m1i", "sd1i", "n2i", "m2i", "sd2i", "year"],
        ["A", 20, 5.1, 2.0, 21, 4.8, 1.9, 1999],
        ["B", 33, 12.25, 3.5, 30, 11, 3.25, 2004],
    ],
    "counts": [["trial", "event.e", "n.e", "event.c", "n.c"], ["A", 1, 20, 2, 21], ["B", 0, 30, "3 (10%)", 30]],
    "cells": [
        ["study", "Effect (95% CI)", "p", "weeks", "higher_is_better"],
        ["A", "0.50 (0.20 to 0.80)", "<0.001", 12, "yes"],
        ["B", "\u22120.41 [\u22120.72; \u22120.10]", "0.02*", "8", "no"],
    ],
    "shares": [["study", "ai", "ci"], ["A", "12/20", "5 of 21"], ["B", "2/30 (6.7%)", "3/31"]],
    "spreads": [["study", "n1", "mean1", "n2", "mean2"], ["A", 20, "5.1 (2.0)", 20, "4.8 \u00b1 1.9"]],
    "long": [
        ["study", "treatment", "n", "mean", "sd"],
        ["A", "x", 20, 5.1, 2.0],
        ["A", "y", 21, 4.8, 1.9],
        ["B", "x", 30, 5.5, 2.1],
        ["B", "y", 31, 4.7, 2.2],
        ["B", "z", 29, 4.1, 2.4],
    ],
    "wide": [
        ["study", "treatment_1", "treatment_2", "events_1", "n_1", "events_2", "n_2"],
        ["A", "x", "y", 1, 20, 2, 21],
        ["B", "x", "z", 3, 30, 2, 31],
    ],
    "cochrane": [
        ["Analysis group", "Analysis number", "Analysis name", "Subgroup", "Applicability", "Study", "GIV Mean",
         "GIV SE", "Experimental cases", "Experimental N", "Control cases", "Control N", "Mean", "CI start", "CI end"],
        [1, 1, "Pain", "s", "OVERALL", "A", "", "", 4, 123, 11, 139, 0.41, 0.13, 1.26],
        [2, 1, "Pain", "t", "SUBGROUP", "B", "", "", 6, 306, 29, 303, 0.2, 0.09, 0.49],
    ],
    "single": [["slab", "xi", "ni"], ["A", 11, 29], ["B", 24, 33]],
}  # fmt: skip
TITLES = tuple(TABLES)


def _text(rows: list[list[Any]], mark: str, end: str, encoding: str) -> bytes:
    """Write a table as delimited text."""

    def quoted(cell: Any) -> str:
        text = str(cell)
        return f'"{text}"' if mark in text or '"' in text else text

    lines = [mark.join(map(quoted, row)) for row in rows]
    return (end.join(lines) + end).encode(encoding, "replace")


def _records(rows: list[list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(map(str, rows[0]), row, strict=False)) for row in rows[1:]]


@functools.cache
def _whole(kind: str, title: str) -> bytes:
    """Write one of the tables in a format."""
    rows = TABLES[title]
    if kind == "json":
        return json.dumps(_records(rows)).encode()
    if kind == "lines":
        return "\n".join(map(json.dumps, _records(rows))).encode()
    if kind == "parquet":
        return _parquet(rows)
    return {"xlsx": _xlsx, "ods": _ods, "xls": _xls}[kind](rows)


def _parquet(rows: list[list[Any]]) -> bytes:
    file = io.BytesIO()
    pd.DataFrame(_records(rows)).astype(str).to_parquet(file)
    return file.getvalue()


def _xlsx(rows: list[list[Any]]) -> bytes:
    import xlsxwriter

    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        book.set_properties({"created": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)})  # the same bytes on every run
        sheet = book.add_worksheet("data")
        book.add_worksheet("more").write(0, 0, "note")
        share = book.add_format({"num_format": "0%"})
        for r, row in enumerate(rows):
            sheet.write_row(r, 0, row)
        sheet.write(len(rows), 0, "Z")
        sheet.write(len(rows), 1, 0.5, share)
        sheet.write_formula(len(rows), 2, "=1/0", None, "#DIV/0!")
        sheet.set_row(2, None, None, {"hidden": True})
        sheet.merge_range(len(rows) + 1, 0, len(rows) + 2, 0, "M")
    return file.getvalue()


def _ods(rows: list[list[Any]]) -> bytes:
    space = "urn:oasis:names:tc:opendocument:xmlns:"
    head = (
        f'<?xml version="1.0"?><office:document-content xmlns:office="{space}office:1.0" '
        f'xmlns:table="{space}table:1.0" xmlns:text="{space}text:1.0">'
        '<office:body><office:spreadsheet><table:table table:name="data">'
    )

    def cell(value: Any) -> str:
        if isinstance(value, (int, float)):
            kind = f'office:value-type="float" office:value="{value}"'
        else:
            kind = 'office:value-type="string"'
        return f"<table:table-cell {kind}><text:p>{value}</text:p></table:table-cell>"

    body = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
    tail = (
        '<table:table-row table:number-rows-repeated="1000"><table:table-cell table:number-columns-repeated="50"/>'
        "</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/vnd.oasis.opendocument.spreadsheet")
        manifest = f'<manifest:manifest xmlns:manifest="{space}manifest:1.0"/>'
        archive.writestr(zipfile.ZipInfo("META-INF/manifest.xml"), manifest)
        archive.writestr(zipfile.ZipInfo("content.xml"), head + body + tail)
    return file.getvalue()


def _xls(rows: list[list[Any]]) -> bytes:
    import xlwt

    book = xlwt.Workbook()
    sheet = book.add_sheet("data")
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            sheet.write(r, c, value)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _available() -> tuple[str, ...]:
    """List the formats whose libraries are installed."""
    found: list[str] = ["json", "lines"]
    for kind in ("xlsx", "ods", "xls", "parquet"):
        try:
            _whole(kind, "effects")
        except ImportError:
            continue
        found.append(kind)
    return tuple(found)


# ---------------------------------------------------------------- damage

BYTES = (  # what breaks structures
    b"\0", b"\xff", b'"', b"'", b"\n", b"\r", b",", b";", b"\t", b"|", b"<", b">", b"[", b"{", b"}", b"-",
    b"9", b"\xe2\x88\x92",
)  # fmt: skip
ODD = (
    "", " ", "NA", "-", ".", "\u2212", "nan", "inf", "-inf", "1e400", "-1e308", "1e308", "5e-324", "1e-320", "0", "-0",
    "1_000", "\u0661\u0662", "\uff11", "1,020", "1.020", "1.234.567", "1,02,000", "0,5", "12 (60%)", "12/20", "20/12",
    "0/0", "1/0", "12 of 20", "5.1 (2.0)", "5.1 \u00b1 2", "5.1 (SE 0.2)", "0.5 (0.2 to 0.8)", "0.5 (0.8; 0.2)",
    "0.50 [95% CI 0.2, 0.8]", "95 (95 to 95)", "951 (95% CI 951 to 952)", "12 (8-15)", "12 (IQR 7)", "<0.001", "p=0.05",
    ">1", "15%", "1500%", "-99", "999", "99999999999999999999", "9" * 300, "1" + "0" * 320, "0." + "0" * 400 + "1",
    "0.2*", "\u2020", "\u202e1.0", "\u200b", "a\u0301", "\U0001f600", "\ud7ff", "\ufffe", "\x0b", "\x1c", "\x85",
    "\u2028", "=1+1", "@x", "<script>", "{{7*7}}", "'; drop", "../../x", "%s%n", "\\", '""', "true", "FALSE",
    "2001-03-01",
    "1-Mar", "#N/A", "None", "NaT", "x" * 5_000, "9" * 100_000, "(" * 3_000, "1 " * 2_000, "- " * 500, "1e", "+", "e5",
)  # fmt: skip
NAMES = (
    *ROLES, "event.e", "n.e", "mean.e", "sd.e", "TE", "seTE", "studlab", "m1i", "ai", "bi", "ci", "di", "n1i", "xi",
    "ti", "mi", "sdi", "ri", "treatment", "arm", "group", "Mean", "CI start", "CI end", "GIV Mean", "GIV SE",
    "Median (IQR)",
    "Experimental Mean", "Control N", "Analysis name", "Analysis group", "Analysis number", "Applicability", "_meta_es",
    "_meta_se", "", " ", "0", "shared_arm", "study_1", "n (from its cell)", "\u00e9tude", "x" * 3_000,
)  # fmt: skip


def hurt(chance: Chance, content: bytes) -> bytes:
    """Change, cut, repeat or insert bytes."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
        at = chance.randrange(len(data) + 1)
        size = chance.choice((1, 1, 2, 8, 64, 1_000))
        act = chance.randrange(5)
        if act == 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif act == 1:
            del data[at : at + size]
        elif act == 2:
            data[at:at] = chance.choice(BYTES) * chance.choice((1, 1, 3, 100))
        elif act == 3:
            data[at:at] = data[at : at + size] * chance.choice((1, 2, 50))
        else:
            data[at : at + size] = chance.choice(ODD)[:1_000].encode("utf-8", "replace")
    return bytes(data[: 4 << 20])


def cells(chance: Chance, rows: list[list[Any]]) -> list[list[Any]]:
    """Change cells, names, rows and columns of a table."""
    made = [list(row) for row in rows]
    for _ in range(chance.choice((1, 1, 2, 4, 9))):
        act = chance.randrange(9)
        row = chance.choice(made)
        if act <= 3 and row:
            row[chance.randrange(len(row))] = chance.choice(ODD)
        elif act == 4 and made[0]:
            made[0][chance.randrange(len(made[0]))] = chance.choice(NAMES)
        elif act == 5:
            row.insert(chance.randrange(len(row) + 1), chance.choice(ODD))
        elif act == 6:
            for i, line in enumerate(made):
                line.append(chance.choice(NAMES) if i == 0 else chance.choice(ODD))
        elif act == 7:
            made.insert(chance.randrange(len(made) + 1), [chance.choice(ODD) for _ in range(chance.randrange(9))])
        else:
            made.append(list(row))
    return made


def drawn(chance: Chance) -> list[list[Any]]:
    """Draw a table of odd names and cells; half of its cells are plain numbers."""
    width = chance.randrange(1, 14)
    header = [chance.choice(NAMES) for _ in range(width)]
    if chance.random() < 0.8:
        header[0] = "study"
    rows = [
        [_plain(chance) if chance.random() < 0.6 else chance.choice(ODD) for _ in header]
        for _ in range(chance.choice((0, 1, 2, 3, 8)))
    ]
    for i, row in enumerate(rows):
        row[0] = f"S{i}" if chance.random() < 0.9 else row[0]
    return [header, *rows]


def _plain(chance: Chance) -> Any:
    """Draw a number."""
    return chance.choice(
        (
            lambda: chance.randrange(0, 60),
            lambda: round(chance.gauss(0, 1), 2),
            lambda: round(chance.expovariate(1), 3),
            lambda: chance.uniform(-1, 1) * 10.0 ** chance.randrange(-320, 308),
            lambda: 0,
            lambda: 1,
        )
    )()


def _as_text(chance: Chance, rows: list[list[Any]]) -> bytes:
    encodings = (
        "utf-8",
        "utf-8",
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "cp1252",
        "latin-1",
        "shift_jis",
        "utf-7",
    )
    return _text(rows, chance.choice(",;\t|: "), chance.choice(("\n", "\r\n", "\r", "\n\n")), chance.choice(encodings))


def _repacked(chance: Chance, content: bytes, act: Callable[[Chance, bytes], bytes]) -> bytes:
    """Change one part inside an archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        likely = [
            name for name in names if "sheet1" in name or "content" in name or "styles" in name or "shared" in name
        ]
        victim = chance.choice(likely if chance.random() < 0.7 else names)
        for name in names:
            data = old.read(name)
            other = chance.choice(names) if chance.random() < 0.02 else name
            new.writestr(zipfile.ZipInfo(other), act(chance, data) if name == victim else data)
    return file.getvalue()


def _xml(chance: Chance, data: bytes) -> bytes:  # noqa: PLR0911  one line per kind of damage
    """Change XML where it hurts: depth, numbers, references, attributes, documents types."""
    act = chance.randrange(8)
    at = data.find(b">", chance.randrange(len(data) + 1)) + 1
    if act == 0:
        return data[:at] + b"<a>" * chance.choice((10, 1_000, 200_000)) + data[at:]
    if act == 1:
        return data[:at] + b"<a>" * 5_000 + b"</a>" * 5_000 + data[at:]
    if act == 2:
        return data.replace(b'r="', b'r="' + chance.choice((b"9", b"-", b"XFD", b"0", b"1048576", b"A" * 50)), 3)
    if act == 3:
        return data.replace(b"repeated=", b'repeated="999999999" x=') if b"repeated=" in data else hurt(chance, data)
    if act == 4:
        return (
            data[:at]
            + chance.choice((b"&x;", b"&#0;", b"&#x110000;", b"<![CDATA[", b"<!--", b"<?x ", b"\0"))
            + data[at:]
        )
    if act == 5:
        return data.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>', 1)
    if act == 6:
        number = chance.choice((b"1e999", b"nan", b"-1", b"4294967296", b"99999999999999999999", b"", b"x"))
        return data.replace(b"<v>", b"<v>" + number, chance.randrange(1, 5)).replace(b' s="', b' s="' + number, 2)
    return data + b" " * chance.choice((10, 30 << 20))


def _json(chance: Chance) -> bytes:
    """Write odd JSON: nested, large, twice the same key, several kinds of values."""
    deep = chance.choice((1, 5, 100, 2_000, 100_000))
    values: tuple[Any, ...] = (
        None, True, 1, -1.5, 10**30, "x", "0.5 (0.2 to 0.8)", [], {}, [1, 2], {"a": 1}, float("nan"), float("inf"),
        "\ud800",
    )  # fmt: skip
    act = chance.randrange(4)
    if act == 0:
        return b"[" * deep + b'{"study": "A"}' + b"]" * chance.choice((deep, deep - 1))
    if act == 1:
        return b'[{"study": ' + b'{"a": ' * deep + b"1" + b"}" * deep + b"}]"
    records = [{chance.choice(NAMES): chance.choice(values) for _ in range(6)} for _ in range(3)]
    text = json.dumps(records) if act == 2 else "\n".join(map(json.dumps, records))
    return text.replace('"sei"', '"yi"').encode() if chance.random() < 0.2 else text.encode()


def _frame(chance: Chance) -> pd.DataFrame:
    """Draw a frame with columns of many types."""
    header, *rows = drawn(chance)
    columns: dict[str, Any] = {}
    for i, name in enumerate(header):
        values = [row[i] for row in rows]
        kind = chance.randrange(6)
        if kind == 0:
            columns[name] = pd.Series([_plain(chance) for _ in values], dtype=float)
        elif kind == 1:
            columns[name] = pd.Series([str(value) for value in values], dtype="string")
        elif kind == 2:
            columns[name] = pd.Categorical([str(value) for value in values])
        elif kind == 3:
            odd = (None, pd.NA, pd.NaT, b"x", 1j, [1], pd.Timestamp(0), True, np.int8(3), 10**400, object)
            columns[name] = pd.Series([chance.choice(odd) for _ in values], dtype=object)
        else:
            columns[name] = pd.Series(values, dtype=object)
    index = pd.Index([chance.choice(("a", "b", 1, None, ("x", 1))) for _ in rows], dtype=object)
    return pd.DataFrame({name: list(column) for name, column in columns.items()}, index=index)


def _mild(chance: Chance) -> bytes:
    """Write a table with numbers of its own in every number column, and at most one odd cell."""
    rows = TABLES[chance.choice(("effects", "means", "counts", "long", "wide", "single"))]
    made = [[_own(chance, cell) for cell in row] for row in rows[1:] * chance.choice((1, 1, 3))]
    for i, row in enumerate(made):
        row[0] = f"S{i // 2}" if chance.random() < 0.5 else f"S{i}"
    if chance.random() < 0.6:
        row = chance.choice(made)
        row[chance.randrange(1, len(row))] = chance.choice(ODD)
    return _text([rows[0], *made], chance.choice(",;\t"), "\n", "utf-8")


def _own(chance: Chance, cell: Any) -> Any:
    """Draw a number in the place of a number: any people, tiny and huge measurements."""
    if isinstance(cell, int):
        return chance.choice((0, 1, 2, 3, 17, 400, 10**6, 2**53))
    if isinstance(cell, float):
        return chance.choice((0.0, 1e-300, 1e-9, 0.25, 3.5, 1e9, 1e154, 1e300)) * chance.choice((1, 1, -1))
    return cell


@functools.cache
def _kinds() -> tuple[str, ...]:
    """List the kinds of inputs; a kind that stands more often is made more often."""
    zipped = tuple(f"{kind} {act}" for kind in _available() if kind in {"xlsx", "ods"} for act in ("parts", "xml"))
    whole = tuple(f"{kind} bytes" for kind in _available())
    tables = tuple(f"{kind} cells" for kind in _available() if kind != "ods")
    return (*zipped, *whole, *tables, *TEXTS, "text drawn", *("text mild",) * 8)


TEXTS: dict[str, Callable[[Chance, list[list[Any]]], Any]] = {
    "text bytes": lambda chance, rows: hurt(chance, _as_text(chance, rows)),
    "text cells": lambda chance, rows: _as_text(chance, cells(chance, rows)),
    "text drawn": lambda chance, _: _as_text(chance, drawn(chance)),
    "text mild": lambda chance, _: _mild(chance),
    "text quotes": lambda chance, rows: _as_text(chance, rows).replace(
        chance.choice((b",", b"\n", b"A", b"0")), b'"', chance.randrange(1, 6)
    ),
    "text long": lambda chance, _: _long_lines(chance.choice((10, 999, 1_000, 1_001, 20_000))),
    "odd json": lambda chance, _: _json(chance),
    "frame": lambda chance, _: _frame(chance),
    "records": lambda chance, rows: [
        dict(zip(map(str, rows[0]), row, strict=False)) for row in cells(chance, rows)[1:]
    ],
}


def _long_lines(width: int) -> bytes:
    return b",".join(b"c%d" % i for i in range(width)) + b"\n" + b",1" * width + b"\n"


def make(seed: int, number: int) -> tuple[str, Any]:
    """Make one input of the seed and its number alone."""
    chance = random.Random(f"{seed}:{number}")  # noqa: S311
    kind = chance.choice(_kinds())
    title = chance.choice(TITLES)
    if kind in TEXTS:
        return kind, TEXTS[kind](chance, TABLES[title])
    form, _, act = kind.partition(" ")
    return kind, _of_a_file(chance, form, act, title)


def _of_a_file(chance: Chance, form: str, act: str, title: str) -> bytes:
    """Damage a whole file, or write changed cells into a new one."""
    if act == "cells":
        rows = [[cell if len(str(cell)) < 30_000 else "x" for cell in row] for row in cells(chance, TABLES[title])]
        writer = {"xlsx": _xlsx, "xls": _xls, "parquet": _parquet}.get(form)
        if writer is None:
            made = _records(rows)
            return (json.dumps(made) if form == "json" else "\n".join(map(json.dumps, made))).encode()
        try:
            return writer([[str(name) for name in rows[0]], *rows[1:]])
        except Exception:  # noqa: BLE001  what the writer refuses is written as text
            return _as_text(chance, rows)
    content = _whole(form, title)
    if act == "parts":
        return _repacked(chance, content, hurt)
    return _repacked(chance, content, _xml) if act == "xml" else hurt(chance, content)
