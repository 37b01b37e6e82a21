"""A whole report with every part: flow diagram, heterogeneity, sensitivity, further figures, in all of its files."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metaback.cli import main

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]
FLOW = """
[prisma]
databases = { MEDLINE = 310, Embase = 190 }
duplicates = 120
screened = 380
excluded = 300
sought = 80
not_retrieved = 2
assessed = 78
reports_excluded = { "wrong population" = 40, "no outcome" = 26 }
studies = 11
reports = 12
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the program in a folder with the example table."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "data" / "trials.csv", tmp_path / "trials.csv")

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call


def _plan(folder: Path, more: str) -> None:
    head = '[data]\nfile = "trials.csv"\n[analysis]\noutcome = "disability"\n'
    head += 'compare = ["posterior_chain", "general_exercise"]\n'
    (folder / "plan.toml").write_text(f"{head}{more}", encoding="utf-8")


def test_every_part_is_in_every_file(run: Run, tmp_path: Path) -> None:
    _plan(tmp_path, FLOW)
    assert run("pool", "--plan", "plan.toml", "--also", "docx", "--also", "pdf", "-q")[0] == 0
    report = tmp_path / "report"
    page, text = ((report / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    word = zipfile.ZipFile(BytesIO((report / "report.docx").read_bytes())).read("word/document.xml").decode()
    parts = ("Flow of studies", "PRISMA 2020 flow diagram", "Heterogeneity", "Sensitivity analyses", "Further figures",
             "Leave-one-out forest", "Plot of Baujat", "No funnel plot: with 5 studies, fewer than 10")  # fmt: skip
    for part in parts:
        assert part in page
        assert part in text
        assert part in word
    assert (report / "report.pdf").read_bytes().startswith(b"%PDF")
    record = json.loads((report / "results.json").read_text(encoding="utf-8"))
    assert record["flow"]["screened"] == 380
    (figures,) = record["figures"]
    assert [part["figure"] for part in figures["drawn"]][:2] == ["forest", "leave-one-out"]
    assert all((report / part["file"]).is_file() for part in figures["drawn"])
    assert [part["figure"] for part in figures["missing"]] == ["funnel"]
    assert len(record["standard_sensitivity"][0]["analyses"]) == 19
    assert "baujat2002" in (report / "references.bib").read_text(encoding="utf-8")
    assert "Baujat" in text[text.index("## References") :]
    assert "the table of this report has 5 studies" in page


def test_a_diagram_that_does_not_add_up_is_refused_before_pooling(run: Run, tmp_path: Path) -> None:
    _plan(tmp_path, FLOW.replace("screened = 380", "screened = 400"))
    code, _, err = run("pool", "--plan", "plan.toml", "-q")
    assert code in (2, 3)
    assert "= 380" in err
    assert not (tmp_path / "report").exists()


def test_a_plan_chooses_the_figures(run: Run, tmp_path: Path) -> None:
    _plan(tmp_path, '[report]\nfigures = ["drapery"]\n')
    assert run("pool", "--plan", "plan.toml", "-q")[0] == 0
    names = sorted(path.name.split("-")[0] for path in (tmp_path / "report" / "figures").glob("*.svg"))
    assert names == ["drapery", "forest"]


def test_tables_write_numbers_as_the_layout_does(run: Run, tmp_path: Path) -> None:
    _plan(tmp_path, '[report]\nlayout = "lancet"\nfigures = []\n')
    assert run("pool", "--plan", "plan.toml", "-q")[0] == 0
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    pooled = text[text.index("### Pooled results") : text.index("### Studies")]
    rows = [line for line in pooled.splitlines() if line.startswith("| **All studies")]
    assert rows
    assert "·" in rows[0]
    assert "0." not in rows[0]
    assert "| p |" in pooled


def _word(report: Path) -> str:
    return zipfile.ZipFile(BytesIO((report / "report.docx").read_bytes())).read("word/document.xml").decode()


def test_a_tall_forest_goes_on_paper_in_pages(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"study": [f"Study {i}" for i in range(95)], "yi": rng.normal(0.2, 0.3, 95), "vi": 0.05})
    frame.to_csv(tmp_path / "many.csv", index=False)
    (tmp_path / "plan.toml").write_text('[data]\nfile = "many.csv"\n[report]\nfigures = []\n', encoding="utf-8")
    assert run("pool", "--plan", "plan.toml", "--also", "docx", "-q")[0] == 0
    report = tmp_path / "report"
    pages = [line for line in range(2, 9) if f"Page {line} of " in _word(report)]
    pages = [1, *pages]
    assert len(pages) >= 2
    assert not list((report / "figures").glob("*-page-*"))
    word = zipfile.ZipFile(BytesIO((report / "report.docx").read_bytes()))
    assert len([name for name in word.namelist() if name.startswith("word/media/")]) == len(pages)
    assert f"Page {len(pages)} of {len(pages)}" in word.read("word/document.xml").decode()
    assert (report / "report.html").read_text(encoding="utf-8").count("<figure") == 1
