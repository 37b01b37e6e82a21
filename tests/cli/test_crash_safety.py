"""A report is the old one or the new one, whole, whatever happens while it is written, and stays in its folder."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from metaback.cli import main
from metaback.report import bundle_io
from metaback.report.bundle_io import bundle_state

TABLE = (
    "study,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"
    "A 2001,20,5.1,2.0,21,4.0,2.2\nB 2002,30,5.5,1.9,28,4.9,2.1\nC 2003,15,6.0,2.5,16,4.1,2.3\n"
)
OTHER = TABLE.replace("1.9", "1.8")
# Writes the two reports in turn for ever; each is made once, so that nearly all of its time is spent in writing.
WRITER = """
import pickle, sys, pathlib
from metaback.report.bundle_io import write_bundle
reports = pickle.loads(pathlib.Path("reports.pickle").read_bytes())
print("ready", flush=True)
while True:
    for files in reports:
        write_bundle(pathlib.Path("report"), files)
"""
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the swap in one step and the limits of Linux")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["pool", "table.csv", "-q", *words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def digest(folder: Path) -> str:
    return hashlib.sha256(repr(contents(folder)).encode()).hexdigest()


def killed_at_moments(folder: Path, moments: int, seed: int) -> set[str]:
    """Kill a process that writes reports at random moments, and return which of the two states were found."""
    draw = random.Random(seed)  # noqa: S311 - moments of a test
    found: set[str] = set()
    for _ in range(moments):
        with subprocess.Popen([sys.executable, "-c", WRITER], cwd=folder, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(draw.uniform(0.0, 0.3))
            writer.send_signal(signal.SIGKILL)
        state = bundle_state(folder / "report")
        assert (state.changed, state.missing, state.extra) == ((), (), ())
        found.add(digest(folder / "report"))
    return found


@LINUX
@pytest.mark.parametrize("moments", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_a_kill_leaves_the_old_report_or_the_new_one(run: Run, tmp_path: Path, moments: int) -> None:
    whole: dict[str, dict[str, bytes]] = {}
    for text in (TABLE, OTHER):
        (tmp_path / "table.csv").write_text(text, encoding="utf-8")
        assert run()[0] == 0
        whole[digest(tmp_path / "report")] = contents(tmp_path / "report")
    assert len(whole) == 2
    files = [{n: c for n, c in report.items() if n != "manifest.json"} for report in whole.values()]
    (tmp_path / "reports.pickle").write_bytes(pickle.dumps(files))
    states: dict[str, None] = {}
    for report in files:
        bundle_io.write_bundle(tmp_path / "report", report)
        states[digest(tmp_path / "report")] = None
    found = killed_at_moments(tmp_path, moments, seed=moments)
    assert found <= set(states)
    assert len(found) == 2 or moments < 50
    assert run()[0] == 0
    assert digest(tmp_path / "report") in whole


@LINUX
def test_the_command_itself_killed_at_random_moments(run: Run, tmp_path: Path) -> None:
    assert run()[0] == 0
    old = digest(tmp_path / "report")
    (tmp_path / "table.csv").write_text(OTHER, encoding="utf-8")
    draw = random.Random(5)  # noqa: S311 - moments of a test
    for _ in range(3):
        words = [sys.executable, "-m", "metaback", "pool", "table.csv", "-q"]
        with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL) as writer:
            time.sleep(draw.uniform(0.2, 3.0))
            writer.send_signal(signal.SIGKILL)
        state = bundle_state(tmp_path / "report")
        assert (state.changed, state.missing, state.extra) == ((), (), ())
    assert run()[0] == 0
    assert digest(tmp_path / "report") != old
    assert bundle_state(tmp_path / "report").changed == ()


def test_a_full_disk_leaves_the_old_report(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run()[0] == 0
    before = contents(tmp_path / "report")
    real, calls = os.fsync, [0]

    def full(handle: int) -> None:
        calls[0] += 1
        if calls[0] > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(bundle_io.os, "fsync", full)
    (tmp_path / "table.csv").write_text(OTHER, encoding="utf-8")
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err == "Error: cannot write 'report': No space left on device; the folder is as it was\n"
    assert contents(tmp_path / "report") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "table.csv"]


@LINUX
def test_a_limit_on_the_size_of_files_leaves_the_old_report(run: Run, tmp_path: Path) -> None:
    assert run()[0] == 0
    before = contents(tmp_path / "report")
    (tmp_path / "table.csv").write_text(OTHER, encoding="utf-8")

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    words = [sys.executable, "-B", "-m", "metaback", "pool", "table.csv", "-q"]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=limited,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("Error: cannot write 'report': File too large")
    assert contents(tmp_path / "report") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "table.csv"]


def test_a_folder_that_cannot_be_written_keeps_its_report(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--out", "deep/report")[0] == 0
    before = contents(tmp_path / "deep")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    if os.geteuid() == 0:  # root may write anywhere: the system's answer is put in its place
        monkeypatch.setattr(Path, "mkdir", denied)
    else:
        (tmp_path / "deep").chmod(0o500)
    try:
        code, out, err = run("--out", "deep/report")
    finally:
        monkeypatch.undo()
        (tmp_path / "deep").chmod(0o700)
    assert (code, out) == (2, "")
    assert "Permission denied; the folder is as it was" in err
    assert contents(tmp_path / "deep") == before


HOSTILE = (
    "../../x",
    "/etc/passwd",
    "..\\..\\x",
    "C:\\x",
    "NUL",
    "con",
    "a/b/c",
    "x" * 400,
    "\u202egnp.exe",
    "<script>",
    "a:b|c?*",
    ". .",
    "~root",
    "%2e%2e%2f",
    "\u0301",
    "\U0001f600",
    "-rf",
)


@pytest.mark.parametrize("names", [HOSTILE[:5], pytest.param(HOSTILE[5:], marks=pytest.mark.slow)])
def test_titles_and_labels_never_leave_the_folder(run: Run, tmp_path: Path, names: tuple[str, ...]) -> None:
    rows = [line.split(",", 1)[1] for line in TABLE.splitlines()[1:]]
    table = "study,outcome,treatment_1,treatment_2," + TABLE.splitlines()[0].split(",", 1)[1] + "\n"
    for name in names:
        for i, row in enumerate(rows):
            table += f'"{name} {i}","{name}","{name} one","{name} two",{row}\n'
    (tmp_path / "table.csv").write_text(table, encoding="utf-8")
    code, _, err = run("--accept-findings", "--out", "in/report")
    assert code == 0, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "table.csv"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["report"]
    state = bundle_state(tmp_path / "in" / "report")
    assert (state.changed, state.missing, state.extra) == ((), (), ())
    forests = [name for name in state.listed if re.fullmatch(r"figures/forest-\d+-[^/]*\.svg", name)]
    assert len(forests) == len(names)
    for name in state.listed:
        assert name.isascii()
        assert all(len(part) < 100 and not set(part) & set('<>:"|?*\\ ~%') for part in name.split("/"))
