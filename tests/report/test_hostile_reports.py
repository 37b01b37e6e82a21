"""Whole reports, from a table and a plan full of hostile texts: no file has an element, a link or a formula of theirs.

Every hostile text is a study once, and the other places (outcome, treatments, subgroups, a column, notes, titles,
reasons, people, names of files) take them in turn. Each report is held against one of plain words, with the same
numbers.
That every text is harmless in every place of a page is in `test_html.py`, with blocks instead of files.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

import metaback as mb
from metaback.cli import main
from metaback.report.records import restored, well_formed

STUDIES = 21
RUNS = 6  # so many studies and reports hold every text
PLAIN = tuple(f"Author {chr(97 + i) * 12} and the other investigators {2001 + i}" for i in range(STUDIES))
LEADING = re.compile(r"^[=+\-@\t\r]")  # what a spreadsheet takes for a formula
NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$", re.IGNORECASE)
HEAD = ("outcome", "treatment_1", "treatment_2", "stratum", "note", "n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2")
RUNS_OR_LOADS = frozenset({"script", "iframe", "object", "embed", "base", "form", "input", "link", "foreignobject"})
ONCE = ("html", "head", "body", "style", "h1", "main")


def usable(text: str) -> str:
    """Return what a text file can hold: no NUL, no lone surrogate; `test_html.py` has both."""
    return well_formed(text).replace("\x00", "\ufffd")


def one_word(text: str) -> str:
    """Return what a name of a file, or of a column, can be."""
    return re.sub(r"[/\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+", "_", text)[:60] or "_"


def table_text(texts: Sequence[str], column: str) -> str:
    """Write a table whose every text is one of `texts`; the third study has a standard error where an SD should be."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow((column, *HEAD))
    n = len(texts)
    for i, label in enumerate(texts):
        words = (texts[3], texts[4], texts[5], texts[6 + i % 2], texts[(i + 11) % n])
        spreads = (3.1, 3.2) if i == 2 else (18.2 + i % 4 * 0.3, 19.1 + i % 3 * 0.4)
        means = (35.1 + i * 7 % 5 * 0.7, 40.3 + i * 5 % 7 * 0.9)
        rows.writerow((label, *words, 20 + i, f"{means[0]:.1f}", spreads[0], 21 + i, f"{means[1]:.1f}", spreads[1]))
    return out.getvalue()


def plan_text(texts: Sequence[str], table: Path, column: str) -> str:
    """Write a plan with a text of people in every place that has one."""
    said: Iterator[str] = iter(json.dumps(text, ensure_ascii=False) for text in (*texts, *texts))
    finding = next(
        part.id for part in mb.check(mb.read_trials(table, roles={"study": column})) if "se-as-sd" in part.id
    )

    def section(head: str, *names: str, **fixed: object) -> str:
        pairs = [f"{name} = {next(said)}" for name in names]
        return "\n".join([head, *(f"{name} = {json.dumps(value)}" for name, value in fixed.items()), *pairs])

    return "\n".join(
        [
            section("[question]", "title", "population", "intervention", "comparator", "outcome", "registration"),
            section("[data.columns]", study=column),
            section("[[subgroup]]", "why", column="stratum"),
            section("[[sensitivity]]", "name", "why", tau2="DL"),
            section("[[checks.decision]]", "reason", "by", finding=finding, action="accept"),
            section("[[deviation]]", "what", "why", date="2026-03-01"),
            section("[[grade]]", "mid_source", certainty="low", mid=0.5),
            section("[grade.reasons]", "risk_of_bias", "imprecision", "other"),
            section("[report]", "title", formats=["docx", "xlsx"]),
        ]
    )


@dataclass(frozen=True)
class Report:
    """The files of a report, by name, and the studies that went in."""

    files: dict[str, bytes]
    studies: tuple[str, ...]
    page_of: Any

    @cached_property
    def page(self) -> Any:
        return self.page_of(self.text("report.html"))

    def text(self, name: str) -> str:
        return self.files[name].decode("utf-8")

    def ending(self, end: str) -> list[str]:
        return [name for name in self.files if name.endswith(end)]


def made(folder: Path, texts: Sequence[str], page_of: Any) -> Report:
    """Make a report by the command line, in a folder of its own."""
    texts = tuple((*texts, *PLAIN)[:STUDIES])
    column, name = f"who {one_word(texts[8])}", one_word(texts[9])
    table, plan = folder / f"{name}.csv", folder / f"{one_word(texts[10])}.toml"
    table.write_text(table_text(texts, column), encoding="utf-8", newline="")
    plan.write_text(plan_text(texts, table, column), encoding="utf-8")
    with chdir(folder), pytest.raises(SystemExit) as left:
        main(["pool", "--plan", plan.name, "--accept-findings", "-q", "--", table.name])
    assert not left.value.code
    assert {path.name for path in folder.iterdir()} == {table.name, plan.name, "report"}
    root = folder / "report"
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return Report(files, texts, page_of)


@pytest.fixture(scope="module")
def calm(page_of: Any, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Make the report of plain words."""
    return made(tmp_path_factory.mktemp("calm"), PLAIN, page_of)


@pytest.fixture(scope="module", params=[0, 1, *(pytest.param(one, marks=pytest.mark.slow) for one in range(2, RUNS))])
def report(
    page_of: Any, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, attacks: tuple[str, ...]
) -> Report:
    """Make a report of the next hostile texts."""
    first = request.param * STUDIES
    return made(
        tmp_path_factory.mktemp("hostile"), [usable(text) for text in attacks[first : first + STUDIES]], page_of
    )


def shown(text: str) -> str:
    """Return a text without what any format may show in another way: spaces and signs that cannot be seen."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\ufffd\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+", "", text)


def test_every_text_is_a_study_of_a_report(attacks: tuple[str, ...]) -> None:
    assert 60 <= len(set(attacks)) <= RUNS * STUDIES


def test_the_page_has_no_element_of_theirs(report: Report, calm: Report) -> None:
    page = report.page
    assert page.kinds() <= calm.page.kinds()
    assert page.open == page.odd == []
    assert not {tag for tag, _ in page.elements} & RUNS_OR_LOADS
    assert not {name for _, attrs in page.elements for name in attrs if name.startswith("on")}
    assert [page.count(tag) for tag in ONCE] == [1] * len(ONCE)
    assert page.count("meta") == calm.page.count("meta")
    assert page.values("href", "src", "xlink:href") - calm.page.values("href", "src", "xlink:href") <= {
        f"#{attrs.get('id')}" for _, attrs in page.elements
    } | set(report.files)


def test_the_page_shows_every_text(report: Report) -> None:
    data = shown("".join(report.page.data))
    assert [text for text in report.studies if shown(text) not in data] == []


def test_figures_are_drawings(report: Report, calm: Report) -> None:
    def tree(one: Report) -> list[ET.Element]:
        return [part for name in one.ending(".svg") for part in ET.fromstring(one.text(name)).iter()]

    assert report.ending(".svg")
    assert {part.tag for part in tree(report)} <= {part.tag for part in tree(calm)}
    names = {name for part in tree(report) for name in part.attrib}
    assert names <= {name for part in tree(calm) for name in part.attrib}
    assert not {name for name in names if name.startswith("on")}
    targets = {value for part in tree(report) for name, value in part.attrib.items() if name.endswith("href")}
    assert all(target.startswith("#") for target in targets)


def test_tables_run_no_formula_and_give_the_texts_back(report: Report) -> None:
    for name in report.ending(".csv"):
        rows = list(csv.reader(io.StringIO(report.text(name), newline="")))
        assert len({len(row) for row in rows}) == 1
        assert [cell for row in rows for cell in row if LEADING.match(cell) and not NUMBER.match(cell)] == []
    rows = csv.DictReader(io.StringIO(report.text("tables/studies.csv"), newline=""))
    back = [shown(restored(row["study"])) for row in rows]
    assert back == [shown(text) for text in report.studies]


def test_records_hold_the_texts_as_data(report: Report, calm: Report) -> None:
    record, plain = (json.loads(one.text("results.json")) for one in (report, calm))
    assert [shown(study["study"]) for study in record["comparisons"][0]["studies"]] == list(map(shown, report.studies))
    assert record["comparisons"][0]["overall"].keys() == plain["comparisons"][0]["overall"].keys()
    one, other = (found["comparisons"][0] for found in (record, plain))
    answer = one["dependence"]["beside"] if "dependence" in one else one["overall"]  # two texts may be one study's name
    assert answer["mean"] == other["overall"]["mean"]
    assert json.loads(report.text("manifest.json")).keys() == json.loads(calm.text("manifest.json")).keys()


def test_names_of_files_are_plain(report: Report) -> None:
    assert [name for name in report.files if not re.fullmatch(r"[a-zA-Z0-9._/-]+", name) or ".." in name] == []


def test_markdown_has_no_markup_of_theirs(report: Report, calm: Report) -> None:
    def tokens(one: Report) -> list[Token]:
        found = MarkdownIt("commonmark", {"html": True}).enable("table").parse(one.text("report.md"))
        return [part for token in found for part in (token, *(token.children or ()))]

    def targets(one: Report) -> set[object]:
        return {target for token in tokens(one) for target in (token.attrGet("href"), token.attrGet("src")) if target}

    assert {token.type for token in tokens(report)} <= {token.type for token in tokens(calm)} - {"html_inline"}
    assert targets(report) <= targets(calm) | {name for name in report.files if name.startswith("figures/")}
    assert sum(token.type == "heading_open" and token.tag == "h1" for token in tokens(report)) == 1
    data = shown("".join(token.content for token in tokens(report)))
    assert [text for text in report.studies if shown(text) not in data] == []


def test_word_has_no_element_of_theirs(report: Report, calm: Report) -> None:
    pytest.importorskip("docx")

    def parts(one: Report) -> dict[str, ET.Element]:
        with ZipFile(io.BytesIO(one.files["report.docx"])) as pack:
            names = [name for name in pack.namelist() if name.endswith((".xml", ".rels"))]
            return {name: ET.fromstring(pack.read(name)) for name in names}

    ours, theirs = parts(calm), parts(report)
    assert set(theirs) == set(ours)
    for name, root in theirs.items():
        assert {part.tag for part in root.iter()} <= {part.tag for part in ours[name].iter()}, name
        outside = {part.get("Target") for part in root.iter() if part.get("TargetMode") == "External"}
        assert outside <= {part.get("Target") for part in ours[name].iter()}


def test_the_workbook_has_no_formula_and_no_link_of_theirs(report: Report, calm: Report) -> None:
    pytest.importorskip("xlsxwriter")
    calamine = pytest.importorskip("python_calamine")
    content = report.files["results.xlsx"]
    with ZipFile(io.BytesIO(content)) as pack, ZipFile(io.BytesIO(calm.files["results.xlsx"])) as plain:
        assert pack.namelist() == plain.namelist()
        for name in pack.namelist():
            theirs, ours = ET.fromstring(pack.read(name)), ET.fromstring(plain.read(name))
            assert {part.tag for part in theirs.iter()} <= {part.tag for part in ours.iter()}, name
            assert not [part for part in theirs.iter() if part.tag.endswith(("}f", "}hyperlink"))], name
            assert not [part for part in theirs.iter() if part.get("TargetMode") == "External"], name
    head, *rows = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name("studies").to_python()
    assert [shown(row[head.index("study")]) for row in rows] == [shown(text) for text in report.studies]
