"""`metaback selfcheck`: how many digits of this machine's answers are right, and the protocol that says so."""

from __future__ import annotations

from pathlib import Path

import click

from metaback.cli.later import later


@click.command("selfcheck", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the protocol.  [default: selfcheck-YYYY-MM-DD.md here, numbered where that exists]",
)
@click.option("--force", is_flag=True, help="Replace the file of --out where it exists.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Tables and a protocol, or JSON on standard output (and a protocol only with --out).",
)
def command(out: Path | None, force: bool, output: str) -> None:
    """Count the right digits of what this machine computes, and write a dated protocol.

    Thousands of numbers with exact answers of 50 digits are computed: effect sizes, pools, intervals, p values, and
    NIST's linear regressions. It takes some seconds. Exit code 1 says that a promise does not hold.

    \b
    Examples:
      metaback selfcheck
      metaback selfcheck --out validation/metaback.md
      metaback selfcheck --format json
    """
    later("cli.selfcheck_run", "run")(out, output, force=force)
