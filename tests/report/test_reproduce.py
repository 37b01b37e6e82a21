"""The script in a report makes its numbers again, says so, and holds nothing but literals of what it was given."""

from __future__ import annotations

import ast
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import metaback as mb
from metaback.cli import main
from metaback.report.reproduce import Call, reproduce_script

DATA = Path(__file__).parents[2] / "data"
TABLE = (
    "study,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"
    "A 2001,20,5.1,2.0,21,4.0,2.2\nB 2002,30,5.5,1.9,28,4.9,2.1\nC 2003,15,6.0,2.5,16,4.1,2.3\n"
)
HOSTILE = "x'''\"\"\"\\{0}{table}\n__import__('os').system('touch owned')\u202e\ud800"


def pool(*words: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["pool", *words, "-q"])
    assert not left.value.code


def run(script: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, cwd=cwd, check=False)


def test_the_shipped_data_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DATA, tmp_path / "data", ignore=shutil.ignore_patterns("*.json"))
    words = ("data/trials.csv", "--plan", "data/plan.toml", "--outcome", "pain", "--r", "0.5", "--level", "0.9")
    pool(*words, "--out", "one")
    pool(*words, "--out", "two")
    script = tmp_path / "one" / "reproduce.py"
    assert script.read_bytes() == (tmp_path / "two" / "reproduce.py").read_bytes()
    done = run(script, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    pools = (tmp_path / "one" / "tables" / "pooled.csv").read_text(encoding="utf-8").count("\n") - 1
    assert lines[-1] == f"All {pools} pools are the same."
    assert [line[:6] for line in lines[:-1]] == ["same  "] * pools


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    pool("table.csv", "--preset", "revman5", "--tau2", "PM", "--measure", "MD")
    return tmp_path / "report"


def test_a_number_that_was_changed_is_found(report: Path, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    assert run(report / "reproduce.py", cwd=tmp_path / "away").returncode == 0  # the table is beside the report
    path = report / "tables" / "pooled.csv"
    cells = path.read_text(encoding="utf-8").splitlines()[1].split(",")
    old = float(cells[1])
    path.write_text(path.read_text(encoding="utf-8").replace(cells[1], repr(old * (1 + 1e-6)), 1), encoding="utf-8")
    done = run(report / "reproduce.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "DIFFERS" in done.stdout
    assert done.stdout.splitlines()[-1] == "Numbers differ."


def test_another_table_is_refused(report: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE.replace("1.9", "1.8"), encoding="utf-8")
    done = run(report / "reproduce.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not the table of this report" in done.stderr
    (tmp_path / "table.csv").unlink()
    done = run(report / "reproduce.py", "nowhere.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "name the table" in done.stderr


def test_python_reports_of_whole_files_have_it_and_parts_have_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    trials = mb.read_trials("table.csv")
    mb.pool_table(trials, tau2="PM").report("whole")
    assert run(tmp_path / "whole" / "reproduce.py", cwd=tmp_path).returncode == 0
    mb.pool_table(trials.query("study != 'A 2001'")).report("part")
    mb.pool_table(trials.frame).report("frame")
    for folder in ("part", "frame"):
        assert not (tmp_path / folder / "reproduce.py").exists()


def test_what_was_typed_stands_in_it_as_literals_only() -> None:
    choices = {"outcome": HOSTILE, "accept": [{"reason": HOSTILE}], "options": {HOSTILE: "1"}, "r": 0.5, "by": None}
    script = reproduce_script(Call(HOSTILE, hashlib.sha256(b"").hexdigest(), choices))
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(script).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id != "HERE"
    }
    assert values["TABLE"] == HOSTILE
    assert values["CHOICES"] == {
        "outcome": HOSTILE,
        "accept": ({"reason": HOSTILE},),
        "options": {HOSTILE: "1"},
        "r": 0.5,
    }
    plain = reproduce_script(Call("t.csv", "", {}))
    kinds = [type(node) for node in ast.walk(ast.parse(plain)) if isinstance(node, ast.Call)]
    assert len(kinds) == sum(isinstance(node, ast.Call) for node in ast.walk(ast.parse(script)))
    script.encode("utf-8")
