"""Time a multiverse of about 10,000 specifications of 20 studies, from the table to the words and the figure.

R has no multiverse of this kind: metafor's rma is timed on a part of the same specifications, in a loop, and scaled.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import metaback as mb

CHOICES = {
    "model": ("random", "IVhet"),
    "tau2": ("REML", "DL", "PM", "ML", "SJ", "HE", "EB", "HS", "DL2", "GENQ"),
    "ci": ("HKSJ", "HKSJ-wider", "HKSJ-q1", "Wald", "Wald-t"),
    "pi": ("none", "z", "t(k-1)", "t(k-2)", "HK"),
    "exclude": ["each study", "outliers", {"later": "year >= 2010", "imprecise": "sei > 0.3"}],
}
FITS = 400  # of metafor, which has its loop scaled
ROUNDS = 3
LOOP = """
suppressMessages(library(metafor)); d <- read.csv(commandArgs(TRUE)[1]); n <- as.integer(commandArgs(TRUE)[2])
methods <- c("REML", "DL", "PM", "ML", "SJ", "HE", "EB", "HS"); tests <- c("knha", "adhoc", "z", "t")
t0 <- proc.time()[[1]]
for (i in seq_len(n)) invisible(rma(yi, sei^2, data = d[-(i %% 20 + 1), ], method = methods[i %% 8 + 1],
                                    test = tests[i %% 4 + 1]))
cat(sprintf('{"seconds": %.4f, "version": "%s"}', (proc.time()[[1]] - t0) / n, packageVersion("metafor")))
"""


def table() -> pd.DataFrame:
    """Return 20 studies."""
    rng = np.random.default_rng(20_260_101)
    names, years = [f"Study {i}" for i in range(20)], rng.integers(1995, 2025, 20)
    effects, errors = rng.normal(0.25, 0.3, 20), rng.uniform(0.1, 0.4, 20)
    return pd.DataFrame({"study": names, "year": years, "yi": effects, "sei": errors})


def main() -> None:
    """Print the timings as Markdown."""
    data = table()
    trials = mb.read_trials(data)
    taken: dict[str, list[float]] = {"numbers": [], "table and words": [], "figure (PNG)": []}
    mb.multiverse(trials, exclude=None)
    for _ in range(ROUNDS):
        begun = time.process_time()
        found = mb.multiverse(trials, **CHOICES)
        numbers = time.process_time()
        found.to_frame(), found.flips, found.shares()
        words = time.process_time()
        found.plot()._repr_png_()
        ended = time.process_time()
        for name, seconds in zip(taken, (numbers - begun, words - numbers, ended - words), strict=True):
            taken[name].append(seconds)
    n = len(found)
    print(f"\n## A multiverse of {n:,} specifications of 20 studies (processor seconds)\n")
    print("| what | median | remark |\n|---|---|---|")
    for name, seconds in taken.items():
        print(f"| metaback, {name} | {np.median(seconds):.2f} s | {1e6 * np.median(seconds) / n:.0f} us each |")
    if rival := metafor(data):
        seconds = rival["seconds"] * n
        print(f"| metafor {rival['version']}, loop over rma() | {seconds:.1f} s | scaled from {FITS} fits |")
    else:
        print("\nR with metafor is not installed.")


def metafor(data: pd.DataFrame) -> dict[str, float] | None:
    """Time metafor on a part of the specifications, None without R and metafor."""
    found = shutil.which("Rscript")
    if found is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "studies.csv"
        data.to_csv(path, index=False)
        run = subprocess.run([found, "-e", LOOP, str(path), str(FITS)], check=False, capture_output=True, text=True)
    return json.loads(run.stdout) if run.returncode == 0 else None


if __name__ == "__main__":
    main()
