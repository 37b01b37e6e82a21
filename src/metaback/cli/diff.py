"""`metaback diff`: what moved between two reports of a living review."""

from __future__ import annotations

from pathlib import Path

import click

from metaback.cli.later import later

MOVED = 1  # exit code where something differs


@click.command("diff", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--format", "output", type=click.Choice(["text", "md", "json"]), default="text", show_default=True)
@click.pass_context
def command(ctx: click.Context, old: Path, new: Path, output: str) -> None:
    """Say what moved between the reports OLD and NEW.

    Conclusions that turned come first, then each pool that moved (estimate, interval, tau2, I2, prediction interval,
    P), the studies that entered, left or changed with their cells, decisions, findings, options and versions.

    \b
    Examples:
      metaback diff report-2023/ report-2024/
      metaback diff report-2023/ report-2024/ --format md
      metaback diff report-2023/ report-2024/ --format json

    \b
    Exit codes: 0 the same studies, decisions and numbers; 1 something differs; 2 a folder is no report.
    """
    found = later("living", "diff")(old, new)
    click.echo(later("living", "text_of")(found, output))
    ctx.exit(0 if found.same else MOVED)
