"""The same plan and table give the same report wherever it is made, and the same numbers in any order of the rows."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb

ROOT = Path(__file__).parents[2]
ORDER = 1e-11  # relative: one step of the last of the 12 digits that a record keeps
NOTHING = 1e-13  # absolute, for tau2, Q and limits that are 0 but for rounding
SETTINGS = (
    {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    {
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "LANG": "de_DE.UTF-8",
        "PYTHONHASHSEED": "4242",
        "OMP_NUM_THREADS": "4",
        "OPENBLAS_NUM_THREADS": "2",
        "COLUMNS": "40",
        "PYTHONUTF8": "1",
        "MPLBACKEND": "svg",
    },
)
FORMATS = [name for name, needs in (("docx", "docx"), ("pdf", "typst"), ("xlsx", "xlsxwriter")) if find_spec(needs)]


def made(folder: Path, settings: dict[str, str]) -> dict[str, bytes]:
    """Make the whole report of the shipped table and plan in a folder of its own, which is the home too."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "data", folder / "data")
    kept = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    words = ["pool", "data/trials.csv", "--plan", "data/plan.toml", "-q"]
    words += [word for name in FORMATS for word in ("--also", name)]
    subprocess.run(
        [sys.executable, "-m", "metaback", *words],
        check=True,
        cwd=folder,
        env={**kept, "HOME": str(folder), **settings},
    )
    root = folder / "report"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_every_file_of_the_whole_report_is_the_same_everywhere(tmp_path: Path) -> None:
    places = (tmp_path / "a", tmp_path / "another place" / "Ä")
    first, second = (made(folder, settings) for folder, settings in zip(places, SETTINGS, strict=True))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    ends = {Path(name).suffix for name in first}
    assert ends >= {".html", ".md", ".json", ".csv", ".svg", ".png", ".bib", ".py", *(f".{name}" for name in FORMATS)}


def numbers(results: mb.Results) -> dict[tuple[str, ...], float]:
    """Return every number of the pools and of the studies, by what it belongs to."""
    found: dict[tuple[str, ...], float] = {}
    for result in results:
        title = result.to_dict()["title"]
        pooled = result.to_frame().assign(label=lambda frame: frame["term"])
        studies = result.studies()
        seen = studies["study"] + " " + studies["yi"].rank(method="first").astype(str)  # a study may stand there twice
        for frame in (pooled, studies.assign(label=seen)):
            for row in frame.to_dict("records"):
                values = {name: value for name, value in row.items() if isinstance(value, float | int)}
                found |= {(title, str(row["label"]), str(name)): float(value) for name, value in values.items()}
    return found


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=ORDER, abs_tol=NOTHING)


@pytest.mark.parametrize("choices", [{}, {"preset": "revman5", "r": 0.5}], ids=["cochrane", "revman5"])
def test_the_order_of_the_rows_changes_no_number(choices: dict[str, Any]) -> None:
    table = pd.read_csv(ROOT / "data" / "trials.csv", keep_default_na=False)
    table = table[table["outcome"] == "pain"]
    in_order = numbers(mb.pool_table(mb.read_trials(table), **choices))
    for seed in (1, 2):
        mixed = table.iloc[np.random.default_rng(seed).permutation(len(table))]
        assert not mixed.index.equals(table.index)
        shuffled = numbers(mb.pool_table(mb.read_trials(mixed), **choices))
        assert shuffled.keys() == in_order.keys()
        apart = {key: (value, shuffled[key]) for key, value in in_order.items() if not same(value, shuffled[key])}
        assert {key: pair for key, pair in apart.items() if key[2] not in {"cluster", "row"}} == {}
    assert len(in_order) > 200
