"""`metaback pool` as a user meets it: reports, standard output, messages and exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metaback.cli import main

TABLE = Path(__file__).parents[2] / "data" / "trials.csv"
DECIDED = (str(TABLE), "--plan", str(TABLE.with_name("plan.toml")))  # what the check finds in it is answered
HEADER = "study,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"
GOOD = HEADER + "A 2001,20,5.1,2.0,21,4.0,2.2\nB 2002,30,5.5,1.9,28,4.9,2.1\nC 2003,15,6.0,2.5,16,4.1,2.3\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["pool", *words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return call


def write(folder: Path, text: str | bytes, name: str = "table.csv") -> str:
    """Write a table and return its name."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def test_a_report_has_all_its_parts(run: Run, tmp_path: Path) -> None:
    name = write(tmp_path, GOOD)
    code, out, err = run(name)
    assert (code, err) == (0, "")
    assert "report/report.html" in out.replace("\\", "/")
    files = {
        path.relative_to(tmp_path / "report").as_posix() for path in (tmp_path / "report").rglob("*") if path.is_file()
    }
    assert {"report.html", "results.json", "manifest.json", "tables/pooled.csv", "tables/studies.csv"} <= files
    assert {Path(file).suffix for file in files if file.startswith("figures/")} == {".svg", ".png"}
    manifest = json.loads((tmp_path / "report" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["provenance"]["command"] == "metaback pool table.csv"
    assert {entry["name"] for entry in manifest["files"]} == files - {"manifest.json"}


def test_two_runs_give_the_same_bytes_in_any_zone_and_locale(tmp_path: Path) -> None:
    shutil.copy(TABLE, tmp_path / "trials.csv")
    settings = (("UTC", "C.UTF-8", "0", "1"), ("Asia/Tokyo", "de_DE.UTF-8", "123", "2"))
    pages: list[dict[str, bytes]] = []
    for zone, locale, seed, threads in settings:
        environment = {"TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads}
        words = [sys.executable, "-m", "metaback", "pool", "trials.csv", "--outcome", "disability", "-q", "--out", "r"]
        subprocess.run(words, check=True, cwd=tmp_path, env={**_environment(), **environment})
        pages.append(
            {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()}
        )
    assert pages[0].keys() == pages[1].keys()
    assert [name for name in pages[0] if pages[0][name] != pages[1][name]] == []


def _environment() -> dict[str, str]:
    """Return this process's environment without a date for reproducible builds."""
    import os

    return {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}


BAD_TABLES: dict[str, tuple[str | bytes, int, tuple[str, ...]]] = {
    "missing column": (GOOD.replace("sd_2", "spread"), 3, ("sd_2",)),
    "no study column": (GOOD.replace("study", "nr"), 3, ("study",)),
    "text in a number": (GOOD.replace("4.9", "about 5"), 3, ("'mean_2'", "row 3", "about 5", "not a number")),
    "negative SD": (GOOD.replace("2.2", "-2.2"), 3, ("'sd_2'", "row 2", "-2.2", "negative")),
    "n = 0": (GOOD.replace("\nC 2003,15", "\nC 2003,0"), 3, ("'n_1'", "row 4", "'0'", "1 or more")),
    "no rows": (HEADER, 3, ("no rows",)),
    "duplicate header": (GOOD.replace("sd_2", "sd_1"), 3, ("'sd_1' more than once",)),
    "ragged": (GOOD.replace("B 2002", "B, C & D 2002"), 3, ("row 3", "8 cells", "7")),
    "empty file": ("", 2, ("empty",)),
    "not a table": ("Dear colleague\nplease find the data enclosed\n", 2, ("not a table",)),
    "a workbook": (b"PK\x03\x04rest", 2, ("workbook",)),
    "binary": (GOOD.encode() + b"\0\1\2", 2, ("table.csv",)),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_gives_one_clear_error_and_no_report(run: Run, tmp_path: Path, case: str) -> None:
    text, expected, words = BAD_TABLES[case]
    code, out, err = run(write(tmp_path, text))
    assert (code, out) == (expected, "")
    assert err.count("Error:") == 1
    for word in words:
        assert word in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]


def test_all_problems_are_told_at_once(run: Run, tmp_path: Path) -> None:
    name = write(tmp_path, GOOD.replace("2.2", "-2.2").replace("4.9", "x").replace("15,", "1.5,"))
    code, _, err = run(name)
    assert code == 3
    assert "3 problems" in err
    assert all(word in err for word in ("row 2", "row 3", "row 4"))


def test_a_failing_run_leaves_the_earlier_report(run: Run, tmp_path: Path) -> None:
    assert run(write(tmp_path, GOOD))[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "report").rglob("*") if path.is_file()}
    assert run(write(tmp_path, GOOD.replace("4.9", "x")))[0] == 3
    assert {path: path.read_bytes() for path in (tmp_path / "report").rglob("*") if path.is_file()} == before


def test_a_folder_of_someone_else_is_not_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.txt").write_text("years of work")
    code, _, err = run(write(tmp_path, GOOD))
    assert code == 2
    assert "--force" in err or "force" in err
    assert (tmp_path / "report" / "thesis.txt").read_text() == "years of work"


def test_the_table_itself_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    name = write(tmp_path, GOOD)
    assert run(name, "--out", name, "--force")[0] == 2
    assert (tmp_path / name).read_text() == GOOD


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("nowhere.csv",), 2, "no such file"),
        ((str(TABLE), "--outcome", "pian"), 2, "did you mean 'pain'"),
        ((str(TABLE), "--compare", "core_stabilisation"), 2, "A:B"),
        ((str(TABLE), "--compare", "core_stabilisation:yoga"), 2, "yoga"),
        ((str(TABLE), "--by", "strata"), 2, "stratum"),
        ((str(TABLE), "--by", "stratum", "--by", "outcome"), 2, "'stratum,outcome'"),
        ((str(TABLE), "--preset", "revman"), 2, "revman5"),
        ((str(TABLE), "--level", "95"), 2, "level"),
        ((str(TABLE), "--tau2", "XX"), 2, "REML"),
        ((str(TABLE), "--outcome", "pain", "--measure", "RR"), 4, "row 2"),
        ((str(TABLE), "--model", "equal", "--tau2", "DL"), 2, "tau2"),
    ],
)
def test_wrong_words_are_refused_with_the_right_ones(run: Run, words: tuple[str, ...], code: int, told: str) -> None:
    found, _, err = run(*words)
    assert found == code
    assert told in err


def test_json_has_what_was_asked_for(run: Run, tmp_path: Path) -> None:
    narrow = ("--outcome", "pain", "--compare", "posterior_chain:general_exercise", "--by", "stratum")
    code, out, err = run(*DECIDED, *narrow, "--measure", "SMD", "--preset", "revman5", "--format", "json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    (comparison,) = record["comparisons"]
    assert comparison["model"]["tau2"] == "DL"
    assert round(comparison["overall"]["mean"]["estimate"], 2) == -0.41
    assert list(tmp_path.iterdir()) == []


def test_the_other_order_of_a_pair_turns_the_effects(run: Run) -> None:
    found = []
    for pair in ("posterior_chain:general_exercise", "general_exercise:posterior_chain"):
        record = json.loads(run(*DECIDED, "--outcome", "pain", "--compare", pair, "--format", "json")[1])
        found.append(record["comparisons"][0]["overall"]["mean"])
    assert found[0]["estimate"] == -found[1]["estimate"]
    assert found[0]["ci_low"] == -found[1]["ci_high"]


def test_text_is_for_readers(run: Run) -> None:
    code, out, _ = run(*DECIDED, "--outcome", "pain", "--preset", "revman5", "--format", "text")
    assert code == 0
    assert "\u22120.41" in out
    assert "Jackson 2011" in out
    assert not re.search(r"nan|-0\.00|P = 0\.000", out)


def test_single_studies_are_listed_and_not_pooled(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(*DECIDED)
    assert code == 0
    assert "Listed, not pooled: 2 rows" in out
    record = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert [row["study"] for row in record["listed"]] == ["Ferreira 2007", "Ferreira 2007"]
    assert len(record["comparisons"]) == 7
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Listed, not pooled" in page


def test_a_measure_that_some_rows_lack_lists_them_with_the_reason(run: Run) -> None:
    record = json.loads(run(*DECIDED, "--measure", "SMD", "--format", "json")[1])
    assert {row["reason"] for row in record["listed"]} == {"it brings MD, and the pool is of SMD"}


def test_help_answers_without_the_slow_libraries() -> None:
    code = (
        "import sys\nfrom metaback.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as left:\n    assert not left.code\n"
        "slow = {'numpy', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)\nassert not slow, slow\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pool" in done.stdout


def test_an_internal_error_is_short_and_debug_gives_the_trace(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("metaback.cli.asked.read_trials", broken)
    code, _, err = run(write(tmp_path, GOOD))
    assert code == 70
    assert "boom" in err
    with pytest.raises(SystemExit):
        main(["pool", "table.csv", "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_writes_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("metaback.bundle.draw_forest", stopped)
    code, _, err = run(write(tmp_path, GOOD))
    assert code == 130
    assert "Interrupted" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]
