"""What `metaback pool` does; its options and its help are in `pool.py`, which does not wait for this."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metaback.bundle import Checked, Origin, write_report
from metaback.cli.asked import Asked, asked
from metaback.cli.many import is_many, refuse_without_many, run_many
from metaback.cli.options import given
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import FileError, OpenFindingsError, Problem
from metaback.models.plans import Plan
from metaback.postestimation.audit import Audit, audit_table
from metaback.postestimation.summary import Analysis
from metaback.postestimation.table import TableAnalysis, analyse_table, effects_of_table
from metaback.report.audit_words import idle_text, said, where
from metaback.report.bibliography import reference_list
from metaback.report.frames import listed_record
from metaback.report.methods import methods_text
from metaback.report.plan_sections import status_line
from metaback.report.plan_toml import resolved_toml
from metaback.report.records import json_text, results_record
from metaback.report.tables import overview_table
from metaback.report.text import summary_text

SHORT = ("Comparison", "Studies", "Measure", "P", "I\u00b2")  # columns of the overview that fit a terminal
PATIENCE = 1.0  # seconds after which progress is shown


def run(table: Path | None, options: dict[str, Any]) -> None:
    """Pool a table and write its report, or print its results; a long table goes to a Parquet file."""
    if table is not None and is_many(options):
        run_many(table, {**options, "preset": options["preset"] or "cochrane"})
        return
    refuse_without_many(options)
    found = asked(table, options)
    spec, request = found.planned.spec, found.planned.request
    if options["dry_run"]:
        click.echo(dry_run(found, effects_of_table(found.trials, spec, request)))
        return
    with _progress(options["quiet"]) as tell:
        tell("checking the table")
        audit = audit_table(found.trials, spec, request, found.planned.decisions)
        _stop_at_errors(audit, found.table, accepted=options["accept_findings"])
        done = analyse_table(audit.trials, spec, replace(request, answers=audit.answers), tell)
        report = options["output"] == "report"
        names = _write(found, done, audit, options, tell) if report else ()
    if options["output"] == "json":
        click.echo(_json(done).encode(), nl=False)
    elif options["output"] == "text":
        click.echo(_text(done))
    elif not options["quiet"]:
        _show(done, options["out"], len(names))


def _stop_at_errors(audit: Audit, table: Path, *, accepted: bool) -> None:
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


def _write(
    found: Asked,
    done: TableAnalysis,
    audit: Audit,
    options: dict[str, Any],
    tell: Callable[[str], None],
) -> tuple[str, ...]:
    """Write the report with the command that makes it again."""
    words: tuple[str, ...] = click.get_current_context().obj
    out = options["out"]
    if out.resolve() == found.table.resolve():
        raise FileError(f"--out {out} is the table itself")
    checked = Checked(audit, accepted=options["accept_findings"])
    keep = (found.table,) if options["plan"] is None else (found.table, options["plan"])
    planned = found.planned
    written = (planned.plan or Plan()).report
    layout = options["layout"] or written.layout or "standard"
    origin = Origin(
        audit.trials.source, planned.spec, checked, words, found.plan, planned.request, planned, found.roles, layout
    )
    formats = options["formats"] or written.formats
    return write_report(out, done, origin, force=options["force"], keep=keep, formats=formats, progress=tell)


def dry_run(found: Asked, effects: EffectSizes) -> str:
    """Write the resolved plan, the hash of the plan that is registered, and the methods paragraph."""
    plan = found.planned.plan or Plan()
    parts = [resolved_toml(plan, found.planned.spec), f"# Table: {found.table} ({len(found.trials)} rows)"]
    if found.plan is not None:
        parts.append(f"# {status_line(plan, found.plan.sha256, found.planned.overridden)}")
    parts += [f"# {words}" for words in found.planned.overridden]
    text, keys = methods_text(found.planned.spec, effects)
    sources = [f"{number}. {source}" for number, source in enumerate(reference_list(keys), 1)]
    return "\n".join([*parts, "", text, "", *sources])


def _json(done: TableAnalysis) -> str:
    """Write the results as JSON."""
    return json_text({**results_record(done.analyses), "listed": listed_record((), done.unpooled)})


def _text(done: TableAnalysis) -> str:
    """Write the results as text."""
    parts = [summary_text(analysis, hint=False) for analysis in done.analyses]
    parts += [
        f"{row['comparison']}: {row['study']} ({row['row']}) not pooled: {row['reason']}"
        for row in listed_record((), done.unpooled)
    ]
    return "\n\n".join(parts)


def _show(done: TableAnalysis, out: Path, files: int) -> None:
    """Print a short table of the answers and where the report is."""
    pooled = tuple(analysis for analysis in done.analyses if analysis.overall.k > 1)
    single = tuple(analysis for analysis in done.analyses if analysis.overall.k == 1)
    console = Console()
    if pooled:
        console.print(_overview(pooled))
    rest = len(listed_record(single, done.unpooled))
    if rest:
        plain = "row" if rest == 1 else "rows"
        console.print(f"Listed, not pooled: {rest} {plain} (one study, or no effect).", markup=False)
    console.print(f"Report: {out / 'report.html'} ({files} files)", markup=False, highlight=False, soft_wrap=True)


def _overview(pooled: tuple[Analysis, ...]) -> Table:
    """Return the columns of the overview that fit a terminal."""
    source = overview_table(pooled)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    kept = [i for i, head in enumerate(source.head) if head in SHORT or head.startswith("Estimate")]
    for i in kept:
        shown.add_column(source.head[i], justify="right" if source.numeric[i] else "left", no_wrap=source.numeric[i])
    for row in source.rows:
        shown.add_row(*(escape(row[i]) for i in kept))
    return shown


@contextmanager
def _progress(quiet: bool) -> Generator[Callable[[str], None]]:
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
