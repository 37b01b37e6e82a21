"""What `metaback check` does; its options and its help are in `check.py`, which does not wait for this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from metaback.audits import rules
from metaback.cli.asked import asked
from metaback.postestimation.audit import Audit, audit_table
from metaback.report.audit_plan import decisions_template
from metaback.report.audit_records import audit_record
from metaback.report.audit_text import audit_text
from metaback.report.records import json_text

FOUND = 1  # exit code where errors, or under --strict warnings, are open


def run(table: Path | None, options: Mapping[str, Any]) -> None:
    """Check a table and print what was found; leave with exit code 1 where errors are open."""
    if list_rules(options):
        return
    found = asked(table, options)
    planned = found.planned
    request = replace(planned.request, moderators=options["moderators"] or planned.request.moderators)
    audit = audit_table(found.trials, planned.spec, request, planned.decisions)
    click.echo(_written(audit, options["output"], coverage=options["coverage"]))
    open_ = bool(audit.unanswered or audit.refused) or (options["strict"] and audit.count("warning") > 0)
    if open_:
        click.get_current_context().exit(FOUND)


def list_rules(options: Mapping[str, Any]) -> bool:
    """Print the rules where that was asked for, and tell whether it was."""
    if not options["list_rules"]:
        return False
    for row in rules().to_dict("records"):
        click.echo(f"{row['rule']} ({row['severity']}): {row['title']}")
    return True


def _written(audit: Audit, output: str, *, coverage: bool) -> str:
    """Return a check in the format that was asked for."""
    if output == "json":
        return json_text(audit_record(audit)).rstrip("\n")
    if output == "plan":
        return decisions_template(audit).rstrip("\n")
    return audit_text(audit, details=output == "text", coverage=coverage)
