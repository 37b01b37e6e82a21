"""`metaback measures`: the effect measures, what each is computed from, its conventions and its source."""

from __future__ import annotations

import click

from metaback.cli.later import later


@click.command("measures", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--format", "output", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True)
@click.argument("key", required=False)
def command(output: str, key: str | None) -> None:
    """List the effect measures, or describe the one called KEY.

    A table needs the columns that are named. Conventions are chosen by a preset or by name.

    \b
    Examples:
      metaback measures
      metaback measures SMD
      metaback measures --format csv
    """
    later("cli.measures_run", "run")(output, key)
