"""Whatever bytes arrive, a table comes out, or one of the two errors: no traceback, no hang."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaback.data.arms import contrasts
from metaback.data.read import read_trials
from metaback.errors import DataError, FileError

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))

MARKS = [
    *"0123456789.,;:-+()[]%<>*=/ '\"\t\r\n|eENAx_",
    "\u2212",
    "\u2013",
    "\u00a0",
    "\u202f",
    "\u00b1",
    "\u200b",
    "\u0661",
]
CELL = st.one_of(
    st.text(st.sampled_from(MARKS), max_size=14),
    st.text(max_size=6),
    st.floats().map(str),
    st.sampled_from(
        ["12 (60%)", "0.5 (0.2 to 0.8)", "5.1 (2.0)", "<0.001", "1.020", "1,020", "-99", "NA", "0,5", "0.2*"]
    ),
)
NAMES = [
    "study",
    "yi",
    "sei",
    "effect",
    "ci_low",
    "ci_high",
    "95% CI",
    "n1i",
    "m1i",
    "sd1i",
    "n2i",
    "m2i",
    "ai",
    "ci",
    "p",
    "auc",
    "higher_is_better",
    "year",
    "outcome",
    "",
    "note",
    "Mean",
    "Experimental",
    "treatment",
    "n",
    "mean",
]
HEADER = st.lists(st.sampled_from(NAMES), min_size=1, max_size=8)


@st.composite
def texts(draw: Callable[..., Any]) -> bytes:
    """Make texts that are nearly tables."""
    mark = draw(st.sampled_from([",", ";", "\t", "|"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    header = draw(HEADER)
    rows = draw(st.lists(st.lists(CELL, min_size=0, max_size=9), max_size=5))
    text = end.join([mark.join(header), *(mark.join(row) for row in rows)])
    return text.encode(draw(st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "cp1252"])), "ignore")


def reads(source: Any) -> None:
    """Read a source; only the two errors may come out."""
    for act in (read_trials, contrasts):
        try:
            found = act(source)
        except (DataError, FileError):
            continue
        assert len(found)


@st.composite
def frames(draw: Callable[..., Any]) -> pd.DataFrame:
    """Make frames with cells of any type."""
    cell = st.one_of(CELL, st.none(), st.floats(), st.integers(), st.booleans(), st.dates(), st.binary(max_size=3))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    count = draw(st.integers(0, 4))
    columns = {n: pd.Series(draw(st.lists(cell, min_size=count, max_size=count)), dtype=object) for n in names}
    return pd.DataFrame(columns)


@QUICK
@given(st.one_of(st.binary(max_size=200), texts(), st.text(max_size=100).map(lambda t: t.encode("utf-8", "replace"))))
def test_any_bytes(content: bytes) -> None:
    reads(content)


@QUICK
@given(frames())
def test_any_frame(frame: pd.DataFrame) -> None:
    reads(frame)


def _parquet() -> bytes:
    pytest.importorskip("pyarrow")
    file = io.BytesIO()
    pd.DataFrame({"study": ["A", "B"], "yi": [1.0, 2.0], "sei": [1.0, 1.0]}).to_parquet(file)
    return file.getvalue()


def _workbook() -> bytes:
    pytest.importorskip("python_calamine")
    writer = pytest.importorskip("xlsxwriter")
    file = io.BytesIO()
    with writer.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for r, row in enumerate([["study", "yi", "sei"], ["A", 1, 2], ["B", 2, 3]]):
            sheet.write_row(r, 0, row)
    return file.getvalue()


def _damaged(content: bytes, seed: int) -> bytes:
    """Change, cut or insert a few bytes."""
    chance = random.Random(seed)  # noqa: S311
    data = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data))
        if chance.random() < 0.7:
            data[at] = chance.randrange(256)
        else:
            del data[at : at + chance.randint(1, 20)]
    return bytes(data)


def _damaged_part(content: bytes, seed: int) -> bytes:
    """Damage one part inside of an archive."""
    chance = random.Random(seed)  # noqa: S311
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        victim = chance.choice(old.namelist())
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, _damaged(data, seed) if name == victim else data)
    return file.getvalue()


DAMAGES = {
    "parquet": (_parquet, _damaged),
    "workbook": (_workbook, _damaged),
    "part of a workbook": (_workbook, _damaged_part),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_files(kind: str) -> None:
    make, damage = DAMAGES[kind]
    content = make()
    for seed in range(40):
        reads(damage(content, seed))


@pytest.mark.parametrize(
    "cell", ["," * 100_000, "9" * 100_000, "1 " * 50_000, "(" * 100_000, "9.9,9" * 20_000, "-" * 100_000]
)
def test_long_cells_do_not_hang(cell: str) -> None:
    for role in ("yi", "effect", "mean_1", "events_1", "p"):
        reads(f'study,{role}\nA,"{cell}"\nB,0.5\n'.encode())


def _hunt(inputs: int) -> str:
    """Run the fuzzer for a fixed number of inputs, the same on every run."""
    script = Path(__file__).parents[1] / "fuzz" / "fuzz_reader.py"
    done = subprocess.run(
        [sys.executable, str(script), "--inputs", str(inputs), "--seed", "23"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited and measured as on Linux")


@LINUX
def test_the_fuzzer_finds_nothing_in_a_few_inputs() -> None:
    told = _hunt(60)
    assert told.startswith("seed 23: 60 inputs, peak memory")
    assert "findings: 0" in told


@LINUX
@pytest.mark.slow
def test_the_fuzzer_finds_nothing_in_more_inputs() -> None:
    assert "1000 inputs" in _hunt(1_000)


@LINUX
def test_the_fuzzer_finds_what_is_there(tmp_path: Path) -> None:
    for script in (Path(__file__).parents[1] / "fuzz").glob("*.py"):
        (tmp_path / script.name).write_text(script.read_text().replace("PATIENCE = 10.0", "PATIENCE = 0.3"))
    (tmp_path / "corpus.py").write_text(
        "import os, time\n"
        "def crash(source): raise KeyError(source)\n"
        "def die(source): os._exit(3) if source == 2 else None\n"
        "def grow(source): bytearray(2 << 30) if source == 3 else None\n"
        "def hang(source):\n"
        "    while source == 4: pass\n"
        "STEPS = {'crash': crash, 'die': die, 'grow': grow, 'hang': hang}\n"
        "def make(seed, number): return 'kind', number\n"
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "fuzz_reader.py"), "--inputs", "6", "--seed", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "FINDING crash: KeyError: 0 (inputs: 0)" in done.stdout
    assert "FINDING the process died (status 3) (inputs: 2)" in done.stdout
    assert "FINDING grow: MemoryError:  (inputs: 3)" in done.stdout
    assert "FINDING hangs for more than 0.3 s (inputs: 4)" in done.stdout


@pytest.mark.slow
def test_a_million_rows_take_less_than_a_minute_and_less_than_1500_mb(tmp_path: Path) -> None:
    path = tmp_path / "million.csv"
    with path.open("w") as file:
        file.write("study,yi,sei\n")
        file.writelines(f"S{i},{i % 997 / 1000},0.{i % 89 + 10}\n" for i in range(1_000_000))
    code = f"""
import resource, sys, time
from metaback.data.read import read_trials
begun = time.monotonic()
assert len(read_trials({str(path)!r})) == 1_000_000
sys.stdout.write(f"{{time.monotonic() - begun}} {{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 60
    assert megabytes < 1_500


@pytest.mark.slow
@LONG
@given(st.one_of(st.binary(max_size=500), texts()))
def test_any_bytes_for_longer(content: bytes) -> None:
    reads(content)


@pytest.mark.slow
@LONG
@given(frames())
def test_any_frame_for_longer(frame: pd.DataFrame) -> None:
    reads(frame)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_files_for_longer(kind: str) -> None:
    make, damage = DAMAGES[kind]
    content = make()
    for seed in range(3_000):
        reads(damage(content, seed))
