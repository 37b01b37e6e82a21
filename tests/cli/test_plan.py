"""Plans on the command line: begun by `init`, described by `schema`, tried by `--dry-run`, followed by `pool`."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import metaback as mb
from metaback.cli import main
from metaback.models.plans import Plan, make_plan
from metaback.postestimation.planned import planned_requests
from metaback.postestimation.sensitivity import SensitivityResult, planned_sensitivity
from metaback.postestimation.summary import Analysis

ROOT = Path(__file__).parents[2]
SAME = 1e-11  # records have 12 significant digits
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the program in a folder with the example table and its plan in `data/`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("trials.csv", "plan.toml"):
        shutil.copy(ROOT / "data" / name, tmp_path / "data" / name)

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return call


def test_a_plan_is_begun_and_not_written_over(run: Run, tmp_path: Path) -> None:
    """The file is a plan as it stands, names its table from its own place, and survives a second call."""
    code, out, _ = run("init", "data/trials.csv", "--out", "protocol/plan.toml")
    assert code == 0
    assert "--dry-run" in out
    text = (tmp_path / "protocol" / "plan.toml").read_text()
    assert make_plan(tomllib.loads(text)).data.file == "../data/trials.csv"
    code, _, err = run("init", "data/trials.csv", "--out", "protocol/plan.toml")
    assert code == 2
    assert "stands there already" in err
    assert (tmp_path / "protocol" / "plan.toml").read_text() == text
    assert run("init", "data/trials.csv", "--out", "protocol/plan.toml", "--force")[0] == 0
    assert run("pool", "--plan", "protocol/plan.toml", "--dry-run")[0] == 0


def test_the_schema_is_json(run: Run) -> None:
    """Every section of a plan is in it."""
    code, out, _ = run("schema")
    assert code == 0
    assert set(json.loads(out)["properties"]) == set(Plan.model_fields)


def test_a_dry_run_tells_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    """The resolved plan reads back, the hash can be registered, the methods stand below, no folder appears."""
    code, out, _ = run("pool", "--plan", "data/plan.toml", "--dry-run", "--tau2", "DL")
    assert code == 0
    assert "tau2 is DL; the plan has REML" in out
    assert "with 1 deviation" in out
    assert "DerSimonian-Laird method" in out
    toml = out[: out.index("# Table:")]
    assert make_plan(tomllib.loads(toml)).model.tau2 == "DL"
    assert not (tmp_path / "report").exists()


def test_a_dry_run_lists_what_its_methods_cite(run: Run) -> None:
    """The paragraph is registered before anything is pooled; its numbers in brackets are those of the list."""
    _, out, _ = run("pool", "--plan", "data/plan.toml", "--dry-run")
    paragraph = next(line for line in out.splitlines() if line.startswith("The effect of each study"))
    cited = {int(number) for found in re.findall(r"\[(\d+(?:, \d+)*)\]", paragraph) for number in found.split(", ")}
    listed = {int(found) for found in re.findall(r"^(\d+)\. ", out, flags=re.MULTILINE)}
    assert cited == listed
    assert min(cited) == 1


def test_the_report_follows_its_plan(run: Run, tmp_path: Path) -> None:
    """Title, question, status, sensitivity analyses, and the resolved plan, which makes the same report again."""
    assert run("pool", "--plan", "data/plan.toml", "--outcome", "pain", "-q")[0] == 0
    report = tmp_path / "report"
    page = (report / "report.html").read_text()
    assert "<h1>Exercise and spinal manipulation for low back pain</h1>" in page
    assert "adults with low back pain" in page
    assert "1 analysis was added afterwards and is marked post hoc" in page
    assert "without outlying effects" in page
    record = json.loads((report / "results.json").read_text())
    first = record["sensitivity"][0]["analyses"]
    assert [part["prespecified"] for part in first] == [True, True, False]
    overall = record["comparisons"][0]["overall"]
    assert overall["k"] == first[0]["k"] == 9
    shutil.copy(report / "plan.resolved.toml", tmp_path / "data" / "again.toml")
    assert run("pool", "--plan", "data/again.toml", "--outcome", "pain", "-q", "--out", "second")[0] == 0
    one, two = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("report", "second"))
    assert one["comparisons"] == two["comparisons"]


def test_what_is_said_besides_the_plan_is_a_deviation(run: Run, tmp_path: Path) -> None:
    """In the report too."""
    assert run("pool", "--plan", "data/plan.toml", "--outcome", "pain", "--tau2", "PM", "-q")[0] == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Deviations from the plan" in page
    assert "At this run: tau2 is PM; the plan has REML" in page


def test_another_table_than_the_plan_fixes_is_refused(run: Run, tmp_path: Path) -> None:
    """The bytes of the table count."""
    plan = tmp_path / "data" / "plan.toml"
    plan.write_text(plan.read_text().replace('file = "trials.csv"', f'file = "trials.csv"\nsha256 = "{"0" * 64}"'))
    code, _, err = run("pool", "--plan", "data/plan.toml")
    assert code == 2
    assert "is not the table of the plan" in err


def test_columns_are_named_by_plan_or_option(run: Run, tmp_path: Path) -> None:
    """A header that nobody knows is named once; the script of the report knows it too."""
    table = "trial,g,s\nA,0.1,0.14\nB,0.3,0.17\nC,0.5,0.22\n"
    (tmp_path / "own.csv").write_text(table)
    words = ("--role", "study=trial", "--role", "yi=g", "--role", "sei=s")
    assert run("pool", "own.csv", *words, "-q")[0] == 0
    first = (tmp_path / "report" / "tables" / "pooled.csv").read_text()
    assert "ROLES = {'study': 'trial', 'yi': 'g', 'sei': 's'}" in (tmp_path / "report" / "reproduce.py").read_text()
    (tmp_path / "own.toml").write_text(
        '[data]\nfile = "own.csv"\n[data.columns]\nstudy = "trial"\nyi = "g"\nsei = "s"\n'
    )
    assert run("pool", "--plan", "own.toml", "-q", "--out", "second")[0] == 0
    assert (tmp_path / "second" / "tables" / "pooled.csv").read_text() == first
    code, _, err = run("pool", "own.csv", "--role", "study")
    assert code == 2
    assert "is not a role with its column" in err


def test_no_table_at_all_is_told(run: Run) -> None:
    """Neither named nor planned."""
    code, _, err = run("pool")
    assert code == 2
    assert "name the table" in err


def test_what_people_rated_stands_beside_what_is_computed(run: Run, tmp_path: Path) -> None:
    """Certainty in the answer, the summary of findings, the reading with the plan's difference, and the item map."""
    plan = tmp_path / "data" / "plan.toml"
    plan.write_text(
        plan.read_text()
        + '\n[[grade]]\noutcome = "pain"\ncertainty = "low"\nreasons = { imprecision = "few people" }\nmid = 0.2\n'
        + '\n[report]\ntitle = "Exercise for pain"\nlayout = "bmj"\n'
    )
    words = ("--outcome", "pain", "--compare", "posterior_chain:general_exercise", "-q")
    assert run("pool", "--plan", "data/plan.toml", *words)[0] == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<h1>Exercise for pain</h1>" in page
    assert "low-certainty evidence (GRADE, rated by the authors)" in page
    assert "certainty of the evidence not rated" not in page
    for part in ("Clinical reading", "Certainty of the evidence", "few people", "PRISMA 2020 items", "Provenance"):
        assert part in page
    assert "guyatt2011imprecision" in (tmp_path / "report" / "references.bib").read_text()


def test_a_report_computes_sensitivity_analyses_once_per_comparison(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page and record show the same records."""
    seen: list[Analysis] = []

    def counted(analysis: Analysis, plan: Plan | None) -> tuple[SensitivityResult, ...]:
        seen.append(analysis)
        return planned_sensitivity(analysis, plan)

    monkeypatch.setattr("metaback.report.robustness.planned_sensitivity", counted)
    (tmp_path / "t.csv").write_text("study,yi,vi\nA,0.1,0.02\nB,0.4,0.03\nC,0.2,0.05\n", encoding="utf-8")
    (tmp_path / "p.toml").write_text('[[sensitivity]]\nname = "S"\ntau2 = "DL"\n', encoding="utf-8")
    code, _, err = run("pool", "t.csv", "--plan", "p.toml", "--out", "out")
    assert code == 0, err
    found = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["sensitivity"]
    assert len(seen) == len(found) == 1
    assert [part["name"] for part in found[0]["analyses"]] == ["S"]
    assert "Sensitivity analyses" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_every_column_of_subgroups_of_a_plan_is_made(run: Run, tmp_path: Path) -> None:
    """The first is that of the run; each further one is an analysis of its own, with its test, and marked as planned.

    Its numbers are those of a pool by that column; no deviation is left to tell, and the report can be made again.
    """
    table = "study,site,year,yi,vi\n" + "".join(
        f"S{i},{'ab'[i % 2]},{2000 + i // 3},{0.1 * i * (-1) ** i},0.02\n" for i in range(6)
    )
    (tmp_path / "t.csv").write_text(table)
    (tmp_path / "p.toml").write_text(
        '[[subgroup]]\ncolumn = "site"\n[[subgroup]]\ncolumn = "year"\nprespecified = false\nwhy = "new dose"\n'
    )
    plan = make_plan({"subgroup": [{"column": "site"}, {"column": "year"}]})
    assert (planned_requests(plan, {}).request.by, planned_requests(plan, {}).overridden) == ("site", ())
    code, _, err = run("pool", "t.csv", "--plan", "p.toml", "--out", "out")
    assert code == 0, err
    record = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    (found,) = record["further_subgroups"]
    (year,) = found["analyses"]
    assert (year["by"], year["prespecified"], year["why"]) == ("year", False, "new dose")
    groups = mb.pool(tmp_path / "t.csv", by="year").subgroups
    assert groups is not None
    assert groups.test is not None
    assert year["test"]["q"] == pytest.approx(groups.test.q, rel=SAME)
    assert [pool["subgroup"] for pool in year["pools"]] == list(groups.levels) == ["2000", "2001"]
    means = [pool["mean"]["estimate"] for pool in year["pools"]]
    assert means == pytest.approx([pool.mean.point for pool in groups.pools], rel=SAME)
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "### Subgroups by year" in page
    assert "Post hoc; why: new dose." in page
    assert "Year 2000" in page or "year 2000" in page
    assert run("verify", "out")[0] == 0


def test_a_further_column_of_subgroups_that_is_not_there_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("study,site,yi,vi\nA,a,0.1,0.02\nB,b,0.3,0.02\nC,a,0.2,0.02\n")
    (tmp_path / "p.toml").write_text('[[subgroup]]\ncolumn = "site"\n[[subgroup]]\ncolumn = "yeer"\n')
    code, _, err = run("pool", "t.csv", "--plan", "p.toml", "--out", "out")
    assert code == 2
    assert "'yeer'" in err
    assert not (tmp_path / "out").exists()
