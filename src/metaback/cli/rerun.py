"""Making a report again: from its command, which only `pool` and `multilevel` parse, or from the recipe in it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import click

from metaback.cli.multilevel import command as multilevel_command
from metaback.cli.pool import command as pool_command
from metaback.data.read import read_trials
from metaback.data.trials import Trials, as_named
from metaback.errors import FileError, OptionError
from metaback.levels import multilevel
from metaback.regression import regress
from metaback.report.kept import EFFECTS, NAME, TABLE, VALUES, Made, read_kept
from metaback.result import pool, pool_table
from metaback.verification import Recipe, Verification, verify_bundle


def verify(folder: str | Path, *, table: str | Path | None = None, plan: str | Path | None = None) -> Verification:
    """Verify a report: hold its files against their hashes, make it again from its command, and compare every number.

    The recorded command is parsed by `metaback pool` or `metaback multilevel`, any other is refused, and run here in
    a temporary folder; nothing is written into the report. One that was made in Python is made again from the table and
    the calls that it keeps. The answer has a grade: "bytes same"; "numbers same" (to
    1e-8 relative; files with other bytes are named, with the versions that differ); "numbers differ" (each with its
    place, old and new value, and the likely cause); "not run again" (with the reason, e.g. the table is not there).
    `ok` is true for the first two, where no file was changed.

    folder: the report. table, plan: where its inputs are now, if not under their recorded names; a report that keeps
    its table is held against `table` where one is named. Raises `FileError`
    for a folder that is no report.
    """
    return verify_bundle(folder, recipe, kept, table=table, plan=plan)


def kept(folder: Path) -> Recipe | None:
    """Return how to make a report again from the recipe that it keeps, None where it keeps none."""
    files = {name: path.read_bytes() for name in (NAME, TABLE, VALUES) if (path := folder / name).is_file()}
    if NAME not in files or not {TABLE, VALUES} & files.keys():
        return None
    made, look = read_kept(files)

    def run(inputs: Mapping[str, Path], out: Path) -> None:
        known = made.trials
        if known is None and "table" in inputs:
            raise FileError("The report keeps the effects that it was made from, and no table; leave --table out.")
        fresh = (
            made if known is None or "table" not in inputs else replace(made, trials=_same_rows(known, inputs["table"]))
        )
        _reported(fresh, look, out)

    return Recipe({"table": made.source}, 1, run, whole=True)


def _same_rows(known: Trials, path: Path) -> Trials:
    """Read a table from a file as the kept one was read: its columns by their roles, and only its rows."""
    columns = {role: column for role, column in known.roles.items() if not column.endswith(" (from its cell)")}
    found = as_named(read_trials(path, roles=columns), columns)
    if len(known) < known.source.rows:
        found = found.take(row in set(known.rows) for row in found.rows)
    roles = {role: column for role, column in known.roles.items() if role in found.roles}
    return replace(found, roles=roles, source=known.source, notes=known.notes)


COMMANDS: Mapping[str, click.Command] = {"pool": pool_command, "multilevel": multilevel_command}
VERBS: Mapping[str, Callable[..., Any]] = {
    "pool": pool,
    "pool_table": pool_table,
    "regress": regress,
    "multilevel": multilevel,
}


def _reported(made: Made, look: Mapping[str, Any], out: Path) -> None:
    """Make the calls of a recipe and write the report; nothing but the verbs of pooling is called."""
    (first, words), *others = made.calls or (("", {}),)
    data = made.inputs[EFFECTS] if made.trials is None else made.trials
    try:
        found = VERBS[first](data, **words)
        for verb, said in others:
            found = _next(found, verb, said)
        found.report(out, **look)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise FileError(f"The recipe of the report cannot be followed: {error!r}.") from error


def _next(found: Any, verb: str, said: Mapping[str, Any]) -> Any:
    """Make one call of a recipe after the first."""
    if verb == "item":
        return found[said["place"]]
    if verb not in ("update", "robust"):
        raise KeyError(verb)
    return found.update(**said) if verb == "update" else found.robust(**said)


def recipe(line: str) -> Recipe:
    """Return how to make a report again from its command line. Raises `FileError` for any other command."""
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise FileError(f"The recorded command cannot be read: {error}.") from error
    name = "".join(words[1:2])
    command = COMMANDS.get(name) if words[:1] == ("metaback",) else None
    if command is None:
        raise FileError(
            "The recorded command is not `metaback pool` or `metaback multilevel`, and nothing else is run."
        )
    try:
        parsed = command.make_context(name, list(words[2:]), obj=words).params
    except (click.ClickException, click.exceptions.Exit, OptionError) as error:
        raise FileError(f"The recorded command is not understood by this version: {_said(error)}") from error
    paths = {param.name: parsed[param.name] for param in command.params if param.name and _is_input(param, parsed)}

    def run(inputs: Mapping[str, Path], folder: Path) -> None:
        _made(
            command,
            words,
            {**inputs, "out": folder, "output": "report", "force": False, "quiet": True, "dry_run": False},
        )

    out = PurePath(str(parsed.get("out", "report")))
    return Recipe({name: str(path) for name, path in paths.items()}, len(out.parts), run)


def _is_input(param: click.Parameter, parsed: Mapping[str, object]) -> bool:
    return isinstance(param.type, click.Path) and param.name != "out" and parsed.get(param.name or "") is not None


def _said(error: BaseException) -> str:
    return error.format_message() if isinstance(error, click.ClickException) else str(error)


def _made(command: click.Command, words: tuple[str, ...], others: Mapping[str, object]) -> None:
    """Run the command with the inputs and the folder that are given."""
    with command.make_context(words[1], list(words[2:]), obj=words) as context:
        context.params.update(others)
        command.invoke(context)
