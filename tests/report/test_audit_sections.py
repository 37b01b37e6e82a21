"""The check in a report and in a notebook: one block per finding, its pools as small tables, and nothing but text."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import metaback as mb
from metaback.report.audit_sections import audit_blocks, audit_keys
from metaback.report.document import Case, Document, Heading
from metaback.report.html import render_html

HOSTILE = '<img src=x onerror="alert(1)"> O\'Brien\n]]> 2016'


def checked(**said: str) -> mb.Checks:
    """Return the check of six trials of which a hostile one stands there twice, with a decision where one is given."""
    rows = [
        ("Ito 2001", 20, 35.1, 18.2, 21, 44.3, 19.1), ("Lund 2003", 30, 38.5, 21.4, 28, 45.2, 20.3),
        ("Okafor 2005", 25, 33.7, 17.5, 26, 41.9, 22.0), (HOSTILE, 24, 30.3, 18.8, 23, 40.7, 19.6),
        (HOSTILE, 24, 30.3, 18.8, 23, 40.7, 19.6),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["study", "n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2"])
    table = table.assign(outcome="pain", higher_is_better=False)
    accept = [{"finding": mb.check(table).errors[0].id, "reason": HOSTILE, "by": "<b>AB</b>", **said}] if said else []
    return mb.check(table, accept=accept)


@pytest.mark.parametrize("said", [{}, {"action": "accept"}, {"action": "exclude"}])
def test_each_finding_is_a_block_of_its_own(said: dict[str, str]) -> None:
    """Open findings say what to do, decided ones what was decided; the pools are those of the finding."""
    found = checked(**said)
    blocks = audit_blocks(found.audit)
    heads = [block.text for block in blocks if isinstance(block, Heading)]
    assert ("Findings that somebody decided about" in heads) == bool(said)
    cases = {block.name: block for block in blocks if isinstance(block, Case)}
    assert set(cases) == {part.id for part in found}
    part = next(part for part in found if part.finding.severity == "error")
    case = cases[part.id]
    assert case.tone == ("settled" if said else "error")
    assert [label for label, _ in case.facts] == ["Decision" if said else "What to do"]
    variants = [part.consequences[0].as_is, *part.consequences[0].alternatives]
    assert [row[2] for row in case.tables[0].rows] == [str(variant.k) for variant in variants]
    first = "As the table was read" if said.get("action") == "exclude" else "As the table stands"
    assert case.tables[0].rows[0][0] == first
    assert audit_keys(found.audit)


def test_what_to_do_is_said_once_for_findings_that_ask_for_the_same() -> None:
    """Of three rows with an SD of 0 the first says what to do, and for how many it holds; the others do not."""
    rows = [(f"Study {i}", 20 + i, 30.0 + i * i, 10.0 + i, 21 + i, 35.5 + i, 11.1 + i) for i in range(6)]
    table = pd.DataFrame(rows, columns=["study", "n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2"])
    table.loc[[0, 2, 4], "sd_1"] = 0.0
    cases = [block for block in audit_blocks(mb.check(table).audit) if isinstance(block, Case)]
    heads = [[label for label, _ in case.facts] for case in cases if case.name.startswith("sd-zero")]
    assert heads == [["What to do (here and in 2 findings of this kind below)"], [], []]


def test_texts_of_the_table_and_of_decisions_stay_text() -> None:
    """Names, reasons and persons leave no element in the page or in the card."""
    found = checked(action="accept")
    for page in (render_html(Document("t", audit_blocks(found.audit))), found._repr_html_()):
        assert "<img" not in page
        assert "<b>AB" not in page
        assert "&lt;img" in page


def test_a_report_in_files(tmp_path: Path) -> None:
    """A row that was left out stays in table and CSV with its reason, and the references of the rules are given."""
    table = checked().trials.frame
    name = checked().errors[0].id
    said = {"finding": name, "action": "exclude", "rows": [4], "reason": "the same trial", "by": "AB"}
    mb.pool_table(table, accept=[said]).report(tmp_path / "r")
    for file in ("report.html", "tables/studies.csv"):
        assert "left out by decision of AB: the same trial" in (tmp_path / "r" / file).read_text(encoding="utf-8")
    keys = audit_keys(checked().audit)
    bib = (tmp_path / "r" / "references.bib").read_text(encoding="utf-8")
    assert all(f"{{{key}," in bib for key in audit_keys(mb.check(table, accept=[said]).audit))
    assert keys
