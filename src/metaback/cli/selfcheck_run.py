"""What `metaback selfcheck` does; its options and its help are in `selfcheck.py`, which does not wait for this."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metaback.digits import (
    FAILS,
    HEAD,
    NIST_HEAD,
    SelfCheck,
    line_rows,
    nist_rows,
    protocol_text,
    record,
    selfcheck,
    verdict_text,
)
from metaback.errors import FileError
from metaback.report.records import json_text

LEFT_OUT = frozenset({"worst_case", "condition", "attainable"})  # columns of the protocol that do not fit a terminal


def free_name(folder: Path, day: str) -> Path:
    """Return the first of selfcheck-DAY.md, selfcheck-DAY-2.md, ... that does not exist."""
    names = (f"selfcheck-{day}.md" if n == 1 else f"selfcheck-{day}-{n}.md" for n in count(1))
    return next(folder / name for name in names if not (folder / name).exists())


def write_text(path: Path, text: str, *, force: bool) -> None:
    """Write a file whole or not at all; one that exists is replaced only by `force`. Raises `FileError`."""
    if path.exists() and not force:
        raise FileError(f"'{path}' exists; choose another --out, or replace it with --force")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise FileError(f"cannot write '{path}': {error.strerror or error}; no file was changed") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def run(out: Path | None, output: str, *, force: bool) -> None:
    """Count the digits, print them and write the protocol; leave with exit code 1 where a promise does not hold."""
    if out is not None and out.exists() and not force:  # said before the work, not after it
        raise FileError(f"'{out}' exists; choose another --out, or replace it with --force")
    check = selfcheck()
    now = datetime.now(UTC)
    if output == "json":
        click.echo(json_text(record(check)), nl=False)
    else:
        _show(check)
        out = free_name(Path(), f"{now:%Y-%m-%d}") if out is None else out
    if out is not None:
        write_text(out, protocol_text(check, f"{now:%Y-%m-%d %H:%M}"), force=force)
        click.echo(f"Protocol: {out}", err=output == "json")
    click.get_current_context().exit(0 if check.ok else 1)


def _show(check: SelfCheck) -> None:
    """Print both tables and the verdict as wide as the terminal is."""
    console = Console()
    for head, rows in ((HEAD, line_rows(check)), (NIST_HEAD, nist_rows(check))):
        shown = [j for j, word in enumerate(head) if word not in LEFT_OUT]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for j in shown:
            table.add_column(head[j].replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(escape(row[j]) for j in shown), style="bold red" if row[-1] == FAILS else None)
        console.print(table)
    click.echo(verdict_text(check))
