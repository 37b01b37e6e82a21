"""The numbers of a report as one workbook: a sheet per kind of record, texts as texts and numbers as numbers."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from metaback.errors import OptionError
from metaback.report.comparing import part_of, parts_of
from metaback.report.words import well_formed

EXTRA = "format='xlsx' needs xlsxwriter: pip install metaback[excel]"
LONGEST = 32_767  # letters that a cell of a workbook holds
CUT = " [cut: a cell holds no more; the CSV table has all of it]"
ROWS = 1_048_576  # rows that a sheet holds, its head among them
WIDEST = 60  # letters that a column shows before its texts run on
_DATE = datetime(1980, 1, 1)  # noqa: DTZ001 - a workbook knows no time zone; that of no report, as in the Word file
_SAFE = {"in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
_ABOUT = ("comparison", "title", "outcome", "treatment_1", "treatment_2", "measure", "scale")
_PARTS = frozenset({"cells", "proposals", "consequences", "evidence"})
Cell = str | float | int | bool | None
Row = Mapping[str, Cell]


def xlsx_bytes(record: Mapping[str, Any]) -> bytes:
    """Return a workbook of the record that `results.json` holds, the same bytes for the same record.

    Sheets: results, subgroups, studies, listed, sensitivity, findings, decisions, coverage, provenance; for a model of
    dependent effects coefficients, naive, components, heterogeneity and rows in place of the first four. Those without
    a row are left out. Estimates are on the analysis scale, and once more, under `natural_`, as a reader expects them.
    Every text is written as a text, whatever it begins with: no formula, no link. A number that does not exist is an
    empty cell. Raises `OptionError` where xlsxwriter is not installed.
    """
    try:
        from xlsxwriter import Workbook
    except ImportError:
        raise OptionError(EXTRA) from None
    buffer = io.BytesIO()
    book: Any = Workbook(buffer, _SAFE)
    book.set_properties({"title": _fit(str(record.get("title") or "")), "created": _DATE})
    head = book.add_format({"bold": True, "text_wrap": False, "bottom": 1})
    text = book.add_format({"num_format": "@"})
    for name, rows in sheets(record).items():
        if rows:
            _fill(book.add_worksheet(name), rows, head, text)
    book.close()
    return buffer.getvalue()


def sheets(record: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return the rows of every sheet, by column; a record without results has its provenance alone.

    >>> found = sheets({"provenance": {"versions": {"python": "3.11"}}})
    >>> found["results"], found["provenance"]
    ([], [{'what': 'versions, python', 'value': '3.11'}])
    """
    pooled, checks = parts_of(record, "comparisons"), part_of(record, "checks")
    about = [_about(number, one) for number, one in enumerate(pooled, 1)]
    both = list(zip(about, pooled, strict=True))
    found: dict[str, list[Row]] = {
        "results": [{**known, **_pool(one["overall"])} for known, one in both],
        "subgroups": [row for known, one in both for row in _subgroups(known, one.get("subgroups"))],
        "studies": [{**known, **_study(study)} for known, one in both for study in one["studies"]],
        "listed": [_flat(row) for row in parts_of(record, "listed")],
        "sensitivity": [
            {"comparison": part["comparison"], **_flat(row)}
            for part in parts_of(record, "sensitivity")
            for row in part["analyses"]
        ],
    }
    if "components" in record:
        found = _levels(record)
    found["findings"] = [_finding(row) for row in parts_of(checks, "findings")]
    found |= {name: [_flat(row) for row in parts_of(checks, name)] for name in ("decisions", "coverage")}
    told = _flat(part_of(record, "provenance"))
    found["provenance"] = [{"what": name, "value": value} for name, value in told.items() if value is not None]
    return found


def _levels(record: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return the sheets of numbers of a model of dependent effects."""
    robust = part_of(record, "sensitivity")
    analyses = [(kind, one) for kind in ("planned", "standard") for one in parts_of(robust, kind)]
    return {
        "coefficients": [_flat(row) for row in parts_of(record, "coefficients")],
        "naive": [{"term": name, **_limits(part)} for name, part in part_of(record, "naive").items()],
        "components": [_limits(row) for row in parts_of(record, "components")],
        "heterogeneity": [
            {"what": name, "value": value} for name, value in _flat(part_of(record, "heterogeneity")).items()
        ],
        "rows": [_study(row) for row in parts_of(record, "studies")],
        "sensitivity": [
            {"kind": kind, **_flat({k: v for k, v in one.items() if k != "coefficients"}), "term": term, **_flat(found)}
            for kind, one in analyses
            for term, found in (part_of(one, "coefficients") or {"": {}}).items()
        ],
    }


def _limits(row: Mapping[str, Any]) -> dict[str, Cell]:
    """Return the plain values of a record whose interval is a pair, its limits apart."""
    ends = cast("list[float | None]", row.get("ci") or [])
    plain = _flat({name: value for name, value in row.items() if name != "ci"})
    return {**plain, **dict(zip(("ci_low", "ci_high"), ends, strict=False))}


def _about(number: int, one: Mapping[str, Any]) -> dict[str, Cell]:
    """Return what every row says about its comparison."""
    return {name: number if name == "comparison" else one.get(name) for name in _ABOUT}


def _pool(pool: Mapping[str, Any]) -> dict[str, Cell]:
    """Return the numbers of one pool: estimate and interval first, then prediction and heterogeneity."""
    prediction = part_of(pool, "prediction")
    natural = {**part_of(pool["mean"], "natural"), **part_of(prediction, "natural")}
    limits = {name: value for name, value in prediction.items() if name.startswith("pi_")}
    sizes = {name: pool[name] for name in ("k", "studies", "n")}
    mean = {name: value for name, value in pool["mean"].items() if name not in {"natural", "scale"}}
    shown = {f"natural_{name}": value for name, value in natural.items()}
    return {**sizes, **mean, **limits, **shown, **pool["heterogeneity"], "notes": _joined(pool.get("notes", ()))}


def _subgroups(known: Mapping[str, Cell], groups: Mapping[str, Any] | None) -> list[Row]:
    """Return one row per subgroup, each with the test of their differences."""
    if not groups:
        return []
    test = {f"difference_{name}": value for name, value in part_of(groups, "test").items()}
    said = {**known, "subgroup_by": groups["by"]}
    return [{**said, "subgroup": pool["subgroup"], **_pool(pool), **test} for pool in groups["pools"]]


def _flat(record: Mapping[str, Any], *, within: str = ", ") -> dict[str, Cell]:
    """Return the plain values of a record, those of records in it under joined names; lists of records are left out."""
    found: dict[str, Cell] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            inner = _flat(cast("dict[str, Any]", value), within=within)
            found |= {f"{name}{within}{part}": cell for part, cell in inner.items()}
        elif not isinstance(value, list):
            found[name] = value
        elif not any(isinstance(part, dict) for part in cast("list[Any]", value)):
            found[name] = _joined(cast("list[Any]", value))
    return found


def _study(study: Mapping[str, Any]) -> dict[str, Cell]:
    """Return what is known of one row of the table, its raw numbers last."""
    plain = {name: value for name, value in study.items() if name != "inputs"}
    return {**plain, **{role: value for role, value in study["inputs"].items() if role not in plain}}


def _finding(finding: Mapping[str, Any]) -> dict[str, Cell]:
    """Return what the check says in one finding, with the most that it changes; its parts are in `results.json`."""
    worth = parts_of(finding, "consequences")
    said = {name: value for name, value in finding.items() if name not in _PARTS}
    shift = max((float(part["shift"]) for part in worth if part.get("shift") is not None), default=None)
    return {**_flat(said), "shift": shift, "turns": any(bool(part.get("turns")) for part in worth)}


def _joined(parts: Iterable[object]) -> str | None:
    """Return several texts as one, None for none."""
    return "; ".join(map(str, parts)) or None


def _fill(sheet: Any, rows: Sequence[Row], head: Any, text: Any) -> None:
    """Write the rows of one sheet under their heads, which stay in view."""
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    widths = [len(name) for name in columns]
    for place, name in enumerate(columns):
        sheet.write_string(0, place, name, head)
    for number, row in enumerate(rows[: ROWS - 1], 1):
        for place, name in enumerate(columns):
            value = row.get(name)
            _write(sheet, number, place, value, text)
            widths[place] = max(widths[place], len(str(value)) if isinstance(value, str) else 10)
    for place, width in enumerate(widths):
        sheet.set_column(place, place, min(width, WIDEST) + 2)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, min(len(rows), ROWS - 1), len(columns) - 1)


def _write(sheet: Any, row: int, column: int, value: Cell, text: Any) -> None:
    """Write one cell as what it is."""
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float):
        if math.isfinite(value):
            sheet.write_number(row, column, value)
        else:
            sheet.write_string(row, column, str(value), text)
    elif value:
        sheet.write_string(row, column, _fit(value), text)


def _fit(text: str) -> str:
    """Return a text that a cell can hold."""
    whole = well_formed(text)
    return whole if len(whole) <= LONGEST else whole[: LONGEST - len(CUT)] + CUT
