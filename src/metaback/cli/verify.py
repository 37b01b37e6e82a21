"""`metaback verify`: whether a report is as it was written, and whether its numbers come back."""

from __future__ import annotations

import json
from pathlib import Path

import click

from metaback.cli.later import later

FOUND = 1  # exit code where a report does not hold


@click.command("verify", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--table", type=click.Path(path_type=Path), help="The table, if it is not where the record says.")
@click.option("--plan", type=click.Path(path_type=Path), help="The plan file, if it is not where the record says.")
@click.option("--strict", is_flag=True, help="Leave with exit code 1 unless every byte came back.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def command(ctx: click.Context, folder: Path, table: Path | None, plan: Path | None, strict: bool, output: str) -> None:
    """Verify the report in FOLDER: hold its files against their hashes, make it again, and compare.

    The recorded command is run again in a temporary folder; nothing is written into FOLDER. The grades: bytes same;
    numbers same (to 1e-8 relative, with the files that differ and why); numbers differ (which, old, new, likely cause);
    not run again (why, e.g. the table is not found). A report that was made in Python is made again from the table
    that it keeps, or from --table.

    \b
    Examples:
      metaback verify report/
      metaback verify report/ --table data/trials.csv --plan data/plan.toml
      metaback verify report/ --format json
      metaback verify report/ --strict

    \b
    Exit codes: 0 bytes or numbers same, and no file changed; 1 a file was changed, numbers differ, or it could not be
    run again; 2 FOLDER is no report, or a file cannot be read.
    """
    found = later("cli.rerun", "verify")(folder, table=table, plan=plan)
    click.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False) if output == "json" else repr(found))
    ctx.exit(0 if found.ok and (not strict or found.grade == "bytes same") else FOUND)
