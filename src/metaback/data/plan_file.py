"""Reading a plan file (TOML): its sections, and which of them this release understands."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from metaback.errors import FileError, OptionError, suggestion

SECTIONS = ("checks",)  # what a plan may hold so far
DECISION = "decision"


def read_plan(path: Path) -> Mapping[str, Any]:
    """Return the sections of a plan file.

    Raises `FileError` for a file that cannot be read or is no TOML, and `OptionError` for unknown sections.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"'{path}' is not TOML: {error}") from error
    strange = [name for name in found if name not in SECTIONS]
    faults = [f"{path}: section {name!r} is not known{suggestion(name, SECTIONS)}" for name in strange]
    if faults:
        raise OptionError(f"{'; '.join(faults)}; use one of: {', '.join(SECTIONS)}")
    return found


def decisions_of(plan: Mapping[str, Any], path: Path) -> list[Mapping[str, Any]]:
    """Return the decisions of `[[checks.decision]]`, unchecked; raise `OptionError` where the section is another."""
    checks = plan.get("checks", {})
    if not isinstance(checks, Mapping):
        raise OptionError(f"{path}: [checks] must be a section with [[checks.decision]] entries")
    section = cast("Mapping[str, Any]", checks)
    unknown = [name for name in section if name != DECISION]
    if unknown:
        hint = suggestion(unknown[0], [DECISION])
        raise OptionError(f"{path}: checks.{unknown[0]} is not known{hint}; use {DECISION}")
    listed: Any = section.get(DECISION, [])
    if not isinstance(listed, list):
        raise OptionError(f"{path}: write each decision under a line [[checks.decision]]")
    return cast("list[Mapping[str, Any]]", listed)


def plan_digest(path: Path) -> str:
    """Return the SHA-256 of a plan file; raise `FileError` where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error
