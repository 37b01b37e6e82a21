"""`metaback pool TABLE --by COLUMN --out RESULTS.parquet`: every group of a long table, one row of results for each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from metaback.errors import FileError, OptionError
from metaback.many import pool_many
from metaback.status import Status

WORDS = ("model", "tau2", "weights", "tau2_ci", "ci", "pi", "level", "rng", "draws", "subgroup_tau2")
OWN = ("effect", "variance", "se", "moderators", "subgroups", "study", "engine", "workers", "scheduler")
# Choices of a report that mean nothing for a long table: saying one of them is a mistake that must be told.
OF_REPORTS = ("outcome", "compare", "measure", "conventions", "r", "r_grid", "mixed_scores", "instruments",
              "higher_is_better")  # fmt: skip


def is_many(options: Mapping[str, Any]) -> bool:
    """Tell whether the results are to be a table with one row per group."""
    return options["out"].suffix.lower() == ".parquet"


def refuse_without_many(options: Mapping[str, Any]) -> None:
    """Refuse the options of long tables where a report is asked for."""
    if said := [name for name in OWN if options.get(name) is not None]:
        listed = ", ".join(f"--{name}" for name in said)
        raise OptionError(f"{listed} pools the groups of a long table: name its results, --out RESULTS.parquet")


def run_many(table: Path, options: Mapping[str, Any]) -> None:
    """Pool every group of a table into a Parquet file and say how many ended how."""
    by, out = options["by"], options["out"]
    if by is None:
        raise OptionError(f"--out {out} has one row per group: name the columns of the groups, e.g. --by outcome_id")
    if said := [name for name in OF_REPORTS if options.get(name) not in (None, ())]:
        listed = ", ".join(f"--{name.replace('conventions', 'option').replace('_', '-')}" for name in said)
        raise OptionError(f"{listed} is for reports; a long table brings its effects and variances ready-made")
    if out.resolve() == table.resolve():
        raise FileError(f"--out {out} is the table itself")
    given: dict[str, Any] = {name: options[name] for name in (*OWN, *WORDS) if options.get(name) is not None}
    if "engine" not in given:
        given.setdefault("workers", os.cpu_count() or 1)
    counts = pool_many(
        table,
        by=[name.strip() for name in by.split(",")],
        preset=options["preset"],
        out=out,
        progress=False if options["quiet"] else None,
        **given,
    )
    if not options["quiet"]:
        click.echo(_told(dict(zip(counts["status"], counts["rows"], strict=True)), out))


def _told(counts: Mapping[str, int], out: Path) -> str:
    """Say how many rows there are, and how many have no numbers, with the reason."""
    bad = {status: count for status, count in counts.items() if status != Status.CONVERGED.name.lower()}
    words = "; ".join(f"{count:,} {status}" for status, count in bad.items())
    return f"Results: {out} ({sum(counts.values()):,} rows{f', without numbers: {words}' if bad else ''})"
