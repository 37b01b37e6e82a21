"""Time questions to a fit beside metafor: leave-one-out, GOSH, permutations and the bootstrap; part of `make bench`.

python benchmarks/questions.py     prints this table alone
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import numpy as np
import pandas as pd
from run import effects, in_turn, rscript, table

import metaback as mb
from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate

PERMUTATIONS = BOOTSTRAPS = 10_000
WALD = PoolSpec(ci="Wald", pi="none")


def main() -> None:
    """Print the tables."""
    ask("leave1out", "Leave-one-out, k = 100", leave_one_out(100), 1)
    ask("gosh", "GOSH of all 32,767 subsets, k = 15", gosh(15), 2**15 - 1)
    ask("permutation", f"{PERMUTATIONS:,} permutations, k = 20, one moderator", permutation(20), PERMUTATIONS)
    ask("bootstrap", f"{BOOTSTRAPS:,} bootstrap fits by REML, k = 20", bootstrap(20), BOOTSTRAPS)


def simulated(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return k effects, their variances and a moderator."""
    rng = np.random.default_rng(20_260_101)
    v = rng.uniform(0.05, 0.5, k)
    return rng.normal(0.2, np.sqrt(v + 0.1)), v, rng.normal(size=k)


def leave_one_out(k: int) -> Callable[[], object]:
    """Return the call that leaves out each study."""
    result = mb.pool(effects(*simulated(k)[:2]), preset="metafor")
    return result.leave_one_out


def gosh(k: int) -> Callable[[], object]:
    """Return the call that pools all subsets."""
    result = mb.pool(effects(*simulated(k)[:2]), preset="metafor")
    return result.gosh


def permutation(k: int) -> Callable[[], object]:
    """Return the call that shuffles the studies of a regression."""
    y, v, x = simulated(k)
    frame = pd.DataFrame({"y": y, "se": np.sqrt(v), "x": x})
    fit = mb.regress(frame, "~ x", effect="y", se="se", preset="metafor")
    return lambda: fit.permutation_test(n=PERMUTATIONS)


def bootstrap(k: int) -> Callable[[], object]:
    """Return the call that fits samples from the model."""
    _, v, _ = simulated(k)
    drawn = np.random.default_rng(1).normal(0.2, np.sqrt(v + 0.1), (BOOTSTRAPS, k))
    mask = np.ones(k, dtype=bool)
    return lambda: fit_univariate(drawn, v, mask, WALD)


def ask(kind: str, title: str, call: Callable[[], object], times: int) -> None:
    """Time one question, and R on the same or on a part of it."""
    mine = in_turn({"mine": call}, repeat=20 if kind == "leave1out" else 1, rounds=5)["mine"]
    rows = [("metaback", mine, "")]
    command = rscript("questions.R", kind)
    if command is None:
        print("R with metafor is not installed.")
    else:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout[done.stdout.index("{") :])
        part = "" if found["part"] == 1 else f"scaled from {found['part']}"
        rows.append((f"metafor {found['version']}", found["seconds"] * times, part))
    table(f"{title} (processor seconds)", rows)


if __name__ == "__main__":
    main()
