"""Where groups are pooled changes no bit: this process, two processes, a Dask cluster, and one that loses a worker."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback import many
from metaback.cli import main
from metaback.engines import Engine, resolve_engine, run


def table(groups: int = 400) -> pd.DataFrame:
    """Return groups of 1 to 9 studies."""
    rng = np.random.default_rng(1)
    names = np.repeat(np.arange(groups), rng.integers(1, 10, groups))
    v = rng.uniform(0.05, 0.5, names.size)
    return pd.DataFrame({"gene": names, "yi": rng.normal(0, 1, names.size), "vi": v})


@pytest.fixture
def many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut a small table into many tasks."""
    monkeypatch.setattr(many, "TASK_ROWS", 50)


def twice(value: int) -> int:
    """Return a number twice as large; stands here because workers must be able to find it."""
    return 2 * value


def slowly(value: int) -> int:
    """As `twice`, with time to lose a worker in."""
    time.sleep(0.2)
    return 2 * value


def failing(value: int) -> int:
    """Fail at the third task."""
    if value == 2:
        raise ValueError(str(value))
    return value


@pytest.mark.parametrize("engine", [Engine(), Engine("processes", 2)])
def test_results_come_in_the_order_of_the_tasks(engine: Engine) -> None:
    assert list(run(twice, range(20), engine)) == [2 * i for i in range(20)]


@pytest.mark.parametrize("engine", [Engine(), Engine("processes", 2)])
def test_an_error_of_a_task_reaches_the_caller(engine: Engine) -> None:
    with pytest.raises(ValueError, match="2"):
        list(run(failing, range(20), engine))


def test_tasks_are_made_as_workers_become_free() -> None:
    made: list[int] = []

    def tasks() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            yield i

    next(iter(run(twice, tasks(), Engine("processes", 2))))
    assert len(made) < 10


@pytest.mark.usefixtures("many_tasks")
@pytest.mark.parametrize("words", [{}, {"ci": "boot-percentile", "draws": 99, "rng": 7}])
def test_two_processes_give_the_same_bits(words: dict[str, Any]) -> None:
    frame = table(60)
    one = mb.pool_many(frame, by="gene", **words)
    two = mb.pool_many(frame, by="gene", workers=2, **words)
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_numbers_do_not_depend_on_where_tasks_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = table(200)
    one = mb.pool_many(frame, by="gene")
    monkeypatch.setattr(many, "TASK_ROWS", 7)
    pd.testing.assert_frame_equal(one, mb.pool_many(frame, by="gene"), rtol=1e-12, atol=1e-12)


def test_progress_is_told_in_rows() -> None:
    told: list[tuple[int, int]] = []
    frame = table(20)
    mb.pool_many(frame, by="gene", progress=lambda done, rows: told.append((done, rows)))
    assert told == [(len(frame), len(frame))]


def test_every_wrong_word_is_told_at_once() -> None:
    with pytest.raises(mb.OptionError, match=r"engine='spark'.*workers=True"):
        resolve_engine("spark", True, None)


# ---------------------------------------------------------------- Dask


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a cluster of two workers, each a process of its own."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made:
            yield made


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("many_tasks")
def test_a_cluster_gives_the_same_bits(cluster: Any) -> None:
    frame = table()
    one = mb.pool_many(frame, by="gene")
    found = mb.pool_many(frame, by="gene", engine="dask", scheduler=cluster.scheduler_address)
    pd.testing.assert_frame_equal(one, found, check_exact=True)


@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_is_survived(cluster: Any) -> None:
    """One of two workers is killed while tasks run on both."""
    victims = [worker.pid for worker in cluster.workers.values()]
    assert len(victims) == 2
    killer = threading.Timer(1.0, os.kill, (victims[0], signal.SIGKILL))
    killer.start()
    found = list(run(slowly, range(40), Engine("dask", 2, cluster.scheduler_address)))
    killer.join()
    assert found == [2 * i for i in range(40)]
    _wait_for_another(cluster, victims)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("many_tasks")
def test_a_worker_that_is_killed_while_groups_are_pooled_changes_no_bit() -> None:
    """One of two workers is killed when the first groups are done and most of the others are not."""
    distributed, told, victims = pytest.importorskip("distributed"), list[int](), list[int]()
    frame = table()
    words: dict[str, Any] = {"by": "gene", "ci": "boot-percentile", "draws": 99}
    one = mb.pool_many(frame, **words)

    def kill_one(done: int, _rows: int) -> None:
        if not told:
            os.kill(victims[0], signal.SIGKILL)
        told.append(done)

    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as fresh:
        victims += [worker.pid for worker in fresh.workers.values()]
        address = fresh.scheduler_address
        found = mb.pool_many(frame, engine="dask", scheduler=address, progress=kill_one, **words)
    assert len(victims) == 2
    assert told[0] < len(frame) / 10
    with pytest.raises(ProcessLookupError):
        os.kill(victims[0], 0)
    pd.testing.assert_frame_equal(one, found, check_exact=True)


def _wait_for_another(cluster: Any, victims: list[int]) -> None:
    """Wait until the cluster has started a worker in the place of a killed one: it was lost indeed."""
    deadline = time.monotonic() + 30
    while {worker.pid for worker in cluster.workers.values()} <= {*victims, None} and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not {worker.pid for worker in cluster.workers.values()} <= {*victims, None}


@pytest.mark.filterwarnings("ignore")
def test_the_command_takes_the_address_of_a_scheduler(cluster: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table(30).to_parquet(tmp_path / "in.parquet")
    words = ["--engine", "dask", "--scheduler", cluster.scheduler_address, "--out", str(tmp_path / "out.parquet")]
    before = cluster.scheduler.transition_counter
    with pytest.raises(SystemExit) as end:
        main(["pool", str(tmp_path / "in.parquet"), "--by", "gene", "-q", *words])
    assert not end.value.code
    assert cluster.scheduler.transition_counter > before  # it worked on this cluster, not on one of its own
    expected = mb.pool_many(tmp_path / "in.parquet", by="gene")
    found = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_of_its_own_is_started_and_ended(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    frame = table(30)
    found = mb.pool_many(frame, by="gene", engine="dask", workers=1)
    pd.testing.assert_frame_equal(mb.pool_many(frame, by="gene"), found, check_exact=True)
