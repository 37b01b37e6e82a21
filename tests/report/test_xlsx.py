"""The workbook of a report: numbers as numbers, texts as texts whatever they begin with, the same bytes twice."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import pytest

from metaback.cli import main
from metaback.report.records import restored
from metaback.report.xlsx_file import CUT, LONGEST, xlsx_bytes

pytest.importorskip("xlsxwriter")
calamine = pytest.importorskip("python_calamine")

ROOT = Path(__file__).parents[2]
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
PRINTED = 5e-13  # relative; records are written to 12 significant digits, and a workbook holds 15 and more
TEXTS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "http://example.org", "mailto:a@b.c", "internal:'x'!A1", "1e5", "TRUE")


def record_of(texts: Sequence[str]) -> dict[str, Any]:
    """Return a record whose every text is hostile."""
    rows = [{"comparison": text, "study": text, "row": text, "reason": text} for text in texts]
    findings = [{"id": text, "rows": [text, text], "says": text, "decision": {"by": text}} for text in texts]
    return {
        "title": texts[0],
        "comparisons": [],
        "listed": rows,
        "checks": {"findings": findings},
        "provenance": {"command": texts[0], "versions": {text: text for text in texts}},
    }


def parts(content: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(content)) as pack:
        return {name: pack.read(name) for name in pack.namelist()}


def cells(content: bytes) -> dict[str, list[list[Any]]]:
    book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a report of the shipped table with a workbook."""
    folder = tmp_path_factory.mktemp("book")
    for name in ("trials.csv", "plan.toml"):
        shutil.copy(ROOT / "data" / name, folder)
    words = ["pool", "trials.csv", "--plan", "plan.toml", "--outcome", "pain", "--also", "xlsx", "-q"]
    with chdir(folder), pytest.raises(SystemExit) as left:
        main(words)
    assert not left.value.code
    return folder / "report"


def rows_of(report: Path, name: str) -> list[dict[str, Any]]:
    head, *rows = cells((report / "results.xlsx").read_bytes())[name]
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_its_numbers_are_those_of_the_tables(report: Path) -> None:
    with (report / "tables" / "pooled.csv").open(encoding="utf-8", newline="") as file:
        pooled = list(csv.DictReader(file))
    found = {
        "results": (rows_of(report, "results"), [row for row in pooled if row["term"] == "overall"]),
        "subgroups": (rows_of(report, "subgroups"), [row for row in pooled if row["subgroup"]]),
    }
    for rows, written in found.values():
        assert len(rows) == len(written) > 1
        for row, old in zip(rows, written, strict=True):
            for name in ("estimate", "se", "p_value", "ci_low", "ci_high", "k", "n", "tau2", "i2_tau2", "q"):
                assert isinstance(row[name], float) == bool(old[name]), name
                assert not old[name] or math.isclose(row[name], float(old[name]), rel_tol=PRINTED), name


def test_its_studies_are_those_of_the_table(report: Path) -> None:
    with (report / "tables" / "studies.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    alone = len({row["comparison"] for row in written}) - len(rows_of(report, "results"))
    rows = rows_of(report, "studies")
    assert len(rows) == len(written) - alone
    assert [row["study"] for row in rows] == [restored(row["study"]) for row in written[: len(rows)]]
    for name in ("yi", "vi", "weight", "n_1", "mean_1", "sd_1"):
        for row, old in zip(rows, written, strict=False):
            assert row[name] == pytest.approx(float(old[name]), rel=PRINTED) if old[name] else row[name] == ""


def test_its_sheets_are_those_of_the_record(report: Path) -> None:
    record = json.loads((report / "results.json").read_text(encoding="utf-8"))
    assert len(rows_of(report, "findings")) == len(record["checks"]["findings"])
    assert len(rows_of(report, "decisions")) == len(record["checks"]["decisions"])
    told = {row["what"]: row["value"] for row in rows_of(report, "provenance")}
    assert told["input, sha256"] == record["provenance"]["input"]["sha256"]
    assert told["command"] == record["provenance"]["command"]


def test_the_same_record_gives_the_same_bytes(report: Path) -> None:
    record = json.loads((report / "results.json").read_text(encoding="utf-8"))
    assert xlsx_bytes(record) == (report / "results.xlsx").read_bytes()
    core = parts(xlsx_bytes(record))["docProps/core.xml"].decode()
    assert set(re.findall(r"\d{4}-\d\d-\d\dT[\d:]+Z", core)) == {"1980-01-01T00:00:00Z"}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_stays_a_text(text: str) -> None:
    made = parts(xlsx_bytes(record_of([text])))
    rows = ET.fromstring(made["xl/worksheets/sheet1.xml"]).iter(f"{SHEET}c")
    assert {cell.get("t") for cell in rows} == {"s"}
    assert [row[1] for row in cells(xlsx_bytes(record_of([text])))["listed"][1:]] == [text]


def test_no_attack_becomes_a_formula_or_a_link(attacks: tuple[str, ...]) -> None:
    content = xlsx_bytes(record_of(attacks))
    found = parts(content)
    plain = parts(xlsx_bytes(record_of([f"word {number}" for number in range(len(attacks))])))
    assert set(found) == set(plain)
    for name in found:
        ours, theirs = (ET.fromstring(part[name]) for part in (plain, found))
        assert {one.tag for one in theirs.iter()} <= {one.tag for one in ours.iter()}, name
        assert {one.get("TargetMode") for one in theirs.iter()} <= {None}, name
    assert not any(tag in part for part in found.values() for tag in (b"<f>", b"<f ", b"<hyperlink"))
    assert len(cells(content)["listed"]) == len(attacks) + 1


def test_a_text_that_is_too_long_for_a_cell_is_cut_and_says_so() -> None:
    (_, row) = cells(xlsx_bytes(record_of(["x" * (LONGEST + 1)])))["listed"]
    assert len(row[0]) == LONGEST
    assert row[0].endswith(CUT)


def has_calc(folder: Path) -> bool:
    """Tell whether LibreOffice is here with its spreadsheet, which is a package of its own."""
    if shutil.which("soffice") is None:
        return False
    (folder / "probe.csv").write_text("1,2\n", encoding="utf-8")
    convert(folder / "probe.csv", "xlsx", folder)
    return (folder / "probe.xlsx").is_file()


def convert(path: Path, kind: str, folder: Path) -> None:
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    words = ["soffice", profile, "--headless", "--convert-to", kind, "--outdir", str(folder), str(path)]
    subprocess.run(words, check=False, capture_output=True, timeout=120)


@pytest.mark.slow
def test_libreoffice_opens_it_with_the_same_numbers(report: Path, tmp_path: Path) -> None:
    if not has_calc(tmp_path):
        pytest.skip("LibreOffice Calc is not installed")
    convert(report / "results.xlsx", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false", tmp_path)
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, ours in zip(rows, rows_of(report, "results"), strict=True):
        assert float(row["estimate"]) == pytest.approx(ours["estimate"], rel=PRINTED)
