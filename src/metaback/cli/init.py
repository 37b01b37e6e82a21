"""`metaback init`: a commented plan for a table, to be filled in before the results are seen."""

from __future__ import annotations

import os
from pathlib import Path

import click

from metaback.cli.later import later
from metaback.errors import FileError


@click.command("init", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("plan.toml"), show_default=True, help="Plan file.")
@click.option("--force", is_flag=True, help="Write over a plan that stands there.")
def command(table: Path, out: Path, force: bool) -> None:
    """Write a commented plan for TABLE: what it holds, what would be done, and what people have to add.

    \b
    Examples:
      metaback init data/trials.csv
      metaback init data/trials.csv --out protocol/plan.toml
    """
    if out.exists() and not force:
        raise FileError(f"{out} stands there already; name another file with --out, or say --force")
    trials = later("data.read", "read_trials")(table)
    # The plan names its table from where the plan stands, so that both can be moved together.
    file = Path(os.path.relpath(table, out.parent)).as_posix() if not table.is_absolute() else table.as_posix()
    text: str = later("report.plan_toml", "first_plan")(trials, file)
    out.parent.mkdir(parents=True, exist_ok=True)
    waiting = out.with_name(f".{out.name}.part")
    try:
        waiting.write_text(text, encoding="utf-8", newline="\n")
        waiting.replace(out)
    finally:
        waiting.unlink(missing_ok=True)
    click.echo(f"Plan: {out}. Next: fill it in, then metaback pool --plan {out} --dry-run")
