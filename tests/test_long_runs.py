"""Long runs say how far they are, stop at once when they are interrupted, and leave nothing half-written behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback import progress
from metaback.engines import Engine, run
from metaback.progress import silent, teller

# Seconds from an interrupt to the end of the process and of its workers. A quiet machine takes 0.2 to 0.6 (1 is what
# is promised); the rest is for one that runs other things beside the tests.
AT_ONCE = 2.5
TRIES = 3  # what else runs can only make it longer: the program's own time is the shortest
UNIX = pytest.mark.skipif(os.name == "nt", reason="sends an interrupt as a terminal of Unix does")
# A shell shows 130 for both; Python ends itself by the signal where it reached the program inside of an exec().
INTERRUPTED = {130, -signal.SIGINT}
# A shell's "&" switches interrupts off for what it starts, such as these tests; this switches them on again.
LISTENING = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def started(words: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start Python in a session of its own, as from a terminal, with its temporary files in a folder of their own."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", LISTENING, *words], cwd=folder, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"TMPDIR": str(scratch)},
    )  # fmt: skip


def interrupted(child: subprocess.Popen[str]) -> tuple[float, str]:
    """Interrupt every process of a session; return the seconds until the last one has ended, and what they said."""
    assert child.poll() is None, child.communicate()
    begun = time.monotonic()
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=60)  # ends when no process holds the pipes any more
    return time.monotonic() - begun, errors


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """Write a table that takes some ten seconds to pool, and older results."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rng, n = np.random.default_rng(1), 5_000_000
    columns = {"gene": np.repeat(np.arange(n // 10), 10), "yi": rng.normal(size=n), "vi": rng.uniform(0.1, 0.5, n)}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    (tmp_path / "out.parquet").write_bytes(b"old")
    return tmp_path


@UNIX
@pytest.mark.parametrize("place", [["--workers", "1"], ["--workers", "2"], ["--engine", "dask", "--workers", "2"]])
def test_the_command_stops_at_once_and_leaves_the_older_results(big: Path, place: list[str]) -> None:
    if "dask" in place:
        pytest.importorskip("distributed")
    taken: list[float] = []
    while not taken or (taken[-1] >= AT_ONCE and len(taken) < TRIES):
        child = started(["-m", "metaback", "pool", "in.parquet", "--by", "gene", "--out", "out.parquet", *place], big)
        deadline = time.monotonic() + 60
        while not list(big.glob(".out.parquet.*.part")) and time.monotonic() < deadline:
            time.sleep(0.02)  # the first results have come
        seconds, errors = interrupted(child)
        taken.append(seconds)
        assert child.returncode in INTERRUPTED
        assert errors == "Interrupted: nothing was written.\n"
    assert min(taken) < AT_ONCE
    assert sorted(path.name for path in big.iterdir()) == ["in.parquet", "out.parquet", "scratch"]
    assert (big / "out.parquet").read_bytes() == b"old"
    assert not list((big / "scratch").rglob("*"))


SCRIPT = """
import sys, numpy as np, pandas as pd, metaback as mb
def tell(done, total):
    print("begun", flush=True)
def effects(k):
    rng = np.random.default_rng(1)
    x, g, s = rng.normal(size=k), rng.normal(size=k), rng.uniform(0.1, 0.5, k)
    return dict(data=pd.DataFrame({"x": x, "g": g, "s": s}), effect="g", se="s", study=None)
if __name__ == "__main__":
"""
LONG = {
    "gosh": "mb.pool(**effects(30)).gosh(n=1_000_000, progress=tell)",
    "bootstrap": "mb.pool(**effects(100), ci='boot-percentile', draws=300_000, progress=tell)",
    "permutation interval": "mb.pool(**effects(40), ci='perm', draws=100_000, progress=tell)",
    "permutation test": "mb.regress(formula='~ x', **effects(40)).permutation_test(n=1_000_000, progress=tell)",
    "multiverse": "mb.pool(**effects(40)).multiverse(ci=('HKSJ', 'perm', 'boot-BCa'), progress=tell)",
}


@UNIX
@pytest.mark.parametrize("call", LONG.values(), ids=list(LONG))
def test_calls_stop_at_once(tmp_path: Path, call: str) -> None:
    (tmp_path / "run.py").write_text(SCRIPT.rstrip() + "\n    " + call + "\n")
    child = started(["run.py"], tmp_path)
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n", child.communicate()
    time.sleep(0.3)  # into a batch, and not between two
    seconds, errors = interrupted(child)
    assert seconds < AT_ONCE
    assert child.returncode in INTERRUPTED
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


def held_back(_: int) -> bool:
    """Tell whether an interrupt from the keyboard is held back from this process."""
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@UNIX
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["processes", "dask"])
def test_workers_leave_interrupts_to_the_first_process(name: str) -> None:
    """From their birth: one that was still loading its libraries would print a trace."""
    if name == "dask":
        pytest.importorskip("distributed")
    assert list(run(held_back, range(4), Engine(name, 2))) == [True] * 4
    assert not held_back(0)


def plus_one(value: int) -> int:
    """Return a number plus one; stands here because workers must be able to find it."""
    return value + 1


def test_the_end_of_a_run_leaves_the_workers_of_another_alone() -> None:
    one = run(plus_one, range(10), Engine("processes", 1))
    found = [next(one)]
    two = run(plus_one, range(10), Engine("processes", 1))
    others = [next(two)]
    assert [*found, *one] == [*others, *two] == list(range(1, 11))


# ---------------------------------------------------------------- progress


@pytest.fixture(scope="module")
def pooled() -> mb.Result:
    """Return a pool of 24 effects."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"g": rng.normal(0.3, 0.4, 24), "s": rng.uniform(0.1, 0.5, 24), "x": rng.normal(size=24)})
    return mb.pool(frame, effect="g", se="s")


def again(res: mb.Result, **words: Any) -> mb.Result:
    """Pool the same effects again."""
    return mb.pool(res.fitted.effects, tau2="DL", draws=999, **words)


def permuted(res: mb.Result, **words: Any) -> Any:
    """Test a moderator."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"g": res.fitted.effects.yi, "v": res.fitted.effects.vi**0.5, "x": rng.normal(size=24)})
    return mb.regress(frame, "~ x", effect="g", se="v").permutation_test(n=500, **words)


RUNS: dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]] = {
    "gosh": (lambda res, **words: res.gosh(n=500, **words), lambda found: found.to_frame()),
    "permutation test": (permuted, lambda found: pd.Series(found.p_values)),
    "bootstrap": (lambda res, **words: again(res, ci="boot-BCa", **words), lambda found: found.to_frame()),
    "permutation": (lambda res, **words: again(res, ci="perm", **words), lambda found: found.to_frame()),
    "multiverse": (
        lambda res, **words: again(res).multiverse(tau2="PM", ci=("HKSJ", "boot-basic"), **words),
        lambda found: found.to_frame(),
    ),
}
EVERY_RUN = pytest.mark.parametrize(("make", "seen"), RUNS.values(), ids=list(RUNS))


@EVERY_RUN
def test_progress_rises_to_the_whole_and_changes_no_number(
    make: Callable[..., Any], seen: Callable[[Any], Any], pooled: mb.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metaback.postestimation import gosh, regression_permutation
    from metaback.stats import resampling

    for module, name in ((gosh, "CHUNK"), (regression_permutation, "CHUNK"), (resampling, "BATCH")):
        monkeypatch.setattr(module, name, 5_000)  # so that these short runs have several batches
    told: list[tuple[int, int]] = []
    found = make(pooled, progress=lambda done, total: told.append((done, total)))
    assert len({done for done, _ in told}) > 2
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len({total for _, total in told}) == 1
    assert told[-1][0] == told[-1][1]
    other = seen(make(pooled))
    check = pd.testing.assert_series_equal if isinstance(other, pd.Series) else pd.testing.assert_frame_equal
    check(seen(found), other, check_exact=True)


@EVERY_RUN
def test_nothing_is_shown_of_short_runs_and_beside_a_terminal(
    make: Callable[..., Any], seen: Callable[[Any], Any], pooled: mb.Result, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    make(pooled, progress=True)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    make(pooled)  # standard error is no terminal here
    make(pooled, progress=False)
    assert capsys.readouterr() == ("", "")
    make(pooled, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("\r")
    assert shown.err.endswith("\n")
    seen(make(pooled))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give a clock that a test moves."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_line_waits_a_second_and_is_closed_at_the_end(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    tell = teller(None, "rows")
    for at, done in ((0.9, 1), (1.0, 1000), (1.05, 1001), (1.2, 1002), (1.21, 2000)):
        clock[0] = at
        tell(done, 2000)
    assert capsys.readouterr().err == "\r1,000 of 2,000 rows\r1,002 of 2,000 rows\r2,000 of 2,000 rows\n"


def test_silence_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert teller(False, "rows") is silent
