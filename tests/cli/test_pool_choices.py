"""What the command is told of effects: conventions, assumed correlations, instruments, direction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.shell_completion import ShellComplete

import metaback as mb
from metaback.cli import main
from metaback.cli.main import group

MEANS = "study,instrument,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"
TABLE = MEANS + "A,VAS,20,51,20,21,60,22\nB,NRS,30,5.5,1.9,28,6.9,2.1\nC,VAS,15,60,25,16,71,23\n"
PAIRED = "study,n,mean_1,sd_1,mean_2,sd_2,r\nA,20,5.1,2,4,2.2,\nB,30,5.5,1.9,4.9,2.1,0.6\nC,15,6,2.5,4.1,2.3,\n"
FACTS = {"VAS": {"low": 0, "high": 100, "higher_is_better": False}, "NRS": {"low": 0, "high": 10}}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in a folder with two tables; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("means.csv", TABLE), ("paired.csv", PAIRED), ("facts.json", json.dumps(FACTS))):
        (tmp_path / name).write_text(text, encoding="utf-8")

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["pool", *words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return call


def results(run: Run, *words: str) -> dict[str, object]:
    """Return the only comparison as JSON."""
    code, out, err = run(*words, "--format", "json")
    assert (code, err) == (0, "")
    return json.loads(out)["comparisons"][0]


def test_an_assumed_correlation_and_its_grid(run: Run, tmp_path: Path) -> None:
    found = results(run, "paired.csv", "--measure", "SMCC", "--r", "0.5", "--r-grid", "0.3,0.7")
    call = mb.pool(tmp_path / "paired.csv", measure="SMCC", r=0.5, r_grid=(0.3, 0.7))
    assert found["assumed_r"] == call.to_dict()["assumed_r"]
    assert [row["r"] for row in found["assumed_r"]["grid"]] == [0.3, 0.5, 0.7]  # type: ignore[index]
    code, _, err = run("paired.csv", "--measure", "SMCC", "--r-grid", "0.3;0.7")
    assert code == 2
    assert "0.3,0.5,0.7" in err


def test_a_convention_by_name(run: Run) -> None:
    found = results(run, "means.csv", "--measure", "SMD", "--option", "vtype=LS")
    assert found["measure_options"]["vtype"] == "LS"  # type: ignore[index]
    code, _, err = run("means.csv", "--option", "vtype")
    assert (code, "vtype=LS" in err) == (2, True)
    code, _, err = run("means.csv", "--measure", "SMD", "--option", "vtype=XX")
    assert code != 0
    assert "vtype='XX' is not known" in err


def test_instruments_come_from_a_file(run: Run, tmp_path: Path) -> None:
    found = results(run, "means.csv", "--measure", "POMP", "--instruments", "facts.json")
    call = mb.pool(tmp_path / "means.csv", measure="POMP", instruments=FACTS)
    assert found["overall"] == call.to_dict()["overall"]
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    code, _, err = run("means.csv", "--instruments", "bad.json")
    assert code != 0
    assert "is not JSON" in err
    assert run("means.csv", "--instruments", "none.json")[0] != 0


def test_the_direction_and_the_reason_for_mixing(run: Run, tmp_path: Path) -> None:
    frame = pd.read_csv(tmp_path / "means.csv").assign(higher_is_better=[True, False, False])
    frame.assign(score_type=["change", "", ""]).to_csv(tmp_path / "both.csv", index=False)
    code, _, err = run("both.csv", "--measure", "SMD")
    assert code != 0
    assert "mixed_scores=" in err
    found = results(run, "both.csv", "--measure", "SMD", "--mixed-scores", "r is 0.5", "--higher-is-better")
    assert found["higher_is_better"] is True
    assert any("r is 0.5" in note for note in found["notes"])  # type: ignore[attr-defined]
    corrections = [study["correction"] for study in found["studies"]]  # type: ignore[index,attr-defined]
    assert corrections == [None, "turned, so that higher is better", "turned, so that higher is better"]


def test_subgroups_with_one_tau2(run: Run, tmp_path: Path) -> None:
    rows = ["A,0.1,0.02,x", "B,0.4,0.05,x", "C,0.9,0.03,y", "D,0.3,0.06,y"]
    (tmp_path / "groups.csv").write_text("\n".join(["study,yi,vi,site", *rows]) + "\n", encoding="utf-8")
    found = results(run, "groups.csv", "--measure", "GEN", "--by", "site", "--subgroup-tau2", "common")
    call = mb.pool(tmp_path / "groups.csv", measure="GEN", by="site", subgroup_tau2="common").to_dict()
    assert found["subgroups"] == call["subgroups"]
    assert found["subgroups"]["tau2"] == "common"  # type: ignore[index]
    code, _, err = run("groups.csv", "--subgroup-tau2", "shared")
    assert (code, "'separate', 'common'" in err) == (2, True)


def test_a_measure_in_any_case_and_one_that_is_none(run: Run) -> None:
    assert results(run, "means.csv", "--measure", "smd")["measure"] == "SMD"
    code, _, err = run("means.csv", "--measure", "SMDX")
    assert (code, "'SMDX' is not one of" in err, "smdh" in err.lower()) == (2, True, True)


@pytest.mark.parametrize(("option", "begun", "offered"), [("--measure", "SMDH", {"SMDH"}), ("--ci", "K", {"KR"})])
def test_a_shell_completes_the_words(option: str, begun: str, offered: set[str]) -> None:
    completion = ShellComplete(group, {}, "metaback", "_METABACK_COMPLETE")
    assert {item.value.upper() for item in completion.get_completions(["pool", option], begun)} == offered


def test_the_list_of_measures_says_where_any_number_will_do() -> None:
    from metaback.cli.measures_run import measure_rows

    listed = {row[0]: row[4] for row in measure_rows()}
    assert "add: 0.5, any number >= 0" in listed["OR"]
    assert "any number" not in listed["SMD"]
