"""`metaback check`: what is suspicious in a table of trials, what it would change, and what could not be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metaback.cli.later import later
from metaback.cli.options import pooling


@click.command("check", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("table", required=False, type=click.Path(path_type=Path))
@click.option("--plan", type=click.Path(path_type=Path), help="Plan file with decisions about findings ([checks]).")
@pooling
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "brief", "json", "plan"]),
    default="text",
    show_default=True,
    help="brief: one paragraph per finding; plan: a [checks] section to fill in.",
)
@click.option("--moderators", metavar="FORMULA", help='A meta-regression that is to be made, e.g. "~ weeks".')
@click.option("--strict", is_flag=True, help="Leave with exit code 1 for open warnings too.")
@click.option("--coverage", is_flag=True, help="Say why each rule could not look at what it passed over.")
@click.option("--rules", "list_rules", is_flag=True, help="List the rules and leave.")
def command(table: Path | None, **options: Any) -> None:
    """Check TABLE before it is pooled: swapped SEs and SDs, shared controls, doubled studies, impossible numbers.

    Every finding says what was found, where, what the pool would be if the suspicion is right, and what to do. The
    options say how the table would be pooled, as those of `metaback pool`, because what is a fault depends on that:
    scales must not be mixed in a mean difference, and may be in a standardised one. --outcome and --compare narrow
    what is pooled; every row is checked.

    \b
    Examples:
      metaback check data/trials.csv
      metaback check data/trials.csv --measure MD --format brief
      metaback check data/trials.csv --format plan > plan.toml
      metaback check data/trials.csv --plan plan.toml --strict
      metaback check --rules

    \b
    Exit codes: 0 nothing, or all errors answered; 1 open errors; 2 usage or file error; 3 table rejected.
    """
    later("cli.check_run", "run")(table, options)
