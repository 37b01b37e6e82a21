"""Where tasks run: in this process, in several processes of this machine, or on a Dask cluster.

A task is a function and one argument, both of which can be sent to another process. What a task returns does not depend
on where it ran, and results come in the order of the tasks; so the numbers are the same to the last bit everywhere.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from metaback.errors import FileError, OptionError

ENGINES = ("processes", "dask")
AHEAD = 2  # tasks that wait for each worker, so that none is idle and memory stays bounded
RETRIES = 3  # of a task whose worker is lost
START = 60  # seconds within which the workers of a local cluster must have started
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


@contextmanager
def _interrupts_held() -> Generator[None]:
    """Hold an interrupt from the keyboard back until the block ends.

    What is started in the block keeps it back for good: Ctrl-C reaches every process of a terminal, and this one alone
    is to answer, also while another is still loading its libraries.
    """
    hold: Any = getattr(signal, "pthread_sigmask", None)  # Windows has none
    if hold is None:
        yield
        return
    resource_tracker.ensure_running()  # a helper of the library, whose start would let interrupts through again
    before = hold(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        hold(signal.SIG_SETMASK, before)


def _deaf() -> None:
    """Let the first process alone answer an interrupt where it could not be held back from the start."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Spawning(SpawnContext):
    """Starts fresh processes and remembers them, so that those of another run in this session are left alone."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **words: Any) -> SpawnProcess:  # pyright: ignore[reportIncompatibleVariableOverride]  # noqa: N802
        """Make a process."""
        self.started.append(SpawnProcess(*args, **words))
        return self.started[-1]


@contextmanager
def _processes(workers: int) -> Generator[Callable[..., Future[Any]]]:
    """Give the submission of tasks to fresh processes, which end with the block."""
    context = _Spawning()
    executor = ProcessPoolExecutor(workers, context, _deaf)

    def submit(work: Any, task: Any) -> Future[Any]:
        with _interrupts_held():  # a process is started by the first tasks
            return executor.submit(work, task)

    try:
        yield submit
        executor.shutdown()
    finally:
        for child in context.started:
            with suppress(ValueError):  # it has ended, and is closed
                child.terminate()
        executor.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _dask(engine: Engine) -> Generator[tuple[Callable[..., Any], int]]:
    """Give the submission of tasks to a Dask cluster (of the address, or a local one of its own) and its workers."""
    try:
        distributed, dask = import_module("distributed"), import_module("dask")
    except ImportError:
        raise FileError("engine='dask' needs Dask: pip install metaback[dask]") from None
    cluster = _local(distributed, dask, engine.workers) if engine.scheduler is None else _far(distributed, engine)
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": LARGE}), cluster as client:

        def submit(work: Any, task: Any) -> Any:
            return client.submit(work, task, pure=False, retries=RETRIES)

        yield submit, max(engine.workers, len(client.nthreads()))


@contextmanager
def _far(distributed: Any, engine: Engine) -> Generator[Any]:
    """Give a client of a cluster that runs already; what it has not begun it forgets when the client leaves."""
    try:
        client: Any = distributed.Client(engine.scheduler)
    except (OSError, ValueError) as error:
        raise FileError(f"scheduler={engine.scheduler!r} does not answer ({error})") from None
    with client:
        yield client


@contextmanager
def _local(distributed: Any, dask: Any, workers: int) -> Generator[Any]:
    """Give a client of a cluster on this machine, whose workers end with the block."""
    nannies: list[Any] = []

    def nanny(*args: Any, **words: Any) -> Any:
        nannies.append(distributed.Nanny(*args, **words))
        return nannies[-1]

    folder = TemporaryDirectory(prefix="metaback-", ignore_cleanup_errors=True)
    with folder as scratch, dask.config.set({"temporary-directory": scratch}):
        with _interrupts_held():  # a cluster without workers is there at once; they are started from its own thread
            words = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
            cluster = distributed.LocalCluster(n_workers=0, worker_class=nanny, **words)
            client = distributed.Client(cluster)
        try:
            cluster.scale(workers)
            _await_workers(client, workers)
            yield client
        except BaseException:
            with _silence("tornado.application"):  # tells of workers that were just starting
                _kill(nannies)
                client.close()
                cluster.close()
            raise
        client.close()
        cluster.close()


def _await_workers(client: Any, workers: int) -> None:
    """Wait until the workers have started."""
    try:
        client.wait_for_workers(workers, timeout=START)
    except TimeoutError:
        raise FileError(f"the workers of engine='dask' have not started within {START} seconds") from None


@contextmanager
def _silence(name: str) -> Generator[None]:
    """Let a log tell nothing within the block."""
    log = logging.getLogger(name)
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


def _kill(nannies: Iterable[Any]) -> None:
    """End workers at once: asked politely, they finish their tasks first, which takes seconds."""
    for nanny in nannies:
        nanny.close_gracefully()  # or it would start another worker in the place of a lost one
    workers = {nanny.pid for nanny in nannies}
    for child in multiprocessing.active_children():
        if child.pid in workers:
            child.kill()
