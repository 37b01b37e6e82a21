"""What every command that makes a report does on the way: stop at open errors, and tell how far it is."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from metaback.cli.options import given
from metaback.errors import OpenFindingsError, Problem
from metaback.postestimation.audit import Audit
from metaback.report.audit_words import idle_text, said, where

PATIENCE = 1.0  # seconds after which progress is shown


def stop_at_errors(audit: Audit, table: Path, *, accepted: bool) -> None:
    """Refuse a table with errors that nobody decided about, unless it was asked for in spite of them."""
    if accepted or not audit.unanswered:
        return
    problems = [
        Problem(
            f"{found.id}: {said(audit.trials, found).removesuffix('.')}",
            found.finding.fix,
            row=where(audit.trials, found.finding.rows),
        )
        for found in audit.unanswered
    ]
    same = shlex.join(["metaback", "check", str(table), *given(click.get_current_context())])
    stale = [f"The decision about {idle_text(audit, decision)}.\n" for decision in audit.idle]
    cure = "".join(stale) + (
        f"To decide: {same} --format plan > plan.toml, fill it in, and pool with --plan plan.toml.\n"
        "Or pool with --accept-findings, which the first lines of the report will say."
    )
    raise OpenFindingsError(audit.trials.source.name, problems, cure)


@contextmanager
def progress_of(quiet: bool) -> Generator[Callable[[str], None]]:
    """Show what is being done on standard error, on a terminal and after a second."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    begun = time.monotonic()
    with console.status("") as status:
        status.stop()

        def tell(title: str) -> None:
            if time.monotonic() - begun > PATIENCE:
                status.start()
            status.update(title)

        yield tell
