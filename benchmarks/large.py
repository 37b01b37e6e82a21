"""Time the full default result of one pool, many moderators, a million effects and long tables; part of `make bench`.

python benchmarks/large.py             prints these tables alone
python benchmarks/large.py WHAT ROWS   does one thing in a process of its own; prints JSON (seconds, peak memory)
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from run import BCG, effects, in_turn, rscript, table

import metaback as mb
from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate

SIZES = (1_000, 10_000, 100_000, 1_000_000)
MODERATORS = 10
MANY = 4_000
R_SIZES = (1_000, 2_000)  # metafor takes minutes at 4,000, and its memory grows with the square
WALD = PoolSpec(ci="Wald", pi="none")


def main() -> None:
    """Print the tables."""
    full_result()
    moderators()
    growth()
    long_tables()


def simulated(k: int, p: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return k effects, their variances, and a design of p columns, or None for a mean alone."""
    rng = np.random.default_rng(20_260_101)
    v = rng.uniform(0.05, 0.5, k)
    X = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))]) if p > 1 else None
    return rng.normal(0.2, np.sqrt(v + 0.1)), v, X


def from_r(*words: str) -> dict | None:
    """Run large.R, or return None without R and metafor."""
    command = rscript("large.R", *words)
    if command is None:
        print("R with metafor is not installed.")
        return None
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout[done.stdout.index("{") :])


def full_result() -> None:
    """Time everything that one pool of 13 studies returns, against R's fit, intervals and prediction."""
    es = effects(*BCG)
    rounds: list[tuple[float, float]] = []
    version = ""
    for _ in range(3):
        mine = in_turn({"mine": lambda: mb.pool(es)}, repeat=50, rounds=5)["mine"]
        theirs = from_r("full")
        version = theirs["version"] if theirs else ""
        rounds.append((mine, theirs["seconds"][0] if theirs else math.nan))
    mine, theirs = (sorted(pair[i] for pair in rounds)[1] for i in (0, 1))
    rows = [("metaback `pool()`, full default result", mine, "")]
    if version:
        rows.append((f"metafor {version} `rma()` + `confint()` + `predict()`", theirs, ""))
    table("One pool with all that it tells, k = 13 (processor seconds)", rows)


def moderators() -> None:
    """Time REML with ten moderators at 4,000 effects; metafor is scaled from smaller sizes by its own exponent."""
    y, v, X = simulated(MANY, MODERATORS + 1)
    call: Callable[[], object] = lambda: fit_univariate(y, v, np.ones(MANY, dtype=bool), WALD, X)  # noqa: E731
    rows = [("metaback", in_turn({"mine": call}, repeat=1, rounds=7)["mine"], "")]
    theirs = from_r("moderators", *map(str, R_SIZES))
    if theirs:
        exponent = math.log(theirs["seconds"][1] / theirs["seconds"][0]) / math.log(R_SIZES[1] / R_SIZES[0])
        seconds = theirs["seconds"][1] * (MANY / R_SIZES[1]) ** exponent
        measured = ", ".join(f"{s:.1f} s at {k:,}" for k, s in zip(R_SIZES, theirs["seconds"], strict=True))
        remark = f"scaled: {measured}, so k^{exponent:.2f}"
        rows.append((f"metafor {theirs['version']} `rma()`", seconds, remark))
    table(f"REML with {MODERATORS} moderators, k = {MANY:,} (processor seconds)", rows)


def growth() -> None:
    """Time and weigh fits from a thousand to a million effects, each size in a process of its own."""
    print("\n## One REML fit by number of effects, processor seconds and peak memory of the process\n")
    print("| k | mean alone | memory | 10 moderators | memory |\n|---|---|---|---|---|")
    taken: dict[str, list[float]] = {"mean": [], "moderators": []}
    for k in SIZES:
        cells = []
        for what, seconds in taken.items():
            found = alone(what, k)
            seconds.append(found["seconds"])
            cells += [f"{1e3 * found['seconds']:.3g} ms", f"{found['megabytes']:.0f} MB"]
        print(f"| {k:,} | {' | '.join(cells)} |")
    for what, seconds in taken.items():
        slope = float(np.polyfit(np.log(SIZES), np.log(seconds), 1)[0])
        last = math.log(seconds[-1] / seconds[-3]) / math.log(SIZES[-1] / SIZES[-3])
        print(f"\n{what}: grows as k^{slope:.2f} over all sizes, k^{last:.2f} from {SIZES[-3]:,} to {SIZES[-1]:,}.")
    found = alone("result", SIZES[-1])
    print(f"\nFull default result of {SIZES[-1]:,} effects: {found['seconds']:.2f} s, {found['megabytes']:.0f} MB.")


def long_tables() -> None:
    """Time effect sizes of checked tables, with SDs and with standard errors in their place."""
    print("\n## Standardised mean differences of a checked table, processor seconds and peak memory\n")
    print("| rows | with SDs | memory | with SEs, each derivation on record | memory |\n|---|---|---|---|---|")
    for k in SIZES[-2:]:
        found = [alone(what, k) for what in ("sd", "se")]
        cells = [cell for one in found for cell in (f"{one['seconds']:.1f} s", f"{one['megabytes']:.0f} MB")]
        print(f"| {k:,} | {' | '.join(cells)} |")


def alone(what: str, k: int) -> dict[str, float]:
    """Do one thing in a process of its own."""
    words = [sys.executable, str(Path(__file__)), what, str(k)]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def arms(k: int, spread: str) -> pd.DataFrame:
    """Return a table of k trials with means and `sd` or `se`."""
    rng = np.random.default_rng(20_260_101)
    columns: dict[str, object] = {"study": [f"Trial {i}" for i in range(k)]}
    for arm in (1, 2):
        n, sd = rng.integers(8, 61, k), rng.uniform(4, 20, k).round(2)
        columns |= {f"n_{arm}": n, f"mean_{arm}": rng.uniform(10, 60, k).round(2)}
        columns[f"{spread}_{arm}"] = sd if spread == "sd" else (sd / np.sqrt(n)).round(3)
    return pd.DataFrame(columns)


def one(what: str, k: int) -> None:
    """Do one thing a few times (long tables once) and print the median of its processor seconds and peak memory."""
    if what in ("sd", "se"):
        trials = mb.read_trials(arms(k, what))
        calls, times = (lambda: mb.effect_sizes(trials, measure="SMD")), 1
    else:
        y, v, X = simulated(k, MODERATORS + 1 if what == "moderators" else 1)
        es = effects(y, v) if what == "result" else None
        mask = np.ones(k, dtype=bool)
        calls = (lambda: mb.pool(es)) if es is not None else (lambda: fit_univariate(y, v, mask, WALD, X))
        times = 7 if k < SIZES[-1] else 3
        calls()
    taken = []
    for _ in range(times):
        begun = time.process_time()
        calls()
        taken.append(time.process_time() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(json.dumps({"seconds": float(np.median(taken)), "megabytes": peak}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(sys.argv[1], int(sys.argv[2]))
    else:
        main()
