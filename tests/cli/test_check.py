"""`metaback check`, and how `metaback pool` waits for decisions about errors."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from metaback.checks.rules import RULES
from metaback.cli import check, main, pool

ROOT = Path(__file__).parents[2]
TABLE, PLAN = ROOT / "data" / "trials.csv", ROOT / "data" / "plan.toml"
CLEAN = (
    "study,outcome,instrument,higher_is_better,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"
    "Ito 2001,pain,VAS 0-100,false,20,35.1,18.2,21,44.3,19.1\n"
    "Lund 2003,pain,VAS 0-100,false,30,38.5,21.4,28,45.2,20.3\n"
    "Okafor 2005,pain,VAS 0-100,false,25,33.7,17.5,26,41.9,22.0\n"
)
ALONE = ("--ci", "HKSJ")  # takes rows as independent: a control group that is counted twice is then an error
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the program in a folder with the example table and its plan; return exit code, output and messages."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(TABLE, tmp_path / "trials.csv")
    shutil.copy(PLAN, tmp_path / "plan.toml")
    (tmp_path / "clean.csv").write_text(CLEAN)

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return call


def test_a_clean_table_has_exit_code_0(run: Run) -> None:
    """Nothing is found, and the text says that this is no proof."""
    code, out, err = run("check", "clean.csv")
    assert (code, err) == (0, "")
    assert "Nothing was found" in out or "notes for information" in out or "note for information" in out
    assert "not a table without errors" in out


def test_the_example_table(run: Run) -> None:
    """The control group that was counted twice is an error; exit code 1; its plan answers it."""
    code, out, _ = run("check", "trials.csv", *ALONE)
    assert code == 1
    assert "ERROR  shared-control-" in out or "ERROR shared-control-" in out
    assert "Jackson 2011 (rows 8 and 9)" in out
    code, out, _ = run("check", "trials.csv", "--plan", "plan.toml", *ALONE)
    assert code == 0
    assert "accepted by the maintainers of metaback" in out
    assert run("check", "trials.csv", "--plan", "plan.toml", "--strict", *ALONE)[0] == 1


def test_every_rule_is_listed(run: Run) -> None:
    """`--rules` needs no table."""
    code, out, _ = run("check", "--rules")
    assert code == 0
    assert [line.split(" ")[0] for line in out.splitlines()] == list(RULES)


def test_json_holds_everything(run: Run) -> None:
    """Findings, consequences and coverage are data."""
    code, out, _ = run("check", "trials.csv", "--format", "json", *ALONE)
    record = json.loads(out)
    assert code == 1
    assert record["schema"] == "metaback/check"
    (jackson,) = [found for found in record["findings"] if found["rule"] == "shared-control"]
    assert jackson["rows"] == ["row 8", "row 9"]
    assert jackson["consequences"][0]["as_is"]["k"] == 9
    assert {part["rule"] for part in record["coverage"]} == set(RULES)


def test_the_plan_that_is_written_can_be_filled_in(run: Run, tmp_path: Path) -> None:
    """The template is TOML; unfilled it is refused with every gap, filled in it lets the table be pooled."""
    code, out, _ = run("check", "trials.csv", "--format", "plan", *ALONE)
    assert code == 1
    (decision,) = tomllib.loads(out)["checks"]["decision"]
    assert decision["finding"].startswith("shared-control-")
    (tmp_path / "mine.toml").write_text(out)
    code, _, err = run("pool", "trials.csv", "--plan", "mine.toml", *ALONE)
    assert code == 2
    assert "checks.decision[1].reason is blank" in err
    assert "checks.decision[1].by is blank" in err
    (tmp_path / "mine.toml").write_text(
        out.replace('reason = ""', 'reason = "as published"', 1).replace('by = ""', 'by = "AB"', 1)
    )
    assert run("pool", "trials.csv", "--plan", "mine.toml", "-q", *ALONE)[0] == 0


def test_open_errors_stop_a_pool_and_leave_the_old_report(run: Run, tmp_path: Path) -> None:
    """Exit code 3, every error with its cure, and the report that stood there is intact."""
    assert run("pool", "clean.csv", "-q")[0] == 0
    before = (tmp_path / "report" / "report.html").read_bytes()
    code, _, err = run("pool", "trials.csv", *ALONE)
    assert code == 3
    assert "1 error that nobody decided about" in err
    assert "Jackson 2011 (rows 8 and 9)" in err
    assert "--accept-findings" in err
    assert (tmp_path / "report" / "report.html").read_bytes() == before


def test_the_cure_names_the_same_request(run: Run, tmp_path: Path) -> None:
    """What stops a pool is found by the check of the same options, which the message spells out; old decisions too."""
    words = ("--compare", "posterior_chain:general_exercise", "--ci", "Wald", "--option", "vtype=LS", "--r", "0.6")
    (tmp_path / "old.toml").write_text(PLAN.read_text().replace("df69c4", "000000"))
    code, _, err = run("pool", "trials.csv", *words, "--lower-is-better", "--plan", "old.toml")
    assert code == 3
    assert "The decision about shared-control-000000 fits no finding" in err
    (line,) = [line for line in err.splitlines() if line.startswith("To decide: ")]
    same = shlex.split(line.removeprefix("To decide: metaback ").split(" > ")[0])
    assert set(words) < set(same)
    assert "--lower-is-better" in same
    code, out, _ = run(*same)
    assert code == 1
    assert 'finding = "shared-control-df69c4"' in out


def test_check_and_pool_take_the_same_request() -> None:
    """An option that says how the table is pooled is one of both commands."""
    of_check, of_pool = ({option.name for option in module.command.params} for module in (check, pool))
    assert of_check - of_pool == {"strict", "coverage", "list_rules"}
    assert {"weights", "pi", "level", "mixed_scores", "higher_is_better", "subgroup_tau2"} <= of_check


def test_another_outcome_is_not_stopped(run: Run) -> None:
    """An error in rows that the request leaves out says nothing against what is pooled."""
    assert run("pool", "trials.csv", "--outcome", "disability", "-q")[0] == 0


def test_accepting_findings_is_said_in_the_first_lines(run: Run, tmp_path: Path) -> None:
    """The report opens with the errors; the plan's decision stands in it without that."""
    assert run("pool", "trials.csv", "--accept-findings", "-q", "--outcome", "pain", *ALONE)[0] == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.index("asked for in spite of 1 error") < page.index('id="overview"')
    assert run("pool", "trials.csv", "--plan", "plan.toml", "-q", "--outcome", "pain")[0] == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "asked for in spite of" not in page
    assert "accepted by the maintainers of metaback" in page
    record = json.loads((tmp_path / "report" / "results.json").read_text())
    assert record["checks"]["unanswered_errors"] == 0
    assert record["checks"]["decisions"][0]["needed"] is True


def test_rows_are_left_out_and_cells_corrected_by_decision(run: Run, tmp_path: Path) -> None:
    """An excluded row stays in the table of studies with the reason; a corrected cell is told."""
    plan = PLAN.read_text().replace('action = "accept"', 'action = "exclude"')
    (tmp_path / "plan.toml").write_text(plan)
    assert run("pool", "trials.csv", "--plan", "plan.toml", "-q", "--outcome", "pain")[0] == 0
    studies = (tmp_path / "report" / "tables" / "studies.csv").read_text()
    left_out = [line for line in studies.splitlines() if "left out by decision of the maintainers" in line]
    assert len(left_out) == 2
    record = json.loads((tmp_path / "report" / "results.json").read_text())
    assert record["comparisons"][0]["overall"]["k"] == 7


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("[chekcs]\n", "chekcs is not known (did you mean 'checks'?)"),
        ("[checks]\ndecisions = []\n", "checks.decisions is not known (did you mean 'decision'?)"),
        ("[checks]\ndecision = 3\n", "[[checks.decision]]"),
        ("not toml", "is not TOML"),
    ],
)
def test_a_plan_that_cannot_be_read_is_told(run: Run, tmp_path: Path, plan: str, words: str) -> None:
    """Exit code 2, and what is wrong."""
    (tmp_path / "bad.toml").write_text(plan)
    code, _, err = run("check", "trials.csv", "--plan", "bad.toml")
    assert code == 2
    assert words in err


def test_a_decision_that_is_not_needed_is_told(run: Run, tmp_path: Path) -> None:
    """A finding that is gone leaves its decision behind, which a reader should know."""
    text = PLAN.read_text().replace("shared-control-df69c4", "se-as-sd-000000")
    (tmp_path / "old.toml").write_text(text)
    code, out, _ = run("check", "clean.csv", "--plan", "old.toml")
    assert code == 0
    assert "DECISION se-as-sd-000000 fits no finding" in " ".join(out.split())


def test_a_finding_that_no_rule_makes_is_a_slip(run: Run, tmp_path: Path) -> None:
    """A misspelt name is refused with the likely one, because its error would stay open without a word."""
    text = PLAN.read_text().replace("shared-control-df69c4", "shared-contrl-df69c4")
    (tmp_path / "slip.toml").write_text(text)
    code, _, err = run("pool", "trials.csv", "--plan", "slip.toml")
    assert code == 2
    assert "'shared-contrl-df69c4' names no rule (did you mean 'shared-control'?)" in err


def test_the_plan_stands_in_the_provenance(run: Run, tmp_path: Path) -> None:
    """Its name and SHA-256, and the same command gives the same bytes; line ends and a BOM of Windows do not matter."""
    (tmp_path / "plan.toml").write_bytes(b"\xef\xbb\xbf" + PLAN.read_bytes().replace(b"\n", b"\r\n"))
    assert run("pool", "trials.csv", "--plan", "plan.toml", "-q", "--outcome", "pain")[0] == 0
    files = {path: path.read_bytes() for path in (tmp_path / "report").rglob("*") if path.is_file()}
    digest = hashlib.sha256((tmp_path / "plan.toml").read_bytes()).hexdigest()
    record = json.loads((tmp_path / "report" / "results.json").read_text())
    assert record["provenance"]["plan"] == {"name": "plan.toml", "sha256": digest}
    assert f"Plan: plan.toml, SHA-256 {digest}" in (tmp_path / "report" / "report.html").read_text()
    assert run("pool", "trials.csv", "--plan", "plan.toml", "-q", "--outcome", "pain")[0] == 0
    assert files == {path: path.read_bytes() for path in (tmp_path / "report").rglob("*") if path.is_file()}


def test_one_row_of_a_pair_is_left_out(run: Run, tmp_path: Path) -> None:
    """A control that stands in two rows is counted once when one of them is named."""
    plan = PLAN.read_text().replace('action = "accept"', 'action = "exclude"\nrows = ["row 9"]')
    (tmp_path / "plan.toml").write_text(plan)
    code, out, _ = run("pool", "trials.csv", "--plan", "plan.toml", "--outcome", "pain", "--format", "json")
    assert code == 0
    assert json.loads(out)["comparisons"][0]["overall"]["k"] == 8
    code, out, _ = run("check", "trials.csv", "--plan", "plan.toml", "--format", "plan")
    assert tomllib.loads(out)["checks"]["decision"][0]["rows"] == ["row 9"]


def test_no_table_and_no_file(run: Run) -> None:
    """Usage faults are told."""
    assert run("check")[0] == 2
    code, _, err = run("check", "nothing.csv")
    assert code == 2
    assert "nothing.csv" in err


def test_a_regression_to_come_is_checked(run: Run) -> None:
    """--moderators tells how many trials its coefficients have."""
    code, out, _ = run("check", "clean.csv", "--moderators", "~ mean_2", "--strict", "--format", "brief")
    assert code == 1
    assert "3 studies for 1 coefficient of moderators; about 10 are needed" in " ".join(out.split())
