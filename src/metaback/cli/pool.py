"""`metaback pool`: from a table of trials to a report, or to text or JSON on standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metaback.cli.later import later
from metaback.cli.options import choice_of, pooling
from metaback.engines import ENGINES
from metaback.vocabulary import Format, Layout


@click.command("pool", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("table", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report"),
    show_default=True,
    help="Folder of the report; or RESULTS.parquet, for one row per group of --by.",
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
@pooling
@click.option("--plan", type=click.Path(path_type=Path), help="Plan file (TOML): see `metaback init`.")
@click.option("--dry-run", is_flag=True, help="Print the resolved plan and the methods paragraph, and pool nothing.")
@click.option("--layout", type=choice_of(Layout), help="Layout of the forest plots.  [default: standard]")
@click.option("--also", "formats", type=choice_of(Format), multiple=True, help="Write the report so too. Repeatable.")
@click.option("--accept-findings", is_flag=True, help="Pool in spite of errors that nobody decided about, and say so.")
@click.option("--effect", metavar="COLUMN", help="Long tables: column of effects.  [default: yi]")
@click.option("--variance", metavar="COLUMN", help="Long tables: column of variances.  [default: vi]")
@click.option("--se", metavar="COLUMN", help="Long tables: column of standard errors, instead of variances.")
@click.option("--moderators", metavar="FORMULA", help='Long tables: regress each group, e.g. "~ weeks".')
@click.option("--subgroups", metavar="COLUMN", help="Long tables: column of subgroups within each group.")
@click.option("--study", metavar="COLUMN", help="Long tables: column of the studies' labels, to count them.")
@click.option("--engine", type=click.Choice(ENGINES), help="Long tables: where to run.  [default: all processors]")
@click.option("--workers", type=int, help="Long tables: number of processes.")
@click.option("--scheduler", metavar="ADDRESS", help="Long tables: Dask cluster, e.g. tcp://10.0.0.1:8786.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def command(table: Path | None, **options: Any) -> None:
    """Pool every outcome and comparison of TABLE and write a report that anyone can check.

    TABLE may be left out where the plan names it. What is said here counts before the plan, and the report tells it.

    The rows of TABLE bring means and SDs, counts, or an effect with its interval or standard error, mixed freely.
    Each outcome x pair of treatments is one section; its strata are subgroups.

    \b
    Examples:
      metaback pool data/trials.csv --plan data/plan.toml
      metaback pool --plan data/plan.toml --dry-run
      metaback pool data/trials.csv --plan data/plan.toml --out review/
      metaback pool data/trials.csv --plan data/plan.toml --preset revman5 --format text
      metaback pool data/trials.csv --plan data/plan.toml --outcome disability --layout bmj --also docx --also xlsx
      metaback pool data/trials.csv --outcome pain --compare core_stabilisation:general_exercise --by stratum
      metaback pool data/trials.csv --outcome disability --measure SMD --tau2 PM --ci HKSJ --format json
      metaback pool big.parquet --by outcome_id --out results.parquet
      metaback pool big.parquet --by gene,tissue --out results.parquet --engine dask --scheduler tcp://10.0.0.1:8786
    """
    later("cli.pool_run", "run")(table, options)
