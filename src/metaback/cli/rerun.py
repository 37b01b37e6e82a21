"""Making a report again from the command that it records: only `metaback pool`, and only by its own parser."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path, PurePath

import click

from metaback.cli.pool import command as pool
from metaback.errors import FileError, OptionError
from metaback.verification import Recipe, Verification, verify_bundle


def verify(folder: str | Path, *, table: str | Path | None = None, plan: str | Path | None = None) -> Verification:
    """Verify a report: hold its files against their hashes, make it again from its command, and compare every number.

    The recorded command is parsed by the options of `metaback pool`, any other is refused, and run in this process in
    a temporary folder; nothing is written into the report. The answer has a grade: "bytes same"; "numbers same" (to
    1e-8 relative; files with other bytes are named, with the versions that differ); "numbers differ" (each with its
    place, old and new value, and the likely cause); "not run again" (with the reason: the table is not there, or the
    report was made in Python and has no command). `ok` is true for the first two, where no file was changed.

    folder: the report. table, plan: where its inputs are now, if not under their recorded names. Raises `FileError`
    for a folder that is no report.
    """
    return verify_bundle(folder, recipe, table=table, plan=plan)


def recipe(line: str) -> Recipe:
    """Return how to make a report again from its command line. Raises `FileError` for any other command."""
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise FileError(f"The recorded command cannot be read: {error}.") from error
    if words[:2] != ("metaback", "pool"):
        raise FileError("The recorded command is not `metaback pool`, and nothing else is run.")
    try:
        parsed = pool.make_context("pool", list(words[2:]), obj=words).params
    except (click.ClickException, click.exceptions.Exit, OptionError) as error:
        raise FileError(f"The recorded command is not understood by this version: {_said(error)}") from error
    paths = {param.name: parsed[param.name] for param in pool.params if param.name and _is_input(param, parsed)}

    def run(inputs: Mapping[str, Path], folder: Path) -> None:
        _pooled(words, {**inputs, "out": folder, "output": "report", "force": False, "quiet": True, "dry_run": False})

    out = PurePath(str(parsed.get("out", "report")))
    return Recipe({name: str(path) for name, path in paths.items()}, len(out.parts), run)


def _is_input(param: click.Parameter, parsed: Mapping[str, object]) -> bool:
    return isinstance(param.type, click.Path) and param.name != "out" and parsed.get(param.name or "") is not None


def _said(error: BaseException) -> str:
    return error.format_message() if isinstance(error, click.ClickException) else str(error)


def _pooled(words: tuple[str, ...], others: Mapping[str, object]) -> None:
    """Run the command with the inputs and the folder that are given."""
    with pool.make_context("pool", list(words[2:]), obj=words) as context:
        context.params.update(others)
        pool.invoke(context)
