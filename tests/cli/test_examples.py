"""The examples in the help of every command are run on the shipped data; help answers at once."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metaback.cli import main
from metaback.cli.main import COMMANDS, group

ROOT = Path(__file__).parents[2]
NEEDS_A_CLUSTER = "tcp://"
FOUND = {"check": 1, "diff": 1}  # commands whose examples may end with what they look for
SLOW_LIBRARIES = {"numpy", "scipy", "pandas", "matplotlib", "pydantic", "jinja2", "rich"}
SLOW = {"selfcheck"}  # tests/cli/test_selfcheck.py runs it
TABLE = (
    "study,n_1,mean_1,sd_1,n_2,mean_2,sd_2\n"
    "A 2001,20,5.1,2.0,21,4.0,2.2\nB 2002,30,5.5,1.9,28,4.9,2.1\nC 2003,15,6.0,2.5,16,4.1,2.3\n"
)


def examples() -> list[str]:
    """Return the example lines in the help of the group and of every command."""
    context = group.make_context("metaback", ["measures"])
    texts = [group.help or "", *(group.get_command(context, name).help or "" for name in COMMANDS)]  # type: ignore[union-attr]
    return list(dict.fromkeys(line.strip() for text in texts for line in text.splitlines() if _is_example(line)))


def _is_example(line: str) -> bool:
    return line.strip().startswith("metaback ") and NEEDS_A_CLUSTER not in line


EXAMPLES = examples()
PARQUET = find_spec("pyarrow") is not None


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out a folder as the examples expect it: the shipped data, reports of two years, a long table."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "data", folder / "data")
    shutil.copy(ROOT / "data" / "plan.toml", folder)
    (folder / "table.csv").write_text(TABLE, encoding="utf-8")
    (folder / "more.csv").write_text(f"{TABLE}D 2024,30,4.0,2.0,31,4.9,2.1\n", encoding="utf-8")
    small = ["--outcome", "pain", "--compare", "posterior_chain:general_exercise"]
    runs = [
        ["data/trials.csv", "--plan", "data/plan.toml", "--out", "report", *small],
        ["table.csv", "--out", "report-2023"],
        ["more.csv", "--out", "report-2024"],
    ]
    for words in runs:
        command = [sys.executable, "-m", "metaback", "pool", *words, "-q"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    rng = np.random.default_rng(1)
    groups = np.repeat(list("abc"), 5)
    table = {"outcome_id": groups, "gene": groups, "tissue": "x", "yi": rng.normal(size=15), "vi": np.full(15, 0.1)}
    if PARQUET:
        pd.DataFrame(table).to_parquet(folder / "big.parquet")
    return folder


def test_every_command_has_examples() -> None:
    assert {name for name in COMMANDS if not any(f"metaback {name}" in line for line in EXAMPLES)} == set()
    assert len(EXAMPLES) > 20


@pytest.mark.parametrize("line", [line for line in EXAMPLES if line.split()[1] not in SLOW])
def test_an_example_does_what_it_says(
    line: str, reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if ".parquet" in line and not PARQUET:
        pytest.skip("Parquet needs pyarrow, which a new machine lacks")
    monkeypatch.chdir(reports)
    words, _, _ = line.partition(" > ")
    parts = shlex.split(words)[1:]
    if parts[0] in {"init", "multilevel", "pool"} and "--help" not in parts and "--format" not in parts:
        parts = _elsewhere(parts, tmp_path)
    with pytest.raises(SystemExit) as left:
        main(parts)
    said = capsys.readouterr()
    assert (left.value.code or 0) in {0, FOUND.get(parts[0], 0)}, said.err
    assert said.err == ""


def _elsewhere(parts: list[str], folder: Path) -> list[str]:
    """Put what an example writes into another folder, so that the examples do not meet."""
    if "--out" not in parts:
        return [*parts, "--out", str(folder / ("plan.toml" if parts[0] == "init" else "report"))]
    place = parts.index("--out") + 1
    return [*parts[:place], str(folder / parts[place]), *parts[place + 1 :]]


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_answers_without_the_slow_libraries(words: list[str]) -> None:
    code = (
        "import sys\nfrom metaback.cli import main\n"
        f"try:\n    main({[*words, '--help']})\nexcept SystemExit as left:\n    assert not left.code\n"
        f"slow = {SLOW_LIBRARIES} & set(sys.modules)\nassert not slow, slow\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "Usage:" in done.stdout
