"""What `metaback pool` does; its options and its help are in `pool.py`, which does not wait for this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metaback.bundle import Checked, Origin, write_report
from metaback.cli.asked import Asked, asked, plan_of
from metaback.cli.later import later
from metaback.cli.many import is_many, refuse_without_many, run_many
from metaback.cli.running import progress_of, stop_at_errors
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import FileError
from metaback.models.plans import Plan
from metaback.postestimation.audit import Audit, audit_table
from metaback.postestimation.summary import Analysis
from metaback.postestimation.table import TableAnalysis, analyse_table, effects_of_table
from metaback.report.bibliography import reference_list
from metaback.report.frames import listed_record
from metaback.report.methods import methods_text
from metaback.report.plan_sections import status_line
from metaback.report.plan_toml import resolved_toml
from metaback.report.records import json_text, results_record
from metaback.report.tables import overview_table
from metaback.report.text import summary_text

SHORT = ("Comparison", "Studies", "Measure", "P", "I\u00b2")  # columns of the overview that fit a terminal


def run(table: Path | None, options: dict[str, Any]) -> None:
    """Pool a table and write its report, or print its results; a long table goes to a Parquet file."""
    if table is not None and is_many(options):
        run_many(table, {**options, "preset": options["preset"] or "cochrane"})
        return
    refuse_without_many(options)
    if asks_for_levels(options["plan"]):
        later("cli.multilevel_run", "run_plan")(table, options)
        return
    found = asked(table, options)
    spec, request = found.planned.spec, found.planned.request
    if options["dry_run"]:
        click.echo(dry_run(found, effects_of_table(found.trials, spec, request)))
        return
    with progress_of(options["quiet"]) as tell:
        tell("checking the table")
        audit = audit_table(found.trials, spec, request, found.planned.decisions)
        stop_at_errors(audit, found.table, accepted=options["accept_findings"])
        done = analyse_table(audit.trials, spec, replace(request, answers=audit.answers), tell)
        report = options["output"] == "report"
        names = _write(found, done, audit, options, tell) if report else ()
    if options["output"] == "json":
        click.echo(_json(done).encode(), nl=False)
    elif options["output"] == "text":
        click.echo(_text(done))
    elif not options["quiet"]:
        _show(done, options["out"], len(names))


def asks_for_levels(path: Path | None) -> bool:
    """Tell whether a plan asks for one model of dependent effects."""
    plan, _ = plan_of(path)
    return plan is not None and plan.model.random is not None


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
