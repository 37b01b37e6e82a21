"""Where a report comes from: input, versions, command and options; never a person, a machine, a place or a clock."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from metaback.errors import OptionError
from metaback.report.document import Block, Code, Heading, Listing, Notes, Paragraph

PACKAGES = ("metaback", "numpy", "scipy", "pandas", "matplotlib")
FORMULAS = ("--random", "--formula", "--moderators")  # options whose words begin with "~" and are no paths
_OPTION = re.compile(r"(--?[\w-]+=)?(.*)", re.DOTALL)
_PLAIN_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class InputFile:
    """What was read: the file's own name (no folder), its SHA-256, rows, and columns in their roles.

    columns: role -> name of the column that plays it. reading: what was guessed when the table was read.
    """

    name: str
    sha256: str
    rows: int
    columns: Mapping[str, str]
    reading: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanFile:
    """The file that decisions came from: its own name (no folder) and its SHA-256."""

    name: str
    sha256: str


def provenance(
    source: InputFile | None,
    *,
    plan: PlanFile | None = None,
    command: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the provenance of a report as plain JSON values in a fixed order.

    plan: the file of decisions. command: words of the command that made it; folders of absolute paths are left out.
    options: every choice resolved.
    """
    return {
        "input": None
        if source is None
        else {
            "name": source.name,
            "sha256": source.sha256,
            "rows": source.rows,
            "columns": dict(source.columns),
            "reading": list(source.reading),
        },
        "plan": None if plan is None else {"name": file_name(plan.name), "sha256": plan.sha256},
        "command": None if command is None else command_line(command),
        "options": dict(options) if options is not None else {},
        "versions": versions(),
        "date": source_date(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the libraries that numbers and figures depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def source_date() -> str | None:
    """Return the day of SOURCE_DATE_EPOCH (UTC), None where it is not set; the clock is never asked."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise OptionError(f"SOURCE_DATE_EPOCH={text!r} is not a number of seconds") from error


def command_line(words: Sequence[str]) -> str:
    """Write a command as it would be typed, with the folders of absolute paths left out; formulas stand as they are.

    >>> command_line(["pool", "/home/me/t.csv", "--random", "~a/b", "--formula=~ x"])
    "pool t.csv --random '~a/b' '--formula=~ x'"
    """
    after = ["", *words]
    kept = [before in FORMULAS or word.split("=")[0] in FORMULAS for before, word in zip(after, words, strict=False)]
    return " ".join(_quoted(word if keep else portable(word)) for word, keep in zip(words, kept, strict=True))


def file_name(path: str) -> str:
    """Return the last part of a path of any system."""
    return PureWindowsPath(PurePosixPath(path).name).name or "table"


def reading_blocks(record: Mapping[str, Any]) -> tuple[Block, ...]:
    """Return the box that tells what was guessed when the table was read; nothing where nothing was."""
    source: dict[str, Any] = record.get("input") or {}
    points = tuple(str(point) for point in source.get("reading", ()))
    return (Notes("How the table was read", points, "information"),) if points else ()


def provenance_blocks(record: Mapping[str, Any]) -> tuple[Block, ...]:
    """Return the closing section of a report that tells where it comes from and how to make it again."""
    blocks: list[Block] = [Heading(2, "Provenance", "provenance")]
    items: list[str] = []
    source = record.get("input")
    if source is not None:
        columns = ", ".join(name if role == name else f"{name} as {role}" for role, name in source["columns"].items())
        digest = f", SHA-256 {source['sha256']}" if source["sha256"] else " (handed over in Python, not a file)"
        items.append(f"Input: {source['name']}, {source['rows']} rows{digest}")
        items += [f"Columns read: {columns}"] if columns else []
    plan = record.get("plan")
    items += [f"Plan: {plan['name']}, SHA-256 {plan['sha256']}"] if plan else []
    options = "; ".join(f"{name} = {value}" for name, value in record.get("options", {}).items())
    items += [f"Options: {options}"] if options else []
    items.append("Versions: " + ", ".join(f"{name} {found}" for name, found in record["versions"].items()))
    items += [f"Date of the source: {record['date']}"] if record.get("date") else []
    blocks.append(Listing(tuple(items)))
    if record.get("command"):
        blocks += [Paragraph("This command makes the same report again:"), Code(str(record["command"]))]
    elif record.get("recipe"):
        given = record.get("keeps")
        what = f"the effects as they were given ({given})" if given else "the table as it was read (tables/input.csv)"
        kept = f"{what} and the calls that pooled {'them' if given else 'it'} ({record['recipe']})"
        blocks.append(Paragraph(f"Made in Python. `metaback verify` makes this report again from {kept}."))
    return tuple(blocks)


def portable(word: str) -> str:
    """Return a word of a command without the folders of an absolute path."""
    match = _OPTION.fullmatch(word)
    option, value = (match.group(1) or "", match.group(2)) if match else ("", word)
    absolute = PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute() or value.startswith("~")
    return f"{option}{file_name(value)}" if absolute else word


def _quoted(word: str) -> str:
    if word and _PLAIN_WORD.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
