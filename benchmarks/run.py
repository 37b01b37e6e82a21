"""Time metaback beside named rivals in one run: `make bench`.

Whole processes are timed from outside (wall and processor seconds), kernels inside one process after a warm-up; each
figure is the median of several rounds, and rivals take turns so that a change of the machine's speed hits all alike.
Rivals that are not installed are passed over and said to be. Install them with: pip install pymare pystatsbio, and R
with its package metafor.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import PoolSpec, resolve_spec
from metaback.models.univariate import fit_univariate
from metaback.postestimation.analysis import analyse
from metaback.stats.measures import MEASURES

HERE = Path(__file__).parent
TABLE = HERE.parent / "data" / "trials.csv"
PROBLEMS, STUDIES = 100_000, 20
ROWS = 1_000_000
BCG = np.array(  # log risk ratios of 13 trials of BCG vaccine and their variances (Colditz et al. 1994)
    [
        [
            -0.8893,
            -1.5854,
            -1.3481,
            -1.4416,
            -0.2175,
            -0.7861,
            -1.6209,
            0.0120,
            -0.4694,
            -1.3713,
            -0.3394,
            0.4459,
            -0.0173,
        ],
        [0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325, 0.0714],
    ]
)
WALD = PoolSpec(ci="Wald", pi="none")
Clock = Callable[[], float]


def main() -> None:
    """Run all benchmarks and print them as Markdown."""
    sys.stdout.reconfigure(line_buffering=True)  # the lines of child processes stand in order
    print("# Timings\n")
    print(f"Python {sys.version.split()[0]}, numpy {np.__version__}, {os.cpu_count()} processors.\n")
    whole_process()
    one_fit()
    many_fits()
    million_rows()
    subprocess.run([sys.executable, str(HERE / "large.py")], check=True)
    subprocess.run([sys.executable, str(HERE / "many.py")], check=True)
    subprocess.run([sys.executable, str(HERE / "questions.py")], check=True)
    subprocess.run([sys.executable, str(HERE / "multiverse.py")], check=True)
    subprocess.run([sys.executable, str(HERE / "dependent.py")], check=True)


def table(title: str, rows: list[tuple[str, float, str]]) -> None:
    """Print medians and their ratio to the first row."""
    print(f"\n## {title}\n\n| what | median | times metaback | remark |\n|---|---|---|---|")
    base = rows[0][1]
    for name, seconds, remark in rows:
        unit = f"{seconds:.2f} s" if seconds >= 0.1 else f"{1e3 * seconds:.3g} ms"
        print(f"| {name} | {unit} | {seconds / base:.2f} | {remark} |")


def timed(call: Callable[[], object], repeat: int) -> float:
    """Return processor seconds of one call, averaged over `repeat` calls."""
    begun = time.process_time()
    for _ in range(repeat):
        call()
    return (time.process_time() - begun) / repeat


def in_turn(calls: dict[str, Callable[[], object]], repeat: int, rounds: int) -> dict[str, float]:
    """Return the median processor seconds of each call, taken in turns."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(timed(call, repeat))
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def child(words: list[str]) -> tuple[float, float]:
    """Run a process and return its wall and processor seconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(words, check=True, capture_output=True, env=compiled)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rscript(name: str, *words: str) -> list[str] | None:
    """Return the command that runs an R script of this folder, or None without R and metafor."""
    found = shutil.which("Rscript")
    if found is None:
        return None
    probe = subprocess.run([found, "-e", "library(metafor)"], check=False, capture_output=True)
    return [found, str(HERE / name), *words] if probe.returncode == 0 else None


def whole_process() -> None:
    """Time from process start to finished report."""
    with tempfile.TemporaryDirectory() as folder:
        ours = [sys.executable, "-m", "metaback", "pool", str(TABLE), "-q", "--out"]
        commands = {"metaback pool data/trials.csv": ours}
        rival = rscript("report.R", str(TABLE))
        if rival:
            commands["R, metafor: fits and forest plots of the same comparisons (no report)"] = rival
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(4):
            for number, (name, words) in enumerate(commands.items()):
                taken[name].append(child([*words, str(Path(folder) / f"out-{number}-{turn}")]))
    rows = []
    for name, pairs in taken.items():
        wall, processor = (statistics.median(pair[i] for pair in pairs[1:]) for i in (0, 1))
        rows.append((name, processor, f"wall {wall:.2f} s"))
    table("Process start to finished output (processor seconds)", rows)


def effects(y: np.ndarray, v: np.ndarray) -> EffectSizes:
    """Wrap effects and variances."""
    k = y.size
    names = tuple(f"Study {i}" for i in range(k))
    blank = ("",) * k
    return EffectSizes(y, v, np.ones(k, dtype=bool), names, names, np.arange(k), "GEN", {}, blank, blank, blank, {})


def one_fit() -> None:
    """Time one REML fit of 13 studies (the trials of BCG vaccine, log risk ratios)."""
    y, v = BCG
    mask, es, spec = np.ones(13, dtype=bool), effects(y, v), resolve_spec("cochrane")
    calls: dict[str, Callable[[], object]] = {
        "metaback, kernel (tau2, mean, interval, likelihood)": lambda: fit_univariate(y, v, mask, WALD),
        "metaback, full default result (Q, tau2 interval, I2, prediction, notes)": lambda: analyse(es, spec),
    }
    add_rivals(calls, y, v)
    found = in_turn(calls, repeat=30, rounds=7)
    rows = [(name, seconds, "") for name, seconds in found.items()]
    table("One REML fit, k = 13 (processor seconds)", rows + from_r("one", 1))


def add_rivals(calls: dict[str, Callable[[], object]], y: np.ndarray, v: np.ndarray) -> None:
    """Add the Python rivals that are installed."""
    try:
        from pymare import meta_regression

        calls["PyMARE 0.0.13"] = lambda: meta_regression(y, v, method="REML").to_df()
    except ImportError:
        print("PyMARE is not installed.")
    try:
        from pystatsbio.meta import rma

        calls["pystatsbio"] = lambda: rma(y, v, method="REML")
    except ImportError:
        print("pystatsbio is not installed.")


def simulated() -> tuple[np.ndarray, np.ndarray]:
    """Return 100,000 meta-analyses of 20 studies with variances that differ by a factor of ten."""
    rng = np.random.default_rng(20_260_101)
    v = rng.uniform(0.05, 0.5, (PROBLEMS, STUDIES))
    return rng.normal(0.0, 1.0, (PROBLEMS, STUDIES)) * np.sqrt(v + 0.1), v


def many_fits() -> None:
    """Time 100,000 REML fits of 20 studies in one call."""
    y, v = simulated()
    mask = np.ones(y.shape, dtype=bool)
    calls: dict[str, Callable[[], object]] = {"metaback": lambda: fit_univariate(y, v, mask, WALD)}
    try:
        from pymare.estimators import VarianceBasedLikelihoodEstimator

        left, right, X = y.T.copy(), v.T.copy(), np.ones((STUDIES, 1))
        fit = VarianceBasedLikelihoodEstimator(method="REML").fit
        calls["PyMARE 0.0.13 (vectorised)"] = lambda: fit(left, right, X)
    except ImportError:
        print("PyMARE is not installed.")
    found = in_turn(calls, repeat=1, rounds=5)
    rows = [(name, seconds, f"{1e6 * seconds / PROBLEMS:.2f} us a fit") for name, seconds in found.items()]
    table("100,000 REML fits, k = 20, one call (processor seconds)", rows + from_r("many", PROBLEMS))


def million_rows() -> None:
    """Time effect sizes of a million rows: the functions on arrays, and R's escalc on as many rows of the same kind."""
    rng = np.random.default_rng(20_260_101)
    n_1, n_2 = (rng.integers(8, 61, ROWS).astype(float) for _ in range(2))
    mean_1, mean_2 = (rng.uniform(10, 60, ROWS) for _ in range(2))
    sd_1, sd_2 = (rng.uniform(4, 20, ROWS) for _ in range(2))
    means = (n_1, mean_1, sd_1, n_2, mean_2, sd_2)
    counts = (
        rng.binomial(n_1.astype(int), 0.3).astype(float),
        n_1,
        rng.binomial(n_2.astype(int), 0.4).astype(float),
        n_2,
    )
    for key, columns in (("SMD", means), ("ROM", means), ("OR", counts)):
        function = MEASURES[key].function
        found = in_turn({"metaback": lambda: function(*columns)}, repeat=1, rounds=5)  # noqa: B023
        rows = [(f"metaback {key}", found["metaback"], f"{1e9 * found['metaback'] / ROWS:.0f} ns a row")]
        table(f"{key} of a million rows (processor seconds)", rows + escalc(key))


def escalc(key: str) -> list[tuple[str, float, str]]:
    """Time metafor's escalc on a million rows."""
    words = rscript("measures.R", key, str(ROWS))
    if words is None:
        print("R with metafor is not installed.")
        return []
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return [(f"metafor {found['version']} escalc()", found["seconds"], "")]


def from_r(kind: str, times: int) -> list[tuple[str, float, str]]:
    """Time metafor's rma inside R on the same kind of problem; a loop is timed on a part and scaled."""
    words = rscript("fits.R", kind)
    if words is None:
        print("R with metafor is not installed.")
        return []
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    seconds = float(found["seconds_per_fit"]) * times
    remark = "" if times == 1 else f"scaled from a loop of {found['fits']} fits"
    return [(f"metafor {found['version']} rma()", seconds, remark)]


if __name__ == "__main__":
    main()
