"""Time models of dependent effects beside rma.mv (dense and sparse) and clubSandwich in one run; part of `make bench`.

python benchmarks/dependent.py            prints these tables alone, twenty minutes with R
python benchmarks/dependent.py TABLE      prints one of them: three-levels, unstructured, robust, questions, crossed
python benchmarks/dependent.py WHAT ROWS  does one thing in a process of its own; prints JSON (seconds, peak memory)
"""

from __future__ import annotations

import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from run import rscript

import metaback as mb
from metaback.stats.robust import cluster_robust
from metaback.stats.robust_tests import contrast_tests

SIZES = (100, 250, 500, 1_000, 5_000, 10_000, 100_000)
GROWTH = SIZES[3:]  # below a thousand rows what costs does not depend on their number
DENSE, SPARSE = 1_000, 5_000  # the largest tables that rma.mv is given: it takes about a minute for each
PER = 5  # effects of a study
UN_ROWS, UN_RIVALS = 3_000, (400, 800)
ROBUST_ROWS = 5_000
CROSSED_RIVAL = 600  # rows of the crossed tables that rma.mv is given too
CROSSED = {  # how labs meet studies, and by how many rows
    "crossed": ("studies of five, n / 6 labs by chance", (CROSSED_RIVAL, 2_000, 6_000, 15_000)),
    "neighbours": ("studies of two, labs of their neighbourhood", (CROSSED_RIVAL, 2_000, 10_000, 40_000)),
}
OUTCOMES = ("a", "b", "c", "d")
BETWEEN = np.array(
    [[0.20, 0.10, 0.05, 0.08], [0.10, 0.15, 0.06, 0.04], [0.05, 0.06, 0.10, 0.03], [0.08, 0.04, 0.03, 0.12]]
)
WITHIN = 0.4  # sampling correlation of the outcomes of a study
COLUMNS = {"effect": "y", "se": "se", "study": "study"}
Found = dict[str, float]


def main(names: Sequence[str]) -> None:
    """Print the tables of these names."""
    sys.stdout.reconfigure(line_buffering=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            TABLES[name](Path(folder))


def nested(n: int) -> pd.DataFrame:
    """Return n effects in studies of five, with three moderators: of the row, of the study, and a rare one."""
    rng = np.random.default_rng(20_260_101)
    study = np.arange(n) // PER
    v = rng.uniform(0.02, 0.2, n)
    y = 0.3 + rng.normal(0, math.sqrt(0.05), study[-1] + 1)[study] + rng.normal(0, np.sqrt(0.05 + v))
    moderators = {"x1": rng.normal(size=n), "x2": rng.normal(size=n)[study], "x3": (rng.random(n) < 0.3) * 1.0}
    return pd.DataFrame({"study": [f"Study {i}" for i in study], "y": y, "se": np.sqrt(v), **moderators})


def outcomes(n: int) -> pd.DataFrame:
    """Return n effects: four outcomes of each study, whose errors correlate."""
    rng = np.random.default_rng(20_260_101)
    m, q = n // len(OUTCOMES), len(OUTCOMES)
    true = rng.multivariate_normal([0.1, 0.2, 0.3, 0.4], BETWEEN, m)
    se = np.sqrt(rng.uniform(0.02, 0.1, (m, q)))
    errors = se * rng.multivariate_normal(np.zeros(q), WITHIN + (1 - WITHIN) * np.eye(q), m)
    study = [f"Study {i}" for i in range(m) for _ in OUTCOMES]
    return pd.DataFrame({"study": study, "outcome": OUTCOMES * m, "y": (true + errors).ravel(), "se": se.ravel()})


def labs(n: int, pattern: str) -> pd.DataFrame:
    """Return n effects of studies that are crossed with labs in one of the patterns of `CROSSED`."""
    rng = np.random.default_rng(20_260_101)
    if pattern == "crossed":
        study, lab = rng.integers(0, n // PER, n), rng.integers(0, n // 6, n)
    else:
        study = np.arange(n) // 2
        lab = study // 4 + rng.integers(0, 3, n)
    v = rng.uniform(0.02, 0.2, n)
    true = 0.3 + rng.normal(0, 0.3, study.max() + 1)[study] + rng.normal(0, 0.35, lab.max() + 1)[lab]
    names = {"study": [f"Study {i}" for i in study], "lab": [f"Lab {i}" for i in lab]}
    return pd.DataFrame({**names, "y": true + rng.normal(0, np.sqrt(v)), "se": np.sqrt(v)})


def three_levels(folder: Path) -> None:
    """Time three levels by number of effects, and rma.mv on the same tables up to the size that it can take."""
    print("\n## Three levels by number of effects, studies of five: full fit from the table (processor seconds)\n")
    print("| n | metaback | memory | rma.mv dense | times | rma.mv sparse | times | log-likelihood, ours less theirs |")
    print("|---|---|---|---|---|---|---|---|")
    taken: dict[int, float] = {}
    for n in SIZES:
        mine = alone("three", n)
        taken[n] = mine["seconds"]
        path = saved(folder, nested(n))
        dense = from_r("dense", path, 1) if n <= DENSE else None
        sparse = from_r("sparse", path, 5 if n <= DENSE else 1) if n <= SPARSE else None
        best = max((found["number"] for found in (dense, sparse) if found), default=math.nan)
        gap = f"{mine['number'] - best:.0e}" if math.isfinite(best) else ""
        cells = [shown(mine), f"{mine['megabytes']:.0f} MB", *beside(dense, mine), *beside(sparse, mine), gap]
        print(f"| {n:,} | {' | '.join(cells)} |")
    slope = np.polyfit(np.log(GROWTH), np.log([taken[n] for n in GROWTH]), 1)[0]
    last = math.log10(taken[SIZES[-1]] / taken[SIZES[-2]])
    print(f"\nGrows as n^{slope:.2f} from {GROWTH[0]:,} effects on, n^{last:.2f} in the last decade.")


def unstructured(folder: Path) -> None:
    """Time the unstructured model of four outcomes; rma.mv on smaller tables."""
    print("\n## Four outcomes, UN, errors that correlate: full fit from the table (processor seconds)\n")
    print("| n | metaback | rma.mv sparse | times | log-likelihood, ours less theirs |\n|---|---|---|---|---|")
    for n in (*UN_RIVALS, UN_ROWS):
        mine = alone("un", n)
        theirs = from_r("un-sparse", saved(folder, outcomes(n)), 1) if n in UN_RIVALS else None
        gap = f"{mine['number'] - theirs['number']:.0e}" if theirs else ""
        print(f"| {n:,} | {shown(mine)} | {' | '.join(beside(theirs, mine))} | {gap} |")


def robust(folder: Path) -> None:
    """Time CR2 with Satterthwaite's df of a fitted regression with three moderators."""
    print(f"\n## CR2 with Satterthwaite df, {ROBUST_ROWS:,} effects, three moderators (processor seconds)\n")
    print("| what | median | times metaback | SE of the second coefficient |\n|---|---|---|---|")
    path = saved(folder, nested(ROBUST_ROWS))
    names = {
        "robust": ("three levels, `fit.robust()`: all results anew", "`coef_test` of rma.mv, sparse"),
        "lm": ("least squares with weights, on arrays", "`coef_test` of lm"),
    }
    for kind, (ours, name) in names.items():
        mine, theirs = alone(kind, ROBUST_ROWS), from_r(kind, path, 3)
        print(f"| metaback, {ours} | {shown(mine)} | 1.0 | {mine['number']:.8f} |")
        if theirs:
            cells = beside(theirs, mine)
            print(f"| clubSandwich {theirs['clubSandwich']} {name} | {' | '.join(cells)} | {theirs['number']:.8f} |")


def crossed(folder: Path) -> None:
    """Time two crossed effects by number of rows and by how they meet, and rma.mv on the smallest tables."""
    print("\n## Crossed studies and labs: full fit from the table (processor seconds)\n")
    print("| studies and labs | n | metaback | memory | rma.mv sparse | times | log-likelihood, ours less theirs |")
    print("|---|---|---|---|---|---|---|")
    for pattern, (words, sizes) in CROSSED.items():
        for n in sizes:
            mine = alone(pattern, n)
            theirs = from_r("crossed-sparse", saved(folder, labs(n, pattern)), 1) if n == CROSSED_RIVAL else None
            gap = f"{mine['number'] - theirs['number']:.0e}" if theirs else ""
            cells = [shown(mine), f"{mine['megabytes']:.0f} MB", *beside(theirs, mine), gap]
            print(f"| {words} | {n:,} | {' | '.join(cells)} |")


def questions(_: Path) -> None:
    """Time the default pool of a dependent table, and leaving out each of a thousand studies."""
    print("\n## The default pool and leave-one-out (processor seconds)\n")
    print("| what | median | memory |\n|---|---|---|")
    names = {
        "pool": "`pool()` of a dependent table, robust and naive, four further correlations",
        "leave-one-out": "`leave_one_out()` of a three-level fit, study by study",
    }
    for what, rows in (("pool", 1_000), ("pool", 10_000), ("leave-one-out", 5_000)):
        mine = alone(what, rows)
        print(f"| {names[what]}, n = {rows:,} | {shown(mine)} | {mine['megabytes']:.0f} MB |")


TABLES: dict[str, Callable[[Path], None]] = {
    "three-levels": three_levels,
    "unstructured": unstructured,
    "robust": robust,
    "questions": questions,
    "crossed": crossed,
}


def beside(theirs: Found | None, mine: Found) -> list[str]:
    """Return the cells of a rival: its time, and how many times ours that is."""
    return ["", ""] if theirs is None else [shown(theirs), f"{theirs['seconds'] / mine['seconds']:,.1f}"]


def shown(found: Found) -> str:
    """Return a time as text."""
    seconds = found["seconds"]
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1e3 * seconds:.3g} ms"


def saved(folder: Path, frame: pd.DataFrame) -> Path:
    """Write a table for R, all digits."""
    path = folder / "table.csv"
    frame.to_csv(path, index=False)
    return path


def from_r(kind: str, path: Path, times: int) -> Found | None:
    """Run dependent.R on a table, or return None without R and its packages."""
    command = rscript("dependent.R", kind, str(path), str(times))
    if command is None:
        return None
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout[done.stdout.index("{") :])


def alone(what: str, rows: int) -> Found:
    """Do one thing in a process of its own."""
    words = [sys.executable, str(Path(__file__)), what, str(rows)]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def task(what: str, rows: int) -> tuple[Callable[[], object], Callable[[object], float]]:
    """Return a call, and what a number to compare is read from."""
    if what == "un":
        frame = outcomes(rows)
        words = {"formula": "~ 0 + outcome", "struct": "UN", "rho": WITHIN}
        return lambda: mb.multilevel(frame, "~ outcome | study", **words, **COLUMNS), lambda fit: fit.loglik
    if what in CROSSED:
        frame = labs(rows, what)
        return lambda: mb.multilevel(frame, ["~ 1 | study", "~ 1 | lab"], **COLUMNS), lambda fit: fit.loglik
    frame = nested(rows)
    if what == "pool":
        return lambda: mb.pool(frame, **COLUMNS), lambda result: result.estimate.se
    if what == "three":
        return lambda: mb.multilevel(frame, "~ 1 | study/effect", **COLUMNS), lambda fit: fit.loglik
    if what == "leave-one-out":
        fit = mb.multilevel(frame, "~ 1 | study/effect", **COLUMNS)
        return fit.leave_one_out, lambda _: math.nan
    if what == "lm":
        return least_squares(frame), lambda tests: tests.se[1]
    fit = mb.multilevel(frame, "~ 1 | study/effect", formula="~ x1 + x2 + x3", **COLUMNS)
    return lambda: fit.robust("CR2"), lambda found: found.coefficients["x1"].se


def least_squares(frame: pd.DataFrame) -> Callable[[], object]:
    """Return the call that tests the coefficients of a regression with weights by CR2, its fit not counted."""
    X = np.column_stack([np.ones(len(frame)), frame[["x1", "x2", "x3"]]])
    study, weights = pd.factorize(frame["study"])[0], 1 / (frame["se"].to_numpy() ** 2 + 0.1)
    root = np.sqrt(weights)
    beta = np.linalg.lstsq(X * root[:, None], frame["y"].to_numpy() * root, rcond=None)[0]
    residuals = frame["y"].to_numpy() - X @ beta
    # clubSandwich takes the errors of lm to be alike, whatever its weights are
    return lambda: contrast_tests(beta, cluster_robust(X, residuals, weights, study, working=np.ones(len(frame))))


def times_of(what: str, rows: int) -> int:
    """Return how often a thing is timed: what takes many seconds once."""
    if what in CROSSED:
        return 3 if rows <= 2_000 else 1
    if what == "leave-one-out" or rows > 10_000:
        return 3
    return 51 if rows <= 1_000 else 11  # a few milliseconds need many


def one(what: str, rows: int) -> None:
    """Do one thing a few times and print the median of its processor seconds and the peak memory of the process."""
    call, number = task(what, rows)
    found = call()
    taken: list[float] = []
    for _ in range(times_of(what, rows)):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(json.dumps({"seconds": statistics.median(taken), "megabytes": peak, "number": float(number(found))}))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        one(sys.argv[1], int(sys.argv[2]))
    else:
        main(sys.argv[1:] or list(TABLES))
