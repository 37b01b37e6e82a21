"""What `metaback measures` does; its options and its help are in `measures.py`, which does not wait for this."""

from __future__ import annotations

import inspect

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metaback.report.records import csv_text, json_text
from metaback.stats.measures import MEASURES, about, raw_roles
from metaback.stats.measures.family import Convention

HEAD = ("measure", "name", "scale", "computed from", "conventions", "source")


def measure_rows() -> list[tuple[str, ...]]:
    """Return one row per measure: key, name, scale, columns it needs, conventions with their words, source."""
    rows: list[tuple[str, ...]] = []
    for key in sorted(MEASURES):
        facts = about(key)
        words = (f"{name}: {_allowed(convention)}" for name, convention in facts.conventions.items())
        needs = " ".join(raw_roles(key)) or "yi vi"
        rows.append((key, facts.name, facts.scale, needs, "; ".join(words), " ".join(MEASURES[key].cite)))
    return rows


def _allowed(convention: Convention) -> str:
    """List the words of a convention, and whether a number will do as well."""
    return ", ".join([*convention.choices, *(["any number >= 0"] if convention.number else [])])


def run(output: str, key: str | None) -> None:
    """Print the effect measures as text, csv or json, or the description of one."""
    if key is not None:
        click.echo(inspect.getdoc(MEASURES[key].function))
        return
    rows = measure_rows()
    if output == "csv":
        click.echo(csv_text(HEAD, rows), nl=False)
    elif output == "json":
        click.echo(json_text({"measures": [dict(zip(HEAD, row, strict=True)) for row in rows]}), nl=False)
    else:
        _show(rows)


def _show(rows: list[tuple[str, ...]]) -> None:
    """Print the table of all measures as wide as the terminal is."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in HEAD[:4]:
        table.add_column(head)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row[:4]))
    Console().print(table)
