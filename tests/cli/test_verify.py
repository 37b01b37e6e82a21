"""`metaback verify` as a user meets it: text, JSON, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from metaback.cli import main

TABLE = (
    "study,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"
    "A 2001,20,5.1,2.0,21,4.0,2.2\nB 2002,30,5.5,1.9,28,4.9,2.1\nC 2003,15,6.0,2.5,16,4.1,2.3\n"
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Pool a table in a folder of one's own, and run the command there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    assert call("pool", "table.csv", "-q")[0] == 0
    return call


def test_a_report_that_holds(run: Run) -> None:
    verdict = "report: bytes same\nThe analysis was run again: every file has the same bytes.\n"
    assert run("verify", "report/") == (0, f"{verdict}Every file is as it was written.\n", "")


def test_a_changed_cell_gives_exit_code_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE.replace("1.9", "1.8"), encoding="utf-8")
    code, out, err = run("verify", "report/")
    assert (code, err) == (1, "")
    assert out.startswith("report: numbers differ\n")
    assert "in the table: Pooled effect SMD, B 2002, inputs, sd 1: 1.9 became 1.8" in out
    assert " (relative difference " in out


def test_strict_wants_every_byte(run: Run, tmp_path: Path) -> None:
    assert run("verify", "report/", "--strict")[0] == 0
    (tmp_path / "table.csv").write_text(TABLE.replace("1.9", "1.90"), encoding="utf-8")
    code, out, _ = run("verify", "report/")
    assert (code, out.splitlines()[0]) == (0, "report: numbers same")
    assert run("verify", "report/", "--strict")[0] == 1


def test_json_is_the_same_verdict(run: Run) -> None:
    code, out, _ = run("verify", "report/", "--format", "json")
    record = json.loads(out)
    assert (code, record["ok"], record["grade"], record["numbers"]) == (0, True, "bytes same", [])


def test_what_is_no_report_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for folder in ("mine", "nowhere", "table.csv"):
        code, out, err = run("verify", folder)
        assert (code, out) == (2, "")
        assert f"'{folder}' has no manifest.json of metaback" in err
    code, out, err = run("verify", "report/", "--table", "nowhere.csv")
    assert (code, out) == (2, "")
    assert "nowhere.csv" in err


def test_a_table_that_is_gone_gives_exit_code_1_and_the_way_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "table.csv").rename(tmp_path / "other.csv")
    code, out, _ = run("verify", "report/")
    assert code == 1
    assert "name it with --table" in out
    assert run("verify", "report/", "--table", "other.csv")[0] == 0


def test_a_plan_is_found_hashed_and_used(run: Run, tmp_path: Path) -> None:
    table = Path(__file__).parents[2] / "data"
    for name in ("trials.csv", "plan.toml"):
        (tmp_path / name).write_bytes((table / name).read_bytes())
    narrow = ("--outcome", "pain", "--compare", "posterior_chain:general_exercise")
    assert run("pool", "trials.csv", "--plan", "plan.toml", *narrow, "--out", "planned", "-q")[0] == 0
    assert run("verify", "planned")[0] == 0
    text = (tmp_path / "plan.toml").read_text(encoding="utf-8")
    (tmp_path / "plan.toml").write_text(text.replace('action = "accept"', 'action = "exclude"'), encoding="utf-8")
    code, out, _ = run("verify", "planned")
    assert code == 1
    assert "the plan 'plan.toml' is not the one that the report was made from" in out
    assert run("verify", "planned", "--plan", str(table / "plan.toml"))[0] == 0


def test_a_table_that_only_the_plan_names_is_found(run: Run, tmp_path: Path) -> None:
    (tmp_path / "protocol").mkdir()
    (tmp_path / "protocol" / "plan.toml").write_text('[data]\nfile = "../table.csv"\n', encoding="utf-8")
    code, _, err = run("pool", "--plan", "protocol/plan.toml", "--out", "planned", "-q")
    assert code == 0, err
    assert run("verify", "planned")[1].splitlines()[0] == "planned: bytes same"
    (tmp_path / "table.csv").write_text(TABLE.replace("1.9", "1.8"), encoding="utf-8")
    code, out, _ = run("verify", "planned")
    assert code == 1
    assert "inputs, sd 1: 1.9 became 1.8" in out
