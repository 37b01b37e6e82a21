"""`metaback selfcheck` as a user meets it: tables, protocol, JSON and exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from metaback import digits
from metaback.cli import main

FILE = Path(__file__).parents[2] / "data" / "selfcheck.json"
DAY = re.compile(r"selfcheck-\d{4}-\d{2}-\d{2}\.md")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["selfcheck", *words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return call


@pytest.fixture(scope="module")
def check() -> digits.SelfCheck:
    """Count the digits once for all tests that are about files."""
    return digits.selfcheck()


@pytest.fixture
def counted(check: digits.SelfCheck, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command take the digits that were counted already: two tests below let it count for itself."""
    monkeypatch.setattr("metaback.cli.selfcheck_run.selfcheck", lambda: check)


def test_tables_and_a_dated_protocol(run: Run, tmp_path: Path) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    assert "tau2 by search" in out
    assert "Filip" in out
    assert "digits that are promised" in out
    (protocol,) = tmp_path.iterdir()
    assert DAY.fullmatch(protocol.name)
    text = protocol.read_text(encoding="utf-8")
    assert text.startswith(f"# Self-check of metaback, {protocol.stem.removeprefix('selfcheck-')} ")
    assert str(tmp_path) not in text


@pytest.mark.usefixtures("counted")
def test_a_second_run_of_the_day_takes_another_name(run: Run, tmp_path: Path) -> None:
    run()
    (first,) = tmp_path.iterdir()
    first.write_text("mine", encoding="utf-8")
    assert run()[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {first.name, f"{first.stem}-2.md"}
    assert first.read_text(encoding="utf-8") == "mine"


@pytest.mark.usefixtures("counted")
def test_a_file_that_exists_is_replaced_only_by_force(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("mine", encoding="utf-8")
    code, out, err = run("--out", "p.md")
    assert (code, out) == (2, "")
    assert "'p.md' exists" in err
    assert "--force" in err
    assert (tmp_path / "p.md").read_text(encoding="utf-8") == "mine"
    assert run("--out", "p.md", "--force")[0] == 0
    assert (tmp_path / "p.md").read_text(encoding="utf-8").startswith("# Self-check")
    assert [path.name for path in tmp_path.iterdir()] == ["p.md"]  # nothing temporary stays


@pytest.mark.usefixtures("counted")
def test_a_folder_that_is_not_there_is_an_error_without_a_trace(run: Run, tmp_path: Path) -> None:
    code, _, err = run("--out", "no/such/p.md")
    assert code == 2
    assert "cannot write" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("counted")
def test_json_agrees_with_python_and_writes_only_what_is_asked_for(
    run: Run, tmp_path: Path, check: digits.SelfCheck
) -> None:
    code, out, err = run("--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(digits.record(check)))
    assert list(tmp_path.iterdir()) == []
    assert run("--format", "json", "--out", "p.md")[2] == "Protocol: p.md\n"


def test_a_corrupted_exact_value_ends_with_1_and_a_protocol(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = json.loads(FILE.read_text(encoding="utf-8"))
    entry = next(e for e in known["pools"][0]["exact"] if e[0] == "random.DL.tau2")
    entry[1] = repr(float(entry[1]) * (1 + 1e-6))
    spoiled = tmp_path / "spoiled.json"
    spoiled.write_text(json.dumps(known), encoding="utf-8")
    monkeypatch.setattr(digits, "CASES", (spoiled,))
    code, out, _ = run("--out", "p.md")
    assert code == 1
    assert "The self-check FAILS: tau2 in closed form." in out
    text = (tmp_path / "p.md").read_text(encoding="utf-8")
    assert "| tau2 in closed form | 162 | 6.0 | 10 | dat.bcg: random.DL.tau2 | FAILS |" in text
    assert str(tmp_path) not in text


def test_help_says_what_it_does_and_its_exit_code(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "Exit code 1" in out
