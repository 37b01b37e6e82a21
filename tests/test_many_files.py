"""Parquet in, Parquet out: any order of rows and any row groups give the same table, whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.data import parquet_groups

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
SAME = 1e-12  # groups that fall into other batches are summed in another order: rounding
AT_ONCE = 1.0  # seconds after an interrupt within which a run must have ended
SLACK = 2.5  # times as long for a machine that runs other tests beside this one


def table(groups: int = 60, seed: int = 1) -> pd.DataFrame:
    """Return groups of 1 to 9 studies that stand together."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 10, groups)
    names = np.repeat([f"g{i:04}" for i in rng.permutation(groups)], sizes)
    v = rng.uniform(0.05, 0.5, names.size)
    return pd.DataFrame(
        {"gene": names, "yi": rng.normal(0, 1, names.size), "vi": v, "arm": rng.choice(list("ab"), v.size)}
    )


def written(folder: Path, frame: pd.DataFrame, rows: int) -> Path:
    """Write a frame in row groups of some rows."""
    path = folder / "in.parquet"
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=rows)
    return path


def assert_same_table(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    found = found.astype({"gene": object})
    assert found.gene.tolist() == expected.gene.tolist()
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=SAME, atol=SAME)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read and split files in pieces of a few rows."""
    monkeypatch.setattr(parquet_groups, "BATCH_ROWS", 7)
    monkeypatch.setattr(parquet_groups, "PARTITION_ROWS", 50)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("rows", [1, 4, 10, 1000])
@pytest.mark.parametrize("mixed", [False, True])
def test_row_groups_and_the_order_of_rows_change_nothing(tmp_path: Path, rows: int, mixed: bool) -> None:
    frame = table()
    frame = frame.iloc[np.random.default_rng(2).permutation(len(frame))] if mixed else frame
    path = written(tmp_path, frame, rows)
    assert parquet_groups.open_parquet(path, columns()).together is not mixed
    assert_same_table(mb.pool_many(path, by="gene"), mb.pool_many(frame, by="gene"))


def columns() -> parquet_groups.GroupColumns:
    return parquet_groups.GroupColumns(("gene",), {"effect": "yi", "variance": "vi"})


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("words", [{"subgroups": "arm"}, {"moderators": "~ arm"}])
def test_subgroups_and_moderators_are_read_too(tmp_path: Path, mixed: bool, words: dict[str, Any]) -> None:
    frame = table(20)
    frame = frame.iloc[np.random.default_rng(2).permutation(len(frame))] if mixed else frame
    assert_same_table(
        mb.pool_many(written(tmp_path, frame, 5), by="gene", **words), mb.pool_many(frame, by="gene", **words)
    )


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    "keys",
    [[3, 3, None, 7, 7, 3], [None, 1.5, 1.5, -0.0, 0.0, 1.5], [0.5, None, np.nan, 0.5], ["b", None, "b", "a", "", "a"]],
)
def test_blank_keys_do_not_split_a_group(tmp_path: Path, keys: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch with a blank has other types in pandas; hashes of a key must not depend on it."""
    monkeypatch.setattr(parquet_groups, "BATCH_ROWS", 2)
    monkeypatch.setattr(parquet_groups, "PARTITION_ROWS", 3)
    made = pa.table({"gene": pa.array(keys), "yi": np.arange(len(keys)) / 10, "vi": np.full(len(keys), 0.1)})
    path = tmp_path / "in.parquet"
    pq.write_table(made, path)
    found = mb.pool_many(path, by="gene")
    expected = mb.pool_many(pd.DataFrame({"gene": keys, "yi": np.arange(len(keys)) / 10, "vi": 0.1}), by="gene")
    assert found.k.tolist() == expected.k.tolist()
    assert found.status.tolist() == expected.status.tolist()


def test_results_go_to_a_file_with_the_types_of_the_keys(tmp_path: Path) -> None:
    frame = table().assign(year=2020)
    out = tmp_path / "out.parquet"
    counts = mb.pool_many(written(tmp_path, frame, 20), by=["year", "gene"], out=out)
    assert counts.status.tolist() == ["converged"]
    assert counts.rows.tolist() == [60]
    stored = pq.read_table(out)
    assert str(stored.schema.field("year").type) == "int64"
    assert_same_table(stored.to_pandas(), mb.pool_many(frame, by=["year", "gene"]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def test_a_frame_goes_to_a_file_too_and_an_older_file_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    mb.pool_many(table(), by="gene", out=out)
    assert pq.read_table(out).num_rows == 60


def test_a_run_that_fails_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")

    def stop(_done: int, _rows: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        mb.pool_many(table(), by="gene", out=out, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
    assert out.read_bytes() == b"old"


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(mb.FileError, match="no such file"):
        mb.pool_many(tmp_path / "none.parquet", by="gene")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 is not enough")
    with pytest.raises(mb.FileError, match="cannot be read as Parquet"):
        mb.pool_many(broken, by="gene")
    with pytest.raises(mb.OptionError, match="by='gne'"):
        mb.pool_many(written(tmp_path, table(3), 5), by="gne")
    with pytest.raises(mb.FileError, match="there is no folder"):
        mb.pool_many(table(3), by="gene", out=tmp_path / "nowhere" / "out.parquet")


def test_an_empty_file_has_all_columns(tmp_path: Path) -> None:
    path = written(tmp_path, table(3).iloc[:0].astype({"gene": "string", "arm": "string"}), 5)
    found = mb.pool_many(path, by="gene")
    assert list(found.columns) == list(mb.pool_many(table(3), by="gene").columns)
    mb.pool_many(path, by="gene", out=tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


@pytest.mark.skipif(os.name == "nt", reason="sends an interrupt as a terminal of Unix does")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_ends_a_run_at_once_and_leaves_nothing(tmp_path: Path, workers: str) -> None:
    rng, n = np.random.default_rng(1), 2_000_000
    names = np.repeat(np.arange(n // 10), 10)
    big = pa.table({"gene": names, "yi": rng.normal(size=n), "vi": rng.uniform(0.1, 0.5, n)})
    pq.write_table(big, tmp_path / "in.parquet")
    code = (
        "import sys, metaback as mb\n"
        "def tell(done, rows):\n    sys.stdout.write('begun\\n'); sys.stdout.flush()\n"
        "if __name__ == '__main__':\n"
        "    mb.pool_many('in.parquet', by='gene', out='out.parquet', "
        f"workers={workers}, progress=tell)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    child = subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    begun = time.monotonic()
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: every process of the group
    _, errors = child.communicate(timeout=60)
    assert time.monotonic() - begun < AT_ONCE * SLACK
    assert child.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "run.py"]
