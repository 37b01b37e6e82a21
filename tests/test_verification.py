"""A report is verified by its hashes and by making it again: each grade is reached by a real change."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.cli import main
from metaback.cli.rerun import recipe
from metaback.errors import FileError
from metaback.report import provenance

TABLE = (
    "study,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"
    "A 2001,20,5.1,2.0,21,4.0,2.2\nB 2002,30,5.5,1.9,28,4.9,2.1\nC 2003,15,6.0,2.5,16,4.1,2.3\n"
)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pool a small table once, and return the folder that holds it and its report."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "table.csv").write_text(TABLE, encoding="utf-8")
    before = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.raises(SystemExit) as left:
            main(["pool", "table.csv", "--tau2", "PM", "--out", "report", "-q"])
    finally:
        os.chdir(before)
    assert not left.value.code
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of one's own with the table and its report, and work in it."""
    folder = tmp_path / "here"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def edit(path: Path, change: tuple[str, str], *, manifest: bool = False) -> None:
    """Change a text of a report, and its hash with it where the manifest is to be forged as well."""
    text = path.read_text(encoding="utf-8")
    assert change[0] in text
    path.write_text(text.replace(change[0], change[1], 1), encoding="utf-8", newline="")
    if manifest:
        listing = path.parent / "manifest.json"
        record = json.loads(listing.read_text(encoding="utf-8"))
        (entry,) = [one for one in record["files"] if one["name"] == path.name]
        entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        listing.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def pooled(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    mean: dict[str, Any] = record["comparisons"][0]["overall"]["mean"]
    return mean


def set_command(folder: Path, command: str | None) -> None:
    path = folder / "manifest.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["provenance"]["command"] = command
    path.write_text(json.dumps(record), encoding="utf-8")


# ---------------------------------------------------------------- the three grades


def test_the_same_machine_gives_the_same_bytes_and_nothing_is_written(here: Path) -> None:
    before = contents(here)
    stamps = {p: p.stat().st_mtime_ns for p in (here / "report").rglob("*")}
    found = mb.verify("report")
    assert (found.grade, found.ok, found.files, found.numbers, found.causes) == ("bytes same", True, (), (), ())
    assert contents(here) == before
    assert {p: p.stat().st_mtime_ns for p in (here / "report").rglob("*")} == stamps
    assert repr(found).splitlines()[0] == "report: bytes same"


def test_other_settings_of_matplotlib_change_bytes_and_no_number(here: Path) -> None:
    with mpl.rc_context({"text.hinting": "no_hinting", "text.antialiased": False}):
        found = mb.verify("report")
    assert (found.grade, found.ok, found.numbers, found.words) == ("numbers same", True, (), ())
    assert found.files
    assert all(name.startswith("figures/") and name.endswith(".png") for name in found.files)
    assert "settings of matplotlib" in found.causes[0]


def test_another_version_is_the_likely_cause_of_other_bytes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = provenance.version
    monkeypatch.setattr(provenance, "version", lambda name: "99.1" if name == "matplotlib" else real(name))
    found = mb.verify("report")
    assert (found.grade, found.ok) == ("numbers same", True)
    assert set(found.files) == {"report.html", "report.md", "results.json"}  # all tell the versions
    assert re.fullmatch(r"other versions: matplotlib [\d.]+ then, 99\.1 now", found.causes[0])


def test_an_edited_number_is_found_to_1e_8(here: Path) -> None:
    old = pooled(here / "report")["estimate"]
    edit(here / "report" / "results.json", (f'"estimate": {old!r}', f'"estimate": {old * (1 + 1e-6)!r}'))
    found = mb.verify("report")
    assert (found.grade, found.ok, found.changed) == ("numbers differ", False, ("results.json",))
    (number,) = found.numbers
    assert number.where.endswith("overall, mean, estimate")
    assert number.new == old
    assert number.relative == pytest.approx(1e-6, rel=1e-4)
    assert found.causes[0].startswith("results.json was changed after it was written")


@pytest.mark.parametrize(("factor", "grade"), [(1 + 1e-10, "numbers same"), (1 + 1e-7, "numbers differ")])
def test_the_border_between_numbers(here: Path, factor: float, grade: str) -> None:
    old = pooled(here / "report")["estimate"]
    change = (f'"estimate": {old!r}', f'"estimate": {old * factor!r}')
    edit(here / "report" / "results.json", change, manifest=True)
    assert mb.verify("report").grade == grade


def test_a_forged_manifest_does_not_hide_a_forged_number(here: Path) -> None:
    old = pooled(here / "report")["p_value"]
    edit(here / "report" / "results.json", (f'"p_value": {old!r}', '"p_value": 0.04'), manifest=True)
    found = mb.verify("report")
    assert found.changed == ()
    assert (found.grade, found.ok) == ("numbers differ", False)
    assert (found.numbers[0].old, found.numbers[0].new) == (0.04, old)
    assert "changed together" in found.causes[0]


def test_a_forged_page_is_told_in_words(here: Path) -> None:
    edit(here / "report" / "report.html", ("Meta-analysis of", "Final analysis of"), manifest=True)
    found = mb.verify("report")
    assert (found.grade, found.ok, found.changed, found.files) == ("numbers same", False, (), ("report.html",))
    assert all(word.file == "report.html" for word in found.words)
    assert "Final analysis" in str(found.words[-1].old)


def test_a_changed_cell_is_named_as_the_cause(here: Path) -> None:
    edit(here / "table.csv", ("5.5,1.9", "5.5,1.8"))
    found = mb.verify("report")
    assert (found.grade, found.ok, found.changed) == ("numbers differ", False, ())
    assert "not the one that the report was made from: SHA-256" in found.causes[0]
    assert found.causes[1:] == ("in the table: Pooled effect SMD, B 2002, inputs, sd 1: 1.9 became 1.8",)
    assert {number.file for number in found.numbers} >= {"results.json", "tables/pooled.csv", "tables/studies.csv"}


def test_a_table_with_other_bytes_and_the_same_numbers(here: Path) -> None:
    edit(here / "table.csv", ("5.5,1.9", "5.50,1.90"))
    found = mb.verify("report")
    assert (found.grade, found.ok) == ("numbers same", True)
    assert "not the one that the report was made from" in found.causes[0]


# ---------------------------------------------------------------- files


def test_files_that_are_changed_missing_and_added(here: Path) -> None:
    edit(here / "report" / "references.bib", ("@", "% mine\n@"))
    (here / "report" / "tables" / "routes.csv").unlink()
    (here / "report" / "notes.txt").write_text("mine")
    found = mb.verify("report")
    assert (found.changed, found.missing, found.extra) == (
        ("references.bib",),
        ("tables/routes.csv",),
        ("notes.txt",),
    )
    assert not found.ok
    text = repr(found)
    for line in ("Changed since it was written (1):", "Missing (1):", "Not of this report (1):", "  notes.txt"):
        assert line in text.splitlines()


def test_an_added_file_alone_does_no_harm(here: Path) -> None:
    (here / "report" / "notes.txt").write_text("mine")
    assert mb.verify("report").ok


def test_a_broken_record_is_a_difference(here: Path) -> None:
    (here / "report" / "results.json").write_text("{")
    assert mb.verify("report").grade == "numbers differ"


@pytest.mark.parametrize("name", ["../table.csv", "/etc/hosts", "a\\..\\b"])
def test_a_manifest_that_names_files_elsewhere_is_refused(here: Path, name: str) -> None:
    path = here / "report" / "manifest.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["files"].append({"name": name, "bytes": 1, "sha256": "0"})
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(FileError, match="cannot be the name"):
        mb.verify("report")


@pytest.mark.parametrize("entries", [[1], [None], ["report.html"]])
def test_a_broken_manifest_is_no_report(here: Path, entries: list[object]) -> None:
    path = here / "report" / "manifest.json"
    path.write_text(json.dumps({"schema": "metaback/bundle", "files": entries}), encoding="utf-8")
    with pytest.raises(FileError, match=r"has no manifest\.json of metaback"):
        mb.verify("report")


# ---------------------------------------------------------------- inputs and commands


def test_the_table_is_found_beside_the_report_from_anywhere(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert mb.verify(here / "report").grade == "bytes same"


def test_of_two_tables_the_one_with_the_recorded_hash_is_taken(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "work").mkdir()
    (here / "work" / "table.csv").write_text(TABLE.replace("1.9", "1.8"), encoding="utf-8")
    monkeypatch.chdir(here / "work")
    assert mb.verify(here / "report").grade == "bytes same"


def test_a_table_of_another_name_is_read_under_the_recorded_one(here: Path, tmp_path: Path) -> None:
    (here / "table.csv").rename(tmp_path / "moved.csv")
    found = mb.verify("report")
    assert (found.grade, found.ok) == ("not run again", False)
    assert "'table.csv' was not found" in found.reason
    assert "--table" in found.reason
    assert mb.verify("report", table=tmp_path / "moved.csv").grade == "bytes same"
    with pytest.raises(FileError, match="no such file"):
        mb.verify("report", table="nowhere.csv")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("rm -rf table.csv", "not `metaback pool`"),
        ("metaback verify report", "not `metaback pool`"),
        ("metaback pool 'table.csv", "cannot be read"),
        ("metaback pool table.csv --evil x", "No such option"),
        ("metaback pool --help", "not understood"),
        ("metaback pool --tau2 PM", "names no table"),
        ("metaback pool - --tau2 PM", "standard input"),
        ("metaback pool ../../nowhere/table2.csv", "was not found"),
    ],
)
def test_other_commands_are_refused(here: Path, command: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_command(here / "report", command)
    before = contents(here)
    found = mb.verify("report")
    assert (found.grade, found.ok) == ("not run again", False)
    assert told in found.reason
    assert contents(here) == before


def test_the_folder_of_the_command_is_not_written_to(here: Path) -> None:
    set_command(here / "report", "metaback pool table.csv --tau2 PM --force --out elsewhere")
    assert not mb.verify("report").numbers
    assert not (here / "elsewhere").exists()


# ---------------------------------------------------------------- reports made in Python

FRAME = pd.DataFrame(
    {
        "study": ["A 2001", "=B 2002", "C 2003", "'=D"],
        "n_1": [20, 30, 15, 40],
        "mean_1": [5.1, 5.5, 6.0, 1 / 3],
        "sd_1": [2.0, 1.9, 2.5, 2.1],
        "n_2": [21, 28, 16, 41],
        "mean_2": [4.0, 4.9, 4.1, 0.1],
        "sd_2": [2.2, 2.1, 2.3, 2.0],
        "dose": pd.Categorical(["low", "high", None, "low"], categories=["low", "high"], ordered=True),
        "seen": pd.to_datetime(["2020-01-01", None, "2020-03-01", "2021-01-01"]),
        "odd": [1, "a", None, 2.5],
        "blind": [True, False, True, True],
        "whole": pd.array([1, None, 3, 4], dtype="Int64"),
    },
    index=pd.Index([7, 5, 3, 1]),
)


def of_file(folder: Path) -> Any:
    return mb.pool(folder / "table.csv", tau2="PM")


def of_file_with_a_decision(folder: Path) -> Any:
    said = {"finding": "too-few-studies", "action": "accept", "reason": "three are enough", "by": "AB"}
    return mb.pool(folder / "table.csv", accept=[said])


def of_frame(_: Path) -> Any:
    return mb.pool(FRAME, by="dose", measure="MD", level=0.9, subgroup_tau2="separate")


def of_table(_: Path) -> Any:
    return mb.pool_table(mb.load_dataset("backpain").query("weeks >= 8"), outcome="pain", preset="revman5")


def of_item(folder: Path) -> Any:
    return of_table(folder)[0]


def of_update(folder: Path) -> Any:
    return of_frame(folder).update(tau2="DL", ci="Wald").update(pi="none")


def of_columns(_: Path) -> Any:
    table = pd.DataFrame({"trial": ["A", "B", "C"], "g": [0.1, 0.3, 1 / 3], "s": [0.14, 0.17, 0.22], "yi": [9, 9, 9]})
    return mb.pool(table, effect="g", se="s", study="trial")


def of_correlations(_: Path) -> Any:
    table = FRAME.rename(columns={f"{stem}_1": f"{stem}_change_1" for stem in ("mean", "sd")})
    table = table.rename(columns={f"{stem}_2": f"{stem}_change_2" for stem in ("mean", "sd")})
    facts = {"vas": {"higher_is_better": False, "low": 0, "high": 100}}
    return mb.pool_table(table, measure="MD", r=np.float64(0.5), r_grid=(0.3, 0.7), instruments=facts)


SLOW = [pytest.param(one, marks=pytest.mark.slow) for one in (of_file_with_a_decision, of_item, of_columns)]
MADE = (of_file, of_frame, of_table, of_update, of_correlations, *SLOW)


@pytest.mark.parametrize("made_by", MADE)
def test_a_report_made_in_python_is_made_again(here: Path, made_by: Callable[[Path], Any]) -> None:
    made_by(here).report("of_python")
    before = contents(here / "of_python")
    (here / "table.csv").unlink()  # what it keeps is enough
    found = mb.verify("of_python")
    assert (found.grade, found.ok, found.files, found.reason) == ("bytes same", True, (), "")
    assert contents(here / "of_python") == before


def test_other_settings_change_bytes_of_a_report_made_in_python_and_no_number(here: Path) -> None:
    of_frame(here).report("of_python", layout="bmj", formats=("xlsx",))
    with mpl.rc_context({"text.hinting": "no_hinting", "text.antialiased": False}):
        found = mb.verify("of_python")
    assert (found.grade, found.ok, found.numbers) == ("numbers same", True, ())
    assert found.files


def test_a_cell_that_was_changed_in_the_kept_table_is_named(here: Path) -> None:
    of_file(here).report("of_python")
    edit(here / "of_python" / "tables" / "input.csv", ("5.5,1.9", "5.5,1.8"))
    found = mb.verify("of_python")
    assert (found.grade, found.ok, found.changed) == ("numbers differ", False, ("tables/input.csv",))
    assert "in the table: Pooled effect SMD, B 2002, inputs, sd 1: 1.9 became 1.8" in found.causes


def test_a_forged_number_of_a_report_made_in_python_is_found(here: Path) -> None:
    of_frame(here).report("of_python")
    old = pooled(here / "of_python")["p_value"]
    edit(here / "of_python" / "results.json", (f'"p_value": {old!r}', '"p_value": 0.04'), manifest=True)
    found = mb.verify("of_python")
    assert (found.grade, found.changed, found.numbers[0].old) == ("numbers differ", (), 0.04)


def test_a_report_that_keeps_its_table_is_held_against_another(here: Path) -> None:
    of_file(here).report("of_python")
    assert mb.verify("of_python", table="table.csv").grade == "bytes same"
    edit(here / "table.csv", ("5.5,1.9", "5.5,1.8"))
    assert mb.verify("of_python").grade == "bytes same"
    found = mb.verify("of_python", table="table.csv")
    assert (found.grade, found.changed) == ("numbers differ", ())
    assert "not the one that the report was made from" in found.causes[0]
    of_table(here).report("of_part")
    whole = Path(__file__).parents[1] / "data" / "trials.csv"
    assert mb.verify("of_part", table=whole).grade == "bytes same"


def test_the_kept_table_has_every_digit_and_runs_no_formula(here: Path) -> None:
    of_frame(here).report("of_python")
    with (here / "of_python" / "tables" / "input.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mean_1"]) for row in rows] == FRAME["mean_1"].tolist()
    assert [row["study"][0] for row in rows] == ["A", "'", "C", "'"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('"verb": "pool"', '"verb": "eval"'), "cannot be followed"),
        (('"verb": "pool"', '"verb": "__class__"'), "cannot be followed"),
        (('"calls": [', '"calls": 3, "was": ['), "cannot be read"),
        (('"schema_version": 1', '"schema_version": 9'), "another version"),
        (('"tau2": "PM"', '"tau2": "XX"'), "tau2"),
        (('"tau2": "PM"', '"progress": true, "data": 1'), "cannot be followed"),
        (("{", "["), "cannot be read"),
    ],
)
def test_a_forged_recipe_is_refused(here: Path, change: tuple[str, str], told: str) -> None:
    of_file(here).report("of_python")
    edit(here / "of_python" / "recipe.json", change, manifest=True)
    found = mb.verify("of_python")
    assert (found.grade, found.ok) == ("not run again", False)
    assert told in found.reason


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("5.5,1.9", "5.5,-1.9"), "negative"),
        (("5.5,1.9", "5.5,x"), "cannot be read"),
        (("B 2002,", ""), "cannot be read"),
    ],
)
def test_a_kept_table_that_no_reader_takes_is_refused(here: Path, change: tuple[str, str], told: str) -> None:
    of_file(here).report("of_python")
    edit(here / "of_python" / "tables" / "input.csv", change)
    found = mb.verify("of_python")
    assert (found.grade, found.ok) == ("not run again", False)
    assert told in found.reason


def test_a_report_that_keeps_nothing_is_not_made_again(here: Path) -> None:
    mb.pool(here / "table.csv").report("of_python")
    for name in ("recipe.json", "tables/input.csv"):
        (here / "of_python" / name).unlink()
    found = mb.verify("of_python")
    assert (found.grade, found.ok) == ("not run again", False)
    assert "made in Python" in found.reason
    assert found.missing == ("recipe.json", "tables/input.csv")


def effects_of(here: Path) -> mb.EffectSizes:
    return mb.effect_sizes(mb.read_trials(here / "table.csv"))


def several(rows: int = 18) -> pd.DataFrame:
    """Return three effects in each study, with a moderator, a species and a hostile name."""
    rng = np.random.default_rng(5)
    study = np.repeat(np.arange(rows // 3), 3)
    names = ["=cmd()" if one == 1 else f"S{one}" for one in study]
    kind = [f"k{one % 4}" for one in range(rows)]
    y = 0.3 + rng.normal(size=rows // 3)[study] * 0.4 + rng.normal(size=rows) * 0.2
    return pd.DataFrame({"study": names, "kind": kind, "x": study % 3, "yi": y, "vi": rng.uniform(0.02, 0.06, rows)})


def of_effects(here: Path) -> Any:
    return mb.pool(effects_of(here), tau2="DL").update(ci="Wald")


def of_a_regression(here: Path) -> Any:
    return mb.regress(several(), "~ x", measure="GEN").update(tau2="ML")


def of_a_regression_of_effects(here: Path) -> Any:
    return mb.regress(mb.effect_sizes(several(), measure="GEN"), "~ x")


def of_a_frame_with_levels(here: Path) -> Any:
    return mb.multilevel(several(), "CHE", measure="GEN", rho=0.5)


def of_levels_from_the_table(here: Path) -> Any:
    return mb.multilevel(here / "table.csv", "~ 1 | study", V="table", rho=0.4)


def of_updated_levels(here: Path) -> Any:
    return mb.multilevel(several(), measure="GEN").update(formula="~ x", method="ML").robust("CR3")


def of_given_covariances(here: Path) -> Any:
    es = mb.effect_sizes(several(), measure="GEN")
    return mb.multilevel(es, V=mb.sampling_covariance(es, rho=0.5, grid=[0.3, 0.7]), robust="CR2")


def of_a_known_correlation(here: Path) -> Any:
    names = [f"k{i}" for i in range(4)]
    R = pd.DataFrame(0.6 * np.eye(4) + 0.4, index=names, columns=names)
    return mb.multilevel(several(), ["~ 1 | study", "~ 1 | kind"], R={"kind": R}, measure="GEN")


def of_moments(here: Path) -> Any:
    return mb.multilevel(several(), "CORR", measure="GEN", robust="CR1p", df="residual")


LEVELLED = (
    of_effects,
    of_a_regression,
    of_a_regression_of_effects,
    of_a_frame_with_levels,
    of_levels_from_the_table,
    of_updated_levels,
    of_given_covariances,
    of_a_known_correlation,
    of_moments,
)


@pytest.mark.parametrize("made_by", LEVELLED)
def test_a_report_of_effects_and_models_made_in_python_is_made_again(
    here: Path, made_by: Callable[[Path], Any]
) -> None:
    made_by(here).report("of_python")
    (here / "table.csv").unlink()
    found = mb.verify("of_python")
    assert (found.grade, found.ok, found.files, found.reason) == ("bytes same", True, (), "")


def test_kept_effects_that_were_changed_are_found_and_have_no_table(here: Path) -> None:
    of_given_covariances(here).report("of_python")
    kept = here / "of_python" / "inputs.json"
    effect = json.loads(kept.read_text(encoding="utf-8"))["effects"]["parts"]["yi"]["cells"][0]
    assert "leave --table out" in mb.verify("of_python", table="table.csv").reason
    edit(kept, (repr(effect), repr(effect + 0.5)))
    found = mb.verify("of_python")
    assert (found.grade, found.changed) == ("numbers differ", ("inputs.json",))
    forged = kept.read_text(encoding="utf-8").replace('"record": "EffectSizes"', '"record": "Path"', 1)
    kept.write_text(forged, encoding="utf-8", newline="")
    assert "cannot be read" in mb.verify("of_python").reason


def test_a_table_that_is_refused_now_is_told(here: Path) -> None:
    edit(here / "table.csv", ("5.5,1.9", "5.5,-1.9"))
    found = mb.verify("report")
    assert found.grade == "not run again"
    assert "negative" in found.reason


def test_the_date_of_the_source_comes_back(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    with pytest.raises(SystemExit):
        main(["pool", "table.csv", "--out", "dated", "-q"])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    assert mb.verify("dated").grade == "bytes same"
    assert mb.verify("report").grade == "bytes same"
    assert os.environ["SOURCE_DATE_EPOCH"] == "1600000000"


def test_a_recipe_names_all_its_inputs() -> None:
    found = recipe("metaback pool 'data/my table.csv' --plan plan.toml --instruments facts.json --out a/b")
    assert found.inputs == {"table": "data/my table.csv", "plan": "plan.toml", "instruments": "facts.json"}
    assert found.depth == 2


def test_the_record_of_a_verification_is_json(here: Path) -> None:
    edit(here / "table.csv", ("5.5,1.9", "5.5,1.8"))
    record = json.loads(json.dumps(mb.verify("report").to_dict(), allow_nan=False))
    assert (record["schema"], record["ok"], record["grade"]) == ("metaback/verification", False, "numbers differ")
    assert {"file", "where", "old", "new", "relative_difference"} == set(record["numbers"][0])
