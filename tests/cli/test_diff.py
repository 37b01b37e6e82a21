"""`metaback diff`: what moved between two reports of a living review."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import metaback as mb
from metaback.cli import main
from metaback.errors import FileError

TABLE = Path(__file__).parents[2] / "data" / "trials.csv"
HEAD = "study,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"
ROWS = {
    "A": "A 2001,20,5.1,2.0,21,4.0,2.2\n",
    "B": "B 2002,30,5.5,1.9,28,4.9,2.1\n",
    "C": "C 2003,15,6.0,2.5,16,4.1,2.3\n",
    "D": "D 2024,300,4.0,2.0,301,4.9,2.1\n",
}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return call


def pooled(run: Run, folder: str, text: str, *words: str) -> Path:
    Path("table.csv").write_text(text, encoding="utf-8")
    code, _, err = run("pool", "table.csv", "-q", "--out", folder, *words)
    assert code == 0, err
    return Path(folder)


def test_a_study_that_enters_turns_the_conclusion(run: Run) -> None:
    old = pooled(run, "old", HEAD + ROWS["A"] + ROWS["B"] + ROWS["C"], "--ci", "Wald")
    new = pooled(run, "new", HEAD + ROWS["D"] + ROWS["A"] + ROWS["B"] + ROWS["C"], "--ci", "Wald")
    found = mb.diff(old, new)
    assert not found.same
    assert [(move.kind, move.study, move.row, move.cells) for move in found.studies] == [
        ("entered", "D 2024", "row 2", ())
    ]
    (pool,) = found.turned
    records = [json.loads((folder / "results.json").read_text(encoding="utf-8")) for folder in (old, new)]
    means = [record["comparisons"][0]["overall"]["mean"] for record in records]
    assert means[0]["ci_low"] > 0 > means[1]["ci_low"]
    assert pool.old is not None
    assert pool.new is not None
    assert [pool.old["estimate"], pool.new["estimate"]] == [mean["estimate"] for mean in means]
    assert [pool.old["k"], pool.new["k"]] == [3, 4]
    assert pool.says == ("the interval lies above no effect", "the interval holds no effect")
    code, out, err = run("diff", "old", "new")
    assert (code, err) == (1, "")
    for words in (
        "Rows: 1 entered, 0 left, 0 changed. Pools: 1 moved, 0 did not. Conclusions that turned: 1.",
        "Pooled effect: the interval lies above no effect; now the interval holds no effect",
        "entered: D 2024 (row 2), Pooled effect",
        "k 3 to 4",
        "\u03c4\u00b2",
        "prediction [",
        "input, rows: 3 became 4",
    ):
        assert words in out


def test_a_changed_cell_is_named_with_both_values(run: Run) -> None:
    old = pooled(run, "old", HEAD + ROWS["A"] + ROWS["B"] + ROWS["C"])
    new = pooled(run, "new", HEAD + ROWS["A"] + ROWS["B"].replace("1.9", "1.8") + ROWS["C"])
    (move,) = mb.diff(old, new).studies
    assert (move.kind, move.study) == ("changed", "B 2002")
    assert {cell.where for cell in move.cells} == {"inputs, sd 1", "yi", "vi"}
    (sd,) = [cell for cell in move.cells if cell.where == "inputs, sd 1"]
    assert (sd.old, sd.new) == (1.9, 1.8)


def test_the_order_of_rows_is_no_difference(run: Run) -> None:
    old = pooled(run, "old", HEAD + ROWS["A"] + ROWS["B"] + ROWS["C"])
    new = pooled(run, "new", HEAD + ROWS["C"] + ROWS["B"] + ROWS["A"])
    assert mb.diff(old, new).same
    code, out, _ = run("diff", "old", "new")
    assert code == 0
    assert "Every study, decision and number is the same." in out


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_the_order_of_rows_is_no_difference_to_the_check(run: Run, seed: int) -> None:
    """Findings about several studies, pools and outcomes keep their names and words where rows change places."""
    table = pd.read_csv(TABLE, dtype=str, keep_default_na=False)
    twin = table[table["study"] == "Dougherty 2014a"].assign(study="Dougherty 2014b")
    table = pd.concat([table, twin])  # the same numbers under two names: findings about more than one study
    words = ("--accept-findings", "--model", "fixed")
    old = pooled(run, "old", table.to_csv(index=False), *words)
    new = pooled(run, "new", table.sample(frac=1, random_state=seed).to_csv(index=False), *words)
    found = mb.diff(old, new)
    assert found.same
    assert found.findings == ()
    record = json.loads((new / "results.json").read_text(encoding="utf-8"))
    rules = {one["rule"] for one in record["checks"]["findings"]}
    assert {"arms-swapped", "same-numbers", "heterogeneity-ignored"} <= rules


def test_rows_of_one_study_are_matched_by_their_numbers(run: Run) -> None:
    twice = ROWS["B"].replace("5.5", "5.6").replace("30,", "31,")
    old = pooled(run, "old", HEAD + ROWS["A"] + ROWS["B"] + twice + ROWS["C"], "--accept-findings")
    new = pooled(run, "new", HEAD + ROWS["A"] + twice + ROWS["C"])
    assert [(move.kind, move.study, move.row) for move in mb.diff(old, new).studies] == [("left", "B 2002", "row 3")]


def test_other_methods_move_answers_and_no_study(run: Run) -> None:
    text = HEAD + ROWS["A"] + ROWS["B"] + ROWS["C"]
    found = mb.diff(pooled(run, "old", text), pooled(run, "new", text, "--preset", "revman5"))
    assert found.studies == ()
    assert not found.same
    assert {choice.where for choice in found.choices} >= {"options, preset", "options, tau2", "options, ci"}


def test_decisions_that_change_are_told(run: Run, tmp_path: Path) -> None:
    data = Path(__file__).parents[2] / "data"
    plan = (data / "plan.toml").read_text(encoding="utf-8")
    (tmp_path / "plan.toml").write_text(plan, encoding="utf-8")
    (tmp_path / "other.toml").write_text(plan.replace('"accept"', '"exclude"'), encoding="utf-8")
    text = (data / "trials.csv").read_text(encoding="utf-8")
    narrow = ("--outcome", "pain", "--compare", "posterior_chain:general_exercise", "--plan")
    old = pooled(run, "old", text, *narrow, "plan.toml")
    new = pooled(run, "new", text, *narrow, "other.toml")
    found = mb.diff(old, new)
    (decision,) = found.decisions
    assert decision[0] == "changed"
    assert "shared-control-df69c4: accept" in decision[1]
    assert "became shared-control-df69c4: exclude" in decision[1]
    assert {(move.kind, move.study) for move in found.studies} == {("changed", "Jackson 2011")}
    assert {pool.pool for pool in found.moved} >= {"overall"}


def test_a_comparison_that_is_new_enters(run: Run) -> None:
    def table(outcomes: str) -> str:
        rows = [f"{outcome},{ROWS[name]}" for outcome in outcomes for name in "ABC"]
        return f"outcome,{HEAD}" + "".join(rows)

    found = mb.diff(pooled(run, "old", table("x")), pooled(run, "new", table("xy")))
    (entered,) = [pool for pool in found.pools if pool.old is None]
    assert entered.comparison == "Y"
    assert not entered.turned
    assert {(move.kind, move.comparison) for move in found.studies} == {("entered", "Y")}
    assert "Y (SMD): entered: 0." in run("diff", "old", "new")[1]


@pytest.mark.parametrize("output", ["json", "md"])
def test_formats_say_the_same(run: Run, output: str) -> None:
    old = pooled(run, "old", HEAD + ROWS["A"] + ROWS["B"] + ROWS["C"])
    hostile = ROWS["D"].replace("D 2024", "<script>alert(1)</script> [x](y)")
    new = pooled(run, "new", HEAD + ROWS["A"] + ROWS["B"] + ROWS["C"] + hostile)
    code, out, _ = run("diff", str(old), str(new), "--format", output)
    assert code == 1
    if output == "md":
        assert "## Studies" in out
        assert "<script>" not in out
        assert "[x](y)" not in out
        return
    record = json.loads(out)
    assert (record["schema"], record["same"]) == ("metaback/difference", False)
    assert record["studies"][0]["kind"] == "entered"
    assert record["pools"][0]["moved"]
    assert {"estimate", "ci_low", "ci_high", "p_value", "tau2", "i2", "pi_low", "pi_high", "k"} == set(
        record["pools"][0]["old"]
    )


def test_what_is_no_report_is_refused(run: Run, tmp_path: Path) -> None:
    old = pooled(run, "old", HEAD + ROWS["A"] + ROWS["B"])
    code, out, err = run("diff", "old", "nowhere")
    assert (code, out) == (2, "")
    assert "'nowhere' is no report of metaback" in err
    (old / "results.json").write_text("[]")
    with pytest.raises(FileError, match="no record of results"):
        mb.diff(old, old)
