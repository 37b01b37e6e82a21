"""`metaback schema`: the JSON Schema of a plan, for editors that complete and check TOML."""

from __future__ import annotations

import json

import click

from metaback.cli.later import later


@click.command("schema", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Print the JSON Schema of a plan file.

    \b
    Examples:
      metaback schema
      metaback schema > plan.schema.json
    """
    click.echo(json.dumps(later("models.plans", "schema")(), indent=2, ensure_ascii=False))
