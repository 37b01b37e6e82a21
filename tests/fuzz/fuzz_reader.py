"""Feed the reader with damaged files and random tables; only the errors of metaback may come out.

    python tests/fuzz/fuzz_reader.py --minutes 15 --seed 1      until the time is over
    python tests/fuzz/fuzz_reader.py --inputs 500 --seed 1      a fixed number
    python tests/fuzz/fuzz_reader.py --seed 1 --only 1234       one input again, with its traceback

Every input is made of the seed and its number alone. It goes through `read_trials`, `recognise`, `contrasts`, `arms`
and `effect_sizes` in a child process that may take 1 GiB beyond its libraries and 10 seconds of work per input. Exit
status 1 and one line per finding where anything but a `MetabackError` comes out.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import os
import random
import select
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIMIT = 1 << 30  # bytes of memory beyond the libraries
PATIENCE = 10.0  # seconds of work that one input may take
ASLEEP = 120.0  # seconds without work or word, also at the start, on however busy a machine
BATCH = 20_000  # inputs of one child


# ---------------------------------------------------------------- the child: make an input, read it


def run(seed: int, first: int, count: int) -> None:
    """Read inputs in turn; write the number of each before, and what came out after."""
    import resource

    import corpus

    from metaback.errors import MetabackError

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + LIMIT, size + LIMIT))
    write({"ready": first})
    for number in range(first, first + count):
        write({"begins": number})
        kind, source = corpus.make(seed, number)
        found: dict[str, str] = {}
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            for step, act in corpus.STEPS.items():
                try:
                    act(source)
                    found[step] = "read"
                except MetabackError as error:
                    found[step] = type(error).__name__
                except BaseException as error:  # noqa: BLE001  this is what is looked for
                    found[step] = f"FINDING {type(error).__name__}: {error}"[:300]
        words = sorted({f"{w.category.__name__}: {w.message}"[:100] for w in warned})
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        write({"ends": number, "kind": kind, "found": found, "warned": words, "peak": peak})


def write(message: dict[str, Any]) -> None:
    """Write one line for the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def again(seed: int, number: int) -> int:
    """Make one input again, show it, and let its traceback out."""
    import corpus

    from metaback.errors import MetabackError

    kind, source = corpus.make(seed, number)
    sys.stdout.write(f"{kind}\n{source!r}\n"[:4_000] + "\n")
    wrong = 0
    for step, act in corpus.STEPS.items():
        try:
            act(source)
            sys.stdout.write(f"{step}: read\n")
        except MetabackError as error:
            sys.stdout.write(f"{step}: {type(error).__name__}: {error}\n")
        except BaseException:  # noqa: BLE001  this is what is looked for
            traceback.print_exc()
            wrong = 1
    return wrong


# ---------------------------------------------------------------- the parent: watch children


class Child:
    """One child process and the lines that it writes."""

    def __init__(self, seed: int, first: int, count: int) -> None:
        words = ["--child", "--seed", str(seed), "--only", str(first), "--inputs", str(count)]
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop()
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, *words], stdout=subprocess.PIPE, stderr=self.errors, env=environment
        )
        assert self.process.stdout is not None
        self.pipe = self.process.stdout.fileno()
        self.rest = b""

    def worked(self) -> float:
        """Return the seconds of processor time that the child has had: the clock on the wall also counts others."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def lines(self, patience: float) -> Iterator[dict[str, Any]] | None:
        """Return the messages that arrive in time; none at the end, None where nothing arrives."""
        if not select.select([self.pipe], [], [], patience)[0]:
            return None
        data = os.read(self.pipe, 1 << 16)
        *whole, self.rest = (self.rest + data).split(b"\n")
        return iter([json.loads(line) for line in whole] if data else [])

    def stop(self) -> str:
        """End the child and return the end of what it said."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        self.errors.close()
        return said[-1][:200] if said else f"status {self.process.returncode}"


class Tally:
    """What came out so far."""

    def __init__(self) -> None:
        self.inputs = self.peak = 0
        self.kinds: collections.Counter[str] = collections.Counter()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.warned: collections.Counter[str] = collections.Counter()
        self.findings: dict[str, list[int]] = {}
        self.slowest = (0.0, -1)

    def find(self, words: str, number: int) -> None:
        """Note an input from which something else than an error of metaback came out."""
        self.findings.setdefault(words, []).append(number)

    def add(self, message: dict[str, Any], seconds: float) -> None:
        """Count one input."""
        self.inputs += 1
        self.kinds[message["kind"]] += 1
        self.warned.update(message["warned"])
        self.peak = max(self.peak, message["peak"])
        self.slowest = max(self.slowest, (seconds, message["ends"]))
        for step, outcome in message["found"].items():
            word, _, rest = outcome.partition(" ")
            if word == "FINDING":
                self.find(f"{step}: {rest}", message["ends"])
            self.outcomes[f"{step}: {word}"] += 1


def watch(seed: int, first: int, last: int, end: float, tally: Tally) -> int:
    """Run one child until it is done, hangs, dies or the time is over; return the number to go on with."""
    child = Child(seed, first, last - first)
    current, begun, worked, done = first, time.monotonic(), math.inf, first
    while time.monotonic() < end:
        messages = child.lines(min(1.0, max(0.0, end - time.monotonic())))
        if messages is None:
            if child.worked() - worked > PATIENCE or time.monotonic() - begun > ASLEEP:
                tally.find(f"hangs for more than {PATIENCE:g} s", current)
                done = current + 1
                break
            continue
        arrived = list(messages)
        if not arrived and child.process.poll() is not None:
            if done < last:
                tally.find(f"the process died ({child.stop()})", current)
                return current + 1
            break
        for message in arrived:
            if "begins" in message:
                current, begun, worked = message["begins"], time.monotonic(), child.worked()
            elif "ends" in message:
                tally.add(message, time.monotonic() - begun)
                done = message["ends"] + 1
    child.stop()
    return done


def hunt(seed: int, seconds: float, inputs: int) -> Tally:
    """Run children until the time is over or all inputs were read."""
    tally, number, end = Tally(), 0, time.monotonic() + seconds
    while number < inputs and time.monotonic() < end:
        number = watch(seed, number, min(inputs, number + BATCH), end, tally)
    return tally


def report(seed: int, tally: Tally) -> str:
    """Write what came out."""
    lines = [f"seed {seed}: {tally.inputs} inputs, peak memory {tally.peak} MiB, findings: {len(tally.findings)}"]
    lines += [f"slowest input: {tally.slowest[1]} with {tally.slowest[0]:.2f} s"]
    lines += [f"  {count:7d}  {kind}" for kind, count in sorted(tally.kinds.items())]
    lines += [f"  {count:7d}  {outcome}" for outcome, count in sorted(tally.outcomes.items())]
    lines += [f"  {count:7d}  warning: {words}" for words, count in tally.warned.most_common(20)]
    for words, numbers in tally.findings.items():
        more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
        lines.append(f"FINDING {words} (inputs: {', '.join(map(str, numbers[:5]))}{more})")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Read the options and hunt."""
    parser = argparse.ArgumentParser(description="Fuzz the reader.")
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--inputs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--only", type=int, default=None)
    parser.add_argument("--child", action="store_true")
    asked = parser.parse_args()
    if asked.child:
        run(asked.seed, asked.only, asked.inputs)
        return 0
    if asked.only is not None:
        return again(asked.seed, asked.only)
    seconds = asked.minutes * 60 if asked.minutes is not None else 3600.0 if asked.inputs else 60.0
    tally = hunt(asked.seed, seconds, asked.inputs or sys.maxsize)
    sys.stdout.write(report(asked.seed, tally))
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
