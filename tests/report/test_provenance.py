"""Provenance tells what was done with what, and nothing about who, where and when."""

from __future__ import annotations

import getpass
import json
import shlex
import socket
from pathlib import Path

import pytest

from metaback.errors import OptionError
from metaback.report.document import Code, Heading, Listing
from metaback.report.provenance import InputFile, command_line, file_name, provenance, provenance_blocks, versions

SHA256 = "5be08c9684a1d25efcee09318204824278b08bbfb4aef973ffefd0b9d7478313"
SOURCE = InputFile("trials.csv", SHA256, rows=41, columns={"study": "study", "n_1": "N exp"})


def test_what_stands_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    record = provenance(SOURCE, command=["metaback", "pool"], options={"tau2": "REML"})
    assert record["input"] == {
        "name": "trials.csv",
        "sha256": SHA256,
        "rows": 41,
        "columns": {"study": "study", "n_1": "N exp"},
        "reading": [],
    }
    assert record["command"] == "metaback pool"
    assert record["options"] == {"tau2": "REML"}
    assert record["date"] is None
    assert list(record["versions"]) == ["python", "metaback", "numpy", "scipy", "pandas", "matplotlib"]
    assert json.loads(json.dumps(record)) == record


def test_nothing_personal() -> None:
    words = [
        "metaback",
        "pool",
        "/home/someone/data/trials.csv",
        "--out=/home/someone/report",
        "C:\\Users\\me\\x.csv",
        "~/y.csv",
    ]
    text = json.dumps(provenance(SOURCE, command=words))
    for secret in ("someone", "/home", "Users", "~", str(Path.cwd()), str(Path.home()), socket.gethostname()):
        assert secret not in text
    assert f'"{getpass.getuser()}"' not in text
    assert provenance(None, command=words)["command"] == "metaback pool trials.csv --out=report x.csv y.csv"


def test_commands_are_quoted() -> None:
    assert command_line(["a", "b c", "it's", "", "x=1", "$HOME"]) == "a 'b c' 'it'\"'\"'s' '' x=1 '$HOME'"
    assert command_line(["data/trials.csv"]) == "data/trials.csv"


@pytest.mark.parametrize("formula", ["~ 1 | district/school", "~1|a/b", "~a/b", "~ weeks"])
@pytest.mark.parametrize("option", ["--random", "--formula", "--moderators"])
def test_a_formula_is_not_taken_for_a_path_of_a_home_folder(option: str, formula: str) -> None:
    assert shlex.split(command_line(["metaback", option, formula, f"{option}={formula}", "~/t.csv"])) == [
        "metaback", option, formula, f"{option}={formula}", "t.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/b.csv", "b.csv"), ("C:\\a\\b.csv", "b.csv"), ("b.csv", "b.csv"), ("/", "table"), ("", "table")],
)
def test_file_names(path: str, name: str) -> None:
    assert file_name(path) == name


def test_the_date_is_that_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86399")
    assert provenance(None)["date"] == "1970-01-01"
    for bad in ("tomorrow", "1e99", "9" * 40):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", bad)
        with pytest.raises(OptionError, match="SOURCE_DATE_EPOCH"):
            provenance(None)


def test_versions_are_those_installed() -> None:
    import numpy as np

    assert versions()["numpy"] == np.__version__


def test_the_section() -> None:
    blocks = provenance_blocks(provenance(SOURCE, command=["metaback", "pool"], options={"tau2": "REML"}))
    assert isinstance(blocks[0], Heading)
    listing = blocks[1]
    assert isinstance(listing, Listing)
    text = "\n".join(listing.items)
    assert f"trials.csv, 41 rows, SHA-256 {SOURCE.sha256}" in text
    assert "Columns read: study, N exp as n_1" in text
    assert blocks[-1] == Code("metaback pool")
    assert len(provenance_blocks(provenance(None))) == 2
