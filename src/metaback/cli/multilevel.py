"""`metaback multilevel`: one model of effects that depend on each other, from a table to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metaback.cli.later import later
from metaback.cli.options import choice_of, levelled
from metaback.vocabulary import Format, Layout


@click.command("multilevel", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("table", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("report"), show_default=True, help="Folder of the report."
)
@click.option(
    "--force", is_flag=True, help="Write into a folder that metaback did not make (other files in it are kept)."
)
@click.option(
    "--format",
    "output",
    type=click.Choice(["report", "text", "json"]),
    default="report",
    show_default=True,
    help="Write a report, or print to standard output.",
)
@levelled
@click.option("--plan", type=click.Path(path_type=Path), help="Plan file (TOML) whose [model] may say random = ...")
@click.option("--dry-run", is_flag=True, help="Print the resolved plan and the request, and model nothing.")
@click.option("--layout", type=choice_of(Layout), help="Layout of the forest plot.  [default: standard]")
@click.option("--also", "formats", type=choice_of(Format), multiple=True, help="Write the report so too. Repeatable.")
@click.option("--accept-findings", is_flag=True, help="Model in spite of errors that nobody decided about, and say so.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def command(table: Path | None, **options: Any) -> None:
    """Model all effects of TABLE together, those of one study as dependent on each other, and write a report.

    Every row that --outcome and --compare leave is in one model: y = X beta + random effects + e. Without moderators
    the answer is one mean with its prediction interval; the report shows the result of independent rows beside it,
    other sampling correlations, and the model without each study. Options of table and effects are those of
    `metaback pool`.

    \b
    Examples:
      metaback multilevel data/trials.csv --outcome pain --measure SMD
      metaback multilevel data/trials.csv --outcome pain --random CHE --rho 0.5 --robust CR2
      metaback multilevel data/trials.csv --measure SMD --random "~ outcome | study" --formula "~ outcome - 1"
      metaback multilevel data/trials.csv --outcome pain --covariance table --formula "~ weeks" --format text
      metaback multilevel --plan data/plan.toml --outcome pain --dry-run

    \b
    Exit codes: 0 done; 2 usage or file error; 3 table rejected, or errors of the check open; 4 no model can be fitted.
    """
    later("cli.multilevel_run", "run")(table, options)
