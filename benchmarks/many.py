"""Time pooling by the thousand and the million: arrays, and a Parquet file of a million groups; part of `make bench`.

python benchmarks/many.py          prints these tables alone
python benchmarks/many.py GROUPS   pools a file of so many groups in a process of its own; prints JSON
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from run import PROBLEMS, STUDIES, from_r, in_turn, simulated, table

import metaback as mb

GROUPS = 1_000_000
WORKERS = 2
PART = 100_000  # groups that are made and written at a time


def main() -> None:
    """Print the tables."""
    arrays()
    if parquet_is_here():
        million_groups()
    else:
        print("pyarrow is not installed.")


def parquet_is_here() -> bool:
    """Tell whether Parquet files can be written."""
    return find_spec("pyarrow") is not None


def arrays() -> None:
    """Time 100,000 pools of 20 studies as arrays: the quick request, and the default one with all it tells."""
    y, v = simulated()
    found = in_turn(
        {
            "pool_arrays, REML and Wald, Q-profile": lambda: mb.pool_arrays(y, v, preset="metafor", pi="none"),
            "pool_arrays, default: also Hartung-Knapp and prediction intervals": lambda: mb.pool_arrays(y, v),
        },
        repeat=1,
        rounds=5,
    )
    rows = [(name, seconds, f"{1e6 * seconds / PROBLEMS:.2f} us a pool") for name, seconds in found.items()]
    title = "100,000 pools of 20 studies with heterogeneity, Q and flags, one call (processor seconds)"
    table(title, rows + from_r("many", PROBLEMS))


def write_groups(path: Path, groups: int) -> None:
    """Write a long table of groups of 20 studies."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(20_260_101)
    schema = pa.schema([("outcome_id", pa.int64()), ("yi", pa.float64()), ("vi", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, groups, PART):
            ids = np.repeat(np.arange(start, min(start + PART, groups)), STUDIES)
            v = rng.uniform(0.05, 0.5, ids.size)
            y = rng.normal(0.0, 1.0, ids.size) * np.sqrt(v + 0.1)
            writer.write_table(pa.table([ids, y, v], schema=schema))


def million_groups() -> None:
    """Time a file of a million groups to a file of a million results, default request, on two processes.

    R fits 300 groups with rma in the same run, scaled to all of them: it would take hours. It is not asked to read and
    write the files.
    """
    words = [sys.executable, str(Path(__file__)), str(GROUPS)]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    remark = f"{found['processor']:.0f} processor seconds; at most {found['megabytes']:,.0f} MB in all processes"
    table(f"{GROUPS:,} groups of {STUDIES} studies, Parquet to Parquet, {WORKERS} processes (wall seconds)",
          [("metaback pool_many, default request", found["wall"], remark), *from_r("many", GROUPS)])  # fmt: skip


def child(groups: int) -> None:
    """Pool a file and print wall and processor seconds, and the sum of the peaks of all processes."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "big.parquet", Path(folder) / "out.parquet"
        write_groups(path, groups)
        before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        mb.pool_many(path, by="outcome_id", workers=WORKERS, out=out, progress=False)
        wall = time.perf_counter() - begun
        own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        used = own.ru_utime + own.ru_stime - before.ru_utime - before.ru_stime + others.ru_utime + others.ru_stime
        peak = (own.ru_maxrss + WORKERS * others.ru_maxrss) / 1000
    print(json.dumps({"wall": wall, "processor": used, "megabytes": peak}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(int(sys.argv[1]))
    else:
        main()
