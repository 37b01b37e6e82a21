"""`metaback multilevel`, and `metaback pool` with a plan of one model: numbers, plans, exit codes, the same bytes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.cli import main

PLAN = """
[question]
title = "Exercise and pain"
[data]
file = "table.csv"
[effect]
measure = "GEN"
[model]
random = "~ 1 | study/effect"
rho = 0.5
robust = "CR2"
[[sensitivity]]
name = "higher correlation"
rho = 0.8
[[sensitivity]]
name = "without the small ones"
exclude = "weeks > 4"
prespecified = false
"""


def table() -> pd.DataFrame:
    """Return two outcomes of eight studies, three effects each, and the name of a study that a page must escape."""
    rng = np.random.default_rng(3)
    study = np.repeat(np.arange(8), 3)
    names = ["<b>S1</b>" if one == 1 else f"S{one}" for one in study]
    y = 0.4 + rng.normal(size=8)[study] * 0.3 + rng.normal(size=study.size) * 0.2
    kinds = np.where(np.arange(study.size) % 3 == 2, "function", "pain")
    return pd.DataFrame(
        {"study": names, "outcome": kinds, "weeks": 4.0 * (study % 3), "yi": y, "vi": rng.uniform(0.02, 0.06, 24)}
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the table and a plan."""
    table().to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0)


def record(folder: str = "report") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(folder, "results.json").read_text(encoding="utf-8"))
    return found


WORDS = ("--random", "~ 1 | study/effect", "--rho", "0.5", "--robust", "CR2", "--measure", "GEN")


def test_the_command_makes_the_numbers_of_python(here: Path) -> None:
    assert run("multilevel", "table.csv", *WORDS, "--formula", "~ weeks", "--level", "0.9", "-q") == 0
    fit = mb.multilevel(here / "table.csv", formula="~ weeks", rho=0.5, robust="CR2", level=0.9, measure="GEN")
    told = {part["term"]: part for part in record()["coefficients"]}
    for name, part in fit.coefficients.items():
        assert told[name]["estimate"] == pytest.approx(part.point, rel=1e-11)
        assert told[name]["ci_low"] == pytest.approx(part.lower, rel=1e-11)
    assert record()["spec"] == json.loads(fit.spec.model_dump_json())


@pytest.mark.parametrize(
    ("words", "keywords"),
    [
        (["--random", "CHE"], {"random": "CHE"}),
        (["--random", "SCE(outcome)"], {"random": "SCE(outcome)"}),
        (["--outcome", "pain", "--random", "HE"], {"outcome": "pain", "random": "HE"}),
        (
            ["--random", "~ outcome | study", "--struct", "HCS", "--formula", "~ outcome - 1", "--method", "ML"],
            {"random": "~ outcome | study", "struct": "HCS", "formula": "~ outcome - 1", "method": "ML"},
        ),
        (
            ["--random", "~ 1 | study", "--random", "~ 1 | outcome", "--fix", "sigma2 study=0.1", "--test", "z"],
            {"random": ["~ 1 | study", "~ 1 | outcome"], "fixed": {"sigma2 study": 0.1}, "test": "z"},
        ),
        (["--covariance", "table", "--rho", "0.4"], {"V": "table", "rho": 0.4}),
        (["--random", "CORR", "--robust", "CR1p", "--df", "residual"], {"random": "CORR", "robust": "CR1p",
                                                                       "df": "residual"}),
    ],
)  # fmt: skip
def test_every_choice_reaches_the_model(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], keywords: dict[str, Any]
) -> None:
    expected = mb.multilevel(here / "table.csv", measure="GEN", **keywords)
    assert run("multilevel", "table.csv", "--measure", "GEN", *words, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(json.dumps(expected.to_dict()))


def test_the_terminal_has_the_card_and_the_place_of_the_report(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("multilevel", "table.csv", *WORDS) == 0
    said = capsys.readouterr().out
    assert "as if independent" in said
    assert "Report: report/report.html (" in said
    assert "Next:" not in said
    page = (here / "report" / "report.html").read_text(encoding="utf-8")
    assert "<b>S1" not in page
    assert ".sweep(" not in page


def test_a_plan_pools_by_one_model_under_both_commands(here: Path) -> None:
    assert run("pool", "--plan", "plan.toml", "-q", "--out", "one") == 0
    assert run("multilevel", "--plan", "plan.toml", "-q", "--out", "two") == 0
    one, two = record("one"), record("two")
    assert one["coefficients"] == two["coefficients"]
    planned = {part["name"]: part for part in one["sensitivity"]["planned"]}
    assert [part["prespecified"] for part in planned.values()] == [True, False]
    other = mb.multilevel(here / "table.csv", rho=0.8, robust="CR2", measure="GEN").estimate
    assert planned["higher correlation"]["coefficients"]["Intercept"]["se"] == pytest.approx(other.se, rel=1e-11)
    rest = mb.multilevel(table().query("weeks <= 4"), rho=0.5, robust="CR2", measure="GEN").estimate
    told = planned["without the small ones"]["coefficients"]["Intercept"]
    assert told["estimate"] == pytest.approx(rest.point, rel=1e-9)
    page = (here / "one" / "report.md").read_text(encoding="utf-8")
    assert page.startswith("# Exercise and pain")
    assert "without deviations; 1 analysis was added afterwards and is marked post hoc" in page
    assert [mb.verify(name).grade for name in ("one", "two")] == ["bytes same", "bytes same"]
    again = tomllib.loads((here / "one" / "plan.resolved.toml").read_text(encoding="utf-8"))
    assert again["model"]["random"] == ["~ 1 | study/effect"]


def test_the_resolved_plan_makes_the_same_model(here: Path) -> None:
    words = ("--covariance", "table", "--outcome", "pain", "--formula", "~ weeks")
    assert run("multilevel", "--plan", "plan.toml", *words, "-q", "--out", "one") == 0
    (here / "again.toml").write_bytes((here / "one" / "plan.resolved.toml").read_bytes())
    assert run("pool", "--plan", "again.toml", "-q", "--out", "two") == 0
    assert record("one")["coefficients"] == record("two")["coefficients"]
    assert record("one")["components"] == record("two")["components"]


def test_a_choice_of_the_run_is_a_deviation(here: Path) -> None:
    assert run("multilevel", "--plan", "plan.toml", "--rho", "0.7", "--method", "ML", "-q") == 0
    page = (here / "report" / "report.md").read_text(encoding="utf-8")
    assert "At this run: rho is 0.7; the plan has 0.5." in page
    assert "At this run: method is ML; the plan has REML." in page
    assert record()["spec"]["rho"] == 0.7


def test_a_dry_run_shows_the_plan_and_no_number(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pool", "--plan", "plan.toml", "--dry-run") == 0
    said = capsys.readouterr().out
    assert 'random = ["~ 1 | study/effect"]' in said
    assert "Sampling errors within a study are assumed to correlate by 0.50" in said
    assert "SHA-256" in said
    mean = mb.multilevel(here / "table.csv", rho=0.5, robust="CR2", measure="GEN").estimate.point
    assert f"{mean:.4f}" not in said
    assert "95% CI" not in said
    assert not (here / "report").exists()


def test_options_of_pools_and_contradictions_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pool", "--plan", "plan.toml", "--tau2", "DL", "--ci", "Wald") == 2
    assert "--tau2, --ci: the plan asks for one model" in capsys.readouterr().err
    wrong = PLAN.replace('robust = "CR2"', 'tau2 = "DL"\nci = "HKSJ"\nrobust = "CR9"')
    (here / "plan.toml").write_text(wrong, encoding="utf-8")
    assert run("pool", "--plan", "plan.toml") == 2
    assert "model.robust = 'CR9' is not known" in capsys.readouterr().err
    (here / "plan.toml").write_text(wrong.replace("CR9", "CR3"), encoding="utf-8")
    assert run("pool", "--plan", "plan.toml") == 2
    said = capsys.readouterr().err
    assert "2 problems" in said
    assert "model.tau2 = 'DL' belongs to pools" in said
    assert "model.ci = 'HKSJ' belongs to pools" in said


def test_open_errors_stop_the_model_unless_accepted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["study,n_1,mean_1,sd_1,n_2,mean_2,sd_2"]
    rows += [f"S{i // 2},{20 + i},{5 + i / 10},2.{i},21,4.0,2.{i}" for i in range(10)]
    rows += [rows[1].replace("S0", "S9"), rows[1].replace("S0", "S8")]
    rows[4] = "S1,30,5.5,0.02,28,4.9,0.02"
    (here / "bad.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert run("multilevel", "bad.csv", "--out", "no") == 3
    said = capsys.readouterr().err
    assert "--accept-findings" in said
    assert not (here / "no").exists()
    assert run("multilevel", "bad.csv", "--out", "yes", "--accept-findings", "-q") == 0
    assert "was asked for in spite of" in (here / "yes" / "report.md").read_text(encoding="utf-8")


def test_a_moved_component_is_told_by_diff(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("multilevel", "table.csv", *WORDS, "-q", "--out", "old") == 0
    table().iloc[:-1].to_csv(here / "table.csv", index=False)
    assert run("multilevel", "table.csv", *WORDS, "-q", "--out", "new") == 0
    assert run("diff", "old", "new") == 1
    said = capsys.readouterr().out
    assert "left: S7 (row 25)" in said
    assert "\u03c3\u00b2 study (component)" in said
    assert run("diff", "old", "old") == 0


def test_the_script_of_the_folder_makes_the_numbers_again(here: Path) -> None:
    assert run("multilevel", "table.csv", *WORDS, "--outcome", "pain", "-q") == 0
    command = [sys.executable, str(here / "report" / "reproduce.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, check=True)
    assert "Every coefficient and component is the same." in done.stdout
    page = here / "report" / "tables" / "coefficients.csv"
    head, row = page.read_text(encoding="utf-8").splitlines()[:2]
    cells = row.split(",")
    cells[1] = "0.123"
    page.write_text(f"{head}\n{','.join(cells)}\n", encoding="utf-8")
    assert subprocess.run(command, capture_output=True, cwd=here, check=False).returncode == 1


def test_the_same_bytes_under_another_seed_zone_folder_and_number_of_threads(here: Path) -> None:
    made: list[dict[str, bytes]] = []
    settings = (
        {"TZ": "UTC", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
        {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4242", "OMP_NUM_THREADS": "2", "LC_ALL": "C"},
    )
    for name, own in zip(("a", "b \u00c4"), settings, strict=True):
        folder = here / name
        folder.mkdir()
        for file in ("table.csv", "plan.toml"):
            (folder / file).write_bytes((here / file).read_bytes())
        kept = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
        words = [sys.executable, "-m", "metaback", "pool", "--plan", "plan.toml", "-q"]
        subprocess.run(words, check=True, cwd=folder, env={**kept, **own})
        root = folder / "report"
        made.append({p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()})
    assert made[0] == made[1]
    assert "tables/sensitivity.csv" in made[0]


# ---------------------------------------------------------------- ratings, and the workbook

RATED = """
[[grade]]
certainty = "low"
mid = 0.3
mid_source = "the maintainers"
[grade.reasons]
imprecision = "few people"
[[grade]]
outcome = "sleep"
certainty = "high"
"""


def test_ratings_of_the_plan_stand_on_the_page(here: Path) -> None:
    """They were accepted, and shown nowhere."""
    (here / "plan.toml").write_text(PLAN + RATED, encoding="utf-8")
    assert run("multilevel", "table.csv", "--plan", "plan.toml", "-q") == 0
    page = Path("report/report.md").read_text(encoding="utf-8")
    for words in (
        "; low-certainty evidence (GRADE, rated by the authors).",
        "Summary of findings",
        "a. Imprecision: few people",
        "beyond the smallest difference that matters (above 0.3)",
        "of sleep is used for none of",
    ):
        assert words in page
    mean = record()["coefficients"][0]["estimate"]
    spread = sum(part["estimate"] for part in record()["components"])
    share = 100 * NormalDist().cdf((mean - 0.3) / math.sqrt(spread))
    assert f"lies beyond the smallest difference that matters (above 0.3) | {share:.0f}%" in page


def test_ratings_of_a_model_with_moderators_are_told_as_not_used(here: Path) -> None:
    plan = PLAN.replace("robust =", 'formula = "~ weeks"\nrobust =') + RATED
    (here / "plan.toml").write_text(plan, encoding="utf-8")
    assert run("multilevel", "table.csv", "--plan", "plan.toml", "-q") == 0
    page = Path("report/report.md").read_text(encoding="utf-8")
    assert "this model has moderators: its ratings are not used" in page
    assert "Summary of findings" not in page


def test_the_workbook_has_the_numbers_of_the_model(here: Path) -> None:
    pytest.importorskip("xlsxwriter")
    assert run("multilevel", "table.csv", "--plan", "plan.toml", "-q", "--also", "xlsx") == 0
    book = pd.read_excel(here / "report" / "results.xlsx", sheet_name=None, engine="calamine")
    found = record()
    assert list(book)[:6] == ["coefficients", "naive", "components", "heterogeneity", "rows", "sensitivity"]
    assert book["coefficients"]["estimate"].tolist() == [part["estimate"] for part in found["coefficients"]]
    assert book["components"]["ci_high"].tolist() == [part["ci"][1] for part in found["components"]]
    assert book["rows"]["yi"].tolist() == [row["yi"] for row in found["studies"]]
    planned = book["sensitivity"][book["sensitivity"]["kind"] == "planned"]
    assert planned["name"].tolist() == ["higher correlation", "without the small ones"]
    expected = [one["coefficients"]["Intercept"]["se"] for one in found["sensitivity"]["planned"]]
    assert planned["se"].tolist() == expected
