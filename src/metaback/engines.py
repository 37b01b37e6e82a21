"""Where tasks run: in this process, in several processes of this machine, or on a Dask cluster.

A task is a function and one argument, both of which can be sent to another process. What a task returns does not depend
on where it ran, and results come in the order of the tasks; so the numbers are the same to the last bit everywhere.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from metaback.errors import FileError, OptionError

ENGINES = ("processes", "dask")
AHEAD = 2  # tasks that wait for each worker, so that none is idle and memory stays bounded
RETRIES = 3  # of a task whose worker is lost
LARGE = "1GB"  # a task carries its rows with it on purpose: rows that a lost worker held could not be brought back
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Engine:
    """How tasks are run.

    name: None (this process, or several with workers above 1), "processes" or "dask". workers: processes of this
    machine. scheduler: address of a Dask scheduler, e.g. "tcp://10.0.0.1:8786"; None starts a local cluster.
    """

    name: str | None = None
    workers: int = 1
    scheduler: str | None = None


def resolve_engine(name: str | None, workers: int | None, scheduler: str | None) -> Engine:
    """Check the words about where to run; every problem is told at once.

    >>> resolve_engine(None, 2, None).workers
    2
    """
    problems: list[str] = []
    if name is not None and name not in ENGINES:
        problems.append(str(OptionError.unknown("engine", name, ENGINES)))
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
        problems.append(f"workers={workers!r}: a whole number of at least 1 is needed")
    if scheduler is not None and name != "dask":
        problems.append("scheduler is the address of a Dask cluster; say engine='dask' too")
    if scheduler is not None and workers is not None:
        problems.append("workers are those of the cluster; leave out workers, or scheduler")
    if problems:
        raise OptionError("; ".join(problems))
    return Engine(name, workers or (2 if name is not None else 1), scheduler)


def run(work: Callable[[In], Out], tasks: Iterable[In], engine: Engine) -> Iterator[Out]:
    """Yield work(task) for every task, in order; tasks are taken as workers become free.

    An interrupt, or any other exception, ends the workers that were started here at once.
    """
    if engine.name == "dask":
        with _dask(engine) as (submit, workers):
            yield from _in_order(submit, work, tasks, workers)
    elif engine.workers > 1 or engine.name == "processes":
        with _processes(engine.workers) as submit:
            yield from _in_order(submit, work, tasks, engine.workers)
    else:
        yield from map(work, tasks)


def _in_order(
    submit: Callable[..., Any], work: Callable[[In], Out], tasks: Iterable[In], workers: int
) -> Iterator[Out]:
    """Keep a bounded number of tasks under way and yield their results in the order of the tasks."""
    under_way: deque[Any] = deque()
    for task in tasks:
        under_way.append(submit(work, task))
        if len(under_way) > AHEAD * workers:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


def _deaf() -> None:
    """Let the first process alone answer an interrupt from the keyboard, which reaches all of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _processes(workers: int) -> Generator[Callable[..., Future[Any]]]:
    """Give the submission of tasks to fresh processes, which end with the block."""
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _deaf)
    try:
        yield executor.submit
        executor.shutdown()
    finally:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        executor.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _dask(engine: Engine) -> Generator[tuple[Callable[..., Any], int]]:
    """Give the submission of tasks to a Dask cluster (of the address, or a local one of its own) and its workers."""
    try:
        distributed, dask = import_module("distributed"), import_module("dask")
    except ImportError:
        raise FileError("engine='dask' needs Dask: pip install metaback[dask]") from None
    where: dict[str, Any] = {"n_workers": engine.workers, "threads_per_worker": 1, "dashboard_address": None}
    if engine.scheduler is not None:
        where = {"address": engine.scheduler}
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": LARGE}):
        try:
            client: Any = distributed.Client(**where)
        except (OSError, ValueError) as error:
            raise FileError(f"scheduler={engine.scheduler!r} does not answer ({error})") from None
        with client:

            def submit(work: Any, task: Any) -> Any:
                return client.submit(work, task, pure=False, retries=RETRIES)

            yield submit, max(engine.workers, len(client.nthreads()))
